/* SPDX-License-Identifier: Apache-2.0 */
/* Live channels of tests: into the catalog, filled as a swarm would, and over. */
#pragma once

#include "proxy/sessions.h"
#include "tests/proxy/ts.h"

/* Of MPEG-TS, in no list; its strings are the caller's. */
ProxyDraft channel_draft (const char *swarm_id, const char *link, const char *name);
/* One that can be played, by a key of its own. tracker: its URI, or NULL. */
void channel_add (ProxyCatalog *catalog, const char *name, const char *tracker);

/* What is made of whole chunks from the next-th on, into the ring and to its viewers. Returns the chunk
 * that is next then. */
uint64_t channel_deliver (const TsMaker *maker, ProxyRing *ring, uint64_t next);

/* Until none is left, which is in an idle moment after the last viewer has gone. */
void channel_wait_for_end (ProxySessions *sessions);
