/* SPDX-License-Identifier: Apache-2.0 */
/* A live channel's bytes, once: the store that the engine writes its verified chunks to, and the
 * memory that all viewers read from, with an index of the places where a picture can start. */
#pragma once

#include "peer/media/mpegts.h"
#include "peer/store.h"
#include "proxy/watch.h"

typedef struct ProxyRing ProxyRing;

/* A viewer's place: the next byte that it reads. */
typedef struct {
  uint64_t chunk;
  uint32_t offset; /* bytes into the chunk */
  bool joined;     /* what comes in front of the packet here was read */
} ProxyPlace;

static inline bool
proxy_place_is_before (ProxyPlace a, ProxyPlace b)
{
  return a.chunk < b.chunk || (a.chunk == b.chunk && a.offset < b.offset);
}

/* A place where a picture begins. */
typedef struct {
  ProxyPlace place;
  uint64_t run;   /* first chunk of the contiguous run that it lies in */
  int64_t pts;    /* us, of the picture; MEDIA_TS_NO_TIME = it has none */
  GBytes *tables; /* PAT and PMT to put in front */
} ProxyPicture;

/* max_bytes: of content; the oldest go when more comes. transport_stream: look for key frames. */
ProxyRing *proxy_ring_new (uint32_t chunk_size, size_t max_bytes, bool transport_stream);
/* How much a stream needs: some seconds of it, so that what is missing can come and a viewer be slow,
 * at most most, and at least PROXY_RING_LEAST as far as that allows. chunk_time: us for each chunk of
 * chunk_size; 0 = not known. */
#define PROXY_RING_LEAST ((size_t)12 << 20)
size_t proxy_ring_room (uint32_t chunk_size, int64_t chunk_time, size_t most);
/* From now on at most max_bytes, if that is more than before. */
void proxy_ring_grow (ProxyRing *self, size_t max_bytes);
ProxyRing *proxy_ring_ref (ProxyRing *self);
void proxy_ring_unref (ProxyRing *self);

/* For the engine, which takes it over; it holds a reference to the ring. */
PeerStore *proxy_ring_store (ProxyRing *self);
uint32_t proxy_ring_chunk_size (const ProxyRing *self); /* bytes; all but the last have it */
/* How many of the newest chunks it surely keeps. */
uint64_t proxy_ring_max_chunks (const ProxyRing *self);

/* These chunks are next for the viewers. Runs come in order; one that does not go on where the last
 * ended leaves a gap, and viewers go on behind it. Calls the watches. */
void proxy_ring_deliver (ProxyRing *self, PeerRange run);
/* Nothing more will come. Calls the watches. */
void proxy_ring_end (ProxyRing *self);
bool proxy_ring_has_ended (const ProxyRing *self);

ProxyWatches *proxy_ring_watches (ProxyRing *self);

/* Where a viewer can begin: at the newest key frame, or at the oldest with oldest. tables: what to
 * put in front, or NULL if nothing; the caller unrefs. false = there is no such place yet. */
bool proxy_ring_start (ProxyRing *self, bool oldest, ProxyPlace *out, GBytes **tables);
/* The same for a stream that shows no key frame: any packet of the newest run. */
bool proxy_ring_start_anywhere (ProxyRing *self, ProxyPlace *out, GBytes **tables);

/* The next bytes from place on, which moves: a slice of the ring's memory, at most one slab, and with
 * the chunk that reaches max bytes none behind it. In
 * a transport stream the bytes before a gap end with a whole packet, and packets that tell the
 * decoder of it stand behind it (peer/media/joint.h). Who fell out of the ring is put at its oldest key frame and
 * reads such packets and its tables first; then *jumped is set. NULL = nothing now. */
GBytes *proxy_ring_read (ProxyRing *self, ProxyPlace *place, size_t max, bool *jumped);

/* The first key frame behind after, or the oldest with NULL; the ring's, until it is delivered to
 * again. NULL = there is none. */
const ProxyPicture *proxy_ring_next_key (const ProxyRing *self, const ProxyPlace *after);
/* The same for any picture that has a PTS, but for those that come less than PROXY_PICTURE_SPACING
 * (us) behind one that is told. A key frame may be among them. */
#define PROXY_PICTURE_SPACING 400000
const ProxyPicture *proxy_ring_next_picture (const ProxyRing *self, const ProxyPlace *after);
/* The first chunk that may still be here. */
uint64_t proxy_ring_oldest (const ProxyRing *self);
/* Behind the last whole packet of the contiguous run that chunk lies in. */
ProxyPlace proxy_ring_run_end (const ProxyRing *self, uint64_t chunk);

/* What the stream contains as far as it is known. */
const MediaStreamInfo *proxy_ring_info (const ProxyRing *self);

typedef struct {
  size_t bytes;         /* of memory */
  size_t room;          /* bytes: the most that it may be */
  uint64_t delivered;   /* bytes since the beginning */
  unsigned keys;        /* places to begin at, now */
  uint64_t gaps;        /* runs that did not go on where the last ended */
  uint64_t bad_packets; /* no packets of a transport stream */
} ProxyRingStats;
void proxy_ring_stats (const ProxyRing *self, ProxyRingStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyRing, proxy_ring_unref)
