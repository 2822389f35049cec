/* SPDX-License-Identifier: Apache-2.0 */
/* Each call that may fail fails once, at each place where it is made: nothing crashes or leaks, and
 * the exchange still ends right, or the one who asked is told. A scene is played once to count the
 * calls of a kind, then once for each of them. What hashes is not among them: without a hash
 * function nothing can go on, and peer/crypto.c ends the program. */
#include "peer/crypto.h"
#include "tests/peer/engines.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

typedef enum {
  NOTHING,
  STORE_READ,
  STORE_WRITE,
  HASHES_READ,
  HASHES_WRITE,
  CRYPTO,
} Kind;

static struct {
  Kind kind;
  unsigned made, at; /* the at-th call of this kind fails, the first is 1; 0 = none */
  PeerStoreResult answer;
  const char *name;  /* which it was */
  const void *store; /* whose */
} fault;

static bool
fails (Kind kind, const char *name)
{
  if (kind != fault.kind || ++fault.made != fault.at)
    return false;
  fault.name = name;
  return true;
}

/* Plays the scene with each call of this kind failing in turn; returns how many there are. */
static unsigned
torture (Kind kind, PeerStoreResult answer, void (*scene) (void))
{
  fault.kind = kind;
  fault.answer = answer;
  fault.at = 0;
  fault.made = 0;
  scene ();
  unsigned n = fault.made;
  for (unsigned at = 1; at <= n; at++) {
    fault.kind = kind;
    fault.made = 0;
    fault.at = at;
    scene ();
    g_assert_cmpuint (fault.made, >=, at);
  }
  fault.kind = NOTHING;
  g_test_message ("%u calls failed once each", n);
  return n;
}

/* --- stores that fail --- */

typedef struct {
  PeerStore base;
  PeerStore *inner;
} BadStore;

static PeerStoreResult
bad_read (PeerStore *self, uint64_t chunk, uint8_t *out, size_t room, size_t *n)
{
  PeerStore *inner = ((BadStore *)self)->inner;
  if (!fails (STORE_READ, "read"))
    return inner->class->read (inner, chunk, out, room, n);
  fault.store = self;
  return fault.answer;
}

static PeerStoreResult
bad_write (PeerStore *self, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  PeerStore *inner = ((BadStore *)self)->inner;
  if (!fails (STORE_WRITE, "write"))
    return inner->class->write (inner, chunk, bytes, n);
  fault.store = self;
  return fault.answer;
}

static void
bad_discard (PeerStore *self, PeerRange run)
{
  PeerStore *inner = ((BadStore *)self)->inner;
  inner->class->discard (inner, run);
}

static void
bad_chunks (PeerStore *self, PeerChunks *out)
{
  PeerStore *inner = ((BadStore *)self)->inner;
  inner->class->chunks (inner, out);
}

static void
bad_free (PeerStore *self)
{
  peer_store_free (((BadStore *)self)->inner);
  g_free (self);
}

static PeerStore *
bad_store (PeerStore *inner)
{
  static const PeerStoreClass class = {bad_read, bad_write, bad_discard, bad_chunks, bad_free};
  BadStore *self = g_new0 (BadStore, 1);
  self->base.class = &class;
  self->inner = inner;
  return &self->base;
}

typedef struct {
  PeerHashStore base;
  PeerHashStore *inner;
} BadHashes;

static bool
bad_hashes_read (PeerHashStore *self, uint64_t bin, uint8_t *out, size_t hash_size)
{
  PeerHashStore *inner = ((BadHashes *)self)->inner;
  return !fails (HASHES_READ, "hash read") && inner->class->read (inner, bin, out, hash_size);
}

static bool
bad_hashes_write (PeerHashStore *self, uint64_t bin, const uint8_t *hash, size_t hash_size)
{
  PeerHashStore *inner = ((BadHashes *)self)->inner;
  return !fails (HASHES_WRITE, "hash write") && inner->class->write (inner, bin, hash, hash_size);
}

static void
bad_hashes_free (PeerHashStore *self)
{
  peer_hashes_free (((BadHashes *)self)->inner);
  g_free (self);
}

static PeerHashStore *
bad_hashes (size_t hash_size)
{
  static const PeerHashStoreClass class = {bad_hashes_read, bad_hashes_write, bad_hashes_free};
  BadHashes *self = g_new0 (BadHashes, 1);
  self->base.class = &class;
  self->inner = peer_hashes_memory_new (hash_size);
  return &self->base;
}

/* --- a film: a seeder, one who fetches it, one who fetches it from that one alone --- */

#define FILM 11

static PeerSwarm *
fetch (Net *net, unsigned i, const PeerContent *content)
{
  PeerAddress from = address_of (i - 1);
  PeerIntegrity *integrity = peer_integrity_new (content, 0, bad_hashes (32), NULL);
  PeerJoin join = {.content = content,
                   .store = bad_store (peer_store_memory_new (CHUNK, FILM)),
                   .integrity = integrity};
  PeerSwarm *swarm = peer_engine_join (net->engines[i], &join, NULL);
  g_assert_nonnull (swarm);
  peer_engine_add_peer (net->engines[i], swarm, &from);
  want (net, i, swarm, (PeerRange){0, FILM});
  return swarm;
}

static void
film_scene (void)
{
  Net net;
  Film film;
  PeerSwarm *swarms[3];
  net_init (&net, 3);
  make_film (&film, FILM, 100);
  film.store = bad_store (film.store);
  seed (&net, 0, &film);
  for (unsigned i = 1; i < 3; i++)
    swarms[i] = fetch (&net, i, &film.content);
  /* as long as a film of this length would be played, many times over */
  for (unsigned s = 0; s < 120; s++) {
    net_run (&net, net.now + 1000000);
    if (peer_chunks_count (peer_swarm_chunks (swarms[2])) == FILM)
      break;
  }
  /* what the only one who had all has lost is nowhere (3.2: it cannot be taken back) */
  bool loses = fault.kind == STORE_READ && fault.answer == PEER_STORE_ABSENT && fault.at > 0 &&
               fault.store == film.store;
  fault.kind = NOTHING;
  if (fault.at > 0 && peer_chunks_count (peer_swarm_chunks (swarms[2])) < FILM)
    g_test_message ("after %s %u", fault.name, fault.at);
  for (unsigned i = 1; i < 3; i++) {
    if (loses)
      g_assert_cmpuint (peer_chunks_count (peer_swarm_chunks (swarms[i])), >=, FILM - 1);
    else
      assert_has (swarms[i], (PeerRange){0, FILM}, 100);
    g_assert_cmpuint (count_events (&net, i, PEER_EVENT_BAD_PEER), ==, 0);
  }
  net_clear (&net);
}

static void
test_film_stores (void)
{
  g_assert_cmpuint (torture (STORE_READ, PEER_STORE_FAILED, film_scene), >=, 2 * FILM);
  g_assert_cmpuint (torture (STORE_READ, PEER_STORE_ABSENT, film_scene), >=, 2 * FILM);
  g_assert_cmpuint (torture (STORE_READ, PEER_STORE_PENDING, film_scene), >=, 2 * FILM);
  g_assert_cmpuint (torture (STORE_WRITE, PEER_STORE_FAILED, film_scene), >=, 2 * FILM);
  g_assert_cmpuint (torture (STORE_WRITE, PEER_STORE_ABSENT, film_scene), >=, 2 * FILM);
}

static void
test_film_hashes (void)
{
  g_assert_cmpuint (torture (HASHES_READ, PEER_STORE_OK, film_scene), >=, FILM);
  g_assert_cmpuint (torture (HASHES_WRITE, PEER_STORE_OK, film_scene), >=, FILM);
}

/* --- a channel: a source, one who watches, one who watches by that one alone --- */

#define MUNROS 5
#define LIVE_MUNRO 4

static struct {
  PeerSwarm *swarm;
  unsigned haves; /* that it has told */
} source;

/* RFC 7574, 3.2: nobody says HAVE of what it does not have. */
static bool
tells_what_it_has (Net *net, Datagram *datagram)
{
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  if (datagram->from != 0)
    return true;
  PeerWireFormat format = peer_wire_format (peer_swarm_content (source.swarm));
  while (peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE)
    if (message.type == PEER_MESSAGE_HAVE) {
      /* what the store loses later was told in good faith */
      g_assert_true (fault.kind == STORE_READ ||
                     peer_chunks_has_all (peer_swarm_chunks (source.swarm), message.chunks));
      source.haves++;
    }
  return true;
}

static PeerSwarm *
watch (Net *net, unsigned i, const PeerContent *content, GError **error)
{
  PeerAddress from = address_of (i - 1);
  PeerJoin join = {.content = content,
                   .store = bad_store (peer_store_memory_new (CHUNK, 1024)),
                   .discard_window = 1024,
                   .source = i == 0};
  PeerSwarm *swarm = peer_engine_join (net->engines[i], &join, error);
  if (swarm != NULL && i > 0)
    peer_engine_add_peer (net->engines[i], swarm, &from);
  return swarm;
}

static void
play (Net *net, PeerSwarm **swarms, PeerKey *key)
{
  uint8_t bytes[CHUNK];
  uint64_t next = 0;
  unsigned unsigned_subtrees = 0;
  for (unsigned munro = 0; munro < MUNROS; munro++) {
    while (peer_engine_open_chunks (net->engines[0], swarms[0]) > 0) {
      chunk_bytes (next++, bytes);
      peer_engine_append (net->engines[0], swarms[0], bytes, CHUNK);
    }
    if (!peer_engine_sign (net->engines[0], swarms[0], key, net->now))
      unsigned_subtrees++;
    for (unsigned i = 1; i < 3; i++)
      want (net, i, swarms[i], (PeerRange){0, next});
    net_run (net, net->now + 200000);
  }
  for (unsigned s = 0; s < 60; s++) {
    if (peer_chunks_count (peer_swarm_chunks (swarms[2])) == next)
      break;
    net_run (net, net->now + 1000000);
  }
  g_assert_cmpuint (source.haves, >=, MUNROS - 1);
  Kind kind = fault.kind;
  fault.kind = NOTHING;
  /* What the source could not keep, or has lost, is nowhere; what it could not sign it signs the
   * next time, and tells nobody until then. All else is fetched again. */
  bool is_unsigned = peer_engine_open_chunks (net->engines[0], swarms[0]) == 0;
  uint64_t lost = is_unsigned ? LIVE_MUNRO : 0;
  bool of_source = fault.at > 0 && fault.store == peer_swarm_store (swarms[0]);
  bool loses = kind == STORE_READ && fault.answer == PEER_STORE_ABSENT && of_source;
  if (loses || (kind == STORE_WRITE && of_source))
    lost = 1;
  g_assert_cmpuint (peer_chunks_count (peer_swarm_chunks (swarms[0])), ==, next - lost);
  g_assert_cmpuint (unsigned_subtrees, <=, fault.at > 0 && kind == CRYPTO ? 1 : 0);
  for (unsigned i = 1; i < 3; i++) {
    uint64_t n = peer_chunks_count (peer_swarm_chunks (swarms[i]));
    if (n != next - lost)
      g_test_message ("%s %u: viewer %u has %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT,
                      fault.name, fault.at, i, n, next - lost);
    g_assert_cmpuint (n, ==, next - lost);
  }
}

static void
live_scene (void)
{
  Net net;
  PeerContent content;
  PeerSwarm *swarms[3] = {NULL};
  g_autoptr (GError) error = NULL;
  net_init (&net, 3);
  peer_content_init_live (&content);
  content.chunk_size = CHUNK;
  content.chunks_per_signature = LIVE_MUNRO;
  g_autoptr (PeerKey) key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
  if (key != NULL) {
    peer_key_swarm_id (key, &content);
    for (unsigned i = 0; i < 3 && error == NULL; i++)
      swarms[i] = watch (&net, i, &content, &error);
  }
  if (swarms[2] != NULL) {
    g_assert_no_error (error);
    peer_engine_start (net.engines[0], swarms[0], 0);
    source.swarm = swarms[0];
    source.haves = 0;
    net.tamper = tells_what_it_has;
    play (&net, swarms, key);
  } else {
    g_assert_nonnull (error);
    g_assert_cmpuint (fault.at, >, 0);
  }
  net_clear (&net);
}

static void
test_live_stores (void)
{
  unsigned n = MUNROS * LIVE_MUNRO;
  g_assert_cmpuint (torture (STORE_READ, PEER_STORE_FAILED, live_scene), >=, n);
  g_assert_cmpuint (torture (STORE_READ, PEER_STORE_ABSENT, live_scene), >=, n);
  g_assert_cmpuint (torture (STORE_READ, PEER_STORE_PENDING, live_scene), >=, n);
  g_assert_cmpuint (torture (STORE_WRITE, PEER_STORE_FAILED, live_scene), >=, 3 * n);
  g_assert_cmpuint (torture (STORE_WRITE, PEER_STORE_ABSENT, live_scene), >=, 3 * n);
}

static void
test_live_crypto (void)
{
  g_assert_cmpuint (torture (CRYPTO, PEER_STORE_OK, live_scene), >=, 3 * MUNROS);
}

/* --- keys and certificates --- */

static void
keys (const PeerKey *made)
{
  static const uint8_t said[] = "said";
  uint8_t signature[PEER_SIGNATURE_MAX];
  PeerContent content;
  g_autoptr (GError) error = NULL;
  g_autofree char *pem = peer_key_to_pem (made, &error);
  g_assert_true ((pem == NULL) == (error != NULL));
  g_autoptr (PeerKey) key = pem != NULL ? peer_key_from_pem (pem, &error) : NULL;
  g_assert_true ((key == NULL) == (error != NULL));
  if (key == NULL)
    return;
  peer_content_init_live (&content);
  peer_key_swarm_id (key, &content);
  g_autoptr (PeerVerifier) verifier =
      peer_verifier_new (content.swarm_id, content.swarm_id_size, &error);
  g_assert_true ((verifier == NULL) == (error != NULL));
  size_t n = peer_key_sign (key, said, sizeof said, signature);
  if (n > 0 && verifier != NULL && fault.at == 0)
    g_assert_true (peer_verifier_check (verifier, said, sizeof said, signature, n));
  else if (n > 0 && verifier != NULL)
    peer_verifier_check (verifier, said, sizeof said, signature, n);
}

static PeerKey *rsa_key; /* made once: that takes longer than all else here */

static void
rsa_scene (void)
{
  keys (rsa_key);
}

static void
certificate_scene (void)
{
  static const uint8_t serial[16] = {1, 2, 3};
  static const char uri[] = "ppsp://tracker.example/swarm";
  uint8_t fingerprint[PEER_FINGERPRINT];
  PeerCertificate read;
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerKey) key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
  g_assert_true ((key == NULL) == (error != NULL));
  if (key == NULL)
    return;
  keys (key);
  bool known = peer_key_fingerprint (key, fingerprint);
  GBytes *bytes = peer_key_certify (key, uri, 1700000000, 1700003600, serial);
  if (bytes == NULL) {
    g_assert_cmpuint (fault.at, >, 0);
    return;
  }
  gsize n;
  const uint8_t *der = g_bytes_get_data (bytes, &n);
  bool is_read = peer_certificate_read (der, n, &read);
  bool is_signed = is_read && read.is_signed;
  g_assert_true ((known && is_read && is_signed) || fault.at > 0);
  if (is_read) /* what is told is right, whatever failed */
    g_assert_cmpstr (read.uri, ==, uri);
  if (is_read && known)
    g_assert_cmpmem (read.fingerprint, PEER_FINGERPRINT, fingerprint, PEER_FINGERPRINT);
  g_bytes_unref (bytes);
}

static void
test_keys (void)
{
  g_assert_cmpuint (torture (CRYPTO, PEER_STORE_OK, certificate_scene), >=, 40);
  rsa_key = peer_key_generate (PEER_SIGNATURE_RSASHA256, NULL);
  g_assert_cmpuint (torture (CRYPTO, PEER_STORE_OK, rsa_scene), >=, 10);
  peer_key_free (rsa_key);
}

/* --- the library that fails --- */

#define BAD(type, failure, name, parameters, arguments)                                            \
  type __real_##name parameters;                                                                   \
  type __wrap_##name parameters;                                                                   \
  type __wrap_##name parameters                                                                    \
  {                                                                                                \
    return fails (CRYPTO, #name) ? failure : __real_##name arguments;                              \
  }

BAD (EVP_PKEY_CTX *, NULL, EVP_PKEY_CTX_new_from_pkey,
     (OSSL_LIB_CTX * library, EVP_PKEY *key, const char *query), (library, key, query))
BAD (EVP_PKEY_CTX *, NULL, EVP_PKEY_CTX_new_from_name,
     (OSSL_LIB_CTX * library, const char *name, const char *query), (library, name, query))
BAD (int, 0, EVP_PKEY_sign_init, (EVP_PKEY_CTX * context), (context))
BAD (int, 0, EVP_PKEY_verify_init, (EVP_PKEY_CTX * context), (context))
BAD (int, 0, EVP_PKEY_CTX_set_signature_md, (EVP_PKEY_CTX * context, const EVP_MD *digest),
     (context, digest))
BAD (int, 0, EVP_PKEY_CTX_set_rsa_padding, (EVP_PKEY_CTX * context, int padding),
     (context, padding))
BAD (int, -1, EVP_PKEY_sign,
     (EVP_PKEY_CTX * context, unsigned char *out, size_t *size, const unsigned char *digest,
      size_t n),
     (context, out, size, digest, n))
BAD (int, -1, EVP_PKEY_verify,
     (EVP_PKEY_CTX * context, const unsigned char *signature, size_t size,
      const unsigned char *digest, size_t n),
     (context, signature, size, digest, n))
BAD (int, 0, EVP_PKEY_public_check, (EVP_PKEY_CTX * context), (context))
BAD (int, 0, EVP_PKEY_fromdata_init, (EVP_PKEY_CTX * context), (context))
BAD (int, 0, EVP_PKEY_fromdata,
     (EVP_PKEY_CTX * context, EVP_PKEY **key, int selection, OSSL_PARAM *parameters),
     (context, key, selection, parameters))
BAD (int, 0, EVP_PKEY_get_bn_param, (const EVP_PKEY *key, const char *name, BIGNUM **out),
     (key, name, out))
BAD (OSSL_PARAM_BLD *, NULL, OSSL_PARAM_BLD_new, (void), ())
BAD (OSSL_PARAM *, NULL, OSSL_PARAM_BLD_to_param, (OSSL_PARAM_BLD * builder), (builder))
BAD (int, 0, OSSL_PARAM_BLD_push_utf8_string,
     (OSSL_PARAM_BLD * builder, const char *name, const char *value, size_t n),
     (builder, name, value, n))
BAD (int, 0, OSSL_PARAM_BLD_push_octet_string,
     (OSSL_PARAM_BLD * builder, const char *name, const void *value, size_t n),
     (builder, name, value, n))
BAD (int, 0, OSSL_PARAM_BLD_push_BN,
     (OSSL_PARAM_BLD * builder, const char *name, const BIGNUM *value), (builder, name, value))
BAD (ECDSA_SIG *, NULL, d2i_ECDSA_SIG, (ECDSA_SIG * *out, const unsigned char **der, long n),
     (out, der, n))
BAD (int, -1, BN_bn2binpad, (const BIGNUM *number, unsigned char *out, int n), (number, out, n))
BAD (BIGNUM *, NULL, BN_bin2bn, (const unsigned char *bytes, int n, BIGNUM *out), (bytes, n, out))
BAD (BIO *, NULL, BIO_new, (const BIO_METHOD *method), (method))
BAD (BIO *, NULL, BIO_new_mem_buf, (const void *bytes, int n), (bytes, n))
BAD (EVP_PKEY *, NULL, PEM_read_bio_PrivateKey,
     (BIO * bio, EVP_PKEY **out, pem_password_cb *ask, void *data), (bio, out, ask, data))
BAD (int, 0, PEM_write_bio_PKCS8PrivateKey,
     (BIO * bio, const EVP_PKEY *key, const EVP_CIPHER *cipher, const char *word, int n,
      pem_password_cb *ask, void *data),
     (bio, key, cipher, word, n, ask, data))
BAD (X509 *, NULL, X509_new, (void), ())
BAD (int, 0, X509_set_version, (X509 * x509, long version), (x509, version))
BAD (int, 0, X509_set_pubkey, (X509 * x509, EVP_PKEY *key), (x509, key))
BAD (int, 0, X509_add1_ext_i2d,
     (X509 * x509, int nid, void *value, int critical, unsigned long how),
     (x509, nid, value, critical, how))
BAD (int, 0, X509_sign, (X509 * x509, EVP_PKEY *key, const EVP_MD *digest), (x509, key, digest))
BAD (int, -1, i2d_X509, (const X509 *x509, unsigned char **der), (x509, der))
BAD (X509 *, NULL, d2i_X509, (X509 * *out, const unsigned char **der, long n), (out, der, n))
BAD (EVP_PKEY *, NULL, X509_get0_pubkey, (const X509 *x509), (x509))
BAD (void *, NULL, X509_get_ext_d2i, (const X509 *x509, int nid, int *critical, int *index),
     (x509, nid, critical, index))
BAD (int, -1, X509_verify, (X509 * x509, EVP_PKEY *key), (x509, key))
BAD (int, -1, i2d_PUBKEY, (const EVP_PKEY *key, unsigned char **der), (key, der))
BAD (ASN1_INTEGER *, NULL, BN_to_ASN1_INTEGER, (const BIGNUM *number, ASN1_INTEGER *out),
     (number, out))

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/torture/a-film-arrives-whatever-store-call-fails", test_film_stores);
  g_test_add_func ("/peer/torture/a-film-arrives-whatever-hash-is-not-kept", test_film_hashes);
  g_test_add_func ("/peer/torture/a-channel-goes-on-whatever-store-call-fails", test_live_stores);
  g_test_add_func ("/peer/torture/a-channel-goes-on-whatever-crypto-call-fails", test_live_crypto);
  g_test_add_func ("/peer/torture/keys-and-certificates-say-when-they-fail", test_keys);
  return g_test_run ();
}
