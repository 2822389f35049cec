/* SPDX-License-Identifier: Apache-2.0 */
/* Three files for a channel:
 *
 *   ID.key      the private key, PEM, mode 0600
 *   ID.token    the encoder's token, mode 0600
 *   ID.channel  swarm ID, chunk size, chunks per signature, integrity, hash and addressing by their
 *               numbers in the RFC, and how far chunk numbers are reserved
 *
 * and one for all: "tracker", the key of the tracker that certifies members.
 *
 * Every write goes to a temporary file, is brought to the disk, and takes the old one's place by a
 * rename that is brought to the disk as well: after a crash there is the old file or the new one.
 * The record is written before the key, so that a key never stands without one unless somebody
 * took it away. */
#include "peer/origin/state.h"

#include "peer/net/random.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_BYTES 24
#define GROUP "channel"
#define TRACKER "tracker" /* no ID can take this name: all files of channels have an ending */

struct OriginState {
  char *folder;
  int lock;
};

bool
origin_id_is_valid (const char *id)
{
  size_t n = strlen (id);

  if (n == 0 || n > 64 || id[0] == '.' || g_str_has_suffix (id, ".hashes"))
    return false;
  return strspn (id, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static bool
fail (GError **error, const char *what, const char *path)
{
  int code = errno;

  g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (code), "%s %s: %s", what, path,
               g_strerror (code));
  return false;
}

char *
origin_state_path (const OriginState *self, const char *name)
{
  return g_build_filename (self->folder, name, NULL);
}

static bool
write_all (int fd, const char *bytes, size_t n)
{
  while (n > 0) {
    ssize_t part = write (fd, bytes, n);

    if (part < 0 && errno == EINTR)
      continue;
    if (part < 0)
      return false;
    bytes += part;
    n -= (size_t)part;
  }
  return true;
}

static bool
sync_folder (const OriginState *self, GError **error)
{
  int fd = open (self->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync (fd) == 0;

  if (!ok)
    fail (error, "cannot bring to the disk:", self->folder);
  if (fd >= 0)
    close (fd);
  return ok;
}

static bool
write_file (const OriginState *self, const char *name, const char *text, GError **error)
{
  g_autofree char *path = origin_state_path (self, name);
  g_autofree char *temporary = g_strconcat (path, ".new", NULL);
  int fd = open (temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool ok;

  if (fd < 0)
    return fail (error, "cannot write", temporary);
  ok = fchmod (fd, 0600) == 0 && write_all (fd, text, strlen (text)) && fsync (fd) == 0;
  if (close (fd) != 0 || !ok || rename (temporary, path) != 0) {
    fail (error, "cannot write", path);
    unlink (temporary);
    return false;
  }
  return sync_folder (self, error);
}

/* NULL without an error = there is no such file. */
static char *
read_file (const OriginState *self, const char *name, GError **error)
{
  g_autofree char *path = origin_state_path (self, name);
  g_autoptr (GError) local = NULL;
  struct stat about;
  char *text = NULL;

  if (g_file_get_contents (path, &text, NULL, &local)) {
    if (stat (path, &about) == 0 && (about.st_mode & 077) != 0 && chmod (path, 0600) == 0)
      g_warning ("%s could be read by others; it has mode 0600 now", path);
    return text;
  }
  if (!g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}

static char *
default_folder (void)
{
  const char *systemd = g_getenv ("STATE_DIRECTORY");

  if (systemd != NULL && *systemd != '\0')
    return g_strndup (systemd, strcspn (systemd, ":"));
  return g_build_filename (g_get_user_state_dir (), "ppsp-origin", NULL);
}

static bool
take_lock (OriginState *self, GError **error)
{
  g_autofree char *path = origin_state_path (self, "lock");

  self->lock = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (self->lock < 0)
    return fail (error, "the state folder is not writable (choose another with --state):", path);
  if (flock (self->lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return fail (error, "cannot lock", path);
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 "the state folder %s is in use by another ppsp-origin; stop that one, or give "
                 "this one a folder of its own with --state",
                 self->folder);
    return false;
  }
  return true;
}

OriginState *
origin_state_open (const char *folder, GError **error)
{
  g_autoptr (OriginState) self = g_new0 (OriginState, 1);

  self->lock = -1;
  self->folder = folder != NULL ? g_strdup (folder) : default_folder ();
  if (g_mkdir_with_parents (self->folder, 0700) != 0) {
    fail (error, "cannot make the state folder (choose another with --state):", self->folder);
    return NULL;
  }
  if (!take_lock (self, error))
    return NULL;
  if (!write_file (self, "probe", "The state folder is writable.\n", error)) {
    g_prefix_error (error, "the state folder does not take a file: ");
    return NULL;
  }
  return g_steal_pointer (&self);
}

void
origin_state_close (OriginState *self)
{
  if (self->lock >= 0)
    close (self->lock);
  g_free (self->folder);
  g_free (self);
}

const char *
origin_state_folder (const OriginState *self)
{
  return self->folder;
}

/* --- channels --- */

bool
origin_state_reserve (OriginState *self, const char *id, const PeerContent *content, uint64_t end,
                      GError **error)
{
  g_autofree char *name = g_strconcat (id, ".channel", NULL), *text = NULL;
  g_autofree char *swarm = peer_content_swarm_id_hex (content);
  g_autoptr (GKeyFile) file = g_key_file_new ();

  g_key_file_set_comment (file, NULL, NULL,
                          " Chunks below \"reserved\" may have been signed. A smaller number here "
                          "would fork the channel.",
                          NULL);
  g_key_file_set_string (file, GROUP, "swarm", swarm);
  g_key_file_set_uint64 (file, GROUP, "chunk-size", content->chunk_size);
  g_key_file_set_uint64 (file, GROUP, "chunks-per-signature", content->chunks_per_signature);
  g_key_file_set_uint64 (file, GROUP, "integrity", content->method);
  g_key_file_set_uint64 (file, GROUP, "hash", content->hash);
  g_key_file_set_uint64 (file, GROUP, "addressing", content->addressing);
  g_key_file_set_uint64 (file, GROUP, "reserved", end);
  text = g_key_file_to_data (file, NULL, NULL);
  return write_file (self, name, text, error);
}

static bool
number (GKeyFile *file, const char *key, uint64_t *out, GError **error)
{
  g_autoptr (GError) local = NULL;

  *out = g_key_file_get_uint64 (file, GROUP, key, &local);
  if (local == NULL)
    return true;
  g_propagate_error (error, g_steal_pointer (&local));
  return false;
}

/* Records of before there was a choice leave it out. */
static bool
number_or (GKeyFile *file, const char *key, uint64_t otherwise, uint64_t *out, GError **error)
{
  *out = otherwise;
  return !g_key_file_has_key (file, GROUP, key, NULL) || number (file, key, out, error);
}

static bool
read_algorithms (GKeyFile *file, PeerContent *content, GError **error)
{
  PeerContent live;
  uint64_t method, hash, addressing;

  peer_content_init_live (&live);
  if (!number_or (file, "integrity", live.method, &method, error) ||
      !number_or (file, "hash", live.hash, &hash, error) ||
      !number_or (file, "addressing", live.addressing, &addressing, error))
    return false;
  if (MAX (method, MAX (hash, addressing)) > UINT8_MAX)
    method = hash = addressing = UINT8_MAX; /* of which there is none: the check says so */
  content->method = (PeerMethod)method;
  content->hash = (PeerHashFunction)hash;
  content->addressing = (PeerAddressing)addressing;
  return true;
}

/* The record of a channel whose swarm ID stands in content. */
static bool
read_record (const char *text, PeerContent *content, uint64_t *first, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *swarm = NULL, *expected = peer_content_swarm_id_hex (content);
  const PeerContent asked = *content;
  uint64_t chunk_size, per_signature, reserved, rest;

  if (!g_key_file_load_from_data (file, text, strlen (text), G_KEY_FILE_NONE, error))
    return false;
  swarm = g_key_file_get_string (file, GROUP, "swarm", error);
  if (swarm == NULL || !number (file, "chunk-size", &chunk_size, error) ||
      !number (file, "chunks-per-signature", &per_signature, error) ||
      !number (file, "reserved", &reserved, error) || !read_algorithms (file, content, error))
    return false;
  if (strcmp (swarm, expected) != 0 || chunk_size > UINT32_MAX || per_signature == 0 ||
      per_signature > UINT32_MAX || reserved > UINT64_MAX / 2) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                         "it does not fit the channel's key");
    return false;
  }
  if (chunk_size != asked.chunk_size || per_signature != asked.chunks_per_signature ||
      content->method != asked.method || content->hash != asked.hash ||
      content->addressing != asked.addressing)
    g_message ("the channel keeps what it was made with: %u bytes a chunk, %u chunks a signature, "
               "integrity %d, hash %d, addressing %d",
               (unsigned)chunk_size, (unsigned)per_signature, (int)content->method,
               (int)content->hash, (int)content->addressing);
  content->chunk_size = (uint32_t)chunk_size;
  content->chunks_per_signature = (uint32_t)per_signature;
  rest = reserved % per_signature;
  *first = rest == 0 ? reserved : reserved + per_signature - rest;
  return peer_content_check (content, error);
}

static PeerKey *
make_channel (OriginState *self, const char *id, PeerContent *content, GError **error)
{
  g_autofree char *name = g_strconcat (id, ".key", NULL);
  g_autoptr (PeerKey) key = peer_key_generate (content->signature, error);
  char *pem = NULL;
  bool ok;

  if (key == NULL)
    return NULL;
  peer_key_swarm_id (key, content);
  if (!peer_content_check (content, error))
    return NULL;
  pem = peer_key_to_pem (key, error);
  ok = pem != NULL && origin_state_reserve (self, id, content, 0, error) &&
       write_file (self, name, pem, error);
  peer_secret_free (pem);
  return ok ? g_steal_pointer (&key) : NULL;
}

PeerKey *
origin_state_channel (OriginState *self, const char *id, PeerContent *content, uint64_t *first,
                      GError **error)
{
  g_autofree char *key_name = g_strconcat (id, ".key", NULL), *record = NULL;
  g_autofree char *record_name = g_strconcat (id, ".channel", NULL);
  g_autoptr (PeerKey) key = NULL;
  g_autoptr (GError) local = NULL;
  char *pem;

  *first = 0;
  pem = read_file (self, key_name, &local);
  if (local != NULL) {
    g_propagate_error (error, g_steal_pointer (&local));
    return NULL;
  }
  if (pem == NULL) /* a record without a key was made by a start that did not come to its end */
    return make_channel (self, id, content, error);
  key = peer_key_from_pem (pem, error);
  peer_secret_free (pem);
  if (key == NULL) {
    g_prefix_error (error, "channel %s: %s/%s is no key: ", id, self->folder, key_name);
    return NULL;
  }
  peer_key_swarm_id (key, content);
  record = read_file (self, record_name, &local);
  if (record == NULL && local == NULL)
    g_set_error_literal (&local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "it is not there");
  if (local != NULL || !read_record (record, content, first, &local)) {
    g_propagate_prefixed_error (
        error, g_steal_pointer (&local),
        "channel %s: %s/%s says which chunks were signed, and cannot be used; take it from a "
        "backup, or move %s away to begin a new channel with a new link: ",
        id, self->folder, record_name, key_name);
    return NULL;
  }
  return g_steal_pointer (&key);
}

char *
origin_state_token (OriginState *self, const char *id, bool *made, GError **error)
{
  g_autofree char *name = g_strconcat (id, ".token", NULL), *line = NULL;
  g_autoptr (GError) local = NULL;
  uint8_t bytes[TOKEN_BYTES];
  char *token = read_file (self, name, &local);

  *made = false;
  if (local != NULL) {
    g_propagate_error (error, g_steal_pointer (&local));
    return NULL;
  }
  if (token != NULL) {
    g_strstrip (token);
    if (strlen (token) >= 16)
      return token;
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                 "the token in %s/%s is too short; remove the file to have a new one made",
                 self->folder, name);
    peer_secret_free (token);
    return NULL;
  }
  net_random (NULL, bytes, sizeof bytes);
  token = g_base64_encode (bytes, sizeof bytes); /* 24 bytes: no padding */
  g_strdelimit (token, "+", '-');
  g_strdelimit (token, "/", '_');
  line = g_strconcat (token, "\n", NULL);
  if (!write_file (self, name, line, error)) {
    peer_secret_free (token);
    return NULL;
  }
  *made = true;
  return token;
}

/* --- the tracker's key --- */

bool
origin_state_tracker (OriginState *self, const char *const *uris, uint8_t key[PEER_FINGERPRINT])
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *text = read_file (self, TRACKER, &error), *hex = NULL;
  g_auto (GStrv) known = NULL;

  if (text != NULL && g_key_file_load_from_data (file, text, strlen (text), 0, &error)) {
    known = g_key_file_get_string_list (file, TRACKER, "uris", NULL, &error);
    hex = known != NULL ? g_key_file_get_string (file, TRACKER, "key", &error) : NULL;
  }
  if (error != NULL) /* the tracker will tell it again */
    g_warning ("%s/%s cannot be used: %s", self->folder, TRACKER, error->message);
  if (hex == NULL || !g_strv_equal ((const char *const *)known, uris) ||
      strlen (hex) != 2 * PEER_FINGERPRINT ||
      strspn (hex, "0123456789abcdef") != 2 * PEER_FINGERPRINT)
    return false;
  for (size_t i = 0; i < PEER_FINGERPRINT; i++)
    key[i] =
        (uint8_t)(g_ascii_xdigit_value (hex[2 * i]) << 4 | g_ascii_xdigit_value (hex[2 * i + 1]));
  return true;
}

bool
origin_state_keep_tracker (OriginState *self, const char *const *uris,
                           const uint8_t key[PEER_FINGERPRINT], GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *text = NULL;
  char hex[2 * PEER_FINGERPRINT + 1];

  for (size_t i = 0; i < PEER_FINGERPRINT; i++)
    g_snprintf (hex + 2 * i, 3, "%02x", key[i]);
  g_key_file_set_comment (file, NULL, NULL, " \"key\" stands in the links as tk.", NULL);
  g_key_file_set_string_list (file, TRACKER, "uris", uris, g_strv_length ((char **)uris));
  g_key_file_set_string (file, TRACKER, "key", hex);
  text = g_key_file_to_data (file, NULL, NULL);
  return write_file (self, TRACKER, text, error);
}
