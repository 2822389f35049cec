/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of static content of 7 chunks (RFC 7574, section 5.6.1), with its peaks *:
 *
 *                   7  = the swarm ID                     A believed node is one whose hash was
 *               /       \                                 computed, or needed, on the way from a
 *           3*            11                              chunk up to a node that was believed
 *         /    \        /    \                            before. It begins with the root alone.
 *        1      5      9*     13
 *       / \    / \    / \    / \                          An uncle is the sibling of a node on
 *      0   2  4   6  8  10  12* 14                        that way; E is empty, its hash zeros.
 *      C0 C1  C2 C3  C4 C5  C6  E
 *
 * and of live content with 4 chunks per signature (section 6.1.2), with its munros $:
 *
 *        3$             11$            19$                Nothing above a munro is needed: each
 *      /    \         /    \         /    \               is believed by its signature.
 *     1      5       9     13      17     21
 *
 * So both are one climb: hash the chunk, go up with the uncles until a believed node says yes or
 * no. It costs one leaf and as many parents as lie under the believed node, and in order that is
 * one parent for each chunk. The hashes of a peer wait in its own pending list until a climb that
 * used them ends well: what one peer lies about can never condemn another.
 *
 * Three things that the RFC does not say, and that follow from its tree:
 *
 * - A leaf and a node are hashed alike. A "chunk" that is made of the hashes of two siblings has
 *   the hash of their parent, and would pass one level up, wherever the height of the tree is the
 *   sender's word. When the length is not known from elsewhere, a chunk that is exactly as long
 *   as two hashes can therefore not settle the size; one of full size can.
 * - Peaks are checked against the root by filling up with zeros. A node that is not filled passes
 *   as a peak too, so peaks can overstate the number of chunks (up to the next power of two),
 *   never understate it. It shrinks when a node turns out to be zeros, which happens at the
 *   latest when the true last chunk is verified.
 * - The root is a peak of itself, at any height. Peaks alone settle nothing; a chunk that climbs
 *   to one of them does. */
#include "peer/integrity.h"
#include "peer/wire.h"

#include <string.h>

#define MAX_HEIGHT 62
/* How many readings of one peer's pending hashes as peaks are tried for one chunk. Honest peers
 * need one; the limit is what a liar can make us hash. */
#define MAX_CLAIMS 4

/* What a peer's hashes say about the size: peaks by height (bit h of n_chunks is the peak of that
 * height), and the nodes above them that are not filled. */
typedef struct {
  uint64_t n_chunks;
  uint8_t peaks[MAX_HEIGHT + 1][PEER_HASH_MAX];
  PeerHash above[MAX_HEIGHT + 1];
  unsigned n_above;
} Claim;

struct PeerIntegrity {
  PeerContent content;
  bool is_live, is_signed; /* is_signed: Sign All */
  PeerWireFormat format;
  uint32_t chunk_max; /* bytes */
  size_t hash_size;
  PeerHasher *hasher;
  PeerHashStore *hashes; /* live: the view of munros */
  PeerMunros *munros;
  PeerVerifier *verifier;

  /* static */
  uint64_t n_chunks;
  bool size_is_proven;
  const Claim *claim; /* under trial: its nodes count as believed */

  /* for who makes the content */
  uint64_t next;                               /* chunk to append */
  uint64_t length;                             /* bytes appended */
  uint8_t left[MAX_HEIGHT + 1][PEER_HASH_MAX]; /* by height: filled nodes that wait for a sibling */
  bool has_short;                              /* static: the last one was shorter than a chunk */
  bool is_filled;                              /* live: a whole subtree waits to be signed */
  uint8_t *plain;                              /* Sign All: what a signature is over... */
  size_t n_last;                               /* ...with the chunk appended last: its bytes */

  PeerMunro end; /* live: signature_size 0 = it goes on */
};

static const uint8_t zeros[PEER_HASH_MAX];

static PeerRange
node_at (unsigned height, uint64_t chunk)
{
  uint64_t first = chunk >> height << height;
  return (PeerRange){first, first + (UINT64_C (1) << height)};
}

/* Of the lowest node that covers n chunks, from the left edge on. */
static unsigned
tree_height (uint64_t n_chunks)
{
  return n_chunks <= 1 ? 0 : 64 - (unsigned)__builtin_clzll (n_chunks - 1);
}

static bool
is_empty_hash (const PeerIntegrity *self, const uint8_t *hash)
{
  return memcmp (hash, zeros, self->hash_size) == 0;
}

static bool
read_claim (const PeerIntegrity *self, PeerRange node, uint8_t *out)
{
  const Claim *claim = self->claim;
  uint64_t width = peer_range_size (node);
  /* The peak of this width covers what the lower bits of the number leave over. */
  if ((claim->n_chunks & width) != 0 && node.end == (claim->n_chunks & ~(width - 1))) {
    memcpy (out, claim->peaks[peer_range_height (node)], self->hash_size);
    return true;
  }
  for (unsigned i = 0; i < claim->n_above; i++)
    if (claim->above[i].chunks.first == node.first && claim->above[i].chunks.end == node.end) {
      memcpy (out, claim->above[i].hash, self->hash_size);
      return true;
    }
  return false;
}

/* The hash of a believed node. */
static bool
read_node (const PeerIntegrity *self, PeerRange node, uint8_t *out)
{
  if (!self->is_live && self->n_chunks > 0) {
    if (node.first >= self->n_chunks) {
      memset (out, 0, self->hash_size);
      return true;
    }
    if (node.first == 0 && peer_range_size (node) == UINT64_C (1) << tree_height (self->n_chunks)) {
      memcpy (out, self->content.swarm_id, self->hash_size);
      return true;
    }
    if (self->claim)
      return read_claim (self, node, out);
  }
  return self->hashes->class->read (self->hashes, peer_bin_from_range (node), out, self->hash_size);
}

static void
write_node (PeerIntegrity *self, PeerRange node, const uint8_t *hash)
{
  self->hashes->class->write (self->hashes, peer_bin_from_range (node), hash, self->hash_size);
}

/* The height of the nodes that are believed for other reasons than the chunks below them. */
static unsigned
top_height (const PeerIntegrity *self)
{
  return tree_height (self->is_live ? self->content.chunks_per_signature : self->n_chunks);
}

/* --- the tree's upper right edge --- */

/* The nodes above the peaks that are not filled, lowest first, the root last (section 5.6.1,
 * lemma). peaks: by height. Returns their number. */
static unsigned
combine_peaks (const PeerIntegrity *self, uint64_t n_chunks, const uint8_t (*peaks)[PEER_HASH_MAX],
               PeerHash *out)
{
  unsigned n = 0, top = tree_height (n_chunks);
  uint8_t edge[PEER_HASH_MAX] = {
      0}; /* the node that the content's end lies in; zeros = on its edge */
  for (unsigned height = 0; height < top; height++) {
    if (n_chunks >> height & 1)
      peer_hasher_parent (self->hasher, peaks[height], edge, edge);
    else if (!is_empty_hash (self, edge))
      peer_hasher_parent (self->hasher, edge, zeros, edge);
    else
      continue;
    out[n].chunks = node_at (height + 1, n_chunks - 1);
    memcpy (out[n++].hash, edge, self->hash_size);
  }
  return n;
}

static bool
claim_fits_root (PeerIntegrity *self, Claim *claim)
{
  claim->n_above = combine_peaks (self, claim->n_chunks,
                                  (const uint8_t (*)[PEER_HASH_MAX])claim->peaks, claim->above);
  const uint8_t *root = claim->n_above > 0 ? claim->above[claim->n_above - 1].hash
                                           : claim->peaks[tree_height (claim->n_chunks)];
  return memcmp (root, self->content.swarm_id, self->hash_size) == 0;
}

/* Reads pending as a row of peaks that begins with hash number i: each next one begins where the
 * one before ends, and is lower. */
static void
read_peaks (const PeerIntegrity *self, const PeerPendingHashes *pending, unsigned i, Claim *out)
{
  const PeerHash *peak = &pending->hashes[i];
  out->n_chunks = 0;
  while (peak) {
    unsigned height = peer_range_height (peak->chunks);
    memcpy (out->peaks[height], peak->hash, self->hash_size);
    out->n_chunks = peak->chunks.end;
    peak = NULL;
    for (unsigned k = 0; k < pending->n; k++) {
      const PeerHash *other = &pending->hashes[k];
      if (other->chunks.first == out->n_chunks && peer_range_height (other->chunks) < height &&
          (!peak || other->chunks.end > peak->chunks.end))
        peak = other;
    }
  }
}

/* The next reading of pending, from hash number i on. */
static bool
next_claim (const PeerIntegrity *self, const PeerPendingHashes *pending, unsigned *i, Claim *out)
{
  while (*i < pending->n) {
    unsigned first = (*i)++;
    if (pending->hashes[first].chunks.first != 0)
      continue;
    read_peaks (self, pending, first, out);
    if (out->n_chunks <= UINT64_C (1) << MAX_HEIGHT)
      return true;
  }
  return false;
}

static void
settle_claim (PeerIntegrity *self, PeerPendingHashes *pending, const Claim *claim)
{
  self->n_chunks = claim->n_chunks;
  for (unsigned height = 0; height <= tree_height (claim->n_chunks); height++) {
    uint64_t width = UINT64_C (1) << height;
    if (!(claim->n_chunks & width))
      continue;
    uint64_t end = claim->n_chunks & ~(width - 1);
    write_node (self, (PeerRange){end - width, end}, claim->peaks[height]);
    peer_pending_hashes_remove (pending, (PeerRange){end - width, end});
  }
  for (unsigned i = 0; i < claim->n_above; i++)
    write_node (self, claim->above[i].chunks, claim->above[i].hash);
}

/* --- the climb --- */

typedef struct {
  PeerHash path[MAX_HEIGHT + 1], uncles[MAX_HEIGHT + 1];
  uint64_t chunk;
  unsigned height; /* of the believed node; path and uncles are those below it */
  uint8_t believed[PEER_HASH_MAX];
} Climb;

/* Finds the believed node above chunk and all uncles below it, and hashes nothing. */
static bool
plan_climb (const PeerIntegrity *self, const PeerPendingHashes *pending, uint64_t chunk, Climb *out)
{
  unsigned top = top_height (self);
  out->chunk = chunk;
  for (unsigned height = 0; height <= top; height++) {
    PeerRange node = node_at (height, chunk);
    out->height = height;
    if (read_node (self, node, out->believed))
      return true;
    if (height == top)
      return false;
    PeerHash *uncle = &out->uncles[height];
    out->path[height].chunks = node;
    uncle->chunks = peer_range_sibling (node);
    if (read_node (self, uncle->chunks, uncle->hash))
      continue;
    const uint8_t *hash = peer_pending_hashes_find (pending, uncle->chunks);
    if (!hash)
      return false;
    memcpy (uncle->hash, hash, self->hash_size);
  }
  return false;
}

/* Sections 5.2 and 6.1.2.1. */
static bool
climb (PeerIntegrity *self, Climb *plan, const uint8_t *bytes, size_t n)
{
  uint8_t hash[PEER_HASH_MAX];
  peer_hasher_chunk (self->hasher, bytes, n, hash);
  for (unsigned height = 0; height < plan->height; height++) {
    const PeerHash *uncle = &plan->uncles[height];
    memcpy (plan->path[height].hash, hash, self->hash_size);
    if (uncle->chunks.first > plan->path[height].chunks.first)
      peer_hasher_parent (self->hasher, hash, uncle->hash, hash);
    else
      peer_hasher_parent (self->hasher, uncle->hash, hash, hash);
  }
  return memcmp (hash, plan->believed, self->hash_size) == 0;
}

/* What led to a good end is believed. */
static void
keep_climb (PeerIntegrity *self, PeerPendingHashes *pending, const Climb *plan)
{
  for (unsigned height = 0; height < plan->height; height++) {
    const PeerHash *uncle = &plan->uncles[height];
    write_node (self, plan->path[height].chunks, plan->path[height].hash);
    peer_pending_hashes_remove (pending, plan->path[height].chunks);
    if (self->is_live || uncle->chunks.first < self->n_chunks)
      write_node (self, uncle->chunks, uncle->hash);
  }
  peer_pending_hashes_prune (pending, plan->chunk);
  /* Section 5.6.1: zeros stand for what is past the end. */
  for (unsigned height = 0; height < plan->height && !self->is_live; height++)
    if (!self->size_is_proven && is_empty_hash (self, plan->uncles[height].hash))
      self->n_chunks = MIN (self->n_chunks, plan->uncles[height].chunks.first);
}

/* --- for who receives --- */

/* Can it only be the last of static content? */
static bool
is_short (const PeerIntegrity *self, size_t n)
{
  return !peer_content_is_variable (&self->content) && n < self->content.chunk_size;
}

static PeerIntegrityResult
try_claim (PeerIntegrity *self, PeerPendingHashes *pending, Claim *claim, uint64_t chunk,
           const uint8_t *bytes, size_t n)
{
  Climb plan;
  if (chunk >= claim->n_chunks || !claim_fits_root (self, claim))
    return PEER_INTEGRITY_MISSING;
  if (is_short (self, n) && chunk != claim->n_chunks - 1)
    return PEER_INTEGRITY_MISSING;
  self->claim = claim;
  self->n_chunks = claim->n_chunks;
  bool is_good = plan_climb (self, pending, chunk, &plan) && climb (self, &plan, bytes, n);
  self->claim = NULL;
  self->n_chunks = 0;
  if (!is_good)
    return PEER_INTEGRITY_MISSING;
  settle_claim (self, pending, claim);
  keep_climb (self, pending, &plan);
  self->size_is_proven = chunk == self->n_chunks - 1;
  return PEER_INTEGRITY_GOOD;
}

/* The first chunk that climbs to a peak settles the number of chunks. Until then nothing is BAD:
 * with some peaks still under way, truth and lie look alike. */
static PeerIntegrityResult
check_first (PeerIntegrity *self, PeerPendingHashes *pending, uint64_t chunk, const uint8_t *bytes,
             size_t n)
{
  Claim claim;
  unsigned i = 0;
  if (n == 2 * self->hash_size)
    return PEER_INTEGRITY_MISSING;
  for (unsigned tries = 0; tries < MAX_CLAIMS && next_claim (self, pending, &i, &claim); tries++)
    if (try_claim (self, pending, &claim, chunk, bytes, n) == PEER_INTEGRITY_GOOD)
      return PEER_INTEGRITY_GOOD;
  /* A single chunk is its own peak, and the root (section 5.1). */
  claim.n_chunks = 1;
  memcpy (claim.peaks[0], self->content.swarm_id, self->hash_size);
  return try_claim (self, pending, &claim, chunk, bytes, n);
}

/* Peaks that fit the root are believed. Where the size is still open, peaks of another peer that
 * state fewer chunks are the better ones: they cannot understate. */
static void
take_peaks (PeerIntegrity *self, PeerPendingHashes *pending)
{
  Claim claim;
  unsigned i = 0;
  for (unsigned tries = 0; tries < MAX_CLAIMS && next_claim (self, pending, &i, &claim); tries++) {
    bool is_likely = self->size_is_proven
                         ? claim.n_chunks == self->n_chunks
                         : claim.n_chunks <= self->n_chunks &&
                               tree_height (claim.n_chunks) == tree_height (self->n_chunks);
    if (is_likely && claim_fits_root (self, &claim)) {
      settle_claim (self, pending, &claim);
      i = 0; /* pending has changed */
    }
  }
}

/* The content ends with chunk, by a believed hash of zeros behind it. */
static bool
is_followed_by_zeros (const PeerIntegrity *self, const Climb *plan, uint64_t chunk)
{
  for (unsigned height = 0; height < plan->height; height++)
    if (plan->uncles[height].chunks.first == chunk + 1)
      return is_empty_hash (self, plan->uncles[height].hash);
  return false;
}

/* Can chunk be n bytes long? BAD = never; MISSING = only if it is the last, and it is not known to
 * be that: peaks may have overstated the size. */
static PeerIntegrityResult
check_size (const PeerIntegrity *self, uint64_t chunk, size_t n)
{
  const PeerContent *content = &self->content;
  bool is_last = chunk + 1 == self->n_chunks;
  if (n == 0 || n > self->chunk_max)
    return PEER_INTEGRITY_BAD;
  if (self->is_live)
    return PEER_INTEGRITY_GOOD;
  if (chunk >= self->n_chunks)
    return PEER_INTEGRITY_BAD;
  if (is_last && content->length > 0 && !peer_content_is_variable (content))
    return n == content->length - chunk * content->chunk_size ? PEER_INTEGRITY_GOOD
                                                              : PEER_INTEGRITY_BAD;
  if (!is_short (self, n) || is_last)
    return PEER_INTEGRITY_GOOD;
  return self->size_is_proven ? PEER_INTEGRITY_BAD : PEER_INTEGRITY_MISSING;
}

PeerIntegrityResult
peer_integrity_check (PeerIntegrity *self, PeerPendingHashes *pending, uint64_t chunk,
                      const uint8_t *bytes, size_t n)
{
  Climb plan;
  if (n == 0 || n > self->chunk_max || self->is_signed)
    return PEER_INTEGRITY_BAD;
  if (!self->is_live && self->n_chunks == 0)
    return check_first (self, pending, chunk, bytes, n);
  PeerIntegrityResult size = check_size (self, chunk, n);
  if (size == PEER_INTEGRITY_BAD)
    return PEER_INTEGRITY_BAD;
  bool is_planned = plan_climb (self, pending, chunk, &plan);
  if (!self->is_live && (!is_planned || size == PEER_INTEGRITY_MISSING)) {
    take_peaks (self, pending);
    if (chunk >= self->n_chunks)
      return PEER_INTEGRITY_BAD;
    size = check_size (self, chunk, n);
    is_planned = plan_climb (self, pending, chunk, &plan);
  }
  if (!is_planned)
    return PEER_INTEGRITY_MISSING;
  if (!climb (self, &plan, bytes, n))
    return PEER_INTEGRITY_BAD;
  if (size == PEER_INTEGRITY_MISSING && !is_followed_by_zeros (self, &plan, chunk))
    return PEER_INTEGRITY_MISSING;
  keep_climb (self, pending, &plan);
  if (!self->is_live && chunk + 1 == self->n_chunks)
    self->size_is_proven = true;
  return PEER_INTEGRITY_GOOD;
}

/* The peaks, left to right, if one of them is not believed. top: height of the one above chunk, else that
 * of the root. */
static int
lacking_peaks (const PeerIntegrity *self, uint64_t chunk, PeerRange *out, unsigned *top)
{
  uint8_t hash[PEER_HASH_MAX];
  bool is_known = true;
  int n = 0;
  *top = top_height (self);
  for (unsigned height = *top + 1; height-- > 0;) {
    uint64_t width = UINT64_C (1) << height, end = self->n_chunks & ~(width - 1);
    if (!(self->n_chunks & width))
      continue;
    out[n] = (PeerRange){end - width, end};
    is_known = read_node (self, out[n++], hash) && is_known;
  }
  for (int i = 0; i < n && !is_known; i++)
    if (peer_range_has (out[i], chunk))
      *top = peer_range_height (out[i]);
  return is_known ? 0 : n;
}

int
peer_integrity_lacks (const PeerIntegrity *self, uint64_t chunk, PeerRange out[PEER_PROOF_MAX])
{
  uint8_t hash[PEER_HASH_MAX];
  unsigned top;
  if (self->is_live || chunk >= self->n_chunks)
    return -1;
  int n = lacking_peaks (self, chunk, out, &top);
  for (unsigned height = 0; height < top; height++) {
    if (read_node (self, node_at (height, chunk), hash))
      break;
    PeerRange uncle = peer_range_sibling (node_at (height, chunk));
    if (!read_node (self, uncle, hash))
      out[n++] = uncle;
  }
  return n;
}

uint64_t
peer_integrity_n_chunks (const PeerIntegrity *self)
{
  return self->n_chunks;
}

#define SIGNED_HEADER (16 + 8)

/* What a signature is over: the chunk specification as on the wire, the time, and a hash (6.1.2.2)
 * or a whole chunk (6.1.1). out: room for SIGNED_HEADER and those. Returns its size; 0 = the range
 * has no form in this addressing. */
static size_t
signed_bytes (const PeerIntegrity *self, PeerRange chunks, uint64_t time, const uint8_t *bytes,
              size_t n, uint8_t *out)
{
  PeerWriter writer = {out, 0, SIGNED_HEADER + n};
  if (!peer_wire_write_chunks (&writer, &self->format, chunks) ||
      !peer_writer_u64 (&writer, time) || !peer_writer_bytes (&writer, bytes, n))
    return 0;
  return writer.used;
}

bool
peer_integrity_has_munro (const PeerIntegrity *self, PeerRange chunks)
{
  return self->is_live && chunks.end - chunks.first == self->content.chunks_per_signature &&
         chunks.first % self->content.chunks_per_signature == 0 &&
         (peer_munros_find_hash (self->munros, chunks.first) != NULL ||
          (self->end.signature_size > 0 && self->end.chunks.first == chunks.first));
}

/* Section 6.1.2.4. NTP time wraps in 2036; a difference does not. The minute for clocks that are
 * behind is ours. */
static PeerIntegrityResult
check_time (uint64_t time, uint64_t now, uint32_t max_age)
{
  int64_t age = (int64_t)(now - time);
  if (now == 0)
    return PEER_INTEGRITY_GOOD;
  /* whose clock is ahead is the source's matter, not of who passes it on */
  if (age < -((int64_t)60 << 32))
    return PEER_INTEGRITY_OLD;
  if (age >= 0 && (uint64_t)age > (uint64_t)max_age << 32)
    return PEER_INTEGRITY_OLD;
  return PEER_INTEGRITY_GOOD;
}

PeerIntegrityResult
peer_integrity_add_munro (PeerIntegrity *self, PeerPendingHashes *pending, PeerRange chunks,
                          uint64_t time, const uint8_t *signature, size_t n, uint64_t now,
                          uint32_t max_age)
{
  uint8_t bytes[SIGNED_HEADER + PEER_HASH_MAX];
  PeerMunro munro = {.chunks = chunks, .time = time, .signature_size = (uint16_t)n};
  if (!self->is_live || self->is_signed || n > PEER_SIGNATURE_MAX || !peer_range_is_node (chunks) ||
      peer_range_size (chunks) != self->content.chunks_per_signature ||
      chunks.end > peer_content_max_chunks (&self->content))
    return PEER_INTEGRITY_BAD;

  const uint8_t *hash = peer_pending_hashes_find (pending, chunks);
  const uint8_t *known = peer_munros_find_hash (self->munros, chunks.first);
  if (known && (!hash || memcmp (known, hash, self->hash_size) == 0)) {
    peer_pending_hashes_remove (pending, chunks);
    return PEER_INTEGRITY_KNOWN;
  }
  bool is_ended = self->end.signature_size > 0;
  if (is_ended && chunks.first == self->end.chunks.first && (!hash || is_empty_hash (self, hash))) {
    peer_pending_hashes_remove (pending, chunks);
    return PEER_INTEGRITY_KNOWN;
  }
  if (peer_munros_is_old (self->munros, chunks.first))
    return PEER_INTEGRITY_OLD;
  if (!hash)
    return PEER_INTEGRITY_MISSING;
  PeerIntegrityResult result = check_time (time, now, max_age);
  if (result != PEER_INTEGRITY_GOOD)
    return result;

  memcpy (munro.hash, hash, self->hash_size);
  memcpy (munro.signature, signature, n);
  peer_pending_hashes_remove (pending, chunks);
  size_t n_bytes = signed_bytes (self, chunks, time, munro.hash, self->hash_size, bytes);
  if (n_bytes == 0 || !peer_verifier_check (self->verifier, bytes, n_bytes, signature, n))
    return PEER_INTEGRITY_BAD;
  if (known || (is_ended && chunks.first >= self->end.chunks.first))
    return PEER_INTEGRITY_FORKED;
  if (is_empty_hash (self, munro.hash)) {
    self->end = munro;
    return PEER_INTEGRITY_GOOD;
  }
  peer_munros_add (self->munros, &munro);
  return PEER_INTEGRITY_GOOD;
}

PeerIntegrityResult
peer_integrity_check_signed (PeerIntegrity *self, const PeerSignature *signature, uint64_t chunk,
                             const uint8_t *bytes, size_t n, uint64_t now, uint32_t max_age)
{
  PeerMunro munro = {.chunks = {chunk, chunk + 1}};
  if (!self->is_signed || n == 0 || n > self->chunk_max ||
      munro.chunks.end > peer_content_max_chunks (&self->content))
    return PEER_INTEGRITY_BAD;
  if (!signature)
    return PEER_INTEGRITY_MISSING;
  if (peer_munros_is_old (self->munros, chunk))
    return PEER_INTEGRITY_OLD;
  peer_hasher_chunk (self->hasher, bytes, n, munro.hash);
  const uint8_t *known = peer_munros_find_hash (self->munros, chunk);
  if (known && memcmp (known, munro.hash, self->hash_size) == 0)
    return PEER_INTEGRITY_KNOWN;
  PeerIntegrityResult result = check_time (signature->time, now, max_age);
  if (result != PEER_INTEGRITY_GOOD)
    return result;

  munro.time = signature->time;
  munro.signature_size = signature->size;
  memcpy (munro.signature, signature->signature, signature->size);
  size_t size = signed_bytes (self, munro.chunks, munro.time, bytes, n, self->plain);
  if (size == 0 || !peer_verifier_check (self->verifier, self->plain, size, munro.signature,
                                         munro.signature_size))
    return PEER_INTEGRITY_BAD;
  if (known)
    return PEER_INTEGRITY_FORKED;
  peer_munros_add (self->munros, &munro);
  return PEER_INTEGRITY_GOOD;
}

/* --- for who sends --- */

static bool
is_any_there (PeerRange range, const PeerChunks *known, const PeerChunks *in_flight)
{
  return (known && peer_chunks_has_any (known, range)) ||
         (in_flight && peer_chunks_has_any (in_flight, range));
}

static bool
put_node (const PeerIntegrity *self, PeerRange node, PeerHash *out)
{
  out->chunks = node;
  return read_node (self, node, out->hash);
}

int
peer_integrity_proof (const PeerIntegrity *self, uint64_t chunk, const PeerChunks *known,
                      const PeerChunks *in_flight, PeerHash out[PEER_PROOF_MAX])
{
  int n = 0;
  unsigned top = top_height (self), stop = 0;
  bool needs_peaks = !self->is_live && (!known || peer_chunks_is_empty (known)) &&
                     (!in_flight || peer_chunks_is_empty (in_flight));
  if (self->is_live ? !peer_munros_find_hash (self->munros, chunk) : chunk >= self->n_chunks)
    return -1;
  /* Section 5.6.2: the peaks as an extra list in front; uncles only below the one that covers. */
  for (unsigned height = top + 1; needs_peaks && height-- > 0;) {
    uint64_t width = UINT64_C (1) << height;
    uint64_t end = self->n_chunks & ~(width - 1);
    if (!(self->n_chunks & width))
      continue;
    if (!put_node (self, (PeerRange){end - width, end}, &out[n++]))
      return -1;
    if (peer_range_has ((PeerRange){end - width, end}, chunk))
      stop = height;
  }
  /* Section 5.3: who has a chunk has the hashes on its way and beside it, so the first node above
   * both is known to him. What is in flight may be lost, and what rests on it waits: so that is kept
   * to what a receiver can hold, but at the beginning. */
  bool is_first = !known || peer_chunks_is_empty (known);
  while (!needs_peaks && stop < top &&
         !is_any_there (node_at (stop + 1, chunk), known,
                        stop < PEER_PROOF_REACH || is_first ? in_flight : NULL))
    stop++;
  /* Section 5.4: heights descending. */
  for (unsigned height = stop; height-- > 0;)
    if (!put_node (self, peer_range_sibling (node_at (height, chunk)), &out[n++]))
      return -1;
  return n;
}

bool
peer_integrity_munro (const PeerIntegrity *self, uint64_t chunk, PeerMunro *out)
{
  return self->is_live && peer_munros_find (self->munros, chunk, out);
}

bool
peer_integrity_newest_munro (const PeerIntegrity *self, PeerMunro *out)
{
  return self->is_live && peer_munros_newest (self->munros, out);
}

bool
peer_integrity_oldest_munro (const PeerIntegrity *self, PeerMunro *out)
{
  return self->is_live && peer_munros_oldest (self->munros, out);
}

/* --- for who makes the content --- */

void
peer_integrity_append (PeerIntegrity *self, const uint8_t *bytes, size_t n)
{
  uint8_t hash[PEER_HASH_MAX];
  unsigned height = 0, limit = self->is_live ? top_height (self) : MAX_HEIGHT;
  g_return_if_fail (n > 0 && n <= self->chunk_max && !self->has_short);
  g_return_if_fail (self->is_live || self->n_chunks == 0);
  /* A subtree that could not be signed is left behind: nobody has heard of it. */
  self->is_filled = false;
  if (self->is_live && self->next % self->content.chunks_per_signature == 0)
    peer_munros_open (self->munros, self->next);
  peer_hasher_chunk (self->hasher, bytes, n, hash);
  write_node (self, node_at (0, self->next), hash);
  while (height < limit && (self->next >> height & 1)) {
    peer_hasher_parent (self->hasher, self->left[height], hash, hash);
    height++;
    write_node (self, node_at (height, self->next), hash);
  }
  memcpy (self->left[height], hash, self->hash_size);
  self->next++;
  self->length += n;
  self->is_filled = self->is_live && height == limit;
  self->has_short = !self->is_live && is_short (self, n);
  if (self->is_signed)
    memcpy (self->plain + SIGNED_HEADER, bytes, n);
  self->n_last = n;
}

void
peer_integrity_finish (PeerIntegrity *self, uint8_t *out)
{
  PeerHash above[MAX_HEIGHT + 1];
  g_return_if_fail (!self->is_live && self->next > 0 && self->n_chunks == 0);
  unsigned n =
      combine_peaks (self, self->next, (const uint8_t (*)[PEER_HASH_MAX])self->left, above);
  for (unsigned i = 0; i < n; i++)
    write_node (self, above[i].chunks, above[i].hash);
  memcpy (out, n > 0 ? above[n - 1].hash : self->left[tree_height (self->next)], self->hash_size);
  memcpy (self->content.swarm_id, out, self->hash_size);
  self->content.swarm_id_size = (uint16_t)self->hash_size;
  self->content.length = self->length;
  self->n_chunks = self->next;
  self->size_is_proven = true;
}

void
peer_integrity_start (PeerIntegrity *self, uint64_t first)
{
  g_return_if_fail (self->is_live && first % self->content.chunks_per_signature == 0);
  self->next = first;
  self->is_filled = false;
}

bool
peer_integrity_sign (PeerIntegrity *self, PeerKey *key, uint64_t time)
{
  uint8_t bytes[SIGNED_HEADER + PEER_HASH_MAX + PEER_CHUNK_MAX];
  PeerMunro munro = {.time = time};
  if (!self->is_filled)
    return false;
  munro.chunks = node_at (top_height (self), self->next - 1);
  memcpy (munro.hash, self->left[top_height (self)], self->hash_size);
  const uint8_t *what = self->is_signed ? self->plain + SIGNED_HEADER : munro.hash;
  size_t n = signed_bytes (self, munro.chunks, time, what,
                           self->is_signed ? self->n_last : self->hash_size, bytes);
  munro.signature_size = n == 0 ? 0 : (uint16_t)peer_key_sign (key, bytes, n, munro.signature);
  if (munro.signature_size == 0 || !peer_munros_add (self->munros, &munro))
    return false;
  self->is_filled = false;
  return true;
}

/* --- from live to on demand --- */

bool
peer_integrity_sign_end (PeerIntegrity *self, PeerKey *key, uint64_t time)
{
  uint8_t bytes[SIGNED_HEADER + PEER_HASH_MAX];
  PeerMunro munro = {.time = time};
  g_return_val_if_fail (self->is_live && self->end.signature_size == 0, false);
  if (self->is_signed || self->next == 0 || self->next % self->content.chunks_per_signature != 0 ||
      self->is_filled)
    return false;
  munro.chunks = node_at (top_height (self), self->next);
  size_t n = signed_bytes (self, munro.chunks, time, munro.hash, self->hash_size, bytes);
  munro.signature_size = n == 0 ? 0 : (uint16_t)peer_key_sign (key, bytes, n, munro.signature);
  self->end = munro;
  return munro.signature_size > 0;
}

uint64_t
peer_integrity_end (const PeerIntegrity *self, PeerMunro *out)
{
  if (self->end.signature_size == 0)
    return 0;
  if (out)
    *out = self->end;
  return self->end.chunks.first;
}

/* The munro's nodes as peaks that grow together, as when chunks are appended. What is above them is
 * written to tree, unless it is NULL. left: by height. false = a munro is not here. */
static bool
join_munros (const PeerIntegrity *self, PeerIntegrity *tree, uint8_t (*left)[PEER_HASH_MAX])
{
  unsigned top = top_height (self);
  uint64_t n = self->end.chunks.first;
  for (uint64_t chunk = 0; chunk < n; chunk += UINT64_C (1) << top) {
    const uint8_t *munro = peer_munros_find_hash (self->munros, chunk);
    uint8_t hash[PEER_HASH_MAX];
    unsigned height = top;
    if (!munro)
      return false;
    memcpy (hash, munro, self->hash_size);
    for (; chunk >> height & 1; height++) {
      peer_hasher_parent (self->hasher, left[height], hash, hash);
      if (tree)
        write_node (tree, node_at (height + 1, chunk), hash);
    }
    memcpy (left[height], hash, self->hash_size);
  }
  return n > 0;
}

bool
peer_integrity_final (const PeerIntegrity *self, PeerContent *out)
{
  uint8_t left[MAX_HEIGHT + 1][PEER_HASH_MAX];
  PeerHash above[MAX_HEIGHT + 1];
  uint64_t n = self->end.chunks.first;
  if (!self->is_live || self->end.signature_size == 0 || !join_munros (self, NULL, left))
    return false;
  unsigned n_above = combine_peaks (self, n, (const uint8_t (*)[PEER_HASH_MAX])left, above);
  peer_content_init_static (out);
  out->hash = self->content.hash;
  out->addressing = self->content.addressing;
  out->chunk_size = self->content.chunk_size;
  out->length = n * out->chunk_size;
  out->swarm_id_size = (uint16_t)self->hash_size;
  memcpy (out->swarm_id, n_above > 0 ? above[n_above - 1].hash : left[tree_height (n)],
          self->hash_size);
  return true;
}

/* All nodes of the subtree of a munro, the munro among them. */
static bool
copy_subtree (const PeerIntegrity *self, PeerRange munro, PeerIntegrity *tree)
{
  uint8_t hash[PEER_HASH_MAX];
  for (uint64_t width = 1; width <= peer_range_size (munro); width *= 2)
    for (uint64_t first = munro.first; first < munro.end; first += width) {
      PeerRange node = {first, first + width};
      if (!read_node (self, node, hash))
        return false;
      write_node (tree, node, hash);
    }
  return true;
}

PeerIntegrity *
peer_integrity_settle (const PeerIntegrity *self, const PeerContent *content, PeerHashStore *hashes,
                       GError **error)
{
  uint8_t left[MAX_HEIGHT + 1][PEER_HASH_MAX];
  PeerHash above[MAX_HEIGHT + 1];
  uint64_t step = self->content.chunks_per_signature;
  g_autoptr (PeerIntegrity) tree = peer_integrity_new (content, 0, hashes, error);
  if (!tree)
    return NULL;
  bool is_whole = tree->n_chunks == self->end.chunks.first && join_munros (self, tree, left);
  for (uint64_t first = 0; is_whole && first < tree->n_chunks; first += step)
    is_whole = copy_subtree (self, (PeerRange){first, first + step}, tree);
  if (!is_whole) {
    g_set_error_literal (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT,
                         "not all of the broadcast is here");
    return NULL;
  }
  unsigned n = combine_peaks (tree, tree->n_chunks, (const uint8_t (*)[PEER_HASH_MAX])left, above);
  for (unsigned i = 0; i < n; i++)
    write_node (tree, above[i].chunks, above[i].hash);
  return g_steal_pointer (&tree);
}

/* --- making and freeing --- */

/* Can the size of this content be told from its hashes? */
static bool
check_length (const PeerIntegrity *self, GError **error)
{
  const PeerContent *content = &self->content;
  if (memcmp (content->swarm_id, zeros, self->hash_size) == 0) {
    g_set_error_literal (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT,
                         "a root hash of zeros is no content");
    return false;
  }
  if (content->length == 0 && content->chunk_size == 2 * self->hash_size) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT,
                 "chunks of %u bytes look like two hashes: the content length must be given",
                 content->chunk_size);
    return false;
  }
  return true;
}

PeerIntegrity *
peer_integrity_new (const PeerContent *content, uint64_t max_chunks, PeerHashStore *hashes,
                    GError **error)
{
  PeerContent checked = *content;
  bool is_new = content->method == PEER_METHOD_MERKLE && content->swarm_id_size == 0;
  if (is_new) {
    checked.swarm_id_size = (uint16_t)peer_content_hash_size (content);
    memset (checked.swarm_id, 0, sizeof checked.swarm_id);
  }
  if (!peer_content_check (&checked, error)) {
    peer_hashes_free (hashes);
    return NULL;
  }
  g_autoptr (PeerIntegrity) self = g_new0 (PeerIntegrity, 1);
  self->content = checked;
  self->is_live = peer_content_is_live (content);
  self->is_signed = content->method == PEER_METHOD_SIGN_ALL;
  self->format = peer_wire_format (content);
  self->chunk_max = peer_content_chunk_max (content);
  self->hash_size = peer_hash_size (content->hash);
  self->hasher = peer_hasher_new (content->hash);
  if (self->is_signed)
    self->plain = g_malloc (SIGNED_HEADER + self->chunk_max);
  if (self->is_live) {
    peer_hashes_free (hashes);
    self->munros = peer_munros_new (content->chunks_per_signature, max_chunks, self->hash_size);
    self->hashes = peer_munros_hashes (self->munros);
    self->verifier = peer_verifier_new (content->swarm_id, content->swarm_id_size, error);
    return self->verifier ? g_steal_pointer (&self) : NULL;
  }
  self->hashes = hashes ? hashes : peer_hashes_memory_new (self->hash_size);
  if (!is_new && !check_length (self, error))
    return NULL;
  self->n_chunks = is_new ? 0 : peer_content_n_chunks (content);
  self->size_is_proven = self->n_chunks > 0;
  return g_steal_pointer (&self);
}

void
peer_integrity_grow (PeerIntegrity *self, uint64_t max_chunks)
{
  if (self->munros)
    peer_munros_grow (self->munros, max_chunks);
}

void
peer_integrity_free (PeerIntegrity *self)
{
  if (!self)
    return;
  peer_hashes_free (self->hashes);
  peer_munros_free (self->munros);
  peer_verifier_free (self->verifier);
  peer_hasher_free (self->hasher);
  g_free (self->plain);
  g_free (self);
}

uint64_t
peer_integrity_hash_count (const PeerIntegrity *self)
{
  return peer_hasher_count (self->hasher);
}

/* NTP counts seconds from 1900 in the upper half and 2^-32 s in the lower one; the seconds wrap
 * in 2036. */
#define NTP_1970 INT64_C (2208988800)

uint64_t
peer_ntp_from_us (int64_t unix_us)
{
  int64_t seconds = unix_us / G_USEC_PER_SEC, us = unix_us % G_USEC_PER_SEC;
  if (us < 0) {
    seconds--;
    us += G_USEC_PER_SEC;
  }
  uint64_t fraction = (((uint64_t)us << 32) + G_USEC_PER_SEC / 2) / G_USEC_PER_SEC;
  return ((uint64_t)(seconds + NTP_1970) << 32) + fraction;
}

int64_t
peer_ntp_to_us (uint64_t ntp)
{
  int64_t seconds = (int64_t)(ntp >> 32) - NTP_1970;
  uint64_t us = ((ntp & UINT32_MAX) * G_USEC_PER_SEC + (UINT64_C (1) << 31)) >> 32;
  /* Before 1968 is after 2036 (RFC 5905, section 6: eras). */
  if (!(ntp >> 63))
    seconds += INT64_C (1) << 32;
  return seconds * G_USEC_PER_SEC + (int64_t)us;
}
