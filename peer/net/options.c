/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/options.h"

#include <errno.h>
#include <gio/gio.h>
#include <math.h>
#include <string.h>

static const GOptionEntry *
find_entry (const GOptionEntry *entries, const char *key)
{
  if (*key == '\0' || strcmp (key, "config") == 0 || strcmp (key, "version") == 0)
    return NULL;
  for (; entries->long_name != NULL; entries++)
    if (strcmp (entries->long_name, key) == 0)
      return entries;
  return NULL;
}

/* Each value is read even where it does not count, so that a mistake is told anyhow. */
static bool
read_value (GKeyFile *file, const char *section, const GOptionEntry *entry, GError **error)
{
  const char *key = entry->long_name;
  GError *local = NULL;

  if (entry->arg == G_OPTION_ARG_STRING || entry->arg == G_OPTION_ARG_FILENAME) {
    char **out = entry->arg_data;
    g_autofree char *text = g_key_file_get_string (file, section, key, &local);
    if (*out == NULL)
      *out = g_steal_pointer (&text);
  } else if (entry->arg == G_OPTION_ARG_STRING_ARRAY) {
    char ***out = entry->arg_data;
    g_auto (GStrv) texts = g_key_file_get_string_list (file, section, key, NULL, &local);
    if (*out == NULL)
      *out = g_steal_pointer (&texts);
  } else if (entry->arg == G_OPTION_ARG_INT) {
    int *out = entry->arg_data;
    int number = g_key_file_get_integer (file, section, key, &local);
    if (local == NULL && *out < 0)
      *out = number;
  } else {
    gboolean *out = entry->arg_data;
    g_assert (entry->arg == G_OPTION_ARG_NONE);
    *out |= g_key_file_get_boolean (file, section, key, &local);
  }
  if (local != NULL)
    g_propagate_prefixed_error (error, local, "[%s] %s: ", section, key);
  return local == NULL;
}

static bool
read_section (GKeyFile *file, const char *section, const GOptionEntry *entries, GError **error)
{
  g_auto (GStrv) keys = g_key_file_get_keys (file, section, NULL, NULL);

  for (char **key = keys; key != NULL && *key != NULL; key++) {
    const GOptionEntry *entry = find_entry (entries, *key);
    if (entry == NULL) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "[%s] %s: there is no such option; --help names them", section, *key);
      return false;
    }
    if (!read_value (file, section, entry, error))
      return false;
  }
  return true;
}

static bool
is_line (const char *line)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *text = g_strconcat ("[section]\n", line, NULL);
  return g_utf8_validate (line, -1, NULL) &&
         g_key_file_load_from_data (file, text, strlen (text), G_KEY_FILE_NONE, NULL);
}

GKeyFile *
net_options_open (const char *path, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *text = NULL;
  gsize n;
  if (!g_file_get_contents (path, &text, &n, error))
    return NULL;
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (unsigned i = 0; lines[i] != NULL; i++)
    if (!is_line (lines[i])) {
      g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE,
                   "%s: line %u: expected [SECTION], NAME=VALUE or # comment", path, i + 1);
      return NULL;
    }
  if (g_key_file_load_from_data (file, text, n, G_KEY_FILE_NONE, NULL))
    return g_steal_pointer (&file);
  g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_GROUP_NOT_FOUND,
               "%s: it begins with no [SECTION]", path);
  return NULL;
}

bool
net_options_read_file (const char *path, const GOptionEntry *entries, GError **error)
{
  g_autoptr (GKeyFile) file = net_options_open (path, error);
  if (file == NULL)
    return false;
  g_auto (GStrv) sections = g_key_file_get_groups (file, NULL);
  for (char **section = sections; *section != NULL; section++)
    if (!read_section (file, *section, entries, error)) {
      g_prefix_error (error, "%s: ", path);
      return false;
    }
  return true;
}

bool
net_options_max_per_ip (int said, unsigned *out, GError **error)
{
  *out = said < 0 ? 0 : (unsigned)said;
  if (said == -1 || (said >= 1 && said <= 10000))
    return true;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               "--max-per-ip %d: give a number from 1 to 10000", said);
  return false;
}

bool
net_options_loss_tolerance (int said, unsigned *out, GError **error)
{
  *out = said < 0 ? 0 : (unsigned)said;
  if (said >= -1 && said <= 10)
    return true;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               "--loss-tolerance %d: give a percentage from 0 to 10", said);
  return false;
}

bool
net_options_size (const char *text, uint64_t *out)
{
  char *end;
  errno = 0;
  double value = g_ascii_strtod (text, &end);
  if (end == text || errno != 0 || !(value >= 0))
    return false;
  while (*end == ' ')
    end++;
  static const char units[] = "KMGT";
  double factor = 1;
  const char *unit = *end ? strchr (units, g_ascii_toupper (*end)) : NULL;
  if (unit) {
    for (const char *u = units; u <= unit; u++)
      factor *= 1024;
    end++;
    if (*end == 'i')
      end++;
  }
  if (*end == 'B' || *end == 'b')
    end++;
  if (*end != '\0' || !isfinite (value) || value * factor > 1e18)
    return false;
  *out = (uint64_t)(value * factor);
  return true;
}
