/* SPDX-License-Identifier: Apache-2.0 */
/* An origin's engine and one plain peer, joined through memory: no socket, no clock, no loss. */
#pragma once

#include "peer/engine.h"

typedef struct {
  PeerEngine *origin, *peer;
  PeerSwarm *origin_swarm, *peer_swarm;
  int64_t now;
  uint64_t random;
  GByteArray *got; /* all chunks that the peer has, one after the other */
  uint64_t next;   /* the first chunk that is not in it */
  uint64_t end;    /* of the newest munro that the peer has seen */
  GArray *munros;  /* PeerRange: as the peer saw them become the newest */
} Pair;

void pair_init (Pair *self, const PeerContent *content);
void pair_clear (Pair *self);
/* Another origin in the place of the old one, as after a crash; the peer goes on with first. */
void pair_new_origin (Pair *self, const PeerContent *content, uint64_t first);
/* Lets time pass, and the peer fetch all there is from chunk on that it has not got. */
void pair_run (Pair *self, int64_t duration);
