/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trackerd/prefixes.h"

#include <string.h>

#define BITS 128
/* IPv4 stands behind ::ffff:, which are so many bits. */
#define V4_BITS 96

struct TrackerdPrefixes {
  GHashTable *of_length[BITS + 1]; /* PeerAddress, without port and without what is behind the
                                    * prefix; NULL = none of this length */
  unsigned n;
};

TrackerdPrefixes *
trackerd_prefixes_new (void)
{
  return g_new0 (TrackerdPrefixes, 1);
}

void
trackerd_prefixes_free (TrackerdPrefixes *self)
{
  for (unsigned i = 0; i <= BITS; i++)
    g_clear_pointer (&self->of_length[i], g_hash_table_unref);
  g_free (self);
}

static PeerAddress
cut (const PeerAddress *address, unsigned length)
{
  PeerAddress out = *address;
  out.port = 0;
  for (unsigned i = 0; i < sizeof out.ip; i++) {
    unsigned bits = length > 8 * i ? MIN (length - 8 * i, 8) : 0;
    out.ip[i] &= (uint8_t)(0xff00 >> bits);
  }
  return out;
}

bool
trackerd_prefixes_add (TrackerdPrefixes *self, const char *text, GError **error)
{
  const char *slash = strchr (text, '/');
  g_autofree char *ip = slash != NULL ? g_strndup (text, (gsize)(slash - text)) : g_strdup (text);
  PeerAddress address = {0};
  bool good = peer_address_parse_ip (ip, 0, &address);
  guint64 length = BITS;
  if (good) {
    unsigned before = peer_address_is_v4 (&address) && strchr (ip, ':') == NULL ? V4_BITS : 0;
    if (slash != NULL)
      good = g_ascii_string_to_unsigned (slash + 1, 10, 0, BITS - before, &length, NULL);
    if (slash != NULL && good)
      length += before;
  }
  PeerAddress key = cut (&address, (unsigned)length);
  if (!good || !peer_address_equal (&key, &address)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "'%s' is no %s; expected 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32", text,
                 good ? "prefix, since it has bits behind its length" : "IP address or prefix");
    return false;
  }
  GHashTable **table = &self->of_length[length];
  if (*table == NULL)
    *table = g_hash_table_new_full (peer_address_hash, peer_address_equal_key, g_free, NULL);
  if (g_hash_table_add (*table, g_memdup2 (&key, sizeof key)))
    self->n++;
  return true;
}

bool
trackerd_prefixes_has (const TrackerdPrefixes *self, const PeerAddress *address)
{
  for (unsigned i = 0; i <= BITS && self->n > 0; i++) {
    PeerAddress key;
    if (self->of_length[i] == NULL)
      continue;
    key = cut (address, i);
    if (g_hash_table_contains (self->of_length[i], &key))
      return true;
  }
  return false;
}

unsigned
trackerd_prefixes_size (const TrackerdPrefixes *self)
{
  return self->n;
}
