/* SPDX-License-Identifier: Apache-2.0 */
/* Which chunks: runs of them, bins, and sets of runs (RFC 7574, section 4). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A run of chunks, half-open: first is in it, end is not; empty when they are equal.
 * The wire has five other ways to say this: bins, and runs with the end included, of several
 * widths. peer/wire.c turns them into this one as it reads, and back as it writes; no other
 * file knows them. */
typedef struct {
  uint64_t first;
  uint64_t end;
} PeerRange;

static inline uint64_t
peer_range_size (PeerRange self)
{
  return self.end - self.first;
}

static inline bool
peer_range_is_empty (PeerRange self)
{
  return self.end <= self.first;
}

static inline bool
peer_range_has (PeerRange self, uint64_t chunk)
{
  return chunk >= self.first && chunk < self.end;
}

/* What both hold; empty (first = end) if nothing. */
PeerRange peer_range_intersection (PeerRange a, PeerRange b);

/* Is it the range of a node of a binary tree: a power of two wide and aligned to its width? */
bool peer_range_is_node (PeerRange self);
PeerRange peer_range_sibling (PeerRange node);
/* Height above the leaves: log2 of the width of a node. */
unsigned peer_range_height (PeerRange node);

/* Bin numbers (section 4.2). A range that is a node has one. */
uint64_t peer_bin_from_range (PeerRange node);
PeerRange peer_bin_to_range (uint64_t bin); /* bin < UINT64_MAX / 2 */

/* A set of chunks, kept as sorted runs that do not touch. Adding and removing at the ends is
 * O(1) amortised, elsewhere O(log n) to find and O(n) to move. */
typedef struct PeerChunks PeerChunks;

/* max_runs: how many runs it may come to hold; 0 = no limit. Use a limit wherever a remote
 * party decides what is added. */
PeerChunks *peer_chunks_new (size_t max_runs);
void peer_chunks_free (PeerChunks *self);
void peer_chunks_clear (PeerChunks *self);

/* false = it would need more runs than it may hold; then nothing was added. */
bool peer_chunks_add (PeerChunks *self, PeerRange run);
/* Removing from the middle of a run when the limit is reached keeps the longer side. */
void peer_chunks_remove (PeerChunks *self, PeerRange run);

bool peer_chunks_has (const PeerChunks *self, uint64_t chunk);
/* All of run, and any of run. */
bool peer_chunks_has_all (const PeerChunks *self, PeerRange run);
bool peer_chunks_has_any (const PeerChunks *self, PeerRange run);

/* The biggest complete run that covers chunk (RFC 7574, 4.3); empty at chunk if it is absent. */
PeerRange peer_chunks_around (const PeerChunks *self, uint64_t chunk);
/* The first run of missing chunks within the window; empty (first = end = window.end) if none. */
PeerRange peer_chunks_gap (const PeerChunks *self, PeerRange window);
/* The first run of present chunks within the window; likewise. */
PeerRange peer_chunks_next (const PeerChunks *self, PeerRange window);

bool peer_chunks_is_empty (const PeerChunks *self);
uint64_t peer_chunks_count (const PeerChunks *self); /* chunks */
size_t peer_chunks_n_runs (const PeerChunks *self);
PeerRange peer_chunks_run (const PeerChunks *self, size_t i);
size_t peer_chunks_memory (const PeerChunks *self); /* bytes */
/* The smallest range that covers all of it; {0, 0} if empty. */
PeerRange peer_chunks_span (const PeerChunks *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerChunks, peer_chunks_free)
