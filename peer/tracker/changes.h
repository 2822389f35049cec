/* SPDX-License-Identifier: Apache-2.0 */
/* What stores are still to be told: each peer once, however often it has changed, and none that is
 * gone, so that this never grows beyond the peers; and the keys of those that are gone, of which there
 * is a limit. */
#pragma once

#include "peer/tracker/record.h"

typedef struct {
  bool wanted;      /* false = nobody is to be told */
  GPtrArray *peers; /* CrowdPeer, each knows its index */
  guint next;       /* of them: it goes round, so that each has its turn however many come */
  GQueue gone;      /* GBytes: records */
} TrackerChanges;

#define TRACKER_CHANGES_GONE 100000 /* at most; the oldest are dropped, and end by their timers */

void tracker_changes_init (TrackerChanges *self, bool wanted);
void tracker_changes_clear (TrackerChanges *self);
/* moved: more is new than that it is alive, and its numbers. */
void tracker_changes_note (TrackerChanges *self, CrowdPeer *peer, bool moved);
/* There is nothing to tell of it any more. */
void tracker_changes_forget (TrackerChanges *self, CrowdPeer *peer);
/* Before it is removed. kind: LEFT or EXPIRED. */
void tracker_changes_end (TrackerChanges *self, CrowdPeer *peer, TrackerRecordKind kind);
/* Appends the next record. false = there is none. */
bool tracker_changes_next (TrackerChanges *self, int64_t now, GByteArray *out);
