/* SPDX-License-Identifier: Apache-2.0 */
/* Where the household reaches us: listens on the home's addresses, announces the MediaServer on its
 * interfaces, and follows when they change. */
#pragma once

#include "dlna/hdhomerun.h"
#include "dlna/library.h"
#include "dlna/renderers.h"
#include "dlna/server.h"
#include "peer/net/listener.h"
#include "proxy/config.h"

typedef struct {
  const ProxyConfig *config;
  SoupServer *server; /* page, media, API */
  DlnaLibrary *library;
  const DlnaQuirks *quirks;
  DlnaClients *clients;
  const char *uuid;
  uint32_t device_id; /* dlna_hdhomerun_id(); 0 = we are no tuner */
} ProxyHomeOptions;

typedef struct ProxyHome ProxyHome;

/* All that is in options must outlive it. The error names the address and what to do. */
ProxyHome *proxy_home_new (const ProxyHomeOptions *options, GError **error);
void proxy_home_free (ProxyHome *self); /* byebye */

NetListener *proxy_home_listener (ProxyHome *self);
DlnaRenderers *proxy_home_renderers (ProxyHome *self);
DlnaHdhomerun *proxy_home_hdhomerun (ProxyHome *self); /* NULL = we are no tuner */
/* "http://192.168.1.1:8574/": the first that a household can use; owned by the home. */
const char *proxy_home_page (const ProxyHome *self);
/* Televisions may have forgotten us. */
void proxy_home_announce (ProxyHome *self);
/* The numbers of the MediaServer; false = there is none now. */
bool proxy_home_media_server (const ProxyHome *self, DlnaServerStats *out);
/* What the household should know, as lines; the caller frees what is added. */
void proxy_home_warnings (const ProxyHome *self, GPtrArray *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyHome, proxy_home_free)
