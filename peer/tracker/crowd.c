/* SPDX-License-Identifier: Apache-2.0 */
/*   swarms: ID -> CrowdSwarm --rooms--> [ CrowdPeer  CrowdPeer ] [ CrowdPeer ]
 *                    ^                         |
 *                    +------ CrowdMember <--members
 *
 *   peers: ID+IP -> CrowdPeer
 *
 * A member is one peer in one swarm, and knows where it stands in its room, so that it leaves in O(1): the
 * last one there takes its place. Peers stand in two queues, one for each timer, the least recently
 * heard of first: since a timer is the same for all, that is the order of their ends. */
#include "peer/tracker/crowd.h"

#include <string.h>

/* A swarm gets its rooms when it has so many members, and gives them up at so few: the work is that
 * of one request, and bounded. */
#define MANY_MEMBERS 256
#define FEW_MEMBERS 64

/* Those who come from one IPv4 address, or one /64. */
typedef struct {
  TrackerEntry entry;
  uint64_t key;
  uint32_t n;
} Host;

G_STATIC_ASSERT (sizeof (void *) > 8 || sizeof (CrowdPeer) <= 128);

/* --- hashes -------------------------------------------------------------------------------- */

static CrowdPeer *
peer_of (const TrackerEntry *entry)
{
  return (CrowdPeer *)(void *)((char *)entry - offsetof (CrowdPeer, entry));
}

static uint64_t
peer_hash (const TrackerEntry *entry)
{
  const CrowdPeer *self = peer_of (entry);
  uint64_t halves[2];
  memcpy (halves, self->from, sizeof halves);
  return tracker_name_hash (&self->id, halves[0] * 31 + halves[1]);
}

static uint64_t
swarm_hash (const TrackerEntry *entry)
{
  const char *id = ((const CrowdSwarm *)entry)->id;
  return tracker_table_hash (id, strlen (id));
}

static uint64_t
host_hash (const TrackerEntry *entry)
{
  uint64_t number = ((const Host *)entry)->key;
  return tracker_table_hash (&number, sizeof number);
}

/* An IPv4 address cannot be mistaken for a /64: those of ::/32 are nobody's. */
static uint64_t
host_key (const uint8_t from[16])
{
  static const uint8_t v4[12] = {[10] = 0xff, [11] = 0xff};
  uint64_t number;
  if (memcmp (from, v4, sizeof v4) == 0) {
    uint32_t ip;
    memcpy (&ip, from + 12, sizeof ip);
    return ip;
  }
  memcpy (&number, from, sizeof number);
  return GUINT64_FROM_BE (number);
}

static Host *
find_host (const TrackerCrowd *self, const uint8_t from[16])
{
  Host wanted = {.key = host_key (from)};
  TrackerEntry *entry = tracker_table_chain (&self->hosts, host_hash (&wanted.entry));
  while (entry != NULL && ((Host *)entry)->key != wanted.key)
    entry = entry->next;
  return (Host *)entry;
}

uint32_t
tracker_crowd_from_host (const TrackerCrowd *self, const uint8_t from[16])
{
  const Host *host = find_host (self, from);
  return host != NULL ? host->n : 0;
}

static void
host_add (TrackerCrowd *self, const uint8_t from[16])
{
  Host *host = find_host (self, from);
  if (host == NULL) {
    host = tracker_pool_new0 (&self->host_pool);
    host->key = host_key (from);
    tracker_table_add (&self->hosts, &host->entry);
  }
  host->n++;
}

static void
host_remove (TrackerCrowd *self, const uint8_t from[16])
{
  Host *host = find_host (self, from);
  if (--host->n > 0)
    return;
  tracker_table_remove (&self->hosts, &host->entry);
  tracker_pool_free (&self->host_pool, host);
}

/* --- rooms --------------------------------------------------------------------------------- */

static CrowdRoom *
room_of (const CrowdSwarm *swarm, bool seeders, uint16_t place)
{
  return &swarm->rooms[(seeders ? swarm->n_rooms : 0) + place % swarm->n_rooms];
}

static void
room_add (CrowdRoom *self, CrowdPeer *peer, CrowdMember *member)
{
  if (self->n == self->room) {
    self->room += MAX (4, self->room / 4);
    self->peers = g_renew (CrowdPeer *, self->peers, self->room);
  }
  member->index = self->n;
  self->peers[self->n++] = peer;
}

static void
room_remove (CrowdRoom *self, CrowdMember *member)
{
  CrowdPeer *last = self->peers[--self->n];
  self->peers[member->index] = last;
  tracker_crowd_membership (last, member->swarm)->index = member->index;
  if (self->room > 16 && self->n < self->room / 2) {
    self->room = self->n + self->n / 4;
    self->peers = g_renew (CrowdPeer *, self->peers, self->room);
  }
}

static void
make_rooms (CrowdSwarm *swarm, uint32_t n_rooms)
{
  CrowdRoom *before = swarm->rooms;
  uint32_t n = 2 * swarm->n_rooms;
  swarm->n_rooms = n_rooms;
  swarm->rooms = g_new0 (CrowdRoom, 2 * n_rooms);
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t j = 0; j < before[i].n; j++) {
      CrowdPeer *peer = before[i].peers[j];
      CrowdMember *member = tracker_crowd_membership (peer, swarm);
      room_add (room_of (swarm, member->seeder, peer->place), peer, member);
    }
    g_free (before[i].peers);
  }
  g_free (before);
}

const CrowdRoom *
tracker_crowd_room (const CrowdSwarm *swarm, bool seeders, uint16_t place)
{
  return room_of (swarm, seeders, place);
}

CrowdPeer *
tracker_crowd_nth (const CrowdSwarm *swarm, bool seeders, uint32_t index)
{
  const CrowdRoom *room = &swarm->rooms[seeders ? swarm->n_rooms : 0];
  while (index >= room->n)
    index -= room++->n;
  return room->peers[index];
}

/* --- swarms and members -------------------------------------------------------------------- */

CrowdSwarm *
tracker_crowd_swarm (const TrackerCrowd *self, const char *swarm_id)
{
  CrowdSwarm wanted = {.id = (char *)swarm_id};
  TrackerEntry *entry = tracker_table_chain (&self->swarms, swarm_hash (&wanted.entry));
  while (entry != NULL && strcmp (((CrowdSwarm *)entry)->id, swarm_id) != 0)
    entry = entry->next;
  return (CrowdSwarm *)entry;
}

static CrowdSwarm *
swarm_new (TrackerCrowd *self, const char *swarm_id)
{
  CrowdSwarm *swarm = g_new0 (CrowdSwarm, 1);
  swarm->id = g_strdup (swarm_id);
  swarm->number = ++self->numbers;
  make_rooms (swarm, 1);
  tracker_table_add (&self->swarms, &swarm->entry);
  return swarm;
}

static void
swarm_end (TrackerCrowd *self, CrowdSwarm *swarm)
{
  tracker_table_remove (&self->swarms, &swarm->entry);
  for (uint32_t i = 0; i < 2 * swarm->n_rooms; i++)
    g_free (swarm->rooms[i].peers);
  g_free (swarm->rooms);
  g_free (swarm->id);
  g_free (swarm);
}

CrowdMember *
tracker_crowd_member (const CrowdPeer *peer, const char *swarm_id)
{
  CrowdMember *member = peer->members;
  while (member != NULL && strcmp (member->swarm->id, swarm_id) != 0)
    member = member->next;
  return member;
}

CrowdMember *
tracker_crowd_membership (const CrowdPeer *peer, const CrowdSwarm *swarm)
{
  CrowdMember *member = peer->members;
  while (member->swarm != swarm)
    member = member->next;
  return member;
}

CrowdMember *
tracker_crowd_join (TrackerCrowd *self, CrowdPeer *peer, const char *swarm_id, TrackerMode mode)
{
  CrowdSwarm *swarm = tracker_crowd_swarm (self, swarm_id);
  if (swarm == NULL)
    swarm = swarm_new (self, swarm_id);
  CrowdMember *member = tracker_pool_new0 (&self->member_pool);
  member->swarm = swarm;
  member->seeder = mode == TRACKER_MODE_SEEDER;
  member->next = peer->members;
  peer->members = member;
  peer->n_members++;
  room_add (room_of (swarm, member->seeder, peer->place), peer, member);
  swarm->seeders += member->seeder;
  if (++swarm->members > MANY_MEMBERS && swarm->n_rooms == 1)
    make_rooms (swarm, CROWD_ROOMS);
  return member;
}

static void
extra_free (TrackerCrowd *self, CrowdMember *member)
{
  if (member->extra == NULL)
    return;
  tracker_crowd_forget_certificate (self, member);
  tracker_crowd_set_chunks (self, member, NULL, 0);
  g_free (member->extra);
}

void
tracker_crowd_leave (TrackerCrowd *self, CrowdPeer *peer, CrowdMember *member)
{
  CrowdSwarm *swarm = member->swarm;
  CrowdMember **at = &peer->members;
  extra_free (self, member);
  tracker_crowd_count (self, member, 0, 0, 0);
  room_remove (room_of (swarm, member->seeder, peer->place), member);
  swarm->seeders -= member->seeder;
  if (--swarm->members == 0)
    swarm_end (self, swarm);
  else if (swarm->members < FEW_MEMBERS && swarm->n_rooms > 1)
    make_rooms (swarm, 1);
  while (*at != member)
    at = &(*at)->next;
  *at = member->next;
  peer->n_members--;
  tracker_pool_free (&self->member_pool, member);
}

void
tracker_crowd_set_mode (CrowdPeer *peer, CrowdMember *member, TrackerMode mode)
{
  CrowdSwarm *swarm = member->swarm;
  bool seeder = mode == TRACKER_MODE_SEEDER;
  if (seeder == member->seeder)
    return;
  room_remove (room_of (swarm, member->seeder, peer->place), member);
  swarm->seeders += seeder ? 1u : UINT32_MAX;
  member->seeder = seeder;
  room_add (room_of (swarm, seeder, peer->place), peer, member);
}

static uint64_t
growth (uint64_t before, uint64_t now)
{
  return now > before ? now - before : 0;
}

void
tracker_crowd_count (TrackerCrowd *self, CrowdMember *member, uint64_t uploaded,
                     uint64_t downloaded, uint32_t late)
{
  CrowdSwarm *swarm = member->swarm;
  late = MIN (late, (uint32_t)INT32_MAX);
  uint64_t gave = growth (member->uploaded, uploaded);
  uint64_t got = growth (member->downloaded, downloaded);
  uint64_t delayed = growth (member->late, late);
  swarm->total.uploaded += gave;
  swarm->total.downloaded += got;
  swarm->total.late += delayed;
  self->total.uploaded += gave;
  self->total.downloaded += got;
  self->total.late += delayed;
  swarm->now.uploaded += uploaded - member->uploaded;
  swarm->now.downloaded += downloaded - member->downloaded;
  swarm->now.late += (uint64_t)late - member->late;
  member->uploaded = uploaded;
  member->downloaded = downloaded;
  member->late = late & INT32_MAX;
}

CrowdExtra *
tracker_crowd_extra (CrowdMember *member)
{
  if (member->extra == NULL)
    member->extra = g_new0 (CrowdExtra, 1);
  return member->extra;
}

void
tracker_crowd_forget_certificate (TrackerCrowd *self, CrowdMember *member)
{
  if (member->extra == NULL || member->extra->certificate == NULL)
    return;
  self->certificates--;
  g_clear_pointer (&member->extra->certificate, g_bytes_unref);
}

void
tracker_crowd_set_chunks (TrackerCrowd *self, CrowdMember *member, const TrackerRange *chunks,
                          uint32_t n)
{
  if (member->extra == NULL && n == 0)
    return;
  CrowdExtra *extra = tracker_crowd_extra (member);
  self->ranges += n - extra->n_chunks;
  g_free (extra->chunks);
  extra->chunks = n > 0 ? g_memdup2 (chunks, n * sizeof *chunks) : NULL;
  extra->n_chunks = n;
}

/* --- peers --------------------------------------------------------------------------------- */

static CrowdQueue *
queue_of (TrackerCrowd *self, const CrowdPeer *peer)
{
  return peer->tracking ? &self->tracking : &self->registered;
}

static void
queue_push (CrowdQueue *self, CrowdPeer *peer)
{
  peer->newer = NULL;
  peer->older = self->newest;
  if (self->newest != NULL)
    self->newest->newer = peer;
  else
    self->oldest = peer;
  self->newest = peer;
}

static void
queue_unlink (CrowdQueue *self, CrowdPeer *peer)
{
  if (peer->older != NULL)
    peer->older->newer = peer->newer;
  else
    self->oldest = peer->newer;
  if (peer->newer != NULL)
    peer->newer->older = peer->older;
  else
    self->newest = peer->older;
}

CrowdPeer *
tracker_crowd_find (const TrackerCrowd *self, const char *id, const uint8_t from[16])
{
  CrowdPeer wanted = {0};
  tracker_name_borrow (&wanted.id, id);
  memcpy (wanted.from, from, sizeof wanted.from);
  TrackerEntry *entry = tracker_table_chain (&self->peers, peer_hash (&wanted.entry));
  for (; entry != NULL; entry = entry->next) {
    CrowdPeer *peer = peer_of (entry);
    if (memcmp (peer->from, from, sizeof peer->from) == 0 &&
        tracker_name_equal (&peer->id, &wanted.id))
      return peer;
  }
  return NULL;
}

static void
set_scope (CrowdPeer *peer)
{
  PeerAddress from = {.port = 1};
  memcpy (from.ip, peer->from, sizeof from.ip);
  peer->from_v4 = peer_address_is_v4 (&from);
  peer->scope = peer_address_is_loopback (&from)  ? CROWD_SCOPE_LOOPBACK
                : peer_address_is_private (&from) ? CROWD_SCOPE_PRIVATE
                                                  : CROWD_SCOPE_PUBLIC;
}

CrowdPeer *
tracker_crowd_add (TrackerCrowd *self, const char *id, const uint8_t from[16], uint16_t place,
                   int64_t now)
{
  CrowdPeer *peer = tracker_pool_new0 (&self->peer_pool);
  tracker_name_init (&peer->id, id);
  memcpy (peer->from, from, sizeof peer->from);
  set_scope (peer);
  peer->place = place;
  peer->heard = now;
  peer->connected = (uint32_t)(now / G_USEC_PER_SEC);
  peer->battery = TRACKER_BATTERY_UNSAID;
  queue_push (&self->registered, peer);
  host_add (self, from);
  tracker_table_add (&self->peers, &peer->entry);
  return peer;
}

void
tracker_crowd_remove (TrackerCrowd *self, CrowdPeer *peer)
{
  while (peer->members != NULL)
    tracker_crowd_leave (self, peer, peer->members);
  host_remove (self, peer->from);
  queue_unlink (queue_of (self, peer), peer);
  tracker_table_remove (&self->peers, &peer->entry);
  tracker_name_clear (&peer->id);
  g_free (peer->more);
  tracker_pool_free (&self->peer_pool, peer);
}

void
tracker_crowd_hear (TrackerCrowd *self, CrowdPeer *peer, bool tracking, int64_t now)
{
  queue_unlink (queue_of (self, peer), peer);
  peer->tracking = tracking;
  peer->heard = now;
  queue_push (queue_of (self, peer), peer);
}

void
tracker_crowd_move (TrackerCrowd *self, CrowdPeer *peer, uint16_t place)
{
  if (place == peer->place)
    return;
  for (CrowdMember *member = peer->members; member != NULL; member = member->next)
    room_remove (room_of (member->swarm, member->seeder, peer->place), member);
  peer->place = place;
  for (CrowdMember *member = peer->members; member != NULL; member = member->next)
    room_add (room_of (member->swarm, member->seeder, place), peer, member);
}

CrowdMore *
tracker_crowd_more (CrowdPeer *peer)
{
  if (peer->more == NULL)
    peer->more = g_new0 (CrowdMore, 1);
  return peer->more;
}

unsigned
tracker_crowd_addresses (const CrowdPeer *peer, TrackerAddress out[CROWD_MAX_ADDRESSES])
{
  if (peer->port == 0)
    return 0;
  out[0] = (TrackerAddress){.address.port = peer->port,
                            .type = (TrackerAddressType)peer->type,
                            .priority = peer->priority,
                            .connection = (TrackerConnection)peer->connection,
                            .asn = peer->asn,
                            .ppspp = peer->ppspp};
  memcpy (out[0].address.ip, peer->from, sizeof peer->from);
  unsigned n = peer->more != NULL ? peer->more->n_addresses : 0;
  for (unsigned i = 0; i < n; i++)
    out[1 + i] = peer->more->addresses[i];
  return 1 + n;
}

/* The first of them at from goes into the peer itself; there is always one. */
void
tracker_crowd_set_addresses (CrowdPeer *peer, const TrackerAddress *addresses, unsigned n)
{
  if (peer->more != NULL)
    peer->more->n_addresses = 0;
  peer->port = 0;
  for (unsigned i = 0; i < n; i++) {
    const TrackerAddress *address = &addresses[i];
    if (peer->port != 0 || memcmp (address->address.ip, peer->from, sizeof peer->from) != 0) {
      CrowdMore *more = tracker_crowd_more (peer);
      if (more->n_addresses < CROWD_MAX_ADDRESSES - 1)
        more->addresses[more->n_addresses++] = *address;
      continue;
    }
    peer->port = address->address.port;
    peer->type = (uint8_t)address->type & 3;
    peer->connection = (uint8_t)address->connection & 3;
    peer->ppspp = address->ppspp;
    peer->priority = address->priority;
    peer->asn = address->asn;
  }
}

/* --- all ----------------------------------------------------------------------------------- */

void
tracker_crowd_init (TrackerCrowd *self)
{
  *self = (TrackerCrowd){0};
  tracker_table_init (&self->swarms, swarm_hash);
  tracker_table_init (&self->peers, peer_hash);
  tracker_table_init (&self->hosts, host_hash);
  tracker_pool_init (&self->peer_pool, sizeof (CrowdPeer));
  tracker_pool_init (&self->member_pool, sizeof (CrowdMember));
  tracker_pool_init (&self->host_pool, sizeof (Host));
}

void
tracker_crowd_clear (TrackerCrowd *self)
{
  while (self->registered.oldest != NULL)
    tracker_crowd_remove (self, self->registered.oldest);
  while (self->tracking.oldest != NULL)
    tracker_crowd_remove (self, self->tracking.oldest);
  tracker_table_clear (&self->swarms);
  tracker_table_clear (&self->peers);
  tracker_table_clear (&self->hosts);
  tracker_pool_clear (&self->peer_pool);
  tracker_pool_clear (&self->member_pool);
  tracker_pool_clear (&self->host_pool);
}
