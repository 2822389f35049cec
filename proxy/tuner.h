/* SPDX-License-Identifier: Apache-2.0 */
/* The channels as programs that record and show television want them: M3U and XMLTV, or as if we were
 * a network tuner (HDHomeRun). */
#pragma once

#include "proxy/catalog.h"
#include "proxy/programmes.h"
#include <libsoup/soup.h>

/* All must outlive the tuner. */
typedef struct {
  SoupServer *server;
  ProxyCatalog *catalog;
  ProxyProgrammes *programmes;
  const char *name;
  uint32_t device_id; /* dlna_hdhomerun_id(); 0 = we are no tuner */
} ProxyTunerOptions;

typedef struct ProxyTuner ProxyTuner;

/* Serves /channels.m3u and /guide.xml; as a tuner /discover.json, /lineup.json, /lineup_status.json. */
ProxyTuner *proxy_tuner_new (const ProxyTunerOptions *options);
void proxy_tuner_free (ProxyTuner *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyTuner, proxy_tuner_free)
