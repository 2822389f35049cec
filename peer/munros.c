/* SPDX-License-Identifier: Apache-2.0 */
/* A slot holds one subtree: its munro, the signature of it, and all 2N - 1 hashes of the subtree
 * as a heap, of which the first is the munro's:
 *
 *                    0$                 $ = the munro, signed
 *                  /    \
 *                1        2             N = 4 chunks per signature
 *               / \      / \
 *              3   4    5   6
 *              C0  C1   C2  C3
 *
 * Subtree i lies in slot i modulo their number. A newer subtree takes the slot of an older one,
 * and only the source's signature makes one newer, so nobody else can push anything out. */
#include "peer/munros.h"

#include <string.h>

/* Of ours: a limit for whoever wants to keep "everything"; with 64 chunks a munro it is 12 hours
 * at 8 Mbit/s. */
#define MAX_KEPT (UINT64_C (1) << 19)

typedef struct {
  uint64_t number; /* of the subtree: its first chunk / chunks per signature */
  bool is_signed;
  uint64_t time;
  uint16_t signature_size;
  uint8_t signature[PEER_SIGNATURE_MAX];
  uint8_t bytes[]; /* the hashes, then a bit for each: is it here? */
} Slot;

struct PeerMunros {
  PeerHashStore hashes;
  size_t hash_size;
  unsigned height; /* of a munro */
  uint64_t n_slots;
  Slot **slots;
  bool is_empty;
  uint64_t newest, oldest; /* numbers of signed subtrees, unless empty */
};

static size_t
n_nodes (const PeerMunros *self)
{
  return ((size_t)2 << self->height) - 1;
}

static uint8_t *
presence (const PeerMunros *self, const Slot *slot)
{
  return (uint8_t *)slot->bytes + n_nodes (self) * self->hash_size;
}

/* Room for one subtree that is being filled beside those that are kept. */
static bool
is_left (const PeerMunros *self, uint64_t number)
{
  return !self->is_empty && number < self->newest && self->newest - number >= self->n_slots - 1;
}

static Slot *
find_slot (const PeerMunros *self, uint64_t number)
{
  Slot *slot = self->slots[number % self->n_slots];
  return slot && slot->number == number && !is_left (self, number) ? slot : NULL;
}

static Slot *
find_signed (const PeerMunros *self, uint64_t number)
{
  Slot *slot = find_slot (self, number);
  return slot && slot->is_signed ? slot : NULL;
}

/* The slot and the place in its heap; NULL = it is not here, or above the munros. */
static Slot *
find_node (const PeerMunros *self, uint64_t bin, size_t *node)
{
  unsigned height = (unsigned)__builtin_ctzll (~bin);
  if (height > self->height)
    return NULL;
  uint64_t number = bin >> height >> 1;
  unsigned depth = self->height - height;
  *node = ((size_t)1 << depth) - 1 + (size_t)(number & (((uint64_t)1 << depth) - 1));
  return find_slot (self, number >> depth);
}

static bool
hashes_read (PeerHashStore *store, uint64_t bin, uint8_t *out, size_t hash_size)
{
  const PeerMunros *self = (const PeerMunros *)store;
  size_t node;
  const Slot *slot = find_node (self, bin, &node);
  if (!slot || !slot->is_signed || hash_size != self->hash_size ||
      !(presence (self, slot)[node / 8] >> node % 8 & 1))
    return false;
  memcpy (out, slot->bytes + node * hash_size, hash_size);
  return true;
}

static bool
hashes_write (PeerHashStore *store, uint64_t bin, const uint8_t *hash, size_t hash_size)
{
  const PeerMunros *self = (const PeerMunros *)store;
  size_t node;
  Slot *slot = find_node (self, bin, &node);
  if (!slot || hash_size != self->hash_size)
    return false;
  memcpy (slot->bytes + node * hash_size, hash, hash_size);
  presence (self, slot)[node / 8] |= (uint8_t)(1u << node % 8);
  return true;
}

/* The munros own the view. */
static void
hashes_free (PeerHashStore *store)
{
}

static uint64_t
slots_for (uint64_t max_chunks, uint64_t chunks_per_signature)
{
  uint64_t n = max_chunks / chunks_per_signature + (max_chunks % chunks_per_signature != 0);
  return CLAMP (n, 1, MAX_KEPT) + 1;
}

PeerMunros *
peer_munros_new (uint32_t chunks_per_signature, uint64_t max_chunks, size_t hash_size)
{
  static const PeerHashStoreClass class = {hashes_read, hashes_write, hashes_free};
  PeerMunros *self = g_new0 (PeerMunros, 1);
  self->hashes.class = &class;
  self->hash_size = hash_size;
  self->height = (unsigned)__builtin_ctz (chunks_per_signature);
  self->n_slots = slots_for (max_chunks, chunks_per_signature);
  self->slots = g_new0 (Slot *, self->n_slots);
  self->is_empty = true;
  return self;
}

void
peer_munros_free (PeerMunros *self)
{
  if (!self)
    return;
  for (uint64_t i = 0; i < self->n_slots; i++)
    g_free (self->slots[i]);
  g_free (self->slots);
  g_free (self);
}

void
peer_munros_grow (PeerMunros *self, uint64_t max_chunks)
{
  uint64_t n = slots_for (max_chunks, UINT64_C (1) << self->height);
  if (n <= self->n_slots)
    return;
  Slot **slots = g_new0 (Slot *, n);
  for (uint64_t i = 0; i < self->n_slots; i++) {
    Slot *slot = self->slots[i];
    if (!slot)
      continue;
    Slot **place = &slots[slot->number % n];
    /* one that was left of the window would be in it again; those in it have a place each */
    if (is_left (self, slot->number) || *place)
      g_free (slot);
    else
      *place = slot;
  }
  g_free (self->slots);
  self->slots = slots;
  self->n_slots = n;
}

PeerHashStore *
peer_munros_hashes (PeerMunros *self)
{
  return &self->hashes;
}

bool
peer_munros_open (PeerMunros *self, uint64_t chunk)
{
  uint64_t number = chunk >> self->height;
  Slot **slot = &self->slots[number % self->n_slots];
  size_t n_presence = (n_nodes (self) + 7) / 8;
  if (is_left (self, number))
    return false;
  if (*slot && (*slot)->number == number)
    return true;
  if (!*slot)
    *slot = g_malloc (sizeof (Slot) + n_nodes (self) * self->hash_size + n_presence);
  (*slot)->number = number;
  (*slot)->is_signed = false;
  memset (presence (self, *slot), 0, n_presence);
  return true;
}

/* Keeps newest and oldest true, now that this one is signed. */
static void
extend (PeerMunros *self, uint64_t number)
{
  if (self->is_empty) {
    self->newest = self->oldest = number;
    self->is_empty = false;
  }
  self->newest = MAX (self->newest, number);
  self->oldest = MIN (self->oldest, number);
  if (is_left (self, self->oldest))
    self->oldest = self->newest - (self->n_slots - 2);
  while (!find_signed (self, self->oldest))
    self->oldest++;
}

bool
peer_munros_add (PeerMunros *self, const PeerMunro *munro)
{
  uint64_t number = munro->chunks.first >> self->height;
  if (munro->signature_size > PEER_SIGNATURE_MAX || !peer_munros_open (self, munro->chunks.first))
    return false;
  Slot *slot = self->slots[number % self->n_slots];
  slot->is_signed = true;
  slot->time = munro->time;
  slot->signature_size = munro->signature_size;
  memcpy (slot->signature, munro->signature, munro->signature_size);
  memcpy (slot->bytes, munro->hash, self->hash_size);
  presence (self, slot)[0] |= 1;
  extend (self, number);
  return true;
}

bool
peer_munros_is_old (const PeerMunros *self, uint64_t chunk)
{
  return is_left (self, chunk >> self->height);
}

bool
peer_munros_find (const PeerMunros *self, uint64_t chunk, PeerMunro *out)
{
  uint64_t number = chunk >> self->height;
  const Slot *slot = find_signed (self, number);
  if (!slot)
    return false;
  out->chunks = (PeerRange){number << self->height, (number + 1) << self->height};
  out->time = slot->time;
  out->signature_size = slot->signature_size;
  memcpy (out->signature, slot->signature, slot->signature_size);
  memcpy (out->hash, slot->bytes, self->hash_size);
  return true;
}

const uint8_t *
peer_munros_find_hash (const PeerMunros *self, uint64_t chunk)
{
  const Slot *slot = find_signed (self, chunk >> self->height);
  return slot ? slot->bytes : NULL;
}

bool
peer_munros_newest (const PeerMunros *self, PeerMunro *out)
{
  return !self->is_empty && peer_munros_find (self, self->newest << self->height, out);
}

bool
peer_munros_oldest (const PeerMunros *self, PeerMunro *out)
{
  return !self->is_empty && peer_munros_find (self, self->oldest << self->height, out);
}
