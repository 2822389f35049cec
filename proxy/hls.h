/* SPDX-License-Identifier: Apache-2.0 */
/* Live channels as HLS (RFC 8216): /media/ID.m3u8, and its segments at /media/ID/NUMBER.ts. */
#pragma once

#include "proxy/catalog.h"
#include "proxy/sessions.h"
#include <libsoup/soup.h>

typedef struct ProxyHls ProxyHls;

/* Answers its addresses on server before the handler of /media/ is asked. The catalog must outlive
 * it. */
ProxyHls *proxy_hls_new (SoupServer *server, ProxyCatalog *catalog, ProxySessions *sessions);
/* When the handler of /media/ has gone from the server, which takes ours along. */
void proxy_hls_free (ProxyHls *self);

typedef struct {
  unsigned channels; /* that somebody plays so now */
  uint64_t segments, bytes;
} ProxyHlsStats;
void proxy_hls_stats (const ProxyHls *self, ProxyHlsStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyHls, proxy_hls_free)
