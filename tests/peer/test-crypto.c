/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/crypto.h"
#include "tests/lib/golden.h"

#include <string.h>

static const struct {
  PeerHashFunction function;
  const char *abc; /* FIPS 180-4's example: the hash of "abc" */
} hashes[] = {
    {PEER_HASH_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {PEER_HASH_SHA224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
    {PEER_HASH_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {PEER_HASH_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                       "8086072ba1e7cc2358baeca134c825a7"},
    {PEER_HASH_SHA512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                       "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};

static const PeerSignatureAlgorithm signatures[] = {
    PEER_SIGNATURE_RSASHA1,
    PEER_SIGNATURE_RSASHA256,
    PEER_SIGNATURE_ECDSAP256SHA256,
    PEER_SIGNATURE_ECDSAP384SHA384,
};

static char *
hex (const uint8_t *bytes, size_t n)
{
  GString *text = g_string_new (NULL);

  for (size_t i = 0; i < n; i++)
    g_string_append_printf (text, "%02x", bytes[i]);
  return g_string_free (text, FALSE);
}

static void
test_hashes (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (hashes); i++) {
    g_autoptr (PeerHasher) hasher = peer_hasher_new (hashes[i].function);
    uint8_t out[PEER_HASH_MAX];

    for (int again = 0; again < 3; again++) { /* a reused context forgets */
      g_autofree char *text = NULL;

      peer_hasher_chunk (hasher, (const uint8_t *)"abc", 3, out);
      text = hex (out, peer_hash_size (hashes[i].function));
      g_assert_cmpstr (text, ==, hashes[i].abc);
    }
    g_assert_cmpuint (peer_hasher_count (hasher), ==, 3);
  }
  g_assert_cmpuint (peer_hash_size ((PeerHashFunction)5), ==, 0);
}

static void
test_parent (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (hashes); i++) {
    g_autoptr (PeerHasher) hasher = peer_hasher_new (hashes[i].function);
    size_t size = peer_hash_size (hashes[i].function);
    uint8_t both[2 * PEER_HASH_MAX] = {0}, expected[PEER_HASH_MAX], out[PEER_HASH_MAX];
    static const uint8_t zeros[PEER_HASH_MAX];

    /* RFC 7574, 5.1: two paddings make a padding, and cost nothing */
    peer_hasher_parent (hasher, zeros, zeros, out);
    g_assert_cmpmem (out, size, zeros, size);
    g_assert_cmpuint (peer_hasher_count (hasher), ==, 0);

    both[0] = 7;
    peer_hasher_chunk (hasher, both, 2 * size, expected);
    peer_hasher_parent (hasher, both, both + size, out);
    g_assert_cmpmem (out, size, expected, size);
    memcpy (out, both, size); /* the result may fall on an input */
    peer_hasher_parent (hasher, out, zeros, out);
    g_assert_cmpmem (out, size, expected, size);
  }
}

static void
check_tampering (PeerVerifier *verifier, const uint8_t *bytes, size_t n, uint8_t *signature,
                 size_t size)
{
  uint8_t changed[64];

  g_assert_cmpuint (n, <=, sizeof changed);
  for (size_t bit = 0; bit < 8 * n; bit += 7) {
    memcpy (changed, bytes, n);
    changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    g_assert_false (peer_verifier_check (verifier, changed, n, signature, size));
  }
  for (size_t bit = 0; bit < 8 * size; bit += 61) {
    signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    g_assert_false (peer_verifier_check (verifier, bytes, n, signature, size));
    signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  g_assert_false (peer_verifier_check (verifier, bytes, n - 1, signature, size));
  g_assert_false (peer_verifier_check (verifier, bytes, n, signature, size - 1));
  g_assert_false (peer_verifier_check (verifier, bytes, n, signature, 0));
}

static void
test_sign_and_check (gconstpointer data)
{
  PeerSignatureAlgorithm algorithm = *(const PeerSignatureAlgorithm *)data;
  static const uint8_t text[] = "munro, time, hash";
  uint8_t zeros[PEER_SIGNATURE_MAX] = {0}, ones[PEER_SIGNATURE_MAX];
  uint8_t signature[PEER_SIGNATURE_MAX];
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerKey) key = peer_key_generate (algorithm, &error);
  g_autoptr (PeerKey) other = peer_key_generate (algorithm, &error);
  g_autoptr (PeerVerifier) verifier = NULL;
  PeerContent content;
  size_t size;

  g_assert_no_error (error);
  peer_content_init_live (&content);
  peer_key_swarm_id (key, &content);
  g_assert_cmpint (content.signature, ==, algorithm);
  g_assert_cmpuint (content.swarm_id[0], ==, algorithm);
  g_assert_true (peer_content_check (&content, &error));
  verifier = peer_verifier_new (content.swarm_id, content.swarm_id_size, &error);
  g_assert_no_error (error);

  /* Many, since an r or s with zeros in front comes once in 256. */
  for (int i = 0; i < (algorithm == PEER_SIGNATURE_ECDSAP256SHA256 ? 600 : 5); i++) {
    size = peer_key_sign (key, text, sizeof text, signature);
    g_assert_cmpuint (size, ==, peer_content_signature_size (&content));
    g_assert_cmpuint (size, ==, peer_verifier_signature_size (verifier));
    g_assert_true (peer_verifier_check (verifier, text, sizeof text, signature, size));
  }
  check_tampering (verifier, text, sizeof text, signature, size);
  memset (ones, 0xff, sizeof ones);
  g_assert_false (peer_verifier_check (verifier, text, sizeof text, zeros, size));
  g_assert_false (peer_verifier_check (verifier, text, sizeof text, ones, size));
  size = peer_key_sign (other, text, sizeof text, signature);
  g_assert_false (peer_verifier_check (verifier, text, sizeof text, signature, size));
}

static const GByteArray *
find_part (const GPtrArray *entries, PeerSignatureAlgorithm algorithm, const char *part)
{
  g_autofree char *name = g_strdup_printf ("%d %s", algorithm, part);

  return golden_find (entries, name);
}

static void
test_known_signatures (gconstpointer data)
{
  PeerSignatureAlgorithm algorithm = *(const PeerSignatureAlgorithm *)data;
  g_autoptr (GPtrArray) entries = golden_read ("golden/signatures.txt");
  const GByteArray *id = find_part (entries, algorithm, "id");
  const GByteArray *text = find_part (entries, algorithm, "text");
  const GByteArray *signature = find_part (entries, algorithm, "signature");
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerVerifier) verifier = peer_verifier_new (id->data, id->len, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (peer_verifier_signature_size (verifier), ==, signature->len);
  g_assert_true (
      peer_verifier_check (verifier, text->data, text->len, signature->data, signature->len));
  text->data[text->len / 2] ^= 1;
  g_assert_false (
      peer_verifier_check (verifier, text->data, text->len, signature->data, signature->len));
  g_assert_cmpuint (peer_verifier_count (verifier), ==, 2);
}

static void
test_pem (gconstpointer data)
{
  PeerSignatureAlgorithm algorithm = *(const PeerSignatureAlgorithm *)data;
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerKey) key = peer_key_generate (algorithm, &error);
  g_autofree char *pem = peer_key_to_pem (key, &error);
  g_autoptr (PeerKey) again = peer_key_from_pem (pem, &error);
  PeerContent a, b;

  g_assert_no_error (error);
  g_assert_nonnull (strstr (pem, "-----BEGIN PRIVATE KEY-----\n"));
  peer_content_init_live (&a);
  peer_content_init_live (&b);
  peer_key_swarm_id (key, &a);
  peer_key_swarm_id (again, &b);
  g_assert_cmpmem (a.swarm_id, a.swarm_id_size, b.swarm_id, b.swarm_id_size);
  g_assert_cmpint (b.signature, ==, algorithm);
}

static void
test_bad_pem (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerKey) key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
  g_autofree char *pem = peer_key_to_pem (key, &error);

  g_assert_null (peer_key_from_pem ("", &error));
  g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY);
  g_clear_error (&error);
  for (size_t n = strlen (pem) - 2; n > 0; n -= MIN (n, 5)) {
    pem[n] = '\0';
    g_assert_null (peer_key_from_pem (pem, &error));
    g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY);
    g_clear_error (&error);
  }
}

/* Keys that are well, but of no use to a swarm: P-521, Ed25519 (RFC 8410, 10.3), RSA with 768 bits,
 * and one that asks for a passphrase where nobody sits. */
static void
test_other_keys (void)
{
  static const char *const keys[] = {
      "-----BEGIN PRIVATE KEY-----\n"
      "MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAHtHm0Mf6w688Hggd\n"
      "2YoC1ms1T/EjHrCdQuNUygJ1ctHL8RKtKWjw343Wu6tuM7JtCXX2sgdlD131zRq/\n"
      "GoDKKTShgYkDgYYABAEhILVf3tWUt26yd0uKdMKOHfaC8kgrMubS3zjo/fSQRmfp\n"
      "e/oM+dQzr5+TCMVhY00iT+sBRmBbfKVgGsHHFYUHywCwPDGjzkw31lbNg0Mg9s/r\n"
      "6TANO5bN9cq/1jaIpZF9r46MsgR5+M9r+nfmtnTV/NQ/DB4dh7BbuKNlJFurLnxM\n"
      "tA==\n"
      "-----END PRIVATE KEY-----\n",
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
      "-----END PRIVATE KEY-----\n",
      "-----BEGIN PRIVATE KEY-----\n"
      "MIIB5QIBADANBgkqhkiG9w0BAQEFAASCAc8wggHLAgEAAmEA28/Mhs3FGJFyJlfg\n"
      "8KC+H7IMDswUaWE+TeRPMQ2JBo8LYTRRKD7IGwvayRME8oCyvu381mLELRJpa71T\n"
      "pQPt5G2ZI3OVb80Sed9oDjljWYGIFreatpZsePZYrq4+2ivxAgMBAAECYQDGimPn\n"
      "YtbiwQTE411Wmyn/QPepKeZJ5L685jotSVd6KBwUOYgQfNyLqWJ9egNe8qRT9FPW\n"
      "WTpXQdBxbA4Agctu/wu+Uzry64OMF88tx88yFZDnBYVssNjORhuq7zHQuAECMQD3\n"
      "DjvsZCyJBMWAb5AOoQxJHNY6i3Cp+sgQAwsKtaivp0DHUBQS2bzUeKy3PP5a4nEC\n"
      "MQDjxQ//KMSfyL2bVo3k3OpmUq7Ca+g3wN5qLMnVVei/cmUuvhUpxEPgBUgChL11\n"
      "oYECMQDeSeFi3fMwSanG2Rp9/yvFsPuUa5gwaOOPfJ13wmGHwm5Hp2aYW29KoVWN\n"
      "/YRClBECMBUBa4RAokGKJdJZnSRqK0PchDlx8iySIPDxyHtgPOLLDgHNje4YJ5pV\n"
      "Ylq5Gy/qAQIwcarAF/9rwoy98C4nz0y9dFlYLvE2oAetzGO7Qhv79ECjSBAx4MVg\n"
      "YPni/L71bMN0\n"
      "-----END PRIVATE KEY-----\n",
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
      "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgrQ5aFCvL2UQICCAAw\n"
      "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEHjjDTr4L6ntFOgoUZXF51gEgZA3\n"
      "XzSgPuRbYcxfQz9rNOXSe+nFfNJxatMGTTOQ2eI2wXY4PCMy3Np/Ipyg8U2BAR1k\n"
      "d7au6kBjwpweJWz9TImDQst5qGDGf/+9GrTbb6xTjwPowOiV7vavJ4aVdmi4Ob4X\n"
      "S6nQWeiFMjfNnte8WEHJvuYyShAeeGZNDNLWOYWAxMdlhR5wMAX0Ulpf0pdw4Lc=\n"
      "-----END ENCRYPTED PRIVATE KEY-----\n",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (keys); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (peer_key_from_pem (keys[i], &error));
    g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY);
    g_assert_null (strchr (error->message, '\n'));
  }
}

static void
assert_bad_id (const uint8_t *id, size_t n)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (peer_verifier_new (id, n, &error));
  g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY);
}

static void
test_bad_ids (void)
{
  for (size_t i = 0; i < G_N_ELEMENTS (signatures); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (PeerKey) key = peer_key_generate (signatures[i], &error);
    PeerContent content;
    uint8_t *id = content.swarm_id;

    peer_content_init_live (&content);
    peer_key_swarm_id (key, &content);
    for (size_t n = 0; n < content.swarm_id_size; n += n < 8 ? 1 : 13) {
      if (n > 1 + 1 + 3 + 128 && id[0] < PEER_SIGNATURE_ECDSAP256SHA256)
        break; /* from here on it is another RSA key, as short as is allowed */
      assert_bad_id (id, n);
    }
    id[content.swarm_id_size] = 1;
    if (id[0] >= PEER_SIGNATURE_ECDSAP256SHA256) {
      assert_bad_id (id, content.swarm_id_size + 1u);
      id[content.swarm_id_size - 1] ^= 1; /* no point of the curve */
      assert_bad_id (id, content.swarm_id_size);
      memset (id + 1, 0, content.swarm_id_size - 1u);
      assert_bad_id (id, content.swarm_id_size);
      memset (id + 1, 0xff, content.swarm_id_size - 1u);
      assert_bad_id (id, content.swarm_id_size);
    } else {
      id[4] = 3; /* the exponent 65539 */
      assert_bad_id (id, content.swarm_id_size);
      id[4] = 1;
      id[5] = 0; /* a zero before the modulus */
      assert_bad_id (id, content.swarm_id_size);
    }
    id[0] = 1; /* RSAMD5 */
    assert_bad_id (id, content.swarm_id_size);
  }
}

static void
test_rsa_bounds (void)
{
  uint8_t id[PEER_SWARM_ID_MAX] = {PEER_SIGNATURE_RSASHA256, 1, 3, 0x80};
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerVerifier) verifier = NULL;

  id[2 + 512] = 1;
  verifier = peer_verifier_new (id, 3 + 512, &error); /* 4096 bits, exponent 3 */
  g_assert_no_error (error);
  g_assert_cmpuint (peer_verifier_signature_size (verifier), ==, 512);
  id[2 + 513] = 1;
  assert_bad_id (id, 3 + 513); /* 4104 bits */
  id[1] = 0;                   /* the long form of the exponent's size */
  assert_bad_id (id, 3 + 512);
  id[1] = 255;
  assert_bad_id (id, 3 + 100);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/crypto/hashes-are-those-of-fips-180-4", test_hashes);
  g_test_add_func ("/peer/crypto/parent-of-two-zeros-is-zero", test_parent);
  for (size_t i = 0; i < G_N_ELEMENTS (signatures); i++) {
    g_autofree char *sign = g_strdup_printf ("/peer/crypto/signs-and-checks/%d", signatures[i]);
    g_autofree char *known = g_strdup_printf ("/peer/crypto/known-signatures/%d", signatures[i]);
    g_autofree char *pem = g_strdup_printf ("/peer/crypto/pem-keeps-the-key/%d", signatures[i]);

    g_test_add_data_func (known, &signatures[i], test_known_signatures);
    g_test_add_data_func (sign, &signatures[i], test_sign_and_check);
    g_test_add_data_func (pem, &signatures[i], test_pem);
  }
  g_test_add_func ("/peer/crypto/bad-pem-is-refused", test_bad_pem);
  g_test_add_func ("/peer/crypto/keys-of-no-use-are-refused", test_other_keys);
  g_test_add_func ("/peer/crypto/bad-swarm-ids-are-refused", test_bad_ids);
  g_test_add_func ("/peer/crypto/rsa-keys-have-bounds", test_rsa_bounds);
  return g_test_run ();
}
