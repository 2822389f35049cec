/* SPDX-License-Identifier: Apache-2.0 */
/* Transport addresses, and their texts: dotted quads, and IPv6 by RFC 4291, section 2.2, written
 * as RFC 5952 asks. The C library's functions for this live in headers of the network, which the
 * core does without. */
#include "peer/address.h"

#include <string.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool
peer_address_equal (const PeerAddress *a, const PeerAddress *b)
{
  return a->port == b->port && memcmp (a->ip, b->ip, sizeof a->ip) == 0;
}

guint
peer_address_hash (gconstpointer address)
{
  const PeerAddress *self = address;
  uint64_t high, low;

  memcpy (&high, self->ip, 8);
  memcpy (&low, self->ip + 8, 8);
  /* Remote parties choose addresses, but not enough of them to make the table's chains long:
   * every limit on peers is far below that. So a good mixing is all that is asked here. */
  /* the same on every machine: the order of a table is a part of a run */
  high = GUINT64_FROM_LE (high);
  low = GUINT64_FROM_LE (low);
  low ^= (high ^ self->port) * UINT64_C (0x9e3779b97f4a7c15);
  low ^= low >> 32;
  low *= UINT64_C (0xd6e8feb86659fd93);
  return (guint)(low >> 32);
}

gboolean
peer_address_equal_key (gconstpointer a, gconstpointer b)
{
  return peer_address_equal (a, b);
}

void
peer_address_set_ip (PeerAddress *self, const uint8_t *ip, size_t n)
{
  g_assert (n == 4 || n == sizeof self->ip);
  memcpy (self->ip, v4_prefix, sizeof v4_prefix);
  memcpy (self->ip + sizeof self->ip - n, ip, n);
}

bool
peer_address_is_v4 (const PeerAddress *self)
{
  return memcmp (self->ip, v4_prefix, sizeof v4_prefix) == 0;
}

bool
peer_address_is_loopback (const PeerAddress *self)
{
  static const uint8_t one[16] = {[15] = 1};

  if (peer_address_is_v4 (self))
    return self->ip[12] == 127;
  return memcmp (self->ip, one, sizeof one) == 0;
}

bool
peer_address_is_private (const PeerAddress *self)
{
  const uint8_t *ip = self->ip + 12;

  if (peer_address_is_loopback (self))
    return true;
  if (peer_address_is_v4 (self))
    return ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) ||
           (ip[0] == 192 && ip[1] == 168) || (ip[0] == 169 && ip[1] == 254);
  /* fc00::/7 and fe80::/10 */
  return (self->ip[0] & 0xfe) == 0xfc || (self->ip[0] == 0xfe && (self->ip[1] & 0xc0) == 0x80);
}

PeerAddress
peer_address_subscriber (const PeerAddress *self)
{
  PeerAddress out = *self;
  out.port = 0;
  if (!peer_address_is_v4 (self))
    memset (out.ip + 8, 0, 8);
  return out;
}

bool
peer_address_is_usable (const PeerAddress *self)
{
  static const uint8_t zeros[16];
  const uint8_t *ip = self->ip + 12;

  if (self->port == 0)
    return false;
  if (peer_address_is_v4 (self)) /* 0.0.0.0/8 is "this network", 224.0.0.0/4 multicast */
    return ip[0] != 0 && (ip[0] & 0xf0) != 224 &&
           !(ip[0] == 255 && ip[1] == 255 && ip[2] == 255 && ip[3] == 255);
  return self->ip[0] != 0xff && memcmp (self->ip, zeros, sizeof zeros) != 0;
}

static char *
v6_to_string (const uint8_t *ip)
{
  GString *text = g_string_sized_new (40);
  int best = -1, best_n = 1;

  /* RFC 5952, 4.2: "::" stands for the longest run of two or more zero fields, the first of
   * equals. */
  for (int i = 0; i < 8; i++) {
    int n = 0;

    while (i + n < 8 && ip[2 * (i + n)] == 0 && ip[2 * (i + n) + 1] == 0)
      n++;
    if (n > best_n) {
      best = i;
      best_n = n;
    }
    i += n;
  }
  for (int i = 0; i < 8; i++) {
    if (i == best) {
      g_string_append (text, "::");
      i += best_n - 1;
      continue;
    }
    if (text->len > 0 && text->str[text->len - 1] != ':')
      g_string_append_c (text, ':');
    g_string_append_printf (text, "%x", (unsigned)ip[2 * i] << 8 | ip[2 * i + 1]);
  }
  return g_string_free (text, FALSE);
}

char *
peer_address_ip_to_string (const PeerAddress *self)
{
  const uint8_t *ip = self->ip + 12;

  if (peer_address_is_v4 (self))
    return g_strdup_printf ("%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
  return v6_to_string (self->ip);
}

char *
peer_address_to_string (const PeerAddress *self)
{
  g_autofree char *ip = peer_address_ip_to_string (self);

  if (peer_address_is_v4 (self))
    return g_strdup_printf ("%s:%u", ip, self->port);
  return g_strdup_printf ("[%s]:%u", ip, self->port);
}

/* Up to max_digits decimal digits, no sign, at most max. Advances text behind them. */
static bool
parse_decimal (const char **text, int max_digits, unsigned max, unsigned *out)
{
  unsigned value = 0;
  int n = 0;

  while (n < max_digits && g_ascii_isdigit ((*text)[n]))
    value = value * 10 + (unsigned)((*text)[n++] - '0');
  if (n == 0 || value > max)
    return false;
  *text += n;
  *out = value;
  return true;
}

/* Exactly four numbers; a leading zero would be read as octal elsewhere, so it is refused. */
static bool
parse_v4 (const char *text, uint8_t *out)
{
  for (int i = 0; i < 4; i++) {
    unsigned value;

    if (i > 0 && *text++ != '.')
      return false;
    if (text[0] == '0' && g_ascii_isdigit (text[1]))
      return false;
    if (!parse_decimal (&text, 3, 255, &value))
      return false;
    out[i] = (uint8_t)value;
  }
  return *text == '\0';
}

/* One field of an IPv6 address: one to four hexadecimal digits. */
static bool
parse_field (const char **text, uint8_t *out)
{
  unsigned value = 0;
  int n = 0;

  while (n < 4 && g_ascii_isxdigit ((*text)[n]))
    value = value << 4 | (unsigned)g_ascii_xdigit_value ((*text)[n++]);
  if (n == 0)
    return false;
  *text += n;
  out[0] = (uint8_t)(value >> 8);
  out[1] = (uint8_t)value;
  return true;
}

static bool
parse_v6 (const char *text, uint8_t *out)
{
  uint8_t bytes[16] = {0};
  int n = 0, gap = -1; /* bytes read, and how many of them stand before the "::" */

  if (g_str_has_prefix (text, "::")) {
    gap = 0;
    text += 2;
  }
  while (*text != '\0') {
    if (n > 12 + 2 || (gap >= 0 && n > 12))
      return false;
    if (n <= 12 && parse_v4 (text, bytes + n)) {
      n += 4;
      break;
    }
    if (!parse_field (&text, bytes + n))
      return false;
    n += 2;
    if (*text == '\0')
      break;
    if (*text++ != ':')
      return false;
    if (*text == ':') {
      if (gap >= 0)
        return false;
      gap = n;
      text++;
    } else if (*text == '\0') {
      return false;
    }
  }
  if (gap < 0 ? n != 16 : n > 14)
    return false;
  if (gap >= 0) {
    memmove (bytes + gap + (16 - n), bytes + gap, (size_t)(n - gap));
    memset (bytes + gap, 0, (size_t)(16 - n));
  }
  memcpy (out, bytes, sizeof bytes);
  return true;
}

bool
peer_address_parse_ip (const char *text, uint16_t port, PeerAddress *out)
{
  PeerAddress address = {.port = port};

  memcpy (address.ip, v4_prefix, sizeof v4_prefix);
  if (!parse_v4 (text, address.ip + 12) && !parse_v6 (text, address.ip))
    return false;
  *out = address;
  return true;
}

bool
peer_address_parse (const char *text, PeerAddress *out)
{
  const char *ip = text, *colon;
  char literal[64];
  size_t n;
  unsigned port;

  colon = strrchr (text, ':');
  if (colon == NULL)
    return false;
  n = (size_t)(colon - text);
  if (*text == '[') {
    if (n < 2 || text[n - 1] != ']')
      return false;
    ip = text + 1;
    n -= 2;
  }
  if (n >= sizeof literal)
    return false;
  memcpy (literal, ip, n);
  literal[n] = '\0';
  /* RFC 3986, 3.2.2: brackets are for IPv6, and IPv6 needs them */
  if ((strchr (literal, ':') != NULL) != (*text == '['))
    return false;
  colon++;
  if (!parse_decimal (&colon, 5, UINT16_MAX, &port) || *colon != '\0')
    return false;
  return peer_address_parse_ip (literal, (uint16_t)port, out);
}
