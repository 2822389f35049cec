/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/peer/engines.h"
#include <string.h>

static uint64_t
next_random (Net *self)
{
  self->random = self->random * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
  return self->random >> 11;
}

static void
fill_random (void *data, uint8_t *out, size_t n)
{
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)next_random (data);
}

PeerAddress
address_of (unsigned i)
{
  PeerAddress address = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, (uint8_t)(i + 1)}, .port = 7574};
  return address;
}

void
net_revive (Net *self, unsigned i)
{
  PeerEngineOptions options;
  peer_engine_options_init (&options);
  options.random = fill_random;
  options.random_data = self;
  options.wall_offset = WALL;
  options.wall_trusted = true;
  options.dead_time = self->dead_time;
  self->engines[i] = peer_engine_new (&options);
}

void
net_init (Net *self, unsigned n)
{
  *self = (Net){.n = n, .random = 42, .now = 1000000};
  g_queue_init (&self->wire);
  self->log = g_array_new (FALSE, FALSE, sizeof (Datagram));
  for (unsigned i = 0; i < n; i++) {
    self->events[i] = g_array_new (FALSE, FALSE, sizeof (PeerEvent));
    net_revive (self, i);
  }
}

void
net_clear (Net *self)
{
  for (unsigned i = 0; i < self->n; i++) {
    peer_engine_free (self->engines[i]);
    g_array_unref (self->events[i]);
  }
  g_queue_clear_full (&self->wire, g_free);
  g_array_unref (self->log);
}

void
net_send (Net *self, unsigned from, unsigned to, const uint8_t *bytes, size_t n)
{
  Datagram *datagram = g_new0 (Datagram, 1);
  *datagram = (Datagram){self->now + DELAY, from, to, n, {0}};
  memcpy (datagram->bytes, bytes, n);
  if (self->log->len < 64)
    g_array_append_val (self->log, *datagram);
  bool lost = self->loss > 0 && (double)(next_random (self) % 100000) < self->loss * 100000;
  if (lost || (self->tamper != NULL && !self->tamper (self, datagram)))
    g_free (datagram);
  else
    g_queue_push_tail (&self->wire, datagram);
}

static void
turn (Net *self, unsigned i)
{
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerAddress to;
  PeerEvent event;
  size_t n;
  if (self->engines[i] == NULL)
    return;
  while ((n = peer_engine_send (self->engines[i], self->now, &to, bytes, sizeof bytes)) > 0)
    if (to.ip[15] >= 1 && to.ip[15] <= self->n)
      net_send (self, i, to.ip[15] - 1, bytes, n);
  while (peer_engine_next_event (self->engines[i], &event))
    g_array_append_val (self->events[i], event);
}

void
net_run (Net *self, int64_t until)
{
  for (;;) {
    int64_t next = until;
    for (unsigned i = 0; i < self->n; i++) {
      turn (self, i);
      if (self->engines[i] != NULL)
        next = MIN (next, peer_engine_deadline (self->engines[i]));
    }
    Datagram *head = g_queue_peek_head (&self->wire);
    next = head != NULL ? MIN (next, head->due) : next;
    if (next >= until)
      break;
    self->now = MAX (self->now, next);
    while ((head = g_queue_peek_head (&self->wire)) != NULL && head->due <= self->now) {
      PeerAddress from = address_of (head->from);
      g_queue_pop_head (&self->wire);
      if (self->engines[head->to] != NULL)
        peer_engine_receive (self->engines[head->to], self->now, &from, head->bytes, head->size);
      g_free (head);
    }
  }
  self->now = MAX (self->now, until);
}

guint
count_events (const Net *self, unsigned i, PeerEventType type)
{
  guint n = 0;
  for (guint k = 0; k < self->events[i]->len; k++)
    n += g_array_index (self->events[i], PeerEvent, k).type == type;
  return n;
}

/* --- contents --- */

void
chunk_bytes (uint64_t chunk, uint8_t *out)
{
  for (size_t i = 0; i < CHUNK; i++)
    out[i] = (uint8_t)(chunk * 31 + i * 7 + (chunk >> 8));
}

void
make_film (Film *film, uint64_t n_chunks, size_t last)
{
  make_film_of (film, PEER_HASH_SHA256, n_chunks, last);
}

void
make_film_of (Film *film, PeerHashFunction hash, uint64_t n_chunks, size_t last)
{
  uint8_t bytes[CHUNK];
  peer_content_init_static (&film->content);
  film->content.hash = hash;
  film->content.chunk_size = CHUNK;
  film->content.swarm_id_size = 0;
  film->content.length = (n_chunks - 1) * CHUNK + last;
  film->integrity = peer_integrity_new (&film->content, 0, NULL, NULL);
  film->store = peer_store_memory_new (CHUNK, n_chunks);
  g_assert_nonnull (film->integrity);
  for (uint64_t chunk = 0; chunk < n_chunks; chunk++) {
    size_t n = chunk + 1 == n_chunks ? last : CHUNK;
    chunk_bytes (chunk, bytes);
    peer_integrity_append (film->integrity, bytes, n);
    g_assert_cmpint (film->store->class->write (film->store, chunk, bytes, n), ==, PEER_STORE_OK);
  }
  peer_integrity_finish (film->integrity, film->content.swarm_id);
  film->content.swarm_id_size = (uint16_t)peer_hash_size (hash);
}

void
film_clear (Film *film)
{
  peer_integrity_free (film->integrity);
  peer_store_free (film->store);
}

PeerWireFormat
film_format (void)
{
  PeerContent content;
  peer_content_init_static (&content);
  content.chunk_size = CHUNK;
  return peer_wire_format (&content);
}

PeerSwarm *
seed (Net *net, unsigned i, Film *film)
{
  PeerJoin join = {.content = &film->content, .store = film->store, .integrity = film->integrity};
  return film->swarm = peer_engine_join (net->engines[i], &join, NULL);
}

PeerSwarm *
leech (Net *net, unsigned i, const PeerContent *content, uint64_t n_chunks)
{
  PeerJoin join = {.content = content,
                   .store = peer_store_memory_new (CHUNK, n_chunks),
                   .discard_window = n_chunks};
  PeerSwarm *swarm = peer_engine_join (net->engines[i], &join, NULL);
  PeerAddress seeder = address_of (0);
  g_assert_nonnull (swarm);
  peer_engine_add_peer (net->engines[i], swarm, &seeder);
  return swarm;
}

PeerSwarm *
net_init_film (Net *net, unsigned n, Film *film, uint64_t n_chunks)
{
  net_init (net, n);
  make_film (film, n_chunks, 100);
  seed (net, 0, film);
  return leech (net, 1, &film->content, n_chunks);
}

PeerKey *
make_live (PeerContent *content)
{
  PeerKey *key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  peer_content_init_live (content);
  peer_key_swarm_id (key, content);
  content->chunk_size = CHUNK;
  content->chunks_per_signature = MUNRO;
  return key;
}

PeerSwarm *
go_live (Net *net, unsigned i, const PeerContent *content, uint64_t window)
{
  PeerJoin join = {.content = content,
                   .store = peer_store_memory_new (CHUNK, window),
                   .discard_window = window,
                   .source = true};
  PeerSwarm *swarm = peer_engine_join (net->engines[i], &join, NULL);
  g_assert_nonnull (swarm);
  return swarm;
}

/* --- what is written by hand --- */

PeerOptions
options_of (const PeerContent *content)
{
  bool live = peer_content_is_live (content);
  return (PeerOptions){
      .has_version = true,
      .version = 1,
      .has_minimum_version = true,
      .minimum_version = 1,
      .has_swarm_id = true,
      .swarm_id = {content->swarm_id, content->swarm_id_size},
      .has_method = true,
      .method = content->method,
      .has_hash = true,
      .hash = content->hash,
      .has_signature = live,
      .signature = content->signature,
      .has_addressing = true,
      .addressing = content->addressing,
      .has_discard_window = live,
      .discard_window = UINT64_MAX,
      .has_chunk_size = true,
      .chunk_size = content->chunk_size,
  };
}

void
put_handshake (PeerWriter *writer, uint32_t channel, const PeerOptions *options)
{
  uint8_t bytes[PEER_SWARM_ID_MAX + 64];
  PeerWriter list = {bytes, 0, sizeof bytes};
  g_assert_true (peer_options_write (&list, options));
  PeerMessage message = {
      .type = PEER_MESSAGE_HANDSHAKE, .channel = channel, .bytes = {bytes, list.used}};
  g_assert_true (peer_wire_write (writer, NULL, &message));
}

void
put_munro (PeerWriter *writer, const PeerContent *content, PeerIntegrity *source, PeerKey *key,
           int64_t now)
{
  uint8_t bytes[CHUNK];
  PeerMunro munro;
  PeerWireFormat format = peer_wire_format (content);
  for (uint32_t i = 0; i < content->chunks_per_signature; i++) {
    chunk_bytes (i, bytes);
    peer_integrity_append (source, bytes, CHUNK);
  }
  g_assert_true (peer_integrity_sign (source, key, peer_ntp_from_us (WALL + now)));
  g_assert_true (peer_integrity_newest_munro (source, &munro));
  PeerMessage hash = {.type = PEER_MESSAGE_INTEGRITY,
                      .chunks = munro.chunks,
                      .bytes = {munro.hash, format.hash_size}};
  PeerMessage signature = {.type = PEER_MESSAGE_SIGNED_INTEGRITY,
                           .chunks = munro.chunks,
                           .time = munro.time,
                           .bytes = {munro.signature, munro.signature_size}};
  g_assert_true (peer_wire_write (writer, &format, &hash));
  g_assert_true (peer_wire_write (writer, &format, &signature));
}

uint32_t
channel_of (const Net *net, unsigned from, unsigned to)
{
  for (guint i = 0; i < net->log->len; i++) {
    const Datagram *datagram = &g_array_index (net->log, Datagram, i);
    PeerReader reader = {datagram->bytes, datagram->size};
    uint32_t id = 0;
    if (datagram->from == from && datagram->to == to && peer_reader_u32 (&reader, &id) && id != 0)
      return id;
  }
  g_assert_not_reached ();
}

/* --- what is wanted, and what came --- */

void
want (Net *net, unsigned i, PeerSwarm *swarm, PeerRange window)
{
  PeerWant all = {window, net->now, 100};
  peer_engine_want (net->engines[i], swarm, &all, 1);
}

void
assert_has (PeerSwarm *swarm, PeerRange run, size_t last)
{
  uint8_t expected[CHUNK], got[CHUNK];
  g_assert_true (peer_chunks_has_all (peer_swarm_chunks (swarm), run));
  for (uint64_t chunk = run.first; chunk < run.end; chunk++) {
    size_t n = 0, wanted = chunk + 1 == run.end ? last : CHUNK;
    PeerStore *store = peer_swarm_store (swarm);
    chunk_bytes (chunk, expected);
    g_assert_cmpint (store->class->read (store, chunk, got, sizeof got, &n), ==, PEER_STORE_OK);
    g_assert_cmpmem (got, n, expected, wanted);
  }
}
