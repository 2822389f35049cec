/* SPDX-License-Identifier: Apache-2.0 */
/* The client against our tracker, and against trackers that mean harm or are
 * broken; all on loopback. */
#include "peer/net/tracker.h"

#include "peer/membership.h"
#include "peer/tracker/json.h"
#include "peer/trackerd/server.h"
#include "tests/lib/listen.h"
#include "tests/lib/wait.h"

#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <string.h>
#include <sys/stat.h>

#define PATIENCE_MS 60000
#define SWARM "00112233445566778899aabbccddeeff00112233"

typedef struct {
  GArray *peers; /* PeerAddress, of all lists */
  unsigned lists;
} Found;

static void
on_peers (const PeerAddress *peers, size_t n, gpointer data)
{
  Found *found = data;
  found->lists++;
  g_array_append_vals (found->peers, peers, (guint)n);
}

static Found
found_new (void)
{
  return (Found){.peers = g_array_new (FALSE, FALSE, sizeof (PeerAddress))};
}

static NetTracker *
client_new (const char *uri, uint16_t port, unsigned timeout_ms, Found *found)
{
  const char *uris[] = {uri, NULL};
  NetTrackerOptions options = {
      .uris = uris, .swarm_id = SWARM, .port = port, .timeout_ms = timeout_ms};
  g_autoptr (GError) error = NULL;
  NetTracker *client = net_tracker_new (&options, on_peers, found, &error);
  g_assert_no_error (error);
  return client;
}

static NetTrackerStatus
status_of (const NetTracker *client)
{
  NetTrackerStatus status;
  net_tracker_status (client, &status);
  return status;
}

static bool
is_joined (gpointer client)
{
  return status_of (client).joined;
}

static bool
has_failed (gpointer client)
{
  return status_of (client).failures > 0;
}

static bool
has_peers (gpointer found)
{
  return ((Found *)found)->peers->len > 0;
}

/* --- with our tracker ---------------------------------------------------------------------- */

static void
two_peers_find_each_other (void)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  g_autoptr (GError) error = NULL;
  TrackerdServerOptions options = {.listen = listen};
  g_autoptr (TrackerdServer) server = trackerd_server_new (&options, &error);
  g_assert_no_error (error);
  g_autofree char *uri =
      g_strdup_printf ("http://localhost:%u/video_1", trackerd_server_port (server));
  Found first = found_new (), second = found_new ();
  NetTracker *a = client_new (uri, 7574, PATIENCE_MS, &first);
  g_assert_true (wait_until (is_joined, a));
  NetTracker *b = client_new (uri, 7575, PATIENCE_MS, &second);
  g_assert_true (wait_until (has_peers, &second));
  g_autofree char *named = peer_address_to_string (&g_array_index (second.peers, PeerAddress, 0));
  g_assert_cmpstr (named, ==, "127.0.0.1:7574");
  g_assert_cmpuint (second.peers->len, ==, 1);
  g_assert_cmpuint (first.lists, ==, 0); /* it was alone, and is not told of itself */
  g_assert_true (status_of (b).joined);
  g_assert_null (status_of (b).last_error);
  /* Who leaves is not named any more. */
  net_tracker_free (a);
  net_tracker_flush (PATIENCE_MS);
  Found third = found_new ();
  NetTracker *c = client_new (uri, 7576, PATIENCE_MS, &third);
  g_assert_true (wait_until (has_peers, &third));
  g_assert_cmpuint (third.peers->len, ==, 1);
  g_assert_cmpuint (g_array_index (third.peers, PeerAddress, 0).port, ==, 7575);
  net_tracker_free (b);
  net_tracker_free (c);
  net_tracker_flush (PATIENCE_MS);
  g_array_unref (first.peers);
  g_array_unref (second.peers);
  g_array_unref (third.peers);
}

/* --- with an evil one ---------------------------------------------------------------------- */

typedef struct Evil Evil;
struct Evil {
  SoupServer *server;
  char *uri;
  unsigned requests;
  GHashTable *transactions;
  char *host; /* of the last request */
  void (*behave) (Evil *self, SoupServerMessage *message, const TrackerRequest *request);
};

static void
on_evil (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
         gpointer data)
{
  Evil *self = data;
  g_autoptr (GBytes) body =
      soup_message_body_flatten (soup_server_message_get_request_body (message));
  g_autoptr (TrackerRequest) request = NULL;
  g_autofree char *transaction = NULL;
  self->requests++;
  g_free (self->host);
  self->host = g_strdup (
      soup_message_headers_get_one (soup_server_message_get_request_headers (message), "Host"));
  gsize n;
  const char *bytes = g_bytes_get_data (body, &n);
  tracker_json_read_request (bytes != NULL ? bytes : "", n, &request, &transaction);
  if (request != NULL)
    g_hash_table_add (self->transactions, g_strdup (request->transaction_id));
  soup_server_message_set_status (message, 200, NULL);
  self->behave (self, message, request);
}

static Evil
evil_new (void (*behave) (Evil *, SoupServerMessage *, const TrackerRequest *))
{
  Evil self = {.behave = behave};
  self.server = soup_server_new (NULL, NULL);
  self.uri = g_strdup_printf ("http://127.0.0.1:%u/", listen_local (self.server));
  self.transactions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return self;
}

static void
evil_clear (Evil *self)
{
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  g_free (self->uri);
  g_free (self->host);
  g_hash_table_unref (self->transactions);
}

static void
say (SoupServerMessage *message, const char *text, size_t n)
{
  soup_server_message_set_response (message, TRACKER_JSON_TYPE, SOUP_MEMORY_COPY, text, n);
}

/* A failure, no peers, no join, and the same request again with the same transaction ID. */
static void
expect_failure (void (*behave) (Evil *, SoupServerMessage *, const TrackerRequest *),
                const char *why, unsigned max_requests, unsigned timeout_ms)
{
  Evil evil = evil_new (behave);
  Found found = found_new ();
  NetTracker *client = client_new (evil.uri, 7574, timeout_ms, &found);
  g_hash_table_ref (evil.transactions);
  /* on_evil() is given the address of this copy. */
  soup_server_add_handler (evil.server, NULL, on_evil, &evil, NULL);
  g_assert_true (wait_until (has_failed, client));
  g_test_message ("%s", status_of (client).last_error);
  g_assert_false (status_of (client).joined);
  g_assert_cmpuint (found.lists, ==, 0);
  g_assert_cmpuint (status_of (client).refused_peers, ==, 0);
  g_assert_nonnull (strstr (status_of (client).last_error, why));
  g_assert_cmpuint (evil.requests, <=, max_requests);
  g_assert_cmpuint (g_hash_table_size (evil.transactions), <=, 1);
  net_tracker_free (client);
  net_tracker_flush (100);
  g_hash_table_unref (evil.transactions);
  g_array_unref (found.peers);
  evil_clear (&evil);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
be_garbage (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  say (message, "\xff\xfe<html>", 8);
}

static void
be_silent (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  soup_server_message_pause (message);
}

/* Never quite nothing, so that only a limit for the whole helps. */
static gboolean
drip (gpointer data)
{
  SoupServerMessage *message = data;
  soup_message_body_append (soup_server_message_get_response_body (message), SOUP_MEMORY_STATIC,
                            " ", 1);
  soup_server_message_unpause (message);
  return G_SOURCE_CONTINUE;
}

static void
stop_drip (gpointer timer, GClosure *closure)
{
  g_source_remove (GPOINTER_TO_UINT (timer));
}

static void
on_drip_end (SoupServerMessage *message, gpointer timer)
{
}

static void
be_slow (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  soup_message_headers_set_encoding (soup_server_message_get_response_headers (message),
                                     SOUP_ENCODING_CHUNKED);
  guint timer = g_timeout_add (50, drip, message);
  g_signal_connect_data (message, "finished", G_CALLBACK (on_drip_end), GUINT_TO_POINTER (timer),
                         stop_drip, 0);
}

static void
be_huge (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  g_autofree char *text = g_strnfill (4 * 1024 * 1024, ' ');
  say (message, text, 4 * 1024 * 1024);
}

/* 1 MiB of blanks, packed a hundredfold, before what would be an answer. */
static void
be_packed (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  g_autoptr (GZlibCompressor) gzip = g_zlib_compressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP, 9);
  g_autofree char *text = g_strnfill (1024 * 1024, ' ');
  g_autofree char *packed = g_malloc (65536);
  gsize read, written;
  g_converter_convert (G_CONVERTER (gzip), text, 1024 * 1024, packed, 65536,
                       G_CONVERTER_INPUT_AT_END, &read, &written, NULL);
  g_assert_cmpuint (read, ==, 1024 * 1024);
  soup_message_headers_replace (soup_server_message_get_response_headers (message),
                                "Content-Encoding", "gzip");
  say (message, packed, written);
}

static void
be_deep (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  g_autofree char *text = g_strnfill (200000, '[');
  say (message, text, 200000);
}

static void
be_for_another (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  g_autoptr (TrackerResponse) response = tracker_response_new (TRACKER_STATUS_OK, "other");
  TrackerResult *result = tracker_response_add_result (response, SWARM, false);
  TrackerAddress address = {.priority = 1};
  peer_address_parse ("127.0.0.1:9999", &address.address);
  tracker_result_add_peer (result, "p", &address);
  peer_address_parse ("224.0.0.1:7574", &address.address); /* would be counted as refused */
  tracker_result_add_peer (result, "p", &address);
  size_t n;
  g_autofree char *text = tracker_json_write_response (response, &n);
  say (message, text, n);
}

static void
be_circular (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  soup_server_message_set_redirect (message, 307, "/again");
}

static void
be_elsewhere (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  soup_server_message_set_redirect (message, 302, "ftp://127.0.0.1/");
}

static void
be_abroad (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  soup_server_message_set_redirect (message, 302, "http://198.51.100.1/");
}

static void
be_absent (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  soup_server_message_set_status (message, 404, NULL);
}

static void
evil_answers_harm_nobody (void)
{
  expect_failure (be_garbage, "no PPSP tracker", 1, PATIENCE_MS);
  expect_failure (be_deep, "no PPSP tracker", 1, PATIENCE_MS);
  expect_failure (be_packed, "no PPSP tracker", 1, PATIENCE_MS);
  expect_failure (be_huge, "too large", 1, PATIENCE_MS);
  expect_failure (be_for_another, "another request", 1, PATIENCE_MS);
  expect_failure (be_absent, "HTTP status 404", 1, PATIENCE_MS);
  expect_failure (be_circular, "too often", 4, PATIENCE_MS);
  expect_failure (be_elsewhere, "another scheme", 1, PATIENCE_MS);
  expect_failure (be_abroad, "public address", 1, PATIENCE_MS);
}

static void
slow_answers_end_in_time (void)
{
  expect_failure (be_silent, "no answer in time", 1, 400);
  expect_failure (be_slow, "no answer in time", 1, 400);
}

static void
be_private (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  static const char *const addresses[] = {
      "192.0.2.1:7574", /* the only one that is fit */
      "192.0.2.1:53",   /* a service of somebody's */
      "127.0.0.1:7574", /* ourselves */
      "224.0.0.1:7574", /* many */
      "255.255.255.255:7574", "0.0.0.0:7574", "[ff02::1]:7574", "192.0.2.2:0",
  };
  g_autoptr (TrackerResponse) response =
      tracker_response_new (TRACKER_STATUS_OK, request->transaction_id);
  TrackerResult *other = tracker_response_add_result (response, "ffff", false);
  TrackerResult *result = tracker_response_add_result (response, SWARM, false);
  for (unsigned i = 0; i < G_N_ELEMENTS (addresses); i++) {
    TrackerAddress address = {.priority = 1};
    g_assert_true (peer_address_parse (addresses[i], &address.address));
    tracker_result_add_peer (result, "p", &address);
    address.address.port = 8000;
    tracker_result_add_peer (other, "p", &address);
  }
  size_t n;
  g_autofree char *text = tracker_json_write_response (response, &n);
  say (message, text, n);
}

static void
unfit_addresses_are_left_out (void)
{
  Evil evil = evil_new (be_private);
  Found found = found_new ();
  soup_server_add_handler (evil.server, NULL, on_evil, &evil, NULL);
  NetTracker *client = client_new (evil.uri, 7574, PATIENCE_MS, &found);
  g_assert_true (wait_until (is_joined, client));
  g_assert_cmpuint (found.peers->len, ==, 1);
  g_autofree char *only = peer_address_to_string (&g_array_index (found.peers, PeerAddress, 0));
  g_assert_cmpstr (only, ==, "192.0.2.1:7574");
  g_assert_cmpuint (status_of (client).refused_peers, ==, 7);
  net_tracker_free (client);
  net_tracker_flush (PATIENCE_MS);
  g_array_unref (found.peers);
  evil_clear (&evil);
}

static void
be_good (Evil *self, SoupServerMessage *message, const TrackerRequest *request)
{
  g_autoptr (TrackerResponse) response =
      tracker_response_new (TRACKER_STATUS_OK, request->transaction_id);
  tracker_response_add_result (response, SWARM, false);
  size_t n;
  g_autofree char *text = tracker_json_write_response (response, &n);
  say (message, text, n);
}

static void
one_dead_tracker_does_not_hold_the_other (void)
{
  Evil evil = evil_new (be_good);
  soup_server_add_handler (evil.server, NULL, on_evil, &evil, NULL);
  Evil slow = evil_new (be_silent);
  soup_server_add_handler (slow.server, NULL, on_evil, &slow, NULL);
  g_autofree char *by_name = g_strdup_printf ("http://localhost:%s", evil.uri + 17);
  const char *uris[] = {"http://127.0.0.1:9/", slow.uri, by_name, NULL};
  NetTrackerOptions options = {
      .uris = uris, .swarm_id = SWARM, .port = 7574, .timeout_ms = PATIENCE_MS};
  Found found = found_new ();
  g_autoptr (GError) error = NULL;
  NetTracker *client = net_tracker_new (&options, on_peers, &found, &error);
  g_assert_no_error (error);
  g_assert_true (wait_until (is_joined, client));
  /* We connect to the address that we have looked at, but ask for the name. */
  g_assert_true (g_str_has_prefix (evil.host, "localhost:"));
  g_assert_true (wait_until (has_failed, client));
  net_tracker_free (client);
  net_tracker_flush (PATIENCE_MS);
  g_assert_cmpuint (evil.requests, ==, 2); /* JOIN and LEAVE */
  g_array_unref (found.peers);
  evil_clear (&evil);
  evil_clear (&slow);
}

static void
free_self (const PeerAddress *peers, size_t n, gpointer data)
{
  g_clear_pointer ((NetTracker **)data, net_tracker_free);
}

static void
may_be_freed_by_whom_it_calls (void)
{
  Evil evil = evil_new (be_private);
  soup_server_add_handler (evil.server, NULL, on_evil, &evil, NULL);
  const char *uris[] = {evil.uri, NULL};
  NetTracker *client = NULL;
  NetTrackerOptions options = {
      .uris = uris, .swarm_id = SWARM, .port = 7574, .timeout_ms = PATIENCE_MS};
  client = net_tracker_new (&options, free_self, &client, NULL);
  int64_t end = 0;
  while (client != NULL && wait_turn (&end))
    ;
  g_assert_null (client);
  net_tracker_flush (PATIENCE_MS);
  evil_clear (&evil);
}

static void
unusable_uris_are_named (void)
{
  static const struct {
    const char *uri;
    const char *why;
  } rows[] = {
      {"", "tracker ''"},
      {"tracker.example", "'tracker.example': this is no address of a tracker"},
      {"ftp://tracker.example/", "https://HOST"},
#ifdef PPSP_SIP
      {"sip:", "it names no host"},
      {"sip:tracker.example:x", "sips:HOST:PORT"},
      {"sip:ann@tracker.example", "sips:HOST:PORT"},
      {"sip:tracker.example;transport=sctp", "sips:HOST:PORT"},
      {"sips:tracker.example;transport=udp", "sips:HOST:PORT"},
      {"sip:tracker.example/video_1", "sips:HOST:PORT"},
      {"sip:198.51.100.7", "plain SIP to a public address"},
#else
      {"sip:tracker.example", "this build has no SIP"},
      {"sips:tracker.example", "this build has no SIP"},
#endif
      {"http://198.51.100.7:7846/", "public address"},
      {"https:///x", "host"},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    const char *uris[] = {rows[i].uri, NULL};
    NetTrackerOptions options = {.uris = uris, .swarm_id = SWARM};
    g_autoptr (GError) error = NULL;
    g_assert_null (net_tracker_new (&options, on_peers, NULL, &error));
    g_assert_nonnull (error);
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, rows[i].why));
  }
  NetTrackerOptions none = {.swarm_id = SWARM};
  g_autoptr (GError) error = NULL;
  g_assert_null (net_tracker_new (&none, on_peers, NULL, &error));
  g_assert_nonnull (error);
}

/* --- the programs' pages ------------------------------------------------------------------- */

typedef struct {
  GBytes *body;
  GError *error;
  bool done;
} Fetch;

static void
on_fetched (GObject *source, GAsyncResult *result, gpointer data)
{
  Fetch *fetch = data;
  fetch->body = soup_session_send_and_read_finish (SOUP_SESSION (source), result, &fetch->error);
  fetch->done = true;
}

static bool
is_fetched (gpointer fetch)
{
  return ((Fetch *)fetch)->done;
}

static guint
fetch (const char *method, uint16_t port, const char *path, char **text)
{
  g_autoptr (SoupSession) soup = soup_session_new ();
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%u%s", port, path);
  g_autoptr (SoupMessage) message = soup_message_new (method, uri);
  Fetch state = {0};
  soup_session_send_and_read_async (soup, message, 0, NULL, on_fetched, &state);
  g_assert_true (wait_until (is_fetched, &state));
  g_assert_no_error (state.error);
  *text = g_strndup (g_bytes_get_data (state.body, NULL), g_bytes_get_size (state.body));
  g_bytes_unref (state.body);
  return soup_message_get_status (message);
}

static void
management_counts_what_happens (void)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  g_autoptr (GError) error = NULL;
  TrackerdServerOptions options = {.listen = listen, .management = "127.0.0.1:0"};
  g_autoptr (TrackerdServer) server = trackerd_server_new (&options, &error);
  g_assert_no_error (error);
  uint16_t port = trackerd_server_management_port (server);
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%u/", trackerd_server_port (server));
  Found found = found_new ();
  NetTracker *client = client_new (uri, 7574, PATIENCE_MS, &found);
  g_assert_true (wait_until (is_joined, client));
  g_autofree char *metrics = NULL, *health = NULL, *swarms = NULL, *other = NULL, *got = NULL,
                  *absent = NULL;
  g_assert_cmpuint (fetch ("GET", port, "/metrics", &metrics), ==, 200);
  g_assert_nonnull (strstr (metrics, "\nppsp_tracker_peers 1\n"));
  g_assert_nonnull (strstr (metrics, "\nppsp_tracker_requests_total{type=\"CONNECT\"} 1\n"));
  g_assert_nonnull (strstr (metrics, "\nppsp_tracker_responses_total{code=\"0\"} 1\n"));
  g_assert_nonnull (strstr (metrics, "\nppsp_http_connections 1\n"));
  g_assert_nonnull (strstr (metrics, "\nppsp_build_info{version=\""));
  g_assert_true (g_str_has_suffix (metrics, "\n# EOF\n"));
  g_assert_cmpuint (fetch ("GET", port, "/healthz", &health), ==, 200);
  g_assert_cmpuint (fetch ("GET", port, "/api/v1/swarms", &swarms), ==, 200);
  g_assert_nonnull (strstr (swarms, "{\"swarm-id\":\"" SWARM "\",\"seeders\":0,\"leeches\":1,"));
  g_assert_cmpuint (fetch ("POST", port, "/metrics", &other), ==, 405);
  g_assert_cmpuint (fetch ("GET", port, "/", &absent), ==, 404);
  /* And the peers' address tells nobody anything. */
  g_assert_cmpuint (fetch ("GET", trackerd_server_port (server), "/metrics", &got), ==, 405);
  net_tracker_free (client);
  net_tracker_flush (PATIENCE_MS);
  g_array_unref (found.peers);
}

/* --- certificates --- */

typedef struct {
  PeerContent content;
  uint8_t key[PEER_FINGERPRINT];
  unsigned own, listed;
  PeerMembership membership; /* of the last */
} Certified;

static void
on_certificate (const PeerAddress *address, const uint8_t *bytes, size_t n, gpointer data)
{
  Certified *self = data;
  self->own += address == NULL;
  self->listed += address != NULL;
  g_assert_cmpint (peer_membership_check (bytes, n, &self->content, self->key, g_get_real_time (),
                                          &self->membership),
                   ==, PEER_MEMBERSHIP_GOOD);
  if (address != NULL)
    g_assert_true (peer_address_equal (address, &self->membership.address));
}

static bool
is_certified (gpointer data)
{
  return ((Certified *)data)->own > 0;
}

static bool
is_listed (gpointer data)
{
  return ((Certified *)data)->listed > 0;
}

static void
no_peers (const PeerAddress *peers, size_t n, gpointer data)
{
}

static NetTracker *
certified_new (const char *uri, uint16_t port, const TrackerdAuthority *authority, Certified *self)
{
  const char *uris[] = {uri, NULL};
  const char *key = trackerd_authority_key (authority);
  NetTrackerOptions options = {
      .uris = uris, .swarm_id = SWARM, .port = port, .certificate = on_certificate};
  *self = (Certified){0};
  peer_content_init_static (&self->content);
  self->content.swarm_id_size = sizeof SWARM / 2;
  for (unsigned i = 0; i < sizeof SWARM / 2; i++)
    self->content.swarm_id[i] = (uint8_t)(g_ascii_xdigit_value (SWARM[2 * i]) << 4 |
                                          g_ascii_xdigit_value (SWARM[2 * i + 1]));
  for (unsigned i = 0; i < PEER_FINGERPRINT; i++)
    self->key[i] =
        (uint8_t)(g_ascii_xdigit_value (key[2 * i]) << 4 | g_ascii_xdigit_value (key[2 * i + 1]));
  return net_tracker_new (&options, no_peers, self, NULL);
}

#define HOURS(n) ((int64_t)(n)*3600 * G_USEC_PER_SEC)

/* The key stays the same over restarts, or no link would be good for longer. */
static void
members_are_certified (void)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  g_autofree char *folder = g_dir_make_tmp ("ppsp-tracker-XXXXXX", NULL);
  g_autofree char *state = g_build_filename (folder, "state", NULL);
  g_autofree char *path = g_build_filename (state, "certify.key", NULL);
  g_autofree char *first_key = NULL;
  struct stat about;
  for (unsigned start = 0; start < 2; start++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TrackerdAuthority) authority =
        trackerd_authority_open (state, HOURS (start + 1), &error);
    g_assert_no_error (error);
    TrackerdServerOptions options = {.listen = listen, .authority = authority};
    TrackerdServer *server = trackerd_server_new (&options, &error);
    g_assert_no_error (error);
    g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%u/", trackerd_server_port (server));
    Certified a, b;
    NetTracker *one = certified_new (uri, 7574, authority, &a);
    g_assert_true (wait_until (is_certified, &a));
    g_autofree char *where = peer_address_to_string (&a.membership.address);
    g_assert_cmpstr (where, ==, "127.0.0.1:7574");
    g_assert_cmpint (a.membership.not_after - a.membership.not_before, ==, HOURS (start + 1));
    NetTracker *two = certified_new (uri, 7575, authority, &b);
    g_assert_true (wait_until (is_certified, &b));
    g_assert_true (wait_until (is_listed, &b));
    g_assert_cmpuint (a.listed, ==, 0);
    g_assert_true (first_key == NULL ||
                   g_str_equal (first_key, trackerd_authority_key (authority)));
    g_free (first_key);
    first_key = g_strdup (trackerd_authority_key (authority));
    net_tracker_free (one);
    net_tracker_free (two);
    net_tracker_flush (2000);
    trackerd_server_free (server);
  }
  g_assert_cmpint (stat (path, &about), ==, 0);
  g_assert_cmpint (about.st_mode & 07777, ==, 0600);
  g_assert_true (
      g_file_set_contents_full (path, "no key", -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  g_autoptr (GError) error = NULL;
  g_assert_null (trackerd_authority_open (state, HOURS (1), &error));
  g_assert_nonnull (strstr (error->message, "certify.key"));
  g_assert_cmpint (g_remove (path) + g_rmdir (state) + g_rmdir (folder), ==, 0);
}

int
main (int argc, char **argv)
{
  g_unsetenv ("G_MESSAGES_DEBUG");
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/tracker/two-peers-find-each-other", two_peers_find_each_other);
  g_test_add_func ("/net/tracker/evil-answers-harm-nobody", evil_answers_harm_nobody);
  g_test_add_func ("/net/tracker/slow-answers-end-in-time", slow_answers_end_in_time);
  g_test_add_func ("/net/tracker/unfit-addresses-are-left-out", unfit_addresses_are_left_out);
  g_test_add_func ("/net/tracker/one-dead-tracker-does-not-hold-the-other",
                   one_dead_tracker_does_not_hold_the_other);
  g_test_add_func ("/net/tracker/may-be-freed-by-whom-it-calls", may_be_freed_by_whom_it_calls);
  g_test_add_func ("/net/tracker/unusable-uris-are-named", unusable_uris_are_named);
  g_test_add_func ("/net/tracker/members-are-certified", members_are_certified);
  g_test_add_func ("/net/tracker/management-counts-what-happens", management_counts_what_happens);
  return g_test_run ();
}
