/* SPDX-License-Identifier: Apache-2.0 */
/* A store of the registry's peers: what all kinds of them have (stores.h). */
#pragma once

#include "peer/tracker/registry.h"

#include <gio/gio.h>

typedef struct {
  bool connected;         /* the store can be reached */
  uint64_t written, read; /* records */
  uint64_t refused;       /* records that were malformed, or over a limit */
  uint64_t failures;      /* of the disk, or connections that were lost */
} TrackerdStoreStats;

typedef struct TrackerdStore TrackerdStore;

/* Whoever makes one has it as the first member of a struct of his own. */
struct TrackerdStore {
  void (*free) (TrackerdStore *self); /* what is not written yet, is */
  TrackerRegistry *registry;
  GRecMutex *lock; /* held by whoever touches the registry */
  TrackerdStoreStats stats;
};

void trackerd_store_free (TrackerdStore *self);
void trackerd_store_stats (const TrackerdStore *self, TrackerdStoreStats *out);
/* Gives the registry a record of that age, us. */
void trackerd_store_apply (TrackerdStore *self, const uint8_t *bytes, size_t n, int64_t age);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdStore, trackerd_store_free)
