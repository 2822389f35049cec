/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's channel lists (M3U with ppsp: links, by http:, https: or file:): read at the
 * start, each hour and when asked, into the catalog. */
#pragma once

#include "proxy/catalog.h"
#include <gio/gio.h>

#define PROXY_GUIDE_MAX_BYTES (8 * 1024 * 1024)
#define PROXY_GUIDE_MAX_CHANNELS 20000

typedef struct ProxyGuide ProxyGuide;

/* uris: NULL-terminated; NULL = none. Reads nothing yet. */
ProxyGuide *proxy_guide_new (ProxyCatalog *catalog, const char *const *uris);
void proxy_guide_free (ProxyGuide *self);

/* Called with each list that was read: the programme guides that it names (x-tvg-url), NULL = none. */
typedef void (*ProxyGuideFunc) (const char *list, const char *guides, gpointer data);
void proxy_guide_set_func (ProxyGuide *self, ProxyGuideFunc func, gpointer data);

/* Reads all lists, one after the other, in the background, a little at a time. */
void proxy_guide_reload (ProxyGuide *self);

typedef struct {
  unsigned channels;   /* of this list, in the catalog */
  unsigned duplicates; /* named twice, or by another list */
  unsigned rubbish;    /* lines that are no ppsp: link that we can use */
  bool truncated;      /* longer than we read */
} ProxyGuideCount;

typedef struct {
  const char *uri;
  const char *error; /* NULL = read well, or not yet */
  ProxyGuideCount count;
  int64_t read_at; /* s, Unix time; 0 = never */
} ProxyGuideStatus;
unsigned proxy_guide_n (const ProxyGuide *self);
void proxy_guide_status (const ProxyGuide *self, unsigned i, ProxyGuideStatus *out);

/* --- the reader, for the guide and for tests --- */

typedef struct ProxyGuideReader ProxyGuideReader;
ProxyGuideReader *proxy_guide_reader_new (ProxyCatalog *catalog, const char *source, GBytes *text);
void proxy_guide_reader_free (ProxyGuideReader *self);
/* Takes at most so many lines; false = done: what the list no longer names is swept. */
bool proxy_guide_reader_step (ProxyGuideReader *self, unsigned lines);
const ProxyGuideCount *proxy_guide_reader_count (const ProxyGuideReader *self);
/* The programme guides that its head names, or NULL. */
const char *proxy_guide_reader_programmes (const ProxyGuideReader *self);

/* A name fit to be shown: valid UTF-8 without control characters, at most 120 letters; NULL if
 * nothing is left. */
char *proxy_guide_clean_name (const char *text);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyGuide, proxy_guide_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyGuideReader, proxy_guide_reader_free)
