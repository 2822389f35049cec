/* SPDX-License-Identifier: Apache-2.0 */
/* What a tick brought, in one or two slices of the memory that all viewers share, goes to the kernel in
 * one call. When the kernel takes no more, nothing is taken from the stream until it does, so a viewer
 * that does not read holds at most GATHER bytes: one slice, or what is left of several, copied, so that
 * no more than that is kept alive.
 *
 * The sockets are watched edge-triggered, each from the beginning to the end: there is no call to the
 * kernel for a viewer but those that write. */

#include "dlna/outlet.h"
#include <errno.h>
#include <glib-unix.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  GATHER = 65536,       /* bytes of one call */
  PIECES = 8,           /* of one call */
  ROUNDS = 4,           /* calls for one viewer, then it is the others' turn */
  EVENTS = 64,          /* of one look at the epoll */
  CHUNK_HEAD_ROOM = 24, /* "\r\n", hexadecimal digits, "\r\n" */
};

struct DlnaOutlets {
  int epoll;
  GSource *source;
  GHashTable *open; /* set of DlnaOutlet: an event may name one that has just gone */
};

struct DlnaOutlet {
  DlnaOutlets *outlets;
  SoupServerMessage *message;
  GIOStream *connection;
  int fd;
  DlnaStream *stream;
  DlnaOutletEvents events;
  gpointer data;

  bool chunked, begun; /* begun: a chunk whose end is still to be said has been sent */
  bool ended;          /* nothing comes behind what is held */
  bool full;           /* the kernel takes no more now */
  char chunk_head[CHUNK_HEAD_ROOM];
  GBytes *head;           /* status and headers, or a chunk's; none of the body */
  GBytes *pieces[PIECES]; /* of the body */
  size_t n_pieces;
  size_t skip; /* bytes of the first of these that are sent */
};

static gboolean on_events (int fd, GIOCondition condition, gpointer data);

DlnaOutlets *
dlna_outlets_new (void)
{
  DlnaOutlets *self = g_new0 (DlnaOutlets, 1);

  self->epoll = epoll_create1 (EPOLL_CLOEXEC);
  if (self->epoll < 0)
    g_error ("epoll_create1: %s", g_strerror (errno));
  self->open = g_hash_table_new (NULL, NULL);
  self->source = g_unix_fd_source_new (self->epoll, G_IO_IN);
  g_source_set_callback (self->source, G_SOURCE_FUNC (on_events), self, NULL);
  g_source_attach (self->source, g_main_context_get_thread_default ());
  return self;
}

void
dlna_outlets_free (DlnaOutlets *self)
{
  if (self == NULL)
    return;
  g_assert (g_hash_table_size (self->open) == 0);
  g_hash_table_unref (self->open);
  g_source_destroy (self->source);
  g_source_unref (self->source);
  close (self->epoll);
  g_free (self);
}

/* --- one viewer --- */

static GBytes *
make_head (SoupServerMessage *message)
{
  GString *out = g_string_new (NULL);
  SoupMessageHeadersIter iter;
  const char *name, *value;

  g_string_append_printf (
      out, "HTTP/1.%c %u %s\r\n",
      soup_server_message_get_http_version (message) == SOUP_HTTP_1_0 ? '0' : '1',
      soup_server_message_get_status (message), soup_server_message_get_reason_phrase (message));
  soup_message_headers_iter_init (&iter, soup_server_message_get_response_headers (message));
  while (soup_message_headers_iter_next (&iter, &name, &value))
    g_string_append_printf (out, "%s: %s\r\n", name, value);
  g_string_append (out, "\r\n");
  return g_string_free_to_bytes (out);
}

/* Behind the last chunk, or instead of the next: its end and the size of the next one, of n bytes. */
static void
frame (DlnaOutlet *self, size_t n)
{
  int used = g_snprintf (self->chunk_head, CHUNK_HEAD_ROOM, "%s%zx\r\n%s",
                         self->begun ? "\r\n" : "", n, n == 0 ? "\r\n" : "");

  self->begun = true;
  self->head = g_bytes_new_static (self->chunk_head, (gsize)used);
}

/* Takes what the stream has, if nothing is held; false = it has nothing now. */
static bool
gather (DlnaOutlet *self)
{
  size_t total = 0;

  if (self->head != NULL || self->n_pieces > 0)
    return true;
  while (!self->ended && self->n_pieces < PIECES && total < GATHER) {
    GBytes *bytes = dlna_stream_take (self->stream, GATHER - total, &self->ended);
    if (bytes == NULL)
      break;
    total += g_bytes_get_size (bytes);
    self->pieces[self->n_pieces++] = bytes;
  }
  self->skip = 0;
  if (self->chunked && (total > 0 || self->ended)) {
    frame (self, total);
    self->chunked = total > 0; /* a size of 0 is the last */
  }
  return total > 0 || self->head != NULL;
}

/* n bytes of what is held are sent; returns how many of them are of the body. */
static size_t
advance (DlnaOutlet *self, size_t n)
{
  size_t body = n, gone = 0;

  n += self->skip;
  if (self->head != NULL) {
    size_t size = g_bytes_get_size (self->head);
    if (n < size) {
      self->skip = n;
      return 0;
    }
    n -= size;
    body = n;
    g_clear_pointer (&self->head, g_bytes_unref);
  }
  while (gone < self->n_pieces && n >= g_bytes_get_size (self->pieces[gone])) {
    n -= g_bytes_get_size (self->pieces[gone]);
    g_bytes_unref (self->pieces[gone++]);
  }
  for (size_t i = gone; i < self->n_pieces; i++)
    self->pieces[i - gone] = self->pieces[i];
  self->n_pieces -= gone;
  self->skip = n;
  return body;
}

/* What is held is kept for long perhaps: the rest of several pieces as one of our own, so that it does
 * not keep the blocks of all of them alive. */
static void
squash (DlnaOutlet *self)
{
  GByteArray *rest;

  if (self->n_pieces < 2 || self->head != NULL)
    return;
  rest = g_byte_array_new ();
  for (size_t i = 0; i < self->n_pieces; i++) {
    size_t size, from = i == 0 ? self->skip : 0;
    const uint8_t *bytes = g_bytes_get_data (self->pieces[i], &size);
    g_byte_array_append (rest, bytes + from, (guint)(size - from));
    g_bytes_unref (self->pieces[i]);
  }
  self->pieces[0] = g_byte_array_free_to_bytes (rest);
  self->n_pieces = 1;
  self->skip = 0;
}

/* One call. false = the viewer is gone. *body: bytes of it that were sent. */
static bool
write_held (DlnaOutlet *self, size_t *body)
{
  GPollableOutputStream *out =
      G_POLLABLE_OUTPUT_STREAM (g_io_stream_get_output_stream (self->connection));
  GOutputVector vectors[PIECES + 1];
  size_t n = 0, written = 0;

  if (self->head != NULL)
    vectors[n++].buffer = g_bytes_get_data (self->head, &vectors[0].size);
  for (size_t i = 0; i < self->n_pieces; i++, n++)
    vectors[n].buffer = g_bytes_get_data (self->pieces[i], &vectors[n].size);
  vectors[0].buffer = (const uint8_t *)vectors[0].buffer + self->skip;
  vectors[0].size -= self->skip;
  *body = 0;
  switch (g_pollable_output_stream_writev_nonblocking (out, vectors, n, &written, NULL, NULL)) {
  case G_POLLABLE_RETURN_OK:
    *body = advance (self, written);
    return true;
  case G_POLLABLE_RETURN_WOULD_BLOCK:
    self->full = true;
    squash (self);
    return true;
  case G_POLLABLE_RETURN_FAILED:
    break;
  }
  return false;
}

static void
arm (DlnaOutlet *self, int operation)
{
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLET,
                              .data.ptr = self};

  if (epoll_ctl (self->outlets->epoll, operation, self->fd, &event) < 0)
    g_warning ("epoll_ctl: %s", g_strerror (errno));
}

/* All that the stream has, as far as the kernel takes it. */
static void
pump (DlnaOutlet *self)
{
  DlnaOutlets *outlets = self->outlets;

  for (unsigned i = 0; !self->full && gather (self); i++) {
    size_t body;

    if (i == ROUNDS) {
      arm (self, EPOLL_CTL_MOD); /* so that it is told again that it may write */
      return;
    }
    if (!write_held (self, &body)) {
      self->events.ended (self->data);
      return;
    }
    if (body > 0) {
      self->events.wrote (body, self->data);
      if (!g_hash_table_contains (outlets->open, self))
        return;
    }
  }
  if (!self->full && self->ended)
    self->events.ended (self->data);
}

static void
on_news (gpointer data)
{
  pump (data);
}

static gboolean
on_events (int fd, GIOCondition condition, gpointer data)
{
  DlnaOutlets *outlets = data;
  struct epoll_event events[EVENTS];
  int n = epoll_wait (fd, events, EVENTS, 0);

  for (int i = 0; i < n; i++) {
    DlnaOutlet *self = events[i].data.ptr;
    if (!g_hash_table_contains (outlets->open, self))
      continue;
    if ((events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
      self->events.ended (self->data);
    } else if ((events[i].events & EPOLLOUT) != 0) {
      self->full = false;
      pump (self);
    }
  }
  return G_SOURCE_CONTINUE;
}

DlnaOutlet *
dlna_outlet_new (DlnaOutlets *outlets, SoupServerMessage *message, GSocket *socket,
                 DlnaStream *stream, bool chunked, const DlnaOutletEvents *events, gpointer data)
{
  GBytes *head = make_head (message);
  GIOStream *connection = soup_server_message_steal_connection (message);
  DlnaOutlet *self;

  if (connection == NULL) {
    g_bytes_unref (head);
    return NULL;
  }
  self = g_new0 (DlnaOutlet, 1);
  self->outlets = outlets;
  self->message = g_object_ref (message);
  self->connection = connection;
  self->fd = g_socket_get_fd (socket);
  self->stream = g_object_ref (stream);
  self->chunked = chunked;
  self->events = *events;
  self->data = data;
  self->head = head;
  g_hash_table_add (outlets->open, self);
  dlna_stream_watch (stream, on_news, self);
  arm (self, EPOLL_CTL_ADD);
  return self;
}

void
dlna_outlet_free (DlnaOutlet *self)
{
  if (self == NULL)
    return;
  dlna_stream_watch (self->stream, NULL, NULL);
  g_hash_table_remove (self->outlets->open, self);
  epoll_ctl (self->outlets->epoll, EPOLL_CTL_DEL, self->fd, NULL);
  g_clear_pointer (&self->head, g_bytes_unref);
  for (size_t i = 0; i < self->n_pieces; i++)
    g_bytes_unref (self->pieces[i]);
  g_io_stream_close (self->connection, NULL, NULL);
  g_object_unref (self->connection);
  g_object_unref (self->stream);
  g_object_unref (self->message);
  g_free (self);
}
