/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine tells whoever turns it: a queue of events, which nobody is called back for. */
#pragma once

#include "peer/address.h"
#include "peer/chunks.h"
#include "peer/path.h"

#define PEER_NEVER INT64_MAX

/* One content in one engine. */
typedef struct PeerSwarm PeerSwarm;

typedef enum {
  PEER_EVENT_CHUNKS, /* chunks: verified and in the store */
  PEER_EVENT_LOST,   /* chunks: left the live window (section 7.9), or were dropped */
  PEER_EVENT_EDGE,   /* chunks: a munro, newly known and verified, the newest or an older one;
                          * time: when the source signed it */
  PEER_EVENT_LATE,   /* chunks: due now, and no peer has brought them */
  PEER_EVENT_SIZE,   /* chunks: all of the content, known only now (section 5.6); bytes: the
                          * exact length once the last chunk is here, else 0 */
  PEER_EVENT_END,    /* live: the source has signed that nothing follows; chunks: all of them */
  PEER_EVENT_UNKEPT, /* chunks: came, and the store could not keep them; nothing is asked for until
                          * a second later, and later each time that this is told anew */
  PEER_EVENT_NEED_PEERS, /* too few channels: ask the tracker */
  PEER_EVENT_BAD_PEER,   /* address: sent what the hashes deny (section 12.7) */
} PeerEventType;

typedef struct {
  PeerEventType type;
  PeerSwarm *swarm;
  PeerRange chunks;
  PeerAddress address;
  int64_t time;   /* us, Unix time: EDGE */
  uint64_t bytes; /* SIZE */
} PeerEvent;

typedef struct PeerEventQueue PeerEventQueue;
PeerEventQueue *peer_event_queue_new (void);
void peer_event_queue_free (PeerEventQueue *self);
/* CHUNKS, LOST and LATE that follow one another, of one swarm, are told by runs. */
void peer_event_queue_push (PeerEventQueue *self, const PeerEvent *event);
bool peer_event_queue_pop (PeerEventQueue *self, PeerEvent *out);
/* Forgets the events of a swarm that is gone. */
void peer_event_queue_forget (PeerEventQueue *self, const PeerSwarm *swarm);
