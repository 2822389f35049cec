/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/film.h"
#include "proxy/stream.h"
#include <string.h>

enum { CHUNK = 1024, LENGTH = 5 * 1024 * 1024 + 77 };

typedef struct {
  uint8_t *bytes;
  PeerStore *store;
  PeerChunks *have;
  ProxyFilm *film;
  uint64_t quota;
  unsigned changes;
} World;

static void
on_changed (gpointer data)
{
  ((World *)data)->changes++;
}

static void
world_init (World *self)
{
  memset (self, 0, sizeof *self);
  self->quota = 16 << 20;
  self->bytes = g_malloc (LENGTH);
  for (size_t i = 0; i < LENGTH; i++)
    self->bytes[i] = (uint8_t)(i * 7 + i / 1000);
  self->store = peer_store_memory_new (CHUNK, LENGTH / CHUNK + 1);
  self->have = peer_chunks_new (0);
  self->film = proxy_film_new (CHUNK, LENGTH, self->quota, on_changed, self);
  proxy_film_attach (self->film, self->store, self->have);
}

static void
world_clear (World *self)
{
  proxy_film_attach (self->film, NULL, NULL);
  proxy_film_unref (self->film);
  peer_chunks_free (self->have);
  peer_store_free (self->store);
  g_free (self->bytes);
}

/* The swarm brings what is wanted, some chunks at a time. */
static bool
bring (World *self, unsigned n)
{
  PeerWant wants[PROXY_FILM_MAX_WANTS];
  size_t n_wants = proxy_film_wants (self->film, 0, wants);
  bool any = false;
  for (size_t i = 0; i < n_wants; i++)
    for (unsigned k = 0; k < n; k++) {
      PeerRange gap = peer_chunks_gap (self->have, wants[i].window);
      if (peer_range_is_empty (gap))
        break;
      size_t at = (size_t)gap.first * CHUNK;
      self->store->class->write (self->store, gap.first, self->bytes + at,
                                 MIN (CHUNK, LENGTH - at));
      peer_chunks_add (self->have, (PeerRange){gap.first, gap.first + 1});
      any = true;
    }
  if (any)
    proxy_film_arrived (self->film);
  return any;
}

static void
test_ranges (void)
{
  static const uint64_t ranges[][2] = {
      {LENGTH - 1, LENGTH},         {0, 1},     {1023, 1025},       {3000000, 3200001}, {0, LENGTH},
      {LENGTH - 500, LENGTH + 500}, {777, 777}, {4000000, 5000000},
  };
  World world;
  world_init (&world);
  for (size_t i = 0; i < G_N_ELEMENTS (ranges); i++) {
    uint64_t first = ranges[i][0], end = MIN (ranges[i][1], LENGTH);
    g_autoptr (ProxyFilmReader) reader = proxy_film_reader_new (world.film, first, ranges[i][1]);
    g_autoptr (GByteArray) out = g_byte_array_new ();
    ProxyFilmResult result;
    GBytes *bytes;
    while ((result = proxy_film_reader_read (reader, &bytes)) != PROXY_FILM_END) {
      if (result == PROXY_FILM_ABSENT) {
        g_assert_true (bring (&world, 50));
        continue;
      }
      g_assert_cmpint (result, ==, PROXY_FILM_BYTES);
      g_assert_cmpuint (g_bytes_get_size (bytes), <=, 65536);
      g_byte_array_append (out, g_bytes_get_data (bytes, NULL), (guint)g_bytes_get_size (bytes));
      g_bytes_unref (bytes);
    }
    g_assert_cmpmem (out->data, out->len, world.bytes + first, (size_t)(end - first));
  }
  world_clear (&world);
}

static void
test_wants_follow (void)
{
  World world;
  world_init (&world);
  PeerWant wants[PROXY_FILM_MAX_WANTS];
  g_assert_cmpuint (proxy_film_wants (world.film, 5, wants), ==, 0);
  ProxyFilmReader *reader = proxy_film_reader_new (world.film, 100 * CHUNK + 5, LENGTH);
  g_assert_cmpuint (world.changes, ==, 1);
  g_assert_cmpuint (proxy_film_wants (world.film, 5, wants), ==, 1);
  g_assert_cmpuint (wants[0].window.first, ==, 100);
  g_assert_cmpuint (wants[0].window.end, ==, 100 + 2048 + 1);
  g_assert_cmpint (wants[0].deadline, ==, 5);
  while (peer_range_is_empty (peer_chunks_next (world.have, (PeerRange){200, 201})))
    bring (&world, 10);
  GBytes *bytes;
  g_assert_cmpint (proxy_film_reader_read (reader, &bytes), ==, PROXY_FILM_BYTES);
  g_assert_cmpuint (proxy_film_wants (world.film, 5, wants), ==, 1);
  g_assert_cmpuint (wants[0].window.first, ==, 100 + (5 + g_bytes_get_size (bytes)) / CHUNK);
  g_bytes_unref (bytes);
  /* the newest comes first; who goes stops asking */
  ProxyFilmReader *other = proxy_film_reader_new (world.film, LENGTH - 10, LENGTH);
  g_assert_cmpuint (proxy_film_wants (world.film, 5, wants), ==, 2);
  g_assert_cmpuint (wants[0].window.first, ==, LENGTH / CHUNK);
  g_assert_cmpuint (wants[0].window.end, ==, LENGTH / CHUNK + 1);
  proxy_film_reader_free (other);
  proxy_film_reader_free (reader);
  g_assert_cmpuint (proxy_film_wants (world.film, 5, wants), ==, 0);
  world_clear (&world);
}

/* Who waits is told of, and comes first, until it gets something. */
static void
test_waits (void)
{
  World world;
  PeerRange urgent[PROXY_FILM_MAX_WANTS];
  GBytes *bytes;
  world_init (&world);
  g_autoptr (ProxyFilmReader) first = proxy_film_reader_new (world.film, 0, LENGTH);
  ProxyFilmReader *second = proxy_film_reader_new (world.film, 3000 * CHUNK, LENGTH);
  g_assert_cmpint (proxy_film_waits_since (world.film), ==, 0);
  unsigned changes = world.changes;
  int64_t before = g_get_monotonic_time ();
  g_assert_cmpint (proxy_film_reader_read (first, &bytes), ==, PROXY_FILM_ABSENT);
  g_assert_cmpuint (world.changes, ==, changes + 1);
  int64_t since = proxy_film_waits_since (world.film);
  g_assert_cmpint (since, >=, before);
  g_assert_cmpint (proxy_film_reader_read (first, &bytes), ==, PROXY_FILM_ABSENT);
  g_assert_cmpint (proxy_film_waits_since (world.film), ==, since);
  g_assert_cmpuint (proxy_film_urgent (world.film, urgent), ==, 2);
  g_assert_true (urgent[0].first == 0 && urgent[0].end == 512);
  g_assert_true (urgent[1].first == 3000 && urgent[1].end == 3512);
  bring (&world, 10);
  g_assert_cmpint (proxy_film_reader_read (first, &bytes), ==, PROXY_FILM_BYTES);
  g_bytes_unref (bytes);
  g_assert_cmpint (proxy_film_waits_since (world.film), ==, 0);
  g_assert_cmpuint (proxy_film_urgent (world.film, urgent), ==, 2);
  g_assert_true (urgent[0].first == 3000 && urgent[1].first == 10); /* the newest */
  proxy_film_reader_free (second);
  g_assert_cmpuint (proxy_film_urgent (world.film, urgent), ==, 1);
  proxy_film_attach (world.film, NULL, NULL);
  g_assert_cmpuint (proxy_film_urgent (world.film, urgent), ==, 0);
  world_clear (&world);
}

static void
give_back (World *self, PeerRange run)
{
  peer_chunks_remove (self->have, run);
  self->store->class->discard (self->store, run);
}

/* A film is read through a cache that holds a fifth of it: what goes was read longest ago, and
 * nothing goes that a reader needs next, one that pauses too. */
static void
test_small_cache (void)
{
  World world;
  int64_t when;
  world_init (&world);
  proxy_film_attach (world.film, NULL, NULL);
  g_assert_true (peer_range_is_empty (proxy_film_oldest (world.film, 1, &when)));
  proxy_film_unref (world.film);
  world.quota = 1024 * 1024;
  world.film = proxy_film_new (CHUNK, LENGTH, world.quota, on_changed, &world);
  proxy_film_attach (world.film, world.store, world.have);
  g_autoptr (ProxyFilmReader) paused = proxy_film_reader_new (world.film, 3000000, LENGTH);
  g_assert_nonnull (paused);
  g_autoptr (ProxyFilmReader) reader = proxy_film_reader_new (world.film, 0, LENGTH);
  PeerWant wants[PROXY_FILM_MAX_WANTS];
  g_assert_cmpuint (proxy_film_wants (world.film, 5, wants), ==, 2);
  PeerRange kept = wants[1].window;
  g_assert_cmpuint (peer_range_size (kept), <=, 129);
  GBytes *bytes;
  for (uint64_t place = 0; place < LENGTH;) {
    ProxyFilmResult result = proxy_film_reader_read (reader, &bytes);
    if (result == PROXY_FILM_ABSENT) {
      g_assert_true (bring (&world, 64));
    } else {
      g_assert_cmpint (result, ==, PROXY_FILM_BYTES);
      gsize n;
      const void *data = g_bytes_get_data (bytes, &n);
      g_assert_cmpmem (data, n, world.bytes + place, n);
      place += n;
      g_bytes_unref (bytes);
    }
    while (peer_chunks_count (world.have) * CHUNK > world.quota) {
      PeerRange run = proxy_film_oldest (world.film, g_get_monotonic_time (), &when);
      g_assert_false (peer_range_is_empty (run));
      give_back (&world, run);
    }
    if (place > LENGTH / 2)
      g_assert_true (peer_chunks_has_all (world.have, kept));
  }
  /* it is all behind the reader, and goes; the other's window never does */
  PeerRange run;
  while (!peer_range_is_empty (run = proxy_film_oldest (world.film, INT64_MAX - 1, &when)))
    give_back (&world, run);
  g_assert_true (peer_chunks_has_all (world.have, kept));
  g_assert_cmpuint (peer_chunks_count (world.have), <=, peer_range_size (kept) + 128);
  world_clear (&world);
}

/* What a damaged disk has lost is told, so that it is fetched again. */
static void
test_lost (void)
{
  World world;
  GBytes *bytes;
  world_init (&world);
  g_autoptr (ProxyFilmReader) reader = proxy_film_reader_new (world.film, 10 * CHUNK, LENGTH);
  bring (&world, 1);
  world.store->class->discard (world.store, (PeerRange){10, 11});
  g_assert_true (peer_range_is_empty (proxy_film_take_lost (world.film)));
  g_assert_cmpint (proxy_film_reader_read (reader, &bytes), ==, PROXY_FILM_ABSENT);
  PeerRange lost = proxy_film_take_lost (world.film);
  g_assert_cmpuint (lost.first, ==, 10);
  g_assert_cmpuint (lost.end, ==, 11);
  g_assert_true (peer_range_is_empty (proxy_film_take_lost (world.film)));
  peer_chunks_remove (world.have, lost);
  bring (&world, 1);
  g_assert_cmpint (proxy_film_reader_read (reader, &bytes), ==, PROXY_FILM_BYTES);
  g_bytes_unref (bytes);
  world_clear (&world);
}

typedef struct {
  GByteArray *out;
  bool ended;
  GError *error;
} Got;

static void
on_next (GObject *source, GAsyncResult *result, gpointer data)
{
  Got *got = data;
  GBytes *bytes = dlna_stream_next_finish (DLNA_STREAM (source), result, &got->error);
  if (!bytes) {
    got->ended = true;
    return;
  }
  g_byte_array_append (got->out, g_bytes_get_data (bytes, NULL), (guint)g_bytes_get_size (bytes));
  g_bytes_unref (bytes);
  dlna_stream_next_async (DLNA_STREAM (source), NULL, on_next, got);
}

static void
on_ready (GObject *source, GAsyncResult *result, gpointer data)
{
  g_assert_true (proxy_stream_ready_finish (PROXY_STREAM (source), result, NULL));
  dlna_stream_next_async (DLNA_STREAM (source), NULL, on_next, data);
}

static void
nothing (gpointer data)
{
}

static void
test_stream (void)
{
  World world;
  Got got = {.out = g_byte_array_new ()};
  world_init (&world);
  ProxyStream *stream = proxy_stream_new_film (world.film, 1000, LENGTH, nothing, NULL);
  g_assert_cmpint (dlna_stream_size (DLNA_STREAM (stream)), ==, LENGTH);
  proxy_stream_ready_async (stream, 0, NULL, on_ready, &got);
  while (!got.ended) {
    bring (&world, 100);
    while (g_main_context_iteration (NULL, FALSE))
      ;
  }
  g_assert_no_error (got.error);
  g_assert_cmpmem (got.out->data, got.out->len, world.bytes + 1000, LENGTH - 1000);
  g_object_unref (stream);
  g_byte_array_unref (got.out);
  world_clear (&world);
}

/* The swarm goes while somebody reads: an error, not a hang. */
static void
test_gone (void)
{
  World world;
  Got got = {.out = g_byte_array_new ()};
  world_init (&world);
  ProxyStream *stream = proxy_stream_new_film (world.film, 0, LENGTH, nothing, NULL);
  dlna_stream_next_async (DLNA_STREAM (stream), NULL, on_next, &got);
  bring (&world, 100);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (got.out->len, ==, 100 * CHUNK);
  g_assert_false (got.ended);
  proxy_film_attach (world.film, NULL, NULL);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_true (got.ended);
  g_assert_error (got.error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_clear_error (&got.error);
  g_object_unref (stream);
  g_byte_array_unref (got.out);
  world_clear (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/film/who-waits-comes-first", test_waits);
  g_test_add_func ("/proxy/film/any-range-is-the-same-bytes", test_ranges);
  g_test_add_func ("/proxy/film/wants-follow-the-readers", test_wants_follow);
  g_test_add_func ("/proxy/film/small-cache-is-enough", test_small_cache);
  g_test_add_func ("/proxy/film/what-the-disk-lost-is-fetched-again", test_lost);
  g_test_add_func ("/proxy/film/stream-reads-to-the-end", test_stream);
  g_test_add_func ("/proxy/film/a-swarm-that-goes-is-an-error", test_gone);
  return g_test_run ();
}
