/* SPDX-License-Identifier: Apache-2.0 */
/* Where chunks lie. Only verified chunks are written. */
#pragma once

#include "peer/chunks.h"
#include <stddef.h>

typedef enum {
  PEER_STORE_OK,
  PEER_STORE_ABSENT,  /* never had, or evicted: an answer, not an error */
  PEER_STORE_PENDING, /* on its way from the disk: ask again */
  PEER_STORE_FAILED,  /* the medium failed; the store has logged why */
} PeerStoreResult;

typedef struct PeerStore PeerStore;

typedef struct {
  /* Copies the chunk to out; *n is its size in bytes. A room that is too small is FAILED. */
  PeerStoreResult (*read) (PeerStore *self, uint64_t chunk, uint8_t *out, size_t room, size_t *n);
  PeerStoreResult (*write) (PeerStore *self, uint64_t chunk, const uint8_t *bytes, size_t n);
  void (*discard) (PeerStore *self, PeerRange run);
  void (*chunks) (PeerStore *self, PeerChunks *out); /* what a reopened store holds */
  void (*free) (PeerStore *self);
} PeerStoreClass;

struct PeerStore {
  const PeerStoreClass *class;
};

/* A ring of the last chunks: chunk c lies in slot c % max_chunks, so a newer one evicts an older
 * one that shares its slot, and an older one never evicts a newer one (write then says ABSENT).
 * Memory is taken as chunks come, in slabs, and reused. */
PeerStore *peer_store_memory_new (uint32_t chunk_size, size_t max_chunks);
void peer_store_free (PeerStore *self);
