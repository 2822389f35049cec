/* SPDX-License-Identifier: Apache-2.0 */
/* A file goes out in pieces of 64 KiB, each read when the one before it is written, so that a slow
 * receiver costs one piece of memory. It is read with pread() on the loop: it lies in the page
 * cache of whoever has just hashed it, and is what the swarm reads as well.
 *
 * One range is answered with 206. Several in one request are answered with the whole, as RFC 9110,
 * 14.2, allows, because nobody who falls back on this asks for several. */
#include "peer/origin/download.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "/content/"
#define PIECE 65536 /* bytes */

typedef struct {
  SoupServerMessage *message;
  int fd;
  goffset at, end; /* bytes */
} Sending;

static void
sending_free (gpointer data)
{
  Sending *self = data;

  close (self->fd);
  g_free (self);
}

/* Behind a listener that gave the server a stream, libsoup knows of no socket; the listener leaves
 * it with the message. */
static GSocket *
socket_of (SoupServerMessage *message)
{
  GSocket *socket = soup_server_message_get_socket (message);

  return socket != NULL ? socket : g_object_get_data (G_OBJECT (message), "ppsp-socket");
}

static void
send_next (SoupServerMessage *message, Sending *self)
{
  size_t n = (size_t)MIN (self->end - self->at, PIECE);
  uint8_t *bytes;
  ssize_t got;

  if (n == 0) {
    soup_message_body_complete (soup_server_message_get_response_body (message));
    return;
  }
  bytes = g_malloc (n);
  do
    got = pread (self->fd, bytes, n, self->at);
  while (got < 0 && errno == EINTR);
  if (got <= 0) {
    /* The file has become shorter: what was promised cannot be kept, and the receiver must not
     * take what it has for the whole. */
    GSocket *socket = socket_of (message);

    g_free (bytes);
    if (socket != NULL)
      g_socket_shutdown (socket, TRUE, TRUE, NULL);
    return;
  }
  self->at += got;
  soup_message_body_append_take (soup_server_message_get_response_body (message), bytes,
                                 (gsize)got);
}

static void
begin (SoupServerMessage *message, int fd, goffset first, goffset end)
{
  Sending *self = g_new0 (Sending, 1);

  self->fd = fd;
  self->at = first;
  self->end = end;
  g_object_set_data_full (G_OBJECT (message), "sending", self, sending_free);
  soup_message_body_set_accumulate (soup_server_message_get_response_body (message), FALSE);
  g_signal_connect (message, "wrote-chunk", G_CALLBACK (send_next), self);
  send_next (message, self);
}

/* Fills first and end from a Range header. false = it cannot be satisfied, and was answered. */
static bool
read_range (SoupServerMessage *message, const char *tag, goffset size, goffset *first, goffset *end)
{
  SoupMessageHeaders *request = soup_server_message_get_request_headers (message);
  SoupMessageHeaders *response = soup_server_message_get_response_headers (message);
  const char *range = soup_message_headers_get_one (request, "Range");
  const char *condition = soup_message_headers_get_one (request, "If-Range");
  SoupRange *ranges;
  int n;

  if (range == NULL || (condition != NULL && strcmp (condition, tag) != 0) ||
      strchr (range, ',') != NULL)
    return true;
  if (!soup_message_headers_get_ranges (request, size, &ranges, &n))
    return true; /* no range that one can read: as if there were none (RFC 9110, 14.2) */
  *first = MAX (ranges[0].start, 0);
  *end = MIN (ranges[0].end + 1, size);
  soup_message_headers_free_ranges (request, ranges);
  if (*first >= *end) {
    g_autofree char *text = g_strdup_printf ("bytes */%" G_GOFFSET_FORMAT, size);

    soup_message_headers_replace (response, "Content-Range", text);
    soup_server_message_set_status (message, SOUP_STATUS_REQUESTED_RANGE_NOT_SATISFIABLE, NULL);
    return false;
  }
  soup_message_headers_set_content_range (response, *first, *end - 1, size);
  soup_server_message_set_status (message, SOUP_STATUS_PARTIAL_CONTENT, NULL);
  return true;
}

static void
serve_file (SoupServerMessage *message, const char *path, const char *type)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  g_autofree char *tag = NULL;
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  struct stat about;
  goffset first = 0, end;

  if (fd < 0 || fstat (fd, &about) != 0 || !S_ISREG (about.st_mode)) {
    if (fd >= 0)
      close (fd);
    soup_server_message_set_status (message, SOUP_STATUS_NOT_FOUND, NULL);
    return;
  }
  tag = g_strdup_printf ("\"%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x-%lx\"",
                         (gint64)about.st_size, (gint64)about.st_mtim.tv_sec,
                         (unsigned long)about.st_mtim.tv_nsec);
  end = about.st_size;
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_message_headers_replace (headers, "Accept-Ranges", "bytes");
  soup_message_headers_replace (headers, "ETag", tag);
  soup_message_headers_set_content_type (headers, type, NULL);
  if (!read_range (message, tag, about.st_size, &first, &end)) {
    close (fd);
    return;
  }
  soup_message_headers_set_content_length (headers, end - first);
  if (soup_server_message_get_method (message) == SOUP_METHOD_HEAD)
    close (fd);
  else
    begin (message, fd, first, end);
}

void
origin_download_serve (OriginStation *station, SoupServerMessage *message, const char *path)
{
  const char *method = soup_server_message_get_method (message);
  g_autofree char *id = NULL, *type = NULL, *mime = NULL;
  OriginContent *content = NULL;
  bool hashes;

  if (method != SOUP_METHOD_GET && method != SOUP_METHOD_HEAD) {
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                  "GET, HEAD");
    soup_server_message_set_status (message, SOUP_STATUS_METHOD_NOT_ALLOWED, NULL);
    return;
  }
  if (g_str_has_prefix (path, PREFIX)) {
    id = g_strdup (path + strlen (PREFIX));
    hashes = g_str_has_suffix (id, ".hashes");
    if (hashes)
      id[strlen (id) - strlen (".hashes")] = '\0';
    content = origin_station_find (station, id);
  }
  if (content == NULL || strcmp (origin_content_state (content), "seeding") != 0) {
    soup_server_message_set_status (message, SOUP_STATUS_NOT_FOUND, NULL);
    return;
  }
  if (hashes) {
    g_autofree char *tree = origin_content_hashes_path (content);

    serve_file (message, tree, "application/octet-stream");
    return;
  }
  type = g_content_type_guess (origin_content_source (content), NULL, 0, NULL);
  mime = g_content_type_get_mime_type (type);
  serve_file (message, origin_content_source (content),
              mime != NULL ? mime : "application/octet-stream");
}
