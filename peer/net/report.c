/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/report.h"

/* What is said of a battery that is nearly empty, when nobody knows how empty; percent. */
#define LOW_BATTERY 15
/* What others have is known by reports that are up to a minute old: who was here then has gone on by so
 * much, at 8 Mbit/s. Bytes. */
#define BEHIND (64 * 1024 * 1024)

static void
tell_condition (TrackerSession *session, const PeerStatus *status)
{
  bool mobile = status->access_link == PEER_LINK_CELLULAR, low = status->power == PEER_POWER_LOW;
  uint8_t battery = status->battery > 0 ? status->battery
                    : low               ? LOW_BATTERY
                                        : TRACKER_BATTERY_UNSAID;
  TrackerCondition condition = {.said =
                                    mobile || status->loss > 0 || battery != TRACKER_BATTERY_UNSAID,
                                .mobile = mobile,
                                .battery = battery,
                                .loss = status->loss};
  TrackerConnection connection =
      status->access_link == PEER_LINK_UNKNOWN ? TRACKER_CONNECTION_UNSAID
      : status->access_link == PEER_LINK_WIRED ? TRACKER_CONNECTION_WIRED
                                               : TRACKER_CONNECTION_WIRELESS;
  tracker_session_condition (session, &condition, connection);
}

static GArray *
ranges_new (void)
{
  return g_array_sized_new (FALSE, FALSE, sizeof (TrackerRange), TRACKER_MAX_RANGES);
}

/* The runs of what is here, or, where they are more than a request can name, the longest of them. */
static GArray *
held (const PeerChunks *chunks)
{
  GArray *out = ranges_new ();
  for (size_t i = 0; i < peer_chunks_n_runs (chunks); i++) {
    PeerRange run = peer_chunks_run (chunks, i);
    TrackerRange range = {run.first, run.end};
    if (out->len < TRACKER_MAX_RANGES) {
      g_array_append_val (out, range);
      continue;
    }
    TrackerRange *shortest = &g_array_index (out, TrackerRange, 0);
    for (guint j = 1; j < out->len; j++) {
      TrackerRange *other = &g_array_index (out, TrackerRange, j);
      if (other->end - other->first < shortest->end - shortest->first)
        shortest = other;
    }
    if (shortest->end - shortest->first < peer_range_size (run))
      *shortest = range;
  }
  return out;
}

static GArray *
wanted (const PeerSwarm *swarm)
{
  GArray *out = ranges_new ();
  PeerRange runs[TRACKER_MAX_RANGES];
  size_t n = peer_swarm_wanted (swarm, runs, G_N_ELEMENTS (runs));
  uint64_t behind = BEHIND / peer_content_chunk_max (peer_swarm_content (swarm));
  for (size_t i = 0; i < n; i++) {
    TrackerRange range = {runs[i].first - MIN (runs[i].first, behind), runs[i].end};
    g_array_append_val (out, range);
  }
  return out;
}

void
net_report (TrackerSession *session, const PeerEngine *engine, const PeerSwarm *swarm,
            uint64_t uploaded_before)
{
  PeerSwarmStats stats;
  tell_condition (session, peer_engine_status (engine));
  if (swarm == NULL)
    return;
  peer_swarm_stats (swarm, &stats);
  tracker_session_report (session, uploaded_before + stats.uploaded, stats.downloaded,
                          stats.channels);
  /* live, all have what is newest, and it is another each time */
  if (!peer_content_is_live (peer_swarm_content (swarm)))
    tracker_session_chunks (session, held (peer_swarm_chunks (swarm)), wanted (swarm));
}
