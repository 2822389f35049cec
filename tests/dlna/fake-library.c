/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dlna/fake-library.h"
#include <string.h>

#define PIECE 65536

struct _FakeLibrary {
  GObject parent;
  GPtrArray *items;   /* DlnaItem */
  GPtrArray *pushed;  /* GBytes */
  GPtrArray *streams; /* FakeStream, borrowed */
  bool ended;
  int open_code;
  int64_t break_after;
  unsigned opened, cancelled;
  DlnaPosition position;
  char *viewer;
  char *told;
  guint32 update_id;
};

#define FAKE_TYPE_STREAM (fake_stream_get_type ())
G_DECLARE_FINAL_TYPE (FakeStream, fake_stream, FAKE, STREAM, GObject)

struct _FakeStream {
  GObject parent;
  FakeLibrary *library;
  int64_t size;    /* -1 = live */
  int64_t at, end; /* film: bytes */
  int64_t begun;
  guint cursor; /* live: of library->pushed */
  GTask *task;  /* waits */
  void (*news) (gpointer data);
  gpointer news_data;
};

static void fake_stream_iface (DlnaStreamInterface *iface);
static void fake_library_iface (DlnaLibraryInterface *iface);
G_DEFINE_TYPE_WITH_CODE (FakeStream, fake_stream, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (DLNA_TYPE_STREAM, fake_stream_iface))
G_DEFINE_TYPE_WITH_CODE (FakeLibrary, fake_library, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (DLNA_TYPE_LIBRARY, fake_library_iface))

uint8_t
fake_library_byte (int64_t place)
{
  return (uint8_t)(place * 31 + (place >> 8) * 7 + (place >> 16));
}

static GBytes *
film_piece (FakeStream *self)
{
  int64_t n = MIN (PIECE, self->end - self->at);
  uint8_t *bytes;

  if (self->library->break_after >= 0)
    n = MIN (n, self->library->break_after - (self->at - self->begun));
  if (n <= 0)
    return NULL;
  bytes = g_malloc ((gsize)n);
  for (int64_t i = 0; i < n; i++)
    bytes[i] = fake_library_byte (self->at + i);
  self->at += n;
  return g_bytes_new_take (bytes, (gsize)n);
}

/* Takes the waiting task; it is to be answered now. */
static GTask *
take_task (FakeStream *self)
{
  GTask *task = g_steal_pointer (&self->task);

  if (g_task_get_cancellable (task) != NULL)
    g_signal_handlers_disconnect_by_data (g_task_get_cancellable (task), self);
  return task;
}

/* Answers a waiting next_async, if there is something to answer it with. */
static void
turn (FakeStream *self)
{
  g_autoptr (GTask) task = NULL;
  GPtrArray *pushed = self->library->pushed;

  if (self->news != NULL) {
    self->news (self->news_data);
    return;
  }
  if (self->task == NULL ||
      (self->size < 0 && self->cursor == pushed->len && !self->library->ended))
    return;
  task = take_task (self);
  if (self->size >= 0)
    g_task_return_pointer (task, film_piece (self), (GDestroyNotify)g_bytes_unref);
  else if (self->cursor < pushed->len)
    g_task_return_pointer (task, g_bytes_ref (g_ptr_array_index (pushed, self->cursor++)),
                           (GDestroyNotify)g_bytes_unref);
  else
    g_task_return_pointer (task, NULL, NULL);
}

static void
stream_cancelled (GCancellable *cancellable, FakeStream *self)
{
  g_autoptr (GTask) task = take_task (self);
  g_task_return_error_if_cancelled (task);
}

static void
stream_next_async (DlnaStream *stream, GCancellable *cancellable, GAsyncReadyCallback done,
                   gpointer data)
{
  FakeStream *self = FAKE_STREAM (stream);

  g_assert_null (self->task); /* one call at a time */
  self->task = g_task_new (self, cancellable, done, data);
  if (cancellable != NULL)
    g_signal_connect (cancellable, "cancelled", G_CALLBACK (stream_cancelled), self);
  turn (self);
}

static GBytes *
stream_next_finish (DlnaStream *stream, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static int64_t
stream_size (DlnaStream *stream)
{
  return FAKE_STREAM (stream)->size;
}

static GBytes *
stream_take (DlnaStream *stream, size_t max, bool *ended)
{
  FakeStream *self = FAKE_STREAM (stream);
  GPtrArray *pushed = self->library->pushed;

  g_assert_cmpint (self->size, ==, -1);
  *ended = self->cursor == pushed->len && self->library->ended;
  return self->cursor < pushed->len ? g_bytes_ref (g_ptr_array_index (pushed, self->cursor++))
                                    : NULL;
}

static void
stream_watch (DlnaStream *stream, void (*news) (gpointer data), gpointer data)
{
  FAKE_STREAM (stream)->news = news;
  FAKE_STREAM (stream)->news_data = data;
}

static int64_t
stream_behind (DlnaStream *stream)
{
  return FAKE_STREAM (stream)->size < 0 ? FAKE_BEHIND : -1;
}

static void
fake_stream_iface (DlnaStreamInterface *iface)
{
  iface->next_async = stream_next_async;
  iface->next_finish = stream_next_finish;
  iface->size = stream_size;
  iface->take = stream_take;
  iface->watch = stream_watch;
  iface->behind = stream_behind;
}

static void
fake_stream_init (FakeStream *self)
{
}

static void
fake_stream_finalize (GObject *object)
{
  FakeStream *self = FAKE_STREAM (object);

  g_ptr_array_remove_fast (self->library->streams, self);
  g_object_unref (self->library);
  G_OBJECT_CLASS (fake_stream_parent_class)->finalize (object);
}

static void
fake_stream_class_init (FakeStreamClass *class)
{
  G_OBJECT_CLASS (class)->finalize = fake_stream_finalize;
}

FakeLibrary *
fake_library_new (void)
{
  FakeLibrary *self = g_object_new (FAKE_TYPE_LIBRARY, NULL);
  DlnaItem *root = fake_library_folder ("0", "Root");

  g_free (root->parent_id);
  root->parent_id = g_strdup ("-1");
  fake_library_add (self, root);
  return self;
}

void
fake_library_add (FakeLibrary *self, DlnaItem *item)
{
  g_ptr_array_add (self->items, item);
}

DlnaItem *
fake_library_folder (const char *id, const char *title)
{
  DlnaItem *item = dlna_item_new ();

  item->id = g_strdup (id);
  item->parent_id = g_strdup ("0");
  item->title = g_strdup (title);
  return item;
}

DlnaItem *
fake_library_channel (const char *id, const char *title, int number)
{
  DlnaItem *item = fake_library_folder (id, title);

  item->mime = g_strdup ("video/mp2t");
  item->live = true;
  item->channel_name = g_strdup (title);
  item->channel_number = number;
  return item;
}

DlnaItem *
fake_library_film (const char *id, const char *title, int64_t size)
{
  DlnaItem *item = fake_library_folder (id, title);

  item->mime = g_strdup ("video/mp4");
  item->extension = g_strdup ("mp4");
  item->size = size;
  return item;
}

DlnaItem *
fake_library_item (FakeLibrary *self, const char *id)
{
  for (guint i = 0; i < self->items->len; i++) {
    DlnaItem *item = g_ptr_array_index (self->items, i);
    if (strcmp (item->id, id) == 0)
      return item;
  }
  return NULL;
}

static void
turn_all (FakeLibrary *self)
{
  g_autoptr (GPtrArray) streams = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < self->streams->len; i++)
    g_ptr_array_add (streams, g_object_ref (g_ptr_array_index (self->streams, i)));
  for (guint i = 0; i < streams->len; i++)
    turn (g_ptr_array_index (streams, i));
}

void
fake_library_push (FakeLibrary *self, GBytes *bytes)
{
  g_ptr_array_add (self->pushed, g_bytes_ref (bytes));
  turn_all (self);
}

void
fake_library_end (FakeLibrary *self)
{
  self->ended = true;
  turn_all (self);
}

void
fake_library_set_open (FakeLibrary *self, int code)
{
  self->open_code = code;
}

void
fake_library_set_break (FakeLibrary *self, int64_t bytes)
{
  self->break_after = bytes;
}

unsigned
fake_library_opened (FakeLibrary *self)
{
  return self->opened;
}

unsigned
fake_library_streams (FakeLibrary *self)
{
  return self->streams->len;
}

unsigned
fake_library_taken (FakeLibrary *self)
{
  guint least = self->pushed->len;

  for (guint i = 0; i < self->streams->len; i++)
    least = MIN (least, ((FakeStream *)g_ptr_array_index (self->streams, i))->cursor);
  return least;
}

unsigned
fake_library_cancelled (FakeLibrary *self)
{
  return self->cancelled;
}

const DlnaPosition *
fake_library_position (FakeLibrary *self)
{
  return &self->position;
}

void
fake_library_touch (FakeLibrary *self, const char *id)
{
  self->update_id++;
  dlna_library_emit_changed (DLNA_LIBRARY (self), id);
}

static DlnaItem *
library_lookup (DlnaLibrary *library, const char *id, GError **error)
{
  FakeLibrary *self = FAKE_LIBRARY (library);
  const DlnaItem *item = fake_library_item (self, id);
  DlnaItem *out;

  if (item == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no item %s", id);
    return NULL;
  }
  out = dlna_item_new ();
  *out = *item;
  out->id = g_strdup (item->id);
  out->parent_id = g_strdup (item->parent_id);
  out->title = g_strdup (item->title);
  out->mime = g_strdup (item->mime);
  out->extension = g_strdup (item->extension);
  out->logo = g_strdup (item->logo);
  out->channel_name = g_strdup (item->channel_name);
  out->video_codec = g_strdup (item->video_codec);
  out->audio_codec = g_strdup (item->audio_codec);
  return out;
}

static GPtrArray *
library_list (DlnaLibrary *library, const char *id, guint offset, guint limit, guint *total,
              GError **error)
{
  FakeLibrary *self = FAKE_LIBRARY (library);
  const DlnaItem *parent = fake_library_item (self, id);
  g_autoptr (GPtrArray) out = NULL;
  guint n = 0;

  if (parent == NULL || parent->mime != NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no container %s", id);
    return NULL;
  }
  out = g_ptr_array_new_with_free_func ((GDestroyNotify)dlna_item_free);
  for (guint i = 0; i < self->items->len; i++) {
    DlnaItem *item = g_ptr_array_index (self->items, i);
    if (strcmp (item->parent_id, id) != 0)
      continue;
    if (n >= offset && (limit == 0 || n - offset < limit))
      g_ptr_array_add (out, library_lookup (library, item->id, NULL));
    n++;
  }
  *total = n;
  return g_steal_pointer (&out);
}

static guint32
library_update_id (DlnaLibrary *library, const char *id)
{
  return FAKE_LIBRARY (library)->update_id;
}

static void
open_cancelled (GCancellable *cancellable, GTask *task)
{
  FakeLibrary *self = g_task_get_source_object (task);

  self->cancelled++;
  g_task_return_error_if_cancelled (task);
  g_object_unref (task);
}

static void
library_open_async (DlnaLibrary *library, const char *id, const DlnaPosition *position,
                    GCancellable *cancellable, GAsyncReadyCallback done, gpointer data)
{
  FakeLibrary *self = FAKE_LIBRARY (library);
  g_autoptr (GTask) task = g_task_new (self, cancellable, done, data);
  DlnaItem *item = fake_library_item (self, id);
  FakeStream *stream;

  self->opened++;
  g_free (self->viewer);
  self->viewer = g_strdup (position->viewer);
  self->position = *position;
  self->position.viewer = self->viewer;
  if (self->open_code == -2) {
    g_signal_connect (cancellable, "cancelled", G_CALLBACK (open_cancelled), g_object_ref (task));
    return;
  }
  if (self->open_code >= 0) {
    g_task_return_new_error (task, G_IO_ERROR, self->open_code, "as the test wants it");
    return;
  }
  stream = g_object_new (FAKE_TYPE_STREAM, NULL);
  stream->library = g_object_ref (self);
  stream->size = item->live ? -1 : item->size;
  stream->begun = stream->at = position->first;
  stream->end = position->end >= 0 ? position->end : stream->size;
  stream->cursor = self->pushed->len;
  g_ptr_array_add (self->streams, stream);
  g_task_return_pointer (task, stream, g_object_unref);
}

static DlnaStream *
library_open_finish (DlnaLibrary *library, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

/* A time lies where its share of the bytes is, down to a multiple of 10,000. */
static void
library_locate_async (DlnaLibrary *library, const char *id, int64_t time, GCancellable *cancellable,
                      GAsyncReadyCallback done, gpointer data)
{
  g_autoptr (GTask) task = g_task_new (library, cancellable, done, data);
  DlnaItem *item = fake_library_item (FAKE_LIBRARY (library), id);
  DlnaPlace *place;

  if (FAKE_LIBRARY (library)->open_code >= 0) {
    g_task_return_new_error (task, G_IO_ERROR, FAKE_LIBRARY (library)->open_code, "told to fail");
    return;
  }
  place = g_new (DlnaPlace, 1);
  if (item->live) { /* a key frame each two seconds */
    *place = (DlnaPlace){.byte = -1, .time = time / 2000000 * 2000000};
    g_task_return_pointer (task, place, g_free);
    return;
  }
  place->byte = time * item->size / item->duration / 10000 * 10000;
  place->time = place->byte * item->duration / item->size;
  g_task_return_pointer (task, place, g_free);
}

static bool
library_locate_finish (DlnaLibrary *library, GAsyncResult *result, DlnaPlace *out, GError **error)
{
  g_autofree DlnaPlace *place = g_task_propagate_pointer (G_TASK (result), error);

  if (place != NULL)
    *out = *place;
  return place != NULL;
}

static void
library_left (DlnaLibrary *library, const char *id, int64_t first, int64_t end)
{
  FakeLibrary *self = FAKE_LIBRARY (library);

  g_free (self->told);
  self->told = g_strdup_printf ("%s %" G_GINT64_FORMAT "-%" G_GINT64_FORMAT, id, first, end);
}

static void
library_stopped (DlnaLibrary *library, const char *id, int64_t time)
{
  FakeLibrary *self = FAKE_LIBRARY (library);

  g_free (self->told);
  self->told = g_strdup_printf ("%s at %" G_GINT64_FORMAT, id, time);
}

const char *
fake_library_told (FakeLibrary *self)
{
  return self->told;
}

static void
fake_library_iface (DlnaLibraryInterface *iface)
{
  iface->locate_async = library_locate_async;
  iface->locate_finish = library_locate_finish;
  iface->lookup = library_lookup;
  iface->list = library_list;
  iface->update_id = library_update_id;
  iface->open_async = library_open_async;
  iface->open_finish = library_open_finish;
  iface->left = library_left;
  iface->stopped = library_stopped;
}

static void
fake_library_init (FakeLibrary *self)
{
  self->items = g_ptr_array_new_with_free_func ((GDestroyNotify)dlna_item_free);
  self->pushed = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  self->streams = g_ptr_array_new ();
  self->open_code = -1;
  self->break_after = -1;
}

static void
fake_library_finalize (GObject *object)
{
  FakeLibrary *self = FAKE_LIBRARY (object);

  g_assert_cmpuint (self->streams->len, ==, 0);
  g_ptr_array_unref (self->items);
  g_ptr_array_unref (self->pushed);
  g_ptr_array_unref (self->streams);
  g_free (self->viewer);
  g_free (self->told);
  G_OBJECT_CLASS (fake_library_parent_class)->finalize (object);
}

static void
fake_library_class_init (FakeLibraryClass *class)
{
  G_OBJECT_CLASS (class)->finalize = fake_library_finalize;
}
