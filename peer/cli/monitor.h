/* SPDX-License-Identifier: Apache-2.0 */
/* What a monitoring system reads, over HTTP: /metrics (OpenMetrics) and /healthz. Changes nothing. */
#pragma once

#include "peer/net/udp.h"

typedef struct CliMonitor CliMonitor;

/* Appends the families of what runs here (peer/net/metrics.h). */
typedef void (*CliMonitorFunc) (GString *out, gpointer data);

/* address: as net_listener_add() takes it; the error names it. udp and data must outlive it. */
CliMonitor *cli_monitor_new (const char *address, NetUdp *udp, CliMonitorFunc func, gpointer data,
                             GError **error);
void cli_monitor_free (CliMonitor *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliMonitor, cli_monitor_free)
