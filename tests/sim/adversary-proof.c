/* SPDX-License-Identifier: Apache-2.0 */
/* Lies about hashes and signatures: made up, in floods, old ones again. */
#include "tests/sim/adversary.h"

#include <string.h>

typedef struct {
  PeerRange chunks;
  uint64_t time;
  int64_t at; /* us */
  uint8_t hash[PEER_HASH_MAX], signature[PEER_SIGNATURE_MAX];
  size_t signature_size;
} Munro;

#define KEPT_MUNROS 64

static void
say_munro (SimAdversary *self, PeerWriter *writer, const Munro *munro)
{
  sim_adversary_say (self, writer,
                     (PeerMessage){.type = PEER_MESSAGE_INTEGRITY,
                                   .chunks = munro->chunks,
                                   .bytes = {munro->hash, self->format.hash_size}});
  sim_adversary_say (self, writer,
                     (PeerMessage){.type = PEER_MESSAGE_SIGNED_INTEGRITY,
                                   .chunks = munro->chunks,
                                   .time = munro->time,
                                   .bytes = {munro->signature, munro->signature_size}});
}

/* --- signatures that nobody made --- */

enum { FORGE_NEXT, FORGE_HASH, FORGE_HASHES, FORGE_RETURNING };

static void
forge_munro (SimAdversary *self, Munro *out)
{
  PeerRange edge = sim_adversary_edge (self);
  uint64_t width = sim_world_content (self->world)->chunks_per_signature;
  uint64_t first = edge.end + width * sim_random_below (&self->random, 16);
  if (self->variant == FORGE_HASH)
    first = edge.first;
  *out = (Munro){.chunks = {first, first + width}, .signature_size = self->format.signature_size};
  out->time = (uint64_t)(1700000000 + 2208988800) << 32; /* the simulation's Unix time, in NTP's */
  sim_random_fill (&self->random, out->hash, sizeof out->hash);
  sim_random_fill (&self->random, out->signature, sizeof out->signature);
}

static void
forge_tick (SimAdversary *self)
{
  if (self->variant == FORGE_RETURNING && self->ticks % 20 == 0)
    sim_net_rebind (self->net, self->peer);
  for (guint i = 0; i < self->friends->len; i++) {
    const SimFriend *friend = &g_array_index (self->friends, SimFriend, i);
    SimDatagram out;
    Munro munro;
    sim_datagram_begin (&out, friend->channel);
    for (unsigned k = 0; k < 5 && self->variant != FORGE_HASHES; k++) {
      forge_munro (self, &munro);
      say_munro (self, &out.writer, &munro);
    }
    for (unsigned k = 0; k < 20 && self->variant == FORGE_HASHES; k++) {
      forge_munro (self, &munro);
      uint64_t first = sim_adversary_edge (self).first + k;
      sim_adversary_say (self, &out.writer,
                         (PeerMessage){.type = PEER_MESSAGE_INTEGRITY,
                                       .chunks = {first, first + 1},
                                       .bytes = {munro.hash, self->format.hash_size}});
    }
    sim_adversary_send (self, &friend->address, &out);
  }
}

/* --- what was true once --- */

static void
overhear (SimAdversary *self, const PeerAddress *from, const PeerMessage *message)
{
  Munro *munros = (Munro *)(void *)self->said->data;
  guint n = self->said->len / sizeof (Munro);
  if (message->type == PEER_MESSAGE_INTEGRITY &&
      peer_range_size (message->chunks) == sim_world_content (self->world)->chunks_per_signature) {
    for (guint i = 0; i < n; i++)
      if (munros[i].chunks.first == message->chunks.first)
        return;
    Munro munro = {.chunks = message->chunks, .at = sim_net_now (self->net)};
    memcpy (munro.hash, message->bytes.data, MIN (message->bytes.left, sizeof munro.hash));
    g_array_append_vals (self->said, (const char *)&munro, sizeof munro);
    if (n >= KEPT_MUNROS)
      g_array_remove_range (self->said, 0, sizeof munro);
  } else if (message->type == PEER_MESSAGE_SIGNED_INTEGRITY) {
    for (guint i = 0; i < n; i++) {
      if (munros[i].chunks.first != message->chunks.first || munros[i].signature_size > 0)
        continue;
      munros[i].time = message->time;
      munros[i].signature_size = MIN (message->bytes.left, sizeof munros[i].signature);
      memcpy (munros[i].signature, message->bytes.data, munros[i].signature_size);
    }
  }
}

/* Old news only: what is younger than some seconds is kept back, and the oldest is said again. */
#define STALE 4000000 /* us */

static bool
is_stale (SimAdversary *self, uint64_t chunk)
{
  const Munro *munros = (const Munro *)(const void *)self->said->data;
  for (guint i = 0; i < self->said->len / sizeof (Munro); i++)
    if (peer_range_has (munros[i].chunks, chunk))
      return munros[i].at + STALE < sim_net_now (self->net);
  return true;
}

static bool
keep_back (SimAdversary *self, const PeerAddress *to, PeerMessage *message)
{
  if (message->type == PEER_MESSAGE_HAVE || message->type == PEER_MESSAGE_SIGNED_INTEGRITY)
    return is_stale (self, message->chunks.end - 1);
  return true;
}

static void
repeat (SimAdversary *self, PeerWriter *writer)
{
  guint n = self->said->len / sizeof (Munro);
  if (n == 0)
    return;
  const Munro *munros = (const Munro *)(const void *)self->said->data;
  const Munro *old = &munros[sim_adversary_below (self, MAX (n / 2, 1))];
  if (old->signature_size == 0)
    return;
  say_munro (self, writer, old);
  self->blows++;
}

static void
repeat_tick (SimAdversary *self)
{
  for (guint i = 0; i < self->friends->len; i++) {
    const SimFriend *friend = &g_array_index (self->friends, SimFriend, i);
    SimDatagram out;
    sim_datagram_begin (&out, friend->channel);
    for (unsigned k = 0; k < 4; k++)
      repeat (self, &out.writer);
    sim_adversary_send (self, &friend->address, &out);
  }
}

const SimAttack sim_attacks_proof[] = {
    {.name = "P3",
     .what = "floods with signatures and hashes that nobody made",
     .variants = 4,
     .tick = forge_tick,
     .evidence = {SIM_EVIDENCE (signatures_bad), SIM_EVIDENCE (signatures_limited)},
     .n_evidence = 2},
    {.name = "P9",
     .what = "keeps back what is new, and says old munros again",
     .leeches = true,
     .message = keep_back,
     .more = repeat,
     .heard = overhear,
     .tick = repeat_tick},
    {.name = NULL},
};
