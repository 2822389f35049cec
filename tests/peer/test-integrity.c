/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/integrity.h"
#include "peer/wire.h"

#include <openssl/evp.h>
#include <string.h>

/* --- content of static swarms --- */

typedef struct {
  PeerContent content;
  uint8_t *bytes;
  size_t length;
  uint64_t n_chunks;
  PeerIntegrity *source;
} Film;

static const uint8_t *
chunk_of (const Film *film, uint64_t chunk, size_t *n)
{
  size_t first = (size_t)chunk * film->content.chunk_size;
  *n = MIN (film->content.chunk_size, film->length - first);
  return film->bytes + first;
}

/* Bytes that repeat nowhere near. */
static void
fill (uint8_t *out, size_t n, uint32_t seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)g_rand_int (rand);
}

static void
film_init_bytes (Film *self, PeerHashFunction hash, uint32_t chunk_size, uint8_t *bytes,
                 size_t length)
{
  size_t n;
  peer_content_init_static (&self->content);
  self->content.hash = hash;
  self->content.chunk_size = chunk_size;
  self->bytes = bytes;
  self->length = length;
  self->n_chunks = (length + chunk_size - 1) / chunk_size;
  self->source = peer_integrity_new (&self->content, 0, NULL, NULL);
  g_assert_nonnull (self->source);
  for (uint64_t c = 0; c < self->n_chunks; c++) {
    const uint8_t *chunk = chunk_of (self, c, &n);
    peer_integrity_append (self->source, chunk, n);
  }
  peer_integrity_finish (self->source, self->content.swarm_id);
  self->content.swarm_id_size = (uint16_t)peer_content_hash_size (&self->content);
  g_assert_cmpuint (peer_integrity_n_chunks (self->source), ==, self->n_chunks);
}

static void
film_init (Film *self, uint32_t chunk_size, size_t length)
{
  uint8_t *bytes = g_malloc (length);
  fill (bytes, length, (uint32_t)length);
  film_init_bytes (self, PEER_HASH_SHA256, chunk_size, bytes, length);
}

static void
film_clear (Film *self)
{
  peer_integrity_free (self->source);
  g_free (self->bytes);
}

/* A receiver of it. */
static PeerIntegrity *
film_receiver (const Film *self, bool knows_length)
{
  PeerContent content = self->content;
  content.length = knows_length ? self->length : 0;
  PeerIntegrity *receiver = peer_integrity_new (&content, 0, NULL, NULL);
  g_assert_nonnull (receiver);
  return receiver;
}

static void
add_hashes (PeerPendingHashes *pending, const PeerHash *hashes, int n, size_t hash_size)
{
  for (int i = 0; i < n; i++)
    peer_pending_hashes_add (pending, hashes[i].chunks, hashes[i].hash, hash_size);
}

/* One chunk on its way, with the hashes that the source thinks the receiver needs. */
static PeerIntegrityResult
give (const Film *film, PeerIntegrity *receiver, PeerPendingHashes *pending, uint64_t chunk,
      PeerChunks *known)
{
  PeerHash proof[PEER_PROOF_MAX];
  size_t n;
  int n_proof = peer_integrity_proof (film->source, chunk, known, NULL, proof);
  g_assert_cmpint (n_proof, >=, 0);
  add_hashes (pending, proof, n_proof, peer_content_hash_size (&film->content));
  const uint8_t *bytes = chunk_of (film, chunk, &n);
  PeerIntegrityResult result = peer_integrity_check (receiver, pending, chunk, bytes, n);
  if (result == PEER_INTEGRITY_GOOD)
    peer_chunks_add (known, (PeerRange){chunk, chunk + 1});
  return result;
}

/* --- known answers --- */

static char *
hex_of (const uint8_t *bytes, size_t n)
{
  GString *out = g_string_new (NULL);
  for (size_t i = 0; i < n; i++)
    g_string_append_printf (out, "%02x", bytes[i]);
  return g_string_free (out, FALSE);
}

/* The tree of section 5.1 from its words alone: leaves, zeros up to a power of two, parents. */
static void
naive_root (const Film *film, uint8_t *out)
{
  g_autoptr (PeerHasher) hasher = peer_hasher_new (film->content.hash);
  size_t size = peer_content_hash_size (&film->content), width = 1, n;
  while (width < film->n_chunks)
    width *= 2;
  g_autofree uint8_t *row = g_malloc0 (width * size);
  for (uint64_t c = 0; c < film->n_chunks; c++) {
    const uint8_t *bytes = chunk_of (film, c, &n);
    peer_hasher_chunk (hasher, bytes, n, row + c * size);
  }
  for (; width > 1; width /= 2)
    for (size_t i = 0; i < width / 2; i++)
      peer_hasher_parent (hasher, row + 2 * i * size, row + (2 * i + 1) * size, row + i * size);
  memcpy (out, row, size);
}

static void
assert_root (PeerHashFunction hash, const char *text, const char *expected)
{
  Film film;
  size_t n = strlen (text);
  film_init_bytes (&film, hash, 1024, g_memdup2 (text, n), n);
  g_autofree char *root = hex_of (film.content.swarm_id, film.content.swarm_id_size);
  g_assert_cmpstr (root, ==, expected);
  film_clear (&film);
}

/* 7162 bytes whose roots were computed by another program: zeros through AES-128 in counter mode,
 * key 00 01 .. 0f, counter from 0. */
static void
assert_7162 (PeerHashFunction hash, const char *expected)
{
  static const uint8_t zeros[7162];
  uint8_t key[16], counter[16] = {0}, *bytes = g_malloc (sizeof zeros);
  int n;
  Film film;
  for (unsigned i = 0; i < sizeof key; i++)
    key[i] = (uint8_t)i;
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new ();
  g_assert_true (EVP_EncryptInit_ex (cipher, EVP_aes_128_ctr (), NULL, key, counter));
  g_assert_true (EVP_EncryptUpdate (cipher, bytes, &n, zeros, sizeof zeros));
  g_assert_cmpint (n, ==, sizeof zeros);
  EVP_CIPHER_CTX_free (cipher);
  film_init_bytes (&film, hash, 1024, bytes, sizeof zeros);
  g_autofree char *root = hex_of (film.content.swarm_id, film.content.swarm_id_size);
  g_assert_cmpstr (root, ==, expected);
  film_clear (&film);
}

static void
test_known_roots (void)
{
  assert_7162 (PEER_HASH_SHA1, "f49f10c5f88b97226c4b5d989413c5fe02e72aed");
  assert_7162 (PEER_HASH_SHA256,
               "4578b19faa8e8af9074f2fe5b4dcbaadea4d14de0cdc789d331209f8fe542422");
  assert_root (PEER_HASH_SHA1, "Hello world!", "d3486ae9136e7856bc42212385ea797094475802");
  assert_root (PEER_HASH_SHA256, "Hello world!",
               "c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a");
}

static void
test_root_by_the_words (void)
{
  static const PeerHashFunction functions[] = {PEER_HASH_SHA1, PEER_HASH_SHA224, PEER_HASH_SHA256,
                                               PEER_HASH_SHA384, PEER_HASH_SHA512};
  uint8_t root[PEER_HASH_MAX];
  for (unsigned i = 0; i < G_N_ELEMENTS (functions); i++)
    for (size_t length = 1; length < 40 * 16; length += 7) {
      Film film;
      uint8_t *bytes = g_malloc (length);
      fill (bytes, length, 1);
      film_init_bytes (&film, functions[i], 16, bytes, length);
      naive_root (&film, root);
      g_assert_cmpmem (root, film.content.swarm_id_size, film.content.swarm_id,
                       film.content.swarm_id_size);
      film_clear (&film);
    }
}

/* --- what is sent --- */

static void
assert_proof (const Film *film, uint64_t chunk, const PeerChunks *known, const char *expected)
{
  PeerHash proof[PEER_PROOF_MAX];
  g_autoptr (GString) bins = g_string_new (NULL);
  int n = peer_integrity_proof (film->source, chunk, known, NULL, proof);
  g_assert_cmpint (n, >=, 0);
  for (int i = 0; i < n; i++)
    g_string_append_printf (bins, "%s%d", i > 0 ? " " : "",
                            (int)peer_bin_from_range (proof[i].chunks));
  g_assert_cmpstr (bins->str, ==, expected);
}

/* RFC 7574, 5.5, table 1, of 7 chunks in order. Its first row is written without the peaks that
 * 5.6.2 puts in front; with them (3, 9, 12) node 11 follows and is not sent. */
static void
test_table_1 (void)
{
  static const char *const rows[] = {"3 9 12 5 2", "", "6", "", "13 10", "", "14"};
  Film film;
  film_init (&film, 1024, 7162);
  g_autoptr (PeerChunks) known = peer_chunks_new (0);
  g_autoptr (PeerIntegrity) receiver = film_receiver (&film, false);
  PeerPendingHashes pending = {0};
  for (uint64_t c = 0; c < 7; c++) {
    assert_proof (&film, c, known, rows[c]);
    g_assert_cmpint (give (&film, receiver, &pending, c, known), ==, PEER_INTEGRITY_GOOD);
    g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, 7);
  }
  film_clear (&film);
}

/* The example of section 5.3, and what is in flight counts as known. */
static void
test_skips_what_is_known (void)
{
  Film film;
  PeerHash proof[PEER_PROOF_MAX];
  film_init (&film, 1024, 7162);
  g_autoptr (PeerChunks) known = peer_chunks_new (0);
  g_autoptr (PeerChunks) in_flight = peer_chunks_new (0);
  peer_chunks_add (known, (PeerRange){0, 2});
  assert_proof (&film, 6, known, "9 14");
  peer_chunks_add (in_flight, (PeerRange){4, 5});
  g_assert_cmpint (peer_integrity_proof (film.source, 6, known, in_flight, proof), ==, 1);
  g_assert_cmpuint (peer_bin_from_range (proof[0].chunks), ==, 14);
  g_assert_cmpint (peer_integrity_proof (film.source, 5, NULL, in_flight, proof), ==, 0);
  g_assert_cmpint (peer_integrity_proof (film.source, 7, known, NULL, proof), ==, -1);
  film_clear (&film);
}

/* --- what is believed --- */

/* Any number of chunks, in order, reversed and shuffled, with and without the length. */
static void
test_any_order (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (2);
  for (unsigned round = 0; round < 400; round++) {
    Film film;
    film_init (&film, 48, (size_t)g_rand_int_range (rand, 1, 70 * 48));
    /* Two hashes long, and the length is not told: see the test of that name. */
    bool knows_length = round % 2 || film.length == 64;
    g_autoptr (PeerIntegrity) receiver = film_receiver (&film, knows_length);
    g_autoptr (PeerChunks) known = peer_chunks_new (0);
    g_autofree uint64_t *order = g_new (uint64_t, film.n_chunks);
    PeerPendingHashes pending = {0};
    for (uint64_t i = 0; i < film.n_chunks; i++) {
      uint64_t k = round % 3 == 2 ? (uint64_t)g_rand_int_range (rand, 0, (int)i + 1) : i;
      order[i] = order[k];
      order[k] = round % 3 == 1 ? film.n_chunks - 1 - i : i;
    }
    for (uint64_t i = 0; i < film.n_chunks; i++)
      g_assert_cmpint (give (&film, receiver, &pending, order[i], known), ==, PEER_INTEGRITY_GOOD);
    g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, film.n_chunks);
    g_assert_cmpuint (peer_chunks_count (known), ==, film.n_chunks);
    g_assert_cmpuint (pending.n, <=, 7);
    film_clear (&film);
  }
}

/* A receiver gives on to another what it has, and only that. */
static void
test_gives_on (void)
{
  Film film;
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  film_init (&film, 40, 40 * 100 - 3);
  g_autoptr (PeerIntegrity) first = film_receiver (&film, false);
  g_autoptr (PeerIntegrity) second = film_receiver (&film, false);
  g_autoptr (PeerChunks) known_first = peer_chunks_new (0);
  g_autoptr (PeerChunks) known_second = peer_chunks_new (0);
  PeerPendingHashes pending_first = {0}, pending_second = {0};
  PeerHash proof[PEER_PROOF_MAX];
  g_assert_cmpint (peer_integrity_proof (first, 0, NULL, NULL, proof), ==, -1);
  for (unsigned i = 0; i < 60; i++) {
    uint64_t c = (uint64_t)g_rand_int_range (rand, 0, 100);
    size_t n;
    g_assert_cmpint (give (&film, first, &pending_first, c, known_first), ==, PEER_INTEGRITY_GOOD);
    int n_proof = peer_integrity_proof (first, c, known_second, NULL, proof);
    g_assert_cmpint (n_proof, >=, 0);
    add_hashes (&pending_second, proof, n_proof, 32);
    const uint8_t *bytes = chunk_of (&film, c, &n);
    g_assert_cmpint (peer_integrity_check (second, &pending_second, c, bytes, n), ==,
                     PEER_INTEGRITY_GOOD);
    peer_chunks_add (known_second, (PeerRange){c, c + 1});
  }
  film_clear (&film);
}

/* 65,536 chunks in order: a leaf and about a parent for each. */
static void
test_cost_in_order (void)
{
  enum { CHUNKS = 65536 };
  Film film;
  film_init (&film, 32, (size_t)CHUNKS * 32);
  g_autoptr (PeerIntegrity) receiver = film_receiver (&film, false);
  g_autoptr (PeerChunks) known = peer_chunks_new (0);
  PeerPendingHashes pending = {0};
  g_assert_cmpuint (peer_integrity_hash_count (film.source), <, 2 * CHUNKS);
  for (uint64_t c = 0; c < CHUNKS; c++)
    g_assert_cmpint (give (&film, receiver, &pending, c, known), ==, PEER_INTEGRITY_GOOD);
  double cost = (double)peer_integrity_hash_count (receiver) / CHUNKS;
  g_test_message ("%.4f hashes per chunk", cost);
  g_assert_cmpfloat (cost, <=, 2.1);
  g_assert_cmpfloat (cost, >=, 1.0);
  film_clear (&film);
}

/* --- liars --- */

/* A receiver is given chunk with proof, where something is wrong; then the truth. The lie must not
 * pass, and must not stand in the way of the truth. */
static void
assert_lie_fails (const Film *film, bool knows_length, uint64_t first_chunk, uint64_t chunk,
                  const PeerHash *proof, int n_proof, const uint8_t *bytes, size_t n)
{
  g_autoptr (PeerIntegrity) receiver = film_receiver (film, knows_length);
  g_autoptr (PeerChunks) known = peer_chunks_new (0);
  PeerPendingHashes pending = {0}, liar = {0};
  if (first_chunk != UINT64_MAX)
    g_assert_cmpint (give (film, receiver, &pending, first_chunk, known), ==, PEER_INTEGRITY_GOOD);
  add_hashes (&liar, proof, n_proof, peer_content_hash_size (&film->content));
  PeerIntegrityResult result = peer_integrity_check (receiver, &liar, chunk, bytes, n);
  if (result == PEER_INTEGRITY_GOOD) {
    size_t n_true = 0;
    g_assert_cmpuint (chunk, <, film->n_chunks);
    const uint8_t *truth = chunk_of (film, chunk, &n_true);
    g_assert_cmpmem (bytes, n, truth, n_true);
  }
  for (uint64_t c = 0; c < film->n_chunks; c++)
    g_assert_cmpint (give (film, receiver, &pending, c, known), ==, PEER_INTEGRITY_GOOD);
  g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, film->n_chunks);
}

/* Each bit of the chunk, and each byte of the hashes and their ranges to each of 256 values. */
static void
test_every_wrong_bit (void)
{
  Film film;
  PeerHash proof[PEER_PROOF_MAX], wrong[PEER_PROOF_MAX];
  uint8_t chunk[16];
  size_t n;
  film_init (&film, 16, 7 * 16 - 5);
  g_autoptr (PeerChunks) known = peer_chunks_new (0);
  for (unsigned round = 0; round < 4; round++) {
    uint64_t first_chunk = round < 2 ? UINT64_MAX : 0, c = 4;
    if (round == 2)
      peer_chunks_add (known, (PeerRange){0, 1});
    int n_proof = peer_integrity_proof (film.source, c, known, NULL, proof);
    const uint8_t *bytes = chunk_of (&film, c, &n);
    for (unsigned bit = 0; bit < 8 * n; bit++) {
      memcpy (chunk, bytes, n);
      chunk[bit / 8] ^= (uint8_t)(1u << bit % 8);
      assert_lie_fails (&film, round % 2, first_chunk, c, proof, n_proof, chunk, n);
    }
    for (size_t cut = 1; cut < n; cut++)
      assert_lie_fails (&film, round % 2, first_chunk, c, proof, n_proof, bytes, cut);
    for (size_t i = 0; i < (size_t)n_proof * sizeof proof[0]; i++)
      for (unsigned value = 0; value < 256; value += i % sizeof proof[0] < 16 ? 1 : 17) {
        memcpy (wrong, proof, sizeof proof);
        ((uint8_t *)wrong)[i] = (uint8_t)value;
        assert_lie_fails (&film, round % 2, first_chunk, c, wrong, n_proof, bytes, n);
      }
  }
  film_clear (&film);
}

/* Who is to blame: with a chunk of another or with swapped siblings the answer is BAD, and it
 * stays the liar's own trouble. */
static void
test_blames_the_liar (void)
{
  Film film;
  PeerHash proof[PEER_PROOF_MAX], swapped[PEER_PROOF_MAX];
  size_t n;
  film_init (&film, 32, 13 * 32);
  for (unsigned knows_length = 0; knows_length < 2; knows_length++) {
    g_autoptr (PeerIntegrity) receiver = film_receiver (&film, knows_length);
    g_autoptr (PeerChunks) known = peer_chunks_new (0);
    PeerPendingHashes pending = {0}, liar = {0};
    give (&film, receiver, &pending, 12, known);
    int n_proof = peer_integrity_proof (film.source, 5, known, NULL, proof);
    g_assert_cmpint (n_proof, ==, 3);
    memcpy (swapped, proof, sizeof proof);
    memcpy (swapped[0].hash, proof[1].hash, PEER_HASH_MAX);
    memcpy (swapped[1].hash, proof[0].hash, PEER_HASH_MAX);
    const uint8_t *bytes = chunk_of (&film, 5, &n);
    add_hashes (&liar, swapped, n_proof, 32);
    g_assert_cmpint (peer_integrity_check (receiver, &liar, 5, bytes, n), ==, PEER_INTEGRITY_BAD);
    liar.n = 0;
    add_hashes (&liar, proof, n_proof, 32);
    bytes = chunk_of (&film, 6, &n);
    g_assert_cmpint (peer_integrity_check (receiver, &liar, 5, bytes, n), ==, PEER_INTEGRITY_BAD);
    /* The sibling's place for the same chunk. */
    bytes = chunk_of (&film, 5, &n);
    g_assert_cmpint (peer_integrity_check (receiver, &liar, 4, bytes, n), !=, PEER_INTEGRITY_GOOD);
    g_assert_cmpint (peer_integrity_check (receiver, &liar, 13, bytes, n), ==, PEER_INTEGRITY_BAD);
    g_assert_cmpint (peer_integrity_check (receiver, &liar, 5, bytes, 0), ==, PEER_INTEGRITY_BAD);
    g_assert_cmpint (peer_integrity_check (receiver, &liar, 5, bytes, n), ==, PEER_INTEGRITY_GOOD);
    for (uint64_t c = 0; c < 13; c++)
      g_assert_cmpint (give (&film, receiver, &pending, c, known), ==, PEER_INTEGRITY_GOOD);
  }
  film_clear (&film);
}

static void
add_node (const Film *film, PeerPendingHashes *pending, uint64_t first, uint64_t end,
          const uint8_t *hash)
{
  peer_pending_hashes_add (pending, (PeerRange){first, end}, hash,
                           peer_content_hash_size (&film->content));
}

/* Sections 5.6.1 and 5.6.2 promise that peaks are checked by the root. They are only a claim: the
 * root is a peak of itself at any height, and a node that is not filled passes too. */
static void
test_peaks_that_lie (void)
{
  for (unsigned n_chunks = 2; n_chunks <= 40; n_chunks++) {
    Film film;
    film_init (&film, 32, n_chunks * 32 - n_chunks % 2);
    for (unsigned height = 0; height <= 62; height++) {
      g_autoptr (PeerIntegrity) receiver = film_receiver (&film, false);
      g_autoptr (PeerChunks) known = peer_chunks_new (0);
      PeerPendingHashes liar = {0}, pending = {0};
      size_t n;
      add_node (&film, &liar, 0, UINT64_C (1) << height, film.content.swarm_id);
      const uint8_t *bytes = chunk_of (&film, 0, &n);
      g_assert_cmpint (peer_integrity_check (receiver, &liar, 0, bytes, n), ==,
                       PEER_INTEGRITY_MISSING);
      g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, 0);
      for (uint64_t c = 0; c < n_chunks; c++)
        g_assert_cmpint (give (&film, receiver, &pending, c, known), ==, PEER_INTEGRITY_GOOD);
      g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, n_chunks);
    }
    /* The liar states 2^k chunks and gives a true chunk with all its true uncles. */
    unsigned height = 0;
    while (1u << height < n_chunks)
      height++;
    g_autoptr (PeerIntegrity) receiver = film_receiver (&film, false);
    g_autoptr (PeerChunks) first = peer_chunks_new (0);
    g_autoptr (PeerChunks) known = peer_chunks_new (0);
    PeerPendingHashes liar = {0}, pending = {0};
    PeerHash proof[PEER_PROOF_MAX];
    size_t n;
    uint64_t lie = UINT64_C (1) << height;
    peer_chunks_add (first, (PeerRange){lie, lie + 1}); /* so that uncles go up to the root */
    int n_proof = peer_integrity_proof (film.source, 0, first, NULL, proof);
    add_hashes (&liar, proof, n_proof, 32);
    add_node (&film, &liar, 0, lie, film.content.swarm_id);
    const uint8_t *bytes = chunk_of (&film, 0, &n);
    g_assert_cmpint (peer_integrity_check (receiver, &liar, 0, bytes, n), ==, PEER_INTEGRITY_GOOD);
    g_assert_cmpuint (peer_integrity_n_chunks (receiver), >=, n_chunks);
    g_assert_cmpuint (peer_integrity_n_chunks (receiver), <=, lie);
    /* Nobody is condemned for the truth, and the size is true in the end, from either side. */
    for (uint64_t c = n_chunks; c-- > 0;)
      g_assert_cmpint (give (&film, receiver, &pending, c, known), ==, PEER_INTEGRITY_GOOD);
    g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, n_chunks);
    film_clear (&film);
  }
}

/* Five chunks, and the liar says six: the unfilled node 9 of chunks 4 and 5 as a peak. */
static void
test_overstated_size_shrinks (void)
{
  for (unsigned variant = 0; variant < 4; variant++) {
    Film film;
    PeerHash proof[PEER_PROOF_MAX];
    size_t n;
    film_init (&film, 32, variant % 2 ? 5 * 32 : 5 * 32 - 1);
    g_autoptr (PeerIntegrity) receiver = film_receiver (&film, false);
    g_autoptr (PeerChunks) known = peer_chunks_new (0);
    PeerPendingHashes liar = {0}, pending = {0};
    peer_chunks_add (known, (PeerRange){0, 4});
    int n_proof = peer_integrity_proof (film.source, 4, known, NULL, proof); /* 13, 14 */
    g_assert_cmpint (n_proof, ==, 2);
    peer_chunks_clear (known);
    /* The peaks of six: 0-3 is true, 4-5 is the parent of chunk 4 and nothing. */
    g_autoptr (PeerHasher) hasher = peer_hasher_new (PEER_HASH_SHA256);
    uint8_t node[PEER_HASH_MAX];
    const uint8_t *bytes = chunk_of (&film, 4, &n);
    peer_hasher_chunk (hasher, bytes, n, node);
    peer_hasher_parent (hasher, node, proof[1].hash, node);
    n_proof = peer_integrity_proof (film.source, 0, NULL, NULL, proof);
    add_hashes (&liar, proof, n_proof, 32);
    peer_pending_hashes_remove (&liar, (PeerRange){4, 5});
    add_node (&film, &liar, 4, 6, node);
    bytes = chunk_of (&film, 0, &n);
    g_assert_cmpint (peer_integrity_check (receiver, &liar, 0, bytes, n), ==, PEER_INTEGRITY_GOOD);
    g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, 6);
    bytes = chunk_of (&film, 4, &n);
    if (variant < 2) {
      /* An honest peer that believes that we know nothing: its peaks say five. */
      g_assert_cmpint (give (&film, receiver, &pending, 4, known), ==, PEER_INTEGRITY_GOOD);
    } else {
      /* One that knows that we have chunk 0 sends uncles, as in table 1. */
      peer_chunks_add (known, (PeerRange){0, 1});
      g_assert_cmpint (peer_integrity_check (receiver, &pending, 4, bytes, n), ==,
                       PEER_INTEGRITY_MISSING);
      g_assert_cmpint (give (&film, receiver, &pending, 4, known), ==, PEER_INTEGRITY_GOOD);
    }
    g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, 5);
    /* Now it is proven: a short chunk in the middle is a lie. */
    bytes = chunk_of (&film, 1, &n);
    g_assert_cmpint (peer_integrity_check (receiver, &pending, 1, bytes, n - 1), ==,
                     PEER_INTEGRITY_BAD);
    for (uint64_t c = 0; c < 5; c++)
      g_assert_cmpint (give (&film, receiver, &pending, c, known), ==, PEER_INTEGRITY_GOOD);
    film_clear (&film);
  }
}

/* Once the height is known, no peaks make the content longer. */
static void
test_size_never_grows (void)
{
  Film film;
  PeerHash proof[PEER_PROOF_MAX];
  uint8_t node[PEER_HASH_MAX];
  size_t n;
  film_init (&film, 32, 5 * 32);
  g_autoptr (PeerIntegrity) receiver = film_receiver (&film, false);
  g_autoptr (PeerHasher) hasher = peer_hasher_new (PEER_HASH_SHA256);
  g_autoptr (PeerChunks) known = peer_chunks_new (0);
  PeerPendingHashes pending = {0}, liar = {0};
  g_assert_cmpint (give (&film, receiver, &pending, 0, known), ==, PEER_INTEGRITY_GOOD);
  g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, 5);
  g_assert_cmpint (peer_integrity_proof (film.source, 0, NULL, NULL, proof), ==, 4);
  add_node (&film, &liar, 0, 4, proof[0].hash);
  const uint8_t *bytes = chunk_of (&film, 4, &n);
  uint8_t zeros[PEER_HASH_MAX] = {0};
  peer_hasher_chunk (hasher, bytes, n, node);
  peer_hasher_parent (hasher, node, zeros, node);
  add_node (&film, &liar, 4, 6, node);
  bytes = chunk_of (&film, 2, &n);
  g_assert_cmpint (peer_integrity_check (receiver, &liar, 2, bytes, n), ==, PEER_INTEGRITY_MISSING);
  g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, 5);
  film_clear (&film);
}

/* Who made the content broke the rule that only the last chunk may be short. */
static void
test_short_chunk_in_the_middle (void)
{
  static const uint8_t bytes[3][32] = {"the first", "short", "the last"};
  static const size_t sizes[3] = {32, 20, 32};
  for (unsigned knows_length = 0; knows_length < 2; knows_length++) {
    PeerContent content;
    PeerPendingHashes pending = {0};
    uint8_t rows[4][PEER_HASH_MAX] = {{0}}, left[PEER_HASH_MAX], right[PEER_HASH_MAX];
    g_autoptr (PeerHasher) hasher = peer_hasher_new (PEER_HASH_SHA256);
    peer_content_init_static (&content);
    content.chunk_size = 32;
    content.length = knows_length ? 96 : 0;
    content.swarm_id_size = 32;
    for (unsigned i = 0; i < 3; i++)
      peer_hasher_chunk (hasher, bytes[i], sizes[i], rows[i]);
    peer_hasher_parent (hasher, rows[0], rows[1], left);
    peer_hasher_parent (hasher, rows[2], rows[3], right);
    peer_hasher_parent (hasher, left, right, content.swarm_id);
    g_autoptr (PeerIntegrity) receiver = peer_integrity_new (&content, 0, NULL, NULL);
    for (unsigned round = 0; round < 3; round++) {
      peer_pending_hashes_add (&pending, (PeerRange){0, 2}, left, 32);
      for (unsigned i = 0; i < 3; i++)
        peer_pending_hashes_add (&pending, (PeerRange){i, i + 1}, rows[i], 32);
      g_assert_cmpint (peer_integrity_check (receiver, &pending, 1, bytes[1], 20), !=,
                       PEER_INTEGRITY_GOOD);
      g_assert_cmpint (
          peer_integrity_check (receiver, &pending, 2 * (round % 2), bytes[2 * (round % 2)], 32),
          ==, PEER_INTEGRITY_GOOD);
    }
    g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, 3);
  }
}

/* The hashes of two siblings, taken for a chunk, hash to their parent. */
static void
test_two_hashes_are_no_chunk (void)
{
  Film film;
  PeerHash proof[PEER_PROOF_MAX];
  uint8_t both[64], node[PEER_HASH_MAX];
  size_t n;
  film_init (&film, 128, 8 * 128);
  g_autoptr (PeerChunks) other = peer_chunks_new (0);
  g_autoptr (PeerHasher) hasher = peer_hasher_new (PEER_HASH_SHA256);
  peer_chunks_add (other, (PeerRange){7, 8});

  /* The root's children as the one and only chunk; then those of its right child as chunk 1 of 2. */
  g_assert_cmpint (peer_integrity_proof (film.source, 0, other, NULL, proof), ==, 2);
  uint8_t left[PEER_HASH_MAX], right[PEER_HASH_MAX], rr[PEER_HASH_MAX], rl[PEER_HASH_MAX];
  /* Nodes by the words of section 5.1. */
  uint8_t rows[8][PEER_HASH_MAX];
  for (unsigned c = 0; c < 8; c++) {
    const uint8_t *bytes = chunk_of (&film, c, &n);
    peer_hasher_chunk (hasher, bytes, n, rows[c]);
  }
  for (unsigned i = 0; i < 4; i++)
    peer_hasher_parent (hasher, rows[2 * i], rows[2 * i + 1], rows[i]);
  memcpy (rl, rows[2], 32);
  memcpy (rr, rows[3], 32);
  peer_hasher_parent (hasher, rows[0], rows[1], left);
  peer_hasher_parent (hasher, rl, rr, right);
  peer_hasher_parent (hasher, left, right, node);
  g_assert_cmpmem (node, 32, film.content.swarm_id, 32);

  g_autoptr (PeerIntegrity) receiver = film_receiver (&film, false);
  PeerPendingHashes liar = {0}, pending = {0};
  g_autoptr (PeerChunks) known = peer_chunks_new (0);
  memcpy (both, left, 32);
  memcpy (both + 32, right, 32);
  peer_hasher_chunk (hasher, both, 64, node);
  g_assert_cmpmem (node, 32, film.content.swarm_id, 32);
  add_node (&film, &liar, 0, 1, film.content.swarm_id);
  g_assert_cmpint (peer_integrity_check (receiver, &liar, 0, both, 64), ==, PEER_INTEGRITY_MISSING);
  liar.n = 0;
  memcpy (both, rl, 32);
  memcpy (both + 32, rr, 32);
  add_node (&film, &liar, 0, 2, film.content.swarm_id);
  add_node (&film, &liar, 0, 1, left);
  g_assert_cmpint (peer_integrity_check (receiver, &liar, 1, both, 64), ==, PEER_INTEGRITY_MISSING);
  g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, 0);
  for (uint64_t c = 0; c < 8; c++)
    g_assert_cmpint (give (&film, receiver, &pending, c, known), ==, PEER_INTEGRITY_GOOD);

  /* With the length known the height is, and 64 bytes are as good as any. */
  Film small;
  film_init (&small, 128, 64);
  g_autoptr (PeerIntegrity) informed = film_receiver (&small, true);
  pending.n = 0;
  peer_chunks_clear (known);
  g_assert_cmpint (give (&small, informed, &pending, 0, known), ==, PEER_INTEGRITY_GOOD);
  film_clear (&small);

  g_autoptr (GError) error = NULL;
  film.content.chunk_size = 64;
  g_assert_null (peer_integrity_new (&film.content, 0, NULL, &error));
  g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT);
  film_clear (&film);
}

/* All-zero hashes are the tree's word for "nothing": parents of zeros are zeros. */
static void
test_zeros_prove_nothing (void)
{
  Film film;
  uint8_t zeros[128] = {0};
  film_init (&film, 128, 8 * 128);
  for (unsigned knows_length = 0; knows_length < 2; knows_length++)
    for (unsigned before = 0; before < 2; before++) {
      g_autoptr (PeerIntegrity) receiver = film_receiver (&film, knows_length);
      g_autoptr (PeerChunks) known = peer_chunks_new (0);
      PeerPendingHashes liar = {0}, pending = {0};
      if (before)
        give (&film, receiver, &pending, 0, known);
      for (unsigned height = 0; height < 4; height++)
        for (uint64_t first = 0; first < 8; first += UINT64_C (1) << height)
          add_node (&film, &liar, first, first + (UINT64_C (1) << height), zeros);
      for (uint64_t c = 0; c < 8; c++)
        for (size_t n = 0; n <= 128; n += 32)
          g_assert_cmpint (peer_integrity_check (receiver, &liar, c, zeros, n), !=,
                           PEER_INTEGRITY_GOOD);
      for (uint64_t c = 0; c < 8; c++)
        g_assert_cmpint (give (&film, receiver, &pending, c, known), ==, PEER_INTEGRITY_GOOD);
    }
  g_autoptr (GError) error = NULL;
  memset (film.content.swarm_id, 0, sizeof film.content.swarm_id);
  g_assert_null (peer_integrity_new (&film.content, 0, NULL, &error));
  g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT);
  film_clear (&film);
}

/* Whatever arrives, true hashes among it or not: what passes is the content. */
static void
test_random_hashes (void)
{
  Film film;
  film_init (&film, 32, 23 * 32 - 9);
  g_autoptr (GRand) rand = g_rand_new_with_seed (11);
  g_autoptr (PeerIntegrity) receiver = NULL;
  PeerPendingHashes pending = {0};
  PeerHash proof[PEER_PROOF_MAX];
  unsigned n_good = 0;
  for (unsigned round = 0; round < 20000; round++) {
    size_t n;
    if (round % 200 == 0) {
      g_clear_pointer (&receiver, peer_integrity_free);
      receiver = film_receiver (&film, round % 400 != 0);
    }
    uint64_t c = (uint64_t)g_rand_int_range (rand, 0, 23);
    int n_proof = peer_integrity_proof (film.source, c, NULL, NULL, proof);
    for (int i = 0; i < n_proof; i++)
      if (g_rand_int_range (rand, 0, 6) == 0)
        proof[i].hash[g_rand_int_range (rand, 0, 32)] ^= 1;
      else if (g_rand_int_range (rand, 0, 9) == 0)
        proof[i].chunks.end += (uint64_t)g_rand_int_range (rand, 0, 9);
    add_hashes (&pending, proof, n_proof, 32);
    g_assert_cmpuint (pending.n, <=, PEER_PROOF_MAX);
    const uint8_t *bytes = chunk_of (&film, c, &n);
    uint64_t as = g_rand_int_range (rand, 0, 5) ? c : (uint64_t)g_rand_int_range (rand, 0, 40);
    if (peer_integrity_check (receiver, &pending, as, bytes, n) == PEER_INTEGRITY_GOOD) {
      g_assert_cmpuint (as, ==, c);
      n_good++;
    }
  }
  g_assert_cmpuint (n_good, >, 1000);
  film_clear (&film);
}

static void
test_pending_is_bounded (void)
{
  PeerPendingHashes pending = {0};
  uint8_t hash[PEER_HASH_MAX] = {0};
  for (uint64_t c = 0; c < 1000; c++)
    peer_pending_hashes_add (&pending, (PeerRange){c, c + 1}, hash, 32);
  g_assert_cmpuint (pending.n, ==, PEER_PROOF_MAX);
  g_assert_null (peer_pending_hashes_find (&pending, (PeerRange){871, 872}));
  g_assert_nonnull (peer_pending_hashes_find (&pending, (PeerRange){872, 873}));
  g_assert_nonnull (peer_pending_hashes_find (&pending, (PeerRange){999, 1000}));
  /* The newest word counts, and it is the youngest then. */
  hash[0] = 7;
  peer_pending_hashes_add (&pending, (PeerRange){872, 873}, hash, 32);
  peer_pending_hashes_add (&pending, (PeerRange){0, 1}, hash, 32);
  g_assert_cmpuint (peer_pending_hashes_find (&pending, (PeerRange){872, 873})[0], ==, 7);
  g_assert_null (peer_pending_hashes_find (&pending, (PeerRange){873, 874}));
  pending.n = 0;
  static const PeerRange bad[] = {
      {1, 3}, {0, 3}, {5, 5}, {6, 5}, {0, 0}, {0, UINT64_MAX}, {0, UINT64_C (1) << 63}};
  for (unsigned i = 0; i < G_N_ELEMENTS (bad); i++)
    peer_pending_hashes_add (&pending, bad[i], hash, 32);
  g_assert_cmpuint (pending.n, ==, 0);
}

/* A tree of 2^40 bytes costs what is touched. */
static void
test_large_tree_is_sparse (void)
{
  Film film;
  PeerContent content;
  PeerHash proof[PEER_PROOF_MAX];
  film_init (&film, 1024, 1024);
  content = film.content;
  content.length = UINT64_C (1) << 40;
  content.addressing = PEER_ADDRESSING_CHUNKS64;
  g_autoptr (PeerIntegrity) receiver = peer_integrity_new (&content, 0, NULL, NULL);
  g_assert_cmpuint (peer_integrity_n_chunks (receiver), ==, UINT64_C (1) << 30);
  g_assert_cmpint (peer_integrity_proof (receiver, 12345, NULL, NULL, proof), ==, -1);
  film_clear (&film);
}

/* What came again with a chunk that is believed goes; what other chunks wait for stays, in order. */
static void
test_prune (void)
{
  static const PeerRange nodes[] = {{4, 5}, {6, 8}, {0, 4}, {8, 16}, {5, 6}, {16, 17}, {0, 16}};
  PeerPendingHashes pending = {0};
  uint8_t hash[32] = {0};
  for (unsigned i = 0; i < G_N_ELEMENTS (nodes); i++) {
    hash[0] = (uint8_t)i;
    peer_pending_hashes_add (&pending, nodes[i], hash, sizeof hash);
  }
  peer_pending_hashes_prune (&pending, 5); /* beside its way: 4, 6 to 8, 0 to 4, 8 to 16 */
  g_assert_cmpuint (pending.n, ==, 3);
  for (unsigned i = 0; i < 3; i++) {
    g_assert_cmpuint (pending.hashes[i].chunks.first, ==, nodes[4 + i].first);
    g_assert_cmpuint (pending.hashes[i].chunks.end, ==, nodes[4 + i].end);
    g_assert_cmpuint (pending.hashes[i].hash[0], ==, 4 + i);
  }
}

/* Nor does what a climb has made waste the place of others: neither its way nor what is beside it. */
static void
test_believed_waits_no_longer (void)
{
  static const PeerRange way[] = {{0, 1}, {0, 2}};
  Film film;
  PeerHash proof[PEER_PROOF_MAX];
  PeerPendingHashes pending = {0};
  uint8_t lie[32] = {7};
  size_t size;
  film_init (&film, 1024, 7162);
  g_autoptr (PeerIntegrity) receiver = film_receiver (&film, true);
  for (unsigned i = 0; i < G_N_ELEMENTS (way); i++)
    peer_pending_hashes_add (&pending, way[i], lie, sizeof lie);
  int n = peer_integrity_proof (film.source, 0, NULL, NULL, proof);
  add_hashes (&pending, proof, n, 32);
  const uint8_t *bytes = chunk_of (&film, 0, &size);
  g_assert_cmpint (peer_integrity_check (receiver, &pending, 0, bytes, size), ==,
                   PEER_INTEGRITY_GOOD);
  for (unsigned i = 0; i < pending.n; i++)
    g_assert_cmpuint (pending.hashes[i].chunks.first, >=, 4);
  film_clear (&film);
}

/* --- what is lacking --- */

static void
hash_of (const Film *film, PeerHasher *hasher, PeerRange node, uint8_t *out)
{
  uint8_t left[PEER_HASH_MAX], right[PEER_HASH_MAX];
  size_t n;
  if (node.first >= film->n_chunks) {
    memset (out, 0, PEER_HASH_MAX);
  } else if (peer_range_size (node) == 1) {
    const uint8_t *bytes = chunk_of (film, node.first, &n);
    peer_hasher_chunk (hasher, bytes, n, out);
  } else {
    uint64_t middle = node.first + peer_range_size (node) / 2;
    hash_of (film, hasher, (PeerRange){node.first, middle}, left);
    hash_of (film, hasher, (PeerRange){middle, node.end}, right);
    peer_hasher_parent (hasher, left, right, out);
  }
}

/* pending: what lacks says, but for number without. */
static PeerIntegrityResult
check_lacking (const Film *film, PeerIntegrity *receiver, uint64_t chunk, const PeerRange *lacks,
               int n_lacks, int without)
{
  g_autoptr (PeerHasher) hasher = peer_hasher_new (film->content.hash);
  PeerPendingHashes pending = {0};
  uint8_t hash[PEER_HASH_MAX];
  size_t n;
  for (int i = 0; i < n_lacks; i++) {
    hash_of (film, hasher, lacks[i], hash);
    if (i != without)
      peer_pending_hashes_add (&pending, lacks[i], hash, peer_content_hash_size (&film->content));
  }
  const uint8_t *bytes = chunk_of (film, chunk, &n);
  return peer_integrity_check (receiver, &pending, chunk, bytes, n);
}

/* With all that is lacking a chunk is believed, and with one less it is not; and what was believed so
 * can be proven to who has nothing. */
static void
test_lacks (void)
{
  static const size_t sizes[] = {1, 2, 3, 7, 8, 13, 64, 100};
  PeerRange lacks[PEER_PROOF_MAX];
  PeerHash proof[PEER_PROOF_MAX];
  for (size_t s = 0; s < G_N_ELEMENTS (sizes); s++) {
    Film film;
    film_init (&film, 100, sizes[s] * 100 - 30);
    g_autoptr (PeerIntegrity) receiver = film_receiver (&film, true);
    g_assert_cmpint (peer_integrity_lacks (receiver, film.n_chunks, lacks), ==, -1);
    for (uint64_t i = 0; i < film.n_chunks; i++) {
      uint64_t chunk = (i * 37 + 5) % 101 % film.n_chunks; /* now and then one again */
      int n = peer_integrity_lacks (receiver, chunk, lacks);
      g_assert_cmpint (n, >=, 0);
      /* the first comes with the peaks, of which some are for others alone */
      for (int without = 0; i > 0 && without < n; without++)
        g_assert_cmpint (check_lacking (&film, receiver, chunk, lacks, n, without), ==,
                         PEER_INTEGRITY_MISSING);
      g_assert_cmpint (check_lacking (&film, receiver, chunk, lacks, n, -1), ==,
                       PEER_INTEGRITY_GOOD);
      g_assert_cmpint (peer_integrity_lacks (receiver, chunk, lacks), ==, 0);
      g_assert_cmpint (peer_integrity_proof (receiver, chunk, NULL, NULL, proof), ==,
                       peer_integrity_proof (film.source, chunk, NULL, NULL, proof));
    }
    film_clear (&film);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/integrity/known-roots", test_known_roots);
  g_test_add_func ("/peer/integrity/root-is-what-the-words-say", test_root_by_the_words);
  g_test_add_func ("/peer/integrity/table-1-of-the-rfc", test_table_1);
  g_test_add_func ("/peer/integrity/skips-what-is-known", test_skips_what_is_known);
  g_test_add_func ("/peer/integrity/any-order-any-size", test_any_order);
  g_test_add_func ("/peer/integrity/receiver-gives-on", test_gives_on);
  g_test_add_func ("/peer/integrity/two-hashes-per-chunk-in-order", test_cost_in_order);
  g_test_add_func ("/peer/integrity/no-wrong-bit-passes", test_every_wrong_bit);
  g_test_add_func ("/peer/integrity/blames-the-liar-alone", test_blames_the_liar);
  g_test_add_func ("/peer/integrity/peaks-that-lie-settle-nothing", test_peaks_that_lie);
  g_test_add_func ("/peer/integrity/overstated-size-shrinks", test_overstated_size_shrinks);
  g_test_add_func ("/peer/integrity/size-never-grows", test_size_never_grows);
  g_test_add_func ("/peer/integrity/short-chunk-in-the-middle-is-not-good",
                   test_short_chunk_in_the_middle);
  g_test_add_func ("/peer/integrity/two-hashes-are-no-chunk", test_two_hashes_are_no_chunk);
  g_test_add_func ("/peer/integrity/zeros-prove-nothing", test_zeros_prove_nothing);
  g_test_add_func ("/peer/integrity/what-passes-is-the-content", test_random_hashes);
  g_test_add_func ("/peer/integrity/pending-is-bounded", test_pending_is_bounded);
  g_test_add_func ("/peer/integrity/hashes-that-came-again-are-pruned", test_prune);
  g_test_add_func ("/peer/integrity/what-is-believed-waits-no-longer",
                   test_believed_waits_no_longer);
  g_test_add_func ("/peer/integrity/large-tree-is-sparse", test_large_tree_is_sparse);
  g_test_add_func ("/peer/integrity/what-lacks-is-what-proves", test_lacks);
  return g_test_run ();
}
