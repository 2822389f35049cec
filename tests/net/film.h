/* SPDX-License-Identifier: Apache-2.0 */
/* A film that is published from a file, and receivers that keep it, or parts of it, in another. */
#pragma once

#include "peer/net/file.h"

#define CHUNK 1024
extern uint32_t chunk_size; /* bytes; of the films that are made from now on */

/* A folder, a film in it that is published, and the path where a receiver keeps it. */
typedef struct {
  char *folder, *film, *hashes, *path;
  uint8_t *bytes;
  size_t length;
  uint64_t n_chunks;
  PeerContent content;
  PeerStore *published;
  PeerIntegrity *source;
} World;

typedef struct {
  PeerStore *store;
  PeerIntegrity *integrity;
  PeerChunks *known;
  PeerPendingHashes pending;
} Receiver;

void world_init (World *self, size_t length);
void world_clear (World *self);
/* What the receivers keep. */
void remove_copy (const World *self);
char *beside (const World *self, const char *ending);
bool receiver_open (Receiver *self, const World *world, GError **error);
bool receiver_open_sparse (Receiver *self, const World *world, GError **error);
void receiver_open_sparse_well (Receiver *self, const World *world);
void receiver_open_well (Receiver *self, const World *world);
void receiver_close (Receiver *self, bool is_store_first);
const uint8_t *chunk_of (const World *world, uint64_t chunk, size_t *n);
/* The source leaves out the hashes that who has known need not get (NULL = none). false = what came
 * does not prove the chunk; that it denies it is no answer. */
bool fetch_if_proven (Receiver *self, const World *world, uint64_t chunk, const PeerChunks *known,
                      PeerStoreResult *result);
PeerStoreResult fetch (Receiver *self, const World *world, uint64_t chunk);
bool holds (const Receiver *self, const World *world, uint64_t chunk);
uint64_t count_held (const Receiver *self, const World *world);
void assert_file_is_content (const World *world);
void write_film (const World *self);
void publish (World *self);
void unpublish (World *self);
