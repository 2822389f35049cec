/* SPDX-License-Identifier: Apache-2.0 */
/* Streams built packet by packet, for what real encoders do seldom. */
#include "peer/media/mpegts.h"

#include <string.h>

enum { PMT_PID = 0x100, VIDEO_PID = 0x101, AUDIO_PID = 0x102 };

/* An access unit: delimiter, parameter sets of 640x360, an IDR slice. */
static const uint8_t idr[] = {0x00, 0x00, 0x00, 0x01, 0x09, 0xF0, 0x00, 0x00, 0x01, 0x67, 0x42,
                              0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xBF, 0xE5, 0x00, 0x00, 0x01, 0x68,
                              0xCE, 0x3C, 0x80, 0x00, 0x00, 0x01, 0x65, 0x88, 0x84, 0x00};

typedef struct {
  GByteArray *bytes;
  uint8_t counters[8192];
} Maker;

static uint32_t
crc32_mpeg (const uint8_t *bytes, size_t n)
{
  uint32_t crc = 0xFFFFFFFF;

  for (size_t i = 0; i < n; i++)
    for (int bit = 7; bit >= 0; bit--)
      crc = crc << 1 ^ ((crc >> 31 ^ (bytes[i] >> bit & 1)) ? 0x04C11DB7 : 0);
  return crc;
}

static void
maker_init (Maker *self)
{
  memset (self, 0, sizeof *self);
  self->bytes = g_byte_array_new ();
}

static void
maker_clear (Maker *self)
{
  g_byte_array_unref (self->bytes);
}

/* One packet; what the payload leaves free becomes stuffing in the adaptation field. flags and pcr:
 * of the adaptation field; pcr -1 = none. */
static void
packet (Maker *self, unsigned pid, bool start, uint8_t flags, int64_t pcr, const uint8_t *payload,
        size_t n)
{
  uint8_t out[MEDIA_TS_PACKET];
  size_t at = 4, room = MEDIA_TS_PACKET - 4;

  g_assert_cmpuint (n, <=, room);
  memset (out, 0xFF, sizeof out);
  out[0] = 0x47;
  out[1] = (uint8_t)((start ? 0x40 : 0) | pid >> 8);
  out[2] = pid & 0xFF;
  out[3] = (uint8_t)((n > 0 ? 0x10 : 0) | self->counters[pid]);
  if (n > 0)
    self->counters[pid] = (self->counters[pid] + 1) & 15;
  if (n < room || flags != 0 || pcr >= 0) {
    out[3] |= 0x20;
    out[4] = (uint8_t)(room - 1 - n);
    if (out[4] > 0)
      out[5] = (uint8_t)(flags | (pcr >= 0 ? 0x10 : 0));
    if (pcr >= 0) {
      out[6] = (uint8_t)(pcr >> 25);
      out[7] = (uint8_t)(pcr >> 17);
      out[8] = (uint8_t)(pcr >> 9);
      out[9] = (uint8_t)(pcr >> 1);
      out[10] = (uint8_t)((pcr & 1) << 7 | 0x7E);
      out[11] = 0;
    }
    at = MEDIA_TS_PACKET - n;
  }
  if (n > 0)
    memcpy (out + at, payload, n);
  g_byte_array_append (self->bytes, out, sizeof out);
}

/* body: behind the length, without CRC. */
static void
section (Maker *self, unsigned pid, uint8_t table, const uint8_t *body, size_t n, bool damaged)
{
  uint8_t bytes[1 + 1100] = {0}, *whole = bytes + 1;
  uint32_t crc;
  size_t total = 3 + n + 4;

  whole[0] = table;
  whole[1] = (uint8_t)(0xB0 | (n + 4) >> 8);
  whole[2] = (uint8_t)(n + 4);
  memcpy (whole + 3, body, n);
  crc = crc32_mpeg (whole, 3 + n) ^ (damaged ? 1 : 0);
  for (int i = 0; i < 4; i++)
    whole[3 + n + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
  for (size_t at = 0; at < total + 1; at += MEDIA_TS_PACKET - 4) {
    uint8_t payload[MEDIA_TS_PACKET - 4];
    size_t part = MIN (sizeof payload, total + 1 - at);

    memset (payload, 0xFF, sizeof payload);
    memcpy (payload, bytes + at, part);
    packet (self, pid, at == 0, 0, -1, payload, sizeof payload);
  }
}

static void
pat (Maker *self, uint8_t version)
{
  uint8_t body[] = {
      0, 1, (uint8_t)(0xC1 | version << 1), 0, 0, 0, 1, 0xE0 | PMT_PID >> 8, PMT_PID & 0xFF};

  section (self, 0, 0, body, sizeof body, false);
}

/* padding: bytes of a descriptor of the programme, to make the table long. */
static void
pmt (Maker *self, uint8_t version, uint8_t video, size_t padding, bool damaged)
{
  uint8_t body[1017] = {
      0, 1, (uint8_t)(0xC1 | version << 1), 0, 0, 0xE0 | VIDEO_PID >> 8, VIDEO_PID & 0xFF};
  size_t at = 9;

  body[7] = (uint8_t)(0xF0 | padding >> 8);
  body[8] = (uint8_t)padding;
  for (size_t left = padding; left > 0;) {
    size_t part = MIN (left, 200);

    body[at] = 0xFE;
    body[at + 1] = (uint8_t)(part - 2);
    at += part;
    left -= part;
  }
  if (video != 0) {
    const uint8_t entry[] = {video, 0xE0 | VIDEO_PID >> 8, VIDEO_PID & 0xFF, 0xF0, 0};

    memcpy (body + at, entry, 5);
    at += 5;
  }
  const uint8_t audio[] = {0x0F, 0xE0 | AUDIO_PID >> 8, AUDIO_PID & 0xFF, 0xF0, 0};
  memcpy (body + at, audio, 5);
  section (self, PMT_PID, 2, body, at + 5, damaged);
}

/* A PES header with a PTS, and what follows it. */
static GByteArray *
pes (uint64_t pts, const uint8_t *bytes, size_t n)
{
  uint8_t header[14] = {0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5};
  GByteArray *out = g_byte_array_new ();

  header[9] = (uint8_t)(0x21 | (pts >> 29 & 0x0E));
  header[10] = (uint8_t)(pts >> 22);
  header[11] = (uint8_t)(pts >> 14 | 1);
  header[12] = (uint8_t)(pts >> 7);
  header[13] = (uint8_t)(pts << 1 | 1);
  g_byte_array_append (out, header, sizeof header);
  g_byte_array_append (out, bytes, (guint)n);
  return out;
}

/* Feeds all; returns the number of pictures and what was said of the last one, with at: the packet
 * in which it began. */
static unsigned
feed (MediaTs *ts, Maker *maker, MediaTsPacket *last, size_t *at)
{
  unsigned n = 0;

  *last = (MediaTsPacket){0};
  *at = SIZE_MAX; /* of none */
  for (size_t i = 0; i < maker->bytes->len / MEDIA_TS_PACKET; i++) {
    MediaTsPacket told;
    unsigned behind;

    g_assert_true (media_ts_feed (ts, maker->bytes->data + i * MEDIA_TS_PACKET, &told, &behind));
    if (!told.starts_picture)
      continue;
    n++;
    *last = told;
    *at = i - behind;
  }
  return n;
}

static void
feed_all (MediaTs *ts, Maker *maker)
{
  MediaTsPacket last;
  size_t at;

  feed (ts, maker, &last, &at);
  g_byte_array_set_size (maker->bytes, 0);
}

static void
test_no_packets (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  uint8_t bytes[MEDIA_TS_PACKET];
  MediaTsPacket told;
  unsigned behind;

  media_ts_null_packet (bytes);
  g_assert_true (media_ts_feed (ts, bytes, &told, &behind));
  bytes[0] = 0x46;
  g_assert_false (media_ts_feed (ts, bytes, &told, &behind));
  media_ts_null_packet (bytes);
  bytes[1] |= 0x80; /* transport error */
  g_assert_false (media_ts_feed (ts, bytes, &told, &behind));
  media_ts_null_packet (bytes);
  bytes[3] &= 0x0F; /* reserved adaptation control */
  g_assert_false (media_ts_feed (ts, bytes, &told, &behind));
  media_ts_null_packet (bytes);
  bytes[1] = 0;
  bytes[3] = 0x30;
  bytes[4] = 184; /* an adaptation field that is longer than the packet */
  g_assert_false (media_ts_feed (ts, bytes, &told, &behind));
  bytes[4] = 3;
  bytes[5] = 0x10; /* a PCR that is longer than its field */
  g_assert_false (media_ts_feed (ts, bytes, &told, &behind));
  g_assert_cmpuint (media_ts_bad_packets (ts), ==, 5);
}

static void
test_tables (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  uint8_t out[16 * MEDIA_TS_PACKET];
  Maker maker;

  maker_init (&maker);
  g_assert_cmpuint (media_ts_write_tables (ts, out, sizeof out), ==, 0);
  pmt (&maker, 0, 0x1B, 0, false); /* nobody knows yet what this PID is */
  pat (&maker, 0);
  feed_all (ts, &maker);
  g_assert_false (media_ts_has_tables (ts));
  pmt (&maker, 0, 0x1B, 0, true);
  feed_all (ts, &maker);
  g_assert_false (media_ts_has_tables (ts));
  pmt (&maker, 0, 0x1B, 0, false);
  feed_all (ts, &maker);
  g_assert_true (media_ts_has_tables (ts));
  g_assert_cmpuint (media_ts_info (ts)->pmt_pid, ==, PMT_PID);
  g_assert_cmpuint (media_ts_info (ts)->video_pid, ==, VIDEO_PID);
  g_assert_cmpuint (media_ts_info (ts)->audio_pid, ==, AUDIO_PID);
  g_assert_cmpuint (media_ts_info (ts)->pcr_pid, ==, VIDEO_PID);
  g_assert_cmpint (media_ts_info (ts)->video, ==, MEDIA_CODEC_H264);
  g_assert_cmpuint (media_ts_write_tables (ts, out, 2 * MEDIA_TS_PACKET - 1), ==, 0);
  g_assert_cmpuint (media_ts_write_tables (ts, out, sizeof out), ==, 2 * MEDIA_TS_PACKET);
  maker_clear (&maker);
}

/* A PMT over six packets goes in, and comes out so that it and the stream behind it are continuous:
 * a second parser, which drops a section at a gap, takes it, and the next one as well. */
static void
test_long_tables (void)
{
  g_autoptr (MediaTs) ts = media_ts_new (), second = media_ts_new ();
  uint8_t out[16 * MEDIA_TS_PACKET];
  Maker maker;
  size_t n;

  maker_init (&maker);
  for (unsigned i = 0; i < 5; i++) {
    pat (&maker, 0);
    pmt (&maker, 0, 0x24, 990, false);
  }
  g_assert_cmpuint (maker.bytes->len, ==, 5 * 7 * MEDIA_TS_PACKET);
  feed_all (ts, &maker);
  n = media_ts_write_tables (ts, out, sizeof out);
  g_assert_cmpuint (n, ==, 7 * MEDIA_TS_PACKET);
  g_byte_array_append (maker.bytes, out, (guint)n);
  feed_all (second, &maker);
  g_assert_cmpmem (media_ts_info (ts), sizeof (MediaStreamInfo), media_ts_info (second),
                   sizeof (MediaStreamInfo));
  g_assert_cmpuint (out[3] & 15, ==, (maker.counters[0] - 1) & 15);
  g_assert_cmpuint (out[6 * MEDIA_TS_PACKET + 3] & 15, ==, (maker.counters[PMT_PID] - 1) & 15);
  g_assert_cmpuint (out[MEDIA_TS_PACKET + 3] & 15, ==, (maker.counters[PMT_PID] - 6) & 15);
  /* from here on the table's second half would be dropped if the counters had a gap */
  pmt (&maker, 1, 0x1B, 990, false);
  feed_all (second, &maker);
  g_assert_cmpint (media_ts_info (second)->video, ==, MEDIA_CODEC_H264);
  maker_clear (&maker);
}

static void
test_lost_part (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  Maker maker;

  maker_init (&maker);
  pat (&maker, 0);
  pmt (&maker, 0, 0x1B, 600, false);
  g_byte_array_remove_range (maker.bytes, 2 * MEDIA_TS_PACKET, MEDIA_TS_PACKET);
  feed_all (ts, &maker);
  g_assert_false (media_ts_has_tables (ts));
  pmt (&maker, 0, 0x1B, 600, false);
  feed_all (ts, &maker);
  g_assert_true (media_ts_has_tables (ts));
  maker_clear (&maker);
}

static void
test_change (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  MediaTsPacket told;
  unsigned behind, n = 0;
  Maker maker;

  maker_init (&maker);
  pat (&maker, 0);
  pmt (&maker, 0, 0x1B, 0, false);
  feed_all (ts, &maker);
  pat (&maker, 0);
  pmt (&maker, 0, 0x1B, 0, false); /* the same again: no change */
  pmt (&maker, 1, 0x02, 0, false);
  for (size_t i = 0; i < 3; i++) {
    g_assert_true (media_ts_feed (ts, maker.bytes->data + i * MEDIA_TS_PACKET, &told, &behind));
    g_assert_true (told.tables);
    n += told.discontinuity;
    g_assert_cmpint (told.discontinuity, ==, i == 2);
  }
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpint (media_ts_info (ts)->video, ==, MEDIA_CODEC_MPEG2_VIDEO);
  maker_clear (&maker);
}

static void
begin (MediaTs *ts, Maker *maker)
{
  maker_init (maker);
  pat (maker, 0);
  pmt (maker, 0, 0x1B, 0, false);
  feed_all (ts, maker);
}

/* The access unit cut in two at each place: told once, with the packet in which it began. */
static void
test_cut_anywhere (void)
{
  for (size_t cut = 1; cut < 14 + sizeof idr; cut++) {
    g_autoptr (MediaTs) ts = media_ts_new ();
    g_autoptr (GByteArray) unit = pes (90000, idr, sizeof idr);
    MediaTsPacket last;
    size_t at;
    Maker maker;

    begin (ts, &maker);
    packet (&maker, VIDEO_PID, true, 0, -1, unit->data, cut);
    packet (&maker, AUDIO_PID, false, 0, -1, unit->data, 1);
    packet (&maker, VIDEO_PID, false, 0, -1, unit->data + cut, unit->len - cut);
    packet (&maker, VIDEO_PID, false, 0, -1, idr, sizeof idr); /* not at a PES packet's begin */
    g_assert_cmpuint (feed (ts, &maker, &last, &at), ==, 1);
    g_assert_cmpuint (at, ==, 0);
    g_assert_cmpint (last.pts, ==, 1000000);
    g_assert_cmpuint (media_ts_info (ts)->width, ==, 640);
    g_assert_cmpuint (media_ts_info (ts)->height, ==, 360);
    maker_clear (&maker);
  }
}

static void
test_no_headers (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  g_autoptr (GByteArray) bare = pes (0, idr + 25, sizeof idr - 25);
  MediaTsPacket last;
  size_t at;
  Maker maker;

  begin (ts, &maker);
  packet (&maker, VIDEO_PID, true, 0x40, -1, bare->data, bare->len);
  g_assert_cmpuint (feed (ts, &maker, &last, &at), ==, 0);
  maker_clear (&maker);
}

/* An I picture with parameter sets and without recovery point is one only if the transport says so;
 * a P picture is none even then. */
static void
test_hint (void)
{
  const struct {
    uint8_t slice, flags;
    unsigned expected;
  } rows[] = {{0x88, 0x40, 1}, {0x88, 0, 0}, {0x9A, 0x40, 0}, {0x9A, 0, 0}};

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (MediaTs) ts = media_ts_new ();
    uint8_t bytes[64];
    g_autoptr (GByteArray) unit = NULL;
    MediaTsPacket last;
    size_t at;
    Maker maker;

    memset (bytes, 0x55, sizeof bytes);
    memcpy (bytes, idr, sizeof idr);
    bytes[28] = 0x41;
    bytes[29] = rows[i].slice;
    unit = pes (0, bytes, sizeof bytes);
    begin (ts, &maker);
    packet (&maker, VIDEO_PID, true, rows[i].flags, -1, unit->data, unit->len);
    g_assert_cmpuint (feed (ts, &maker, &last, &at), ==, rows[i].expected);
    maker_clear (&maker);
  }
}

/* Scrambled: nothing can be scanned, so the indicator is all there is. */
static void
test_scrambled (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  g_autoptr (GByteArray) unit = pes (0, idr, sizeof idr);
  MediaTsPacket last;
  size_t at;
  Maker maker;

  begin (ts, &maker);
  packet (&maker, VIDEO_PID, true, 0x40, -1, unit->data, unit->len);
  packet (&maker, VIDEO_PID, true, 0, -1, unit->data, unit->len);
  maker.bytes->data[3] |= 0x80;
  maker.bytes->data[MEDIA_TS_PACKET + 3] |= 0x80;
  g_assert_cmpuint (feed (ts, &maker, &last, &at), ==, 1);
  g_assert_cmpuint (at, ==, 0);
  maker_clear (&maker);
}

/* SEI with long messages in front of the recovery point, and one that only looks like it. */
static void
test_recovery_point (void)
{
  for (unsigned recovery = 0; recovery < 2; recovery++) {
    g_autoptr (MediaTs) ts = media_ts_new ();
    g_autoptr (GByteArray) bytes = g_byte_array_new (), unit = NULL;
    uint8_t sei[2 + 2 + 300 + 4] = {0x06, 5, 255, 45};
    const uint8_t slice[] = {0, 0, 1, 0x41, 0x9A, 0x55, 0x55};
    MediaTsPacket last;
    size_t at, first = 0;
    Maker maker;

    memset (sei + 4, 6, 300); /* bytes that would be recovery points if they were messages */
    sei[304] = recovery ? 6 : 7;
    sei[305] = 1;
    sei[306] = 0xC0;
    sei[307] = 0x80;
    g_byte_array_append (bytes, idr, 25);
    g_byte_array_append (bytes, (const uint8_t[]){0, 0, 1}, 3);
    g_byte_array_append (bytes, sei, sizeof sei);
    g_byte_array_append (bytes, slice, sizeof slice);
    unit = pes (0, bytes->data, bytes->len);
    begin (ts, &maker);
    for (; first < unit->len; first += 100)
      packet (&maker, VIDEO_PID, first == 0, 0, -1, unit->data + first,
              MIN (100, unit->len - first));
    g_assert_cmpuint (feed (ts, &maker, &last, &at), ==, recovery);
    maker_clear (&maker);
  }
}

static void
test_far_behind (void)
{
  for (unsigned far = 0; far < 2; far++) {
    g_autoptr (MediaTs) ts = media_ts_new ();
    g_autoptr (GByteArray) unit = pes (0, idr, sizeof idr);
    MediaTsPacket last;
    size_t at;
    Maker maker;

    begin (ts, &maker);
    packet (&maker, VIDEO_PID, true, 0, -1, unit->data, 20);
    for (unsigned i = 0; i < MEDIA_TS_BEHIND_MAX - 1 + far; i++)
      packet (&maker, AUDIO_PID, false, 0, -1, unit->data, 1);
    packet (&maker, VIDEO_PID, false, 0, -1, unit->data + 20, unit->len - 20);
    g_assert_cmpuint (feed (ts, &maker, &last, &at), ==, far ? 0 : 1);
    maker_clear (&maker);
  }
}

/* Tables that came between a picture's begin and its telling are not counted in front of it. */
static void
test_picture_tables (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  g_autoptr (GByteArray) unit = pes (0, idr, sizeof idr);
  uint8_t out[4 * MEDIA_TS_PACKET];
  MediaTsPacket last;
  uint8_t before;
  size_t at;
  Maker maker;

  begin (ts, &maker);
  before = maker.counters[0];
  packet (&maker, VIDEO_PID, true, 0, -1, unit->data, 20);
  pat (&maker, 0);
  packet (&maker, VIDEO_PID, false, 0, -1, unit->data + 20, unit->len - 20);
  pat (&maker, 0);
  g_assert_cmpuint (feed (ts, &maker, &last, &at), ==, 1);
  g_assert_cmpuint (media_ts_write_picture_tables (ts, out, sizeof out), ==, 2 * MEDIA_TS_PACKET);
  g_assert_cmpuint (out[3] & 15, ==, (before - 1) & 15);
  g_assert_cmpuint (media_ts_write_tables (ts, out, sizeof out), ==, 2 * MEDIA_TS_PACKET);
  g_assert_cmpuint (out[3] & 15, ==, (before + 1) & 15);
  maker_clear (&maker);
}

static void
test_clock (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  const int64_t wrap = (int64_t)1 << 33;
  const struct {
    int64_t pcr, expected; /* 90 kHz */
  } rows[] = {{wrap - 90000, wrap - 90000},
              {wrap - 1, wrap - 1},
              {89999, wrap + 89999},
              {wrap - 90000, wrap - 90000},
              {45000, wrap + 45000}};
  Maker maker;

  begin (ts, &maker);
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    /* 45000 ticks later: the time of a picture follows the clock over the wrap */
    g_autoptr (GByteArray) unit =
        pes ((uint64_t)(rows[i].expected + 45000) & (uint64_t)(wrap - 1), idr, sizeof idr);
    MediaTsPacket told;
    unsigned behind;

    packet (&maker, VIDEO_PID, true, 0, rows[i].pcr, unit->data, unit->len);
    g_assert_true (media_ts_feed (ts, maker.bytes->data + i * MEDIA_TS_PACKET, &told, &behind));
    g_assert_cmpint (told.pcr, ==, rows[i].expected * 100 / 9);
    g_assert_cmpint (told.pts, ==, (rows[i].expected + 45000) * 100 / 9);
  }
  maker_clear (&maker);
}

/* A stream whose clock jumps for ever: no overflow (this test has its teeth under UBSan). */
static void
test_clock_for_ever (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  Maker maker;

  begin (ts, &maker);
  for (int64_t i = 0; i < 300000; i++) {
    MediaTsPacket told;
    unsigned behind;

    g_byte_array_set_size (maker.bytes, 0);
    packet (&maker, VIDEO_PID, false, 0, i * 0xFFFFFFFF % ((int64_t)1 << 33), idr, 1);
    g_assert_true (media_ts_feed (ts, maker.bytes->data, &told, &behind));
    g_assert_cmpint (told.pcr, <, (int64_t)1 << 55);
  }
  maker_clear (&maker);
}

/* A counter that happens to be the one before would hide the first packet of a new encoder. */
static void
test_discontinuity (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  g_autoptr (GByteArray) unit = pes (0, idr, sizeof idr);
  MediaTsPacket last;
  size_t at;
  Maker maker;

  begin (ts, &maker);
  packet (&maker, VIDEO_PID, true, 0, -1, unit->data, unit->len);
  maker.counters[VIDEO_PID] = 0;
  packet (&maker, VIDEO_PID, true, 0, -1, unit->data, unit->len); /* twice the same: one picture */
  packet (&maker, VIDEO_PID, false, 0x80, -1, NULL, 0);
  maker.counters[VIDEO_PID] = 0;
  packet (&maker, VIDEO_PID, true, 0, -1, unit->data, unit->len);
  g_assert_cmpuint (feed (ts, &maker, &last, &at), ==, 2);
  g_assert_cmpuint (at, ==, 3);
  maker_clear (&maker);
}

static void
test_audio_only (void)
{
  g_autoptr (MediaTs) ts = media_ts_new ();
  const uint8_t adts[] = {0xFF, 0xF1, 0x4C, 0x80, 0x10, 0x1F, 0xFC};
  g_autoptr (GByteArray) unit = pes (9000, adts, sizeof adts);
  MediaTsPacket last;
  size_t at;
  Maker maker;

  maker_init (&maker);
  pat (&maker, 0);
  pmt (&maker, 0, 0, 0, false);
  packet (&maker, AUDIO_PID, true, 0, -1, unit->data, unit->len);
  packet (&maker, AUDIO_PID, false, 0, -1, adts, sizeof adts);
  packet (&maker, AUDIO_PID, true, 0, -1, unit->data, unit->len);
  g_assert_cmpuint (feed (ts, &maker, &last, &at), ==, 2);
  g_assert_cmpint (last.pts, ==, 100000);
  g_assert_cmpuint (media_ts_info (ts)->audio_rate, ==, 48000);
  g_assert_cmpuint (media_ts_info (ts)->audio_channels, ==, 2);
  maker_clear (&maker);
}

static void
test_sync (void)
{
  uint8_t bytes[5 * MEDIA_TS_PACKET];

  memset (bytes, 0x47, 10); /* looks like packets, but none follows */
  memset (bytes + 10, 0, sizeof bytes - 10);
  g_assert_cmpint (media_ts_sync (bytes, sizeof bytes), ==, -1);
  for (unsigned i = 0; i < 3; i++)
    media_ts_null_packet (bytes + 100 + i * MEDIA_TS_PACKET);
  g_assert_cmpint (media_ts_sync (bytes, sizeof bytes), ==, 100);
  g_assert_cmpint (media_ts_sync (bytes + 100, MEDIA_TS_PACKET + 1), ==, 0);
  g_assert_cmpint (media_ts_sync (bytes + 100, MEDIA_TS_PACKET), ==, -1);
  g_assert_cmpint (media_ts_sync (bytes, 0), ==, -1);
}

/* Each single byte of a good stream set to each value, then the good stream again: never a crash,
 * and the good stream always wins. */
static void
test_mutation (void)
{
  g_autoptr (GByteArray) unit = pes (90000, idr, sizeof idr);
  Maker good;
  size_t n;

  maker_init (&good);
  pat (&good, 0);
  pmt (&good, 0, 0x1B, 0, false);
  packet (&good, VIDEO_PID, true, 0x40, 1000, unit->data, unit->len);
  n = good.bytes->len;
  for (size_t at = 0; at < n; at++)
    for (unsigned value = 0; value < 256; value += at % MEDIA_TS_PACKET < 64 ? 1 : 15) {
      g_autoptr (MediaTs) ts = media_ts_new ();
      uint8_t before = good.bytes->data[at];
      MediaTsPacket told;
      unsigned behind;

      good.bytes->data[at] = (uint8_t)value;
      for (size_t i = 0; i < n; i += MEDIA_TS_PACKET)
        media_ts_feed (ts, good.bytes->data + i, &told, &behind);
      good.bytes->data[at] = before;
      for (unsigned counter = 0; counter < 2; counter++) /* the first may seem to be the same */
        for (size_t i = 0; i < n; i += MEDIA_TS_PACKET) {
          good.bytes->data[i + 3] = (uint8_t)((good.bytes->data[i + 3] & 0xF0) | (7 + counter));
          media_ts_feed (ts, good.bytes->data + i, &told, &behind);
          good.bytes->data[i + 3] &= 0xF0;
        }
      g_assert_true (told.starts_picture);
      g_assert_cmpuint (media_ts_info (ts)->width, ==, 640);
    }
  maker_clear (&good);
}

static void
test_names (void)
{
  MediaStreamInfo info = {.audio = MEDIA_CODEC_MPEG_AUDIO};
  g_assert_cmpstr (media_audio_name (&info), ==, "mp2");
  info.audio_layer = 3;
  g_assert_cmpstr (media_audio_name (&info), ==, "mp3");
  info.audio_layer = 1;
  g_assert_cmpstr (media_audio_name (&info), ==, "mp1");
  info.audio = MEDIA_CODEC_AAC;
  g_assert_cmpstr (media_audio_name (&info), ==, "aac");
  info.audio = MEDIA_CODEC_NONE;
  g_assert_null (media_audio_name (&info));
  g_assert_cmpstr (media_codec_name (MEDIA_CODEC_H264), ==, "h264");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/media/mpegts/what-is-no-packet-is-refused", test_no_packets);
  g_test_add_func ("/media/mpegts/tables-need-both-and-their-crc", test_tables);
  g_test_add_func ("/media/mpegts/long-tables-are-continuous", test_long_tables);
  g_test_add_func ("/media/mpegts/lost-part-drops-the-section", test_lost_part);
  g_test_add_func ("/media/mpegts/change-of-tables-is-told-once", test_change);
  g_test_add_func ("/media/mpegts/picture-cut-anywhere-is-told-once", test_cut_anywhere);
  g_test_add_func ("/media/mpegts/picture-without-headers-is-no-start", test_no_headers);
  g_test_add_func ("/media/mpegts/hint-counts-for-intra-pictures", test_hint);
  g_test_add_func ("/media/mpegts/scrambled-goes-by-the-hint", test_scrambled);
  g_test_add_func ("/media/mpegts/recovery-point-behind-long-messages", test_recovery_point);
  g_test_add_func ("/media/mpegts/behind-is-bounded", test_far_behind);
  g_test_add_func ("/media/mpegts/picture-tables-are-of-its-begin", test_picture_tables);
  g_test_add_func ("/media/mpegts/clock-is-unwrapped", test_clock);
  g_test_add_func ("/media/mpegts/clock-never-overflows", test_clock_for_ever);
  g_test_add_func ("/media/mpegts/discontinuity-forgets-counters", test_discontinuity);
  g_test_add_func ("/media/mpegts/audio-only-starts-at-each-unit", test_audio_only);
  g_test_add_func ("/media/mpegts/sync-needs-two-in-a-row", test_sync);
  g_test_add_func ("/media/mpegts/mutations-pass", test_mutation);
  g_test_add_func ("/media/stream/audio-is-named-by-its-layer", test_names);
  return g_test_run ();
}
