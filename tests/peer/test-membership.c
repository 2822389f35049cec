/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/membership.h"
#include "tests/lib/mutate.h"

#include <string.h>

#define WALL (INT64_C (1760000000) * G_USEC_PER_SEC)
#define HOUR (INT64_C (3600) * G_USEC_PER_SEC)

static const uint8_t serial[16] = "sixteen bytes ok";

typedef struct {
  PeerContent content;
  PeerKey *tracker;
  uint8_t tracker_key[PEER_FINGERPRINT];
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  g_autoptr (PeerKey) injector = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  peer_content_init_live (&self->content);
  peer_key_swarm_id (injector, &self->content);
  self->tracker = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  g_assert_true (peer_key_fingerprint (self->tracker, self->tracker_key));
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  peer_key_free (self->tracker);
}

static PeerAddress
address_of (const char *text)
{
  PeerAddress address;
  g_assert_true (peer_address_parse (text, &address));
  return address;
}

static GBytes *
issue (const Fixture *self, const char *where)
{
  g_autofree char *id = peer_content_swarm_id_hex (&self->content);
  PeerAddress address = address_of (where);
  GBytes *bytes =
      peer_membership_issue (self->tracker, id, &address, WALL, PEER_MEMBERSHIP_LIFE, serial);
  g_assert_nonnull (bytes);
  return bytes;
}

static PeerMembershipResult
check_at (const Fixture *self, GBytes *bytes, int64_t wall, PeerMembership *out)
{
  PeerMembership ignored;
  size_t n;
  const uint8_t *der = g_bytes_get_data (bytes, &n);
  return peer_membership_check (der, n, &self->content, self->tracker_key, wall,
                                out != NULL ? out : &ignored);
}

static void
test_says_who_and_when (Fixture *self, gconstpointer data)
{
  static const char *const places[] = {"192.0.2.1:6778", "[2001:db8::1]:7574", "10.1.2.3:65535"};
  for (unsigned i = 0; i < G_N_ELEMENTS (places); i++) {
    g_autoptr (GBytes) bytes = issue (self, places[i]);
    PeerMembership membership;
    PeerAddress address = address_of (places[i]);
    g_assert_cmpint (check_at (self, bytes, WALL, &membership), ==, PEER_MEMBERSHIP_GOOD);
    g_assert_true (peer_address_equal (&membership.address, &address));
    g_assert_cmpint (membership.not_before, ==, WALL);
    g_assert_cmpint (membership.not_after, ==, WALL + PEER_MEMBERSHIP_LIFE);
    g_assert_cmpuint (g_bytes_get_size (bytes), <, 700); /* two at least in a datagram */
  }
}

/* 8.13 gives the form of the URL. */
static void
test_the_form_is_that_of_8_13 (Fixture *self, gconstpointer data)
{
  g_autoptr (GBytes) bytes = issue (self, "[2001:db8::1]:6778");
  g_autofree char *id = peer_content_swarm_id_hex (&self->content);
  g_autofree char *uri = g_strconcat ("file://[2001:db8::1]:6778/", id, NULL);
  PeerCertificate certificate;
  size_t n;
  const uint8_t *der = g_bytes_get_data (bytes, &n);
  g_assert_true (peer_certificate_read (der, n, &certificate));
  g_assert_cmpstr (certificate.uri, ==, uri);
  g_assert_cmpmem (certificate.fingerprint, PEER_FINGERPRINT, self->tracker_key, PEER_FINGERPRINT);
}

static void
test_it_is_good_for_its_time_only (Fixture *self, gconstpointer data)
{
  g_autoptr (GBytes) bytes = issue (self, "192.0.2.1:7574");
  const struct {
    int64_t wall;
    PeerMembershipResult result;
  } times[] = {
      {WALL - PEER_MEMBERSHIP_SKEW, PEER_MEMBERSHIP_GOOD},
      {WALL - PEER_MEMBERSHIP_SKEW - 1, PEER_MEMBERSHIP_EXPIRED},
      {WALL + PEER_MEMBERSHIP_LIFE - 1, PEER_MEMBERSHIP_GOOD},
      {WALL + PEER_MEMBERSHIP_LIFE, PEER_MEMBERSHIP_EXPIRED},
      {INT64_MIN, PEER_MEMBERSHIP_GOOD}, /* nobody knows the time */
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (times); i++)
    g_assert_cmpint (check_at (self, bytes, times[i].wall, NULL), ==, times[i].result);
}

static void
test_another_swarm_is_refused (Fixture *self, gconstpointer data)
{
  g_autoptr (GBytes) bytes = issue (self, "192.0.2.1:7574");
  self->content.swarm_id[20] ^= 1;
  g_assert_cmpint (check_at (self, bytes, WALL, NULL), ==, PEER_MEMBERSHIP_FOREIGN);
}

static void
test_another_tracker_is_refused (Fixture *self, gconstpointer data)
{
  g_autoptr (GBytes) bytes = issue (self, "192.0.2.1:7574");
  self->tracker_key[31] ^= 1;
  g_assert_cmpint (check_at (self, bytes, WALL, NULL), ==, PEER_MEMBERSHIP_FOREIGN);
}

/* The tracker's key is in each certificate, so anybody can put it in another; the signature is what
 * nobody else can make. */
static void
test_a_changed_one_is_refused (Fixture *self, gconstpointer data)
{
  g_autoptr (GBytes) bytes = issue (self, "192.0.2.1:7574");
  size_t n;
  const uint8_t *der = g_bytes_get_data (bytes, &n);
  g_autofree uint8_t *copy = g_memdup2 (der, n);
  uint8_t *host = memmem (copy, n, "192.0.2.1", 9);
  g_assert_nonnull (host);
  host[8] = '7';
  g_autoptr (GBytes) changed = g_bytes_new (copy, n);
  g_assert_cmpint (check_at (self, changed, WALL, NULL), ==, PEER_MEMBERSHIP_FORGED);
}

static void
test_the_tracker_is_told_of_what_it_signed (Fixture *self, gconstpointer data)
{
  g_autoptr (GBytes) bytes = issue (self, "192.0.2.1:7574");
  uint8_t key[PEER_FINGERPRINT];
  size_t n;
  const uint8_t *der = g_bytes_get_data (bytes, &n);
  g_autofree uint8_t *copy = g_memdup2 (der, n);
  g_assert_true (peer_membership_tracker (der, n, key));
  g_assert_cmpmem (key, sizeof key, self->tracker_key, PEER_FINGERPRINT);
  copy[n - 1] ^= 1;
  g_assert_false (peer_membership_tracker (copy, n, key));
}

static void
test_the_key_is_kept_as_text (Fixture *self, gconstpointer data)
{
  g_autofree char *pem = peer_key_to_pem (self->tracker, NULL);
  g_autoptr (PeerKey) again = peer_key_from_pem (pem, NULL);
  uint8_t key[PEER_FINGERPRINT];
  g_assert_true (peer_key_fingerprint (again, key));
  g_assert_cmpmem (key, sizeof key, self->tracker_key, PEER_FINGERPRINT);
}

static void
test_what_cannot_be_said_is_not_issued (Fixture *self, gconstpointer data)
{
  g_autoptr (PeerKey) rsa = peer_key_generate (PEER_SIGNATURE_RSASHA256, NULL);
  g_autofree char *longest = g_strnfill (2 * PEER_SWARM_ID_MAX, 'a');
  PeerAddress address = address_of ("192.0.2.1:7574"), nowhere = address_of ("192.0.2.1:0");
  g_assert_null (peer_membership_issue (rsa, "abcd", &address, WALL, PEER_MEMBERSHIP_LIFE, serial));
  g_assert_null (
      peer_membership_issue (self->tracker, "", &address, WALL, PEER_MEMBERSHIP_LIFE, serial));
  g_assert_null (
      peer_membership_issue (self->tracker, "abc", &address, WALL, PEER_MEMBERSHIP_LIFE, serial));
  g_assert_null (peer_membership_issue (self->tracker, "no hex", &address, WALL,
                                        PEER_MEMBERSHIP_LIFE, serial));
  g_assert_null (
      peer_membership_issue (self->tracker, longest, &address, WALL, PEER_MEMBERSHIP_LIFE, serial));
  g_assert_null (
      peer_membership_issue (self->tracker, "abcd", &nowhere, WALL, PEER_MEMBERSHIP_LIFE, serial));
}

/* Names as a tracker that errs, or lies, would sign them. */
static void
test_other_names_are_malformed (Fixture *self, gconstpointer data)
{
  static const char *const forms[] = {
      "http://192.0.2.1:7574/%s",   "file://192.0.2.1/%s",      "file://192.0.2.1:0/%s",
      "file://192.0.2.1:70000/%s",  "file://peer.example:7/%s", "file:///%s",
      "file://224.0.0.1:7574/%s",   "file://::1:7574/%s",       "file://[2001:db8::1:7574/%s",
      "file://a@192.0.2.1:7574/%s", "file:192.0.2.1:7574/%s",   "%s",
  };
  g_autofree char *id = peer_content_swarm_id_hex (&self->content);
  int64_t from = WALL / G_USEC_PER_SEC;
  for (unsigned i = 0; i < G_N_ELEMENTS (forms); i++) {
    g_auto (GStrv) parts = g_strsplit (forms[i], "%s", 2);
    g_autofree char *uri = g_strconcat (parts[0], id, NULL);
    g_autoptr (GBytes) bytes = peer_key_certify (self->tracker, uri, from, from + 60, serial);
    g_assert_cmpint (check_at (self, bytes, WALL, NULL), ==, PEER_MEMBERSHIP_MALFORMED);
  }
  g_autofree char *tail = g_strconcat ("file://192.0.2.1:7574/", id, "/more", NULL);
  g_autoptr (GBytes) longer = peer_key_certify (self->tracker, tail, from, from + 60, serial);
  g_assert_cmpint (check_at (self, longer, WALL, NULL), ==, PEER_MEMBERSHIP_FOREIGN);
  g_autofree char *good = g_strconcat ("FILE://192.0.2.1:7574/", id, NULL);
  g_autoptr (GBytes) backwards = peer_key_certify (self->tracker, good, from + 60, from, serial);
  g_assert_cmpint (check_at (self, backwards, WALL, NULL), ==, PEER_MEMBERSHIP_MALFORMED);
  g_autoptr (GBytes) upper = peer_key_certify (self->tracker, good, from, from + 60, serial);
  g_assert_cmpint (check_at (self, upper, WALL, NULL), ==, PEER_MEMBERSHIP_GOOD);
}

typedef struct {
  const Fixture *fixture;
  PeerMembership good;
} Mutation;

static void
check_mutant (const uint8_t *bytes, size_t n, void *data)
{
  const Mutation *self = data;
  PeerMembership membership;
  if (peer_membership_check (bytes, n, &self->fixture->content, self->fixture->tracker_key, WALL,
                             &membership) == PEER_MEMBERSHIP_GOOD)
    g_assert_true (peer_address_is_usable (&membership.address));
}

static void
test_any_byte_may_be_wrong (Fixture *self, gconstpointer data)
{
  g_autoptr (GBytes) bytes = issue (self, "192.0.2.1:7574");
  Mutation mutation = {.fixture = self};
  size_t n;
  const uint8_t *der = g_bytes_get_data (bytes, &n);
  /* the names and times in the middle, and all cuts of a short one: the fuzzer does the rest */
  uint8_t copy[64];
  memcpy (copy, der, sizeof copy);
  g_assert_cmpuint (mutate (copy, sizeof copy, check_mutant, &mutation), >, 64 * 255);
  for (size_t i = 0; i < n; i++) {
    g_autofree uint8_t *changed = g_memdup2 (der, n);
    changed[i] ^= 0x10;
    check_mutant (changed, n, &mutation);
    check_mutant (changed, i, &mutation);
  }
}

/* Made by another tool, with what we do not make: more names, other keys, other types of time. Each
 * file says in its name what is wrong with it. */
static void
test_others_that_we_do_not_take (Fixture *self, gconstpointer data)
{
  static const char *const files[] = {
      "two-names", "not-critical", "dns-name",     "no-name",
      "rsa",       "version-1",    "general-time", "unknown-critical"};
  for (unsigned i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *name = g_strconcat (files[i], ".der", NULL);
    g_autofree char *path =
        g_test_build_filename (G_TEST_DIST, "fuzz", "corpus", "membership", name, NULL);
    g_autofree char *bytes = NULL;
    PeerCertificate certificate;
    size_t n;
    g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
    g_assert_false (peer_certificate_read ((const uint8_t *)bytes, n, &certificate));
  }
  g_autofree char *path =
      g_test_build_filename (G_TEST_DIST, "fuzz", "corpus", "membership", "good.der", NULL);
  g_autofree char *bytes = NULL;
  PeerCertificate certificate;
  size_t n;
  g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
  g_assert_true (peer_certificate_read ((const uint8_t *)bytes, n, &certificate));
  g_assert_true (certificate.is_signed);
  g_assert_cmpstr (certificate.uri, ==,
                   "file://192.0.2.0:6778/e5a12c7ad2d8fab33c699d1e198d66f79fa610c3");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function)                                                                        \
  g_test_add ("/peer/membership/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("says-who-and-when", test_says_who_and_when);
  ADD ("the-form-is-that-of-8.13", test_the_form_is_that_of_8_13);
  ADD ("it-is-good-for-its-time-only", test_it_is_good_for_its_time_only);
  ADD ("another-swarm-is-refused", test_another_swarm_is_refused);
  ADD ("another-tracker-is-refused", test_another_tracker_is_refused);
  ADD ("a-changed-one-is-refused", test_a_changed_one_is_refused);
  ADD ("the-tracker-is-told-of-what-it-signed", test_the_tracker_is_told_of_what_it_signed);
  ADD ("the-key-is-kept-as-text", test_the_key_is_kept_as_text);
  ADD ("what-cannot-be-said-is-not-issued", test_what_cannot_be_said_is_not_issued);
  ADD ("other-names-are-malformed", test_other_names_are_malformed);
  ADD ("any-byte-may-be-wrong", test_any_byte_may_be_wrong);
  ADD ("others-that-we-do-not-take", test_others_that_we_do_not_take);
  return g_test_run ();
}
