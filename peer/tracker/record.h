/* SPDX-License-Identifier: Apache-2.0 */
/* A registered peer as bytes: what a store keeps, and what trackers that share a registry tell each
 * other. Our own format; another tracker's is checked like any bytes from outside. */
#pragma once

#include "peer/tracker/crowd.h"

typedef enum {
  TRACKER_RECORD_HERE, /* all of it, since it joined, left a swarm, or moved */
  TRACKER_RECORD_HEARD, /* all of it too, but no more is new than that it is alive, and its numbers */
  TRACKER_RECORD_LEFT,    /* its key only: it said so */
  TRACKER_RECORD_EXPIRED, /* likewise: it was not heard of any more by who tells so */
} TrackerRecordKind;

#define TRACKER_RECORD_MAX (TRACKER_MAX_LIST * (TRACKER_MAX_SWARM_ID + 1024))

/* Appends it. */
void tracker_record_write (GByteArray *out, TrackerRecordKind kind, const CrowdPeer *peer,
                           int64_t now);
/* Of any record: its kind, and the bytes that are the same for all records of one peer. false =
 * malformed. */
bool tracker_record_key (const uint8_t *bytes, size_t n, TrackerRecordKind *kind,
                         const uint8_t **out, size_t *n_key);
/* As the CONNECT that would have made it: addresses, swarms with their numbers. NULL = malformed. The
 * caller frees. */
TrackerRequest *tracker_record_read (const uint8_t *bytes, size_t n, TrackerRecordKind *kind,
                                     uint8_t from[16]);
