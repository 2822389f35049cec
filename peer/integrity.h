/* SPDX-License-Identifier: Apache-2.0 */
/* May this chunk be believed? The Merkle hash tree of static content (RFC 7574, section 5), the
 * Unified Merkle Tree (section 6.1.2) and Sign All (6.1.1) of live content, for who has the content
 * and for who receives it. No other file knows hashes of chunks.
 *
 * With Sign All each chunk is a subtree of its own: what is said of munros goes for its signature,
 * and there are no hashes to send. */
#pragma once

#include "peer/chunks.h"
#include "peer/content.h"
#include "peer/crypto.h"
#include "peer/hashes.h"
#include "peer/munros.h"
#include "peer/signatures.h"

typedef enum {
  PEER_INTEGRITY_GOOD,
  PEER_INTEGRITY_KNOWN,   /* munro: had already, nothing was checked */
  PEER_INTEGRITY_MISSING, /* hashes are missing to tell; drop the chunk and ask again */
  PEER_INTEGRITY_BAD,     /* the hashes or the signature deny it */
  PEER_INTEGRITY_OLD,     /* munro: too old, a minute ahead of our clock, or left of what is kept
                           * (section 6.1.2.4) */
  PEER_INTEGRITY_FORKED,  /* munro: another hash is signed for the same chunks */
} PeerIntegrityResult;

typedef struct PeerIntegrity PeerIntegrity;

/* max_chunks: live: how many chunks back munros and hashes are kept (rounded up to whole
 * subtrees). Takes ownership of hashes, also when it fails. The content is checked first; static
 * content whose root is still to be computed (append, finish) has a swarm_id_size of 0. */
PeerIntegrity *peer_integrity_new (const PeerContent *content, uint64_t max_chunks,
                                   PeerHashStore *hashes, GError **error);
void peer_integrity_free (PeerIntegrity *self);
/* Live: keeps so many from now on, if that is more. */
void peer_integrity_grow (PeerIntegrity *self, uint64_t max_chunks);

/* --- for who makes the content --- */

/* The next chunk. Static: appended from chunk 0 on; every chunk but the last is chunk_size long.
 * Live: from first on (peer_integrity_start). */
void peer_integrity_append (PeerIntegrity *self, const uint8_t *bytes, size_t n);
/* Static: all chunks are appended; computes peaks and root. out: hash_size bytes, the swarm ID. */
void peer_integrity_finish (PeerIntegrity *self, uint8_t *out);
/* Live: the number of the first chunk; aligned to chunks_per_signature. */
void peer_integrity_start (PeerIntegrity *self, uint64_t first);
/* Live: signs the subtree that append has just filled; false = it is not full yet, or the key
 * failed. time: NTP format. */
bool peer_integrity_sign (PeerIntegrity *self, PeerKey *key, uint64_t time);

/* --- from live to on demand (section 6.1.2, last paragraph) ---
 *
 * The RFC leaves open how peers learn that a broadcast is over. Its tree says it: what is right of
 * the content is empty, and the hash of an empty node is zeros (section 5.6.1). So the source signs
 * one munro more, of the subtree behind its last one, whose hash is zeros: nothing will follow. It
 * goes as any munro does, INTEGRITY and SIGNED_INTEGRITY, and to whoever does not know this rule it
 * is a munro whose chunks nobody has. */

/* The source, with no subtree open: signs the end. false = one is, the key failed, or the content
 * has no tree (Sign All). */
bool peer_integrity_sign_end (PeerIntegrity *self, PeerKey *key, uint64_t time);
/* Chunks of the whole broadcast, when its end is known; out (or NULL): the munro that says it.
 * 0 = it goes on. */
uint64_t peer_integrity_end (const PeerIntegrity *self, PeerMunro *out);
/* The broadcast as static content: its root over all munros, its length; chunk size, hash function
 * and addressing stay. false = it goes on, did not begin with chunk 0, or munros are not here. */
bool peer_integrity_final (const PeerIntegrity *self, PeerContent *out);
/* The tree of that content, without hashing a chunk anew: all hashes of self go to hashes (NULL = in
 * memory), which are taken over. NULL with error = some are not here: not all chunks were verified. */
PeerIntegrity *peer_integrity_settle (const PeerIntegrity *self, const PeerContent *content,
                                      PeerHashStore *hashes, GError **error);

/* --- for who receives --- */

/* The number of chunks of static content, when known: from the length, or from peaks that were
 * checked against the root (section 5.6.2); 0 = not known yet. Peaks can overstate it (see
 * integrity.c): it may shrink, never below the truth, until the last chunk is verified. */
uint64_t peer_integrity_n_chunks (const PeerIntegrity *self);

/* pending: all that this peer sent and that is not believed yet. On GOOD the path of the chunk is
 * believed from now on, and for static content peaks among pending are taken up first; what was
 * taken is taken out of pending. Believed hashes come from the source alone, so BAD is the fault of
 * who sent chunk and pending. */
PeerIntegrityResult peer_integrity_check (PeerIntegrity *self, PeerPendingHashes *pending,
                                          uint64_t chunk, const uint8_t *bytes, size_t n);

/* Static content of known length: the nodes whose hashes check() needs in pending to tell about chunk, as
 * nothing believed can stand for them; the peaks among them and first, as long as not all of these are
 * believed, for without them nothing can be proven to others (section 5.6.2). Returns their number, or -1
 * if chunk is not in the content. */
int peer_integrity_lacks (const PeerIntegrity *self, uint64_t chunk, PeerRange out[PEER_PROOF_MAX]);

/* Sign All: the same for a chunk whose signature this peer has sent; NULL = it has not. now,
 * max_age: as for add_munro. On GOOD the signature is the chunk's newest munro. */
PeerIntegrityResult peer_integrity_check_signed (PeerIntegrity *self,
                                                 const PeerSignature *signature, uint64_t chunk,
                                                 const uint8_t *bytes, size_t n, uint64_t now,
                                                 uint32_t max_age);

/* Is that munro known, signed and kept? Then add_munro would cost no signature check. */
bool peer_integrity_has_munro (const PeerIntegrity *self, PeerRange chunks);
/* A SIGNED_INTEGRITY whose munro hash is in pending. now: the NTP time, or 0 if the clock is not
 * to be trusted; max_age: in seconds against now. Ranges that are not chunks_per_signature wide
 * or not aligned are BAD. */
PeerIntegrityResult peer_integrity_add_munro (PeerIntegrity *self, PeerPendingHashes *pending,
                                              PeerRange chunks, uint64_t time,
                                              const uint8_t *signature, size_t n, uint64_t now,
                                              uint32_t max_age);

/* --- for who sends --- */

/* Levels of the tree above a chunk within which its proof rests on what is in flight: a datagram that
 * is lost holds up 127 others at most. */
#define PEER_PROOF_REACH 7

/* The hashes that a receiver which provably has the chunks of known (or will have them, by what
 * is in flight) needs to check chunk: heights descending; for static content and an empty known
 * the peaks first, left to right (section 5.6.2); for live content only up to the munro, which
 * is not among them. Returns the number of hashes, or -1 if some are not here. */
int peer_integrity_proof (const PeerIntegrity *self, uint64_t chunk, const PeerChunks *known,
                          const PeerChunks *in_flight, PeerHash out[PEER_PROOF_MAX]);
/* false = it is not here. */
bool peer_integrity_munro (const PeerIntegrity *self, uint64_t chunk, PeerMunro *out);
bool peer_integrity_newest_munro (const PeerIntegrity *self, PeerMunro *out);
/* The oldest that is kept; with newest and their times the bitrate is known. */
bool peer_integrity_oldest_munro (const PeerIntegrity *self, PeerMunro *out);

/* How many times it has hashed, for tests and figures. */
uint64_t peer_integrity_hash_count (const PeerIntegrity *self);

/* NTP timestamp format (RFC 5905) and microseconds since 1970. */
uint64_t peer_ntp_from_us (int64_t unix_us);
int64_t peer_ntp_to_us (uint64_t ntp);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerIntegrity, peer_integrity_free)
