/* SPDX-License-Identifier: Apache-2.0 */
/* LEDBAT as RFC 6817, section 2.4.2, gives it: the window grows while the queue that we see is
 * shorter than TARGET, and shrinks as far as it is longer.
 *
 *   queuing delay = least delay of the last RTT - least delay of the last ten minutes
 *   window       += GAIN * (TARGET - queuing delay) / TARGET * bytes acknowledged * MSS / window
 *
 * Where the RFC leaves a choice, ours is:
 *
 * - It begins with slow start (section 2.2 allows it, as in RFC 5681), since a viewer waits. Slow
 *   start ends with the first loss, and before that where a quarter of TARGET stands in the queue:
 *   what was sent since then is as much again, so the window goes back by half.
 * - ALLOWED_INCREASE counts from the most that was in flight in the last round trips, half a second
 *   at least (section 2.5 says "in the previous RTT"), not from what is in flight this instant: one
 *   datagram acknowledges many chunks here, and live content comes in bursts of a signature each.
 * - A queue cannot delay a chunk by more than its whole round trip took. A sample that says so
 *   comes from a clock that has been set, or that has drifted (appendix A.2): the base delay is
 *   measured anew, instead of throttling for ten minutes.
 *
 * - A sender that fills a link for long never sees its queue empty, and after ten minutes it would
 *   take its own queue for the way. So once in half a minute, if it has not seen the queue empty
 *   since, it pauses for two round trips and starts again by slow start.
 * - Where a deployer has loss cut less (RFC 7574, 8.15), that ends when more than an eighth is lost:
 *   no way loses so much that is not full, though it may drop what it cannot queue.
 *
 * Delays are differences between two clocks, modulo 2^64. So they are compared by the sign of
 * their difference, never by size. */
#include "peer/ledbat.h"

#define MINUTE INT64_C (60000000)   /* us */
#define TARGET_MAX 100000           /* us (section 2.5: MUST) */
#define MIN_CWND 2                  /* datagrams (section 2.5: SHOULD) */
#define ALLOWED_INCREASE 1          /* datagrams (section 2.5: SHOULD) */
#define ALLOWED_INCREASE_MAX 64     /* ours */
#define CTO_FIRST INT64_C (1000000) /* us (section 2.4.2) */
#define CTO_MAX INT64_C (60000000)  /* us (section 2.4.2: at least 60 s) */
#define RTT_MAX INT64_C (60000000)  /* us: ours; an older sample says nothing of the path */
#define CLOCK_SLACK                                                                                \
  INT64_C (20000)                      /* us: ours; an ACK's delay and its round trip may be of two
                                     * chunks of one batch */
#define PAUSE_AFTER INT64_C (30000000) /* us: ours; a drift of 200 ppm is 6 ms by then */
/* us: ours; live content comes in bursts, one for each signature, and less than one in an RTT */
#define FLIGHT_MEMORY INT64_C (500000)
#define PAUSE_RTTS 2 /* ours: one lets the queue run empty, one measures */
#define NEVER INT64_MIN
#define INFINITE_WINDOW 1e15 /* bytes */

/* us: RFC 6298, 2.4. What is lost at the end of a burst is found by a probe before (channel.c) */
#define CTO_MIN INT64_C (1000000)

#define LOSS_PERCENT 50     /* section 2.4.2 */
#define LOSS_PERCENT_MAX 99 /* ours */
#define TOLERANCE_MAX 10    /* percent, ours */
#define LOSS_MEMORY 1000    /* datagrams, ours: of these, what is tolerated may be lost at once */
#define LOSSY_MEMORY 100    /* datagrams, ours: over which the share of what is lost is measured */
#define LOSSY_REST 25       /* datagrams, ours: until it counts again, since less may fit now */
#define LOSSY_SHARE 0.125   /* ours: where more is lost the way is full, whatever its queue */

static bool
is_less (uint64_t a, uint64_t b)
{
  return (int64_t)(a - b) < 0;
}

/* TCP's initial window, in datagrams (RFC 5681, 3.1). */
static uint32_t
tcp_initial_window (uint32_t mss)
{
  return mss > 2190 ? 2 : mss > 1095 ? 3 : 4;
}

static uint32_t
bounded (uint32_t value, uint32_t otherwise, uint32_t most)
{
  if (value == 0)
    return otherwise;
  return value < most ? value : most;
}

static void
forget_base (PeerLedbat *self)
{
  for (unsigned i = 0; i < PEER_LEDBAT_BASE_HISTORY; i++)
    self->base_minutes[i] = NEVER;
  self->n_current = 0;
  self->next_current = 0;
}

void
peer_ledbat_init (PeerLedbat *self, const PeerLedbatOptions *options)
{
  uint32_t mss = options->mss > 0 ? options->mss : 1;

  *self = (PeerLedbat){
      .options =
          {
              .mss = mss,
              .target = bounded (options->target, TARGET_MAX, TARGET_MAX),
              .gain_percent = bounded (options->gain_percent, 100, 100),
              .init_cwnd = bounded (options->init_cwnd, 2, tcp_initial_window (mss)),
              .loss_percent = bounded (options->loss_percent, LOSS_PERCENT, LOSS_PERCENT_MAX),
              .loss_tolerance = bounded (options->loss_tolerance, 0, TOLERANCE_MAX),
              .allowed_increase =
                  bounded (options->allowed_increase, ALLOWED_INCREASE, ALLOWED_INCREASE_MAX),
          },
      .slow_start_threshold = INFINITE_WINDOW,
      .slow_start = true,
      .last_cut = NEVER,
      .cto = CTO_FIRST,
      .flight_since = NEVER,
      .base_seen = NEVER,
      .pause_until = NEVER,
  };
  self->cwnd = (double)self->options.init_cwnd * mss;
  forget_base (self);
}

/* --- delays --- */

/* One minimum for each minute; a minute without samples has none, and a minimum of ten minutes ago
 * makes room. */
static void
update_base_delay (PeerLedbat *self, int64_t now, uint64_t delay)
{
  int64_t minute = now / MINUTE;
  unsigned i = (unsigned)((uint64_t)minute % PEER_LEDBAT_BASE_HISTORY);

  if (self->base_minutes[i] != minute || is_less (delay, self->base_delays[i])) {
    self->base_minutes[i] = minute;
    self->base_delays[i] = delay;
  }
}

/* false = nothing is known. */
static bool
base_delay (const PeerLedbat *self, int64_t now, uint64_t *out)
{
  int64_t oldest = now / MINUTE - PEER_LEDBAT_BASE_HISTORY;
  bool found = false;

  for (unsigned i = 0; i < PEER_LEDBAT_BASE_HISTORY; i++) {
    if (self->base_minutes[i] <= oldest)
      continue;
    if (!found || is_less (self->base_delays[i], *out))
      *out = self->base_delays[i];
    found = true;
  }
  return found;
}

static void
update_current_delay (PeerLedbat *self, int64_t now, uint64_t delay)
{
  self->current_delays[self->next_current] = delay;
  self->current_times[self->next_current] = now;
  self->next_current = (self->next_current + 1) % PEER_LEDBAT_CURRENT_FILTER;
  if (self->n_current < PEER_LEDBAT_CURRENT_FILTER)
    self->n_current++;
}

/* FILTER(): the minimum of the samples that are no older than an RTT (section 2.5: MUST). newest is
 * the sample of now, which always counts. */
static uint64_t
current_delay (const PeerLedbat *self, int64_t now, uint64_t newest)
{
  for (unsigned i = 0; i < self->n_current; i++) {
    if (now - self->current_times[i] <= self->srtt && is_less (self->current_delays[i], newest))
      newest = self->current_delays[i];
  }
  return newest;
}

/* rtt: of the same sample; 0 = unknown. */
static void
update_queuing (PeerLedbat *self, int64_t now, uint64_t delay, int64_t rtt)
{
  uint64_t base = delay;

  if (rtt > 0 && base_delay (self, now, &base) && (int64_t)(delay - base) - CLOCK_SLACK > rtt)
    forget_base (self);
  update_base_delay (self, now, delay);
  update_current_delay (self, now, delay);
  base = delay;
  base_delay (self, now, &base);
  self->queuing = (int64_t)(current_delay (self, now, delay) - base);
  if (self->queuing < 0) /* the clocks have run apart for centuries: nothing is known */
    self->queuing = 0;
}

/* RFC 6298, section 2. */
static void
update_cto (PeerLedbat *self, int64_t rtt)
{
  int64_t error;

  if (rtt <= 0)
    return;
  rtt = rtt < RTT_MAX ? rtt : RTT_MAX;
  if (self->srtt == 0) {
    self->srtt = rtt;
    self->rttvar = rtt / 2;
  } else {
    error = self->srtt > rtt ? self->srtt - rtt : rtt - self->srtt;
    self->rttvar = (3 * self->rttvar + error) / 4;
    self->srtt = (7 * self->srtt + rtt) / 8;
  }
  if (self->srtt < 1)
    self->srtt = 1;
  self->cto = self->srtt + 4 * self->rttvar;
  self->cto = self->cto < CTO_MIN ? CTO_MIN : self->cto > CTO_MAX ? CTO_MAX : self->cto;
}

/* --- window --- */

static double
datagrams (const PeerLedbat *self, double n)
{
  return n * self->options.mss;
}

static double
at_least_min_cwnd (const PeerLedbat *self, double cwnd)
{
  double least = datagrams (self, MIN_CWND);

  return cwnd > least ? cwnd : least;
}

/* The most that was in flight in this interval and the one before. */
static double
update_flight (PeerLedbat *self, int64_t now, size_t flight)
{
  if (self->flight_since == NEVER ||
      now - self->flight_since > (self->srtt > FLIGHT_MEMORY ? self->srtt : FLIGHT_MEMORY)) {
    self->flight_before = self->flight_since == NEVER ? flight : self->flight;
    self->flight = flight;
    self->flight_since = now;
  } else if (flight > self->flight) {
    self->flight = flight;
  }
  return (double)(self->flight > self->flight_before ? self->flight : self->flight_before);
}

/* RFC 5681, 3.1: twice the window in an RTT, as long as the window is used. What is lost of the queue
 * that ended it is no reason for a second cut. */
static void
grow_slow_start (PeerLedbat *self, int64_t now, double acked, double flight)
{
  double grown = self->cwnd + acked;

  if (self->queuing > (int64_t)self->options.target / 4) {
    self->slow_start = false;
    self->last_cut = now;
    self->cwnd = at_least_min_cwnd (self, self->cwnd / 2);
    self->slow_start_threshold = self->cwnd;
    return;
  }
  if (grown > 2 * flight)
    grown = 2 * flight;
  if (grown > self->cwnd)
    self->cwnd = grown;
  if (self->cwnd >= self->slow_start_threshold) {
    self->cwnd = self->slow_start_threshold;
    self->slow_start = false;
  }
}

static void
grow_ledbat (PeerLedbat *self, double acked, double flight)
{
  double target = self->options.target;
  double off_target = (target - (double)self->queuing) / target;
  double gain = self->options.gain_percent / 100.0;
  double most = flight + datagrams (self, self->options.allowed_increase);

  self->cwnd += gain * off_target * acked * self->options.mss / self->cwnd;
  if (self->cwnd > most)
    self->cwnd = most;
}

/* true = the window stays at its least. */
static bool
pause_to_measure (PeerLedbat *self, int64_t now)
{
  bool empty = self->queuing <= (int64_t)self->options.target / 8;

  if (now < self->pause_until)
    return true;
  if (empty || self->slow_start || self->base_seen == NEVER)
    self->base_seen = now;
  if (now - self->base_seen <= PAUSE_AFTER)
    return false;
  self->base_seen = now;
  self->pause_until = now + PAUSE_RTTS * self->srtt;
  self->slow_start_threshold = self->cwnd;
  self->slow_start = true;
  self->cwnd = datagrams (self, MIN_CWND);
  return true;
}

/* The share of what was sent of late that was lost. */
static void
measure_lost (PeerLedbat *self, size_t bytes, bool lost)
{
  double part = (double)bytes / datagrams (self, LOSSY_MEMORY);

  self->lost += ((lost ? 1 : 0) - self->lost) * (part < 1 ? part : 1);
  self->until_lossy -= (double)bytes;
}

bool
peer_ledbat_is_lossy (const PeerLedbat *self)
{
  return self->lost > LOSSY_SHARE;
}

void
peer_ledbat_on_ack (PeerLedbat *self, int64_t now, uint64_t delay, int64_t rtt, size_t bytes_acked,
                    size_t flight)
{
  double most_flight;

  update_queuing (self, now, delay, rtt);
  most_flight = update_flight (self, now, flight);
  if (!pause_to_measure (self, now)) {
    if (self->slow_start)
      grow_slow_start (self, now, (double)bytes_acked, most_flight);
    else
      grow_ledbat (self, (double)bytes_acked, most_flight);
  }
  self->cwnd = at_least_min_cwnd (self, self->cwnd);
  update_cto (self, rtt);
  measure_lost (self, bytes_acked, false);
  self->borne -= (double)bytes_acked * self->options.loss_tolerance / 100;
  if (self->borne < 0)
    self->borne = 0;
}

void
peer_ledbat_on_rtt (PeerLedbat *self, int64_t rtt)
{
  update_cto (self, rtt);
}

/* Is no more lost than what a way may lose that is not full? What arrives pays for what is lost, so
 * the tolerated share is borne for ever, and of more than that each loss counts as RFC 6817 has it.
 * BBR draws the same line, at 2 %. */
static bool
is_tolerated (PeerLedbat *self, size_t bytes)
{
  double borne = self->borne + (double)bytes;

  if (borne > datagrams (self, LOSS_MEMORY) * self->options.loss_tolerance / 100)
    return false;
  self->borne = borne;
  return true;
}

void
peer_ledbat_on_loss (PeerLedbat *self, int64_t now, int64_t sent, size_t bytes)
{
  bool queue = self->queuing > (int64_t)self->options.target / 4;
  bool known = self->last_cut != NEVER && sent < self->last_cut;

  if (!known && !queue && is_tolerated (self, bytes))
    return;
  measure_lost (self, bytes, true);
  if (known)
    return;
  if (peer_ledbat_is_lossy (self) && self->until_lossy <= 0) {
    queue = true;
    self->until_lossy = datagrams (self, LOSSY_REST);
  }
  double percent = queue ? LOSS_PERCENT : self->options.loss_percent;
  double left = at_least_min_cwnd (self, self->cwnd * percent / 100.0);
  self->last_cut = now;
  if (left < self->cwnd)
    self->cwnd = left;
  /* where a loss without a queue is no sign of a full path (RFC 7574, 8.15), it does not end slow
   * start either: at 2 % loss one comes before the window is half as large as a stream needs */
  if (!queue && self->options.loss_percent > LOSS_PERCENT)
    return;
  self->slow_start = false;
  self->slow_start_threshold = self->cwnd;
}

void
peer_ledbat_on_timeout (PeerLedbat *self, int64_t now)
{
  /* RFC 5681, 3.1: from one datagram by slow start to half of what there was. Of a timeout after a
   * timeout the window says nothing any more, and nothing yet when nothing was acknowledged ever, as
   * with a SYN that is lost. */
  if (self->cwnd > datagrams (self, 1) && self->srtt > 0)
    self->slow_start_threshold = at_least_min_cwnd (self, self->cwnd / 2);
  self->slow_start = true;
  self->cwnd = datagrams (self, 1);
  self->cto = self->cto < CTO_MAX / 2 ? 2 * self->cto : CTO_MAX;
  self->last_cut = now;
  self->flight = 0;
  self->flight_before = 0;
}

size_t
peer_ledbat_window (const PeerLedbat *self)
{
  return (size_t)self->cwnd;
}

int64_t
peer_ledbat_cto (const PeerLedbat *self)
{
  return self->cto;
}

int64_t
peer_ledbat_queuing_delay (const PeerLedbat *self)
{
  return self->queuing;
}
