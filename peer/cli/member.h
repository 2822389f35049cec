/* SPDX-License-Identifier: Apache-2.0 */
/* One swarm of a cache (RFC 6972, sections 5.1 and 5.4): on demand, it fetches what its peers will
 * need next, as long as any of them lacks something; live, it keeps up with the source and holds a
 * window of it in memory. */
#pragma once

#include "peer/cli/options.h"
#include "peer/net/cache.h"
#include "peer/net/udp.h"

typedef struct CliMember CliMember;

/* link is taken over. The rest must outlive it; they are shared by all members. swarms: PeerSwarm -> CliMember,
 * where each is found that is in its swarm now. */
CliMember *cli_member_new (const CliOptions *options, NetUdp *udp, NetCache *cache,
                           GHashTable *swarms, PeerLink *link, GError **error);
void cli_member_free (CliMember *self); /* leaves; what is on disk stays */

/* The swarm, in hex. */
const char *cli_member_id (const CliMember *self);
/* The options' peering may be another now. */
void cli_member_limit (CliMember *self);
void cli_member_event (CliMember *self, const PeerEvent *event);
/* To be called each second. used: what net_cache_used() says now, or CLI_MEMBER_UNKNOWN, and it is
 * asked when it is needed, for the members after this one too. Returns bytes that have come to the disk since. */
#define CLI_MEMBER_UNKNOWN UINT64_MAX
uint64_t cli_member_tick (CliMember *self, uint64_t *used);

typedef struct {
  bool live, wanted; /* wanted: somebody lacks something, or it is live */
  bool whole;        /* on demand: all of it is here */
  uint64_t uploaded; /* bytes */
  uint64_t up, down; /* bytes/s */
  uint32_t peers;
} CliMemberStats;
void cli_member_stats (const CliMember *self, CliMemberStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliMember, cli_member_free)
