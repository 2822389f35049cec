/* SPDX-License-Identifier: Apache-2.0 */
/* One content is three files, named by the swarm: the bytes, and beside them the hash tree and the
 * record of what is verified (peer/net/file.h). The folder itself is the record of what there is,
 * and the time of change of a content's bytes, set when it is released, that of when it was last
 * read; so nothing can disagree after kill -9. */
#include "proxy/cache.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <utime.h>

#define ENDING ".content"

static const char *const companions[] = {"", ".hashes", ".have"};

struct ProxyCache {
  char *folder;
  uint64_t quota;
  GHashTable *in_use; /* swarm ID -> number of takers */
};

typedef struct {
  char *path;
  char *swarm_id;
  uint64_t size;
  int64_t read_at;
} Content;

static void
content_free (gpointer data)
{
  Content *content = data;
  g_free (content->path);
  g_free (content->swarm_id);
  g_free (content);
}

ProxyCache *
proxy_cache_new (const char *folder, uint64_t quota)
{
  ProxyCache *self = g_new0 (ProxyCache, 1);
  self->folder = g_strdup (folder);
  self->quota = quota;
  self->in_use = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return self;
}

void
proxy_cache_free (ProxyCache *self)
{
  if (!self)
    return;
  g_hash_table_unref (self->in_use);
  g_free (self->folder);
  g_free (self);
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
read_folder (const ProxyCache *self)
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

static void
delete_content (const Content *content)
{
  /* The bytes last: without them the rest would never be found again. */
  for (size_t i = G_N_ELEMENTS (companions); i-- > 0;) {
    g_autofree char *path = g_strconcat (content->path, companions[i], NULL);
    g_unlink (path);
  }
}

uint64_t
proxy_cache_used (ProxyCache *self)
{
  g_autoptr (GPtrArray) contents = read_folder (self);
  uint64_t used = 0;
  for (guint i = 0; i < contents->len; i++)
    used += ((Content *)contents->pdata[i])->size;
  return used;
}

static bool
make_room (ProxyCache *self, const char *swarm_id, uint64_t length, GError **error)
{
  g_autoptr (GPtrArray) contents = read_folder (self);
  uint64_t others = 0;
  for (guint i = 0; i < contents->len; i++) {
    const Content *content = contents->pdata[i];
    if (!g_str_equal (content->swarm_id, swarm_id))
      others += content->size;
  }
  for (guint i = 0; i < contents->len && others + length > self->quota; i++) {
    const Content *content = contents->pdata[i];
    if (g_str_equal (content->swarm_id, swarm_id) ||
        g_hash_table_contains (self->in_use, content->swarm_id))
      continue;
    delete_content (content);
    others -= content->size;
  }
  if (others + length <= self->quota)
    return true;
  g_autofree char *size = g_format_size_full (length, G_FORMAT_SIZE_IEC_UNITS);
  g_autofree char *quota = g_format_size_full (self->quota, G_FORMAT_SIZE_IEC_UNITS);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
               "the content needs %s, and the cache may have %s for all that is being read; "
               "--cache allows more",
               size, quota);
  return false;
}

char *
proxy_cache_take (ProxyCache *self, const char *swarm_id, uint64_t length, GError **error)
{
  if (g_mkdir_with_parents (self->folder, 0700) != 0) {
    int code = errno;
    g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (code), "cannot make %s: %s",
                 self->folder, g_strerror (code));
    return NULL;
  }
  if (!make_room (self, swarm_id, length, error))
    return NULL;
  gsize users = GPOINTER_TO_SIZE (g_hash_table_lookup (self->in_use, swarm_id));
  g_hash_table_insert (self->in_use, g_strdup (swarm_id), GSIZE_TO_POINTER (users + 1));
  g_autofree char *name = g_strconcat (swarm_id, ENDING, NULL);
  return g_build_filename (self->folder, name, NULL);
}

void
proxy_cache_release (ProxyCache *self, const char *swarm_id)
{
  gsize users = GPOINTER_TO_SIZE (g_hash_table_lookup (self->in_use, swarm_id));
  if (users > 1)
    g_hash_table_insert (self->in_use, g_strdup (swarm_id), GSIZE_TO_POINTER (users - 1));
  else
    g_hash_table_remove (self->in_use, swarm_id);
  g_autofree char *name = g_strconcat (swarm_id, ENDING, NULL);
  g_autofree char *path = g_build_filename (self->folder, name, NULL);
  g_utime (path, NULL);
}
