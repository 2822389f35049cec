/* SPDX-License-Identifier: Apache-2.0 */
/* Films with a clock, of constant and of changing bitrate, whose chunks come as they are wanted. */
#include "proxy/probe.h"
#include "tests/proxy/ts.h"
#include <string.h>

enum { CHUNK = 1024, SECONDS = 120, PICTURES = 10 };

typedef struct {
  TsMaker maker;
  size_t keys[SECONDS]; /* where each second's key frame begins */
  size_t length;
  PeerStore *store;
  PeerChunks *have;
  ProxyFilm *film;
  uint64_t brought; /* chunks */
  bool done, found;
  ProxyProbeResult result;
} World;

static void
on_changed (gpointer data)
{
}

/* A packet with nothing but a clock (ISO/IEC 13818-1, 2.4.3.5); ms of the film. */
static void
add_clock (TsMaker *maker, int64_t ms)
{
  uint8_t packet[188];
  uint64_t base = (uint64_t)(ms + 5000) * 90;
  memset (packet, 0xff, sizeof packet);
  packet[0] = 0x47;
  packet[1] = TS_VIDEO >> 8;
  packet[2] = TS_VIDEO & 0xff;
  packet[3] = 0x20;
  packet[4] = 183;
  packet[5] = 0x10;
  packet[6] = (uint8_t)(base >> 25);
  packet[7] = (uint8_t)(base >> 17);
  packet[8] = (uint8_t)(base >> 9);
  packet[9] = (uint8_t)(base >> 1);
  packet[10] = (uint8_t)(base << 7 | 0x7e);
  packet[11] = 0;
  g_byte_array_append (maker->bytes, packet, sizeof packet);
}

/* packets: of a picture in that second. */
static void
world_init (World *self, unsigned (*packets) (unsigned second))
{
  memset (self, 0, sizeof *self);
  ts_maker_init (&self->maker);
  for (unsigned s = 0; s < SECONDS; s++) {
    ts_tables (&self->maker);
    for (unsigned p = 0; p < PICTURES; p++) {
      add_clock (&self->maker, s * 1000 + p * 1000 / PICTURES);
      size_t at = ts_picture (&self->maker, p == 0, packets (s));
      if (p == 0)
        self->keys[s] = at;
    }
  }
  self->length = self->maker.bytes->len;
  self->store = peer_store_memory_new (CHUNK, self->length / CHUNK + 1);
  self->have = peer_chunks_new (0);
  self->film = proxy_film_new (CHUNK, self->length, 64 << 20, on_changed, self);
  proxy_film_attach (self->film, self->store, self->have);
}

static void
world_clear (World *self)
{
  proxy_film_attach (self->film, NULL, NULL);
  proxy_film_unref (self->film);
  peer_chunks_free (self->have);
  peer_store_free (self->store);
  ts_maker_clear (&self->maker);
}

static void
bring (World *self)
{
  PeerWant wants[PROXY_FILM_MAX_WANTS];
  size_t n = proxy_film_wants (self->film, 0, wants);
  for (size_t i = 0; i < n; i++)
    for (unsigned k = 0; k < 40; k++) {
      PeerRange gap = peer_chunks_gap (self->have, wants[i].window);
      if (peer_range_is_empty (gap))
        break;
      size_t at = (size_t)gap.first * CHUNK;
      self->store->class->write (self->store, gap.first, self->maker.bytes->data + at,
                                 MIN (CHUNK, self->length - at));
      peer_chunks_add (self->have, (PeerRange){gap.first, gap.first + 1});
      self->brought++;
    }
  if (n > 0)
    proxy_film_arrived (self->film);
}

static void
on_done (const ProxyProbeResult *result, gpointer data)
{
  World *self = data;
  g_assert_false (self->done);
  self->done = true;
  self->found = result != NULL;
  if (result)
    self->result = *result;
}

static void
probe (World *self, int64_t time)
{
  self->done = false;
  ProxyProbe *probing = proxy_probe_new (self->film, time, on_done, self);
  while (!self->done) {
    bring (self);
    g_main_context_iteration (NULL, FALSE);
  }
  proxy_probe_free (probing);
}

static unsigned
constant (unsigned second)
{
  return 30;
}

/* Quiet scenes, and loud ones. */
static unsigned
changing (unsigned second)
{
  return second / 20 % 2 ? 80 : 8;
}

static void
test_duration (void)
{
  World world;
  world_init (&world, constant);
  probe (&world, -1);
  g_assert_true (world.found);
  g_assert_cmpint (world.result.duration, ==, (SECONDS * 1000 - 100) * 1000);
  g_assert_cmpint (world.result.info.video, ==, MEDIA_CODEC_H264);
  g_assert_cmpuint (world.result.info.width, ==, 640);
  /* Only its ends were fetched. */
  g_assert_cmpuint (world.brought, <=, 2 * 256 + 4);
  world_clear (&world);
}

static void
check_places (unsigned (*packets) (unsigned second))
{
  static const int64_t times[] = {0, 1, 999, 1000, 33500, 59999, 60000, 100250, 119850, 500000};
  World world;
  world_init (&world, packets);
  for (size_t i = 0; i < G_N_ELEMENTS (times); i++) {
    int64_t wanted = MIN (times[i], SECONDS * 1000 - 100);
    unsigned second = (unsigned)(wanted / 1000);
    g_test_message ("%d ms", (int)times[i]);
    probe (&world, times[i] * 1000);
    g_assert_true (world.found);
    /* The key frame of that second, or the one before where a clock stands behind it. */
    g_assert_cmpint (world.result.time, <=, wanted * 1000);
    g_assert_cmpint (world.result.time, >=, (wanted - 1100) * 1000);
    g_assert_true ((size_t)world.result.byte == world.keys[second] ||
                   (second > 0 && (size_t)world.result.byte == world.keys[second - 1]));
  }
  world_clear (&world);
}

static void
test_places (void)
{
  check_places (constant);
  check_places (changing);
}

static void
test_no_stream (void)
{
  World world;
  world_init (&world, constant);
  memset (world.maker.bytes->data, 'x', world.length);
  probe (&world, -1);
  g_assert_false (world.found);
  world_clear (&world);
}

/* A film that is taken away ends the probe; one that is freed is told nothing. */
static void
test_ends (void)
{
  World world;
  world_init (&world, constant);
  ProxyProbe *gone = proxy_probe_new (world.film, 1000, on_done, &world);
  proxy_probe_free (gone);
  ProxyProbe *lost = proxy_probe_new (world.film, 1000, on_done, &world);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_false (world.done);
  proxy_film_attach (world.film, NULL, NULL);
  proxy_film_arrived (world.film);
  while (!world.done)
    g_main_context_iteration (NULL, TRUE);
  g_assert_false (world.found);
  proxy_probe_free (lost);
  world_clear (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/probe/duration-from-both-ends", test_duration);
  g_test_add_func ("/proxy/probe/a-time-is-found-at-a-key-frame", test_places);
  g_test_add_func ("/proxy/probe/what-is-no-stream", test_no_stream);
  g_test_add_func ("/proxy/probe/ends-with-its-film", test_ends);
  return g_test_run ();
}
