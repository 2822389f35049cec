/* SPDX-License-Identifier: Apache-2.0 */
/* More than its share: ranges that no one can hold, requests for everything, acknowledgements that
 * open a window. */
#include "tests/sim/adversary.h"

#include <string.h>

/* --- ranges at every boundary --- */

static void
strange_ranges (SimAdversary *self, PeerWriter *writer)
{
  static const uint64_t ends[] = {
      0,          1,         UINT32_MAX,     (uint64_t)UINT32_MAX + 1, INT64_MAX,
      UINT64_MAX, INT64_MIN, UINT64_MAX - 1, (uint64_t)1 << 62};
  static const PeerMessageType types[] = {PEER_MESSAGE_HAVE,      PEER_MESSAGE_REQUEST,
                                          PEER_MESSAGE_CANCEL,    PEER_MESSAGE_ACK,
                                          PEER_MESSAGE_INTEGRITY, PEER_MESSAGE_SIGNED_INTEGRITY};
  static const uint8_t zeros[PEER_SIGNATURE_MAX];
  PeerMessageType type = types[self->variant];
  uint64_t edge = sim_adversary_edge (self).end;
  uint64_t pick[2];
  for (unsigned i = 0; i < 2; i++) {
    unsigned n = sim_adversary_below (self, G_N_ELEMENTS (ends) + 3);
    pick[i] = n < G_N_ELEMENTS (ends) ? ends[n] : edge + n - G_N_ELEMENTS (ends) - 1;
  }
  if (sim_adversary_below (self, 4) != 0 && pick[0] > pick[1]) { /* mostly the right way round */
    uint64_t first = pick[1];
    pick[1] = pick[0];
    pick[0] = first;
  }
  PeerWriter before = *writer;
  bool fits = peer_writer_u8 (writer, (uint8_t)type) && peer_writer_u64 (writer, pick[0]) &&
              peer_writer_u64 (writer, pick[1]);
  if (type == PEER_MESSAGE_ACK || type == PEER_MESSAGE_SIGNED_INTEGRITY)
    fits = fits && peer_writer_u64 (writer, sim_random_next (&self->random));
  if (type == PEER_MESSAGE_INTEGRITY)
    fits = fits && peer_writer_bytes (writer, zeros, self->format.hash_size);
  if (type == PEER_MESSAGE_SIGNED_INTEGRITY)
    fits = fits && peer_writer_bytes (writer, zeros, self->format.signature_size);
  if (!fits)
    *writer = before;
}

/* Thousands of single chunks with gaps: as many runs as a set can be made to hold. */
static void
many_runs (SimAdversary *self, PeerWriter *writer)
{
  uint64_t first = sim_adversary_edge (self).end + 2 * sim_random_below (&self->random, 100000);
  while (writer->used + 17 <= writer->size) {
    sim_adversary_say (self, writer,
                       (PeerMessage){.type = PEER_MESSAGE_HAVE, .chunks = {first, first + 1}});
    first += 2;
  }
}

static void
ranges_tick (SimAdversary *self)
{
  for (guint i = 0; i < self->friends->len; i++) {
    const SimFriend *friend = &g_array_index (self->friends, SimFriend, i);
    SimDatagram out;
    sim_datagram_begin (&out, friend->channel);
    if (self->variant < 6)
      strange_ranges (self, &out.writer);
    else
      many_runs (self, &out.writer);
    sim_adversary_send (self, &friend->address, &out);
  }
}

/* --- requests --- */

static void
devour_tick (SimAdversary *self)
{
  PeerRange edge = sim_adversary_edge (self);
  for (guint i = 0; i < self->friends->len; i++) {
    const SimFriend *friend = &g_array_index (self->friends, SimFriend, i);
    SimDatagram out;
    sim_datagram_begin (&out, friend->channel);
    PeerRange all = {edge.end > 1024 ? edge.end - 1024 : 0, edge.end};
    if (!peer_range_is_empty (all))
      sim_adversary_say (self, &out.writer,
                         (PeerMessage){.type = PEER_MESSAGE_REQUEST, .chunks = all});
    sim_adversary_send (self, &friend->address, &out);
  }
}

/* It tells of nothing and gives nothing; what it gets it acknowledges, so that more comes. */
static bool
takes_only (SimAdversary *self, const PeerAddress *to, PeerMessage *message)
{
  return message->type != PEER_MESSAGE_DATA && message->type != PEER_MESSAGE_INTEGRITY &&
         message->type != PEER_MESSAGE_SIGNED_INTEGRITY && message->type != PEER_MESSAGE_HAVE &&
         message->type != PEER_MESSAGE_CANCEL;
}

/* --- acknowledgements --- */

static bool
lie_about_delay (SimAdversary *self, const PeerAddress *to, PeerMessage *message)
{
  if (message->type != PEER_MESSAGE_ACK)
    return true;
  self->blows++;
  switch (self->variant) {
  case 0: /* never any queue */
    message->time = 1;
    break;
  case 1: /* less each time */
    message->time = (uint64_t)0 - (uint64_t)sim_net_now (self->net);
    break;
  case 2: /* anything */
    message->time = sim_random_next (&self->random);
    break;
  case 3: /* of more than came */
    message->chunks.end = sim_adversary_edge (self).end;
    message->chunks.first = MIN (message->chunks.first, message->chunks.end - 1);
    break;
  }
  return true;
}

/* Acknowledges what it asks for before it can have come. */
static void
acknowledge_ahead (SimAdversary *self)
{
  uint64_t end = sim_adversary_edge (self).end;
  for (guint i = 0; i < self->friends->len && self->variant == 3; i++) {
    const SimFriend *friend = &g_array_index (self->friends, SimFriend, i);
    SimDatagram out;
    sim_datagram_begin (&out, friend->channel);
    if (end > 0)
      sim_adversary_say (
          self, &out.writer,
          (PeerMessage){.type = PEER_MESSAGE_ACK, .chunks = {end > 64 ? end - 64 : 0, end}});
    sim_adversary_send (self, &friend->address, &out);
  }
}

const SimAttack sim_attacks_appetite[] = {
    {.name = "P7",
     .what = "says ranges at every boundary, and as many as it can",
     .variants = 7,
     .tick = ranges_tick,
     .evidence = {SIM_EVIDENCE (malformed), SIM_EVIDENCE (out_of_state)},
     .n_evidence = 2},
    {.name = "P10",
     .what = "asks everybody for everything, and gives nothing",
     .leeches = true,
     .message = takes_only,
     .tick = devour_tick,
     .evidence = {SIM_EVIDENCE (requests_refused), SIM_EVIDENCE (chunks_sent)},
     .n_evidence = 2},
    {.name = "P11",
     .what = "lies about what came, and how long it took",
     .variants = 4,
     .leeches = true,
     .message = lie_about_delay,
     .tick = acknowledge_ahead},
    {.name = NULL},
};
