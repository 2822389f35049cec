/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/metrics.h"
#include "peer/net/metrics.h"

/* What a session has to say, one family for each. */
typedef enum {
  PEERS,
  DOWNLOADED,
  UPLOADED,
  SKIPPED,
  MEMORY,
  WINDOW,
  TIMESHIFT,
  FALLBACK,
  FALLBACK_REFUSED,
  FALLBACK_FAILURES,
  N_FIELDS
} Field;

static const struct {
  const char *name, *type, *suffix, *help;
} fields[N_FIELDS] = {
    [PEERS] = {"ppsp_channel_peers", "gauge", "", "Peers connected."},
    [DOWNLOADED] = {"ppsp_channel_downloaded_bytes", "counter", "_total",
                    "Verified content that came from peers."},
    [UPLOADED] = {"ppsp_channel_uploaded_bytes", "counter", "_total", "Given to other peers."},
    [SKIPPED] = {"ppsp_channel_skipped_chunks", "counter", "_total", "Missing when due."},
    [MEMORY] = {"ppsp_channel_memory_bytes", "gauge", "",
                "Of the ring that viewers share, on its way to the disk and read from there."},
    [WINDOW] = {"ppsp_channel_window_seconds", "gauge", "",
                "From the oldest key frame that a viewer can begin at to the newest."},
    [TIMESHIFT] = {"ppsp_channel_timeshift_bytes", "gauge", "", "Of it on disk."},
    [FALLBACK] = {"ppsp_channel_fallback_bytes", "counter", "_total",
                  "Verified content that came from the link's fall-back servers."},
    [FALLBACK_REFUSED] = {"ppsp_channel_fallback_refused_chunks", "counter", "_total",
                          "Chunks from there that the hash tree denies."},
    [FALLBACK_FAILURES] = {"ppsp_channel_fallback_failures", "counter", "_total",
                           "Requests there that were not answered as they should be."},
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
  case WINDOW:
    return (uint64_t)(stats->window / G_USEC_PER_SEC);
  case TIMESHIFT:
    return stats->timeshift;
  case FALLBACK:
    return stats->fallback.bytes;
  case FALLBACK_REFUSED:
    return stats->fallback.refused;
  case FALLBACK_FAILURES:
    return stats->fallback.failures;
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
  net_metrics_gauge (out, "ppsp_channels_active", "Contents in play.", active->len);
  for (int field = 0; field < N_FIELDS; field++) {
    net_metrics_family (out, fields[field].name, fields[field].type, fields[field].help);
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
  net_metrics_gauge (out, "ppsp_viewers", "Streams being watched.", viewers->len);
  net_metrics_gauge (out, "ppsp_viewers_bytes_per_second", "What they take.", rate);
}

static void
write_hls (GString *out, const ProxyHls *hls)
{
  ProxyHlsStats stats;
  proxy_hls_stats (hls, &stats);
  net_metrics_gauge (out, "ppsp_hls_channels", "Channels that are played by HLS.", stats.channels);
  net_metrics_counter (out, "ppsp_hls_segments", "Segments given.", stats.segments);
  net_metrics_counter (out, "ppsp_hls_bytes", "Bytes of segments given.", stats.bytes);
}

/* What the MediaServer has refused, by reason. */
static void
write_media_server (GString *out, const DlnaServerStats *stats)
{
  const struct {
    const char *name, *help;
    uint64_t value;
  } refused[] = {
      {"far_clients", "Clients of other networks.", stats->far_clients},
      {"wrong_hosts", "Requests for a host that we are not.", stats->wrong_hosts},
      {"large_bodies", "Requests with too large a body.", stats->large_bodies},
      {"bad_actions", "Actions that it does not have.", stats->bad_actions},
      {"bad_callbacks", "Subscriptions that would call somebody else.", stats->bad_callbacks},
      {"many_subscriptions", "Subscriptions over a limit.", stats->many_subscriptions},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autofree char *name = g_strconcat ("ppsp_dlna_", refused[i].name, NULL);
    net_metrics_counter (out, name, refused[i].help, refused[i].value);
  }
  net_metrics_gauge (out, "ppsp_dlna_subscriptions", "Subscriptions now.", stats->subscriptions);
  net_metrics_gauge (out, "ppsp_dlna_interfaces", "Interfaces that it is announced on.",
                     stats->interfaces);
}

static void
write_hdhomerun (GString *out, const DlnaHdhomerun *hdhomerun)
{
  DlnaHdhomerunStats stats;
  dlna_hdhomerun_stats (hdhomerun, &stats);
  net_metrics_counter (out, "ppsp_hdhomerun_answers", "Searches for tuners that were answered.",
                       stats.answers);
  net_metrics_counter (out, "ppsp_hdhomerun_far_clients", "Searches from other networks.",
                       stats.far_clients);
  net_metrics_counter (out, "ppsp_hdhomerun_bad_questions", "Packets that are no search, or torn.",
                       stats.bad_questions);
  net_metrics_counter (out, "ppsp_hdhomerun_many_questions", "Searches over the limit.",
                       stats.many_questions);
}

GString *
proxy_metrics_write (const ProxyParts *with, int64_t started)
{
  GString *out = g_string_new (NULL);
  net_metrics_program (out, started);
  net_metrics_gauge (out, "ppsp_catalog_channels", "Channels known.",
                     proxy_catalog_list (with->catalog)->len);
  net_metrics_gauge (out, "ppsp_catalog_troubled", "1 = the catalog cannot be written.",
                     proxy_catalog_trouble (with->catalog) != NULL);
  write_sessions (out, with->sessions);
  if (with->media)
    write_viewers (out, with->media);
  if (with->hdhomerun)
    write_hdhomerun (out, with->hdhomerun);
  if (with->hls)
    write_hls (out, with->hls);
  if (with->cache)
    net_metrics_gauge (out, "ppsp_cache_bytes", "Content on demand on disk.",
                       net_cache_used (with->cache));
  if (with->recordings) {
    net_metrics_gauge (out, "ppsp_recordings", "Recordings, those to come included.",
                       proxy_recordings_list (with->recordings)->len);
    net_metrics_gauge (out, "ppsp_recordings_bytes", "Recordings on disk.",
                       proxy_recordings_used (with->recordings));
  }
  if (with->udp)
    net_metrics_udp (out, with->udp);
  if (with->listener)
    net_metrics_listener (out, with->listener);
  DlnaServerStats stats;
  if (with->media_server && with->media_server (&stats, with->data))
    write_media_server (out, &stats);
  net_metrics_end (out);
  return out;
}
