/* SPDX-License-Identifier: Apache-2.0 */
/* One question is open at a time: ready_async() or next_async(). It is answered at once if the
 * bytes are here, else when the ring or the film calls its watches. The ring calls them once for
 * each tick of its session, so a viewer at the live edge gets what a tick brought, and one that is
 * behind gets whole slabs.
 *
 * A channel that is on already begins with its newest key frame, or one further back; one that this
 * viewer wakes begins with the first that comes, and the rest of what was fetched behind it is a start for
 * the player's buffer. A stream that shows no key frame for 4 s (periodic intra refresh) begins anywhere. */
#include "proxy/stream.h"
#include "proxy/ring-read.h"

enum {
  KEY_PATIENCE = 4 * G_USEC_PER_SEC,
  FILM_PATIENCE = 60 * G_USEC_PER_SEC, /* as long as players wait for a server */
  DISK_RETRY_MS = 5,
};

struct _ProxyStream {
  GObject parent;
  ProxyRing *ring;
  ProxyFilm *film;
  ProxyFilmReader *reader;
  GDestroyNotify released;
  gpointer data;

  bool started;        /* place is set */
  bool waited;         /* this viewer woke the channel */
  int64_t back;        /* us */
  int64_t first_bytes; /* us; 0 = not yet */
  ProxyPlace place;
  GBytes *tables; /* to be given first */
  unsigned jumps;

  ProxyWatchFunc news; /* who takes instead of asking; or NULL */
  gpointer news_data;

  GTask *pending;
  bool pending_is_ready;
  GSource *timeout, *retry, *cancelled;
};

static void stream_interface_init (DlnaStreamInterface *interface);

G_DEFINE_TYPE_WITH_CODE (ProxyStream, proxy_stream, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (DLNA_TYPE_STREAM, stream_interface_init))

static void
clear_source (GSource **source)
{
  if (!*source)
    return;
  g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static GTask *
take_pending (ProxyStream *self)
{
  clear_source (&self->timeout);
  clear_source (&self->retry);
  clear_source (&self->cancelled);
  return g_steal_pointer (&self->pending);
}

static void
answer_error (ProxyStream *self, GIOErrorEnum code, const char *text)
{
  g_autoptr (GTask) task = take_pending (self);
  if (task)
    g_task_return_new_error (task, G_IO_ERROR, code, "%s", text);
}

static void
answer_end (ProxyStream *self)
{
  if (self->pending_is_ready) {
    answer_error (self, G_IO_ERROR_CLOSED, "the channel has ended");
    return;
  }
  g_autoptr (GTask) task = take_pending (self);
  g_task_return_pointer (task, NULL, NULL);
}

static void
answer (ProxyStream *self, GBytes *bytes)
{
  g_autoptr (GTask) task = take_pending (self);
  g_task_return_pointer (task, bytes, (GDestroyNotify)g_bytes_unref);
}

static void
answer_ready (ProxyStream *self)
{
  g_autoptr (GTask) task = take_pending (self);
  g_task_return_boolean (task, TRUE);
}

static bool
start_live (ProxyStream *self)
{
  if (self->started)
    return true;
  ProxyPlace anywhere;
  g_autoptr (GBytes) tables = NULL;
  self->started = self->waited
                      ? proxy_ring_start (self->ring, true, &self->place, &self->tables)
                      : proxy_ring_start_back (self->ring, self->back, &self->place, &self->tables);
  if (self->started)
    return true;
  self->waited = true;
  if (!proxy_ring_start_anywhere (self->ring, &anywhere, &tables))
    return false;
  int64_t now = g_get_monotonic_time ();
  if (self->first_bytes == 0)
    self->first_bytes = now;
  if (now - self->first_bytes < KEY_PATIENCE)
    return false;
  self->started = true;
  self->place = anywhere;
  self->tables = g_steal_pointer (&tables);
  return true;
}

bool
proxy_stream_waits (const ProxyStream *self)
{
  return self->started && proxy_ring_waits (self->ring, &self->place);
}

/* At most max bytes; NULL = nothing now, or no more. */
static GBytes *
read_live (ProxyStream *self, size_t max, bool *ended)
{
  GBytes *bytes = NULL;
  bool jumped = false;
  if (start_live (self))
    bytes = self->tables ? g_steal_pointer (&self->tables)
                         : proxy_ring_read (self->ring, &self->place, max, &jumped);
  self->jumps += jumped;
  *ended = !bytes && proxy_ring_has_ended (self->ring) && !proxy_stream_waits (self);
  return bytes;
}

static void
serve_live (ProxyStream *self)
{
  bool ended;
  if (self->pending_is_ready) {
    if (start_live (self))
      answer_ready (self);
    else if (proxy_ring_has_ended (self->ring))
      answer_end (self);
    return;
  }
  GBytes *bytes = read_live (self, SIZE_MAX, &ended);
  if (bytes)
    answer (self, bytes);
  else if (ended)
    answer_end (self);
}

static gboolean on_retry (gpointer data);

static void
serve_film (ProxyStream *self)
{
  if (self->tables) { /* the first piece, read already for ready_async() */
    if (self->pending_is_ready)
      answer_ready (self);
    else
      answer (self, g_steal_pointer (&self->tables));
    return;
  }
  GBytes *bytes;
  switch (proxy_film_reader_read (self->reader, &bytes)) {
  case PROXY_FILM_BYTES:
    if (self->pending_is_ready) {
      self->tables = bytes;
      answer_ready (self);
    } else
      answer (self, bytes);
    return;
  case PROXY_FILM_ABSENT:
    return;
  case PROXY_FILM_SOON:
    if (!self->retry) {
      self->retry = g_timeout_source_new (DISK_RETRY_MS);
      g_source_set_callback (self->retry, on_retry, self, NULL);
      g_source_attach (self->retry, g_main_context_get_thread_default ());
    }
    return;
  case PROXY_FILM_END:
    if (self->pending_is_ready)
      answer_ready (self);
    else
      answer_end (self);
    return;
  case PROXY_FILM_FAILED:
    answer_error (self, G_IO_ERROR_FAILED, "the content cannot be read any more");
    return;
  }
}

static void
serve (gpointer data)
{
  ProxyStream *self = data;
  if (self->news) {
    self->news (self->news_data);
    return;
  }
  if (!self->pending)
    return;
  g_object_ref (self);
  if (self->ring)
    serve_live (self);
  else
    serve_film (self);
  g_object_unref (self);
}

static gboolean
on_retry (gpointer data)
{
  ProxyStream *self = data;
  clear_source (&self->retry);
  serve (self);
  return G_SOURCE_REMOVE;
}

static gboolean
on_timeout (gpointer data)
{
  answer_error (data, G_IO_ERROR_TIMED_OUT, "no peer had the beginning in time");
  return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer data)
{
  answer_error (data, G_IO_ERROR_CANCELLED, "cancelled");
  return G_SOURCE_REMOVE;
}

/* Puts the question; takes task over. */
static void
ask (ProxyStream *self, bool ready, int64_t timeout, GCancellable *cancellable, GTask *task)
{
  if (self->pending) {
    g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_PENDING, "one call at a time");
    g_object_unref (task);
    return;
  }
  self->pending = task;
  self->pending_is_ready = ready;
  serve (self);
  if (!self->pending)
    return;
  GMainContext *context = g_main_context_get_thread_default ();
  if (timeout > 0) {
    self->timeout = g_timeout_source_new ((guint)(timeout / 1000));
    g_source_set_callback (self->timeout, on_timeout, self, NULL);
    g_source_attach (self->timeout, context);
  }
  if (cancellable) {
    self->cancelled = g_cancellable_source_new (cancellable);
    g_source_set_callback (self->cancelled, G_SOURCE_FUNC (on_cancelled), self, NULL);
    g_source_attach (self->cancelled, context);
  }
}

void
proxy_stream_ready_async (ProxyStream *self, int64_t timeout, GCancellable *cancellable,
                          GAsyncReadyCallback done, gpointer data)
{
  ask (self, true, timeout, cancellable, g_task_new (self, NULL, done, data));
}

bool
proxy_stream_ready_finish (ProxyStream *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
next_async (DlnaStream *stream, GCancellable *cancellable, GAsyncReadyCallback done, gpointer data)
{
  ProxyStream *self = PROXY_STREAM (stream);
  /* A channel may be silent as long as its origin is; when it comes back, so does the picture. */
  int64_t timeout = self->film ? FILM_PATIENCE : 0;
  ask (self, false, timeout, cancellable, g_task_new (self, NULL, done, data));
}

static GBytes *
next_finish (DlnaStream *stream, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static int64_t
stream_size (DlnaStream *stream)
{
  ProxyStream *self = PROXY_STREAM (stream);
  return self->film ? (int64_t)proxy_film_length (self->film) : -1;
}

static GBytes *
take (DlnaStream *stream, size_t max, bool *ended)
{
  ProxyStream *self = PROXY_STREAM (stream);
  g_return_val_if_fail (self->ring && !self->pending, NULL);
  return read_live (self, max, ended);
}

static void
watch (DlnaStream *stream, ProxyWatchFunc news, gpointer data)
{
  ProxyStream *self = PROXY_STREAM (stream);
  self->news = news;
  self->news_data = data;
}

static int64_t
behind (DlnaStream *stream)
{
  ProxyStream *self = PROXY_STREAM (stream);
  return self->ring && self->started ? proxy_ring_behind (self->ring, &self->place) : -1;
}

static void
stream_interface_init (DlnaStreamInterface *interface)
{
  interface->next_async = next_async;
  interface->next_finish = next_finish;
  interface->size = stream_size;
  interface->take = take;
  interface->watch = watch;
  interface->behind = behind;
}

static void
proxy_stream_finalize (GObject *object)
{
  ProxyStream *self = PROXY_STREAM (object);
  if (self->ring)
    proxy_watches_remove (proxy_ring_watches (self->ring), serve, self);
  if (self->film)
    proxy_watches_remove (proxy_film_watches (self->film), serve, self);
  proxy_film_reader_free (self->reader);
  g_clear_pointer (&self->tables, g_bytes_unref);
  g_clear_pointer (&self->ring, proxy_ring_unref);
  g_clear_pointer (&self->film, proxy_film_unref);
  if (self->released)
    self->released (self->data);
  G_OBJECT_CLASS (proxy_stream_parent_class)->finalize (object);
}

static void
proxy_stream_class_init (ProxyStreamClass *class)
{
  G_OBJECT_CLASS (class)->finalize = proxy_stream_finalize;
}

static void
proxy_stream_init (ProxyStream *self)
{
}

ProxyStream *
proxy_stream_new_live (ProxyRing *ring, int64_t back, GDestroyNotify released, gpointer data)
{
  ProxyStream *self = g_object_new (PROXY_TYPE_STREAM, NULL);
  self->ring = proxy_ring_ref (ring);
  self->back = back;
  self->released = released;
  self->data = data;
  proxy_watches_add (proxy_ring_watches (ring), serve, self);
  return self;
}

ProxyStream *
proxy_stream_new_film (ProxyFilm *film, uint64_t first, uint64_t end, GDestroyNotify released,
                       gpointer data)
{
  ProxyStream *self = g_object_new (PROXY_TYPE_STREAM, NULL);
  self->film = proxy_film_ref (film);
  self->reader = proxy_film_reader_new (film, first, end);
  self->released = released;
  self->data = data;
  proxy_watches_add (proxy_film_watches (film), serve, self);
  return self;
}

unsigned
proxy_stream_jumps (const ProxyStream *self)
{
  return self->jumps;
}
