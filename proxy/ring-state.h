/* SPDX-License-Identifier: Apache-2.0 */
/* What a ring is made of, for the two files that are it: ring.c fills it and keeps its index, ring-read.c is
 * the viewers' side. */
#pragma once

#include "peer/media/joint.h"
#include "peer/media/mpegts.h"
#include "peer/store.h"
#include "proxy/place.h"
#include "proxy/shift.h"
#include "proxy/watch.h"

typedef struct ProxyRing ProxyRing;

enum {
  PROXY_RING_PLACES = 256, /* packets back that a key frame may be told late */
};

/* Goes in front of the packet at place, which is the first of its PID behind a gap. */
typedef struct {
  ProxyPlace place;
  uint8_t packet[MEDIA_TS_PACKET];
} ProxyJoint;

struct ProxyRing {
  grefcount refs;
  uint32_t chunk_size;
  uint32_t per_slab;
  size_t max_slabs;
  bool transport_stream;
  bool ended;
  GPtrArray *slabs;  /* ProxySlab, by number */
  ProxyShift *shift; /* of what these had no more room for; or NULL */
  uint64_t shift_bytes;

  PeerChunks *delivered;
  bool started;
  uint64_t head;    /* the chunk after the newest delivered */
  GArray *starts;   /* ProxyPlace: where the first packet behind a gap begins */
  GArray *ends;     /* ProxyPlace: where the last packet before a gap begins, if it is not whole */
  GArray *joints;   /* ProxyJoint */
  GArray *keys;     /* ProxyPicture */
  guint old_keys;   /* of them: are no more in memory, and have been thinned out */
  GArray *pictures; /* likewise: some of all */
  MediaJoint joint; /* of the newest run */
  unsigned n_joint; /* packets of it */
  uint64_t segment; /* first chunk of the newest contiguous run */
  int64_t segment_packet;

  MediaTs *parser;
  bool parsed_again;
  bool synced;
  uint8_t carry[MEDIA_TS_PACKET];
  size_t carried;
  ProxyPlace carry_place;
  ProxyPlace places[PROXY_RING_PLACES]; /* of the last packets */
  int64_t n_packets;
  int64_t last_key;
  int64_t time, time_pts; /* us: of the newest key frame, in the stream and by its clock */

  ProxyWatches *watches;
  uint64_t delivered_bytes, gaps;
};

/* array: of what begins with a ProxyPlace, in order. Index of the first that is not before place. */
guint proxy_ring_index_of (const GArray *array, ProxyPlace place);
/* In memory; NULL = it is not. */
ProxySlab *proxy_ring_find_slab (const ProxyRing *self, uint64_t chunk);
/* The tables as they stand before the picture told last, or now; NULL = they are not complete. */
GBytes *proxy_ring_make_tables (const ProxyRing *self, bool before_picture);
