/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: a tree (tree.h), of which only the members that section 3 names are looked at (section 4.4:
 * ignore the others). Writing: straight into a string; a list of thirty peers is the most that a
 * tracker does for a request, so without printf.
 *
 * Where the RFC's schema (section 3) and its examples (4.1.1.1, 4.1.2.1, 4.1.3.1) differ, both are
 * read and the schema's form is written:
 *
 *   schema                                  examples
 *   FIND's swarm_id, peer_num in "find"     directly under the root
 *   <1..*> is an array                      an object, where there is one
 *   integers                                strings of digits
 *   "stat"                                  "Stat"
 *   peer_addr has a type                    left out in a response
 *   error_code is an integer                "00".."06" in section 4.3
 *   peer_mode SEEDER                        (SEED in the drafts before the RFC)
 *
 * Section 7 lets members be added, and section 4.4 has those who do not know them ignore them. Ours
 * are for the certificates of RFC 7574, 12.2.2, in Base64; for how fit a peer is to serve others; and
 * for chunks, as draft-huang-ppsp-extended-tracker-protocol-06 names them (both ends are in the range):
 *
 *   request               "certificates": true
 *   swarm_result          "membership_certificate": that of the one who asks
 *   peer_info             "membership_certificate": that of the peer
 *   connect, stat_report  "condition": {"battery": percent, "loss": percent, "mobile": true}
 *   find, stat, swarm_action  "content_info": [{"segments": [{"start_index": 0, "end_index": 9}]}]
 *   stat                  "late_chunks": number of those that came too late */
#include "peer/tracker/json.h"

#include "peer/tracker/tree.h"

#include <string.h>

/* The wire has kbit/s and seconds; we have bytes/s and us. */
#define BYTES_PER_KBIT 125

/* --- reading ------------------------------------------------------------------------------- */

static bool
is_object (const TrackerNode *node)
{
  return node != NULL && node->type == TRACKER_NODE_OBJECT;
}

static const TrackerNode *
get_object (const TrackerNode *object, const char *name)
{
  const TrackerNode *node = tracker_node_member (object, name);
  return is_object (node) ? node : NULL;
}

/* NULL = not there, or no string, or not fit to be an ID. */
static const char *
get_id (const TrackerNode *object, const char *name, size_t max)
{
  const TrackerNode *node = tracker_node_member (object, name);
  if (node == NULL || node->type != TRACKER_NODE_STRING)
    return NULL;
  return tracker_id_is_valid (node->text, max) ? node->text : NULL;
}

static const char *
get_text (const TrackerNode *object, const char *name)
{
  return get_id (object, name, TRACKER_MAX_ID);
}

/* false = there, but no integer from 0 to max. Not there: out stays. */
static bool
get_integer (const TrackerNode *object, const char *name, uint64_t max, uint64_t *out)
{
  const TrackerNode *node = tracker_node_member (object, name);
  return node == NULL || tracker_node_integer (node, max, out);
}

static bool
need_integer (const TrackerNode *object, const char *name, uint64_t max, uint64_t *out)
{
  return tracker_node_integer (tracker_node_member (object, name), max, out);
}

static bool
get_boolean (const TrackerNode *object, const char *name)
{
  const TrackerNode *node = tracker_node_member (object, name);
  return node != NULL && node->type == TRACKER_NODE_TRUE;
}

typedef bool (*ReadElement) (const TrackerNode *object, gpointer out);

/* An array of objects, or one object. false = something else, or too many, or one is malformed. */
static bool
read_each (const TrackerNode *node, ReadElement read, gpointer out)
{
  if (is_object (node))
    return read (node, out);
  if (node->type != TRACKER_NODE_ARRAY || node->n > TRACKER_MAX_LIST)
    return false;
  for (const TrackerNode *element = node->first; element != NULL; element = element->next)
    if (!is_object (element) || !read (element, out))
      return false;
  return true;
}

static TrackerAddressType
address_type_of (const TrackerNode *object, TrackerAddressType otherwise, bool *good)
{
  const char *type = get_text (object, "type");
  *good = true;
  if (type == NULL && tracker_node_member (object, "type") == NULL)
    return otherwise;
  if (g_strcmp0 (type, "HOST") == 0)
    return TRACKER_ADDRESS_HOST;
  if (g_strcmp0 (type, "REFLEXIVE") == 0)
    return TRACKER_ADDRESS_REFLEXIVE;
  if (g_strcmp0 (type, "PROXY") == 0)
    return TRACKER_ADDRESS_PROXY;
  *good = false;
  return otherwise;
}

static TrackerConnection
connection_of (const TrackerNode *object)
{
  const char *connection = get_text (object, "connection");
  if (g_strcmp0 (connection, "wired") == 0)
    return TRACKER_CONNECTION_WIRED;
  if (g_strcmp0 (connection, "wireless") == 0)
    return TRACKER_CONNECTION_WIRELESS;
  return TRACKER_CONNECTION_UNSAID;
}

/* NULL = none, or none that can be read: it is optional, so it spoils nothing. */
static GBytes *
get_certificate (const TrackerNode *object)
{
  const TrackerNode *node = tracker_node_member (object, "membership_certificate");
  return node != NULL && node->type == TRACKER_NODE_STRING ? tracker_certificate_read (node->text)
                                                           : NULL;
}

/* Section 3.2.4: ppsp_tp_peer_addr_t. */
static bool
read_address (const TrackerNode *object, TrackerAddressType type, TrackerAddress *out)
{
  const TrackerNode *ip = get_object (object, "ip_address");
  const char *family = ip != NULL ? get_text (ip, "address_type") : NULL;
  const char *text = ip != NULL ? get_text (ip, "address") : NULL;
  uint64_t port = 0, priority = 0, asn = 0;
  bool good;
  if (family == NULL || text == NULL || !need_integer (object, "port", 65535, &port) ||
      !get_integer (object, "priority", UINT32_MAX, &priority))
    return false;
  *out = (TrackerAddress){0};
  out->type = address_type_of (object, type, &good);
  if (!good || !peer_address_parse_ip (text, (uint16_t)port, &out->address))
    return false;
  bool v6 = strchr (text, ':') != NULL;
  if (strcmp (family, v6 ? "ipv6" : "ipv4") != 0)
    return false;
  if (!get_integer (object, "asn", UINT32_MAX, &asn)) /* it is only a hint */
    asn = 0;
  out->priority = (uint32_t)priority;
  out->asn = (uint32_t)asn;
  out->connection = connection_of (object);
  out->ppspp = g_strcmp0 (get_text (object, "peer_protocol"), "PPSP-PP") == 0;
  return true;
}

static bool
read_peer_address (const TrackerNode *object, gpointer out)
{
  TrackerRequest *request = out;
  TrackerAddress address;
  if (!read_address (object, TRACKER_ADDRESS_HOST, &address))
    return false;
  g_array_append_val (request->addresses, address);
  return true;
}

static void read_chunks (const TrackerNode *body, TrackerSwarm *out);

/* Section 3.2.3. */
static bool
read_swarm_action (const TrackerNode *object, gpointer out)
{
  const char *swarm_id = get_id (object, "swarm_id", TRACKER_MAX_SWARM_ID);
  const char *action = get_text (object, "action");
  const char *mode = get_text (object, "peer_mode");
  if (swarm_id == NULL || action == NULL || mode == NULL)
    return false;
  bool join = strcmp (action, "JOIN") == 0;
  bool leech = strcmp (mode, "LEECH") == 0;
  if ((!join && strcmp (action, "LEAVE") != 0) ||
      (!leech && strcmp (mode, "SEEDER") != 0 && strcmp (mode, "SEED") != 0))
    return false;
  TrackerSwarm *swarm = tracker_request_add_swarm (out, swarm_id);
  swarm->action = join ? TRACKER_ACTION_JOIN : TRACKER_ACTION_LEAVE;
  swarm->mode = leech ? TRACKER_MODE_LEECH : TRACKER_MODE_SEEDER;
  read_chunks (object, swarm);
  return true;
}

/* Section 3.2.2. */
static bool
read_peer_num (const TrackerNode *body, TrackerPeerNum *out)
{
  uint64_t count = 0, links = 0, online = 0, bandwidth = 0;
  if (tracker_node_member (body, "peer_num") == NULL)
    return true;
  const TrackerNode *object = get_object (body, "peer_num");
  if (object == NULL || !need_integer (object, "peer_count", UINT32_MAX, &count) ||
      !get_integer (object, "concurrent_links", UINT32_MAX, &links) ||
      !get_integer (object, "online_time", UINT32_MAX, &online) ||
      !get_integer (object, "upload_bandwidth", UINT32_MAX, &bandwidth))
    return false;
  const char *nat = get_text (object, "ability_nat");
  out->said = true;
  out->peer_count = (uint32_t)count;
  out->links = (uint32_t)links;
  out->online_time = (int64_t)online * G_USEC_PER_SEC;
  out->upload_bandwidth = bandwidth * BYTES_PER_KBIT;
  out->nat = g_strcmp0 (nat, "NO_NAT") == 0 ? TRACKER_NAT_NO_NAT
             : g_strcmp0 (nat, "STUN") == 0 ? TRACKER_NAT_STUN
             : g_strcmp0 (nat, "TURN") == 0 ? TRACKER_NAT_TURN
                                            : TRACKER_NAT_UNSAID;
  return true;
}

/* What is ours is optional, so nothing of it spoils a request: what cannot be read was not said. */
static void
read_condition (const TrackerNode *body, TrackerCondition *out)
{
  const TrackerNode *object = get_object (body, "condition");
  uint64_t battery = TRACKER_BATTERY_UNSAID, loss = 0;
  if (object == NULL || !get_integer (object, "battery", 100, &battery) ||
      !get_integer (object, "loss", 100, &loss))
    return;
  *out = (TrackerCondition){.said = true,
                            .battery = (uint8_t)battery,
                            .loss = (uint8_t)loss,
                            .mobile = get_boolean (object, "mobile")};
}

static bool
read_segment (const TrackerNode *object, gpointer out)
{
  TrackerSwarm *swarm = out;
  uint64_t first, last;
  if (!need_integer (object, "start_index", UINT64_MAX - 1, &first) ||
      !need_integer (object, "end_index", UINT64_MAX - 1, &last) || last < first)
    return false;
  if (swarm->chunks == NULL || swarm->chunks->len < TRACKER_MAX_RANGES)
    tracker_swarm_add_chunks (swarm, first, last + 1);
  return true;
}

static bool
read_info (const TrackerNode *object, gpointer out)
{
  const TrackerNode *segments = tracker_node_member (object, "segments");
  return segments != NULL && read_each (segments, read_segment, out);
}

static void
read_chunks (const TrackerNode *body, TrackerSwarm *out)
{
  const TrackerNode *info = tracker_node_member (body, "content_info");
  if (info != NULL && !read_each (info, read_info, out))
    g_clear_pointer (&out->chunks, g_array_unref);
}

/* A CONNECT that names no swarm only registers the peer (section 4.1.1: "and/or"). */
static bool
read_connect (const TrackerNode *root, TrackerRequest *out)
{
  const TrackerNode *body = get_object (root, "connect");
  if (body == NULL || !read_peer_num (body, &out->peer_num))
    return false;
  read_condition (body, &out->condition);
  const TrackerNode *addresses = tracker_node_member (body, "peer_addr");
  if (addresses != NULL && !read_each (addresses, read_peer_address, out))
    return false;
  const TrackerNode *actions = tracker_node_member (body, "swarm_action");
  return actions == NULL || read_each (actions, read_swarm_action, out);
}

static bool
read_find (const TrackerNode *root, TrackerRequest *out)
{
  const TrackerNode *body = root;
  if (tracker_node_member (root, "find") != NULL) {
    body = get_object (root, "find");
    if (body == NULL)
      return false;
  }
  const char *swarm_id = get_id (body, "swarm_id", TRACKER_MAX_SWARM_ID);
  if (swarm_id == NULL || !read_peer_num (body, &out->peer_num))
    return false;
  read_chunks (body, tracker_request_add_swarm (out, swarm_id));
  return true;
}

/* Section 3.2.5. */
static bool
read_stat (const TrackerNode *object, gpointer out)
{
  const char *swarm_id = get_id (object, "swarm_id", TRACKER_MAX_SWARM_ID);
  uint64_t uploaded = 0, downloaded = 0, bandwidth = 0, links = 0, late = 0;
  if (swarm_id == NULL || !get_integer (object, "uploaded_bytes", INT64_MAX, &uploaded) ||
      !get_integer (object, "downloaded_bytes", INT64_MAX, &downloaded) ||
      !get_integer (object, "available_bandwidth", INT64_MAX, &bandwidth) ||
      !get_integer (object, "concurrent_links", UINT32_MAX, &links))
    return false;
  TrackerSwarm *swarm = tracker_request_add_swarm (out, swarm_id);
  swarm->uploaded = uploaded;
  swarm->downloaded = downloaded;
  swarm->bandwidth = bandwidth;
  swarm->links = (uint32_t)links;
  if (get_integer (object, "late_chunks", UINT32_MAX, &late))
    swarm->late = (uint32_t)late;
  read_chunks (object, swarm);
  return true;
}

/* Another type than STREAM_STATS is an extension (section 7): a sign of life, and no more. */
static bool
read_stat_report (const TrackerNode *root, TrackerRequest *out)
{
  if (tracker_node_member (root, "stat_report") == NULL)
    return true;
  const TrackerNode *body = get_object (root, "stat_report");
  if (body == NULL)
    return false;
  const char *type = get_text (body, "type");
  read_condition (body, &out->condition);
  const TrackerNode *stats = tracker_node_member (body, "stat");
  if (stats == NULL)
    stats = tracker_node_member (body, "Stat");
  if (stats == NULL || g_strcmp0 (type, "STREAM_STATS") != 0)
    return true;
  return read_each (stats, read_stat, out);
}

static TrackerRequest *
read_request (const TrackerNode *root, const char *transaction_id)
{
  const char *type = get_text (root, "request_type");
  const char *peer_id = get_text (root, "peer_id");
  if (type == NULL || peer_id == NULL)
    return NULL;
  g_autoptr (TrackerRequest) request =
      tracker_request_new (TRACKER_REQUEST_CONNECT, transaction_id, peer_id);
  bool good = false;
  if (strcmp (type, "CONNECT") == 0) {
    good = read_connect (root, request);
  } else if (strcmp (type, "FIND") == 0) {
    request->type = TRACKER_REQUEST_FIND;
    good = read_find (root, request);
  } else if (strcmp (type, "STAT_REPORT") == 0) {
    request->type = TRACKER_REQUEST_STAT_REPORT;
    good = read_stat_report (root, request);
  }
  request->certificates = get_boolean (root, "certificates");
  return good ? g_steal_pointer (&request) : NULL;
}

/* The object under "PPSPTrackerProtocol" (section 3.4), as long as the tree lives. */
static const TrackerNode *
parse (const char *bytes, size_t n, TrackerNode **tree)
{
  *tree = n <= TRACKER_JSON_MAX_SIZE ? tracker_tree_read (bytes, n, TRACKER_JSON_MAX_DEPTH) : NULL;
  return get_object (*tree, "PPSPTrackerProtocol");
}

TrackerStatus
tracker_json_read_request (const char *bytes, size_t n, TrackerRequest **out, char **transaction_id)
{
  g_autofree TrackerNode *tree = NULL;
  const TrackerNode *root = parse (bytes, n, &tree);
  const char *transaction = root != NULL ? get_text (root, "transaction_id") : NULL;
  uint64_t version = 0;
  TrackerStatus status = TRACKER_STATUS_BAD_REQUEST;
  *out = NULL;
  *transaction_id = NULL;
  if (root != NULL && need_integer (root, "version", INT64_MAX, &version)) {
    if (version != 1)
      status = TRACKER_STATUS_UNSUPPORTED_VERSION;
    else if (transaction != NULL && (*out = read_request (root, transaction)) != NULL)
      return TRACKER_STATUS_OK;
  }
  *transaction_id = g_strdup (transaction != NULL ? transaction : "");
  return status;
}

static bool
read_peer_info (const TrackerNode *object, gpointer out)
{
  const char *peer_id = get_text (object, "peer_id");
  const TrackerNode *addresses = tracker_node_member (object, "peer_addr");
  TrackerAddress address;
  if (peer_id == NULL || addresses == NULL)
    return false;
  if (!is_object (addresses) || !read_address (addresses, TRACKER_ADDRESS_REFLEXIVE, &address))
    return false;
  tracker_result_add_peer (out, peer_id, &address)->certificate = get_certificate (object);
  return true;
}

static bool
read_result (const TrackerNode *object, gpointer out)
{
  const char *swarm_id = get_id (object, "swarm_id", TRACKER_MAX_SWARM_ID);
  uint64_t failed = 0;
  if (swarm_id == NULL || !need_integer (object, "result", 1, &failed))
    return false;
  TrackerResult *result = tracker_response_add_result (out, swarm_id, failed != 0);
  result->certificate = get_certificate (object);
  if (tracker_node_member (object, "peer_group") == NULL)
    return true;
  const TrackerNode *group = get_object (object, "peer_group");
  const TrackerNode *peers = group != NULL ? tracker_node_member (group, "peer_info") : NULL;
  tracker_result_add_peer (result, NULL, NULL);
  return group != NULL && (peers == NULL || read_each (peers, read_peer_info, result));
}

TrackerResponse *
tracker_json_read_response (const char *bytes, size_t n)
{
  g_autofree TrackerNode *tree = NULL;
  const TrackerNode *root = parse (bytes, n, &tree);
  uint64_t version = 0, failed = 0, code = 0;
  if (root == NULL || !need_integer (root, "version", INT64_MAX, &version) || version != 1 ||
      !need_integer (root, "response_type", 1, &failed) ||
      !get_integer (root, "error_code", TRACKER_STATUS_UNAUTHORIZED, &code))
    return NULL;
  /* Section 3.3.4: the code must be 0 where the type says success, and should be set where not. */
  if (failed == 0 && code != 0)
    return NULL;
  if (failed != 0 && code == 0)
    code = TRACKER_STATUS_INTERNAL_ERROR;
  /* A tracker that could not read the request's ID cannot repeat it. */
  const char *transaction = get_text (root, "transaction_id");
  if (transaction == NULL && failed == 0)
    return NULL;
  g_autoptr (TrackerResponse) response =
      tracker_response_new ((TrackerStatus)code, transaction != NULL ? transaction : "");
  const TrackerNode *seen = get_object (root, "peer_addr");
  if (seen != NULL && !read_address (seen, TRACKER_ADDRESS_REFLEXIVE, &response->seen_as))
    return NULL;
  const TrackerNode *results = tracker_node_member (root, "swarm_result");
  if (results != NULL && !read_each (results, read_result, response))
    return NULL;
  return g_steal_pointer (&response);
}

/* --- writing ------------------------------------------------------------------------------- */

/* g_string_append_len (), which is two calls for each of a list's thousand pieces, where there is room. */
static inline void
put_bytes (GString *out, const char *text, size_t n)
{
  if (n >= out->allocated_len - out->len) {
    g_string_append_len (out, text, (gssize)n);
    return;
  }
  memcpy (out->str + out->len, text, n);
  out->len += n;
  out->str[out->len] = 0;
}

#define PUT(out, literal) put_bytes ((out), (literal), sizeof (literal) - 1)

static void
put_string (GString *out, const char *text)
{
  g_string_append_c (out, '"');
  while (*text != 0) {
    const char *end = text;
    while ((unsigned char)*end >= 0x20 && *end != '"' && *end != '\\')
      end++;
    put_bytes (out, text, (size_t)(end - text));
    if (*end == 0)
      break;
    if ((unsigned char)*end < 0x20)
      g_string_append_printf (out, "\\u%04x", (unsigned)*end);
    else
      g_string_append_printf (out, "\\%c", *end);
    text = end + 1;
  }
  g_string_append_c (out, '"');
}

static void
put_number (GString *out, uint64_t number)
{
  char digits[20];
  unsigned at = sizeof digits;
  do
    digits[--at] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  put_bytes (out, digits + at, sizeof digits - at);
}

static void
put_id (GString *out, const char *name, const char *id)
{
  g_string_append_c (out, '"');
  put_bytes (out, name, strlen (name));
  PUT (out, "\":");
  put_string (out, id);
}

static void
put_certificate (GString *out, GBytes *certificate)
{
  if (certificate == NULL)
    return;
  g_autofree char *text = tracker_certificate_write (certificate);
  g_string_append_printf (out, ",\"membership_certificate\":\"%s\"", text);
}

static void
put_ip (GString *out, const PeerAddress *address)
{
  if (!peer_address_is_v4 (address)) {
    g_autofree char *ip = peer_address_ip_to_string (address);
    g_string_append (out, ip);
    return;
  }
  for (unsigned i = 12; i < 16; i++) {
    if (i > 12)
      g_string_append_c (out, '.');
    put_number (out, address->ip[i]);
  }
}

static void
put_address (GString *out, const TrackerAddress *address)
{
  static const char *const types[] = {"HOST", "REFLEXIVE", "PROXY"};
  if (peer_address_is_v4 (&address->address))
    PUT (out, "{\"ip_address\":{\"address_type\":\"ipv4\",\"address\":\"");
  else
    PUT (out, "{\"ip_address\":{\"address_type\":\"ipv6\",\"address\":\"");
  put_ip (out, &address->address);
  PUT (out, "\"},\"port\":");
  put_number (out, address->address.port);
  PUT (out, ",\"priority\":");
  put_number (out, address->priority);
  PUT (out, ",\"type\":\"");
  put_bytes (out, types[address->type], strlen (types[address->type]));
  g_string_append_c (out, '"');
  if (address->connection == TRACKER_CONNECTION_WIRED)
    PUT (out, ",\"connection\":\"wired\"");
  if (address->connection == TRACKER_CONNECTION_WIRELESS)
    PUT (out, ",\"connection\":\"wireless\"");
  if (address->asn != 0) {
    PUT (out, ",\"asn\":\"");
    put_number (out, address->asn);
    g_string_append_c (out, '"');
  }
  if (address->ppspp)
    PUT (out, ",\"peer_protocol\":\"PPSP-PP\"");
  g_string_append_c (out, '}');
}

static void
put_chunks (GString *out, const TrackerSwarm *swarm)
{
  for (guint i = 0; swarm->chunks != NULL && i < swarm->chunks->len; i++) {
    const TrackerRange *range = &g_array_index (swarm->chunks, TrackerRange, i);
    if (i == 0)
      PUT (out, ",\"content_info\":[{\"segments\":[{\"start_index\":");
    else
      PUT (out, ",{\"start_index\":");
    put_number (out, range->first);
    PUT (out, ",\"end_index\":");
    put_number (out, range->end - 1);
    g_string_append_c (out, '}');
  }
  if (swarm->chunks != NULL && swarm->chunks->len > 0)
    PUT (out, "]}]");
}

static void
put_condition (GString *out, const TrackerCondition *condition)
{
  g_string_append_printf (out, "\"condition\":{\"mobile\":%s",
                          condition->mobile ? "true" : "false");
  if (condition->loss != 0)
    g_string_append_printf (out, ",\"loss\":%u", condition->loss);
  if (condition->battery != TRACKER_BATTERY_UNSAID)
    g_string_append_printf (out, ",\"battery\":%u", condition->battery);
  g_string_append_c (out, '}');
}

static void
put_peer_num (GString *out, const TrackerPeerNum *num)
{
  static const char *const nats[] = {NULL, "NO_NAT", "STUN", "TURN"};
  g_string_append_printf (out, "\"peer_num\":{\"peer_count\":%u", num->peer_count);
  if (num->nat != TRACKER_NAT_UNSAID)
    g_string_append_printf (out, ",\"ability_nat\":\"%s\"", nats[num->nat]);
  if (num->links != 0)
    g_string_append_printf (out, ",\"concurrent_links\":%u", num->links);
  if (num->online_time != 0)
    g_string_append_printf (out, ",\"online_time\":%" G_GINT64_FORMAT,
                            (gint64)num->online_time / G_USEC_PER_SEC);
  if (num->upload_bandwidth != 0)
    g_string_append_printf (out, ",\"upload_bandwidth\":%" G_GUINT64_FORMAT,
                            (guint64)num->upload_bandwidth / BYTES_PER_KBIT);
  g_string_append_c (out, '}');
}

static void
put_connect (GString *out, const TrackerRequest *request)
{
  g_string_append (out, ",\"connect\":{");
  if (request->peer_num.said) {
    put_peer_num (out, &request->peer_num);
    g_string_append_c (out, ',');
  }
  if (request->condition.said) {
    put_condition (out, &request->condition);
    g_string_append_c (out, ',');
  }
  for (guint i = 0; i < request->addresses->len; i++) {
    g_string_append (out, i == 0 ? "\"peer_addr\":[" : ",");
    put_address (out, &g_array_index (request->addresses, TrackerAddress, i));
  }
  g_string_append (out,
                   request->addresses->len > 0 ? "],\"swarm_action\":[" : "\"swarm_action\":[");
  for (guint i = 0; i < request->swarms->len; i++) {
    const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, i);
    g_string_append (out, i == 0 ? "{" : ",{");
    put_id (out, "swarm_id", swarm->swarm_id);
    g_string_append_printf (out, ",\"action\":\"%s\",\"peer_mode\":\"%s\"",
                            swarm->action == TRACKER_ACTION_JOIN ? "JOIN" : "LEAVE",
                            swarm->mode == TRACKER_MODE_LEECH ? "LEECH" : "SEEDER");
    put_chunks (out, swarm);
    g_string_append_c (out, '}');
  }
  g_string_append (out, "]}");
}

static void
put_find (GString *out, const TrackerRequest *request)
{
  const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, 0);
  g_string_append (out, ",\"find\":{");
  put_id (out, "swarm_id", swarm->swarm_id);
  if (request->peer_num.said) {
    g_string_append_c (out, ',');
    put_peer_num (out, &request->peer_num);
  }
  put_chunks (out, swarm);
  g_string_append_c (out, '}');
}

static void
put_stat (GString *out, const TrackerSwarm *swarm)
{
  g_string_append_c (out, '{');
  put_id (out, "swarm_id", swarm->swarm_id);
  PUT (out, ",\"uploaded_bytes\":");
  put_number (out, swarm->uploaded);
  PUT (out, ",\"downloaded_bytes\":");
  put_number (out, swarm->downloaded);
  PUT (out, ",\"available_bandwidth\":");
  put_number (out, swarm->bandwidth);
  PUT (out, ",\"concurrent_links\":");
  put_number (out, swarm->links);
  if (swarm->late != 0) {
    PUT (out, ",\"late_chunks\":");
    put_number (out, swarm->late);
  }
  put_chunks (out, swarm);
  g_string_append_c (out, '}');
}

static void
put_stat_report (GString *out, const TrackerRequest *request)
{
  if (request->swarms->len == 0 && !request->condition.said)
    return;
  PUT (out, ",\"stat_report\":{\"type\":\"STREAM_STATS\"");
  if (request->condition.said) {
    g_string_append_c (out, ',');
    put_condition (out, &request->condition);
  }
  for (guint i = 0; i < request->swarms->len; i++) {
    g_string_append (out, i == 0 ? ",\"stat\":[" : ",");
    put_stat (out, g_ptr_array_index (request->swarms, i));
  }
  g_string_append (out, request->swarms->len > 0 ? "]}" : "}");
}

static char *
finish (GString *out, size_t *n)
{
  g_string_append (out, "}}");
  if (n != NULL)
    *n = out->len;
  return g_string_free (out, FALSE);
}

char *
tracker_json_write_request (const TrackerRequest *request, size_t *n)
{
  static const char *const types[] = {"CONNECT", "FIND", "STAT_REPORT"};
  GString *out = g_string_sized_new (512);
  g_string_append_printf (out, "{\"PPSPTrackerProtocol\":{\"version\":1,\"request_type\":\"%s\",",
                          types[request->type]);
  put_id (out, "transaction_id", request->transaction_id);
  g_string_append_c (out, ',');
  put_id (out, "peer_id", request->peer_id);
  if (request->certificates)
    g_string_append (out, ",\"certificates\":true");
  switch (request->type) {
  case TRACKER_REQUEST_CONNECT:
    put_connect (out, request);
    break;
  case TRACKER_REQUEST_FIND:
    put_find (out, request);
    break;
  case TRACKER_REQUEST_STAT_REPORT:
    put_stat_report (out, request);
    break;
  }
  return finish (out, n);
}

static void
put_result (GString *out, const TrackerResult *result)
{
  g_string_append_c (out, '{');
  put_id (out, "swarm_id", result->swarm_id);
  g_string_append_printf (out, ",\"result\":%d", result->failed ? 1 : 0);
  put_certificate (out, result->certificate);
  if (result->peers != NULL) {
    g_string_append (out, ",\"peer_group\":{\"peer_info\":[");
    for (guint i = 0; i < result->peers->len; i++) {
      const TrackerPeer *peer = g_ptr_array_index (result->peers, i);
      g_string_append (out, i == 0 ? "{" : ",{");
      put_id (out, "peer_id", peer->peer_id);
      g_string_append (out, ",\"peer_addr\":");
      put_address (out, &peer->address);
      put_certificate (out, peer->certificate);
      g_string_append_c (out, '}');
    }
    g_string_append (out, "]}");
  }
  g_string_append_c (out, '}');
}

char *
tracker_json_write_response (const TrackerResponse *response, size_t *n)
{
  GString *out = g_string_sized_new (8192);
  g_string_append_printf (out,
                          "{\"PPSPTrackerProtocol\":{\"version\":1,\"response_type\":%d,"
                          "\"error_code\":%d,",
                          response->status == TRACKER_STATUS_OK ? 0 : 1, (int)response->status);
  put_id (out, "transaction_id", response->transaction_id);
  if (response->seen_as.address.port != 0) {
    g_string_append (out, ",\"peer_addr\":");
    put_address (out, &response->seen_as);
  }
  for (guint i = 0; i < response->results->len; i++) {
    g_string_append (out, i == 0 ? ",\"swarm_result\":[" : ",");
    put_result (out, g_ptr_array_index (response->results, i));
  }
  if (response->results->len > 0)
    g_string_append_c (out, ']');
  return finish (out, n);
}
