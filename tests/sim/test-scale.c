/* SPDX-License-Identifier: Apache-2.0 */
/* Live swarms that are large: homes in four regions of the world, a third of them with less uplink
 * than the stream has, viewers that come and go, and a source that can feed a handful of them. With
 * options of its own it runs one and prints its figures:
 *   test-scale --run --peers 10000 --bitrate 8000000 --seconds 60 --churn 0.01 --trace run.jsonl */
#include "tests/sim/options.h"
#include "tests/sim/world.h"

#include <math.h>
#include <stdlib.h>

#define S G_USEC_PER_SEC
#define MS 1000
#define ON_AIR (3 * S) /* us: the stream runs when the first viewer comes */
#define MBIT 125000    /* bytes/s */
#define N_REGIONS 4

typedef struct {
  gint64 seed, bitrate;
  int peers, seconds, joining, neighbours, source_peers;
  double loss, slow, churn, rebind, source_up;
} Options;

static const Options default_options = {
    .seed = 1,
    .bitrate = 2000000,
    .peers = 1000,
    .seconds = 30,
    .joining = 14,
    .neighbours = 8,
    .source_peers = 10,
    .slow = 1.0 / 3,
    .source_up = 10,
};

/* One way, in milliseconds: Europe, both coasts of North America, East Asia. */
static const int64_t delays[N_REGIONS * N_REGIONS] = {
    0,        40 * MS, 70 * MS, 110 * MS, /**/
    40 * MS,  0,       30 * MS, 90 * MS,  /**/
    70 * MS,  30 * MS, 0,       55 * MS,  /**/
    110 * MS, 90 * MS, 55 * MS, 0,
};

static SimLine
source_line (const Options *options)
{
  double up = options->source_up * (double)options->bitrate / 8;
  return (SimLine){.up = (uint64_t)up,
                   .down = 100 * MBIT,
                   .queue = 512 * 1024,
                   .delay = 5 * MS,
                   .jitter = MS,
                   .loss = options->loss};
}

static double
between (SimRandom *random, double least, double most)
{
  return least + (most - least) * sim_random_unit (random);
}

/* Slow ones can send 0.3 to 0.9 times the stream, others 8 to 20 Mbit/s. */
static SimLine
home_line (const Options *options, SimRandom *random)
{
  bool slow = sim_random_unit (random) < options->slow;
  double up = slow ? between (random, 0.3, 0.9) * (double)options->bitrate / 8
                   : between (random, 8, 20) * MBIT;
  return (SimLine){.up = (uint64_t)up,
                   .down = 50 * MBIT,
                   .queue = 128 * 1024,
                   .delay = (int64_t)(between (random, 5, 25) * MS),
                   .jitter = 3 * MS,
                   .loss = options->loss,
                   .region = (unsigned)sim_random_below (random, N_REGIONS)};
}

/* us: a channel fills as word of it spreads, so more come each second than in the one before. */
static int64_t
joins_after (const Options *options, int viewer)
{
  double part = sqrt ((viewer + 0.5) / options->peers);
  return (int64_t)(part * (double)options->joining * S);
}

static SimWorld *
large_swarm (const Options *options, FILE *trace)
{
  SimWorldOptions world;
  sim_world_options_init (&world);
  world.seed = (uint64_t)options->seed;
  world.bitrate = (uint64_t)options->bitrate;
  world.max_peers = (unsigned)options->neighbours;
  world.source_named = false;
  world.patience = 10 * S; /* no picture before there is a buffer: the zap time is told as it is */
  world.source_peers = (uint32_t)options->source_peers;
  world.churn = options->churn;
  world.rebind = options->rebind;
  world.trace = trace;
  SimWorld *self = sim_world_new (&world);
  sim_net_set_regions (sim_world_net (self), N_REGIONS, delays);
  SimRandom random = {(uint64_t)options->seed ^ 0x706c61636573u};
  SimLine line = source_line (options);
  sim_world_add_source (self, &line);
  for (int i = 0; i < options->peers; i++) {
    line = home_line (options, &random);
    sim_world_add_viewer (self, &line, ON_AIR + joins_after (options, i));
  }
  if (options->churn > 0 || options->rebind > 0)
    sim_world_churn (self, ON_AIR + options->joining * S);
  return self;
}

static void
run_one (const Options *options, const char *trace, bool json, bool viewers)
{
  FILE *file = trace != NULL ? fopen (trace, "w") : NULL;
  if (trace != NULL && file == NULL) {
    g_printerr ("cannot write %s\n", trace);
    exit (2);
  }
  g_autoptr (SimWorld) world = large_swarm (options, file);
  gint64 start = g_get_monotonic_time ();
  sim_world_run (world, options->seconds * S);
  if (viewers)
    sim_world_print_viewers (world);
  if (json)
    sim_world_print_json (world, stdout);
  else
    sim_world_print (world, "scale");
  if (file != NULL)
    fclose (file);
  g_test_message ("%d s in %.1f s", options->seconds,
                  (double)(g_get_monotonic_time () - start) / G_USEC_PER_SEC);
}

/* true = one run was asked for, and is done. */
static bool
run_by_options (int *argc, char ***argv)
{
  Options own = default_options;
  g_autofree char *trace = NULL;
  gboolean one = FALSE, json = FALSE, viewers = FALSE;
  const GOptionEntry entries[] = {
      {"run", 0, 0, G_OPTION_ARG_NONE, &one, "one run with these options, and no test", NULL},
      {"seed", 0, 0, G_OPTION_ARG_INT64, &own.seed, "of all that is random", "N"},
      {"peers", 0, 0, G_OPTION_ARG_INT, &own.peers, "viewers", "N"},
      {"bitrate", 0, 0, G_OPTION_ARG_INT64, &own.bitrate, "of the stream, bits/s", "N"},
      {"seconds", 0, 0, G_OPTION_ARG_INT, &own.seconds, "of simulated time", "N"},
      {"joining", 0, 0, G_OPTION_ARG_INT, &own.joining, "seconds in which viewers come", "N"},
      {"neighbours", 0, 0, G_OPTION_ARG_INT, &own.neighbours, "named by the tracker", "N"},
      {"source-peers", 0, 0, G_OPTION_ARG_INT, &own.source_peers, "a quarter of its slots", "N"},
      {"source-up", 0, 0, G_OPTION_ARG_DOUBLE, &own.source_up, "its uplink, in streams", "N"},
      {"slow", 0, 0, G_OPTION_ARG_DOUBLE, &own.slow, "uplinks below the bitrate", "SHARE"},
      {"loss", 0, 0, G_OPTION_ARG_DOUBLE, &own.loss, "of datagrams", "SHARE"},
      {"churn", 0, 0, G_OPTION_ARG_DOUBLE, &own.churn, "viewers that go, a second", "SHARE"},
      {"rebind", 0, 0, G_OPTION_ARG_DOUBLE, &own.rebind, "ports that change, a second", "SHARE"},
      {"trace", 0, 0, G_OPTION_ARG_FILENAME, &trace, "what happens, for plot.py", "FILE"},
      {"json", 0, 0, G_OPTION_ARG_NONE, &json, "the figures as one object", NULL},
      {"viewers", 0, 0, G_OPTION_ARG_NONE, &viewers, "a line for each viewer", NULL},
      {NULL},
  };
  sim_options_parse (entries, argc, argv);
  g_test_init (argc, argv, NULL);
  if (one)
    run_one (&own, trace, json, viewers);
  return one;
}

static void
check (const Options *options, double least_played, double least_from_viewers, const char *title)
{
  g_autoptr (SimWorld) world = large_swarm (options, NULL);
  sim_world_run (world, options->seconds * S);
  sim_world_print (world, title);
  SimReport report;
  sim_world_report (world, &report);
  g_assert_cmpuint (report.viewers, >=, (unsigned)options->peers);
  g_assert_cmpuint (report.started * 10, >=, report.viewers * 9);
  g_assert_cmpfloat ((double)report.played, >=,
                     least_played * (double)(report.played + report.skipped));
  g_assert_cmpfloat (report.from_viewers, >=, least_from_viewers);
  g_assert_cmpint (report.lag_p95, <=, 7 * S);
}

static void
test_a_thousand_viewers_feed_each_other (void)
{
  check (&default_options, 0.99, 0.98, "a thousand");
}

/* They come faster than the source could feed them, and feed each other. */
static void
test_swarm_lives_through_a_rush (void)
{
  Options options = default_options;
  options.peers = 60;
  options.joining = 2;
  options.seconds = 12;
  check (&options, 0.85, 0.8, "rush");
}

static void
test_churn_loss_and_new_ports_are_borne (void)
{
  Options options = default_options;
  options.peers = 25;
  options.seconds = 25;
  options.loss = 0.02;
  options.churn = 0.02;
  options.rebind = 0.02;
  check (&options, 0.9, 0.7, "churn");
}

int
main (int argc, char **argv)
{
  if (run_by_options (&argc, &argv))
    return 0;
  g_test_add_func ("/sim/scale/swarm-lives-through-a-rush", test_swarm_lives_through_a_rush);
  g_test_add_func ("/sim/scale/a-thousand-viewers-feed-each-other",
                   test_a_thousand_viewers_feed_each_other);
  g_test_add_func ("/sim/scale/churn-loss-and-new-ports-are-borne",
                   test_churn_loss_and_new_ports_are_borne);
  return g_test_run ();
}
