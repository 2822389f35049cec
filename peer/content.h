/* SPDX-License-Identifier: Apache-2.0 */
/* Swarm metadata: what all peers of a swarm must agree on (RFC 7574, sections 3.1 and 7). The
 * numbers of the enums are those of the RFC's registries. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_HASH_MAX 64               /* bytes: SHA-512 */
#define PEER_SIGNATURE_MAX 512         /* bytes: RSA with 4096 bits */
#define PEER_SWARM_ID_MAX 1024         /* bytes: RSA with 4096 bits and a long exponent fit */
#define PEER_CHUNK_MIN 1               /* bytes */
#define PEER_CHUNK_MAX 8192            /* bytes; ours: what one datagram may sensibly carry */
#define PEER_CHUNK_VARIABLE UINT32_MAX /* as a chunk size: each chunk has its own (section 7.11) */
#define PEER_CHUNK_VARIABLE_MAX 1440 /* bytes; ours: of such a chunk, so that it fits a datagram */

typedef enum {
  PEER_METHOD_NONE = 0,
  PEER_METHOD_MERKLE = 1, /* static content */
  PEER_METHOD_SIGN_ALL = 2,
  PEER_METHOD_UNIFIED_MERKLE = 3, /* live content */
} PeerMethod;

typedef enum {
  PEER_HASH_SHA1 = 0,
  PEER_HASH_SHA224 = 1,
  PEER_HASH_SHA256 = 2,
  PEER_HASH_SHA384 = 3,
  PEER_HASH_SHA512 = 4,
} PeerHashFunction;
size_t peer_hash_size (PeerHashFunction function); /* bytes; 0 = unknown function */

/* DNSSEC algorithm numbers (section 7.7). */
typedef enum {
  PEER_SIGNATURE_NONE = 0,
  PEER_SIGNATURE_RSASHA1 = 5,
  PEER_SIGNATURE_RSASHA256 = 8,
  PEER_SIGNATURE_ECDSAP256SHA256 = 13,
  PEER_SIGNATURE_ECDSAP384SHA384 = 14,
} PeerSignatureAlgorithm;

typedef enum {
  PEER_ADDRESSING_BINS32 = 0,
  PEER_ADDRESSING_BYTES64 = 1,
  PEER_ADDRESSING_CHUNKS32 = 2,
  PEER_ADDRESSING_BINS64 = 3,
  PEER_ADDRESSING_CHUNKS64 = 4,
} PeerAddressing;

/* A value: copy it as you like. */
typedef struct {
  uint8_t swarm_id[PEER_SWARM_ID_MAX];
  uint16_t swarm_id_size; /* bytes */
  PeerMethod method;
  PeerHashFunction hash;            /* of the Merkle tree */
  PeerSignatureAlgorithm signature; /* live: the first byte of the swarm ID says it as well */
  PeerAddressing addressing;
  uint32_t chunk_size;           /* bytes, or PEER_CHUNK_VARIABLE */
  uint32_t chunks_per_signature; /* Unified Merkle: a power of two, at least 2 (section 6.1.2.1);
                                  * Sign All: 1 */
  uint64_t length;               /* bytes; static: 0 = not known yet (section 5.6) */
} PeerContent;

#define PEER_ERROR (peer_error_quark ())
GQuark peer_error_quark (void);
typedef enum {
  PEER_ERROR_BAD_CONTENT, /* metadata that no swarm can have, or that we do not speak */
  PEER_ERROR_BAD_LINK,
  PEER_ERROR_BAD_KEY,
  PEER_ERROR_LIMIT, /* a limit of the options was reached */
} PeerError;

/* Defaults of Table 8: chunk 1024 bytes, Merkle, SHA-256, 32-bit chunk ranges; live: Unified
 * Merkle, ECDSAP256SHA256, and of ours 64-bit ranges, 64 chunks a signature, 1128 bytes. */
void peer_content_init_static (PeerContent *self);
void peer_content_init_live (PeerContent *self);

bool peer_content_is_live (const PeerContent *self);
/* Do all fields fit each other, and do we speak them? */
bool peer_content_check (const PeerContent *self, GError **error);
bool peer_content_is_variable (const PeerContent *self);   /* its chunks have no common size */
uint32_t peer_content_chunk_max (const PeerContent *self); /* bytes: no chunk is larger */
/* Chunks of static content of a known length; 0 = its length does not tell it. */
uint64_t peer_content_n_chunks (const PeerContent *self);
/* How many chunks its addressing can name (section 4): their numbers are below that. */
uint64_t peer_content_max_chunks (const PeerContent *self);
/* Swarm ID as lower-case hex. The caller frees. */
char *peer_content_swarm_id_hex (const PeerContent *self);
size_t peer_content_hash_size (const PeerContent *self);      /* bytes; 0 = no Merkle tree */
size_t peer_content_signature_size (const PeerContent *self); /* bytes; 0 = no signatures */
