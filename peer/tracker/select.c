/* SPDX-License-Identifier: Apache-2.0 */
/* First a few dozen candidates, so that the work does not grow with the swarm: half of them from the
 * rooms of the asker's place and the places next to it, half from all of it. Each gets a number, the
 * less the better:
 *
 *   distance   0..1,000   the map's cost; a little more outside its own /24 (/48 of IPv6)
 *   spared     2,000      on a phone's network, or on the last fifth of a battery
 *   loss       500        where datagrams get lost
 *   NAT        0..150     two that are both behind one need a third to meet
 *   links      0..200     each it has already
 *   upload     -200..0    by what it can send
 *   newcomer   100        who came a minute ago may soon be gone
 *   chance     0..99      the load is spread over those who are alike
 *
 * A list holds the best, but at least a quarter seeders (super-nodes) and a fifth drawn by chance. */
#include "peer/tracker/select.h"

#include <stdlib.h>
#include <string.h>

#define CANDIDATES 60
/* Members that are looked at for someone who wants chunks that few may have. */
#define LOOKED_AT 2048
#define LOW_BATTERY 20
#define SPARED 2000
#define LOSSY 500
#define BOTH_BEHIND_NAT 100
#define RELAYED 50
#define NEWCOMER 100
#define NEWCOMER_SECONDS 60
#define CHANCE 100

typedef struct {
  CrowdPeer *peer;
  int32_t score;
  bool seeder;
} Candidate;

typedef struct {
  const TrackerSelection *options;
  const CrowdSwarm *swarm;
  const CrowdPeer *asker;
  const GArray *chunks;
  int64_t now;
  uint64_t chance; /* the state of a generator, begun anew for each list */
  unsigned n;
  Candidate candidates[CANDIDATES];
} Choice;

/* xorshift64*: each list has an unguessable beginning; in the kernel a number costs as much as all the
 * rest of a list. */
static uint32_t
draw (Choice *self, uint32_t below)
{
  self->chance ^= self->chance >> 12;
  self->chance ^= self->chance << 25;
  self->chance ^= self->chance >> 27;
  uint64_t value = (self->chance * UINT64_C (0x2545f4914f6cdd1d)) >> 32;
  return (uint32_t)((value * below) >> 32);
}

/* --- who can be named at all --------------------------------------------------------------- */

static bool
is_in_scope (const PeerAddress *asker, const PeerAddress *address)
{
  if (peer_address_is_loopback (address))
    return peer_address_is_loopback (asker);
  return !peer_address_is_private (address) || peer_address_is_private (asker);
}

unsigned
tracker_select_addresses (const CrowdPeer *asker, const CrowdPeer *peer,
                          TrackerAddress out[CROWD_MAX_ADDRESSES])
{
  PeerAddress from = {0};
  unsigned n = tracker_crowd_addresses (peer, out), good = 0;
  memcpy (from.ip, asker->from, sizeof from.ip);
  for (unsigned i = 0; i < n; i++) {
    bool v4 = peer_address_is_v4 (&out[i].address);
    if ((v4 ? asker->v4 : asker->v6) && is_in_scope (&from, &out[i].address))
      out[good++] = out[i];
  }
  return good;
}

/* The same without writing them down. */
static bool
can_reach (const CrowdPeer *asker, const CrowdPeer *peer)
{
  TrackerAddress addresses[CROWD_MAX_ADDRESSES];
  if (peer->port == 0)
    return false;
  bool in_scope = peer->scope == CROWD_SCOPE_PUBLIC || asker->scope == peer->scope ||
                  (peer->scope == CROWD_SCOPE_PRIVATE && asker->scope == CROWD_SCOPE_LOOPBACK);
  if (in_scope && (peer->from_v4 ? asker->v4 : asker->v6))
    return true;
  return peer->more != NULL && tracker_select_addresses (asker, peer, addresses) > 0;
}

/* Is it the one who asks, by its ID or by where it listens? */
static bool
is_same (const CrowdPeer *a, const CrowdPeer *b)
{
  if (a == b || tracker_name_equal (&a->id, &b->id) ||
      (a->port == b->port && memcmp (a->from, b->from, sizeof a->from) == 0))
    return true;
  if (a->more == NULL || b->more == NULL)
    return false;
  for (unsigned i = 0; i < a->more->n_addresses; i++)
    for (unsigned j = 0; j < b->more->n_addresses; j++)
      if (peer_address_equal (&a->more->addresses[i].address, &b->more->addresses[j].address))
        return true;
  return false;
}

static bool
has_some (const Choice *self, const CrowdPeer *peer, bool seeder)
{
  const CrowdExtra *extra = tracker_crowd_membership (peer, self->swarm)->extra;
  if (extra == NULL || extra->n_chunks == 0)
    return seeder;
  for (uint32_t i = 0; i < extra->n_chunks; i++)
    for (guint j = 0; j < self->chunks->len; j++) {
      const TrackerRange *wanted = &g_array_index (self->chunks, TrackerRange, j);
      if (extra->chunks[i].first < wanted->end && wanted->first < extra->chunks[i].end)
        return true;
    }
  return false;
}

/* Says that it has chunks, and not these. */
static bool
is_useless (const Choice *self, const CrowdPeer *peer, bool seeder)
{
  if (self->chunks == NULL)
    return false;
  const CrowdExtra *extra = tracker_crowd_membership (peer, self->swarm)->extra;
  return extra != NULL && extra->n_chunks > 0 && !has_some (self, peer, seeder);
}

static void
consider (Choice *self, CrowdPeer *peer, bool seeder)
{
  if (self->n == CANDIDATES)
    return;
  for (unsigned i = 0; i < self->n; i++)
    if (self->candidates[i].peer == peer)
      return;
  if (!can_reach (self->asker, peer) || is_same (peer, self->asker) ||
      is_useless (self, peer, seeder))
    return;
  self->candidates[self->n++] = (Candidate){.peer = peer, .seeder = seeder};
}

/* --- candidates ---------------------------------------------------------------------------- */

static void
consider_room (Choice *self, bool seeders, uint16_t place, unsigned draws)
{
  const CrowdRoom *room = tracker_crowd_room (self->swarm, seeders, place);
  if (room->n <= draws)
    for (uint32_t i = 0; i < room->n; i++)
      consider (self, room->peers[i], seeders);
  else
    for (unsigned i = 0; i < draws; i++)
      consider (self, room->peers[draw (self, room->n)], seeders);
}

static void
consider_all (Choice *self)
{
  const CrowdSwarm *swarm = self->swarm;
  for (uint32_t i = 0; i < 2 * swarm->n_rooms; i++)
    for (uint32_t j = 0; j < swarm->rooms[i].n; j++)
      consider (self, swarm->rooms[i].peers[j], i >= swarm->n_rooms);
}

/* Who has the chunks, as far as that can be seen in a stretch of the swarm. */
static void
consider_holders (Choice *self)
{
  const CrowdSwarm *swarm = self->swarm;
  uint32_t leeches = swarm->members - swarm->seeders;
  uint32_t n = MIN (leeches, LOOKED_AT);
  uint32_t first = leeches > 0 ? draw (self, leeches) : 0;
  for (uint32_t i = 0; i < n && self->n < CANDIDATES / 2; i++) {
    CrowdPeer *peer = tracker_crowd_nth (swarm, false, (first + i) % leeches);
    if (has_some (self, peer, false))
      consider (self, peer, false);
  }
}

static void
consider_near (Choice *self)
{
  uint16_t near[TRACKER_PLACES_NEAR];
  unsigned n = tracker_places_near (self->options->places, self->asker->place, near);
  consider_room (self, true, self->asker->place, 8);
  consider_room (self, false, self->asker->place, 20);
  for (unsigned i = 0; i < n; i++) {
    consider_room (self, true, near[i], 2);
    consider_room (self, false, near[i], 4);
  }
}

static void
gather (Choice *self)
{
  const CrowdSwarm *swarm = self->swarm;
  uint32_t leeches = swarm->members - swarm->seeders;
  if (swarm->members <= CANDIDATES) {
    consider_all (self);
    return;
  }
  if (self->chunks != NULL)
    consider_holders (self);
  if (!self->options->blind)
    consider_near (self);
  for (unsigned i = 0; i < 8 && swarm->seeders > 0 && !self->options->blind; i++)
    consider (self, tracker_crowd_nth (swarm, true, draw (self, swarm->seeders)), true);
  for (unsigned i = 0; i < 2 * CANDIDATES && self->n < CANDIDATES; i++) {
    uint32_t index = draw (self, swarm->members);
    bool seeder = index >= leeches;
    consider (self, tracker_crowd_nth (swarm, seeder, seeder ? index - leeches : index), seeder);
  }
}

/* --- order --------------------------------------------------------------------------------- */

static bool
same_neighbourhood (const CrowdPeer *a, const CrowdPeer *b)
{
  return memcmp (a->from, b->from, a->from_v4 ? 15 : 6) == 0;
}

static int32_t
score (Choice *self, const CrowdPeer *peer, bool seeder)
{
  const CrowdPeer *asker = self->asker;
  int32_t sum = (int32_t)draw (self, CHANCE);
  if (self->options->blind)
    return sum;
  sum += (int32_t)tracker_places_distance (self->options->places, asker->place, peer->place);
  if (peer->asn != 0 && peer->asn == asker->asn)
    sum -= TRACKER_PLACES_FAR / 2;
  if (!same_neighbourhood (asker, peer))
    sum += CHANCE;
  if (peer->mobile || peer->battery <= LOW_BATTERY)
    sum += SPARED;
  if (peer->lossy)
    sum += LOSSY;
  if (peer->nat > TRACKER_NAT_NO_NAT && asker->nat > TRACKER_NAT_NO_NAT)
    sum += BOTH_BEHIND_NAT;
  if (peer->nat == TRACKER_NAT_TURN)
    sum += RELAYED;
  sum += (int32_t)MIN (peer->links, 200);
  sum -= (int32_t)MIN (peer->upload / 100, 200);
  if (peer->since != 0 && self->now / G_USEC_PER_SEC - peer->since < NEWCOMER_SECONDS)
    sum += NEWCOMER;
  if (self->chunks != NULL && !has_some (self, peer, seeder))
    sum += 4 * SPARED;
  return sum;
}

static int
by_score (const void *a, const void *b)
{
  const Candidate *x = a, *y = b;
  return x->score < y->score ? -1 : x->score > y->score;
}

static bool
take (Choice *self, unsigned index, CrowdPeer *out[], unsigned *n)
{
  CrowdPeer *peer = self->candidates[index].peer;
  if (peer == NULL)
    return false;
  self->candidates[index].peer = NULL;
  out[(*n)++] = peer;
  return true;
}

static void
take_by_chance (Choice *self, unsigned wanted, CrowdPeer *out[], unsigned *n)
{
  unsigned end = MIN (self->n, *n + wanted);
  for (unsigned tries = 0; *n < end && tries < 4 * wanted; tries++) {
    unsigned index = draw (self, self->n);
    const CrowdPeer *peer = self->candidates[index].peer;
    /* Nobody is spared only to be drawn. */
    if (peer != NULL && !peer->mobile && peer->battery > LOW_BATTERY &&
        (self->chunks == NULL || has_some (self, peer, self->candidates[index].seeder)))
      take (self, index, out, n);
  }
}

unsigned
tracker_select (const TrackerSelection *self, const CrowdSwarm *swarm, const CrowdPeer *asker,
                const GArray *chunks, int64_t now, unsigned room, CrowdPeer *out[TRACKER_MAX_PEERS])
{
  Choice choice = {.options = self, .swarm = swarm, .asker = asker, .chunks = chunks, .now = now};
  unsigned n = 0, seeders = self->blind ? 0 : (room + 3) / 4;
  if (room == 0)
    return 0;
  choice.chance = peer_random_u64 (self->random, self->random_data) | 1;
  gather (&choice);
  for (unsigned i = 0; i < choice.n; i++)
    choice.candidates[i].score =
        score (&choice, choice.candidates[i].peer, choice.candidates[i].seeder);
  qsort (choice.candidates, choice.n, sizeof choice.candidates[0], by_score);
  for (unsigned i = 0; i < choice.n && n < seeders; i++)
    if (choice.candidates[i].seeder)
      take (&choice, i, out, &n);
  unsigned chance = room / 5;
  for (unsigned i = 0; i < choice.n && n < room - chance; i++)
    take (&choice, i, out, &n);
  take_by_chance (&choice, room - n, out, &n);
  for (unsigned i = 0; i < choice.n && n < room; i++)
    take (&choice, i, out, &n);
  return n;
}
