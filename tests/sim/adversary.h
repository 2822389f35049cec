/* SPDX-License-Identifier: Apache-2.0 */
/* Malicious peers. Each has an engine like everybody, so that it is let in and knows what it must say,
 * and wears a mask that twists what the engine sends, and sends more. What it does is an attack of
 * the table; the families are in adversary-*.c. */
#pragma once

#include "peer/wire.h"
#include "tests/sim/world.h"

typedef struct SimAdversary SimAdversary;

typedef struct {
  const char *name;
  const char *what;
  unsigned variants; /* ways to do it, one for each adversary */
  bool leeches;      /* its engine asks for the content, like everybody's */
  /* All may be NULL. */
  void (*start) (SimAdversary *self);
  /* One message that its engine says: it may be changed; false = it is left out. */
  bool (*message) (SimAdversary *self, const PeerAddress *to, PeerMessage *message);
  /* More messages for the same datagram, in front of its DATA. */
  void (*more) (SimAdversary *self, PeerWriter *datagram);
  /* One message that came for its engine. */
  void (*heard) (SimAdversary *self, const PeerAddress *from, const PeerMessage *message);
  void (*tick) (SimAdversary *self); /* each SIM_ADVERSARY_TICK */
  /* What shows in the counters of honest peers that it took place: one of them is not 0. */
  size_t evidence[4]; /* offsets in PeerCounters */
  unsigned n_evidence;
} SimAttack;

#define SIM_ADVERSARY_TICK 100000 /* us */
#define SIM_EVIDENCE(counter) offsetof (PeerCounters, counter)

extern const SimAttack sim_attacks_data[], sim_attacks_proof[], sim_attacks_handshake[],
    sim_attacks_appetite[];
/* All families, NULL at the end. */
const SimAttack *sim_attack_find (const char *name);
const SimAttack *sim_attack_at (unsigned i);

/* Somebody whom its engine talks with. */
typedef struct {
  PeerAddress address;
  uint32_t channel; /* the ID that they gave us */
} SimFriend;

struct SimAdversary {
  SimWorld *world;
  SimNet *net;
  unsigned peer;
  const SimAttack *attack;
  unsigned variant;
  SimRandom random;
  PeerWireFormat format;
  GArray *friends; /* SimFriend */
  GArray *said;    /* of the attack: munros that were heard, IDs that were given */
  uint64_t blows;  /* times that it did what it is here for */
  uint64_t ticks;
};

SimAdversary *sim_adversary_new (SimWorld *world, unsigned peer, const SimAttack *attack,
                                 uint64_t seed);
void sim_adversary_free (SimAdversary *self);

/* --- for the attacks --- */

typedef struct {
  uint8_t bytes[2048];
  PeerWriter writer;
} SimDatagram;

void sim_datagram_begin (SimDatagram *self, uint32_t channel);
/* In the swarm's form; what has none, or no room, is left out. */
void sim_adversary_say (SimAdversary *self, PeerWriter *datagram, PeerMessage message);
void sim_adversary_send (SimAdversary *self, const PeerAddress *to, const SimDatagram *datagram);
void sim_adversary_send_as (SimAdversary *self, const PeerAddress *from, const PeerAddress *to,
                            const SimDatagram *datagram);
/* What the source has signed last. */
PeerRange sim_adversary_edge (const SimAdversary *self);
unsigned sim_adversary_below (SimAdversary *self, unsigned limit);
/* Any honest peer's address; sometimes the source's. */
void sim_adversary_draw (SimAdversary *self, PeerAddress *out);
/* An address where nobody is. */
void sim_adversary_draw_nobody (SimAdversary *self, PeerAddress *out);
/* A first datagram as an honest peer's engine would write it. */
void sim_adversary_handshake (SimAdversary *self, SimDatagram *out, uint32_t channel);
