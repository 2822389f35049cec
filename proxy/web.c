/* SPDX-License-Identifier: Apache-2.0 */
/* Which address gives what. The page's files lie in the program itself. */
#include "proxy/web.h"
#include "peer/net/metrics.h"
#include "proxy/api.h"
#include "proxy/metrics.h"
#include "proxy/report.h"
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
  static const char one[] = "/api/v1/channels/", tv[] = "/api/v1/renderers",
                    recordings[] = "/api/v1/recordings";
  for (size_t i = 0; i < G_N_ELEMENTS (files); i++)
    if (g_str_equal (path, files[i].path)) {
      serve_file (message, &files[i]);
      return;
    }
  if (g_str_equal (path, "/healthz"))
    serve_health (self, message);
  else if (g_str_equal (path, "/metrics")) {
    if (proxy_respond_reads_only (message, "GET, HEAD"))
      proxy_respond (message, SOUP_STATUS_OK, NET_METRICS_TYPE,
                     proxy_metrics_write (&self->with, self->started));
  } else if (g_str_equal (path, "/api/v1/report.txt")) {
    if (proxy_respond_reads_only (message, "GET, HEAD"))
      proxy_respond (message, SOUP_STATUS_OK, "text/plain; charset=utf-8",
                     proxy_report_write (&self->with, self->started));
  } else if (g_str_equal (path, "/api/v1/clients"))
    proxy_api_clients (&self->with, message);
  else if (g_str_equal (path, "/api/v1/status"))
    proxy_api_status (&self->with, self->started, message);
  else if (g_str_equal (path, "/api/v1/now"))
    proxy_api_now (&self->with, message);
  else if (g_str_equal (path, "/api/v1/channels"))
    proxy_api_channels (&self->with, message);
  else if (g_str_equal (path, recordings) || g_str_has_prefix (path, "/api/v1/recordings/"))
    proxy_api_recordings (&self->with, path + strlen (recordings), message);
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
