/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of places, few enough to look at each: most signatures are taken out by the chunk that
 * follows them in the same datagram. */
#include "peer/signatures.h"

#include <string.h>

struct PeerSignatures {
  PeerSignature places[PEER_SIGNATURES_MAX]; /* size 0 = free */
  unsigned next;                             /* the oldest */
};

PeerSignatures *
peer_signatures_new (void)
{
  return g_new0 (PeerSignatures, 1);
}

void
peer_signatures_free (PeerSignatures *self)
{
  g_free (self);
}

void
peer_signatures_add (PeerSignatures *self, uint64_t chunk, uint64_t time, const uint8_t *signature,
                     size_t n)
{
  if (n == 0 || n > PEER_SIGNATURE_MAX)
    return;
  peer_signatures_remove (self, chunk);
  PeerSignature *place = &self->places[self->next];
  self->next = (self->next + 1) % PEER_SIGNATURES_MAX;
  place->chunk = chunk;
  place->time = time;
  place->size = (uint16_t)n;
  memcpy (place->signature, signature, n);
}

const PeerSignature *
peer_signatures_find (const PeerSignatures *self, uint64_t chunk)
{
  for (unsigned i = 0; i < PEER_SIGNATURES_MAX; i++)
    if (self->places[i].size > 0 && self->places[i].chunk == chunk)
      return &self->places[i];
  return NULL;
}

void
peer_signatures_remove (PeerSignatures *self, uint64_t chunk)
{
  for (unsigned i = 0; i < PEER_SIGNATURES_MAX; i++)
    if (self->places[i].chunk == chunk)
      self->places[i].size = 0;
}
