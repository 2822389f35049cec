/* SPDX-License-Identifier: Apache-2.0 */
/* One remote peer in one swarm: the handshake (RFC 7574, 3.1.1), what it has, what we asked of it,
 * what it asked of us, what is in flight to it, and what is to be said to it. Internal to the
 * engine: swarm.c and sender.c work on its fields; nobody else sees it. */
#pragma once

#include "peer/event.h"
#include "peer/exchange.h"
#include "peer/held.h"
#include "peer/integrity.h"
#include "peer/ledbat.h"
#include "peer/limit.h"
#include "peer/trace.h"
#include "peer/wire.h"

typedef enum {
  PEER_CHANNEL_INITIATING, /* datagram 1 is out */
  PEER_CHANNEL_ANSWERING,  /* datagram 2 is out; the address is not proven */
  PEER_CHANNEL_OPEN,
  PEER_CHANNEL_CLOSED, /* says goodbye if it can, then it is freed */
} PeerChannelState;

/* A chunk that was sent and not acknowledged. */
typedef struct {
  uint64_t chunk;
  int64_t sent;   /* us */
  uint32_t bytes; /* of the datagram */
  bool again;     /* sent before: no round-trip time can be told from it (Karn) */
  bool lost;
  PeerRange proves; /* chunks sent since that rest on hashes which went with it */
} PeerFlight;

/* A chunk that was lost, and hashes with it that others rest on. */
typedef struct {
  PeerRange proves;
  uint64_t chunk;
  int64_t sent, found; /* us */
  int64_t mended;      /* us: when it was acknowledged after all; 0 = not yet */
} PeerLostProof;

#define PEER_LOST_PROOFS 32 /* the last ones */

/* A chunk that was asked for. */
typedef struct {
  uint64_t chunk;
  int64_t at;        /* us */
  int64_t overtaken; /* us: when something was answered that was asked for later; 0 = not yet */
  int64_t doubled;   /* us: when it was urgent, and somebody else was sought to be asked too */
} PeerAsk;

typedef struct {
  uint64_t chunk;
  uint64_t delay; /* us, one-way, modulo 2^64 */
} PeerAck;

/* What uploads.c knows of a channel. */
typedef struct {
  bool in_line;     /* waits for its turn... */
  bool turn;        /* ...which has come */
  int64_t waits;    /* us: since when */
  double debt;      /* bytes, below zero: what the last turn was exceeded by */
  PeerLimit pace;   /* by the bitrate of the content */
  size_t counted;   /* bytes of its flight that are counted in that of all channels */
  int64_t at;       /* us: when the pace allows more */
  int64_t asked_at; /* us: the last REQUEST; 0 = none yet */
  double got;       /* bytes/s that they bring us, at got_at */
  int64_t got_at;   /* us */
  bool out;         /* choked, since there is not enough for all */
  int64_t since;    /* us: when that last changed */
} PeerUpload;

typedef struct {
  PeerSwarm *swarm;
  PeerAddress address;
  uint32_t local, remote; /* channel IDs; remote 0 = not known yet */
  PeerChannelState state;
  bool initiator; /* we began */
  bool live;

  int64_t created, opened, last_received, last_sent; /* us */
  unsigned unanswered;                               /* datagrams sent since the last one came */
  unsigned tries;         /* handshakes sent: first datagrams, or answers */
  size_t unproven_budget; /* bytes that may still go to an address that is not proven */
  int64_t handshake_rtt;  /* us; 0 = not known */
  unsigned quiet;         /* how many times longer than usual it may be silent, log2 */
  bool misfit;            /* its HANDSHAKE means another swarm */
  bool hello;             /* a datagram is owed, even an empty one */
  bool queued;            /* in the engine's ready queue */
  int64_t deadline;       /* us; initiating: when its first datagram is said again */
  int64_t look_at;        /* us; open: when its timers are looked at */

  /* theirs */
  uint64_t window; /* chunks; their discard window (section 7.9); UINT64_MAX = all */
  uint8_t supported[32];
  PeerStatus status; /* what they told of themselves */
  bool takes_status; /* they set its bit */
  bool status_owed;
  PeerChunks *have;
  uint64_t have_end; /* one past the newest chunk they told of */
  uint64_t told_end; /* one past the run that they told of last, when it was new... */
  int64_t told_at;   /* us: ...and when that was */

  /* what they asked of us, in order */
  GArray *requests; /* PeerRange; from requests_first on */
  guint requests_first;
  PeerChunks *waiting; /* the chunks of requests that are still wanted */
  PeerChunks *resend;  /* asked for again, or lost: their hashes must not be taken for known */
  PeerUpload upload;
  bool choking;         /* we choke them */
  bool unchoked;        /* and have not heard a REQUEST since: UNCHOKE may have been lost */
  bool choke_owed;      /* CHOKE or UNCHOKE is to be said */
  int64_t choked_until; /* us */

  /* what is in flight to them */
  GArray *flights; /* PeerFlight, in the order of sending; from flights_first on */
  guint flights_first;
  PeerChunks *in_flight;
  size_t flight_bytes;
  int64_t newest_acked; /* us: when the newest acknowledged chunk was sent */
  PeerLostProof lost_proofs[PEER_LOST_PROOFS];
  unsigned n_lost_proofs;
  unsigned patient;      /* times that the slack for late acknowledgements is longer */
  int64_t newest_rtt;    /* us: that it took; 0 = not known */
  int64_t last_progress; /* us: when something was acknowledged, or the flight began */
  bool probe;            /* one datagram may go beyond the window */
  unsigned probes;       /* that went since something was acknowledged */
  PeerLedbat ledbat;
  PeerPath path;

  /* what we asked of them */
  GArray *asks; /* PeerAsk, in the order of asking; from asks_first on */
  guint asks_first;
  PeerChunks *unproven;         /* came without their hashes, and were asked for again */
  PeerChunks *reasked;          /* asked of them before: an answer tells nothing of its latency */
  bool learned;                 /* hashes came with this datagram */
  guint next_held;              /* which of them is judged next */
  PeerHeld held;                /* came before their hashes */
  double quota;                 /* chunks that may be asked for at once */
  int64_t latency, latency_var; /* us from asking to having; 0 = not known */
  int64_t latency_min[2];       /* us: the least of this while, and of the one before; 0 = none */
  int64_t latency_since;        /* us: when this while began */
  int64_t eased_at;             /* us: when the quota was last cut, since it made a queue */
  double eased_from;            /* what it was then */
  double rate;                  /* bytes/s that they bring */
  int64_t rate_at;              /* us */
  size_t rate_bytes;            /* since rate_at */
  unsigned misses;              /* timeouts in a row */
  int64_t answered_at;          /* us: the last chunk that came */
  int64_t missed_at;            /* us: the last of them */
  int64_t avoid_until;      /* us: slow, or claimed what they do not have (12.6.2); 0 = not now */
  unsigned avoided;         /* times, since a chunk came that was believed */
  uint64_t brought, pushed; /* bytes of chunks: asked for, and not */
  bool sounded;             /* asked where the channel is */
  bool choked;              /* they choke us */

  /* to be said */
  PeerChunks *announce; /* HAVE */
  PeerChunks *told;     /* what a source has told them: not all at once */
  PeerChunks *given;    /* live: sent to them, and not lost, as far as we know; else NULL */
  double again;         /* of it, so many chunks may be given once more */
  double passes; /* of what a source gave them, the share that they pass on, as far as it is seen */
  bool boasts;   /* they told a source that they had what nobody can have */
  int64_t announce_at;
  GArray *acks;      /* PeerAck */
  GArray *said_acks; /* PeerAck, of the last datagram; said once more, should that be lost */
  int64_t ack_at;
  GArray *to_request, *to_cancel; /* PeerRange */

  uint64_t first_munro;  /* first chunk of the first munro that we sent them (6.1.2.4) */
  uint64_t munro_sent;   /* first chunk of the newest munro that we sent them */
  int64_t munro_sent_at; /* us */
  uint64_t munro_heard;  /* one past the newest munro that they sent us */
  int64_t end_sent_at;   /* us: when we told them last that the broadcast is over; 0 = never */
  bool knows_end;        /* they told us */

  PeerPendingHashes *hashes;  /* made when the channel opens */
  PeerSignatures *signatures; /* Sign All: likewise; else NULL */
  double signature_tokens;
  int64_t signature_tokens_at;
  unsigned unknown; /* datagrams with messages of unknown types */
  uint64_t chunks_received;
  PeerExchange exchange;
  bool hearsay; /* we began, since another peer had named it */
} PeerChannel;

PeerChannel *peer_channel_new (PeerSwarm *swarm, const PeerAddress *address, uint32_t local,
                               int64_t now);
void peer_channel_free (PeerChannel *self);
/* The path is proven (3.1.1, steps 6 and 7). */
void peer_channel_open (PeerChannel *self, int64_t now, bool live);

/* --- what they have --- */

/* HAVE and ACK: adds, and slides the window (6.2). false = it would need too many runs, and is
 * ignored. */
bool peer_channel_add_have (PeerChannel *self, PeerRange run);
bool peer_channel_has (const PeerChannel *self, uint64_t chunk);
/* Left of it they have forgotten. */
uint64_t peer_channel_oldest (const PeerChannel *self);

/* --- what they asked of us --- */

/* REQUEST: false = their queue is full; what was too much is dropped. */
bool peer_channel_add_request (PeerChannel *self, PeerRange run);
/* CANCEL, HAVE: returns the number of chunks that were in the queue. */
uint64_t peer_channel_cancel (PeerChannel *self, PeerRange run);
/* How many chunks wait to be sent. */
uint64_t peer_channel_backlog (const PeerChannel *self);
bool peer_channel_next_request (PeerChannel *self, uint64_t *chunk);
/* Likewise, and it stays. */
bool peer_channel_peek_request (const PeerChannel *self, uint64_t *chunk);
/* To the front: it could not be sent now, or was lost. */
void peer_channel_unget_request (PeerChannel *self, uint64_t chunk);

/* --- what is in flight --- */

/* proves: the chunks whose hashes go with it; empty = none do. */
void peer_channel_sent (PeerChannel *self, int64_t now, uint64_t chunk, size_t bytes,
                        PeerRange proves);
size_t peer_channel_window_left (const PeerChannel *self); /* bytes */
/* ACK (8.7): frees what is in flight, feeds LEDBAT. Returns how many chunks it freed. */
unsigned peer_channel_acked (PeerChannel *self, int64_t now, PeerRange run, uint64_t delay);
/* Loss recovery, apart from LEDBAT's reaction to it: what was sent a round trip and a little
 * before something that was acknowledged is lost and goes to the front of their queue; but what
 * rests on hashes that were lost with another chunk has perhaps arrived, and cannot be acknowledged
 * before it is proven (8.7), so it waits for that one, a second at most; nothing
 * acknowledged for a congestion timeout: all of it. Returns how many were lost. Before the timeout
 * the newest is sent once more, beyond the window: the acknowledgement that it brings tells of the
 * others, should theirs have been lost. */
unsigned peer_channel_find_lost (PeerChannel *self, int64_t now);
int64_t peer_channel_loss_deadline (const PeerChannel *self);
/* They asked again for what is in flight: it, or its hashes, did not arrive. It was asked for before
 * all that waits, so it goes to the front of their queue, and counts as a loss. false = it is in
 * flight for less than a round trip, so it may still arrive: a REQUEST said twice sends nothing
 * twice (8.2), and does not get past the window. */
bool peer_channel_not_arrived (PeerChannel *self, int64_t now, uint64_t chunk);

/* --- what we asked of them --- */

void peer_channel_ask (PeerChannel *self, int64_t now, PeerRange run);
/* The REQUEST of an ask may have been lost: it is said once more, the ask stays as it is. */
void peer_channel_say_again (PeerChannel *self, uint64_t chunk);
bool peer_channel_has_ask (const PeerChannel *self, uint64_t chunk);
guint peer_channel_n_asks (const PeerChannel *self);
/* The chunk came, from them: measures. true = it had been asked of them. */
bool peer_channel_answered (PeerChannel *self, int64_t now, uint64_t chunk, size_t bytes);
/* It was believed: whoever was slow or absent is neither any more. */
void peer_channel_proved (PeerChannel *self, int64_t now);
/* It came from somebody else, or is no longer wanted. true = it had been asked of them. */
bool peer_channel_unask (PeerChannel *self, uint64_t chunk);
/* How long an answer may take: us. */
int64_t peer_channel_patience (const PeerChannel *self);
/* Takes the oldest ask if it is over its time; false = none is. Requests are answered in their order
 * (8.10 leaves it open, but it is what everybody does), so one that was overtaken was lost on the
 * way, or its answer was. */
bool peer_channel_expired_ask (PeerChannel *self, int64_t now, uint64_t *chunk);
/* The next of the chunks before urgent that could have come by now, each once in an answer's time.
 * The ask stays. */
bool peer_channel_slow_ask (PeerChannel *self, int64_t now, uint64_t urgent, uint64_t *chunk);
/* The next that was asked for by then and is not doubled; *at, from 0 on, is where to look. */
bool peer_channel_old_ask (const PeerChannel *self, int64_t by, guint *at, uint64_t *chunk);
/* Nothing was answered for as long as an answer may take. */
void peer_channel_missed (PeerChannel *self, int64_t now);
void peer_channel_forget_asks (PeerChannel *self);

bool peer_channel_supports (const PeerChannel *self, PeerMessageType type);
/* The earliest of its timers. */
int64_t peer_channel_next_deadline (const PeerChannel *self, int64_t keep_alive);
