/* SPDX-License-Identifier: Apache-2.0 */
/* What a swarm tells of to whom. Internal to the engine. */
#pragma once

#include "peer/peers.h"

/* HAVE for run is due to all but the one it came from, who learns it from the ACK (4.3.1). */
void peer_swarm_announce (PeerSwarm *self, PeerRange run, const PeerChannel *except, int64_t delay);
/* us that the news of a chunk may wait for more of them. */
/* A new chunk, that came from this channel or NULL: with those beside it, and not at once. */
void peer_swarm_tell_chunk (PeerSwarm *self, uint64_t chunk, const PeerChannel *from);
/* Of what the rest is long in coming. Returns when it is due next, us. */
int64_t peer_swarm_tell_parts (PeerSwarm *self);
/* A source has signed these, and has them. */
void peer_swarm_announce_first (PeerSwarm *self, PeerRange run);
/* The next step for what it has not told all. Returns when the next one is due, or PEER_NEVER. */
int64_t peer_swarm_announce_withheld (PeerSwarm *self);
/* Nothing was said to this channel for long: what it does not seem to know is said again. */
void peer_swarm_repeat_have (PeerSwarm *self, PeerChannel *channel);
/* They tell a source what they have: what it told them is done, and what nobody can have is noted. */
void peer_swarm_on_boast (PeerSwarm *self, PeerChannel *channel, PeerRange run);
