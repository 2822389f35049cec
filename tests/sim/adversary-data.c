/* SPDX-License-Identifier: Apache-2.0 */
/* Lies about chunks: told of and never given, given wrong, given unasked. */
#include "tests/sim/adversary.h"

#include <string.h>

#define CLAIMED 512 /* chunks */

static void
claim_all (SimAdversary *self, PeerWriter *datagram)
{
  PeerRange run = sim_adversary_edge (self);
  if (peer_range_is_empty (run))
    return;
  run.first = run.end > CLAIMED ? run.end - CLAIMED : 0;
  if (self->variant == 1)
    run.end += CLAIMED; /* what nobody can have yet */
  sim_adversary_say (self, datagram, (PeerMessage){.type = PEER_MESSAGE_HAVE, .chunks = run});
}

static void
claim_to_all (SimAdversary *self)
{
  for (guint i = 0; i < self->friends->len; i++) {
    const SimFriend *friend = &g_array_index (self->friends, SimFriend, i);
    SimDatagram out;
    sim_datagram_begin (&out, friend->channel);
    claim_all (self, &out.writer);
    sim_net_send (self->net, self->peer, &friend->address, out.bytes, out.writer.used);
  }
}

static bool
gives_nothing (SimAdversary *self, const PeerAddress *to, PeerMessage *message)
{
  return message->type != PEER_MESSAGE_DATA && message->type != PEER_MESSAGE_INTEGRITY &&
         message->type != PEER_MESSAGE_SIGNED_INTEGRITY;
}

static void
hears_requests (SimAdversary *self, const PeerAddress *from, const PeerMessage *message)
{
  self->blows += message->type == PEER_MESSAGE_REQUEST;
}

static void
claim_tick (SimAdversary *self)
{
  if (self->ticks % 5 == 0)
    claim_to_all (self);
}

/* --- everywhere at once: as many connections as it can get, and nothing behind them --- */

static void
crowd_start (SimAdversary *self)
{
  self->variant = 0;
}

static void
crowd_tick (SimAdversary *self)
{
  PeerAddress address;
  for (unsigned i = 0; i < 4; i++) {
    sim_adversary_draw (self, &address);
    peer_engine_add_peer (sim_world_engine (self->world, self->peer),
                          sim_world_swarm (self->world, self->peer), &address);
  }
  if (self->ticks % 50 == 0) /* and as somebody else again */
    sim_net_rebind (self->net, self->peer);
  claim_tick (self);
}

/* --- pollution --- */

enum {
  POLLUTE_ALL,
  POLLUTE_SOME,
  POLLUTE_HASHES,
  POLLUTE_NUMBERS,
  POLLUTE_SIZE,
  POLLUTE_RETURNING
};

static void
spoil (SimAdversary *self, PeerMessage *message)
{
  /* the bytes are the engine's outgoing datagram, which nobody else reads */
  uint8_t *bytes = (uint8_t *)message->bytes.data;
  if (message->bytes.left == 0)
    return;
  bytes[sim_random_below (&self->random, message->bytes.left)] ^=
      (uint8_t)(1u << sim_adversary_below (self, 8));
  self->blows++;
}

static bool
pollute (SimAdversary *self, const PeerAddress *to, PeerMessage *message)
{
  bool is_data = message->type == PEER_MESSAGE_DATA;
  switch (self->variant) {
  case POLLUTE_ALL:
  case POLLUTE_RETURNING:
    if (is_data)
      spoil (self, message);
    break;
  case POLLUTE_SOME:
    if (is_data && sim_adversary_below (self, 16) == 0)
      spoil (self, message);
    break;
  case POLLUTE_HASHES:
    if (message->type == PEER_MESSAGE_INTEGRITY && sim_adversary_below (self, 4) == 0)
      spoil (self, message);
    break;
  case POLLUTE_NUMBERS:
    if (is_data && sim_adversary_below (self, 4) == 0) {
      message->chunks = (PeerRange){message->chunks.first ^ 1, (message->chunks.first ^ 1) + 1};
      self->blows++;
    }
    break;
  case POLLUTE_SIZE:
    if (is_data && sim_adversary_below (self, 4) == 0) {
      message->bytes.left -= sim_random_below (&self->random, message->bytes.left);
      self->blows++;
    }
    break;
  }
  return true;
}

static void
pollute_tick (SimAdversary *self)
{
  if (self->variant == POLLUTE_RETURNING && self->ticks % 20 == 0)
    sim_net_rebind (self->net, self->peer);
}

/* --- what nobody asked for --- */

static void
push_data (SimAdversary *self, PeerWriter *writer)
{
  static const uint8_t nothing[PEER_CHUNK_MAX];
  PeerRange edge = sim_adversary_edge (self);
  uint64_t chunk = edge.end - MIN (edge.end, sim_random_below (&self->random, 2048));
  if (self->variant == 1)
    chunk = edge.end + sim_random_below (&self->random, 4096); /* none that can be known yet */
  sim_adversary_say (self, writer,
                     (PeerMessage){.type = PEER_MESSAGE_DATA,
                                   .chunks = {chunk, chunk + 1},
                                   .bytes = {nothing, self->format.chunk_size}});
}

static void
push_tick (SimAdversary *self)
{
  static const PeerMessageType nagging[] = {PEER_MESSAGE_CANCEL, PEER_MESSAGE_UNCHOKE,
                                            PEER_MESSAGE_CHOKE, PEER_MESSAGE_ACK};
  for (guint i = 0; i < self->friends->len; i++) {
    const SimFriend *friend = &g_array_index (self->friends, SimFriend, i);
    SimDatagram out;
    sim_datagram_begin (&out, friend->channel);
    for (unsigned k = 0; k < 20 && self->variant >= 2; k++) {
      uint64_t first = sim_adversary_edge (self).end + sim_adversary_below (self, 64);
      sim_adversary_say (self, &out.writer,
                         (PeerMessage){.type = nagging[sim_adversary_below (self, 4)],
                                       .chunks = {first, first + 1}});
    }
    if (self->variant < 2)
      push_data (self, &out.writer);
    if (self->variant == 3) /* cut anywhere, or longer than any of ours */
      out.writer.used = sim_adversary_below (self, 2) == 0
                            ? 1 + sim_random_below (&self->random, out.writer.used)
                            : 1473 + sim_random_below (&self->random, sizeof out.bytes - 1473);
    sim_adversary_send (self, &friend->address, &out);
  }
}

const SimAttack sim_attacks_data[] = {
    {.name = "P1",
     .what = "tells of chunks and never gives one",
     .variants = 2,
     .message = gives_nothing,
     .more = claim_all,
     .heard = hears_requests,
     .tick = claim_tick},
    {.name = "P2",
     .what = "gives wrong chunks, hashes, numbers and sizes",
     .variants = 6,
     .leeches = true,
     .message = pollute,
     .tick = pollute_tick,
     .evidence = {SIM_EVIDENCE (chunks_bad), SIM_EVIDENCE (chunks_unproven)},
     .n_evidence = 2},
    {.name = "P13",
     .what = "connects to everybody, claims all, is silent, and comes back as another",
     .start = crowd_start,
     .message = gives_nothing,
     .more = claim_all,
     .heard = hears_requests,
     .tick = crowd_tick},
    {.name = "P14",
     .what = "pushes what nobody asked for, and commands that fit nothing",
     .variants = 4,
     .tick = push_tick,
     .evidence = {SIM_EVIDENCE (chunks_unwanted), SIM_EVIDENCE (out_of_state),
                  SIM_EVIDENCE (malformed)},
     .n_evidence = 3},
    {.name = NULL},
};
