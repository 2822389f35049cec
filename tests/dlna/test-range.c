/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/range.h"
#include <glib.h>

static void
test_parse (void)
{
  static const struct {
    const char *header;
    DlnaRange range;
  } rows[] = {
      {"bytes=0-", {DLNA_RANGE_FROM, 0, -1, 0}},
      {"bytes=0-0", {DLNA_RANGE_FROM, 0, 1, 0}},
      {"Bytes=500-999", {DLNA_RANGE_FROM, 500, 1000, 0}},
      {"bytes= 5-6 ", {DLNA_RANGE_FROM, 5, 7, 0}},
      {"bytes=-500", {DLNA_RANGE_SUFFIX, 0, -1, 500}},
      {"bytes=-0", {DLNA_RANGE_SUFFIX, 0, -1, 0}},
      {"bytes=9223372036854775807-", {DLNA_RANGE_FROM, INT64_MAX, -1, 0}},
      {"bytes=99999999999999999999999-", {DLNA_RANGE_FROM, INT64_MAX, -1, 0}},
      {"bytes=1-99999999999999999999999", {DLNA_RANGE_FROM, 1, INT64_MAX, 0}},
  };
  static const char *const ignored[] = {
      NULL,        "",          "bytes",      "bytes=",       "bytes=-",    "bytes=a-b",
      "bytes=5",   "bytes=5-4", "bytes=1-2,", "bytes=1-2,5-", "bytes=--1",  "bytes=1--",
      "items=0-5", "bytes 0-5", "bytes=0x1-", "bytes=+1-",    "bytes=1-2x", "bytes=1 - 2",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    DlnaRange range = dlna_range_parse (rows[i].header);
    g_assert_cmpint (range.type, ==, rows[i].range.type);
    g_assert_cmpint (range.first, ==, rows[i].range.first);
    g_assert_cmpint (range.end, ==, rows[i].range.end);
    g_assert_cmpint (range.length, ==, rows[i].range.length);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (ignored); i++)
    g_assert_cmpint (dlna_range_parse (ignored[i]).type, ==, DLNA_RANGE_NONE);
}

static void
test_resolve (void)
{
  static const struct {
    const char *header;
    int64_t size, first, end; /* end 0 = no such byte */
  } rows[] = {
      {"bytes=0-", 1000, 0, 1000},
      {"bytes=999-", 1000, 999, 1000},
      {"bytes=1000-", 1000, 0, 0},
      {"bytes=1000-2000", 1000, 0, 0},
      {"bytes=10-19", 1000, 10, 20},
      {"bytes=10-5000", 1000, 10, 1000},
      {"bytes=-1", 1000, 999, 1000},
      {"bytes=-1000", 1000, 0, 1000},
      {"bytes=-5000", 1000, 0, 1000},
      {"bytes=-0", 1000, 0, 0},
      {"bytes=0-", 0, 0, 0},
      {"bytes=-5", 0, 0, 0},
      {"bytes=9223372036854775807-", INT64_MAX, 0, 0},
      {"bytes=1-9223372036854775807", INT64_MAX, 1, INT64_MAX},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    DlnaRange range = dlna_range_parse (rows[i].header);
    g_assert_cmpint (dlna_range_resolve (&range, rows[i].size), ==, rows[i].end != 0);
    if (rows[i].end == 0)
      continue;
    g_assert_cmpint (range.type, ==, DLNA_RANGE_FROM);
    g_assert_cmpint (range.first, ==, rows[i].first);
    g_assert_cmpint (range.end, ==, rows[i].end);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dlna/range/one-range-is-read-the-rest-ignored", test_parse);
  g_test_add_func ("/dlna/range/resolves-inside-the-content", test_resolve);
  return g_test_run ();
}
