/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/held.h"
#include <string.h>

void
peer_held_clear (PeerHeld *self)
{
  g_clear_pointer (&self->chunks, g_ptr_array_unref);
}

bool
peer_held_add (PeerHeld *self, int64_t now, uint64_t chunk, uint64_t sent, const uint8_t *bytes,
               size_t n)
{
  if (self->chunks == NULL)
    self->chunks = g_ptr_array_new_with_free_func (g_free);
  if (self->chunks->len >= PEER_HELD_MAX)
    return false;
  PeerHeldChunk *held = g_malloc (sizeof (PeerHeldChunk) + n);
  *held = (PeerHeldChunk){.chunk = chunk, .sent = sent, .at = now, .n = n};
  memcpy (held->bytes, bytes, n);
  g_ptr_array_add (self->chunks, held);
  return true;
}

bool
peer_held_has (const PeerHeld *self, uint64_t chunk)
{
  for (guint i = 0; i < peer_held_count (self); i++)
    if (peer_held_get (self, i)->chunk == chunk)
      return true;
  return false;
}

guint
peer_held_count (const PeerHeld *self)
{
  return self->chunks == NULL ? 0 : self->chunks->len;
}

const PeerHeldChunk *
peer_held_get (const PeerHeld *self, guint i)
{
  return g_ptr_array_index (self->chunks, i);
}

void
peer_held_remove (PeerHeld *self, guint i)
{
  g_ptr_array_remove_index (self->chunks, i);
}
