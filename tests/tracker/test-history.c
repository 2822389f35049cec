/* SPDX-License-Identifier: Apache-2.0 */
/* An evening in a registry, and what is kept of it. */
#include "peer/trackerd/history.h"
#include "tests/random.h"

#include <string.h>

#define MINUTE ((int64_t)60 * G_USEC_PER_SEC)

typedef struct {
  TrackerRegistry *registry;
  TrackerdHistory *history;
  int64_t now;
  uint64_t state;
  unsigned asked;
} World;

static void
world_init (World *w)
{
  *w = (World){.now = MINUTE, .state = RANDOM_SEED};
  TrackerRegistryOptions options = {.random = random_bytes, .random_data = &w->state};
  w->registry = tracker_registry_new (&options);
  w->history = trackerd_history_new ();
}

static void
world_clear (World *w)
{
  tracker_registry_free (w->registry);
  trackerd_history_free (w->history);
}

static void
say (World *w, TrackerRequestType type, const char *peer, const char *swarm_id,
     TrackerAction action, uint64_t downloaded)
{
  PeerAddress from;
  g_autofree char *transaction = g_strdup_printf ("%u", w->asked++);
  g_autoptr (TrackerRequest) request = tracker_request_new (type, transaction, peer);
  TrackerSwarm *swarm = tracker_request_add_swarm (request, swarm_id);
  swarm->action = action;
  swarm->mode = *peer == 's' ? TRACKER_MODE_SEEDER : TRACKER_MODE_LEECH;
  swarm->downloaded = downloaded;
  swarm->uploaded = downloaded / 2;
  swarm->late = (uint32_t)(downloaded / 100);
  g_assert_true (peer_address_parse ("127.0.0.1:1", &from));
  g_autoptr (TrackerResponse) response =
      tracker_registry_answer (w->registry, w->now, request, &from);
  g_assert_cmpint (response->status, ==, TRACKER_STATUS_OK);
}

static void
sample (World *w)
{
  w->now += 5 * MINUTE;
  trackerd_history_sample (w->history, w->registry, w->now);
}

static void
samples_tell_what_came_since_the_one_before (void)
{
  World w;
  world_init (&w);
  for (unsigned i = 0; i < 3; i++) {
    tracker_registry_expire (w.registry, w.now); /* each stays for less than five minutes */
    say (&w, TRACKER_REQUEST_CONNECT, "s", "a", TRACKER_ACTION_JOIN, 0);
    say (&w, TRACKER_REQUEST_CONNECT, "p", "a", TRACKER_ACTION_JOIN, 0);
    say (&w, TRACKER_REQUEST_STAT_REPORT, "p", "a", TRACKER_ACTION_JOIN, 1000 * (i + 1));
    sample (&w);
  }
  g_assert_cmpuint (trackerd_history_count (w.history, NULL), ==, 3);
  g_assert_cmpuint (trackerd_history_count (w.history, "a"), ==, 3);
  g_assert_cmpuint (trackerd_history_count (w.history, "b"), ==, 0);
  for (unsigned i = 0; i < 3; i++) {
    const char *const kinds[] = {NULL, "a"};
    for (unsigned j = 0; j < 2; j++) {
      const TrackerdSample *one = trackerd_history_get (w.history, kinds[j], i);
      g_assert_cmpuint (one->seeders, ==, 1);
      g_assert_cmpuint (one->leeches, ==, 1);
      g_assert_cmpuint (one->downloaded, ==, 1000 * (i + 1));
      g_assert_cmpuint (one->uploaded, ==, 500 * (i + 1));
      g_assert_cmpuint (one->late, ==, 10 * (i + 1));
      g_assert_cmpint (one->at, ==, MINUTE + 5 * MINUTE * (i + 1));
    }
  }
  world_clear (&w);
}

static void
count_swarm (const char *swarm_id, void *data)
{
  (*(unsigned *)data)++;
}

static void
past_has_a_limit (void)
{
  World w;
  unsigned n = 0;
  world_init (&w);
  for (unsigned i = 0; i < TRACKERD_HISTORY_SWARMS + 10; i++) {
    g_autofree char *id = g_strdup_printf ("p%u", i), *swarm = g_strdup_printf ("s%u", i);
    say (&w, TRACKER_REQUEST_CONNECT, id, swarm, TRACKER_ACTION_JOIN, 0);
  }
  sample (&w);
  trackerd_history_swarms (w.history, count_swarm, &n);
  g_assert_cmpuint (n, ==, TRACKERD_HISTORY_SWARMS);
  tracker_registry_expire (w.registry, w.now);
  for (unsigned i = 0; i < TRACKERD_HISTORY_SWARM_SAMPLES - 1; i++)
    sample (&w);
  n = 0;
  trackerd_history_swarms (w.history, count_swarm, &n);
  g_assert_cmpuint (n, ==, TRACKERD_HISTORY_SWARMS); /* the evening can still be seen */
  sample (&w);
  n = 0;
  trackerd_history_swarms (w.history, count_swarm, &n);
  g_assert_cmpuint (n, ==, 0); /* and now nobody was there in all of it */
  for (unsigned i = 0; i < TRACKERD_HISTORY_SAMPLES; i++)
    sample (&w);
  g_assert_cmpuint (trackerd_history_count (w.history, NULL), ==, TRACKERD_HISTORY_SAMPLES);
  const TrackerdSample *last = trackerd_history_get (w.history, NULL, TRACKERD_HISTORY_SAMPLES - 1);
  g_assert_cmpint (last->at, ==, w.now);
  g_assert_cmpint (trackerd_history_get (w.history, NULL, 0)->at, ==,
                   w.now - 5 * MINUTE * (TRACKERD_HISTORY_SAMPLES - 1));
  world_clear (&w);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trackerd/history/samples-tell-what-came-since-the-one-before",
                   samples_tell_what_came_since_the_one_before);
  g_test_add_func ("/trackerd/history/past-has-a-limit", past_has_a_limit);
  return g_test_run ();
}
