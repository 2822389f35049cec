/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/recency.h"

enum { CHUNK = 1024, BLOCK = 64 };

/* Used in an order, dropped in that order; what is not there is not named. */
static void
test_oldest (void)
{
  g_autoptr (PeerRecency) recency = peer_recency_new (10 * BLOCK + 3, CHUNK, 64 * BLOCK * CHUNK);
  g_autoptr (PeerChunks) have = peer_chunks_new (0);
  int64_t when;
  g_assert_true (peer_range_is_empty (peer_recency_oldest (recency, have, &when)));
  peer_chunks_add (have, (PeerRange){BLOCK + 5, 3 * BLOCK});
  peer_chunks_add (have, (PeerRange){10 * BLOCK + 2, 10 * BLOCK + 3});
  peer_recency_touch (recency, (PeerRange){0, 2 * BLOCK}, 30);
  peer_recency_touch (recency, (PeerRange){2 * BLOCK, 2 * BLOCK + 1}, 20);
  peer_recency_touch (recency, (PeerRange){10 * BLOCK, UINT64_MAX}, 40);
  peer_recency_touch (recency, (PeerRange){7, 7}, 99);

  static const uint64_t order[] = {2, 1, 10};
  for (unsigned i = 0; i < G_N_ELEMENTS (order); i++) {
    PeerRange block = peer_recency_oldest (recency, have, &when);
    g_assert_cmpuint (block.first, ==, order[i] * BLOCK);
    g_assert_cmpuint (block.end, ==, MIN ((order[i] + 1) * BLOCK, 10 * BLOCK + 3));
    g_assert_cmpint (when, ==, 20 + 10 * (int64_t)i);
    peer_chunks_remove (have, block);
  }
  g_assert_true (peer_range_is_empty (peer_recency_oldest (recency, have, &when)));
}

/* Blocks are small in a small cache, and never without a chunk. */
static void
test_blocks (void)
{
  static const struct {
    uint32_t chunk_size;
    uint64_t quota, block;
  } cases[] = {{1024, 0, 64}, {1024, 16 << 20, 256},           {1024, UINT64_MAX, 1024},
               {65536, 0, 1}, {1128, UINT64_C (1) << 30, 929}, {UINT32_MAX, UINT64_MAX, 1}};
  for (unsigned i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (PeerRecency) recency = peer_recency_new (5000, cases[i].chunk_size, cases[i].quota);
    g_autoptr (PeerChunks) have = peer_chunks_new (0);
    int64_t when;
    peer_chunks_add (have, (PeerRange){0, 5000});
    PeerRange block = peer_recency_oldest (recency, have, &when);
    g_assert_cmpuint (block.first, ==, 0);
    g_assert_cmpuint (block.end, ==, cases[i].block);
    g_assert_cmpint (when, ==, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/recency/what-was-used-longest-ago-is-named", test_oldest);
  g_test_add_func ("/peer/recency/blocks-fit-the-cache", test_blocks);
  return g_test_run ();
}
