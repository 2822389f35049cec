/* SPDX-License-Identifier: Apache-2.0 */
/* A viewer's stream: a place in a channel's ring, or in a film. */
#pragma once

#include "dlna/library.h"
#include "proxy/film.h"
#include "proxy/ring.h"

#define PROXY_TYPE_STREAM (proxy_stream_get_type ())
G_DECLARE_FINAL_TYPE (ProxyStream, proxy_stream, PROXY, STREAM, GObject)

/* back: us, how far behind live it begins, as far as that is kept. released (data) is called when the
 * stream is gone. */
ProxyStream *proxy_stream_new_live (ProxyRing *ring, int64_t back, GDestroyNotify released,
                                    gpointer data);
/* Bytes [first, end) of the film. */
ProxyStream *proxy_stream_new_film (ProxyFilm *film, uint64_t first, uint64_t end,
                                    GDestroyNotify released, gpointer data);

/* Done when the first byte can be had: for a channel, where a picture can start.
 * G_IO_ERROR_TIMED_OUT if nothing came within timeout (us). */
void proxy_stream_ready_async (ProxyStream *self, int64_t timeout, GCancellable *cancellable,
                               GAsyncReadyCallback done, gpointer data);
bool proxy_stream_ready_finish (ProxyStream *self, GAsyncResult *result, GError **error);

/* Live: is its next byte on its way from the disk? */
bool proxy_stream_waits (const ProxyStream *self);

/* How often this viewer was too slow and had to jump. */
unsigned proxy_stream_jumps (const ProxyStream *self);
