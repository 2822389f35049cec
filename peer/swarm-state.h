/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a swarm: what swarm.c, peers.c, sender.c and engine.c share. Nobody else
 * includes it. */
#pragma once

#include "peer/channel.h"
#include "peer/core.h"
#include "peer/picker.h"
#include "peer/store.h"

/* An address that we were told of. */
typedef struct {
  PeerAddress address;
  int64_t next_try; /* us */
  unsigned failures;
  bool was_open;           /* it has been one of our peers */
  bool hearsay;            /* another peer named it, and no tracker or link */
  GBytes *certificate;     /* of its membership, checked; or NULL */
  int64_t certificate_end; /* us, Unix time */
} PeerCandidate;

#define PEER_FIRST_COPIES 4 /* peers that a source tells of a unit at once, at most */

/* Chunks that a source has told only a few of, and when it tells all. */
typedef struct {
  PeerRange chunks;
  int64_t due;                       /* us: the next step */
  unsigned steps;                    /* that are over */
  uint32_t first[PEER_FIRST_COPIES]; /* channels that were told first... */
  unsigned n_first;
  unsigned kept; /* steps since one of them has it */
  bool judged;   /* ...and it is known whether they have passed it on */
} PeerWithheld;

/* A unit of chunks of which a part is here, and when that is told. */
typedef struct {
  uint64_t first;
  int64_t due; /* us */
} PeerPart;

/* From where the bitrate is measured. */
typedef struct {
  uint64_t chunk;
  int64_t at; /* us, Unix time; 0 = from nowhere yet */
} PeerPace;

struct PeerSwarm {
  PeerCore *core;
  PeerContent content;
  PeerWireFormat format;
  PeerStore *store;
  PeerIntegrity *integrity;
  bool live, source;
  bool sign_all;           /* live, and each chunk has a signature of its own (6.1.1) */
  uint64_t discard_window; /* chunks */
  uint32_t max_peers;
  uint64_t salt;

  GPtrArray *channels; /* PeerChannel, owned */
  GArray *candidates;  /* PeerCandidate */
  GHashTable *banned;  /* PeerAddress -> int64_t us until */
  GHashTable *strikes; /* PeerAddress -> unsigned: times that it was banned, less one */
  bool reap;           /* a channel is closed and waits to be freed */
  PeerGossip gossip;   /* exchange.h */

  PeerChunks *have;      /* verified, in the store */
  PeerChunks *forked;    /* munros with two signatures: the first is kept, none told of or given */
  PeerChunks *requested; /* asked of somebody */
  GArray *wants;         /* PeerWant */
  double doubles;        /* asks of urgent chunks that may be said twice now */
  bool pick;             /* something changed for the picker */
  int64_t picked_at;     /* us */
  int64_t pick_after;    /* us: no pick before, by the download limit or for the store's sake */
  unsigned unkept;       /* times in a row that the store failed, and was left alone for a while */
  uint64_t late_told;    /* one past the newest chunk that LATE was told of */
  int64_t need_at;       /* us: when NEED_PEERS may be told next */
  int64_t connect_at;    /* us: when it is looked whom to connect with, if nothing changes */

  uint64_t begun;      /* source: the first that it makes itself; older ones are of one before it */
  uint64_t next_chunk; /* source: the number of the next one */
  uint64_t open_first; /* source: first chunk of the subtree that is not signed yet... */
  PeerChunks *open;    /* ...and what the store has kept of it */
  GArray *withheld;    /* PeerWithheld, in the order of due */
  GArray *parts;       /* PeerPart */
  uint8_t *copies;     /* live: how often each of the last PEER_COPIES chunks was sent by us */
  PeerRange edge;      /* newest munro... */
  int64_t edge_at;     /* us: ...and when it became known */
  bool size_told, length_told;

  PeerLimit upload, download; /* datagrams that go out; chunks that come */
  PeerPace pace;
  double bitrate;    /* bytes/s, live, as the munros tell it; 0 = not known */
  bool giving;       /* somebody asks for chunks */
  bool choosing;     /* there is not enough for all of them */
  unsigned n_heard;  /* channels that were not silent when that was looked at last... */
  int64_t choose_at; /* us: ...and when it is looked at next */

  uint64_t downloaded, uploaded; /* bytes */
  uint64_t offered;              /* bytes that came another way */
  uint64_t rate_down_mark, rate_up_mark;
  double rate_down, rate_up; /* bytes/s */
  int64_t rate_at;
};

#define PEER_COPIES 8192 /* chunks; of a larger number it is their number modulo this */

#define PEER_KEEP_ALIVE_LIVE 500000     /* us; a silent source is noticed after a second or two */
#define PEER_KEEP_ALIVE_STATIC 20000000 /* us; below the 30 s after which NATs forget */

/* --- what the engine asks of a swarm; swarm.c, taking.c --- */
PeerSwarm *peer_swarm_new (PeerCore *core, const PeerContent *content, PeerStore *store,
                           PeerIntegrity *integrity, uint64_t discard_window, bool source,
                           uint32_t max_peers);
void peer_swarm_free (PeerSwarm *self);
/* A datagram for this channel; the reader stands behind the channel ID. */
void peer_swarm_receive (PeerSwarm *self, PeerChannel *channel, PeerReader *datagram);
/* The messages of a first datagram that follow its HANDSHAKE. */
void peer_swarm_receive_messages (PeerSwarm *self, PeerChannel *channel, PeerReader *datagram);
/* Timers, connections, requests. Returns when the next tick is due. */
int64_t peer_swarm_tick (PeerSwarm *self);
/* us: when what is missing is asked for next, or PEER_NEVER. */
int64_t peer_swarm_next_pick (const PeerSwarm *self);
void peer_swarm_want (PeerSwarm *self, const PeerWant *wants, size_t n);
PeerIntegrityResult peer_swarm_offer (PeerSwarm *self, PeerPendingHashes *hashes, uint64_t chunk,
                                      const uint8_t *bytes, size_t n);
/* Chunks that are to go, or that the store has lost. */
void peer_swarm_drop (PeerSwarm *self, PeerRange run);
uint64_t peer_swarm_append (PeerSwarm *self, const uint8_t *bytes, size_t n);
bool peer_swarm_sign (PeerSwarm *self, PeerKey *key);
bool peer_swarm_end (PeerSwarm *self, PeerKey *key);
