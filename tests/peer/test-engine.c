/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/demand.h"
#include "peer/playout.h"
#include "tests/peer/engines.h"
#include <string.h>

/* --- the handshake --- */

static bool
is_heavy (const Net *net, const Datagram *datagram, const PeerContent *content)
{
  PeerWireFormat format = peer_wire_format (content);
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  while (peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE)
    if (message.type == PEER_MESSAGE_DATA || message.type == PEER_MESSAGE_INTEGRITY ||
        message.type == PEER_MESSAGE_SIGNED_INTEGRITY)
      return true;
  return false;
}

static uint32_t
id_of (const Datagram *datagram)
{
  uint32_t id = 0;
  PeerReader reader = {datagram->bytes, datagram->size};
  peer_reader_u32 (&reader, &id);
  return id;
}

static void
test_handshake (void)
{
  Net net;
  Film film;
  PeerSwarm *swarm = net_init_film (&net, 2, &film, 40);
  want (&net, 1, swarm, (PeerRange){0, 40});
  net_run (&net, net.now + 60000);

  const Datagram *d = &g_array_index (net.log, Datagram, 0);
  g_assert_cmpuint (net.log->len, >=, 4);
  g_assert_cmpuint (id_of (&d[0]), ==, 0);
  g_assert_cmpuint (d[0].from, ==, 1);
  g_assert_cmpuint (d[1].from, ==, 0);
  g_assert_cmpuint (d[2].from, ==, 1);
  g_assert_cmpuint (id_of (&d[1]), !=, 0);
  g_assert_cmpuint (id_of (&d[2]), !=, 0);
  g_assert_cmpuint (id_of (&d[1]), !=, id_of (&d[2]));
  /* the answer's channel ID is the one that the first datagram told */
  g_assert_cmpmem (d[1].bytes, 4, d[0].bytes + 5, 4);
  g_assert_cmpmem (d[2].bytes, 4, d[1].bytes + 5, 4);
  g_assert_false (is_heavy (&net, &d[0], &film.content));
  g_assert_false (is_heavy (&net, &d[1], &film.content));
  g_assert_cmpuint (d[1].size, <=, d[0].size);
  net_clear (&net);
}

/* 12.1.2: who began answers the second datagram at once, also where it wants nothing. */
static void
test_third (void)
{
  Net net;
  Film film;
  net_init_film (&net, 2, &film, 40);
  int64_t start = net.now;
  net_run (&net, start + 2 * DELAY + 1000);
  g_assert_cmpuint (net.log->len, ==, 3);
  const Datagram *third = &g_array_index (net.log, Datagram, 2);
  g_assert_cmpuint (third->from, ==, 1);
  g_assert_cmpint (third->due - DELAY, ==, start + 2 * DELAY);
  net_clear (&net);
}

/* Sends one first datagram made of options to node 0; the number of datagrams that come back. */
static unsigned
answers_to (const PeerOptions *options, uint32_t channel, Net *net)
{
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  peer_writer_u32 (&writer, 0);
  put_handshake (&writer, channel, options);
  guint before = net->log->len;
  net_send (net, 1, 0, bytes, writer.used);
  net_run (net, net->now + 50000);
  return net->log->len - before - 1;
}

#define SILENT(field, value)                                                                       \
  bad = good;                                                                                      \
  bad.field = value;                                                                               \
  g_assert_cmpuint (answers_to (&bad, 78, &net), ==, 0)

static void
test_silence (void)
{
  Net net;
  Film film;
  uint8_t other[32] = {1};
  net_init (&net, 2);
  make_film (&film, 40, 100);
  seed (&net, 0, &film);
  PeerOptions good = options_of (&film.content), bad;
  g_assert_cmpuint (answers_to (&good, 77, &net), ==, 1);

  SILENT (chunk_size, 1024);
  SILENT (addressing, PEER_ADDRESSING_CHUNKS64);
  SILENT (method, PEER_METHOD_UNIFIED_MERKLE);
  SILENT (hash, PEER_HASH_SHA1);
  SILENT (version, 0);
  SILENT (minimum_version, 2);
  SILENT (has_minimum_version, false);
  SILENT (has_swarm_id, false);
  SILENT (has_method, false);
  SILENT (has_hash, false);
  SILENT (has_addressing, false);
  SILENT (has_chunk_size, false);
  SILENT (has_version, false);
  SILENT (swarm_id.data, other);
  SILENT (swarm_id.left, 31);
  g_assert_cmpuint (answers_to (&good, 0, &net), ==, 0); /* a closing one opens nothing */
  g_assert_cmpuint (peer_engine_counters (net.engines[0])->handshakes_refused, >=, 14);
  net_clear (&net);
}

/* 7.6, 7.7, 7.9: what a live swarm asks for besides, and what may be left out. */
static void
test_silence_live (void)
{
  Net net;
  PeerContent content;
  net_init (&net, 2);
  peer_key_free (make_live (&content));
  go_live (&net, 0, &content, 1024);
  PeerOptions good = options_of (&content), bad;
  g_assert_cmpuint (answers_to (&good, 77, &net), ==, 1);
  SILENT (has_signature, false);
  SILENT (signature, PEER_SIGNATURE_ECDSAP384SHA384);
  SILENT (has_discard_window, false);
  SILENT (hash, PEER_HASH_SHA1);
  SILENT (method, PEER_METHOD_SIGN_ALL);
  good.has_hash = false; /* SHA-256 */
  g_assert_cmpuint (answers_to (&good, 79, &net), ==, 1);
  net_clear (&net);
}
#undef SILENT

/* An address that never answers gets no more than it sent, however often it sends. */
static void
test_no_amplification (void)
{
  Net net;
  Film film;
  net_init (&net, 2);
  make_film (&film, 400, 100);
  seed (&net, 0, &film);
  peer_engine_free (net.engines[1]);
  net.engines[1] = NULL;
  PeerOptions good = options_of (&film.content);
  for (unsigned i = 0; i < 20; i++)
    answers_to (&good, i < 10 ? 77 : 1000 + i, &net);
  net_run (&net, net.now + 30000000);
  const PeerCounters *counters = peer_engine_counters (net.engines[0]);
  g_assert_cmpuint (counters->datagrams_sent, >, 0);
  g_assert_cmpuint (counters->bytes_sent, <=, counters->bytes_received);
  net_clear (&net);
}

static void
test_unknown_channel (void)
{
  Net net;
  Film film;
  PeerSwarm *swarm = net_init_film (&net, 3, &film, 40);
  net_run (&net, net.now + 100000);
  uint8_t bytes[4];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  peer_writer_u32 (&writer, channel_of (&net, 1, 0));
  net_send (&net, 2, 0, bytes, 4); /* the right ID, from another address */
  bytes[0] ^= 1;
  net_send (&net, 1, 0, bytes, 4); /* another ID, from the right address */
  net_run (&net, net.now + 50000);
  const PeerCounters *counters = peer_engine_counters (net.engines[0]);
  g_assert_cmpuint (counters->wrong_address, ==, 1);
  g_assert_cmpuint (counters->unknown_channel, ==, 1);
  want (&net, 1, swarm, (PeerRange){0, 40}); /* and the channel lives */
  net_run (&net, net.now + 1000000);
  assert_has (swarm, (PeerRange){0, 40}, 100);
  net_clear (&net);
}

/* --- static content --- */

static void
download (double loss, uint64_t n_chunks, bool length_known, int64_t time)
{
  Net net;
  Film film;
  net_init (&net, 2);
  net.loss = loss;
  make_film (&film, n_chunks, 100);
  PeerContent content = film.content;
  if (!length_known)
    content.length = 0;
  seed (&net, 0, &film);
  PeerSwarm *swarm = leech (&net, 1, &content, n_chunks);
  want (&net, 1, swarm, (PeerRange){0, n_chunks});
  net_run (&net, net.now + time);
  assert_has (swarm, (PeerRange){0, n_chunks}, 100);
  PeerSwarmStats stats;
  peer_swarm_stats (swarm, &stats);
  g_assert_cmpuint (stats.length, ==, (n_chunks - 1) * CHUNK + 100);
  if (!length_known)
    g_assert_cmpuint (count_events (&net, 1, PEER_EVENT_SIZE), >=, 1);
  const PeerCounters *counters = peer_engine_counters (net.engines[1]);
  g_assert_cmpuint (counters->chunks_bad, ==, 0);
  g_test_message ("%.0f %% loss: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                  " chunks came again, %" G_GUINT64_FORMAT " unproven",
                  loss * 100, counters->chunks_duplicate, n_chunks, counters->chunks_unproven);
  if (loss == 0) {
    g_assert_cmpuint (counters->chunks_duplicate, ==, 0);
    g_assert_cmpuint (counters->chunks_unproven, ==, 0);
    g_assert_cmpuint (peer_engine_counters (net.engines[0])->chunks_lost, ==, 0);
  }
  net_clear (&net);
}

static void
test_download (void)
{
  download (0, 1, true, 2000000);
  download (0, 7, true, 2000000);
  download (0, 1000, true, 20000000);
}

static void
test_size (void)
{
  download (0, 7, false, 2000000);
  download (0, 300, false, 10000000);
}

static void
test_loss (void)
{
  download (0.02, 500, true, 30000000);
  download (0.10, 300, false, 60000000);
}

/* --- chunks before their hashes --- */

static Datagram late;           /* the first chunk, which carries the hashes of those behind it */
static uint64_t delays_seen[2]; /* us: the least and the most that ACKs told */

static bool
keep_first_chunk (Net *net, Datagram *datagram)
{
  PeerWireFormat format = film_format ();
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  while (peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE) {
    if (message.type == PEER_MESSAGE_ACK) {
      delays_seen[0] = MIN (delays_seen[0], message.time);
      delays_seen[1] = MAX (delays_seen[1], message.time);
    } else if (message.type == PEER_MESSAGE_DATA && late.size == 0 && message.chunks.first == 0) {
      late = *datagram;
      return false;
    }
  }
  return net != NULL;
}

/* Who waits for hashes was not long on the way, and LEDBAT is not told that it was: else each loss
 * would look like a queue. */
static void
test_held_is_no_delay (void)
{
  Net net;
  Film film;
  PeerSwarm *swarm = net_init_film (&net, 2, &film, 8);
  late.size = 0;
  delays_seen[0] = UINT64_MAX;
  delays_seen[1] = 0;
  net.tamper = keep_first_chunk;
  want (&net, 1, swarm, (PeerRange){0, 4});
  net_run (&net, net.now + 3 * 2 * DELAY);
  g_assert_cmpuint (late.size, >, 0);
  g_assert_cmpuint (delays_seen[1], ==, 0); /* the others are here, but nothing is known of them */
  net_send (&net, 0, 1, late.bytes, late.size);
  net_run (&net, net.now + 2 * DELAY + 1000);
  g_assert_true (peer_chunks_has_all (peer_swarm_chunks (swarm), (PeerRange){0, 3}));
  g_assert_cmpuint (delays_seen[1], >, 0);
  g_assert_cmpuint (delays_seen[1] - delays_seen[0], <, DELAY);
  net_clear (&net);
}

/* What a peer will need next is known by what it told; who has all, or has stopped, needs nothing. */
static void
test_demand (void)
{
  Net net;
  Film film;
  const uint64_t n = 400;
  PeerRange runs[4];
  PeerSwarm *swarm = net_init_film (&net, 2, &film, n);
  g_assert_cmpuint (peer_swarm_demand (film.swarm, net.now, 50, runs, 4), ==, 0);
  net_run (&net, net.now + 1000000);
  g_assert_cmpuint (peer_swarm_demand (film.swarm, net.now, 50, runs, 0), ==, 0);
  g_assert_cmpuint (peer_swarm_demand (film.swarm, net.now, 50, runs, 4), ==, 1);
  g_assert_cmpuint (runs[0].first, ==, 0);
  g_assert_cmpuint (runs[0].end, ==, 50);
  want (&net, 1, swarm, (PeerRange){300, 320});
  net_run (&net, net.now + 3000000);
  g_assert_cmpuint (peer_swarm_demand (film.swarm, net.now, 50, runs, 4), ==, 1);
  g_assert_cmpuint (runs[0].first, ==, 320);
  g_assert_cmpuint (runs[0].end, ==, 370);
  want (&net, 1, swarm, (PeerRange){320, n});
  net_run (&net, net.now + 3000000);
  g_assert_cmpuint (peer_swarm_demand (film.swarm, net.now, 500, runs, 4), ==, 1);
  g_assert_cmpuint (runs[0].first, ==, 0);
  g_assert_cmpuint (runs[0].end, ==, 300);
  net_run (&net, net.now + 70000000);
  g_assert_cmpuint (peer_swarm_demand (film.swarm, net.now, 50, runs, 4), ==, 0);
  want (&net, 1, swarm, (PeerRange){0, n});
  net_run (&net, net.now + 10000000);
  assert_has (swarm, (PeerRange){0, n}, 100);
  g_assert_cmpuint (peer_swarm_demand (film.swarm, net.now, 50, runs, 4), ==, 0);
  net_clear (&net);
}

/* Chunks that wait for hashes go with the channel, and are then asked of another peer. */
static void
test_held_goes_with_the_channel (void)
{
  Net net;
  Film film, copy;
  PeerAddress other = address_of (2);
  PeerSwarm *swarm = net_init_film (&net, 3, &film, 8);
  make_film (&copy, 8, 100);
  seed (&net, 2, &copy);
  late.size = 0;
  net.tamper = keep_first_chunk;
  want (&net, 1, swarm, (PeerRange){0, 4});
  net_run (&net, net.now + 3 * 2 * DELAY);
  g_assert_cmpuint (late.size, >, 0);
  g_assert_cmpuint (peer_chunks_count (peer_swarm_chunks (swarm)), ==, 0);
  peer_engine_leave (net.engines[0], film.swarm);
  net_run (&net, net.now + 2 * DELAY);
  peer_engine_add_peer (net.engines[1], swarm, &other);
  net_run (&net, net.now + 5000000);
  assert_has (swarm, (PeerRange){0, 4}, CHUNK);
  net_clear (&net);
}

/* What came another way than from a peer is believed by its hashes alone. */
static void
test_offer (void)
{
  Net net;
  Film film;
  PeerHash proof[PEER_PROOF_MAX];
  PeerPendingHashes hashes = {0};
  uint8_t bytes[CHUNK];
  net_init (&net, 1);
  make_film (&film, 40, 100);
  PeerSwarm *swarm = leech (&net, 0, &film.content, 40);
  g_autoptr (PeerChunks) none = peer_chunks_new (0);
  int n = peer_integrity_proof (film.integrity, 7, none, none, proof);
  g_assert_cmpint (n, >, 0);
  chunk_bytes (7, bytes);
  g_assert_cmpint (peer_engine_offer (net.engines[0], swarm, &hashes, 7, bytes, CHUNK), ==,
                   PEER_INTEGRITY_MISSING);
  for (int i = 0; i < n; i++)
    peer_pending_hashes_add (&hashes, proof[i].chunks, proof[i].hash, 32);
  bytes[3] ^= 1;
  g_assert_cmpint (peer_engine_offer (net.engines[0], swarm, &hashes, 7, bytes, CHUNK), ==,
                   PEER_INTEGRITY_BAD);
  g_assert_false (peer_chunks_has (peer_swarm_chunks (swarm), 7));
  for (int i = 0; i < n; i++)
    peer_pending_hashes_add (&hashes, proof[i].chunks, proof[i].hash, 32);
  bytes[3] ^= 1;
  g_assert_cmpint (peer_engine_offer (net.engines[0], swarm, &hashes, 7, bytes, CHUNK), ==,
                   PEER_INTEGRITY_GOOD);
  bytes[3] ^= 1; /* once it is here, nobody looks at another */
  g_assert_cmpint (peer_engine_offer (net.engines[0], swarm, &hashes, 7, bytes, CHUNK), ==,
                   PEER_INTEGRITY_KNOWN);
  net_run (&net, net.now + 1000);
  const PeerCounters *counters = peer_engine_counters (net.engines[0]);
  g_assert_cmpuint (counters->chunks_unproven, ==, 1);
  g_assert_cmpuint (counters->chunks_bad, ==, 1);
  g_assert_cmpuint (counters->chunk_bytes_offered, ==, CHUNK);
  g_assert_cmpuint (counters->chunk_bytes_received, ==, 0);
  PeerSwarmStats stats;
  peer_swarm_stats (swarm, &stats);
  g_assert_true (stats.offered == CHUNK && stats.downloaded == 0);
  g_assert_true (peer_chunks_has (peer_swarm_chunks (swarm), 7));
  g_assert_cmpuint (peer_chunks_count (peer_swarm_chunks (swarm)), ==, 1);
  film_clear (&film);
  net_clear (&net);
}

/* --- bad peers --- */

/* A HAVE whose range is inverted. */
static bool
garble (Net *net, Datagram *datagram)
{
  static const uint8_t have[] = {PEER_MESSAGE_HAVE, 0, 0, 0, 2, 0, 0, 0, 1};
  if (datagram->from == 0 && datagram->size > CHUNK)
    memcpy (datagram->bytes + 4, have, sizeof have);
  return true;
}

static void
test_malformed (void)
{
  Net net;
  Film film;
  PeerSwarm *swarm = net_init_film (&net, 2, &film, 40);
  net.tamper = garble;
  want (&net, 1, swarm, (PeerRange){0, 40});
  net_run (&net, net.now + 5000000);
  PeerSwarmStats stats;
  peer_swarm_stats (swarm, &stats);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->malformed, >=, 1);
  g_assert_cmpuint (stats.channels, ==, 0);
  net_clear (&net);
}

static bool nonsense;

/* Each datagram ends with a message that nobody has defined; in the second part of the test
 * all begin with one. */
static bool
extend (Net *net, Datagram *datagram)
{
  bool first = datagram->size > 4 && datagram->bytes[4] == PEER_MESSAGE_HANDSHAKE;
  if (datagram->from != 0 || first || datagram->size + 2 > sizeof datagram->bytes)
    return true;
  if (nonsense)
    datagram->size = 4;
  datagram->bytes[datagram->size++] = 200;
  return true;
}

/* Section 3: what follows an unknown message is discarded; who says one now and then is kept, who
 * says nothing else is left, and may come again. */
static void
test_unknown_message (void)
{
  Net net;
  Film film;
  net_init (&net, 2);
  make_film (&film, 4, CHUNK); /* of whole chunks: behind a short one all is data */
  seed (&net, 0, &film);
  PeerSwarm *swarm = leech (&net, 1, &film.content, 4);
  const PeerCounters *counters = peer_engine_counters (net.engines[1]);
  net.tamper = extend;
  want (&net, 1, swarm, (PeerRange){0, 4});
  net_run (&net, net.now + 1000000);
  assert_has (swarm, (PeerRange){0, 4}, CHUNK);
  g_assert_cmpuint (counters->messages_unknown, >, 0);
  g_assert_cmpuint (counters->malformed, ==, 0);
  g_assert_cmpuint (counters->channels_closed, ==, 0);
  nonsense = true;
  net_run (&net, net.now + INT64_C (600000000));
  g_assert_cmpuint (counters->messages_unknown, >=, 16);
  g_assert_cmpuint (counters->channels_closed, >=, 1);
  g_assert_cmpuint (count_events (&net, 1, PEER_EVENT_BAD_PEER), ==, 0);
  net_clear (&net);
}

/* What peers tell and ask in vain is counted: a router has no other way to say it. */
static void
test_counters (void)
{
  Net net;
  Film film;
  PeerSwarm *swarm = net_init_film (&net, 2, &film, 4000);
  net_run (&net, net.now + 100000);
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerWireFormat format = peer_wire_format (&film.content);
  PeerWriter writer = {bytes, 0, sizeof bytes};
  peer_writer_u32 (&writer, channel_of (&net, 1, 0));
  PeerMessage message = {.type = PEER_MESSAGE_REQUEST, .chunks = {4000, 4001}};
  g_assert_true (peer_wire_write (&writer, &format, &message));
  for (uint64_t i = 0; i < 1030; i++) {
    message = (PeerMessage){.type = PEER_MESSAGE_HAVE, .chunks = {2 * i, 2 * i + 1}};
    if (!peer_wire_write (&writer, &format, &message)) {
      net_send (&net, 1, 0, bytes, writer.used);
      writer.used = 4;
      i--;
    }
  }
  net_send (&net, 1, 0, bytes, writer.used);
  net_run (&net, net.now + 15000);
  g_assert_cmpuint (peer_engine_counters (net.engines[0])->requests_absent, ==, 1);
  g_assert_cmpuint (peer_engine_counters (net.engines[0])->haves_dropped, ==, 6);
  g_assert_true (peer_chunks_is_empty (peer_swarm_chunks (swarm)));
  net_clear (&net);
}

/* --- closing --- */

static void
test_goodbye (void)
{
  Net net;
  Film film;
  PeerSwarm *swarm = net_init_film (&net, 2, &film, 40);
  PeerSwarmStats stats;
  net_run (&net, net.now + 100000);
  peer_swarm_stats (film.swarm, &stats);
  g_assert_cmpuint (stats.channels, ==, 1);
  guint before = net.log->len;
  peer_engine_leave (net.engines[1], swarm);
  net_run (&net, net.now + 50000);
  const Datagram *goodbye = &g_array_index (net.log, Datagram, before);
  const uint8_t expected[] = {0, 0, 0, 0, 0, 0xff};
  g_assert_cmpmem (goodbye->bytes + 4, goodbye->size - 4, expected, sizeof expected);
  peer_swarm_stats (film.swarm, &stats);
  g_assert_cmpuint (stats.channels, ==, 0);
  net_clear (&net);
}

/* Both begin at once: one channel is left, the same at both ends, and it works. */
static void
test_both_begin (void)
{
  Net net;
  Film film;
  PeerSwarm *swarm = net_init_film (&net, 2, &film, 40);
  PeerAddress other = address_of (1);
  peer_engine_add_peer (net.engines[0], film.swarm, &other);
  net_run (&net, net.now + 1000000);
  PeerSwarmStats a, b;
  peer_swarm_stats (film.swarm, &a);
  peer_swarm_stats (swarm, &b);
  g_assert_cmpuint (a.channels, ==, 1);
  g_assert_cmpuint (b.channels, ==, 1);
  want (&net, 1, swarm, (PeerRange){0, 40});
  net_run (&net, net.now + 2000000);
  assert_has (swarm, (PeerRange){0, 40}, 100);
  net_clear (&net);
}

static void
test_self (void)
{
  Net net;
  Film film;
  net_init (&net, 1);
  make_film (&film, 40, 100);
  PeerSwarm *seeder = seed (&net, 0, &film);
  PeerAddress self = address_of (0);
  peer_engine_add_peer (net.engines[0], seeder, &self);
  net_run (&net, net.now + 3000000);
  PeerSwarmStats stats;
  peer_swarm_stats (seeder, &stats);
  g_assert_cmpuint (stats.channels, ==, 0);
  net_clear (&net);
}

static void
test_dead (void)
{
  Net net;
  Film film;
  net_init_film (&net, 2, &film, 40);
  net_run (&net, net.now + 100000);
  peer_engine_free (net.engines[0]);
  net.engines[0] = NULL;
  net_run (&net, net.now + 170000000);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->channels_dead, ==, 0);
  net_run (&net, net.now + 15000000);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->channels_dead, ==, 1);
  net_clear (&net);
}

/* 3.12: a peer with nothing to say is not dead, however short the time: three datagrams of ours must
 * be unanswered as well. */
static void
test_not_dead (void)
{
  Net net;
  Film film;
  PeerSwarmStats stats;
  net_init_film (&net, 2, &film, 40);
  net.dead_time = 10000000;
  peer_engine_free (net.engines[1]);
  net_revive (&net, 1);
  PeerSwarm *swarm = leech (&net, 1, &film.content, 40);
  net_run (&net, net.now + INT64_C (170000000));
  peer_swarm_stats (swarm, &stats);
  g_assert_cmpuint (stats.channels, ==, 1);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->channels_dead, ==, 0);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->channels_opened, ==, 1);
  peer_engine_free (net.engines[0]);
  net.engines[0] = NULL;
  net_run (&net, net.now + 70000000); /* three keep-alives */
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->channels_dead, ==, 1);
  net_clear (&net);
}

/* First datagrams from addresses that do not exist shut nobody out (12.1.2). */
static void
test_spoofed_crowd (void)
{
  Net net;
  Film film;
  uint8_t bytes[PEER_DATAGRAM_MAX];
  net_init (&net, 2);
  make_film (&film, 40, 100);
  seed (&net, 0, &film);
  PeerOptions good = options_of (&film.content);
  for (unsigned i = 0; i < 400; i++) {
    PeerWriter writer = {bytes, 0, sizeof bytes};
    PeerAddress from = {.ip = {[10] = 0xff, 0xff, 198, 51, (uint8_t)i, (uint8_t)(i / 7)},
                        .port = (uint16_t)(2000 + i)};
    peer_writer_u32 (&writer, 0);
    put_handshake (&writer, i + 1, &good);
    peer_engine_receive (net.engines[0], net.now, &from, bytes, writer.used);
  }
  PeerSwarm *swarm = leech (&net, 1, &film.content, 40);
  want (&net, 1, swarm, (PeerRange){0, 40});
  net_run (&net, net.now + 2000000);
  assert_has (swarm, (PeerRange){0, 40}, 100);
  net_clear (&net);
}

/* --- asking too much --- */

/* 8.2: a REQUEST that is said a hundred times is one REQUEST, and none gets past LEDBAT's window. */
static void
test_request_twice (void)
{
  Net net;
  Film film;
  net_init_film (&net, 2, &film, 2000);
  net_run (&net, net.now + 100000);
  uint8_t bytes[64];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  PeerWireFormat format = peer_wire_format (&film.content);
  PeerMessage message = {.type = PEER_MESSAGE_REQUEST, .chunks = {0, 400}};
  peer_writer_u32 (&writer, channel_of (&net, 1, 0));
  g_assert_true (peer_wire_write (&writer, &format, &message));
  peer_engine_free (net.engines[1]);
  net.engines[1] = NULL;
  const PeerCounters *counters = peer_engine_counters (net.engines[0]);
  for (unsigned i = 0; i < 100; i++) {
    net_send (&net, 1, 0, bytes, writer.used);
    net_run (&net, net.now + 100);
  }
  net_run (&net, net.now + DELAY);
  g_assert_cmpuint (counters->chunks_sent, >=, 1);
  g_assert_cmpuint (counters->chunks_sent, <=, 8);
  net_clear (&net);
}

static void
test_choke (void)
{
  Net net;
  Film film;
  net_init_film (&net, 2, &film, 2000);
  net_run (&net, net.now + 100000);
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  PeerWireFormat format = peer_wire_format (&film.content);
  peer_writer_u32 (&writer, channel_of (&net, 1, 0));
  for (unsigned k = 0; k < 3; k++) {
    writer.used = 4;
    for (uint64_t i = 0; i < 120; i++) {
      uint64_t at = (k * 120 + i) * 4;
      PeerMessage message = {.type = PEER_MESSAGE_REQUEST, .chunks = {at, at + 1}};
      g_assert_true (peer_wire_write (&writer, &format, &message));
    }
    net_send (&net, 1, 0, bytes, writer.used);
  }
  net_run (&net, net.now + 15000);
  g_assert_cmpuint (peer_engine_counters (net.engines[0])->requests_refused, >=, 1);
  net_clear (&net);
}

/* --- live --- */

typedef struct {
  PeerContent content;
  PeerKey *key;
  PeerSwarm *swarm;
  uint64_t next;
} Channel;

static void
begin_channel (Net *net, Channel *self, uint64_t first)
{
  self->swarm = go_live (net, 0, &self->content, 4096);
  peer_engine_start (net->engines[0], self->swarm, first);
  self->next = first;
}

/* 2 ms a chunk: 4.5 Mbit/s. */
static void
stream (Net *net, Channel *self, unsigned munros)
{
  uint8_t bytes[CHUNK];
  for (unsigned i = 0; i < munros; i++) {
    while (peer_engine_open_chunks (net->engines[0], self->swarm) > 0) {
      chunk_bytes (self->next, bytes);
      g_assert_cmpuint (peer_engine_append (net->engines[0], self->swarm, bytes, CHUNK), ==,
                        self->next);
      self->next++;
    }
    g_assert_true (peer_engine_sign (net->engines[0], self->swarm, self->key, net->now));
    net_run (net, net->now + MUNRO * 2000);
  }
}

static PeerPlayout *
watch (Net *net, unsigned i, Channel *channel, PeerSwarm **swarm)
{
  PeerPlayoutOptions options = {CHUNK, MUNRO, 500000, 2000000};
  *swarm = leech (net, i, &channel->content, 4096);
  return peer_playout_new (&options);
}

/* One step of a viewer: its events, its wants; returns the chunks that it can play on. */
static uint64_t
view (Net *net, unsigned i, PeerSwarm *swarm, PeerPlayout *playout, uint64_t *skipped)
{
  uint64_t played = 0, left_out = 0;
  for (guint k = 0; k < net->events[i]->len; k++) {
    const PeerEvent *event = &g_array_index (net->events[i], PeerEvent, k);
    if (event->type == PEER_EVENT_EDGE)
      peer_playout_edge (playout, net->now, event->chunks, event->time);
  }
  g_array_set_size (net->events[i], 0);
  PeerRange run = peer_playout_next (playout, net->now, peer_swarm_chunks (swarm), &left_out);
  played = peer_range_size (run);
  *skipped += left_out;
  PeerWant want;
  if (peer_playout_want (playout, net->now, &want))
    peer_engine_want (net->engines[i], swarm, &want, 1);
  return played;
}

/* The signatures that reach engine 1. */
static struct {
  PeerWireFormat format;
  PeerChunks *munros;
  uint64_t n, from_others;
} signatures;

static bool
hear_signatures (Net *net, Datagram *datagram)
{
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  while (datagram->to == 1 &&
         peer_wire_read (&reader, &signatures.format, &message) == PEER_WIRE_MESSAGE)
    if (message.type == PEER_MESSAGE_SIGNED_INTEGRITY) {
      signatures.n++;
      signatures.from_others += datagram->from != 0;
      peer_chunks_add (signatures.munros, message.chunks);
    }
  return net != NULL;
}

/* 6.1.2: each munro's signature is checked once, whoever sends it and however often. */
static void
assert_checked_once (Net *net)
{
  const PeerCounters *counters = peer_engine_counters (net->engines[1]);
  net->loss = 1;
  net_run (net, net->now + 2 * DELAY); /* what was on its way has come */
  uint64_t n = peer_chunks_count (signatures.munros) / MUNRO;
  g_assert_cmpuint (n, >=, 200);
  g_assert_cmpuint (signatures.n, >, n);
  g_assert_cmpuint (signatures.from_others, >, 0);
  g_assert_cmpuint (counters->signatures_checked, ==, n);
  g_assert_cmpuint (counters->signatures_limited + counters->munros_old, ==, 0);
  peer_chunks_free (signatures.munros);
}

static void
test_live (gconstpointer data)
{
  Net net;
  Channel channel;
  net_init (&net, 3);
  net.loss = *(const double *)data;
  channel.key = make_live (&channel.content);
  begin_channel (&net, &channel, 65536);
  stream (&net, &channel, 30);
  PeerSwarm *swarms[3];
  PeerPlayout *playouts[3];
  uint64_t played[3] = {0}, skipped[3] = {0};
  for (unsigned i = 1; i < 3; i++)
    playouts[i] = watch (&net, i, &channel, &swarms[i]);
  PeerAddress other = address_of (2);
  peer_engine_add_peer (net.engines[1], swarms[1], &other);
  signatures.format = peer_wire_format (&channel.content);
  signatures.munros = peer_chunks_new (0);
  signatures.n = signatures.from_others = 0;
  net.tamper = hear_signatures;
  for (unsigned k = 0; k < 200; k++) {
    stream (&net, &channel, 1);
    for (unsigned i = 1; i < 3; i++)
      played[i] += view (&net, i, swarms[i], playouts[i], &skipped[i]);
  }
  for (unsigned i = 1; i < 3; i++) {
    g_test_message ("played %" G_GUINT64_FORMAT ", skipped %" G_GUINT64_FORMAT, played[i],
                    skipped[i]);
    g_assert_cmpuint (skipped[i], ==, 0);
    g_assert_cmpuint (played[i], >=, 195 * MUNRO);
    g_assert_cmpuint (peer_playout_position (playouts[i]), >=, 65536 + 220 * MUNRO);
    g_assert_cmpuint (peer_engine_counters (net.engines[i])->signatures_bad, ==, 0);
    peer_playout_free (playouts[i]);
  }
  assert_checked_once (&net);
  peer_key_free (channel.key);
  net_clear (&net);
}

/* The source is killed and comes back under the same address: its peers find it by themselves. */
static void
test_source_returns (void)
{
  Net net;
  Channel channel;
  PeerSwarm *swarm;
  uint64_t skipped = 0, played = 0;
  net_init (&net, 2);
  channel.key = make_live (&channel.content);
  begin_channel (&net, &channel, 0);
  stream (&net, &channel, 30);
  PeerPlayout *playout = watch (&net, 1, &channel, &swarm);
  for (unsigned k = 0; k < 60; k++) {
    stream (&net, &channel, 1);
    played += view (&net, 1, swarm, playout, &skipped);
  }
  g_assert_cmpuint (played, >, 50 * MUNRO);
  peer_engine_free (net.engines[0]);
  net.engines[0] = NULL;
  net_run (&net, net.now + 10000000);
  net_revive (&net, 0);
  begin_channel (&net, &channel, 65536);
  played = 0;
  for (unsigned k = 0; k < 94; k++) { /* 3 s */
    stream (&net, &channel, 1);
    played += view (&net, 1, swarm, playout, &skipped);
  }
  g_assert_cmpuint (played, >, 20 * MUNRO);
  g_assert_cmpuint (peer_playout_position (playout), >, 65536);
  peer_playout_free (playout);
  peer_key_free (channel.key);
  net_clear (&net);
}

/* 6.1.2.4: in the third datagram and after it, never in the first two. */
static void
test_tune_in (void)
{
  Net net;
  Channel channel;
  PeerSwarm *swarm;
  net_init (&net, 2);
  channel.key = make_live (&channel.content);
  begin_channel (&net, &channel, 0);
  stream (&net, &channel, 3);
  guint before = net.log->len;
  PeerPlayout *playout = watch (&net, 1, &channel, &swarm);
  net_run (&net, net.now + 45000);
  const Datagram *d = &g_array_index (net.log, Datagram, before);
  g_assert_cmpuint (net.log->len - before, >=, 4);
  g_assert_false (is_heavy (&net, &d[0], &channel.content));
  g_assert_false (is_heavy (&net, &d[1], &channel.content));
  g_assert_cmpuint (d[3].from, ==, 0);
  g_assert_true (is_heavy (&net, &d[3], &channel.content));
  /* the one before it came with the chunk that a newcomer asks for */
  g_assert_cmpuint (count_events (&net, 1, PEER_EVENT_EDGE), ==, 2);
  peer_playout_free (playout);
  peer_key_free (channel.key);
  net_clear (&net);
}

/* 6.1.2.4: what was signed long ago is no place to tune in; a clock that nobody has set yet must not
 * be the judge of that. */
static void
test_old_munro (void)
{
  Net net;
  Channel channel;
  PeerSwarm *swarm;
  net_init (&net, 2);
  channel.key = make_live (&channel.content);
  begin_channel (&net, &channel, 0);
  stream (&net, &channel, 3);
  peer_engine_set_wall (net.engines[1], WALL + INT64_C (600000000), true);
  PeerPlayout *playout = watch (&net, 1, &channel, &swarm);
  net_run (&net, net.now + 200000);
  g_assert_cmpuint (count_events (&net, 1, PEER_EVENT_EDGE), ==, 0);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->munros_old, >, 0);
  peer_engine_set_wall (net.engines[1], WALL + INT64_C (600000000), false);
  stream (&net, &channel, 3);
  g_assert_cmpuint (count_events (&net, 1, PEER_EVENT_EDGE), >=, 1);
  peer_playout_free (playout);
  peer_key_free (channel.key);
  net_clear (&net);
}

/* But behind what is our newest a munro is as old as what is fetched of it. */
static void
test_old_chunks (void)
{
  Net net;
  Channel channel;
  net_init (&net, 2);
  channel.key = make_live (&channel.content);
  begin_channel (&net, &channel, 0);
  stream (&net, &channel, 3);
  net_run (&net, net.now + INT64_C (90000000));
  stream (&net, &channel, 3);
  PeerSwarm *swarm = leech (&net, 1, &channel.content, 4096);
  net_run (&net, net.now + 1000000);
  want (&net, 1, swarm, (PeerRange){0, 6 * MUNRO});
  net_run (&net, net.now + 3000000);
  assert_has (swarm, (PeerRange){0, 6 * MUNRO}, CHUNK);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->munros_old, ==, 0);
  peer_key_free (channel.key);
  net_clear (&net);
}

int
main (int argc, char **argv)
{
  static const double no_loss = 0, some_loss = 0.02;
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/engine/handshake-takes-three-datagrams", test_handshake);
  g_test_add_func ("/peer/engine/third-datagram-goes-at-once", test_third);
  g_test_add_func ("/peer/engine/silence-when-a-check-fails", test_silence);
  g_test_add_func ("/peer/engine/silence-when-a-check-of-a-live-swarm-fails", test_silence_live);
  g_test_add_func ("/peer/engine/unproven-addresses-get-no-more-than-they-send",
                   test_no_amplification);
  g_test_add_func ("/peer/engine/wrong-channel-is-dropped-and-the-peer-kept", test_unknown_channel);
  g_test_add_func ("/peer/engine/film-arrives-whole", test_download);
  g_test_add_func ("/peer/engine/size-is-found-by-peaks", test_size);
  g_test_add_func ("/peer/engine/film-arrives-in-spite-of-loss", test_loss);
  g_test_add_func ("/peer/engine/waiting-for-hashes-is-no-delay", test_held_is_no_delay);
  g_test_add_func ("/peer/engine/demand-is-what-peers-lack", test_demand);
  g_test_add_func ("/peer/engine/held-chunks-go-with-their-channel",
                   test_held_goes_with_the_channel);
  g_test_add_func ("/peer/engine/what-is-offered-is-checked", test_offer);
  g_test_add_func ("/peer/engine/nonsense-ends-the-channel", test_malformed);
  g_test_add_func ("/peer/engine/unknown-messages-are-passed-over", test_unknown_message);
  g_test_add_func ("/peer/engine/what-is-told-in-vain-is-counted", test_counters);
  g_test_add_func ("/peer/engine/leaving-says-goodbye", test_goodbye);
  g_test_add_func ("/peer/engine/both-begin-one-channel-is-left", test_both_begin);
  g_test_add_func ("/peer/engine/we-do-not-talk-with-ourselves", test_self);
  g_test_add_func ("/peer/engine/dead-after-three-minutes-and-three-datagrams", test_dead);
  g_test_add_func ("/peer/engine/who-answers-is-not-dead", test_not_dead);
  g_test_add_func ("/peer/engine/spoofed-crowd-shuts-nobody-out", test_spoofed_crowd);
  g_test_add_func ("/peer/engine/request-said-often-is-one", test_request_twice);
  g_test_add_func ("/peer/engine/too-many-requests-are-choked", test_choke);
  g_test_add_data_func ("/peer/engine/live-plays", &no_loss, test_live);
  g_test_add_data_func ("/peer/engine/live-plays-in-spite-of-loss", &some_loss, test_live);
  g_test_add_func ("/peer/engine/source-that-returns-is-found", test_source_returns);
  g_test_add_func ("/peer/engine/newest-munro-from-the-third-datagram-on", test_tune_in);
  g_test_add_func ("/peer/engine/what-was-signed-long-ago-is-refused", test_old_munro);
  g_test_add_func ("/peer/engine/what-is-behind-the-newest-may-be-old", test_old_chunks);
  return g_test_run ();
}
