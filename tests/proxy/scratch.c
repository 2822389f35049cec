/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/proxy/scratch.h"
#include <glib/gstdio.h>
#include <string.h>

static unsigned warnings;
static char *last;

char *
scratch_new (void)
{
  g_autoptr (GError) error = NULL;
  char *folder = g_dir_make_tmp ("ppsp-test-XXXXXX", &error);
  g_assert_no_error (error);
  return folder;
}

static void
delete_all (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    if (g_file_test (path, G_FILE_TEST_IS_DIR) && !g_file_test (path, G_FILE_TEST_IS_SYMLINK))
      delete_all (path);
    else
      g_unlink (path);
  }
  g_rmdir (folder);
}

void
scratch_free (char *folder)
{
  delete_all (folder);
  g_free (folder);
}

static GLogWriterOutput
write_log (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  for (gsize i = 0; i < n && (level & G_LOG_LEVEL_WARNING); i++)
    if (g_str_equal (fields[i].key, "MESSAGE")) {
      warnings++;
      g_free (last);
      last = g_strdup (fields[i].value);
    }
  return level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)
             ? g_log_writer_default (level, fields, n, data)
             : G_LOG_WRITER_HANDLED;
}

void
scratch_keep_warnings (void)
{
  g_log_set_writer_func (write_log, NULL, NULL);
}

unsigned
scratch_warnings (void)
{
  unsigned n = warnings;
  warnings = 0;
  return n;
}

const char *
scratch_last_warning (void)
{
  return last ? last : "";
}
