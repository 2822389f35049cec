/* SPDX-License-Identifier: Apache-2.0 */
/* The household's page, the JSON management, the metrics. */
#pragma once

#include "dlna/media.h"
#include "peer/net/listener.h"
#include "proxy/cache.h"
#include "proxy/catalog.h"
#include "proxy/guide.h"
#include "proxy/sessions.h"

/* All must outlive the web; those marked may be NULL. */
typedef struct {
  SoupServer *server;
  const char *name;
  ProxyCatalog *catalog;
  ProxySessions *sessions;
  ProxyGuide *guide;     /* or NULL */
  DlnaMedia *media;      /* or NULL */
  NetListener *listener; /* or NULL */
  NetUdp *udp;           /* or NULL */
  ProxyCache *cache;     /* or NULL */
  /* More lines for the page's warnings; or NULL. */
  void (*warnings) (GPtrArray *out, gpointer data);
  gpointer data;
} ProxyWebOptions;

typedef struct ProxyWeb ProxyWeb;

ProxyWeb *proxy_web_new (const ProxyWebOptions *options);
void proxy_web_free (ProxyWeb *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyWeb, proxy_web_free)
