/* SPDX-License-Identifier: Apache-2.0 */
/* Each call to the kernel that a file on disk is kept with fails once, at each place where it is
 * made, or from there on: nothing crashes or leaks, what failed is told in a line, and when the disk
 * is well again nothing wrong is believed, and all that is missing can be fetched. A scene is played
 * once to count the calls of a kind, then once for each of them. */
#include "peer/net/disk.h"
#include "peer/net/record.h"
#include "tests/net/film.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

typedef enum {
  NOTHING,
  READ,
  WRITE,
  TRUNCATE,
  OPEN,
  SYNC,
  ALLOCATE,
  STAT,
  ROOM,
  LOCK,
} Call;

/* How it fails. */
typedef struct {
  int number;   /* errno; 0 = it does half of what was asked, and no more */
  bool lasting; /* and all that follow fail as well, or each second one where a loop tries again */
} Way;

static struct {
  Call call;
  unsigned made, at; /* the at-th of them fails, the first is 1; 0 = none */
  Way way;
  const char *of;    /* files whose path has this in it */
  bool watched[256]; /* by descriptor: such a file */
} fault;

static unsigned n_warnings;

static bool
fails (Call call)
{
  if (call != fault.call)
    return false;
  unsigned made = ++fault.made;
  bool failing = fault.at > 0 && made >= fault.at && (fault.way.lasting || made == fault.at) &&
                 (fault.way.number != EINTR || made % 2 == 1);
  if (failing)
    errno = fault.way.number;
  return failing;
}

static bool
fails_at (Call call, int fd)
{
  return fd >= 0 && (size_t)fd < G_N_ELEMENTS (fault.watched) && fault.watched[fd] && fails (call);
}

/* Nothing is lost by it, and nobody need hear of it. */
static bool
is_harmless (void)
{
  return fault.at == 0 || fault.way.number == 0 || fault.way.number == EINTR;
}

/* Plays the scene with each call of this kind failing in turn; returns how many there are. */
static unsigned
torture (Call call, Way way, void (*scene) (Call call))
{
  fault.way = way;
  fault.at = 0;
  fault.made = 0;
  scene (call);
  unsigned n = fault.made;
  unsigned played = 0;
  /* where all fail that follow, the places need not lie close together */
  unsigned step = way.number == 0 || way.number == EINTR ? MAX (1, n)
                  : way.lasting                          ? 1 + n / 10
                                                         : 1;
  for (unsigned at = 1; at <= n; at += step, played++) {
    fault.made = 0;
    fault.at = at;
    scene (call);
    g_assert_cmpuint (fault.made, >=, at);
  }
  g_test_message ("%u of %u calls failed: %s%s", played, n,
                  way.number != 0 ? g_strerror (way.number) : "done by half",
                  way.lasting ? ", and those behind it" : "");
  return n;
}

/* --- the kernel that fails --- */

#define BAD(call, type, name, parameters, arguments)                                               \
  type __real_##name parameters;                                                                   \
  type __wrap_##name parameters;                                                                   \
  type __wrap_##name parameters                                                                    \
  {                                                                                                \
    return fails_at (call, fd) ? (type)-1 : __real_##name arguments;                               \
  }

BAD (TRUNCATE, int, ftruncate64, (int fd, off_t n), (fd, n))
BAD (SYNC, int, fdatasync, (int fd), (fd))
BAD (ALLOCATE, int, fallocate64, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
BAD (STAT, int, fstat64, (int fd, struct stat *out), (fd, out))
BAD (ROOM, int, fstatvfs64, (int fd, struct statvfs *out), (fd, out))
BAD (LOCK, int, flock, (int fd, int how), (fd, how))

/* A call that is done by half: the half, at least a byte. */
#define BAD_BY_HALF(call, name, parameters, bytes)                                                 \
  ssize_t __real_##name parameters;                                                                \
  ssize_t __wrap_##name parameters;                                                                \
  ssize_t __wrap_##name parameters                                                                 \
  {                                                                                                \
    if (!fails_at (call, fd))                                                                      \
      return __real_##name (fd, bytes, n, at);                                                     \
    return fault.way.number != 0 ? -1 : __real_##name (fd, bytes, (n + 1) / 2, at);                \
  }

BAD_BY_HALF (READ, pread64, (int fd, void *out, size_t n, off_t at), out)
BAD_BY_HALF (WRITE, pwrite64, (int fd, const void *bytes, size_t n, off_t at), bytes)

int __real_open64 (const char *path, int flags, ...);
int __wrap_open64 (const char *path, int flags, ...);

int
__wrap_open64 (const char *path, int flags, ...)
{
  va_list rest;
  va_start (rest, flags);
  mode_t mode = (flags & O_CREAT) != 0 ? va_arg (rest, mode_t) : 0;
  va_end (rest);
  bool watched = fault.of != NULL && strstr (path, fault.of) != NULL;
  if (watched && fails (OPEN))
    return -1;
  int fd = __real_open64 (path, flags, mode);
  if (fd >= 0 && (size_t)fd < G_N_ELEMENTS (fault.watched))
    fault.watched[fd] = watched;
  return fd;
}

static GLogWriterOutput
count_warnings (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  if (!(level & G_LOG_LEVEL_WARNING))
    return g_log_writer_default (level, fields, n, data);
  n_warnings++;
  return G_LOG_WRITER_HANDLED;
}

/* One clear line: what, where and why. */
static void
assert_told (const GError *error, const char *path)
{
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, path));
  g_assert_null (strchr (error->message, '\n'));
}

/* --- a film that is fetched --- */

static World world; /* made once */
static bool is_sparse;

/* Chunks in order, as they come from a peer, of which some make a block; and some from all over the
 * content, so that blocks and hashes have to make way for each other. */
#define N_IN_ORDER 70
#define N_FETCHED 90

static uint64_t
chunk_at (unsigned i)
{
  return i < N_IN_ORDER ? 1020 + i : (i - N_IN_ORDER) * 222;
}

static bool
open_copy (Receiver *receiver, GError **error)
{
  return is_sparse ? receiver_open_sparse (receiver, &world, error)
                   : receiver_open (receiver, &world, error);
}

/* As the engine does: what comes without its hashes is asked for once more, and all come then. */
static bool
fetch_anyway (Receiver *receiver, uint64_t chunk)
{
  PeerStoreResult result = PEER_STORE_ABSENT;
  if (!fetch_if_proven (receiver, &world, chunk, receiver->known, &result))
    fetch_if_proven (receiver, &world, chunk, NULL, &result);
  g_assert_true (result != PEER_STORE_FAILED || !is_harmless ());
  return result == PEER_STORE_OK;
}

/* What is read is what was written, if it is read at all. */
static void
read_back (const Receiver *receiver, uint64_t chunk)
{
  uint8_t bytes[CHUNK];
  size_t n, n_true;
  if (receiver->store->class->read (receiver->store, chunk, bytes, CHUNK, &n) != PEER_STORE_OK)
    return;
  const uint8_t *truth = chunk_of (&world, chunk, &n_true);
  g_assert_cmpmem (bytes, n, truth, n_true);
}

/* Half of them while the disk fails; some are given up again. true = none was refused. */
static bool
use (Receiver *receiver, unsigned round)
{
  const PeerRange gone = {1030, 1040};
  bool all = true;
  for (unsigned i = round; i < N_FETCHED; i += 2) {
    uint64_t chunk = chunk_at (i);
    if (!peer_chunks_has (receiver->known, chunk))
      all = fetch_anyway (receiver, chunk) && all;
    if (i % 8 < 2)
      read_back (receiver, chunk_at (i / 2));
  }
  receiver->store->class->discard (receiver->store, gone);
  peer_chunks_remove (receiver->known, gone);
  return all;
}

/* The disk is well again: what is claimed is there or is known to be lost, and all can be fetched,
 * also from who leaves out the hashes that what we claim to have would prove. */
static void
heal (void)
{
  Receiver receiver;
  g_autoptr (GError) error = NULL;
  open_copy (&receiver, &error);
  g_assert_no_error (error);
  for (unsigned i = 0; i < N_FETCHED; i++)
    if (!holds (&receiver, &world, chunk_at (i)))
      g_assert_cmpint (fetch (&receiver, &world, chunk_at (i)), ==, PEER_STORE_OK);
  for (unsigned i = 0; i < N_FETCHED; i++) {
    PeerHash proof[PEER_PROOF_MAX];
    g_assert_true (holds (&receiver, &world, chunk_at (i)));
    g_assert_cmpint (peer_integrity_proof (receiver.integrity, chunk_at (i), NULL, NULL, proof), >=,
                     0);
  }
  receiver_close (&receiver, true);
  remove_copy (&world);
}

static void
copy_scene (Call call)
{
  bool all = true;
  unsigned n_errors = 0;
  n_warnings = 0;
  fault.of = "/copy";
  fault.call = call;
  for (unsigned round = 0; round < 2; round++) {
    Receiver receiver;
    g_autoptr (GError) error = NULL;
    if (open_copy (&receiver, &error)) {
      all = use (&receiver, round) && all;
      receiver_close (&receiver, fault.at % 2 == 0);
    } else {
      assert_told (error, world.path);
      n_errors++;
    }
  }
  fault.call = NOTHING;
  if (is_harmless ())
    g_assert_cmpuint (n_errors + n_warnings, ==, 0);
  else if (!all)
    g_assert_cmpuint (n_warnings, >=, 1);
  g_assert_cmpuint (n_warnings, <=, 6); /* each of three files, each time it was open */
  heal ();
}

static void
test_copy (gconstpointer data)
{
  is_sparse = GPOINTER_TO_INT (data);
  chunk_size = 16;
  world_init (&world, 4500 * 16);
  g_assert_cmpuint (torture (READ, (Way){EIO, false}, copy_scene), >=, 20);
  g_assert_cmpuint (torture (WRITE, (Way){ENOSPC, false}, copy_scene), >=, 20);
  g_assert_cmpuint (torture (WRITE, (Way){EIO, true}, copy_scene), >=, 20);
  g_assert_cmpuint (torture (READ, (Way){0, true}, copy_scene), >=, 20);
  g_assert_cmpuint (torture (READ, (Way){EINTR, true}, copy_scene), >=, 20);
  g_assert_cmpuint (torture (WRITE, (Way){0, true}, copy_scene), >=, 20);
  g_assert_cmpuint (torture (WRITE, (Way){EINTR, true}, copy_scene), >=, 20);
  g_assert_cmpuint (torture (TRUNCATE, (Way){EIO, false}, copy_scene), >=, 2);
  g_assert_cmpuint (torture (OPEN, (Way){EMFILE, false}, copy_scene), >=, 6);
  g_assert_cmpuint (torture (OPEN, (Way){EACCES, true}, copy_scene), >=, 6);
  g_assert_cmpuint (torture (ALLOCATE, (Way){ENOSPC, false}, copy_scene), >=, 2);
  g_assert_cmpuint (torture (ALLOCATE, (Way){EOPNOTSUPP, true}, copy_scene), >=, 2);
  g_assert_cmpuint (torture (STAT, (Way){EIO, false}, copy_scene), >=, 2);
  g_assert_cmpuint (torture (ROOM, (Way){EIO, true}, copy_scene), >=, 2);
  g_assert_cmpuint (torture (LOCK, (Way){ENOLCK, false}, copy_scene), >=, 6);
  world_clear (&world);
  chunk_size = CHUNK;
}

/* --- a film that is published --- */

/* true = it is published, and what is given of it is right. */
static bool
publish_once (const uint8_t *root)
{
  PeerContent content;
  PeerIntegrity *source = NULL;
  g_autoptr (GError) error = NULL;
  peer_content_init_static (&content);
  content.chunk_size = chunk_size;
  PeerStore *store =
      net_file_publish (world.film, world.hashes, &content, &source, NULL, NULL, &error);
  if (store == NULL) {
    g_assert_null (source);
    g_assert_nonnull (error);
    g_assert_null (strchr (error->message, '\n'));
    return false;
  }
  g_assert_cmpmem (content.swarm_id, content.swarm_id_size, root, 32);
  for (unsigned i = 0; i < N_FETCHED; i += 30) {
    uint8_t bytes[CHUNK];
    PeerHash proof[PEER_PROOF_MAX];
    PeerPendingHashes pending = {.n = 0};
    size_t n, n_true;
    const uint8_t *truth = chunk_of (&world, chunk_at (i), &n_true);
    int n_proof = peer_integrity_proof (source, chunk_at (i), NULL, NULL, proof);
    PeerStoreResult result = store->class->read (store, chunk_at (i), bytes, CHUNK, &n);
    g_assert_true ((n_proof >= 0 && result == PEER_STORE_OK) || fault.call != NOTHING);
    if (result == PEER_STORE_OK)
      g_assert_cmpmem (bytes, n, truth, n_true);
    for (int k = 0; k < n_proof; k++)
      peer_pending_hashes_add (&pending, proof[k].chunks, proof[k].hash, 32);
    g_autoptr (PeerIntegrity) receiver = peer_integrity_new (&content, 0, NULL, NULL);
    if (n_proof >= 0)
      g_assert_cmpint (peer_integrity_check (receiver, &pending, chunk_at (i), truth, n_true), ==,
                       PEER_INTEGRITY_GOOD);
  }
  peer_integrity_free (source);
  peer_store_free (store);
  return true;
}

static void
publish_scene (Call call)
{
  unsigned n_errors = 0;
  n_warnings = 0;
  fault.of = "/film";
  fault.call = call;
  for (unsigned round = 0; round < 2; round++)
    n_errors += !publish_once (world.content.swarm_id);
  fault.call = NOTHING;
  if (is_harmless ())
    g_assert_cmpuint (n_errors + n_warnings, ==, 0);
  g_assert_cmpuint (n_warnings, <=, 4); /* each of two files, each time it was open */
  g_assert_true (publish_once (world.content.swarm_id));
  g_unlink (world.hashes);
}

static void
test_publish (void)
{
  chunk_size = 16;
  world_init (&world, 4500 * 16);
  unpublish (&world);
  g_unlink (world.hashes);
  g_assert_cmpuint (torture (READ, (Way){EIO, false}, publish_scene), >=, 20);
  g_assert_cmpuint (torture (READ, (Way){0, true}, publish_scene), >=, 20);
  g_assert_cmpuint (torture (WRITE, (Way){ENOSPC, false}, publish_scene), >=, 20);
  g_assert_cmpuint (torture (WRITE, (Way){EIO, true}, publish_scene), >=, 20);
  g_assert_cmpuint (torture (TRUNCATE, (Way){EIO, false}, publish_scene), >=, 1);
  g_assert_cmpuint (torture (OPEN, (Way){EMFILE, false}, publish_scene), >=, 4);
  g_assert_cmpuint (torture (SYNC, (Way){EIO, false}, publish_scene), >=, 1);
  g_assert_cmpuint (torture (ALLOCATE, (Way){ENOSPC, false}, publish_scene), >=, 1);
  g_assert_cmpuint (torture (STAT, (Way){EIO, false}, publish_scene), >=, 2);
  g_assert_cmpuint (torture (ROOM, (Way){EIO, false}, publish_scene), >=, 1);
  g_assert_cmpuint (torture (LOCK, (Way){ENOLCK, false}, publish_scene), >=, 2);
  world_clear (&world);
  chunk_size = CHUNK;
}

/* --- a broadcast that is recorded, and becomes a film --- */

#define N_BLOCKS 7 /* more than are kept in memory */
#define N_RECORDED (N_BLOCKS * 64)

static void
record_scene (Call call)
{
  bool all = true;
  g_autoptr (PeerChunks) kept = peer_chunks_new (0);
  g_autoptr (GError) error = NULL;
  n_warnings = 0;
  fault.of = "/copy";
  fault.call = call;
  PeerStore *record = net_record_open (world.path, chunk_size, 0, &error);
  for (uint64_t c = 0; record != NULL && c < N_RECORDED; c++) {
    size_t n;
    const uint8_t *bytes = chunk_of (&world, c, &n);
    all = record->class->write (record, c, bytes, n) == PEER_STORE_OK && all;
  }
  if (record != NULL) {
    uint8_t bytes[CHUNK];
    size_t n, n_true;
    record->class->chunks (record, kept);
    for (uint64_t c = 0; c < N_RECORDED; c++) {
      PeerStoreResult result = record->class->read (record, c, bytes, CHUNK, &n);
      g_assert_true (result == PEER_STORE_OK || !is_harmless ());
      const uint8_t *truth = chunk_of (&world, c, &n_true);
      if (result == PEER_STORE_OK)
        g_assert_cmpmem (bytes, n, truth, n_true);
      else
        g_assert_true (n_warnings == 1);
    }
    record->class->discard (record, (PeerRange){0, 16});
    net_record_finish (record);
    peer_store_free (record);
  } else {
    assert_told (error, world.path);
  }
  fault.call = NOTHING;
  g_assert_cmpuint (n_warnings, <=, 1);
  g_assert_true (all || n_warnings == 1);
  g_unlink (world.path);
}

static void
test_record (void)
{
  chunk_size = 16;
  world_init (&world, N_RECORDED * 16);
  g_assert_cmpuint (torture (READ, (Way){EIO, false}, record_scene), >=, N_BLOCKS - 1);
  g_assert_cmpuint (torture (READ, (Way){0, true}, record_scene), >=, N_BLOCKS - 1);
  g_assert_cmpuint (torture (WRITE, (Way){ENOSPC, false}, record_scene), >=, N_BLOCKS);
  g_assert_cmpuint (torture (WRITE, (Way){EIO, true}, record_scene), >=, N_BLOCKS);
  g_assert_cmpuint (torture (WRITE, (Way){0, true}, record_scene), >=, N_BLOCKS);
  g_assert_cmpuint (torture (TRUNCATE, (Way){EIO, false}, record_scene), ==, 1);
  g_assert_cmpuint (torture (OPEN, (Way){EMFILE, false}, record_scene), >=, 1);
  g_assert_cmpuint (torture (ALLOCATE, (Way){EOPNOTSUPP, false}, record_scene), ==, 1);
  g_assert_cmpuint (torture (LOCK, (Way){ENOLCK, false}, record_scene), >=, 1);
  world_clear (&world);
  chunk_size = CHUNK;
}

static void
adopt_scene (Call call)
{
  Receiver receiver;
  g_autoptr (GError) error = NULL;
  n_warnings = 0;
  fault.of = "/copy";
  g_assert_true (
      g_file_set_contents (world.path, (const char *)world.bytes, (gssize)world.length, NULL));
  fault.call = call;
  bool is_open = open_copy (&receiver, &error);
  if (is_open) {
    for (unsigned i = 0; i < N_FETCHED; i++)
      fetch_anyway (&receiver, chunk_at (i));
    net_file_adopt (receiver.store);
    receiver_close (&receiver, true);
  } else {
    assert_told (error, world.path);
  }
  fault.call = NOTHING;
  if (is_harmless ())
    g_assert_cmpuint (n_warnings, ==, 0);
  g_assert_cmpuint (n_warnings, <=, 3);
  heal ();
}

static void
test_adopt (void)
{
  is_sparse = false;
  chunk_size = 16;
  world_init (&world, 4500 * 16);
  g_assert_cmpuint (torture (WRITE, (Way){ENOSPC, false}, adopt_scene), >=, 5);
  world_clear (&world);
  chunk_size = CHUNK;
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_log_set_writer_func (count_warnings, NULL, NULL);
  g_test_add_data_func ("/net/torture/a-film-is-right-whatever-call-fails", GINT_TO_POINTER (false),
                        test_copy);
  g_test_add_data_func ("/net/torture/parts-of-a-film-are-right-whatever-call-fails",
                        GINT_TO_POINTER (true), test_copy);
  g_test_add_func ("/net/torture/publishing-says-when-it-fails", test_publish);
  g_test_add_func ("/net/torture/a-record-is-right-whatever-call-fails", test_record);
  g_test_add_func ("/net/torture/adopting-claims-what-can-be-proven", test_adopt);
  return g_test_run ();
}
