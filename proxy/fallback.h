/* SPDX-License-Identifier: Apache-2.0 */
/* Where a film comes from when its swarm is late: the servers that its link names with "fb". They are
 * believed no more than peers are: what does not fit the hash tree is refused, and that server is left
 * alone. */
#pragma once

#include "peer/link.h"
#include "peer/net/udp.h"
#include "proxy/film.h"

typedef struct ProxyFallback ProxyFallback;

typedef struct {
  const char *id;       /* for the log */
  const char *from;     /* the list that names the link; "" = somebody has pasted it */
  const PeerLink *link; /* its content has a length */
  NetUdp *udp;
  PeerSwarm *swarm;
  ProxyFilm *film;
} ProxyFallbackOptions;

/* All of options is borrowed until it is freed, but for the texts. NULL = the link names no server. */
ProxyFallback *proxy_fallback_new (const ProxyFallbackOptions *options);
void proxy_fallback_free (ProxyFallback *self);

/* Whenever a reader of the film has begun or ended to wait, or has gone on. now: monotonic, us. Returns
 * when it wants to be called again, or INT64_MAX. */
int64_t proxy_fallback_turn (ProxyFallback *self, int64_t now);

typedef struct {
  uint64_t bytes;    /* verified content that came from there */
  uint64_t refused;  /* chunks that the hashes deny */
  uint64_t failures; /* requests that were not answered as they should be */
  bool active;       /* the swarm is late */
  const char *error; /* the last thing that went wrong; NULL = nothing; lives until the next turn */
} ProxyFallbackStats;
/* self: NULL = all zeros. */
void proxy_fallback_stats (const ProxyFallback *self, ProxyFallbackStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyFallback, proxy_fallback_free)
