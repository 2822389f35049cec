/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer asks, and when; and a day with a tracker, in no time. */
#include "peer/tracker/json.h"
#include "peer/tracker/registry.h"
#include "peer/tracker/session.h"
#include "tests/random.h"
#include "tests/suite.h"

#include <string.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)

typedef struct {
  TrackerSession *session;
  int64_t now;
  uint64_t state;
} World;

static void
world_init (World *w, bool seeder)
{
  *w = (World){.now = 1000 * SECOND, .state = RANDOM_SEED};
  TrackerSessionOptions options = {
      .swarm_id = "5a", .seeder = seeder, .random = random_bytes, .random_data = &w->state};
  w->session = tracker_session_new (&options, w->now);
}

/* "JOIN", "LEAVE", "FIND", "REPORT", or "" = nothing is due. */
static const char *
next (World *w)
{
  const TrackerRequest *request = tracker_session_next (w->session, w->now);
  if (request == NULL)
    return "";
  g_assert_cmpuint (request->swarms->len, ==, 1);
  const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, 0);
  g_assert_cmpstr (swarm->swarm_id, ==, "5a");
  g_assert_cmpstr (request->peer_id, ==, tracker_session_peer_id (w->session));
  switch (request->type) {
  case TRACKER_REQUEST_CONNECT:
    return swarm->action == TRACKER_ACTION_JOIN ? "JOIN" : "LEAVE";
  case TRACKER_REQUEST_FIND:
    return "FIND";
  case TRACKER_REQUEST_STAT_REPORT:
    return "REPORT";
  }
  return NULL;
}

static void
answer (World *w, TrackerStatus status)
{
  const TrackerRequest *request = tracker_session_request (w->session);
  g_autoptr (TrackerResponse) response = tracker_response_new (status, request->transaction_id);
  if (status == TRACKER_STATUS_OK)
    tracker_response_add_result (response, "5a", false);
  g_assert_true (tracker_session_answer (w->session, w->now, response, 0));
}

static void
fail (World *w)
{
  g_assert_false (tracker_session_answer (w->session, w->now, NULL, 0));
}

/* To the deadline, which must lie between so many seconds from now. */
static void
sleep_between (World *w, double least, double most)
{
  int64_t wait = MAX (0, tracker_session_deadline (w->session) - w->now);
  g_assert_cmpfloat ((double)wait / SECOND, >=, least);
  g_assert_cmpfloat ((double)wait / SECOND, <=, most);
  g_assert_true (wait == 0 || *next (&(World){w->session, w->now + wait - 1, 1}) == 0);
  w->now += wait;
}

static void
joins_and_reports (void)
{
  World w;
  world_init (&w, false);
  PeerAddress here;
  peer_address_parse ("10.0.0.1:7574", &here);
  tracker_session_listen (w.session, &here);
  sleep_between (&w, 0, 0);
  g_assert_cmpstr (next (&w), ==, "JOIN");
  const TrackerRequest *request = tracker_session_request (w.session);
  const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, 0);
  g_assert_cmpint (swarm->mode, ==, TRACKER_MODE_LEECH);
  g_assert_true (request->peer_num.said);
  g_assert_cmpuint (request->peer_num.peer_count, ==, 29);
  g_assert_cmpuint (request->addresses->len, ==, 1);
  g_assert_true (
      peer_address_equal (&g_array_index (request->addresses, TrackerAddress, 0).address, &here));
  g_assert_cmpstr (next (&w), ==, ""); /* one at a time */
  g_assert_cmpint (tracker_session_deadline (w.session), ==, INT64_MAX);
  g_assert_false (tracker_session_joined (w.session));
  answer (&w, TRACKER_STATUS_OK);
  g_assert_true (tracker_session_joined (w.session));
  tracker_session_report (w.session, 5, 6, 7);
  tracker_session_late (w.session, 3);
  tracker_session_late (w.session, 1);
  int64_t waits[20];
  for (unsigned i = 0; i < G_N_ELEMENTS (waits); i++) {
    int64_t before = w.now;
    sleep_between (&w, 54, 66);
    waits[i] = w.now - before;
    g_assert_cmpstr (next (&w), ==, "REPORT");
    swarm = g_ptr_array_index (tracker_session_request (w.session)->swarms, 0);
    g_assert_cmpuint (swarm->uploaded, ==, 5);
    g_assert_cmpuint (swarm->downloaded, ==, 6);
    g_assert_cmpuint (swarm->links, ==, 7);
    g_assert_cmpuint (swarm->late, ==, 4);
    answer (&w, TRACKER_STATUS_OK);
  }
  g_assert_cmpint (waits[0], !=, waits[1]); /* peers do not march in step */
  tracker_session_free (w.session);
}

static void
silence_is_answered_by_the_same_request (void)
{
  World w;
  world_init (&w, true);
  g_autofree char *first = NULL;
  double wait = 1;
  for (unsigned i = 0; i < 14; i++) {
    g_assert_cmpstr (next (&w), ==, "JOIN");
    g_autofree char *text = tracker_json_write_request (tracker_session_request (w.session), NULL);
    if (first == NULL)
      first = g_strdup (text);
    g_assert_cmpstr (text, ==, first); /* section 4.3: identical, its transaction ID too */
    fail (&w);
    sleep_between (&w, wait * 0.75, wait * 1.25);
    wait = MIN (2 * wait, 300);
  }
  g_assert_cmpstr (next (&w), ==, "JOIN");
  answer (&w, TRACKER_STATUS_OK);
  /* The next outage begins with short waits again. */
  sleep_between (&w, 54, 66);
  g_assert_cmpstr (next (&w), ==, "REPORT");
  fail (&w);
  sleep_between (&w, 0.75, 1.25);
  g_assert_cmpstr (next (&w), ==, "REPORT");
  tracker_session_free (w.session);
}

static void
answers_to_others_count_as_none (void)
{
  World w;
  world_init (&w, false);
  g_assert_cmpstr (next (&w), ==, "JOIN");
  g_autoptr (TrackerResponse) response = tracker_response_new (TRACKER_STATUS_OK, "other");
  g_assert_false (tracker_session_is_answer (w.session, response));
  g_assert_false (tracker_session_answer (w.session, w.now, response, 0));
  g_assert_false (tracker_session_joined (w.session));
  sleep_between (&w, 0.75, 1.25);
  tracker_session_free (w.session);
}

static void
retry_after_is_honoured (void)
{
  static const struct {
    int64_t asked;
    double least, most;
  } rows[] = {{30 * SECOND, 30, 30}, {0, 0.75, 1.25}, {INT64_MAX, 3600, 3600}};
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    World w;
    world_init (&w, false);
    g_assert_cmpstr (next (&w), ==, "JOIN");
    g_autofree char *id = g_strdup (tracker_session_request (w.session)->transaction_id);
    g_autoptr (TrackerResponse) busy = tracker_response_new (TRACKER_STATUS_UNAVAILABLE, id);
    g_assert_true (tracker_session_answer (w.session, w.now, busy, rows[i].asked));
    sleep_between (&w, rows[i].least, rows[i].most);
    g_assert_cmpstr (next (&w), ==, "JOIN");
    g_assert_cmpstr (tracker_session_request (w.session)->transaction_id, ==, id);
    tracker_session_free (w.session);
  }
}

static void
forgotten_peer_joins_again (void)
{
  World w;
  world_init (&w, false);
  next (&w);
  g_autofree char *id = g_strdup (tracker_session_request (w.session)->transaction_id);
  answer (&w, TRACKER_STATUS_OK);
  sleep_between (&w, 54, 66);
  g_assert_cmpstr (next (&w), ==, "REPORT");
  answer (&w, TRACKER_STATUS_FORBIDDEN); /* the tracker was restarted */
  g_assert_false (tracker_session_joined (w.session));
  sleep_between (&w, 0, 0);
  g_assert_cmpstr (next (&w), ==, "JOIN");
  g_assert_cmpstr (tracker_session_request (w.session)->transaction_id, !=, id);
  answer (&w, TRACKER_STATUS_FORBIDDEN); /* it does not want us: no storm */
  sleep_between (&w, 1.5, 2.5);
  g_assert_cmpstr (next (&w), ==, "JOIN");
  answer (&w, TRACKER_STATUS_FORBIDDEN);
  sleep_between (&w, 3, 5);
  tracker_session_free (w.session);
}

static void
failed_action_is_no_join (void)
{
  World w;
  world_init (&w, false);
  next (&w);
  g_autoptr (TrackerResponse) response =
      tracker_response_new (TRACKER_STATUS_OK, tracker_session_request (w.session)->transaction_id);
  tracker_response_add_result (response, "5a", true);
  g_assert_true (tracker_session_answer (w.session, w.now, response, 0));
  g_assert_false (tracker_session_joined (w.session));
  sleep_between (&w, 0.75, 1.25);
  tracker_session_free (w.session);
}

static void
finds_are_kept_apart (void)
{
  World w;
  world_init (&w, false);
  next (&w);
  answer (&w, TRACKER_STATUS_OK); /* this was a list */
  static const double gaps[] = {5, 10, 20, 30, 30};
  for (unsigned i = 0; i < G_N_ELEMENTS (gaps); i++) {
    tracker_session_find (w.session);
    tracker_session_find (w.session);
    sleep_between (&w, gaps[i], gaps[i]);
    g_assert_cmpstr (next (&w), ==, "FIND");
    answer (&w, TRACKER_STATUS_OK);
  }
  /* A FIND is a sign of life as well: the report is put off. Then nothing for a while. */
  sleep_between (&w, 54, 66);
  g_assert_cmpstr (next (&w), ==, "REPORT");
  answer (&w, TRACKER_STATUS_OK);
  w.now += 20 * SECOND;
  tracker_session_find (w.session);
  sleep_between (&w, 0, 0); /* the last list is old: at once */
  g_assert_cmpstr (next (&w), ==, "FIND");
  answer (&w, TRACKER_STATUS_OK);
  tracker_session_find (w.session);
  sleep_between (&w, 5, 5);
  tracker_session_free (w.session);
}

/* Who has slept tells at once that it is here; who was forgotten meanwhile joins anew. */
static void
who_has_slept_reports_at_once (void)
{
  World w;
  world_init (&w, false);
  tracker_session_hurry (w.session, w.now);
  g_assert_cmpstr (next (&w), ==, "JOIN");
  answer (&w, TRACKER_STATUS_OK);
  w.now += SECOND;
  g_assert_cmpstr (next (&w), ==, "");
  tracker_session_hurry (w.session, w.now);
  sleep_between (&w, 0, 0);
  g_assert_cmpstr (next (&w), ==, "REPORT");
  answer (&w, TRACKER_STATUS_OK);
  sleep_between (&w, 54, 66);
  tracker_session_hurry (w.session, w.now - SECOND);
  g_assert_cmpstr (next (&w), ==, "REPORT");
  answer (&w, TRACKER_STATUS_FORBIDDEN);
  sleep_between (&w, 0, 0);
  g_assert_cmpstr (next (&w), ==, "JOIN");
  tracker_session_free (w.session);
}

static void
leaves_once_and_ends (void)
{
  World w;
  world_init (&w, false);
  next (&w);
  answer (&w, TRACKER_STATUS_OK);
  tracker_session_leave (w.session, w.now);
  tracker_session_leave (w.session, w.now);
  sleep_between (&w, 0, 0);
  g_assert_cmpstr (next (&w), ==, "LEAVE");
  answer (&w, TRACKER_STATUS_OK);
  g_assert_true (tracker_session_ended (w.session));
  g_assert_cmpint (tracker_session_deadline (w.session), ==, INT64_MAX);
  g_assert_cmpstr (next (&w), ==, "");
  tracker_session_free (w.session);
}

static void
leave_is_not_tried_for_ever (void)
{
  World w;
  world_init (&w, false);
  next (&w);
  answer (&w, TRACKER_STATUS_OK);
  tracker_session_leave (w.session, w.now);
  g_assert_cmpstr (next (&w), ==, "LEAVE");
  fail (&w);
  g_assert_false (tracker_session_ended (w.session));
  sleep_between (&w, 0.75, 1.25);
  g_assert_cmpstr (next (&w), ==, "LEAVE");
  fail (&w);
  g_assert_true (tracker_session_ended (w.session));
  tracker_session_free (w.session);
}

static void
who_may_have_joined_leaves (void)
{
  /* The JOIN is under way: it may have arrived. */
  World w;
  world_init (&w, false);
  g_assert_cmpstr (next (&w), ==, "JOIN");
  tracker_session_leave (w.session, w.now);
  g_assert_false (tracker_session_ended (w.session));
  fail (&w);
  sleep_between (&w, 0, 0);
  g_assert_cmpstr (next (&w), ==, "LEAVE");
  tracker_session_abandon (w.session);
  answer (&w, TRACKER_STATUS_OK);
  g_assert_true (tracker_session_ended (w.session));
  tracker_session_free (w.session);
  /* Nothing was ever sent, or it was not let in: nothing to leave. */
  world_init (&w, false);
  tracker_session_leave (w.session, w.now);
  g_assert_true (tracker_session_ended (w.session));
  tracker_session_free (w.session);
  world_init (&w, false);
  next (&w);
  answer (&w, TRACKER_STATUS_FORBIDDEN);
  tracker_session_leave (w.session, w.now);
  g_assert_true (tracker_session_ended (w.session));
  tracker_session_free (w.session);
}

static void
unsent_request_is_composed_anew (void)
{
  World w;
  PeerAddress here;
  world_init (&w, false);
  g_assert_cmpstr (next (&w), ==, "JOIN");
  tracker_session_unsent (w.session);
  g_assert_null (tracker_session_request (w.session));
  peer_address_parse ("10.0.0.2:7574", &here);
  tracker_session_listen (w.session, &here);
  g_assert_cmpstr (next (&w), ==, "JOIN");
  g_assert_cmpuint (tracker_session_request (w.session)->addresses->len, ==, 1);
  tracker_session_free (w.session);
}

static void
each_session_has_an_id_of_its_own (void)
{
  World w, v;
  world_init (&w, false);
  world_init (&v, false);
  v.state = 1234567;
  TrackerSessionOptions options = {
      .swarm_id = "5a", .random = random_bytes, .random_data = &v.state};
  TrackerSession *other = tracker_session_new (&options, 0);
  g_assert_cmpuint (strlen (tracker_session_peer_id (other)), ==, 32);
  g_assert_cmpstr (tracker_session_peer_id (other), !=, tracker_session_peer_id (w.session));
  tracker_session_free (other);
  tracker_session_free (w.session);
  tracker_session_free (v.session);
}

/* Both sides for a day, over the encoding, with a tracker that is away for an hour and forgets
 * everything, and one that loses a tenth of what is sent either way. */
static void
a_day_together (void)
{
  World w;
  world_init (&w, false);
  PeerAddress from;
  peer_address_parse ("198.51.100.1:1", &from);
  TrackerRegistryOptions options = {.random = random_bytes, .random_data = &w.state};
  TrackerRegistry *registry = tracker_registry_new (&options);
  int64_t end = w.now + 24 * 3600 * SECOND, away = w.now + 3600 * SECOND;
  int64_t back = away + 3600 * SECOND, joined_again = 0;
  unsigned requests = 0;
  while (w.now < end) {
    const TrackerRequest *request = tracker_session_next (w.session, w.now);
    if (request != NULL) {
      requests++;
      uint8_t dice[2];
      random_bytes (&w.state, dice, sizeof dice);
      bool there = w.now < away || w.now >= back;
      g_autoptr (TrackerResponse) read = NULL;
      if (there && dice[0] > 25) {
        size_t n;
        g_autoptr (TrackerRequest) arrived = NULL;
        g_autofree char *transaction = NULL;
        g_autofree char *text = tracker_json_write_request (request, &n);
        g_assert_cmpint (tracker_json_read_request (text, n, &arrived, &transaction), ==, 0);
        g_autoptr (TrackerResponse) response =
            tracker_registry_answer (registry, w.now, arrived, &from);
        g_autofree char *back_text = tracker_json_write_response (response, &n);
        read = dice[1] > 25 ? tracker_json_read_response (back_text, n) : NULL;
      }
      w.now += 20000;
      tracker_session_answer (w.session, w.now, read, 0);
    }
    if (w.now >= away && w.now < back)
      tracker_registry_expire (registry, w.now);
    TrackerRegistryStats stats;
    tracker_registry_stats (registry, &stats);
    if (stats.peers == 1 && w.now >= back && joined_again == 0)
      joined_again = w.now;
    w.now = MAX (w.now, MIN (tracker_session_deadline (w.session), end));
  }
  g_assert_cmpint (joined_again, >, 0);
  g_assert_cmpint (joined_again - back, <, 800 * SECOND); /* 300 s, +25 %, and one that was lost */
  /* 22 h of a report a minute, an hour of outage, and what was lost. */
  g_assert_cmpuint (requests, >, 1200);
  g_assert_cmpuint (requests, <, 2200);
  tracker_registry_free (registry);
  tracker_session_free (w.session);
}

static bool
asks_for_certificates (World *w, const char *expected)
{
  g_assert_cmpstr (next (w), ==, expected);
  bool asks = tracker_session_request (w->session)->certificates;
  answer (w, TRACKER_STATUS_OK);
  return asks;
}

static void
certificates_are_asked_for_in_time (void)
{
  World w = {.now = 1000 * SECOND, .state = RANDOM_SEED};
  TrackerSessionOptions options = {
      .swarm_id = "5a", .certificates = true, .random = random_bytes, .random_data = &w.state};
  w.session = tracker_session_new (&options, w.now);
  g_assert_true (asks_for_certificates (&w, "JOIN"));
  w.now = tracker_session_deadline (w.session);
  g_assert_true (asks_for_certificates (&w, "REPORT")); /* none has come */
  tracker_session_certified (w.session, w.now + 100 * SECOND);
  w.now = tracker_session_deadline (w.session);
  g_assert_false (asks_for_certificates (&w, "REPORT"));
  tracker_session_find (w.session);
  w.now = tracker_session_deadline (w.session);
  g_assert_true (asks_for_certificates (&w, "FIND")); /* of those that are named */
  w.now = tracker_session_deadline (w.session);
  g_assert_true (asks_for_certificates (&w, "REPORT"));
  tracker_session_leave (w.session, w.now);
  g_assert_false (asks_for_certificates (&w, "LEAVE"));
  tracker_session_free (w.session);
}

static void
who_wants_no_certificates_asks_for_none (void)
{
  World w;
  world_init (&w, false);
  g_assert_false (asks_for_certificates (&w, "JOIN"));
  w.now = tracker_session_deadline (w.session);
  g_assert_false (asks_for_certificates (&w, "REPORT"));
  tracker_session_free (w.session);
}

enum { CROWD = 2000, AWAY = 600, BACK = 1800, END = 3000, WINDOW = 10 }; /* peers; s */

/* What one of the crowd asks now, if anything; true = it reached the tracker. */
static bool
ask_one (World *w, TrackerRegistry *registry, unsigned i, bool there)
{
  const TrackerRequest *request = tracker_session_next (w->session, w->now);
  if (request == NULL)
    return false;
  PeerAddress from = {.ip = {[10] = 0xff, 0xff, 198, 18, (uint8_t)(i / 250), (uint8_t)(i % 250)}};
  g_autoptr (TrackerResponse) response =
      there ? tracker_registry_answer (registry, w->now, request, &from) : NULL;
  tracker_session_answer (w->session, w->now, response, 0);
  return there;
}

/* T4: when a tracker is back after twenty minutes, it has forgotten all, and is asked no more than
 * twice as often as in quiet times. */
static void
an_outage_ends_without_a_storm (void)
{
  g_autofree World *crowd = g_new0 (World, CROWD);
  uint64_t state = RANDOM_SEED;
  unsigned windows[END / WINDOW] = {0}, steady = 0, worst = 0;
  TrackerRegistryOptions options = {.random = random_bytes, .random_data = &state};
  g_autoptr (TrackerRegistry) registry = tracker_registry_new (&options);
  TrackerSessionOptions session = {.swarm_id = "5a", .random = random_bytes, .random_data = &state};
  for (unsigned i = 0; i < CROWD; i++) /* they come within three minutes */
    crowd[i].session = tracker_session_new (&session, (int64_t)(i % 180) * SECOND);
  for (unsigned second = 0; second < END; second++) {
    bool there = second < AWAY || second >= BACK;
    for (unsigned i = 0; i < CROWD; i++) {
      crowd[i].now = second * SECOND;
      for (unsigned n = 0; n < 4; n++)
        windows[second / WINDOW] += ask_one (&crowd[i], registry, i, there);
    }
    for (unsigned n = 0; !there && n < 100; n++)
      tracker_registry_expire (registry, second * SECOND);
  }
  for (unsigned i = 240 / WINDOW; i < AWAY / WINDOW; i++)
    steady += windows[i];
  steady /= (AWAY - 240) / WINDOW;
  for (unsigned i = BACK / WINDOW; i < END / WINDOW; i++)
    worst = MAX (worst, windows[i]);
  g_test_message ("%u requests in %d s, and %u at worst", steady, WINDOW, worst);
  g_assert_cmpuint (steady, >, CROWD / 10);
  g_assert_cmpuint (worst, <=, 2 * steady);
  TrackerRegistryStats stats;
  tracker_registry_stats (registry, &stats);
  g_assert_cmpuint (stats.peers, ==, CROWD); /* all are back */
  for (unsigned i = 0; i < CROWD; i++)
    tracker_session_free (crowd[i].session);
}

int
main (int argc, char **argv)
{
  static const SuiteTest tests[] = {
      {"joins-and-reports", joins_and_reports},
      {"silence-is-answered-by-the-same-request", silence_is_answered_by_the_same_request},
      {"answers-to-others-count-as-none", answers_to_others_count_as_none},
      {"retry-after-is-honoured", retry_after_is_honoured},
      {"forgotten-peer-joins-again", forgotten_peer_joins_again},
      {"failed-action-is-no-join", failed_action_is_no_join},
      {"finds-are-kept-apart", finds_are_kept_apart},
      {"who-has-slept-reports-at-once", who_has_slept_reports_at_once},
      {"leaves-once-and-ends", leaves_once_and_ends},
      {"leave-is-not-tried-for-ever", leave_is_not_tried_for_ever},
      {"who-may-have-joined-leaves", who_may_have_joined_leaves},
      {"unsent-request-is-composed-anew", unsent_request_is_composed_anew},
      {"each-session-has-an-id-of-its-own", each_session_has_an_id_of_its_own},
      {"certificates-are-asked-for-in-time", certificates_are_asked_for_in_time},
      {"who-wants-no-certificates-asks-for-none", who_wants_no_certificates_asks_for_none},
      {"a-day-together", a_day_together},
      {"an-outage-ends-without-a-storm", an_outage_ends_without_a_storm},
  };
  return suite_run (argc, argv, "/tracker/session/", tests, G_N_ELEMENTS (tests));
}
