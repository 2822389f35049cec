/* SPDX-License-Identifier: Apache-2.0 */
/* The store in memory cuts the tree into slabs of six levels, 63 nodes each, so that a slab is one
 * word of presence bits and its hashes, about 2 KiB for SHA-256:
 *
 *                 o  height 11                    a slab of group 1: heights 6 to 11
 *              .../ \...
 *             o       o  height 6
 *     - - - -/ \- - -/ \- - - -
 *           o   o   o   o  height 5               slabs of group 0: heights 0 to 5
 *          ... ... ... ...
 *
 * A chunk costs one leaf and, in all, about one node above it: 64 bytes. Slabs lie in a hash
 * table, and the last used slab of each group is remembered: neighbours come together. */
#include "peer/hashes.h"

#include <string.h>

#define SLAB_LEVELS 6
#define SLAB_NODES 63
#define N_GROUPS 11 /* of six levels: more than the 63 that a bin can have */

/* The widest node: what peer_bin_to_range() can still name. */
#define MAX_WIDTH (UINT64_C (1) << 62)

typedef struct {
  gint64 key;
  uint64_t present;
  uint8_t hashes[];
} Slab;

typedef struct {
  PeerHashStore parent;
  size_t hash_size;
  GHashTable *slabs; /* of Slab, by key */
  Slab *last[N_GROUPS];
} Memory;

/* The place of a bin: the key of its slab and the number of the node in it, as in a heap. */
static unsigned
place_of (uint64_t bin, unsigned *group, gint64 *key)
{
  unsigned height = (unsigned)__builtin_ctzll (~bin);
  uint64_t number = bin >> height >> 1;
  unsigned depth = SLAB_LEVELS - 1 - height % SLAB_LEVELS;
  *group = height / SLAB_LEVELS;
  *key = (gint64)(number >> depth << 4 | *group);
  return (1u << depth) - 1 + (unsigned)(number & ((1u << depth) - 1));
}

static Slab *
find_slab (Memory *self, unsigned group, gint64 key)
{
  if (!self->last[group] || self->last[group]->key != key) {
    Slab *slab = g_hash_table_lookup (self->slabs, &key);
    if (!slab)
      return NULL;
    self->last[group] = slab;
  }
  return self->last[group];
}

static bool
memory_read (PeerHashStore *store, uint64_t bin, uint8_t *out, size_t hash_size)
{
  Memory *self = (Memory *)store;
  unsigned group;
  gint64 key;
  unsigned node = place_of (bin, &group, &key);
  const Slab *slab = find_slab (self, group, key);
  if (!slab || !(slab->present >> node & 1) || hash_size != self->hash_size)
    return false;
  memcpy (out, slab->hashes + node * hash_size, hash_size);
  return true;
}

static bool
memory_write (PeerHashStore *store, uint64_t bin, const uint8_t *hash, size_t hash_size)
{
  Memory *self = (Memory *)store;
  unsigned group;
  gint64 key;
  unsigned node = place_of (bin, &group, &key);
  Slab *slab = find_slab (self, group, key);
  if (hash_size != self->hash_size)
    return false;
  if (!slab) {
    slab = g_malloc (sizeof (Slab) + SLAB_NODES * hash_size);
    slab->key = key;
    slab->present = 0;
    g_hash_table_insert (self->slabs, &slab->key, slab);
    self->last[group] = slab;
  }
  memcpy (slab->hashes + node * hash_size, hash, hash_size);
  slab->present |= UINT64_C (1) << node;
  return true;
}

static void
memory_free (PeerHashStore *store)
{
  Memory *self = (Memory *)store;
  g_hash_table_destroy (self->slabs);
  g_free (self);
}

PeerHashStore *
peer_hashes_memory_new (size_t hash_size)
{
  static const PeerHashStoreClass class = {memory_read, memory_write, memory_free};
  g_return_val_if_fail (hash_size > 0 && hash_size <= PEER_HASH_MAX, NULL);
  Memory *self = g_new0 (Memory, 1);
  self->parent.class = &class;
  self->hash_size = hash_size;
  self->slabs = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_free);
  return &self->parent;
}

void
peer_hashes_free (PeerHashStore *self)
{
  if (self)
    self->class->free (self);
}

static int
find_pending (const PeerPendingHashes *self, PeerRange chunks)
{
  for (unsigned i = 0; i < self->n; i++)
    if (self->hashes[i].chunks.first == chunks.first && self->hashes[i].chunks.end == chunks.end)
      return (int)i;
  return -1;
}

void
peer_pending_hashes_add (PeerPendingHashes *self, PeerRange chunks, const uint8_t *hash,
                         size_t hash_size)
{
  if (!peer_range_is_node (chunks) || peer_range_size (chunks) > MAX_WIDTH)
    return;
  if (hash_size == 0 || hash_size > PEER_HASH_MAX)
    return;
  peer_pending_hashes_remove (self, chunks);
  if (self->n == PEER_PROOF_MAX)
    peer_pending_hashes_remove (self, self->hashes[0].chunks);
  unsigned i = self->n++;
  self->hashes[i].chunks = chunks;
  memcpy (self->hashes[i].hash, hash, hash_size);
}

const uint8_t *
peer_pending_hashes_find (const PeerPendingHashes *self, PeerRange chunks)
{
  int i = find_pending (self, chunks);
  return i < 0 ? NULL : self->hashes[i].hash;
}

void
peer_pending_hashes_remove (PeerPendingHashes *self, PeerRange chunks)
{
  int i = find_pending (self, chunks);
  if (i < 0)
    return;
  /* In order of arrival, so that the oldest is the first. */
  self->n--;
  memmove (&self->hashes[i], &self->hashes[i + 1],
           (self->n - (unsigned)i) * sizeof self->hashes[0]);
}

void
peer_pending_hashes_prune (PeerPendingHashes *self, uint64_t chunk)
{
  unsigned kept = 0;
  for (unsigned i = 0; i < self->n; i++) {
    uint64_t width = peer_range_size (self->hashes[i].chunks);
    bool beside = ((chunk ^ self->hashes[i].chunks.first) & ~(width - 1)) == width;
    if (!beside && kept != i)
      self->hashes[kept] = self->hashes[i];
    kept += !beside;
  }
  self->n = kept;
}
