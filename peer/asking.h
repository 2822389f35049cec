/* SPDX-License-Identifier: Apache-2.0 */
/* What a swarm asks of whom. Internal to the engine. */
#pragma once

#include "peer/peers.h"

bool peer_swarm_is_wanted (const PeerSwarm *self, uint64_t chunk);
/* It is here: nobody else need send it. */
void peer_swarm_unask (PeerSwarm *self, uint64_t chunk, PeerChannel *except);
/* Bytes/s of chunks; 0 = no limit. */
void peer_swarm_limit_download (PeerSwarm *self, uint64_t rate);
/* Deals out what is missing. */
void peer_swarm_pick (PeerSwarm *self);
/* One past the newest chunk that is due before long; 0 = none is. */
uint64_t peer_swarm_urgent_end (const PeerSwarm *self);
/* A chunk came, so there is room for some to be asked for twice. */
void peer_swarm_earn_double (PeerSwarm *self);
/* What this channel was asked for and did not bring in time. */
void peer_swarm_ask_again (PeerSwarm *self, PeerChannel *channel, uint64_t urgent);
/* Asks what this channel claims to have as its newest, to learn where a live channel is. */
void peer_swarm_sound_out (PeerSwarm *self, PeerChannel *channel);
/* Says LATE of what is due now and not here. */
void peer_swarm_tell_late (PeerSwarm *self);
