/* SPDX-License-Identifier: Apache-2.0 */
/* Golden bytes, kept as text so that a reviewer can read them: hexadecimal digits with spaces as
 * one likes, a comment from '#' to the end of its line, and lines "== name" that begin an entry. */
#pragma once

#include <glib.h>

/* Entries in the order of the file; a bug in the file ends the test. */
typedef struct {
  char *name;
  GByteArray *bytes;
} GoldenEntry;

/* path: from tests/. Free with g_ptr_array_unref(). */
GPtrArray *golden_read (const char *path);
/* The bytes of one entry, borrowed; ends the test if there is none. */
const GByteArray *golden_find (const GPtrArray *entries, const char *name);
