/* SPDX-License-Identifier: Apache-2.0 */
/* One content in play: its swarm, its trackers, and the ring or the film that viewers read. */
#pragma once

#include "peer/link.h"
#include "peer/net/cache.h"
#include "peer/net/peering.h"
#include "peer/net/tracker.h"
#include "peer/net/udp.h"
#include "proxy/fallback.h"
#include "proxy/film.h"
#include "proxy/ring.h"

typedef struct {
  NetUdp *udp;
  NetCache *cache;
  uint64_t memory;    /* bytes, the most of a live channel's ring */
  uint64_t timeshift; /* bytes on disk, of a live channel; 0 = none */
  const char *timeshift_folder;
  const char *recordings;      /* a folder; NULL = there are none */
  const char *const *trackers; /* for all swarms; NULL-terminated */
  bool allow_plain_tracker;
  NetCredentials *credentials; /* for the trackers; NULL = none */
  NetPeering *peering;         /* NULL = nothing was said */
} ProxySessionOptions;

typedef struct ProxySession ProxySession;

/* What is not of a swarm, but a file of ours: "recording:NAME". */
#define PROXY_SESSION_RECORDING "recording:"
/* Where it lies; the caller frees. */
char *proxy_session_recording_path (const char *folder, const char *name);

/* Joins. options must outlive the session; link is taken over. source: the list that names it; "" =
 * somebody has pasted it. warm: nothing of a live channel is asked for until proxy_session_wake(). */
ProxySession *proxy_session_new (const ProxySessionOptions *options, const char *id,
                                 const char *source, PeerLink *link, bool warm, GError **error);
/* Plays that recording. */
ProxySession *proxy_session_new_recording (const ProxySessionOptions *options, const char *id,
                                           const char *name, GError **error);
/* Gives content that is all here to its swarm. link is taken over, store and integrity, too. */
ProxySession *proxy_session_new_seed (const ProxySessionOptions *options, const char *id,
                                      PeerLink *link, PeerStore *store, PeerIntegrity *integrity,
                                      GError **error);
/* Leaves the swarm; ring and film end for those who still hold them. */
void proxy_session_free (ProxySession *self);

/* Somebody watches now. */
void proxy_session_wake (ProxySession *self);
bool proxy_session_is_warm (const ProxySession *self);

const char *proxy_session_id (const ProxySession *self);
bool proxy_session_has_swarm (const ProxySession *self, const PeerSwarm *swarm);
/* The limits may have changed. */
void proxy_session_limit (ProxySession *self);
/* Its trackers may have forgotten us. */
void proxy_session_hurry (ProxySession *self);
/* What the engine has to say of this swarm. */
void proxy_session_event (ProxySession *self, const PeerEvent *event);

bool proxy_session_is_live (const ProxySession *self);
ProxyRing *proxy_session_ring (ProxySession *self); /* live */
/* On demand; NULL as long as the content's length is not known: wait for the watches. */
ProxyFilm *proxy_session_film (ProxySession *self);
/* Why it will never play; NULL = nothing is wrong. */
const GError *proxy_session_failure (const ProxySession *self);
ProxyWatches *proxy_session_watches (ProxySession *self);

typedef struct {
  PeerSwarmStats swarm;
  bool delivered;              /* viewers have had something */
  uint64_t skipped;            /* chunks that did not come in time */
  size_t memory;               /* bytes, of the ring, on their way to the disk and from there */
  int64_t window;              /* us: how far back a viewer of a live channel can begin */
  uint64_t timeshift;          /* bytes of that on disk */
  const char *timeshift_error; /* why there is none any more; or NULL */
  size_t memory_room;          /* bytes: the most that it may be as the stream is */
  int64_t since;               /* us, monotonic */
  int64_t last_bytes;          /* us, monotonic; 0 = never */
  bool tracker_joined;
  const char *tracker_error; /* NULL = none; lives until the next call */
  ProxyFallbackStats fallback;
} ProxySessionStats;
void proxy_session_stats (const ProxySession *self, ProxySessionStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxySession, proxy_session_free)
