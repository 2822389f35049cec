/* SPDX-License-Identifier: Apache-2.0 */
/* POST --> quota --> login --> json --> lists --> registry --> json --> 200
 *            |         |                  |                             503 with Retry-After (error 5)
 *            error 5   error 6            error 3, 6                    401 with challenges (error 6)
 *
 * RFC 7846 says nothing of HTTP's status codes. Errors 1 to 4 are the tracker's and travel in a
 * 200, since a peer that takes any other for a failure of HTTP would never read them. */
#include "peer/trackerd/server.h"

#include "peer/net/random.h"
#include "peer/tracker/json.h"
#include "peer/trackerd/atlas.h"
#include "peer/trackerd/doors.h"
#include "peer/trackerd/login.h"
#include "peer/trackerd/management.h"
#include "peer/trackerd/quota.h"
#include "peer/trackerd/respond.h"
#include "peer/trackerd/stores.h"

#include <libsoup/soup.h>
#include <string.h>

#define EXPIRY_SECONDS 5
/* For an answer to be taken: who asks and never reads holds a connection no longer. */
#define RESPONSE_SECONDS 30
/* What who finds us overloaded is asked to wait. */
#define RETRY_AFTER "30"
/* Requests a second of one address, and at once: 256 peers behind it, who report each minute, need
 * five a second, and all of them may come back together. */
#define REQUEST_RATE 50
#define REQUEST_BURST 512
/* A wrong password costs as many requests as this. */
#define BAD_CREDENTIALS_COST 32
/* And a TLS handshake as many as this. */
#define HANDSHAKE_COST 4

struct TrackerdServer {
  /* Of all below but the doors: a request is read, and its response written, without it. */
  GRecMutex lock;
  TrackerRegistry *registry;
  TrackerdStore *store;
  TrackerdSip *sip; /* NULL = none */
  TrackerdAtlas *atlas;
  TrackerdHistory *history;
  TrackerdAccess *access;
  TrackerDigest *digest;
  TrackerdQuota *quota;
  TrackerdEvents *events;
  TrackerdCounts counts;
  TrackerdManagement *management;
  TrackerdDoors *doors;
  bool tls;
  bool has_peers; /* the machine of section 2.3 is STARTED */
  guint expiry, sweep, sample;
};

static PeerAddress
address_of (GInetSocketAddress *remote)
{
  GInetAddress *ip = g_inet_socket_address_get_address (remote);
  PeerAddress out = {.port = g_inet_socket_address_get_port (remote)};
  peer_address_set_ip (&out, g_inet_address_to_bytes (ip), g_inet_address_get_native_size (ip));
  return out;
}

static bool
remote_of (SoupServerMessage *message, PeerAddress *out)
{
  GSocketAddress *remote = soup_server_message_get_remote_address (message);
  if (!G_IS_INET_SOCKET_ADDRESS (remote))
    return false;
  *out = address_of (G_INET_SOCKET_ADDRESS (remote));
  return true;
}

/* --- events -------------------------------------------------------------------------------- */

static void
note (TrackerdServer *self, TrackerdEventKind kind, const PeerAddress *from, const char *text)
{
  g_autofree char *ip = peer_address_ip_to_string (from);
  trackerd_events_note (self->events, kind, g_get_real_time (), "%s, from %s", text, ip);
}

/* What the registry counted while it answered one request. */
static void
note_changes (TrackerdServer *self, const TrackerRegistryStats *before, const PeerAddress *from)
{
  TrackerRegistryStats after;
  tracker_registry_stats (self->registry, &after);
  if (after.refused > before->refused)
    note (self, TRACKERD_EVENT_LIMIT_REACHED, from, "a peer or a swarm is over a limit");
  if (after.usurped > before->usurped)
    note (self, TRACKERD_EVENT_USURPED, from, "a request for a peer of another account");
  if (after.foreign > before->foreign)
    note (self, TRACKERD_EVENT_FOREIGN_ADDRESS, from,
          "a peer gives an address that is not where it comes from");
}

/* Section 2.3: the tracker's own machine. */
static void
note_state (TrackerdServer *self)
{
  TrackerRegistryStats stats;
  tracker_registry_stats (self->registry, &stats);
  bool has_peers = stats.peers > 0;
  if (has_peers == self->has_peers)
    return;
  self->has_peers = has_peers;
  trackerd_events_note (self->events,
                        has_peers ? TRACKERD_EVENT_STARTED : TRACKERD_EVENT_TERMINATED,
                        g_get_real_time (), "%s",
                        has_peers ? "the first peer is registered" : "no peer is registered");
}

/* --- requests ------------------------------------------------------------------------------ */

TrackerResponse *
trackerd_server_answer (TrackerdServer *self, const TrackerRequest *request,
                        const PeerAddress *from)
{
  TrackerRegistryStats before;
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  TrackerStatus status = trackerd_access_judge (self->access, request, from);
  self->counts.logins += request->account != NULL;
  if (status == TRACKER_STATUS_FORBIDDEN) {
    self->counts.denied++;
    note (self, TRACKERD_EVENT_DENIED, from, "a request that the lists deny");
  }
  if (status != TRACKER_STATUS_OK)
    return tracker_response_new (status, request->transaction_id);
  tracker_registry_stats (self->registry, &before);
  TrackerResponse *response =
      tracker_registry_answer (self->registry, g_get_monotonic_time (), request, from);
  note_changes (self, &before, from);
  note_state (self);
  return response;
}

bool
trackerd_server_admit (TrackerdServer *self, const PeerAddress *from)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  int64_t now = g_get_monotonic_time ();
  if (trackerd_quota_has (self->quota, from, now)) {
    trackerd_quota_take (self->quota, from, 1, now);
    return true;
  }
  self->counts.flooded++;
  note (self, TRACKERD_EVENT_FLOOD, from, "too many requests");
  return false;
}

void
trackerd_server_bad_credentials (TrackerdServer *self, const PeerAddress *from)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  self->counts.bad_credentials++;
  trackerd_quota_take (self->quota, from, BAD_CREDENTIALS_COST, g_get_monotonic_time ());
  note (self, TRACKERD_EVENT_BAD_CREDENTIALS, from, "a wrong password, token or certificate");
}

static bool
is_our_type (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *type = soup_message_headers_get_content_type (headers, NULL);
  return type == NULL || g_ascii_strcasecmp (type, TRACKER_JSON_TYPE) == 0 ||
         g_ascii_strcasecmp (type, "application/json") == 0;
}

static bool
has_accounts (const TrackerdServer *self)
{
  return self->digest != NULL || trackerd_access_has_tokens (self->access);
}

/* The request that the body is, or the answer to what it is not. */
static TrackerRequest *
read_body (TrackerdServer *self, SoupServerMessage *message, const PeerAddress *from,
           TrackerResponse **refusal)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);
  g_autoptr (GBytes) bytes = soup_message_body_flatten (body);
  g_autofree char *transaction = NULL;
  TrackerRequest *request = NULL;
  gsize n;
  const char *data = g_bytes_get_data (bytes, &n);
  TrackerStatus status =
      tracker_json_read_request (data != NULL ? data : "", n, &request, &transaction);
  if (status == TRACKER_STATUS_OK)
    return request;
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  if (n == 0 && has_accounts (self)) {
    /* Who has a password may send nothing with it before he knows how to show it. */
    *refusal = tracker_response_new (TRACKER_STATUS_UNAUTHORIZED, "");
    return NULL;
  }
  self->counts.malformed++;
  note (self, TRACKERD_EVENT_MALFORMED, from, "a request that cannot be read");
  *refusal = tracker_response_new (status, transaction);
  return NULL;
}

static TrackerdLogin
log_in (TrackerdServer *self, SoupServerMessage *message, const PeerAddress *from, int64_t now,
        char **account)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  TrackerdLogin login = trackerd_login (self->access, self->digest, message, from, now, account);
  if (login == TRACKERD_LOGIN_WRONG)
    trackerd_server_bad_credentials (self, from);
  return login;
}

static void
challenge (TrackerdServer *self, SoupServerMessage *message, const PeerAddress *from, int64_t now,
           TrackerdLogin login)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  trackerd_login_challenge (self->access, self->digest, message, from, now, login);
}

/* Section 4.1.1: first whether what it shows of itself is valid, then the rest. */
static TrackerResponse *
answer (TrackerdServer *self, SoupServerMessage *message)
{
  int64_t now = g_get_monotonic_time ();
  TrackerResponse *response = NULL;
  g_autofree char *account = NULL;
  PeerAddress from;
  if (!remote_of (message, &from))
    return tracker_response_new (TRACKER_STATUS_INTERNAL_ERROR, "");
  if (!trackerd_server_admit (self, &from))
    return tracker_response_new (TRACKER_STATUS_UNAVAILABLE, "");
  TrackerdLogin login = log_in (self, message, &from, now, &account);
  g_autoptr (TrackerRequest) request = read_body (self, message, &from, &response);
  if (request != NULL) {
    request->account = g_steal_pointer (&account);
    response = login == TRACKERD_LOGIN_WRONG || login == TRACKERD_LOGIN_STALE
                   ? tracker_response_new (TRACKER_STATUS_UNAUTHORIZED, request->transaction_id)
                   : trackerd_server_answer (self, request, &from);
  }
  if (response->status == TRACKER_STATUS_UNAUTHORIZED)
    challenge (self, message, &from, now, login);
  return response;
}

/* A 401 has a challenge (RFC 7235, 3.1): without any to make, it is a 403. */
static guint
http_status (TrackerStatus status, SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  if (status == TRACKER_STATUS_UNAVAILABLE) {
    soup_message_headers_replace (headers, "Retry-After", RETRY_AFTER);
    return SOUP_STATUS_SERVICE_UNAVAILABLE;
  }
  if (status != TRACKER_STATUS_UNAUTHORIZED)
    return SOUP_STATUS_OK;
  return soup_message_headers_get_list (headers, "WWW-Authenticate") != NULL
             ? SOUP_STATUS_UNAUTHORIZED
             : SOUP_STATUS_FORBIDDEN;
}

static void
count_malformed (TrackerdServer *self)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  self->counts.malformed++;
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  TrackerdServer *self = data;
  if (g_strcmp0 (soup_server_message_get_method (message), "POST") != 0) {
    count_malformed (self);
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                  "POST");
    trackerd_respond_text (message, SOUP_STATUS_METHOD_NOT_ALLOWED,
                           "This is a PPSP tracker (RFC 7846); it takes POST.\n");
    return;
  }
  if (!is_our_type (message)) {
    count_malformed (self);
    trackerd_respond_text (message, SOUP_STATUS_UNSUPPORTED_MEDIA_TYPE,
                           "This tracker takes " TRACKER_JSON_TYPE ".\n");
    return;
  }
  g_autoptr (TrackerResponse) response = answer (self, message);
  size_t n;
  char *body = tracker_json_write_response (response, &n);
  trackerd_respond (message, http_status (response->status, message), TRACKER_JSON_TYPE, body, n);
}

/* --- the server ---------------------------------------------------------------------------- */

static gboolean
on_sweep (gpointer data)
{
  TrackerdServer *self = data;
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  int64_t now = g_get_monotonic_time ();
  tracker_registry_expire (self->registry, now);
  note_state (self);
  if (tracker_registry_deadline (self->registry) <= now)
    return G_SOURCE_CONTINUE;
  self->sweep = 0;
  return G_SOURCE_REMOVE;
}

static gboolean
on_expiry (gpointer data)
{
  TrackerdServer *self = data;
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  int64_t now = g_get_monotonic_time ();
  tracker_registry_expire (self->registry, now);
  /* The rest of many soon, but not before who waits. */
  if (tracker_registry_deadline (self->registry) <= now)
    self->sweep = self->sweep != 0 ? self->sweep : g_idle_add (on_sweep, self);
  note_state (self);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_sample (gpointer data)
{
  TrackerdServer *self = data;
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  trackerd_history_sample (self->history, self->registry, g_get_real_time ());
  return G_SOURCE_CONTINUE;
}

static void
on_places (TrackerPlaces *places, void *data)
{
  trackerd_server_set_places (data, places);
}

static bool
open_management (TrackerdServer *self, const char *address, GError **error)
{
  TrackerdManaged managed = {.registry = self->registry,
                             .quota = self->quota,
                             .events = self->events,
                             .counts = &self->counts,
                             .access = &self->access,
                             .listener = trackerd_doors_listener (self->doors),
                             .sip = self->sip,
                             .store = self->store,
                             .history = self->history,
                             .lock = &self->lock};
  self->management = trackerd_management_new (address, &managed, error);
  return self->management != NULL;
}

/* A TLS handshake costs us a signature before we have heard a word. */
static bool
admit (GInetSocketAddress *remote, gpointer data)
{
  TrackerdServer *self = data;
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  int64_t now = g_get_monotonic_time ();
  PeerAddress from = address_of (remote);
  if (!trackerd_quota_has (self->quota, &from, now)) {
    self->counts.flooded++;
    note (self, TRACKERD_EVENT_FLOOD, &from, "too many connections");
    return false;
  }
  trackerd_quota_take (self->quota, &from, HANDSHAKE_COST, now);
  return true;
}

static bool
open_tracker (TrackerdServer *self, const TrackerdServerOptions *options, GError **error)
{
  NetListenerOptions limits = {.max_connections = options->max_connections,
                               .max_per_ip = 256, /* many homes may share one address */
                               .response_timeout = RESPONSE_SECONDS,
                               .admit = options->certificate != NULL ? admit : NULL,
                               .data = self,
                               .certificate = options->certificate};
  TrackerdDoorsOptions doors = {.n = options->threads,
                                .addresses = options->listen,
                                .limits = &limits,
                                .ask_certificates = trackerd_access_has_certificates (self->access),
                                .handle = on_request,
                                .data = self};
  self->doors = trackerd_doors_new (&doors, error);
  return self->doors != NULL;
}

static TrackerResponse *
answer_sip (void *data, const TrackerRequest *request, const PeerAddress *from)
{
  return trackerd_server_answer (data, request, from);
}

static bool
admit_sip (void *data, const PeerAddress *from)
{
  return trackerd_server_admit (data, from);
}

static void
wrong_by_sip (void *data, const PeerAddress *from)
{
  trackerd_server_bad_credentials (data, from);
}

static bool
open_sip (TrackerdServer *self, const TrackerdServerOptions *options, GError **error)
{
  if (options->sip == NULL || (options->sip->plain == NULL && options->sip->secure == NULL))
    return true;
  TrackerdSipFuncs funcs = {.answer = answer_sip,
                            .admit = admit_sip,
                            .wrong = wrong_by_sip,
                            .data = self,
                            .lock = &self->lock};
  self->sip = trackerd_sip_new (options->sip, options->digest, &funcs, error);
  return self->sip != NULL;
}

/* Of all peers: on whom the lists say otherwise than when they came. */
static void
judge_again (TrackerdServer *self)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  tracker_registry_expel (self->registry, trackerd_access_allows, self->access);
  note_state (self);
}

TrackerdServer *
trackerd_server_new (const TrackerdServerOptions *options, GError **error)
{
  TrackerRegistryOptions registry = {.random = net_random,
                                     .changes = trackerd_stores_want_changes (options->store)};
  if (options->authority != NULL) {
    registry.certify = trackerd_authority_certify;
    registry.certify_data = options->authority;
  }
  g_autoptr (TrackerdServer) self = g_new0 (TrackerdServer, 1);
  g_rec_mutex_init (&self->lock);
  self->registry = tracker_registry_new (&registry);
  self->quota = trackerd_quota_new (REQUEST_RATE, REQUEST_BURST, net_random, NULL);
  self->events = trackerd_events_new ();
  self->digest = options->digest;
  self->access = options->access != NULL ? options->access
                                         : trackerd_access_load (NULL, TRACKERD_SWARM_OPEN, NULL);
  self->tls = options->certificate != NULL;
  self->expiry = g_timeout_add_seconds (EXPIRY_SECONDS, on_expiry, self);
  self->history = trackerd_history_new ();
  self->sample = g_timeout_add_seconds (TRACKERD_HISTORY_SECONDS, on_sample, self);
  self->atlas = trackerd_atlas_new (options->places, options->alto, on_places, self, error);
  if (self->atlas == NULL)
    return NULL;
  self->store = trackerd_stores_open (options->store, self->registry, &self->lock, error);
  if (self->store == NULL)
    return NULL;
  judge_again (self); /* whom it has loaded */
  if (!open_tracker (self, options, error) || !open_sip (self, options, error) ||
      (options->management != NULL && !open_management (self, options->management, error)))
    return NULL;
  return g_steal_pointer (&self);
}

void
trackerd_server_free (TrackerdServer *self)
{
  g_clear_pointer (&self->management, trackerd_management_free);
  g_clear_pointer (&self->sip, trackerd_sip_free);
  g_clear_pointer (&self->doors, trackerd_doors_free);
  g_source_remove (self->expiry);
  g_clear_handle_id (&self->sweep, g_source_remove);
  g_clear_handle_id (&self->sample, g_source_remove);
  g_clear_pointer (&self->history, trackerd_history_free);
  g_clear_pointer (&self->store, trackerd_store_free);
  g_clear_pointer (&self->atlas, trackerd_atlas_free);
  tracker_registry_free (self->registry);
  trackerd_access_free (self->access);
  trackerd_events_free (self->events);
  trackerd_quota_free (self->quota);
  g_rec_mutex_clear (&self->lock);
  g_free (self);
}

void
trackerd_server_set_certificate (TrackerdServer *self, GTlsCertificate *certificate)
{
  g_return_if_fail (self->tls);
  trackerd_doors_set_certificate (self->doors, certificate);
  if (self->sip != NULL)
    trackerd_sip_use_certificate (self->sip);
}

bool
trackerd_server_load_certificate (TrackerdServer *self, GError **error)
{
  return self->sip == NULL || trackerd_sip_load_certificate (self->sip, error);
}

void
trackerd_server_drop_certificate (TrackerdServer *self)
{
  if (self->sip != NULL)
    trackerd_sip_drop_certificate (self->sip);
}

void
trackerd_server_set_access (TrackerdServer *self, TrackerdAccess *access)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  trackerd_access_free (self->access);
  self->access = access;
  trackerd_doors_ask_certificates (self->doors, trackerd_access_has_certificates (access));
  judge_again (self);
}

bool
trackerd_server_read_places (TrackerdServer *self, TrackerPlaces **out, GError **error)
{
  return trackerd_atlas_read (self->atlas, out, error);
}

void
trackerd_server_set_places (TrackerdServer *self, TrackerPlaces *places)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&self->lock);
  tracker_registry_set_places (self->registry, places);
}

GRecMutex *
trackerd_server_lock (TrackerdServer *self)
{
  return &self->lock;
}

TrackerdEvents *
trackerd_server_events (TrackerdServer *self)
{
  return self->events;
}

uint16_t
trackerd_server_port (const TrackerdServer *self)
{
  return trackerd_doors_port (self->doors);
}

uint16_t
trackerd_server_management_port (const TrackerdServer *self)
{
  return self->management != NULL ? trackerd_management_port (self->management) : 0;
}

uint16_t
trackerd_server_sip_port (const TrackerdServer *self)
{
  return self->sip != NULL ? trackerd_sip_port (self->sip) : 0;
}

uint16_t
trackerd_server_sips_port (const TrackerdServer *self)
{
  return self->sip != NULL ? trackerd_sip_secure_port (self->sip) : 0;
}
