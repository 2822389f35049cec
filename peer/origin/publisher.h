/* SPDX-License-Identifier: Apache-2.0 */
/* One live channel: packets of a transport stream go in, signed chunks come out (RFC 7574, 6.1.2).
 * Says the time and reads no clock, like the engine. */
#pragma once

#include "peer/engine.h"

#define ORIGIN_IDLE 200000 /* us without input, after which what is open is filled and signed */

typedef struct {
  PeerEngine *engine;
  PeerSwarm *swarm; /* joined with source = true */
  PeerKey *key;     /* taken over */
  uint64_t first;   /* chunk number; a multiple of the chunks per signature */
} OriginPublisherOptions;

typedef struct OriginPublisher OriginPublisher;

OriginPublisher *origin_publisher_new (const OriginPublisherOptions *options);
void origin_publisher_free (OriginPublisher *self);

/* Chunks below end are reserved (state.h) and may be signed; 0 at first. It ends with the numbers
 * that the addressing has (RFC 7574, section 4), before they would begin anew. */
void origin_publisher_set_limit (OriginPublisher *self, uint64_t end);
uint64_t origin_publisher_limit (const OriginPublisher *self);

/* n: a multiple of 188 bytes. false = what is reserved is used up, or the key failed: the rest was
 * not taken. */
bool origin_publisher_write (OriginPublisher *self, int64_t now, const uint8_t *packets, size_t n);
/* When origin_publisher_turn() has something to do, or PEER_NEVER. */
int64_t origin_publisher_deadline (const OriginPublisher *self);
void origin_publisher_turn (OriginPublisher *self, int64_t now);
/* No more input comes: fills and signs what is open, now. */
void origin_publisher_flush (OriginPublisher *self, int64_t now);

/* The broadcast is over: likewise, and signs that nothing follows (peer/integrity.h). false = the key
 * failed, or nothing was ever published. */
bool origin_publisher_end (OriginPublisher *self, int64_t now);

typedef struct {
  uint64_t next;   /* the number of the next chunk */
  uint64_t chunks; /* published */
  uint64_t signatures;
  uint64_t fills;        /* subtrees that were filled up with null packets */
  uint64_t null_packets; /* that it took */
  bool stopped;          /* nothing can be signed any more */
} OriginPublisherStats;
void origin_publisher_stats (const OriginPublisher *self, OriginPublisherStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OriginPublisher, origin_publisher_free)
