/* SPDX-License-Identifier: Apache-2.0 */
/* ppsp-tracker: options in, server up, until a signal. */
#include "peer/crypto.h"
#include "peer/membership.h"
#include "peer/net/log.h"
#include "peer/net/options.h"
#include "peer/net/random.h"
#include "peer/trackerd/server.h"

#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define G_LOG_DOMAIN_TRACKER "peer/trackerd"
/* Descriptors for all that is not a peer's connection. */
#define OTHER_DESCRIPTORS 64
/* And more for each thread. */
#define THREAD_DESCRIPTORS 8
#define MAX_CONNECTIONS 10000
#define MAX_THREADS 64
#define MAX_CERTIFICATE_HOURS 168
#define HOUR (INT64_C (3600) * G_USEC_PER_SEC) /* us */
#define EXIT_USAGE 2

typedef struct {
  char **listen;
  char *tls_cert, *tls_key, *management, *config, *store, *places, *alto;
  char *sip, *sips, *users, *realm, *access, *state, *log;
  gboolean verbose, version;
  int threads, certificate_hours;
  TrackerdAuthority *authority;
  TrackerDigest *digest;
  TrackerdServer *server;
  GMainLoop *loop;
} Tracker;

static void
tracker_clear (Tracker *self)
{
  g_clear_pointer (&self->server, trackerd_server_free);
  g_clear_pointer (&self->authority, trackerd_authority_free);
  g_clear_pointer (&self->digest, tracker_digest_free);
  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_strfreev (self->listen);
  char *texts[] = {self->tls_cert, self->tls_key, self->management, self->config, self->store,
                   self->sip,      self->sips,    self->users,      self->realm,  self->access,
                   self->places,   self->alto,    self->state,      self->log};
  for (unsigned i = 0; i < G_N_ELEMENTS (texts); i++)
    g_free (texts[i]);
}

static bool
parse_arguments (Tracker *self, int argc, char **argv, GError **error)
{
  const GOptionEntry entries[] = {
      {"listen", 0, 0, G_OPTION_ARG_STRING_ARRAY, &self->listen,
       "Where peers come (default [::]:7846); repeatable", "ADDR:PORT"},
      {"threads", 0, 0, G_OPTION_ARG_INT, &self->threads,
       "Threads that answer by HTTP (1); as many as there are cores, at most", "N"},
      {"tls-cert", 0, 0, G_OPTION_ARG_FILENAME, &self->tls_cert, "Certificate chain, PEM: HTTPS",
       "FILE"},
      {"tls-key", 0, 0, G_OPTION_ARG_FILENAME, &self->tls_key, "Its private key, PEM", "FILE"},
      {"management", 0, 0, G_OPTION_ARG_STRING, &self->management,
       "Metrics and health (default 127.0.0.1:7847); empty for none", "ADDR:PORT"},
      {"sip", 0, 0, G_OPTION_ARG_STRING, &self->sip,
       "Where peers come by SIP, UDP and TCP; needs --users, save on loopback", "ADDR:PORT"},
      {"sips", 0, 0, G_OPTION_ARG_STRING, &self->sips,
       "Where they come by SIP over TLS; needs --tls-cert, too", "ADDR:PORT"},
      {"state", 0, 0, G_OPTION_ARG_FILENAME, &self->state,
       "Folder of the key with which members are certified (default $STATE_DIRECTORY; without "
       "either "
       "none are)",
       "DIR"},
      {"certificate-hours", 0, 0, G_OPTION_ARG_INT, &self->certificate_hours,
       "How long the certificate of a member is good (12)", "N"},
      {"users", 0, 0, G_OPTION_ARG_FILENAME, &self->users,
       "Accounts for Digest, as htdigest writes them; without --access, all swarms are closed then",
       "FILE"},
      {"realm", 0, 0, G_OPTION_ARG_STRING, &self->realm, "Realm of these accounts (ppsp)", "NAME"},
      {"access", 0, 0, G_OPTION_ARG_FILENAME, &self->access,
       "Which swarms are closed, to whom, and who is denied; tokens and certificates of accounts",
       "FILE"},
      {"store", 0, 0, G_OPTION_ARG_STRING, &self->store,
       "Where peers are kept: memory: (the default), sqlite:FILE, redis://HOST:PORT/NAME", "URI"},
      {"places", 0, 0, G_OPTION_ARG_FILENAME, &self->places,
       "Where addresses are, a line each: PREFIX NAME; peers of one's own place come first",
       "FILE"},
      {"alto", 0, 0, G_OPTION_ARG_STRING, &self->alto,
       "Directory of an ALTO server (RFC 7285), whose maps say who is near to whom", "URI"},
      {"config", 0, 0, G_OPTION_ARG_FILENAME, &self->config, "The same options in a key file",
       "FILE"},
      {"log", 0, 0, G_OPTION_ARG_STRING, &self->log, NET_LOG_HELP, "WHERE"},
      {"verbose", 0, 0, G_OPTION_ARG_NONE, &self->verbose, "Say more", NULL},
      {"version", 0, 0, G_OPTION_ARG_NONE, &self->version, "Say the version", NULL},
      {0},
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_option_context_set_summary (context, "A tracker for PPSP (RFC 7846), over HTTP and HTTPS.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, error))
    return false;
  if (argc > 1) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "'%s' is not an option", argv[1]);
    return false;
  }
  return (self->config == NULL || net_options_read_file (self->config, entries, error)) &&
         (self->log == NULL || net_log_to (self->log, error));
}

static bool
has_certificate_and_key (const Tracker *self, GError **error)
{
  if ((self->tls_cert != NULL) != (self->tls_key != NULL)) {
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                         "--tls-cert and --tls-key need each other");
    return false;
  }
  return true;
}

static bool
has_numbers (const Tracker *self, GError **error)
{
  if (self->threads < 1 || self->threads > MAX_THREADS) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                 "--threads %d: expected 1 to %d, and no more than there are cores", self->threads,
                 MAX_THREADS);
    return false;
  }
  if (self->certificate_hours < 1 || self->certificate_hours > MAX_CERTIFICATE_HOURS) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                 "--certificate-hours %d: expected 1 to %d", self->certificate_hours,
                 MAX_CERTIFICATE_HOURS);
    return false;
  }
  return true;
}

/* Whoever runs it a year forgets it, and peers refuse what is out of date. */
static void
warn_of_its_end (const Tracker *self, GTlsCertificate *certificate)
{
  g_autoptr (GDateTime) end = g_tls_certificate_get_not_valid_after (certificate);
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  if (end == NULL || g_date_time_compare (now, end) < 0)
    return;
  g_autofree char *when = g_date_time_format_iso8601 (end);
  g_log_structured (G_LOG_DOMAIN_TRACKER, G_LOG_LEVEL_WARNING, "MESSAGE",
                    "%s was good until %s, and peers refuse it: put another there, and send SIGHUP",
                    self->tls_cert, when);
}

/* By a key of another no handshake would succeed, and GIO does not look. */
static GTlsCertificate *
load_certificate (const Tracker *self, GError **error)
{
  g_autofree char *pem = NULL;
  char *key = NULL;
  g_autoptr (GTlsCertificate) certificate =
      g_tls_certificate_new_from_files (self->tls_cert, self->tls_key, error);
  if (certificate == NULL) {
    g_prefix_error (error, "cannot use %s with %s: ", self->tls_cert, self->tls_key);
    return NULL;
  }
  g_object_get (certificate, "certificate-pem", &pem, "private-key-pem", &key, NULL);
  bool fits = key != NULL && peer_certificate_fits (pem, key);
  peer_secret_free (key);
  if (fits) {
    warn_of_its_end (self, certificate);
    return g_steal_pointer (&certificate);
  }
  g_set_error (error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE,
               "cannot use %s with %s: the key is not that of the certificate", self->tls_cert,
               self->tls_key);
  return NULL;
}

/* A swarm is closed where there are accounts and no file says otherwise. */
static TrackerdAccess *
load_access (const Tracker *self, GError **error)
{
  return trackerd_access_load (
      self->access, self->users != NULL ? TRACKERD_SWARM_CLOSED : TRACKERD_SWARM_OPEN, error);
}

/* Nothing has changed where it fails. */
static bool
load_users (Tracker *self, GError **error)
{
  g_autofree char *text = NULL;
  if (self->users == NULL)
    return true;
  if (!g_file_get_contents (self->users, &text, NULL, error)) {
    g_prefix_error (error, "cannot read --users: ");
    return false;
  }
  if (!tracker_digest_load (self->digest, text, error)) {
    g_prefix_error (error, "%s: ", self->users);
    return false;
  }
  return true;
}

static bool
open_users (Tracker *self, GError **error)
{
  TrackerDigestOptions options = {.realm = self->realm != NULL ? self->realm : "ppsp",
                                  .random = net_random};
  if (self->users == NULL)
    return true;
  self->digest = tracker_digest_new (&options);
  if (self->digest == NULL) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                 "--realm '%s': no realm has '\"', '\\', ':' or control characters", options.realm);
    return false;
  }
  return load_users (self, error);
}

/* As many connections as descriptors allow; a default limit of 1024 is small for a tracker. */
static unsigned
connection_limit (unsigned threads)
{
  struct rlimit limit;
  unsigned others = OTHER_DESCRIPTORS + THREAD_DESCRIPTORS * threads;
  if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
    return 0;
  limit.rlim_cur = MIN (limit.rlim_max, MAX_CONNECTIONS + others);
  setrlimit (RLIMIT_NOFILE, &limit);
  getrlimit (RLIMIT_NOFILE, &limit);
  return (unsigned)CLAMP ((int64_t)limit.rlim_cur - others, 16, MAX_CONNECTIONS);
}

/* Members are certified where there is a place for the key. */
static bool
open_authority (Tracker *self, GError **error)
{
  const char *systemd = g_getenv ("STATE_DIRECTORY");
  if (self->state == NULL && systemd != NULL && *systemd != 0)
    self->state = g_strndup (systemd, strcspn (systemd, ":"));
  if (self->state == NULL)
    return true;
  self->authority = trackerd_authority_open (self->state, self->certificate_hours * HOUR, error);
  return self->authority != NULL;
}

static bool
start (Tracker *self, GError **error)
{
  static const char *const anywhere[] = {"[::]:7846", NULL};
  g_autoptr (GTlsCertificate) certificate = NULL;
  if (self->tls_cert != NULL && (certificate = load_certificate (self, error)) == NULL)
    return false;
  if (!open_authority (self, error) || !open_users (self, error))
    return false;
  g_autoptr (TrackerdAccess) access = load_access (self, error);
  if (access == NULL)
    return false;
  const char *management = self->management != NULL ? self->management : "127.0.0.1:7847";
  TrackerdSipOptions sip = {.plain = self->sip,
                            .secure = self->sips,
                            .certificate = self->tls_cert,
                            .key = self->tls_key};
  TrackerdServerOptions options = {
      .sip = &sip,
      .listen = self->listen != NULL && self->listen[0] != NULL ? (const char *const *)self->listen
                                                                : anywhere,
      .management = *management != 0 ? management : NULL,
      .certificate = certificate,
      .max_connections = connection_limit ((unsigned)self->threads),
      .threads = (unsigned)self->threads,
      .authority = self->authority,
      .digest = self->digest,
      .access = g_steal_pointer (&access),
      .store = self->store,
      .places = self->places,
      .alto = self->alto,
  };
  self->server = trackerd_server_new (&options, error);
  if (self->server == NULL)
    return false;
  g_autofree char *where = g_strjoinv (" ", (char **)options.listen);
  g_log_structured (G_LOG_DOMAIN_TRACKER, G_LOG_LEVEL_MESSAGE, "MESSAGE",
                    "ppsp-tracker %s: %s on %s (port %u), management on %s", PPSP_VERSION,
                    certificate != NULL ? "HTTPS" : "plain HTTP", where,
                    trackerd_server_port (self->server), *management != 0 ? management : "none");
  if (self->sip != NULL)
    g_log_structured (G_LOG_DOMAIN_TRACKER, G_LOG_LEVEL_MESSAGE, "MESSAGE",
                      "SIP on %s (port %u), UDP and TCP", self->sip,
                      trackerd_server_sip_port (self->server));
  if (self->sips != NULL)
    g_log_structured (G_LOG_DOMAIN_TRACKER, G_LOG_LEVEL_MESSAGE, "MESSAGE",
                      "SIP over TLS on %s (port %u)", self->sips,
                      trackerd_server_sips_port (self->server));
  if (self->authority != NULL)
    g_log_structured (G_LOG_DOMAIN_TRACKER, G_LOG_LEVEL_MESSAGE, "MESSAGE",
                      "members are certified; links of its swarms may say tk=%s",
                      trackerd_authority_key (self->authority));
  if (certificate == NULL)
    g_log_structured (G_LOG_DOMAIN_TRACKER, G_LOG_LEVEL_INFO, "MESSAGE",
                      "peers use plain HTTP only at loopback and private addresses; give "
                      "--tls-cert and --tls-key for the Internet");
  return true;
}

static gboolean
on_stop (gpointer data)
{
  g_main_loop_quit (((Tracker *)data)->loop);
  return G_SOURCE_CONTINUE;
}

/* All of it, or nothing: half of a change is what nobody wanted. */
static bool
reload (Tracker *self, GError **error)
{
  g_autoptr (GTlsCertificate) certificate = NULL;
  if (self->tls_cert != NULL && (certificate = load_certificate (self, error)) == NULL)
    return false;
  g_autoptr (TrackerdAccess) access = load_access (self, error);
  g_autoptr (TrackerPlaces) places = NULL;
  /* the certificate late, since SIP keeps a copy of the key on the disk until it is set */
  if (access == NULL || !trackerd_server_read_places (self->server, &places, error) ||
      (certificate != NULL && !trackerd_server_load_certificate (self->server, error)))
    return false;
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED =
      g_rec_mutex_locker_new (trackerd_server_lock (self->server));
  if (!load_users (self, error)) {
    trackerd_server_drop_certificate (self->server);
    return false;
  }
  if (certificate != NULL)
    trackerd_server_set_certificate (self->server, certificate);
  if (places != NULL)
    trackerd_server_set_places (self->server, g_steal_pointer (&places));
  trackerd_server_set_access (self->server, g_steal_pointer (&access));
  return true;
}

static gboolean
on_reload (gpointer data)
{
  Tracker *self = data;
  g_autoptr (GError) error = NULL;
  TrackerdEvents *events = trackerd_server_events (self->server);
  const char *files[] = {self->tls_cert, self->users, self->access, self->places};
  g_autoptr (GString) names = g_string_new (NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS (files); i++)
    if (files[i] != NULL)
      g_string_append_printf (names, "%s%s", names->len > 0 ? ", " : "", files[i]);
  if (names->len == 0)
    return G_SOURCE_CONTINUE;
  bool good = reload (self, &error);
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED =
      g_rec_mutex_locker_new (trackerd_server_lock (self->server));
  if (good)
    trackerd_events_note (events, TRACKERD_EVENT_RELOADED, g_get_real_time (), "loaded again: %s",
                          names->str);
  else
    trackerd_events_note (events, TRACKERD_EVENT_RELOAD_FAILED, g_get_real_time (),
                          "%s; what was loaded before stays", error->message);
  return G_SOURCE_CONTINUE;
}

static int
run (Tracker *self, int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  if (!parse_arguments (self, argc, argv, &error) || !has_certificate_and_key (self, &error) ||
      !has_numbers (self, &error)) {
    fprintf (stderr, "ppsp-tracker: %s\n", error->message);
    return EXIT_USAGE;
  }
  if (self->version) {
    printf ("ppsp-tracker %s\n", PPSP_VERSION);
    return EXIT_SUCCESS;
  }
  net_log_init ("ppsp-tracker");
  if (self->verbose)
    g_log_set_debug_enabled (TRUE);
  /* Who has had an answer may send a signal: until there is a loop that handles it, it waits. GLib's thread for
   * signals begins here and no earlier, since one that begins while a refused start ends meets what is gone. */
  sigset_t handled;
  sigemptyset (&handled);
  sigaddset (&handled, SIGTERM);
  sigaddset (&handled, SIGINT);
  sigaddset (&handled, SIGHUP);
  pthread_sigmask (SIG_BLOCK, &handled, NULL);
  if (!start (self, &error)) {
    fprintf (stderr, "ppsp-tracker: %s\n", error->message);
    return EXIT_FAILURE;
  }
  self->loop = g_main_loop_new (NULL, FALSE);
  g_unix_signal_add (SIGTERM, on_stop, self);
  g_unix_signal_add (SIGINT, on_stop, self);
  g_unix_signal_add (SIGHUP, on_reload, self);
  pthread_sigmask (SIG_UNBLOCK, &handled, NULL);
  g_main_loop_run (self->loop);
  return EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  Tracker tracker = {.threads = 1, .certificate_hours = PEER_MEMBERSHIP_LIFE / HOUR};
  setlocale (LC_ALL, "");
  int code = run (&tracker, argc, argv);
  tracker_clear (&tracker);
  return code;
}
