/* SPDX-License-Identifier: Apache-2.0 */
/* When a live channel's chunks are due: where to tune in (RFC 7574, 6.1.2.4), what to want by
 * when, and when to give a missing chunk up. Pure: events and time in, wants out. The gateway,
 * the plain peer and the simulation read a live swarm through this. */
#pragma once

#include "peer/engine.h"

typedef struct {
  uint32_t chunk_size;
  uint32_t chunks_per_signature;
  int64_t
      lookback; /* us: how far behind the newest chunk to tune in, so that a key frame is in it */
  int64_t max_lag; /* us: a chunk that is missing this long after it was signed is skipped */
} PeerPlayoutOptions;

/* us: what loss and its repair may take in a swarm across a continent, and a key frame or two; and
 * when the reader is better served by what is newer. */
#define PEER_PLAYOUT_LOOKBACK 2500000
#define PEER_PLAYOUT_MAX_LAG 4500000

typedef struct PeerPlayout PeerPlayout;

PeerPlayout *peer_playout_new (const PeerPlayoutOptions *options);
void peer_playout_free (PeerPlayout *self);

/* PEER_EVENT_EDGE. wall: Unix time, us, of the signature. */
void peer_playout_edge (PeerPlayout *self, int64_t now, PeerRange munro, int64_t wall);
/* have: what is in the store. Returns the next run that can be delivered now, contiguous from
 * the position on; empty = none. A gap whose time is over is skipped: then *skipped is the
 * number of chunks left out just before the run, which may be empty. */
PeerRange peer_playout_next (PeerPlayout *self, int64_t now, const PeerChunks *have,
                             uint64_t *skipped);
/* What to tell the engine; false = not tuned in yet. */
bool peer_playout_want (const PeerPlayout *self, int64_t now, PeerWant *out);
/* When next() may have something to skip: us or PEER_NEVER. */
int64_t peer_playout_deadline (const PeerPlayout *self, const PeerChunks *have);
bool peer_playout_tuned_in (const PeerPlayout *self);
uint64_t peer_playout_position (const PeerPlayout *self);  /* next chunk to deliver */
int64_t peer_playout_chunk_time (const PeerPlayout *self); /* us per chunk; from the signed times */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerPlayout, peer_playout_free)
