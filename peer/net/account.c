/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/account.h"

#include "peer/net/random.h"
#include "peer/tracker/digest.h"

#include <string.h>

/* A nonce may be too old once, and what was right then is right with the next. */
#define MAX_CHALLENGES 2

struct NetAccount {
  NetCredentials *credentials; /* or NULL */
  char *host;
  int port;
  unsigned challenges; /* to this request */
  /* As of that serial. */
  unsigned serial;
  const NetCredential *credential; /* or NULL */
  TrackerDigestClient *digest;     /* or NULL */
};

/* Without one, that of the scheme. */
static int
port_of (GUri *uri)
{
  int port = g_uri_get_port (uri);
  return port > 0 ? port : g_strcmp0 (g_uri_get_scheme (uri), "https") == 0 ? 443 : 80;
}

static void
look_up (NetAccount *self)
{
  g_clear_pointer (&self->digest, tracker_digest_client_free);
  self->serial = net_credentials_serial (self->credentials);
  self->credential = net_credentials_find (self->credentials, self->host, self->port);
  if (self->credential != NULL && self->credential->user != NULL)
    self->digest = tracker_digest_client_new (self->credential->user, self->credential->password,
                                              net_random, NULL);
}

bool
net_account_is_known (NetAccount *self)
{
  if (self->credentials != NULL && self->serial != net_credentials_serial (self->credentials))
    look_up (self);
  return self->credential != NULL;
}

NetAccount *
net_account_new (NetCredentials *credentials, GUri *uri)
{
  NetAccount *self = g_new0 (NetAccount, 1);
  self->host = g_strdup (g_uri_get_host (uri));
  self->port = port_of (uri);
  if (credentials == NULL)
    return self;
  self->credentials = net_credentials_ref (credentials);
  look_up (self);
  return self;
}

void
net_account_free (NetAccount *self)
{
  g_clear_pointer (&self->digest, tracker_digest_client_free);
  net_credentials_unref (self->credentials);
  g_free (self->host);
  g_free (self);
}

void
net_account_begin (NetAccount *self)
{
  self->challenges = 0;
}

/* As it stands in the request's first line. */
static char *
target_text (GUri *target)
{
  const char *path = g_uri_get_path (target);
  const char *query = g_uri_get_query (target);
  const char *whole = *path != 0 ? path : "/";
  return query != NULL ? g_strdup_printf ("%s?%s", whole, query) : g_strdup (whole);
}

void
net_account_show (NetAccount *self, SoupMessage *message, GUri *target, bool is_loopback)
{
  bool https = g_strcmp0 (g_uri_get_scheme (target), "https") == 0;
  SoupMessageHeaders *headers = soup_message_get_request_headers (message);
  g_autofree char *value = NULL;
  if (!net_account_is_known (self) ||
      g_ascii_strcasecmp (g_uri_get_host (target), self->host) != 0 ||
      port_of (target) != self->port)
    return;
  if (https && self->credential->certificate != NULL)
    soup_message_set_tls_client_certificate (message, self->credential->certificate);
  if (self->digest != NULL) {
    g_autofree char *text = target_text (target);
    value = tracker_digest_client_authorize (self->digest, "POST", text);
  } else if (self->credential->token != NULL && (https || is_loopback)) {
    value = g_strconcat ("Bearer ", self->credential->token, NULL);
  }
  if (value != NULL)
    soup_message_headers_replace (headers, "Authorization", value);
}

static void
collect (const char *name, const char *value, gpointer data)
{
  if (g_ascii_strcasecmp (name, "WWW-Authenticate") == 0)
    g_ptr_array_add (data, (gpointer)value);
}

bool
net_account_challenged (NetAccount *self, SoupMessage *message)
{
  g_autoptr (GPtrArray) values = g_ptr_array_new ();
  bool stale = false;
  if (!net_account_is_known (self) || self->digest == NULL || self->challenges >= MAX_CHALLENGES)
    return false;
  soup_message_headers_foreach (soup_message_get_response_headers (message), collect, values);
  g_ptr_array_add (values, NULL);
  if (!tracker_digest_client_challenge (self->digest, (const char *const *)values->pdata, &stale))
    return false;
  /* The first may come because we showed nothing, or the nonce of long ago: then it says stale, or not
   * yet. A second says that the password is wrong, unless it says stale. */
  return self->challenges++ == 0 || stale;
}
