/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trackerd/login.h"

#include "peer/net/listener.h"

#include <string.h>

#define BEARER "Bearer "

/* What a certificate is worth is asked once for each connection and each set of lists. */
typedef struct {
  uint64_t serial; /* of the lists */
  char *account;   /* NULL = nobody's */
} Judged;

static void
judged_free (gpointer data)
{
  Judged *self = data;
  g_free (self->account);
  g_free (self);
}

static TrackerdLogin
by_certificate (const TrackerdAccess *access, SoupServerMessage *message, char **account)
{
  GTlsCertificate *certificate = net_listener_peer_certificate (message);
  if (certificate == NULL || !trackerd_access_has_certificates (access))
    return TRACKERD_LOGIN_NONE;
  Judged *judged = g_object_get_data (G_OBJECT (certificate), "trackerd-judged");
  if (judged == NULL || judged->serial != trackerd_access_serial (access)) {
    judged = g_new0 (Judged, 1);
    judged->serial = trackerd_access_serial (access);
    judged->account = trackerd_access_certificate (access, certificate);
    g_object_set_data_full (G_OBJECT (certificate), "trackerd-judged", judged, judged_free);
  }
  *account = g_strdup (judged->account);
  return *account != NULL ? TRACKERD_LOGIN_GOOD : TRACKERD_LOGIN_WRONG;
}

/* Whoever is on the way reads a token that comes without TLS: it is nobody's secret any more. */
static TrackerdLogin
by_token (const TrackerdAccess *access, SoupServerMessage *message, const PeerAddress *from,
          const char *token, char **account)
{
  bool secret =
      g_strcmp0 (g_uri_get_scheme (soup_server_message_get_uri (message)), "https") == 0 ||
      peer_address_is_loopback (from);
  if (!trackerd_access_has_tokens (access))
    return TRACKERD_LOGIN_NONE;
  *account = secret ? trackerd_access_bearer (access, token) : NULL;
  return *account != NULL ? TRACKERD_LOGIN_GOOD : TRACKERD_LOGIN_WRONG;
}

/* The request's target as it was written, which the client has signed: a path, or (RFC 7230, 5.3.2; the
 * RFC's own examples) a whole URI. */
static char *
target_of (SoupServerMessage *message, const char *authorization)
{
  GUri *uri = soup_server_message_get_uri (message);
  const char *query = g_uri_get_query (uri);
  if (strstr (authorization, "uri=\"http") != NULL)
    return g_uri_to_string (uri);
  return query != NULL ? g_strdup_printf ("%s?%s", g_uri_get_path (uri), query)
                       : g_strdup (g_uri_get_path (uri));
}

static TrackerdLogin
by_digest (TrackerDigest *digest, SoupServerMessage *message, const PeerAddress *from,
           const char *authorization, int64_t now, char **account)
{
  const char *user = NULL;
  g_autofree char *target = target_of (message, authorization);
  g_autofree char *ip = peer_address_ip_to_string (from);
  TrackerDigestRequest request = {.authorization = authorization,
                                  .method = soup_server_message_get_method (message),
                                  .uri = target,
                                  .from = ip};
  switch (tracker_digest_check (digest, now, &request, &user)) {
  case TRACKER_DIGEST_OK:
    *account = g_strdup (user);
    return TRACKERD_LOGIN_GOOD;
  case TRACKER_DIGEST_NONE:
    return TRACKERD_LOGIN_NONE;
  case TRACKER_DIGEST_STALE:
    return TRACKERD_LOGIN_STALE;
  case TRACKER_DIGEST_WRONG:
  case TRACKER_DIGEST_MALFORMED:
    break;
  }
  return TRACKERD_LOGIN_WRONG;
}

TrackerdLogin
trackerd_login (const TrackerdAccess *access, TrackerDigest *digest, SoupServerMessage *message,
                const PeerAddress *from, int64_t now, char **account)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *authorization = soup_message_headers_get_one (headers, "Authorization");
  TrackerdLogin result = TRACKERD_LOGIN_NONE;
  *account = NULL;
  if (authorization != NULL && g_ascii_strncasecmp (authorization, BEARER, strlen (BEARER)) == 0)
    result = by_token (access, message, from, authorization + strlen (BEARER), account);
  else if (authorization != NULL && digest != NULL)
    result = by_digest (digest, message, from, authorization, now, account);
  return result == TRACKERD_LOGIN_NONE ? by_certificate (access, message, account) : result;
}

void
trackerd_login_challenge (const TrackerdAccess *access, TrackerDigest *digest,
                          SoupServerMessage *message, const PeerAddress *from, int64_t now,
                          TrackerdLogin login)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  g_autofree char *ip = peer_address_ip_to_string (from);
  for (int i = 0; digest != NULL && i < TRACKER_DIGEST_ALGORITHMS; i++) {
    g_autofree char *value = tracker_digest_challenge (digest, now, (TrackerDigestAlgorithm)i, ip,
                                                       login == TRACKERD_LOGIN_STALE);
    if (value != NULL)
      soup_message_headers_append (headers, "WWW-Authenticate", value);
  }
  if (trackerd_access_has_tokens (access))
    soup_message_headers_append (headers, "WWW-Authenticate",
                                 login == TRACKERD_LOGIN_WRONG
                                     ? "Bearer realm=\"ppsp\", error=\"invalid_token\""
                                     : "Bearer realm=\"ppsp\"");
}
