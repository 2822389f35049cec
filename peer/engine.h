/* SPDX-License-Identifier: Apache-2.0 */
/* The peer protocol as one machine: datagrams and the time go in, datagrams and events
 * come out. It opens no socket, reads no clock, starts no thread and calls nobody back,
 * so one seed replays one run. Whoever turns it does this on every datagram, and whenever
 * peer_engine_deadline() has come:
 *
 *   peer_engine_receive ()                    if there is a datagram
 *   while (peer_engine_send () > 0)           sendto ()
 *   while (peer_engine_next_event ())         act on it
 *   sleep until peer_engine_deadline ()
 *
 * Time is monotonic microseconds; a now before an earlier one counts as the earlier one.
 * (RFC 7574; congestion control: RFC 6817) */
#pragma once

#include "peer/address.h"
#include "peer/chunks.h"
#include "peer/content.h"
#include "peer/event.h"
#include "peer/integrity.h"
#include "peer/picker.h"
#include "peer/random.h"
#include "peer/status.h"
#include "peer/store.h"
#include "peer/swarm.h"
#include "peer/trace.h"

typedef struct PeerEngine PeerEngine;

typedef struct {
  PeerRandom random; /* unguessable, save in tests */
  void *random_data;
  int64_t wall_offset; /* us; Unix time minus now, for the times on the wire */
  bool wall_trusted;   /* the wall clock is right: munros may be refused for their age */
  uint32_t max_swarms; /* past these limits a newcomer is refused */
  uint32_t max_channels;
  uint32_t max_per_ip;     /* inbound channels of one public IP or /64, in a swarm; 0 = 32 */
  bool benign;             /* the network is trusted: peers name each other without certificates
                        * (RFC 7574, 3.10); private addresses always do among themselves */
  bool no_exchange;        /* no peer address exchange at all (3.10: it is optional) */
  uint64_t max_upload;     /* bytes/s of datagrams; 0 = LEDBAT alone decides */
  uint32_t loss_tolerance; /* percent: see PeerLedbatOptions; 0 = as RFC 6817 has it */
  int64_t dead_time;       /* us of silence that make a peer dead (section 3.12); 0 = 180 s */
} PeerEngineOptions;

void peer_engine_options_init (PeerEngineOptions *self); /* sensible limits; random is left NULL */

/* The wall clock was set, or is known to be right now: as in the options. */
void peer_engine_set_wall (PeerEngine *self, int64_t wall_offset, bool trusted);

PeerEngine *peer_engine_new (const PeerEngineOptions *options);
void peer_engine_free (PeerEngine *self);

typedef struct {
  const PeerContent *content;
  PeerStore *store;         /* taken over */
  PeerIntegrity *integrity; /* taken over; what is known of the tree (origin, cache), or NULL */
  uint64_t discard_window;  /* chunks, live: how far back we keep (section 7.9); UINT64_MAX = all */
  bool source;              /* we make it (peer_engine_append): nobody can tell us anything new */
  uint32_t max_peers;       /* channels that we open; 0 = 30 */
  const uint8_t *tracker_key; /* SHA-256 of the key that certifies members (12.2.2), or NULL */
} PeerJoin;

/* The engine owns the swarm. */
PeerSwarm *peer_engine_join (PeerEngine *self, const PeerJoin *join, GError **error);
/* Sends closing handshakes with the next peer_engine_send()s; swarm is gone at once. */
void peer_engine_leave (PeerEngine *self, PeerSwarm *swarm);
/* Tells it to all peers that want to know (peer/STATUS.md), and to those that come; again only when it is
 * something else. */
void peer_engine_set_status (PeerEngine *self, const PeerStatus *status);
const PeerStatus *peer_engine_status (const PeerEngine *self); /* as it was set */
/* What the peers of all swarms told of themselves. */
void peer_engine_told (const PeerEngine *self, PeerStatusCounts *out);
/* Bytes/s that may be sent in all: the limit, or what our line was seen to carry; 0 = not known. */
uint64_t peer_engine_upload (const PeerEngine *self);
/* Bytes/s of all datagrams, from now on; 0 = no limit. */
void peer_engine_limit (PeerEngine *self, uint64_t upload);
/* Of one swarm: its datagrams, and the chunks that come; 0 = no limit. What is left of the upload is
 * dealt out evenly among those who ask (section 12.6.6); the download holds back what is asked for. */
void peer_engine_limit_swarm (PeerEngine *self, PeerSwarm *swarm, uint64_t upload,
                              uint64_t download);
/* Live: the store keeps so many chunks from now on, if that is more than before (section 7.9). Peers
 * that have shaken hands go on with the window that they were told. */
void peer_engine_keep (PeerEngine *self, PeerSwarm *swarm, uint64_t discard_window);
void peer_engine_add_peer (PeerEngine *self, PeerSwarm *swarm, const PeerAddress *address);
/* A certificate of membership (12.2.2) that the tracker gave: of the peer that it named at address, or
 * our own where that is NULL, which is shown to peers and takes the place of the one before. false =
 * it is not taken: no tracker_key, not of it, not of this swarm or address, expired. */
bool peer_engine_add_certificate (PeerEngine *self, PeerSwarm *swarm, const PeerAddress *address,
                                  const uint8_t *bytes, size_t n);
/* tracker_key, known only now. */
void peer_engine_trust_tracker (PeerEngine *self, PeerSwarm *swarm, const uint8_t *tracker_key);
/* All that its readers want; n = 0 = nothing. Copied. */
void peer_engine_want (PeerEngine *self, PeerSwarm *swarm, const PeerWant *wants, size_t n);
/* A chunk that came another way (HTTP fall-back), with its hashes (peer_integrity_lacks); checked like
 * DATA. GOOD: it is here now, unless the store could not keep it; KNOWN: it was here already, and is not
 * looked at; MISSING, BAD: it is refused, and counted. */
PeerIntegrityResult peer_engine_offer (PeerEngine *self, PeerSwarm *swarm,
                                       PeerPendingHashes *hashes, uint64_t chunk,
                                       const uint8_t *bytes, size_t n);

/* Frees the room of run: its chunks are not here any more, which LOST tells, and may be wanted
 * again. HAVE cannot be taken back (section 3.2), so peers go on asking for them; they get no answer
 * until the chunks are here again, and ask others (12.6.2). Not for a source. */
void peer_engine_drop (PeerEngine *self, PeerSwarm *swarm, PeerRange run);

/* The origin's verbs. Live: the next chunk is hashed and stored, and given to nobody until its
 * subtree is signed; returns its number. first = where to go on (a restart). */
void peer_engine_start (PeerEngine *self, PeerSwarm *swarm, uint64_t first);
uint64_t peer_engine_append (PeerEngine *self, PeerSwarm *swarm, const uint8_t *bytes, size_t n);
/* Chunks that the open subtree still takes; 0 = it is full and can be signed, or the numbers that
 * the addressing has are used up (peer_content_max_chunks). */
uint32_t peer_engine_open_chunks (const PeerEngine *self, const PeerSwarm *swarm);
bool peer_engine_sign (PeerEngine *self, PeerSwarm *swarm, PeerKey *key, int64_t now);
/* Live: signs that nothing follows (peer/integrity.h), which END tells here and at all peers. No
 * subtree may be open, and nothing can be appended any more. false = the key failed. */
bool peer_engine_end (PeerEngine *self, PeerSwarm *swarm, PeerKey *key, int64_t now);

void peer_engine_receive (PeerEngine *self, int64_t now, const PeerAddress *from,
                          const uint8_t *bytes, size_t n);
/* Returns the bytes written to out; 0 = no more now. room: PEER_DATAGRAM_MAX at least.
 * Datagrams to one peer come in a row and, as far as their order allows, with equal sizes in
 * a row, so that they can be given to the kernel in one call. */
size_t peer_engine_send (PeerEngine *self, int64_t now, PeerAddress *to, uint8_t *out, size_t room);
/* A datagram of n bytes was too big for the way to this address: smaller ones will be sent. */
void peer_engine_too_big (PeerEngine *self, int64_t now, const PeerAddress *to, size_t n);
bool peer_engine_next_event (PeerEngine *self, PeerEvent *out);
int64_t peer_engine_deadline (const PeerEngine *self); /* us, or PEER_NEVER */

const PeerCounters *peer_engine_counters (const PeerEngine *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerEngine, peer_engine_free)
