/* SPDX-License-Identifier: Apache-2.0 */
/* Without a limit there is nothing to share out: channels are asked in turn, and LEDBAT says how
 * much each may have in flight. With one, those who wait for chunks stand in a line:
 *
 *   ready queue (what is to be said)        limits          line (chunks)
 *   [ack] [have] [request] ...              engine  ---     A  B  C  D
 *        no turn is needed to speak         swarm   ---     |        ^
 *                                                           v        |
 *                                       sends its share, and goes to the end
 *
 * Each turn is worth the same number of bytes, and what it exceeds them by is taken off the next
 * (deficit round robin), so all get the same whatever they ask for and however often they speak.
 * The line knows no swarms: who waits for a swarm's own limit is passed over.
 *
 * A live stream's bitrate bounds what a single peer can put to use (12.6.6); it may have half as much
 * again, and what a player stores up before it starts. While our line is full, whoever takes it from
 * those who pass it on is the worse for all: then each has a few neighbours' share of that, and more
 * for what it brings us. Who asks of all of us only, and gives nothing, gets a multiple of the stream
 * still, but no longer all that there is.
 *
 * When more wait than there are shares worth having, some are choked. Most of the others are those
 * who bring us most; a quarter is drawn by lot, so that newcomers can show what they are good for.
 * Who brings nothing has no other chance than the lot. */
#include "peer/uploads.h"
#include "peer/peers.h"
#include <math.h>
#include <string.h>

#define TURN_TIME 10000         /* us of the limit that one turn is worth... */
#define TURN_MAX 16384          /* bytes; ...at most */
#define TURN_FREE 4096          /* bytes; where only the line is the limit */
#define BURST_TIME 50000        /* us of the limit that may be saved up */
#define PACE_PERCENT 150        /* of the bitrate, to one peer */
#define PACE_BURST 5            /* s of the bitrate: what a player stores up before it starts */
#define PACE_BURST_LEAST 262144 /* bytes */
#define FULL_TIME 5000000       /* us that our line is taken for full after it was */
#define FULL_SHARERS 4          /* neighbours who together may give all to one who gives nothing */
#define FULL_BURST 0.5          /* s of the bitrate */
#define RETURN_FACTOR 2         /* of what it brings us, that one may have beside */
#define PACE_STEP 8             /* a rate that differs by less than this part of it is the same */
#define PACE_TIME 4000000       /* us, by the signatures, over which the bitrate is measured */
#define CHOICE_TIME 5000000     /* us between choices */
#define TENURE 15000000         /* us that who won by lot stays in */
#define ALL_INCREASE 16   /* datagrams that all channels may have in flight beyond what they had */
#define ALL_LEAST 8       /* datagrams that they may always have in flight */
#define COPY_TIME 50000   /* us that one waits longer in line for each copy given before... */
#define COPIES_MOST 16    /* ...up to these */
#define FULL_QUEUE 50000  /* us that all see in our line, which so is full */
#define LOSS_QUEUE 100000 /* us that stand in the line where a loss is of our making */
#define LOSSY_LEAST 3     /* channels that have something in flight... */
#define LOSSY_HEARD 1000000 /* us: ...and were heard of, by which our line is judged... */
#define LOSSY_TIME 1000000  /* us: ...once in this time */
#define LEAST_SLOTS 4
#define LEAST_SHARE 16384 /* bytes/s that make a slot worth having... */
#define LIVE_SHARE 4      /* ...or this part of the bitrate of a live stream */
#define GOT_TIME 10e6     /* us: what was brought is forgotten by half in this time, about */
#define GOT_LEAST 256     /* bytes/s that count as bringing something */

/* --- our own line --- */

void
peer_uploads_init (PeerCore *core)
{
  PeerLedbatOptions options = {.mss = PEER_DATAGRAM_MAX, .allowed_increase = ALL_INCREASE};
  peer_ledbat_init (&core->all, &options);
}

/* Bytes that may be in flight on all channels together. */
static size_t
window_of_all (const PeerCore *core)
{
  return MAX (peer_ledbat_window (&core->all), ALL_LEAST * PEER_DATAGRAM_MAX);
}

static bool
is_line_filled (const PeerCore *core)
{
  return core->flight + PEER_DATAGRAM_MAX > window_of_all (core);
}

void
peer_uploads_flown (PeerChannel *channel)
{
  PeerCore *core = channel->swarm->core;
  bool less = channel->flight_bytes < channel->upload.counted;
  core->flight += channel->flight_bytes - channel->upload.counted;
  channel->upload.counted = channel->flight_bytes;
  if (less && !is_line_filled (core))
    core->line_at = core->now;
}

void
peer_uploads_acked (PeerChannel *channel)
{
  PeerCore *core = channel->swarm->core;
  size_t flight = core->flight, acked = channel->upload.counted - channel->flight_bytes;
  if (channel->upload.counted <= channel->flight_bytes)
    return;
  peer_ledbat_on_ack (&core->all, core->now, (uint64_t)channel->ledbat.queuing,
                      channel->ledbat.srtt, acked, flight);
  if (core->all.queuing >= FULL_QUEUE)
    core->full = core->now;
  peer_uploads_flown (channel);
}

/* Where nearly all lose much it is our line that does, though it has no queue to be seen in: it drops what
 * it cannot hold. A few who do not acknowledge, or are gone, cannot make it seem so. */
static bool
is_line_lossy (const PeerCore *core)
{
  unsigned n = 0, lossy = 0;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, core->channels);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const PeerChannel *channel = value;
    if (channel->upload.counted == 0 || core->now - channel->last_received > LOSSY_HEARD)
      continue;
    n++;
    lossy += peer_ledbat_is_lossy (&channel->ledbat);
  }
  return n >= LOSSY_LEAST && lossy * 4 >= n * 3;
}

void
peer_uploads_lost (PeerChannel *channel)
{
  PeerCore *core = channel->swarm->core;
  size_t before = channel->upload.counted;
  size_t lost = before > channel->flight_bytes ? before - channel->flight_bytes : 0;
  bool lossy = lost > 0 && peer_ledbat_is_lossy (&channel->ledbat) &&
               core->lossy + LOSSY_TIME <= core->now && is_line_lossy (core);
  if (lossy)
    core->full = core->lossy = core->now;
  if (lost > 0 && (channel->ledbat.queuing >= LOSS_QUEUE || lossy))
    peer_ledbat_on_loss (&core->all, core->now, core->now - channel->ledbat.srtt, lost);
  peer_uploads_flown (channel);
}

/* --- the line --- */

void
peer_uploads_limit (PeerCore *core, PeerLimit *limit, uint64_t rate)
{
  double burst = MAX ((double)rate * BURST_TIME / 1e6, 2 * PEER_DATAGRAM_MAX);
  peer_limit_set (limit, core->now, rate, burst);
  core->line_at = core->now;
}

void
peer_uploads_spend (PeerSwarm *swarm, PeerChannel *channel, size_t n)
{
  peer_limit_spend (&channel->upload.pace, swarm->core->now, n);
  peer_limit_spend (&swarm->core->upload, swarm->core->now, n);
  peer_limit_spend (&swarm->upload, swarm->core->now, n);
}

static void
join_line (PeerCore *core, PeerChannel *channel)
{
  if (channel->upload.in_line)
    return;
  channel->upload.in_line = true;
  channel->upload.waits = core->now;
  g_queue_push_tail (&core->line, channel);
  core->line_at = core->now;
}

/* us: who came first goes first, but before him who asks for what we have sent seldomer: the others
 * can get it from those whom we sent it to, and so each of our bytes is passed on the most. */
static int64_t
place_in_line (const PeerChannel *channel)
{
  uint64_t chunk;
  const uint8_t *copies = channel->swarm->copies;
  if (copies == NULL || !peer_channel_peek_request (channel, &chunk))
    return channel->upload.waits;
  return channel->upload.waits + COPY_TIME * MIN (copies[chunk % PEER_COPIES], COPIES_MOST);
}

PeerChannel *
peer_uploads_next (PeerCore *core)
{
  int64_t ready = peer_limit_ready (&core->upload, core->now), best_place = 0;
  GList *best = NULL;
  core->line_at = PEER_NEVER;
  if (is_line_filled (core))
    return NULL; /* until something is acknowledged, or lost */
  for (GList *at = core->line.head; at != NULL; at = at->next) {
    PeerChannel *channel = at->data;
    int64_t due = MAX (ready, peer_limit_ready (&channel->swarm->upload, core->now));
    core->line_at = MIN (core->line_at, due);
    if (ready > core->now)
      return NULL;
    int64_t place = due <= core->now ? place_in_line (channel) : 0;
    if (due <= core->now && (best == NULL || place < best_place)) {
      best = at;
      best_place = place;
    }
  }
  if (best == NULL)
    return NULL;
  PeerChannel *channel = best->data;
  g_queue_delete_link (&core->line, best);
  channel->upload.in_line = false;
  channel->upload.turn = true;
  core->line_at = core->now;
  return channel;
}

/* --- one channel --- */

/* Bytes; the smaller of the limits decides. */
static double
turn_size (const PeerSwarm *swarm)
{
  uint64_t rate = swarm->core->upload.rate;
  if (rate == 0 || (swarm->upload.rate > 0 && swarm->upload.rate < rate))
    rate = swarm->upload.rate;
  if (rate == 0)
    return TURN_FREE;
  return CLAMP ((double)rate * TURN_TIME / 1e6, PEER_DATAGRAM_MAX, TURN_MAX);
}

/* bytes/s, as a mean that forgets */
static double
got_now (const PeerUpload *upload, int64_t now)
{
  double passed = (double)(now - upload->got_at);
  return upload->got * GOT_TIME / (GOT_TIME + MAX (passed, 0));
}

static bool
line_is_full (const PeerCore *core)
{
  return core->full > 0 && core->full + FULL_TIME > core->now;
}

static bool
has_limit (const PeerSwarm *swarm)
{
  return swarm->core->upload.rate > 0 || swarm->upload.rate > 0;
}

/* us: when the bitrate allows it to have more. */
static int64_t
pace_ready (PeerSwarm *swarm, PeerChannel *channel)
{
  PeerLimit *pace = &channel->upload.pace;
  int64_t now = swarm->core->now;
  double most = swarm->bitrate * PACE_PERCENT / 100, rate = most;
  double burst = MAX (swarm->bitrate * PACE_BURST, PACE_BURST_LEAST);
  if (swarm->n_heard > FULL_SHARERS && line_is_full (swarm->core)) {
    rate = most * FULL_SHARERS / swarm->n_heard;
    rate = MIN (rate + RETURN_FACTOR * got_now (&channel->upload, now), most);
    burst = MAX (swarm->bitrate * FULL_BURST, TURN_MAX);
  }
  if (fabs (rate - (double)pace->rate) * PACE_STEP > (double)pace->rate || burst != pace->burst)
    peer_limit_set (pace, now, (uint64_t)rate, burst);
  return peer_limit_ready (pace, now);
}

void
peer_uploads_wait (PeerSwarm *swarm, PeerChannel *channel, int64_t until)
{
  channel->upload.at = until;
  peer_core_look (swarm->core, channel, until);
}

bool
peer_uploads_begin (PeerSwarm *swarm, PeerChannel *channel, double *room)
{
  PeerCore *core = swarm->core;
  PeerUpload *upload = &channel->upload;
  bool turn = upload->turn;
  upload->turn = false;
  int64_t paced = pace_ready (swarm, channel);
  if (paced > core->now) {
    peer_uploads_wait (swarm, channel, paced);
    return false;
  }
  upload->at = PEER_NEVER;
  if (!turn && (has_limit (swarm) || core->line.length > 0 || is_line_filled (core))) {
    join_line (core, channel);
    return false;
  }
  double left = (double)window_of_all (core) - (double)core->flight;
  *room = turn ? MIN (upload->debt + turn_size (swarm), left) : left;
  return true;
}

void
peer_uploads_end (PeerSwarm *swarm, PeerChannel *channel, double room, bool more)
{
  channel->upload.debt = MIN (room, 0);
  if (more)
    join_line (swarm->core, channel);
}

/* --- what it is measured by --- */

void
peer_uploads_measure (PeerSwarm *swarm, PeerRange munro, int64_t signed_at)
{
  PeerPace *pace = &swarm->pace;
  if (pace->at == 0 || munro.first < pace->chunk || signed_at < pace->at) {
    *pace = (PeerPace){munro.first, signed_at};
    return;
  }
  int64_t passed = signed_at - pace->at;
  if (passed < PACE_TIME)
    return;
  double chunks = (double)(munro.first - pace->chunk) * 1e6 / (double)passed;
  swarm->bitrate = chunks * swarm->content.chunk_size;
  *pace = (PeerPace){munro.first, signed_at};
}

void
peer_uploads_earn (PeerSwarm *swarm, PeerChannel *channel, size_t n)
{
  PeerUpload *upload = &channel->upload;
  upload->got = got_now (upload, swarm->core->now) + (double)n * 1e6 / GOT_TIME;
  upload->got_at = swarm->core->now;
}

/* --- whom we choke --- */

static int
by_got (const void *a, const void *b)
{
  double x = ((const PeerSuitor *)a)->got, y = ((const PeerSuitor *)b)->got;
  return (x < y) - (x > y);
}

static bool
has_chosen (const PeerSuitor *suitors, size_t n, const uint8_t *ip)
{
  for (size_t i = 0; i < n; i++)
    if (suitors[i].chosen && memcmp (suitors[i].ip, ip, sizeof suitors[i].ip) == 0)
      return true;
  return false;
}

/* They are in random order, so the first are as good as any. */
static size_t
draw (PeerSuitor *suitors, size_t n, size_t slots, bool same_address)
{
  size_t drawn = 0;
  for (size_t i = 0; i < n && drawn < slots; i++) {
    PeerSuitor *suitor = &suitors[i];
    if (suitor->chosen || (!same_address && has_chosen (suitors, n, suitor->ip)))
      continue;
    suitor->chosen = true;
    drawn++;
  }
  return drawn;
}

static void
shuffle (PeerSuitor *suitors, size_t n, PeerRandom random, void *random_data)
{
  for (size_t i = n; i > 1; i--) {
    uint64_t r = peer_random_u64 (random, random_data);
    PeerSuitor swapped = suitors[i - 1];
    suitors[i - 1] = suitors[r % i];
    suitors[r % i] = swapped;
  }
}

void
peer_uploads_choose (PeerSuitor *suitors, size_t n, size_t slots, int64_t now, PeerRandom random,
                     void *random_data)
{
  size_t chosen = 0, earned = slots - MAX (slots / 4, 1);
  if (n == 0)
    return;
  shuffle (suitors, n, random, random_data); /* who brings the same has the same chance */
  for (size_t i = 0; i < n; i++)
    suitors[i].chosen = false;
  if (n > 1)
    qsort (suitors, n, sizeof *suitors, by_got);
  for (; chosen < MIN (n, earned) && suitors[chosen].got >= GOT_LEAST; chosen++)
    suitors[chosen].chosen = true;
  shuffle (suitors + chosen, n - chosen, random, random_data); /* the lot knows no merit */
  for (size_t i = chosen; i < n && chosen < slots; i++) {
    bool stays = !suitors[i].out && now - suitors[i].since < TENURE;
    if (stays && !has_chosen (suitors, n, suitors[i].ip)) {
      suitors[i].chosen = true;
      chosen++;
    }
  }
  chosen += draw (suitors, n, slots - chosen, false);
  draw (suitors, n, slots - chosen, true);
}

static void
leave_out (PeerSwarm *swarm, PeerChannel *channel)
{
  peer_chunks_clear (channel->waiting); /* 3.9 */
  channel->upload.out = channel->choking = channel->choke_owed = true;
  channel->upload.since = swarm->core->now;
  swarm->core->counters.channels_choked++;
  peer_core_ready (swarm->core, channel);
}

static void
let_in (PeerSwarm *swarm, PeerChannel *channel)
{
  channel->upload.out = false;
  channel->upload.since = swarm->core->now;
  if (channel->choked_until > swarm->core->now)
    return; /* for another reason */
  channel->choking = false;
  channel->choke_owed = channel->unchoked = true;
  peer_core_ready (swarm->core, channel);
}

/* They have asked of late, or may not ask and lack something. */
static bool
is_suitor (const PeerSwarm *swarm, const PeerChannel *channel)
{
  if (channel->state != PEER_CHANNEL_OPEN)
    return false;
  if (!channel->upload.out)
    return channel->upload.asked_at + 2 * CHOICE_TIME > swarm->core->now;
  for (size_t i = 0; i < peer_chunks_n_runs (swarm->have); i++)
    if (!peer_chunks_has_all (channel->have, peer_chunks_run (swarm->have, i)))
      return true;
  return false;
}

/* How many shares worth having the owner's limits make. What our line was found to carry is shared
 * among all: to choke a live swarm's newcomers for that would shut them out. */
static size_t
count_slots (const PeerSwarm *swarm)
{
  const PeerCore *core = swarm->core;
  double rate = swarm->upload.rate > 0 ? (double)swarm->upload.rate : G_MAXDOUBLE;
  if (core->upload.rate > 0)
    rate = MIN (rate, (double)core->upload.rate / MAX (core->n_giving, 1));
  double share = MAX (swarm->bitrate / LIVE_SHARE, LEAST_SHARE);
  return (size_t)CLAMP (rate / share, LEAST_SLOTS, 65536);
}

void
peer_uploads_asked (PeerSwarm *swarm, PeerChannel *channel)
{
  PeerUpload *upload = &channel->upload;
  if (upload->asked_at == 0 && swarm->choosing)
    leave_out (swarm, channel);
  upload->asked_at = swarm->core->now;
}

static void
set_giving (PeerSwarm *swarm, bool giving)
{
  if (giving != swarm->giving)
    swarm->core->n_giving += giving ? 1 : -1;
  swarm->giving = giving;
}

void
peer_uploads_stop (PeerSwarm *swarm)
{
  set_giving (swarm, false);
}

void
peer_uploads_tick (PeerSwarm *swarm)
{
  PeerCore *core = swarm->core;
  if (core->now < swarm->choose_at)
    return;
  swarm->choose_at = core->now + CHOICE_TIME;
  swarm->n_heard = 0;
  g_autofree PeerSuitor *suitors = g_new (PeerSuitor, swarm->channels->len);
  g_autoptr (GPtrArray) who = g_ptr_array_new ();
  for (guint i = 0; i < swarm->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (swarm->channels, i);
    const PeerUpload *upload = &channel->upload;
    swarm->n_heard += channel->state == PEER_CHANNEL_OPEN && !peer_swarm_is_silent (swarm, channel);
    if (!is_suitor (swarm, channel)) {
      if (upload->out)
        let_in (swarm, channel);
      continue;
    }
    PeerSuitor suitor = {.index = who->len, .since = upload->since, .out = upload->out};
    memcpy (suitor.ip, channel->address.ip, sizeof suitor.ip);
    suitor.got = got_now (upload, core->now);
    suitors[who->len] = suitor;
    g_ptr_array_add (who, channel);
  }
  set_giving (swarm, who->len > 0);
  size_t slots = count_slots (swarm);
  swarm->choosing = who->len > slots;
  peer_uploads_choose (suitors, who->len, slots, core->now, core->random, core->random_data);
  for (guint i = 0; i < who->len; i++) {
    PeerChannel *channel = who->pdata[suitors[i].index];
    if (channel->upload.out && suitors[i].chosen)
      let_in (swarm, channel);
    else if (!channel->upload.out && !suitors[i].chosen)
      leave_out (swarm, channel);
  }
}
