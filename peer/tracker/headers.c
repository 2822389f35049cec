/* SPDX-License-Identifier: Apache-2.0 */
/* A value is a head and parameters, as in many headers of SIP:
 *
 *   192.0.2.1:7574 ;prio=1 ;type=HOST ;proto=PPSP-PP
 *   head           parameters, each a name, most with a value
 *
 * The units are those of RFC 7846 (seconds, kbit/s); they become ours here. */
#include "peer/tracker/headers.h"

#include <string.h>

#define PROTOCOL "PPSP-PP"

static const char *const address_types[] = {"HOST", "REFLEXIVE", "PROXY"};
static const char *const connections[] = {NULL, "wired", "wireless"};
static const char *const nats[] = {NULL, "NO_NAT", "STUN", "TURN"};
static const char *const modes[] = {"SEEDER", "LEECH"};
static const char *const answers[] = {"no", "yes"};

/* --- reading ----------------------------------------------------------------------------------- */

/* What stands before the first ';', without blanks around it. */
static char *
read_head (const char **at)
{
  size_t n = strcspn (*at, ";");
  char *head = g_strstrip (g_strndup (*at, n));
  *at += n;
  return head;
}

/* The next ";name=value"; value "" where there is none. false = no more. */
static bool
next_parameter (const char **at, char **name, char **value)
{
  g_clear_pointer (name, g_free);
  g_clear_pointer (value, g_free);
  if (**at != ';')
    return false;
  const char *start = *at + 1;
  size_t n = strcspn (start, ";"), equals = strcspn (start, ";=");
  *name = g_strstrip (g_strndup (start, equals));
  *value = equals < n ? g_strstrip (g_strndup (start + equals + 1, n - equals - 1)) : g_strdup ("");
  *at = start + n;
  return true;
}

static bool
is_named (const char *name, const char *wanted)
{
  return g_ascii_strcasecmp (name, wanted) == 0;
}

static bool
read_number (const char *text, guint64 max, guint64 *out)
{
  return g_ascii_string_to_unsigned (text, 10, 0, max, out, NULL);
}

static bool
read_word (const char *text, const char *const *words, unsigned n, unsigned *out)
{
  for (unsigned i = 0; i < n; i++) {
    if (words[i] != NULL && g_ascii_strcasecmp (text, words[i]) == 0) {
      *out = i;
      return true;
    }
  }
  return false;
}

/* One parameter of an address. false = it is known and its value is wrong. */
static bool
take_address_parameter (const char *name, const char *value, TrackerAddress *out)
{
  guint64 number = 0;
  unsigned word = 0;
  bool good = true;
  if (is_named (name, "prio")) {
    good = read_number (value, G_MAXUINT32, &number);
    out->priority = (uint32_t)number;
  } else if (is_named (name, "asn")) {
    good = read_number (value, G_MAXUINT32, &number);
    out->asn = (uint32_t)number;
  } else if (is_named (name, "type")) {
    good = read_word (value, address_types, G_N_ELEMENTS (address_types), &word);
    out->type = (TrackerAddressType)word;
  } else if (is_named (name, "conn")) {
    good = read_word (value, connections, G_N_ELEMENTS (connections), &word);
    out->connection = (TrackerConnection)word;
  } else if (is_named (name, "proto")) {
    out->ppspp = is_named (value, PROTOCOL);
  }
  return good;
}

bool
tracker_headers_read_address (const char *text, TrackerAddress *out)
{
  TrackerAddress address = {.type = TRACKER_ADDRESS_HOST};
  g_autofree char *head = read_head (&text);
  g_autofree char *name = NULL, *value = NULL;
  if (!peer_address_parse (head, &address.address))
    return false;
  while (next_parameter (&text, &name, &value))
    if (!take_address_parameter (name, value, &address))
      return false;
  *out = address;
  return true;
}

bool
tracker_headers_read_peer_num (const char *text, TrackerPeerNum *out)
{
  TrackerPeerNum num = {.said = true};
  g_autofree char *head = read_head (&text);
  g_autofree char *name = NULL, *value = NULL;
  guint64 number;
  unsigned word;
  if (!read_number (head, G_MAXUINT32, &number))
    return false;
  num.peer_count = (uint32_t)number;
  while (next_parameter (&text, &name, &value)) {
    if (is_named (name, "nat")) {
      if (!read_word (value, nats, G_N_ELEMENTS (nats), &word))
        return false;
      num.nat = (TrackerNat)word;
      continue;
    }
    if (!is_named (name, "links") && !is_named (name, "online") && !is_named (name, "upbw"))
      continue;
    if (!read_number (value, G_MAXUINT32, &number))
      return false;
    if (is_named (name, "links"))
      num.links = (uint32_t)number;
    else if (is_named (name, "online"))
      num.online_time = (int64_t)number * G_USEC_PER_SEC;
    else
      num.upload_bandwidth = number * 1000 / 8;
  }
  *out = num;
  return true;
}

/* A value without a head: "a=1;b=2". */
static char *
as_parameters (const char *text)
{
  return g_strconcat (";", text, NULL);
}

bool
tracker_headers_read_swarm (const char *text, TrackerMode *mode, bool *certificates)
{
  g_autofree char *parameters = as_parameters (text);
  g_autofree char *name = NULL, *value = NULL;
  const char *at = parameters;
  bool said = false, wanted = false;
  unsigned word = 0;
  while (next_parameter (&at, &name, &value)) {
    if (is_named (name, "mode")) {
      if (said || !read_word (value, modes, G_N_ELEMENTS (modes), &word))
        return false;
      said = true;
    } else if (is_named (name, "cert")) {
      wanted = true;
    }
  }
  if (!said)
    return false;
  *mode = (TrackerMode)word;
  *certificates = wanted;
  return true;
}

bool
tracker_headers_read_stat (const char *text, TrackerSwarm *out)
{
  g_autofree char *parameters = as_parameters (text);
  g_autofree char *name = NULL, *value = NULL;
  const char *at = parameters;
  guint64 up = 0, down = 0, bandwidth = 0, links = 0, late = 0;
  while (next_parameter (&at, &name, &value)) {
    bool good = true;
    if (is_named (name, "up"))
      good = read_number (value, G_MAXINT64, &up);
    else if (is_named (name, "down"))
      good = read_number (value, G_MAXINT64, &down);
    else if (is_named (name, "bw"))
      good = read_number (value, G_MAXUINT32, &bandwidth);
    else if (is_named (name, "links"))
      good = read_number (value, G_MAXUINT32, &links);
    else if (is_named (name, "late"))
      good = read_number (value, G_MAXUINT32, &late);
    if (!good)
      return false;
  }
  out->uploaded = up;
  out->downloaded = down;
  out->bandwidth = bandwidth * 1000 / 8;
  out->links = (uint32_t)links;
  out->late = (uint32_t)late;
  return true;
}

bool
tracker_headers_read_condition (const char *text, TrackerCondition *out)
{
  g_autofree char *parameters = as_parameters (text);
  g_autofree char *name = NULL, *value = NULL;
  const char *at = parameters;
  guint64 battery = TRACKER_BATTERY_UNSAID, loss = 0;
  unsigned mobile = 0;
  while (next_parameter (&at, &name, &value)) {
    bool good = true;
    if (is_named (name, "mobile"))
      good = read_word (value, answers, G_N_ELEMENTS (answers), &mobile);
    else if (is_named (name, "battery"))
      good = read_number (value, 100, &battery);
    else if (is_named (name, "loss"))
      good = read_number (value, 100, &loss);
    if (!good)
      return false;
  }
  *out = (TrackerCondition){
      .said = true, .battery = (uint8_t)battery, .loss = (uint8_t)loss, .mobile = mobile == 1};
  return true;
}

bool
tracker_headers_read_chunks (const char *text, TrackerSwarm *out)
{
  g_auto (GStrv) ends = g_strsplit (text, "-", 3);
  guint64 first, last;
  if (g_strv_length (ends) != 2 || !read_number (g_strstrip (ends[0]), G_MAXUINT64 - 1, &first) ||
      !read_number (g_strstrip (ends[1]), G_MAXUINT64 - 1, &last) || last < first)
    return false;
  if (out->chunks == NULL || out->chunks->len < TRACKER_MAX_RANGES)
    tracker_swarm_add_chunks (out, first, last + 1);
  return true;
}

bool
tracker_headers_read_peer (const char *text, TrackerResult *result)
{
  TrackerAddress address;
  g_autofree char *head = NULL, *name = NULL, *value = NULL, *id = NULL;
  g_autoptr (GBytes) certificate = NULL;
  if (!tracker_headers_read_address (text, &address))
    return false;
  head = read_head (&text);
  while (next_parameter (&text, &name, &value)) {
    if (is_named (name, "peer-id")) {
      g_free (id);
      id = tracker_headers_read_id (value, TRACKER_MAX_ID);
    } else if (is_named (name, "cert")) {
      g_clear_pointer (&certificate, g_bytes_unref);
      certificate = tracker_certificate_read (value);
    }
  }
  if (id == NULL)
    return false;
  TrackerPeer *peer = tracker_result_add_peer (result, id, &address);
  peer->certificate = g_steal_pointer (&certificate);
  return true;
}

char *
tracker_headers_next (const char **list)
{
  const char *start = *list + strspn (*list, ", \t\r\n");
  size_t n = strcspn (start, ",");
  *list = start + n;
  return *start != 0 ? g_strchomp (g_strndup (start, n)) : NULL;
}

char *
tracker_headers_read_id (const char *text, size_t max)
{
  if (text == NULL || strlen (text) > 3 * max)
    return NULL;
  g_autofree char *id = g_uri_unescape_string (text, NULL);
  return id != NULL && tracker_id_is_valid (id, max) ? g_steal_pointer (&id) : NULL;
}

/* --- writing ----------------------------------------------------------------------------------- */

static void
append_address (GString *out, const TrackerAddress *address)
{
  g_autofree char *text = peer_address_to_string (&address->address);
  g_string_append_printf (out, "%s;prio=%u;type=%s", text, address->priority,
                          address_types[address->type]);
  if (address->connection != TRACKER_CONNECTION_UNSAID)
    g_string_append_printf (out, ";conn=%s", connections[address->connection]);
  if (address->asn != 0)
    g_string_append_printf (out, ";asn=%u", address->asn);
  if (address->ppspp)
    g_string_append (out, ";proto=" PROTOCOL);
}

char *
tracker_headers_write_address (const TrackerAddress *address)
{
  GString *out = g_string_new (NULL);
  append_address (out, address);
  return g_string_free (out, FALSE);
}

char *
tracker_headers_write_peer_num (const TrackerPeerNum *num)
{
  GString *out = g_string_new (NULL);
  g_string_append_printf (out, "%u", num->peer_count);
  if (num->nat != TRACKER_NAT_UNSAID)
    g_string_append_printf (out, ";nat=%s", nats[num->nat]);
  if (num->links != 0)
    g_string_append_printf (out, ";links=%u", num->links);
  if (num->online_time != 0)
    g_string_append_printf (out, ";online=%" G_GINT64_FORMAT, num->online_time / G_USEC_PER_SEC);
  if (num->upload_bandwidth != 0)
    g_string_append_printf (out, ";upbw=%" G_GUINT64_FORMAT,
                            (guint64)num->upload_bandwidth * 8 / 1000);
  return g_string_free (out, FALSE);
}

char *
tracker_headers_write_swarm (TrackerMode mode, bool certificates)
{
  return g_strconcat ("mode=", modes[mode], certificates ? ";cert" : "", NULL);
}

char *
tracker_headers_write_stat (const TrackerSwarm *swarm)
{
  GString *out = g_string_new (NULL);
  g_string_append_printf (
      out, "up=%" G_GUINT64_FORMAT ";down=%" G_GUINT64_FORMAT ";bw=%" G_GUINT64_FORMAT ";links=%u",
      (guint64)swarm->uploaded, (guint64)swarm->downloaded, (guint64)swarm->bandwidth * 8 / 1000,
      swarm->links);
  if (swarm->late != 0)
    g_string_append_printf (out, ";late=%u", swarm->late);
  return g_string_free (out, FALSE);
}

char *
tracker_headers_write_condition (const TrackerCondition *condition)
{
  GString *out = g_string_new ("mobile=");
  g_string_append (out, answers[condition->mobile]);
  if (condition->battery != TRACKER_BATTERY_UNSAID)
    g_string_append_printf (out, ";battery=%u", condition->battery);
  if (condition->loss != 0)
    g_string_append_printf (out, ";loss=%u", condition->loss);
  return g_string_free (out, FALSE);
}

char *
tracker_headers_write_chunks (const GArray *chunks)
{
  GString *out = g_string_new (NULL);
  for (guint i = 0; i < chunks->len; i++) {
    const TrackerRange *run = &g_array_index (chunks, TrackerRange, i);
    g_string_append_printf (out, "%s%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, i > 0 ? ", " : "",
                            (guint64)run->first, (guint64)run->end - 1);
  }
  return g_string_free (out, FALSE);
}

char *
tracker_headers_write_peer (const TrackerPeer *peer)
{
  GString *out = g_string_new (NULL);
  g_autofree char *id = tracker_headers_write_id (peer->peer_id);
  append_address (out, &peer->address);
  g_string_append_printf (out, ";peer-id=%s", id);
  if (peer->certificate != NULL) {
    g_autofree char *text = tracker_certificate_write (peer->certificate);
    g_string_append_printf (out, ";cert=%s", text);
  }
  return g_string_free (out, FALSE);
}

char *
tracker_headers_write_id (const char *id)
{
  return g_uri_escape_string (id, NULL, FALSE);
}
