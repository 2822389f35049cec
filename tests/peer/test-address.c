/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/address.h"

#include <string.h>

static void
test_round_trip (void)
{
  static const char *const texts[] = {
      "192.0.2.1:7574",
      "0.0.0.0:0",
      "255.255.255.255:65535",
      "[::]:7846",
      "[::1]:1",
      "[2001:db8::1]:7574",
      "[1::]:2",
      "[2001:db8:1:2:3:4:5:6]:9",
      /* RFC 5952, section 4.2: the longest run is shortened, the first of two, never one field */
      "[2001:0:0:1::1]:80",
      "[2001:db8::1:0:0:1]:80",
      "[2001:db8:0:1:1:1:1:1]:80",
      "[1:2:3:4:5:6::]:80",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autofree char *text = NULL;
    PeerAddress address;

    g_assert_true (peer_address_parse (texts[i], &address));
    text = peer_address_to_string (&address);
    g_assert_cmpstr (text, ==, texts[i]);
  }
}

static void
test_other_forms (void)
{
  static const char *const pairs[][2] = {
      {"[2001:DB8:0:0:0:0:0:1]:7574", "[2001:db8::1]:7574"},
      {"[::ffff:192.0.2.1]:5", "192.0.2.1:5"},
      {"[64:ff9b::192.0.2.33]:5", "[64:ff9b::c000:221]:5"},
      {"[1:2:3:4:5:6:7.8.9.10]:5", "[1:2:3:4:5:6:708:90a]:5"},
      {"[1::3:4:5:6:7:8]:5", "[1:0:3:4:5:6:7:8]:5"},
      {"[0001:0020::]:5", "[1:20::]:5"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (pairs); i++) {
    g_autofree char *text = NULL;
    PeerAddress address;

    g_assert_true (peer_address_parse (pairs[i][0], &address));
    text = peer_address_to_string (&address);
    g_assert_cmpstr (text, ==, pairs[i][1]);
  }
}

static void
test_refused (void)
{
  static const char *const texts[] = {
      "",
      ":",
      ":80",
      "192.0.2.1",
      "192.0.2.1:",
      "192.0.2.1:65536",
      "192.0.2.1:123456",
      "192.0.2.1:-1",
      "192.0.2.1:+1",
      "192.0.2.1: 1",
      "192.0.2.1:80x",
      "192.0.2:80",
      "192.0.2.1.1:80",
      "192.0.2.256:80",
      "192.0.2.01:80",
      "192.0..1:80",
      "[192.0.2.1]:80",
      "localhost:80",
      "2001:db8::1:80",
      "[2001:db8::1:80",
      "2001:db8::1]:80",
      "[]:80",
      "[:]:80",
      "[:::]:80",
      "[1::2::3]:80",
      "[1:2:3:4:5:6:7]:80",
      "[1:2:3:4:5:6:7:8:9]:80",
      "[1:2:3:4::5:6:7:8]:80",
      "[::1:2:3:4:5:6:7:8]:80",
      "[1:2:3:4:5:6:7:]:80",
      "[:1:2:3:4:5:6:7:8]:80",
      "[12345::]:80",
      "[g::]:80",
      "[fe80::1%eth0]:80",
      "[1:2:3:4:5:6:7:8.9.10.11]:80",
      "[::1.2.3]:80",
      "[1.2.3.4::]:80",
      "[::1.2.3.4:5]:80",
      "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff]:80",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++) {
    PeerAddress address, before;

    memset (&address, 0xa5, sizeof address);
    before = address;
    if (peer_address_parse (texts[i], &address))
      g_error ("\"%s\" was taken", texts[i]);
    g_assert_cmpmem (&address, sizeof address, &before, sizeof before);
  }
}

static void
test_kinds (void)
{
  static const struct {
    const char *ip;
    bool v4, private, loopback, usable;
  } rows[] = {
      {"127.0.0.1", true, true, true, true},
      {"::1", false, true, true, true},
      {"10.1.2.3", true, true, false, true},
      {"172.15.0.1", true, false, false, true},
      {"172.16.0.1", true, true, false, true},
      {"172.31.255.255", true, true, false, true},
      {"172.32.0.1", true, false, false, true},
      {"192.168.1.1", true, true, false, true},
      {"192.169.1.1", true, false, false, true},
      {"169.254.9.9", true, true, false, true},
      {"fc00::1", false, true, false, true},
      {"fdff::1", false, true, false, true},
      {"fe80::1", false, true, false, true},
      {"febf::1", false, true, false, true},
      {"fec0::1", false, false, false, true},
      {"2001:db8::1", false, false, false, true},
      {"0.0.0.0", true, false, false, false},
      {"::", false, false, false, false},
      {"0.1.2.3", true, false, false, false},
      {"224.0.0.1", true, false, false, false},
      {"239.255.255.250", true, false, false, false},
      {"255.255.255.255", true, false, false, false},
      {"ff02::c", false, false, false, false},
      {"223.255.255.254", true, false, false, true},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *text = NULL;
    PeerAddress address;

    g_assert_true (peer_address_parse_ip (rows[i].ip, 7574, &address));
    g_assert_cmpint (peer_address_is_v4 (&address), ==, rows[i].v4);
    g_assert_cmpint (peer_address_is_private (&address), ==, rows[i].private);
    g_assert_cmpint (peer_address_is_loopback (&address), ==, rows[i].loopback);
    g_assert_cmpint (peer_address_is_usable (&address), ==, rows[i].usable);
    text = peer_address_ip_to_string (&address);
    g_assert_cmpstr (text, ==, rows[i].ip);
    address.port = 0;
    g_assert_false (peer_address_is_usable (&address));
  }
}

static void
test_hash (void)
{
  g_autoptr (GHashTable) table = g_hash_table_new (peer_address_hash, peer_address_equal_key);
  static PeerAddress addresses[4096];
  g_autoptr (GHashTable) hashes = g_hash_table_new (NULL, NULL);

  /* Neighbours in a subnet and ports in a row: what real peers look like. */
  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++) {
    g_assert_true (peer_address_parse_ip ("10.0.0.0", (uint16_t)(7000 + i % 16), &addresses[i]));
    addresses[i].ip[15] = (uint8_t)(i / 16);
    g_assert_true (g_hash_table_add (table, &addresses[i]));
    g_hash_table_add (hashes, GUINT_TO_POINTER (peer_address_hash (&addresses[i])));
  }
  g_assert_cmpuint (g_hash_table_size (table), ==, G_N_ELEMENTS (addresses));
  g_assert_cmpuint (g_hash_table_size (hashes), >, G_N_ELEMENTS (addresses) - 8);
  g_assert_true (peer_address_equal (&addresses[5], &addresses[5]));
  g_assert_false (peer_address_equal (&addresses[5], &addresses[6]));
}

static void
test_subscriber (void)
{
  static const char *const rows[][3] = {
      {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
      {"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::1"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    PeerAddress who[3];

    for (uint16_t k = 0; k < 3; k++) {
      PeerAddress address;
      g_assert_true (peer_address_parse_ip (rows[i][k], 7000 + k, &address));
      who[k] = peer_address_subscriber (&address);
    }
    g_assert_true (peer_address_equal (&who[0], &who[1]));
    g_assert_false (peer_address_equal (&who[0], &who[2]));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/address/texts-come-back-as-they-were", test_round_trip);
  g_test_add_func ("/peer/address/other-forms-become-the-one-form", test_other_forms);
  g_test_add_func ("/peer/address/what-is-no-address-is-refused", test_refused);
  g_test_add_func ("/peer/address/kinds", test_kinds);
  g_test_add_func ("/peer/address/subscriber-has-a-64", test_subscriber);
  g_test_add_func ("/peer/address/hash-spreads-neighbours", test_hash);
  return g_test_run ();
}
