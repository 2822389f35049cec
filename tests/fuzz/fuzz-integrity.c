/* SPDX-License-Identifier: Apache-2.0 */
/* Two liars who know the whole tree and say true hashes at true and false places, hashes as
 * content and content as hashes, in any order. Whatever they do: what passes is the content, and
 * an honest peer can give all of it afterwards.
 *
 *   n_chunks, length known? | operation, a, b, c | operation, a, b, c | ... */
#include "peer/integrity.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 80
#define MAX_CHUNKS 20

typedef struct {
  PeerContent content;
  PeerIntegrity *source;
  PeerHashStore *hashes; /* the source's own, borrowed */
} Film;

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static void
require (bool is_true)
{
  if (!is_true)
    abort ();
}

static const uint8_t *
chunk_of (uint64_t n_chunks, uint64_t chunk, size_t *n)
{
  static uint8_t bytes[MAX_CHUNKS][CHUNK];
  if (bytes[0][0] == 0)
    for (unsigned c = 0; c < MAX_CHUNKS; c++)
      for (unsigned i = 0; i < CHUNK; i++)
        bytes[c][i] = (uint8_t)(c * 37 + i * (c + 1) + 1);
  chunk %= n_chunks;
  *n = chunk == n_chunks - 1 ? CHUNK - n_chunks % 5 : CHUNK;
  return bytes[chunk];
}

static const Film *
film_of (uint64_t n_chunks)
{
  static Film films[MAX_CHUNKS + 1];
  Film *self = &films[n_chunks];
  size_t n;
  if (self->source)
    return self;
  peer_content_init_static (&self->content);
  self->content.chunk_size = CHUNK;
  self->hashes = peer_hashes_memory_new (32);
  self->source = peer_integrity_new (&self->content, 0, self->hashes, NULL);
  for (uint64_t c = 0; c < n_chunks; c++) {
    const uint8_t *bytes = chunk_of (n_chunks, c, &n);
    peer_integrity_append (self->source, bytes, n);
    self->content.length += n;
  }
  peer_integrity_finish (self->source, self->content.swarm_id);
  self->content.swarm_id_size = 32;
  return self;
}

static void
hash_of (const Film *film, uint8_t bin, uint8_t out[PEER_HASH_MAX])
{
  memset (out, 0, PEER_HASH_MAX);
  if (bin == 255)
    memcpy (out, film->content.swarm_id, 32);
  else
    film->hashes->class->read (film->hashes, bin, out, 32);
}

static void
check (PeerIntegrity *receiver, PeerPendingHashes *pending, uint64_t n_chunks, uint64_t chunk,
       const uint8_t *bytes, size_t n)
{
  size_t n_true;
  if (peer_integrity_check (receiver, pending, chunk, bytes, n) != PEER_INTEGRITY_GOOD)
    return;
  require (chunk < n_chunks);
  const uint8_t *truth = chunk_of (n_chunks, chunk, &n_true);
  require (n == n_true && memcmp (bytes, truth, n) == 0);
}

static void
lie (const Film *film, PeerIntegrity *receiver, PeerPendingHashes *pending, uint64_t n_chunks,
     const uint8_t *operation)
{
  uint8_t a = operation[1], b = operation[2], c = operation[3];
  uint8_t hash[2 * PEER_HASH_MAX], other[PEER_HASH_MAX];
  size_t n;
  hash_of (film, b, hash);
  switch (operation[0] / 2 % 6) {
  case 0:
    hash_of (film, a, hash);
    peer_pending_hashes_add (pending, peer_bin_to_range (a), hash, 32);
    return;
  case 1:
    peer_pending_hashes_add (pending, peer_bin_to_range (a), hash, 32);
    return;
  case 2:
    peer_pending_hashes_add (pending, (PeerRange){a, a + (UINT64_C (1) << c % 64)}, hash, 32);
    return;
  case 3: {
    const uint8_t *bytes = chunk_of (n_chunks, b, &n);
    check (receiver, pending, n_chunks, a, bytes, c == 255 ? n / 2 : n);
    return;
  }
  case 4:
    hash_of (film, c, other);
    memcpy (hash + 32, other, 32);
    check (receiver, pending, n_chunks, a, hash, 64);
    return;
  default:
    pending->n = 0;
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  PeerPendingHashes liars[2] = {{.n = 0}, {.n = 0}}, honest = {.n = 0};
  PeerHash proof[PEER_PROOF_MAX];
  if (n < 2)
    return 0;
  uint64_t n_chunks = 1 + bytes[0] % MAX_CHUNKS;
  const Film *film = film_of (n_chunks);
  PeerContent content = film->content;
  if (bytes[1] % 2 == 0)
    content.length = 0;
  g_autoptr (PeerIntegrity) receiver = peer_integrity_new (&content, 0, NULL, NULL);
  g_autoptr (PeerChunks) known = peer_chunks_new (0);
  for (size_t i = 2; i + 4 <= n; i += 4) {
    lie (film, receiver, &liars[bytes[i] % 2], n_chunks, bytes + i);
    uint64_t size = peer_integrity_n_chunks (receiver);
    require (size == 0 || size >= n_chunks);
  }
  for (uint64_t c = 0; c < n_chunks; c++) {
    size_t n_true;
    int n_proof = peer_integrity_proof (film->source, c, known, NULL, proof);
    require (n_proof >= 0);
    for (int i = 0; i < n_proof; i++)
      peer_pending_hashes_add (&honest, proof[i].chunks, proof[i].hash, 32);
    const uint8_t *truth = chunk_of (n_chunks, c, &n_true);
    require (peer_integrity_check (receiver, &honest, c, truth, n_true) == PEER_INTEGRITY_GOOD);
    peer_chunks_add (known, (PeerRange){c, c + 1});
  }
  require (peer_integrity_n_chunks (receiver) == n_chunks);
  return 0;
}
