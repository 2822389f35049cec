/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trackerd/doors.h"

typedef struct {
  GMainContext *context; /* NULL = that of the thread that made it */
  GThread *thread;       /* likewise */
  gint closes;
  SoupServer *server;
  NetListener *listener;
} Door;

struct TrackerdDoors {
  unsigned n;
  uint16_t port;
  Door doors[];
};

/* Sources go to the context that is the thread's default one when they are made. */
static void
enter (const Door *door)
{
  if (door->context != NULL)
    g_main_context_push_thread_default (door->context);
}

static void
leave (const Door *door)
{
  if (door->context != NULL)
    g_main_context_pop_thread_default (door->context);
}

static gpointer
turn (gpointer data)
{
  Door *door = data;
  enter (door);
  while (!g_atomic_int_get (&door->closes))
    g_main_context_iteration (door->context, TRUE);
  leave (door);
  return NULL;
}

static bool
listen_at (TrackerdDoors *self, NetListener *listener, const char *const *addresses, GError **error)
{
  for (; *addresses != NULL; addresses++) {
    self->port = net_listener_add (listener, *addresses, error);
    if (self->port == 0)
      return false;
  }
  return true;
}

static bool
open_door (TrackerdDoors *self, const TrackerdDoorsOptions *options, GError **error)
{
  Door *door = &self->doors[self->n];
  if (self->n++ > 0)
    door->context = g_main_context_new ();
  enter (door);
  door->server = soup_server_new ("server-header", "ppsp-tracker", NULL);
  soup_server_add_handler (door->server, NULL, options->handle, options->data, NULL);
  door->listener = net_listener_new (door->server, options->limits);
  net_listener_ask_certificates (door->listener, options->ask_certificates);
  bool good = door->context == NULL
                  ? listen_at (self, door->listener, options->addresses, error)
                  : net_listener_share (door->listener, self->doors[0].listener, error);
  leave (door);
  return good;
}

static void
close_door (Door *door)
{
  if (door->thread != NULL) {
    g_atomic_int_set (&door->closes, 1);
    g_main_context_wakeup (door->context);
    g_thread_join (door->thread);
  }
  enter (door);
  net_listener_free (door->listener);
  soup_server_disconnect (door->server);
  g_object_unref (door->server);
  leave (door);
  g_clear_pointer (&door->context, g_main_context_unref);
}

TrackerdDoors *
trackerd_doors_new (const TrackerdDoorsOptions *options, GError **error)
{
  unsigned n = MAX (options->n, 1);
  g_autoptr (TrackerdDoors) self = g_malloc0 (sizeof *self + n * sizeof (Door));
  while (self->n < n)
    if (!open_door (self, options, error))
      return NULL;
  for (unsigned i = 1; i < n; i++)
    self->doors[i].thread = g_thread_new ("door", turn, &self->doors[i]);
  return g_steal_pointer (&self);
}

void
trackerd_doors_free (TrackerdDoors *self)
{
  for (unsigned i = 0; i < self->n; i++)
    close_door (&self->doors[i]);
  g_free (self);
}

uint16_t
trackerd_doors_port (const TrackerdDoors *self)
{
  return self->port;
}

NetListener *
trackerd_doors_listener (TrackerdDoors *self)
{
  return self->doors[0].listener;
}

void
trackerd_doors_set_certificate (TrackerdDoors *self, GTlsCertificate *certificate)
{
  for (unsigned i = 0; i < self->n; i++)
    net_listener_set_certificate (self->doors[i].listener, certificate);
}

void
trackerd_doors_ask_certificates (TrackerdDoors *self, bool ask)
{
  for (unsigned i = 0; i < self->n; i++)
    net_listener_ask_certificates (self->doors[i].listener, ask);
}
