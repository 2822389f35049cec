/* SPDX-License-Identifier: Apache-2.0 */
/* What a tracker that was cut off from Redis does to the peers there, with real stores and registries
 * that are told how late it is. test-store.py starts this with the port of a server of its own. */
#include "peer/net/random.h"
#include "peer/trackerd/store-redis.h"
#include "tests/lib/wait.h"
#include "tests/suite.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

static redisContext *wire; /* ours, which nobody cuts */
static const char *uri;

typedef struct {
  TrackerRegistry *registry;
  GRecMutex lock;
  TrackerdStore *store;
} Tracker;

static long long
ask (const char *command)
{
  redisReply *reply = redisCommand (wire, command);
  g_assert_nonnull (reply);
  g_assert_cmpint (reply->type, !=, REDIS_REPLY_ERROR);
  long long value = reply->integer;
  freeReplyObject (reply);
  return value;
}

static bool
is_connected (gpointer data)
{
  return ((Tracker *)data)->store->stats.connected;
}

static bool
is_away (gpointer data)
{
  return !is_connected (data);
}

static void
tracker_init (Tracker *self)
{
  g_autoptr (GError) error = NULL;
  *self = (Tracker){.registry = tracker_registry_new (
                        &(TrackerRegistryOptions){.random = net_random, .changes = true})};
  g_rec_mutex_init (&self->lock);
  self->store = trackerd_store_redis_open (uri, self->registry, &self->lock, &error);
  g_assert_no_error (error);
  g_assert_true (wait_until (is_connected, self));
}

static void
tracker_clear (Tracker *self)
{
  trackerd_store_free (self->store);
  tracker_registry_free (self->registry);
  g_rec_mutex_clear (&self->lock);
}

static void
say (Tracker *self, const char *peer_id, TrackerAction action)
{
  static unsigned transactions;
  g_autofree char *transaction = g_strdup_printf ("t%u", transactions++);
  g_autoptr (TrackerRequest) request =
      tracker_request_new (TRACKER_REQUEST_CONNECT, transaction, peer_id);
  TrackerAddress address = {.priority = 1};
  g_assert_true (peer_address_parse ("20.1.1.1:7574", &address.address));
  g_array_append_val (request->addresses, address);
  TrackerSwarm *swarm = tracker_request_add_swarm (request, "s");
  swarm->action = action;
  swarm->mode = TRACKER_MODE_LEECH;
  g_autoptr (TrackerResponse) response =
      tracker_registry_answer (self->registry, g_get_monotonic_time (), request, &address.address);
  g_assert_cmpint (response->status, ==, TRACKER_STATUS_OK);
}

static uint32_t
count (const Tracker *self)
{
  TrackerRegistryStats stats;
  tracker_registry_stats (self->registry, &stats);
  return stats.peers;
}

static bool
knows_one (gpointer data)
{
  return count (data) == 1;
}

static bool
holds (gpointer data)
{
  return ask ("HLEN {test}:peers") == GPOINTER_TO_INT (data);
}

/* Another peer joins and is told of after all that was to be told before. */
static void
settle (Tracker *self)
{
  long long told = ask ("XLEN {test}:changes");
  say (self, "last", TRACKER_ACTION_JOIN);
  int64_t end = 0;
  while (ask ("XLEN {test}:changes") == told)
    g_assert_true (wait_turn (&end));
}

static void
cut (Tracker *self)
{
  g_log_set_always_fatal (G_LOG_FATAL_MASK); /* the store warns of this */
  g_assert_cmpint (ask ("CLIENT KILL TYPE normal"), >, 0);
  g_assert_true (wait_until (is_away, self));
}

/* It hears nothing of them for longer than a peer may be silent. */
static void
peers_of_others_outlive_its_absence (void)
{
  Tracker self, other;
  ask ("FLUSHALL");
  tracker_init (&self);
  tracker_init (&other);
  say (&other, "p", TRACKER_ACTION_JOIN);
  g_assert_true (wait_until (knows_one, &self));
  tracker_clear (&other);
  cut (&self);
  tracker_registry_expire (self.registry, g_get_monotonic_time () + 2 * TRACKER_TRACK_TIMEOUT);
  g_assert_cmpuint (count (&self), ==, 0);
  g_assert_true (wait_until (is_connected, &self));
  settle (&self);
  g_assert_cmpuint (count (&self), ==, 2);
  g_assert_cmpint (ask ("HLEN {test}:peers"), ==, 2);
  tracker_clear (&self);
}

static void
who_left_in_its_absence_stays_away (void)
{
  Tracker self;
  ask ("FLUSHALL");
  tracker_init (&self);
  say (&self, "p", TRACKER_ACTION_JOIN);
  g_assert_true (wait_until (holds, GINT_TO_POINTER (1)));
  cut (&self);
  say (&self, "p", TRACKER_ACTION_LEAVE);
  g_assert_true (wait_until (is_connected, &self));
  settle (&self);
  g_assert_cmpuint (count (&self), ==, 1);
  g_assert_cmpint (ask ("HLEN {test}:peers"), ==, 1);
  tracker_clear (&self);
}

static void
who_is_silent_is_taken_out (void)
{
  Tracker self;
  ask ("FLUSHALL");
  tracker_init (&self);
  say (&self, "p", TRACKER_ACTION_JOIN);
  g_assert_true (wait_until (holds, GINT_TO_POINTER (1)));
  tracker_registry_expire (self.registry, g_get_monotonic_time () + 2 * TRACKER_TRACK_TIMEOUT);
  g_assert_true (wait_until (holds, GINT_TO_POINTER (0)));
  tracker_clear (&self);
}

int
main (int argc, char **argv)
{
  static const SuiteTest tests[] = {
      {"peers-of-others-outlive-its-absence", peers_of_others_outlive_its_absence},
      {"who-left-in-its-absence-stays-away", who_left_in_its_absence_stays_away},
      {"who-is-silent-is-taken-out", who_is_silent_is_taken_out},
  };
  const char *port = argv[--argc];
  g_autofree char *at = g_strdup_printf ("redis://127.0.0.1:%s/test", port);
  uri = at;
  wire = redisConnect ("127.0.0.1", atoi (port));
  g_assert_true (wire != NULL && wire->err == 0);
  int result = suite_run (argc, argv, "/tracker/shared/", tests, G_N_ELEMENTS (tests));
  redisFree (wire);
  return result;
}
