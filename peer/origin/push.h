/* SPDX-License-Identifier: Apache-2.0 */
/* PUT and POST /ingest/ID: an encoder pushes its transport stream for as long as it likes. */
#pragma once

#include "peer/origin/station.h"

#include <libsoup/soup.h>

typedef struct OriginPush OriginPush;

/* Adds its handlers to the server, which feeds no bodies below /ingest/ into memory
 * (net_listener_allow_body). */
OriginPush *origin_push_new (SoupServer *server, OriginStation *station);
void origin_push_free (OriginPush *self);

/* From this machine and from no browser's page, or with this token; NULL = there is none. */
bool origin_push_is_allowed (SoupServerMessage *message, const char *token);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OriginPush, origin_push_free)
