/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trackerd/store.h"

void
trackerd_store_free (TrackerdStore *self)
{
  self->free (self);
}

void
trackerd_store_stats (const TrackerdStore *self, TrackerdStoreStats *out)
{
  *out = self->stats;
}

void
trackerd_store_apply (TrackerdStore *self, const uint8_t *bytes, size_t n, int64_t age)
{
  g_rec_mutex_lock (self->lock);
  bool good = tracker_registry_apply (self->registry, g_get_monotonic_time (), bytes, n, age);
  g_rec_mutex_unlock (self->lock);
  if (good)
    self->stats.read++;
  else
    self->stats.refused++;
}
