/* SPDX-License-Identifier: Apache-2.0 */
/* What a swarm tells of to whom, and how soon. Who has fetched a chunk tells all; a source tells a few
 * of what it has just made, or everybody would come to it. */
#include "peer/telling.h"

#define FIRST_COPIES 1 /* peers that a source tells of a unit at once, up to PEER_FIRST_COPIES... */
#define COPY_FOR 32    /* ...one for each so many peers: with fewer it would be sent in vain */
#define FIRST_UNIT 16  /* chunks */
#define WITHHOLD_STEP 200000 /* us; by then the first one has it, if all goes well */
#define WITHHOLD_STEPS 7     /* until it tells all */
#define KEPT_STEPS 3         /* until one more is told whatever the first ones say they have */
#define JUDGE_STEPS 4 /* since they have got it until the first ones are thought to keep it */
#define STUCK_STEPS 5 /* until one more is told although others wait for it */
#define SURE_COPIES 2 /* that others have made before a source in a crowd leaves it to them */
#define PASSES_LEAST                                                                               \
  0.0625 /* of who has never passed on anything it is asked whether it still is so */
#define PASSES_STEP 0.5
#define MOST_STEPS 30 /* until a crowd is left alone with a unit, which it has played by then */
#define MOST_TOLD_RUNS 1024 /* of one channel: each HAVE may break one in two */
#define BUSY_LEAST 128      /* chunks that a source may be asked for without being busy... */
#define BUSY_LEAST_HAVE 16
#define BUSY_TIME 200000           /* us: ...or as many as it sends in this time */
#define RARE 2                     /* peers that have a chunk which must be told of soon */
#define HAVE_DELAY_RARE 20000      /* us; for a unit that hardly anybody has... */
#define HAVE_DELAY_RARE_PART 50000 /* ...and for a part of it, while the rest comes */
#define HAVE_DELAY_LIVE 250000
#define HAVE_DELAY_PART 300000
#define HAVE_DELAY_BUSY 1500000 /* us; who cannot give it soon is better not asked for it */
#define HAVE_DELAY_STATIC 200000
#define MOST_PARTS 256 /* units of which parts are not told of yet */

static void
announce_to (PeerSwarm *self, PeerChannel *channel, PeerRange run, int64_t delay)
{
  if (channel->state != PEER_CHANNEL_OPEN || peer_chunks_has_all (channel->have, run))
    return;
  peer_chunks_add (channel->announce, run);
  channel->announce_at = MIN (channel->announce_at, self->core->now + delay);
  peer_core_look (self->core, channel, channel->announce_at);
}

void
peer_swarm_announce (PeerSwarm *self, PeerRange run, const PeerChannel *except, int64_t delay)
{
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel != except)
      announce_to (self, channel, run, delay);
  }
}

/* More is asked of us than we can send before long: to tell more would make it longer yet. */
static bool
is_busy (const PeerSwarm *self, uint64_t least)
{
  uint64_t waiting = 0;
  for (guint i = 0; i < self->channels->len; i++)
    waiting += peer_channel_backlog (g_ptr_array_index (self->channels, i));
  double sent = self->rate_up * BUSY_TIME / 1e6 / peer_content_chunk_max (&self->content);
  return waiting > least && (double)waiting > sent;
}

static bool
is_first_of_edge (const PeerSwarm *self, uint64_t chunk)
{
  PeerRange before = {self->edge.first, chunk}, after = {chunk + 1, self->edge.end};
  return peer_range_has (self->edge, chunk) && !peer_chunks_has_any (self->have, before) &&
         !peer_chunks_has_any (self->have, after);
}

static bool
is_rare (const PeerSwarm *self, uint64_t chunk)
{
  unsigned holders = 0;
  for (guint i = 0; i < self->channels->len && holders <= RARE; i++) {
    const PeerChannel *channel = g_ptr_array_index (self->channels, i);
    holders += channel->state == PEER_CHANNEL_OPEN && peer_channel_has (channel, chunk);
  }
  return holders <= RARE;
}

/* us: how long the news of a unit, or of a part of it, waits (3.2 leaves it to us). */
static int64_t
have_delay (const PeerSwarm *self, uint64_t chunk, bool whole)
{
  if (!self->live)
    return HAVE_DELAY_STATIC;
  if (is_rare (self, chunk))
    return whole ? HAVE_DELAY_RARE : HAVE_DELAY_RARE_PART;
  if (!whole)
    return HAVE_DELAY_PART;
  return is_busy (self, BUSY_LEAST_HAVE) ? HAVE_DELAY_BUSY : HAVE_DELAY_LIVE;
}

static void
announce_part (PeerSwarm *self, PeerRange unit)
{
  PeerRange run;
  int64_t delay = self->live && is_rare (self, unit.first) ? 0 : HAVE_DELAY_LIVE;
  for (; !peer_range_is_empty (run = peer_chunks_next (self->have, unit)); unit.first = run.end)
    peer_swarm_announce (self, run, NULL, delay);
}

static guint
find_part (const PeerSwarm *self, uint64_t first)
{
  guint i = self->parts->len;
  while (i > 0 && g_array_index (self->parts, PeerPart, i - 1).first != first)
    i--;
  return i;
}

/* A HAVE for each chunk to each neighbour is more than the chunk is worth, since they seldom come in
 * their order. So what is told of are whole units, and parts of them when the rest is long in coming.
 * The first chunk of a munro is told of soon: it frees the others of sending us that munro. */
void
peer_swarm_tell_chunk (PeerSwarm *self, uint64_t chunk, const PeerChannel *from)
{
  uint64_t first = chunk - chunk % FIRST_UNIT;
  PeerRange unit = {first, first + FIRST_UNIT};
  guint found = find_part (self, first);
  if (!self->sign_all && is_first_of_edge (self, chunk))
    peer_swarm_announce (self, (PeerRange){chunk, chunk + 1}, from, HAVE_DELAY_RARE);
  if (peer_chunks_has_all (self->have, unit)) {
    if (found > 0)
      g_array_remove_index (self->parts, found - 1);
    peer_swarm_announce (self, unit, NULL, have_delay (self, chunk, true));
    return;
  }
  if (found > 0)
    return;
  PeerPart part = {first, self->core->now + have_delay (self, chunk, false)};
  g_array_append_val (self->parts, part);
  peer_core_wake (self->core, self->parts->len > MOST_PARTS ? self->core->now : part.due);
}

int64_t
peer_swarm_tell_parts (PeerSwarm *self)
{
  int64_t next = PEER_NEVER;
  for (guint i = 0; i < self->parts->len;) {
    PeerPart part = g_array_index (self->parts, PeerPart, i);
    if (part.due > self->core->now && self->parts->len <= MOST_PARTS) {
      next = MIN (next, part.due);
      i++;
      continue;
    }
    g_array_remove_index (self->parts, i);
    announce_part (self, (PeerRange){part.first, part.first + FIRST_UNIT});
  }
  return next;
}

/* How likely it is drawn to be told of run: not at all where that is lost, since it does not listen or
 * knows already. Who keeps to itself what it gets is seldom drawn, and now and then all the same, so that it
 * can show that it has changed, or was only unlucky. */
static double
chance_of (const PeerSwarm *self, const PeerChannel *channel, PeerRange run)
{
  if (channel->state != PEER_CHANNEL_OPEN || channel->choking ||
      peer_swarm_is_silent (self, channel) || peer_chunks_has_any (channel->told, run) ||
      peer_chunks_has_any (channel->announce, run) || peer_chunks_has_any (channel->have, run))
    return 0;
  return MAX (channel->passes, PASSES_LEAST);
}

/* NULL = there is nobody to be told. */
static PeerChannel *
draw_one (PeerSwarm *self, PeerRange run)
{
  double sum = 0, at = peer_random_u32 (self->core->random, self->core->random_data) / 4294967296.0;
  for (guint i = 0; i < self->channels->len; i++)
    sum += chance_of (self, g_ptr_array_index (self->channels, i), run);
  PeerChannel *drawn = NULL;
  at *= sum;
  for (guint i = 0; i < self->channels->len && at >= 0; i++) {
    double chance = chance_of (self, g_ptr_array_index (self->channels, i), run);
    if (chance > 0)
      drawn = g_ptr_array_index (self->channels, i);
    at -= chance;
  }
  return drawn;
}

/* Of two channels drawn at random the one that passes on much more, or else the one that has less to do:
 * it brings a new chunk to the others soonest (the power of two choices). */
static PeerChannel *
draw_channel (PeerSwarm *self, PeerRange run)
{
  PeerChannel *one = draw_one (self, run), *other = draw_one (self, run);
  if (one == NULL)
    return NULL;
  if (one->passes < other->passes / 2)
    return other;
  if (other->passes < one->passes / 2)
    return one;
  return peer_channel_backlog (other) < peer_channel_backlog (one) ? other : one;
}

static unsigned
first_copies (const PeerSwarm *self)
{
  return CLAMP (self->channels->len / COPY_FOR, FIRST_COPIES, PEER_FIRST_COPIES);
}

/* A source that tells everybody of its newest chunks at once is asked by everybody. It tells a few
 * of each unit, and all when those have had the time to tell the others (3.2: a peer tells those
 * whom it wants to allow to download). */
void
peer_swarm_announce_first (PeerSwarm *self, PeerRange run)
{
  if (self->channels->len <= FIRST_COPIES + 1) {
    peer_swarm_announce (self, run, NULL, 0);
    return;
  }
  for (PeerRange unit = {run.first, run.first}; unit.first < run.end; unit.first = unit.end) {
    unit.end = MIN (unit.first + FIRST_UNIT, run.end);
    PeerWithheld withheld = {.chunks = unit, .due = self->core->now + WITHHOLD_STEP};
    for (unsigned i = 0; i < first_copies (self); i++) {
      PeerChannel *channel = draw_channel (self, unit);
      if (channel == NULL)
        continue;
      announce_to (self, channel, unit, 0);
      withheld.first[withheld.n_first++] = channel->local;
    }
    g_array_append_val (self->withheld, withheld);
  }
}

/* Where a unit is, as far as a source can see. */
typedef struct {
  unsigned given;   /* peers that we have sent some of it */
  unsigned keepers; /* of them: who have all of it */
  unsigned others;  /* they say that they have some of it, and had it of somebody else */
  unsigned waiting; /* we have yet to send it to them, or it is on its way */
} Copies;

static bool
is_keeper (const PeerChannel *channel, PeerRange run)
{
  return peer_chunks_has_any (channel->given, run) && peer_chunks_has_all (channel->have, run);
}

/* May its word be taken for what it has of others? Saying alone costs nothing (12.6.2, HAVE.1): who has
 * never taken anything of us may be one who only says. */
static bool
is_witness (const PeerChannel *channel)
{
  return channel->newest_acked > 0 && !channel->boasts;
}

static Copies
count_copies (const PeerSwarm *self, PeerRange run)
{
  Copies copies = {0};
  for (guint i = 0; i < self->channels->len; i++) {
    const PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->state != PEER_CHANNEL_OPEN)
      continue;
    bool given = peer_chunks_has_any (channel->given, run);
    copies.given += given;
    copies.keepers += is_keeper (channel, run);
    copies.waiting += peer_chunks_has_any (channel->waiting, run) ||
                      peer_chunks_has_any (channel->in_flight, run);
    copies.others += !given && is_witness (channel) && peer_chunks_has_any (channel->have, run);
  }
  return copies;
}

/* Have we sent all of it? What one chunk of it became does not show what will become of the others. */
static bool
is_out (const PeerSwarm *self, PeerRange run)
{
  for (uint64_t chunk = run.first; chunk < run.end; chunk++)
    if (self->copies[chunk % PEER_COPIES] == 0)
      return false;
  return true;
}

/* The channel of one of those who were told first; NULL = it is gone. */
static PeerChannel *
first_told (const PeerSwarm *self, const PeerWithheld *withheld, unsigned i)
{
  PeerChannel *channel =
      g_hash_table_lookup (self->core->channels, GUINT_TO_POINTER (withheld->first[i]));
  bool ours = channel != NULL && channel->swarm == self && channel->state == PEER_CHANNEL_OPEN;
  return ours ? channel : NULL;
}

/* A copy is worth something where it is passed on (12.6.6). Where others have got what we gave to the
 * first alone, those have passed it on; where nobody else has it when they have had the time, they keep
 * it. */
static void
judge_first (PeerSwarm *self, PeerWithheld *withheld, const Copies *copies)
{
  unsigned given = 0, keepers = 0;
  bool passed = copies->others > 0;
  PeerChannel *kept[PEER_FIRST_COPIES];
  if (withheld->judged)
    return;
  for (unsigned i = 0; i < withheld->n_first; i++) {
    PeerChannel *channel = first_told (self, withheld, i);
    given += channel != NULL && peer_chunks_has_any (channel->given, withheld->chunks);
    if (channel != NULL && is_keeper (channel, withheld->chunks))
      kept[keepers++] = channel;
  }
  withheld->kept += keepers > 0;
  withheld->judged = passed || withheld->kept >= JUDGE_STEPS;
  if (!withheld->judged || (passed && given != copies->given))
    return; /* by whom, nobody knows */
  for (unsigned i = 0; i < keepers; i++)
    kept[i]->passes += (passed - kept[i]->passes) * PASSES_STEP;
}

/* Is one more to be told now? While we are busy and some wait for it, it is we who are slow, and more of
 * them make us slower yet. */
static bool
needs_copy (const PeerSwarm *self, const PeerWithheld *withheld, const Copies *copies, bool busy)
{
  bool stuck = withheld->steps % STUCK_STEPS == 0;
  if (busy &&
      ((copies->others > 0 && is_out (self, withheld->chunks)) || (copies->waiting > 0 && !stuck)))
    return false;
  return copies->keepers < FIRST_COPIES || withheld->steps >= KEPT_STEPS;
}

/* Units that too few have got yet are told to one more with each step, and so are those that the
 * first ones, it seems, keep to themselves. When the others have had their time, all are told, who may
 * know nobody but us; unless we are busy, since then everybody would wait for us. In a crowd one more
 * is told with each step until some have got it from others. */
int64_t
peer_swarm_announce_withheld (PeerSwarm *self)
{
  guint n = 0;
  bool busy = is_busy (self, BUSY_LEAST);
  if (self->channels->len == 0)
    g_array_set_size (self->withheld, 0); /* who comes is told all that there is */
  for (guint end = self->withheld->len; n < end; n++) {
    PeerWithheld withheld = g_array_index (self->withheld, PeerWithheld, n);
    if (withheld.due > self->core->now)
      break;
    withheld.steps++;
    bool over = withheld.steps >= WITHHOLD_STEPS;
    if (over && !busy && !peer_swarm_is_crowded (self)) {
      peer_swarm_announce (self, withheld.chunks, NULL, 0);
      continue;
    }
    if (self->edge.end - withheld.chunks.end >= self->discard_window ||
        (withheld.steps >= MOST_STEPS && peer_swarm_is_crowded (self)))
      continue;
    Copies copies = count_copies (self, withheld.chunks);
    judge_first (self, &withheld, &copies);
    /* in a crowd nobody knows only us, and all would come for what is old already */
    if (over && peer_swarm_is_crowded (self) && copies.others >= SURE_COPIES &&
        (busy || copies.keepers >= SURE_COPIES) && is_out (self, withheld.chunks))
      continue;
    PeerChannel *channel =
        needs_copy (self, &withheld, &copies, busy && peer_swarm_is_crowded (self))
            ? draw_channel (self, withheld.chunks)
            : NULL;
    if (channel != NULL)
      announce_to (self, channel, withheld.chunks, 0);
    withheld.due += WITHHOLD_STEP;
    g_array_append_val (self->withheld, withheld);
  }
  g_array_remove_range (self->withheld, 0, n);
  return self->withheld->len > 0 ? g_array_index (self->withheld, PeerWithheld, 0).due : PEER_NEVER;
}

/* A HAVE that was lost is said again with the next one; when none follows, as at the end of a stream,
 * the keep-alive takes the newest along (8.2: what may be lost may be resent). */
void
peer_swarm_repeat_have (PeerSwarm *self, PeerChannel *channel)
{
  const PeerChunks *all = self->source ? channel->told : self->have;
  size_t n = peer_chunks_n_runs (all);
  if (n > 0)
    announce_to (self, channel, peer_chunks_run (all, n - 1), 0);
}

/* What is older than this source was said by the one before it, which has lost its memory. */
void
peer_swarm_on_boast (PeerSwarm *self, PeerChannel *channel, PeerRange run)
{
  uint64_t newest = run.end - 1;
  if (!self->live || peer_range_is_empty (run) || newest < self->begun)
    return;
  channel->boasts |= newest >= self->edge.end || (newest + PEER_COPIES >= self->edge.end &&
                                                  self->copies[newest % PEER_COPIES] == 0);
  if (peer_chunks_n_runs (channel->told) < MOST_TOLD_RUNS)
    peer_chunks_remove (channel->told, run);
}
