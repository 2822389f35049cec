/* SPDX-License-Identifier: Apache-2.0 */
/* What is fetched on demand: a window ahead of each peer that lacks something, and behind that, as
 * long as there is room that nobody else uses, the rest of the content. Nobody can ask a cache for
 * what it has not told of (RFC 7574, 3.2), so it cannot wait for requests; what its peers tell that
 * they have says what they will need. When all have it or have gone, it stops.
 *
 * Content whose length the link does not say is joined twice: first with a little memory, for its
 * peaks and its last chunk (section 5.6), then with a file. */
#include "peer/cli/member.h"

#include "peer/demand.h"
#include "peer/net/file.h"
#include "peer/net/tracker.h"
#include "peer/playout.h"
#include "peer/recency.h"

#define LIVE_BYTES (32 << 20)  /* kept of a live channel, in memory */
#define AHEAD_BYTES (16 << 20) /* fetched ahead of a peer */
#define READ_RATE (8 << 20)    /* bytes/s: how fast a peer is thought to go on */
#define PROBE_CHUNKS 64        /* of the store that only learns a size */
#define MAX_DEMANDS 32         /* peers for which it fetches ahead at once */
#define FAR_AWAY (INT64_C (3600) * G_USEC_PER_SEC)

struct CliMember {
  const CliOptions *options;
  NetUdp *udp;
  NetCache *cache;
  GHashTable *swarms;
  PeerLink *link;
  char *id;
  PeerSwarm *swarm;
  NetTracker *tracker;
  bool live, cached; /* cached: holds its place in the cache */
  PeerPlayout *playout;
  PeerRecency *recency; /* on demand, of known length; else NULL */
  char *path;           /* likewise */
  uint64_t n_chunks;
  uint64_t probed; /* one past the chunk that was asked for to learn the size */
  size_t n_wants;
  uint64_t came, uploaded_before; /* bytes; of swarms that it left */
};

static void
add_peers (const PeerAddress *peers, size_t n, gpointer data)
{
  CliMember *self = data;
  for (size_t i = 0; i < n && self->swarm != NULL; i++)
    peer_engine_add_peer (net_udp_engine (self->udp), self->swarm, &peers[i]);
  net_udp_wake (self->udp);
}

static void
add_certificate (const PeerAddress *address, const uint8_t *bytes, size_t n, gpointer data)
{
  CliMember *self = data;
  if (self->swarm == NULL)
    return;
  peer_engine_add_certificate (net_udp_engine (self->udp), self->swarm, address, bytes, n);
  net_udp_wake (self->udp);
}

void
cli_member_limit (CliMember *self)
{
  if (self->swarm != NULL)
    net_peering_limit_swarm (self->options->peering, net_udp_engine (self->udp), self->swarm, NULL);
}

static bool
join_with (CliMember *self, PeerStore *store, PeerIntegrity *integrity, GError **error)
{
  PeerJoin join = {.content = &self->link->content,
                   .store = store,
                   .integrity = integrity,
                   .tracker_key = self->link->has_tracker_key ? self->link->tracker_key : NULL,
                   .discard_window =
                       self->live ? LIVE_BYTES / peer_content_chunk_max (&self->link->content)
                                  : UINT64_MAX};
  self->swarm = peer_engine_join (net_udp_engine (self->udp), &join, error);
  if (self->swarm == NULL)
    return false;
  g_hash_table_insert (self->swarms, self->swarm, self);
  cli_member_limit (self);
  add_peers ((const PeerAddress *)(void *)self->link->peers->data, self->link->peers->len, self);
  add_peers ((const PeerAddress *)(void *)self->options->peers->data, self->options->peers->len,
             self);
  return true;
}

static void
leave (CliMember *self)
{
  PeerSwarmStats stats;
  if (self->swarm == NULL)
    return;
  peer_swarm_stats (self->swarm, &stats);
  self->uploaded_before += stats.uploaded;
  g_hash_table_remove (self->swarms, self->swarm);
  peer_engine_leave (net_udp_engine (self->udp), self->swarm);
  self->swarm = NULL;
  net_udp_wake (self->udp);
}

/* --- content on disk --- */

static bool join_file (CliMember *self, GError **error);

static uint64_t
count (const CliMember *self)
{
  return peer_chunks_count (peer_swarm_chunks (self->swarm));
}

static int64_t
oldest (gpointer data)
{
  const CliMember *self = data;
  int64_t when = INT64_MAX;
  if (self->recency != NULL && self->swarm != NULL)
    peer_recency_oldest (self->recency, peer_swarm_chunks (self->swarm), &when);
  return when;
}

/* Nothing of it is left but its tree, which is of no use then: it begins anew, as a peer that has
 * nothing. */
static void
begin_anew (CliMember *self)
{
  g_autoptr (GError) error = NULL;
  leave (self);
  net_cache_delete (self->path);
  if (!join_file (self, &error))
    g_warning ("swarm %s is left: %s", self->id, error->message);
  else if (self->tracker != NULL)
    net_tracker_find (self->tracker);
}

static uint64_t
give_back (gpointer data)
{
  CliMember *self = data;
  int64_t when;
  const PeerChunks *have = peer_swarm_chunks (self->swarm);
  uint64_t before = count (self);
  PeerRange run = peer_recency_oldest (self->recency, have, &when);
  peer_engine_drop (net_udp_engine (self->udp), self->swarm, run);
  uint64_t after = count (self), given = (before - after) * self->link->content.chunk_size;
  if (after > 0)
    return given;
  begin_anew (self);
  return given + 2 * self->n_chunks * peer_content_hash_size (&self->link->content);
}

/* The place in the cache is held already. */
static bool
join_file (CliMember *self, GError **error)
{
  const PeerContent *content = &self->link->content;
  PeerHashStore *hashes = NULL;
  PeerStore *store = net_file_open_sparse (self->path, content, &hashes, error);
  if (store == NULL)
    return false;
  PeerIntegrity *integrity = peer_integrity_new (content, 0, hashes, error);
  if (integrity == NULL) {
    peer_store_free (store);
    return false;
  }
  return join_with (self, store, integrity, error);
}

static bool
take_place (CliMember *self, GError **error)
{
  static const NetCacheUser user = {oldest, give_back};
  const PeerContent *content = &self->link->content;
  self->path = net_cache_take (self->cache, content, &user, self, error);
  if (self->path == NULL)
    return false;
  self->cached = true;
  self->n_chunks = peer_content_n_chunks (content);
  if (!join_file (self, error))
    return false;
  self->recency =
      peer_recency_new (self->n_chunks, content->chunk_size, net_cache_quota (self->cache));
  return true;
}

static void
want (CliMember *self, const PeerWant *wants, size_t n)
{
  if (n == 0 && self->n_wants == 0)
    return;
  self->n_wants = n;
  peer_engine_want (net_udp_engine (self->udp), self->swarm, wants, n);
  net_udp_wake (self->udp);
}

/* The rest is fetched as well where that drives nothing else out. */
static bool
has_room_for_rest (const CliMember *self, uint64_t *used)
{
  uint64_t missing = (self->n_chunks - count (self)) * self->link->content.chunk_size;
  uint64_t quota = net_cache_quota (self->cache);
  if (*used == CLI_MEMBER_UNKNOWN)
    *used = net_cache_used (self->cache);
  return *used + missing < quota - quota / 8;
}

static void
follow_demand (CliMember *self, uint64_t *used)
{
  uint32_t chunk_size = self->link->content.chunk_size;
  uint64_t quota = net_cache_quota (self->cache);
  PeerRange runs[MAX_DEMANDS];
  PeerWant wants[MAX_DEMANDS + 1];
  int64_t now = net_udp_now (self->udp);
  size_t n = peer_swarm_demand (self->swarm, now, AHEAD_BYTES / chunk_size + 1, runs, MAX_DEMANDS);
  uint64_t most = quota / 4 / MAX (n, 1) / chunk_size + 1; /* or they would drive each other out */
  for (size_t i = 0; i < n; i++) {
    runs[i].end = MIN (runs[i].end, runs[i].first + most);
    uint32_t chunk_time = (uint32_t)MAX ((uint64_t)chunk_size * G_USEC_PER_SEC / READ_RATE, 1);
    wants[i] = (PeerWant){.window = runs[i], .deadline = now, .chunk_time = chunk_time};
    peer_recency_touch (self->recency, runs[i], g_get_monotonic_time ());
  }
  if (n > 0 && has_room_for_rest (self, used)) {
    wants[n] = (PeerWant){.window = {0, self->n_chunks}, .deadline = now + FAR_AWAY};
    n++;
  }
  want (self, wants, n);
}

/* --- content of unknown length --- */

static void
probe (CliMember *self)
{
  PeerSwarmStats stats;
  g_autoptr (GError) error = NULL;
  peer_swarm_stats (self->swarm, &stats);
  uint64_t chunk = stats.n_chunks > 0 ? stats.n_chunks - 1 : 0;
  if (stats.length == 0) {
    PeerWant one = {.window = {chunk, chunk + 1}, .deadline = net_udp_now (self->udp)};
    if (self->probed != chunk + 1)
      want (self, &one, 1);
    self->probed = chunk + 1;
    return;
  }
  self->link->content.length = stats.length;
  leave (self);
  if (!take_place (self, &error))
    g_warning ("swarm %s is left: %s", self->id, error->message);
  else if (self->tracker != NULL)
    net_tracker_find (self->tracker);
}

/* --- live --- */

static bool
join_live (CliMember *self, GError **error)
{
  const PeerContent *content = &self->link->content;
  uint32_t chunk_max = peer_content_chunk_max (content);
  PeerPlayoutOptions options = {.chunk_size = chunk_max,
                                .chunks_per_signature = content->chunks_per_signature,
                                .lookback = PEER_PLAYOUT_LOOKBACK,
                                .max_lag = PEER_PLAYOUT_MAX_LAG};
  self->playout = peer_playout_new (&options);
  return join_with (self, peer_store_memory_new (chunk_max, LIVE_BYTES / chunk_max), NULL, error);
}

static void
keep_up (CliMember *self)
{
  uint64_t skipped;
  PeerWant one;
  int64_t now = net_udp_now (self->udp);
  const PeerChunks *have = peer_swarm_chunks (self->swarm);
  while (!peer_range_is_empty (peer_playout_next (self->playout, now, have, &skipped)) ||
         skipped > 0)
    ;
  if (peer_playout_want (self->playout, now, &one))
    want (self, &one, 1);
}

/* --- the member --- */

static const PeerSwarm *
our_swarm (uint64_t *uploaded_before, gpointer data)
{
  const CliMember *self = data;
  *uploaded_before = self->uploaded_before;
  return self->swarm;
}

static bool
start_tracker (CliMember *self, GError **error)
{
  g_autoptr (GPtrArray) uris = g_ptr_array_new ();
  for (guint i = 0; i < self->link->trackers->len; i++)
    g_ptr_array_add (uris, self->link->trackers->pdata[i]);
  for (guint i = 0; i < self->options->trackers->len; i++)
    g_ptr_array_add (uris, self->options->trackers->pdata[i]);
  if (uris->len == 0)
    return true;
  g_ptr_array_add (uris, NULL);
  NetTrackerOptions options = {.uris = (const char *const *)uris->pdata,
                               .swarm_id = self->id,
                               .seeder = self->n_chunks > 0 && count (self) == self->n_chunks,
                               .port = net_udp_port (self->udp),
                               .allow_plain = self->options->allow_plain_tracker,
                               .credentials = self->options->credentials,
                               .certificate = self->link->has_tracker_key ? add_certificate : NULL,
                               .engine = net_udp_engine (self->udp),
                               .swarm = our_swarm};
  self->tracker = net_tracker_new (&options, add_peers, self, error);
  return self->tracker != NULL;
}

static bool
join (CliMember *self, GError **error)
{
  const PeerContent *content = &self->link->content;
  if (self->live)
    return join_live (self, error);
  if (peer_content_is_variable (content)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 "content on demand with chunks of variable size has no place in a cache");
    return false;
  }
  if (content->length > 0)
    return take_place (self, error);
  return join_with (self, peer_store_memory_new (content->chunk_size, PROBE_CHUNKS), NULL, error);
}

CliMember *
cli_member_new (const CliOptions *options, NetUdp *udp, NetCache *cache, GHashTable *swarms,
                PeerLink *link, GError **error)
{
  g_autoptr (CliMember) self = g_new0 (CliMember, 1);
  self->options = options;
  self->udp = udp;
  self->cache = cache;
  self->swarms = swarms;
  self->link = link;
  self->id = peer_content_swarm_id_hex (&link->content);
  self->live = peer_content_is_live (&link->content);
  if (!join (self, error) || !start_tracker (self, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
cli_member_free (CliMember *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->tracker, net_tracker_free);
  leave (self);
  if (self->cached)
    net_cache_release (self->cache, &self->link->content, self);
  peer_playout_free (self->playout);
  peer_recency_free (self->recency);
  peer_link_free (self->link);
  g_free (self->path);
  g_free (self->id);
  g_free (self);
}

const char *
cli_member_id (const CliMember *self)
{
  return self->id;
}

void
cli_member_event (CliMember *self, const PeerEvent *event)
{
  switch (event->type) {
  case PEER_EVENT_CHUNKS:
    if (!self->live)
      self->came += peer_range_size (event->chunks) * self->link->content.chunk_size;
    if (self->recency != NULL)
      peer_recency_touch (self->recency, event->chunks, g_get_monotonic_time ());
    break;
  case PEER_EVENT_EDGE:
    if (self->playout == NULL)
      break;
    peer_playout_edge (self->playout, net_udp_now (self->udp), event->chunks, event->time);
    keep_up (self);
    break;
  case PEER_EVENT_UNKEPT: /* the disk is full, perhaps with what others need less */
    if (self->cached)
      net_cache_fit (self->cache);
    break;
  case PEER_EVENT_NEED_PEERS:
    if (self->tracker != NULL)
      net_tracker_find (self->tracker);
    break;
  case PEER_EVENT_LOST:
  case PEER_EVENT_LATE:
  case PEER_EVENT_SIZE:
  case PEER_EVENT_END:
  case PEER_EVENT_BAD_PEER:
    break;
  }
}

uint64_t
cli_member_tick (CliMember *self, uint64_t *used)
{
  uint64_t came = self->came;
  self->came = 0;
  if (self->swarm == NULL)
    return came;
  if (self->live)
    keep_up (self);
  else if (self->recency != NULL)
    follow_demand (self, used);
  else
    probe (self);
  return came;
}

void
cli_member_stats (const CliMember *self, CliMemberStats *out)
{
  PeerSwarmStats stats;
  *out = (CliMemberStats){.live = self->live, .uploaded = self->uploaded_before};
  if (self->swarm == NULL)
    return;
  peer_swarm_stats (self->swarm, &stats);
  out->wanted = self->live || self->n_wants > 0;
  out->whole = self->n_chunks > 0 && count (self) == self->n_chunks;
  out->uploaded += stats.uploaded;
  out->up = stats.upload_rate;
  out->down = stats.download_rate;
  out->peers = stats.channels;
}
