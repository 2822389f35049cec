/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/renderers.h"
#include "dlna/discovery.h"
#include "dlna/soap.h"
#include <string.h>

#define TARGET "urn:schemas-upnp-org:device:MediaRenderer:1"
#define MAX_RENDERERS 32
#define MAX_PER_HOST 8
#define SEARCH_US (60 * G_USEC_PER_SEC)
#define SEARCH_MISSED_US (5 * G_USEC_PER_SEC) /* while one is away that should play */
#define SEARCH_ASKED_US (10 * G_USEC_PER_SEC)
#define EVENT_PATH "/event/"

typedef struct {
  DlnaRenderers *renderers;
  char *interface;
  DlnaDiscovery *discovery; /* NULL = not there now */
  bool told;                /* that it cannot be had */
} Watch;

struct DlnaRenderers {
  SoupServer *server;
  DlnaRendererHouse house;
  GPtrArray *watches;   /* Watch */
  GPtrArray *renderers; /* DlnaRenderer */
  int64_t searched;
  guint tick;
};

static void
watch_free (gpointer data)
{
  Watch *watch = data;

  dlna_discovery_free (watch->discovery);
  g_free (watch->interface);
  g_free (watch);
}

static void
renderer_free (gpointer data)
{
  dlna_renderer_free (data);
}

/* --- who is there --- */

static DlnaRenderer *
find (const DlnaRenderers *self, const char *udn)
{
  for (guint i = 0; i < self->renderers->len; i++) {
    DlnaRendererStatus status;
    dlna_renderer_status (self->renderers->pdata[i], &status);
    if (strcmp (status.udn, udn) == 0)
      return self->renderers->pdata[i];
  }
  return NULL;
}

static bool
is_at (const DlnaRenderer *renderer, const char *ip)
{
  DlnaRendererStatus status;

  dlna_renderer_status (renderer, &status);
  return g_strcmp0 (status.ip, ip) == 0;
}

/* For one more at ip, by whoever was heard of longest ago, is away, and has nothing to play: of those there,
 * if they are many. */
static bool
make_room (DlnaRenderers *self, const char *ip)
{
  DlnaRenderer *oldest = NULL;
  unsigned there = 0;

  for (guint i = 0; i < self->renderers->len; i++)
    there += is_at (self->renderers->pdata[i], ip);
  if (self->renderers->len < MAX_RENDERERS && there < MAX_PER_HOST)
    return true;
  for (guint i = 0; i < self->renderers->len; i++) {
    DlnaRenderer *renderer = self->renderers->pdata[i];
    DlnaRendererStatus status;
    dlna_renderer_status (renderer, &status);
    if (status.state == DLNA_RENDERER_AWAY && status.item_id == NULL &&
        (there < MAX_PER_HOST || is_at (renderer, ip)) &&
        (oldest == NULL || dlna_renderer_last_seen (renderer) < dlna_renderer_last_seen (oldest)))
      oldest = renderer;
  }
  return oldest != NULL && g_ptr_array_remove (self->renderers, oldest);
}

static bool
is_address_of_ours (const DlnaRenderers *self, const char *ip)
{
  for (guint i = 0; i < self->watches->len; i++) {
    const Watch *watch = self->watches->pdata[i];
    if (watch->discovery != NULL && strcmp (dlna_discovery_link (watch->discovery)->ip, ip) == 0)
      return true;
  }
  return false;
}

static void
on_found (const char *udn, const char *location, const char *ip, gpointer data)
{
  Watch *watch = data;
  DlnaRenderers *self = watch->renderers;
  DlnaRenderer *renderer = find (self, udn);
  DlnaRendererStatus status;

  if (renderer == NULL && location != NULL && make_room (self, ip)) {
    renderer = dlna_renderer_new (&self->house, udn);
    g_ptr_array_add (self->renderers, renderer);
  }
  if (renderer == NULL)
    return;
  dlna_renderer_status (renderer, &status);
  if (location != NULL) {
    /* Two interfaces of one network both hear it: it keeps the address of ours that it knows. */
    bool known =
        g_strcmp0 (status.location, location) == 0 && is_address_of_ours (self, status.here);
    dlna_renderer_seen (renderer, location, ip,
                        known ? status.here : dlna_discovery_link (watch->discovery)->ip);
  } else if (is_at (renderer, ip)) { /* nobody says goodbye for another */
    dlna_renderer_gone (renderer);
  }
}

static void
search (DlnaRenderers *self)
{
  self->searched = g_get_monotonic_time ();
  for (guint i = 0; i < self->watches->len; i++) {
    Watch *watch = self->watches->pdata[i];
    if (watch->discovery != NULL)
      dlna_discovery_search (watch->discovery);
  }
}

void
dlna_renderers_search (DlnaRenderers *self)
{
  if (g_get_monotonic_time () - self->searched > SEARCH_ASKED_US)
    search (self);
}

static gboolean
on_tick (gpointer data)
{
  DlnaRenderers *self = data;
  int64_t pause = SEARCH_US;

  for (guint i = 0; i < self->renderers->len; i++) {
    dlna_renderer_tick (self->renderers->pdata[i]);
    if (dlna_renderer_is_missed (self->renderers->pdata[i]))
      pause = SEARCH_MISSED_US;
  }
  if (g_get_monotonic_time () - self->searched > pause)
    search (self);
  return G_SOURCE_CONTINUE;
}

/* --- where to look --- */

static void
look (Watch *watch)
{
  g_autoptr (GError) error = NULL;
  DlnaLink link;

  dlna_links_find (watch->interface, &link);
  if (watch->discovery != NULL && dlna_link_is (&link, dlna_discovery_link (watch->discovery)))
    return;
  g_clear_pointer (&watch->discovery, dlna_discovery_free);
  if (link.index == 0)
    return;
  watch->discovery = dlna_discovery_new (watch->interface, &link, TARGET, on_found, watch, &error);
  if (watch->discovery == NULL && !watch->told)
    g_log_structured ("dlna", G_LOG_LEVEL_MESSAGE, "MESSAGE", "%s", error->message);
  watch->told = watch->discovery == NULL;
}

void
dlna_renderers_follow (DlnaRenderers *self, const char *const *interfaces)
{
  for (guint i = self->watches->len; i > 0; i--) {
    Watch *watch = self->watches->pdata[i - 1];
    if (!g_strv_contains (interfaces, watch->interface))
      g_ptr_array_remove_index (self->watches, i - 1);
  }
  for (size_t i = 0; interfaces[i] != NULL; i++) {
    bool known = false;
    for (guint w = 0; w < self->watches->len; w++)
      known |= strcmp (((Watch *)self->watches->pdata[w])->interface, interfaces[i]) == 0;
    if (!known) {
      Watch *watch = g_new0 (Watch, 1);
      watch->renderers = self;
      watch->interface = g_strdup (interfaces[i]);
      g_ptr_array_add (self->watches, watch);
    }
  }
  for (guint w = 0; w < self->watches->len; w++)
    look (self->watches->pdata[w]);
}

/* --- what they say --- */

static void
on_event (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
          gpointer data)
{
  DlnaRenderers *self = data;
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *token = path + strlen (EVENT_PATH);
  g_autoptr (GBytes) body =
      soup_message_body_flatten (soup_server_message_get_request_body (message));
  gsize n = 0;
  const char *text = body != NULL ? g_bytes_get_data (body, &n) : NULL;
  guint status = SOUP_STATUS_NOT_FOUND;

  if (strcmp (soup_server_message_get_method (message), "NOTIFY") != 0) {
    soup_server_message_set_status (message, SOUP_STATUS_METHOD_NOT_ALLOWED, NULL);
    return;
  }
  for (guint i = 0; i < self->renderers->len && status == SOUP_STATUS_NOT_FOUND; i++) {
    DlnaRenderer *renderer = self->renderers->pdata[i];
    if (strcmp (dlna_renderer_token (renderer), token) == 0)
      status = dlna_renderer_event (renderer, soup_server_message_get_remote_host (message),
                                    soup_message_headers_get_one (headers, "SID"), text, n);
  }
  soup_server_message_set_status (message, status, NULL);
}

/* --- the face --- */

DlnaRenderers *
dlna_renderers_new (SoupServer *server, uint16_t media_port, DlnaLibrary *library,
                    const DlnaQuirks *quirks)
{
  DlnaRenderers *self = g_new0 (DlnaRenderers, 1);

  self->server = g_object_ref (server);
  self->house.session = dlna_soap_session_new ();
  self->house.library = g_object_ref (library);
  self->house.quirks = quirks;
  self->house.media_port = media_port;
  self->watches = g_ptr_array_new_with_free_func (watch_free);
  self->renderers = g_ptr_array_new_with_free_func (renderer_free);
  self->searched = g_get_monotonic_time ();
  self->tick = g_timeout_add_seconds (1, on_tick, self);
  soup_server_add_handler (server, EVENT_PATH, on_event, self, NULL);
  return self;
}

void
dlna_renderers_free (DlnaRenderers *self)
{
  if (self == NULL)
    return;
  soup_server_remove_handler (self->server, EVENT_PATH);
  g_source_remove (self->tick);
  g_ptr_array_unref (self->watches);
  g_ptr_array_unref (self->renderers);
  soup_session_abort (self->house.session);
  g_object_unref (self->house.session);
  g_object_unref (self->house.library);
  g_object_unref (self->server);
  g_free (self);
}

/* The i-th that can be shown, or NULL; counts them. */
static DlnaRenderer *
shown (const DlnaRenderers *self, unsigned wanted, unsigned *n)
{
  *n = 0;
  for (guint i = 0; i < self->renderers->len; i++) {
    DlnaRendererStatus status;
    dlna_renderer_status (self->renderers->pdata[i], &status);
    if (status.described && (*n)++ == wanted)
      return self->renderers->pdata[i];
  }
  return NULL;
}

unsigned
dlna_renderers_n (const DlnaRenderers *self)
{
  unsigned n;

  (void)shown (self, G_MAXUINT, &n);
  return n;
}

void
dlna_renderers_status (const DlnaRenderers *self, unsigned i, DlnaRendererStatus *out)
{
  unsigned n;

  dlna_renderer_status (shown (self, i, &n), out);
}

bool
dlna_renderers_play (DlnaRenderers *self, const char *udn, const char *item_id)
{
  DlnaRenderer *renderer = find (self, udn);

  if (renderer != NULL)
    dlna_renderer_play (renderer, item_id);
  return renderer != NULL;
}

bool
dlna_renderers_stop (DlnaRenderers *self, const char *udn)
{
  DlnaRenderer *renderer = find (self, udn);

  if (renderer != NULL)
    dlna_renderer_stop (renderer);
  return renderer != NULL;
}
