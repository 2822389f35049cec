/* SPDX-License-Identifier: Apache-2.0 */
/* What peers tell a tracker of themselves by SIP: the chunks that they have, want, and got too late, and how fit they
 * are to serve others. */
#include "peer/net/sip-client.h"
#include "tests/lib/wait.h"
#include "tests/net/sip-wire.h"

#include <string.h>

static void
report (SipWire *wire, const char *user, const char *tag, unsigned cseq, const char *headers)
{
  g_autofree char *all = g_strdup_printf (
      "Info-Package: ppsp-stat\nPPSP-Stat: up=0;down=0;bw=0;links=0;late=%u\n%s", cseq, headers);
  g_free (sip_wire_ask_in_dialog (wire, "200", "INFO", user, tag, cseq, all));
}

static int
by_id (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* The IDs of those that are named, in their alphabet. */
static char *
named_in (const char *reply)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  char *peer;
  for (unsigned i = 0; (peer = sip_wire_header (reply, "PPSP-Peer", i)) != NULL; i++) {
    g_ptr_array_add (ids, g_strdup (strstr (peer, "peer-id=") + 8));
    g_free (peer);
  }
  g_ptr_array_sort (ids, by_id);
  g_ptr_array_add (ids, NULL);
  return g_strjoinv (" ", (char **)ids->pdata);
}

static void
assert_found (SipWire *wire, const char *user, const char *tag, unsigned cseq, const char *wanted,
              const char *ids)
{
  g_autofree char *headers =
      g_strdup_printf ("Info-Package: ppsp-find\nPPSP-Peer-Num: 30\n%s", wanted);
  g_autofree char *reply = sip_wire_ask_in_dialog (wire, "200", "INFO", user, tag, cseq, headers);
  g_autofree char *found = named_in (reply);
  g_assert_cmpstr (found, ==, ids);
}

static void
test_chunks (void)
{
  SipWire wire;
  TrackerRegistryStats stats;
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *ann = sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "LEECH");
  g_autofree char *bob = sip_wire_join (&wire, "bob", 7575, SIP_SWARM, "LEECH");
  g_autofree char *eve = sip_wire_join (&wire, "eve", 7576, SIP_SWARM, "LEECH");
  report (&wire, "ann", ann, 2, "PPSP-Chunks: 0-99, 200-299\n");
  report (&wire, "bob", bob, 2, "PPSP-Chunks: 100-199\nPPSP-Chunks: 400-400\n");
  tracker_registry_stats (wire.registry, &stats);
  g_assert_cmpuint (stats.ranges, ==, 4);
  g_assert_cmpuint (stats.late, ==, 4);
  assert_found (&wire, "eve", eve, 2, "", "ann bob");
  assert_found (&wire, "eve", eve, 3, "PPSP-Chunks: 99-99\n", "ann");
  assert_found (&wire, "eve", eve, 4, "PPSP-Chunks: 300-399,400-500\n", "bob");
  assert_found (&wire, "eve", eve, 5, "PPSP-Chunks: 300-399\n", "");
  /* JOIN_CHUNK: INVITE in the dialog */
  g_autofree char *again = sip_wire_ask_in_dialog (
      &wire, "200", "INVITE", "eve", eve, 6,
      "Contact: <sip:eve@127.0.0.1:@P>\nPPSP-Swarm: mode=LEECH\nPPSP-Chunks: 150-160\n");
  g_autofree char *joined = named_in (again);
  g_assert_cmpstr (joined, ==, "bob");
  g_autofree char *ack = sip_wire_in_dialog ("ACK", "eve", eve, 6, "");
  sip_wire_ask_nothing (&wire, ack);
  /* What bob has now takes the place of what it had. */
  report (&wire, "bob", bob, 3, "PPSP-Chunks: 300-300\n");
  assert_found (&wire, "eve", eve, 7, "PPSP-Chunks: 100-199\n", "");
  /* What cannot be read is said to be so. */
  static const char *const wrong[] = {
      "Info-Package: ppsp-find\nPPSP-Chunks: 9-1\n",
      "Info-Package: ppsp-stat\nPPSP-Stat: up=1\nPPSP-Chunks: x\n",
      "Info-Package: ppsp-stat\nPPSP-Stat: up=1\nPPSP-Condition: loss=x\n"};
  for (unsigned i = 0; i < G_N_ELEMENTS (wrong); i++)
    g_free (sip_wire_ask_in_dialog (&wire, "400", "INFO", "eve", eve, 8 + i, wrong[i]));
  g_free (sip_wire_ask_in_dialog (&wire, "400", "INVITE", "eve", eve, 20,
                                  "Contact: <sip:eve@127.0.0.1:@P>\nPPSP-Condition: loss=many\n"));
  sip_wire_clear (&wire);
}

/* Who is not to be burdened is named after others: as it says when it joins, or later. */
static void
test_condition (void)
{
  SipWire wire;
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *ann = sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "LEECH");
  g_autofree char *bob = sip_wire_join (&wire, "bob", 7575, SIP_SWARM, "LEECH");
  g_autofree char *eve = sip_wire_join (&wire, "eve", 7576, SIP_SWARM, "LEECH");
  report (&wire, "ann", ann, 2, "PPSP-Condition: mobile=yes\n");
  for (unsigned i = 0; i < 2; i++) {
    for (unsigned turn = 0; turn < 16; turn++) {
      g_autofree char *reply = sip_wire_ask_in_dialog (&wire, "200", "INFO", "eve", eve,
                                                       2 + 16 * i + turn, "PPSP-Peer-Num: 1\n");
      g_autofree char *found = named_in (reply);
      g_assert_cmpstr (found, ==, i == 0 ? "bob" : "ann");
    }
    report (&wire, "ann", ann, 3 + i, "PPSP-Condition: mobile=no;battery=90\n");
    g_autofree char *again =
        sip_wire_in_dialog ("INVITE", "bob", bob, 2 + i,
                            "Contact: <sip:bob@127.0.0.1:@P>\nPPSP-Swarm: mode=LEECH\n"
                            "PPSP-Condition: mobile=no;battery=5\n");
    g_free (sip_wire_ask (&wire, "200", again));
    g_autofree char *ack = sip_wire_in_dialog ("ACK", "bob", bob, 2 + i, "");
    sip_wire_ask_nothing (&wire, ack);
  }
  sip_wire_clear (&wire);
}

/* --- and our own peers do --------------------------------------------------------------------------- */

typedef struct {
  TrackerResponse *response;
  bool over;
} Answer;

static void
on_answer (const TrackerResponse *response, int64_t retry_after, const char *why, gpointer data)
{
  Answer *self = data;
  g_assert_nonnull (response);
  g_assert_cmpint (response->status, ==, TRACKER_STATUS_OK);
  self->over = true;
  self->response = tracker_response_new (response->status, response->transaction_id);
  const TrackerResult *result = g_ptr_array_index (response->results, 0);
  TrackerResult *copy = tracker_response_add_result (self->response, result->swarm_id, false);
  for (guint i = 0; result->peers != NULL && i < result->peers->len; i++) {
    const TrackerPeer *peer = g_ptr_array_index (result->peers, i);
    tracker_result_add_peer (copy, peer->peer_id, &peer->address);
  }
}

static TrackerRequest *
request_of (TrackerRequestType type, const char *peer_id, uint64_t first, uint64_t end)
{
  TrackerRequest *request = tracker_request_new (type, "t", peer_id);
  TrackerSwarm *swarm = tracker_request_add_swarm (request, SIP_SWARM);
  swarm->mode = TRACKER_MODE_LEECH;
  if (end > first)
    tracker_swarm_add_chunks (swarm, first, end);
  return request;
}

/* Sends it, and waits for its answer; returns whom it names first, or NULL. */
static char *
send_and_wait (SipWire *wire, NetSipClient *client, Answer *answer, const TrackerRequest *request)
{
  PeerAddress local = {.port = 0}, remote = {.port = 0};
  int64_t end = 0;
  g_assert_true (peer_address_parse ("127.0.0.1:1", &local));
  remote = local;
  remote.port = wire->port;
  answer->over = false;
  net_sip_client_send (client, request, &remote, &local);
  while (!answer->over)
    g_assert_true (wait_turn (&end));
  const TrackerResult *result = g_ptr_array_index (answer->response->results, 0);
  char *id = NULL;
  if (result->peers != NULL && result->peers->len > 0)
    id = g_strdup (((TrackerPeer *)g_ptr_array_index (result->peers, 0))->peer_id);
  g_clear_pointer (&answer->response, tracker_response_free);
  return id;
}

static void
test_client (void)
{
  SipWire wire;
  Answer answer = {.over = false};
  NetSipClientOptions options = {.host = "127.0.0.1"};
  sip_wire_init (&wire, NULL, NULL);
  g_autofree char *ann = sip_wire_join (&wire, "ann", 7574, SIP_SWARM, "LEECH");
  g_autofree char *bob = sip_wire_join (&wire, "bob", 7575, SIP_SWARM, "LEECH");
  report (&wire, "ann", ann, 2, "PPSP-Chunks: 0-99\nPPSP-Condition: mobile=yes\n");
  report (&wire, "bob", bob, 2, "PPSP-Chunks: 100-199\nPPSP-Condition: mobile=no;battery=50\n");
  NetSipClient *client = net_sip_client_new (&options, on_answer, &answer);

  g_autoptr (TrackerRequest) join = request_of (TRACKER_REQUEST_CONNECT, "eve", 0, 0);
  TrackerAddress address = {.type = TRACKER_ADDRESS_HOST};
  g_assert_true (peer_address_parse ("127.0.0.1:7576", &address.address));
  g_array_append_val (join->addresses, address);
  join->condition =
      (TrackerCondition){.said = true, .mobile = true, .battery = TRACKER_BATTERY_UNSAID};
  g_autofree char *joined = send_and_wait (&wire, client, &answer, join);
  g_assert_nonnull (joined);
  g_autoptr (TrackerRequest) find = request_of (TRACKER_REQUEST_FIND, "eve", 50, 100);
  g_autofree char *found = send_and_wait (&wire, client, &answer, find);
  g_assert_cmpstr (found, ==, "ann");

  /* As it said when it joined, it is on a phone's network; and so it is named after bob... */
  assert_found (&wire, "bob", bob, 3, "PPSP-Chunks: 500-500\n", "eve");
  for (unsigned turn = 0; turn < 16; turn++) {
    g_autofree char *reply =
        sip_wire_ask_in_dialog (&wire, "200", "INFO", "ann", ann, 3 + turn, "PPSP-Peer-Num: 1\n");
    g_autofree char *named = named_in (reply);
    g_assert_cmpstr (named, ==, "bob");
  }
  /* ...for all but those chunks that it has. */
  g_autoptr (TrackerRequest) told = request_of (TRACKER_REQUEST_STAT_REPORT, "eve", 500, 501);
  ((TrackerSwarm *)g_ptr_array_index (told->swarms, 0))->late = 7;
  g_autofree char *none = send_and_wait (&wire, client, &answer, told);
  g_assert_null (none);
  TrackerRegistryStats stats;
  tracker_registry_stats (wire.registry, &stats);
  g_assert_cmpuint (stats.late, ==, 2 + 2 + 7);
  assert_found (&wire, "bob", bob, 4, "PPSP-Chunks: 500-500\n", "eve");
  assert_found (&wire, "bob", bob, 5, "PPSP-Chunks: 501-501\n", "");
  net_sip_client_free (client);
  sip_wire_clear (&wire);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/sip-told/who-asks-for-chunks-is-named-their-holders", test_chunks);
  g_test_add_func ("/net/sip-told/who-is-spared-is-named-last", test_condition);
  g_test_add_func ("/net/sip-told/our-peers-tell", test_client);
  return g_test_run ();
}
