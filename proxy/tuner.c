/* SPDX-License-Identifier: Apache-2.0 */
/* A guide of many channels has tens of megabytes, and who asks for it may be slow: it is written a
 * piece at a time, from what is known then. A list of channels that changes meanwhile may make one of
 * them missing or there twice, until the guide is read again. */
#include "proxy/tuner.h"
#include "dlna/didl.h"
#include "proxy/library.h"
#include "proxy/respond.h"
#include "proxy/sessions.h"
#include <string.h>

#define PIECE 65536 /* bytes of the guide, and what the last channel in it has more */

struct ProxyTuner {
  ProxyTunerOptions with;
  size_t n;             /* addresses that are served */
  GHashTable *writings; /* Writing: of guides that are on their way */
};

/* --- M3U --- */

/* An attribute of an M3U line: no quotes and no end of line in it. */
static void
append_attribute (GString *out, const char *key, const char *value)
{
  if (!value)
    return;
  g_string_append_printf (out, " %s=\"", key);
  for (const char *c = value; *c; c++)
    g_string_append_c (out, *c == '"' || (guchar)*c < 0x20 ? ' ' : *c);
  g_string_append_c (out, '"');
}

static void
append_entry (GString *out, const ProxyChannel *channel, const char *host, bool resumes)
{
  g_string_append (out, "#EXTINF:-1");
  append_attribute (out, "tvg-id", channel->id);
  append_attribute (out, "tvg-name", channel->name);
  append_attribute (out, "tvg-logo", channel->logo);
  append_attribute (out, "group-title", channel->group);
  if (channel->number > 0)
    g_string_append_printf (out, " tvg-chno=\"%d\"", channel->number);
  g_autofree char *path = proxy_library_path (channel);
  g_string_append_printf (out, ",%s\n", channel->name);
  if (resumes && channel->stopped > 0) /* VLC; for the others it is a comment */
    g_string_append_printf (out, "#EXTVLCOPT:start-time=%" G_GINT64_FORMAT "\n",
                            channel->stopped / G_USEC_PER_SEC);
  g_string_append_printf (out, "http://%s%s\n", host, path);
}

/* By which the asker has reached us; the listener has checked it. NULL = it was answered. */
static const char *
host_of (SoupServerMessage *message)
{
  const char *host =
      soup_message_headers_get_one (soup_server_message_get_request_headers (message), "Host");
  if (!proxy_respond_reads_only (message, "GET, HEAD"))
    return NULL;
  if (host && !strpbrk (host, "/ \t\"<>\\?#@"))
    return host;
  proxy_respond_error (message, SOUP_STATUS_BAD_REQUEST, "the request needs a Host");
  return NULL;
}

static void
serve_playlist (ProxyTuner *self, SoupServerMessage *message, GHashTable *query)
{
  const char *host = host_of (message);
  const char *id = query ? g_hash_table_lookup (query, "id") : NULL;
  const GPtrArray *channels = proxy_catalog_list (self->with.catalog);
  if (!host)
    return;
  GString *out = g_string_new ("#EXTM3U");
  g_string_append_printf (out, " x-tvg-url=\"http://%s/guide.xml\"\n", host);
  for (guint i = 0; i < channels->len; i++) {
    const ProxyChannel *channel = channels->pdata[i];
    if (!id || g_str_equal (channel->id, id))
      append_entry (out, channel, host, query && g_hash_table_contains (query, "resume"));
  }
  proxy_respond (message, SOUP_STATUS_OK, "audio/x-mpegurl; charset=utf-8", out);
  soup_message_headers_replace (soup_server_message_get_response_headers (message),
                                "Content-Disposition", "attachment; filename=\"channels.m3u\"");
}

/* --- what is television --- */

static bool
is_broadcast (const ProxyChannel *channel)
{
  return channel->live && g_strcmp0 (channel->mime, "video/mp2t") == 0;
}

/* A recorder keeps what it records by the channel's number, and finds its guide by that, so each has one of
 * its own. It stays when others come and go, but for those that share: of channels that have the same number
 * in the lists, or the same hash, the first has it, and when that goes it falls to the next. Lists have
 * numbers up to 99999. */
static unsigned
take_number (const ProxyChannel *channel, GHashTable *taken)
{
  unsigned number = (unsigned)channel->number;
  if (number == 0 || g_hash_table_contains (taken, GUINT_TO_POINTER (number)))
    number = 100000 + g_str_hash (channel->id) % 900000;
  while (!g_hash_table_add (taken, GUINT_TO_POINTER (number)))
    number++;
  return number;
}

/* --- XMLTV: all channels, then all programmes, as its DTD wants it --- */

typedef enum { HEAD, CHANNELS, PROGRAMMES, END } Part;

typedef struct {
  ProxyTuner *tuner; /* NULL = it has gone */
  Part part;
  guint next;        /* of that part's channels */
  GHashTable *taken; /* numbers */
} Writing;

static void
writing_free (gpointer data)
{
  Writing *self = data;
  if (self->tuner)
    g_hash_table_remove (self->tuner->writings, self);
  g_hash_table_unref (self->taken);
  g_free (self);
}

static void
append_element (GString *out, const char *name, const char *text)
{
  if (!text || text[0] == '\0')
    return;
  g_string_append_printf (out, "<%s>", name);
  dlna_didl_escape (out, text);
  g_string_append_printf (out, "</%s>", name);
}

/* An ID is made of a-z 0-9 . _ - and needs no escape. */
static void
append_channel (GString *out, const ProxyChannel *channel, unsigned number)
{
  g_string_append_printf (out, "<channel id=\"%s\">", channel->id);
  append_element (out, "display-name", channel->name);
  g_string_append_printf (out, "<display-name>%u</display-name>", number);
  if (channel->logo) {
    g_string_append (out, "<icon src=\"");
    dlna_didl_escape (out, channel->logo);
    g_string_append (out, "\"/>");
  }
  g_string_append (out, "</channel>\n");
}

static void
append_time (GString *out, const char *name, int64_t seconds)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (seconds);
  g_autofree char *text = g_date_time_format (time, "%Y%m%d%H%M%S +0000");
  g_string_append_printf (out, " %s=\"%s\"", name, text);
}

static void
append_programmes (GString *out, ProxyProgrammes *programmes, const ProxyChannel *channel)
{
  const GPtrArray *all = proxy_programmes_of (programmes, channel->id);
  for (guint i = 0; all && i < all->len; i++) {
    const ProxyProgramme *programme = all->pdata[i];
    g_string_append (out, "<programme");
    append_time (out, "start", programme->start);
    append_time (out, "stop", programme->stop);
    g_string_append_printf (out, " channel=\"%s\">", channel->id);
    append_element (out, "title", programme->title);
    append_element (out, "desc", programme->about);
    g_string_append (out, "</programme>\n");
  }
}

static GString *
next_piece (gpointer data)
{
  Writing *self = data;
  if (!self->tuner || self->part == END)
    return NULL;
  GString *out = g_string_new (NULL);
  const GPtrArray *channels = proxy_catalog_list (self->tuner->with.catalog);
  if (self->part == HEAD)
    g_string_append (out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                          "<tv generator-info-name=\"ppsp-proxy\">\n");
  while (out->len < PIECE && self->part != END) {
    if (self->part == HEAD || self->next >= channels->len) {
      self->part++;
      self->next = 0;
      continue;
    }
    const ProxyChannel *channel = channels->pdata[self->next++];
    if (!is_broadcast (channel))
      continue;
    if (self->part == CHANNELS)
      append_channel (out, channel, take_number (channel, self->taken));
    else
      append_programmes (out, self->tuner->with.programmes, channel);
  }
  if (self->part == END)
    g_string_append (out, "</tv>\n");
  return out;
}

static void
serve_guide (ProxyTuner *self, SoupServerMessage *message, GHashTable *query)
{
  if (!proxy_respond_reads_only (message, "GET, HEAD"))
    return;
  Writing *writing = g_new0 (Writing, 1);
  writing->tuner = self;
  writing->taken = g_hash_table_new (NULL, NULL);
  g_hash_table_add (self->writings, writing);
  proxy_respond_pieces (message, "application/xml; charset=utf-8", next_piece, writing,
                        writing_free);
}

/* --- HDHomeRun --- */

static void
append_base (GString *out, const char *host, const char *key, const char *path)
{
  g_autofree char *address = g_strdup_printf ("http://%s%s", host, path);
  proxy_json_text (out, key, address);
}

static void
serve_device (ProxyTuner *self, SoupServerMessage *message, GHashTable *query)
{
  const char *host = host_of (message);
  if (!host)
    return;
  g_autofree char *id = g_strdup_printf ("%08X", self->with.device_id);
  GString *out = g_string_new ("{");
  proxy_json_text (out, "FriendlyName", self->with.name);
  proxy_json_text (out, "ModelNumber", "ppsp-proxy");
  proxy_json_text (out, "FirmwareName", "ppsp-proxy");
  proxy_json_text (out, "FirmwareVersion", PPSP_VERSION);
  proxy_json_text (out, "DeviceID", id);
  proxy_json_text (out, "DeviceAuth", ""); /* for the maker's own guide; some insist on the field */
  append_base (out, host, "BaseURL", "");
  append_base (out, host, "LineupURL", "/lineup.json");
  proxy_json_number (out, "TunerCount", PROXY_SESSIONS_MAX);
  g_string_append (out, "}\n");
  proxy_respond (message, SOUP_STATUS_OK, "application/json", out);
}

static void
serve_lineup (ProxyTuner *self, SoupServerMessage *message, GHashTable *query)
{
  const char *host = host_of (message);
  const GPtrArray *channels = proxy_catalog_list (self->with.catalog);
  if (!host)
    return;
  g_autoptr (GHashTable) taken = g_hash_table_new (NULL, NULL);
  GString *out = g_string_new ("[");
  for (guint i = 0; i < channels->len; i++) {
    const ProxyChannel *channel = channels->pdata[i];
    if (!is_broadcast (channel))
      continue;
    g_autofree char *number = g_strdup_printf ("%u", take_number (channel, taken));
    g_autofree char *path = proxy_library_path (channel);
    proxy_json_key (out, NULL);
    g_string_append_c (out, '{');
    proxy_json_text (out, "GuideNumber", number);
    proxy_json_text (out, "GuideName", channel->name);
    append_base (out, host, "URL", path);
    g_string_append_c (out, '}');
  }
  g_string_append (out, "]\n");
  proxy_respond (message, SOUP_STATUS_OK, "application/json", out);
}

/* There is nothing to be tuned, so no scan; "Cable" is a source that programs know. */
static void
serve_scan (ProxyTuner *self, SoupServerMessage *message, GHashTable *query)
{
  if (proxy_respond_reads_only (message, "GET, HEAD"))
    proxy_respond (message, SOUP_STATUS_OK, "application/json",
                   g_string_new ("{\"ScanInProgress\":0,\"ScanPossible\":0,\"Source\":\"Cable\","
                                 "\"SourceList\":[\"Cable\"]}\n"));
}

/* --- the face --- */

static const struct {
  const char *path;
  void (*serve) (ProxyTuner *self, SoupServerMessage *message, GHashTable *query);
} addresses[] = {
    {"/channels.m3u", serve_playlist}, {"/guide.xml", serve_guide},
    {"/discover.json", serve_device}, /* from here on as a tuner */
    {"/lineup.json", serve_lineup},    {"/lineup_status.json", serve_scan},
};
enum { ALWAYS = 2 };

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  for (size_t i = 0; i < G_N_ELEMENTS (addresses); i++)
    if (g_str_equal (path, addresses[i].path)) {
      addresses[i].serve (data, message, query);
      return;
    }
  proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "there is nothing at this address");
}

ProxyTuner *
proxy_tuner_new (const ProxyTunerOptions *options)
{
  ProxyTuner *self = g_new0 (ProxyTuner, 1);
  self->with = *options;
  self->n = options->device_id ? G_N_ELEMENTS (addresses) : ALWAYS;
  self->writings = g_hash_table_new (NULL, NULL);
  for (size_t i = 0; i < self->n; i++)
    soup_server_add_handler (options->server, addresses[i].path, on_request, self, NULL);
  return self;
}

void
proxy_tuner_free (ProxyTuner *self)
{
  GHashTableIter iter;
  gpointer key;
  if (!self)
    return;
  for (size_t i = 0; i < self->n; i++)
    soup_server_remove_handler (self->with.server, addresses[i].path);
  g_hash_table_iter_init (&iter, self->writings);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    ((Writing *)key)->tuner = NULL;
  g_hash_table_unref (self->writings);
  g_free (self);
}
