/* SPDX-License-Identifier: Apache-2.0 */
/* The page asks for the status every 2 s, so that holds only what is in play; the list of all
 * channels is another address, and its generation says whether to ask for it again. */
#include "proxy/api.h"
#include "peer/link.h"
#include "proxy/library.h"
#include "proxy/respond.h"
#include <json-glib/json-glib.h>
#include <string.h>

enum { MAX_DEPTH = 4 };

static void
write_channel (GString *out, const ProxyChannel *channel, bool link)
{
  g_autofree char *path = proxy_library_path (channel);
  proxy_json_key (out, NULL);
  g_string_append_c (out, '{');
  proxy_json_text (out, "id", channel->id);
  proxy_json_text (out, "name", channel->name);
  proxy_json_text (out, "group", channel->group);
  proxy_json_text (out, "logo", channel->logo);
  proxy_json_number (out, "number", channel->number);
  proxy_json_bool (out, "live", channel->live);
  proxy_json_bool (out, "favourite", channel->favourite);
  proxy_json_text (out, "mime", channel->mime);
  proxy_json_number (out, "length", channel->length);
  if (channel->stopped > 0)
    proxy_json_number (out, "stopped", channel->stopped / G_USEC_PER_SEC);
  proxy_json_text (out, "path", path);
  if (channel->live && g_strcmp0 (channel->mime, "video/mp2t") == 0) {
    g_autofree char *hls = g_strdup_printf ("/media/%s.m3u8", channel->id);
    proxy_json_text (out, "hls", hls);
  }
  proxy_json_text (out, "source", channel->source);
  if (link)
    proxy_json_text (out, "link", channel->link);
  g_string_append_c (out, '}');
}

/* --- status --- */

static void
write_active (const ProxyParts *with, GString *out, ProxySession *session, uint64_t *down,
              uint64_t *up)
{
  const char *id = proxy_session_id (session);
  const char *error = NULL;
  ProxySessionStats stats;
  proxy_session_stats (session, &stats);
  ProxyState state = proxy_sessions_state (with->sessions, id, NULL, &error);
  *down += stats.swarm.download_rate;
  *up += stats.swarm.upload_rate;
  proxy_json_key (out, NULL);
  g_string_append_c (out, '{');
  proxy_json_text (out, "id", id);
  proxy_json_text (out, "state", proxy_state_name (state));
  proxy_json_number (out, "peers", stats.swarm.channels);
  proxy_json_number (out, "seeders", stats.swarm.seeders);
  proxy_json_number (out, "down_rate", (int64_t)stats.swarm.download_rate);
  proxy_json_number (out, "up_rate", (int64_t)stats.swarm.upload_rate);
  proxy_json_number (out, "downloaded", (int64_t)stats.swarm.downloaded);
  proxy_json_number (out, "uploaded", (int64_t)stats.swarm.uploaded);
  proxy_json_number (out, "up_limit", (int64_t)stats.swarm.upload_limit);
  proxy_json_number (out, "down_limit", (int64_t)stats.swarm.download_limit);
  proxy_json_number (out, "choked", stats.swarm.choked);
  proxy_json_number (out, "skipped", (int64_t)stats.skipped);
  proxy_json_number (out, "memory", (int64_t)stats.memory);
  proxy_json_number (out, "memory_room", (int64_t)stats.memory_room);
  proxy_json_number (out, "window", stats.window / G_USEC_PER_SEC);
  proxy_json_number (out, "timeshift", (int64_t)stats.timeshift);
  proxy_json_text (out, "timeshift_error", stats.timeshift_error);
  proxy_json_number (out, "seconds", (g_get_monotonic_time () - stats.since) / G_USEC_PER_SEC);
  proxy_json_bool (out, "tracker_joined", stats.tracker_joined);
  proxy_json_text (out, "tracker_error", stats.tracker_joined ? NULL : stats.tracker_error);
  proxy_json_number (out, "fallback", (int64_t)stats.fallback.bytes);
  proxy_json_number (out, "fallback_refused", (int64_t)stats.fallback.refused);
  proxy_json_bool (out, "fallback_active", stats.fallback.active);
  proxy_json_text (out, "fallback_error", stats.fallback.error);
  proxy_json_text (out, "error", error);
  g_string_append_c (out, '}');
}

static void
write_all_active (const ProxyParts *with, GString *out)
{
  uint64_t down = 0, up = 0;
  g_autoptr (GPtrArray) active = proxy_sessions_list (with->sessions);
  g_autoptr (GPtrArray) failed = proxy_sessions_failed (with->sessions);
  proxy_json_key (out, "active");
  g_string_append_c (out, '[');
  for (guint i = 0; i < active->len; i++)
    write_active (with, out, active->pdata[i], &down, &up);
  for (guint i = 0; i < failed->len; i++) {
    const char *error = NULL;
    proxy_sessions_state (with->sessions, failed->pdata[i], NULL, &error);
    proxy_json_key (out, NULL);
    g_string_append_c (out, '{');
    proxy_json_text (out, "id", failed->pdata[i]);
    proxy_json_text (out, "state", "failed");
    proxy_json_text (out, "error", error);
    g_string_append_c (out, '}');
  }
  g_string_append_c (out, ']');
  proxy_json_number (out, "down_rate", (int64_t)down);
  proxy_json_number (out, "up_rate", (int64_t)up);
}

static void
write_viewers (const ProxyParts *with, GString *out)
{
  proxy_json_key (out, "viewers");
  g_string_append_c (out, '[');
  g_autoptr (GPtrArray) viewers = with->media ? dlna_media_viewers (with->media) : NULL;
  for (guint i = 0; viewers && i < viewers->len; i++) {
    const DlnaViewer *viewer = viewers->pdata[i];
    const ProxyChannel *channel = proxy_catalog_lookup (with->catalog, viewer->item_id);
    proxy_json_key (out, NULL);
    g_string_append_c (out, '{');
    proxy_json_text (out, "id", viewer->item_id);
    proxy_json_text (out, "name", channel ? channel->name : viewer->item_id);
    proxy_json_text (out, "viewer", viewer->viewer);
    proxy_json_text (out, "family", viewer->family);
    proxy_json_number (out, "rate", (int64_t)viewer->rate);
    proxy_json_number (out, "bytes", (int64_t)viewer->bytes);
    proxy_json_number (out, "seconds", (g_get_monotonic_time () - viewer->since) / G_USEC_PER_SEC);
    proxy_json_number (out, "first_byte_ms",
                       viewer->first_byte < 0 ? -1 : viewer->first_byte / 1000);
    proxy_json_number (out, "behind_ms", viewer->behind < 0 ? -1 : viewer->behind / 1000);
    g_string_append_c (out, '}');
  }
  g_string_append_c (out, ']');
}

static void
write_lists (const ProxyParts *with, GString *out)
{
  proxy_json_key (out, "lists");
  g_string_append_c (out, '[');
  for (unsigned i = 0; with->guide && i < proxy_guide_n (with->guide); i++) {
    ProxyGuideStatus status;
    proxy_guide_status (with->guide, i, &status);
    proxy_json_key (out, NULL);
    g_string_append_c (out, '{');
    proxy_json_text (out, "uri", status.uri);
    proxy_json_number (out, "channels", status.count.channels);
    proxy_json_number (out, "duplicates", status.count.duplicates);
    proxy_json_number (out, "rubbish", status.count.rubbish);
    proxy_json_bool (out, "truncated", status.count.truncated);
    proxy_json_number (out, "read_at", status.read_at);
    proxy_json_text (out, "error", status.error);
    g_string_append_c (out, '}');
  }
  g_string_append_c (out, ']');
}

GPtrArray *
proxy_api_warnings (const ProxyParts *with)
{
  GPtrArray *warnings = g_ptr_array_new_with_free_func (g_free);
  const char *trouble = proxy_catalog_trouble (with->catalog);
  if (trouble)
    g_ptr_array_add (warnings, g_strdup_printf ("Channels cannot be kept on disk: %s", trouble));
  if (with->warnings)
    with->warnings (warnings, with->data);
  return warnings;
}

static void
write_warnings (const ProxyParts *with, GString *out)
{
  g_autoptr (GPtrArray) warnings = proxy_api_warnings (with);
  proxy_json_key (out, "warnings");
  g_string_append_c (out, '[');
  for (guint i = 0; i < warnings->len; i++)
    proxy_json_text (out, NULL, warnings->pdata[i]);
  g_string_append_c (out, ']');
}

void
proxy_api_status (const ProxyParts *with, int64_t started, SoupServerMessage *message)
{
  if (!proxy_respond_reads_only (message, "GET, HEAD"))
    return;
  GString *out = g_string_new ("{");
  proxy_json_text (out, "name", with->name);
  proxy_json_text (out, "version", PPSP_VERSION);
  proxy_json_number (out, "uptime", (g_get_monotonic_time () - started) / G_USEC_PER_SEC);
  proxy_json_number (out, "generation", proxy_catalog_generation (with->catalog));
  proxy_json_number (out, "n_channels", proxy_catalog_list (with->catalog)->len);
  proxy_json_bool (out, "records", with->recordings != NULL);
  write_all_active (with, out);
  write_viewers (with, out);
  write_lists (with, out);
  write_warnings (with, out);
  g_string_append (out, "}\n");
  proxy_respond (message, SOUP_STATUS_OK, "application/json", out);
}

/* --- channels --- */

static void
list_channels (const ProxyParts *with, SoupServerMessage *message)
{
  const GPtrArray *channels = proxy_catalog_list (with->catalog);
  GString *out = g_string_new ("{");
  proxy_json_number (out, "generation", proxy_catalog_generation (with->catalog));
  proxy_json_key (out, "channels");
  g_string_append_c (out, '[');
  for (guint i = 0; i < channels->len; i++)
    write_channel (out, channels->pdata[i], false);
  g_string_append (out, "]}\n");
  proxy_respond (message, SOUP_STATUS_OK, "application/json", out);
}

/* The parser recurses with the depth of what it reads. */
static bool
is_shallow (const char *text, size_t n)
{
  unsigned depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < n; i++) {
    if (quoted && text[i] == '\\')
      i++;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && (text[i] == '{' || text[i] == '[') && ++depth > MAX_DEPTH)
      return false;
    else if (!quoted && (text[i] == '}' || text[i] == ']') && depth > 0)
      depth--;
  }
  return true;
}

static const char *
member (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);
  if (!node || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    return NULL;
  return json_node_get_string (node);
}

/* Returns the object that the request's body is, or NULL when it was refused. */
static JsonObject *
read_body (SoupServerMessage *message, JsonParser *parser, const char *expected)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);
  g_autoptr (GBytes) bytes = soup_message_body_flatten (body);
  size_t n;
  const char *text = g_bytes_get_data (bytes, &n);
  if (n > 0 && is_shallow (text, n) && json_parser_load_from_data (parser, text, (gssize)n, NULL)) {
    JsonNode *root = json_parser_get_root (parser);
    if (root && JSON_NODE_HOLDS_OBJECT (root))
      return json_node_get_object (root);
  }
  g_autofree char *sentence = g_strdup_printf ("the body must be a JSON object: %s", expected);
  proxy_respond_error (message, SOUP_STATUS_BAD_REQUEST, sentence);
  return NULL;
}

static void
respond_channel (SoupServerMessage *message, unsigned status, const ProxyChannel *channel)
{
  GString *out = g_string_new (NULL);
  write_channel (out, channel, true);
  if (out->str[0] == ',')
    g_string_erase (out, 0, 1);
  g_string_append_c (out, '\n');
  proxy_respond (message, status, "application/json", out);
}

static void
put_channel (const ProxyParts *with, SoupServerMessage *message, const char *text,
             const PeerLink *link, const char *wanted_name)
{
  g_autofree char *swarm_id = peer_content_swarm_id_hex (&link->content);
  const ProxyChannel *channel = proxy_catalog_lookup_swarm (with->catalog, swarm_id);
  if (channel) {
    respond_channel (message, SOUP_STATUS_OK, channel);
    return;
  }
  g_autofree char *name = wanted_name ? proxy_guide_clean_name (wanted_name) : NULL;
  if (!name)
    name = g_strdup_printf ("Channel %.8s", swarm_id + MIN (strlen (swarm_id), 4));
  ProxyDraft draft = {
      .swarm_id = swarm_id,
      .link = text,
      .name = name,
      .source = "",
      .mime = link->media_type,
      .live = peer_content_is_live (&link->content),
      .length = link->content.length > 0 ? (int64_t)link->content.length : -1,
  };
  if (proxy_catalog_put (with->catalog, &draft, &channel) == PROXY_CATALOG_FULL) {
    proxy_respond_error (message, SOUP_STATUS_INSUFFICIENT_STORAGE, "the catalog is full");
    return;
  }
  g_autofree char *location = g_strdup_printf ("/api/v1/channels/%s", channel->id);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Location",
                                location);
  respond_channel (message, SOUP_STATUS_CREATED, channel);
}

static void
add_channel (const ProxyParts *with, SoupServerMessage *message)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *object = read_body (message, parser, "{\"link\": \"ppsp:...\", \"name\": \"...\"}");
  if (!object)
    return;
  const char *given = member (object, "link");
  g_autofree char *text = given ? g_strstrip (g_strdup (given)) : NULL;
  if (!text || text[0] == '\0') {
    proxy_respond_error (message, SOUP_STATUS_BAD_REQUEST, "\"link\" must be a ppsp: link");
    return;
  }
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerLink) link = peer_link_parse (text, &error);
  if (!link) {
    proxy_respond_error (message, SOUP_STATUS_BAD_REQUEST, error->message);
    return;
  }
  put_channel (with, message, text, link, member (object, "name"));
}

void
proxy_api_channels (const ProxyParts *with, SoupServerMessage *message)
{
  if (g_str_equal (soup_server_message_get_method (message), "POST")) {
    if (proxy_respond_may_change (message))
      add_channel (with, message);
  } else if (proxy_respond_reads_only (message, "GET, HEAD, POST"))
    list_channels (with, message);
}

void
proxy_api_channel (const ProxyParts *with, const char *id, SoupServerMessage *message)
{
  bool removes = g_str_equal (soup_server_message_get_method (message), "DELETE");
  if (removes ? !proxy_respond_may_change (message)
              : !proxy_respond_reads_only (message, "GET, HEAD, DELETE"))
    return;
  const ProxyChannel *channel = proxy_catalog_lookup (with->catalog, id);
  if (!channel) {
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "there is no such channel");
    return;
  }
  if (!removes) {
    respond_channel (message, SOUP_STATUS_OK, channel);
    return;
  }
  if (with->recordings && proxy_recordings_remove (with->recordings, channel->swarm_id)) {
    soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
    return;
  }
  g_autofree char *kept = g_strdup (channel->id);
  proxy_sessions_stop (with->sessions, kept);
  proxy_catalog_remove (with->catalog, kept);
  soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
}

void
proxy_api_limit (const ProxyParts *with, const char *id, GHashTable *query,
                 SoupServerMessage *message)
{
  const char *up = query ? g_hash_table_lookup (query, "upload") : NULL;
  const char *down = query ? g_hash_table_lookup (query, "download") : NULL;
  g_autoptr (GError) error = NULL;
  const char *method = soup_server_message_get_method (message);
  bool removes = g_str_equal (method, "DELETE");
  if (!removes && !g_str_equal (method, "PUT")) {
    proxy_respond_not_allowed (message, "PUT, DELETE",
                               "limits are set with PUT, and taken back with DELETE");
    return;
  }
  if (!proxy_respond_may_change (message))
    return;
  if (!proxy_catalog_lookup (with->catalog, id)) {
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "there is no such channel");
    return;
  }
  if (removes) {
    proxy_sessions_unset_limit (with->sessions, id);
  } else if (!proxy_sessions_set_limit (with->sessions, id, up, down, &error)) {
    proxy_respond_error (message, SOUP_STATUS_BAD_REQUEST, error->message);
    return;
  }
  soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
}

void
proxy_api_favourite (const ProxyParts *with, const char *id, SoupServerMessage *message)
{
  const char *method = soup_server_message_get_method (message);
  bool wanted = g_str_equal (method, "PUT");
  if (!wanted && !g_str_equal (method, "DELETE")) {
    proxy_respond_not_allowed (message, "PUT, DELETE",
                               "a favourite is made with PUT, and no more with DELETE");
    return;
  }
  if (!proxy_respond_may_change (message))
    return;
  if (proxy_catalog_set_favourite (with->catalog, id, wanted))
    soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
  else
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "there is no such channel");
}

/* --- what is on --- */

static void
write_programme (GString *out, const char *key, const ProxyProgramme *programme)
{
  if (!programme)
    return;
  proxy_json_key (out, key);
  g_string_append_c (out, '{');
  proxy_json_text (out, "title", programme->title);
  proxy_json_text (out, "about", programme->about);
  proxy_json_number (out, "start", programme->start);
  proxy_json_number (out, "stop", programme->stop);
  g_string_append_c (out, '}');
}

void
proxy_api_now (const ProxyParts *with, SoupServerMessage *message)
{
  if (!proxy_respond_reads_only (message, "GET, HEAD"))
    return;
  const GPtrArray *channels = proxy_catalog_list (with->catalog);
  GString *out = g_string_new ("{");
  for (guint i = 0; with->programmes && i < channels->len; i++) {
    const ProxyChannel *channel = channels->pdata[i];
    const ProxyProgramme *now, *next;
    proxy_programmes_now (with->programmes, channel->id, &now, &next);
    if (!now && !next)
      continue;
    proxy_json_key (out, channel->id);
    g_string_append_c (out, '{');
    write_programme (out, "now", now);
    write_programme (out, "next", next);
    g_string_append_c (out, '}');
  }
  g_string_append (out, "}\n");
  proxy_respond (message, SOUP_STATUS_OK, "application/json", out);
}

/* --- recordings --- */

static void
write_recording (const ProxyParts *with, GString *out, const ProxyRecording *recording)
{
  const ProxyChannel *from = proxy_catalog_lookup (with->catalog, recording->channel);
  const ProxyChannel *as = proxy_catalog_lookup_swarm (with->catalog, recording->id);
  g_autofree char *path = as ? proxy_library_path (as) : NULL;
  proxy_json_key (out, NULL);
  g_string_append_c (out, '{');
  proxy_json_text (out, "id", recording->id);
  proxy_json_text (out, "name", recording->name);
  proxy_json_text (out, "channel", recording->channel);
  proxy_json_text (out, "channel_name", from ? from->name : NULL);
  proxy_json_number (out, "start", recording->start);
  proxy_json_number (out, "stop", recording->stop);
  proxy_json_text (out, "state", proxy_recording_state_name (recording->state));
  proxy_json_number (out, "bytes", (int64_t)recording->bytes);
  proxy_json_text (out, "error", recording->error);
  proxy_json_text (out, "path", path);
  proxy_json_bool (out, "shared", recording->shared);
  ProxyShareStatus share;
  if (proxy_recordings_share_status (with->recordings, recording->id, &share)) {
    proxy_json_number (out, "hashed", (int64_t)(share.hashed * 100));
    proxy_json_text (out, "link", share.link);
    proxy_json_text (out, "share_error", share.error);
    proxy_json_number (out, "peers", share.stats.swarm.channels);
    proxy_json_number (out, "uploaded", (int64_t)share.stats.swarm.uploaded);
    proxy_json_text (out, "tracker_error",
                     share.stats.tracker_joined ? NULL : share.stats.tracker_error);
  }
  g_string_append_c (out, '}');
}

static void
respond_recording (const ProxyParts *with, SoupServerMessage *message, unsigned status,
                   const ProxyRecording *recording)
{
  GString *out = g_string_new (NULL);
  write_recording (with, out, recording);
  g_string_append_c (out, '\n');
  proxy_respond (message, status, "application/json", out);
}

static void
list_recordings (const ProxyParts *with, SoupServerMessage *message)
{
  const GPtrArray *recordings = proxy_recordings_list (with->recordings);
  GString *out = g_string_new ("{");
  proxy_json_number (out, "used", (int64_t)proxy_recordings_used (with->recordings));
  proxy_json_number (out, "quota", (int64_t)proxy_recordings_quota (with->recordings));
  proxy_json_key (out, "recordings");
  g_string_append_c (out, '[');
  for (guint i = 0; i < recordings->len; i++)
    write_recording (with, out, recordings->pdata[i]);
  g_string_append (out, "]}\n");
  proxy_respond (message, SOUP_STATUS_OK, "application/json", out);
}

static bool
is_true (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);
  return node && JSON_NODE_HOLDS_VALUE (node) &&
         json_node_get_value_type (node) == G_TYPE_BOOLEAN && json_node_get_boolean (node);
}

/* A whole number that is not negative; 0 = it is not there. */
static bool
read_time (JsonObject *object, const char *name, int64_t *out)
{
  JsonNode *node = json_object_get_member (object, name);
  *out = 0;
  if (!node)
    return true;
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_INT64)
    return false;
  *out = json_node_get_int (node);
  return *out >= 0;
}

/* That of the guide which begins then; NULL = there is none. */
static const ProxyProgramme *
find_programme (const ProxyParts *with, const char *channel, int64_t start)
{
  const GPtrArray *all =
      with->programmes && channel ? proxy_programmes_of (with->programmes, channel) : NULL;
  for (guint i = 0; all && i < all->len; i++)
    if (((const ProxyProgramme *)all->pdata[i])->start == start)
      return all->pdata[i];
  return NULL;
}

static void
refuse_recording (SoupServerMessage *message, const GError *error)
{
  unsigned status = SOUP_STATUS_BAD_REQUEST;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE))
    status = SOUP_STATUS_INSUFFICIENT_STORAGE;
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    status = SOUP_STATUS_NOT_FOUND;
  proxy_respond_error (message, status, error->message);
}

static void
add_recording (const ProxyParts *with, SoupServerMessage *message)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *object =
      read_body (message, parser, "{\"channel\": \"ID\", \"start\": 1234, \"stop\": 5678}");
  if (!object)
    return;
  ProxyRecordingWish wish = {.channel = member (object, "channel"),
                             .shared = is_true (object, "share")};
  const char *name = member (object, "name");
  int64_t begins;
  if (!read_time (object, "start", &wish.start) || !read_time (object, "stop", &wish.stop) ||
      !read_time (object, "programme", &begins)) {
    proxy_respond_error (message, SOUP_STATUS_BAD_REQUEST,
                         "\"start\", \"stop\" and \"programme\" are whole seconds of Unix time");
    return;
  }
  const ProxyProgramme *programme = begins > 0 ? find_programme (with, wish.channel, begins) : NULL;
  if (begins > 0 && !programme) {
    proxy_respond_error (message, SOUP_STATUS_BAD_REQUEST,
                         "the guide has no programme of that channel that begins then");
    return;
  }
  if (programme) {
    wish.start = programme->start;
    wish.stop = programme->stop;
    name = name ? name : programme->title;
  }
  g_autofree char *clean = name ? proxy_guide_clean_name (name) : NULL;
  g_autoptr (GError) error = NULL;
  wish.name = clean;
  const ProxyRecording *recording = proxy_recordings_add (with->recordings, &wish, &error);
  if (recording)
    respond_recording (with, message, SOUP_STATUS_CREATED, recording);
  else
    refuse_recording (message, error);
}

static void
serve_recording (const ProxyParts *with, const char *id, SoupServerMessage *message)
{
  bool removes = g_str_equal (soup_server_message_get_method (message), "DELETE");
  if (removes ? !proxy_respond_may_change (message)
              : !proxy_respond_reads_only (message, "GET, HEAD, DELETE"))
    return;
  const ProxyRecording *recording = proxy_recordings_find (with->recordings, id);
  if (!recording)
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "there is no such recording");
  else if (!removes)
    respond_recording (with, message, SOUP_STATUS_OK, recording);
  else if (proxy_recordings_remove (with->recordings, id))
    soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
}

static void
stop_recording (const ProxyParts *with, const char *id, SoupServerMessage *message)
{
  if (!g_str_equal (soup_server_message_get_method (message), "POST"))
    proxy_respond_not_allowed (message, "POST", "recordings are stopped by POST");
  else if (!proxy_respond_may_change (message))
    return;
  else if (proxy_recordings_stop (with->recordings, id))
    soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
  else
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND,
                         "nothing is recorded under that name, or to be");
}

static void
share_recording (const ProxyParts *with, const char *id, SoupServerMessage *message)
{
  const char *method = soup_server_message_get_method (message);
  bool wanted = g_str_equal (method, "PUT");
  g_autoptr (GError) error = NULL;
  if (!wanted && !g_str_equal (method, "DELETE"))
    proxy_respond_not_allowed (message, "PUT, DELETE",
                               "a recording is shared with PUT, and no more with DELETE");
  else if (!proxy_respond_may_change (message))
    return;
  else if (proxy_recordings_set_shared (with->recordings, id, wanted, &error))
    soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
  else
    refuse_recording (message, error);
}

void
proxy_api_recordings (const ProxyParts *with, const char *rest, SoupServerMessage *message)
{
  const char *slash = rest[0] == '/' ? strchr (rest + 1, '/') : NULL;
  g_autofree char *id = slash ? g_strndup (rest + 1, (size_t)(slash - rest - 1)) : NULL;
  if (!with->recordings)
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND,
                         "nothing is recorded here: --recordings names a folder");
  else if (rest[0] == '\0' && g_str_equal (soup_server_message_get_method (message), "POST")) {
    if (proxy_respond_may_change (message))
      add_recording (with, message);
  } else if (rest[0] == '\0') {
    if (proxy_respond_reads_only (message, "GET, HEAD, POST"))
      list_recordings (with, message);
  } else if (!slash)
    serve_recording (with, rest + 1, message);
  else if (g_str_equal (slash, "/stop"))
    stop_recording (with, id, message);
  else if (g_str_equal (slash, "/share"))
    share_recording (with, id, message);
  else
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "there is nothing at this address");
}

/* --- televisions that can be told to play --- */

static void
list_renderers (const ProxyParts *with, SoupServerMessage *message)
{
  GString *out = g_string_new ("{");
  proxy_json_key (out, "renderers");
  g_string_append_c (out, '[');
  for (unsigned i = 0; i < dlna_renderers_n (with->renderers); i++) {
    DlnaRendererStatus status;
    dlna_renderers_status (with->renderers, i, &status);
    const ProxyChannel *channel =
        status.item_id ? proxy_catalog_lookup (with->catalog, status.item_id) : NULL;
    proxy_json_key (out, NULL);
    g_string_append_c (out, '{');
    proxy_json_text (out, "id", status.udn);
    proxy_json_text (out, "name", status.name);
    proxy_json_text (out, "model", status.model);
    proxy_json_text (out, "address", status.ip);
    proxy_json_text (out, "state", dlna_renderer_state_name (status.state));
    proxy_json_text (out, "channel", status.item_id);
    proxy_json_text (out, "channel_name", channel ? channel->name : NULL);
    proxy_json_text (out, "error", status.error);
    g_string_append_c (out, '}');
  }
  g_string_append (out, "]}\n");
  proxy_respond (message, SOUP_STATUS_OK, "application/json", out);
  dlna_renderers_search (with->renderers);
}

/* The channel that the body names, or NULL when it was refused. */
static const ProxyChannel *
read_channel (const ProxyParts *with, SoupServerMessage *message)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *object = read_body (message, parser, "{\"channel\": \"ID\"}");
  if (!object)
    return NULL;
  const char *id = member (object, "channel");
  const ProxyChannel *channel = id ? proxy_catalog_lookup (with->catalog, id) : NULL;
  if (!channel)
    proxy_respond_error (message, SOUP_STATUS_BAD_REQUEST, "\"channel\" must be a channel's ID");
  return channel;
}

static void
command_renderer (const ProxyParts *with, const char *rest, SoupServerMessage *message)
{
  const char *slash = strrchr (rest, '/');
  g_autofree char *udn = slash ? g_strndup (rest, (size_t)(slash - rest)) : NULL;
  bool known = false;
  if (g_strcmp0 (slash, "/play") == 0) {
    const ProxyChannel *channel = read_channel (with, message);
    if (!channel)
      return;
    known = dlna_renderers_play (with->renderers, udn, channel->id);
  } else if (g_strcmp0 (slash, "/stop") == 0)
    known = dlna_renderers_stop (with->renderers, udn);
  if (known)
    soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
  else
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND,
                         "there is no such television, or it can only play and stop");
}

void
proxy_api_renderers (const ProxyParts *with, const char *rest, SoupServerMessage *message)
{
  if (!with->renderers) {
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "no televisions are looked for");
    return;
  }
  if (rest[0] == '\0') {
    if (proxy_respond_reads_only (message, "GET, HEAD"))
      list_renderers (with, message);
  } else if (!g_str_equal (soup_server_message_get_method (message), "POST")) {
    proxy_respond_not_allowed (message, "POST", "televisions are told by POST");
  } else if (proxy_respond_may_change (message))
    command_renderer (with, rest + 1, message);
}

/* --- who asked what --- */

static void
write_event (GString *out, const DlnaClientEvent *event)
{
  proxy_json_key (out, NULL);
  g_string_append_c (out, '{');
  proxy_json_text (out, "what", event->what);
  proxy_json_number (out, "status", event->status);
  proxy_json_number (out, "times", event->times);
  proxy_json_number (out, "seconds_ago", (g_get_monotonic_time () - event->when) / G_USEC_PER_SEC);
  g_string_append_c (out, '}');
}

static void
write_client (GString *out, const DlnaClient *client)
{
  g_autofree char *quirk = dlna_quirk_text (client->quirk);
  int64_t now = g_get_monotonic_time ();
  proxy_json_key (out, NULL);
  g_string_append_c (out, '{');
  proxy_json_text (out, "address", client->address);
  proxy_json_text (out, "user_agent", client->agent);
  proxy_json_text (out, "client_info", client->info);
  proxy_json_text (out, "family", client->quirk->family);
  proxy_json_text (out, "quirk", quirk);
  proxy_json_number (out, "first_seconds_ago", (now - client->first) / G_USEC_PER_SEC);
  proxy_json_number (out, "last_seconds_ago", (now - client->last) / G_USEC_PER_SEC);
  proxy_json_number (out, "asked", (int64_t)client->asked);
  proxy_json_number (out, "refused", (int64_t)client->refused);
  proxy_json_number (out, "streams", (int64_t)client->streams);
  if (client->streams > 0) {
    proxy_json_number (out, "zap_ms", client->zap / 1000);
    proxy_json_number (out, "slowest_zap_ms", client->slowest_zap / 1000);
  }
  proxy_json_key (out, "events");
  g_string_append_c (out, '[');
  for (const GList *l = client->events.head; l; l = l->next)
    write_event (out, l->data);
  g_string_append (out, "]}");
}

void
proxy_api_clients (const ProxyParts *with, SoupServerMessage *message)
{
  if (!proxy_respond_reads_only (message, "GET, HEAD"))
    return;
  const GPtrArray *clients = with->clients ? dlna_clients_list (with->clients) : NULL;
  GString *out = g_string_new ("{");
  proxy_json_key (out, "clients");
  g_string_append_c (out, '[');
  for (guint i = clients ? clients->len : 0; i > 0; i--)
    write_client (out, clients->pdata[i - 1]);
  g_string_append (out, "]}\n");
  proxy_respond (message, SOUP_STATUS_OK, "application/json", out);
}
