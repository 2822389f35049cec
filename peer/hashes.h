/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of a Merkle tree (RFC 7574, section 5), by node: those that are believed, where they lie;
 * and those that a peer has sent and that are not believed yet. */
#pragma once

#include "peer/chunks.h"
#include "peer/content.h"
#include <stddef.h>

#define PEER_PROOF_MAX 128 /* hashes: 64 peaks and 64 uncles is the most that a tree can need */

typedef struct {
  PeerRange chunks; /* a node; it may extend past the end of the content */
  uint8_t hash[PEER_HASH_MAX];
} PeerHash;

/* Hashes that one peer has sent and that are not yet believed: bounded, the oldest is overwritten. */
typedef struct {
  PeerHash hashes[PEER_PROOF_MAX];
  unsigned n; /* in order of arrival */
} PeerPendingHashes;
/* A range that is no node is ignored; a node that is there already gets the new hash. */
void peer_pending_hashes_add (PeerPendingHashes *self, PeerRange chunks, const uint8_t *hash,
                              size_t hash_size);
/* NULL = it is not there. Borrowed until the next add or remove. */
const uint8_t *peer_pending_hashes_find (const PeerPendingHashes *self, PeerRange chunks);
void peer_pending_hashes_remove (PeerPendingHashes *self, PeerRange chunks);
/* Chunk is believed, and so is all beside its way to the root: what of that came again goes. */
void peer_pending_hashes_prune (PeerPendingHashes *self, uint64_t chunk);

/* Where the hashes of a static tree lie. NULL as store = in memory, sparse, by subtrees that are
 * in use. net/file gives one that lies beside the content. */
typedef struct PeerHashStore PeerHashStore;
typedef struct {
  /* bin: peer_bin_from_range(). false = absent. */
  bool (*read) (PeerHashStore *self, uint64_t bin, uint8_t *out, size_t hash_size);
  bool (*write) (PeerHashStore *self, uint64_t bin, const uint8_t *hash, size_t hash_size);
  void (*free) (PeerHashStore *self);
} PeerHashStoreClass;
struct PeerHashStore {
  const PeerHashStoreClass *class;
};

/* In memory, sparse: about twice the hash size for each chunk whose neighbourhood is in use. */
PeerHashStore *peer_hashes_memory_new (size_t hash_size);
void peer_hashes_free (PeerHashStore *self);
