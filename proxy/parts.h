/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the gateway that page, API and metrics tell of. */
#pragma once

#include "dlna/hdhomerun.h"
#include "dlna/media.h"
#include "dlna/renderers.h"
#include "dlna/server.h"
#include "peer/net/cache.h"
#include "peer/net/listener.h"
#include "proxy/catalog.h"
#include "proxy/guide.h"
#include "proxy/hls.h"
#include "proxy/programmes.h"
#include "proxy/recordings.h"
#include "proxy/sessions.h"

/* All must outlive the web; those marked may be NULL. */
typedef struct {
  SoupServer *server;
  const char *name;
  ProxyCatalog *catalog;
  ProxySessions *sessions;
  ProxyGuide *guide;           /* or NULL */
  ProxyProgrammes *programmes; /* or NULL */
  ProxyRecordings *recordings; /* or NULL */
  DlnaMedia *media;            /* or NULL */
  DlnaClients *clients;        /* or NULL */
  DlnaRenderers *renderers;    /* or NULL */
  DlnaHdhomerun *hdhomerun;    /* or NULL */
  ProxyHls *hls;               /* or NULL */
  NetListener *listener;       /* or NULL */
  NetUdp *udp;                 /* or NULL */
  NetCache *cache;             /* or NULL */
  /* More lines for the page's warnings; or NULL. */
  void (*warnings) (GPtrArray *out, gpointer data);
  /* The numbers of the MediaServer; false = there is none now. Or NULL. */
  bool (*media_server) (DlnaServerStats *out, gpointer data);
  gpointer data;
} ProxyParts;
