/* SPDX-License-Identifier: Apache-2.0 */
/* The tracker protocol over SIP, message by message: what peer/net/SIP.md says is what goes over the wire. */
#include "peer/net/sip-peers.h"
#include "tests/lib/wait.h"
#include "tests/net/sip-wire.h"

#include <string.h>

#define TRACKER "sip:127.0.0.1:@T"

static NetSipServerStats
stats_of (const SipWire *wire)
{
  NetSipServerStats stats;
  net_sip_server_stats (wire->server, &stats);
  return stats;
}

static uint32_t
registered (const SipWire *wire)
{
  TrackerRegistryStats stats;
  tracker_registry_stats (wire->registry, &stats);
  return stats.peers;
}

/* --- one peer's life --------------------------------------------------------------------------- */

static void
test_life (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *seeder = sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "SEEDER");
  g_autofree char *leech = sip_wire_join (&wire, "bob", 7575, SIP_SWARM, "LEECH");

  /* FIND, by our package and by the draft's own bare INFO: the other one, and not oneself. */
  static const char *const finds[] = {"Info-Package: ppsp-find\nPPSP-Peer-Num: 5\n", ""};
  for (unsigned i = 0; i < G_N_ELEMENTS (finds); i++) {
    g_autofree char *found =
        sip_wire_ask_in_dialog (&wire, "200", "INFO", "bob", leech, 2 + i, finds[i]);
    g_autofree char *first = sip_wire_header (found, "PPSP-Peer", 0);
    g_autofree char *second = sip_wire_header (found, "PPSP-Peer", 1);
    g_assert_cmpstr (first, ==, "127.0.0.1:7574;prio=1;type=HOST;proto=PPSP-PP;peer-id=ann");
    g_assert_null (second);
  }
  g_autofree char *none = sip_wire_ask_in_dialog (&wire, "200", "INFO", "bob", leech, 4,
                                                  "Info-Package: ppsp-find\nPPSP-Peer-Num: 0\n");
  g_assert_null (strstr (none, "PPSP-Peer:"));

  /* STAT_REPORT */
  g_autofree char *reported =
      sip_wire_ask_in_dialog (&wire, "200", "INFO", "ann", seeder, 2,
                              "Info-Package: ppsp-stat\nPPSP-Stat: up=512;down=7;bw=8;links=1\n");
  g_assert_null (strstr (reported, "PPSP-Peer:"));
  g_free (
      sip_wire_ask_in_dialog (&wire, "400", "INFO", "ann", seeder, 3, "Info-Package: ppsp-stat\n"));
  g_autofree char *unknown =
      sip_wire_ask_in_dialog (&wire, "469", "INFO", "ann", seeder, 4, "Info-Package: weather\n");
  g_autofree char *known = sip_wire_header (unknown, "Recv-Info", 0);
  g_assert_cmpstr (known, ==, "ppsp-find, ppsp-stat");

  /* LEAVE: who has left is not named any more, and has no dialog. */
  g_free (sip_wire_ask_in_dialog (&wire, "200", "BYE", "ann", seeder, 5, ""));
  g_free (sip_wire_ask_in_dialog (&wire, "481", "BYE", "ann", seeder, 6, ""));
  g_free (sip_wire_ask_in_dialog (&wire, "481", "INFO", "ann", seeder, 7, ""));
  g_autofree char *alone = sip_wire_ask_in_dialog (&wire, "200", "INFO", "bob", leech, 5, "");
  g_assert_null (strstr (alone, "PPSP-Peer:"));

  /* DISCONNECT: all of it at once. */
  g_autofree char *gone =
      sip_wire_request ("REGISTER", TRACKER, "bob", "", "r-bob", 1000, "Contact: *\nExpires: 0\n");
  g_free (sip_wire_ask (&wire, "200", gone));
  g_assert_cmpuint (registered (&wire), ==, 0);
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 0);
  g_assert_cmpuint (stats_of (&wire).peers, ==, 1); /* ann is registered still, in no swarm */
  sip_wire_clear (&wire);
}

/* One registry: who came by HTTP is in it as any other. */
static void
test_http_and_sip (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  g_autoptr (TrackerRequest) request = tracker_request_new (TRACKER_REQUEST_CONNECT, "t1", "web");
  PeerAddress from = {.port = 0};
  TrackerAddress address = {.type = TRACKER_ADDRESS_HOST, .priority = 3};
  g_assert_true (peer_address_parse ("127.0.0.1:9999", &from));
  g_assert_true (peer_address_parse ("127.0.0.1:8000", &address.address));
  g_array_append_val (request->addresses, address);
  TrackerSwarm *swarm = tracker_request_add_swarm (request, SIP_SWARM);
  swarm->mode = TRACKER_MODE_LEECH;
  tracker_response_free (
      tracker_registry_answer (wire.registry, g_get_monotonic_time (), request, &from));
  g_autofree char *tag = sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "LEECH");
  g_autofree char *found = sip_wire_ask_in_dialog (&wire, "200", "INFO", "ann", tag, 2, "");
  g_autofree char *peer = sip_wire_header (found, "PPSP-Peer", 0);
  g_assert_cmpstr (peer, ==, "127.0.0.1:8000;prio=3;type=HOST;peer-id=web");

  g_autoptr (TrackerRequest) find = tracker_request_new (TRACKER_REQUEST_FIND, "t2", "web");
  tracker_request_add_swarm (find, SIP_SWARM);
  g_autoptr (TrackerResponse) second =
      tracker_registry_answer (wire.registry, g_get_monotonic_time (), find, &from);
  const TrackerResult *result = g_ptr_array_index (second->results, 0);
  g_assert_cmpuint (result->peers->len, ==, 1);
  g_assert_cmpstr (((const TrackerPeer *)g_ptr_array_index (result->peers, 0))->peer_id, ==, "ann");
  sip_wire_clear (&wire);
}

/* A datagram has room for a part of the registry's list, which begins with the seeders: leeches, and who was
 * drawn by chance at its end, are not what is left out. */
static void
test_long_lists (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  for (unsigned i = 0; i < 50; i++) {
    g_autofree char *id = g_strdup_printf ("%s-%026u", i < 10 ? "seeder" : "leech", i);
    g_autofree char *where = g_strdup_printf ("127.0.0.1:%u", 8000 + i);
    g_autoptr (TrackerRequest) request = tracker_request_new (TRACKER_REQUEST_CONNECT, id, id);
    TrackerAddress address = {.type = TRACKER_ADDRESS_HOST};
    g_assert_true (peer_address_parse (where, &address.address));
    g_array_append_val (request->addresses, address);
    tracker_request_add_swarm (request, SIP_SWARM)->mode =
        i < 10 ? TRACKER_MODE_SEEDER : TRACKER_MODE_LEECH;
    tracker_response_free (tracker_registry_answer (wire.registry, g_get_monotonic_time (), request,
                                                    &address.address));
  }
  g_autofree char *tag = sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "LEECH");
  unsigned named = 0, leeches = 0;
  for (unsigned i = 0; i < 20; i++) {
    g_autofree char *found =
        sip_wire_ask_in_dialog (&wire, "200", "INFO", "ann", tag, i + 2, "PPSP-Peer-Num: 30\n");
    g_assert_cmpuint (strlen (found), <=, 1500);
    for (unsigned j = 0;; j++) {
      g_autofree char *peer = sip_wire_header (found, "PPSP-Peer", j);
      if (peer == NULL)
        break;
      named++;
      leeches += strstr (peer, "peer-id=leech-") != NULL;
    }
  }
  g_assert_cmpuint (named, >=, 20 * 8);
  g_assert_cmpuint (leeches, >, named / 2);
  sip_wire_clear (&wire);
}

/* What the registry has forgotten, as others may end it there, is no dialog any more (RFC 5057, 5.1). */
static void
test_forgotten (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *tag = sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "LEECH");
  g_autoptr (TrackerRequest) request = tracker_request_new (TRACKER_REQUEST_CONNECT, "t1", "ann");
  PeerAddress from = {.port = 0};
  g_assert_true (peer_address_parse ("127.0.0.1:9999", &from));
  tracker_request_add_swarm (request, SIP_SWARM)->action = TRACKER_ACTION_LEAVE;
  tracker_response_free (
      tracker_registry_answer (wire.registry, g_get_monotonic_time (), request, &from));
  g_assert_cmpuint (registered (&wire), ==, 0);
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 1);
  g_free (sip_wire_ask_in_dialog (&wire, "481", "INFO", "ann", tag, 2, ""));
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 0);
  sip_wire_clear (&wire);
}

/* --- REGISTER ------------------------------------------------------------------------------------ */

static void
test_registrations (void)
{
  static const struct {
    const char *status, *user, *headers;
    const char *expires; /* granted; NULL = no matter */
  } rows[] = {
      {"200", "ann", "Contact: <sip:a@127.0.0.1:@P>\nExpires: 100\n", "100"},
      {"200", "ann", "Contact: <sip:a@127.0.0.1:@P>;expires=61\nExpires: 100\n", "61"},
      {"200", "ann", "Contact: <sip:a@127.0.0.1:@P>\n", "180"},
      {"200", "ann", "Contact: <sip:a@127.0.0.1:@P>\nExpires: 99999999\n", "180"},
      /* What is no number stands for an hour (RFC 3261, 10.2), and never for the end. */
      {"200", "ann", "Contact: <sip:a@127.0.0.1:@P>;expires=soon\nExpires: 100\n", "180"},
      {"200", "ann", "Contact: <sip:a@127.0.0.1:@P>;expires=0s\n", "180"},
      {"200", "ann", "Contact: <sip:a@127.0.0.1:@P>;expires=99999999999999999999\n", "180"},
      {"423", "ann", "Contact: <sip:a@127.0.0.1:@P>\nExpires: 59\n", NULL},
      {"400", "ann", "Contact: *\nExpires: 5\n", NULL},
      {"400", "ann", "Contact: *\n", NULL},
      {"400", "ann", "Contact: <sip:a@127.0.0.1:@P>\nPPSP-Addr: nowhere\n", NULL},
      {"200", "ann", "", "180"}, /* asks what is registered */
      {"404", "nobody", "", NULL},
      {"404", "%00", "Contact: <sip:a@127.0.0.1:@P>\n", NULL},
      {"200", "ann", "Contact: <sip:a@127.0.0.1:@P>;expires=0\n", NULL},
      {"404", "ann", "", NULL},
      {"200", "ann", "Contact: *\nExpires: 0\n", NULL}, /* of nothing */
  };
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *request =
        sip_wire_request ("REGISTER", TRACKER, rows[i].user, "", "c1", i + 1, rows[i].headers);
    g_autofree char *reply = sip_wire_ask (&wire, rows[i].status, request);
    g_autofree char *contact = sip_wire_header (reply, "Contact", 0);
    if (rows[i].expires == NULL)
      continue;
    g_assert_nonnull (contact);
    const char *granted = strstr (contact, ";expires=");
    g_assert_nonnull (granted);
    /* Time goes on between them. */
    guint64 asked = g_ascii_strtoull (rows[i].expires, NULL, 10);
    guint64 left = g_ascii_strtoull (granted + 9, NULL, 10);
    g_assert_cmpuint (left, <=, asked);
    g_assert_cmpuint (left + 60, >=, asked);
  }
  sip_wire_clear (&wire);
}

static void
test_old_requests_are_refused (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  static const char contact[] = "Contact: <sip:a@127.0.0.1:@P>\n";
  g_autofree char *tenth = sip_wire_request ("REGISTER", TRACKER, "ann", "", "c1", 10, contact);
  g_autofree char *ninth = sip_wire_request ("REGISTER", TRACKER, "ann", "", "c1", 9, contact);
  g_autofree char *other = sip_wire_request ("REGISTER", TRACKER, "ann", "", "c2", 1, contact);
  g_free (sip_wire_ask (&wire, "200", tenth));
  g_free (sip_wire_ask (&wire, "500", ninth));
  g_free (sip_wire_ask (&wire, "200", other)); /* the peer was started anew */
  g_autofree char *tag = sip_wire_join (&wire, "bob", 7575, SIP_SWARM, "LEECH");
  g_free (sip_wire_ask_in_dialog (&wire, "200", "INFO", "bob", tag, 5, ""));
  g_free (sip_wire_ask_in_dialog (&wire, "500", "INFO", "bob", tag, 5,
                                  "")); /* another branch: not the same */
  g_free (sip_wire_ask_in_dialog (&wire, "500", "INFO", "bob", tag, 4, ""));
  g_free (sip_wire_ask_in_dialog (&wire, "200", "INFO", "bob", tag, 6, ""));
  sip_wire_clear (&wire);
}

/* The same bytes again: the same answer, and nothing is done twice. */
static void
test_repetition (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *tag = sip_wire_join (&wire, "bob", 7575, SIP_SWARM, "LEECH");
  char *texts[] = {
      sip_wire_request ("REGISTER", TRACKER, "ann", "", "c1", 10,
                        "Contact: <sip:a@127.0.0.1:@P>\n"),
      sip_wire_in_dialog ("INFO", "bob", tag, 2, "Info-Package: ppsp-find\n"),
      sip_wire_in_dialog ("BYE", "bob", tag, 3, ""),
      sip_wire_request ("REGISTER", TRACKER, "ann", "", "c1", 11, "Contact: *\nExpires: 0\n")};
  TrackerRegistryStats before, after;
  for (unsigned i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autofree char *bytes = sip_wire_text (&wire, texts[i]);
    sip_wire_send (&wire, bytes, -1);
    g_autofree char *first = sip_wire_receive (&wire);
    g_assert_true (g_str_has_prefix (first, "SIP/2.0 200"));
    tracker_registry_stats (wire.registry, &before);
    sip_wire_send (&wire, bytes, -1);
    g_autofree char *second = sip_wire_receive (&wire);
    g_autofree char *one = sip_wire_header (first, "To", 0);
    g_autofree char *two = sip_wire_header (second, "To", 0);
    g_assert_true (g_str_has_prefix (second, "SIP/2.0 200"));
    g_assert_cmpstr (one, ==, two);
    tracker_registry_stats (wire.registry, &after);
    g_assert_cmpuint (before.connects, ==, after.connects);
    g_assert_cmpuint (stats_of (&wire).repeated, ==, i + 1);
  }
  sip_wire_clear (&wire);
  for (unsigned i = 0; i < G_N_ELEMENTS (texts); i++)
    g_free (texts[i]);
}

/* One that is late, when the peer has come back, is not carried out either. */
static void
test_late_disconnect (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  sip_wire_join (&wire, "ann", 7574, NULL, NULL);
  g_autofree char *gone =
      sip_wire_request ("REGISTER", TRACKER, "ann", "", "c1", 2, "Contact: *\nExpires: 0\n");
  g_autofree char *bytes = sip_wire_text (&wire, gone);
  sip_wire_send (&wire, bytes, -1);
  g_free (sip_wire_receive (&wire));
  g_assert_cmpuint (stats_of (&wire).peers, ==, 0);
  g_free (sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "LEECH"));
  sip_wire_send (&wire, bytes, -1);
  g_autofree char *reply = sip_wire_receive (&wire);
  g_assert_true (g_str_has_prefix (reply, "SIP/2.0 200"));
  g_assert_cmpuint (stats_of (&wire).repeated, ==, 1);
  g_assert_cmpuint (stats_of (&wire).peers, ==, 1);
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 1);
  sip_wire_clear (&wire);
}

/* --- who may ------------------------------------------------------------------------------------- */

static char *
accounts_of (const char *const *users, bool md5, bool sha256)
{
  GString *text = g_string_new (NULL);
  for (; *users != NULL; users++) {
    for (unsigned i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++) {
      g_autofree char *hash = tracker_digest_hash (i, *users, SIP_REALM, "right");
      if (i == TRACKER_DIGEST_MD5 ? md5 : sha256)
        g_string_append_printf (text, "%s:%s:%s\n", *users, SIP_REALM, hash);
    }
  }
  return g_string_free (text, FALSE);
}

/* Credentials for the challenge in reply; uri: as it is sent, with the port in place. */
static char *
credentials (SipWire *wire, TrackerDigestClient *client, const char *reply, const char *method,
             const char *target)
{
  bool stale;
  g_autofree char *first = sip_wire_header (reply, "WWW-Authenticate", 0);
  g_autofree char *second = sip_wire_header (reply, "WWW-Authenticate", 1);
  const char *values[] = {first, second, NULL};
  g_assert_true (first == NULL || tracker_digest_client_challenge (client, values, &stale));
  g_autofree char *uri = sip_wire_text (wire, target);
  g_autofree char *value = tracker_digest_client_authorize (client, method, uri);
  return g_strdup_printf ("Authorization: %s\nContact: <sip:a@127.0.0.1:@P>\n", value);
}

static uint64_t chance = 88172645463325252u;

static void
some_bytes (void *data, uint8_t *out, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    out[i] = (uint8_t)(chance >> 56);
  }
}

static unsigned n_wrong;

static void
count_wrong (void *data, const PeerAddress *from)
{
  n_wrong += peer_address_is_loopback (from);
}

static void
test_challenge (void)
{
  NetSipServerOptions limits = {.wrong = count_wrong};
  static const char *const users[] = {"ann", "eve", NULL};
  static const char contact[] = "Contact: <sip:a@127.0.0.1:@P>\n";
  g_autofree char *accounts = accounts_of (users, true, true);
  SipWire wire;
  n_wrong = 0;
  sip_wire_init (&wire, &limits, accounts);
  g_autoptr (TrackerDigestClient) ann =
      tracker_digest_client_new ("ann", "right", some_bytes, NULL);
  g_autofree char *bare = sip_wire_request ("REGISTER", TRACKER, "p1", "", "c1", 1, contact);
  g_autofree char *challenge = sip_wire_ask (&wire, "401", bare);
  g_autofree char *offered = sip_wire_header (challenge, "WWW-Authenticate", 0);
  g_assert_nonnull (
      strstr (offered, "algorithm=SHA-256")); /* the better one first: RFC 8760, 2.3 */
  g_assert_cmpuint (stats_of (&wire).peers, ==, 0);

  g_autofree char *right = credentials (&wire, ann, challenge, "REGISTER", TRACKER);
  g_autofree char *second = sip_wire_request ("REGISTER", TRACKER, "p1", "", "c1", 2, right);
  g_free (sip_wire_ask (&wire, "200", second));
  g_assert_cmpuint (stats_of (&wire).peers, ==, 1);

  /* What was overheard is of no use for another request, nor for another target. */
  g_autofree char *replayed = sip_wire_request ("REGISTER", TRACKER, "p1", "", "c1", 3, right);
  g_autofree char *again = sip_wire_ask (&wire, "401", replayed);
  g_assert_nonnull (strstr (again, "stale=true"));
  g_autofree char *elsewhere =
      sip_wire_request ("REGISTER", "sip:other.example", "p1", "", "c1", 4, right);
  g_free (sip_wire_ask (&wire, "400", elsewhere));

  /* KEEPALIVE: the next count, without a new challenge. */
  g_autofree char *next = credentials (&wire, ann, "", "REGISTER", TRACKER);
  g_autofree char *third = sip_wire_request ("REGISTER", TRACKER, "p1", "", "c1", 5, next);
  g_free (sip_wire_ask (&wire, "200", third));

  /* Another account does not take the peer over, nor does a wrong password. */
  g_autoptr (TrackerDigestClient) eve =
      tracker_digest_client_new ("eve", "right", some_bytes, NULL);
  g_autofree char *fresh = sip_wire_ask (&wire, "401", bare);
  g_autofree char *theirs = credentials (&wire, eve, fresh, "REGISTER", TRACKER);
  g_autofree char *taken = sip_wire_request ("REGISTER", TRACKER, "p1", "", "c9", 9, theirs);
  g_free (sip_wire_ask (&wire, "403", taken));
  /* Nor does it end it: of a DISCONNECT the registry would hear as of the peer's own. */
  g_autofree char *shown = credentials (&wire, eve, "", "REGISTER", TRACKER);
  g_autofree char *leaving = g_strconcat (shown, "Expires: 0\n", NULL);
  g_autofree char *ended = sip_wire_request ("REGISTER", TRACKER, "p1", "", "c9", 10, leaving);
  g_free (sip_wire_ask (&wire, "403", ended));
  g_assert_cmpuint (stats_of (&wire).peers, ==, 1);
  g_autoptr (TrackerDigestClient) guess =
      tracker_digest_client_new ("ann", "wrong", some_bytes, NULL);
  g_autofree char *wrong = credentials (&wire, guess, fresh, "REGISTER", TRACKER);
  g_autofree char *guessed = sip_wire_request ("REGISTER", TRACKER, "p1", "", "c8", 9, wrong);
  g_autofree char *refused = sip_wire_ask (&wire, "401", guessed);
  g_assert_null (strstr (refused, "stale=true"));
  g_assert_cmpuint (stats_of (&wire).wrong, ==, 1);
  g_assert_cmpuint (n_wrong, ==, 1);
  g_assert_cmpuint (stats_of (&wire).challenged, ==, 4);
  sip_wire_clear (&wire);
}

/* The draft's INVITE carries no credentials: it is believed by the way by which its peer has shown them, and asked for
 * them by any other. */
static void
test_who_may_join (void)
{
  static const char *const users[] = {"ann", "eve", NULL};
  static const char contact[] = "Contact: <sip:a@127.0.0.1:@P>\n";
  g_autofree char *accounts = accounts_of (users, true, false);
  SipWire wire;
  sip_wire_init (&wire, NULL, accounts);
  g_autoptr (TrackerDigestClient) ann =
      tracker_digest_client_new ("ann", "right", some_bytes, NULL);
  g_autofree char *bare = sip_wire_request ("INVITE", SIP_TARGET, "p1", "", "d1", 1, contact);
  g_autofree char *challenge = sip_wire_ask (&wire, "401", bare);
  /* An account alone is not a registration. */
  g_autofree char *right = credentials (&wire, ann, challenge, "INVITE", SIP_TARGET);
  g_autofree char *unknown = sip_wire_request ("INVITE", SIP_TARGET, "p1", "", "d1", 2, right);
  g_free (sip_wire_ask (&wire, "403", unknown));
  g_autofree char *mine = credentials (&wire, ann, "", "REGISTER", TRACKER);
  g_autofree char *registration = sip_wire_request ("REGISTER", TRACKER, "p1", "", "c1", 1, mine);
  g_free (sip_wire_ask (&wire, "200", registration));
  g_autofree char *joining = sip_wire_request ("INVITE", SIP_TARGET, "p1", "", "d2", 1, contact);
  g_free (sip_wire_ask (&wire, "200", joining));
  /* What is shown by that way, too, is looked at. */
  g_autoptr (TrackerDigestClient) eve =
      tracker_digest_client_new ("eve", "right", some_bytes, NULL);
  g_autofree char *used = credentials (&wire, eve, challenge, "INVITE", SIP_TARGET);
  g_autofree char *old = sip_wire_request ("INVITE", SIP_TARGET, "p1", "", "d4", 1, used);
  g_autofree char *stale = sip_wire_ask (&wire, "401", old);
  g_autofree char *theirs = credentials (&wire, eve, stale, "INVITE", SIP_TARGET);
  g_autofree char *taken = sip_wire_request ("INVITE", SIP_TARGET, "p1", "", "d5", 1, theirs);
  g_free (sip_wire_ask (&wire, "403", taken));
  /* From the same IP, but another port: somebody else behind the same router may do that. */
  sip_wire_connect (&wire);
  g_autofree char *stranger = sip_wire_request ("INVITE", SIP_TARGET, "p1", "", "d3", 1, contact);
  g_autofree char *by_tcp = g_strdup (stranger);
  memcpy (strstr (by_tcp, "/UDP"), "/TCP", 4);
  g_free (sip_wire_ask (&wire, "401", by_tcp));
  sip_wire_clear (&wire);
}

static void
test_strangers_in_dialogs (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *tag = sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "LEECH");
  g_free (sip_wire_join (&wire, "bob", 7575, SIP_SWARM, "LEECH"));
  g_free (sip_wire_ask_in_dialog (&wire, "481", "BYE", "bob", tag, 9, "")); /* another's tag */
  g_free (sip_wire_ask_in_dialog (&wire, "481", "INFO", "bob", ";tag=guessed", 9, ""));
  g_free (sip_wire_ask_in_dialog (&wire, "481", "BYE", "ann", "", 9, ""));
  g_autofree char *call = sip_wire_request ("BYE", SIP_TARGET, "ann", tag, "another-call", 9, "");
  g_free (sip_wire_ask (&wire, "481", call));
  /* Both tags and the Call-ID name a dialog (RFC 3261, 12): with one of them wrong it is none. */
  static const char *const parts[] = {"From: <sip:ann@127.0.0.1>;tag=d-", "Call-ID: d-"};
  for (unsigned i = 0; i < G_N_ELEMENTS (parts); i++) {
    g_autofree char *other = sip_wire_in_dialog ("BYE", "ann", tag, 10 + i, "");
    strstr (other, parts[i])[strlen (parts[i]) - 1] = 'x';
    g_free (sip_wire_ask (&wire, "481", other));
  }
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 2);
  /* All of them are counted. */
  g_free (sip_wire_ask_in_dialog (&wire, "481", "INFO", "ann", "", 12, ""));
  g_assert_cmpuint (stats_of (&wire).infos, ==, 2);
  g_assert_cmpuint (stats_of (&wire).byes, ==, 5);
  /* Nobody registers somebody else (RFC 3261, 10.2). */
  g_autofree char *third =
      sip_wire_request ("REGISTER", TRACKER, "ann", "", "c7", 1, "Contact: <sip:a@127.0.0.1:@P>\n");
  char *to = strstr (third, "To: <sip:ann");
  memcpy (to, "To: <sip:bob", 12);
  g_free (sip_wire_ask (&wire, "403", third));
  sip_wire_clear (&wire);
}

/* A peer's address is where it comes from, whatever it says; one of the whole world's is not taken. */
static void
test_addresses_of_the_connection (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *request = sip_wire_request ("REGISTER", TRACKER, "ann", "", "c1", 1,
                                               "Contact: <sip:a@198.51.100.7>\nPPSP-Addr: "
                                               "198.51.100.7:7574;prio=9, 203.0.113.5:53;prio=1\n");
  g_autofree char *reply = sip_wire_ask (&wire, "200", request);
  g_autofree char *seen = sip_wire_header (reply, "PPSP-Addr", 0);
  g_assert_cmpstr (seen, ==, "127.0.0.1:7574;prio=9;type=REFLEXIVE");
  g_autofree char *join =
      sip_wire_request ("INVITE", SIP_TARGET, "ann", "", "d1", 1,
                        "Contact: <sip:a@198.51.100.7>\nPPSP-Swarm: mode=SEEDER\n");
  g_free (sip_wire_ask (&wire, "200", join));
  g_autofree char *tag = sip_wire_join (&wire, "bob", 7575, SIP_SWARM, "LEECH");
  g_autofree char *found = sip_wire_ask_in_dialog (&wire, "200", "INFO", "bob", tag, 2, "");
  g_assert_null (strstr (found, "198.51.100.7"));
  g_assert_null (strstr (found, "203.0.113.5"));
  g_assert_nonnull (strstr (found, "PPSP-Peer: 127.0.0.1:7574;"));
  sip_wire_clear (&wire);
}

/* --- INVITE -------------------------------------------------------------------------------------- */

static void
test_joins (void)
{
  static const struct {
    const char *status, *target, *user, *headers;
  } rows[] = {
      {"403", SIP_TARGET, "nobody", "Contact: <sip:a@127.0.0.1:@P>\n"},
      {"404", TRACKER, "ann", "Contact: <sip:a@127.0.0.1:@P>\n"},
      {"404", "sip:%00@127.0.0.1:@T", "ann", "Contact: <sip:a@127.0.0.1:@P>\n"},
      {"400", SIP_TARGET, "ann", "Contact: <sip:a@127.0.0.1:@P>\nPPSP-Swarm: mode=OTHER\n"},
      {"400", SIP_TARGET, "ann", "Contact: <sip:a@127.0.0.1:@P>\nPPSP-Peer-Num: many\n"},
      {"400", SIP_TARGET, "ann", ""},
      {"200", SIP_TARGET, "ann", "Contact: <sip:a@127.0.0.1:@P>\n"}, /* as the draft has it */
  };
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  sip_wire_join (&wire, "ann", 7574, NULL, NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *call = g_strdup_printf ("j%u", i);
    g_autofree char *request =
        sip_wire_request ("INVITE", rows[i].target, rows[i].user, "", call, 1, rows[i].headers);
    g_free (sip_wire_ask (&wire, rows[i].status, request));
  }
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 1);
  g_assert_cmpuint (stats_of (&wire).pending, ==, 1);
  /* Joined twice is joined once. */
  g_autofree char *again = sip_wire_request ("INVITE", SIP_TARGET, "ann", "", "again", 1,
                                             "Contact: <sip:a@127.0.0.1:@P>\n");
  g_free (sip_wire_ask (&wire, "200", again));
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 1);
  sip_wire_clear (&wire);
}

/* RFC 3261, 13.3.1.4: the 200 comes again until there is an ACK. */
static void
test_200_comes_again (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  sip_wire_join (&wire, "ann", 7574, NULL, NULL);
  g_autofree char *invite = sip_wire_request ("INVITE", SIP_TARGET, "ann", "", "d1", 1,
                                              "Contact: <sip:a@127.0.0.1:@P>\n");
  g_autofree char *first = sip_wire_ask (&wire, "200", invite);
  g_autofree char *second = sip_wire_receive (&wire);
  g_assert_cmpstr (first, ==, second);
  g_autofree char *to = sip_wire_header (first, "To", 0);
  g_autofree char *ack =
      sip_wire_request ("ACK", SIP_TARGET, "ann", strstr (to, ";tag="), "d1", 1, "");
  g_autofree char *bytes = sip_wire_text (&wire, ack);
  sip_wire_send (&wire, bytes, -1);
  int64_t end = 0;
  while (stats_of (&wire).pending > 0)
    g_assert_true (wait_turn (&end));
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 1);
  sip_wire_clear (&wire);
}

/* The same dialog, for a fresh list; a seeder has nothing to ask for, and its dialog goes on. */
static void
test_invited_again (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *leech = sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "LEECH");
  g_autofree char *seeder = sip_wire_join (&wire, "bob", 7575, SIP_SWARM, "SEEDER");
  static const char contact[] = "Contact: <sip:a@127.0.0.1:@P>\nPPSP-Swarm: mode=LEECH\n";
  g_autofree char *found =
      sip_wire_ask_in_dialog (&wire, "200", "INVITE", "ann", leech, 2, contact);
  g_assert_nonnull (strstr (found, "PPSP-Peer: 127.0.0.1:7575;"));
  g_free (sip_wire_ask_in_dialog (&wire, "491", "INVITE", "ann", leech, 3,
                                  contact)); /* the last has no ACK yet */
  g_free (sip_wire_ask_in_dialog (&wire, "488", "INVITE", "bob", seeder, 2, contact));
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 2);
  sip_wire_clear (&wire);
}

/* What a store has kept of it is a membership without a dialog: of a tracker that was killed. */
static void
test_known_of_a_store (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  PeerAddress from;
  g_autoptr (TrackerRequest) request = tracker_request_new (TRACKER_REQUEST_CONNECT, "t", "ann");
  g_assert_true (peer_address_parse ("127.0.0.1:7574", &from));
  tracker_request_add_swarm (request, SIP_SWARM)->mode = TRACKER_MODE_SEEDER;
  tracker_response_free (
      tracker_registry_answer (wire.registry, g_get_monotonic_time (), request, &from));
  g_assert_cmpuint (registered (&wire), ==, 1);
  g_autofree char *seeder = sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "SEEDER");
  g_assert_cmpuint (registered (&wire), ==, 1);
  g_free (sip_wire_ask_in_dialog (&wire, "200", "INFO", "ann", seeder, 2, ""));
  sip_wire_clear (&wire);
}

/* --- limits ---------------------------------------------------------------------------------------- */

static void
test_many_peers (void)
{
  NetSipServerOptions limits = {.max_peers = 3, .max_swarms = 2, .max_invites = 4};
  SipWire wire;
  sip_wire_init (&wire, &limits, NULL);
  for (unsigned i = 0; i < 10; i++) {
    g_autofree char *user = g_strdup_printf ("p%u", i);
    g_autofree char *request = sip_wire_request ("REGISTER", TRACKER, user, "", user, 1,
                                                 "Contact: <sip:a@127.0.0.1:@P>\n");
    g_autofree char *reply = sip_wire_ask (&wire, i < 3 ? "200" : "503", request);
    g_autofree char *wait = sip_wire_header (reply, "Retry-After", 0);
    g_assert_cmpstr (wait, ==, i < 3 ? NULL : "30");
  }
  g_assert_cmpuint (stats_of (&wire).peers, ==, 3);
  /* Swarms of one peer. */
  for (unsigned i = 0; i < 3; i++) {
    g_autofree char *target = g_strdup_printf ("sip:%u0@127.0.0.1:@T", i);
    g_autofree char *call = g_strdup_printf ("m%u", i);
    g_autofree char *request =
        sip_wire_request ("INVITE", target, "p0", "", call, 1, "Contact: <sip:a@127.0.0.1:@P>\n");
    g_free (sip_wire_ask (&wire, i < 2 ? "200" : "503", request));
  }
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 2);
  sip_wire_clear (&wire);
}

/* What a peer says of itself has a size, and what is remembered of it a number. */
static void
test_sizes (void)
{
  static const char contact[] = "Contact: <sip:a@127.0.0.1:@P>\n";
  static const char address[] = "PPSP-Addr: 127.0.0.1:7574;prio=1\n";
  g_autofree char *name = g_strnfill (257, 'x');
  g_autofree char *far = g_strdup_printf ("Contact: <sip:%s@127.0.0.1:@P>\n", name);
  GString *many = g_string_new (contact);
  for (unsigned i = 0; i < 8; i++)
    g_string_append (many, address);
  g_autofree char *eight = g_string_free (many, FALSE);
  g_autofree char *nine = g_strconcat (eight, address, NULL);
  g_autofree char *star = g_strconcat ("Contact: *\n", contact, "Expires: 0\n", NULL);
  const struct {
    const char *status, *call_id, *headers;
  } rows[] = {{"400", "c1", far},
              {"400", "c2", nine},
              {"400", name, contact},
              {"200", name + 1, contact},
              {"200", "c3", eight},
              {"400", "c4", star},
              {"400", "c5", "Contact: *\nExpires: 1\n"}};
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *request =
        sip_wire_request ("REGISTER", TRACKER, "ann", "", rows[i].call_id, i + 1, rows[i].headers);
    g_free (sip_wire_ask (&wire, rows[i].status, request));
    g_assert_cmpuint (stats_of (&wire).peers, ==, i < 3 ? 0 : 1);
  }
  sip_wire_clear (&wire);
}

static void
test_few_are_remembered (void)
{
  NetSipServerOptions limits = {.max_answers = 2};
  static const char *const users[] = {"ann", "bob", "cat"};
  SipWire wire;
  char *bytes[G_N_ELEMENTS (users)];
  sip_wire_init (&wire, &limits, NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS (users); i++) {
    g_autofree char *request = sip_wire_request ("REGISTER", TRACKER, users[i], "", users[i], 1,
                                                 "Contact: <sip:a@127.0.0.1:@P>\n");
    bytes[i] = sip_wire_text (&wire, request);
    sip_wire_send (&wire, bytes[i], -1);
    g_free (sip_wire_receive (&wire));
  }
  for (unsigned i = 0; i < G_N_ELEMENTS (users); i++) { /* the first is forgotten: 10.3, step 7 */
    sip_wire_send (&wire, bytes[i], -1);
    g_autofree char *again = sip_wire_receive (&wire);
    g_assert_true (g_str_has_prefix (again, i == 0 ? "SIP/2.0 500" : "SIP/2.0 200"));
    g_assert_cmpuint (stats_of (&wire).repeated, ==, i);
    g_free (bytes[i]);
  }
  sip_wire_clear (&wire);
}

/* --- who is over the tracker's limits -------------------------------------------------------------- */

static unsigned n_asked;

static bool
admit_two (void *data, const PeerAddress *from)
{
  g_assert_true (peer_address_is_loopback (from));
  return ++n_asked <= 2;
}

static void
test_not_admitted (void)
{
  NetSipServerOptions limits = {.admit = admit_two};
  SipWire wire;
  n_asked = 0;
  sip_wire_init (&wire, &limits, NULL);
  for (unsigned i = 0; i < 4; i++) {
    g_autofree char *user = g_strdup_printf ("p%u", i);
    g_autofree char *request = sip_wire_request ("REGISTER", TRACKER, user, "", user, 1,
                                                 "Contact: <sip:a@127.0.0.1:@P>\n");
    g_free (sip_wire_ask (&wire, i < 2 ? "200" : "503", request));
  }
  g_assert_cmpuint (n_asked, ==, 4);
  g_assert_cmpuint (stats_of (&wire).peers, ==, 2);
  g_assert_cmpuint (stats_of (&wire).refused, ==, 2);
  sip_wire_clear (&wire);
}

/* INVITEs whose ACK never comes hold no more than their number; who has joined goes on as ever. */
static void
test_half_open_joins (void)
{
  NetSipServerOptions limits = {.max_invites = 8};
  SipWire wire;
  sip_wire_init (&wire, &limits, NULL);
  sip_wire_join (&wire, "ann", 7574, NULL, NULL);
  unsigned good = 0, refused = 0;
  for (unsigned i = 0; i < 40; i++) {
    g_autofree char *target = g_strdup_printf ("sip:%u@127.0.0.1:@T", i + 10);
    g_autofree char *call = g_strdup_printf ("half-%u", i);
    g_autofree char *text =
        sip_wire_request ("INVITE", target, "ann", "", call, 1, "Contact: <sip:a@127.0.0.1:@P>\n");
    g_autofree char *bytes = sip_wire_text (&wire, text);
    sip_wire_send (&wire, bytes, -1);
    for (;;) { /* those without an ACK are sent again between */
      g_autofree char *reply = sip_wire_receive (&wire);
      if (strstr (reply, call) == NULL)
        continue;
      good += g_str_has_prefix (reply, "SIP/2.0 200");
      refused += g_str_has_prefix (reply, "SIP/2.0 503");
      break;
    }
  }
  g_assert_cmpuint (good, ==, 8);
  g_assert_cmpuint (refused, ==, 32);
  g_assert_cmpuint (stats_of (&wire).dialogs, ==, 8);
  g_assert_cmpuint (stats_of (&wire).refused, ==, 32);
  sip_wire_clear (&wire);
}

/* A flood of requests without credentials leaves nothing behind. */
static void
test_flood_leaves_nothing (void)
{
  static const char *const users[] = {"ann", NULL};
  g_autofree char *accounts = accounts_of (users, false, true);
  SipWire wire;
  sip_wire_init (&wire, NULL, accounts);
  for (unsigned i = 0; i < 300; i++) {
    g_autofree char *user = g_strdup_printf ("p%u", i);
    g_autofree char *request =
        sip_wire_request (i % 2 == 0 ? "REGISTER" : "INVITE", i % 2 == 0 ? TRACKER : SIP_TARGET,
                          user, "", user, 1, "Contact: <sip:a@127.0.0.1:@P>\n");
    g_free (sip_wire_ask (&wire, "401", request));
  }
  NetSipServerStats stats = stats_of (&wire);
  g_assert_cmpuint (stats.challenged, ==, 300);
  g_assert_cmpuint (stats.peers + stats.dialogs + stats.pending, ==, 0);
  sip_wire_clear (&wire);
}

static void
test_big_bodies (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *big = g_strnfill (60000, 'x');
  g_autofree char *request = g_strdup_printf (
      "OPTIONS sip:127.0.0.1:@T SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:@P;branch=@B\nFrom: "
      "<sip:a@b>;tag=1\n"
      "To: <sip:b@c>\nCall-ID: big\nCSeq: 1 OPTIONS\nContent-Type: application/x-big\n"
      "Content-Length: 60000\n\n%s",
      big);
  g_free (sip_wire_ask (&wire, "415", request));
  /* On a stream a length is a promise; this one is not waited for. */
  sip_wire_connect (&wire);
  g_free (
      sip_wire_ask (&wire, "413",
                    "OPTIONS sip:127.0.0.1:@T SIP/2.0\nVia: SIP/2.0/TCP 127.0.0.1:@P;branch=@B\n"
                    "From: <sip:a@b>;tag=1\nTo: <sip:b@c>\nCall-ID: big2\nCSeq: 1 OPTIONS\n"
                    "Content-Type: application/sdp\nContent-Length: 2000000000\n\nx"));
  sip_wire_clear (&wire);
}

static void
test_connections_are_counted (void)
{
  NetSipServerOptions limits = {.max_connections = 5};
  SipWire wire;
  g_autoptr (GPtrArray) held = g_ptr_array_new_with_free_func (g_object_unref);
  sip_wire_init (&wire, &limits, NULL);
  for (unsigned i = 0; i < 12; i++) {
    sip_wire_connect (&wire);
    g_ptr_array_add (held, g_steal_pointer (&wire.stream));
  }
  int64_t end = 0;
  while (stats_of (&wire).closed < 7)
    g_assert_true (wait_turn (&end));
  end = 0;
  while (stats_of (&wire).connections != 5)
    g_assert_true (wait_turn (&end));
  unsigned open = 0;
  for (guint i = 0; i < held->len; i++) {
    char byte;
    open += g_socket_receive (g_ptr_array_index (held, i), &byte, 1, NULL, NULL) < 0;
  }
  g_assert_cmpuint (open, ==, 5);
  sip_wire_clear (&wire);
}

/* --- registrations end -------------------------------------------------------------------------------- */

static void
test_registrations_end (void)
{
  NetSipPeersLimits limits = {.max_peers = 1000, .max_peers_per_ip = 2, .max_swarms = 2};
  g_autoptr (NetSipPeers) peers = net_sip_peers_new (&limits);
  PeerAddress home, away;
  int64_t now = 1000 * G_USEC_PER_SEC + 1;
  g_assert_true (peer_address_parse ("192.0.2.1:5060", &home));
  g_assert_true (peer_address_parse ("[2001:db8::1]:5060", &away));
  NetSipPeer *a = net_sip_peers_add (peers, "a", &home);
  NetSipPeer *b = net_sip_peers_add (peers, "b", &home);
  g_assert_null (net_sip_peers_add (peers, "c", &home));
  NetSipPeer *c = net_sip_peers_add (peers, "a", &away); /* the same name elsewhere is another */
  g_assert_true (net_sip_peers_find (peers, "a", &away) == c);
  PeerAddress near = away, far = away;
  near.ip[15] = 2; /* in the /64 of away */
  far.ip[7] = 1;
  g_assert_nonnull (net_sip_peers_add (peers, "b", &near));
  g_assert_null (net_sip_peers_add (peers, "c", &near));
  g_assert_nonnull (net_sip_peers_add (peers, "c", &far));
  net_sip_peers_remove (peers, net_sip_peers_find (peers, "b", &near));
  net_sip_peers_remove (peers, net_sip_peers_find (peers, "c", &far));
  net_sip_peers_prolong (peers, a, 60, now);
  net_sip_peers_prolong (peers, b, 180, now);
  net_sip_peers_prolong (peers, c, 60, now);
  net_sip_peers_prolong (peers, c, 255, now);
  g_assert_nonnull (net_sip_peers_join (peers, a, "t1", "c", "r", "s1"));
  g_assert_nonnull (net_sip_peers_join (peers, a, "t2", "c", "r", "s2"));
  g_assert_null (net_sip_peers_join (peers, a, "t3", "c", "r", "s3"));
  g_assert_cmpuint (net_sip_peers_dialogs (peers), ==, 2);
  g_assert_null (net_sip_peers_expired (peers, now + 60 * G_USEC_PER_SEC - 1));
  g_assert_true (net_sip_peers_expired (peers, now + 61 * G_USEC_PER_SEC) == a);
  net_sip_peers_remove (peers, a);
  g_assert_cmpuint (net_sip_peers_dialogs (peers), ==, 0);
  g_assert_null (net_sip_peers_dialog (peers, "t1"));
  g_assert_null (net_sip_peers_expired (peers, now + 61 * G_USEC_PER_SEC));
  g_assert_nonnull (net_sip_peers_add (peers, "d", &home)); /* there is room again */
  /* After a long sleep all that is over is found, and nothing else. */
  NetSipPeer *d = net_sip_peers_find (peers, "d", &home);
  net_sip_peers_prolong (peers, d, 100, now + 1000 * G_USEC_PER_SEC);
  for (unsigned i = 0; i < 2; i++) {
    NetSipPeer *over = net_sip_peers_expired (peers, now + 1001 * G_USEC_PER_SEC);
    g_assert_true (over == b || over == c);
    net_sip_peers_remove (peers, over);
  }
  g_assert_null (net_sip_peers_expired (peers, now + 1001 * G_USEC_PER_SEC));
  g_assert_cmpuint (net_sip_peers_count (peers), ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/sip/a-peer-s-life", test_life);
  g_test_add_func ("/net/sip/peers-by-http-and-sip-see-each-other", test_http_and_sip);
  g_test_add_func ("/net/sip/long-lists-are-cut-evenly", test_long_lists);
  g_test_add_func ("/net/sip/who-is-forgotten-has-no-dialog", test_forgotten);
  g_test_add_func ("/net/sip/registrations", test_registrations);
  g_test_add_func ("/net/sip/old-requests-are-refused", test_old_requests_are_refused);
  g_test_add_func ("/net/sip/a-repetition-does-nothing", test_repetition);
  g_test_add_func ("/net/sip/a-late-disconnect-ends-nothing", test_late_disconnect);
  g_test_add_func ("/net/sip/who-registers-is-challenged", test_challenge);
  g_test_add_func ("/net/sip/who-joins-has-registered", test_who_may_join);
  g_test_add_func ("/net/sip/strangers-have-no-part-in-a-dialog", test_strangers_in_dialogs);
  g_test_add_func ("/net/sip/addresses-are-those-of-the-connection",
                   test_addresses_of_the_connection);
  g_test_add_func ("/net/sip/joins", test_joins);
  g_test_add_func ("/net/sip/a-200-comes-again-until-its-ack", test_200_comes_again);
  g_test_add_func ("/net/sip/invited-again", test_invited_again);
  g_test_add_func ("/net/sip/who-is-known-of-a-store-joins", test_known_of_a_store);
  g_test_add_func ("/net/sip/peers-are-bounded", test_many_peers);
  g_test_add_func ("/net/sip/sizes-are-bounded", test_sizes);
  g_test_add_func ("/net/sip/what-is-remembered-is-bounded", test_few_are_remembered);
  g_test_add_func ("/net/sip/who-is-not-admitted-is-told", test_not_admitted);
  g_test_add_func ("/net/sip/half-open-joins-are-bounded", test_half_open_joins);
  g_test_add_func ("/net/sip/a-flood-leaves-nothing", test_flood_leaves_nothing);
  g_test_add_func ("/net/sip/big-bodies-are-refused", test_big_bodies);
  g_test_add_func ("/net/sip/connections-are-bounded", test_connections_are_counted);
  g_test_add_func ("/net/sip/registrations-end", test_registrations_end);
  return g_test_run ();
}
