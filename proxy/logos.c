/* SPDX-License-Identifier: Apache-2.0 */
/* A request for a logo finds it in memory, or in the folder, or it is fetched from where the list says
 * while the request waits. Bounds: bytes and time of a picture, pictures at once, requests that wait,
 * memory, files; what failed is not asked for again for a while. */
#include "proxy/logos.h"
#include "peer/net/fetch.h"
#include "proxy/picture.h"
#include "proxy/respond.h"
#include <glib/gstdio.h>
#include <string.h>

enum {
  MAX_PICTURE = 1024 * 1024, /* bytes, as fetched */
  MAX_LOGOS = 512,           /* in memory: a thumbnail has some 5 kB */
  MAX_FETCHING = 6,
  MAX_WAITING = 256, /* requests */
  MAX_FILES = 4096,
  FETCH_S = 15,
};
#define FAILED_US (2 * 60 * G_USEC_PER_SEC)
#define KEPT_S (30 * 86400)
#define PATH "/logo/"

typedef struct {
  ProxyLogos *logos;
  char *uri, *list;
  GBytes *bytes; /* NULL = not here */
  const char *type;
  int64_t failed;     /* us; 0 = not */
  GPtrArray *waiting; /* SoupServerMessage */
  NetFetch *fetch;
  bool wanted; /* among those that are fetched next */
} Logo;

struct ProxyLogos {
  SoupServer *server;
  ProxyCatalog *catalog;
  char *folder;
  unsigned files, waiting, fetching;
  GQueue wanted;     /* Logo: to be fetched */
  GHashTable *logos; /* URI -> Logo */
  GQueue order;      /* Logo: the oldest first */
};

static void on_gone (SoupServerMessage *message, gpointer data);

/* --- answers --- */

static void
answer (SoupServerMessage *message, const Logo *logo)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  soup_message_headers_replace (headers, "X-Content-Type-Options", "nosniff");
  if (!logo->bytes) {
    soup_server_message_set_status (message, SOUP_STATUS_NOT_FOUND, NULL);
    return;
  }
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_message_headers_replace (headers, "Content-Type", logo->type);
  soup_message_headers_replace (headers, "Cache-Control", "max-age=86400");
  soup_message_headers_replace (headers, "transferMode.dlna.org", "Interactive");
  if (proxy_picture_profile ()) {
    g_autofree char *features = g_strdup_printf ("DLNA.ORG_PN=%s;DLNA.ORG_OP=00;DLNA.ORG_CI=1;"
                                                 "DLNA.ORG_FLAGS=00F00000000000000000000000000000",
                                                 proxy_picture_profile ());
    soup_message_headers_replace (headers, "contentFeatures.dlna.org", features);
  }
  soup_message_headers_set_content_length (headers, (goffset)g_bytes_get_size (logo->bytes));
  if (g_str_equal (soup_server_message_get_method (message), "GET"))
    soup_message_body_append_bytes (soup_server_message_get_response_body (message), logo->bytes);
}

static void
answer_waiting (Logo *logo)
{
  g_autoptr (GPtrArray) waiting = g_steal_pointer (&logo->waiting);
  logo->waiting = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < waiting->len; i++) {
    SoupServerMessage *message = waiting->pdata[i];
    g_signal_handlers_disconnect_by_func (message, on_gone, logo);
    logo->logos->waiting--;
    answer (message, logo);
    soup_server_message_unpause (message);
  }
}

static void
on_gone (SoupServerMessage *message, gpointer data)
{
  Logo *logo = data;
  g_signal_handlers_disconnect_by_func (message, on_gone, logo);
  logo->logos->waiting--;
  g_ptr_array_remove_fast (logo->waiting, message);
}

static void
logo_free (gpointer data)
{
  Logo *logo = data;
  if (logo->fetch)
    logo->logos->fetching--;
  net_fetch_free (logo->fetch);
  if (logo->wanted)
    g_queue_remove (&logo->logos->wanted, logo);
  g_clear_pointer (&logo->bytes, g_bytes_unref);
  answer_waiting (logo);
  g_ptr_array_unref (logo->waiting);
  g_free (logo->uri);
  g_free (logo->list);
  g_free (logo);
}

/* --- the folder --- */

static char *
file_of (const ProxyLogos *self, const char *uri)
{
  uint64_t hash[2] = {14695981039346656037u, 1099511628211u}; /* FNV-1a, begun in two ways */
  for (const char *c = uri; *c; c++)
    for (int i = 0; i < 2; i++)
      hash[i] = (hash[i] ^ (unsigned char)*c) * 1099511628211u;
  g_autofree char *name =
      g_strdup_printf ("%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x", hash[0], hash[1]);
  return g_build_filename (self->folder, name, NULL);
}

static void
count_files (ProxyLogos *self)
{
  const char *name;
  g_autoptr (GDir) dir = NULL;
  if (g_mkdir_with_parents (self->folder, 0700) != 0 ||
      !(dir = g_dir_open (self->folder, 0, NULL))) {
    g_clear_pointer (&self->folder, g_free); /* that the state cannot be written was told already */
    return;
  }
  while ((name = g_dir_read_name (dir)))
    self->files++;
}

static void
clear_folder (ProxyLogos *self)
{
  const char *name;
  g_autoptr (GDir) dir = g_dir_open (self->folder, 0, NULL);
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (self->folder, name, NULL);
    g_unlink (path);
  }
  self->files = 0;
}

static void
write_file (Logo *logo)
{
  ProxyLogos *self = logo->logos;
  if (!self->folder)
    return;
  if (self->files >= MAX_FILES)
    clear_folder (self); /* they come again as they are asked for */
  g_autofree char *path = file_of (self, logo->uri);
  gsize n;
  const char *bytes = g_bytes_get_data (logo->bytes, &n);
  if (g_file_set_contents (path, bytes, (gssize)n, NULL))
    self->files++;
}

static void
read_file (Logo *logo)
{
  GStatBuf status;
  char *bytes;
  gsize n;
  if (!logo->logos->folder)
    return;
  g_autofree char *path = file_of (logo->logos, logo->uri);
  if (g_stat (path, &status) != 0 || status.st_size > MAX_PICTURE ||
      status.st_mtime < g_get_real_time () / G_USEC_PER_SEC - KEPT_S ||
      !g_file_get_contents (path, &bytes, &n, NULL))
    return;
  logo->bytes = g_bytes_new_take (bytes, n);
  logo->type = n > 0 && (guchar)bytes[0] == 0x89 ? "image/png" : "image/jpeg";
}

/* --- fetching --- */

static void fetch_next (ProxyLogos *self);

static void
on_fetched (GBytes *picture, bool is_cut, const GError *error, gpointer data)
{
  Logo *logo = data;
  ProxyLogos *self = logo->logos;
  g_clear_pointer (&logo->fetch, net_fetch_free);
  self->fetching--;
  logo->bytes = picture && !is_cut ? proxy_picture_thumbnail (picture, &logo->type) : NULL;
  if (logo->bytes)
    write_file (logo);
  else
    logo->failed = g_get_monotonic_time ();
  answer_waiting (logo);
  fetch_next (self);
}

static void
fetch_next (ProxyLogos *self)
{
  while (self->fetching < MAX_FETCHING && !g_queue_is_empty (&self->wanted)) {
    Logo *logo = g_queue_pop_head (&self->wanted);
    logo->wanted = false;
    logo->fetch = net_fetch_new (logo->uri, MAX_PICTURE, FETCH_S, "ppsp-proxy/" PPSP_VERSION,
                                 on_fetched, logo);
    net_fetch_for_list (logo->fetch, logo->list);
    self->fetching++;
  }
}

/* --- requests --- */

static Logo *
find_logo (ProxyLogos *self, const ProxyChannel *channel)
{
  Logo *logo = g_hash_table_lookup (self->logos, channel->logo);
  if (logo)
    return logo;
  if (g_hash_table_size (self->logos) >= MAX_LOGOS) {
    Logo *oldest = g_queue_pop_head (&self->order);
    g_hash_table_remove (self->logos, oldest->uri);
    fetch_next (self); /* it may have been among those that are fetched */
  }
  logo = g_new0 (Logo, 1);
  logo->logos = self;
  logo->uri = g_strdup (channel->logo);
  logo->list = g_strdup (channel->source);
  logo->waiting = g_ptr_array_new_with_free_func (g_object_unref);
  g_hash_table_insert (self->logos, logo->uri, logo);
  g_queue_push_tail (&self->order, logo);
  read_file (logo);
  return logo;
}

static void
wait_for (Logo *logo, SoupServerMessage *message)
{
  if (logo->logos->waiting >= MAX_WAITING) {
    soup_server_message_set_status (message, SOUP_STATUS_SERVICE_UNAVAILABLE, NULL);
    return;
  }
  logo->logos->waiting++;
  g_ptr_array_add (logo->waiting, g_object_ref (message));
  g_signal_connect (message, "finished", G_CALLBACK (on_gone), logo);
  soup_server_message_pause (message);
  if (!logo->fetch && !logo->wanted) {
    logo->wanted = true;
    g_queue_push_tail (&logo->logos->wanted, logo);
    fetch_next (logo->logos);
  }
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  ProxyLogos *self = data;
  const char *name = g_str_has_prefix (path, PATH) ? path + strlen (PATH) : "";
  g_autofree char *id =
      g_str_has_suffix (name, ".jpg") ? g_strndup (name, strlen (name) - strlen (".jpg")) : NULL;
  const ProxyChannel *channel = id ? proxy_catalog_lookup (self->catalog, id) : NULL;
  if (!proxy_respond_reads_only (message, "GET, HEAD"))
    return;
  if (!channel || !channel->logo) {
    soup_server_message_set_status (message, SOUP_STATUS_NOT_FOUND, NULL);
    return;
  }
  Logo *logo = find_logo (self, channel);
  bool failed = logo->failed != 0 && g_get_monotonic_time () - logo->failed < FAILED_US;
  if (logo->bytes || failed)
    answer (message, logo);
  else
    wait_for (logo, message);
}

ProxyLogos *
proxy_logos_new (SoupServer *server, ProxyCatalog *catalog, const char *folder)
{
  ProxyLogos *self = g_new0 (ProxyLogos, 1);
  self->server = g_object_ref (server);
  self->catalog = catalog;
  self->folder = g_strdup (folder);
  self->logos = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, logo_free);
  g_queue_init (&self->order);
  g_queue_init (&self->wanted);
  if (self->folder)
    count_files (self);
  soup_server_add_handler (server, PATH, on_request, self, NULL);
  return self;
}

void
proxy_logos_free (ProxyLogos *self)
{
  if (!self)
    return;
  soup_server_remove_handler (self->server, PATH);
  g_queue_clear (&self->order);
  g_hash_table_unref (self->logos);
  g_object_unref (self->server);
  g_free (self->folder);
  g_free (self);
}

char *
proxy_logos_path (const ProxyChannel *channel)
{
  return channel->logo ? g_strdup_printf (PATH "%s.jpg", channel->id) : NULL;
}
