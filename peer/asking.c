/* SPDX-License-Identifier: Apache-2.0 */
/* What a swarm asks of whom, and when it asks somebody else. The picker deals out what is missing;
 * what does not come in its time is asked for again. */
#include "peer/asking.h"

#define MAX_PICKS 256
#define PICK_INTERVAL 2000 /* us; many small reasons to pick make one */
#define PICK_INTERVAL_LIVE 8000
#define PICK_HORIZON_LIVE 900000 /* us; what is due before goes by deadline */
#define PICK_HORIZON_STATIC 4000000
#define URGENT_TIME 1000000 /* us; what is due before is asked for again sooner */
/* Chunks that may be asked for twice, of those that come: who is late would do so with all, and so
 * would be later yet. */
#define DOUBLES_SHARE 0.02
#define DOUBLES_MAX 32.0
#define DOWNLOAD_BURST 500000 /* us of a download limit that may be asked for at once... */
#define LEAST_BUDGET 16       /* chunks; ...and these */
#define BUDGET_TIME 20000     /* us until more may be asked for */
#define SPARED 8 /* of what others have, this part of the usual is asked of who is spared */
#define MOVE_AGE                                                                                   \
  100000 /* us that a live chunk was asked for before another is asked in its place... */
#define MOVE_GAIN 0.4                 /* ...who brings it in this part of the time, ... */
#define MOVE_LEAST 150000             /* us that it would still take, by how many are before it, */
#define MAX_MOVED 8                   /* ...so many at a time */
#define SUSPECT_TIME INT64_C (800000) /* us: a keep-alive is due each 500 ms */
#define DOUBT 300000       /* us that who has not proven itself, or has just missed, seems slower */
#define AVOID_TIME 3000000 /* us without requests for who did not answer three */
#define AVOID_DOUBLINGS 4  /* of this time, while nothing comes at all */

bool
peer_swarm_is_wanted (const PeerSwarm *self, uint64_t chunk)
{
  for (guint i = 0; i < self->wants->len; i++)
    if (peer_range_has (g_array_index (self->wants, PeerWant, i).window, chunk))
      return true;
  return false;
}

void
peer_swarm_unask (PeerSwarm *self, uint64_t chunk, PeerChannel *except)
{
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel != except && channel->asks->len > 0 && peer_channel_unask (channel, chunk)) {
      PeerRange run = {chunk, chunk + 1};
      g_array_append_val (channel->to_cancel, run);
      peer_core_ready (self->core, channel);
    }
  }
}

static double
time_per_chunk (const PeerSwarm *self, const PeerChannel *channel)
{
  double rate = channel->rate > 0 ? channel->rate : 65536;
  return (double)peer_content_chunk_max (&self->content) * 1e6 / rate;
}

/* In a live swarm somebody who lives is heard of within a keep-alive's time. Who is not may be gone;
 * that is not sure enough to end the channel, but others are better asked. */
static bool
may_be_gone (const PeerSwarm *self, const PeerChannel *channel)
{
  return self->live && channel->unanswered > 0 &&
         self->core->now - channel->last_received > (SUSPECT_TIME << channel->quiet);
}

/* us until somebody would bring a chunk if it were asked for at once. Who has never brought one may
 * be lying (12.6.2, HAVE.1): it is asked when those who have are busy, and so are others whom it
 * takes long. */
static double
time_until_ready (const PeerSwarm *self, const PeerChannel *channel)
{
  double queue = time_per_chunk (self, channel) * peer_channel_n_asks (channel);
  double doubt = channel->answered_at == 0 ? DOUBT : 0;
  return (double)channel->latency + queue + doubt + (double)DOUBT * channel->misses;
}

/* even_full: it may have been asked for as much as it can take. */
static bool
may_ask (const PeerSwarm *self, const PeerChannel *channel, bool even_full)
{
  return channel->state == PEER_CHANNEL_OPEN && !channel->choked && !may_be_gone (self, channel) &&
         (even_full || peer_channel_n_asks (channel) < (uint32_t)channel->quota) &&
         channel->avoid_until <= self->core->now && !peer_swarm_is_silent (self, channel);
}

void
peer_swarm_limit_download (PeerSwarm *self, uint64_t rate)
{
  double burst = (double)rate * DOWNLOAD_BURST / 1e6 + LEAST_BUDGET * self->content.chunk_size;
  peer_limit_set (&self->download, self->core->now, rate, burst);
  self->pick = true;
  self->pick_after = 0;
  peer_core_wake (self->core, self->core->now);
}

/* Chunks that may be asked for, so that with those that are still to come no more come than the limit
 * allows. */
static uint64_t
ask_budget (const PeerSwarm *self)
{
  if (self->download.rate == 0)
    return UINT64_MAX;
  double left = peer_limit_left (&self->download, self->core->now) / self->content.chunk_size -
                (double)peer_chunks_count (self->requested);
  return left >= 1 ? (uint64_t)left : 0;
}

static void
pick_later (PeerSwarm *self)
{
  self->pick = true;
  self->pick_after = self->core->now + BUDGET_TIME;
}

/* What the budget does not allow is not requested after all. */
static PeerRange
within_budget (PeerSwarm *self, PeerRange run, uint64_t *budget)
{
  PeerRange rest = run;
  run.end = run.first + MIN (peer_range_size (run), *budget);
  rest.first = run.end;
  *budget -= peer_range_size (run);
  if (!peer_range_is_empty (rest)) {
    peer_chunks_remove (self->requested, rest);
    pick_later (self);
  }
  return run;
}

/* Of whom something can be asked now. Who needs not be spared is among them even if it cannot take
 * more, as long as somebody is spared for its sake. */
static size_t
able_channels (const PeerSwarm *self, PeerPickChannel *able, PeerChannel **who)
{
  size_t n = 0;
  bool sparing = false;
  for (guint i = 0; i < self->channels->len && !sparing; i++)
    sparing = peer_status_is_spared (&((PeerChannel *)self->channels->pdata[i])->status);
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    bool spared = sparing && peer_status_is_spared (&channel->status);
    uint32_t quota = (uint32_t)channel->quota, asks = peer_channel_n_asks (channel);
    if (!may_ask (self, channel, sparing && !spared))
      continue;
    uint32_t room = quota - MIN (quota, asks);
    able[n] = (PeerPickChannel){
        .have = channel->have,
        .oldest = peer_channel_oldest (channel),
        .ready = time_until_ready (self, channel),
        .per_chunk = time_per_chunk (self, channel),
        .room = room,
        .reserve = MIN (room, quota / (spared ? 4 * SPARED : 4)),
        .spared = spared,
        .alone = spared ? quota - MAX (quota / SPARED, 1) : 0,
    };
    who[n++] = channel;
  }
  return n;
}

void
peer_swarm_pick (PeerSwarm *self)
{
  PeerCore *core = self->core;
  self->pick = false;
  self->picked_at = core->now;
  uint64_t budget = ask_budget (self);
  if (budget == 0) {
    pick_later (self);
    return;
  }
  g_autofree PeerPickChannel *able = g_new (PeerPickChannel, self->channels->len);
  g_autofree PeerChannel **who = g_new (PeerChannel *, self->channels->len);
  size_t n = able_channels (self, able, who);
  PeerPick picks[MAX_PICKS];
  PeerPickInput input = {
      .wants = &g_array_index (self->wants, PeerWant, 0),
      .n_wants = self->wants->len,
      .have = self->have,
      .requested = self->requested,
      .channels = able,
      .n_channels = n,
      .now = core->now,
      .horizon = self->live ? PICK_HORIZON_LIVE : PICK_HORIZON_STATIC,
      .salt = self->salt,
  };
  size_t n_picks = peer_picker_pick (&input, picks, MAX_PICKS);
  for (size_t i = 0; i < n_picks; i++) {
    PeerRange run = within_budget (self, picks[i].run, &budget);
    if (peer_range_is_empty (run))
      continue;
    peer_channel_ask (who[picks[i].channel], core->now, run);
    peer_core_ready (core, who[picks[i].channel]);
  }
}

uint64_t
peer_swarm_urgent_end (const PeerSwarm *self)
{
  uint64_t end = 0;
  for (guint i = 0; self->live && i < self->wants->len; i++) {
    const PeerWant *want = &g_array_index (self->wants, PeerWant, i);
    int64_t left = self->core->now + URGENT_TIME - want->deadline;
    if (left > 0 && want->chunk_time > 0)
      end = MAX (end, want->window.first + (uint64_t)left / want->chunk_time);
  }
  return end;
}

/* A newcomer asks the first that tells what it has for a chunk of each of its last two munros: their
 * signatures come along, and say where the channel is and how fast it goes (6.1.2.4). That is a
 * round trip earlier than by waiting for the newest munro and asking then.
 *
 * With Sign All nobody tells us a newest munro, ever: the only proof of a chunk is the chunk. So the
 * newest that each peer claims is asked of it, as often as that is beyond what is proven. */
void
peer_swarm_sound_out (PeerSwarm *self, PeerChannel *channel)
{
  uint64_t n = self->content.chunks_per_signature;
  bool newcomer = peer_range_is_empty (self->edge);
  if (!self->live || self->source || channel->have_end == 0 || channel->choked) /* 3.9 */
    return;
  if (self->sign_all ? channel->have_end <= self->edge.end || !may_ask (self, channel, false)
                     : channel->sounded || !newcomer)
    return;
  channel->sounded = true;
  uint64_t first = (channel->have_end - 1) / n * n;
  for (unsigned i = 0; i < (newcomer ? 2 : 1); i++, first -= n) {
    PeerRange run = {first, first + 1};
    if (peer_channel_has (channel, first) &&
        !(self->sign_all && peer_chunks_has (self->requested, first)) &&
        peer_chunks_add (self->requested, run)) {
      peer_channel_ask (channel, self->core->now, run);
      peer_core_ready (self->core, channel);
    }
    if (first < n)
      break;
  }
}

/* Asks that were not answered in time go to somebody else, or are said again: the REQUEST may have
 * been lost. Who answers nothing at all is slow, and is left alone for a while (12.6.2, HAVE.1). */
static void
expire_asks (PeerSwarm *self, PeerChannel *channel)
{
  PeerCore *core = self->core;
  uint64_t chunk;
  g_autoptr (PeerChunks) expired = NULL;
  int64_t now = may_be_gone (self, channel) ? PEER_NEVER : core->now;
  while (peer_channel_expired_ask (channel, now, &chunk)) {
    PeerRange run = {chunk, chunk + 1};
    if (expired == NULL)
      expired = peer_chunks_new (0);
    peer_chunks_add (expired, run);
    g_array_append_val (channel->to_cancel, run);
  }
  if (expired == NULL)
    return;
  peer_swarm_give_up (self, expired);
  self->pick = true;
  peer_core_ready (core, channel);
  peer_channel_missed (channel, core->now);
  if (channel->misses >= 3) {
    channel->avoid_until = core->now + (AVOID_TIME << MIN (channel->avoided, AVOID_DOUBLINGS));
    channel->avoided++;
    peer_core_look (core, channel, channel->avoid_until);
  }
}

void
peer_swarm_earn_double (PeerSwarm *self)
{
  self->doubles = MIN (self->doubles + DOUBLES_SHARE, DOUBLES_MAX);
}

/* Who else would bring it first? NULL = nobody can. */
static PeerChannel *
other_for (PeerSwarm *self, const PeerChannel *channel, uint64_t chunk, double *ready)
{
  PeerChannel *best = NULL;
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *other = g_ptr_array_index (self->channels, i);
    if (other == channel || !peer_channel_has (other, chunk) || !may_ask (self, other, false))
      continue;
    double time = time_until_ready (self, other);
    if ((best == NULL || time < *ready) && !peer_channel_has_ask (other, chunk)) {
      best = other;
      *ready = time;
    }
  }
  return best;
}

/* What waits long with one, and could be here soon by another that has got it since, is asked of that
 * one instead: who had it first is asked by all. */
static void
move_asks (PeerSwarm *self, PeerChannel *channel)
{
  PeerCore *core = self->core;
  uint64_t chunk;
  guint at = 0;
  for (unsigned moved = 0; self->live && moved < MAX_MOVED &&
                           peer_channel_old_ask (channel, core->now - MOVE_AGE, &at, &chunk);) {
    double ready = 0, left = time_per_chunk (self, channel) * (at - channel->asks_first);
    PeerChannel *other = left < MOVE_LEAST ? NULL : other_for (self, channel, chunk, &ready);
    if (other == NULL || ready > left * MOVE_GAIN)
      continue;
    PeerRange run = {chunk, chunk + 1};
    peer_channel_unask (channel, chunk);
    at--;
    g_array_append_val (channel->to_cancel, run);
    peer_channel_ask (other, core->now, run);
    peer_core_ready (core, channel);
    peer_core_ready (core, other);
    moved++;
  }
}

/* 3.8: what is urgent and does not come is asked of another one too, or of the same once more if
 * nobody else has it; whoever is second is told not to send it when it has come. */
static void
double_asks (PeerSwarm *self, PeerChannel *channel, uint64_t urgent)
{
  PeerCore *core = self->core;
  uint64_t chunk;
  while (self->doubles >= 1 && peer_channel_slow_ask (channel, core->now, urgent, &chunk)) {
    double ready = 0;
    PeerChannel *best = other_for (self, channel, chunk, &ready);
    if (best != NULL)
      peer_channel_ask (best, core->now, (PeerRange){chunk, chunk + 1});
    else
      peer_channel_say_again (channel, chunk);
    self->doubles--;
    peer_core_ready (core, best != NULL ? best : channel);
  }
}

void
peer_swarm_ask_again (PeerSwarm *self, PeerChannel *channel, uint64_t urgent)
{
  expire_asks (self, channel);
  double_asks (self, channel, urgent);
  move_asks (self, channel);
}

int64_t
peer_swarm_next_pick (const PeerSwarm *self)
{
  if (!self->pick || self->wants->len == 0)
    return PEER_NEVER;
  return MAX (self->picked_at + (self->live ? PICK_INTERVAL_LIVE : PICK_INTERVAL),
              self->pick_after);
}

void
peer_swarm_tell_late (PeerSwarm *self)
{
  for (guint i = 0; i < self->wants->len; i++) {
    const PeerWant *want = &g_array_index (self->wants, PeerWant, i);
    if (!self->live || want->deadline > self->core->now || want->chunk_time == 0)
      continue;
    PeerRange due = want->window;
    due.first = MAX (due.first, self->late_told);
    due.end = MIN (due.end, want->window.first +
                                (uint64_t)(self->core->now - want->deadline) / want->chunk_time);
    PeerRange gap = peer_chunks_gap (self->have, due);
    if (peer_range_is_empty (due) || peer_range_is_empty (gap))
      continue;
    self->late_told = gap.end;
    PeerEvent event = {.type = PEER_EVENT_LATE, .swarm = self, .chunks = gap};
    peer_event_queue_push (self->core->events, &event);
  }
}
