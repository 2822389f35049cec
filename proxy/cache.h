/* SPDX-License-Identifier: Apache-2.0 */
/* Which contents on demand stay on disk, under a quota. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ProxyCache ProxyCache;

/* folder is made when it is first needed. quota: bytes. */
ProxyCache *proxy_cache_new (const char *folder, uint64_t quota);
void proxy_cache_free (ProxyCache *self);

/* The path for a content of so many bytes; others go, those that were read longest ago first, until
 * it fits. It is in use, and does not go, until released. The caller frees. */
char *proxy_cache_take (ProxyCache *self, const char *swarm_id, uint64_t length, GError **error);
void proxy_cache_release (ProxyCache *self, const char *swarm_id);

uint64_t proxy_cache_used (ProxyCache *self); /* bytes on disk */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyCache, proxy_cache_free)
