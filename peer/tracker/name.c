/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says what follows:
 *
 *   0x00 + n   n bytes of text, at most 23
 *   0x80 + n   2n lower-case hex digits, as n bytes
 *   0xff       at byte 8, a pointer to text on the heap
 */
#include "peer/tracker/name.h"

#include "peer/tracker/table.h"

#include <string.h>

#define ROOM (sizeof ((TrackerName *)0)->bytes - 1)
#define HEX 0x80
#define ELSEWHERE 0xff
#define POINTER_AT 8

static int
digit (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
pack_hex (TrackerName *self, const char *id, size_t n)
{
  if (n % 2 != 0 || n / 2 > ROOM)
    return false;
  for (size_t i = 0; i < n / 2; i++) {
    int high = digit (id[2 * i]), low = digit (id[2 * i + 1]);
    if (high < 0 || low < 0)
      return false;
    self->bytes[1 + i] = (uint8_t)(high << 4 | low);
  }
  self->bytes[0] = (uint8_t)(HEX + n / 2);
  return true;
}

/* false = it must stand elsewhere. */
static bool
pack (TrackerName *self, const char *id)
{
  size_t n = strlen (id);
  memset (self, 0, sizeof *self);
  if (pack_hex (self, id, n))
    return true;
  memset (self, 0, sizeof *self);
  if (n > ROOM)
    return false;
  self->bytes[0] = (uint8_t)n;
  memcpy (self->bytes + 1, id, n);
  return true;
}

static void
point (TrackerName *self, const char *text)
{
  self->bytes[0] = ELSEWHERE;
  memcpy (self->bytes + POINTER_AT, &text, sizeof text);
}

static const char *
text_of (const TrackerName *self)
{
  const char *text;
  memcpy (&text, self->bytes + POINTER_AT, sizeof text);
  return text;
}

void
tracker_name_init (TrackerName *self, const char *id)
{
  if (!pack (self, id))
    point (self, g_strdup (id));
}

void
tracker_name_borrow (TrackerName *self, const char *id)
{
  if (!pack (self, id))
    point (self, id);
}

void
tracker_name_clear (TrackerName *self)
{
  if (self->bytes[0] == ELSEWHERE)
    g_free ((char *)text_of (self));
  memset (self, 0, sizeof *self);
}

bool
tracker_name_equal (const TrackerName *self, const TrackerName *other)
{
  if (self->bytes[0] == ELSEWHERE && other->bytes[0] == ELSEWHERE)
    return strcmp (text_of (self), text_of (other)) == 0;
  return memcmp (self->bytes, other->bytes, sizeof self->bytes) == 0;
}

uint64_t
tracker_name_hash (const TrackerName *self, uint64_t seed)
{
  uint64_t hash;
  if (self->bytes[0] == ELSEWHERE)
    hash = tracker_table_hash (text_of (self), strlen (text_of (self)));
  else
    hash = tracker_table_hash (self->bytes, sizeof self->bytes);
  /* Both are under the process's key; one more turn mixes them. */
  uint64_t both[] = {hash, seed};
  return tracker_table_hash (both, sizeof both);
}

void
tracker_name_write (const TrackerName *self, char out[TRACKER_MAX_ID + 1])
{
  static const char digits[] = "0123456789abcdef";
  size_t n = self->bytes[0];
  if (n == ELSEWHERE) {
    g_strlcpy (out, text_of (self), TRACKER_MAX_ID + 1);
    return;
  }
  if (n < HEX) {
    memcpy (out, self->bytes + 1, n);
    out[n] = 0;
    return;
  }
  n -= HEX;
  for (size_t i = 0; i < n; i++) {
    *out++ = digits[self->bytes[1 + i] >> 4];
    *out++ = digits[self->bytes[1 + i] & 15];
  }
  *out = 0;
}
