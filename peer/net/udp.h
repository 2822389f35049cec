/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a PeerEngine with a UDP socket and a clock, on the default main context of the thread that
 * made it: batched by recvmmsg and sendmmsg, with GRO and GSO where the kernel has them. */
#pragma once

#include "peer/engine.h"

typedef struct NetUdp NetUdp;

/* Called for each event of the engine; it may call the engine's verbs. */
typedef void (*NetUdpEventFunc) (const PeerEvent *event, gpointer data);

/* address: "0.0.0.0:7574", "[::]:7574" (both families); port 0 = any. options: as for the engine;
 * random and wall_offset are filled in here. The error names the address and what to do. */
NetUdp *net_udp_new (const char *address, const PeerEngineOptions *options, NetUdpEventFunc func,
                     gpointer data, GError **error);
void net_udp_free (NetUdp *self); /* sends what is pending (closing handshakes), then closes */

PeerEngine *net_udp_engine (NetUdp *self);
uint16_t net_udp_port (const NetUdp *self);
/* The engine's clock: monotonic, us. */
int64_t net_udp_now (const NetUdp *self);
/* After a verb of the engine that takes no time, or when a pending store read is done: turns the
 * engine soon, from the main loop. */
void net_udp_wake (NetUdp *self);

/* For metrics and tests. */
typedef struct {
  uint64_t receive_calls, send_calls; /* system calls */
  uint64_t send_errors;
  bool gso, gro;      /* in use */
  int receive_buffer; /* bytes, as the kernel gave it */
} NetUdpStats;
void net_udp_stats (const NetUdp *self, NetUdpStats *out);
/* As on a kernel that has no UDP_SEGMENT. */
void net_udp_disable_gso (NetUdp *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetUdp, net_udp_free)
