/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/admission.h"

#include <string.h>

struct NetAdmission {
  gint refs;
  unsigned max_connections, max_per_ip;
  GRecMutex lock; /* of all below */
  unsigned connections;
  GHashTable *per_ip; /* struct in6_addr, of a home -> count */
  uint64_t counted[NET_ADMISSION_ACCEPT_FAILED + 1];
};

bool
net_admission_ip (GSocketAddress *address, struct in6_addr *out)
{
  if (!G_IS_INET_SOCKET_ADDRESS (address))
    return false;
  GInetAddress *inet = g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address));
  const guint8 *bytes = g_inet_address_to_bytes (inet);
  memset (out, 0, sizeof *out);
  if (g_inet_address_get_family (inet) == G_SOCKET_FAMILY_IPV6) {
    memcpy (out, bytes, 16);
  } else {
    out->s6_addr[10] = out->s6_addr[11] = 0xff;
    memcpy (out->s6_addr + 12, bytes, 4);
  }
  return true;
}

bool
net_admission_is_loopback (const struct in6_addr *ip)
{
  return IN6_IS_ADDR_LOOPBACK (ip) || (IN6_IS_ADDR_V4MAPPED (ip) && ip->s6_addr[12] == 127);
}

static guint
ip_hash (gconstpointer key)
{
  const uint8_t *ip = key;
  guint hash = 5381;
  for (unsigned i = 0; i < sizeof (struct in6_addr); i++)
    hash = hash * 33 + ip[i];
  return hash;
}

static gboolean
ip_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (struct in6_addr)) == 0;
}

NetAdmission *
net_admission_new (unsigned max_connections, unsigned max_per_ip)
{
  NetAdmission *self = g_new0 (NetAdmission, 1);
  self->refs = 1;
  self->max_connections = max_connections;
  self->max_per_ip = max_per_ip;
  self->per_ip = g_hash_table_new_full (ip_hash, ip_equal, g_free, NULL);
  g_rec_mutex_init (&self->lock);
  return self;
}

NetAdmission *
net_admission_ref (NetAdmission *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
net_admission_unref (NetAdmission *self)
{
  if (!g_atomic_int_dec_and_test (&self->refs))
    return;
  g_hash_table_unref (self->per_ip);
  g_rec_mutex_clear (&self->lock);
  g_free (self);
}

/* What is counted as one: a home has a /64 of IPv6. */
static struct in6_addr
home_of (const struct in6_addr *ip)
{
  struct in6_addr home = *ip;
  if (!IN6_IS_ADDR_V4MAPPED (ip))
    memset (home.s6_addr + 8, 0, 8);
  return home;
}

static unsigned
count_of (const NetAdmission *self, const struct in6_addr *home)
{
  return GPOINTER_TO_UINT (g_hash_table_lookup (self->per_ip, home));
}

static void
set_count (NetAdmission *self, const struct in6_addr *home, unsigned n)
{
  if (n == 0)
    g_hash_table_remove (self->per_ip, home);
  else
    g_hash_table_replace (self->per_ip, g_memdup2 (home, sizeof *home), GUINT_TO_POINTER (n));
}

NetAdmissionResult
net_admission_enter (NetAdmission *self, const struct in6_addr *ip, bool replaces)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  struct in6_addr home = home_of (ip);
  unsigned same = count_of (self, &home);
  if (same >= self->max_per_ip && !net_admission_is_loopback (ip))
    return NET_ADMISSION_TOO_MANY;
  if (self->connections >= self->max_connections && !replaces)
    return NET_ADMISSION_FULL;
  self->connections++;
  set_count (self, &home, same + 1);
  return NET_ADMISSION_ENTERED;
}

void
net_admission_leave (NetAdmission *self, const struct in6_addr *ip)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  struct in6_addr home = home_of (ip);
  self->connections--;
  set_count (self, &home, count_of (self, &home) - 1);
}

void
net_admission_count (NetAdmission *self, NetAdmissionFate fate)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  self->counted[fate]++;
}

uint64_t
net_admission_counted (NetAdmission *self, NetAdmissionFate fate)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  return self->counted[fate];
}

unsigned
net_admission_connections (NetAdmission *self)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  return self->connections;
}
