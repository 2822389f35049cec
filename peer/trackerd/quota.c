/* SPDX-License-Identifier: Apache-2.0 */
/* Each address has one bucket in each of two tables, at places that a secret chooses. It is refused
 * only if both are empty: who shares one of them with a flood has another for itself, unless it shares
 * both, which nobody can arrange. */
#include "peer/trackerd/quota.h"

#include "peer/tracker/hash.h"

#include <string.h>

#define TABLES 2
#define BUCKETS 32768 /* in each: 2^15 */

typedef struct {
  int64_t full; /* us: when it has, or had, all its tokens again */
} Bucket;

struct TrackerdQuota {
  uint32_t rate, burst;
  uint64_t seed;
  Bucket buckets[TABLES][BUCKETS];
};

TrackerdQuota *
trackerd_quota_new (uint32_t rate, uint32_t burst, PeerRandom random, void *random_data)
{
  TrackerdQuota *self = g_new0 (TrackerdQuota, 1);
  self->seed = peer_random_u64 (random, random_data);
  trackerd_quota_limit (self, rate, burst);
  return self;
}

void
trackerd_quota_free (TrackerdQuota *self)
{
  g_free (self);
}

void
trackerd_quota_limit (TrackerdQuota *self, uint32_t rate, uint32_t burst)
{
  self->rate = MAX (rate, 1);
  self->burst = MAX (burst, 1);
}

uint32_t
trackerd_quota_rate (const TrackerdQuota *self)
{
  return self->rate;
}

uint32_t
trackerd_quota_burst (const TrackerdQuota *self)
{
  return self->burst;
}

/* Where its bucket is in each table. */
static void
places (const TrackerdQuota *self, const PeerAddress *from, uint32_t out[TABLES])
{
  size_t n = peer_address_is_v4 (from) ? sizeof from->ip : 8; /* one subscriber has a /64 */
  uint64_t hash = tracker_hash (self->seed, from->ip, n);
  hash = tracker_hash (hash, &self->seed, sizeof self->seed);
  for (unsigned i = 0; i < TABLES; i++)
    out[i] = (uint32_t)(hash >> (16 + 16 * i)) % BUCKETS;
}

static int64_t
time_of (const TrackerdQuota *self, uint32_t tokens)
{
  return (int64_t)tokens * G_USEC_PER_SEC / self->rate;
}

bool
trackerd_quota_has (const TrackerdQuota *self, const PeerAddress *from, int64_t now)
{
  uint32_t place[TABLES];
  if (peer_address_is_loopback (from))
    return true;
  places (self, from, place);
  for (unsigned i = 0; i < TABLES; i++)
    if (self->buckets[i][place[i]].full <= now + time_of (self, self->burst - 1))
      return true;
  return false;
}

void
trackerd_quota_take (TrackerdQuota *self, const PeerAddress *from, uint32_t n, int64_t now)
{
  uint32_t place[TABLES];
  if (peer_address_is_loopback (from))
    return;
  places (self, from, place);
  for (unsigned i = 0; i < TABLES; i++) {
    Bucket *bucket = &self->buckets[i][place[i]];
    bucket->full = MAX (bucket->full, now) + time_of (self, n);
    bucket->full = MIN (bucket->full, now + time_of (self, self->burst));
  }
}
