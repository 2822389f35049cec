/* SPDX-License-Identifier: Apache-2.0 */
/* A program of tests that are one table. */
#pragma once

#include <glib.h>

typedef struct {
  const char *path; /* behind the folder's */
  GTestFunc test;
} SuiteTest;

/* folder: "/tracker/registry/". What main() returns. */
static inline int
suite_run (int argc, char **argv, const char *folder, const SuiteTest *tests, size_t n)
{
  g_test_init (&argc, &argv, NULL);
  for (size_t i = 0; i < n; i++) {
    g_autofree char *path = g_strconcat (folder, tests[i].path, NULL);
    g_test_add_func (path, tests[i].test);
  }
  return g_test_run ();
}
