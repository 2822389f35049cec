/* SPDX-License-Identifier: Apache-2.0 */
/*            +-- error 3, 6: not known --+        FIND, STAT_REPORT
 *            v                           |        <---+
 *   JOINING ---- CONNECT (JOIN) is OK ---> JOINED ----+
 *      |  ^                                   |
 *      +--+ no answer: after 1 s, 2 s ... 5 min, the same request again
 *
 *   LEAVING: from JOINED, and from JOINING if the tracker might know us; one CONNECT (LEAVE), and
 *   one more if there is no answer; then ENDED.
 *
 * A tracker that forgets us (it was restarted, or our track timer ran out there) says so with an
 * error on the next FIND or STAT_REPORT; then we join anew, with a new transaction. */
#include "peer/tracker/session.h"

#include <string.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)
#define MIN_RETRY SECOND
#define MAX_RETRY (300 * SECOND)
/* A tracker may ask for a longer wait, but a wrong one must not silence us for ever. */
#define MAX_RETRY_AFTER (3600 * SECOND)
#define REPORT_INTERVAL (60 * SECOND) /* +-10 %; a tracker of ours forgets after three */
/* Between two lists; doubled by each FIND that follows closely. */
#define MIN_FIND_INTERVAL (5 * SECOND)
#define MAX_FIND_INTERVAL (30 * SECOND)
/* After so long without a FIND the next one may follow as closely as the first. */
#define FIND_CALM (60 * SECOND)
/* "A few seconds": how long one LEAVE is tried; then the tracker's timer does it. */
#define MAX_LEAVES 2

typedef enum { STATE_JOINING, STATE_JOINED, STATE_LEAVING, STATE_ENDED } SessionState;

struct TrackerSession {
  TrackerSessionOptions options;
  char *swarm_id;
  char *peer_id;
  bool has_address;
  PeerAddress address;
  SessionState state;
  bool perhaps_known;      /* a JOIN was sent, and not refused */
  TrackerRequest *request; /* the one under way, or to be repeated; or NULL */
  bool under_way;
  bool find_wanted;
  unsigned failures; /* in a row */
  unsigned leaves;
  int64_t next_try;    /* us; JOIN, or a repetition */
  int64_t next_report; /* us */
  int64_t last_list;   /* us */
  int64_t find_interval;
  int64_t renew; /* us: when a certificate is wanted again */
  uint64_t transactions;
  uint64_t uploaded, downloaded, late;
  uint32_t links;
  GArray *held, *wanted; /* TrackerRange; NULL = unsaid */
  TrackerCondition condition;
  TrackerConnection connection;
};

static uint32_t
random_u32 (TrackerSession *self)
{
  return peer_random_u32 (self->options.random, self->options.random_data);
}

/* time, give or take up to so many per cent of it. */
static int64_t
jitter (TrackerSession *self, int64_t time, int64_t percent)
{
  int64_t span = 2 * time * percent / 100;
  return time - span / 2 + (int64_t)((uint64_t)span * (random_u32 (self) >> 8) >> 24);
}

TrackerSession *
tracker_session_new (const TrackerSessionOptions *options, int64_t now)
{
  TrackerSession *self = g_new0 (TrackerSession, 1);
  uint8_t id[16];
  self->options = *options;
  self->options.swarm_id = NULL;
  if (self->options.peer_count == 0)
    self->options.peer_count = TRACKER_MAX_PEERS - 1; /* "should be less than 30" (3.2.2) */
  self->swarm_id = g_strdup (options->swarm_id);
  options->random (options->random_data, id, sizeof id);
  GString *text = g_string_sized_new (2 * sizeof id + 1);
  for (unsigned i = 0; i < sizeof id; i++)
    g_string_append_printf (text, "%02x", id[i]);
  self->peer_id = g_string_free (text, FALSE);
  self->next_try = now;
  self->renew = INT64_MIN;
  self->find_interval = MIN_FIND_INTERVAL;
  self->last_list = now - FIND_CALM;
  return self;
}

void
tracker_session_free (TrackerSession *self)
{
  g_clear_pointer (&self->request, tracker_request_free);
  tracker_session_chunks (self, NULL, NULL);
  g_free (self->swarm_id);
  g_free (self->peer_id);
  g_free (self);
}

void
tracker_session_listen (TrackerSession *self, const PeerAddress *address)
{
  self->address = *address;
  self->has_address = true;
}

/* --- requests ------------------------------------------------------------------------------ */

static TrackerRequest *
request_new (TrackerSession *self, TrackerRequestType type)
{
  g_autofree char *transaction =
      g_strdup_printf ("%08x.%" G_GUINT64_FORMAT, random_u32 (self), (guint64)self->transactions);
  self->transactions++;
  TrackerRequest *request = tracker_request_new (type, transaction, self->peer_id);
  if (type != TRACKER_REQUEST_STAT_REPORT)
    request->peer_num = (TrackerPeerNum){
        .said = true, .peer_count = self->options.peer_count, .links = self->links};
  if (type != TRACKER_REQUEST_STAT_REPORT)
    request->certificates = self->options.certificates;
  return request;
}

static TrackerRequest *
connect_new (TrackerSession *self, TrackerAction action)
{
  TrackerRequest *request = request_new (self, TRACKER_REQUEST_CONNECT);
  if (action == TRACKER_ACTION_LEAVE)
    request->peer_num.said = request->certificates = false;
  if (action == TRACKER_ACTION_JOIN && self->has_address) {
    TrackerAddress address = {.address = self->address,
                              .type = TRACKER_ADDRESS_HOST,
                              .priority = 1,
                              .connection = self->connection,
                              .ppspp = true};
    g_array_append_val (request->addresses, address);
  }
  if (action == TRACKER_ACTION_JOIN)
    request->condition = self->condition;
  TrackerSwarm *swarm = tracker_request_add_swarm (request, self->swarm_id);
  swarm->action = action;
  swarm->mode = self->options.seeder ? TRACKER_MODE_SEEDER : TRACKER_MODE_LEECH;
  return request;
}

static TrackerRequest *
report_new (TrackerSession *self, int64_t now)
{
  TrackerRequest *request = request_new (self, TRACKER_REQUEST_STAT_REPORT);
  request->certificates = self->options.certificates && now >= self->renew;
  TrackerSwarm *swarm = tracker_request_add_swarm (request, self->swarm_id);
  swarm->uploaded = self->uploaded;
  swarm->downloaded = self->downloaded;
  swarm->late = (uint32_t)MIN (self->late, UINT32_MAX);
  swarm->links = self->links;
  if (self->held != NULL)
    swarm->chunks = g_array_ref (self->held);
  request->condition = self->condition;
  return request;
}

static TrackerRequest *
find_new (TrackerSession *self)
{
  TrackerRequest *request = request_new (self, TRACKER_REQUEST_FIND);
  TrackerSwarm *swarm = tracker_request_add_swarm (request, self->swarm_id);
  if (self->wanted != NULL)
    swarm->chunks = g_array_ref (self->wanted);
  return request;
}

static int64_t
next_find (const TrackerSession *self)
{
  return self->last_list + self->find_interval;
}

/* What is due in this state, if nothing waits to be repeated. */
static TrackerRequest *
compose (TrackerSession *self, int64_t now)
{
  switch (self->state) {
  case STATE_JOINING:
    return connect_new (self, TRACKER_ACTION_JOIN);
  case STATE_JOINED:
    if (self->find_wanted && now >= next_find (self))
      return find_new (self);
    return now >= self->next_report ? report_new (self, now) : NULL;
  case STATE_LEAVING:
    return connect_new (self, TRACKER_ACTION_LEAVE);
  case STATE_ENDED:
    break;
  }
  return NULL;
}

const TrackerRequest *
tracker_session_next (TrackerSession *self, int64_t now)
{
  if (self->under_way || self->state == STATE_ENDED || now < self->next_try)
    return NULL;
  if (self->request == NULL)
    self->request = compose (self, now);
  if (self->request == NULL)
    return NULL;
  if (self->state == STATE_JOINING)
    self->perhaps_known = true;
  if (self->state == STATE_LEAVING)
    self->leaves++;
  self->under_way = true;
  return self->request;
}

int64_t
tracker_session_deadline (const TrackerSession *self)
{
  if (self->under_way || self->state == STATE_ENDED)
    return INT64_MAX;
  int64_t deadline = self->next_try;
  if (self->state == STATE_JOINED && self->request == NULL) {
    int64_t due = self->next_report;
    if (self->find_wanted)
      due = MIN (due, next_find (self));
    deadline = MAX (deadline, due);
  }
  return deadline;
}

/* --- answers ------------------------------------------------------------------------------- */

static void
back_off (TrackerSession *self, int64_t now, int64_t retry_after)
{
  int64_t wait = MAX_RETRY;
  if (self->failures < 9) /* 2^9 s is more than the longest */
    wait = MIN (MIN_RETRY << self->failures, MAX_RETRY);
  self->failures++;
  wait = jitter (self, wait, 25);
  self->next_try = now + MAX (wait, MIN (retry_after, MAX_RETRY_AFTER));
}

/* Peers were named, or might have been: when is the next FIND? */
static void
had_list (TrackerSession *self, int64_t now, bool by_find)
{
  if (now - self->last_list >= FIND_CALM)
    self->find_interval = MIN_FIND_INTERVAL;
  else if (by_find)
    self->find_interval = MIN (2 * self->find_interval, MAX_FIND_INTERVAL);
  self->last_list = now;
  self->find_wanted = false;
}

static void
succeed (TrackerSession *self, int64_t now)
{
  bool find = self->request->type == TRACKER_REQUEST_FIND;
  self->failures = 0;
  self->next_try = now;
  g_clear_pointer (&self->request, tracker_request_free);
  if (self->state == STATE_LEAVING) {
    self->state = STATE_ENDED;
    return;
  }
  if (self->state == STATE_JOINING || find)
    had_list (self, now, find);
  self->state = STATE_JOINED;
  self->next_report = now + jitter (self, REPORT_INTERVAL, 10);
}

/* Our one action failed, though the request as a whole did not. */
static bool
action_failed (const TrackerSession *self, const TrackerResponse *response)
{
  for (guint i = 0; i < response->results->len; i++) {
    const TrackerResult *result = g_ptr_array_index (response->results, i);
    if (result->failed && strcmp (result->swarm_id, self->swarm_id) == 0)
      return true;
  }
  return false;
}

static void
refused (TrackerSession *self, int64_t now, TrackerStatus status, int64_t retry_after)
{
  bool forgotten = self->state == STATE_JOINED &&
                   (status == TRACKER_STATUS_FORBIDDEN || status == TRACKER_STATUS_UNAUTHORIZED);
  bool transient = status == TRACKER_STATUS_INTERNAL_ERROR || status == TRACKER_STATUS_UNAVAILABLE;
  if (!transient)
    g_clear_pointer (&self->request, tracker_request_free);
  if (self->state == STATE_JOINING && !transient)
    self->perhaps_known = false;
  if (forgotten) {
    self->state = STATE_JOINING;
    self->perhaps_known = false;
  }
  if (forgotten && self->failures == 0) { /* at once; if that fails too, not so soon again */
    self->failures = 1;
    self->next_try = now;
    return;
  }
  back_off (self, now, retry_after);
}

const TrackerRequest *
tracker_session_request (const TrackerSession *self)
{
  return self->under_way ? self->request : NULL;
}

void
tracker_session_unsent (TrackerSession *self)
{
  if (!self->under_way)
    return;
  self->under_way = false;
  if (self->state == STATE_LEAVING)
    self->leaves--;
  g_clear_pointer (&self->request, tracker_request_free);
}

bool
tracker_session_is_answer (const TrackerSession *self, const TrackerResponse *response)
{
  if (!self->under_way)
    return false;
  /* A tracker that could not read our request could not read its ID either. */
  return strcmp (response->transaction_id, self->request->transaction_id) == 0 ||
         (response->status != TRACKER_STATUS_OK && *response->transaction_id == 0);
}

bool
tracker_session_answer (TrackerSession *self, int64_t now, const TrackerResponse *response,
                        int64_t retry_after)
{
  g_return_val_if_fail (self->under_way, false);
  bool ours = response != NULL && tracker_session_is_answer (self, response);
  self->under_way = false;
  if (self->state == STATE_ENDED) {
    g_clear_pointer (&self->request, tracker_request_free);
    return ours;
  }
  if (self->state == STATE_LEAVING && self->request->swarms->len == 1) {
    const TrackerSwarm *swarm = g_ptr_array_index (self->request->swarms, 0);
    bool leaving =
        self->request->type == TRACKER_REQUEST_CONNECT && swarm->action == TRACKER_ACTION_LEAVE;
    if (leaving && (ours || self->leaves >= MAX_LEAVES)) {
      self->state = STATE_ENDED;
      g_clear_pointer (&self->request, tracker_request_free);
      return ours;
    }
    if (!leaving) { /* tracker_session_leave() came while another was under way */
      g_clear_pointer (&self->request, tracker_request_free);
      self->next_try = now;
      return ours;
    }
  }
  if (!ours) {
    back_off (self, now, retry_after);
    return false;
  }
  if (response->status != TRACKER_STATUS_OK)
    refused (self, now, response->status, retry_after);
  else if (action_failed (self, response))
    refused (self, now, TRACKER_STATUS_FORBIDDEN, retry_after);
  else
    succeed (self, now);
  return true;
}

/* --- wishes -------------------------------------------------------------------------------- */

void
tracker_session_certified (TrackerSession *self, int64_t renew)
{
  self->renew = renew;
}

void
tracker_session_find (TrackerSession *self)
{
  self->find_wanted = true;
}

void
tracker_session_hurry (TrackerSession *self, int64_t now)
{
  self->next_report = now;
}

void
tracker_session_report (TrackerSession *self, uint64_t uploaded, uint64_t downloaded,
                        uint32_t links)
{
  self->uploaded = uploaded;
  self->downloaded = downloaded;
  self->links = links;
}

void
tracker_session_chunks (TrackerSession *self, GArray *held, GArray *wanted)
{
  g_clear_pointer (&self->held, g_array_unref);
  g_clear_pointer (&self->wanted, g_array_unref);
  self->held = held;
  self->wanted = wanted;
}

void
tracker_session_condition (TrackerSession *self, const TrackerCondition *condition,
                           TrackerConnection connection)
{
  bool said = self->condition.said;
  self->condition = *condition;
  self->condition.said |= said;
  self->connection = connection;
}

void
tracker_session_late (TrackerSession *self, uint64_t chunks)
{
  self->late += chunks;
}

void
tracker_session_leave (TrackerSession *self, int64_t now)
{
  if (self->state == STATE_LEAVING || self->state == STATE_ENDED)
    return;
  bool known = self->state == STATE_JOINED || self->perhaps_known;
  self->state = known ? STATE_LEAVING : STATE_ENDED;
  self->next_try = now;
  self->failures = 0;
  if (!self->under_way)
    g_clear_pointer (&self->request, tracker_request_free);
}

void
tracker_session_abandon (TrackerSession *self)
{
  self->state = STATE_ENDED;
}

bool
tracker_session_ended (const TrackerSession *self)
{
  return self->state == STATE_ENDED;
}

bool
tracker_session_joined (const TrackerSession *self)
{
  return self->state == STATE_JOINED;
}

const char *
tracker_session_peer_id (const TrackerSession *self)
{
  return self->peer_id;
}
