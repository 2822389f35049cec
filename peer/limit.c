/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/limit.h"

double
peer_limit_left (const PeerLimit *self, int64_t now)
{
  if (self->rate == 0)
    return G_MAXDOUBLE;
  double earned = (double)self->rate * (double)MAX (now - self->at, 0) / 1e6;
  return MIN (self->left + earned, self->burst);
}

void
peer_limit_set (PeerLimit *self, int64_t now, uint64_t rate, double burst)
{
  double left = self->rate == 0 ? burst : MIN (peer_limit_left (self, now), burst);
  *self = (PeerLimit){rate, burst, left, now};
}

void
peer_limit_spend (PeerLimit *self, int64_t now, size_t n)
{
  if (self->rate == 0)
    return;
  self->left = peer_limit_left (self, now) - (double)n;
  self->at = MAX (self->at, now);
}

int64_t
peer_limit_ready (const PeerLimit *self, int64_t now)
{
  double left = peer_limit_left (self, now);
  if (left > 0)
    return now;
  return now + (int64_t)(-left * 1e6 / (double)self->rate) + 1;
}
