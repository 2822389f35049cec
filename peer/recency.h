/* SPDX-License-Identifier: Apache-2.0 */
/* Which part of a content was used how long ago, so that a cache knows what to drop. Parts are
 * blocks of many chunks: small against the cache, large enough to be few. */
#pragma once

#include "peer/chunks.h"

typedef struct PeerRecency PeerRecency;

/* quota: bytes of the cache; a block is a 64th of it, but 64 KiB to 1 MiB. */
PeerRecency *peer_recency_new (uint64_t n_chunks, uint32_t chunk_size, uint64_t quota);
void peer_recency_free (PeerRecency *self);

/* All blocks that run touches were used at now: us, never less than before. */
void peer_recency_touch (PeerRecency *self, PeerRange run, int64_t now);
/* The block that was used longest ago of those that hold any of have; when: that time, 0 = not since
 * self was made. Empty if there is none. */
PeerRange peer_recency_oldest (const PeerRecency *self, const PeerChunks *have, int64_t *when);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerRecency, peer_recency_free)
