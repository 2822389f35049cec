/* SPDX-License-Identifier: Apache-2.0 */
/* Every value of every registry of RFC 7574 (chunk addressing, integrity, hash function, signature
 * algorithm, fixed and variable chunks) in swarms that run: a source, a peer that knows the source,
 * and a peer that knows only that peer, over lines that lose and reorder. What arrives is compared
 * to the byte; what was changed on the way is refused. */
#include "peer/engine.h"
#include "peer/swarm-state.h"
#include "peer/wire.h"
#include "tests/sim/net.h"

#include <string.h>

#define WALL INT64_C (1700000000000000)
#define SECOND INT64_C (1000000)
#define N_HOSTS 3
#define N_CHUNKS 96
#define PER_SIGNATURE 16
#define CHUNK 700
#define LAST 333               /* bytes of the last chunk of static content */
#define PACE 4000              /* us between two chunks of a live source */
#define PATIENCE (60 * SECOND) /* of the simulated clock */

typedef enum { FROM_ZERO, FROM_2_32, TO_THE_END } Numbers;

typedef struct {
  PeerMethod method;
  PeerAddressing addressing;
  PeerHashFunction hash;
  PeerSignatureAlgorithm signature;
  bool variable, length_told;
  Numbers numbers;
} Row;

typedef enum { NOTHING, CHUNKS, SIGNATURES } Tamper;

typedef struct {
  PeerContent content;
  SimNet *net;
  SimRandom random;
  PeerEngine *engines[N_HOSTS];
  PeerSwarm *swarms[N_HOSTS];
  uint64_t edge[N_HOSTS]; /* one past the newest chunk that is known of */
  uint64_t first, next, end;
  PeerKey *key; /* borrowed */
  Tamper tamper;
  unsigned tampered, bad_peers;
  unsigned split; /* datagrams in which one delay is told in several ACKs */
} World;

/* --- contents --- */

static size_t
size_of (const World *self, uint64_t chunk)
{
  if (peer_content_is_variable (&self->content))
    return 1 + (size_t)(chunk * 2654435761u % PEER_CHUNK_VARIABLE_MAX);
  return !peer_content_is_live (&self->content) && chunk + 1 == self->end ? LAST : CHUNK;
}

static size_t
fill_chunk (const World *self, uint64_t chunk, uint8_t *out)
{
  size_t n = size_of (self, chunk);
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)(chunk * 31 + i * 7 + (i >> 8) + (chunk >> 8) * 5);
  return n;
}

/* A key of each kind is enough, and RSA keys take their time. */
static PeerKey *
key_of (PeerSignatureAlgorithm algorithm)
{
  static PeerKey *keys[16];
  if (keys[algorithm] == NULL)
    keys[algorithm] = peer_key_generate (algorithm, NULL);
  g_assert_nonnull (keys[algorithm]);
  return keys[algorithm];
}

static uint64_t
first_number (const PeerContent *content, Numbers numbers)
{
  uint64_t end = peer_content_max_chunks (content);
  switch (numbers) {
  case FROM_ZERO:
    return 0;
  case FROM_2_32:
    return (UINT64_C (1) << 32) - N_CHUNKS / 2;
  case TO_THE_END:
    return end - end % content->chunks_per_signature - N_CHUNKS;
  }
  return 0;
}

static void
make_content (World *self, const Row *row)
{
  bool live = row->method != PEER_METHOD_MERKLE;
  live ? peer_content_init_live (&self->content) : peer_content_init_static (&self->content);
  self->content.method = row->method;
  self->content.addressing = row->addressing;
  self->content.hash = row->hash;
  self->content.chunk_size = row->variable ? PEER_CHUNK_VARIABLE : CHUNK;
  if (live) {
    self->content.chunks_per_signature = row->method == PEER_METHOD_SIGN_ALL ? 1 : PER_SIGNATURE;
    self->key = key_of (row->signature);
    peer_key_swarm_id (self->key, &self->content);
  }
  self->first = live ? first_number (&self->content, row->numbers) : 0;
  self->next = self->first;
  self->end = self->first + N_CHUNKS;
}

/* --- engines on a network --- */

static void
fill_random (void *data, uint8_t *out, size_t n)
{
  World *self = data;
  sim_random_fill (&self->random, out, n);
}

static void
want_all (World *self, unsigned host)
{
  PeerWant want = {{self->first, MAX (self->edge[host], self->first)}, sim_net_now (self->net), 0};
  peer_engine_want (self->engines[host], self->swarms[host], &want, 1);
}

static void
turn (World *self, unsigned host)
{
  PeerEngine *engine = self->engines[host];
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerAddress to;
  PeerEvent event;
  size_t n;
  do {
    while ((n = peer_engine_send (engine, sim_net_now (self->net), &to, bytes, sizeof bytes)) > 0)
      sim_net_send (self->net, host, &to, bytes, n);
    while (peer_engine_next_event (engine, &event)) {
      self->bad_peers += event.type == PEER_EVENT_BAD_PEER;
      if (event.type != PEER_EVENT_EDGE || event.chunks.end <= self->edge[host] || host == 0)
        continue;
      self->edge[host] = event.chunks.end;
      want_all (self, host);
    }
  } while (peer_engine_deadline (engine) <= sim_net_now (self->net));
  sim_net_set_timer (self->net, host, peer_engine_deadline (engine));
}

/* Changes a bit of what the test is about in a datagram. */
static void
tamper (World *self, uint8_t *datagram, size_t n)
{
  PeerWireFormat format = peer_wire_format (&self->content);
  PeerReader reader = {datagram + 4, n - 4};
  PeerMessageType type = self->tamper == CHUNKS ? PEER_MESSAGE_DATA : PEER_MESSAGE_SIGNED_INTEGRITY;
  PeerMessage message;
  while (peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE) {
    if (message.type != type)
      continue;
    datagram[message.bytes.data - datagram + (ptrdiff_t)message.bytes.left / 2] ^= 0x10;
    self->tampered++;
  }
}

/* One sample of the delay for each DATA, in whatever number of ACKs it is told (8.7). */
static void
check_samples (World *self, const uint8_t *datagram, size_t n)
{
  PeerWireFormat format = peer_wire_format (&self->content);
  PeerReader reader = {datagram + 4, n - 4};
  PeerMessage message;
  uint64_t delay = 0;
  bool again = false;
  while (peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE) {
    again = again || (message.type == PEER_MESSAGE_ACK && message.time == delay);
    delay = message.type == PEER_MESSAGE_ACK ? message.time : 0;
  }
  self->split += again;
  for (guint i = 0; i < self->swarms[0]->channels->len; i++) {
    const PeerChannel *channel = g_ptr_array_index (self->swarms[0]->channels, i);
    const PeerLedbat *ledbat = &channel->ledbat;
    for (unsigned a = 0; a < ledbat->n_current; a++)
      for (unsigned b = 0; b < a; b++)
        g_assert_false (ledbat->current_times[a] == ledbat->current_times[b] &&
                        ledbat->current_delays[a] == ledbat->current_delays[b]);
  }
}

static void
receive (gpointer data, unsigned host, const PeerAddress *from, const uint8_t *bytes, size_t n)
{
  World *self = data;
  g_autofree uint8_t *copy = g_memdup2 (bytes, n);
  if (self->tamper != NOTHING && host == 1)
    tamper (self, copy, n);
  peer_engine_receive (self->engines[host], sim_net_now (self->net), from, copy, n);
  if (host == 0 && self->content.method == PEER_METHOD_MERKLE)
    check_samples (self, bytes, n);
  turn (self, host);
}

static void
timer (gpointer data, unsigned host)
{
  turn (data, host);
}

static PeerSwarm *
join (World *self, unsigned host, PeerJoin *join)
{
  PeerEngineOptions options;
  g_autoptr (GError) error = NULL;
  peer_engine_options_init (&options);
  options.random = fill_random;
  options.random_data = self;
  options.wall_offset = WALL;
  options.wall_trusted = true;
  options.benign = true;
  options.no_exchange = true; /* or the last one would not need the one between */
  self->engines[host] = peer_engine_new (&options);
  join->discard_window = 4 * N_CHUNKS;
  if (join->store == NULL)
    join->store = peer_store_memory_new (peer_content_chunk_max (join->content), 4 * N_CHUNKS);
  self->swarms[host] = peer_engine_join (self->engines[host], join, &error);
  g_assert_no_error (error);
  return self->swarms[host];
}

/* --- sources --- */

static void
make_film (World *self)
{
  uint8_t bytes[PEER_CHUNK_MAX];
  PeerStore *store = peer_store_memory_new (peer_content_chunk_max (&self->content), N_CHUNKS);
  PeerIntegrity *integrity = peer_integrity_new (&self->content, 0, NULL, NULL);
  self->content.length = 0;
  for (uint64_t chunk = 0; chunk < N_CHUNKS; chunk++) {
    size_t n = fill_chunk (self, chunk, bytes);
    peer_integrity_append (integrity, bytes, n);
    g_assert_cmpint (store->class->write (store, chunk, bytes, n), ==, PEER_STORE_OK);
    self->content.length += n;
  }
  peer_integrity_finish (integrity, self->content.swarm_id);
  self->content.swarm_id_size = (uint16_t)peer_hash_size (self->content.hash);
  PeerJoin source = {.content = &self->content, .store = store, .integrity = integrity};
  join (self, 0, &source);
}

/* The next chunk of a live source, until there are all. */
static void
append (gpointer data, gpointer unused)
{
  World *self = data;
  uint8_t bytes[PEER_CHUNK_MAX];
  size_t n = fill_chunk (self, self->next, bytes);
  g_assert_cmpuint (peer_engine_append (self->engines[0], self->swarms[0], bytes, n), ==,
                    self->next);
  self->next++;
  if (self->next % self->content.chunks_per_signature == 0)
    g_assert_true (
        peer_engine_sign (self->engines[0], self->swarms[0], self->key, sim_net_now (self->net)));
  turn (self, 0);
  if (self->next < self->end)
    sim_net_call (self->net, sim_net_now (self->net) + PACE, append, NULL);
}

static void
make_channel (World *self)
{
  PeerJoin source = {.content = &self->content, .source = true};
  join (self, 0, &source);
  peer_engine_start (self->engines[0], self->swarms[0], self->first);
  sim_net_call (self->net, SECOND / 5, append, NULL);
}

/* --- the world --- */

static void
world_init (World *self, const Row *row, Tamper what)
{
  static const SimNetClass class = {receive, timer};
  /* a rate and no jitter, so that no two chunks take the same time */
  const SimLine line = {.up = 4000000,
                        .queue = 1 << 20,
                        .delay = 8000,
                        .loss = 0.03,
                        .reorder = 0.03,
                        .duplicate = 0.01};
  *self = (World){.random = {7}, .tamper = what};
  self->net = sim_net_new (&class, self, 11);
  make_content (self, row);
  bool live = peer_content_is_live (&self->content);
  for (unsigned host = 0; host < N_HOSTS; host++)
    sim_net_add_host (self->net, &line);
  live ? make_channel (self) : make_film (self);
  PeerContent told = self->content;
  if (!row->length_told)
    told.length = 0;
  for (unsigned host = 1; host < N_HOSTS; host++) {
    PeerAddress known;
    PeerJoin joining = {.content = &told};
    sim_net_address (self->net, host - 1, &known);
    join (self, host, &joining);
    peer_engine_add_peer (self->engines[host], self->swarms[host], &known);
    self->edge[host] = live ? 0 : self->end;
    if (!live)
      want_all (self, host);
    turn (self, host);
  }
  turn (self, 0);
}

static void
world_clear (World *self)
{
  for (unsigned host = 0; host < N_HOSTS; host++)
    peer_engine_free (self->engines[host]);
  sim_net_free (self->net);
}

static bool
has_all (const World *self, unsigned host)
{
  return peer_chunks_has_all (peer_swarm_chunks (self->swarms[host]),
                              (PeerRange){self->first, self->end});
}

/* Whatever host has is what the source made. Returns how much that is. */
static uint64_t
compare (const World *self, unsigned host)
{
  const PeerChunks *chunks = peer_swarm_chunks (self->swarms[host]);
  PeerStore *store = peer_swarm_store (self->swarms[host]);
  uint8_t expected[PEER_CHUNK_MAX], got[PEER_CHUNK_MAX];
  for (uint64_t chunk = self->first; chunk < self->end; chunk++) {
    size_t n = 0;
    if (!peer_chunks_has (chunks, chunk))
      continue;
    g_assert_cmpint (store->class->read (store, chunk, got, sizeof got, &n), ==, PEER_STORE_OK);
    g_assert_cmpmem (got, n, expected, fill_chunk (self, chunk, expected));
  }
  return peer_chunks_count (chunks);
}

static void
check_delivery (const Row *row)
{
  World world;
  world_init (&world, row, NOTHING);
  while (!(has_all (&world, 1) && has_all (&world, 2)) && sim_net_now (world.net) < PATIENCE)
    sim_net_run (world.net, sim_net_now (world.net) + SECOND / 10);
  for (unsigned host = 1; host < N_HOSTS; host++)
    g_assert_cmpuint (compare (&world, host), ==, N_CHUNKS);
  g_assert_cmpuint (world.bad_peers, ==, 0);
  bool bins =
      row->addressing == PEER_ADDRESSING_BINS32 || row->addressing == PEER_ADDRESSING_BINS64;
  if (bins && row->method == PEER_METHOD_MERKLE)
    g_assert_cmpuint (world.split, >, 0);
  for (unsigned host = 0; host < N_HOSTS; host++) {
    const PeerCounters *counters = peer_engine_counters (world.engines[host]);
    g_assert_cmpuint (counters->chunks_bad, ==, 0);
    g_assert_cmpuint (counters->signatures_bad, ==, 0);
    g_assert_cmpuint (counters->malformed, ==, 0);
    g_assert_cmpuint (counters->store_failures, ==, 0);
  }
  world_clear (&world);
}

static void
check_refusal (const Row *row, Tamper what)
{
  World world;
  world_init (&world, row, what);
  sim_net_run (world.net, 3 * SECOND);
  const PeerCounters *counters = peer_engine_counters (world.engines[1]);
  g_assert_cmpuint (world.tampered, >, 0);
  g_assert_cmpuint (compare (&world, 1), ==, 0);
  g_assert_cmpuint (compare (&world, 2), ==, 0);
  g_assert_cmpuint (counters->chunks_bad + counters->chunks_unproven + counters->signatures_bad, >,
                    0);
  g_assert_cmpuint (counters->malformed, ==, 0);
  world_clear (&world);
}

static void
test_row (gconstpointer data)
{
  const Row *row = data;
  check_delivery (row);
  check_refusal (row, CHUNKS);
  if (row->method != PEER_METHOD_MERKLE)
    check_refusal (row, SIGNATURES);
}

/* --- the table --- */

static const char *const addressings[] = {"bins32", "bytes64", "chunks32", "bins64", "chunks64"};
static const char *const hashes[] = {"sha1", "sha224", "sha256", "sha384", "sha512"};
static const PeerSignatureAlgorithm signatures[] = {
    PEER_SIGNATURE_RSASHA1, PEER_SIGNATURE_RSASHA256, PEER_SIGNATURE_ECDSAP256SHA256,
    PEER_SIGNATURE_ECDSAP384SHA384};
static const char *const signature_names[] = {"rsasha1", "rsasha256", "p256", "p384"};
static const char *const starts[] = {"from-0", "over-2-32", "to-the-last-number"};

static void
add_row (const char *name, const Row *row)
{
  g_autofree char *path = g_strdup_printf ("/sim/algorithms/%s", name);
  g_test_add_data_func_full (path, g_memdup2 (row, sizeof *row), test_row, g_free);
}

/* 32 bits are at their end before 2^32. */
static Numbers
numbers_of (unsigned addressing, unsigned i)
{
  bool narrow = addressing == PEER_ADDRESSING_BINS32 || addressing == PEER_ADDRESSING_CHUNKS32;
  return i % 2 == 0 ? TO_THE_END : narrow ? FROM_ZERO : FROM_2_32;
}

static void
add_static (void)
{
  for (unsigned a = 0; a < 5; a++)
    for (unsigned h = 0; h < 5; h++) {
      Row row = {.method = PEER_METHOD_MERKLE,
                 .addressing = a,
                 .hash = h,
                 .length_told = (a + h) % 2 == 0};
      g_autofree char *name = g_strdup_printf ("static/%s-%s", addressings[a], hashes[h]);
      add_row (name, &row);
      if (a == PEER_ADDRESSING_BYTES64 || h != (a + 2) % 5)
        continue;
      row.variable = true;
      g_autofree char *variable = g_strdup_printf ("%s-variable", name);
      add_row (variable, &row);
    }
}

static void
add_live (PeerMethod method, const char *title)
{
  for (unsigned a = 0; a < 5; a++)
    for (unsigned s = 0; s < 4; s++)
      for (unsigned variable = 0; variable < 2; variable++) {
        Row row = {.method = method,
                   .addressing = a,
                   .hash = (a + s) % 5,
                   .signature = signatures[s],
                   .variable = variable == 1,
                   .numbers = numbers_of (a, s + variable)};
        if (row.variable && (a == PEER_ADDRESSING_BYTES64 || s % 2 == 1))
          continue;
        g_autofree char *name =
            g_strdup_printf ("%s/%s-%s-%s-%s%s", title, addressings[a], signature_names[s],
                             hashes[row.hash], starts[row.numbers], variable ? "-variable" : "");
        add_row (name, &row);
      }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_static ();
  add_live (PEER_METHOD_UNIFIED_MERKLE, "unified-merkle");
  add_live (PEER_METHOD_SIGN_ALL, "sign-all");
  return g_test_run ();
}
