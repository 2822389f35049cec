/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of contents on demand, whole or in parts, that together stay under a quota. What is in
 * use gives back blocks; what is not goes whole, and first. */
#pragma once

#include "peer/content.h"

typedef struct NetCache NetCache;

/* folder is made when it is first needed. quota: bytes; option: what sets it, for the user. */
NetCache *net_cache_new (const char *folder, uint64_t quota, const char *option);
void net_cache_free (NetCache *self);
uint64_t net_cache_quota (const NetCache *self);

/* Who uses a content, as long as it does. */
typedef struct {
  /* us, monotonic: when the part that it needs least was used last; INT64_MAX = it needs all. */
  int64_t (*oldest) (gpointer data);
  /* Drops that part; returns how many bytes it was. */
  uint64_t (*give_back) (gpointer data);
} NetCacheUser;

/* The path for a content of known length, to be opened by net_file_open_sparse(). Its tree and a
 * little beside must fit the quota, as it is never given back. The caller frees. */
char *net_cache_take (NetCache *self, const PeerContent *content, const NetCacheUser *user,
                      gpointer data, GError **error);
void net_cache_release (NetCache *self, const PeerContent *content, gpointer data);
/* All that lies at such a path: the content, its tree and its record. Nobody may have it open. */
void net_cache_delete (const char *path);
/* Files have grown: makes room until all is under the quota, and the disk is not full. To be called
 * when they have grown by a 32nd of the quota, or by a megabyte if that is less. */
void net_cache_fit (NetCache *self);

uint64_t net_cache_used (NetCache *self); /* bytes on disk */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetCache, net_cache_free)
