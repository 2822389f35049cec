/* SPDX-License-Identifier: Apache-2.0 */
/* The ID of a peer in 24 bytes: most are a number in hex, of which only the number is kept, or are
 * short; the others stand elsewhere. */
#pragma once

#include "peer/tracker/message.h"

typedef struct {
  uint8_t bytes[24];
} TrackerName;

/* id: tracker_id_is_valid (). */
void tracker_name_init (TrackerName *self, const char *id);
void tracker_name_clear (TrackerName *self);
/* For a name that is only compared: nothing is allocated or has to be cleared; it lives no longer than id. */
void tracker_name_borrow (TrackerName *self, const char *id);
bool tracker_name_equal (const TrackerName *self, const TrackerName *other);
uint64_t tracker_name_hash (const TrackerName *self, uint64_t seed);
/* What it was made of. */
void tracker_name_write (const TrackerName *self, char out[TRACKER_MAX_ID + 1]);
