/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/proxy/ts.h"
#include <string.h>

enum { PACKET = 188 };

void
ts_maker_init (TsMaker *self)
{
  memset (self, 0, sizeof *self);
  self->bytes = g_byte_array_new ();
  self->random = 1;
}

void
ts_maker_clear (TsMaker *self)
{
  g_clear_pointer (&self->bytes, g_byte_array_unref);
}

/* payload: 184 bytes at most; the rest is filled with stuffing in an adaptation field. */
static void
add_packet (TsMaker *self, unsigned pid, bool start, const uint8_t *payload, size_t n)
{
  uint8_t packet[PACKET];
  memset (packet, 0xff, sizeof packet);
  packet[0] = 0x47;
  packet[1] = (uint8_t)((start ? 0x40 : 0) | pid >> 8);
  packet[2] = (uint8_t)pid;
  packet[3] = (uint8_t)(0x10 | (self->counters[pid]++ & 15));
  if (n < 184) {
    packet[3] |= 0x20;
    packet[4] = (uint8_t)(183 - n);
    if (n < 183)
      packet[5] = 0;
  }
  memcpy (packet + PACKET - n, payload, n);
  g_byte_array_append (self->bytes, packet, sizeof packet);
}

static void
add_section (TsMaker *self, unsigned pid, const uint8_t *section, size_t n)
{
  uint8_t payload[184];
  uint32_t crc = 0xffffffff;
  memset (payload, 0xff, sizeof payload);
  payload[0] = 0; /* pointer */
  memcpy (payload + 1, section, n);
  for (size_t i = 0; i < n; i++)
    for (int bit = 7; bit >= 0; bit--)
      crc = crc << 1 ^ ((crc >> 31 ^ (section[i] >> bit & 1)) ? 0x04c11db7 : 0);
  for (int i = 0; i < 4; i++)
    payload[1 + n + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
  add_packet (self, pid, true, payload, sizeof payload);
}

void
ts_tables (TsMaker *self)
{
  static const uint8_t pat[] = {0x00, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe0 | TS_PMT >> 8, 0x00};
  static const uint8_t pmt[] = {0x02, 0xb0, 18,   0,    1,    0xc1, 0,    0,   0xe1,
                                0x01, 0xf0, 0x00, 0x1b, 0xe1, 0x01, 0xf0, 0x00};
  add_section (self, 0, pat, sizeof pat);
  add_section (self, TS_PMT, pmt, sizeof pmt);
}

static const uint8_t unit[] = {0,    0,    0,    1,    0x09, 0xf0, 0,    0,    1, 0x67,
                               0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0, 0,
                               1,    0x68, 0xce, 0x3c, 0x80, 0,    0,    1};

/* The header of a PES packet (ISO/IEC 13818-1, 2.4.3.6), with the picture's PTS if there is one.
 * Returns its size. */
static size_t
put_pes (TsMaker *self, uint8_t *out)
{
  static const uint8_t pes[] = {0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0};
  memcpy (out, pes, sizeof pes);
  if (self->step == 0)
    return sizeof pes;
  uint64_t pts = (uint64_t)self->pts;
  self->pts += self->step;
  out[7] = 0x80;
  out[8] = 5;
  out[9] = (uint8_t)(0x21 | (pts >> 29 & 0x0e));
  out[10] = (uint8_t)(pts >> 22);
  out[11] = (uint8_t)(pts >> 14 | 1);
  out[12] = (uint8_t)(pts >> 7);
  out[13] = (uint8_t)(pts << 1 | 1);
  return sizeof pes + 5;
}

static void
fill (TsMaker *self, uint8_t *out, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    self->random = self->random * 1664525 + 1013904223;
    out[i] = (uint8_t)(0x80 | self->random >> 25); /* no start codes in it */
  }
}

size_t
ts_picture (TsMaker *self, bool key, unsigned packets)
{
  size_t begin = self->bytes->len;
  for (unsigned i = 0; i < packets; i++) {
    uint8_t payload[184];
    fill (self, payload, sizeof payload);
    if (i == 0) {
      size_t skip = key ? 0 : 6; /* without parameter sets: a delimiter and a slice */
      size_t n = put_pes (self, payload);
      memcpy (payload + n, unit, key ? sizeof unit : skip);
      uint8_t slice[] = {0, 0, 1, key ? 0x65 : 0x41, 0x88, 0x84};
      memcpy (payload + n + (key ? sizeof unit - 3 : skip), slice, sizeof slice);
    }
    add_packet (self, TS_VIDEO, i == 0, payload, sizeof payload);
  }
  return begin;
}

size_t
ts_picture_around_tables (TsMaker *self, unsigned packets)
{
  static const uint8_t slice[] = {0, 0, 1, 0x65, 0x88, 0x84};
  size_t begin = self->bytes->len;
  uint8_t payload[184];
  size_t n = put_pes (self, payload);
  memcpy (payload + n, unit, sizeof unit - 3);
  add_packet (self, TS_VIDEO, true, payload, n + sizeof unit - 3);
  ts_tables (self);
  for (unsigned i = 0; i < packets; i++) {
    fill (self, payload, sizeof payload);
    if (i == 0)
      memcpy (payload, slice, sizeof slice);
    add_packet (self, TS_VIDEO, false, payload, sizeof payload);
  }
  return begin;
}

static bool
is_marked (const uint8_t *packet)
{
  return (packet[3] & 0x20) && packet[4] > 0 && (packet[5] & 0x80);
}

unsigned
ts_marks (const uint8_t *bytes, size_t n)
{
  unsigned marks = 0;
  for (size_t at = 0; at + PACKET <= n; at += PACKET)
    marks += is_marked (bytes + at);
  return marks;
}

size_t
ts_discontinuity (const uint8_t *bytes, size_t n)
{
  uint8_t last[8192];
  memset (last, 0xff, sizeof last);
  for (size_t at = 0; at + PACKET <= n; at += PACKET) {
    unsigned pid = (bytes[at + 1] & 0x1fu) << 8 | bytes[at + 2];
    uint8_t counter = bytes[at + 3] & 15, control = bytes[at + 3] >> 4 & 3;
    uint8_t next = (uint8_t)(last[pid] + (control & 1)) & 15;
    if (bytes[at] != 0x47 || (last[pid] != 0xff && !is_marked (bytes + at) && counter != next))
      return at;
    last[pid] = counter;
  }
  return n;
}
