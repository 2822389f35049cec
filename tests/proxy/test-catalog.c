/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/catalog.h"
#include "tests/lib/clock.h"
#include "tests/proxy/scratch.h"
#include <glib/gstdio.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *
swarm (unsigned i)
{
  static char text[4][80];
  static unsigned turn;
  char *out = text[turn++ % 4];
  g_snprintf (out, sizeof text[0], "0d%064x", i);
  return out;
}

static ProxyCatalogResult
put (ProxyCatalog *catalog, unsigned i, const char *name, const char *wish, const char *source)
{
  ProxyDraft draft = {
      .swarm_id = swarm (i),
      .link = "ppsp:0d?ci=3",
      .name = name,
      .source = source,
      .wish_id = wish,
      .mime = "video/mp2t",
      .live = true,
      .length = -1,
  };
  return proxy_catalog_put (catalog, &draft, NULL);
}

static const char *
id_of (ProxyCatalog *catalog, unsigned i)
{
  const ProxyChannel *channel = proxy_catalog_lookup_swarm (catalog, swarm (i));
  return channel ? channel->id : NULL;
}

static void
test_ids (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  put (catalog, 1, "Das Erste HD", NULL, "");
  put (catalog, 2, "Das Erste HD", NULL, "");
  put (catalog, 3, "Zürich / Çelik", NULL, "");
  put (catalog, 4, "x", "ARD.de_1", "");
  put (catalog, 5, "中文", NULL, "");
  put (catalog, 6, "../../etc/passwd", NULL, "");
  g_autofree char *longest = g_strnfill (300, 'a');
  put (catalog, 7, longest, NULL, "");
  put (catalog, 8, longest, NULL, "");
  g_assert_cmpstr (id_of (catalog, 1), ==, "das-erste-hd");
  g_assert_true (g_str_has_prefix (id_of (catalog, 2), "das-erste-hd-"));
  g_assert_cmpstr (id_of (catalog, 3), ==, "zurich-celik");
  g_assert_cmpstr (id_of (catalog, 4), ==, "ard.de_1");
  g_assert_cmpstr (id_of (catalog, 6), ==, "etc-passwd");
  for (unsigned i = 1; i <= 8; i++) {
    const char *id = id_of (catalog, i);
    g_assert_cmpuint (strlen (id), <=, PROXY_ID_MAX);
    g_assert_cmpuint (strspn (id, "abcdefghijklmnopqrstuvwxyz0123456789._-"), ==, strlen (id));
    g_assert_nonnull (proxy_catalog_lookup (catalog, id));
  }
  g_assert_cmpuint (proxy_catalog_list (catalog)->len, ==, 8);
}

static void
test_order (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  static const struct {
    const char *name;
    int number;
  } given[] = {{"Zebra", 0}, {"Second", 2}, {"Apple", 0}, {"Tenth", 10}, {"First", 1}};
  static const char *const expected[] = {"First", "Second", "Tenth", "Apple", "Zebra"};
  for (unsigned i = 0; i < G_N_ELEMENTS (given); i++) {
    ProxyDraft draft = {.swarm_id = swarm (i),
                        .link = "ppsp:0d",
                        .name = given[i].name,
                        .source = "",
                        .mime = "video/mp2t",
                        .number = given[i].number};
    proxy_catalog_put (catalog, &draft, NULL);
  }
  const GPtrArray *list = proxy_catalog_list (catalog);
  for (unsigned i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_cmpstr (((const ProxyChannel *)list->pdata[i])->name, ==, expected[i]);
}

static void
test_reopen (void)
{
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "catalog.sqlite", NULL);
  ProxyCatalog *catalog = proxy_catalog_open (path);
  for (unsigned i = 0; i < 100; i++)
    put (catalog, i, "Same name", NULL, i % 2 ? "" : "http://list/");
  put (catalog, 200, "To be removed", NULL, "");
  proxy_catalog_set_media (catalog, id_of (catalog, 7), "h264 100 1920 1080 25000 aac 0");
  proxy_catalog_set_length (catalog, id_of (catalog, 9), 12345);
  g_autofree char *removed = g_strdup (id_of (catalog, 200));
  g_autofree char *hidden = g_strdup (id_of (catalog, 10));
  g_assert_true (proxy_catalog_remove (catalog, removed));
  g_assert_true (proxy_catalog_remove (catalog, hidden));
  g_assert_false (proxy_catalog_remove (catalog, hidden));
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  for (unsigned i = 0; i < 100; i++)
    g_ptr_array_add (ids, g_strdup (id_of (catalog, i)));
  proxy_catalog_close (catalog);

  catalog = proxy_catalog_open (path);
  g_assert_null (proxy_catalog_trouble (catalog));
  g_assert_cmpuint (proxy_catalog_list (catalog)->len, ==, 99);
  for (unsigned i = 0; i < 100; i++)
    g_assert_cmpstr (id_of (catalog, i), ==, ids->pdata[i]);
  const ProxyChannel *channel = proxy_catalog_lookup_swarm (catalog, swarm (7));
  g_assert_cmpstr (channel->media, ==, "h264 100 1920 1080 25000 aac 0");
  g_assert_true (channel->live);
  g_assert_cmpint (proxy_catalog_lookup_swarm (catalog, swarm (9))->length, ==, 12345);
  /* a list does not bring back what the household removed; the household does */
  g_assert_cmpint (put (catalog, 10, "Same name", NULL, "http://list/"), ==, PROXY_CATALOG_HIDDEN);
  g_assert_null (id_of (catalog, 10));
  g_assert_cmpint (put (catalog, 10, "Back", NULL, ""), ==, PROXY_CATALOG_CHANGED);
  g_assert_cmpstr (id_of (catalog, 10), ==, hidden);
  proxy_catalog_close (catalog);
  g_assert_cmpuint (scratch_warnings (), ==, 0);
  scratch_free (folder);
}

static void
test_passes (void)
{
  static const char *const one[] = {"http://one/", NULL};
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  for (unsigned i = 0; i < 4; i++)
    put (catalog, i, "x", NULL, i < 2 ? "http://one/" : i < 3 ? "http://two/" : "");
  g_autofree char *id = g_strdup (id_of (catalog, 1));
  proxy_catalog_start_pass (catalog);
  g_assert_cmpint (put (catalog, 0, "x", NULL, "http://one/"), ==, PROXY_CATALOG_SAME);
  g_assert_cmpint (put (catalog, 0, "y", NULL, "http://one/"), ==, PROXY_CATALOG_TAKEN);
  g_assert_cmpint (put (catalog, 2, "x", NULL, "http://one/"), ==, PROXY_CATALOG_TAKEN);
  g_assert_cmpint (put (catalog, 3, "x", NULL, "http://one/"), ==, PROXY_CATALOG_TAKEN);
  g_assert_cmpuint (proxy_catalog_sweep (catalog, "http://one/"), ==, 1);
  g_assert_null (id_of (catalog, 1));
  g_assert_null (proxy_catalog_lookup (catalog, id));
  g_assert_cmpuint (proxy_catalog_list (catalog)->len, ==, 3);
  proxy_catalog_start_pass (catalog);
  g_assert_cmpint (put (catalog, 1, "x", NULL, "http://one/"), ==, PROXY_CATALOG_CHANGED);
  g_assert_cmpstr (id_of (catalog, 1), ==, id);
  /* the operator names the second list no more */
  proxy_catalog_keep_sources (catalog, one);
  g_assert_null (id_of (catalog, 2));
  g_assert_nonnull (id_of (catalog, 3));
}

static unsigned n_changes;

static void
on_change (gpointer data)
{
  n_changes++;
}

static void
test_changes_are_told (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  proxy_catalog_set_func (catalog, on_change, NULL);
  uint32_t before = proxy_catalog_generation (catalog);
  put (catalog, 1, "x", NULL, "");
  put (catalog, 1, "x", NULL, "");
  g_assert_cmpuint (n_changes, ==, 1);
  proxy_catalog_begin (catalog);
  put (catalog, 2, "x", NULL, "");
  put (catalog, 3, "x", NULL, "");
  g_assert_cmpuint (n_changes, ==, 1);
  proxy_catalog_commit (catalog);
  g_assert_cmpuint (n_changes, ==, 2);
  g_assert_cmpuint (proxy_catalog_generation (catalog), >, before);
}

static unsigned
count_files (const char *folder, const char *part)
{
  unsigned n = 0;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  while ((name = g_dir_read_name (dir)))
    n += strstr (name, part) != NULL;
  return n;
}

/* Every kind of damage gives a working catalog, and the old file is kept for who wants to look. */
static void
test_damage (void)
{
  for (int kind = 0; kind < 6; kind++) {
    char *folder = scratch_new ();
    g_autofree char *path = g_build_filename (folder, "catalog.sqlite", NULL);
    ProxyCatalog *catalog = proxy_catalog_open (path);
    for (unsigned i = 0; i < 500; i++)
      put (catalog, i, "A name that fills the pages of the file", NULL, "");
    proxy_catalog_close (catalog);
    g_autofree char *bytes = NULL;
    gsize n;
    g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
    g_assert_cmpuint (n, >, 20000);
    if (kind == 0) /* no database at all */
      memset (bytes, 'x', n);
    else if (kind == 1) /* the header is whole */
      memset (bytes + 4096, 0xee, n - 4096);
    else if (kind == 2) /* one page in the middle */
      memset (bytes + 8192, 0, 4096);
    else if (kind == 3)
      n = 5000;
    else if (kind == 4)
      bytes[8192] = 77;
    else /* of a later version */
      bytes[63] = 99;
    g_assert_true (g_file_set_contents (path, bytes, (gssize)n, NULL));
    catalog = proxy_catalog_open (path);
    g_assert_cmpuint (scratch_warnings (), ==, 1);
    g_assert_nonnull (strstr (scratch_last_warning (), path));
    g_assert_null (proxy_catalog_trouble (catalog));
    g_assert_cmpuint (proxy_catalog_list (catalog)->len, ==, 0);
    g_assert_cmpuint (count_files (folder, kind == 5 ? ".newer-" : ".damaged-"), ==, 1);
    put (catalog, 1, "New", NULL, "");
    proxy_catalog_close (catalog);
    catalog = proxy_catalog_open (path);
    g_assert_cmpstr (id_of (catalog, 1), ==, "new");
    proxy_catalog_close (catalog);
    g_assert_cmpuint (scratch_warnings (), ==, 0);
    scratch_free (folder);
  }
}

/* A child writes and says after each commit how far it is; it is killed anywhere. What it said is
 * there, and the file is whole. */
static void
test_kill (void)
{
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "catalog.sqlite", NULL);
  unsigned known = 0;
  for (int round = 0; round < 25; round++) {
    int pipes[2];
    g_assert_cmpint (pipe (pipes), ==, 0);
    pid_t child = fork ();
    g_assert_cmpint (child, >=, 0);
    if (child == 0) {
      ProxyCatalog *catalog = proxy_catalog_open (path);
      for (unsigned i = known;; i++) {
        proxy_catalog_begin (catalog);
        put (catalog, i * 2, "One", NULL, "http://list/");
        put (catalog, i * 2 + 1, "Two", NULL, "");
        proxy_catalog_commit (catalog);
        if (write (pipes[1], &i, sizeof i) != sizeof i)
          _exit (1);
      }
    }
    close (pipes[1]);
    unsigned said = 0, wait = (unsigned)g_test_rand_int_range (1, 120);
    for (unsigned i = 0; i < wait; i++)
      g_assert_cmpint (read (pipes[0], &said, sizeof said), ==, sizeof said);
    kill (child, SIGKILL);
    while (read (pipes[0], &said, sizeof said) == sizeof said)
      ;
    close (pipes[0]);
    waitpid (child, NULL, 0);
    ProxyCatalog *catalog = proxy_catalog_open (path);
    g_assert_cmpuint (scratch_warnings (), ==, 0);
    for (unsigned i = 0; i <= said; i++) {
      g_assert_nonnull (id_of (catalog, i * 2));
      g_assert_nonnull (id_of (catalog, i * 2 + 1));
    }
    /* both of a commit, or none */
    unsigned n = proxy_catalog_list (catalog)->len;
    g_assert_cmpuint (n % 2, ==, 0);
    g_assert_cmpuint (n, <=, (said + 2) * 2);
    known = n / 2;
    proxy_catalog_close (catalog);
  }
  scratch_free (folder);
}

/* The file may not grow: the disk is full. All that is known stays known; later it is written. */
static void
test_full_disk (void)
{
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "catalog.sqlite", NULL);
  ProxyCatalog *catalog = proxy_catalog_open (path);
  put (catalog, 0, "Before", NULL, "");
  struct rlimit limit, none;
  getrlimit (RLIMIT_FSIZE, &none);
  signal (SIGXFSZ, SIG_IGN);
  limit = none;
  limit.rlim_cur = 60000;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  for (unsigned i = 1; i < 500; i++)
    put (catalog, i, "While it is full", NULL, "");
  g_assert_cmpuint (scratch_warnings (), ==, 1); /* told once, not 500 times */
  g_assert_nonnull (proxy_catalog_trouble (catalog));
  g_assert_cmpuint (proxy_catalog_list (catalog)->len, ==, 500);
  setrlimit (RLIMIT_FSIZE, &none);
  put (catalog, 500, "After", NULL, "");
  g_assert_null (proxy_catalog_trouble (catalog));
  proxy_catalog_close (catalog);
  catalog = proxy_catalog_open (path);
  g_assert_cmpuint (proxy_catalog_list (catalog)->len, ==, 501);
  proxy_catalog_close (catalog);
  scratch_free (folder);
}

static void
test_no_folder (void)
{
  ProxyCatalog *catalog = proxy_catalog_open ("/proc/nothing/catalog.sqlite");
  g_assert_cmpuint (scratch_warnings (), ==, 1);
  g_assert_nonnull (strstr (scratch_last_warning (), "/proc/nothing/catalog.sqlite"));
  g_assert_nonnull (proxy_catalog_trouble (catalog));
  put (catalog, 1, "In memory", NULL, "");
  g_assert_cmpuint (proxy_catalog_list (catalog)->len, ==, 1);
  proxy_catalog_close (catalog);
  scratch_warnings ();
}

static void
test_limit (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  for (unsigned i = 0; i < PROXY_CATALOG_MAX; i++)
    g_assert_cmpint (put (catalog, i, "x", NULL, ""), ==, PROXY_CATALOG_ADDED);
  g_assert_cmpint (put (catalog, PROXY_CATALOG_MAX, "x", NULL, ""), ==, PROXY_CATALOG_FULL);
}

static int
stopped_on_disk (const char *path)
{
  sqlite3 *db = NULL;
  sqlite3_stmt *statement = NULL;
  g_assert_cmpint (sqlite3_open (path, &db), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_prepare_v2 (db, "SELECT stopped FROM channel", -1, &statement, NULL), ==,
                   SQLITE_OK);
  g_assert_cmpint (sqlite3_step (statement), ==, SQLITE_ROW);
  int stopped = sqlite3_column_int (statement, 0);
  sqlite3_finalize (statement);
  sqlite3_close (db);
  return stopped;
}

/* Behind the catalog's back. */
static void
stop_on_disk (const char *path, int64_t time)
{
  sqlite3 *db = NULL;
  g_autofree char *text = g_strdup_printf ("UPDATE channel SET stopped = %" G_GINT64_FORMAT, time);
  g_assert_cmpint (sqlite3_open (path, &db), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (db, text, NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (db);
}

/* As if its minute were over; false = there is none. */
static bool
flush (ProxyCatalog *catalog)
{
  GSource *timer = g_main_context_find_source_by_user_data (NULL, catalog);
  if (timer == NULL)
    return false;
  g_source_set_ready_time (timer, 0);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  return true;
}

/* A set that reads by pieces stops a hundred times a minute; the flash is written once. Its last
 * word is written too, when power is cut and nothing ends cleanly. */
static void
test_stopped (void)
{
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "catalog.sqlite", NULL);
  ProxyCatalog *catalog = proxy_catalog_open (path);
  put (catalog, 1, "Film", NULL, "");
  g_autofree char *id = g_strdup (id_of (catalog, 1));
  uint32_t generation = proxy_catalog_generation (catalog);
  for (int i = 1; i <= 100; i++)
    proxy_catalog_set_stopped (catalog, id, i);
  g_assert_cmpint (proxy_catalog_lookup (catalog, id)->stopped, ==, 100);
  g_assert_cmpint (stopped_on_disk (path), ==, 1);
  g_assert_cmpuint (proxy_catalog_generation (catalog), ==, generation + 1);
  clock_advance (60 * G_USEC_PER_SEC);
  g_assert_true (flush (catalog));
  g_assert_cmpint (stopped_on_disk (path), ==, 100);
  g_assert_cmpuint (proxy_catalog_generation (catalog), ==, generation + 2);
  g_assert_false (flush (catalog));
  proxy_catalog_set_stopped (catalog, id, 101); /* its next minute has begun */
  g_assert_cmpint (stopped_on_disk (path), ==, 100);
  g_assert_true (flush (catalog));
  g_assert_cmpint (stopped_on_disk (path), ==, 101);
  proxy_catalog_set_stopped (catalog, id, 100);
  proxy_catalog_close (catalog);
  g_assert_null (g_main_context_find_source_by_user_data (NULL, catalog));
  g_assert_cmpint (stopped_on_disk (path), ==, 100);
  catalog = proxy_catalog_open (path);
  g_assert_cmpint (proxy_catalog_lookup (catalog, id)->stopped, ==, 100);
  stop_on_disk (path, 77);
  proxy_catalog_close (catalog); /* what has not changed is not written */
  g_assert_cmpint (stopped_on_disk (path), ==, 77);
  catalog = proxy_catalog_open (path);
  proxy_catalog_set_stopped (catalog, id, 0);
  proxy_catalog_set_stopped (catalog, "no-such", 7);
  proxy_catalog_close (catalog);
  g_assert_cmpint (stopped_on_disk (path), ==, 0);
  scratch_free (folder);
}

/* Files of the versions that knew no favourites, and not where films were stopped, are read, and
 * renewed. */
static void
open_older (int version)
{
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "catalog.sqlite", NULL);
  sqlite3 *db = NULL;
  g_assert_cmpint (sqlite3_open (path, &db), ==, SQLITE_OK);
  g_assert_cmpint (
      sqlite3_exec (
          db,
          "CREATE TABLE channel (swarm TEXT PRIMARY KEY NOT NULL, id TEXT NOT NULL UNIQUE,"
          " link TEXT NOT NULL, name TEXT NOT NULL, logo TEXT, grp TEXT,"
          " source TEXT NOT NULL, number INTEGER NOT NULL, added INTEGER NOT NULL,"
          " state INTEGER NOT NULL, seen INTEGER NOT NULL, mime TEXT NOT NULL,"
          " live INTEGER NOT NULL, length INTEGER NOT NULL, media TEXT) WITHOUT ROWID;"
          "INSERT INTO channel VALUES ('0d01', 'old', 'ppsp:0d01', 'Old one', NULL, NULL,"
          " '', 7, 1, 0, 1, 'video/mp2t', 1, -1, NULL);"
          "PRAGMA user_version = 1",
          NULL, NULL, NULL),
      ==, SQLITE_OK);
  if (version == 2)
    g_assert_cmpint (sqlite3_exec (db,
                                   "ALTER TABLE channel ADD COLUMN favourite INTEGER NOT NULL"
                                   " DEFAULT 0; PRAGMA user_version = 2",
                                   NULL, NULL, NULL),
                     ==, SQLITE_OK);
  sqlite3_close (db);
  for (int round = 0; round < 2; round++) {
    g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (path);
    g_assert_null (proxy_catalog_trouble (catalog));
    const ProxyChannel *channel = proxy_catalog_lookup (catalog, "old");
    g_assert_nonnull (channel);
    g_assert_cmpint (channel->number, ==, 7);
    g_assert_cmpint (channel->favourite, ==, round > 0);
    g_assert_true (proxy_catalog_set_favourite (catalog, "old", true));
    g_assert_cmpint (channel->stopped, ==, round > 0 ? 9 : 0);
    proxy_catalog_set_stopped (catalog, "old", 9);
  }
  scratch_free (folder);
}

static void
test_older_file (void)
{
  open_older (1);
  open_older (2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  scratch_keep_warnings ();
  g_test_add_func ("/proxy/catalog/ids-are-safe-and-unique", test_ids);
  g_test_add_func ("/proxy/catalog/order-by-number-then-name", test_order);
  g_test_add_func ("/proxy/catalog/all-is-there-after-reopening", test_reopen);
  g_test_add_func ("/proxy/catalog/a-pass-sweeps-its-source-only", test_passes);
  g_test_add_func ("/proxy/catalog/changes-are-told-once", test_changes_are_told);
  g_test_add_func ("/proxy/catalog/damaged-file-is-set-aside", test_damage);
  g_test_add_func ("/proxy/catalog/older-file-is-renewed", test_older_file);
  g_test_add_func ("/proxy/catalog/where-films-were-stopped-is-written-rarely", test_stopped);
  g_test_add_func ("/proxy/catalog/survives-kill-9", test_kill);
  g_test_add_func ("/proxy/catalog/full-disk-loses-nothing-known", test_full_disk);
  g_test_add_func ("/proxy/catalog/works-without-a-folder", test_no_folder);
  g_test_add_func ("/proxy/catalog/has-a-limit", test_limit);
  return g_test_run ();
}
