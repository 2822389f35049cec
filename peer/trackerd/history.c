/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trackerd/history.h"

/* Of one swarm, or of all. */
typedef struct {
  TrackerdSample *samples; /* a ring */
  unsigned room, n, next;
  uint64_t number;                     /* of the swarm whose sums these are */
  uint64_t uploaded, downloaded, late; /* in all, at the last sample */
  unsigned empty;                      /* samples in a row without anybody */
} Track;

struct TrackerdHistory {
  Track *all;
  GHashTable *swarms; /* by ID */
  TrackerdSample now; /* that is being taken */
};

static Track *
track_new (unsigned room)
{
  Track *self = g_new0 (Track, 1);
  self->samples = g_new0 (TrackerdSample, room);
  self->room = room;
  return self;
}

static void
track_free (gpointer data)
{
  Track *self = data;
  g_free (self->samples);
  g_free (self);
}

static uint64_t
growth (uint64_t *before, uint64_t now)
{
  uint64_t more = now - *before;
  *before = now;
  return more;
}

/* number: of the swarm; 0 = of none. */
static void
track_add (Track *self, uint64_t number, TrackerdSample sample)
{
  if (number != self->number) /* that one has ended, and all began anew */
    self->uploaded = self->downloaded = self->late = 0;
  self->number = number;
  sample.uploaded = growth (&self->uploaded, sample.uploaded);
  sample.downloaded = growth (&self->downloaded, sample.downloaded);
  sample.late = growth (&self->late, sample.late);
  self->empty = sample.seeders + sample.leeches == 0 ? self->empty + 1 : 0;
  self->samples[self->next] = sample;
  self->next = (self->next + 1) % self->room;
  self->n = MIN (self->n + 1, self->room);
}

TrackerdHistory *
trackerd_history_new (void)
{
  TrackerdHistory *self = g_new0 (TrackerdHistory, 1);
  self->all = track_new (TRACKERD_HISTORY_SAMPLES);
  self->swarms = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, track_free);
  return self;
}

void
trackerd_history_free (TrackerdHistory *self)
{
  track_free (self->all);
  g_hash_table_unref (self->swarms);
  g_free (self);
}

static bool
sample_swarm (const TrackerSwarmInfo *info, void *data)
{
  TrackerdHistory *self = data;
  self->now.seeders += info->seeders;
  self->now.leeches += info->leeches;
  Track *track = g_hash_table_lookup (self->swarms, info->swarm_id);
  if (track == NULL && g_hash_table_size (self->swarms) < TRACKERD_HISTORY_SWARMS) {
    track = track_new (TRACKERD_HISTORY_SWARM_SAMPLES);
    g_hash_table_insert (self->swarms, g_strdup (info->swarm_id), track);
  }
  if (track != NULL)
    track_add (track, info->number,
               (TrackerdSample){.at = self->now.at,
                                .seeders = info->seeders,
                                .leeches = info->leeches,
                                .uploaded = info->all_uploaded,
                                .downloaded = info->all_downloaded,
                                .late = info->all_late});
  return true;
}

/* Nobody is in it; after an evening of that, another swarm may have its room. */
static gboolean
is_over (gpointer swarm_id, gpointer data, gpointer history)
{
  Track *track = data;
  const TrackerdHistory *self = history;
  unsigned last = (track->next + track->room - 1) % track->room;
  if (track->n > 0 && track->samples[last].at == self->now.at)
    return FALSE;
  track_add (track, 0, (TrackerdSample){.at = self->now.at});
  return track->empty >= track->room;
}

void
trackerd_history_sample (TrackerdHistory *self, const TrackerRegistry *registry, int64_t now)
{
  TrackerRegistryStats stats;
  self->now = (TrackerdSample){.at = now};
  tracker_registry_swarms (registry, sample_swarm, self);
  g_hash_table_foreach_remove (self->swarms, is_over, self);
  tracker_registry_stats (registry, &stats);
  self->now.uploaded = stats.uploaded;
  self->now.downloaded = stats.downloaded;
  self->now.late = stats.late;
  track_add (self->all, 0, self->now);
}

static const Track *
track_of (const TrackerdHistory *self, const char *swarm_id)
{
  return swarm_id == NULL ? self->all : g_hash_table_lookup (self->swarms, swarm_id);
}

unsigned
trackerd_history_count (const TrackerdHistory *self, const char *swarm_id)
{
  const Track *track = track_of (self, swarm_id);
  return track != NULL ? track->n : 0;
}

const TrackerdSample *
trackerd_history_get (const TrackerdHistory *self, const char *swarm_id, unsigned i)
{
  const Track *track = track_of (self, swarm_id);
  return &track->samples[(track->next + track->room - track->n + i) % track->room];
}

void
trackerd_history_swarms (const TrackerdHistory *self, TrackerdHistoryFunc func, void *data)
{
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, self->swarms);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    func (id, data);
}
