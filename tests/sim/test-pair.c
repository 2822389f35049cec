/* SPDX-License-Identifier: Apache-2.0 */
/* One seeder gives one leecher a file: what a way with delay and loss leaves of it, in counts, and in
 * a time that is arithmetic and the same on each machine. With options of its own it prints one run:
 *   test-pair --delay 20 --loss 0.01 --tolerance 2 */
#include "tests/sim/world.h"

#include <stdlib.h>

#define S G_USEC_PER_SEC
#define MS 1000
#define MBIT 125000 /* bytes/s */

typedef struct {
  double delay;       /* ms, one way */
  double loss;        /* share, each way */
  unsigned tolerance; /* percent */
  unsigned megabytes;
  uint64_t seed;
} Options;

typedef struct {
  PeerCounters seeder, leecher;
  double mbit;              /* bits/us */
  double datagrams_per_kib; /* both ways */
  double lost;              /* share of the chunks that the seeder took for lost */
} Result;

static void
run (const Options *options, Result *out)
{
  SimWorldOptions world;
  sim_world_options_init (&world);
  world.seed = options->seed;
  world.length = (uint64_t)options->megabytes * 1000000;
  world.length_told = true;
  world.loss_tolerance = options->tolerance;
  g_autoptr (SimWorld) self = sim_world_new (&world);
  SimLine line = {.up = 1000 * MBIT,
                  .down = 1000 * MBIT,
                  .queue = 4 << 20,
                  .delay = (int64_t)(options->delay * MS / 2),
                  .loss = options->loss};
  unsigned seeder = sim_world_add_source (self, &line);
  unsigned leecher = sim_world_add_viewer (self, &line, 0);
  g_assert_true (sim_world_run_until_fetched (self, 1000 * S));
  SimViewer viewer;
  sim_world_viewer (self, leecher, &viewer);
  sim_world_counters (self, seeder, &out->seeder);
  sim_world_counters (self, leecher, &out->leecher);
  double kib = (double)world.length / 1024;
  out->mbit = (double)world.length * 8 / (double)(viewer.started - viewer.joined);
  out->datagrams_per_kib = (double)(out->seeder.datagrams_sent + out->leecher.datagrams_sent) / kib;
  out->lost = (double)out->seeder.chunks_lost / (double)out->leecher.chunks_received;
}

static void
print (const Options *options, const Result *result)
{
  const PeerCounters *seeder = &result->seeder, *leecher = &result->leecher;
  g_print (
      "# %g ms, %g %% loss, tolerance %u %%: %.1f Mbit/s, %.3f datagrams/KiB, %.2f %% taken for"
      " lost\n",
      options->delay, options->loss * 100, options->tolerance, result->mbit,
      result->datagrams_per_kib, result->lost * 100);
  g_print ("#   of %u chunks %u came twice and %u unproven; %u datagrams there, %u back\n",
           (unsigned)leecher->chunks_received, (unsigned)leecher->chunks_duplicate,
           (unsigned)leecher->chunks_unproven, (unsigned)seeder->datagrams_sent,
           (unsigned)leecher->datagrams_sent);
}

/* Even where each datagram comes alone; under load a batch is answered at once (test-udp). */
static void
test_few_datagrams (void)
{
  for (double delay = 0; delay <= 20; delay += 20) {
    Options options = {.delay = delay, .megabytes = 20, .seed = 1};
    Result result;
    run (&options, &result);
    print (&options, &result);
    g_assert_cmpfloat (result.datagrams_per_kib, <=, 1.1);
    g_assert_cmpuint (result.seeder.chunks_lost, ==, 0);
    g_assert_cmpuint (result.leecher.chunks_duplicate, ==, 0);
    g_assert_cmpuint (result.leecher.chunks_unproven, ==, 0);
  }
}

/* What is lost is sent again, and little else: neither what rests on hashes that were lost, nor what
 * an acknowledgement told of that was lost. */
static void
check_loss (unsigned tolerance, double least, double most)
{
  double mbit = 0, lost = 0;
  const unsigned runs = 4;
  for (unsigned seed = 1; seed <= runs; seed++) {
    Options options = {
        .delay = 20, .loss = 0.01, .tolerance = tolerance, .megabytes = 10, .seed = seed};
    Result result;
    run (&options, &result);
    print (&options, &result);
    mbit += result.mbit / runs;
    lost += result.lost / runs;
    g_assert_cmpfloat (result.datagrams_per_kib, <, 1.25);
  }
  g_assert_cmpfloat (mbit, >, least);
  g_assert_cmpfloat (mbit, <, most);
  g_assert_cmpfloat (lost, <, 0.05);
}

/* RFC 6817, 2.4.2: a loss halves the window, so this is what TCP gets there: 1.22 windows of a
 * datagram, by the root of the loss, in a round trip (2.7 Mbit/s). */
static void
test_loss_halves (void)
{
  check_loss (0, 1.8, 4);
}

/* As configured (RFC 7574, 8.15): a way that loses 1 % is not full. */
static void
test_loss_is_tolerated (void)
{
  check_loss (2, 50, 1000);
}

static void
read_options (int argc, char **argv, Options *out)
{
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *value = argv[i + 1];
    if (g_str_equal (argv[i], "--delay"))
      out->delay = atof (value);
    else if (g_str_equal (argv[i], "--loss"))
      out->loss = atof (value);
    else if (g_str_equal (argv[i], "--tolerance"))
      out->tolerance = (unsigned)atoi (value);
    else if (g_str_equal (argv[i], "--megabytes"))
      out->megabytes = (unsigned)atoi (value);
    else if (g_str_equal (argv[i], "--seed"))
      out->seed = strtoull (value, NULL, 10);
  }
}

int
main (int argc, char **argv)
{
  Options options = {.delay = 20, .loss = 0.01, .megabytes = 20, .seed = 1};
  if (argc > 1 && g_str_has_prefix (argv[1], "--delay")) {
    Result result;
    read_options (argc, argv, &options);
    run (&options, &result);
    print (&options, &result);
    return 0;
  }
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sim/pair/acknowledgements-are-few", test_few_datagrams);
  g_test_add_func ("/sim/pair/loss-halves-the-window", test_loss_halves);
  g_test_add_func ("/sim/pair/loss-is-tolerated-if-told", test_loss_is_tolerated);
  return g_test_run ();
}
