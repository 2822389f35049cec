/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks that were here and are not any more: a cache makes room, a store loses something. HAVE cannot
 * be taken back (RFC 7574, 3.2), so others ask for them all the same. */
#include "tests/peer/engines.h"

#include <string.h>

/* What is dropped is gone from the store, is not given, and is fetched again from one who was told
 * that it is here; then it is given again. */
static void
test_drop (void)
{
  Net net;
  Film film;
  const uint64_t n = 400;
  const PeerRange gone = {50, 200};
  PeerAddress cache = address_of (1);
  uint8_t bytes[CHUNK];
  size_t size;
  PeerSwarm *swarm = net_init_film (&net, 3, &film, n);
  want (&net, 1, swarm, (PeerRange){0, n});
  net_run (&net, net.now + 20000000);
  assert_has (swarm, (PeerRange){0, n}, 100);
  /* the third knows the cache alone, and has heard that all is there */
  PeerJoin join = {.content = &film.content, .store = peer_store_memory_new (CHUNK, n)};
  PeerSwarm *third = peer_engine_join (net.engines[2], &join, NULL);
  peer_engine_add_peer (net.engines[2], third, &cache);
  net_run (&net, net.now + 1000000);

  peer_engine_want (net.engines[1], swarm, NULL, 0);
  peer_engine_drop (net.engines[1], swarm, gone);
  g_assert_false (peer_chunks_has_any (peer_swarm_chunks (swarm), gone));
  g_assert_cmpuint (peer_chunks_count (peer_swarm_chunks (swarm)), ==, n - peer_range_size (gone));
  for (uint64_t chunk = gone.first; chunk < gone.end; chunk++)
    g_assert_cmpint (film.store->class->read (peer_swarm_store (swarm), chunk, bytes, CHUNK, &size),
                     ==, PEER_STORE_ABSENT);
  want (&net, 2, third, (PeerRange){0, n});
  net_run (&net, net.now + 10000000);
  g_assert_cmpuint (count_events (&net, 1, PEER_EVENT_LOST), ==, 1);
  g_assert_false (peer_chunks_has_any (peer_swarm_chunks (third), gone));
  assert_has (third, (PeerRange){0, gone.first}, CHUNK);
  assert_has (third, (PeerRange){gone.end, n}, 100);

  want (&net, 1, swarm, (PeerRange){0, n});
  net_run (&net, net.now + 20000000);
  assert_has (swarm, (PeerRange){0, n}, 100);
  net_run (&net, net.now + 20000000);
  assert_has (third, (PeerRange){0, n}, 100);
  for (unsigned i = 1; i < 3; i++) {
    g_assert_cmpuint (peer_engine_counters (net.engines[i])->chunks_bad, ==, 0);
    g_assert_cmpuint (peer_engine_counters (net.engines[i])->chunks_unproven, ==, 0);
  }
  net_clear (&net);
}

/* Chunks that engine i has told its house to be gone. */
static uint64_t
count_lost (const Net *net, unsigned i)
{
  uint64_t n = 0;
  for (guint k = 0; k < net->events[i]->len; k++) {
    const PeerEvent *event = &g_array_index (net->events[i], PeerEvent, k);
    n += event->type == PEER_EVENT_LOST ? peer_range_size (event->chunks) : 0;
  }
  return n;
}

static bool told_of_lost;
static const PeerRange lost = {10, 30};

/* Is the last one told that the cache has what is lost? */
static bool
hear_haves (Net *net, Datagram *datagram)
{
  PeerWireFormat format = film_format ();
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  while (datagram->from == 1 && datagram->to == 3 &&
         peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE)
    if (message.type == PEER_MESSAGE_HAVE)
      told_of_lost |= !peer_range_is_empty (peer_range_intersection (message.chunks, lost));
  return net != NULL;
}

/* What its store has lost behind its back a peer offers no longer, once it has been asked for it;
 * it may fetch it again, and gives it then. */
static void
test_absent (void)
{
  Net net;
  Film film;
  const uint64_t n = 60;
  PeerAddress keeper = address_of (1);
  PeerSwarm *swarm = net_init_film (&net, 4, &film, n);
  net.tamper = hear_haves;
  told_of_lost = false;
  want (&net, 1, swarm, (PeerRange){0, n});
  net_run (&net, net.now + 10000000);
  assert_has (swarm, (PeerRange){0, n}, 100);
  peer_engine_want (net.engines[1], swarm, NULL, 0);
  PeerStore *store = peer_swarm_store (swarm);
  store->class->discard (store, lost);

  PeerSwarm *later[2];
  for (unsigned i = 0; i < 2; i++) { /* who know it alone */
    PeerJoin join = {.content = &film.content, .store = peer_store_memory_new (CHUNK, n)};
    later[i] = peer_engine_join (net.engines[2 + i], &join, NULL);
    peer_engine_add_peer (net.engines[2 + i], later[i], &keeper);
    want (&net, 2 + i, later[i], (PeerRange){0, n});
    net_run (&net, net.now + 20000000);
    g_assert_false (peer_chunks_has_any (peer_swarm_chunks (later[i]), lost));
    assert_has (later[i], (PeerRange){lost.end, n}, 100);
    g_assert_false (peer_chunks_has_any (peer_swarm_chunks (swarm), lost));
    g_assert_cmpuint (peer_engine_counters (net.engines[1])->requests_absent, >=,
                      peer_range_size (lost));
    g_assert_cmpuint (count_lost (&net, 1), ==, peer_range_size (lost));
  }

  g_assert_false (told_of_lost);
  want (&net, 1, swarm, (PeerRange){0, n});
  net_run (&net, net.now + 60000000);
  g_assert_true (told_of_lost); /* it is here again */
  assert_has (swarm, (PeerRange){0, n}, 100);
  for (unsigned i = 0; i < 2; i++)
    assert_has (later[i], (PeerRange){0, n}, 100);
  net_clear (&net);
}

/* Chunks go here and there all the time, on a way that loses a tenth of all datagrams: what is wanted
 * is here in the end, and nobody is given wrong bytes. */
static void
test_drop_under_loss (void)
{
  Net net;
  Film film;
  const uint64_t n = 300;
  PeerSwarm *swarms[3] = {NULL};
  net_init (&net, 3);
  net.loss = 0.1;
  make_film (&film, n, 100);
  seed (&net, 0, &film);
  PeerAddress other = address_of (2);
  for (unsigned i = 1; i < 3; i++) {
    swarms[i] = leech (&net, i, &film.content, n);
    want (&net, i, swarms[i], (PeerRange){0, n});
  }
  peer_engine_add_peer (net.engines[1], swarms[1], &other);
  uint64_t dropped = 0;
  for (uint64_t k = 0; k < 60; k++) {
    net_run (&net, net.now + 200000);
    for (unsigned i = 1; i < 3; i++) {
      PeerRange run = {(k * 89 + i * 53) % n, (k * 89 + i * 53) % n + 1 + k % 40};
      uint64_t before = peer_chunks_count (peer_swarm_chunks (swarms[i]));
      peer_engine_drop (net.engines[i], swarms[i], run);
      g_assert_false (peer_chunks_has_any (peer_swarm_chunks (swarms[i]), run));
      dropped += before - peer_chunks_count (peer_swarm_chunks (swarms[i]));
    }
  }
  g_assert_cmpuint (dropped, >, n);
  for (unsigned k = 0; k < 600; k++) /* 10 minutes, or until all is here */
    if (!peer_chunks_has_all (peer_swarm_chunks (swarms[1]), (PeerRange){0, n}) ||
        !peer_chunks_has_all (peer_swarm_chunks (swarms[2]), (PeerRange){0, n}))
      net_run (&net, net.now + 1000000);
  for (unsigned i = 1; i < 3; i++) {
    assert_has (swarms[i], (PeerRange){0, n}, 100);
    g_assert_cmpuint (count_lost (&net, i), >, 0);
    g_assert_cmpuint (peer_engine_counters (net.engines[i])->chunks_bad, ==, 0);
    g_assert_cmpuint (peer_engine_counters (net.engines[i])->store_failures, ==, 0);
    g_assert_cmpuint (count_events (&net, i, PEER_EVENT_BAD_PEER), ==, 0);
  }
  net_clear (&net);
}

static int64_t requests_lost_until; /* us */

static bool
lose_requests (Net *net, Datagram *datagram)
{
  PeerWireFormat format = film_format ();
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  while (net->now < requests_lost_until && datagram->from == 1 &&
         peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE)
    if (message.type == PEER_MESSAGE_REQUEST)
      return false;
  return true;
}

/* Who does not answer is left alone for a while. When that is over it is asked again, though all that
 * is heard of it is that it lives. */
static void
test_avoided (void)
{
  Net net;
  Film film;
  Datagram alive = {.size = 4};
  const uint64_t n = 100;
  net_init (&net, 2);
  make_film (&film, n, 100);
  seed (&net, 0, &film);
  PeerSwarm *swarm = leech (&net, 1, &film.content, n);
  net_run (&net, net.now + 1000000);
  for (guint i = 0; i < net.log->len;
       i++) /* a keep-alive is the ID of their channel alone (8.14) */
    if (g_array_index (net.log, Datagram, i).from == 0)
      memcpy (alive.bytes, g_array_index (net.log, Datagram, i).bytes, alive.size);
  net.tamper = lose_requests;
  requests_lost_until = net.now + 4000000;
  want (&net, 1, swarm, (PeerRange){0, n});
  for (unsigned s = 0; s < 10; s++) {
    net_send (&net, 0, 1, alive.bytes, alive.size);
    net_run (&net, net.now + 1000000);
    if (net.now <= requests_lost_until)
      g_assert_cmpuint (peer_chunks_count (peer_swarm_chunks (swarm)), ==, 0);
  }
  assert_has (swarm, (PeerRange){0, n}, 100);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->unknown_channel, ==, 0);
  net_clear (&net);
}

static const PeerStoreClass *sound;
static bool is_full;

static PeerStoreResult
write_if_room (PeerStore *self, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  return is_full ? PEER_STORE_FAILED : sound->write (self, chunk, bytes, n);
}

/* What a full disk cannot keep is not fetched again and again; and soon enough when there is room. */
static void
test_full (void)
{
  static PeerStoreClass class;
  Net net;
  Film film;
  const uint64_t n = 400;
  PeerSwarm *swarm = net_init_film (&net, 2, &film, n);
  PeerStore *store = peer_swarm_store (swarm);
  const PeerCounters *counters = peer_engine_counters (net.engines[1]);
  sound = store->class;
  class = *sound;
  class.write = write_if_room;
  store->class = &class;
  is_full = true;
  want (&net, 1, swarm, (PeerRange){0, n});
  net_run (&net, net.now + 60000000);
  g_assert_cmpuint (peer_chunks_count (peer_swarm_chunks (swarm)), ==, 0);
  guint told = count_events (&net, 1, PEER_EVENT_UNKEPT);
  g_assert_cmpuint (told, >=, 3); /* it is tried still */
  g_assert_cmpuint (told, <=, 6); /* 1, 2, 4, 8, 16, 32 s */
  g_assert_cmpuint (counters->store_failures, >=, told);
  g_assert_cmpuint (counters->store_failures, <, n); /* some were on their way */
  is_full = false;
  net_run (&net, net.now + 70000000);
  assert_has (swarm, (PeerRange){0, n}, 100);
  is_full = true; /* and again from the beginning */
  peer_engine_drop (net.engines[1], swarm, (PeerRange){0, 10});
  net_run (&net, net.now + 5000000);
  g_assert_cmpuint (count_events (&net, 1, PEER_EVENT_UNKEPT), >=, told + 2);
  net_clear (&net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/drop/what-is-dropped-can-be-had-again", test_drop);
  g_test_add_func ("/peer/drop/what-a-store-lost-is-offered-no-longer", test_absent);
  g_test_add_func ("/peer/drop/what-is-dropped-under-loss-comes-back", test_drop_under_loss);
  g_test_add_func ("/peer/drop/who-was-left-alone-is-asked-again", test_avoided);
  g_test_add_func ("/peer/drop/what-a-full-disk-cannot-keep-is-not-fetched-again-and-again",
                   test_full);
  return g_test_run ();
}
