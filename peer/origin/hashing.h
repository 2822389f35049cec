/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are to be published are hashed one after the other, in a thread. */
#pragma once

#include "peer/content.h"
#include "peer/integrity.h"
#include "peer/store.h"

typedef struct OriginHasher OriginHasher;
typedef struct OriginHashing OriginHashing; /* one file; the hasher owns it */

/* As net_file_publish() has made them. */
typedef struct {
  PeerContent content;
  PeerStore *store; /* whoever is told may take them out */
  PeerIntegrity *integrity;
} OriginHashed;

/* Called by the main loop; then the file's OriginHashing is gone. error: NULL = all is well. */
typedef void (*OriginHashedFunc) (OriginHashed *result, const GError *error, gpointer data);

OriginHasher *origin_hasher_new (void);
/* Nobody is called any more, and nobody waits for the thread. */
void origin_hasher_free (OriginHasher *self);
/* id: for the progress, which is told on standard error. content: the metadata that it is to have. */
OriginHashing *origin_hasher_add (OriginHasher *self, const char *id, const char *path,
                                  const char *hashes_path, const PeerContent *content,
                                  OriginHashedFunc func, gpointer data);
/* 0 to 1 */
double origin_hashing_progress (const OriginHashing *self);
