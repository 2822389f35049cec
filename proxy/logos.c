/* SPDX-License-Identifier: Apache-2.0 */
/* A request for a logo finds it in memory, or in the folder, or it is fetched from where the list says
 * while the request waits. A list is written by somebody, and names addresses of his choice: so the
 * address is judged when the connection stands and before anything is sent on it, which no name server
 * can change any more. Bounds: bytes and time of a picture, pictures at once, requests that wait,
 * memory, files; what failed is not asked for again for a while. */
#include "proxy/logos.h"
#include "proxy/picture.h"
#include <glib/gstdio.h>
#include <string.h>

enum {
  MAX_PICTURE = 1024 * 1024, /* bytes, as fetched */
  MAX_LOGOS = 512,           /* in memory: a thumbnail has some 5 kB */
  MAX_WAITING = 256,         /* requests */
  MAX_FILES = 4096,
  FETCH_S = 15,
  PIECE = 65536,
};
#define FAILED_US (10 * 60 * G_USEC_PER_SEC)
#define KEPT_S (30 * 86400)
#define PATH "/logo/"

typedef struct {
  ProxyLogos *logos;
  char *uri, *list;
  GBytes *bytes; /* NULL = not here */
  const char *type;
  int64_t failed;     /* us; 0 = not */
  GPtrArray *waiting; /* SoupServerMessage */
  /* while it is fetched */
  GCancellable *cancellable;
  GByteArray *body;
  guint deadline;
} Logo;

struct ProxyLogos {
  SoupServer *server;
  ProxyCatalog *catalog;
  SoupSession *session;
  char *folder;
  unsigned files, waiting;
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
  if (logo->cancellable)
    g_cancellable_cancel (logo->cancellable); /* its callback sees that and touches nothing */
  g_clear_handle_id (&logo->deadline, g_source_remove);
  g_clear_object (&logo->cancellable);
  g_clear_pointer (&logo->body, g_byte_array_unref);
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

static void
fetched (Logo *logo, GBytes *picture)
{
  g_clear_handle_id (&logo->deadline, g_source_remove);
  g_clear_object (&logo->cancellable);
  g_clear_pointer (&logo->body, g_byte_array_unref);
  logo->bytes = picture ? proxy_picture_thumbnail (picture, &logo->type) : NULL;
  if (logo->bytes)
    write_file (logo);
  else
    logo->failed = g_get_monotonic_time ();
  answer_waiting (logo);
}

static void
on_piece (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) piece =
      g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  Logo *logo = data;
  gsize n = 0;
  const guint8 *bytes = piece ? g_bytes_get_data (piece, &n) : NULL;
  if (!piece || logo->body->len + n > MAX_PICTURE)
    fetched (logo, NULL);
  else if (n == 0) {
    g_autoptr (GBytes) picture = g_bytes_new (logo->body->data, logo->body->len);
    fetched (logo, picture);
  } else {
    g_byte_array_append (logo->body, bytes, (guint)n);
    g_input_stream_read_bytes_async (G_INPUT_STREAM (source), PIECE, G_PRIORITY_LOW,
                                     logo->cancellable, on_piece, logo);
  }
}

static void
on_response (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GInputStream) stream =
      soup_session_send_finish (SOUP_SESSION (source), result, &error);
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  Logo *logo = data;
  SoupMessage *message = soup_session_get_async_result_message (SOUP_SESSION (source), result);
  if (!stream || soup_message_get_status (message) != SOUP_STATUS_OK) {
    fetched (logo, NULL);
    return;
  }
  logo->body = g_byte_array_new ();
  g_input_stream_read_bytes_async (stream, PIECE, G_PRIORITY_LOW, logo->cancellable, on_piece,
                                   logo);
}

bool
proxy_logos_may_ask (const char *list, const char *logo, GInetAddress *address)
{
  g_autoptr (GUri) from = g_uri_parse (list, G_URI_FLAGS_NONE, NULL);
  g_autoptr (GUri) to = g_uri_parse (logo, G_URI_FLAGS_NONE, NULL);
  if (from && g_str_equal (g_uri_get_scheme (from), "file"))
    return true; /* the operator's own */
  if (from && to && g_uri_get_host (from) &&
      g_strcmp0 (g_uri_get_host (from), g_uri_get_host (to)) == 0)
    return true; /* where the list came from, and we went already */
  const guint8 *bytes = g_inet_address_to_bytes (address);
  bool shared = g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV4 && bytes[0] == 100 &&
                (bytes[1] & 0xc0) == 64; /* RFC 6598 */
  bool local6 = g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV6 &&
                ((bytes[0] & 0xfe) == 0xfc || /* RFC 4193 */
                 memcmp (bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0);
  return !shared && !local6 && !g_inet_address_get_is_any (address) &&
         !g_inet_address_get_is_loopback (address) && !g_inet_address_get_is_link_local (address) &&
         !g_inet_address_get_is_site_local (address) && !g_inet_address_get_is_multicast (address);
}

/* The connection stands, and nothing was sent on it. */
static void
on_network (SoupMessage *message, GSocketClientEvent event, GIOStream *connection, gpointer data)
{
  if (event != G_SOCKET_CLIENT_CONNECTED || !G_IS_SOCKET_CONNECTION (connection))
    return;
  g_autoptr (GSocketAddress) remote =
      g_socket_connection_get_remote_address (G_SOCKET_CONNECTION (connection), NULL);
  g_autofree char *uri = g_uri_to_string (soup_message_get_uri (message));
  if (!G_IS_INET_SOCKET_ADDRESS (remote) ||
      !proxy_logos_may_ask (data, uri,
                            g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (remote)))) {
    GSocket *socket = g_socket_connection_get_socket (G_SOCKET_CONNECTION (connection));
    g_socket_shutdown (socket, TRUE, TRUE, NULL);
  }
}

static void
free_list (gpointer data, GClosure *closure)
{
  g_free (data);
}

static gboolean
on_deadline (gpointer data)
{
  Logo *logo = data;
  logo->deadline = 0;
  g_cancellable_cancel (logo->cancellable);
  fetched (logo, NULL);
  return G_SOURCE_REMOVE;
}

static void
fetch (Logo *logo)
{
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_GET, logo->uri);
  if (!message) {
    fetched (logo, NULL);
    return;
  }
  soup_message_headers_replace (soup_message_get_request_headers (message), "Connection", "close");
  /* The message may outlive the logo. */
  g_signal_connect_data (message, "network-event", G_CALLBACK (on_network), g_strdup (logo->list),
                         free_list, 0);
  logo->cancellable = g_cancellable_new ();
  logo->deadline = g_timeout_add_seconds (FETCH_S, on_deadline, logo);
  soup_session_send_async (logo->logos->session, message, G_PRIORITY_LOW, logo->cancellable,
                           on_response, logo);
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
  if (!logo->cancellable)
    fetch (logo);
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  ProxyLogos *self = data;
  const char *method = soup_server_message_get_method (message);
  const char *name = g_str_has_prefix (path, PATH) ? path + strlen (PATH) : "";
  g_autofree char *id =
      g_str_has_suffix (name, ".jpg") ? g_strndup (name, strlen (name) - strlen (".jpg")) : NULL;
  const ProxyChannel *channel = id ? proxy_catalog_lookup (self->catalog, id) : NULL;
  if (!g_str_equal (method, "GET") && !g_str_equal (method, "HEAD")) {
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                  "GET, HEAD");
    soup_server_message_set_status (message, SOUP_STATUS_METHOD_NOT_ALLOWED, NULL);
    return;
  }
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
  self->session = soup_session_new_with_options (
      "timeout", FETCH_S, "idle-timeout", 1, "max-conns", 8, "max-conns-per-host", 4, "user-agent",
      "ppsp-proxy/" PPSP_VERSION, "proxy-resolver", NULL, NULL);
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
  soup_session_abort (self->session);
  g_object_unref (self->session);
  g_object_unref (self->server);
  g_free (self->folder);
  g_free (self);
}

char *
proxy_logos_path (const ProxyChannel *channel)
{
  return channel->logo ? g_strdup_printf (PATH "%s.jpg", channel->id) : NULL;
}
