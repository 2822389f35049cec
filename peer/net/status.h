/* SPDX-License-Identifier: Apache-2.0 */
/* Tells peers of our access link, power and load (peer/STATUS.md), and looks now and then whether
 * they have changed. */
#pragma once

#include "peer/net/peering.h"
#include "peer/net/udp.h"

typedef struct NetStatus NetStatus;

/* Tells it from now on, and looks each ten seconds, on the default main context. udp must outlive it;
 * peering: read at once, NULL = nothing was said. */
NetStatus *net_status_new (NetUdp *udp, const NetPeering *peering);
void net_status_free (NetStatus *self);
/* What the operator says of it now. */
void net_status_set (NetStatus *self, const NetPeering *peering);
/* Looks now. */
void net_status_look (NetStatus *self);

/* Power and battery of out, as /sys/class/power_supply tells them, or a folder like it: batteries of the
 * system, not of devices like a mouse, and of several the fullest. Without any it is on mains. */
void net_status_read_power (const char *folder, PeerStatus *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetStatus, net_status_free)
