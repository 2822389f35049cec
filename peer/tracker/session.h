/* SPDX-License-Identifier: Apache-2.0 */
/* The peer's side of RFC 7846, for one swarm at one tracker: what to ask, and when. Whoever turns
 * it sends what tracker_session_next() gives, one request at a time, and tells how it ended by
 * tracker_session_answer(); then sleeps until tracker_session_deadline(), or until one of the
 * other verbs has been called. Time is monotonic microseconds. */
#pragma once

#include "peer/random.h"
#include "peer/tracker/message.h"

typedef struct TrackerSession TrackerSession;

typedef struct {
  const char *swarm_id;
  bool seeder;         /* else a leech */
  uint32_t peer_count; /* peers wanted each time; 0 = 29 */
  bool certificates; /* of membership are wanted: our own, and those of the peers that are named */
  PeerRandom random; /* unguessable, save in tests */
  void *random_data;
} TrackerSessionOptions;

/* With a random peer ID of its own; wants to JOIN at once. */
TrackerSession *tracker_session_new (const TrackerSessionOptions *options, int64_t now);
void tracker_session_free (TrackerSession *self);

/* Where the peer listens, as far as it knows; said in each JOIN from now on. */
void tracker_session_listen (TrackerSession *self, const PeerAddress *address);

/* The request that is due, or NULL. It belongs to the session, and is valid until its answer. */
const TrackerRequest *tracker_session_next (TrackerSession *self, int64_t now);
/* The one under way, again; or NULL. */
const TrackerRequest *tracker_session_request (const TrackerSession *self);
/* It was not sent, and is composed anew by the next tracker_session_next(). */
void tracker_session_unsent (TrackerSession *self);
/* Does it answer the one under way? */
bool tracker_session_is_answer (const TrackerSession *self, const TrackerResponse *response);
/* How the request ended: response NULL = not at all, or in nothing that could be read. Then, as
 * section 4.3 demands, the same request is made again, with the same transaction ID. retry_after:
 * what the tracker asks for, us; 0 = nothing. false = the response is not one to this request,
 * and counts as none. */
bool tracker_session_answer (TrackerSession *self, int64_t now, const TrackerResponse *response,
                             int64_t retry_after);
/* INT64_MAX = nothing to do; while a request is under way, too. */
int64_t tracker_session_deadline (const TrackerSession *self);

/* There is a certificate of our own, and the tracker need not be asked for one before renew; us. */
void tracker_session_certified (TrackerSession *self, int64_t renew);

/* More peers are wanted: FIND, soon. */
void tracker_session_find (TrackerSession *self);
/* STAT_REPORT, now: the tracker may have heard nothing of us for longer than we know. */
void tracker_session_hurry (TrackerSession *self, int64_t now);
/* For the next STAT_REPORT; bytes since the join. */
void tracker_session_report (TrackerSession *self, uint64_t uploaded, uint64_t downloaded,
                             uint32_t links);
/* For each FIND those that are wanted, for each STAT_REPORT those that are here: TrackerRange; taken over;
 * NULL or empty = unsaid. */
void tracker_session_chunks (TrackerSession *self, GArray *held, GArray *wanted);
/* For each JOIN and STAT_REPORT; what was said once is taken back by saying another. */
void tracker_session_condition (TrackerSession *self, const TrackerCondition *condition,
                                TrackerConnection connection);
/* So many chunks more came too late, or not at all. */
void tracker_session_late (TrackerSession *self, uint64_t chunks);
/* The last request, as soon as possible; none if the tracker does not know us. After that,
 * tracker_session_ended() and nothing more. */
void tracker_session_leave (TrackerSession *self, int64_t now);
/* Nothing more at all, whether it has left or not. */
void tracker_session_abandon (TrackerSession *self);
bool tracker_session_ended (const TrackerSession *self);

bool tracker_session_joined (const TrackerSession *self);
const char *tracker_session_peer_id (const TrackerSession *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerSession, tracker_session_free)
