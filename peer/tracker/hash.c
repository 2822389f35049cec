/* SPDX-License-Identifier: Apache-2.0 */
/* Aumasson and Bernstein, 2012; one round for each word, three at the end. The second half of the key
 * is the first, inverted: 64 secret bits are enough against one who never sees a hash. Words are taken
 * as the machine has them, for hashes leave neither the process nor a run. */
#include "peer/tracker/hash.h"

static inline uint64_t
rotate (uint64_t x, unsigned bits)
{
  return x << bits | x >> (64 - bits);
}

static inline void
sip_round (uint64_t v[4])
{
  v[0] += v[1];
  v[1] = rotate (v[1], 13) ^ v[0];
  v[0] = rotate (v[0], 32);
  v[2] += v[3];
  v[3] = rotate (v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotate (v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotate (v[1], 17) ^ v[2];
  v[2] = rotate (v[2], 32);
}

uint64_t
tracker_hash (uint64_t secret, const void *data, size_t n)
{
  uint64_t v[4] = {secret ^ UINT64_C (0x736f6d6570736575), ~secret ^ UINT64_C (0x646f72616e646f6d),
                   secret ^ UINT64_C (0x6c7967656e657261), ~secret ^ UINT64_C (0x7465646279746573)};
  const uint8_t *at = data;
  uint64_t last = (uint64_t)n << 56;
  for (size_t left = n; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    memcpy (&word, at, sizeof word);
    v[3] ^= word;
    sip_round (v);
    v[0] ^= word;
  }
  for (size_t i = 0; i < n % 8; i++)
    last |= (uint64_t)at[i] << (8 * i);
  v[3] ^= last;
  sip_round (v);
  v[0] ^= last;
  v[2] ^= 0xff;
  for (unsigned i = 0; i < 3; i++)
    sip_round (v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
