/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a datagram, with what can happen to it:
 *
 *   sender's up queue  ->  loss, jitter, twice  ->  receiver's down queue  ->  receive ()
 *   (rate, tail drop)      (delay of both lines)     (rate, tail drop)
 *
 * A queue is one number, the time at which it will be empty. Two events a datagram: it reaches the
 * down queue, it is through. Events of the same time happen in the order in which they were made. A
 * host has one timer in the heap, at the earliest time that it was set to: one that was set later
 * since then finds out when that comes. */
#include "tests/sim/net.h"

#include <string.h>

#define DATAGRAM_MAX 2048    /* bytes */
#define IP_UDP_HEADER 28     /* bytes on the line that no one sees, of IPv4 */
#define OVERTAKEN_BY 10000   /* us at most */
#define TURNS_AT_ONCE 100000 /* events without the clock moving: somebody goes round in circles */

typedef enum { EVENT_REACHES, EVENT_ARRIVES, EVENT_TIMER, EVENT_CALL } EventType;

typedef struct {
  PeerAddress from;
  uint32_t to; /* host */
  uint32_t size;
  uint32_t epoch; /* of the receiver */
  uint8_t bytes[];
} Datagram;

typedef struct {
  int64_t time;
  uint64_t order;
  union {
    Datagram *datagram; /* owned */
    uint32_t number;    /* of the host, or the call */
  } what;
  EventType type;
} Event;

typedef struct {
  SimLine line;
  SimNetStats stats;
  int64_t up_free, down_free; /* us: when the queues will be empty */
  int64_t last_out;           /* us: when the last one left the line, jitter included */
  uint64_t n_sent;
  int64_t timer;        /* INT64_MAX = none */
  int64_t timer_queued; /* the one in the heap; likewise */
  uint32_t epoch;       /* grows when the cable is pulled: what was under way is lost */
  uint16_t port;
  bool in;
} Host;

typedef struct {
  SimNetFunc func;
  gpointer argument;
} Call;

struct SimNet {
  const SimNetClass *class;
  gpointer data;
  bool private;
  SimRandom random;
  int64_t now;
  uint64_t order, trace;
  unsigned at_once;
  bool stopped;
  GArray *hosts; /* Host */
  GArray *heap;  /* Event */
  GArray *calls; /* Call */
  unsigned n_regions;
  int64_t *delays; /* us, from each region to each; NULL = none */
};

uint64_t
sim_random_next (SimRandom *self)
{
  uint64_t z = self->state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t
sim_random_below (SimRandom *self, uint64_t limit)
{
  return sim_random_next (self) % limit;
}

double
sim_random_unit (SimRandom *self)
{
  return (double)(sim_random_next (self) >> 11) * 0x1p-53;
}

void
sim_random_fill (SimRandom *self, uint8_t *out, size_t n)
{
  while (n > 0) {
    uint64_t next = sim_random_next (self);
    size_t part = MIN (n, sizeof next);
    for (size_t i = 0; i < part; i++)
      out[i] = (uint8_t)(next >> (8 * i));
    out += part;
    n -= part;
  }
}

SimNet *
sim_net_new (const SimNetClass *class, gpointer data, uint64_t seed)
{
  SimNet *self = g_new0 (SimNet, 1);
  self->class = class;
  self->data = data;
  self->random.state = seed;
  self->hosts = g_array_new (FALSE, TRUE, sizeof (Host));
  self->heap = g_array_new (FALSE, FALSE, sizeof (Event));
  self->calls = g_array_new (FALSE, FALSE, sizeof (Call));
  return self;
}

void
sim_net_free (SimNet *self)
{
  if (self == NULL)
    return;
  for (guint i = 0; i < self->heap->len; i++) {
    const Event *event = &g_array_index (self->heap, Event, i);
    if (event->type == EVENT_REACHES || event->type == EVENT_ARRIVES)
      g_free (event->what.datagram);
  }
  g_array_unref (self->hosts);
  g_array_unref (self->heap);
  g_array_unref (self->calls);
  g_free (self->delays);
  g_free (self);
}

void
sim_net_set_regions (SimNet *self, unsigned n, const int64_t *delays)
{
  g_free (self->delays);
  self->n_regions = n;
  self->delays = g_memdup2 (delays, (gsize)n * n * sizeof *delays);
}

int64_t
sim_net_now (const SimNet *self)
{
  return self->now;
}

static Host *
host_at (const SimNet *self, unsigned host)
{
  return &g_array_index (self->hosts, Host, host);
}

static void
mix (SimNet *self, uint64_t what)
{
  self->trace = (self->trace ^ what) * 0x9fb21c651e98df25u;
  self->trace ^= self->trace >> 29;
}

static void
mix_bytes (SimNet *self, const uint8_t *bytes, size_t n)
{
  for (; n >= 8; bytes += 8, n -= 8) {
    uint64_t word;
    memcpy (&word, bytes, sizeof word);
    mix (self, GUINT64_FROM_LE (word));
  }
  for (; n > 0; bytes++, n--)
    mix (self, *bytes);
}

void
sim_net_note (SimNet *self, uint64_t what)
{
  mix (self, what);
}

uint64_t
sim_net_trace (const SimNet *self)
{
  return self->trace;
}

static bool
is_before (const Event *a, const Event *b)
{
  return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static void
push (SimNet *self, Event event)
{
  event.time = MAX (event.time, self->now);
  event.order = self->order++;
  guint at = self->heap->len;
  g_array_set_size (self->heap, at + 1);
  Event *heap = (Event *)(void *)self->heap->data;
  while (at > 0) {
    guint parent = (at - 1) / 4;
    if (!is_before (&event, &heap[parent]))
      break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = event;
}

static Event
pop (SimNet *self)
{
  Event *heap = (Event *)(void *)self->heap->data;
  Event first = heap[0], last = heap[self->heap->len - 1];
  guint n = self->heap->len - 1, at = 0;
  g_array_set_size (self->heap, n);
  for (guint child = 1; child < n; child = at * 4 + 1) {
    guint least = child;
    for (guint i = child + 1; i < MIN (child + 4, n); i++)
      if (is_before (&heap[i], &heap[least]))
        least = i;
    if (!is_before (&heap[least], &last))
      break;
    heap[at] = heap[least];
    at = least;
  }
  if (n > 0)
    heap[at] = last;
  return first;
}

unsigned
sim_net_add_host (SimNet *self, const SimLine *line)
{
  Host host = {
      .line = *line, .port = 7574, .in = true, .timer = INT64_MAX, .timer_queued = INT64_MAX};
  g_array_append_val (self->hosts, host);
  g_assert_cmpuint (self->hosts->len, <=, 65536);
  return self->hosts->len - 1;
}

void
sim_net_make_private (SimNet *self)
{
  self->private = true;
}

/* 198.18.0.0/15 and 2001:2::/48 are kept for tests of networks (RFC 2544, RFC 5180). */
void
sim_net_address (const SimNet *self, unsigned host, PeerAddress *out)
{
  static const uint8_t v4[][14] = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 18},
                                   {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 18}};
  static const uint8_t v6[][14] = {{0x20, 1, 0, 2, 0}, {0xfd, 1, 0, 2, 0}};
  memcpy (out->ip, host % 2 == 0 ? v4[self->private] : v6[self->private], 14);
  out->ip[14] = (uint8_t)(host >> 8);
  out->ip[15] = (uint8_t)host;
  out->port = host_at (self, host)->port;
}

static bool
find_host (const SimNet *self, const PeerAddress *address, unsigned *out)
{
  unsigned host = (unsigned)address->ip[14] << 8 | address->ip[15];
  if (host >= self->hosts->len)
    return false;
  PeerAddress own;
  sim_net_address (self, host, &own);
  *out = host;
  return own.port == address->port && memcmp (own.ip, address->ip, sizeof own.ip) == 0;
}

void
sim_net_plug (SimNet *self, unsigned host, bool in)
{
  host_at (self, host)->in = in;
  if (!in)
    host_at (self, host)->epoch++;
}

void
sim_net_rebind (SimNet *self, unsigned host)
{
  host_at (self, host)->port++;
}

SimLine *
sim_net_line (SimNet *self, unsigned host)
{
  return &host_at (self, host)->line;
}

/* When the last bit is through a queue; -1 = it is full. */
static int64_t
enqueue (int64_t now, int64_t *free_at, uint64_t rate, uint32_t queue, size_t n)
{
  if (rate == 0)
    return now;
  int64_t begins = MAX (now, *free_at);
  if ((uint64_t)(begins - now) * rate / G_USEC_PER_SEC + n > queue)
    return -1;
  /* in nanoseconds it would be exact; a microsecond rounded up is a line 0.1 % slower */
  *free_at = begins + (int64_t)((n * G_USEC_PER_SEC + rate - 1) / rate);
  return *free_at;
}

static bool
is_lost (SimNet *self, Host *host)
{
  uint64_t number = host->n_sent++;
  if (number < 64 && (host->line.lost >> number & 1) != 0)
    return true;
  return host->line.loss > 0 && sim_random_unit (&self->random) < host->line.loss;
}

static void
put_under_way (SimNet *self, unsigned from, const PeerAddress *name, unsigned to, int64_t departs,
               const uint8_t *bytes, size_t n)
{
  Host *sender = host_at (self, from), *receiver = host_at (self, to);
  Datagram *datagram = g_malloc (sizeof (Datagram) + n);
  datagram->from = *name;
  datagram->to = to;
  datagram->size = (uint32_t)n;
  datagram->epoch = receiver->epoch;
  memcpy (datagram->bytes, bytes, n);
  if (sender->line.jitter > 0)
    departs += (int64_t)sim_random_below (&self->random, (uint64_t)sender->line.jitter + 1);
  departs = sender->last_out = MAX (departs, sender->last_out);
  if (sender->line.reorder > 0 && sim_random_unit (&self->random) < sender->line.reorder)
    departs += (int64_t)sim_random_below (&self->random, OVERTAKEN_BY);
  int64_t delay = sender->line.delay + receiver->line.delay;
  if (self->delays != NULL)
    delay += self->delays[sender->line.region * self->n_regions + receiver->line.region];
  if (sender->line.region != receiver->line.region)
    sender->stats.bytes_abroad += n;
  push (self, (Event){.time = departs + delay, .type = EVENT_REACHES, .what.datagram = datagram});
}

void
sim_net_send (SimNet *self, unsigned host, const PeerAddress *to, const uint8_t *bytes, size_t n)
{
  PeerAddress from;
  sim_net_address (self, host, &from);
  sim_net_send_as (self, host, &from, to, bytes, n);
}

void
sim_net_send_as (SimNet *self, unsigned host, const PeerAddress *from, const PeerAddress *to,
                 const uint8_t *bytes, size_t n)
{
  g_assert_cmpuint (n, <=, DATAGRAM_MAX);
  Host *sender = host_at (self, host);
  unsigned receiver;
  mix (self, (uint64_t)self->now << 16 ^ host);
  mix_bytes (self, to->ip, sizeof to->ip);
  mix_bytes (self, bytes, n);
  sender->stats.sent++;
  sender->stats.bytes_sent += n;
  if (!sender->in || !find_host (self, to, &receiver)) {
    sender->stats.unroutable++;
    return;
  }
  int64_t departs =
      enqueue (self->now, &sender->up_free, sender->line.up, sender->line.queue, n + IP_UDP_HEADER);
  if (departs < 0) {
    sender->stats.overflowed++;
    return;
  }
  if (is_lost (self, sender)) {
    sender->stats.lost++;
    return;
  }
  put_under_way (self, host, from, receiver, departs, bytes, n);
  if (sender->line.duplicate > 0 && sim_random_unit (&self->random) < sender->line.duplicate) {
    sender->stats.duplicated++;
    put_under_way (self, host, from, receiver, departs, bytes, n);
  }
}

void
sim_net_set_timer (SimNet *self, unsigned host, int64_t time)
{
  Host *own = host_at (self, host);
  own->timer = time == INT64_MAX ? time : MAX (time, self->now);
  if (own->timer >= own->timer_queued)
    return;
  own->timer_queued = own->timer;
  push (self, (Event){.time = own->timer, .type = EVENT_TIMER, .what.number = host});
}

void
sim_net_call (SimNet *self, int64_t time, SimNetFunc func, gpointer argument)
{
  Call call = {func, argument};
  g_array_append_val (self->calls, call);
  push (self, (Event){.time = time, .type = EVENT_CALL, .what.number = self->calls->len - 1});
}

static void
reaches (SimNet *self, Datagram *datagram)
{
  Host *host = host_at (self, datagram->to);
  int64_t through = enqueue (self->now, &host->down_free, host->line.down, host->line.queue,
                             datagram->size + IP_UDP_HEADER);
  if (through < 0) {
    host->stats.overflowed++;
    g_free (datagram);
    return;
  }
  push (self, (Event){.time = through, .type = EVENT_ARRIVES, .what.datagram = datagram});
}

static void
arrives (SimNet *self, Datagram *datagram)
{
  Host *host = host_at (self, datagram->to);
  if (host->in && host->epoch == datagram->epoch) {
    host->stats.delivered++;
    mix (self, (uint64_t)self->now << 16 ^ ~(uint64_t)datagram->to);
    self->class->receive (self->data, datagram->to, &datagram->from, datagram->bytes,
                          datagram->size);
  } else {
    host->stats.lost++;
  }
  g_free (datagram);
}

/* One that was set to an earlier time since then has had its turn; one that was set to a later time
 * goes back. */
static void
ring (SimNet *self, const Event *event)
{
  Host *host = host_at (self, event->what.number);
  if (event->time != host->timer_queued)
    return;
  host->timer_queued = INT64_MAX;
  if (host->timer > self->now) {
    sim_net_set_timer (self, event->what.number, host->timer);
    return;
  }
  host->timer = INT64_MAX;
  self->class->timer (self->data, event->what.number);
}

static void
happen (SimNet *self, const Event *event)
{
  switch (event->type) {
  case EVENT_REACHES:
    reaches (self, event->what.datagram);
    break;
  case EVENT_ARRIVES:
    arrives (self, event->what.datagram);
    break;
  case EVENT_TIMER:
    ring (self, event);
    break;
  case EVENT_CALL: {
    Call call = g_array_index (self->calls, Call, event->what.number);
    call.func (self->data, call.argument);
    break;
  }
  }
}

void
sim_net_run (SimNet *self, int64_t until)
{
  self->stopped = false;
  while (!self->stopped && self->heap->len > 0) {
    const Event *first = &g_array_index (self->heap, Event, 0);
    if (first->time > until)
      break;
    Event event = pop (self);
    self->at_once = event.time == self->now ? self->at_once + 1 : 0;
    g_assert_cmpuint (self->at_once, <, TURNS_AT_ONCE);
    self->now = event.time;
    happen (self, &event);
  }
  if (!self->stopped)
    self->now = MAX (self->now, until);
}

void
sim_net_stop (SimNet *self)
{
  self->stopped = true;
}

const SimNetStats *
sim_net_stats (const SimNet *self, unsigned host)
{
  return &host_at (self, host)->stats;
}

int64_t
sim_net_backlog (const SimNet *self, unsigned host)
{
  return MAX (host_at (self, host)->up_free - self->now, 0);
}
