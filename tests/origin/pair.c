/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/origin/pair.h"

#include <string.h>

#define STEP 5000  /* us */
#define STORE 4096 /* chunks */

static void
fill_random (void *data, uint8_t *out, size_t n)
{
  Pair *self = data;

  for (size_t i = 0; i < n; i++) {
    self->random = self->random * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
    out[i] = (uint8_t)(self->random >> 33);
  }
}

static PeerAddress
address_of (uint8_t i)
{
  return (PeerAddress){.ip = {[10] = 0xff, 0xff, 192, 0, 2, i}, .port = 7576};
}

static PeerEngine *
make_engine (Pair *self)
{
  PeerEngineOptions options;

  peer_engine_options_init (&options);
  options.random = fill_random;
  options.random_data = self;
  options.wall_offset = INT64_C (1700000000000000);
  return peer_engine_new (&options);
}

static PeerSwarm *
join (PeerEngine *engine, const PeerContent *content, bool source)
{
  PeerJoin options = {.content = content,
                      .store = peer_store_memory_new (peer_content_chunk_max (content), STORE),
                      .discard_window = STORE / 2,
                      .source = source};
  g_autoptr (GError) error = NULL;
  PeerSwarm *swarm = peer_engine_join (engine, &options, &error);

  g_assert_no_error (error);
  return swarm;
}

void
pair_init (Pair *self, const PeerContent *content)
{
  PeerAddress address = address_of (1);

  *self = (Pair){.now = 1000000, .random = 4};
  self->got = g_byte_array_new ();
  self->munros = g_array_new (FALSE, FALSE, sizeof (PeerRange));
  self->next = UINT64_MAX;
  self->origin = make_engine (self);
  self->peer = make_engine (self);
  self->origin_swarm = join (self->origin, content, true);
  self->peer_swarm = join (self->peer, content, false);
  peer_engine_add_peer (self->peer, self->peer_swarm, &address);
}

void
pair_clear (Pair *self)
{
  peer_engine_free (self->origin);
  peer_engine_free (self->peer);
  g_byte_array_unref (self->got);
  g_array_unref (self->munros);
}

void
pair_new_origin (Pair *self, const PeerContent *content, uint64_t first)
{
  PeerAddress address = address_of (1);

  peer_engine_free (self->origin);
  self->origin = make_engine (self);
  self->origin_swarm = join (self->origin, content, true);
  self->next = first;
  peer_engine_add_peer (self->peer, self->peer_swarm, &address);
}

static void
carry (Pair *self, PeerEngine *from, uint8_t from_index, PeerEngine *to)
{
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerAddress target, source = address_of (from_index);
  size_t n;

  while ((n = peer_engine_send (from, self->now, &target, bytes, sizeof bytes)) > 0)
    peer_engine_receive (to, self->now, &source, bytes, n);
}

static void
take_chunks (Pair *self)
{
  const PeerChunks *have = peer_swarm_chunks (self->peer_swarm);
  PeerStore *store = peer_swarm_store (self->peer_swarm);
  uint8_t bytes[PEER_CHUNK_MAX];
  size_t n;

  for (; self->next != UINT64_MAX && peer_chunks_has (have, self->next); self->next++) {
    g_assert_cmpint (store->class->read (store, self->next, bytes, sizeof bytes, &n), ==,
                     PEER_STORE_OK);
    g_byte_array_append (self->got, bytes, (guint)n);
  }
}

static void
take_events (Pair *self)
{
  PeerEvent event;
  PeerWant want;

  while (peer_engine_next_event (self->origin, &event))
    ;
  while (peer_engine_next_event (self->peer, &event)) {
    if (event.type != PEER_EVENT_EDGE)
      continue;
    g_array_append_val (self->munros, event.chunks);
    if (self->next == UINT64_MAX)
      self->next = event.chunks.first;
    self->end = MAX (self->end, event.chunks.end); /* munros may come out of order */
    want = (PeerWant){
        .window = {self->next, self->end}, .deadline = self->now + 200000, .chunk_time = 1000};
    peer_engine_want (self->peer, self->peer_swarm, &want, 1);
  }
}

void
pair_run (Pair *self, int64_t duration)
{
  for (int64_t end = self->now + duration; self->now < end; self->now += STEP) {
    carry (self, self->peer, 2, self->origin);
    carry (self, self->origin, 1, self->peer);
    take_events (self);
    take_chunks (self);
  }
}
