/* SPDX-License-Identifier: Apache-2.0 */
/* The way of the data, from an origin's engine to a viewer's bytes, over loopback, in one process. */
#include "peer/playout.h"
#include "proxy/library.h"
#include "proxy/ring-read.h"
#include "proxy/warm.h"
#include "tests/lib/wait.h"
#include "tests/proxy/channel.h"
#include "tests/proxy/scratch.h"
#include <string.h>

enum { CHUNK = 1128, FILM = 3 * 1024 * 1024 + 333 };

typedef struct {
  char *folder;
  NetUdp *origin, *gateway;
  ProxyCatalog *catalog;
  NetCache *cache;
  ProxySessionOptions options;
  ProxySessions *sessions;
  ProxyLibrary *library;

  TsMaker maker;
  PeerKey *key;
  PeerSwarm *live;
  PeerContent live_content;
  size_t appended; /* bytes */

  uint8_t *film;
  PeerContent film_content;
} World;

static uint64_t late; /* chunks, that trackers were told of (linked with --wrap) */

void __wrap_net_tracker_late (NetTracker *self, uint64_t chunks);

void
__wrap_net_tracker_late (NetTracker *self, uint64_t chunks)
{
  late += chunks;
}

static uint64_t given_up; /* chunks, that playout tells of next (linked with --wrap) */

PeerRange __real_peer_playout_next (PeerPlayout *self, int64_t now, const PeerChunks *have,
                                    uint64_t *skipped);
PeerRange __wrap_peer_playout_next (PeerPlayout *self, int64_t now, const PeerChunks *have,
                                    uint64_t *skipped);

PeerRange
__wrap_peer_playout_next (PeerPlayout *self, int64_t now, const PeerChunks *have, uint64_t *skipped)
{
  PeerRange run = __real_peer_playout_next (self, now, have, skipped);
  *skipped += given_up;
  given_up = 0;
  return run;
}

static void
no_event (const PeerEvent *event, gpointer data)
{
}

static void
on_event (const PeerEvent *event, gpointer data)
{
  World *world = data;
  if (world->sessions)
    proxy_sessions_event (world->sessions, event);
}

static void
world_init (World *self)
{
  g_autoptr (GError) error = NULL;
  memset (self, 0, sizeof *self);
  self->folder = scratch_new ();
  PeerEngineOptions engine;
  peer_engine_options_init (&engine);
  self->origin = net_udp_new ("127.0.0.1:0", &engine, no_event, NULL, &error);
  g_assert_no_error (error);
  self->gateway = net_udp_new ("127.0.0.1:0", &engine, on_event, self, &error);
  g_assert_no_error (error);
  self->catalog = proxy_catalog_open (NULL);
  self->cache = net_cache_new (self->folder, 100 << 20, "--cache");
  self->options =
      (ProxySessionOptions){.udp = self->gateway, .cache = self->cache, .memory = 2 << 20};
  self->sessions = proxy_sessions_new (&self->options, 0);
  self->library = proxy_library_new (self->catalog, self->sessions);
  ts_maker_init (&self->maker);
}

static void
turn (void)
{
  g_main_context_iteration (NULL, TRUE);
}

static gboolean
on_pause (gpointer data)
{
  *(bool *)data = true;
  return G_SOURCE_REMOVE;
}

static void
settle (unsigned ms)
{
  bool done = false;
  g_timeout_add (ms, on_pause, &done);
  while (!done)
    turn ();
}

static void
world_clear (World *self)
{
  channel_wait_for_end (self->sessions);
  g_object_unref (self->library);
  proxy_sessions_unref (self->sessions);
  net_cache_free (self->cache);
  proxy_catalog_close (self->catalog);
  net_udp_free (self->gateway);
  net_udp_free (self->origin);
  peer_key_free (self->key);
  ts_maker_clear (&self->maker);
  g_free (self->film);
  scratch_free (self->folder);
}

static void
add_channel (World *self, const PeerContent *content, const char *id, const char *mime, bool dead)
{
  g_autoptr (PeerLink) link = peer_link_new ();
  link->content = *content;
  PeerAddress address;
  g_assert_true (
      peer_address_parse_ip ("127.0.0.1", dead ? 9 : net_udp_port (self->origin), &address));
  g_array_append_val (link->peers, address);
  g_free (link->media_type);
  link->media_type = g_strdup (mime);
  g_autofree char *text = peer_link_to_string (link);
  g_autofree char *swarm = peer_content_swarm_id_hex (content);
  ProxyDraft draft = {.swarm_id = swarm,
                      .link = text,
                      .name = id,
                      .source = "",
                      .mime = mime,
                      .live = peer_content_is_live (content),
                      .length = content->length > 0 ? (int64_t)content->length : -1};
  g_assert_cmpint (proxy_catalog_put (self->catalog, &draft, NULL), ==, PROXY_CATALOG_ADDED);
}

/* --- the origin --- */

static void
start_live (World *self)
{
  g_autoptr (GError) error = NULL;
  self->key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
  g_assert_no_error (error);
  peer_content_init_live (&self->live_content);
  peer_key_swarm_id (self->key, &self->live_content);
  PeerJoin join = {.content = &self->live_content,
                   .store = peer_store_memory_new (CHUNK, 8192),
                   .discard_window = 8192,
                   .source = true};
  self->live = peer_engine_join (net_udp_engine (self->origin), &join, &error);
  g_assert_no_error (error);
  peer_engine_start (net_udp_engine (self->origin), self->live, 0);
}

/* All whole subtrees of what was made are signed, at the time that it is, or so many us one after the
 * other. */
static void
send_on (World *self, int64_t pace)
{
  PeerEngine *engine = net_udp_engine (self->origin);
  int64_t now = net_udp_now (self->origin);
  size_t subtree = (size_t)CHUNK * self->live_content.chunks_per_signature;
  for (; self->appended + subtree <= self->maker.bytes->len; now += pace) {
    for (uint32_t i = 0; i < self->live_content.chunks_per_signature; i++) {
      peer_engine_append (engine, self->live, self->maker.bytes->data + self->appended, CHUNK);
      self->appended += CHUNK;
    }
    g_assert_true (peer_engine_sign (engine, self->live, self->key,
                                     pace > 0 ? now : net_udp_now (self->origin)));
  }
  net_udp_wake (self->origin);
}

/* A second of video. */
static void
second (World *self)
{
  ts_tables (&self->maker);
  ts_picture (&self->maker, true, 61);
  ts_picture (&self->maker, false, 700);
  send_on (self, 0);
}

static void
start_film (World *self, bool length_in_link)
{
  g_autoptr (GError) error = NULL;
  PeerContent *content = &self->film_content;
  peer_content_init_static (content);
  self->film = g_malloc (FILM);
  for (size_t i = 0; i < FILM; i++)
    self->film[i] = (uint8_t)(i * 13 + i / 4096);
  content->swarm_id_size = (uint16_t)peer_content_hash_size (content);
  memset (content->swarm_id, 1, content->swarm_id_size); /* until it is known */
  PeerIntegrity *integrity = peer_integrity_new (content, 0, NULL, &error);
  g_assert_no_error (error);
  PeerStore *store = peer_store_memory_new (content->chunk_size, FILM / content->chunk_size + 1);
  for (size_t at = 0; at < FILM; at += content->chunk_size) {
    size_t n = MIN (content->chunk_size, FILM - at);
    peer_integrity_append (integrity, self->film + at, n);
    store->class->write (store, at / content->chunk_size, self->film + at, n);
  }
  peer_integrity_finish (integrity, content->swarm_id);
  PeerContent whole = *content;
  whole.length = FILM;
  if (length_in_link)
    content->length = FILM;
  PeerJoin join = {.content = &whole, .store = store, .integrity = integrity};
  peer_engine_join (net_udp_engine (self->origin), &join, &error);
  g_assert_no_error (error);
}

/* --- viewers --- */

typedef struct {
  World *world;
  GCancellable *cancellable;
  DlnaStream *stream;
  GByteArray *out;
  GError *error;
  bool ended, busy;
} Viewer;

static void
on_next (GObject *source, GAsyncResult *result, gpointer data)
{
  Viewer *self = data;
  g_autoptr (GBytes) bytes = dlna_stream_next_finish (DLNA_STREAM (source), result, &self->error);
  self->busy = bytes != NULL;
  self->ended = bytes == NULL;
  if (!bytes)
    return;
  g_byte_array_append (self->out, g_bytes_get_data (bytes, NULL), (guint)g_bytes_get_size (bytes));
  dlna_stream_next_async (self->stream, self->cancellable, on_next, self);
}

static void
on_open (GObject *source, GAsyncResult *result, gpointer data)
{
  Viewer *self = data;
  self->stream = dlna_library_open_finish (DLNA_LIBRARY (source), result, &self->error);
  self->busy = self->stream != NULL;
  self->ended = self->stream == NULL;
  if (self->stream)
    dlna_stream_next_async (self->stream, self->cancellable, on_next, self);
}

static void
viewer_open (Viewer *self, World *world, const char *id, const DlnaPosition *position)
{
  memset (self, 0, sizeof *self);
  self->world = world;
  self->out = g_byte_array_new ();
  self->cancellable = g_cancellable_new ();
  self->busy = true;
  dlna_library_open_async (DLNA_LIBRARY (world->library), id, position, self->cancellable, on_open,
                           self);
}

static void
viewer_close (Viewer *self)
{
  g_cancellable_cancel (self->cancellable);
  while (self->busy)
    turn ();
  g_clear_object (&self->stream);
  g_object_unref (self->cancellable);
  g_byte_array_unref (self->out);
  g_clear_error (&self->error);
}

static const DlnaPosition live_position = {.type = DLNA_POSITION_LIVE, .end = -1};

/* Behind the tables all is a contiguous part of what the origin was given, up to its end. */
static void
check_live (const Viewer *viewer)
{
  const World *world = viewer->world;
  size_t tables = 2 * 188, n = viewer->out->len - tables;
  g_assert_cmpuint (n, >, 0);
  g_assert_cmpmem (viewer->out->data + tables, n, world->maker.bytes->data + world->appended - n,
                   n);
  g_assert_cmpuint (ts_discontinuity (viewer->out->data, tables + n / 188 * 188), ==,
                    tables + n / 188 * 188);
}

static bool
caught_up (const Viewer *viewer)
{
  size_t tables = 2 * 188, n = viewer->out->len;
  const World *world = viewer->world;
  return n > tables + 188 && memcmp (viewer->out->data + n - 188,
                                     world->maker.bytes->data + world->appended - 188, 188) == 0;
}

/* Who is late by the clock of the stream jumps, and rightly: it shows that to the player. */
static bool
has_jumped (const Viewer *viewer)
{
  return ts_marks (viewer->out->data, viewer->out->len) > 0;
}

/* false = this machine was too slow for a picture without a jump, which proves nothing. */
static bool
play_live (void)
{
  World world;
  Viewer first, second_one;
  world_init (&world);
  start_live (&world);
  second (&world);
  add_channel (&world, &world.live_content, "one", "video/mp2t", false);
  g_assert_cmpint (proxy_sessions_state (world.sessions, "one", NULL, NULL), ==, PROXY_STATE_IDLE);
  viewer_open (&first, &world, "one", &live_position);
  g_assert_cmpint (proxy_sessions_state (world.sessions, "one", NULL, NULL), ==,
                   PROXY_STATE_JOINING);
  while (first.out->len == 0) {
    settle (30);
    second (&world);
  }
  viewer_open (&second_one, &world, "one", &live_position);
  /* No second before the last one is here: who is behind, on a slow machine, rightly skips. */
  for (int i = 0; i < 5; i++) {
    while (!caught_up (&first) || (i > 0 && !caught_up (&second_one)))
      turn ();
    second (&world);
  }
  while (!caught_up (&first) || !caught_up (&second_one))
    turn ();
  if (has_jumped (&first) || has_jumped (&second_one)) {
    viewer_close (&first);
    viewer_close (&second_one);
    world_clear (&world);
    return false;
  }
  check_live (&first);
  check_live (&second_one);
  g_assert_cmpint (proxy_sessions_state (world.sessions, "one", NULL, NULL), ==,
                   PROXY_STATE_PLAYING);
  /* two viewers, one swarm: nothing came twice */
  const PeerCounters *counters = peer_engine_counters (net_udp_engine (world.gateway));
  g_assert_cmpuint (counters->chunk_bytes_received, <=, world.appended);
  /* one goes, the other goes on */
  viewer_close (&first);
  second (&world);
  while (!caught_up (&second_one))
    turn ();
  bool smooth = !has_jumped (&second_one);
  if (smooth)
    check_live (&second_one);
  viewer_close (&second_one);
  world_clear (&world);
  return smooth;
}

static void
test_live (void)
{
  for (int i = 0; i < 10; i++)
    if (play_live ())
      return;
  g_assert_not_reached ();
}

/* What is not on disk yet is in memory, as is what was read from there, and told so. */
static void
test_shift_memory (void)
{
  World world;
  g_autoptr (GError) error = NULL;
  world_init (&world);
  world.options.timeshift = 64 << 20;
  world.options.timeshift_folder = world.folder;
  start_live (&world);
  add_channel (&world, &world.live_content, "one", "video/mp2t", false);
  ProxySession *session =
      proxy_sessions_use (world.sessions, proxy_catalog_lookup (world.catalog, "one"), &error);
  g_assert_no_error (error);
  ProxyRing *ring = proxy_session_ring (session);
  PeerStore *store = proxy_ring_store (ring);
  uint32_t size = proxy_ring_chunk_size (ring);
  g_autofree uint8_t *bytes = g_malloc0 (size);
  ProxyRingStats of_ring;
  uint64_t chunk = 0;
  do {
    g_assert_cmpuint (chunk, <, (64 << 20) / size);
    g_assert_cmpint (store->class->write (store, chunk, bytes, size), ==, PEER_STORE_OK);
    proxy_ring_deliver (ring, (PeerRange){chunk, chunk + 1});
    chunk++;
    proxy_ring_stats (ring, &of_ring);
  } while (of_ring.unwritten == 0);
  ProxySessionStats stats;
  proxy_session_stats (session, &stats);
  g_assert_cmpuint (stats.memory, ==, of_ring.bytes + of_ring.unwritten);
  g_assert_cmpuint (stats.timeshift, ==, of_ring.shift_bytes - of_ring.unwritten);
  uint64_t begin = proxy_ring_oldest (ring);
  for (uint64_t more = chunk + (4 << 20) / size; chunk < more; chunk++) {
    g_assert_cmpint (store->class->write (store, chunk, bytes, size), ==, PEER_STORE_OK);
    proxy_ring_deliver (ring, (PeerRange){chunk, chunk + 1});
  }
  int64_t end = 0;
  do {
    bool jumped;
    ProxyPlace place = {.chunk = begin};
    g_bytes_unref (proxy_ring_read (ring, &place, SIZE_MAX, &jumped));
    proxy_ring_stats (ring, &of_ring);
  } while (of_ring.loaded == 0 && wait_turn (&end));
  g_assert_cmpuint (of_ring.loaded, >, 0);
  g_assert_cmpuint (of_ring.loaded, <=, 2 << 20);
  proxy_session_stats (session, &stats);
  g_assert_cmpuint (stats.memory, ==, of_ring.bytes + of_ring.unwritten + of_ring.loaded);
  g_assert_cmpuint (stats.timeshift, ==, of_ring.shift_bytes - of_ring.unwritten);
  peer_store_free (store);
  proxy_sessions_release (world.sessions, session);
  world_clear (&world);
}

/* A stream of 115 Mbit/s, by the times of its signatures: its ring is not that of a slow one. */
static void
test_fast (void)
{
  World world;
  Viewer viewer;
  world_init (&world);
  world.options.memory = 128 << 20;
  start_live (&world);
  add_channel (&world, &world.live_content, "one", "video/mp2t", false);
  for (unsigned i = 0; i < 4; i++)
    ts_picture (&world.maker, true, 2000);
  send_on (&world, 5000);
  viewer_open (&viewer, &world, "one", &live_position);
  ProxySession *session;
  ProxySessionStats stats = {0};
  proxy_sessions_state (world.sessions, "one", &session, NULL);
  proxy_session_stats (session, &stats);
  g_assert_cmpuint (stats.memory_room, <=, PROXY_RING_LEAST);
  while (!stats.delivered) {
    turn ();
    proxy_session_stats (session, &stats);
  }
  g_assert_cmpuint (stats.memory_room, >, 120 << 20);
  g_assert_cmpuint (stats.memory_room, <=, world.options.memory);
  viewer_close (&viewer);
  world_clear (&world);
}

static void
test_learns (void)
{
  World world;
  Viewer viewer;
  world_init (&world);
  start_live (&world);
  second (&world);
  second (&world);
  add_channel (&world, &world.live_content, "one", "video/mp2t", false);
  g_autoptr (DlnaItem) before = dlna_library_lookup (DLNA_LIBRARY (world.library), "one", NULL);
  g_assert_null (before->video_codec);
  viewer_open (&viewer, &world, "one", &live_position);
  while (viewer.out->len < 100000) {
    settle (30);
    second (&world);
  }
  ProxySession *session;
  proxy_sessions_state (world.sessions, "one", &session, NULL);
  proxy_library_learn (world.library, session);
  viewer_close (&viewer);
  settle (20);
  g_autoptr (DlnaItem) after = dlna_library_lookup (DLNA_LIBRARY (world.library), "one", NULL);
  g_assert_cmpstr (after->video_codec, ==, "h264");
  g_assert_cmpint (after->width, ==, 640);
  g_assert_cmpint (after->height, ==, 360);
  world_clear (&world);
}

static void
check_film (World *world, int64_t first, int64_t end, size_t expected)
{
  Viewer viewer;
  DlnaPosition position = {.type = DLNA_POSITION_BYTES, .first = first, .end = end};
  viewer_open (&viewer, world, "film", &position);
  while (!viewer.ended)
    turn ();
  g_assert_no_error (viewer.error);
  g_assert_cmpint (dlna_stream_size (viewer.stream), ==, FILM);
  g_assert_cmpmem (viewer.out->data, viewer.out->len, world->film + first, expected);
  viewer_close (&viewer);
}

static void
test_film (bool length_in_link)
{
  World world;
  Viewer viewer;
  world_init (&world);
  start_film (&world, length_in_link);
  add_channel (&world, &world.film_content, "film", "video/mp4", false);
  check_film (&world, FILM - 1000, -1, 1000);
  check_film (&world, 2000000, 2300001, 300001);
  check_film (&world, 0, 1, 1);
  const PeerCounters *counters = peer_engine_counters (net_udp_engine (world.gateway));
  g_assert_cmpuint (counters->chunk_bytes_received, <, 600000); /* only what was asked for */
  check_film (&world, 0, -1, FILM);
  DlnaPosition beyond = {.type = DLNA_POSITION_BYTES, .first = FILM, .end = -1};
  viewer_open (&viewer, &world, "film", &beyond);
  while (!viewer.ended)
    turn ();
  g_assert_error (viewer.error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  viewer_close (&viewer);
  /* again, from the cache: no byte comes over the wire */
  settle (20);
  uint64_t before = counters->chunk_bytes_received;
  check_film (&world, 0, -1, FILM);
  g_assert_cmpuint (counters->chunk_bytes_received, <=, before + 2048);
  world_clear (&world);
}

/* Minutes of a film of an hour, as bytes of it. */
static void
left_after (World *self, int from, int to)
{
  dlna_library_left (DLNA_LIBRARY (self->library), "film", (int64_t)FILM * from / 60,
                     (int64_t)FILM * to / 60);
}

static int
stopped_at (World *self)
{
  g_autoptr (DlnaItem) film = dlna_library_lookup (DLNA_LIBRARY (self->library), "film", NULL);
  return (int)(film->stopped / G_USEC_PER_SEC);
}

static void
test_stopped (void)
{
  World world;
  world_init (&world);
  start_film (&world, true);
  add_channel (&world, &world.film_content, "film", "video/mp2t", false);
  left_after (&world, 0, 30);
  g_assert_cmpint (stopped_at (&world), ==, 0); /* who knows how long it is? */
  proxy_catalog_set_media (world.catalog, "film", "h264 100 1920 1080 25000 aac 0 3600000000");
  left_after (&world, 0, 30);
  g_assert_cmpint (ABS (stopped_at (&world) - (30 * 60 - 15)), <=, 1);
  dlna_library_left (DLNA_LIBRARY (world.library), "film", FILM - 10000, FILM); /* for an index */
  g_assert_cmpint (ABS (stopped_at (&world) - (30 * 60 - 15)), <=, 1);
  for (int i = 0; i < 100; i++) /* in small pieces */
    dlna_library_left (DLNA_LIBRARY (world.library), "film", FILM / 100 * i / 4,
                       FILM / 100 * (i + 1) / 4);
  g_assert_cmpint (ABS (stopped_at (&world) - (15 * 60 - 15)), <=, 1);
  left_after (&world, 40, 59);
  g_assert_cmpint (stopped_at (&world), ==, 0); /* seen to its end */

  dlna_library_stopped (DLNA_LIBRARY (world.library), "film", 100 * G_USEC_PER_SEC);
  g_assert_cmpint (stopped_at (&world), ==, 100);
  dlna_library_stopped (DLNA_LIBRARY (world.library), "film", 3599 * (int64_t)G_USEC_PER_SEC);
  g_assert_cmpint (stopped_at (&world), ==, 0);
  dlna_library_stopped (DLNA_LIBRARY (world.library), "no-such", 5);
  start_live (&world);
  add_channel (&world, &world.live_content, "one", "video/mp2t", false);
  dlna_library_stopped (DLNA_LIBRARY (world.library), "one", 5);
  g_assert_cmpint (proxy_catalog_lookup (world.catalog, "one")->stopped, ==, 0);
  world_clear (&world);
}

static void
test_film_known (void)
{
  test_film (true);
}

static void
test_film_unknown (void)
{
  test_film (false);
}

/* Nobody has it: who waits can go, and leaves nothing behind. */
static void
test_nobody (void)
{
  World world;
  Viewer live, film;
  world_init (&world);
  start_live (&world);
  start_film (&world, false);
  add_channel (&world, &world.live_content, "one", "video/mp2t", true);
  add_channel (&world, &world.film_content, "film", "video/mp4", true);
  viewer_open (&live, &world, "one", &live_position);
  viewer_open (&film, &world, "film", &live_position);
  settle (50);
  viewer_close (&live);
  viewer_close (&film);
  viewer_open (&live, &world, "no-such-channel", &live_position);
  while (!live.ended)
    turn ();
  g_assert_error (live.error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  viewer_close (&live);
  world_clear (&world);
}

/* The household removes a channel that somebody watches: the stream ends, the gateway stays. */
static void
test_removed (void)
{
  World world;
  Viewer viewer;
  world_init (&world);
  start_live (&world);
  second (&world);
  second (&world);
  add_channel (&world, &world.live_content, "one", "video/mp2t", false);
  viewer_open (&viewer, &world, "one", &live_position);
  while (viewer.out->len == 0) {
    settle (30);
    second (&world);
  }
  proxy_sessions_stop (world.sessions, "one");
  proxy_catalog_remove (world.catalog, "one");
  while (!viewer.ended)
    turn ();
  g_assert_no_error (viewer.error);
  viewer_close (&viewer);
  world_clear (&world);
}

static void
note_change (DlnaLibrary *library, const char *id, gpointer data)
{
  g_string_append_printf (data, " %s ", id);
}

static void
pass_on_change (gpointer data)
{
  proxy_library_changed (data);
}

static void
test_browse (void)
{
  World world;
  world_init (&world);
  DlnaLibrary *library = DLNA_LIBRARY (world.library);
  guint32 before = dlna_library_update_id (library, NULL);
  for (unsigned i = 0; i < 25; i++) {
    g_autofree char *swarm = g_strdup_printf ("%064x", i);
    g_autofree char *name = g_strdup_printf ("Channel %02u", i);
    ProxyDraft draft = {.swarm_id = swarm,
                        .link = "ppsp:00",
                        .name = name,
                        .source = "",
                        .mime = "video/mp4",
                        .length = 1000,
                        .number = i < 5 ? 5 - (int)i : 0};
    proxy_catalog_put (world.catalog, &draft, NULL);
  }
  g_assert_cmpuint (dlna_library_update_id (library, NULL), >, before);
  g_autoptr (DlnaItem) root = dlna_library_lookup (library, "0", NULL);
  g_assert_null (root->mime);
  g_assert_cmpint (root->child_count, ==, 2);
  guint total;
  g_autoptr (GPtrArray) all = dlna_library_list (library, "films:", 0, 0, &total, NULL);
  g_assert_cmpuint (total, ==, 25);
  g_assert_cmpuint (all->len, ==, 25);
  DlnaItem *first = all->pdata[0];
  g_assert_cmpstr (first->title, ==, "Channel 04");
  g_assert_cmpstr (first->extension, ==, "mp4");
  g_assert_cmpstr (first->parent_id, ==, "films:");
  g_assert_cmpint (first->size, ==, 1000);
  g_autoptr (GPtrArray) page = dlna_library_list (library, "films:", 20, 10, &total, NULL);
  g_assert_cmpuint (page->len, ==, 5);
  g_autoptr (GPtrArray) behind =
      dlna_library_list (library, "films:", 4000000000, 10, &total, NULL);
  g_assert_cmpuint (behind->len, ==, 0);

  /* A favourite is another entry of the same item, found under both IDs; told of where it is. */
  g_autoptr (GString) told = g_string_new (NULL);
  g_signal_connect (library, "changed", G_CALLBACK (note_change), told);
  proxy_catalog_set_func (world.catalog, pass_on_change, library);
  proxy_library_changed (world.library); /* of what was put until now */
  while (told->len == 0)
    turn ();
  g_assert_nonnull (strstr (told->str, " films: "));
  g_string_truncate (told, 0);
  proxy_catalog_set_favourite (world.catalog, first->id, true);
  while (told->len == 0)
    turn ();
  g_assert_nonnull (strstr (told->str, " 0 "));
  g_assert_nonnull (strstr (told->str, " favourites: "));
  g_assert_null (strstr (told->str, "films:"));
  g_autoptr (GPtrArray) two = dlna_library_list (library, "0", 1, 1, &total, NULL);
  g_assert_cmpuint (total, ==, 3);
  g_assert_cmpstr (((DlnaItem *)two->pdata[0])->id, ==, "favourites:");
  g_autoptr (GPtrArray) marked = dlna_library_list (library, "favourites:", 0, 0, NULL, NULL);
  DlnaItem *entry = marked->pdata[0];
  g_assert_cmpstr (entry->ref_id, ==, first->id);
  g_assert_cmpstr (entry->id, ==, "favourites:channel-04");
  g_autoptr (DlnaItem) again = dlna_library_lookup (library, entry->id, NULL);
  g_assert_cmpstr (again->title, ==, first->title);
  g_assert_cmpuint (dlna_library_update_id (library, "films:"), <,
                    dlna_library_update_id (library, "favourites:"));
  g_assert_cmpuint (dlna_library_update_id (library, "0"), ==,
                    dlna_library_update_id (library, NULL));
  proxy_catalog_set_func (world.catalog, NULL, NULL);
  g_autoptr (GError) error = NULL;
  g_assert_null (dlna_library_list (library, "x", 0, 0, &total, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  world_clear (&world);
}

/* A favourite is joined before anybody watches it: it has a peer and knows the edge, and fetches
 * nothing; who watches it has it from there, and it is so again when nobody does. */
static void
test_warm (void)
{
  World world;
  Viewer viewer;
  world_init (&world);
  start_live (&world);
  second (&world);
  add_channel (&world, &world.live_content, "one", "video/mp2t", false);
  g_autoptr (ProxyWarm) warm = proxy_warm_new (world.catalog, world.sessions, 2);
  proxy_warm_look (warm);
  g_assert_cmpint (proxy_sessions_state (world.sessions, "one", NULL, NULL), ==, PROXY_STATE_IDLE);
  proxy_catalog_set_favourite (world.catalog, "one", true);
  proxy_warm_look (warm);
  proxy_warm_look (warm); /* once is enough */
  ProxySession *session;
  g_assert_cmpint (proxy_sessions_state (world.sessions, "one", &session, NULL), ==,
                   PROXY_STATE_WARM);
  ProxySessionStats stats;
  do {
    settle (30);
    second (&world);
    proxy_session_stats (session, &stats);
  } while (peer_range_is_empty (stats.swarm.edge));
  for (int i = 0; i < 5; i++) {
    settle (30);
    second (&world);
  }
  while (stats.swarm.edge.end < world.appended / CHUNK) {
    settle (30);
    proxy_session_stats (session, &stats);
  }
  /* but for those that came with the first signatures (RFC 7574, 6.1.2.4) */
  const PeerCounters *counters = peer_engine_counters (net_udp_engine (world.gateway));
  g_assert_cmpuint (counters->chunk_bytes_received, <=, 2 * CHUNK);
  viewer_open (&viewer, &world, "one", &live_position);
  g_assert_cmpint (proxy_sessions_state (world.sessions, "one", NULL, NULL), ==,
                   PROXY_STATE_JOINING);
  while (viewer.out->len < 4 * 188) {
    settle (30);
    second (&world);
  }
  g_assert_cmpuint (counters->chunk_bytes_received, >, 2 * CHUNK);
  proxy_warm_look (warm); /* what plays is not touched */
  g_assert_cmpint (proxy_sessions_state (world.sessions, "one", NULL, NULL), ==,
                   PROXY_STATE_PLAYING);
  viewer_close (&viewer);
  channel_wait_for_end (world.sessions);
  proxy_warm_look (warm);
  g_assert_cmpint (proxy_sessions_state (world.sessions, "one", NULL, NULL), ==, PROXY_STATE_WARM);
  proxy_catalog_set_favourite (world.catalog, "one", false);
  proxy_warm_look (warm); /* it was watched last */
  g_assert_cmpint (proxy_sessions_state (world.sessions, "one", NULL, NULL), ==, PROXY_STATE_WARM);
  proxy_catalog_remove (world.catalog, "one");
  proxy_warm_look (warm);
  world_clear (&world);
}

static void
assert_warm (const World *world, const char *expected)
{
  g_autoptr (GString) found = g_string_new (NULL);
  const GPtrArray *all = proxy_catalog_list (world->catalog);
  for (guint i = 0; i < all->len; i++) {
    const char *id = ((const ProxyChannel *)all->pdata[i])->id;
    if (proxy_sessions_state (world->sessions, id, NULL, NULL) == PROXY_STATE_WARM)
      g_string_append_printf (found, "%s ", id);
  }
  g_assert_cmpstr (found->str, ==, expected);
}

static void
close_and_end (Viewer *viewer, const char *id)
{
  viewer_close (viewer);
  while (proxy_sessions_state (viewer->world->sessions, id, NULL, NULL) == PROXY_STATE_LINGERING)
    turn ();
}

/* Favourites, then what is beside the one that plays, then those that were watched last; and no
 * more than the owner allows. */
static void
test_warm_choice (void)
{
  World world;
  Viewer viewer;
  world_init (&world);
  for (char name[] = "a"; name[0] <= 'j'; name[0]++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (PeerKey) key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
    g_assert_no_error (error);
    PeerContent content;
    peer_content_init_live (&content);
    peer_key_swarm_id (key, &content);
    add_channel (&world, &content, name, "video/mp2t", true);
  }
  g_autoptr (ProxyWarm) warm = proxy_warm_new (world.catalog, world.sessions, 3);
  proxy_warm_look (warm);
  assert_warm (&world, "");
  viewer_open (&viewer, &world, "e", &live_position);
  proxy_warm_look (warm);
  assert_warm (&world, "d f ");
  close_and_end (&viewer, "e");
  viewer_open (&viewer, &world, "a", &live_position);
  proxy_warm_look (warm);
  assert_warm (&world, "b e ");
  proxy_catalog_set_favourite (world.catalog, "i", true);
  proxy_catalog_set_favourite (world.catalog, "j", true);
  proxy_warm_look (warm);
  assert_warm (&world, "b i j ");
  proxy_catalog_set_favourite (world.catalog, "a", true); /* it plays, and takes no place */
  proxy_warm_look (warm);
  assert_warm (&world, "b i j ");
  proxy_catalog_set_favourite (world.catalog, "a", false);
  close_and_end (&viewer, "a");
  proxy_catalog_set_favourite (world.catalog, "h", true);
  proxy_catalog_set_favourite (world.catalog, "g", true);
  proxy_warm_look (warm);
  assert_warm (&world, "g h i ");
  g_autoptr (GPtrArray) none = g_ptr_array_new ();
  proxy_sessions_warm (world.sessions, none);
  world_clear (&world);
}

/* What left the window had come (RFC 6972, OAM.REQ-3). */
static void
test_late (void)
{
  static const char *const trackers[] = {"http://127.0.0.1:9/", NULL};
  static const struct {
    PeerEventType type;
    uint64_t late;
  } rows[] = {{PEER_EVENT_CHUNKS, 0}, {PEER_EVENT_LOST, 0}, {PEER_EVENT_LATE, 50}};
  g_autoptr (GError) error = NULL;
  World world;
  world_init (&world);
  start_live (&world);
  world.options.trackers = trackers;
  PeerLink *link = peer_link_new ();
  link->content = world.live_content;
  ProxySession *session = proxy_session_new (&world.options, "live", "", link, false, &error);
  g_assert_no_error (error);
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    PeerEvent event = {.type = rows[i].type, .chunks = {0, 50}};
    proxy_session_event (session, &event);
    g_assert_cmpuint (late, ==, rows[i].late);
  }
  proxy_session_free (session);
  world_clear (&world);
}

static bool
is_given_up (gpointer data)
{
  return given_up == 0;
}

/* Chunks that were made while nothing came are missed; numbers that an origin left out when it began
 * anew are not. */
static void
test_skipped (void)
{
  static const struct {
    int64_t seconds; /* without a munro */
    uint64_t leap, missed;
  } rows[] = {{20, 20000, 20000}, {20, 29000, 29000}, {3, 65536, 0}, {0, 640, 640}, {0, 65536, 0}};
  for (unsigned row = 0; row < G_N_ELEMENTS (rows); row++) {
    g_autoptr (GError) error = NULL;
    World world;
    world_init (&world);
    start_live (&world);
    PeerLink *link = peer_link_new ();
    link->content = world.live_content;
    ProxySession *session = proxy_session_new (&world.options, "live", "", link, false, &error);
    g_assert_no_error (error);
    uint64_t per_munro = world.live_content.chunks_per_signature;
    PeerEvent event = {.type = PEER_EVENT_EDGE, .time = INT64_C (1700000000000000)};
    for (unsigned i = 1; i <= 4; i++) { /* a thousand chunks a second */
      event.chunks = (PeerRange){i * per_munro, (i + 1) * per_munro};
      event.time += (int64_t)per_munro * 1000;
      proxy_session_event (session, &event);
    }
    PeerEvent again = event; /* an older one on a longer way is no edge */
    again.chunks = (PeerRange){per_munro, 2 * per_munro};
    again.time -= 3600 * (int64_t)G_USEC_PER_SEC;
    proxy_session_event (session, &again);
    event.chunks.first += rows[row].leap + per_munro;
    event.chunks.end += rows[row].leap + per_munro;
    event.time += rows[row].seconds * G_USEC_PER_SEC + (int64_t)per_munro * 1000;
    proxy_session_event (session, &event);
    given_up = rows[row].leap;
    g_assert_true (wait_until (is_given_up, NULL));
    ProxySessionStats stats;
    proxy_session_stats (session, &stats);
    g_assert_cmpuint (stats.skipped, ==, rows[row].missed);
    proxy_session_free (session);
    world_clear (&world);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/library/live-bytes-are-the-origins", test_live);
  g_test_add_func ("/proxy/library/shift-that-is-not-written-is-memory", test_shift_memory);
  g_test_add_func ("/proxy/library/fast-stream-gets-a-larger-ring", test_fast);
  g_test_add_func ("/proxy/library/learns-what-a-stream-contains", test_learns);
  g_test_add_func ("/proxy/library/film-in-ranges", test_film_known);
  g_test_add_func ("/proxy/library/film-of-unknown-length", test_film_unknown);
  g_test_add_func ("/proxy/library/where-a-film-was-stopped-is-known", test_stopped);
  g_test_add_func ("/proxy/library/nobody-has-it", test_nobody);
  g_test_add_func ("/proxy/library/removed-while-watched", test_removed);
  g_test_add_func ("/proxy/library/browse", test_browse);
  g_test_add_func ("/proxy/library/warm-channels-are-joined-and-not-fetched", test_warm);
  g_test_add_func ("/proxy/library/warm-channels-are-chosen", test_warm_choice);
  g_test_add_func ("/proxy/library/late-chunks-are-those-that-did-not-come", test_late);
  g_test_add_func ("/proxy/library/skipped-chunks-are-those-that-were-made", test_skipped);
  return g_test_run ();
}
