/* SPDX-License-Identifier: Apache-2.0 */
/* What only reads needs no credential; a limit is set as an encoder pushes, from loopback or with the
 * channel's token. Nothing may be cached: a link is for ever, but the list of channels is not. */
#include "peer/origin/web.h"

#include "peer/origin/push.h"

#include "peer/net/metrics.h"
#include "peer/origin/download.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define LIMIT "/limit"

struct OriginWeb {
  SoupServer *server;
  OriginStation *station;
  NetListener *listener;
  int64_t started; /* us */
};

static void
answer (SoupServerMessage *message, const char *type, const char *text, size_t n)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);

  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_message_headers_replace (headers, "Cache-Control", "no-cache");
  soup_server_message_set_response (message, type, SOUP_MEMORY_COPY, text, n);
}

/* true = it has been answered: the path is another's, or the method. */
static bool
is_not_ours (SoupServerMessage *message, const char *path, const char *expected)
{
  const char *method = soup_server_message_get_method (message);

  if (strcmp (path, expected) != 0) {
    soup_server_message_set_status (message, SOUP_STATUS_NOT_FOUND, NULL);
    return true;
  }
  if (method == SOUP_METHOD_GET || method == SOUP_METHOD_HEAD)
    return false;
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                "GET, HEAD");
  soup_server_message_set_status (message, SOUP_STATUS_METHOD_NOT_ALLOWED, NULL);
  return true;
}

/* --- the channel list --- */

/* A name inside the quotes of an attribute, or behind the comma. */
static void
append_name (GString *out, const char *name)
{
  for (const char *p = name; *p != '\0'; p++)
    g_string_append_c (out, *p == '"' ? '\'' : (uint8_t)*p < ' ' ? ' ' : *p);
}

/* Where who asks can fetch a file: under the name by which it has reached us. */
static char *
fallback_of (SoupServerMessage *message, const OriginContent *content)
{
  static const char allowed[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
  const char *host =
      soup_message_headers_get_one (soup_server_message_get_request_headers (message), "Host");

  if (origin_content_kind (content) != ORIGIN_FILE || host == NULL || host[0] == '\0' ||
      strlen (host) > 255 || host[strspn (host, allowed)] != '\0')
    return NULL;
  return g_strdup_printf ("http://%s/content/%s", host, origin_content_id (content));
}

static void
on_channels (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
             gpointer data)
{
  OriginWeb *self = data;
  g_autoptr (GString) out = g_string_new ("#EXTM3U\n");
  GPtrArray *contents = origin_station_contents (self->station);

  if (is_not_ours (message, path, "/channels.m3u"))
    return;
  for (guint i = 0; i < contents->len; i++) {
    OriginContent *content = g_ptr_array_index (contents, i);
    g_autofree char *fallback = fallback_of (message, content);
    g_autofree char *link = origin_content_link (content, fallback);

    if (link == NULL || origin_content_has_ended (content)) /* its film stands for it */
      continue;
    g_string_append_printf (out, "#EXTINF:-1 tvg-id=\"%s\" tvg-name=\"",
                            origin_content_id (content));
    append_name (out, origin_content_name (content));
    g_string_append (out, "\",");
    append_name (out, origin_content_name (content));
    g_string_append_printf (out, "\n%s\n", link);
  }
  answer (message, "audio/x-mpegurl; charset=utf-8", out->str, out->len);
}

/* --- management --- */

static void
add_string (JsonBuilder *builder, const char *name, const char *value)
{
  if (value == NULL)
    return;
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, value);
}

static void
add_number (JsonBuilder *builder, const char *name, uint64_t value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, (gint64)MIN (value, INT64_MAX));
}

static void
add_bool (JsonBuilder *builder, const char *name, bool value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_boolean_value (builder, value);
}

static void
add_live (JsonBuilder *builder, const OriginContentStats *stats)
{
  const MediaStreamInfo *info = stats->ingest.info;

  add_bool (builder, "encoder_connected", stats->connected);
  add_number (builder, "bitrate", stats->ingest.rate * 8);
  add_number (builder, "chunks", stats->publisher.chunks);
  add_number (builder, "next_chunk", stats->publisher.next);
  add_number (builder, "signatures", stats->publisher.signatures);
  add_number (builder, "encoder_sessions", stats->ingest.sessions);
  add_number (builder, "encoders_refused", stats->encoders_refused);
  add_number (builder, "bytes_skipped", stats->ingest.bytes_skipped);
  add_string (builder, "video", media_codec_name (info->video));
  add_string (builder, "audio", media_audio_name (info));
  if (info->width > 0) {
    add_number (builder, "width", info->width);
    add_number (builder, "height", info->height);
  }
}

static void
add_content (JsonBuilder *builder, SoupServerMessage *message, OriginContent *content)
{
  static const char *const kinds[] = {"channel", "pull", "file"};
  g_autofree char *fallback = fallback_of (message, content);
  g_autofree char *link = origin_content_link (content, fallback);
  OriginContentStats stats;

  origin_content_stats (content, &stats);
  json_builder_begin_object (builder);
  add_string (builder, "id", origin_content_id (content));
  add_string (builder, "name", origin_content_name (content));
  add_string (builder, "kind", kinds[origin_content_kind (content)]);
  add_string (builder, "state", origin_content_state (content));
  add_string (builder, "link", link);
  add_string (builder, "error", stats.error);
  add_string (builder, "source_error", stats.source_error);
  if (origin_content_kind (content) == ORIGIN_FILE) {
    json_builder_set_member_name (builder, "hashed");
    json_builder_add_double_value (builder, stats.hashed);
    add_number (builder, "length", stats.swarm.length);
    add_number (builder, "chunks", stats.swarm.n_chunks);
  } else {
    add_live (builder, &stats);
  }
  add_number (builder, "peers", stats.swarm.channels);
  add_number (builder, "uploaded", stats.swarm.uploaded);
  add_number (builder, "upload_rate", stats.swarm.upload_rate);
  add_number (builder, "upload_limit", stats.swarm.upload_limit);
  add_number (builder, "download_limit", stats.swarm.download_limit);
  add_number (builder, "choked", stats.swarm.choked);
  add_bool (builder, "registered", stats.registered);
  add_string (builder, "tracker_error", stats.tracker_error);
  json_builder_end_object (builder);
}

/* PUT /api/v1/channels/ID/limit?upload=RATE&download=RATE, bit/s, as net_peering_set() has it; DELETE,
 * as net_peering_unset(). */
static void
set_limit (OriginWeb *self, SoupServerMessage *message, const char *path, GHashTable *query)
{
  static const char front[] = "/api/v1/channels/";
  const char *up = query != NULL ? g_hash_table_lookup (query, "upload") : NULL;
  const char *down = query != NULL ? g_hash_table_lookup (query, "download") : NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *id = NULL;
  OriginContent *content = NULL;
  bool removes = soup_server_message_get_method (message) == SOUP_METHOD_DELETE;

  if (g_str_has_prefix (path, front) && strlen (path) > strlen (front) + strlen (LIMIT))
    id = g_strndup (path + strlen (front), strlen (path) - strlen (front) - strlen (LIMIT));
  if (id != NULL)
    content = origin_station_find (self->station, id);
  if (content == NULL) {
    soup_server_message_set_status (message, SOUP_STATUS_NOT_FOUND, NULL);
  } else if (!removes && soup_server_message_get_method (message) != SOUP_METHOD_PUT) {
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                  "PUT, DELETE");
    soup_server_message_set_status (message, SOUP_STATUS_METHOD_NOT_ALLOWED, NULL);
  } else if (!origin_push_is_allowed (message, origin_content_token (content))) {
    soup_message_headers_replace (soup_server_message_get_response_headers (message),
                                  "WWW-Authenticate", "Bearer");
    soup_server_message_set_status (message, SOUP_STATUS_UNAUTHORIZED, NULL);
  } else if (!removes && !origin_content_limit (content, up, down, &error)) {
    soup_server_message_set_status (message, SOUP_STATUS_BAD_REQUEST, NULL);
    soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_COPY, error->message,
                                      strlen (error->message));
  } else {
    if (removes)
      origin_content_unlimit (content);
    soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
  }
}

static void
on_api (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
        gpointer data)
{
  OriginWeb *self = data;
  GPtrArray *contents = origin_station_contents (self->station);
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;

  if (g_str_has_suffix (path, LIMIT)) {
    set_limit (self, message, path, query);
    return;
  }
  if (is_not_ours (message, path, "/api/v1/channels"))
    return;
  json_builder_begin_array (builder);
  for (guint i = 0; i < contents->len; i++)
    add_content (builder, message, g_ptr_array_index (contents, i));
  json_builder_end_array (builder);
  root = json_builder_get_root (builder);
  text = json_to_string (root, TRUE);
  answer (message, "application/json", text, strlen (text));
}

static void
on_health (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
           gpointer data)
{
  OriginWeb *self = data;
  GPtrArray *contents = origin_station_contents (self->station);
  g_autoptr (GString) out = g_string_new (NULL);

  if (is_not_ours (message, path, "/healthz"))
    return;
  for (guint i = 0; i < contents->len; i++) {
    OriginContent *content = g_ptr_array_index (contents, i);
    const char *state = origin_content_state (content);

    if (strcmp (state, "stopped") == 0 || strcmp (state, "failed") == 0)
      g_string_append_printf (out, "%s: %s\n", origin_content_id (content), state);
  }
  if (out->len == 0) {
    answer (message, "text/plain", "ok\n", 3);
    return;
  }
  answer (message, "text/plain", out->str, out->len);
  soup_server_message_set_status (message, SOUP_STATUS_SERVICE_UNAVAILABLE, NULL);
}

/* --- metrics (OpenMetrics 1.0) --- */

typedef enum {
  METRIC_CONNECTED,
  METRIC_PEERS,
  METRIC_BITRATE,
  METRIC_PACKETS,
  METRIC_SKIPPED,
  METRIC_SYNCS_LOST,
  METRIC_SESSIONS,
  METRIC_REFUSED,
  METRIC_CHUNKS,
  METRIC_SIGNATURES,
  METRIC_FILLS,
  METRIC_NULL_PACKETS,
  METRIC_UPLOADED,
  METRIC_REGISTERED,
  N_METRICS
} Metric;

static const struct {
  const char *name;
  bool is_counter;
} metrics[N_METRICS] = {
    [METRIC_CONNECTED] = {"encoder_connected", false},
    [METRIC_PEERS] = {"peers", false},
    [METRIC_BITRATE] = {"ingest_bits_per_second", false},
    [METRIC_PACKETS] = {"ingest_packets", true},
    [METRIC_SKIPPED] = {"ingest_skipped_bytes", true},
    [METRIC_SYNCS_LOST] = {"ingest_syncs_lost", true},
    [METRIC_SESSIONS] = {"encoder_sessions", true},
    [METRIC_REFUSED] = {"encoders_refused", true},
    [METRIC_CHUNKS] = {"chunks", true},
    [METRIC_SIGNATURES] = {"signatures", true},
    [METRIC_FILLS] = {"subtrees_filled", true},
    [METRIC_NULL_PACKETS] = {"null_packets", true},
    [METRIC_UPLOADED] = {"uploaded_bytes", true},
    [METRIC_REGISTERED] = {"registered", false},
};

static uint64_t
metric_of (const OriginContentStats *stats, Metric metric)
{
  switch (metric) {
  case METRIC_CONNECTED:
    return stats->connected;
  case METRIC_PEERS:
    return stats->swarm.channels;
  case METRIC_BITRATE:
    return stats->ingest.rate * 8;
  case METRIC_PACKETS:
    return stats->ingest.packets;
  case METRIC_SKIPPED:
    return stats->ingest.bytes_skipped;
  case METRIC_SYNCS_LOST:
    return stats->ingest.syncs_lost;
  case METRIC_SESSIONS:
    return stats->ingest.sessions;
  case METRIC_REFUSED:
    return stats->encoders_refused;
  case METRIC_CHUNKS:
    return stats->publisher.chunks;
  case METRIC_SIGNATURES:
    return stats->publisher.signatures;
  case METRIC_FILLS:
    return stats->publisher.fills;
  case METRIC_NULL_PACKETS:
    return stats->publisher.null_packets;
  case METRIC_UPLOADED:
    return stats->swarm.uploaded;
  case METRIC_REGISTERED:
    return stats->registered;
  case N_METRICS:
    break;
  }
  return 0;
}

static void
channel_metrics (GString *out, GPtrArray *contents)
{
  g_autofree OriginContentStats *stats = g_new0 (OriginContentStats, contents->len);

  for (guint i = 0; i < contents->len; i++)
    origin_content_stats (g_ptr_array_index (contents, i), &stats[i]);
  for (Metric metric = 0; metric < N_METRICS; metric++) {
    const char *name = metrics[metric].name;

    g_string_append_printf (out, "# TYPE ppsp_origin_%s %s\n", name,
                            metrics[metric].is_counter ? "counter" : "gauge");
    for (guint i = 0; i < contents->len; i++)
      g_string_append_printf (out, "ppsp_origin_%s%s{channel=\"%s\"} %" G_GUINT64_FORMAT "\n", name,
                              metrics[metric].is_counter ? "_total" : "",
                              origin_content_id (g_ptr_array_index (contents, i)),
                              metric_of (&stats[i], metric));
  }
}

static void
on_metrics (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  OriginWeb *self = data;
  g_autoptr (GString) out = g_string_new (NULL);

  if (is_not_ours (message, path, "/metrics"))
    return;
  net_metrics_program (out, self->started);
  net_metrics_udp (out, origin_station_udp (self->station));
  channel_metrics (out, origin_station_contents (self->station));
  if (self->listener != NULL)
    net_metrics_listener (out, self->listener);
  net_metrics_end (out);
  answer (message, NET_METRICS_TYPE, out->str, out->len);
}

static void
on_content (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  OriginWeb *self = data;

  origin_download_serve (self->station, message, path);
}

OriginWeb *
origin_web_new (SoupServer *server, OriginStation *station, NetListener *listener)
{
  OriginWeb *self = g_new0 (OriginWeb, 1);

  self->server = g_object_ref (server);
  self->station = station;
  self->listener = listener;
  self->started = g_get_monotonic_time ();
  soup_server_add_handler (server, "/channels.m3u", on_channels, self, NULL);
  soup_server_add_handler (server, "/api", on_api, self, NULL);
  soup_server_add_handler (server, "/metrics", on_metrics, self, NULL);
  soup_server_add_handler (server, "/healthz", on_health, self, NULL);
  soup_server_add_handler (server, "/content", on_content, self, NULL);
  return self;
}

void
origin_web_free (OriginWeb *self)
{
  static const char *const paths[] = {"/channels.m3u", "/api", "/metrics", "/healthz", "/content"};

  for (size_t i = 0; i < G_N_ELEMENTS (paths); i++)
    soup_server_remove_handler (self->server, paths[i]);
  g_object_unref (self->server);
  g_free (self);
}
