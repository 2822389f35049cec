/* SPDX-License-Identifier: Apache-2.0 */
/* What is on now and next: the programme guides (XMLTV) that the channel lists name (x-tvg-url). */
#pragma once

#include "proxy/catalog.h"

typedef struct {
  char *title, *about; /* about: NULL = nothing is said */
  int64_t start, stop; /* s, Unix time */
} ProxyProgramme;

typedef struct ProxyProgrammes ProxyProgrammes;
typedef int64_t (*ProxyProgrammesClock) (gpointer data); /* s, Unix time */

/* clock NULL = the system's. The catalog must outlive it. */
ProxyProgrammes *proxy_programmes_new (ProxyCatalog *catalog, ProxyProgrammesClock clock,
                                       gpointer data);
void proxy_programmes_free (ProxyProgrammes *self);

/* The guides that this list names: fetched now, and each some hours. uris: parted by commas or
 * spaces, NULL = none any more. */
void proxy_programmes_follow (ProxyProgrammes *self, const char *list, const char *uris);

/* What runs on that channel now, and after it; either may be NULL. Valid until the main loop runs. */
void proxy_programmes_now (ProxyProgrammes *self, const char *channel_id,
                           const ProxyProgramme **now, const ProxyProgramme **next);
/* All that is known of that channel, ProxyProgramme by start; NULL = nothing. Valid likewise. */
const GPtrArray *proxy_programmes_of (ProxyProgrammes *self, const char *channel_id);
/* "20:00 News. 20:15 Weather", in local time; NULL = nothing is known. */
char *proxy_programmes_line (ProxyProgrammes *self, const char *channel_id);

/* --- the reader, for the above and for tests --- */

typedef struct ProxyGuideXml ProxyGuideXml;
/* Takes of each programme that touches [from, until) and whose channel the catalog has. */
ProxyGuideXml *proxy_guide_xml_new (ProxyProgrammes *programmes, int64_t from, int64_t until);
/* Plain, or compressed by gzip. false = it is none of ours. */
bool proxy_guide_xml_feed (ProxyGuideXml *self, const char *bytes, size_t n);
void proxy_guide_xml_free (ProxyGuideXml *self); /* what was read counts from then on */
/* "20261121174500 +0100"; -1 = it is none. */
int64_t proxy_guide_xml_time (const char *text);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyProgrammes, proxy_programmes_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyGuideXml, proxy_guide_xml_free)
