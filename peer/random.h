/* SPDX-License-Identifier: Apache-2.0 */
/* Chance comes in as bytes (engine.h, tracker/registry.h, tracker/session.h). Read as a number they mean
 * the same on every machine, so that one seed replays one run whatever the byte order. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

typedef void (*PeerRandom) (void *data, uint8_t *out, size_t n);

static inline uint32_t
peer_random_u32 (PeerRandom random, void *data)
{
  uint32_t bytes;
  random (data, (uint8_t *)&bytes, sizeof bytes);
  return GUINT32_FROM_LE (bytes);
}

static inline uint64_t
peer_random_u64 (PeerRandom random, void *data)
{
  uint64_t bytes;
  random (data, (uint8_t *)&bytes, sizeof bytes);
  return GUINT64_FROM_LE (bytes);
}
