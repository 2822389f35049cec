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

static void
test_times (void)
{
  static const struct {
    const char *header;
    int64_t first, end; /* ms; first -1 = wrong */
  } rows[] = {
      {"npt=0-", 0, -1},
      {"npt=10.5-", 10500, -1},
      {"NPT=10.25-20", 10250, 20000},
      {"npt=0:00:00-", 0, -1},
      {"npt=1:02:03.250-100:00:00", 3723250, 360000000},
      {"npt=90-90", 90000, 90000},
      {"npt=10.- ", 10000, -1},
      {"npt=5-4", -1, -1},
      {"npt=-5", -1, -1},
      {"npt=now-", -1, -1},
      {"npt=10", -1, -1},
      {"npt=1:30-", -1, -1},
      {"npt=0:60:00-", -1, -1},
      {"npt=99999999999999999999-", -1, -1},
      {"npt=10-x", -1, -1},
      {"npt=10-20/30", -1, -1},
      {"bytes=0-", -1, -1},
      {"", -1, -1},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    int64_t first = 0, end = 0;
    bool read = dlna_range_parse_time (rows[i].header, &first, &end);
    g_test_message ("%s", rows[i].header);
    g_assert_cmpint (read, ==, rows[i].first >= 0);
    if (!read)
      continue;
    g_assert_cmpint (first, ==, rows[i].first * 1000);
    g_assert_cmpint (end, ==, rows[i].end < 0 ? -1 : rows[i].end * 1000);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dlna/range/one-range-is-read-the-rest-ignored", test_parse);
  g_test_add_func ("/dlna/range/resolves-inside-the-content", test_resolve);
  g_test_add_func ("/dlna/range/times-are-read", test_times);
  return g_test_run ();
}
