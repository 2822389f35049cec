/* SPDX-License-Identifier: Apache-2.0 */
/* One file, certify.key: a P-256 key, PEM. It is what all links with tk= of its swarms trust, so it
 * is written once, to the disk, and never in place. */
#include "peer/trackerd/authority.h"

#include "peer/membership.h"
#include "peer/net/random.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_FILE "certify.key"

struct TrackerdAuthority {
  PeerKey *key;
  int64_t life; /* us: of what it signs */
  char fingerprint[2 * PEER_FINGERPRINT + 1];
};

static PeerKey *
make_key (const char *path, GError **error)
{
  g_autoptr (PeerKey) key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, error);
  char *pem = key != NULL ? peer_key_to_pem (key, error) : NULL;
  bool ok = pem != NULL &&
            g_file_set_contents_full (path, pem, -1,
                                      G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
                                      0600, error);
  peer_secret_free (pem);
  return ok ? g_steal_pointer (&key) : NULL;
}

static PeerKey *
load_key (const char *path, GError **error)
{
  g_autoptr (GError) local = NULL;
  struct stat about;
  char *pem = NULL;
  if (!g_file_get_contents (path, &pem, NULL, &local)) {
    if (g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
      return make_key (path, error);
    g_propagate_error (error, g_steal_pointer (&local));
    return NULL;
  }
  if (stat (path, &about) == 0 && (about.st_mode & 077) != 0 && g_chmod (path, 0600) == 0)
    g_warning ("%s could be read by others; it has mode 0600 now", path);
  PeerKey *key = peer_key_from_pem (pem, error);
  peer_secret_free (pem);
  if (key == NULL)
    g_prefix_error (error,
                    "%s is no key; take it from a backup, or move it away to begin with a new one, "
                    "which the links made so far do not trust: ",
                    path);
  return key;
}

TrackerdAuthority *
trackerd_authority_open (const char *folder, int64_t life, GError **error)
{
  g_autoptr (TrackerdAuthority) self = g_new0 (TrackerdAuthority, 1);
  g_autofree char *path = g_build_filename (folder, KEY_FILE, NULL);
  uint8_t fingerprint[PEER_FINGERPRINT], serial[16] = {0};
  if (g_mkdir_with_parents (folder, 0700) != 0) {
    int code = errno;
    g_set_error (error, G_IO_ERROR, (int)g_io_error_from_errno (code),
                 "cannot make the state folder %s (choose another with --state): %s", folder,
                 g_strerror (code));
    return NULL;
  }
  self->life = life;
  self->key = load_key (path, error);
  if (self->key == NULL)
    return NULL;
  g_autoptr (GBytes) probe = peer_key_certify (self->key, "file://", 0, 1, serial);
  if (probe == NULL || !peer_key_fingerprint (self->key, fingerprint)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                 "%s: members are certified with a P-256 key, and this is another kind; move it "
                 "away to have one made",
                 path);
    return NULL;
  }
  for (unsigned i = 0; i < sizeof fingerprint; i++)
    g_snprintf (self->fingerprint + 2 * i, 3, "%02x", fingerprint[i]);
  return g_steal_pointer (&self);
}

void
trackerd_authority_free (TrackerdAuthority *self)
{
  if (self == NULL)
    return;
  peer_key_free (self->key);
  g_free (self);
}

const char *
trackerd_authority_key (const TrackerdAuthority *self)
{
  return self->fingerprint;
}

GBytes *
trackerd_authority_certify (void *data, const char *swarm_id, const PeerAddress *address,
                            int64_t *renew)
{
  TrackerdAuthority *self = data;
  uint8_t serial[16];
  net_random (NULL, serial, sizeof serial);
  *renew = self->life / 2;
  return peer_membership_issue (self->key, swarm_id, address, g_get_real_time (), self->life,
                                serial);
}
