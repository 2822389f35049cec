/* SPDX-License-Identifier: Apache-2.0 */
/* Each peer has a clock of its own, seconds away from the others', and a wall clock that is some
 * milliseconds wrong. The stream comes in frames, 25 a second, the first of each second four times
 * as large; a chunk's bytes follow from its number and the time at which it was made, so the oracle
 * keeps times only. That time is also the PCR in it, and a player plays by it:
 *
 *   due (chunk) = made (chunk) + lag,   lag = time of the first picture - made (its chunk)
 *
 * A chunk that comes later than that is a stall, and the lag grows by what the player waited. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tests/sim/world.h"

#include "peer/playout.h"
#include "peer/wire.h"
#include <openssl/rand.h>
#include <string.h>

#define FRAME_TIME 40000     /* us */
#define FRAMES 25            /* from key frame to key frame */
#define KEY_FRAME_SHARE 4    /* how much larger a key frame is */
#define TRACKER_TIME 30000   /* us: until it answers */
#define TRACKER_REST 1000000 /* us: between two questions of one peer */
#define WALL_START INT64_C (1700000000000000)
#define KEPT_TIME 12000000 /* us of the stream that viewers keep */
#define RESERVED 1024 /* chunks that a source skips when it comes back (it may have signed them) */
#define NEVER_MADE INT64_MIN
#define N_SAID (PEER_MESSAGE_PEX_RES_CERT + 2)

typedef struct {
  unsigned host;
  bool is_source, pollutes, away;
  SimRandom random;
  int64_t clock, wall_offset; /* its clock less the simulation's; its wall clock less its clock */
  PeerEngine *engine;
  PeerSwarm *swarm;
  PeerPlayout *playout;
  int64_t asked; /* the tracker, last */
  bool asking;

  bool playing, has_first;
  uint64_t first;   /* chunk delivered first */
  int64_t buffered; /* us of play time, before it plays */
  uint64_t n_chunks;
  SimViewer viewer;
  uint64_t own_data, others_data; /* datagrams with a chunk: from the source, from others */
} Peer;

struct SimWorld {
  SimWorldOptions options;
  SimNet *net;
  SimRandom random;
  GPtrArray *peers; /* Peer */
  PeerContent content;
  PeerKey *key;
  PeerIntegrity *integrity; /* static: the source's, until it joins */
  GArray *made;             /* int64_t by chunk, live */
  unsigned frame;
  double owed;                               /* bytes of the stream that no chunk holds yet */
  uint64_t next;                             /* chunk that is made next, live */
  GArray *lags;                              /* int64_t: each second of each viewer */
  uint64_t said[N_SAID], said_bytes[N_SAID]; /* by PeerMessageType; the last is the rest */
  unsigned fetched;
};

void
sim_world_options_init (SimWorldOptions *self)
{
  *self = (SimWorldOptions){.seed = 1,
                            .bitrate = 4000000,
                            .lookback = PEER_PLAYOUT_LOOKBACK,
                            .max_lag = PEER_PLAYOUT_MAX_LAG,
                            .prebuffer = 1500000,
                            .patience = 1900000,
                            .max_peers = 10};
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

/* --- the content --- */

static void
write_pcr (uint8_t *packet, int64_t time)
{
  uint64_t base = (uint64_t)time * 9 / 100; /* 90 kHz */
  packet[3] |= 0x20;
  packet[4] = 7;
  packet[5] = 0x10;
  packet[6] = (uint8_t)(base >> 25);
  packet[7] = (uint8_t)(base >> 17);
  packet[8] = (uint8_t)(base >> 9);
  packet[9] = (uint8_t)(base >> 1);
  packet[10] = (uint8_t)(base << 7 | 0x7e);
  packet[11] = 0;
}

/* Whole packets of a transport stream, the first with the PCR. */
static void
live_chunk (uint64_t chunk, int64_t made, uint8_t *out, size_t n)
{
  SimRandom random = {chunk ^ (uint64_t)made << 20};
  sim_random_fill (&random, out, n);
  for (size_t at = 0; at + 188 <= n; at += 188) {
    out[at] = 0x47;
    out[at + 1] = 0x01;
    out[at + 2] = 0x00;
    out[at + 3] = (uint8_t)(0x10 | ((chunk * (n / 188) + at / 188) & 0x0f));
  }
  write_pcr (out, made);
}

static size_t
static_chunk (const SimWorld *self, uint64_t chunk, uint8_t *out)
{
  SimRandom random = {~chunk};
  uint64_t at = chunk * self->content.chunk_size;
  size_t n = (size_t)MIN (self->content.chunk_size, self->options.length - at);
  sim_random_fill (&random, out, n);
  return n;
}

static int64_t
made_at (const SimWorld *self, uint64_t chunk)
{
  return chunk < self->made->len ? g_array_index (self->made, int64_t, chunk) : NEVER_MADE;
}

/* Is what lies in the peer's store what the source made? */
static bool
oracle (const SimWorld *self, Peer *peer, uint64_t chunk)
{
  uint8_t got[PEER_CHUNK_MAX], true_bytes[PEER_CHUNK_MAX];
  size_t n = 0, true_size = self->content.chunk_size;
  PeerStore *store = peer_swarm_store (peer->swarm);
  if (store->class->read (store, chunk, got, sizeof got, &n) != PEER_STORE_OK)
    return false;
  if (self->options.length > 0)
    true_size = static_chunk (self, chunk, true_bytes);
  else if (made_at (self, chunk) == NEVER_MADE)
    return false;
  else
    live_chunk (chunk, made_at (self, chunk), true_bytes, true_size);
  return n == true_size && memcmp (got, true_bytes, n) == 0;
}

/* --- peers --- */

static Peer *
peer_at (const SimWorld *self, unsigned peer)
{
  return self->peers->pdata[peer];
}

static int64_t
clock_of (const SimWorld *self, const Peer *peer)
{
  return sim_net_now (self->net) + peer->clock;
}

static void
tracker_answers (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  Peer *peer = argument;
  peer->asking = false;
  if (peer->swarm == NULL)
    return;
  unsigned others[256], n = 0;
  for (unsigned i = 0; i < self->peers->len && n < G_N_ELEMENTS (others); i++) {
    const Peer *other = peer_at (self, i);
    if (other != peer && other->swarm != NULL && !other->away)
      others[n++] = i;
  }
  for (unsigned i = 0; i < MIN (n, self->options.max_peers); i++) {
    /* the source first, if it is there, then any */
    unsigned at =
        i == 0 && others[0] == 0 ? 0 : i + (unsigned)sim_random_below (&self->random, n - i);
    unsigned chosen = others[at];
    others[at] = others[i];
    others[i] = chosen;
    PeerAddress address;
    sim_net_address (self->net, peer_at (self, chosen)->host, &address);
    peer_engine_add_peer (peer->engine, peer->swarm, &address);
  }
  sim_net_set_timer (self->net, peer->host, sim_net_now (self->net));
}

static void
ask_tracker (SimWorld *self, Peer *peer)
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
start_playing (SimWorld *self, Peer *peer)
{
  int64_t now = sim_net_now (self->net);
  peer->playing = true;
  if (peer->viewer.started < 0)
    peer->viewer.started = now;
  peer->viewer.lag = now - made_at (self, peer->first);
  peer->viewer.worst_lag = MAX (peer->viewer.worst_lag, peer->viewer.lag);
}

/* A player that has waited long enough starts with what it has. */
static void
lose_patience (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  Peer *peer = argument;
  if (!peer->playing && peer->has_first && peer->buffered > 0)
    start_playing (self, peer);
}

static void
play_chunk (SimWorld *self, Peer *peer, uint64_t chunk)
{
  SimViewer *viewer = &peer->viewer;
  int64_t now = sim_net_now (self->net), made = made_at (self, chunk);
  viewer->played++;
  viewer->last_played = now;
  if (!oracle (self, peer, chunk)) {
    viewer->wrong++;
    return;
  }
  if (!peer->has_first) {
    peer->has_first = true;
    peer->first = chunk;
  }
  if (!peer->playing) {
    peer->buffered = made - made_at (self, peer->first);
    if (peer->buffered >= self->options.prebuffer)
      start_playing (self, peer);
  } else if (now > made + viewer->lag) {
    viewer->stalls++;
    viewer->stalled += now - made - viewer->lag;
    viewer->lag = now - made;
  }
  viewer->worst_lag = MAX (viewer->worst_lag, viewer->lag);
}

static void
play (SimWorld *self, Peer *peer)
{
  int64_t now = clock_of (self, peer);
  for (;;) {
    uint64_t skipped;
    PeerRange run =
        peer_playout_next (peer->playout, now, peer_swarm_chunks (peer->swarm), &skipped);
    if (peer_range_is_empty (run) && skipped == 0)
      break;
    /* numbers that a source has never used are nothing to miss */
    for (uint64_t chunk = run.first - skipped; chunk < run.first; chunk++)
      peer->viewer.skipped += made_at (self, chunk) != NEVER_MADE;
    for (uint64_t chunk = run.first; chunk < run.end; chunk++)
      play_chunk (self, peer, chunk);
    sim_net_note (self->net, run.end);
  }
  PeerWant want;
  if (peer_playout_want (peer->playout, now, &want))
    peer_engine_want (peer->engine, peer->swarm, &want, 1);
}

static void
fetch (SimWorld *self, Peer *peer)
{
  if (peer->n_chunks == 0 || peer->viewer.started >= 0 ||
      peer_chunks_count (peer_swarm_chunks (peer->swarm)) < peer->n_chunks)
    return;
  peer->viewer.started = sim_net_now (self->net);
  for (uint64_t chunk = 0; chunk < peer->n_chunks; chunk++)
    peer->viewer.wrong += !oracle (self, peer, chunk);
  peer->viewer.played = peer->n_chunks;
  uint64_t n_chunks =
      (self->options.length + self->content.chunk_size - 1) / self->content.chunk_size;
  g_assert_cmpuint (peer->n_chunks, ==, n_chunks);
  self->fetched++;
  unsigned wanted = 0;
  for (unsigned i = 1; i < self->peers->len; i++)
    wanted += !peer_at (self, i)->away;
  if (self->fetched == wanted)
    sim_net_stop (self->net);
}

static void
want_all (SimWorld *self, Peer *peer)
{
  PeerWant want = {.window = {0, peer->n_chunks > 0 ? peer->n_chunks : 1 << 20}};
  want.deadline =
      clock_of (self, peer) + (self->options.sequential ? 0 : INT64_C (3600) * G_USEC_PER_SEC);
  want.chunk_time = self->options.sequential ? 1000 : 0;
  peer_engine_want (peer->engine, peer->swarm, &want, 1);
}

static void
act_on (SimWorld *self, Peer *peer, const PeerEvent *event)
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
  case PEER_EVENT_NEED_PEERS:
    ask_tracker (self, peer);
    break;
  case PEER_EVENT_BAD_PEER:
    peer->viewer.bad_peers++;
    break;
  case PEER_EVENT_CHUNKS:
  case PEER_EVENT_LOST:
  case PEER_EVENT_LATE:
    break;
  }
  sim_net_note (self->net, event->type ^ event->chunks.first << 8);
}

/* One bit of the chunk, which is the last thing in a datagram (RFC 7574, 8.6 gives it no length). */
static void
pollute (SimWorld *self, Peer *peer, uint8_t *bytes, size_t n)
{
  if (!peer->pollutes || n <= self->content.chunk_size)
    return;
  uint64_t bit = sim_random_below (&peer->random, self->content.chunk_size * 8);
  bytes[n - 1 - bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* What the bytes on the wire are spent on. */
static void
account (SimWorld *self, const uint8_t *bytes, size_t n)
{
  PeerWireFormat format = peer_wire_format (&self->content);
  PeerReader datagram = {bytes, n};
  PeerMessage message;
  uint32_t channel;
  self->said[N_SAID - 1]++;
  self->said_bytes[N_SAID - 1] += sizeof channel;
  peer_reader_u32 (&datagram, &channel);
  for (size_t left = datagram.left;
       peer_wire_read (&datagram, &format, &message) == PEER_WIRE_MESSAGE; left = datagram.left) {
    self->said[message.type]++;
    self->said_bytes[message.type] += left - datagram.left;
    if (message.type == PEER_MESSAGE_HANDSHAKE)
      datagram = (PeerReader){message.bytes.data + message.bytes.left, 0};
  }
}

static void
turn (SimWorld *self, Peer *peer)
{
  if (peer->engine == NULL)
    return;
  bool any;
  do {
    uint8_t bytes[PEER_DATAGRAM_MAX];
    PeerAddress to;
    size_t n;
    while ((n = peer_engine_send (peer->engine, clock_of (self, peer), &to, bytes, sizeof bytes)) >
           0) {
      account (self, bytes, n);
      pollute (self, peer, bytes, n);
      sim_net_send (self->net, peer->host, &to, bytes, n);
    }
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
  Peer *peer = peer_at (self, host);
  if (peer->engine == NULL)
    return;
  if (n > self->content.chunk_size) {
    PeerAddress source;
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
  Peer *peer = peer_at (self, host);
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
filled_store (const SimWorld *self, uint64_t n_chunks)
{
  PeerStore *store = peer_store_memory_new (self->content.chunk_size, n_chunks);
  for (uint64_t chunk = 0; chunk < n_chunks; chunk++) {
    uint8_t bytes[PEER_CHUNK_MAX];
    size_t n = static_chunk (self, chunk, bytes);
    g_assert_cmpint (store->class->write (store, chunk, bytes, n), ==, PEER_STORE_OK);
  }
  return store;
}

static void
start_engine (SimWorld *self, Peer *peer)
{
  PeerEngineOptions options;
  peer_engine_options_init (&options);
  options.random = engine_random;
  options.random_data = &peer->random;
  options.wall_offset = peer->wall_offset;
  options.wall_trusted = true;
  peer->engine = peer_engine_new (&options);

  bool live = self->options.length == 0;
  PeerContent content = self->content;
  if (!live && !peer->is_source && !self->options.length_told)
    content.length = 0;
  uint64_t n_chunks = live ? kept_chunks (self) : peer_content_n_chunks (&self->content);
  PeerJoin join = {.content = &content,
                   .store = !live && peer->is_source
                                ? filled_store (self, n_chunks)
                                : peer_store_memory_new (self->content.chunk_size, n_chunks),
                   .integrity = peer->is_source ? g_steal_pointer (&self->integrity) : NULL,
                   .discard_window = live ? n_chunks : UINT64_MAX,
                   .source = live && peer->is_source};
  g_autoptr (GError) error = NULL;
  peer->swarm = peer_engine_join (peer->engine, &join, &error);
  g_assert_no_error (error);
}

static void
begin (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  Peer *peer = argument;
  peer->away = false;
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
stop_engine (SimWorld *self, Peer *peer)
{
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
  Peer *peer = argument;
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerAddress to;
  size_t n;
  peer_engine_leave (peer->engine, peer->swarm);
  while ((n = peer_engine_send (peer->engine, clock_of (self, peer), &to, bytes, sizeof bytes)) > 0)
    sim_net_send (self->net, peer->host, &to, bytes, n);
  stop_engine (self, peer);
}

static void
vanish (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  Peer *peer = argument;
  sim_net_plug (self->net, peer->host, false);
  stop_engine (self, peer);
}

static void
rebind (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  sim_net_rebind (self->net, ((Peer *)argument)->host);
}

static void
make_chunk (SimWorld *self, Peer *source)
{
  uint8_t bytes[PEER_CHUNK_MAX];
  int64_t now = sim_net_now (self->net);
  while (self->made->len < self->next)
    g_array_append_val (self->made, (int64_t){NEVER_MADE});
  live_chunk (self->next, now, bytes, self->content.chunk_size);
  uint64_t number =
      peer_engine_append (source->engine, source->swarm, bytes, self->content.chunk_size);
  g_assert_cmpuint (number, ==, self->next);
  g_array_append_val (self->made, now);
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
  Peer *source = argument;
  unsigned weight = self->frame++ % FRAMES == 0 ? KEY_FRAME_SHARE : 1;
  double mean = (double)self->options.bitrate / 8 * FRAME_TIME / G_USEC_PER_SEC;
  self->owed += mean * weight * FRAMES / (FRAMES - 1 + KEY_FRAME_SHARE);
  for (; self->owed >= self->content.chunk_size; self->owed -= self->content.chunk_size)
    if (source->engine != NULL)
      make_chunk (self, source);
  turn (self, source);
  sim_net_call (self->net, sim_net_now (self->net) + FRAME_TIME, make_frame, source);
}

/* Each second, what each viewer's lag is. */
static void
sample (gpointer data, gpointer argument)
{
  SimWorld *self = data;
  for (unsigned i = 1; i < self->peers->len; i++)
    if (peer_at (self, i)->playing)
      g_array_append_val (self->lags, peer_at (self, i)->viewer.lag);
  sim_net_call (self->net, sim_net_now (self->net) + G_USEC_PER_SEC, sample, NULL);
}

static void
peer_free (gpointer data)
{
  Peer *self = data;
  peer_engine_free (self->engine);
  peer_playout_free (self->playout);
  g_free (self);
}

static void
make_live (SimWorld *self)
{
  g_autoptr (GError) error = NULL;
  peer_content_init_live (&self->content);
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
  self->integrity = peer_integrity_new (&self->content, 0, NULL, &error);
  g_assert_no_error (error);
  for (uint64_t chunk = 0; chunk < peer_content_n_chunks (&self->content); chunk++) {
    uint8_t bytes[PEER_CHUNK_MAX];
    size_t n = static_chunk (self, chunk, bytes);
    peer_integrity_append (self->integrity, bytes, n);
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
  self->made = g_array_new (FALSE, FALSE, sizeof (int64_t));
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
  g_clear_pointer (&self->integrity, peer_integrity_free);
  g_clear_pointer (&self->key, peer_key_free);
  g_array_unref (self->made);
  g_array_unref (self->lags);
  g_free (self);
}

SimNet *
sim_world_net (SimWorld *self)
{
  return self->net;
}

static Peer *
add_peer (SimWorld *self, const SimLine *line, bool is_source)
{
  Peer *peer = g_new0 (Peer, 1);
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
  Peer *peer = add_peer (self, line, true);
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
  Peer *peer = add_peer (self, line, false);
  sim_net_call (self->net, joins, begin, peer);
  return peer->host;
}

void
sim_world_leave (SimWorld *self, unsigned peer, int64_t at)
{
  sim_net_call (self->net, at, leave, peer_at (self, peer));
}

void
sim_world_vanish (SimWorld *self, unsigned peer, int64_t at)
{
  sim_net_call (self->net, at, vanish, peer_at (self, peer));
}

void
sim_world_return (SimWorld *self, unsigned peer, int64_t at)
{
  sim_net_call (self->net, at, begin, peer_at (self, peer));
}

void
sim_world_rebind (SimWorld *self, unsigned peer, int64_t at)
{
  sim_net_call (self->net, at, rebind, peer_at (self, peer));
}

void
sim_world_pollute (SimWorld *self, unsigned peer)
{
  peer_at (self, peer)->pollutes = true;
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
  *out = peer_at (self, peer)->viewer;
}

const PeerCounters *
sim_world_counters (const SimWorld *self, unsigned peer)
{
  PeerEngine *engine = peer_at (self, peer)->engine;
  return engine == NULL ? NULL : peer_engine_counters (engine);
}

/* --- the figures --- */

static int
by_time (gconstpointer a, gconstpointer b)
{
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return left < right ? -1 : left > right;
}

static int64_t
percentile (GArray *times, unsigned percent)
{
  if (times->len == 0)
    return -1;
  g_array_sort (times, by_time);
  return g_array_index (times, int64_t, (times->len - 1) * percent / 100);
}

static void
report_chunks (const SimWorld *self, SimReport *out)
{
  uint64_t from_source = 0, from_viewers = 0, sent = 0, new_bytes = 0, again = 0, n_new = 0;
  for (unsigned i = 0; i < self->peers->len; i++) {
    const Peer *peer = peer_at (self, i);
    from_source += peer->own_data;
    from_viewers += peer->others_data;
    sent += sim_net_stats (self->net, peer->host)->bytes_sent;
    if (peer->engine == NULL || peer->is_source)
      continue;
    const PeerCounters *counters = peer_engine_counters (peer->engine);
    new_bytes += counters->chunk_bytes_received;
    n_new += counters->chunks_received;
    again += counters->chunks_duplicate;
  }
  uint64_t content = self->options.length > 0
                         ? self->options.length
                         : (uint64_t)((double)self->options.bitrate / 8 *
                                      (double)sim_net_now (self->net) / G_USEC_PER_SEC);
  out->from_viewers = (double)from_viewers / (double)MAX (from_viewers + from_source, 1);
  out->source_load = (double)sim_net_stats (self->net, 0)->bytes_sent / (double)MAX (content, 1);
  out->overhead = ((double)sent - (double)new_bytes) / (double)MAX (new_bytes, 1);
  out->duplicates = (double)again / (double)MAX (n_new, 1);
}

void
sim_world_report (const SimWorld *self, SimReport *out)
{
  *out = (SimReport){.trace = sim_net_trace (self->net)};
  g_autoptr (GArray) zaps = g_array_new (FALSE, FALSE, sizeof (int64_t));
  for (unsigned i = 1; i < self->peers->len; i++) {
    const SimViewer *viewer = &peer_at (self, i)->viewer;
    out->viewers++;
    out->stalls += viewer->stalls;
    out->skipped += viewer->skipped;
    out->wrong += viewer->wrong;
    out->played += viewer->played;
    if (viewer->started < 0)
      continue;
    out->started++;
    int64_t zap = viewer->started - viewer->joined;
    g_array_append_val (zaps, zap);
  }
  out->zap_p50 = percentile (zaps, 50);
  out->zap_p95 = percentile (zaps, 95);
  out->zap_max = percentile (zaps, 100);
  out->lag_p50 = percentile (self->lags, 50);
  out->lag_p95 = percentile (self->lags, 95);
  out->lag_p99 = percentile (self->lags, 99);
  out->lag_max = percentile (self->lags, 100);
  report_chunks (self, out);
}

static double
seconds (int64_t time)
{
  return (double)time / G_USEC_PER_SEC;
}

void
sim_world_print (const SimWorld *self, const char *title)
{
  SimReport report;
  sim_world_report (self, &report);
  g_autofree char *lags =
      self->options.length > 0
          ? g_strdup ("")
          : g_strdup_printf (
                ", lag p50 %.2f p95 %.2f p99 %.2f max %.2f s, %u stalls, %" G_GUINT64_FORMAT
                " skipped",
                seconds (report.lag_p50), seconds (report.lag_p95), seconds (report.lag_p99),
                seconds (report.lag_max), report.stalls, report.skipped);
  g_test_message ("%s: seed %" G_GUINT64_FORMAT ", %u of %u %s, p50 %.2f p95 %.2f max %.2f s%s",
                  title, self->options.seed, report.started, report.viewers,
                  self->options.length > 0 ? "fetched it" : "started", seconds (report.zap_p50),
                  seconds (report.zap_p95), seconds (report.zap_max), lags);
  g_test_message ("%s: %.0f %% from viewers, source sent %.2f x the content, overhead %.1f %%, "
                  "%.2f %% twice, %" G_GUINT64_FORMAT " wrong, trace %016" G_GINT64_MODIFIER "x",
                  title, report.from_viewers * 100, report.source_load, report.overhead * 100,
                  report.duplicates * 100, report.wrong, report.trace);
}

void
sim_world_print_viewers (const SimWorld *self)
{
  static const PeerCounters none;
  for (unsigned i = 1; i < self->peers->len; i++) {
    const SimViewer *viewer = &peer_at (self, i)->viewer;
    const PeerCounters *counters = sim_world_counters (self, i);
    counters = counters != NULL ? counters : &none;
    g_test_message (
        "viewer %2u: joined %.1f, started %.2f later, lag %.2f worst %.2f, %u stalls of "
        "%.2f s, %" G_GUINT64_FORMAT " skipped; chunks %" G_GUINT64_FORMAT " new %" G_GUINT64_FORMAT
        " twice %" G_GUINT64_FORMAT " unproven %" G_GUINT64_FORMAT " sent %" G_GUINT64_FORMAT
        " lost",
        i, seconds (viewer->joined), seconds (viewer->started - viewer->joined),
        seconds (viewer->lag), seconds (viewer->worst_lag), viewer->stalls,
        seconds (viewer->stalled), viewer->skipped, counters->chunks_received,
        counters->chunks_duplicate, counters->chunks_unproven, counters->chunks_sent,
        counters->chunks_lost);
  }
}

void
sim_world_print_costs (const SimWorld *self)
{
  static const char *const names[N_SAID] = {
      "HANDSHAKE", "DATA",   "ACK",   "HAVE",    "INTEGRITY",  "PEX_RES_V4",   "PEX_REQ",  "SIGNED",
      "REQUEST",   "CANCEL", "CHOKE", "UNCHOKE", "PEX_RES_V6", "PEX_RES_CERT", "datagrams"};
  uint64_t content = 0;
  for (unsigned i = 0; i < self->peers->len; i++) {
    const PeerCounters *counters = sim_world_counters (self, i);
    content += counters != NULL && i > 0 ? counters->chunk_bytes_received : 0;
  }
  uint64_t chunks = content / self->content.chunk_size;
  for (unsigned i = 0; i < N_SAID; i++)
    if (self->said[i] > 0)
      g_test_message ("%-10s %8" G_GUINT64_FORMAT ", %.3f for a chunk, %.2f %% of it", names[i],
                      self->said[i], (double)self->said[i] / (double)MAX (chunks, 1),
                      (double)self->said_bytes[i] * 100 / (double)MAX (content, 1));
}
