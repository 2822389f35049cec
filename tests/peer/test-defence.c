/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine does about peers that are up to no good, and what it must not do to those that are
 * not. */
#include "tests/peer/engines.h"

#define BAN_TIME INT64_C (600000000) /* us */

/* --- two signatures for one munro --- */

typedef struct {
  PeerContent content;
  PeerKey *key;
  PeerSwarm *swarms[2];
} Fork;

static void
fork_init (Fork *self, Net *net)
{
  self->key = make_live (&self->content);
  for (unsigned i = 0; i < 2; i++) {
    self->swarms[i] = go_live (net, i, &self->content, 1024);
    peer_engine_start (net->engines[i], self->swarms[i], 0);
  }
}

/* Source 0 makes what chunk_bytes() says, the other one something else. */
static void
fork_sign (Fork *self, Net *net, unsigned i, uint64_t first)
{
  uint8_t bytes[CHUNK];
  for (uint64_t chunk = first; chunk < first + MUNRO; chunk++) {
    chunk_bytes (chunk, bytes);
    bytes[0] ^= i > 0 ? 0xff : 0;
    g_assert_cmpuint (peer_engine_append (net->engines[i], self->swarms[i], bytes, sizeof bytes),
                      ==, chunk);
  }
  g_assert_true (peer_engine_sign (net->engines[i], self->swarms[i], self->key, net->now));
}

static void
test_fork (void)
{
  Net net;
  Fork fork;
  net_init (&net, 4);
  fork_init (&fork, &net);
  PeerSwarm *viewer = leech (&net, 2, &fork.content, 1024);
  PeerAddress other = address_of (1), first = address_of (2);
  peer_engine_add_peer (net.engines[2], viewer, &other);
  want (&net, 2, viewer, (PeerRange){0, 3 * MUNRO});
  net_run (&net, net.now + 1000000);
  fork_sign (&fork, &net, 0, 0);
  net_run (&net, net.now + DELAY / 2);
  fork_sign (&fork, &net, 1, 0);
  net_run (&net, net.now + 3000000);
  /* the first is kept, and whoever has the other is not to blame */
  assert_has (viewer, (PeerRange){0, MUNRO}, CHUNK);
  g_assert_cmpuint (peer_engine_counters (net.engines[2])->munros_forked, >, 0);
  g_assert_cmpuint (count_events (&net, 2, PEER_EVENT_BAD_PEER), ==, 0);
  /* it is not given on; what follows is */
  PeerJoin join = {.content = &fork.content,
                   .store = peer_store_memory_new (CHUNK, 1024),
                   .discard_window = 1024};
  PeerSwarm *next = peer_engine_join (net.engines[3], &join, NULL);
  peer_engine_add_peer (net.engines[3], next, &first);
  want (&net, 3, next, (PeerRange){0, 3 * MUNRO});
  net_run (&net, net.now + 1000000);
  fork_sign (&fork, &net, 0, MUNRO);
  net_run (&net, net.now + 3000000);
  assert_has (next, (PeerRange){MUNRO, 2 * MUNRO}, CHUNK);
  g_assert_false (peer_chunks_has_any (peer_swarm_chunks (next), (PeerRange){0, MUNRO}));
  peer_key_free (fork.key);
  net_clear (&net);
}

/* --- bans --- */

static bool
pollute (Net *net, Datagram *datagram)
{
  if (datagram->from == 0 && datagram->size > CHUNK)
    datagram->bytes[datagram->size - 1] ^= 1;
  return true;
}

static guint
bans (const Net *net)
{
  return count_events (net, 1, PEER_EVENT_BAD_PEER);
}

static void
test_ban_doubles (void)
{
  Net net;
  Film film;
  PeerSwarm *swarm = net_init_film (&net, 2, &film, 40);
  net.tamper = pollute;
  want (&net, 1, swarm, (PeerRange){0, 40});
  net_run (&net, net.now + 5000000);
  g_assert_cmpuint (bans (&net), ==, 1);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->chunks_bad, ==, 1);
  net_run (&net, net.now + BAN_TIME - 10000000);
  g_assert_cmpuint (bans (&net), ==, 1);
  net_run (&net, net.now + 300000000);
  g_assert_cmpuint (bans (&net), ==, 2);
  net_run (&net, net.now + 2 * BAN_TIME - 350000000);
  g_assert_cmpuint (bans (&net), ==, 2);
  net_run (&net, net.now + 700000000);
  g_assert_cmpuint (bans (&net), ==, 3);
  g_assert_true (peer_chunks_is_empty (peer_swarm_chunks (swarm)));
  net_clear (&net);
}

/* --- what nobody asked for --- */

static void
test_pusher_is_left (void)
{
  Net net;
  Film film;
  net_init_film (&net, 2, &film, 40);
  net_run (&net, net.now + 1000000);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->channels_opened, ==, 1);
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerWireFormat format = peer_wire_format (&film.content);
  PeerWriter writer = {bytes, 0, sizeof bytes};
  peer_writer_u32 (&writer, channel_of (&net, 0, 1));
  static const uint8_t nothing[CHUNK];
  PeerMessage data = {
      .type = PEER_MESSAGE_DATA, .chunks = {7, 8}, .bytes = {nothing, sizeof nothing}};
  g_assert_true (peer_wire_write (&writer, &format, &data));
  uint64_t closed = peer_engine_counters (net.engines[1])->channels_closed;
  for (unsigned i = 0; i < 1000; i++)
    net_send (&net, 0, 1, bytes, writer.used);
  net_run (&net, net.now + 50000);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->channels_closed, ==, closed + 1);
  net_clear (&net);
}

/* --- signatures without end --- */

#define PAIR 2 /* chunks of a munro */

typedef struct {
  PeerContent content;
  PeerIntegrity *source;
  PeerKey *key;
} Signer;

static void
signer_init (Signer *self)
{
  self->key = make_live (&self->content);
  self->content.chunks_per_signature = PAIR;
  self->source = peer_integrity_new (&self->content, 4 * PAIR, NULL, NULL);
  g_assert_nonnull (self->source);
}

static void
signer_clear (Signer *self)
{
  peer_integrity_free (self->source);
  peer_key_free (self->key);
}

/* n new munros, signed well, in datagrams of engine from to engine to. */
static void
say_munros (Signer *self, Net *net, unsigned from, unsigned to, unsigned n)
{
  uint8_t bytes[PEER_DATAGRAM_MAX];
  while (n-- > 0) {
    PeerWriter writer = {bytes, 0, sizeof bytes};
    peer_writer_u32 (&writer, channel_of (net, from, to));
    put_munro (&writer, &self->content, self->source, self->key, net->now);
    net_send (net, from, to, bytes, writer.used);
  }
  net_run (net, net->now + 2 * DELAY);
}

/* 12.6.5, INTEGRITY.1: one peer makes us check a hundred signatures a second of chunks that do
 * not come, and all together five hundred, even if each is good; who said more is not banned, since
 * the source has signed them. */
static void
test_signatures_are_rationed (void)
{
  const unsigned peers = 7;
  Net net;
  Signer signer;
  net_init (&net, peers + 1);
  signer_init (&signer);
  PeerSwarm *viewer = NULL;
  for (unsigned i = 0; i < peers; i++) {
    PeerAddress address = address_of (i);
    go_live (&net, i, &signer.content, 64);
    if (i == 0)
      viewer = leech (&net, peers, &signer.content, 64);
    else
      peer_engine_add_peer (net.engines[peers], viewer, &address);
  }
  net_run (&net, net.now + 2000000);
  const PeerCounters *counters = peer_engine_counters (net.engines[peers]);
  g_assert_cmpuint (counters->channels_opened, ==, peers);
  say_munros (&signer, &net, 0, peers, 150);
  g_assert_cmpuint (counters->signatures_checked, ==, 100);
  g_assert_cmpuint (counters->signatures_limited, ==, 50);
  net_run (&net, net.now + 1500000); /* as many more, later */
  say_munros (&signer, &net, 0, peers, 150);
  g_assert_cmpuint (counters->signatures_checked, ==, 200);
  net_run (&net, net.now + 1500000);
  for (unsigned i = 0; i < peers; i++)
    say_munros (&signer, &net, i, peers, 90);
  g_assert_cmpuint (counters->signatures_checked, >=, 700);
  g_assert_cmpuint (counters->signatures_checked, <=, 700 + 500 * peers * 2 * DELAY / 1000000);
  g_assert_cmpuint (counters->signatures_bad, ==, 0);
  g_assert_cmpuint (count_events (&net, peers, PEER_EVENT_BAD_PEER), ==, 0);
  signer_clear (&signer);
  net_clear (&net);
}

/* As many as the chunks need that come with them: otherwise a bitrate would be the limit. */
static void
test_a_stream_has_its_signatures (void)
{
  const unsigned per_second = 200, n = 5 * per_second * PAIR;
  Net net;
  PeerContent content;
  uint8_t bytes[CHUNK];
  net_init (&net, 2);
  PeerKey *key = make_live (&content);
  content.chunks_per_signature = PAIR;
  PeerSwarm *source = go_live (&net, 0, &content, n);
  PeerSwarm *viewer = leech (&net, 1, &content, n);
  want (&net, 1, viewer, (PeerRange){0, n});
  net_run (&net, net.now + 1000000);
  for (uint64_t chunk = 0; chunk < n; chunk += PAIR) {
    for (uint64_t i = chunk; i < chunk + PAIR; i++) {
      chunk_bytes (i, bytes);
      g_assert_cmpuint (peer_engine_append (net.engines[0], source, bytes, sizeof bytes), ==, i);
    }
    g_assert_true (peer_engine_sign (net.engines[0], source, key, net.now));
    net_run (&net, net.now + 1000000 / per_second);
  }
  net_run (&net, net.now + 1000000);
  const PeerCounters *counters = peer_engine_counters (net.engines[1]);
  g_assert_cmpuint (counters->signatures_limited, ==, 0);
  g_assert_cmpuint (counters->signatures_checked, ==, n / PAIR);
  g_assert_cmpuint (counters->chunks_received, ==, n);
  peer_key_free (key);
  net_clear (&net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/defence/fork-is-not-given-on-and-nobody-blamed", test_fork);
  g_test_add_func ("/peer/defence/polluter-is-banned-twice-as-long-each-time", test_ban_doubles);
  g_test_add_func ("/peer/defence/who-pushes-too-much-is-left", test_pusher_is_left);
  g_test_add_func ("/peer/defence/signatures-are-rationed", test_signatures_are_rationed);
  g_test_add_func ("/peer/defence/stream-has-its-signatures", test_a_stream_has_its_signatures);
  return g_test_run ();
}
