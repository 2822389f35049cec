/* SPDX-License-Identifier: Apache-2.0 */
/* How it was (RFC 6972, OAM.REQ-3, 6 and 8): each five minutes a sample of the tracker as a whole, of a day,
 * and of each of the first few hundred swarms, of an evening. Its memory is bounded: 0.9 MB. */
#pragma once

#include "peer/tracker/registry.h"

#define TRACKERD_HISTORY_SECONDS 300
#define TRACKERD_HISTORY_SAMPLES 288
#define TRACKERD_HISTORY_SWARMS 256
#define TRACKERD_HISTORY_SWARM_SAMPLES 72

typedef struct {
  int64_t at; /* us of the Unix epoch */
  uint32_t seeders, leeches;
  uint64_t uploaded, downloaded, late; /* bytes, chunks; since the sample before */
} TrackerdSample;

typedef struct TrackerdHistory TrackerdHistory;

TrackerdHistory *trackerd_history_new (void);
void trackerd_history_free (TrackerdHistory *self);
/* It looks at each swarm once. now: us of the Unix epoch. */
void trackerd_history_sample (TrackerdHistory *self, const TrackerRegistry *registry, int64_t now);

/* The oldest first. swarm_id NULL = all of them together. */
unsigned trackerd_history_count (const TrackerdHistory *self, const char *swarm_id);
const TrackerdSample *trackerd_history_get (const TrackerdHistory *self, const char *swarm_id,
                                            unsigned i);
typedef void (*TrackerdHistoryFunc) (const char *swarm_id, void *data);
void trackerd_history_swarms (const TrackerdHistory *self, TrackerdHistoryFunc func, void *data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdHistory, trackerd_history_free)
