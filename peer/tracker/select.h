/* SPDX-License-Identifier: Apache-2.0 */
/* Whom to name to a peer that asks (RFC 7846, 4.1.1 and 4.1.2; RFC 6972, 5.1): who can be reached,
 * is near, has what is wanted and something to spare; and some that are none of it, so that the swarm
 * does not fall apart into neighbourhoods. */
#pragma once

#include "peer/random.h"
#include "peer/tracker/crowd.h"
#include "peer/tracker/places.h"

typedef struct {
  PeerRandom random; /* as the registry has it */
  void *random_data;
  const TrackerPlaces *places; /* NULL = by prefix alone */
  bool blind;                  /* a random sample, whoever asks */
} TrackerSelection;

/* At most room of them, none twice and never the asker, the most fit first. chunks: what it wants, or
 * NULL. now: the registry's. */
unsigned tracker_select (const TrackerSelection *self, const CrowdSwarm *swarm,
                         const CrowdPeer *asker, const GArray *chunks, int64_t now, unsigned room,
                         CrowdPeer *out[TRACKER_MAX_PEERS]);

/* Its addresses that the asker can reach: of its families, private ones only within one private
 * network, loopback ones only on one machine. */
unsigned tracker_select_addresses (const CrowdPeer *asker, const CrowdPeer *peer,
                                   TrackerAddress out[CROWD_MAX_ADDRESSES]);
