/* SPDX-License-Identifier: Apache-2.0 */
/* Four books of chunks for each remote peer: what it has, what it asked for, what is in flight to
 * it, what we asked of it. All are bounded, since it is the peer that makes them grow. */
#include "peer/channel.h"
#include <string.h>

#define MAX_HAVE_RUNS 1024
#define MAX_REQUESTS 256   /* runs in their queue */
#define MAX_REQUESTED 8192 /* chunks in their queue */
#define FIRST_QUOTA 8      /* chunks; grows with each answer, as a window does in slow start */
#define GOOD_QUOTA 24      /* what who answers keeps, however long it takes; live FIRST_QUOTA */
#define MIN_QUOTA 4        /* of who does not answer; others keep FIRST_QUOTA at least */
#define MAX_QUOTA 4096
/* us that our requests may wait in their queue: a live one must be able to ask for what is urgent */
#define QUEUE_TARGET_LIVE 80000
#define QUEUE_TARGET_STATIC 200000
#define EASE 0.4            /* of a quota is left at least when it made a longer queue */
#define LEAST_TIME 10000000 /* us that the least latency is remembered; at most twice that */
#define REORDERING 15000    /* us: an acknowledgement may be this late (ours wait 10 ms) */
#define OVERTAKEN 50000     /* us: by which the repair of a loss may take longer than an answer */
#define EXCUSED_MAX 1000000 /* us that something may wait for hashes that were lost */
#define PATIENT_MAX 16      /* times REORDERING, or the slack that is measured */
#define PATIENCE_FIRST 1000000 /* us */
#define PATIENCE_MIN 200000
#define PATIENCE_MAX 4000000
#define RATE_INTERVAL 100000 /* us */
#define AGAIN_FIRST 16.0     /* chunks that may be given again although they were acknowledged... */
#define AGAIN_SHARE 0.02     /* ...and more, of those that are given... */
#define AGAIN_MOST 64.0      /* ...up to these at once */

PeerChannel *
peer_channel_new (PeerSwarm *swarm, const PeerAddress *address, uint32_t local, int64_t now)
{
  PeerChannel *self = g_new0 (PeerChannel, 1);
  self->swarm = swarm;
  self->address = *address;
  self->local = local;
  self->created = self->last_received = now;
  self->last_sent = now;
  self->deadline = now;
  self->announce_at = self->ack_at = self->upload.at = PEER_NEVER;
  self->window = UINT64_MAX;
  memset (self->supported, 0xff, sizeof self->supported);
  self->have = peer_chunks_new (MAX_HAVE_RUNS);
  self->requests = g_array_new (FALSE, FALSE, sizeof (PeerRange));
  self->waiting = peer_chunks_new (2 * MAX_REQUESTS);
  self->resend = peer_chunks_new (2 * MAX_REQUESTS);
  self->flights = g_array_new (FALSE, FALSE, sizeof (PeerFlight));
  self->in_flight = peer_chunks_new (0);
  self->asks = g_array_new (FALSE, FALSE, sizeof (PeerAsk));
  self->announce = peer_chunks_new (0);
  self->told = peer_chunks_new (0);
  self->passes = 0.5; /* until it shows */
  self->again = AGAIN_FIRST;
  self->unproven = peer_chunks_new (MAX_REQUESTS);
  self->reasked = peer_chunks_new (MAX_REQUESTS);
  self->acks = g_array_new (FALSE, FALSE, sizeof (PeerAck));
  self->said_acks = g_array_new (FALSE, FALSE, sizeof (PeerAck));
  self->to_request = g_array_new (FALSE, FALSE, sizeof (PeerRange));
  self->to_cancel = g_array_new (FALSE, FALSE, sizeof (PeerRange));
  self->quota = FIRST_QUOTA;
  peer_path_init (&self->path);
  return self;
}

void
peer_channel_free (PeerChannel *self)
{
  if (self == NULL)
    return;
  peer_chunks_free (self->have);
  peer_chunks_free (self->waiting);
  peer_chunks_free (self->resend);
  peer_chunks_free (self->in_flight);
  peer_chunks_free (self->announce);
  peer_chunks_free (self->told);
  peer_chunks_free (self->given);
  peer_chunks_free (self->unproven);
  peer_chunks_free (self->reasked);
  peer_held_clear (&self->held);
  peer_exchange_clear (&self->exchange);
  g_array_unref (self->requests);
  g_array_unref (self->flights);
  g_array_unref (self->asks);
  g_array_unref (self->acks);
  g_array_unref (self->said_acks);
  g_array_unref (self->to_request);
  g_array_unref (self->to_cancel);
  g_free (self->hashes);
  peer_signatures_free (self->signatures);
  g_free (self);
}

void
peer_channel_open (PeerChannel *self, int64_t now, bool live)
{
  /* RFC 6817, 2.4.2: the initial window is TCP's at most; RFC 3390 gives three datagrams. What a
   * loss leaves of it: a live stream cannot wait (RFC 7574, 8.15), and the delay still rules */
  const PeerLedbatOptions options = {.mss = PEER_DATAGRAM_MAX,
                                     .target = 100000,
                                     .gain_percent = 100,
                                     .init_cwnd = 3,
                                     .loss_percent = live ? 99 : 50,
                                     .allowed_increase = live ? 32 : 1};
  peer_ledbat_init (&self->ledbat, &options);
  /* what the handshake took, if it was not said twice (Karn): a loss among the first datagrams is
   * found in a round trip, and not in the second that the congestion timeout begins with */
  self->handshake_rtt = self->tries == 1 ? MAX (now - self->last_sent, 1) : 0;
  peer_ledbat_on_rtt (&self->ledbat, self->handshake_rtt);
  self->state = PEER_CHANNEL_OPEN;
  self->opened = now;
  self->live = live;
  self->last_progress = now;
  self->hashes = g_new0 (PeerPendingHashes, 1);
}

/* Arrays that are taken from at the front: the hole is closed when it is the bigger half. */
static void
compact (GArray *array, guint *first)
{
  if (*first > 64 && *first * 2 > array->len) {
    g_array_remove_range (array, 0, *first);
    *first = 0;
  }
}

/* --- what they have --- */

bool
peer_channel_add_have (PeerChannel *self, PeerRange run)
{
  if (peer_range_is_empty (run))
    return true;
  if (!peer_chunks_add (self->have, run))
    return false;
  self->have_end = MAX (self->have_end, run.end);
  uint64_t oldest = peer_channel_oldest (self);
  if (oldest > 0)
    peer_chunks_remove (self->have, (PeerRange){0, oldest});
  return true;
}

uint64_t
peer_channel_oldest (const PeerChannel *self)
{
  return self->have_end > self->window ? self->have_end - self->window : 0;
}

bool
peer_channel_has (const PeerChannel *self, uint64_t chunk)
{
  return peer_chunks_has (self->have, chunk);
}

/* --- what they asked of us --- */

/* Runs whose chunks were cancelled make room. */
static bool
has_room_for_request (PeerChannel *self)
{
  guint kept = self->requests_first;
  if (self->requests->len - self->requests_first < MAX_REQUESTS)
    return true;
  for (guint i = self->requests_first; i < self->requests->len; i++) {
    PeerRange run = g_array_index (self->requests, PeerRange, i);
    if (peer_chunks_has_any (self->waiting, run))
      g_array_index (self->requests, PeerRange, kept++) = run;
  }
  g_array_set_size (self->requests, kept);
  return self->requests->len - self->requests_first < MAX_REQUESTS;
}

bool
peer_channel_add_request (PeerChannel *self, PeerRange run)
{
  uint64_t n = peer_chunks_count (self->waiting);
  bool whole = true;
  while (!peer_range_is_empty (run)) {
    PeerRange part = peer_chunks_gap (self->waiting, run);
    if (peer_range_is_empty (part))
      break;
    run.first = part.end;
    if (n >= MAX_REQUESTED || !has_room_for_request (self))
      return false;
    if (peer_range_size (part) > MAX_REQUESTED - n) {
      part.end = part.first + (MAX_REQUESTED - n);
      whole = false;
    }
    if (!peer_chunks_add (self->waiting, part))
      return false;
    g_array_append_val (self->requests, part);
    n += peer_range_size (part);
  }
  return whole;
}

uint64_t
peer_channel_cancel (PeerChannel *self, PeerRange run)
{
  uint64_t before = peer_chunks_count (self->waiting);
  if (before == 0)
    return 0;
  peer_chunks_remove (self->waiting, run);
  return before - peer_chunks_count (self->waiting);
}

uint64_t
peer_channel_backlog (const PeerChannel *self)
{
  return peer_chunks_count (self->waiting);
}

bool
peer_channel_next_request (PeerChannel *self, uint64_t *chunk)
{
  while (self->requests_first < self->requests->len) {
    PeerRange *run = &g_array_index (self->requests, PeerRange, self->requests_first);
    PeerRange next = peer_chunks_next (self->waiting, *run);
    if (peer_range_is_empty (next)) {
      self->requests_first++;
      compact (self->requests, &self->requests_first);
      continue;
    }
    *chunk = next.first;
    run->first = next.first + 1;
    peer_chunks_remove (self->waiting, (PeerRange){*chunk, *chunk + 1});
    return true;
  }
  g_array_set_size (self->requests, 0);
  self->requests_first = 0;
  return false;
}

bool
peer_channel_peek_request (const PeerChannel *self, uint64_t *chunk)
{
  for (guint i = self->requests_first; i < self->requests->len; i++) {
    PeerRange next = peer_chunks_next (self->waiting, g_array_index (self->requests, PeerRange, i));
    *chunk = next.first;
    if (!peer_range_is_empty (next))
      return true;
  }
  return false;
}

void
peer_channel_unget_request (PeerChannel *self, uint64_t chunk)
{
  PeerRange run = {chunk, chunk + 1};
  if (!peer_chunks_add (self->waiting, run))
    return;
  PeerRange *front = self->requests_first < self->requests->len
                         ? &g_array_index (self->requests, PeerRange, self->requests_first)
                         : NULL;
  if (front != NULL && front->first == run.end)
    front->first = run.first;
  else if (self->requests_first > 0)
    g_array_index (self->requests, PeerRange, --self->requests_first) = run;
  else
    g_array_prepend_val (self->requests, run);
}

/* --- what is in flight --- */

void
peer_channel_sent (PeerChannel *self, int64_t now, uint64_t chunk, size_t bytes, PeerRange proves)
{
  PeerRange run = {chunk, chunk + 1};
  bool again = peer_chunks_has (self->resend, chunk);
  if (again)
    peer_chunks_remove (self->resend, run);
  if (self->flight_bytes == 0)
    self->last_progress = now;
  PeerFlight flight = {.chunk = chunk, .sent = now, .bytes = (uint32_t)bytes, .again = again};
  flight.proves = proves;
  self->probe = false;
  g_array_append_val (self->flights, flight);
  peer_chunks_add (self->in_flight, run);
  self->again = MIN (self->again + AGAIN_SHARE, AGAIN_MOST);
  if (self->given != NULL)
    peer_chunks_add (self->given, run);
  self->flight_bytes += bytes;
  peer_path_sent (&self->path, bytes);
}

size_t
peer_channel_window_left (const PeerChannel *self)
{
  if (self->probe)
    return PEER_DATAGRAM_MAX;
  size_t window = peer_ledbat_window (&self->ledbat);
  return window > self->flight_bytes ? window - self->flight_bytes : 0;
}

/* What was sent again, and is acknowledged sooner than anything can be, was only late: the round trip
 * has become longer than what is allowed for, and what is sent twice measures nothing (Karn). As
 * RACK does with its window (RFC 8985, 6.2), more is allowed until something is measured. */
static void
measure_patience (PeerChannel *self, int64_t now, const PeerFlight *flight)
{
  if (!flight->again)
    self->patient -= self->patient > 0;
  else if (now - flight->sent < self->ledbat.srtt / 2)
    self->patient = MIN (self->patient + 1, PATIENT_MAX);
}

static void
mend_lost_proof (PeerChannel *self, int64_t now, uint64_t chunk)
{
  for (unsigned i = 0; i < PEER_LOST_PROOFS; i++)
    if (self->lost_proofs[i].chunk == chunk && self->lost_proofs[i].mended == 0)
      self->lost_proofs[i].mended = now;
}

unsigned
peer_channel_acked (PeerChannel *self, int64_t now, PeerRange run, uint64_t delay)
{
  guint kept = self->flights_first;
  unsigned n = 0;
  size_t bytes = 0, flight = self->flight_bytes;
  int64_t rtt = 0;
  if (!peer_chunks_has_any (self->in_flight, run))
    return 0; /* most of an interval was acknowledged before */
  for (guint i = self->flights_first; i < self->flights->len; i++) {
    PeerFlight *f = &g_array_index (self->flights, PeerFlight, i);
    if (!peer_range_has (run, f->chunk)) {
      if (kept != i)
        g_array_index (self->flights, PeerFlight, kept) = *f;
      kept++;
      continue;
    }
    n++;
    bytes += f->bytes;
    peer_chunks_remove (self->in_flight, (PeerRange){f->chunk, f->chunk + 1});
    measure_patience (self, now, f);
    peer_path_arrived (&self->path, f->bytes);
    if (f->again)
      mend_lost_proof (self, now, f->chunk);
    /* What was overtaken may have waited over there for hashes that were lost: no time of the way. In
     * a live swarm it is counted still: there the patience that comes of it has less sent twice. */
    bool overtaken = f->sent < self->newest_acked;
    if (!f->again && (!overtaken || self->live))
      rtt = now - f->sent;
    if (overtaken)
      continue;
    self->newest_acked = f->sent;
    if (!f->again)
      self->newest_rtt = rtt;
  }
  g_array_set_size (self->flights, kept);
  compact (self->flights, &self->flights_first);
  if (n == 0)
    return 0;
  self->flight_bytes -= bytes;
  self->last_progress = now;
  self->probe = false;
  self->probes = 0;
  peer_ledbat_on_ack (&self->ledbat, now, delay, MAX (rtt, 0), bytes, flight);
  return n;
}

static int64_t
loss_delay (const PeerChannel *self)
{
  /* as RACK has it (RFC 8985, 6.2): the round trip that the newest took, since queues on the way
   * come faster than the mean follows, and a quarter for what overtakes */
  if (self->ledbat.srtt == 0)
    return peer_ledbat_cto (
        &self->ledbat); /* what is sent again too soon would never be measured */
  int64_t slack = MIN (2 * self->ledbat.rttvar, self->ledbat.srtt / 4);
  return MAX (self->ledbat.srtt, self->newest_rtt) + MAX (slack, REORDERING) * (1 + self->patient);
}

static void
lose (PeerChannel *self, int64_t now, guint index)
{
  PeerFlight flight = g_array_index (self->flights, PeerFlight, index);
  self->flight_bytes -= flight.bytes;
  peer_chunks_remove (self->in_flight, (PeerRange){flight.chunk, flight.chunk + 1});
  peer_chunks_add (self->resend, (PeerRange){flight.chunk, flight.chunk + 1});
  if (self->given != NULL)
    peer_chunks_remove (self->given, (PeerRange){flight.chunk, flight.chunk + 1});
  if (!self->choking) /* 3.9: old requests are void */
    peer_channel_unget_request (self, flight.chunk);
  peer_path_lost (&self->path, now, flight.bytes);
}

/* us after the last progress; doubles with each probe. As in RFC 8985, 7.2: two round trips, since
 * the queue that an acknowledgement waits in is seldom the one that the last one met. */
static int64_t
probe_delay (const PeerChannel *self)
{
  return (self->ledbat.srtt + loss_delay (self)) << MIN (self->probes, 8);
}

static bool
needs_probe (const PeerChannel *self)
{
  return self->flight_bytes > 0 && self->ledbat.srtt > 0;
}

static void
probe (PeerChannel *self, int64_t now)
{
  lose (self, now, self->flights->len - 1);
  g_array_set_size (self->flights, self->flights->len - 1);
  self->probe = true;
  self->probes++;
}

/* Until when it waits for hashes that went with a chunk that was lost; 0 = it does not. Only what was
 * sent between that one and the news of its loss leaves them out. */
static int64_t
excused_until (const PeerChannel *self, const PeerFlight *flight)
{
  int64_t until = 0;
  for (unsigned i = 0; i < PEER_LOST_PROOFS; i++) {
    const PeerLostProof *lost = &self->lost_proofs[i];
    if (!peer_range_has (lost->proves, flight->chunk) || flight->chunk == lost->chunk ||
        flight->sent < lost->sent || flight->sent > lost->found)
      continue;
    int64_t excused = lost->mended == 0 ? lost->found + EXCUSED_MAX
                                        : lost->mended + REORDERING * (1 + self->patient);
    until = MAX (until, excused);
  }
  return until;
}

static void
note_lost_proof (PeerChannel *self, int64_t now, const PeerFlight *flight)
{
  if (!flight->again && peer_range_size (flight->proves) > 1)
    self->lost_proofs[self->n_lost_proofs++ % PEER_LOST_PROOFS] =
        (PeerLostProof){flight->proves, flight->chunk, flight->sent, now, 0};
}

/* Flights are in the order of sending, so the lost ones lead, and hashes are before what rests on
 * them. The oldest goes to the very front of their queue; what is excused stays. */
static unsigned
lose_overtaken (PeerChannel *self, int64_t now)
{
  guint end = self->flights_first, first;
  if (end >= self->flights->len)
    return 0;
  int64_t sent = 0, before = MIN (self->newest_acked, now - loss_delay (self));
  PeerFlight *flights = &g_array_index (self->flights, PeerFlight, 0);
  unsigned n = 0;
  size_t bytes = 0;
  for (; end < self->flights->len && flights[end].sent <= before; end++) {
    flights[end].lost = excused_until (self, &flights[end]) <= now;
    if (!flights[end].lost)
      continue;
    note_lost_proof (self, now, &flights[end]);
    sent = flights[end].sent;
    bytes += flights[end].bytes;
    n++;
  }
  if (n == 0)
    return 0;
  peer_ledbat_on_loss (&self->ledbat, now, sent, bytes);
  first = end;
  for (guint i = end; i-- > self->flights_first;) {
    if (flights[i].lost)
      lose (self, now, i);
    else
      flights[--first] = flights[i];
  }
  self->flights_first = first;
  compact (self->flights, &self->flights_first);
  return n;
}

unsigned
peer_channel_find_lost (PeerChannel *self, int64_t now)
{
  unsigned n = 0;
  if (self->flight_bytes > 0 && now >= self->last_progress + peer_ledbat_cto (&self->ledbat)) {
    for (guint i = self->flights->len; i-- > self->flights_first; n++)
      lose (self, now, i);
    g_array_set_size (self->flights, 0);
    self->flights_first = 0;
    self->probes = 0;
    self->last_progress = now;
    peer_ledbat_on_timeout (&self->ledbat, now);
    return n;
  }
  n = lose_overtaken (self, now);
  if (needs_probe (self) && now >= self->last_progress + probe_delay (self)) {
    probe (self, now);
    n++;
  }
  return n;
}

int64_t
peer_channel_loss_deadline (const PeerChannel *self)
{
  if (self->flights_first >= self->flights->len)
    return PEER_NEVER;
  int64_t deadline = self->last_progress + peer_ledbat_cto (&self->ledbat);
  if (needs_probe (self))
    deadline = MIN (deadline, self->last_progress + probe_delay (self));
  for (guint i = self->flights_first; i < self->flights->len; i++) {
    const PeerFlight *flight = &g_array_index (self->flights, PeerFlight, i);
    if (flight->sent > self->newest_acked)
      break;
    int64_t excused = excused_until (self, flight), late = flight->sent + loss_delay (self);
    deadline = MIN (deadline, MAX (late, excused));
    if (excused <= late)
      break;
  }
  return deadline;
}

bool
peer_channel_not_arrived (PeerChannel *self, int64_t now, uint64_t chunk)
{
  for (guint i = self->flights_first; i < self->flights->len; i++) {
    PeerFlight *flight = &g_array_index (self->flights, PeerFlight, i);
    if (flight->chunk != chunk)
      continue;
    if (self->ledbat.srtt == 0 || now < flight->sent + loss_delay (self))
      return false;
    peer_ledbat_on_loss (&self->ledbat, now, flight->sent, flight->bytes);
    lose (self, now, i);
    g_array_remove_index (self->flights, i);
    return true;
  }
  return false;
}

/* --- what we asked of them --- */

void
peer_channel_ask (PeerChannel *self, int64_t now, PeerRange run)
{
  for (uint64_t chunk = run.first; chunk < run.end; chunk++) {
    PeerAsk ask = {chunk, now, 0, 0};
    g_array_append_val (self->asks, ask);
  }
  PeerRange *last = self->to_request->len > 0
                        ? &g_array_index (self->to_request, PeerRange, self->to_request->len - 1)
                        : NULL;
  if (last != NULL && last->end == run.first)
    last->end = run.end;
  else
    g_array_append_val (self->to_request, run);
}

void
peer_channel_say_again (PeerChannel *self, uint64_t chunk)
{
  PeerRange run = {chunk, chunk + 1};
  peer_chunks_add (self->reasked, run);
  g_array_append_val (self->to_request, run);
}

bool
peer_channel_has_ask (const PeerChannel *self, uint64_t chunk)
{
  for (guint i = self->asks_first; i < self->asks->len; i++)
    if (g_array_index (self->asks, PeerAsk, i).chunk == chunk)
      return true;
  return false;
}

guint
peer_channel_n_asks (const PeerChannel *self)
{
  return self->asks->len - self->asks_first;
}

/* Takes the ask for chunk out; false = there is none. Answers come about in order, so it is near
 * the front, and what is before it moves up by one. answered: when it was overtaken; 0 = it was not
 * answered. */
static bool
take_ask (PeerChannel *self, uint64_t chunk, int64_t answered, PeerAsk *out)
{
  for (guint i = self->asks_first; i < self->asks->len; i++) {
    PeerAsk *asks = &g_array_index (self->asks, PeerAsk, 0);
    if (asks[i].chunk != chunk)
      continue;
    *out = asks[i];
    for (guint j = i; j > self->asks_first; j--) {
      asks[j] = asks[j - 1];
      if (asks[j].overtaken == 0 && asks[j].at < out->at)
        asks[j].overtaken = answered;
    }
    self->asks_first++;
    compact (self->asks, &self->asks_first);
    return true;
  }
  return false;
}

static void
measure_rate (PeerChannel *self, int64_t now, size_t bytes)
{
  self->rate_bytes += bytes;
  int64_t passed = now - self->rate_at;
  if (passed < RATE_INTERVAL)
    return;
  double rate = (double)self->rate_bytes * 1e6 / (double)passed;
  /* after a pause the interval says nothing of what they can */
  if (passed < 10 * RATE_INTERVAL)
    self->rate = self->rate == 0 ? rate : 0.7 * self->rate + 0.3 * rate;
  self->rate_at = now;
  self->rate_bytes = 0;
}

/* What an answer takes when nothing waits before it; 0 = not known. */
static int64_t
least_latency (const PeerChannel *self)
{
  const int64_t *least = self->latency_min;
  return least[1] == 0 ? least[0] : MIN (least[0], least[1]);
}

/* Paths change, so the least is forgotten after a while. */
static void
measure_least (PeerChannel *self, int64_t now, int64_t latency)
{
  int64_t *least = self->latency_min;
  if (now >= self->latency_since + LEAST_TIME) {
    least[1] = now < self->latency_since + 2 * LEAST_TIME ? least[0] : 0;
    least[0] = 0;
    self->latency_since = now;
  }
  least[0] = least[0] == 0 ? latency : MIN (least[0], latency);
}

static void
measure_latency (PeerChannel *self, int64_t now, int64_t latency)
{
  measure_least (self, now, latency);
  int64_t good = least_latency (self) + (self->live ? QUEUE_TARGET_LIVE : QUEUE_TARGET_STATIC);
  if (self->latency == 0) {
    self->latency = latency;
    self->latency_var = latency / 2;
  } else {
    self->latency_var += (ABS (latency - self->latency) - self->latency_var) / 4;
    self->latency += (latency - self->latency) / 8;
  }
  bool limits = peer_channel_n_asks (self) * 2 >= self->quota;
  if (latency <= good && limits) {
    self->quota = MIN (self->quota + 1, MAX_QUOTA);
  } else if (latency > good) {
    /* what was asked for since the last cut is still to come: until then it only grows deeper */
    if (now >= self->eased_at + latency) {
      self->eased_at = now;
      self->eased_from = self->quota;
    }
    double part = MAX ((double)good / (double)latency, EASE);
    double left = MAX (self->eased_from * part,
                       MIN (self->eased_from, self->live ? FIRST_QUOTA : GOOD_QUOTA));
    self->quota = MIN (self->quota, left);
  }
}

bool
peer_channel_answered (PeerChannel *self, int64_t now, uint64_t chunk, size_t bytes)
{
  PeerAsk ask;
  measure_rate (self, now, bytes);
  bool again = peer_chunks_has (self->reasked, chunk);
  if (again)
    peer_chunks_remove (self->reasked, (PeerRange){chunk, chunk + 1});
  /* what is asked for again is answered before its turn */
  if (!take_ask (self, chunk, again ? 0 : now, &ask))
    return false;
  if (!again)
    measure_latency (self, now, MAX (now - ask.at, 1));
  return true;
}

void
peer_channel_proved (PeerChannel *self, int64_t now)
{
  self->misses = self->avoided = 0;
  self->answered_at = now;
  self->quota = MAX (self->quota, FIRST_QUOTA);
  self->avoid_until = 0;
}

bool
peer_channel_unask (PeerChannel *self, uint64_t chunk)
{
  PeerAsk ask;
  return take_ask (self, chunk, 0, &ask);
}

int64_t
peer_channel_patience (const PeerChannel *self)
{
  /* who has never brought a chunk is not waited for any longer when it misses */
  if (self->latency == 0 && self->handshake_rtt > 0)
    return MAX (3 * self->handshake_rtt + 100000, PATIENCE_MIN);
  if (self->latency == 0)
    return PATIENCE_FIRST;
  /* twice: what is lost on the way is sent again a round trip later */
  int64_t patience = 2 * self->latency + 4 * self->latency_var + 50000;
  return CLAMP (patience, PATIENCE_MIN, PATIENCE_MAX) << MIN (self->misses, 2);
}

/* Until when an answer is waited for. If it was lost on the way, it is sent again a round trip after
 * what overtook it; if not, the request was lost. */
static int64_t
ask_deadline (const PeerChannel *self, const PeerAsk *ask)
{
  int64_t deadline = ask->at + peer_channel_patience (self);
  if (ask->overtaken == 0)
    return deadline;
  return MIN (deadline, ask->overtaken + self->latency + OVERTAKEN);
}

bool
peer_channel_expired_ask (PeerChannel *self, int64_t now, uint64_t *chunk)
{
  if (self->asks_first >= self->asks->len)
    return false;
  const PeerAsk *ask = &g_array_index (self->asks, PeerAsk, self->asks_first);
  if (now < ask_deadline (self, ask))
    return false;
  *chunk = ask->chunk;
  peer_chunks_add (self->reasked, (PeerRange){*chunk, *chunk + 1});
  self->asks_first++;
  compact (self->asks, &self->asks_first);
  return true;
}

bool
peer_channel_slow_ask (PeerChannel *self, int64_t now, uint64_t urgent, uint64_t *chunk)
{
  /* one answer's time, without that of a loss and its repair */
  int64_t patience = self->latency == 0
                         ? PATIENCE_FIRST / 4
                         : self->latency + MIN (2 * self->latency_var, self->latency / 2) + 20000;
  for (guint i = self->asks_first; i < self->asks->len; i++) {
    PeerAsk *ask = &g_array_index (self->asks, PeerAsk, i);
    if (now < ask->at + patience)
      return false;
    if (now < ask->doubled + patience || ask->chunk >= urgent)
      continue;
    ask->doubled = now;
    *chunk = ask->chunk;
    return true;
  }
  return false;
}

bool
peer_channel_old_ask (const PeerChannel *self, int64_t by, guint *at, uint64_t *chunk)
{
  for (guint i = MAX (*at, self->asks_first); i < self->asks->len; i++) {
    const PeerAsk *ask = &g_array_index (self->asks, PeerAsk, i);
    if (ask->at > by)
      return false;
    *at = i + 1;
    *chunk = ask->chunk;
    if (ask->doubled == 0)
      return true;
  }
  return false;
}

void
peer_channel_missed (PeerChannel *self, int64_t now)
{
  if (now < MAX (self->missed_at, self->answered_at) + peer_channel_patience (self))
    return;
  self->missed_at = now;
  self->misses++;
  self->quota = MAX (self->quota / 2, self->misses > 1 ? MIN_QUOTA : MIN (self->quota, GOOD_QUOTA));
}

void
peer_channel_forget_asks (PeerChannel *self)
{
  g_array_set_size (self->asks, 0);
  self->asks_first = 0;
  g_array_set_size (self->to_request, 0);
}

bool
peer_channel_supports (const PeerChannel *self, PeerMessageType type)
{
  return self->supported[type / 8] & (0x80 >> type % 8);
}

int64_t
peer_channel_next_deadline (const PeerChannel *self, int64_t keep_alive)
{
  int64_t next = MIN (self->ack_at, self->announce_at);
  next = MIN (next, peer_channel_loss_deadline (self));
  if (self->asks_first < self->asks->len)
    next = MIN (next, ask_deadline (self, &g_array_index (self->asks, PeerAsk, self->asks_first)));
  return MIN (next, self->last_sent + keep_alive);
}
