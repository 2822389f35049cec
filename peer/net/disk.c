/* SPDX-License-Identifier: Apache-2.0 */
/* The record, big-endian:
 *
 *   magic 8 | version 4 | state 4 | hash function 4 | chunk size 4 | length 8 |
 *   changed 8 + 4 | swarm ID size 4 | swarm ID | SHA-256 of all of it */
#define G_LOG_DOMAIN "peer/net"
#include "peer/net/disk.h"
#include "peer/crypto.h"
#include "peer/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define VERSION 1
#define RECORD_MAX 256
#define CHECK_SIZE 32

bool
net_disk_read (int fd, void *out, size_t n, uint64_t offset)
{
  uint8_t *to = out;
  while (n > 0) {
    ssize_t got = pread (fd, to, n, (off_t)offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got == 0)
      errno = ENODATA;
    if (got <= 0)
      return false;
    to += got;
    n -= (size_t)got;
    offset += (uint64_t)got;
  }
  return true;
}

bool
net_disk_write (int fd, const void *bytes, size_t n, uint64_t offset)
{
  const uint8_t *from = bytes;
  while (n > 0) {
    ssize_t put = pwrite (fd, from, n, (off_t)offset);
    if (put < 0 && errno == EINTR)
      continue;
    if (put == 0)
      errno = ENOSPC;
    if (put <= 0)
      return false;
    from += put;
    n -= (size_t)put;
    offset += (uint64_t)put;
  }
  return true;
}

void
net_disk_punch (int fd, const char *path, uint64_t first, uint64_t end)
{
  if (fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first,
                 (off_t)(end - first)) < 0)
    g_debug ("cannot give back room of '%s': %s", path, g_strerror (errno));
}

void
net_disk_complain (bool *is_said, const char *what, const char *path)
{
  int number = errno;
  if (!*is_said)
    g_warning ("cannot %s '%s': %s", what, path, g_strerror (number));
  *is_said = true;
}

void
net_disk_set_error (GError **error, int number, const char *what, const char *path)
{
  g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (number), "%s '%s': %s", what, path,
               g_strerror (number));
}

int
net_disk_open (const char *path, bool *is_new, GError **error)
{
  int fd = open (path, O_RDWR | O_CLOEXEC);
  if (is_new)
    *is_new = fd < 0 && errno == ENOENT;
  if (fd < 0 && errno == ENOENT)
    fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    net_disk_set_error (error, errno, "cannot open", path);
    return -1;
  }
  if (flock (fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "another program is using '%s'", path);
    close (fd);
    return -1;
  }
  return fd;
}

static bool
has_room (int fd, uint64_t n, uint64_t *left)
{
  struct statvfs vfs;
  struct stat stat;
  if (fstatvfs (fd, &vfs) < 0 || fstat (fd, &stat) < 0)
    return true; /* then a write will tell */
  *left = (uint64_t)vfs.f_bavail * vfs.f_frsize;
  uint64_t taken = (uint64_t)stat.st_blocks * 512;
  return n <= taken || n - taken <= *left;
}

bool
net_disk_reserve (int fd, const char *path, uint64_t n, GError **error)
{
  uint64_t left = 0;
  bool is_roomy = has_room (fd, n, &left);
  int number = 0;
  /* Not posix_fallocate: where the file system cannot reserve, it writes zeros to all of it. */
  if (is_roomy && fallocate (fd, 0, 0, (off_t)n) < 0)
    number = errno;
  struct stat stat;
  if ((number == EOPNOTSUPP || number == ENOSYS) &&
      (fstat (fd, &stat) < 0 || (uint64_t)stat.st_size >= n || ftruncate (fd, (off_t)n) == 0))
    number = 0;
  if (is_roomy && number == 0)
    return true;
  if (is_roomy && number != ENOSPC) {
    net_disk_set_error (error, number, "cannot make room in", path);
    return false;
  }
  g_autofree char *wanted = g_format_size (n);
  g_autofree char *free_text = g_format_size (left);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
               "the disk is too full for '%s': it takes %s, and %s are free", path, wanted,
               free_text);
  return false;
}

/* Everything but the check. */
static size_t
put_record (const NetDiskRecord *record, uint8_t out[RECORD_MAX])
{
  PeerWriter writer = {out, 0, RECORD_MAX - CHECK_SIZE};
  const PeerContent *content = &record->content;
  if (!peer_writer_bytes (&writer, (const uint8_t *)record->magic, 8) ||
      !peer_writer_u32 (&writer, VERSION) || !peer_writer_u32 (&writer, record->state) ||
      !peer_writer_u32 (&writer, content->hash) ||
      !peer_writer_u32 (&writer, content->chunk_size) ||
      !peer_writer_u64 (&writer, content->length) ||
      !peer_writer_u64 (&writer, (uint64_t)record->changed_s) ||
      !peer_writer_u32 (&writer, record->changed_ns) ||
      !peer_writer_u32 (&writer, content->swarm_id_size) ||
      !peer_writer_bytes (&writer, content->swarm_id, content->swarm_id_size))
    return 0;
  return writer.used;
}

static void
check_record (const uint8_t *bytes, size_t n, uint8_t out[CHECK_SIZE])
{
  g_autoptr (PeerHasher) hasher = peer_hasher_new (PEER_HASH_SHA256);
  peer_hasher_chunk (hasher, bytes, n, out);
}

bool
net_disk_write_record (int fd, const NetDiskRecord *record)
{
  uint8_t bytes[RECORD_MAX] = {0};
  size_t n = put_record (record, bytes);
  g_return_val_if_fail (n > 0, false);
  check_record (bytes, n, bytes + n);
  return net_disk_write (fd, bytes, sizeof bytes, 0);
}

static bool
parse_record (const uint8_t bytes[RECORD_MAX], const char *magic, NetDiskRecord *out)
{
  uint8_t check[CHECK_SIZE];
  PeerReader reader = {bytes, RECORD_MAX}, name, swarm_id;
  uint32_t version, hash, swarm_id_size;
  uint64_t changed_s;
  if (!peer_reader_bytes (&reader, 8, &name) || memcmp (name.data, magic, 8) != 0 ||
      !peer_reader_u32 (&reader, &version) || version != VERSION ||
      !peer_reader_u32 (&reader, &out->state) || !peer_reader_u32 (&reader, &hash) ||
      !peer_reader_u32 (&reader, &out->content.chunk_size) ||
      !peer_reader_u64 (&reader, &out->content.length) || !peer_reader_u64 (&reader, &changed_s) ||
      !peer_reader_u32 (&reader, &out->changed_ns) || !peer_reader_u32 (&reader, &swarm_id_size) ||
      swarm_id_size > PEER_HASH_MAX || !peer_reader_bytes (&reader, swarm_id_size, &swarm_id) ||
      reader.left < CHECK_SIZE)
    return false;
  check_record (bytes, RECORD_MAX - reader.left, check);
  if (memcmp (check, reader.data, CHECK_SIZE) != 0)
    return false;
  memcpy (out->magic, magic, 8);
  out->changed_s = (int64_t)changed_s;
  out->content.hash = (PeerHashFunction)hash;
  out->content.swarm_id_size = (uint16_t)swarm_id_size;
  memcpy (out->content.swarm_id, swarm_id.data, swarm_id_size);
  return true;
}

NetDiskRecordResult
net_disk_read_record (int fd, const char *magic, NetDiskRecord *out)
{
  uint8_t bytes[RECORD_MAX];
  memset (out, 0, sizeof *out);
  peer_content_init_static (&out->content);
  if (!net_disk_read (fd, bytes, sizeof bytes, 0))
    return errno == ENODATA ? NET_DISK_RECORD_NONE : NET_DISK_RECORD_FAILED;
  return parse_record (bytes, magic, out) ? NET_DISK_RECORD_GOOD : NET_DISK_RECORD_NONE;
}

bool
net_disk_same_content (const PeerContent *a, const PeerContent *b)
{
  return a->hash == b->hash && a->chunk_size == b->chunk_size && a->length == b->length &&
         a->swarm_id_size == b->swarm_id_size &&
         memcmp (a->swarm_id, b->swarm_id, a->swarm_id_size) == 0;
}
