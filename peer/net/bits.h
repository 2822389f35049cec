/* SPDX-License-Identifier: Apache-2.0 */
/* A row of bits, of which only the pages that were touched take memory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NET_BITS_PAGE 512 /* bytes */

typedef struct NetBits NetBits;

NetBits *net_bits_new (uint64_t n); /* all clear */
void net_bits_free (NetBits *self);
bool net_bits_get (const NetBits *self, uint64_t i);
void net_bits_set (NetBits *self, uint64_t i, bool value);
uint64_t net_bits_count (const NetBits *self); /* that are set */

/* As bytes: bit i is bit i % 8 from below of byte i / 8. NULL = a page that is all clear. */
uint64_t net_bits_n_pages (const NetBits *self);
const uint8_t *net_bits_page (const NetBits *self, uint64_t page);
void net_bits_set_page (NetBits *self, uint64_t page, const uint8_t *bytes);
