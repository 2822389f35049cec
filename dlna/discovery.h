/* SPDX-License-Identifier: Apache-2.0 */
/* The other side of SSDP: who is there, on one interface. */
#pragma once

#include "dlna/links.h"

typedef struct DlnaDiscovery DlnaDiscovery;

/* udn: "uuid:..."; location: an address on the device itself, which was checked against who sent it;
 * NULL = it said byebye. */
typedef void (*DlnaDiscoveryFunc) (const char *udn, const char *location, const char *ip,
                                   gpointer data);

/* target: the device type that is looked for. Searches at once, and then when told to. */
DlnaDiscovery *dlna_discovery_new (const char *interface, const DlnaLink *link, const char *target,
                                   DlnaDiscoveryFunc func, gpointer data, GError **error);
void dlna_discovery_free (DlnaDiscovery *self);
void dlna_discovery_search (DlnaDiscovery *self);
const DlnaLink *dlna_discovery_link (const DlnaDiscovery *self);

/* What a packet of SSDP, n bytes from ip, says of target; false = nothing, or nothing that can be
 * believed: a location must be http, on that address and no other. location: NULL = byebye. */
bool dlna_discovery_read (const char *packet, gsize n, const char *target, const char *ip,
                          char **udn, char **location);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaDiscovery, dlna_discovery_free)
