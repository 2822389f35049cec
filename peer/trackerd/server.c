/* SPDX-License-Identifier: Apache-2.0 */
/* One SoupServer for peers and one for the management, each behind a listener of ours:
 *
 *   POST --> json --> registry --> json --> 200, or 503 with Retry-After (error 5), 401 (error 6)
 *
 * RFC 7846 says nothing of HTTP's status codes. Errors 1 to 4 are the tracker's and travel in a
 * 200, since a peer that takes any other for a failure of HTTP would never read them. */
#include "peer/trackerd/server.h"

#include "peer/net/metrics.h"
#include "peer/net/random.h"
#include "peer/tracker/json.h"

#include <libsoup/soup.h>
#include <string.h>

#define EXPIRY_SECONDS 5
/* What who finds us overloaded is asked to wait. */
#define RETRY_AFTER "30"
#define MAX_LISTED_SWARMS 1000

struct TrackerdServer {
  TrackerRegistry *registry;
  SoupServer *server, *management;
  NetListener *listener, *management_listener;
  uint16_t port, management_port;
  bool tls;
  guint expiry;
  int64_t since;      /* us */
  uint64_t malformed; /* requests that were not HTTP's or JSON's as they should be */
};

static bool
remote_of (SoupServerMessage *message, PeerAddress *out)
{
  GSocketAddress *remote = soup_server_message_get_remote_address (message);
  if (!G_IS_INET_SOCKET_ADDRESS (remote))
    return false;
  GInetAddress *ip = g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (remote));
  *out = (PeerAddress){.port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (remote))};
  peer_address_set_ip (out, g_inet_address_to_bytes (ip), g_inet_address_get_native_size (ip));
  return true;
}

static void
respond (SoupServerMessage *message, guint status, const char *type, char *body, size_t n)
{
  soup_server_message_set_response (message, type, SOUP_MEMORY_TAKE, body, n);
  soup_server_message_set_status (message, status, NULL);
}

static void
respond_text (SoupServerMessage *message, guint status, const char *text)
{
  respond (message, status, "text/plain; charset=utf-8", g_strdup (text), strlen (text));
}

/* --- peers --------------------------------------------------------------------------------- */

static bool
is_our_type (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *type = soup_message_headers_get_content_type (headers, NULL);
  return type == NULL || g_ascii_strcasecmp (type, TRACKER_JSON_TYPE) == 0 ||
         g_ascii_strcasecmp (type, "application/json") == 0;
}

static TrackerResponse *
answer (TrackerdServer *self, SoupServerMessage *message)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);
  g_autoptr (GBytes) bytes = soup_message_body_flatten (body);
  g_autoptr (TrackerRequest) request = NULL;
  g_autofree char *transaction = NULL;
  PeerAddress from;
  gsize n;
  const char *data = g_bytes_get_data (bytes, &n);
  if (!remote_of (message, &from))
    return tracker_response_new (TRACKER_STATUS_INTERNAL_ERROR, "");
  TrackerStatus status =
      tracker_json_read_request (data != NULL ? data : "", n, &request, &transaction);
  if (status != TRACKER_STATUS_OK) {
    self->malformed++;
    return tracker_response_new (status, transaction);
  }
  return tracker_registry_answer (self->registry, g_get_monotonic_time (), request, &from);
}

static guint
http_status (TrackerStatus status, SoupMessageHeaders *headers)
{
  if (status == TRACKER_STATUS_UNAVAILABLE) {
    soup_message_headers_replace (headers, "Retry-After", RETRY_AFTER);
    return SOUP_STATUS_SERVICE_UNAVAILABLE;
  }
  return status == TRACKER_STATUS_UNAUTHORIZED ? SOUP_STATUS_UNAUTHORIZED : SOUP_STATUS_OK;
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  TrackerdServer *self = data;
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  if (g_strcmp0 (soup_server_message_get_method (message), "POST") != 0) {
    self->malformed++;
    soup_message_headers_replace (headers, "Allow", "POST");
    respond_text (message, SOUP_STATUS_METHOD_NOT_ALLOWED,
                  "This is a PPSP tracker (RFC 7846); it takes POST.\n");
    return;
  }
  if (!is_our_type (message)) {
    self->malformed++;
    respond_text (message, SOUP_STATUS_UNSUPPORTED_MEDIA_TYPE,
                  "This tracker takes " TRACKER_JSON_TYPE ".\n");
    return;
  }
  g_autoptr (TrackerResponse) response = answer (self, message);
  size_t n;
  char *body = tracker_json_write_response (response, &n);
  respond (message, http_status (response->status, headers), TRACKER_JSON_TYPE, body, n);
}

/* --- management ---------------------------------------------------------------------------- */

static void
put_labelled (GString *out, const char *name, const char *label, const char *value, uint64_t n)
{
  g_string_append_printf (out, "%s_total{%s=\"%s\"} %" G_GUINT64_FORMAT "\n", name, label, value,
                          (guint64)n);
}

static void
put_registry (GString *out, const TrackerRegistryStats *stats)
{
  net_metrics_gauge (out, "ppsp_tracker_swarms", "Swarms with a peer in them.", stats->swarms);
  net_metrics_gauge (out, "ppsp_tracker_peers", "Registered peers.", stats->peers);
  net_metrics_family (out, "ppsp_tracker_requests", "counter", "Requests by type.");
  put_labelled (out, "ppsp_tracker_requests", "type", "CONNECT", stats->connects);
  put_labelled (out, "ppsp_tracker_requests", "type", "FIND", stats->finds);
  put_labelled (out, "ppsp_tracker_requests", "type", "STAT_REPORT", stats->reports);
  net_metrics_family (out, "ppsp_tracker_responses", "counter", "Responses by error code.");
  for (unsigned i = 0; i < G_N_ELEMENTS (stats->errors); i++) {
    char code[12];
    g_snprintf (code, sizeof code, "%u", i);
    put_labelled (out, "ppsp_tracker_responses", "code", code, stats->errors[i]);
  }
  net_metrics_counter (out, "ppsp_tracker_expired", "Peers that were not heard of any more.",
                       stats->expired);
  net_metrics_counter (out, "ppsp_tracker_repeated",
                       "Requests answered from the transaction cache.", stats->repeated);
  net_metrics_counter (out, "ppsp_tracker_refused", "Registrations and joins over a limit.",
                       stats->refused);
  net_metrics_counter (out, "ppsp_tracker_foreign_addresses",
                       "Addresses that were not those of the connection.", stats->foreign);
  net_metrics_counter (out, "ppsp_tracker_certified", "Certificates of membership issued.",
                       stats->certified);
  net_metrics_gauge (out, "ppsp_tracker_certificates", "Certificates kept to be given to others.",
                     stats->certificates);
}

static void
on_metrics (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  TrackerdServer *self = data;
  TrackerRegistryStats stats;
  GString *out = g_string_new (NULL);
  tracker_registry_stats (self->registry, &stats);
  net_metrics_program (out, self->since);
  put_registry (out, &stats);
  net_metrics_counter (out, "ppsp_tracker_malformed", "Requests that could not be read.",
                       self->malformed);
  net_metrics_listener (out, self->listener);
  net_metrics_end (out);
  size_t n = out->len;
  respond (message, SOUP_STATUS_OK, NET_METRICS_TYPE, g_string_free (out, FALSE), n);
}

static void
on_healthz (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  respond_text (message, SOUP_STATUS_OK, "ok\n");
}

typedef struct {
  GString *out;
  unsigned left;
} SwarmList;

static void
put_json_string (GString *out, const char *text)
{
  g_string_append_c (out, '"');
  for (const char *c = text; *c != 0; c++) {
    if (*c == '"' || *c == '\\')
      g_string_append_c (out, '\\');
    g_string_append_c (out, *c); /* an ID has no control characters */
  }
  g_string_append_c (out, '"');
}

static bool
put_swarm (const TrackerSwarmInfo *info, void *data)
{
  SwarmList *list = data;
  if (list->left == 0)
    return false;
  if (list->left-- != MAX_LISTED_SWARMS)
    g_string_append_c (list->out, ',');
  g_string_append (list->out, "{\"swarm_id\":");
  put_json_string (list->out, info->swarm_id);
  g_string_append_printf (list->out,
                          ",\"seeders\":%u,\"leeches\":%u,\"uploaded\":%" G_GUINT64_FORMAT
                          ",\"downloaded\":%" G_GUINT64_FORMAT "}",
                          info->seeders, info->leeches, (guint64)info->uploaded,
                          (guint64)info->downloaded);
  return true;
}

/* The first thousand, in no particular order; "total" says how many there are. */
static void
on_swarms (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
           gpointer data)
{
  TrackerdServer *self = data;
  TrackerRegistryStats stats;
  tracker_registry_stats (self->registry, &stats);
  SwarmList list = {.out = g_string_new (NULL), .left = MAX_LISTED_SWARMS};
  g_string_append_printf (list.out, "{\"total\":%u,\"swarms\":[", stats.swarms);
  tracker_registry_swarms (self->registry, put_swarm, &list);
  g_string_append (list.out, "]}\n");
  size_t n = list.out->len;
  respond (message, SOUP_STATUS_OK, "application/json", g_string_free (list.out, FALSE), n);
}

static void
on_unknown (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  respond_text (message, SOUP_STATUS_NOT_FOUND,
                "There are /metrics, /healthz and /api/v1/swarms.\n");
}

/* It changes nothing, so there is nothing but GET (and HEAD, which libsoup makes of it). */
static void
on_management_headers (SoupServer *server, SoupServerMessage *message, const char *path,
                       GHashTable *query, gpointer data)
{
  const char *method = soup_server_message_get_method (message);
  if (g_strcmp0 (method, "GET") == 0 || g_strcmp0 (method, "HEAD") == 0)
    return;
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                "GET, HEAD");
  respond_text (message, SOUP_STATUS_METHOD_NOT_ALLOWED, "Only GET.\n");
}

/* --- the server ---------------------------------------------------------------------------- */

static gboolean
on_expiry (gpointer data)
{
  TrackerdServer *self = data;
  tracker_registry_expire (self->registry, g_get_monotonic_time ());
  return G_SOURCE_CONTINUE;
}

static bool
open_management (TrackerdServer *self, const char *address, GError **error)
{
  static const struct {
    const char *path;
    SoupServerCallback handler;
  } handlers[] = {
      {NULL, on_unknown},
      {"/metrics", on_metrics},
      {"/healthz", on_healthz},
      {"/api/v1/swarms", on_swarms},
  };
  NetListenerOptions options = {.max_connections = 32, .max_body = 1024, .check_host = true};
  self->management = soup_server_new ("server-header", "ppsp-tracker", NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS (handlers); i++) {
    soup_server_add_early_handler (self->management, handlers[i].path, on_management_headers, self,
                                   NULL);
    soup_server_add_handler (self->management, handlers[i].path, handlers[i].handler, self, NULL);
  }
  self->management_listener = net_listener_new (self->management, &options);
  self->management_port = net_listener_add (self->management_listener, address, error);
  return self->management_port != 0;
}

static bool
open_tracker (TrackerdServer *self, const TrackerdServerOptions *options, GError **error)
{
  NetListenerOptions limits = {.max_connections = options->max_connections,
                               .max_per_ip = 256, /* many homes may share one address */
                               .certificate = options->certificate};
  self->server = soup_server_new ("server-header", "ppsp-tracker", NULL);
  soup_server_add_handler (self->server, NULL, on_request, self, NULL);
  self->listener = net_listener_new (self->server, &limits);
  for (const char *const *address = options->listen; *address != NULL; address++) {
    self->port = net_listener_add (self->listener, *address, error);
    if (self->port == 0)
      return false;
  }
  return true;
}

TrackerdServer *
trackerd_server_new (const TrackerdServerOptions *options, GError **error)
{
  TrackerRegistryOptions registry = {.random = net_random};
  if (options->authority != NULL) {
    registry.certify = trackerd_authority_certify;
    registry.certify_data = options->authority;
  }
  g_autoptr (TrackerdServer) self = g_new0 (TrackerdServer, 1);
  self->registry = tracker_registry_new (&registry);
  self->since = g_get_monotonic_time ();
  self->tls = options->certificate != NULL;
  self->expiry = g_timeout_add_seconds (EXPIRY_SECONDS, on_expiry, self);
  if (!open_tracker (self, options, error) ||
      (options->management != NULL && !open_management (self, options->management, error)))
    return NULL;
  return g_steal_pointer (&self);
}

static void
close_server (SoupServer **server, NetListener **listener)
{
  g_clear_pointer (listener, net_listener_free);
  if (*server != NULL)
    soup_server_disconnect (*server);
  g_clear_object (server);
}

void
trackerd_server_free (TrackerdServer *self)
{
  close_server (&self->server, &self->listener);
  close_server (&self->management, &self->management_listener);
  g_source_remove (self->expiry);
  tracker_registry_free (self->registry);
  g_free (self);
}

void
trackerd_server_set_certificate (TrackerdServer *self, GTlsCertificate *certificate)
{
  g_return_if_fail (self->tls);
  net_listener_set_certificate (self->listener, certificate);
}

uint16_t
trackerd_server_port (const TrackerdServer *self)
{
  return self->port;
}

uint16_t
trackerd_server_management_port (const TrackerdServer *self)
{
  return self->management_port;
}
