/* SPDX-License-Identifier: Apache-2.0 */
/* Where an address is: tables, and the maps of ALTO. */
#include "peer/address.h"
#include "peer/tracker/places.h"
#include "tests/random.h"

#include <string.h>

static uint16_t
find (const TrackerPlaces *places, const char *text)
{
  PeerAddress address;
  g_assert_true (peer_address_parse_ip (text, 1, &address));
  return tracker_places_find (places, address.ip);
}

static void
expect (const TrackerPlaces *places, const char *ip, const char *name)
{
  g_assert_cmpstr (tracker_places_name (places, find (places, ip)), ==, name);
}

static void
longest_prefix_wins (void)
{
  g_autoptr (TrackerPlaces) places = tracker_places_new ();
  g_autoptr (GError) error = NULL;
  tracker_places_read_table (places,
                             "# regions\n10.0.0.0/8 all\n10.1.0.0/16\t one  # a part\n\n"
                             "10.1.2.0/24 two\n10.1.2.255/32 last\n10.255.0.0/16 end\n"
                             "2001:db8::/32 six\n2001:db8:1::/48 near six\n0.0.0.0/8 one",
                             &error);
  g_assert_no_error (error);
  tracker_places_settle (places);
  g_assert_cmpuint (tracker_places_count (places), ==, 7);
  expect (places, "9.255.255.255", NULL);
  expect (places, "10.0.0.0", "all");
  expect (places, "10.1.0.0", "one");
  expect (places, "10.1.1.255", "one");
  expect (places, "10.1.2.0", "two");
  expect (places, "10.1.2.254", "two");
  expect (places, "10.1.2.255", "last");
  expect (places, "10.1.3.0", "one");
  expect (places, "10.2.0.0", "all");
  expect (places, "10.255.255.255", "end");
  expect (places, "11.0.0.0", NULL);
  expect (places, "0.1.2.3", "one");
  expect (places, "2001:db8::1", "six");
  expect (places, "2001:db8:1:ffff::1", "near six");
  expect (places, "2001:db8:2::", "six");
  expect (places, "2001:db9::", NULL);
}

/* By another table the same number is another place. */
static void
next_table_has_places_of_its_own (void)
{
  static const char table[] = "10.0.0.0/8 one\n11.0.0.0/8 two\n";
  uint16_t seen[TRACKER_PLACES_GENERATIONS];
  for (unsigned i = 0; i < TRACKER_PLACES_GENERATIONS; i++) {
    g_autoptr (TrackerPlaces) places = tracker_places_new ();
    g_assert_true (tracker_places_read_table (places, table, NULL));
    tracker_places_settle (places);
    tracker_places_set_generation (places, i);
    seen[i] = find (places, "10.1.1.1");
    expect (places, "10.1.1.1", "one");
    g_assert_cmpuint (find (places, "12.0.0.1"), ==, find (NULL, "12.0.0.1"));
    for (unsigned j = 0; j < i; j++) {
      g_assert_cmpuint (seen[j], !=, seen[i]);
      g_assert_null (tracker_places_name (places, seen[j]));
      g_assert_cmpuint (tracker_places_distance (places, seen[j], seen[i]), ==, TRACKER_PLACES_FAR);
    }
  }
}

/* Against the obvious way, over nested prefixes by chance. */
static void
settled_places_are_those_of_a_walk (void)
{
  enum { N = 300 };
  static struct {
    uint32_t ip;
    unsigned bits;
  } prefixes[N];
  uint64_t state = RANDOM_SEED;
  g_autoptr (TrackerPlaces) places = tracker_places_new ();
  for (unsigned i = 0; i < N; i++) {
    uint32_t dice[2];
    random_bytes (&state, (uint8_t *)dice, sizeof dice);
    prefixes[i].bits = dice[0] % 17 + 8;
    prefixes[i].ip = (dice[1] & 0x0707ff00u) >> (32 - prefixes[i].bits) << (32 - prefixes[i].bits);
    for (unsigned j = 0; j < i; j++)
      if (prefixes[j].ip == prefixes[i].ip && prefixes[j].bits == prefixes[i].bits)
        prefixes[j].bits = 0; /* the later one counts */
    g_autofree char *line =
        g_strdup_printf ("%u.%u.%u.0/%u n%u\n", prefixes[i].ip >> 24, prefixes[i].ip >> 16 & 255,
                         prefixes[i].ip >> 8 & 255, prefixes[i].bits, i);
    g_assert_true (tracker_places_read_table (places, line, NULL));
  }
  tracker_places_settle (places);
  for (unsigned round = 0; round < 20000; round++) {
    uint32_t ip;
    random_bytes (&state, (uint8_t *)&ip, sizeof ip);
    ip &= 0x0707ffff;
    int best = -1;
    for (int i = 0; i < N; i++)
      if (prefixes[i].bits > 0 && (ip ^ prefixes[i].ip) >> (32 - prefixes[i].bits) == 0 &&
          (best < 0 || prefixes[i].bits > prefixes[best].bits))
        best = i;
    g_autofree char *text =
        g_strdup_printf ("%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
    g_autofree char *name = best >= 0 ? g_strdup_printf ("n%d", best) : NULL;
    expect (places, text, name);
  }
}

static void
without_a_table_a_prefix_is_a_place (void)
{
  g_assert_cmpuint (find (NULL, "198.51.100.1"), ==, find (NULL, "198.51.7.9"));
  g_assert_cmpuint (find (NULL, "198.51.100.1"), !=, find (NULL, "198.52.100.1"));
  g_assert_cmpuint (find (NULL, "2001:db8:1::1"), ==, find (NULL, "2001:db8:2::1"));
  g_assert_cmpuint (find (NULL, "2001:db8:1::1"), !=, find (NULL, "2001:db9:1::1"));
  g_assert_cmpuint (tracker_places_distance (NULL, 5, 5), ==, 0);
  g_assert_cmpuint (tracker_places_distance (NULL, 5, 6), ==, TRACKER_PLACES_FAR);
  uint16_t near[TRACKER_PLACES_NEAR];
  g_assert_cmpuint (tracker_places_near (NULL, 5, near), ==, 0);
}

static void
bad_tables_are_refused_by_line (void)
{
  static const struct {
    const char *text, *said;
  } rows[] = {
      {"10.0.0.0/8 a\n10.0.0.0/33 b\n", "line 2: "},
      {"10.0.0.0/8\n", "line 1: expected"},
      {"\n\nhome a\n", "line 3: no prefix"},
      {"2001:db8::/129 a", "line 1: a prefix has"},
      {"10.0.0.0/x a", "line 1: "},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (TrackerPlaces) places = tracker_places_new ();
    g_autoptr (GError) error = NULL;
    g_assert_false (tracker_places_read_table (places, rows[i].text, &error));
    g_assert_true (g_str_has_prefix (error->message, rows[i].said));
  }
  g_autoptr (TrackerPlaces) places = tracker_places_new ();
  GString *many = g_string_new (NULL);
  for (unsigned i = 0; i <= TRACKER_PLACES_MAX; i++)
    g_string_append_printf (many, "10.%u.%u.0/24 n%u\n", i / 250, i % 250, i);
  g_assert_false (tracker_places_read_table (places, many->str, NULL));
  g_string_free (many, TRUE);
}

static bool
read_network (TrackerPlaces *places, const char *text)
{
  return tracker_places_read_network_map (places, text, strlen (text), NULL);
}

static bool
read_costs (TrackerPlaces *places, const char *text)
{
  return tracker_places_read_cost_map (places, text, strlen (text), NULL);
}

/* The maps of RFC 7285, 11.2.1.6 and 11.2.3.6, with the documentation's prefixes. */
static void
alto_maps_give_distances (void)
{
  g_autoptr (TrackerPlaces) places = tracker_places_new ();
  g_assert_true (read_network (places,
                               "{\"meta\":{\"vtag\":{\"resource-id\":\"my-default-network-map\","
                               "\"tag\":\"da65eca2eb7a10ce8b059740b0b2e3f8eb1d4785\"}},"
                               "\"network-map\":{\"PID1\":{\"ipv4\":[\"192.0.2.0/24\","
                               "\"198.51.100.0/25\"]},\"PID2\":{\"ipv4\":[\"198.51.100.128/25\"]},"
                               "\"PID3\":{\"ipv4\":[\"0.0.0.0/0\"],\"ipv6\":[\"::/0\"]}}}"));
  g_assert_true (read_costs (places, "{\"meta\":{},\"cost-map\":{\"PID1\":{\"PID1\":1,\"PID2\":5,"
                                     "\"PID3\":10},\"PID2\":{\"PID1\":5,\"PID2\":1,\"PID3\":15},"
                                     "\"PID3\":{\"PID1\":20,\"PID2\":15},\"PID9\":{\"PID1\":1}}}"));
  tracker_places_settle (places);
  uint16_t one = find (places, "192.0.2.9"), two = find (places, "198.51.100.200"),
           three = find (places, "2001:db8::1");
  expect (places, "198.51.100.127", "PID1");
  expect (places, "8.8.8.8", "PID3");
  g_assert_cmpuint (tracker_places_distance (places, one, one), <,
                    tracker_places_distance (places, one, two));
  g_assert_cmpuint (tracker_places_distance (places, one, two), <,
                    tracker_places_distance (places, one, three));
  g_assert_cmpuint (tracker_places_distance (places, one, three), <,
                    tracker_places_distance (places, three, one));
  g_assert_cmpuint (tracker_places_distance (places, three, one), <, TRACKER_PLACES_FAR);
  uint16_t near[TRACKER_PLACES_NEAR];
  g_assert_cmpuint (tracker_places_near (places, one, near), ==, 2);
  g_assert_cmpuint (near[0], ==, two);
  g_assert_cmpuint (near[1], ==, three);
}

static void
bad_maps_are_refused (void)
{
  static const char *const networks[] = {"",
                                         "{}",
                                         "[]",
                                         "{\"network-map\":[]}",
                                         "{\"network-map\":{\"P\":{\"ipv4\":[5]}}}",
                                         "{\"network-map\":{\"P\":{\"ipv4\":[\"10.0.0.0/99\"]}}}"};
  for (unsigned i = 0; i < G_N_ELEMENTS (networks); i++) {
    g_autoptr (TrackerPlaces) places = tracker_places_new ();
    g_assert_false (read_network (places, networks[i]));
  }
  static const char *const costs[] = {"", "{}", "{\"cost-map\":1}"};
  for (unsigned i = 0; i < G_N_ELEMENTS (costs); i++) {
    g_autoptr (TrackerPlaces) places = tracker_places_new ();
    g_assert_false (read_costs (places, costs[i]));
  }
  /* Odd, but harmless: nothing is learned of it. */
  g_autoptr (TrackerPlaces) places = tracker_places_new ();
  g_assert_true (read_network (places, "{\"network-map\":{\"P\":{},\"Q\":5}}"));
  g_assert_true (
      read_costs (places, "{\"cost-map\":{\"P\":{\"Q\":\"1\"},\"Q\":[1,2],\"R\":null}}"));
  tracker_places_settle (places);
  g_assert_cmpuint (tracker_places_distance (places, 0, 1), ==, TRACKER_PLACES_FAR);
  /* A cost beyond all numbers is none, and the others keep theirs. */
  g_assert_true (read_costs (places, "{\"cost-map\":{\"P\":{\"Q\":1e999},\"Q\":{\"P\":7}}}"));
  g_assert_cmpuint (tracker_places_distance (places, 0, 1), ==, TRACKER_PLACES_FAR);
  g_assert_cmpuint (tracker_places_distance (places, 1, 0), ==, TRACKER_PLACES_FAR - 1);
}

/* A directory as in RFC 7285, 9.2.3: two network maps, and maps of more than one cost. */
static void
directory_names_the_maps (void)
{
#define TYPES                                                                                      \
  "\"meta\":{\"cost-types\":{\"num\":{\"cost-mode\":\"numerical\",\"cost-metric\":"                \
  "\"routingcost\"},"                                                                              \
  "\"ord\":{\"cost-mode\":\"ordinal\",\"cost-metric\":\"routingcost\"},"                           \
  "\"hops\":{\"cost-mode\":\"numerical\",\"cost-metric\":\"hopcount\"}},"                          \
  "\"default-alto-network-map\":\"main\"},"
#define MAP(name, kind, uri, more)                                                                 \
  "\"" name "\":{\"uri\":\"" uri "\",\"media-type\":\"application/alto-" kind "+json\"" more "}"
#define COSTS(type, map)                                                                           \
  ",\"capabilities\":{\"cost-type-names\":[\"" type "\"]},\"uses\":[\"" map "\"]"
  static const struct {
    const char *text, *network, *costs;
  } rows[] = {
      {"{" TYPES "\"resources\":{" MAP ("other", "networkmap", "/o", "") "," MAP (
           "main", "networkmap", "/m",
           "") "," MAP ("a", "costmap", "/ord",
                        COSTS (
                            "ord",
                            "main")) "," MAP ("b", "costmap", "/num",
                                              COSTS (
                                                  "num",
                                                  "main")) "," MAP ("c", "costmap", "/hops",
                                                                    COSTS (
                                                                        "hops",
                                                                        "main")) "," MAP ("d",
                                                                                          "costmap",
                                                                                          "/else",
                                                                                          COSTS (
                                                                                              "num",
                                                                                              "othe"
                                                                                              "r")) "}}",
       "/m", "/num"},
      {"{\"resources\":{" MAP ("only", "networkmap", "http://x/y", "") "}}", "http://x/y", NULL},
      {"{\"resources\":{" MAP ("p", "endpointprop", "/p", "") "}}", NULL, NULL},
      {"{\"resources\":[]}", NULL, NULL},
      {"", NULL, NULL},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *network = NULL, *costs = NULL;
    bool good =
        tracker_places_read_directory (rows[i].text, strlen (rows[i].text), &network, &costs);
    g_assert_true (good == (rows[i].network != NULL));
    g_assert_cmpstr (network, ==, rows[i].network);
    g_assert_cmpstr (costs, ==, rows[i].costs);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tracker/places/longest-prefix-wins", longest_prefix_wins);
  g_test_add_func ("/tracker/places/next-table-has-places-of-its-own",
                   next_table_has_places_of_its_own);
  g_test_add_func ("/tracker/places/settled-places-are-those-of-a-walk",
                   settled_places_are_those_of_a_walk);
  g_test_add_func ("/tracker/places/without-a-table-a-prefix-is-a-place",
                   without_a_table_a_prefix_is_a_place);
  g_test_add_func ("/tracker/places/bad-tables-are-refused-by-line",
                   bad_tables_are_refused_by_line);
  g_test_add_func ("/tracker/places/alto-maps-give-distances", alto_maps_give_distances);
  g_test_add_func ("/tracker/places/directory-names-the-maps", directory_names_the_maps);
  g_test_add_func ("/tracker/places/bad-maps-are-refused", bad_maps_are_refused);
  return g_test_run ();
}
