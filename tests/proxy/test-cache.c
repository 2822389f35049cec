/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/cache.h"
#include "tests/proxy/scratch.h"
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

enum { SIZE = 100 * 1024 };

/* A content of SIZE bytes that was read at a time. */
static char *
fill (ProxyCache *cache, const char *swarm, time_t read_at)
{
  g_autoptr (GError) error = NULL;
  char *path = proxy_cache_take (cache, swarm, SIZE, &error);
  g_assert_no_error (error);
  g_autofree char *bytes = g_malloc0 (SIZE);
  g_autofree char *hashes = g_strconcat (path, ".hashes", NULL);
  memset (bytes, 'x', SIZE);
  g_assert_true (g_file_set_contents (path, bytes, SIZE, NULL));
  g_assert_true (g_file_set_contents (hashes, "tree", 4, NULL));
  proxy_cache_release (cache, swarm);
  struct utimbuf times = {read_at, read_at};
  g_assert_cmpint (utime (path, &times), ==, 0);
  return path;
}

static void
test_quota (void)
{
  char *folder = scratch_new ();
  g_autofree char *inner = g_build_filename (folder, "made", "when needed", NULL);
  ProxyCache *cache = proxy_cache_new (inner, 4 * SIZE);
  g_autofree char *a = fill (cache, "aa", 3000), *b = fill (cache, "bb", 1000);
  g_autofree char *c = fill (cache, "cc", 2000);
  g_assert_cmpuint (proxy_cache_used (cache), >=, 3 * SIZE);
  g_assert_cmpuint (proxy_cache_used (cache), <, 4 * SIZE);
  proxy_cache_free (cache);

  /* a restart; the one that was read longest ago goes, whole */
  cache = proxy_cache_new (inner, 4 * SIZE);
  g_free (fill (cache, "dd", 4000));
  g_autofree char *b_hashes = g_strconcat (b, ".hashes", NULL);
  g_assert_false (g_file_test (b, G_FILE_TEST_EXISTS));
  g_assert_false (g_file_test (b_hashes, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_test (c, G_FILE_TEST_EXISTS));

  /* what is being read never goes */
  g_autoptr (GError) error = NULL;
  g_autofree char *c_again = proxy_cache_take (cache, "cc", SIZE, &error);
  g_assert_cmpstr (c_again, ==, c);
  g_free (fill (cache, "ee", 5000));
  g_assert_true (g_file_test (c, G_FILE_TEST_EXISTS));
  g_assert_false (g_file_test (a, G_FILE_TEST_EXISTS));
  g_autofree char *too_large = proxy_cache_take (cache, "ff", 3 * SIZE + 1, &error);
  g_assert_null (too_large);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (error->message, "--cache"));
  proxy_cache_free (cache);
  scratch_free (folder);
}

static void
test_no_folder (void)
{
  g_autoptr (ProxyCache) cache = proxy_cache_new ("/proc/nothing/cache", 1 << 30);
  g_autoptr (GError) error = NULL;
  g_autofree char *path = proxy_cache_take (cache, "aa", 1, &error);
  g_assert_null (path);
  g_assert_nonnull (strstr (error->message, "/proc/nothing/cache"));
  g_assert_cmpuint (proxy_cache_used (cache), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/cache/keeps-its-quota", test_quota);
  g_test_add_func ("/proxy/cache/names-the-folder-that-cannot-be", test_no_folder);
  return g_test_run ();
}
