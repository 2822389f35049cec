/* SPDX-License-Identifier: Apache-2.0 */
/* Who may be given chunks, and when: an upload scheduler (RFC 7574, 12.6.6), and whom we choke when
 * there is not enough for all (3.9, 9.2). Internal to the engine. */
#pragma once

#include "peer/swarm-state.h"

/* Somebody who lacks something that we have. */
typedef struct {
  uint8_t ip[16];
  double got;     /* bytes/s that it brings us */
  int64_t since;  /* us: when it was last chosen, or last left out */
  bool out;       /* it is left out now */
  unsigned index; /* the caller's: the order changes */
  bool chosen;    /* the answer */
} PeerSuitor;

/* Chooses as many as there are slots: three quarters by what they bring us, most first; the others,
 * and what nobody earned, by lot, one to an address as long as there are others. Who won by lot
 * stays in for a while, so that it is worth something. */
void peer_uploads_choose (PeerSuitor *suitors, size_t n, size_t slots, int64_t now,
                          PeerRandom random, void *random_data);

/* May chunks be sent to this channel now? *room: bytes, as a measure; what is sent may exceed it by
 * a datagram. false = not now: the engine asks it again when its turn has come. */
bool peer_uploads_begin (PeerSwarm *swarm, PeerChannel *channel, double *room);
/* room: what is left of it, negative if it was exceeded; more: it would have sent more. */
void peer_uploads_end (PeerSwarm *swarm, PeerChannel *channel, double room, bool more);
/* Instead of end: nothing can be sent before this time, us. */
void peer_uploads_wait (PeerSwarm *swarm, PeerChannel *channel, int64_t until);
/* A datagram was written for this channel. */
void peer_uploads_spend (PeerSwarm *swarm, PeerChannel *channel, size_t n);
/* The channel whose turn it is, or NULL; then core->line_at says when to ask again. */
PeerChannel *peer_uploads_next (PeerCore *core);

/* bytes/s of datagrams; 0 = no limit. */
void peer_uploads_limit (PeerCore *core, PeerLimit *limit, uint64_t rate);

void peer_uploads_init (PeerCore *core);
/* What this channel has in flight has changed... */
void peer_uploads_flown (PeerChannel *channel);
/* ...since some of it arrived, which tells of the queue in our own line... */
void peer_uploads_acked (PeerChannel *channel);
/* ...or was lost. */
void peer_uploads_lost (PeerChannel *channel);

/* A munro: how fast the content is. signed_at: us, Unix time. */
void peer_uploads_measure (PeerSwarm *swarm, PeerRange munro, int64_t signed_at);
/* A chunk that we lacked came from this channel. */
void peer_uploads_earn (PeerSwarm *swarm, PeerChannel *channel, size_t n);
/* It asks for chunks. If it came when there is not enough for all, it is choked until it is chosen:
 * else who comes anew with each choice would be served all the time. */
void peer_uploads_asked (PeerSwarm *swarm, PeerChannel *channel);
/* Chooses anew, when it is time to: chokes and unchokes. */
void peer_uploads_tick (PeerSwarm *swarm);
/* The swarm gives no more. */
void peer_uploads_stop (PeerSwarm *swarm);
