/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks are gathered in memory (peer/net/blocks.c), so the file may lack the newest few until it is
 * flushed, finished or closed; after a kill it is emptied anyway. */
#include "peer/net/record.h"
#include "peer/net/blocks.h"
#include "peer/net/disk.h"
#include "peer/net/file.h"

#include <errno.h>
#include <gio/gio.h>
#include <sys/file.h>
#include <unistd.h>

typedef struct {
  PeerStore parent;
  char *path;
  int fd;
  NetBlocks *blocks;
  uint32_t chunk_size;
  uint64_t max_chunks;
  PeerChunks *have;
  bool is_finished, has_failed;
} Record;

static PeerStoreResult
fail (Record *self, const char *what)
{
  net_disk_complain (&self->has_failed, what, self->path);
  return PEER_STORE_FAILED;
}

static PeerStoreResult
record_read (PeerStore *store, uint64_t chunk, uint8_t *out, size_t room, size_t *n)
{
  Record *self = (Record *)store;
  if (!peer_chunks_has (self->have, chunk))
    return PEER_STORE_ABSENT;
  if (room < self->chunk_size)
    return PEER_STORE_FAILED;
  if (!net_blocks_read (self->blocks, chunk, out))
    return fail (self, "read");
  *n = self->chunk_size;
  return PEER_STORE_OK;
}

static PeerStoreResult
record_write (PeerStore *store, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  Record *self = (Record *)store;
  if (self->is_finished || chunk >= self->max_chunks || n != self->chunk_size)
    return PEER_STORE_ABSENT;
  if (!net_blocks_write (self->blocks, chunk, bytes))
    return fail (self, "write");
  peer_chunks_add (self->have, (PeerRange){chunk, chunk + 1});
  return PEER_STORE_OK;
}

static void
record_discard (PeerStore *store, PeerRange run)
{
  Record *self = (Record *)store;
  run = peer_range_intersection (run, peer_chunks_span (self->have));
  if (self->is_finished || peer_range_is_empty (run))
    return;
  peer_chunks_remove (self->have, run);
  net_blocks_forget (self->blocks, run);
  net_disk_punch (self->fd, self->path, run.first * self->chunk_size, run.end * self->chunk_size);
}

static void
record_chunks (PeerStore *store, PeerChunks *out)
{
  const Record *self = (const Record *)store;
  for (size_t i = 0; i < peer_chunks_n_runs (self->have); i++)
    peer_chunks_add (out, peer_chunks_run (self->have, i));
}

void
net_record_flush (PeerStore *store)
{
  Record *self = (Record *)store;
  if (!net_blocks_flush (self->blocks))
    fail (self, "write");
}

static void
record_free (PeerStore *store)
{
  Record *self = (Record *)store;
  net_record_flush (store);
  net_blocks_free (self->blocks);
  close (self->fd);
  peer_chunks_free (self->have);
  g_free (self->path);
  g_free (self);
}

PeerStore *
net_record_open (const char *path, uint32_t chunk_size, uint64_t max_bytes, GError **error)
{
  static const PeerStoreClass class = {record_read, record_write, record_discard, record_chunks,
                                       record_free};
  uint64_t most = max_bytes > 0 ? MIN (max_bytes, INT64_MAX) : INT64_MAX;
  g_autofree char *settled = g_strconcat (path, NET_FILE_HAVE, NULL);
  if (access (settled, F_OK) == 0) {
    g_set_error (
        error, G_IO_ERROR, G_IO_ERROR_EXISTS,
        "'%s' holds content on demand, as a broadcast is that has ended: give it on by the "
        "link that was told then, or move it and '%s' away to keep another",
        path, settled);
    return NULL;
  }
  int fd = net_disk_open (path, NULL, error);
  if (fd < 0)
    return NULL;
  if (ftruncate (fd, 0) < 0) {
    net_disk_set_error (error, errno, "cannot write", path);
    close (fd);
    return NULL;
  }
  Record *self = g_new0 (Record, 1);
  self->parent.class = &class;
  self->path = g_strdup (path);
  self->fd = fd;
  self->chunk_size = chunk_size;
  self->max_chunks = most / chunk_size;
  self->blocks = net_blocks_new (fd, chunk_size, self->max_chunks * chunk_size);
  self->have = peer_chunks_new (0);
  return &self->parent;
}

void
net_record_finish (PeerStore *store)
{
  Record *self = (Record *)store;
  self->is_finished = true;
  net_record_flush (store);
  flock (self->fd, LOCK_UN);
}
