/* SPDX-License-Identifier: Apache-2.0 */
/* The server runs here; the clients are threads with plain sockets, so that what is on the wire is
 * what is compared. */
#include "dlna/media.h"
#include "tests/dlna/fake-library.h"
#include "tests/lib/listen.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILM_SIZE 1000000

typedef struct {
  FakeLibrary *library;
  SoupServer *server;
  DlnaQuirks *quirks;
  DlnaClients *clients;
  DlnaMedia *media;
  uint16_t port;
} Fixture;

static DlnaQuirks *
read_quirks (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp ("ppsp-XXXXXX", &path, &error);
  DlnaQuirks *quirks;

  g_assert_no_error (error);
  close (fd);
  g_assert_true (g_file_set_contents (
      path, "[Chunky]\nuser-agent=Chunky\nchunked=true\ntransport-type=video/mp2t\n", -1, NULL));
  quirks = dlna_quirks_new (path, &error);
  g_assert_no_error (error);
  unlink (path);
  return quirks;
}

static void
set_up (Fixture *self, gconstpointer data)
{
  self->library = fake_library_new ();
  fake_library_add (self->library, fake_library_folder ("live", "Live"));
  fake_library_add (self->library, fake_library_channel ("news.1", "News", 1));
  fake_library_add (self->library, fake_library_film ("film", "Film", FILM_SIZE));
  fake_library_add (self->library, fake_library_film ("empty", "Empty", 0));
  self->server = soup_server_new (NULL, NULL);
  self->port = listen_local (self->server);
  self->quirks = read_quirks ();
  self->clients = dlna_clients_new (self->quirks);
  self->media =
      dlna_media_attach (self->server, DLNA_LIBRARY (self->library), self->quirks, self->clients);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_clear_pointer (&self->media, dlna_media_free);
  g_clear_pointer (&self->clients, dlna_clients_free);
  g_clear_pointer (&self->quirks, dlna_quirks_free);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (fake_library_streams (self->library), ==, 0);
  g_assert_finalize_object (self->library);
}

static int
dial (uint16_t port)
{
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons (port), .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct timeval limit = {.tv_sec = 20};

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), ==, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *)&to, sizeof to), ==, 0);
  return fd;
}

static void
say (int fd, const char *text)
{
  g_assert_cmpint (send (fd, text, strlen (text), MSG_NOSIGNAL), ==, (ssize_t)strlen (text));
}

typedef struct {
  uint16_t port;
  const char *request;
  GString *reply;
  gint done;
} Exchange;

static gpointer
exchange_thread (gpointer data)
{
  Exchange *self = data;
  int fd = dial (self->port);
  char buffer[65536];
  ssize_t n;

  say (fd, self->request);
  while ((n = recv (fd, buffer, sizeof buffer, 0)) > 0)
    g_string_append_len (self->reply, buffer, n);
  close (fd);
  g_atomic_int_set (&self->done, 1);
  g_main_context_wakeup (NULL);
  return NULL;
}

/* Sends the request (each line ends in \n here, in \r\n on the wire) and reads until the server
 * closes. */
static GString *
exchange (Fixture *fixture, const char *request)
{
  g_auto (GStrv) lines = g_strsplit (request, "\n", -1);
  g_autofree char *wire = g_strjoinv ("\r\n", lines);
  Exchange self = {fixture->port, wire, g_string_new (NULL), 0};
  GThread *thread = g_thread_new ("client", exchange_thread, &self);

  while (!g_atomic_int_get (&self.done))
    g_main_context_iteration (NULL, TRUE);
  g_thread_join (thread);
  return self.reply;
}

static const char *
body_of (const GString *reply, size_t *n)
{
  const char *end = strstr (reply->str, "\r\n\r\n");

  g_assert_nonnull (end);
  if (n != NULL)
    *n = reply->len - (size_t)(end + 4 - reply->str);
  return end + 4;
}

/* line: "Name: value", or "Name:" for its presence. */
static bool
has (const GString *reply, const char *line)
{
  g_autofree char *head = g_strndup (reply->str, (size_t)(body_of (reply, NULL) - reply->str));
  g_autofree char *wanted =
      g_strconcat ("\r\n", line, g_str_has_suffix (line, ":") ? "" : "\r\n", NULL);
  g_autofree char *low_head = g_ascii_strdown (head, -1);
  g_autofree char *low_wanted = g_ascii_strdown (wanted, -1);

  return strstr (low_head, low_wanted) != NULL;
}

static void
assert_film (const GString *reply, int64_t first, int64_t end)
{
  size_t n;
  const char *body = body_of (reply, &n);

  g_assert_cmpint ((int64_t)n, ==, end - first);
  for (int64_t i = first; i < end; i++)
    if ((uint8_t)body[i - first] != fake_library_byte (i))
      g_error ("byte %" G_GINT64_FORMAT " differs", i);
}

static GBytes *
piece (char fill, size_t n)
{
  char *bytes = g_malloc (n);
  memset (bytes, fill, n);
  return g_bytes_new_take (bytes, n);
}

/* Pushes two pieces and the end as soon as a stream is open. */
static gboolean
feed (gpointer data)
{
  Fixture *self = data;
  g_autoptr (GBytes) a = piece ('a', 1000), b = piece ('b', 70000);

  if (fake_library_streams (self->library) == 0)
    return G_SOURCE_CONTINUE;
  fake_library_push (self->library, a);
  fake_library_push (self->library, b);
  fake_library_end (self->library);
  return G_SOURCE_REMOVE;
}

static void
assert_live (const GString *reply)
{
  size_t n;
  const char *body = body_of (reply, &n);

  g_assert_cmpuint (n, ==, 71000);
  g_assert_true (body[0] == 'a' && body[999] == 'a' && body[1000] == 'b' && body[70999] == 'b');
  g_assert_true (has (reply, "Connection: close"));
  g_assert_true (has (reply, "Accept-Ranges: none"));
  g_assert_false (has (reply, "Content-Length:"));
  g_assert_false (has (reply, "Transfer-Encoding:"));
  g_assert_true (has (reply, "Content-Type: video/mpeg"));
  g_assert_true (has (reply, "transferMode.dlna.org: Streaming"));
  g_assert_true (has (reply, "contentFeatures.dlna.org: DLNA.ORG_OP=00;DLNA.ORG_CI=0;"
                             "DLNA.ORG_FLAGS=8D100000000000000000000000000000"));
}

static void
test_live (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) reply = NULL;

  g_idle_add (feed, self);
  reply = exchange (self, "GET /media/news.1.ts HTTP/1.1\nHost: x\nRange: bytes=0-\n"
                          "User-Agent: VLC/3.0\ngetcontentFeatures.dlna.org: 1\n"
                          "transferMode.dlna.org: Streaming\n\n");
  g_assert_true (g_str_has_prefix (reply->str, "HTTP/1.1 200 "));
  assert_live (reply);
  g_assert_cmpint (fake_library_position (self->library)->type, ==, DLNA_POSITION_LIVE);
  g_assert_cmpstr (fake_library_position (self->library)->viewer, ==, "127.0.0.1 VLC/3.0");
}

static void
test_live_1_0 (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) reply = NULL;

  g_idle_add (feed, self);
  reply = exchange (self, "GET /media/news.1.ts HTTP/1.0\n\n");
  g_assert_true (g_str_has_prefix (reply->str, "HTTP/1.0 200 "));
  assert_live (reply);
}

/* All chunks of a body are whole, the last is empty, and nothing stands behind it. */
static void
assert_chunks (const GString *reply, size_t total)
{
  size_t n, sum = 0, size;
  const char *at = body_of (reply, &n), *end = at + n;

  do {
    char *line;
    size = strtoul (at, &line, 16);
    g_assert_true (line > at && line[0] == '\r' && line[1] == '\n');
    at = line + 2 + size;
    g_assert_cmpint (end - at, >=, 2);
    g_assert_true (at[0] == '\r' && at[1] == '\n');
    at += 2;
    sum += size;
  } while (size > 0);
  g_assert_true (at == end);
  g_assert_cmpuint (sum, ==, total);
}

/* What a row of the quirks says of a renderer is done to it, and to no other. */
static void
test_quirks (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) chunked = NULL, old = NULL, philips = NULL, other = NULL;

  g_idle_add (feed, self);
  chunked = exchange (self, "GET /media/news.1.ts HTTP/1.1\nHost: x\nUser-Agent: Chunky/2\n\n");
  g_assert_true (g_str_has_prefix (chunked->str, "HTTP/1.1 200 "));
  g_assert_true (has (chunked, "Transfer-Encoding: chunked"));
  g_assert_true (has (chunked, "Connection: close"));
  g_assert_true (has (chunked, "Date:")); /* RFC 9110, section 6.6.1 */
  assert_chunks (chunked, 71000);
  g_assert_true (has (chunked, "Content-Type: video/mp2t"));
  old = exchange (self, "GET /media/news.1.ts HTTP/1.0\nUser-Agent: Chunky/2\n\n");
  g_assert_true (g_str_has_prefix (old->str, "HTTP/1.0 200 "));
  g_assert_false (has (old, "Transfer-Encoding"));
  philips = exchange (self, "GET /media/news.1.ts HTTP/1.1\nHost: x\nUser-Agent: IPI/1.0\n"
                            "Range: bytes=109951162777-\n\n");
  g_assert_true (g_str_has_prefix (philips->str, "HTTP/1.1 200 "));
  g_assert_true (has (philips, "Connection: close"));
  other = exchange (self, "GET /media/news.1.ts HTTP/1.1\nHost: x\nConnection: close\n"
                          "Range: bytes=109951162777-\n\n");
  g_assert_true (g_str_has_prefix (other->str, "HTTP/1.1 416 "));
}

static void
test_head (Fixture *self, gconstpointer data)
{
  static const char *const same[] = {"Content-Type: video/mpeg", "Connection: close",
                                     "Accept-Ranges: none", "transferMode.dlna.org: Streaming",
                                     "contentFeatures.dlna.org:"};
  g_autoptr (GString) live =
      exchange (self, "HEAD /media/news.1.ts HTTP/1.1\nHost: x\nConnection: close\n\n");
  g_autoptr (GString) film =
      exchange (self, "HEAD /media/film.mp4 HTTP/1.1\nHost: x\nConnection: close\n\n");
  size_t n;

  g_assert_true (g_str_has_prefix (live->str, "HTTP/1.1 200 "));
  for (size_t i = 0; i < G_N_ELEMENTS (same); i++)
    g_assert_true (has (live, same[i]));
  g_assert_false (has (live, "Content-Length:"));
  body_of (live, &n);
  g_assert_cmpuint (n, ==, 0);

  g_assert_true (g_str_has_prefix (film->str, "HTTP/1.1 200 "));
  g_assert_true (has (film, "Content-Length: 1000000"));
  g_assert_true (has (film, "Content-Type: video/mp4"));
  g_assert_true (has (film, "Accept-Ranges: bytes"));
  body_of (film, &n);
  g_assert_cmpuint (n, ==, 0);
  g_assert_cmpuint (fake_library_opened (self->library), ==, 0);
}

typedef struct {
  const char *request; /* path and headers */
  int status;
  const char *header; /* that the reply must have; NULL = none */
} Answer;

static void
assert_answers (Fixture *self, const char *method, const Answer *rows, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const char *line = strchr (rows[i].request, '\n');
    g_autofree char *path = g_strndup (rows[i].request, (size_t)(line - rows[i].request));
    g_autofree char *request =
        g_strdup_printf ("%s %s HTTP/1.1\nHost: x\nConnection: close%s\n\n", method, path, line);
    g_autofree char *status = g_strdup_printf ("HTTP/1.1 %d ", rows[i].status);
    g_autoptr (GString) reply = exchange (self, request);

    if (!g_str_has_prefix (reply->str, status))
      g_error ("%s: wanted %s, got %.40s", rows[i].request, status, reply->str);
    if (rows[i].header != NULL && !has (reply, rows[i].header))
      g_error ("%s: no %s", rows[i].request, rows[i].header);
  }
}

static void
test_refused (Fixture *self, gconstpointer data)
{
  static const Answer rows[] = {
      {"/media/news.1.ts\nRange: bytes=1-", 416, NULL},
      {"/media/news.1.ts\nRange: bytes=0-1", 416, NULL},
      {"/media/news.1.ts\nRange: bytes=-188", 416, NULL},
      {"/media/news.1.ts\nRange: bytes=99999999999999999999-", 416, NULL},
      {"/media/news.1.ts\nTimeSeekRange.dlna.org: npt=0-", 406, NULL},
      {"/media/news.1.ts\nPlaySpeed.dlna.org: speed=2", 406, NULL},
      {"/media/news.1.ts\ntransferMode.dlna.org: Interactive", 406, NULL},
      {"/media/news.1.ts\ntransferMode.dlna.org: Background", 406, NULL},
      {"/media/news.1.ts\ntransferMode.dlna.org: Nonsense", 400, NULL},
      {"/media/news.1.ts\ngetcontentFeatures.dlna.org: 0", 400, NULL},
      {"/media/film.mp4\nRange: bytes=1000000-", 416, "Content-Range: bytes */1000000"},
      {"/media/film.mp4\nRange: bytes=-0", 416, "Content-Range: bytes */1000000"},
      {"/media/empty.mp4\nRange: bytes=0-", 416, "Content-Range: bytes */0"},
      {"/media/none.ts\n", 404, NULL},
      {"/media/film.ts\n", 404, NULL},
      {"/media/film\n", 404, NULL},
      {"/media/\n", 404, NULL},
      {"/media\n", 404, NULL},
      {"/media/live.ts\n", 404, NULL},
      {"/media/0.ts\n", 404, NULL},
      {"/media/news.1.ts/\n", 404, NULL},
      {"/media/news.1.ts/x\n", 404, NULL},
      {"/media/news.1.tsx\n", 404, NULL},
      {"/media/.ts\n", 404, NULL},
      {"/media/%ff.ts\n", 404, NULL},
      {"/media/a%2fb.ts\n", 404, NULL},
      {"/media/%2e%2e/x.ts\n", 404, NULL},
  };

  assert_answers (self, "GET", rows, G_N_ELEMENTS (rows));
  g_assert_cmpuint (fake_library_opened (self->library), ==, 0);
}

static void
test_methods (Fixture *self, gconstpointer data)
{
  static const Answer rows[] = {{"/media/film.mp4\nContent-Length: 0", 405, "Allow: GET, HEAD"}};

  assert_answers (self, "POST", rows, 1);
  assert_answers (self, "DELETE", rows, 1);
}

/* So many seconds behind live, of what is live. */
static void
test_back (Fixture *self, gconstpointer data)
{
  static const Answer bad[] = {{"/media/news.1.ts?back=\n", 400, "Content-Length: 0"},
                               {"/media/news.1.ts?back=-1\n", 400, NULL},
                               {"/media/news.1.ts?back=1.5\n", 400, NULL},
                               {"/media/news.1.ts?back=604801\n", 400, NULL},
                               {"/media/film.mp4?back=5\n", 400, NULL}};
  g_autoptr (GString) reply = NULL;

  assert_answers (self, "GET", bad, G_N_ELEMENTS (bad));
  g_assert_cmpuint (fake_library_opened (self->library), ==, 0);
  g_idle_add (feed, self);
  reply = exchange (self, "GET /media/news.1.ts?x=1&back=90 HTTP/1.1\nHost: x\n\n");
  g_assert_true (g_str_has_prefix (reply->str, "HTTP/1.1 200 "));
  assert_live (reply);
  g_assert_cmpint (fake_library_position (self->library)->type, ==, DLNA_POSITION_LIVE);
  g_assert_cmpint (fake_library_position (self->library)->back, ==, 90 * G_USEC_PER_SEC);
}

/* TimeSeekRange.dlna.org of what is live: within what is kept now. */
static void
test_live_time (Fixture *self, gconstpointer data)
{
  static const Answer refused[] = {
      {"/media/news.1.ts\nTimeSeekRange.dlna.org: npt=99-", 416, NULL},
      {"/media/news.1.ts\nTimeSeekRange.dlna.org: npt=201-", 416, NULL},
      {"/media/news.1.ts\nTimeSeekRange.dlna.org: npt=now-", 400, NULL},
      {"/media/news.1.ts\nTimeSeekRange.dlna.org: npt=101-\nRange: bytes=0-", 406, NULL},
      {"/media/news.1.ts\ngetAvailableSeekRange.dlna.org: 2", 400, NULL}};
  static const Answer said[] = {{"/media/news.1.ts\ngetAvailableSeekRange.dlna.org: 1", 200,
                                 "availableSeekRange.dlna.org: 1 npt=100.250-200.500"}};
  static const Answer not_now[] = {
      {"/media/news.1.ts\nTimeSeekRange.dlna.org: npt=101-", 406, NULL}};
  DlnaItem *item = fake_library_item (self->library, "news.1");
  g_autoptr (GString) reply = NULL;

  item->pausable = true;
  assert_answers (self, "GET", not_now, 1);
  item->from = 100250000;
  item->until = 200500000;
  assert_answers (self, "GET", refused, G_N_ELEMENTS (refused));
  assert_answers (self, "HEAD", said, 1);
  g_assert_cmpuint (fake_library_opened (self->library), ==, 0);
  g_idle_add (feed, self);
  reply = exchange (self, "GET /media/news.1.ts HTTP/1.1\nHost: x\n"
                          "TimeSeekRange.dlna.org: npt=151.75-\n\n");
  g_assert_true (g_str_has_prefix (reply->str, "HTTP/1.1 200 "));
  g_assert_true (has (reply, "TimeSeekRange.dlna.org: npt=150.000-200.500/*"));
  g_assert_true (has (reply, "contentFeatures.dlna.org: DLNA.ORG_OP=00;DLNA.ORG_CI=0;"
                             "DLNA.ORG_FLAGS=4D300000000000000000000000000000"));
  g_assert_cmpint (fake_library_position (self->library)->type, ==, DLNA_POSITION_TIME);
  g_assert_cmpint (fake_library_position (self->library)->first, ==, 150 * G_USEC_PER_SEC);
}

static void
test_open_fails (Fixture *self, gconstpointer data)
{
  static const Answer late[] = {{"/media/news.1.ts\n", 503, "Retry-After: 5"}};
  static const Answer gone[] = {{"/media/news.1.ts\n", 404, "Content-Length: 0"}};
  static const Answer bad[] = {
      {"/media/film.mp4\nRange: bytes=5-", 416, "Content-Range: bytes */1000000"}};

  fake_library_set_open (self->library, G_IO_ERROR_TIMED_OUT);
  assert_answers (self, "GET", late, 1);
  fake_library_set_open (self->library, G_IO_ERROR_FAILED);
  assert_answers (self, "GET", late, 1);
  fake_library_set_open (self->library, G_IO_ERROR_NOT_FOUND);
  assert_answers (self, "GET", gone, 1);
  fake_library_set_open (self->library, G_IO_ERROR_INVALID_ARGUMENT);
  assert_answers (self, "GET", bad, 1);
}

static void
test_ranges (Fixture *self, gconstpointer data)
{
  static const struct {
    const char *range;
    int64_t first, end;
  } rows[] = {
      {"bytes=0-", 0, FILM_SIZE},
      {"bytes=0-0", 0, 1},
      {"bytes=65535-65536", 65535, 65537},
      {"bytes=999999-", 999999, FILM_SIZE},
      {"bytes=-100000", FILM_SIZE - 100000, FILM_SIZE},
      {"bytes=500000-99999999999999999999", 500000, FILM_SIZE},
      {"bytes=123-456789", 123, 456790},
  };
  static const char *const whole[] = {"Range: bytes=5-1", "Range: bytes=0-1,5-6", "Range: items=0-",
                                      "Range: bytes=0-9\nIf-Range: \"x\"", "X: y"};

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *request =
        g_strdup_printf ("GET /media/film.mp4 HTTP/1.%d\nHost: x\nConnection: close\nRange: %s\n\n",
                         (int)(i % 2), rows[i].range);
    g_autofree char *content =
        g_strdup_printf ("Content-Range: bytes %" G_GINT64_FORMAT "-%" G_GINT64_FORMAT "/%d",
                         rows[i].first, rows[i].end - 1, FILM_SIZE);
    g_autofree char *length =
        g_strdup_printf ("Content-Length: %" G_GINT64_FORMAT, rows[i].end - rows[i].first);
    g_autoptr (GString) reply = exchange (self, request);

    g_assert_true (strncmp (reply->str + strlen ("HTTP/1.x "), "206 ", 4) == 0);
    g_assert_true (has (reply, content));
    g_assert_true (has (reply, length));
    assert_film (reply, rows[i].first, rows[i].end);
    /* and not a byte more was asked of the library */
    g_assert_cmpint (fake_library_position (self->library)->first, ==, rows[i].first);
    g_assert_cmpint (fake_library_position (self->library)->end, ==, rows[i].end);
  }
  for (size_t i = 0; i < G_N_ELEMENTS (whole); i++) {
    g_autofree char *request = g_strdup_printf (
        "GET /media/film.mp4 HTTP/1.1\nHost: x\nConnection: close\n%s\n\n", whole[i]);
    g_autoptr (GString) reply = exchange (self, request);

    g_assert_true (g_str_has_prefix (reply->str, "HTTP/1.1 200 "));
    g_assert_true (has (reply, "Content-Length: 1000000"));
    assert_film (reply, 0, FILM_SIZE);
  }
}

/* TimeSeekRange.dlna.org: where the library finds the time, to the end. */
static void
test_times (Fixture *self, gconstpointer data)
{
  static const Answer refused[] = {
      {"/media/timed.ts\nTimeSeekRange.dlna.org: npt=x-", 400, NULL},
      {"/media/timed.ts\nTimeSeekRange.dlna.org: npt=100-", 416, NULL},
      {"/media/timed.ts\nTimeSeekRange.dlna.org: npt=1-\nRange: bytes=0-", 406, NULL},
      {"/media/film.mp4\nTimeSeekRange.dlna.org: npt=1-", 406, NULL},
  };
  static const Answer late[] = {
      {"/media/timed.ts\nTimeSeekRange.dlna.org: npt=1-", 503, "Retry-After: 5"}};
  DlnaItem *item = fake_library_film ("timed", "Timed", FILM_SIZE);
  g_autoptr (GString) reply = NULL, whole = NULL;

  g_free (item->mime);
  item->mime = g_strdup ("video/mp2t");
  g_clear_pointer (&item->extension, g_free);
  item->duration = 100 * G_USEC_PER_SEC;
  item->seeks_time = true;
  fake_library_add (self->library, item);
  assert_answers (self, "GET", refused, G_N_ELEMENTS (refused));
  g_assert_cmpuint (fake_library_opened (self->library), ==, 0);
  reply = exchange (self, "GET /media/timed.ts HTTP/1.1\nHost: x\nConnection: close\n"
                          "TimeSeekRange.dlna.org: npt=0:00:50.500-\n\n");
  g_assert_true (g_str_has_prefix (reply->str, "HTTP/1.1 200 "));
  g_assert_true (has (reply, "TimeSeekRange.dlna.org: npt=50.000-100.000/100.000 "
                             "bytes=500000-999999/1000000"));
  g_assert_true (has (reply, "Content-Length: 500000"));
  g_assert_false (has (reply, "Content-Range:"));
  g_assert_true (has (reply, "contentFeatures.dlna.org: DLNA.ORG_OP=11;DLNA.ORG_CI=0;"
                             "DLNA.ORG_FLAGS=01700000000000000000000000000000"));
  assert_film (reply, 500000, FILM_SIZE);
  whole = exchange (self, "GET /media/timed.ts HTTP/1.0\nTimeSeekRange.dlna.org: npt=0-\n\n");
  g_assert_true (g_str_has_prefix (whole->str, "HTTP/1.0 200 "));
  assert_film (whole, 0, FILM_SIZE);
  fake_library_set_open (self->library, G_IO_ERROR_TIMED_OUT);
  assert_answers (self, "GET", late, 1);
}

static void
test_empty (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) reply =
      exchange (self, "GET /media/empty.mp4 HTTP/1.1\nHost: x\nConnection: close\n\n");

  g_assert_true (g_str_has_prefix (reply->str, "HTTP/1.1 200 "));
  g_assert_true (has (reply, "Content-Length: 0"));
}

/* A keep-alive connection with three requests, the middle one a range. */
static void
test_keep_alive (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) reply =
      exchange (self, "HEAD /media/film.mp4 HTTP/1.1\nHost: x\n\n"
                      "GET /media/film.mp4 HTTP/1.1\nHost: x\nRange: bytes=10-19\n\n"
                      "GET /media/none.mp4 HTTP/1.1\nHost: x\nConnection: close\n\n");
  const char *second = strstr (reply->str + 1, "HTTP/1.1 206 ");

  g_assert_true (g_str_has_prefix (reply->str, "HTTP/1.1 200 "));
  g_assert_nonnull (second);
  g_assert_nonnull (strstr (second, "HTTP/1.1 404 "));
}

typedef struct {
  Fixture *fixture;
  GSocket *socket;
  unsigned requests;
  int film, paused; /* ms that the kernel waits for a reader; 0 = as long as it likes */
} Patience;

static int
patience_of (GSocket *socket)
{
  int ms = -1;
  g_assert_true (g_socket_get_option (socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, NULL));
  return ms;
}

static void
on_request_read (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  Patience *self = data;
  g_set_object (&self->socket, soup_server_message_get_socket (message));
  if (++self->requests == 2)
    self->film = patience_of (self->socket);
}

static gboolean
feed_paused (gpointer data)
{
  Patience *self = data;
  if (self->requests < 2 || fake_library_streams (self->fixture->library) == 0)
    return G_SOURCE_CONTINUE;
  self->paused = patience_of (self->socket);
  return feed (self->fixture);
}

/* Who may pause what is live may do so on the connection that a film came by, too. */
static void
test_pause_behind_a_film (Fixture *self, gconstpointer data)
{
  Patience patience = {.fixture = self, .paused = -1};
  g_autoptr (GString) reply = NULL;

  fake_library_item (self->library, "news.1")->pausable = true;
  g_signal_connect (self->server, "request-read", G_CALLBACK (on_request_read), &patience);
  g_idle_add (feed_paused, &patience);
  reply = exchange (self, "GET /media/film.mp4 HTTP/1.1\nHost: x\nRange: bytes=10-19\n\n"
                          "GET /media/news.1.ts HTTP/1.1\nHost: x\n\n");
  g_assert_nonnull (strstr (reply->str + 1, "HTTP/1.1 200 "));
  g_assert_cmpint (patience.film, >, 0);
  g_assert_cmpint (patience.paused, ==, 0);
  g_object_unref (patience.socket);
}

/* What was promised and cannot be had must not look whole: the connection ends short of it. */
static void
test_breaks_off (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) reply = NULL;
  size_t n;

  fake_library_set_break (self->library, 100000);
  reply = exchange (self, "GET /media/film.mp4 HTTP/1.1\nHost: x\n\n");
  g_assert_true (has (reply, "Content-Length: 1000000"));
  body_of (reply, &n);
  g_assert_cmpuint (n, <=, 100000);
  g_assert_cmpuint (fake_library_streams (self->library), ==, 0);
}

static void
iterate_until_gone (Fixture *self)
{
  while (fake_library_streams (self->library) > 0 || fake_library_cancelled (self->library) == 0) {
    g_main_context_iteration (NULL, TRUE);
    if (fake_library_streams (self->library) == 0 && fake_library_opened (self->library) > 0)
      break;
  }
}

/* No byte comes that could find the connection closed. */
static void
test_leaves_while_it_waits (Fixture *self, gconstpointer data)
{
  int fd = dial (self->port);

  say (fd, "GET /media/news.1.ts HTTP/1.1\r\nHost: x\r\n\r\n");
  while (fake_library_streams (self->library) == 0)
    g_main_context_iteration (NULL, TRUE);
  close (fd);
  iterate_until_gone (self);
  g_assert_cmpuint (fake_library_streams (self->library), ==, 0);
  {
    g_autoptr (GPtrArray) viewers = dlna_media_viewers (self->media);
    g_assert_cmpuint (viewers->len, ==, 0);
  }
}

static void
test_leaves_while_it_opens (Fixture *self, gconstpointer data)
{
  int fd = dial (self->port);

  fake_library_set_open (self->library, -2);
  say (fd, "GET /media/news.1.ts HTTP/1.1\r\nHost: x\r\n\r\n");
  while (fake_library_opened (self->library) == 0)
    g_main_context_iteration (NULL, TRUE);
  close (fd);
  while (fake_library_cancelled (self->library) == 0)
    g_main_context_iteration (NULL, TRUE);
}

/* What became of each request, with the time to the first byte, for who asks why a set does not play. */
static void
test_clients (Fixture *self, gconstpointer data)
{
  const GPtrArray *list = dlna_clients_list (self->clients);
  g_autoptr (GString) played = NULL, refused = NULL, headers = NULL;
  g_autofree char *quirk = NULL;
  const DlnaClient *client;
  const DlnaClientEvent *event;
  int fd;

  g_idle_add (feed, self);
  played = exchange (self, "GET /media/news.1.ts HTTP/1.1\nHost: x\nUser-Agent: Chunky/2\n\n");
  while (list->len == 0)
    g_main_context_iteration (NULL, TRUE);
  client = list->pdata[0];
  quirk = dlna_quirk_text (client->quirk);
  g_assert_cmpstr (client->quirk->family, ==, "Chunky");
  g_assert_cmpstr (quirk, ==, "transport-type=video/mp2t chunked=true");
  g_assert_cmpuint (client->streams, ==, 1);
  while (client->events.length == 0)
    g_main_context_iteration (NULL, TRUE);
  event = client->events.head->data;
  g_assert_cmpuint (event->status, ==, 200);
  g_assert_true (g_str_has_prefix (event->what, "GET /media/news.1.ts: 71000 bytes in "));
  g_assert_nonnull (strstr (event->what, ", the first after "));

  refused = exchange (self, "GET /media/news.1.ts HTTP/1.1\nHost: x\nUser-Agent: Chunky/2\n"
                            "Connection: close\nPlaySpeed.dlna.org: speed=2\n\n");
  event = client->events.tail->data;
  g_assert_cmpuint (event->status, ==, 406);
  g_assert_cmpstr (event->what, ==, "GET /media/news.1.ts");
  g_assert_cmpuint (client->refused, ==, 1);
  headers = exchange (self, "HEAD /media/film.mp4 HTTP/1.1\nHost: x\nUser-Agent: Chunky/2\n"
                            "Connection: close\n\n");
  event = client->events.tail->data;
  g_assert_cmpstr (event->what, ==, "HEAD /media/film.mp4");

  fake_library_set_open (self->library, -2);
  fd = dial (self->port);
  say (fd, "GET /media/news.1.ts HTTP/1.1\r\nHost: x\r\nUser-Agent: Chunky/2\r\n\r\n");
  while (fake_library_opened (self->library) < 2)
    g_main_context_iteration (NULL, TRUE);
  close (fd);
  while (client->asked < 4)
    g_main_context_iteration (NULL, TRUE);
  event = client->events.tail->data;
  g_assert_cmpuint (event->status, ==, 0);
  g_assert_nonnull (strstr (event->what, ", without a byte"));
  g_assert_cmpuint (client->streams, ==, 1);
}

static void
await_told (Fixture *self, const char *expected)
{
  while (g_strcmp0 (fake_library_told (self->library), expected) != 0)
    g_main_context_iteration (NULL, TRUE);
}

/* The library hears which part of a film was taken, when that is over, and nothing of what is live. */
static void
test_left (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) live = NULL, part = NULL, whole = NULL, other = NULL;

  g_idle_add (feed, self);
  live = exchange (self, "GET /media/news.1.ts HTTP/1.1\nHost: x\n\n");
  g_assert_null (fake_library_told (self->library));
  whole = exchange (self, "GET /media/film.mp4 HTTP/1.1\nHost: x\nConnection: close\n\n");
  await_told (self, "film 0-1000000");
  part = exchange (self, "GET /media/film.mp4 HTTP/1.1\nHost: x\nConnection: close\n"
                         "Range: bytes=1000-300000\n\n");
  await_told (self, "film 1000-300001");
  other = exchange (self, "GET /media/film.mp4 HTTP/1.1\nHost: x\nConnection: close\n"
                          "Range: bytes=1000-300000\nIf-Range: \"x\"\n\n"); /* gets all of it */
  await_told (self, "film 0-1000000");
}

static void
test_free_ends_streams (Fixture *self, gconstpointer data)
{
  int fd = dial (self->port), opening;
  char buffer[4096];
  ssize_t n;

  say (fd, "GET /media/news.1.ts HTTP/1.1\r\nHost: x\r\n\r\n");
  while (fake_library_streams (self->library) == 0)
    g_main_context_iteration (NULL, TRUE);
  fake_library_set_open (self->library, -2);
  opening = dial (self->port);
  say (opening, "GET /media/news.1.ts HTTP/1.1\r\nHost: x\r\n\r\n");
  while (fake_library_opened (self->library) < 2)
    g_main_context_iteration (NULL, TRUE);
  g_clear_pointer (&self->media, dlna_media_free);
  g_clear_pointer (&self->clients, dlna_clients_free);
  g_clear_pointer (&self->quirks, dlna_quirks_free);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (fake_library_streams (self->library), ==, 0);
  g_assert_cmpuint (fake_library_cancelled (self->library), ==, 1);
  while ((n = recv (fd, buffer, sizeof buffer, 0)) > 0)
    ;
  g_assert_cmpint (n, <=, 0); /* closed, not left hanging */
  g_assert_cmpint (recv (opening, buffer, sizeof buffer, 0), <=, 0);
  close (fd);
  close (opening);
}

#define VIEWERS 10
#define PIECES 400
#define PIECE 65536

typedef struct {
  int fd;
  uint64_t bytes;
  gint *done;
} Reader;

static gpointer
reader_thread (gpointer data)
{
  Reader *self = data;
  char buffer[65536];
  ssize_t n;

  while ((n = recv (self->fd, buffer, sizeof buffer, 0)) > 0)
    self->bytes += (uint64_t)n;
  close (self->fd);
  g_atomic_int_inc (self->done);
  g_main_context_wakeup (NULL);
  return NULL;
}

/* One viewer never reads. The others get all of 25 MB, and the one holds no more than one slice. */
static void
test_stalled (Fixture *self, gconstpointer data)
{
  static const char request[] = "GET /media/news.1.ts HTTP/1.1\r\nHost: x\r\n\r\n";
  Reader readers[VIEWERS];
  GThread *threads[VIEWERS];
  gint done = 0;
  int stalled = dial (self->port), small = 4096;
  g_autoptr (GPtrArray) viewers = NULL;
  uint64_t least;

  g_assert_cmpint (setsockopt (stalled, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), ==, 0);
  say (stalled, request);
  for (size_t i = 0; i < VIEWERS; i++) {
    readers[i] = (Reader){.fd = dial (self->port), .done = &done};
    say (readers[i].fd, request);
  }
  while (fake_library_streams (self->library) < VIEWERS + 1)
    g_main_context_iteration (NULL, TRUE);
  for (size_t i = 0; i < VIEWERS; i++)
    threads[i] = g_thread_new ("viewer", reader_thread, &readers[i]);
  for (int i = 0; i < PIECES; i++) {
    g_autoptr (GBytes) bytes = piece ('x', PIECE);
    fake_library_push (self->library, bytes);
    g_main_context_iteration (NULL, FALSE);
  }
  fake_library_end (self->library);
  while (g_atomic_int_get (&done) < VIEWERS)
    g_main_context_iteration (NULL, TRUE);
  for (size_t i = 0; i < VIEWERS; i++) {
    g_thread_join (threads[i]);
    g_assert_cmpuint (readers[i].bytes, >, (uint64_t)PIECES * PIECE);
  }

  viewers = dlna_media_viewers (self->media);
  g_assert_cmpuint (viewers->len, ==, 1); /* the stalled one is still there */
  least = ((DlnaViewer *)g_ptr_array_index (viewers, 0))->bytes;
  g_assert_cmpuint (least, <, (uint64_t)PIECES * PIECE / 2);
  g_assert_cmpuint ((uint64_t)fake_library_taken (self->library) * PIECE - least, <=, PIECE);
  g_assert_cmpstr (((DlnaViewer *)g_ptr_array_index (viewers, 0))->item_id, ==, "news.1");
  close (stalled);
  while (fake_library_streams (self->library) > 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_viewers (Fixture *self, gconstpointer data)
{
  int fd = dial (self->port);
  g_autoptr (GBytes) bytes = piece ('x', 50000);

  say (fd, "GET /media/news.1.ts HTTP/1.1\r\nHost: x\r\nUser-Agent: TV/1\r\n\r\n");
  while (fake_library_streams (self->library) == 0)
    g_main_context_iteration (NULL, TRUE);
  {
    g_autoptr (GPtrArray) viewers = dlna_media_viewers (self->media);
    const DlnaViewer *viewer = g_ptr_array_index (viewers, 0);
    g_assert_cmpuint (viewers->len, ==, 1);
    g_assert_cmpint (viewer->first_byte, ==, -1);
    g_assert_cmpuint (viewer->bytes, ==, 0);
  }
  fake_library_push (self->library, bytes);
  for (;;) {
    g_autoptr (GPtrArray) viewers = dlna_media_viewers (self->media);
    const DlnaViewer *viewer = g_ptr_array_index (viewers, 0);
    if (viewer->bytes < 50000) {
      g_main_context_iteration (NULL, TRUE);
      continue;
    }
    g_assert_cmpuint (viewer->bytes, ==, 50000);
    g_assert_cmpuint (viewer->rate, ==, 10000); /* over five seconds */
    g_assert_cmpint (viewer->first_byte, >=, 0);
    g_assert_cmpint (viewer->behind, ==, FAKE_BEHIND);
    g_assert_cmpstr (viewer->viewer, ==, "127.0.0.1 TV/1");
    break;
  }
  close (fd);
  while (fake_library_streams (self->library) > 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_too_many (Fixture *self, gconstpointer data)
{
  static const Answer full[] = {{"/media/news.1.ts\n", 503, "Retry-After: 5"}};
  int fds[128];

  for (size_t i = 0; i < G_N_ELEMENTS (fds); i++) {
    fds[i] = dial (self->port);
    say (fds[i], "GET /media/news.1.ts HTTP/1.1\r\nHost: x\r\n\r\n");
    while (fake_library_streams (self->library) <= i)
      g_main_context_iteration (NULL, TRUE);
  }
  assert_answers (self, "GET", full, 1);
  for (size_t i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  while (fake_library_streams (self->library) > 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
on_range (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GBytes **)data = soup_session_send_and_read_finish (SOUP_SESSION (source), result, NULL);
}

/* A client that is not ours. */
static void
test_soup_client (Fixture *self, gconstpointer data)
{
  g_autoptr (SoupSession) session = soup_session_new ();
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%u/media/film.mp4", self->port);
  g_autoptr (SoupMessage) message = soup_message_new ("GET", uri);
  g_autoptr (GBytes) bytes = NULL;
  goffset start, end, total;

  soup_message_headers_set_range (soup_message_get_request_headers (message), 1000, 1999);
  soup_session_send_and_read_async (session, message, 0, NULL, on_range, &bytes);
  while (bytes == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (soup_message_get_status (message), ==, 206);
  g_assert_true (soup_message_headers_get_content_range (
      soup_message_get_response_headers (message), &start, &end, &total));
  g_assert_cmpint (start, ==, 1000);
  g_assert_cmpint (end, ==, 1999);
  g_assert_cmpint (total, ==, FILM_SIZE);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, 1000);
  soup_session_abort (session);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add ("/dlna/media/" name, Fixture, NULL, set_up, test, tear_down)
  ADD ("live-ends-with-the-connection", test_live);
  ADD ("steps-back-from-live", test_back);
  ADD ("live-in-times", test_live_time);
  ADD ("live-for-http-1.0", test_live_1_0);
  ADD ("renderers-get-what-their-quirk-says", test_quirks);
  ADD ("head-opens-nothing", test_head);
  ADD ("what-cannot-be-is-refused", test_refused);
  ADD ("other-methods-are-refused", test_methods);
  ADD ("a-stream-that-does-not-start-is-503", test_open_fails);
  ADD ("ranges", test_ranges);
  ADD ("times", test_times);
  ADD ("empty-film", test_empty);
  ADD ("keep-alive", test_keep_alive);
  ADD ("pause-behind-a-film", test_pause_behind_a_film);
  ADD ("a-broken-promise-breaks-the-connection", test_breaks_off);
  ADD ("who-leaves-while-waiting-is-noticed", test_leaves_while_it_waits);
  ADD ("what-was-taken-of-a-film-is-told", test_left);
  ADD ("what-became-of-each-request-is-told", test_clients);
  ADD ("who-leaves-while-opening-cancels-it", test_leaves_while_it_opens);
  ADD ("free-ends-its-streams", test_free_ends_streams);
  ADD ("a-stalled-viewer-costs-the-others-nothing", test_stalled);
  ADD ("viewers-are-told", test_viewers);
  ADD ("too-many-viewers-are-refused", test_too_many);
  ADD ("a-client-that-is-not-ours", test_soup_client);
#undef ADD
  return g_test_run ();
}
