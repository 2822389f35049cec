/* SPDX-License-Identifier: Apache-2.0 */
/* Who knows the password is let in, once for each count of each nonce; and nobody else. */
#include "peer/tracker/digest.h"
#include "tests/lib/mutate.h"
#include "tests/random.h"

#include <string.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)
#define HOME "192.0.2.7"
/* RFC 7616, section 3.9.1, as the two sides of one transcript. */
#define RFC_REALM "http-auth@example.org"
#define RFC_CHALLENGE                                                                              \
  "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=%s, "                 \
  "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "                                       \
  "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
#define RFC_CREDENTIALS(algorithm, response)                                                       \
  "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", "         \
  "algorithm=" algorithm ", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "              \
  "nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, "               \
  "response=\"" response "\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
#define RFC_MD5 "8ca523f5e9506fed4657c9700eebdbec"
#define RFC_SHA256 "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"

typedef struct {
  TrackerDigest *server;
  TrackerDigestClient *client;
  int64_t now;
  uint64_t state;
} World;

static void
load (World *w, const char *realm, const char *user, const char *password, bool md5, bool sha256)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) text = g_string_new ("# accounts\n\n");
  for (unsigned i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++) {
    g_autofree char *hash = tracker_digest_hash (i, user, realm, password);
    if (i == TRACKER_DIGEST_MD5 ? md5 : sha256)
      g_string_append_printf (text, "%s:%s:%s\r\n", user, realm, hash);
  }
  tracker_digest_load (w->server, text->str, &error);
  g_assert_no_error (error);
}

static void
world_init (World *w, const char *realm, const char *user, const char *password)
{
  *w = (World){.now = 1000 * SECOND, .state = RANDOM_SEED};
  TrackerDigestOptions options = {
      .realm = realm, .random = random_bytes, .random_data = &w->state, .max_nonces = 4};
  w->server = tracker_digest_new (&options);
  w->client = tracker_digest_client_new (user, password, random_bytes, &w->state);
}

static void
world_clear (World *w)
{
  tracker_digest_free (w->server);
  tracker_digest_client_free (w->client);
}

static TrackerDigestResult
check_as (World *w, const char *authorization, const char *method, const char *uri,
          const char *from, const char **user)
{
  TrackerDigestRequest request = {
      .authorization = authorization, .method = method, .uri = uri, .from = from};
  return tracker_digest_check (w->server, w->now, &request, user);
}

static TrackerDigestResult
check (World *w, const char *authorization)
{
  const char *user = NULL;
  TrackerDigestResult result =
      check_as (w, authorization, "REGISTER", "sip:tracker.example", HOME, &user);
  g_assert_true ((user != NULL) == (result == TRACKER_DIGEST_OK));
  return result;
}

/* What the server says first, and the client takes. */
static void
challenge (World *w, bool stale)
{
  char *values[TRACKER_DIGEST_ALGORITHMS + 1] = {NULL};
  unsigned n = 0;
  bool said_stale = !stale;
  for (unsigned i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++)
    if ((values[n] = tracker_digest_challenge (w->server, w->now, i, HOME, stale)) != NULL)
      n++;
  g_assert_true (
      tracker_digest_client_challenge (w->client, (const char *const *)values, &said_stale));
  g_assert_true (said_stale == stale);
  for (unsigned i = 0; i < n; i++)
    g_free (values[i]);
}

static char *
authorize (World *w)
{
  return tracker_digest_client_authorize (w->client, "REGISTER", "sip:tracker.example");
}

static TrackerDigestResult
answer (World *w)
{
  g_autofree char *authorization = authorize (w);
  return check (w, authorization);
}

/* The RFC's nonce is not of ours: a right response to it is "stale", a wrong one is wrong. */
static void
test_rfc_vectors (void)
{
  static const struct {
    const char *credentials, *wrong;
    TrackerDigestAlgorithm algorithm;
  } rows[] = {
      {RFC_CREDENTIALS ("MD5", RFC_MD5),
       RFC_CREDENTIALS ("MD5", "9ca523f5e9506fed4657c9700eebdbec"), TRACKER_DIGEST_MD5},
      {RFC_CREDENTIALS ("SHA-256", RFC_SHA256),
       RFC_CREDENTIALS ("SHA-256",
                        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c2"),
       TRACKER_DIGEST_SHA256},
  };
  World w;
  const char *user = NULL;
  world_init (&w, RFC_REALM, "Mufasa", "Circle of Life");
  load (&w, RFC_REALM, "Mufasa", "Circle of Life", true, true);
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_assert_cmpint (check_as (&w, rows[i].credentials, "GET", "/dir/index.html", HOME, &user), ==,
                     TRACKER_DIGEST_STALE);
    g_assert_cmpint (check_as (&w, rows[i].wrong, "GET", "/dir/index.html", HOME, &user), ==,
                     TRACKER_DIGEST_WRONG);
    g_assert_cmpint (check_as (&w, rows[i].credentials, "POST", "/dir/index.html", HOME, &user), ==,
                     TRACKER_DIGEST_WRONG);
    g_assert_cmpint (check_as (&w, rows[i].credentials, "GET", "/dir/other.html", HOME, &user), ==,
                     TRACKER_DIGEST_MALFORMED);
  }
  g_assert_null (user);
  world_clear (&w);
}

/* Section 3.9.1 again: of the two challenges the client takes SHA-256, wherever it stands; with another cnonce
 * than the RFC's, so its response is checked by what a server says of it. */
static void
test_client_answers_the_rfc (void)
{
  g_autofree char *sha256 = g_strdup_printf (RFC_CHALLENGE, "SHA-256");
  g_autofree char *md5 = g_strdup_printf (RFC_CHALLENGE, "MD5");
  g_autofree char *both = g_strdup_printf ("Basic realm=\"x\", Bearer, %s, %s", md5, sha256);
  const char *const lists[][3] = {
      {sha256, md5, NULL}, {md5, sha256, NULL}, {both, NULL}, {md5, NULL}};
  World w;
  const char *user = NULL;
  world_init (&w, RFC_REALM, "Mufasa", "Circle of Life");
  load (&w, RFC_REALM, "Mufasa", "Circle of Life", true, true);
  g_assert_null (authorize (&w));
  for (unsigned i = 0; i < G_N_ELEMENTS (lists); i++) {
    bool stale = true;
    g_assert_true (tracker_digest_client_challenge (w.client, lists[i], &stale));
    g_assert_false (stale);
    g_autofree char *text = tracker_digest_client_authorize (w.client, "GET", "/dir/index.html");
    g_assert_nonnull (strstr (text, i == 3 ? "algorithm=MD5" : "algorithm=SHA-256"));
    g_assert_nonnull (strstr (text, "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""));
    g_assert_nonnull (strstr (text, "nc=00000001"));
    g_assert_cmpint (check_as (&w, text, "GET", "/dir/index.html", HOME, &user), ==,
                     TRACKER_DIGEST_STALE);
  }
  world_clear (&w);
}

/* Section 3.9.2's user, by his hashed name and by username*. */
static void
test_names_beyond_ascii (void)
{
  static const char *const names[] = {"J\xc3\xa4s\xc3\xb8n Doe", "a \"quoted\\ name", "plain"};
  for (unsigned i = 0; i < G_N_ELEMENTS (names); i++) {
    for (unsigned hashed = 0; hashed < 2; hashed++) {
      World w;
      bool stale;
      const char *user = NULL;
      world_init (&w, "api@example.org", names[i], "Secret, or not?");
      load (&w, "api@example.org", names[i], "Secret, or not?", false, true);
      g_autofree char *text =
          tracker_digest_challenge (w.server, w.now, TRACKER_DIGEST_SHA256, HOME, false);
      char *flag = strstr (text, ", userhash=true");
      g_assert_nonnull (flag);
      if (hashed == 0)
        *flag = 0;
      const char *const values[] = {text, NULL};
      g_assert_true (tracker_digest_client_challenge (w.client, values, &stale));
      g_autofree char *credentials = tracker_digest_client_authorize (w.client, "GET", "/doe.json");
      g_assert_true ((strstr (credentials, "userhash=true") != NULL) == (hashed == 1));
      g_assert_cmpint (check_as (&w, credentials, "GET", "/doe.json", HOME, &user), ==,
                       TRACKER_DIGEST_OK);
      g_assert_cmpstr (user, ==, names[i]);
      world_clear (&w);
    }
  }
}

static void
test_right_password_only (void)
{
  World w;
  world_init (&w, "ppsp", "ann", "right");
  load (&w, "ppsp", "ann", "right", true, true);
  g_assert_cmpint (check (&w, NULL), ==, TRACKER_DIGEST_NONE);
  g_assert_cmpint (check (&w, "Bearer abc"), ==, TRACKER_DIGEST_NONE);
  challenge (&w, false);
  g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_OK);
  g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_OK); /* the same nonce, the next count */
  load (&w, "ppsp", "ann", "changed", true, true);
  g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_WRONG);
  load (&w, "ppsp", "bob", "right", true, true);
  g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_WRONG);
  world_clear (&w);
}

static void
test_nonce_ages (void)
{
  World w;
  world_init (&w, "ppsp", "ann", "right");
  load (&w, "ppsp", "ann", "right", true, false);
  challenge (&w, false);
  w.now += 300 * SECOND;
  g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_OK);
  w.now += 1;
  g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_STALE);
  challenge (&w, true);
  g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_OK);
  world_clear (&w);
}

/* A nonce is of this server, as it stands, and for this client. */
static void
test_nonce_is_bound (void)
{
  World w, other;
  const char *user = NULL;
  world_init (&w, "ppsp", "ann", "right");
  load (&w, "ppsp", "ann", "right", false, true);
  challenge (&w, false);
  g_autofree char *text = authorize (&w);
  g_assert_cmpint (check_as (&w, text, "REGISTER", "sip:tracker.example", "192.0.2.8", &user), ==,
                   TRACKER_DIGEST_STALE);
  other = w;
  other.state = 42; /* another server, with another key */
  TrackerDigestOptions options = {
      .realm = "ppsp", .random = random_bytes, .random_data = &other.state};
  other.server = tracker_digest_new (&options);
  load (&other, "ppsp", "ann", "right", false, true);
  g_assert_cmpint (check (&other, text), ==, TRACKER_DIGEST_STALE);
  tracker_digest_free (other.server);
  g_assert_cmpint (check (&w, text), ==, TRACKER_DIGEST_OK);

  /* Its time cannot be made younger, nor its salt another. */
  bool stale;
  g_autofree char *forged =
      tracker_digest_challenge (w.server, w.now, TRACKER_DIGEST_SHA256, HOME, false);
  char *nonce = strstr (forged, "nonce=\"") + 7;
  for (unsigned i = 0; i < 64; i++) {
    char kept = nonce[i];
    const char *const values[] = {forged, NULL};
    nonce[i] = kept == '0' ? '1' : '0';
    g_assert_true (tracker_digest_client_challenge (w.client, values, &stale));
    g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_STALE);
    nonce[i] = kept;
  }
  world_clear (&w);
}

/* "If the same nc value is seen twice, then the request is a replay"; but datagrams overtake each other. */
static void
test_replay_is_stale (void)
{
  World w;
  char *sent[80];
  world_init (&w, "ppsp", "ann", "right");
  load (&w, "ppsp", "ann", "right", false, true);
  challenge (&w, false);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    sent[i] = authorize (&w);
  g_assert_cmpint (check (&w, sent[1]), ==, TRACKER_DIGEST_OK);
  g_assert_cmpint (check (&w, sent[1]), ==, TRACKER_DIGEST_STALE);
  g_assert_cmpint (check (&w, sent[0]), ==, TRACKER_DIGEST_OK);
  g_assert_cmpint (check (&w, sent[0]), ==, TRACKER_DIGEST_STALE);
  g_assert_cmpint (check (&w, sent[79]), ==, TRACKER_DIGEST_OK);
  g_assert_cmpint (check (&w, sent[15]), ==, TRACKER_DIGEST_STALE); /* too late to be told apart */
  g_assert_cmpint (check (&w, sent[16]), ==, TRACKER_DIGEST_OK);
  g_assert_cmpint (check (&w, sent[16]), ==, TRACKER_DIGEST_STALE);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++)
    g_free (sent[i]);
  world_clear (&w);
}

/* Of max_nonces = 4; what is forgotten cannot be used to replay. */
static void
test_counts_are_bounded (void)
{
  World w;
  char *sent[10];
  world_init (&w, "ppsp", "ann", "right");
  load (&w, "ppsp", "ann", "right", false, true);
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++) {
    w.now += SECOND;
    challenge (&w, false);
    sent[i] = authorize (&w);
    g_assert_cmpint (check (&w, sent[i]), ==, TRACKER_DIGEST_OK);
    g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_OK);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS (sent); i++) {
    g_assert_cmpint (check (&w, sent[i]), ==, TRACKER_DIGEST_STALE);
    g_free (sent[i]);
  }
  g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_OK);
  world_clear (&w);
}

static void
test_offers_what_accounts_have (void)
{
  World w;
  world_init (&w, "ppsp", "ann", "right");
  load (&w, "ppsp", "ann", "right", true, false);
  g_assert_null (tracker_digest_challenge (w.server, w.now, TRACKER_DIGEST_SHA256, HOME, false));
  g_autofree char *md5 =
      tracker_digest_challenge (w.server, w.now, TRACKER_DIGEST_MD5, HOME, false);
  g_assert_true (g_str_has_prefix (md5, "Digest realm=\"ppsp\", qop=\"auth\", algorithm=MD5, "));
  load (&w, "ppsp", "ann", "right", false, true);
  g_assert_null (tracker_digest_challenge (w.server, w.now, TRACKER_DIGEST_MD5, HOME, false));
  /* Who has only the one is not let in by the other. */
  const char *const values[] = {md5, NULL};
  bool stale;
  g_assert_true (tracker_digest_client_challenge (w.client, values, &stale));
  g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_WRONG);
  world_clear (&w);
}

static void
test_bad_account_files (void)
{
  static const struct {
    const char *text, *message;
  } rows[] = {
      {"ann:ppsp:00112233445566778899aabbccddeeff\nbob:ppsp\n", "line 2: expected user:realm:hash"},
      {"ann:ppsp:0011\n", "line 1: the hash is neither"},
      {"ann:ppsp:00112233445566778899aabbccddeefg\n", "line 1: the hash is neither"},
      {"# none\n\n", "no account of the realm \"ppsp\""},
      {"ann:other:00112233445566778899aabbccddeeff\n", "no account of the realm \"ppsp\""},
      {"ann:ppsp:00112233445566778899aabbccddeeff\nann:ppsp:00112233445566778899aabbccddeeff\n",
       "line 2: this user has"},
      {"a\xff:ppsp:00112233445566778899aabbccddeeff\n", "line 1: the user's name"},
  };
  World w;
  world_init (&w, "ppsp", "ann", "right");
  load (&w, "ppsp", "ann", "right", true, true);
  challenge (&w, false);
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_false (tracker_digest_load (w.server, rows[i].text, &error));
    g_assert_nonnull (strstr (error->message, rows[i].message));
    g_assert_cmpint (answer (&w), ==, TRACKER_DIGEST_OK);
  }
  for (int n = 128; n <= 129; n++) {
    g_autofree char *text = g_strdup_printf ("%0*d:ppsp:00112233445566778899aabbccddeeff\n", n, 0);
    g_autoptr (TrackerDigest) other = tracker_digest_new (
        &(TrackerDigestOptions){.realm = "ppsp", .random = random_bytes, .random_data = &w.state});
    g_assert_true (tracker_digest_load (other, text, NULL) == (n == 128));
  }
  world_clear (&w);

  TrackerDigestOptions options = {.random = random_bytes, .random_data = &w.state};
  static const char *const realms[] = {"", "a\"b", "a\\b", "a:b", "a\nb"};
  for (unsigned i = 0; i < G_N_ELEMENTS (realms); i++) {
    options.realm = realms[i];
    g_assert_null (tracker_digest_new (&options));
  }
}

static void
test_malformed_credentials (void)
{
  static const char *const texts[] = {
      "",
      "Digest ",
      "Digest =",
      "Digest a",
      "Digest username=\"ann",
      "Digest username=\"a\\",
      "Digest username=\"ann\", username=\"ann\"",
      /* Without a count there is no telling a replay: RFC 2069's form is refused. */
      "Digest username=\"ann\", realm=\"ppsp\", nonce=\"a\", uri=\"sip:tracker.example\", "
      "response=\"00112233445566778899aabbccddeeff\"",
      "Digest username=\"ann\", realm=\"ppsp\", nonce=\"a\", uri=\"sip:tracker.example\", "
      "qop=auth, "
      "nc=00000000, cnonce=\"c\", response=\"00112233445566778899aabbccddeeff\"",
      "Digest username=\"ann\", realm=\"ppsp\", nonce=\"a\", uri=\"sip:tracker.example\", "
      "qop=auth, "
      "nc=1, cnonce=\"c\", response=\"00112233445566778899aabbccddeeff\"",
      "Digest username=\"ann\", realm=\"ppsp\", nonce=\"a\", uri=\"sip:tracker.example\", "
      "qop=auth-int, nc=00000001, cnonce=\"c\", response=\"00112233445566778899aabbccddeeff\"",
      "Digest username=\"ann\", realm=\"ppsp\", nonce=\"a\", uri=\"sip:tracker.example\", "
      "qop=auth, "
      "nc=00000001, cnonce=\"c\", response=\"0011\"",
  };
  World w;
  world_init (&w, "ppsp", "ann", "right");
  load (&w, "ppsp", "ann", "right", true, true);
  for (unsigned i = 0; i < G_N_ELEMENTS (texts); i++)
    g_assert_cmpint (check (&w, texts[i]), ==, TRACKER_DIGEST_MALFORMED);
  g_autofree char *padded = g_strnfill (TRACKER_DIGEST_MAX_HEADER + 1, ' ');
  memcpy (padded, "Digest", 6);
  g_assert_cmpint (check (&w, padded), ==, TRACKER_DIGEST_MALFORMED);
  /* An algorithm that we do not speak is asked again for one that we do. */
  g_assert_cmpint (
      check (&w,
             "Digest username=\"ann\", realm=\"ppsp\", nonce=\"a\", uri=\"sip:tracker.example\", "
             "algorithm=SHA-512-256, qop=auth, nc=00000001, cnonce=\"c\", response=\"0011\""),
      ==, TRACKER_DIGEST_NONE);
  world_clear (&w);
}

static void
test_unusable_challenges (void)
{
  static const char *const texts[] = {
      "",
      "Digest",
      "Basic realm=\"x\"",
      "Negotiate abc==",
      "Digest realm=\"x\", nonce=\"",
      "Digest realm=\"x\", qop=\"auth\"",
      "Digest nonce=\"x\", qop=\"auth\"",
      "Digest realm=\"x\", nonce=\"n\"",
      "Digest realm=\"x\", nonce=\"n\", qop=\"auth-int\"",
      "Digest realm=\"x\", nonce=\"n\", qop=\"auth\", algorithm=SHA-512-256",
      "Digest realm=\"x\", nonce=\"n\", nonce=\"n\", qop=\"auth\"",
      "Digest realm=\"x\r\nInjected: y\", nonce=\"n\", qop=\"auth\"",
  };
  World w;
  bool stale;
  world_init (&w, "ppsp", "ann", "right");
  for (unsigned i = 0; i < G_N_ELEMENTS (texts); i++) {
    const char *const values[] = {texts[i], NULL};
    g_assert_false (tracker_digest_client_challenge (w.client, values, &stale));
    g_assert_null (authorize (&w));
  }
  world_clear (&w);
}

typedef struct {
  World *world;
  const char *good;
  unsigned accepted;
} Mutation;

static void
try_mutation (const uint8_t *bytes, size_t n, void *data)
{
  Mutation *m = data;
  bool stale;
  g_autofree char *text = g_strndup ((const char *)bytes, n);
  const char *const values[] = {text, NULL};
  m->accepted += check (m->world, text) == TRACKER_DIGEST_OK;
  tracker_digest_client_challenge (m->world->client, values, &stale);
}

/* One byte changed, or cut: nothing crashes, and all that could be let in is what means the same; of that, one
 * only, as the nonce's count is spent by it. */
static void
test_mutations (void)
{
  World w;
  world_init (&w, "ppsp", "ann", "right");
  load (&w, "ppsp", "ann", "right", true, false);
  challenge (&w, false);
  g_autofree char *good = authorize (&w);
  Mutation m = {&w, good, 0};
  mutate ((const uint8_t *)good, strlen (good), try_mutation, &m);
  g_assert_cmpuint (m.accepted, ==, 1);
  world_clear (&w);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tracker/digest/rfc-7616-vectors", test_rfc_vectors);
  g_test_add_func ("/tracker/digest/the-client-answers-the-rfc", test_client_answers_the_rfc);
  g_test_add_func ("/tracker/digest/names-beyond-ascii", test_names_beyond_ascii);
  g_test_add_func ("/tracker/digest/the-right-password-only", test_right_password_only);
  g_test_add_func ("/tracker/digest/a-nonce-ages", test_nonce_ages);
  g_test_add_func ("/tracker/digest/a-nonce-is-bound", test_nonce_is_bound);
  g_test_add_func ("/tracker/digest/a-replay-is-stale", test_replay_is_stale);
  g_test_add_func ("/tracker/digest/counts-are-bounded", test_counts_are_bounded);
  g_test_add_func ("/tracker/digest/offers-what-accounts-have", test_offers_what_accounts_have);
  g_test_add_func ("/tracker/digest/a-bad-account-file-changes-nothing", test_bad_account_files);
  g_test_add_func ("/tracker/digest/malformed-credentials", test_malformed_credentials);
  g_test_add_func ("/tracker/digest/unusable-challenges", test_unusable_challenges);
  g_test_add_func ("/tracker/digest/every-byte-changed", test_mutations);
  return g_test_run ();
}
