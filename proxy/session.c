/* SPDX-License-Identifier: Apache-2.0 */
/* All work is done in turn(), which a timer calls: at once when something has happened after a
 * while of silence, else 25 ms after the last time, so that viewers are handed what a tick brought
 * and not single chunks. A live channel is read through peer/playout, which says what can be handed
 * on, what to ask for, and when to give a missing chunk up.
 *
 * Content on demand whose length the link does not say is joined twice: first with a little memory,
 * to learn the length from the last chunk (RFC 7574, section 5.6), then with a file. */
#include "proxy/session.h"
#include "peer/net/file.h"
#include "peer/playout.h"
#include "proxy/plain.h"
#include <string.h>

enum {
  TICK = 25 * 1000,  /* us */
  ENOUGH = 65536,    /* bytes: handed on without waiting for the tick */
  FIT = 1024 * 1024, /* bytes: after so many the cache looks whether it must make room */
  PROBE_CHUNKS = 64,
  LEAST_MUNRO = 64, /* chunks: what is signed in smaller units comes as quickly */
  MAX_TRACKERS = 16,
};

struct ProxySession {
  const ProxySessionOptions *options;
  char *id, *source, *swarm_id;
  PeerLink *link;
  PeerSwarm *swarm;
  NetTracker *tracker;
  char *tracker_failure;
  GError *failure;
  ProxyWatches *watches;
  GSource *timer;
  int64_t since, last_turn, last_bytes; /* us, monotonic */

  ProxyRing *ring;
  PeerPlayout *playout; /* knows the live edge also while the session is warm */
  bool warm;
  bool shift_told; /* that it failed */
  uint64_t skipped;
  uint64_t edge, unsigned_chunks; /* an origin that restarts leaves numbers out */
  int64_t edge_wall;              /* us, Unix time: the munro before edge was signed */
  uint64_t waiting;               /* bytes that came since the last turn */
  uint64_t unfitted;              /* bytes that came since the cache made room */

  ProxyFilm *film;
  ProxyFallback *fallback; /* NULL = the link names none */
  bool cached;             /* holds its place in the cache */
  bool seeds;              /* all of it is here, and nobody reads it here */
  PeerStore *recording;    /* or NULL */
  PeerChunks *recorded;    /* all of it */
  PeerRange told[PROXY_FILM_MAX_WANTS];
  size_t n_told;
};

static void turn (ProxySession *self);

/* --- the timer --- */

typedef struct {
  GSource source;
  ProxySession *session;
} Timer;

static gboolean
timer_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  g_source_set_ready_time (source, -1);
  turn (((Timer *)source)->session);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs timer_funcs = {.dispatch = timer_dispatch};

/* when: us, monotonic */
static void
schedule (ProxySession *self, int64_t when)
{
  int64_t current = g_source_get_ready_time (self->timer);
  if (current < 0 || when < current)
    g_source_set_ready_time (self->timer, when);
}

static void
schedule_tick (ProxySession *self)
{
  schedule (self, self->waiting >= ENOUGH ? 0 : self->last_turn + TICK);
}

/* --- joining --- */

static void
add_peers (const PeerAddress *peers, size_t n, gpointer data)
{
  ProxySession *self = data;
  if (!self->swarm)
    return;
  for (size_t i = 0; i < n; i++)
    peer_engine_add_peer (net_udp_engine (self->options->udp), self->swarm, &peers[i]);
  net_udp_wake (self->options->udp);
}

static void
add_certificate (const PeerAddress *address, const uint8_t *bytes, size_t n, gpointer data)
{
  ProxySession *self = data;
  if (!self->swarm)
    return;
  peer_engine_add_certificate (net_udp_engine (self->options->udp), self->swarm, address, bytes, n);
  net_udp_wake (self->options->udp);
}

static const PeerSwarm *
our_swarm (uint64_t *uploaded_before, gpointer data)
{
  return ((const ProxySession *)data)->swarm;
}

static void
start_tracker (ProxySession *self)
{
  g_autoptr (GPtrArray) uris = g_ptr_array_new ();
  for (guint i = 0; i < self->link->trackers->len && uris->len < MAX_TRACKERS; i++)
    g_ptr_array_add (uris, self->link->trackers->pdata[i]);
  for (size_t i = 0; self->options->trackers && self->options->trackers[i]; i++)
    if (uris->len < MAX_TRACKERS &&
        !g_ptr_array_find_with_equal_func (uris, self->options->trackers[i], g_str_equal, NULL))
      g_ptr_array_add (uris, (gpointer)self->options->trackers[i]);
  if (uris->len == 0) {
    if (self->link->peers->len == 0)
      self->tracker_failure = g_strdup ("the link names neither a tracker nor a peer");
    return;
  }
  g_ptr_array_add (uris, NULL);
  NetTrackerOptions options = {
      .uris = (const char *const *)uris->pdata,
      .swarm_id = self->swarm_id,
      .seeder = self->seeds,
      .port = net_udp_port (self->options->udp),
      .allow_plain = self->options->allow_plain_tracker,
      .credentials = self->options->credentials,
      .certificate = self->link->has_tracker_key ? add_certificate : NULL,
      .engine = net_udp_engine (self->options->udp),
      .swarm = our_swarm,
  };
  g_autoptr (GError) error = NULL;
  self->tracker = net_tracker_new (&options, add_peers, self, &error);
  if (!self->tracker)
    self->tracker_failure = g_strdup (error->message);
}

void
proxy_session_hurry (ProxySession *self)
{
  if (self->tracker)
    net_tracker_hurry (self->tracker);
}

void
proxy_session_limit (ProxySession *self)
{
  if (!self->swarm)
    return;
  net_peering_limit_swarm (self->options->peering, net_udp_engine (self->options->udp), self->swarm,
                           self->id);
  net_udp_wake (self->options->udp);
}

static bool
join (ProxySession *self, PeerStore *store, PeerIntegrity *integrity, uint64_t window,
      GError **error)
{
  PeerJoin parts = {
      .content = &self->link->content,
      .store = store,
      .integrity = integrity,
      .discard_window = window,
      .source = self->seeds,
      .tracker_key = self->link->has_tracker_key ? self->link->tracker_key : NULL,
  };
  self->swarm = peer_engine_join (net_udp_engine (self->options->udp), &parts, error);
  if (!self->swarm)
    return false;
  proxy_session_limit (self);
  add_peers ((const PeerAddress *)(void *)self->link->peers->data, self->link->peers->len, self);
  return true;
}

static bool
join_live (ProxySession *self, GError **error)
{
  const PeerContent *content = &self->link->content;
  PeerPlayoutOptions options = {
      .chunk_size = peer_content_chunk_max (content),
      .chunks_per_signature = content->chunks_per_signature,
      .lookback = PEER_PLAYOUT_LOOKBACK,
      .max_lag = PEER_PLAYOUT_MAX_LAG,
  };
  bool transport_stream = g_str_equal (self->link->media_type, "video/mp2t");
  self->ring = proxy_ring_new (options.chunk_size,
                               proxy_ring_room (options.chunk_size, 0, self->options->memory),
                               transport_stream);
  if (self->options->timeshift > 0)
    proxy_ring_shift (self->ring, self->options->timeshift_folder, self->options->timeshift);
  self->playout = peer_playout_new (&options);
  return join (self, proxy_ring_store (self->ring), NULL, proxy_ring_max_chunks (self->ring),
               error);
}

static void
film_changed (gpointer data)
{
  schedule (data, 0);
}

static int64_t
film_oldest (gpointer data)
{
  ProxySession *self = data;
  int64_t when = INT64_MAX;
  if (self->film)
    proxy_film_oldest (self->film, g_get_monotonic_time (), &when);
  return when;
}

static uint64_t
film_give_back (gpointer data)
{
  ProxySession *self = data;
  int64_t when;
  PeerRange run = proxy_film_oldest (self->film, g_get_monotonic_time (), &when);
  const PeerChunks *have = peer_swarm_chunks (self->swarm);
  uint64_t before = peer_chunks_count (have);
  peer_engine_drop (net_udp_engine (self->options->udp), self->swarm, run);
  return (before - peer_chunks_count (have)) * self->link->content.chunk_size;
}

static bool
join_film (ProxySession *self, GError **error)
{
  static const NetCacheUser user = {film_oldest, film_give_back};
  const PeerContent *content = &self->link->content;
  g_autofree char *path = net_cache_take (self->options->cache, content, &user, self, error);
  if (!path)
    return false;
  self->cached = true;
  PeerHashStore *hashes = NULL;
  PeerStore *store = net_file_open_sparse (path, content, &hashes, error);
  if (!store)
    return false;
  PeerIntegrity *integrity = peer_integrity_new (content, 0, hashes, error);
  if (!integrity) {
    peer_store_free (store);
    return false;
  }
  if (!join (self, store, integrity, 0, error))
    return false;
  self->film = proxy_film_new (content->chunk_size, content->length,
                               net_cache_quota (self->options->cache), film_changed, self);
  proxy_film_attach (self->film, peer_swarm_store (self->swarm), peer_swarm_chunks (self->swarm));
  net_cache_fit (self->options->cache);
  ProxyFallbackOptions fallback = {
      .id = self->id,
      .from = self->source,
      .link = self->link,
      .udp = self->options->udp,
      .swarm = self->swarm,
      .film = self->film,
  };
  self->fallback = proxy_fallback_new (&fallback);
  return true;
}

static bool
join_first (ProxySession *self, GError **error)
{
  const PeerContent *content = &self->link->content;
  if (peer_content_is_live (content))
    return join_live (self, error);
  if (peer_content_is_variable (content)) {
    g_set_error_literal (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT,
                         "content on demand with chunks of variable size cannot be read in ranges, "
                         "as players do");
    return false;
  }
  if (content->length > 0)
    return join_film (self, error);
  return join (self, peer_store_memory_new (content->chunk_size, PROBE_CHUNKS), NULL, 0, error);
}

static ProxySession *
new_session (const ProxySessionOptions *options, const char *id)
{
  ProxySession *self = g_new0 (ProxySession, 1);
  self->options = options;
  self->id = g_strdup (id);
  self->watches = proxy_watches_new ();
  self->since = g_get_monotonic_time ();
  self->timer = g_source_new (&timer_funcs, sizeof (Timer));
  ((Timer *)self->timer)->session = self;
  g_source_attach (self->timer, g_main_context_get_thread_default ());
  return self;
}

char *
proxy_session_recording_path (const char *folder, const char *name)
{
  return g_strdup_printf ("%s/%s.ts", folder, name);
}

ProxySession *
proxy_session_new_recording (const ProxySessionOptions *options, const char *id, const char *name,
                             GError **error)
{
  uint64_t length;
  if (!options->recordings) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                         "recordings are off: --recordings names their folder");
    return NULL;
  }
  g_autofree char *path = proxy_session_recording_path (options->recordings, name);
  PeerStore *store = proxy_plain_open (path, &length, error);
  if (!store)
    return NULL;
  ProxySession *self = new_session (options, id);
  self->recording = store;
  self->recorded = peer_chunks_new (0);
  store->class->chunks (store, self->recorded);
  self->film = proxy_film_new (PROXY_PLAIN_CHUNK, length, 0, NULL, NULL);
  proxy_film_attach (self->film, store, self->recorded);
  self->last_bytes = self->since;
  return self;
}

static void
set_link (ProxySession *self, PeerLink *link)
{
  self->link = link;
  self->swarm_id = peer_content_swarm_id_hex (&link->content);
}

ProxySession *
proxy_session_new_seed (const ProxySessionOptions *options, const char *id, PeerLink *link,
                        PeerStore *store, PeerIntegrity *integrity, GError **error)
{
  ProxySession *self = new_session (options, id);
  self->seeds = true;
  set_link (self, link);
  if (!join (self, store, integrity, UINT64_MAX, error)) {
    proxy_session_free (self);
    return NULL;
  }
  start_tracker (self);
  return self;
}

ProxySession *
proxy_session_new (const ProxySessionOptions *options, const char *id, const char *source,
                   PeerLink *link, bool warm, GError **error)
{
  ProxySession *self = new_session (options, id);
  self->warm = warm && peer_content_is_live (&link->content);
  self->source = g_strdup (source);
  set_link (self, link);
  if (!join_first (self, error)) {
    proxy_session_free (self);
    return NULL;
  }
  start_tracker (self);
  schedule (self, 0);
  return self;
}

void
proxy_session_wake (ProxySession *self)
{
  self->warm = false;
  self->since = g_get_monotonic_time ();
  schedule (self, 0);
}

bool
proxy_session_is_warm (const ProxySession *self)
{
  return self->warm;
}

static void
leave (ProxySession *self)
{
  if (!self->swarm)
    return;
  PeerSwarm *swarm = g_steal_pointer (&self->swarm);
  peer_engine_leave (net_udp_engine (self->options->udp), swarm);
  net_udp_wake (self->options->udp);
}

void
proxy_session_free (ProxySession *self)
{
  if (!self)
    return;
  g_source_destroy (self->timer);
  g_source_unref (self->timer);
  g_clear_pointer (&self->tracker, net_tracker_free);
  g_clear_pointer (&self->fallback, proxy_fallback_free);
  if (self->film)
    proxy_film_attach (self->film, NULL, NULL);
  if (self->ring)
    proxy_ring_end (self->ring);
  leave (self);
  if (self->cached)
    net_cache_release (self->options->cache, &self->link->content, self);
  g_clear_pointer (&self->film, proxy_film_unref);
  g_clear_pointer (&self->recording, peer_store_free);
  peer_chunks_free (self->recorded);
  g_clear_pointer (&self->ring, proxy_ring_unref);
  peer_playout_free (self->playout);
  peer_link_free (self->link);
  proxy_watches_free (self->watches);
  g_clear_error (&self->failure);
  g_free (self->tracker_failure);
  g_free (self->swarm_id);
  g_free (self->source);
  g_free (self->id);
  g_free (self);
}

/* --- turning --- */

/* How fast the stream is is known before anything of it is fetched. What it took once is not taken back:
 * a slower part may be followed by another that is not. */
static void
make_room (ProxySession *self)
{
  uint32_t chunk_size = peer_content_chunk_max (&self->link->content);
  int64_t chunk_time = peer_playout_chunk_time (self->playout);
  proxy_ring_grow (self->ring, proxy_ring_room (chunk_size, chunk_time, self->options->memory));
  peer_engine_keep (net_udp_engine (self->options->udp), self->swarm,
                    proxy_ring_max_chunks (self->ring));
}

static void
tell_shift (ProxySession *self)
{
  const char *why = proxy_ring_shift_failure (self->ring);
  if (why && !self->shift_told)
    g_message ("channel %s: the time-shift is off until it is played anew: %s", self->id, why);
  self->shift_told = why != NULL;
}

static void
turn_live (ProxySession *self, int64_t now)
{
  PeerEngine *engine = net_udp_engine (self->options->udp);
  make_room (self);
  tell_shift (self);
  const PeerChunks *have = peer_swarm_chunks (self->swarm);
  for (;;) {
    uint64_t skipped = 0;
    PeerRange run = peer_playout_next (self->playout, now, have, &skipped);
    uint64_t never = MIN (skipped, self->unsigned_chunks);
    self->unsigned_chunks -= never;
    self->skipped += skipped - never;
    if (peer_range_is_empty (run))
      break;
    self->last_bytes = g_get_monotonic_time ();
    proxy_ring_deliver (self->ring, run);
  }
  PeerWant want;
  if (peer_playout_want (self->playout, now, &want)) {
    peer_engine_want (engine, self->swarm, &want, 1);
    net_udp_wake (self->options->udp);
  }
  int64_t deadline = peer_playout_deadline (self->playout, have);
  if (deadline != PEER_NEVER)
    schedule (self, self->last_turn + MAX (deadline - now, TICK));
}

static void
tell_film_wants (ProxySession *self, int64_t now)
{
  PeerWant wants[PROXY_FILM_MAX_WANTS];
  size_t n = proxy_film_wants (self->film, now, wants);
  bool same = n == self->n_told;
  for (size_t i = 0; i < n; i++) {
    same = same && self->told[i].first == wants[i].window.first &&
           self->told[i].end == wants[i].window.end;
    self->told[i] = wants[i].window;
  }
  self->n_told = n;
  if (same)
    return;
  peer_engine_want (net_udp_engine (self->options->udp), self->swarm, wants, n);
  net_udp_wake (self->options->udp);
}

static void
fail (ProxySession *self, GError *error)
{
  self->failure = error;
  g_message ("channel %s cannot be played: %s", self->id, error->message);
  proxy_watches_call (self->watches);
}

/* Asks for the first chunk, and when the peaks are known for the last. */
static void
turn_probe (ProxySession *self, int64_t now)
{
  PeerSwarmStats stats;
  peer_swarm_stats (self->swarm, &stats);
  if (stats.length == 0) {
    uint64_t chunk = stats.n_chunks > 0 ? stats.n_chunks - 1 : 0;
    PeerWant want = {.window = {chunk, chunk + 1}, .deadline = now, .chunk_time = 1000};
    if (self->n_told == 1 && self->told[0].first == chunk)
      return;
    self->told[0] = want.window;
    self->n_told = 1;
    peer_engine_want (net_udp_engine (self->options->udp), self->swarm, &want, 1);
    net_udp_wake (self->options->udp);
    return;
  }
  self->link->content.length = stats.length;
  self->n_told = 0;
  leave (self);
  GError *error = NULL;
  if (!join_film (self, &error)) {
    fail (self, error);
    return;
  }
  if (self->tracker)
    net_tracker_find (self->tracker); /* the new swarm knows none of the old one's peers */
  proxy_watches_call (self->watches);
}

static void
turn_film (ProxySession *self, int64_t now, bool came)
{
  if (came) {
    self->last_bytes = self->last_turn;
    proxy_film_arrived (self->film);
  }
  PeerRange lost = proxy_film_take_lost (self->film);
  if (!peer_range_is_empty (lost)) {
    peer_engine_drop (net_udp_engine (self->options->udp), self->swarm, lost);
    net_udp_wake (self->options->udp);
  }
  tell_film_wants (self, now);
  int64_t again =
      self->fallback ? proxy_fallback_turn (self->fallback, self->last_turn) : INT64_MAX;
  if (again < INT64_MAX)
    schedule (self, again);
  if (self->unfitted >= MIN (FIT, net_cache_quota (self->options->cache) / 32)) {
    self->unfitted = 0;
    net_cache_fit (self->options->cache);
  }
}

static void
turn (ProxySession *self)
{
  if (!self->swarm || self->warm)
    return;
  int64_t now = net_udp_now (self->options->udp);
  self->last_turn = g_get_monotonic_time ();
  bool came = self->waiting > 0;
  self->waiting = 0;
  if (self->ring)
    turn_live (self, now);
  else if (self->film)
    turn_film (self, now, came);
  else
    turn_probe (self, now);
}

/* Numbers that were never signed are not missed by anybody. A munro that we did not see is next to the
 * last one, or as far from it as what was made in the time between; those of a restart are farther. */
static void
note_edge (ProxySession *self, PeerRange munro, int64_t wall)
{
  int64_t chunk_time = self->playout ? peer_playout_chunk_time (self->playout) : 0;
  uint64_t near =
      self->edge + (uint64_t)MAX (self->link->content.chunks_per_signature, LEAST_MUNRO) * 16;
  if (chunk_time > 0)
    near += 2 * (uint64_t)(MAX (wall - self->edge_wall, 0) / chunk_time);
  if (self->edge > 0 && munro.first > near)
    self->unsigned_chunks += munro.first - self->edge;
  if (munro.end <= self->edge)
    return;
  self->edge = munro.end;
  self->edge_wall = wall;
}

/* No more than that came. */
static uint64_t
max_bytes (const ProxySession *self, PeerRange chunks)
{
  return peer_range_size (chunks) * peer_content_chunk_max (&self->link->content);
}

void
proxy_session_event (ProxySession *self, const PeerEvent *event)
{
  switch (event->type) {
  case PEER_EVENT_CHUNKS:
    self->waiting += max_bytes (self, event->chunks);
    self->unfitted += max_bytes (self, event->chunks);
    schedule_tick (self);
    break;
  case PEER_EVENT_EDGE:
    note_edge (self, event->chunks, event->time);
    if (self->playout)
      peer_playout_edge (self->playout, net_udp_now (self->options->udp), event->chunks,
                         event->time);
    schedule_tick (self);
    break;
  case PEER_EVENT_LATE:
    if (self->tracker)
      net_tracker_late (self->tracker, peer_range_size (event->chunks));
    schedule_tick (self);
    break;
  case PEER_EVENT_LOST:
  case PEER_EVENT_SIZE:
    schedule_tick (self);
    break;
  case PEER_EVENT_END: /* its viewers have what there was */
    break;
  case PEER_EVENT_UNKEPT: /* the disk is full, perhaps with what others need less */
    if (self->cached)
      net_cache_fit (self->options->cache);
    break;
  case PEER_EVENT_NEED_PEERS:
    if (self->tracker)
      net_tracker_find (self->tracker);
    break;
  case PEER_EVENT_BAD_PEER:
    break; /* the engine has counted it and let it go */
  }
}

/* --- questions --- */

const char *
proxy_session_id (const ProxySession *self)
{
  return self->id;
}

bool
proxy_session_has_swarm (const ProxySession *self, const PeerSwarm *swarm)
{
  return self->swarm == swarm;
}

bool
proxy_session_is_live (const ProxySession *self)
{
  return self->ring != NULL;
}

ProxyRing *
proxy_session_ring (ProxySession *self)
{
  return self->ring;
}

ProxyFilm *
proxy_session_film (ProxySession *self)
{
  return self->film;
}

const GError *
proxy_session_failure (const ProxySession *self)
{
  return self->failure;
}

ProxyWatches *
proxy_session_watches (ProxySession *self)
{
  return self->watches;
}

void
proxy_session_stats (const ProxySession *self, ProxySessionStats *out)
{
  *out = (ProxySessionStats){.since = self->since,
                             .skipped = self->skipped,
                             .last_bytes = self->last_bytes,
                             .delivered = self->last_bytes > 0,
                             .tracker_error = self->tracker_failure};
  if (self->swarm)
    peer_swarm_stats (self->swarm, &out->swarm);
  if (self->ring) {
    ProxyRingStats ring;
    proxy_ring_stats (self->ring, &ring);
    out->memory = ring.bytes + ring.unwritten + ring.loaded;
    out->memory_room = ring.room;
    out->window = ring.window;
    out->timeshift = ring.shift_bytes - MIN (ring.unwritten, ring.shift_bytes);
    out->timeshift_error = proxy_ring_shift_failure (self->ring);
  }
  proxy_fallback_stats (self->fallback, &out->fallback);
  if (!self->tracker)
    return;
  NetTrackerStatus status;
  net_tracker_status (self->tracker, &status);
  out->tracker_joined = status.joined;
  out->tracker_error = status.last_error;
}
