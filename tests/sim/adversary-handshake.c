/* SPDX-License-Identifier: Apache-2.0 */
/* At the door: spoofed senders, floods, guessed channels, handshakes that mean nothing, addresses of
 * others. */
#include "tests/sim/adversary.h"

#include <string.h>

/* --- somebody else's address --- */

static void
reflect_tick (SimAdversary *self)
{
  PeerAddress victim, honest;
  SimDatagram out;
  sim_adversary_draw_nobody (self, &victim);
  victim.ip[15] = (uint8_t)self->peer; /* a few victims each, so that it adds up */
  victim.ip[14] = 0;
  victim.port = 53;
  for (unsigned i = 0; i < 10; i++) {
    sim_adversary_draw (self, &honest);
    /* the same again, as if an answer had been lost; or a new one each time */
    uint32_t channel =
        self->variant == 0 ? self->peer + 1 : 1 + sim_adversary_below (self, 1 << 30);
    sim_adversary_handshake (self, &out, channel);
    for (unsigned k = 0; k < 4 && self->variant == 2; k++) {
      PeerRange run = sim_adversary_edge (self);
      sim_adversary_say (self, &out.writer,
                         (PeerMessage){.type = PEER_MESSAGE_REQUEST, .chunks = {0, run.end + 1}});
    }
    sim_adversary_send_as (self, &victim, &honest, &out);
    if (self->variant == 1) { /* and a third datagram, with an ID out of the air */
      sim_datagram_begin (&out, 1 + sim_adversary_below (self, 1 << 30));
      sim_adversary_send_as (self, &victim, &honest, &out);
    }
  }
}

/* --- as many as it can send, each from another address --- */

#define FLOOD 2000 /* datagrams in a second, of all adversaries */

static void
flood_tick (SimAdversary *self)
{
  unsigned adversaries = 0;
  PeerAddress target;
  for (unsigned i = 0; i < sim_world_n_peers (self->world); i++)
    adversaries += !sim_world_is_honest (self->world, i);
  unsigned n = FLOOD / (G_USEC_PER_SEC / SIM_ADVERSARY_TICK) / adversaries + 1;
  /* half of it at the source, which all must reach */
  for (unsigned i = 0; i < n; i++) {
    PeerAddress nobody;
    SimDatagram out;
    if (i % 2 == 0)
      sim_net_address (self->net, 0, &target);
    else
      sim_adversary_draw (self, &target);
    sim_adversary_draw_nobody (self, &nobody);
    sim_adversary_handshake (self, &out, 1 + sim_adversary_below (self, 1 << 30));
    if (self->variant == 0)
      sim_adversary_send_as (self, &nobody, &target, &out);
    else
      sim_adversary_send (self, &target,
                          &out); /* from its own: half-open channels of one address */
  }
}

/* --- channels of others --- */

static void
guess_tick (SimAdversary *self)
{
  static const uint8_t end = 0xff;
  for (unsigned i = 0; i < 20; i++) {
    PeerAddress target, other;
    SimDatagram out;
    sim_adversary_draw (self, &target);
    sim_adversary_draw (self, &other);
    uint32_t id = 1 + sim_adversary_below (self, UINT32_MAX);
    const SimFriend *friend = self->friends->len > 0
                                  ? &g_array_index (self->friends, SimFriend,
                                                    sim_adversary_below (self, self->friends->len))
                                  : NULL;
    bool stolen = friend != NULL && i % 2 == 0;
    if (stolen) { /* a true one, or one beside it, but not from its own address */
      target = friend->address;
      id = friend->channel + (i % 4 == 0 ? 1 : 0);
    }
    sim_datagram_begin (&out, id);
    if (i % 3 == 0) /* goodbye */
      sim_adversary_say (self, &out.writer,
                         (PeerMessage){.type = PEER_MESSAGE_HANDSHAKE, .bytes = {&end, 1}});
    else
      sim_adversary_say (self, &out.writer, (PeerMessage){.type = PEER_MESSAGE_CHOKE});
    sim_adversary_send_as (self, &other, &target, &out);
  }
}

/* --- options --- */

typedef enum {
  MANGLE_BITS,
  MANGLE_CUT,
  MANGLE_TWICE,
  MANGLE_SWARM_LENGTH,
  MANGLE_CHUNK_SIZE,
  MANGLE_UNKNOWN,
  MANGLE_NO_SWARM,
  MANGLE_TRAILER,
  N_MANGLES
} Mangle;

static void
mangle (SimAdversary *self, SimDatagram *out)
{
  size_t head = 4 + 1 + 4; /* channel, type, source channel */
  switch ((Mangle)sim_adversary_below (self, N_MANGLES)) {
  case MANGLE_BITS:
    for (unsigned i = 0; i < 4; i++)
      out->bytes[4 + sim_random_below (&self->random, out->writer.used - 4)] ^=
          (uint8_t)(1u << sim_adversary_below (self, 8));
    break;
  case MANGLE_CUT:
    out->writer.used = 4 + sim_random_below (&self->random, out->writer.used - 4);
    break;
  case MANGLE_TWICE: /* the version option once more */
    memmove (out->bytes + head + 2, out->bytes + head, out->writer.used - head);
    out->writer.used += 2;
    break;
  case MANGLE_SWARM_LENGTH: /* version, minimum version, then the swarm ID's length */
    out->bytes[head + 5] = 0xff;
    out->bytes[head + 6] = 0xff;
    break;
  case MANGLE_CHUNK_SIZE: /* the last option before the end */
    memset (out->bytes + out->writer.used - 5, sim_adversary_below (self, 2) ? 0 : 0x80, 4);
    break;
  case MANGLE_UNKNOWN:
    out->bytes[out->writer.used - 6] = 0x77;
    break;
  case MANGLE_NO_SWARM:
    out->bytes[head + 7] ^= 0xff;
    break;
  case MANGLE_TRAILER:
    while (out->writer.used < PEER_DATAGRAM_MAX)
      peer_writer_u8 (&out->writer, (uint8_t)sim_random_next (&self->random));
    break;
  case N_MANGLES:
    break;
  }
}

static void
options_tick (SimAdversary *self)
{
  for (unsigned i = 0; i < 10; i++) {
    PeerAddress target;
    SimDatagram out;
    sim_adversary_draw (self, &target);
    sim_adversary_handshake (self, &out, 1 + sim_adversary_below (self, 1 << 30));
    mangle (self, &out);
    sim_adversary_send (self, &target, &out);
  }
}

/* --- hearsay --- */

static void
hearsay (SimAdversary *self, PeerWriter *writer)
{
  PeerMessage message = {.type = sim_adversary_below (self, 2) ? PEER_MESSAGE_PEX_RES_V4
                                                               : PEER_MESSAGE_PEX_RES_V6};
  sim_adversary_draw_nobody (self, &message.address);
  if (message.type == PEER_MESSAGE_PEX_RES_V6) {
    memset (message.address.ip, 0, 12);
    message.address.ip[0] = 0x20;
    message.address.ip[1] = 1;
  }
  if (sim_adversary_below (self, 4) == 0) { /* a neighbour of who hears it, behind its router */
    memcpy (message.address.ip + 12, (const uint8_t[]){192, 168, 1, 1}, 4);
    message.address.port = 80;
  }
  sim_adversary_say (self, writer, message);
  self->blows++;
}

static void
certificates (SimAdversary *self, PeerWriter *writer)
{
  uint8_t bytes[1024];
  size_t n = 1 + sim_random_below (&self->random, sizeof bytes);
  sim_random_fill (&self->random, bytes, n);
  bytes[0] = 0x30; /* an ASN.1 sequence, and a length that is not its own */
  sim_adversary_say (self, writer,
                     (PeerMessage){.type = PEER_MESSAGE_PEX_RES_CERT, .bytes = {bytes, n}});
  self->blows++;
}

static void
tell_all (SimAdversary *self, void (*what) (SimAdversary *self, PeerWriter *writer), unsigned times)
{
  for (guint i = 0; i < self->friends->len; i++) {
    const SimFriend *friend = &g_array_index (self->friends, SimFriend, i);
    SimDatagram out;
    sim_datagram_begin (&out, friend->channel);
    for (unsigned k = 0; k < times; k++)
      what (self, &out.writer);
    sim_adversary_send (self, &friend->address, &out);
  }
}

static void
hearsay_tick (SimAdversary *self)
{
  tell_all (self, hearsay, 10);
}

static void
certificates_tick (SimAdversary *self)
{
  tell_all (self, certificates, 2);
}

const SimAttack sim_attacks_handshake[] = {
    {.name = "P4",
     .what = "speaks in a victim's name, so that the answers go there",
     .variants = 3,
     .tick = reflect_tick,
     .evidence = {SIM_EVIDENCE (handshakes_received)},
     .n_evidence = 1},
    {.name = "P5",
     .what = "floods with first datagrams from addresses where nobody is",
     .variants = 2,
     .tick = flood_tick,
     .evidence = {SIM_EVIDENCE (handshakes_limited)},
     .n_evidence = 1},
    {.name = "P6",
     .what = "guesses and steals channel IDs",
     .tick = guess_tick,
     .evidence = {SIM_EVIDENCE (unknown_channel), SIM_EVIDENCE (wrong_address)},
     .n_evidence = 2},
    {.name = "P8",
     .what = "says handshakes that mean nothing",
     .tick = options_tick,
     .evidence = {SIM_EVIDENCE (malformed), SIM_EVIDENCE (handshakes_refused)},
     .n_evidence = 2},
    {.name = "P12", .what = "tells of addresses where nobody is", .tick = hearsay_tick},
    {.name = "P15", .what = "sends certificates that are none", .tick = certificates_tick},
    {.name = NULL},
};
