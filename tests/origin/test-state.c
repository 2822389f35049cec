/* SPDX-License-Identifier: Apache-2.0 */
/* What an origin keeps, and what it does when that is damaged, taken away or cannot be written. */
#include "peer/origin/state.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static unsigned n_warnings;

static GLogWriterOutput
count_warnings (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  n_warnings += (level & G_LOG_LEVEL_WARNING) != 0;
  return G_LOG_WRITER_HANDLED;
}

typedef struct {
  char *folder;
  OriginState *state;
} Fixture;

static void
setup (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  self->folder = g_dir_make_tmp ("ppsp-state-XXXXXX", NULL);
  self->state = origin_state_open (self->folder, &error);
  g_assert_no_error (error);
}

static void
teardown (Fixture *self, gconstpointer data)
{
  g_autoptr (GDir) dir = NULL;
  const char *name;

  if (self->state != NULL)
    origin_state_close (self->state);
  dir = g_dir_open (self->folder, 0, NULL);
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (self->folder, name, NULL);

    g_unlink (path);
  }
  g_rmdir (self->folder);
  g_free (self->folder);
}

static unsigned
mode_of (Fixture *self, const char *name)
{
  g_autofree char *path = g_build_filename (self->folder, name, NULL);
  struct stat about;

  g_assert_cmpint (stat (path, &about), ==, 0);
  return about.st_mode & 0777;
}

static void
overwrite (Fixture *self, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (self->folder, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static PeerKey *
open_channel (Fixture *self, PeerContent *content, uint64_t *first, GError **error)
{
  peer_content_init_live (content);
  return origin_state_channel (self->state, "demo", content, first, error);
}

static void
test_ids (void)
{
  static const char *const good[] = {"a", "demo", "news-24.hd_1", "9"};
  static const char *const bad[] = {"",  "Demo",     "a/b", "..",   ".hidden", "a b",
                                    "ä", "x.hashes", "a\n", "a%2f", "a\\b"};
  g_autofree char *longest = g_strnfill (64, 'a'), *too_long = g_strnfill (65, 'a');

  for (size_t i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (origin_id_is_valid (good[i]));
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (origin_id_is_valid (bad[i]));
  g_assert_true (origin_id_is_valid (longest));
  g_assert_false (origin_id_is_valid (too_long));
}

static void
test_keeps_key (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  PeerContent first, second;
  uint64_t at;

  peer_key_free (open_channel (self, &first, &at, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (at, ==, 0);
  g_assert_cmpuint (mode_of (self, "demo.key"), ==, 0600);
  g_assert_cmpuint (mode_of (self, "demo.channel"), ==, 0600);
  g_assert_true (origin_state_reserve (self->state, "demo", &first, 1000, &error));
  peer_key_free (open_channel (self, &second, &at, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (first.swarm_id, first.swarm_id_size, second.swarm_id, second.swarm_id_size);
  g_assert_cmpuint (at, ==, 1024); /* past the reservation, at the next signature */
}

/* Made with other algorithms than the defaults, and opened as if there were only these. */
static void
test_keeps_algorithms (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  PeerContent made, content;
  uint64_t at;

  peer_content_init_live (&made);
  made.method = PEER_METHOD_SIGN_ALL;
  made.chunks_per_signature = 1;
  made.hash = PEER_HASH_SHA384;
  made.signature = PEER_SIGNATURE_ECDSAP384SHA384;
  made.addressing = PEER_ADDRESSING_BINS64;
  made.chunk_size = PEER_CHUNK_VARIABLE;
  peer_key_free (origin_state_channel (self->state, "demo", &made, &at, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (made.swarm_id_size, ==, 97);
  peer_key_free (open_channel (self, &content, &at, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (made.swarm_id, made.swarm_id_size, content.swarm_id, content.swarm_id_size);
  g_assert_cmpint (content.method, ==, made.method);
  g_assert_cmpint (content.hash, ==, made.hash);
  g_assert_cmpint (content.signature, ==, made.signature);
  g_assert_cmpint (content.addressing, ==, made.addressing);
  g_assert_cmpuint (content.chunk_size, ==, made.chunk_size);
  g_assert_cmpuint (content.chunks_per_signature, ==, 1);
}

/* A record of before there was a choice, and one that chooses what there is not. */
static void
test_reads_old_records (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *id = NULL, *old = NULL, *odd = NULL;
  PeerContent content;
  uint64_t at;

  peer_key_free (open_channel (self, &content, &at, &error));
  g_assert_no_error (error);
  id = peer_content_swarm_id_hex (&content);
  old = g_strdup_printf ("[channel]\nswarm=%s\nchunk-size=1128\nchunks-per-signature=64\n"
                         "reserved=128\n",
                         id);
  overwrite (self, "demo.channel", old);
  peer_key_free (open_channel (self, &content, &at, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (at, ==, 128);
  g_assert_cmpint (content.method, ==, PEER_METHOD_UNIFIED_MERKLE);
  g_assert_cmpint (content.addressing, ==, PEER_ADDRESSING_CHUNKS64);
  odd = g_strconcat (old, "hash=256\n", NULL);
  overwrite (self, "demo.channel", odd);
  g_assert_null (open_channel (self, &content, &at, &error));
  g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT);
}

/* A link says the chunk size: an option that changed later must not break it. */
static void
test_keeps_metadata (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  PeerContent content;
  PeerKey *key;
  uint64_t at;

  peer_key_free (open_channel (self, &content, &at, &error));
  peer_content_init_live (&content);
  content.chunk_size = 188;
  content.chunks_per_signature = 2;
  key = origin_state_channel (self->state, "demo", &content, &at, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (content.chunk_size, ==, 1128);
  g_assert_cmpuint (content.chunks_per_signature, ==, 64);
  peer_key_free (key);
}

static void
test_open_to_others (Fixture *self, gconstpointer data)
{
  g_autofree char *path = g_build_filename (self->folder, "demo.key", NULL);
  g_autoptr (GError) error = NULL;
  PeerContent content;
  uint64_t at;

  peer_key_free (open_channel (self, &content, &at, &error));
  g_assert_cmpint (chmod (path, 0644), ==, 0);
  n_warnings = 0;
  peer_key_free (open_channel (self, &content, &at, &error));
  g_assert_cmpuint (n_warnings, ==, 1);
  g_assert_no_error (error);
  g_assert_cmpuint (mode_of (self, "demo.key"), ==, 0600);
}

/* Whatever is wrong with the record: no guess, and the key stays what it is. */
static void
test_bad_record (Fixture *self, gconstpointer data)
{
  static const char *const bad[] = {
      "", "[channel]\n", "rubbish", "[channel]\nreserved=5\n",
      "[channel]\nswarm=00\nchunk-size=1128\nchunks-per-signature=64\nreserved=5\n"};
  g_autofree char *key_path = g_build_filename (self->folder, "demo.key", NULL);
  g_autofree char *record_path = g_build_filename (self->folder, "demo.channel", NULL);
  g_autofree char *key_before = NULL, *record = NULL;
  PeerContent content;
  uint64_t at;

  peer_key_free (open_channel (self, &content, &at, NULL));
  g_assert_true (g_file_get_contents (key_path, &key_before, NULL, NULL));
  g_assert_true (g_file_get_contents (record_path, &record, NULL, NULL));
  for (size_t i = 0; i < G_N_ELEMENTS (bad) + 2; i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *key_after = NULL;

    if (i < G_N_ELEMENTS (bad)) {
      overwrite (self, "demo.channel", bad[i]);
    } else if (i == G_N_ELEMENTS (bad)) {
      g_autoptr (GString) text = g_string_new (record);

      g_assert_cmpuint (g_string_replace (text, "reserved=0", "reserved=-1", 0), ==, 1);
      overwrite (self, "demo.channel", text->str);
    } else {
      g_unlink (record_path);
    }
    g_assert_null (open_channel (self, &content, &at, &error));
    g_assert_nonnull (strstr (error->message, "demo.channel"));
    g_assert_true (g_file_get_contents (key_path, &key_after, NULL, NULL));
    g_assert_cmpstr (key_before, ==, key_after);
  }
}

static void
test_bad_key (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  PeerContent content;
  uint64_t at;

  peer_key_free (open_channel (self, &content, &at, NULL));
  overwrite (self, "demo.key", "-----BEGIN PRIVATE KEY-----\n");
  g_assert_null (open_channel (self, &content, &at, &error));
  g_assert_nonnull (strstr (error->message, "demo.key"));
}

static void
test_token (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *first = NULL, *second = NULL, *other = NULL;
  bool made;

  first = origin_state_token (self->state, "demo", &made, &error);
  g_assert_no_error (error);
  g_assert_true (made);
  g_assert_cmpuint (strlen (first), ==, 32);
  g_assert_cmpuint (mode_of (self, "demo.token"), ==, 0600);
  second = origin_state_token (self->state, "demo", &made, &error);
  g_assert_false (made);
  g_assert_cmpstr (first, ==, second);
  other = origin_state_token (self->state, "other", &made, &error);
  g_assert_cmpstr (first, !=, other);
  overwrite (self, "demo.token", "1234\n");
  g_assert_null (origin_state_token (self->state, "demo", &made, &error));
  g_assert_nonnull (strstr (error->message, "too short"));
}

static void
test_lock (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (origin_state_open (self->folder, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_clear_error (&error);
  g_clear_pointer (&self->state, origin_state_close);
  self->state = origin_state_open (self->folder, &error);
  g_assert_no_error (error);
}

static void
test_not_a_folder (Fixture *self, gconstpointer data)
{
  g_autofree char *path = g_build_filename (self->folder, "lock", "inside", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (origin_state_open (path, &error));
  g_assert_nonnull (strstr (error->message, "--state"));
  g_assert_nonnull (strstr (error->message, path));
}

/* The tracker's key is kept for the trackers that it was learnt from, and for no others; a record
 * that has been damaged is none. */
static void
test_keeps_tracker (Fixture *self, gconstpointer data)
{
  static const char *const one[] = {"https://a.example/", NULL}, *const two[] = {
                                                                     "https://a.example/",
                                                                     "http://[::1]:7846/;x", NULL};
  static const char *const damaged[] = {"", "[tracker]\nuris=https://a.example/;\nkey=12zz\n",
                                        "[tracker]\nkey=00\n", "no key file"};
  uint8_t key[PEER_FINGERPRINT], got[PEER_FINGERPRINT] = {0};
  g_autoptr (GError) error = NULL;

  for (unsigned i = 0; i < sizeof key; i++)
    key[i] = (uint8_t)(i * 37 + 200);
  g_assert_false (origin_state_tracker (self->state, one, got));
  g_assert_true (origin_state_keep_tracker (self->state, two, key, &error));
  g_assert_false (origin_state_tracker (self->state, one, got));
  g_assert_true (origin_state_tracker (self->state, two, got));
  g_assert_cmpmem (got, sizeof got, key, sizeof key);
  g_assert_true (origin_state_keep_tracker (self->state, one, key, &error));
  origin_state_close (self->state);
  self->state = origin_state_open (self->folder, &error);
  g_assert_no_error (error);
  memset (got, 0, sizeof got);
  g_assert_true (origin_state_tracker (self->state, one, got));
  g_assert_cmpmem (got, sizeof got, key, sizeof key);
  for (unsigned i = 0; i < G_N_ELEMENTS (damaged); i++) {
    overwrite (self, "tracker", damaged[i]);
    g_assert_false (origin_state_tracker (self->state, one, got));
  }
}

/* A disk that takes no more: the old record stays, nothing half-written is left. (The limit on the
 * size of files stands for the full disk.) */
static void
test_full_disk (Fixture *self, gconstpointer data)
{
  g_autofree char *path = g_build_filename (self->folder, "demo.channel", NULL);
  g_autofree char *temporary = g_strconcat (path, ".new", NULL), *before = NULL, *after = NULL;
  g_autoptr (GError) error = NULL;
  struct rlimit old, none;
  PeerContent content;
  uint64_t at;
  bool ok;

  peer_key_free (open_channel (self, &content, &at, &error));
  g_assert_true (origin_state_reserve (self->state, "demo", &content, 1 << 20, &error));
  g_assert_true (g_file_get_contents (path, &before, NULL, NULL));
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &old), ==, 0);
  none = old;
  none.rlim_cur = 16;
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &none), ==, 0);
  ok = origin_state_reserve (self->state, "demo", &content, 1 << 21, &error);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &old), ==, 0);
  g_assert_false (ok);
  g_assert_nonnull (strstr (error->message, "demo.channel"));
  g_assert_false (g_file_test (temporary, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_get_contents (path, &after, NULL, NULL));
  g_assert_cmpstr (before, ==, after);
}

#define ADD(name, func) g_test_add ("/origin/state/" name, Fixture, NULL, setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  g_log_set_writer_func (count_warnings, NULL, NULL);
  g_test_add_func ("/origin/state/ids", test_ids);
  ADD ("key-is-kept-and-secret", test_keeps_key);
  ADD ("metadata-is-kept", test_keeps_metadata);
  ADD ("tracker-key-is-kept", test_keeps_tracker);
  ADD ("algorithms-are-kept", test_keeps_algorithms);
  ADD ("old-records-are-read", test_reads_old_records);
  ADD ("key-open-to-others-is-closed", test_open_to_others);
  ADD ("bad-record-is-no-guess", test_bad_record);
  ADD ("bad-key-is-said", test_bad_key);
  ADD ("token-is-kept-and-secret", test_token);
  ADD ("one-process-one-folder", test_lock);
  ADD ("not-a-folder-is-said", test_not_a_folder);
  ADD ("full-disk-keeps-the-old-record", test_full_disk);
  return g_test_run ();
}
