/* SPDX-License-Identifier: Apache-2.0 */
/* A live channel cut at key frames, for HLS (RFC 8216): which segments there are, the playlist that
 * names them, and their bytes, which are the ring's own. */
#pragma once

#include "proxy/ring.h"

typedef struct ProxySegments ProxySegments;

/* What the players of a channel were told: it binds whoever serves that address after us. */
typedef struct {
  unsigned target; /* seconds: the target duration (4.3.3.1); 0 = there was no playlist yet */
  uint64_t next;   /* behind the numbers of all segments; 0 = likewise */
  uint64_t discontinuities; /* before next */
} ProxySegmentsTold;

/* Few segments are shorter, so numbers that begin with the clock rise also after a restart. */
#define PROXY_SEGMENT_TIME (2 * G_USEC_PER_SEC)
/* first: number of the first segment, or a higher one where that was told; told: NULL = nothing. */
ProxySegments *proxy_segments_new (ProxyRing *ring, uint64_t first, const ProxySegmentsTold *told);
void proxy_segments_free (ProxySegments *self);

/* Takes in what was delivered since the last time. wall: Unix time, us. */
void proxy_segments_update (ProxySegments *self, int64_t wall);
/* That are complete and in the ring. */
guint proxy_segments_count (const ProxySegments *self);
/* Of those, is it one that memory has let go of, at least in part? */
bool proxy_segments_is_past (const ProxySegments *self, uint64_t number);
/* The media playlist (section 4.3.3); the segments' addresses are ID/NUMBER.ts. */
GString *proxy_segments_playlist (ProxySegments *self, const char *id);
void proxy_segments_told (const ProxySegments *self, ProxySegmentsTold *out);

/* A segment's bytes as far as they have been read. */
typedef struct {
  uint64_t number;
  GPtrArray *pieces; /* GBytes, to be sent one behind the other; they share the ring's memory */
  ProxyPlace place;
} ProxySegmentReader;
void proxy_segment_reader_init (ProxySegmentReader *self, uint64_t number);
void proxy_segment_reader_clear (ProxySegmentReader *self);

typedef enum {
  PROXY_SEGMENT_WHOLE,
  PROXY_SEGMENT_WAITS, /* for the disk: again, when the ring's watches are called */
  PROXY_SEGMENT_GONE,  /* there is no such segment, or not any more */
} ProxySegmentResult;
ProxySegmentResult proxy_segments_read (ProxySegments *self, ProxySegmentReader *reader);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ProxySegmentReader, proxy_segment_reader_clear)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxySegments, proxy_segments_free)
