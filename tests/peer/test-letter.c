/* SPDX-License-Identifier: Apache-2.0 */
/* What RFC 7574 says of one datagram or the next, held against what an engine says to a stranger who is
 * written by hand. */
#include "tests/peer/engines.h"

#include <string.h>

#define STRANGER 5000 /* its channel ID */
#define N_CHUNKS 40
#define SECOND INT64_C (1000000)

/* --- a stranger, and engine 0 --- */

typedef struct {
  PeerMessage message; /* its bytes are gone */
  unsigned datagram;
  size_t size; /* of the datagram */
} Heard;

static GArray *heard; /* Heard: what engine 0 has said */
static PeerWireFormat format;
static uint32_t theirs; /* engine 0's channel ID; 0 = it has not told one */
static unsigned n_datagrams;
static uint64_t window = UINT64_MAX; /* that the stranger says... */
static uint8_t supported[2];         /* ...and what it supports; zeros = all (7.10) */

static bool
listen (Net *net, Datagram *datagram)
{
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  if (datagram->from != 0)
    return true;
  n_datagrams++;
  while (peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE) {
    Heard one = {message, n_datagrams, datagram->size};
    if (message.type == PEER_MESSAGE_HANDSHAKE && message.channel != 0)
      theirs = message.channel;
    g_array_append_val (heard, one);
  }
  if (datagram->size == 4) {
    Heard one = {{.type = PEER_MESSAGE_HANDSHAKE, .channel = UINT32_MAX}, n_datagrams, 4};
    g_array_append_val (heard, one);
  }
  return net != NULL;
}

static unsigned
count (PeerMessageType type)
{
  unsigned n = 0;
  for (guint i = 0; i < heard->len; i++)
    n += g_array_index (heard, Heard, i).message.type == type;
  return n;
}

/* Engine 0 alone; of engine 1 there is the address. */
static void
scene_begin (Net *net, const PeerContent *content)
{
  net_init (net, 2);
  peer_engine_free (net->engines[1]);
  net->engines[1] = NULL;
  net->tamper = listen;
  format = peer_wire_format (content);
  heard = g_array_new (FALSE, TRUE, sizeof (Heard));
  theirs = n_datagrams = 0;
}

static void
scene_end (Net *net)
{
  g_array_unref (heard);
  net_clear (net);
}

static void
greet (PeerWriter *writer, const PeerContent *content)
{
  PeerOptions options = options_of (content);
  options.discard_window = window;
  options.has_supported = supported[0] != 0;
  memcpy (options.supported, supported, sizeof supported);
  put_handshake (writer, STRANGER, &options);
}

/* One datagram of n messages. first: it opens the channel. */
static void
put (Net *net, const PeerContent *first, const PeerMessage *messages, size_t n)
{
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  g_assert_true (first != NULL || theirs != 0);
  peer_writer_u32 (&writer, first != NULL && theirs == 0 ? 0 : theirs);
  if (first != NULL)
    greet (&writer, first);
  for (size_t i = 0; i < n; i++)
    g_assert_true (peer_wire_write (&writer, &format, &messages[i]));
  net_send (net, 1, 0, bytes, writer.used);
}

/* Likewise, and its answer comes. */
static void
say (Net *net, const PeerContent *first, const PeerMessage *messages, size_t n)
{
  put (net, first, messages, n);
  net_run (net, net->now + 2 * DELAY);
}

static void
keep_alive (Net *net)
{
  say (net, NULL, NULL, 0);
}

static PeerMessage
of (PeerMessageType type, uint64_t first, uint64_t end)
{
  return (PeerMessage){.type = type, .chunks = {first, end}};
}

/* Engine 0 joins, and knows nobody. */
static PeerSwarm *
join (Net *net, const PeerContent *content)
{
  PeerJoin join = {
      .content = content, .store = peer_store_memory_new (CHUNK, 1024), .discard_window = 1024};
  PeerSwarm *swarm = peer_engine_join (net->engines[0], &join, NULL);
  g_assert_nonnull (swarm);
  return swarm;
}

/* --- what a HANDSHAKE says (7) --- */

static const struct Window {
  PeerAddressing addressing;
  uint64_t unit; /* of the window on the wire */
} windows[] = {{PEER_ADDRESSING_CHUNKS64, 1}, {PEER_ADDRESSING_BYTES64, CHUNK}};

/* 7.2 to 7.9 and 7.11: all of it, the window in what ranges are in; all ones for who keeps all. */
static void
test_options (gconstpointer data)
{
  const struct Window *way = data;
  for (unsigned all = 0; all < 2; all++) {
    Net net;
    PeerContent content;
    PeerMessage message;
    PeerOptions said;
    PeerAddress stranger = address_of (1);
    peer_key_free (make_live (&content));
    content.addressing = way->addressing;
    scene_begin (&net, &content);
    PeerJoin join = {.content = &content,
                     .store = peer_store_memory_new (CHUNK, 1024),
                     .discard_window = all ? UINT64_MAX : 1024};
    PeerSwarm *swarm = peer_engine_join (net.engines[0], &join, NULL);
    peer_engine_add_peer (net.engines[0], swarm, &stranger);
    net_run (&net, net.now + DELAY);
    const Datagram *first = &g_array_index (net.log, Datagram, 0);
    PeerReader reader = {first->bytes + 4, first->size - 4};
    g_assert_cmpint (peer_wire_read (&reader, NULL, &message), ==, PEER_WIRE_MESSAGE);
    g_assert_true (peer_options_read (message.bytes, &said));
    PeerOptions expected = options_of (&content);
    expected.discard_window = all ? UINT64_MAX : 1024 * way->unit;
    expected.has_supported = true;
    memcpy (expected.supported, said.supported, sizeof said.supported);
    g_assert_cmpmem (said.swarm_id.data, said.swarm_id.left, content.swarm_id,
                     content.swarm_id_size);
    expected.swarm_id = said.swarm_id;
    uint8_t ours[512], theirs_bytes[512];
    PeerWriter a = {ours, 0, sizeof ours}, b = {theirs_bytes, 0, sizeof theirs_bytes};
    g_assert_true (peer_options_write (&a, &said) && peer_options_write (&b, &expected));
    g_assert_cmpmem (ours, a.used, theirs_bytes, b.used);
    scene_end (&net);
  }
}

/* 7.9: who keeps more from now on tells it to those who come from now on. */
static void
test_window_grows (void)
{
  Net net;
  PeerContent content;
  peer_key_free (make_live (&content));
  scene_begin (&net, &content);
  PeerJoin join = {
      .content = &content, .store = peer_store_memory_new (CHUNK, 4096), .discard_window = 1024};
  PeerSwarm *swarm = peer_engine_join (net.engines[0], &join, NULL);
  peer_engine_keep (net.engines[0], swarm, 4096);
  peer_engine_keep (net.engines[0], swarm, 512); /* never less */
  PeerAddress stranger = address_of (1);
  peer_engine_add_peer (net.engines[0], swarm, &stranger);
  net_run (&net, net.now + DELAY);
  const Datagram *first = &g_array_index (net.log, Datagram, 0);
  PeerReader reader = {first->bytes + 4, first->size - 4};
  PeerMessage message;
  PeerOptions said;
  g_assert_cmpint (peer_wire_read (&reader, NULL, &message), ==, PEER_WIRE_MESSAGE);
  g_assert_true (peer_options_read (message.bytes, &said));
  g_assert_cmpuint (said.discard_window, ==, 4096);
  scene_end (&net);
}

/* 6.2: what has left their window is not asked of them. */
static void
test_their_window (gconstpointer data)
{
  const struct Window *way = data;
  Net net;
  PeerContent content;
  peer_key_free (make_live (&content));
  content.addressing = way->addressing;
  scene_begin (&net, &content);
  PeerSwarm *swarm = join (&net, &content);
  want (&net, 0, swarm, (PeerRange){0, 64});
  window = 4 * way->unit;
  PeerMessage have = of (PEER_MESSAGE_HAVE, 0, 64);
  say (&net, &content, &have, 1);
  keep_alive (&net);
  window = UINT64_MAX;
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), >, 0);
  for (guint i = 0; i < heard->len; i++) {
    const PeerMessage *message = &g_array_index (heard, Heard, i).message;
    if (message->type == PEER_MESSAGE_REQUEST)
      g_assert_cmpuint (message->chunks.first, >=, 60);
  }
  scene_end (&net);
}

/* 7.10: what they do not list is not said to them. */
static void
test_not_supported (void)
{
  static const PeerMessageType lists[][4] = {
      {PEER_MESSAGE_REQUEST, PEER_MESSAGE_DATA, PEER_MESSAGE_INTEGRITY, PEER_MESSAGE_ACK},
      {PEER_MESSAGE_REQUEST, PEER_MESSAGE_HAVE, PEER_MESSAGE_INTEGRITY, PEER_MESSAGE_ACK}};
  for (unsigned i = 0; i < G_N_ELEMENTS (lists); i++) {
    Net net;
    Film film;
    PeerMessage request = of (PEER_MESSAGE_REQUEST, 0, 2);
    supported[0] = 0x80; /* HANDSHAKE */
    supported[1] = 0;
    for (unsigned k = 0; k < 4; k++)
      supported[lists[i][k] / 8] |= (uint8_t)(0x80 >> lists[i][k] % 8);
    make_film (&film, N_CHUNKS, CHUNK);
    scene_begin (&net, &film.content);
    seed (&net, 0, &film);
    say (&net, &film.content, NULL, 0);
    g_assert_true ((count (PEER_MESSAGE_HAVE) > 0) == (i == 1));
    g_array_set_size (heard, 0);
    keep_alive (&net);
    say (&net, NULL, &request, 1);
    g_assert_true ((count (PEER_MESSAGE_DATA) > 0) == (i == 0));
    g_assert_true ((count (PEER_MESSAGE_HAVE) > 0) == (i == 1));
    memset (supported, 0, sizeof supported);
    scene_end (&net);
  }
}

/* 8.2: one that is said twice opens one channel, and is answered again with the same. */
static void
test_said_twice (void)
{
  Net net;
  Film film;
  make_film (&film, N_CHUNKS, CHUNK);
  scene_begin (&net, &film.content);
  seed (&net, 0, &film);
  say (&net, &film.content, NULL, 0);
  uint32_t first = theirs;
  g_assert_cmpuint (first, !=, 0);
  theirs = 0;
  say (&net, &film.content, NULL, 0);
  g_assert_cmpuint (theirs, ==, first);
  g_assert_cmpuint (count (PEER_MESSAGE_HANDSHAKE), ==, 2);
  scene_end (&net);
}

/* 12.1.1: an answer with much to tell is cut to the size of what it answers. */
static void
test_short_answer (void)
{
  Net net;
  Film film;
  PeerStore *store = peer_store_memory_new (CHUNK, 400);
  uint8_t bytes[CHUNK];
  make_film (&film, 400, CHUNK);
  scene_begin (&net, &film.content);
  for (uint64_t chunk = 0; chunk < 400; chunk += 2) { /* 200 runs */
    chunk_bytes (chunk, bytes);
    g_assert_cmpint (store->class->write (store, chunk, bytes, CHUNK), ==, PEER_STORE_OK);
  }
  PeerJoin join = {.content = &film.content, .store = store};
  g_assert_nonnull (peer_engine_join (net.engines[0], &join, NULL));
  say (&net, &film.content, NULL, 0);
  const PeerCounters *counters = peer_engine_counters (net.engines[0]);
  g_assert_cmpuint (count (PEER_MESSAGE_HAVE), >, 0);
  g_assert_cmpuint (counters->bytes_sent, <=, counters->bytes_received);
  film_clear (&film);
  scene_end (&net);
}

/* --- section 3 --- */

/* Engine 0 has a film, and a stranger has come. */
static void
with_film (Net *net, Film *film)
{
  make_film (film, N_CHUNKS, CHUNK);
  scene_begin (net, &film->content);
  seed (net, 0, film);
  say (net, &film->content, NULL, 0);
  keep_alive (net);
  g_array_set_size (heard, 0);
}

static void
test_order (void)
{
  Net net;
  Film film;
  with_film (&net, &film);
  PeerMessage there = of (PEER_MESSAGE_REQUEST, 0, 2), back = of (PEER_MESSAGE_CANCEL, 0, 2);
  say (&net, NULL, (PeerMessage[]){there, back}, 2);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 0);
  say (&net, NULL, (PeerMessage[]){back, there}, 2);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 2);
  scene_end (&net);
}

/* 3.8: "the HAVE message acts as an implicit CANCEL". */
static void
test_have_cancels (void)
{
  Net net;
  Film film;
  with_film (&net, &film);
  say (&net, NULL, (PeerMessage[]){of (PEER_MESSAGE_REQUEST, 0, 3), of (PEER_MESSAGE_HAVE, 0, 2)},
       2);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 1);
  scene_end (&net);
}

/* Engine 0 lacks a film, and asks the stranger, who has it, for chunk 7. */
static PeerSwarm *
ask_for_seven (Net *net, Film *film)
{
  make_film (film, N_CHUNKS, CHUNK);
  scene_begin (net, &film->content);
  PeerSwarm *swarm = join (net, &film->content);
  want (net, 0, swarm, (PeerRange){7, 8});
  PeerMessage have = of (PEER_MESSAGE_HAVE, 0, N_CHUNKS);
  say (net, &film->content, &have, 1);
  keep_alive (net);
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), ==, 1);
  return swarm;
}

/* 3.8: what is asked for again is cancelled where it was asked before. */
static void
test_given_up (void)
{
  Net net;
  Film film;
  ask_for_seven (&net, &film);
  g_assert_cmpuint (count (PEER_MESSAGE_CANCEL), ==, 0);
  for (unsigned i = 0; i < 20 && count (PEER_MESSAGE_CANCEL) == 0; i++) {
    net_run (&net, net.now + SECOND);
    keep_alive (&net);
  }
  g_assert_cmpuint (count (PEER_MESSAGE_CANCEL), >, 0);
  for (guint i = 0; i < heard->len; i++) {
    const PeerMessage *message = &g_array_index (heard, Heard, i).message;
    if (message->type == PEER_MESSAGE_CANCEL)
      g_assert_true (message->chunks.first == 7 && message->chunks.end == 8);
  }
  film_clear (&film);
  scene_end (&net);
}

static void
say_seven_without_hashes (Net *net)
{
  uint8_t bytes[CHUNK];
  chunk_bytes (7, bytes);
  PeerMessage data = of (PEER_MESSAGE_DATA, 7, 8);
  data.bytes = (PeerReader){bytes, sizeof bytes};
  put (net, NULL, &data, 1);
  net_run (net, net->now + DELAY + 1);
}

/* 5.3: it waits for its hashes, but not for long, and is asked for once more; not again, as long as there
 * may be others who send them. */
static void
test_held (void)
{
  Net net;
  Film film;
  ask_for_seven (&net, &film);
  const PeerCounters *counters = peer_engine_counters (net.engines[0]);
  for (unsigned i = 1; i <= 2; i++) {
    say_seven_without_hashes (&net);
    net_run (&net, net.now + 59000);
    g_assert_cmpuint (counters->chunks_unproven, ==, i - 1);
    net_run (&net, net.now + 100000);
    g_assert_cmpuint (counters->chunks_unproven, ==, i);
    g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), ==, 2);
  }
  net_run (&net, net.now + 120000); /* 200 ms after the second time */
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), ==, 3);
  g_assert_cmpuint (count (PEER_MESSAGE_ACK), ==, 0);
  film_clear (&film);
  scene_end (&net);
}

static void
test_came_from_elsewhere (void)
{
  Net net;
  Film film;
  PeerHash proof[PEER_PROOF_MAX];
  PeerPendingHashes hashes = {0};
  uint8_t bytes[CHUNK];
  PeerSwarm *swarm = ask_for_seven (&net, &film);
  g_autoptr (PeerChunks) none = peer_chunks_new (0);
  int n = peer_integrity_proof (film.integrity, 7, none, none, proof);
  for (int i = 0; i < n; i++)
    peer_pending_hashes_add (&hashes, proof[i].chunks, proof[i].hash, 32);
  chunk_bytes (7, bytes);
  g_assert_cmpint (peer_engine_offer (net.engines[0], swarm, &hashes, 7, bytes, CHUNK), ==,
                   PEER_INTEGRITY_GOOD);
  net_run (&net, net.now + DELAY);
  g_assert_cmpuint (count (PEER_MESSAGE_CANCEL), ==, 1);
  film_clear (&film);
  scene_end (&net);
}

/* A HAVE whose range is inverted; what is before it counts, what is behind it does not. */
static void
test_invalid (void)
{
  Net net;
  Film film;
  uint8_t bytes[64];
  static const uint8_t bad[] = {PEER_MESSAGE_HAVE, 0, 0, 0, 2, 0, 0, 0, 1};
  PeerWriter writer = {bytes, 0, sizeof bytes};
  PeerMessage request = of (PEER_MESSAGE_REQUEST, 0, 1);
  with_film (&net, &film);
  peer_writer_u32 (&writer, theirs);
  peer_writer_bytes (&writer, bad, sizeof bad);
  g_assert_true (peer_wire_write (&writer, &format, &request));
  net_send (&net, 1, 0, bytes, writer.used);
  net_run (&net, net.now + SECOND);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 0);
  /* 3.1.1, step 8: who is left is told so */
  g_assert_cmpuint (heard->len, ==, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_HANDSHAKE), ==, 1);
  g_assert_cmpuint (g_array_index (heard, Heard, 0).message.channel, ==, 0);
  scene_end (&net);
}

static void
test_invalid_first (void)
{
  Net net;
  Film film;
  uint8_t bytes[PEER_DATAGRAM_MAX];
  static const uint8_t bad[] = {PEER_MESSAGE_HAVE, 0, 0, 0, 2, 0, 0, 0, 1};
  PeerWriter writer = {bytes, 0, sizeof bytes};
  make_film (&film, N_CHUNKS, CHUNK);
  scene_begin (&net, &film.content);
  seed (&net, 0, &film);
  peer_writer_u32 (&writer, 0);
  greet (&writer, &film.content);
  size_t good = writer.used;
  peer_writer_bytes (&writer, bad, sizeof bad);
  net_send (&net, 1, 0, bytes, writer.used);
  net_run (&net, net.now + 5 * SECOND);
  g_assert_cmpuint (n_datagrams, ==, 0);
  net_send (&net, 1, 0, bytes, good); /* nobody is banned for what anybody can have said */
  net_run (&net, net.now + SECOND);
  g_assert_cmpuint (n_datagrams, >, 0);
  scene_end (&net);
}

/* 3.1: "the first message of its datagram"; one that comes later ends the reading, and nothing else. */
static void
test_late_handshake (void)
{
  Net net;
  Film film;
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  PeerMessage first = of (PEER_MESSAGE_REQUEST, 0, 1), second = of (PEER_MESSAGE_REQUEST, 1, 2);
  with_film (&net, &film);
  peer_writer_u32 (&writer, theirs);
  g_assert_true (peer_wire_write (&writer, &format, &first));
  greet (&writer, &film.content);
  g_assert_true (peer_wire_write (&writer, &format, &second));
  net_send (&net, 1, 0, bytes, writer.used);
  net_run (&net, net.now + 2 * DELAY);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 1);
  g_assert_cmpuint (peer_engine_counters (net.engines[0])->out_of_state, ==, 1);
  PeerMessage ack = of (PEER_MESSAGE_ACK, 0, 1);
  say (&net, NULL, (PeerMessage[]){ack, second}, 2);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 2);
  scene_end (&net);
}

/* 3.1.1, 12.6.11: of a first datagram what is light is taken, but nothing heavy is given for it before
 * the third. */
static void
test_request_first (void)
{
  Net net;
  Film film;
  make_film (&film, N_CHUNKS, CHUNK);
  scene_begin (&net, &film.content);
  seed (&net, 0, &film);
  PeerMessage request = of (PEER_MESSAGE_REQUEST, 0, 2);
  say (&net, &film.content, &request, 1);
  net_run (&net, net.now + SECOND);
  g_assert_cmpuint (n_datagrams, ==, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 0);
  keep_alive (&net);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 2);
  scene_end (&net);
}

/* What is heavy there is passed over, and what is light behind it taken. */
static void
test_heavy_first (void)
{
  Net net;
  Film film;
  uint8_t bytes[CHUNK], hash[32] = {0};
  make_film (&film, N_CHUNKS, CHUNK);
  scene_begin (&net, &film.content);
  PeerSwarm *swarm = join (&net, &film.content);
  want (&net, 0, swarm, (PeerRange){7, 8});
  chunk_bytes (7, bytes);
  PeerMessage heavy[] = {of (PEER_MESSAGE_INTEGRITY, 0, 8),
                         of (PEER_MESSAGE_ACK, 0, 1),
                         of (PEER_MESSAGE_CANCEL, 0, 8),
                         {.type = PEER_MESSAGE_PEX_REQ},
                         of (PEER_MESSAGE_HAVE, 0, N_CHUNKS)};
  heavy[0].bytes = (PeerReader){hash, sizeof hash};
  say (&net, &film.content, heavy, G_N_ELEMENTS (heavy));
  PeerMessage data = of (PEER_MESSAGE_DATA, 7, 8);
  data.bytes = (PeerReader){bytes, 200};
  theirs = 0;
  say (&net, &film.content, &data, 1);
  const PeerCounters *counters = peer_engine_counters (net.engines[0]);
  g_assert_cmpuint (counters->chunks_received + counters->chunks_unwanted, ==, 0);
  g_assert_cmpuint (counters->out_of_state + counters->pex_refused, ==, 0);
  keep_alive (&net);
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), ==, 1);
  film_clear (&film);
  scene_end (&net);
}

/* 3.12, 8.14: to who has nothing to be told. */
static void
test_keep_alive (void)
{
  Net net;
  Film film;
  unsigned n = 0;
  with_film (&net, &film);
  PeerMessage all = of (PEER_MESSAGE_HAVE, 0, N_CHUNKS);
  say (&net, NULL, &all, 1);
  g_array_set_size (heard, 0);
  for (unsigned i = 0; i < 60; i++) {
    net_run (&net, net.now + SECOND);
    keep_alive (&net);
  }
  for (guint i = 0; i < heard->len; i++)
    n += g_array_index (heard, Heard, i).size == 4;
  g_assert_cmpuint (n, >=, 2);
  g_assert_cmpuint (n, ==, heard->len); /* 3.2: no HAVE to who has all */
  scene_end (&net);
}

/* 12.6.4, 12.6.7, 12.6.9: what has no ground changes nothing, and is counted. */
static void
test_out_of_state (void)
{
  Net net;
  Film film;
  with_film (&net, &film);
  const PeerCounters *counters = peer_engine_counters (net.engines[0]);
  PeerMessage unchoke = {.type = PEER_MESSAGE_UNCHOKE};
  const PeerMessage groundless[] = {unchoke, of (PEER_MESSAGE_CANCEL, 3, 9),
                                    of (PEER_MESSAGE_ACK, N_CHUNKS + 8, N_CHUNKS + 16)};
  for (unsigned i = 0; i < G_N_ELEMENTS (groundless); i++) {
    say (&net, NULL, &groundless[i], 1);
    g_assert_cmpuint (counters->out_of_state, ==, i + 1);
  }
  PeerMessage request = of (PEER_MESSAGE_REQUEST, 0, 2);
  say (&net, NULL, &request, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 2);
  g_assert_cmpuint (counters->out_of_state, ==, G_N_ELEMENTS (groundless));
  scene_end (&net);
}

/* 12.6.2, HAVE.1: who claims all and gives nothing is asked less and less. */
static void
test_liar_is_avoided (void)
{
  Net net;
  Film film;
  ask_for_seven (&net, &film);
  for (unsigned i = 0; i < 300; i++) {
    net_run (&net, net.now + SECOND);
    keep_alive (&net);
  }
  g_test_message ("asked %u times", count (PEER_MESSAGE_REQUEST));
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), >, 3);
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), <=, 20);
  film_clear (&film);
  scene_end (&net);
}

/* --- CHOKE (3.9) --- */

static void
test_choked_static (void)
{
  Net net;
  Film film;
  PeerMessage choke = {.type = PEER_MESSAGE_CHOKE}, unchoke = {.type = PEER_MESSAGE_UNCHOKE};
  PeerMessage have = of (PEER_MESSAGE_HAVE, 0, N_CHUNKS);
  make_film (&film, N_CHUNKS, CHUNK);
  scene_begin (&net, &film.content);
  PeerSwarm *swarm = join (&net, &film.content);
  want (&net, 0, swarm, (PeerRange){0, N_CHUNKS});
  say (&net, &film.content, (PeerMessage[]){have, choke}, 2);
  for (unsigned i = 0; i < 5; i++) {
    net_run (&net, net.now + SECOND);
    say (&net, NULL, &have, 1); /* does not unchoke */
  }
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), ==, 0);
  say (&net, NULL, &unchoke, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), >, 0);

  /* a chunk without its hashes is asked for again, but not of who has choked us meanwhile */
  uint8_t bytes[CHUNK];
  chunk_bytes (0, bytes);
  PeerMessage data = of (PEER_MESSAGE_DATA, 0, 1);
  data.bytes = (PeerReader){bytes, sizeof bytes};
  say (&net, NULL, &data, 1);
  say (&net, NULL, &choke, 1);
  g_array_set_size (heard, 0);
  net_run (&net, net.now + 2 * SECOND);
  g_assert_cmpuint (peer_engine_counters (net.engines[0])->chunks_unproven, ==, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), ==, 0);
  film_clear (&film);
  scene_end (&net);
}

static void
test_choked_live (void)
{
  Net net;
  PeerContent content;
  PeerMessage choke = {.type = PEER_MESSAGE_CHOKE}, unchoke = {.type = PEER_MESSAGE_UNCHOKE};
  PeerMessage have = of (PEER_MESSAGE_HAVE, 0, 4 * MUNRO);
  peer_key_free (make_live (&content));
  scene_begin (&net, &content);
  join (&net, &content);
  say (&net, &content, (PeerMessage[]){have, choke}, 2);
  say (&net, NULL, &have, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), ==, 0);
  say (&net, NULL, &unchoke, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_REQUEST), >, 0);
  scene_end (&net);
}

/* Who asks for too much is choked, is told so again if it goes on (12.6.8), and what it had asked for
 * is void when it is unchoked. */
static void
test_choking (void)
{
  Net net;
  Film film;
  make_film (&film, 2000, CHUNK);
  scene_begin (&net, &film.content);
  seed (&net, 0, &film);
  say (&net, &film.content, NULL, 0);
  for (uint64_t k = 0; k < 4; k++) {
    PeerMessage requests[100];
    for (uint64_t i = 0; i < 100; i++)
      requests[i] = of (PEER_MESSAGE_REQUEST, 4 * (100 * k + i), 4 * (100 * k + i) + 1);
    put (&net, NULL, requests, 100);
    net_run (&net, net.now + 100);
  }
  net_run (&net, net.now + DELAY);
  g_assert_cmpuint (count (PEER_MESSAGE_CHOKE), >, 0);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), >, 0);
  g_array_set_size (heard, 0);
  PeerMessage request = of (PEER_MESSAGE_REQUEST, 1, 2);
  say (&net, NULL, &request, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_CHOKE), ==, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 0);
  /* nothing was acknowledged: all that was on its way is lost */
  net_run (&net, net.now + 10 * SECOND);
  g_assert_cmpuint (count (PEER_MESSAGE_UNCHOKE), >, 0);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 0);
  say (&net, NULL, &request, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 1);
  scene_end (&net);
}

/* --- the newest munro (6.1.2.4) --- */

static void
sign_munro (Net *net, PeerSwarm *swarm, PeerKey *key, uint64_t first)
{
  uint8_t bytes[CHUNK];
  for (uint64_t chunk = first; chunk < first + MUNRO; chunk++) {
    chunk_bytes (chunk, bytes);
    g_assert_cmpuint (peer_engine_append (net->engines[0], swarm, bytes, CHUNK), ==, chunk);
  }
  g_assert_true (peer_engine_sign (net->engines[0], swarm, key, net->now));
}

/* 6.1.2.3: a signature directly behind its hash, in one datagram. */
static unsigned
count_signed (unsigned datagram)
{
  unsigned n = 0;
  for (guint i = 0; i < heard->len; i++) {
    const Heard *one = &g_array_index (heard, Heard, i);
    if (one->datagram != datagram || one->message.type != PEER_MESSAGE_SIGNED_INTEGRITY)
      continue;
    g_assert_cmpuint (i, >, 0);
    g_assert_cmpint (one[-1].message.type, ==, PEER_MESSAGE_INTEGRITY);
    g_assert_cmpuint (one[-1].datagram, ==, datagram);
    g_assert_cmpuint (one[-1].message.chunks.first, ==, one->message.chunks.first);
    g_assert_cmpuint (one[-1].message.chunks.end, ==, one->message.chunks.end);
    n++;
  }
  return n;
}

static unsigned
count_signed_since (unsigned datagram)
{
  unsigned n = 0;
  for (unsigned i = datagram + 1; i <= n_datagrams; i++)
    n += count_signed (i);
  return n;
}

/* 6.1.2.3: before it is signed nobody is told of a subtree, nor given of it. */
static void
test_not_signed (void)
{
  Net net;
  PeerContent content;
  uint8_t bytes[CHUNK];
  g_autoptr (PeerKey) key = make_live (&content);
  scene_begin (&net, &content);
  PeerSwarm *swarm = go_live (&net, 0, &content, 1024);
  peer_engine_start (net.engines[0], swarm, 0);
  say (&net, &content, NULL, 0);
  keep_alive (&net);
  for (uint64_t chunk = 0; chunk < MUNRO; chunk++) {
    chunk_bytes (chunk, bytes);
    g_assert_cmpuint (peer_engine_append (net.engines[0], swarm, bytes, CHUNK), ==, chunk);
  }
  PeerMessage request = of (PEER_MESSAGE_REQUEST, 0, 1);
  say (&net, NULL, &request, 1);
  net_run (&net, net.now + 2 * SECOND);
  g_assert_cmpuint (count (PEER_MESSAGE_HAVE) + count (PEER_MESSAGE_DATA), ==, 0);
  g_assert_true (peer_engine_sign (net.engines[0], swarm, key, net.now));
  say (&net, NULL, &request, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_HAVE), >, 0);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 1);
  scene_end (&net);
}

/* 5.3: what is asked for again has not come, or its hashes have not: it goes with all of them. */
static void
test_all_hashes_again (void)
{
  Net net;
  Film film;
  guint n = 0;
  with_film (&net, &film);
  PeerMessage request = of (PEER_MESSAGE_REQUEST, 0, 2);
  say (&net, NULL, &request, 1);
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), ==, 2);
  g_array_set_size (heard, 0);
  net_run (&net, net.now + 10 * DELAY); /* it is not acknowledged: the last one is said again */
  g_assert_cmpuint (count (PEER_MESSAGE_DATA), >, 0);
  while (g_array_index (heard, Heard, n).message.type == PEER_MESSAGE_INTEGRITY)
    n++;
  g_assert_cmpuint (n, ==, 2 + 5); /* the peaks of 32 + 8, and the uncles below the first */
  g_assert_cmpint (g_array_index (heard, Heard, n).message.type, ==, PEER_MESSAGE_DATA);
  g_assert_cmpuint (g_array_index (heard, Heard, n).message.chunks.first, ==, 1);
  scene_end (&net);
}

static void
test_munro_of_who_begins (void)
{
  Net net;
  PeerContent content;
  PeerAddress stranger = address_of (1);
  g_autoptr (PeerKey) key = make_live (&content);
  scene_begin (&net, &content);
  PeerSwarm *swarm = go_live (&net, 0, &content, 1024);
  peer_engine_start (net.engines[0], swarm, 0);
  sign_munro (&net, swarm, key, 0);
  peer_engine_add_peer (net.engines[0], swarm, &stranger);
  net_run (&net, net.now + DELAY);
  g_assert_cmpuint (n_datagrams, ==, 1);
  g_assert_cmpuint (count_signed (1), ==, 0);
  say (&net, &content, NULL, 0); /* the second */
  g_assert_cmpuint (n_datagrams, >=, 2);
  for (unsigned i = 0; i < 4; i++) { /* keep-alives among them */
    keep_alive (&net);
    net_run (&net, net.now + SECOND);
  }
  g_assert_cmpuint (n_datagrams, >=, 6);
  for (unsigned i = 2; i <= n_datagrams; i++)
    g_assert_cmpuint (count_signed (i), ==, 1);
  PeerMessage have = of (PEER_MESSAGE_HAVE, 0, 1);
  unsigned before = n_datagrams;
  say (&net, NULL, &have, 1);
  net_run (&net, net.now + SECOND);
  g_assert_cmpuint (n_datagrams, >, before);
  g_assert_cmpuint (count_signed_since (before), ==, 0);
  scene_end (&net);
}

/* Who has tuned in learns of a new one once, and again each second until it shows that it knows. */
static void
test_munro_once_tuned_in (void)
{
  Net net;
  PeerContent content;
  g_autoptr (PeerKey) key = make_live (&content);
  scene_begin (&net, &content);
  PeerSwarm *swarm = go_live (&net, 0, &content, 1024);
  peer_engine_start (net.engines[0], swarm, 0);
  sign_munro (&net, swarm, key, 0);
  say (&net, &content, NULL, 0);
  keep_alive (&net); /* and is told of the first */
  PeerMessage have = of (PEER_MESSAGE_HAVE, 0, 1);
  say (&net, NULL, &have, 1);
  unsigned before = n_datagrams;
  sign_munro (&net, swarm, key, MUNRO);
  for (unsigned i = 0; i < 5; i++) {
    PeerMessage request = of (PEER_MESSAGE_REQUEST, i + 1, i + 2);
    say (&net, NULL, &request, 1);
  }
  g_assert_cmpuint (n_datagrams, >=, before + 5);
  g_assert_cmpuint (count_signed_since (before), ==, 1);
  before = n_datagrams;
  for (unsigned i = 0; i < 4; i++) {
    net_run (&net, net.now + SECOND);
    keep_alive (&net);
  }
  g_assert_cmpuint (count_signed_since (before), >=, 3);
  have = of (PEER_MESSAGE_HAVE, MUNRO, MUNRO + 1);
  say (&net, NULL, &have, 1);
  before = n_datagrams;
  net_run (&net, net.now + 2 * SECOND);
  g_assert_cmpuint (n_datagrams, >, before);
  g_assert_cmpuint (count_signed_since (before), ==, 0);
  scene_end (&net);
}

/* The stranger says a munro. */
static void
say_munro (Net *net, const PeerContent *content, PeerIntegrity *source, PeerKey *key)
{
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  peer_writer_u32 (&writer, theirs);
  put_munro (&writer, content, source, key, net->now);
  net_send (net, 1, 0, bytes, writer.used);
  net_run (net, net->now + 2 * DELAY);
}

/* Nor of one that it has said itself. */
static void
test_munro_known (void)
{
  Net net;
  PeerContent content;
  g_autoptr (PeerKey) key = make_live (&content);
  PeerIntegrity *source = peer_integrity_new (&content, 4 * MUNRO, NULL, NULL);
  PeerMessage have = of (PEER_MESSAGE_HAVE, 0, 1);
  scene_begin (&net, &content);
  join (&net, &content);
  say (&net, &content, NULL, 0);
  keep_alive (&net);
  say_munro (&net, &content, source, key);
  keep_alive (&net);
  net_run (&net, net.now + SECOND);
  g_assert_cmpuint (count_signed_since (0), >, 0); /* that it knows one is not shown */
  say (&net, NULL, &have, 1);                      /* now it is */
  unsigned before = n_datagrams;
  say_munro (&net, &content, source, key);
  for (unsigned i = 0; i < 4; i++) {
    net_run (&net, net.now + SECOND);
    keep_alive (&net);
  }
  g_assert_cmpuint (n_datagrams, >=, before + 4);
  g_assert_cmpuint (count_signed_since (before), ==, 0);
  peer_integrity_free (source);
  scene_end (&net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/peer/letter/" name, function)
  g_test_add_func ("/peer/letter/a-window-that-grows-is-told", test_window_grows);
  for (unsigned i = 0; i < G_N_ELEMENTS (windows); i++) {
    const char *unit = windows[i].unit == 1 ? "chunks" : "bytes";
    g_autofree char *said = g_strdup_printf ("/peer/letter/handshake-says-all/%s", unit);
    g_autofree char *heeded = g_strdup_printf ("/peer/letter/their-window-is-heeded/%s", unit);
    g_test_add_data_func (said, &windows[i], test_options);
    g_test_add_data_func (heeded, &windows[i], test_their_window);
  }
  ADD ("messages-are-taken-in-their-order", test_order);
  ADD ("have-cancels-requests", test_have_cancels);
  ADD ("what-is-given-up-is-cancelled", test_given_up);
  ADD ("what-waits-in-vain-for-hashes-is-asked-for-once-more", test_held);
  ADD ("what-came-from-elsewhere-is-cancelled", test_came_from_elsewhere);
  ADD ("what-follows-an-invalid-message-is-discarded", test_invalid);
  ADD ("invalid-first-datagram-is-not-answered", test_invalid_first);
  ADD ("handshake-that-comes-later-ends-the-reading", test_late_handshake);
  ADD ("request-of-a-first-datagram-waits-for-the-third", test_request_first);
  ADD ("heavy-messages-of-a-first-datagram-are-passed-over", test_heavy_first);
  ADD ("keep-alive-is-four-bytes", test_keep_alive);
  ADD ("what-has-no-ground-changes-nothing", test_out_of_state);
  ADD ("who-gives-nothing-is-asked-less-and-less", test_liar_is_avoided);
  ADD ("who-is-choked-asks-nothing", test_choked_static);
  ADD ("who-is-choked-asks-nothing-to-tune-in", test_choked_live);
  ADD ("choke-is-said-again-and-voids-requests", test_choking);
  ADD ("what-is-not-listed-is-not-said", test_not_supported);
  ADD ("first-datagram-said-twice-opens-one-channel", test_said_twice);
  ADD ("answer-is-no-longer-than-the-question", test_short_answer);
  ADD ("what-is-not-signed-is-not-told", test_not_signed);
  ADD ("what-is-sent-again-has-all-its-hashes", test_all_hashes_again);
  ADD ("newest-munro-of-who-begins", test_munro_of_who_begins);
  ADD ("newest-munro-to-who-has-tuned-in", test_munro_once_tuned_in);
  ADD ("munro-is-not-said-to-who-said-it", test_munro_known);
  return g_test_run ();
}
