/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and signatures on OpenSSL's libcrypto.
 *
 * Two habits keep this off the profile. Digests are made by the functions of each algorithm, on a
 * state that is reused: the general ones (EVP) allocate one for each hash up to OpenSSL 3.0, look
 * up what they have found before, and take a fifth longer for a chunk and a node. They are marked
 * as deprecated there, which is no word against what they compute. Signatures are made and checked
 * over a digest with a key context that is initialised once.
 *
 * A swarm ID of a live swarm (RFC 7574, 6.1) is an algorithm number and the key as in a DNSKEY
 * record:
 *
 *   ECDSA (RFC 6605, 4)     | 13 or 14 | X | Y |                       32 or 48 bytes each
 *   RSA (RFC 3110, 2)       | 5 or 8   | n | exponent | modulus |      n: bytes of the exponent
 *
 * An ECDSA signature is r | s, each as wide as the curve (RFC 6605, 4); libcrypto wants DER. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "peer/crypto.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIGNUM, BN_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_MD, EVP_MD_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ECDSA_SIG, ECDSA_SIG_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY_CTX, EVP_PKEY_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (OSSL_PARAM, OSSL_PARAM_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ASN1_TIME, ASN1_STRING_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GENERAL_NAMES, GENERAL_NAMES_free)

#define RSA_BITS 2048      /* of keys that we make */
#define RSA_BITS_MIN 1024  /* ours: RFC 5702 allows 512, which anybody can factor by now */
#define RSA_BITS_MAX 4096  /* RFC 3110, section 2 */
#define ECDSA_FIELD_MAX 48 /* bytes: P-384 */
#define ECDSA_DER_MAX (2 * (ECDSA_FIELD_MAX + 3) + 3)

/* PKCS #8 does not say with which digest an RSA key signs. This line before the PEM does
 * (RFC 7468, section 2 lets explanatory text stand there). */
#define RSASHA1_LINE "Signature-Algorithm: RSASHA1\n"

typedef struct {
  PeerSignatureAlgorithm number;
  const char *name;
  PeerHashFunction hash;
  const char *curve; /* NULL = RSA */
  size_t field;      /* bytes of a coordinate */
} Algorithm;

static const Algorithm algorithms[] = {
    {PEER_SIGNATURE_RSASHA1, "RSASHA1", PEER_HASH_SHA1, NULL, 0},
    {PEER_SIGNATURE_RSASHA256, "RSASHA256", PEER_HASH_SHA256, NULL, 0},
    {PEER_SIGNATURE_ECDSAP256SHA256, "ECDSAP256SHA256", PEER_HASH_SHA256, "prime256v1", 32},
    {PEER_SIGNATURE_ECDSAP384SHA384, "ECDSAP384SHA384", PEER_HASH_SHA384, "secp384r1", 48},
};

static const char *const hash_names[] = {"SHA1", "SHA224", "SHA256", "SHA384", "SHA512"};

struct PeerHasher {
  PeerHashFunction function;
  size_t size; /* bytes */
  uint64_t count;
  union {
    SHA_CTX sha1;
    SHA256_CTX sha256; /* and SHA-224 */
    SHA512_CTX sha512; /* and SHA-384 */
  } state;
};

struct PeerKey {
  const Algorithm *algorithm;
  EVP_PKEY *key;
  EVP_PKEY_CTX *context;
  PeerHasher *hasher;
};

struct PeerVerifier {
  const Algorithm *algorithm;
  EVP_PKEY *key;
  EVP_PKEY_CTX *context;
  PeerHasher *hasher;
  size_t signature_size; /* bytes */
  uint64_t count;
};

static const Algorithm *
find_algorithm (int number)
{
  for (size_t i = 0; i < G_N_ELEMENTS (algorithms); i++) {
    if ((int)algorithms[i].number == number)
      return &algorithms[i];
  }
  return NULL;
}

/* Says what libcrypto says, and leaves its queue empty. */
static void
set_crypto_error (GError **error, const char *what)
{
  char reason[256];

  ERR_error_string_n (ERR_get_error (), reason, sizeof reason);
  g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY, "%s: %s", what, reason);
  ERR_clear_error ();
}

PeerHasher *
peer_hasher_new (PeerHashFunction function)
{
  PeerHasher *self;

  g_return_val_if_fail ((size_t)function < G_N_ELEMENTS (hash_names), NULL);

  self = g_new0 (PeerHasher, 1);
  self->function = function;
  self->size = peer_hash_size (function);
  return self;
}

void
peer_hasher_free (PeerHasher *self)
{
  g_free (self);
}

static bool
hash_bytes (PeerHasher *self, const uint8_t *bytes, size_t n, uint8_t *out)
{
  SHA_CTX *sha1 = &self->state.sha1;
  SHA256_CTX *sha256 = &self->state.sha256;
  SHA512_CTX *sha512 = &self->state.sha512;

  switch (self->function) {
  case PEER_HASH_SHA1:
    return SHA1_Init (sha1) == 1 && SHA1_Update (sha1, bytes, n) == 1 &&
           SHA1_Final (out, sha1) == 1;
  case PEER_HASH_SHA224:
    return SHA224_Init (sha256) == 1 && SHA224_Update (sha256, bytes, n) == 1 &&
           SHA224_Final (out, sha256) == 1;
  case PEER_HASH_SHA256:
    return SHA256_Init (sha256) == 1 && SHA256_Update (sha256, bytes, n) == 1 &&
           SHA256_Final (out, sha256) == 1;
  case PEER_HASH_SHA384:
    return SHA384_Init (sha512) == 1 && SHA384_Update (sha512, bytes, n) == 1 &&
           SHA384_Final (out, sha512) == 1;
  case PEER_HASH_SHA512:
    return SHA512_Init (sha512) == 1 && SHA512_Update (sha512, bytes, n) == 1 &&
           SHA512_Final (out, sha512) == 1;
  }
  return false;
}

void
peer_hasher_chunk (PeerHasher *self, const uint8_t *bytes, size_t n, uint8_t *out)
{
  self->count++;
  if (!hash_bytes (self, bytes, n, out))
    g_error ("libcrypto cannot hash"); /* without it nothing can be believed */
}

void
peer_hasher_parent (PeerHasher *self, const uint8_t *left, const uint8_t *right, uint8_t *out)
{
  static const uint8_t zeros[2 * PEER_HASH_MAX];
  uint8_t both[2 * PEER_HASH_MAX];

  memcpy (both, left, self->size);
  memcpy (both + self->size, right, self->size);
  if (memcmp (both, zeros, 2 * self->size) == 0)
    memset (out, 0, self->size); /* section 5.1: padding has no parent but padding */
  else
    peer_hasher_chunk (self, both, 2 * self->size, out);
}

uint64_t
peer_hasher_count (const PeerHasher *self)
{
  return self->count;
}

/* A context that signs (or checks) digests with key. */
static EVP_PKEY_CTX *
signature_context (const Algorithm *algorithm, EVP_PKEY *key, bool sign)
{
  g_autoptr (EVP_PKEY_CTX) context = EVP_PKEY_CTX_new_from_pkey (NULL, key, NULL);
  g_autoptr (EVP_MD) digest = EVP_MD_fetch (NULL, hash_names[algorithm->hash], NULL);

  if (context == NULL || digest == NULL)
    return NULL;
  if ((sign ? EVP_PKEY_sign_init (context) : EVP_PKEY_verify_init (context)) != 1)
    return NULL;
  if (algorithm->curve == NULL && EVP_PKEY_CTX_set_rsa_padding (context, RSA_PKCS1_PADDING) != 1)
    return NULL;
  if (EVP_PKEY_CTX_set_signature_md (context, digest) != 1)
    return NULL;
  return g_steal_pointer (&context);
}

/* Takes the reference of key over. */
static PeerKey *
key_new (const Algorithm *algorithm, EVP_PKEY *key, GError **error)
{
  PeerKey *self = g_new0 (PeerKey, 1);

  self->algorithm = algorithm;
  self->key = key;
  self->hasher = peer_hasher_new (algorithm->hash);
  self->context = signature_context (algorithm, key, true);
  if (self->context == NULL) {
    set_crypto_error (error, "this key cannot sign");
    peer_key_free (self);
    return NULL;
  }
  return self;
}

PeerKey *
peer_key_generate (PeerSignatureAlgorithm number, GError **error)
{
  const Algorithm *algorithm = find_algorithm ((int)number);
  EVP_PKEY *key;

  if (algorithm == NULL) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY, "unknown live signature algorithm %d",
                 (int)number);
    return NULL;
  }
  key = algorithm->curve != NULL ? EVP_EC_gen (algorithm->curve) : EVP_RSA_gen (RSA_BITS);
  if (key == NULL) {
    set_crypto_error (error, "cannot make a key");
    return NULL;
  }
  return key_new (algorithm, key, error);
}

/* Nobody is there to ask: an encrypted key is refused. */
static int
no_passphrase (char *out, int size, int writing, void *data)
{
  return -1;
}

/* What this key signs with; NULL if it is of a kind that the protocol does not know. */
static const Algorithm *
algorithm_of_key (EVP_PKEY *key, bool rsa_with_sha1)
{
  char curve[32];

  if (EVP_PKEY_is_a (key, "RSA")) {
    int bits = EVP_PKEY_get_bits (key);

    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
      return NULL;
    return find_algorithm (rsa_with_sha1 ? PEER_SIGNATURE_RSASHA1 : PEER_SIGNATURE_RSASHA256);
  }
  if (!EVP_PKEY_is_a (key, "EC") || EVP_PKEY_get_group_name (key, curve, sizeof curve, NULL) != 1)
    return NULL;
  for (size_t i = 0; i < G_N_ELEMENTS (algorithms); i++) {
    if (g_strcmp0 (algorithms[i].curve, curve) == 0)
      return &algorithms[i];
  }
  return NULL;
}

PeerKey *
peer_key_from_pem (const char *pem, GError **error)
{
  g_autoptr (BIO) bio = BIO_new_mem_buf (pem, -1);
  EVP_PKEY *key = PEM_read_bio_PrivateKey (bio, NULL, no_passphrase, NULL);
  const Algorithm *algorithm;

  if (key == NULL) {
    set_crypto_error (error, "this is no private key in PEM without a passphrase");
    return NULL;
  }
  algorithm = algorithm_of_key (key, g_str_has_prefix (pem, RSASHA1_LINE));
  if (algorithm == NULL) {
    EVP_PKEY_free (key);
    ERR_clear_error ();
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY,
                 "the key is of no kind that a swarm can have: P-256, P-384, or RSA with "
                 "%d to %d bits",
                 RSA_BITS_MIN, RSA_BITS_MAX);
    return NULL;
  }
  return key_new (algorithm, key, error);
}

char *
peer_key_to_pem (const PeerKey *self, GError **error)
{
  /* Secure memory is wiped as it is freed. */
  g_autoptr (BIO) bio = BIO_new (BIO_s_secmem ());
  char *text;
  long n;

  if (bio == NULL ||
      PEM_write_bio_PKCS8PrivateKey (bio, self->key, NULL, NULL, 0, NULL, NULL) != 1) {
    set_crypto_error (error, "cannot write the key");
    return NULL;
  }
  n = BIO_get_mem_data (bio, &text);
  return g_strdup_printf ("%s%.*s",
                          self->algorithm->number == PEER_SIGNATURE_RSASHA1 ? RSASHA1_LINE : "",
                          (int)n, text);
}

void
peer_secret_free (char *secret)
{
  if (secret != NULL)
    OPENSSL_cleanse (secret, strlen (secret));
  g_free (secret);
}

void
peer_key_free (PeerKey *self)
{
  if (self == NULL)
    return;
  EVP_PKEY_CTX_free (self->context);
  EVP_PKEY_free (self->key);
  peer_hasher_free (self->hasher);
  g_free (self);
}

/* Returns the bytes written; 0 = failed. */
static size_t
write_ecdsa_key (const PeerKey *self, uint8_t *out)
{
  g_autoptr (BIGNUM) x = NULL;
  g_autoptr (BIGNUM) y = NULL;
  int field = (int)self->algorithm->field;

  if (EVP_PKEY_get_bn_param (self->key, OSSL_PKEY_PARAM_EC_PUB_X, &x) != 1 ||
      EVP_PKEY_get_bn_param (self->key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) != 1 ||
      BN_bn2binpad (x, out, field) != field || BN_bn2binpad (y, out + field, field) != field)
    return 0;
  return 2 * (size_t)field;
}

static size_t
write_rsa_key (const PeerKey *self, uint8_t *out, size_t room)
{
  g_autoptr (BIGNUM) e = NULL;
  g_autoptr (BIGNUM) n = NULL;
  size_t exponent, modulus;

  if (EVP_PKEY_get_bn_param (self->key, OSSL_PKEY_PARAM_RSA_E, &e) != 1 ||
      EVP_PKEY_get_bn_param (self->key, OSSL_PKEY_PARAM_RSA_N, &n) != 1)
    return 0;
  exponent = (size_t)BN_num_bytes (e);
  modulus = (size_t)BN_num_bytes (n);
  /* The long form is for exponents of over 255 bytes, which no peer takes. */
  if (exponent > 255 || 1 + exponent + modulus > room)
    return 0;
  out[0] = (uint8_t)exponent;
  BN_bn2bin (e, out + 1);
  BN_bn2bin (n, out + 1 + exponent);
  return 1 + exponent + modulus;
}

void
peer_key_swarm_id (const PeerKey *self, PeerContent *out)
{
  size_t n;

  memset (out->swarm_id, 0, sizeof out->swarm_id);
  out->swarm_id[0] = (uint8_t)self->algorithm->number;
  if (self->algorithm->curve != NULL)
    n = write_ecdsa_key (self, out->swarm_id + 1);
  else
    n = write_rsa_key (self, out->swarm_id + 1, PEER_SWARM_ID_MAX - 1);
  out->swarm_id_size = (uint16_t)(n == 0 ? 0 : 1 + n);
  out->signature = self->algorithm->number;
}

/* DER to r | s. Returns the bytes written; 0 = failed. */
static size_t
ecdsa_from_der (const uint8_t *der, size_t n, size_t field, uint8_t *out)
{
  g_autoptr (ECDSA_SIG) signature = d2i_ECDSA_SIG (NULL, &der, (long)n);

  if (signature == NULL)
    return 0;
  if (BN_bn2binpad (ECDSA_SIG_get0_r (signature), out, (int)field) < 0 ||
      BN_bn2binpad (ECDSA_SIG_get0_s (signature), out + field, (int)field) < 0)
    return 0;
  return 2 * field;
}

/* An unsigned integer of field bytes as a DER INTEGER: no zeros in front, but for one where the
 * first bit is set. Returns the bytes written. */
static size_t
write_der_integer (const uint8_t *bytes, size_t field, uint8_t *out)
{
  size_t pad;

  while (field > 1 && *bytes == 0) {
    bytes++;
    field--;
  }
  pad = (*bytes & 0x80) != 0 ? 1 : 0;
  out[0] = 0x02;
  out[1] = (uint8_t)(field + pad);
  out[2] = 0;
  memcpy (out + 2 + pad, bytes, field);
  return 2 + pad + field;
}

/* r | s to DER: SEQUENCE { INTEGER r, INTEGER s }. Two integers of P-384 take 102 bytes at most, so
 * each length fits the short form. */
static size_t
ecdsa_to_der (const uint8_t *signature, size_t field, uint8_t *out)
{
  size_t n = write_der_integer (signature, field, out + 2);

  n += write_der_integer (signature + field, field, out + 2 + n);
  out[0] = 0x30;
  out[1] = (uint8_t)n;
  return 2 + n;
}

size_t
peer_key_sign (PeerKey *self, const uint8_t *bytes, size_t n, uint8_t *out)
{
  uint8_t digest[PEER_HASH_MAX];
  uint8_t signature[PEER_SIGNATURE_MAX];
  size_t size = sizeof signature;

  peer_hasher_chunk (self->hasher, bytes, n, digest);
  if (EVP_PKEY_sign (self->context, signature, &size, digest, self->hasher->size) != 1) {
    ERR_clear_error ();
    return 0;
  }
  if (self->algorithm->curve != NULL)
    return ecdsa_from_der (signature, size, self->algorithm->field, out);
  memcpy (out, signature, size);
  return size;
}

static EVP_PKEY *
key_from_parameters (const char *type, OSSL_PARAM_BLD *builder)
{
  g_autoptr (OSSL_PARAM) parameters = builder != NULL ? OSSL_PARAM_BLD_to_param (builder) : NULL;
  g_autoptr (EVP_PKEY_CTX) context = EVP_PKEY_CTX_new_from_name (NULL, type, NULL);
  EVP_PKEY *key = NULL;

  if (parameters == NULL || context == NULL || EVP_PKEY_fromdata_init (context) != 1 ||
      EVP_PKEY_fromdata (context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
    return NULL;
  return key;
}

static EVP_PKEY *
read_ecdsa_key (const Algorithm *algorithm, const uint8_t *bytes, size_t n, GError **error)
{
  g_autoptr (OSSL_PARAM_BLD) builder = OSSL_PARAM_BLD_new ();
  g_autoptr (EVP_PKEY_CTX) context = NULL;
  uint8_t point[1 + 2 * ECDSA_FIELD_MAX] = {0x04}; /* SEC 1: an uncompressed point */
  EVP_PKEY *key;

  if (n != 2 * algorithm->field) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY, "a key of %s has %u bytes, not %u",
                 algorithm->name, (unsigned)(2 * algorithm->field), (unsigned)n);
    return NULL;
  }
  memcpy (point + 1, bytes, n);
  if (builder != NULL) {
    OSSL_PARAM_BLD_push_utf8_string (builder, OSSL_PKEY_PARAM_GROUP_NAME, algorithm->curve, 0);
    OSSL_PARAM_BLD_push_octet_string (builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + n);
  }
  key = key_from_parameters ("EC", builder);
  if (key != NULL)
    context = EVP_PKEY_CTX_new_from_pkey (NULL, key, NULL);
  if (context == NULL || EVP_PKEY_public_check (context) != 1) {
    EVP_PKEY_free (key);
    set_crypto_error (error, "the key is no point of its curve");
    return NULL;
  }
  return key;
}

static EVP_PKEY *
read_rsa_key (const uint8_t *bytes, size_t n, GError **error)
{
  static const uint8_t three[] = {3}, f4[] = {1, 0, 1};
  g_autoptr (OSSL_PARAM_BLD) builder = OSSL_PARAM_BLD_new ();
  g_autoptr (BIGNUM) exponent = NULL;
  g_autoptr (BIGNUM) modulus = NULL;
  EVP_PKEY *key;
  size_t e = n > 0 ? bytes[0] : 0;
  int bits;

  if (n < 1 + e || !((e == 1 && memcmp (bytes + 1, three, 1) == 0) ||
                     (e == 3 && memcmp (bytes + 1, f4, 3) == 0))) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY,
                 "the exponent of the RSA key is neither 3 nor 65537");
    return NULL;
  }
  exponent = BN_bin2bn (bytes + 1, (int)e, NULL);
  modulus = BN_bin2bn (bytes + 1 + e, (int)(n - 1 - e), NULL);
  if (builder == NULL || exponent == NULL || modulus == NULL) {
    set_crypto_error (error, "cannot read the RSA key");
    return NULL;
  }
  bits = BN_num_bits (modulus);
  /* RFC 3110, section 2 prohibits leading zeros. */
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || bytes[1 + e] == 0 || !BN_is_odd (modulus)) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY,
                 "the modulus of the RSA key is not an odd number of %d to %d bits without leading "
                 "zeros",
                 RSA_BITS_MIN, RSA_BITS_MAX);
    return NULL;
  }
  OSSL_PARAM_BLD_push_BN (builder, OSSL_PKEY_PARAM_RSA_E, exponent);
  OSSL_PARAM_BLD_push_BN (builder, OSSL_PKEY_PARAM_RSA_N, modulus);
  key = key_from_parameters ("RSA", builder);
  if (key == NULL)
    set_crypto_error (error, "this is no RSA key");
  return key;
}

PeerVerifier *
peer_verifier_new (const uint8_t *swarm_id, size_t n, GError **error)
{
  const Algorithm *algorithm = n > 0 ? find_algorithm (swarm_id[0]) : NULL;
  PeerVerifier *self;
  EVP_PKEY *key;

  if (algorithm == NULL) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_KEY,
                 "the swarm ID begins with no signature algorithm that is known");
    return NULL;
  }
  if (algorithm->curve != NULL)
    key = read_ecdsa_key (algorithm, swarm_id + 1, n - 1, error);
  else
    key = read_rsa_key (swarm_id + 1, n - 1, error);
  if (key == NULL)
    return NULL;

  self = g_new0 (PeerVerifier, 1);
  self->algorithm = algorithm;
  self->key = key;
  self->hasher = peer_hasher_new (algorithm->hash);
  self->context = signature_context (algorithm, key, false);
  self->signature_size =
      algorithm->curve != NULL ? 2 * algorithm->field : (size_t)EVP_PKEY_get_size (key);
  if (self->context == NULL) {
    set_crypto_error (error, "this key cannot check signatures");
    peer_verifier_free (self);
    return NULL;
  }
  return self;
}

void
peer_verifier_free (PeerVerifier *self)
{
  if (self == NULL)
    return;
  EVP_PKEY_CTX_free (self->context);
  EVP_PKEY_free (self->key);
  peer_hasher_free (self->hasher);
  g_free (self);
}

size_t
peer_verifier_signature_size (const PeerVerifier *self)
{
  return self->signature_size;
}

bool
peer_verifier_check (PeerVerifier *self, const uint8_t *bytes, size_t n, const uint8_t *signature,
                     size_t signature_size)
{
  uint8_t digest[PEER_HASH_MAX];
  uint8_t der[ECDSA_DER_MAX];

  if (signature_size != self->signature_size)
    return false;
  self->count++;
  peer_hasher_chunk (self->hasher, bytes, n, digest);
  if (self->algorithm->curve != NULL) {
    signature_size = ecdsa_to_der (signature, self->algorithm->field, der);
    signature = der;
  }
  int answer =
      EVP_PKEY_verify (self->context, signature, signature_size, digest, self->hasher->size);
  /* Neither yes nor no: trouble of this machine's, for which the peer that sent it must not pay. */
  if (answer < 0)
    answer = EVP_PKEY_verify (self->context, signature, signature_size, digest, self->hasher->size);
  ERR_clear_error ();
  return answer == 1;
}

uint64_t
peer_verifier_count (const PeerVerifier *self)
{
  return self->count;
}

/* --- certificates (8.13) --- */

#define SERIAL_BYTES 16
#define X509_V3 2 /* RFC 5280, 4.1.2.1 */

static bool
fingerprint_of (EVP_PKEY *key, uint8_t *out)
{
  uint8_t *der = NULL;
  int n = i2d_PUBKEY (key, &der);
  bool ok = n > 0 && EVP_Digest (der, (size_t)n, out, NULL, EVP_sha256 (), NULL) == 1;

  OPENSSL_free (der);
  ERR_clear_error ();
  return ok;
}

bool
peer_key_fingerprint (const PeerKey *self, uint8_t *out)
{
  return fingerprint_of (self->key, out);
}

/* RFC 5280, 4.2.1.6: the subject may be empty where the alternative name is critical. */
static bool
add_name (X509 *x509, const char *uri)
{
  g_autoptr (GENERAL_NAMES) names = GENERAL_NAMES_new ();
  GENERAL_NAME *name = GENERAL_NAME_new ();
  ASN1_IA5STRING *text = ASN1_IA5STRING_new ();

  if (names == NULL || name == NULL || text == NULL ||
      ASN1_STRING_set (text, uri, (int)strlen (uri)) != 1) {
    GENERAL_NAME_free (name);
    ASN1_IA5STRING_free (text);
    return false;
  }
  GENERAL_NAME_set0_value (name, GEN_URI, text);
  if (sk_GENERAL_NAME_push (names, name) <= 0) {
    GENERAL_NAME_free (name);
    return false;
  }
  return X509_add1_ext_i2d (x509, NID_subject_alt_name, names, 1, X509V3_ADD_DEFAULT) == 1;
}

static bool
add_times (X509 *x509, int64_t not_before, int64_t not_after)
{
  /* 8.13: UTCTime, which ends with the year 2049 */
  g_autoptr (ASN1_TIME) from = ASN1_UTCTIME_set (NULL, (time_t)not_before);
  g_autoptr (ASN1_TIME) to = ASN1_UTCTIME_set (NULL, (time_t)not_after);

  return from != NULL && to != NULL && X509_set1_notBefore (x509, from) == 1 &&
         X509_set1_notAfter (x509, to) == 1;
}

static bool
add_serial (X509 *x509, const uint8_t *serial)
{
  uint8_t bytes[SERIAL_BYTES];
  g_autoptr (BIGNUM) number = NULL;

  memcpy (bytes, serial, sizeof bytes);
  bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* RFC 5280, 4.1.2.2: positive */
  number = BN_bin2bn (bytes, sizeof bytes, NULL);
  return number != NULL && BN_to_ASN1_INTEGER (number, X509_get_serialNumber (x509)) != NULL;
}

GBytes *
peer_key_certify (PeerKey *self, const char *uri, int64_t not_before, int64_t not_after,
                  const uint8_t *serial)
{
  g_autoptr (X509) x509 = X509_new ();
  uint8_t *der = NULL;
  int n = -1;
  GBytes *bytes;

  if (x509 != NULL && self->algorithm->number == PEER_SIGNATURE_ECDSAP256SHA256 &&
      X509_set_version (x509, X509_V3) == 1 && add_serial (x509, serial) &&
      /* RFC 5280, 4.1.2.4: an issuer has a name */
      X509_NAME_add_entry_by_NID (X509_get_issuer_name (x509), NID_commonName, MBSTRING_ASC,
                                  (const unsigned char *)"ppsp-tracker", -1, -1, 0) == 1 &&
      add_times (x509, not_before, not_after) && X509_set_pubkey (x509, self->key) == 1 &&
      add_name (x509, uri) && X509_sign (x509, self->key, EVP_sha256 ()) > 0)
    n = i2d_X509 (x509, &der);
  ERR_clear_error ();
  bytes = n > 0 && n <= PEER_CERTIFICATE_MAX ? g_bytes_new (der, (size_t)n) : NULL;
  OPENSSL_free (der);
  return bytes;
}

static X509 *
parse_x509 (const uint8_t *bytes, size_t n)
{
  const uint8_t *end = bytes;
  X509 *x509;

  if (n > PEER_CERTIFICATE_MAX)
    return NULL;
  x509 = d2i_X509 (NULL, &end, (long)n);
  ERR_clear_error ();
  if (x509 == NULL || end == bytes + n)
    return x509;
  X509_free (x509);
  return NULL;
}

/* 8.13: UTCTime. */
static bool
read_time (const ASN1_TIME *time, int64_t *out)
{
  g_autoptr (ASN1_TIME) epoch = ASN1_TIME_set (NULL, 0);
  int days, seconds;

  if (time == NULL || epoch == NULL || ASN1_STRING_type (time) != V_ASN1_UTCTIME ||
      ASN1_TIME_diff (&days, &seconds, epoch, time) != 1)
    return false;
  *out = (int64_t)days * 86400 + seconds;
  return true;
}

/* 8.13: one alternative name, critical, of type uniformResourceIdentifier; and nothing that we do
 * not know is critical beside it (RFC 5280, 4.2). */
static bool
read_name (const X509 *x509, char *out)
{
  g_autoptr (GENERAL_NAMES) names = NULL;
  const GENERAL_NAME *name;
  int critical, n;

  for (int i = 0; i < X509_get_ext_count (x509); i++) {
    X509_EXTENSION *extension = X509_get_ext (x509, i);

    if (X509_EXTENSION_get_critical (extension) != 0 &&
        OBJ_obj2nid (X509_EXTENSION_get_object (extension)) != NID_subject_alt_name)
      return false;
  }
  /* NULL also if there are two */
  names = X509_get_ext_d2i (x509, NID_subject_alt_name, &critical, NULL);
  if (names == NULL || critical != 1 || sk_GENERAL_NAME_num (names) != 1)
    return false;
  name = sk_GENERAL_NAME_value (names, 0);
  if (name->type != GEN_URI)
    return false;
  n = ASN1_STRING_length (name->d.uniformResourceIdentifier);
  if (n <= 0 || n >= PEER_CERTIFICATE_TEXT)
    return false;
  memcpy (out, ASN1_STRING_get0_data (name->d.uniformResourceIdentifier), (size_t)n);
  out[n] = '\0';
  return strlen (out) == (size_t)n;
}

bool
peer_certificate_read (const uint8_t *bytes, size_t n, PeerCertificate *out)
{
  g_autoptr (X509) x509 = parse_x509 (bytes, n);
  EVP_PKEY *key = x509 != NULL ? X509_get0_pubkey (x509) : NULL;
  bool ok = key != NULL && X509_get_version (x509) == X509_V3 &&
            X509_get_signature_nid (x509) == NID_ecdsa_with_SHA256 &&
            algorithm_of_key (key, false) == find_algorithm (PEER_SIGNATURE_ECDSAP256SHA256) &&
            read_time (X509_get0_notBefore (x509), &out->not_before) &&
            read_time (X509_get0_notAfter (x509), &out->not_after) && read_name (x509, out->uri) &&
            fingerprint_of (key, out->fingerprint);

  /* here, since to parse it again would take three times as long */
  out->is_signed = ok && X509_verify (x509, key) == 1;
  ERR_clear_error ();
  return ok;
}

bool
peer_certificate_fits (const char *certificate, const char *key)
{
  g_autoptr (BIO) certificate_bio = BIO_new_mem_buf (certificate, -1);
  g_autoptr (BIO) key_bio = BIO_new_mem_buf (key, -1);
  g_autoptr (X509) x509 = PEM_read_bio_X509 (certificate_bio, NULL, no_passphrase, NULL);
  EVP_PKEY *pkey = PEM_read_bio_PrivateKey (key_bio, NULL, no_passphrase, NULL);
  bool fits = x509 != NULL && pkey != NULL && X509_check_private_key (x509, pkey) == 1;

  EVP_PKEY_free (pkey);
  ERR_clear_error ();
  return fits;
}
