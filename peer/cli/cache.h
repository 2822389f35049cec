/* SPDX-License-Identifier: Apache-2.0 */
/* A cache, or super-node, of many swarms (RFC 6972, sections 5.1 and 5.4): those of its links and of
 * channel lists, under one quota of disk. */
#pragma once

#include "peer/cli/options.h"
#include "peer/net/udp.h"

#define CLI_CACHE_MAX 1000 /* swarms */

typedef struct CliCache CliCache;

/* options must outlive it. */
CliCache *cli_cache_new (const CliOptions *options, GError **error);
void cli_cache_free (CliCache *self); /* leaves all swarms and their trackers */

/* Reads the lists again: joins what is new in them, leaves what is not in any. They are read again
 * each hour as well, and each minute as long as one cannot be read. */
void cli_cache_reload (CliCache *self);
/* The options' peering may be another now. */
void cli_cache_limit (CliCache *self);

typedef struct {
  uint32_t swarms, wanted, whole, failed; /* failed: links of lists that could not be joined */
  uint64_t used, quota;                   /* bytes on disk */
  uint64_t up, down;                      /* bytes/s */
  uint64_t uploaded;                      /* bytes */
  uint32_t peers;
} CliCacheStats;
void cli_cache_stats (const CliCache *self, CliCacheStats *out);
NetUdp *cli_cache_udp (const CliCache *self); /* there as long as the cache is */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliCache, cli_cache_free)
