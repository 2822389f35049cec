/* SPDX-License-Identifier: Apache-2.0 */
/* A household records, with a ring that the test fills and a clock that it sets. */
#include "peer/crypto.h"
#include "proxy/recordings.h"
#include "tests/lib/wait.h"
#include "tests/proxy/channel.h"
#include "tests/proxy/scratch.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1128, KEY_STEP = 45000 /* 90 kHz: two pictures a second */ };

#define TRACKER "http://127.0.0.1:1/" /* nobody is there */

static int refuse_write; /* errno; linked with --wrap */

ssize_t __real_pwrite64 (int fd, const void *bytes, size_t n, off_t offset);
ssize_t __wrap_pwrite64 (int fd, const void *bytes, size_t n, off_t offset);

/* A disk that is full takes a part. */
ssize_t
__wrap_pwrite64 (int fd, const void *bytes, size_t n, off_t offset)
{
  if (refuse_write && n > 100)
    return __real_pwrite64 (fd, bytes, 100, offset);
  errno = refuse_write;
  return refuse_write ? -1 : __real_pwrite64 (fd, bytes, n, offset);
}

typedef struct {
  char *folder;
  int64_t now; /* s */
  NetUdp *udp;
  ProxyCatalog *catalog;
  ProxySessionOptions options;
  ProxySessions *sessions;
  uint64_t quota;
  ProxyRecordings *recordings;
  char *done;
  TsMaker maker;
  uint64_t next;
} World;

static void
no_event (const PeerEvent *event, gpointer data)
{
}

static int64_t
clock_of (gpointer data)
{
  return ((World *)data)->now;
}

static void
on_done (const char *id, gpointer data)
{
  World *self = data;
  g_free (self->done);
  self->done = g_strdup (id);
}

static void
open_set (World *self)
{
  g_autoptr (GError) error = NULL;
  ProxyRecordingsOptions options = {.folder = self->folder,
                                    .quota = self->quota,
                                    .catalog = self->catalog,
                                    .sessions = self->sessions,
                                    .sharing = &self->options,
                                    .clock = clock_of,
                                    .done = on_done,
                                    .data = self};
  self->recordings = proxy_recordings_new (&options, &error);
  g_assert_no_error (error);
}

static void
world_init (World *self)
{
  g_autoptr (GError) error = NULL;
  PeerEngineOptions engine;
  memset (self, 0, sizeof *self);
  self->folder = scratch_new ();
  self->now = g_get_real_time () / G_USEC_PER_SEC;
  peer_engine_options_init (&engine);
  self->udp = net_udp_new ("127.0.0.1:0", &engine, no_event, NULL, &error);
  g_assert_no_error (error);
  self->catalog = proxy_catalog_open (NULL);
  self->options =
      (ProxySessionOptions){.udp = self->udp, .memory = 8 << 20, .recordings = self->folder};
  self->sessions = proxy_sessions_new (&self->options, 0);
  ts_maker_init (&self->maker);
  self->maker.step = KEY_STEP;
  channel_add (self->catalog, "One", TRACKER);
  open_set (self);
}

static void
world_clear (World *self)
{
  proxy_recordings_free (self->recordings);
  proxy_sessions_close (self->sessions);
  proxy_sessions_unref (self->sessions);
  proxy_catalog_close (self->catalog);
  net_udp_free (self->udp);
  ts_maker_clear (&self->maker);
  g_free (self->done);
  scratch_free (self->folder);
}

static ProxySession *
session_of (World *self, const char *id)
{
  ProxySession *session = NULL;
  proxy_sessions_state (self->sessions, id, &session, NULL);
  return session;
}

/* So many seconds of the channel; it is in play. */
static void
seconds (World *self, unsigned n)
{
  for (; n > 0; n--) {
    ts_tables (&self->maker);
    ts_picture (&self->maker, true, 61);
    ts_picture (&self->maker, false, 700);
  }
  self->next =
      channel_deliver (&self->maker, proxy_session_ring (session_of (self, "one")), self->next);
}

static const ProxyRecording *
record (World *self, int64_t start, int64_t stop)
{
  g_autoptr (GError) error = NULL;
  ProxyRecordingWish wish = {.channel = "one", .start = start, .stop = stop};
  const ProxyRecording *recording = proxy_recordings_add (self->recordings, &wish, &error);
  g_assert_no_error (error);
  return recording;
}

static bool
is_over (gpointer data)
{
  const ProxyRecording *recording = data;
  return recording->state == PROXY_RECORDING_DONE || recording->state == PROXY_RECORDING_FAILED;
}

static GBytes *
read_file (const World *self, const char *id)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = proxy_session_recording_path (self->folder, id);
  char *text;
  gsize n;
  g_file_get_contents (path, &text, &n, &error);
  g_assert_no_error (error);
  return g_bytes_new_take (text, n);
}

/* The file is tables and the channel's bytes from begin to end. */
static void
check_file (const World *self, const ProxyRecording *recording, size_t begin)
{
  g_autoptr (GBytes) bytes = read_file (self, recording->id);
  size_t n, end = (size_t)self->next * CHUNK;
  const uint8_t *text = g_bytes_get_data (bytes, &n);
  g_assert_cmpuint (n, ==, 2 * 188 + end - begin);
  g_assert_cmpmem (text + 2 * 188, n - 2 * 188, self->maker.bytes->data + begin, end - begin);
  g_assert_cmpuint (ts_discontinuity (text, n), ==, n);
  g_assert_cmpuint (recording->bytes, ==, n);
}

static void
test_now (void)
{
  World world;
  world_init (&world);
  const ProxyRecording *recording = record (&world, 0, 0);
  g_assert_cmpint (recording->state, ==, PROXY_RECORDING_NOW);
  g_assert_true (g_str_has_prefix (recording->id, "rec-"));
  g_assert_true (g_str_has_prefix (recording->name, "One 20"));
  seconds (&world, 10); /* more than one write */
  g_assert_true (proxy_recordings_stop (world.recordings, recording->id));
  g_assert_true (wait_until (is_over, (gpointer)recording));
  g_assert_cmpint (recording->state, ==, PROXY_RECORDING_DONE);
  g_assert_null (recording->error);
  check_file (&world, recording, 2 * 188);
  g_assert_false (proxy_recordings_stop (world.recordings, recording->id));
  g_assert_cmpuint (proxy_recordings_used (world.recordings), ==, recording->bytes);
  const ProxyChannel *channel = proxy_catalog_lookup (world.catalog, world.done);
  g_assert_cmpstr (channel->name, ==, recording->name);
  g_assert_cmpint (channel->length, ==, (int64_t)recording->bytes);
  g_assert_false (channel->live);
  while (session_of (&world, "one")) /* it has let go of the channel */
    g_main_context_iteration (NULL, TRUE);
  world_clear (&world);
}

/* Another watches the channel, and so its ring has what is past. */
static void
test_past (void)
{
  World world;
  world_init (&world);
  const ProxyChannel *channel = proxy_catalog_lookup (world.catalog, "one");
  ProxySession *watched = proxy_sessions_use (world.sessions, channel, NULL);
  seconds (&world, 5);
  size_t second = world.maker.bytes->len / 5;
  const ProxyRecording *recording = record (&world, world.now - 2, 0);
  seconds (&world, 1);
  proxy_recordings_stop (world.recordings, recording->id);
  g_assert_true (wait_until (is_over, (gpointer)recording));
  check_file (&world, recording, 2 * second + 2 * 188); /* the third of five */
  proxy_sessions_release (world.sessions, watched);
  world_clear (&world);
}

/* The same, where most of what is past is on the disk: it ends when all of that is fetched. */
static void
test_long_past (void)
{
  World world;
  world_init (&world);
  world.options.memory = 1 << 20;
  world.options.timeshift = 16 << 20;
  world.options.timeshift_folder = world.folder;
  const ProxyChannel *channel = proxy_catalog_lookup (world.catalog, "one");
  ProxySession *watched = proxy_sessions_use (world.sessions, channel, NULL);
  ProxySessionStats stats = {0};
  for (int i = 0; i < 60; i++)
    seconds (&world, 1);
  size_t second = world.maker.bytes->len / 60;
  while (stats.timeshift == 0 || stats.memory > 2 << 20) { /* some of it waits for a whole batch */
    g_main_context_iteration (NULL, FALSE);
    proxy_session_stats (watched, &stats);
  }
  const ProxyRecording *recording = record (&world, world.now - 50, 0);
  proxy_recordings_stop (world.recordings, recording->id);
  g_assert_cmpint (recording->state, ==, PROXY_RECORDING_NOW); /* it has more to fetch */
  g_assert_true (wait_until (is_over, (gpointer)recording));
  check_file (&world, recording, 9 * second + 2 * 188);
  proxy_sessions_release (world.sessions, watched);
  world_clear (&world);
}

static void
test_later (void)
{
  World world;
  world_init (&world);
  const ProxyRecording *recording = record (&world, world.now + 100, world.now + 200);
  const ProxyRecording *never = record (&world, world.now + 300, world.now + 400);
  const ProxyRecording *cancelled = record (&world, world.now + 300, world.now + 400);
  g_assert_true (proxy_recordings_stop (world.recordings, cancelled->id));
  g_assert_cmpuint (proxy_recordings_list (world.recordings)->len, ==, 2);
  world.now += 99;
  proxy_recordings_turn (world.recordings);
  g_assert_cmpint (recording->state, ==, PROXY_RECORDING_SCHEDULED);
  g_assert_null (session_of (&world, "one"));
  world.now += 1;
  proxy_recordings_turn (world.recordings);
  g_assert_cmpint (recording->state, ==, PROXY_RECORDING_NOW);
  seconds (&world, 2);
  world.now += 100 + PROXY_RECORDINGS_TAIL - 1; /* what is broadcast at its end is here later */
  proxy_recordings_turn (world.recordings);
  g_assert_cmpint (recording->state, ==, PROXY_RECORDING_NOW);
  world.now += 1;
  proxy_recordings_turn (world.recordings);
  g_assert_true (wait_until (is_over, (gpointer)recording));
  check_file (&world, recording, 2 * 188);
  world.now += 300; /* the machine has slept */
  proxy_recordings_turn (world.recordings);
  g_assert_cmpint (never->state, ==, PROXY_RECORDING_FAILED);
  g_assert_nonnull (strstr (never->error, "off"));
  world_clear (&world);
}

/* The process ends while it records, and a packet was torn; the next one appends. */
static void
test_restart (void)
{
  World world;
  world_init (&world);
  const ProxyRecording *recording = record (&world, 0, world.now + 1000);
  g_autofree char *id = g_strdup (recording->id);
  seconds (&world, 3);
  size_t first = (size_t)world.next * CHUNK; /* from its second packet */
  proxy_recordings_free (world.recordings);
  while (session_of (&world, "one"))
    g_main_context_iteration (NULL, TRUE);
  g_autofree char *path = proxy_session_recording_path (world.folder, id);
  g_autoptr (GBytes) before = read_file (&world, id);
  g_assert_cmpuint (g_bytes_get_size (before), ==, first);
  FILE *file = g_fopen (path, "ab");
  g_assert_cmpuint (fwrite ("\x47 torn", 1, 6, file), ==, 6);
  fclose (file);

  open_set (&world);
  recording = proxy_recordings_find (world.recordings, id);
  g_assert_cmpint (recording->state, ==, PROXY_RECORDING_NOW);
  proxy_recordings_turn (world.recordings);
  world.next += 10; /* what nobody has recorded */
  seconds (&world, 12);
  proxy_recordings_stop (world.recordings, id);
  g_assert_true (wait_until (is_over, (gpointer)recording));
  g_autoptr (GBytes) after = read_file (&world, id);
  size_t n;
  const uint8_t *text = g_bytes_get_data (after, &n);
  g_assert_cmpmem (text, first, g_bytes_get_data (before, NULL), first);
  g_assert_cmpuint (ts_discontinuity (text, n), ==, n);
  g_assert_cmpuint (ts_marks (text, n), ==, 3); /* PAT, PMT, video */
  g_assert_cmpuint (ts_marks (text, first), ==, 0);
  size_t rest = n - first - 5 * 188; /* marks and tables in front */
  g_assert_cmpmem (text + n - rest, rest,
                   world.maker.bytes->data + (size_t)world.next * CHUNK - rest, rest);
  g_assert_cmpuint (rest, >, 9 * world.maker.bytes->len / 15);
  world_clear (&world);
}

/* The channel's end is not that of the recording. */
static void
test_channel_comes_back (void)
{
  World world;
  world_init (&world);
  const ProxyRecording *recording = record (&world, 0, world.now + 1000);
  seconds (&world, 1);
  proxy_sessions_stop (world.sessions, "one");
  while (!recording->error)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (recording->state, ==, PROXY_RECORDING_NOW);
  while (g_main_context_iteration (NULL, FALSE)) /* the session ends in an idle moment */
    ;
  world.now += 5;
  proxy_recordings_turn (world.recordings);
  g_assert_null (recording->error);
  seconds (&world, 2);
  world.now += 1000;
  proxy_recordings_turn (world.recordings);
  g_assert_true (wait_until (is_over, (gpointer)recording));
  g_autoptr (GBytes) bytes = read_file (&world, recording->id);
  size_t n = g_bytes_get_size (bytes);
  g_assert_cmpuint (ts_discontinuity (g_bytes_get_data (bytes, NULL), n), ==, n);
  g_assert_cmpuint (ts_marks (g_bytes_get_data (bytes, NULL), n), >, 0);
  world_clear (&world);
}

static void
test_quota (void)
{
  World world;
  g_autoptr (GError) error = NULL;
  world_init (&world);
  proxy_recordings_free (world.recordings);
  world.quota = 3 << 20;
  open_set (&world);
  const ProxyRecording *recording = record (&world, 0, 0);
  for (int i = 0; i < 30 && !is_over ((gpointer)recording); i++) {
    uint64_t before = proxy_recordings_used (world.recordings);
    seconds (&world, 8);
    while (!is_over ((gpointer)recording) && proxy_recordings_used (world.recordings) == before)
      g_main_context_iteration (NULL, TRUE);
  }
  g_assert_cmpint (recording->state, ==, PROXY_RECORDING_DONE);
  g_assert_nonnull (strstr (recording->error, "--recordings-quota"));
  g_assert_cmpuint (recording->bytes, <=, world.quota);
  g_assert_cmpuint (recording->bytes, >, world.quota / 2);
  g_autoptr (GBytes) bytes = read_file (&world, recording->id);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, recording->bytes);
  proxy_recordings_free (world.recordings);
  world.quota = g_bytes_get_size (bytes); /* now it is all used */
  open_set (&world);
  ProxyRecordingWish wish = {.channel = "one"};
  g_assert_null (proxy_recordings_add (world.recordings, &wish, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  world_clear (&world);
}

static uint64_t
size_of (const char *path)
{
  GStatBuf file;
  return g_stat (path, &file) == 0 ? (uint64_t)file.st_size : 0;
}

static void
test_full_disk (void)
{
  World world;
  world_init (&world);
  const ProxyRecording *recording = record (&world, 0, 0);
  seconds (&world, 8);
  g_autofree char *path = proxy_session_recording_path (world.folder, recording->id);
  while (size_of (path) == 0 || size_of (path) < proxy_recordings_used (world.recordings))
    g_main_context_iteration (NULL, TRUE);
  uint64_t written = proxy_recordings_used (world.recordings);
  seconds (&world, 1);
  refuse_write = ENOSPC;
  g_assert_true (wait_until (is_over, (gpointer)recording));
  refuse_write = 0;
  g_assert_cmpint (recording->state, ==, PROXY_RECORDING_DONE);
  g_assert_nonnull (strstr (recording->error, g_strerror (ENOSPC)));
  g_assert_cmpuint (recording->bytes, >=, written);
  g_autoptr (GBytes) bytes = read_file (&world, recording->id);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, recording->bytes);
  g_assert_cmpuint (recording->bytes % 188, ==, 0);
  world_clear (&world);
}

static void
test_refused (void)
{
  World world;
  world_init (&world);
  const ProxyRecordingWish wrong[] = {
      {.channel = NULL},
      {.channel = "nobody"},
      {.channel = "one", .stop = world.now},
      {.channel = "one", .start = world.now + 10, .stop = world.now + 10},
      {.channel = "one", .start = world.now, .stop = world.now + PROXY_RECORDINGS_LONGEST + 1},
      {.channel = "one", .start = world.now + PROXY_RECORDINGS_AHEAD + 1},
      {.channel = "one", .start = INT64_MAX, .stop = INT64_MAX},
      {.channel = "one", .start = 1, .stop = INT64_MAX},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (proxy_recordings_add (world.recordings, &wrong[i], &error));
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  }
  for (int i = 0; i <= PROXY_RECORDINGS_AT_ONCE; i++) {
    const ProxyRecording *recording = record (&world, 0, 0);
    g_assert_cmpint (recording->state, ==, PROXY_RECORDING_NOW);
    g_assert_true ((recording->error != NULL) == (i == PROXY_RECORDINGS_AT_ONCE));
  }
  g_autoptr (GError) error = NULL;
  ProxyRecordingWish wish = {.channel = "one", .start = world.now + 10, .shared = true};
  for (int i = 0; i < PROXY_RECORDINGS_SHARED; i++)
    g_assert_nonnull (proxy_recordings_add (world.recordings, &wish, NULL));
  g_assert_null (proxy_recordings_add (world.recordings, &wish, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_clear_error (&error);
  const ProxyRecording *private = record (&world, world.now + 10, 0);
  g_assert_false (proxy_recordings_set_shared (world.recordings, private->id, true, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_clear_error (&error);
  wish.shared = false;
  while (proxy_recordings_list (world.recordings)->len < PROXY_RECORDINGS_MAX)
    record (&world, world.now + 10, 0);
  g_assert_null (proxy_recordings_add (world.recordings, &wish, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  world_clear (&world);
}

static bool
is_gone (gpointer path)
{
  return !g_file_test (path, G_FILE_TEST_EXISTS);
}

static void
finish_one (World *world, char **id)
{
  const ProxyRecording *recording = record (world, 0, 0);
  *id = g_strdup (recording->id);
  seconds (world, 1);
  proxy_recordings_stop (world->recordings, *id);
  g_assert_true (wait_until (is_over, (gpointer)recording));
}

static void
test_what_goes (void)
{
  World world;
  g_autofree char *one = NULL, *two = NULL;
  world_init (&world);
  finish_one (&world, &one);
  finish_one (&world, &two);
  g_assert_cmpstr (one, !=, two);
  g_assert_nonnull (proxy_catalog_lookup_swarm (world.catalog, one));
  g_assert_true (proxy_recordings_remove (world.recordings, one));
  g_assert_false (proxy_recordings_remove (world.recordings, one));
  g_assert_null (proxy_catalog_lookup_swarm (world.catalog, one));
  g_autofree char *path = proxy_session_recording_path (world.folder, one);
  g_assert_true (wait_until (is_gone, path));
  /* A file that the owner takes away is no recording any more. */
  proxy_recordings_free (world.recordings);
  g_autofree char *other = proxy_session_recording_path (world.folder, two);
  open_set (&world);
  g_assert_nonnull (proxy_recordings_find (world.recordings, two));
  proxy_recordings_free (world.recordings);
  g_assert_cmpint (g_unlink (other), ==, 0);
  open_set (&world);
  g_assert_null (proxy_recordings_find (world.recordings, two));
  g_assert_null (proxy_catalog_lookup_swarm (world.catalog, two));
  world_clear (&world);
}

typedef struct {
  ProxyRecordings *recordings;
  const char *id;
  ProxyShareStatus status;
} Sharing;

static bool
has_link (gpointer data)
{
  Sharing *self = data;
  return proxy_recordings_share_status (self->recordings, self->id, &self->status) &&
         (self->status.link || self->status.error);
}

/* As others have it: all of the file, from the trackers of the channel. */
static char *
check_shared (World *self, const char *id)
{
  Sharing sharing = {.recordings = self->recordings, .id = id};
  g_assert_true (wait_until (has_link, &sharing));
  g_assert_cmpstr (sharing.status.error, ==, NULL);
  g_autoptr (PeerLink) link = peer_link_parse (sharing.status.link, NULL);
  g_assert_cmpuint (link->content.length, ==, proxy_recordings_find (self->recordings, id)->bytes);
  g_assert_cmpuint (link->trackers->len, ==, 1);
  g_assert_cmpstr (link->trackers->pdata[0], ==, TRACKER);
  g_assert_cmpuint (sharing.status.stats.swarm.n_chunks, ==,
                    peer_content_n_chunks (&link->content));
  return g_strdup (sharing.status.link);
}

static void
test_shared (void)
{
  World world;
  ProxyShareStatus status;
  g_autofree char *one = NULL, *two = NULL;
  world_init (&world);
  finish_one (&world, &one);
  finish_one (&world, &two);
  uint64_t used = proxy_recordings_used (world.recordings);
  g_assert_false (proxy_recordings_share_status (world.recordings, one, &status));
  g_assert_true (proxy_recordings_set_shared (world.recordings, one, true, NULL));
  g_assert_true (proxy_recordings_set_shared (world.recordings, two, true, NULL));
  g_assert_true (
      proxy_recordings_set_shared (world.recordings, two, false, NULL)); /* not begun yet */
  g_assert_false (proxy_recordings_set_shared (world.recordings, "rec-0", true, NULL));
  g_autofree char *link = check_shared (&world, one);
  g_assert_false (proxy_recordings_share_status (world.recordings, two, &status));
  g_assert_cmpuint (proxy_recordings_used (world.recordings), >, used); /* its tree */

  proxy_recordings_free (world.recordings);
  proxy_catalog_remove (world.catalog, "one"); /* and with it its trackers */
  open_set (&world);
  g_autofree char *again = check_shared (&world, one);
  g_assert_cmpstr (again, ==, link);
  g_assert_true (proxy_recordings_set_shared (world.recordings, two, true, NULL));
  g_assert_true (proxy_recordings_remove (world.recordings, two)); /* while it is hashed */
  g_assert_true (proxy_recordings_set_shared (world.recordings, one, false, NULL));
  g_assert_false (proxy_recordings_share_status (world.recordings, one, &status));
  g_assert_true (
      proxy_recordings_set_shared (world.recordings, one, true, NULL)); /* behind the other */
  g_autofree char *third = check_shared (&world, one);
  g_assert_cmpstr (third, ==, link);
  g_assert_true (proxy_recordings_set_shared (world.recordings, one, false, NULL));
  g_autofree char *tree = g_strdup_printf ("%s/%s.ts.hashes", world.folder, one);
  g_assert_true (wait_until (is_gone, tree));
  world_clear (&world);
}

/* Who leaves the option away has no recordings in the catalog; nobody's list leads out of the folder. */
static void
test_list (void)
{
  World world;
  g_autofree char *id = NULL;
  world_init (&world);
  finish_one (&world, &id);
  proxy_recordings_free (world.recordings);
  ProxyRecordingsOptions none = {.catalog = world.catalog};
  g_assert_null (proxy_recordings_new (&none, NULL));
  g_assert_null (proxy_catalog_lookup_swarm (world.catalog, id));
  open_set (&world);
  g_assert_nonnull (proxy_catalog_lookup_swarm (world.catalog, id));
  proxy_recordings_free (world.recordings);
  g_autofree char *list = g_build_filename (world.folder, "recordings.ini", NULL);
  g_assert_true (g_file_set_contents (list,
                                      "[rec-../../etc/passwd]\nchannel=one\nstate=failed\n"
                                      "[passwd]\nchannel=one\nstate=failed\n",
                                      -1, NULL));
  open_set (&world);
  g_assert_cmpuint (proxy_recordings_list (world.recordings)->len, ==, 0);
  proxy_recordings_free (world.recordings);
  g_assert_true (g_file_set_contents (list, "\x01 rubbish", -1, NULL));
  scratch_keep_warnings ();
  open_set (&world);
  g_assert_cmpuint (scratch_warnings (), ==, 1);
  world_clear (&world);
}

static void
test_folder (void)
{
  World world;
  world_init (&world);
  g_autofree char *file = g_build_filename (world.folder, "recordings.ini", "below", NULL);
  const char *const wrong[] = {world.folder /* of another gateway */, file, "/proc/self"};
  for (size_t i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;
    ProxyRecordingsOptions options = {
        .folder = wrong[i], .catalog = world.catalog, .sessions = world.sessions};
    record (&world, world.now + 10, 0); /* so that there is a list */
    g_assert_null (proxy_recordings_new (&options, &error));
    g_assert_true (g_str_has_prefix (error->message, "--recordings: "));
  }
  world_clear (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/recordings/what-comes-is-in-the-file", test_now);
  g_test_add_func ("/proxy/recordings/begins-in-what-the-ring-has", test_past);
  g_test_add_func ("/proxy/recordings/begins-in-what-the-disk-has", test_long_past);
  g_test_add_func ("/proxy/recordings/begins-and-ends-by-the-clock", test_later);
  g_test_add_func ("/proxy/recordings/goes-on-after-a-restart", test_restart);
  g_test_add_func ("/proxy/recordings/goes-on-when-the-channel-comes-back",
                   test_channel_comes_back);
  g_test_add_func ("/proxy/recordings/quota-ends-it", test_quota);
  g_test_add_func ("/proxy/recordings/full-disk-ends-it", test_full_disk);
  g_test_add_func ("/proxy/recordings/wishes-have-bounds", test_refused);
  g_test_add_func ("/proxy/recordings/what-is-removed-is-gone", test_what_goes);
  g_test_add_func ("/proxy/recordings/shared-as-the-owner-wishes", test_shared);
  g_test_add_func ("/proxy/recordings/the-list-is-not-believed", test_list);
  g_test_add_func ("/proxy/recordings/the-folder-is-ours-alone", test_folder);
  return g_test_run ();
}
