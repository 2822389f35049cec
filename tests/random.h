/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes that are the same in every run (xorshift64). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define RANDOM_SEED UINT64_C (88172645463325252)

/* state: a uint64_t, not 0. */
static inline void
random_bytes (void *state, uint8_t *out, size_t n)
{
  uint64_t *x = state;
  for (size_t i = 0; i < n; i++) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    out[i] = (uint8_t)(*x >> 32);
  }
}
