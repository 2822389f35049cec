/* SPDX-License-Identifier: Apache-2.0 */
/* The signed munros of live content (RFC 7574, section 6.1.2), each with the hashes of its
 * subtree: a ring of the newest, by number of the subtree. */
#pragma once

#include "peer/hashes.h"

/* A signed munro (section 6.1.2.1). */
typedef struct {
  PeerRange chunks;
  uint8_t hash[PEER_HASH_MAX];
  uint64_t time; /* NTP timestamp format, UTC */
  uint8_t signature[PEER_SIGNATURE_MAX];
  uint16_t signature_size; /* bytes */
} PeerMunro;

typedef struct PeerMunros PeerMunros;

/* Keeps at least max_chunks, in whole subtrees. */
PeerMunros *peer_munros_new (uint32_t chunks_per_signature, uint64_t max_chunks, size_t hash_size);
void peer_munros_free (PeerMunros *self);
/* From now on at least max_chunks, if that is more. */
void peer_munros_grow (PeerMunros *self, uint64_t max_chunks);

/* The hashes of all subtrees. What is read is of a signed subtree; what is written is taken if the
 * subtree is signed or open. Borrowed: it lives with self and is not freed. */
PeerHashStore *peer_munros_hashes (PeerMunros *self);

/* Makes room for the subtree that begins at chunk, so that its hashes can be written before its
 * munro is signed. false = it is left of what is kept. */
bool peer_munros_open (PeerMunros *self, uint64_t chunk);
/* The munro is signed, and its subtree open from now on if it was not. false = it is left of what
 * is kept. Moves the ring, so only for what the source has signed. */
bool peer_munros_add (PeerMunros *self, const PeerMunro *munro);

/* Left of what is kept? */
bool peer_munros_is_old (const PeerMunros *self, uint64_t chunk);
/* The munro above chunk; false = it is not here. */
bool peer_munros_find (const PeerMunros *self, uint64_t chunk, PeerMunro *out);
/* The same without a copy of the signature: its hash, borrowed; NULL = it is not here. */
const uint8_t *peer_munros_find_hash (const PeerMunros *self, uint64_t chunk);
bool peer_munros_newest (const PeerMunros *self, PeerMunro *out);
bool peer_munros_oldest (const PeerMunros *self, PeerMunro *out);
