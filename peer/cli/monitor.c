/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/cli/monitor.h"

#include "peer/net/listener.h"
#include "peer/net/metrics.h"

#include <string.h>

struct CliMonitor {
  SoupServer *server;
  NetListener *listener;
  NetUdp *udp;
  CliMonitorFunc func;
  gpointer data;
  int64_t started; /* us, monotonic */
};

static void
respond (SoupServerMessage *message, unsigned status, const char *type, char *text)
{
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Cache-Control",
                                "no-store");
  soup_server_message_set_status (message, status, NULL);
  soup_server_message_set_response (message, type, SOUP_MEMORY_TAKE, text, strlen (text));
}

static char *
metrics (const CliMonitor *self)
{
  GString *out = g_string_new (NULL);
  net_metrics_program (out, self->started);
  self->func (out, self->data);
  net_metrics_udp (out, self->udp);
  net_metrics_listener (out, self->listener);
  net_metrics_end (out);
  return g_string_free (out, FALSE);
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  const CliMonitor *self = data;
  const char *method = soup_server_message_get_method (message);
  if (!g_str_equal (method, "GET") && !g_str_equal (method, "HEAD")) {
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                  "GET, HEAD");
    respond (message, SOUP_STATUS_METHOD_NOT_ALLOWED, "text/plain", g_strdup ("Only GET.\n"));
  } else if (g_str_equal (path, "/metrics")) {
    respond (message, SOUP_STATUS_OK, NET_METRICS_TYPE, metrics (self));
  } else if (g_str_equal (path, "/healthz")) {
    respond (message, SOUP_STATUS_OK, "text/plain", g_strdup ("ok\n"));
  } else {
    respond (message, SOUP_STATUS_NOT_FOUND, "text/plain",
             g_strdup ("There are /metrics and /healthz.\n"));
  }
}

CliMonitor *
cli_monitor_new (const char *address, NetUdp *udp, CliMonitorFunc func, gpointer data,
                 GError **error)
{
  g_autoptr (CliMonitor) self = g_new0 (CliMonitor, 1);
  NetListenerOptions options = {
      .max_connections = 32, .max_body = 1024, .check_host = true, .response_timeout = 60};
  self->udp = udp;
  self->func = func;
  self->data = data;
  self->started = g_get_monotonic_time ();
  self->server = soup_server_new ("server-header", "ppsp-peer", NULL);
  soup_server_add_handler (self->server, NULL, on_request, self, NULL);
  self->listener = net_listener_new (self->server, &options);
  return net_listener_add (self->listener, address, error) != 0 ? g_steal_pointer (&self) : NULL;
}

void
cli_monitor_free (CliMonitor *self)
{
  if (self == NULL)
    return;
  net_listener_free (self->listener);
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  g_free (self);
}
