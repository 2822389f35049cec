/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-1-3, for tables whose keys strangers choose: with a secret to begin from, they cannot choose
 * them so that all fall into one place. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

uint64_t tracker_hash (uint64_t secret, const void *data, size_t n);

static inline uint64_t
tracker_hash_text (uint64_t secret, const char *text)
{
  return tracker_hash (secret, text, strlen (text) + 1);
}
