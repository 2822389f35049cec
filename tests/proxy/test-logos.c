/* SPDX-License-Identifier: Apache-2.0 */
/* A server of logos on loopback, and the gateway's own in front of it. */
#include "peer/net/request.h"
#include "proxy/logos.h"
#include "proxy/picture.h"
#include "tests/lib/listen.h"
#include "tests/lib/wait.h"
#include "tests/proxy/channel.h"
#include "tests/proxy/scratch.h"
#include <string.h>
#include <sys/resource.h>

typedef struct {
  SoupServer *theirs, *ours;
  unsigned their_port, our_port, asked;
  GBytes *picture;
  ProxyCatalog *catalog;
  ProxyLogos *logos;
  char *folder;
} World;

static void
on_asked (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
          gpointer data)
{
  World *self = data;
  self->asked++;
  if (g_str_equal (path, "/never"))
    soup_server_message_pause (message);
  else if (g_str_equal (path, "/moved"))
    soup_server_message_set_redirect (message, SOUP_STATUS_FOUND, "/logo");
  else if (g_str_equal (path, "/gone"))
    soup_server_message_set_status (message, SOUP_STATUS_NOT_FOUND, NULL);
  else {
    soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
    soup_message_body_append_bytes (soup_server_message_get_response_body (message), self->picture);
  }
}

static void
put32 (GByteArray *out, uint32_t value)
{
  uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                     (uint8_t)value};
  g_byte_array_append (out, bytes, 4);
}

static void
put_chunk (GByteArray *out, const char *type, const uint8_t *data, size_t n)
{
  uint32_t crc = 0xffffffff;
  put32 (out, (uint32_t)n);
  guint begin = out->len;
  g_byte_array_append (out, (const uint8_t *)type, 4);
  g_byte_array_append (out, data, (guint)n);
  for (guint i = begin; i < out->len; i++) {
    crc ^= out->data[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  put32 (out, ~crc);
}

/* A PNG (RFC 2083) whose points, one channel of so many bits, are those that zlib gives. */
static GBytes *
wrap_png (unsigned width, unsigned height, uint8_t bits, const uint8_t *data, size_t n)
{
  static const uint8_t magic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  GByteArray *out = g_byte_array_new ();
  g_autoptr (GByteArray) head = g_byte_array_new ();
  g_byte_array_append (out, magic, sizeof magic);
  put32 (head, width);
  put32 (head, height);
  g_byte_array_append (head, (const uint8_t[]){bits, 0, 0, 0, 0}, 5);
  put_chunk (out, "IHDR", head->data, head->len);
  put_chunk (out, "IDAT", data, n);
  put_chunk (out, "IEND", NULL, 0);
  return g_byte_array_free_to_bytes (out);
}

/* Black, in a thousandth of the bytes that its points are. */
static GBytes *
make_bomb (unsigned side)
{
  g_autoptr (GConverter) zip =
      G_CONVERTER (g_zlib_compressor_new (G_ZLIB_COMPRESSOR_FORMAT_ZLIB, 9));
  size_t n = (size_t)(side / 8 + 1) * side;
  g_autofree uint8_t *rows = g_malloc0 (n), *out = g_malloc (n);
  gsize read, written;
  g_assert_cmpint (
      g_converter_convert (zip, rows, n, out, n, G_CONVERTER_INPUT_AT_END, &read, &written, NULL),
      ==, G_CONVERTER_FINISHED);
  return wrap_png (side, side, 1, out, written);
}

/* Grey, without compression (RFC 1951, 3.2.4). */
static GBytes *
make_png (unsigned width, unsigned height)
{
  g_autoptr (GByteArray) data = g_byte_array_new ();
  uint32_t a = 1, b = 0;
  size_t n = (size_t)(width + 1) * height;
  g_assert_cmpuint (n, <=, 65535);
  uint8_t block[] = {0x78, 1, 1, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n, (uint8_t)(~n >> 8)};
  g_byte_array_append (data, block, sizeof block);
  for (size_t i = 0; i < n; i++) {
    uint8_t byte = i % (width + 1) == 0 ? 0 : 0x80;
    g_byte_array_append (data, &byte, 1);
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  put32 (data, b << 16 | a);
  return wrap_png (width, height, 8, data->data, data->len);
}

static void
begin (World *self)
{
  self->ours = soup_server_new (NULL, NULL);
  self->our_port = listen_local (self->ours);
  self->logos = proxy_logos_new (self->ours, self->catalog, self->folder);
}

static void
end (World *self)
{
  proxy_logos_free (self->logos);
  soup_server_disconnect (self->ours);
  g_clear_object (&self->ours);
}

static void
world_init (World *self)
{
  memset (self, 0, sizeof *self);
  self->theirs = soup_server_new (NULL, NULL);
  self->their_port = listen_local (self->theirs);
  soup_server_add_handler (self->theirs, NULL, on_asked, self, NULL);
  self->catalog = proxy_catalog_open (NULL);
  self->folder = scratch_new ();
  self->picture = make_png (300, 200);
  begin (self);
}

static void
world_clear (World *self)
{
  end (self);
  soup_server_disconnect (self->theirs);
  g_object_unref (self->theirs);
  proxy_catalog_close (self->catalog);
  g_bytes_unref (self->picture);
  scratch_free (self->folder);
}

static void
add (World *self, const char *id, const char *path, const char *list)
{
  g_autofree char *logo =
      path ? g_strdup_printf ("http://127.0.0.1:%u%s", self->their_port, path) : NULL;
  g_autofree char *swarm = g_strdup_printf ("swarm-%s", id);
  ProxyDraft draft = channel_draft (swarm, "ppsp:00", id);
  draft.logo = logo;
  draft.source = list;
  proxy_catalog_put (self->catalog, &draft, NULL);
}

typedef struct {
  GBytes *bytes;
  bool done;
} Answer;

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  Answer *answer = data;
  answer->bytes = soup_session_send_and_read_finish (SOUP_SESSION (source), result, NULL);
  answer->done = true;
}

static SoupMessage *
send (World *self, SoupSession *session, const char *path, Answer *answer)
{
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%u%s", self->our_port, path);
  SoupMessage *message = soup_message_new ("GET", uri);
  *answer = (Answer){0};
  soup_session_send_and_read_async (session, message, 0, NULL, on_answer, answer);
  return message;
}

/* The status; out: NULL or the body. */
static unsigned
ask (World *self, const char *path, GBytes **out)
{
  g_autoptr (SoupSession) session = soup_session_new ();
  Answer answer;
  g_autoptr (SoupMessage) message = send (self, session, path, &answer);
  while (!answer.done)
    g_main_context_iteration (NULL, TRUE);
  if (out)
    *out = g_steal_pointer (&answer.bytes);
  g_clear_pointer (&answer.bytes, g_bytes_unref);
  soup_session_abort (session);
  return soup_message_get_status (message);
}

/* The size that a JPEG says it has (ITU-T T.81, B.2.2). */
static void
read_jpeg (GBytes *bytes, unsigned *width, unsigned *height)
{
  gsize n;
  const uint8_t *p = g_bytes_get_data (bytes, &n);
  g_assert_cmpuint (n, >, 4);
  g_assert_true (p[0] == 0xff && p[1] == 0xd8);
  for (gsize i = 2; i + 9 < n && p[i] == 0xff; i += 2u + (unsigned)(p[i + 2] << 8 | p[i + 3]))
    if (p[i + 1] == 0xc0) {
      *height = (unsigned)(p[i + 5] << 8 | p[i + 6]);
      *width = (unsigned)(p[i + 7] << 8 | p[i + 8]);
      return;
    }
  g_assert_not_reached ();
}

static void
test_fetched_once (void)
{
  World world;
  world_init (&world);
  add (&world, "one", "/logo", "file:///etc/list.m3u");
  add (&world, "none", NULL, "file:///etc/list.m3u");
  for (int round = 0; round < 3; round++) {
    g_autoptr (GBytes) bytes = NULL;
    unsigned width = 0, height = 0;
    g_assert_cmpuint (ask (&world, "/logo/one.jpg", &bytes), ==, 200);
    g_assert_cmpuint (world.asked, ==, 1);
    if (proxy_picture_profile ()) {
      read_jpeg (bytes, &width, &height);
      g_assert_cmpuint (width, ==, 160);
      g_assert_cmpuint (height, ==, 106);
    } else
      g_assert_true (g_bytes_equal (bytes, world.picture));
    if (round == 1) { /* and not after a restart either */
      end (&world);
      begin (&world);
    }
  }
  static const char *const wrong[] = {"/logo/none.jpg", "/logo/nothing.jpg",
                                      "/logo/one.png",  "/logo/one",
                                      "/logo/",         "/logo/../one.jpg"};
  for (size_t i = 0; i < G_N_ELEMENTS (wrong); i++)
    g_assert_cmpuint (ask (&world, wrong[i], NULL), ==, 404);
  g_assert_cmpuint (world.asked, ==, 1);
  world_clear (&world);
}

/* A list of the Internet cannot make us ask an address of the home, neither itself nor by way of
 * another; and of what is no picture nothing is given on. */
static void
test_not_fetched (void)
{
  World world;
  world_init (&world);
  add (&world, "stranger", "/logo", "https://lists.example/all.m3u");
  g_assert_cmpuint (ask (&world, "/logo/stranger.jpg", NULL), ==, 404);
  g_assert_cmpuint (world.asked, ==, 0);
  add (&world, "moved", "/moved", "http://127.0.0.1/list.m3u");
  g_assert_cmpuint (ask (&world, "/logo/moved.jpg", NULL), ==, 200);
  g_assert_cmpuint (world.asked, ==, 2);
  add (&world, "gone", "/gone", "file:///x");
  g_assert_cmpuint (ask (&world, "/logo/gone.jpg", NULL), ==, 404);
  g_assert_cmpuint (ask (&world, "/logo/gone.jpg", NULL), ==, 404); /* not asked for again */
  g_assert_cmpuint (world.asked, ==, 3);
  g_bytes_unref (world.picture);
  world.picture = g_bytes_new_static ("<svg onload='x'/>", 17);
  add (&world, "text", "/text", "file:///x");
  g_assert_cmpuint (ask (&world, "/logo/text.jpg", NULL), ==, 404);
  g_bytes_unref (world.picture);
  g_autoptr (GBytes) good = make_png (20, 10);
  guint8 *large = g_malloc0 (2 << 20); /* a picture, if only its first part is looked at */
  memcpy (large, g_bytes_get_data (good, NULL), g_bytes_get_size (good));
  world.picture = g_bytes_new_take (large, 2 << 20);
  add (&world, "large", "/large", "file:///x");
  g_assert_cmpuint (ask (&world, "/logo/large.jpg", NULL), ==, 404);
  world_clear (&world);
}

/* Logos 0 to n - 1, each with an address of its own. */
static void
ask_all (World *self, unsigned n)
{
  g_autoptr (SoupSession) session = soup_session_new ();
  for (unsigned i = 0; i < n; i++) {
    g_autofree char *path = g_strdup_printf ("/logo/quick-%u.jpg", i);
    Answer answer;
    g_autoptr (SoupMessage) message = send (self, session, path, &answer);
    while (!answer.done)
      g_main_context_iteration (NULL, TRUE);
    g_assert_cmpuint (soup_message_get_status (message), ==, 200);
    g_bytes_unref (answer.bytes);
  }
}

/* What is fetched for those who are put out of memory is not fetched any more: whose turn is next has
 * it then. */
static void
test_who_is_put_out_gives_way (void)
{
  enum { MEMORY = 512, AT_ONCE = 6 };
  World world;
  Answer never[AT_ONCE], waits;
  g_autoptr (GPtrArray) messages = g_ptr_array_new_with_free_func (g_object_unref);
  world_init (&world);
  g_bytes_unref (world.picture);
  world.picture = make_png (2, 2);
  for (unsigned i = 0; i < MEMORY; i++) {
    g_autofree char *id = g_strdup_printf ("quick-%u", i);
    g_autofree char *path = g_strdup_printf ("/logo?%u", i);
    add (&world, id, path, "file:///x");
  }
  ask_all (&world, MEMORY - 1); /* they are files now */
  end (&world);
  begin (&world);
  g_autoptr (SoupSession) session = soup_session_new_with_options (
      "max-conns", AT_ONCE + 1, "max-conns-per-host", AT_ONCE + 1, NULL);
  for (unsigned i = 0; i < AT_ONCE; i++) {
    g_autofree char *id = g_strdup_printf ("never-%u", i);
    g_autofree char *logo = g_strdup_printf ("/never?%u", i);
    g_autofree char *path = g_strdup_printf ("/logo/%s.jpg", id);
    unsigned asked = world.asked;
    add (&world, id, logo, "file:///x");
    g_ptr_array_add (messages, send (&world, session, path, &never[i]));
    while (world.asked == asked)
      g_main_context_iteration (NULL, TRUE);
  }
  add (&world, "waits", "/logo?waits", "file:///x");
  g_ptr_array_add (messages, send (&world, session, "/logo/waits.jpg", &waits));
  ask_all (&world, MEMORY - 1);
  int64_t end = 0;
  while (!waits.done)
    g_assert_true (wait_turn (&end));
  g_assert_cmpuint (soup_message_get_status (messages->pdata[AT_ONCE]), ==, 200);
  g_bytes_unref (waits.bytes);
  for (unsigned i = 0; i < AT_ONCE; i++) {
    while (!never[i].done)
      g_main_context_iteration (NULL, TRUE);
    g_assert_cmpuint (soup_message_get_status (messages->pdata[i]), ==, 404);
    g_clear_pointer (&never[i].bytes, g_bytes_unref);
  }
  world_clear (&world);
}

static void
test_addresses (void)
{
  static const struct {
    const char *list, *logo, *address;
    bool may;
  } rows[] = {
      {"https://a.example/l", "https://b.example/p", "198.51.100.7", true},
      {"https://a.example/l", "https://b.example/p", "2001:db8::1", true},
      {"https://a.example/l", "https://b.example/p", "192.168.1.1", false},
      {"https://a.example/l", "https://b.example/p", "10.0.0.1", false},
      {"https://a.example/l", "https://b.example/p", "172.31.0.1", false},
      {"https://a.example/l", "https://b.example/p", "100.64.0.1", false},
      {"https://a.example/l", "https://b.example/p", "127.0.0.1", false},
      {"https://a.example/l", "https://b.example/p", "169.254.1.1", false},
      {"https://a.example/l", "https://b.example/p", "0.0.0.0", false},
      {"https://a.example/l", "https://b.example/p", "::1", false},
      {"https://a.example/l", "https://b.example/p", "fe80::1", false},
      {"https://a.example/l", "https://b.example/p", "fd00::1", false},
      {"https://a.example/l", "https://b.example/p", "::ffff:192.168.1.1", false},
      {"", "http://b.example/p", "192.168.1.1", false},
      {"http://nas.lan/l", "http://nas.lan:81/p", "192.168.1.1", true},
      {"file:///l", "http://nas.lan/p", "192.168.1.1", true},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GInetAddress) address = g_inet_address_new_from_string (rows[i].address);
    g_test_message ("%s", rows[i].address);
    g_assert_cmpint (net_request_may_reach (rows[i].list, rows[i].logo, address), ==, rows[i].may);
  }
}

static void
test_pictures (void)
{
  const char *type = NULL;
  g_autoptr (GBytes) small = make_png (10, 5);
  g_autoptr (GBytes) made = proxy_picture_thumbnail (small, &type);
  g_assert_nonnull (made);
  if (!proxy_picture_profile ()) {
    g_assert_cmpstr (type, ==, "image/png");
    return;
  }
  unsigned width = 0, height = 0;
  g_assert_cmpstr (type, ==, "image/jpeg");
  read_jpeg (made, &width, &height);
  g_assert_cmpuint (width, ==, 10); /* never made larger */
  g_assert_cmpuint (height, ==, 5);
  /* Every way of cutting it is survived; the head alone (33 bytes) gives no picture. */
  gsize n;
  const char *bytes = g_bytes_get_data (small, &n);
  for (gsize cut = 0; cut < n; cut++) {
    g_autoptr (GBytes) part = g_bytes_new (bytes, cut);
    g_autoptr (GBytes) of_part = proxy_picture_thumbnail (part, &type);
    g_assert_true (!of_part || cut > 33);
  }
  g_autoptr (GBytes) wide = make_png (9000, 1);
  g_assert_null (proxy_picture_thumbnail (wide, &type));
}

/* A picture of some kilobytes does not cost its points. */
static void
test_bombs (void)
{
  static const unsigned sides[] = {4096, 8192, 12000};
  const char *type;
  if (!proxy_picture_profile ()) {
    g_test_skip ("this build makes no pictures");
    return;
  }
  for (unsigned i = 0; i < G_N_ELEMENTS (sides); i++) {
    struct rusage before, after;
    g_autoptr (GBytes) bomb = make_bomb (sides[i]);
    g_assert_cmpuint (g_bytes_get_size (bomb), <, 64 * 1024);
    getrusage (RUSAGE_SELF, &before);
    g_assert_null (proxy_picture_thumbnail (bomb, &type));
    getrusage (RUSAGE_SELF, &after);
    g_assert_cmpint (after.ru_maxrss - before.ru_maxrss, <, 24 * 1024); /* kB */
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/logos/fetched-once-and-small", test_fetched_once);
  g_test_add_func ("/proxy/logos/what-is-not-fetched", test_not_fetched);
  g_test_add_func ("/proxy/logos/who-is-put-out-gives-way", test_who_is_put_out_gives_way);
  g_test_add_func ("/proxy/logos/addresses-that-a-list-may-name", test_addresses);
  g_test_add_func ("/proxy/logos/pictures-are-made-small", test_pictures);
  g_test_add_func ("/proxy/logos/pictures-that-would-be-large", test_bombs);
  return g_test_run ();
}
