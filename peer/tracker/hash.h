/* SPDX-License-Identifier: Apache-2.0 */
/* A hash for tables whose keys strangers choose: with a secret to begin from, they cannot choose
 * them so that all fall into one place. No match for one who sees the hashes. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t
tracker_hash (uint64_t hash, const void *data, size_t n)
{
  const uint8_t *bytes = data;
  for (size_t i = 0; i < n; i++)
    hash = (hash ^ bytes[i]) * UINT64_C (0x100000001b3);
  return hash ^ (hash >> 29);
}

static inline uint64_t
tracker_hash_text (uint64_t hash, const char *text)
{
  return tracker_hash (hash, text, strlen (text) + 1);
}
