/* SPDX-License-Identifier: Apache-2.0 */
/* A swarm that knows only one of its peers finds the others by peer address exchange (RFC 7574,
 * 3.10); and liars who name victims and forge certificates, as many as there are honest peers, lead
 * nobody astray (12.2). */
#include "peer/engine.h"
#include "peer/membership.h"
#include "peer/wire.h"
#include "tests/sim/net.h"

#include <string.h>

#define SECOND INT64_C (1000000)
#define START (1000 * SECOND) /* the engines' time when the net's is 0 */
#define WALL (INT64_C (1760000000) * SECOND)
#define CHUNKS 200
#define CHUNK 1024
#define HONEST 12
#define LIARS 12
#define VICTIM (HONEST + LIARS) /* a host that says nothing */
#define BURST 8                 /* lies in one datagram, at most */

typedef struct {
  bool private, certified, off;
  unsigned liars;
} Setting;

typedef struct {
  SimNet *net;
  SimRandom random;
  Setting setting;
  PeerContent content, other; /* other: a swarm that the liars are in */
  PeerWireFormat format;
  PeerIntegrity *integrity; /* of the first */
  PeerStore *store;
  PeerKey *tracker, *forger;
  uint8_t tracker_key[PEER_FINGERPRINT];
  PeerEngine *engines[HONEST];
  PeerSwarm *swarms[HONEST];
  unsigned heard[HONEST];           /* datagrams that the victim got of each */
  uint32_t channels[LIARS][HONEST]; /* remote IDs that the liars have learnt */
  unsigned lies;
} World;

static void
fill_random (void *data, uint8_t *out, size_t n)
{
  sim_random_fill (data, out, n);
}

static int64_t
now_of (const World *self)
{
  return sim_net_now (self->net) + START;
}

static void
turn (World *self, unsigned host)
{
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerEngine *engine = self->engines[host];
  PeerAddress to;
  PeerEvent event;
  size_t n;
  while ((n = peer_engine_send (engine, now_of (self), &to, bytes, sizeof bytes)) > 0)
    sim_net_send (self->net, host, &to, bytes, n);
  while (peer_engine_next_event (engine, &event))
    ;
  int64_t deadline = peer_engine_deadline (engine);
  sim_net_set_timer (self->net, host, deadline == PEER_NEVER ? INT64_MAX : deadline - START);
}

/* --- liars --- */

static GBytes *
certify (const PeerContent *content, PeerKey *key, const PeerAddress *address, int64_t wall)
{
  static const uint8_t serial[16] = {1};
  g_autofree char *id = peer_content_swarm_id_hex (content);
  return peer_membership_issue (key, id, address, wall, PEER_MEMBERSHIP_LIFE, serial);
}

static void
put_certificate (World *self, PeerWriter *writer, GBytes *certificate)
{
  PeerMessage message = {.type = PEER_MESSAGE_PEX_RES_CERT};
  message.bytes.data = g_bytes_get_data (certificate, &message.bytes.left);
  self->lies += peer_wire_write (writer, &self->format, &message);
}

static void
put_address (World *self, PeerWriter *writer, const PeerAddress *address)
{
  PeerMessage message = {.type = peer_address_is_v4 (address) ? PEER_MESSAGE_PEX_RES_V4
                                                              : PEER_MESSAGE_PEX_RES_V6,
                         .address = *address};
  self->lies += peer_wire_write (writer, &self->format, &message);
}

/* The victim at any port, addresses of the network behind us, and certificates that are worth
 * nothing, each in its own way. */
static void
lie (World *self, unsigned liar, unsigned host)
{
  static const char *const traps[] = {"192.168.1.1:7574", "10.0.0.1:7574", "127.0.0.1:7574",
                                      "[fe80::1]:7574", "224.0.0.1:7574"};
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  PeerAddress to, victim, trap;
  sim_net_address (self->net, host, &to);
  sim_net_address (self->net, VICTIM, &victim);
  peer_writer_u32 (&writer, self->channels[liar][host]);
  if (sim_random_below (&self->random, 2) == 0) {
    put_address (self, &writer, &victim);
    for (unsigned i = 1; i < BURST; i++) {
      victim.port = (uint16_t)(1024 + sim_random_below (&self->random, 60000));
      put_address (self, &writer, &victim);
    }
    g_assert_true (
        peer_address_parse (traps[sim_random_below (&self->random, G_N_ELEMENTS (traps))], &trap));
    put_address (self, &writer, &trap);
  } else {
    bool other = sim_random_below (&self->random, 2) == 0;
    bool old = sim_random_below (&self->random, 2) == 0;
    g_autoptr (GBytes) forged = certify (&self->content, self->forger, &victim, WALL);
    g_autoptr (GBytes) foreign = certify (other ? &self->other : &self->content, self->tracker,
                                          &victim, old ? WALL - 2 * PEER_MEMBERSHIP_LIFE : WALL);
    put_certificate (self, &writer, forged);
    if (other || old)
      put_certificate (self, &writer, foreign);
  }
  sim_net_send (self->net, HONEST + liar, &to, writer.data, writer.used);
}

/* It shakes hands as anybody does; from then on it answers whatever it hears with lies. */
static void
liar_hears (World *self, unsigned liar, unsigned host, PeerReader datagram)
{
  uint8_t bytes[256], options_bytes[128];
  PeerMessage message;
  PeerWriter writer = {bytes, 0, sizeof bytes}, body = {options_bytes, 0, sizeof options_bytes};
  PeerAddress to;
  uint32_t id;
  g_assert_true (peer_reader_u32 (&datagram, &id));
  if (id != 0) {
    if (self->channels[liar][host] != 0)
      lie (self, liar, host);
    return;
  }
  if (peer_wire_read (&datagram, NULL, &message) != PEER_WIRE_MESSAGE)
    return;
  sim_net_address (self->net, host, &to);
  self->channels[liar][host] = message.channel;
  PeerOptions options = {.has_version = true,
                         .version = 1,
                         .has_method = true,
                         .method = PEER_METHOD_MERKLE,
                         .has_hash = true,
                         .hash = PEER_HASH_SHA256,
                         .has_addressing = true,
                         .addressing = PEER_ADDRESSING_CHUNKS32,
                         .has_chunk_size = true,
                         .chunk_size = CHUNK};
  PeerMessage answer = {.type = PEER_MESSAGE_HANDSHAKE, .channel = 1000 + liar};
  peer_options_write (&body, &options);
  answer.bytes = (PeerReader){options_bytes, body.used};
  peer_writer_u32 (&writer, message.channel);
  peer_wire_write (&writer, NULL, &answer);
  sim_net_send (self->net, HONEST + liar, &to, writer.data, writer.used);
}

/* --- the world --- */

static int
number_of (const World *self, const PeerAddress *address)
{
  for (unsigned i = 0; i < HONEST; i++) {
    PeerAddress own;
    sim_net_address (self->net, i, &own);
    if (peer_address_equal (&own, address))
      return (int)i;
  }
  return -1;
}

static void
receive (gpointer data, unsigned host, const PeerAddress *from, const uint8_t *bytes, size_t n)
{
  World *self = data;
  int sender = number_of (self, from);
  if (host < HONEST) {
    peer_engine_receive (self->engines[host], now_of (self), from, bytes, n);
    turn (self, host);
  } else if (sender >= 0 && host == VICTIM) {
    self->heard[sender]++;
  } else if (sender >= 0 && host < VICTIM) {
    liar_hears (self, host - HONEST, (unsigned)sender, (PeerReader){bytes, n});
  }
}

static void
timer (gpointer data, unsigned host)
{
  World *self = data;
  if (host < HONEST)
    turn (self, host);
}

static void
chunk_of (uint64_t chunk, uint8_t *out)
{
  for (unsigned i = 0; i < CHUNK; i++)
    out[i] = (uint8_t)(chunk * 7 + i * 13 + (chunk >> 3));
}

static void
make_film (World *self)
{
  uint8_t bytes[CHUNK];
  peer_content_init_static (&self->content);
  self->content.chunk_size = CHUNK;
  self->content.length = (uint64_t)CHUNKS * CHUNK;
  self->store = peer_store_memory_new (CHUNK, CHUNKS);
  self->integrity = peer_integrity_new (&self->content, 0, NULL, NULL);
  for (uint64_t chunk = 0; chunk < CHUNKS; chunk++) {
    chunk_of (chunk, bytes);
    peer_integrity_append (self->integrity, bytes, sizeof bytes);
    self->store->class->write (self->store, chunk, bytes, sizeof bytes);
  }
  peer_integrity_finish (self->integrity, self->content.swarm_id);
  self->content.swarm_id_size = 32;
  self->format = peer_wire_format (&self->content);
  self->other = self->content;
  self->other.swarm_id[0] ^= 1;
}

static void
join (World *self, unsigned host)
{
  PeerEngineOptions options;
  PeerAddress address;
  PeerWant want = {.window = {0, CHUNKS}, .deadline = START + 600 * SECOND};
  sim_net_address (self->net, host, &address);
  peer_engine_options_init (&options);
  options.random = fill_random;
  options.random_data = &self->random;
  options.wall_offset = WALL - START;
  options.wall_trusted = true;
  options.no_exchange = self->setting.off;
  self->engines[host] = peer_engine_new (&options);
  PeerJoin joining = {.content = &self->content,
                      .store = host == 0 ? g_steal_pointer (&self->store)
                                         : peer_store_memory_new (CHUNK, CHUNKS),
                      .integrity = host == 0 ? g_steal_pointer (&self->integrity) : NULL,
                      .tracker_key = self->setting.certified ? self->tracker_key : NULL};
  self->swarms[host] = peer_engine_join (self->engines[host], &joining, NULL);
  g_assert_nonnull (self->swarms[host]);
  turn (self, host);
  if (self->setting.certified) {
    g_autoptr (GBytes) own = certify (&self->content, self->tracker, &address, WALL);
    size_t n;
    const uint8_t *bytes = g_bytes_get_data (own, &n);
    g_assert_true (
        peer_engine_add_certificate (self->engines[host], self->swarms[host], NULL, bytes, n));
  }
  /* the tracker's word: the first of us, and all liars */
  for (unsigned i = 0; i <= self->setting.liars; i++) {
    sim_net_address (self->net, i == 0 ? 0 : HONEST + i - 1, &address);
    if (i > 0 || host > 0)
      peer_engine_add_peer (self->engines[host], self->swarms[host], &address);
  }
  peer_engine_want (self->engines[host], self->swarms[host], &want, 1);
  turn (self, host);
}

static void
world_run (World *self, const Setting *setting, int64_t time)
{
  static const SimNetClass class = {receive, timer};
  const SimLine line = {.up = 1000000, .down = 4000000, .queue = 200000, .delay = 20000};
  *self = (World){.random = {7574}, .setting = *setting};
  self->net = sim_net_new (&class, self, 1);
  if (setting->private)
    sim_net_make_private (self->net);
  self->tracker = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  self->forger = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  g_assert_true (peer_key_fingerprint (self->tracker, self->tracker_key));
  make_film (self);
  for (unsigned i = 0; i <= VICTIM; i++)
    sim_net_add_host (self->net, &line);
  for (unsigned i = 0; i < HONEST; i++)
    join (self, i);
  sim_net_run (self->net, time);
}

static void
world_clear (World *self)
{
  for (unsigned i = 0; i < HONEST; i++)
    peer_engine_free (self->engines[i]);
  peer_key_free (self->tracker);
  peer_key_free (self->forger);
  sim_net_free (self->net);
}

/* Everybody has all of the film, and channels with so many others at least. */
static void
assert_together (World *self, unsigned least)
{
  for (unsigned i = 0; i < HONEST; i++) {
    PeerSwarmStats stats;
    peer_swarm_stats (self->swarms[i], &stats);
    g_assert_cmpuint (peer_chunks_count (peer_swarm_chunks (self->swarms[i])), ==, CHUNKS);
    g_assert_cmpuint (stats.channels, >=, least);
  }
}

static unsigned
count_channels (World *self)
{
  unsigned n = 0;
  for (unsigned i = 0; i < HONEST; i++) {
    PeerSwarmStats stats;
    peer_swarm_stats (self->swarms[i], &stats);
    n += stats.channels;
  }
  return n;
}

static void
test_without_exchange_nobody_is_found (void)
{
  World self;
  world_run (&self, &(Setting){.private = true, .off = true}, 120 * SECOND);
  assert_together (&self, 1);
  g_assert_cmpuint (count_channels (&self), ==, 2 * (HONEST - 1)); /* a star */
  world_clear (&self);
}

static void
test_private_peers_find_each_other (void)
{
  World self;
  world_run (&self, &(Setting){.private = true}, 120 * SECOND);
  assert_together (&self, HONEST / 2);
  world_clear (&self);
}

static void
test_certified_peers_find_each_other (void)
{
  World self;
  world_run (&self, &(Setting){.certified = true}, 120 * SECOND);
  assert_together (&self, HONEST / 2);
  world_clear (&self);
}

static void
test_nobody_is_found_on_the_internet_without_certificates (void)
{
  World self;
  world_run (&self, &(Setting){0}, 120 * SECOND);
  assert_together (&self, 1);
  g_assert_cmpuint (count_channels (&self), ==, 2 * (HONEST - 1));
  world_clear (&self);
}

/* Half of all are liars, and the tracker knows no honest peer but one. */
static void
test_forgers_lead_nobody_astray (void)
{
  World self;
  world_run (&self, &(Setting){.certified = true, .liars = LIARS}, 300 * SECOND);
  g_assert_cmpuint (self.lies, >, 1000);
  assert_together (&self, LIARS / 2);
  for (unsigned i = 0; i < HONEST; i++) {
    const PeerCounters *counters = peer_engine_counters (self.engines[i]);
    g_assert_cmpuint (self.heard[i], ==, 0);
    g_assert_cmpuint (sim_net_stats (self.net, i)->unroutable, ==, 0);
    /* two of each liar, and the honest ones' */
    g_assert_cmpuint (counters->certificates_bad, <=, 2 * LIARS);
    g_assert_cmpuint (counters->certificates_checked, <, 200);
  }
  world_clear (&self);
}

static void
test_a_victim_hears_three_datagrams_of_each (void)
{
  World self;
  unsigned heard = 0;
  world_run (&self, &(Setting){.private = true, .liars = LIARS}, 300 * SECOND);
  g_assert_cmpuint (self.lies, >, 1000);
  assert_together (&self, 1);
  for (unsigned i = 0; i < HONEST; i++) {
    g_assert_cmpuint (self.heard[i], <=, 3);
    /* at whatever port; and two of the traps look like peers on a private network */
    g_assert_cmpuint (self.heard[i] + sim_net_stats (self.net, i)->unroutable, <=, 3 + 2 * 3);
    heard += self.heard[i];
  }
  g_assert_cmpuint (heard, >, 0); /* they do try */
  world_clear (&self);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/sim/exchange/" name, function)
  ADD ("without-exchange-nobody-is-found", test_without_exchange_nobody_is_found);
  ADD ("private-peers-find-each-other", test_private_peers_find_each_other);
  ADD ("certified-peers-find-each-other", test_certified_peers_find_each_other);
  ADD ("nobody-is-found-on-the-internet-without-certificates",
       test_nobody_is_found_on_the_internet_without_certificates);
  ADD ("forgers-lead-nobody-astray", test_forgers_lead_nobody_astray);
  ADD ("a-victim-hears-three-datagrams-of-each", test_a_victim_hears_three_datagrams_of_each);
  return g_test_run ();
}
