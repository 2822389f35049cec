/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP and HTTPS in front of a registry (RFC 7846, section 4), and the management's resources on an
 * address of its own. */
#pragma once

#include "peer/tracker/digest.h"
#include "peer/tracker/places.h"
#include "peer/trackerd/access.h"
#include "peer/trackerd/authority.h"
#include "peer/trackerd/events.h"
#include "peer/trackerd/sip.h"

#include <gio/gio.h>

typedef struct TrackerdServer TrackerdServer;

typedef struct {
  const char *const *listen;     /* ADDR:PORT, NULL-terminated */
  const char *management;        /* ADDR:PORT, or NULL = none */
  GTlsCertificate *certificate;  /* NULL = plain HTTP */
  unsigned max_connections;      /* 0 = 256 */
  unsigned threads;              /* that answer by HTTP; 0 = 1, which is the caller's */
  TrackerdAuthority *authority;  /* borrowed; NULL = members are not certified */
  const TrackerdSipOptions *sip; /* borrowed; NULL = no SIP */
  TrackerDigest *digest;         /* borrowed; NULL = no accounts with passwords */
  TrackerdAccess *access;        /* taken; NULL = all is open */
  const char *store;             /* URI (stores.h); NULL = memory: */
  const char *places, *alto;     /* a file, a URI (atlas.h); NULL = none */
} TrackerdServerOptions;

/* The error says which address, why, and what to do. */
TrackerdServer *trackerd_server_new (const TrackerdServerOptions *options, GError **error);
void trackerd_server_free (TrackerdServer *self);

/* For new connections; only where there was one before. */
void trackerd_server_set_certificate (TrackerdServer *self, GTlsCertificate *certificate);
/* Can SIP over TLS, if there is any, take the one that its files hold now? Then the call above makes it, or the
 * one below drops what it keeps of it. */
bool trackerd_server_load_certificate (TrackerdServer *self, GError **error);
void trackerd_server_drop_certificate (TrackerdServer *self);
/* In place of the lists before, which are freed. Who is in a swarm and may not be is so no more; all
 * connections stay. access is taken. */
void trackerd_server_set_access (TrackerdServer *self, TrackerdAccess *access);
/* The table of places, as it is now; *out = NULL if there is none. The caller frees, or sets them. */
bool trackerd_server_read_places (TrackerdServer *self, TrackerPlaces **out, GError **error);
/* places are taken. */
void trackerd_server_set_places (TrackerdServer *self, TrackerPlaces *places);
/* What whoever changes the digest's accounts, or notes an event, holds meanwhile. */
GRecMutex *trackerd_server_lock (TrackerdServer *self);
/* What the operator should hear of. */
TrackerdEvents *trackerd_server_events (TrackerdServer *self);

/* The answer to a request, whatever carried it: of one who is over its quota, whom the lists deny,
 * or whom the registry knows. request->account: what the carrier has proven. The caller frees. */
TrackerResponse *trackerd_server_answer (TrackerdServer *self, const TrackerRequest *request,
                                         const PeerAddress *from);
/* May there be one more request from there? Counted if so; else its answer is error 5. */
bool trackerd_server_admit (TrackerdServer *self, const PeerAddress *from);
/* A password, token or certificate was wrong; it counts as many requests. */
void trackerd_server_bad_credentials (TrackerdServer *self, const PeerAddress *from);

/* The ports that were asked for as 0. */
uint16_t trackerd_server_port (const TrackerdServer *self);
uint16_t trackerd_server_management_port (const TrackerdServer *self);
uint16_t trackerd_server_sip_port (const TrackerdServer *self); /* 0 = none */
uint16_t trackerd_server_sips_port (const TrackerdServer *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdServer, trackerd_server_free)
