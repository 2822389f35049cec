/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1: what the page asks and does, as JSON. */
#pragma once

#include "proxy/parts.h"

/* GET /api/v1/status; started: us, monotonic. */
void proxy_api_status (const ProxyParts *with, int64_t started, SoupServerMessage *message);
/* GET and POST /api/v1/channels. */
void proxy_api_channels (const ProxyParts *with, SoupServerMessage *message);
/* PUT /api/v1/channels/ID/limit?upload=RATE&download=RATE: bit/s, as net_peering_set() has it. DELETE:
 * what the options say counts again. */
void proxy_api_limit (const ProxyParts *with, const char *id, GHashTable *query,
                      SoupServerMessage *message);
/* GET and DELETE /api/v1/channels/ID. */
void proxy_api_channel (const ProxyParts *with, const char *id, SoupServerMessage *message);
/* PUT and DELETE /api/v1/channels/ID/favourite. */
void proxy_api_favourite (const ProxyParts *with, const char *id, SoupServerMessage *message);
/* GET and POST /api/v1/recordings; GET and DELETE /api/v1/recordings/ID; POST /api/v1/recordings/ID/stop;
 * PUT and DELETE /api/v1/recordings/ID/share.
 * rest: what follows "recordings". */
void proxy_api_recordings (const ProxyParts *with, const char *rest, SoupServerMessage *message);
/* GET /api/v1/renderers; POST /api/v1/renderers/UDN/play and /stop. rest: what follows "renderers". */
void proxy_api_renderers (const ProxyParts *with, const char *rest, SoupServerMessage *message);
/* GET /api/v1/clients: who in the home has asked what, and got what. */
void proxy_api_clients (const ProxyParts *with, SoupServerMessage *message);
/* Lines for people on what is wrong. Free with g_ptr_array_unref. */
GPtrArray *proxy_api_warnings (const ProxyParts *with);
/* GET /api/v1/now: what is on, and next, on the channels of which that is known. */
void proxy_api_now (const ProxyParts *with, SoupServerMessage *message);
