/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of Figure 5 for each peer ID:
 *
 *   START --CONNECT--> REGISTERED --JOIN--> TRACKING --LEAVE of the last, track timer--> (gone)
 *                          |                   |
 *                          |                   +--> an invalid request: error 3, stays
 *                          +--> FIND, STAT_REPORT, only invalid actions, init timer: (gone)
 *
 * REGISTERED lasts no longer than its CONNECT, unless that names no swarm. Table 6 lets a LEECH
 * join only from START, or in exchange for another swarm; we also accept a further JOIN of a LEECH
 * in TRACKING, which the table does not list. Where section 2.3.2 (C) and Table 6 differ on an
 * invalid CONNECT in TRACKING, we follow the former: an error, and the peer stays. */
#include "peer/tracker/registry.h"

#include "peer/tracker/changes.h"
#include "peer/tracker/hash.h"
#include "peer/tracker/select.h"
#include "peer/tracker/transactions.h"

#include <string.h>

/* A response to many JOINs names no more peers than this, all its lists together. */
#define MAX_LISTED (8 * TRACKER_MAX_PEERS)
/* Peers that are ended by one call: whatever happens to a million of them at once, no request waits
 * for it. */
#define EXPIRED_AT_ONCE 2000
#define EXPIRED_BY_REQUEST 16
#define LOSSY_PERCENT 5
#define BYTES_PER_KBIT 125

struct TrackerRegistry {
  TrackerRegistryOptions options;
  TrackerCrowd crowd;
  GHashTable *per_account; /* GRefString -> count */
  TrackerTransactions *transactions;
  TrackerChanges changes;
  TrackerPlaces *places; /* NULL = by prefix alone */
  unsigned generation;   /* of them */
  int64_t now;           /* us; of the request that is answered */
  int64_t signing_since;
  uint32_t signed_since; /* certificates, in the second that began then */
  TrackerRegistryStats stats;
};

/* --- swarms and peers ---------------------------------------------------------------------- */

/* NULL = a limit is reached. */
static CrowdMember *
join (TrackerRegistry *self, CrowdPeer *peer, const char *swarm_id, TrackerMode mode)
{
  CrowdMember *member = tracker_crowd_member (peer, swarm_id);
  if (member != NULL) {
    tracker_crowd_set_mode (peer, member, mode);
    return member;
  }
  bool known = tracker_crowd_swarm (&self->crowd, swarm_id) != NULL;
  if (peer->n_members >= MIN (self->options.max_swarms_per_peer, TRACKER_MAX_LIST) ||
      (!known && self->crowd.swarms.n >= self->options.max_swarms)) {
    self->stats.refused++;
    return NULL;
  }
  return tracker_crowd_join (&self->crowd, peer, swarm_id, mode);
}

/* NULL = a limit is reached. */
static CrowdPeer *
peer_new (TrackerRegistry *self, const char *id, const PeerAddress *from, int64_t now)
{
  if (self->crowd.peers.n >= self->options.max_peers ||
      (tracker_crowd_from_host (&self->crowd, from->ip) >= self->options.max_peers_per_ip &&
       !peer_address_is_loopback (from))) {
    self->stats.refused++;
    return NULL;
  }
  uint16_t place = tracker_places_find (self->places, from->ip);
  return tracker_crowd_add (&self->crowd, id, from->ip, place, now);
}

static const char *
account_of (const CrowdPeer *peer)
{
  return peer->more != NULL ? peer->more->account : NULL;
}

/* The account that a request has shown is the peer's from then on. false = it has too many peers. */
static bool
own (TrackerRegistry *self, CrowdPeer *peer, const char *account)
{
  if (account == NULL || account_of (peer) != NULL)
    return true;
  guint same = GPOINTER_TO_UINT (g_hash_table_lookup (self->per_account, account));
  if (same >= self->options.max_peers_per_account) {
    self->stats.refused++;
    return false;
  }
  char *kept = g_ref_string_new_intern (account);
  tracker_crowd_more (peer)->account = kept;
  g_hash_table_replace (self->per_account, g_ref_string_acquire (kept),
                        GUINT_TO_POINTER (same + 1));
  return true;
}

static void
disown (TrackerRegistry *self, CrowdPeer *peer)
{
  const char *account = account_of (peer);
  if (account == NULL)
    return;
  guint same = GPOINTER_TO_UINT (g_hash_table_lookup (self->per_account, account));
  if (same <= 1)
    g_hash_table_remove (self->per_account, account);
  else
    g_hash_table_replace (self->per_account, g_ref_string_acquire (peer->more->account),
                          GUINT_TO_POINTER (same - 1));
  g_clear_pointer (&peer->more->account, g_ref_string_release);
}

/* Stores are not told. */
static void
peer_forget (TrackerRegistry *self, CrowdPeer *peer)
{
  tracker_changes_forget (&self->changes, peer);
  disown (self, peer);
  tracker_crowd_remove (&self->crowd, peer);
}

/* TERMINATE: cleans all its information in all swarms (section 2.3.2, D). */
static void
peer_end (TrackerRegistry *self, CrowdPeer *peer, TrackerRecordKind kind)
{
  if (peer->tracking)
    tracker_changes_end (&self->changes, peer, kind);
  peer_forget (self, peer);
}

/* It is in TRACKING, and where the places of now say. */
static void
track (TrackerRegistry *self, CrowdPeer *peer)
{
  tracker_crowd_hear (&self->crowd, peer, true, self->now);
  tracker_crowd_move (&self->crowd, peer, tracker_places_find (self->places, peer->from));
}

/* It speaks, and to us. */
static void
hear (TrackerRegistry *self, CrowdPeer *peer, bool moved)
{
  track (self, peer);
  peer->remote = false;
  tracker_changes_note (&self->changes, peer, moved);
}

/* needed: it is worth more than any that is only said, and takes the place of one. */
static unsigned
keep_address (TrackerAddress *kept, unsigned n, const TrackerAddress *address, bool needed)
{
  for (unsigned i = 0; i < n; i++) {
    if (peer_address_equal (&kept[i].address, &address->address)) {
      kept[i] = *address;
      return n;
    }
  }
  if (n == CROWD_MAX_ADDRESSES && !needed)
    return n;
  n = MIN (n, CROWD_MAX_ADDRESSES - 1);
  kept[n] = *address;
  return n + 1;
}

/* A peer must not register somebody else's address, at whom the swarm would then aim: it has the
 * IP that its connection comes from, with the port that it gives. Another IP of its own is
 * believed only within one private network, where both ends are. */
static void
keep_addresses (TrackerRegistry *self, CrowdPeer *peer, const TrackerRequest *request)
{
  TrackerAddress kept[CROWD_MAX_ADDRESSES];
  PeerAddress from = {0};
  const TrackerAddress *best = NULL;
  bool confirmed = false;
  unsigned n = 0;
  if (request->addresses->len == 0)
    return;
  memcpy (from.ip, peer->from, sizeof from.ip);
  bool private = peer_address_is_private (&from);
  for (guint i = 0; i < request->addresses->len; i++) {
    const TrackerAddress *address = &g_array_index (request->addresses, TrackerAddress, i);
    bool same = memcmp (address->address.ip, peer->from, sizeof peer->from) == 0;
    if (address->address.port != 0 && (best == NULL || address->priority > best->priority))
      best = address;
    if (!peer_address_is_usable (&address->address)) {
      self->stats.foreign++;
    } else if (same || (private && peer_address_is_private (&address->address))) {
      n = keep_address (kept, n, address, same && !confirmed);
      confirmed |= same;
    } else {
      self->stats.foreign++;
    }
  }
  if (!confirmed && best != NULL) {
    TrackerAddress seen = *best;
    seen.type = TRACKER_ADDRESS_REFLEXIVE;
    memcpy (seen.address.ip, peer->from, sizeof seen.address.ip);
    n = keep_address (kept, n, &seen, true);
  }
  tracker_crowd_set_addresses (peer, kept, n);
}

/* Which families can it reach? That of its connection, and those it says it has addresses of; who has
 * said nothing may have both. */
static void
keep_families (CrowdPeer *peer, const TrackerRequest *request, const PeerAddress *from)
{
  peer->v4 |= peer_address_is_v4 (from);
  peer->v6 |= !peer_address_is_v4 (from);
  for (guint i = 0; i < request->addresses->len; i++) {
    bool v4 = peer_address_is_v4 (&g_array_index (request->addresses, TrackerAddress, i).address);
    peer->v4 |= v4;
    peer->v6 |= !v4;
  }
  if (request->addresses->len == 0)
    peer->v4 = peer->v6 = true;
}

/* What it says of itself (section 3.2.2), and by the members that are ours. */
static void
keep_status (TrackerRegistry *self, CrowdPeer *peer, const TrackerRequest *request)
{
  const TrackerPeerNum *num = &request->peer_num;
  const TrackerCondition *condition = &request->condition;
  if (num->said) {
    peer->nat = (uint8_t)num->nat & 3;
    peer->links = (uint16_t)MIN (num->links, UINT16_MAX);
    if (num->upload_bandwidth != 0)
      peer->upload = (uint32_t)MIN (num->upload_bandwidth / BYTES_PER_KBIT, UINT32_MAX);
    if (num->online_time != 0)
      peer->since = (uint32_t)(MAX (G_USEC_PER_SEC, self->now - num->online_time) / G_USEC_PER_SEC);
  }
  if (condition->said) {
    peer->battery = condition->battery;
    peer->mobile = condition->mobile;
    peer->lossy = condition->loss >= LOSSY_PERCENT;
  }
}

/* --- lists of peers ------------------------------------------------------------------------ */

/* certificates: they are wanted, too. */
static unsigned
list_peer (TrackerResult *result, const CrowdPeer *peer, const CrowdSwarm *swarm,
           const CrowdPeer *asker, bool certificates, unsigned room)
{
  char id[TRACKER_MAX_ID + 1];
  TrackerAddress addresses[CROWD_MAX_ADDRESSES];
  const CrowdExtra *extra = certificates ? tracker_crowd_membership (peer, swarm)->extra : NULL;
  unsigned n = MIN (room, tracker_select_addresses (asker, peer, addresses));
  tracker_name_write (&peer->id, id);
  for (unsigned i = 0; i < n; i++) {
    TrackerPeer *listed = tracker_result_add_peer (result, id, &addresses[i]);
    if (extra != NULL && extra->certificate != NULL &&
        peer_address_equal (&extra->certified, &addresses[i].address))
      listed->certificate = g_bytes_ref (extra->certificate);
  }
  return n;
}

/* chunks: those that are wanted, or NULL. */
static void
list_peers (TrackerRegistry *self, TrackerResult *result, const CrowdSwarm *swarm,
            const CrowdPeer *asker, const TrackerRequest *request, const GArray *chunks,
            unsigned room)
{
  const TrackerPeerNum *num = &request->peer_num;
  CrowdPeer *chosen[TRACKER_MAX_PEERS];
  TrackerSelection selection = {.random = self->options.random,
                                .random_data = self->options.random_data,
                                .places = self->places,
                                .blind = self->options.blind};
  room = MIN (room, TRACKER_MAX_PEERS);
  if (num->said)
    room = MIN (room, num->peer_count);
  tracker_result_add_peer (result, NULL, NULL);
  unsigned n = tracker_select (&selection, swarm, asker, chunks, self->now, room, chosen);
  for (unsigned i = 0; i < n && room > 0; i++)
    room -= list_peer (result, chosen[i], swarm, asker, request->certificates, room);
}

/* --- requests ------------------------------------------------------------------------------ */

/* Section 4.1.1: where the peer is seen from, unless it has found that out by itself. */
static void
show_address (const CrowdPeer *peer, const TrackerRequest *request, TrackerResponse *response)
{
  TrackerAddress addresses[CROWD_MAX_ADDRESSES];
  for (guint i = 0; i < request->addresses->len; i++)
    if (g_array_index (request->addresses, TrackerAddress, i).type != TRACKER_ADDRESS_HOST)
      return;
  if (tracker_crowd_addresses (peer, addresses) > 0)
    response->seen_as = (TrackerAddress){.address = addresses[0].address,
                                         .type = TRACKER_ADDRESS_REFLEXIVE,
                                         .priority = addresses[0].priority};
}

/* Signing is the dearest thing that a request can ask for. */
static bool
may_sign (TrackerRegistry *self)
{
  if (self->now - self->signing_since >= G_USEC_PER_SEC) {
    self->signing_since = self->now;
    self->signed_since = 0;
  }
  return self->signed_since++ < TRACKER_CERTIFICATES_PER_SECOND;
}

/* RFC 7574, 12.2.2: a certificate for "the external IP and port it received the message from". The
 * IP is that of the connection, which TCP has proven; the port is the one of the peer protocol, which
 * the peer alone knows, and leads to nobody but itself. The same one until it should be renewed. */
static void
certify (TrackerRegistry *self, const CrowdPeer *peer, CrowdMember *member,
         const TrackerRequest *request, TrackerResult *result)
{
  TrackerAddress addresses[CROWD_MAX_ADDRESSES];
  const PeerAddress *address = &addresses[0].address;
  if (!request->certificates || self->options.certify == NULL ||
      tracker_crowd_addresses (peer, addresses) == 0)
    return;
  CrowdExtra *extra = tracker_crowd_extra (member);
  if (extra->certificate != NULL && self->now < extra->renew &&
      peer_address_equal (&extra->certified, address)) {
    result->certificate = g_bytes_ref (extra->certificate);
    return;
  }
  int64_t renew = 0;
  tracker_crowd_forget_certificate (&self->crowd, member);
  if (!may_sign (self))
    return;
  result->certificate =
      self->options.certify (self->options.certify_data, member->swarm->id, address, &renew);
  if (result->certificate == NULL)
    return;
  self->stats.certified++;
  if (self->crowd.certificates >= self->options.max_certificates)
    return;
  self->crowd.certificates++;
  extra->certificate = g_bytes_ref (result->certificate);
  extra->certified = *address;
  extra->renew = self->now + renew;
}

static bool
has_action (const TrackerRequest *request, TrackerAction action)
{
  for (guint i = 0; i < request->swarms->len; i++) {
    const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, i);
    if (swarm->action == action)
      return true;
  }
  return false;
}

/* One line of Table 6. false = invalid there, or over a limit. */
static bool
act (TrackerRegistry *self, CrowdPeer *peer, const TrackerSwarm *swarm, bool tracked)
{
  if (swarm->action == TRACKER_ACTION_JOIN) {
    if (tracked && swarm->mode == TRACKER_MODE_SEEDER)
      return false;
    return join (self, peer, swarm->swarm_id, swarm->mode) != NULL;
  }
  CrowdMember *member = tracker_crowd_member (peer, swarm->swarm_id);
  if (member == NULL)
    return false;
  tracker_crowd_leave (&self->crowd, peer, member);
  return true;
}

static void
add_results (TrackerRegistry *self, TrackerResponse *response, const TrackerRequest *request,
             const CrowdPeer *peer, uint64_t failed)
{
  unsigned room = MAX_LISTED;
  for (guint i = 0; i < request->swarms->len; i++) {
    const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, i);
    bool bad = (failed >> i & 1) != 0;
    TrackerResult *result = tracker_response_add_result (response, swarm->swarm_id, bad);
    const CrowdSwarm *joined = tracker_crowd_swarm (&self->crowd, swarm->swarm_id);
    bool listed = swarm->mode == TRACKER_MODE_LEECH || request->peer_num.said;
    if (bad || swarm->action != TRACKER_ACTION_JOIN || joined == NULL || peer == NULL)
      continue;
    if (listed) {
      list_peers (self, result, joined, peer, request, swarm->chunks, room);
      room -= result->peers->len;
    }
    CrowdMember *member = tracker_crowd_member (peer, swarm->swarm_id);
    if (member != NULL)
      certify (self, peer, member, request, result);
  }
}

/* All the actions of a CONNECT; bit i of failed is set where action i had no effect. */
static TrackerStatus
act_all (TrackerRegistry *self, CrowdPeer *peer, const TrackerRequest *request, uint64_t *failed)
{
  bool tracked = peer->tracking;
  uint64_t refused = self->stats.refused;
  guint n = request->swarms->len, good = 0;
  if (!tracked && has_action (request, TRACKER_ACTION_LEAVE))
    return TRACKER_STATUS_FORBIDDEN;
  for (guint i = 0; i < n; i++) {
    if (act (self, peer, g_ptr_array_index (request->swarms, i), tracked))
      good++;
    else
      *failed |= UINT64_C (1) << i;
  }
  if (n == 0 || good > 0)
    return TRACKER_STATUS_OK;
  return self->stats.refused > refused ? TRACKER_STATUS_UNAVAILABLE : TRACKER_STATUS_FORBIDDEN;
}

static TrackerResponse *
repeat (TrackerRegistry *self, const TrackerOutcome *before, const TrackerRequest *request,
        const CrowdPeer *peer)
{
  self->stats.repeated++;
  TrackerResponse *response = tracker_response_new (before->status, request->transaction_id);
  if (before->status == TRACKER_STATUS_OK) {
    add_results (self, response, request, peer, before->failed);
    if (peer != NULL)
      show_address (peer, request, response);
  }
  return response;
}

/* One whose timer has run out is gone, though nobody has swept it away yet. */
static CrowdPeer *
find_peer (TrackerRegistry *self, const char *id, const PeerAddress *from)
{
  CrowdPeer *peer = tracker_crowd_find (&self->crowd, id, from->ip);
  if (peer == NULL)
    return NULL;
  int64_t timeout = peer->tracking ? TRACKER_TRACK_TIMEOUT : TRACKER_INIT_TIMEOUT;
  if (self->now - peer->heard < timeout)
    return peer;
  self->stats.expired++;
  peer_end (self, peer, TRACKER_RECORD_EXPIRED);
  return NULL;
}

static TrackerResponse *
on_connect (TrackerRegistry *self, const TrackerRequest *request, const PeerAddress *from)
{
  uint64_t key = tracker_transactions_key (self->transactions, request, from);
  CrowdPeer *peer = find_peer (self, request->peer_id, from);
  const TrackerOutcome *before = tracker_transactions_find (self->transactions, key);
  if (before != NULL)
    return repeat (self, before, request, peer);
  if (peer == NULL)
    peer = peer_new (self, request->peer_id, from, self->now);
  if (peer == NULL)
    return tracker_response_new (TRACKER_STATUS_UNAVAILABLE, request->transaction_id);
  if (!own (self, peer, request->account)) {
    if (peer->n_members == 0)
      peer_end (self, peer, TRACKER_RECORD_LEFT);
    return tracker_response_new (TRACKER_STATUS_UNAVAILABLE, request->transaction_id);
  }

  uint64_t failed = 0;
  TrackerStatus status = act_all (self, peer, request, &failed);
  g_autoptr (TrackerResponse) response = tracker_response_new (status, request->transaction_id);
  if (status == TRACKER_STATUS_OK) {
    keep_addresses (self, peer, request);
    keep_families (peer, request, from);
    keep_status (self, peer, request);
    show_address (peer, request, response);
    add_results (self, response, request, peer, failed);
  }
  if (peer->n_members > 0 && status == TRACKER_STATUS_OK)
    hear (self, peer, true);
  else if (peer->n_members == 0 && (status != TRACKER_STATUS_OK || request->swarms->len > 0))
    peer_end (self, peer, TRACKER_RECORD_LEFT);
  /* A full house is worth another try with the same ID. */
  if (status != TRACKER_STATUS_UNAVAILABLE)
    tracker_transactions_remember (self->transactions, key, (TrackerOutcome){status, failed},
                                   self->options.max_transactions, self->now);
  return g_steal_pointer (&response);
}

/* FIND and STAT_REPORT are for those who are in TRACKING; Figure 5 ends the others. */
static CrowdPeer *
tracked_peer (TrackerRegistry *self, const TrackerRequest *request, const PeerAddress *from)
{
  CrowdPeer *peer = find_peer (self, request->peer_id, from);
  if (peer != NULL && !peer->tracking) {
    peer_end (self, peer, TRACKER_RECORD_LEFT);
    return NULL;
  }
  return peer;
}

static TrackerResponse *
on_find (TrackerRegistry *self, const TrackerRequest *request, const PeerAddress *from)
{
  CrowdPeer *peer = tracked_peer (self, request, from);
  const TrackerSwarm *wanted = g_ptr_array_index (request->swarms, 0);
  CrowdMember *member = peer != NULL ? tracker_crowd_member (peer, wanted->swarm_id) : NULL;
  if (member == NULL)
    return tracker_response_new (TRACKER_STATUS_FORBIDDEN, request->transaction_id);
  keep_status (self, peer, request);
  hear (self, peer, false);
  TrackerResponse *response = tracker_response_new (TRACKER_STATUS_OK, request->transaction_id);
  show_address (peer, request, response);
  TrackerResult *result = tracker_response_add_result (response, wanted->swarm_id, false);
  list_peers (self, result, member->swarm, peer, request, wanted->chunks, TRACKER_MAX_PEERS);
  certify (self, peer, member, request, result);
  return response;
}

/* What it has, as far as there is room for it. */
static void
keep_chunks (TrackerRegistry *self, CrowdMember *member, const GArray *chunks)
{
  uint32_t before = member->extra != NULL ? member->extra->n_chunks : 0;
  if (chunks == NULL)
    return;
  if (self->crowd.ranges - before + chunks->len > self->options.max_ranges) {
    self->stats.refused++;
    return;
  }
  tracker_crowd_set_chunks (&self->crowd, member, (const TrackerRange *)(void *)chunks->data,
                            chunks->len);
}

static void
keep_report (TrackerRegistry *self, CrowdPeer *peer, CrowdMember *member, const TrackerSwarm *stat)
{
  tracker_crowd_count (&self->crowd, member, stat->uploaded, stat->downloaded, stat->late);
  keep_chunks (self, member, stat->chunks);
  if (stat->links != 0)
    peer->links = (uint16_t)MIN (stat->links, UINT16_MAX);
  if (stat->bandwidth != 0) /* to spare, in bytes/s: what counts when somebody is sent there */
    peer->upload = (uint32_t)MIN (stat->bandwidth / BYTES_PER_KBIT, UINT32_MAX);
}

static TrackerResponse *
on_stat_report (TrackerRegistry *self, const TrackerRequest *request, const PeerAddress *from)
{
  CrowdPeer *peer = tracked_peer (self, request, from);
  guint good = 0;
  if (peer == NULL)
    return tracker_response_new (TRACKER_STATUS_FORBIDDEN, request->transaction_id);
  g_autoptr (TrackerResponse) response =
      tracker_response_new (TRACKER_STATUS_OK, request->transaction_id);
  for (guint i = 0; i < request->swarms->len; i++) {
    const TrackerSwarm *stat = g_ptr_array_index (request->swarms, i);
    CrowdMember *member = tracker_crowd_member (peer, stat->swarm_id);
    TrackerResult *result = tracker_response_add_result (response, stat->swarm_id, member == NULL);
    if (member == NULL)
      continue;
    certify (self, peer, member, request, result);
    keep_report (self, peer, member, stat);
    good++;
  }
  if (request->swarms->len > 0 && good == 0)
    return tracker_response_new (TRACKER_STATUS_FORBIDDEN, request->transaction_id);
  keep_status (self, peer, request);
  hear (self, peer, false);
  return g_steal_pointer (&response);
}

/* Peer IDs are told to all who are in a swarm, and many homes may share one IP: where a peer has an
 * account, it takes that to speak for it. */
static TrackerStatus
may_speak (TrackerRegistry *self, const TrackerRequest *request, const PeerAddress *from)
{
  const CrowdPeer *peer = find_peer (self, request->peer_id, from);
  if (peer == NULL || account_of (peer) == NULL ||
      g_strcmp0 (account_of (peer), request->account) == 0)
    return TRACKER_STATUS_OK;
  self->stats.usurped++;
  return request->account == NULL ? TRACKER_STATUS_UNAUTHORIZED : TRACKER_STATUS_FORBIDDEN;
}

static void expire (TrackerRegistry *self, int64_t now, unsigned n);

TrackerResponse *
tracker_registry_answer (TrackerRegistry *self, int64_t now, const TrackerRequest *request,
                         const PeerAddress *from)
{
  TrackerResponse *response = NULL;
  guint n = request->swarms->len;
  expire (self, now, EXPIRED_BY_REQUEST);
  if (n > TRACKER_MAX_LIST || (request->type == TRACKER_REQUEST_FIND && n != 1)) {
    self->stats.errors[TRACKER_STATUS_BAD_REQUEST]++;
    return tracker_response_new (TRACKER_STATUS_BAD_REQUEST, request->transaction_id);
  }
  TrackerStatus status = may_speak (self, request, from);
  if (status != TRACKER_STATUS_OK) {
    self->stats.errors[status]++;
    return tracker_response_new (status, request->transaction_id);
  }
  switch (request->type) {
  case TRACKER_REQUEST_CONNECT:
    self->stats.connects++;
    response = on_connect (self, request, from);
    break;
  case TRACKER_REQUEST_FIND:
    self->stats.finds++;
    response = on_find (self, request, from);
    break;
  case TRACKER_REQUEST_STAT_REPORT:
    self->stats.reports++;
    response = on_stat_report (self, request, from);
    break;
  }
  self->stats.errors[response->status]++;
  return response;
}

/* --- time ---------------------------------------------------------------------------------- */

static unsigned
queue_expire (TrackerRegistry *self, CrowdQueue *queue, int64_t timeout, unsigned n)
{
  while (n > 0 && queue->oldest != NULL && self->now - queue->oldest->heard >= timeout) {
    self->stats.expired++;
    peer_end (self, queue->oldest, TRACKER_RECORD_EXPIRED);
    n--;
  }
  return n;
}

/* At most n peers, and as many transactions. */
static void
expire (TrackerRegistry *self, int64_t now, unsigned n)
{
  self->now = now;
  unsigned left = queue_expire (self, &self->crowd.registered, TRACKER_INIT_TIMEOUT, n);
  queue_expire (self, &self->crowd.tracking, TRACKER_TRACK_TIMEOUT, left);
  tracker_transactions_expire (self->transactions, TRACKER_TRANSACTION_TIME, now, n);
}

void
tracker_registry_expire (TrackerRegistry *self, int64_t now)
{
  expire (self, now, EXPIRED_AT_ONCE);
}

int64_t
tracker_registry_deadline (const TrackerRegistry *self)
{
  const TrackerCrowd *crowd = &self->crowd;
  int64_t deadline = INT64_MAX;
  if (crowd->registered.oldest != NULL)
    deadline = crowd->registered.oldest->heard + TRACKER_INIT_TIMEOUT;
  if (crowd->tracking.oldest != NULL)
    deadline = MIN (deadline, crowd->tracking.oldest->heard + TRACKER_TRACK_TIMEOUT);
  int64_t oldest = tracker_transactions_oldest (self->transactions);
  if (oldest != INT64_MAX)
    deadline = MIN (deadline, oldest + TRACKER_TRANSACTION_TIME);
  return deadline;
}

/* --- stores -------------------------------------------------------------------------------- */

bool
tracker_registry_next_change (TrackerRegistry *self, int64_t now, GByteArray *out)
{
  return tracker_changes_next (&self->changes, now, out);
}

void
tracker_registry_change_all (TrackerRegistry *self)
{
  for (CrowdPeer *peer = self->crowd.tracking.oldest; peer != NULL; peer = peer->newer)
    if (!peer->remote)
      tracker_changes_note (&self->changes, peer, true);
}

/* Its swarms are those of the record, and no others; its numbers are not below what we have heard: a
 * store keeps those of the join, and what was counted since is not to be counted again. */
static void
set_members (TrackerRegistry *self, CrowdPeer *peer, const TrackerRequest *record)
{
  for (CrowdMember *member = peer->members, *next; member != NULL; member = next) {
    bool still = false;
    next = member->next;
    for (guint i = 0; i < record->swarms->len && !still; i++) {
      const TrackerSwarm *swarm = g_ptr_array_index (record->swarms, i);
      still = strcmp (swarm->swarm_id, member->swarm->id) == 0;
    }
    if (!still)
      tracker_crowd_leave (&self->crowd, peer, member);
  }
  for (guint i = 0; i < record->swarms->len; i++) {
    const TrackerSwarm *swarm = g_ptr_array_index (record->swarms, i);
    CrowdMember *member = join (self, peer, swarm->swarm_id, swarm->mode);
    if (member == NULL)
      continue;
    tracker_crowd_count (&self->crowd, member, MAX (member->uploaded, swarm->uploaded),
                         MAX (member->downloaded, swarm->downloaded),
                         MAX (member->late, swarm->late));
    keep_chunks (self, member, swarm->chunks);
  }
}

bool
tracker_registry_apply (TrackerRegistry *self, int64_t now, const uint8_t *bytes, size_t n,
                        int64_t age)
{
  PeerAddress from = {.port = 1};
  TrackerRecordKind kind;
  g_autoptr (TrackerRequest) record = tracker_record_read (bytes, n, &kind, from.ip);
  if (record == NULL)
    return false;
  self->now = now;
  CrowdPeer *peer = find_peer (self, record->peer_id, &from);
  if (age >= TRACKER_TRACK_TIMEOUT)
    return true;
  if (kind == TRACKER_RECORD_LEFT) {
    if (peer != NULL)
      peer_forget (self, peer);
    return true;
  }
  /* EXPIRED names no swarms. What it told us since then is newer than what a store has kept, and is still to be
   * told. */
  if (record->swarms->len == 0 || (peer != NULL && peer->moved))
    return true;
  if (peer == NULL)
    peer = peer_new (self, record->peer_id, &from, now);
  if (peer == NULL)
    return false;
  set_members (self, peer, record);
  if (peer->n_members == 0 || !own (self, peer, record->account)) {
    peer_forget (self, peer);
    return false;
  }
  keep_addresses (self, peer, record);
  keep_families (peer, record, &from);
  keep_status (self, peer, record);
  track (self, peer);
  peer->heard -= age;
  peer->remote = true;
  tracker_changes_forget (&self->changes, peer);
  return true;
}

/* --- the registry -------------------------------------------------------------------------- */

void
tracker_registry_stats (const TrackerRegistry *self, TrackerRegistryStats *out)
{
  *out = self->stats;
  out->swarms = self->crowd.swarms.n;
  out->peers = self->crowd.peers.n;
  out->certificates = self->crowd.certificates;
  out->ranges = self->crowd.ranges;
  out->uploaded = self->crowd.total.uploaded;
  out->downloaded = self->crowd.total.downloaded;
  out->late = self->crowd.total.late;
}

void
tracker_registry_swarms (const TrackerRegistry *self, TrackerSwarmFunc func, void *data)
{
  const TrackerTable *swarms = &self->crowd.swarms;
  for (uint32_t i = 0; i < swarms->n_buckets; i++) {
    for (TrackerEntry *entry = tracker_table_bucket (swarms, i); entry; entry = entry->next) {
      const CrowdSwarm *swarm = (const CrowdSwarm *)entry;
      TrackerSwarmInfo info = {.swarm_id = swarm->id,
                               .number = swarm->number,
                               .seeders = swarm->seeders,
                               .leeches = swarm->members - swarm->seeders,
                               .uploaded = swarm->now.uploaded,
                               .downloaded = swarm->now.downloaded,
                               .late = swarm->now.late,
                               .all_uploaded = swarm->total.uploaded,
                               .all_downloaded = swarm->total.downloaded,
                               .all_late = swarm->total.late};
      if (!func (&info, data))
        return;
    }
  }
}

/* What an info points at. */
typedef struct {
  TrackerMemberInfo info;
  char peer_id[TRACKER_MAX_ID + 1];
  PeerAddress from;
  TrackerAddress addresses[CROWD_MAX_ADDRESSES];
} Described;

static const TrackerMemberInfo *
describe (const CrowdPeer *peer, const CrowdMember *member, Described *out)
{
  *out = (Described){0};
  tracker_name_write (&peer->id, out->peer_id);
  memcpy (out->from.ip, peer->from, sizeof out->from.ip);
  out->info = (TrackerMemberInfo){
      .swarm_id = member->swarm->id,
      .peer_id = out->peer_id,
      .account = account_of (peer),
      .from = &out->from,
      .addresses = out->addresses,
      .n_addresses = tracker_crowd_addresses (peer, out->addresses),
      .mode = member->seeder ? TRACKER_MODE_SEEDER : TRACKER_MODE_LEECH,
      .connected = (int64_t)peer->connected * G_USEC_PER_SEC,
      .heard = peer->heard,
      .uploaded = member->uploaded,
      .downloaded = member->downloaded,
      .late = member->late,
      .links = peer->links,
      .remote = peer->remote,
  };
  return &out->info;
}

bool
tracker_registry_members (const TrackerRegistry *self, const char *swarm_id, TrackerMemberFunc func,
                          void *data)
{
  const CrowdSwarm *swarm = tracker_crowd_swarm (&self->crowd, swarm_id);
  Described described;
  for (uint32_t i = 0; swarm != NULL && i < 2 * swarm->n_rooms; i++)
    for (uint32_t j = 0; j < swarm->rooms[i].n; j++) {
      const CrowdPeer *peer = swarm->rooms[i].peers[j];
      const CrowdMember *member = tracker_crowd_membership (peer, swarm);
      if (!func (describe (peer, member, &described), data))
        return true;
    }
  return swarm != NULL;
}

static unsigned
expel_from (TrackerRegistry *self, CrowdPeer *peer, TrackerMemberFunc func, void *data)
{
  Described described;
  unsigned n = 0;
  for (CrowdMember *member = peer->members, *next; member != NULL; member = next) {
    next = member->next;
    if (func (describe (peer, member, &described), data))
      continue;
    tracker_crowd_leave (&self->crowd, peer, member);
    n++;
  }
  if (n > 0 && peer->members == NULL)
    peer_end (self, peer, TRACKER_RECORD_LEFT);
  else if (n > 0)
    tracker_changes_note (&self->changes, peer, true);
  return n;
}

unsigned
tracker_registry_expel (TrackerRegistry *self, TrackerMemberFunc func, void *data)
{
  unsigned n = 0;
  for (CrowdPeer *peer = self->crowd.tracking.oldest, *newer; peer != NULL; peer = newer) {
    newer = peer->newer;
    n += expel_from (self, peer, func, data);
  }
  return n;
}

static uint32_t
or_default (uint32_t value, uint32_t otherwise)
{
  return value != 0 ? value : otherwise;
}

void
tracker_registry_limit (TrackerRegistry *self, const TrackerRegistryOptions *options)
{
  TrackerRegistryOptions *own = &self->options;
  own->max_swarms = or_default (options->max_swarms, own->max_swarms);
  own->max_peers = or_default (options->max_peers, own->max_peers);
  own->max_peers_per_ip = or_default (options->max_peers_per_ip, own->max_peers_per_ip);
  own->max_peers_per_account =
      or_default (options->max_peers_per_account, own->max_peers_per_account);
  own->max_swarms_per_peer = or_default (options->max_swarms_per_peer, own->max_swarms_per_peer);
  own->max_transactions = or_default (options->max_transactions, own->max_transactions);
  own->max_certificates = or_default (options->max_certificates, own->max_certificates);
  own->max_ranges = or_default (options->max_ranges, own->max_ranges);
}

const TrackerRegistryOptions *
tracker_registry_options (const TrackerRegistry *self)
{
  return &self->options;
}

void
tracker_registry_set_places (TrackerRegistry *self, TrackerPlaces *places)
{
  g_clear_pointer (&self->places, tracker_places_free);
  self->places = places;
  if (places != NULL)
    tracker_places_set_generation (places, ++self->generation);
}

TrackerRegistry *
tracker_registry_new (const TrackerRegistryOptions *options)
{
  TrackerRegistry *self = g_new0 (TrackerRegistry, 1);
  self->options = (TrackerRegistryOptions){.random = options->random,
                                           .random_data = options->random_data,
                                           .certify = options->certify,
                                           .certify_data = options->certify_data,
                                           .changes = options->changes,
                                           .blind = options->blind,
                                           .max_swarms = 100000,
                                           .max_peers = 1000000,
                                           .max_peers_per_ip = 256,
                                           .max_peers_per_account = 256,
                                           .max_swarms_per_peer = TRACKER_MAX_LIST,
                                           .max_transactions = 65536,
                                           .max_certificates = 100000,
                                           .max_ranges = 1000000};
  tracker_registry_limit (self, options);
  uint64_t seed = peer_random_u64 (options->random, options->random_data);
  tracker_table_set_key (tracker_hash (seed, "ids", 3));
  tracker_crowd_init (&self->crowd);
  tracker_changes_init (&self->changes, options->changes);
  self->per_account =
      g_hash_table_new_full (g_str_hash, g_str_equal, (GDestroyNotify)g_ref_string_release, NULL);
  self->transactions = tracker_transactions_new (seed);
  return self;
}

void
tracker_registry_free (TrackerRegistry *self)
{
  for (CrowdPeer *peer = self->crowd.registered.oldest; peer != NULL; peer = peer->newer)
    disown (self, peer);
  for (CrowdPeer *peer = self->crowd.tracking.oldest; peer != NULL; peer = peer->newer)
    disown (self, peer);
  tracker_crowd_clear (&self->crowd);
  tracker_changes_clear (&self->changes);
  tracker_registry_set_places (self, NULL);
  g_hash_table_unref (self->per_account);
  tracker_transactions_free (self->transactions);
  g_free (self);
}
