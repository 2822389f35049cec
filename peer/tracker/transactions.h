/* SPDX-License-Identifier: Apache-2.0 */
/* What became of each CONNECT of late, so that one that comes again is not carried out again
 * (RFC 7846, 4.3: "The tracker MUST be prepared to receive a request with a repeated
 * transaction_id"). FIND and STAT_REPORT may be carried out as often as they come. */
#pragma once

#include "peer/tracker/message.h"

typedef struct TrackerTransactions TrackerTransactions;

/* Enough to say it again, with a fresh list of peers. */
typedef struct {
  TrackerStatus status;
  uint64_t failed; /* bit i: action i of the request */
} TrackerOutcome;

/* seed: unguessable, save in tests. */
TrackerTransactions *tracker_transactions_new (uint64_t seed);
void tracker_transactions_free (TrackerTransactions *self);

/* What a request is known by: who makes it, its ID, and all that it would change. */
uint64_t tracker_transactions_key (const TrackerTransactions *self, const TrackerRequest *request,
                                   const PeerAddress *from);
/* NULL = it is new. */
const TrackerOutcome *tracker_transactions_find (const TrackerTransactions *self, uint64_t key);
/* Of more than max, the oldest is forgotten. Time is monotonic microseconds. */
void tracker_transactions_remember (TrackerTransactions *self, uint64_t key, TrackerOutcome outcome,
                                    uint32_t max, int64_t now);
/* Forgets those that are older than age, us; n of them at most. */
void tracker_transactions_expire (TrackerTransactions *self, int64_t age, int64_t now, unsigned n);
/* When the oldest was remembered; INT64_MAX = there is none. */
int64_t tracker_transactions_oldest (const TrackerTransactions *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerTransactions, tracker_transactions_free)
