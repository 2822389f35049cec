/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/mutate.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static void
call (const uint8_t *bytes, size_t n, MutateFunc func, void *data)
{
  /* malloc, not g_malloc: of zero bytes too there shall be a block, with an end to run over. */
  uint8_t *copy = malloc (n);

  if (n > 0)
    memcpy (copy, bytes, n);
  func (copy, n, data);
  free (copy);
}

size_t
mutate (const uint8_t *good, size_t n, MutateFunc func, void *data)
{
  static const uint8_t tails[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
  g_autofree uint8_t *bytes = g_malloc (n + 1);
  size_t made = 0;

  memcpy (bytes, good, n);
  for (size_t i = 0; i < n; i++) {
    for (unsigned value = 0; value < 256; value++, made++) {
      bytes[i] = (uint8_t)value;
      call (bytes, n, func, data);
    }
    bytes[i] = good[i];
  }
  for (size_t i = 0; i <= n; i++, made += 2) {
    call (bytes, i, func, data);
    call (bytes + i, n - i, func, data);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (tails); i++, made++) {
    bytes[n] = tails[i];
    call (bytes, n + 1, func, data);
  }
  return made;
}
