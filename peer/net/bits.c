/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/bits.h"

#include <glib.h>
#include <string.h>

struct NetBits {
  uint64_t n, n_pages, count;
  uint8_t **pages;
};

NetBits *
net_bits_new (uint64_t n)
{
  NetBits *self = g_new0 (NetBits, 1);
  self->n = n;
  self->n_pages = n / (8 * NET_BITS_PAGE) + 1;
  self->pages = g_new0 (uint8_t *, self->n_pages);
  return self;
}

void
net_bits_free (NetBits *self)
{
  if (!self)
    return;
  for (uint64_t i = 0; i < self->n_pages; i++)
    g_free (self->pages[i]);
  g_free (self->pages);
  g_free (self);
}

bool
net_bits_get (const NetBits *self, uint64_t i)
{
  if (i >= self->n)
    return false;
  const uint8_t *page = self->pages[i / (8 * NET_BITS_PAGE)];
  return page && (page[i / 8 % NET_BITS_PAGE] >> i % 8 & 1);
}

void
net_bits_set (NetBits *self, uint64_t i, bool value)
{
  g_return_if_fail (i < self->n);
  uint8_t **page = &self->pages[i / (8 * NET_BITS_PAGE)];
  uint8_t bit = (uint8_t)(1u << i % 8);
  if (!*page && !value)
    return;
  if (!*page)
    *page = g_malloc0 (NET_BITS_PAGE);
  uint8_t *byte = &(*page)[i / 8 % NET_BITS_PAGE];
  self->count -= (*byte & bit) != 0;
  self->count += value;
  *byte = (uint8_t)(value ? *byte | bit : *byte & ~bit);
}

uint64_t
net_bits_count (const NetBits *self)
{
  return self->count;
}

uint64_t
net_bits_n_pages (const NetBits *self)
{
  return self->n_pages;
}

const uint8_t *
net_bits_page (const NetBits *self, uint64_t page)
{
  return page < self->n_pages ? self->pages[page] : NULL;
}

void
net_bits_set_page (NetBits *self, uint64_t page, const uint8_t *bytes)
{
  uint64_t first = page * 8 * NET_BITS_PAGE;
  g_return_if_fail (page < self->n_pages);
  for (uint64_t i = first; i < self->n && i < first + (uint64_t)8 * NET_BITS_PAGE; i++)
    net_bits_set (self, i, bytes[(i - first) / 8] >> i % 8 & 1);
}
