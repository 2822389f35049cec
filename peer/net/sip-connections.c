/* SPDX-License-Identifier: Apache-2.0 */
/* sofia-sip does not name its connections, but the kernel names the descriptors of this process. What is shut down here
 * is found at its end by sofia-sip, and closed there. */
#include "peer/net/sip-connections.h"

#include "peer/address.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define DESCRIPTORS "/proc/self/fd"

struct NetSipConnections {
  unsigned max, count;
  GArray *ports; /* uint16_t */
};

NetSipConnections *
net_sip_connections_new (unsigned max)
{
  NetSipConnections *self = g_new0 (NetSipConnections, 1);
  self->max = max;
  self->ports = g_array_new (FALSE, FALSE, sizeof (uint16_t));
  return self;
}

void
net_sip_connections_free (NetSipConnections *self)
{
  g_array_unref (self->ports);
  g_free (self);
}

void
net_sip_connections_add_port (NetSipConnections *self, uint16_t port)
{
  g_array_append_val (self->ports, port);
}

typedef int (*NameFunc) (int, struct sockaddr *restrict, socklen_t *restrict);

/* false = no stream socket of IP, or not connected. */
static bool
read_name (int fd, NameFunc name, PeerAddress *out)
{
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } address;
  socklen_t n = sizeof address;
  *out = (PeerAddress){.port = 0};
  if (name (fd, &address.any, &n) != 0)
    return false;
  if (address.any.sa_family == AF_INET) {
    peer_address_set_ip (out, (const uint8_t *)&address.v4.sin_addr, 4);
    out->port = ntohs (address.v4.sin_port);
  } else if (address.any.sa_family == AF_INET6) {
    peer_address_set_ip (out, (const uint8_t *)&address.v6.sin6_addr, 16);
    out->port = ntohs (address.v6.sin6_port);
  }
  return out->port != 0;
}

static bool
is_counted (const NetSipConnections *self, int fd, PeerAddress *remote)
{
  PeerAddress local;
  int type = 0;
  socklen_t n = sizeof type;
  if (getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_STREAM ||
      !read_name (fd, getsockname, &local))
    return false;
  for (guint i = 0; i < self->ports->len; i++)
    if (g_array_index (self->ports, uint16_t, i) == local.port)
      return read_name (fd, getpeername, remote);
  return false;
}

unsigned
net_sip_connections_sweep (NetSipConnections *self)
{
  g_autoptr (GDir) folder = g_dir_open (DESCRIPTORS, 0, NULL);
  g_autoptr (GHashTable) per_ip =
      g_hash_table_new_full (peer_address_hash, peer_address_equal_key, g_free, NULL);
  const char *name;
  unsigned count = 0, closed = 0;
  while (folder != NULL && (name = g_dir_read_name (folder)) != NULL) {
    int fd = (int)g_ascii_strtoll (name, NULL, 10);
    PeerAddress remote;
    if (!is_counted (self, fd, &remote))
      continue;
    PeerAddress who = peer_address_subscriber (&remote);
    unsigned same = GPOINTER_TO_UINT (g_hash_table_lookup (per_ip, &who)) + 1;
    g_hash_table_replace (per_ip, g_memdup2 (&who, sizeof who), GUINT_TO_POINTER (same));
    count++;
    if (count <= self->max && (same <= self->max / 4 || peer_address_is_loopback (&remote)))
      continue;
    shutdown (fd, SHUT_RDWR);
    closed++;
  }
  self->count = count - closed;
  return closed;
}

unsigned
net_sip_connections_count (const NetSipConnections *self)
{
  return self->count;
}
