/* SPDX-License-Identifier: Apache-2.0 */
/* The RFC's examples in both directions, what it contradicts itself in, and what no peer and no
 * tracker should send. */
#include "peer/tracker/json.h"
#include "peer/tracker/tree.h"
#include "tests/lib/mutate.h"

#include <string.h>

static const struct {
  const char *name;
  bool is_request;
} examples[] = {
    {"4.1.1.1-connect-seeder", true}, {"4.1.1.1-connect-leech", true},
    {"4.1.1.1-connect-switch", true}, {"4.1.1.1-connect-response", false},
    {"4.1.2.1-find", true},           {"4.1.2.1-find-response", false},
    {"4.1.3.1-stat-report", true},    {"4.1.3.1-stat-report-response", false},
};

static char *
load (const char *name, const char *ending, size_t *n)
{
  g_autofree char *file = g_strdup_printf ("tracker-%s.%s", name, ending);
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "golden", file, NULL);
  g_autoptr (GError) error = NULL;
  char *text = NULL;
  g_file_get_contents (path, &text, n, &error);
  g_assert_no_error (error);
  return text;
}

static TrackerRequest *
read_request (const char *text, size_t n)
{
  TrackerRequest *request = NULL;
  g_autofree char *transaction = NULL;
  TrackerStatus status = tracker_json_read_request (text, n, &request, &transaction);
  g_assert_cmpint (status == TRACKER_STATUS_OK, ==, request != NULL);
  g_assert_cmpint (status == TRACKER_STATUS_OK, ==, transaction == NULL);
  return request;
}

/* What it reads to, written; NULL = malformed. */
static char *
rewrite (const char *text, size_t n, bool is_request, size_t *written)
{
  if (is_request) {
    g_autoptr (TrackerRequest) request = read_request (text, n);
    return request != NULL ? tracker_json_write_request (request, written) : NULL;
  }
  g_autoptr (TrackerResponse) response = tracker_json_read_response (text, n);
  return response != NULL ? tracker_json_write_response (response, written) : NULL;
}

static void
examples_are_read_and_written (void)
{
  for (unsigned i = 0; i < G_N_ELEMENTS (examples); i++) {
    size_t n, n_written, n_again;
    g_autofree char *text = load (examples[i].name, "json", &n);
    g_autofree char *written = rewrite (text, n, examples[i].is_request, &n_written);
    g_test_message ("%s: %s", examples[i].name, written);
    g_autofree char *expected = load (examples[i].name, "written", NULL);
    g_assert_cmpstr (written, ==, g_strchomp (expected));
    g_assert_cmpuint (n_written, ==, strlen (written));
    g_autofree char *again = rewrite (written, n_written, examples[i].is_request, &n_again);
    g_assert_cmpstr (again, ==, written);
  }
}

static void
connect_means_what_the_rfc_says (void)
{
  size_t n;
  g_autofree char *text = load ("4.1.1.1-connect-leech", "json", &n);
  g_autoptr (TrackerRequest) request = read_request (text, n);
  g_assert_cmpint (request->type, ==, TRACKER_REQUEST_CONNECT);
  g_assert_cmpstr (request->transaction_id, ==, "12345.0");
  g_assert_cmpstr (request->peer_id, ==, "656164657221");
  g_assert_true (request->peer_num.said);
  g_assert_cmpuint (request->peer_num.peer_count, ==, 5);
  g_assert_cmpint (request->peer_num.nat, ==, TRACKER_NAT_STUN);
  g_assert_cmpuint (request->peer_num.links, ==, 5);
  g_assert_cmpint (request->peer_num.online_time, ==, 200 * G_USEC_PER_SEC);
  g_assert_cmpuint (request->peer_num.upload_bandwidth, ==, 75000); /* 600 kbit/s */
  g_assert_cmpuint (request->addresses->len, ==, 2);
  const TrackerAddress *second = &g_array_index (request->addresses, TrackerAddress, 1);
  g_autofree char *address = peer_address_to_string (&second->address);
  g_assert_cmpstr (address, ==, "[2001:db8::2]:80");
  g_assert_cmpuint (second->priority, ==, 2);
  g_assert_cmpint (second->type, ==, TRACKER_ADDRESS_HOST);
  g_assert_cmpint (second->connection, ==, TRACKER_CONNECTION_WIRELESS);
  g_assert_cmpuint (second->asn, ==, 34563456);
  g_assert_true (second->ppspp);
  g_assert_cmpuint (request->swarms->len, ==, 1);
  const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, 0);
  g_assert_cmpstr (swarm->swarm_id, ==, "1111");
  g_assert_cmpint (swarm->action, ==, TRACKER_ACTION_JOIN);
  g_assert_cmpint (swarm->mode, ==, TRACKER_MODE_LEECH);
}

static void
response_means_what_the_rfc_says (void)
{
  size_t n;
  g_autofree char *text = load ("4.1.1.1-connect-response", "json", &n);
  g_autoptr (TrackerResponse) response = tracker_json_read_response (text, n);
  g_assert_nonnull (response);
  g_assert_cmpint (response->status, ==, TRACKER_STATUS_OK);
  g_assert_cmpint (response->seen_as.type, ==, TRACKER_ADDRESS_REFLEXIVE); /* it leaves that out */
  g_assert_cmpuint (response->results->len, ==, 1);
  const TrackerResult *result = g_ptr_array_index (response->results, 0);
  g_assert_cmpstr (result->swarm_id, ==, "2222");
  g_assert_false (result->failed);
  g_assert_cmpuint (result->peers->len, ==, 2);
  const TrackerPeer *peer = g_ptr_array_index (result->peers, 1);
  g_assert_cmpstr (peer->peer_id, ==, "3332001256741");
  g_autofree char *address = peer_address_to_string (&peer->address.address);
  g_assert_cmpstr (address, ==, "198.51.100.201:80");
}

/* A request with one part of it in place of %s. */
#define CONNECT(body)                                                                              \
  "{\"PPSPTrackerProtocol\":{\"version\":1,\"request_type\":\"CONNECT\","                          \
  "\"transaction_id\":\"t\",\"peer_id\":\"p\",\"connect\":{" body "}}}"
#define ACTION "\"swarm_action\":[{\"swarm_id\":\"s\",\"action\":\"JOIN\",\"peer_mode\":\"LEECH\"}]"
#define ADDRESS(inner) "\"peer_addr\":[{" inner "}]," ACTION
#define REQUEST(type, rest)                                                                        \
  "{\"PPSPTrackerProtocol\":{\"version\":1,\"request_type\":\"" type "\","                         \
  "\"transaction_id\":\"t\",\"peer_id\":\"p\"" rest "}}"

static void
requests_are_judged (void)
{
  static const struct {
    const char *text;
    TrackerStatus status;
  } rows[] = {
      {CONNECT (ACTION), 0},
      {CONNECT (""), 0},                              /* only registers */
      {CONNECT (ACTION ",\"new\":{\"a\":[1,2]}"), 0}, /* section 4.4 */
      {CONNECT ("\"swarm_action\":{\"swarm_id\":\"s\",\"action\":\"JOIN\",\"peer_mode\":\"SEED\"}"),
       0},
      {CONNECT (
           "\"swarm_action\":[{\"swarm_id\":\"s\",\"action\":\"join\",\"peer_mode\":\"LEECH\"}]"),
       1},
      {CONNECT (
           "\"swarm_action\":[{\"swarm_id\":\"s\",\"action\":\"JOIN\",\"peer_mode\":\"PEER\"}]"),
       1},
      {CONNECT ("\"swarm_action\":[{\"swarm_id\":7,\"action\":\"JOIN\",\"peer_mode\":\"LEECH\"}]"),
       1},
      {CONNECT (
           "\"swarm_action\":[{\"swarm_id\":\"\",\"action\":\"JOIN\",\"peer_mode\":\"LEECH\"}]"),
       1},
      {CONNECT ("\"swarm_action\":[\"s\"]"), 1},
      {CONNECT ("\"swarm_action\":\"s\""), 1},
      {CONNECT ("\"swarm_action\":null"), 1},
      {CONNECT (ADDRESS (
           "\"ip_address\":{\"address_type\":\"ipv4\",\"address\":\"192.0.2.1\"},\"port\":1")),
       0},
      {CONNECT (ADDRESS (
           "\"ip_address\":{\"address_type\":\"ipv6\",\"address\":\"192.0.2.1\"},\"port\":1")),
       1},
      {CONNECT (
           ADDRESS ("\"ip_address\":{\"address_type\":\"ipv4\",\"address\":\"::1\"},\"port\":1")),
       1},
      {CONNECT (ADDRESS (
           "\"ip_address\":{\"address_type\":\"ipv4\",\"address\":\"evil.example\"},\"port\":1")),
       1},
      {CONNECT (ADDRESS (
           "\"ip_address\":{\"address_type\":\"ipv4\",\"address\":\"192.0.2.1\"},\"port\":65536")),
       1},
      {CONNECT (ADDRESS (
           "\"ip_address\":{\"address_type\":\"ipv4\",\"address\":\"192.0.2.1\"},\"port\":-1")),
       1},
      {CONNECT (ADDRESS (
           "\"ip_address\":{\"address_type\":\"ipv4\",\"address\":\"192.0.2.1\"},\"port\":1.5")),
       1},
      {CONNECT (ADDRESS (
           "\"ip_address\":{\"address_type\":\"ipv4\",\"address\":\"192.0.2.1\"},\"port\":\"80\"")),
       0},
      {CONNECT (ADDRESS ("\"ip_address\":{\"address_type\":\"ipv4\",\"address\":\"192.0.2.1\"}")),
       1},
      {CONNECT (ADDRESS ("\"ip_address\":{\"address_type\":\"ipv4\",\"address\":\"192.0.2.1\"},"
                         "\"port\":1,\"type\":\"X\"")),
       1},
      {CONNECT ("\"peer_num\":{\"peer_count\":\"x\"}," ACTION), 1},
      {CONNECT ("\"peer_num\":{\"ability_nat\":\"STUN\"}," ACTION),
       1}, /* peer_count is mandatory */
      {CONNECT ("\"peer_num\":{\"peer_count\":99999999999}," ACTION), 1},
      {CONNECT ("\"peer_num\":5," ACTION), 1},
      {REQUEST ("FIND", ",\"find\":{\"swarm_id\":\"s\"}"), 0},
      {REQUEST ("FIND", ",\"swarm_id\":\"s\""), 0},
      {REQUEST ("FIND", ""), 1},
      {REQUEST ("FIND", ",\"find\":[]"), 1},
      {REQUEST ("STAT_REPORT", ""), 0}, /* a keep-alive */
      {REQUEST ("STAT_REPORT", ",\"stat_report\":{}"), 0},
      {REQUEST ("STAT_REPORT", ",\"stat_report\":{\"type\":\"OTHER\",\"stat\":5}"), 0},
      {REQUEST ("STAT_REPORT", ",\"stat_report\":{\"type\":\"STREAM_STATS\",\"stat\":5}"), 1},
      {REQUEST ("STAT_REPORT", ",\"stat_report\":{\"type\":\"STREAM_STATS\",\"stat\":[{\"swarm_"
                               "id\":\"s\",\"uploaded_bytes\":-1}]}"),
       1},
      {REQUEST ("STAT_REPORT", ",\"stat_report\":5"), 1},
      {REQUEST ("DISCONNECT", ""), 1},
      {REQUEST ("connect", ",\"connect\":{" ACTION "}"), 1}, /* names are case-sensitive */
      {"{\"PPSPTrackerProtocol\":{\"version\":2,\"request_type\":\"CONNECT\",\"transaction_id\":"
       "\"t\"}}",
       2},
      {"{\"PPSPTrackerProtocol\":{\"version\":0,\"transaction_id\":\"t\"}}", 2},
      {"{\"PPSPTrackerProtocol\":{\"request_type\":\"CONNECT\",\"transaction_id\":\"t\"}}", 1},
      {"{\"PPSPTrackerProtocol\":{\"version\":1,\"request_type\":\"STAT_REPORT\",\"peer_id\":\"p\"}"
       "}",
       1},
      {"{\"PPSPTrackerProtocol\":{\"version\":1,\"request_type\":\"STAT_REPORT\",\"transaction_"
       "id\":\"t\"}}",
       1},
      {"{\"PPSPTrackerProtocol\":[]}", 1},
      {"{\"other\":{}}", 1},
      {"[]", 1},
      {"{", 1},
      {"}", 1},
      {"", 1},
      {" ", 1},
      {"null", 1},
      {"{}", 1},
      {"\"", 1},
      {"{\"PPSPTrackerProtocol\":\"\\", 1},
      {"/*{*/" REQUEST ("STAT_REPORT", ""), 1},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (TrackerRequest) request = NULL;
    g_autofree char *transaction = NULL;
    g_test_message ("%s", rows[i].text);
    TrackerStatus status =
        tracker_json_read_request (rows[i].text, strlen (rows[i].text), &request, &transaction);
    g_assert_cmpint (status, ==, rows[i].status);
    g_assert_cmpint (request != NULL, ==, status == TRACKER_STATUS_OK);
    if (status == TRACKER_STATUS_UNSUPPORTED_VERSION)
      g_assert_cmpstr (transaction, ==, "t"); /* the answer repeats it */
  }
}

#define RESPONSE(rest) "{\"PPSPTrackerProtocol\":{\"version\":1," rest "}}"

static void
responses_are_judged (void)
{
  static const struct {
    const char *text;
    int status; /* -1 = malformed */
  } rows[] = {
      {RESPONSE ("\"response_type\":0,\"error_code\":0,\"transaction_id\":\"t\""), 0},
      {RESPONSE ("\"response_type\":0,\"transaction_id\":\"t\""), 0},
      {RESPONSE ("\"response_type\":0,\"error_code\":\"00\",\"transaction_id\":\"t\""), 0},
      {RESPONSE ("\"response_type\":1,\"error_code\":\"03\",\"transaction_id\":\"t\""), 3},
      {RESPONSE ("\"response_type\":1,\"transaction_id\":\"t\""), 4},
      {RESPONSE ("\"response_type\":1,\"error_code\":5"), 5},
      {RESPONSE ("\"response_type\":0,\"error_code\":0"), -1},
      {RESPONSE ("\"response_type\":0,\"error_code\":3,\"transaction_id\":\"t\""), -1},
      {RESPONSE ("\"response_type\":1,\"error_code\":7,\"transaction_id\":\"t\""), -1},
      {RESPONSE ("\"response_type\":2,\"error_code\":0,\"transaction_id\":\"t\""), -1},
      {RESPONSE ("\"error_code\":0,\"transaction_id\":\"t\""), -1},
      {"{\"PPSPTrackerProtocol\":{\"version\":2,\"response_type\":0,\"transaction_id\":\"t\"}}",
       -1},
      {RESPONSE ("\"response_type\":0,\"transaction_id\":\"t\",\"swarm_result\":{\"swarm_id\":"
                 "\"s\",\"result\":0}"),
       0},
      {RESPONSE ("\"response_type\":0,\"transaction_id\":\"t\",\"swarm_result\":{\"swarm_id\":"
                 "\"s\",\"result\":2}"),
       -1},
      {RESPONSE ("\"response_type\":0,\"transaction_id\":\"t\",\"swarm_result\":{\"swarm_id\":"
                 "\"s\",\"result\":0,\"peer_group\":5}"),
       -1},
      {RESPONSE ("\"response_type\":0,\"transaction_id\":\"t\",\"peer_addr\":{\"port\":1}"), -1},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_test_message ("%s", rows[i].text);
    g_autoptr (TrackerResponse) response =
        tracker_json_read_response (rows[i].text, strlen (rows[i].text));
    g_assert_cmpint (response != NULL ? (int)response->status : -1, ==, rows[i].status);
  }
}

static void
depth_and_size_have_limits (void)
{
  for (unsigned depth = 10; depth < 20; depth++) {
    /* Two brackets are there already. */
    GString *text = g_string_new ("{\"PPSPTrackerProtocol\":{\"version\":1,\"x\":");
    for (unsigned i = 0; i < depth - 2; i++)
      g_string_append_c (text, '[');
    for (unsigned i = 0; i < depth - 2; i++)
      g_string_append_c (text, ']');
    g_string_append (text, ",\"request_type\":\"STAT_REPORT\",\"transaction_id\":\"t\","
                           "\"peer_id\":\"[[[[[[[[[[[[[[[[[[[[\\\"\"}}");
    g_autoptr (TrackerRequest) request = read_request (text->str, text->len);
    g_assert_cmpint (request != NULL, ==, depth <= TRACKER_JSON_MAX_DEPTH);
    g_string_free (text, TRUE);
  }
  for (unsigned over = 0; over < 2; over++) {
    static const char head[] = REQUEST ("STAT_REPORT", "");
    size_t n = TRACKER_JSON_MAX_SIZE + over;
    g_autofree char *text = g_malloc (n);
    memset (text, ' ', n);
    memcpy (text, head, sizeof head - 1);
    g_autoptr (TrackerRequest) request = read_request (text, n);
    g_assert_cmpint (request != NULL, ==, over == 0);
  }
  g_autofree char *brackets = g_strnfill (200000, '[');
  g_assert_null (read_request (brackets, 200000));
}

static void
lists_and_ids_have_limits (void)
{
  for (unsigned n = TRACKER_MAX_LIST; n <= TRACKER_MAX_LIST + 1; n++) {
    TrackerRequest *request = tracker_request_new (TRACKER_REQUEST_CONNECT, "t", "p");
    for (unsigned i = 0; i < n; i++)
      tracker_request_add_swarm (request, "s");
    size_t size;
    g_autofree char *text = tracker_json_write_request (request, &size);
    g_autoptr (TrackerRequest) back = read_request (text, size);
    g_assert_cmpint (back != NULL, ==, n == TRACKER_MAX_LIST);
    tracker_request_free (request);
  }
  for (unsigned n = TRACKER_MAX_ID; n <= TRACKER_MAX_ID + 1; n++) {
    g_autofree char *id = g_strnfill (n, 'i');
    TrackerRequest *request = tracker_request_new (TRACKER_REQUEST_STAT_REPORT, "t", id);
    size_t size;
    g_autofree char *text = tracker_json_write_request (request, &size);
    g_autoptr (TrackerRequest) back = read_request (text, size);
    g_assert_cmpint (back != NULL, ==, n == TRACKER_MAX_ID);
    tracker_request_free (request);
  }
  g_assert_false (tracker_id_is_valid ("a\nb", 10));
  g_assert_false (tracker_id_is_valid ("\xff", 10));
  g_assert_true (tracker_id_is_valid ("a b\"\\\xc3\xa4", 10));
}

static void
ids_are_quoted (void)
{
  TrackerRequest *request =
      tracker_request_new (TRACKER_REQUEST_STAT_REPORT, "a\"b\\c", "\xc3\xa4</script>");
  size_t size;
  g_autofree char *text = tracker_json_write_request (request, &size);
  g_autoptr (TrackerRequest) back = read_request (text, size);
  g_assert_nonnull (back);
  g_assert_cmpstr (back->transaction_id, ==, "a\"b\\c");
  g_assert_cmpstr (back->peer_id, ==, "\xc3\xa4</script>");
  tracker_request_free (request);
}

typedef struct {
  bool is_request;
  size_t read;
} Mutation;

static void
try_mutation (const uint8_t *bytes, size_t n, void *data)
{
  Mutation *mutation = data;
  size_t first, second;
  g_autofree char *once = rewrite ((const char *)bytes, n, mutation->is_request, &first);
  if (once == NULL)
    return;
  mutation->read++;
  g_autofree char *twice = rewrite (once, first, mutation->is_request, &second);
  g_assert_cmpstr (once, ==, twice);
}

static void
mutations_read_to_what_can_be_written (void)
{
  static const char *const small[] = {
      CONNECT ("\"peer_num\":{\"peer_count\":5},\"peer_addr\":[{\"ip_address\":{\"address_type\":"
               "\"ipv4\",\"address\":\"192.0.2.1\"},\"port\":7,\"priority\":1,\"type\":\"HOST\"}]"
               "," ACTION),
      RESPONSE ("\"response_type\":0,\"error_code\":0,\"transaction_id\":\"t\",\"swarm_result\":[{"
                "\"swarm_id\":\"s\",\"result\":0,\"peer_group\":{\"peer_info\":[]}}]"),
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (small); i++) {
    Mutation mutation = {.is_request = i == 0};
    size_t n = mutate ((const uint8_t *)small[i], strlen (small[i]), try_mutation, &mutation);
    g_test_message ("%zu of %zu read", mutation.read, n);
    g_assert_cmpuint (mutation.read, >, 100);
    g_assert_cmpuint (mutation.read, <, n);
  }
}

/* Our members beside those of the RFC (section 7). */
static void
certificates_are_read_and_written (void)
{
  static const uint8_t bytes[] = {0x30, 0x82, 0xff, 0x00};
  size_t n;
  g_autoptr (TrackerResponse) response = tracker_response_new (TRACKER_STATUS_OK, "t");
  TrackerResult *result = tracker_response_add_result (response, "s", false);
  TrackerAddress address = {.type = TRACKER_ADDRESS_HOST};
  g_assert_true (peer_address_parse ("192.0.2.1:7574", &address.address));
  result->certificate = g_bytes_new (bytes, 4);
  tracker_result_add_peer (result, "p", &address)->certificate = g_bytes_new (bytes, 3);
  tracker_result_add_peer (result, "q", &address);
  g_autofree char *text = tracker_json_write_response (response, &n);
  g_autoptr (TrackerResponse) back = tracker_json_read_response (text, n);
  g_assert_nonnull (back);
  const TrackerResult *read = g_ptr_array_index (back->results, 0);
  g_assert_true (g_bytes_equal (read->certificate, result->certificate));
  const TrackerPeer *first = g_ptr_array_index (read->peers, 0);
  const TrackerPeer *second = g_ptr_array_index (read->peers, 1);
  g_assert_cmpuint (g_bytes_get_size (first->certificate), ==, 3);
  g_assert_null (second->certificate);
}

static void
certificates_that_are_none_spoil_nothing (void)
{
  g_autofree char *longer = g_strnfill (4 * (TRACKER_MAX_CERTIFICATE / 3 + 2), 'A');
  const char *const bad[] = {"", "A", "AAA", "AAAA=AAA", "A===", "AA A", "AA-_", longer};
  for (unsigned i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree char *text = g_strdup_printf (
        RESPONSE ("\"response_type\":0,\"transaction_id\":\"t\",\"swarm_result\":[{\"swarm_id\":"
                  "\"s\",\"result\":0,\"membership_certificate\":\"%s\"}]"),
        bad[i]);
    g_autoptr (TrackerResponse) response = tracker_json_read_response (text, strlen (text));
    g_assert_nonnull (response);
    g_assert_null (((TrackerResult *)g_ptr_array_index (response->results, 0))->certificate);
  }
}

static void
who_wants_certificates_says_so (void)
{
  const struct {
    const char *text;
    bool wanted;
  } rows[] = {
      {REQUEST ("STAT_REPORT", ""), false},
      {REQUEST ("STAT_REPORT", ",\"certificates\":true"), true},
      {REQUEST ("STAT_REPORT", ",\"certificates\":false"), false},
      {REQUEST ("STAT_REPORT", ",\"certificates\":\"true\""), false},
      {REQUEST ("STAT_REPORT", ",\"certificates\":{}"), false},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (TrackerRequest) request = read_request (rows[i].text, strlen (rows[i].text));
    g_assert_cmpint (request->certificates, ==, rows[i].wanted);
    size_t n;
    g_autofree char *text = tracker_json_write_request (request, &n);
    g_assert_cmpint (strstr (text, "\"certificates\":true") != NULL, ==, rows[i].wanted);
  }
}

/* What is ours: read, written in the same form, and of no weight where it is malformed. */
static void
condition_and_chunks_are_read_and_written (void)
{
  static const struct {
    const char *text, *written;
  } rows[] = {
      {REQUEST ("CONNECT",
                ",\"connect\":{\"condition\":{\"battery\":15,\"mobile\":true,\"loss\":3},"
                "\"swarm_action\":[]}"),
       "\"condition\":{\"mobile\":true,\"loss\":3,\"battery\":15}"},
      {REQUEST ("STAT_REPORT", ",\"stat_report\":{\"type\":\"STREAM_STATS\",\"condition\":{}}"),
       "\"condition\":{\"mobile\":false}"},
      {REQUEST (
           "STAT_REPORT",
           ",\"stat_report\":{\"type\":\"STREAM_STATS\",\"stat\":[{\"swarm_id\":\"s\","
           "\"late_chunks\":7,\"content_info\":[{\"segments\":[{\"start_index\":0,"
           "\"end_index\":0},{\"start_index\":\"5\",\"end_index\":18446744073709551614}]}]}]}"),
       "\"late_chunks\":7,\"content_info\":[{\"segments\":[{\"start_index\":0,\"end_index\":0},"
       "{\"start_index\":5,\"end_index\":18446744073709551614}]}]"},
      {REQUEST ("FIND", ",\"find\":{\"swarm_id\":\"s\",\"content_info\":{\"segments\":"
                        "{\"start_index\":1,\"end_index\":2}}}"),
       "\"content_info\":[{\"segments\":[{\"start_index\":1,\"end_index\":2}]}]"},
      {REQUEST ("CONNECT", ",\"connect\":{\"condition\":{\"battery\":101},\"swarm_action\":[]}"),
       NULL},
      {REQUEST ("CONNECT", ",\"connect\":{\"condition\":5,\"swarm_action\":[]}"), NULL},
      {REQUEST ("FIND", ",\"find\":{\"swarm_id\":\"s\",\"content_info\":[{\"segments\":"
                        "[{\"start_index\":3,\"end_index\":2}]}]}"),
       NULL},
      {REQUEST ("FIND", ",\"find\":{\"swarm_id\":\"s\",\"content_info\":[7]}"), NULL},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (TrackerRequest) request = read_request (rows[i].text, strlen (rows[i].text));
    g_assert_nonnull (request);
    g_autofree char *text = tracker_json_write_request (request, NULL);
    if (rows[i].written != NULL) {
      g_assert_nonnull (strstr (text, rows[i].written));
    } else {
      g_assert_null (strstr (text, "condition"));
      g_assert_null (strstr (text, "content_info"));
    }
  }
  GString *many = g_string_new ("{\"PPSPTrackerProtocol\":{\"version\":1,\"request_type\":\"FIND\","
                                "\"transaction_id\":\"t\",\"peer_id\":\"p\",\"find\":{\"swarm_id\":"
                                "\"s\",\"content_info\":[{\"segments\":[");
  for (unsigned i = 0; i < TRACKER_MAX_LIST; i++)
    g_string_append_printf (many, "%s{\"start_index\":%u,\"end_index\":%u}", i > 0 ? "," : "",
                            2 * i, 2 * i);
  g_string_append (many, "]}]}}}");
  g_autoptr (TrackerRequest) request = read_request (many->str, many->len);
  const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, 0);
  g_assert_cmpuint (swarm->chunks->len, ==, TRACKER_MAX_RANGES);
  g_string_free (many, TRUE);
}

static void
only_json_is_read (void)
{
  static const char *const bad[] = {"",
                                    " ",
                                    "{",
                                    "}",
                                    "[1,]",
                                    "{\"a\":1,}",
                                    "[,1]",
                                    "{,}",
                                    "{\"a\"}",
                                    "{a:1}",
                                    "[1 2]",
                                    "[1]]",
                                    "nul",
                                    "nulL",
                                    "01",
                                    "1.",
                                    ".5",
                                    "-",
                                    "1e",
                                    "+1",
                                    "'a'",
                                    "\"a",
                                    "\"\\x\"",
                                    "\"\\u12\"",
                                    "\"\\u0000\"",
                                    "\"\\ud800\"",
                                    "\"\\udc00\"",
                                    "\"\\ud800\\u0041\"",
                                    "\"\t\"",
                                    "// c\n1",
                                    "[1]/**/",
                                    "{\"a\":1 \"b\":2}",
                                    "\xff",
                                    "[\"\\\"]"};
  static const char *const good[] = {"0",
                                     "-0",
                                     "1.5e+10",
                                     "null",
                                     "true",
                                     "\"\"",
                                     "[]",
                                     "{}",
                                     " [ ] ",
                                     "{\"a\":[{},[],\"b\",1,null,false]}",
                                     "\"\\ud83d\\ude00\""};
  for (unsigned i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree TrackerNode *tree = tracker_tree_read (bad[i], strlen (bad[i]), 8);
    g_test_message ("%s", bad[i]);
    g_assert_null (tree);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS (good); i++) {
    g_autofree TrackerNode *tree = tracker_tree_read (good[i], strlen (good[i]), 8);
    g_test_message ("%s", good[i]);
    g_assert_nonnull (tree);
  }
  const char *text = "{\"a\":1,\"b\":\"\\u00e9\\n\\\"\\ud83d\\ude00\",\"a\":[2,3]}";
  g_autofree TrackerNode *tree = tracker_tree_read (text, strlen (text), 8);
  g_assert_cmpuint (tree->n, ==, 3);
  g_assert_cmpstr (tracker_node_member (tree, "b")->text, ==, "\xc3\xa9\n\"\xf0\x9f\x98\x80");
  const TrackerNode *last = tracker_node_member (tree, "a"); /* of two the last counts */
  g_assert_cmpint (last->type, ==, TRACKER_NODE_ARRAY);
  g_assert_cmpuint (last->n, ==, 2);
  g_assert_null (tracker_node_member (last, "a"));
  g_autofree TrackerNode *deep = tracker_tree_read ("[[[]]]", 6, 3);
  g_autofree TrackerNode *deeper = tracker_tree_read ("[[[[]]]]", 8, 3);
  g_assert_nonnull (deep);
  g_assert_null (deeper);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tracker/json/examples-are-read-and-written", examples_are_read_and_written);
  g_test_add_func ("/tracker/json/connect-means-what-the-rfc-says",
                   connect_means_what_the_rfc_says);
  g_test_add_func ("/tracker/json/response-means-what-the-rfc-says",
                   response_means_what_the_rfc_says);
  g_test_add_func ("/tracker/json/requests-are-judged", requests_are_judged);
  g_test_add_func ("/tracker/json/responses-are-judged", responses_are_judged);
  g_test_add_func ("/tracker/json/depth-and-size-have-limits", depth_and_size_have_limits);
  g_test_add_func ("/tracker/json/lists-and-ids-have-limits", lists_and_ids_have_limits);
  g_test_add_func ("/tracker/json/ids-are-quoted", ids_are_quoted);
  g_test_add_func ("/tracker/json/certificates-are-read-and-written",
                   certificates_are_read_and_written);
  g_test_add_func ("/tracker/json/certificates-that-are-none-spoil-nothing",
                   certificates_that_are_none_spoil_nothing);
  g_test_add_func ("/tracker/json/who-wants-certificates-says-so", who_wants_certificates_says_so);
  g_test_add_func ("/tracker/json/condition-and-chunks-are-read-and-written",
                   condition_and_chunks_are_read_and_written);
  g_test_add_func ("/tracker/tree/only-json-is-read", only_json_is_read);
  g_test_add_func ("/tracker/json/mutations-read-to-what-can-be-written",
                   mutations_read_to_what_can_be_written);
  return g_test_run ();
}
