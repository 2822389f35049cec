/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/late.h"
#include <glib.h>
#include <string.h>

enum { STEP = 50 * 1000 }; /* us */

typedef struct {
  ProxyLate late;
  int64_t now;
  uint64_t peers, elsewhere;
} World;

static void
world_init (World *self)
{
  memset (self, 0, sizeof *self);
  self->now = INT64_C (1000000000);
  g_assert_false (proxy_late_judge (&self->late, self->now, 0, 0, 0));
}

/* For so many us: bytes/s from peers and from elsewhere; a reader waits since then, or not. */
static bool
go_on (World *self, int64_t us, uint64_t peers, uint64_t elsewhere, int64_t waits_since)
{
  for (int64_t end = self->now + us; self->now < end;) {
    self->now += STEP;
    self->peers += peers * STEP / 1000000;
    self->elsewhere += elsewhere * STEP / 1000000;
    proxy_late_judge (&self->late, self->now, waits_since < 0 ? self->now - STEP : waits_since,
                      self->peers, self->elsewhere);
  }
  return self->late.late;
}

static void
test_silence (void)
{
  World world;
  world_init (&world);
  g_assert_false (go_on (&world, 600000, 0, 0, world.now));
  g_assert_true (go_on (&world, 1000000, 0, 0, world.now));
}

/* One that gives a reader something to do for most of the time. */
static void
test_short_waits (void)
{
  World world;
  world_init (&world);
  for (unsigned i = 0; i < 100; i++) {
    g_assert_false (go_on (&world, STEP, 100000, 0, -1));
    g_assert_false (go_on (&world, 2 * STEP, 100000, 0, 0));
  }
  bool late = false;
  for (unsigned i = 0; i < 100 && !late; i++)
    late = go_on (&world, 2 * STEP, 100000, 0, -1) || go_on (&world, STEP, 100000, 0, 0);
  g_assert_true (late);
}

static void
test_nobody_waits (void)
{
  World world;
  world_init (&world);
  g_assert_false (go_on (&world, 60000000, 0, 0, 0));
  g_assert_false (go_on (&world, 60000000, 1000, 0, 0));
}

/* A reader that is always hungry is one that fills its buffer, as long as much comes. */
static void
test_greed (void)
{
  World world;
  world_init (&world);
  g_assert_false (go_on (&world, 10000000, PROXY_LATE_ENOUGH + 100000, 0, -1));
  g_assert_true (go_on (&world, 3000000, PROXY_LATE_ENOUGH / 2, 1000000, -1));
}

/* Much comes, but not what a reader waits for. */
static void
test_stuck (void)
{
  World world;
  world_init (&world);
  g_assert_true (go_on (&world, 3000000, 2 * PROXY_LATE_ENOUGH, 0, world.now));
  g_assert_false (go_on (&world, 1600000, 2 * PROXY_LATE_ENOUGH, 0, 0));
}

/* Nobody waits any more, as others bring it; the swarm is late all the same until it brings all. */
static void
test_taken_over (void)
{
  World world;
  world_init (&world);
  g_assert_true (go_on (&world, 2000000, 0, 0, world.now));
  g_assert_true (go_on (&world, 10000000, 0, 1000000, 0));
  g_assert_true (go_on (&world, 10000000, 500000, 500000, 0));
  g_assert_true (go_on (&world, 10000000, 0, 0, 0)); /* a pause says nothing of the swarm */
  g_assert_false (go_on (&world, 1600000, 1000000, 0, 0));
}

static void
test_enough (void)
{
  World world;
  world_init (&world);
  g_assert_true (go_on (&world, 2000000, 0, 0, world.now));
  g_assert_false (go_on (&world, 1600000, PROXY_LATE_ENOUGH + 100000, 1000000, -1));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/late/a-silent-swarm-is-late", test_silence);
  g_test_add_func ("/proxy/late/short-waits-are-none", test_short_waits);
  g_test_add_func ("/proxy/late/nothing-is-late-for-nobody", test_nobody_waits);
  g_test_add_func ("/proxy/late/a-greedy-reader-is-served-by-a-fast-swarm", test_greed);
  g_test_add_func ("/proxy/late/one-chunk-that-does-not-come-is-late", test_stuck);
  g_test_add_func ("/proxy/late/the-swarm-takes-over-when-it-brings-all", test_taken_over);
  g_test_add_func ("/proxy/late/the-swarm-takes-over-when-it-brings-enough", test_enough);
  return g_test_run ();
}
