/* SPDX-License-Identifier: Apache-2.0 */
/* Slices of the ring are gathered until they are a megabyte, or a second old, and a thread of GIO's
 * writes them; nothing is copied, and as long as it writes nothing more is taken: who is behind reads
 * the ring later, or falls out of it, as any viewer does. What is written is in the page cache, and so
 * outlives kill -9.
 *
 * A part that follows another does not go on where that ended, so its packets are looked at until each
 * PID has surely come once, and marked (peer/media/joint.h). A packet that the part before has torn is
 * cut off. */
#include "proxy/recorder.h"
#include "peer/media/joint.h"
#include "peer/net/disk.h"
#include "proxy/shift.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
  BATCH = 1 << 20, /* bytes */
  TICK_MS = 1000,
};

typedef struct {
  ProxyRecorder *recorder; /* of the main loop; NULL = it is gone */
  char *path;
  int fd;
  uint64_t at; /* bytes: where they go */
  GPtrArray *pieces;
  size_t n; /* bytes of them */
} Batch;

struct ProxyRecorder {
  ProxyStream *stream;
  const ProxyRecorderUser *user;
  gpointer data;
  char *path;
  int fd;
  uint64_t size;     /* bytes: of the file, when all is written */
  GPtrArray *pieces; /* GBytes: gathered */
  size_t n;          /* bytes of them */
  GBytes *torn;      /* the beginning of a packet, to go in front of them; or NULL */
  Batch *writing;    /* its task's; NULL = none */
  bool finishing;
  MediaJoint joint;
  unsigned to_join; /* packets that are still looked at */
  guint tick;
};

/* --- the thread's side --- */

static void
batch_free (gpointer data)
{
  Batch *batch = data;
  close (batch->fd);
  g_ptr_array_unref (batch->pieces);
  g_free (batch->path);
  g_free (batch);
}

static bool
write_batch (const Batch *batch, GError **error)
{
  struct statvfs disk;
  uint64_t at = batch->at;
  bool full = fstatvfs (batch->fd, &disk) == 0 &&
              (uint64_t)disk.f_bavail * disk.f_frsize < PROXY_SHIFT_SPARE + batch->n;
  errno = ENOSPC;
  for (guint i = 0; i < batch->pieces->len && !full; i++) {
    size_t n;
    const void *bytes = g_bytes_get_data (batch->pieces->pdata[i], &n);
    full = !net_disk_write (batch->fd, bytes, n, at);
    at += n;
  }
  if (full)
    net_disk_set_error (error, errno, "cannot write", batch->path);
  return !full;
}

static void
write_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;
  if (write_batch (data, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/* --- the main loop's side --- */

static void pump (ProxyRecorder *self, bool now);

static void
on_written (GObject *source, GAsyncResult *result, gpointer data)
{
  const Batch *batch = g_task_get_task_data (G_TASK (result));
  ProxyRecorder *self = batch->recorder;
  g_autoptr (GError) error = NULL;
  bool written = g_task_propagate_boolean (G_TASK (result), &error);
  if (!self)
    return;
  self->writing = NULL;
  if (written) {
    pump (self, false);
    return;
  }
  self->size = batch->at;
  if (ftruncate (self->fd, (off_t)batch->at) != 0)
    g_debug ("%s ends with what was written of a packet", self->path);
  self->user->ended (PROXY_RECORDER_FAILED, error->message, self->data);
}

static void
add_piece (ProxyRecorder *self, GBytes *bytes)
{
  g_ptr_array_add (self->pieces, bytes);
  self->n += g_bytes_get_size (bytes);
}

/* The gathered pieces as one, with marks in it. A packet that is torn at their end waits for its rest. */
static void
join_pieces (ProxyRecorder *self)
{
  g_autoptr (GByteArray) all = g_byte_array_sized_new ((guint)self->n);
  GByteArray *out = g_byte_array_sized_new ((guint)self->n);
  guint at = 0;
  if (self->torn)
    g_ptr_array_insert (self->pieces, 0, g_steal_pointer (&self->torn));
  for (guint i = 0; i < self->pieces->len; i++) {
    size_t n;
    const uint8_t *bytes = g_bytes_get_data (self->pieces->pdata[i], &n);
    g_byte_array_append (all, bytes, (guint)n);
  }
  for (; self->to_join > 0 && at + MEDIA_TS_PACKET <= all->len; at += MEDIA_TS_PACKET) {
    uint8_t mark[MEDIA_TS_PACKET];
    if (media_joint_before (&self->joint, all->data + at, mark))
      g_byte_array_append (out, mark, sizeof mark);
    g_byte_array_append (out, all->data + at, MEDIA_TS_PACKET);
    self->to_join--;
  }
  if (self->to_join == 0)
    g_byte_array_append (out, all->data + at, all->len - at);
  else if (at < all->len)
    self->torn = g_bytes_new (all->data + at, all->len - at);
  g_ptr_array_set_size (self->pieces, 0);
  self->n = 0;
  add_piece (self, g_byte_array_free_to_bytes (out));
}

/* Of what is gathered. */
static Batch *
batch_new (ProxyRecorder *self)
{
  Batch *batch = g_new0 (Batch, 1);
  if (self->to_join > 0)
    join_pieces (self);
  batch->recorder = self;
  batch->path = g_strdup (self->path);
  batch->fd = fcntl (self->fd, F_DUPFD_CLOEXEC, 0);
  batch->at = self->size;
  batch->pieces = g_steal_pointer (&self->pieces);
  batch->n = self->n;
  self->size += self->n;
  self->pieces = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  self->n = 0;
  return batch;
}

static void
start_write (ProxyRecorder *self)
{
  self->writing = batch_new (self);
  g_autoptr (GTask) task = g_task_new (NULL, NULL, on_written, NULL);
  g_task_set_task_data (task, self->writing, batch_free);
  g_task_run_in_thread (task, write_in_thread);
}

/* Takes what the ring has. true = it has ended. */
static bool
gather (ProxyRecorder *self)
{
  bool ended = false;
  GBytes *bytes;
  while (self->n < BATCH &&
         (bytes = dlna_stream_take (DLNA_STREAM (self->stream), BATCH, &ended)) != NULL)
    add_piece (self, bytes);
  return ended;
}

/* Has what is gathered written when it is time: now, or when it is enough. */
static void
pump (ProxyRecorder *self, bool now)
{
  if (self->writing)
    return;
  bool ended = gather (self);
  bool last = ended || (self->finishing && !proxy_stream_waits (self->stream));
  if (self->n > 0 && self->user->room (self->data) < self->n)
    self->user->ended (PROXY_RECORDER_FULL, NULL, self->data);
  else if (self->n >= BATCH || (self->n > 0 && (now || last)))
    start_write (self);
  else if (self->n == 0 && last)
    self->user->ended (ended ? PROXY_RECORDER_LEFT : PROXY_RECORDER_FINISHED, NULL, self->data);
}

static void
on_news (gpointer data)
{
  pump (data, false);
}

static gboolean
on_tick (gpointer data)
{
  pump (data, true);
  return G_SOURCE_CONTINUE;
}

static int
open_file (const char *path, uint64_t *size, GError **error)
{
  struct stat stat;
  int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0 || fstat (fd, &stat) != 0) {
    net_disk_set_error (error, errno, "cannot write", path);
    if (fd >= 0)
      close (fd);
    return -1;
  }
  *size = (uint64_t)stat.st_size / MEDIA_TS_PACKET * MEDIA_TS_PACKET;
  return fd;
}

ProxyRecorder *
proxy_recorder_new (ProxyStream *stream, const char *path, const ProxyRecorderUser *user,
                    gpointer data, GError **error)
{
  uint64_t size;
  int fd = open_file (path, &size, error);
  if (fd < 0) {
    g_object_unref (stream);
    return NULL;
  }
  ProxyRecorder *self = g_new0 (ProxyRecorder, 1);
  self->stream = stream;
  self->user = user;
  self->data = data;
  self->path = g_strdup (path);
  self->fd = fd;
  self->size = size;
  self->to_join = size > 0 ? MEDIA_JOINT_LOOK : 0;
  self->pieces = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  self->tick = g_timeout_add (TICK_MS, on_tick, self);
  dlna_stream_watch (DLNA_STREAM (stream), on_news, self);
  gather (self); /* from here on: of a channel that is not on yet, all that comes */
  return self;
}

/* What a thread is writing is written once more: the same bytes at the same place, and then it is surely
 * there. */
void
proxy_recorder_free (ProxyRecorder *self)
{
  if (!self)
    return;
  g_autoptr (GError) error = NULL;
  if (self->writing)
    write_batch (self->writing, &error);
  if (self->n > 0 && !error && self->user->room (self->data) >= self->n) {
    Batch *batch = batch_new (self);
    write_batch (batch, &error);
    batch_free (batch);
  }
  if (error)
    g_message ("%s; the last second of it is lost", error->message);
  if (self->writing)
    self->writing->recorder = NULL;
  g_source_remove (self->tick);
  dlna_stream_watch (DLNA_STREAM (self->stream), NULL, NULL);
  g_object_unref (self->stream);
  g_ptr_array_unref (self->pieces);
  g_clear_pointer (&self->torn, g_bytes_unref);
  close (self->fd);
  g_free (self->path);
  g_free (self);
}

void
proxy_recorder_finish (ProxyRecorder *self)
{
  self->finishing = true;
  pump (self, true);
}

uint64_t
proxy_recorder_bytes (const ProxyRecorder *self)
{
  return self->size;
}
