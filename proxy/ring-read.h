/* SPDX-License-Identifier: Apache-2.0 */
/* How a ring is read: a viewer is a place in it, and nothing that the ring knows of. */
#pragma once

#include "proxy/ring.h"

/* Where a viewer can begin: at the newest key frame, or at the oldest with oldest. tables: what to
 * put in front, or NULL if nothing; the caller unrefs. false = there is no such place yet. */
bool proxy_ring_start (ProxyRing *self, bool oldest, ProxyPlace *out, GBytes **tables);
/* The same, so far back (us) from the newest key frame, or at the oldest. */
bool proxy_ring_start_back (ProxyRing *self, int64_t back, ProxyPlace *out, GBytes **tables);
/* The times (us, of the stream) of the oldest and the newest key frame, and in place of time that of the
 * key frame where proxy_ring_start_back (last - time) begins. false = there is none. */
bool proxy_ring_times (const ProxyRing *self, int64_t *first, int64_t *last, int64_t *time);
/* us of the stream from the first key frame that place has not passed to the newest; 0 = it has passed
 * them all, -1 = there is none. */
int64_t proxy_ring_behind (const ProxyRing *self, const ProxyPlace *place);
/* As proxy_ring_start() for a stream that shows no key frame: any packet of the newest run. */
bool proxy_ring_start_anywhere (ProxyRing *self, ProxyPlace *out, GBytes **tables);

/* The next bytes from place on, which moves: a slice of the ring's memory, at most one slab, and with
 * the chunk that reaches max bytes none behind it. In
 * a transport stream the bytes before a gap end with a whole packet, and packets that tell the
 * decoder of it stand behind it (peer/media/joint.h). Who fell out of the ring is put at its oldest key frame and
 * reads such packets and its tables first; then *jumped is set. NULL = nothing now. */
GBytes *proxy_ring_read (ProxyRing *self, ProxyPlace *place, size_t max, bool *jumped);
/* After NULL: what comes next is kept, and on its way from the disk. The watches are called. */
bool proxy_ring_waits (const ProxyRing *self, const ProxyPlace *place);

/* The first key frame behind after, or the oldest in memory with NULL; the ring's, until it is delivered to
 * again. NULL = there is none. */
const ProxyPicture *proxy_ring_next_key (const ProxyRing *self, const ProxyPlace *after);
/* The same for any picture that has a PTS, but for those that come less than PROXY_PICTURE_SPACING
 * (us) behind one that is told. A key frame may be among them. */
const ProxyPicture *proxy_ring_next_picture (const ProxyRing *self, const ProxyPlace *after);
/* Behind the last whole packet of the contiguous run that chunk lies in. */
ProxyPlace proxy_ring_run_end (const ProxyRing *self, uint64_t chunk);
