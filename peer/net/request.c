/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/request.h"
#include <string.h>

#define MAX_REDIRECTS 3

bool
net_request_may_reach (const char *list, const char *target, GInetAddress *address)
{
  g_autoptr (GUri) from = g_uri_parse (list, G_URI_FLAGS_NONE, NULL);
  g_autoptr (GUri) to = g_uri_parse (target, G_URI_FLAGS_NONE, NULL);
  if (from && g_str_equal (g_uri_get_scheme (from), "file"))
    return true;
  if (from && to && g_uri_get_host (from) &&
      g_strcmp0 (g_uri_get_host (from), g_uri_get_host (to)) == 0)
    return true;
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
      !net_request_may_reach (data, uri,
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

void
net_request_guard (SoupMessage *message, const char *from)
{
  /* The message may outlive whoever sends it. */
  g_signal_connect_data (message, "network-event", G_CALLBACK (on_network), g_strdup (from),
                         free_list, 0);
}

char *
net_request_redirect (SoupMessage *message, unsigned *n, GError **error)
{
  GUri *was = soup_message_get_uri (message);
  const char *to =
      soup_message_headers_get_one (soup_message_get_response_headers (message), "Location");
  g_autoptr (GUri) uri =
      to != NULL ? g_uri_parse_relative (was, to, SOUP_HTTP_URI_FLAGS, NULL) : NULL;
  const char *scheme = uri != NULL ? g_uri_get_scheme (uri) : "";
  bool is_secure = g_str_equal (scheme, "https");
  bool was_secure = g_str_equal (g_uri_get_scheme (was), "https");
  if ((!is_secure && !g_str_equal (scheme, "http")) || (was_secure && !is_secure)) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED,
                         "is redirected to where we do not follow");
    return NULL;
  }
  if (++*n > MAX_REDIRECTS) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "is redirected too often");
    return NULL;
  }
  return g_uri_to_string (uri);
}
