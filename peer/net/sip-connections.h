/* SPDX-License-Identifier: Apache-2.0 */
/* A limit for the connections that sofia-sip accepts, which has none itself: it takes all that come, until there is
 * no descriptor left for anything else. */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct NetSipConnections NetSipConnections;

NetSipConnections *net_sip_connections_new (unsigned max);
void net_sip_connections_free (NetSipConnections *self);
/* Connections to this port of ours are counted. */
void net_sip_connections_add_port (NetSipConnections *self, uint16_t port);
/* Ends those over the limit; an IP other than loopback, of IPv6 a /64, may have a quarter of all.
 * Returns how many. */
unsigned net_sip_connections_sweep (NetSipConnections *self);
/* At the last sweep. */
unsigned net_sip_connections_count (const NetSipConnections *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetSipConnections, net_sip_connections_free)
