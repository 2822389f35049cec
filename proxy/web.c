/* SPDX-License-Identifier: Apache-2.0 */
/* Which address gives what. The page's files lie in the program itself. */
#include "proxy/web.h"
#include "peer/net/metrics.h"
#include "proxy/api.h"
#include "proxy/library.h"
#include "proxy/metrics.h"
#include "proxy/respond.h"
#include "proxy/web-resources.h"
#include <string.h>

struct ProxyWeb {
  ProxyParts with;
  int64_t started;
};

typedef struct {
  const char *path, *resource, *type;
} File;

static const File files[] = {
    {"/", "/ppsp/web/index.html", "text/html; charset=utf-8"},
    {"/app.js", "/ppsp/web/app.js", "text/javascript; charset=utf-8"},
    {"/style.css", "/ppsp/web/style.css", "text/css; charset=utf-8"},
    {"/icon.svg", "/ppsp/web/icon.svg", "image/svg+xml"},
};

static void
serve_file (SoupServerMessage *message, const File *file)
{
  if (!proxy_respond_reads_only (message, "GET, HEAD"))
    return;
  g_autoptr (GBytes) bytes = g_resource_lookup_data (proxy_web_get_resource (), file->resource,
                                                     G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
  proxy_respond_static (message, file->type, bytes);
}

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
append_entry (GString *out, const ProxyChannel *channel, const char *host)
{
  g_string_append (out, "#EXTINF:-1");
  append_attribute (out, "tvg-id", channel->id);
  append_attribute (out, "tvg-name", channel->name);
  append_attribute (out, "tvg-logo", channel->logo);
  append_attribute (out, "group-title", channel->group);
  if (channel->number > 0)
    g_string_append_printf (out, " tvg-chno=\"%d\"", channel->number);
  g_string_append_printf (out, ",%s\nhttp://%s/media/%s.%s\n", channel->name, host, channel->id,
                          proxy_library_extension (channel->mime));
}

/* The addresses are those by which the player has reached us; the listener has checked the host. */
static void
serve_playlist (ProxyWeb *self, SoupServerMessage *message, GHashTable *query)
{
  const char *host =
      soup_message_headers_get_one (soup_server_message_get_request_headers (message), "Host");
  const char *id = query ? g_hash_table_lookup (query, "id") : NULL;
  const GPtrArray *channels = proxy_catalog_list (self->with.catalog);
  if (!proxy_respond_reads_only (message, "GET, HEAD"))
    return;
  if (!host || strpbrk (host, "/ \t\"<>\\?#@")) {
    proxy_respond_error (message, SOUP_STATUS_BAD_REQUEST, "the request needs a Host");
    return;
  }
  GString *out = g_string_new ("#EXTM3U\n");
  for (guint i = 0; i < channels->len; i++) {
    const ProxyChannel *channel = channels->pdata[i];
    if (!id || g_str_equal (channel->id, id))
      append_entry (out, channel, host);
  }
  proxy_respond (message, SOUP_STATUS_OK, "audio/x-mpegurl; charset=utf-8", out);
  soup_message_headers_replace (soup_server_message_get_response_headers (message),
                                "Content-Disposition", "attachment; filename=\"channels.m3u\"");
}

static void
serve_health (ProxyWeb *self, SoupServerMessage *message)
{
  if (!proxy_respond_reads_only (message, "GET, HEAD"))
    return;
  GString *out = g_string_new ("{");
  const char *trouble = proxy_catalog_trouble (self->with.catalog);
  proxy_json_text (out, "status", trouble ? "degraded" : "ok");
  if (trouble)
    proxy_json_text (out, "catalog", trouble);
  g_string_append (out, "}\n");
  proxy_respond (message, SOUP_STATUS_OK, "application/json", out);
}

/* rest: "ID", "ID/limit", "ID/favourite" */
static void
serve_channel (ProxyWeb *self, SoupServerMessage *message, const char *rest, GHashTable *query)
{
  const char *slash = strchr (rest, '/');
  g_autofree char *id = slash ? g_strndup (rest, (size_t)(slash - rest)) : g_strdup (rest);
  if (!slash)
    proxy_api_channel (&self->with, id, message);
  else if (g_str_equal (slash, "/limit"))
    proxy_api_limit (&self->with, id, query, message);
  else if (g_str_equal (slash, "/favourite"))
    proxy_api_favourite (&self->with, id, message);
  else
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "there is nothing at this address");
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  ProxyWeb *self = data;
  static const char one[] = "/api/v1/channels/", tv[] = "/api/v1/renderers";
  for (size_t i = 0; i < G_N_ELEMENTS (files); i++)
    if (g_str_equal (path, files[i].path)) {
      serve_file (message, &files[i]);
      return;
    }
  if (g_str_equal (path, "/channels.m3u"))
    serve_playlist (self, message, query);
  else if (g_str_equal (path, "/healthz"))
    serve_health (self, message);
  else if (g_str_equal (path, "/metrics")) {
    if (proxy_respond_reads_only (message, "GET, HEAD"))
      proxy_respond (message, SOUP_STATUS_OK, NET_METRICS_TYPE,
                     proxy_metrics_write (&self->with, self->started));
  } else if (g_str_equal (path, "/api/v1/status"))
    proxy_api_status (&self->with, self->started, message);
  else if (g_str_equal (path, "/api/v1/now"))
    proxy_api_now (&self->with, message);
  else if (g_str_equal (path, "/api/v1/channels"))
    proxy_api_channels (&self->with, message);
  else if (g_str_equal (path, tv) || g_str_has_prefix (path, "/api/v1/renderers/"))
    proxy_api_renderers (&self->with, path + strlen (tv), message);
  else if (g_str_has_prefix (path, one))
    serve_channel (self, message, path + strlen (one), query);
  else
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "there is nothing at this address");
}

ProxyWeb *
proxy_web_new (const ProxyParts *options)
{
  ProxyWeb *self = g_new0 (ProxyWeb, 1);
  self->with = *options;
  self->started = g_get_monotonic_time ();
  soup_server_add_handler (options->server, NULL, on_request, self, NULL);
  return self;
}

void
proxy_web_free (ProxyWeb *self)
{
  if (!self)
    return;
  soup_server_remove_handler (self->with.server, NULL);
  g_free (self);
}
