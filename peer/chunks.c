/* SPDX-License-Identifier: Apache-2.0 */
/* Runs, bins, and sets of runs.
 *
 * The bins of RFC 7574, section 4.2, number all nodes of a binary tree over the chunks:
 *
 *                 7                  layer 3: 8 chunks
 *             /       \
 *         3              11          layer 2
 *       /   \           /   \
 *     1       5       9       13     layer 1
 *    / \     / \     / \     /  \
 *   0   2   4   6   8  10  12   14   layer 0: chunk i is bin 2 i
 *   c0  c1  c2  c3  c4  c5  c6  c7
 *
 * A bin's layer is the number of 1 bits at its end, and its number is the sum of its first and
 * its last chunk. That sum is all that from_range has to do.
 *
 * A set is an array of sorted runs that neither overlap nor touch. What it holds begins at `head`
 * in the array, so that a live window loses its oldest run without moving the others. The hot
 * questions (has, add at the end) look at the last run first: that is where live content grows. */
#include "peer/chunks.h"

#include <string.h>

struct PeerChunks {
  PeerRange *runs;
  size_t head, n, size; /* runs */
  size_t max_runs;      /* 0 = no limit */
  uint64_t count;       /* chunks */
};

PeerRange
peer_range_intersection (PeerRange a, PeerRange b)
{
  PeerRange both = {MAX (a.first, b.first), MIN (a.end, b.end)};

  if (peer_range_is_empty (both))
    both.end = both.first;
  return both;
}

bool
peer_range_is_node (PeerRange self)
{
  uint64_t width;

  if (peer_range_is_empty (self))
    return false;
  width = peer_range_size (self);
  return (width & (width - 1)) == 0 && (self.first & (width - 1)) == 0;
}

/* The tree has 2^63 chunks at most (section 4.2); above its root there is only the root. */
static PeerRange
clamped_node (uint64_t first, uint64_t width)
{
  if (width == 0 || first > UINT64_MAX - width)
    return (PeerRange){first, UINT64_MAX};
  return (PeerRange){first, first + width};
}

PeerRange
peer_range_sibling (PeerRange node)
{
  uint64_t width = peer_range_size (node);

  return clamped_node (node.first ^ width, width);
}

unsigned
peer_range_height (PeerRange node)
{
  unsigned height = 0;

  for (uint64_t width = peer_range_size (node); width > 1; width >>= 1)
    height++;
  return height;
}

uint64_t
peer_bin_from_range (PeerRange node)
{
  /* section 4.2: a node's bin is the mean of its children's, hence of its outermost leaves' */
  return node.first + (node.end - 1);
}

PeerRange
peer_bin_to_range (uint64_t bin)
{
  uint64_t width = 1;

  while ((bin & width) != 0)
    width <<= 1;
  return clamped_node ((bin & ~((width << 1) - 1)) >> 1, width);
}

PeerChunks *
peer_chunks_new (size_t max_runs)
{
  PeerChunks *self = g_new0 (PeerChunks, 1);

  self->max_runs = max_runs;
  return self;
}

void
peer_chunks_free (PeerChunks *self)
{
  if (self == NULL)
    return;
  g_free (self->runs);
  g_free (self);
}

void
peer_chunks_clear (PeerChunks *self)
{
  self->head = 0;
  self->n = 0;
  self->count = 0;
}

static PeerRange *
run_at (const PeerChunks *self, size_t i)
{
  return &self->runs[self->head + i];
}

/* The first run that ends behind chunk; n if there is none. */
static size_t
find (const PeerChunks *self, uint64_t chunk)
{
  size_t low = 0, high = self->n;

  if (self->n == 0 || run_at (self, self->n - 1)->end <= chunk)
    return self->n;
  if (self->n == 1 || run_at (self, self->n - 2)->end <= chunk)
    return self->n - 1;
  while (low < high) {
    size_t middle = low + (high - low) / 2;

    if (run_at (self, middle)->end <= chunk)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Moves all runs to one end of the array, so that half as many again fit at the other. */
static void
make_room (PeerChunks *self, bool in_front)
{
  size_t room = self->n / 2 + 2;
  size_t head = in_front ? room : 0;

  if (self->size < self->n + room) {
    self->size = self->n + 2 * room;
    self->runs = g_renew (PeerRange, self->runs, self->size);
  }
  if (self->n > 0)
    memmove (&self->runs[head], run_at (self, 0), self->n * sizeof (PeerRange));
  self->head = head;
}

/* Makes a place for one more run before run i: on the side where fewer are moved. */
static void
open_gap (PeerChunks *self, size_t i)
{
  if (i == 0 && self->n > 0 && self->head == 0)
    make_room (self, true);
  if (self->head > 0 && self->n > 0 && i <= self->n / 2) {
    memmove (&self->runs[self->head - 1], run_at (self, 0), i * sizeof (PeerRange));
    self->head--;
  } else {
    if (self->head + self->n == self->size)
      make_room (self, false);
    memmove (run_at (self, i) + 1, run_at (self, i), (self->n - i) * sizeof (PeerRange));
  }
  self->n++;
}

static void
drop_runs (PeerChunks *self, size_t from, size_t to)
{
  if (from == to)
    return;
  if (from == 0)
    self->head += to;
  else
    memmove (run_at (self, from), run_at (self, to), (self->n - to) * sizeof (PeerRange));
  self->n -= to - from;
  if (self->n == 0)
    self->head = 0;
}

bool
peer_chunks_add (PeerChunks *self, PeerRange run)
{
  size_t from, to;

  if (peer_range_is_empty (run))
    return true;
  /* All runs that overlap or touch become one. */
  from = find (self, run.first == 0 ? 0 : run.first - 1);
  for (to = from; to < self->n && run_at (self, to)->first <= run.end; to++)
    self->count -= peer_range_size (*run_at (self, to));
  if (to > from) {
    run.first = MIN (run.first, run_at (self, from)->first);
    run.end = MAX (run.end, run_at (self, to - 1)->end);
    drop_runs (self, from + 1, to);
  } else {
    if (self->max_runs != 0 && self->n >= self->max_runs)
      return false;
    open_gap (self, from);
  }
  *run_at (self, from) = run;
  self->count += peer_range_size (run);
  return true;
}

/* Cuts run out of the inside of run i. */
static void
split (PeerChunks *self, size_t i, PeerRange run)
{
  PeerRange left = {run_at (self, i)->first, run.first};
  PeerRange right = {run.end, run_at (self, i)->end};

  self->count -= peer_range_size (*run_at (self, i));
  if (self->max_runs != 0 && self->n >= self->max_runs) {
    *run_at (self, i) = peer_range_size (left) >= peer_range_size (right) ? left : right;
    self->count += peer_range_size (*run_at (self, i));
    return;
  }
  open_gap (self, i);
  *run_at (self, i) = left;
  *run_at (self, i + 1) = right;
  self->count += peer_range_size (left) + peer_range_size (right);
}

void
peer_chunks_remove (PeerChunks *self, PeerRange run)
{
  size_t from, to;

  if (peer_range_is_empty (run))
    return;
  from = find (self, run.first);
  if (from == self->n)
    return;
  if (run_at (self, from)->first < run.first && run_at (self, from)->end > run.end) {
    split (self, from, run);
    return;
  }
  if (run_at (self, from)->first < run.first) {
    self->count -= run_at (self, from)->end - run.first;
    run_at (self, from)->end = run.first;
    from++;
  }
  for (to = from; to < self->n && run_at (self, to)->end <= run.end; to++)
    self->count -= peer_range_size (*run_at (self, to));
  if (to < self->n && run_at (self, to)->first < run.end) {
    self->count -= run.end - run_at (self, to)->first;
    run_at (self, to)->first = run.end;
  }
  drop_runs (self, from, to);
}

bool
peer_chunks_has (const PeerChunks *self, uint64_t chunk)
{
  size_t i = find (self, chunk);

  return i < self->n && run_at (self, i)->first <= chunk;
}

bool
peer_chunks_has_all (const PeerChunks *self, PeerRange run)
{
  size_t i;

  if (peer_range_is_empty (run))
    return true;
  i = find (self, run.first);
  return i < self->n && run_at (self, i)->first <= run.first && run_at (self, i)->end >= run.end;
}

bool
peer_chunks_has_any (const PeerChunks *self, PeerRange run)
{
  size_t i;

  if (peer_range_is_empty (run))
    return false;
  i = find (self, run.first);
  return i < self->n && run_at (self, i)->first < run.end;
}

PeerRange
peer_chunks_around (const PeerChunks *self, uint64_t chunk)
{
  size_t i = find (self, chunk);

  if (i < self->n && run_at (self, i)->first <= chunk)
    return *run_at (self, i);
  return (PeerRange){chunk, chunk};
}

PeerRange
peer_chunks_gap (const PeerChunks *self, PeerRange window)
{
  size_t i = find (self, window.first);

  if (peer_range_is_empty (window))
    return (PeerRange){window.end, window.end};
  if (i < self->n && run_at (self, i)->first <= window.first) {
    if (run_at (self, i)->end >= window.end)
      return (PeerRange){window.end, window.end};
    window.first = run_at (self, i)->end;
    i++;
  }
  if (i < self->n)
    window.end = MIN (window.end, run_at (self, i)->first);
  return window;
}

PeerRange
peer_chunks_next (const PeerChunks *self, PeerRange window)
{
  size_t i = find (self, window.first);

  if (peer_range_is_empty (window) || i == self->n || run_at (self, i)->first >= window.end)
    return (PeerRange){window.end, window.end};
  return peer_range_intersection (window, *run_at (self, i));
}

bool
peer_chunks_is_empty (const PeerChunks *self)
{
  return self->n == 0;
}

uint64_t
peer_chunks_count (const PeerChunks *self)
{
  return self->count;
}

size_t
peer_chunks_n_runs (const PeerChunks *self)
{
  return self->n;
}

size_t
peer_chunks_memory (const PeerChunks *self)
{
  return sizeof *self + self->size * sizeof (PeerRange);
}

PeerRange
peer_chunks_run (const PeerChunks *self, size_t i)
{
  g_return_val_if_fail (i < self->n, ((PeerRange){0, 0}));

  return *run_at (self, i);
}

PeerRange
peer_chunks_span (const PeerChunks *self)
{
  if (self->n == 0)
    return (PeerRange){0, 0};
  return (PeerRange){run_at (self, 0)->first, run_at (self, self->n - 1)->end};
}
