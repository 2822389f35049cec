/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/net/film.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

uint32_t chunk_size = CHUNK;

void
write_film (const World *self)
{
  g_autoptr (GError) error = NULL;
  g_file_set_contents (self->film, (const char *)self->bytes, (gssize)self->length, &error);
  g_assert_no_error (error);
}

void
publish (World *self)
{
  g_autoptr (GError) error = NULL;
  peer_content_init_static (&self->content);
  self->content.chunk_size = chunk_size;
  self->published = net_file_publish (self->film, self->hashes, &self->content, &self->source, NULL,
                                      NULL, &error);
  g_assert_no_error (error);
}

void
unpublish (World *self)
{
  g_clear_pointer (&self->published, peer_store_free);
  g_clear_pointer (&self->source, peer_integrity_free);
}

void
world_init (World *self, size_t length)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GRand) rand = g_rand_new_with_seed ((guint32)length);
  memset (self, 0, sizeof *self);
  self->folder = g_dir_make_tmp ("ppsp-file-XXXXXX", &error);
  g_assert_no_error (error);
  self->film = g_build_filename (self->folder, "film", NULL);
  self->hashes = g_build_filename (self->folder, "film.tree", NULL);
  self->path = g_build_filename (self->folder, "copy", NULL);
  self->length = length;
  self->n_chunks = (length + chunk_size - 1) / chunk_size;
  self->bytes = g_malloc (length);
  for (size_t i = 0; i < length; i++)
    self->bytes[i] = (uint8_t)g_rand_int (rand);
  write_film (self);
  publish (self);
}

char *
beside (const World *self, const char *ending)
{
  return g_strconcat (self->path, ending, NULL);
}

void
remove_copy (const World *self)
{
  static const char *const endings[] = {"", ".hashes", ".have"};
  for (unsigned i = 0; i < G_N_ELEMENTS (endings); i++) {
    g_autofree char *path = beside (self, endings[i]);
    g_unlink (path);
  }
}

void
world_clear (World *self)
{
  unpublish (self);
  remove_copy (self);
  g_unlink (self->film);
  g_unlink (self->hashes);
  g_assert_cmpint (g_rmdir (self->folder), ==, 0);
  g_free (self->folder);
  g_free (self->film);
  g_free (self->hashes);
  g_free (self->path);
  g_free (self->bytes);
}

static bool
receiver_open_as (Receiver *self, const World *world, bool sparse, GError **error)
{
  PeerHashStore *hashes = NULL;
  memset (self, 0, sizeof *self);
  self->store = sparse ? net_file_open_sparse (world->path, &world->content, &hashes, error)
                       : net_file_open (world->path, &world->content, &hashes, error);
  if (!self->store)
    return false;
  self->integrity = peer_integrity_new (&world->content, 0, hashes, error);
  self->known = peer_chunks_new (0);
  self->store->class->chunks (self->store, self->known);
  return self->integrity != NULL;
}

bool
receiver_open (Receiver *self, const World *world, GError **error)
{
  return receiver_open_as (self, world, false, error);
}

bool
receiver_open_sparse (Receiver *self, const World *world, GError **error)
{
  return receiver_open_as (self, world, true, error);
}

void
receiver_open_sparse_well (Receiver *self, const World *world)
{
  g_autoptr (GError) error = NULL;
  receiver_open_sparse (self, world, &error);
  g_assert_no_error (error);
}

void
receiver_open_well (Receiver *self, const World *world)
{
  g_autoptr (GError) error = NULL;
  receiver_open (self, world, &error);
  g_assert_no_error (error);
}

/* The store first or last: the hashes may outlive it. */
void
receiver_close (Receiver *self, bool is_store_first)
{
  if (is_store_first)
    peer_store_free (self->store);
  peer_integrity_free (self->integrity);
  if (!is_store_first)
    peer_store_free (self->store);
  peer_chunks_free (self->known);
}

const uint8_t *
chunk_of (const World *world, uint64_t chunk, size_t *n)
{
  *n = MIN (chunk_size, world->length - (size_t)chunk * chunk_size);
  return world->bytes + chunk * chunk_size;
}

bool
fetch_if_proven (Receiver *self, const World *world, uint64_t chunk, const PeerChunks *known,
                 PeerStoreResult *result)
{
  PeerHash proof[PEER_PROOF_MAX];
  size_t n;
  const uint8_t *bytes = chunk_of (world, chunk, &n);
  int n_proof = peer_integrity_proof (world->source, chunk, known, NULL, proof);
  g_assert_cmpint (n_proof, >=, 0);
  for (int i = 0; i < n_proof; i++)
    peer_pending_hashes_add (&self->pending, proof[i].chunks, proof[i].hash, 32);
  PeerIntegrityResult integrity =
      peer_integrity_check (self->integrity, &self->pending, chunk, bytes, n);
  g_assert_true (integrity == PEER_INTEGRITY_GOOD || integrity == PEER_INTEGRITY_MISSING);
  if (integrity != PEER_INTEGRITY_GOOD)
    return false;
  *result = self->store->class->write (self->store, chunk, bytes, n);
  if (*result == PEER_STORE_OK)
    peer_chunks_add (self->known, (PeerRange){chunk, chunk + 1});
  return true;
}

PeerStoreResult
fetch (Receiver *self, const World *world, uint64_t chunk)
{
  PeerStoreResult result;
  g_assert_true (fetch_if_proven (self, world, chunk, self->known, &result));
  return result;
}

/* What is read is the content, always. */
bool
holds (const Receiver *self, const World *world, uint64_t chunk)
{
  uint8_t bytes[CHUNK];
  size_t n, n_true;
  PeerStoreResult result = self->store->class->read (self->store, chunk, bytes, CHUNK, &n);
  g_assert_true (result == PEER_STORE_OK || result == PEER_STORE_ABSENT);
  if (result != PEER_STORE_OK)
    return false;
  const uint8_t *truth = chunk_of (world, chunk, &n_true);
  g_assert_cmpmem (bytes, n, truth, n_true);
  return true;
}

uint64_t
count_held (const Receiver *self, const World *world)
{
  uint64_t n = 0;
  for (uint64_t c = 0; c < world->n_chunks; c++)
    n += holds (self, world, c);
  return n;
}

void
assert_file_is_content (const World *world)
{
  g_autofree char *copy = NULL;
  gsize n;
  g_assert_true (g_file_get_contents (world->path, &copy, &n, NULL));
  g_assert_cmpmem (copy, n, world->bytes, world->length);
}
