/* SPDX-License-Identifier: Apache-2.0 */
/* Some 64 KiB of a live channel: a run of chunks that are contiguous in memory, shared by all who read
 * them, in any thread. */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct {
  gatomicrefcount refs;
  uint64_t number; /* of the slab: its first chunk / chunks of a slab */
  uint8_t *bytes;
  uint16_t sizes[]; /* of each chunk; 0 = absent */
} ProxySlab;

/* Of n chunks, all absent. */
ProxySlab *proxy_slab_new (uint64_t number, uint32_t n, uint32_t chunk_size);
ProxySlab *proxy_slab_ref (ProxySlab *self);
void proxy_slab_unref (gpointer self); /* NULL is no slab */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxySlab, proxy_slab_unref)
