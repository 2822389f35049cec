/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/shift.h"
#include "tests/lib/wait.h"
#include "tests/proxy/scratch.h"
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { CHUNK = 1000, PER_SLAB = 64, SLAB = CHUNK * PER_SLAB };
/* A record: number of the slab, sizes of its chunks and their bytes, in whole units of 512. */
enum { HEAD = 8 + PER_SLAB * 2, RECORD = (HEAD + SLAB + 511) / 512 * 512 };
enum { BLOCK = 4096 }; /* of a disk */

/* Linked with --wrap: disks that are full, fail, are never done, or give back something else. */
static int refuse_write, refuse_read, refuse_room, free_blocks = -1; /* errno */
static gint stuck;                                                   /* atomic */
static size_t damaged;      /* the byte of what is read that is another; 0 = none */
static gint foreign;        /* atomic: bytes that were written of chunks that are absent */
static gint writes;         /* atomic: calls */
static gint closed_by_main; /* atomic: files of ours */
static GThread *main_thread;

ssize_t __real_pwrite64 (int fd, const void *bytes, size_t n, off_t offset);
ssize_t __wrap_pwrite64 (int fd, const void *bytes, size_t n, off_t offset);
ssize_t __real_pread64 (int fd, void *out, size_t n, off_t offset);
ssize_t __wrap_pread64 (int fd, void *out, size_t n, off_t offset);
int __real_statvfs64 (const char *path, struct statvfs *out);
int __wrap_statvfs64 (const char *path, struct statvfs *out);
int __real_fallocate64 (int fd, int mode, off_t offset, off_t n);
int __wrap_fallocate64 (int fd, int mode, off_t offset, off_t n);
int __real_close (int fd);
int __wrap_close (int fd);

static void
look_for_foreign_bytes (const uint8_t *record)
{
  uint16_t sizes[PER_SLAB];
  memcpy (sizes, record + 8, sizeof sizes);
  for (unsigned i = 0; i < PER_SLAB; i++)
    for (unsigned b = sizes[i]; b < CHUNK; b++)
      if (record[HEAD + i * CHUNK + b] != 0)
        g_atomic_int_inc (&foreign);
}

ssize_t
__wrap_pwrite64 (int fd, const void *bytes, size_t n, off_t offset)
{
  for (size_t at = 0; at + RECORD <= n; at += RECORD)
    look_for_foreign_bytes ((const uint8_t *)bytes + at);
  while (g_atomic_int_get (&stuck))
    g_usleep (1000);
  g_atomic_int_inc (&writes);
  errno = refuse_write;
  return refuse_write ? -1 : __real_pwrite64 (fd, bytes, n, offset);
}

ssize_t
__wrap_pread64 (int fd, void *out, size_t n, off_t offset)
{
  errno = refuse_read;
  ssize_t got = refuse_read ? -1 : __real_pread64 (fd, out, n, offset);
  if (damaged > 0)
    ((uint8_t *)out)[damaged] ^= 0x80;
  return got;
}

int
__wrap_statvfs64 (const char *path, struct statvfs *out)
{
  int result = __real_statvfs64 (path, out);
  if (free_blocks >= 0) {
    out->f_bavail = (fsblkcnt_t)free_blocks;
    out->f_frsize = BLOCK;
  }
  return result;
}

/* A disk that is full halfway keeps the half. */
int
__wrap_fallocate64 (int fd, int mode, off_t offset, off_t n)
{
  if (!refuse_room)
    return __real_fallocate64 (fd, mode, offset, n);
  (void)__real_fallocate64 (fd, mode, offset, n / 2);
  errno = refuse_room;
  return -1;
}

static bool
is_ours (const char *fd)
{
  g_autofree char *path = g_build_filename ("/proc/self/fd", fd, NULL);
  g_autofree char *to = g_file_read_link (path, NULL);
  return to && strstr (to, "/timeshift-") != NULL;
}

int
__wrap_close (int fd)
{
  g_autofree char *name = g_strdup_printf ("%d", fd);
  if (g_thread_self () == main_thread && is_ours (name))
    g_atomic_int_inc (&closed_by_main);
  return __real_close (fd);
}

static bool
none_is_open (gpointer unused)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;
  while ((name = g_dir_read_name (dir)))
    if (is_ours (name))
      return false;
  return true;
}

/* A disk takes its time for a gigabyte that goes, and the main loop has none. */
static void
check_closed (void)
{
  g_assert_true (wait_until (none_is_open, NULL));
  g_assert_cmpint (g_atomic_int_get (&closed_by_main), ==, 0);
}

typedef struct {
  char *folder;
  ProxyShift *shift;
  unsigned news;
} World;

static void
on_news (gpointer data)
{
  ((World *)data)->news++;
}

static void
world_init (World *self, uint64_t slabs)
{
  self->folder = scratch_new ();
  self->news = 0;
  ProxyShiftOptions options = {.folder = self->folder,
                               .quota = slabs * RECORD,
                               .chunk_size = CHUNK,
                               .per_slab = PER_SLAB,
                               .news = on_news,
                               .data = self};
  self->shift = proxy_shift_new (&options);
}

static void
world_clear (World *self)
{
  proxy_shift_free (self->shift);
  scratch_free (self->folder);
}

/* Some of its chunks are absent or short. */
static ProxySlab *
make_slab (uint64_t number)
{
  ProxySlab *slab = proxy_slab_new (number, PER_SLAB, CHUNK);
  memset (slab->bytes, 0xaa, SLAB);
  for (unsigned i = 0; i < PER_SLAB; i++) {
    slab->sizes[i] = i % 7 == number % 7 ? 0 : i % 5 == 0 ? 17 : CHUNK;
    for (unsigned b = 0; b < slab->sizes[i]; b++)
      slab->bytes[i * CHUNK + b] = (uint8_t)(number * 31 + i * 7 + b);
  }
  return slab;
}

static void
add (World *self, uint64_t first, uint64_t end)
{
  for (uint64_t number = first; number < end; number++) {
    g_autoptr (ProxySlab) slab = make_slab (number);
    proxy_shift_add (self->shift, slab);
  }
}

static void
check_slab (const ProxySlab *slab, uint64_t number)
{
  g_autoptr (ProxySlab) expected = make_slab (number);
  g_assert_cmpuint (slab->number, ==, number);
  g_assert_cmpmem (slab->sizes, PER_SLAB * 2, expected->sizes, PER_SLAB * 2);
  for (unsigned i = 0; i < PER_SLAB; i++)
    g_assert_cmpmem (slab->bytes + i * CHUNK, slab->sizes[i], expected->bytes + i * CHUNK,
                     expected->sizes[i]);
}

static void
check (World *self, uint64_t number)
{
  int64_t end = 0;
  ProxySlab *slab;
  g_assert_true (proxy_shift_has (self->shift, number));
  while (!(slab = proxy_shift_find (self->shift, number)) && wait_turn (&end))
    g_assert_null (proxy_shift_failure (self->shift));
  check_slab (slab, number);
}

static bool
all_written (gpointer data)
{
  /* 16 of 64,000 bytes are a batch */
  return g_atomic_int_get (&writes) >= GPOINTER_TO_INT (data);
}

static bool
is_written (gpointer data)
{
  return proxy_shift_unwritten (data) == 0;
}

/* But for a batch that is not whole yet. */
static bool
has_caught_up (gpointer data)
{
  return proxy_shift_unwritten (data) < 1 << 20;
}

/* What was added is found, wherever it is by then; what has no room any more is not. */
static void
test_wraps (void)
{
  enum { KEPT = 50 };
  World world;
  uint64_t first = 5000000000, end = first, oldest;
  world_init (&world, KEPT);
  g_assert_false (proxy_shift_oldest (world.shift, &oldest));
  while (end < first + 7 * KEPT) {
    uint64_t more = (uint64_t)g_test_rand_int_range (1, 40);
    add (&world, end, end + more);
    end += more;
    g_assert_true (wait_until (has_caught_up, world.shift));
    g_assert_true (proxy_shift_oldest (world.shift, &oldest));
    g_assert_cmpuint (oldest, ==, MAX (first, end - MIN (end - first, KEPT)));
    g_assert_cmpuint (proxy_shift_bytes (world.shift), ==, (end - oldest) * SLAB);
    g_assert_false (proxy_shift_has (world.shift, oldest - 1));
    g_assert_null (proxy_shift_find (world.shift, oldest - 1));
    g_assert_false (proxy_shift_has (world.shift, end));
    for (int i = 0; i < 5; i++)
      check (&world, (uint64_t)g_test_rand_int_range (0, (gint32)(end - oldest)) + oldest);
    check (&world, oldest);
    check (&world, end - 1);
  }
  g_assert_cmpuint (world.news, >, 0);
  proxy_shift_forget (world.shift, end - 3);
  g_assert_true (proxy_shift_oldest (world.shift, &oldest));
  g_assert_cmpuint (oldest, ==, end - 3);
  world_clear (&world);
  check_closed ();
}

/* An origin that restarts leaves numbers out; the file has no holes for them. */
static void
test_jumps (void)
{
  World world;
  world_init (&world, 40);
  add (&world, 100, 130);
  add (&world, 1000000, 1000005);
  add (&world, 7, 20); /* older than what is known */
  g_assert_false (proxy_shift_has (world.shift, 10));
  g_assert_false (proxy_shift_has (world.shift, 130));
  check (&world, 100);
  check (&world, 1000004);
  add (&world, 2000000, 2000030);
  uint64_t oldest;
  g_assert_true (proxy_shift_oldest (world.shift, &oldest));
  g_assert_cmpuint (oldest, ==, 125);
  check (&world, 129);
  check (&world, 1000000);
  check (&world, 2000029);
  world_clear (&world);
}

/* A megabyte at a time, and nothing of it under any name. */
static void
test_large_writes (void)
{
  World world;
  world_init (&world, 64);
  g_atomic_int_set (&writes, 0);
  add (&world, 0, 15);
  check (&world, 0);
  g_assert_cmpint (g_atomic_int_get (&writes), ==, 0);
  add (&world, 15, 48);
  g_assert_true (wait_until (all_written, GINT_TO_POINTER (3)));
  g_assert_cmpint (g_atomic_int_get (&writes), ==, 3);
  GDir *dir = g_dir_open (world.folder, 0, NULL);
  g_assert_null (g_dir_read_name (dir));
  g_dir_close (dir);
  g_assert_true (wait_until (is_written, world.shift));
  for (uint64_t number = 48; number-- > 0;)
    check (&world, number);
  g_assert_cmpuint (proxy_shift_loaded (world.shift), ==,
                    32 * SLAB); /* the others have gone again */
  g_assert_cmpint (g_atomic_int_get (&foreign), ==, 0);
  world_clear (&world);
}

/* A source that leaves numbers out again and again: what is known of them is bounded. */
static void
test_many_runs (void)
{
  enum { SIZE = 100, RUNS = 4096, MORE = 1000 };
  World world;
  world_init (&world, 1);
  ProxyShiftOptions options = {.folder = world.folder,
                               .quota = 16 << 20,
                               .chunk_size = SIZE,
                               .per_slab = 1,
                               .news = on_news,
                               .data = &world};
  proxy_shift_free (world.shift);
  world.shift = proxy_shift_new (&options);
  for (uint64_t i = 0; i < RUNS + MORE; i++) {
    g_autoptr (ProxySlab) slab = proxy_slab_new (2 * i, 1, SIZE);
    proxy_shift_add (world.shift, slab);
  }
  uint64_t oldest;
  g_assert_true (proxy_shift_oldest (world.shift, &oldest));
  g_assert_cmpuint (oldest, ==, 2 * MORE);
  g_assert_cmpuint (proxy_shift_bytes (world.shift), ==, RUNS * SIZE);
  world_clear (&world);
}

static bool
has_failed (gpointer data)
{
  return proxy_shift_failure (data) != NULL;
}

static void
check_failed (World *world, const char *why)
{
  uint64_t oldest;
  g_assert_true (wait_until (has_failed, world->shift));
  g_assert_nonnull (strstr (proxy_shift_failure (world->shift), why));
  g_assert_cmpuint (world->news, >, 0);
  g_assert_false (proxy_shift_oldest (world->shift, &oldest));
  g_assert_cmpuint (proxy_shift_bytes (world->shift), ==, 0);
  add (world, 10000, 10100);
  g_assert_null (proxy_shift_find (world->shift, 10000));
  g_assert_false (proxy_shift_has (world->shift, 10000));
}

/* The disk has its room again while the channel is on. */
static void
check_given_back (World *world, const char *why)
{
  check_failed (world, why);
  check_closed ();
}

static void
test_fails (void)
{
  World world;
  world_init (&world, 64);
  refuse_write = EIO;
  add (&world, 0, 48);
  check_given_back (&world, "cannot write");
  refuse_write = 0;
  world_clear (&world);

  world_init (&world, 64);
  g_atomic_int_set (&writes, 0);
  add (&world, 0, 48);
  g_assert_true (wait_until (all_written, GINT_TO_POINTER (3)));
  int64_t end = 0;
  refuse_read = EIO;
  while (proxy_shift_find (world.shift, 0) && wait_turn (&end))
    ;
  check_given_back (&world, "cannot read");
  refuse_read = 0;
  world_clear (&world);
}

/* What is read is another record, or none: no byte of it is believed. */
static void
test_damaged (void)
{
  static const size_t places[] = {5 /* of its number */, 8 + 3 * 2 + 1 /* of a chunk's size */};
  for (size_t i = 0; i < G_N_ELEMENTS (places); i++) {
    World world;
    world_init (&world, 64);
    add (&world, 0, 48);
    g_assert_true (wait_until (is_written, world.shift));
    damaged = places[i];
    int64_t end = 0;
    while (!proxy_shift_failure (world.shift) && wait_turn (&end))
      g_assert_null (proxy_shift_find (world.shift, 0));
    check_given_back (&world, "cannot read");
    damaged = 0;
    world_clear (&world);
  }
}

/* No megabytes left but those that are others'; and no folder. */
static void
test_full (void)
{
  World world;
  world_init (&world, 64);
  free_blocks = 10;
  add (&world, 0, 1);
  check_failed (&world, g_strerror (ENOSPC));
  free_blocks = -1;
  world_clear (&world);

  world_init (&world, 64);
  refuse_room = ENOSPC;
  add (&world, 0, 1);
  check_given_back (&world, g_strerror (ENOSPC));
  refuse_room = 0;
  world_clear (&world);

  world_init (&world, 64);
  g_autofree char *path = g_build_filename (world.folder, "file", NULL);
  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  ProxyShiftOptions options = {.folder = path,
                               .quota = 1 << 20,
                               .chunk_size = CHUNK,
                               .per_slab = PER_SLAB,
                               .news = on_news,
                               .data = &world};
  proxy_shift_free (world.shift);
  world.shift = proxy_shift_new (&options);
  add (&world, 0, 1);
  check_failed (&world, path);
  world_clear (&world);
}

/* What a disk has, but for 64 MiB, is less than what was meant to be used. */
static void
test_small_disk (void)
{
  enum { ROOM = 16 << 20, KEPT = ROOM / RECORD };
  World world;
  uint64_t oldest;
  free_blocks = (ROOM + (64 << 20)) / BLOCK;
  world_init (&world, 1000);
  add (&world, 0, KEPT + 2); /* before the file is open */
  g_assert_true (wait_until (has_caught_up, world.shift));
  g_assert_true (proxy_shift_oldest (world.shift, &oldest));
  g_assert_cmpuint (oldest, ==, 2);
  add (&world, KEPT + 2, KEPT + 40);
  g_assert_true (wait_until (has_caught_up, world.shift));
  g_assert_true (proxy_shift_oldest (world.shift, &oldest));
  g_assert_cmpuint (oldest, ==, 40);
  g_assert_cmpuint (proxy_shift_bytes (world.shift), ==, KEPT * SLAB);
  for (uint64_t number = 40; number < KEPT + 40; number += 19)
    check (&world, number);
  free_blocks = -1;
  world_clear (&world);
}

/* A disk that does not get on: so much is held for it, and no more. Nor does it hold the end up. */
static void
test_slow (void)
{
  World world;
  world_init (&world, 1000);
  g_atomic_int_set (&stuck, 1);
  add (&world, 0, 1000);
  g_assert_cmpuint (proxy_shift_bytes (world.shift), <=, 18 << 20);
  check_failed (&world, "slow");
  g_atomic_int_set (&stuck, 0);
  check_closed ();
  world_clear (&world);
  g_atomic_int_set (&stuck, 1);
  world_init (&world, 1000);
  add (&world, 0, 100);
  world_clear (&world);
  g_atomic_int_set (&stuck, 0);
  check_closed ();
}

static void
test_cleans (void)
{
  g_autofree char *folder = scratch_new ();
  g_autofree char *left = g_build_filename (folder, "timeshift-a1B2c3", NULL);
  g_autofree char *other = g_build_filename (folder, "catalog", NULL);
  g_assert_true (g_file_set_contents (left, "x", 1, NULL));
  g_assert_true (g_file_set_contents (other, "x", 1, NULL));
  proxy_shift_clean (folder);
  g_assert_false (g_file_test (left, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_test (other, G_FILE_TEST_EXISTS));
  scratch_free (g_steal_pointer (&folder));
  proxy_shift_clean ("/nonexistent");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  main_thread = g_thread_self ();
  g_test_add_func ("/proxy/shift/wraps-and-finds-what-it-keeps", test_wraps);
  g_test_add_func ("/proxy/shift/numbers-that-are-left-out", test_jumps);
  g_test_add_func ("/proxy/shift/writes-a-megabyte-to-no-name", test_large_writes);
  g_test_add_func ("/proxy/shift/disk-that-fails-turns-it-off", test_fails);
  g_test_add_func ("/proxy/shift/record-that-is-damaged-turns-it-off", test_damaged);
  g_test_add_func ("/proxy/shift/runs-are-bounded", test_many_runs);
  g_test_add_func ("/proxy/shift/disk-that-is-full-turns-it-off", test_full);
  g_test_add_func ("/proxy/shift/disk-that-is-small-is-used-as-far-as-it-goes", test_small_disk);
  g_test_add_func ("/proxy/shift/disk-that-is-slow-turns-it-off", test_slow);
  g_test_add_func ("/proxy/shift/cleans-up", test_cleans);
  return g_test_run ();
}
