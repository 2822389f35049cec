/* SPDX-License-Identifier: Apache-2.0 */
/* Content on demand, as its readers see it: byte ranges out of a store, and what the swarm must
 * fetch for them. Reading pulls: the readers' places are the windows of what is asked for, and who
 * stops reading stops asking. */
#pragma once

#include "peer/engine.h"
#include "proxy/watch.h"
#include <gio/gio.h>

typedef struct ProxyFilm ProxyFilm;
typedef struct ProxyFilmReader ProxyFilmReader;

/* quota: bytes of the cache that it is kept in. changed: called when the wants are others than
 * before, or a reader begins to wait. */
ProxyFilm *proxy_film_new (uint32_t chunk_size, uint64_t length, uint64_t quota,
                           ProxyWatchFunc changed, gpointer data);
ProxyFilm *proxy_film_ref (ProxyFilm *self);
void proxy_film_unref (ProxyFilm *self);

uint64_t proxy_film_length (const ProxyFilm *self); /* bytes */

/* Both belong to the engine; NULL takes them away, and then all reading ends in an error. */
void proxy_film_attach (ProxyFilm *self, PeerStore *store, const PeerChunks *have);
/* Chunks have come: calls the watches. */
void proxy_film_arrived (ProxyFilm *self);
ProxyWatches *proxy_film_watches (ProxyFilm *self);

/* What may go, of what was read or came longest ago: never what a reader needs next. when: that
 * time, us; empty, and INT64_MAX, if nothing may. */
PeerRange proxy_film_oldest (ProxyFilm *self, int64_t now, int64_t *when);
/* A run that the store has lost, though it is among what is here; empty if none. Told once. */
PeerRange proxy_film_take_lost (ProxyFilm *self);

/* One reader of bytes [first, end). It holds a reference to the film. */
ProxyFilmReader *proxy_film_reader_new (ProxyFilm *film, uint64_t first, uint64_t end);
void proxy_film_reader_free (ProxyFilmReader *self);

typedef enum {
  PROXY_FILM_BYTES,  /* out: what is here, at most 64 KiB */
  PROXY_FILM_ABSENT, /* wait for the watches */
  PROXY_FILM_SOON,   /* on its way from the disk: ask again */
  PROXY_FILM_END,
  PROXY_FILM_FAILED, /* the store is gone, or its medium failed */
} ProxyFilmResult;
ProxyFilmResult proxy_film_reader_read (ProxyFilmReader *self, GBytes **out);

#define PROXY_FILM_MAX_WANTS 32
/* All that the readers want, the most urgent first; returns how many. */
size_t proxy_film_wants (const ProxyFilm *self, int64_t now, PeerWant out[PROXY_FILM_MAX_WANTS]);

/* Since when a reader has been waiting for its next byte, us, monotonic: the longest; 0 = none waits. */
int64_t proxy_film_waits_since (const ProxyFilm *self);
/* The chunks that the readers will need soonest, half a MiB for each, those who wait first; returns how
 * many runs. */
size_t proxy_film_urgent (const ProxyFilm *self, PeerRange out[PROXY_FILM_MAX_WANTS]);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyFilm, proxy_film_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyFilmReader, proxy_film_reader_free)
