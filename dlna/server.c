/* SPDX-License-Identifier: Apache-2.0 */
/* One face for each interface: a context, a root device, its services.
 *
 * Contexts are made by hand. GUPnPContextManager opens ports on interfaces that it was told to leave
 * alone, and a context of its that has seen its link go down never answers again. So we watch the
 * links ourselves:
 *
 *   no address yet           wait for one
 *   address or index new     make the face anew
 *   address taken away       take the face down
 *   link down and up again   announce anew: who was on that link has missed us
 *   the face cannot be made  try again, less and less often
 */

#include "dlna/server.h"
#include "dlna/connection-manager.h"
#include "dlna/content-directory.h"
#include "dlna/folder.h"
#include "dlna/guard.h"
#include "dlna/links.h"
#include "dlna/registrar.h"
#include <libgupnp/gupnp.h>
#include <string.h>

#define MIN_RETRY_MS 1000
#define MAX_RETRY_MS 30000

typedef struct {
  DlnaServer *server;
  char *name;
  DlnaLink link; /* of the face as it stands */
  bool flapped, lost;
  guint retry, retry_ms;
  GUPnPContext *context; /* NULL = there is no face now */
  GUPnPRootDevice *device;
  GUPnPServiceInfo *services[3];
  DlnaFolder *folder;
  DlnaGuard *guard;
  DlnaContentDirectory *directory;
  gpointer hooked;
} Face;

struct DlnaServer {
  DlnaLibrary *library;
  const DlnaQuirks *quirks;
  DlnaClients *clients; /* or NULL */
  char *friendly_name, *uuid;
  uint16_t port, media_port;
  DlnaServerHook hook;
  GDestroyNotify hook_destroy;
  GPtrArray *faces; /* Face */
  DlnaLinks *links;
  DlnaGuardStats past; /* of faces that are gone */
};

static const char *const service_types[] = {
    "urn:schemas-upnp-org:service:ContentDirectory:1",
    "urn:schemas-upnp-org:service:ConnectionManager:1",
    "urn:microsoft.com:service:X_MS_MediaReceiverRegistrar:1",
};

/* All that our services have. */
static const char *const actions[] = {"Browse",
                                      "Search",
                                      "GetSearchCapabilities",
                                      "GetSortCapabilities",
                                      "GetSystemUpdateID",
                                      "X_GetFeatureList",
                                      "X_SetBookmark",
                                      "GetProtocolInfo",
                                      "GetCurrentConnectionIDs",
                                      "GetCurrentConnectionInfo",
                                      "IsAuthorized",
                                      "IsValidated",
                                      "QueryStateVariable",
                                      NULL};

/* What somebody on the LAN sends may not fill the log: both libraries warn of each packet that they
 * do not like. What matters to the owner comes back as a GError. */
static void
on_library_warning (const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
  g_log_structured ("dlna", G_LOG_LEVEL_DEBUG, "MESSAGE", "%s: %s",
                    domain != NULL ? domain : "gssdp", message);
}

static void
quieten_libraries (void)
{
  /* gssdp logs from some of its files without a domain; ours have one. */
  static const char *const domains[] = {
      NULL,
      "gssdp",
      "gssdp-client",
      "gssdp-net",
      "gupnp",
      "gupnp-acl",
      "gupnp-context",
      "gupnp-device",
      "gupnp-service",
      "gupnp-xml-doc",
      "gupnp-root-device",
      "gupnp-service-proxy",
  };
  static gsize once;

  if (!g_once_init_enter (&once))
    return;
  for (size_t i = 0; i < G_N_ELEMENTS (domains); i++)
    g_log_set_handler (domains[i], G_LOG_LEVEL_WARNING, on_library_warning, NULL);
  g_once_init_leave (&once, 1);
}

static bool
is_near (GInetSocketAddress *remote, gpointer data)
{
  return gssdp_client_can_reach (GSSDP_CLIENT (data), remote);
}

static void
face_down (Face *face)
{
  DlnaServer *server = face->server;

  if (face->context == NULL)
    return;
  if (server->clients != NULL) /* a message may outlive both */
    g_signal_handlers_disconnect_by_data (gupnp_context_get_server (face->context),
                                          server->clients);
  if (face->guard != NULL) {
    dlna_guard_stats (face->guard, &server->past);
    server->past.subscriptions = 0;
  }
  g_clear_pointer (&face->directory, dlna_content_directory_free);
  for (size_t i = 0; i < G_N_ELEMENTS (face->services); i++)
    g_clear_object (&face->services[i]);
  g_clear_object (&face->device); /* while it is available: this says byebye */
  g_clear_pointer (&face->guard, dlna_guard_free);
  if (face->hooked != NULL && server->hook_destroy != NULL)
    server->hook_destroy (face->hooked);
  face->hooked = NULL;
  g_clear_object (&face->context);
  g_clear_pointer (&face->folder, dlna_folder_free);
}

static bool
make_context (Face *face, const DlnaLink *link, GError **error)
{
  DlnaServer *server = face->server;
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (link->ip);
  g_autofree char *where = NULL;
  SoupServer *soup;
  DlnaGuardOptions guard = {.actions = actions, .is_near = is_near};

  face->context =
      gupnp_context_new_full (face->name, address, server->port, GSSDP_UDA_VERSION_1_0, error);
  if (face->context == NULL) {
    g_prefix_error (error, "cannot serve the MediaServer on %s (%s), port %u; is the port in use? ",
                    face->name, link->ip, server->port);
    return false;
  }
  soup = gupnp_context_get_server (face->context);
  if (soup == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE,
                 "cannot listen on %s (%s) for the MediaServer", face->name, link->ip);
    return false;
  }
  where = g_strdup_printf ("%s:%u", link->ip, gupnp_context_get_port (face->context));
  guard.address = where;
  guard.data = face->context;
  face->guard = dlna_guard_new (soup, &guard);
  if (server->clients != NULL)
    dlna_clients_watch (server->clients, soup);
  if (server->hook != NULL)
    face->hooked = server->hook (soup, where, error);
  return server->hook == NULL || face->hooked != NULL;
}

static bool
make_services (Face *face, const char *base, GError **error)
{
  for (size_t i = 0; i < G_N_ELEMENTS (face->services); i++) {
    face->services[i] =
        gupnp_device_info_get_service (GUPNP_DEVICE_INFO (face->device), service_types[i]);
    if (face->services[i] == NULL) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "the description has no service %s",
                   service_types[i]);
      return false;
    }
  }
  face->directory = dlna_content_directory_new (GUPNP_SERVICE (face->services[0]),
                                                face->server->library, face->server->quirks, base);
  dlna_connection_manager_serve (GUPNP_SERVICE (face->services[1]));
  dlna_registrar_serve (GUPNP_SERVICE (face->services[2]));
  return true;
}

static bool
make_face (Face *face, const DlnaLink *link, GError **error)
{
  DlnaServer *server = face->server;
  g_autofree char *base = g_strdup_printf ("http://%s:%u", link->ip, server->media_port);
  g_autofree char *page = g_strconcat (base, "/", NULL);

  if (!make_context (face, link, error))
    return false;
  face->folder = dlna_folder_new (server->friendly_name, server->uuid, page, error);
  if (face->folder == NULL)
    return false;
  face->device =
      gupnp_root_device_new (face->context, "device.xml", dlna_folder_path (face->folder), error);
  if (face->device == NULL || !make_services (face, base, error))
    return false;
  gupnp_root_device_set_available (face->device, TRUE);
  face->link = *link;
  g_log_structured ("dlna", G_LOG_LEVEL_MESSAGE, "MESSAGE",
                    "MediaServer \"%s\" announced on %s (%s:%u)", server->friendly_name, face->name,
                    link->ip, gupnp_context_get_port (face->context));
  return true;
}

static bool
face_up (Face *face, const DlnaLink *link, GError **error)
{
  g_autoptr (GError) reason = NULL;

  if (make_face (face, link, &reason))
    return true;
  face_down (face);
  if (reason != NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  else /* the library does not always say */
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot announce the MediaServer on %s (%s)",
                 face->name, link->ip);
  return false;
}

static void look (Face *face);

static gboolean
on_retry (gpointer data)
{
  Face *face = data;

  face->retry = 0;
  look (face);
  return G_SOURCE_REMOVE;
}

static void
retry_later (Face *face, const GError *error)
{
  if (face->retry_ms == 0) {
    face->retry_ms = MIN_RETRY_MS; /* told once, not at each try */
    g_log_structured ("dlna", G_LOG_LEVEL_WARNING, "MESSAGE", "%s; trying again", error->message);
  } else {
    face->retry_ms = MIN (face->retry_ms * 2, MAX_RETRY_MS);
  }
  if (face->retry == 0)
    face->retry = g_timeout_add (face->retry_ms, on_retry, face);
}

/* Makes the face what the link now asks for. */
static void
look (Face *face)
{
  g_autoptr (GError) error = NULL;
  DlnaLink link;

  dlna_links_find (face->name, &link);
  if (face->context != NULL &&
      (face->lost || (link.index != 0 && !dlna_link_is (&link, &face->link))))
    face_down (face);
  face->lost = false;
  if (link.index == 0)
    return; /* with a face that is only down: it keeps its sockets and waits */
  if (face->context == NULL) {
    if (face_up (face, &link, &error))
      face->retry_ms = 0;
    else
      retry_later (face, error);
  } else if (face->flapped) {
    gupnp_root_device_set_available (face->device, FALSE);
    gupnp_root_device_set_available (face->device, TRUE);
  }
  face->flapped = false;
}

static void
on_down (unsigned index, bool address_lost, gpointer data)
{
  DlnaServer *self = data;

  for (guint i = 0; i < self->faces->len; i++) {
    Face *face = g_ptr_array_index (self->faces, i);
    if (face->context == NULL || face->link.index != index)
      continue;
    if (address_lost)
      face->lost = true;
    else
      face->flapped = true;
  }
}

static void
on_links_changed (gpointer data)
{
  DlnaServer *self = data;

  for (guint i = 0; i < self->faces->len; i++)
    look (g_ptr_array_index (self->faces, i));
}

void
dlna_server_announce (DlnaServer *self)
{
  for (guint i = 0; i < self->faces->len; i++)
    ((Face *)g_ptr_array_index (self->faces, i))->flapped = true;
  on_links_changed (self);
}

static void
face_free (gpointer data)
{
  Face *face = data;

  if (face->retry != 0)
    g_source_remove (face->retry);
  face_down (face);
  g_free (face->name);
  g_free (face);
}

/* A face that cannot be made now is tried again, but for those that the program begins with. */
static bool
add_face (DlnaServer *self, const char *interface, GError **error)
{
  Face *face = g_new0 (Face, 1);
  DlnaLink link;

  face->server = self;
  face->name = g_strdup (interface);
  g_ptr_array_add (self->faces, face);
  dlna_links_find (face->name, &link);
  if (link.index != 0)
    return face_up (face, &link, error);
  g_log_structured ("dlna", G_LOG_LEVEL_MESSAGE, "MESSAGE",
                    "%s is down or has no IPv4 address; the MediaServer will be announced there "
                    "when it has one",
                    face->name);
  return true;
}

static bool
add_faces (DlnaServer *self, const char *const *interfaces, GError **error)
{
  for (size_t i = 0; interfaces[i] != NULL; i++)
    if (!add_face (self, interfaces[i], error))
      return false;
  return true;
}

static Face *
find_face (DlnaServer *self, const char *interface)
{
  for (guint i = 0; i < self->faces->len; i++) {
    Face *face = g_ptr_array_index (self->faces, i);
    if (strcmp (face->name, interface) == 0)
      return face;
  }
  return NULL;
}

void
dlna_server_follow (DlnaServer *self, const char *const *interfaces)
{
  for (guint i = self->faces->len; i > 0; i--) {
    Face *face = g_ptr_array_index (self->faces, i - 1);
    if (!g_strv_contains (interfaces, face->name))
      g_ptr_array_remove_index (self->faces, i - 1);
  }
  for (size_t i = 0; interfaces[i] != NULL; i++) {
    g_autoptr (GError) error = NULL;
    if (find_face (self, interfaces[i]) == NULL && !add_face (self, interfaces[i], &error))
      retry_later (find_face (self, interfaces[i]), error);
  }
}

DlnaServer *
dlna_server_new (const DlnaServerOptions *options, GError **error)
{
  static const DlnaLinksHandler handler = {on_down, on_links_changed};
  g_autoptr (DlnaServer) self = NULL;

  g_return_val_if_fail (options->library != NULL && options->interfaces != NULL, NULL);
  if (options->uuid == NULL || !g_uuid_string_is_valid (options->uuid)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "the MediaServer's UUID \"%s\" is not one", options->uuid ? options->uuid : "");
    return NULL;
  }
  quieten_libraries ();
  self = g_new0 (DlnaServer, 1);
  self->library = g_object_ref (options->library);
  self->quirks = options->quirks;
  self->clients = options->clients;
  self->friendly_name = g_strdup (options->friendly_name != NULL ? options->friendly_name : "PPSP");
  self->uuid = g_strdup (options->uuid);
  self->port = options->port;
  self->media_port = options->media_port;
  self->hook = options->hook;
  self->hook_destroy = options->hook_destroy;
  self->faces = g_ptr_array_new_with_free_func (face_free);
  self->links = dlna_links_new (&handler, self, error);
  if (self->links == NULL || !add_faces (self, options->interfaces, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
dlna_server_free (DlnaServer *self)
{
  if (self == NULL)
    return;
  dlna_links_free (self->links);
  g_ptr_array_unref (self->faces);
  g_object_unref (self->library);
  g_free (self->friendly_name);
  g_free (self->uuid);
  g_free (self);
}

void
dlna_server_stats (DlnaServer *self, DlnaServerStats *out)
{
  DlnaGuardStats sum = self->past;
  unsigned interfaces = 0;

  for (guint i = 0; i < self->faces->len; i++) {
    Face *face = g_ptr_array_index (self->faces, i);
    if (face->context == NULL)
      continue;
    dlna_guard_stats (face->guard, &sum);
    interfaces++;
  }
  *out = (DlnaServerStats){.far_clients = sum.far,
                           .wrong_hosts = sum.wrong_host,
                           .large_bodies = sum.too_large,
                           .bad_actions = sum.bad_action,
                           .bad_callbacks = sum.bad_callback,
                           .many_subscriptions = sum.too_many_subscriptions,
                           .subscriptions = sum.subscriptions,
                           .interfaces = interfaces};
}

char *
dlna_server_location (DlnaServer *self, const char *interface)
{
  Face *face = find_face (self, interface);

  return face != NULL && face->context != NULL
             ? g_strdup (gupnp_device_info_get_location (GUPNP_DEVICE_INFO (face->device)))
             : NULL;
}
