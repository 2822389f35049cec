/* SPDX-License-Identifier: Apache-2.0 */
/* What a swarm takes in, believes and keeps. Internal to the engine. */
#pragma once

#include "peer/peers.h"

/* DATA and SIGNED_INTEGRITY. */
void peer_swarm_on_data (PeerSwarm *self, PeerChannel *channel, const PeerMessage *message);
void peer_swarm_on_signed_integrity (PeerSwarm *self, PeerChannel *channel,
                                     const PeerMessage *message);
/* Hashes came, by which chunks that wait for them may be believed. */
void peer_swarm_judge_held (PeerSwarm *self, PeerChannel *channel);
/* What has waited for its hashes too long is asked for once more. */
void peer_swarm_expire_held (PeerSwarm *self, PeerChannel *channel);
/* us: when that is to be done next, or PEER_NEVER. */
int64_t peer_swarm_held_deadline (const PeerChannel *channel);
/* A munro is known, or was signed by us; ntp: when. */
void peer_swarm_new_munro (PeerSwarm *self, PeerRange munro, uint64_t ntp);
/* It is known that nothing follows. */
void peer_swarm_tell_end (PeerSwarm *self);
