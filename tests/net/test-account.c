/* SPDX-License-Identifier: Apache-2.0 */
/* What a client shows a tracker, and to whom it shows nothing: against our tracker, and against one
 * that asks and asks. Over plain HTTP on loopback; what needs TLS is in test-tls.c. */
#include "peer/net/random.h"
#include "peer/net/tracker.h"
#include "peer/trackerd/server.h"
#include "tests/lib/listen.h"
#include "tests/lib/wait.h"

#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <string.h>

#define PATIENCE_MS 60000
#define SWARM "00112233445566778899aabbccddeeff00112233"

/* Both of a scratch file's lives: as credentials, and as a tracker's list. */
static char *
write_file (const char *text)
{
  g_autoptr (GError) error = NULL;
  char *path = NULL;
  int fd = g_file_open_tmp ("ppsp-XXXXXX", &path, &error);
  g_assert_no_error (error);
  g_close (fd, NULL);
  g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error);
  g_assert_no_error (error);
  return path;
}

static NetCredentials *
load (const char *text, GError **error)
{
  g_autofree char *path = write_file (text);
  NetCredentials *credentials = net_credentials_load (path, error);
  g_remove (path);
  return credentials;
}

static NetCredentials *
good (const char *text)
{
  g_autoptr (GError) error = NULL;
  NetCredentials *credentials = load (text, &error);
  g_assert_no_error (error);
  return credentials;
}

static void
on_peers (const PeerAddress *peers, size_t n, gpointer data)
{
}

static NetTracker *
client_new (uint16_t port, NetCredentials *credentials)
{
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%u/video_1?a=b", port);
  const char *uris[] = {uri, NULL};
  NetTrackerOptions options = {.uris = uris,
                               .swarm_id = SWARM,
                               .port = 7574,
                               .timeout_ms = PATIENCE_MS,
                               .credentials = credentials};
  g_autoptr (GError) error = NULL;
  NetTracker *client = net_tracker_new (&options, on_peers, NULL, &error);
  g_assert_no_error (error);
  return client;
}

static bool
has_failed (gpointer client)
{
  NetTrackerStatus status;
  net_tracker_status (client, &status);
  return status.failures > 0;
}

static bool
is_joined (gpointer client)
{
  NetTrackerStatus status;
  net_tracker_status (client, &status);
  return status.joined;
}

/* NULL = it joined, else why not. The caller frees. */
static char *
join (uint16_t port, NetCredentials *credentials)
{
  NetTracker *client = client_new (port, credentials);
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

static TrackerDigest *
digest_new (const char *const *hashes)
{
  g_autoptr (GError) error = NULL;
  TrackerDigestOptions options = {.realm = "ppsp", .random = net_random};
  TrackerDigest *digest = tracker_digest_new (&options);
  g_autofree char *text = g_strjoinv ("\n", (char **)hashes);
  g_assert_true (tracker_digest_load (digest, text, &error));
  g_assert_no_error (error);
  return digest;
}

static TrackerdServer *
server_new (TrackerDigest *digest, const char *lists)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  g_autoptr (GError) error = NULL;
  g_autofree char *path = write_file (lists);
  TrackerdServerOptions options = {.listen = listen, .digest = digest};
  options.access = trackerd_access_load (path, TRACKERD_SWARM_CLOSED, &error);
  g_assert_no_error (error);
  g_remove (path);
  TrackerdServer *server = trackerd_server_new (&options, &error);
  g_assert_no_error (error);
  return server;
}

static void
passwords_are_shown_when_asked_for (void)
{
  for (int i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++) {
    g_autofree char *hash =
        tracker_digest_hash ((TrackerDigestAlgorithm)i, "alice", "ppsp", "wonder");
    g_autofree char *line = g_strconcat ("alice:ppsp:", hash, NULL);
    const char *lines[] = {line, NULL};
    g_autoptr (TrackerDigest) digest = digest_new (lines);
    g_autoptr (TrackerdServer) server = server_new (digest, "");
    uint16_t port = trackerd_server_port (server);
    g_autoptr (NetCredentials) right = good ("[127.0.0.1]\nuser=alice\npassword=wonder\n");
    g_autoptr (NetCredentials) wrong = good ("[127.0.0.1]\nuser=alice\npassword=blunder\n");
    g_autoptr (NetCredentials) other = good ("[192.0.2.1]\nuser=alice\npassword=wonder\n");
    g_autofree char *with = join (port, right), *without = join (port, NULL),
                    *bad = join (port, wrong), *elsewhere = join (port, other);
    g_assert_null (with);
    g_assert_nonnull (strstr (without, "error 6, it wants an account"));
    g_assert_nonnull (strstr (bad, "--credentials"));
    g_assert_nonnull (strstr (elsewhere, "error 6, it wants an account"));
  }
}

static void
tokens_are_shown (void)
{
  g_autofree char *hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, "sesame", -1);
  g_autofree char *lists = g_strdup_printf ("[tokens]\nalice=%s\n", hash);
  g_autoptr (TrackerdServer) server = server_new (NULL, lists);
  uint16_t port = trackerd_server_port (server);
  g_autofree char *place = g_strdup_printf ("[127.0.0.1:%u]\ntoken=sesame\n", port);
  g_autoptr (NetCredentials) right = good (place), wrong = good ("[127.0.0.1]\ntoken=open\n");
  g_autofree char *with = join (port, right), *bad = join (port, wrong);
  g_assert_null (with);
  g_assert_nonnull (strstr (bad, "--credentials"));
}

/* A password that is changed at the tracker is changed here by SIGHUP, and what is wrong is not taken. */
static void
changed_passwords_are_read_again (void)
{
  g_autofree char *hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, "sesame", -1);
  g_autofree char *lists = g_strdup_printf ("[tokens]\nalice=%s\n", hash);
  g_autoptr (TrackerdServer) server = server_new (NULL, lists);
  g_autoptr (GError) error = NULL;
  g_autofree char *path = write_file ("[127.0.0.1]\ntoken=open\n");
  NetCredentials *credentials = net_credentials_load (path, &error);
  g_assert_no_error (error);
  NetTracker *client = client_new (trackerd_server_port (server), credentials);
  g_assert_true (wait_until (has_failed, client));
  static const char *const texts[] = {"rubbish", "[127.0.0.1]\nuser=alice\npassword=sesame\n",
                                      "[127.0.0.1]\ntoken=sesame\n"};
  for (unsigned i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_assert_true (
        g_file_set_contents_full (path, texts[i], -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL));
    g_assert_true (net_credentials_reload (credentials, &error) == (i > 0));
    g_assert_true ((error != NULL) == (i == 0));
    g_clear_error (&error);
    g_assert_cmpuint (net_credentials_serial (credentials), ==, i);
  }
  g_assert_true (wait_until (is_joined, client)); /* when it asks again */
  net_tracker_free (client);
  net_tracker_flush (PATIENCE_MS);
  net_credentials_unref (credentials);
  g_remove (path);
}

/* --- one that asks and asks --- */

typedef struct {
  SoupServer *server;
  uint16_t port;
  const char *challenge;
  char *location; /* NULL, or where it sends its clients */
  unsigned requests;
  GPtrArray *shown; /* Authorization; "" = none */
  GString *cookies;
} Asker;

static void
ask (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
     gpointer data)
{
  Asker *self = data;
  SoupMessageHeaders *in = soup_server_message_get_request_headers (message);
  SoupMessageHeaders *out = soup_server_message_get_response_headers (message);
  const char *shown = soup_message_headers_get_one (in, "Authorization");
  const char *cookie = soup_message_headers_get_list (in, "Cookie");
  self->requests++;
  g_ptr_array_add (self->shown, g_strdup (shown != NULL ? shown : ""));
  g_string_append (self->cookies, cookie != NULL ? cookie : "");
  soup_message_headers_append (out, "Set-Cookie", "peer=followed; Max-Age=100000; Path=/");
  soup_message_headers_append (out, "WWW-Authenticate", self->challenge);
  soup_server_message_set_status (message, SOUP_STATUS_UNAUTHORIZED, NULL);
  if (self->location == NULL)
    return;
  soup_message_headers_append (out, "Location", self->location);
  soup_server_message_set_status (message, SOUP_STATUS_TEMPORARY_REDIRECT, NULL);
}

static void
asker_init (Asker *self, const char *challenge)
{
  *self = (Asker){.server = soup_server_new (NULL, NULL), .challenge = challenge};
  self->shown = g_ptr_array_new_with_free_func (g_free);
  self->cookies = g_string_new (NULL);
  soup_server_add_handler (self->server, NULL, ask, self, NULL);
  self->port = listen_local (self->server);
}

static void
asker_clear (Asker *self)
{
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  g_ptr_array_unref (self->shown);
  g_string_free (self->cookies, TRUE);
}

/* One exchange, which fails; what comes after it is not noted. */
static void
ask_once (Asker *self, NetCredentials *credentials)
{
  NetTracker *client = client_new (self->port, credentials);
  g_assert_true (wait_until (has_failed, client));
  soup_server_disconnect (self->server);
  net_tracker_free (client);
  net_tracker_flush (100);
}

#define CHALLENGE "Digest realm=\"x\", qop=\"auth\", algorithm=SHA-256, nonce=\"n\""

static void
nobody_is_asked_for_ever (void)
{
  static const struct {
    const char *challenge, *credential;
    unsigned requests, shown;
  } rows[] = {
      {CHALLENGE, "user=alice\npassword=wonder\n", 2, 1},
      {CHALLENGE ", stale=true", "user=alice\npassword=wonder\n", 3, 2},
      {"Digest realm=\"x\", algorithm=ROT13, nonce=\"n\"", "user=alice\npassword=w\n", 1, 0},
      {"Basic realm=\"x\"", "user=alice\npassword=wonder\n", 1, 0}, /* never in plain text */
      {"Bearer realm=\"x\"", "token=sesame\n", 1, 1},
      {CHALLENGE, "token=sesame\n", 1, 1},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    Asker asker;
    g_autofree char *text = g_strconcat ("[127.0.0.1]\n", rows[i].credential, NULL);
    g_autoptr (NetCredentials) credentials = good (text);
    asker_init (&asker, rows[i].challenge);
    ask_once (&asker, credentials);
    unsigned shown = 0;
    for (unsigned j = 0; j < asker.shown->len; j++) {
      const char *value = g_ptr_array_index (asker.shown, j);
      shown += *value != 0;
      g_assert_null (strstr (value, "wonder"));
    }
    g_test_message ("%u: %u requests", i, asker.requests);
    g_assert_cmpuint (asker.requests, ==, rows[i].requests);
    g_assert_cmpuint (shown, ==, rows[i].shown);
    asker_clear (&asker);
  }
}

/* Section 6.5: peers may decide not to return cookies; ours never do. */
static void
cookies_are_not_returned (void)
{
  Asker asker;
  g_autoptr (NetCredentials) credentials = good ("[127.0.0.1]\nuser=alice\npassword=wonder\n");
  asker_init (&asker, CHALLENGE);
  ask_once (&asker, credentials);
  g_assert_cmpuint (asker.requests, ==, 2);
  g_assert_cmpstr (asker.cookies->str, ==, "");
  asker_clear (&asker);
}

/* A tracker that sends its clients on gets no password for where they are sent. */
static void
passwords_are_not_carried_elsewhere (void)
{
  static const char *const texts[] = {"[localhost]\ntoken=sesame\n[127.0.0.1:1]\ntoken=sesame\n",
                                      "[127.0.0.1]\ntoken=sesame\n"};
  for (unsigned i = 0; i < G_N_ELEMENTS (texts); i++) {
    Asker asker, thief;
    g_autoptr (NetCredentials) credentials = good (texts[i]);
    asker_init (&asker, CHALLENGE);
    asker_init (&thief, CHALLENGE);
    asker.location = g_strdup_printf ("http://127.0.0.1:%u/", thief.port);
    ask_once (&asker, credentials);
    g_assert_cmpuint (asker.requests, ==, 1);
    g_assert_cmpstr (g_ptr_array_index (asker.shown, 0), ==, i == 0 ? "" : "Bearer sesame");
    g_assert_cmpuint (thief.requests, ==, 1);
    g_assert_cmpstr (g_ptr_array_index (thief.shown, 0), ==, "");
    g_free (asker.location);
    asker_clear (&asker);
    asker_clear (&thief);
  }
}

static void
what_is_wrong_is_named (void)
{
  static const char *const rows[][2] = {
      {"", "no section"},
      {"[a]\n", "nothing to show"},
      {"[a]\nuser=alice\n", "[a] user and password need each other"},
      {"[a]\npassword=x\n", "[a] user and password need each other"},
      {"[a]\nuser=alice\npassword=x\ntoken=y\n", "which is to be shown"},
      {"[a]\ntoken=two words\n", "token:"},
      {"[a]\ncertificate=/x\n", "certificate and key need each other"},
      {"[a]\ncertificate=/nonexistent\nkey=/nonexistent\n", "/nonexistent"},
      {"[a]\nlogin=alice\n", "login: there is no such key"},
      {"[a]\nuser=alice\npassword secret\n", ": line 3: "},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (load (rows[i][0], &error));
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, rows[i][1]));
    g_assert_null (strchr (error->message, '\n'));
  }
}

static void
the_nearest_section_counts (void)
{
  g_autoptr (NetCredentials) credentials =
      good ("[Tracker.Example]\ntoken=any\n[tracker.example:7846]\ntoken=one\n"
            "[2001:db8::1]\ntoken=six\n");
  static const struct {
    const char *host;
    int port;
    const char *token;
  } rows[] = {{"tracker.example", 7846, "one"},
              {"TRACKER.example", 443, "any"},
              {"2001:db8::1", 443, "six"},
              {"example", 7846, NULL},
              {"evil.tracker.example", 7846, NULL}};
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    const NetCredential *found = net_credentials_find (credentials, rows[i].host, rows[i].port);
    g_assert_cmpstr (found != NULL ? found->token : NULL, ==, rows[i].token);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* The tracker warns of wrong passwords, as it should. */
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  g_test_add_func ("/net/account/passwords-are-shown-when-asked-for",
                   passwords_are_shown_when_asked_for);
  g_test_add_func ("/net/account/tokens-are-shown", tokens_are_shown);
  g_test_add_func ("/net/account/changed-passwords-are-read-again",
                   changed_passwords_are_read_again);
  g_test_add_func ("/net/account/nobody-is-asked-for-ever", nobody_is_asked_for_ever);
  g_test_add_func ("/net/account/cookies-are-not-returned", cookies_are_not_returned);
  g_test_add_func ("/net/account/passwords-are-not-carried-elsewhere",
                   passwords_are_not_carried_elsewhere);
  g_test_add_func ("/net/account/what-is-wrong-is-named", what_is_wrong_is_named);
  g_test_add_func ("/net/account/the-nearest-section-counts", the_nearest_section_counts);
  return g_test_run ();
}
