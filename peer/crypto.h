/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and signatures. The only file that names the crypto library. */
#pragma once

#include "peer/content.h"
#include <stddef.h>

/* A hash function with a context that is reused: one for each user, not for two threads. */
typedef struct PeerHasher PeerHasher;
PeerHasher *peer_hasher_new (PeerHashFunction function);
void peer_hasher_free (PeerHasher *self);
/* out: peer_hash_size() bytes; it may be one of the inputs. */
void peer_hasher_chunk (PeerHasher *self, const uint8_t *bytes, size_t n, uint8_t *out);
/* The parent of two nodes (RFC 7574, 5.1): the hash of both, or zeros if both are zeros. */
void peer_hasher_parent (PeerHasher *self, const uint8_t *left, const uint8_t *right, uint8_t *out);
/* How many times it has hashed, for tests and figures. */
uint64_t peer_hasher_count (const PeerHasher *self);

/* The injector's key pair. */
typedef struct PeerKey PeerKey;
PeerKey *peer_key_generate (PeerSignatureAlgorithm algorithm, GError **error);
/* PEM, PKCS #8, as text. What to_pem gives is freed by peer_secret_free(). */
PeerKey *peer_key_from_pem (const char *pem, GError **error);
char *peer_key_to_pem (const PeerKey *self, GError **error);
/* Wipes a text that nobody else is to read, and frees it. */
void peer_secret_free (char *secret);
void peer_key_free (PeerKey *self);
/* The swarm ID: algorithm, then the public key as in a DNSKEY record (section 6.1; RFC 3110,
 * RFC 6605). Fills swarm_id, swarm_id_size and signature of the content. */
void peer_key_swarm_id (const PeerKey *self, PeerContent *out);
/* out: room for PEER_SIGNATURE_MAX. ECDSA as r | s. Returns the size in bytes; 0 = failed. */
size_t peer_key_sign (PeerKey *self, const uint8_t *bytes, size_t n, uint8_t *out);

/* A swarm's public key. */
typedef struct PeerVerifier PeerVerifier;
/* NULL with PEER_ERROR_BAD_KEY if the swarm ID is no key that we take: wrong length, not on the
 * curve, RSA over 4096 bits or with an exponent other than 3 or 65537. */
PeerVerifier *peer_verifier_new (const uint8_t *swarm_id, size_t n, GError **error);
void peer_verifier_free (PeerVerifier *self);
size_t peer_verifier_signature_size (const PeerVerifier *self); /* bytes */
bool peer_verifier_check (PeerVerifier *self, const uint8_t *bytes, size_t n,
                          const uint8_t *signature, size_t signature_size);
uint64_t peer_verifier_count (const PeerVerifier *self); /* checks made */

/* X.509v3, as far as membership needs it (section 8.13): for a time, the key says a URI. */
#define PEER_FINGERPRINT 32        /* bytes: SHA-256 of a SubjectPublicKeyInfo */
#define PEER_CERTIFICATE_MAX 1460  /* bytes of DER that are looked at; what fits a datagram */
#define PEER_CERTIFICATE_TEXT 2176 /* bytes: of its URI with the zero at the end */

typedef struct {
  char uri[PEER_CERTIFICATE_TEXT];
  int64_t not_before, not_after;         /* s, Unix time */
  uint8_t fingerprint[PEER_FINGERPRINT]; /* of the key in it, which is the one that signs it */
  bool is_signed;                        /* by that key */
} PeerCertificate;

/* Those whom it is about have no key of their own, so the certificate carries the key that signs
 * it: whoever knows its fingerprint needs nothing else. serial: 16 bytes that nobody can guess.
 * The caller frees; NULL = the key is not P-256, or the times cannot be said. */
GBytes *peer_key_certify (PeerKey *self, const char *uri, int64_t not_before, int64_t not_after,
                          const uint8_t *serial);
/* Of the public half, out: PEER_FINGERPRINT bytes. */
bool peer_key_fingerprint (const PeerKey *self, uint8_t *out);
/* What a certificate says. false = it is none that we take: X.509v3 with a P-256 key, UTCTime, and one
 * subjectAltName, critical, of one URI. */
bool peer_certificate_read (const uint8_t *bytes, size_t n, PeerCertificate *out);
/* Is this the private key of that certificate? Both PEM, of any kind that TLS takes. */
bool peer_certificate_fits (const char *certificate, const char *key);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerHasher, peer_hasher_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerKey, peer_key_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerVerifier, peer_verifier_free)
