/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trackerd/access.h"

#include "peer/net/options.h"
#include "peer/trackerd/prefixes.h"

#include <string.h>

#define SWARM_GROUP "swarm "
#define DIGEST_LENGTH 64 /* hex digits of SHA-256 */

typedef struct {
  TrackerdPolicy policy;
  GHashTable *accounts; /* a set; NULL = all */
} Swarm;

struct TrackerdAccess {
  uint64_t serial;
  TrackerdPolicy otherwise;
  GHashTable *swarms;       /* ID -> Swarm */
  GHashTable *tokens;       /* SHA-256, hex -> account */
  GHashTable *certificates; /* SHA-256, hex -> account */
  GTlsDatabase *authority;  /* or NULL */
  TrackerdPrefixes *deny_addresses;
  GHashTable *deny_accounts; /* a set */
};

static void
swarm_free (gpointer data)
{
  Swarm *self = data;
  g_clear_pointer (&self->accounts, g_hash_table_unref);
  g_free (self);
}

static TrackerdAccess *
access_new (void)
{
  TrackerdAccess *self = g_new0 (TrackerdAccess, 1);
  self->swarms = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, swarm_free);
  self->tokens = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->certificates = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->deny_accounts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->deny_addresses = trackerd_prefixes_new ();
  return self;
}

void
trackerd_access_free (TrackerdAccess *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->swarms);
  g_hash_table_unref (self->tokens);
  g_hash_table_unref (self->certificates);
  g_hash_table_unref (self->deny_accounts);
  trackerd_prefixes_free (self->deny_addresses);
  g_clear_object (&self->authority);
  g_free (self);
}

/* --- the file ------------------------------------------------------------------------------ */

/* What is being read, for the error. */
typedef struct {
  TrackerdAccess *access;
  GKeyFile *file;
  const char *path, *group, *key;
} Reader;

G_GNUC_PRINTF (3, 4)
static bool
wrong (const Reader *self, GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *what = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE, "%s: [%s] %s%s%s",
               self->path, self->group, self->key != NULL ? self->key : "",
               self->key != NULL ? ": " : "", what);
  return false;
}

/* ':' parts it from the realm in Digest, ';' from the next in our lists. */
static bool
is_account (const char *name)
{
  return tracker_id_is_valid (name, TRACKER_MAX_ID) && strpbrk (name, ":;\"\\") == NULL;
}

static bool
read_set (const Reader *self, GHashTable *set, GError **error)
{
  g_auto (GStrv) names =
      g_key_file_get_string_list (self->file, self->group, self->key, NULL, error);
  for (char **name = names; name != NULL && *name != NULL; name++) {
    if (!is_account (g_strstrip (*name)))
      return wrong (self, error, "'%s' cannot be the name of an account", *name);
    g_hash_table_add (set, g_strdup (*name));
  }
  return names != NULL;
}

static bool
read_policy (const Reader *self, TrackerdPolicy *out, GError **error)
{
  static const char *const names[] = {"open", "closed", "refused"};
  g_autofree char *value = g_key_file_get_string (self->file, self->group, self->key, error);
  for (unsigned i = 0; value != NULL && i < G_N_ELEMENTS (names); i++) {
    if (strcmp (value, names[i]) != 0)
      continue;
    *out = (TrackerdPolicy)i;
    return true;
  }
  return value != NULL && wrong (self, error, "'%s' is none of open, closed and refused", value);
}

static bool
read_prefixes (const Reader *self, GError **error)
{
  g_auto (GStrv) texts =
      g_key_file_get_string_list (self->file, self->group, self->key, NULL, error);
  for (char **text = texts; text != NULL && *text != NULL; text++) {
    g_autoptr (GError) local = NULL;
    if (!trackerd_prefixes_add (self->access->deny_addresses, g_strstrip (*text), &local))
      return wrong (self, error, "%s", local->message);
  }
  return texts != NULL;
}

static bool
read_tracker_key (const Reader *self, GError **error)
{
  if (strcmp (self->key, "swarms") == 0)
    return read_policy (self, &self->access->otherwise, error);
  if (strcmp (self->key, "deny-addresses") == 0)
    return read_prefixes (self, error);
  if (strcmp (self->key, "deny-accounts") == 0)
    return read_set (self, self->access->deny_accounts, error);
  return wrong (self, error,
                "there is no such key; there are swarms, deny-addresses, deny-accounts");
}

static bool
read_swarm_key (const Reader *self, GError **error)
{
  const char *swarm_id = self->group + strlen (SWARM_GROUP);
  Swarm *swarm = g_hash_table_lookup (self->access->swarms, swarm_id);
  if (strcmp (self->key, "access") == 0)
    return read_policy (self, &swarm->policy, error);
  if (strcmp (self->key, "accounts") != 0)
    return wrong (self, error, "there is no such key; there are access, accounts");
  swarm->accounts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return read_set (self, swarm->accounts, error);
}

/* account = hash, into a table that is looked into by the hash. */
static bool
read_hash (const Reader *self, GHashTable *out, GError **error)
{
  g_autofree char *value = g_key_file_get_string (self->file, self->group, self->key, error);
  if (value == NULL)
    return false;
  if (!is_account (self->key))
    return wrong (self, error, "this cannot be the name of an account");
  g_autofree char *hash = g_ascii_strdown (value, -1);
  if (strlen (hash) != DIGEST_LENGTH || strspn (hash, "0123456789abcdef") != DIGEST_LENGTH)
    return wrong (self, error, "expected a SHA-256, which is 64 hex digits (sha256sum makes it)");
  if (g_hash_table_contains (out, hash))
    return wrong (self, error, "another account has the same");
  g_hash_table_insert (out, g_steal_pointer (&hash), g_strdup (self->key));
  return true;
}

static bool
read_authority (const Reader *self, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autofree char *path = g_key_file_get_string (self->file, self->group, self->key, error);
  if (path == NULL)
    return false;
  if (!g_path_is_absolute (path))
    return wrong (self, error, "'%s' is no absolute path", path);
  self->access->authority = g_tls_file_database_new (path, &local);
  return self->access->authority != NULL ||
         wrong (self, error, "cannot read %s: %s", path, local->message);
}

static bool
read_key (const Reader *self, GError **error)
{
  if (strcmp (self->group, "tracker") == 0)
    return read_tracker_key (self, error);
  if (g_str_has_prefix (self->group, SWARM_GROUP))
    return read_swarm_key (self, error);
  if (strcmp (self->group, "tokens") == 0)
    return read_hash (self, self->access->tokens, error);
  if (strcmp (self->key, "authority") == 0)
    return read_authority (self, error);
  return read_hash (self, self->access->certificates, error);
}

/* A section for a swarm is for one that is not like the others: closed, if it does not say. */
static bool
read_group_name (const Reader *self, GError **error)
{
  static const char *const known[] = {"tracker", "tokens", "certificates", NULL};
  if (g_strv_contains (known, self->group))
    return true;
  const char *swarm_id = self->group + strlen (SWARM_GROUP);
  if (!g_str_has_prefix (self->group, SWARM_GROUP))
    return wrong (self, error,
                  "there is no such section; there are tracker, swarm ID, tokens, certificates");
  if (!tracker_id_is_valid (swarm_id, TRACKER_MAX_SWARM_ID))
    return wrong (self, error, "this is no swarm ID");
  Swarm *swarm = g_new0 (Swarm, 1);
  swarm->policy = TRACKERD_SWARM_CLOSED;
  g_hash_table_replace (self->access->swarms, g_strdup (swarm_id), swarm);
  return true;
}

static bool
read_file (TrackerdAccess *access, GKeyFile *file, const char *path, GError **error)
{
  g_auto (GStrv) groups = g_key_file_get_groups (file, NULL);
  for (char **group = groups; *group != NULL; group++) {
    Reader reader = {.access = access, .file = file, .path = path, .group = *group};
    if (!read_group_name (&reader, error))
      return false;
    g_auto (GStrv) keys = g_key_file_get_keys (file, *group, NULL, error);
    if (keys == NULL)
      return false;
    for (char **key = keys; *key != NULL; key++) {
      reader.key = *key;
      if (!read_key (&reader, error))
        return false;
    }
  }
  return true;
}

TrackerdAccess *
trackerd_access_load (const char *path, TrackerdPolicy otherwise, GError **error)
{
  static uint64_t serial;
  g_autoptr (TrackerdAccess) self = access_new ();
  self->otherwise = otherwise;
  self->serial = ++serial;
  if (path == NULL)
    return g_steal_pointer (&self);
  g_autoptr (GKeyFile) file = net_options_open (path, error);
  return file != NULL && read_file (self, file, path, error) ? g_steal_pointer (&self) : NULL;
}

/* --- accounts ------------------------------------------------------------------------------ */

bool
trackerd_access_has_tokens (const TrackerdAccess *self)
{
  return g_hash_table_size (self->tokens) > 0;
}

bool
trackerd_access_has_certificates (const TrackerdAccess *self)
{
  return self->authority != NULL || g_hash_table_size (self->certificates) > 0;
}

/* Found by its hash: the time that this takes says nothing of a token that is nearly right. */
char *
trackerd_access_bearer (const TrackerdAccess *self, const char *token)
{
  g_autofree char *hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, token, -1);
  return g_strdup (g_hash_table_lookup (self->tokens, hash));
}

/* The one CN of "CN=alice,O=Example"; NULL = none, or more than one, or one that would have to be
 * unescaped. The caller frees. */
static char *
common_name (const char *subject)
{
  g_auto (GStrv) parts = g_strsplit (subject, ",", -1);
  const char *name = NULL;
  if (strpbrk (subject, "\\+\"") != NULL)
    return NULL;
  for (char **part = parts; *part != NULL; part++) {
    const char *text = g_strchug (*part);
    if (!g_str_has_prefix (text, "CN="))
      continue;
    if (name != NULL)
      return NULL;
    name = text + 3;
  }
  return name != NULL && is_account (name) ? g_strdup (name) : NULL;
}

static char *
certified_name (const TrackerdAccess *self, GTlsCertificate *certificate)
{
  g_autofree char *subject = NULL;
  if (self->authority == NULL ||
      g_tls_database_verify_chain (self->authority, certificate,
                                   G_TLS_DATABASE_PURPOSE_AUTHENTICATE_CLIENT, NULL, NULL,
                                   G_TLS_DATABASE_VERIFY_NONE, NULL, NULL) != 0)
    return NULL;
  g_object_get (certificate, "subject-name", &subject, NULL);
  return subject != NULL ? common_name (subject) : NULL;
}

char *
trackerd_access_certificate (const TrackerdAccess *self, GTlsCertificate *certificate)
{
  g_autoptr (GByteArray) bytes = NULL;
  g_object_get (certificate, "certificate", &bytes, NULL);
  if (bytes == NULL)
    return NULL;
  g_autofree char *hash = g_compute_checksum_for_data (G_CHECKSUM_SHA256, bytes->data, bytes->len);
  const char *account = g_hash_table_lookup (self->certificates, hash);
  return account != NULL ? g_strdup (account) : certified_name (self, certificate);
}

/* --- judgement ----------------------------------------------------------------------------- */

static TrackerdPolicy
policy_of (const TrackerdAccess *self, const Swarm *swarm)
{
  return swarm != NULL ? swarm->policy : self->otherwise;
}

static TrackerStatus
judge_swarm (const TrackerdAccess *self, const char *swarm_id, const char *account)
{
  const Swarm *swarm = swarm_id != NULL ? g_hash_table_lookup (self->swarms, swarm_id) : NULL;
  switch (policy_of (self, swarm)) {
  case TRACKERD_SWARM_OPEN:
    return TRACKER_STATUS_OK;
  case TRACKERD_SWARM_REFUSED:
    /* Who is in no swarm yet may be. */
    return swarm_id != NULL ? TRACKER_STATUS_FORBIDDEN : TRACKER_STATUS_OK;
  case TRACKERD_SWARM_CLOSED:
    break;
  }
  if (account == NULL)
    return TRACKER_STATUS_UNAUTHORIZED;
  bool listed =
      swarm == NULL || swarm->accounts == NULL || g_hash_table_contains (swarm->accounts, account);
  return listed ? TRACKER_STATUS_OK : TRACKER_STATUS_FORBIDDEN;
}

static bool
is_denied (const TrackerdAccess *self, const char *account, const PeerAddress *from)
{
  return trackerd_prefixes_has (self->deny_addresses, from) ||
         (account != NULL && g_hash_table_contains (self->deny_accounts, account));
}

TrackerStatus
trackerd_access_judge (const TrackerdAccess *self, const TrackerRequest *request,
                       const PeerAddress *from)
{
  const char *account = request->account;
  TrackerStatus worst = TRACKER_STATUS_OK;
  if (is_denied (self, account, from))
    return TRACKER_STATUS_FORBIDDEN;
  if (request->swarms->len == 0)
    return judge_swarm (self, NULL, account);
  for (guint i = 0; i < request->swarms->len; i++) {
    const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, i);
    if (request->type == TRACKER_REQUEST_CONNECT && swarm->action == TRACKER_ACTION_LEAVE)
      continue;
    TrackerStatus status = judge_swarm (self, swarm->swarm_id, account);
    if (status == TRACKER_STATUS_FORBIDDEN)
      return status;
    if (status != TRACKER_STATUS_OK)
      worst = status;
  }
  return worst;
}

bool
trackerd_access_allows (const TrackerMemberInfo *member, void *data)
{
  const TrackerdAccess *self = data;
  const Swarm *swarm = g_hash_table_lookup (self->swarms, member->swarm_id);
  if (member->remote && member->account == NULL) /* another tracker let it in, by its own lists */
    return !is_denied (self, NULL, member->from) &&
           policy_of (self, swarm) != TRACKERD_SWARM_REFUSED;
  return !is_denied (self, member->account, member->from) &&
         judge_swarm (self, member->swarm_id, member->account) == TRACKER_STATUS_OK;
}

uint64_t
trackerd_access_serial (const TrackerdAccess *self)
{
  return self->serial;
}

/* --- what there is ------------------------------------------------------------------------- */

void
trackerd_access_info (const TrackerdAccess *self, TrackerdAccessInfo *out)
{
  *out = (TrackerdAccessInfo){.otherwise = self->otherwise,
                              .swarms = g_hash_table_size (self->swarms),
                              .tokens = g_hash_table_size (self->tokens),
                              .certificates = g_hash_table_size (self->certificates),
                              .authority = self->authority != NULL,
                              .denied_addresses = trackerd_prefixes_size (self->deny_addresses),
                              .denied_accounts = g_hash_table_size (self->deny_accounts)};
}

void
trackerd_access_list (const TrackerdAccess *self, TrackerdListFunc func, void *data)
{
  GHashTableIter iter;
  gpointer id, value;
  g_hash_table_iter_init (&iter, self->swarms);
  while (g_hash_table_iter_next (&iter, &id, &value)) {
    const Swarm *swarm = value;
    int accounts = swarm->accounts != NULL ? (int)g_hash_table_size (swarm->accounts) : -1;
    if (!func (id, swarm->policy, accounts, data))
      return;
  }
}
