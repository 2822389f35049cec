/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a simulation that is started by hand; those of a test program are left to it. */
#pragma once

#include <glib.h>
#include <stdlib.h>

/* Fills what the entries point to; ends the program where one is wrong. */
static inline void
sim_options_parse (const GOptionEntry *entries, int *argc, char ***argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_ignore_unknown_options (context, TRUE);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    g_printerr ("%s\n", error->message);
    exit (2);
  }
}
