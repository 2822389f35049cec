/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/cache.h"
#include "tests/proxy/scratch.h"
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utime.h>

/* --- the disk, as the kernel tells of it (linked with --wrap) --- */

static uint64_t left_on_disk = UINT64_MAX; /* bytes; UINT64_MAX = as it is */

int __real_statvfs64 (const char *path, struct statvfs *out);
int __wrap_statvfs64 (const char *path, struct statvfs *out);

int
__wrap_statvfs64 (const char *path, struct statvfs *out)
{
  int result = __real_statvfs64 (path, out);
  if (result == 0 && left_on_disk != UINT64_MAX)
    out->f_bavail = (fsblkcnt_t)(left_on_disk / out->f_frsize);
  return result;
}

enum { SIZE = 1024 * 1024, BLOCK = 64 * 1024 };

static PeerContent
content_of (uint8_t id, uint64_t length)
{
  PeerContent content;
  peer_content_init_static (&content);
  memset (content.swarm_id, id, 32);
  content.swarm_id_size = 32;
  content.length = length;
  return content;
}

/* Somebody who holds blocks of a file, each used at a time, the first one longest ago. */
typedef struct {
  char *path;
  unsigned first, end; /* blocks */
  int64_t since;       /* when the first block was used; each other a second later */
} User;

static int64_t
user_oldest (gpointer data)
{
  const User *user = data;
  return user->first < user->end ? user->since + user->first * G_USEC_PER_SEC : INT64_MAX;
}

static uint64_t
user_give_back (gpointer data)
{
  User *user = data;
  int fd = g_open (user->path, O_RDWR | O_CLOEXEC, 0);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (
      fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, user->first++ * BLOCK, BLOCK), ==,
      0);
  close (fd);
  return BLOCK;
}

static const NetCacheUser user_class = {user_oldest, user_give_back};

static void
write_file (const char *path, size_t n)
{
  g_autofree char *bytes = g_malloc (n);
  memset (bytes, 'x', n);
  g_assert_true (g_file_set_contents (path, bytes, (gssize)n, NULL));
}

static void
user_take (User *self, NetCache *cache, uint8_t id, size_t n, int64_t since)
{
  g_autoptr (GError) error = NULL;
  PeerContent content = content_of (id, n);
  *self = (User){.end = (unsigned)(n / BLOCK), .since = since};
  self->path = net_cache_take (cache, &content, &user_class, self, &error);
  g_assert_no_error (error);
  write_file (self->path, n);
}

static void
user_release (User *self, NetCache *cache, uint8_t id)
{
  PeerContent content = content_of (id, SIZE);
  net_cache_release (cache, &content, self);
  g_free (self->path);
}

/* A content that nobody uses, of SIZE bytes, used last at a time. */
static char *
fill (NetCache *cache, uint8_t id, time_t read_at)
{
  User user;
  struct utimbuf times = {read_at, read_at};
  user_take (&user, cache, id, SIZE, 0);
  char *path = g_strdup (user.path);
  g_autofree char *hashes = g_strconcat (path, ".hashes", NULL);
  write_file (hashes, 4096);
  user_release (&user, cache, id);
  g_assert_cmpint (utime (path, &times), ==, 0);
  return path;
}

static bool
exists (const char *path)
{
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

static void
test_idle (void)
{
  char *folder = scratch_new ();
  g_autofree char *inner = g_build_filename (folder, "made", "when needed", NULL);
  NetCache *cache = net_cache_new (inner, 4 * SIZE, "--cache");
  g_autofree char *a = fill (cache, 0xaa, 3000), *b = fill (cache, 0xbb, 1000);
  g_autofree char *c = fill (cache, 0xcc, 2000);
  g_assert_cmpuint (net_cache_used (cache), >=, 3 * SIZE);
  g_assert_cmpuint (net_cache_used (cache), <, 4 * SIZE);
  net_cache_fit (cache);
  g_assert_true (exists (a) && exists (b) && exists (c));
  net_cache_free (cache);

  /* a restart; the one that was used longest ago goes, whole */
  cache = net_cache_new (inner, 4 * SIZE, "--cache");
  g_free (fill (cache, 0xdd, 4000));
  net_cache_fit (cache);
  g_autofree char *b_hashes = g_strconcat (b, ".hashes", NULL);
  g_assert_false (exists (b) || exists (b_hashes));
  g_assert_true (exists (c));

  /* what is in use stays, while others can go */
  User user;
  user_take (&user, cache, 0xcc, SIZE, 0);
  g_assert_cmpstr (user.path, ==, c);
  g_free (fill (cache, 0xee, 5000));
  net_cache_fit (cache);
  g_assert_true (exists (c));
  g_assert_false (exists (a));
  g_assert_cmpuint (user.first, ==, 0);
  user_release (&user, cache, 0xcc);
  net_cache_free (cache);
  scratch_free (folder);
}

/* What is idle goes too where the quota would allow more than the disk has. */
static void
test_full_disk (void)
{
  char *folder = scratch_new ();
  NetCache *cache = net_cache_new (folder, 64 * SIZE, "--cache");
  g_autofree char *a = fill (cache, 0xaa, 1000), *b = fill (cache, 0xbb, 2000);
  left_on_disk = 16 * SIZE;
  net_cache_fit (cache);
  g_assert_true (exists (a) && exists (b));
  left_on_disk = 16 * SIZE - SIZE / 2; /* half a one into what is spared for others */
  net_cache_fit (cache);
  g_assert_false (exists (a));
  g_assert_true (exists (b));
  left_on_disk = 0;
  net_cache_fit (cache);
  g_assert_false (exists (b));
  left_on_disk = UINT64_MAX;
  net_cache_free (cache);
  scratch_free (folder);
}

/* Of what is in use the parts go that were used longest ago, whoever holds them. */
static void
test_parts (void)
{
  char *folder = scratch_new ();
  NetCache *cache = net_cache_new (folder, 4 * SIZE, "--cache");
  User early, late, busy;
  user_take (&early, cache, 1, 2 * SIZE, 0);
  user_take (&late, cache, 2, 2 * SIZE, 8 * G_USEC_PER_SEC);
  user_take (&busy, cache, 3, SIZE, 0);
  busy.end = 0; /* needs all that it has */
  net_cache_fit (cache);
  g_assert_cmpuint (net_cache_used (cache), <=, 4 * SIZE * 15 / 16 * 15 / 16 + 3 * 4096);
  /* 5 MiB were there, and 3.52 may be left: 24 blocks are gone */
  g_assert_cmpuint (early.first, ==, 16);
  g_assert_cmpuint (late.first, ==, 8);
  uint64_t used = net_cache_used (cache);
  net_cache_fit (cache);
  g_assert_cmpuint (net_cache_used (cache), ==, used);
  early.end = early.first;
  late.end = late.first;
  write_file (busy.path, 3 * SIZE); /* nobody can give: it is over, and ends all the same */
  net_cache_fit (cache);
  g_assert_true (exists (early.path) && exists (late.path));
  user_release (&early, cache, 1);
  user_release (&late, cache, 2);
  user_release (&busy, cache, 3);
  net_cache_fit (cache);
  g_assert_cmpuint (net_cache_used (cache), <=, 4 * SIZE);
  net_cache_free (cache);
  scratch_free (folder);
}

/* A film may be far larger than the cache, but not its tree. */
static void
test_too_large (void)
{
  char *folder = scratch_new ();
  g_autoptr (GError) error = NULL;
  NetCache *cache = net_cache_new (folder, 4 * SIZE, "--size-of-it");
  User user = {0};
  PeerContent film = content_of (1, 30 * SIZE), longer = content_of (2, 60 * SIZE);
  user.path = net_cache_take (cache, &film, &user_class, &user, &error);
  g_assert_no_error (error);
  g_assert_null (net_cache_take (cache, &longer, &user_class, &user, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (error->message, "--size-of-it"));
  g_clear_error (&error);
  net_cache_release (cache, &film, &user);
  g_free (user.path);
  user.path = net_cache_take (cache, &film, &user_class, &user, &error);
  g_assert_no_error (error);
  g_free (user.path);
  net_cache_free (cache);
  scratch_free (folder);
}

static void
test_no_folder (void)
{
  g_autoptr (NetCache) cache = net_cache_new ("/proc/nothing/cache", 1 << 30, "--cache");
  g_autoptr (GError) error = NULL;
  PeerContent content = content_of (1, SIZE);
  g_autofree char *path = net_cache_take (cache, &content, &user_class, NULL, &error);
  g_assert_null (path);
  g_assert_nonnull (strstr (error->message, "/proc/nothing/cache"));
  g_assert_cmpuint (net_cache_used (cache), ==, 0);
  net_cache_fit (cache);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/cache/what-is-not-in-use-goes-whole", test_idle);
  g_test_add_func ("/net/cache/full-disk-counts-before-the-quota", test_full_disk);
  g_test_add_func ("/net/cache/parts-go-by-their-age", test_parts);
  g_test_add_func ("/net/cache/refuses-what-cannot-fit", test_too_large);
  g_test_add_func ("/net/cache/names-the-folder-that-cannot-be", test_no_folder);
  return g_test_run ();
}
