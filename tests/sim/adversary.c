/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/adversary.h"

#include "peer/peers.h"
#include <string.h>

static const SimAttack *const families[] = {sim_attacks_data, sim_attacks_proof,
                                            sim_attacks_handshake, sim_attacks_appetite};

const SimAttack *
sim_attack_at (unsigned i)
{
  for (size_t family = 0; family < G_N_ELEMENTS (families); family++)
    for (const SimAttack *attack = families[family]; attack->name != NULL; attack++)
      if (i-- == 0)
        return attack;
  return NULL;
}

const SimAttack *
sim_attack_find (const char *name)
{
  const SimAttack *attack;
  for (unsigned i = 0; (attack = sim_attack_at (i)) != NULL; i++)
    if (g_ascii_strcasecmp (attack->name, name) == 0)
      return attack;
  return NULL;
}

/* --- datagrams --- */

void
sim_datagram_begin (SimDatagram *self, uint32_t channel)
{
  self->writer = (PeerWriter){self->bytes, 0, PEER_DATAGRAM_MAX};
  peer_writer_u32 (&self->writer, channel);
}

void
sim_adversary_say (SimAdversary *self, PeerWriter *datagram, PeerMessage message)
{
  peer_wire_write (datagram, &self->format, &message);
}

void
sim_adversary_send (SimAdversary *self, const PeerAddress *to, const SimDatagram *datagram)
{
  self->blows++;
  sim_net_send (self->net, self->peer, to, datagram->bytes, datagram->writer.used);
}

void
sim_adversary_send_as (SimAdversary *self, const PeerAddress *from, const PeerAddress *to,
                       const SimDatagram *datagram)
{
  self->blows++;
  sim_net_send_as (self->net, self->peer, from, to, datagram->bytes, datagram->writer.used);
}

unsigned
sim_adversary_below (SimAdversary *self, unsigned limit)
{
  return (unsigned)sim_random_below (&self->random, limit);
}

PeerRange
sim_adversary_edge (const SimAdversary *self)
{
  PeerSwarmStats stats = {0};
  if (sim_world_swarm (self->world, 0) != NULL)
    peer_swarm_stats (sim_world_swarm (self->world, 0), &stats);
  return stats.edge;
}

void
sim_adversary_draw (SimAdversary *self, PeerAddress *out)
{
  unsigned peer;
  do
    peer = sim_adversary_below (self, 8) == 0
               ? 0
               : sim_adversary_below (self, sim_world_n_peers (self->world));
  while (!sim_world_is_honest (self->world, peer));
  sim_net_address (self->net, peer, out);
}

/* 203.0.113.0/24 and the rest of 198.18.0.0/15: for documents and tests (RFC 5737, RFC 2544). */
void
sim_adversary_draw_nobody (SimAdversary *self, PeerAddress *out)
{
  uint64_t random = sim_random_next (&self->random);
  *out = (PeerAddress){.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 19, (uint8_t)random,
                              (uint8_t)(random >> 8)},
                       .port = (uint16_t)(1024 + (random >> 16) % 60000)};
}

void
sim_adversary_handshake (SimAdversary *self, SimDatagram *out, uint32_t channel)
{
  PeerAddress source;
  PeerOptions options;
  uint8_t bytes[PEER_SWARM_ID_MAX + 128];
  PeerWriter body = {bytes, 0, sizeof bytes};
  sim_net_address (self->net, 0, &source);
  peer_swarm_options (sim_world_swarm (self->world, self->peer), &source, true, &options);
  g_assert_true (peer_options_write (&body, &options));
  sim_datagram_begin (out, 0);
  PeerMessage message = {
      .type = PEER_MESSAGE_HANDSHAKE, .channel = channel, .bytes = {bytes, body.used}};
  g_assert_true (peer_wire_write (&out->writer, &self->format, &message));
}

/* --- the mask --- */

static void
remember (SimAdversary *self, const PeerAddress *address, uint32_t channel)
{
  for (guint i = 0; i < self->friends->len; i++) {
    SimFriend *friend = &g_array_index (self->friends, SimFriend, i);
    if (peer_address_equal (&friend->address, address)) {
      friend->channel = channel;
      return;
    }
  }
  SimFriend friend = {*address, channel};
  g_array_append_val (self->friends, friend);
}

static void
sends (gpointer data, const PeerAddress *to, uint8_t *bytes, size_t n)
{
  SimAdversary *self = data;
  const SimAttack *attack = self->attack;
  PeerReader reader = {bytes, n};
  PeerMessage message;
  SimDatagram out;
  uint32_t channel = 0;
  bool had_more = attack->more == NULL;
  peer_reader_u32 (&reader, &channel);
  sim_datagram_begin (&out, channel);
  if (channel != 0)
    remember (self, to, channel);
  if (channel == 0) { /* its handshake is not twisted: it wants in */
    sim_net_send (self->net, self->peer, to, bytes, n);
    return;
  }
  while (peer_wire_read (&reader, &self->format, &message) == PEER_WIRE_MESSAGE) {
    if (message.type == PEER_MESSAGE_DATA && !had_more) {
      attack->more (self, &out.writer);
      had_more = true;
    }
    if (message.type == PEER_MESSAGE_REQUEST && !attack->leeches)
      continue;
    if (message.type == PEER_MESSAGE_HANDSHAKE || attack->message == NULL ||
        attack->message (self, to, &message))
      sim_adversary_say (self, &out.writer, message);
  }
  if (!had_more)
    attack->more (self, &out.writer);
  sim_net_send (self->net, self->peer, to, out.bytes, out.writer.used);
}

static void
receives (gpointer data, const PeerAddress *from, const uint8_t *bytes, size_t n)
{
  SimAdversary *self = data;
  PeerReader reader = {bytes, n};
  PeerMessage message;
  uint32_t channel;
  if (self->attack->heard == NULL || !peer_reader_u32 (&reader, &channel))
    return;
  while (peer_wire_read (&reader, &self->format, &message) == PEER_WIRE_MESSAGE) {
    if (message.type == PEER_MESSAGE_HANDSHAKE)
      continue;
    self->attack->heard (self, from, &message);
  }
}

static void
tick (gpointer data, gpointer argument)
{
  SimAdversary *self = argument;
  self->ticks++;
  if (self->attack->tick != NULL && sim_world_swarm (self->world, self->peer) != NULL)
    self->attack->tick (self);
  sim_net_call (self->net, sim_net_now (self->net) + SIM_ADVERSARY_TICK, tick, self);
}

SimAdversary *
sim_adversary_new (SimWorld *world, unsigned peer, const SimAttack *attack, uint64_t seed)
{
  static const SimMask mask = {sends, receives};
  SimAdversary *self = g_new0 (SimAdversary, 1);
  self->world = world;
  self->net = sim_world_net (world);
  self->peer = peer;
  self->attack = attack;
  self->random.state = seed;
  self->variant = attack->variants > 1 ? sim_adversary_below (self, attack->variants) : 0;
  self->format = peer_wire_format (sim_world_content (world));
  self->friends = g_array_new (FALSE, FALSE, sizeof (SimFriend));
  self->said = g_array_new (FALSE, FALSE, 1);
  sim_world_mask (world, peer, &mask, self);
  if (attack->start != NULL)
    attack->start (self);
  sim_net_call (self->net, sim_adversary_below (self, SIM_ADVERSARY_TICK), tick, self);
  return self;
}

void
sim_adversary_free (SimAdversary *self)
{
  g_array_unref (self->friends);
  g_array_unref (self->said);
  g_free (self);
}
