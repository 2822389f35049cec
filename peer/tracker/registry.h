/* SPDX-License-Identifier: Apache-2.0 */
/* The tracker's side of RFC 7846: who is in which swarm (sections 2.3 and 4.1). It knows no
 * encoding, no socket and no clock; the time is monotonic microseconds, given with each call.
 *
 * Our defaults, which no document gives: */
#pragma once

#include "peer/random.h"
#include "peer/tracker/message.h"
#include "peer/tracker/places.h"

#define TRACKER_INIT_TIMEOUT (30 * G_USEC_PER_SEC)     /* registered, but in no swarm yet */
#define TRACKER_TRACK_TIMEOUT (180 * G_USEC_PER_SEC)   /* without a sign of life: three reports */
#define TRACKER_TRANSACTION_TIME (32 * G_USEC_PER_SEC) /* a CONNECT may be repeated so long */

typedef struct TrackerRegistry TrackerRegistry;

typedef struct {
  PeerRandom random; /* unguessable, save in tests */
  void *random_data;
  uint32_t max_swarms;            /* 0 = 100,000 */
  uint32_t max_peers;             /* 0 = 1,000,000 */
  uint32_t max_peers_per_ip;      /* 0 = 256; of IPv6 a /64 counts as one. Loopback has no limit. */
  uint32_t max_peers_per_account; /* 0 = 256 */
  uint32_t max_swarms_per_peer;   /* 0 = 64 */
  uint32_t max_transactions;      /* remembered; 0 = 65,536 */
  /* The tracker as certification authority (RFC 7574, 12.2.2): a certificate that says that the swarm
   * has a peer at that address. *renew: us from now until there should be another. The caller frees;
   * NULL = there can be none. NULL for the function = this tracker certifies nobody. */
  GBytes *(*certify) (void *data, const char *swarm_id, const PeerAddress *address, int64_t *renew);
  void *certify_data;
  uint32_t max_certificates; /* kept, to be given to others; 0 = 100,000 */
  uint32_t max_ranges;       /* of chunks that peers say they have; 0 = 1,000,000 */
  bool changes;              /* are handed out: tracker_registry_next_change () */
  bool blind;                /* name peers at random, wherever they are */
} TrackerRegistryOptions;

#define TRACKER_CERTIFICATES_PER_SECOND 500 /* signatures, at most */

TrackerRegistry *tracker_registry_new (const TrackerRegistryOptions *options);
void tracker_registry_free (TrackerRegistry *self);

/* Always an answer; the caller frees it. from: the connection's other end. A peer is known by its
 * ID and that IP: nobody speaks for a peer from elsewhere, and who comes from elsewhere is new. Where
 * its requests have shown an account, nobody without that account speaks for it either. */
TrackerResponse *tracker_registry_answer (TrackerRegistry *self, int64_t now,
                                          const TrackerRequest *request, const PeerAddress *from);

/* Ends the peers whose timers have run out; some of them, if they are many: then the deadline has
 * passed already. */
void tracker_registry_expire (TrackerRegistry *self, int64_t now);
/* When the next of them does; INT64_MAX = none. */
int64_t tracker_registry_deadline (const TrackerRegistry *self);

typedef struct {
  uint64_t connects, finds, reports;                /* requests */
  uint64_t errors[TRACKER_STATUS_UNAUTHORIZED + 1]; /* responses by their status */
  uint64_t expired, repeated, refused;              /* peers; transactions; growth over a limit */
  uint64_t foreign;              /* addresses that were not those of the connection */
  uint64_t usurped;              /* requests for a peer of another account */
  uint64_t certified;            /* certificates issued */
  uint64_t uploaded, downloaded; /* bytes, by all who ever were in a swarm, as they report... */
  uint64_t late;                 /* ...and chunks that came too late */
  uint32_t certificates;         /* kept, now */
  uint32_t ranges;               /* of chunks, likewise */
  uint32_t swarms, peers;        /* now */
} TrackerRegistryStats;
void tracker_registry_stats (const TrackerRegistry *self, TrackerRegistryStats *out);

typedef struct {
  const char *swarm_id; /* as long as the registry is not changed */
  uint64_t number;      /* that no other has had: a swarm that nobody is in ends */
  uint32_t seeders, leeches;
  uint64_t uploaded, downloaded; /* by those who are in it now, as they report it */
  uint64_t late;                 /* chunks; likewise */
  uint64_t all_uploaded, all_downloaded, all_late; /* by all who were in it since it began */
} TrackerSwarmInfo;
/* In no particular order; false = stop. */
typedef bool (*TrackerSwarmFunc) (const TrackerSwarmInfo *info, void *data);
void tracker_registry_swarms (const TrackerRegistry *self, TrackerSwarmFunc func, void *data);

/* One peer in one swarm; what it points at lives until func returns. */
typedef struct {
  const char *swarm_id, *peer_id;
  const char *account;             /* NULL = it has shown none */
  const PeerAddress *from;         /* port 0 */
  const TrackerAddress *addresses; /* where it listens */
  unsigned n_addresses;
  TrackerMode mode;
  int64_t connected, heard;      /* us */
  uint64_t uploaded, downloaded; /* as it reports */
  uint32_t late, links;          /* likewise: chunks, peers */
  bool remote;                   /* another tracker told us of it */
} TrackerMemberInfo;
typedef bool (*TrackerMemberFunc) (const TrackerMemberInfo *info, void *data);
/* In no particular order; func: false = stop. Returns false if there is no such swarm. */
bool tracker_registry_members (const TrackerRegistry *self, const char *swarm_id,
                               TrackerMemberFunc func, void *data);
/* Ends those memberships, of all, for which func says false, and the peers that have no other.
 * Returns how many. It looks at each: for a change of what the operator allows, not for each request. */
unsigned tracker_registry_expel (TrackerRegistry *self, TrackerMemberFunc func, void *data);

/* New limits, where not 0; who is over one of them already stays. */
void tracker_registry_limit (TrackerRegistry *self, const TrackerRegistryOptions *options);
/* Those that hold. */
const TrackerRegistryOptions *tracker_registry_options (const TrackerRegistry *self);

/* Where in the network addresses are, from now on; owned; NULL = by prefix alone. */
void tracker_registry_set_places (TrackerRegistry *self, TrackerPlaces *places);

/* For stores (record.h). Appends the next record of what has changed since it was last asked, each
 * peer once; false = nothing is left. Only with options.changes. */
bool tracker_registry_next_change (TrackerRegistry *self, int64_t now, GByteArray *out);
/* Takes a record of a store or another tracker, of that age in us; it is no change, and counts no
 * request. false = malformed, or over a limit. */
bool tracker_registry_apply (TrackerRegistry *self, int64_t now, const uint8_t *bytes, size_t n,
                             int64_t age);
/* All who spoke to us are told of anew. */
void tracker_registry_change_all (TrackerRegistry *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerRegistry, tracker_registry_free)
