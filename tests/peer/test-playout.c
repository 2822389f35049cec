/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/playout.h"

#define MUNRO 64
#define CHUNK_TIME 2000 /* us: 64 chunks last 128 ms */
#define WALL INT64_C (1700000000000000)

static const PeerPlayoutOptions options = {1128, MUNRO, 1000000, 2500000};

static PeerRange
munro (uint64_t i)
{
  return (PeerRange){i * MUNRO, (i + 1) * MUNRO};
}

static void
edge (PeerPlayout *playout, uint64_t i, int64_t delay)
{
  int64_t made = (int64_t)i * MUNRO * CHUNK_TIME;
  peer_playout_edge (playout, made + delay, munro (i), WALL + made);
}

static void
test_two_munros (void)
{
  g_autoptr (PeerPlayout) playout = peer_playout_new (&options);
  PeerWant want;
  g_assert_false (peer_playout_want (playout, 0, &want));
  edge (playout, 100, 5000);
  g_assert_false (peer_playout_tuned_in (playout));
  g_assert_true (peer_playout_want (playout, 0, &want));
  g_assert_cmpuint (want.window.first, ==, 99 * MUNRO);
  g_assert_cmpuint (want.window.end, ==, 101 * MUNRO);
  /* the one before it comes with a chunk of it */
  edge (playout, 99, 6000);
  g_assert_true (peer_playout_tuned_in (playout));
  g_assert_cmpint (peer_playout_chunk_time (playout), ==, CHUNK_TIME);
  uint64_t back = 101 * MUNRO - peer_playout_position (playout);
  g_assert_cmpuint (back, >=, 500);
  g_assert_cmpuint (back, <=, 500 + 2 * MUNRO);
  g_assert_cmpuint (peer_playout_position (playout) % MUNRO, ==, 0);
}

static PeerPlayout *
tuned_in (void)
{
  PeerPlayout *playout = peer_playout_new (&options);
  edge (playout, 99, 5000);
  edge (playout, 100, 5000);
  return playout;
}

static void
test_contiguous (void)
{
  g_autoptr (PeerPlayout) playout = tuned_in ();
  g_autoptr (PeerChunks) have = peer_chunks_new (0);
  uint64_t at = peer_playout_position (playout), skipped;
  int64_t now = 100 * MUNRO * CHUNK_TIME + 5000;
  peer_chunks_add (have, (PeerRange){at + 1, at + 20});
  PeerRange run = peer_playout_next (playout, now, have, &skipped);
  g_assert_true (peer_range_is_empty (run));
  peer_chunks_add (have, (PeerRange){at, at + 1});
  run = peer_playout_next (playout, now, have, &skipped);
  g_assert_cmpuint (run.first, ==, at);
  g_assert_cmpuint (run.end, ==, at + 20);
  g_assert_cmpuint (skipped, ==, 0);
  g_assert_cmpuint (peer_playout_position (playout), ==, at + 20);
}

static void
test_skips (void)
{
  g_autoptr (PeerPlayout) playout = tuned_in ();
  g_autoptr (PeerChunks) have = peer_chunks_new (0);
  uint64_t at = peer_playout_position (playout), skipped;
  peer_chunks_add (have, (PeerRange){at + 3, at + 20});
  int64_t due = peer_playout_deadline (playout, have);
  g_assert_cmpint (due, !=, PEER_NEVER);
  PeerRange run = peer_playout_next (playout, due - 1, have, &skipped);
  g_assert_true (peer_range_is_empty (run));
  run = peer_playout_next (playout, due, have, &skipped);
  g_assert_cmpuint (run.first, ==, at + 3);
  g_assert_cmpuint (skipped, ==, 3);
}

static void
test_nothing_behind (void)
{
  g_autoptr (PeerPlayout) playout = tuned_in ();
  g_autoptr (PeerChunks) have = peer_chunks_new (0);
  uint64_t at = peer_playout_position (playout), skipped;
  peer_chunks_add (have, (PeerRange){at, at + 1});
  peer_playout_next (playout, 100 * MUNRO * CHUNK_TIME + 5000, have, &skipped);
  at++;
  for (uint64_t i = 101; i < 130; i++)
    edge (playout, i, 5000);
  int64_t due = peer_playout_deadline (playout, have);
  g_assert_cmpint (due, !=, PEER_NEVER);
  PeerRange run = peer_playout_next (playout, due - 1, have, &skipped);
  g_assert_cmpuint (peer_playout_position (playout), ==, at);
  run = peer_playout_next (playout, due, have, &skipped);
  g_assert_true (peer_range_is_empty (run));
  g_assert_cmpuint (peer_playout_position (playout), >, at);
  g_assert_cmpuint (peer_playout_position (playout), ==, at + skipped);
  g_assert_cmpuint (130 * MUNRO - peer_playout_position (playout), <=, 500 + 2 * MUNRO);
}

static void
test_restart (void)
{
  g_autoptr (PeerPlayout) playout = tuned_in ();
  g_autoptr (PeerChunks) have = peer_chunks_new (0);
  uint64_t skipped;
  peer_chunks_add (have, (PeerRange){0, 101 * MUNRO});
  peer_playout_next (playout, 0, have, &skipped);
  /* ten seconds later the source goes on far ahead */
  int64_t now = 100 * MUNRO * CHUNK_TIME + 10000000;
  peer_playout_edge (playout, now + 5000, munro (2000), WALL + now);
  peer_playout_edge (playout, now + 5000 + MUNRO * CHUNK_TIME, munro (2001),
                     WALL + now + MUNRO * CHUNK_TIME);
  g_assert_cmpint (peer_playout_chunk_time (playout), ==, CHUNK_TIME);
  peer_chunks_add (have, munro (2000));
  PeerRange run = peer_playout_next (playout, now + 6000, have, &skipped);
  g_assert_cmpuint (run.first, ==, 2000 * MUNRO);
  g_assert_cmpuint (run.end, ==, 2001 * MUNRO);
}

static void
test_deadlines (void)
{
  g_autoptr (PeerPlayout) playout = tuned_in ();
  PeerWant want;
  int64_t now = 100 * MUNRO * CHUNK_TIME + 5000;
  g_assert_true (peer_playout_want (playout, now, &want));
  g_assert_cmpuint (want.chunk_time, ==, CHUNK_TIME);
  /* the first chunk is about due as it is tuned in, the newest a lookback later */
  g_assert_cmpint (ABS (want.deadline - now), <=, 2 * MUNRO * CHUNK_TIME);
  int64_t newest = want.deadline + (int64_t)peer_range_size (want.window) * want.chunk_time;
  g_assert_cmpint (ABS (newest - now - options.lookback), <=, 2 * MUNRO * CHUNK_TIME);
}

/* The source is gone, its last subtree is known and nobody has it: whoever sleeps until the
 * deadline must not wake again and again for nothing. */
static void
test_nothing_to_skip_to (void)
{
  g_autoptr (PeerPlayout) playout = tuned_in ();
  g_autoptr (PeerChunks) have = peer_chunks_new (0);
  uint64_t skipped;
  int64_t due = peer_playout_deadline (playout, have);
  for (unsigned turns = 0; due != PEER_NEVER; turns++) {
    g_assert_cmpuint (turns, <, 10);
    peer_playout_next (playout, due, have, &skipped);
    due = peer_playout_deadline (playout, have);
  }
  /* a chunk that comes after all, or a munro, is something to wait for again */
  uint64_t at = peer_playout_position (playout);
  peer_chunks_add (have, (PeerRange){at + 10, at + 20});
  g_assert_cmpint (peer_playout_deadline (playout, have), !=, PEER_NEVER);
  peer_chunks_clear (have);
  edge (playout, 130, 5000);
  g_assert_cmpint (peer_playout_deadline (playout, have), !=, PEER_NEVER);
}

/* Sign All: a munro is one chunk, an input of the source makes a dozen at the same time, and some
 * come in another order or not at all. */
static void
test_single_chunks (void)
{
  const PeerPlayoutOptions single = {1128, 1, 1000000, 2500000};
  g_autoptr (PeerPlayout) playout = peer_playout_new (&single);
  PeerWant want;
  for (uint64_t i = 10000; i < 11000; i++) {
    uint64_t chunk = i % 7 == 3 ? i + 1 : i % 7 == 4 ? i - 1 : i;
    int64_t made = (int64_t)(chunk / 12 * 12) * CHUNK_TIME;
    if (chunk % 11 != 0)
      peer_playout_edge (playout, made + 5000, (PeerRange){chunk, chunk + 1}, WALL + made);
  }
  g_assert_true (peer_playout_tuned_in (playout));
  g_assert_cmpint (peer_playout_chunk_time (playout), >, CHUNK_TIME * 3 / 4);
  g_assert_cmpint (peer_playout_chunk_time (playout), <, CHUNK_TIME * 5 / 4);
  g_assert_true (peer_playout_want (playout, 0, &want));
  g_assert_cmpuint (want.window.end, ==, 11000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/playout/two-munros-tune-in", test_two_munros);
  g_test_add_func ("/peer/playout/delivers-what-is-contiguous", test_contiguous);
  g_test_add_func ("/peer/playout/skips-what-is-too-late", test_skips);
  g_test_add_func ("/peer/playout/tunes-in-anew-when-nothing-comes", test_nothing_behind);
  g_test_add_func ("/peer/playout/follows-a-source-that-restarts", test_restart);
  g_test_add_func ("/peer/playout/deadlines-follow-the-signed-times", test_deadlines);
  g_test_add_func ("/peer/playout/with-nothing-to-skip-to-there-is-no-deadline",
                   test_nothing_to_skip_to);
  g_test_add_func ("/peer/playout/munros-of-one-chunk-are-timed-in-groups", test_single_chunks);
  return g_test_run ();
}
