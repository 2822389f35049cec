/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/hashing.h"

#include "peer/net/file.h"

#include <gio/gio.h>
#include <stdio.h>
#include <unistd.h>

struct NetHasher {
  GQueue files; /* NetHashing; the first is being hashed, and is its task's */
};

/* hasher is the main loop's alone. */
struct NetHashing {
  NetHasher *hasher; /* NULL = it is gone */
  char *id, *path, *hashes_path;
  NetHashedFunc func;
  gpointer data;
  NetHashed result;
  gint permille;
  int shown; /* per cent */
  bool tty;
};

static void start_next (NetHasher *self);

static void
hashing_free (gpointer data)
{
  NetHashing *self = data;

  g_free (self->id);
  g_free (self->path);
  g_free (self->hashes_path);
  if (self->result.store != NULL)
    peer_store_free (self->result.store);
  if (self->result.integrity != NULL)
    peer_integrity_free (self->result.integrity);
  g_free (self);
}

static void
on_progress (uint64_t done, uint64_t total, gpointer data)
{
  NetHashing *self = data;
  int permille = total == 0 ? 1000 : (int)(done * 1000.0 / total), step = self->tty ? 1 : 10;

  g_atomic_int_set (&self->permille, permille);
  if (permille / 10 < self->shown + step && permille < 1000)
    return;
  if (self->shown == permille / 10)
    return;
  self->shown = permille / 10;
  fprintf (stderr, "%s%s: hashing, %d %%%s", self->tty ? "\r" : "", self->id, self->shown,
           self->tty && permille < 1000 ? "" : "\n");
}

static void
hash_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  NetHashing *self = data;
  NetHashed *result = &self->result;
  GError *error = NULL;

  result->store = net_file_publish (self->path, self->hashes_path, &result->content,
                                    &result->integrity, on_progress, self, &error);
  if (result->store != NULL)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static void
on_hashed (GObject *source, GAsyncResult *result, gpointer data)
{
  NetHashing *self = g_task_get_task_data (G_TASK (result));
  NetHasher *hasher = self->hasher;
  g_autoptr (GError) error = NULL;

  if (hasher == NULL)
    return;
  g_queue_pop_head (&hasher->files);
  g_task_propagate_boolean (G_TASK (result), &error);
  if (self->func != NULL)
    self->func (&self->result, error, self->data);
  start_next (hasher);
}

static void
start_next (NetHasher *self)
{
  NetHashing *next = g_queue_peek_head (&self->files);
  g_autoptr (GTask) task = NULL;

  if (next == NULL)
    return;
  task = g_task_new (NULL, NULL, on_hashed, NULL);
  g_task_set_task_data (task, next, hashing_free);
  g_task_run_in_thread (task, hash_in_thread);
}

NetHasher *
net_hasher_new (void)
{
  return g_new0 (NetHasher, 1);
}

void
net_hasher_free (NetHasher *self)
{
  NetHashing *first;

  if (self == NULL)
    return;
  first = g_queue_pop_head (&self->files);
  if (first != NULL)
    first->hasher = NULL;
  g_queue_clear_full (&self->files, hashing_free);
  g_free (self);
}

NetHashing *
net_hasher_add (NetHasher *self, const char *id, const char *path, const char *hashes_path,
                const PeerContent *content, NetHashedFunc func, gpointer data)
{
  NetHashing *file = g_new0 (NetHashing, 1);

  file->hasher = self;
  file->id = g_strdup (id);
  file->path = g_strdup (path);
  file->hashes_path = g_strdup (hashes_path);
  file->func = func;
  file->data = data;
  file->result.content = *content;
  file->tty = isatty (STDERR_FILENO);
  g_queue_push_tail (&self->files, file);
  if (g_queue_get_length (&self->files) == 1)
    start_next (self);
  return file;
}

void
net_hasher_forget (NetHasher *self, NetHashing *file)
{
  file->func = NULL;
  if (file == g_queue_peek_head (&self->files))
    return;
  g_queue_remove (&self->files, file);
  hashing_free (file);
}

double
net_hashing_progress (const NetHashing *self)
{
  return g_atomic_int_get (&self->permille) / 1000.0;
}
