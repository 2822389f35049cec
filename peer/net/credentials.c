/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/credentials.h"

#include "peer/net/options.h"

#include <string.h>
#include <sys/stat.h>

#define LOG_DOMAIN "peer/net"

struct NetCredentials {
  gint refs;
  char *path;
  unsigned serial;
  GHashTable *trackers; /* "host" or "host:port", lower case -> NetCredential */
};

/* --- the file ------------------------------------------------------------------------------ */

static void
credential_free (gpointer data)
{
  NetCredential *self = data;
  g_free (self->user);
  g_free (self->password);
  g_free (self->token);
  g_clear_object (&self->certificate);
  g_free (self);
}

static bool
wrong (const char *path, const char *group, GError **error, const char *what)
{
  g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE, "%s: [%s] %s", path, group,
               what);
  return false;
}

/* The values of a section; what it does not know it refuses, for it would not be shown. */
typedef struct {
  char *user, *password, *token, *certificate, *key;
} Values;

static void
values_clear (Values *self)
{
  g_free (self->user);
  g_free (self->password);
  g_free (self->token);
  g_free (self->certificate);
  g_free (self->key);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Values, values_clear)

static bool
read_values (GKeyFile *file, const char *path, const char *group, Values *out, GError **error)
{
  const struct {
    const char *name;
    char **value;
  } known[] = {{"user", &out->user},
               {"password", &out->password},
               {"token", &out->token},
               {"certificate", &out->certificate},
               {"key", &out->key}};
  g_auto (GStrv) keys = g_key_file_get_keys (file, group, NULL, error);
  for (char **key = keys; key != NULL && *key != NULL; key++) {
    unsigned i = 0;
    while (i < G_N_ELEMENTS (known) && strcmp (known[i].name, *key) != 0)
      i++;
    if (i == G_N_ELEMENTS (known)) {
      g_autofree char *what = g_strdup_printf (
          "%s: there is no such key; there are user, password, token, certificate, key", *key);
      return wrong (path, group, error, what);
    }
    *known[i].value = g_key_file_get_string (file, group, *key, error);
    if (*known[i].value == NULL)
      return false;
  }
  return keys != NULL;
}

/* What goes into a header goes there as it is. */
static bool
is_printable (const char *text)
{
  for (const char *c = text; *c != 0; c++)
    if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
      return false;
  return *text != 0;
}

static bool
check_values (const Values *self, const char *path, const char *group, GError **error)
{
  if ((self->user != NULL) != (self->password != NULL))
    return wrong (path, group, error, "user and password need each other");
  if ((self->certificate != NULL) != (self->key != NULL))
    return wrong (path, group, error, "certificate and key need each other");
  if (self->token != NULL && !is_printable (self->token))
    return wrong (path, group, error, "token: expected letters, digits and signs, without spaces");
  if (self->token != NULL && self->user != NULL)
    return wrong (path, group, error, "a user and a token: which is to be shown?");
  if (self->user == NULL && self->token == NULL && self->certificate == NULL)
    return wrong (path, group, error, "nothing to show: expected a user, a token or a certificate");
  return true;
}

static bool
read_group (GHashTable *trackers, GKeyFile *file, const char *path, const char *group,
            GError **error)
{
  g_auto (Values) values = {0};
  g_autoptr (GTlsCertificate) certificate = NULL;
  g_autoptr (GError) local = NULL;
  if (!read_values (file, path, group, &values, error) ||
      !check_values (&values, path, group, error))
    return false;
  if (values.certificate != NULL) {
    certificate = g_tls_certificate_new_from_files (values.certificate, values.key, &local);
    if (certificate == NULL) {
      g_autofree char *what = g_strdup_printf ("cannot use %s with %s: %s", values.certificate,
                                               values.key, local->message);
      return wrong (path, group, error, what);
    }
  }
  NetCredential *credential = g_new0 (NetCredential, 1);
  credential->user = g_steal_pointer (&values.user);
  credential->password = g_steal_pointer (&values.password);
  credential->token = g_steal_pointer (&values.token);
  credential->certificate = g_steal_pointer (&certificate);
  g_hash_table_replace (trackers, g_ascii_strdown (group, -1), credential);
  return true;
}

static GHashTable *
read_file (const char *path, GError **error)
{
  g_autoptr (GKeyFile) file = net_options_open (path, error);
  g_autoptr (GHashTable) trackers =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, credential_free);
  struct stat about;
  if (file == NULL)
    return NULL;
  g_auto (GStrv) groups = g_key_file_get_groups (file, NULL);
  for (char **group = groups; *group != NULL; group++)
    if (!read_group (trackers, file, path, *group, error))
      return NULL;
  if (*groups == NULL) {
    g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_GROUP_NOT_FOUND,
                 "%s: no section; expected [HOST] or [HOST:PORT] of a tracker", path);
    return NULL;
  }
  if (stat (path, &about) == 0 && (about.st_mode & 077) != 0)
    g_log_structured (LOG_DOMAIN, G_LOG_LEVEL_WARNING, "MESSAGE",
                      "%s can be read by others, with the passwords in it; chmod 600 it", path);
  return g_steal_pointer (&trackers);
}

NetCredentials *
net_credentials_load (const char *path, GError **error)
{
  GHashTable *trackers = read_file (path, error);
  if (trackers == NULL)
    return NULL;
  NetCredentials *self = g_new0 (NetCredentials, 1);
  self->refs = 1;
  self->path = g_strdup (path);
  self->trackers = trackers;
  return self;
}

bool
net_credentials_reload (NetCredentials *self, GError **error)
{
  GHashTable *trackers = read_file (self->path, error);
  if (trackers == NULL)
    return false;
  g_hash_table_unref (self->trackers);
  self->trackers = trackers;
  self->serial++;
  return true;
}

unsigned
net_credentials_serial (const NetCredentials *self)
{
  return self->serial;
}

NetCredentials *
net_credentials_ref (NetCredentials *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
net_credentials_unref (NetCredentials *self)
{
  if (self == NULL || !g_atomic_int_dec_and_test (&self->refs))
    return;
  g_hash_table_unref (self->trackers);
  g_free (self->path);
  g_free (self);
}

/* --- who is asked -------------------------------------------------------------------------- */

const NetCredential *
net_credentials_find (const NetCredentials *self, const char *host, int port)
{
  g_autofree char *name = g_ascii_strdown (host, -1);
  g_autofree char *place = g_strdup_printf ("%s:%d", name, port);
  const NetCredential *found =
      strchr (name, ':') == NULL ? g_hash_table_lookup (self->trackers, place) : NULL;
  return found != NULL ? found : g_hash_table_lookup (self->trackers, name);
}
