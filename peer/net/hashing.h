/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are to be published are hashed one after the other, in a thread. */
#pragma once

#include "peer/content.h"
#include "peer/integrity.h"
#include "peer/store.h"

typedef struct NetHasher NetHasher;
typedef struct NetHashing NetHashing; /* one file; the hasher owns it */

/* As net_file_publish() has made them. */
typedef struct {
  PeerContent content;
  PeerStore *store; /* whoever is told may take them out */
  PeerIntegrity *integrity;
} NetHashed;

/* Called by the main loop; then the file's NetHashing is gone. error: NULL = all is well. */
typedef void (*NetHashedFunc) (NetHashed *result, const GError *error, gpointer data);

NetHasher *net_hasher_new (void);
/* Nobody is called any more, and nobody waits for the thread. */
void net_hasher_free (NetHasher *self);
/* id: for the progress, which is told on standard error. content: the metadata that it is to have. */
NetHashing *net_hasher_add (NetHasher *self, const char *id, const char *path,
                            const char *hashes_path, const PeerContent *content, NetHashedFunc func,
                            gpointer data);
/* Nobody is called of it any more, and the hasher has it no more: once it was begun it goes on in its
 * thread, to nobody's use. */
void net_hasher_forget (NetHasher *self, NetHashing *file);
/* 0 to 1 */
double net_hashing_progress (const NetHashing *self);
