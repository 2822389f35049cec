/* SPDX-License-Identifier: Apache-2.0 */
/* Peer address exchange, rule by rule. */
#include "peer/exchange.h"
#include "tests/peer/scene.h"

#include <string.h>

/* --- who may be named to whom --- */

static void
test_addresses_stay_among_their_like (void)
{
  const struct {
    const char *address, *peer;
    bool may, plainly;
  } rows[] = {
      {"192.0.2.1:7574", "198.51.100.1:7574", true, false},
      {"192.0.2.1:7574", "10.0.0.1:7574", true, false},
      {"10.0.0.2:7574", "10.0.0.1:7574", true, true},
      {"192.168.1.2:7574", "172.16.0.1:7574", true, true},
      {"10.0.0.2:7574", "192.0.2.1:7574", false, false},
      {"172.31.0.2:7574", "192.0.2.1:7574", false, false},
      {"[fd00::1]:7574", "192.0.2.1:7574", false, false},
      {"[fd00::1]:7574", "[fd00::2]:7574", true, true},
      {"169.254.1.1:7574", "192.0.2.1:7574", false, false},
      {"169.254.1.1:7574", "10.0.0.1:7574", false, false},
      {"169.254.1.1:7574", "169.254.1.2:7574", true, true},
      {"[fe80::1]:7574", "[2001:db8::1]:7574", false, false},
      {"[fe80::1]:7574", "[fd00::1]:7574", false, false},
      {"127.0.0.1:7574", "10.0.0.1:7574", false, false},
      {"127.0.0.1:7574", "127.0.0.1:7575", true, true},
      {"[::1]:7574", "[2001:db8::1]:7574", false, false},
      {"224.0.0.1:7574", "10.0.0.1:7574", false, false},
      {"[ff02::1]:7574", "[fd00::1]:7574", false, false},
      {"0.0.0.0:7574", "10.0.0.1:7574", false, false},
      {"10.0.0.2:53", "10.0.0.1:7574", false, false},
      {"10.0.0.2:1023", "10.0.0.1:7574", false, false},
      {"10.0.0.1:7574", "10.0.0.1:7574", false, false}, /* itself */
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    PeerAddress address = scene_address_of (rows[i].address),
                peer = scene_address_of (rows[i].peer);
    g_assert_cmpint (peer_exchange_may_name (&address, &peer), ==, rows[i].may);
    g_assert_cmpint (peer_exchange_may_name_plainly (&address, &peer, false), ==, rows[i].plainly);
    g_assert_cmpint (peer_exchange_may_name_plainly (&address, &peer, true), ==, rows[i].may);
  }
}

static void
test_ports_of_one_host_are_one_source (void)
{
  const struct {
    const char *a, *b;
    bool same;
  } rows[] = {
      {"192.0.2.1:7574", "192.0.2.1:7575", true},
      {"192.0.2.1:7574", "192.0.2.2:7574", false},
      {"10.0.0.1:7574", "10.0.0.1:7575", true},
      {"127.0.0.1:7574", "127.0.0.1:7575", false},
      {"[2001:db8::1]:7574", "[2001:db8::2]:7575", true},
      {"[2001:db8::1]:7574", "[2001:db8:0:1::1]:7574", false},
      {"[fd00::1]:7574", "[fd00::1]:7575", true},
      {"[fd00::1]:7574", "[fd00::2]:7574", false}, /* a whole house is in there */
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    PeerAddress a = scene_address_of (rows[i].a), b = scene_address_of (rows[i].b);
    a = peer_exchange_source (&a);
    b = peer_exchange_source (&b);
    g_assert_cmpint (peer_address_equal (&a, &b), ==, rows[i].same);
  }
}

/* 7.10: who lists a message can be sent it. */
static void
test_only_what_is_taken_is_listed (void)
{
  const struct {
    SceneSetting setting;
    const char *peer;
    bool asked, plain, certified;
  } rows[] = {
      {{0}, "192.0.2.1:7574", false, false, false},
      {{0}, "10.0.0.1:7574", true, true, false},
      {{.benign = true}, "192.0.2.1:7574", true, true, false},
      {{.certified = true}, "192.0.2.1:7574", true, false, true},
      {{.certified = true}, "[fd00::1]:7574", true, true, true},
      {{.certified = true, .live_source = true}, "10.0.0.1:7574", true, false, true},
      {{.certified = true, .benign = true, .off = true}, "10.0.0.1:7574", false, false, false},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    Scene self;
    scene_init (&self, &rows[i].setting);
    SceneStranger stranger = scene_call (&self, rows[i].peer, NULL);
    const SceneSaid *said = scene_last_said (&self, PEER_MESSAGE_HANDSHAKE, &stranger.address);
    g_assert_cmpint (scene_lists (said, PEER_MESSAGE_PEX_REQ), ==, rows[i].asked);
    g_assert_cmpint (scene_lists (said, PEER_MESSAGE_PEX_RES_V4), ==, rows[i].plain);
    g_assert_cmpint (scene_lists (said, PEER_MESSAGE_PEX_RES_V6), ==, rows[i].plain);
    g_assert_cmpint (scene_lists (said, PEER_MESSAGE_PEX_RES_CERT), ==, rows[i].certified);
    g_assert_true (scene_lists (said, PEER_MESSAGE_REQUEST));
    scene_clear (&self);
  }
}

/* --- answers --- */

static void
test_private_peers_learn_of_each_other (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){0});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574"), b = scene_come (&self, "10.0.0.2:7574");
  SceneStranger c = scene_come (&self, "[fd00::3]:7574"),
                public = scene_come (&self, "192.0.2.1:7574");
  scene_ask (&self, &a);
  g_assert_true (scene_was_named (&self, &a, &b));
  g_assert_true (scene_was_named (&self, &a, &c));
  g_assert_false (scene_was_named (&self, &a, &a));
  g_assert_false (scene_was_named (&self, &a, &public)); /* not where nobody vouches for it */
  scene_clear (&self);
}

static void
test_strangers_are_told_nothing (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){0});
  scene_come (&self, "10.0.0.1:7574");
  scene_come (&self, "192.0.2.2:7574");
  SceneStranger public = scene_come (&self, "192.0.2.1:7574");
  scene_ask (&self, &public);
  g_assert_cmpuint (scene_count_answers (&self, &public), ==, 0);
  g_assert_cmpuint (peer_engine_counters (self.engine)->pex_refused, ==, 1);
  scene_clear (&self);
}

/* 3.10.1: without a certificate nobody is named on the Internet, nor believed; not even where those
 * with one are. */
static void
test_certified_swarm_names_nobody_plainly (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  SceneStranger public = scene_come (&self, "192.0.2.1:7574");
  scene_come (&self, "192.0.2.2:7574");
  scene_ask (&self, &public);
  g_assert_cmpuint (scene_count_answers (&self, &public), ==, 0);
  g_assert_cmpuint (peer_engine_counters (self.engine)->pex_refused, ==, 0); /* but nobody is fit */
  scene_run (&self, 10 * SECOND);
  g_assert_cmpuint (scene_count_said (&self, PEER_MESSAGE_PEX_REQ, &public.address), ==, 1);
  scene_tell (&self, &public, "192.0.2.66:7574");
  scene_run (&self, 10 * SECOND);
  g_assert_cmpuint (scene_count_calls (&self, "192.0.2.66:7574"), ==, 0);
  g_assert_cmpuint (peer_engine_counters (self.engine)->pex_refused, ==, 1);
  scene_clear (&self);
}

static void
test_benign_network_names_all_but_private_to_public (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.benign = true});
  SceneStranger private = scene_come (&self, "10.0.0.1:7574"),
                other = scene_come (&self, "192.0.2.2:7574");
  SceneStranger public = scene_come (&self, "192.0.2.1:7574");
  scene_ask (&self, &public);
  g_assert_true (scene_was_named (&self, &public, &other));
  g_assert_false (scene_was_named (&self, &public, &private));
  scene_ask (&self, &private);
  g_assert_true (scene_was_named (&self, &private, &other));
  scene_clear (&self);
}

/* 3.10.1: "MUST have exchanged messages with Peer Ci in the last 60 seconds". */
static void
test_who_was_not_heard_for_a_minute_is_not_named (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){0});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574"), b = scene_come (&self, "10.0.0.2:7574");
  scene_run (&self, 60 * SECOND);
  scene_ask (&self, &a);
  g_assert_true (scene_was_named (&self, &a, &b));
  g_array_set_size (self.said, 0);
  scene_run (&self, SECOND);
  scene_ask (&self, &a);
  g_assert_false (scene_was_named (&self, &a, &b));
  scene_say (&self, &b, NULL);
  scene_run (&self, 11 * SECOND);
  scene_ask (&self, &a);
  g_assert_true (scene_was_named (&self, &a, &b));
  scene_clear (&self);
}

static void
test_unproven_addresses_are_neither_named_nor_answered (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){0});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574"),
                b = scene_call (&self, "10.0.0.2:7574", NULL);
  PeerMessage request = {.type = PEER_MESSAGE_PEX_REQ};
  SceneStranger c = scene_call (&self, "10.0.0.3:7574", &request);
  scene_ask (&self, &a);
  g_assert_false (scene_was_named (&self, &a, &b));
  g_assert_cmpuint (scene_count_answers (&self, &c), ==, 0);
  scene_clear (&self);
}

static void
test_requests_are_answered_so_often_only (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){0});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574");
  scene_come (&self, "10.0.0.2:7574");
  for (unsigned i = 0; i < 100; i++)
    scene_ask (&self, &a);
  g_assert_cmpuint (scene_count_answers (&self, &a), ==, PEER_EXCHANGE_REQUESTS);
  g_assert_cmpuint (peer_engine_counters (self.engine)->pex_refused, ==,
                    100 - PEER_EXCHANGE_REQUESTS);
  scene_clear (&self);
}

static void
test_an_answer_is_short_and_drawn (void)
{
  Scene self;
  unsigned named = 0;
  scene_init (&self, &(SceneSetting){0});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574"), others[30];
  for (unsigned i = 0; i < G_N_ELEMENTS (others); i++) {
    g_autofree char *where = g_strdup_printf ("10.0.1.%u:7574", i + 1);
    others[i] = scene_come (&self, where);
  }
  scene_ask (&self, &a);
  g_assert_cmpuint (scene_count_answers (&self, &a), ==, 10);
  for (unsigned i = 0; i < 5; i++)
    scene_ask (&self, &a);
  for (unsigned i = 0; i < G_N_ELEMENTS (others); i++)
    named += scene_was_named (&self, &a, &others[i]);
  g_assert_cmpuint (named, >, 18); /* of 30, by 60 draws; the same ten each time would be ten */
  scene_clear (&self);
}

/* --- what others name --- */

static void
test_nobody_is_believed_unasked (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){0});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574");
  scene_run (&self, SECOND);
  g_assert_cmpuint (scene_count_said (&self, PEER_MESSAGE_PEX_REQ, &a.address), ==, 1);
  SceneStranger b = scene_come (&self, "10.0.0.2:7574"); /* is asked 5 s later */
  scene_tell (&self, &b, "10.0.0.66:7574");
  scene_tell (&self, &a, "10.0.0.3:7574");
  scene_run (&self, 2 * SECOND);
  g_assert_cmpuint (scene_count_calls (&self, "10.0.0.66:7574"), ==, 0);
  g_assert_cmpuint (scene_count_calls (&self, "10.0.0.3:7574"), >, 0);
  scene_clear (&self);
}

static void
test_late_answers_are_none (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){0});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574");
  scene_run (&self, SECOND);
  g_assert_cmpuint (scene_count_said (&self, PEER_MESSAGE_PEX_REQ, &a.address), ==, 1);
  scene_run (&self, 31 * SECOND);
  scene_tell (&self, &a, "10.0.0.3:7574");
  scene_run (&self, 2 * SECOND);
  g_assert_cmpuint (scene_count_calls (&self, "10.0.0.3:7574"), ==, 0);
  scene_clear (&self);
}

static void
test_one_peer_is_asked_once_in_a_minute (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){0});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574");
  for (unsigned i = 0; i < 55; i++) {
    scene_run (&self, SECOND);
    scene_say (&self, &a, NULL);
  }
  g_assert_cmpuint (scene_count_said (&self, PEER_MESSAGE_PEX_REQ, &a.address), ==, 1);
  for (unsigned i = 0; i < 10; i++) {
    scene_run (&self, SECOND);
    scene_say (&self, &a, NULL);
  }
  g_assert_cmpuint (scene_count_said (&self, PEER_MESSAGE_PEX_REQ, &a.address), ==, 2);
  scene_clear (&self);
}

static void
test_bad_addresses_are_refused (void)
{
  static const char *const bad[] = {"10.0.0.9:7574",  "127.0.0.1:7574", "[fd00::1]:7574",
                                    "[fe80::1]:7574", "224.0.0.1:7574", "192.0.2.9:53"};
  Scene self;
  scene_init (&self, &(SceneSetting){.benign = true});
  SceneStranger a = scene_come (&self, "192.0.2.1:7574");
  scene_run (&self, SECOND);
  for (unsigned i = 0; i < G_N_ELEMENTS (bad); i++)
    scene_tell (&self, &a, bad[i]);
  scene_run (&self, 10 * SECOND);
  for (unsigned i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_cmpuint (scene_count_calls (&self, bad[i]), ==, 0);
  g_assert_cmpuint (peer_engine_counters (self.engine)->pex_refused, ==, G_N_ELEMENTS (bad));
  scene_clear (&self);
}

/* 12.2.1: one datagram must not become many, nor one liar a flood at one victim. */
static void
test_a_victim_hears_three_datagrams (void)
{
  Scene self;
  unsigned calls = 0;
  scene_init (&self, &(SceneSetting){.benign = true});
  SceneStranger a = scene_come (&self, "192.0.2.1:7574");
  PeerAddress victim = scene_address_of ("198.51.100.7:2000");
  for (unsigned minute = 0; minute < 10; minute++) {
    for (unsigned i = 0; i < 60; i++) {
      g_autofree char *where = g_strdup_printf ("198.51.100.7:%u", 2000 + i);
      scene_tell (&self, &a, where);
      scene_run (&self, SECOND);
    }
  }
  for (guint i = 0; i < self.said->len; i++)
    calls += memcmp (g_array_index (self.said, SceneSaid, i).to.ip, victim.ip, 16) == 0;
  g_assert_cmpuint (calls, ==, 3);
  scene_clear (&self);
}

static void
test_addresses_are_tried_slowly_and_not_all (void)
{
  Scene self;
  unsigned tried = 0;
  scene_init (&self, &(SceneSetting){0});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574");
  scene_run (&self, SECOND);
  for (unsigned i = 0; i < 200; i++) {
    g_autofree char *where = g_strdup_printf ("10.0.1.%u:7574", i);
    scene_tell (&self, &a, where);
  }
  g_assert_cmpuint (peer_engine_counters (self.engine)->pex_addresses, ==, PEER_EXCHANGE_ADDRESSES);
  scene_run (&self, 3 * SECOND);
  for (unsigned i = 0; i < 200; i++) {
    g_autofree char *where = g_strdup_printf ("10.0.1.%u:7574", i);
    tried += scene_count_calls (&self, where) > 0;
  }
  g_assert_cmpuint (tried, >=, 3);
  g_assert_cmpuint (tried, <=, 2 + 4);
  scene_clear (&self);
}

/* --- slots --- */

static void
test_hearsay_fills_half_of_the_slots (void)
{
  Scene self;
  unsigned open = 0;
  scene_init (&self, &(SceneSetting){.max_peers = 8});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574");
  scene_run (&self, SECOND);
  for (unsigned i = 0; i < 20; i++) {
    g_autofree char *where = g_strdup_printf ("10.0.1.%u:7574", i);
    scene_tell (&self, &a, where);
  }
  for (unsigned s = 0; s < 30; s++) {
    for (unsigned i = 0; i < 20; i++) {
      g_autofree char *where = g_strdup_printf ("10.0.1.%u:7574", i);
      PeerAddress address = scene_address_of (where);
      const SceneSaid *said = scene_last_said (&self, PEER_MESSAGE_HANDSHAKE, &address);
      if (said == NULL)
        continue;
      scene_answer (&self, where);
      open++;
    }
    g_array_set_size (self.said, 0);
    scene_run (&self, SECOND);
  }
  g_assert_cmpuint (open, ==, 4);
  /* the tracker's still get in */
  scene_named_by_tracker (&self, "10.0.2.1:7574");
  scene_clear (&self);
}

static void
test_inbound_peers_cannot_fill_our_slots (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.max_peers = 8});
  for (unsigned i = 0; i < 32; i++) {
    g_autofree char *where = g_strdup_printf ("10.0.3.%u:7574", i + 1);
    scene_come (&self, where);
  }
  g_assert_cmpuint (scene_call (&self, "10.0.3.99:7574", NULL).remote, ==, 0);
  for (unsigned i = 0; i < 8; i++) {
    g_autofree char *where = g_strdup_printf ("192.0.2.%u:7574", i + 1);
    scene_named_by_tracker (&self, where);
  }
  PeerAddress ninth = scene_address_of ("192.0.2.99:7574");
  peer_engine_add_peer (self.engine, self.swarm, &ninth);
  scene_run (&self, 2 * SECOND);
  g_assert_cmpuint (scene_count_calls (&self, "192.0.2.99:7574"), ==, 0);
  scene_clear (&self);
}

static void
test_the_tracker_is_asked_when_all_is_hearsay (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){0});
  SceneStranger in[5];
  for (unsigned i = 0; i < 5; i++) {
    g_autofree char *where = g_strdup_printf ("10.0.0.%u:7574", i + 1);
    in[i] = scene_come (&self, where);
  }
  scene_run (&self, 5 * SECOND);
  self.need_peers = 0;
  scene_run (&self, 10 * SECOND);
  g_assert_cmpuint (self.need_peers, ==, 0); /* five are enough */
  for (unsigned i = 0; i < 5; i++)
    scene_tell (&self, &in[i], "10.0.1.1:7574");
  scene_run (&self, SECOND);
  scene_answer (&self, "10.0.1.1:7574");
  scene_run (&self, 10 * SECOND);
  g_assert_cmpuint (self.need_peers, >=, 2);
  scene_named_by_tracker (&self, "10.0.2.1:7574");
  scene_run (&self, SECOND);
  self.need_peers = 0;
  scene_run (&self, 10 * SECOND);
  g_assert_cmpuint (self.need_peers, ==, 0);
  scene_clear (&self);
}

static void
test_one_address_has_so_many_channels (void)
{
  Scene self;
  unsigned taken = 0;
  scene_init (&self, &(SceneSetting){.max_per_ip = 3});
  for (unsigned i = 0; i < 10; i++) {
    g_autofree char *where = g_strdup_printf ("192.0.2.1:%u", 7000 + i);
    taken += scene_call (&self, where, NULL).remote != 0;
  }
  g_assert_cmpuint (taken, ==, 3);
  g_assert_cmpuint (scene_call (&self, "192.0.2.2:7000", NULL).remote, !=, 0);
  scene_clear (&self);
}

/* One subscriber has all addresses of a /64 of the Internet, and one household those of its own. */
static void
test_one_subscriber_has_so_many_channels (void)
{
  static const struct {
    const char *format;
    unsigned most;
  } rows[] = {
      {"[2001:db8:0:1::%x]:7574", 3}, {"[2001:db8:0:%x::1]:7574", 10}, {"[fd00::%x]:7574", 10}};
  for (unsigned k = 0; k < G_N_ELEMENTS (rows); k++) {
    Scene self;
    unsigned taken = 0;
    scene_init (&self, &(SceneSetting){.max_per_ip = 3});
    for (unsigned i = 1; i <= 10; i++) {
      GString *where = g_string_new (rows[k].format);
      g_autofree char *part = g_strdup_printf ("%x", i);
      g_string_replace (where, "%x", part, 1);
      taken += scene_call (&self, where->str, NULL).remote != 0;
      g_string_free (where, TRUE);
    }
    g_assert_cmpuint (taken, ==, rows[k].most);
    scene_clear (&self);
  }
}

/* --- certificates --- */

static void
test_ours_is_shown_to_all (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  SceneStranger before = scene_come (&self, "192.0.2.1:7574");
  g_autoptr (GBytes) own =
      scene_certificate_of (&self, self.tracker, "203.0.113.1:7574", SCENE_WALL);
  size_t n;
  const uint8_t *bytes = g_bytes_get_data (own, &n);
  g_assert_true (peer_engine_add_certificate (self.engine, self.swarm, NULL, bytes, n));
  scene_drain (&self);
  SceneStranger after = scene_come (&self, "192.0.2.2:7574");
  const SceneSaid *said = scene_last_said (&self, PEER_MESSAGE_PEX_RES_CERT, &before.address);
  g_assert_true (said != NULL && g_bytes_equal (said->bytes, own));
  said = scene_last_said (&self, PEER_MESSAGE_PEX_RES_CERT, &after.address);
  g_assert_true (said != NULL && g_bytes_equal (said->bytes, own));
  scene_run (&self, 30 * SECOND);
  g_assert_cmpuint (scene_count_said (&self, PEER_MESSAGE_PEX_RES_CERT, NULL), ==, 2);
  scene_clear (&self);
}

static void
test_a_private_one_is_not_shown_to_the_world (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  g_autoptr (GBytes) own = scene_certificate_of (&self, self.tracker, "10.0.0.1:7574", SCENE_WALL);
  size_t n;
  const uint8_t *bytes = g_bytes_get_data (own, &n);
  g_assert_true (peer_engine_add_certificate (self.engine, self.swarm, NULL, bytes, n));
  SceneStranger public = scene_come (&self, "192.0.2.2:7574"),
                private = scene_come (&self, "10.0.0.2:7574");
  g_assert_null (scene_last_said (&self, PEER_MESSAGE_PEX_RES_CERT, &public.address));
  g_assert_nonnull (scene_last_said (&self, PEER_MESSAGE_PEX_RES_CERT, &private.address));
  scene_clear (&self);
}

static void
test_a_wrong_one_of_ours_is_not_taken (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  g_autoptr (PeerKey) other = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  g_autoptr (GBytes) own = scene_certificate_of (&self, other, "203.0.113.1:7574", SCENE_WALL);
  size_t n;
  const uint8_t *bytes = g_bytes_get_data (own, &n);
  g_assert_false (peer_engine_add_certificate (self.engine, self.swarm, NULL, bytes, n));
  uint8_t key[PEER_FINGERPRINT];
  peer_key_fingerprint (other, key);
  peer_engine_trust_tracker (self.engine, self.swarm, key);
  g_assert_true (peer_engine_add_certificate (self.engine, self.swarm, NULL, bytes, n));
  scene_clear (&self);
}

/* A shows its own to us, and we give it to B: that is how it spreads (12.2.2). */
static void
test_certificates_are_passed_on (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  SceneStranger a = scene_come (&self, "192.0.2.1:7574"),
                b = scene_come (&self, "198.51.100.1:7574");
  scene_come (&self, "203.0.113.3:7574"); /* has none: is not named */
  g_autoptr (GBytes) certificate =
      scene_certificate_of (&self, self.tracker, "192.0.2.1:7574", SCENE_WALL);
  scene_show (&self, &a, certificate);
  scene_ask (&self, &b);
  const SceneSaid *said = scene_last_said (&self, PEER_MESSAGE_PEX_RES_CERT, &b.address);
  g_assert_true (said != NULL && g_bytes_equal (said->bytes, certificate));
  g_assert_cmpuint (scene_count_answers (&self, &b), ==, 1);
  scene_clear (&self);
}

/* The tracker's list may have the certificates of those that it names. */
static void
test_those_of_the_trackers_list_are_passed_on (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  g_autoptr (GBytes) certificate =
      scene_certificate_of (&self, self.tracker, "192.0.2.1:7574", SCENE_WALL);
  PeerAddress where = scene_address_of ("192.0.2.1:7574");
  PeerAddress elsewhere = scene_address_of ("192.0.2.1:7575");
  size_t n;
  const uint8_t *bytes = g_bytes_get_data (certificate, &n);
  g_assert_true (peer_engine_add_certificate (self.engine, self.swarm, &where, bytes, n));
  g_assert_false (peer_engine_add_certificate (self.engine, self.swarm, &elsewhere, bytes, n));
  scene_run (&self, 1000);
  scene_answer (&self, "192.0.2.1:7574");
  SceneStranger b = scene_come (&self, "198.51.100.1:7574");
  scene_ask (&self, &b);
  const SceneSaid *said = scene_last_said (&self, PEER_MESSAGE_PEX_RES_CERT, &b.address);
  g_assert_true (said != NULL && g_bytes_equal (said->bytes, certificate));
  scene_clear (&self);
}

static void
test_private_certificates_stay_inside (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574"),
                public = scene_come (&self, "198.51.100.1:7574");
  scene_show_certified (&self, &a, "10.0.0.1:7574");
  scene_ask (&self, &public);
  g_assert_cmpuint (scene_count_answers (&self, &public), ==, 0);
  scene_clear (&self);
}

static void
test_an_expired_one_is_not_passed_on (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  SceneStranger a = scene_come (&self, "192.0.2.1:7574"),
                b = scene_come (&self, "198.51.100.1:7574");
  g_autoptr (GBytes) certificate = scene_certificate_of (
      &self, self.tracker, "192.0.2.1:7574", SCENE_WALL - PEER_MEMBERSHIP_LIFE + 20 * SECOND);
  scene_show (&self, &a, certificate);
  scene_ask (&self, &b);
  g_assert_cmpuint (scene_count_answers (&self, &b), ==, 1);
  scene_run (&self, 21 * SECOND);
  scene_ask (&self, &b);
  g_assert_cmpuint (scene_count_answers (&self, &b), ==, 1);
  scene_clear (&self);
}

static void
test_a_certified_peer_is_contacted (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  SceneStranger a = scene_come (&self, "192.0.2.1:7574");
  scene_run (&self, SECOND);
  g_assert_cmpuint (scene_count_said (&self, PEER_MESSAGE_PEX_REQ, &a.address), ==, 1);
  scene_show_certified (&self, &a, "198.51.100.1:7574");
  scene_show_certified (&self, &a, "10.0.0.1:7574"); /* signed, and yet a way into our network */
  scene_tell (&self, &a, "198.51.100.2:7574");       /* not signed */
  scene_run (&self, 3 * SECOND);
  g_assert_cmpuint (scene_count_calls (&self, "198.51.100.1:7574"), >, 0);
  g_assert_cmpuint (scene_count_calls (&self, "10.0.0.1:7574"), ==, 0);
  g_assert_cmpuint (scene_count_calls (&self, "198.51.100.2:7574"), ==, 0);
  scene_clear (&self);
}

/* 12.2.2: "check a few of the certificates sent and discard the rest if they are defective". */
static void
test_after_two_defective_ones_the_rest_is_not_looked_at (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  const PeerCounters *counters = peer_engine_counters (self.engine);
  g_autoptr (PeerKey) other = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  SceneStranger a = scene_come (&self, "192.0.2.1:7574");
  scene_run (&self, SECOND);
  for (unsigned i = 0; i < 10; i++) {
    g_autofree char *where = g_strdup_printf ("198.51.100.%u:7574", i + 1);
    g_autoptr (GBytes) forged = scene_certificate_of (&self, other, where, SCENE_WALL);
    scene_show (&self, &a, forged);
  }
  scene_show_certified (&self, &a, "198.51.100.99:7574");
  scene_run (&self, 10 * SECOND);
  g_assert_cmpuint (counters->certificates_checked, ==, 2);
  g_assert_cmpuint (counters->certificates_bad, ==, 2);
  g_assert_cmpuint (scene_count_calls (&self, "198.51.100.99:7574"), ==, 0);
  for (unsigned i = 0; i < 10; i++) {
    g_autofree char *where = g_strdup_printf ("198.51.100.%u:7574", i + 1);
    g_assert_cmpuint (scene_count_calls (&self, where), ==, 0);
  }
  scene_clear (&self);
}

static void
test_bad_certificates_lead_nowhere (void)
{
  enum { FORGED, OTHER_SWARM, EXPIRED, FUTURE, NONSENSE, N_KINDS };
  for (unsigned kind = 0; kind < N_KINDS; kind++) {
    Scene self;
    scene_init (&self, &(SceneSetting){.certified = true});
    SceneStranger a = scene_come (&self, "192.0.2.1:7574");
    scene_run (&self, SECOND);
    int64_t wall = kind == EXPIRED  ? SCENE_WALL - PEER_MEMBERSHIP_LIFE
                   : kind == FUTURE ? SCENE_WALL + 2 * PEER_MEMBERSHIP_SKEW
                                    : SCENE_WALL;
    self.content.swarm_id[3] ^= kind == OTHER_SWARM;
    g_autoptr (GBytes) good = scene_certificate_of (&self, self.tracker, "198.51.100.1:7574", wall);
    size_t n;
    const uint8_t *bytes = g_bytes_get_data (good, &n);
    g_autofree uint8_t *copy = g_memdup2 (bytes, n);
    copy[n - 1] ^= kind == FORGED;
    copy[1] ^= kind == NONSENSE;
    g_autoptr (GBytes) bad = g_bytes_new (copy, n);
    scene_show (&self, &a, bad);
    scene_run (&self, 5 * SECOND);
    g_assert_cmpuint (scene_count_calls (&self, "198.51.100.1:7574"), ==, 0);
    g_assert_cmpuint (peer_engine_counters (self.engine)->certificates_checked, ==, 1);
    scene_clear (&self);
  }
}

static void
test_checks_are_rationed (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  SceneStranger a = scene_come (&self, "192.0.2.1:7574");
  scene_run (&self, SECOND);
  for (unsigned i = 0; i < 100; i++) {
    g_autofree char *where = g_strdup_printf ("198.51.100.%u:7574", i + 1);
    scene_show_certified (&self, &a, where);
  }
  const PeerCounters *counters = peer_engine_counters (self.engine);
  g_assert_cmpuint (counters->certificates_checked, ==, PEER_EXCHANGE_CHECKS);
  /* those of all together as well: twenty at once, and five a second */
  for (unsigned k = 0; k < 5; k++) {
    g_autofree char *from = g_strdup_printf ("192.0.2.%u:7574", k + 2);
    SceneStranger other = scene_come (&self, from);
    scene_run (&self, SECOND);
    for (unsigned i = 0; i < 20; i++) {
      g_autofree char *where = g_strdup_printf ("203.0.113.%u:7574", 20 * k + i + 1);
      scene_show_certified (&self, &other, where);
    }
  }
  g_assert_cmpuint (counters->certificates_checked, <=, 20 + 5 * 6 + 1);
  g_assert_cmpuint (counters->certificates_checked, >=, 20 + 5 * 4);
  scene_clear (&self);
}

/* 12.2.3, E1: it gives, and takes nothing. */
static void
test_a_source_asks_nobody (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true, .live_source = true});
  SceneStranger a = scene_come (&self, "10.0.0.1:7574"), b = scene_come (&self, "10.0.0.2:7574");
  scene_run (&self, 10 * SECOND);
  g_assert_cmpuint (scene_count_said (&self, PEER_MESSAGE_PEX_REQ, NULL), ==, 0);
  scene_tell (&self, &a, "10.0.0.9:7574");
  scene_show_certified (&self, &a, "10.0.0.8:7574");
  scene_run (&self, 5 * SECOND);
  g_assert_cmpuint (scene_count_calls (&self, "10.0.0.9:7574"), ==, 0);
  g_assert_cmpuint (scene_count_calls (&self, "10.0.0.8:7574"), ==, 0);
  scene_ask (&self, &b);
  g_assert_true (scene_was_named (&self, &b, &a));
  scene_clear (&self);
}

static void
test_we_are_not_named_to_ourselves (void)
{
  Scene self;
  scene_init (&self, &(SceneSetting){.certified = true});
  g_autoptr (GBytes) own =
      scene_certificate_of (&self, self.tracker, "203.0.113.1:7574", SCENE_WALL);
  size_t n;
  const uint8_t *bytes = g_bytes_get_data (own, &n);
  g_assert_true (peer_engine_add_certificate (self.engine, self.swarm, NULL, bytes, n));
  SceneStranger a = scene_come (&self, "192.0.2.1:7574");
  scene_run (&self, SECOND);
  scene_show (&self, &a, own);
  scene_run (&self, 5 * SECOND);
  g_assert_cmpuint (scene_count_calls (&self, "203.0.113.1:7574"), ==, 0);
  scene_clear (&self);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/peer/exchange/" name, function)
  ADD ("addresses-stay-among-their-like", test_addresses_stay_among_their_like);
  ADD ("ports-of-one-host-are-one-source", test_ports_of_one_host_are_one_source);
  ADD ("only-what-is-taken-is-listed", test_only_what_is_taken_is_listed);
  ADD ("private-peers-learn-of-each-other", test_private_peers_learn_of_each_other);
  ADD ("strangers-are-told-nothing", test_strangers_are_told_nothing);
  ADD ("certified-swarm-names-nobody-plainly", test_certified_swarm_names_nobody_plainly);
  ADD ("benign-network-names-all-but-private-to-public",
       test_benign_network_names_all_but_private_to_public);
  ADD ("who-was-not-heard-for-a-minute-is-not-named",
       test_who_was_not_heard_for_a_minute_is_not_named);
  ADD ("unproven-addresses-are-neither-named-nor-answered",
       test_unproven_addresses_are_neither_named_nor_answered);
  ADD ("requests-are-answered-so-often-only", test_requests_are_answered_so_often_only);
  ADD ("an-answer-is-short-and-drawn", test_an_answer_is_short_and_drawn);
  ADD ("nobody-is-believed-unasked", test_nobody_is_believed_unasked);
  ADD ("late-answers-are-none", test_late_answers_are_none);
  ADD ("one-peer-is-asked-once-in-a-minute", test_one_peer_is_asked_once_in_a_minute);
  ADD ("bad-addresses-are-refused", test_bad_addresses_are_refused);
  ADD ("a-victim-hears-three-datagrams", test_a_victim_hears_three_datagrams);
  ADD ("addresses-are-tried-slowly-and-not-all", test_addresses_are_tried_slowly_and_not_all);
  ADD ("hearsay-fills-half-of-the-slots", test_hearsay_fills_half_of_the_slots);
  ADD ("inbound-peers-cannot-fill-our-slots", test_inbound_peers_cannot_fill_our_slots);
  ADD ("the-tracker-is-asked-when-all-is-hearsay", test_the_tracker_is_asked_when_all_is_hearsay);
  ADD ("one-address-has-so-many-channels", test_one_address_has_so_many_channels);
  ADD ("one-subscriber-has-so-many-channels", test_one_subscriber_has_so_many_channels);
  ADD ("ours-is-shown-to-all", test_ours_is_shown_to_all);
  ADD ("a-private-one-is-not-shown-to-the-world", test_a_private_one_is_not_shown_to_the_world);
  ADD ("a-wrong-one-of-ours-is-not-taken", test_a_wrong_one_of_ours_is_not_taken);
  ADD ("certificates-are-passed-on", test_certificates_are_passed_on);
  ADD ("those-of-the-trackers-list-are-passed-on", test_those_of_the_trackers_list_are_passed_on);
  ADD ("private-certificates-stay-inside", test_private_certificates_stay_inside);
  ADD ("an-expired-one-is-not-passed-on", test_an_expired_one_is_not_passed_on);
  ADD ("a-certified-peer-is-contacted", test_a_certified_peer_is_contacted);
  ADD ("after-two-defective-ones-the-rest-is-not-looked-at",
       test_after_two_defective_ones_the_rest_is_not_looked_at);
  ADD ("bad-certificates-lead-nowhere", test_bad_certificates_lead_nowhere);
  ADD ("checks-are-rationed", test_checks_are_rationed);
  ADD ("a-source-asks-nobody", test_a_source_asks_nobody);
  ADD ("we-are-not-named-to-ourselves", test_we_are_not_named_to_ourselves);
  return g_test_run ();
}
