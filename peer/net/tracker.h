/* SPDX-License-Identifier: Apache-2.0 */
/* Turns tracker sessions (peer/tracker/session.h) over HTTP or HTTPS: one of these for each swarm
 * that we are in, with all its trackers (RFC 7846). */
#pragma once

#include "peer/engine.h"
#include "peer/net/credentials.h"

#include <gio/gio.h>

typedef struct NetTracker NetTracker;

/* Certificates of membership (RFC 7574, 12.2.2), not checked: of the peer at address, or our own where
 * that is NULL. The tracker must not be freed in here. */
typedef void (*NetTrackerCertificateFunc) (const PeerAddress *address, const uint8_t *bytes,
                                           size_t n, gpointer data);

/* The swarm of the engine that we are in now, of which the tracker is to hear; NULL = none. uploaded_before: 0,
 * to be set to the bytes that went out in swarms of the same content that we have left since. Asked before each
 * request; the tracker must not be freed in here. */
typedef const PeerSwarm *(*NetTrackerSwarmFunc) (uint64_t *uploaded_before, gpointer data);

typedef struct {
  const char *const *uris;     /* NULL-terminated */
  const char *swarm_id;        /* hex */
  bool seeder;                 /* JOIN as SEEDER, else LEECH */
  uint16_t port;               /* where our peer protocol listens */
  bool allow_plain;            /* http: also to addresses that are neither loopback nor private */
  unsigned timeout_ms;         /* for a whole exchange; 0 = 10,000 */
  GTlsDatabase *trust;         /* NULL = the system's */
  NetCredentials *credentials; /* NULL = none; referenced */
  NetTrackerCertificateFunc certificate; /* NULL = none are asked for */
  const PeerEngine *engine;              /* NULL = nothing is told of it; must outlive this */
  NetTrackerSwarmFunc swarm;             /* with an engine */
} NetTrackerOptions;

/* Peers that a tracker named: those that must not be contacted (unusable; private ones from a
 * tracker that is itself on no private address; ports below 1024; ourselves) are left out. */
typedef void (*NetTrackerPeersFunc) (const PeerAddress *peers, size_t n, gpointer data);

/* Is this the address of a tracker that net_tracker_new() would take? The error says why not. */
bool net_tracker_check (const char *uri, bool allow_plain, GError **error);

/* Begins to join at once. NULL with an error if no URI can be used; it says which and why. */
NetTracker *net_tracker_new (const NetTrackerOptions *options, NetTrackerPeersFunc func,
                             gpointer data, GError **error);
/* Leaves, in the background: LEAVE is sent and given 2 s, nobody waits for it... */
void net_tracker_free (NetTracker *self);
/* ...unless the process ends: this one runs the main context until all LEAVEs are out, at most
 * timeout_ms. */
void net_tracker_flush (unsigned timeout_ms);

/* More peers are wanted: FIND, now if the last answer is older than a few seconds, else soon. */
void net_tracker_find (NetTracker *self);
/* The machine has slept, so they may have forgotten us: they are told that we are here, at once. */
void net_tracker_hurry (NetTracker *self);
/* So many chunks more came too late, or not at all (RFC 6972, OAM.REQ-3). */
void net_tracker_late (NetTracker *self, uint64_t chunks);

typedef struct {
  bool joined; /* at one of the trackers at least */
  uint64_t requests, failures, refused_peers;
  char *last_error; /* NULL, or what went wrong last; owned by the tracker */
} NetTrackerStatus;
void net_tracker_status (const NetTracker *self, NetTrackerStatus *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetTracker, net_tracker_free)
