/* SPDX-License-Identifier: Apache-2.0 */
/* How a registry bears a million peers: what they weigh, and what a request costs among them.
 *
 *     registry [MOST [SWARMS]]
 *
 * For 1,000, 10,000 ... MOST peers in SWARMS swarms (0.01 for each peer): bytes of memory for each, and
 * microseconds for a CONNECT, FIND and STAT_REPORT: the mean, and the dearest of a thousand at a time,
 * which tells of a table that is moved. One line each, as JSON. */
#include "peer/tracker/registry.h"
#include "tests/random.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 20000u
#define GROUP 100u

typedef struct {
  TrackerRegistry *registry;
  uint64_t state;
  uint32_t swarms;
  int64_t now;
  uint64_t transactions;
} Bench;

static size_t
resident (void)
{
  size_t pages = 0, all = 0;
  FILE *file = fopen ("/proc/self/statm", "r");
  if (file != NULL && fscanf (file, "%zu %zu", &all, &pages) != 2)
    pages = 0;
  if (file != NULL)
    fclose (file);
  return pages * 4096;
}

/* ns of this thread alone: the machine may have other work. */
static int64_t
cpu_time (void)
{
  struct timespec now;
  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static PeerAddress
home (uint32_t number)
{
  PeerAddress from = {.ip = {[10] = 0xff, [11] = 0xff}, .port = 40000};
  uint32_t ip = GUINT32_TO_BE (0x14000000u + number * 7u);
  memcpy (from.ip + 12, &ip, sizeof ip);
  return from;
}

static TrackerRequest *
request_new (Bench *self, TrackerRequestType type, uint32_t number)
{
  char id[33], transaction[24], swarm[41];
  g_snprintf (id, sizeof id, "%08x%08x%08x%08x", number, number * 2654435761u, number ^ 0x5bd1e995u,
              ~number);
  g_snprintf (transaction, sizeof transaction, "%" G_GUINT64_FORMAT, (guint64)self->transactions++);
  g_snprintf (swarm, sizeof swarm, "%040x", number % self->swarms);
  TrackerRequest *request = tracker_request_new (type, transaction, id);
  TrackerSwarm *named = tracker_request_add_swarm (request, swarm);
  named->mode = number % 50 == 0 ? TRACKER_MODE_SEEDER : TRACKER_MODE_LEECH;
  named->uploaded = named->downloaded = number;
  request->peer_num = (TrackerPeerNum){.said = type != TRACKER_REQUEST_STAT_REPORT,
                                       .peer_count = TRACKER_MAX_PEERS,
                                       .upload_bandwidth = 125000};
  if (type == TRACKER_REQUEST_CONNECT) {
    TrackerAddress address = {.address = home (number), .priority = 1, .ppspp = true};
    address.address.port = 7574;
    g_array_append_val (request->addresses, address);
  }
  return request;
}

static int64_t
ask (Bench *self, TrackerRequestType type, uint32_t number)
{
  PeerAddress from = home (number);
  g_autoptr (TrackerRequest) request = request_new (self, type, number);
  int64_t began = cpu_time ();
  TrackerResponse *response = tracker_registry_answer (self->registry, self->now, request, &from);
  int64_t took = cpu_time () - began;
  if (response->status != TRACKER_STATUS_OK) {
    fprintf (stderr, "peer %u: error %d\n", number, (int)response->status);
    exit (EXIT_FAILURE);
  }
  tracker_response_free (response);
  return took;
}

static void
measure (Bench *self, const char *name, TrackerRequestType type, uint32_t peers)
{
  int64_t sum = 0, worst = 0, group = 0;
  for (unsigned i = 0; i < ROUNDS; i++) {
    uint32_t dice;
    random_bytes (&self->state, (uint8_t *)&dice, sizeof dice);
    int64_t took = ask (self, type, dice % peers);
    sum += took;
    group += took;
    if (i % GROUP == GROUP - 1) {
      worst = MAX (worst, group);
      group = 0;
    }
  }
  printf (", \"%s_us\": %.2f, \"%s_worst_us\": %.2f", name, (double)sum / ROUNDS / 1e3, name,
          (double)worst / GROUP / 1e3);
}

static void
bench (uint32_t peers, uint32_t swarms)
{
  Bench self = {.state = RANDOM_SEED, .swarms = swarms, .now = G_USEC_PER_SEC};
  TrackerRegistryOptions options = {
      .random = random_bytes, .random_data = &self.state, .max_peers = peers};
  malloc_trim (0);
  size_t before = resident ();
  self.registry = tracker_registry_new (&options);
  int64_t joining = 0, longest = 0;
  for (uint32_t i = 0; i < peers; i++) {
    int64_t took = ask (&self, TRACKER_REQUEST_CONNECT, i);
    joining += took;
    longest = MAX (longest, took);
  }
  size_t after = resident ();
  printf ("{\"peers\": %u, \"swarms\": %u, \"bytes_each\": %zu, \"megabytes\": %.1f, "
          "\"process_megabytes\": %.1f, \"join_us\": %.2f, \"longest_join_us\": %d",
          peers, swarms, (after - before) / peers, (double)(after - before) / 1e6,
          (double)after / 1e6, (double)joining / peers / 1e3, (int)(longest / 1000));
  measure (&self, "find", TRACKER_REQUEST_FIND, peers);
  measure (&self, "report", TRACKER_REQUEST_STAT_REPORT, peers);
  self.now += TRACKER_TRACK_TIMEOUT; /* all of them are gone at once, and somebody asks */
  PeerAddress from = home (peers);
  g_autoptr (TrackerRequest) request = request_new (&self, TRACKER_REQUEST_CONNECT, peers);
  int64_t began = cpu_time ();
  tracker_response_free (tracker_registry_answer (self.registry, self.now, request, &from));
  printf (", \"request_when_all_expire_us\": %d}\n", (int)((cpu_time () - began) / 1000));
  fflush (stdout);
  tracker_registry_free (self.registry);
}

int
main (int argc, char **argv)
{
  uint32_t most = argc > 1 ? (uint32_t)strtoul (argv[1], NULL, 10) : 1000000;
  uint32_t swarms = argc > 2 ? (uint32_t)strtoul (argv[2], NULL, 10) : 0;
  for (uint32_t peers = 1000; peers <= most; peers *= 10)
    bench (peers, swarms != 0 ? swarms : MAX (1, peers / 100));
  return EXIT_SUCCESS;
}
