/* SPDX-License-Identifier: Apache-2.0 */
/* The hash tree of a content in a file: a PeerHashStore of which a small part is in memory. What
 * the file said before it was opened is believed only once it has been checked against the root,
 * so a damaged file costs hashes that are fetched again, and nothing else. */
#pragma once

#include "peer/hashes.h"
#include "peer/net/disk.h"

typedef struct NetTree NetTree;

/* The tree of content of known root and length; begun anew if it is another's, damaged in front or
 * without its peaks: then is_empty. reserves: room for all of it. */
NetTree *net_tree_open (const char *path, const PeerContent *content, bool reserves, bool *is_empty,
                        GError **error);
/* The tree of a file whose root is to be computed. changed_*: the file's time of change. If the
 * tree was completed for that length and time, fills in the swarm ID; otherwise it is begun anew
 * and swarm_id_size is 0. */
NetTree *net_tree_open_published (const char *path, PeerContent *content, int64_t changed_s,
                                  uint32_t changed_ns, GError **error);
/* All hashes are written, and the content has its swarm ID. */
bool net_tree_complete (NetTree *self, const PeerContent *content, GError **error);
/* It does not belong to the file: begin anew at the next start. */
void net_tree_spoil (NetTree *self);

/* Where the hash of a node lies in the file, by its bin. Beside content that is served by HTTP such a file
 * is public (URL.hashes), so this stays as it is. */
uint64_t net_tree_offset (uint64_t bin, size_t hash_size); /* bytes */

NetTree *net_tree_ref (NetTree *self);
void net_tree_unref (NetTree *self);
/* A view of it that holds a reference, until it is freed. */
PeerHashStore *net_tree_hashes (NetTree *self);
/* false = never had, or damaged. */
bool net_tree_read (NetTree *self, uint64_t bin, uint8_t *out);
/* To the file with all that is in memory. false = the medium failed, which has been logged. */
bool net_tree_flush (NetTree *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetTree, net_tree_unref)
