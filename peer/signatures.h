/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of single chunks that one peer has sent ahead of them (Sign All, RFC 7574, 6.1.1).
 * Nothing can be checked before the chunk is here. Bounded: the oldest is overwritten. */
#pragma once

#include "peer/content.h"

#define PEER_SIGNATURES_MAX 64 /* of one peer: what may come before its chunks */

typedef struct {
  uint64_t chunk;
  uint64_t time; /* NTP timestamp format, UTC */
  uint16_t size; /* bytes */
  uint8_t signature[PEER_SIGNATURE_MAX];
} PeerSignature;

typedef struct PeerSignatures PeerSignatures;

PeerSignatures *peer_signatures_new (void);
void peer_signatures_free (PeerSignatures *self);
/* One that is there already is replaced. n: at most PEER_SIGNATURE_MAX; what is longer is ignored. */
void peer_signatures_add (PeerSignatures *self, uint64_t chunk, uint64_t time,
                          const uint8_t *signature, size_t n);
/* NULL = it is not there. Borrowed until the next add or remove. */
const PeerSignature *peer_signatures_find (const PeerSignatures *self, uint64_t chunk);
void peer_signatures_remove (PeerSignatures *self, uint64_t chunk);
