/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/proofs.h"

#include "peer/wire.h"

#define N_IDS 16

typedef struct {
  PeerAddress address;
  unsigned peer;
} Key;

/* What passed between one peer and one address. */
typedef struct {
  bool is_named, is_proven;
  uint64_t in, out;    /* bytes, until it is proven */
  uint32_t ids[N_IDS]; /* the newest channel IDs that were sent there, and nowhere else */
  unsigned n_ids;
} Proof;

struct SimProofs {
  GHashTable *proofs; /* Key -> Proof */
};

static guint
hash_key (gconstpointer data)
{
  const Key *key = data;
  return peer_address_hash (&key->address) ^ key->peer * 2654435761u;
}

static gboolean
equal_keys (gconstpointer a, gconstpointer b)
{
  const Key *left = a, *right = b;
  return left->peer == right->peer && peer_address_equal (&left->address, &right->address);
}

SimProofs *
sim_proofs_new (void)
{
  SimProofs *self = g_new0 (SimProofs, 1);
  self->proofs = g_hash_table_new_full (hash_key, equal_keys, g_free, g_free);
  return self;
}

void
sim_proofs_free (SimProofs *self)
{
  g_hash_table_unref (self->proofs);
  g_free (self);
}

static Proof *
find_proof (SimProofs *self, unsigned peer, const PeerAddress *address)
{
  Key key = {*address, peer};
  Proof *proof = g_hash_table_lookup (self->proofs, &key);
  if (proof == NULL) {
    proof = g_new0 (Proof, 1);
    g_hash_table_insert (self->proofs, g_memdup2 (&key, sizeof key), proof);
  }
  return proof;
}

void
sim_proofs_named (SimProofs *self, unsigned peer, const PeerAddress *address)
{
  find_proof (self, peer, address)->is_named = true;
}

static bool
has_id (const Proof *proof, uint32_t id)
{
  for (unsigned i = 0; i < MIN (proof->n_ids, N_IDS); i++)
    if (proof->ids[i] == id)
      return true;
  return false;
}

void
sim_proofs_received (SimProofs *self, unsigned peer, const PeerAddress *from, const uint8_t *bytes,
                     size_t n)
{
  Proof *proof = find_proof (self, peer, from);
  PeerReader datagram = {bytes, n};
  uint32_t id;
  if (proof->is_proven)
    return;
  proof->in += n;
  proof->is_proven = peer_reader_u32 (&datagram, &id) && id != 0 && has_id (proof, id);
}

void
sim_proofs_sent (SimProofs *self, unsigned peer, const PeerAddress *to, const uint8_t *bytes,
                 size_t n)
{
  Proof *proof = find_proof (self, peer, to);
  PeerReader datagram = {bytes, n};
  PeerMessage message;
  uint32_t id;
  if (proof->is_proven)
    return;
  g_assert_true (peer_reader_u32 (&datagram, &id));
  if (id == 0) {
    g_assert_true (proof->is_named);
  } else {
    proof->out += n;
    g_assert_cmpuint (proof->out, <=, proof->in);
  }
  if (peer_wire_read (&datagram, NULL, &message) == PEER_WIRE_MESSAGE && message.channel != 0)
    proof->ids[proof->n_ids++ % N_IDS] = message.channel;
}
