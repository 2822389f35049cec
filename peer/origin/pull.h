/* SPDX-License-Identifier: Apache-2.0 */
/* Fetches a channel's transport stream from an encoder or a server over HTTP or HTTPS, and again
 * whenever it ends. */
#pragma once

#include "peer/origin/station.h"

typedef struct OriginPull OriginPull;

/* Begins at once. content: of kind ORIGIN_PULL; must outlive it. */
OriginPull *origin_pull_new (OriginContent *content);
void origin_pull_free (OriginPull *self);

typedef struct {
  uint64_t attempts;
  char *last_error; /* NULL = the last attempt brought packets */
} OriginPullStatus;
void origin_pull_status (const OriginPull *self, OriginPullStatus *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OriginPull, origin_pull_free)
