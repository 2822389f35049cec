/* SPDX-License-Identifier: Apache-2.0 */
/* The registry in a file of SQLite, which outlives the tracker, and kill -9. */
#pragma once

#include "peer/trackerd/store.h"

/* The error says what is wrong, and what to do. */
TrackerdStore *trackerd_store_sqlite_open (const char *file, TrackerRegistry *registry,
                                           GRecMutex *lock, GError **error);
