/* SPDX-License-Identifier: Apache-2.0 */
/* A whole MediaServer over a library that the test scripts, for control points that are not ours:
 *
 *   serve [--port N] INTERFACE...
 *
 * Prints its addresses, and then takes commands, a line each: "touch ID", "rename NAME", "stats",
 * "told", "quit". */
#include "dlna/media.h"
#include "dlna/server.h"
#include "tests/dlna/fake-library.h"
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define UUID "6d2a6a0e-8f63-4a9c-9b53-0a6f3f6f3c11"

/* A listener in front of gupnp's server, as a program would put one there. */
typedef struct {
  SoupServer *server;
  GSocketService *service;
} Front;

static gboolean
on_incoming (GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  Front *self = data;
  g_autoptr (GSocketAddress) local = g_socket_connection_get_local_address (connection, NULL);
  g_autoptr (GSocketAddress) remote = g_socket_connection_get_remote_address (connection, NULL);

  if (remote != NULL && local != NULL)
    soup_server_accept_iostream (self->server, G_IO_STREAM (connection), local, remote, NULL);
  return TRUE;
}

static bool deaf;

static gpointer
put_in_front (SoupServer *server, const char *address, GError **why)
{
  if (deaf) {
    g_set_error (why, G_IO_ERROR, G_IO_ERROR_FAILED, "deaf on %s", address);
    return NULL;
  }
  Front *self = g_new0 (Front, 1);
  g_auto (GStrv) parts = g_strsplit (address, ":", 2);
  g_autoptr (GSocketAddress) where = g_inet_socket_address_new_from_string (
      parts[0], (guint)g_ascii_strtoull (parts[1], NULL, 10));
  g_autoptr (GError) error = NULL;

  soup_server_disconnect (server);
  self->server = g_object_ref (server);
  self->service = g_socket_service_new ();
  if (!g_socket_listener_add_address (G_SOCKET_LISTENER (self->service), where,
                                      G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL, NULL,
                                      &error))
    g_error ("%s: %s", address, error->message);
  g_signal_connect (self->service, "incoming", G_CALLBACK (on_incoming), self);
  return self;
}

static void
take_away (gpointer data)
{
  Front *self = data;

  g_socket_service_stop (self->service);
  g_socket_listener_close (G_SOCKET_LISTENER (self->service));
  g_object_unref (self->service);
  g_object_unref (self->server);
  g_free (self);
}

typedef struct {
  GMainLoop *loop;
  FakeLibrary *library;
  DlnaServer *server;
  char **interfaces;
} Serve;

static void
fill (FakeLibrary *library)
{
  DlnaItem *film = fake_library_film ("film", "A film", 1000000);

  fake_library_add (library, fake_library_folder ("live", "Live & \"kicking\""));
  film->duration = INT64_C (3600) * G_USEC_PER_SEC;
  fake_library_add (library, film);
  for (int i = 1; i <= 1000; i++) {
    g_autofree char *id = g_strdup_printf ("channel-%d", i);
    g_autofree char *title = g_strdup_printf ("Channel & %d", 1001 - i);
    DlnaItem *item = fake_library_channel (id, title, i);
    g_free (item->parent_id);
    item->parent_id = g_strdup ("live");
    item->video_codec = g_strdup ("h264");
    item->audio_codec = g_strdup ("ac3");
    item->video_profile = 100;
    item->width = 1920;
    item->height = 1080;
    fake_library_add (library, item);
  }
}

static void
print_locations (Serve *self)
{
  for (size_t i = 0; self->interfaces[i] != NULL; i++) {
    g_autofree char *location = dlna_server_location (self->server, self->interfaces[i]);
    printf ("%s %s\n", self->interfaces[i], location != NULL ? location : "-");
  }
}

static gboolean
on_command (GIOChannel *channel, GIOCondition condition, gpointer data)
{
  Serve *self = data;
  g_autofree char *line = NULL;
  DlnaServerStats stats;

  if (g_io_channel_read_line (channel, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
    g_main_loop_quit (self->loop);
    return G_SOURCE_REMOVE;
  }
  g_strstrip (line);
  if (g_str_has_prefix (line, "touch ")) {
    fake_library_touch (self->library, line + strlen ("touch "));
    printf ("touched\n");
  } else if (strcmp (line, "stats") == 0) {
    dlna_server_stats (self->server, &stats);
    printf ("far=%" G_GUINT64_FORMAT " hosts=%" G_GUINT64_FORMAT " bodies=%" G_GUINT64_FORMAT
            " actions=%" G_GUINT64_FORMAT " callbacks=%" G_GUINT64_FORMAT " many=%" G_GUINT64_FORMAT
            " subscriptions=%u interfaces=%u\n",
            stats.far_clients, stats.wrong_hosts, stats.large_bodies, stats.bad_actions,
            stats.bad_callbacks, stats.many_subscriptions, stats.subscriptions, stats.interfaces);
  } else if (strcmp (line, "told") == 0) {
    const char *told = fake_library_told (self->library);
    printf ("%s\n", told != NULL ? told : "-");
  } else if (strcmp (line, "locations") == 0) {
    print_locations (self);
  } else if (strcmp (line, "deaf") == 0) {
    printf ("%s\n", (deaf = !deaf) ? "deaf" : "hears");
  } else if (strcmp (line, "quit") == 0) {
    g_main_loop_quit (self->loop);
  }
  fflush (stdout);
  return G_SOURCE_CONTINUE;
}

/* Feeds the channels 40 times a second, so that who fetches one gets bytes. */
static gboolean
on_tick (gpointer data)
{
  Serve *self = data;
  g_autoptr (GBytes) bytes = g_bytes_new_take (g_malloc0 (18800), 18800);

  if (fake_library_streams (self->library) > 0)
    fake_library_push (self->library, bytes);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GIOChannel) input = g_io_channel_unix_new (0);
  g_autoptr (SoupServer) soup = soup_server_new (NULL, NULL);
  g_autoptr (DlnaMedia) media = NULL;
  Serve self = {.loop = g_main_loop_new (NULL, FALSE), .interfaces = argv + 1};
  DlnaServerOptions options = {.friendly_name = "Test & <TV>",
                               .uuid = UUID,
                               .hook = put_in_front,
                               .hook_destroy = take_away};
  GSList *uris;

  if (argc > 2 && strcmp (argv[1], "--port") == 0) {
    options.port = (uint16_t)g_ascii_strtoull (argv[2], NULL, 10);
    self.interfaces = argv + 3;
  }
  self.library = fake_library_new ();
  fill (self.library);
  if (!soup_server_listen_all (soup, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, &error)) {
    fprintf (stderr, "%s\n", error->message);
    return 1;
  }
  uris = soup_server_get_uris (soup);
  options.media_port = (uint16_t)g_uri_get_port (uris->data);
  g_slist_free_full (uris, (GDestroyNotify)g_uri_unref);
  media = dlna_media_attach (soup, DLNA_LIBRARY (self.library), NULL, NULL);
  options.library = DLNA_LIBRARY (self.library);
  options.interfaces = (const char *const *)self.interfaces;
  self.server = dlna_server_new (&options, &error);
  if (self.server == NULL) {
    fprintf (stderr, "%s\n", error->message);
    return 1;
  }
  print_locations (&self);
  printf ("media %u\n", options.media_port);
  fflush (stdout);
  g_io_add_watch (input, G_IO_IN | G_IO_HUP, on_command, &self);
  g_timeout_add (25, on_tick, &self);
  g_main_loop_run (self.loop);
  dlna_server_free (self.server);
  g_main_loop_unref (self.loop);
  g_clear_pointer (&media, dlna_media_free);
  g_object_unref (self.library);
  return 0;
}
