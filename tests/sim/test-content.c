/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/content.h"

#include <string.h>

#define CHUNK_SIZE 188
#define RING 10 /* chunks */

static void
put (PeerStore *store, const SimContent *content, uint64_t chunk, size_t flipped,
     PeerStoreResult result)
{
  uint8_t bytes[CHUNK_SIZE];
  size_t n;
  memcpy (bytes, sim_content_bytes (content, chunk, &n), sizeof bytes);
  g_assert_cmpuint (n, ==, sizeof bytes);
  if (flipped < n)
    bytes[flipped] ^= 1;
  g_assert_cmpint (store->class->write (store, chunk, bytes, n), ==, result);
}

static bool
can_read (PeerStore *store, const SimContent *content, uint64_t chunk)
{
  uint8_t bytes[CHUNK_SIZE];
  size_t n = 0, true_size;
  bool read = store->class->read (store, chunk, bytes, sizeof bytes, &n) == PEER_STORE_OK;
  g_assert_cmpint (read, ==, sim_content_store_has (store, chunk));
  if (read)
    g_assert_cmpmem (bytes, n, sim_content_bytes (content, chunk, &true_size), CHUNK_SIZE);
  return read;
}

static SimContent *
new_content (unsigned n)
{
  SimContent *self = sim_content_new (CHUNK_SIZE);
  for (unsigned i = 0; i < n; i++)
    sim_content_make_live (self, i, i * 1000);
  return self;
}

static void
test_store_is_a_ring (void)
{
  g_autoptr (SimContent) content = new_content (100);
  PeerStore *store = sim_content_store_new (content, RING);
  for (uint64_t chunk = 3; chunk < 3 + RING; chunk += 2)
    put (store, content, chunk, SIZE_MAX, PEER_STORE_OK);
  put (store, content, 8, SIZE_MAX, PEER_STORE_OK);
  g_assert_true (can_read (store, content, 3) && can_read (store, content, 8));
  g_assert_false (can_read (store, content, 4));
  put (store, content, 14, SIZE_MAX, PEER_STORE_OK);
  g_assert_false (can_read (store, content, 3)); /* a newer one is in its place */
  g_assert_true (can_read (store, content, 5));
  put (store, content, 2, SIZE_MAX, PEER_STORE_ABSENT);
  store->class->discard (store, (PeerRange){0, 8});
  g_assert_false (can_read (store, content, 5) || can_read (store, content, 7));
  g_autoptr (PeerChunks) all = peer_chunks_new (0);
  store->class->chunks (store, all);
  g_assert_cmpuint (peer_chunks_count (all), ==, 4); /* 8, 9, 11, 14 */
  g_assert_true (peer_chunks_has (all, 8) && peer_chunks_has (all, 14));
  put (store, content, 99, SIZE_MAX, PEER_STORE_OK);
  g_assert_false (can_read (store, content, 14));
  peer_store_free (store);
}

static void
test_numbers_left_out_are_never_made (void)
{
  g_autoptr (SimContent) content = new_content (3);
  size_t n;
  sim_content_make_live (content, 1000, 77);
  g_assert_cmpint (sim_content_made_at (content, 1000), ==, 77);
  g_assert_cmpint (sim_content_made_at (content, 999), ==, SIM_NEVER_MADE);
  g_assert_null (sim_content_bytes (content, 3, &n));
  g_assert_null (sim_content_bytes (content, 1001, &n));
}

static void
write_wrong (void)
{
  g_autoptr (SimContent) content = new_content (8);
  PeerStore *store = sim_content_store_new (content, RING);
  put (store, content, 5, CHUNK_SIZE - 1, PEER_STORE_OK);
}

/* Without this no other test of a swarm would prove anything. */
static void
test_wrong_byte_ends_the_run (void)
{
  g_test_trap_subprocess ("/sim/content/wrong-byte/write", 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr ("*chunk 5 was kept with other bytes*");
}

static void
test_subprocess (void)
{
  if (g_test_subprocess ())
    write_wrong ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sim/content/store-is-a-ring", test_store_is_a_ring);
  g_test_add_func ("/sim/content/numbers-left-out-are-never-made",
                   test_numbers_left_out_are_never_made);
  g_test_add_func ("/sim/content/wrong-byte/ends-the-run", test_wrong_byte_ends_the_run);
  g_test_add_func ("/sim/content/wrong-byte/write", test_subprocess);
  return g_test_run ();
}
