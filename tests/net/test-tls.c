/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on both ends: the listener's and the tracker client's. A program of its own, because the
 * leak checker dies of the TLS library's threads. */
#include "peer/net/listener.h"
#include "peer/net/tracker.h"
#include "peer/trackerd/server.h"
#include "tests/lib/clock.h"
#include "tests/lib/wait.h"

#include <glib/gstdio.h>
#include <string.h>

#define PATIENCE_MS 60000
#define SWARM "00112233445566778899aabbccddeeff00112233"

static void
run (const char *const *argv)
{
  g_autoptr (GError) error = NULL;
  int status = 1;
  g_spawn_sync (NULL, (char **)argv, NULL,
                G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                NULL, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_assert_true (g_spawn_check_wait_status (status, NULL));
}

typedef struct {
  char *folder, *cert, *key;
  GTlsCertificate *certificate;
  GTlsDatabase *trust; /* this certificate, and no other */
} Identity;

static Identity
identity_new (void)
{
  g_autoptr (GError) error = NULL;
  Identity self = {.folder = g_dir_make_tmp ("ppsp-XXXXXX", &error)};
  self.cert = g_build_filename (self.folder, "cert.pem", NULL);
  self.key = g_build_filename (self.folder, "key.pem", NULL);
  const char *const make[] = {"openssl",
                              "req",
                              "-x509",
                              "-newkey",
                              "ec",
                              "-pkeyopt",
                              "ec_paramgen_curve:P-256",
                              "-nodes",
                              "-keyout",
                              self.key,
                              "-out",
                              self.cert,
                              "-days",
                              "2",
                              "-subj",
                              "/CN=localhost",
                              "-addext",
                              "subjectAltName=DNS:localhost",
                              NULL};
  run (make);
  self.certificate = g_tls_certificate_new_from_files (self.cert, self.key, &error);
  g_assert_no_error (error);
  self.trust = g_tls_file_database_new (self.cert, &error);
  g_assert_no_error (error);
  return self;
}

static void
identity_clear (Identity *self)
{
  g_remove (self->cert);
  g_remove (self->key);
  g_rmdir (self->folder);
  g_free (self->cert);
  g_free (self->key);
  g_free (self->folder);
  g_object_unref (self->certificate);
  g_object_unref (self->trust);
}

static void
on_peers (const PeerAddress *peers, size_t n, gpointer data)
{
}

/* What became of one join: NULL = joined, else why not. The caller frees. */
static char *
join_with (const char *scheme, uint16_t port, GTlsDatabase *trust, unsigned timeout_ms,
           NetCredentials *credentials)
{
  g_autofree char *uri = g_strdup_printf ("%s://localhost:%u/", scheme, port);
  const char *uris[] = {uri, NULL};
  NetTrackerOptions options = {.uris = uris,
                               .swarm_id = SWARM,
                               .port = 7574,
                               .trust = trust,
                               .timeout_ms = timeout_ms,
                               .credentials = credentials};
  g_autoptr (GError) error = NULL;
  NetTracker *client = net_tracker_new (&options, on_peers, NULL, &error);
  g_assert_no_error (error);
  NetTrackerStatus status;
  int64_t end = 0;
  do
    net_tracker_status (client, &status);
  while (!status.joined && status.failures == 0 && wait_turn (&end));
  char *why = status.joined ? NULL : g_strdup (status.last_error);
  g_assert_true (status.joined || why != NULL);
  net_tracker_free (client);
  net_tracker_flush (status.joined ? PATIENCE_MS : 100);
  return why;
}

static char *
join_at (const char *scheme, uint16_t port, GTlsDatabase *trust, unsigned timeout_ms)
{
  return join_with (scheme, port, trust, timeout_ms, NULL);
}

static char *
join (TrackerdServer *server, GTlsDatabase *trust)
{
  return join_at ("https", trackerd_server_port (server), trust, PATIENCE_MS);
}

static void
https_needs_a_trusted_certificate (void)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  g_autoptr (GError) error = NULL;
  Identity first = identity_new (), second = identity_new ();
  TrackerdServerOptions options = {.listen = listen, .certificate = first.certificate};
  TrackerdServer *server = trackerd_server_new (&options, &error);
  g_assert_no_error (error);
  g_autofree char *good = join (server, first.trust);
  g_assert_cmpstr (good, ==, NULL);
  g_autofree char *wrong = join (server, second.trust);
  g_assert_nonnull (strstr (wrong, "certificate"));
  g_autofree char *unknown = join (server, NULL);
  g_assert_nonnull (strstr (unknown, "certificate"));
  /* SIGHUP: another one for those who come from now on. */
  trackerd_server_set_certificate (server, second.certificate);
  g_autofree char *renewed = join (server, second.trust);
  g_assert_cmpstr (renewed, ==, NULL);
  trackerd_server_free (server);
  identity_clear (&first);
  identity_clear (&second);
}

static gboolean
on_incoming (GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  static const char no[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  g_output_stream_write_all (out, no, strlen (no), NULL, NULL, NULL);
  g_object_set_data_full (G_OBJECT (service), "last", g_object_ref (connection), g_object_unref);
  return TRUE;
}

static void
wrong_scheme_is_told (void)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  g_autoptr (GError) error = NULL;
  Identity identity = identity_new ();
  TrackerdServerOptions options = {.listen = listen, .certificate = identity.certificate};
  TrackerdServer *server = trackerd_server_new (&options, &error);
  g_assert_no_error (error);
  g_autofree char *plain = join_at ("http", trackerd_server_port (server), NULL, PATIENCE_MS);
  g_assert_nonnull (strstr (plain, "https: only?"));
  trackerd_server_free (server);

  options.certificate = NULL;
  server = trackerd_server_new (&options, &error);
  g_assert_no_error (error);
  g_autofree char *waits = join_at ("https", trackerd_server_port (server), NULL, 300);
  g_assert_nonnull (strstr (waits, "for http:?"));
  trackerd_server_free (server);

  g_autoptr (GSocketService) service = g_socket_service_new ();
  uint16_t port = g_socket_listener_add_any_inet_port (G_SOCKET_LISTENER (service), NULL, &error);
  g_assert_no_error (error);
  g_signal_connect (service, "incoming", G_CALLBACK (on_incoming), NULL);
  g_autofree char *answers = join_at ("https", port, NULL, PATIENCE_MS);
  g_assert_nonnull (strstr (answers, "does not shake hands"));
  g_socket_service_stop (service);
  identity_clear (&identity);
}

/* Neither who never begins the handshake, nor who sends no TLS, is kept. */
static void
handshake_has_a_time_limit (void)
{
  g_autoptr (GError) error = NULL;
  Identity identity = identity_new ();
  NetListenerOptions options = {.certificate = identity.certificate, .header_timeout = 1};
  g_autoptr (SoupServer) server = soup_server_new (NULL, NULL);
  NetListener *listener = net_listener_new (server, &options);
  uint16_t port = net_listener_add (listener, "127.0.0.1:0", &error);
  g_assert_no_error (error);
  g_autoptr (GSocketAddress) to = g_inet_socket_address_new_from_string ("127.0.0.1", port);
  GSocket *sockets[2];
  for (unsigned i = 0; i < G_N_ELEMENTS (sockets); i++) {
    sockets[i] = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM,
                               G_SOCKET_PROTOCOL_DEFAULT, &error);
    g_assert_true (g_socket_connect (sockets[i], to, NULL, &error));
  }
  g_socket_send (sockets[1], "GET / HTTP/1.1\r\n\r\n", 18, NULL, NULL);
  /* One speaks no TLS and is told so at once, the other says nothing. */
  NetListenerStats stats = {0};
  int64_t end = 0;
  do
    net_listener_stats (listener, &stats);
  while ((stats.accepted < 2 || stats.connections > 1) && wait_turn (&end));
  g_assert_cmpuint (stats.connections, ==, 1);
  g_assert_cmpuint (stats.timed_out, ==, 0);
  clock_advance (2 * G_USEC_PER_SEC);
  for (end = 0; stats.connections > 0 && wait_turn (&end);)
    net_listener_stats (listener, &stats);
  g_assert_cmpuint (stats.accepted, ==, 2);
  g_assert_cmpuint (stats.connections, ==, 0);
  g_assert_cmpuint (stats.timed_out, ==, 1);
  for (unsigned i = 0; i < G_N_ELEMENTS (sockets); i++)
    g_object_unref (sockets[i]);
  net_listener_free (listener);
  identity_clear (&identity);
}

static char *
write_in (const Identity *identity, const char *text)
{
  g_autoptr (GError) error = NULL;
  char *path = g_build_filename (identity->folder, "text", NULL);
  g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error);
  g_assert_no_error (error);
  return path;
}

/* RFC 7846, 4: client certificates are the preferred way to show who one is. */
static void
certificate_of_a_client_is_shown (void)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  g_autoptr (GError) error = NULL;
  g_autoptr (GByteArray) der = NULL;
  Identity tracker = identity_new (), alice = identity_new (), mallory = identity_new ();
  g_object_get (alice.certificate, "certificate", &der, NULL);
  g_autofree char *hash = g_compute_checksum_for_data (G_CHECKSUM_SHA256, der->data, der->len);
  g_autofree char *lists = g_strdup_printf ("[certificates]\nalice=%s\n", hash);
  g_autofree char *path = write_in (&tracker, lists);
  TrackerdServerOptions options = {.listen = listen, .certificate = tracker.certificate};
  options.access = trackerd_access_load (path, TRACKERD_SWARM_CLOSED, &error);
  g_assert_no_error (error);
  TrackerdServer *server = trackerd_server_new (&options, &error);
  g_assert_no_error (error);
  const Identity *shown[] = {NULL, &alice, &mallory};
  for (unsigned i = 0; i < G_N_ELEMENTS (shown); i++) {
    g_autoptr (NetCredentials) credentials = NULL;
    if (shown[i] != NULL) {
      g_autofree char *text =
          g_strdup_printf ("[localhost]\ncertificate=%s\nkey=%s\n", shown[i]->cert, shown[i]->key);
      g_free (write_in (&tracker, text));
      credentials = net_credentials_load (path, &error);
      g_assert_no_error (error);
    }
    g_autofree char *why =
        join_with ("https", trackerd_server_port (server), tracker.trust, PATIENCE_MS, credentials);
    g_test_message ("%s", why);
    if (shown[i] == &alice)
      g_assert_null (why);
    else
      g_assert_nonnull (strstr (why, "error 6"));
  }
  trackerd_server_free (server);
  g_remove (path);
  identity_clear (&tracker);
  identity_clear (&alice);
  identity_clear (&mallory);
}

/* RFC 8996: a server that has no TLS of 1.2 or later is none. */
static void
old_tls_is_not_spoken (void)
{
  g_autoptr (GError) error = NULL;
  Identity identity = identity_new ();
  const char *argv[] = {"openssl",         "s_server", "-accept",    "127.0.0.1:0", "-cert",
                        identity.cert,     "-key",     identity.key, "-tls1_1",     "-cipher",
                        "ALL:@SECLEVEL=0", "-www",     NULL};
  GSubprocess *openssl = g_subprocess_newv (
      argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, &error);
  g_assert_no_error (error);
  g_autoptr (GDataInputStream) said =
      g_data_input_stream_new (g_subprocess_get_stdout_pipe (openssl));
  guint64 port = 0;
  while (port == 0) {
    g_autofree char *line = g_data_input_stream_read_line (said, NULL, NULL, &error);
    g_assert_no_error (error);
    g_assert_nonnull (line);
    if (g_str_has_prefix (line, "ACCEPT 127.0.0.1:"))
      g_ascii_string_to_unsigned (strchr (line, ':') + 1, 10, 1, 65535, &port, NULL);
  }
  g_autofree char *why = join_at ("https", (uint16_t)port, identity.trust, PATIENCE_MS);
  g_assert_nonnull (strstr (why, "TLS"));
  g_assert_null (strstr (why, "no PPSP tracker's")); /* so its page was not read */
  g_subprocess_force_exit (openssl);
  g_subprocess_wait (openssl, NULL, NULL);
  g_object_unref (openssl);
  identity_clear (&identity);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* The tracker warns of wrong certificates, as it should. */
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  g_test_add_func ("/net/tls/https-needs-a-trusted-certificate", https_needs_a_trusted_certificate);
  g_test_add_func ("/net/tls/wrong-scheme-is-told", wrong_scheme_is_told);
  g_test_add_func ("/net/tls/handshake-has-a-time-limit", handshake_has_a_time_limit);
  g_test_add_func ("/net/tls/certificate-of-a-client-is-shown", certificate_of_a_client_is_shown);
  g_test_add_func ("/net/tls/old-tls-is-not-spoken", old_tls_is_not_spoken);
  return g_test_run ();
}
