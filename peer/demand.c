/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/demand.h"
#include "peer/peers.h"

#define DEMAND_TIME INT64_C (60000000) /* us since a peer got something: then it has stopped */

size_t
peer_swarm_demand (const PeerSwarm *self, int64_t now, uint64_t ahead, PeerRange *out, size_t max)
{
  size_t n = 0;
  uint64_t n_chunks = peer_integrity_n_chunks (self->integrity);
  for (guint i = 0; i < self->channels->len && n < max; i++) {
    const PeerChannel *channel = g_ptr_array_index (self->channels, i);
    int64_t active = MAX (channel->opened, channel->told_at);
    if (channel->state != PEER_CHANNEL_OPEN || now - active > DEMAND_TIME ||
        peer_swarm_is_silent (self, channel))
      continue;
    PeerRange gap =
        peer_chunks_gap (channel->have, (PeerRange){MIN (channel->told_end, n_chunks), n_chunks});
    if (peer_range_is_empty (gap)) /* it looked into the end first, as players do */
      gap = peer_chunks_gap (channel->have, (PeerRange){0, n_chunks});
    gap.end = gap.first + MIN (peer_range_size (gap), ahead);
    if (!peer_range_is_empty (gap))
      out[n++] = gap;
  }
  return n;
}
