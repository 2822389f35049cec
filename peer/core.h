/* SPDX-License-Identifier: Apache-2.0 */
/* What all swarms of an engine have in common: its time, its counters, its channel IDs. Internal
 * to the engine. */
#pragma once

#include "peer/channel.h"
#include "peer/event.h"
#include "peer/ledbat.h"
#include "peer/random.h"
#include "peer/trace.h"

/* A closing handshake that is still to be sent. */
typedef struct {
  PeerAddress address;
  uint32_t remote;
} PeerGoodbye;

typedef struct {
  PeerCounters counters;
  PeerEventQueue *events;
  GHashTable *channels; /* local ID -> PeerChannel, not owned */
  GQueue ready;         /* PeerChannel: have something to send */
  GArray *goodbyes;     /* PeerGoodbye */
  PeerRandom random;
  void *random_data;
  int64_t now;          /* us; never falls */
  int64_t stamp_offset; /* us: for the times in DATA and ACK; any clock does, if it never jumps */
  int64_t wall_offset;  /* us: Unix time minus now */
  bool wall_trusted;
  uint32_t max_channels;
  int64_t dead_time;       /* us */
  uint32_t max_per_ip;     /* inbound channels of one public IP or /64, in a swarm */
  uint32_t n_unproven;     /* channels that answer an address not proven yet */
  PeerStatus status;       /* ours */
  PeerLimit upload;        /* of all datagrams: what the owner allows */
  PeerLedbat all;          /* the window of all channels together */
  size_t flight;           /* bytes that they have in flight */
  int64_t lossy;           /* us: when it was found to lose much last; 0 = never */
  int64_t full;            /* us: when our line had a queue last; 0 = never */
  GQueue line;             /* PeerChannel: wait for their turn to be given chunks */
  int64_t line_at;         /* us: when the next may have it */
  unsigned n_giving;       /* swarms that somebody asks chunks of */
  uint32_t loss_tolerance; /* percent: see peer/ledbat.h */
  double signature_tokens;
  int64_t signature_tokens_at;
  double certificate_tokens;
  int64_t certificate_tokens_at;
  int64_t deadline; /* us: when a tick is due */
} PeerCore;

void peer_core_ready (PeerCore *self, PeerChannel *channel);
void peer_core_forget (PeerCore *self, PeerChannel *channel);
/* The tick is due at this time, if not before. */
void peer_core_wake (PeerCore *self, int64_t at);
/* Likewise, and at that time the timers of this channel are looked at. */
void peer_core_look (PeerCore *self, PeerChannel *channel, int64_t at);
/* Unpredictable, not zero, not in use (RFC 7574, 8.3; RFC 4960, 5.1.3). */
uint32_t peer_core_new_channel_id (PeerCore *self);
/* Takes n tokens from a bucket that fills with rate per second up to burst; false = too few. */
bool peer_core_take (double *tokens, int64_t *at, int64_t now, double rate, double burst, double n);
