/* SPDX-License-Identifier: Apache-2.0 */
/* Looks into a film that is an MPEG transport stream: what it contains, how long it is, and at which
 * byte a time of it lies. It reads as any reader does, so what it needs is fetched for it: 256 KiB at
 * a time, at its ends, and in between where it looks. */
#pragma once

#include "peer/media/stream.h"
#include "proxy/film.h"

typedef struct {
  MediaStreamInfo info;
  int64_t duration; /* us; -1 = could not be found out */
  int64_t byte;     /* where to begin for the time that was asked for: a packet's first */
  int64_t time;     /* us from the beginning, that it has there */
} ProxyProbeResult;

/* result NULL = it is no transport stream, or could not be read. */
typedef void (*ProxyProbeFunc) (const ProxyProbeResult *result, gpointer data);

typedef struct ProxyProbe ProxyProbe;
/* time: us from the beginning, to find its byte; -1 = only the duration. done is called once, later,
 * unless it is freed before; it may free the probe. */
ProxyProbe *proxy_probe_new (ProxyFilm *film, int64_t time, ProxyProbeFunc done, gpointer data);
void proxy_probe_free (ProxyProbe *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyProbe, proxy_probe_free)
