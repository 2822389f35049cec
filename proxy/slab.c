/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/slab.h"

ProxySlab *
proxy_slab_new (uint64_t number, uint32_t n, uint32_t chunk_size)
{
  ProxySlab *self = g_malloc0 (sizeof (ProxySlab) + n * sizeof (uint16_t));
  g_atomic_ref_count_init (&self->refs);
  self->number = number;
  self->bytes = g_malloc ((size_t)n * chunk_size);
  return self;
}

ProxySlab *
proxy_slab_ref (ProxySlab *self)
{
  g_atomic_ref_count_inc (&self->refs);
  return self;
}

void
proxy_slab_unref (gpointer data)
{
  ProxySlab *self = data;
  if (!self || !g_atomic_ref_count_dec (&self->refs))
    return;
  g_free (self->bytes);
  g_free (self);
}
