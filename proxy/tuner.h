/* SPDX-License-Identifier: Apache-2.0 */
/* The channels as programs that record and show television want them: M3U and XMLTV. */
#pragma once

#include "proxy/catalog.h"
#include "proxy/programmes.h"
#include <libsoup/soup.h>

/* All must outlive the tuner. */
typedef struct {
  SoupServer *server;
  ProxyCatalog *catalog;
  ProxyProgrammes *programmes;
} ProxyTunerOptions;

typedef struct ProxyTuner ProxyTuner;

/* Serves /channels.m3u and /guide.xml. */
ProxyTuner *proxy_tuner_new (const ProxyTunerOptions *options);
void proxy_tuner_free (ProxyTuner *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyTuner, proxy_tuner_free)
