/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/bits.h"
#include "peer/net/blocks.h"
#include "peer/net/disk.h"
#include "tests/net/film.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the kernel's side, watched (linked with --wrap) --- */

static unsigned n_calls;     /* to read or write at a place */
static size_t refused_write; /* bytes: writes of this size find no room; 0 = none */
static size_t refused_read;  /* likewise, reads fail */

ssize_t __real_pwrite64 (int fd, const void *bytes, size_t n, off_t offset);
ssize_t __wrap_pwrite64 (int fd, const void *bytes, size_t n, off_t offset);
ssize_t __real_pread64 (int fd, void *out, size_t n, off_t offset);
ssize_t __wrap_pread64 (int fd, void *out, size_t n, off_t offset);

ssize_t
__wrap_pwrite64 (int fd, const void *bytes, size_t n, off_t offset)
{
  n_calls++;
  if (refused_write == 0 || n != refused_write)
    return __real_pwrite64 (fd, bytes, n, offset);
  errno = ENOSPC;
  return -1;
}

ssize_t
__wrap_pread64 (int fd, void *out, size_t n, off_t offset)
{
  n_calls++;
  if (refused_read > 0 && n == refused_read) {
    errno = EIO;
    return -1;
  }
  return __real_pread64 (fd, out, n, offset);
}

static void
test_fetches_and_reopens (void)
{
  static const size_t lengths[] = {1, CHUNK, CHUNK + 1, 7162, 300 * CHUNK - 1, 129 * CHUNK};
  for (unsigned i = 0; i < G_N_ELEMENTS (lengths); i++) {
    World world;
    Receiver receiver;
    world_init (&world, lengths[i]);
    receiver_open_well (&receiver, &world);
    g_assert_true (peer_chunks_is_empty (receiver.known));
    uint64_t half = world.n_chunks / 2;
    for (uint64_t c = world.n_chunks; c-- > half;)
      g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
    g_assert_cmpuint (count_held (&receiver, &world), ==, world.n_chunks - half);
    receiver_close (&receiver, i % 2);

    receiver_open_well (&receiver, &world);
    g_assert_cmpuint (peer_chunks_count (receiver.known), ==, world.n_chunks - half);
    g_assert_cmpuint (count_held (&receiver, &world), ==, world.n_chunks - half);
    for (uint64_t c = 0; c < half; c++)
      g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
    g_assert_cmpuint (count_held (&receiver, &world), ==, world.n_chunks);
    /* It can give all of it on. */
    for (uint64_t c = 0; c < world.n_chunks; c++) {
      PeerHash proof[PEER_PROOF_MAX];
      g_assert_cmpint (peer_integrity_proof (receiver.integrity, c, NULL, NULL, proof), >=, 0);
    }
    receiver_close (&receiver, i % 2);
    assert_file_is_content (&world);
    world_clear (&world);
  }
}

static void
test_refuses_what_does_not_fit (void)
{
  World world;
  Receiver receiver, second;
  uint8_t bytes[CHUNK + 1] = {0};
  size_t n;
  g_autoptr (GError) error = NULL;
  world_init (&world, 10 * CHUNK - 7);
  receiver_open_well (&receiver, &world);
  PeerStore *store = receiver.store;
  g_assert_cmpint (store->class->write (store, 10, bytes, CHUNK), ==, PEER_STORE_FAILED);
  g_assert_cmpint (store->class->write (store, 0, bytes, CHUNK - 1), ==, PEER_STORE_FAILED);
  g_assert_cmpint (store->class->write (store, 9, bytes, CHUNK), ==, PEER_STORE_FAILED);
  g_assert_cmpint (store->class->read (store, 10, bytes, CHUNK, &n), ==, PEER_STORE_ABSENT);
  g_assert_cmpint (fetch (&receiver, &world, 0), ==, PEER_STORE_OK);
  g_assert_cmpint (store->class->read (store, 0, bytes, CHUNK - 1, &n), ==, PEER_STORE_FAILED);
  /* Nobody else at the same time. */
  g_assert_false (receiver_open (&second, &world, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_clear_error (&error);
  receiver_close (&receiver, true);
  world.content.length = 0;
  g_assert_false (receiver_open (&second, &world, &error));
  g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT);
  world_clear (&world);
}

static void
test_discards (void)
{
  World world;
  Receiver receiver;
  struct stat before, after;
  world_init (&world, 9000 * CHUNK);
  receiver_open_well (&receiver, &world);
  for (uint64_t c = 0; c < world.n_chunks; c++)
    g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
  g_assert_cmpint (g_stat (world.path, &before), ==, 0);
  receiver.store->class->discard (receiver.store, (PeerRange){100, 8000});
  receiver.store->class->discard (receiver.store, (PeerRange){8999, UINT64_MAX});
  g_assert_cmpint (g_stat (world.path, &after), ==, 0);
  g_assert_cmpint (after.st_blocks, <, before.st_blocks / 4);
  for (uint64_t c = 0; c < world.n_chunks; c++)
    g_assert_true (holds (&receiver, &world, c) == (c < 100 || (c >= 8000 && c < 8999)));
  receiver_close (&receiver, true);
  receiver_open_well (&receiver, &world);
  g_assert_cmpuint (peer_chunks_n_runs (receiver.known), ==, 2);
  g_assert_cmpuint (peer_chunks_count (receiver.known), ==, 1099);
  g_assert_cmpuint (count_held (&receiver, &world), ==, 1099);
  receiver_close (&receiver, true);
  world_clear (&world);
}

/* --- faults --- */

/* Fetches a chunk that is not here, of a random place, for each byte that comes in, and sends one back. */
static void
fetch_at_word (const World *world, unsigned seed, int in, int out)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  Receiver receiver;
  uint8_t byte;
  receiver_open_well (&receiver, world);
  while (read (in, &byte, 1) == 1) {
    uint64_t c;
    do
      c = (uint64_t)g_rand_int_range (rand, 0, (int)world->n_chunks);
    while (peer_chunks_has (receiver.known, c));
    if (fetch (&receiver, world, c) != PEER_STORE_OK || write (out, "", 1) != 1)
      _exit (1);
  }
  _exit (2);
}

/* A child is killed while it fetches, at several points; how far it has come is no matter of speed. */
static void
test_survives_kill (void)
{
  World world;
  Receiver receiver;
  world_init (&world, 3000 * CHUNK + 5);
  uint64_t n_before = 0;
  for (unsigned round = 0; round < 6; round++) {
    /* the record is written with the 256th; every other time the kill comes while it fetches */
    unsigned n_sure = 256 + round * 17, n_said = n_sure + round % 2 * 100;
    int words[2], done[2];
    uint8_t bytes[512] = {0};
    g_assert_cmpint (pipe (words), ==, 0);
    g_assert_cmpint (pipe (done), ==, 0);
    pid_t child = fork ();
    g_assert_cmpint (child, >=, 0);
    if (child == 0)
      fetch_at_word (&world, round + 1, words[0], done[1]);
    close (words[0]);
    close (done[1]);
    g_assert_cmpint (write (words[1], bytes, n_said), ==, n_said);
    for (unsigned i = 0; i < n_sure; i++)
      g_assert_cmpint (read (done[0], bytes, 1), ==, 1);
    g_assert_cmpint (kill (child, SIGKILL), ==, 0);
    g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
    close (words[1]);
    close (done[0]);

    receiver_open_well (&receiver, &world);
    uint64_t n = peer_chunks_count (receiver.known);
    /* of 256 that were noted, four blocks of 32 may wait for their other chunks */
    g_assert_cmpuint (n, >=, n_before + 256 - 4 * 32);
    g_assert_cmpuint (count_held (&receiver, &world), ==, n);
    n_before = n;
    receiver_close (&receiver, true);
  }
  receiver_open_well (&receiver, &world);
  for (uint64_t c = 0; c < world.n_chunks; c++)
    g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
  receiver_close (&receiver, true);
  assert_file_is_content (&world);
  world_clear (&world);
}

/* Changes bytes of a file: n of them at each of some places. */
static void
damage (const char *path, guint32 seed, unsigned places, size_t n)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  struct stat stat;
  int fd = open (path, O_RDWR);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (fstat (fd, &stat), ==, 0);
  for (unsigned i = 0; i < places; i++) {
    off_t at = (off_t)(g_rand_double (rand) * (double)(stat.st_size - (off_t)n));
    for (size_t k = 0; k < n; k++) {
      uint8_t byte = (uint8_t)g_rand_int (rand);
      g_assert_cmpint (pwrite (fd, &byte, 1, at + (off_t)k), ==, 1);
    }
  }
  close (fd);
}

/* Whatever happens to the files between two runs: what is read is content, and the rest can be
 * fetched again. */
static void
test_survives_damage (void)
{
  static const char *const endings[] = {"", ".hashes", ".have"};
  for (unsigned round = 0; round < 24; round++) {
    World world;
    Receiver receiver;
    g_autofree char *path = NULL;
    world_init (&world, 700 * CHUNK);
    receiver_open_well (&receiver, &world);
    for (uint64_t c = 0; c < 500; c++)
      g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
    receiver_close (&receiver, true);
    path = beside (&world, endings[round % 3]);
    switch (round / 3) {
    case 0:
    case 1:
    case 2:
      damage (path, round, 3, 1);
      break;
    case 3:
    case 4:
      damage (path, round, 20, 300);
      break;
    case 5:
      g_assert_cmpint (truncate (path, 0), ==, 0);
      break;
    case 6:
      g_assert_cmpint (truncate (path, 4096 + 40), ==, 0);
      break;
    default:
      g_assert_cmpint (g_unlink (path), ==, 0);
    }
    receiver_open_well (&receiver, &world);
    uint64_t n_held = count_held (&receiver, &world);
    g_assert_cmpuint (n_held, <=, 500);
    if (round < 9 && round % 3 == 0)
      g_assert_cmpuint (n_held, >=, 497);
    /* What is not held is fetched, from a source that leaves out the hashes of what we said that
     * we have. */
    for (uint64_t c = world.n_chunks; c-- > 0;)
      if (!holds (&receiver, &world, c))
        g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
    g_assert_cmpuint (count_held (&receiver, &world), ==, world.n_chunks);
    receiver_close (&receiver, true);
    assert_file_is_content (&world);
    world_clear (&world);
  }
}

/* Chunks and a tree that fit each other, and not the root: another film in place of ours, under
 * our record. */
static void
test_believes_the_root_alone (void)
{
  World ours, other;
  Receiver receiver;
  world_init (&ours, 200 * CHUNK);
  world_init (&other, 200 * CHUNK - 1);
  g_free (other.bytes);
  unpublish (&other);
  other.length = ours.length;
  other.bytes = g_memdup2 (ours.bytes, ours.length);
  for (size_t i = 0; i < other.length; i++)
    other.bytes[i] ^= 85;
  write_film (&other);
  publish (&other);
  for (unsigned i = 0; i < 2; i++) {
    const World *world = i == 0 ? &ours : &other;
    receiver_open_well (&receiver, world);
    for (uint64_t c = 0; c < 200; c++)
      g_assert_cmpint (fetch (&receiver, world, c), ==, PEER_STORE_OK);
    receiver_close (&receiver, true);
  }
  static const struct {
    const char *ending;
    goffset front;
  } files[] = {{"", 0}, {".hashes", 4096}};
  for (unsigned i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *from = beside (&other, files[i].ending), *to = beside (&ours, files[i].ending);
    g_autofree char *bytes = NULL;
    gsize n;
    g_assert_true (g_file_get_contents (from, &bytes, &n, NULL));
    int fd = open (to, O_WRONLY);
    g_assert_cmpint (pwrite (fd, bytes + files[i].front, n - (gsize)files[i].front, files[i].front),
                     ==, (gssize)n - files[i].front);
    close (fd);
  }
  receiver_open_well (&receiver, &ours);
  g_assert_true (peer_chunks_is_empty (receiver.known));
  g_assert_cmpuint (count_held (&receiver, &ours), ==, 0);
  for (uint64_t c = 0; c < 200; c++)
    g_assert_cmpint (fetch (&receiver, &ours, c), ==, PEER_STORE_OK);
  receiver_close (&receiver, true);
  assert_file_is_content (&ours);
  world_clear (&ours);
  world_clear (&other);
}

/* A record of which a bit has turned is none, also where it still names the content. */
static void
test_damaged_record_is_none (void)
{
  static const char *const endings[] = {".hashes", ".have"};
  for (unsigned i = 0; i < G_N_ELEMENTS (endings); i++) {
    World world;
    Receiver receiver;
    world_init (&world, 200 * CHUNK);
    g_autofree char *path = beside (&world, endings[i]);
    receiver_open_well (&receiver, &world);
    for (uint64_t c = 0; c < 200; c++)
      g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
    receiver_close (&receiver, true);
    uint8_t byte = 0;
    int fd = open (path, O_RDWR);
    g_assert_cmpint (pread (fd, &byte, 1, 39), ==, 1); /* of the time that it tells of */
    byte ^= 1;
    g_assert_cmpint (pwrite (fd, &byte, 1, 39), ==, 1);
    close (fd);
    receiver_open_well (&receiver, &world);
    g_assert_true (peer_chunks_is_empty (receiver.known));
    receiver_close (&receiver, true);
    world_clear (&world);
  }
}

/* Content so long that its hashes are not all checked at opening: only if the machine has been
 * started anew since. 300,000 chunks, small ones. */
static void
test_long_content_after_power_loss (void)
{
  World world;
  Receiver receiver;
  NetDiskRecord record;
  chunk_size = 16;
  world_init (&world, 300000 * 16);
  g_autofree char *have = beside (&world, ".have"), *tree = beside (&world, ".hashes");
  for (unsigned round = 0; round < 3; round++) {
    receiver_open_well (&receiver, &world);
    for (uint64_t c = 200000; c < 200200; c++)
      g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
    receiver_close (&receiver, true);
    int fd = open (have, O_RDWR);
    g_assert_cmpint (net_disk_read_record (fd, "PPSPhave", &record), ==, NET_DISK_RECORD_GOOD);
    g_assert_cmpuint (record.state, ==, 1);
    if (round > 0)
      record.state = 0; /* as a kill leaves it */
    if (round > 1)
      record.changed_s ^= 1; /* as before another start of the machine */
    g_assert_true (net_disk_write_record (fd, &record));
    close (fd);
    fd = open (tree, O_RDWR);
    g_assert_cmpint (pwrite (fd, "x", 1, 4096 + 2 * 200100 * 32), ==, 1);
    close (fd);
    receiver_open_well (&receiver, &world);
    bool is_claimed = peer_chunks_has (receiver.known, 200100);
    g_assert_true (is_claimed == (round < 2));
    /* It is not given in any case. */
    g_assert_false (holds (&receiver, &world, 200100));
    receiver.store->class->discard (receiver.store, (PeerRange){0, UINT64_MAX});
    receiver_close (&receiver, true);
    g_assert_cmpint (g_unlink (tree), ==, 0);
  }
  world_clear (&world);
  chunk_size = CHUNK;
}

/* The files of another content under the same name. */
static void
test_begins_anew_for_other_content (void)
{
  World first, second;
  Receiver receiver;
  world_init (&first, 200 * CHUNK);
  world_init (&second, 150 * CHUNK + 3);
  receiver_open_well (&receiver, &first);
  for (uint64_t c = 0; c < 200; c++)
    g_assert_cmpint (fetch (&receiver, &first, c), ==, PEER_STORE_OK);
  receiver_close (&receiver, true);
  char *path = second.path;
  second.path = first.path;
  receiver_open_well (&receiver, &second);
  g_assert_true (peer_chunks_is_empty (receiver.known));
  g_assert_cmpuint (count_held (&receiver, &second), ==, 0);
  for (uint64_t c = 0; c < second.n_chunks; c++)
    g_assert_cmpint (fetch (&receiver, &second, c), ==, PEER_STORE_OK);
  receiver_close (&receiver, true);
  assert_file_is_content (&second);
  second.path = path;
  world_clear (&second);
  world_clear (&first);
}

/* A record, or what it says is here, that cannot be read now is told, and nothing is begun anew. */
static void
test_unreadable_record_loses_nothing (void)
{
  static const size_t sizes[] = {256, NET_BITS_PAGE};
  World world;
  Receiver receiver;
  world_init (&world, 200 * CHUNK);
  receiver_open_well (&receiver, &world);
  for (uint64_t c = 0; c < 200; c++)
    g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
  receiver_close (&receiver, true);
  for (unsigned i = 0; i < 2 * G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GError) error = NULL;
    refused_read = sizes[i / 2];
    bool is_open = i % 2 == 0 ? receiver_open (&receiver, &world, &error)
                              : receiver_open_sparse (&receiver, &world, &error);
    refused_read = 0;
    g_assert_false (is_open);
    g_assert_nonnull (strstr (error->message, "cannot read"));
    g_assert_nonnull (strstr (error->message, world.path));
    receiver_open_well (&receiver, &world);
    g_assert_cmpuint (count_held (&receiver, &world), ==, 200);
    receiver_close (&receiver, true);
  }
  world_clear (&world);
}

/* A disk of 4 MiB: told at opening, and no rubbish is left. */
static void
test_full_disk_is_told_at_opening (void)
{
  World world;
  Receiver receiver;
  g_autoptr (GError) error = NULL;
  world_init (&world, 6 * 1024 * CHUNK);
  if (mount ("none", world.folder, "tmpfs", 0, "size=4m") != 0) {
    world_clear (&world);
    g_test_skip ("cannot mount a small disk");
    return;
  }
  bool is_open = receiver_open (&receiver, &world, &error);
  g_autoptr (GDir) dir = g_dir_open (world.folder, 0, NULL);
  const char *left_behind = g_dir_read_name (dir);
  g_clear_pointer (&dir, g_dir_close);
  g_assert_cmpint (umount (world.folder), ==, 0);
  g_assert_false (is_open);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, world.path));
  g_assert_null (left_behind);
  world_clear (&world);
}

/* What the log has said since it was last asked. */
static unsigned n_warnings;
static char last_warning[512];

static GLogWriterOutput
count_warnings (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  if (!(level & G_LOG_LEVEL_WARNING))
    return g_log_writer_default (level, fields, n, data);
  n_warnings++;
  for (gsize i = 0; i < n; i++)
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      g_strlcpy (last_warning, fields[i].value, sizeof last_warning);
  return G_LOG_WRITER_HANDLED;
}

static void
assert_warned (unsigned n, const char *pattern)
{
  g_assert_cmpuint (n_warnings, ==, n);
  g_assert_true (n == 0 || g_pattern_match_simple (pattern, last_warning));
  n_warnings = 0;
}

/* A medium that fails later: FAILED, one line in the log, and what was there stays. The limit on
 * file sizes plays the broken disk. */
static void
test_failing_medium (void)
{
  World world;
  Receiver receiver;
  struct rlimit before, limit;
  world_init (&world, 900 * CHUNK);
  receiver_open_well (&receiver, &world);
  for (uint64_t c = 0; c < 400; c++)
    g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  limit = before;
  limit.rlim_cur = 500 * CHUNK;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  /* What the blocks in memory take may still come; then nothing more does. */
  uint64_t kept = 400;
  for (uint64_t c = 400; c < 900; c++)
    kept += fetch (&receiver, &world, c) == PEER_STORE_OK;
  g_assert_cmpuint (kept, >=, 500);
  g_assert_cmpuint (kept, <, 500 + (NET_BLOCKS + 1) * NET_BLOCKS_BYTES / CHUNK);
  g_assert_cmpint (fetch (&receiver, &world, 899), ==, PEER_STORE_FAILED);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &before), ==, 0);
  assert_warned (1, "cannot write '*/copy': File too large");
  g_assert_cmpuint (count_held (&receiver, &world), ==, kept);
  receiver_close (&receiver, true);
  world_clear (&world);
}

/* The record cannot be written, and chunks come from all over the content: each touches another page
 * of the record. What waits for its page has a limit. */
static void
test_failing_record (void)
{
  World world;
  Receiver receiver;
  chunk_size = 16;
  world_init (&world, 300000 * 16);
  receiver_open_well (&receiver, &world);
  refused_write = 512; /* a page of the record */
  unsigned kept = 0;
  for (uint64_t c = 0; c < world.n_chunks; c += 4096)
    kept += fetch (&receiver, &world, c) == PEER_STORE_OK;
  g_assert_cmpint (fetch (&receiver, &world, 1), ==, PEER_STORE_FAILED);
  g_assert_cmpuint (kept, ==, 64);
  refused_write = 0;
  assert_warned (1, "cannot write the record of '*/copy': No space left on device");
  receiver_close (&receiver, true);
  world_clear (&world);
  chunk_size = CHUNK;
}

/* Calls to the kernel for each chunk, below 0.1 as they come from a peer: batches of 64, of which
 * each second chunk comes first since it has hashes, and a loss that is sent again later. */
static void
test_few_calls (void)
{
  World world;
  Receiver receiver;
  world_init (&world, 4096 * CHUNK);
  receiver_open_well (&receiver, &world);
  n_calls = 0;
  for (uint64_t c = 0; c < world.n_chunks; c += 64) {
    for (uint64_t i = 0; i < 64; i++) {
      uint64_t chunk = c + (i < 32 ? 2 * i : 2 * (i - 32) + 1);
      if (chunk % 1000 != 999)
        g_assert_cmpint (fetch (&receiver, &world, chunk), ==, PEER_STORE_OK);
    }
    bool last = c + 64 == world.n_chunks;
    for (uint64_t chunk = 999; chunk < world.n_chunks && (last || chunk + 200 < c); chunk += 1000)
      if (!peer_chunks_has (receiver.known, chunk))
        g_assert_cmpint (fetch (&receiver, &world, chunk), ==, PEER_STORE_OK);
  }
  g_test_message ("%u calls to write %u chunks", n_calls, (unsigned)world.n_chunks);
  g_assert_cmpuint (n_calls, <, world.n_chunks / 15);
  assert_file_is_content (&world); /* all of it is here: nothing waits any more */
  receiver_close (&receiver, true);

  receiver_open_well (&receiver, &world);
  n_calls = 0;
  g_assert_cmpuint (count_held (&receiver, &world), ==, world.n_chunks);
  g_test_message ("%u calls to read them and their hashes", n_calls);
  g_assert_cmpuint (n_calls, <, world.n_chunks / 15);
  receiver_close (&receiver, true);
  world_clear (&world);
}

/* The medium of the tree fails: nothing is claimed that could not be proven later. */
static void
test_failing_tree (void)
{
  World world;
  Receiver receiver;
  struct rlimit before, limit;
  world_init (&world, 9000 * CHUNK);
  receiver_open_well (&receiver, &world);
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  limit = before;
  /* The data up to chunk 300 fits, and the node beside the left half of the tree does not. */
  limit.rlim_cur = 300 * CHUNK;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  uint64_t chunk = 0;
  while (chunk < 300 && fetch (&receiver, &world, chunk) == PEER_STORE_OK)
    chunk++;
  g_assert_cmpuint (chunk, ==, 256);
  /* What is in play goes on from memory. */
  for (chunk = 4800; chunk < world.n_chunks; chunk++)
    g_assert_cmpint (fetch (&receiver, &world, chunk), ==, PEER_STORE_FAILED);
  for (chunk = 4800; chunk < world.n_chunks; chunk++) {
    PeerHash proof[PEER_PROOF_MAX];
    g_assert_cmpint (peer_integrity_proof (receiver.integrity, chunk, NULL, NULL, proof), >=, 0);
  }
  receiver_close (&receiver, true);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &before), ==, 0);
  assert_warned (1, "cannot write '*/copy.hashes': File too large");
  receiver_open_well (&receiver, &world);
  g_assert_true (peer_chunks_is_empty (receiver.known));
  receiver_close (&receiver, true);
  world_clear (&world);
}

/* --- publishing --- */

static void
count_calls (uint64_t done, uint64_t total, gpointer data)
{
  uint64_t *calls = data;
  g_assert_cmpuint (done, <=, total);
  *calls += 1;
}

static bool
publish_again (World *self, const char *path, uint64_t *calls, GError **error)
{
  unpublish (self);
  *calls = 0;
  peer_content_init_static (&self->content);
  self->published = net_file_publish (path, self->hashes, &self->content, &self->source,
                                      count_calls, calls, error);
  return self->published != NULL;
}

static void
assert_published (const World *self)
{
  uint8_t bytes[CHUNK];
  size_t n, n_true;
  g_autoptr (PeerChunks) chunks = peer_chunks_new (0);
  self->published->class->chunks (self->published, chunks);
  g_assert_cmpuint (peer_chunks_count (chunks), ==, self->n_chunks);
  g_assert_true (peer_chunks_has_all (chunks, (PeerRange){0, self->n_chunks}));
  g_assert_cmpuint (peer_integrity_n_chunks (self->source), ==, self->n_chunks);
  g_assert_cmpuint (self->content.length, ==, self->length);
  for (uint64_t c = 0; c < self->n_chunks; c++) {
    PeerHash proof[PEER_PROOF_MAX];
    g_assert_cmpint (self->published->class->read (self->published, c, bytes, CHUNK, &n), ==,
                     PEER_STORE_OK);
    const uint8_t *truth = chunk_of (self, c, &n_true);
    g_assert_cmpmem (bytes, n, truth, n_true);
    g_assert_cmpint (peer_integrity_proof (self->source, c, NULL, NULL, proof), >=, 0);
  }
  g_assert_cmpint (self->published->class->write (self->published, 0, bytes, CHUNK), ==,
                   PEER_STORE_FAILED);
}

/* The root is that of the tree in memory, and a restart does not hash again. */
static void
test_publishes_once (void)
{
  World world;
  uint64_t calls;
  uint8_t root[PEER_HASH_MAX];
  g_autoptr (GError) error = NULL;
  world_init (&world, 3 * 1024 * CHUNK + 17);
  PeerContent content;
  peer_content_init_static (&content);
  g_autoptr (PeerIntegrity) integrity = peer_integrity_new (&content, 0, NULL, NULL);
  for (uint64_t c = 0; c < world.n_chunks; c++) {
    size_t n;
    const uint8_t *bytes = chunk_of (&world, c, &n);
    peer_integrity_append (integrity, bytes, n);
  }
  peer_integrity_finish (integrity, root);
  g_assert_cmpmem (root, 32, world.content.swarm_id, world.content.swarm_id_size);
  assert_published (&world);

  g_assert_true (publish_again (&world, world.film, &calls, &error));
  g_assert_cmpuint (calls, ==, 0);
  g_assert_cmpmem (root, 32, world.content.swarm_id, world.content.swarm_id_size);
  assert_published (&world);

  /* Changed in place, so that size is the same: the time of change tells. */
  unpublish (&world);
  world.bytes[5] ^= 1;
  write_film (&world);
  g_assert_true (publish_again (&world, world.film, &calls, &error));
  g_assert_cmpuint (calls, ==, 4);
  g_assert_cmpint (memcmp (root, world.content.swarm_id, 32), !=, 0);
  assert_published (&world);

  /* A tree that is damaged costs another pass, at once or after it was noticed. */
  unpublish (&world);
  g_assert_cmpint (truncate (world.hashes, 100), ==, 0);
  g_assert_true (publish_again (&world, world.film, &calls, &error));
  g_assert_cmpuint (calls, ==, 4);
  assert_published (&world);
  world_clear (&world);
}

/* The file changes under us and keeps size and time: no byte of it leaves. */
static void
test_notices_a_changed_film (void)
{
  World world;
  uint64_t calls;
  uint8_t bytes[CHUNK];
  size_t n;
  struct stat stat;
  g_autoptr (GError) error = NULL;
  world_init (&world, 100 * CHUNK);
  int fd = open (world.film, O_RDWR);
  g_assert_cmpint (fstat (fd, &stat), ==, 0);
  world.bytes[50 * CHUNK] ^= 1;
  g_assert_cmpint (pwrite (fd, world.bytes + 50 * CHUNK, 1, 50 * CHUNK), ==, 1);
  struct timespec times[2] = {stat.st_atim, stat.st_mtim};
  g_assert_cmpint (futimens (fd, times), ==, 0);
  close (fd);
  PeerStore *store = world.published;
  g_assert_cmpint (store->class->read (store, 49, bytes, CHUNK, &n), ==, PEER_STORE_OK);
  g_assert_cmpint (store->class->read (store, 50, bytes, CHUNK, &n), ==, PEER_STORE_FAILED);
  g_assert_cmpint (store->class->read (store, 50, bytes, CHUNK, &n), ==, PEER_STORE_FAILED);
  assert_warned (1, "*/film' has changed since it was hashed*");
  g_assert_true (publish_again (&world, world.film, &calls, &error));
  g_assert_cmpuint (calls, ==, 1);
  assert_published (&world);
  world_clear (&world);
}

static void
assert_refused (World *world, const char *path, const char *why)
{
  uint64_t calls;
  g_autoptr (GError) error = NULL;
  g_assert_false (publish_again (world, path, &calls, &error));
  g_assert_nonnull (error);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, path));
  g_assert_nonnull (strstr (error->message, why));
  g_assert_null (strchr (error->message, '\n'));
}

static void
test_refuses_what_cannot_be_published (void)
{
  World world;
  world_init (&world, 100);
  g_autofree char *missing = g_build_filename (world.folder, "missing", NULL);
  assert_refused (&world, missing, "No such file");
  assert_refused (&world, world.folder, "no regular file");
  assert_refused (&world, "/dev/null", "no regular file");
  g_assert_cmpint (truncate (world.film, 0), ==, 0);
  assert_refused (&world, world.film, "empty");
  world_clear (&world);
}

/* A measurement, by CPU time and wall clock: PPSP_BENCH_MB is the size of the film. */
typedef struct {
  int64_t wall, cpu;
} Clock;

static Clock
clock_now (void)
{
  struct rusage usage;
  getrusage (RUSAGE_SELF, &usage);
  return (Clock){g_get_monotonic_time (),
                 (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC +
                     usage.ru_utime.tv_usec + usage.ru_stime.tv_usec};
}

static void
clock_tell (Clock start, uint64_t bytes, const char *what)
{
  Clock end = clock_now ();
  struct rusage usage;
  getrusage (RUSAGE_SELF, &usage);
  g_test_message ("%s: %.0f MB/s, %.0f MB per CPU second, %ld KiB resident at most", what,
                  (double)bytes / (double)MAX (1, end.wall - start.wall),
                  (double)bytes / (double)MAX (1, end.cpu - start.cpu), usage.ru_maxrss);
}

static void
test_publishing_is_fast (void)
{
  World world;
  uint64_t calls, size = g_ascii_strtoull (g_getenv ("PPSP_BENCH_MB"), NULL, 10) << 20;
  g_autoptr (GError) error = NULL;
  world_init (&world, 100);
  unpublish (&world);
  int fd = open (world.film, O_RDWR);
  g_autofree uint8_t *bytes = g_malloc (1 << 20);
  for (uint64_t at = 0; at < size; at += 1 << 20) {
    memset (bytes, (int)(at >> 20), 1 << 20);
    g_assert_cmpint (pwrite (fd, bytes, 1 << 20, (off_t)at), ==, 1 << 20);
  }
  close (fd);
  Clock start = clock_now ();
  g_assert_true (publish_again (&world, world.film, &calls, &error));
  clock_tell (start, size, "publish");
  start = clock_now ();
  g_assert_true (publish_again (&world, world.film, &calls, &error));
  clock_tell (start, size, "publish again");
  g_assert_cmpuint (calls, ==, 0);
  for (unsigned pass = 0; pass < 2; pass++) {
    start = clock_now ();
    for (uint64_t c = 0; c < size / CHUNK; c++) {
      size_t n;
      g_assert_cmpint (world.published->class->read (world.published, c, bytes, CHUNK, &n), ==,
                       PEER_STORE_OK);
    }
    clock_tell (start, size, pass == 0 ? "read and check" : "read");
  }
  Receiver receiver;
  receiver_open_well (&receiver, &world);
  start = clock_now ();
  for (uint64_t c = 0; c < size / CHUNK; c++)
    g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
  clock_tell (start, size, "proof, read, check, write");
  receiver_close (&receiver, true);
  world_clear (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_log_set_writer_func (count_warnings, NULL, NULL);
  g_test_add_func ("/net/file/fetches-and-reopens", test_fetches_and_reopens);
  g_test_add_func ("/net/file/refuses-what-does-not-fit", test_refuses_what_does_not_fit);
  g_test_add_func ("/net/file/discards-and-gives-back-room", test_discards);
  g_test_add_func ("/net/file/survives-kill", test_survives_kill);
  g_test_add_func ("/net/file/survives-damage", test_survives_damage);
  g_test_add_func ("/net/file/damaged-record-is-none", test_damaged_record_is_none);
  g_test_add_func ("/net/file/believes-the-root-alone", test_believes_the_root_alone);
  g_test_add_func ("/net/file/long-content-after-power-loss", test_long_content_after_power_loss);
  g_test_add_func ("/net/file/begins-anew-for-other-content", test_begins_anew_for_other_content);
  g_test_add_func ("/net/file/unreadable-record-loses-nothing",
                   test_unreadable_record_loses_nothing);
  g_test_add_func ("/net/file/full-disk-is-told-at-opening", test_full_disk_is_told_at_opening);
  g_test_add_func ("/net/file/calls-carry-many-chunks", test_few_calls);
  g_test_add_func ("/net/file/failing-record-has-a-limit", test_failing_record);
  g_test_add_func ("/net/file/failing-medium-is-logged-once", test_failing_medium);
  g_test_add_func ("/net/file/failing-tree-claims-nothing", test_failing_tree);
  g_test_add_func ("/net/file/publishes-once", test_publishes_once);
  g_test_add_func ("/net/file/notices-a-changed-film", test_notices_a_changed_film);
  g_test_add_func ("/net/file/refuses-what-cannot-be-published",
                   test_refuses_what_cannot_be_published);
  /* A measurement, and only where it is asked for: how many MB to hash. */
  if (g_getenv ("PPSP_BENCH_MB") != NULL)
    g_test_add_func ("/net/file/publishing-is-fast", test_publishing_is_fast);
  return g_test_run ();
}
