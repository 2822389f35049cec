/* SPDX-License-Identifier: Apache-2.0 */
/* The tracker's state machine as conversations: who says what from where, and what is answered.
 * Time is a number. */
#include "tests/suite.h"
#include "tests/tracker/scene.h"

#include <stdlib.h>
#include <string.h>

static TrackerRegistryStats
stats_of (World *w)
{
  TrackerRegistryStats stats;
  tracker_registry_stats (w->registry, &stats);
  return stats;
}

static void
add_address (TrackerRequest *request, const char *text, TrackerAddressType type)
{
  TrackerAddress address = {.type = type, .priority = 1};
  g_assert_true (peer_address_parse (text, &address.address));
  g_array_append_val (request->addresses, address);
}

/* "C +a+b/-c" = CONNECT: as a leech join a and b, leave c; "C *a ~b" = the same as a seeder;
 * "F a" = FIND; "S a b" = STAT_REPORT; "@" at the end = with a transaction ID of before. */
static TrackerRequest *
parse (World *w, const char *peer_id, const char *text)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  static const char letters[] = "CFS";
  bool again = g_str_has_suffix (text, "@");
  g_autofree char *transaction = g_strdup_printf ("t%u", again ? 0 : ++w->transactions);
  TrackerRequestType type = (TrackerRequestType)(strchr (letters, text[0]) - letters);
  TrackerRequest *request = tracker_request_new (type, transaction, peer_id);
  for (unsigned i = 1; words[i] != NULL; i++) {
    const char *word = words[i];
    if (*word == '@' || *word == 0)
      continue;
    const char *sign = strchr ("+-*~", *word);
    TrackerSwarm *swarm = tracker_request_add_swarm (request, sign != NULL ? word + 1 : word);
    swarm->action = *word == '-' || *word == '~' ? TRACKER_ACTION_LEAVE : TRACKER_ACTION_JOIN;
    swarm->mode = *word == '*' || *word == '~' ? TRACKER_MODE_SEEDER : TRACKER_MODE_LEECH;
  }
  return request;
}

/* "0" or another status; then for each result the swarm, '!' = failed, and the listed peers:
 * "0 a:p1,p2 b!" */
static char *
render (const TrackerResponse *response)
{
  GString *out = g_string_new (NULL);
  g_string_append_printf (out, "%d", (int)response->status);
  for (guint i = 0; i < response->results->len; i++) {
    const TrackerResult *result = g_ptr_array_index (response->results, i);
    g_string_append_printf (out, " %s%s", result->swarm_id, result->failed ? "!" : "");
    if (result->peers == NULL)
      continue;
    g_autoptr (GPtrArray) ids = g_ptr_array_new ();
    for (guint j = 0; j < result->peers->len; j++)
      g_ptr_array_add (ids, ((TrackerPeer *)g_ptr_array_index (result->peers, j))->peer_id);
    for (guint j = 1; j < ids->len; j++) /* the order is random */
      for (guint k = j; k > 0 && strcmp (ids->pdata[k - 1], ids->pdata[k]) > 0; k--) {
        gpointer swap = ids->pdata[k];
        ids->pdata[k] = ids->pdata[k - 1];
        ids->pdata[k - 1] = swap;
      }
    g_string_append_c (out, ':');
    for (guint j = 0; j < ids->len; j++)
      g_string_append_printf (out, "%s%s", j > 0 ? "," : "", (char *)ids->pdata[j]);
  }
  return g_string_free (out, FALSE);
}

/* Peer "pN" is at 198.51.100.N, and listens on port 7000 + N. */
static PeerAddress
home_of (const char *peer_id)
{
  PeerAddress address;
  g_autofree char *text = g_strdup_printf ("198.51.100.%s:54321", peer_id + 1);
  g_assert_true (peer_address_parse (text, &address));
  return address;
}

/* certificates: it wants them (RFC 7574, 12.2.2). */
static TrackerResponse *
answer (World *w, const char *peer_id, const char *text, bool certificates)
{
  PeerAddress from = home_of (peer_id);
  g_autoptr (TrackerRequest) request = parse (w, peer_id, text);
  request->certificates = certificates;
  if (request->type == TRACKER_REQUEST_CONNECT) {
    g_autofree char *where =
        g_strdup_printf ("198.51.100.%s:%d", peer_id + 1, 7000 + atoi (peer_id + 1));
    add_address (request, where, TRACKER_ADDRESS_HOST);
  }
  TrackerResponse *response = tracker_registry_answer (w->registry, w->now, request, &from);
  g_assert_cmpstr (response->transaction_id, ==, request->transaction_id);
  return response;
}

static char *
say (World *w, const char *peer_id, const char *text)
{
  g_autoptr (TrackerResponse) response = answer (w, peer_id, text, false);
  return render (response);
}

typedef struct {
  int after; /* s since the line before */
  const char *who, *says, *hears;
} Line;

static void
converse (World *w, const Line *lines, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    w->now += lines[i].after * SECOND;
    g_autofree char *heard = say (w, lines[i].who, lines[i].says);
    g_test_message ("%s: %s -> %s", lines[i].who, lines[i].says, heard);
    g_assert_cmpstr (heard, ==, lines[i].hears);
  }
}

#define CONVERSE(...)                                                                              \
  do {                                                                                             \
    static const Line lines[] = {__VA_ARGS__};                                                     \
    World w;                                                                                       \
    world_init (&w, (TrackerRegistryOptions){0});                                                  \
    converse (&w, lines, G_N_ELEMENTS (lines));                                                    \
    world_clear (&w);                                                                              \
  } while (0)

/* --- Table 6, row by row ------------------------------------------------------------------- */

/* A FIND shows the final state: in TRACKING it is answered, after TERMINATE it is forbidden. */

static void
leech_joins_from_start (void)
{
  CONVERSE ({0, "p1", "C +a", "0 a:"}, {0, "p1", "F a", "0 a:"});
}

static void
leech_cannot_leave_from_start (void)
{
  CONVERSE ({0, "p1", "C -a", "3"}, {0, "p1", "F a", "3"}, {0, "p1", "C +a", "0 a:"});
}

static void
leech_leaves_and_ends (void)
{
  CONVERSE ({0, "p1", "C +a", "0 a:"}, {0, "p1", "C -a", "0 a"}, {0, "p1", "F a", "3"},
            {0, "p2", "C +a", "0 a:"});
}

static void
leech_cannot_switch_from_start (void)
{
  CONVERSE ({0, "p1", "C -a +b", "3"}, {0, "p1", "F b", "3"}, {0, "p1", "C +b -a", "3"},
            {0, "p2", "C +b", "0 b:"});
}

static void
leech_switches (void)
{
  CONVERSE ({0, "p1", "C +a", "0 a:"}, {0, "p2", "C +b", "0 b:"}, {0, "p1", "C -a +b", "0 a b:p2"},
            {0, "p1", "F b", "0 b:p2"}, {0, "p1", "F a", "3"}, {0, "p3", "C +a", "0 a:"});
}

static void
seeder_joins_all_its_swarms (void)
{
  CONVERSE ({0, "p1", "C *a *b *c", "0 a b c"}, {0, "p2", "C +b", "0 b:p1"},
            {0, "p1", "S a b c", "0 a b c"});
}

static void
seeder_cannot_join_more (void)
{
  /* Table 6 ends it, section 2.3.2 (C) does not; see registry.c. */
  CONVERSE ({0, "p1", "C *a", "0 a"}, {0, "p1", "C *b", "3"}, {0, "p1", "C *a", "3"},
            {0, "p1", "S a", "0 a"}, {0, "p2", "C +a", "0 a:p1"});
}

static void
seeder_leaves_all_and_ends (void)
{
  CONVERSE ({0, "p1", "C *a *b", "0 a b"}, {0, "p1", "C ~a ~b", "0 a b"}, {0, "p1", "S", "3"},
            {0, "p2", "C +a", "0 a:"});
}

static void
leech_joins_a_further_swarm (void)
{
  /* Not in the table: see registry.c. */
  CONVERSE ({0, "p1", "C +a", "0 a:"}, {0, "p1", "C +b", "0 b:"}, {0, "p2", "C +a", "0 a:p1"},
            {0, "p2", "C +b", "0 b:p1"}, {0, "p1", "C -a", "0 a"}, {0, "p1", "F b", "0 b:p2"});
}

/* --- the rest of section 2.3 --------------------------------------------------------------- */

static void
unregistered_may_only_connect (void)
{
  CONVERSE ({0, "p1", "F a", "3"}, {0, "p1", "S", "3"}, {0, "p1", "S a", "3"},
            {0, "p1", "C +a", "0 a:"}, {0, "p1", "S", "0"});
}

static void
invalid_actions_in_tracking_leave_it_there (void)
{
  CONVERSE ({0, "p1", "C +a", "0 a:"}, {0, "p1", "C -b", "3"}, {0, "p1", "F b", "3"},
            {0, "p1", "S b", "3"}, {0, "p1", "S a b", "0 a b!"}, {0, "p1", "C -b +c", "0 b! c:"},
            {0, "p1", "F a", "0 a:"});
}

static void
registration_without_swarms_waits_for_the_init_timer (void)
{
  CONVERSE ({0, "p1", "C", "0"}, {29, "p1", "C +a", "0 a:"}, {31, "p1", "F a", "0 a:"},
            /* In PEER REGISTERED only CONNECT is allowed (2.3.2, B). */
            {0, "p2", "C", "0"}, {0, "p2", "F a", "3"});
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  g_autofree char *heard = say (&w, "p1", "C");
  g_assert_cmpstr (heard, ==, "0");
  g_assert_cmpuint (stats_of (&w).peers, ==, 1);
  tracker_registry_expire (w.registry, w.now + 30 * SECOND - 1);
  g_assert_cmpuint (stats_of (&w).peers, ==, 1);
  tracker_registry_expire (w.registry, w.now + 30 * SECOND);
  g_assert_cmpuint (stats_of (&w).peers, ==, 0);
  world_clear (&w);
}

static void
silence_ends_a_peer (void)
{
  CONVERSE ({0, "p1", "C +a", "0 a:"}, {0, "p2", "C +a", "0 a:p1"},
            /* Each of these is a sign of life. */
            {179, "p1", "S", "0"}, {0, "p2", "F a", "0 a:p1"}, {179, "p1", "F a", "0 a:p2"},
            {0, "p2", "S a", "0 a"}, {179, "p1", "C +b", "0 b:"}, {0, "p2", "S", "0"},
            /* Errors are none: p2 hears of itself that it is gone. */
            {100, "p2", "F b", "3"}, {0, "p1", "S", "0"}, {80, "p2", "S", "3"},
            {0, "p1", "F a", "0 a:"});
}

static void
deadline_is_the_first_timer (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  g_assert_cmpint (tracker_registry_deadline (w.registry), ==, INT64_MAX);
  g_autofree char *one = say (&w, "p1", "C +a");
  g_assert_cmpstr (one, ==, "0 a:");
  g_assert_cmpint (tracker_registry_deadline (w.registry), ==, w.now + 32 * SECOND);
  tracker_registry_expire (w.registry, w.now + 32 * SECOND);
  g_assert_cmpint (tracker_registry_deadline (w.registry), ==, w.now + 180 * SECOND);
  tracker_registry_expire (w.registry, w.now + 180 * SECOND);
  g_assert_cmpint (tracker_registry_deadline (w.registry), ==, INT64_MAX);
  g_assert_cmpuint (stats_of (&w).expired, ==, 1);
  g_assert_cmpuint (stats_of (&w).swarms, ==, 0);
  world_clear (&w);
}

static void
repeated_requests_are_answered_alike (void)
{
  CONVERSE ({0, "p1", "C *a @", "0 a"}, {1, "p1", "C *a @", "0 a"},
            /* Its LEAVE was done, though the peer did not hear so. */
            {0, "p1", "C ~a @", "0 a"}, {5, "p1", "C ~a @", "0 a"}, {26, "p1", "C ~a @", "0 a"},
            {32, "p1", "C ~a @", "3"},
            /* The same ID with another content is another request. */
            {0, "p2", "C +a @", "0 a:"}, {0, "p2", "F a @", "0 a:"}, {0, "p3", "C +a @", "0 a:p2"},
            /* A list that is sent again is a fresh one. */
            {0, "p2", "C +a @", "0 a:p3"});
}

static void
same_id_from_elsewhere_is_another_peer (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  g_autofree char *joined = say (&w, "p1", "C +a");
  g_assert_cmpstr (joined, ==, "0 a:");
  PeerAddress elsewhere = home_of ("p9");
  const char *const says[] = {"C -a", "F a", "S a"};
  for (unsigned i = 0; i < G_N_ELEMENTS (says); i++) {
    g_autoptr (TrackerRequest) request = parse (&w, "p1", says[i]);
    g_autoptr (TrackerResponse) response =
        tracker_registry_answer (w.registry, w.now, request, &elsewhere);
    g_assert_cmpint (response->status, ==, TRACKER_STATUS_FORBIDDEN);
  }
  g_autofree char *still = say (&w, "p2", "C +a");
  g_assert_cmpstr (still, ==, "0 a:p1");
  world_clear (&w);
}

/* --- lists --------------------------------------------------------------------------------- */

static TrackerResponse *
connect_from (World *w, const char *peer_id, const char *from_text, const char *says,
              const char *const *addresses, TrackerPeerNum num)
{
  PeerAddress from;
  g_assert_true (peer_address_parse (from_text, &from));
  g_autoptr (TrackerRequest) request = parse (w, peer_id, says);
  request->peer_num = num;
  for (unsigned i = 0; addresses != NULL && addresses[i] != NULL; i++)
    add_address (request, addresses[i], TRACKER_ADDRESS_HOST);
  return tracker_registry_answer (w->registry, w->now, request, &from);
}

static void
fill (World *w, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    g_autofree char *id = g_strdup_printf ("q%u", i);
    g_autofree char *from = g_strdup_printf ("203.0.%u.%u:1", i / 250, 1 + i % 250);
    g_autofree char *at = g_strdup_printf ("203.0.%u.%u:7574", i / 250, 1 + i % 250);
    const char *addresses[] = {at, NULL};
    g_autoptr (TrackerResponse) response =
        connect_from (w, id, from, "C +a", addresses, (TrackerPeerNum){0});
    g_assert_cmpint (response->status, ==, TRACKER_STATUS_OK);
  }
}

static guint
list_length (TrackerResponse *response)
{
  g_assert_cmpint (response->status, ==, TRACKER_STATUS_OK);
  const TrackerResult *result = g_ptr_array_index (response->results, 0);
  guint n = result->peers != NULL ? result->peers->len : 0;
  /* Nobody twice. */
  g_autoptr (GHashTable) ids = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < n; i++)
    g_assert_true (
        g_hash_table_add (ids, ((TrackerPeer *)g_ptr_array_index (result->peers, i))->peer_id));
  return n;
}

static void
lists_are_as_long_as_wanted_and_no_longer_than_30 (void)
{
  static const unsigned populations[] = {0, 3, 30, 31, 120, 121, 1000};
  for (unsigned i = 0; i < G_N_ELEMENTS (populations); i++) {
    World w;
    world_init (&w, (TrackerRegistryOptions){0});
    fill (&w, populations[i]);
    static const unsigned wanted[] = {0, 1, 5, 29, 30, 31, 4000000000u};
    for (unsigned j = 0; j < G_N_ELEMENTS (wanted); j++) {
      g_autofree char *id = g_strdup_printf ("asker%u", j);
      TrackerPeerNum num = {.said = true, .peer_count = wanted[j]};
      g_autoptr (TrackerResponse) response =
          connect_from (&w, id, "192.0.2.1:1", "C +a", NULL, num);
      g_assert_cmpuint (list_length (response), ==, MIN (MIN (wanted[j], 30), populations[i]));
    }
    g_autoptr (TrackerResponse) unsaid =
        connect_from (&w, "asker", "192.0.2.1:1", "C +a", NULL, (TrackerPeerNum){0});
    g_assert_cmpuint (list_length (unsaid), ==, MIN (30, populations[i]));
    world_clear (&w);
  }
}

static void
seeder_gets_a_list_when_it_asks (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  fill (&w, 10);
  g_autoptr (TrackerResponse) plain =
      connect_from (&w, "s1", "192.0.2.1:1", "C *a", NULL, (TrackerPeerNum){0});
  const TrackerResult *result = g_ptr_array_index (plain->results, 0);
  g_assert_null (result->peers);
  g_autoptr (TrackerResponse) asks = connect_from (&w, "s2", "192.0.2.2:1", "C *a", NULL,
                                                   (TrackerPeerNum){.said = true, .peer_count = 5});
  g_assert_cmpuint (list_length (asks), ==, 5);
  world_clear (&w);
}

/* Each of 200 peers has the same chance; 2,000 lists of 30 name each about 300 times. */
static void
lists_are_a_fair_sample (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  fill (&w, 200);
  unsigned named[200] = {0};
  PeerAddress from;
  peer_address_parse ("203.0.0.1:1", &from);
  for (unsigned i = 0; i < 2000; i++) {
    g_autoptr (TrackerRequest) request = parse (&w, "q0", "F a");
    g_autoptr (TrackerResponse) response =
        tracker_registry_answer (w.registry, w.now, request, &from);
    g_assert_cmpuint (list_length (response), ==, 30);
    const TrackerResult *result = g_ptr_array_index (response->results, 0);
    for (guint j = 0; j < result->peers->len; j++)
      named[atoi (((TrackerPeer *)g_ptr_array_index (result->peers, j))->peer_id + 1)]++;
  }
  g_assert_cmpuint (named[0], ==, 0); /* the one who asks */
  for (unsigned i = 1; i < 200; i++) {
    g_assert_cmpuint (named[i], >, 200);
    g_assert_cmpuint (named[i], <, 400);
  }
  world_clear (&w);
}

/* --- addresses ----------------------------------------------------------------------------- */

static char *
addresses_of (World *w, const char *swarm, const char *asker)
{
  g_autofree char *says = g_strdup_printf ("C +%s", swarm);
  g_autofree char *id = g_strdup_printf ("asker%u", w->transactions);
  g_autoptr (TrackerResponse) response =
      connect_from (w, id, asker, says, NULL, (TrackerPeerNum){0});
  const TrackerResult *result = g_ptr_array_index (response->results, 0);
  GString *out = g_string_new (NULL);
  for (guint i = 0; i < result->peers->len; i++) {
    const TrackerPeer *peer = g_ptr_array_index (result->peers, i);
    g_autofree char *text = peer_address_to_string (&peer->address.address);
    g_string_append_printf (out, "%s%s%s", i > 0 ? " " : "", text,
                            peer->address.type == TRACKER_ADDRESS_REFLEXIVE ? "r" : "");
  }
  return g_string_free (out, FALSE);
}

static void
nobody_registers_a_victim (void)
{
  static const struct {
    const char *from;
    const char *says[6];
    const char *named;
  } rows[] = {
      {"192.0.2.1:999", {"192.0.2.1:7574"}, "192.0.2.1:7574"},
      /* Behind a NAT: its own address is of no use to others. */
      {"192.0.2.1:999", {"10.0.0.5:7574"}, "192.0.2.1:7574r"},
      /* A victim's address is never named, only its own with that port. */
      {"192.0.2.1:999", {"198.51.100.9:80"}, "192.0.2.1:80r"},
      {"192.0.2.1:999", {"192.0.2.1:7574", "198.51.100.9:80"}, "192.0.2.1:7574"},
      {"[2001:db8::1]:999", {"[2001:db8::1]:7574", "192.0.2.9:7574"}, "[2001:db8::1]:7574"},
      {"192.0.2.1:999", {"224.0.0.1:7574"}, "192.0.2.1:7574r"},
      {"192.0.2.1:999", {"0.0.0.0:7574"}, "192.0.2.1:7574r"},
      /* In one private network the addresses of that network are believed. */
      {"10.0.0.1:999", {"10.0.0.1:7574", "192.168.1.1:7574"}, "10.0.0.1:7574 192.168.1.1:7574"},
      {"127.0.0.1:999", {"10.0.0.1:7574"}, "127.0.0.1:7574r 10.0.0.1:7574"},
      {"10.0.0.1:999", {"198.51.100.9:7574"}, "10.0.0.1:7574r"},
      /* Four are kept, and the one that it comes from is among them, wherever it stands. */
      {"10.0.0.1:999",
       {"10.1.0.1:1", "10.2.0.1:2", "10.3.0.1:3", "10.4.0.1:4", "10.0.0.1:7574"},
       "10.0.0.1:7574 10.1.0.1:1 10.2.0.1:2 10.3.0.1:3"},
      {"10.0.0.1:999",
       {"10.0.0.1:1", "10.1.0.1:2", "10.2.0.1:3", "10.3.0.1:4", "10.0.0.1:5"},
       "10.0.0.1:1 10.1.0.1:2 10.2.0.1:3 10.3.0.1:4"},
      {"10.0.0.1:999",
       {"10.1.0.1:1", "10.2.0.1:1", "10.3.0.1:1", "10.4.0.1:1", "10.5.0.1:1"},
       "10.0.0.1:1r 10.1.0.1:1 10.2.0.1:1 10.3.0.1:1"},
      {"192.0.2.1:999", {"192.0.2.1:0"}, ""},
      {"192.0.2.1:999", {NULL}, ""},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    World w;
    world_init (&w, (TrackerRegistryOptions){0});
    g_autoptr (TrackerResponse) response =
        connect_from (&w, "p", rows[i].from, "C +a", rows[i].says, (TrackerPeerNum){0});
    g_assert_cmpint (response->status, ==, TRACKER_STATUS_OK);
    PeerAddress from;
    g_assert_true (peer_address_parse (rows[i].from, &from));
    bool private = peer_address_is_private (&from);
    g_autofree char *asker = g_strdup (private ? rows[i].from : "192.0.2.250:1");
    g_autofree char *named = addresses_of (&w, "a", asker);
    g_assert_cmpstr (named, ==, rows[i].named);
    if (private) { /* out there nobody could come to it, or would come to somebody else */
      g_autofree char *outside = addresses_of (&w, "a", "192.0.2.251:1");
      g_assert_cmpstr (outside, ==, "");
    } else { /* nor is anybody led to somebody in his own network */
      g_autofree char *inside = addresses_of (&w, "a", "10.9.9.9:1");
      g_assert_cmpstr (inside, ==, rows[i].named);
    }
    world_clear (&w);
  }
}

static void
peer_is_told_where_it_is_seen (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  const char *inside[] = {"10.0.0.5:7574", NULL};
  g_autoptr (TrackerResponse) response =
      connect_from (&w, "p", "192.0.2.1:999", "C +a", inside, (TrackerPeerNum){0});
  g_autofree char *seen = peer_address_to_string (&response->seen_as.address);
  g_assert_cmpstr (seen, ==, "192.0.2.1:7574");
  g_assert_cmpint (response->seen_as.type, ==, TRACKER_ADDRESS_REFLEXIVE);
  /* Not who has found out by STUN (section 4.1.1). */
  PeerAddress from;
  peer_address_parse ("192.0.2.2:999", &from);
  g_autoptr (TrackerRequest) stun = parse (&w, "q", "C +a");
  add_address (stun, "192.0.2.2:7574", TRACKER_ADDRESS_REFLEXIVE);
  g_autoptr (TrackerResponse) quiet = tracker_registry_answer (w.registry, w.now, stun, &from);
  g_assert_cmpuint (quiet->seen_as.address.port, ==, 0);
  world_clear (&w);
}

/* --- limits -------------------------------------------------------------------------------- */

static void
limits_hold_and_are_given_back (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){.max_swarms = 3,
                                           .max_peers = 4,
                                           .max_swarms_per_peer = 2,
                                           .max_peers_per_ip = 2,
                                           .max_transactions = 5});
  static const Line lines[] = {
      {0, "p1", "C +a +b +c", "0 a: b: c!"}, /* swarms of one peer */
      {0, "p2", "C +c +d", "0 c: d!"},       /* swarms in all */
      {0, "p3", "C +d", "5"},
      {0, "p3", "C +a", "0 a:p1"},
      {0, "p4", "C +a", "0 a:p1,p3"},
      {0, "p5", "C +a", "5"}, /* peers in all */
      {0, "p4", "C -a", "0 a"},
      {0, "p5", "C +a", "0 a:p1,p3"},
      {0, "p2", "C -c", "0 c"},
      {0, "p5", "C +d", "0 d:"},
  };
  converse (&w, lines, G_N_ELEMENTS (lines));
  g_assert_cmpuint (stats_of (&w).refused, ==, 4);
  world_clear (&w);
}

/* Its answer is not remembered: there may be room when it comes again. */
static void
full_house_may_be_asked_again (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){.max_swarms = 1});
  static const Line lines[] = {{0, "p1", "C +a", "0 a:"},
                               {0, "p2", "C +b @", "5"},
                               {0, "p1", "C -a", "0 a"},
                               {0, "p2", "C +b @", "0 b:"}};
  converse (&w, lines, G_N_ELEMENTS (lines));
  world_clear (&w);
}

static void
last_transactions_are_remembered (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){.max_transactions = 2});
  static const Line lines[] = {{0, "p1", "C +a @", "0 a:"},
                               {0, "p2", "C +a @", "0 a:p1"},
                               {0, "p3", "C +a @", "0 a:p1,p2"},
                               {0, "p1", "C +a @", "0 a:p2,p3"}}; /* forgotten, and done again */
  converse (&w, lines, G_N_ELEMENTS (lines));
  g_assert_cmpuint (stats_of (&w).repeated, ==, 0);
  converse (&w, lines + 3, 1);
  g_assert_cmpuint (stats_of (&w).repeated, ==, 1);
  world_clear (&w);
}

static guint
joins_from (World *w, const char *format, unsigned n)
{
  guint good = 0;
  for (unsigned i = 0; i < n; i++) {
    g_autofree char *id = g_strdup_printf ("%s%u", format, i);
    g_autofree char *from = g_strdup_printf (format, i + 1);
    g_autoptr (TrackerResponse) response =
        connect_from (w, id, from, "C +a", NULL, (TrackerPeerNum){0});
    good += response->status == TRACKER_STATUS_OK;
  }
  return good;
}

static void
one_host_does_not_fill_the_house (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){.max_peers_per_ip = 3});
  g_assert_cmpuint (joins_from (&w, "192.0.2.1:%u", 10), ==, 3);
  g_assert_cmpuint (joins_from (&w, "192.0.2.%u:1", 10), ==, 9);    /* .1 has its three */
  g_assert_cmpuint (joins_from (&w, "[2001:db8::%u]:1", 9), ==, 3); /* one subscriber's /64 */
  g_assert_cmpuint (joins_from (&w, "[2001:db8:0:%u::1]:1", 9), ==, 9);
  g_assert_cmpuint (joins_from (&w, "127.0.0.1:%u", 10), ==, 10);
  w.now += 180 * SECOND;
  g_assert_cmpuint (joins_from (&w, "192.0.2.1:%u", 10), ==, 3);
  world_clear (&w);
}

static void
many_come_and_go (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){.max_peers = 300, .max_transactions = 100});
  for (unsigned i = 0; i < 20000; i++) {
    uint8_t dice[4];
    random_bytes (&w.state, dice, sizeof dice);
    g_autofree char *id = g_strdup_printf ("p%u", dice[0] % 250);
    static const char *const says[] = {"C +a",   "C +a +b", "C -a", "C -b +c", "C *a *b",
                                       "C ~a",   "F a",     "F c",  "S a b",   "S",
                                       "C -c @", "C +d @",  "C"};
    w.now += dice[1] * 10000;
    g_autofree char *heard = say (&w, id, says[dice[2] % G_N_ELEMENTS (says)]);
    g_assert_true (*heard == '0' || *heard == '3' || *heard == '5');
    TrackerRegistryStats stats = stats_of (&w);
    g_assert_cmpuint (stats.peers, <=, 250);
    g_assert_cmpuint (stats.swarms, <=, 4);
  }
  g_assert_cmpuint (stats_of (&w).repeated, >, 0);
  g_assert_cmpuint (stats_of (&w).expired, >, 0);
  tracker_registry_expire (w.registry, w.now + 200 * SECOND);
  g_assert_cmpuint (stats_of (&w).peers, ==, 0);
  g_assert_cmpuint (stats_of (&w).swarms, ==, 0);
  g_assert_cmpint (tracker_registry_deadline (w.registry), ==, INT64_MAX);
  world_clear (&w);
}

static bool
count_swarm (const TrackerSwarmInfo *info, void *data)
{
  g_assert_cmpstr (info->swarm_id, ==, "a");
  *(TrackerSwarmInfo *)data = *info;
  return true;
}

static void
swarms_show_what_is_reported (void)
{
  World w;
  TrackerSwarmInfo info = {0};
  world_init (&w, (TrackerRegistryOptions){0});
  g_autofree char *one = say (&w, "p1", "C *a");
  g_autofree char *two = say (&w, "p2", "C +a");
  g_assert_cmpstr (one, ==, "0 a");
  g_assert_cmpstr (two, ==, "0 a:p1");
  PeerAddress from = home_of ("p2");
  g_autoptr (TrackerRequest) report = parse (&w, "p2", "S a");
  TrackerSwarm *stat = g_ptr_array_index (report->swarms, 0);
  stat->uploaded = 512;
  stat->downloaded = 768;
  g_autoptr (TrackerResponse) response = tracker_registry_answer (w.registry, w.now, report, &from);
  g_assert_cmpint (response->status, ==, TRACKER_STATUS_OK);
  tracker_registry_swarms (w.registry, count_swarm, &info);
  g_assert_cmpuint (info.seeders, ==, 1);
  g_assert_cmpuint (info.leeches, ==, 1);
  g_assert_cmpuint (info.uploaded, ==, 512);
  g_assert_cmpuint (info.downloaded, ==, 768);
  world_clear (&w);
}

/* --- certificates (RFC 7574, 12.2.2) --- */

/* Says what it certifies, and how many came before. */
static GBytes *
certify (void *data, const char *swarm_id, const PeerAddress *address, int64_t *renew)
{
  unsigned *n = data;
  g_autofree char *where = peer_address_to_string (address);
  g_autofree char *text = g_strdup_printf ("%u:%s/%s", (*n)++, where, swarm_id);
  *renew = 100 * SECOND;
  return g_str_has_prefix (swarm_id, "never") ? NULL : g_bytes_new (text, strlen (text) + 1);
}

/* "own; listed, listed" of the first result; "-" = none. */
static char *
certificates (World *w, const char *peer_id, const char *text, bool wanted)
{
  g_autoptr (TrackerResponse) response = answer (w, peer_id, text, wanted);
  if (response->results->len == 0)
    return g_strdup ("");
  const TrackerResult *result = g_ptr_array_index (response->results, 0);
  GString *out = g_string_new (
      result->certificate != NULL ? g_bytes_get_data (result->certificate, NULL) : "-");
  for (guint i = 0; result->peers != NULL && i < result->peers->len; i++) {
    const TrackerPeer *peer = g_ptr_array_index (result->peers, i);
    g_string_append_printf (
        out, "; %s",
        peer->certificate != NULL ? (const char *)g_bytes_get_data (peer->certificate, NULL) : "-");
  }
  return g_string_free (out, FALSE);
}

static void
expect (World *w, const char *who, const char *says, bool wanted, const char *expected)
{
  g_autofree char *heard = certificates (w, who, says, wanted);
  g_assert_cmpstr (heard, ==, expected);
}

static void
members_are_certified_who_ask (void)
{
  World w;
  unsigned n = 0;
  world_init (&w, (TrackerRegistryOptions){.certify = certify, .certify_data = &n});
  expect (&w, "p1", "C +a", true, "0:198.51.100.1:7001/a");
  expect (&w, "p2", "C +a", false, "-; -"); /* who does not ask gets none, of nobody */
  expect (&w, "p2", "F a", true, "1:198.51.100.2:7002/a; 0:198.51.100.1:7001/a");
  expect (&w, "p1", "S a", true, "0:198.51.100.1:7001/a"); /* the same, while it is good */
  expect (&w, "p1", "S a", false, "-");
  expect (&w, "p1", "C -a", true, "-");
  expect (&w, "p2", "F a", true, "1:198.51.100.2:7002/a");
  g_assert_cmpuint (stats_of (&w).certified, ==, 2);
  g_assert_cmpuint (stats_of (&w).certificates, ==, 1);
  world_clear (&w);
}

static void
certificates_are_renewed_in_time (void)
{
  World w;
  unsigned n = 0;
  world_init (&w, (TrackerRegistryOptions){.certify = certify, .certify_data = &n});
  expect (&w, "p1", "C +a", true, "0:198.51.100.1:7001/a");
  w.now += 99 * SECOND;
  expect (&w, "p1", "S a", true, "0:198.51.100.1:7001/a");
  w.now += SECOND;
  expect (&w, "p1", "S a", true, "1:198.51.100.1:7001/a");
  world_clear (&w);
}

/* "the external IP ... it received the message from", whatever the message says. */
static void
nobody_is_certified_elsewhere (void)
{
  World w;
  unsigned n = 0;
  PeerAddress from = home_of ("p1");
  world_init (&w, (TrackerRegistryOptions){.certify = certify, .certify_data = &n});
  g_autoptr (TrackerRequest) request = parse (&w, "p1", "C +a");
  request->certificates = true;
  add_address (request, "203.0.113.66:7574", TRACKER_ADDRESS_HOST);
  g_autoptr (TrackerResponse) response =
      tracker_registry_answer (w.registry, w.now, request, &from);
  const TrackerResult *result = g_ptr_array_index (response->results, 0);
  g_assert_cmpstr (g_bytes_get_data (result->certificate, NULL), ==, "0:198.51.100.1:7574/a");
  /* who does not say where it listens cannot be certified at all */
  g_autoptr (TrackerRequest) silent = parse (&w, "p2", "C +a");
  silent->certificates = true;
  from = home_of ("p2");
  g_autoptr (TrackerResponse) none = tracker_registry_answer (w.registry, w.now, silent, &from);
  g_assert_null (((TrackerResult *)g_ptr_array_index (none->results, 0))->certificate);
  world_clear (&w);
}

static void
certificates_have_limits (void)
{
  World w;
  unsigned n = 0;
  world_init (
      &w, (TrackerRegistryOptions){.certify = certify, .certify_data = &n, .max_certificates = 2});
  expect (&w, "p1", "C +a", true, "0:198.51.100.1:7001/a");
  expect (&w, "p1", "C +b", true, "1:198.51.100.1:7001/b");
  expect (&w, "p1", "C +c", true, "2:198.51.100.1:7001/c"); /* not kept */
  expect (&w, "p2", "C +never", true, "-");
  g_assert_cmpuint (stats_of (&w).certificates, ==, 2);
  for (unsigned i = 0; i < 2 * TRACKER_CERTIFICATES_PER_SECOND; i++)
    g_free (certificates (&w, "p1", "S c", true));
  g_assert_cmpuint (n, ==, TRACKER_CERTIFICATES_PER_SECOND);
  expect (&w, "p1", "S a", true, "0:198.51.100.1:7001/a"); /* costs nothing */
  w.now += SECOND;
  g_free (certificates (&w, "p1", "S c", true));
  g_assert_cmpuint (n, ==, TRACKER_CERTIFICATES_PER_SECOND + 1);
  world_clear (&w);
}

/* What p1 hears who has shown this account: NULL = none. */
static char *
say_as (World *w, const char *account, const char *peer_id, const char *text)
{
  PeerAddress from = home_of ("p1");
  g_autoptr (TrackerRequest) request = parse (w, peer_id, text);
  request->account = g_strdup (account);
  g_autoptr (TrackerResponse) response =
      tracker_registry_answer (w->registry, w->now, request, &from);
  return render (response);
}

/* Two homes behind one address see each other's peer IDs in the lists (T5). */
static void
neighbour_cannot_speak_for_an_account (void)
{
  static const struct {
    const char *account, *peer_id, *says, *hears;
  } lines[] =
      {
          {"alice", "x", "C +a", "0 a:"},
          {NULL, "x", "C -a", "6"},
          {NULL, "x", "S", "6"},
          {"bob", "x", "C -a", "3"},
          {"bob", "x", "F a", "3"},
          {"bob", "y", "C +a", "0 a:"},
          {"alice", "x", "C -a", "0 a"},
          {"bob", "x", "C +a", "0 a:"}, /* alice is gone, and her ID free */
          {NULL, "z", "C +a", "0 a:"},
          {"carol", "z", "C +b", "0 b:"}, /* who has shown none yet may show one */
          {NULL, "z", "C -a", "6"},
      };
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  for (unsigned i = 0; i < G_N_ELEMENTS (lines); i++) {
    g_autofree char *heard = say_as (&w, lines[i].account, lines[i].peer_id, lines[i].says);
    g_test_message ("%u: %s", i, heard);
    g_assert_cmpstr (heard, ==, lines[i].hears);
  }
  g_assert_cmpuint (stats_of (&w).usurped, ==, 5);
  world_clear (&w);
}

static void
transaction_of_another_is_a_new_one (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  g_autofree char *mine = say_as (&w, "alice", "x", "C +a @");
  g_assert_cmpstr (mine, ==, "0 a:");
  /* The same ID with another content is carried out, and so is that of another account. */
  g_autofree char *other = say_as (&w, "alice", "x", "C +b @");
  g_assert_cmpstr (other, ==, "0 b:");
  g_autofree char *thief = say_as (&w, "bob", "x", "C +a @");
  g_assert_cmpstr (thief, ==, "3");
  g_assert_cmpuint (stats_of (&w).repeated, ==, 0);
  g_autofree char *again = say_as (&w, "alice", "x", "C +a @");
  g_assert_cmpstr (again, ==, "0 a:");
  g_assert_cmpuint (stats_of (&w).repeated, ==, 1);
  world_clear (&w);
}

static void
accounts_have_a_limit (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){.max_peers_per_account = 2});
  static const char *const lines[][3] = {
      {"x", "C +a", "0 a:"}, {"y", "C +b", "0 b:"}, {"z", "C +c", "5"},
      {"x", "C -a", "0 a"},  {"z", "C +c", "0 c:"},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (lines); i++) {
    g_autofree char *heard = say_as (&w, "alice", lines[i][0], lines[i][1]);
    g_assert_cmpstr (heard, ==, lines[i][2]);
  }
  g_assert_cmpuint (stats_of (&w).refused, ==, 1);
  g_assert_cmpuint (stats_of (&w).peers, ==, 2);
  /* The limit is of accounts, not of an address. */
  g_autofree char *other = say_as (&w, "bob", "o", "C +c");
  g_assert_cmpstr (other, ==, "0 c:");
  tracker_registry_limit (w.registry, &(TrackerRegistryOptions){.max_peers_per_account = 3});
  g_autofree char *third = say_as (&w, "alice", "v", "C +d");
  g_assert_cmpstr (third, ==, "0 d:");
  world_clear (&w);
}

static bool
note_member (const TrackerMemberInfo *info, void *data)
{
  g_autofree char *ip = peer_address_ip_to_string (info->from);
  g_string_append_printf (data, "%s/%s %s %s %u:%u +%d ", info->swarm_id, info->peer_id,
                          info->account != NULL ? info->account : "-", ip, info->n_addresses,
                          info->n_addresses > 0 ? info->addresses[0].address.port : 0,
                          (int)((info->heard - info->connected) / SECOND));
  return true;
}

static char *
members_of (World *w, const char *swarm_id)
{
  GString *out = g_string_new (NULL);
  if (!tracker_registry_members (w->registry, swarm_id, note_member, out))
    g_string_append (out, "none");
  return g_string_free (out, FALSE);
}

static void
members_can_be_listed (void)
{
  World w;
  world_init (&w, (TrackerRegistryOptions){0});
  g_free (say (&w, "p3", "C +a"));
  w.now += 20 * SECOND;
  g_free (say (&w, "p3", "S a"));
  g_autofree char *none = members_of (&w, "b"), *one = members_of (&w, "a");
  g_assert_cmpstr (none, ==, "none");
  g_assert_cmpstr (one, ==, "a/p3 - 198.51.100.3 1:7003 +20 ");
  world_clear (&w);
}

static bool
not_in_b (const TrackerMemberInfo *info, void *data)
{
  ++*(unsigned *)data;
  return strcmp (info->swarm_id, "b") != 0;
}

static void
expelled_members_are_gone (void)
{
  World w;
  unsigned seen = 0;
  world_init (&w, (TrackerRegistryOptions){0});
  static const char *const lines[][2] = {{"p1", "C *a *b *c"}, {"p2", "C +b"}, {"p3", "C +c"}};
  for (unsigned i = 0; i < G_N_ELEMENTS (lines); i++)
    g_free (say (&w, lines[i][0], lines[i][1]));
  g_assert_cmpuint (tracker_registry_expel (w.registry, not_in_b, &seen), ==, 2);
  g_assert_cmpuint (seen, ==, 5);
  TrackerRegistryStats stats = stats_of (&w);
  g_assert_cmpuint (stats.peers, ==, 2);
  g_assert_cmpuint (stats.swarms, ==, 2);
  g_autofree char *p2 = say (&w, "p2", "S");
  g_assert_cmpstr (p2, ==, "3");
  g_autofree char *p3 = say (&w, "p3", "F c");
  g_assert_cmpstr (p3, ==, "0 c:p1");
  world_clear (&w);
}

int
main (int argc, char **argv)
{
  static const SuiteTest tests[] = {
      {"leech-joins-from-start", leech_joins_from_start},
      {"leech-cannot-leave-from-start", leech_cannot_leave_from_start},
      {"leech-leaves-and-ends", leech_leaves_and_ends},
      {"leech-cannot-switch-from-start", leech_cannot_switch_from_start},
      {"leech-switches", leech_switches},
      {"leech-joins-a-further-swarm", leech_joins_a_further_swarm},
      {"seeder-joins-all-its-swarms", seeder_joins_all_its_swarms},
      {"seeder-cannot-join-more", seeder_cannot_join_more},
      {"seeder-leaves-all-and-ends", seeder_leaves_all_and_ends},
      {"unregistered-may-only-connect", unregistered_may_only_connect},
      {"invalid-actions-in-tracking-leave-it-there", invalid_actions_in_tracking_leave_it_there},
      {"registration-without-swarms-waits-for-the-init-timer",
       registration_without_swarms_waits_for_the_init_timer},
      {"silence-ends-a-peer", silence_ends_a_peer},
      {"deadline-is-the-first-timer", deadline_is_the_first_timer},
      {"repeated-requests-are-answered-alike", repeated_requests_are_answered_alike},
      {"same-id-from-elsewhere-is-another-peer", same_id_from_elsewhere_is_another_peer},
      {"lists-are-as-long-as-wanted-and-no-longer-than-30",
       lists_are_as_long_as_wanted_and_no_longer_than_30},
      {"seeder-gets-a-list-when-it-asks", seeder_gets_a_list_when_it_asks},
      {"lists-are-a-fair-sample", lists_are_a_fair_sample},
      {"nobody-registers-a-victim", nobody_registers_a_victim},
      {"peer-is-told-where-it-is-seen", peer_is_told_where_it_is_seen},
      {"limits-hold-and-are-given-back", limits_hold_and_are_given_back},
      {"full-house-may-be-asked-again", full_house_may_be_asked_again},
      {"last-transactions-are-remembered", last_transactions_are_remembered},
      {"one-host-does-not-fill-the-house", one_host_does_not_fill_the_house},
      {"many-come-and-go", many_come_and_go},
      {"swarms-show-what-is-reported", swarms_show_what_is_reported},
      {"members-are-certified-who-ask", members_are_certified_who_ask},
      {"certificates-are-renewed-in-time", certificates_are_renewed_in_time},
      {"nobody-is-certified-elsewhere", nobody_is_certified_elsewhere},
      {"certificates-have-limits", certificates_have_limits},
      {"neighbour-cannot-speak-for-an-account", neighbour_cannot_speak_for_an_account},
      {"transaction-of-another-is-a-new-one", transaction_of_another_is_a_new_one},
      {"accounts-have-a-limit", accounts_have_a_limit},
      {"members-can-be-listed", members_can_be_listed},
      {"expelled-members-are-gone", expelled_members_are_gone},
  };
  return suite_run (argc, argv, "/tracker/registry/", tests, G_N_ELEMENTS (tests));
}
