/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/stream.h"
#include "tests/lib/wait.h"
#include "tests/proxy/channel.h"
#include "tests/proxy/scratch.h"
#include <string.h>

enum { CHUNK = 1128 };

typedef struct {
  TsMaker maker;
  ProxyRing *ring;
  uint64_t next;
} World;

static void
world_init (World *self)
{
  memset (self, 0, sizeof *self);
  ts_maker_init (&self->maker);
  self->ring = proxy_ring_new (CHUNK, 1 << 20, true);
}

static void
world_clear (World *self)
{
  proxy_ring_unref (self->ring);
  ts_maker_clear (&self->maker);
}

/* A second of video, and all that is whole of it delivered. */
static void
second (World *self)
{
  ts_tables (&self->maker);
  ts_picture (&self->maker, true, 61);
  ts_picture (&self->maker, false, 200);
  self->next = channel_deliver (&self->maker, self->ring, self->next);
}

/* A viewer as dlna/media is one: one call open at a time. */
typedef struct {
  ProxyStream *stream;
  GCancellable *cancellable;
  GByteArray *out;
  unsigned calls, ready;
  bool ended, paused, gone;
  GError *error;
} Viewer;

static void ask (Viewer *self);

static void
on_next (GObject *source, GAsyncResult *result, gpointer data)
{
  Viewer *self = data;
  GBytes *bytes = dlna_stream_next_finish (DLNA_STREAM (source), result, &self->error);
  self->calls++;
  if (!bytes) {
    self->ended = true;
    return;
  }
  g_assert_cmpuint (g_bytes_get_size (bytes), >, 0);
  g_byte_array_append (self->out, g_bytes_get_data (bytes, NULL), (guint)g_bytes_get_size (bytes));
  g_bytes_unref (bytes);
  if (!self->paused)
    ask (self);
}

static void
ask (Viewer *self)
{
  dlna_stream_next_async (DLNA_STREAM (self->stream), self->cancellable, on_next, self);
}

static void
on_ready (GObject *source, GAsyncResult *result, gpointer data)
{
  Viewer *self = data;
  if (proxy_stream_ready_finish (PROXY_STREAM (source), result, &self->error)) {
    self->ready++;
    ask (self);
  } else
    self->ended = true;
}

static void
on_released (gpointer data)
{
  ((Viewer *)data)->gone = true;
}

static void
viewer_open_back (Viewer *self, ProxyRing *ring, int64_t timeout, int64_t back)
{
  memset (self, 0, sizeof *self);
  self->out = g_byte_array_new ();
  self->cancellable = g_cancellable_new ();
  self->stream = proxy_stream_new_live (ring, back, on_released, self);
  proxy_stream_ready_async (self->stream, timeout, self->cancellable, on_ready, self);
}

static void
viewer_open (Viewer *self, ProxyRing *ring, int64_t timeout)
{
  viewer_open_back (self, ring, timeout, 0);
}

static void
run (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
viewer_close (Viewer *self)
{
  g_cancellable_cancel (self->cancellable);
  run ();
  g_clear_object (&self->stream);
  run ();
  g_assert_true (self->gone);
  g_byte_array_unref (self->out);
  g_object_unref (self->cancellable);
  g_clear_error (&self->error);
}

/* Behind head bytes (a joint, tables) comes the stream from begin on. */
static void
check_tail (const Viewer *viewer, const World *world, size_t head, size_t begin)
{
  size_t end = (size_t)world->next * CHUNK;
  g_assert_cmpmem (viewer->out->data + head, viewer->out->len - head,
                   world->maker.bytes->data + begin, end - begin);
  g_assert_cmpuint (ts_discontinuity (viewer->out->data, head + 188), ==, head + 188);
}

static void
test_cold_and_warm (void)
{
  World world;
  Viewer cold, warm;
  world_init (&world);
  viewer_open (&cold, world.ring, 0);
  run ();
  g_assert_cmpuint (cold.ready, ==, 0);
  second (&world);
  second (&world);
  run ();
  g_assert_cmpuint (cold.ready, ==, 1);
  size_t newest = (size_t)world.maker.bytes->len + 2 * 188;
  second (&world);
  viewer_open (&warm, world.ring, 0);
  run ();
  second (&world);
  run ();
  check_tail (&cold, &world, 2 * 188, 2 * 188);
  check_tail (&warm, &world, 2 * 188, newest);
  viewer_close (&cold);
  viewer_close (&warm);
  world_clear (&world);
}

/* The most repeated complaint about such gateways: one viewer's end is the others' end. */
static void
test_nobody_stops_another (void)
{
  World world;
  Viewer viewers[20];
  world_init (&world);
  second (&world);
  for (size_t i = 0; i < G_N_ELEMENTS (viewers); i++)
    viewer_open (&viewers[i], world.ring, 0);
  run ();
  for (int round = 0; round < 15; round++) {
    second (&world);
    run ();
    if (round == 1)
      viewers[5].paused = viewers[6].paused = true; /* they stop reading */
    if (round % 2 == 0)
      viewer_close (&viewers[10 + round / 2]); /* they go, in the middle of a call */
  }
  ProxyRingStats stats;
  proxy_ring_stats (world.ring, &stats);
  g_assert_cmpuint (stats.bytes, <=, 1 << 20);
  for (size_t i = 0; i < 10; i++) {
    if (i != 5 && i != 6)
      check_tail (&viewers[i], &world, 2 * 188, 2 * 188);
    else
      g_assert_cmpuint (viewers[i].out->len, <, world.next * CHUNK / 2);
    viewer_close (&viewers[i]);
  }
  for (size_t i = 18; i < G_N_ELEMENTS (viewers); i++)
    viewer_close (&viewers[i]);
  world_clear (&world);
}

/* Who was away so long that the ring has gone on: a key frame, its tables first, then all. */
static void
test_falls_out (void)
{
  World world;
  Viewer viewer;
  world_init (&world);
  second (&world);
  viewer_open (&viewer, world.ring, 0);
  viewer.paused = true;
  run ();
  for (int i = 0; i < 60; i++)
    second (&world);
  g_byte_array_set_size (viewer.out, 0);
  viewer.paused = false;
  ask (&viewer);
  run ();
  g_assert_cmpuint (proxy_stream_jumps (viewer.stream), ==, 1);
  size_t head = 5 * 188, n = viewer.out->len - head;
  g_assert_cmpuint (n, >, 800 * 1024);
  check_tail (&viewer, &world, head, (size_t)world.next * CHUNK - n);
  viewer_close (&viewer);
  world_clear (&world);
}

static void
test_timeout_and_end (void)
{
  World world;
  Viewer late, ended;
  world_init (&world);
  viewer_open (&late, world.ring, 1000);
  while (!late.ended)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (late.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  viewer_close (&late);
  second (&world);
  viewer_open (&ended, world.ring, 0);
  run ();
  proxy_ring_end (world.ring);
  run ();
  g_assert_true (ended.ended);
  g_assert_no_error (ended.error);
  viewer_close (&ended);
  viewer_open (&ended, world.ring, 0); /* what is there can still be seen */
  run ();
  check_tail (&ended, &world, 2 * 188, 2 * 188);
  viewer_close (&ended);
  world_clear (&world);
}

static void
test_pieces_are_large (void)
{
  World world;
  Viewer viewer;
  world_init (&world);
  for (int i = 0; i < 15; i++)
    second (&world);
  viewer_open (&viewer, world.ring, 0);
  run ();
  unsigned before = viewer.calls;
  size_t bytes = viewer.out->len;
  viewer.paused = true;
  second (&world); /* 49 KiB: a tick's worth is one piece, two where a slab ends */
  run ();
  viewer.paused = false;
  ask (&viewer);
  run ();
  g_assert_cmpuint (viewer.calls - before, <=, 3);
  g_assert_cmpuint (viewer.out->len - bytes, >, 48 * 1024);
  viewer_close (&viewer);
  world_clear (&world);
}

static bool
is_written (gpointer ring)
{
  ProxyRingStats stats;
  proxy_ring_stats (ring, &stats);
  return stats.unwritten < 1 << 20; /* less is no batch */
}

static bool
has_ended (gpointer viewer)
{
  return ((const Viewer *)viewer)->ended;
}

/* Who is behind is given what is on the disk still, also when no more will come. */
static void
test_end_in_the_past (void)
{
  World world;
  Viewer viewer;
  g_autofree char *folder = scratch_new ();
  world_init (&world);
  world.maker.step = 3600;
  proxy_ring_shift (world.ring, folder, 64 << 20);
  for (unsigned i = 0; i < 120; i++)
    second (&world);
  g_assert_true (wait_until (is_written, world.ring));
  proxy_ring_end (world.ring);
  viewer_open_back (&viewer, world.ring, 0, INT64_MAX / 2);
  g_assert_true (wait_until (has_ended, &viewer));
  g_assert_no_error (viewer.error);
  check_tail (&viewer, &world, 2 * 188, 2 * 188);
  viewer_close (&viewer);
  world_clear (&world);
  scratch_free (g_steal_pointer (&folder));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/stream/cold-begins-first-warm-begins-newest", test_cold_and_warm);
  g_test_add_func ("/proxy/stream/nobody-stops-another", test_nobody_stops_another);
  g_test_add_func ("/proxy/stream/who-falls-out-jumps-to-a-key-frame", test_falls_out);
  g_test_add_func ("/proxy/stream/times-out-and-ends", test_timeout_and_end);
  g_test_add_func ("/proxy/stream/ends-behind-what-is-on-the-disk", test_end_in_the_past);
  g_test_add_func ("/proxy/stream/hands-on-large-pieces", test_pieces_are_large);
  return g_test_run ();
}
