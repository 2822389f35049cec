/* SPDX-License-Identifier: Apache-2.0 */
/* A channel as HLS segments (RFC 8216): where they begin and end, and what the playlist says. */
#include "proxy/segments.h"
#include "tests/lib/wait.h"
#include "tests/proxy/scratch.h"
#include "tests/proxy/ts.h"
#include <string.h>

enum { CHUNK = 1128, GOP = 25 /* pictures, one second */ };

#define WALL INT64_C (1700000000250000) /* us: 2023-11-14T22:13:20.250Z */

typedef struct {
  TsMaker maker;
  ProxyRing *ring;
  PeerStore *store;
  ProxySegments *segments;
  uint64_t next; /* chunk */
  GArray *keys;  /* size_t: where each GOP began */
} World;

static void
world_init (World *self, size_t memory)
{
  *self = (World){.keys = g_array_new (FALSE, FALSE, sizeof (size_t))};
  ts_maker_init (&self->maker);
  self->maker.step = 3600;
  self->maker.pts = 900000;
  self->ring = proxy_ring_new (CHUNK, memory, true);
  self->store = proxy_ring_store (self->ring);
  self->segments = proxy_segments_new (self->ring, 1000, NULL);
}

static void
world_clear (World *self)
{
  proxy_segments_free (self->segments);
  peer_store_free (self->store);
  proxy_ring_unref (self->ring);
  ts_maker_clear (&self->maker);
  g_array_unref (self->keys);
}

/* Delivers all whole chunks that the maker has. */
static void
flow (World *self)
{
  PeerRange run = {self->next, self->maker.bytes->len / CHUNK};
  for (uint64_t chunk = run.first; chunk < run.end; chunk++)
    g_assert_cmpint (self->store->class->write (self->store, chunk,
                                                self->maker.bytes->data + chunk * CHUNK, CHUNK),
                     ==, PEER_STORE_OK);
  proxy_ring_deliver (self->ring, run);
  self->next = run.end;
  proxy_segments_update (self->segments, WALL);
}

static void
make_gops (World *self, unsigned n)
{
  while (n-- > 0) {
    ts_tables (&self->maker);
    size_t begin = ts_picture (&self->maker, true, 20);
    g_array_append_val (self->keys, begin);
    for (unsigned i = 1; i < GOP; i++)
      ts_picture (&self->maker, false, 4);
  }
  flow (self);
}

static GByteArray *
read_segment (World *self, uint64_t number)
{
  g_auto (ProxySegmentReader) reader;
  proxy_segment_reader_init (&reader, number);
  ProxySegmentResult result;
  int64_t end = 0;
  while ((result = proxy_segments_read (self->segments, &reader)) == PROXY_SEGMENT_WAITS)
    g_assert_true (wait_turn (&end));
  if (result == PROXY_SEGMENT_GONE)
    return NULL;
  GByteArray *out = g_byte_array_new ();
  for (guint i = 0; i < reader.pieces->len; i++)
    g_byte_array_append (out, g_bytes_get_data (reader.pieces->pdata[i], NULL),
                         (guint)g_bytes_get_size (reader.pieces->pdata[i]));
  return out;
}

/* Tables in front, then the stream from one place to another, without a packet out of order. */
static void
assert_segment (World *self, uint64_t number, size_t begin, size_t end)
{
  g_autoptr (GByteArray) out = read_segment (self, number);
  g_assert_nonnull (out);
  g_assert_cmpuint (out->len, ==, 2 * 188 + end - begin);
  g_assert_cmpmem (out->data + 2 * 188, end - begin, self->maker.bytes->data + begin, end - begin);
  g_assert_cmpuint (ts_discontinuity (out->data, out->len), ==, out->len);
}

static size_t
key (const World *self, guint i)
{
  return g_array_index (self->keys, size_t, i);
}

static void
test_cut_at_key_frames (void)
{
  World world;
  world_init (&world, 8 << 20);
  make_gops (&world, 7);
  g_assert_cmpuint (proxy_segments_count (world.segments), ==, 3);
  for (guint i = 0; i < 3; i++)
    assert_segment (&world, 1000 + i, key (&world, 2 * i), key (&world, 2 * i + 2));
  g_assert_null (read_segment (&world, 999));
  g_assert_null (read_segment (&world, 1003)); /* not whole yet */
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  g_assert_cmpstr (list->str, ==,
                   "#EXTM3U\n#EXT-X-VERSION:3\n"
                   "#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1000\n"
                   "#EXT-X-DISCONTINUITY-SEQUENCE:0\n"
                   "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.250Z\n"
                   "#EXTINF:2.000,\none/1000.ts\n#EXTINF:2.000,\none/1001.ts\n"
                   "#EXTINF:2.000,\none/1002.ts\n");
  world_clear (&world);
}

/* What the players already know goes on to be there while the list moves on. */
static void
test_window_slides (void)
{
  World world;
  world_init (&world, 8 << 20);
  make_gops (&world, 19); /* nine segments, of which the oldest third is named to nobody new */
  g_autoptr (GString) few = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (few->str, "#EXT-X-MEDIA-SEQUENCE:1003\n"));
  make_gops (&world, 42);
  guint n = proxy_segments_count (world.segments);
  g_assert_cmpuint (n, ==, 30);
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (list->str, "#EXT-X-MEDIA-SEQUENCE:1020\n"));
  g_assert_null (strstr (list->str, "one/1019.ts"));
  g_assert_nonnull (strstr (list->str, "one/1029.ts"));
  assert_segment (&world, 1000, key (&world, 0), key (&world, 2));
  world_clear (&world);
}

/* However large the ring is. */
static void
test_no_more_than_a_number (void)
{
  World world;
  world_init (&world, 64 << 20);
  make_gops (&world, 201);
  guint n = proxy_segments_count (world.segments);
  g_assert_cmpuint (n, >=, 60);
  g_assert_cmpuint (n, <=, 64);
  g_assert_null (read_segment (&world, 1000));
  assert_segment (&world, 1099, key (&world, 198), key (&world, 200));
  world_clear (&world);
}

static void
test_what_left_the_ring_is_gone (void)
{
  World world;
  world_init (&world, 1 << 19);
  for (unsigned i = 0; i < 40; i++)
    make_gops (&world, 1);
  guint n = proxy_segments_count (world.segments);
  g_assert_cmpuint (n, >, 3);
  g_assert_cmpuint (n, <, 19);
  g_assert_null (read_segment (&world, 1000));
  assert_segment (&world, 1018, key (&world, 36), key (&world, 38));
  g_auto (ProxySegmentReader) held;
  proxy_segment_reader_init (&held, 1018);
  g_assert_cmpint (proxy_segments_read (world.segments, &held), ==, PROXY_SEGMENT_WHOLE);
  for (unsigned i = 0; i < 40; i++)
    make_gops (&world, 1);
  g_assert_null (read_segment (&world, 1018));
  /* who is fetching it meanwhile gets the same bytes */
  const uint8_t *bytes = g_bytes_get_data (held.pieces->pdata[1], NULL);
  g_assert_cmpmem (bytes, 188, world.maker.bytes->data + key (&world, 36), 188);
  world_clear (&world);
}

/* A second, and time for the disk. */
static void
pass (World *self)
{
  int64_t end = 0;
  ProxyRingStats stats;
  make_gops (self, 1);
  for (proxy_ring_stats (self->ring, &stats); stats.unwritten > 2 << 20;
       proxy_ring_stats (self->ring, &stats))
    g_assert_true (wait_turn (&end));
}

static uint64_t
first_listed (World *self, unsigned *n)
{
  g_autoptr (GString) list = proxy_segments_playlist (self->segments, "one");
  const char *sequence = strstr (list->str, "#EXT-X-MEDIA-SEQUENCE:");
  g_assert_nonnull (sequence);
  g_assert_nonnull (strstr (list->str, "#EXT-X-PROGRAM-DATE-TIME:"));
  *n = 0;
  for (const char *at = list->str; (at = strstr (at, "#EXTINF:")); at++)
    ++*n;
  return g_ascii_strtoull (strchr (sequence, ':') + 1, NULL, 10);
}

/* The list is as long as half of what is kept, and what was in it stays for as long again (6.2.2). */
static void
test_time_shift (void)
{
  World world;
  unsigned n, now;
  g_autofree char *folder = scratch_new ();
  world_init (&world, 1 << 19);
  proxy_ring_shift (world.ring, folder, 6 << 20);
  for (unsigned i = 0; i < 41; i++)
    pass (&world);
  g_assert_cmpuint (first_listed (&world, &n), ==, 1000 + 20 - n);
  g_assert_cmpuint (n, ==, 8); /* 20 are whole */
  for (unsigned i = 0; i < 500; i++)
    pass (&world);
  uint64_t first = first_listed (&world, &n), kept = proxy_segments_count (world.segments);
  g_assert_cmpuint (kept, >, 100);
  g_assert_cmpuint (n, ==, (kept - 4) / 2);
  g_assert_cmpuint (first, ==, 1000 + 270 - n);
  g_assert_null (read_segment (&world, 1000));
  for (uint64_t number = first - n; number < first + n; number += 7)
    assert_segment (&world, number, key (&world, 2 * (guint)(number - 1000)),
                    key (&world, 2 * (guint)(number - 1000) + 2));
  for (unsigned i = 0; i < 2 * n + 2; i++)
    pass (&world);
  g_assert_cmpuint (first_listed (&world, &now), >, first);
  assert_segment (&world, first, key (&world, 2 * (guint)(first - 1000)),
                  key (&world, 2 * (guint)(first - 1000) + 2));
  world_clear (&world);
  scratch_free (g_steal_pointer (&folder));
}

/* A run that breaks off ends its segment with its last byte; the next says so. */
static void
test_gap_is_a_discontinuity (void)
{
  World world;
  world_init (&world, 8 << 20);
  make_gops (&world, 3);
  size_t end = world.next * CHUNK;
  ts_tables (&world.maker);
  for (unsigned i = 0; i < 50; i++)
    ts_picture (&world.maker, false, 10);
  world.next = world.maker.bytes->len / CHUNK; /* never delivered */
  make_gops (&world, 3);
  g_assert_cmpuint (proxy_segments_count (world.segments), ==, 3);
  assert_segment (&world, 1001, key (&world, 2), end);
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (list->str, "one/1001.ts\n#EXT-X-DISCONTINUITY\n"
                                       "#EXT-X-PROGRAM-DATE-TIME:"));
  assert_segment (&world, 1002, key (&world, 3), key (&world, 5));
  world_clear (&world);
}

/* The encoder began anew: the bytes go on, the clock does not. */
static void
test_clock_that_jumps_is_a_discontinuity (void)
{
  World world;
  world_init (&world, 8 << 20);
  make_gops (&world, 3);
  world.maker.pts = 5000;
  make_gops (&world, 40);
  assert_segment (&world, 1001, key (&world, 2), key (&world, 3));
  assert_segment (&world, 1002, key (&world, 3), key (&world, 5));
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (list->str, "#EXT-X-DISCONTINUITY-SEQUENCE:1\n")); /* behind the list */
  g_assert_null (strstr (list->str, "#EXT-X-DISCONTINUITY\n"));
  world_clear (&world);
}

/* A segment that is asked for as soon as it is there: of the chunk in which it ends the packets
 * behind belong to the next, also while the last of them is not whole. */
static void
test_ends_inside_a_chunk (void)
{
  World world;
  world_init (&world, 8 << 20);
  static const uint8_t torn[100] = {0};
  g_byte_array_append (world.maker.bytes, torn, sizeof torn);
  for (unsigned i = 0; i < 21; i++) {
    ts_tables (&world.maker);
    size_t begin = ts_picture (&world.maker, true, 20 + i);
    g_array_append_val (world.keys, begin);
    for (unsigned p = 1; p < GOP; p++)
      ts_picture (&world.maker, false, 4);
  }
  guint n = 0;
  for (guint all = world.maker.bytes->len, len = 0; len <= all; len += CHUNK) {
    world.maker.bytes->len = len;
    flow (&world);
    world.maker.bytes->len = all;
    for (; n < proxy_segments_count (world.segments); n++)
      assert_segment (&world, 1000 + n, key (&world, 2 * n), key (&world, 2 * n + 2));
  }
  g_assert_cmpuint (n, ==, 10);
  world_clear (&world);
}

static void
test_end_is_told (void)
{
  World world;
  world_init (&world, 8 << 20);
  make_gops (&world, 3);
  size_t end = world.next * CHUNK;
  proxy_ring_end (world.ring);
  proxy_segments_update (world.segments, WALL);
  assert_segment (&world, 1001, key (&world, 2), end);
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  /* it is 1.000: how long the last pictures last is reckoned */
  g_assert_true (g_str_has_suffix (list->str, "#EXTINF:1.040,\none/1001.ts\n#EXT-X-ENDLIST\n"));
  world_clear (&world);
}

/* Key frames eight seconds apart: longer segments, and a target duration that holds for them. */
static void
test_target_duration_holds (void)
{
  World world;
  world_init (&world, 8 << 20);
  world.maker.step = 28800;
  make_gops (&world, 4);
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (list->str, "#EXT-X-TARGETDURATION:8\n"));
  g_assert_nonnull (strstr (list->str, "#EXTINF:8.000,\n"));
  world_clear (&world);
}

/* Key frames that come further apart than ever before: what was told holds (6.2.1), and a segment
 * ends before a picture that is none. */
static void
test_target_duration_never_changes (void)
{
  World world;
  world_init (&world, 8 << 20);
  make_gops (&world, 5);
  g_autoptr (GString) before = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (before->str, "#EXT-X-TARGETDURATION:2\n"));
  world.maker.step = 18000; /* five pictures a second: five seconds */
  make_gops (&world, 3);
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (list->str, "#EXT-X-TARGETDURATION:2\n"));
  g_assert_nonnull (strstr (list->str, "#EXTINF:2.000,\n"));
  g_assert_null (strstr (list->str, "#EXT-X-DISCONTINUITY\n"));
  double longest = 0;
  for (const char *at = list->str; (at = strstr (at, "#EXTINF:")); at++)
    longest = MAX (longest, g_ascii_strtod (at + strlen ("#EXTINF:"), NULL));
  g_assert_cmpfloat (longest, <=, 2.4);
  /* no byte twice, none left out */
  size_t bytes = 0;
  guint n = proxy_segments_count (world.segments);
  for (guint i = 0; i < n; i++) {
    g_autoptr (GByteArray) out = read_segment (&world, 1000 + i);
    const uint8_t *content = out->data + 2 * 188;
    g_assert_cmpmem (content, out->len - 2 * 188, world.maker.bytes->data + key (&world, 0) + bytes,
                     out->len - 2 * 188);
    bytes += out->len - 2 * 188;
  }
  g_assert_cmpuint (n, >=, 9);
  world_clear (&world);
}

/* One picture a second, and every third a key frame: none of them comes when a segment should end. */
static void
test_target_duration_of_few_pictures (void)
{
  World world;
  world_init (&world, 8 << 20);
  make_gops (&world, 5);
  g_autoptr (GString) before = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (before->str, "#EXT-X-TARGETDURATION:2\n"));
  world.maker.step = 90000;
  for (unsigned i = 0; i < 10; i++) {
    ts_tables (&world.maker);
    for (unsigned p = 0; p < 3; p++)
      ts_picture (&world.maker, p == 0, 20);
  }
  flow (&world);
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (list->str, "#EXT-X-TARGETDURATION:2\n"));
  g_assert_null (strstr (list->str, "#EXT-X-DISCONTINUITY\n"));
  unsigned n = 0;
  for (const char *at = list->str; (at = strstr (at, "#EXTINF:")); at++, n++)
    g_assert_cmpfloat (g_ascii_strtod (at + strlen ("#EXTINF:"), NULL), <, 2.5);
  g_assert_cmpuint (n, >=, 10);
  world_clear (&world);
}

/* A stream with one key frame at its beginning (or that refreshes its picture bit by bit). */
static void
test_no_key_frame_no_matter (void)
{
  World world;
  world_init (&world, 8 << 20);
  make_gops (&world, 1);
  for (unsigned i = 0; i < 30 * 25; i++)
    ts_picture (&world.maker, false, 4);
  flow (&world);
  guint n = proxy_segments_count (world.segments);
  g_assert_cmpuint (n, ==, 3);
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (list->str, "#EXT-X-TARGETDURATION:10\n"));
  world_clear (&world);
}

/* Who comes back to a channel's address is told the same target duration as before, and numbers that rise
 * (6.2.1, 6.2.2): also where the clock would begin lower, since segments were short. */
static void
test_what_was_told_outlives_the_ring (void)
{
  World world;
  ProxySegmentsTold told;
  world_init (&world, 8 << 20);
  world.maker.step = 14400; /* four seconds */
  make_gops (&world, 5);
  g_autoptr (GString) before = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (before->str, "\none/1003.ts\n"));
  proxy_segments_told (world.segments, &told);
  world_clear (&world);
  world_init (&world, 8 << 20);
  proxy_segments_free (world.segments);
  world.segments = proxy_segments_new (world.ring, 1001, &told);
  make_gops (&world, 5);
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (list->str, "#EXT-X-TARGETDURATION:4\n"));
  g_assert_nonnull (strstr (list->str, "#EXT-X-MEDIA-SEQUENCE:1004\n"));
  g_assert_nonnull (strstr (list->str, "#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
  world_clear (&world);
}

/* Pieces that have become short: the list names three target durations of them (6.2.2). */
static void
test_list_is_long_enough (void)
{
  World world;
  world_init (&world, 8 << 20);
  world.maker.step = 28800; /* eight seconds */
  make_gops (&world, 4);
  g_autoptr (GString) first = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (first->str, "#EXT-X-TARGETDURATION:8\n"));
  world.maker.step = 7200; /* two */
  make_gops (&world, 21);
  g_assert_cmpuint (proxy_segments_count (world.segments), ==, 24);
  g_autoptr (GString) list = proxy_segments_playlist (world.segments, "one");
  g_assert_nonnull (strstr (list->str, "#EXT-X-MEDIA-SEQUENCE:1012\n"));
  g_assert_nonnull (strstr (list->str, "one/1023.ts\n"));
  world_clear (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/segments/cut-at-key-frames", test_cut_at_key_frames);
  g_test_add_func ("/proxy/segments/window-slides", test_window_slides);
  g_test_add_func ("/proxy/segments/no-more-than-a-number", test_no_more_than_a_number);
  g_test_add_func ("/proxy/segments/what-left-the-ring-is-gone", test_what_left_the_ring_is_gone);
  g_test_add_func ("/proxy/segments/window-grows-with-the-time-shift", test_time_shift);
  g_test_add_func ("/proxy/segments/gap-is-a-discontinuity", test_gap_is_a_discontinuity);
  g_test_add_func ("/proxy/segments/clock-that-jumps-is-a-discontinuity",
                   test_clock_that_jumps_is_a_discontinuity);
  g_test_add_func ("/proxy/segments/ends-inside-a-chunk", test_ends_inside_a_chunk);
  g_test_add_func ("/proxy/segments/end-is-told", test_end_is_told);
  g_test_add_func ("/proxy/segments/target-duration-holds", test_target_duration_holds);
  g_test_add_func ("/proxy/segments/target-duration-never-changes",
                   test_target_duration_never_changes);
  g_test_add_func ("/proxy/segments/target-duration-of-few-pictures",
                   test_target_duration_of_few_pictures);
  g_test_add_func ("/proxy/segments/no-key-frame-no-matter", test_no_key_frame_no_matter);
  g_test_add_func ("/proxy/segments/what-was-told-outlives-the-ring",
                   test_what_was_told_outlives_the_ring);
  g_test_add_func ("/proxy/segments/list-is-long-enough", test_list_is_long_enough);
  return g_test_run ();
}
