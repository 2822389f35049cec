/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a world: what world.c and report.c share, who include tests/sim/world.h before it.
 * Nobody else includes it. */
#pragma once

#include "peer/playout.h"
#include "peer/wire.h"
#include "tests/sim/content.h"
#include "tests/sim/proofs.h"

/* What honest peers spend bytes on. */
typedef enum {
  SIM_COST_DATA,
  SIM_COST_HASHES,
  SIM_COST_MUNROS,
  SIM_COST_ACKS,
  SIM_COST_HAVES,
  SIM_COST_REQUESTS,
  SIM_COST_REST,
  SIM_N_COSTS
} SimCost;

typedef struct {
  unsigned host;
  unsigned place; /* among those that are present */
  bool is_source, away;
  const SimMask *mask; /* NULL = honest */
  gpointer mask_data;
  SimRandom random;
  int64_t clock, wall_offset; /* its clock less the simulation's; its wall clock less its clock */
  PeerEngine *engine;
  PeerSwarm *swarm;
  PeerPlayout *playout;
  int64_t asked; /* the tracker, last */
  bool asking;

  bool playing, has_first;
  uint64_t first;   /* chunk delivered first */
  int64_t buffered; /* us of play time, before it plays */
  int64_t since;    /* us: when it last began to play */
  uint64_t n_chunks;
  SimViewer viewer;
  uint64_t own_data, others_data; /* datagrams with a chunk: from the source, from others */
  PeerCounters past;              /* of its engines that are gone */
} SimPeer;

struct SimWorld {
  SimWorldOptions options;
  SimNet *net;
  SimRandom random;
  GPtrArray *peers; /* SimPeer */
  SimProofs *proofs;
  GArray *present; /* unsigned: peers that the tracker knows */
  uint64_t asked;  /* requests to a real one */
  PeerContent content;
  SimContent *bytes;
  PeerKey *key;
  PeerIntegrity *integrity; /* static: the source's, until it joins */
  unsigned frame;
  double owed;    /* bytes of the stream that no chunk holds yet */
  uint64_t next;  /* chunk that is made next, live */
  GArray *lags;   /* int64_t: each second of each viewer */
  double uplinks; /* bytes that viewers could have sent, reckoned each second */
  GString *line;  /* of the trace */
  struct {
    uint64_t messages, bytes;
  } costs[SIM_N_COSTS];
  uint64_t data_bytes;         /* of chunks, in DATA */
  uint64_t datagrams, arrived; /* of honest peers; of those with a chunk, those that arrived */
  unsigned fetched;
  double gone, rebound; /* peers that are still to go, ports that are still to change */
};

static inline SimPeer *
sim_world_peer (const SimWorld *self, unsigned peer)
{
  return self->peers->pdata[peer];
}

/* --- report.c --- */

/* A line of the trace (peer/trace.h), if there is one; name NULL = without a value. */
void sim_world_note (SimWorld *self, const SimPeer *peer, const char *event, const char *name,
                     int64_t value);
/* Each second: what each viewer's lag is. */
void sim_world_sample (SimWorld *self);
/* What the bytes on the wire are spent on. */
void sim_world_account (SimWorld *self, const uint8_t *bytes, size_t n);
