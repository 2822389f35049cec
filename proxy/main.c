/* SPDX-License-Identifier: Apache-2.0 */
/* ppsp-proxy: makes everything, joins everything, decides nothing. */
#include "peer/net/log.h"
#include "peer/net/status.h"
#include "proxy/guide.h"
#include "proxy/home.h"
#include "proxy/library.h"
#include "proxy/logos.h"
#include "proxy/pause.h"
#include "proxy/recordings.h"
#include "proxy/shift.h"
#include "proxy/tuner.h"
#include "proxy/warm.h"
#include "proxy/web.h"
#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_MS 2000 /* for the trackers, at the end */

typedef struct {
  int argc;
  char **argv; /* for a reload */
  ProxyConfig config;
  GMainLoop *loop;
  char *state_trouble;
  char *uuid;
  ProxyCatalog *catalog;
  NetUdp *udp;
  NetStatus *status;
  NetCache *cache;
  char *timeshift_folder;
  ProxySessionOptions session_options;
  ProxySessions *sessions;
  ProxyWarm *warm;
  ProxyLibrary *library;
  ProxyRecordings *recordings;
  SoupServer *server;
  DlnaQuirks *quirks;
  DlnaClients *clients;
  DlnaMedia *media;
  ProxyHls *hls;
  ProxyLogos *logos;
  ProxyHome *home;
  ProxyPause *pause;
  ProxyGuide *guide;
  ProxyProgrammes *programmes;
  ProxyTuner *tuner;
  ProxyWeb *web;
} App;

static void
on_engine_event (const PeerEvent *event, gpointer data)
{
  App *app = data;
  if (app->sessions)
    proxy_sessions_event (app->sessions, event);
}

static void
on_catalog (gpointer data)
{
  App *app = data;
  if (app->library)
    proxy_library_changed (app->library);
}

static void
on_session_end (ProxySession *session, gpointer data)
{
  proxy_library_learn (((App *)data)->library, session);
}

static void
on_recorded (const char *id, gpointer data)
{
  proxy_library_look_into (((App *)data)->library, id);
}

static void
add_warnings (GPtrArray *out, gpointer data)
{
  App *app = data;
  if (app->state_trouble)
    g_ptr_array_add (out, g_strdup (app->state_trouble));
  proxy_home_warnings (app->home, out);
}

static bool
media_server (DlnaServerStats *out, gpointer data)
{
  return proxy_home_media_server (((App *)data)->home, out);
}

static void
on_list (const char *list, const char *guides, gpointer data)
{
  proxy_programmes_follow (((App *)data)->programmes, list, guides);
}

static void
on_pause (unsigned seconds, gpointer data)
{
  App *app = data;
  g_autoptr (GPtrArray) active = proxy_sessions_list (app->sessions);
  g_message (
      "this program stood still for some %u s; telling the home and the trackers that it is back",
      seconds);
  proxy_home_announce (app->home);
  for (guint i = 0; i < active->len; i++)
    proxy_session_hurry (active->pdata[i]);
}

static gboolean
on_stop (gpointer data)
{
  g_main_loop_quit (((App *)data)->loop);
  return G_SOURCE_CONTINUE;
}

/* The limits as they are said now, and what peers are told of us. */
static void
reload_limits (App *app)
{
  g_auto (ProxyConfig) config = {0};
  g_autoptr (GError) error = NULL;
  if (proxy_config_read (&config, app->argc, app->argv, &error) != PROXY_CONFIG_RUN) {
    g_warning ("reload: %s; the limits stay as they are", error->message);
    return;
  }
  NetPeering *old = app->config.peering;
  app->config.peering = app->session_options.peering = g_steal_pointer (&config.peering);
  net_peering_keep_set (app->config.peering, old);
  net_peering_log (app->config.peering);
  net_peering_free (old);
  net_status_set (app->status, app->config.peering);
  net_peering_limit_engine (app->config.peering, net_udp_engine (app->udp));
  g_autoptr (GPtrArray) active = proxy_sessions_list (app->sessions);
  for (guint i = 0; i < active->len; i++)
    proxy_session_limit (active->pdata[i]);
}

static void
reload_credentials (App *app)
{
  g_autoptr (GError) error = NULL;
  if (app->config.credentials && !net_credentials_reload (app->config.credentials, &error))
    g_warning ("%s; what was loaded before stays", error->message);
}

static gboolean
on_reload (gpointer data)
{
  g_message ("reading the channel lists, the limits and --credentials again");
  reload_limits (data);
  reload_credentials (data);
  proxy_guide_reload (((App *)data)->guide);
  return G_SOURCE_CONTINUE;
}

/* The folder, and the name by which televisions know us again. */
static void
prepare_state (App *app)
{
  const char *state = app->config.state;
  g_autofree char *path = g_build_filename (state, "uuid", NULL);
  g_autofree char *text = NULL;
  if (g_mkdir_with_parents (state, 0700) != 0 || g_access (state, R_OK | W_OK | X_OK) != 0)
    app->state_trouble =
        g_strdup_printf ("the state folder %s cannot be written: %s", state, g_strerror (errno));
  if (g_file_get_contents (path, &text, NULL, NULL) && g_uuid_string_is_valid (g_strstrip (text))) {
    app->uuid = g_steal_pointer (&text);
    return;
  }
  app->uuid = g_uuid_string_random ();
  g_autoptr (GError) error = NULL;
  if (!app->state_trouble && !g_file_set_contents (path, app->uuid, -1, &error))
    app->state_trouble = g_strdup (error->message);
  if (app->state_trouble)
    g_warning ("%s; nothing is kept over a restart. --state names another folder.",
               app->state_trouble);
}

static bool
make_recordings (App *app, GError **error)
{
  ProxyRecordingsOptions options = {
      .folder = app->config.recordings,
      .quota = app->config.recordings_quota,
      .catalog = app->catalog,
      .sessions = app->sessions,
      .sharing = &app->session_options,
      .done = on_recorded,
      .data = app,
  };
  app->recordings = proxy_recordings_new (&options, error);
  return app->recordings || !app->config.recordings;
}

static bool
make_core (App *app, GError **error)
{
  PeerEngineOptions options;
  peer_engine_options_init (&options);
  options.max_per_ip = app->config.max_per_ip;
  options.benign = app->config.benign_network;
  options.no_exchange = app->config.no_peer_exchange;
  net_peering_options (app->config.peering, &options);
  app->udp = net_udp_new (app->config.peer, &options, on_engine_event, app, error);
  if (!app->udp)
    return false;
  app->status = net_status_new (app->udp, app->config.peering);
  prepare_state (app);
  g_autofree char *database = g_build_filename (app->config.state, "catalog.sqlite", NULL);
  g_autofree char *folder = g_build_filename (app->config.state, "cache", NULL);
  /* A folder that cannot be had was told already; a catalog that is there can still be read. */
  bool lost = app->state_trouble && g_access (database, R_OK) != 0;
  app->catalog = proxy_catalog_open (lost ? NULL : database);
  app->cache = net_cache_new (folder, app->config.cache, "--cache");
  app->timeshift_folder = g_build_filename (app->config.state, "timeshift", NULL);
  proxy_shift_clean (app->timeshift_folder);
  app->session_options = (ProxySessionOptions){
      .udp = app->udp,
      .cache = app->cache,
      .memory = app->config.memory,
      .timeshift = app->state_trouble ? 0 : app->config.timeshift,
      .timeshift_folder = app->timeshift_folder,
      .recordings = app->config.recordings,
      .trackers = (const char *const *)app->config.trackers,
      .allow_plain_tracker = app->config.allow_plain_tracker,
      .credentials = app->config.credentials,
      .peering = app->config.peering,
  };
  app->sessions = proxy_sessions_new (&app->session_options, app->config.linger);
  app->library = proxy_library_new (app->catalog, app->sessions);
  app->warm = proxy_warm_new (app->catalog, app->sessions, app->config.warm);
  proxy_sessions_set_func (app->sessions, on_session_end, app);
  proxy_catalog_set_func (app->catalog, on_catalog, app);
  return make_recordings (app, error);
}

static bool
make_home (App *app, GError **error)
{
  app->quirks = dlna_quirks_new (app->config.renderers, error);
  if (!app->quirks)
    return false;
  app->server = soup_server_new ("server-header", "ppsp-proxy/" PPSP_VERSION, NULL);
  app->clients = dlna_clients_new (app->quirks);
  app->media =
      dlna_media_attach (app->server, DLNA_LIBRARY (app->library), app->quirks, app->clients);
  app->hls = proxy_hls_new (app->server, app->catalog, app->sessions);
  g_autofree char *logos = g_build_filename (app->config.state, "logos", NULL);
  app->logos = proxy_logos_new (app->server, app->catalog, app->state_trouble ? NULL : logos);
  uint32_t device_id = app->config.hdhomerun ? dlna_hdhomerun_id (app->uuid) : 0;
  ProxyHomeOptions options = {
      .config = &app->config,
      .server = app->server,
      .library = DLNA_LIBRARY (app->library),
      .quirks = app->quirks,
      .clients = app->clients,
      .uuid = app->uuid,
      .device_id = device_id,
  };
  app->home = proxy_home_new (&options, error);
  if (!app->home)
    return false;
  app->pause = proxy_pause_new (on_pause, app);
  app->guide = proxy_guide_new (app->catalog, (const char *const *)app->config.channels);
  app->programmes = proxy_programmes_new (app->catalog, NULL, NULL);
  proxy_library_set_programmes (app->library, app->programmes);
  proxy_guide_set_func (app->guide, on_list, app);
  ProxyTunerOptions tuner = {
      .server = app->server,
      .catalog = app->catalog,
      .programmes = app->programmes,
      .name = app->config.name,
      .device_id = device_id,
  };
  app->tuner = proxy_tuner_new (&tuner);
  ProxyParts web = {
      .server = app->server,
      .name = app->config.name,
      .catalog = app->catalog,
      .sessions = app->sessions,
      .guide = app->guide,
      .programmes = app->programmes,
      .recordings = app->recordings,
      .media = app->media,
      .clients = app->clients,
      .renderers = proxy_home_renderers (app->home),
      .hdhomerun = proxy_home_hdhomerun (app->home),
      .hls = app->hls,
      .listener = proxy_home_listener (app->home),
      .udp = app->udp,
      .cache = app->cache,
      .warnings = add_warnings,
      .media_server = media_server,
      .data = app,
  };
  app->web = proxy_web_new (&web);
  return true;
}

/* In the order in which each can still say goodbye: to the home, to the trackers, to the peers. */
static void
clear (App *app)
{
  g_clear_pointer (&app->web, proxy_web_free);
  g_clear_pointer (&app->tuner, proxy_tuner_free);
  g_clear_pointer (&app->guide, proxy_guide_free);
  if (app->library)
    proxy_library_set_programmes (app->library, NULL);
  g_clear_pointer (&app->programmes, proxy_programmes_free);
  g_clear_pointer (&app->pause, proxy_pause_free);
  g_clear_pointer (&app->home, proxy_home_free);
  g_clear_pointer (&app->media, dlna_media_free);
  g_clear_pointer (&app->clients, dlna_clients_free);
  g_clear_pointer (&app->quirks, dlna_quirks_free);
  g_clear_pointer (&app->hls, proxy_hls_free);
  g_clear_pointer (&app->logos, proxy_logos_free);
  if (app->server)
    soup_server_disconnect (app->server);
  g_clear_object (&app->server);
  g_clear_pointer (&app->warm, proxy_warm_free);
  g_clear_pointer (&app->recordings, proxy_recordings_free);
  if (app->sessions) {
    proxy_sessions_close (app->sessions);
    net_tracker_flush (FLUSH_MS);
    proxy_sessions_set_func (app->sessions, NULL, NULL);
  }
  if (app->catalog)
    proxy_catalog_set_func (app->catalog, NULL, NULL);
  g_clear_object (&app->library);
  g_clear_pointer (&app->sessions, proxy_sessions_unref);
  g_clear_pointer (&app->cache, net_cache_free);
  g_clear_pointer (&app->status, net_status_free);
  g_clear_pointer (&app->udp, net_udp_free);
  g_clear_pointer (&app->catalog, proxy_catalog_close);
  g_clear_pointer (&app->loop, g_main_loop_unref);
  g_free (app->timeshift_folder);
  g_free (app->uuid);
  g_free (app->state_trouble);
  proxy_config_clear (&app->config);
}

static void
set_up_process (const ProxyConfig *config)
{
  net_log_init ("ppsp-proxy");
  net_peering_log (config->peering);
  if (config->verbose) /* ours, not those of all libraries */
    g_setenv ("G_MESSAGES_DEBUG", "proxy dlna peer peer/net peer/tracker", FALSE);
  g_set_prgname ("ppsp-proxy");
  /* A desktop's settings and proxies are nothing to a gateway; the modules that know them cost a
   * megabyte and two threads. */
  g_setenv ("GIO_USE_PROXY_RESOLVER", "dummy", FALSE);
  g_setenv ("GSETTINGS_BACKEND", "memory", FALSE);
  g_setenv ("GIO_USE_VFS", "local", FALSE);
  /* One thread does the work; a second arena would only hold memory back. */
  mallopt (M_ARENA_MAX, 1);
  mallopt (M_TRIM_THRESHOLD, 256 * 1024);
}

static int
run (App *app)
{
  g_autoptr (GError) error = NULL;
  if (!make_core (app, &error) || !make_home (app, &error)) {
    fprintf (stderr, "ppsp-proxy: %s\n", error->message);
    return EXIT_FAILURE;
  }
  app->loop = g_main_loop_new (NULL, FALSE);
  guint signals[] = {g_unix_signal_add (SIGTERM, on_stop, app),
                     g_unix_signal_add (SIGINT, on_stop, app),
                     g_unix_signal_add (SIGHUP, on_reload, app)};
  g_message ("%u channels; the page is %s", proxy_catalog_list (app->catalog)->len,
             proxy_home_page (app->home));
  proxy_guide_reload (app->guide);
  g_main_loop_run (app->loop);
  g_message ("stopping");
  for (size_t i = 0; i < G_N_ELEMENTS (signals); i++)
    g_source_remove (signals[i]);
  return EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  App app = {.argc = argc, .argv = argv};
  g_autoptr (GError) error = NULL;
  setlocale (LC_ALL, "");
  switch (proxy_config_read (&app.config, argc, argv, &error)) {
  case PROXY_CONFIG_RUN:
    break;
  case PROXY_CONFIG_EXIT:
    return EXIT_SUCCESS;
  case PROXY_CONFIG_WRONG:
    fprintf (stderr, "ppsp-proxy: %s\n", error->message);
    return 2;
  }
  set_up_process (&app.config);
  int code = run (&app);
  clear (&app);
  return code;
}
