/* SPDX-License-Identifier: Apache-2.0 */
/* One content is three files, named by the swarm: the bytes, and beside them the hash tree and the
 * record of what is verified (peer/net/file.h). The folder itself is the record of what there is,
 * and the time of change of a content's bytes, set when it is released, that of when it was last
 * used; so nothing can disagree after kill -9. */
#include "peer/net/cache.h"

#include "peer/net/file.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <utime.h>

#define ENDING ".content"
#define SPARE (UINT64_C (16) << 20) /* bytes of the disk that are left to others */
#define LEAST (UINT64_C (8) << 16)  /* bytes of a content beside its tree: some blocks */

static const char *const companions[] = {"", NET_FILE_HASHES, NET_FILE_HAVE};

/* A content in use. */
typedef struct {
  char *swarm_id;
  NetCacheUser user;
  gpointer data;
} Taken;

struct NetCache {
  char *folder, *option;
  uint64_t quota;
  GPtrArray *taken; /* Taken */
};

/* A content on disk. */
typedef struct {
  char *path;
  char *swarm_id;
  uint64_t size;
  int64_t read_at;
} Content;

static void
taken_free (gpointer data)
{
  Taken *taken = data;
  g_free (taken->swarm_id);
  g_free (taken);
}

static void
content_free (gpointer data)
{
  Content *content = data;
  g_free (content->path);
  g_free (content->swarm_id);
  g_free (content);
}

NetCache *
net_cache_new (const char *folder, uint64_t quota, const char *option)
{
  NetCache *self = g_new0 (NetCache, 1);
  self->folder = g_strdup (folder);
  self->option = g_strdup (option);
  self->quota = quota;
  self->taken = g_ptr_array_new_with_free_func (taken_free);
  return self;
}

void
net_cache_free (NetCache *self)
{
  if (!self)
    return;
  g_ptr_array_unref (self->taken);
  g_free (self->folder);
  g_free (self->option);
  g_free (self);
}

uint64_t
net_cache_quota (const NetCache *self)
{
  return self->quota;
}

static Content *
read_content (const char *folder, const char *name)
{
  Content *content = g_new0 (Content, 1);
  content->path = g_build_filename (folder, name, NULL);
  content->swarm_id = g_strndup (name, strlen (name) - strlen (ENDING));
  for (size_t i = 0; i < G_N_ELEMENTS (companions); i++) {
    g_autofree char *path = g_strconcat (content->path, companions[i], NULL);
    struct stat status;
    if (stat (path, &status) != 0)
      continue;
    content->size += (uint64_t)status.st_blocks * 512;
    if (i == 0)
      content->read_at = status.st_mtime;
  }
  return content;
}

static int
compare (gconstpointer a, gconstpointer b)
{
  int64_t first = (*(const Content *const *)a)->read_at;
  int64_t second = (*(const Content *const *)b)->read_at;
  return first < second ? -1 : first > second;
}

/* All contents on disk, the one that was read longest ago first. */
static GPtrArray *
read_folder (const NetCache *self)
{
  GPtrArray *contents = g_ptr_array_new_with_free_func (content_free);
  g_autoptr (GDir) dir = g_dir_open (self->folder, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir)))
    if (g_str_has_suffix (name, ENDING))
      g_ptr_array_add (contents, read_content (self->folder, name));
  g_ptr_array_sort (contents, compare);
  return contents;
}

void
net_cache_delete (const char *path)
{
  /* The bytes last: without them the rest would never be found again. */
  for (size_t i = G_N_ELEMENTS (companions); i-- > 0;) {
    g_autofree char *name = g_strconcat (path, companions[i], NULL);
    g_unlink (name);
  }
}

uint64_t
net_cache_used (NetCache *self)
{
  g_autoptr (GPtrArray) contents = read_folder (self);
  uint64_t used = 0;
  for (guint i = 0; i < contents->len; i++)
    used += ((Content *)contents->pdata[i])->size;
  return used;
}

static bool
is_taken (const NetCache *self, const char *swarm_id)
{
  for (guint i = 0; i < self->taken->len; i++)
    if (g_str_equal (((const Taken *)self->taken->pdata[i])->swarm_id, swarm_id))
      return true;
  return false;
}

/* Bytes: the quota, or less where the disk has not got that much left; and less by what may come
 * until the next look. */
static uint64_t
limit_of (const NetCache *self, uint64_t used)
{
  struct statvfs vfs;
  uint64_t most = UINT64_MAX;
  if (statvfs (self->folder, &vfs) == 0) {
    uint64_t free = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    most = used + free > SPARE ? used + free - SPARE : 0;
  }
  return MIN (self->quota - self->quota / 16, most);
}

static Taken *
find_oldest (const NetCache *self)
{
  Taken *found = NULL;
  int64_t oldest = INT64_MAX;
  for (guint i = 0; i < self->taken->len; i++) {
    Taken *taken = self->taken->pdata[i];
    int64_t when = taken->user.oldest (taken->data);
    if (when < oldest) {
      oldest = when;
      found = taken;
    }
  }
  return found;
}

void
net_cache_fit (NetCache *self)
{
  g_autoptr (GPtrArray) contents = read_folder (self);
  uint64_t used = 0;
  for (guint i = 0; i < contents->len; i++)
    used += ((const Content *)contents->pdata[i])->size;
  uint64_t limit = limit_of (self, used);
  for (guint i = 0; i < contents->len && used > limit; i++) {
    const Content *content = contents->pdata[i];
    if (is_taken (self, content->swarm_id))
      continue;
    net_cache_delete (content->path);
    used -= content->size;
  }
  if (used <= limit)
    return;
  /* a little more than needed, so that it is not done for each block that comes */
  uint64_t goal = limit - limit / 16;
  while (used > goal) {
    Taken *taken = find_oldest (self);
    uint64_t given = taken ? taken->user.give_back (taken->data) : 0;
    if (given == 0)
      return;
    used -= MIN (given, used);
  }
}

/* The hashes of its tree, two for each chunk, the record, and some blocks. */
static uint64_t
least_of (const PeerContent *content)
{
  uint64_t n = peer_content_n_chunks (content);
  return 2 * n * peer_content_hash_size (content) + n / 8 + MIN (LEAST, content->length);
}

static bool
check_room (const NetCache *self, uint64_t least, GError **error)
{
  if (least <= self->quota)
    return true;
  g_autofree char *size = g_format_size_full (least, G_FORMAT_SIZE_IEC_UNITS);
  g_autofree char *quota = g_format_size_full (self->quota, G_FORMAT_SIZE_IEC_UNITS);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
               "the content needs %s for its hashes and a little of it, and the cache may have %s; "
               "%s allows more",
               size, quota, self->option);
  return false;
}

char *
net_cache_take (NetCache *self, const PeerContent *content, const NetCacheUser *user, gpointer data,
                GError **error)
{
  if (g_mkdir_with_parents (self->folder, 0700) != 0) {
    int code = errno;
    g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (code), "cannot make %s: %s",
                 self->folder, g_strerror (code));
    return NULL;
  }
  if (!check_room (self, least_of (content), error))
    return NULL;
  Taken *taken = g_new0 (Taken, 1);
  *taken = (Taken){peer_content_swarm_id_hex (content), *user, data};
  g_ptr_array_add (self->taken, taken);
  g_autofree char *name = g_strconcat (taken->swarm_id, ENDING, NULL);
  return g_build_filename (self->folder, name, NULL);
}

void
net_cache_release (NetCache *self, const PeerContent *content, gpointer data)
{
  g_autofree char *swarm_id = peer_content_swarm_id_hex (content);
  g_autofree char *name = g_strconcat (swarm_id, ENDING, NULL);
  g_autofree char *path = g_build_filename (self->folder, name, NULL);
  for (guint i = 0; i < self->taken->len; i++) {
    const Taken *taken = self->taken->pdata[i];
    if (taken->data == data && g_str_equal (taken->swarm_id, swarm_id)) {
      g_ptr_array_remove_index (self->taken, i);
      g_utime (path, NULL);
      return;
    }
  }
}
