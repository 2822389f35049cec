/* SPDX-License-Identifier: Apache-2.0 */
/* A live channel has no clock but the times at which its munros were signed. From them come the
 * time that a chunk stands for, when each chunk was made on our own clock (the quickest munro to
 * reach us sets the difference of the clocks), and so when a missing one is no longer waited for.
 *
 *      position            newest munro
 *         |                     |
 *   ------v=====================v-----> chunks
 *         |<---- lookback ----->|
 *
 * Munros of less than GROUP chunks, down to one with Sign All, are told of too often to be remembered
 * each, and one input of the source makes many at once: an aligned group of them is taken for one, as
 * far as it is known.
 *
 * Tuning in takes two munros, since one alone does not say how long it lasts: the newest, which a
 * peer must tell us, and the one before it, which comes with the first chunk asked of it. */
#include "peer/playout.h"
#include <stdlib.h>
#include <string.h>

#define LEAST_LAG 500000 /* us: nobody can rely on less */
#define HISTORY 64       /* munros that are remembered; some 9 s at 4 Mbit/s */
#define GROUP 64         /* chunks */

typedef struct {
  PeerRange munro;
  int64_t wall; /* us */
} Mark;

struct PeerPlayout {
  PeerPlayoutOptions options;
  uint32_t per_mark;   /* chunks */
  Mark marks[HISTORY]; /* ascending by munro */
  unsigned n;
  int64_t chunk_time;     /* us; 0 = not known yet */
  int64_t clock_offset;   /* us: our clock when a munro came, less its wall time; the least seen */
  bool tuned_in, started; /* started: something was delivered */
  int64_t tuned_wall;     /* us, Unix time: where playing begins */
  int64_t lag;            /* us: how long after it was made a chunk is delivered at worst */
  uint64_t position;
};

PeerPlayout *
peer_playout_new (const PeerPlayoutOptions *options)
{
  PeerPlayout *self = g_new0 (PeerPlayout, 1);
  self->options = *options;
  self->per_mark = MAX (options->chunks_per_signature, GROUP);
  return self;
}

void
peer_playout_free (PeerPlayout *self)
{
  g_free (self);
}

static const Mark *
newest (const PeerPlayout *self)
{
  return &self->marks[self->n - 1];
}

/* Sorted, without duplicates; the oldest falls out. false = known or too old to matter. */
static bool
add_mark (PeerPlayout *self, PeerRange munro, int64_t wall)
{
  unsigned at = self->n;
  munro.first -= munro.first % self->per_mark;
  while (at > 0 && self->marks[at - 1].munro.first > munro.first)
    at--;
  if (at > 0 && self->marks[at - 1].munro.first == munro.first) {
    if (munro.end <= self->marks[at - 1].munro.end)
      return false;
    self->marks[at - 1] = (Mark){munro, wall};
    return true;
  }
  if (self->n == HISTORY) {
    if (at == 0)
      return false;
    memmove (&self->marks[0], &self->marks[1], (at - 1) * sizeof (Mark));
    self->marks[at - 1] = (Mark){munro, wall};
    return true;
  }
  memmove (&self->marks[at + 1], &self->marks[at], (self->n - at) * sizeof (Mark));
  self->marks[at] = (Mark){munro, wall};
  self->n++;
  return true;
}

int64_t
peer_playout_chunk_time (const PeerPlayout *self)
{
  return self->chunk_time;
}

static int
by_value (gconstpointer a, gconstpointer b)
{
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return left < right ? -1 : left > right;
}

/* The median over neighbouring munros: neither a pause of the encoder nor the jump in the numbers
 * when a source restarts disturbs it. */
static void
measure_chunk_time (PeerPlayout *self)
{
  int64_t times[HISTORY];
  unsigned n = 0;
  for (unsigned i = 1; i < self->n; i++) {
    const Mark *before = &self->marks[i - 1], *mark = &self->marks[i];
    /* of a group that is not whole yet, the input that made it tells more than the time */
    bool whole = peer_range_size (mark->munro) == self->per_mark;
    if (before->munro.end == mark->munro.first && mark->wall > before->wall && whole)
      times[n++] = (mark->wall - before->wall) / (int64_t)peer_range_size (mark->munro);
  }
  if (n == 0)
    return;
  qsort (times, n, sizeof times[0], by_value);
  self->chunk_time = MAX (times[n / 2], 1);
}

/* When chunk was signed, by our clock. */
static int64_t
made_at (const PeerPlayout *self, uint64_t chunk)
{
  const Mark *mark = newest (self);
  for (unsigned i = self->n; i-- > 0 && self->marks[i].munro.end > chunk;)
    mark = &self->marks[i];
  int64_t wall = mark->wall;
  if (chunk >= mark->munro.end)
    wall += (int64_t)MIN (chunk - mark->munro.end + 1, INT32_MAX) * self->chunk_time;
  else if (chunk < mark->munro.first)
    wall -= (int64_t)MIN (mark->munro.first - chunk, INT32_MAX) * self->chunk_time;
  return wall + self->clock_offset;
}

/* The chunk that was made at tuned_wall, as far as the munros that we know tell: from the oldest of
 * them that is younger than that, the rest is reckoned back. */
static uint64_t
tune_in_point (const PeerPlayout *self)
{
  int64_t wanted = self->tuned_wall;
  uint64_t bound = 0;
  const Mark *mark = newest (self);
  for (unsigned i = self->n; i-- > 0; mark = &self->marks[i])
    if (self->marks[i].wall < wanted) {
      bound = self->marks[i].munro.end;
      break;
    }
  uint64_t back = (uint64_t)((mark->wall - wanted) / self->chunk_time);
  uint64_t position = mark->munro.first > back ? mark->munro.first - back : 0;
  /* whole subtrees: no hash is fetched for chunks that nobody wants */
  position -= position % self->per_mark;
  return MAX (position, MIN (bound, newest (self)->munro.first));
}

static void
tune_in (PeerPlayout *self)
{
  if (self->chunk_time == 0)
    return;
  self->tuned_wall = newest (self)->wall - self->options.lookback;
  self->position = tune_in_point (self);
  self->tuned_in = true;
}

void
peer_playout_edge (PeerPlayout *self, int64_t now, PeerRange munro, int64_t wall)
{
  bool first = self->n == 0;
  bool is_newest = first || munro.end > newest (self)->munro.end;
  if (!add_mark (self, munro, wall))
    return;
  /* only a munro that is new to all of us tells how far the clocks are apart */
  if (first || (is_newest && now - wall < self->clock_offset))
    self->clock_offset = now - wall;
  measure_chunk_time (self);
  if (!self->tuned_in)
    tune_in (self);
}

static bool
is_over (const PeerPlayout *self, int64_t now, uint64_t chunk)
{
  return now >= made_at (self, chunk) + self->options.max_lag;
}

/* A gap is given up when its time is over. If nothing behind it is here either, it is not worth
 * fetching what is nearly as old: the channel is tuned in anew. */
PeerRange
peer_playout_next (PeerPlayout *self, int64_t now, const PeerChunks *have, uint64_t *skipped)
{
  *skipped = 0;
  PeerRange none = {self->position, self->position};
  if (!self->tuned_in)
    return none;
  /* until something is delivered, each munro tells better where to begin */
  if (!self->started)
    self->position = MAX (self->position, tune_in_point (self));
  PeerRange ahead = {self->position, newest (self)->munro.end};
  PeerRange run = peer_chunks_next (have, ahead);
  bool here = !peer_range_is_empty (run);
  if (here && run.first == self->position) {
    self->lag = MIN (MAX (self->lag, now - made_at (self, run.first)), self->options.max_lag);
    self->started = true;
    self->position = run.end;
    return run;
  }
  if (peer_range_is_empty (ahead) || !is_over (self, now, self->position))
    return (PeerRange){self->position, self->position};
  uint64_t before = self->position;
  if (here) {
    self->position = run.end;
    *skipped = run.first - before;
    return run;
  }
  tune_in (self);
  self->position = MAX (self->position, before);
  *skipped = self->started ? self->position - before : 0;
  return (PeerRange){self->position, self->position};
}

bool
peer_playout_want (const PeerPlayout *self, int64_t now, PeerWant *out)
{
  if (self->n == 0)
    return false;
  const Mark *last = newest (self);
  if (!self->tuned_in) {
    /* the munro before the newest; of groups, the newest is seldom whole */
    unsigned n = self->per_mark > self->options.chunks_per_signature ? 2 : 1;
    uint64_t before = MIN (last->munro.first, n * self->per_mark);
    *out = (PeerWant){{last->munro.first - before, last->munro.end}, now, 0};
    return true;
  }
  out->window = (PeerRange){self->position, MAX (self->position, last->munro.end)};
  out->chunk_time = (uint32_t)MIN (self->chunk_time, UINT32_MAX);
  /* what the reader has got used to is what it may not miss */
  int64_t slack = self->started ? MAX (self->lag, LEAST_LAG) : self->options.lookback;
  out->deadline = made_at (self, self->position) + slack;
  return true;
}

int64_t
peer_playout_deadline (const PeerPlayout *self, const PeerChunks *have)
{
  if (!self->tuned_in)
    return PEER_NEVER;
  PeerRange ahead = {self->position, newest (self)->munro.end};
  if (peer_range_is_empty (ahead) || peer_chunks_has (have, self->position))
    return PEER_NEVER;
  if (peer_range_is_empty (peer_chunks_next (have, ahead))) {
    PeerPlayout anew = *self;
    tune_in (&anew);
    if (anew.position <= self->position)
      return PEER_NEVER; /* nowhere to go, until a chunk or a munro comes */
  }
  return made_at (self, self->position) + self->options.max_lag;
}

bool
peer_playout_tuned_in (const PeerPlayout *self)
{
  return self->tuned_in;
}

uint64_t
peer_playout_position (const PeerPlayout *self)
{
  return self->position;
}
