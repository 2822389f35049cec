/* SPDX-License-Identifier: Apache-2.0 */
/* In place of peer/crypto.c where hashes and signatures are not the subject: of the same sizes, each
 * a few nanoseconds, and the same in each run. Nothing here is secret. What a script cannot do by
 * chance it cannot do here either: find other bytes of the same hash, or the signature of what was
 * not signed. Nothing is compared by memcmp(), of which libFuzzer would learn what is wanted. */
#include "peer/crypto.h"

#include <string.h>

#define PUBLIC 64   /* bytes: as P-256's X and Y */
#define OVERHEAD 96 /* bytes of a certificate before its URI */
#define PADDING 200 /* and behind it: about as long as DER */
#define TAG 32

struct PeerHasher {
  size_t size; /* bytes */
  uint64_t count;
};

struct PeerKey {
  uint8_t public[PUBLIC];
};

struct PeerVerifier {
  uint8_t public[PUBLIC];
  uint64_t count;
};

static uint64_t
mix (uint64_t x)
{
  x = (x ^ x >> 30) * UINT64_C (0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C (0x94d049bb133111eb);
  return x ^ x >> 31;
}

/* Two lanes of 64 bits each, stretched to size. */
static void
digest (const uint8_t *key, size_t n_key, const uint8_t *bytes, size_t n, uint8_t *out, size_t size)
{
  uint64_t a = n_key + 1, b = ~n;
  for (size_t i = 0; i < n_key + n; i++) {
    uint8_t byte = i < n_key ? key[i] : bytes[i - n_key];
    a = (a ^ byte) * UINT64_C (0x100000001b3);
    b = (b ^ byte ^ a >> 40) * UINT64_C (0x9e3779b97f4a7c15);
    b ^= b >> 29;
  }
  for (size_t i = 0; i < size; i++)
    out[i] = (uint8_t)(mix (i / 8 % 2 == 0 ? a + i / 16 : b + i / 16) >> 8 * (i % 8));
}

static bool
same (const uint8_t *a, const uint8_t *b, size_t n)
{
  uint8_t difference = 0;
  for (size_t i = 0; i < n; i++)
    difference |= a[i] ^ b[i];
  return difference == 0;
}

PeerHasher *
peer_hasher_new (PeerHashFunction function)
{
  PeerHasher *self = g_new0 (PeerHasher, 1);
  self->size = peer_hash_size (function);
  return self;
}

void
peer_hasher_free (PeerHasher *self)
{
  g_free (self);
}

void
peer_hasher_chunk (PeerHasher *self, const uint8_t *bytes, size_t n, uint8_t *out)
{
  self->count++;
  digest (NULL, 0, bytes, n, out, self->size);
}

void
peer_hasher_parent (PeerHasher *self, const uint8_t *left, const uint8_t *right, uint8_t *out)
{
  static const uint8_t zeros[2 * PEER_HASH_MAX];
  uint8_t both[2 * PEER_HASH_MAX];
  memcpy (both, left, self->size);
  memcpy (both + self->size, right, self->size);
  if (same (both, zeros, 2 * self->size))
    memset (out, 0, self->size);
  else
    peer_hasher_chunk (self, both, 2 * self->size, out);
}

uint64_t
peer_hasher_count (const PeerHasher *self)
{
  return self->count;
}

PeerKey *
peer_key_generate (PeerSignatureAlgorithm algorithm, GError **error)
{
  static uint8_t n_keys;
  PeerKey *self = g_new0 (PeerKey, 1);
  g_assert_true (algorithm == PEER_SIGNATURE_ECDSAP256SHA256);
  n_keys++;
  digest (NULL, 0, &n_keys, 1, self->public, PUBLIC);
  return self;
}

PeerKey *
peer_key_from_pem (const char *pem, GError **error)
{
  g_set_error_literal (error, PEER_ERROR, PEER_ERROR_BAD_KEY, "no keys in files here");
  return NULL;
}

char *
peer_key_to_pem (const PeerKey *self, GError **error)
{
  g_set_error_literal (error, PEER_ERROR, PEER_ERROR_BAD_KEY, "no keys in files here");
  return NULL;
}

void
peer_secret_free (char *secret)
{
  g_free (secret);
}

void
peer_key_free (PeerKey *self)
{
  g_free (self);
}

void
peer_key_swarm_id (const PeerKey *self, PeerContent *out)
{
  memset (out->swarm_id, 0, sizeof out->swarm_id);
  out->swarm_id[0] = PEER_SIGNATURE_ECDSAP256SHA256;
  memcpy (out->swarm_id + 1, self->public, PUBLIC);
  out->swarm_id_size = 1 + PUBLIC;
  out->signature = PEER_SIGNATURE_ECDSAP256SHA256;
}

size_t
peer_key_sign (PeerKey *self, const uint8_t *bytes, size_t n, uint8_t *out)
{
  digest (self->public, PUBLIC, bytes, n, out, PUBLIC);
  return PUBLIC;
}

PeerVerifier *
peer_verifier_new (const uint8_t *swarm_id, size_t n, GError **error)
{
  PeerVerifier *self;
  if (n != 1 + PUBLIC || swarm_id[0] != PEER_SIGNATURE_ECDSAP256SHA256) {
    g_set_error_literal (error, PEER_ERROR, PEER_ERROR_BAD_KEY, "this is no key");
    return NULL;
  }
  self = g_new0 (PeerVerifier, 1);
  memcpy (self->public, swarm_id + 1, PUBLIC);
  return self;
}

void
peer_verifier_free (PeerVerifier *self)
{
  g_free (self);
}

size_t
peer_verifier_signature_size (const PeerVerifier *self)
{
  return PUBLIC;
}

bool
peer_verifier_check (PeerVerifier *self, const uint8_t *bytes, size_t n, const uint8_t *signature,
                     size_t signature_size)
{
  uint8_t truth[PUBLIC];
  if (signature_size != PUBLIC)
    return false;
  self->count++;
  digest (self->public, PUBLIC, bytes, n, truth, PUBLIC);
  return same (truth, signature, PUBLIC);
}

uint64_t
peer_verifier_count (const PeerVerifier *self)
{
  return self->count;
}

/* tag 32 | fingerprint 32 | not before 8 | not after 8 | serial 16 | URI | zeros */
GBytes *
peer_key_certify (PeerKey *self, const char *uri, int64_t not_before, int64_t not_after,
                  const uint8_t *serial)
{
  size_t n = OVERHEAD + strlen (uri) + PADDING;
  uint8_t bytes[PEER_CERTIFICATE_MAX] = {0};
  if (n > sizeof bytes)
    return NULL;
  memcpy (bytes + TAG, self->public, PEER_FINGERPRINT);
  memcpy (bytes + 64, &not_before, 8);
  memcpy (bytes + 72, &not_after, 8);
  memcpy (bytes + 80, serial, 16);
  memcpy (bytes + OVERHEAD, uri, strlen (uri));
  digest (bytes + TAG, PEER_FINGERPRINT, bytes + TAG, n - TAG, bytes, TAG);
  return g_bytes_new (bytes, n);
}

bool
peer_key_fingerprint (const PeerKey *self, uint8_t *out)
{
  memcpy (out, self->public, PEER_FINGERPRINT);
  return true;
}

bool
peer_certificate_read (const uint8_t *bytes, size_t n, PeerCertificate *out)
{
  uint8_t tag[TAG];
  if (n <= OVERHEAD + PADDING || n > PEER_CERTIFICATE_MAX)
    return false;
  memcpy (out->fingerprint, bytes + TAG, PEER_FINGERPRINT);
  memcpy (&out->not_before, bytes + 64, 8);
  memcpy (&out->not_after, bytes + 72, 8);
  /* a true one cannot say just any time, either */
  if (out->not_before != (int32_t)out->not_before || out->not_after != (int32_t)out->not_after)
    return false;
  memcpy (out->uri, bytes + OVERHEAD, n - OVERHEAD - PADDING);
  out->uri[n - OVERHEAD - PADDING] = '\0';
  digest (bytes + TAG, PEER_FINGERPRINT, bytes + TAG, n - TAG, tag, TAG);
  out->is_signed = same (tag, bytes, TAG);
  return strlen (out->uri) == n - OVERHEAD - PADDING;
}
