/* SPDX-License-Identifier: Apache-2.0 */
/* Each peer has a clock of its own, seconds away from the others', and a wall clock that is some
 * milliseconds wrong. The stream comes in frames, 25 a second, the first of each second four times
 * as large. The time at which a chunk was made is also the PCR in it, and a player plays by it:
 *
 *   due (chunk) = made (chunk) + lag,   lag = time of the first picture - made (its chunk)
 *
 * A chunk that comes later than that is a stall, and the lag grows by what the player waited. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tests/sim/world.h"

#include "tests/sim/world-state.h"

#include <openssl/rand.h>

#define FRAME_TIME 40000     /* us */
#define FRAMES 25            /* from key frame to key frame */
#define KEY_FRAME_SHARE 4    /* how much larger a key frame is */
#define TRACKER_TIME 30000   /* us: until it answers */
#define TRACKER_REST 1000000 /* us: between two questions of one peer */
#define CHURN_TIME 100000    /* us: between two rounds of coming and going */
#define WALL_START INT64_C (1700000000000000)
#define KEPT_TIME 12000000 /* us of the stream that viewers keep */
#define RESERVED 1024 /* chunks that a source skips when it comes back (it may have signed them) */

void
sim_world_options_init (SimWorldOptions *self)
{
  *self = (SimWorldOptions){.seed = 1,
                            .bitrate = 4000000,
                            .lookback = PEER_PLAYOUT_LOOKBACK,
                            .max_lag = PEER_PLAYOUT_MAX_LAG,
                            .prebuffer = 1500000,
                            .patience = 1900000,
                            .max_peers = 10,
                            .source_named = true};
}

/* --- the numbers that libcrypto takes for keys and signatures: the seed's, like all others --- */

static SimRandom crypto_random;

static int
crypto_bytes (unsigned char *out, int n)
{
  sim_random_fill (&crypto_random, out, (size_t)n);
  return 1;
}

static int
crypto_status (void)
{
  return 1;
}

static void
seed_crypto (uint64_t seed)
{
  static const RAND_METHOD method = {
      .bytes = crypto_bytes, .pseudorand = crypto_bytes, .status = crypto_status};
  crypto_random.state = seed;
  g_assert_cmpint (RAND_set_rand_method (&method), ==, 1);
}

static void
engine_random (void *data, uint8_t *out, size_t n)
{
  sim_random_fill (data, out, n);
}

/* --- peers --- */

static int64_t
clock_of (const SimWorld *self, const SimPeer *peer)
{
  return sim_net_now (self->net) + peer->clock;
}

/* --- the tracker --- */

static void
trade_places (SimWorld *self, unsigned a, unsigned b)
{
  unsigned *present = (unsigned *)(void *)self->present->data, there = present[a];
  present[a] = present[b];
  present[b] = there;
  sim_world_peer (self, present[a])->place = a;
  sim_world_peer (self, present[b])->place = b;
}

/* Whoever has IPv4 has IPv6 too here, so its request shows an address of each; the one that is not where
 * it comes from is not believed, but tells what it can reach. */
static TrackerResponse *
say (SimWorld *self, const SimPeer *peer, TrackerRequestType type, TrackerAction action)
{
  char id[16], transaction[24];
  g_snprintf (id, sizeof id, "%08x", peer->host);
  g_snprintf (transaction, sizeof transaction, "%" G_GUINT64_FORMAT, (guint64)self->asked++);
  g_autoptr (TrackerRequest) request = tracker_request_new (type, transaction, id);
  TrackerSwarm *swarm = tracker_request_add_swarm (request, "channel");
  TrackerAddress own = {.priority = 2, .ppspp = true}, other = {.priority = 1};
  swarm->action = action;
  swarm->mode = peer->is_source ? TRACKER_MODE_SEEDER : TRACKER_MODE_LEECH;
  sim_net_address (self->net, peer->host, &own.address);
  bool v4 = peer_address_is_v4 (&own.address);
  peer_address_parse (v4 ? "[2001:2::ffff]:1" : "198.18.255.255:1", &other.address);
  g_array_append_val (request->addresses, own);
  g_array_append_val (request->addresses, other);
  request->peer_num =
      (TrackerPeerNum){.said = type == TRACKER_REQUEST_FIND, .peer_count = self->options.max_peers};
  return tracker_registry_answer (self->options.registry, sim_net_now (self->net), request,
                                  &own.address);
}

static void
say_only (SimWorld *self, const SimPeer *peer, TrackerAction action)
{
  if (self->options.registry != NULL)
    tracker_response_free (say (self, peer, TRACKER_REQUEST_CONNECT, action));
}

static void
register_peer (SimWorld *self, SimPeer *peer)
{
  say_only (self, peer, TRACKER_ACTION_JOIN);
  peer->place = self->present->len;
  g_array_append_val (self->present, peer->host);
}

static void
unregister_peer (SimWorld *self, const SimPeer *peer)
{
  say_only (self, peer, TRACKER_ACTION_LEAVE);
  trade_places (self, peer->place, self->present->len - 1);
  g_array_set_size (self->present, self->present->len - 1);
}

static void
name_to (SimWorld *self, SimPeer *peer, unsigned named)
{
  PeerAddress address;
  sim_net_address (self->net, named, &address);
  sim_proofs_named (self->proofs, peer->host, &address);
  peer_engine_add_peer (peer->engine, peer->swarm, &address);
}

static void
registry_answers (SimWorld *self, SimPeer *peer)
{
  g_autoptr (TrackerResponse) response =
      say (self, peer, TRACKER_REQUEST_FIND, TRACKER_ACTION_JOIN);
  for (guint i = 0; i < response->results->len; i++) {
    const TrackerResult *result = g_ptr_array_index (response->results, i);
    for (guint j = 0; result->peers != NULL && j < result->peers->len; j++) {
      const TrackerPeer *named = g_ptr_array_index (result->peers, j);
      name_to (self, peer, (unsigned)g_ascii_strtoull (named->peer_id, NULL, 16));
    }
  }
}

/* A random sample of those that are there. */
static void
tracker_answers (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  SimPeer *peer = argument;
  peer->asking = false;
  if (peer->swarm == NULL)
    return;
  if (self->options.registry != NULL) {
    registry_answers (self, peer);
    sim_net_set_timer (self->net, peer->host, sim_net_now (self->net));
    return;
  }
  if (self->options.source_named && !sim_world_peer (self, 0)->away)
    name_to (self, peer, 0);
  unsigned named = self->options.source_named ? 1 : 0, n = self->present->len;
  for (unsigned i = 0; i < n && named < self->options.max_peers; i++) {
    trade_places (self, i, i + (unsigned)sim_random_below (&self->random, n - i));
    unsigned drawn = g_array_index (self->present, unsigned, i);
    if (drawn == peer->host || (drawn == 0 && self->options.source_named))
      continue;
    name_to (self, peer, drawn);
    named++;
  }
  sim_net_set_timer (self->net, peer->host, sim_net_now (self->net));
}

static void
ask_tracker (SimWorld *self, SimPeer *peer)
{
  int64_t now = sim_net_now (self->net);
  if (peer->asking || peer->is_source)
    return;
  int64_t at = MAX (now, peer->asked + TRACKER_REST);
  peer->asking = true;
  peer->asked = at;
  sim_net_call (self->net, at + TRACKER_TIME, tracker_answers, peer);
}

/* --- the player --- */

static void
start_playing (SimWorld *self, SimPeer *peer)
{
  int64_t now = sim_net_now (self->net);
  peer->playing = true;
  peer->since = now;
  if (peer->viewer.started < 0)
    peer->viewer.started = now;
  peer->viewer.lag = now - sim_content_made_at (self->bytes, peer->first);
  peer->viewer.worst_lag = MAX (peer->viewer.worst_lag, peer->viewer.lag);
  sim_world_note (self, peer, "start", "zap", now - peer->viewer.joined);
}

/* A player that has waited long enough starts with what it has. */
static void
lose_patience (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  SimPeer *peer = argument;
  if (!peer->playing && peer->has_first && peer->buffered > 0)
    start_playing (self, peer);
}

static void
play_chunk (SimWorld *self, SimPeer *peer, uint64_t chunk)
{
  SimViewer *viewer = &peer->viewer;
  int64_t now = sim_net_now (self->net), made = sim_content_made_at (self->bytes, chunk);
  viewer->played++;
  viewer->last_played = now;
  g_assert_true (sim_content_store_has (peer_swarm_store (peer->swarm), chunk));
  if (!peer->has_first) {
    peer->has_first = true;
    peer->first = chunk;
  }
  if (!peer->playing) {
    peer->buffered = made - sim_content_made_at (self->bytes, peer->first);
    if (peer->buffered >= self->options.prebuffer)
      start_playing (self, peer);
  } else if (now > made + viewer->lag) {
    viewer->stalls++;
    viewer->stalled += now - made - viewer->lag;
    sim_world_note (self, peer, "stall", "us", now - made - viewer->lag);
    viewer->lag = now - made;
  }
  viewer->worst_lag = MAX (viewer->worst_lag, viewer->lag);
}

static void
play (SimWorld *self, SimPeer *peer)
{
  int64_t now = clock_of (self, peer);
  for (;;) {
    uint64_t skipped;
    PeerRange run =
        peer_playout_next (peer->playout, now, peer_swarm_chunks (peer->swarm), &skipped);
    if (peer_range_is_empty (run) && skipped == 0)
      break;
    /* numbers that a source has never used are nothing to miss */
    uint64_t missed = 0;
    for (uint64_t chunk = run.first - skipped; chunk < run.first; chunk++)
      missed += sim_content_made_at (self->bytes, chunk) != SIM_NEVER_MADE;
    peer->viewer.skipped += missed;
    if (missed > 0)
      sim_world_note (self, peer, "skip", "chunks", (int64_t)missed);
    for (uint64_t chunk = run.first; chunk < run.end; chunk++)
      play_chunk (self, peer, chunk);
    sim_net_note (self->net, run.end);
  }
  PeerWant want;
  if (peer_playout_want (peer->playout, now, &want))
    peer_engine_want (peer->engine, peer->swarm, &want, 1);
}

static void
fetch (SimWorld *self, SimPeer *peer)
{
  if (peer->n_chunks == 0 || peer->viewer.started >= 0 ||
      peer_chunks_count (peer_swarm_chunks (peer->swarm)) < peer->n_chunks)
    return;
  peer->viewer.started = sim_net_now (self->net);
  for (uint64_t chunk = 0; chunk < peer->n_chunks; chunk++)
    g_assert_true (sim_content_store_has (peer_swarm_store (peer->swarm), chunk));
  peer->viewer.played = peer->n_chunks;
  uint64_t n_chunks =
      (self->options.length + self->content.chunk_size - 1) / self->content.chunk_size;
  g_assert_cmpuint (peer->n_chunks, ==, n_chunks);
  self->fetched++;
  unsigned wanted = 0;
  for (unsigned i = 1; i < self->peers->len; i++)
    wanted += !sim_world_peer (self, i)->away;
  if (self->fetched == wanted)
    sim_net_stop (self->net);
}

static void
want_all (SimWorld *self, SimPeer *peer)
{
  PeerWant want = {.window = {0, peer->n_chunks > 0 ? peer->n_chunks : 1 << 20}};
  want.deadline =
      clock_of (self, peer) + (self->options.sequential ? 0 : INT64_C (3600) * G_USEC_PER_SEC);
  want.chunk_time = self->options.sequential ? 1000 : 0;
  peer_engine_want (peer->engine, peer->swarm, &want, 1);
}

static bool
is_honest_address (const SimWorld *self, const PeerAddress *address)
{
  for (unsigned i = 0; i < self->peers->len; i++) {
    PeerAddress own;
    sim_net_address (self->net, i, &own);
    if (peer_address_equal (&own, address))
      return sim_world_is_honest (self, i);
  }
  return false;
}

static void
act_on (SimWorld *self, SimPeer *peer, const PeerEvent *event)
{
  switch (event->type) {
  case PEER_EVENT_EDGE:
    if (peer->playout != NULL)
      peer_playout_edge (peer->playout, clock_of (self, peer), event->chunks, event->time);
    break;
  case PEER_EVENT_SIZE:
    if (!peer->is_source) {
      peer->n_chunks = event->chunks.end;
      want_all (self, peer);
    }
    break;
  case PEER_EVENT_END: /* no source of a simulation ends */
    break;
  case PEER_EVENT_NEED_PEERS:
    ask_tracker (self, peer);
    break;
  case PEER_EVENT_BAD_PEER:
    peer->viewer.bad_peers++;
    peer->viewer.bad_honest += is_honest_address (self, &event->address);
    break;
  case PEER_EVENT_LATE:
    sim_world_note (self, peer, "late", "chunks", (int64_t)peer_range_size (event->chunks));
    break;
  case PEER_EVENT_CHUNKS:
  case PEER_EVENT_LOST:
  case PEER_EVENT_UNKEPT: /* stores of a simulation keep all */
    break;
  }
  sim_net_note (self->net, event->type ^ event->chunks.first << 8);
}

static void
send_datagram (SimWorld *self, SimPeer *peer, const PeerAddress *to, uint8_t *bytes, size_t n)
{
  if (peer->mask != NULL) {
    peer->mask->sends (peer->mask_data, to, bytes, n);
    return;
  }
  sim_world_account (self, bytes, n);
  sim_proofs_sent (self->proofs, peer->host, to, bytes, n);
  sim_net_send (self->net, peer->host, to, bytes, n);
}

static void
turn (SimWorld *self, SimPeer *peer)
{
  if (peer->engine == NULL)
    return;
  bool any;
  do {
    uint8_t bytes[PEER_DATAGRAM_MAX];
    PeerAddress to;
    size_t n;
    while ((n = peer_engine_send (peer->engine, clock_of (self, peer), &to, bytes, sizeof bytes)) >
           0)
      send_datagram (self, peer, &to, bytes, n);
    PeerEvent event;
    for (any = false; peer_engine_next_event (peer->engine, &event); any = true)
      act_on (self, peer, &event);
    if (any && peer->playout != NULL)
      play (self, peer);
    else if (any && !peer->is_source)
      fetch (self, peer);
  } while (any);
  int64_t deadline = peer_engine_deadline (peer->engine);
  if (peer->playout != NULL)
    deadline =
        MIN (deadline, peer_playout_deadline (peer->playout, peer_swarm_chunks (peer->swarm)));
  sim_net_set_timer (self->net, peer->host,
                     deadline == PEER_NEVER ? INT64_MAX : deadline - peer->clock);
}

static void
receive (gpointer data, unsigned host, const PeerAddress *from, const uint8_t *bytes, size_t n)
{
  SimWorld *self = data;
  SimPeer *peer = sim_world_peer (self, host);
  if (peer->engine == NULL)
    return;
  if (peer->mask != NULL)
    peer->mask->receives (peer->mask_data, from, bytes, n);
  else
    sim_proofs_received (self->proofs, host, from, bytes, n);
  if (n > self->content.chunk_size) {
    PeerAddress source;
    self->arrived++;
    sim_net_address (self->net, 0, &source);
    if (peer_address_equal (from, &source))
      peer->own_data++;
    else
      peer->others_data++;
  }
  peer_engine_receive (peer->engine, clock_of (self, peer), from, bytes, n);
  turn (self, peer);
}

static void
timer (gpointer data, unsigned host)
{
  SimWorld *self = data;
  SimPeer *peer = sim_world_peer (self, host);
  if (peer->engine != NULL && peer->playout != NULL)
    play (self, peer);
  turn (self, peer);
}

/* --- coming and going --- */

static uint64_t
kept_chunks (const SimWorld *self)
{
  return self->options.bitrate / 8 * (KEPT_TIME / G_USEC_PER_SEC) / self->content.chunk_size;
}

static PeerStore *
new_store (const SimWorld *self, bool filled, uint64_t n_chunks)
{
  PeerStore *store = sim_content_store_new (self->bytes, n_chunks);
  for (uint64_t chunk = 0; filled && chunk < n_chunks; chunk++) {
    size_t n;
    const uint8_t *bytes = sim_content_bytes (self->bytes, chunk, &n);
    g_assert_cmpint (store->class->write (store, chunk, bytes, n), ==, PEER_STORE_OK);
  }
  return store;
}

static void
start_engine (SimWorld *self, SimPeer *peer)
{
  PeerEngineOptions options;
  peer_engine_options_init (&options);
  options.random = engine_random;
  options.random_data = &peer->random;
  options.wall_offset = peer->wall_offset;
  options.wall_trusted = true;
  options.loss_tolerance = self->options.loss_tolerance;
  peer->engine = peer_engine_new (&options);

  bool live = self->options.length == 0;
  PeerContent content = self->content;
  if (!live && !peer->is_source && !self->options.length_told)
    content.length = 0;
  uint64_t n_chunks = live ? kept_chunks (self) : peer_content_n_chunks (&self->content);
  PeerJoin join = {.content = &content,
                   .store = new_store (self, !live && peer->is_source, n_chunks),
                   .integrity = peer->is_source ? g_steal_pointer (&self->integrity) : NULL,
                   .discard_window = live ? n_chunks : UINT64_MAX,
                   .source = live && peer->is_source,
                   .max_peers = peer->is_source ? self->options.source_peers : 0};
  g_autoptr (GError) error = NULL;
  peer->swarm = peer_engine_join (peer->engine, &join, &error);
  g_assert_no_error (error);
}

static void
begin (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  SimPeer *peer = argument;
  peer->away = false;
  register_peer (self, peer);
  sim_net_plug (self->net, peer->host, true);
  start_engine (self, peer);
  if (peer->is_source && self->options.length == 0) {
    uint64_t whole = self->content.chunks_per_signature;
    uint64_t first = self->next == 0 ? 0 : self->next + RESERVED;
    self->next = (first + whole - 1) / whole * whole;
    peer_engine_start (peer->engine, peer->swarm, self->next);
  }
  if (!peer->is_source) {
    peer->viewer.joined = sim_net_now (self->net);
    sim_world_note (self, peer, "join", NULL, 0);
    peer->asked = peer->viewer.joined - TRACKER_REST;
    ask_tracker (self, peer);
    if (self->options.length == 0) {
      peer->buffered = 0;
      sim_net_call (self->net, peer->viewer.joined + self->options.patience, lose_patience, peer);
      PeerPlayoutOptions playout = {.chunk_size = self->content.chunk_size,
                                    .chunks_per_signature = self->content.chunks_per_signature,
                                    .lookback = self->options.lookback,
                                    .max_lag = self->options.max_lag};
      peer->playout = peer_playout_new (&playout);
    } else {
      if (self->options.length_told)
        peer->n_chunks = peer_content_n_chunks (&self->content);
      want_all (self, peer);
    }
  }
  turn (self, peer);
}

static void
stop_engine (SimWorld *self, SimPeer *peer)
{
  sim_world_counters (self, peer->host, &peer->past);
  sim_world_viewer (self, peer->host, &peer->viewer);
  sim_world_note (self, peer, "leave", NULL, 0);
  unregister_peer (self, peer);
  peer->away = true;
  sim_net_set_timer (self->net, peer->host, INT64_MAX);
  g_clear_pointer (&peer->engine, peer_engine_free);
  peer->swarm = NULL;
  g_clear_pointer (&peer->playout, peer_playout_free);
  peer->playing = peer->has_first = false;
}

static void
leave (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  SimPeer *peer = argument;
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerAddress to;
  size_t n;
  peer_engine_leave (peer->engine, peer->swarm);
  while ((n = peer_engine_send (peer->engine, clock_of (self, peer), &to, bytes, sizeof bytes)) > 0)
    send_datagram (self, peer, &to, bytes, n);
  stop_engine (self, peer);
}

static void
vanish (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  SimPeer *peer = argument;
  sim_net_plug (self->net, peer->host, false);
  stop_engine (self, peer);
}

static void
rebind (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  sim_net_rebind (self->net, ((SimPeer *)argument)->host);
}

static void
make_chunk (SimWorld *self, SimPeer *source)
{
  const uint8_t *bytes = sim_content_make_live (self->bytes, self->next, sim_net_now (self->net));
  uint64_t number =
      peer_engine_append (source->engine, source->swarm, bytes, self->content.chunk_size);
  g_assert_cmpuint (number, ==, self->next);
  self->next++;
  if (peer_engine_open_chunks (source->engine, source->swarm) == 0)
    g_assert_true (
        peer_engine_sign (source->engine, source->swarm, self->key, clock_of (self, source)));
}

/* A frame of the encoder, or of silence while the source is away; then the next. */
static void
make_frame (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  SimPeer *source = argument;
  unsigned weight = self->frame++ % FRAMES == 0 ? KEY_FRAME_SHARE : 1;
  double mean = (double)self->options.bitrate / 8 * FRAME_TIME / G_USEC_PER_SEC;
  self->owed += mean * weight * FRAMES / (FRAMES - 1 + KEY_FRAME_SHARE);
  for (; self->owed >= self->content.chunk_size; self->owed -= self->content.chunk_size)
    if (source->engine != NULL)
      make_chunk (self, source);
  turn (self, source);
  sim_net_call (self->net, sim_net_now (self->net) + FRAME_TIME, make_frame, source);
}

static void
sample (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  sim_world_sample (self);
  sim_net_call (self->net, sim_net_now (self->net) + G_USEC_PER_SEC, sample, NULL);
}

static void
peer_free (gpointer data)
{
  SimPeer *self = data;
  peer_engine_free (self->engine);
  peer_playout_free (self->playout);
  g_free (self);
}

static void
make_live (SimWorld *self)
{
  g_autoptr (GError) error = NULL;
  peer_content_init_live (&self->content);
  self->bytes = sim_content_new (self->content.chunk_size);
  self->key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
  g_assert_no_error (error);
  peer_key_swarm_id (self->key, &self->content);
}

static void
make_static (SimWorld *self)
{
  g_autoptr (GError) error = NULL;
  peer_content_init_static (&self->content);
  self->content.length = self->options.length;
  self->bytes = sim_content_new (self->content.chunk_size);
  self->integrity = peer_integrity_new (&self->content, 0, NULL, &error);
  g_assert_no_error (error);
  for (uint64_t chunk = 0; chunk < peer_content_n_chunks (&self->content); chunk++) {
    uint64_t left = self->options.length - chunk * self->content.chunk_size;
    size_t n = (size_t)MIN (self->content.chunk_size, left);
    peer_integrity_append (self->integrity, sim_content_make_static (self->bytes, chunk, n), n);
  }
  peer_integrity_finish (self->integrity, self->content.swarm_id);
  self->content.swarm_id_size = (uint16_t)peer_content_hash_size (&self->content);
}

SimWorld *
sim_world_new (const SimWorldOptions *options)
{
  static const SimNetClass class = {receive, timer};
  SimWorld *self = g_new0 (SimWorld, 1);
  self->options = *options;
  self->random.state = options->seed;
  seed_crypto (sim_random_next (&self->random));
  self->net = sim_net_new (&class, self, sim_random_next (&self->random));
  self->peers = g_ptr_array_new_with_free_func (peer_free);
  self->proofs = sim_proofs_new ();
  self->present = g_array_new (FALSE, FALSE, sizeof (unsigned));
  self->line = g_string_new (NULL);
  self->lags = g_array_new (FALSE, FALSE, sizeof (int64_t));
  if (options->length == 0)
    make_live (self);
  else
    make_static (self);
  return self;
}

void
sim_world_free (SimWorld *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->peers);
  sim_net_free (self->net);
  sim_proofs_free (self->proofs);
  g_clear_pointer (&self->integrity, peer_integrity_free);
  g_clear_pointer (&self->key, peer_key_free);
  sim_content_free (self->bytes);
  g_array_unref (self->present);
  g_string_free (self->line, TRUE);
  g_array_unref (self->lags);
  g_free (self);
}

SimNet *
sim_world_net (SimWorld *self)
{
  return self->net;
}

static SimPeer *
add_peer (SimWorld *self, const SimLine *line, bool is_source)
{
  SimPeer *peer = g_new0 (SimPeer, 1);
  peer->host = sim_net_add_host (self->net, line);
  peer->is_source = is_source;
  peer->away = true;
  peer->random.state = sim_random_next (&self->random);
  peer->clock = (int64_t)sim_random_below (&self->random, 1000) * G_USEC_PER_SEC + 12345;
  int64_t wrong = (int64_t)sim_random_below (&self->random, 400000) - 200000;
  peer->wall_offset = WALL_START - peer->clock + wrong;
  peer->viewer = (SimViewer){.joined = -1, .started = -1, .lag = -1, .last_played = -1};
  g_ptr_array_add (self->peers, peer);
  return peer;
}

unsigned
sim_world_add_source (SimWorld *self, const SimLine *line)
{
  g_assert_cmpuint (self->peers->len, ==, 0);
  SimPeer *peer = add_peer (self, line, true);
  begin (self, peer);
  if (self->options.length == 0) {
    make_frame (self, peer);
    sample (self, NULL);
  }
  return peer->host;
}

unsigned
sim_world_add_viewer (SimWorld *self, const SimLine *line, int64_t joins)
{
  SimPeer *peer = add_peer (self, line, false);
  sim_net_call (self->net, joins, begin, peer);
  return peer->host;
}

/* Who goes and whose router gives it another port; each one that goes, half of them without a word,
 * makes room for a newcomer with the same line. */
static void
churn (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  int64_t now = sim_net_now (self->net);
  double viewers = (double)self->present->len - 1, share = (double)CHURN_TIME / G_USEC_PER_SEC;
  self->gone += viewers * share * self->options.churn;
  self->rebound += viewers * share * self->options.rebind;
  while (self->gone >= 1 || self->rebound >= 1) {
    unsigned any = (unsigned)sim_random_below (&self->random, self->present->len);
    SimPeer *peer = sim_world_peer (self, g_array_index (self->present, unsigned, any));
    if (peer->is_source)
      continue;
    if (self->rebound >= 1) {
      sim_net_rebind (self->net, peer->host);
      self->rebound--;
      continue;
    }
    (sim_random_below (&self->random, 2) == 0 ? leave : vanish) (self, peer);
    SimLine line = *sim_net_line (self->net, peer->host);
    sim_world_add_viewer (self, &line, now);
    self->gone--;
  }
  sim_net_call (self->net, now + CHURN_TIME, churn, NULL);
}

void
sim_world_churn (SimWorld *self, int64_t from)
{
  sim_net_call (self->net, from, churn, NULL);
}

void
sim_world_leave (SimWorld *self, unsigned peer, int64_t at)
{
  sim_net_call (self->net, at, leave, sim_world_peer (self, peer));
}

void
sim_world_vanish (SimWorld *self, unsigned peer, int64_t at)
{
  sim_net_call (self->net, at, vanish, sim_world_peer (self, peer));
}

void
sim_world_return (SimWorld *self, unsigned peer, int64_t at)
{
  sim_net_call (self->net, at, begin, sim_world_peer (self, peer));
}

void
sim_world_rebind (SimWorld *self, unsigned peer, int64_t at)
{
  sim_net_call (self->net, at, rebind, sim_world_peer (self, peer));
}

void
sim_world_mask (SimWorld *self, unsigned peer, const SimMask *mask, gpointer data)
{
  sim_world_peer (self, peer)->mask = mask;
  sim_world_peer (self, peer)->mask_data = data;
}

bool
sim_world_is_honest (const SimWorld *self, unsigned peer)
{
  return sim_world_peer (self, peer)->mask == NULL;
}

void
sim_world_run (SimWorld *self, int64_t until)
{
  sim_net_run (self->net, until);
}

bool
sim_world_run_until_fetched (SimWorld *self, int64_t until)
{
  sim_net_run (self->net, until);
  return sim_net_now (self->net) < until;
}

void
sim_world_viewer (const SimWorld *self, unsigned peer, SimViewer *out)
{
  const SimPeer *own = sim_world_peer (self, peer);
  int64_t now = sim_net_now (self->net);
  *out = own->viewer;
  if (!own->away)
    out->left = now;
  if (!own->playing)
    return;
  out->watched += now - own->since;
  /* it stands still now, and nobody knows for how long yet */
  int64_t made = sim_content_made_at (self->bytes, peer_playout_position (own->playout));
  if (made != SIM_NEVER_MADE && now > made + out->lag)
    out->stalled += now - made - out->lag;
}

void
sim_world_counters (const SimWorld *self, unsigned peer, PeerCounters *out)
{
  const SimPeer *own = sim_world_peer (self, peer);
  *out = own->past;
  if (own->engine == NULL)
    return;
  const PeerCounters *now = peer_engine_counters (own->engine);
#define ADD(name) out->name += now->name;
  PEER_COUNTERS (ADD)
#undef ADD
}

PeerEngine *
sim_world_engine (const SimWorld *self, unsigned peer)
{
  return sim_world_peer (self, peer)->engine;
}

PeerSwarm *
sim_world_swarm (const SimWorld *self, unsigned peer)
{
  return sim_world_peer (self, peer)->swarm;
}

const PeerContent *
sim_world_content (const SimWorld *self)
{
  return &self->content;
}

unsigned
sim_world_n_peers (const SimWorld *self)
{
  return self->peers->len;
}
