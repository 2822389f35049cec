/* SPDX-License-Identifier: Apache-2.0 */
/* Each resource is one container of the YANG module, named as RFC 7951 wants it, so that what carries
 * RESTCONF or NETCONF needs no other names. 64-bit numbers are strings there. */
#include "peer/trackerd/management.h"
#include "peer/trackerd/respond.h"

#include "peer/net/metrics.h"

#include <json-glib/json-glib.h>
#include <libsoup/soup.h>
#include <string.h>

#define MODULE "ppsp-tracker:"
#define JSON_TYPE "application/yang-data+json"
/* What one response lists; the totals say how many there are. */
#define MAX_LISTED 1000
#define SWARMS "/api/v1/swarms/"
#define MAX_LIMITS_BODY 4096

struct TrackerdManagement {
  TrackerdManaged managed;
  SoupServer *server;
  NetListener *listener;
  uint16_t port;
  int64_t since; /* us, monotonic */
};

/* --- metrics ------------------------------------------------------------------------------- */

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
  net_metrics_counter (out, "ppsp_tracker_usurped", "Requests for a peer of another account.",
                       stats->usurped);
  net_metrics_counter (out, "ppsp_tracker_certified", "Certificates of membership issued.",
                       stats->certified);
  net_metrics_gauge (out, "ppsp_tracker_certificates", "Certificates kept to be given to others.",
                     stats->certificates);
  net_metrics_counter (out, "ppsp_tracker_uploaded_bytes", "Bytes that peers report to have sent.",
                       stats->uploaded);
  net_metrics_counter (out, "ppsp_tracker_downloaded_bytes",
                       "Bytes that peers report to have received.", stats->downloaded);
  net_metrics_counter (out, "ppsp_tracker_late_chunks",
                       "Chunks that peers report to have received too late.", stats->late);
  net_metrics_gauge (out, "ppsp_tracker_chunk_ranges", "Ranges of chunks that peers say they have.",
                     stats->ranges);
}

static void
put_counts (GString *out, const TrackerdCounts *counts)
{
  net_metrics_counter (out, "ppsp_tracker_malformed", "Requests that could not be read.",
                       counts->malformed);
  net_metrics_counter (out, "ppsp_tracker_flooded", "Requests over what one address may make.",
                       counts->flooded);
  net_metrics_counter (out, "ppsp_tracker_logins", "Requests with an account.", counts->logins);
  net_metrics_counter (out, "ppsp_tracker_bad_credentials",
                       "Requests whose password, token or certificate was wrong.",
                       counts->bad_credentials);
  net_metrics_counter (out, "ppsp_tracker_denied", "Requests that the lists deny.", counts->denied);
}

static void
put_store (GString *out, const TrackerdStore *store)
{
  TrackerdStoreStats stats;
  trackerd_store_stats (store, &stats);
  net_metrics_gauge (out, "ppsp_tracker_store_connected", "1 = the store can be reached.",
                     stats.connected);
  net_metrics_counter (out, "ppsp_tracker_store_written", "Records given to the store.",
                       stats.written);
  net_metrics_counter (out, "ppsp_tracker_store_read", "Records taken from the store.", stats.read);
  net_metrics_counter (out, "ppsp_tracker_store_refused",
                       "Records of the store that were malformed, or over a limit.", stats.refused);
  net_metrics_counter (out, "ppsp_tracker_store_failures",
                       "Writes that failed, and connections that were lost.", stats.failures);
}

static void
on_metrics (TrackerdManagement *self, SoupServerMessage *message)
{
  TrackerRegistryStats stats;
  GString *out = g_string_new (NULL);
  tracker_registry_stats (self->managed.registry, &stats);
  net_metrics_program (out, self->since);
  put_registry (out, &stats);
  put_counts (out, self->managed.counts);
  put_store (out, self->managed.store);
  net_metrics_listener (out, self->managed.listener);
  if (self->managed.sip != NULL)
    trackerd_sip_metrics (self->managed.sip, out);
  net_metrics_end (out);
  size_t n = out->len;
  trackerd_respond (message, SOUP_STATUS_OK, NET_METRICS_TYPE, g_string_free (out, FALSE), n);
}

static void
on_healthz (TrackerdManagement *self, SoupServerMessage *message)
{
  trackerd_respond_text (message, SOUP_STATUS_OK, "ok\n");
}

/* --- resources ----------------------------------------------------------------------------- */

static void
put_name (JsonBuilder *out, const char *name)
{
  json_builder_set_member_name (out, name);
}

static void
put_text (JsonBuilder *out, const char *name, const char *value)
{
  put_name (out, name);
  json_builder_add_string_value (out, value);
}

static void
put_u32 (JsonBuilder *out, const char *name, uint32_t value)
{
  put_name (out, name);
  json_builder_add_int_value (out, value);
}

/* RFC 7951, 6.1. */
static void
put_u64 (JsonBuilder *out, const char *name, uint64_t value)
{
  char text[24];
  g_snprintf (text, sizeof text, "%" G_GUINT64_FORMAT, (guint64)value);
  put_text (out, name, text);
}

/* date-and-time of RFC 6991. at: us of the Unix epoch. */
static void
put_time (JsonBuilder *out, const char *name, int64_t at)
{
  g_autoptr (GDateTime) second = g_date_time_new_from_unix_utc (at / G_USEC_PER_SEC);
  g_autofree char *text = second != NULL ? g_date_time_format (second, "%Y-%m-%dT%H:%M:%SZ") : NULL;
  put_text (out, name, text != NULL ? text : "1970-01-01T00:00:00Z");
}

static int64_t
wall_time (int64_t monotonic)
{
  return g_get_real_time () - (g_get_monotonic_time () - monotonic);
}

/* { "ppsp-tracker:NAME": { ... */
static JsonBuilder *
resource_begin (const char *name)
{
  g_autofree char *whole = g_strconcat (MODULE, name, NULL);
  JsonBuilder *out = json_builder_new ();
  json_builder_begin_object (out);
  put_name (out, whole);
  json_builder_begin_object (out);
  return out;
}

static void
resource_end (JsonBuilder *builder, SoupServerMessage *message)
{
  json_builder_end_object (builder);
  json_builder_end_object (builder);
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  json_generator_set_root (generator, root);
  gsize n;
  char *text = json_generator_to_data (generator, &n);
  g_object_unref (builder);
  trackerd_respond (message, SOUP_STATUS_OK, JSON_TYPE, text, n);
}

static void
on_tracker (TrackerdManagement *self, SoupServerMessage *message)
{
  TrackerRegistryStats stats;
  tracker_registry_stats (self->managed.registry, &stats);
  JsonBuilder *out = resource_begin ("tracker");
  /* Section 2.3: INIT without a registration, STARTED as long as there is one. */
  put_text (out, "state", stats.peers > 0 ? "STARTED" : "INIT");
  put_text (out, "version", PPSP_VERSION);
  put_time (out, "since", wall_time (self->since));
  put_u32 (out, "swarms", stats.swarms);
  put_u32 (out, "peers", stats.peers);
  put_u64 (out, "connects", stats.connects);
  put_u64 (out, "finds", stats.finds);
  put_u64 (out, "stat-reports", stats.reports);
  put_u64 (out, "expired", stats.expired);
  put_u64 (out, "refused", stats.refused);
  put_u64 (out, "malformed", self->managed.counts->malformed);
  put_u64 (out, "bad-credentials", self->managed.counts->bad_credentials);
  put_u64 (out, "denied", self->managed.counts->denied);
  resource_end (out, message);
}

typedef struct {
  JsonBuilder *out;
  unsigned left;
} List;

static bool
put_swarm (const TrackerSwarmInfo *info, void *data)
{
  List *list = data;
  if (list->left-- == 0)
    return false;
  json_builder_begin_object (list->out);
  put_text (list->out, "swarm-id", info->swarm_id);
  put_u32 (list->out, "seeders", info->seeders);
  put_u32 (list->out, "leeches", info->leeches);
  put_u64 (list->out, "uploaded", info->uploaded);
  put_u64 (list->out, "downloaded", info->downloaded);
  put_u64 (list->out, "late-chunks", info->late);
  json_builder_end_object (list->out);
  return true;
}

/* The first thousand, in no particular order; "total" says how many there are. */
static void
on_swarms (TrackerdManagement *self, SoupServerMessage *message)
{
  TrackerRegistryStats stats;
  tracker_registry_stats (self->managed.registry, &stats);
  List list = {.out = resource_begin ("swarms"), .left = MAX_LISTED};
  put_u32 (list.out, "total", stats.swarms);
  put_name (list.out, "swarm");
  json_builder_begin_array (list.out);
  tracker_registry_swarms (self->managed.registry, put_swarm, &list);
  json_builder_end_array (list.out);
  resource_end (list.out, message);
}

static void
put_listen (JsonBuilder *out, const TrackerMemberInfo *info)
{
  put_name (out, "listen");
  json_builder_begin_array (out);
  for (unsigned i = 0; i < info->n_addresses; i++) {
    g_autofree char *ip = peer_address_ip_to_string (&info->addresses[i].address);
    json_builder_begin_object (out);
    put_text (out, "address", ip);
    put_u32 (out, "port", info->addresses[i].address.port);
    json_builder_end_object (out);
  }
  json_builder_end_array (out);
}

static bool
put_member (const TrackerMemberInfo *info, void *data)
{
  List *list = data;
  if (list->left-- == 0)
    return false;
  g_autofree char *from = peer_address_ip_to_string (info->from);
  json_builder_begin_object (list->out);
  put_text (list->out, "peer-id", info->peer_id);
  put_text (list->out, "from", from);
  if (info->account != NULL)
    put_text (list->out, "account", info->account);
  put_text (list->out, "mode", info->mode == TRACKER_MODE_SEEDER ? "SEEDER" : "LEECH");
  put_time (list->out, "connected", wall_time (info->connected));
  put_time (list->out, "heard", wall_time (info->heard));
  put_u64 (list->out, "uploaded", info->uploaded);
  put_u64 (list->out, "downloaded", info->downloaded);
  put_u32 (list->out, "late-chunks", info->late);
  put_u32 (list->out, "links", info->links);
  put_name (list->out, "remote");
  json_builder_add_boolean_value (list->out, info->remote);
  put_listen (list->out, info);
  json_builder_end_object (list->out);
  return true;
}

/* The peers of one swarm, a thousand at most. */
static void
on_peers (TrackerdManagement *self, SoupServerMessage *message)
{
  const char *path = g_uri_get_path (soup_server_message_get_uri (message));
  g_autofree char *swarm_id = g_uri_unescape_string (path + strlen (SWARMS), NULL);
  List list = {.out = resource_begin ("peers"), .left = MAX_LISTED};
  if (swarm_id == NULL || !g_utf8_validate (swarm_id, -1, NULL))
    g_clear_pointer (&swarm_id, g_free);
  put_text (list.out, "swarm-id", swarm_id != NULL ? swarm_id : "");
  put_name (list.out, "peer");
  json_builder_begin_array (list.out);
  bool found = swarm_id != NULL &&
               tracker_registry_members (self->managed.registry, swarm_id, put_member, &list);
  json_builder_end_array (list.out);
  if (found) {
    resource_end (list.out, message);
    return;
  }
  g_object_unref (list.out);
  trackerd_respond_text (message, SOUP_STATUS_NOT_FOUND, "No peer is in a swarm of this ID.\n");
}

static const char *
policy_name (TrackerdPolicy policy)
{
  static const char *const names[] = {"open", "closed", "refused"};
  return names[policy];
}

static bool
put_listed (const char *swarm_id, TrackerdPolicy policy, int accounts, void *data)
{
  List *list = data;
  if (list->left-- == 0)
    return false;
  json_builder_begin_object (list->out);
  put_text (list->out, "swarm-id", swarm_id);
  put_text (list->out, "access", policy_name (policy));
  if (accounts >= 0)
    put_u32 (list->out, "accounts", (uint32_t)accounts);
  json_builder_end_object (list->out);
  return true;
}

/* Numbers and swarms, and no names: who may read this need not know who watches. */
static void
on_lists (TrackerdManagement *self, SoupServerMessage *message)
{
  TrackerdAccessInfo info;
  trackerd_access_info (*self->managed.access, &info);
  List list = {.out = resource_begin ("lists"), .left = MAX_LISTED};
  put_text (list.out, "swarms", policy_name (info.otherwise));
  put_u32 (list.out, "tokens", info.tokens);
  put_u32 (list.out, "certificates", info.certificates);
  put_name (list.out, "authority");
  json_builder_add_boolean_value (list.out, info.authority);
  put_u32 (list.out, "denied-addresses", info.denied_addresses);
  put_u32 (list.out, "denied-accounts", info.denied_accounts);
  put_name (list.out, "swarm");
  json_builder_begin_array (list.out);
  trackerd_access_list (*self->managed.access, put_listed, &list);
  json_builder_end_array (list.out);
  resource_end (list.out, message);
}

static void
on_events (TrackerdManagement *self, SoupServerMessage *message)
{
  JsonBuilder *out = resource_begin ("events");
  put_name (out, "event");
  json_builder_begin_array (out);
  for (unsigned i = 0; i < trackerd_events_count (self->managed.events); i++) {
    const TrackerdEvent *event = trackerd_events_get (self->managed.events, i);
    json_builder_begin_object (out);
    put_u64 (out, "number", event->number);
    put_time (out, "time", event->at);
    put_time (out, "last", event->last);
    put_text (out, "kind", trackerd_event_name (event->kind));
    put_u32 (out, "times", event->times);
    put_text (out, "text", event->text);
    json_builder_end_object (out);
  }
  json_builder_end_array (out);
  resource_end (out, message);
}

/* --- limits -------------------------------------------------------------------------------- */

/* What can be read and set. */
typedef struct {
  TrackerRegistryOptions registry;
  uint32_t rate, burst;
} Limits;

static const struct {
  const char *name;
  size_t offset;
} limit_table[] = {
    {"max-swarms", offsetof (Limits, registry.max_swarms)},
    {"max-peers", offsetof (Limits, registry.max_peers)},
    {"max-peers-per-ip", offsetof (Limits, registry.max_peers_per_ip)},
    {"max-peers-per-account", offsetof (Limits, registry.max_peers_per_account)},
    {"max-swarms-per-peer", offsetof (Limits, registry.max_swarms_per_peer)},
    {"max-transactions", offsetof (Limits, registry.max_transactions)},
    {"max-certificates", offsetof (Limits, registry.max_certificates)},
    {"max-ranges", offsetof (Limits, registry.max_ranges)},
    {"request-rate", offsetof (Limits, rate)},
    {"request-burst", offsetof (Limits, burst)},
};

static uint32_t *
limit_at (Limits *self, unsigned i)
{
  return (uint32_t *)(void *)((char *)self + limit_table[i].offset);
}

static Limits
limits_now (const TrackerdManagement *self)
{
  return (Limits){.registry = *tracker_registry_options (self->managed.registry),
                  .rate = trackerd_quota_rate (self->managed.quota),
                  .burst = trackerd_quota_burst (self->managed.quota)};
}

static void
on_limits (TrackerdManagement *self, SoupServerMessage *message)
{
  Limits limits = limits_now (self);
  JsonBuilder *out = resource_begin ("limits");
  for (unsigned i = 0; i < G_N_ELEMENTS (limit_table); i++)
    put_u32 (out, limit_table[i].name, *limit_at (&limits, i));
  resource_end (out, message);
}

static JsonObject *
limits_object (JsonParser *parser, SoupServerMessage *message)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);
  g_autoptr (GBytes) bytes = soup_message_body_flatten (body);
  gsize n;
  const char *data = g_bytes_get_data (bytes, &n);
  /* json-glib recurses; so small a body cannot be too deep for it. */
  if (n == 0 || n > MAX_LIMITS_BODY || !json_parser_load_from_data (parser, data, (gssize)n, NULL))
    return NULL;
  JsonNode *root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return NULL;
  JsonNode *limits = json_object_get_member (json_node_get_object (root), MODULE "limits");
  return limits != NULL && JSON_NODE_HOLDS_OBJECT (limits) ? json_node_get_object (limits) : NULL;
}

/* NULL, or what is wrong with it; the caller frees. */
static char *
read_limits (JsonObject *object, Limits *out, GString *what)
{
  JsonObjectIter iter;
  const char *name;
  JsonNode *node;
  json_object_iter_init (&iter, object);
  while (json_object_iter_next (&iter, &name, &node)) {
    unsigned i = 0;
    while (i < G_N_ELEMENTS (limit_table) && strcmp (limit_table[i].name, name) != 0)
      i++;
    if (i == G_N_ELEMENTS (limit_table))
      return g_strdup_printf ("There is no limit '%s'.\n", name);
    gint64 value = JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64
                       ? json_node_get_int (node)
                       : 0;
    if (value < 1 || value > UINT32_MAX)
      return g_strdup_printf ("%s: expected a number from 1 to 4294967295.\n", name);
    *limit_at (out, i) = (uint32_t)value;
    g_string_append_printf (what, " %s=%" G_GINT64_FORMAT, name, value);
  }
  return NULL;
}

/* Only from this machine, and only by what no page of a browser can send to another site unasked. */
static bool
may_change (SoupServerMessage *message)
{
  GSocketAddress *remote = soup_server_message_get_remote_address (message);
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *type = soup_message_headers_get_content_type (headers, NULL);
  if (soup_message_headers_get_one (headers, "Origin") != NULL ||
      (g_strcmp0 (type, JSON_TYPE) != 0 && g_strcmp0 (type, "application/json") != 0))
    return false;
  if (!G_IS_INET_SOCKET_ADDRESS (remote))
    return false;
  GInetAddress *ip = g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (remote));
  PeerAddress from = {0};
  peer_address_set_ip (&from, g_inet_address_to_bytes (ip), g_inet_address_get_native_size (ip));
  return peer_address_is_loopback (&from);
}

/* PATCH as RESTCONF has it (RFC 8040, 4.6.1): those limits that are named, all or none. */
static void
change_limits (TrackerdManagement *self, SoupServerMessage *message)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GString) what = g_string_new (NULL);
  if (!may_change (message)) {
    trackerd_respond_text (message, SOUP_STATUS_FORBIDDEN,
                           "Limits are changed from this machine only, with " JSON_TYPE ".\n");
    return;
  }
  JsonObject *object = limits_object (parser, message);
  Limits limits = limits_now (self);
  g_autofree char *wrong = object != NULL ? read_limits (object, &limits, what)
                                          : g_strdup ("Expected {\"" MODULE "limits\": {...}}.\n");
  if (wrong != NULL) {
    trackerd_respond_text (message, SOUP_STATUS_BAD_REQUEST, wrong);
    return;
  }
  tracker_registry_limit (self->managed.registry, &limits.registry);
  trackerd_quota_limit (self->managed.quota, limits.rate, limits.burst);
  trackerd_events_note (self->managed.events, TRACKERD_EVENT_LIMITS_CHANGED, g_get_real_time (),
                        "limits changed:%s", what->str);
  on_limits (self, message);
}

static void
put_samples (JsonBuilder *out, const TrackerdHistory *history, const char *swarm_id)
{
  put_name (out, "sample");
  json_builder_begin_array (out);
  for (unsigned i = 0; i < trackerd_history_count (history, swarm_id); i++) {
    const TrackerdSample *sample = trackerd_history_get (history, swarm_id, i);
    json_builder_begin_object (out);
    put_time (out, "time", sample->at);
    put_u32 (out, "seeders", sample->seeders);
    put_u32 (out, "leeches", sample->leeches);
    put_u64 (out, "uploaded", sample->uploaded);
    put_u64 (out, "downloaded", sample->downloaded);
    put_u64 (out, "late-chunks", sample->late);
    json_builder_end_object (out);
  }
  json_builder_end_array (out);
}

typedef struct {
  JsonBuilder *out;
  const TrackerdHistory *history;
} Past;

static void
put_past (const char *swarm_id, void *data)
{
  Past *past = data;
  json_builder_begin_object (past->out);
  put_text (past->out, "swarm-id", swarm_id);
  put_samples (past->out, past->history, swarm_id);
  json_builder_end_object (past->out);
}

static void
on_history (TrackerdManagement *self, SoupServerMessage *message)
{
  Past past = {.out = resource_begin ("history"), .history = self->managed.history};
  put_samples (past.out, past.history, NULL);
  put_name (past.out, "swarm");
  json_builder_begin_array (past.out);
  trackerd_history_swarms (past.history, put_past, &past);
  json_builder_end_array (past.out);
  resource_end (past.out, message);
}

/* --- the server ---------------------------------------------------------------------------- */

typedef void (*Handler) (TrackerdManagement *self, SoupServerMessage *message);

static const struct {
  const char *path;
  Handler get, patch;
} resources[] = {
    {"/metrics", on_metrics, NULL},
    {"/healthz", on_healthz, NULL},
    {"/api/v1/tracker", on_tracker, NULL},
    {"/api/v1/swarms", on_swarms, NULL},
    {"/api/v1/limits", on_limits, change_limits},
    {"/api/v1/lists", on_lists, NULL},
    {"/api/v1/events", on_events, NULL},
    {"/api/v1/history", on_history, NULL},
};

static void
refuse_method (SoupServerMessage *message, bool patch)
{
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                patch ? "GET, HEAD, PATCH" : "GET, HEAD");
  trackerd_respond_text (message, SOUP_STATUS_METHOD_NOT_ALLOWED,
                         patch ? "GET or PATCH.\n" : "Only GET.\n");
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  TrackerdManagement *self = data;
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (self->managed.lock);
  const char *method = soup_server_message_get_method (message);
  bool get = g_strcmp0 (method, "GET") == 0 || g_strcmp0 (method, "HEAD") == 0;
  bool patch = g_strcmp0 (method, "PATCH") == 0;
  for (unsigned i = 0; i < G_N_ELEMENTS (resources); i++) {
    if (strcmp (resources[i].path, path) != 0)
      continue;
    if (get)
      resources[i].get (self, message);
    else if (patch && resources[i].patch != NULL)
      resources[i].patch (self, message);
    else
      refuse_method (message, resources[i].patch != NULL);
    return;
  }
  if (!g_str_has_prefix (path, SWARMS))
    trackerd_respond_text (
        message, SOUP_STATUS_NOT_FOUND,
        "There are /metrics, /healthz, and /api/v1/ with tracker, swarms, swarms/ID, "
        "limits, lists, events, history.\n");
  else if (get)
    on_peers (self, message);
  else
    refuse_method (message, false);
}

TrackerdManagement *
trackerd_management_new (const char *address, const TrackerdManaged *managed, GError **error)
{
  NetListenerOptions options = {.max_connections = 32,
                                .max_body = MAX_LIMITS_BODY,
                                .check_host = true,
                                .response_timeout = 60};
  g_autoptr (TrackerdManagement) self = g_new0 (TrackerdManagement, 1);
  self->managed = *managed;
  self->since = g_get_monotonic_time ();
  self->server = soup_server_new ("server-header", "ppsp-tracker", NULL);
  soup_server_add_handler (self->server, NULL, on_request, self, NULL);
  self->listener = net_listener_new (self->server, &options);
  self->port = net_listener_add (self->listener, address, error);
  return self->port != 0 ? g_steal_pointer (&self) : NULL;
}

void
trackerd_management_free (TrackerdManagement *self)
{
  if (self == NULL)
    return;
  net_listener_free (self->listener);
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  g_free (self);
}

uint16_t
trackerd_management_port (const TrackerdManagement *self)
{
  return self->port;
}
