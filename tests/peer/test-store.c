/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/store.h"

#include <string.h>

static void
fill (uint8_t *out, size_t n, uint64_t chunk)
{
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)(chunk * 31 + i * 7 + 1);
}

static PeerStoreResult
put (PeerStore *store, uint64_t chunk, size_t n)
{
  uint8_t bytes[64];
  fill (bytes, n, chunk);
  return store->class->write (store, chunk, bytes, n);
}

/* Is the chunk there, and is it the one that was put? */
static bool
holds (PeerStore *store, uint64_t chunk, size_t expected)
{
  uint8_t bytes[64], want[64];
  size_t n = 0;
  if (store->class->read (store, chunk, bytes, sizeof bytes, &n) != PEER_STORE_OK)
    return false;
  fill (want, n, chunk);
  g_assert_cmpmem (bytes, n, want, expected);
  return true;
}

static void
test_gives_back (void)
{
  PeerStore *store = peer_store_memory_new (40, 1000);
  g_assert_false (holds (store, 0, 40));
  for (uint64_t c = 0; c < 1000; c++)
    g_assert_cmpint (put (store, c, c % 40 + 1), ==, PEER_STORE_OK);
  for (uint64_t c = 0; c < 1000; c++)
    g_assert_true (holds (store, c, c % 40 + 1));
  g_assert_false (holds (store, 1000, 40));
  peer_store_free (store);
}

static void
test_newer_evicts_older (void)
{
  PeerStore *store = peer_store_memory_new (40, 100);
  for (uint64_t c = 0; c < 250; c++)
    g_assert_cmpint (put (store, c, 40), ==, PEER_STORE_OK);
  for (uint64_t c = 0; c < 250; c++)
    g_assert_true (holds (store, c, 40) == (c >= 150));
  g_assert_cmpint (put (store, 149, 40), ==, PEER_STORE_ABSENT);
  g_assert_true (holds (store, 249, 40));
  /* A chunk may be written again. */
  g_assert_cmpint (put (store, 249, 40), ==, PEER_STORE_OK);
  /* Numbers near the end of 64 bits. */
  g_assert_cmpint (put (store, UINT64_MAX - 1, 40), ==, PEER_STORE_OK);
  g_assert_true (holds (store, UINT64_MAX - 1, 40));
  peer_store_free (store);
}

static void
test_refuses_sizes (void)
{
  PeerStore *store = peer_store_memory_new (40, 10);
  uint8_t bytes[64] = {0};
  size_t n = 99;
  g_assert_cmpint (store->class->write (store, 0, bytes, 0), ==, PEER_STORE_FAILED);
  g_assert_cmpint (store->class->write (store, 0, bytes, 41), ==, PEER_STORE_FAILED);
  g_assert_cmpint (store->class->read (store, 0, bytes, 64, &n), ==, PEER_STORE_ABSENT);
  g_assert_cmpint (put (store, 0, 40), ==, PEER_STORE_OK);
  g_assert_cmpint (store->class->read (store, 0, bytes, 39, &n), ==, PEER_STORE_FAILED);
  g_assert_cmpuint (n, ==, 99);
  g_assert_cmpint (store->class->read (store, 0, bytes, 40, &n), ==, PEER_STORE_OK);
  g_assert_cmpuint (n, ==, 40);
  peer_store_free (store);
}

static void
test_discards (void)
{
  PeerStore *store = peer_store_memory_new (40, 100);
  for (uint64_t c = 50; c < 150; c++)
    put (store, c, 40);
  store->class->discard (store, (PeerRange){60, 70});
  store->class->discard (store, (PeerRange){80, 80});
  for (uint64_t c = 50; c < 150; c++)
    g_assert_true (holds (store, c, 40) == (c < 60 || c >= 70));
  /* A discarded slot takes an older chunk again, and 160 shares the slot of 60. */
  g_assert_cmpint (put (store, 160, 40), ==, PEER_STORE_OK);
  store->class->discard (store, (PeerRange){60, 61});
  g_assert_true (holds (store, 160, 40));
  store->class->discard (store, (PeerRange){0, 149});
  for (uint64_t c = 50; c < 149; c++)
    g_assert_false (holds (store, c, 40));
  g_assert_true (holds (store, 149, 40));
  store->class->discard (store, (PeerRange){0, UINT64_MAX});
  g_assert_false (holds (store, 149, 40));
  g_assert_false (holds (store, 160, 40));
  peer_store_free (store);
}

static void
test_names_its_chunks (void)
{
  PeerStore *store = peer_store_memory_new (40, 100);
  g_autoptr (PeerChunks) chunks = peer_chunks_new (0);
  store->class->chunks (store, chunks);
  g_assert_true (peer_chunks_is_empty (chunks));
  for (uint64_t c = 70; c < 230; c++)
    if (c % 10 != 3)
      put (store, c, 40);
  store->class->chunks (store, chunks);
  for (uint64_t c = 0; c < 300; c++)
    g_assert_true (peer_chunks_has (chunks, c) == holds (store, c, 40));
  g_assert_cmpuint (peer_chunks_count (chunks), ==, 90);
  peer_store_free (store);
}

/* Against a table of what must be there, with a seeded random. */
static void
test_agrees_with_a_table (void)
{
  enum { SLOTS = 37, CHUNKS = 200 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (7574);
  PeerStore *store = peer_store_memory_new (40, SLOTS);
  int64_t table[SLOTS];
  for (unsigned i = 0; i < SLOTS; i++)
    table[i] = -1;
  for (unsigned round = 0; round < 20000; round++) {
    int64_t c = g_rand_int_range (rand, 0, CHUNKS);
    switch (g_rand_int_range (rand, 0, 8)) {
    case 0: {
      int64_t end = c + g_rand_int_range (rand, 0, 60);
      store->class->discard (store, (PeerRange){(uint64_t)c, (uint64_t)end});
      for (unsigned i = 0; i < SLOTS; i++)
        if (table[i] >= c && table[i] < end)
          table[i] = -1;
      break;
    }
    case 1:
    case 2:
    case 3:
      g_assert_true (holds (store, (uint64_t)c, 40) == (table[c % SLOTS] == c));
      break;
    default:
      g_assert_cmpint (put (store, (uint64_t)c, 40), ==,
                       table[c % SLOTS] > c ? PEER_STORE_ABSENT : PEER_STORE_OK);
      table[c % SLOTS] = MAX (table[c % SLOTS], c);
    }
  }
  peer_store_free (store);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/store/gives-back-what-it-got", test_gives_back);
  g_test_add_func ("/peer/store/newer-evicts-older-never-the-reverse", test_newer_evicts_older);
  g_test_add_func ("/peer/store/refuses-wrong-sizes", test_refuses_sizes);
  g_test_add_func ("/peer/store/discards-exactly-the-run", test_discards);
  g_test_add_func ("/peer/store/names-its-chunks", test_names_its_chunks);
  g_test_add_func ("/peer/store/agrees-with-a-table", test_agrees_with_a_table);
  return g_test_run ();
}
