/* SPDX-License-Identifier: Apache-2.0 */
/* The swarm's part of peer address exchange (RFC 7574, 3.10, 8.13, 12.2): whom to ask for addresses
 * and when, what to answer, what to do with answers. Internal to the engine. */
#pragma once

#include "peer/swarm-state.h"

#define PEER_GOSSIP_ANSWERS 10 /* addresses in one answer, at most */

/* A PEX message on an open channel. */
void peer_gossip_receive (PeerSwarm *self, PeerChannel *channel, const PeerMessage *message);
/* Asks somebody, if more peers are wanted. Returns when to come again. */
int64_t peer_gossip_tick (PeerSwarm *self);
/* The answer to a PEX_REQ, drawn now. Returns the number of messages in out. */
size_t peer_gossip_answer (PeerSwarm *self, const PeerChannel *channel,
                           PeerMessage out[PEER_GOSSIP_ANSWERS]);
/* Our own certificate as a message; false = this peer is not to see it. */
bool peer_gossip_show (const PeerSwarm *self, const PeerChannel *channel, PeerMessage *out);

/* The verbs of engine.h. */
void peer_gossip_trust (PeerSwarm *self, const uint8_t *tracker_key);
bool peer_gossip_set_certificate (PeerSwarm *self, const uint8_t *bytes, size_t n);
bool peer_gossip_add_certified (PeerSwarm *self, const PeerAddress *address, const uint8_t *bytes,
                                size_t n);
