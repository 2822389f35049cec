/* SPDX-License-Identifier: Apache-2.0 */
/* gupnp answers a LAN, and a LAN has guests. Seen with gupnp 1.6.3:
 *
 *  - a body is kept whole before anybody looks at it: 400 MB posted are 1.2 GB of memory;
 *  - a body without the action that its header names leaks its document, and each new name of an
 *    action stays for ever: so both are checked here first;
 *  - subscriptions have no limit, and may call back any host of the LAN (CallStranger, in small);
 *    a host name in a callback is a critical warning;
 *  - Host is checked for control and events, but not for the description (DNS rebinding), and a
 *    wrong one is a warning in the log for each request.
 *
 * libsoup calls the handlers of a message in got-headers (early ones) and in request-read (the
 * others); a status that is set before then is the answer. */

#include "dlna/guard.h"
#include "dlna/xml.h"
#include <string.h>

#define MAX_BODY 65536
#define MAX_SUBSCRIPTIONS 64
#define MAX_SUBSCRIPTIONS_PER_IP 8
#define MAX_CALLBACKS 6
#define LONGEST_SUBSCRIPTION 1800 /* s */

struct DlnaGuard {
  SoupServer *server;
  char *address;
  DlnaGuardOptions options;
  GHashTable *subscriptions; /* SID -> Subscription */
  DlnaGuardStats stats;
};

typedef struct {
  char *ip;
  int64_t expires; /* us */
} Subscription;

static void
subscription_free (gpointer data)
{
  Subscription *self = data;

  g_free (self->ip);
  g_free (self);
}

static void
refuse (SoupServerMessage *message, guint status, uint64_t *counter)
{
  soup_server_message_set_status (message, status, NULL);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Connection",
                                "close");
  (*counter)++;
}

static void
refuse_body (DlnaGuard *self, SoupServerMessage *message)
{
  SoupMessageBody *body = soup_server_message_get_request_body (message);

  /* What still comes is read and dropped. */
  soup_message_body_set_accumulate (body, FALSE);
  soup_message_body_truncate (body);
  refuse (message, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, &self->stats.too_large);
}

static bool
host_fits (DlnaGuard *self, SoupServerMessage *message)
{
  const char *host =
      soup_message_headers_get_one (soup_server_message_get_request_headers (message), "Host");
  const char *path = g_uri_get_path (soup_server_message_get_uri (message));

  if (self->address == NULL)
    return true;
  if (host == NULL) /* of HTTP/1.0; gupnp wants one for what changes something */
    return !g_str_has_prefix (path, "/Control/") && !g_str_has_prefix (path, "/Event/");
  if (strcmp (host, self->address) == 0)
    return true;
  return g_str_has_suffix (self->address, ":80") &&
         strncmp (host, self->address, strlen (host)) == 0 &&
         strlen (host) == strlen (self->address) - strlen (":80");
}

/* A message may outlive its guard, when its interface goes; data is the server, which keeps the
 * guard as long as there is one. */
#define GUARD_KEY "dlna-guard"

static void
on_got_headers (SoupServerMessage *message, gpointer data)
{
  DlnaGuard *self = g_object_get_data (data, GUARD_KEY);
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  GSocketAddress *remote = soup_server_message_get_remote_address (message);

  if (self == NULL)
    return;
  if (soup_message_headers_get_content_length (headers) > MAX_BODY)
    refuse_body (self, message);
  else if (soup_server_message_get_status (message) != 0)
    return;
  else if (self->options.is_near != NULL && G_IS_INET_SOCKET_ADDRESS (remote) &&
           !self->options.is_near (G_INET_SOCKET_ADDRESS (remote), self->options.data))
    refuse (message, SOUP_STATUS_FORBIDDEN, &self->stats.far);
  else if (!host_fits (self, message))
    refuse (message, SOUP_STATUS_MISDIRECTED_REQUEST, &self->stats.wrong_host);
}

static void
on_got_chunk (SoupServerMessage *message, GBytes *chunk, gpointer data)
{
  DlnaGuard *self = g_object_get_data (data, GUARD_KEY);
  SoupMessageBody *body = soup_server_message_get_request_body (message);

  if (self != NULL && soup_message_body_get_accumulate (body) && body->length > MAX_BODY)
    refuse_body (self, message);
}

static void
on_request_started (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  g_signal_connect_object (message, "got-headers", G_CALLBACK (on_got_headers), server, 0);
  g_signal_connect_object (message, "got-chunk", G_CALLBACK (on_got_chunk), server, 0);
}

/* "\"urn:...:1#Browse\"" -> "Browse"; NULL = no such action. */
static const char *
known_action (DlnaGuard *self, const char *soap_action)
{
  const char *name = soap_action != NULL ? strchr (soap_action, '#') : NULL;
  size_t n;

  if (name == NULL)
    return NULL;
  name++;
  n = strcspn (name, "\"");
  for (size_t i = 0; self->options.actions[i] != NULL; i++)
    if (strlen (self->options.actions[i]) == n && strncmp (self->options.actions[i], name, n) == 0)
      return self->options.actions[i];
  return NULL;
}

/* Read as gupnp will read it: an envelope with that action, and no document type. */
static bool
body_has_action (SoupServerMessage *message, const char *action)
{
  g_autoptr (GBytes) body =
      soup_message_body_flatten (soup_server_message_get_request_body (message));
  gsize n = 0;
  const char *text = body != NULL ? g_bytes_get_data (body, &n) : NULL;
  g_autoptr (DlnaXml) doc = dlna_xml_parse (text, n);

  return dlna_xml_child (dlna_xml_child (dlna_xml_root (doc, "Envelope"), "Body"), action) != NULL;
}

static void
check_control (DlnaGuard *self, SoupServerMessage *message)
{
  static const char fault[] =
      "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
      "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><s:Fault>"
      "<faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
      "<UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>401</errorCode>"
      "<errorDescription>Invalid Action</errorDescription></UPnPError></detail></s:Fault>"
      "</s:Body></s:Envelope>";
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *action;

  if (soup_server_message_get_method (message) != SOUP_METHOD_POST)
    return;
  action = known_action (self, soup_message_headers_get_one (headers, "SOAPAction"));
  if (action == NULL) {
    soup_server_message_set_status (message, SOUP_STATUS_INTERNAL_SERVER_ERROR, NULL);
    soup_server_message_set_response (message, "text/xml; charset=\"utf-8\"", SOUP_MEMORY_STATIC,
                                      fault, strlen (fault));
    self->stats.bad_action++;
  } else if (!body_has_action (message, action)) {
    refuse (message, SOUP_STATUS_BAD_REQUEST, &self->stats.bad_action);
  }
}

/* Each of "<http://192.168.1.5:4000/x><...>" is of that IP. */
static bool
calls_back (const char *callback, const char *ip)
{
  unsigned n = 0;

  for (const char *start = callback; (start = strchr (start, '<')) != NULL; n++) {
    const char *end = strchr (++start, '>');
    g_autofree char *text = end != NULL ? g_strndup (start, (size_t)(end - start)) : NULL;
    g_autoptr (GUri) uri = text != NULL ? g_uri_parse (text, G_URI_FLAGS_NONE, NULL) : NULL;

    if (uri == NULL || strcmp (g_uri_get_scheme (uri), "http") != 0 ||
        g_strcmp0 (g_uri_get_host (uri), ip) != 0 || n >= MAX_CALLBACKS)
      return false;
    start = end;
  }
  return n > 0;
}

static void
forget_expired (DlnaGuard *self)
{
  int64_t now = g_get_monotonic_time ();
  GHashTableIter i;
  gpointer value;

  g_hash_table_iter_init (&i, self->subscriptions);
  while (g_hash_table_iter_next (&i, NULL, &value))
    if (((Subscription *)value)->expires <= now)
      g_hash_table_iter_remove (&i);
}

static unsigned
count_subscriptions (DlnaGuard *self, const char *ip)
{
  GHashTableIter i;
  gpointer value;
  unsigned n = 0;

  g_hash_table_iter_init (&i, self->subscriptions);
  while (g_hash_table_iter_next (&i, NULL, &value))
    if (strcmp (((Subscription *)value)->ip, ip) == 0)
      n++;
  return n;
}

/* gupnp has answered: a SID in the answer is a subscription made or renewed. */
static void
on_subscribed (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  DlnaGuard *self = data;
  const char *method = soup_server_message_get_method (message);
  SoupMessageHeaders *response = soup_server_message_get_response_headers (message);
  const char *sid, *timeout, *host = soup_server_message_get_remote_host (message);

  if (soup_server_message_get_status (message) != SOUP_STATUS_OK || method == NULL)
    return;
  if (strcmp (method, "UNSUBSCRIBE") == 0) {
    sid = soup_message_headers_get_one (soup_server_message_get_request_headers (message), "SID");
    if (sid != NULL)
      g_hash_table_remove (self->subscriptions, sid);
  } else if (strcmp (method, "SUBSCRIBE") == 0) {
    Subscription *subscription;
    int64_t seconds = LONGEST_SUBSCRIPTION;

    sid = soup_message_headers_get_one (response, "SID");
    timeout = soup_message_headers_get_one (response, "Timeout");
    if (sid == NULL || host == NULL)
      return;
    if (timeout != NULL && g_str_has_prefix (timeout, "Second-"))
      seconds = MIN (g_ascii_strtoll (timeout + strlen ("Second-"), NULL, 10), seconds);
    subscription = g_new0 (Subscription, 1);
    subscription->ip = g_strdup (host);
    subscription->expires = g_get_monotonic_time () + seconds * G_USEC_PER_SEC;
    g_hash_table_replace (self->subscriptions, g_strdup (sid), subscription);
  }
}

static void
check_subscribe (DlnaGuard *self, SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *callback = soup_message_headers_get_one (headers, "Callback");
  const char *host = soup_server_message_get_remote_host (message);

  if (soup_message_headers_get_one (headers, "SID") != NULL)
    return; /* a renewal: gupnp knows whether there is one */
  forget_expired (self);
  if (callback == NULL || host == NULL || !calls_back (callback, host))
    refuse (message, SOUP_STATUS_PRECONDITION_FAILED, &self->stats.bad_callback);
  else if (g_hash_table_size (self->subscriptions) >= MAX_SUBSCRIPTIONS ||
           count_subscriptions (self, host) >= MAX_SUBSCRIPTIONS_PER_IP)
    refuse (message, SOUP_STATUS_SERVICE_UNAVAILABLE, &self->stats.too_many_subscriptions);
}

static void
on_request_read (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  const char *path;

  if (soup_server_message_get_status (message) != 0)
    return;
  path = g_uri_get_path (soup_server_message_get_uri (message));
  if (g_str_has_prefix (path, "/Control/"))
    check_control (data, message);
  else if (strcmp (soup_server_message_get_method (message), "SUBSCRIBE") == 0)
    check_subscribe (data, message);
}

DlnaGuard *
dlna_guard_new (SoupServer *server, const DlnaGuardOptions *options)
{
  DlnaGuard *self = g_new0 (DlnaGuard, 1);

  self->server = g_object_ref (server);
  self->options = *options;
  self->address = g_strdup (options->address);
  self->subscriptions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, subscription_free);
  g_object_set_data (G_OBJECT (server), GUARD_KEY, self);
  g_signal_connect (server, "request-started", G_CALLBACK (on_request_started), self);
  g_signal_connect (server, "request-read", G_CALLBACK (on_request_read), self);
  g_signal_connect (server, "request-finished", G_CALLBACK (on_subscribed), self);
  return self;
}

void
dlna_guard_free (DlnaGuard *self)
{
  if (self == NULL)
    return;
  g_signal_handlers_disconnect_by_data (self->server, self);
  g_object_set_data (G_OBJECT (self->server), GUARD_KEY, NULL);
  g_object_unref (self->server);
  g_hash_table_unref (self->subscriptions);
  g_free (self->address);
  g_free (self);
}

void
dlna_guard_stats (DlnaGuard *self, DlnaGuardStats *out)
{
  forget_expired (self);
  out->far += self->stats.far;
  out->wrong_host += self->stats.wrong_host;
  out->too_large += self->stats.too_large;
  out->bad_action += self->stats.bad_action;
  out->bad_callback += self->stats.bad_callback;
  out->too_many_subscriptions += self->stats.too_many_subscriptions;
  out->subscriptions += g_hash_table_size (self->subscriptions);
}
