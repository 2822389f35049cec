/* SPDX-License-Identifier: Apache-2.0 */
/* What peer and tracker say to each other (RFC 7846, section 3), in no encoding.
 * json.c carries it; session.c and registry.c mean it. */
#pragma once

#include "peer/address.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
  TRACKER_REQUEST_CONNECT,
  TRACKER_REQUEST_FIND,
  TRACKER_REQUEST_STAT_REPORT,
} TrackerRequestType;

typedef enum { TRACKER_ACTION_JOIN, TRACKER_ACTION_LEAVE } TrackerAction;
typedef enum { TRACKER_MODE_SEEDER, TRACKER_MODE_LEECH } TrackerMode;

typedef enum {
  TRACKER_ADDRESS_HOST,
  TRACKER_ADDRESS_REFLEXIVE,
  TRACKER_ADDRESS_PROXY,
} TrackerAddressType;

typedef enum {
  TRACKER_CONNECTION_UNSAID,
  TRACKER_CONNECTION_WIRED,
  TRACKER_CONNECTION_WIRELESS,
} TrackerConnection;

typedef enum {
  TRACKER_NAT_UNSAID,
  TRACKER_NAT_NO_NAT,
  TRACKER_NAT_STUN,
  TRACKER_NAT_TURN
} TrackerNat;

/* Section 4.3; the values are those of the wire. */
typedef enum {
  TRACKER_STATUS_OK = 0,
  TRACKER_STATUS_BAD_REQUEST = 1,
  TRACKER_STATUS_UNSUPPORTED_VERSION = 2,
  TRACKER_STATUS_FORBIDDEN = 3,
  TRACKER_STATUS_INTERNAL_ERROR = 4,
  TRACKER_STATUS_UNAVAILABLE = 5,
  TRACKER_STATUS_UNAUTHORIZED = 6,
} TrackerStatus;

/* Of a certificate of membership (RFC 7574, 8.13), bytes of DER. */
#define TRACKER_MAX_CERTIFICATE 1460
/* Longer ones are malformed. A swarm ID may be the public key of a live swarm, in hex. */
#define TRACKER_MAX_ID 128
#define TRACKER_MAX_SWARM_ID 2200
/* Of one message: actions, statistics, results, addresses. */
#define TRACKER_MAX_LIST 64
/* Ranges of chunks that one swarm of a request names. */
#define TRACKER_MAX_RANGES 32
/* Peers that a response names (section 3.2.2: "should be less than 30"). */
#define TRACKER_MAX_PEERS 30

/* Section 3.2.4. */
typedef struct {
  PeerAddress address;
  TrackerAddressType type;
  uint32_t priority; /* larger is better */
  TrackerConnection connection;
  uint32_t asn; /* 0 = unsaid */
  bool ppspp;   /* says that its peer protocol is RFC 7574's */
} TrackerAddress;

/* Section 3.2.2: how many peers are wanted, and what the one who asks is like. */
typedef struct {
  bool said; /* false = the rest has no meaning */
  uint32_t peer_count;
  TrackerNat nat;
  uint32_t links;            /* 0 = unsaid, as in the next two */
  int64_t online_time;       /* us */
  uint64_t upload_bandwidth; /* bytes/s */
} TrackerPeerNum;

/* Optional members of ours: how fit the peer is to serve others. */
typedef struct {
  bool said;       /* false = the rest has no meaning */
  uint8_t battery; /* percent left; TRACKER_BATTERY_UNSAID = on mains, or unsaid */
  uint8_t loss;    /* percent of its datagrams that are lost */
  bool mobile;     /* its traffic costs its owner: a phone's network */
} TrackerCondition;
#define TRACKER_BATTERY_UNSAID 255

/* A run of chunks, half-open (RFC 6972, PPSP.TP.REQ-3). */
typedef struct {
  uint64_t first, end;
} TrackerRange;

/* One swarm of a request; the request's type says which fields count. */
typedef struct {
  char *swarm_id;
  TrackerAction action;          /* CONNECT */
  TrackerMode mode;              /* CONNECT */
  uint64_t uploaded, downloaded; /* STAT_REPORT; bytes */
  uint64_t bandwidth;            /* STAT_REPORT; upload to spare, bytes/s */
  uint32_t links;                /* STAT_REPORT */
  uint32_t late;                 /* STAT_REPORT; chunks that came too late; an extension */
  GArray *chunks; /* TrackerRange: that are wanted (FIND), that it has (STAT_REPORT); NULL = unsaid;
                   * an extension */
} TrackerSwarm;

typedef struct {
  TrackerRequestType type;
  char *transaction_id;
  char *peer_id;
  char *account; /* whom the transport has proven this to be; NULL = nobody in particular */
  TrackerPeerNum peer_num;    /* CONNECT, FIND */
  TrackerCondition condition; /* CONNECT, STAT_REPORT; an extension */
  GArray *addresses;          /* TrackerAddress: where this peer listens; CONNECT */
  GPtrArray *swarms;          /* TrackerSwarm; FIND names exactly one */
  bool certificates;          /* wants certificates of membership: RFC 7574, 12.2.2; an extension */
} TrackerRequest;

/* A peer of a list; who has several addresses is listed as often. */
typedef struct {
  char *peer_id;
  TrackerAddress address;
  GBytes *certificate; /* of its membership, at that address; or NULL */
} TrackerPeer;

typedef struct {
  char *swarm_id;
  bool failed;
  GPtrArray *peers;    /* TrackerPeer; NULL = no list, which is not an empty one */
  GBytes *certificate; /* of the membership of the one who asks; or NULL */
} TrackerResult;

typedef struct {
  TrackerStatus status;
  char *transaction_id;   /* of the request it answers; may be "" where that could not be read */
  TrackerAddress seen_as; /* address.port 0 = the tracker did not say */
  GPtrArray *results;     /* TrackerResult, in the order of the request */
} TrackerResponse;

/* Empty lists; transaction_id and peer_id are copied. */
TrackerRequest *tracker_request_new (TrackerRequestType type, const char *transaction_id,
                                     const char *peer_id);
void tracker_request_free (TrackerRequest *self);
/* Returns the new one, which the request owns. */
TrackerSwarm *tracker_request_add_swarm (TrackerRequest *self, const char *swarm_id);

/* Makes the list if there is none. */
void tracker_swarm_add_chunks (TrackerSwarm *self, uint64_t first, uint64_t end);

TrackerResponse *tracker_response_new (TrackerStatus status, const char *transaction_id);
void tracker_response_free (TrackerResponse *self);
/* Returns the new one, which the response owns. */
TrackerResult *tracker_response_add_result (TrackerResponse *self, const char *swarm_id,
                                            bool failed);
/* Makes the list if there is none. address NULL = the list only. Returns the new one, which the
 * result owns, or NULL. */
TrackerPeer *tracker_result_add_peer (TrackerResult *self, const char *peer_id,
                                      const TrackerAddress *address);

/* Between 1 and max bytes of UTF-8 without control characters. */
bool tracker_id_is_valid (const char *id, size_t max);

/* A certificate of membership in Base64 (RFC 4648, 4), in whatever carries it. NULL = it is none, or too
 * large. The caller frees. */
GBytes *tracker_certificate_read (const char *text);
char *tracker_certificate_write (GBytes *certificate);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerRequest, tracker_request_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerResponse, tracker_response_free)
