/* SPDX-License-Identifier: Apache-2.0 */
/* A broadcast in a file, and the content on demand that it becomes. */
#include "peer/net/file.h"
#include "peer/net/record.h"
#include "tests/proxy/scratch.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

enum { SIZE = 1128, STEP = 16, N = 5 * STEP };

/* --- the kernel's side, watched (linked with --wrap) --- */

static unsigned n_calls; /* to read or write at a place */

ssize_t __real_pwrite64 (int fd, const void *bytes, size_t n, off_t offset);
ssize_t __wrap_pwrite64 (int fd, const void *bytes, size_t n, off_t offset);
ssize_t __real_pread64 (int fd, void *out, size_t n, off_t offset);
ssize_t __wrap_pread64 (int fd, void *out, size_t n, off_t offset);

ssize_t
__wrap_pwrite64 (int fd, const void *bytes, size_t n, off_t offset)
{
  n_calls++;
  return __real_pwrite64 (fd, bytes, n, offset);
}

ssize_t
__wrap_pread64 (int fd, void *out, size_t n, off_t offset)
{
  n_calls++;
  return __real_pread64 (fd, out, n, offset);
}

static void
fill (uint64_t chunk, uint8_t *out)
{
  for (size_t i = 0; i < SIZE; i++)
    out[i] = (uint8_t)(chunk * 31 + i);
}

static PeerStore *
open_record (const char *path, uint64_t max_bytes)
{
  g_autoptr (GError) error = NULL;
  PeerStore *store = net_record_open (path, SIZE, max_bytes, &error);
  g_assert_no_error (error);
  return store;
}

static PeerStoreResult
write_chunk (PeerStore *store, uint64_t chunk)
{
  uint8_t bytes[SIZE];
  fill (chunk, bytes);
  return store->class->write (store, chunk, bytes, SIZE);
}

static void
assert_chunk (PeerStore *store, uint64_t chunk)
{
  uint8_t bytes[SIZE], truth[SIZE];
  size_t n = 0;
  fill (chunk, truth);
  g_assert_cmpint (store->class->read (store, chunk, bytes, SIZE, &n), ==, PEER_STORE_OK);
  g_assert_cmpmem (bytes, n, truth, SIZE);
}

static void
test_record (void)
{
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "record", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerChunks) chunks = peer_chunks_new (0);
  uint8_t bytes[SIZE];
  size_t n;
  g_assert_true (g_file_set_contents (path, "of an earlier run", -1, NULL));
  PeerStore *store = open_record (path, 10 * SIZE + 5);
  g_assert_null (net_record_open (path, SIZE, 0, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_assert_cmpint (store->class->read (store, 0, bytes, SIZE, &n), ==, PEER_STORE_ABSENT);
  g_assert_cmpint (write_chunk (store, 7), ==, PEER_STORE_OK);
  g_assert_cmpint (write_chunk (store, 2), ==, PEER_STORE_OK);
  g_assert_cmpint (write_chunk (store, 9), ==, PEER_STORE_OK);
  g_assert_cmpint (write_chunk (store, 10), ==, PEER_STORE_ABSENT);
  g_assert_cmpint (store->class->write (store, 1, bytes, SIZE - 1), !=, PEER_STORE_OK);
  g_assert_cmpint (store->class->read (store, 2, bytes, SIZE - 1, &n), ==, PEER_STORE_FAILED);
  assert_chunk (store, 7);
  store->class->discard (store, (PeerRange){3, 9});
  g_assert_cmpint (store->class->read (store, 7, bytes, SIZE, &n), ==, PEER_STORE_ABSENT);
  store->class->chunks (store, chunks);
  g_assert_cmpuint (peer_chunks_count (chunks), ==, 2);
  net_record_finish (store);
  g_assert_cmpint (write_chunk (store, 3), ==, PEER_STORE_ABSENT);
  store->class->discard (store, (PeerRange){0, 20});
  assert_chunk (store, 9);
  peer_store_free (store);
  scratch_free (folder);
}

/* All that was kept is in the file when nothing more comes, and what was discarded is not, even if it
 * had not been written yet. */
static void
assert_file (const char *path, uint64_t n_chunks, uint64_t lost)
{
  g_autofree char *bytes = NULL;
  uint8_t truth[SIZE];
  gsize n;
  g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
  g_assert_cmpuint (n, ==, n_chunks * SIZE);
  for (uint64_t chunk = 0; chunk < n_chunks; chunk++) {
    fill (chunk, truth);
    if (chunk == lost)
      memset (truth, 0, SIZE);
    g_assert_cmpmem (bytes + chunk * SIZE, SIZE, truth, SIZE);
  }
}

static void
test_few_calls (void)
{
  enum { MANY = 3000, LOST = MANY - 3 };
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "record", NULL);
  for (unsigned way = 0; way < 2; way++) {
    PeerStore *store = open_record (path, 0);
    n_calls = 0;
    /* as batches of 64 come, those that carry hashes first */
    for (uint64_t i = 0; i < MANY; i++) {
      uint64_t in = i % 64, chunk = i - in + (in < 32 ? 2 * in : 2 * (in - 32) + 1);
      if (i >= MANY / 64 * 64)
        chunk = i;
      g_assert_cmpint (write_chunk (store, chunk), ==, PEER_STORE_OK);
    }
    g_assert_cmpuint (n_calls, <, MANY / 15);
    store->class->discard (store, (PeerRange){LOST, LOST + 1});
    if (way == 0) {
      net_record_finish (store);
      assert_file (path, MANY, LOST);
      n_calls = 0;
      for (uint64_t chunk = 0; chunk < LOST; chunk++)
        assert_chunk (store, chunk);
      g_assert_cmpuint (n_calls, <, MANY / 15);
    }
    peer_store_free (store);
    assert_file (path, MANY, LOST);
  }
  scratch_free (folder);
}

static void
make_tree (PeerContent *content, PeerHashStore *hashes)
{
  uint8_t bytes[SIZE];
  PeerContent empty = *content;
  empty.swarm_id_size = 0;
  g_autoptr (PeerIntegrity) integrity = peer_integrity_new (&empty, 0, hashes, NULL);
  for (uint64_t chunk = 0; chunk < N; chunk++) {
    fill (chunk, bytes);
    peer_integrity_append (integrity, bytes, SIZE);
  }
  peer_integrity_finish (integrity, content->swarm_id);
  content->swarm_id_size = 32;
}

/* What lies there is taken up as it is, and checked all the same; a restart knows it. */
static void
test_adopt (void)
{
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "record", NULL);
  g_autoptr (GError) error = NULL;
  PeerHashStore *hashes;
  PeerContent content;
  uint8_t bytes[SIZE];
  size_t n;
  PeerStore *record = open_record (path, 0);
  for (uint64_t chunk = 0; chunk < N; chunk++)
    g_assert_cmpint (write_chunk (record, chunk == 9 ? 8 : chunk), ==, PEER_STORE_OK);
  fill (8, bytes); /* in the place of chunk 9: not what the tree says */
  g_assert_cmpint (record->class->write (record, 9, bytes, SIZE), ==, PEER_STORE_OK);
  net_record_finish (record);

  peer_content_init_static (&content);
  content.chunk_size = SIZE;
  content.length = N * SIZE;
  make_tree (&content, NULL);
  PeerStore *film = net_file_open (path, &content, &hashes, &error);
  g_assert_no_error (error);
  PeerContent same = content;
  make_tree (&same, hashes);
  net_file_adopt (film);
  for (unsigned round = 0; round < 2; round++) {
    for (uint64_t chunk = 0; chunk < N; chunk++)
      if (chunk != 9)
        assert_chunk (film, chunk);
    g_assert_cmpint (film->class->read (film, 9, bytes, SIZE, &n), ==, PEER_STORE_ABSENT);
    assert_chunk (record, 5);
    peer_store_free (film);
    film = net_file_open (path, &content, &hashes, &error);
    g_assert_no_error (error);
    peer_hashes_free (hashes);
  }
  peer_store_free (film);
  peer_store_free (record);

  /* who runs the same command again does not lose it */
  g_assert_null (net_record_open (path, SIZE, 0, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS);
  film = net_file_open (path, &content, &hashes, NULL);
  assert_chunk (film, 5);
  peer_store_free (film);
  peer_hashes_free (hashes);
  scratch_free (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/record/keeps-chunks-at-their-place", test_record);
  g_test_add_func ("/net/record/calls-carry-many-chunks", test_few_calls);
  g_test_add_func ("/net/record/becomes-content-on-demand", test_adopt);
  return g_test_run ();
}
