/* SPDX-License-Identifier: Apache-2.0 */
/* ppsp-peer: joins a swarm, writes its stream or file, seeds. Ends with 0 = done, 1 = it went
 * wrong, 2 = it was called wrongly. */
#include "peer/cli/cache.h"
#include "peer/cli/monitor.h"
#include "peer/cli/options.h"
#include "peer/cli/session.h"
#include "peer/net/log.h"
#include "peer/net/metrics.h"
#include "peer/net/tracker.h"

#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define TERMINAL_MS 500
#define VERBOSE_MS 5000
#define LONELY (10 * G_USEC_PER_SEC) /* us without a peer, until it is said */
#define LEAVE_MS 2000

typedef struct {
  CliOptions *options;
  char **argv; /* as it was given, for a reload */
  CliSession *session;
  GMainLoop *loop;
  int status;
  bool stopped, terminal, told_lonely;
  int64_t started;
} Program;

/* false = the limits stay as they are. */
static bool
read_again (CliOptions *options, char **argv)
{
  g_auto (GStrv) texts = g_strdupv (argv);
  g_autofree char **words = g_memdup2 (texts, (g_strv_length (texts) + 1) * sizeof (char *));
  g_autoptr (GError) error = NULL;
  if (cli_options_reread (options, (int)g_strv_length (texts), words, &error)) {
    net_peering_log (options->peering);
    g_message ("the limits, and what peers are told of us, are read again");
    return true;
  }
  g_warning ("reload: %s; the limits stay as they are", error->message);
  return false;
}

static void
clear_line (const Program *self)
{
  if (self->terminal)
    fputs ("\r\033[K", stderr);
}

static void
ended (CliSessionEnd end, const GError *error, gpointer data)
{
  Program *self = data;
  if (end == CLI_SESSION_FAILED) {
    clear_line (self);
    fprintf (stderr, "ppsp-peer: %s\n", error->message);
    self->status = EXIT_FAILURE;
  }
  g_main_loop_quit (self->loop);
}

static gboolean
stop (gpointer data)
{
  Program *self = data;
  self->stopped = true;
  g_main_loop_quit (self->loop);
  return G_SOURCE_CONTINUE;
}

/* Who watches at a terminal has gone when that hangs up; a service is told to read again. */
static gboolean
hang_up (gpointer data)
{
  Program *self = data;
  if (self->terminal)
    return stop (self);
  if (read_again (self->options, self->argv))
    cli_session_limit (self->session);
  return G_SOURCE_CONTINUE;
}

static double
megabits (uint64_t bytes)
{
  return (double)bytes * 8 / 1e6;
}

static char *
progress_line (const Program *self, const CliProgress *progress)
{
  g_autofree char *place = NULL;
  if (progress->live)
    place = g_strdup_printf ("%.1f MB written, %" G_GUINT64_FORMAT " chunks missed",
                             (double)progress->bytes / 1e6, progress->skipped);
  else if (progress->length > 0)
    place = g_strdup_printf ("%5.1f %% of %.1f MB",
                             (double)progress->bytes * 100 / (double)progress->length,
                             (double)progress->length / 1e6);
  else
    place = g_strdup_printf ("%.1f MB", (double)progress->bytes / 1e6);
  return g_strdup_printf ("%s, %.1f Mbit/s down, %.1f up, %u peer%s", place,
                          megabits (progress->down), megabits (progress->up), progress->peers,
                          progress->peers == 1 ? "" : "s");
}

/* Once: nobody knows else why nothing comes. */
static void
tell_lonely (Program *self, const CliProgress *progress)
{
  if (self->told_lonely || progress->peers > 0 || progress->complete ||
      g_get_monotonic_time () - self->started < LONELY)
    return;
  self->told_lonely = true;
  clear_line (self);
  if (progress->tracker_error != NULL)
    fprintf (stderr, "ppsp-peer: no peer yet; the tracker: %s\n", progress->tracker_error);
  else
    fprintf (stderr,
             "ppsp-peer: no peer yet; still trying (is the source on, is UDP let through?)\n");
}

static gboolean
show_progress (gpointer data)
{
  Program *self = data;
  CliProgress progress;
  cli_session_progress (self->session, &progress);
  g_autofree char *line = progress_line (self, &progress);
  if (self->terminal) {
    clear_line (self);
    fputs (line, stderr);
  } else if (self->options->verbose) {
    fprintf (stderr, "%s\n", line);
  }
  tell_lonely (self, &progress);
  return G_SOURCE_CONTINUE;
}

/* What was there when it was told to stop. A file that is not whole is no success. */
static void
conclude (Program *self)
{
  CliProgress progress;
  cli_session_progress (self->session, &progress);
  clear_line (self);
  if (self->options->verbose || self->terminal) {
    g_autofree char *line = progress_line (self, &progress);
    fprintf (stderr, "%s, %.1f MB given\n", line, (double)progress.uploaded / 1e6);
  }
  if (!self->stopped || progress.live || progress.complete)
    return;
  fprintf (stderr, "ppsp-peer: stopped before all was here%s\n",
           self->options->output != NULL ? "; the same command goes on" : "");
  self->status = EXIT_FAILURE;
}

static void
put_session (GString *out, gpointer data)
{
  const Program *self = data;
  CliProgress progress;
  cli_session_progress (self->session, &progress);
  net_metrics_gauge (out, "ppsp_session_peers", "Peers connected.", progress.peers);
  net_metrics_gauge (out, "ppsp_session_complete", "1 = all that was asked for is here.",
                     progress.complete);
  net_metrics_gauge (out, "ppsp_session_bytes", "Verified (on demand) or written (live).",
                     progress.bytes);
  net_metrics_gauge (out, "ppsp_session_length_bytes", "Of the content; 0 = not known, or live.",
                     progress.length);
  net_metrics_counter (out, "ppsp_session_skipped_chunks", "Live, missing when due.",
                       progress.skipped);
  net_metrics_counter (out, "ppsp_session_uploaded_bytes", "Given to other peers.",
                       progress.uploaded);
}

/* false = it was asked for and cannot be. */
static bool
start_monitor (const CliOptions *options, NetUdp *udp, CliMonitorFunc func, gpointer data,
               CliMonitor **out)
{
  g_autoptr (GError) error = NULL;
  if (options->metrics == NULL)
    return true;
  *out = cli_monitor_new (options->metrics, udp, func, data, &error);
  if (*out == NULL)
    fprintf (stderr, "ppsp-peer: --metrics: %s\n", error->message);
  return *out != NULL;
}

static int
run (Program *self)
{
  g_autoptr (GError) error = NULL;
  CliMonitor *monitor = NULL;
  self->loop = g_main_loop_new (NULL, FALSE);
  self->session = cli_session_new (self->options, ended, self, &error);
  if (self->session == NULL) {
    fprintf (stderr, "ppsp-peer: %s\n", error->message);
    g_main_loop_unref (self->loop);
    return EXIT_FAILURE;
  }
  if (!start_monitor (self->options, cli_session_udp (self->session), put_session, self,
                      &monitor)) {
    cli_session_free (self->session);
    g_main_loop_unref (self->loop);
    return EXIT_FAILURE;
  }
  self->started = g_get_monotonic_time ();
  self->terminal = isatty (STDERR_FILENO) == 1;
  guint sources[] = {
      g_unix_signal_add (SIGINT, stop, self), g_unix_signal_add (SIGTERM, stop, self),
      g_unix_signal_add (SIGHUP, hang_up, self),
      g_timeout_add (self->terminal ? TERMINAL_MS : VERBOSE_MS, show_progress, self)};
  g_main_loop_run (self->loop);
  for (size_t i = 0; i < G_N_ELEMENTS (sources); i++)
    g_source_remove (sources[i]);
  conclude (self);
  cli_monitor_free (monitor);
  cli_session_free (self->session);
  net_tracker_flush (LEAVE_MS);
  g_main_loop_unref (self->loop);
  return self->status;
}

/* --- a cache --- */

typedef struct {
  CliOptions *options;
  char **argv; /* as it was given, for a reload */
  CliCache *cache;
  bool terminal;
} CacheProgram;

static gboolean
show_cache (gpointer data)
{
  const CacheProgram *self = data;
  CliCacheStats stats;
  cli_cache_stats (self->cache, &stats);
  fprintf (stderr,
           "%s%u swarms, %u in demand, %u whole, %.1f of %.1f MB, %.1f Mbit/s down, %.1f up, "
           "%u peer%s, %.1f MB given%s",
           self->terminal ? "\r\033[K" : "", stats.swarms, stats.wanted, stats.whole,
           (double)stats.used / 1e6, (double)stats.quota / 1e6, megabits (stats.down),
           megabits (stats.up), stats.peers, stats.peers == 1 ? "" : "s",
           (double)stats.uploaded / 1e6, self->terminal ? "" : "\n");
  return G_SOURCE_CONTINUE;
}

static void
put_cache (GString *out, gpointer data)
{
  const CacheProgram *self = data;
  CliCacheStats stats;
  cli_cache_stats (self->cache, &stats);
  net_metrics_gauge (out, "ppsp_cache_swarms", "Swarms joined.", stats.swarms);
  net_metrics_gauge (out, "ppsp_cache_wanted_swarms", "Live, or a peer lacks some of it.",
                     stats.wanted);
  net_metrics_gauge (out, "ppsp_cache_whole_swarms", "On demand, all of it here.", stats.whole);
  net_metrics_gauge (out, "ppsp_cache_refused_links", "Links of lists that could not be joined.",
                     stats.failed);
  net_metrics_gauge (out, "ppsp_cache_used_bytes", "Of the disk.", stats.used);
  net_metrics_gauge (out, "ppsp_cache_quota_bytes", "What it may take of the disk.", stats.quota);
  net_metrics_gauge (out, "ppsp_cache_peers", "Peers connected, in all swarms.", stats.peers);
  net_metrics_counter (out, "ppsp_cache_uploaded_bytes", "Given to other peers.", stats.uploaded);
}

static gboolean
reload_cache (gpointer data)
{
  CacheProgram *self = data;
  if (read_again (self->options, self->argv))
    cli_cache_limit (self->cache);
  cli_cache_reload (self->cache);
  return G_SOURCE_CONTINUE;
}

static gboolean
stop_cache (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_CONTINUE;
}

static int
run_cache (CliOptions *options, char **argv)
{
  g_autoptr (GError) error = NULL;
  CacheProgram self = {.options = options, .argv = argv, .terminal = isatty (STDERR_FILENO) == 1};
  self.cache = cli_cache_new (options, &error);
  if (self.cache == NULL) {
    fprintf (stderr, "ppsp-peer: %s\n", error->message);
    return EXIT_FAILURE;
  }
  CliMonitor *monitor = NULL;
  if (!start_monitor (options, cli_cache_udp (self.cache), put_cache, &self, &monitor)) {
    cli_cache_free (self.cache);
    return EXIT_FAILURE;
  }
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  guint sources[] = {g_unix_signal_add (SIGINT, stop_cache, loop),
                     g_unix_signal_add (SIGTERM, stop_cache, loop),
                     g_unix_signal_add (SIGHUP, reload_cache, &self)};
  guint show =
      self.terminal || options->verbose ? g_timeout_add (VERBOSE_MS, show_cache, &self) : 0;
  g_main_loop_run (loop);
  for (size_t i = 0; i < G_N_ELEMENTS (sources); i++)
    g_source_remove (sources[i]);
  if (show > 0) {
    g_source_remove (show);
    show_cache (&self);
  }
  cli_monitor_free (monitor);
  cli_cache_free (self.cache);
  net_tracker_flush (LEAVE_MS);
  return EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  signal (SIGPIPE, SIG_IGN);
  net_log_init ("ppsp-peer");
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) given = g_strdupv (argv);
  g_autoptr (CliOptions) options = cli_options_new (argc, argv, &error);
  if (options == NULL) {
    fprintf (stderr, "ppsp-peer: %s\n", error->message);
    return EXIT_USAGE;
  }
  if (options->version) {
    printf ("ppsp-peer %s\n", PPSP_VERSION);
    return EXIT_SUCCESS;
  }
  net_peering_log (options->peering);
  if (options->verbose)
    g_setenv ("G_MESSAGES_DEBUG", "all", FALSE);
  if (options->cache != NULL)
    return run_cache (options, given);
  Program program = {.options = options, .argv = given};
  return run (&program);
}
