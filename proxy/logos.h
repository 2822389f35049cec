/* SPDX-License-Identifier: Apache-2.0 */
/* The channels' logos as televisions and the page want them: fetched once, made small, kept. */
#pragma once

#include "proxy/catalog.h"
#include <libsoup/soup.h>

typedef struct ProxyLogos ProxyLogos;

/* Serves /logo/ID.jpg. folder: where they are kept over a restart; NULL = in memory only. */
ProxyLogos *proxy_logos_new (SoupServer *server, ProxyCatalog *catalog, const char *folder);
void proxy_logos_free (ProxyLogos *self);

/* "/logo/ID.jpg", or NULL if the channel has none. */
char *proxy_logos_path (const ProxyChannel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyLogos, proxy_logos_free)
