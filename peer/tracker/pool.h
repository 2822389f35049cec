/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of one size, without malloc's header and rounding. Not given back to the system, but used
 * again. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  size_t size;
  GPtrArray *slabs;
  void *unused;   /* a list through the first word of each */
  uint32_t fresh; /* of the newest slab, never used so far */
} TrackerPool;

void tracker_pool_init (TrackerPool *self, size_t size);
void tracker_pool_clear (TrackerPool *self);
void *tracker_pool_new0 (TrackerPool *self);
void tracker_pool_free (TrackerPool *self, void *object);
