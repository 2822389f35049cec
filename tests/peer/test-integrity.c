/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/integrity.h"
#include "peer/wire.h"

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

static void
test_known_roots (void)
{
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
  return g_test_run ();
}
