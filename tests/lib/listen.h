/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <libsoup/soup.h>
#include <stdint.h>

/* A server on a free port of 127.0.0.1; returns the port. */
static inline uint16_t
listen_local (SoupServer *server)
{
  g_autoptr (GError) error = NULL;
  soup_server_listen_local (server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, &error);
  g_assert_no_error (error);
  GSList *uris = soup_server_get_uris (server);
  uint16_t port = (uint16_t)g_uri_get_port (uris->data);
  g_slist_free_full (uris, (GDestroyNotify)g_uri_unref);
  return port;
}
