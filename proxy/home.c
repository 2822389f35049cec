/* SPDX-License-Identifier: Apache-2.0 */
/* A router starts us before its interfaces have their addresses, gets others from time to time, and
 * nobody is there to restart us. So when the kernel tells of a change, and every few seconds besides,
 * the addresses are compared with those that we serve; that costs some 50 us, and a notification that
 * was lost costs no more than the wait. */
#include "proxy/home.h"
#include "dlna/links.h"
#include "proxy/interfaces.h"
#include "proxy/sessions.h"
#include <gio/gio.h>
#include <string.h>

enum { LOOK_S = 5 };

struct ProxyHome {
  ProxyHomeOptions with;
  NetListener *listener;
  uint16_t port;
  GHashTable *served;  /* ADDR:PORT that we listen on */
  GHashTable *refused; /* ADDR:PORT that could not be had, told already */
  char *host_local;
  DlnaServer *dlna;
  DlnaRenderers *renderers;
  DlnaHdhomerun *hdhomerun; /* NULL = we are no tuner */
  char *dlna_error;
  char *page;
  bool alone;  /* no interface of a home was found */
  bool router; /* there was a home's interface besides that of the default route */
  DlnaLinks *links;
  guint look;
};

static void
add_address (GPtrArray *out, const char *ip, uint16_t port)
{
  g_ptr_array_add (out, strchr (ip, ':') ? g_strdup_printf ("[%s]:%u", ip, port)
                                         : g_strdup_printf ("%s:%u", ip, port));
}

/* Loopback, and the home's addresses. */
static GPtrArray *
wanted_addresses (const ProxyHome *self, const GPtrArray *all, const GPtrArray *chosen)
{
  GPtrArray *wanted = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < all->len; i++) {
    const ProxyInterface *interface = all->pdata[i];
    if (interface->loopback &&
        (g_str_equal (interface->ip, "127.0.0.1") || g_str_equal (interface->ip, "::1")))
      add_address (wanted, interface->ip, self->port);
  }
  for (guint i = 0; i < chosen->len; i++) {
    const ProxyInterface *interface = chosen->pdata[i];
    if (!interface->loopback)
      add_address (wanted, interface->ip, self->port);
  }
  return wanted;
}

static bool
listen_on (ProxyHome *self, const char *address, GError **error)
{
  uint16_t port = net_listener_add (self->listener, address, error);
  if (port == 0)
    return false;
  if (self->port == 0)
    self->port = port;
  g_hash_table_add (self->served, g_strdup (address));
  g_hash_table_remove (self->refused, address);
  return true;
}

static gboolean
is_unwanted (gpointer address, gpointer unused, gpointer wanted)
{
  return !g_ptr_array_find_with_equal_func (wanted, address, g_str_equal, NULL);
}

static void
follow_addresses (ProxyHome *self, GPtrArray *wanted)
{
  GHashTableIter iter;
  gpointer key;
  g_hash_table_foreach_remove (self->refused, is_unwanted, wanted);
  g_hash_table_iter_init (&iter, self->served);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    if (!is_unwanted (key, NULL, wanted))
      continue;
    g_message ("no longer on %s: the address has gone", (const char *)key);
    net_listener_remove (self->listener, key);
    g_hash_table_iter_remove (&iter);
  }
  for (guint i = 0; i < wanted->len; i++) {
    const char *address = wanted->pdata[i];
    g_autoptr (GError) error = NULL;
    if (g_hash_table_contains (self->served, address))
      continue;
    if (listen_on (self, address, &error))
      g_message ("also on http://%s/", address);
    else if (g_hash_table_add (self->refused, g_strdup (address)))
      g_message ("cannot serve the home on %s (tried again every %d s): %s", address, LOOK_S,
                 error->message);
  }
}

/* --- the MediaServer --- */

static gpointer
on_server (SoupServer *server, const char *address, GError **error)
{
  /* Whom it may be called by the MediaServer checks, and counts. */
  NetListenerOptions options = {.max_connections = 64, .max_per_ip = 16};
  soup_server_disconnect (server); /* its own listener stops for good at the first failed accept */
  NetListener *listener = net_listener_new (server, &options);
  if (net_listener_add (listener, address, error) == 0)
    g_clear_pointer (&listener, net_listener_free);
  return listener;
}

static void
free_listener (gpointer data)
{
  net_listener_free (data);
}

/* Where to announce: the operator's interfaces, whatever addresses they have now, else the home's. */
static GPtrArray *
interface_names (const ProxyHome *self, const GPtrArray *chosen)
{
  char **wanted = self->with.config->interfaces;
  GPtrArray *names = g_ptr_array_new ();
  for (size_t i = 0; wanted && wanted[i]; i++)
    g_ptr_array_add (names, wanted[i]);
  for (guint i = 0; i < chosen->len && !wanted; i++) {
    char *name = ((const ProxyInterface *)chosen->pdata[i])->name;
    if (!g_ptr_array_find_with_equal_func (names, name, g_str_equal, NULL))
      g_ptr_array_add (names, name);
  }
  if (names->len == 0)
    g_ptr_array_add (names, (char *)"lo");
  g_ptr_array_add (names, NULL);
  return names;
}

static void
follow_interfaces (ProxyHome *self, const GPtrArray *chosen)
{
  g_autoptr (GPtrArray) names = interface_names (self, chosen);
  dlna_renderers_follow (self->renderers, (const char *const *)names->pdata);
  if (self->hdhomerun)
    dlna_hdhomerun_follow (self->hdhomerun, (const char *const *)names->pdata);
  if (self->dlna) {
    dlna_server_follow (self->dlna, (const char *const *)names->pdata);
    return;
  }
  DlnaServerOptions options = {
      .library = self->with.library,
      .quirks = self->with.quirks,
      .clients = self->with.clients,
      .interfaces = (const char *const *)names->pdata,
      .friendly_name = self->with.config->name,
      .uuid = self->with.uuid,
      .port = self->with.config->dlna_port,
      .media_port = self->port,
      .hook = on_server,
      .hook_destroy = free_listener,
  };
  g_autoptr (GError) error = NULL;
  self->dlna = dlna_server_new (&options, &error);
  if (self->dlna)
    g_clear_pointer (&self->dlna_error, g_free);
  else if (g_strcmp0 (self->dlna_error, error->message) != 0) {
    g_free (self->dlna_error);
    self->dlna_error = g_strdup (error->message);
    g_message ("televisions cannot find us (tried again every %d s): %s", LOOK_S, error->message);
  }
}

static void
tell_alone (ProxyHome *self, bool alone)
{
  if (alone && !self->alone)
    g_message ("no interface has a private address, so the home is served on loopback only; "
               "--interface NAME names one");
  self->alone = alone;
}

static void
find_page (ProxyHome *self, const GPtrArray *chosen)
{
  g_autoptr (GPtrArray) address = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < chosen->len && address->len == 0; i++)
    if (!((const ProxyInterface *)chosen->pdata[i])->loopback)
      add_address (address, ((const ProxyInterface *)chosen->pdata[i])->ip, self->port);
  if (address->len == 0)
    add_address (address, "127.0.0.1", self->port);
  const char *first = self->with.config->listen ? self->with.config->listen[0] : NULL;
  const char *colon = first ? strrchr (first, ':') : NULL;
  g_free (self->page);
  if (colon && !g_str_has_prefix (first, "[::]") && !g_str_has_prefix (first, "0.0.0.0"))
    self->page = g_strdup_printf ("http://%.*s:%u/", (int)(colon - first), first, self->port);
  else
    self->page = g_strdup_printf ("http://%s/", (const char *)address->pdata[0]);
}

/* Makes served and announced what the kernel has now. */
static void
look (ProxyHome *self)
{
  const ProxyConfig *config = self->with.config;
  g_autoptr (GPtrArray) all = proxy_interfaces_read ();
  g_autoptr (GPtrArray) chosen =
      proxy_interfaces_choose (all, (const char *const *)config->interfaces, &self->router);
  tell_alone (self, chosen->len == 0);
  if (!config->listen) {
    g_autoptr (GPtrArray) wanted = wanted_addresses (self, all, chosen);
    follow_addresses (self, wanted);
  }
  follow_interfaces (self, chosen);
  find_page (self, chosen);
}

static gboolean
on_look (gpointer data)
{
  look (data);
  return G_SOURCE_CONTINUE;
}

static void
on_links (gpointer data)
{
  look (data);
}

static bool
first_addresses (ProxyHome *self, GError **error)
{
  const ProxyConfig *config = self->with.config;
  self->port = config->listen_port;
  if (!config->listen) {
    /* With port 0 the kernel's choice for the first address counts for all. */
    g_autofree char *loopback = g_strdup_printf ("127.0.0.1:%u", self->port);
    if (!listen_on (self, loopback, error))
      return false;
    if (config->listen_port == 0) {
      g_hash_table_remove_all (self->served);
      g_hash_table_add (self->served, g_strdup_printf ("127.0.0.1:%u", self->port));
    }
    return true;
  }
  self->port = 0;
  for (size_t i = 0; config->listen[i]; i++)
    if (!listen_on (self, config->listen[i], error))
      return false;
  return true;
}

ProxyHome *
proxy_home_new (const ProxyHomeOptions *options, GError **error)
{
  ProxyHome *self = g_new0 (ProxyHome, 1);
  self->with = *options;
  self->served = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->refused = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  /* Nobody outside the home can make these names point here. */
  self->host_local = g_strconcat (g_get_host_name (), ".local", NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_ptr_array_add (names, (char *)g_get_host_name ());
  g_ptr_array_add (names, self->host_local);
  for (size_t i = 0; options->config->allow_hosts && options->config->allow_hosts[i]; i++)
    g_ptr_array_add (names, options->config->allow_hosts[i]);
  g_ptr_array_add (names, NULL);

  NetListenerOptions limits = {.check_host = true, .host_names = (const char *const *)names->pdata};
  self->listener = net_listener_new (options->server, &limits);
  if (!first_addresses (self, error)) {
    proxy_home_free (self);
    return NULL;
  }
  self->renderers =
      dlna_renderers_new (options->server, self->port, options->library, options->quirks);
  DlnaHdhomerunOptions tuner = {options->device_id, PROXY_SESSIONS_MAX, self->port};
  if (options->device_id)
    self->hdhomerun = dlna_hdhomerun_new (&tuner);
  static const DlnaLinksHandler handler = {.changed = on_links};
  self->links = dlna_links_new (&handler, self, NULL); /* without it the timer does the work */
  look (self);
  self->look = g_timeout_add_seconds (LOOK_S, on_look, self);
  return self;
}

void
proxy_home_free (ProxyHome *self)
{
  if (!self)
    return;
  g_clear_handle_id (&self->look, g_source_remove);
  dlna_links_free (self->links);
  g_clear_pointer (&self->dlna, dlna_server_free);
  dlna_renderers_free (self->renderers);
  dlna_hdhomerun_free (self->hdhomerun);
  net_listener_free (self->listener);
  g_hash_table_unref (self->served);
  g_hash_table_unref (self->refused);
  g_free (self->host_local);
  g_free (self->dlna_error);
  g_free (self->page);
  g_free (self);
}

void
proxy_home_announce (ProxyHome *self)
{
  look (self); /* the addresses may be others */
  if (self->dlna)
    dlna_server_announce (self->dlna);
}

NetListener *
proxy_home_listener (ProxyHome *self)
{
  return self->listener;
}

DlnaRenderers *
proxy_home_renderers (ProxyHome *self)
{
  return self->renderers;
}

DlnaHdhomerun *
proxy_home_hdhomerun (ProxyHome *self)
{
  return self->hdhomerun;
}

const char *
proxy_home_page (const ProxyHome *self)
{
  return self->page;
}

bool
proxy_home_media_server (const ProxyHome *self, DlnaServerStats *out)
{
  if (self->dlna)
    dlna_server_stats (self->dlna, out);
  return self->dlna != NULL;
}

void
proxy_home_warnings (const ProxyHome *self, GPtrArray *out)
{
  if (self->alone)
    g_ptr_array_add (out, g_strdup ("No interface of the home was found; only this computer can "
                                    "reach the gateway. Name one with --interface."));
  if (self->dlna_error)
    g_ptr_array_add (out,
                     g_strdup_printf ("Televisions cannot find the gateway: %s", self->dlna_error));
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, self->refused);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    g_ptr_array_add (out, g_strdup_printf ("The address %s could not be had; another program may "
                                           "use it.",
                                           (const char *)key));
}
