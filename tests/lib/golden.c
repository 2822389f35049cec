/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/golden.h"

#include <string.h>

static void
free_entry (void *data)
{
  GoldenEntry *entry = data;

  g_free (entry->name);
  g_byte_array_unref (entry->bytes);
  g_free (entry);
}

static void
add_hex (GByteArray *out, const char *line)
{
  int high = -1;

  for (; *line != '\0' && *line != '#'; line++) {
    int digit = g_ascii_xdigit_value (*line);

    if (g_ascii_isspace (*line))
      continue;
    if (digit < 0)
      g_error ("\"%s\" is no hexadecimal", line);
    if (high < 0) {
      high = digit;
    } else {
      guint8 byte = (guint8)(high << 4 | digit);

      g_byte_array_append (out, &byte, 1);
      high = -1;
    }
  }
  if (high >= 0)
    g_error ("half a byte in a golden file");
}

GPtrArray *
golden_read (const char *path)
{
  g_autofree char *file = g_test_build_filename (G_TEST_DIST, path, NULL);
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (GError) error = NULL;
  GPtrArray *entries = g_ptr_array_new_with_free_func (free_entry);
  GoldenEntry *entry = NULL;

  if (!g_file_get_contents (file, &text, NULL, &error))
    g_error ("%s", error->message);
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    if (g_str_has_prefix (*line, "== ")) {
      entry = g_new0 (GoldenEntry, 1);
      entry->name = g_strstrip (g_strdup (*line + 3));
      entry->bytes = g_byte_array_new ();
      g_ptr_array_add (entries, entry);
    } else if (entry != NULL) {
      add_hex (entry->bytes, *line);
    } else if (**line != '#' && **line != '\0') {
      g_error ("%s: bytes before the first \"==\"", path);
    }
  }
  return entries;
}

const GByteArray *
golden_find (const GPtrArray *entries, const char *name)
{
  for (guint i = 0; i < entries->len; i++) {
    const GoldenEntry *entry = entries->pdata[i];

    if (strcmp (entry->name, name) == 0)
      return entry->bytes;
  }
  g_error ("no golden \"%s\"", name);
}
