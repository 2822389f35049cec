/* SPDX-License-Identifier: Apache-2.0 */
/* Swarm metadata as a value: defaults, sizes that follow from it, and whether it makes sense. */
#include "peer/content.h"

/* Of ours: a subtree is hashed and signed as a whole before anybody may have it (RFC 7574,
 * 6.1.2.1), so that a bigger one is only delay; 65,536 chunks are over a minute at 8 Mbit/s. */
#define CHUNKS_PER_SIGNATURE_MAX 65536

/* RFC 7574, 4.2: the widest tree that bins can number, and ours has a bin for each hash. */
#define TREE_CHUNKS_MAX (UINT64_C (1) << 63)

G_DEFINE_QUARK (peer - error - quark, peer_error)

void
peer_content_init_static (PeerContent *self)
{
  *self = (PeerContent){
      .method = PEER_METHOD_MERKLE,
      .hash = PEER_HASH_SHA256,
      .signature = PEER_SIGNATURE_NONE,
      .addressing = PEER_ADDRESSING_CHUNKS32,
      .chunk_size = 1024,
  };
}

void
peer_content_init_live (PeerContent *self)
{
  *self = (PeerContent){
      .method = PEER_METHOD_UNIFIED_MERKLE,
      .hash = PEER_HASH_SHA256,
      .signature = PEER_SIGNATURE_ECDSAP256SHA256,
      .addressing = PEER_ADDRESSING_CHUNKS64,
      .chunk_size = 1128, /* six packets of MPEG-TS */
      .chunks_per_signature = 64,
  };
}

bool
peer_content_is_live (const PeerContent *self)
{
  return self->method == PEER_METHOD_SIGN_ALL || self->method == PEER_METHOD_UNIFIED_MERKLE;
}

size_t
peer_hash_size (PeerHashFunction function)
{
  switch (function) {
  case PEER_HASH_SHA1:
    return 20;
  case PEER_HASH_SHA224:
    return 28;
  case PEER_HASH_SHA256:
    return 32;
  case PEER_HASH_SHA384:
    return 48;
  case PEER_HASH_SHA512:
    return 64;
  }
  return 0;
}

size_t
peer_content_hash_size (const PeerContent *self)
{
  if (self->method != PEER_METHOD_MERKLE && self->method != PEER_METHOD_UNIFIED_MERKLE)
    return 0;
  return peer_hash_size (self->hash);
}

/* RFC 7574, 8.9: the modulus is what the exponent leaves of the key (RFC 3110, section 2). */
static size_t
rsa_modulus_size (const uint8_t *key, size_t n)
{
  size_t exponent, header = 1;

  if (n < 1)
    return 0;
  exponent = key[0];
  if (exponent == 0) {
    if (n < 3)
      return 0;
    exponent = (size_t)key[1] << 8 | key[2];
    header = 3;
  }
  if (exponent == 0 || n - header <= exponent)
    return 0;
  return n - header - exponent;
}

size_t
peer_content_signature_size (const PeerContent *self)
{
  if (!peer_content_is_live (self) || self->swarm_id_size < 1)
    return 0;
  switch (self->signature) {
  case PEER_SIGNATURE_NONE:
    return 0;
  case PEER_SIGNATURE_RSASHA1:
  case PEER_SIGNATURE_RSASHA256:
    return rsa_modulus_size (self->swarm_id + 1, self->swarm_id_size - 1u);
  case PEER_SIGNATURE_ECDSAP256SHA256:
    return 64;
  case PEER_SIGNATURE_ECDSAP384SHA384:
    return 96;
  }
  return 0;
}

bool
peer_content_is_variable (const PeerContent *self)
{
  return self->chunk_size == PEER_CHUNK_VARIABLE;
}

uint32_t
peer_content_chunk_max (const PeerContent *self)
{
  return peer_content_is_variable (self) ? PEER_CHUNK_VARIABLE_MAX : self->chunk_size;
}

uint64_t
peer_content_n_chunks (const PeerContent *self)
{
  if (self->chunk_size == 0 || peer_content_is_variable (self))
    return 0;
  return self->length / self->chunk_size + (self->length % self->chunk_size != 0 ? 1 : 0);
}

char *
peer_content_swarm_id_hex (const PeerContent *self)
{
  static const char digits[] = "0123456789abcdef";
  char *hex = g_malloc (2 * (size_t)self->swarm_id_size + 1);

  for (size_t i = 0; i < self->swarm_id_size; i++) {
    hex[2 * i] = digits[self->swarm_id[i] >> 4];
    hex[2 * i + 1] = digits[self->swarm_id[i] & 15];
  }
  hex[2 * (size_t)self->swarm_id_size] = '\0';
  return hex;
}

static bool
refuse (GError **error, const char *why)
{
  g_set_error_literal (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT, why);
  return false;
}

uint64_t
peer_content_max_chunks (const PeerContent *self)
{
  switch (self->addressing) {
  case PEER_ADDRESSING_BINS32:
    return UINT64_C (1) << 31;
  case PEER_ADDRESSING_CHUNKS32: /* the last number alone would say "nothing" */
    return UINT32_MAX;
  case PEER_ADDRESSING_BYTES64:
    return MIN (UINT64_MAX / MAX (self->chunk_size, 1), TREE_CHUNKS_MAX);
  case PEER_ADDRESSING_BINS64:
  case PEER_ADDRESSING_CHUNKS64:
    return TREE_CHUNKS_MAX;
  }
  return 0;
}

static bool
check_static (const PeerContent *self, GError **error)
{
  if (self->swarm_id_size != peer_hash_size (self->hash)) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT,
                 "the swarm ID of static content is its root hash of %u bytes, not %u",
                 (unsigned)peer_hash_size (self->hash), self->swarm_id_size);
    return false;
  }
  if (self->length > INT64_MAX)
    return refuse (error, "the content length is larger than any file");
  if (peer_content_n_chunks (self) > MIN (peer_content_max_chunks (self), TREE_CHUNKS_MAX / 2))
    return refuse (error, "the content has more chunks than its chunk addressing can name");
  return true;
}

static bool
check_live (const PeerContent *self, GError **error)
{
  size_t expected = self->signature == PEER_SIGNATURE_ECDSAP256SHA256   ? 65
                    : self->signature == PEER_SIGNATURE_ECDSAP384SHA384 ? 97
                                                                        : self->swarm_id_size;
  size_t size = peer_content_signature_size (self);

  if (size == 0 || size > PEER_SIGNATURE_MAX)
    return refuse (error, "the swarm ID holds no key of a live signature algorithm that is known");
  if (self->swarm_id[0] != self->signature)
    return refuse (error, "the swarm ID does not begin with the live signature algorithm");
  if (self->swarm_id_size != expected)
    return refuse (error, "the swarm ID is not as long as the public key of its algorithm");
  if (self->method == PEER_METHOD_SIGN_ALL) {
    if (self->chunks_per_signature != 1)
      return refuse (error, "with Sign All each chunk has a signature of its own");
  } else if (self->chunks_per_signature < 2 ||
             self->chunks_per_signature > CHUNKS_PER_SIGNATURE_MAX ||
             (self->chunks_per_signature & (self->chunks_per_signature - 1)) != 0) {
    return refuse (error, "chunks per signature must be a power of two from 2 to 65536");
  }
  if (self->length != 0)
    return refuse (error, "live content has no length");
  return true;
}

bool
peer_content_check (const PeerContent *self, GError **error)
{
  if (self->swarm_id_size == 0 || self->swarm_id_size > PEER_SWARM_ID_MAX)
    return refuse (error, "the swarm ID is empty or too long");
  if (peer_content_max_chunks (self) == 0)
    return refuse (error, "the chunk addressing method is unknown");
  /* where one of them begins is known to nobody who has not all before it */
  if (peer_content_is_variable (self) && self->addressing == PEER_ADDRESSING_BYTES64)
    return refuse (error, "byte ranges cannot name chunks of variable size");
  if (!peer_content_is_variable (self) &&
      (self->chunk_size < PEER_CHUNK_MIN || self->chunk_size > PEER_CHUNK_MAX))
    return refuse (error, "the chunk size must be between 1 and 8192 bytes, or 4294967295: "
                          "variable");
  if (peer_hash_size (self->hash) == 0)
    return refuse (error, "the Merkle hash function is unknown");
  switch (self->method) {
  case PEER_METHOD_NONE:
    /* RFC 7574, 5, lets a benign network do without; nothing unverified is ever kept here */
    return refuse (error, "content without integrity protection is not supported");
  case PEER_METHOD_MERKLE:
    return check_static (self, error);
  case PEER_METHOD_SIGN_ALL:
  case PEER_METHOD_UNIFIED_MERKLE:
    return check_live (self, error);
  }
  return refuse (error, "the content integrity method is unknown");
}
