/* SPDX-License-Identifier: Apache-2.0 */
/* A reader's window begins at its place and reaches 2 MiB ahead: enough for a second of a film in
 * high definition on a path of 100 ms, little enough that a viewer who looks into a film and leaves
 * has fetched no more than that; less in a cache that is small. The first chunk is due at once, and
 * the rest as if the reader took 4 MiB a second, which puts the nearest first for all readers
 * together. */
#include "proxy/film.h"
#include "peer/recency.h"

enum {
  PIECE = 65536, /* bytes given at once: libsoup is slow with less */
  AHEAD = 2 * 1024 * 1024,
  LEAST_AHEAD = 128 * 1024,    /* bytes; in a small cache */
  READ_RATE = 4 * 1024 * 1024, /* bytes/s */
  URGENT = 512 * 1024,         /* bytes */
};

struct ProxyFilm {
  grefcount refs;
  uint32_t chunk_size;
  uint64_t length, quota; /* bytes */
  PeerStore *store;
  const PeerChunks *have;
  PeerRecency *recency;
  PeerRange lost;
  GPtrArray *readers; /* ProxyFilmReader, the newest last */
  ProxyWatches *watches;
  ProxyWatchFunc changed;
  gpointer data;
};

struct ProxyFilmReader {
  ProxyFilm *film;
  uint64_t place, end; /* bytes */
  int64_t waits_since; /* us; 0 = it has something to show */
};

ProxyFilm *
proxy_film_new (uint32_t chunk_size, uint64_t length, uint64_t quota, ProxyWatchFunc changed,
                gpointer data)
{
  ProxyFilm *self = g_new0 (ProxyFilm, 1);
  g_ref_count_init (&self->refs);
  self->chunk_size = chunk_size;
  self->length = length;
  self->quota = quota;
  self->recency = peer_recency_new ((length - 1) / chunk_size + 1, chunk_size, quota);
  self->readers = g_ptr_array_new ();
  self->watches = proxy_watches_new ();
  self->changed = changed;
  self->data = data;
  return self;
}

ProxyFilm *
proxy_film_ref (ProxyFilm *self)
{
  g_ref_count_inc (&self->refs);
  return self;
}

void
proxy_film_unref (ProxyFilm *self)
{
  if (!self || !g_ref_count_dec (&self->refs))
    return;
  g_ptr_array_unref (self->readers);
  peer_recency_free (self->recency);
  proxy_watches_free (self->watches);
  g_free (self);
}

uint64_t
proxy_film_length (const ProxyFilm *self)
{
  return self->length;
}

void
proxy_film_attach (ProxyFilm *self, PeerStore *store, const PeerChunks *have)
{
  self->store = store;
  self->have = have;
  if (!store)
    self->changed = NULL; /* whom it would tell is going */
  proxy_film_arrived (self);
}

void
proxy_film_arrived (ProxyFilm *self)
{
  proxy_film_ref (self);
  proxy_watches_call (self->watches);
  proxy_film_unref (self);
}

ProxyWatches *
proxy_film_watches (ProxyFilm *self)
{
  return self->watches;
}

static void
tell_changed (ProxyFilm *self)
{
  if (self->changed)
    self->changed (self->data);
}

ProxyFilmReader *
proxy_film_reader_new (ProxyFilm *film, uint64_t first, uint64_t end)
{
  ProxyFilmReader *self = g_new0 (ProxyFilmReader, 1);
  self->film = proxy_film_ref (film);
  self->end = MIN (end, film->length);
  self->place = MIN (first, self->end);
  g_ptr_array_add (film->readers, self);
  tell_changed (film);
  return self;
}

void
proxy_film_reader_free (ProxyFilmReader *self)
{
  if (!self)
    return;
  g_ptr_array_remove (self->film->readers, self);
  tell_changed (self->film);
  proxy_film_unref (self->film);
  g_free (self);
}

/* The store has not got what it said it had: a damaged disk. It is fetched again. */
static ProxyFilmResult
lose (ProxyFilm *self, uint64_t chunk)
{
  self->lost = (PeerRange){chunk, chunk + 1};
  tell_changed (self);
  return PROXY_FILM_ABSENT;
}

PeerRange
proxy_film_take_lost (ProxyFilm *self)
{
  PeerRange lost = self->lost;
  self->lost = (PeerRange){0, 0};
  return lost;
}

static ProxyFilmResult
wait_for (ProxyFilmReader *self)
{
  if (self->waits_since == 0) {
    self->waits_since = g_get_monotonic_time ();
    tell_changed (self->film);
  }
  return PROXY_FILM_ABSENT;
}

ProxyFilmResult
proxy_film_reader_read (ProxyFilmReader *self, GBytes **out)
{
  ProxyFilm *film = self->film;
  *out = NULL;
  if (self->place >= self->end)
    return PROXY_FILM_END;
  if (!film->store)
    return PROXY_FILM_FAILED;
  uint64_t chunk = self->place / film->chunk_size;
  size_t skip = (size_t)(self->place % film->chunk_size);
  if (!peer_chunks_has (film->have, chunk))
    return wait_for (self);

  size_t room = PIECE + 2 * (size_t)film->chunk_size;
  g_autofree uint8_t *bytes = g_malloc (room);
  size_t used = 0;
  PeerStoreResult result = PEER_STORE_OK;
  while (used + film->chunk_size <= PIECE + skip && self->place - skip + used < self->end &&
         peer_chunks_has (film->have, chunk)) {
    size_t n = 0;
    result = film->store->class->read (film->store, chunk, bytes + used, room - used, &n);
    if (result != PEER_STORE_OK || n == 0)
      break;
    used += n;
    chunk++;
  }
  if (used <= skip) {
    switch (result) {
    case PEER_STORE_PENDING:
      return PROXY_FILM_SOON;
    case PEER_STORE_FAILED:
      return PROXY_FILM_FAILED;
    case PEER_STORE_OK:
    case PEER_STORE_ABSENT:
      return lose (film, chunk);
    }
  }
  peer_recency_touch (film->recency, (PeerRange){self->place / film->chunk_size, chunk},
                      g_get_monotonic_time ());
  size_t n = (size_t)MIN (used - skip, self->end - self->place);
  g_autoptr (GBytes) all = g_bytes_new_take (g_steal_pointer (&bytes), used);
  *out = g_bytes_new_from_bytes (all, skip, n);
  self->place += n;
  self->waits_since = 0;
  tell_changed (film);
  return PROXY_FILM_BYTES;
}

/* Bytes: all windows together are no more than a quarter of the cache. */
static uint64_t
ahead_of_each (const ProxyFilm *self)
{
  return CLAMP (self->quota / 4 / MAX (self->readers->len, 1), LEAST_AHEAD, AHEAD);
}

static PeerRange
window_of (const ProxyFilm *self, const ProxyFilmReader *reader, uint64_t most)
{
  uint64_t end = MIN (reader->end, reader->place + MIN (most, ahead_of_each (self)));
  return (PeerRange){reader->place / self->chunk_size,
                     (end + self->chunk_size - 1) / self->chunk_size};
}

PeerRange
proxy_film_oldest (ProxyFilm *self, int64_t now, int64_t *when)
{
  *when = INT64_MAX;
  if (!self->have)
    return (PeerRange){0, 0};
  for (guint i = 0; i < self->readers->len; i++)
    if (((const ProxyFilmReader *)self->readers->pdata[i])->place <
        ((const ProxyFilmReader *)self->readers->pdata[i])->end)
      peer_recency_touch (self->recency, window_of (self, self->readers->pdata[i], AHEAD), now);
  PeerRange oldest = peer_recency_oldest (self->recency, self->have, when);
  if (*when < now)
    return oldest;
  *when = INT64_MAX;
  return (PeerRange){0, 0};
}

size_t
proxy_film_wants (const ProxyFilm *self, int64_t now, PeerWant out[PROXY_FILM_MAX_WANTS])
{
  size_t n = 0;
  uint32_t chunk_time = (uint32_t)MAX (1, (uint64_t)self->chunk_size * G_USEC_PER_SEC / READ_RATE);
  /* Who came last waits for a picture; the others have something to show. */
  for (guint i = self->readers->len; i-- > 0 && n < PROXY_FILM_MAX_WANTS;) {
    const ProxyFilmReader *reader = self->readers->pdata[i];
    if (reader->place >= reader->end)
      continue;
    out[n++] = (PeerWant){
        .window = window_of (self, reader, AHEAD),
        .deadline = now,
        .chunk_time = chunk_time,
    };
  }
  return n;
}

int64_t
proxy_film_waits_since (const ProxyFilm *self)
{
  int64_t since = 0;
  for (guint i = 0; i < self->readers->len; i++) {
    const ProxyFilmReader *reader = self->readers->pdata[i];
    if (reader->waits_since > 0 && (since == 0 || reader->waits_since < since))
      since = reader->waits_since;
  }
  return since;
}

size_t
proxy_film_urgent (const ProxyFilm *self, PeerRange out[PROXY_FILM_MAX_WANTS])
{
  size_t n = 0;
  if (!self->store)
    return 0;
  for (unsigned turn = 0; turn < 2; turn++)
    for (guint i = self->readers->len; i-- > 0 && n < PROXY_FILM_MAX_WANTS;) {
      const ProxyFilmReader *reader = self->readers->pdata[i];
      if (reader->place < reader->end && (reader->waits_since > 0) == (turn == 0))
        out[n++] = window_of (self, reader, URGENT);
    }
  return n;
}
