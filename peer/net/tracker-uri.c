/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/tracker-uri.h"

#include "peer/address.h"

#include <gio/gio.h>
#include <libsoup/soup.h>
#include <string.h>

/* "sip:HOST:PORT;transport=tcp" (RFC 3261, 19.1), of which GUri makes no host. */
static GUri *
parse_sip_uri (const char *text)
{
  g_autofree char *scheme = g_uri_parse_scheme (text);
  if (scheme == NULL || (!g_str_equal (scheme, "sip") && !g_str_equal (scheme, "sips")))
    return NULL;
  const char *rest = text + strlen (scheme) + 1;
  size_t n = strcspn (rest, ";");
  g_autofree char *http = g_strdup_printf ("%s://%.*s/", scheme, (int)n, rest);
  g_autoptr (GUri) uri = g_uri_parse (http, G_URI_FLAGS_NONE, NULL);
  bool tcp = g_ascii_strcasecmp (rest + n, ";transport=tcp") == 0;
  bool udp = g_ascii_strcasecmp (rest + n, ";transport=udp") == 0;
  bool tls = g_str_equal (scheme, "sips") && (rest[n] == 0 || tcp);
  if (uri == NULL || g_uri_get_userinfo (uri) != NULL || !g_str_equal (g_uri_get_path (uri), "/") ||
      g_uri_get_query (uri) != NULL || !(rest[n] == 0 || tcp || udp || tls) ||
      (g_str_equal (scheme, "sips") && udp))
    return NULL;
  return g_uri_build (G_URI_FLAGS_NONE, scheme, NULL, g_uri_get_host (uri), g_uri_get_port (uri),
                      "", tcp ? "transport=tcp" : NULL, NULL);
}

bool
net_tracker_uri_is_sip (const char *text)
{
  return g_ascii_strncasecmp (text, "sip:", 4) == 0 || g_ascii_strncasecmp (text, "sips:", 5) == 0;
}

GUri *
net_tracker_uri_parse (const char *text, bool allow_plain, GError **error)
{
  g_autoptr (GUri) uri = net_tracker_uri_is_sip (text)
                             ? parse_sip_uri (text)
                             : g_uri_parse (text, SOUP_HTTP_URI_FLAGS, NULL);
  const char *scheme = uri != NULL ? g_uri_get_scheme (uri) : NULL;
  const char *why = NULL;
  PeerAddress address;
#ifndef PPSP_SIP
  if (net_tracker_uri_is_sip (text))
    why = "this build has no SIP, as sofia-sip was not there when it was made; use https:";
  else
#endif
      if (uri == NULL)
    why = net_tracker_uri_is_sip (text)
              ? "this is no address of a tracker; expected sips:HOST:PORT or sip:HOST:PORT"
              : "this is no address of a tracker; expected https://HOST:PORT/";
  else if (!net_tracker_uri_is_sip (text) && !g_str_equal (scheme, "https") &&
           !g_str_equal (scheme, "http"))
    why = "expected https://HOST:PORT/, or sips:HOST:PORT";
  else if (g_uri_get_host (uri) == NULL || *g_uri_get_host (uri) == 0)
    why = "it names no host";
  else if ((g_str_equal (scheme, "http") || g_str_equal (scheme, "sip")) && !allow_plain &&
           peer_address_parse_ip (g_uri_get_host (uri), 1, &address) &&
           !peer_address_is_private (&address))
    why = net_tracker_uri_is_sip (text)
              ? "plain SIP to a public address is refused; use sips, or --allow-plain-tracker"
              : "plain HTTP to a public address is refused; use https, or --allow-plain-tracker";
  if (why == NULL)
    return g_steal_pointer (&uri);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "tracker '%s': %s", text, why);
  return NULL;
}
