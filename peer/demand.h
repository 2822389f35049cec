/* SPDX-License-Identifier: Apache-2.0 */
/* What the peers of a swarm will need next, for who fetches it on their behalf (RFC 6972, section
 * 5.4). */
#pragma once

#include "peer/swarm.h"

/* Static content: of each peer that lacks chunks and has got some within the last minute, or has just
 * come, the first run that it lacks behind what it got last, ahead chunks long at most. now: us.
 * Returns how many. */
size_t peer_swarm_demand (const PeerSwarm *self, int64_t now, uint64_t ahead, PeerRange *out,
                          size_t max);
