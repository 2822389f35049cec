/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/metrics.h"

static void
family (GString *out, const char *name, const char *type, const char *help)
{
  g_string_append_printf (out, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

static void
gauge (GString *out, const char *name, const char *help, uint64_t value)
{
  family (out, name, "gauge", help);
  g_string_append_printf (out, "%s %" G_GUINT64_FORMAT "\n", name, value);
}

static void
counter (GString *out, const char *name, const char *help, uint64_t value)
{
  family (out, name, "counter", help);
  g_string_append_printf (out, "%s_total %" G_GUINT64_FORMAT "\n", name, value);
}

static void
write_engine (GString *out, NetUdp *udp)
{
  const PeerCounters *counters = peer_engine_counters (net_udp_engine (udp));
#define WRITE(name) counter (out, "ppsp_peer_" #name, "Peer protocol: " #name ".", counters->name);
  PEER_COUNTERS (WRITE)
#undef WRITE
  NetUdpStats stats;
  net_udp_stats (udp, &stats);
  counter (out, "ppsp_udp_receive_calls", "System calls that received datagrams.",
           stats.receive_calls);
  counter (out, "ppsp_udp_send_calls", "System calls that sent datagrams.", stats.send_calls);
  counter (out, "ppsp_udp_send_errors", "Datagrams that the kernel did not take.",
           stats.send_errors);
  gauge (out, "ppsp_udp_receive_buffer_bytes", "Receive buffer as the kernel gave it.",
         (uint64_t)stats.receive_buffer);
}

static void
write_listener (GString *out, const NetListener *listener)
{
  NetListenerStats stats;
  net_listener_stats (listener, &stats);
  counter (out, "ppsp_http_accepted", "Connections taken.", stats.accepted);
  counter (out, "ppsp_http_refused", "Connections over a limit.", stats.refused);
  counter (out, "ppsp_http_timed_out", "Connections that were too slow.", stats.timed_out);
  counter (out, "ppsp_http_too_large", "Requests with too large a body.", stats.too_large);
  counter (out, "ppsp_http_wrong_host", "Requests for a host that we are not.", stats.wrong_host);
  counter (out, "ppsp_http_accept_failures", "Failed accepts.", stats.accept_failures);
  gauge (out, "ppsp_http_connections", "Connections now.", stats.connections);
}

/* What a session has to say, one family for each. */
typedef enum { PEERS, DOWNLOADED, UPLOADED, SKIPPED, MEMORY, N_FIELDS } Field;

static const struct {
  const char *name, *type, *suffix, *help;
} fields[N_FIELDS] = {
    [PEERS] = {"ppsp_channel_peers", "gauge", "", "Peers connected."},
    [DOWNLOADED] = {"ppsp_channel_downloaded_bytes", "counter", "_total", "Verified content."},
    [UPLOADED] = {"ppsp_channel_uploaded_bytes", "counter", "_total", "Given to other peers."},
    [SKIPPED] = {"ppsp_channel_skipped_chunks", "counter", "_total", "Missing when due."},
    [MEMORY] = {"ppsp_channel_memory_bytes", "gauge", "", "Of the ring that viewers share."},
};

static uint64_t
field_value (const ProxySessionStats *stats, Field field)
{
  switch (field) {
  case PEERS:
    return stats->swarm.channels;
  case DOWNLOADED:
    return stats->swarm.downloaded;
  case UPLOADED:
    return stats->swarm.uploaded;
  case SKIPPED:
    return stats->skipped;
  case MEMORY:
  case N_FIELDS:
    break;
  }
  return stats->memory;
}

static void
write_sessions (GString *out, ProxySessions *sessions)
{
  g_autoptr (GPtrArray) active = proxy_sessions_list (sessions);
  gauge (out, "ppsp_channels_active", "Contents in play.", active->len);
  for (int field = 0; field < N_FIELDS; field++) {
    family (out, fields[field].name, fields[field].type, fields[field].help);
    for (guint i = 0; i < active->len; i++) {
      ProxySessionStats stats;
      proxy_session_stats (active->pdata[i], &stats);
      /* An ID is made of a-z 0-9 . _ - and needs no escape. */
      g_string_append_printf (out, "%s%s{channel=\"%s\"} %" G_GUINT64_FORMAT "\n",
                              fields[field].name, fields[field].suffix,
                              proxy_session_id (active->pdata[i]), field_value (&stats, field));
    }
  }
}

static void
write_viewers (GString *out, DlnaMedia *media)
{
  g_autoptr (GPtrArray) viewers = dlna_media_viewers (media);
  uint64_t rate = 0;
  for (guint i = 0; i < viewers->len; i++)
    rate += ((const DlnaViewer *)viewers->pdata[i])->rate;
  gauge (out, "ppsp_viewers", "Streams being watched.", viewers->len);
  gauge (out, "ppsp_viewers_bytes_per_second", "What they take.", rate);
}

GString *
proxy_metrics_write (const ProxyParts *with, int64_t started)
{
  GString *out = g_string_new (NULL);
  family (out, "ppsp_build", "info", "The program.");
  g_string_append (out, "ppsp_build_info{version=\"" PPSP_VERSION "\"} 1\n");
  gauge (out, "ppsp_uptime_seconds", "Since the start.",
         (uint64_t)((g_get_monotonic_time () - started) / G_USEC_PER_SEC));
  gauge (out, "ppsp_catalog_channels", "Channels known.", proxy_catalog_list (with->catalog)->len);
  gauge (out, "ppsp_catalog_troubled", "1 = the catalog cannot be written.",
         proxy_catalog_trouble (with->catalog) != NULL);
  write_sessions (out, with->sessions);
  if (with->media)
    write_viewers (out, with->media);
  if (with->cache)
    gauge (out, "ppsp_cache_bytes", "Content on demand on disk.", proxy_cache_used (with->cache));
  if (with->udp)
    write_engine (out, with->udp);
  if (with->listener)
    write_listener (out, with->listener);
  g_string_append (out, "# EOF\n");
  return out;
}
