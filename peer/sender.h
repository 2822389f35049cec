/* SPDX-License-Identifier: Apache-2.0 */
/* Writes datagrams: what a channel has to say, and chunks with their hashes (RFC 7574, 5.3, 5.4,
 * 6.1.2.3). Internal to the engine. */
#pragma once

#include "peer/swarm-state.h"

typedef struct {
  uint8_t bytes[PEER_DATAGRAM_MAX];
  size_t size;
} PeerDatagram;

#define PEER_OUTBOX 64
typedef struct {
  PeerDatagram datagrams[PEER_OUTBOX];
  uint16_t order[PEER_OUTBOX];  /* of sending */
  uint16_t weight[PEER_OUTBOX]; /* by which they are ordered, larger first */
  unsigned n, next;
  size_t bytes; /* of all of them */
  PeerAddress to;
  const PeerSwarm *owner;
} PeerOutbox;

/* Writes what the channel has to say now. More may be left: then it stays ready. */
void peer_sender_fill (PeerSwarm *swarm, PeerChannel *channel, PeerOutbox *out);
