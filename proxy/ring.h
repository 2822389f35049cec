/* SPDX-License-Identifier: Apache-2.0 */
/* A live channel's bytes, once: the store that the engine writes its verified chunks to, and the
 * memory that all viewers read from (proxy/ring-read.h), with an index of the places where a picture can
 * start. */
#pragma once

#include "peer/media/mpegts.h"
#include "peer/store.h"
#include "proxy/place.h"
#include "proxy/watch.h"

typedef struct ProxyRing ProxyRing;

/* max_bytes: of content; the oldest go when more comes. transport_stream: look for key frames. */
ProxyRing *proxy_ring_new (uint32_t chunk_size, size_t max_bytes, bool transport_stream);
/* How much a stream needs: some seconds of it, so that what is missing can come and a viewer be slow,
 * at most most, and at least PROXY_RING_LEAST as far as that allows. chunk_time: us for each chunk of
 * chunk_size; 0 = not known. */
#define PROXY_RING_LEAST ((size_t)12 << 20)
size_t proxy_ring_room (uint32_t chunk_size, int64_t chunk_time, size_t most);
/* From now on at most max_bytes, if that is more than before. */
void proxy_ring_grow (ProxyRing *self, size_t max_bytes);
/* What memory has no more room for goes to a file in folder, of at most so many bytes. Once. */
void proxy_ring_shift (ProxyRing *self, const char *folder, uint64_t max_bytes);
ProxyRing *proxy_ring_ref (ProxyRing *self);
void proxy_ring_unref (ProxyRing *self);

/* For the engine, which takes it over; it holds a reference to the ring. */
PeerStore *proxy_ring_store (ProxyRing *self);
uint32_t proxy_ring_chunk_size (const ProxyRing *self); /* bytes; all but the last have it */
/* How many of the newest chunks it surely keeps. */
uint64_t proxy_ring_max_chunks (const ProxyRing *self);

/* Pictures that come less than this (us) behind one that is told are not told. */
#define PROXY_PICTURE_SPACING 400000

/* These chunks are next for the viewers. Runs come in order; one that does not go on where the last
 * ended leaves a gap, and viewers go on behind it. Calls the watches. */
void proxy_ring_deliver (ProxyRing *self, PeerRange run);
/* Nothing more will come. Calls the watches. */
void proxy_ring_end (ProxyRing *self);
bool proxy_ring_has_ended (const ProxyRing *self);
/* Is there a time-shift? */
bool proxy_ring_is_shifted (const ProxyRing *self);
/* Why there is no time-shift any more; NULL = there is, or never was. */
const char *proxy_ring_shift_failure (const ProxyRing *self);

ProxyWatches *proxy_ring_watches (ProxyRing *self);

/* The first chunk that may still be here, and the first that may be in memory. */
uint64_t proxy_ring_oldest (const ProxyRing *self);
uint64_t proxy_ring_oldest_in_memory (const ProxyRing *self);
/* What the stream contains as far as it is known. */
const MediaStreamInfo *proxy_ring_info (const ProxyRing *self);

typedef struct {
  size_t bytes;         /* of memory */
  uint64_t shift_bytes; /* on disk, and on their way there */
  uint64_t unwritten;   /* of them on their way */
  uint64_t loaded;      /* in memory again: they were read from the disk not long ago */
  int64_t window;       /* us, from the oldest key frame to the newest */
  size_t room;          /* bytes: the most that it may be */
  uint64_t delivered;   /* bytes since the beginning */
  unsigned keys;        /* places to begin at, now */
  uint64_t gaps;        /* runs that did not go on where the last ended */
  uint64_t bad_packets; /* no packets of a transport stream */
} ProxyRingStats;
void proxy_ring_stats (const ProxyRing *self, ProxyRingStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyRing, proxy_ring_unref)
