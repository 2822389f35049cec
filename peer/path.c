/* SPDX-License-Identifier: Apache-2.0 */
/* The variant of RFC 4821 that RFC 7574 speaks of in 8.1: the probes are chunks with their hashes,
 * and their acknowledgements prove the size. It begins with what passes everywhere, so what routers
 * say of the MTU, which anybody can forge and many do not say, is not needed:
 *
 *   0 ......... proven ....... probe ....... ceiling ... PEER_DATAGRAM_MAX
 *     may be sent      | one at a time |  lost: searched by halves
 */
#include "peer/path.h"

#define LOSSES 2                  /* of a probe, until its size is to blame */
#define STEP 32                   /* bytes: what is nearer to the ceiling is not worth a probe */
#define AGAIN INT64_C (600000000) /* us (RFC 4821, 7.2: paths change; ten minutes) */
#define LEAST 548                 /* bytes (8.1: IPv4 with 576 bytes or more) */

void
peer_path_init (PeerPath *self)
{
  *self = (PeerPath){.proven = PEER_DATAGRAM_SAFE, .ceiling = PEER_DATAGRAM_MAX};
}

size_t
peer_path_room (PeerPath *self, int64_t now)
{
  if (self->again_at > 0 && now >= self->again_at) {
    self->ceiling = PEER_DATAGRAM_MAX;
    self->again_at = 0;
  }
  bool may_probe = self->probing == 0 && self->ceiling >= self->proven + STEP;
  return may_probe ? self->ceiling : self->proven;
}

void
peer_path_sent (PeerPath *self, size_t n)
{
  if (n > self->proven)
    self->probing = n;
}

void
peer_path_arrived (PeerPath *self, size_t n)
{
  if (n <= self->proven)
    return;
  self->proven = n;
  self->probing = 0;
  self->losses = 0;
}

void
peer_path_lost (PeerPath *self, int64_t now, size_t n)
{
  if (n <= self->proven)
    return;
  self->probing = 0;
  if (++self->losses < LOSSES)
    return;
  self->losses = 0;
  self->ceiling = MIN (self->ceiling, self->proven + (n - self->proven) / 2);
  self->again_at = now + AGAIN;
}

void
peer_path_too_big (PeerPath *self, int64_t now, size_t n)
{
  self->probing = 0;
  self->losses = 0;
  self->proven = MAX (MIN (self->proven, n - 1), LEAST);
  self->ceiling = MIN (self->ceiling, MAX (n - 1, self->proven));
  self->again_at = now + AGAIN;
}
