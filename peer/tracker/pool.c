/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/tracker/pool.h"

#include <stdlib.h>
#include <string.h>

#define SLAB (64u * 1024) /* bytes */
#define LINE 64           /* of a cache: an object of two lines lies in two */

/* With the address sanitizer each object is one of malloc's, so that it sees what is done to it. */
#ifdef __SANITIZE_ADDRESS__
#define HAS_SLABS 0
#elif defined(__has_feature)
#define HAS_SLABS !__has_feature (address_sanitizer)
#else
#define HAS_SLABS 1
#endif

void
tracker_pool_init (TrackerPool *self, size_t size)
{
  *self = (TrackerPool){.size = (size + 7) & ~(size_t)7};
  self->slabs = g_ptr_array_new_with_free_func (free);
}

void
tracker_pool_clear (TrackerPool *self)
{
  g_ptr_array_unref (self->slabs);
}

void *
tracker_pool_new0 (TrackerPool *self)
{
  void *object = self->unused;
  if (!HAS_SLABS)
    return g_malloc0 (self->size);
  if (object != NULL) {
    memcpy (&self->unused, object, sizeof self->unused);
  } else {
    if (self->fresh == 0) {
      void *slab = aligned_alloc (LINE, SLAB);
      if (slab == NULL)
        g_error ("out of memory");
      g_ptr_array_add (self->slabs, slab);
      self->fresh = (uint32_t)(SLAB / self->size);
    }
    uint8_t *slab = g_ptr_array_index (self->slabs, self->slabs->len - 1);
    object = slab + --self->fresh * self->size;
  }
  return memset (object, 0, self->size);
}

void
tracker_pool_free (TrackerPool *self, void *object)
{
  if (!HAS_SLABS) {
    g_free (object);
    return;
  }
  memcpy (object, &self->unused, sizeof self->unused);
  self->unused = object;
}
