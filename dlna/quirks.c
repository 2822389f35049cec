/* SPDX-License-Identifier: Apache-2.0 */
/* A row matches when all the words it has are in the header that they are for, and none of those it
 * must not have. The first row that matches counts; the owner's come first, in the order of the
 * file. */

#include "dlna/quirks.h"
#include <string.h>

#define MAX_ROWS 256

typedef struct {
  const char *agent;     /* in User-Agent; NULL = any */
  const char *not_agent; /* not in User-Agent */
  const char *client;    /* in X-AV-Client-Info; NULL = any */
  const char *address;   /* of the renderer; NULL = any */
  DlnaQuirk quirk;
} Row;

struct DlnaQuirks {
  GArray *rows; /* Row */
  GStringChunk *texts;
};

static const Row built_in[] = {
    /* Plays live TS when it is told what it is told of a file; greys out with flags it does not
     * know. The Samsung program for PCs calls itself [PC] and needs nothing. */
    {.agent = "SEC_HHP_",
     .not_agent = "[PC]",
     .quirk = {.family = "Samsung", .style = {.live_flags = "01700000"}}},
    /* The same: NetCast and webOS say "format not supported" to sender-paced streams. */
    {.agent = "LGE_DLNA_SDK", .quirk = {.family = "LG", .style = {.live_flags = "01700000"}}},
    {.agent = "LG NetCast", .quirk = {.family = "LG", .style = {.live_flags = "01700000"}}},
    /* And it says so of films that can be sought by time. */
    {.agent = "LG webOS",
     .quirk = {.family = "LG", .style = {.live_flags = "01700000", .bytes_only = true}}},
    /* Its own list of what it can play has these flags for live TS. The User-Agent says nothing. */
    {.client = "BRAVIA", .quirk = {.family = "Sony Bravia", .style = {.live_flags = "8D700000"}}},
    /* Asks for an order that it then ignores: it sorts by title. Seeks at random where it has the
     * choice between bytes and time. */
    {.agent = "Panasonic MIL DLNA CP",
     .quirk = {.family = "Panasonic Viera", .style = {.bytes_only = true}, .numbers_titles = true}},
    /* Looks for the end of what it plays, far behind what any file has, and gives up when it is
     * told that there is none. */
    {.agent = "PhilipsIntelSDK", .quirk = {.family = "Philips", .ignores_ranges = true}},
    {.agent = "IPI/1.", .quirk = {.family = "Philips", .ignores_ranges = true}},
    {.agent = "Allegro-Software-WebClient", .quirk = {.family = "Philips", .ignores_ranges = true}},
};

static const DlnaQuirk none = {.family = "other"};

/* --- the owner's rows --- */

typedef enum { TEXT, FLAGS, SWITCH } Kind;

static const struct {
  const char *key;
  Kind kind;
  size_t offset;
} keys[] = {
    {"user-agent", TEXT, offsetof (Row, agent)},
    {"not-user-agent", TEXT, offsetof (Row, not_agent)},
    {"client-info", TEXT, offsetof (Row, client)},
    {"address", TEXT, offsetof (Row, address)},
    {"live-flags", FLAGS, offsetof (Row, quirk.style.live_flags)},
    {"transport-type", TEXT, offsetof (Row, quirk.style.transport_type)},
    {"omit-profile", SWITCH, offsetof (Row, quirk.style.omit_name)},
    {"omit-flags", SWITCH, offsetof (Row, quirk.style.omit_flags)},
    {"bytes-only", SWITCH, offsetof (Row, quirk.style.bytes_only)},
    {"number-titles", SWITCH, offsetof (Row, quirk.numbers_titles)},
    {"ignore-ranges", SWITCH, offsetof (Row, quirk.ignores_ranges)},
    {"chunked", SWITCH, offsetof (Row, quirk.chunked)},
};

/* What goes into a header: no control characters, and something. */
static bool
is_plain (const char *text)
{
  for (const char *c = text; *c != '\0'; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f)
      return false;
  return text[0] != '\0';
}

static bool
is_flags (const char *text)
{
  return strlen (text) == 8 && strspn (text, "0123456789ABCDEFabcdef") == 8;
}

/* NULL, or what was expected. */
static const char *
apply (DlnaQuirks *self, Row *row, const char *key, const char *value)
{
  for (size_t i = 0; i < G_N_ELEMENTS (keys); i++) {
    void *field = (char *)row + keys[i].offset;
    if (strcmp (keys[i].key, key) != 0)
      continue;
    switch (keys[i].kind) {
    case FLAGS:
      if (!is_flags (value))
        return "8 hexadecimal digits";
      *(const char **)field = g_string_chunk_insert (self->texts, value);
      return NULL;
    case TEXT:
      if (!is_plain (value))
        return "some text";
      *(const char **)field = g_string_chunk_insert (self->texts, value);
      return NULL;
    case SWITCH:
      if (strcmp (value, "true") != 0 && strcmp (value, "false") != 0)
        return "true or false";
      *(bool *)field = strcmp (value, "true") == 0;
      return NULL;
    }
  }
  return "one of user-agent, not-user-agent, client-info, address, live-flags, transport-type, "
         "omit-profile, omit-flags, bytes-only, number-titles, ignore-ranges, chunked";
}

static bool
read_group (DlnaQuirks *self, GKeyFile *file, const char *path, const char *group, GError **error)
{
  g_auto (GStrv) names = g_key_file_get_keys (file, group, NULL, NULL);
  Row row = {.quirk = {.family = g_string_chunk_insert (self->texts, group)}};

  for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
    g_autofree char *value = g_key_file_get_string (file, group, names[i], error);
    const char *expected;
    if (value == NULL) {
      g_prefix_error (error, "%s: [%s] %s: ", path, group, names[i]);
      return false;
    }
    expected = apply (self, &row, names[i], g_strstrip (value));
    if (expected != NULL) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: [%s] %s=%s: expected %s", path,
                   group, names[i], value, expected);
      return false;
    }
  }
  if (row.agent == NULL && row.client == NULL && row.address == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                 "%s: [%s] says of no renderer what it is known by: user-agent, client-info or "
                 "address",
                 path, group);
    return false;
  }
  g_array_append_val (self->rows, row);
  return true;
}

DlnaQuirks *
dlna_quirks_new (const char *path, GError **error)
{
  g_autoptr (DlnaQuirks) self = g_new0 (DlnaQuirks, 1);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_auto (GStrv) groups = NULL;
  gsize n = 0;

  self->rows = g_array_new (FALSE, TRUE, sizeof (Row));
  self->texts = g_string_chunk_new (1024);
  if (path == NULL)
    return g_steal_pointer (&self);
  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, error)) {
    g_prefix_error (error, "cannot read %s: ", path);
    return NULL;
  }
  groups = g_key_file_get_groups (file, &n);
  if (n > MAX_ROWS) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: more than %d renderers", path,
                 MAX_ROWS);
    return NULL;
  }
  for (gsize i = 0; i < n; i++)
    if (!read_group (self, file, path, groups[i], error))
      return NULL;
  return g_steal_pointer (&self);
}

void
dlna_quirks_free (DlnaQuirks *self)
{
  if (self == NULL)
    return;
  g_array_unref (self->rows);
  g_string_chunk_free (self->texts);
  g_free (self);
}

/* --- who is it? --- */

static bool
fits (const Row *row, const char *agent, const char *client, const char *address)
{
  return (row->agent == NULL || strstr (agent, row->agent) != NULL) &&
         (row->not_agent == NULL || strstr (agent, row->not_agent) == NULL) &&
         (row->client == NULL || strstr (client, row->client) != NULL) &&
         (row->address == NULL || strcmp (address, row->address) == 0);
}

const DlnaQuirk *
dlna_quirks_find (const DlnaQuirks *self, const char *user_agent, const char *av_client_info,
                  const char *address)
{
  const char *agent = user_agent != NULL ? user_agent : "";
  const char *client = av_client_info != NULL ? av_client_info : "";
  const char *where = address != NULL ? address : "";

  for (guint i = 0; self != NULL && i < self->rows->len; i++) {
    const Row *row = &g_array_index (self->rows, Row, i);
    if (fits (row, agent, client, where))
      return &row->quirk;
  }
  for (size_t i = 0; i < G_N_ELEMENTS (built_in); i++)
    if (fits (&built_in[i], agent, client, where))
      return &built_in[i].quirk;
  return &none;
}

const DlnaQuirk *
dlna_quirks_of (const DlnaQuirks *self, SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);

  return dlna_quirks_find (self, soup_message_headers_get_one (headers, "User-Agent"),
                           soup_message_headers_get_one (headers, "X-AV-Client-Info"),
                           soup_server_message_get_remote_host (message));
}

char *
dlna_quirk_text (const DlnaQuirk *self)
{
  Row row = {.quirk = *self};
  GString *out = g_string_new (NULL);

  for (size_t i = 0; i < G_N_ELEMENTS (keys); i++) {
    const void *field = (const char *)&row + keys[i].offset;
    const char *value = keys[i].kind != SWITCH ? *(const char *const *)field
                        : *(const bool *)field ? "true"
                                               : NULL;
    if (value != NULL)
      g_string_append_printf (out, "%s%s=%s", out->len > 0 ? " " : "", keys[i].key, value);
  }
  return g_string_free (out, FALSE);
}
