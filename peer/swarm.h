/* SPDX-License-Identifier: Apache-2.0 */
/* One content in one engine, as seen from outside: what it is and how it goes. */
#pragma once

#include "peer/content.h"
#include "peer/event.h"
#include "peer/integrity.h"
#include "peer/store.h"

/* What a swarm is doing, for pages, metrics and trackers. */
typedef struct {
  uint32_t channels;                     /* established */
  uint32_t seeders;                      /* of them: have all, or what the newest munro covers */
  uint32_t choked;                       /* of them: we choke */
  uint64_t downloaded, uploaded;         /* bytes of verified content, from and to peers */
  uint64_t offered;                      /* likewise, that came another way (peer_engine_offer) */
  uint64_t download_rate, upload_rate;   /* bytes/s, over the last seconds */
  PeerRange edge;                        /* live: newest munro; empty = none yet */
  uint64_t n_chunks;                     /* static: 0 = not known yet */
  uint64_t length;                       /* static: bytes; 0 = not known yet */
  uint64_t upload_limit, download_limit; /* bytes/s; 0 = none */
} PeerSwarmStats;

void peer_swarm_stats (const PeerSwarm *self, PeerSwarmStats *out);
const PeerContent *peer_swarm_content (const PeerSwarm *self);
const PeerChunks *peer_swarm_chunks (const PeerSwarm *self); /* verified, in the store */
/* Of each window that readers want and that is not whole, what follows its first gap. Returns how many. */
size_t peer_swarm_wanted (const PeerSwarm *self, PeerRange *out, size_t max);
PeerStore *peer_swarm_store (PeerSwarm *self); /* still the engine's */
const PeerIntegrity *peer_swarm_integrity (const PeerSwarm *self);
