/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/origin/hashing.h"

#include "peer/net/file.h"

#include <gio/gio.h>
#include <stdio.h>
#include <unistd.h>

struct OriginHasher {
  GQueue files; /* OriginHashing; the first is being hashed, and is its task's */
};

/* hasher is the main loop's alone. */
struct OriginHashing {
  OriginHasher *hasher; /* NULL = it is gone */
  char *id, *path, *hashes_path;
  OriginHashedFunc func;
  gpointer data;
  OriginHashed result;
  gint permille;
  int shown; /* per cent */
  bool tty;
};

static void start_next (OriginHasher *self);

static void
hashing_free (gpointer data)
{
  OriginHashing *self = data;

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
  OriginHashing *self = data;
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
  OriginHashing *self = data;
  OriginHashed *result = &self->result;
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
  OriginHashing *self = g_task_get_task_data (G_TASK (result));
  OriginHasher *hasher = self->hasher;
  g_autoptr (GError) error = NULL;

  if (hasher == NULL)
    return;
  g_queue_pop_head (&hasher->files);
  g_task_propagate_boolean (G_TASK (result), &error);
  self->func (&self->result, error, self->data);
  start_next (hasher);
}

static void
start_next (OriginHasher *self)
{
  OriginHashing *next = g_queue_peek_head (&self->files);
  g_autoptr (GTask) task = NULL;

  if (next == NULL)
    return;
  task = g_task_new (NULL, NULL, on_hashed, NULL);
  g_task_set_task_data (task, next, hashing_free);
  g_task_run_in_thread (task, hash_in_thread);
}

OriginHasher *
origin_hasher_new (void)
{
  return g_new0 (OriginHasher, 1);
}

void
origin_hasher_free (OriginHasher *self)
{
  OriginHashing *first;

  if (self == NULL)
    return;
  first = g_queue_pop_head (&self->files);
  if (first != NULL)
    first->hasher = NULL;
  g_queue_clear_full (&self->files, hashing_free);
  g_free (self);
}

OriginHashing *
origin_hasher_add (OriginHasher *self, const char *id, const char *path, const char *hashes_path,
                   const PeerContent *content, OriginHashedFunc func, gpointer data)
{
  OriginHashing *file = g_new0 (OriginHashing, 1);

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

double
origin_hashing_progress (const OriginHashing *self)
{
  return g_atomic_int_get (&self->permille) / 1000.0;
}
