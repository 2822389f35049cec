/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks that overtook their hashes on the way. RFC 7574, 5.3, lets a receiver drop them; they are
 * kept for a moment instead, since asking again costs a round trip. They are not believed: nobody
 * reads them, and they are not in the store. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_HELD_MAX 256 /* chunks of one channel */

typedef struct {
  uint64_t chunk;
  uint64_t sent; /* the time that its DATA told */
  int64_t at;    /* us: when it came */
  size_t n;      /* bytes */
  uint8_t bytes[];
} PeerHeldChunk;

typedef struct {
  GPtrArray *chunks; /* PeerHeldChunk, in the order of coming; NULL until the first one */
} PeerHeld;

void peer_held_clear (PeerHeld *self);
bool peer_held_has (const PeerHeld *self, uint64_t chunk);
/* false = there is no room. */
bool peer_held_add (PeerHeld *self, int64_t now, uint64_t chunk, uint64_t sent,
                    const uint8_t *bytes, size_t n);
guint peer_held_count (const PeerHeld *self);
const PeerHeldChunk *peer_held_get (const PeerHeld *self, guint i);
/* The order of the others stays. */
void peer_held_remove (PeerHeld *self, guint i);
