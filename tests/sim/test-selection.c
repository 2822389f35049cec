/* SPDX-License-Identifier: Apache-2.0 */
/* What the tracker's choice does to a swarm: the same channel, the same homes in three regions, once with
 * peers that are named at random and once with those of one's own region first. */
#include "tests/sim/world.h"

#define S G_USEC_PER_SEC
#define MS 1000
#define MBIT 125000 /* bytes/s */
#define N_REGIONS 3
#define VIEWERS 60
#define UNTIL (25 * S)

typedef struct {
  double abroad; /* share of the bytes that went to another region */
  SimReport report;
} Figures;

/* One way: Europe, the east of North America, East Asia. */
static const int64_t delays[N_REGIONS * N_REGIONS] = {
    0,        40 * MS, 110 * MS, /**/
    40 * MS,  0,       90 * MS,  /**/
    110 * MS, 90 * MS, 0,
};

static void
random_fill (void *data, uint8_t *out, size_t n)
{
  sim_random_fill (data, out, n);
}

static SimLine
home (SimRandom *random, unsigned region)
{
  return (SimLine){.up = (uint64_t)(3 + sim_random_below (random, 6)) * MBIT,
                   .down = 50 * MBIT,
                   .queue = 128 * 1024,
                   .delay = (int64_t)(3 + sim_random_below (random, 10)) * MS,
                   .jitter = MS,
                   .region = region};
}

/* What the operator's file would say: whose addresses are where. */
static TrackerPlaces *
places_of (SimWorld *world)
{
  TrackerPlaces *places = tracker_places_new ();
  for (unsigned i = 0; i < sim_world_n_peers (world); i++) {
    PeerAddress address;
    sim_net_address (sim_world_net (world), i, &address);
    g_autofree char *ip = peer_address_ip_to_string (&address);
    g_autofree char *line =
        g_strdup_printf ("%s region%u\n", ip, sim_net_line (sim_world_net (world), i)->region);
    g_assert_true (tracker_places_read_table (places, line, NULL));
  }
  tracker_places_settle (places);
  return places;
}

static Figures
run (bool blind)
{
  SimRandom random = {7}, chance = {11};
  TrackerRegistryOptions registry = {.random = random_fill,
                                     .random_data = &chance,
                                     .max_peers_per_ip = 1000, /* one /64 is all of IPv6 here */
                                     .blind = blind};
  g_autoptr (TrackerRegistry) tracker = tracker_registry_new (&registry);
  SimWorldOptions options;
  sim_world_options_init (&options);
  options.bitrate = 2000000;
  options.max_peers = 8;
  options.registry = tracker;
  g_autoptr (SimWorld) world = sim_world_new (&options);
  sim_net_set_regions (sim_world_net (world), N_REGIONS, delays);
  SimLine source = {.up = 16 * MBIT, .down = 100 * MBIT, .queue = 512 * 1024, .delay = 5 * MS};
  sim_world_add_source (world, &source);
  for (unsigned i = 0; i < VIEWERS; i++) {
    SimLine line = home (&random, i % N_REGIONS);
    sim_world_add_viewer (world, &line, 3 * S + (int64_t)sim_random_below (&random, 5 * S));
  }
  if (!blind)
    tracker_registry_set_places (tracker, places_of (world));
  sim_world_run (world, UNTIL);
  Figures figures = {0};
  uint64_t sent = 0, abroad = 0;
  for (unsigned i = 0; i < sim_world_n_peers (world); i++) {
    const SimNetStats *stats = sim_net_stats (sim_world_net (world), i);
    sent += stats->bytes_sent;
    abroad += stats->bytes_abroad;
  }
  figures.abroad = (double)abroad / (double)sent;
  sim_world_report (world, &figures.report);
  sim_world_print (world, blind ? "named at random" : "own region first");
  g_test_message ("%s: %.1f %% of all bytes to another region, lag %.2f s (p50), %.2f s (p95)",
                  blind ? "random" : "own region first", 100 * figures.abroad,
                  (double)figures.report.lag_p50 / S, (double)figures.report.lag_p95 / S);
  return figures;
}

/* RFC 6972, 5.1: less goes the long way, and nobody sees the picture later or worse for it. */
static void
own_region_first_saves_the_long_way (void)
{
  Figures random = run (true), chosen = run (false);
  g_assert_cmpuint (random.report.started, ==, VIEWERS);
  g_assert_cmpuint (chosen.report.started, ==, VIEWERS);
  g_assert_cmpfloat (random.abroad, >, 0.5); /* two thirds of those named are elsewhere */
  g_assert_cmpfloat (chosen.abroad, <, 0.7 * random.abroad);
  g_assert_cmpint (chosen.report.lag_p50, <=, random.report.lag_p50 + 100 * MS);
  g_assert_cmpint (chosen.report.lag_p95, <=, random.report.lag_p95 + 300 * MS);
  g_assert_cmpfloat (chosen.report.stalled, <=, random.report.stalled + 0.01);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sim/selection/own-region-first-saves-the-long-way",
                   own_region_first_saves_the_long_way);
  return g_test_run ();
}
