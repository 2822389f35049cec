/* SPDX-License-Identifier: Apache-2.0 */
/* The folders in which the home sees the catalog:
 *
 *   0                root
 *   all:             All channels
 *   favourites:      Favourites    references, by the household's choice
 *   groups:          Groups        a folder for each group that the lists name
 *   group:HASH:                    references
 *   recordings:      Recordings
 *   films:           On demand
 *
 * A channel has one place, "all:", "recordings:" or "films:", where its object has the channel's own ID; on the
 * other shelves it is a reference, whose ID is the shelf's with the channel's behind it. No channel's
 * ID has a colon. A shelf with nothing on it is not there, but for the first. */
#pragma once

#include "proxy/catalog.h"

typedef struct {
  char *id, *title;
  const char *parent_id; /* NULL = the root */
  GPtrArray *channels;   /* const ProxyChannel; the catalog's */
  GPtrArray *below;      /* const ProxyShelf */
  bool references;       /* the channels are */
  uint32_t update_id;    /* of the last change of what is on it */
} ProxyShelf;

typedef struct ProxyShelves ProxyShelves;

/* The catalog must outlive it. What its functions return is valid until the catalog changes. */
ProxyShelves *proxy_shelves_new (ProxyCatalog *catalog);
void proxy_shelves_free (ProxyShelves *self);

/* NULL = there is none. */
const ProxyShelf *proxy_shelves_find (ProxyShelves *self, const char *id);
/* The channel that an object's ID names, and the shelf where it stands; NULL = there is none. */
const ProxyChannel *proxy_shelves_channel (ProxyShelves *self, const char *id,
                                           const ProxyShelf **shelf);
/* Rises with each change; after a restart it is another. */
uint32_t proxy_shelves_update_id (ProxyShelves *self);
/* Calls func with each shelf that has changed since it was last told, the root included. */
void proxy_shelves_tell (ProxyShelves *self, void (*func) (const char *id, gpointer data),
                         gpointer data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyShelves, proxy_shelves_free)
