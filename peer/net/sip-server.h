/* SPDX-License-Identifier: Apache-2.0 */
/* The tracker's side of the SIP binding (peer/net/SIP.md): what comes by SIP becomes requests of RFC 7846, and
 * their responses answers of SIP. */
#pragma once

#include "peer/tracker/digest.h"
#include "peer/tracker/message.h"

typedef struct NetSipServer NetSipServer;

typedef struct {
  /* Always an answer, which is freed here. from: the connection's other end. */
  TrackerResponse *(*answer) (void *data, const TrackerRequest *request, const PeerAddress *from);
  /* May there be one more request from there? Else it is 503. NULL = always. */
  bool (*admit) (void *data, const PeerAddress *from);
  /* Credentials were not right; or NULL. */
  void (*wrong) (void *data, const PeerAddress *from);
  void *data;
  TrackerDigest *digest;     /* borrowed; NULL = anybody may register */
  GRecMutex *lock;           /* held while digest is asked, which others may ask too; or NULL */
  const char *certificate;   /* file, PEM: for sips; borrowed; NULL = there is none */
  const char *key;           /* file, PEM; borrowed */
  uint32_t max_peers;        /* registered; 0 = 100,000 */
  uint32_t max_peers_per_ip; /* 0 = 256; of IPv6 a /64 counts as one. Loopback has no limit. */
  uint32_t max_swarms;       /* of one peer; 0 = 64 */
  uint32_t max_invites;      /* under way, or answered and kept for their ACK; 0 = 4,096 */
  uint32_t max_answers;      /* remembered, for requests that come again; 0 = 131,072 */
  uint32_t max_connections;  /* TCP and TLS; 0 = 1,024 */
  unsigned idle_timeout;     /* s until a connection without a message is closed; 0 = 300 */
} NetSipServerOptions;

/* The times that a registration is granted for: s. */
#define NET_SIP_MIN_EXPIRES 60
#define NET_SIP_MAX_EXPIRES 180

NetSipServer *net_sip_server_new (const NetSipServerOptions *options);
/* Its peers stay in the registry, until their timers run out there. */
void net_sip_server_free (NetSipServer *self);

/* "127.0.0.1:5060", "[::]:5060" (both families). UDP and TCP on one port, or TLS if secure, once; port 0 = any.
 * Returns the port, or 0 with an error that names the address. */
uint16_t net_sip_server_listen (NetSipServer *self, const char *address, bool secure,
                                GError **error);

/* Certificate and key are read again, and tried; false = they cannot be used, and all is as it was. */
bool net_sip_server_load_certificate (NetSipServer *self, GError **error);
/* What was loaded is shown from now on. sofia-sip knows no other way than to close and listen anew: connections by TLS
 * end; registrations and dialogs, which are not theirs, stay. */
void net_sip_server_use_certificate (NetSipServer *self);
/* What was loaded is not used after all: the copy of the key that waits on the disk is removed. */
void net_sip_server_drop_certificate (NetSipServer *self);

typedef struct {
  uint64_t registers, invites, infos, byes, options, others; /* requests */
  uint64_t challenged;                                       /* answered with 401 */
  uint64_t wrong;                                            /* credentials that were not right */
  uint64_t malformed;   /* messages that were not SIP's, or answered with 400 */
  uint64_t refused;     /* over a limit: answered with 503 */
  uint64_t repeated;    /* requests that came again */
  uint64_t unconfirmed; /* joins that were undone, since no ACK came */
  uint64_t closed;      /* connections, over the limit */
  uint32_t peers, dialogs, pending, connections; /* now; pending: INVITEs without ACK */
} NetSipServerStats;
void net_sip_server_stats (NetSipServer *self, NetSipServerStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetSipServer, net_sip_server_free)
