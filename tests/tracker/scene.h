/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the tracker's machines have in common: a registry whose time is a number. */
#pragma once

#include "peer/tracker/registry.h"
#include "tests/random.h"

#define SECOND ((int64_t)G_USEC_PER_SEC)

typedef struct {
  TrackerRegistry *registry;
  int64_t now;
  unsigned transactions;
  uint64_t state; /* of the random numbers */
} World;

static inline void
world_init (World *w, TrackerRegistryOptions options)
{
  *w = (World){.now = 1000 * SECOND, .state = RANDOM_SEED};
  options.random = random_bytes;
  options.random_data = &w->state;
  w->registry = tracker_registry_new (&options);
}

static inline void
world_clear (World *w)
{
  tracker_registry_free (w->registry);
}
