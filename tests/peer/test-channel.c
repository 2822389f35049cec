/* SPDX-License-Identifier: Apache-2.0 */
/* The books of one channel: what is asked either way, what is in flight, what is held. */
#include "peer/channel.h"

#define MS INT64_C (1000)
#define S (1000 * MS)
#define START (100 * S)
#define BYTES 1200 /* of a datagram */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerChannel, peer_channel_free)

static PeerChannel *
open_channel (bool live)
{
  const PeerAddress address = {.port = 7000};
  PeerChannel *self = peer_channel_new (NULL, &address, 1, START);
  peer_channel_open (self, START, live);
  return self;
}

static PeerRange
one (uint64_t chunk)
{
  return (PeerRange){chunk, chunk + 1};
}

/* --- what they have --- */

static void
test_what_leaves_their_window_is_forgotten (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  self->window = 100;
  peer_channel_add_have (self, (PeerRange){0, 50});
  g_assert_true (peer_channel_has (self, 0));
  peer_channel_add_have (self, (PeerRange){140, 150});
  g_assert_cmpuint (peer_channel_oldest (self), ==, 50);
  g_assert_false (peer_channel_has (self, 49));
  g_assert_true (peer_channel_has (self, 149));
}

/* --- what they asked of us --- */

static void
test_requests_are_answered_in_their_order (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  static const uint64_t order[] = {7, 20, 21, 5};
  uint64_t chunk;
  g_assert_true (peer_channel_add_request (self, one (7)));
  g_assert_true (peer_channel_add_request (self, (PeerRange){20, 22}));
  g_assert_true (peer_channel_add_request (self, one (5)));
  g_assert_true (peer_channel_add_request (self, one (20))); /* waits already: not twice */
  g_assert_cmpuint (peer_channel_backlog (self), ==, 4);
  for (unsigned i = 0; i < G_N_ELEMENTS (order); i++) {
    g_assert_true (peer_channel_next_request (self, &chunk));
    g_assert_cmpuint (chunk, ==, order[i]);
  }
  g_assert_false (peer_channel_next_request (self, &chunk));
}

static void
test_request_that_could_not_be_sent_is_first_again (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  uint64_t chunk;
  peer_channel_add_request (self, (PeerRange){10, 14});
  g_assert_true (peer_channel_next_request (self, &chunk));
  g_assert_true (peer_channel_next_request (self, &chunk));
  peer_channel_unget_request (self, 11);
  peer_channel_unget_request (self, 3);
  g_assert_true (peer_channel_next_request (self, &chunk));
  g_assert_cmpuint (chunk, ==, 3);
  g_assert_true (peer_channel_next_request (self, &chunk));
  g_assert_cmpuint (chunk, ==, 11);
  g_assert_true (peer_channel_next_request (self, &chunk));
  g_assert_cmpuint (chunk, ==, 12);
}

static void
test_cancelled_request_is_not_answered (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  uint64_t chunk;
  peer_channel_add_request (self, (PeerRange){0, 6});
  g_assert_cmpuint (peer_channel_cancel (self, (PeerRange){1, 5}), ==, 4);
  g_assert_cmpuint (peer_channel_cancel (self, (PeerRange){1, 5}), ==, 0);
  g_assert_true (peer_channel_next_request (self, &chunk));
  g_assert_cmpuint (chunk, ==, 0);
  g_assert_true (peer_channel_next_request (self, &chunk));
  g_assert_cmpuint (chunk, ==, 5);
  g_assert_false (peer_channel_next_request (self, &chunk));
}

static void
test_queue_of_requests_has_an_end (void)
{
  g_autoptr (PeerChannel) chunks = open_channel (false);
  g_assert_false (peer_channel_add_request (chunks, (PeerRange){0, 1 << 20}));
  g_assert_cmpuint (peer_channel_backlog (chunks), ==, 8192);
  g_autoptr (PeerChannel) runs = open_channel (false);
  unsigned taken = 0;
  while (taken < 1000 && peer_channel_add_request (runs, one (2 * taken)))
    taken++;
  g_assert_cmpuint (taken, ==, 256);
}

/* --- what is in flight --- */

static void
test_later_acknowledgement_tells_of_a_loss (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  uint64_t chunk;
  for (uint64_t i = 0; i < 3; i++)
    peer_channel_sent (self, START + (int64_t)i * MS, i, BYTES, one (0));
  g_assert_cmpuint (self->flight_bytes, ==, 3 * BYTES);
  g_assert_cmpuint (peer_channel_acked (self, START + 50 * MS, one (1), 20 * MS), ==, 1);
  g_assert_cmpuint (peer_channel_find_lost (self, START + 50 * MS), ==, 0); /* may be late */
  g_assert_cmpuint (peer_channel_find_lost (self, START + 80 * MS), ==, 1);
  g_assert_cmpuint (self->flight_bytes, ==, BYTES); /* the last was sent after what was acked */
  g_assert_true (peer_channel_next_request (self, &chunk));
  g_assert_cmpuint (chunk, ==, 0);
  g_assert_true (peer_chunks_has (self->resend, 0));
}

/* A queue on the way delays all that was sent: the mean follows slowly, the newest does not. */
static void
test_queue_on_the_way_is_no_loss (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  for (uint64_t i = 0; i < 20; i++) {
    peer_channel_sent (self, START + (int64_t)i * 100 * MS, i, BYTES, one (0));
    peer_channel_acked (self, START + (int64_t)i * 100 * MS + 40 * MS, one (i), 20 * MS);
  }
  int64_t now = START + 3 * S;
  peer_channel_sent (self, now, 100, BYTES, one (0));
  peer_channel_sent (self, now + MS, 101, BYTES, one (0));
  peer_channel_sent (self, now + 2 * MS, 102, BYTES, one (0));
  peer_channel_acked (self, now + 130 * MS, one (101), 100 * MS);
  g_assert_cmpuint (peer_channel_find_lost (self, now + 131 * MS), ==, 0);
  g_assert_cmpuint (peer_channel_acked (self, now + 132 * MS, one (100), 100 * MS), ==, 1);
}

/* Chunk 0 went with the hashes of the four, and is lost: the others may be there, and cannot be
 * acknowledged (8.7) before it has come again. */
static void
test_what_rests_on_lost_hashes_is_no_loss (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  const PeerRange four = {0, 4};
  uint64_t chunk;
  for (uint64_t i = 0; i < 5; i++)
    peer_channel_sent (self, START + (int64_t)i * MS, i, BYTES, i == 0 ? four : one (i));
  g_assert_cmpuint (peer_channel_acked (self, START + 44 * MS, one (4), 20 * MS), ==, 1);
  int64_t now = START + 80 * MS;
  g_assert_cmpuint (peer_channel_find_lost (self, now), ==, 1);
  g_assert_true (peer_channel_next_request (self, &chunk));
  g_assert_cmpuint (chunk, ==, 0);
  g_assert_false (peer_channel_next_request (self, &chunk));
  g_assert_cmpint (peer_channel_loss_deadline (self), >, now); /* or it would spin */
  peer_channel_sent (self, now, 0, BYTES, four);
  g_assert_cmpuint (peer_channel_acked (self, now + 40 * MS, one (0), 20 * MS), ==, 1);
  g_assert_cmpuint (peer_channel_acked (self, now + 41 * MS, one (2), 20 * MS), ==, 1);
  now += 41 * MS;
  g_assert_cmpuint (peer_channel_find_lost (self, now), ==, 0);
  /* The other two were lost themselves. */
  int64_t deadline = peer_channel_loss_deadline (self);
  g_assert_cmpint (deadline, >, now);
  g_assert_cmpint (deadline, <, now + 100 * MS);
  g_assert_cmpuint (peer_channel_find_lost (self, deadline), ==, 2);
  g_assert_cmpuint (self->flight_bytes, ==, 0);
}

/* What rests on lost hashes is acknowledged when those have come again: its way took no longer. Else
 * losses would be found later and later. */
static void
test_what_waited_for_hashes_measures_nothing (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  const PeerRange four = {0, 4};
  for (uint64_t i = 0; i < 5; i++)
    peer_channel_sent (self, START, i, BYTES, i == 0 ? four : one (i));
  peer_channel_sent (self, START + MS, 5, BYTES, one (5));
  g_assert_cmpuint (peer_channel_acked (self, START + 41 * MS, (PeerRange){4, 6}, 20 * MS), ==, 2);
  g_assert_cmpint (self->ledbat.srtt, ==, 40 * MS);
  g_assert_cmpuint (peer_channel_acked (self, START + 140 * MS, (PeerRange){1, 4}, 20 * MS), ==, 3);
  g_assert_cmpint (self->ledbat.srtt, ==, 40 * MS);
  g_assert_cmpint (self->newest_rtt, ==, 40 * MS);
  peer_channel_sent (self, START + 150 * MS, 6, BYTES, one (6));
  g_assert_cmpuint (peer_channel_acked (self, START + 270 * MS, one (6), 20 * MS), ==, 1);
  g_assert_cmpint (self->newest_rtt, ==, 120 * MS);
  g_assert_cmpint (self->ledbat.srtt, ==, 50 * MS);
}

/* If the first is lost, no round trip is known when it is sent again, and what is sent again tells
 * of none: so what follows must have the time to be measured. */
static void
test_nothing_is_lost_before_a_round_trip_is_known (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  peer_channel_sent (self, START, 0, BYTES, one (0));
  g_assert_cmpuint (peer_channel_find_lost (self, START + 3 * S), ==, 1);
  int64_t now = START + 3 * S;
  peer_channel_sent (self, now, 0, BYTES, one (0));
  peer_channel_sent (self, now, 1, BYTES, one (0));
  g_assert_cmpuint (peer_channel_acked (self, now + 100 * MS, one (0), 50 * MS), ==, 1);
  g_assert_cmpuint (peer_channel_find_lost (self, now + 101 * MS), ==, 0);
  g_assert_cmpuint (peer_channel_acked (self, now + 102 * MS, one (1), 50 * MS), ==, 1);
  g_assert_cmpint (self->ledbat.srtt, ==, 102 * MS);
}

/* A round trip that has become longer than is allowed for is learnt though all is sent twice. */
static void
test_longer_round_trip_is_learnt (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  int64_t now = START;
  for (uint64_t i = 0; i < 20; i++, now += 100 * MS) {
    peer_channel_sent (self, now, i, BYTES, one (0));
    peer_channel_acked (self, now + 40 * MS, one (i), 20 * MS);
  }
  unsigned lost = 0;
  for (uint64_t i = 100; i < 200; i++, now += 10 * MS) {
    peer_channel_sent (self, now, i, BYTES, one (0));
    lost += peer_channel_find_lost (self, now);
    if (i >= 120)
      peer_channel_acked (self, now, one (i - 20), 100 * MS); /* 200 ms now */
    uint64_t chunk;
    while (peer_channel_next_request (self, &chunk))
      peer_channel_sent (self, now, chunk, BYTES, one (0));
    if (i == 159)
      lost = 0;
  }
  g_assert_cmpuint (lost, ==, 0);
  g_assert_cmpint (self->ledbat.srtt, >, 100 * MS);
}

static void
test_silence_brings_a_probe_then_a_timeout (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  peer_channel_sent (self, START, 0, BYTES, one (0));
  peer_channel_acked (self, START + 40 * MS, one (0), 20 * MS);
  for (uint64_t i = 1; i < 4; i++)
    peer_channel_sent (self, START + 50 * MS, i, BYTES, one (0));
  g_assert_cmpuint (peer_channel_find_lost (self, START + 60 * MS), ==, 0);
  int64_t at = peer_channel_loss_deadline (self);
  g_assert_cmpint (at, <, START + S);
  g_assert_cmpuint (peer_channel_find_lost (self, at), ==, 1);
  g_assert_true (self->probe);
  g_assert_cmpuint (peer_channel_window_left (self), >=, PEER_DATAGRAM_MAX);
  g_assert_cmpuint (peer_channel_find_lost (self, START + 10 * S), ==, 2);
  g_assert_cmpuint (self->flight_bytes, ==, 0);
}

/* The queue that an acknowledgement waits in grows faster than the mean of the round trips: a probe
 * after a little more than one of them is mostly in vain (RFC 8985, 7.2). */
static void
test_probe_waits_for_two_round_trips (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  peer_channel_sent (self, START, 1, BYTES, one (1));
  g_assert_cmpuint (peer_channel_acked (self, START + 100 * MS, one (1), 50000), ==, 1);
  int64_t sent = START + 200 * MS;
  peer_channel_sent (self, sent, 2, BYTES, one (2));
  g_assert_cmpuint (peer_channel_find_lost (self, sent + 190 * MS), ==, 0);
  g_assert_cmpuint (peer_channel_find_lost (self, sent + 260 * MS), ==, 1);
}

/* A live peer that makes us wait is asked for a few chunks, since all its neighbours do so. */
static void
test_slow_live_peer_keeps_a_small_quota (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  int64_t now = START;
  for (uint64_t chunk = 0; chunk < 200; chunk++) {
    peer_channel_ask (self, now, one (chunk));
    int64_t took = chunk < 100 ? 20 * MS : 900 * MS;
    peer_channel_answered (self, now += took, chunk, 1128);
    peer_channel_proved (self, now);
    if (chunk == 99) {
      self->quota = 100;
      self->eased_at = 0;
    }
  }
  g_assert_cmpfloat (self->quota, >=, 4);
  g_assert_cmpfloat (self->quota, <=, 12);
}

static void
test_old_asks_are_found (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  uint64_t chunk;
  guint at = 0;
  peer_channel_ask (self, START, (PeerRange){10, 12});
  peer_channel_ask (self, START + S, one (20));
  g_assert_true (peer_channel_old_ask (self, START, &at, &chunk));
  g_assert_cmpuint (chunk, ==, 10);
  g_assert_true (peer_channel_old_ask (self, START, &at, &chunk));
  g_assert_cmpuint (chunk, ==, 11);
  g_assert_false (peer_channel_old_ask (self, START, &at, &chunk));
}

static void
test_next_request_can_be_seen (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  uint64_t chunk;
  g_assert_false (peer_channel_peek_request (self, &chunk));
  peer_channel_add_request (self, (PeerRange){7, 9});
  peer_channel_cancel (self, one (7));
  g_assert_true (peer_channel_peek_request (self, &chunk));
  g_assert_cmpuint (chunk, ==, 8);
  g_assert_cmpuint (peer_channel_backlog (self), ==, 1);
}

/* RFC7574.md, D15: 16 chunks may be given again, and 2 % of what is sent, 64 at most. What is lost was
 * not given. */
static void
test_little_is_given_again (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  self->given = peer_chunks_new (0);
  self->ledbat.srtt = 10 * MS;
  g_assert_cmpfloat (self->again, ==, 16);
  for (uint64_t chunk = 0; chunk < 100; chunk++)
    peer_channel_sent (self, START, chunk, BYTES, one (chunk));
  g_assert_cmpfloat_with_epsilon (self->again, 18, 0.001);
  g_assert_true (peer_chunks_has_all (self->given, (PeerRange){0, 100}));
  g_assert_true (peer_channel_not_arrived (self, START + S, 3));
  g_assert_false (peer_chunks_has (self->given, 3));
  g_assert_cmpuint (peer_chunks_count (self->given), ==, 99);
  for (uint64_t chunk = 100; chunk < 4000; chunk++)
    peer_channel_sent (self, START, chunk, BYTES, one (chunk));
  g_assert_cmpfloat (self->again, ==, 64);
}

static void
test_what_is_asked_again_did_not_arrive (void)
{
  g_autoptr (PeerChannel) self = open_channel (false);
  uint64_t chunk;
  peer_channel_add_request (self, one (9));
  peer_channel_sent (self, START, 3, BYTES, one (0));
  peer_channel_acked (self, START + 40 * MS, one (3), 20 * MS);
  peer_channel_sent (self, START + S, 4, BYTES, one (0));
  g_assert_false (peer_channel_not_arrived (self, START + S + 20 * MS, 4)); /* it may yet */
  g_assert_true (peer_channel_not_arrived (self, START + S + 100 * MS, 4));
  g_assert_cmpuint (self->flight_bytes, ==, 0);
  g_assert_true (peer_channel_next_request (self, &chunk));
  g_assert_cmpuint (chunk, ==, 4);
}

/* --- what we asked of them --- */

/* Asks for n chunks and has them answered one after the other, each latency after its ask. */
static int64_t
exchange (PeerChannel *self, int64_t now, uint64_t *next, unsigned n, int64_t latency)
{
  for (unsigned i = 0; i < n; i++) {
    peer_channel_ask (self, now, one (*next + i));
  }
  for (unsigned i = 0; i < n; i++)
    g_assert_true (peer_channel_answered (self, now + latency, (*next)++, BYTES));
  g_array_set_size (self->to_request, 0);
  return now + latency;
}

static void
test_quota_grows_with_answers_and_gives_way_to_a_queue (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  uint64_t next = 0;
  int64_t now = START;
  for (unsigned i = 0; i < 8; i++)
    now = exchange (self, now, &next, (unsigned)self->quota, 50 * MS);
  double grown = self->quota;
  g_assert_cmpfloat (grown, >, 64);
  now = exchange (self, now, &next, (unsigned)grown, 300 * MS);
  g_assert_cmpfloat (self->quota, <, grown / 2); /* to what the path holds, and once */
  g_assert_cmpfloat (self->quota, >=, 24);
  /* a queue that stays for seconds is not taken for the path's own time */
  for (unsigned i = 0; i < 15; i++)
    now = exchange (self, now, &next, 16, 300 * MS);
  g_assert_cmpfloat (self->quota, <, grown / 2);
}

/* The first answer out of a queue that grows tells little of it; the next ones tell more, long before
 * an answer to what was asked after the first. */
static void
test_quota_follows_a_queue_that_grows (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  int64_t now = START;
  uint64_t next = 0;
  while (self->quota < 256)
    now = exchange (self, now, &next, (unsigned)self->quota, 50 * MS);
  double grown = self->quota;
  peer_channel_ask (self, now, (PeerRange){next, next + 200});
  for (int64_t late = 135 * MS; late < 1000 * MS; late += 5 * MS)
    peer_channel_answered (self, now + late, next++, BYTES);
  g_assert_cmpfloat (self->quota, <, grown / 2);
  g_assert_cmpfloat (self->quota, >, grown / 4);
}

static void
test_silence_expires_asks_and_costs_quota (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  uint64_t next = 0, chunk;
  int64_t now = exchange (self, START, &next, 4, 50 * MS);
  peer_channel_ask (self, now, (PeerRange){40, 42});
  int64_t patience = peer_channel_patience (self);
  g_assert_cmpint (patience, >=, 100 * MS);
  g_assert_false (peer_channel_expired_ask (self, now + patience - 1, &chunk));
  g_assert_true (peer_channel_expired_ask (self, now + patience, &chunk));
  g_assert_cmpuint (chunk, ==, 40);
  g_assert_true (peer_channel_expired_ask (self, now + patience, &chunk));
  g_assert_false (peer_channel_expired_ask (self, now + patience, &chunk));
  peer_channel_missed (self, now + patience);
  g_assert_cmpuint (self->misses, ==, 1);
  g_assert_cmpint (peer_channel_patience (self), ==, 2 * patience);
  peer_channel_missed (self, now + patience + 1); /* the same silence */
  g_assert_cmpuint (self->misses, ==, 1);
}

/* Who tells of chunks and never brings one (12.6.2) is not waited for any longer each time. */
static void
test_who_never_answered_is_not_waited_for_longer (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  int64_t patience = peer_channel_patience (self), now = START;
  for (uint64_t chunk = 40; chunk < 43; chunk++) {
    uint64_t expired;
    peer_channel_ask (self, now, one (chunk));
    now += patience;
    g_assert_true (peer_channel_expired_ask (self, now, &expired));
    peer_channel_missed (self, now);
    g_assert_cmpint (peer_channel_patience (self), ==, patience);
  }
  g_assert_cmpuint (self->misses, ==, 3);
  peer_channel_proved (self, now);
  g_assert_cmpuint (self->misses, ==, 0);
}

static void
test_overtaken_ask_is_not_waited_for (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  uint64_t next = 0, chunk;
  int64_t now = START;
  for (unsigned i = 0; i < 2; i++) /* so slow that patience is long */
    now = exchange (self, now, &next, 4, 400 * MS);
  peer_channel_ask (self, now, one (50));
  peer_channel_ask (self, now, one (51));
  peer_channel_ask (self, now + 10 * MS, one (60));
  int64_t patience = peer_channel_patience (self);
  g_assert_true (peer_channel_answered (self, now + 100 * MS, 60, BYTES));
  int64_t wait = 100 * MS + self->latency + 50 * MS;
  g_assert_cmpint (wait, <, patience);
  g_assert_false (peer_channel_expired_ask (self, now + wait - 1, &chunk));
  g_assert_true (peer_channel_expired_ask (self, now + wait, &chunk));
  g_assert_cmpuint (chunk, ==, 50);
  g_assert_true (peer_channel_expired_ask (self, now + wait, &chunk));
  g_assert_cmpuint (chunk, ==, 51);
}

/* It is answered before its turn, so it says nothing of what was asked for before it. */
static void
test_ask_said_again_overtakes_nothing (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  uint64_t next = 0, chunk;
  int64_t now = START;
  for (unsigned i = 0; i < 2; i++)
    now = exchange (self, now, &next, 4, 400 * MS);
  peer_channel_ask (self, now, one (50));
  peer_channel_ask (self, now + 10 * MS, one (60));
  peer_channel_say_again (self, 60);
  g_assert_cmpuint (self->to_request->len, ==, 3);
  g_assert_true (peer_channel_answered (self, now + 100 * MS, 60, BYTES));
  g_assert_false (peer_channel_expired_ask (self, now + 700 * MS, &chunk));
}

static void
test_slow_ask_is_told_once_in_an_answers_time (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  uint64_t next = 0, chunk;
  int64_t now = exchange (self, START, &next, 8, 100 * MS);
  peer_channel_ask (self, now, one (30));
  peer_channel_ask (self, now, one (90));
  g_assert_false (peer_channel_slow_ask (self, now + 50 * MS, 80, &chunk));
  g_assert_true (peer_channel_slow_ask (self, now + 200 * MS, 80, &chunk));
  g_assert_cmpuint (chunk, ==, 30);
  g_assert_false (peer_channel_slow_ask (self, now + 201 * MS, 80, &chunk)); /* 90 is not urgent */
  g_assert_true (peer_channel_slow_ask (self, now + 400 * MS, 80, &chunk));
  g_assert_true (peer_channel_has_ask (self, 30));
}

static void
test_what_came_from_elsewhere_is_no_longer_asked (void)
{
  g_autoptr (PeerChannel) self = open_channel (true);
  peer_channel_ask (self, START, (PeerRange){0, 3});
  g_assert_true (peer_channel_unask (self, 1));
  g_assert_false (peer_channel_unask (self, 1));
  g_assert_cmpuint (peer_channel_n_asks (self), ==, 2);
  g_assert_false (peer_channel_answered (self, START + MS, 1, BYTES));
  g_assert_true (peer_channel_answered (self, START + MS, 2, BYTES));
  peer_channel_forget_asks (self);
  g_assert_cmpuint (peer_channel_n_asks (self), ==, 0);
}

/* --- what is held --- */

static void
test_held_chunks_have_an_end (void)
{
  PeerHeld held = {NULL};
  const uint8_t bytes[4] = {1, 2, 3, 4};
  g_assert_cmpuint (peer_held_count (&held), ==, 0);
  for (uint64_t i = 0; i < PEER_HELD_MAX; i++)
    g_assert_true (peer_held_add (&held, START, i, 5, bytes, sizeof bytes));
  g_assert_false (peer_held_add (&held, START, 1000, 5, bytes, sizeof bytes));
  peer_held_remove (&held, 0);
  g_assert_false (peer_held_has (&held, 0));
  g_assert_true (peer_held_has (&held, 1));
  g_assert_cmpmem (peer_held_get (&held, 0)->bytes, peer_held_get (&held, 0)->n, bytes, 4);
  peer_held_clear (&held);
  g_assert_cmpuint (peer_held_count (&held), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/peer/channel/" name, function)
  ADD ("what-leaves-their-window-is-forgotten", test_what_leaves_their_window_is_forgotten);
  ADD ("requests-are-answered-in-their-order", test_requests_are_answered_in_their_order);
  ADD ("request-that-could-not-be-sent-is-first-again",
       test_request_that_could_not_be_sent_is_first_again);
  ADD ("cancelled-request-is-not-answered", test_cancelled_request_is_not_answered);
  ADD ("queue-of-requests-has-an-end", test_queue_of_requests_has_an_end);
  ADD ("later-acknowledgement-tells-of-a-loss", test_later_acknowledgement_tells_of_a_loss);
  ADD ("queue-on-the-way-is-no-loss", test_queue_on_the_way_is_no_loss);
  ADD ("what-rests-on-lost-hashes-is-no-loss", test_what_rests_on_lost_hashes_is_no_loss);
  ADD ("what-waited-for-hashes-measures-nothing", test_what_waited_for_hashes_measures_nothing);
  ADD ("nothing-is-lost-before-a-round-trip-is-known",
       test_nothing_is_lost_before_a_round_trip_is_known);
  ADD ("longer-round-trip-is-learnt", test_longer_round_trip_is_learnt);
  ADD ("silence-brings-a-probe-then-a-timeout", test_silence_brings_a_probe_then_a_timeout);
  ADD ("probe-waits-for-two-round-trips", test_probe_waits_for_two_round_trips);
  ADD ("slow-live-peer-keeps-a-small-quota", test_slow_live_peer_keeps_a_small_quota);
  ADD ("old-asks-are-found", test_old_asks_are_found);
  ADD ("next-request-can-be-seen", test_next_request_can_be_seen);
  ADD ("what-is-asked-again-did-not-arrive", test_what_is_asked_again_did_not_arrive);
  ADD ("little-is-given-again", test_little_is_given_again);
  ADD ("quota-grows-with-answers-and-gives-way-to-a-queue",
       test_quota_grows_with_answers_and_gives_way_to_a_queue);
  ADD ("quota-follows-a-queue-that-grows", test_quota_follows_a_queue_that_grows);
  ADD ("silence-expires-asks-and-costs-quota", test_silence_expires_asks_and_costs_quota);
  ADD ("who-never-answered-is-not-waited-for-longer",
       test_who_never_answered_is_not_waited_for_longer);
  ADD ("overtaken-ask-is-not-waited-for", test_overtaken_ask_is_not_waited_for);
  ADD ("ask-said-again-overtakes-nothing", test_ask_said_again_overtakes_nothing);
  ADD ("slow-ask-is-told-once-in-an-answers-time", test_slow_ask_is_told_once_in_an_answers_time);
  ADD ("what-came-from-elsewhere-is-no-longer-asked",
       test_what_came_from_elsewhere_is_no_longer_asked);
  ADD ("held-chunks-have-an-end", test_held_chunks_have_an_end);
  return g_test_run ();
}
