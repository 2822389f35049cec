/* SPDX-License-Identifier: Apache-2.0 */
/* Nobody tells how fast a reader must be served: who waits may be a player that stalls, or one that
 * fills its buffer as fast as it can. So the swarm is late if readers wait for half of the time and it
 * brings less than any film needs; or if one reader waits for the same byte all the time.
 *
 * It stays late, though nobody waits any more, because others bring what it does not, until in a whole
 * period nothing had to come from elsewhere, or it alone brings enough. */
#include "proxy/late.h"

bool
proxy_late_judge (ProxyLate *self, int64_t now, int64_t waits_since, uint64_t peers,
                  uint64_t elsewhere)
{
  if (self->waits)
    self->waited += now - self->seen;
  self->seen = now;
  self->waits = waits_since > 0;
  int64_t passed = now - self->since;
  if (passed < PROXY_LATE_PERIOD)
    return self->late;

  uint64_t brought = peers - self->peers;
  bool is_enough = (double)brought * 1e6 >= (double)PROXY_LATE_ENOUGH * (double)passed;
  bool is_stuck = self->waits && now - waits_since >= PROXY_LATE_PERIOD;
  bool needs_none = brought > 0 && elsewhere == self->elsewhere;
  if (self->late)
    self->late = is_stuck || (!is_enough && !needs_none);
  else
    self->late = is_stuck || (!is_enough && 2 * self->waited >= passed);
  self->since = now;
  self->waited = 0;
  self->peers = peers;
  self->elsewhere = elsewhere;
  return self->late;
}
