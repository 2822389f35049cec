/* SPDX-License-Identifier: Apache-2.0 */
/* The ring in memory. Slots are grouped in slabs, and a slab is taken when the first of its
 * slots is filled, so a channel that nobody watches for long costs little. A slab is never given
 * back before the store is freed: fresh memory costs more than the copy into it. */
#include "peer/store.h"

#include <string.h>

#define SLAB_SLOTS 64

typedef struct {
  uint64_t chunk;
  uint32_t size; /* bytes; 0 = empty */
} Slot;

typedef struct {
  Slot slots[SLAB_SLOTS];
  uint8_t bytes[]; /* chunk_size for each slot */
} Slab;

typedef struct {
  PeerStore parent;
  uint32_t chunk_size;
  size_t max_chunks;
  size_t n_slabs;
  Slab **slabs;
} Memory;

/* NULL = its slab has not been taken yet. */
static Slot *
find_slot (Memory *self, size_t place, uint8_t **bytes)
{
  Slab *slab = self->slabs[place / SLAB_SLOTS];
  size_t i = place % SLAB_SLOTS;
  if (!slab)
    return NULL;
  *bytes = slab->bytes + i * self->chunk_size;
  return &slab->slots[i];
}

static PeerStoreResult
memory_read (PeerStore *store, uint64_t chunk, uint8_t *out, size_t room, size_t *n)
{
  Memory *self = (Memory *)store;
  uint8_t *bytes;
  const Slot *slot = find_slot (self, (size_t)(chunk % self->max_chunks), &bytes);
  if (!slot || slot->size == 0 || slot->chunk != chunk)
    return PEER_STORE_ABSENT;
  if (room < slot->size)
    return PEER_STORE_FAILED;
  memcpy (out, bytes, slot->size);
  *n = slot->size;
  return PEER_STORE_OK;
}

static PeerStoreResult
memory_write (PeerStore *store, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  Memory *self = (Memory *)store;
  size_t place = (size_t)(chunk % self->max_chunks);
  uint8_t *room;
  if (n == 0 || n > self->chunk_size)
    return PEER_STORE_FAILED;
  if (!self->slabs[place / SLAB_SLOTS]) {
    size_t n_slots = MIN (SLAB_SLOTS, self->max_chunks - place / SLAB_SLOTS * SLAB_SLOTS);
    Slab *slab = g_malloc (sizeof (Slab) + n_slots * self->chunk_size);
    memset (slab->slots, 0, sizeof slab->slots);
    self->slabs[place / SLAB_SLOTS] = slab;
  }
  Slot *slot = find_slot (self, place, &room);
  if (slot->size > 0 && slot->chunk > chunk)
    return PEER_STORE_ABSENT;
  memcpy (room, bytes, n);
  slot->chunk = chunk;
  slot->size = (uint32_t)n;
  return PEER_STORE_OK;
}

static void
memory_discard (PeerStore *store, PeerRange run)
{
  Memory *self = (Memory *)store;
  uint8_t *bytes;
  if (peer_range_is_empty (run))
    return;
  /* A run may be far longer than the ring ("all up to here"): visit each slot at most once. */
  if (peer_range_size (run) < self->max_chunks) {
    for (uint64_t chunk = run.first; chunk < run.end; chunk++) {
      Slot *slot = find_slot (self, (size_t)(chunk % self->max_chunks), &bytes);
      if (slot && slot->chunk == chunk)
        slot->size = 0;
    }
    return;
  }
  for (size_t i = 0; i < self->n_slabs; i++)
    for (unsigned k = 0; self->slabs[i] && k < SLAB_SLOTS; k++)
      if (peer_range_has (run, self->slabs[i]->slots[k].chunk))
        self->slabs[i]->slots[k].size = 0;
}

static void
memory_chunks (PeerStore *store, PeerChunks *out)
{
  Memory *self = (Memory *)store;
  uint8_t *bytes;
  uint64_t oldest = UINT64_MAX;
  for (size_t i = 0; i < self->n_slabs; i++)
    for (unsigned k = 0; self->slabs[i] && k < SLAB_SLOTS; k++)
      if (self->slabs[i]->slots[k].size > 0)
        oldest = MIN (oldest, self->slabs[i]->slots[k].chunk);
  /* From the oldest on, once around: mostly ascending, which is cheap to add. */
  for (size_t i = 0; oldest != UINT64_MAX && i < self->max_chunks; i++) {
    size_t place = (size_t)((oldest % self->max_chunks + i) % self->max_chunks);
    const Slot *slot = find_slot (self, place, &bytes);
    if (slot && slot->size > 0)
      peer_chunks_add (out, (PeerRange){slot->chunk, slot->chunk + 1});
  }
}

static void
memory_free (PeerStore *store)
{
  Memory *self = (Memory *)store;
  for (size_t i = 0; i < self->n_slabs; i++)
    g_free (self->slabs[i]);
  g_free (self->slabs);
  g_free (self);
}

PeerStore *
peer_store_memory_new (uint32_t chunk_size, size_t max_chunks)
{
  static const PeerStoreClass class = {memory_read, memory_write, memory_discard, memory_chunks,
                                       memory_free};
  g_return_val_if_fail (chunk_size > 0, NULL);
  g_return_val_if_fail (max_chunks > 0 && max_chunks < SIZE_MAX / 2, NULL);
  Memory *self = g_new0 (Memory, 1);
  self->parent.class = &class;
  self->chunk_size = chunk_size;
  self->max_chunks = max_chunks;
  self->n_slabs = (max_chunks + SLAB_SLOTS - 1) / SLAB_SLOTS;
  self->slabs = g_new0 (Slab *, self->n_slabs);
  return &self->parent;
}

void
peer_store_free (PeerStore *self)
{
  if (self)
    self->class->free (self);
}
