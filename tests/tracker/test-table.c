/* SPDX-License-Identifier: Apache-2.0 */
/* The table, the pool and the names that a registry of a million peers stands on. */
#include "peer/tracker/name.h"
#include "peer/tracker/pool.h"
#include "peer/tracker/table.h"
#include "tests/random.h"

#include <string.h>

typedef struct {
  TrackerEntry entry;
  uint32_t number;
} Thing;

static uint64_t
thing_hash (const TrackerEntry *entry)
{
  uint32_t number = ((const Thing *)entry)->number;
  return tracker_table_hash (&number, sizeof number);
}

static Thing *
thing_find (const TrackerTable *table, uint32_t number)
{
  Thing wanted = {.number = number};
  TrackerEntry *entry = tracker_table_chain (table, thing_hash (&wanted.entry));
  while (entry != NULL && ((Thing *)entry)->number != number)
    entry = entry->next;
  return (Thing *)entry;
}

static uint32_t
count (const TrackerTable *table)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < table->n_buckets; i++)
    for (TrackerEntry *entry = tracker_table_bucket (table, i); entry != NULL; entry = entry->next)
      n++;
  return n;
}

static void
what_is_added_is_found (void)
{
  enum { ROOM = 5000 };
  static Thing things[ROOM];
  static bool here[ROOM];
  TrackerTable table;
  uint64_t state = RANDOM_SEED;
  uint32_t n = 0;
  tracker_table_init (&table, thing_hash);
  for (unsigned round = 0; round < 60000; round++) {
    uint32_t dice;
    random_bytes (&state, (uint8_t *)&dice, sizeof dice);
    /* It fills, and empties, and fills again. */
    bool filling = round / 15000 % 2 == 0;
    uint32_t number = dice % ROOM;
    things[number].number = number;
    g_assert_true ((thing_find (&table, number) != NULL) == here[number]);
    if (here[number] != filling) {
      here[number] = filling;
      n += filling ? 1u : UINT32_MAX;
      if (filling)
        tracker_table_add (&table, &things[number].entry);
      else
        tracker_table_remove (&table, &things[number].entry);
    }
    g_assert_cmpuint (table.n, ==, n);
    if (round % 1000 == 0) {
      g_assert_cmpuint (count (&table), ==, n);
      for (uint32_t i = 0; i < ROOM; i++)
        g_assert_true (thing_find (&table, i) == (here[i] ? &things[i] : NULL));
    }
  }
  g_assert_cmpuint (n, >, 0);
  tracker_table_clear (&table);
}

/* One step at a time, whatever there is: no request pays for all that came before it. */
static void
no_step_is_a_long_one (void)
{
  enum { ROOM = 20000 };
  static Thing things[ROOM];
  TrackerTable table;
  tracker_table_init (&table, thing_hash);
  for (uint32_t i = 0; i < 2 * ROOM; i++) {
    uint32_t before = table.n_buckets;
    if (i < ROOM) {
      things[i].number = i;
      tracker_table_add (&table, &things[i].entry);
    } else {
      tracker_table_remove (&table, &things[i - ROOM].entry);
    }
    uint32_t moved = MAX (before, table.n_buckets) - MIN (before, table.n_buckets);
    g_assert_cmpuint (moved, <=, 1);
    unsigned longest = 0;
    for (uint32_t j = 0; i % 5000 == 4999 && j < table.n_buckets; j++) {
      unsigned length = 0;
      for (TrackerEntry *e = tracker_table_bucket (&table, j); e != NULL; e = e->next)
        length++;
      longest = MAX (longest, length);
    }
    g_assert_cmpuint (longest, <=, 24);
  }
  g_assert_cmpuint (table.n, ==, 0);
  g_assert_cmpuint (table.n_segments, ==, 1); /* the rest is given back */
  tracker_table_clear (&table);
}

static void
pool_gives_each_its_own (void)
{
  TrackerPool pool;
  uint64_t *objects[3000];
  tracker_pool_init (&pool, 24);
  for (unsigned round = 0; round < 3; round++) {
    for (unsigned i = 0; i < G_N_ELEMENTS (objects); i++) {
      objects[i] = tracker_pool_new0 (&pool);
      g_assert_cmpuint (objects[i][0] + objects[i][1] + objects[i][2], ==, 0);
      objects[i][0] = objects[i][1] = objects[i][2] = i + 1;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS (objects); i++) {
      g_assert_cmpuint (objects[i][0], ==, i + 1);
      g_assert_cmpuint (objects[i][2], ==, i + 1);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS (objects); i++)
      tracker_pool_free (&pool, objects[i]);
  }
  /* What was given back was used again. */
  g_assert_cmpuint (pool.slabs->len, <=, G_N_ELEMENTS (objects) * 24 / 65000 + 1);
  tracker_pool_clear (&pool);
}

static void
names_come_back_as_they_were (void)
{
  static const char *const ids[] = {"p",
                                    "0",
                                    "00",
                                    "0a",
                                    "0A",
                                    "a0b",
                                    "656164657221",
                                    "0123456789abcdef0123456789abcdef",
                                    "0123456789abcdef0123456789abcdeF",
                                    "0123456789abcdef0123456789abcdef0123456789abcd",
                                    "0123456789abcdef0123456789abcdef0123456789abcdef",
                                    "twenty-three bytes long",
                                    "twenty-four bytes, as it",
                                    "a name that is far too long to stand where short ones do",
                                    "\xc3\xa9t\xc3\xa9"};
  char text[TRACKER_MAX_ID + 1];
  for (unsigned i = 0; i < G_N_ELEMENTS (ids); i++) {
    TrackerName name;
    tracker_name_init (&name, ids[i]);
    tracker_name_write (&name, text);
    g_assert_cmpstr (text, ==, ids[i]);
    for (unsigned j = 0; j < G_N_ELEMENTS (ids); j++) {
      TrackerName other;
      tracker_name_borrow (&other, ids[j]);
      g_assert_true (tracker_name_equal (&name, &other) == (i == j));
      g_assert_true ((tracker_name_hash (&name, 7) == tracker_name_hash (&other, 7)) == (i == j));
    }
    tracker_name_clear (&name);
  }
  g_autofree char *longest = g_strnfill (TRACKER_MAX_ID, 'x');
  TrackerName name;
  tracker_name_init (&name, longest);
  tracker_name_write (&name, text);
  g_assert_cmpstr (text, ==, longest);
  tracker_name_clear (&name);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tracker/table/what-is-added-is-found", what_is_added_is_found);
  g_test_add_func ("/tracker/table/no-step-is-a-long-one", no_step_is_a_long_one);
  g_test_add_func ("/tracker/pool/gives-each-its-own", pool_gives_each_its_own);
  g_test_add_func ("/tracker/name/come-back-as-they-were", names_come_back_as_they_were);
  return g_test_run ();
}
