/* SPDX-License-Identifier: Apache-2.0 */
/* OpenMetrics 1.0: how a family is written, and the families that several programs have, so that
 * they have the same names in all of them. */
#pragma once

#include "peer/net/listener.h"
#include "peer/net/udp.h"

#define NET_METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* The head of a family; its lines follow, and no other family's. name: whole, "ppsp_..."; type:
 * "gauge", "counter" (then the lines' names end in _total) or "info" (in _info). */
void net_metrics_family (GString *out, const char *name, const char *type, const char *help);
/* A family of one line. */
void net_metrics_gauge (GString *out, const char *name, const char *help, uint64_t value);
void net_metrics_counter (GString *out, const char *name, const char *help, uint64_t value);

/* ppsp_build and ppsp_uptime_seconds. started: us, monotonic. */
void net_metrics_program (GString *out, int64_t started);
/* ppsp_peer_...: the engine's counters; ppsp_peers_...: what peers told of themselves; ppsp_own_...:
 * what they are told of us; ppsp_udp_...: the socket. */
void net_metrics_udp (GString *out, NetUdp *udp);
/* ppsp_http_... */
void net_metrics_listener (GString *out, const NetListener *listener);
/* The last line of all. */
void net_metrics_end (GString *out);
