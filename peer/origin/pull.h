/* SPDX-License-Identifier: Apache-2.0 */
/* Fetches a channel's transport stream from an encoder or a server over HTTP or HTTPS, and again
 * whenever it ends. */
#pragma once

#include "peer/origin/station.h"

typedef struct OriginPull OriginPull;

/* Begins at once. content: of kind ORIGIN_PULL; must outlive it, and is told why nothing comes. */
OriginPull *origin_pull_new (OriginContent *content);
void origin_pull_free (OriginPull *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OriginPull, origin_pull_free)
