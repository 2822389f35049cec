/* SPDX-License-Identifier: Apache-2.0 */
/* How many requests an address may make: a bucket of tokens for each IPv4 address and each /64 of
 * IPv6, in a table whose size nobody can change. Loopback has no limit. */
#pragma once

#include "peer/address.h"
#include "peer/random.h"

typedef struct TrackerdQuota TrackerdQuota;

/* rate: tokens a second; burst: as many as a bucket holds, and begins with. */
TrackerdQuota *trackerd_quota_new (uint32_t rate, uint32_t burst, PeerRandom random,
                                   void *random_data);
void trackerd_quota_free (TrackerdQuota *self);
void trackerd_quota_limit (TrackerdQuota *self, uint32_t rate, uint32_t burst);
uint32_t trackerd_quota_rate (const TrackerdQuota *self);
uint32_t trackerd_quota_burst (const TrackerdQuota *self);

/* Is there a token left for one more request? It is not taken away yet. now: monotonic us. */
bool trackerd_quota_has (const TrackerdQuota *self, const PeerAddress *from, int64_t now);
/* Takes so many, or what is left. */
void trackerd_quota_take (TrackerdQuota *self, const PeerAddress *from, uint32_t n, int64_t now);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdQuota, trackerd_quota_free)
