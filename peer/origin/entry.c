/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/origin/entry.h"

#include "peer/origin/state.h"

#include <gio/gio.h>
#include <string.h>

void
origin_entry_free (OriginEntry *self)
{
  g_free (self->id);
  g_free (self->name);
  g_free (self->source);
  g_free (self);
}

/* Where the source of a pull begins: names may have commas, and URIs too. */
static const char *
find_source (OriginKind kind, const char *text)
{
  const char *http = strstr (text, ",http://"), *https = strstr (text, ",https://");

  if (kind == ORIGIN_FILE)
    return strchr (text, ',');
  if (http == NULL || (https != NULL && https < http))
    return https;
  return http;
}

OriginEntry *
origin_entry_parse (OriginKind kind, const char *text, GError **error)
{
  g_autoptr (OriginEntry) self = g_new0 (OriginEntry, 1);
  g_autofree char *head = NULL;
  const char *source = kind == ORIGIN_CHANNEL ? NULL : find_source (kind, text);
  char *equals;

  self->kind = kind;
  if (kind != ORIGIN_CHANNEL && (source == NULL || source[1] == '\0')) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "\"%s\" is not ID[=NAME],%s", text,
                 kind == ORIGIN_PULL ? "http(s)://URI" : "PATH");
    return NULL;
  }
  if (source != NULL)
    self->source = g_strdup (source + 1);
  head = g_strndup (text, source != NULL ? (size_t)(source - text) : strlen (text));
  equals = strchr (head, '=');
  if (equals != NULL)
    *equals = '\0';
  if (!origin_id_is_valid (head)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "\"%s\" is no ID: 1 to 64 of a-z 0-9 . _ -, with no dot in front and no "
                 "\".hashes\" at the end",
                 head);
    return NULL;
  }
  self->id = g_strdup (head);
  self->name = g_strdup (equals != NULL && equals[1] != '\0' ? equals + 1 : head);
  if (!g_utf8_validate (self->name, -1, NULL) || strlen (self->name) > 256) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "the name of \"%s\" is no UTF-8 text of at most 256 bytes", head);
    return NULL;
  }
  return g_steal_pointer (&self);
}
