/* SPDX-License-Identifier: Apache-2.0 */
/* What a world has to tell: figures at its end, and lines of a trace while it runs. */
#include "tests/sim/world.h"

#include "tests/sim/world-state.h"

#include <inttypes.h>

#define ZAP_TIME (2 * G_USEC_PER_SEC) /* us: after which a start is slow */

/* --- while it runs --- */

static void
write_line (SimWorld *self, const SimPeer *peer, const char *event, const PeerTraceField *fields,
            size_t n)
{
  g_string_set_size (self->line, 0);
  peer_trace_write (self->line, sim_net_now (self->net), peer->host, event, fields, n);
  fputs (self->line->str, self->options.trace);
}

void
sim_world_note (SimWorld *self, const SimPeer *peer, const char *event, const char *name,
                int64_t value)
{
  PeerTraceField field = {name, value};
  if (self->options.trace != NULL)
    write_line (self, peer, event, &field, name != NULL);
}

/* The counts are of all its life: who plots it takes the difference of two lines. */
static void
write_sample (SimWorld *self, const SimPeer *peer)
{
  const PeerTraceField fields[] = {
      {"lag", peer->playing ? peer->viewer.lag : -1},
      {"own", (int64_t)peer->own_data},
      {"others", (int64_t)peer->others_data},
      {"sent", (int64_t)sim_net_stats (self->net, peer->host)->bytes_sent},
      {"backlog", sim_net_backlog (self->net, peer->host)},
      {"line", (int64_t)sim_net_line (self->net, peer->host)->up},
  };
  write_line (self, peer, "sample", fields, G_N_ELEMENTS (fields));
}

void
sim_world_sample (SimWorld *self)
{
  for (unsigned i = 0; i < self->peers->len; i++) {
    const SimPeer *peer = sim_world_peer (self, i);
    if (peer->away || peer->mask != NULL)
      continue;
    if (peer->playing)
      g_array_append_val (self->lags, peer->viewer.lag);
    if (!peer->is_source)
      self->uplinks += (double)sim_net_line (self->net, peer->host)->up;
    if (self->options.trace != NULL)
      write_sample (self, peer);
  }
}

/* The munro goes as a hash of its own before its signature. */
static SimCost
cost_of (const SimWorld *self, const PeerMessage *message)
{
  switch (message->type) {
  case PEER_MESSAGE_DATA:
    return SIM_COST_DATA;
  case PEER_MESSAGE_INTEGRITY:
    return self->content.chunks_per_signature > 1 &&
                   peer_range_size (message->chunks) == self->content.chunks_per_signature
               ? SIM_COST_MUNROS
               : SIM_COST_HASHES;
  case PEER_MESSAGE_SIGNED_INTEGRITY:
    return SIM_COST_MUNROS;
  case PEER_MESSAGE_ACK:
    return SIM_COST_ACKS;
  case PEER_MESSAGE_HAVE:
    return SIM_COST_HAVES;
  case PEER_MESSAGE_REQUEST:
  case PEER_MESSAGE_CANCEL:
    return SIM_COST_REQUESTS;
  case PEER_MESSAGE_HANDSHAKE:
  case PEER_MESSAGE_CHOKE:
  case PEER_MESSAGE_UNCHOKE:
  case PEER_MESSAGE_PEX_REQ:
  case PEER_MESSAGE_PEX_RES_V4:
  case PEER_MESSAGE_PEX_RES_V6:
  case PEER_MESSAGE_PEX_RES_CERT:
  case PEER_MESSAGE_STATUS:
    return SIM_COST_REST;
  }
  return SIM_COST_REST;
}

void
sim_world_account (SimWorld *self, const uint8_t *bytes, size_t n)
{
  PeerWireFormat format = peer_wire_format (&self->content);
  PeerReader datagram = {bytes, n};
  PeerMessage message;
  uint32_t channel;
  self->datagrams++;
  peer_reader_u32 (&datagram, &channel);
  self->costs[SIM_COST_REST].bytes += sizeof channel;
  for (size_t left = datagram.left;
       peer_wire_read (&datagram, &format, &message) == PEER_WIRE_MESSAGE; left = datagram.left) {
    SimCost cost = cost_of (self, &message);
    self->costs[cost].messages++;
    self->costs[cost].bytes += left - datagram.left;
    if (message.type == PEER_MESSAGE_HANDSHAKE)
      datagram = (PeerReader){message.bytes.data + message.bytes.left, 0};
    if (message.type == PEER_MESSAGE_DATA)
      self->data_bytes += message.bytes.left;
  }
}

/* --- at its end --- */

static int
by_time (gconstpointer a, gconstpointer b)
{
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return left < right ? -1 : left > right;
}

static int64_t
percentile (const GArray *sorted, unsigned percent)
{
  return sorted->len == 0 ? -1 : g_array_index (sorted, int64_t, (sorted->len - 1) * percent / 100);
}

static double
ratio (double part, double whole)
{
  return whole > 0 ? part / whole : 0;
}

/* In times of the new chunks. */
static void
report_costs (const SimWorld *self, double new_bytes, double n_new, SimReport *out)
{
  double shares[SIM_N_COSTS];
  for (unsigned i = 0; i < SIM_N_COSTS; i++)
    shares[i] = ratio ((double)self->costs[i].bytes, new_bytes);
  double n_data = (double)self->costs[SIM_COST_DATA].messages;
  double again = ratio ((double)self->data_bytes - new_bytes, new_bytes);
  out->costs.heads = shares[SIM_COST_DATA] - ratio ((double)self->data_bytes, new_bytes);
  out->costs.lost = ratio (n_data - (double)self->arrived, n_new);
  out->costs.twice = out->duplicates;
  out->costs.in_vain = again - out->costs.lost - out->costs.twice;
  out->costs.hashes = shares[SIM_COST_HASHES];
  out->costs.munros = shares[SIM_COST_MUNROS];
  out->costs.acks = shares[SIM_COST_ACKS];
  out->costs.haves = shares[SIM_COST_HAVES];
  out->costs.requests = shares[SIM_COST_REQUESTS];
  out->costs.rest = shares[SIM_COST_REST];
  out->datagrams = ratio ((double)self->datagrams, n_new);
}

static void
report_chunks (const SimWorld *self, SimReport *out)
{
  uint64_t from_source = 0, from_viewers = 0, sent = 0, new_bytes = 0, again = 0, n_new = 0;
  for (unsigned i = 0; i < self->peers->len; i++) {
    const SimPeer *peer = sim_world_peer (self, i);
    PeerCounters counters;
    if (peer->mask != NULL)
      continue;
    from_source += peer->own_data;
    from_viewers += peer->others_data;
    sent += sim_net_stats (self->net, peer->host)->bytes_sent;
    if (peer->is_source)
      continue;
    sim_world_counters (self, i, &counters);
    new_bytes += counters.chunk_bytes_received;
    n_new += counters.chunks_received;
    again += counters.chunks_duplicate;
  }
  uint64_t source_sent = sim_net_stats (self->net, 0)->bytes_sent;
  double live =
      (double)self->options.bitrate / 8 * (double)sim_net_now (self->net) / G_USEC_PER_SEC;
  double content = self->options.length > 0 ? (double)self->options.length : live;
  out->from_viewers = ratio ((double)from_viewers, (double)(from_viewers + from_source));
  out->source_load = ratio ((double)source_sent, content);
  out->uplinks = ratio ((double)(sent - source_sent), self->uplinks);
  out->overhead = ratio ((double)sent - (double)new_bytes, (double)new_bytes);
  out->duplicates = ratio ((double)again, (double)n_new);
  report_costs (self, (double)new_bytes, (double)n_new, out);
}

static void
report_viewer (const SimWorld *self, const SimViewer *viewer, GArray *zaps, SimReport *out)
{
  if (viewer->joined < 0)
    return;
  out->viewers++;
  out->stalls += viewer->stalls;
  out->skipped += viewer->skipped;
  out->played += viewer->played;
  bool started = viewer->started >= 0;
  int64_t zap = (started ? viewer->started : viewer->left) - viewer->joined;
  out->slow += zap > ZAP_TIME;
  if (!started)
    return;
  out->started++;
  g_array_append_val (zaps, zap);
}

static double
share_stalled (const SimWorld *self)
{
  double watched = 0, stalled = 0;
  double chunk_time = (double)self->content.chunk_size * 8e6 / (double)self->options.bitrate;
  for (unsigned i = 1; i < self->peers->len; i++) {
    SimViewer viewer;
    if (!sim_world_is_honest (self, i))
      continue;
    sim_world_viewer (self, i, &viewer);
    watched += (double)viewer.watched;
    stalled += (double)viewer.stalled + (double)viewer.skipped * chunk_time;
  }
  return ratio (stalled, watched);
}

void
sim_world_report (const SimWorld *self, SimReport *out)
{
  *out = (SimReport){.trace = sim_net_trace (self->net)};
  g_autoptr (GArray) zaps = g_array_new (FALSE, FALSE, sizeof (int64_t));
  for (unsigned i = 1; i < self->peers->len; i++) {
    SimViewer viewer;
    if (!sim_world_is_honest (self, i))
      continue;
    sim_world_viewer (self, i, &viewer);
    report_viewer (self, &viewer, zaps, out);
  }
  g_array_sort (zaps, by_time);
  g_array_sort (self->lags, by_time);
  out->zap_p50 = percentile (zaps, 50);
  out->zap_p95 = percentile (zaps, 95);
  out->zap_max = percentile (zaps, 100);
  out->lag_p50 = percentile (self->lags, 50);
  out->lag_p95 = percentile (self->lags, 95);
  out->lag_p99 = percentile (self->lags, 99);
  out->lag_max = percentile (self->lags, 100);
  out->stalled = share_stalled (self);
  report_chunks (self, out);
}

static double
seconds (int64_t time)
{
  return (double)time / G_USEC_PER_SEC;
}

static void
print_costs (const SimReport *report, const char *title)
{
  g_test_message ("%s: of it, in %%: DATA heads %.2f, lost %.2f, twice %.2f, in vain %.2f, hashes "
                  "%.2f, munros %.2f, ACK %.2f, HAVE %.2f, REQUEST %.2f, rest %.2f; %.2f datagrams "
                  "a chunk",
                  title, report->costs.heads * 100, report->costs.lost * 100,
                  report->costs.twice * 100, report->costs.in_vain * 100,
                  report->costs.hashes * 100, report->costs.munros * 100, report->costs.acks * 100,
                  report->costs.haves * 100, report->costs.requests * 100, report->costs.rest * 100,
                  report->datagrams);
}

void
sim_world_print (const SimWorld *self, const char *title)
{
  SimReport report;
  sim_world_report (self, &report);
  bool live = self->options.length == 0;
  g_test_message ("%s: seed %" G_GUINT64_FORMAT ", %u of %u %s, p50 %.2f p95 %.2f max %.2f s, %u "
                  "after more than %d s",
                  title, self->options.seed, report.started, report.viewers,
                  live ? "started" : "fetched it", seconds (report.zap_p50),
                  seconds (report.zap_p95), seconds (report.zap_max), report.slow,
                  (int)(ZAP_TIME / G_USEC_PER_SEC));
  if (live)
    g_test_message ("%s: lag p50 %.2f p95 %.2f p99 %.2f max %.2f s, %u stalls, %" G_GUINT64_FORMAT
                    " skipped, %.3f %% of the time",
                    title, seconds (report.lag_p50), seconds (report.lag_p95),
                    seconds (report.lag_p99), seconds (report.lag_max), report.stalls,
                    report.skipped, report.stalled * 100);
  g_test_message (
      "%s: %.2f %% from viewers, source sent %.2f x the content, uplinks used by %.0f %%, "
      "overhead %.1f %%, %.2f %% twice, trace %016" G_GINT64_MODIFIER "x",
      title, report.from_viewers * 100, report.source_load, report.uplinks * 100,
      report.overhead * 100, report.duplicates * 100, report.trace);
  print_costs (&report, title);
}

void
sim_world_print_json (const SimWorld *self, FILE *out)
{
  SimReport report;
  sim_world_report (self, &report);
  fprintf (out,
           "{\"seed\":%" PRIu64 ",\"bitrate\":%" PRIu64
           ",\"viewers\":%u,\"started\":%u,\"slow_starts\":%u,\"zap_p50\":%.3f,\"zap_p95\":%.3f,"
           "\"lag_p50\":%.3f,\"lag_p95\":%.3f,\"lag_p99\":%.3f,\"stalls\":%u,\"skipped\":%" PRIu64
           ",\"stall_ratio\":%.6f,\"from_peers\":%.6f,\"source_load\":%.2f,\"uplinks\":%.3f,"
           "\"overhead\":%.4f,\"duplicates\":%.4f,"
           "\"lost\":%.4f,\"in_vain\":%.4f,\"heads\":%.4f,\"hashes\":%.4f,\"munros\":%.4f,"
           "\"acks\":%.4f,\"haves\":%.4f,\"requests\":%.4f,\"datagrams\":%.3f}\n",
           self->options.seed, self->options.bitrate, report.viewers, report.started, report.slow,
           seconds (report.zap_p50), seconds (report.zap_p95), seconds (report.lag_p50),
           seconds (report.lag_p95), seconds (report.lag_p99), report.stalls, report.skipped,
           report.stalled, report.from_viewers, report.source_load, report.uplinks, report.overhead,
           report.duplicates, report.costs.lost, report.costs.in_vain, report.costs.heads,
           report.costs.hashes, report.costs.munros, report.costs.acks, report.costs.haves,
           report.costs.requests, report.datagrams);
}

void
sim_world_print_viewers (const SimWorld *self)
{
  for (unsigned i = 1; i < self->peers->len; i++) {
    SimViewer viewer;
    PeerCounters counters;
    sim_world_viewer (self, i, &viewer);
    sim_world_counters (self, i, &counters);
    g_test_message (
        "viewer %2u: joined %.1f, started %.2f later, lag %.2f worst %.2f, %u stalls of "
        "%.2f s, %" G_GUINT64_FORMAT " skipped; chunks %" G_GUINT64_FORMAT " new %" G_GUINT64_FORMAT
        " twice %" G_GUINT64_FORMAT " unproven %" G_GUINT64_FORMAT " sent %" G_GUINT64_FORMAT
        " lost",
        i, seconds (viewer.joined), seconds (viewer.started - viewer.joined), seconds (viewer.lag),
        seconds (viewer.worst_lag), viewer.stalls, seconds (viewer.stalled), viewer.skipped,
        counters.chunks_received, counters.chunks_duplicate, counters.chunks_unproven,
        counters.chunks_sent, counters.chunks_lost);
  }
}
