/* SPDX-License-Identifier: Apache-2.0 */
/* A publisher on a real engine, and a plain peer that receives what it publishes. */
#include "peer/media/mpegts.h"
#include "peer/origin/publisher.h"
#include "peer/origin/state.h"
#include "tests/origin/pair.h"

#include <glib/gstdio.h>
#include <string.h>

#define CHUNK ((size_t)6 * MEDIA_TS_PACKET)

static OriginPublisher *
make_publisher (Pair *pair, PeerKey *key, uint64_t first, uint64_t limit)
{
  OriginPublisherOptions options = {pair->origin, pair->origin_swarm, key, first};
  OriginPublisher *self = origin_publisher_new (&options);

  origin_publisher_set_limit (self, limit);
  return self;
}

/* A pair in a new channel of 16 chunks a signature, and its publisher. */
static OriginPublisher *
publish (Pair *pair, PeerAddressing addressing, uint32_t chunk_size, uint64_t first, uint64_t limit)
{
  g_autoptr (GError) error = NULL;
  PeerKey *key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
  PeerContent content;

  g_assert_no_error (error);
  peer_content_init_live (&content);
  content.chunks_per_signature = 16;
  content.addressing = addressing;
  content.chunk_size = chunk_size;
  peer_key_swarm_id (key, &content);
  pair_init (pair, &content);
  return make_publisher (pair, key, first, limit);
}

static OriginPublisher *
publish_plain (Pair *pair, uint64_t limit)
{
  return publish (pair, PEER_ADDRESSING_CHUNKS64, CHUNK, 0, limit);
}

/* Packets that can be told apart. */
static GByteArray *
make_packets (unsigned n, unsigned from)
{
  GByteArray *out = g_byte_array_new ();

  for (unsigned i = from; i < from + n; i++) {
    uint8_t packet[MEDIA_TS_PACKET];

    memset (packet, (int)(i & 0xFF), sizeof packet);
    packet[0] = 0x47;
    packet[1] = 0x01;
    packet[2] = 0x00;
    packet[3] = (uint8_t)(0x10 | (i & 15));
    memcpy (packet + 4, &i, sizeof i);
    g_byte_array_append (out, packet, sizeof packet);
  }
  return out;
}

static OriginPublisherStats
stats_of (OriginPublisher *publisher)
{
  OriginPublisherStats stats;

  origin_publisher_stats (publisher, &stats);
  return stats;
}

static void
test_arrives (void)
{
  g_autoptr (GByteArray) packets = make_packets (6 * 16 * 4, 0);
  Pair pair;
  g_autoptr (OriginPublisher) publisher = publish_plain (&pair, 1 << 16);

  pair_run (&pair, 500000);
  /* Some packets at a time, so that they do not fall together with the chunks. */
  for (size_t at = 0; at < packets->len; at += 5 * MEDIA_TS_PACKET) {
    size_t n = MIN (5 * MEDIA_TS_PACKET, packets->len - at);

    g_assert_true (origin_publisher_write (publisher, pair.now, packets->data + at, n));
    pair_run (&pair, 5000);
  }
  pair_run (&pair, 2000000);
  g_assert_cmpuint (pair.next, ==, 64);
  g_assert_cmpmem (pair.got->data, pair.got->len, packets->data, packets->len);
  g_assert_cmpuint (stats_of (publisher).signatures, ==, 4);
  g_assert_cmpuint (stats_of (publisher).null_packets, ==, 0);
  g_assert_cmpint (origin_publisher_deadline (publisher), ==, PEER_NEVER);
  pair_clear (&pair);
}

/* Nobody gets a chunk of a subtree that is not signed. */
static void
test_waits_for_signature (void)
{
  g_autoptr (GByteArray) packets = make_packets (6 * 15 + 5, 0);
  Pair pair;
  g_autoptr (OriginPublisher) publisher = publish_plain (&pair, 1 << 16);

  g_assert_true (origin_publisher_write (publisher, pair.now, packets->data, packets->len));
  pair_run (&pair, 1000000);
  g_assert_cmpuint (pair.got->len, ==, 0);
  g_assert_cmpuint (pair.munros->len, ==, 0);
  pair_clear (&pair);
}

static void
test_idle_fills (void)
{
  g_autoptr (GByteArray) packets = make_packets (8, 0);
  Pair pair;
  g_autoptr (OriginPublisher) publisher = publish_plain (&pair, 1 << 16);
  uint8_t null[MEDIA_TS_PACKET];
  int64_t written;

  g_assert_cmpint (origin_publisher_deadline (publisher), ==, PEER_NEVER);
  written = pair.now;
  g_assert_true (origin_publisher_write (publisher, written, packets->data, packets->len));
  g_assert_cmpint (origin_publisher_deadline (publisher), ==, written + 200000);
  origin_publisher_turn (publisher, written + 199999);
  g_assert_cmpuint (stats_of (publisher).fills, ==, 0);
  pair_run (&pair, 200000);
  origin_publisher_turn (publisher, written + 200000);
  g_assert_cmpuint (stats_of (publisher).fills, ==, 1);
  g_assert_cmpuint (stats_of (publisher).next, ==, 16);
  g_assert_cmpuint (stats_of (publisher).null_packets, ==, 16 * 6 - 8);
  g_assert_cmpint (origin_publisher_deadline (publisher), ==, PEER_NEVER);
  origin_publisher_turn (publisher, written + 900000); /* once, not again and again */
  g_assert_cmpuint (stats_of (publisher).next, ==, 16);
  pair_run (&pair, 2000000);
  g_assert_cmpuint (pair.got->len, ==, 16 * CHUNK);
  g_assert_cmpmem (pair.got->data, packets->len, packets->data, packets->len);
  media_ts_null_packet (null);
  for (size_t at = packets->len; at < pair.got->len; at += sizeof null)
    g_assert_cmpmem (pair.got->data + at, sizeof null, null, sizeof null);
  pair_clear (&pair);
}

/* Signing stops at what is reserved, and goes on when more is. */
static void
test_limit (void)
{
  g_autoptr (GByteArray) packets = make_packets (6 * 40, 0);
  Pair pair;
  /* not a multiple of 16: 32 count */
  g_autoptr (OriginPublisher) publisher = publish_plain (&pair, 40);

  g_assert_cmpuint (origin_publisher_limit (publisher), ==, 32);
  g_assert_false (origin_publisher_write (publisher, pair.now, packets->data, packets->len));
  g_assert_cmpuint (stats_of (publisher).next, ==, 32);
  g_assert_cmpuint (stats_of (publisher).signatures, ==, 2);
  g_assert_false (origin_publisher_write (publisher, pair.now, packets->data, MEDIA_TS_PACKET));
  origin_publisher_flush (publisher, pair.now);
  g_assert_cmpuint (stats_of (publisher).next, ==, 32);
  origin_publisher_set_limit (publisher, 64);
  g_assert_true (origin_publisher_write (publisher, pair.now, packets->data, packets->len / 2));
  g_assert_cmpuint (stats_of (publisher).next, ==, 52);
  pair_clear (&pair);
}

/* 32-bit bins name 2^31 chunks: whatever is reserved, the one after the last is never made, and what
 * was made arrives. */
static void
test_last_number (void)
{
  const uint64_t end = UINT64_C (1) << 31;
  g_autoptr (GByteArray) packets = make_packets (6 * 40, 0);
  Pair pair;
  g_autoptr (OriginPublisher) publisher =
      publish (&pair, PEER_ADDRESSING_BINS32, CHUNK, end - 32, end + 65536);

  g_assert_cmpuint (origin_publisher_limit (publisher), ==, end);
  pair_run (&pair, 500000);
  g_assert_false (origin_publisher_write (publisher, pair.now, packets->data, packets->len));
  g_assert_cmpuint (stats_of (publisher).next, ==, end);
  g_assert_cmpuint (stats_of (publisher).signatures, ==, 2);
  g_assert_cmpuint (peer_engine_open_chunks (pair.origin, pair.origin_swarm), ==, 0);
  pair_run (&pair, 3000000);
  g_assert_cmpuint (pair.next, ==, end);
  g_assert_cmpuint (pair.got->len, >=, 16 * CHUNK); /* from where it tuned in */
  g_assert_cmpmem (pair.got->data, pair.got->len, packets->data + 32 * CHUNK - pair.got->len,
                   pair.got->len);
  pair_clear (&pair);
}

/* Chunks of variable size: what is open goes out as long as it is, and one null packet fills each
 * chunk that the subtree still takes. */
static void
test_variable (void)
{
  g_autoptr (GByteArray) packets = make_packets (6 * 3 + 2, 0);
  Pair pair;
  g_autoptr (OriginPublisher) publisher =
      publish (&pair, PEER_ADDRESSING_CHUNKS64, PEER_CHUNK_VARIABLE, 0, 1 << 16);

  pair_run (&pair, 500000);
  g_assert_true (origin_publisher_write (publisher, pair.now, packets->data, packets->len));
  origin_publisher_flush (publisher, pair.now);
  pair_run (&pair, 2000000);
  g_assert_cmpuint (stats_of (publisher).null_packets, ==, 12);
  g_assert_cmpuint (pair.got->len, ==, packets->len + 12 * MEDIA_TS_PACKET);
  g_assert_cmpmem (pair.got->data, packets->len, packets->data, packets->len);
  pair_clear (&pair);
}

/* One life of an origin: from its state folder, as the program does it. Returns the next chunk. */
static uint64_t
live_once (Pair *pair, const char *folder, bool first_life, bool honest, unsigned n_packets,
           unsigned salt)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (OriginState) state = origin_state_open (folder, &error);
  g_autoptr (GByteArray) packets = make_packets (n_packets, salt);
  g_autoptr (OriginPublisher) publisher = NULL;
  PeerContent content;
  PeerKey *key;
  uint64_t first;

  g_assert_no_error (error);
  peer_content_init_live (&content);
  content.chunks_per_signature = 16;
  key = origin_state_channel (state, "demo", &content, &first, &error);
  g_assert_no_error (error);
  if (!honest)
    first = 0;
  g_assert_true (origin_state_reserve (state, "demo", &content, first + 100, &error));
  if (first_life)
    pair_init (pair, &content);
  else
    pair_new_origin (pair, &content, first);
  publisher = make_publisher (pair, key, first, first + 100);
  pair_run (pair, 500000);
  g_assert_true (origin_publisher_write (publisher, pair->now, packets->data, packets->len));
  origin_publisher_flush (publisher, pair->now);
  pair_run (pair, 3000000);
  return stats_of (publisher).next; /* and no farewell: what is reserved stays reserved */
}

static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (folder, name, NULL);

    g_unlink (path);
  }
  g_rmdir (folder);
}

/* Killed at any moment, an origin never signs a range twice: its peer sees no fork, and gets what
 * comes after the restart. */
static void
test_restart (void)
{
  g_autofree char *folder = g_dir_make_tmp ("ppsp-origin-XXXXXX", NULL);
  uint64_t end = 0, before;
  Pair pair;

  for (unsigned life = 0; life < 4; life++) {
    before = end;
    end = live_once (&pair, folder, life == 0, true, 6 * 16 + 7, life * 1000);
    g_assert_cmpuint (end, >=, before + 32);
    g_assert_cmpuint (peer_engine_counters (pair.peer)->munros_forked, ==, 0);
    g_assert_cmpuint (pair.next, ==, end);
  }
  pair_clear (&pair);
  remove_folder (folder);
}

/* The same with an origin that begins at 0 again: that the peer does not take. (Were it not so, the
 * test above would prove nothing.) */
static void
test_dishonest_restart (void)
{
  g_autofree char *folder = g_dir_make_tmp ("ppsp-origin-XXXXXX", NULL);
  uint64_t end;
  Pair pair;
  guint got;

  end = live_once (&pair, folder, true, true, 6 * 16 * 2, 0);
  g_assert_cmpuint (end, ==, 32);
  got = pair.got->len;
  live_once (&pair, folder, false, false, 6 * 16 * 2, 1000);
  g_assert_cmpuint (pair.got->len, ==, got);
  pair_clear (&pair);
  remove_folder (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/origin/publisher/bytes-arrive-in-order", test_arrives);
  g_test_add_func ("/origin/publisher/unsigned-chunks-stay", test_waits_for_signature);
  g_test_add_func ("/origin/publisher/idle-fills-and-signs-once", test_idle_fills);
  g_test_add_func ("/origin/publisher/nothing-past-the-reservation", test_limit);
  g_test_add_func ("/origin/publisher/restart-never-signs-twice", test_restart);
  g_test_add_func ("/origin/publisher/fork-is-seen", test_dishonest_restart);
  g_test_add_func ("/origin/publisher/numbers-end-before-they-begin-anew", test_last_number);
  g_test_add_func ("/origin/publisher/chunks-of-variable-size", test_variable);
  return g_test_run ();
}
