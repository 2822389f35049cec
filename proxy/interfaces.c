/* SPDX-License-Identifier: Apache-2.0 */
/* The interface of the default route leads to the Internet; on a router that is the WAN, which must
 * see neither page nor media. A computer inside the home has its default route on the only
 * interface that it has, so there the route does not count. */
#include "proxy/interfaces.h"
#include "peer/address.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
proxy_interface_free (ProxyInterface *self)
{
  g_free (self->name);
  g_free (self->ip);
  g_free (self);
}

static void
free_interface (gpointer data)
{
  proxy_interface_free (data);
}

/* Adds the interfaces of default routes: /proc/net/route has the destination in the second column
 * and the mask in the eighth; /proc/net/ipv6_route begins with destination and prefix length and
 * ends with the name. */
static void
read_default_routes (GHashTable *names)
{
  g_autofree char *v4 = NULL, *v6 = NULL;
  if (g_file_get_contents ("/proc/net/route", &v4, NULL, NULL)) {
    g_auto (GStrv) lines = g_strsplit (v4, "\n", -1);
    for (size_t i = 1; lines[0] && lines[i]; i++) {
      char name[IFNAMSIZ];
      unsigned destination, mask;
      if (sscanf (lines[i], "%15s %x %*x %*x %*d %*d %*d %x", name, &destination, &mask) == 3 &&
          destination == 0 && mask == 0)
        g_hash_table_add (names, g_strdup (name));
    }
  }
  if (g_file_get_contents ("/proc/net/ipv6_route", &v6, NULL, NULL)) {
    g_auto (GStrv) lines = g_strsplit (v6, "\n", -1);
    for (size_t i = 0; lines[i]; i++) {
      const char *space = strrchr (lines[i], ' ');
      if (space && g_str_has_prefix (lines[i], "00000000000000000000000000000000 00 ") &&
          !g_str_equal (space + 1, "lo"))
        g_hash_table_add (names, g_strdup (space + 1));
    }
  }
}

static ProxyInterface *
read_one (const struct ifaddrs *entry, GHashTable *routes)
{
  if (!entry->ifa_addr || !(entry->ifa_flags & IFF_UP))
    return NULL;
  char ip[INET6_ADDRSTRLEN];
  const void *address;
  if (entry->ifa_addr->sa_family == AF_INET)
    address = &((const struct sockaddr_in *)(const void *)entry->ifa_addr)->sin_addr;
  else if (entry->ifa_addr->sa_family == AF_INET6)
    address = &((const struct sockaddr_in6 *)(const void *)entry->ifa_addr)->sin6_addr;
  else
    return NULL;
  if (!inet_ntop (entry->ifa_addr->sa_family, address, ip, sizeof ip))
    return NULL;
  PeerAddress parsed;
  if (!peer_address_parse_ip (ip, 1, &parsed))
    return NULL;
  ProxyInterface *self = g_new0 (ProxyInterface, 1);
  self->name = g_strdup (entry->ifa_name);
  self->ip = g_strdup (ip);
  self->loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0;
  self->link_local = g_str_has_prefix (ip, "fe80:") || g_str_has_prefix (ip, "169.254.");
  self->private = peer_address_is_private (&parsed) && !self->link_local && !self->loopback;
  self->default_route = g_hash_table_contains (routes, self->name);
  return self;
}

GPtrArray *
proxy_interfaces_read (void)
{
  GPtrArray *all = g_ptr_array_new_with_free_func (free_interface);
  g_autoptr (GHashTable) routes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  read_default_routes (routes);
  struct ifaddrs *list = NULL;
  if (getifaddrs (&list) != 0)
    return all;
  for (const struct ifaddrs *entry = list; entry; entry = entry->ifa_next) {
    ProxyInterface *interface = read_one (entry, routes);
    if (interface)
      g_ptr_array_add (all, interface);
  }
  freeifaddrs (list);
  return all;
}

GPtrArray *
proxy_interfaces_choose (const GPtrArray *all, const char *const *wanted, bool *router)
{
  GPtrArray *chosen = g_ptr_array_new ();
  for (guint i = 0; i < all->len; i++) {
    const ProxyInterface *interface = all->pdata[i];
    *router |= interface->private && !interface->default_route;
  }
  for (guint i = 0; i < all->len; i++) {
    ProxyInterface *interface = all->pdata[i];
    /* A link-local address needs a zone, which no URL for a player can carry. */
    if (wanted && wanted[0] ? g_strv_contains (wanted, interface->name) && !interface->link_local
                            : interface->private && !(*router && interface->default_route))
      g_ptr_array_add (chosen, interface);
  }
  return chosen;
}
