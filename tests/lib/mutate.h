/* SPDX-License-Identifier: Apache-2.0 */
/* Every single-byte change and every cut of a good input: what a parser of foreign bytes must
 * survive. Cheap enough for each commit, and most of the value under a sanitizer. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* bytes lie at the end of a block of exactly n bytes, so that a sanitizer sees a read behind
 * them. */
typedef void (*MutateFunc) (const uint8_t *bytes, size_t n, void *data);

/* Each byte set to each of the 256 values, each prefix, each suffix, and one byte too many of
 * each of a few kinds. Returns how many inputs it has made. */
size_t mutate (const uint8_t *good, size_t n, MutateFunc func, void *data);
