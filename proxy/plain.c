/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/plain.h"
#include "peer/net/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  PeerStore store;
  int fd;
  uint64_t length;
} Plain;

static PeerStoreResult
plain_read (PeerStore *store, uint64_t chunk, uint8_t *out, size_t room, size_t *n)
{
  const Plain *self = (Plain *)store;
  uint64_t at = chunk * PROXY_PLAIN_CHUNK;
  if (at >= self->length)
    return PEER_STORE_ABSENT;
  size_t size = (size_t)MIN (PROXY_PLAIN_CHUNK, self->length - at);
  if (size > room || !net_disk_read (self->fd, out, size, at))
    return PEER_STORE_FAILED;
  *n = size;
  return PEER_STORE_OK;
}

static void
plain_chunks (PeerStore *store, PeerChunks *out)
{
  uint64_t length = ((const Plain *)store)->length;
  peer_chunks_add (out, (PeerRange){0, (length - 1) / PROXY_PLAIN_CHUNK + 1});
}

static void
plain_free (PeerStore *store)
{
  close (((const Plain *)store)->fd);
  g_free (store);
}

PeerStore *
proxy_plain_open (const char *path, uint64_t *length, GError **error)
{
  static const PeerStoreClass class = {
      .read = plain_read, .chunks = plain_chunks, .free = plain_free};
  struct stat stat;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 || fstat (fd, &stat) != 0 || !S_ISREG (stat.st_mode) || stat.st_size == 0) {
    net_disk_set_error (error, fd < 0 ? errno : ENODATA, "cannot read", path);
    if (fd >= 0)
      close (fd);
    return NULL;
  }
  Plain *self = g_new0 (Plain, 1);
  self->store.class = &class;
  self->fd = fd;
  *length = self->length = (uint64_t)stat.st_size;
  return &self->store;
}
