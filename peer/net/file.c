/* SPDX-License-Identifier: Apache-2.0 */
/* Three files: the content as it is, path + ".hashes" with its tree (peer/net/tree.c), and
 * path + ".have", a record and then a bit for each chunk that is here:
 *
 *   record | chunks 0 to 7 | chunks 8 to 15 | ...
 *
 * Chunks are gathered in memory (peer/net/blocks.c). A bit is written after its chunk and after the
 * hashes of its chunk: those of chunks that are in the file after each 256 chunks, and all of them
 * when all chunks are here, or when the store is closed. So after kill -9, where what was written stays in the page cache, a
 * bit that is set tells the truth. After a power loss it may not: the disk writes in any order.
 * Forcing the order would stop the data path for a disk's flush again and again; instead each
 * chunk is checked when it is first read, which costs one hash of the chunk.
 *
 * One thing must hold before the first datagram: a peer that hears that we have a chunk leaves out
 * the hashes that prove it, and those around it. So bits whose hashes are not there, or do not
 * climb to the root, are cleared at opening: always where that takes no time, and for long content
 * when the machine has been started anew since the record was last open. */
#define G_LOG_DOMAIN "peer/net"
#include "peer/net/file.h"
#include "peer/net/bits.h"
#include "peer/net/blocks.h"
#include "peer/net/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "PPSPhave"
enum { STATE_OPEN, STATE_CLOSED };

#define FLUSH_CHUNKS 256
#define DIRTY_MAX 64 /* pages, more than those of the chunks that wait in blocks */
#define PAGE_CHUNKS (UINT64_C (8) * NET_BITS_PAGE)
#define QUICK_CHUNKS 262144   /* a tenth of a second on a small machine's core */
#define READ_BYTES (1u << 20) /* at once when a file is hashed */

typedef struct {
  PeerStore parent;
  char *path;
  int fd, have_fd; /* have_fd: -1 = all of it is here, and nothing is written */
  NetBlocks *blocks;
  PeerContent content;
  uint64_t n_chunks;
  bool is_sparse;
  NetTree *tree;
  PeerHasher *hasher;
  NetBits *have;             /* NULL if have_fd is -1 */
  NetBits *checked;          /* since it was opened */
  uint64_t dirty[DIRTY_MAX]; /* pages of have */
  unsigned n_dirty, n_unflushed;
  bool has_failed;      /* and has said so */
  bool has_failed_tree; /* which has said so: what is written could not be proven */
} File;

static size_t
size_of (const File *self, uint64_t chunk)
{
  uint64_t size = self->content.chunk_size;
  return (size_t)MIN (size, self->content.length - chunk * size);
}

static PeerStoreResult
fail (File *self, const char *what)
{
  net_disk_complain (&self->has_failed, what, self->path);
  return PEER_STORE_FAILED;
}

/* --- the record of what is here --- */

/* As it may stand in the record: without what is not in the file yet. true = that is all of it. */
static bool
copy_page (const File *self, uint64_t page, uint8_t *out)
{
  const uint8_t *bytes = net_bits_page (self->have, page);
  bool all = true;
  memset (out, 0, NET_BITS_PAGE);
  if (bytes)
    memcpy (out, bytes, NET_BITS_PAGE);
  for (unsigned i = 0; i < NET_BLOCKS; i++) {
    uint64_t chunk, mask = net_blocks_unwritten (self->blocks, i, &chunk);
    for (; mask != 0; mask >>= 1, chunk++) {
      if (!(mask & 1) || chunk / PAGE_CHUNKS != page)
        continue;
      out[chunk % PAGE_CHUNKS / 8] &= (uint8_t) ~(1u << chunk % 8);
      all = false;
    }
  }
  return all;
}

/* Those of which something waits stay in the list. */
static bool
write_dirty_pages (File *self)
{
  unsigned kept = 0;
  for (unsigned i = 0; i < self->n_dirty; i++) {
    uint64_t page = self->dirty[i];
    uint8_t bytes[NET_BITS_PAGE];
    if (!copy_page (self, page, bytes))
      self->dirty[kept++] = page;
    if (!net_disk_write (self->have_fd, bytes, NET_BITS_PAGE,
                         NET_DISK_FRONT + page * NET_BITS_PAGE))
      return false;
  }
  self->n_dirty = kept;
  return true;
}

/* Chunks and hashes first: a bit must not be there before its chunk, and what proves it. Blocks that
 * are not whole wait for their other chunks, unless all is wanted. */
static void
flush (File *self, bool all)
{
  self->n_unflushed = 0;
  if (self->have_fd < 0 || self->n_dirty == 0)
    return;
  if (all && !net_blocks_flush (self->blocks))
    fail (self, "write");
  else if (!net_tree_flush (self->tree))
    self->has_failed_tree = true;
  else if (!write_dirty_pages (self))
    fail (self, "write the record of");
}

static void
set_have (File *self, uint64_t chunk, bool value)
{
  uint64_t page = chunk / PAGE_CHUNKS;
  bool is_listed = false;
  net_bits_set (self->have, chunk, value);
  for (unsigned i = 0; i < self->n_dirty; i++)
    is_listed = is_listed || self->dirty[i] == page;
  /* a record that cannot be written tells of some chunks that are gone; they are checked when read */
  if (!is_listed && self->n_dirty < DIRTY_MAX)
    self->dirty[self->n_dirty++] = page;
  bool all = net_bits_count (self->have) == self->n_chunks || self->n_dirty == DIRTY_MAX;
  if (all || ++self->n_unflushed >= FLUSH_CHUNKS)
    flush (self, all);
}

static bool
has (const File *self, uint64_t chunk)
{
  return chunk < self->n_chunks && (!self->have || net_bits_get (self->have, chunk));
}

/* Another number after each start of the machine; 0 = not known. */
static int64_t
boot_number (void)
{
  g_autofree char *text = NULL;
  if (!g_file_get_contents ("/proc/sys/kernel/random/boot_id", &text, NULL, NULL))
    return 0;
  text[strcspn (text, "-")] = '\0';
  return g_ascii_strtoll (text, NULL, 16);
}

static bool
write_state (File *self, uint32_t state)
{
  NetDiskRecord record = {
      .magic = MAGIC, .state = state, .changed_s = boot_number (), .content = self->content};
  return net_disk_write_record (self->have_fd, &record);
}

/* --- as a PeerStore --- */

/* What is on the disk is not what it was. */
static PeerStoreResult
drop (File *self, uint64_t chunk)
{
  if (self->have) {
    set_have (self, chunk, false);
    return PEER_STORE_ABSENT;
  }
  if (!self->has_failed) {
    g_warning ("'%s' has changed since it was hashed, and is hashed anew at the next start",
               self->path);
    net_tree_spoil (self->tree);
  }
  self->has_failed = true;
  return PEER_STORE_FAILED;
}

static bool
is_content (File *self, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  uint8_t expected[PEER_HASH_MAX], hash[PEER_HASH_MAX];
  peer_hasher_chunk (self->hasher, bytes, n, hash);
  if (self->n_chunks == 1)
    memcpy (expected, self->content.swarm_id, self->content.swarm_id_size);
  else if (!net_tree_read (self->tree, peer_bin_from_range ((PeerRange){chunk, chunk + 1}),
                           expected))
    return false;
  return memcmp (hash, expected, peer_hash_size (self->content.hash)) == 0;
}

static PeerStoreResult
file_read (PeerStore *store, uint64_t chunk, uint8_t *out, size_t room, size_t *n)
{
  File *self = (File *)store;
  if (!has (self, chunk))
    return PEER_STORE_ABSENT;
  size_t size = size_of (self, chunk);
  if (room < size)
    return PEER_STORE_FAILED;
  if (!net_blocks_read (self->blocks, chunk, out))
    return errno == ENODATA ? drop (self, chunk) : fail (self, "read");
  if (!net_bits_get (self->checked, chunk)) {
    if (!is_content (self, chunk, out, size))
      return drop (self, chunk);
    net_bits_set (self->checked, chunk, true);
  }
  *n = size;
  return PEER_STORE_OK;
}

static PeerStoreResult
file_write (PeerStore *store, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  File *self = (File *)store;
  if (self->have_fd < 0 || chunk >= self->n_chunks || n != size_of (self, chunk) ||
      self->has_failed_tree || self->n_dirty == DIRTY_MAX)
    return PEER_STORE_FAILED;
  if (!net_blocks_write (self->blocks, chunk, bytes))
    return fail (self, "write");
  net_bits_set (self->checked, chunk, true);
  set_have (self, chunk, true);
  return PEER_STORE_OK;
}

static void
punch (File *self, PeerRange run)
{
  uint64_t first = run.first * self->content.chunk_size;
  uint64_t end = MIN (run.end * self->content.chunk_size, self->content.length);
  net_disk_punch (self->fd, self->path, first, end);
}

static void
file_discard (PeerStore *store, PeerRange run)
{
  File *self = (File *)store;
  run = peer_range_intersection (run, (PeerRange){0, self->n_chunks});
  if (self->have_fd < 0 || peer_range_is_empty (run))
    return;
  for (uint64_t chunk = run.first; chunk < run.end; chunk++) {
    /* Whole pages at once where nothing is here. */
    if (chunk % PAGE_CHUNKS == 0 && !net_bits_page (self->have, chunk / PAGE_CHUNKS)) {
      chunk += PAGE_CHUNKS - 1;
      continue;
    }
    if (net_bits_get (self->have, chunk))
      set_have (self, chunk, false);
  }
  net_blocks_forget (self->blocks, run);
  /* The record first: what it says is here must be here whenever we are killed. */
  flush (self, false);
  punch (self, run);
}

static void
file_chunks (PeerStore *store, PeerChunks *out)
{
  File *self = (File *)store;
  if (!self->have) {
    peer_chunks_add (out, (PeerRange){0, self->n_chunks});
    return;
  }
  uint64_t first = 0;
  for (uint64_t chunk = 0; chunk <= self->n_chunks; chunk++) {
    if (chunk % PAGE_CHUNKS == 0 && first == chunk && chunk + PAGE_CHUNKS <= self->n_chunks &&
        !net_bits_page (self->have, chunk / PAGE_CHUNKS)) {
      first = chunk + PAGE_CHUNKS;
      chunk = first - 1;
      continue;
    }
    if (chunk < self->n_chunks && net_bits_get (self->have, chunk))
      continue;
    if (first < chunk)
      peer_chunks_add (out, (PeerRange){first, chunk});
    first = chunk + 1;
  }
}

static void
file_free (PeerStore *store)
{
  File *self = (File *)store;
  if (self->tree && self->have) {
    flush (self, true);
    if (!self->has_failed && !self->has_failed_tree && !write_state (self, STATE_CLOSED))
      fail (self, "write the record of");
  }
  net_tree_unref (self->tree);
  peer_hasher_free (self->hasher);
  net_bits_free (self->have);
  net_bits_free (self->checked);
  net_blocks_free (self->blocks);
  if (self->have_fd >= 0)
    close (self->have_fd);
  if (self->fd >= 0)
    close (self->fd);
  g_free (self->path);
  g_free (self);
}

static File *
file_new (const char *path)
{
  static const PeerStoreClass class = {file_read, file_write, file_discard, file_chunks, file_free};
  File *self = g_new0 (File, 1);
  self->parent.class = &class;
  self->path = g_strdup (path);
  self->fd = -1;
  self->have_fd = -1;
  return self;
}

static void
set_content (File *self, const PeerContent *content)
{
  self->content = *content;
  self->n_chunks = peer_content_n_chunks (content);
  self->hasher = peer_hasher_new (content->hash);
  self->checked = net_bits_new (self->n_chunks);
}

/* --- content that is fetched --- */

static void
clear_unproven (File *self)
{
  uint8_t hash[PEER_HASH_MAX];
  uint64_t n = 0;
  /* A single chunk is proven by the root. */
  for (uint64_t chunk = 0; chunk < self->n_chunks && self->n_chunks > 1; chunk++)
    if (net_bits_get (self->have, chunk) &&
        !net_tree_read (self->tree, peer_bin_from_range ((PeerRange){chunk, chunk + 1}), hash)) {
      set_have (self, chunk, false);
      n++;
    }
  if (n > 0)
    g_message ("%" G_GUINT64_FORMAT " chunks of '%s' have lost their hashes and are fetched anew",
               n, self->path);
}

/* Which chunks the record says are here. false = it cannot be read, with errno. */
static bool
read_have (File *self)
{
  uint8_t page[NET_BITS_PAGE];
  for (uint64_t i = 0; i < net_bits_n_pages (self->have); i++)
    if (net_disk_read (self->have_fd, page, sizeof page, NET_DISK_FRONT + i * NET_BITS_PAGE))
      net_bits_set_page (self->have, i, page);
    else if (errno != ENODATA)
      return false;
  return true;
}

/* Reads what is here from the record, or begins it anew; but not for a medium that cannot be read
 * now: all that was fetched would have to come again. */
static bool
load_have (File *self, const char *path, bool is_tree_empty, GError **error)
{
  NetDiskRecord record;
  self->have = net_bits_new (self->n_chunks);
  NetDiskRecordResult found = net_disk_read_record (self->have_fd, MAGIC, &record);
  bool fits = !is_tree_empty && found == NET_DISK_RECORD_GOOD &&
              net_disk_same_content (&record.content, &self->content);
  if (found == NET_DISK_RECORD_FAILED || (fits && !read_have (self))) {
    net_disk_set_error (error, errno, "cannot read", path);
    return false;
  }
  if ((!fits && ftruncate (self->have_fd, 0) < 0) || !write_state (self, STATE_OPEN)) {
    net_disk_set_error (error, errno, "cannot write", path);
    return false;
  }
  uint64_t size = NET_DISK_FRONT + net_bits_n_pages (self->have) * NET_BITS_PAGE;
  if (!net_disk_reserve (self->have_fd, path, size, error))
    return false;
  bool is_trusted = fits && (record.state == STATE_CLOSED ||
                             (record.changed_s != 0 && record.changed_s == boot_number ()));
  if (!is_trusted || self->n_chunks <= QUICK_CHUNKS)
    clear_unproven (self);
  return true;
}

/* As long as the content, neither more nor less. */
static bool
fit_file (File *self, GError **error)
{
  struct stat stat;
  if (!self->is_sparse && !net_disk_reserve (self->fd, self->path, self->content.length, error))
    return false;
  if (fstat (self->fd, &stat) == 0 && (uint64_t)stat.st_size != self->content.length &&
      ftruncate (self->fd, (off_t)self->content.length) < 0) {
    net_disk_set_error (error, errno, "cannot write", self->path);
    return false;
  }
  return true;
}

/* A kill between the record and the hole leaves room taken by what the record does not name. */
static void
punch_gaps (File *self)
{
  g_autoptr (PeerChunks) here = peer_chunks_new (0);
  file_chunks (&self->parent, here);
  PeerRange left = {0, self->n_chunks};
  while (!peer_range_is_empty (left)) {
    PeerRange gap = peer_chunks_gap (here, left);
    if (peer_range_is_empty (gap))
      return;
    punch (self, gap);
    left.first = gap.end;
  }
}

/* Each file that is new is removed again when what follows fails. */
static bool
open_files (File *self, GError **error)
{
  g_autofree char *tree_path = g_strconcat (self->path, NET_FILE_HASHES, NULL);
  g_autofree char *have_path = g_strconcat (self->path, NET_FILE_HAVE, NULL);
  bool is_new = false, is_new_have = false, is_tree_empty = true;
  self->fd = net_disk_open (self->path, &is_new, error);
  if (self->fd < 0)
    return false;
  self->blocks = net_blocks_new (self->fd, self->content.chunk_size, self->content.length);
  if (fit_file (self, error)) {
    self->tree = net_tree_open (tree_path, &self->content, !self->is_sparse, &is_tree_empty, error);
    if (self->tree)
      self->have_fd = net_disk_open (have_path, &is_new_have, error);
    if (self->have_fd >= 0 && load_have (self, have_path, is_tree_empty, error)) {
      if (self->is_sparse)
        punch_gaps (self);
      return true;
    }
  }
  if (is_new) {
    unlink (self->path);
    if (self->tree)
      unlink (tree_path);
  }
  if (is_new_have)
    unlink (have_path);
  return false;
}

static PeerStore *
open_content (const char *path, const PeerContent *content, bool is_sparse, PeerHashStore **hashes,
              GError **error)
{
  if (!peer_content_check (content, error))
    return NULL;
  if (peer_content_is_variable (content)) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT,
                 "'%s' cannot be kept in a file: its chunks have no common size, so that none has "
                 "a place before all others are known",
                 path);
    return NULL;
  }
  if (peer_content_is_live (content) || content->length == 0) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT,
                 "'%s' cannot be kept in a file: the length of the content is not known", path);
    return NULL;
  }
  File *self = file_new (path);
  self->is_sparse = is_sparse;
  set_content (self, content);
  if (!open_files (self, error)) {
    g_clear_pointer (&self->have, net_bits_free);
    file_free (&self->parent);
    return NULL;
  }
  *hashes = net_tree_hashes (self->tree);
  return &self->parent;
}

PeerStore *
net_file_open (const char *path, const PeerContent *content, PeerHashStore **hashes, GError **error)
{
  return open_content (path, content, false, hashes, error);
}

PeerStore *
net_file_open_sparse (const char *path, const PeerContent *content, PeerHashStore **hashes,
                      GError **error)
{
  return open_content (path, content, true, hashes, error);
}

void
net_file_adopt (PeerStore *store)
{
  File *self = (File *)store;
  for (uint64_t chunk = 0; chunk < self->n_chunks; chunk++)
    net_bits_set (self->have, chunk, true);
  for (uint64_t page = 0; page < net_bits_n_pages (self->have); page++) {
    if (self->n_dirty == DIRTY_MAX)
      flush (self, true);
    if (self->n_dirty < DIRTY_MAX) /* else the medium has failed, which has been said */
      self->dirty[self->n_dirty++] = page;
  }
  flush (self, true);
}

/* --- content that is published --- */

static bool
has_changed (const struct stat *a, const struct stat *b)
{
  return a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
         a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

/* One pass over the file; big reads of whole chunks. */
static bool
hash_file (File *self, const struct stat *before, PeerIntegrity *integrity,
           NetFileProgressFunc progress, gpointer data, GError **error)
{
  size_t chunk_size = self->content.chunk_size;
  size_t size = READ_BYTES / chunk_size * chunk_size;
  g_autofree uint8_t *bytes = g_malloc (size);
  struct stat after;
  posix_fadvise (self->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* advice: its failure changes nothing */
  for (uint64_t done = 0; done < self->content.length;) {
    size_t n = (size_t)MIN (size, self->content.length - done);
    if (!net_disk_read (self->fd, bytes, n, done)) {
      net_disk_set_error (error, errno, "cannot read", self->path);
      return false;
    }
    for (size_t i = 0; i < n; i += chunk_size)
      peer_integrity_append (integrity, bytes + i, MIN (chunk_size, n - i));
    done += n;
    if (progress)
      progress (done, self->content.length, data);
  }
  if (fstat (self->fd, &after) < 0 || has_changed (before, &after)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "'%s' was changed while it was being hashed",
                 self->path);
    return false;
  }
  return true;
}

/* The file, and what it must be. */
static bool
open_published (File *self, struct stat *stat, GError **error)
{
  self->fd = open (self->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (self->fd < 0 || fstat (self->fd, stat) < 0) {
    net_disk_set_error (error, errno, "cannot read", self->path);
    return false;
  }
  if (!S_ISREG (stat->st_mode) || stat->st_size == 0) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "cannot publish '%s': it is %s",
                 self->path, S_ISREG (stat->st_mode) ? "empty" : "no regular file");
    return false;
  }
  return true;
}

/* The tree as it was completed before, or else made now. NULL with error. */
static PeerIntegrity *
make_tree (File *self, const char *hashes_path, const struct stat *stat,
           NetFileProgressFunc progress, gpointer data, GError **error)
{
  PeerContent *content = &self->content;
  self->tree = net_tree_open_published (hashes_path, content, stat->st_mtim.tv_sec,
                                        (uint32_t)stat->st_mtim.tv_nsec, error);
  if (!self->tree)
    return NULL;
  g_autoptr (PeerIntegrity) integrity =
      peer_integrity_new (content, 0, net_tree_hashes (self->tree), error);
  if (!integrity || content->swarm_id_size > 0)
    return g_steal_pointer (&integrity);
  if (!hash_file (self, stat, integrity, progress, data, error))
    return NULL;
  content->swarm_id_size = (uint16_t)peer_hash_size (content->hash);
  peer_integrity_finish (integrity, content->swarm_id);
  if (!net_tree_complete (self->tree, content, error))
    return NULL;
  return g_steal_pointer (&integrity);
}

PeerStore *
net_file_publish (const char *path, const char *hashes_path, PeerContent *content,
                  PeerIntegrity **integrity, NetFileProgressFunc progress, gpointer data,
                  GError **error)
{
  struct stat stat;
  PeerContent wanted = *content;
  File *self = file_new (path);
  if (open_published (self, &stat, error)) {
    wanted.length = (uint64_t)stat.st_size;
    wanted.swarm_id_size = (uint16_t)peer_content_hash_size (content);
    memset (wanted.swarm_id, 0, sizeof wanted.swarm_id);
    if (peer_content_check (&wanted, error)) {
      set_content (self, &wanted);
      self->blocks = net_blocks_new (self->fd, wanted.chunk_size, wanted.length);
      *integrity = make_tree (self, hashes_path, &stat, progress, data, error);
      if (*integrity) {
        *content = self->content;
        return &self->parent;
      }
    }
  }
  file_free (&self->parent);
  return NULL;
}
