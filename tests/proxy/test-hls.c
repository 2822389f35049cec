/* SPDX-License-Identifier: Apache-2.0 */
/* The first playlist of a channel; segments of its past, asked by players that take what they get, and by
 * some that do not. */
#include "proxy/hls.h"
#include "tests/lib/wait.h"
#include "tests/proxy/channel.h"
#include "tests/proxy/scratch.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
  PLAYERS = 4,          /* that may read the past of one channel at the same time */
  SECONDS = 24,         /* of the stream, of some 3 Mbit each */
  MEMORY = 4 << 20,     /* bytes: some ten seconds of it */
  BATCH = 1 << 20,      /* bytes that are written together, so less may wait for the disk */
  SOCKET_BUFFER = 4096, /* bytes; a segment is many times more */
};

typedef struct {
  char *folder;
  NetUdp *udp;
  ProxyCatalog *catalog;
  ProxySessionOptions options;
  ProxySessions *sessions;
  SoupServer *server;
  GSocketAddress *address;
  ProxyHls *hls;
  ProxySession *session;
  ProxyRing *ring;
  TsMaker maker;
  uint64_t next; /* chunk */
} World;

static void
no_event (const PeerEvent *event, gpointer data)
{
}

static void
listen_with_little_room (World *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocket) socket =
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);
  g_assert_no_error (error);
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  g_assert_true (g_socket_bind (socket, any, false, &error));
  g_assert_true (g_socket_set_option (socket, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER, &error));
  g_assert_true (g_socket_listen (socket, &error));
  self->address = g_socket_get_local_address (socket, &error);
  self->server = soup_server_new (NULL, NULL);
  g_assert_true (soup_server_listen_socket (self->server, socket, 0, &error));
  g_assert_no_error (error);
}

static void
world_init (World *self)
{
  g_autoptr (GError) error = NULL;
  PeerEngineOptions engine;
  *self = (World){.folder = scratch_new ()};
  peer_engine_options_init (&engine);
  self->udp = net_udp_new ("127.0.0.1:0", &engine, no_event, NULL, &error);
  g_assert_no_error (error);
  self->catalog = proxy_catalog_open (NULL);
  self->options = (ProxySessionOptions){
      .udp = self->udp, .memory = MEMORY, .timeshift = 64 << 20, .timeshift_folder = self->folder};
  self->sessions = proxy_sessions_new (&self->options, 0);
  listen_with_little_room (self);
  self->hls = proxy_hls_new (self->server, self->catalog, self->sessions);
  channel_add (self->catalog, "one", NULL);
  self->session =
      proxy_sessions_use (self->sessions, proxy_catalog_lookup (self->catalog, "one"), &error);
  g_assert_no_error (error);
  self->ring = proxy_ring_ref (proxy_session_ring (self->session));
  ts_maker_init (&self->maker);
  self->maker.step = 3600;
  self->maker.pts = 900000;
}

static void
world_clear (World *self)
{
  soup_server_remove_handler (self->server, "/media/");
  proxy_hls_free (self->hls);
  proxy_ring_unref (self->ring);
  proxy_sessions_release (self->sessions, self->session);
  channel_wait_for_end (self->sessions);
  proxy_sessions_unref (self->sessions);
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  g_object_unref (self->address);
  proxy_catalog_close (self->catalog);
  net_udp_free (self->udp);
  ts_maker_clear (&self->maker);
  scratch_free (self->folder);
}

static void
make_second (World *self)
{
  ts_tables (&self->maker);
  ts_picture (&self->maker, true, 80);
  for (unsigned i = 1; i < 25; i++)
    ts_picture (&self->maker, false, 80);
  self->next = channel_deliver (&self->maker, self->ring, self->next);
}

/* --- players --- */

static GSocket *
ask (World *self, const char *path)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket =
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);
  g_assert_no_error (error);
  g_assert_true (g_socket_set_option (socket, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER, &error));
  g_assert_true (g_socket_connect (socket, self->address, NULL, &error));
  g_autofree char *request =
      g_strdup_printf ("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
  g_assert_cmpint (g_socket_send (socket, request, strlen (request), NULL, &error), ==,
                   strlen (request));
  g_socket_set_blocking (socket, false);
  return socket;
}

/* As much of the answer as that, or all that there is. */
static GString *
receive (GSocket *socket, size_t n)
{
  GString *out = g_string_new (NULL);
  int64_t end = 0;
  while (out->len < n) {
    char buffer[4096];
    gssize got = g_socket_receive (socket, buffer, MIN (n - out->len, sizeof buffer), NULL, NULL);
    if (got == 0)
      break;
    if (got > 0)
      g_string_append_len (out, buffer, got);
    else
      g_assert_true (wait_turn (&end));
  }
  return out;
}

/* Of its answer it reads no more than this. */
static int
status_of (GSocket *socket)
{
  g_autoptr (GString) line = receive (socket, strlen ("HTTP/1.1 200"));
  g_assert_true (g_str_has_prefix (line->str, "HTTP/1.1 "));
  return atoi (line->str + strlen ("HTTP/1.1 "));
}

static int
ask_status (World *self, const char *path)
{
  g_autoptr (GSocket) socket = ask (self, path);
  return status_of (socket);
}

/* The first who asks for a playlist; what is made from now on is in it. */
static GSocket *
begin (World *self)
{
  GSocket *player = ask (self, "/media/one.m3u8");
  int64_t end = 0;
  ProxyHlsStats stats;
  do
    proxy_hls_stats (self->hls, &stats);
  while (stats.channels == 0 && wait_turn (&end));
  return player;
}

/* The address of the first segment, which the first playlist names and memory lets go of, and that of the
 * newest: each takes two seconds. */
static void
play (World *self, char **past, char **live)
{
  g_autoptr (GSocket) player = begin (self);
  int64_t end = 0;
  ProxyRingStats of_ring;
  for (unsigned i = 0; i < SECONDS; i++)
    make_second (self);
  g_autoptr (GString) playlist = receive (player, SIZE_MAX);
  const char *number = strstr (playlist->str, "#EXT-X-MEDIA-SEQUENCE:");
  g_assert_nonnull (number);
  uint64_t first = g_ascii_strtoull (number + strlen ("#EXT-X-MEDIA-SEQUENCE:"), NULL, 10);
  *past = g_strdup_printf ("/media/one/%" G_GUINT64_FORMAT ".ts", first);
  *live = g_strdup_printf ("/media/one/%" G_GUINT64_FORMAT ".ts", first + SECONDS / 2 - 2);
  do
    proxy_ring_stats (self->ring, &of_ring);
  while (of_ring.unwritten >= BATCH && wait_turn (&end));
}

/* A player begins three segments from the end, so the first playlist waits until there are three. */
static void
test_first_list_is_long_enough (void)
{
  World world;
  world_init (&world);
  g_autoptr (GSocket) player = begin (&world);
  for (unsigned i = 0; i < 8; i++) {
    make_second (&world);
    /* who would be answered by now has been, when another is */
    g_assert_cmpint (ask_status (&world, "/media/none.m3u8"), ==, 404);
  }
  g_autoptr (GString) playlist = receive (player, SIZE_MAX);
  g_auto (GStrv) parts = g_strsplit (playlist->str, "#EXTINF:2.000,", -1);
  g_assert_cmpuint (g_strv_length (parts) - 1, ==, 3);
  world_clear (&world);
}

static bool
has_answered (gpointer data)
{
  ProxyHlsStats stats;
  const World *world = data;
  proxy_hls_stats (world->hls, &stats);
  return stats.segments == PLAYERS;
}

/* An answer from the disk is memory until its player has taken it, or gone: there are only so many. */
static void
test_past_is_bounded (void)
{
  World world;
  g_autofree char *past = NULL, *live = NULL;
  GSocket *players[PLAYERS];
  world_init (&world);
  play (&world, &past, &live);
  for (size_t i = 0; i < G_N_ELEMENTS (players); i++)
    players[i] = ask (&world, past);
  g_assert_true (wait_until (has_answered, &world));
  g_assert_cmpint (ask_status (&world, past), ==, 503);
  g_assert_cmpint (ask_status (&world, live), ==, 200);
  for (size_t i = 0; i < G_N_ELEMENTS (players); i++)
    g_assert_cmpint (status_of (players[i]), ==, 200);
  g_assert_cmpint (ask_status (&world, past), ==, 503);

  g_autoptr (GString) rest = receive (players[0], SIZE_MAX); /* one takes it all, */
  g_assert_cmpuint (rest->len, >, 2 * 25 * 80 * 188);
  int64_t end = 0;
  int status;
  while ((status = ask_status (&world, past)) == 503 && wait_turn (&end))
    ;
  g_assert_cmpint (status, ==, 200); /* and that one has gone */
  while ((status = ask_status (&world, past)) == 503 && wait_turn (&end))
    ;
  g_assert_cmpint (status, ==, 200);
  for (size_t i = 0; i < G_N_ELEMENTS (players); i++)
    g_object_unref (players[i]);
  world_clear (&world);
}

/* A channel that goes leaves answers behind that are still on their way. */
static void
test_answers_outlive_the_channel (void)
{
  World world;
  g_autofree char *past = NULL, *live = NULL;
  world_init (&world);
  play (&world, &past, &live);
  g_autoptr (GSocket) player = ask (&world, past);
  g_assert_cmpint (status_of (player), ==, 200);
  soup_server_remove_handler (world.server, "/media/");
  g_clear_pointer (&world.hls, proxy_hls_free);
  g_autoptr (GString) rest = receive (player, SIZE_MAX);
  g_assert_cmpuint (rest->len, >, 2 * 25 * 80 * 188);
  world_clear (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/hls/first-list-is-long-enough", test_first_list_is_long_enough);
  g_test_add_func ("/proxy/hls/answers-from-the-disk-are-bounded", test_past_is_bounded);
  g_test_add_func ("/proxy/hls/answers-outlive-the-channel", test_answers_outlive_the_channel);
  return g_test_run ();
}
