/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trackerd/stores.h"

#include "peer/trackerd/store-sqlite.h"
#ifdef HAVE_HIREDIS
#include "peer/trackerd/store-redis.h"
#endif

#include <string.h>

bool
trackerd_stores_want_changes (const char *uri)
{
  return uri != NULL && strcmp (uri, "memory:") != 0;
}

static void
memory_free (TrackerdStore *self)
{
  g_free (self);
}

TrackerdStore *
trackerd_stores_open (const char *uri, TrackerRegistry *registry, GRecMutex *lock, GError **error)
{
  if (!trackerd_stores_want_changes (uri)) {
    TrackerdStore *self = g_new0 (TrackerdStore, 1);
    *self = (TrackerdStore){.free = memory_free, .registry = registry, .stats.connected = true};
    return self;
  }
  if (g_str_has_prefix (uri, "sqlite:") && uri[strlen ("sqlite:")] != 0)
    return trackerd_store_sqlite_open (uri + strlen ("sqlite:"), registry, lock, error);
  if (g_str_has_prefix (uri, "redis://")) {
#ifdef HAVE_HIREDIS
    return trackerd_store_redis_open (uri, registry, lock, error);
#else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 "--store %s: this build has no Redis; build it with hiredis, or say sqlite:FILE "
                 "or memory:",
                 uri);
    return NULL;
#endif
  }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               "--store %s: no such store; there are memory:, sqlite:FILE and "
               "redis://HOST:PORT/NAME",
               uri);
  return NULL;
}
