/* SPDX-License-Identifier: Apache-2.0 */
/* A nonce says by itself that it is ours, how old it is and for whom it was made, so that nothing is kept for
 * a challenge that nobody answers:
 *
 *   nonce = time (16 hex) | salt (16 hex) | HMAC-SHA-256 (key, time | salt | from), its first 32 hex
 *
 * What is kept is the counts of nonces with which somebody has shown that he knows a password: the
 * highest nc seen and a window of those before it, as datagrams may overtake each other. When there are too
 * many, the oldest goes, and with it all nonces that are as old: they are stale from then on,
 * so that a forgotten nonce is no chance to replay what was sent with it. */
#include "peer/tracker/digest.h"

#include "peer/tracker/message.h"

#include <string.h>

#define NONCE_LIFE (300 * (int64_t)G_USEC_PER_SEC)
#define MAX_NONCES 65536
#define NONCE_SIGNED 32 /* characters that are under the MAC */
#define NONCE_SIZE 64
#define KEY_SIZE 32
#define WINDOW 64 /* nc that may come late */
#define MAX_ACCOUNTS 1000000

typedef enum {
  FIELD_USERNAME,
  FIELD_USERNAME_EXT,
  FIELD_REALM,
  FIELD_NONCE,
  FIELD_URI,
  FIELD_RESPONSE,
  FIELD_ALGORITHM,
  FIELD_CNONCE,
  FIELD_OPAQUE,
  FIELD_QOP,
  FIELD_NC,
  FIELD_USERHASH,
  FIELD_STALE,
  FIELD_CHARSET,
  N_FIELDS
} Field;

static const char *const field_names[N_FIELDS] = {
    "username", "username*", "realm", "nonce", "uri",      "response", "algorithm",
    "cnonce",   "opaque",    "qop",   "nc",    "userhash", "stale",    "charset"};

static const char *const algorithm_names[TRACKER_DIGEST_ALGORITHMS] = {"SHA-256", "MD5"};
static const GChecksumType checksums[TRACKER_DIGEST_ALGORITHMS] = {G_CHECKSUM_SHA256,
                                                                   G_CHECKSUM_MD5};
static const size_t hash_sizes[TRACKER_DIGEST_ALGORITHMS] = {64, 32}; /* hex digits */

/* One challenge or one set of credentials. */
typedef struct {
  char *value[N_FIELDS]; /* unquoted; NULL = absent */
} Fields;

typedef struct {
  char *user;
  char *hash[TRACKER_DIGEST_ALGORITHMS]; /* H(A1), lower-case hex; NULL = none */
} Account;

typedef struct {
  uint64_t salt; /* the key */
  int64_t issued, used;
  uint32_t highest; /* nc */
  uint64_t window;  /* bit i: highest - i was seen */
  GList link;
} Nonce;

struct TrackerDigest {
  TrackerDigestOptions options;
  char *realm;
  uint8_t key[KEY_SIZE];
  GHashTable *accounts;                           /* by user */
  GHashTable *by_hash[TRACKER_DIGEST_ALGORITHMS]; /* by userhash (3.4.4); borrowed */
  uint32_t n_accounts[TRACKER_DIGEST_ALGORITHMS]; /* that have this hash */
  char *nobody[TRACKER_DIGEST_ALGORITHMS];        /* what is compared where there is no account */
  GHashTable *nonces;                             /* by salt */
  GQueue order;                                   /* first used first */
  int64_t floor; /* us: nonces not issued later, and unknown, are stale */
};

struct TrackerDigestClient {
  char *user, *password;
  PeerRandom random;
  void *random_data;
  bool challenged, userhash;
  TrackerDigestAlgorithm algorithm;
  char *realm, *nonce, *opaque;
  uint32_t nc;
};

/* --- hashes ---------------------------------------------------------------------------------- */

static char *G_GNUC_PRINTF (2, 3) hash (TrackerDigestAlgorithm algorithm, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  return g_compute_checksum_for_string (checksums[algorithm], text, -1);
}

char *
tracker_digest_hash (TrackerDigestAlgorithm algorithm, const char *user, const char *realm,
                     const char *password)
{
  return hash (algorithm, "%s:%s:%s", user, realm, password);
}

/* Section 3.4.1, for qop "auth". */
static char *
response_of (TrackerDigestAlgorithm algorithm, const char *a1, const char *nonce, const char *nc,
             const char *cnonce, const char *method, const char *uri)
{
  g_autofree char *a2 = hash (algorithm, "%s:%s", method, uri);
  return hash (algorithm, "%s:%s:%s:%s:auth:%s", a1, nonce, nc, cnonce, a2);
}

/* Takes as long wherever they differ. */
static bool
same_secret (const char *a, const char *b, size_t n)
{
  unsigned char difference = 0;
  for (size_t i = 0; i < n; i++)
    difference |= (unsigned char)(g_ascii_tolower (a[i]) ^ b[i]);
  return difference == 0;
}

static void
append_hex (GString *out, const uint8_t *bytes, size_t n)
{
  for (size_t i = 0; i < n; i++)
    g_string_append_printf (out, "%02x", bytes[i]);
}

/* --- the words of a header -------------------------------------------------------------------- */

static void
fields_clear (Fields *self)
{
  for (unsigned i = 0; i < N_FIELDS; i++)
    g_clear_pointer (&self->value[i], g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fields, fields_clear)

static const char *
skip (const char *at, const char *what)
{
  return at + strspn (at, what);
}

static size_t
token_length (const char *at)
{
  size_t n = 0;
  while (g_ascii_isalnum (at[n]) || (at[n] != 0 && strchr ("!#$%&'*+-.^_`|~", at[n]) != NULL))
    n++;
  return n;
}

/* A quoted string, unquoted, or all up to a comma or a blank. NULL = it does not end, or is nothing. */
static char *
read_value (const char **at)
{
  const char *c = *at;
  if (*c != '"') {
    size_t n = strcspn (c, ", \t\r\n\"");
    *at = c + n;
    return n > 0 ? g_strndup (c, n) : NULL;
  }
  g_autoptr (GString) out = g_string_new (NULL);
  for (c++; *c != '"'; c++) {
    if (*c == '\\')
      c++;
    if (*c == 0)
      return NULL;
    g_string_append_c (out, *c);
  }
  *at = c + 1;
  return g_string_free (g_steal_pointer (&out), FALSE);
}

/* Up to the end, or to the next challenge of the same header. What we do not know is passed over. false = that
 * is no list of parameters, or one is there twice. */
static bool
read_fields (const char **at, Fields *out)
{
  for (;;) {
    const char *name = skip (*at, ", \t\r\n");
    size_t n = token_length (name);
    const char *after = skip (name + n, " \t\r\n");
    *at = name;
    if (*name == 0 || (n > 0 && *after != '='))
      return true;
    if (n == 0)
      return false;
    *at = skip (after + 1, " \t\r\n");
    g_autofree char *value = read_value (at);
    if (value == NULL)
      return false;
    for (unsigned i = 0; i < N_FIELDS; i++) {
      if (strlen (field_names[i]) != n || g_ascii_strncasecmp (name, field_names[i], n) != 0)
        continue;
      if (out->value[i] != NULL)
        return false;
      out->value[i] = g_steal_pointer (&value);
      break;
    }
  }
}

/* Is it "Digest" that stands here? Then at is behind it. */
static bool
read_scheme (const char **at, bool *digest)
{
  const char *c = skip (*at, ", \t\r\n");
  size_t n = token_length (c);
  *at = c + n;
  *digest = n == 6 && g_ascii_strncasecmp (c, "Digest", n) == 0 &&
            (c[n] == ' ' || c[n] == '\t' || c[n] == '\r' || c[n] == '\n');
  return n > 0;
}

static bool
is_true (const char *value)
{
  return value != NULL && g_ascii_strcasecmp (value, "true") == 0;
}

/* Left out means MD5 (section 3.3). */
static bool
read_algorithm (const char *value, TrackerDigestAlgorithm *out)
{
  *out = TRACKER_DIGEST_MD5;
  if (value == NULL)
    return true;
  for (unsigned i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++) {
    if (g_ascii_strcasecmp (value, algorithm_names[i]) == 0) {
      *out = (TrackerDigestAlgorithm)i;
      return true;
    }
  }
  return false;
}

/* Does a list of qop say "auth"? */
static bool
offers_auth (const char *list)
{
  if (list == NULL)
    return false;
  g_auto (GStrv) words = g_strsplit_set (list, ", \t", 16);
  for (unsigned i = 0; words[i] != NULL; i++)
    if (g_ascii_strcasecmp (words[i], "auth") == 0)
      return true;
  return false;
}

/* UTF-8''J%C3%A4s: RFC 5987, section 3.2. */
static char *
read_extended (const char *value)
{
  if (g_ascii_strncasecmp (value, "UTF-8'", 6) != 0)
    return NULL;
  const char *text = strchr (value + 6, '\'');
  return text != NULL ? g_uri_unescape_string (text + 1, NULL) : NULL;
}

static bool
has_control (const char *text)
{
  for (; text != NULL && *text != 0; text++)
    if (g_ascii_iscntrl (*text))
      return true;
  return false;
}

/* --- accounts --------------------------------------------------------------------------------- */

static void
account_free (gpointer data)
{
  Account *self = data;
  g_free (self->user);
  for (unsigned i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++)
    g_free (self->hash[i]);
  g_free (self);
}

static GHashTable *
accounts_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, NULL, account_free);
}

static bool
algorithm_of (const char *hex, TrackerDigestAlgorithm *out)
{
  size_t n = strspn (hex, "0123456789abcdefABCDEF");
  for (unsigned i = 0; hex[n] == 0 && i < TRACKER_DIGEST_ALGORITHMS; i++) {
    if (n == hash_sizes[i]) {
      *out = (TrackerDigestAlgorithm)i;
      return true;
    }
  }
  return false;
}

/* NULL = good, or what is wrong with the line. */
static const char *
add_line (GHashTable *accounts, const char *realm, const char *line)
{
  g_auto (GStrv) parts = g_strsplit (line, ":", 4);
  TrackerDigestAlgorithm algorithm;
  if (g_strv_length (parts) != 3 || *parts[0] == 0)
    return "expected user:realm:hash, as htdigest writes it";
  if (!tracker_id_is_valid (parts[0], TRACKER_MAX_ID))
    return "the user's name is not UTF-8, has control characters, or is longer than 128 bytes";
  if (!algorithm_of (parts[2], &algorithm))
    return "the hash is neither MD5 (32 hex digits) nor SHA-256 (64)";
  if (strcmp (parts[1], realm) != 0)
    return NULL;
  Account *account = g_hash_table_lookup (accounts, parts[0]);
  if (account == NULL) {
    if (g_hash_table_size (accounts) >= MAX_ACCOUNTS)
      return "too many accounts";
    account = g_new0 (Account, 1);
    account->user = g_strdup (parts[0]);
    g_hash_table_insert (accounts, account->user, account);
  }
  if (account->hash[algorithm] != NULL)
    return "this user has such a hash already";
  account->hash[algorithm] = g_ascii_strdown (parts[2], -1);
  return NULL;
}

static void
take_accounts (TrackerDigest *self, GHashTable *accounts)
{
  GHashTableIter iter;
  gpointer value;
  for (unsigned i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++) {
    g_hash_table_remove_all (self->by_hash[i]);
    self->n_accounts[i] = 0;
  }
  g_hash_table_unref (self->accounts);
  self->accounts = accounts;
  g_hash_table_iter_init (&iter, accounts);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Account *account = value;
    for (unsigned i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++) {
      if (account->hash[i] == NULL)
        continue;
      self->n_accounts[i]++;
      g_hash_table_insert (self->by_hash[i], hash (i, "%s:%s", account->user, self->realm),
                           account);
    }
  }
}

bool
tracker_digest_load (TrackerDigest *self, const char *text, GError **error)
{
  g_autoptr (GHashTable) accounts = accounts_new ();
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (unsigned i = 0; lines[i] != NULL; i++) {
    char *line = g_strchomp (lines[i]);
    if (*line == 0 || *line == '#')
      continue;
    const char *why = add_line (accounts, self->realm, line);
    if (why != NULL) {
      g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE, "line %u: %s", i + 1, why);
      return false;
    }
  }
  if (g_hash_table_size (accounts) == 0) {
    g_set_error (error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_NOT_FOUND,
                 "it has no account of the realm \"%s\"", self->realm);
    return false;
  }
  take_accounts (self, g_steal_pointer (&accounts));
  return true;
}

/* --- nonces ------------------------------------------------------------------------------------ */

static void
nonce_mac (const TrackerDigest *self, const char *nonce, const char *from, char *out)
{
  g_autofree char *text = g_strdup_printf ("%.*s%s", NONCE_SIGNED, nonce, from);
  g_autofree char *mac =
      g_compute_hmac_for_string (G_CHECKSUM_SHA256, self->key, sizeof self->key, text, -1);
  memcpy (out, mac, NONCE_SIZE - NONCE_SIGNED);
  out[NONCE_SIZE - NONCE_SIGNED] = 0;
}

static char *
nonce_new (TrackerDigest *self, int64_t now, const char *from)
{
  char mac[NONCE_SIZE - NONCE_SIGNED + 1];
  uint64_t salt = peer_random_u64 (self->options.random, self->options.random_data);
  g_autofree char *head = g_strdup_printf ("%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x",
                                           (guint64)now, (guint64)salt);
  nonce_mac (self, head, from, mac);
  return g_strconcat (head, mac, NULL);
}

/* false = not of ours, or for another. */
static bool
nonce_read (const TrackerDigest *self, const char *nonce, const char *from, int64_t *issued,
            uint64_t *salt)
{
  char mac[NONCE_SIZE - NONCE_SIGNED + 1], part[17] = "";
  if (strlen (nonce) != NONCE_SIZE)
    return false;
  nonce_mac (self, nonce, from, mac);
  if (!same_secret (nonce + NONCE_SIGNED, mac, NONCE_SIZE - NONCE_SIGNED))
    return false;
  memcpy (part, nonce, 16);
  *issued = (int64_t)g_ascii_strtoull (part, NULL, 16);
  memcpy (part, nonce + 16, 16);
  *salt = g_ascii_strtoull (part, NULL, 16);
  return true;
}

static void
nonce_forget (TrackerDigest *self, Nonce *nonce)
{
  self->floor = MAX (self->floor, nonce->issued);
  g_queue_unlink (&self->order, &nonce->link);
  g_hash_table_remove (self->nonces, &nonce->salt);
  g_free (nonce);
}

static Nonce *
nonce_remember (TrackerDigest *self, int64_t now, int64_t issued, uint64_t salt)
{
  /* First used long enough ago, and so issued long enough ago, that they are stale anyway. */
  while (self->order.head != NULL) {
    Nonce *oldest = self->order.head->data;
    if (now - oldest->used <= self->options.nonce_life &&
        self->order.length < self->options.max_nonces)
      break;
    nonce_forget (self, oldest);
  }
  Nonce *nonce = g_new0 (Nonce, 1);
  nonce->salt = salt;
  nonce->issued = issued;
  nonce->used = now;
  nonce->link.data = nonce;
  g_queue_push_tail_link (&self->order, &nonce->link);
  g_hash_table_insert (self->nonces, &nonce->salt, nonce);
  return nonce;
}

/* Section 3.4: "If the same nc value is seen twice, then the request is a replay." */
static bool
count (Nonce *self, uint32_t nc)
{
  if (nc > self->highest) {
    uint32_t by = nc - self->highest;
    self->window = by < WINDOW ? self->window << by | 1 : 1;
    self->highest = nc;
    return true;
  }
  uint32_t late = self->highest - nc;
  if (late >= WINDOW || (self->window >> late & 1) != 0)
    return false;
  self->window |= UINT64_C (1) << late;
  return true;
}

static bool
nonce_use (TrackerDigest *self, int64_t now, const char *text, const char *from, uint32_t nc)
{
  int64_t issued;
  uint64_t salt;
  if (!nonce_read (self, text, from, &issued, &salt) || issued > now ||
      now - issued > self->options.nonce_life)
    return false;
  Nonce *nonce = g_hash_table_lookup (self->nonces, &salt);
  if (nonce == NULL && issued <= self->floor)
    return false;
  if (nonce == NULL)
    nonce = nonce_remember (self, now, issued, salt);
  return count (nonce, nc);
}

/* --- the side that challenges ------------------------------------------------------------------ */

static const Account *
find_account (const TrackerDigest *self, const Fields *fields, TrackerDigestAlgorithm algorithm)
{
  const char *user = fields->value[FIELD_USERNAME];
  if (is_true (fields->value[FIELD_USERHASH])) {
    g_autofree char *key = user != NULL ? g_ascii_strdown (user, -1) : NULL;
    return key != NULL ? g_hash_table_lookup (self->by_hash[algorithm], key) : NULL;
  }
  if (user != NULL)
    return g_hash_table_lookup (self->accounts, user);
  g_autofree char *extended = read_extended (fields->value[FIELD_USERNAME_EXT]);
  return extended != NULL ? g_hash_table_lookup (self->accounts, extended) : NULL;
}

static bool
read_nc (const char *text, uint32_t *out)
{
  if (strlen (text) != 8 || strspn (text, "0123456789abcdefABCDEF") != 8)
    return false;
  *out = (uint32_t)g_ascii_strtoull (text, NULL, 16);
  return *out != 0;
}

/* All that section 3.4 makes mandatory, and "auth", without which there is no count. */
static bool
is_complete (const Fields *fields)
{
  static const Field wanted[] = {FIELD_REALM, FIELD_NONCE,  FIELD_URI, FIELD_RESPONSE,
                                 FIELD_QOP,   FIELD_CNONCE, FIELD_NC};
  for (unsigned i = 0; i < G_N_ELEMENTS (wanted); i++)
    if (fields->value[wanted[i]] == NULL)
      return false;
  return (fields->value[FIELD_USERNAME] != NULL) != (fields->value[FIELD_USERNAME_EXT] != NULL) &&
         g_ascii_strcasecmp (fields->value[FIELD_QOP], "auth") == 0;
}

static TrackerDigestResult
judge (TrackerDigest *self, int64_t now, const TrackerDigestRequest *request, const Fields *fields,
       const char **user)
{
  char *const *value = fields->value;
  TrackerDigestAlgorithm algorithm;
  uint32_t nc;
  if (!read_algorithm (value[FIELD_ALGORITHM], &algorithm))
    return TRACKER_DIGEST_NONE;
  if (!read_nc (value[FIELD_NC], &nc) || strcmp (value[FIELD_URI], request->uri) != 0 ||
      strlen (value[FIELD_RESPONSE]) != hash_sizes[algorithm])
    return TRACKER_DIGEST_MALFORMED;
  const Account *account = find_account (self, fields, algorithm);
  bool known = account != NULL && account->hash[algorithm] != NULL;
  const char *a1 = known ? account->hash[algorithm] : self->nobody[algorithm];
  g_autofree char *expected = response_of (algorithm, a1, value[FIELD_NONCE], value[FIELD_NC],
                                           value[FIELD_CNONCE], request->method, request->uri);
  bool same = same_secret (value[FIELD_RESPONSE], expected, hash_sizes[algorithm]);
  if (!known || !same)
    return TRACKER_DIGEST_WRONG;
  if (!nonce_use (self, now, value[FIELD_NONCE], request->from, nc))
    return TRACKER_DIGEST_STALE;
  *user = account->user;
  return TRACKER_DIGEST_OK;
}

TrackerDigestResult
tracker_digest_check (TrackerDigest *self, int64_t now, const TrackerDigestRequest *request,
                      const char **user)
{
  g_auto (Fields) fields = {{NULL}};
  const char *at = request->authorization;
  bool digest;
  if (at == NULL)
    return TRACKER_DIGEST_NONE;
  if (strlen (at) > TRACKER_DIGEST_MAX_HEADER || !read_scheme (&at, &digest))
    return TRACKER_DIGEST_MALFORMED;
  if (!digest)
    return TRACKER_DIGEST_NONE;
  if (!read_fields (&at, &fields) || *at != 0 || !is_complete (&fields))
    return TRACKER_DIGEST_MALFORMED;
  if (strcmp (fields.value[FIELD_REALM], self->realm) != 0)
    return TRACKER_DIGEST_NONE;
  return judge (self, now, request, &fields, user);
}

char *
tracker_digest_challenge (TrackerDigest *self, int64_t now, TrackerDigestAlgorithm algorithm,
                          const char *from, bool stale)
{
  if (self->n_accounts[algorithm] == 0)
    return NULL;
  g_autofree char *nonce = nonce_new (self, now, from);
  return g_strdup_printf ("Digest realm=\"%s\", qop=\"auth\", algorithm=%s, nonce=\"%s\"%s, "
                          "charset=UTF-8, userhash=true",
                          self->realm, algorithm_names[algorithm], nonce,
                          stale ? ", stale=true" : "");
}

TrackerDigest *
tracker_digest_new (const TrackerDigestOptions *options)
{
  const char *realm = options->realm;
  if (*realm == 0 || strpbrk (realm, "\"\\:") != NULL || has_control (realm) ||
      !g_utf8_validate (realm, -1, NULL))
    return NULL;
  TrackerDigest *self = g_new0 (TrackerDigest, 1);
  self->options = *options;
  self->realm = g_strdup (realm);
  self->options.realm = self->realm;
  if (self->options.nonce_life == 0)
    self->options.nonce_life = NONCE_LIFE;
  if (self->options.max_nonces == 0)
    self->options.max_nonces = MAX_NONCES;
  options->random (options->random_data, self->key, sizeof self->key);
  for (unsigned i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++) {
    self->by_hash[i] = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    self->nobody[i] = g_compute_hmac_for_string (checksums[i], self->key, sizeof self->key, "", 0);
  }
  self->accounts = accounts_new ();
  self->nonces = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->floor = INT64_MIN;
  return self;
}

void
tracker_digest_free (TrackerDigest *self)
{
  while (self->order.head != NULL)
    nonce_forget (self, self->order.head->data);
  g_hash_table_unref (self->nonces);
  for (unsigned i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++) {
    g_hash_table_unref (self->by_hash[i]);
    g_free (self->nobody[i]);
  }
  g_hash_table_unref (self->accounts);
  g_free (self->realm);
  g_free (self);
}

/* --- the side that answers --------------------------------------------------------------------- */

TrackerDigestClient *
tracker_digest_client_new (const char *user, const char *password, PeerRandom random,
                           void *random_data)
{
  TrackerDigestClient *self = g_new0 (TrackerDigestClient, 1);
  self->user = g_strdup (user);
  self->password = g_strdup (password);
  self->random = random;
  self->random_data = random_data;
  return self;
}

static void
client_forget (TrackerDigestClient *self)
{
  g_clear_pointer (&self->realm, g_free);
  g_clear_pointer (&self->nonce, g_free);
  g_clear_pointer (&self->opaque, g_free);
  self->challenged = false;
}

void
tracker_digest_client_free (TrackerDigestClient *self)
{
  client_forget (self);
  g_free (self->user);
  memset (self->password, 0, strlen (self->password));
  g_free (self->password);
  g_free (self);
}

/* Better than what was found so far? Then it takes its place in best. */
static void
compare_challenge (Fields *fields, Fields *best, TrackerDigestAlgorithm *best_algorithm)
{
  TrackerDigestAlgorithm algorithm;
  if (fields->value[FIELD_REALM] == NULL || fields->value[FIELD_NONCE] == NULL ||
      has_control (fields->value[FIELD_REALM]) || has_control (fields->value[FIELD_NONCE]) ||
      has_control (fields->value[FIELD_OPAQUE]) || !offers_auth (fields->value[FIELD_QOP]) ||
      !read_algorithm (fields->value[FIELD_ALGORITHM], &algorithm))
    return;
  if (best->value[FIELD_NONCE] != NULL && algorithm >= *best_algorithm)
    return;
  fields_clear (best);
  *best = *fields;
  *best_algorithm = algorithm;
  *fields = (Fields){{NULL}};
}

bool
tracker_digest_client_challenge (TrackerDigestClient *self, const char *const *values, bool *stale)
{
  g_auto (Fields) best = {{NULL}};
  TrackerDigestAlgorithm algorithm = TRACKER_DIGEST_MD5;
  for (; *values != NULL; values++) {
    const char *at = *values;
    bool digest = false, good = strlen (at) <= TRACKER_DIGEST_MAX_HEADER;
    while (good && read_scheme (&at, &digest)) {
      g_auto (Fields) fields = {{NULL}};
      good = read_fields (&at, &fields);
      if (good && digest)
        compare_challenge (&fields, &best, &algorithm);
    }
  }
  if (best.value[FIELD_NONCE] == NULL)
    return false;
  client_forget (self);
  self->challenged = true;
  self->algorithm = algorithm;
  self->realm = g_steal_pointer (&best.value[FIELD_REALM]);
  self->nonce = g_steal_pointer (&best.value[FIELD_NONCE]);
  self->opaque = g_steal_pointer (&best.value[FIELD_OPAQUE]);
  self->userhash = is_true (best.value[FIELD_USERHASH]);
  self->nc = 0;
  *stale = is_true (best.value[FIELD_STALE]);
  return true;
}

static void
append_quoted (GString *out, const char *name, const char *value)
{
  g_string_append_printf (out, ", %s=\"", name);
  for (; *value != 0; value++) {
    if (*value == '"' || *value == '\\')
      g_string_append_c (out, '\\');
    g_string_append_c (out, *value);
  }
  g_string_append_c (out, '"');
}

static void
append_user (const TrackerDigestClient *self, GString *out)
{
  if (self->userhash) {
    g_autofree char *name = hash (self->algorithm, "%s:%s", self->user, self->realm);
    g_string_append_printf (out, "Digest username=\"%s\"", name);
  } else if (g_str_is_ascii (self->user)) {
    g_string_append (out, "Digest ");
    gsize start = out->len;
    append_quoted (out, "username", self->user);
    g_string_erase (out, (gssize)start, 2);
  } else {
    g_autofree char *name = g_uri_escape_string (self->user, NULL, FALSE);
    g_string_append_printf (out, "Digest username*=UTF-8''%s", name);
  }
}

char *
tracker_digest_client_authorize (TrackerDigestClient *self, const char *method, const char *uri)
{
  uint8_t random[16];
  char nc[9];
  if (!self->challenged)
    return NULL;
  g_snprintf (nc, sizeof nc, "%08x", ++self->nc);
  self->random (self->random_data, random, sizeof random);
  g_autoptr (GString) cnonce = g_string_new (NULL);
  append_hex (cnonce, random, sizeof random);
  g_autofree char *a1 =
      tracker_digest_hash (self->algorithm, self->user, self->realm, self->password);
  g_autofree char *response =
      response_of (self->algorithm, a1, self->nonce, nc, cnonce->str, method, uri);
  GString *out = g_string_new (NULL);
  append_user (self, out);
  append_quoted (out, "realm", self->realm);
  append_quoted (out, "nonce", self->nonce);
  append_quoted (out, "uri", uri);
  g_string_append_printf (out, ", algorithm=%s, qop=auth, nc=%s, cnonce=\"%s\", response=\"%s\"%s",
                          algorithm_names[self->algorithm], nc, cnonce->str, response,
                          self->userhash ? ", userhash=true" : "");
  if (self->opaque != NULL)
    append_quoted (out, "opaque", self->opaque);
  return g_string_free (out, FALSE);
}
