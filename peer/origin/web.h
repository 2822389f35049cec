/* SPDX-License-Identifier: Apache-2.0 */
/* What the origin tells over HTTP: channel list, management, metrics, health, and its files with
 * their hash trees. */
#pragma once

#include "peer/net/listener.h"
#include "peer/origin/station.h"

#include <libsoup/soup.h>

typedef struct OriginWeb OriginWeb;

/* listener: for the metrics, or NULL. */
OriginWeb *origin_web_new (SoupServer *server, OriginStation *station, NetListener *listener);
void origin_web_free (OriginWeb *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OriginWeb, origin_web_free)
