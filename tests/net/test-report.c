/* SPDX-License-Identifier: Apache-2.0 */
/* What a tracker hears of an engine and its swarm. */
#include "peer/crypto.h"
#include "peer/net/report.h"
#include "tests/random.h"

#include <string.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)
#define CHUNK 1024
#define MIB (1024 * 1024 / CHUNK) /* chunks */
#define LENGTH (400 * MIB)        /* likewise */

typedef struct {
  PeerEngine *engine;
  PeerSwarm *swarm;
  TrackerSession *session;
  int64_t now;
  uint64_t state;
} World;

/* A film, or a channel, of which these chunks are here. */
static void
world_init (World *w, bool live, const uint64_t *chunks, unsigned n)
{
  static const uint8_t bytes[CHUNK];
  PeerStore *store = peer_store_memory_new (CHUNK, LENGTH);
  for (unsigned i = 0; i < n; i++)
    g_assert_cmpint (store->class->write (store, chunks[i], bytes, CHUNK), ==, PEER_STORE_OK);
  g_autoptr (GError) error = NULL;
  PeerEngineOptions engine;
  PeerContent content;
  *w = (World){.now = 1000 * SECOND, .state = RANDOM_SEED};
  peer_engine_options_init (&engine);
  engine.random = random_bytes;
  engine.random_data = &w->state;
  w->engine = peer_engine_new (&engine);
  if (live) {
    g_autoptr (PeerKey) key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
    peer_content_init_live (&content);
    content.chunk_size = CHUNK;
    peer_key_swarm_id (key, &content);
  } else {
    peer_content_init_static (&content);
    content.swarm_id_size = 32;
    memset (content.swarm_id, 1, content.swarm_id_size);
    content.length = LENGTH * (uint64_t)CHUNK;
  }
  PeerJoin join = {.content = &content, .store = store, .discard_window = LENGTH};
  w->swarm = peer_engine_join (w->engine, &join, &error);
  g_assert_no_error (error);
  TrackerSessionOptions options = {
      .swarm_id = "5a", .random = random_bytes, .random_data = &w->state};
  w->session = tracker_session_new (&options, w->now);
}

static void
world_clear (World *w)
{
  tracker_session_free (w->session);
  peer_engine_free (w->engine);
}

/* The next request, whenever that is due; it is answered. */
static const TrackerRequest *
ask (World *w, uint64_t uploaded_before)
{
  w->now = MAX (w->now, tracker_session_deadline (w->session));
  net_report (w->session, w->engine, w->swarm, uploaded_before);
  const TrackerRequest *request = tracker_session_next (w->session, w->now);
  g_assert_nonnull (request);
  return request;
}

static void
answer (World *w)
{
  g_autoptr (TrackerResponse) response = tracker_response_new (
      TRACKER_STATUS_OK, tracker_session_request (w->session)->transaction_id);
  g_assert_true (tracker_session_answer (w->session, w->now, response, 0));
}

static const TrackerSwarm *
swarm_of (const TrackerRequest *request)
{
  return g_ptr_array_index (request->swarms, 0);
}

static void
assert_range (const TrackerRequest *request, unsigned i, uint64_t first, uint64_t end)
{
  const GArray *chunks = swarm_of (request)->chunks;
  g_assert_cmpuint (chunks->len, >, i);
  g_assert_cmpuint (g_array_index (chunks, TrackerRange, i).first, ==, first);
  g_assert_cmpuint (g_array_index (chunks, TrackerRange, i).end, ==, end);
}

static const TrackerRequest *
find (World *w)
{
  answer (w);
  tracker_session_find (w->session);
  const TrackerRequest *request = ask (w, 0);
  g_assert_cmpint (request->type, ==, TRACKER_REQUEST_FIND);
  return request;
}

/* A film: a report says what is here, a FIND what is missing, and what those who are a little behind have. */
static void
test_film (void)
{
  World w;
  const uint64_t here[] = {0, 1, 100 * MIB};
  world_init (&w, false, here, G_N_ELEMENTS (here));
  PeerWant wants[] = {{.window = {100 * MIB, 102 * MIB}}, {.window = {10, 12}}, {.window = {0, 2}}};
  peer_engine_want (w.engine, w.swarm, wants, G_N_ELEMENTS (wants));
  g_assert_cmpint (ask (&w, 0)->type, ==, TRACKER_REQUEST_CONNECT);
  answer (&w);
  const TrackerRequest *request = ask (&w, 7);
  g_assert_cmpint (request->type, ==, TRACKER_REQUEST_STAT_REPORT);
  g_assert_cmpuint (swarm_of (request)->uploaded, ==, 7);
  g_assert_cmpuint (swarm_of (request)->chunks->len, ==, 2);
  assert_range (request, 0, 0, 2);
  assert_range (request, 1, 100 * MIB, 100 * MIB + 1);
  request = find (&w);
  g_assert_cmpuint (swarm_of (request)->chunks->len, ==, 2);
  assert_range (request, 0, 36 * MIB + 1, 102 * MIB);
  assert_range (request, 1, 0, 12);
  world_clear (&w);
}

/* Where there are more runs than a request can name, the longest are. */
static void
test_many_runs (void)
{
  World w;
  uint64_t here[3 * TRACKER_MAX_RANGES];
  for (unsigned i = 0; i < TRACKER_MAX_RANGES; i++) {
    here[3 * i] = 20 * i;
    here[3 * i + 1] = 20 * i + 10;
    here[3 * i + 2] = 20 * i + 11;
  }
  world_init (&w, false, here, G_N_ELEMENTS (here));
  g_assert_cmpint (ask (&w, 0)->type, ==, TRACKER_REQUEST_CONNECT);
  answer (&w);
  const TrackerRequest *request = ask (&w, 0);
  g_assert_cmpuint (swarm_of (request)->chunks->len, ==, TRACKER_MAX_RANGES);
  for (unsigned i = 0; i < TRACKER_MAX_RANGES; i++) {
    const TrackerRange *range = &g_array_index (swarm_of (request)->chunks, TrackerRange, i);
    g_assert_cmpuint (range->end - range->first, ==, 2);
  }
  world_clear (&w);
}

/* Live, all have what is newest, and nothing else is worth saying. */
static void
test_live (void)
{
  World w;
  world_init (&w, true, NULL, 0);
  PeerWant want = {.window = {0, 10}};
  peer_engine_want (w.engine, w.swarm, &want, 1);
  g_assert_cmpint (ask (&w, 0)->type, ==, TRACKER_REQUEST_CONNECT);
  g_assert_null (swarm_of (find (&w))->chunks);
  world_clear (&w);
}

/* What peers are told of line and power, trackers are; nothing, if there is nothing that spares us. */
static void
test_condition (void)
{
  World w;
  world_init (&w, false, NULL, 0);
  PeerAddress here;
  g_assert_true (peer_address_parse ("192.0.2.1:7574", &here));
  tracker_session_listen (w.session, &here);
  PeerStatus status = {.access_link = PEER_LINK_WIRELESS, .power = PEER_POWER_MAINS};
  peer_engine_set_status (w.engine, &status);
  const TrackerRequest *request = ask (&w, 0);
  g_assert_false (request->condition.said);
  g_assert_cmpint (g_array_index (request->addresses, TrackerAddress, 0).connection, ==,
                   TRACKER_CONNECTION_WIRELESS);
  answer (&w);
  status = (PeerStatus){.access_link = PEER_LINK_CELLULAR, .power = PEER_POWER_LOW};
  peer_engine_set_status (w.engine, &status);
  request = ask (&w, 0);
  g_assert_true (request->condition.said && request->condition.mobile);
  g_assert_cmpuint (request->condition.battery, ==, 15);
  answer (&w);
  status = (PeerStatus){.power = PEER_POWER_BATTERY, .battery = 63, .loss = 4};
  peer_engine_set_status (w.engine, &status);
  request = ask (&w, 0);
  g_assert_true (request->condition.said && !request->condition.mobile);
  g_assert_cmpuint (request->condition.battery, ==, 63);
  g_assert_cmpuint (request->condition.loss, ==, 4);
  answer (&w);
  /* That is over, and said to be. */
  status = (PeerStatus){.access_link = PEER_LINK_WIRED, .power = PEER_POWER_MAINS};
  peer_engine_set_status (w.engine, &status);
  request = ask (&w, 0);
  g_assert_true (request->condition.said && !request->condition.mobile);
  g_assert_cmpuint (request->condition.battery, ==, TRACKER_BATTERY_UNSAID);
  answer (&w);
  /* Who leaves serves nobody any more. */
  tracker_session_leave (w.session, w.now);
  request = ask (&w, 0);
  g_assert_cmpint (swarm_of (request)->action, ==, TRACKER_ACTION_LEAVE);
  g_assert_false (request->condition.said);
  world_clear (&w);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/report/a-film-has-chunks-and-wants-others", test_film);
  g_test_add_func ("/net/report/of-many-runs-the-longest-are-told", test_many_runs);
  g_test_add_func ("/net/report/live-chunks-are-not-told", test_live);
  g_test_add_func ("/net/report/line-and-power-are-told", test_condition);
  return g_test_run ();
}
