/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/ring-read.h"
#include "tests/lib/wait.h"
#include "tests/proxy/scratch.h"
#include "tests/proxy/ts.h"
#include <string.h>

enum { CHUNK = 1128 };

typedef struct {
  TsMaker maker;
  ProxyRing *ring;
  PeerStore *store;
  uint32_t chunk_size;
  size_t written; /* bytes of the maker's stream */
  uint64_t next;  /* chunk */
  uint64_t shift; /* chunk numbers begin here */
} World;

static void
world_init (World *self, uint32_t chunk_size, size_t memory)
{
  memset (self, 0, sizeof *self);
  ts_maker_init (&self->maker);
  self->chunk_size = chunk_size;
  self->ring = proxy_ring_new (chunk_size, memory, true);
  self->store = proxy_ring_store (self->ring);
  self->next = self->shift = 5000000000; /* past 32 bits */
}

static void
world_clear (World *self)
{
  peer_store_free (self->store);
  proxy_ring_unref (self->ring);
  ts_maker_clear (&self->maker);
}

static void
write_chunk (World *self, uint64_t chunk)
{
  size_t at = (size_t)(chunk - self->shift) * self->chunk_size;
  g_assert_cmpuint (at + self->chunk_size, <=, self->maker.bytes->len);
  g_assert_cmpint (self->store->class->write (self->store, chunk, self->maker.bytes->data + at,
                                              self->chunk_size),
                   ==, PEER_STORE_OK);
}

/* Writes and delivers all whole chunks that the maker has. */
static PeerRange
flow (World *self)
{
  PeerRange run = {self->next, self->shift + self->maker.bytes->len / self->chunk_size};
  for (uint64_t chunk = run.first; chunk < run.end; chunk++)
    write_chunk (self, chunk);
  proxy_ring_deliver (self->ring, run);
  self->next = run.end;
  return run;
}

static size_t
offset_of (const World *self, ProxyPlace place)
{
  return (size_t)(place.chunk - self->shift) * self->chunk_size + place.offset;
}

/* All that can be read from place on. */
static GByteArray *
read_all_from (World *self, ProxyPlace *place, GBytes *tables, bool *has_jumped)
{
  GByteArray *out = g_byte_array_new ();
  if (tables)
    g_byte_array_append (out, g_bytes_get_data (tables, NULL), (guint)g_bytes_get_size (tables));
  bool jumped;
  GBytes *bytes;
  while ((bytes = proxy_ring_read (self->ring, place, SIZE_MAX, &jumped))) {
    *has_jumped = *has_jumped || jumped;
    g_byte_array_append (out, g_bytes_get_data (bytes, NULL), (guint)g_bytes_get_size (bytes));
    g_bytes_unref (bytes);
  }
  return out;
}

/* The same of who keeps up. */
static GByteArray *
read_all (World *self, ProxyPlace *place, GBytes *tables)
{
  bool jumped = false;
  GByteArray *out = read_all_from (self, place, tables, &jumped);
  g_assert_false (jumped);
  return out;
}

/* Behind the tables, out is the maker's stream from begin on, as far as it was delivered in whole
 * packets. */
static void
check_contiguous (World *self, const GByteArray *out, size_t tables, size_t begin)
{
  size_t end = (size_t)(self->next - self->shift) * self->chunk_size / 188 * 188;
  g_assert_cmpuint (out->len, ==, tables + end - begin);
  g_assert_cmpmem (out->data + tables, out->len - tables, self->maker.bytes->data + begin,
                   end - begin);
  g_assert_cmpuint (ts_discontinuity (out->data, out->len), ==, out->len);
}

static void
start_at (World *self, bool oldest, size_t expected)
{
  ProxyPlace place;
  g_autoptr (GBytes) tables = NULL;
  g_assert_true (proxy_ring_start (self->ring, oldest, &place, &tables));
  g_assert_cmpuint (offset_of (self, place), ==, expected);
  g_assert_nonnull (tables);
  g_assert_cmpuint (g_bytes_get_size (tables), ==, 2 * 188);
  g_autoptr (GByteArray) out = read_all (self, &place, tables);
  check_contiguous (self, out, 2 * 188, expected);
}

static void
test_starts (void)
{
  World world;
  world_init (&world, CHUNK, 1 << 20);
  ProxyPlace place;
  GBytes *tables;
  g_assert_false (proxy_ring_start (world.ring, false, &place, &tables));
  size_t first = 0, last = 0;
  for (int i = 0; i < 4; i++) {
    ts_tables (&world.maker);
    last = ts_picture (&world.maker, true, 61);
    if (i == 0)
      first = last;
    for (int p = 0; p < 5; p++)
      ts_picture (&world.maker, false, 13);
  }
  flow (&world);
  start_at (&world, true, first);
  start_at (&world, false, last);
  world_clear (&world);
}

/* The first tables come behind the first key frame; nothing in front of a key frame ever. */
static void
test_tables_between (void)
{
  World world;
  world_init (&world, CHUNK, 1 << 20);
  size_t first = ts_picture (&world.maker, true, 61);
  ts_picture (&world.maker, false, 7);
  ts_tables (&world.maker);
  for (int p = 0; p < 5; p++)
    ts_picture (&world.maker, false, 13);
  flow (&world);
  start_at (&world, true, first);
  size_t last = ts_picture (&world.maker, true, 61);
  ts_picture (&world.maker, false, 7);
  ts_tables (&world.maker);
  ts_picture (&world.maker, false, 60);
  flow (&world);
  start_at (&world, true, first);
  start_at (&world, false, last);
  world_clear (&world);
}

/* The parser tells of the key frame when the tables have come once more: those in front must be the
 * ones before, for the stream goes on with the others. */
static void
test_tables_inside (void)
{
  World world;
  world_init (&world, CHUNK, 1 << 20);
  ts_tables (&world.maker);
  ts_picture (&world.maker, false, 7);
  size_t first = ts_picture_around_tables (&world.maker, 61);
  ts_picture (&world.maker, false, 60);
  size_t last = ts_picture_around_tables (&world.maker, 61);
  ts_picture (&world.maker, false, 60);
  flow (&world);
  start_at (&world, true, first);
  start_at (&world, false, last);
  world_clear (&world);
}

/* A packet with the error bit between the beginning of a key frame and what tells that it is one
 * does not move the place where it starts. */
static void
test_damaged_inside (void)
{
  World world;
  world_init (&world, CHUNK, 1 << 20);
  ts_tables (&world.maker);
  ts_picture (&world.maker, false, 7);
  size_t first = ts_picture_around_tables (&world.maker, 61);
  world.maker.bytes->data[first + 188 + 1] |= 0x80; /* the PAT behind the first packet */
  ts_picture (&world.maker, false, 60);
  flow (&world);
  ProxyPlace place;
  g_autoptr (GBytes) tables = NULL;
  g_assert_true (proxy_ring_start (world.ring, false, &place, &tables));
  g_assert_cmpuint (offset_of (&world, place), ==, first);
  world_clear (&world);
}

/* Other origins cut where they like: packets lie across chunks, and keys begin inside. */
static void
test_torn_packets (void)
{
  static const uint32_t sizes[] = {188, 376, 500, 1024, 1316, 4096, 8192};
  for (size_t i = 0; i < G_N_ELEMENTS (sizes); i++) {
    World world;
    world_init (&world, sizes[i], 1 << 20);
    ts_tables (&world.maker);
    size_t first = ts_picture (&world.maker, true, 61);
    ts_picture (&world.maker, false, 200);
    ts_tables (&world.maker);
    size_t last = ts_picture (&world.maker, true, 61);
    ts_picture (&world.maker, false, 200);
    flow (&world);
    start_at (&world, true, first);
    start_at (&world, false, last);
    world_clear (&world);
  }
}

/* In runs of any length, written in any order, what is read is the same. */
static void
test_any_order (void)
{
  World world;
  world_init (&world, CHUNK, 4 << 20);
  for (int i = 0; i < 40; i++) {
    ts_tables (&world.maker);
    ts_picture (&world.maker, true, 61);
    ts_picture (&world.maker, false, (unsigned)g_test_rand_int_range (30, 90));
  }
  uint64_t end = world.shift + world.maker.bytes->len / CHUNK;
  ProxyPlace place;
  g_autoptr (GBytes) tables = NULL;
  g_autoptr (GByteArray) out = g_byte_array_new ();
  bool started = false;
  while (world.next < end) {
    uint64_t run = (uint64_t)g_test_rand_int_range (1, 100); /* drawn once: MIN reads it twice */
    run = MIN (run, end - world.next);
    for (uint64_t chunk = world.next + run; chunk-- > world.next;) /* the last first */
      write_chunk (&world, chunk);
    proxy_ring_deliver (world.ring, (PeerRange){world.next, world.next + run});
    world.next += run;
    if (!started)
      started = proxy_ring_start (world.ring, true, &place, &tables);
    if (started) {
      g_autoptr (GByteArray) piece = read_all (&world, &place, NULL);
      g_byte_array_append (out, piece->data, piece->len);
    }
  }
  check_contiguous (&world, out, 0, 2 * 188);
  world_clear (&world);
}

/* Chunks of any size, as some sources send them: the memory between two of them is nobody's. */
static void
test_short_chunks (void)
{
  World world;
  world_init (&world, CHUNK, 1 << 20);
  ts_tables (&world.maker);
  size_t first = ts_picture (&world.maker, true, 61);
  ts_picture (&world.maker, false, 200);
  g_autoptr (GByteArray) out = NULL;
  ProxyPlace place;
  size_t at = 0;
  for (uint64_t chunk = 1; at < world.maker.bytes->len; chunk++) {
    /* the first is whole, so that it shows where packets begin */
    size_t drawn = chunk == 1 ? CHUNK : (size_t)g_test_rand_int_range (1, CHUNK + 1);
    size_t n = MIN (drawn, world.maker.bytes->len - at);
    g_assert_cmpint (
        world.store->class->write (world.store, chunk, world.maker.bytes->data + at, n), ==,
        PEER_STORE_OK);
    proxy_ring_deliver (world.ring, (PeerRange){chunk, chunk + 1});
    at += n;
    GBytes *tables;
    if (!out && proxy_ring_start (world.ring, true, &place, &tables)) {
      out = g_byte_array_new ();
      g_bytes_unref (tables);
    }
    if (!out)
      continue;
    g_autoptr (GByteArray) piece = read_all (&world, &place, NULL);
    g_byte_array_append (out, piece->data, piece->len);
    g_assert_cmpuint (out->len, ==, at / 188 * 188 - first);
  }
  g_assert_nonnull (out);
  g_assert_cmpmem (out->data, out->len, world.maker.bytes->data + first, out->len);
  world_clear (&world);
}

/* Behind a gap a viewer reads on with the first whole packet, and its decoder is told: the bytes
 * before end with a whole packet, no counter jumps without a mark, and no byte is missing or twice. */
static void
cross_gap (uint32_t chunk_size)
{
  World world;
  world_init (&world, chunk_size, 1 << 20);
  ts_tables (&world.maker);
  size_t key = ts_picture (&world.maker, true, 61);
  ts_picture (&world.maker, false, 300);
  ts_tables (&world.maker);
  ts_picture (&world.maker, false, 60);
  uint64_t end = world.shift + world.maker.bytes->len / chunk_size;
  for (uint64_t chunk = world.shift; chunk < end; chunk++)
    if (chunk < world.shift + 20 || chunk >= world.shift + 25)
      write_chunk (&world, chunk);
  proxy_ring_deliver (world.ring, (PeerRange){world.shift, world.shift + 20});
  ProxyPlace place;
  g_autoptr (GBytes) tables = NULL;
  g_assert_true (proxy_ring_start (world.ring, false, &place, &tables));
  g_autoptr (GByteArray) out = read_all (&world, &place, tables);
  size_t before = (20 * chunk_size - key) / 188 * 188;
  g_assert_cmpuint (out->len, ==, 2 * 188 + before);
  proxy_ring_deliver (world.ring, (PeerRange){world.shift + 25, end});
  g_autoptr (GByteArray) after = read_all (&world, &place, NULL);
  g_byte_array_append (out, after->data, after->len);
  g_assert_cmpuint (ts_discontinuity (out->data, out->len), ==, out->len);
  /* without what was put in, it is the stream, and its counters jump there */
  unsigned joints = 0;
  for (guint at = 0; at < after->len; at += after->data[at + 3] & 0x10 ? 188 : 0)
    if (!(after->data[at + 3] & 0x10)) {
      g_byte_array_remove_range (after, at, 188);
      joints++;
    }
  g_assert_cmpuint (joints, ==, 3); /* video, PAT, PMT */
  size_t from = (25 * chunk_size + 187) / 188 * 188;
  size_t rest = (size_t)(end - world.shift) * chunk_size / 188 * 188 - from;
  g_assert_cmpmem (after->data, after->len, world.maker.bytes->data + from, rest);
  g_byte_array_set_size (out, (guint)(2 * 188 + before));
  g_byte_array_append (out, after->data, after->len);
  g_assert_cmpuint (ts_discontinuity (out->data, out->len), ==, 2 * 188 + before);
  ProxyRingStats stats;
  proxy_ring_stats (world.ring, &stats);
  g_assert_cmpuint (stats.gaps, ==, 1);
  world_clear (&world);
}

static void
test_gap (void)
{
  cross_gap (CHUNK);
  cross_gap (1024);
  cross_gap (1316);
}

/* A viewer that reads nothing for long: the others see all, it jumps, and memory stays. */
static void
test_slow_viewer (void)
{
  World world;
  world_init (&world, CHUNK, 512 * 1024);
  ProxyPlace slow, fast;
  g_autoptr (GBytes) tables = NULL, again = NULL, held = NULL;
  ts_tables (&world.maker);
  size_t first = ts_picture (&world.maker, true, 61);
  ts_picture (&world.maker, false, 200);
  flow (&world);
  g_assert_true (proxy_ring_start (world.ring, true, &slow, &tables));
  g_assert_true (proxy_ring_start (world.ring, true, &fast, &again));
  bool jumped;
  held = proxy_ring_read (world.ring, &slow, SIZE_MAX, &jumped);
  g_autofree uint8_t *copy = g_memdup2 (g_bytes_get_data (held, NULL), g_bytes_get_size (held));
  g_autoptr (GByteArray) out = read_all (&world, &fast, NULL);
  for (int i = 0; i < 60; i++) {
    ts_tables (&world.maker);
    ts_picture (&world.maker, true, 61);
    ts_picture (&world.maker, false, 200);
    flow (&world);
    g_autoptr (GByteArray) piece = read_all (&world, &fast, NULL);
    g_byte_array_append (out, piece->data, piece->len);
    ProxyRingStats stats;
    proxy_ring_stats (world.ring, &stats);
    g_assert_cmpuint (stats.bytes, <=, 512 * 1024);
  }
  check_contiguous (&world, out, 0, first);
  /* what it holds is as it was, though the ring has let go of it long ago */
  g_assert_cmpmem (copy, g_bytes_get_size (held), g_bytes_get_data (held, NULL),
                   g_bytes_get_size (held));
  g_autoptr (GBytes) jump = proxy_ring_read (world.ring, &slow, SIZE_MAX, &jumped);
  g_assert_true (jumped);
  g_assert_cmpuint (g_bytes_get_size (jump), ==, 3 * 188 + 2 * 188); /* a joint, and tables */
  size_t place = offset_of (&world, slow);
  g_autoptr (GByteArray) rest = read_all (&world, &slow, jump);
  g_assert_cmpuint (ts_discontinuity (rest->data, rest->len), ==, rest->len);
  check_contiguous (&world, rest, 5 * 188, place);
  world_clear (&world);
}

static void
test_store (void)
{
  World world;
  world_init (&world, CHUNK, 512 * 1024);
  ts_tables (&world.maker);
  ts_picture (&world.maker, true, 6000);
  uint8_t out[CHUNK];
  size_t n;
  PeerStore *store = world.store;
  write_chunk (&world, world.shift + 3);
  g_assert_cmpint (store->class->read (store, world.shift + 2, out, sizeof out, &n), ==,
                   PEER_STORE_ABSENT);
  g_assert_cmpint (store->class->read (store, world.shift + 3, out, CHUNK - 1, &n), ==,
                   PEER_STORE_FAILED);
  g_assert_cmpint (store->class->read (store, world.shift + 3, out, sizeof out, &n), ==,
                   PEER_STORE_OK);
  g_assert_cmpmem (out, n, world.maker.bytes->data + 3 * CHUNK, CHUNK);
  /* what is there is never written again: viewers hold slices of it */
  uint8_t other[CHUNK] = {0};
  store->class->write (store, world.shift + 3, other, sizeof other);
  store->class->read (store, world.shift + 3, out, sizeof out, &n);
  g_assert_cmpmem (out, n, world.maker.bytes->data + 3 * CHUNK, CHUNK);
  g_assert_cmpint (store->class->write (store, world.shift + 4, other, 0), ==, PEER_STORE_FAILED);
  g_assert_cmpint (store->class->write (store, world.shift + 4, out, CHUNK + 1), ==,
                   PEER_STORE_FAILED);
  uint64_t keeps = proxy_ring_max_chunks (world.ring);
  uint64_t end = world.shift + world.maker.bytes->len / CHUNK;
  for (uint64_t chunk = world.shift + 4; chunk < end; chunk++)
    write_chunk (&world, chunk);
  for (uint64_t chunk = end - keeps; chunk < end; chunk++)
    g_assert_cmpint (store->class->read (store, chunk, out, sizeof out, &n), ==, PEER_STORE_OK);
  g_assert_cmpint (store->class->read (store, world.shift + 3, out, sizeof out, &n), ==,
                   PEER_STORE_ABSENT);
  g_assert_cmpint (store->class->write (store, world.shift, other, sizeof other), ==,
                   PEER_STORE_ABSENT);
  g_autoptr (PeerChunks) chunks = peer_chunks_new (0);
  store->class->chunks (store, chunks);
  g_assert_true (peer_chunks_has_all (chunks, (PeerRange){end - keeps, end}));
  store->class->discard (store, (PeerRange){0, end});
  peer_chunks_clear (chunks);
  store->class->chunks (store, chunks);
  g_assert_cmpuint (peer_chunks_count (chunks), <=, keeps); /* whole slabs go, part of one stays */
  g_assert_cmpuint (peer_chunks_count (chunks), <, 60);
  world_clear (&world);
}

/* Ten seconds, but neither less than is usual nor more than is allowed. */
static void
test_room (void)
{
  enum {
    MBIT_4 = CHUNK * 2,
    MBIT_50 = CHUNK * 8 / 50,
    MBIT_100 = CHUNK * 8 / 100
  }; /* us a chunk */
  g_assert_cmpuint (proxy_ring_room (CHUNK, 0, 128 << 20), ==, PROXY_RING_LEAST);
  g_assert_cmpuint (proxy_ring_room (CHUNK, MBIT_4, 128 << 20), ==, PROXY_RING_LEAST);
  g_assert_cmpuint (proxy_ring_room (CHUNK, MBIT_50, 128 << 20), ==, 10000000 / MBIT_50 * CHUNK);
  g_assert_cmpuint (proxy_ring_room (CHUNK, MBIT_100, 1 << 30), >=, 125000000);
  g_assert_cmpuint (proxy_ring_room (CHUNK, MBIT_100, 128 << 20), >=, 125000000);
  g_assert_cmpuint (proxy_ring_room (CHUNK, MBIT_100, 64 << 20), ==, 64 << 20);
  g_assert_cmpuint (proxy_ring_room (CHUNK, 1, 128 << 20), ==, 128 << 20);
  g_assert_cmpuint (proxy_ring_room (CHUNK, INT64_MAX, 128 << 20), ==, PROXY_RING_LEAST);
  g_assert_cmpuint (proxy_ring_room (CHUNK, MBIT_4, 4 << 20), ==, 4 << 20);
  g_assert_cmpuint (proxy_ring_room (CHUNK, 0, 4 << 20), ==, 4 << 20);
}

/* What lies in it stays, and from then on more does. */
static void
test_grows (void)
{
  World world;
  world_init (&world, CHUNK, 512 * 1024);
  while (world.maker.bytes->len < 2 << 20) {
    ts_tables (&world.maker);
    ts_picture (&world.maker, true, 61);
    ts_picture (&world.maker, false, 200);
  }
  flow (&world);
  uint64_t oldest = proxy_ring_oldest (world.ring), keeps = proxy_ring_max_chunks (world.ring);
  g_assert_cmpuint (oldest, >, world.shift);
  ProxyPlace place;
  g_autoptr (GBytes) tables = NULL;
  g_assert_true (proxy_ring_start (world.ring, true, &place, &tables));
  size_t begin = offset_of (&world, place);
  proxy_ring_grow (world.ring, 2 << 20);
  proxy_ring_grow (world.ring, 1 << 20); /* never less */
  g_assert_cmpuint (proxy_ring_max_chunks (world.ring), >, keeps * 3);
  for (size_t more = world.maker.bytes->len + (1 << 20); world.maker.bytes->len < more;)
    ts_picture (&world.maker, false, 200);
  flow (&world);
  g_assert_cmpuint (proxy_ring_oldest (world.ring), ==, oldest);
  g_autoptr (GByteArray) out = read_all (&world, &place, tables);
  check_contiguous (&world, out, 2 * 188, begin);
  for (size_t more = world.maker.bytes->len + (4 << 20); world.maker.bytes->len < more;)
    ts_picture (&world.maker, false, 200);
  flow (&world);
  ProxyRingStats stats;
  proxy_ring_stats (world.ring, &stats);
  g_assert_cmpuint (stats.bytes, <=, 2 << 20);
  g_assert_cmpuint (stats.bytes, ==, stats.room);
  world_clear (&world);
}

/* --- with a time-shift --- */

/* A second of video of some 340 kB. */
static void
second (World *self)
{
  ts_tables (&self->maker);
  ts_picture (&self->maker, true, 61);
  for (int i = 0; i < 24; i++)
    ts_picture (&self->maker, false, 73);
  flow (self);
}

/* Until the disk is no more than two batches behind. */
static void
catch_up (World *self)
{
  int64_t end = 0;
  ProxyRingStats stats;
  for (proxy_ring_stats (self->ring, &stats); stats.unwritten > 2 << 20;
       proxy_ring_stats (self->ring, &stats))
    g_assert_true (wait_turn (&end));
}

/* So many seconds, and time for the disk. */
static void
seconds (World *self, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    second (self);
    catch_up (self);
  }
}

/* As read_all(), and waits for the disk. */
static GByteArray *
read_on (World *self, ProxyPlace *place, GBytes *tables, bool *jumped)
{
  GByteArray *out = read_all_from (self, place, tables, jumped);
  int64_t end = 0;
  while (proxy_ring_waits (self->ring, place)) {
    g_assert_true (wait_turn (&end));
    g_autoptr (GByteArray) more = read_all_from (self, place, NULL, jumped);
    g_byte_array_append (out, more->data, more->len);
    end = more->len > 0 ? 0 : end;
  }
  return out;
}

/* A viewer that reads nothing until all but the newest has left memory goes on with the next byte, and
 * another begins far back. The memory does not grow for it. */
static void
test_shift (void)
{
  World world;
  ProxyPlace place, early;
  bool jumped = false;
  g_autofree char *folder = scratch_new ();
  world_init (&world, CHUNK, 2 << 20);
  proxy_ring_shift (world.ring, folder, 64 << 20);
  seconds (&world, 2);
  g_autoptr (GBytes) tables = NULL;
  g_assert_true (proxy_ring_start (world.ring, false, &place, &tables));
  size_t begin = offset_of (&world, place);
  early = place;
  g_autoptr (GByteArray) out = read_on (&world, &place, tables, &jumped);
  seconds (&world, 60);
  g_assert_cmpuint (place.chunk, <, proxy_ring_oldest_in_memory (world.ring));
  g_assert_cmpuint (early.chunk, >=, proxy_ring_oldest (world.ring));
  g_autoptr (GByteArray) more = read_on (&world, &place, NULL, &jumped);
  g_assert_false (jumped);
  g_byte_array_append (out, more->data, more->len);
  check_contiguous (&world, out, 2 * 188, begin);
  ProxyRingStats stats;
  proxy_ring_stats (world.ring, &stats);
  g_assert_cmpuint (stats.bytes, <=, 2 << 20);
  g_assert_cmpuint (stats.shift_bytes, >, 16 << 20);
  g_assert_null (proxy_ring_shift_failure (world.ring));
  /* the engine is told of memory only */
  uint8_t bytes[CHUNK];
  size_t n;
  g_assert_cmpint (world.store->class->read (world.store, early.chunk, bytes, sizeof bytes, &n), ==,
                   PEER_STORE_ABSENT);
  world_clear (&world);
  scratch_free (g_steal_pointer (&folder));
}

/* The seconds are those of the pictures: 25 to each. */
static void
test_back (void)
{
  World world;
  bool jumped = false;
  g_autofree char *folder = scratch_new ();
  world_init (&world, CHUNK, 2 << 20);
  world.maker.step = 3600;
  proxy_ring_shift (world.ring, folder, 64 << 20);
  seconds (&world, 61);
  ProxyRingStats stats;
  proxy_ring_stats (world.ring, &stats);
  g_assert_cmpint (stats.window, >=, 58 * G_USEC_PER_SEC);
  g_assert_cmpint (stats.window, <=, 60 * G_USEC_PER_SEC);
  ProxyPlace newest;
  g_autoptr (GBytes) first = NULL;
  g_assert_true (proxy_ring_start (world.ring, false, &newest, &first));
  size_t length = world.maker.bytes->len / 61;
  for (unsigned back = 0; back < 50; back += 7) {
    ProxyPlace place;
    g_autoptr (GBytes) tables = NULL;
    g_assert_true (
        proxy_ring_start_back (world.ring, (int64_t)back * G_USEC_PER_SEC, &place, &tables));
    size_t begin = offset_of (&world, place);
    g_assert_cmpuint (begin, ==, offset_of (&world, newest) - back * length);
    g_assert_cmpint (proxy_ring_behind (world.ring, &place), ==, back * G_USEC_PER_SEC);
    place.offset++; /* the next key frame is the first to come */
    g_assert_cmpint (proxy_ring_behind (world.ring, &place), ==,
                     back > 0 ? (back - 1) * G_USEC_PER_SEC : 0);
    place.offset--;
    g_autoptr (GByteArray) out = read_on (&world, &place, tables, &jumped);
    check_contiguous (&world, out, 2 * 188, begin);
  }
  ProxyPlace oldest;
  g_autoptr (GBytes) tables = NULL;
  g_assert_true (proxy_ring_start_back (world.ring, INT64_MAX / 2, &oldest, &tables));
  g_assert_cmpuint (oldest.chunk, >=, proxy_ring_oldest (world.ring));
  g_assert_cmpuint (oldest.chunk - proxy_ring_oldest (world.ring), <, 2 * length / CHUNK);
  g_assert_false (jumped);
  world_clear (&world);
  scratch_free (g_steal_pointer (&folder));
}

/* Who fell out of the file as well goes on in it, and its decoder is told. */
static void
test_falls_out (void)
{
  World world;
  bool jumped = false;
  g_autofree char *folder = scratch_new ();
  world_init (&world, CHUNK, 2 << 20);
  proxy_ring_shift (world.ring, folder, 8 << 20);
  seconds (&world, 2);
  ProxyPlace place;
  g_autoptr (GBytes) tables = NULL;
  g_assert_true (proxy_ring_start (world.ring, true, &place, &tables));
  seconds (&world, 60);
  uint64_t oldest = proxy_ring_oldest (world.ring);
  g_assert_cmpuint (place.chunk, <, oldest);
  g_autoptr (GBytes) joint = NULL;
  int64_t end = 0;
  while (!jumped && wait_turn (&end))
    joint = proxy_ring_read (world.ring, &place, SIZE_MAX, &jumped);
  g_assert_true (jumped);
  /* not where it would fall out with the next second */
  g_assert_cmpuint (place.chunk - oldest, >=, (world.next - oldest) / 32);
  g_autoptr (GByteArray) out = read_on (&world, &place, joint, &jumped);
  /* all of memory, and most of the file */
  g_assert_cmpuint (out->len, >, 8 << 20);
  g_assert_cmpuint (ts_discontinuity (out->data, out->len), ==, out->len);
  g_assert_cmpuint (ts_marks (out->data, out->len), ==, 3); /* PAT, PMT, video */
  ProxyRingStats stats;
  proxy_ring_stats (world.ring, &stats);
  g_assert_cmpuint (stats.shift_bytes, <=, 8 << 20);
  world_clear (&world);
  scratch_free (g_steal_pointer (&folder));
}

/* Gaps are crossed in the file as they are in memory. */
static void
test_gap_in_shift (void)
{
  World world, still;
  ProxyPlace place, other;
  bool jumped = false;
  g_autofree char *folder = scratch_new ();
  world_init (&world, CHUNK, 2 << 20);
  world_init (&still, CHUNK, 64 << 20); /* the same, all in memory */
  proxy_ring_shift (world.ring, folder, 64 << 20);
  g_autoptr (GBytes) tables = NULL, same = NULL;
  World *both[] = {&world, &still};
  for (unsigned w = 0; w < 2; w++)
    for (unsigned i = 0; i < 40; i++) {
      seconds (both[w], 1);
      if (i % 9 == 4) { /* what is not whole as well */
        ts_picture (&both[w]->maker, false, 100);
        both[w]->next = both[w]->shift + both[w]->maker.bytes->len / CHUNK + 3;
        ts_picture (&both[w]->maker, false, 100);
      }
    }
  g_assert_true (proxy_ring_start (world.ring, true, &place, &tables));
  g_assert_true (proxy_ring_start (still.ring, true, &other, &same));
  g_assert_cmpuint (place.chunk, ==, other.chunk);
  g_autoptr (GByteArray) out = read_on (&world, &place, tables, &jumped);
  g_autoptr (GByteArray) expected = read_on (&still, &other, same, &jumped);
  g_assert_cmpmem (out->data, out->len, expected->data, expected->len);
  g_assert_cmpuint (ts_marks (out->data, out->len), >, 8);
  g_assert_cmpuint (ts_discontinuity (out->data, out->len), ==, out->len);
  g_assert_false (jumped);
  world_clear (&world);
  world_clear (&still);
  scratch_free (g_steal_pointer (&folder));
}

/* Live goes on, and who was behind goes on in memory. */
static void
test_shift_fails (void)
{
  World world;
  bool jumped = false;
  g_autofree char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "file", NULL);
  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  world_init (&world, CHUNK, 2 << 20);
  proxy_ring_shift (world.ring, path, 64 << 20);
  seconds (&world, 3);
  ProxyPlace place;
  g_autoptr (GBytes) tables = NULL;
  g_assert_true (proxy_ring_start (world.ring, true, &place, &tables));
  seconds (&world, 6);
  int64_t end = 0;
  while (!proxy_ring_shift_failure (world.ring))
    g_assert_true (wait_turn (&end));
  g_assert_nonnull (strstr (proxy_ring_shift_failure (world.ring), path));
  ProxyPlace first;
  g_autoptr (GBytes) left = NULL;
  g_assert_true (proxy_ring_start (world.ring, true, &first, &left));
  g_assert_cmpuint (first.chunk, >=, proxy_ring_oldest_in_memory (world.ring));
  seconds (&world, 10);
  g_assert_cmpuint (proxy_ring_oldest (world.ring), ==, proxy_ring_oldest_in_memory (world.ring));
  g_autoptr (GByteArray) out = read_on (&world, &place, NULL, &jumped);
  g_assert_true (jumped);
  g_assert_cmpuint (out->len, >, 1 << 20);
  g_assert_cmpuint (ts_discontinuity (out->data, out->len), ==, out->len);
  world_clear (&world);
  scratch_free (g_steal_pointer (&folder));
}

/* What nobody was told of is not written: a disk has no use for it. */
static void
test_not_delivered (void)
{
  static const uint8_t bytes[CHUNK];
  World world;
  ProxyRingStats stats;
  g_autofree char *folder = scratch_new ();
  world_init (&world, CHUNK, 1 << 20);
  proxy_ring_shift (world.ring, folder, 64 << 20);
  for (uint64_t chunk = 0; chunk < (4 << 20) / CHUNK; chunk++)
    g_assert_cmpint (world.store->class->write (world.store, chunk, bytes, CHUNK), ==,
                     PEER_STORE_OK);
  proxy_ring_stats (world.ring, &stats);
  g_assert_cmpuint (stats.bytes, ==, stats.room);
  g_assert_cmpuint (stats.shift_bytes, ==, 0);
  world_clear (&world);
  scratch_free (g_steal_pointer (&folder));
}

/* Nothing but key frames, then a gap behind each: what is remembered of them is bounded. */
static void
test_shift_index (void)
{
  World world;
  ProxyRingStats stats;
  g_autofree char *folder = scratch_new ();
  world_init (&world, CHUNK, 1 << 20);
  proxy_ring_shift (world.ring, folder, 64 << 20);
  for (unsigned i = 0; i < 6000; i++) {
    ts_picture (&world.maker, true, 30);
    ts_tables (&world.maker);
    ts_picture (&world.maker, true, 20);
    flow (&world);
    if (i >= 3000)
      world.next += 2;
    catch_up (&world);
    if (i % 100 != 0)
      continue;
    proxy_ring_stats (world.ring, &stats);
    g_assert_cmpuint (stats.keys, <=, 4096 + 200);
    g_assert_cmpuint (stats.keys + 100, >, MIN (i, 1000) / 2);
  }
  proxy_ring_stats (world.ring, &stats);
  g_assert_cmpuint (stats.gaps, ==, 2999);
  /* three joints for each gap: the window is shorter, and what is in it can be read */
  g_assert_cmpuint (stats.shift_bytes, <, 40 << 20);
  ProxyPlace place;
  bool jumped = false;
  g_autoptr (GBytes) tables = NULL;
  g_assert_true (proxy_ring_start (world.ring, true, &place, &tables));
  g_autoptr (GByteArray) out = read_on (&world, &place, tables, &jumped);
  g_assert_cmpuint (ts_discontinuity (out->data, out->len), ==, out->len);
  g_assert_cmpuint (out->len, >, 4 << 20);
  world_clear (&world);
  scratch_free (g_steal_pointer (&folder));
}

/* Any writes, deliveries, discards and reads, against what must hold in any case. */
static void
test_anything (void)
{
  World world;
  world_init (&world, CHUNK, 300 * 1024);
  while (world.maker.bytes->len < 3 << 20) {
    ts_tables (&world.maker);
    ts_picture (&world.maker, true, 20);
    ts_picture (&world.maker, false, 100);
  }
  uint64_t end = world.shift + world.maker.bytes->len / CHUNK;
  uint64_t edge = world.shift, delivered = world.shift;
  ProxyPlace places[4];
  bool started[4] = {false};
  for (int round = 0; round < 20000 && edge + 100 < end; round++) {
    int what = g_test_rand_int_range (0, 10);
    int i = g_test_rand_int_range (0, 4);
    if (what < 5) {
      uint64_t chunk = edge + (uint64_t)g_test_rand_int_range (0, 8);
      write_chunk (&world, chunk);
      edge = MAX (edge, chunk + 1);
    } else if (what < 7) {
      uint64_t first = delivered + (uint64_t)(g_test_rand_int_range (0, 20) == 0 ? 7 : 0);
      PeerRange run = {first, first + (uint64_t)g_test_rand_int_range (1, 20)};
      proxy_ring_deliver (world.ring, run);
      delivered = run.end;
      edge = MAX (edge, delivered);
    } else if (what == 7 && g_test_rand_int_range (0, 50) == 0)
      world.store->class->discard (world.store, (PeerRange){0, edge});
    else {
      GBytes *bytes = NULL;
      bool jumped = false;
      if (started[i])
        bytes = proxy_ring_read (world.ring, &places[i], SIZE_MAX, &jumped);
      else
        started[i] = proxy_ring_start (world.ring, i & 1, &places[i], &bytes);
      if (bytes && started[i] && !jumped && g_bytes_get_size (bytes) > 2 * 188) {
        size_t n = g_bytes_get_size (bytes), behind = offset_of (&world, places[i]);
        g_assert_cmpmem (g_bytes_get_data (bytes, NULL), n, world.maker.bytes->data + behind - n,
                         n);
      }
      g_clear_pointer (&bytes, g_bytes_unref);
    }
  }
  world_clear (&world);
}

/* No picture anywhere in it: it can be begun, but says so. */
static void
test_no_transport_stream (void)
{
  ProxyRing *ring = proxy_ring_new (1000, 1 << 20, false);
  PeerStore *store = proxy_ring_store (ring);
  uint8_t bytes[1000];
  memset (bytes, 'x', sizeof bytes);
  ProxyPlace place;
  GBytes *tables;
  g_assert_false (proxy_ring_start (ring, false, &place, &tables));
  for (uint64_t chunk = 0; chunk < 3000; chunk++)
    store->class->write (store, chunk, bytes, sizeof bytes);
  proxy_ring_deliver (ring, (PeerRange){2990, 3000});
  g_assert_true (proxy_ring_start (ring, false, &place, &tables));
  g_assert_null (tables);
  g_assert_cmpuint (place.chunk, >=, 2990);
  peer_store_free (store);
  proxy_ring_unref (ring);

  ring = proxy_ring_new (1000, 1 << 20, true);
  store = proxy_ring_store (ring);
  for (uint64_t chunk = 0; chunk < 100; chunk++)
    store->class->write (store, chunk, bytes, sizeof bytes);
  proxy_ring_deliver (ring, (PeerRange){0, 100});
  g_assert_false (proxy_ring_start (ring, false, &place, &tables));
  g_assert_false (proxy_ring_start_anywhere (ring, &place, &tables));
  peer_store_free (store);
  proxy_ring_unref (ring);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/ring/starts-at-oldest-and-newest-key-frame", test_starts);
  g_test_add_func ("/proxy/ring/tables-only-between-key-frames", test_tables_between);
  g_test_add_func ("/proxy/ring/tables-inside-a-key-frame", test_tables_inside);
  g_test_add_func ("/proxy/ring/damaged-packet-inside-a-key-frame", test_damaged_inside);
  g_test_add_func ("/proxy/ring/packets-across-chunks", test_torn_packets);
  g_test_add_func ("/proxy/ring/chunks-of-any-size", test_short_chunks);
  g_test_add_func ("/proxy/ring/same-bytes-in-any-order", test_any_order);
  g_test_add_func ("/proxy/ring/viewer-crosses-a-gap", test_gap);
  g_test_add_func ("/proxy/ring/slow-viewer-jumps-and-costs-nothing", test_slow_viewer);
  g_test_add_func ("/proxy/ring/store-keeps-the-newest-and-never-overwrites", test_store);
  g_test_add_func ("/proxy/ring/room-follows-the-rate", test_room);
  g_test_add_func ("/proxy/ring/grows-and-keeps-what-it-has", test_grows);
  g_test_add_func ("/proxy/ring/pause-goes-on-with-the-next-byte", test_shift);
  g_test_add_func ("/proxy/ring/steps-back-by-seconds", test_back);
  g_test_add_func ("/proxy/ring/falls-out-of-the-time-shift", test_falls_out);
  g_test_add_func ("/proxy/ring/gaps-in-the-time-shift", test_gap_in_shift);
  g_test_add_func ("/proxy/ring/time-shift-that-fails-costs-nothing", test_shift_fails);
  g_test_add_func ("/proxy/ring/what-is-not-delivered-is-not-kept", test_not_delivered);
  g_test_add_func ("/proxy/ring/index-of-the-time-shift-is-bounded", test_shift_index);
  g_test_add_func ("/proxy/ring/reads-only-what-was-written", test_anything);
  g_test_add_func ("/proxy/ring/other-bytes-than-a-transport-stream", test_no_transport_stream);
  return g_test_run ();
}
