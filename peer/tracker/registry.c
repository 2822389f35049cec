/* SPDX-License-Identifier: Apache-2.0 */
/*   swarms: ID -> Swarm --members--> [ Member  Member  Member ]
 *                                        |       |
 *   peers: ID+IP -> Peer --members--> [ Member  Member ]
 *
 * A Member is one peer in one swarm, and knows its place in the swarm's array, so that it leaves
 * in O(1): the last one takes its place. Peers stand in two queues, one for each timer, the least
 * recently heard of first: since a timer is the same for all, that is the order of their ends.
 *
 * The machine of Figure 5 for each peer ID:
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

#include "peer/tracker/hash.h"
#include "peer/tracker/transactions.h"

#include <string.h>

/* A peer's own addresses that we keep and name. */
#define MAX_ADDRESSES 4
/* How often we draw, for each peer of a list, before we take a shorter one: who asks, and who
 * cannot be contacted, are drawn too. */
#define DRAWS_PER_PEER 4
/* A response to many JOINs names no more peers than this, all its lists together. */
#define MAX_LISTED (8 * TRACKER_MAX_PEERS)

typedef struct Swarm Swarm;
typedef struct Peer Peer;

typedef struct {
  Peer *peer;
  Swarm *swarm;
  guint index; /* in swarm->members */
  TrackerMode mode;
  uint64_t uploaded, downloaded;
  GBytes *certificate; /* of its membership at certified; NULL = none is kept */
  PeerAddress certified;
  int64_t renew; /* us */
} Member;

struct Swarm {
  char *id;
  GPtrArray *members; /* Member */
  uint32_t seeders;
};

typedef enum { STATE_REGISTERED, STATE_TRACKING } PeerState;

struct Peer {
  char *id;
  char *account;     /* GRefString; NULL = it has shown none */
  int64_t connected; /* us */
  PeerAddress from;  /* port 0 */
  PeerState state;
  int64_t heard;      /* us */
  GList link;         /* in one of the two queues */
  GPtrArray *members; /* Member */
  uint8_t n_addresses;
  TrackerAddress addresses[MAX_ADDRESSES];
};

struct TrackerRegistry {
  TrackerRegistryOptions options;
  GHashTable *swarms;      /* by id */
  GHashTable *peers;       /* by id and from */
  GHashTable *per_ip;      /* PeerAddress -> count */
  GHashTable *per_account; /* GRefString -> count */
  GQueue registered, tracking;
  TrackerTransactions *transactions;
  int64_t now; /* us; of the request that is answered */
  int64_t signing_since;
  uint32_t signed_since; /* certificates, in the second that began then */
  TrackerRegistryStats stats;
};

/* --- keys ---------------------------------------------------------------------------------- */

/* Strangers choose the IDs; with a hash that they can compute, they could choose them so that all
 * fall into one place of a table. The same for all registries of the process, set by the first. */
static uint64_t hash_seed;

static guint
peer_key_hash (gconstpointer data)
{
  const Peer *self = data;
  return (guint)tracker_hash_text (hash_seed, self->id) * 31 + peer_address_hash (&self->from);
}

static guint
swarm_key_hash (gconstpointer id)
{
  return (guint)tracker_hash_text (hash_seed, id);
}

static gboolean
peer_key_equal (gconstpointer a, gconstpointer b)
{
  const Peer *x = a, *y = b;
  return peer_address_equal (&x->from, &y->from) && strcmp (x->id, y->id) == 0;
}

/* Who shares a limit: an IPv4 address, or the /64 that one subscriber has. */
static PeerAddress
limit_key (const PeerAddress *from)
{
  PeerAddress key = *from;
  key.port = 0;
  if (!peer_address_is_v4 (from))
    memset (key.ip + 8, 0, 8);
  return key;
}

static uint32_t
draw (TrackerRegistry *self, uint32_t below)
{
  uint64_t value = peer_random_u32 (self->options.random, self->options.random_data);
  return (uint32_t)((value * below) >> 32);
}

/* --- swarms and members -------------------------------------------------------------------- */

static void
swarm_free (gpointer data)
{
  Swarm *self = data;
  g_free (self->id);
  g_ptr_array_unref (self->members);
  g_free (self);
}

static Member *
find_member (const Peer *peer, const char *swarm_id)
{
  for (guint i = 0; i < peer->members->len; i++) {
    Member *member = g_ptr_array_index (peer->members, i);
    if (strcmp (member->swarm->id, swarm_id) == 0)
      return member;
  }
  return NULL;
}

/* NULL = a limit is reached. */
static Member *
join (TrackerRegistry *self, Peer *peer, const char *swarm_id, TrackerMode mode)
{
  Member *member = find_member (peer, swarm_id);
  if (member == NULL) {
    Swarm *swarm = g_hash_table_lookup (self->swarms, swarm_id);
    if (peer->members->len >= self->options.max_swarms_per_peer ||
        (swarm == NULL && g_hash_table_size (self->swarms) >= self->options.max_swarms)) {
      self->stats.refused++;
      return NULL;
    }
    if (swarm == NULL) {
      swarm = g_new0 (Swarm, 1);
      swarm->id = g_strdup (swarm_id);
      swarm->members = g_ptr_array_new ();
      g_hash_table_insert (self->swarms, swarm->id, swarm);
    }
    member = g_new0 (Member, 1);
    member->peer = peer;
    member->swarm = swarm;
    member->mode = TRACKER_MODE_LEECH;
    member->index = swarm->members->len;
    g_ptr_array_add (swarm->members, member);
    g_ptr_array_add (peer->members, member);
  }
  if (member->mode == TRACKER_MODE_SEEDER)
    member->swarm->seeders--;
  member->mode = mode;
  if (mode == TRACKER_MODE_SEEDER)
    member->swarm->seeders++;
  return member;
}

static void
forget_certificate (TrackerRegistry *self, Member *member)
{
  self->stats.certificates -= member->certificate != NULL;
  g_clear_pointer (&member->certificate, g_bytes_unref);
}

static void
leave (TrackerRegistry *self, Member *member)
{
  forget_certificate (self, member);
  Swarm *swarm = member->swarm;
  g_ptr_array_remove_index_fast (swarm->members, member->index);
  if (member->index < swarm->members->len) {
    Member *moved = g_ptr_array_index (swarm->members, member->index);
    moved->index = member->index;
  }
  if (member->mode == TRACKER_MODE_SEEDER)
    swarm->seeders--;
  if (swarm->members->len == 0)
    g_hash_table_remove (self->swarms, swarm->id);
  g_ptr_array_remove_fast (member->peer->members, member);
  g_free (member);
}

/* --- peers --------------------------------------------------------------------------------- */

static GQueue *
queue_of (TrackerRegistry *self, const Peer *peer)
{
  return peer->state == STATE_TRACKING ? &self->tracking : &self->registered;
}

static Peer *
find_peer (const TrackerRegistry *self, const char *id, const PeerAddress *from)
{
  Peer key = {.id = (char *)id, .from = *from};
  key.from.port = 0;
  return g_hash_table_lookup (self->peers, &key);
}

/* Its timer starts anew. */
static void
hear (TrackerRegistry *self, Peer *peer, PeerState state, int64_t now)
{
  g_queue_unlink (queue_of (self, peer), &peer->link);
  peer->state = state;
  peer->heard = now;
  g_queue_push_tail_link (queue_of (self, peer), &peer->link);
}

/* NULL = a limit is reached. */
static Peer *
peer_new (TrackerRegistry *self, const char *id, const PeerAddress *from, int64_t now)
{
  PeerAddress key = limit_key (from);
  guint same = GPOINTER_TO_UINT (g_hash_table_lookup (self->per_ip, &key));
  if (g_hash_table_size (self->peers) >= self->options.max_peers ||
      (same >= self->options.max_peers_per_ip && !peer_address_is_loopback (from))) {
    self->stats.refused++;
    return NULL;
  }
  g_hash_table_replace (self->per_ip, g_memdup2 (&key, sizeof key), GUINT_TO_POINTER (same + 1));
  Peer *peer = g_new0 (Peer, 1);
  peer->id = g_strdup (id);
  peer->from = *from;
  peer->from.port = 0;
  peer->state = STATE_REGISTERED;
  peer->connected = peer->heard = now;
  peer->members = g_ptr_array_new ();
  peer->link.data = peer;
  g_queue_push_tail_link (&self->registered, &peer->link);
  g_hash_table_add (self->peers, peer);
  return peer;
}

/* The account that a request has shown is the peer's from then on. false = it has too many peers. */
static bool
own (TrackerRegistry *self, Peer *peer, const char *account)
{
  if (account == NULL || peer->account != NULL)
    return true;
  guint same = GPOINTER_TO_UINT (g_hash_table_lookup (self->per_account, account));
  if (same >= self->options.max_peers_per_account) {
    self->stats.refused++;
    return false;
  }
  peer->account = g_ref_string_new_intern (account);
  g_hash_table_replace (self->per_account, g_ref_string_acquire (peer->account),
                        GUINT_TO_POINTER (same + 1));
  return true;
}

static void
disown (TrackerRegistry *self, Peer *peer)
{
  if (peer->account == NULL)
    return;
  guint same = GPOINTER_TO_UINT (g_hash_table_lookup (self->per_account, peer->account));
  if (same <= 1)
    g_hash_table_remove (self->per_account, peer->account);
  else
    g_hash_table_replace (self->per_account, g_ref_string_acquire (peer->account),
                          GUINT_TO_POINTER (same - 1));
  g_clear_pointer (&peer->account, g_ref_string_release);
}

/* TERMINATE: cleans all its information in all swarms (section 2.3.2, D). */
static void
peer_end (TrackerRegistry *self, Peer *peer)
{
  while (peer->members->len > 0)
    leave (self, g_ptr_array_index (peer->members, peer->members->len - 1));
  PeerAddress key = limit_key (&peer->from);
  guint same = GPOINTER_TO_UINT (g_hash_table_lookup (self->per_ip, &key));
  if (same <= 1)
    g_hash_table_remove (self->per_ip, &key);
  else
    g_hash_table_replace (self->per_ip, g_memdup2 (&key, sizeof key), GUINT_TO_POINTER (same - 1));
  disown (self, peer);
  g_queue_unlink (queue_of (self, peer), &peer->link);
  g_hash_table_remove (self->peers, peer);
  g_ptr_array_unref (peer->members);
  g_free (peer->id);
  g_free (peer);
}

static void
keep_address (Peer *peer, const TrackerAddress *address)
{
  for (unsigned i = 0; i < peer->n_addresses; i++) {
    if (peer_address_equal (&peer->addresses[i].address, &address->address)) {
      peer->addresses[i] = *address;
      return;
    }
  }
  if (peer->n_addresses < MAX_ADDRESSES)
    peer->addresses[peer->n_addresses++] = *address;
}

/* A peer must not register somebody else's address, at whom the swarm would then aim: it has the
 * IP that its connection comes from, with the port that it gives. Another IP of its own is
 * believed only within one private network, where both ends are. */
static void
keep_addresses (TrackerRegistry *self, Peer *peer, const TrackerRequest *request)
{
  const TrackerAddress *best = NULL;
  bool private = peer_address_is_private (&peer->from);
  bool confirmed = false;
  if (request->addresses->len == 0)
    return;
  peer->n_addresses = 0;
  for (guint i = 0; i < request->addresses->len; i++) {
    const TrackerAddress *address = &g_array_index (request->addresses, TrackerAddress, i);
    bool same = memcmp (address->address.ip, peer->from.ip, sizeof peer->from.ip) == 0;
    if (address->address.port != 0 && (best == NULL || address->priority > best->priority))
      best = address;
    if (!peer_address_is_usable (&address->address)) {
      self->stats.foreign++;
    } else if (same || (private && peer_address_is_private (&address->address))) {
      confirmed |= same;
      keep_address (peer, address);
    } else {
      self->stats.foreign++;
    }
  }
  if (confirmed || best == NULL)
    return;
  TrackerAddress seen = *best;
  seen.type = TRACKER_ADDRESS_REFLEXIVE;
  memcpy (seen.address.ip, peer->from.ip, sizeof seen.address.ip);
  if (peer->n_addresses == MAX_ADDRESSES) /* it is worth more than any that is only said */
    peer->n_addresses--;
  keep_address (peer, &seen);
}

/* --- lists of peers ------------------------------------------------------------------------ */

/* Is it the one who asks, by its ID or by where it listens? */
static bool
is_same (const Peer *a, const Peer *b)
{
  if (a == b || strcmp (a->id, b->id) == 0)
    return true;
  for (unsigned i = 0; i < a->n_addresses; i++)
    for (unsigned j = 0; j < b->n_addresses; j++)
      if (peer_address_equal (&a->addresses[i].address, &b->addresses[j].address))
        return true;
  return false;
}

static bool
seen_before (const uint32_t *drawn, unsigned n, uint32_t index)
{
  for (unsigned i = 0; i < n; i++)
    if (drawn[i] == index)
      return true;
  return false;
}

/* certificates: they are wanted, too. */
static unsigned
list_peer (TrackerResult *result, const Member *member, const Peer *asker, bool certificates,
           unsigned room)
{
  const Peer *peer = member->peer;
  if (is_same (peer, asker))
    return 0;
  unsigned n = MIN (peer->n_addresses, room);
  for (unsigned i = 0; i < n; i++) {
    TrackerPeer *listed = tracker_result_add_peer (result, peer->id, &peer->addresses[i]);
    if (certificates && member->certificate != NULL &&
        peer_address_equal (&member->certified, &peer->addresses[i].address))
      listed->certificate = g_bytes_ref (member->certificate);
  }
  return n;
}

/* A random sample (4.1.1 and 4.1.2, implementation notes). */
static void
list_peers (TrackerRegistry *self, TrackerResult *result, const Swarm *swarm, const Peer *asker,
            const TrackerRequest *request, unsigned room)
{
  const TrackerPeerNum *num = &request->peer_num;
  uint32_t drawn[TRACKER_MAX_PEERS * DRAWS_PER_PEER];
  unsigned n_drawn = 0;
  uint32_t n = swarm->members->len;
  room = MIN (room, TRACKER_MAX_PEERS);
  if (num->said)
    room = MIN (room, num->peer_count);
  tracker_result_add_peer (result, NULL, NULL);
  if (n <= G_N_ELEMENTS (drawn)) {
    /* Few enough to shuffle them all. */
    for (uint32_t i = 0; i < n; i++)
      drawn[i] = i;
    for (uint32_t i = 0; i < n && room > 0; i++) {
      uint32_t j = i + draw (self, n - i);
      uint32_t index = drawn[j];
      drawn[j] = drawn[i];
      Member *member = g_ptr_array_index (swarm->members, index);
      room -= list_peer (result, member, asker, request->certificates, room);
    }
    return;
  }
  while (room > 0 && n_drawn < G_N_ELEMENTS (drawn)) {
    uint32_t index = draw (self, n);
    if (seen_before (drawn, n_drawn, index)) {
      drawn[n_drawn++] = index; /* a draw is spent, so that this ends */
      continue;
    }
    drawn[n_drawn++] = index;
    Member *member = g_ptr_array_index (swarm->members, index);
    room -= list_peer (result, member, asker, request->certificates, room);
  }
}

/* --- requests ------------------------------------------------------------------------------ */

/* Where it listens, at the IP that its connection comes from; NULL = it did not say. */
static const TrackerAddress *
seen_address (const Peer *peer)
{
  for (unsigned i = 0; i < peer->n_addresses; i++)
    if (memcmp (peer->addresses[i].address.ip, peer->from.ip, sizeof peer->from.ip) == 0)
      return &peer->addresses[i];
  return NULL;
}

/* Section 4.1.1: where the peer is seen from, unless it has found that out by itself. */
static void
show_address (const Peer *peer, const TrackerRequest *request, TrackerResponse *response)
{
  const TrackerAddress *address = seen_address (peer);
  for (guint i = 0; i < request->addresses->len; i++)
    if (g_array_index (request->addresses, TrackerAddress, i).type != TRACKER_ADDRESS_HOST)
      return;
  if (address != NULL)
    response->seen_as = (TrackerAddress){.address = address->address,
                                         .type = TRACKER_ADDRESS_REFLEXIVE,
                                         .priority = address->priority};
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
certify (TrackerRegistry *self, Member *member, const TrackerRequest *request,
         TrackerResult *result)
{
  const TrackerAddress *address = seen_address (member->peer);
  if (!request->certificates || self->options.certify == NULL || address == NULL)
    return;
  bool good = member->certificate != NULL && self->now < member->renew &&
              peer_address_equal (&member->certified, &address->address);
  if (good) {
    result->certificate = g_bytes_ref (member->certificate);
    return;
  }
  int64_t renew = 0;
  forget_certificate (self, member);
  if (!may_sign (self))
    return;
  result->certificate = self->options.certify (self->options.certify_data, member->swarm->id,
                                               &address->address, &renew);
  if (result->certificate == NULL)
    return;
  self->stats.certified++;
  if (self->stats.certificates >= self->options.max_certificates)
    return;
  self->stats.certificates++;
  member->certificate = g_bytes_ref (result->certificate);
  member->certified = address->address;
  member->renew = self->now + renew;
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
act (TrackerRegistry *self, Peer *peer, const TrackerSwarm *swarm, PeerState before)
{
  if (swarm->action == TRACKER_ACTION_JOIN) {
    if (before == STATE_TRACKING && swarm->mode == TRACKER_MODE_SEEDER)
      return false;
    return join (self, peer, swarm->swarm_id, swarm->mode) != NULL;
  }
  Member *member = find_member (peer, swarm->swarm_id);
  if (member == NULL)
    return false;
  leave (self, member);
  return true;
}

static void
add_results (TrackerRegistry *self, TrackerResponse *response, const TrackerRequest *request,
             const Peer *peer, uint64_t failed)
{
  unsigned room = MAX_LISTED;
  for (guint i = 0; i < request->swarms->len; i++) {
    const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, i);
    bool bad = (failed >> i & 1) != 0;
    TrackerResult *result = tracker_response_add_result (response, swarm->swarm_id, bad);
    const Swarm *joined = g_hash_table_lookup (self->swarms, swarm->swarm_id);
    bool listed = swarm->mode == TRACKER_MODE_LEECH || request->peer_num.said;
    if (bad || swarm->action != TRACKER_ACTION_JOIN || joined == NULL || peer == NULL)
      continue;
    if (listed) {
      list_peers (self, result, joined, peer, request, room);
      room -= result->peers->len;
    }
    Member *member = find_member (peer, swarm->swarm_id);
    if (member != NULL)
      certify (self, member, request, result);
  }
}

/* All the actions of a CONNECT; bit i of failed is set where action i had no effect. */
static TrackerStatus
act_all (TrackerRegistry *self, Peer *peer, const TrackerRequest *request, uint64_t *failed)
{
  PeerState before = peer->state;
  uint64_t refused = self->stats.refused;
  guint n = request->swarms->len, good = 0;
  if (before != STATE_TRACKING && has_action (request, TRACKER_ACTION_LEAVE))
    return TRACKER_STATUS_FORBIDDEN;
  for (guint i = 0; i < n; i++) {
    if (act (self, peer, g_ptr_array_index (request->swarms, i), before))
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
        const Peer *peer)
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

static TrackerResponse *
on_connect (TrackerRegistry *self, int64_t now, const TrackerRequest *request,
            const PeerAddress *from)
{
  uint64_t key = tracker_transactions_key (self->transactions, request, from);
  Peer *peer = find_peer (self, request->peer_id, from);
  const TrackerOutcome *before = tracker_transactions_find (self->transactions, key);
  if (before != NULL)
    return repeat (self, before, request, peer);
  if (peer == NULL)
    peer = peer_new (self, request->peer_id, from, now);
  if (peer == NULL)
    return tracker_response_new (TRACKER_STATUS_UNAVAILABLE, request->transaction_id);
  if (!own (self, peer, request->account)) {
    if (peer->members->len == 0)
      peer_end (self, peer);
    return tracker_response_new (TRACKER_STATUS_UNAVAILABLE, request->transaction_id);
  }

  uint64_t failed = 0;
  TrackerStatus status = act_all (self, peer, request, &failed);
  g_autoptr (TrackerResponse) response = tracker_response_new (status, request->transaction_id);
  if (status == TRACKER_STATUS_OK) {
    keep_addresses (self, peer, request);
    show_address (peer, request, response);
    add_results (self, response, request, peer, failed);
  }
  if (peer->members->len > 0 && status == TRACKER_STATUS_OK)
    hear (self, peer, STATE_TRACKING, now);
  else if (peer->members->len == 0 && (status != TRACKER_STATUS_OK || request->swarms->len > 0))
    peer_end (self, peer);
  /* A full house is worth another try with the same ID. */
  if (status != TRACKER_STATUS_UNAVAILABLE)
    tracker_transactions_remember (self->transactions, key, (TrackerOutcome){status, failed},
                                   self->options.max_transactions, now);
  return g_steal_pointer (&response);
}

/* FIND and STAT_REPORT are for those who are in TRACKING; Figure 5 ends the others. */
static Peer *
tracked_peer (TrackerRegistry *self, const TrackerRequest *request, const PeerAddress *from)
{
  Peer *peer = find_peer (self, request->peer_id, from);
  if (peer != NULL && peer->state != STATE_TRACKING) {
    peer_end (self, peer);
    return NULL;
  }
  return peer;
}

static TrackerResponse *
on_find (TrackerRegistry *self, int64_t now, const TrackerRequest *request, const PeerAddress *from)
{
  Peer *peer = tracked_peer (self, request, from);
  const TrackerSwarm *wanted = g_ptr_array_index (request->swarms, 0);
  Member *member = peer != NULL ? find_member (peer, wanted->swarm_id) : NULL;
  if (member == NULL)
    return tracker_response_new (TRACKER_STATUS_FORBIDDEN, request->transaction_id);
  hear (self, peer, STATE_TRACKING, now);
  TrackerResponse *response = tracker_response_new (TRACKER_STATUS_OK, request->transaction_id);
  show_address (peer, request, response);
  TrackerResult *result = tracker_response_add_result (response, wanted->swarm_id, false);
  list_peers (self, result, member->swarm, peer, request, TRACKER_MAX_PEERS);
  certify (self, member, request, result);
  return response;
}

static TrackerResponse *
on_stat_report (TrackerRegistry *self, int64_t now, const TrackerRequest *request,
                const PeerAddress *from)
{
  Peer *peer = tracked_peer (self, request, from);
  guint good = 0;
  if (peer == NULL)
    return tracker_response_new (TRACKER_STATUS_FORBIDDEN, request->transaction_id);
  g_autoptr (TrackerResponse) response =
      tracker_response_new (TRACKER_STATUS_OK, request->transaction_id);
  for (guint i = 0; i < request->swarms->len; i++) {
    const TrackerSwarm *stat = g_ptr_array_index (request->swarms, i);
    Member *member = find_member (peer, stat->swarm_id);
    TrackerResult *result = tracker_response_add_result (response, stat->swarm_id, member == NULL);
    if (member == NULL)
      continue;
    certify (self, member, request, result);
    good++;
    member->uploaded = stat->uploaded;
    member->downloaded = stat->downloaded;
  }
  if (request->swarms->len > 0 && good == 0)
    return tracker_response_new (TRACKER_STATUS_FORBIDDEN, request->transaction_id);
  hear (self, peer, STATE_TRACKING, now);
  return g_steal_pointer (&response);
}

/* Peer IDs are told to all who are in a swarm, and many homes may share one IP: where a peer has an
 * account, it takes that to speak for it. */
static TrackerStatus
may_speak (TrackerRegistry *self, const TrackerRequest *request, const PeerAddress *from)
{
  const Peer *peer = find_peer (self, request->peer_id, from);
  if (peer == NULL || peer->account == NULL || g_strcmp0 (peer->account, request->account) == 0)
    return TRACKER_STATUS_OK;
  self->stats.usurped++;
  return request->account == NULL ? TRACKER_STATUS_UNAUTHORIZED : TRACKER_STATUS_FORBIDDEN;
}

TrackerResponse *
tracker_registry_answer (TrackerRegistry *self, int64_t now, const TrackerRequest *request,
                         const PeerAddress *from)
{
  TrackerResponse *response = NULL;
  guint n = request->swarms->len;
  tracker_registry_expire (self, now);
  self->now = now;
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
    response = on_connect (self, now, request, from);
    break;
  case TRACKER_REQUEST_FIND:
    self->stats.finds++;
    response = on_find (self, now, request, from);
    break;
  case TRACKER_REQUEST_STAT_REPORT:
    self->stats.reports++;
    response = on_stat_report (self, now, request, from);
    break;
  }
  self->stats.errors[response->status]++;
  return response;
}

/* --- time ---------------------------------------------------------------------------------- */

static void
queue_expire (TrackerRegistry *self, GQueue *queue, int64_t timeout, int64_t now)
{
  while (queue->head != NULL) {
    Peer *peer = queue->head->data;
    if (now - peer->heard < timeout)
      return;
    self->stats.expired++;
    peer_end (self, peer);
  }
}

void
tracker_registry_expire (TrackerRegistry *self, int64_t now)
{
  queue_expire (self, &self->registered, TRACKER_INIT_TIMEOUT, now);
  queue_expire (self, &self->tracking, TRACKER_TRACK_TIMEOUT, now);
  tracker_transactions_expire (self->transactions, TRACKER_TRANSACTION_TIME, now);
}

int64_t
tracker_registry_deadline (const TrackerRegistry *self)
{
  int64_t deadline = INT64_MAX;
  if (self->registered.head != NULL)
    deadline = ((Peer *)self->registered.head->data)->heard + TRACKER_INIT_TIMEOUT;
  if (self->tracking.head != NULL)
    deadline = MIN (deadline, ((Peer *)self->tracking.head->data)->heard + TRACKER_TRACK_TIMEOUT);
  int64_t oldest = tracker_transactions_oldest (self->transactions);
  if (oldest != INT64_MAX)
    deadline = MIN (deadline, oldest + TRACKER_TRANSACTION_TIME);
  return deadline;
}

/* --- the registry -------------------------------------------------------------------------- */

void
tracker_registry_stats (const TrackerRegistry *self, TrackerRegistryStats *out)
{
  *out = self->stats;
  out->swarms = g_hash_table_size (self->swarms);
  out->peers = g_hash_table_size (self->peers);
}

void
tracker_registry_swarms (const TrackerRegistry *self, TrackerSwarmFunc func, void *data)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, self->swarms);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const Swarm *swarm = value;
    TrackerSwarmInfo info = {.swarm_id = swarm->id, .seeders = swarm->seeders};
    info.leeches = swarm->members->len - swarm->seeders;
    for (guint i = 0; i < swarm->members->len; i++) {
      const Member *member = g_ptr_array_index (swarm->members, i);
      info.uploaded += member->uploaded;
      info.downloaded += member->downloaded;
    }
    if (!func (&info, data))
      return;
  }
}

static TrackerMemberInfo
info_of (const Member *member)
{
  const Peer *peer = member->peer;
  return (TrackerMemberInfo){.swarm_id = member->swarm->id,
                             .peer_id = peer->id,
                             .account = peer->account,
                             .from = &peer->from,
                             .addresses = peer->addresses,
                             .n_addresses = peer->n_addresses,
                             .mode = member->mode,
                             .connected = peer->connected,
                             .heard = peer->heard,
                             .uploaded = member->uploaded,
                             .downloaded = member->downloaded};
}

bool
tracker_registry_members (const TrackerRegistry *self, const char *swarm_id, TrackerMemberFunc func,
                          void *data)
{
  const Swarm *swarm = g_hash_table_lookup (self->swarms, swarm_id);
  for (guint i = 0; swarm != NULL && i < swarm->members->len; i++) {
    TrackerMemberInfo info = info_of (g_ptr_array_index (swarm->members, i));
    if (!func (&info, data))
      break;
  }
  return swarm != NULL;
}

static unsigned
expel_from (TrackerRegistry *self, Peer *peer, TrackerMemberFunc func, void *data)
{
  unsigned n = 0;
  for (guint i = peer->members->len; i > 0; i--) {
    Member *member = g_ptr_array_index (peer->members, i - 1);
    TrackerMemberInfo info = info_of (member);
    if (func (&info, data))
      continue;
    leave (self, member);
    n++;
  }
  if (n > 0 && peer->members->len == 0)
    peer_end (self, peer);
  return n;
}

unsigned
tracker_registry_expel (TrackerRegistry *self, TrackerMemberFunc func, void *data)
{
  unsigned n = 0;
  for (GList *link = self->tracking.head; link != NULL;) {
    Peer *peer = link->data;
    link = link->next;
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
}

const TrackerRegistryOptions *
tracker_registry_options (const TrackerRegistry *self)
{
  return &self->options;
}

TrackerRegistry *
tracker_registry_new (const TrackerRegistryOptions *options)
{
  TrackerRegistry *self = g_new0 (TrackerRegistry, 1);
  self->options = (TrackerRegistryOptions){.random = options->random,
                                           .random_data = options->random_data,
                                           .certify = options->certify,
                                           .certify_data = options->certify_data,
                                           .max_swarms = 100000,
                                           .max_peers = 1000000,
                                           .max_peers_per_ip = 256,
                                           .max_peers_per_account = 256,
                                           .max_swarms_per_peer = TRACKER_MAX_LIST,
                                           .max_transactions = 65536,
                                           .max_certificates = 100000};
  tracker_registry_limit (self, options);
  self->swarms = g_hash_table_new_full (swarm_key_hash, g_str_equal, NULL, swarm_free);
  self->peers = g_hash_table_new (peer_key_hash, peer_key_equal);
  self->per_ip = g_hash_table_new_full (peer_address_hash, peer_address_equal_key, g_free, NULL);
  self->per_account =
      g_hash_table_new_full (g_str_hash, g_str_equal, (GDestroyNotify)g_ref_string_release, NULL);
  uint64_t seed = peer_random_u64 (options->random, options->random_data);
  self->transactions = tracker_transactions_new (seed);
  if (hash_seed == 0)
    hash_seed = tracker_hash (seed, "ids", 3);
  return self;
}

void
tracker_registry_free (TrackerRegistry *self)
{
  while (self->registered.head != NULL)
    peer_end (self, self->registered.head->data);
  while (self->tracking.head != NULL)
    peer_end (self, self->tracking.head->data);
  g_hash_table_unref (self->swarms);
  g_hash_table_unref (self->peers);
  g_hash_table_unref (self->per_ip);
  g_hash_table_unref (self->per_account);
  tracker_transactions_free (self->transactions);
  g_free (self);
}
