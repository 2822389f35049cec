/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams that fit the way (RFC 7574, 8.1): by itself, and between two engines. */
#include "peer/path.h"
#include "tests/peer/engines.h"

#define SECOND INT64_C (1000000)

static void
test_safe_first (void)
{
  PeerPath path;
  peer_path_init (&path);
  g_assert_cmpuint (path.proven, ==, PEER_DATAGRAM_SAFE);
  g_assert_cmpuint (peer_path_room (&path, 0), ==, PEER_DATAGRAM_MAX);
  peer_path_sent (&path, 1400);
  g_assert_cmpuint (peer_path_room (&path, 0), ==, PEER_DATAGRAM_SAFE); /* one probe at a time */
  peer_path_arrived (&path, 1000);
  g_assert_cmpuint (peer_path_room (&path, 0), ==, PEER_DATAGRAM_SAFE);
  peer_path_arrived (&path, 1400);
  g_assert_cmpuint (path.proven, ==, 1400);
  g_assert_cmpuint (peer_path_room (&path, 0), ==, PEER_DATAGRAM_MAX);
}

/* A way that takes 1380 bytes is found by probes of the biggest size that may be tried. */
static void
test_search (void)
{
  PeerPath path;
  unsigned lost = 0;
  peer_path_init (&path);
  for (unsigned i = 0; i < 30; i++) {
    size_t n = peer_path_room (&path, i);
    peer_path_sent (&path, n);
    if (n <= 1380) {
      peer_path_arrived (&path, n);
    } else {
      peer_path_lost (&path, i, n);
      lost++;
    }
  }
  g_assert_cmpuint (path.proven, >=, 1340);
  g_assert_cmpuint (path.proven, <=, 1380);
  g_assert_cmpuint (lost, <=, 8);
  /* the way may become wider */
  g_assert_cmpuint (peer_path_room (&path, 700 * SECOND), ==, PEER_DATAGRAM_MAX);
}

static void
test_told (void)
{
  PeerPath path;
  peer_path_init (&path);
  peer_path_too_big (&path, 0, 1400);
  g_assert_cmpuint (path.proven, ==, PEER_DATAGRAM_SAFE);
  g_assert_cmpuint (peer_path_room (&path, 0), ==, 1399);
  peer_path_too_big (&path, 0, 1000);
  g_assert_cmpuint (peer_path_room (&path, 0), ==, 999);
  peer_path_too_big (&path, 0, 10);
  g_assert_cmpuint (peer_path_room (&path, 0), ==, 548); /* 8.1: less is not supported */
}

/* --- two engines --- */

static size_t mtu, biggest;
static unsigned dropped;
static bool tells;

/* Lost without a word, or refused at once as by one's own interface. */
static bool
narrow (Net *net, Datagram *datagram)
{
  biggest = MAX (biggest, datagram->size);
  if (datagram->size <= mtu)
    return true;
  dropped++;
  PeerAddress to = address_of (datagram->to);
  if (tells)
    peer_engine_too_big (net->engines[datagram->from], net->now, &to, datagram->size);
  return false;
}

static const struct Way {
  size_t mtu;
  bool tells;
} ways[] = {{PEER_DATAGRAM_SAFE, false},
            {PEER_DATAGRAM_SAFE, true},
            {1400, false},
            {1400, true},
            {PEER_DATAGRAM_MAX, false}};

/* A film whose chunks need many hashes arrives whole, and few datagrams are lost on the way to the
 * right size: the ones that try. */
static void
test_way (gconstpointer data)
{
  const struct Way *way = data;
  Net net;
  Film film;
  PeerSwarm *swarm = net_init_film (&net, 2, &film, 3000);
  mtu = way->mtu;
  tells = way->tells;
  biggest = dropped = 0;
  net.tamper = narrow;
  want (&net, 1, swarm, (PeerRange){0, 3000});
  net_run (&net, net.now + 20 * SECOND);
  assert_has (swarm, (PeerRange){0, 3000}, 100);
  g_assert_cmpuint (biggest, >, PEER_DATAGRAM_SAFE); /* it was tried */
  g_assert_cmpuint (dropped, <=, 12);
  if (way->mtu == PEER_DATAGRAM_MAX)
    g_assert_cmpuint (dropped, ==, 0);
  g_assert_cmpuint (peer_engine_counters (net.engines[0])->datagrams_too_big, ==,
                    way->tells ? dropped : 0);
  net_clear (&net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/path/safe-first-then-more", test_safe_first);
  g_test_add_func ("/peer/path/the-size-is-found-by-halves", test_search);
  g_test_add_func ("/peer/path/what-does-not-fit-is-not-sent-again", test_told);
  for (unsigned i = 0; i < G_N_ELEMENTS (ways); i++) {
    g_autofree char *name = g_strdup_printf ("/peer/path/film-arrives-through-%u-bytes%s",
                                             (unsigned)ways[i].mtu, ways[i].tells ? "-told" : "");
    g_test_add_data_func (name, &ways[i], test_way);
  }
  return g_test_run ();
}
