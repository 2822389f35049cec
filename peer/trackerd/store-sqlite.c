/* SPDX-License-Identifier: Apache-2.0 */
/* Each second what has changed goes to a thread, which writes it in one transaction:
 *
 *   registry --records--> batch --queue--> thread --> peers (key, record)
 *
 * That a peer is alive is not written, or a million peers would mean 17,000 rows a second. Instead the
 * file says until when the tracker was alive: whoever was there then had been heard of a moment ago.
 * A file that is locked or full loses nothing but time: what the thread does not take stays with the
 * registry, where each peer waits once. */
#include "peer/trackerd/store-sqlite.h"

#include "peer/tracker/record.h"

#include <sqlite3.h>
#include <string.h>

#define G_LOG_DOMAIN_STORE "peer/trackerd"
#define FLUSH_SECONDS 1
#define ALIVE_SECONDS 5
#define BATCH 20000u
#define MAX_BATCHES 4
#define FORMAT 1

typedef struct {
  GPtrArray *records; /* GBytes */
  bool last;
} Batch;

typedef struct {
  TrackerdStore base;
  sqlite3 *file;
  char *name;
  sqlite3_stmt *put, *drop, *alive;
  GAsyncQueue *batches;
  GRecMutex handing; /* whoever puts a batch there, or has taken one */
  GThread *thread;
  guint flush;
  int64_t told_alive; /* us */
  gint failing;       /* atomic: the last batch was not written */
  gint failures;      /* atomic */
  gint written;       /* atomic: records that are in the file */
  gint stopping;      /* atomic: nothing is tried twice */
} Sqlite;

static void
batch_free (gpointer data)
{
  Batch *self = data;
  g_ptr_array_unref (self->records);
  g_free (self);
}

/* A batch is filled before, and read after: by the queue's own lock, too, but that is one of GLib's, which
 * -Db_sanitize=thread does not know. */
static void
hand (Sqlite *self, Batch *batch)
{
  g_rec_mutex_lock (&self->handing);
  g_async_queue_push (self->batches, batch);
  g_rec_mutex_unlock (&self->handing);
}

static Batch *
take (Sqlite *self)
{
  Batch *batch = g_async_queue_pop (self->batches);
  g_rec_mutex_lock (&self->handing);
  g_rec_mutex_unlock (&self->handing);
  return batch;
}

/* --- the thread ---------------------------------------------------------------------------- */

static bool
step (sqlite3_stmt *statement)
{
  int code = sqlite3_step (statement);
  sqlite3_reset (statement);
  return code == SQLITE_DONE;
}

static bool
write_record (Sqlite *self, GBytes *record)
{
  TrackerRecordKind kind;
  const uint8_t *key;
  size_t n, n_key;
  const uint8_t *bytes = g_bytes_get_data (record, &n);
  if (!tracker_record_key (bytes, n, &kind, &key, &n_key))
    return true;
  if (kind == TRACKER_RECORD_HEARD)
    return true;
  if (kind != TRACKER_RECORD_HERE) {
    sqlite3_bind_blob (self->drop, 1, key, (int)n_key, SQLITE_STATIC);
    return step (self->drop);
  }
  sqlite3_bind_blob (self->put, 1, key, (int)n_key, SQLITE_STATIC);
  sqlite3_bind_blob (self->put, 2, bytes, (int)n, SQLITE_STATIC);
  return step (self->put);
}

static void
note_failure (Sqlite *self)
{
  g_atomic_int_inc (&self->failures);
  if (g_atomic_int_get (&self->failing))
    return;
  g_atomic_int_set (&self->failing, 1);
  g_log_structured (G_LOG_DOMAIN_STORE, G_LOG_LEVEL_WARNING, "MESSAGE",
                    "cannot write %s: %s; tried again each second", self->name,
                    sqlite3_errmsg (self->file));
}

static bool
write_batch (Sqlite *self, const Batch *batch)
{
  bool good = sqlite3_exec (self->file, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
  for (guint i = 0; good && i < batch->records->len; i++)
    good = write_record (self, g_ptr_array_index (batch->records, i));
  sqlite3_bind_int64 (self->alive, 1, g_get_real_time ());
  if (good && step (self->alive) &&
      sqlite3_exec (self->file, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
    return true;
  note_failure (self); /* before another statement has another message */
  sqlite3_exec (self->file, "ROLLBACK", NULL, NULL, NULL);
  return false;
}

/* Each until it is written, or it is the end. */
static gpointer
write_batches (gpointer data)
{
  Sqlite *self = data;
  for (;;) {
    Batch *batch = take (self);
    bool last = batch->last;
    while (!write_batch (self, batch)) {
      for (unsigned i = 0; i < 20 && !g_atomic_int_get (&self->stopping); i++)
        g_usleep (50000);
      if (g_atomic_int_get (&self->stopping))
        break;
    }
    g_atomic_int_add (&self->written, (gint)batch->records->len);
    if (g_atomic_int_get (&self->failing) && !g_atomic_int_get (&self->stopping)) {
      g_atomic_int_set (&self->failing, 0);
      g_log_structured (G_LOG_DOMAIN_STORE, G_LOG_LEVEL_MESSAGE, "MESSAGE",
                        "%s can be written again", self->name);
    }
    batch_free (batch);
    if (last)
      return NULL;
  }
}

/* --- the main loop ------------------------------------------------------------------------- */

/* What has changed, as far as one batch goes. */
static Batch *
batch_new (Sqlite *self)
{
  Batch *batch = g_new0 (Batch, 1);
  int64_t now = g_get_monotonic_time ();
  batch->records = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  g_rec_mutex_lock (self->base.lock);
  while (batch->records->len < BATCH) {
    GByteArray *record = g_byte_array_new ();
    if (!tracker_registry_next_change (self->base.registry, now, record)) {
      g_byte_array_unref (record);
      break;
    }
    g_ptr_array_add (batch->records, g_byte_array_free_to_bytes (record));
  }
  g_rec_mutex_unlock (self->base.lock);
  return batch;
}

static void
flush (Sqlite *self)
{
  int64_t now = g_get_monotonic_time ();
  while (g_async_queue_length (self->batches) < MAX_BATCHES) {
    Batch *batch = batch_new (self);
    bool more = batch->records->len == BATCH;
    if (batch->records->len == 0 && now - self->told_alive < ALIVE_SECONDS * G_USEC_PER_SEC) {
      batch_free (batch);
      return;
    }
    self->told_alive = now;
    hand (self, batch);
    if (!more)
      return;
  }
}

static gboolean
on_flush (gpointer data)
{
  Sqlite *self = data;
  flush (self);
  self->base.stats.connected = !g_atomic_int_get (&self->failing);
  self->base.stats.written = (guint)g_atomic_int_get (&self->written);
  self->base.stats.failures = (uint64_t)g_atomic_int_get (&self->failures);
  return G_SOURCE_CONTINUE;
}

static void
sqlite_free (TrackerdStore *base)
{
  Sqlite *self = (Sqlite *)base;
  if (self->flush != 0)
    g_source_remove (self->flush);
  if (self->thread != NULL) {
    g_atomic_int_set (&self->stopping, 1);
    Batch *batch;
    do { /* all that is left, however much */
      batch = batch_new (self);
      batch->last = batch->records->len < BATCH;
      bool last = batch->last;
      hand (self, batch);
      if (last)
        break;
    } while (true);
    g_thread_join (self->thread);
  }
  g_async_queue_unref (self->batches);
  g_rec_mutex_clear (&self->handing);
  sqlite3_finalize (self->put);
  sqlite3_finalize (self->drop);
  sqlite3_finalize (self->alive);
  sqlite3_close (self->file);
  g_free (self->name);
  g_free (self);
}

/* --- opening ------------------------------------------------------------------------------- */

static int64_t
get_integer (Sqlite *self, const char *text)
{
  sqlite3_stmt *statement = NULL;
  int64_t value = 0;
  if (sqlite3_prepare_v2 (self->file, text, -1, &statement, NULL) == SQLITE_OK &&
      sqlite3_step (statement) == SQLITE_ROW)
    value = sqlite3_column_int64 (statement, 0);
  sqlite3_finalize (statement);
  return value;
}

/* Those who were heard of when the tracker last was alive, if that is not too long ago. */
static bool
load (Sqlite *self)
{
  sqlite3_stmt *statement = NULL;
  int64_t alive = get_integer (self, "SELECT at FROM alive");
  int64_t age = MAX (0, g_get_real_time () - alive);
  if (age >= TRACKER_TRACK_TIMEOUT)
    return sqlite3_exec (self->file, "DELETE FROM peers", NULL, NULL, NULL) == SQLITE_OK;
  if (sqlite3_prepare_v2 (self->file, "SELECT record FROM peers", -1, &statement, NULL) !=
      SQLITE_OK)
    return false;
  int code;
  while ((code = sqlite3_step (statement)) == SQLITE_ROW) {
    const uint8_t *bytes = sqlite3_column_blob (statement, 0);
    int n = sqlite3_column_bytes (statement, 0);
    trackerd_store_apply (&self->base, bytes != NULL ? bytes : (const uint8_t *)"", (size_t)n, age);
  }
  sqlite3_finalize (statement);
  return code == SQLITE_DONE;
}

/* busy_timeout: another tracker that has the same file would take turns with us; it is refused. */
static bool
prepare (Sqlite *self)
{
  static const char setup[] =
      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
      "CREATE TABLE IF NOT EXISTS peers (key BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;"
      "CREATE TABLE IF NOT EXISTS alive (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER);"
      "PRAGMA user_version=1;";
  int64_t format = get_integer (self, "PRAGMA user_version");
  return (format == 0 || format == FORMAT) &&
         sqlite3_exec (self->file, setup, NULL, NULL, NULL) == SQLITE_OK &&
         sqlite3_prepare_v2 (self->file, "INSERT OR REPLACE INTO peers VALUES (?, ?)", -1,
                             &self->put, NULL) == SQLITE_OK &&
         sqlite3_prepare_v2 (self->file, "DELETE FROM peers WHERE key = ?", -1, &self->drop,
                             NULL) == SQLITE_OK &&
         sqlite3_prepare_v2 (self->file, "INSERT OR REPLACE INTO alive VALUES (1, ?)", -1,
                             &self->alive, NULL) == SQLITE_OK &&
         load (self);
}

TrackerdStore *
trackerd_store_sqlite_open (const char *file, TrackerRegistry *registry, GRecMutex *lock,
                            GError **error)
{
  Sqlite *self = g_new0 (Sqlite, 1);
  self->base = (TrackerdStore){.free = sqlite_free, .registry = registry, .lock = lock};
  self->base.stats.connected = true;
  self->name = g_strdup (file);
  self->batches = g_async_queue_new_full (batch_free);
  g_rec_mutex_init (&self->handing);
  if (sqlite3_open (file, &self->file) != SQLITE_OK || !prepare (self)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
                 "--store sqlite:%s: %s; is it a file that this tracker may write, made by a "
                 "tracker, and used by no other?",
                 file, sqlite3_errmsg (self->file));
    sqlite_free (&self->base);
    return NULL;
  }
  self->thread = g_thread_new ("store", write_batches, self);
  self->flush = g_timeout_add_seconds (FLUSH_SECONDS, on_flush, self);
  return &self->base;
}
