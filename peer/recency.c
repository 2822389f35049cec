/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/recency.h"

#define LEAST_BLOCK (UINT64_C (64) << 10) /* bytes */
#define MOST_BLOCK (UINT64_C (1) << 20)
#define BLOCKS 64 /* in a cache, at least */

struct PeerRecency {
  uint64_t n_chunks, block, n_blocks; /* block: chunks */
  int64_t *used;                      /* us, by block */
};

PeerRecency *
peer_recency_new (uint64_t n_chunks, uint32_t chunk_size, uint64_t quota)
{
  g_return_val_if_fail (n_chunks > 0 && chunk_size > 0, NULL);
  PeerRecency *self = g_new0 (PeerRecency, 1);
  self->n_chunks = n_chunks;
  self->block = MAX (CLAMP (quota / BLOCKS, LEAST_BLOCK, MOST_BLOCK) / chunk_size, 1);
  self->n_blocks = (n_chunks - 1) / self->block + 1;
  self->used = g_new0 (int64_t, self->n_blocks);
  return self;
}

void
peer_recency_free (PeerRecency *self)
{
  if (!self)
    return;
  g_free (self->used);
  g_free (self);
}

void
peer_recency_touch (PeerRecency *self, PeerRange run, int64_t now)
{
  run.end = MIN (run.end, self->n_chunks);
  if (peer_range_is_empty (run))
    return;
  for (uint64_t i = run.first / self->block; i <= (run.end - 1) / self->block; i++)
    self->used[i] = now;
}

PeerRange
peer_recency_oldest (const PeerRecency *self, const PeerChunks *have, int64_t *when)
{
  PeerRange oldest = {0, 0}, left = {0, self->n_chunks};
  *when = INT64_MAX;
  while (!peer_range_is_empty (left)) {
    uint64_t i = peer_chunks_next (have, left).first / self->block;
    if (i >= self->n_blocks)
      break;
    PeerRange block = {i * self->block, MIN ((i + 1) * self->block, self->n_chunks)};
    if (peer_chunks_has_any (have, block) && self->used[i] < *when) {
      *when = self->used[i];
      oldest = block;
    }
    left.first = block.end;
  }
  return oldest;
}
