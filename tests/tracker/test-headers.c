/* SPDX-License-Identifier: Apache-2.0 */
/* What is written as a header of SIP is read as the same again; and what is wrong is refused, not guessed. */
#include "peer/tracker/headers.h"
#include "tests/lib/mutate.h"

#include <string.h>

static TrackerAddress
address_of (const char *text)
{
  TrackerAddress address = {.type = TRACKER_ADDRESS_HOST};
  g_assert_true (peer_address_parse (text, &address.address));
  return address;
}

static void
test_addresses (void)
{
  static const struct {
    const char *text;
    TrackerAddress address;
    const char *where;
  } rows[] = {
      {"192.0.2.1:7574;prio=1;type=HOST;proto=PPSP-PP",
       {.priority = 1, .type = TRACKER_ADDRESS_HOST, .ppspp = true},
       "192.0.2.1:7574"},
      {"[2001:db8::1]:7574;prio=0;type=REFLEXIVE;conn=wireless;asn=64500",
       {.type = TRACKER_ADDRESS_REFLEXIVE, .connection = TRACKER_CONNECTION_WIRELESS, .asn = 64500},
       "[2001:db8::1]:7574"},
      {"198.51.100.9:65535;prio=4294967295;type=PROXY;conn=wired",
       {.priority = G_MAXUINT32,
        .type = TRACKER_ADDRESS_PROXY,
        .connection = TRACKER_CONNECTION_WIRED},
       "198.51.100.9:65535"},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    TrackerAddress expected = rows[i].address, read;
    expected.address = address_of (rows[i].where).address;
    g_autofree char *written = tracker_headers_write_address (&expected);
    g_assert_cmpstr (written, ==, rows[i].text);
    g_assert_true (tracker_headers_read_address (written, &read));
    g_autofree char *again = tracker_headers_write_address (&read);
    g_assert_cmpstr (again, ==, written);
  }
  /* Blanks, capitals and unknown parameters do no harm. */
  TrackerAddress read;
  g_assert_true (
      tracker_headers_read_address (" 192.0.2.1:7574 ; PRIO = 7 ;x; y=z;Type=host", &read));
  g_assert_cmpuint (read.priority, ==, 7);
  g_assert_false (read.ppspp);
}

static void
test_wrong_values (void)
{
  static const char *const addresses[] = {"",
                                          ";",
                                          "192.0.2.1",
                                          "192.0.2.1:",
                                          "192.0.2.1:0x1",
                                          "192.0.2.1:7574;prio=-1",
                                          "192.0.2.1:7574;prio=4294967296",
                                          "192.0.2.1:7574;prio",
                                          "192.0.2.1:7574;type=CASTLE",
                                          "192.0.2.1:7574;conn=rope",
                                          "192.0.2.1:7574;asn=AS1",
                                          "tracker.example:7574",
                                          "2001:db8::1:7574"};
  static const char *const numbers[] = {
      "", "x", "-1", "30;nat=BIG", "30;links=x", "30;online=", "30;upbw=99999999999"};
  static const char *const swarms[] = {
      "", "mode", "mode=", "mode=OTHER", "cert", "mode=LEECH;mode=SEEDER"};
  static const char *const stats[] = {
      "up=x",    "down=-1",        "bw=", "links=99999999999", "up=99999999999999999999",
      "late=-1", "late=4294967296"};
  static const char *const conditions[] = {"mobile=maybe", "mobile", "battery=101",
                                           "battery=",     "loss=x", "loss=101"};
  static const char *const chunks[] = {
      "", "-", "7", "7-", "-7", "9-8", "1-2-3", "0x1-2", "a-b", "0-18446744073709551615", "+1-2"};
  static const char *const certificates[] = {"", "A", "AA==A", "A=A=", "AAAA====", "****", "AAA\n"};
  TrackerAddress address = {.priority = 99};
  TrackerPeerNum num = {.peer_count = 99};
  TrackerMode mode;
  bool wanted;
  TrackerSwarm swarm = {.links = 99};
  TrackerCondition condition = {.loss = 99};
  for (unsigned i = 0; i < G_N_ELEMENTS (addresses); i++)
    g_assert_false (tracker_headers_read_address (addresses[i], &address));
  for (unsigned i = 0; i < G_N_ELEMENTS (numbers); i++)
    g_assert_false (tracker_headers_read_peer_num (numbers[i], &num));
  for (unsigned i = 0; i < G_N_ELEMENTS (swarms); i++)
    g_assert_false (tracker_headers_read_swarm (swarms[i], &mode, &wanted));
  for (unsigned i = 0; i < G_N_ELEMENTS (stats); i++)
    g_assert_false (tracker_headers_read_stat (stats[i], &swarm));
  for (unsigned i = 0; i < G_N_ELEMENTS (conditions); i++)
    g_assert_false (tracker_headers_read_condition (conditions[i], &condition));
  for (unsigned i = 0; i < G_N_ELEMENTS (chunks); i++)
    g_assert_false (tracker_headers_read_chunks (chunks[i], &swarm));
  for (unsigned i = 0; i < G_N_ELEMENTS (certificates); i++)
    g_assert_null (tracker_certificate_read (certificates[i]));
  g_assert_cmpuint (address.priority, ==, 99);
  g_assert_cmpuint (num.peer_count, ==, 99);
  g_assert_cmpuint (swarm.links, ==, 99);
  g_assert_null (swarm.chunks);
  g_assert_cmpuint (condition.loss, ==, 99);
}

/* The wire has kbit/s and seconds, we have bytes/s and microseconds. */
static void
test_peer_num (void)
{
  TrackerPeerNum num;
  g_assert_true (tracker_headers_read_peer_num ("30;nat=STUN;links=5;online=200;upbw=600", &num));
  g_assert_true (num.said);
  g_assert_cmpuint (num.peer_count, ==, 30);
  g_assert_cmpint (num.nat, ==, TRACKER_NAT_STUN);
  g_assert_cmpuint (num.links, ==, 5);
  g_assert_cmpint (num.online_time, ==, 200 * G_USEC_PER_SEC);
  g_assert_cmpuint (num.upload_bandwidth, ==, 75000);
  g_autofree char *written = tracker_headers_write_peer_num (&num);
  g_assert_cmpstr (written, ==, "30;nat=STUN;links=5;online=200;upbw=600");
  g_assert_true (tracker_headers_read_peer_num (" 7 ", &num));
  g_autofree char *least = tracker_headers_write_peer_num (&num);
  g_assert_cmpstr (least, ==, "7");
}

static void
test_swarm_and_stat (void)
{
  TrackerMode mode;
  bool wanted = true;
  TrackerSwarm swarm = {.swarm_id = NULL};
  g_assert_true (tracker_headers_read_swarm ("mode=LEECH", &mode, &wanted));
  g_assert_cmpint (mode, ==, TRACKER_MODE_LEECH);
  g_assert_false (wanted);
  g_autofree char *text = tracker_headers_write_swarm (TRACKER_MODE_SEEDER, true);
  g_assert_cmpstr (text, ==, "mode=SEEDER;cert");
  g_assert_true (tracker_headers_read_swarm (text, &mode, &wanted));
  g_assert_cmpint (mode, ==, TRACKER_MODE_SEEDER);
  g_assert_true (wanted);
  g_assert_true (tracker_headers_read_stat ("up=512;down=768;bw=1024;links=5;x=y", &swarm));
  g_assert_cmpuint (swarm.uploaded, ==, 512);
  g_assert_cmpuint (swarm.bandwidth, ==, 128000);
  g_autofree char *stat = tracker_headers_write_stat (&swarm);
  g_assert_cmpstr (stat, ==, "up=512;down=768;bw=1024;links=5");
  g_assert_true (tracker_headers_read_stat ("late=4294967295", &swarm));
  g_autofree char *late = tracker_headers_write_stat (&swarm);
  g_assert_cmpstr (late, ==, "up=0;down=0;bw=0;links=0;late=4294967295");
}

static void
test_condition (void)
{
  static const char *const good[][2] = {
      {"mobile=yes;battery=40;loss=1", "mobile=yes;battery=40;loss=1"},
      {" Loss=100 ; Battery=0", "mobile=no;battery=0;loss=100"},
      {"", "mobile=no"}};
  for (unsigned i = 0; i < G_N_ELEMENTS (good); i++) {
    TrackerCondition condition;
    g_assert_true (tracker_headers_read_condition (good[i][0], &condition));
    g_assert_true (condition.said);
    g_autofree char *text = tracker_headers_write_condition (&condition);
    g_assert_cmpstr (text, ==, good[i][1]);
  }
}

/* Both ends are in a run on the wire, and the last is not in our own. */
static void
test_chunks (void)
{
  g_autoptr (TrackerRequest) request = tracker_request_new (TRACKER_REQUEST_FIND, "t", "p");
  TrackerSwarm *swarm = tracker_request_add_swarm (request, "s");
  g_assert_true (tracker_headers_read_chunks ("0-99", swarm));
  g_assert_true (tracker_headers_read_chunks (" 200 - 200 ", swarm));
  g_assert_true (tracker_headers_read_chunks ("7-18446744073709551614", swarm));
  g_assert_cmpuint (swarm->chunks->len, ==, 3);
  g_assert_cmpuint (g_array_index (swarm->chunks, TrackerRange, 0).end, ==, 100);
  g_autofree char *text = tracker_headers_write_chunks (swarm->chunks);
  g_assert_cmpstr (text, ==, "0-99, 200-200, 7-18446744073709551614");
  for (unsigned i = 0; i < 2 * TRACKER_MAX_RANGES; i++)
    g_assert_true (tracker_headers_read_chunks ("1-1", swarm));
  g_assert_cmpuint (swarm->chunks->len, ==, TRACKER_MAX_RANGES);
}

/* An ID may have all that RFC 7846's strings may; a certificate has signs of its own. */
static void
test_peers (void)
{
  static const char *const ids[] = {"656164657221", "a;b,c=\"d\" <e>%41@f", "\xc3\xa4/:?#"};
  g_autoptr (TrackerResponse) response = tracker_response_new (TRACKER_STATUS_OK, "t");
  TrackerResult *written = tracker_response_add_result (response, "s", false);
  TrackerResult *read = tracker_response_add_result (response, "s", false);
  g_autoptr (GString) list = g_string_new (" ,, ");
  TrackerAddress address = address_of ("192.0.2.1:7574");
  for (unsigned i = 0; i < G_N_ELEMENTS (ids); i++) {
    TrackerPeer *peer = tracker_result_add_peer (written, ids[i], &address);
    if (i == 1)
      peer->certificate = g_bytes_new_static ("\xff\x00\x01\x02", 4);
    g_autofree char *text = tracker_headers_write_peer (peer);
    g_assert_null (strpbrk (text, ",\" <>\""));
    g_string_append_printf (list, "%s , ", text);
  }
  const char *at = list->str;
  for (;;) {
    g_autofree char *text = tracker_headers_next (&at);
    if (text == NULL)
      break;
    g_assert_true (tracker_headers_read_peer (text, read));
  }
  g_assert_cmpuint (read->peers->len, ==, G_N_ELEMENTS (ids));
  for (unsigned i = 0; i < G_N_ELEMENTS (ids); i++) {
    const TrackerPeer *peer = g_ptr_array_index (read->peers, i);
    g_assert_cmpstr (peer->peer_id, ==, ids[i]);
    g_assert_true ((peer->certificate != NULL) == (i == 1));
  }
  const TrackerPeer *certified = g_ptr_array_index (read->peers, 1);
  g_assert_cmpuint (g_bytes_get_size (certified->certificate), ==, 4);
  /* Without an ID, or with one that is none, it is no peer. */
  g_assert_false (tracker_headers_read_peer ("192.0.2.1:7574;prio=1", read));
  g_assert_false (tracker_headers_read_peer ("192.0.2.1:7574;peer-id=%00", read));
  g_assert_false (tracker_headers_read_peer ("192.0.2.1:7574;peer-id=%0a", read));
  g_assert_cmpuint (read->peers->len, ==, G_N_ELEMENTS (ids));
}

static void
test_ids (void)
{
  g_autofree char *long_id = g_strnfill (TRACKER_MAX_ID + 1, 'a');
  static const char *const wrong[] = {NULL, "", "%", "%4", "%zz", "%00", "a%0d%0ab", "%ff"};
  for (unsigned i = 0; i < G_N_ELEMENTS (wrong); i++)
    g_assert_null (tracker_headers_read_id (wrong[i], TRACKER_MAX_ID));
  g_assert_null (tracker_headers_read_id (long_id, TRACKER_MAX_ID));
  g_autofree char *just = tracker_headers_read_id (long_id + 1, TRACKER_MAX_ID);
  g_assert_cmpstr (just, ==, long_id + 1);
}

static void
read_all (const uint8_t *bytes, size_t n, void *data)
{
  g_autofree char *text = g_strndup ((const char *)bytes, n);
  g_autoptr (TrackerResponse) response = tracker_response_new (TRACKER_STATUS_OK, "t");
  TrackerResult *result = tracker_response_add_result (response, "s", false);
  TrackerAddress address;
  TrackerPeerNum num;
  TrackerMode mode;
  TrackerSwarm swarm = {.swarm_id = NULL};
  TrackerCondition condition;
  bool wanted;
  if (tracker_headers_read_address (text, &address)) {
    g_autofree char *once = tracker_headers_write_address (&address);
    TrackerAddress again;
    g_assert_true (tracker_headers_read_address (once, &again));
  }
  tracker_headers_read_peer_num (text, &num);
  tracker_headers_read_swarm (text, &mode, &wanted);
  tracker_headers_read_stat (text, &swarm);
  if (tracker_headers_read_condition (text, &condition)) {
    g_autofree char *once = tracker_headers_write_condition (&condition);
    g_assert_true (tracker_headers_read_condition (once, &condition));
  }
  if (tracker_headers_read_chunks (text, &swarm)) {
    g_autofree char *once = tracker_headers_write_chunks (swarm.chunks);
    g_assert_true (tracker_headers_read_chunks (once, &swarm));
    g_array_unref (swarm.chunks);
  }
  if (tracker_headers_read_peer (text, result)) {
    g_autofree char *once = tracker_headers_write_peer (g_ptr_array_index (result->peers, 0));
    g_assert_true (tracker_headers_read_peer (once, result));
  }
}

static void
test_mutations (void)
{
  static const char *const good[] = {"192.0.2.1:7574;prio=1;type=HOST;peer-id=a%2Cb;cert=AAEC",
                                     "30;nat=STUN;links=5;online=200;upbw=600",
                                     "up=512;down=768;bw=1024;links=5;late=6;mode=LEECH",
                                     "mobile=yes;battery=40;loss=1", "10-99"};
  for (unsigned i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_cmpuint (mutate ((const uint8_t *)good[i], strlen (good[i]), read_all, NULL), >,
                      strlen (good[i]) * 255);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tracker/headers/addresses", test_addresses);
  g_test_add_func ("/tracker/headers/wrong-values-change-nothing", test_wrong_values);
  g_test_add_func ("/tracker/headers/how-many-peers", test_peer_num);
  g_test_add_func ("/tracker/headers/swarm-and-statistics", test_swarm_and_stat);
  g_test_add_func ("/tracker/headers/condition", test_condition);
  g_test_add_func ("/tracker/headers/chunks", test_chunks);
  g_test_add_func ("/tracker/headers/lists-of-peers", test_peers);
  g_test_add_func ("/tracker/headers/ids", test_ids);
  g_test_add_func ("/tracker/headers/every-byte-changed", test_mutations);
  return g_test_run ();
}
