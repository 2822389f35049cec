/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/chunks.h"

#include <string.h>

#define UNIVERSE 160 /* chunks of the naive set */

static void
assert_range (PeerRange range, uint64_t first, uint64_t end)
{
  g_assert_cmpuint (range.first, ==, first);
  g_assert_cmpuint (range.end, ==, end);
}

static void
test_bins_of_figure (void)
{
  /* RFC 7574, figure 2 */
  static const struct {
    uint64_t bin, first, end;
  } nodes[] = {{0, 0, 1}, {2, 1, 2},  {4, 2, 3}, {14, 7, 8}, {1, 0, 2},
               {5, 2, 4}, {13, 6, 8}, {3, 0, 4}, {11, 4, 8}, {7, 0, 8}};

  for (size_t i = 0; i < G_N_ELEMENTS (nodes); i++) {
    PeerRange range = {nodes[i].first, nodes[i].end};

    g_assert_true (peer_range_is_node (range));
    g_assert_cmpuint (peer_bin_from_range (range), ==, nodes[i].bin);
    assert_range (peer_bin_to_range (nodes[i].bin), nodes[i].first, nodes[i].end);
  }
}

static void
test_bins_at_the_edge (void)
{
  uint64_t last_leaf = UINT64_MAX - 1;

  /* section 4.2: the largest interval has 2^63 chunks */
  assert_range (peer_bin_to_range (last_leaf), INT64_MAX, UINT64_C (1) << 63);
  assert_range (peer_bin_to_range (INT64_MAX), 0, UINT64_C (1) << 63);
  g_assert_cmpuint (peer_bin_from_range (peer_bin_to_range (INT64_MAX)), ==, INT64_MAX);
  g_assert_cmpuint (peer_bin_from_range (peer_bin_to_range (last_leaf)), ==, last_leaf);
}

static void
test_node (void)
{
  g_assert_false (peer_range_is_node ((PeerRange){0, 0}));
  g_assert_false (peer_range_is_node ((PeerRange){4, 3}));
  g_assert_false (peer_range_is_node ((PeerRange){0, 3}));
  g_assert_false (peer_range_is_node ((PeerRange){1, 3}));
  g_assert_false (peer_range_is_node ((PeerRange){0, UINT64_MAX}));
  g_assert_true (peer_range_is_node ((PeerRange){6, 8}));
  assert_range (peer_range_sibling ((PeerRange){6, 8}), 4, 6);
  assert_range (peer_range_sibling ((PeerRange){4, 6}), 6, 8);
  g_assert_cmpuint (peer_range_height ((PeerRange){4, 5}), ==, 0);
  g_assert_cmpuint (peer_range_height ((PeerRange){0, UINT64_C (1) << 63}), ==, 63);
  /* Nothing overflows beside the root. */
  assert_range (peer_range_sibling ((PeerRange){0, UINT64_C (1) << 63}), UINT64_C (1) << 63,
                UINT64_MAX);
}

static void
test_intersection (void)
{
  assert_range (peer_range_intersection ((PeerRange){2, 8}, (PeerRange){5, 20}), 5, 8);
  g_assert_true (
      peer_range_is_empty (peer_range_intersection ((PeerRange){2, 5}, (PeerRange){5, 20})));
  assert_range (peer_range_intersection ((PeerRange){9, 12}, (PeerRange){2, 5}), 9, 9);
}

static void
test_runs_merge (void)
{
  g_autoptr (PeerChunks) chunks = peer_chunks_new (0);

  g_assert_true (peer_chunks_is_empty (chunks));
  assert_range (peer_chunks_span (chunks), 0, 0);
  g_assert_true (peer_chunks_add (chunks, (PeerRange){10, 20}));
  g_assert_true (peer_chunks_add (chunks, (PeerRange){30, 40}));
  g_assert_true (peer_chunks_add (chunks, (PeerRange){0, 0}));
  g_assert_cmpuint (peer_chunks_n_runs (chunks), ==, 2);
  g_assert_true (peer_chunks_add (chunks, (PeerRange){20, 30})); /* touches both */
  g_assert_cmpuint (peer_chunks_n_runs (chunks), ==, 1);
  assert_range (peer_chunks_run (chunks, 0), 10, 40);
  g_assert_cmpuint (peer_chunks_count (chunks), ==, 30);
  assert_range (peer_chunks_around (chunks, 39), 10, 40);
  assert_range (peer_chunks_around (chunks, 40), 40, 40);
  peer_chunks_clear (chunks);
  g_assert_true (peer_chunks_is_empty (chunks));
  g_assert_cmpuint (peer_chunks_count (chunks), ==, 0);
}

static void
test_limit (void)
{
  g_autoptr (PeerChunks) chunks = peer_chunks_new (2);

  g_assert_true (peer_chunks_add (chunks, (PeerRange){0, 10}));
  g_assert_true (peer_chunks_add (chunks, (PeerRange){20, 30}));
  g_assert_false (peer_chunks_add (chunks, (PeerRange){40, 50}));
  g_assert_cmpuint (peer_chunks_count (chunks), ==, 20);
  g_assert_true (peer_chunks_add (chunks, (PeerRange){30, 50})); /* needs no further run */
  peer_chunks_remove (chunks, (PeerRange){24, 25});              /* keeps the longer side */
  g_assert_cmpuint (peer_chunks_n_runs (chunks), ==, 2);
  assert_range (peer_chunks_run (chunks, 1), 25, 50);
  g_assert_cmpuint (peer_chunks_count (chunks), ==, 35);
  peer_chunks_remove (chunks, (PeerRange){48, 49});
  assert_range (peer_chunks_run (chunks, 1), 25, 48);
  g_assert_cmpuint (peer_chunks_count (chunks), ==, 33);
}

static void
test_everything (void)
{
  g_autoptr (PeerChunks) chunks = peer_chunks_new (0);

  g_assert_true (peer_chunks_add (chunks, (PeerRange){0, UINT64_MAX}));
  g_assert_true (peer_chunks_has (chunks, UINT64_MAX - 1));
  g_assert_cmpuint (peer_chunks_count (chunks), ==, UINT64_MAX);
  g_assert_true (peer_chunks_add (chunks, (PeerRange){7, 9}));
  peer_chunks_remove (chunks, (PeerRange){5, UINT64_MAX});
  assert_range (peer_chunks_span (chunks), 0, 5);
  assert_range (peer_chunks_gap (chunks, (PeerRange){0, UINT64_MAX}), 5, UINT64_MAX);
}

/* A window that slides for ever takes the memory of one window. */
static void
test_sliding_window (void)
{
  g_autoptr (PeerChunks) chunks = peer_chunks_new (64);

  for (uint64_t i = 0; i < 200000; i++) {
    g_assert_true (peer_chunks_add (chunks, (PeerRange){3 * i, 3 * i + 1}));
    if (i >= 50)
      peer_chunks_remove (chunks, (PeerRange){0, 3 * (i - 50) + 1});
    g_assert_cmpuint (peer_chunks_n_runs (chunks), ==, MIN (i + 1, 50));
    g_assert_cmpuint (peer_chunks_memory (chunks), <, 200 * sizeof (PeerRange));
  }
  for (uint64_t i = 200000; i > 0; i--) { /* and back: runs come at the front */
    peer_chunks_remove (chunks, (PeerRange){3 * i, UINT64_MAX});
    if (i > 60)
      g_assert_true (peer_chunks_add (chunks, (PeerRange){3 * (i - 60), 3 * (i - 60) + 1}));
  }
  g_assert_cmpuint (peer_chunks_n_runs (chunks), ==, 0);
  g_assert_cmpuint (peer_chunks_memory (chunks), <, 200 * sizeof (PeerRange));
}

/* Runs at either end cost the same, however many there are: a quadratic set would take minutes. */
static void
test_many_runs (void)
{
  g_autoptr (PeerChunks) up = peer_chunks_new (0), down = peer_chunks_new (0);
  const uint64_t n = 300000;

  for (uint64_t i = 0; i < n; i++) {
    g_assert_true (peer_chunks_add (up, (PeerRange){2 * i, 2 * i + 1}));
    g_assert_true (peer_chunks_add (down, (PeerRange){2 * (n - i), 2 * (n - i) + 1}));
  }
  g_assert_cmpuint (peer_chunks_n_runs (up), ==, n);
  g_assert_cmpuint (peer_chunks_n_runs (down), ==, n);
  for (uint64_t i = 0; i < n; i++) {
    peer_chunks_remove (up, (PeerRange){2 * i, 2 * i + 1});
    peer_chunks_remove (down, (PeerRange){2 * (n - i), 2 * (n - i) + 1});
  }
  g_assert_true (peer_chunks_is_empty (up) && peer_chunks_is_empty (down));
}

static PeerRange
random_range (GRand *random)
{
  uint32_t first = (uint32_t)g_rand_int_range (random, 0, UNIVERSE);
  uint32_t most = g_rand_int_range (random, 0, 4) == 0 ? UNIVERSE : 6;

  return (PeerRange){first, first + (uint32_t)g_rand_int_range (
                                        random, 0, (gint)MIN (most, UNIVERSE - first) + 1)};
}

static void
compare_run (const PeerChunks *chunks, const bool *naive, PeerRange range)
{
  bool all = true, any = false;
  PeerRange gap = {range.end, range.end}, next = gap;

  for (uint64_t i = range.first; i < range.end; i++) {
    all = all && naive[i];
    any = any || naive[i];
  }
  for (uint64_t i = range.end; i > range.first; i--) {
    PeerRange *of = naive[i - 1] ? &next : &gap;

    of->end = i < range.end && naive[i] == naive[i - 1] ? of->end : i;
    of->first = i - 1;
  }
  g_assert_cmpint (peer_chunks_has_all (chunks, range), ==, all);
  g_assert_cmpint (peer_chunks_has_any (chunks, range), ==, any);
  assert_range (peer_chunks_gap (chunks, range), gap.first, gap.end);
  assert_range (peer_chunks_next (chunks, range), next.first, next.end);
}

static void
compare_all (const PeerChunks *chunks, const bool *naive)
{
  uint64_t count = 0;
  size_t n_runs = 0;

  for (uint64_t i = 0; i < UNIVERSE; i++) {
    g_assert_cmpint (peer_chunks_has (chunks, i), ==, naive[i]);
    count += naive[i] ? 1 : 0;
    n_runs += naive[i] && (i == 0 || !naive[i - 1]) ? 1 : 0;
  }
  g_assert_cmpuint (peer_chunks_count (chunks), ==, count);
  g_assert_cmpuint (peer_chunks_n_runs (chunks), ==, n_runs);
  for (size_t i = 0; i < n_runs; i++) {
    PeerRange run = peer_chunks_run (chunks, i);

    g_assert_true (peer_chunks_has_all (chunks, run));
    assert_range (peer_chunks_around (chunks, run.end - 1), run.first, run.end);
    g_assert_true (i == 0 || peer_chunks_run (chunks, i - 1).end < run.first);
  }
}

static void
test_like_a_bitmap (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed ((guint32)g_test_rand_int ());

  for (int round = 0; round < 60; round++) {
    g_autoptr (PeerChunks) chunks = peer_chunks_new (0);
    bool naive[UNIVERSE] = {false};

    for (int step = 0; step < 200; step++) {
      PeerRange range = random_range (random);
      bool add = g_rand_boolean (random);

      memset (naive + range.first, add, peer_range_size (range));
      if (add)
        g_assert_true (peer_chunks_add (chunks, range));
      else
        peer_chunks_remove (chunks, range);
      compare_all (chunks, naive);
      for (int i = 0; i < 4; i++)
        compare_run (chunks, naive, random_range (random));
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/chunks/bins-are-those-of-the-figure", test_bins_of_figure);
  g_test_add_func ("/peer/chunks/bins-at-the-edge-do-not-overflow", test_bins_at_the_edge);
  g_test_add_func ("/peer/chunks/nodes-are-aligned-powers-of-two", test_node);
  g_test_add_func ("/peer/chunks/intersection", test_intersection);
  g_test_add_func ("/peer/chunks/touching-runs-become-one", test_runs_merge);
  g_test_add_func ("/peer/chunks/limit-of-runs-holds", test_limit);
  g_test_add_func ("/peer/chunks/everything-fits", test_everything);
  g_test_add_func ("/peer/chunks/window-slides-for-ever", test_sliding_window);
  g_test_add_func ("/peer/chunks/many-runs-are-cheap-at-the-ends", test_many_runs);
  g_test_add_func ("/peer/chunks/answers-like-a-bitmap", test_like_a_bitmap);
  return g_test_run ();
}
