/* SPDX-License-Identifier: Apache-2.0 */
/* Two passes over what is missing. What is due before the horizon is taken in its order, each run
 * from whoever would bring it first. What is due later is taken in units of a few chunks, the
 * rarest first, so that a chunk which only the source has gets copies before all ask for it; units
 * that all our peers have are taken in order. */
#include "peer/picker.h"

#define UNIT 8         /* chunks: whole subtrees, so that they share their hashes */
#define RUN 8          /* chunks given to one channel before the next is considered */
#define LOOKAHEAD 4096 /* chunks behind the horizon that are weighed in one go */

typedef struct {
  uint32_t rarity;
  uint64_t order;
  PeerRange run;
} Candidate;

typedef struct {
  PeerPickInput *input;
  PeerPick *out;
  size_t n, max;
} Picking;

/* The first run of the window that is neither here nor on its way; empty at window.end if none. */
static PeerRange
next_missing (const PeerPickInput *input, PeerRange window)
{
  while (!peer_range_is_empty (window)) {
    PeerRange gap = peer_chunks_gap (input->have, window);
    if (peer_range_is_empty (gap))
      break;
    PeerRange free = peer_chunks_gap (input->requested, gap);
    if (!peer_range_is_empty (free))
      return free;
    window.first = gap.end;
  }
  return (PeerRange){window.end, window.end};
}

static bool
channel_has (const PeerPickChannel *channel, uint64_t chunk)
{
  return chunk >= channel->oldest && peer_chunks_has (channel->have, chunk);
}

/* Has somebody chunk who need not be spared, even if no more can be asked of it now? */
static bool
others_have (const PeerPickInput *input, uint64_t chunk)
{
  for (size_t i = 0; i < input->n_channels; i++)
    if (!input->channels[i].spared && channel_has (&input->channels[i], chunk))
      return true;
  return false;
}

/* Who is spared is asked for a little of what others have, and like anybody else for what none of
 * them has: it may be the source. */
static uint32_t
room_for (const PeerPickInput *input, const PeerPickChannel *channel, uint64_t chunk)
{
  if (channel->alone == 0 || !others_have (input, chunk))
    return channel->room;
  return channel->room - MIN (channel->room, channel->alone);
}

/* Who would bring chunk first? n_channels = nobody can. */
static size_t
best_channel (const PeerPickInput *input, uint64_t chunk, bool urgent)
{
  size_t best = input->n_channels;
  for (size_t i = 0; i < input->n_channels; i++) {
    const PeerPickChannel *channel = &input->channels[i];
    uint32_t reserve = urgent ? 0 : channel->reserve;
    if (channel->room <= reserve || !channel_has (channel, chunk) ||
        room_for (input, channel, chunk) <= reserve)
      continue;
    if (best == input->n_channels || channel->ready < input->channels[best].ready)
      best = i;
  }
  return best;
}

/* Gives the head of run to the channel; returns where it ends. */
static uint64_t
assign (Picking *picking, size_t index, PeerRange run, uint32_t most)
{
  PeerPickChannel *channel = &picking->input->channels[index];
  uint64_t end = MIN (run.end, peer_chunks_around (channel->have, run.first).end);
  end = MIN (end, run.first + MIN (most, room_for (picking->input, channel, run.first)));

  PeerPick *last = picking->n > 0 ? &picking->out[picking->n - 1] : NULL;
  if (last != NULL && last->channel == index && last->run.end == run.first)
    last->run.end = end;
  else
    picking->out[picking->n++] = (PeerPick){index, {run.first, end}};
  peer_chunks_add (picking->input->requested, (PeerRange){run.first, end});
  channel->room -= (uint32_t)(end - run.first);
  channel->ready += channel->per_chunk * (double)(end - run.first);
  return end;
}

static uint64_t
total_room (const PeerPickInput *input, bool urgent)
{
  uint64_t room = 0;
  for (size_t i = 0; i < input->n_channels; i++) {
    const PeerPickChannel *channel = &input->channels[i];
    uint32_t reserve = urgent ? 0 : channel->reserve;
    room += channel->room > reserve ? channel->room - reserve : 0;
  }
  return room;
}

/* The part of a want's window that is due before the horizon. */
static PeerRange
due_soon (const PeerPickInput *input, const PeerWant *want)
{
  PeerRange soon = want->window;
  int64_t left = input->now + input->horizon - want->deadline;
  if (left < 0)
    soon.end = soon.first;
  else if (want->chunk_time > 0)
    soon.end = MIN (soon.end, soon.first + (uint64_t)left / want->chunk_time + 1);
  return soon;
}

static void
pick_by_deadline (Picking *picking, const PeerWant *want)
{
  PeerRange window = due_soon (picking->input, want);
  uint64_t room = total_room (picking->input, true);
  while (room > 0 && picking->n < picking->max) {
    PeerRange run = next_missing (picking->input, window);
    if (peer_range_is_empty (run))
      return;
    uint64_t stop = (run.first / RUN + 1) * RUN;
    run.end = MIN (run.end, stop);
    size_t best = best_channel (picking->input, run.first, true);
    if (best == picking->input->n_channels) {
      window.first = run.first + 1;
      continue;
    }
    window.first = assign (picking, best, run, RUN);
    room -= window.first - run.first;
  }
}

/* splitmix64's finaliser: a fixed permutation for each salt. */
static uint64_t
mix (uint64_t x)
{
  x ^= x >> 30;
  x *= UINT64_C (0xbf58476d1ce4e5b9);
  x ^= x >> 27;
  x *= UINT64_C (0x94d049bb133111eb);
  return x ^ (x >> 31);
}

static int
by_rarity (gconstpointer a, gconstpointer b)
{
  const Candidate *left = a, *right = b;
  if (left->rarity != right->rarity)
    return left->rarity < right->rarity ? -1 : 1;
  return left->order < right->order ? -1 : left->order > right->order;
}

static void
collect (const PeerPickInput *input, const PeerWant *want, GArray *candidates)
{
  PeerRange window = want->window;
  window.first = MAX (window.first, due_soon (input, want).end);
  window.first = next_missing (input, window).first; /* or what is here would fill the look-ahead */
  window.end = MIN (window.end, window.first + LOOKAHEAD);
  while (!peer_range_is_empty (window)) {
    PeerRange run = next_missing (input, window);
    if (peer_range_is_empty (run))
      return;
    run.end = MIN (run.end, (run.first / UNIT + 1) * UNIT);
    window.first = run.end;
    uint32_t holders = 0;
    for (size_t i = 0; i < input->n_channels; i++)
      holders += channel_has (&input->channels[i], run.first);
    if (holders == 0)
      continue;
    uint64_t unit = run.first / UNIT;
    Candidate candidate = {holders, holders == input->n_channels ? unit : mix (unit ^ input->salt),
                           run};
    g_array_append_val (candidates, candidate);
  }
}

static void
pick_by_rarity (Picking *picking)
{
  uint64_t room = total_room (picking->input, false);
  if (room == 0)
    return;
  g_autoptr (GArray) candidates = g_array_sized_new (FALSE, FALSE, sizeof (Candidate), 256);
  for (size_t i = 0; i < picking->input->n_wants; i++)
    collect (picking->input, &picking->input->wants[i], candidates);
  g_array_sort (candidates, by_rarity);
  for (guint i = 0; i < candidates->len && room > 0 && picking->n < picking->max; i++) {
    PeerRange run = g_array_index (candidates, Candidate, i).run;
    size_t best = best_channel (picking->input, run.first, false);
    if (best == picking->input->n_channels || peer_chunks_has_any (picking->input->requested, run))
      continue;
    uint64_t end = assign (picking, best, run, UNIT);
    room -= MIN (room, end - run.first);
  }
}

size_t
peer_picker_pick (PeerPickInput *input, PeerPick *out, size_t max)
{
  Picking picking = {input, out, 0, max};
  if (input->n_channels == 0)
    return 0;
  for (size_t i = 0; i < input->n_wants; i++)
    pick_by_deadline (&picking, &input->wants[i]);
  pick_by_rarity (&picking);
  return picking.n;
}
