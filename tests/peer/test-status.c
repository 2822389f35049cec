/* SPDX-License-Identifier: Apache-2.0 */
/* What peers tell of themselves (peer/STATUS.md; RFC 6972, PP.REQ-8). */
#include "tests/peer/engines.h"

#define SECOND INT64_C (1000000)

static unsigned told; /* datagrams with a STATUS, of whatever engine */
static PeerContent content;
static bool strip; /* nobody's handshake sets the bit */

static bool
watch (Net *net, Datagram *datagram)
{
  PeerWireFormat format = peer_wire_format (&content);
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  while (peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE) {
    told += message.type == PEER_MESSAGE_STATUS;
    /* the last byte of the bitmap: message types 112 to 119 */
    if (message.type == PEER_MESSAGE_HANDSHAKE && strip)
      for (size_t i = 0; i + 16 < message.bytes.left; i++)
        if (message.bytes.data[i] == 8 && message.bytes.data[i + 1] == 15)
          datagram->bytes[message.bytes.data + i + 16 - datagram->bytes] = 0;
  }
  return true;
}

static void
test_round_trip (void)
{
  uint8_t bytes[8];
  PeerWireFormat format = {.addressing = PEER_ADDRESSING_CHUNKS32, .chunk_size = 1024};
  PeerMessage message = {.type = PEER_MESSAGE_STATUS, .status = {PEER_LINK_WIRELESS, 3, 77}}, got;
  PeerWriter writer = {bytes, 0, sizeof bytes};
  static const uint8_t expected[] = {112, 2, 3, 77};
  g_assert_true (peer_wire_write (&writer, &format, &message));
  g_assert_cmpmem (bytes, writer.used, expected, sizeof expected);
  g_assert_cmpint (peer_wire_read (&(PeerReader){bytes, 4}, &format, &got), ==, PEER_WIRE_MESSAGE);
  g_assert_cmpuint (got.status.load, ==, 77);
  g_assert_cmpint (peer_wire_read (&(PeerReader){bytes, 3}, &format, &got), ==,
                   PEER_WIRE_MALFORMED);
}

/* Two have the film. Who says that its battery is nearly empty gives less than the other; where the
 * bit is not set nothing is said, and all goes on as ever. */
static void
test_spared (gconstpointer data)
{
  Net net;
  Film film, twin;
  strip = *(const bool *)data;
  told = 0;
  net_init (&net, 3);
  make_film (&film, 2000, CHUNK);
  make_film (&twin, 2000, CHUNK);
  content = film.content;
  seed (&net, 0, &film);
  seed (&net, 2, &twin);
  peer_engine_set_status (net.engines[2], &(PeerStatus){.power = PEER_POWER_LOW});
  net.tamper = watch;
  PeerSwarm *swarm = leech (&net, 1, &film.content, 2000);
  PeerAddress second = address_of (2);
  peer_engine_add_peer (net.engines[1], swarm, &second);
  net_run (&net, net.now + SECOND);
  want (&net, 1, swarm, (PeerRange){0, 2000});
  net_run (&net, net.now + 20 * SECOND);
  assert_has (swarm, (PeerRange){0, 2000}, CHUNK);
  PeerStatusCounts counts;
  peer_engine_told (net.engines[1], &counts);
  g_assert_cmpuint (counts.powers[PEER_POWER_LOW], ==, !strip);
  g_assert_cmpuint (counts.links[PEER_LINK_UNKNOWN], ==, 2);
  uint64_t by_first = peer_engine_counters (net.engines[0])->chunks_sent;
  uint64_t by_second = peer_engine_counters (net.engines[2])->chunks_sent;
  g_test_message ("%u told; %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT " chunks", told, by_first,
                  by_second);
  if (strip) {
    g_assert_cmpuint (told, ==, 0);
  } else {
    g_assert_cmpuint (told, >=, 1);
    g_assert_cmpuint (by_second * 2, <, by_first);
  }
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->messages_unknown, ==, 0);
  unsigned before = told; /* what only trackers are told is no news */
  peer_engine_set_status (net.engines[2],
                          &(PeerStatus){.power = PEER_POWER_LOW, .battery = 3, .loss = 9});
  net_run (&net, net.now + SECOND);
  g_assert_cmpuint (told, ==, before);
  net_clear (&net);
}

/* Words for each value; what is beyond them is unknown, and no word is taken for another. */
static void
test_words (void)
{
  uint8_t value = 9;
  for (uint8_t i = 0; i < PEER_N_LINKS; i++) {
    g_assert_true (peer_access_link_parse (peer_access_link_name (i), &value));
    g_assert_cmpuint (value, ==, i);
  }
  for (uint8_t i = 0; i < PEER_N_POWERS; i++) {
    g_assert_true (peer_power_parse (peer_power_name (i), &value));
    g_assert_cmpuint (value, ==, i);
  }
  g_assert_cmpstr (peer_access_link_name (200), ==, "unknown");
  g_assert_cmpstr (peer_power_name (4), ==, "unknown");
  g_assert_false (peer_access_link_parse ("mains", &value));
  g_assert_false (peer_power_parse ("", &value));
}

static void
test_count (void)
{
  static const PeerStatus claims[] = {
      {1, 1, 89, 0, 0}, {3, 1, 0, 0, 0}, {2, 3, 95, 0, 0}, {9, 9, 101, 0, 0}, {0}};
  PeerStatusCounts counts = {0};
  for (size_t i = 0; i < G_N_ELEMENTS (claims); i++)
    peer_status_count (&claims[i], &counts);
  static const uint32_t links[] = {2, 1, 1, 1}, powers[] = {2, 2, 0, 1};
  g_assert_cmpmem (counts.links, sizeof counts.links, links, sizeof links);
  g_assert_cmpmem (counts.powers, sizeof counts.powers, powers, sizeof powers);
  g_assert_cmpuint (counts.busy, ==, 1);
  g_assert_cmpuint (counts.spared, ==, 2);
}

/* Of the upload or of the processor, what is more; what hardly changes is not told anew. */
static void
test_load (void)
{
  PeerLoad load = {0};
  int64_t now = 5 * SECOND;
  g_assert_cmpuint (peer_load_judge (&load, now, 900000, 1000, 4 * SECOND), ==, 0);
  uint64_t sent = 900000;
  int64_t cpu = 4 * SECOND;
  for (int i = 0; i < 10; i++) /* half of a line of 1000 bytes/s, a tenth of a CPU */
    peer_load_judge (&load, now += SECOND, sent += 500, 1000, cpu += SECOND / 10);
  g_assert_cmpuint (load.told, >=, 40);
  g_assert_cmpuint (load.told, <=, 60);
  uint8_t before = load.told;
  for (int i = 0; i < 10; i++)
    g_assert_cmpuint (peer_load_judge (&load, now += SECOND, sent += 530, 1000, cpu), ==, before);
  for (int i = 0; i < 10; i++) /* no limit is known, and two threads work */
    peer_load_judge (&load, now += SECOND, sent += 1000000, 0, cpu += 2 * SECOND);
  g_assert_cmpuint (load.told, >=, 90);
  g_assert_cmpuint (load.told, <=, 100);
  before = load.told;
  g_assert_cmpuint (peer_load_judge (&load, now, sent + 7, 1, cpu), ==,
                    before); /* no time passed */
  for (int i = 0; i < 20; i++)
    peer_load_judge (&load, now += SECOND, sent, 1000, cpu);
  g_assert_cmpuint (load.told, <, 10);
}

/* One chunk in twenty for a while, and then none; of a few it says nothing. */
static void
test_loss (void)
{
  PeerLoss loss = {0};
  g_assert_cmpuint (peer_loss_judge (&loss, 100, 30), ==, 0);
  for (unsigned i = 0; i < 60; i++)
    peer_loss_judge (&loss, loss.sent + 200, loss.lost + 10);
  g_assert_cmpuint (peer_loss_judge (&loss, loss.sent, loss.lost), ==, 5);
  for (unsigned i = 0; i < 60; i++)
    peer_loss_judge (&loss, loss.sent + 200, loss.lost);
  g_assert_cmpuint (peer_loss_judge (&loss, loss.sent, loss.lost), ==, 0);
  g_assert_cmpuint (peer_loss_judge (&loss, loss.sent + 10000, loss.lost + 20000), ==, 100);
}

int
main (int argc, char **argv)
{
  static const bool with = false, without = true;
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/status/three-bytes", test_round_trip);
  g_test_add_data_func ("/peer/status/low-battery-is-spared", &with, test_spared);
  g_test_add_data_func ("/peer/status/nothing-is-said-without-the-bit", &without, test_spared);
  g_test_add_func ("/peer/status/words-stand-for-values", test_words);
  g_test_add_func ("/peer/status/peers-are-counted-by-what-they-told", test_count);
  g_test_add_func ("/peer/status/load-is-what-is-used-of-late", test_load);
  g_test_add_func ("/peer/status/loss-is-that-of-late", test_loss);
  return g_test_run ();
}
