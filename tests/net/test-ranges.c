/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/ranges.h"
#include "tests/lib/listen.h"

#include <libsoup/soup.h>
#include <string.h>

#define LENGTH 300000
#define PATIENCE 60 /* s */

typedef struct {
  SoupServer *server;
  char *base; /* http://127.0.0.1:PORT */
  uint8_t *bytes;
  guint asked;
} Server;

/* What it says of a range, whatever was asked. */
static void
set_range (SoupServerMessage *message, goffset first, goffset last, goffset length)
{
  soup_server_message_set_status (message, SOUP_STATUS_PARTIAL_CONTENT, NULL);
  soup_message_headers_set_content_range (soup_server_message_get_response_headers (message), first,
                                          last, length);
}

static void
set_body (SoupServerMessage *message, const void *bytes, size_t n)
{
  soup_server_message_set_response (message, "video/mp2t", SOUP_MEMORY_STATIC, bytes, n);
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  Server *self = data;
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  self->asked++;
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  if (g_str_equal (path, "/film")) /* the server itself cuts the range out */
    set_body (message, self->bytes, LENGTH);
  else if (g_str_equal (path, "/to-film"))
    soup_server_message_set_redirect (message, SOUP_STATUS_FOUND, "/film");
  else if (g_str_equal (path, "/circle"))
    soup_server_message_set_redirect (message, SOUP_STATUS_FOUND, "/circle");
  else if (g_str_equal (path, "/absent"))
    soup_server_message_set_status (message, SOUP_STATUS_NOT_FOUND, NULL);
  else if (g_str_equal (path, "/busy"))
    soup_server_message_set_status (message, SOUP_STATUS_SERVICE_UNAVAILABLE, NULL);
  else if (g_str_equal (path, "/silence"))
    soup_server_message_pause (message);
  else if (g_str_equal (path, "/whole")) {
    soup_message_headers_remove (soup_server_message_get_request_headers (message), "Range");
    set_body (message, self->bytes, LENGTH);
  } else if (g_str_equal (path, "/elsewhere")) {
    soup_message_headers_remove (soup_server_message_get_request_headers (message), "Range");
    set_body (message, self->bytes, 10);
    set_range (message, 101, 110, LENGTH);
  } else if (g_str_equal (path, "/more")) {
    soup_message_headers_remove (soup_server_message_get_request_headers (message), "Range");
    set_body (message, self->bytes, 1000);
    set_range (message, 100, 109, LENGTH);
  } else if (g_str_equal (path, "/less")) {
    soup_message_headers_remove (soup_server_message_get_request_headers (message), "Range");
    set_body (message, self->bytes, 5);
    set_range (message, 100, 109, LENGTH);
  } else if (g_str_equal (path, "/zip")) {
    soup_message_headers_remove (soup_server_message_get_request_headers (message), "Range");
    set_body (message, self->bytes, 10);
    set_range (message, 100, 109, LENGTH);
    soup_message_headers_replace (headers, "Content-Encoding", "gzip");
  }
}

static void
server_init (Server *self)
{
  *self = (Server){.server = soup_server_new (NULL, NULL), .bytes = g_malloc (LENGTH)};
  for (size_t i = 0; i < LENGTH; i++)
    self->bytes[i] = (uint8_t)(i * 7 + i / 1000);
  soup_server_add_handler (self->server, NULL, on_request, self, NULL);
  self->base = g_strdup_printf ("http://127.0.0.1:%u", listen_local (self->server));
}

static void
server_clear (Server *self)
{
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  g_free (self->bytes);
  g_free (self->base);
}

typedef struct {
  NetRanges *ranges;
  GByteArray *bytes;
  unsigned done;
  NetRangesResult result;
  char *why;
  bool cancels; /* at the first bytes */
} Reader;

static void
on_bytes (const uint8_t *bytes, size_t n, gpointer data)
{
  Reader *self = data;
  g_byte_array_append (self->bytes, bytes, (guint)n);
  if (self->cancels)
    net_ranges_cancel (self->ranges);
}

static void
on_done (NetRangesResult result, const char *why, gpointer data)
{
  Reader *self = data;
  g_assert_false (net_ranges_is_busy (self->ranges));
  self->done++;
  self->result = result;
  g_free (self->why);
  self->why = g_strdup (why);
}

static void
reader_init (Reader *self, const char *from, unsigned seconds)
{
  static const NetRangesHandler handler = {on_bytes, on_done};
  *self = (Reader){.bytes = g_byte_array_new ()};
  self->ranges = net_ranges_new (from, "ppsp-test", seconds, &handler, self);
}

static void
reader_clear (Reader *self)
{
  net_ranges_free (self->ranges);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_byte_array_unref (self->bytes);
  g_free (self->why);
}

static void
begin (Reader *self, const Server *server, const char *path, uint64_t first, uint64_t end)
{
  g_autofree char *uri = g_strconcat (server->base, path, NULL);
  g_byte_array_set_size (self->bytes, 0);
  self->done = 0;
  net_ranges_get (self->ranges, uri, first, end, LENGTH);
  g_assert_true (net_ranges_is_busy (self->ranges) && self->done == 0);
}

static void
read_range (Reader *self, const Server *server, const char *path, uint64_t first, uint64_t end)
{
  begin (self, server, path, first, end);
  while (self->done == 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_whole (void)
{
  static const uint64_t rows[][2] = {
      {0, 1}, {100, 110}, {1, 262145}, {0, LENGTH}, {LENGTH - 1, LENGTH}};
  Server server;
  Reader reader;
  server_init (&server);
  reader_init (&reader, "file:", PATIENCE);
  for (size_t i = 0; i < 2 * G_N_ELEMENTS (rows); i++) {
    const uint64_t *row = rows[i / 2];
    read_range (&reader, &server, i % 2 ? "/to-film" : "/film", row[0], row[1]);
    g_assert_cmpint (reader.result, ==, NET_RANGES_WHOLE);
    g_assert_null (reader.why);
    g_assert_cmpmem (reader.bytes->data, reader.bytes->len, server.bytes + row[0],
                     (size_t)(row[1] - row[0]));
  }
  reader_clear (&reader);
  server_clear (&server);
}

static void
test_faults (void)
{
  static const struct {
    const char *path;
    NetRangesResult result;
    const char *why;
  } rows[] = {
      {"/circle", NET_RANGES_USELESS, "too often"},
      {"/absent", NET_RANGES_ABSENT, "404"},
      {"/busy", NET_RANGES_BROKEN, "503"},
      {"/whole", NET_RANGES_USELESS, "no byte ranges"},
      {"/elsewhere", NET_RANGES_USELESS, "another range"},
      {"/more", NET_RANGES_USELESS, "more than"},
      {"/less", NET_RANGES_BROKEN, "too early"},
      {"/zip", NET_RANGES_USELESS, "encodes"},
  };
  Server server;
  Reader reader;
  server_init (&server);
  reader_init (&reader, "file:", PATIENCE);
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_test_message ("%s", rows[i].path);
    read_range (&reader, &server, rows[i].path, 100, 110);
    g_assert_cmpint (reader.result, ==, rows[i].result);
    g_assert_nonnull (strstr (reader.why, rows[i].why));
    g_assert_cmpuint (reader.bytes->len, <=, 10);
  }
  read_range (&reader, &server, "/film", 100, 110); /* it works on */
  g_assert_cmpint (reader.result, ==, NET_RANGES_WHOLE);
  g_autofree char *uri = g_strconcat (server.base, "/film", NULL);
  reader.done = 0;
  net_ranges_get (reader.ranges, uri, 100, 110, LENGTH + 1);
  while (reader.done == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (reader.result, ==, NET_RANGES_USELESS);
  g_assert_nonnull (strstr (reader.why, "another length"));
  reader_clear (&reader);
  server_clear (&server);
}

static void
test_silence (void)
{
  Server server;
  Reader reader;
  server_init (&server);
  reader_init (&reader, "file:", 1);
  read_range (&reader, &server, "/silence", 0, 10);
  g_assert_cmpint (reader.result, ==, NET_RANGES_BROKEN);
  reader_clear (&reader);
  server_clear (&server);
}

/* --- never silent, and never done --- */

static gboolean
drip (gpointer stream)
{
  return g_output_stream_write (g_io_stream_get_output_stream (stream), "x", 1, NULL, NULL) == 1;
}

static gboolean
on_incoming (GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  static const char head[] = "HTTP/1.1 206 Partial Content\r\nContent-Length: 300000\r\n"
                             "Content-Range: bytes 0-299999/300000\r\n\r\n";
  GIOStream *stream = G_IO_STREAM (connection);
  g_output_stream_write_all (g_io_stream_get_output_stream (stream), head, strlen (head), NULL,
                             NULL, NULL);
  g_timeout_add_full (G_PRIORITY_DEFAULT, 50, drip, g_object_ref (stream), g_object_unref);
  return TRUE;
}

static void
test_drops (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketService) service = g_socket_service_new ();
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0),
                             at = NULL;
  g_socket_listener_add_address (G_SOCKET_LISTENER (service), any, G_SOCKET_TYPE_STREAM,
                                 G_SOCKET_PROTOCOL_TCP, NULL, &at, &error);
  g_assert_no_error (error);
  g_signal_connect (service, "incoming", G_CALLBACK (on_incoming), NULL);
  Server server = {
      .base = g_strdup_printf ("http://127.0.0.1:%u",
                               g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (at)))};
  Reader reader;
  reader_init (&reader, "file:", 1);
  read_range (&reader, &server, "/", 0, LENGTH);
  g_assert_cmpint (reader.result, ==, NET_RANGES_BROKEN);
  g_assert_cmpuint (reader.bytes->len, <, LENGTH);
  reader_clear (&reader);
  g_socket_service_stop (service);
  g_free (server.base);
}

static void
test_cancel (void)
{
  Server server;
  Reader reader;
  server_init (&server);
  reader_init (&reader, "file:", PATIENCE);
  begin (&reader, &server, "/film", 0, 10); /* before it has begun */
  net_ranges_cancel (reader.ranges);
  g_assert_false (net_ranges_is_busy (reader.ranges));
  reader.cancels = true; /* in the middle */
  begin (&reader, &server, "/film", 0, LENGTH);
  while (net_ranges_is_busy (reader.ranges))
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (reader.done, ==, 0);
  g_assert_cmpuint (reader.bytes->len, <, LENGTH);
  reader.cancels = false;
  read_range (&reader, &server, "/film", 5, LENGTH);
  g_assert_cmpint (reader.result, ==, NET_RANGES_WHOLE);
  g_assert_cmpmem (reader.bytes->data, reader.bytes->len, server.bytes + 5, LENGTH - 5);
  begin (&reader, &server, "/silence", 0, 10); /* and by the end */
  reader_clear (&reader);
  g_assert_cmpuint (reader.done, ==, 0);
  server_clear (&server);
}

/* A list of strangers does not make us ask who is at home. */
static void
test_reach (void)
{
  Server server;
  Reader reader;
  server_init (&server);
  reader_init (&reader, "http://list.example/channels.m3u", PATIENCE);
  read_range (&reader, &server, "/film", 0, 10);
  g_assert_cmpint (reader.result, ==, NET_RANGES_BROKEN);
  g_assert_cmpuint (server.asked, ==, 0);
  reader_clear (&reader);
  server_clear (&server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/ranges/what-was-asked-for-comes", test_whole);
  g_test_add_func ("/net/ranges/what-is-wrong-is-told", test_faults);
  g_test_add_func ("/net/ranges/silence-ends", test_silence);
  g_test_add_func ("/net/ranges/drops-end-too", test_drops);
  g_test_add_func ("/net/ranges/one-can-be-given-up", test_cancel);
  g_test_add_func ("/net/ranges/a-strangers-list-reaches-nobody-at-home", test_reach);
  return g_test_run ();
}
