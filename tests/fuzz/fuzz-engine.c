/* SPDX-License-Identifier: Apache-2.0 */
/* An engine among three peers who know the whole content and follow a script: what they send, in
 * which state, with true or false bytes, when time passes, what the store answers, when the swarm
 * is left and joined again. Whatever they do:
 *
 * - only the content's true chunks reach the store, and only its true end is told;
 * - an address that has not proven itself gets no more bytes than it sent, and nothing heavy
 *   (RFC 7574, 3.1.1 and 12.1);
 * - what is sent ends, and the engine then asks to be turned again later, not for ever now.
 *
 *   world | operation, a, b, c | operation, a, b, c | ... */
#include "peer/engine.h"
#include "peer/membership.h"
#include "peer/wire.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 80
#define N_CHUNKS 24
#define MUNRO 4
#define N_PEERS 3
#define WALL INT64_C (1700000000000000)
#define BURST 20000 /* datagrams; more at one moment means that it never ends */
#define TURNS 16    /* at one moment: that many without a later deadline is a loop */

typedef struct {
  PeerContent content;
  PeerIntegrity *source; /* knows all hashes */
  PeerMunro end;         /* live: that nothing follows chunk N_CHUNKS - 1 */
} Film;

typedef struct {
  PeerAddress address;
  uint32_t local, remote; /* channel IDs: ours, and the engine's; 0 = not known */
  bool proven;            /* has echoed the engine's channel ID, or was called by it */
  size_t sent, got;       /* bytes, while not proven */
} Peer;

typedef struct {
  PeerStore parent;
  PeerStore *memory;
  uint8_t *mode; /* what goes wrong */
  const PeerContent *content;
} Store;

typedef struct {
  const Film *film;
  PeerWireFormat format;
  PeerEngine *engine;
  PeerSwarm *swarm;
  Peer peers[N_PEERS];
  PeerKey *key;
  bool is_source, certified, ended; /* ended: the source has said so */
  uint8_t mode;
  int64_t now;
  uint64_t random;
  uint32_t next_id;
} World;

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static void
require (bool is_true)
{
  if (!is_true)
    abort ();
}

static void
fill_random (void *data, uint8_t *out, size_t n)
{
  uint64_t *random = data;
  for (size_t i = 0; i < n; i++) {
    *random = *random * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
    out[i] = (uint8_t)(*random >> 56);
  }
}

/* --- the content --- */

static size_t
chunk_bytes (const PeerContent *content, uint64_t chunk, uint8_t out[CHUNK])
{
  for (unsigned i = 0; i < CHUNK; i++)
    out[i] = (uint8_t)(chunk * 37 + i * (chunk + 1) + 1);
  return !peer_content_is_live (content) && chunk == N_CHUNKS - 1 ? CHUNK - 7 : CHUNK;
}

static PeerKey *
the_key (void)
{
  static PeerKey *key;
  if (key == NULL)
    key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  return key;
}

static void
sign (PeerIntegrity *integrity, uint64_t chunk)
{
  if (chunk % MUNRO == MUNRO - 1)
    require (peer_integrity_sign (integrity, the_key (), peer_ntp_from_us (WALL)));
}

static const Film *
film_of (bool live, PeerAddressing addressing, PeerHashFunction hash)
{
  static Film films[2][5][2];
  Film *self = &films[live][addressing][hash == PEER_HASH_SHA1];
  uint8_t bytes[CHUNK];
  if (self->source != NULL)
    return self;
  if (live) {
    peer_content_init_live (&self->content);
    self->content.chunks_per_signature = MUNRO;
    peer_key_swarm_id (the_key (), &self->content);
  } else {
    peer_content_init_static (&self->content);
  }
  self->content.hash = hash;
  self->content.addressing = addressing;
  self->content.chunk_size = CHUNK;
  self->source = peer_integrity_new (&self->content, N_CHUNKS, NULL, NULL);
  for (uint64_t chunk = 0; chunk < N_CHUNKS; chunk++) {
    size_t n = chunk_bytes (&self->content, chunk, bytes);
    peer_integrity_append (self->source, bytes, n);
    if (live)
      sign (self->source, chunk);
    else
      self->content.length += n;
  }
  if (!live) {
    peer_integrity_finish (self->source, self->content.swarm_id);
    self->content.swarm_id_size = (uint16_t)peer_hash_size (hash);
  } else {
    require (peer_integrity_sign_end (self->source, the_key (), peer_ntp_from_us (WALL)));
    require (peer_integrity_end (self->source, &self->end) == N_CHUNKS);
  }
  return self;
}

/* --- the store --- */

static PeerStoreResult
store_read (PeerStore *store, uint64_t chunk, uint8_t *out, size_t room, size_t *n)
{
  Store *self = (Store *)store;
  switch (*self->mode % 8) {
  case 1:
    return PEER_STORE_ABSENT;
  case 2:
    return PEER_STORE_PENDING;
  case 3:
    return PEER_STORE_FAILED;
  default:
    return self->memory->class->read (self->memory, chunk, out, room, n);
  }
}

static PeerStoreResult
store_write (PeerStore *store, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  Store *self = (Store *)store;
  uint8_t truth[CHUNK];
  require (chunk < N_CHUNKS);
  require (n == chunk_bytes (self->content, chunk, truth));
  require (memcmp (bytes, truth, n) == 0);
  switch (*self->mode / 8 % 8) {
  case 1:
    return PEER_STORE_ABSENT;
  case 2:
    return PEER_STORE_PENDING;
  case 3:
    return PEER_STORE_FAILED;
  default:
    return self->memory->class->write (self->memory, chunk, bytes, n);
  }
}

static void
store_discard (PeerStore *store, PeerRange run)
{
  Store *self = (Store *)store;
  self->memory->class->discard (self->memory, run);
}

static void
store_chunks (PeerStore *store, PeerChunks *out)
{
  Store *self = (Store *)store;
  self->memory->class->chunks (self->memory, out);
}

static void
store_free (PeerStore *store)
{
  Store *self = (Store *)store;
  peer_store_free (self->memory);
  g_free (self);
}

static PeerStore *
store_new (World *world)
{
  static const PeerStoreClass class = {store_read, store_write, store_discard, store_chunks,
                                       store_free};
  Store *self = g_new0 (Store, 1);
  self->parent.class = &class;
  self->memory = peer_store_memory_new (CHUNK, N_CHUNKS);
  self->mode = &world->mode;
  self->content = &world->film->content;
  return &self->parent;
}

/* --- the swarm --- */

static void
fill (World *self, PeerStore *store, PeerIntegrity *integrity, uint64_t n_chunks)
{
  uint8_t bytes[CHUNK];
  self->mode = 0;
  for (uint64_t chunk = 0; chunk < n_chunks; chunk++) {
    size_t n = chunk_bytes (&self->film->content, chunk, bytes);
    peer_integrity_append (integrity, bytes, n);
    store->class->write (store, chunk, bytes, n);
  }
}

/* The one that the swarm trusts, and another. */
static PeerKey *
tracker (bool trusted)
{
  static PeerKey *keys[2];
  if (keys[trusted] == NULL)
    keys[trusted] = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  return keys[trusted];
}

/* The engine gets its own certificate, and has it to show. */
static void
certify (World *self)
{
  static const uint8_t serial[16] = {2};
  const PeerAddress own = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 100}, .port = 7574};
  g_autofree char *id = peer_content_swarm_id_hex (&self->film->content);
  g_autoptr (GBytes) bytes =
      peer_membership_issue (tracker (true), id, &own, WALL, PEER_MEMBERSHIP_LIFE, serial);
  /* by then it may have expired */
  peer_engine_add_certificate (self->engine, self->swarm, NULL, g_bytes_get_data (bytes, NULL),
                               g_bytes_get_size (bytes));
}

static void
join (World *self, bool complete, bool length_known)
{
  PeerContent content = self->film->content;
  bool live = peer_content_is_live (&content);
  PeerJoin join = {.content = &content,
                   .store = store_new (self),
                   .discard_window = live ? 16 : UINT64_MAX,
                   .source = self->is_source,
                   .max_peers = 4};
  if (complete && !live) {
    PeerContent fresh = content;
    fresh.swarm_id_size = 0;
    join.integrity = peer_integrity_new (&fresh, 0, NULL, NULL);
    fill (self, join.store, join.integrity, N_CHUNKS);
    peer_integrity_finish (join.integrity, content.swarm_id);
  } else if (!live && !length_known) {
    content.length = 0;
  }
  uint8_t key[PEER_FINGERPRINT];
  if (self->certified && peer_key_fingerprint (tracker (true), key))
    join.tracker_key = key;
  self->swarm = peer_engine_join (self->engine, &join, NULL);
  require (self->swarm != NULL);
  self->ended = false;
  if (join.tracker_key != NULL)
    certify (self);
}

static void
leave (World *self)
{
  if (self->swarm != NULL)
    peer_engine_leave (self->engine, self->swarm);
  self->swarm = NULL;
}

/* The source's next subtree; or, with none open, that nothing follows. */
static void
publish (World *self, bool end)
{
  uint8_t bytes[CHUNK];
  if (self->swarm == NULL || !self->is_source || self->ended)
    return;
  if (end && peer_engine_open_chunks (self->engine, self->swarm) == MUNRO) {
    self->ended = peer_engine_end (self->engine, self->swarm, the_key (), self->now);
    return;
  }
  while (peer_engine_open_chunks (self->engine, self->swarm) > 0) {
    PeerSwarmStats stats;
    peer_swarm_stats (self->swarm, &stats);
    uint64_t chunk = stats.edge.end + MUNRO - peer_engine_open_chunks (self->engine, self->swarm);
    if (chunk >= N_CHUNKS)
      return;
    chunk_bytes (&self->film->content, chunk, bytes);
    peer_engine_append (self->engine, self->swarm, bytes, CHUNK);
  }
  peer_engine_sign (self->engine, self->swarm, the_key (), self->now);
}

/* --- what comes out of the engine --- */

static bool
is_heavy (PeerMessageType type)
{
  return type == PEER_MESSAGE_DATA || type == PEER_MESSAGE_INTEGRITY ||
         type == PEER_MESSAGE_SIGNED_INTEGRITY;
}

static void
hear (World *self, Peer *peer, const uint8_t *bytes, size_t n)
{
  PeerReader reader = {bytes, n};
  PeerMessage message;
  uint32_t id;
  require (peer_reader_u32 (&reader, &id));
  PeerWireResult result;
  while ((result = peer_wire_read (&reader, &self->format, &message)) == PEER_WIRE_MESSAGE) {
    if (message.type == PEER_MESSAGE_HANDSHAKE && message.channel != 0) {
      peer->remote = message.channel;
      peer->proven |= id == 0; /* who is called need not prove where it is */
    }
    require (peer->proven || !is_heavy (message.type));
  }
  require (result == PEER_WIRE_END);
  if (!peer->proven) {
    peer->got += n;
    require (peer->got <= peer->sent);
  }
}

static void
turn (World *self)
{
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerAddress to;
  PeerEvent event;
  size_t n;
  unsigned count = 0;
  while ((n = peer_engine_send (self->engine, self->now, &to, bytes, sizeof bytes)) > 0) {
    require (++count < BURST);
    for (unsigned i = 0; i < N_PEERS; i++)
      if (peer_address_equal (&to, &self->peers[i].address))
        hear (self, &self->peers[i], bytes, n);
  }
  while (peer_engine_next_event (self->engine, &event)) {
    require (self->swarm != NULL && event.swarm == self->swarm);
    require (event.type != PEER_EVENT_END || self->is_source || event.chunks.end == N_CHUNKS);
  }
}

static void
drain (World *self)
{
  unsigned turns = 0;
  do {
    require (++turns <= TURNS);
    turn (self);
  } while (peer_engine_deadline (self->engine) <= self->now);
}

/* --- what goes in --- */

static void
give (World *self, Peer *peer, PeerWriter *writer)
{
  uint32_t id = 0;
  PeerReader reader = {writer->data, writer->used};
  g_autofree uint8_t *copy = g_memdup2 (writer->data, writer->used); /* so that ASan sees its end */
  peer_reader_u32 (&reader, &id);
  if (!peer->proven)
    peer->sent += writer->used;
  if (id != 0 && id == peer->remote)
    peer->proven = true;
  peer_engine_receive (self->engine, self->now, &peer->address, copy, writer->used);
}

/* A handshake as 7 asks for it; b takes options away, c changes one. */
static void
put_handshake (World *self, Peer *peer, PeerWriter *writer, bool first, uint8_t b, uint8_t c)
{
  const PeerContent *content = &self->film->content;
  uint8_t list[256];
  PeerWriter body = {list, 0, sizeof list};
  bool live = peer_content_is_live (content);
  PeerOptions options = {
      .has_version = !(b & 1),
      .version = c == 1 ? 2 : 1,
      .has_minimum_version = first && !(b & 2),
      .minimum_version = c == 2 ? 2 : 1,
      .has_swarm_id = first && !(b & 4),
      .swarm_id = {content->swarm_id, content->swarm_id_size},
      .has_method = !(b & 8),
      .method = content->method,
      .has_hash = !(b & 16),
      .hash = content->hash,
      .has_signature = live,
      .signature = content->signature,
      .has_addressing = true,
      .addressing = content->addressing,
      .has_discard_window = live || c == 3,
      .discard_window = c == 4   ? 0
                        : c == 5 ? 8
                                 : UINT64_MAX,
      .has_supported = (b & 32) != 0,
      .supported = {0xff, c, [PEER_MESSAGE_STATUS / 8] = 0x80},
      .has_chunk_size = !(b & 64),
      .chunk_size = c == 6 ? 1024 : CHUNK,
  };
  if (peer->local == 0 || (first && c >= 128)) {
    peer->local = ++self->next_id;
    peer->remote = first ? 0 : peer->remote;
  }
  PeerMessage message = {.type = PEER_MESSAGE_HANDSHAKE, .channel = peer->local};
  if (!peer_options_write (&body, &options))
    return;
  message.bytes = (PeerReader){list, body.used};
  peer_wire_write (writer, NULL, &message);
}

static PeerRange
run_of (uint8_t b, uint8_t c)
{
  static const uint64_t ends[] = {1, 2, 4, 8, N_CHUNKS, UINT32_MAX, UINT64_C (1) << 62};
  if (c == 255) /* "everything" */
    return (PeerRange){0, UINT64_MAX};
  uint64_t width = ends[c % G_N_ELEMENTS (ends)], first = b % (2 * N_CHUNKS);
  return c % 16 == 15 ? (PeerRange){first & ~(width - 1), (first & ~(width - 1)) + width}
                      : (PeerRange){first, first + width};
}

static void
put_run (World *self, PeerWriter *writer, PeerMessageType type, PeerRange run, uint64_t time)
{
  for (unsigned i = 0; i < 8 && run.first < run.end; i++) {
    PeerMessage message = {.type = type, .time = time};
    message.chunks = peer_wire_next_part (&self->format, &run);
    peer_wire_write (writer, &self->format, &message);
  }
}

static void
write_munro (World *self, PeerWriter *writer, const PeerMunro *munro)
{
  PeerMessage hash = {.type = PEER_MESSAGE_INTEGRITY,
                      .chunks = munro->chunks,
                      .bytes = {munro->hash, self->format.hash_size}};
  PeerMessage signature = {.type = PEER_MESSAGE_SIGNED_INTEGRITY,
                           .chunks = munro->chunks,
                           .time = munro->time,
                           .bytes = {munro->signature, munro->signature_size}};
  peer_wire_write (writer, &self->format, &hash);
  peer_wire_write (writer, &self->format, &signature);
}

static void
put_munro (World *self, PeerWriter *writer, uint64_t chunk, bool lie)
{
  PeerMunro munro;
  if (!peer_integrity_munro (self->film->source, chunk, &munro))
    return;
  if (lie)
    munro.signature[5] ^= 1;
  write_munro (self, writer, &munro);
}

/* The munro of zeros that ends a broadcast (peer/integrity.h): as it is, with another hash, forged,
 * elsewhere; and a true munro's signature over zeros. */
static void
put_end (World *self, PeerWriter *writer, uint8_t c)
{
  PeerMunro munro = self->film->end, other;
  if (!peer_content_is_live (&self->film->content))
    return;
  if (c % 8 == 1)
    munro.hash[c / 8] ^= 1;
  else if (c % 8 == 2)
    munro.signature[c / 8 % munro.signature_size] ^= 1;
  else if (c % 8 == 3)
    munro.chunks = (PeerRange){c / 8 * MUNRO, (c / 8 + 1) * MUNRO};
  else if (c % 8 == 4 && peer_integrity_munro (self->film->source, c / 8 % N_CHUNKS, &other)) {
    memset (other.hash, 0, sizeof other.hash);
    munro = other;
  }
  write_munro (self, writer, &munro);
}

/* c: what is left out, and what is a lie. */
static void
put_chunk (World *self, PeerWriter *writer, uint64_t chunk, uint8_t c)
{
  PeerHash proof[PEER_PROOF_MAX];
  uint8_t bytes[CHUNK];
  chunk %= N_CHUNKS;
  size_t n = chunk_bytes (&self->film->content, chunk, bytes);
  int n_hashes = (c & 1) ? 0 : peer_integrity_proof (self->film->source, chunk, NULL, NULL, proof);
  if (!(c & 2))
    put_munro (self, writer, chunk, c >= 240);
  for (int i = 0; i < n_hashes; i++) {
    PeerMessage hash = {.type = PEER_MESSAGE_INTEGRITY,
                        .chunks = proof[i].chunks,
                        .bytes = {proof[i].hash, self->format.hash_size}};
    if (c >= 224 && i == c % 8)
      proof[i].hash[0] ^= 1;
    peer_wire_write (writer, &self->format, &hash);
  }
  if (c >= 208 && c < 224)
    bytes[c % CHUNK] ^= 1;
  PeerMessage data = {.type = PEER_MESSAGE_DATA,
                      .chunks = {chunk, chunk + 1},
                      .time = (uint64_t)(self->now + WALL),
                      .bytes = {bytes, n}};
  if (!(c & 4))
    peer_wire_write (writer, &self->format, &data);
}

/* Peer address exchange: plain addresses of all kinds, and certificates: true ones, of another
 * tracker, cut, changed. b: which; c: of whom. */
static void
put_exchange (World *self, PeerWriter *writer, uint8_t b, uint8_t c)
{
  static const uint8_t serial[16] = {1};
  PeerMessage message = {.type = PEER_MESSAGE_PEX_REQ};
  PeerAddress address = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, c % 8}, .port = 7574};
  g_autofree char *id = peer_content_swarm_id_hex (&self->film->content);
  uint8_t bytes[PEER_CERTIFICATE_MAX];
  if (b % 4 == 1) {
    address.ip[12] = c;
    message = (PeerMessage){.type = PEER_MESSAGE_PEX_RES_V4, .address = address};
  } else if (b % 4 == 2) {
    memset (address.ip, c, 2);
    message = (PeerMessage){.type = PEER_MESSAGE_PEX_RES_V6, .address = address};
  } else if (b % 4 == 3) {
    g_autoptr (GBytes) good =
        peer_membership_issue (tracker (b & 4), id, &address, WALL, PEER_MEMBERSHIP_LIFE, serial);
    size_t n = g_bytes_get_size (good);
    memcpy (bytes, g_bytes_get_data (good, NULL), n);
    bytes[n * c / 256] ^= (uint8_t)((b & 8) ? b : 0);
    n = (b & 16) ? n * c / 256 + 1 : n;
    message = (PeerMessage){.type = PEER_MESSAGE_PEX_RES_CERT, .bytes = {bytes, n}};
  }
  peer_wire_write (writer, &self->format, &message);
}

/* One message, or the messages of one chunk; false = the operation means no message. */
static bool
put_message (World *self, Peer *peer, PeerWriter *writer, uint8_t operation, uint8_t b, uint8_t c)
{
  PeerMessage message = {.type = b % 2 == 0 ? PEER_MESSAGE_CHOKE : PEER_MESSAGE_UNCHOKE};
  switch (operation % 8) {
  case 0:
    put_chunk (self, writer, b, c);
    return true;
  case 1:
    put_run (self, writer, PEER_MESSAGE_HAVE, run_of (b, c), 0);
    return true;
  case 2:
    put_run (self, writer, PEER_MESSAGE_REQUEST, run_of (b, c), 0);
    return true;
  case 3:
    put_run (self, writer, PEER_MESSAGE_ACK, run_of (b, c), c * 1000u);
    return true;
  case 4:
    put_run (self, writer, PEER_MESSAGE_CANCEL, run_of (b, c), 0);
    return true;
  case 5:
    if (b >= 32 && b < 64)
      message = (PeerMessage){.type = PEER_MESSAGE_STATUS, .status = {b % 8, b / 8 % 4, c}};
    if (b >= 192)
      put_end (self, writer, c);
    else if (b >= 64)
      put_exchange (self, writer, b, c);
    else
      peer_wire_write (writer, &self->format, &message);
    return true;
  case 6:
    put_handshake (self, peer, writer, false, b, c);
    return true;
  default: /* nonsense: one byte, and then what the script says */
    peer_writer_u8 (writer, b);
    peer_writer_u8 (writer, c);
    return true;
  }
}

static void
goodbye (World *self, Peer *peer)
{
  static const uint8_t end = 0xff;
  uint8_t bytes[16];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  PeerMessage message = {.type = PEER_MESSAGE_HANDSHAKE, .bytes = {&end, 1}};
  peer_writer_u32 (&writer, peer->remote);
  peer_wire_write (&writer, NULL, &message);
  give (self, peer, &writer);
}

static void
want (World *self, uint8_t b, uint8_t c)
{
  PeerWant wants[2] = {{run_of (b, c), self->now + c * 1000, 100}, {run_of (c, 4), self->now, 0}};
  if (self->swarm != NULL)
    peer_engine_want (self->engine, self->swarm, wants, b % 3);
}

/* Operations of which several make one datagram set the highest bit of all but the last. */
static void
operate (World *self, PeerWriter *writer, const uint8_t *operation)
{
  uint8_t a = operation[1], b = operation[2], c = operation[3];
  Peer *peer = &self->peers[(a & 3) % N_PEERS];
  switch (operation[0] % 16) {
  case 0:
    self->now += (int64_t)(1 + b) << c % 22;
    return;
  case 1:
    if (self->swarm != NULL)
      peer_engine_add_peer (self->engine, self->swarm, &peer->address);
    return;
  case 2: /* it calls the engine, with light messages behind, or with what it must not send */
    writer->used = 0;
    peer_writer_u32 (writer, 0);
    put_handshake (self, peer, writer, true, b, c);
    if (a & 64)
      put_message (self, peer, writer, a / 4, b, c);
    give (self, peer, writer);
    writer->used = 0;
    return;
  case 3:
    want (self, b, c);
    return;
  case 4: /* the store's mood, or ours */
    if (a & 64)
      peer_engine_set_status (self->engine, &(PeerStatus){b % 8, b / 8, c, 0, 0});
    else
      self->mode = a < 128 ? 0 : b;
    return;
  case 5:
    leave (self);
    return;
  case 6:
    if (self->swarm == NULL)
      join (self, b & 1, b & 2);
    return;
  case 7:
    publish (self, a & 64);
    return;
  case 8:
    goodbye (self, peer);
    return;
  default:
    if (writer->used == 0)
      peer_writer_u32 (writer, a < 240 ? peer->remote : c);
    if (peer->remote != 0)
      put_message (self, peer, writer, operation[0] % 16 - 8 + (operation[0] / 16 % 8), b, c);
    if (operation[0] < 128) {
      give (self, peer, writer);
      writer->used = 0;
    }
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  uint8_t datagram[PEER_DATAGRAM_MAX];
  PeerWriter writer = {datagram, 0, sizeof datagram};
  PeerEngineOptions options;
  World self = {.now = 1000000, .random = 42};
  if (n < 2)
    return 0;
  bool live = bytes[0] & 1;
  self.is_source = live && (bytes[0] & 2);
  self.film = film_of (live, (PeerAddressing)(bytes[1] % 5),
                       (bytes[0] & 4) ? PEER_HASH_SHA1 : PEER_HASH_SHA256);
  self.format = peer_wire_format (&self.film->content);
  peer_engine_options_init (&options);
  options.random = fill_random;
  options.random_data = &self.random;
  options.wall_offset = WALL - self.now;
  options.wall_trusted = bytes[0] & 8;
  options.max_channels = 16;
  options.benign = bytes[0] & 64;
  self.certified = bytes[0] & 128;
  self.engine = peer_engine_new (&options);
  for (unsigned i = 0; i < N_PEERS; i++)
    self.peers[i].address =
        (PeerAddress){.ip = {[10] = 0xff, 0xff, 192, 0, 2, (uint8_t)(i + 1)}, .port = 7574};
  join (&self, bytes[0] & 16, bytes[0] & 32);
  for (size_t i = 2; i + 4 <= n; i += 4) {
    operate (&self, &writer, bytes + i);
    /* without that what is to be sent waits, and meets what comes next */
    if (bytes[i + 1] & 128)
      drain (&self);
  }
  drain (&self);
  leave (&self);
  drain (&self);
  peer_engine_free (self.engine);
  return 0;
}
