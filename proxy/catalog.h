/* SPDX-License-Identifier: Apache-2.0 */
/* The contents that this household knows: in memory, and in a database that survives kill -9,
 * damage and a full disk. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define PROXY_CATALOG_MAX 50000 /* channels, those that are hidden or gone included */
#define PROXY_ID_MAX 64         /* bytes */

typedef struct {
  char *id;       /* a-z 0-9 . _ -; the same for this swarm for ever */
  char *swarm_id; /* hex */
  char *link;
  char *name;
  char *logo;   /* NULL = none */
  char *group;  /* NULL = none */
  char *source; /* the list's URI; "" = added by hand */
  char *mime;
  char *media; /* what its stream contained when it was last seen (proxy/library.c), or NULL */
  int number;  /* 0 = none */
  bool live;
  bool favourite;  /* the household's choice; lists cannot change it */
  int64_t length;  /* bytes; -1 = live, or not known yet */
  int64_t stopped; /* us: where the household stopped; 0 = at an end, or nobody has begun */
  int64_t added;   /* s, Unix time */
} ProxyChannel;

typedef struct ProxyCatalog ProxyCatalog;

/* Never fails: a damaged file is set aside, and what cannot be written is kept in memory; the log
 * says so. path NULL = memory only. */
ProxyCatalog *proxy_catalog_open (const char *path);
void proxy_catalog_close (ProxyCatalog *self);
/* NULL = all is kept on disk; else one line that says what is wrong. */
const char *proxy_catalog_trouble (const ProxyCatalog *self);

/* What somebody says of a channel; borrowed. */
typedef struct {
  const char *swarm_id, *link, *name, *logo, *group;
  const char *source;  /* "" = by hand */
  const char *wish_id; /* what the ID should look like, or NULL */
  const char *mime;
  int number;
  bool live;
  int64_t length;
} ProxyDraft;

typedef enum {
  PROXY_CATALOG_ADDED,
  PROXY_CATALOG_CHANGED,
  PROXY_CATALOG_SAME,
  PROXY_CATALOG_TAKEN,  /* another source has it already */
  PROXY_CATALOG_HIDDEN, /* the household has removed it */
  PROXY_CATALOG_FULL,
} ProxyCatalogResult;

/* channel: may be NULL; stays valid until the next verb that changes something. */
ProxyCatalogResult proxy_catalog_put (ProxyCatalog *self, const ProxyDraft *draft,
                                      const ProxyChannel **channel);
/* By hand: gone, and not brought back by a list. */
bool proxy_catalog_remove (ProxyCatalog *self, const char *id);

/* The household's choice; false = there is no such channel. */
bool proxy_catalog_set_favourite (ProxyCatalog *self, const char *id, bool favourite);

/* What was learned by watching it. Neither is a change of the list. */
void proxy_catalog_set_length (ProxyCatalog *self, const char *id, int64_t length);
void proxy_catalog_set_media (ProxyCatalog *self, const char *id, const char *media);
/* Written to disk at once, then once a minute while it changes, and at the end. No change of the list either, but the
 * generation rises with what is written. */
void proxy_catalog_set_stopped (ProxyCatalog *self, const char *id, int64_t time);

/* Many puts in one transaction. A pass over a source ends with a sweep: what that source no longer
 * names is no longer shown; it keeps its ID for when it comes back. */
void proxy_catalog_begin (ProxyCatalog *self);
void proxy_catalog_commit (ProxyCatalog *self);
void proxy_catalog_start_pass (ProxyCatalog *self);
unsigned proxy_catalog_sweep (ProxyCatalog *self, const char *source);

/* Channels of lists that the operator names no more are no longer shown. sources: NULL-terminated. */
void proxy_catalog_keep_sources (ProxyCatalog *self, const char *const *sources);

const ProxyChannel *proxy_catalog_lookup (ProxyCatalog *self, const char *id);
const ProxyChannel *proxy_catalog_lookup_swarm (ProxyCatalog *self, const char *swarm_id);
/* Those that are shown, by number, then by name; owned by the catalog, valid until a change. */
const GPtrArray *proxy_catalog_list (ProxyCatalog *self);

/* Rises whenever the list or one of its channels changes. */
uint32_t proxy_catalog_generation (const ProxyCatalog *self);
/* Called once after each change, or after a commit that changed something. */
typedef void (*ProxyCatalogFunc) (gpointer data);
void proxy_catalog_set_func (ProxyCatalog *self, ProxyCatalogFunc func, gpointer data);

/* A valid ID made of text: lower case, other letters as "-"; NULL if nothing is left. */
char *proxy_catalog_slug (const char *text);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyCatalog, proxy_catalog_close)
