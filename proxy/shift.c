/* SPDX-License-Identifier: Apache-2.0 */
/* Each slab becomes a record; the records lie one behind the other, and the one that has no room takes the
 * place of the oldest:
 *
 *   record: number of the slab | sizes of its chunks | their bytes     to a multiple of 512 bytes
 *
 * One thread for each file writes and reads, in the order in which it was told to, so a record that is
 * read is never half another. It is told to write when a megabyte has come together: that is kind to
 * flash. Until they are written, slabs are read where they lie. What is kept where is known in memory
 * only, as runs of slabs. The file loses its name as soon as it is made, so nothing of it outlives the
 * process, however that ends.
 *
 * Whatever goes wrong turns it off: all that was kept is gone then, and live goes on. */
#include "proxy/shift.h"
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
  RECORD_UNIT = 512,
  BATCH = 1 << 20,    /* bytes of slabs that are written together */
  BACKLOG = 16 << 20, /* bytes that the disk may be behind */
  LOADED = 32,        /* slabs that were read and stay for a while */
  AHEAD = 4,          /* slabs that are read together */
  MAX_RUNS = 4096,
};

#define PREFIX "timeshift-"

/* What the thread works with; it goes when nobody works with it any more. */
typedef struct {
  gatomicrefcount refs;
  ProxyShift *shift; /* of the main loop; NULL = it is gone */
  GMainContext *context;
  char *folder;
  uint64_t quota;
  uint32_t chunk_size, per_slab;
  size_t head, record; /* bytes */
  int fd;              /* the thread's */
} File;

/* Slabs [number, number + n) were written as the seq-th and those behind it. */
typedef struct {
  uint64_t number, seq, n;
} Run;

typedef enum { OPEN, WRITE, READ, CLOSE } JobType;

typedef struct {
  File *file;
  JobType type;
  GPtrArray *slabs; /* to be written, or as they are read */
  uint64_t seq;     /* of the first */
  uint64_t number;  /* to be read: of the first, */
  unsigned n;       /* and how many */
  uint64_t n_slots;
  char *failure;
} Job;

struct ProxyShift {
  File *file;
  GThreadPool *thread;
  void (*news) (gpointer data);
  gpointer data;
  bool opening, open;
  uint64_t n_slots;  /* records that the file has room for; before it is open, at most */
  uint64_t seq;      /* of the next slab */
  GArray *runs;      /* Run, by number and seq */
  GPtrArray *held;   /* ProxySlab, the newest: not known to be on disk */
  guint told;        /* of them: the thread knows */
  GPtrArray *loaded; /* ProxySlab; the last one was used last */
  GArray *asked;     /* uint64_t: numbers of slabs that are being read */
  bool failing;      /* said from inside a call, told from the main loop */
  char *failure;
};

/* --- the thread's side --- */

static gpointer
close_file (gpointer fd)
{
  close (GPOINTER_TO_INT (fd));
  return NULL;
}

/* With its last reference a file goes whole, which of gigabytes can take a disk seconds: not here, this may
 * be the main loop. */
static void
close_aside (int fd)
{
  GThread *thread = g_thread_try_new ("timeshift-end", close_file, GINT_TO_POINTER (fd), NULL);
  if (thread)
    g_thread_unref (thread);
  else
    close (fd);
}

static void
file_unref (File *file)
{
  if (!g_atomic_ref_count_dec (&file->refs))
    return;
  if (file->fd >= 0)
    close_aside (file->fd);
  g_main_context_unref (file->context);
  g_free (file->folder);
  g_free (file);
}

static void
job_free (gpointer data)
{
  Job *job = data;
  g_ptr_array_unref (job->slabs);
  file_unref (job->file);
  g_free (job->failure);
  g_free (job);
}

static void
fail_job (Job *job, const char *what, int code)
{
  job->failure = g_strdup_printf ("%s in %s: %s", what, job->file->folder, g_strerror (code));
}

/* The whole room is taken at once where the file system can, so that the disk is not full later. */
static void
open_file (Job *job)
{
  File *file = job->file;
  struct statvfs disk;
  g_autofree char *path = g_build_filename (file->folder, PREFIX "XXXXXX", NULL);
  if (g_mkdir_with_parents (file->folder, 0700) != 0 || statvfs (file->folder, &disk) != 0) {
    fail_job (job, "no folder", errno);
    return;
  }
  uint64_t spare = (uint64_t)disk.f_bavail * disk.f_frsize, room = file->quota;
  room = MIN (room, spare > PROXY_SHIFT_SPARE ? spare - PROXY_SHIFT_SPARE : 0);
  if (room < MIN (PROXY_SHIFT_LEAST, file->quota)) {
    fail_job (job, "no room", ENOSPC);
    return;
  }
  file->fd = g_mkstemp_full (path, O_RDWR | O_CLOEXEC, 0600);
  if (file->fd < 0 || g_unlink (path) != 0) {
    fail_job (job, "no file", errno);
    return;
  }
  job->n_slots = MAX (room / file->record, 1);
  if (fallocate (file->fd, 0, 0, (off_t)(job->n_slots * file->record)) != 0 &&
      errno != EOPNOTSUPP && errno != ENOSYS)
    fail_job (job, "no room", errno);
}

/* 0, or an errno. */
static int
transfer (int fd, bool out, uint8_t *bytes, size_t n, uint64_t offset)
{
  while (n > 0) {
    ssize_t did = out ? pwrite (fd, bytes, n, (off_t)offset) : pread (fd, bytes, n, (off_t)offset);
    if (did < 0 && errno == EINTR)
      continue;
    if (did <= 0)
      return did < 0 ? errno : EIO;
    bytes += did;
    n -= (size_t)did;
    offset += (uint64_t)did;
  }
  return 0;
}

/* What is absent is zeros: memory of others has no business on a disk. */
static void
write_record (const File *file, const ProxySlab *slab, uint8_t *out)
{
  memcpy (out, &slab->number, sizeof slab->number);
  memcpy (out + sizeof slab->number, slab->sizes, file->per_slab * sizeof (uint16_t));
  for (uint32_t i = 0; i < file->per_slab; i++)
    if (slab->sizes[i] > 0)
      memcpy (out + file->head + (size_t)i * file->chunk_size,
              slab->bytes + (size_t)i * file->chunk_size, slab->sizes[i]);
}

/* NULL = it is not that one. */
static ProxySlab *
read_record (const File *file, uint64_t number, const uint8_t *in)
{
  ProxySlab *slab = proxy_slab_new (number, file->per_slab, file->chunk_size);
  memcpy (slab->sizes, in + sizeof number, file->per_slab * sizeof (uint16_t));
  memcpy (slab->bytes, in + file->head, (size_t)file->per_slab * file->chunk_size);
  bool right = memcmp (in, &number, sizeof number) == 0;
  for (uint32_t i = 0; i < file->per_slab; i++)
    right = right && slab->sizes[i] <= file->chunk_size;
  if (right)
    return slab;
  proxy_slab_unref (slab);
  return NULL;
}

/* n records from the seq-th on, which may go on at the file's beginning. */
static int
transfer_records (const Job *job, bool out, uint8_t *bytes, unsigned n)
{
  uint64_t slot = job->seq % job->n_slots;
  unsigned first = (unsigned)MIN (n, job->n_slots - slot);
  size_t record = job->file->record;
  int code = transfer (job->file->fd, out, bytes, first * record, slot * record);
  if (code == 0 && first < n)
    code = transfer (job->file->fd, out, bytes + first * record, (n - first) * record, 0);
  return code;
}

static void
write_slabs (Job *job)
{
  unsigned n = job->slabs->len;
  g_autofree uint8_t *bytes = g_malloc0 (n * job->file->record);
  for (unsigned i = 0; i < n; i++)
    write_record (job->file, job->slabs->pdata[i], bytes + i * job->file->record);
  int code = transfer_records (job, true, bytes, n);
  if (code != 0)
    fail_job (job, "cannot write", code);
}

static void
read_slabs (Job *job)
{
  g_autofree uint8_t *bytes = g_malloc (job->n * job->file->record);
  int code = transfer_records (job, false, bytes, job->n);
  for (unsigned i = 0; i < job->n && code == 0; i++) {
    ProxySlab *slab = read_record (job->file, job->number + i, bytes + i * job->file->record);
    if (slab)
      g_ptr_array_add (job->slabs, slab);
    else
      code = EIO;
  }
  if (code != 0)
    fail_job (job, "cannot read", code);
}

/* Jobs behind this one fail, and nobody minds: it is off. */
static void
end_file (File *file)
{
  if (file->fd >= 0)
    close (file->fd);
  file->fd = -1;
}

static gboolean on_done (gpointer data);

static void
tell (Job *job)
{
  GSource *source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, on_done, job, job_free);
  g_source_attach (source, job->file->context);
  g_source_unref (source);
}

static void
run_job (gpointer data, gpointer unused)
{
  Job *job = data;
  switch (job->type) {
  case OPEN:
    open_file (job);
    break;
  case WRITE:
    write_slabs (job);
    break;
  case READ:
    read_slabs (job);
    break;
  case CLOSE:
    end_file (job->file);
    break;
  }
  tell (job);
}

/* --- the main loop's side --- */

static Job *
job_new (ProxyShift *self, JobType type, uint64_t seq)
{
  Job *job = g_new0 (Job, 1);
  job->file = self->file;
  g_atomic_ref_count_inc (&self->file->refs);
  job->type = type;
  job->slabs = g_ptr_array_new_with_free_func (proxy_slab_unref);
  job->seq = seq;
  job->n_slots = self->n_slots;
  return job;
}

static size_t
slab_bytes (const ProxyShift *self)
{
  return (size_t)self->file->per_slab * self->file->chunk_size;
}

/* Of the first run, n go. */
static void
forget_first (ProxyShift *self, uint64_t n)
{
  Run *run = &g_array_index (self->runs, Run, 0);
  run->number += n;
  run->seq += n;
  run->n -= n;
  if (run->n == 0)
    g_array_remove_index (self->runs, 0);
}

static const Run *
first_run (const ProxyShift *self)
{
  return self->runs->len > 0 ? &g_array_index (self->runs, Run, 0) : NULL;
}

/* Those whose place others have, or will have. */
static void
forget_overwritten (ProxyShift *self)
{
  uint64_t oldest = self->seq > self->n_slots ? self->seq - self->n_slots : 0;
  const Run *run;
  while ((run = first_run (self)) && run->seq < oldest)
    forget_first (self, MIN (oldest - run->seq, run->n));
}

void
proxy_shift_forget (ProxyShift *self, uint64_t number)
{
  const Run *run;
  while ((run = first_run (self)) && run->number < number)
    forget_first (self, MIN (number - run->number, run->n));
}

/* The disk gets back what was taken of it, now and not when the channel ends. */
static void
fail (ProxyShift *self, const char *why)
{
  if (self->failure)
    return;
  self->failure = g_strdup (why);
  g_array_set_size (self->runs, 0);
  g_ptr_array_set_size (self->held, 0);
  g_ptr_array_set_size (self->loaded, 0);
  g_array_set_size (self->asked, 0);
  self->told = 0;
  g_thread_pool_push (self->thread, job_new (self, CLOSE, 0), NULL);
  self->news (self->data);
}

/* Whole batches go to the disk. */
static void
write_on (ProxyShift *self)
{
  guint batch = (guint)MAX (BATCH / slab_bytes (self), 1);
  batch = (guint)MIN (batch, self->n_slots);
  while (self->open && self->held->len - self->told >= batch) {
    uint64_t seq = self->seq - (self->held->len - self->told);
    Job *job = job_new (self, WRITE, seq);
    for (guint i = 0; i < batch; i++)
      g_ptr_array_add (job->slabs, proxy_slab_ref (self->held->pdata[self->told + i]));
    self->told += batch;
    g_thread_pool_push (self->thread, job, NULL);
  }
}

static void
take_read (ProxyShift *self, Job *job)
{
  for (guint i = 0; i < self->asked->len;) {
    if (g_array_index (self->asked, uint64_t, i) - job->number < job->n)
      g_array_remove_index_fast (self->asked, i);
    else
      i++;
  }
  for (guint i = 0; i < job->slabs->len; i++) {
    if (self->loaded->len == LOADED)
      g_ptr_array_remove_index (self->loaded, 0);
    g_ptr_array_add (self->loaded, proxy_slab_ref (job->slabs->pdata[i]));
  }
  self->news (self->data);
}

static gboolean
on_done (gpointer data)
{
  Job *job = data;
  ProxyShift *self = job->file->shift;
  if (!self || self->failure)
    return G_SOURCE_REMOVE;
  if (job->failure) {
    fail (self, job->failure);
    return G_SOURCE_REMOVE;
  }
  switch (job->type) {
  case OPEN:
    self->open = true;
    self->n_slots = job->n_slots;
    forget_overwritten (self);
    write_on (self);
    break;
  case WRITE:
    g_ptr_array_remove_range (self->held, 0, job->slabs->len);
    self->told -= job->slabs->len;
    break;
  case READ:
    take_read (self, job);
    break;
  case CLOSE: /* of one that has failed */
    break;
  }
  return G_SOURCE_REMOVE;
}

ProxyShift *
proxy_shift_new (const ProxyShiftOptions *options)
{
  ProxyShift *self = g_new0 (ProxyShift, 1);
  File *file = self->file = g_new0 (File, 1);
  g_atomic_ref_count_init (&file->refs);
  file->shift = self;
  file->context = g_main_context_ref_thread_default ();
  file->folder = g_strdup (options->folder);
  file->quota = options->quota;
  file->chunk_size = options->chunk_size;
  file->per_slab = options->per_slab;
  file->head = sizeof (uint64_t) + options->per_slab * sizeof (uint16_t);
  size_t bytes = file->head + slab_bytes (self);
  file->record = (bytes + RECORD_UNIT - 1) / RECORD_UNIT * RECORD_UNIT;
  file->fd = -1;
  self->news = options->news;
  self->data = options->data;
  self->n_slots = MAX (file->quota / file->record, 1);
  self->thread = g_thread_pool_new_full (run_job, NULL, job_free, 1, FALSE, NULL);
  self->runs = g_array_new (FALSE, FALSE, sizeof (Run));
  self->held = g_ptr_array_new_with_free_func (proxy_slab_unref);
  self->loaded = g_ptr_array_new_with_free_func (proxy_slab_unref);
  self->asked = g_array_new (FALSE, FALSE, sizeof (uint64_t));
  return self;
}

void
proxy_shift_free (ProxyShift *self)
{
  if (!self)
    return;
  self->file->shift = NULL;
  g_thread_pool_free (self->thread, TRUE, FALSE);
  file_unref (self->file);
  g_array_unref (self->runs);
  g_ptr_array_unref (self->held);
  g_ptr_array_unref (self->loaded);
  g_array_unref (self->asked);
  g_free (self->failure);
  g_free (self);
}

void
proxy_shift_add (ProxyShift *self, ProxySlab *slab)
{
  guint n = self->runs->len;
  Run *last = n > 0 ? &g_array_index (self->runs, Run, n - 1) : NULL;
  if (self->failure || self->failing || (last && slab->number < last->number + last->n))
    return;
  if (last && slab->number == last->number + last->n) {
    last->n++;
  } else {
    Run run = {slab->number, self->seq, 1};
    g_array_append_val (self->runs, run);
  }
  self->seq++;
  forget_overwritten (self);
  if (self->runs->len > MAX_RUNS)
    forget_first (self, first_run (self)->n);
  g_ptr_array_add (self->held, proxy_slab_ref (slab));
  if (!self->opening) {
    self->opening = true;
    g_thread_pool_push (self->thread, job_new (self, OPEN, 0), NULL);
  }
  write_on (self);
  if (self->held->len * slab_bytes (self) > BACKLOG) {
    Job *job = job_new (self, WRITE, 0);
    job->failure = g_strdup ("the disk takes it more slowly than it comes");
    self->failing = true;
    tell (job);
  }
}

static const Run *
find_run (const ProxyShift *self, uint64_t number)
{
  guint low = 0, high = self->runs->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    const Run *run = &g_array_index (self->runs, Run, middle);
    if (number < run->number)
      high = middle;
    else if (number - run->number >= run->n)
      low = middle + 1;
    else
      return run;
  }
  return NULL;
}

bool
proxy_shift_has (const ProxyShift *self, uint64_t number)
{
  return find_run (self, number) != NULL;
}

static ProxySlab *
find_held (const ProxyShift *self, uint64_t number)
{
  guint low = 0, high = self->held->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    ProxySlab *slab = self->held->pdata[middle];
    if (slab->number == number)
      return slab;
    if (slab->number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

static ProxySlab *
find_loaded (ProxyShift *self, uint64_t number)
{
  for (guint i = self->loaded->len; i-- > 0;) {
    ProxySlab *slab = self->loaded->pdata[i];
    if (slab->number != number)
      continue;
    memmove (&self->loaded->pdata[i], &self->loaded->pdata[i + 1],
             (self->loaded->len - 1 - i) * sizeof (gpointer));
    self->loaded->pdata[self->loaded->len - 1] = slab;
    return slab;
  }
  return NULL;
}

static bool
is_asked (const ProxyShift *self, uint64_t number)
{
  for (guint i = 0; i < self->asked->len; i++)
    if (g_array_index (self->asked, uint64_t, i) == number)
      return true;
  return false;
}

/* It and those behind it, as far as they are on disk and in no memory. */
static void
fetch (ProxyShift *self, const Run *run, uint64_t number)
{
  Job *job = job_new (self, READ, run->seq + (number - run->number));
  job->number = number;
  uint64_t end = MIN (run->number + run->n, number + AHEAD);
  for (uint64_t next = number; next < end; next++, job->n++) {
    if (is_asked (self, next) || find_held (self, next) ||
        (next > number && find_loaded (self, next)))
      break;
    g_array_append_val (self->asked, next);
  }
  g_thread_pool_push (self->thread, job, NULL);
}

ProxySlab *
proxy_shift_find (ProxyShift *self, uint64_t number)
{
  const Run *run = find_run (self, number);
  if (!run)
    return NULL;
  ProxySlab *slab = find_held (self, number);
  if (!slab)
    slab = find_loaded (self, number);
  if (!slab && !is_asked (self, number))
    fetch (self, run, number);
  return slab;
}

bool
proxy_shift_oldest (const ProxyShift *self, uint64_t *number)
{
  const Run *run = first_run (self);
  if (run)
    *number = run->number;
  return run != NULL;
}

uint64_t
proxy_shift_bytes (const ProxyShift *self)
{
  uint64_t n = 0;
  for (guint i = 0; i < self->runs->len; i++)
    n += g_array_index (self->runs, Run, i).n;
  return n * slab_bytes (self);
}

uint64_t
proxy_shift_unwritten (const ProxyShift *self)
{
  return self->held->len * slab_bytes (self);
}

uint64_t
proxy_shift_loaded (const ProxyShift *self)
{
  return self->loaded->len * slab_bytes (self);
}

const char *
proxy_shift_failure (const ProxyShift *self)
{
  return self->failure;
}

void
proxy_shift_clean (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    if (g_str_has_prefix (name, PREFIX))
      g_unlink (path);
  }
}
