/* SPDX-License-Identifier: Apache-2.0 */
/* Files that hold parts of a content, and give room back. */
#include "peer/net/disk.h"
#include "tests/net/film.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bytes on disk, of the content and its tree. */
static uint64_t
room_taken (const World *world)
{
  g_autofree char *tree = beside (world, ".hashes");
  struct stat content, hashes;
  g_assert_cmpint (g_stat (world->path, &content), ==, 0);
  g_assert_cmpint (g_stat (tree, &hashes), ==, 0);
  return ((uint64_t)content.st_blocks + (uint64_t)hashes.st_blocks) * 512;
}

static void
test_sparse (void)
{
  World world;
  Receiver receiver;
  world_init (&world, 9000 * CHUNK + 3);
  receiver_open_sparse_well (&receiver, &world);
  g_assert_cmpuint (room_taken (&world), <, 100 * CHUNK);
  for (uint64_t c = 4000; c < 5000; c++)
    g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
  receiver_close (&receiver, true);
  g_assert_cmpuint (room_taken (&world), >, 1000 * CHUNK);
  g_assert_cmpuint (room_taken (&world), <, 1500 * CHUNK);

  receiver_open_sparse_well (&receiver, &world);
  g_assert_cmpuint (count_held (&receiver, &world), ==, 1000);
  receiver.store->class->discard (receiver.store, (PeerRange){4096, UINT64_MAX});
  g_assert_cmpuint (count_held (&receiver, &world), ==, 96);
  g_assert_cmpuint (room_taken (&world), <, 500 * CHUNK);
  /* the tree has stayed: chunks that come again need no hashes, and prove others */
  for (uint64_t c = world.n_chunks; c-- > 0;)
    if (!peer_chunks_has (receiver.known, c) || c >= 4096)
      g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
  g_assert_cmpuint (count_held (&receiver, &world), ==, world.n_chunks);
  receiver_close (&receiver, false);
  assert_file_is_content (&world);
  world_clear (&world);
}

/* Killed when the record was written, and the room not given back yet; and a disk that kept the
 * older record over a power loss, though the room was gone. */
static void
test_discard_broken_off (void)
{
  const PeerRange gone = {1000, 2500};
  World world;
  Receiver receiver;
  g_autofree char *old = NULL;
  gsize n_old;
  world_init (&world, 3000 * CHUNK);
  g_autofree char *record = beside (&world, ".have");
  receiver_open_sparse_well (&receiver, &world);
  for (uint64_t c = 0; c < world.n_chunks; c++)
    g_assert_cmpint (fetch (&receiver, &world, c), ==, PEER_STORE_OK);
  receiver_close (&receiver, true);
  g_assert_true (g_file_get_contents (record, &old, &n_old, NULL));
  receiver_open_sparse_well (&receiver, &world);
  receiver.store->class->discard (receiver.store, gone);
  receiver_close (&receiver, true);
  uint64_t room = room_taken (&world);

  int fd = g_open (world.path, O_WRONLY | O_CLOEXEC, 0);
  g_assert_true (net_disk_write (fd, world.bytes + gone.first * CHUNK,
                                 peer_range_size (gone) * CHUNK, gone.first * CHUNK));
  close (fd);
  g_assert_cmpuint (room_taken (&world), >, room + 1000 * CHUNK);
  receiver_open_sparse_well (&receiver, &world);
  g_assert_false (peer_chunks_has_any (receiver.known, gone));
  g_assert_cmpuint (room_taken (&world), <=, room + 10 * CHUNK);
  receiver_close (&receiver, true);

  g_assert_true (g_file_set_contents (record, old, (gssize)n_old, NULL));
  receiver_open_sparse_well (&receiver, &world);
  g_assert_cmpuint (count_held (&receiver, &world), ==, world.n_chunks - peer_range_size (gone));
  receiver_close (&receiver, true);
  receiver_open_sparse_well (&receiver, &world);
  g_assert_false (peer_chunks_has_any (receiver.known, gone));
  receiver_close (&receiver, true);
  world_clear (&world);
}

/* Fetches, and now and then discards, until it is killed; a byte for each step. */
static void
fetch_and_discard (const World *world, guint32 seed, int pipe_fd)
{
  Receiver receiver;
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  receiver_open_sparse_well (&receiver, world);
  for (unsigned i = 0;; i++) {
    uint64_t c = (uint64_t)g_rand_int_range (rand, 0, (int)world->n_chunks);
    if (i % 100 == 99) {
      receiver.store->class->discard (receiver.store, (PeerRange){c, c + 50});
      peer_chunks_remove (receiver.known, (PeerRange){c, c + 50});
    } else if (!peer_chunks_has (receiver.known, c) &&
               fetch (&receiver, world, c) != PEER_STORE_OK) {
      _exit (1);
    }
    if (write (pipe_fd, "", 1) != 1)
      _exit (2);
  }
}

static void
test_survives_kill_while_discarding (void)
{
  World world;
  Receiver receiver;
  world_init (&world, 3000 * CHUNK + 5);
  for (unsigned round = 0; round < 8; round++) {
    int pipe_fds[2];
    uint8_t byte;
    g_assert_cmpint (pipe (pipe_fds), ==, 0);
    pid_t child = fork ();
    g_assert_cmpint (child, >=, 0);
    if (child == 0)
      fetch_and_discard (&world, round + 1, pipe_fds[1]);
    close (pipe_fds[1]);
    for (unsigned i = 0; i < 398 + round % 3; i++)
      g_assert_cmpint (read (pipe_fds[0], &byte, 1), ==, 1);
    g_assert_cmpint (kill (child, SIGKILL), ==, 0);
    g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
    close (pipe_fds[0]);
    receiver_open_sparse_well (&receiver, &world);
    g_assert_cmpuint (peer_chunks_count (receiver.known), >=, 100);
    g_assert_cmpuint (count_held (&receiver, &world), ==, peer_chunks_count (receiver.known));
    receiver_close (&receiver, true);
  }
  world_clear (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/parts/take-no-more-room", test_sparse);
  g_test_add_func ("/net/parts/discard-that-was-broken-off", test_discard_broken_off);
  g_test_add_func ("/net/parts/survive-kill-while-discarding", test_survives_kill_while_discarding);
  return g_test_run ();
}
