/* SPDX-License-Identifier: Apache-2.0 */
/* What RFC 7574 says of one datagram or the next, held against what engines say to each other. */
#include "peer/swarm-state.h"
#include "peer/telling.h"
#include "tests/peer/engines.h"
#include <string.h>

#define N_CHUNKS 40
#define SECOND INT64_C (1000000)

static PeerWireFormat format;
static PeerSwarm *receiver; /* of engine 1 */
static unsigned n_data, n_acks, n_sorted;
static bool peaks_seen;

/* 5.6.2: the peaks of 7 chunks, left to right, and uncles behind them. */
static void
check_peaks (const PeerRange *hashes, unsigned n)
{
  g_assert_cmpuint (n, >=, 3);
  g_assert_cmpuint (hashes[0].first, ==, 0);
  g_assert_cmpuint (hashes[0].end, ==, 4);
  g_assert_cmpuint (hashes[1].end, ==, 6);
  g_assert_cmpuint (hashes[2].end, ==, 7);
}

/* 5.4: "sorted in order of the tree height of the nodes, descending". */
static void
check_heights (const PeerRange *hashes, unsigned n)
{
  for (unsigned i = 1; i < n; i++)
    g_assert_cmpuint (peer_range_size (hashes[i]), <, peer_range_size (hashes[i - 1]));
  n_sorted += n > 1;
}

/* 4.3.1, 4.3.2: the biggest interval that is complete. */
static void
check_interval (PeerRange run)
{
  PeerRange biggest = peer_chunks_around (peer_swarm_chunks (receiver), run.first);
  g_assert_cmpuint (run.first, ==, biggest.first);
  g_assert_cmpuint (run.end, ==, biggest.end);
}

static bool
check_datagram (Net *net, Datagram *datagram)
{
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  PeerRange hashes[64];
  unsigned n = 0, at = 0, handshakes = 0, heavy = 0;
  bool data = false;
  for (; peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE; at++) {
    g_assert_false (data); /* 8.6: it is the last */
    if (message.type == PEER_MESSAGE_HANDSHAKE) {
      g_assert_cmpuint (at, ==, 0); /* 3.1 */
      handshakes++;
    } else if (message.type == PEER_MESSAGE_INTEGRITY) {
      g_assert_cmpuint (n, <, G_N_ELEMENTS (hashes));
      hashes[n++] = message.chunks;
      heavy++;
    } else if (message.type == PEER_MESSAGE_DATA) {
      g_assert_cmpuint (message.time, !=, 0); /* 3.3 */
      data = true;
      heavy++;
    } else if (datagram->from == 1 && message.type == PEER_MESSAGE_ACK) {
      check_interval (message.chunks);
      n_acks++;
    } else if (datagram->from == 1 && message.type == PEER_MESSAGE_HAVE) {
      check_interval (message.chunks);
    } else if (message.type == PEER_MESSAGE_REQUEST) {
      g_assert_false (peer_chunks_has (peer_swarm_chunks (receiver), message.chunks.first));
    }
  }
  g_assert_true (handshakes == 0 || heavy == 0); /* 3.1.1 */
  n_data += data;
  if (data && !peaks_seen)
    check_peaks (hashes, n);
  else if (data)
    check_heights (hashes, n);
  peaks_seen |= data;
  return net != NULL;
}

static void
exchange (uint64_t n_chunks, double loss)
{
  Net net;
  Film film;
  net_init (&net, 2);
  make_film (&film, n_chunks, 100);
  format = peer_wire_format (&film.content);
  seed (&net, 0, &film);
  PeerContent content = film.content;
  content.length = 0;
  receiver = leech (&net, 1, &content, n_chunks);
  net.tamper = check_datagram;
  net.loss = loss;
  want (&net, 1, receiver, (PeerRange){0, n_chunks});
  net_run (&net, net.now + 60 * SECOND);
  assert_has (receiver, (PeerRange){0, n_chunks}, 100);
  net_clear (&net);
}

static void
test_peaks (void)
{
  peaks_seen = false;
  n_data = 0;
  exchange (7, 0);
  g_assert_cmpuint (n_data, ==, 7);
}

static void
test_datagrams (void)
{
  peaks_seen = true; /* those of 300 are not looked at: 2^8 + 2^5 + 2^3 + 2^2 are sorted as well */
  n_data = n_acks = n_sorted = 0;
  exchange (300, 0.05);
  g_assert_cmpuint (n_data, >=, 300);
  g_assert_cmpuint (n_acks, >, 20);
  g_assert_cmpuint (n_sorted, >, 20);
}

static PeerChunks *told;   /* by engine 1 to engine 2 */
static int64_t deaf_until; /* us: what would tell it before is lost */

static bool
hear_haves (Net *net, Datagram *datagram)
{
  bool heard_it = true;
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  while (datagram->from == 1 && datagram->to == 2 &&
         peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE)
    if (message.type == PEER_MESSAGE_HAVE) {
      check_interval (message.chunks);
      heard_it = net->now >= deaf_until;
      if (heard_it)
        peer_chunks_add (told, message.chunks);
    }
  return heard_it;
}

/* Engine 1 fetches both parts, of which engine 2, who knows it alone, has heard what is told then. */
static void
tell_parts (const PeerRange *parts, int64_t deaf)
{
  Net net;
  Film film;
  PeerAddress middle = address_of (1);
  receiver = net_init_film (&net, 3, &film, 300);
  format = peer_wire_format (&film.content);
  PeerJoin join = {.content = &film.content, .store = peer_store_memory_new (CHUNK, 300)};
  PeerSwarm *other = peer_engine_join (net.engines[2], &join, NULL);
  peer_engine_add_peer (net.engines[2], other, &middle);
  told = peer_chunks_new (0);
  net.tamper = hear_haves;
  deaf_until = net.now + deaf;
  net_run (&net, net.now + SECOND);
  g_assert_true (peer_chunks_is_empty (told));
  for (unsigned i = 0; i < 2; i++) {
    want (&net, 1, receiver, parts[i]);
    net_run (&net, net.now + 5 * SECOND);
  }
  g_assert_true (deaf == 0 || peer_chunks_is_empty (told));
  net_run (&net, net.now + (deaf > 0 ? 50 * SECOND : 0));
  net_clear (&net);
}

/* 3.2: what was received and verified is told to all others, long before a keep-alive is due. */
static void
test_told (void)
{
  const PeerRange parts[] = {{0, 100}, {100, 200}};
  tell_parts (parts, 0);
  g_assert_true (peer_chunks_has_all (told, parts[0]) && peer_chunks_has_all (told, parts[1]));
  g_assert_cmpuint (peer_chunks_count (told), ==, 200);
  peer_chunks_free (told);
}

/* 8.2: with the keep-alive, where nothing follows it. */
static void
test_told_again (void)
{
  const PeerRange parts[] = {{0, 100}, {100, 300}};
  tell_parts (parts, 15 * SECOND);
  g_assert_true (peer_chunks_has_all (told, (PeerRange){0, 300}));
  peer_chunks_free (told);
}

static bool
lose_first_ack (Net *net, Datagram *datagram)
{
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  bool lost = false;
  while (datagram->from == 1 && peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE)
    lost |= message.type == PEER_MESSAGE_ACK && n_acks++ == 0;
  return net != NULL && !lost;
}

/* 8.2: each ACK is said once more with the next; here no later interval covers the first. */
static void
test_lost_ack (void)
{
  Net net;
  Film film;
  receiver = net_init_film (&net, 2, &film, N_CHUNKS);
  format = peer_wire_format (&film.content);
  net.tamper = lose_first_ack;
  n_acks = 0;
  net_run (&net, net.now + SECOND);
  for (uint64_t chunk = 0; chunk < N_CHUNKS; chunk += 10) {
    want (&net, 1, receiver, (PeerRange){chunk, chunk + 1});
    net_run (&net, net.now + DELAY / 2);
  }
  net_run (&net, net.now + SECOND);
  g_assert_cmpuint (peer_chunks_count (peer_swarm_chunks (receiver)), ==, 4);
  g_assert_cmpuint (n_acks, >, 4);
  g_assert_cmpuint (peer_engine_counters (net.engines[0])->chunks_lost, ==, 0);
  g_assert_cmpuint (peer_engine_counters (net.engines[1])->chunks_duplicate, ==, 0);
  net_clear (&net);
}

static bool
narrow_way (Net *net, Datagram *datagram)
{
  return net != NULL && datagram->size <= PEER_DATAGRAM_SAFE;
}

/* 5.4: hashes that do not fit go first "in one or more datagrams". Of 2047 chunks the first needs 11
 * peaks and 10 uncles; of SHA-512 they are 1533 bytes. */
static void
many_hashes (bool (*way) (Net *net, Datagram *datagram))
{
  Net net;
  Film film;
  const uint64_t n = 2047;
  net_init (&net, 2);
  make_film_of (&film, PEER_HASH_SHA512, n, 100);
  net.tamper = way;
  seed (&net, 0, &film);
  PeerContent content = film.content;
  content.length = 0;
  PeerSwarm *swarm = leech (&net, 1, &content, n);
  want (&net, 1, swarm, (PeerRange){0, 40});
  net_run (&net, net.now + 5 * SECOND);
  assert_has (swarm, (PeerRange){0, 40}, CHUNK);
  if (way == NULL)
    g_assert_cmpuint (peer_engine_counters (net.engines[1])->chunks_unproven, ==, 0);
  net_clear (&net);
}

static void
test_many_hashes (void)
{
  many_hashes (NULL);
  many_hashes (narrow_way);
}

/* --- what the peers of a live swarm say to each other, and not to its source --- */

static struct {
  unsigned haves, munros;
} said;

static bool
count_said (Net *net, Datagram *datagram)
{
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  while (datagram->from != 0 && datagram->to != 0 &&
         peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE) {
    said.haves += message.type == PEER_MESSAGE_HAVE;
    said.munros += message.type == PEER_MESSAGE_SIGNED_INTEGRITY;
  }
  return net != NULL;
}

/* Engine 0 is the source, all know all. */
static void
open_crowd (Net *net, const PeerContent *content, PeerSwarm **swarms, uint64_t n)
{
  net_init (net, MAX_NODES);
  format = peer_wire_format (content);
  swarms[0] = go_live (net, 0, content, n);
  peer_engine_start (net->engines[0], swarms[0], 0);
  for (unsigned i = 1; i < MAX_NODES; i++) {
    PeerWant all = {{0, n}, net->now + 2 * SECOND, 2000};
    swarms[i] = leech (net, i, content, n);
    for (unsigned k = 1; k < i; k++) {
      PeerAddress other = address_of (k);
      peer_engine_add_peer (net->engines[i], swarms[i], &other);
    }
    peer_engine_want (net->engines[i], swarms[i], &all, 1);
  }
  net->tamper = count_said;
}

/* Of 16 chunks they tell by one HAVE, if these come about together, and of a munro (D9) each at another
 * time, so that most have shown by then that they know it. */
static void
test_crowd (void)
{
  const unsigned n = 200, pairs = (MAX_NODES - 1) * (MAX_NODES - 2);
  Net net;
  PeerContent content;
  PeerSwarm *swarms[MAX_NODES];
  uint8_t bytes[CHUNK];
  g_autoptr (PeerKey) key = make_live (&content);
  open_crowd (&net, &content, swarms, n * MUNRO);
  for (uint64_t chunk = 0; chunk < n * MUNRO; chunk++) {
    chunk_bytes (chunk, bytes);
    g_assert_cmpuint (peer_engine_append (net.engines[0], swarms[0], bytes, CHUNK), ==, chunk);
    if ((chunk + 1) % MUNRO != 0)
      continue;
    g_assert_true (peer_engine_sign (net.engines[0], swarms[0], key, net.now));
    net_run (&net, net.now + MUNRO * 2000);
    if (chunk + 1 == n / 4 * MUNRO) /* all have tuned in */
      said.haves = said.munros = 0;
  }
  g_test_message ("%u HAVE, %u munros", said.haves, said.munros);
  for (unsigned i = 1; i < MAX_NODES; i++)
    g_assert_cmpuint (peer_chunks_count (peer_swarm_chunks (swarms[i])), >=, (n - 4) * MUNRO);
  g_assert_cmpuint (said.haves, <=, n * 3 / 4 * pairs);
  g_assert_cmpuint (said.munros, <=, n * 3 / 4 * pairs * 2 / 5);
  net_clear (&net);
}

/* --- a source, and who passes on what it gives --- */

#define PASSERS 3 /* engines 1 to 3 know each other; all others know the source alone... */
#define BOASTER 6 /* ...and say that they have what nobody can have yet... */
#define LIAR 7    /* ...or, without taking anything, what others may have by now */
#define UNITS 400 /* that are made, each of a munro... */
#define HONEST 50 /* ...until somebody lies */

typedef struct {
  Net net;
  PeerContent content;
  PeerKey *key;
  PeerSwarm *source, *viewers[MAX_NODES];
  uint64_t next; /* chunk that is made next */
} Show;

static unsigned first_told[UNITS]; /* the engine; 0 = nobody yet */

static bool
hear_first (Net *net, Datagram *datagram)
{
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  while (datagram->from == 0 && peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE) {
    uint64_t unit = (message.chunks.end - 1) / MUNRO;
    if (message.type == PEER_MESSAGE_HAVE && unit < UNITS && first_told[unit] == 0)
      first_told[unit] = datagram->to;
  }
  return net != NULL;
}

static void
show_init (Show *self)
{
  net_init (&self->net, MAX_NODES);
  self->key = make_live (&self->content);
  self->source = go_live (&self->net, 0, &self->content, 8192);
  self->next = 0;
  format = peer_wire_format (&self->content);
  for (unsigned i = 1; i < MAX_NODES; i++)
    self->viewers[i] = leech (&self->net, i, &self->content, 8192);
  for (unsigned i = 1; i <= PASSERS; i++)
    for (unsigned k = 1; k < i; k++) {
      PeerAddress other = address_of (k);
      peer_engine_add_peer (self->net.engines[i], self->viewers[i], &other);
    }
  net_run (&self->net, self->net.now + SECOND);
}

static void
show_clear (Show *self)
{
  net_clear (&self->net);
  peer_key_free (self->key);
}

static void
forge (Show *self, unsigned from, PeerMessageType type, PeerRange run)
{
  uint8_t bytes[64];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  PeerMessage message = {.type = type, .chunks = run};
  peer_writer_u32 (&writer, channel_of (&self->net, from, 0));
  g_assert_true (peer_wire_write (&writer, &format, &message));
  if (!peer_range_is_empty (run))
    net_send (&self->net, from, 0, bytes, writer.used);
}

/* 100 ms: one unit, which all but the liar want. */
static void
show_unit (Show *self, unsigned takers)
{
  uint8_t bytes[CHUNK];
  for (unsigned i = 0; i < MUNRO; i++, self->next++) {
    chunk_bytes (self->next, bytes);
    peer_engine_append (self->net.engines[0], self->source, bytes, CHUNK);
  }
  g_assert_true (peer_engine_sign (self->net.engines[0], self->source, self->key, self->net.now));
  for (unsigned i = 1; i <= takers; i++)
    want (&self->net, i, self->viewers[i], (PeerRange){0, self->next});
  net_run (&self->net, self->net.now + SECOND / 10);
}

/* 12.6.6: of those that the source tells first, and who have taken it, it prefers who passes it on. */
static void
test_who_passes_on (void)
{
  Show show;
  memset (first_told, 0, sizeof first_told);
  show_init (&show);
  show.net.tamper = hear_first;
  for (unsigned unit = 0; unit < HONEST; unit++)
    show_unit (&show, LIAR - 1);
  for (unsigned unit = HONEST; unit < UNITS; unit++) {
    uint64_t newest = show.next + MUNRO - 1, old = show.next - MIN (show.next, 3 * MUNRO);
    forge (&show, BOASTER, PEER_MESSAGE_HAVE, (PeerRange){newest, newest + 1});
    forge (&show, LIAR, PEER_MESSAGE_HAVE, (PeerRange){0, old});
    show_unit (&show, LIAR - 1);
  }
  for (guint i = 0; i < show.source->channels->len; i++) {
    const PeerChannel *channel = g_ptr_array_index (show.source->channels, i);
    unsigned engine = channel->address.ip[15] - 1u;
    g_test_message ("engine %u: %.3f", engine, channel->passes);
    g_assert_true (channel->boasts == (engine == BOASTER));
    g_assert_true ((channel->newest_acked > 0) == (engine < LIAR));
    if (engine <= PASSERS)
      g_assert_cmpfloat (channel->passes, >, 0.7);
    else if (engine < BOASTER)
      g_assert_cmpfloat (channel->passes, <, 0.3);
  }
  unsigned to_keepers = 0;
  for (unsigned unit = UNITS / 2; unit < UNITS; unit++)
    to_keepers += first_told[unit] > PASSERS;
  g_assert_cmpuint (to_keepers, <, UNITS / 2 / 3); /* they are more than half */
  show_clear (&show);
}

/* Who acknowledges what is live, and asks for it again and again, is given little of it again. */
static void
test_given_once (void)
{
  Show show;
  show_init (&show);
  for (unsigned unit = 0; unit < 20; unit++)
    show_unit (&show, 1);
  net_run (&show.net, show.net.now + 2 * SECOND);
  assert_has (show.viewers[1], (PeerRange){0, show.next}, CHUNK);
  const PeerCounters *counters = peer_engine_counters (show.net.engines[0]);
  uint64_t sent = counters->chunks_sent;
  for (unsigned i = 0; i < 50; i++) {
    forge (&show, 1, PEER_MESSAGE_REQUEST, (PeerRange){0, show.next});
    net_run (&show.net, show.net.now + SECOND / 10);
  }
  g_assert_cmpuint (counters->chunks_sent, >, sent); /* it may have lost some */
  g_assert_cmpuint (counters->chunks_sent, <=, sent + show.next / 8);
  g_assert_cmpuint (counters->requests_refused, >=, 40);
  show_clear (&show);
}

static const PeerChannel *
channel_to (const Show *self, unsigned engine)
{
  for (guint i = 0; i < self->source->channels->len; i++) {
    const PeerChannel *channel = g_ptr_array_index (self->source->channels, i);
    if (channel->address.ip[15] == engine + 1)
      return channel;
  }
  g_assert_not_reached ();
}

/* What was made before this source began is no lie of theirs; what it has not made yet is. */
static void
test_begun_anew (void)
{
  Show show;
  show_init (&show);
  show.next = 64 * MUNRO;
  peer_engine_start (show.net.engines[0], show.source, show.next);
  PeerRange old = {0, show.next};
  forge (&show, 1, PEER_MESSAGE_HAVE, old);
  net_run (&show.net, show.net.now + SECOND);
  g_assert_true (peer_chunks_has_all (channel_to (&show, 1)->have, old));
  show_unit (&show, 0);
  forge (&show, 2, PEER_MESSAGE_HAVE, old);
  forge (&show, 3, PEER_MESSAGE_HAVE, (PeerRange){show.next, show.next + 1});
  net_run (&show.net, show.net.now + SECOND);
  g_assert_true (peer_chunks_has_all (channel_to (&show, 2)->have, old));
  for (unsigned i = 1; i <= 3; i++)
    g_assert_true (channel_to (&show, i)->boasts == (i == 3));
  show_clear (&show);
}

/* A HAVE for each second chunk, the newest first, breaks what they were told into pieces. */
static void
test_pieces (void)
{
  Show show;
  show_init (&show);
  while (show.next < 4096)
    show_unit (&show, 0);
  net_run (&show.net, show.net.now + 5 * SECOND);
  const PeerChannel *channel = channel_to (&show, LIAR);
  g_assert_true (peer_chunks_has_all (channel->told, (PeerRange){0, show.next}));
  for (uint64_t chunk = show.next; chunk >= 2; chunk -= 2) {
    forge (&show, LIAR, PEER_MESSAGE_HAVE, (PeerRange){chunk - 2, chunk - 1});
    net_run (&show.net, show.net.now + SECOND / 1000);
  }
  size_t runs = peer_chunks_n_runs (channel->told);
  g_assert_cmpuint (runs, >, 100);
  g_assert_cmpuint (runs, <=, 1024);
  show_clear (&show);
}

/* --- a unit of a source in a crowd, which nobody has yet --- */

#define NO_CROWD 24
#define VIEWERS 40
#define STEP (SECOND / 5) /* in which one more may be told */

/* What has become of the unit, as the source sees it. */
typedef struct {
  bool busy;
  unsigned keepers; /* have it of the source... */
  unsigned others;  /* ...of others... */
  unsigned waiting; /* ...and have yet to get it */
  unsigned unsent;  /* the last chunks, that went to nobody */
  unsigned viewers; /* 0 = VIEWERS */
} Outcome;

typedef struct {
  Net net;
  PeerKey *key;
  PeerSwarm *source;
  PeerRange unit;
} Crowd;

/* Each has shaken hands, and has acknowledged something. */
static void
crowd_init (Crowd *self, unsigned n)
{
  PeerContent content;
  net_init (&self->net, 1);
  self->key = make_live (&content);
  self->source = go_live (&self->net, 0, &content, 8192);
  self->unit = self->source->edge = (PeerRange){0, MUNRO};
  PeerOptions options = options_of (&content);
  net_run (&self->net, self->net.now + 1);
  for (unsigned i = 0; i < n; i++) {
    uint8_t bytes[512];
    PeerWriter writer = {bytes, 0, sizeof bytes};
    PeerAddress from = address_of (i + 1);
    peer_writer_u32 (&writer, 0);
    put_handshake (&writer, i + 1, &options);
    peer_engine_receive (self->net.engines[0], self->net.now, &from, bytes, writer.used);
    PeerChannel *channel = g_ptr_array_index (self->source->channels, i);
    writer.used = 0;
    peer_writer_u32 (&writer, channel->local);
    peer_engine_receive (self->net.engines[0], self->net.now, &from, bytes, writer.used);
    g_assert_cmpint (channel->state, ==, PEER_CHANNEL_OPEN);
    channel->newest_acked = self->net.now;
  }
}

static void
crowd_clear (Crowd *self)
{
  net_clear (&self->net);
  peer_key_free (self->key);
}

/* Of those who have it not. */
static unsigned
count_told (const Crowd *self)
{
  unsigned n = 0;
  for (guint i = 0; i < self->source->channels->len; i++) {
    const PeerChannel *channel = g_ptr_array_index (self->source->channels, i);
    n += peer_chunks_has_all (channel->announce, self->unit);
  }
  return n;
}

/* The source has told one of the unit, and all this came about at once. */
static void
crowd_begin (Crowd *self, const Outcome *outcome)
{
  for (guint i = 0; i < self->source->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->source->channels, i);
    PeerRange old = {8192, 8192 + (outcome->busy ? 100 : 0)};
    bool keeps = i < outcome->keepers, has = i < outcome->keepers + outcome->others;
    peer_chunks_add (channel->waiting, old);
    if (keeps)
      peer_chunks_add (channel->given, self->unit);
    if (has)
      peer_chunks_add (channel->have, self->unit);
    else if (i < outcome->keepers + outcome->others + outcome->waiting)
      peer_chunks_add (i % 2 == 0 ? channel->waiting : channel->in_flight, self->unit);
  }
  for (uint64_t chunk = 0; chunk + outcome->unsent < self->unit.end; chunk++)
    self->source->copies[chunk] = 1;
  peer_swarm_announce_first (self->source, self->unit);
  g_assert_cmpuint (count_told (self), ==, 1);
}

/* A digit for each step: to how many more it is told; '-' = the unit is done with, '*' = and all know it. */
static void
assert_steps (const Outcome *outcome, const char *expected)
{
  Crowd crowd;
  GString *steps = g_string_new (NULL);
  crowd_init (&crowd, outcome->viewers > 0 ? outcome->viewers : VIEWERS);
  crowd_begin (&crowd, outcome);
  for (size_t i = 0; i < strlen (expected); i++) {
    unsigned before = count_told (&crowd);
    crowd.source->core->now += STEP;
    bool over = peer_swarm_announce_withheld (crowd.source) == PEER_NEVER;
    unsigned after = count_told (&crowd);
    bool all = after + outcome->keepers + outcome->others == crowd.source->channels->len;
    char done = all ? '*' : '-';
    g_string_append_c (steps, over ? done : (char)('0' + after - before));
  }
  g_assert_cmpstr (steps->str, ==, expected);
  g_string_free (steps, TRUE);
  crowd_clear (&crowd);
}

/* One more is told with each step while nobody keeps it, and nobody twice, though what they are told of
 * is still to be said; who has not got it after six seconds has played on without it. */
static void
test_crowd_alone (void)
{
  assert_steps (&(Outcome){.unsent = MUNRO}, "11111111111111111111111111111-");
  assert_steps (&(Outcome){.keepers = 1}, "0011111");
}

/* With a few less it is for the source to tell all, when it can. */
static void
test_no_crowd (void)
{
  assert_steps (&(Outcome){.viewers = NO_CROWD}, "111111*");
  assert_steps (&(Outcome){.viewers = NO_CROWD, .keepers = 2, .others = 2}, "001111*");
  assert_steps (&(Outcome){.viewers = NO_CROWD, .busy = true, .waiting = 2}, "11111111");
  assert_steps (&(Outcome){.viewers = NO_CROWD, .busy = true, .keepers = 2, .others = 2},
                "00111111");
  assert_steps (&(Outcome){.viewers = NO_CROWD + 1, .keepers = 1}, "00111111");
}

/* Two who have it of others will bring it to the rest: if all of it is out, and the source knows two whom
 * it gave it, or is too busy to wait for them. */
static void
test_crowd_served (void)
{
  assert_steps (&(Outcome){.keepers = 2, .others = 2}, "001111-");
  assert_steps (&(Outcome){.keepers = 2, .others = 1}, "00111111");
  assert_steps (&(Outcome){.keepers = 1, .others = 2}, "00111111");
  assert_steps (&(Outcome){.keepers = 2, .others = 2, .unsent = 1}, "00111111");
  assert_steps (&(Outcome){.busy = true, .keepers = 1, .others = 2}, "000000-");
  assert_steps (&(Outcome){.busy = true, .keepers = 1, .others = 2, .unsent = 1}, "00111111");
}

/* Who is busy tells nobody of what others pass on; and of what some wait for one more with each fifth step,
 * lest they be lost to it. */
static void
test_crowd_busy (void)
{
  assert_steps (&(Outcome){.busy = true}, "11111111");
  assert_steps (&(Outcome){.busy = true, .keepers = 1, .others = 1}, "00000000000");
  assert_steps (&(Outcome){.busy = true, .others = 1, .unsent = 1}, "11111111");
  assert_steps (&(Outcome){.busy = true, .waiting = 1}, "00001000010");
  assert_steps (&(Outcome){.busy = true, .waiting = 2}, "00001000010");
  assert_steps (&(Outcome){.busy = true, .keepers = 1, .waiting = 1}, "00001000010");
  assert_steps (&(Outcome){.waiting = 2}, "11111111");
}

/* A unit is told at once to one, or to one of each 32. */
static void
test_crowd_first (void)
{
  static const unsigned rows[][2] = {{63, 1}, {64, 2}, {96, 3}};
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    Crowd crowd;
    crowd_init (&crowd, rows[i][0]);
    peer_swarm_announce_first (crowd.source, crowd.unit);
    g_assert_cmpuint (count_told (&crowd), ==, rows[i][1]);
    crowd_clear (&crowd);
  }
}

/* Who passes on half as much is told seldom, though it has less to do; and where nobody does, one is told. */
static void
test_crowd_passes (void)
{
  const unsigned units = 100;
  uint64_t worse = 0;
  Crowd crowd;
  crowd_init (&crowd, VIEWERS);
  for (unsigned i = 0; i < VIEWERS; i++) {
    PeerChannel *channel = g_ptr_array_index (crowd.source->channels, i);
    channel->passes = i % 2 == 0 ? 1 : 0.4;
    peer_chunks_add (channel->waiting, (PeerRange){8192, i % 2 == 0 ? 8200 : 8192});
  }
  peer_swarm_announce_first (crowd.source, (PeerRange){0, units * MUNRO});
  for (unsigned i = 1; i < VIEWERS; i += 2) {
    const PeerChannel *channel = g_ptr_array_index (crowd.source->channels, i);
    worse += peer_chunks_count (channel->announce) / MUNRO;
  }
  g_test_message ("%" G_GUINT64_FORMAT " of %u", worse, units);
  g_assert_cmpuint (worse, >, 0);
  g_assert_cmpuint (worse, <=, units * 15 / 100);
  for (unsigned i = 0; i < VIEWERS; i++) {
    PeerChannel *channel = g_ptr_array_index (crowd.source->channels, i);
    channel->passes = 0;
  }
  crowd.unit = (PeerRange){units * MUNRO, (units + 1) * MUNRO};
  peer_swarm_announce_first (crowd.source, crowd.unit);
  g_assert_cmpuint (count_told (&crowd), ==, 1);
  crowd_clear (&crowd);
}

/* 12.6.2, HAVE.1: nobody can have what is not made, or has not left us; what we have forgotten, anybody may. */
static void
test_crowd_boasts (void)
{
  static const struct {
    uint64_t edge, chunk;
    bool boasts;
  } rows[] = {{0, 0, false},
              {0, MUNRO - 1, true},
              {0, MUNRO, true},
              {0, PEER_COPIES, true},
              {2 * PEER_COPIES, 1, false}};
  Crowd crowd;
  crowd_init (&crowd, G_N_ELEMENTS (rows));
  crowd.source->copies[0] = 1;
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    PeerChannel *channel = g_ptr_array_index (crowd.source->channels, i);
    crowd.source->edge = (PeerRange){rows[i].edge, rows[i].edge + MUNRO};
    peer_swarm_on_boast (crowd.source, channel, (PeerRange){rows[i].chunk, rows[i].chunk + 1});
    g_assert_cmpint (channel->boasts, ==, rows[i].boasts);
  }
  crowd_clear (&crowd);
}

/* D15: of what was given little is given again; what was lost on its way is, and what was not given yet. */
static void
test_crowd_owed (void)
{
  static const PeerRange may[] = {{0, 10}, {12, 14}}, owed[] = {{0, 2}, {6, 7}, {12, 14}};
  Crowd crowd;
  uint8_t bytes[64];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  PeerMessage request = {.type = PEER_MESSAGE_REQUEST, .chunks = {0, MUNRO}};
  crowd_init (&crowd, VIEWERS);
  PeerWireFormat wire = peer_wire_format (&crowd.source->content);
  PeerChannel *channel = g_ptr_array_index (crowd.source->channels, 0);
  peer_chunks_add (crowd.source->have, crowd.unit);
  for (unsigned i = 0; i < G_N_ELEMENTS (may); i++)
    peer_chunks_add (channel->told, may[i]);
  peer_chunks_add (channel->given, may[0]);
  channel->ledbat.srtt = SECOND / 10;
  peer_channel_sent (channel, crowd.net.now - 10 * SECOND, 6, CHUNK, (PeerRange){6, 7});
  channel->again = 2;
  peer_writer_u32 (&writer, channel->local);
  g_assert_true (peer_wire_write (&writer, &wire, &request));
  peer_engine_receive (crowd.net.engines[0], crowd.net.now, &channel->address, bytes, writer.used);
  g_assert_cmpuint (peer_chunks_n_runs (channel->waiting), ==, G_N_ELEMENTS (owed));
  for (unsigned i = 0; i < G_N_ELEMENTS (owed); i++)
    g_assert_true (peer_chunks_has_all (channel->waiting, owed[i]));
  g_assert_cmpuint (peer_chunks_count (channel->waiting), ==, 2 + 1 + 2);
  crowd_clear (&crowd);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/peer/telling/" name, function)
  ADD ("peaks-come-with-the-first-chunk", test_peaks);
  ADD ("what-was-verified-is-told-to-all", test_told);
  ADD ("a-have-that-was-lost-is-said-again", test_told_again);
  ADD ("an-ack-that-was-lost-costs-nothing", test_lost_ack);
  ADD ("many-hashes-go-first-in-several-datagrams", test_many_hashes);
  ADD ("datagrams-are-well-formed", test_datagrams);
  ADD ("peers-of-a-crowd-say-little", test_crowd);
  ADD ("who-passes-on-is-told-first", test_who_passes_on);
  ADD ("live-chunks-are-given-once", test_given_once);
  ADD ("a-source-that-begins-anew-calls-nobody-a-liar", test_begun_anew);
  ADD ("what-was-told-has-a-bound", test_pieces);
  ADD ("a-crowd-is-told-one-by-one", test_crowd_alone);
  ADD ("all-but-a-crowd-are-told", test_no_crowd);
  ADD ("a-crowd-that-is-served-is-left-alone", test_crowd_served);
  ADD ("a-busy-source-leaves-it-to-its-crowd", test_crowd_busy);
  ADD ("a-large-crowd-is-told-by-several", test_crowd_first);
  ADD ("who-passes-on-little-is-told-seldom", test_crowd_passes);
  ADD ("who-has-what-is-not-made-boasts", test_crowd_boasts);
  ADD ("what-was-lost-is-owed", test_crowd_owed);
  return g_test_run ();
}
