/* SPDX-License-Identifier: Apache-2.0 */
/* Each channel has a LEDBAT of its own, and its window is never less than two datagrams. Thirty of
 * them together fill the queue of a home's line for half a second and more, and what we ask of
 * others waits in it behind the chunks that we give. So what all channels have in common is looked
 * at: if more than half of them see a queue that LEDBAT would not make, it stands in our own line,
 * and what we send in all is bounded by what the line was seen to carry.
 *
 *   rate |      _   _          a cut when the queue is long, to less than was sent;
 *        |  _--  |--  |_--     growth while it is short and the rate is made use of
 *        +------------------> */
#include "peer/uplink.h"

#include <glib.h>
#include <stdbool.h>

#define LONG_QUEUE 150000  /* us; LEDBAT alone makes up to 100 ms */
#define FULL_QUEUE 300000  /* us: it must be emptied soon */
#define SHORT_QUEUE 100000 /* us */
#define SOME_QUEUE 60000   /* us: LEDBAT has found the end of the line */
#define LEAST_RATE 16384   /* bytes/s */

uint64_t
peer_uplink_judge (PeerUplink *self, int64_t now, int64_t queuing, uint64_t sent)
{
  int64_t passed = now - self->at;
  if (passed < PEER_UPLINK_INTERVAL)
    return self->rate;
  double seen = (double)(sent - self->sent) * 1e6 / (double)passed;
  self->sent = sent;
  self->at = now;
  /* a pause, or what is said of a queue that is gone, tells nothing of what the line carries */
  self->peak = MAX (seen, self->peak * 0.9);
  bool drains = queuing < self->queue - self->queue / 8; /* the last cut was enough */
  self->queue = MAX (queuing, 0);
  if (queuing >= SOME_QUEUE)
    self->full = now;
  if (queuing >= LONG_QUEUE && !drains) {
    double left = self->peak * (queuing >= FULL_QUEUE ? 0.6 : 0.85);
    if (self->rate == 0 || left < (double)self->rate)
      self->rate = (uint64_t)MAX (left, LEAST_RATE);
  } else if (self->rate > 0 && queuing >= 0 && queuing < SHORT_QUEUE &&
             seen > 0.6 * (double)self->rate) {
    self->rate += self->rate / 12;
  }
  return self->rate;
}
