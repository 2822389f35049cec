/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a registry names, and what it tells stores: peers at places, asked for by others. */
#include "peer/tracker/changes.h"
#include "tests/suite.h"
#include "tests/tracker/scene.h"

#include <stdlib.h>
#include <string.h>

static TrackerRequest *
connect_new (World *w, const char *peer_id, const char *where, TrackerMode mode)
{
  g_autofree char *transaction = g_strdup_printf ("t%u", w->transactions++);
  TrackerRequest *request = tracker_request_new (TRACKER_REQUEST_CONNECT, transaction, peer_id);
  TrackerAddress address = {.priority = 1, .ppspp = true};
  g_assert_true (peer_address_parse (where, &address.address));
  g_array_append_val (request->addresses, address);
  TrackerSwarm *swarm = tracker_request_add_swarm (request, "s");
  swarm->mode = mode;
  return request;
}

/* Takes the request; the sender is at its first address. */
static TrackerResponse *
send (World *w, TrackerRequest *request, const char *where)
{
  g_autoptr (TrackerRequest) owned = request;
  PeerAddress from;
  g_assert_true (peer_address_parse (where, &from));
  TrackerResponse *response = tracker_registry_answer (w->registry, w->now, owned, &from);
  g_assert_cmpint (response->status, ==, TRACKER_STATUS_OK);
  return response;
}

static void
join (World *w, const char *peer_id, const char *where, TrackerMode mode)
{
  tracker_response_free (send (w, connect_new (w, peer_id, where, mode), where));
}

static TrackerRequest *
request_new (World *w, TrackerRequestType type, const char *peer_id)
{
  g_autofree char *transaction = g_strdup_printf ("t%u", w->transactions++);
  TrackerRequest *request = tracker_request_new (type, transaction, peer_id);
  tracker_request_add_swarm (request, "s");
  return request;
}

static TrackerResult *
only_result (TrackerResponse *response)
{
  g_assert_cmpuint (response->results->len, ==, 1);
  return g_ptr_array_index (response->results, 0);
}

/* How many of those named have an ID that begins so. */
static guint
named (TrackerResponse *response, const char *prefix)
{
  const TrackerResult *result = only_result (response);
  guint n = 0;
  for (guint i = 0; i < result->peers->len; i++)
    n += g_str_has_prefix (((TrackerPeer *)g_ptr_array_index (result->peers, i))->peer_id, prefix);
  return n;
}

static TrackerResponse *
find (World *w, const char *peer_id, const char *where, unsigned count)
{
  TrackerRequest *request = request_new (w, TRACKER_REQUEST_FIND, peer_id);
  request->peer_num = (TrackerPeerNum){.said = true, .peer_count = count};
  return send (w, request, where);
}

static void
fill (World *w, const char *prefix, const char *network, unsigned n, TrackerMode mode)
{
  for (unsigned i = 0; i < n; i++) {
    g_autofree char *id = g_strdup_printf ("%s%u", prefix, i);
    g_autofree char *where = g_strdup_printf ("%s.%u.%u:7574", network, i / 250, 1 + i % 250);
    join (w, id, where, mode);
  }
}

static void
set_two_regions (World *w)
{
  TrackerPlaces *places = tracker_places_new ();
  g_assert_true (tracker_places_read_table (places, "20.1.0.0/16 here\n20.2.0.0/15 there\n", NULL));
  tracker_places_settle (places);
  tracker_registry_set_places (w->registry, places);
}

/* Two regions, of which each is most of a list for its own, and yet not all of it. */
static void
own_region_comes_first (void)
{
  static const unsigned populations[] = {20, 600, 5000};
  for (unsigned i = 0; i < G_N_ELEMENTS (populations); i++) {
    World w;
    world_init (&w, (TrackerRegistryOptions){0});
    set_two_regions (&w);
    fill (&w, "near", "20.1", populations[i] / 4, TRACKER_MODE_LEECH);
    fill (&w, "far", "20.2", populations[i], TRACKER_MODE_LEECH);
    join (&w, "asker", "20.1.99.1:7574", TRACKER_MODE_LEECH);
    unsigned near = 0, far = 0;
    for (unsigned round = 0; round < 50; round++) {
      g_autoptr (TrackerResponse) response = find (&w, "asker", "20.1.99.1:1", 10);
      near += named (response, "near");
      far += named (response, "far");
    }
    unsigned possible = 50 * MIN (8, populations[i] / 4);
    g_assert_cmpuint (near, >=, possible);
    g_assert_cmpuint (far, >=, 50); /* the swarm holds together */
    g_assert_cmpuint (near + far, ==, 500);
    world_clear (&w);
  }
}

/* RFC 6972, 5.1: in a region with few viewers and two super-nodes, these are named, and not those of
 * the region with all the viewers. */
static void
own_super_nodes_come_first (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  fill (&w, "viewer", "20.1", 3000, TRACKER_MODE_LEECH);
  fill (&w, "far-node", "20.2", 30, TRACKER_MODE_SEEDER);
  fill (&w, "near-node", "20.3", 2, TRACKER_MODE_SEEDER);
  join (&w, "asker", "20.3.9.9:7574", TRACKER_MODE_LEECH);
  for (unsigned round = 0; round < 20; round++) {
    g_autoptr (TrackerResponse) response = find (&w, "asker", "20.3.9.9:1", 8);
    const TrackerResult *result = only_result (response);
    g_assert_cmpuint (named (response, "near-node"), ==, 2);
    g_assert_true (g_str_has_prefix (((TrackerPeer *)g_ptr_array_index (result->peers, 0))->peer_id,
                                     "near-node"));
  }
  world_clear (&w);
}

/* Each of 20 seeders gets its share of 1,000 lists. */
static void
seeders_are_spread (void)
{
  World w;
  unsigned times[20] = {0};
  world_init (&w, (TrackerRegistryOptions){0});
  fill (&w, "s", "20.1", 20, TRACKER_MODE_SEEDER);
  fill (&w, "l", "20.2", 400, TRACKER_MODE_LEECH);
  join (&w, "asker", "20.3.9.9:7574", TRACKER_MODE_LEECH);
  for (unsigned round = 0; round < 1000; round++) {
    g_autoptr (TrackerResponse) response = find (&w, "asker", "20.3.9.9:1", 12);
    const TrackerResult *result = only_result (response);
    g_assert_cmpuint (named (response, "s"), >=, 3);
    for (guint i = 0; i < result->peers->len; i++) {
      const TrackerPeer *peer = g_ptr_array_index (result->peers, i);
      if (*peer->peer_id == 's')
        times[atoi (peer->peer_id + 1)]++;
    }
  }
  for (unsigned i = 0; i < 20; i++) {
    g_assert_cmpuint (times[i], >, 75);
    g_assert_cmpuint (times[i], <, 400);
  }
  world_clear (&w);
}

static void
join_as (World *w, const char *peer_id, const char *where, TrackerCondition condition,
         TrackerPeerNum num)
{
  TrackerRequest *request = connect_new (w, peer_id, where, TRACKER_MODE_LEECH);
  request->condition = condition;
  request->peer_num = num;
  tracker_response_free (send (w, request, where));
}

static void
phones_and_low_batteries_are_spared (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  TrackerCondition phone = {.said = true, .mobile = true, .battery = 90},
                   low = {.said = true, .battery = 20}, full = {.said = true, .battery = 21},
                   lossy = {.said = true, .battery = TRACKER_BATTERY_UNSAID, .loss = 5};
  for (unsigned i = 0; i < 5; i++) {
    g_autofree char *ids[] = {g_strdup_printf ("phone%u", i), g_strdup_printf ("low%u", i),
                              g_strdup_printf ("lossy%u", i), g_strdup_printf ("full%u", i)};
    const TrackerCondition *conditions[] = {&phone, &low, &lossy, &full};
    for (unsigned j = 0; j < 4; j++) {
      g_autofree char *where = g_strdup_printf ("20.1.%u.%u:7574", j, i + 1);
      join_as (&w, ids[j], where, *conditions[j], (TrackerPeerNum){0});
      g_free (g_steal_pointer (&ids[j]));
    }
  }
  join (&w, "asker", "20.1.9.9:7574", TRACKER_MODE_LEECH);
  g_autoptr (TrackerResponse) few = find (&w, "asker", "20.1.9.9:1", 5);
  g_assert_cmpuint (named (few, "phone") + named (few, "low"), ==, 0);
  g_autoptr (TrackerResponse) more = find (&w, "asker", "20.1.9.9:1", 10);
  g_assert_cmpuint (named (more, "full") + named (more, "lossy"), ==, 10);
  /* Better a phone than nobody. */
  g_autoptr (TrackerResponse) all = find (&w, "asker", "20.1.9.9:1", 30);
  g_assert_cmpuint (only_result (all)->peers->len, ==, 20);
  /* It is charged, and says so. */
  TrackerRequest *report = request_new (&w, TRACKER_REQUEST_STAT_REPORT, "low0");
  report->condition = full;
  tracker_response_free (send (&w, report, "20.1.1.1:1"));
  unsigned times = 0;
  for (unsigned i = 0; i < 20; i++) {
    g_autoptr (TrackerResponse) again = find (&w, "asker", "20.1.9.9:1", 10);
    times += named (again, "low0");
    g_assert_cmpuint (named (again, "low"), ==, named (again, "low0"));
  }
  g_assert_cmpuint (times, >, 0);
  world_clear (&w);
}

static void
those_with_something_to_spare_come_first (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  TrackerPeerNum strong = {.said = true, .upload_bandwidth = 12500000, .nat = TRACKER_NAT_NO_NAT},
                 weak = {.said = true,
                         .upload_bandwidth = 12500,
                         .links = 200,
                         .online_time = 5 * SECOND,
                         .nat = TRACKER_NAT_TURN};
  for (unsigned i = 0; i < 10; i++) {
    g_autofree char *id = g_strdup_printf ("strong%u", i), *other = g_strdup_printf ("weak%u", i);
    g_autofree char *where = g_strdup_printf ("20.1.1.%u:7574", i + 1);
    g_autofree char *there = g_strdup_printf ("20.1.2.%u:7574", i + 1);
    join_as (&w, id, where, (TrackerCondition){0}, strong);
    join_as (&w, other, there, (TrackerCondition){0}, weak);
  }
  join (&w, "asker", "20.1.9.9:7574", TRACKER_MODE_LEECH);
  for (unsigned i = 0; i < 20; i++) {
    g_autoptr (TrackerResponse) response = find (&w, "asker", "20.1.9.9:1", 10);
    g_assert_cmpuint (named (response, "strong"), >=, 8); /* and a fifth by chance */
  }
  world_clear (&w);
}

/* Families and scopes: what cannot be reached is not named. */
static void
only_what_can_be_reached_is_named (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  join (&w, "v4", "20.1.1.1:7574", TRACKER_MODE_LEECH);
  join (&w, "v6", "[2001:db8::1]:7574", TRACKER_MODE_LEECH);
  join (&w, "home", "10.0.0.1:7574", TRACKER_MODE_LEECH);
  join (&w, "self", "127.0.0.1:7574", TRACKER_MODE_LEECH);
  static const struct {
    const char *id, *where, *names;
  } rows[] = {{"a4", "20.1.1.9:7574", "v4"},
              {"a6", "[2001:db8::9]:7574", "v6"},
              {"ahome", "10.0.0.9:7574", "v4 home"},
              {"aself", "127.0.0.1:9", "v4 home self"}};
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (TrackerResponse) response =
        send (&w, connect_new (&w, rows[i].id, rows[i].where, TRACKER_MODE_LEECH), rows[i].where);
    g_auto (GStrv) names = g_strsplit (rows[i].names, " ", -1);
    for (char **name = names; *name != NULL; name++)
      g_assert_cmpuint (named (response, *name), ==, 1);
    g_autoptr (TrackerResponse) again = find (&w, rows[i].id, rows[i].where, 30);
    guint others = 0; /* who came before and can be reached from here */
    for (unsigned j = 0; j < i; j++)
      others += named (again, rows[j].id);
    g_assert_cmpuint (only_result (again)->peers->len, ==, g_strv_length (names) + others);
  }
  world_clear (&w);
}

static void
report_chunks (World *w, const char *id, const char *where, uint64_t first, uint64_t end)
{
  TrackerRequest *request = request_new (w, TRACKER_REQUEST_STAT_REPORT, id);
  tracker_swarm_add_chunks (g_ptr_array_index (request->swarms, 0), first, end);
  tracker_response_free (send (w, request, where));
}

/* PPSP.TP.REQ-3: among 1,500, the two that have it; and whoever has all. */
static void
who_asks_for_a_range_is_named_its_holders (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  for (unsigned i = 0; i < 1500; i++) {
    g_autofree char *where = g_strdup_printf ("20.1.%u.%u:7574", i / 250, 1 + i % 250);
    bool holder = i == 700 || i == 1400;
    g_autofree char *id = g_strdup_printf ("%s%u", holder ? "holder" : "other", i);
    join (&w, id, where, TRACKER_MODE_LEECH);
    report_chunks (&w, id, where, holder ? 5000 : 0, holder ? 6000 : 1000 + i);
  }
  join (&w, "silent", "20.2.1.1:7574", TRACKER_MODE_LEECH);
  join (&w, "seeder", "20.2.1.2:7574", TRACKER_MODE_SEEDER);
  join (&w, "asker", "20.3.1.1:7574", TRACKER_MODE_LEECH);
  for (unsigned round = 0; round < 10; round++) {
    TrackerRequest *request = request_new (&w, TRACKER_REQUEST_FIND, "asker");
    tracker_swarm_add_chunks (g_ptr_array_index (request->swarms, 0), 5999, 6010);
    g_autoptr (TrackerResponse) response = send (&w, request, "20.3.1.1:1");
    g_assert_cmpuint (named (response, "holder"), ==, 2);
    g_assert_cmpuint (named (response, "seeder"), ==, 1);
    g_assert_cmpuint (named (response, "other"), ==, 0);
  }
  TrackerRegistryStats stats;
  tracker_registry_stats (w.registry, &stats);
  g_assert_cmpuint (stats.ranges, ==, 1500);
  world_clear (&w);
}

static void
ranges_have_a_limit (void)
{
  World w;
  TrackerRegistryStats stats;
  world_init (&w, (TrackerRegistryOptions){.max_ranges = 3});
  for (unsigned i = 0; i < 5; i++) {
    g_autofree char *where = g_strdup_printf ("20.1.1.%u:7574", i + 1);
    g_autofree char *id = g_strdup_printf ("p%u", i);
    join (&w, id, where, TRACKER_MODE_LEECH);
    report_chunks (&w, id, where, 1, 2);
    report_chunks (&w, id, where, 1, 3); /* in place of the other */
  }
  tracker_registry_stats (w.registry, &stats);
  g_assert_cmpuint (stats.ranges, ==, 3);
  g_assert_cmpuint (stats.refused, ==, 4);
  w.now += 200 * SECOND;
  tracker_registry_expire (w.registry, w.now);
  tracker_registry_stats (w.registry, &stats);
  g_assert_cmpuint (stats.ranges, ==, 0);
  world_clear (&w);
}

/* OAM.REQ-3 and 8: what is reported is summed, and stays when the peer is gone. */
static void
totals_outlive_their_peers (void)
{
  World w;
  TrackerRegistryStats stats;
  world_init (&w, (TrackerRegistryOptions){0});
  join (&w, "p1", "20.1.1.1:7574", TRACKER_MODE_LEECH);
  for (unsigned i = 1; i <= 3; i++) {
    TrackerRequest *request = request_new (&w, TRACKER_REQUEST_STAT_REPORT, "p1");
    TrackerSwarm *stat = g_ptr_array_index (request->swarms, 0);
    stat->uploaded = 100 * i;
    stat->downloaded = 1000 * i;
    stat->late = i;
    tracker_response_free (send (&w, request, "20.1.1.1:1"));
  }
  w.now += 200 * SECOND;
  tracker_registry_expire (w.registry, w.now);
  tracker_registry_stats (w.registry, &stats);
  g_assert_cmpuint (stats.peers, ==, 0);
  g_assert_cmpuint (stats.uploaded, ==, 300);
  g_assert_cmpuint (stats.downloaded, ==, 3000);
  g_assert_cmpuint (stats.late, ==, 3);
  world_clear (&w);
}

/* A million cannot be swept by one request; it does not find the dead either. */
static void
sweep_is_done_in_pieces (void)
{
  World w;
  TrackerRegistryStats stats;
  world_init (&w, (TrackerRegistryOptions){.max_peers_per_ip = 10000});
  fill (&w, "p", "20.1", 5000, TRACKER_MODE_LEECH);
  w.now += 200 * SECOND;
  PeerAddress dead;
  g_assert_true (peer_address_parse ("20.1.16.1:1", &dead));
  g_autoptr (TrackerRequest) late = request_new (&w, TRACKER_REQUEST_FIND, "p4000");
  g_autoptr (TrackerResponse) response = tracker_registry_answer (w.registry, w.now, late, &dead);
  g_assert_cmpint (response->status, ==, TRACKER_STATUS_FORBIDDEN);
  tracker_response_free (
      send (&w, connect_new (&w, "p0", "20.1.0.1:7574", TRACKER_MODE_LEECH), "20.1.0.1:1"));
  tracker_registry_stats (w.registry, &stats);
  g_assert_cmpuint (stats.peers, >, 4900);
  unsigned calls = 0;
  for (; tracker_registry_deadline (w.registry) <= w.now; calls++)
    tracker_registry_expire (w.registry, w.now);
  g_assert_cmpuint (calls, >, 1);
  tracker_registry_stats (w.registry, &stats);
  g_assert_cmpuint (stats.peers, ==, 1);
  world_clear (&w);
}

/* All lists of an answer together have a limit. */
static void
many_joins_get_short_lists (void)
{
  World w;
  unsigned n = 0;
  world_init (&w, (TrackerRegistryOptions){0});
  for (unsigned i = 0; i <= 30; i++) {
    g_autofree char *id = g_strdup_printf ("p%u", i);
    g_autofree char *where = g_strdup_printf ("20.1.1.%u:7574", 1 + i);
    TrackerRequest *request = connect_new (&w, id, where, TRACKER_MODE_LEECH);
    for (unsigned j = 1; j < 10; j++) {
      g_autofree char *swarm = g_strdup_printf ("s%u", j);
      tracker_request_add_swarm (request, swarm)->mode = TRACKER_MODE_LEECH;
    }
    g_autoptr (TrackerResponse) response = send (&w, request, where);
    n = 0;
    for (guint j = 0; j < response->results->len; j++)
      n += ((TrackerResult *)g_ptr_array_index (response->results, j))->peers->len;
  }
  g_assert_cmpuint (n, ==, 8 * TRACKER_MAX_PEERS);
  world_clear (&w);
}

/* An ID that is used twice names nobody to himself. */
static void
nobody_is_named_his_own_id (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  join (&w, "p", "20.1.1.1:7574", TRACKER_MODE_LEECH);
  join (&w, "p", "20.1.1.2:7575", TRACKER_MODE_LEECH);
  join (&w, "q", "20.1.1.3:7576", TRACKER_MODE_LEECH);
  g_autoptr (TrackerResponse) response = find (&w, "p", "20.1.1.1:1", 30);
  g_assert_cmpuint (named (response, "p"), ==, 0);
  g_assert_cmpuint (named (response, "q"), ==, 1);
  world_clear (&w);
}

/* --- stores -------------------------------------------------------------------------------- */

/* All changes of one to the other; how many there were. */
static unsigned
carry (World *from, World *to)
{
  g_autoptr (GByteArray) record = g_byte_array_new ();
  unsigned n = 0;
  for (; tracker_registry_next_change (from->registry, from->now, record); n++) {
    g_assert_true (tracker_registry_apply (to->registry, to->now, record->data, record->len, 0));
    g_byte_array_set_size (record, 0);
  }
  return n;
}

static void
what_one_knows_the_other_names (void)
{
  World a, b;
  world_init (&a, (TrackerRegistryOptions){.changes = true});
  world_init (&b, (TrackerRegistryOptions){.changes = true});
  fill (&a, "p", "20.1", 20, TRACKER_MODE_LEECH);
  join (&a, "s", "20.1.9.1:7574", TRACKER_MODE_SEEDER);
  report_chunks (&a, "p3", "20.1.0.4:1", 7, 9);
  g_assert_cmpuint (carry (&a, &b), ==, 21); /* each once */
  g_assert_cmpuint (carry (&b, &a), ==, 0);  /* and not back again */
  TrackerRegistryStats stats;
  tracker_registry_stats (b.registry, &stats);
  g_assert_cmpuint (stats.peers, ==, 21);
  g_assert_cmpuint (stats.ranges, ==, 1);
  g_assert_cmpuint (stats.connects, ==, 0);
  join (&b, "asker", "20.1.9.9:7574", TRACKER_MODE_LEECH);
  g_autoptr (TrackerResponse) list = find (&b, "asker", "20.1.9.9:1", 30);
  g_assert_cmpuint (named (list, "p"), ==, 20);
  g_assert_cmpuint (named (list, "s"), ==, 1);
  /* It goes on with the other as if it had always been there. */
  tracker_response_free (
      send (&b, request_new (&b, TRACKER_REQUEST_STAT_REPORT, "p5"), "20.1.0.6:1"));
  g_assert_cmpuint (carry (&b, &a), ==, 2); /* the asker, and p5 */
  /* Who leaves, leaves both. */
  TrackerRequest *leave = request_new (&a, TRACKER_REQUEST_CONNECT, "p7");
  ((TrackerSwarm *)g_ptr_array_index (leave->swarms, 0))->action = TRACKER_ACTION_LEAVE;
  tracker_response_free (send (&a, leave, "20.1.0.8:1"));
  carry (&a, &b);
  g_autoptr (TrackerResponse) without = find (&b, "asker", "20.1.9.9:1", 30);
  g_assert_cmpuint (named (without, "p7"), ==, 0);
  g_assert_cmpuint (only_result (without)->peers->len, ==, 20);
  world_clear (&a);
  world_clear (&b);
}

/* A table that is read again is for those of the other tracker, too. */
static void
who_is_told_of_is_placed_anew (void)
{
  World a, b;
  world_init (&a, (TrackerRegistryOptions){.changes = true});
  world_init (&b, (TrackerRegistryOptions){0});
  fill (&a, "near", "20.1", 100, TRACKER_MODE_LEECH);
  fill (&a, "far", "20.2", 400, TRACKER_MODE_LEECH);
  carry (&a, &b);
  set_two_regions (&b);
  for (unsigned i = 0; i < 100; i++) {
    g_autofree char *id = g_strdup_printf ("near%u", i);
    g_autofree char *where = g_strdup_printf ("20.1.0.%u:1", 1 + i);
    tracker_response_free (send (&a, request_new (&a, TRACKER_REQUEST_STAT_REPORT, id), where));
  }
  g_assert_cmpuint (carry (&a, &b), ==, 100);
  join (&b, "asker", "20.1.99.1:7574", TRACKER_MODE_LEECH);
  for (unsigned round = 0; round < 20; round++) {
    g_autoptr (TrackerResponse) response = find (&b, "asker", "20.1.99.1:1", 10);
    g_assert_cmpuint (named (response, "near"), >=, 8); /* and a fifth by chance */
  }
  world_clear (&a);
  world_clear (&b);
}

/* That one of them has not heard of a peer for long does not end it where it is heard. */
static void
only_who_leaves_is_gone_everywhere (void)
{
  World a, b;
  world_init (&a, (TrackerRegistryOptions){.changes = true});
  world_init (&b, (TrackerRegistryOptions){.changes = true});
  join (&a, "p", "20.1.1.1:7574", TRACKER_MODE_LEECH);
  carry (&a, &b);
  b.now += 170 * SECOND;
  tracker_response_free (
      send (&b, request_new (&b, TRACKER_REQUEST_STAT_REPORT, "p"), "20.1.1.1:1"));
  a.now += 200 * SECOND; /* nothing of it came to a */
  tracker_registry_expire (a.registry, a.now);
  g_assert_cmpuint (carry (&a, &b), ==, 1);
  tracker_response_free (
      send (&b, request_new (&b, TRACKER_REQUEST_STAT_REPORT, "p"), "20.1.1.1:1"));
  world_clear (&a);
  world_clear (&b);
}

/* A store's clock goes on while the tracker is down. */
static void
records_have_an_age (void)
{
  World a, b;
  TrackerRegistryStats stats;
  g_autoptr (GByteArray) record = g_byte_array_new ();
  world_init (&a, (TrackerRegistryOptions){.changes = true});
  world_init (&b, (TrackerRegistryOptions){0});
  join (&a, "p", "20.1.1.1:7574", TRACKER_MODE_LEECH);
  g_assert_true (tracker_registry_next_change (a.registry, a.now, record));
  g_assert_true (
      tracker_registry_apply (b.registry, b.now, record->data, record->len, 180 * SECOND));
  tracker_registry_stats (b.registry, &stats);
  g_assert_cmpuint (stats.peers, ==, 0);
  g_assert_true (
      tracker_registry_apply (b.registry, b.now, record->data, record->len, 100 * SECOND));
  tracker_registry_expire (b.registry, b.now + 79 * SECOND);
  tracker_registry_stats (b.registry, &stats);
  g_assert_cmpuint (stats.peers, ==, 1);
  tracker_registry_expire (b.registry, b.now + 80 * SECOND);
  tracker_registry_stats (b.registry, &stats);
  g_assert_cmpuint (stats.peers, ==, 0);
  world_clear (&a);
  world_clear (&b);
}

static void
take_change (World *w, GByteArray *out)
{
  g_byte_array_set_size (out, 0);
  g_assert_true (tracker_registry_next_change (w->registry, w->now, out));
}

static void
apply (World *w, const GByteArray *record)
{
  g_assert_true (tracker_registry_apply (w->registry, w->now, record->data, record->len, 0));
}

/* A store that was away is read again: it knows less than we have heard since. */
static void
what_is_not_told_yet_is_kept (void)
{
  World w;
  TrackerRegistryStats stats;
  g_autoptr (GByteArray) before = g_byte_array_new (), record = g_byte_array_new ();
  world_init (&w, (TrackerRegistryOptions){.changes = true});
  join (&w, "p", "20.1.1.1:7574", TRACKER_MODE_LEECH);
  take_change (&w, before);
  TrackerRequest *further = connect_new (&w, "p", "20.1.1.1:7574", TRACKER_MODE_LEECH);
  tracker_request_add_swarm (further, "another")->mode = TRACKER_MODE_LEECH;
  tracker_response_free (send (&w, further, "20.1.1.1:1"));
  apply (&w, before);
  tracker_registry_stats (w.registry, &stats);
  g_assert_cmpuint (stats.swarms, ==, 2);
  take_change (&w, record);
  g_assert_cmpuint (record->data[1], ==, TRACKER_RECORD_HERE);
  g_assert_cmpuint (record->len, >, before->len);
  world_clear (&w);
}

/* Its numbers are those of the join: what was counted since is not counted again. */
static void
nothing_is_counted_twice (void)
{
  World w;
  TrackerRegistryStats stats;
  g_autoptr (GByteArray) before = g_byte_array_new (), record = g_byte_array_new ();
  world_init (&w, (TrackerRegistryOptions){.changes = true});
  join (&w, "p", "20.1.1.1:7574", TRACKER_MODE_LEECH);
  take_change (&w, before);
  for (unsigned i = 1; i <= 2; i++) {
    TrackerRequest *request = request_new (&w, TRACKER_REQUEST_STAT_REPORT, "p");
    TrackerSwarm *stat = g_ptr_array_index (request->swarms, 0);
    stat->uploaded = 100 * i;
    stat->downloaded = 1000 * i;
    stat->late = i;
    tracker_response_free (send (&w, request, "20.1.1.1:1"));
    take_change (&w, record);
    apply (&w, before);
  }
  tracker_registry_stats (w.registry, &stats);
  g_assert_cmpuint (stats.uploaded, ==, 200);
  g_assert_cmpuint (stats.downloaded, ==, 2000);
  g_assert_cmpuint (stats.late, ==, 2);
  world_clear (&w);
}

static bool
allows_s (const TrackerMemberInfo *info, void *data)
{
  return strcmp (info->swarm_id, "s") == 0;
}

/* Who was put out of a swarm is so at the other trackers, too. */
static void
expelled_members_are_told_of (void)
{
  World a, b;
  TrackerRegistryStats stats;
  world_init (&a, (TrackerRegistryOptions){.changes = true});
  world_init (&b, (TrackerRegistryOptions){0});
  TrackerRequest *request = connect_new (&a, "p", "20.1.1.1:7574", TRACKER_MODE_LEECH);
  tracker_request_add_swarm (request, "another")->mode = TRACKER_MODE_LEECH;
  tracker_response_free (send (&a, request, "20.1.1.1:1"));
  g_assert_cmpuint (carry (&a, &b), ==, 1);
  g_assert_cmpuint (tracker_registry_expel (a.registry, allows_s, NULL), ==, 1);
  g_assert_cmpuint (carry (&a, &b), ==, 1);
  tracker_registry_stats (b.registry, &stats);
  g_assert_cmpuint (stats.swarms, ==, 1);
  world_clear (&a);
  world_clear (&b);
}

/* Each byte of a record set to each value, and each cut: refused, or taken, and nothing worse. */
static void
bad_records_are_refused (void)
{
  World a, b;
  g_autoptr (GByteArray) record = g_byte_array_new ();
  unsigned refused = 0;
  world_init (&a, (TrackerRegistryOptions){.changes = true});
  world_init (&b, (TrackerRegistryOptions){.max_peers = 50, .max_swarms = 50});
  TrackerRequest *request = connect_new (&a, "p", "10.1.1.1:7574", TRACKER_MODE_LEECH);
  TrackerAddress other = {.address.port = 9, .priority = 5};
  g_assert_true (peer_address_parse_ip ("192.168.0.1", 9, &other.address));
  g_array_append_val (request->addresses, other);
  request->account = g_strdup ("alice");
  tracker_response_free (send (&a, request, "10.1.1.1:1"));
  TrackerRequest *report = request_new (&a, TRACKER_REQUEST_STAT_REPORT, "p");
  report->account = g_strdup ("alice");
  tracker_swarm_add_chunks (g_ptr_array_index (report->swarms, 0), 3, 4);
  tracker_response_free (send (&a, report, "10.1.1.1:1"));
  g_assert_true (tracker_registry_next_change (a.registry, a.now, record));
  for (guint i = 0; i < record->len; i++) {
    g_autofree guint8 *cut = g_memdup2 (record->data, i);
    g_assert_false (tracker_registry_apply (b.registry, b.now, cut, i, 0));
    g_autofree guint8 *changed = g_memdup2 (record->data, record->len);
    for (unsigned value = 0; value < 256; value++) {
      changed[i] = (guint8)value;
      refused += !tracker_registry_apply (b.registry, b.now, changed, record->len, 0);
    }
  }
  g_assert_cmpuint (refused, >, 1000);
  /* Version, kind, the ID "p" and its length stand before where the peer speaks from: the last four bytes. */
  g_autofree guint8 *multicast = g_memdup2 (record->data, record->len);
  g_assert_cmpuint (multicast[4 + 12], ==, 10);
  multicast[4 + 12] = 224;
  g_assert_false (tracker_registry_apply (a.registry, a.now, multicast, record->len, 0));
  g_assert_true (tracker_registry_apply (a.registry, a.now, record->data, record->len, 0));
  world_clear (&a);
  world_clear (&b);
}

static CrowdPeer *
add_noted (TrackerCrowd *crowd, TrackerChanges *changes, unsigned number)
{
  uint8_t from[16] = {[10] = 0xff, [11] = 0xff, [12] = 20, [15] = 1};
  g_autofree char *id = g_strdup_printf ("p%u", number);
  CrowdPeer *peer = tracker_crowd_add (crowd, id, from, 0, 0);
  tracker_changes_note (changes, peer, true);
  tracker_changes_note (changes, peer, false); /* once is enough */
  return peer;
}

/* The store is away for long, and all come and go: what waits for it does not grow. */
static void
who_is_gone_does_not_wait (void)
{
  TrackerCrowd crowd;
  TrackerChanges changes;
  CrowdPeer *peers[10];
  g_autoptr (GByteArray) record = g_byte_array_new ();
  unsigned told = 0;
  tracker_crowd_init (&crowd);
  tracker_changes_init (&changes, true);
  for (unsigned i = 0; i < G_N_ELEMENTS (peers); i++)
    peers[i] = add_noted (&crowd, &changes, i);
  for (unsigned i = 0; i < TRACKER_CHANGES_GONE + 10; i++) {
    CrowdPeer *peer = add_noted (&crowd, &changes, 100 + i);
    tracker_changes_end (&changes, peer, TRACKER_RECORD_LEFT);
    tracker_crowd_remove (&crowd, peer);
  }
  g_assert_cmpuint (changes.peers->len, ==, G_N_ELEMENTS (peers));
  g_assert_cmpuint (changes.gone.length, ==, TRACKER_CHANGES_GONE);
  for (unsigned i = 0; i < G_N_ELEMENTS (peers); i += 3) /* the first and the last among them */
    tracker_changes_forget (&changes, peers[i]);
  while (tracker_changes_next (&changes, 0, record))
    told++;
  g_assert_cmpuint (told, ==, TRACKER_CHANGES_GONE + 6);
  for (unsigned i = 0; i < G_N_ELEMENTS (peers); i++)
    g_assert_false (peers[i]->pending);
  tracker_changes_clear (&changes);
  tracker_crowd_clear (&crowd);
}

/* More changes than a store takes: each has its turn. */
static void
nobody_waits_for_ever (void)
{
  TrackerCrowd crowd;
  TrackerChanges changes;
  CrowdPeer *peers[40];
  g_autoptr (GByteArray) record = g_byte_array_new ();
  tracker_crowd_init (&crowd);
  tracker_changes_init (&changes, true);
  for (unsigned i = 0; i < G_N_ELEMENTS (peers); i++)
    peers[i] = add_noted (&crowd, &changes, i);
  unsigned waiting = G_N_ELEMENTS (peers);
  for (unsigned i = 0; i < 3 * G_N_ELEMENTS (peers) && waiting > 0; i++) {
    g_assert_true (tracker_changes_next (&changes, 0, record));
    add_noted (&crowd, &changes, 100 + i);
    waiting = 0;
    for (unsigned j = 0; j < G_N_ELEMENTS (peers); j++)
      waiting += peers[j]->pending;
  }
  g_assert_cmpuint (waiting, ==, 0);
  tracker_changes_clear (&changes);
  tracker_crowd_clear (&crowd);
}

int
main (int argc, char **argv)
{
  static const SuiteTest tests[] = {
      {"select/own-region-comes-first", own_region_comes_first},
      {"select/own-super-nodes-come-first", own_super_nodes_come_first},
      {"select/seeders-are-spread", seeders_are_spread},
      {"select/phones-and-low-batteries-are-spared", phones_and_low_batteries_are_spared},
      {"select/those-with-something-to-spare-come-first", those_with_something_to_spare_come_first},
      {"select/only-what-can-be-reached-is-named", only_what_can_be_reached_is_named},
      {"select/who-asks-for-a-range-is-named-its-holders",
       who_asks_for_a_range_is_named_its_holders},
      {"select/many-joins-get-short-lists", many_joins_get_short_lists},
      {"select/nobody-is-named-his-own-id", nobody_is_named_his_own_id},
      {"registry/ranges-have-a-limit", ranges_have_a_limit},
      {"registry/totals-outlive-their-peers", totals_outlive_their_peers},
      {"registry/sweep-is-done-in-pieces", sweep_is_done_in_pieces},
      {"record/what-one-knows-the-other-names", what_one_knows_the_other_names},
      {"record/who-is-told-of-is-placed-anew", who_is_told_of_is_placed_anew},
      {"record/only-who-leaves-is-gone-everywhere", only_who_leaves_is_gone_everywhere},
      {"record/records-have-an-age", records_have_an_age},
      {"record/what-is-not-told-yet-is-kept", what_is_not_told_yet_is_kept},
      {"record/nothing-is-counted-twice", nothing_is_counted_twice},
      {"record/expelled-members-are-told-of", expelled_members_are_told_of},
      {"record/bad-records-are-refused", bad_records_are_refused},
      {"record/who-is-gone-does-not-wait", who_is_gone_does_not_wait},
      {"record/nobody-waits-for-ever", nobody_waits_for_ever},
  };
  return suite_run (argc, argv, "/tracker/", tests, G_N_ELEMENTS (tests));
}
