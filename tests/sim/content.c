/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks lie in slabs that never move. A store is a bit for each place of its ring, and the number
 * of its newest chunk. */
#include "tests/sim/content.h"

#include "tests/sim/net.h"
#include <string.h>

#define SLAB 64 /* chunks */

struct SimContent {
  uint32_t chunk_size;
  GArray *made;     /* int64_t by chunk */
  GPtrArray *slabs; /* uint8_t *; NULL where nothing was made */
  uint64_t last;    /* static: its last chunk */
  size_t last_size; /* static: bytes of it; 0 = all are whole */
};

typedef struct {
  PeerStore parent;
  SimContent *content; /* not owned */
  uint64_t max_chunks;
  uint64_t end; /* one past the newest chunk */
  uint64_t bits[];
} Store;

SimContent *
sim_content_new (uint32_t chunk_size)
{
  SimContent *self = g_new0 (SimContent, 1);
  self->chunk_size = chunk_size;
  self->made = g_array_new (FALSE, FALSE, sizeof (int64_t));
  self->slabs = g_ptr_array_new_with_free_func (g_free);
  return self;
}

void
sim_content_free (SimContent *self)
{
  if (self == NULL)
    return;
  g_array_unref (self->made);
  g_ptr_array_unref (self->slabs);
  g_free (self);
}

static uint8_t *
make_room (SimContent *self, uint64_t chunk, int64_t time)
{
  static const int64_t never = SIM_NEVER_MADE;
  g_assert_cmpuint (chunk, >=, self->made->len);
  while (self->made->len < chunk)
    g_array_append_val (self->made, never);
  g_array_append_val (self->made, time);
  guint slab = (guint)(chunk / SLAB);
  if (self->slabs->len <= slab)
    g_ptr_array_set_size (self->slabs, (gint)slab + 1);
  if (self->slabs->pdata[slab] == NULL)
    self->slabs->pdata[slab] = g_malloc ((gsize)SLAB * self->chunk_size);
  return (uint8_t *)self->slabs->pdata[slab] + chunk % SLAB * self->chunk_size;
}

static void
write_pcr (uint8_t *packet, int64_t time)
{
  uint64_t base = (uint64_t)time * 9 / 100; /* 90 kHz */
  packet[3] |= 0x20;
  packet[4] = 7;
  packet[5] = 0x10;
  packet[6] = (uint8_t)(base >> 25);
  packet[7] = (uint8_t)(base >> 17);
  packet[8] = (uint8_t)(base >> 9);
  packet[9] = (uint8_t)(base >> 1);
  packet[10] = (uint8_t)(base << 7 | 0x7e);
  packet[11] = 0;
}

const uint8_t *
sim_content_make_live (SimContent *self, uint64_t chunk, int64_t time)
{
  size_t n = self->chunk_size;
  uint8_t *out = make_room (self, chunk, time);
  SimRandom random = {chunk ^ (uint64_t)time << 20};
  sim_random_fill (&random, out, n);
  for (size_t at = 0; at + 188 <= n; at += 188) {
    out[at] = 0x47;
    out[at + 1] = 0x01;
    out[at + 2] = 0x00;
    out[at + 3] = (uint8_t)(0x10 | ((chunk * (n / 188) + at / 188) & 0x0f));
  }
  write_pcr (out, time);
  return out;
}

const uint8_t *
sim_content_make_static (SimContent *self, uint64_t chunk, size_t n)
{
  uint8_t *out = make_room (self, chunk, 0);
  SimRandom random = {~chunk};
  sim_random_fill (&random, out, n);
  self->last = chunk;
  self->last_size = n;
  return out;
}

int64_t
sim_content_made_at (const SimContent *self, uint64_t chunk)
{
  return chunk < self->made->len ? g_array_index (self->made, int64_t, chunk) : SIM_NEVER_MADE;
}

const uint8_t *
sim_content_bytes (const SimContent *self, uint64_t chunk, size_t *n)
{
  if (sim_content_made_at (self, chunk) == SIM_NEVER_MADE)
    return NULL;
  *n = self->last_size > 0 && chunk == self->last ? self->last_size : self->chunk_size;
  return (const uint8_t *)self->slabs->pdata[chunk / SLAB] + chunk % SLAB * self->chunk_size;
}

/* --- stores --- */

static void
set_bit (Store *self, uint64_t chunk, bool on)
{
  uint64_t place = chunk % self->max_chunks, bit = UINT64_C (1) << place % 64;
  self->bits[place / 64] = on ? self->bits[place / 64] | bit : self->bits[place / 64] & ~bit;
}

bool
sim_content_store_has (const PeerStore *store, uint64_t chunk)
{
  const Store *self = (const Store *)store;
  uint64_t place = chunk % self->max_chunks;
  return chunk < self->end && self->end - chunk <= self->max_chunks &&
         (self->bits[place / 64] >> place % 64 & 1) != 0;
}

static PeerStoreResult
store_read (PeerStore *store, uint64_t chunk, uint8_t *out, size_t room, size_t *n)
{
  const Store *self = (const Store *)store;
  if (!sim_content_store_has (store, chunk))
    return PEER_STORE_ABSENT;
  const uint8_t *bytes = sim_content_bytes (self->content, chunk, n);
  if (room < *n)
    return PEER_STORE_FAILED;
  memcpy (out, bytes, *n);
  return PEER_STORE_OK;
}

static PeerStoreResult
store_write (PeerStore *store, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  Store *self = (Store *)store;
  size_t true_size = 0;
  const uint8_t *true_bytes = sim_content_bytes (self->content, chunk, &true_size);
  if (true_bytes == NULL || n != true_size || memcmp (bytes, true_bytes, n) != 0)
    g_error ("chunk %" G_GUINT64_FORMAT " was kept with other bytes than the source's", chunk);
  if (self->end > chunk && self->end - chunk > self->max_chunks)
    return PEER_STORE_ABSENT;
  uint64_t gone = MAX (self->end, chunk + 1 > self->max_chunks ? chunk + 1 - self->max_chunks : 0);
  for (; gone <= chunk; gone++)
    set_bit (self, gone, false);
  self->end = MAX (self->end, chunk + 1);
  set_bit (self, chunk, true);
  return PEER_STORE_OK;
}

static void
store_discard (PeerStore *store, PeerRange run)
{
  Store *self = (Store *)store;
  uint64_t first = self->end > self->max_chunks ? self->end - self->max_chunks : 0;
  for (uint64_t chunk = MAX (run.first, first); chunk < MIN (run.end, self->end); chunk++)
    set_bit (self, chunk, false);
}

static void
store_chunks (PeerStore *store, PeerChunks *out)
{
  const Store *self = (const Store *)store;
  uint64_t chunk = self->end > self->max_chunks ? self->end - self->max_chunks : 0;
  for (; chunk < self->end; chunk++)
    if (sim_content_store_has (store, chunk))
      peer_chunks_add (out, (PeerRange){chunk, chunk + 1});
}

static void
store_free (PeerStore *store)
{
  g_free (store);
}

PeerStore *
sim_content_store_new (SimContent *self, uint64_t max_chunks)
{
  static const PeerStoreClass class = {
      .read = store_read,
      .write = store_write,
      .discard = store_discard,
      .chunks = store_chunks,
      .free = store_free,
  };
  Store *store = g_malloc0 (sizeof (Store) + (max_chunks + 63) / 64 * sizeof (uint64_t));
  store->parent.class = &class;
  store->content = self;
  store->max_chunks = max_chunks;
  return &store->parent;
}
