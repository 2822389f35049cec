/* SPDX-License-Identifier: Apache-2.0 */
/* Which network interfaces are the home's. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* An interface with one of its addresses; an interface with several stands several times. */
typedef struct {
  char *name;
  char *ip; /* literal */
  bool loopback;
  bool private; /* RFC 1918, unique local (RFC 4193) */
  bool link_local;
  bool default_route; /* of either family */
} ProxyInterface;

void proxy_interface_free (ProxyInterface *self);

/* What the kernel has now and is up. Free with g_ptr_array_unref. */
GPtrArray *proxy_interfaces_read (void);

/* The addresses to serve the home on, with the names of their interfaces; a subset of all, in its
 * order. wanted: the operator's names, NULL-terminated, or NULL for the rule: interfaces with a
 * private address, but not the default route's when there are others. Loopback only if it is
 * wanted by name. router: false at first, and then what the last call left there: once there were
 * others the default route's interface is the WAN, also while the others are down (and also if its
 * address is private, behind another router). Free with g_ptr_array_unref; the elements belong to
 * all. */
GPtrArray *proxy_interfaces_choose (const GPtrArray *all, const char *const *wanted, bool *router);
