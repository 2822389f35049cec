/* SPDX-License-Identifier: Apache-2.0 */
/* A PeerStore in a file, its hash tree and the record of what is verified beside it; survives
 * kill -9 and a full disk. One program at a time may have it open. */
#pragma once

#include "peer/content.h"
#include "peer/integrity.h"
#include "peer/store.h"

#define NET_FILE_HASHES ".hashes"
#define NET_FILE_HAVE ".have"

/* Content of a known length at path; its tree at path + ".hashes", what is there at
 * path + ".have". Created and reserved (posix_fallocate) if absent, so a full disk is told here and
 * not in the middle. Nothing that the files say is believed for having been written once: each
 * chunk is checked against the root when it is first read, and one that does not pass is ABSENT
 * from then on. A kill may make it forget 256 chunks, and those in the blocks in memory (peer/net/blocks.h).
 * hashes: out, for peer_integrity_new(); may outlive the store. */
PeerStore *net_file_open (const char *path, const PeerContent *content, PeerHashStore **hashes,
                          GError **error);

/* Likewise for who keeps parts of it only: no room is reserved for content and tree, so a full disk
 * is told by a write that fails, and room that is given back (discard) is free for others. */
PeerStore *net_file_open_sparse (const char *path, const PeerContent *content,
                                 PeerHashStore **hashes, GError **error);

/* All of the content lies in the file already, and its tree has been written: nothing need come. As
 * always, each chunk is checked when it is first read. */
void net_file_adopt (PeerStore *store);

/* Hashes an existing file (origin: content on demand) and keeps the tree at hashes_path, so that a
 * restart need not hash again while size and time of change are the same. content: hash function
 * and chunk size; its swarm_id and length are filled in. integrity: out.
 * progress: may be NULL; called with bytes done and in all. The store is read-only. */
typedef void (*NetFileProgressFunc) (uint64_t done, uint64_t total, gpointer data);
PeerStore *net_file_publish (const char *path, const char *hashes_path, PeerContent *content,
                             PeerIntegrity **integrity, NetFileProgressFunc progress, gpointer data,
                             GError **error);
