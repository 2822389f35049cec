/* SPDX-License-Identifier: Apache-2.0 */
/* Linear hashing (Litwin, 1980): with n buckets, 2^k <= n < 2^(k+1), a hash belongs to the bucket of
 * its low k+1 bits, or, where that is not there yet, of its low k bits. Bucket n is split off from
 * bucket n - 2^k. Buckets lie in segments, so that none is ever moved:
 *
 *   segments --> [ bucket 0 .. 511 ] [ 512 .. 1023 ] ...
 */
#include "peer/tracker/table.h"

#include "peer/tracker/hash.h"

#define SEGMENT 512u
#define MIN_BUCKETS 8u
/* Entries for each bucket: as few bytes as two steps in a chain are worth. */
#define LOAD 2u

static struct {
  uint64_t seed;
  bool set;
} key;

void
tracker_table_set_key (uint64_t seed)
{
  if (key.set)
    return;
  key.seed = seed;
  key.set = true;
}

uint64_t
tracker_table_hash (const void *bytes, size_t n)
{
  return tracker_hash (key.seed, bytes, n);
}

/* --- the table ----------------------------------------------------------------------------- */

static TrackerEntry **
bucket_at (const TrackerTable *self, uint32_t bucket)
{
  return &self->segments[bucket / SEGMENT][bucket % SEGMENT];
}

static uint32_t
power_below (uint32_t n)
{
  return 1u << (g_bit_storage (n) - 1);
}

static TrackerEntry **
bucket_of (const TrackerTable *self, uint64_t hash)
{
  uint32_t power = power_below (self->n_buckets);
  uint32_t bucket = (uint32_t)hash & (2 * power - 1);
  return bucket_at (self, bucket < self->n_buckets ? bucket : bucket & (power - 1));
}

static void
need_segment (TrackerTable *self, uint32_t bucket)
{
  uint32_t segment = bucket / SEGMENT;
  if (segment < self->n_segments)
    return;
  if (segment >= self->room) {
    self->room = MAX (8, 2 * self->room);
    self->segments = g_renew (TrackerEntry **, self->segments, self->room);
  }
  self->segments[self->n_segments++] = g_new0 (TrackerEntry *, SEGMENT);
}

static void
split (TrackerTable *self)
{
  uint32_t added = self->n_buckets;
  need_segment (self, added);
  TrackerEntry **from = bucket_at (self, added - power_below (added));
  TrackerEntry *chain = *from;
  *from = NULL;
  self->n_buckets++;
  while (chain != NULL) {
    TrackerEntry *entry = chain;
    chain = entry->next;
    TrackerEntry **bucket = bucket_of (self, self->hash (entry));
    entry->next = *bucket;
    *bucket = entry;
  }
}

static void
join (TrackerTable *self)
{
  uint32_t last = --self->n_buckets;
  TrackerEntry **from = bucket_at (self, last);
  TrackerEntry **end = bucket_at (self, last - power_below (last));
  while (*end != NULL)
    end = &(*end)->next;
  *end = *from;
  *from = NULL;
  if (last % SEGMENT == 0 && self->n_segments > 1)
    g_free (self->segments[--self->n_segments]);
}

void
tracker_table_init (TrackerTable *self, uint64_t (*hash) (const TrackerEntry *entry))
{
  *self = (TrackerTable){.hash = hash};
  need_segment (self, 0);
  self->n_buckets = MIN_BUCKETS;
}

void
tracker_table_clear (TrackerTable *self)
{
  for (uint32_t i = 0; i < self->n_segments; i++)
    g_free (self->segments[i]);
  g_free (self->segments);
  *self = (TrackerTable){0};
}

TrackerEntry *
tracker_table_chain (const TrackerTable *self, uint64_t hash)
{
  return *bucket_of (self, hash);
}

void
tracker_table_add (TrackerTable *self, TrackerEntry *entry)
{
  TrackerEntry **bucket = bucket_of (self, self->hash (entry));
  entry->next = *bucket;
  *bucket = entry;
  if (++self->n > LOAD * self->n_buckets)
    split (self);
}

void
tracker_table_remove (TrackerTable *self, TrackerEntry *entry)
{
  TrackerEntry **at = bucket_of (self, self->hash (entry));
  while (*at != entry)
    at = &(*at)->next;
  *at = entry->next;
  self->n--;
  /* Half a load apart from the splits, so that one entry that comes and goes moves nothing. */
  if (self->n_buckets > MIN_BUCKETS && self->n < LOAD * self->n_buckets / 2)
    join (self);
}

TrackerEntry *
tracker_table_bucket (const TrackerTable *self, uint32_t bucket)
{
  return *bucket_at (self, bucket);
}
