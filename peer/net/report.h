/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer does in a swarm, as a tracker is to hear of it (RFC 6972, TP.REQ-2 and TP.REQ-3). */
#pragma once

#include "peer/engine.h"
#include "peer/tracker/session.h"

/* For the requests that the session makes from now on: the condition of our line and power, as the engine
 * tells its peers of it; bytes and links, and, of static content, the chunks that are here and those that
 * are wanted. swarm NULL = we are in none now: of it, nothing new is told. uploaded_before: bytes, in
 * swarms of the same content that we have left since. */
void net_report (TrackerSession *session, const PeerEngine *engine, const PeerSwarm *swarm,
                 uint64_t uploaded_before);
