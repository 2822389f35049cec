/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of several trackers, which share it through a Redis server. */
#pragma once

#include "peer/trackerd/store.h"

/* The error says what is wrong, and what to do. */
TrackerdStore *trackerd_store_redis_open (const char *uri, TrackerRegistry *registry,
                                          GRecMutex *lock, GError **error);
