/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/picker.h"

typedef struct {
  PeerChunks *have, *requested, *theirs[8];
  PeerPickChannel channels[8];
  PeerPickInput input;
  PeerWant want;
} Fixture;

static void
setup (Fixture *f, gconstpointer data)
{
  f->have = peer_chunks_new (0);
  f->requested = peer_chunks_new (0);
  for (unsigned i = 0; i < 8; i++) {
    f->theirs[i] = peer_chunks_new (0);
    f->channels[i] = (PeerPickChannel){f->theirs[i], 0, 1000, 100, 64, 16};
  }
  f->want = (PeerWant){{0, 1000}, 0, 1000};
  f->input = (PeerPickInput){&f->want, 1, f->have, f->requested, f->channels, 2, 0, 100000, 7};
}

static void
teardown (Fixture *f, gconstpointer data)
{
  peer_chunks_free (f->have);
  peer_chunks_free (f->requested);
  for (unsigned i = 0; i < 8; i++)
    peer_chunks_free (f->theirs[i]);
}

static void
test_due_first (Fixture *f, gconstpointer data)
{
  PeerPick picks[64];
  f->input.n_channels = 1;
  peer_chunks_add (f->theirs[0], (PeerRange){0, 1000});
  size_t n = peer_picker_pick (&f->input, picks, 64);
  g_assert_cmpuint (n, >=, 1);
  g_assert_cmpuint (picks[0].run.first, ==, 0);
  g_assert_cmpuint (peer_chunks_count (f->requested), ==, 64);
  g_assert_true (peer_chunks_has_all (f->requested, (PeerRange){0, 48}));
}

static void
test_nothing_twice (Fixture *f, gconstpointer data)
{
  PeerPick picks[64];
  PeerWant wants[2] = {{{0, 40}, 0, 1000}, {{20, 60}, 0, 1000}};
  f->input.wants = wants;
  f->input.n_wants = 2;
  peer_chunks_add (f->theirs[0], (PeerRange){0, 1000});
  peer_chunks_add (f->theirs[1], (PeerRange){0, 1000});
  peer_chunks_add (f->have, (PeerRange){5, 9});
  peer_chunks_add (f->requested, (PeerRange){30, 32});
  g_autoptr (PeerChunks) seen = peer_chunks_new (0);
  size_t n = peer_picker_pick (&f->input, picks, 64);
  uint64_t total = 0;
  for (size_t i = 0; i < n; i++) {
    g_assert_false (peer_chunks_has_any (seen, picks[i].run));
    g_assert_false (peer_chunks_has_any (f->have, picks[i].run));
    g_assert_false (peer_range_has (picks[i].run, 30) || peer_range_has (picks[i].run, 31));
    peer_chunks_add (seen, picks[i].run);
    total += peer_range_size (picks[i].run);
  }
  g_assert_cmpuint (total, ==, 60 - 4 - 2);
}

static void
test_quickest (Fixture *f, gconstpointer data)
{
  PeerPick picks[64];
  peer_chunks_add (f->theirs[0], (PeerRange){0, 1000});
  peer_chunks_add (f->theirs[1], (PeerRange){0, 1000});
  f->channels[0].ready = 50000;
  f->want.window.end = 8;
  size_t n = peer_picker_pick (&f->input, picks, 64);
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpuint (picks[0].channel, ==, 1);
}

static void
test_load_is_shared (Fixture *f, gconstpointer data)
{
  PeerPick picks[64];
  uint64_t given[2] = {0, 0};
  peer_chunks_add (f->theirs[0], (PeerRange){0, 1000});
  peer_chunks_add (f->theirs[1], (PeerRange){0, 1000});
  f->want.window.end = 64;
  size_t n = peer_picker_pick (&f->input, picks, 64);
  for (size_t i = 0; i < n; i++)
    given[picks[i].channel] += peer_range_size (picks[i].run);
  g_assert_cmpuint (given[0], ==, 32);
  g_assert_cmpuint (given[1], ==, 32);
}

static void
test_rarest (Fixture *f, gconstpointer data)
{
  PeerPick picks[64];
  f->want.deadline = 10000000;
  f->input.n_channels = 3;
  for (unsigned i = 0; i < 3; i++)
    peer_chunks_add (f->theirs[i], (PeerRange){0, 512});
  peer_chunks_remove (f->theirs[0], (PeerRange){256, 272});
  peer_chunks_remove (f->theirs[1], (PeerRange){256, 272});
  size_t n = peer_picker_pick (&f->input, picks, 64);
  g_assert_cmpuint (n, >, 1);
  g_assert_cmpuint (picks[0].run.first, ==, 256);
  g_assert_cmpuint (picks[0].channel, ==, 2);
}

/* What is here already must not use up how far the picker looks ahead. */
static void
test_far_into_a_file (Fixture *f, gconstpointer data)
{
  PeerPick picks[64];
  f->want = (PeerWant){{0, 1000000}, 10000000, 0};
  f->input.n_channels = 1;
  peer_chunks_add (f->theirs[0], (PeerRange){0, 1000000});
  peer_chunks_add (f->have, (PeerRange){0, 500000});
  g_assert_cmpuint (peer_picker_pick (&f->input, picks, 64), >, 0);
  g_assert_cmpuint (peer_chunks_count (f->requested), >=, 48);
  g_assert_cmpuint (picks[0].run.first, >=, 500000);
}

static void
test_reserve (Fixture *f, gconstpointer data)
{
  PeerPick picks[64];
  f->want.deadline = 10000000;
  f->input.n_channels = 1;
  peer_chunks_add (f->theirs[0], (PeerRange){0, 1000});
  peer_picker_pick (&f->input, picks, 64);
  g_assert_cmpuint (peer_chunks_count (f->requested), <=, 64);
  g_assert_cmpuint (f->channels[0].room, <=, 16);
}

static void
test_own_order (Fixture *f, gconstpointer data)
{
  PeerPick a[64], b[64];
  f->want.deadline = 10000000;
  peer_chunks_add (f->theirs[0], (PeerRange){0, 1000});
  size_t n = peer_picker_pick (&f->input, a, 64);
  peer_chunks_clear (f->requested);
  f->channels[0].room = 64;
  f->input.salt = 8;
  size_t m = peer_picker_pick (&f->input, b, 64);
  g_assert_cmpuint (n, >, 0);
  g_assert_cmpuint (m, >, 0);
  g_assert_cmpuint (a[0].run.first, !=, b[0].run.first);
}

static void
test_forgotten (Fixture *f, gconstpointer data)
{
  PeerPick picks[64];
  f->input.n_channels = 1;
  f->want.window.end = 30;
  peer_chunks_add (f->theirs[0], (PeerRange){0, 1000});
  f->channels[0].oldest = 20;
  peer_picker_pick (&f->input, picks, 64);
  g_assert_cmpuint (peer_chunks_count (f->requested), ==, 10);
  g_assert_true (peer_chunks_has_all (f->requested, (PeerRange){20, 30}));
}

/* Who is spared brings an eighth of what another has too, and all of what it alone has, even if the
 * other is busy. */
static void
test_spared (Fixture *f, gconstpointer data)
{
  PeerPick picks[64];
  uint32_t room = *(const uint32_t *)data;
  peer_chunks_add (f->theirs[0], (PeerRange){0, 1000});
  peer_chunks_add (f->theirs[1], (PeerRange){0, 40});
  f->channels[0].spared = true;
  f->channels[0].alone = 56;
  f->channels[0].ready = 0;
  f->channels[1].room = room;
  f->want.window.end = 80;
  size_t n = peer_picker_pick (&f->input, picks, 64);
  uint64_t shared = 0, alone = 0;
  for (size_t i = 0; i < n; i++)
    if (picks[i].channel == 0) {
      shared += MIN (picks[i].run.end, 40) - MIN (picks[i].run.first, 40);
      alone += MAX (picks[i].run.end, 40) - MAX (picks[i].run.first, 40);
    }
  g_assert_cmpuint (shared, ==, 8);
  g_assert_cmpuint (alone, ==, 40);
}

int
main (int argc, char **argv)
{
  static const uint32_t free_room = 64, no_room = 0;
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/peer/picker/" path, Fixture, NULL, setup, func, teardown)
  ADD ("what-is-due-comes-first", test_due_first);
  ADD ("nothing-is-asked-twice", test_nothing_twice);
  ADD ("the-quickest-is-asked", test_quickest);
  ADD ("equal-channels-share", test_load_is_shared);
  ADD ("the-rarest-comes-first-behind-the-horizon", test_rarest);
  ADD ("far-into-a-file-there-is-more-to-ask", test_far_into_a_file);
  ADD ("the-reserve-is-left", test_reserve);
  ADD ("each-peer-has-its-own-order", test_own_order);
  ADD ("what-a-peer-forgot-is-not-asked-of-it", test_forgotten);
  g_test_add ("/peer/picker/who-is-spared-brings-what-nobody-else-has", Fixture, &free_room, setup,
              test_spared, teardown);
  g_test_add ("/peer/picker/who-is-spared-does-not-step-in-for-who-is-busy", Fixture, &no_room,
              setup, test_spared, teardown);
  return g_test_run ();
}
