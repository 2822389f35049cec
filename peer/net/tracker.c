/* SPDX-License-Identifier: Apache-2.0 */
/* For each tracker's URI one session (peer/tracker/session.h), all turned alike:
 *
 *   idle --deadline--> resolve --> send --> read --> answer --> idle
 *                         ^          |                 ^
 *                         +-redirect-+                 |
 *                         +--> peer/net/sip-client.h --+  if it is a sip: or sips: URI
 *
 * We join at all trackers at once: whichever of them answers names peers, and none that is down or
 * slow can hold another. One exchange has TOTAL_TIMEOUT from resolving to the last byte.
 *
 * We resolve names ourselves. So we know which of our addresses leads to the tracker, and plain
 * HTTP can be kept to private networks without a gap between the check and the connection: it is
 * sent to the address that was checked.
 *
 * After net_tracker_free() a session is without an owner, in the list of those that leave, until
 * its LEAVE is answered or LEAVE_TIMEOUT is over. */
#include "peer/net/tracker.h"

#include "peer/crypto.h"
#include "peer/net/account.h"
#include "peer/net/random.h"
#include "peer/net/report.h"
#ifdef PPSP_SIP
#include "peer/net/sip-client.h"
#endif
#include "peer/net/tracker-uri.h"
#include "peer/tracker/json.h"

#include <libsoup/soup.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_DOMAIN "peer/net"
#define TOTAL_TIMEOUT_MS 10000
#define LEAVE_TIMEOUT_MS 2000
#define SIP_PORT 5060
#define SIPS_PORT 5061
#define MAX_REDIRECTS 3
#define MAX_TRACKERS 16
/* A list has at most TRACKER_MAX_LIST of them; what others may send us is cut here. */
#define MAX_PEERS 200
#define READ_SIZE 16384
#define MIN_PEER_PORT 1024
#define MAX_CERTIFICATE_LIFE (INT64_C (366) * 86400) /* s */

typedef struct {
  NetTracker *owner; /* NULL = leaving */
  SoupSession *soup;
  TrackerSession *session;
  NetAccount *account;
  GUri *uri;
  char *text; /* of the URI, for people */
  uint16_t port;
  bool allow_plain;
  unsigned timeout_ms;
  bool complained; /* of this outage */
  guint timer;     /* the session's deadline */
  guint end;       /* of leaving */

  /* The exchange under way; cancellable NULL = none. */
  GCancellable *cancellable;
  guint timeout;
  bool timed_out;
  GUri *target; /* uri, or where it was redirected */
  unsigned redirects;
  GPtrArray *addresses; /* PeerAddress * of target */
  unsigned tried;       /* of addresses, by plain HTTP */
  bool asked;           /* the session's request is under way */
#ifdef PPSP_SIP
  NetSipClient *sip;           /* NULL = by HTTP */
  NetCredentials *credentials; /* NULL = none */
  unsigned serial;             /* of those that sip has */
  PeerAddress answered;        /* where it was reached last; port 0 = nowhere yet */
#endif
  bool sip_asked; /* its answer is waited for */
  SoupMessage *message;
  bool shaking_hands; /* TLS has begun and is not agreed upon */
  bool old_tls;       /* it was, on a version of before 1.2 */
  GString *body;
  PeerAddress local;            /* of ours, towards the tracker */
  bool is_private, is_loopback; /* the tracker */
} Tracker;

struct NetTracker {
  GPtrArray *trackers; /* Tracker */
  char *swarm_id;
  NetTrackerPeersFunc func;
  NetTrackerCertificateFunc certificate;
  const PeerEngine *engine;
  NetTrackerSwarmFunc swarm;
  gpointer data;
  NetTrackerStatus status;
};

/* Those without an owner. */
static GQueue leaving = G_QUEUE_INIT;

static void schedule (Tracker *self);
static void resolve (Tracker *self);
static void send_request (Tracker *self);

/* --- the life of one tracker --------------------------------------------------------------- */

static void
tracker_free (gpointer data)
{
  Tracker *self = data;
  g_queue_remove (&leaving, self);
  g_clear_handle_id (&self->timer, g_source_remove);
  g_clear_handle_id (&self->end, g_source_remove);
#ifdef PPSP_SIP
  g_clear_pointer (&self->sip, net_sip_client_free);
  g_clear_pointer (&self->credentials, net_credentials_unref);
#endif
  g_object_unref (self->soup);
  tracker_session_free (self->session);
  net_account_free (self->account);
  g_uri_unref (self->uri);
  g_free (self->text);
  g_free (self);
}

static void
exchange_clear (Tracker *self)
{
  g_clear_handle_id (&self->timeout, g_source_remove);
  g_clear_object (&self->cancellable);
  if (self->message != NULL)
    g_signal_handlers_disconnect_by_data (self->message, self);
  g_clear_object (&self->message);
  self->shaking_hands = self->old_tls = false;
  g_clear_pointer (&self->target, g_uri_unref);
  g_clear_pointer (&self->addresses, g_ptr_array_unref);
  if (self->body != NULL)
    g_string_free (self->body, TRUE);
  self->body = NULL;
  self->asked = self->sip_asked = false;
}

static void
complain (Tracker *self, const char *why)
{
  NetTracker *owner = self->owner;
  if (owner == NULL)
    return;
  owner->status.failures++;
  g_free (owner->status.last_error);
  owner->status.last_error = g_strdup_printf ("%s: %s", self->text, why);
  if (self->complained)
    return;
  self->complained = true;
  g_log_structured (LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, "SWARM", owner->swarm_id, "MESSAGE",
                    "tracker %s: %s; it is asked again, less and less often", self->text, why);
}

/* The request that is due, by what we are doing now. NULL = there is none any more. */
static const TrackerRequest *
compose (Tracker *self)
{
  const NetTracker *owner = self->owner;
  if (owner != NULL && owner->engine != NULL) {
    uint64_t uploaded_before = 0;
    const PeerSwarm *swarm = owner->swarm (&uploaded_before, owner->data);
    net_report (self->session, owner->engine, swarm, uploaded_before);
  }
  return tracker_session_next (self->session, g_get_monotonic_time ());
}

/* The exchange is over; the session decides what comes next. why: NULL = it was answered. */
static void
exchange_end (Tracker *self, const TrackerResponse *response, int64_t retry_after, const char *why)
{
  int64_t now = g_get_monotonic_time ();
  if (!self->asked) /* it failed before the request was composed, and is one all the same */
    self->asked = compose (self) != NULL;
  bool ours = self->asked && tracker_session_answer (self->session, now, response, retry_after);
  if (why == NULL && !ours)
    why = "it answered another request than ours";
  if (why != NULL) {
    complain (self, why);
  } else if (self->complained && self->owner != NULL && response->status == TRACKER_STATUS_OK) {
    self->complained = false;
    g_log_structured (LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, "MESSAGE", "tracker %s: back", self->text);
  }
  exchange_clear (self);
  if (self->owner == NULL && tracker_session_ended (self->session))
    tracker_free (self);
  else
    schedule (self);
}

/* An https: address of a plain tracker, or the reverse, fails in ways that say nothing of it. NULL =
 * this is not like that. */
static const char *
wrong_scheme (const Tracker *self, const GError *error)
{
  if (self->message == NULL || soup_message_get_status (self->message) != SOUP_STATUS_NONE)
    return NULL;
  if (g_strcmp0 (g_uri_get_scheme (self->target), "http") == 0)
    return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED) ||
                   g_error_matches (error, G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT)
               ? "it hung up without an answer (is it a tracker for https: only?)"
               : NULL;
  if (g_error_matches (error, G_TLS_ERROR, G_TLS_ERROR_NOT_TLS) ||
      (self->shaking_hands && g_error_matches (error, G_TLS_ERROR, G_TLS_ERROR_MISC)))
    return "it does not shake hands by TLS (is it a tracker for http:?)";
  /* A plain server may wait for the end of what it takes for a request. */
  if (self->timed_out && self->shaking_hands)
    return "no answer in time, not even to the TLS handshake (is it a tracker for http:?)";
  return NULL;
}

static void
fail (Tracker *self, const GError *error)
{
  const char *why = wrong_scheme (self, error);
  if (why == NULL)
    why = self->timed_out ? "no answer in time" : error->message;
  if (self->old_tls)
    why = "it speaks no TLS of version 1.2 or later";
  if (g_error_matches (error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE))
    why = "its certificate is not for this name, or out of date, or signed by nobody whom this "
          "machine trusts (is the clock right? see update-ca-certificates)";
  g_autofree char *copy = g_strdup (why);
  exchange_end (self, NULL, 0, copy);
}

/* Its end comes as a failure: by HTTP later, by SIP at once, and self may be freed then. */
static void
exchange_cancel (Tracker *self)
{
#ifdef PPSP_SIP
  if (self->sip_asked) {
    net_sip_client_cancel (self->sip);
    exchange_end (self, NULL, 0,
                  self->timed_out ? net_sip_client_silence (self->sip) : "it was given up");
    return;
  }
#endif
  g_cancellable_cancel (self->cancellable);
}

static gboolean
on_timeout (gpointer data)
{
  Tracker *self = data;
  self->timeout = 0;
  self->timed_out = true;
  exchange_cancel (self);
  return G_SOURCE_REMOVE;
}

static void
exchange_begin (Tracker *self)
{
  self->cancellable = g_cancellable_new ();
  self->timed_out = false;
  self->timeout =
      g_timeout_add (self->owner != NULL ? self->timeout_ms : LEAVE_TIMEOUT_MS, on_timeout, self);
  self->target = g_uri_ref (self->uri);
  self->redirects = 0;
  net_account_begin (self->account);
  if (self->owner != NULL)
    self->owner->status.requests++;
  resolve (self);
}

static gboolean
on_deadline (gpointer data)
{
  Tracker *self = data;
  self->timer = 0;
  exchange_begin (self);
  return G_SOURCE_REMOVE;
}

/* Anew, after whatever may have changed the session's deadline. */
static void
schedule (Tracker *self)
{
  g_clear_handle_id (&self->timer, g_source_remove);
  int64_t deadline = tracker_session_deadline (self->session);
  if (self->cancellable != NULL || deadline == INT64_MAX)
    return;
  int64_t wait = deadline - g_get_monotonic_time ();
  self->timer = g_timeout_add ((guint)CLAMP ((wait + 999) / 1000, 0, G_MAXINT), on_deadline, self);
}

/* --- the answer ---------------------------------------------------------------------------- */

/* Threat: a tracker steers us at a victim, or into the network behind us. */
static bool
may_contact (const Tracker *self, const TrackerPeer *peer, const TrackerResponse *response)
{
  const PeerAddress *address = &peer->address.address;
  PeerAddress own = self->local;
  own.port = self->port;
  if (!peer_address_is_usable (address) || address->port < MIN_PEER_PORT)
    return false;
  if (peer_address_is_loopback (address))
    return self->is_loopback && address->port != self->port;
  if (peer_address_is_private (address) && !self->is_private)
    return false;
  return !peer_address_equal (address, &own) &&
         !peer_address_equal (address, &response->seen_as.address) &&
         strcmp (peer->peer_id, tracker_session_peer_id (self->session)) != 0;
}

static GArray *
usable_peers (const Tracker *self, const TrackerResponse *response)
{
  GArray *peers = g_array_new (FALSE, FALSE, sizeof (PeerAddress));
  for (guint i = 0; i < response->results->len; i++) {
    const TrackerResult *result = g_ptr_array_index (response->results, i);
    if (result->peers == NULL || strcmp (result->swarm_id, self->owner->swarm_id) != 0)
      continue;
    for (guint j = 0; j < result->peers->len; j++) {
      const TrackerPeer *peer = g_ptr_array_index (result->peers, j);
      if (peers->len < MAX_PEERS && may_contact (self, peer, response))
        g_array_append_val (peers, peer->address.address);
      else
        self->owner->status.refused_peers++;
    }
  }
  return peers;
}

/* It is as old as half its life, at most, when the tracker gives it to us; after a quarter more we ask
 * for the next. By its length, since our clock may be wrong. */
static int64_t
renewal_time (const uint8_t *bytes, size_t n)
{
  PeerCertificate certificate;
  if (!peer_certificate_read (bytes, n, &certificate))
    return INT64_MIN;
  int64_t life = CLAMP (certificate.not_after - certificate.not_before, 0, MAX_CERTIFICATE_LIFE);
  return g_get_monotonic_time () + life * G_USEC_PER_SEC / 4;
}

static void
hand_certificate (Tracker *self, const PeerAddress *address, GBytes *certificate)
{
  gsize n;
  if (certificate == NULL)
    return;
  const uint8_t *bytes = g_bytes_get_data (certificate, &n);
  if (address == NULL)
    tracker_session_certified (self->session, renewal_time (bytes, n));
  self->owner->certificate (address, bytes, n, self->owner->data);
}

static void
hand_certificates (Tracker *self, const TrackerResponse *response)
{
  for (guint i = 0; i < response->results->len; i++) {
    const TrackerResult *result = g_ptr_array_index (response->results, i);
    if (strcmp (result->swarm_id, self->owner->swarm_id) != 0)
      continue;
    hand_certificate (self, NULL, result->certificate);
    for (guint j = 0; result->peers != NULL && j < MIN (result->peers->len, MAX_PEERS); j++) {
      const TrackerPeer *peer = g_ptr_array_index (result->peers, j);
      if (may_contact (self, peer, response))
        hand_certificate (self, &peer->address.address, peer->certificate);
    }
  }
}

static const char *
status_text (TrackerStatus status)
{
  static const char *const texts[] = {
      NULL,
      "error 1, it could not read our request",
      "error 2, it speaks another version",
      "error 3, it forbids this",
      "error 4, an error of its own",
      "error 5, it is overloaded",
      "error 6, it wants an account",
  };
  return texts[status];
}

static int64_t
retry_after (SoupMessage *message)
{
  SoupMessageHeaders *headers = soup_message_get_response_headers (message);
  const char *text = soup_message_headers_get_one (headers, "Retry-After");
  guint64 seconds;
  if (text == NULL || !g_ascii_string_to_unsigned (text, 10, 0, 86400, &seconds, NULL))
    return 0;
  return (int64_t)seconds * G_USEC_PER_SEC;
}

/* It asked for a password. true = the same request is sent again, with it. */
static bool
show_password (Tracker *self)
{
  if (!net_account_challenged (self->account, self->message))
    return false;
  self->tried--; /* to the same address */
  send_request (self);
  return true;
}

/* By HTTP or SIP. */
static void
on_answer (Tracker *self, const TrackerResponse *response, int64_t wait)
{
  g_autoptr (GArray) peers = NULL;
  NetTrackerPeersFunc func = NULL;
  gpointer data = NULL;
  bool was_joined = tracker_session_joined (self->session);
  /* Ours or not is for the session to say, and only its own peers are taken. */
  bool ours = tracker_session_is_answer (self->session, response);
  if (ours && self->owner != NULL && response->status == TRACKER_STATUS_OK) {
    peers = usable_peers (self, response);
    func = self->owner->func;
    data = self->owner->data;
    if (!was_joined)
      g_log_structured (LOG_DOMAIN, G_LOG_LEVEL_INFO, "SWARM", self->owner->swarm_id, "MESSAGE",
                        "joined at tracker %s; it names %u peers", self->text, peers->len);
  }
  if (peers != NULL && self->owner->certificate != NULL)
    hand_certificates (self, response);
  const char *why = status_text (response->status);
  if (response->status == TRACKER_STATUS_UNAUTHORIZED && net_account_is_known (self->account))
    why = "error 6, it does not take what --credentials has for it";
  exchange_end (self, response, wait, why);
  /* Last: the owner may free itself in here. */
  if (peers != NULL && peers->len > 0)
    func ((const PeerAddress *)(gconstpointer)peers->data, peers->len, data);
}

static void
on_whole (Tracker *self)
{
  guint http = soup_message_get_status (self->message);
  if (http == SOUP_STATUS_UNAUTHORIZED && show_password (self))
    return;
  g_autoptr (TrackerResponse) response =
      tracker_json_read_response (self->body->str, self->body->len);
  int64_t wait = retry_after (self->message);
  if (response == NULL) {
    g_autofree char *why = http == SOUP_STATUS_OK ? g_strdup ("its answer is no PPSP tracker's")
                                                  : g_strdup_printf ("HTTP status %u", http);
    exchange_end (self, NULL, wait, why);
    return;
  }
  on_answer (self, response, wait);
}

static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  Tracker *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes =
      g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);
  if (bytes == NULL) {
    fail (self, error);
    return;
  }
  gsize n;
  const char *got = g_bytes_get_data (bytes, &n);
  if (n == 0) {
    on_whole (self);
    return;
  }
  g_string_append_len (self->body, got, (gssize)n);
  if (self->body->len > TRACKER_JSON_MAX_SIZE) {
    exchange_end (self, NULL, 0, "its answer is too large");
    return;
  }
  g_input_stream_read_bytes_async (G_INPUT_STREAM (source), READ_SIZE, G_PRIORITY_DEFAULT,
                                   self->cancellable, on_read, self);
}

/* --- the request --------------------------------------------------------------------------- */

static void
to_peer_address (GInetAddress *ip, uint16_t port, PeerAddress *out)
{
  *out = (PeerAddress){.port = port};
  peer_address_set_ip (out, g_inet_address_to_bytes (ip), g_inet_address_get_native_size (ip));
}

/* Which address of ours the kernel would take towards there; no packet is sent for that. */
static bool
local_towards (const PeerAddress *remote, PeerAddress *out)
{
  struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons (9)};
  socklen_t n = sizeof to;
  memcpy (&to.sin6_addr, remote->ip, sizeof remote->ip);
  int fd = socket (AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    bool good = connect (fd, (struct sockaddr *)&to, sizeof to) == 0 &&
                getsockname (fd, (struct sockaddr *)&to, &n) == 0;
    close (fd);
    if (good)
      memcpy (out->ip, &to.sin6_addr, sizeof out->ip);
    return good;
  }
  /* No IPv6 in this kernel. */
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons (9)};
  n = sizeof v4;
  fd = peer_address_is_v4 (remote) ? socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
  if (fd < 0)
    return false;
  memcpy (&v4.sin_addr, remote->ip + 12, 4);
  bool good = connect (fd, (struct sockaddr *)&v4, sizeof v4) == 0 &&
              getsockname (fd, (struct sockaddr *)&v4, &n) == 0;
  close (fd);
  if (good) {
    *out = (PeerAddress){.port = 0};
    peer_address_set_ip (out, (const uint8_t *)&v4.sin_addr, 4);
  }
  return good;
}

static void
redirect (Tracker *self, const char *location)
{
  g_autoptr (GError) error = NULL;
  if (location == NULL || ++self->redirects > MAX_REDIRECTS) {
    exchange_end (self, NULL, 0,
                  location == NULL ? "it redirects to nowhere" : "it redirects too often");
    return;
  }
  GUri *target = g_uri_parse_relative (self->target, location, SOUP_HTTP_URI_FLAGS, &error);
  if (target == NULL || g_strcmp0 (g_uri_get_scheme (target), g_uri_get_scheme (self->uri)) != 0 ||
      g_uri_get_host (target) == NULL) {
    g_clear_pointer (&target, g_uri_unref);
    exchange_end (self, NULL, 0, "it redirects to another scheme");
    return;
  }
  g_uri_unref (self->target);
  self->target = target;
  g_clear_object (&self->message);
  g_clear_pointer (&self->addresses, g_ptr_array_unref);
  resolve (self);
}

static bool
is_redirect (guint status)
{
  return status == SOUP_STATUS_MOVED_PERMANENTLY || status == SOUP_STATUS_FOUND ||
         status == SOUP_STATUS_TEMPORARY_REDIRECT || status == SOUP_STATUS_PERMANENT_REDIRECT;
}

static bool
is_connect_failure (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED) ||
         g_error_matches (error, G_IO_ERROR, G_IO_ERROR_HOST_UNREACHABLE) ||
         g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NETWORK_UNREACHABLE);
}

static void
on_sent (GObject *source, GAsyncResult *result, gpointer data)
{
  Tracker *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GInputStream) stream =
      soup_session_send_finish (SOUP_SESSION (source), result, &error);
  if (stream == NULL) {
    if (is_connect_failure (error) && self->tried < self->addresses->len &&
        g_strcmp0 (g_uri_get_scheme (self->target), "http") == 0) {
      /* Anew, since it names the address of ours that leads there. */
      tracker_session_unsent (self->session);
      self->asked = false;
      send_request (self);
    } else {
      fail (self, error);
    }
    return;
  }
  GSocketAddress *remote = soup_message_get_remote_address (self->message);
  PeerAddress address;
  if (G_IS_INET_SOCKET_ADDRESS (remote)) {
    to_peer_address (g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (remote)), 1,
                     &address);
    self->is_private = peer_address_is_private (&address);
    self->is_loopback = peer_address_is_loopback (&address);
  }
  if (is_redirect (soup_message_get_status (self->message))) {
    SoupMessageHeaders *headers = soup_message_get_response_headers (self->message);
    g_autofree char *location = g_strdup (soup_message_headers_get_one (headers, "Location"));
    redirect (self, location);
    return;
  }
  if (self->body != NULL)
    g_string_free (self->body, TRUE);
  self->body = g_string_new (NULL);
  g_input_stream_read_bytes_async (stream, READ_SIZE, G_PRIORITY_DEFAULT, self->cancellable,
                                   on_read, self);
}

/* Plain HTTP goes to the address that was checked, whatever the name leads to by now. */
static SoupMessage *
message_new (Tracker *self)
{
  if (g_strcmp0 (g_uri_get_scheme (self->target), "https") == 0)
    return soup_message_new_from_uri ("POST", self->target);
  const PeerAddress *address = g_ptr_array_index (self->addresses, self->tried);
  g_autofree char *ip = peer_address_ip_to_string (address);
  g_autoptr (GUri) uri = soup_uri_copy (self->target, SOUP_URI_HOST, ip, SOUP_URI_NONE);
  SoupMessage *message = soup_message_new_from_uri ("POST", uri);
  const char *host = g_uri_get_host (self->target);
  int port = g_uri_get_port (self->target);
  g_autofree char *name =
      strchr (host, ':') != NULL ? g_strdup_printf ("[%s]", host) : g_strdup (host);
  g_autofree char *header =
      port > 0 && port != 80 ? g_strdup_printf ("%s:%d", name, port) : g_strdup (name);
  soup_message_headers_replace (soup_message_get_request_headers (message), "Host", header);
  return message;
}

static void
on_network_event (SoupMessage *message, GSocketClientEvent event, GIOStream *stream, gpointer data)
{
  Tracker *self = data;
  if (event == G_SOCKET_CLIENT_TLS_HANDSHAKING)
    self->shaking_hands = true;
  else if (event == G_SOCKET_CLIENT_TLS_HANDSHAKED)
    self->shaking_hands = false;
  /* GIO has no word for the versions to offer, and takes those before 1.2 (RFC 8996). */
  if (event == G_SOCKET_CLIENT_TLS_HANDSHAKED && G_IS_TLS_CONNECTION (stream) &&
      g_tls_connection_get_protocol_version (G_TLS_CONNECTION (stream)) <
          G_TLS_PROTOCOL_VERSION_TLS_1_2) {
    self->old_tls = true;
    g_cancellable_cancel (self->cancellable);
  }
}

#ifdef PPSP_SIP
static void
on_sip_answer (const TrackerResponse *response, int64_t wait, const char *why, gpointer data)
{
  Tracker *self = data;
  self->sip_asked = false;
  if (response != NULL) {
    self->answered = *(const PeerAddress *)g_ptr_array_index (self->addresses, self->tried - 1);
    on_answer (self, response, wait);
  } else if (wait == 0 && self->tried < self->addresses->len) {
    /* Anew, since it names the address of ours that leads there. */
    tracker_session_unsent (self->session);
    self->asked = false;
    send_request (self);
  } else {
    exchange_end (self, NULL, wait, why);
  }
}

/* Our dialog is with the address that has answered: that one is asked first, as long as the name leads there. */
static void
put_answered_first (Tracker *self)
{
  for (guint i = 1; i < self->addresses->len; i++)
    if (peer_address_equal (g_ptr_array_index (self->addresses, i), &self->answered))
      g_ptr_array_insert (self->addresses, 0, g_ptr_array_steal_index (self->addresses, i));
}

static void
send_by_sip (Tracker *self, const TrackerRequest *request)
{
  PeerAddress remote = *(const PeerAddress *)g_ptr_array_index (self->addresses, self->tried++);
  int port = g_uri_get_port (self->uri);
  bool secure = g_str_equal (g_uri_get_scheme (self->uri), "sips");
  remote.port = (uint16_t)(port > 0 ? port : secure ? SIPS_PORT : SIP_PORT);
  self->is_private = peer_address_is_private (&remote);
  self->is_loopback = peer_address_is_loopback (&remote);
  PeerAddress local;
  if (!local_towards (&remote, &local)) {
    exchange_end (self, NULL, 0, "there is no way to it");
    return;
  }
  if (self->credentials != NULL && net_credentials_serial (self->credentials) != self->serial) {
    const NetCredential *mine =
        net_credentials_find (self->credentials, g_uri_get_host (self->uri), remote.port);
    self->serial = net_credentials_serial (self->credentials);
    net_sip_client_set_account (self->sip, mine != NULL ? mine->user : NULL,
                                mine != NULL ? mine->password : NULL);
  }
  self->sip_asked = true;
  net_sip_client_send (self->sip, request, &remote, &local);
}
#endif

static void
send_request (Tracker *self)
{
  size_t n;
  if (!self->asked && self->port != 0 &&
      local_towards (g_ptr_array_index (self->addresses, self->tried), &self->local)) {
    self->local.port = self->port;
    tracker_session_listen (self->session, &self->local);
  }
  const TrackerRequest *request =
      self->asked ? tracker_session_request (self->session) : compose (self);
  if (request == NULL) { /* the wish was taken back meanwhile */
    exchange_clear (self);
    schedule (self);
    return;
  }
  self->asked = true;
#ifdef PPSP_SIP
  if (self->sip != NULL) {
    send_by_sip (self, request);
    return;
  }
#endif
  g_clear_object (&self->message);
  self->message = message_new (self);
  g_signal_connect (self->message, "network-event", G_CALLBACK (on_network_event), self);
  net_account_show (self->account, self->message, self->target,
                    peer_address_is_loopback (g_ptr_array_index (self->addresses, self->tried)));
  self->tried++;
  char *body = tracker_json_write_request (request, &n);
  g_autoptr (GBytes) bytes = g_bytes_new_take (body, n);
  SoupMessageHeaders *headers = soup_message_get_request_headers (self->message);
  soup_message_headers_replace (headers, "Accept", TRACKER_JSON_TYPE);
  soup_message_set_request_body_from_bytes (self->message, TRACKER_JSON_TYPE, bytes);
  /* Idempotent by its transaction ID (section 4.3). */
  soup_message_set_flags (self->message, SOUP_MESSAGE_NO_REDIRECT | SOUP_MESSAGE_IDEMPOTENT);
  soup_session_send_async (self->soup, self->message, G_PRIORITY_DEFAULT, self->cancellable,
                           on_sent, self);
}

/* --- names --------------------------------------------------------------------------------- */

static void
on_addresses (Tracker *self)
{
  const char *scheme = g_uri_get_scheme (self->target);
  bool plain = g_str_equal (scheme, "http") || g_str_equal (scheme, "sip");
  self->tried = 0;
  for (guint i = 0; i < self->addresses->len; i++) {
    const PeerAddress *address = g_ptr_array_index (self->addresses, i);
    self->is_private = peer_address_is_private (address);
    self->is_loopback = peer_address_is_loopback (address);
    if (plain && !self->is_private && !self->allow_plain) {
      exchange_end (self, NULL, 0,
                    "a plain way to a public address is refused; use https or sips, or allow it");
      return;
    }
  }
#ifdef PPSP_SIP
  put_answered_first (self);
#endif
  send_request (self);
}

static void
add_address (Tracker *self, GInetAddress *ip)
{
  PeerAddress address;
  to_peer_address (ip, 1, &address);
  g_ptr_array_add (self->addresses, g_memdup2 (&address, sizeof address));
}

static void
on_resolved (GObject *source, GAsyncResult *result, gpointer data)
{
  Tracker *self = data;
  g_autoptr (GError) error = NULL;
  GList *found = g_resolver_lookup_by_name_finish (G_RESOLVER (source), result, &error);
  if (found == NULL) {
    fail (self, error);
    return;
  }
  for (GList *l = found; l != NULL; l = l->next)
    add_address (self, l->data);
  g_resolver_free_addresses (found);
  on_addresses (self);
}

static void
resolve (Tracker *self)
{
  const char *host = g_uri_get_host (self->target);
  g_autoptr (GInetAddress) literal = g_inet_address_new_from_string (host);
  self->addresses = g_ptr_array_new_with_free_func (g_free);
  if (literal != NULL) {
    add_address (self, literal);
    on_addresses (self);
    return;
  }
  g_autoptr (GResolver) resolver = g_resolver_get_default ();
  g_resolver_lookup_by_name_async (resolver, host, self->cancellable, on_resolved, self);
}

/* --- the face ------------------------------------------------------------------------------ */

static SoupSession *
soup_new (GTlsDatabase *trust)
{
  /* No proxy: a tracker names peers by how it sees us. */
  SoupSession *soup = soup_session_new_with_options (
      "user-agent", "ppsp/" PPSP_VERSION, "timeout", 10, "idle-timeout", 20, "max-conns", 16,
      "max-conns-per-host", 2, "proxy-resolver", NULL, NULL);
  if (trust != NULL)
    soup_session_set_tls_database (soup, trust);
  /* What is never unpacked cannot burst. */
  soup_session_remove_feature_by_type (soup, SOUP_TYPE_CONTENT_DECODER);
  soup_session_remove_feature_by_type (soup, SOUP_TYPE_AUTH_MANAGER); /* it knows MD5 only */
  return soup;
}

bool
net_tracker_check (const char *uri, bool allow_plain, GError **error)
{
  g_autoptr (GUri) parsed = net_tracker_uri_parse (uri, allow_plain, error);
  return parsed != NULL;
}

static Tracker *
tracker_new (NetTracker *owner, GUri *uri, const char *text, SoupSession *soup,
             const NetTrackerOptions *options)
{
  TrackerSessionOptions session = {.swarm_id = options->swarm_id,
                                   .seeder = options->seeder,
                                   .random = net_random,
                                   .certificates = options->certificate != NULL};
  Tracker *self = g_new0 (Tracker, 1);
  self->owner = owner;
  self->soup = g_object_ref (soup);
  self->uri = uri;
  self->text = g_strdup (text);
  self->port = options->port;
  self->allow_plain = options->allow_plain;
  self->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : TOTAL_TIMEOUT_MS;
  self->account = net_account_new (options->credentials, uri);
  self->session = tracker_session_new (&session, g_get_monotonic_time ());
#ifdef PPSP_SIP
  if (net_tracker_uri_is_sip (text)) {
    NetSipClientOptions sip = {.host = g_uri_get_host (uri),
                               .secure = g_str_equal (g_uri_get_scheme (uri), "sips"),
                               .tcp = g_uri_get_query (uri) != NULL};
    self->sip = net_sip_client_new (&sip, on_sip_answer, self);
    if (options->credentials != NULL)
      self->credentials = net_credentials_ref (options->credentials);
    self->serial = G_MAXUINT; /* of none */
  }
#endif
  schedule (self);
  return self;
}

NetTracker *
net_tracker_new (const NetTrackerOptions *options, NetTrackerPeersFunc func, gpointer data,
                 GError **error)
{
  g_autoptr (GError) first = NULL;
  if (!tracker_id_is_valid (options->swarm_id, TRACKER_MAX_SWARM_ID)) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                         "a tracker cannot be asked for this swarm: its ID is empty or too long");
    return NULL;
  }
  NetTracker *self = g_new0 (NetTracker, 1);
  g_autoptr (SoupSession) soup = soup_new (options->trust);
  self->trackers = g_ptr_array_new ();
  self->swarm_id = g_strdup (options->swarm_id);
  self->func = func;
  self->certificate = options->certificate;
  self->engine = options->engine;
  self->swarm = options->swarm;
  self->data = data;
  for (unsigned i = 0; options->uris != NULL && options->uris[i] != NULL; i++) {
    GUri *uri = NULL;
    if (self->trackers->len < MAX_TRACKERS)
      uri = net_tracker_uri_parse (options->uris[i], options->allow_plain,
                                   first == NULL ? &first : NULL);
    if (uri != NULL)
      g_ptr_array_add (self->trackers, tracker_new (self, uri, options->uris[i], soup, options));
  }
  if (self->trackers->len > 0) {
    if (first != NULL)
      g_log_structured (LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, "SWARM", self->swarm_id, "MESSAGE",
                        "%s; the other trackers are asked", first->message);
    return self;
  }
  net_tracker_free (self);
  if (first != NULL)
    g_propagate_error (error, g_steal_pointer (&first));
  else
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "no tracker is given");
  return NULL;
}

static gboolean
on_leave_end (gpointer data)
{
  Tracker *self = data;
  self->end = 0;
  if (self->cancellable == NULL) {
    tracker_free (self);
    return G_SOURCE_REMOVE;
  }
  /* Its answer, which cannot be waited for, still comes back as a failure; then it ends. */
  tracker_session_abandon (self->session);
  exchange_cancel (self);
  return G_SOURCE_REMOVE;
}

/* Without its owner from here on. What is under way is cut: it may be the slow one that made the
 * owner give up. */
static void
tracker_leave (Tracker *self)
{
  self->owner = NULL;
  g_queue_push_tail (&leaving, self);
  tracker_session_leave (self->session, g_get_monotonic_time ());
  self->end = g_timeout_add (LEAVE_TIMEOUT_MS, on_leave_end, self);
  if (self->cancellable != NULL)
    exchange_cancel (self);
  else if (tracker_session_ended (self->session))
    tracker_free (self);
  else
    schedule (self);
}

void
net_tracker_free (NetTracker *self)
{
  for (guint i = 0; i < self->trackers->len; i++)
    tracker_leave (g_ptr_array_index (self->trackers, i));
  g_ptr_array_unref (self->trackers);
  g_free (self->swarm_id);
  g_free (self->status.last_error);
  g_free (self);
}

static gboolean
on_flush_end (gpointer over)
{
  *(bool *)over = true;
  return G_SOURCE_REMOVE;
}

void
net_tracker_flush (unsigned timeout_ms)
{
  bool over = false;
  guint timer = g_timeout_add (timeout_ms, on_flush_end, &over);
  while (leaving.head != NULL && !over)
    g_main_context_iteration (NULL, TRUE);
  if (!over)
    g_source_remove (timer);
}

void
net_tracker_find (NetTracker *self)
{
  for (guint i = 0; i < self->trackers->len; i++) {
    Tracker *tracker = g_ptr_array_index (self->trackers, i);
    tracker_session_find (tracker->session);
    schedule (tracker);
  }
}

void
net_tracker_hurry (NetTracker *self)
{
  for (guint i = 0; i < self->trackers->len; i++) {
    Tracker *tracker = g_ptr_array_index (self->trackers, i);
    tracker_session_hurry (tracker->session, g_get_monotonic_time ());
    schedule (tracker);
  }
}

void
net_tracker_late (NetTracker *self, uint64_t chunks)
{
  for (guint i = 0; i < self->trackers->len; i++) {
    Tracker *tracker = g_ptr_array_index (self->trackers, i);
    tracker_session_late (tracker->session, chunks);
  }
}

void
net_tracker_status (const NetTracker *self, NetTrackerStatus *out)
{
  *out = self->status;
  for (guint i = 0; i < self->trackers->len; i++) {
    const Tracker *tracker = g_ptr_array_index (self->trackers, i);
    out->joined |= tracker_session_joined (tracker->session);
  }
}
