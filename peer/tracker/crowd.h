/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in which swarm, in as few bytes as that takes: about 220 for a peer in one swarm. Nothing
 * here costs more with more peers. registry.c says what may happen to them, select.c whom to name. */
#pragma once

#include "peer/tracker/name.h"
#include "peer/tracker/pool.h"
#include "peer/tracker/table.h"

/* A peer's own addresses that are kept and named. */
#define CROWD_MAX_ADDRESSES 4
/* A large swarm's members lie in so many rooms for each mode, by their place: neighbours are found
 * without looking at the others. */
#define CROWD_ROOMS 32

/* From where it comes, and so who can come to it. */
typedef enum { CROWD_SCOPE_PUBLIC, CROWD_SCOPE_PRIVATE, CROWD_SCOPE_LOOPBACK } CrowdScope;

typedef struct CrowdPeer CrowdPeer;
typedef struct CrowdMember CrowdMember;
typedef struct CrowdSwarm CrowdSwarm;

/* What few members have. */
typedef struct {
  GBytes *certificate; /* of its membership at certified; NULL = none is kept */
  PeerAddress certified;
  int64_t renew;        /* us */
  TrackerRange *chunks; /* that it says it has */
  uint32_t n_chunks;    /* 0 = it did not say */
} CrowdExtra;

struct CrowdMember {
  CrowdSwarm *swarm;
  CrowdMember *next; /* of the same peer */
  CrowdExtra *extra; /* NULL = none */
  uint64_t uploaded, downloaded;
  uint32_t index; /* of the peer in its room */
  uint32_t seeder : 1;
  uint32_t late : 31; /* chunks, as it reports */
};

/* What few peers have. */
typedef struct {
  char *account; /* GRefString; NULL = it has shown none */
  uint8_t n_addresses;
  TrackerAddress addresses[CROWD_MAX_ADDRESSES - 1]; /* beside the one at from */
} CrowdMore;

/* Two lines of a cache: in the first is all that a choice among many looks at. */
struct CrowdPeer {
  uint8_t from[16]; /* IP */
  TrackerName id;
  uint32_t upload; /* kbit/s; 0 = unsaid */
  uint32_t since;  /* s of the registry's time: on line; 0 = unsaid */
  uint32_t asn;
  uint16_t port;   /* where it listens at from; 0 = it did not say */
  uint16_t place;  /* in the network */
  uint16_t links;  /* peers that it is connected with */
  uint8_t battery; /* percent */
  uint8_t mobile : 1, lossy : 1, nat : 2, scope : 2, from_v4 : 1;
  TrackerEntry entry;       /* by id and from */
  CrowdPeer *older, *newer; /* in one of the two queues */
  CrowdMember *members;
  CrowdMore *more;    /* NULL = none */
  int64_t heard;      /* us */
  uint32_t change;    /* pending: its index among the changes */
  uint32_t connected; /* s of the registry's time: registered */
  uint32_t priority;
  uint8_t n_members;                           /* at most 64 */
  uint8_t v4 : 1, v6 : 1;                      /* families that it can reach */
  uint8_t type : 2, connection : 2, ppspp : 1; /* of the address at from */
  uint8_t tracking : 1, remote : 1;            /* remote: another tracker told us of it */
  uint8_t pending : 1, moved : 1;              /* stores are to be told; of more than numbers */
};

typedef struct {
  CrowdPeer **peers;
  uint32_t n, room;
} CrowdRoom;

typedef struct {
  uint64_t uploaded, downloaded; /* bytes */
  uint64_t late;                 /* chunks */
} CrowdTotals;

struct CrowdSwarm {
  TrackerEntry entry; /* by id */
  char *id;
  uint64_t number;  /* that no other swarm has had */
  CrowdRoom *rooms; /* leeches' first; n_rooms for each mode */
  uint32_t n_rooms;
  uint32_t members, seeders;
  CrowdTotals now;   /* of those who are in it, as they report */
  CrowdTotals total; /* of all who ever were */
};

typedef struct {
  CrowdPeer *oldest, *newest;
} CrowdQueue;

typedef struct {
  TrackerTable swarms, peers, hosts;
  TrackerPool peer_pool, member_pool, host_pool;
  CrowdQueue registered, tracking; /* the least recently heard of first */
  uint64_t numbers;                /* of swarms, so far */
  uint32_t certificates;
  uint32_t ranges;   /* of chunks, kept */
  CrowdTotals total; /* of all who ever were in a swarm */
} TrackerCrowd;

void tracker_crowd_init (TrackerCrowd *self);
void tracker_crowd_clear (TrackerCrowd *self);

/* Who shares a limit: an IPv4 address, or the /64 that one subscriber has. */
uint32_t tracker_crowd_from_host (const TrackerCrowd *self, const uint8_t from[16]);

CrowdPeer *tracker_crowd_find (const TrackerCrowd *self, const char *id, const uint8_t from[16]);
/* In the queue of those who are not tracked yet. There must be none of that id from there. */
CrowdPeer *tracker_crowd_add (TrackerCrowd *self, const char *id, const uint8_t from[16],
                              uint16_t place, int64_t now);
/* It leaves its swarms. */
void tracker_crowd_remove (TrackerCrowd *self, CrowdPeer *peer);
/* Its timer starts anew, in the queue of that state. */
void tracker_crowd_hear (TrackerCrowd *self, CrowdPeer *peer, bool tracking, int64_t now);
void tracker_crowd_move (TrackerCrowd *self, CrowdPeer *peer, uint16_t place);

CrowdSwarm *tracker_crowd_swarm (const TrackerCrowd *self, const char *swarm_id);
CrowdMember *tracker_crowd_member (const CrowdPeer *peer, const char *swarm_id);
/* Of a peer that is in the swarm. */
CrowdMember *tracker_crowd_membership (const CrowdPeer *peer, const CrowdSwarm *swarm);
/* Makes the swarm if there is none. The peer must not be in it yet. */
CrowdMember *tracker_crowd_join (TrackerCrowd *self, CrowdPeer *peer, const char *swarm_id,
                                 TrackerMode mode);
void tracker_crowd_leave (TrackerCrowd *self, CrowdPeer *peer, CrowdMember *member);
void tracker_crowd_set_mode (CrowdPeer *peer, CrowdMember *member, TrackerMode mode);
/* Numbers of its bytes and late chunks, as it counts them since its join. */
void tracker_crowd_count (TrackerCrowd *self, CrowdMember *member, uint64_t uploaded,
                          uint64_t downloaded, uint32_t late);

CrowdExtra *tracker_crowd_extra (CrowdMember *member); /* made, if there is none */
void tracker_crowd_forget_certificate (TrackerCrowd *self, CrowdMember *member);
/* Copies them. */
void tracker_crowd_set_chunks (TrackerCrowd *self, CrowdMember *member, const TrackerRange *chunks,
                               uint32_t n);

CrowdMore *tracker_crowd_more (CrowdPeer *peer); /* likewise */
/* Where it listens: at from, then elsewhere. */
unsigned tracker_crowd_addresses (const CrowdPeer *peer, TrackerAddress out[CROWD_MAX_ADDRESSES]);
void tracker_crowd_set_addresses (CrowdPeer *peer, const TrackerAddress *addresses, unsigned n);

/* The room where a swarm keeps its members of that mode and place; others may lie there too. */
const CrowdRoom *tracker_crowd_room (const CrowdSwarm *swarm, bool seeders, uint16_t place);
/* Each has one index below seeders, or members - seeders. */
CrowdPeer *tracker_crowd_nth (const CrowdSwarm *swarm, bool seeders, uint32_t index);
