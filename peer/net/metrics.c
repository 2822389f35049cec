/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/metrics.h"

void
net_metrics_family (GString *out, const char *name, const char *type, const char *help)
{
  g_string_append_printf (out, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

void
net_metrics_gauge (GString *out, const char *name, const char *help, uint64_t value)
{
  net_metrics_family (out, name, "gauge", help);
  g_string_append_printf (out, "%s %" G_GUINT64_FORMAT "\n", name, (guint64)value);
}

void
net_metrics_counter (GString *out, const char *name, const char *help, uint64_t value)
{
  net_metrics_family (out, name, "counter", help);
  g_string_append_printf (out, "%s_total %" G_GUINT64_FORMAT "\n", name, (guint64)value);
}

void
net_metrics_program (GString *out, int64_t started)
{
  net_metrics_family (out, "ppsp_build", "info", "The program.");
  g_string_append (out, "ppsp_build_info{version=\"" PPSP_VERSION "\"} 1\n");
  net_metrics_gauge (out, "ppsp_uptime_seconds", "Since the start.",
                     (uint64_t)((g_get_monotonic_time () - started) / G_USEC_PER_SEC));
}

/* What peers told of themselves, and what we tell (peer/STATUS.md). */
static void
write_status (GString *out, const PeerEngine *engine)
{
  PeerStatusCounts told;
  const PeerStatus *own = peer_engine_status (engine);
  peer_engine_told (engine, &told);
  net_metrics_family (out, "ppsp_peers_access_link", "gauge", "Peers, by the line they told of.");
  for (uint8_t i = 0; i < PEER_N_LINKS; i++)
    g_string_append_printf (out, "ppsp_peers_access_link{link=\"%s\"} %u\n",
                            peer_access_link_name (i), told.links[i]);
  net_metrics_family (out, "ppsp_peers_power", "gauge", "Peers, by the power they told of.");
  for (uint8_t i = 0; i < PEER_N_POWERS; i++)
    g_string_append_printf (out, "ppsp_peers_power{power=\"%s\"} %u\n", peer_power_name (i),
                            told.powers[i]);
  net_metrics_gauge (out, "ppsp_peers_busy", "Peers that told of a load of 90 % or more.",
                     told.busy);
  net_metrics_gauge (out, "ppsp_peers_spared", "Peers that are asked less for what they told.",
                     told.spared);
  net_metrics_family (out, "ppsp_own_status", "info", "What peers are told of us.");
  g_string_append_printf (out, "ppsp_own_status_info{link=\"%s\",power=\"%s\"} 1\n",
                          peer_access_link_name (own->access_link), peer_power_name (own->power));
  net_metrics_gauge (out, "ppsp_own_load_percent", "Load that peers are told of.", own->load);
}

void
net_metrics_udp (GString *out, NetUdp *udp)
{
  const PeerCounters *counters = peer_engine_counters (net_udp_engine (udp));
#define WRITE(name)                                                                                \
  net_metrics_counter (out, "ppsp_peer_" #name, "Peer protocol: " #name ".", counters->name);
  PEER_COUNTERS (WRITE)
#undef WRITE
  write_status (out, net_udp_engine (udp));
  NetUdpStats stats;
  net_udp_stats (udp, &stats);
  net_metrics_counter (out, "ppsp_udp_receive_calls", "System calls that received datagrams.",
                       stats.receive_calls);
  net_metrics_counter (out, "ppsp_udp_send_calls", "System calls that sent datagrams.",
                       stats.send_calls);
  net_metrics_counter (out, "ppsp_udp_send_errors", "Datagrams that the kernel did not take.",
                       stats.send_errors);
  net_metrics_gauge (out, "ppsp_udp_receive_buffer_bytes", "Receive buffer as the kernel gave it.",
                     (uint64_t)stats.receive_buffer);
}

void
net_metrics_listener (GString *out, const NetListener *listener)
{
  NetListenerStats stats;
  net_listener_stats (listener, &stats);
  net_metrics_counter (out, "ppsp_http_accepted", "Connections taken.", stats.accepted);
  net_metrics_counter (out, "ppsp_http_refused", "Connections over a limit.", stats.refused);
  net_metrics_counter (out, "ppsp_http_timed_out", "Connections that were too slow.",
                       stats.timed_out);
  net_metrics_counter (out, "ppsp_http_too_large", "Requests with too large a body.",
                       stats.too_large);
  net_metrics_counter (out, "ppsp_http_wrong_host", "Requests for a host that we are not.",
                       stats.wrong_host);
  net_metrics_counter (out, "ppsp_http_accept_failures", "Failed accepts.", stats.accept_failures);
  net_metrics_gauge (out, "ppsp_http_connections", "Connections now.", stats.connections);
}

void
net_metrics_end (GString *out)
{
  g_string_append (out, "# EOF\n");
}
