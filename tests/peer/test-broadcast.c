/* SPDX-License-Identifier: Apache-2.0 */
/* From live to on demand (RFC 7574, section 6.1.2, last paragraph). */
#include "peer/wire.h"
#include "tests/peer/engines.h"
#include <string.h>

enum { STEP = 4 };

typedef struct {
  PeerContent content;
  PeerKey *key;
  PeerIntegrity *source;
} Live;

static void
append_chunks (PeerIntegrity *integrity, PeerKey *key, uint64_t first, uint64_t n)
{
  uint8_t bytes[CHUNK];
  for (uint64_t chunk = first; chunk < first + n; chunk++) {
    chunk_bytes (chunk, bytes);
    peer_integrity_append (integrity, bytes, CHUNK);
    if (key && (chunk + 1) % STEP == 0)
      g_assert_true (peer_integrity_sign (integrity, key, chunk + 1));
  }
}

static PeerIntegrity *
integrity_of (const PeerContent *content)
{
  g_autoptr (GError) error = NULL;
  PeerIntegrity *integrity = peer_integrity_new (content, UINT64_MAX, NULL, &error);
  g_assert_no_error (error);
  return integrity;
}

static void
live_init (Live *self, uint64_t first, uint64_t n)
{
  self->key = make_live (&self->content);
  self->content.chunks_per_signature = STEP;
  self->source = integrity_of (&self->content);
  peer_integrity_start (self->source, first);
  append_chunks (self->source, self->key, first, n);
}

static void
live_clear (Live *self)
{
  peer_integrity_free (self->source);
  peer_key_free (self->key);
}

/* Moves a munro as two messages would. */
static PeerIntegrityResult
pass_munro (PeerIntegrity *to, const PeerMunro *munro, uint64_t now)
{
  PeerPendingHashes pending = {.n = 0};
  peer_pending_hashes_add (&pending, munro->chunks, munro->hash, 32);
  return peer_integrity_add_munro (to, &pending, munro->chunks, munro->time, munro->signature,
                                   munro->signature_size, now, 60);
}

static void
pass_chunk (const PeerIntegrity *from, PeerIntegrity *to, uint64_t chunk, const PeerChunks *known)
{
  PeerHash proof[PEER_PROOF_MAX];
  PeerPendingHashes pending = {.n = 0};
  PeerMunro munro;
  uint8_t bytes[CHUNK];
  if (peer_integrity_munro (from, chunk, &munro))
    pass_munro (to, &munro, 0);
  int n = peer_integrity_proof (from, chunk, known, NULL, proof);
  g_assert_cmpint (n, >=, 0);
  for (int i = 0; i < n; i++)
    peer_pending_hashes_add (&pending, proof[i].chunks, proof[i].hash, 32);
  chunk_bytes (chunk, bytes);
  g_assert_cmpint (peer_integrity_check (to, &pending, chunk, bytes, CHUNK), ==,
                   PEER_INTEGRITY_GOOD);
}

/* The tree of a receiver that has verified all chunks is that of the static content, node for node:
 * it has the root that hashing the file gives, and proves each chunk to one who knows the root
 * alone. Lengths that are no powers of two, with empty leaves on the right, and one that is. */
static void
test_same_tree (void)
{
  static const uint64_t subtrees[] = {1, 2, 3, 5, 7, 8, 13, 33};
  for (unsigned i = 0; i < G_N_ELEMENTS (subtrees); i++) {
    uint64_t n = subtrees[i] * STEP;
    g_autoptr (GError) error = NULL;
    Live live;
    PeerContent content, plain;
    PeerMunro end;
    uint8_t root[PEER_HASH_MAX];
    live_init (&live, 0, n);
    g_autoptr (PeerIntegrity) viewer = integrity_of (&live.content);
    for (uint64_t k = 0; k < n; k++)
      pass_chunk (live.source, viewer, k * 5 % n == k ? k : n - 1 - k, NULL);
    for (uint64_t k = 0; k < n; k++)
      pass_chunk (live.source, viewer, k, NULL);
    g_assert_false (peer_integrity_final (live.source, &content));
    g_assert_true (peer_integrity_sign_end (live.source, live.key, 77));
    g_assert_cmpuint (peer_integrity_end (live.source, &end), ==, n);
    g_assert_cmpint (pass_munro (viewer, &end, 0), ==, PEER_INTEGRITY_GOOD);
    g_assert_cmpint (pass_munro (viewer, &end, 0), ==, PEER_INTEGRITY_KNOWN);
    g_assert_cmpuint (peer_integrity_end (viewer, NULL), ==, n);

    peer_content_init_static (&plain);
    plain.chunk_size = CHUNK;
    plain.swarm_id_size = 0;
    g_autoptr (PeerIntegrity) hashed = integrity_of (&plain);
    append_chunks (hashed, NULL, 0, n);
    peer_integrity_finish (hashed, root);
    g_assert_true (peer_integrity_final (viewer, &content));
    g_assert_cmpmem (content.swarm_id, content.swarm_id_size, root, 32);
    g_assert_cmpuint (content.length, ==, n * CHUNK);
    g_assert_true (peer_content_check (&content, NULL));

    uint64_t before = peer_integrity_hash_count (viewer);
    g_autoptr (PeerIntegrity) settled = peer_integrity_settle (viewer, &content, NULL, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (peer_integrity_hash_count (viewer) - before, <, 2 * subtrees[i] + 64);
    content.length = 0; /* one who must find the size by the peaks */
    for (uint64_t k = 0; k < n; k++) {
      g_autoptr (PeerIntegrity) newcomer = integrity_of (&content);
      pass_chunk (settled, newcomer, k, NULL);
      g_assert_cmpuint (peer_integrity_n_chunks (newcomer), ==, n);
    }
    live_clear (&live);
  }
}

/* Who has not verified all, or did not see the beginning, has no tree to give. */
static void
test_not_all (void)
{
  g_autoptr (GError) error = NULL;
  Live live;
  PeerContent content;
  PeerMunro end;
  live_init (&live, 0, 3 * STEP);
  g_autoptr (PeerIntegrity) viewer = integrity_of (&live.content);
  g_assert_true (peer_integrity_sign_end (live.source, live.key, 1));
  peer_integrity_end (live.source, &end);
  pass_munro (viewer, &end, 0);
  for (uint64_t k = 0; k < 2 * STEP; k++)
    pass_chunk (live.source, viewer, k, NULL);
  g_assert_false (peer_integrity_final (viewer, &content));
  pass_chunk (live.source, viewer, 2 * STEP, NULL);
  g_assert_true (peer_integrity_final (viewer, &content)); /* all munros are here, not all chunks */
  g_assert_null (peer_integrity_settle (viewer, &content, NULL, &error));
  g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT);
  live_clear (&live);

  live_init (&live, 5 * STEP, 3 * STEP);
  g_assert_true (peer_integrity_sign_end (live.source, live.key, 1));
  g_assert_false (peer_integrity_final (live.source, &content));
  live_clear (&live);
}

/* Only the source ends it, once, between two subtrees. */
static void
test_end_is_signed (void)
{
  Live live, other;
  PeerMunro end, forged, more;
  live_init (&live, 0, STEP);
  live_init (&other, 0, STEP);
  g_autoptr (PeerIntegrity) viewer = integrity_of (&live.content);
  pass_chunk (live.source, viewer, 0, NULL);
  append_chunks (live.source, NULL, STEP, 1);
  g_assert_false (peer_integrity_sign_end (live.source, live.key, 5));
  append_chunks (live.source, live.key, STEP + 1, STEP - 1);
  g_assert_true (peer_integrity_sign_end (live.source, live.key, UINT64_C (100) << 32));
  peer_integrity_end (live.source, &end);
  g_assert_cmpuint (end.chunks.first, ==, 2 * STEP);

  append_chunks (other.source, other.key, STEP, STEP);
  g_assert_true (peer_integrity_sign_end (other.source, other.key, UINT64_C (100) << 32));
  peer_integrity_end (other.source, &forged);
  g_assert_cmpint (pass_munro (viewer, &forged, 0), ==, PEER_INTEGRITY_BAD);
  live_clear (&other);
  forged = end;
  forged.time++;
  g_assert_cmpint (pass_munro (viewer, &forged, 0), ==, PEER_INTEGRITY_BAD);
  g_assert_cmpint (pass_munro (viewer, &end, UINT64_C (161) << 32), ==, PEER_INTEGRITY_OLD);
  g_assert_cmpuint (peer_integrity_end (viewer, NULL), ==, 0);
  g_assert_cmpint (pass_munro (viewer, &end, UINT64_C (160) << 32), ==, PEER_INTEGRITY_GOOD);
  /* what the source signs behind its own end is a fork */
  append_chunks (live.source, live.key, 2 * STEP, STEP);
  g_assert_true (peer_integrity_newest_munro (live.source, &more));
  g_assert_cmpint (pass_munro (viewer, &more, 0), !=, PEER_INTEGRITY_GOOD);
  live_clear (&live);
}

/* A source, one who watches it, and one who knows that one alone: both learn of the end, keep all,
 * and the watcher gives it on as static content. */
static void
test_engines (void)
{
  Net net;
  PeerContent live, film;
  g_autoptr (PeerKey) key = make_live (&live);
  uint8_t bytes[CHUNK];
  const uint64_t n = 11 * MUNRO;
  PeerAddress middle = address_of (1);
  net_init (&net, 4);
  PeerJoin join = {.content = &live,
                   .store = peer_store_memory_new (CHUNK, n),
                   .discard_window = UINT64_MAX,
                   .source = true};
  PeerSwarm *source = peer_engine_join (net.engines[0], &join, NULL);
  peer_engine_start (net.engines[0], source, 0);
  join = (PeerJoin){
      .content = &live, .store = peer_store_memory_new (CHUNK, n), .discard_window = UINT64_MAX};
  PeerSwarm *watcher = peer_engine_join (net.engines[1], &join, NULL);
  PeerAddress first = address_of (0);
  peer_engine_add_peer (net.engines[1], watcher, &first);
  join.store = peer_store_memory_new (CHUNK, n);
  PeerSwarm *third = peer_engine_join (net.engines[2], &join, NULL);
  peer_engine_add_peer (net.engines[2], third, &middle);
  want (&net, 1, watcher, (PeerRange){0, n});
  want (&net, 2, third, (PeerRange){0, n});
  for (uint64_t chunk = 0; chunk < n; chunk++) {
    chunk_bytes (chunk, bytes);
    peer_engine_append (net.engines[0], source, bytes, CHUNK);
    if ((chunk + 1) % MUNRO == 0) {
      g_assert_true (peer_engine_sign (net.engines[0], source, key, net.now));
      net_run (&net, net.now + 50000);
    }
  }
  net_run (&net, net.now + 3000000);
  g_assert_true (peer_engine_end (net.engines[0], source, key, net.now));
  net_run (&net, net.now + 5000000);
  for (unsigned i = 0; i < 3; i++) {
    g_assert_cmpuint (count_events (&net, i, PEER_EVENT_END), ==, 1);
    g_assert_cmpuint (peer_engine_counters (net.engines[i])->munros_forked, ==, 0);
    g_assert_cmpuint (peer_engine_counters (net.engines[i])->signatures_bad, ==, 0);
  }
  assert_has (watcher, (PeerRange){0, n}, CHUNK);
  assert_has (third, (PeerRange){0, n}, CHUNK);

  g_assert_true (peer_integrity_final (peer_swarm_integrity (watcher), &film));
  Film kept = {.content = film, .store = peer_store_memory_new (CHUNK, n)};
  kept.integrity = peer_integrity_settle (peer_swarm_integrity (watcher), &film, NULL, NULL);
  g_assert_nonnull (kept.integrity);
  for (uint64_t chunk = 0; chunk < n; chunk++) {
    chunk_bytes (chunk, bytes);
    kept.store->class->write (kept.store, chunk, bytes, CHUNK);
  }
  g_assert_nonnull (seed (&net, 1, &kept));
  PeerJoin other = {.content = &film, .store = peer_store_memory_new (CHUNK, n)};
  PeerSwarm *newcomer = peer_engine_join (net.engines[3], &other, NULL);
  peer_engine_add_peer (net.engines[3], newcomer, &middle);
  want (&net, 3, newcomer, (PeerRange){0, n});
  net_run (&net, net.now + 10000000);
  assert_has (newcomer, (PeerRange){0, n}, CHUNK);
  net_clear (&net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/broadcast/tree-is-that-of-the-file", test_same_tree);
  g_test_add_func ("/peer/broadcast/parts-have-no-tree", test_not_all);
  g_test_add_func ("/peer/broadcast/end-is-signed", test_end_is_signed);
  g_test_add_func ("/peer/broadcast/who-kept-it-gives-it-on-demand", test_engines);
  return g_test_run ();
}
