/* SPDX-License-Identifier: Apache-2.0 */
/* Whole swarms. With options of its own it runs one live swarm and prints its figures:
 *   test-swarm --seed 7 --peers 40 --bitrate 8000000 --seconds 120 --loss 0.05 */
#include "tests/sim/options.h"
#include "tests/sim/world.h"

#include <stdlib.h>

#define S G_USEC_PER_SEC
#define MS 1000
#define ON_AIR (5 * S) /* us: the stream runs when the first viewer comes */
#define MBIT 125000    /* bytes/s */

typedef struct {
  uint64_t seed, bitrate;
  unsigned peers, seconds;
  double loss;
} Options;

static const Options default_options = {1, 4000000, 20, 60, 0.02};

static SimLine
source_line (double loss)
{
  return (SimLine){.up = 20 * MBIT,
                   .down = 20 * MBIT,
                   .queue = 256 * 1024,
                   .delay = 10 * MS,
                   .jitter = 2 * MS,
                   .loss = loss};
}

/* Homes: 8 to 20 Mbit/s up, 50 down, 10 to 60 ms from the middle of the network. */
static SimLine
home_line (SimRandom *random, double loss)
{
  return (SimLine){.up = (8 + sim_random_below (random, 13)) * MBIT,
                   .down = 50 * MBIT,
                   .queue = 128 * 1024,
                   .delay = (int64_t)(10 + sim_random_below (random, 51)) * MS,
                   .jitter = 3 * MS,
                   .loss = loss};
}

/* The first viewer comes when the source is on the air; the others over the first half of the time. */
static SimWorld *
live_swarm (const Options *options)
{
  SimWorldOptions world;
  sim_world_options_init (&world);
  world.seed = options->seed;
  world.bitrate = options->bitrate;
  SimWorld *self = sim_world_new (&world);
  SimRandom random = {options->seed ^ 0x706c61636573u};
  SimLine line = source_line (options->loss);
  sim_world_add_source (self, &line);
  for (unsigned i = 0; i < options->peers; i++) {
    line = home_line (&random, options->loss);
    int64_t spread = (int64_t)options->seconds * S / 2 / MAX (options->peers, 1);
    sim_world_add_viewer (self, &line,
                          ON_AIR + i * spread + (int64_t)sim_random_below (&random, MS));
  }
  return self;
}

/* From its start until now, which must be no later than the stream's end. */
static void
assert_plays (SimWorld *world, unsigned peer)
{
  SimViewer viewer;
  sim_world_viewer (world, peer, &viewer);
  g_assert_cmpint (viewer.started, >=, 0);
  g_assert_cmpuint (viewer.stalls, ==, 0);
  g_assert_cmpuint (viewer.skipped, ==, 0);
  g_assert_cmpint (viewer.worst_lag, <=, 5 * S);
  /* a chunk that is waited for and not due yet holds up what is handed to the player, no picture */
  g_assert_cmpint (viewer.last_played, >, sim_net_now (sim_world_net (world)) - 3 * S);
}

static void
test_live_plays_without_a_stall (void)
{
  g_autoptr (SimWorld) world = live_swarm (&default_options);
  sim_world_run (world, ON_AIR + default_options.seconds * S);
  sim_world_print (world, "live");
  SimReport report;
  sim_world_report (world, &report);
  g_assert_cmpfloat (report.overhead, <, 0.21);
  g_assert_cmpfloat (report.datagrams, <, 2.6);
  for (unsigned i = 1; i <= default_options.peers; i++) {
    SimViewer viewer;
    sim_world_viewer (world, i, &viewer);
    assert_plays (world, i);
    /* the first is there before the first munro is signed, and before there is what to play */
    g_assert_cmpint (viewer.started - viewer.joined, <=, 2 * S);
  }
}

static void
test_same_seed_gives_the_same_trace (void)
{
  Options options = {99, 2000000, 6, 12, 0.03};
  uint64_t traces[3];
  for (unsigned i = 0; i < 3; i++) {
    options.seed = i < 2 ? 99 : 100;
    g_autoptr (SimWorld) world = live_swarm (&options);
    sim_world_run (world, options.seconds * S);
    SimReport report;
    sim_world_report (world, &report);
    g_assert_cmpuint (report.played, >, 1000);
    traces[i] = report.trace;
  }
  g_assert_cmpuint (traces[0], ==, traces[1]);
  g_assert_cmpuint (traces[0], !=, traces[2]);
}

/* While the source is away nobody can play what nobody has made; when it is back, all do. */
static void
test_source_that_returns_is_played_again (void)
{
  Options options = {3, 4000000, 6, 40, 0.02};
  g_autoptr (SimWorld) world = live_swarm (&options);
  sim_world_vanish (world, 0, 25 * S);
  sim_world_return (world, 0, 30 * S);
  int64_t returned = 30 * S;
  sim_world_run (world, returned + 3 * S);
  for (unsigned i = 1; i <= options.peers; i++) {
    SimViewer viewer;
    sim_world_viewer (world, i, &viewer);
    g_assert_cmpint (viewer.last_played, >, returned);
  }
  sim_world_run (world, 40 * S);
  sim_world_print (world, "source returns");
  for (unsigned i = 1; i <= options.peers; i++) {
    SimViewer viewer;
    sim_world_viewer (world, i, &viewer);
    g_assert_cmpint (viewer.last_played, >, 39 * S);
    g_assert_cmpint (viewer.worst_lag, <=, 5 * S);
  }
}

static void
test_source_that_says_goodbye_may_return (void)
{
  Options options = {4, 4000000, 4, 30, 0.02};
  g_autoptr (SimWorld) world = live_swarm (&options);
  sim_world_leave (world, 0, 20 * S);
  sim_world_return (world, 0, 22 * S);
  sim_world_run (world, 30 * S);
  sim_world_print (world, "source says goodbye");
  for (unsigned i = 1; i <= options.peers; i++) {
    SimViewer viewer;
    sim_world_viewer (world, i, &viewer);
    g_assert_cmpint (viewer.last_played, >, 29 * S);
  }
}

/* Peers that vanish take with them what was asked of them, and nobody else notices. */
static void
test_peers_that_vanish_are_not_missed (void)
{
  Options options = {5, 4000000, 12, 30, 0.02};
  g_autoptr (SimWorld) world = live_swarm (&options);
  for (unsigned i = 2; i <= options.peers; i += 3)
    sim_world_vanish (world, i, (16 + (int64_t)i) * S);
  sim_world_run (world, 35 * S);
  sim_world_print (world, "peers vanish");
  for (unsigned i = 1; i <= options.peers; i++)
    if (i % 3 != 2)
      assert_plays (world, i);
}

/* A home's router gives it another port in the middle of the stream. */
static void
test_viewer_behind_a_new_port_goes_on (void)
{
  Options options = {6, 4000000, 5, 20, 0.02};
  g_autoptr (SimWorld) world = live_swarm (&options);
  sim_world_rebind (world, 3, 14 * S);
  sim_world_run (world, 30 * S);
  sim_world_print (world, "new port");
  for (unsigned i = 1; i <= options.peers; i++) {
    SimViewer viewer;
    sim_world_viewer (world, i, &viewer);
    g_assert_cmpint (viewer.last_played, >, 29 * S);
    if (i != 3)
      assert_plays (world, i);
  }
}

/* Datagrams that come twice and out of order change nothing but their count. */
static void
test_duplicates_and_reordering_are_harmless (void)
{
  Options options = {8, 4000000, 5, 20, 0.01};
  g_autoptr (SimWorld) world = live_swarm (&options);
  for (unsigned i = 0; i <= options.peers; i++) {
    SimLine *line = sim_net_line (sim_world_net (world), i);
    line->duplicate = 0.1;
    line->reorder = 0.05;
    line->jitter = 20 * MS;
  }
  sim_world_run (world, 20 * S);
  sim_world_print (world, "duplicates");
  for (unsigned i = 1; i <= options.peers; i++)
    assert_plays (world, i);
}

static void
check_file (uint64_t seed, uint64_t length, unsigned peers, double loss, bool told, bool sequential,
            int64_t within, const char *title)
{
  SimWorldOptions options;
  sim_world_options_init (&options);
  options.seed = seed;
  options.length = length;
  options.length_told = told;
  options.sequential = sequential;
  g_autoptr (SimWorld) world = sim_world_new (&options);
  SimRandom random = {seed};
  SimLine line = source_line (loss);
  sim_world_add_source (world, &line);
  for (unsigned i = 0; i < peers; i++) {
    line = home_line (&random, loss);
    sim_world_add_viewer (world, &line, i * 200 * MS);
  }
  bool fetched = sim_world_run_until_fetched (world, within);
  sim_world_print (world, title);
  g_assert_true (fetched);
  for (unsigned i = 1; i <= peers; i++) {
    SimViewer viewer;
    sim_world_viewer (world, i, &viewer);
  }
}

static void
test_file_is_fetched_whole (void)
{
  check_file (11, 6 << 20, 5, 0.02, true, false, 60 * S, "file");
}

static void
test_file_of_unknown_size_is_fetched_whole (void)
{
  check_file (12, (4 << 20) + 777, 5, 0.02, false, false, 60 * S, "file of unknown size");
}

static void
test_file_in_order_is_fetched_whole (void)
{
  check_file (13, (2 << 20) + 1, 3, 0.02, false, true, 60 * S, "file in order");
}

static void
test_file_survives_heavy_loss (void)
{
  check_file (14, 1 << 20, 3, 0.2, false, false, 120 * S, "file, 20 % lost");
}

static void
test_tiny_files_are_fetched_whole (void)
{
  static const uint64_t lengths[] = {1, 1023, 1024, 1025, 2048, 3 * 1024, 7 * 1024 + 5};
  for (unsigned i = 0; i < G_N_ELEMENTS (lengths); i++) {
    check_file (20 + i, lengths[i], 2, 0.02, true, false, 20 * S, "tiny");
    check_file (40 + i, lengths[i], 2, 0.02, false, false, 20 * S, "tiny, unknown size");
  }
}

static void
run_one (const Options *options)
{
  g_autoptr (SimWorld) world = live_swarm (options);
  gint64 start = g_get_monotonic_time ();
  sim_world_run (world, (int64_t)options->seconds * S);
  sim_world_print_viewers (world);
  sim_world_print (world, "live");
  g_test_message ("%u s in %.1f s", options->seconds,
                  (double)(g_get_monotonic_time () - start) / G_USEC_PER_SEC);
}

static bool
parse_options (int *argc, char ***argv, Options *out)
{
  gint64 seed = -1, bitrate = -1;
  int peers = -1, seconds = -1;
  double loss = -1;
  const GOptionEntry entries[] = {
      {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "of all that is random", "N"},
      {"peers", 0, 0, G_OPTION_ARG_INT, &peers, "viewers", "N"},
      {"bitrate", 0, 0, G_OPTION_ARG_INT64, &bitrate, "of the stream, bits/s", "N"},
      {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "of simulated time", "N"},
      {"loss", 0, 0, G_OPTION_ARG_DOUBLE, &loss, "share of datagrams, each way", "SHARE"},
      {NULL},
  };
  sim_options_parse (entries, argc, argv);
  *out = default_options;
  out->seed = seed >= 0 ? (uint64_t)seed : out->seed;
  out->bitrate = bitrate > 0 ? (uint64_t)bitrate : out->bitrate;
  out->peers = peers > 0 ? (unsigned)peers : out->peers;
  out->seconds = seconds > 0 ? (unsigned)seconds : out->seconds;
  out->loss = loss >= 0 ? loss : out->loss;
  return seed >= 0 || bitrate > 0 || peers > 0 || seconds > 0 || loss >= 0;
}

int
main (int argc, char **argv)
{
  Options options;
  bool one = parse_options (&argc, &argv, &options);
  g_test_init (&argc, &argv, NULL);
  if (one) {
    run_one (&options);
    return 0;
  }
  g_test_add_func ("/sim/swarm/live-plays-without-a-stall", test_live_plays_without_a_stall);
  g_test_add_func ("/sim/swarm/same-seed-gives-the-same-trace",
                   test_same_seed_gives_the_same_trace);
  g_test_add_func ("/sim/swarm/source-that-returns-is-played-again",
                   test_source_that_returns_is_played_again);
  g_test_add_func ("/sim/swarm/source-that-says-goodbye-may-return",
                   test_source_that_says_goodbye_may_return);
  g_test_add_func ("/sim/swarm/peers-that-vanish-are-not-missed",
                   test_peers_that_vanish_are_not_missed);
  g_test_add_func ("/sim/swarm/viewer-behind-a-new-port-goes-on",
                   test_viewer_behind_a_new_port_goes_on);
  g_test_add_func ("/sim/swarm/duplicates-and-reordering-are-harmless",
                   test_duplicates_and_reordering_are_harmless);
  g_test_add_func ("/sim/swarm/file-is-fetched-whole", test_file_is_fetched_whole);
  g_test_add_func ("/sim/swarm/file-of-unknown-size-is-fetched-whole",
                   test_file_of_unknown_size_is_fetched_whole);
  g_test_add_func ("/sim/swarm/file-in-order-is-fetched-whole",
                   test_file_in_order_is_fetched_whole);
  g_test_add_func ("/sim/swarm/file-survives-heavy-loss", test_file_survives_heavy_loss);
  g_test_add_func ("/sim/swarm/tiny-files-are-fetched-whole", test_tiny_files_are_fetched_whole);
  return g_test_run ();
}
