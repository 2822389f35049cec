/* SPDX-License-Identifier: Apache-2.0 */
/* Integers are big-endian:
 *
 *   1 version | 1 kind | key: 1 n | n peer ID | 16 from |      and for HERE and HEARD
 *   1 NAT | 1 battery | 1 flags: mobile 1, lossy 2 | 4 upload (kbit/s) | 2 links | 4 online (s)
 *   1 n | n account
 *   1 n | n times: 16 IP | 2 port | 1 type | 1 connection | 4 priority | 4 AS | 1 PPSPP
 *   1 n | n times: 2 m | m swarm ID | 1 seeder | 8 uploaded | 8 downloaded | 4 late
 *                  1 m | m times: 8 first chunk | 8 end */
#include "peer/tracker/record.h"

#include <string.h>

#define VERSION 1
#define KEY_AT 2
#define MOBILE 1
#define LOSSY 2
#define LOSS_PERCENT 5
#define BYTES_PER_KBIT 125

static void
put (GByteArray *out, uint64_t value, unsigned bytes)
{
  uint64_t big = GUINT64_TO_BE (value);
  g_byte_array_append (out, (const uint8_t *)&big + 8 - bytes, bytes);
}

static void
put_address (GByteArray *out, const TrackerAddress *address)
{
  g_byte_array_append (out, address->address.ip, sizeof address->address.ip);
  put (out, address->address.port, 2);
  put (out, address->type, 1);
  put (out, address->connection, 1);
  put (out, address->priority, 4);
  put (out, address->asn, 4);
  put (out, address->ppspp, 1);
}

static void
put_member (GByteArray *out, const CrowdMember *member)
{
  size_t n = strlen (member->swarm->id);
  put (out, n, 2);
  g_byte_array_append (out, (const uint8_t *)member->swarm->id, (guint)n);
  put (out, member->seeder, 1);
  put (out, member->uploaded, 8);
  put (out, member->downloaded, 8);
  put (out, member->late, 4);
  uint32_t ranges = member->extra != NULL ? member->extra->n_chunks : 0;
  put (out, ranges, 1);
  for (uint32_t i = 0; i < ranges; i++) {
    put (out, member->extra->chunks[i].first, 8);
    put (out, member->extra->chunks[i].end, 8);
  }
}

void
tracker_record_write (GByteArray *out, TrackerRecordKind kind, const CrowdPeer *peer, int64_t now)
{
  char id[TRACKER_MAX_ID + 1];
  TrackerAddress addresses[CROWD_MAX_ADDRESSES];
  tracker_name_write (&peer->id, id);
  put (out, VERSION, 1);
  put (out, kind, 1);
  put (out, strlen (id), 1);
  g_byte_array_append (out, (const uint8_t *)id, (guint)strlen (id));
  g_byte_array_append (out, peer->from, sizeof peer->from);
  if (kind == TRACKER_RECORD_LEFT || kind == TRACKER_RECORD_EXPIRED)
    return;
  int64_t online = peer->since != 0 ? MAX (1, now / G_USEC_PER_SEC - peer->since) : 0;
  put (out, peer->nat, 1);
  put (out, peer->battery, 1);
  put (out, (peer->mobile ? MOBILE : 0u) | (peer->lossy ? LOSSY : 0u), 1);
  put (out, peer->upload, 4);
  put (out, peer->links, 2);
  put (out, (uint64_t)online, 4);
  const char *account = peer->more != NULL ? peer->more->account : NULL;
  size_t n_account = account != NULL ? strlen (account) : 0;
  g_assert (n_account <= TRACKER_MAX_ID); /* nothing that names accounts takes a longer one */
  put (out, n_account, 1);
  g_byte_array_append (out, (const uint8_t *)account, (guint)n_account);
  unsigned n = tracker_crowd_addresses (peer, addresses);
  put (out, n, 1);
  for (unsigned i = 0; i < n; i++)
    put_address (out, &addresses[i]);
  put (out, peer->n_members, 1);
  for (const CrowdMember *member = peer->members; member != NULL; member = member->next)
    put_member (out, member);
}

/* --- reading ------------------------------------------------------------------------------- */

typedef struct {
  const uint8_t *at;
  size_t left;
  bool bad;
} Reader;

static const uint8_t *
take (Reader *self, size_t n)
{
  const uint8_t *at = self->at;
  if (self->bad || self->left < n) {
    self->bad = true;
    return NULL;
  }
  self->at += n;
  self->left -= n;
  return at;
}

static uint64_t
get (Reader *self, unsigned bytes)
{
  uint64_t value = 0;
  const uint8_t *at = take (self, bytes);
  for (unsigned i = 0; at != NULL && i < bytes; i++)
    value = value << 8 | at[i];
  return value;
}

static bool
get_text (Reader *self, size_t n, char *out, size_t max)
{
  const uint8_t *at = n <= max ? take (self, n) : NULL;
  if (at == NULL)
    return false;
  memcpy (out, at, n);
  out[n] = 0;
  return strlen (out) == n && tracker_id_is_valid (out, max);
}

bool
tracker_record_key (const uint8_t *bytes, size_t n, TrackerRecordKind *kind, const uint8_t **out,
                    size_t *n_key)
{
  if (n < KEY_AT + 1 || bytes[0] != VERSION || bytes[1] > TRACKER_RECORD_EXPIRED ||
      n < KEY_AT + 1u + bytes[KEY_AT] + 16u)
    return false;
  *kind = (TrackerRecordKind)bytes[1];
  *out = bytes + KEY_AT;
  *n_key = 1u + bytes[KEY_AT] + 16u;
  return true;
}

static bool
get_address (Reader *self, TrackerAddress *out)
{
  const uint8_t *ip = take (self, 16);
  *out = (TrackerAddress){.address.port = (uint16_t)get (self, 2)};
  uint64_t type = get (self, 1), connection = get (self, 1);
  out->priority = (uint32_t)get (self, 4);
  out->asn = (uint32_t)get (self, 4);
  out->ppspp = get (self, 1) != 0;
  if (self->bad || type > TRACKER_ADDRESS_PROXY || connection > TRACKER_CONNECTION_WIRELESS)
    return false;
  memcpy (out->address.ip, ip, 16);
  out->type = (TrackerAddressType)type;
  out->connection = (TrackerConnection)connection;
  return peer_address_is_usable (&out->address);
}

static bool
get_member (Reader *self, TrackerRequest *out)
{
  char id[TRACKER_MAX_SWARM_ID + 1];
  if (!get_text (self, get (self, 2), id, TRACKER_MAX_SWARM_ID))
    return false;
  TrackerSwarm *swarm = tracker_request_add_swarm (out, id);
  swarm->action = TRACKER_ACTION_JOIN;
  swarm->mode = get (self, 1) != 0 ? TRACKER_MODE_SEEDER : TRACKER_MODE_LEECH;
  swarm->uploaded = get (self, 8) & INT64_MAX;
  swarm->downloaded = get (self, 8) & INT64_MAX;
  swarm->late = (uint32_t)get (self, 4);
  uint64_t ranges = get (self, 1);
  if (ranges > TRACKER_MAX_RANGES)
    return false;
  for (uint64_t i = 0; i < ranges; i++) {
    uint64_t first = get (self, 8), end = get (self, 8);
    if (first >= end)
      return false;
    tracker_swarm_add_chunks (swarm, first, end);
  }
  return !self->bad;
}

static bool
get_peer (Reader *self, TrackerRequest *out)
{
  TrackerPeerNum *num = &out->peer_num;
  TrackerCondition *condition = &out->condition;
  uint64_t nat = get (self, 1);
  num->said = condition->said = true;
  condition->battery = (uint8_t)get (self, 1);
  uint64_t flags = get (self, 1);
  condition->mobile = (flags & MOBILE) != 0;
  condition->loss = (flags & LOSSY) != 0 ? LOSS_PERCENT : 0;
  num->upload_bandwidth = get (self, 4) * BYTES_PER_KBIT;
  num->links = (uint32_t)get (self, 2);
  num->online_time = (int64_t)get (self, 4) * G_USEC_PER_SEC;
  num->nat = (TrackerNat)nat;
  char account[TRACKER_MAX_ID + 1];
  uint64_t n = get (self, 1);
  if (n > 0) {
    if (!get_text (self, n, account, sizeof account - 1))
      return false;
    out->account = g_strdup (account);
  }
  n = get (self, 1);
  if (nat > TRACKER_NAT_TURN || n > CROWD_MAX_ADDRESSES)
    return false;
  for (uint64_t i = 0; i < n; i++) {
    TrackerAddress address;
    if (!get_address (self, &address))
      return false;
    g_array_append_val (out->addresses, address);
  }
  n = get (self, 1);
  if (n > TRACKER_MAX_LIST)
    return false;
  for (uint64_t i = 0; i < n; i++)
    if (!get_member (self, out))
      return false;
  return !self->bad && self->left == 0;
}

TrackerRequest *
tracker_record_read (const uint8_t *bytes, size_t n, TrackerRecordKind *kind, uint8_t from[16])
{
  Reader reader = {.at = bytes, .left = n};
  char id[TRACKER_MAX_ID + 1];
  const uint8_t *at;
  size_t n_key;
  if (!tracker_record_key (bytes, n, kind, &at, &n_key))
    return NULL;
  take (&reader, KEY_AT);
  if (!get_text (&reader, get (&reader, 1), id, TRACKER_MAX_ID))
    return NULL;
  PeerAddress heard = {.port = 1}; /* nobody speaks from a multicast address, or from none */
  memcpy (from, take (&reader, 16), 16);
  memcpy (heard.ip, from, 16);
  if (!peer_address_is_usable (&heard))
    return NULL;
  g_autoptr (TrackerRequest) request = tracker_request_new (TRACKER_REQUEST_CONNECT, "", id);
  bool whole = *kind == TRACKER_RECORD_HERE || *kind == TRACKER_RECORD_HEARD;
  if (whole ? !get_peer (&reader, request) : reader.left != 0)
    return NULL;
  return g_steal_pointer (&request);
}
