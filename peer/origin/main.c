/* SPDX-License-Identifier: Apache-2.0 */
/* ppsp-origin: makes everything, joins everything, decides nothing. */
#include "peer/net/listener.h"
#include "peer/net/log.h"
#include "peer/origin/options.h"
#include "peer/origin/pull.h"
#include "peer/origin/push.h"
#include "peer/origin/station.h"
#include "peer/origin/web.h"

#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_USAGE 2

typedef struct {
  OriginOptions *options;
  OriginState *state;
  OriginStation *station;
  SoupServer *server;
  NetListener *listener;
  OriginPush *push;
  OriginWeb *web;
  GPtrArray *pulls; /* OriginPull */
  GMainLoop *loop;
  char **argv; /* as it was given, for a reload */
} Program;

static bool
add_entry (Program *self, const OriginEntry *entry, GError **error)
{
  if (!origin_station_add (self->station, entry, error))
    return false;
  if (entry->kind == ORIGIN_PULL && origin_station_find (self->station, entry->id) != NULL)
    g_ptr_array_add (self->pulls, origin_pull_new (origin_station_find (self->station, entry->id)));
  return true;
}

static bool
start_http (Program *self, GError **error)
{
  NetListenerOptions options = {.max_body = 4096};

  self->server = soup_server_new ("server-header", "ppsp-origin/" PPSP_VERSION, NULL);
  self->listener = net_listener_new (self->server, &options);
  net_listener_allow_body (self->listener, "/ingest/");
  self->push = origin_push_new (self->server, self->station);
  self->web = origin_web_new (self->server, self->station, self->listener);
  return net_listener_add (self->listener, self->options->http, error) != 0;
}

static bool
start (Program *self, GError **error)
{
  const OriginOptions *options = self->options;
  OriginStationOptions station = {.peer_address = options->peer,
                                  .trackers = (const char *const *)options->trackers,
                                  .announce = options->announce,
                                  .allow_plain_tracker = options->allow_plain_tracker,
                                  .credentials = options->credentials,
                                  .max_per_ip = options->max_per_ip,
                                  .loss_tolerance = options->loss_tolerance,
                                  .benign_network = options->benign_network,
                                  .no_peer_exchange = options->no_peer_exchange,
                                  .channel = options->channel,
                                  .file = options->file,
                                  .window = options->window,
                                  .peering = options->peering};

  self->pulls = g_ptr_array_new_with_free_func ((GDestroyNotify)origin_pull_free);
  self->state = origin_state_open (options->state, error);
  if (self->state == NULL)
    return false;
  self->station = origin_station_new (&station, self->state, error);
  if (self->station == NULL || !start_http (self, error))
    return false;
  for (guint i = 0; i < options->entries->len; i++)
    if (!add_entry (self, g_ptr_array_index (options->entries, i), error))
      return false;
  g_message ("serving on %s, peers on %s, state in %s", options->http, options->peer,
             origin_state_folder (self->state));
  if (options->entries->len == 0)
    g_message ("there is nothing to publish: see --channel, --pull and --file");
  return true;
}

static void
stop (Program *self)
{
  g_clear_pointer (&self->pulls, g_ptr_array_unref);
  g_clear_pointer (&self->push, origin_push_free);
  g_clear_pointer (&self->web, origin_web_free);
  g_clear_pointer (&self->listener, net_listener_free);
  if (self->server != NULL)
    soup_server_disconnect (self->server);
  g_clear_object (&self->server);
  g_clear_pointer (&self->station, origin_station_free);
  g_clear_pointer (&self->state, origin_state_close);
  g_clear_pointer (&self->options, origin_options_free);
  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_strfreev (self->argv);
}

static gboolean
on_end (gpointer data)
{
  Program *self = data;

  g_main_loop_quit (self->loop);
  return G_SOURCE_CONTINUE;
}

/* Content that is new in the key file is added; what is on the air is not touched. */
static gboolean
on_reload (gpointer data)
{
  Program *self = data;
  g_auto (GStrv) argv = g_strdupv (self->argv);
  g_autofree char **words = g_memdup2 (argv, (g_strv_length (argv) + 1) * sizeof (char *));
  g_autoptr (GError) error = NULL;
  g_autoptr (OriginOptions) options = NULL;
  char **at = words;
  int argc = (int)g_strv_length (words);
  unsigned n = 0;

  options = origin_options_parse (&argc, &at, &error);
  for (guint i = 0; options != NULL && i < options->entries->len; i++) {
    const OriginEntry *entry = g_ptr_array_index (options->entries, i);

    if (origin_station_find (self->station, entry->id) != NULL)
      continue;
    if (!add_entry (self, entry, &error))
      break;
    n++;
  }
  if (options != NULL) {
    NetPeering *old = self->options->peering;
    net_peering_keep_set (options->peering, old);
    net_peering_log (options->peering);
    origin_station_limit (self->station, options->peering);
    self->options->peering = g_steal_pointer (&options->peering);
    net_peering_free (old);
  }
  if (error == NULL && self->options->credentials != NULL)
    net_credentials_reload (self->options->credentials, &error);
  if (error != NULL)
    g_warning ("reload: %s", error->message);
  else
    g_message ("reload: %u new; limits are as said, what is on the air goes on, other options "
               "need a restart",
               n);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  Program self = {.argv = g_strdupv (argv)};
  g_autoptr (GError) error = NULL;
  int result = EXIT_SUCCESS;

  setlocale (LC_ALL, "");
  g_set_prgname ("ppsp-origin");
  self.options = origin_options_parse (&argc, &argv, &error);
  if (self.options != NULL && self.options->version) {
    printf ("ppsp-origin %s\n", PPSP_VERSION);
  } else if (self.options != NULL) {
    net_log_init ("ppsp-origin");
    net_peering_log (self.options->peering);
    g_log_set_debug_enabled (self.options->verbose);
    if (start (&self, &error)) {
      self.loop = g_main_loop_new (NULL, FALSE);
      g_unix_signal_add (SIGTERM, on_end, &self);
      g_unix_signal_add (SIGINT, on_end, &self);
      g_unix_signal_add (SIGHUP, on_reload, &self);
      g_main_loop_run (self.loop);
      g_message ("stopping");
    }
  }
  if (error != NULL) {
    fprintf (stderr, "ppsp-origin: %s\n", error->message);
    result = self.options == NULL ? EXIT_USAGE : EXIT_FAILURE;
  }
  stop (&self);
  fflush (NULL);
  /* A thread may still be hashing a file; the handlers of exit() would pull libraries from under
   * it. */
  _exit (result);
}
