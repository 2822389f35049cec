/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table that never stops to grow: it splits or joins one bucket with each entry that comes or
 * goes (linear hashing), so that no request pays for a million others. Entries are the caller's own
 * structs and are found by walking a short chain. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A member of whatever is kept. */
typedef struct TrackerEntry TrackerEntry;
struct TrackerEntry {
  TrackerEntry *next; /* in its bucket */
};

typedef struct {
  uint64_t (*hash) (const TrackerEntry *entry);
  TrackerEntry ***segments; /* of buckets */
  uint32_t n_segments, room;
  uint32_t n_buckets;
  uint32_t n; /* entries */
} TrackerTable;

void tracker_table_init (TrackerTable *self, uint64_t (*hash) (const TrackerEntry *entry));
/* The entries are the caller's to free, before or after. */
void tracker_table_clear (TrackerTable *self);

/* The first of those that may have that hash; the others follow by ->next. */
TrackerEntry *tracker_table_chain (const TrackerTable *self, uint64_t hash);
void tracker_table_add (TrackerTable *self, TrackerEntry *entry);
void tracker_table_remove (TrackerTable *self, TrackerEntry *entry);
/* All entries: for each bucket below n_buckets, its chain. */
TrackerEntry *tracker_table_bucket (const TrackerTable *self, uint32_t bucket);

/* tracker_hash () from a secret of the process. The first registry gives it; later calls change
 * nothing. */
uint64_t tracker_table_hash (const void *bytes, size_t n);
void tracker_table_set_key (uint64_t seed);
