/* SPDX-License-Identifier: Apache-2.0 */
/* The network interfaces of this host: which address each has, and when that changes. */
#pragma once

#include <gio/gio.h>
#include <netinet/in.h>
#include <stdbool.h>

typedef struct {
  unsigned index; /* 0 = there is no such interface, or it is down, or has no IPv4 address */
  char ip[64];    /* its first IPv4 address */
  char mask[64];
} DlnaLink;

void dlna_links_find (const char *name, DlnaLink *out);
/* The same interface with the same address. */
bool dlna_link_is (const DlnaLink *self, const DlnaLink *other);
/* Whether that address is of the interface's own network. */
bool dlna_link_is_near (const DlnaLink *self, struct in_addr remote);

typedef struct DlnaLinks DlnaLinks;
/* down: that interface has just gone down, or lost an address; may be NULL. changed: all is quiet again after
 * something happened; look anew. */
typedef struct {
  void (*down) (unsigned index, bool address_lost, gpointer data);
  void (*changed) (gpointer data);
} DlnaLinksHandler;

DlnaLinks *dlna_links_new (const DlnaLinksHandler *handler, gpointer data, GError **error);
void dlna_links_free (DlnaLinks *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaLinks, dlna_links_free)
