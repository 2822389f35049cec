/* SPDX-License-Identifier: Apache-2.0 */
/* What RFC 7574 says of one datagram or the next, held against what an engine sends: in the first
 * part a stranger is written by hand, in the second what two engines say is looked at. */
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
static uint64_t window = UINT64_MAX; /* that the stranger says */

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
    g_autoptr (PeerKey) key = make_live (&content);
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

/* 6.2: what has left their window is not asked of them. */
static void
test_their_window (gconstpointer data)
{
  const struct Window *way = data;
  Net net;
  PeerContent content;
  g_autoptr (PeerKey) key = make_live (&content);
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
  g_assert_true (peer_engine_offer (net.engines[0], swarm, &hashes, 7, bytes, CHUNK));
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
  g_autoptr (PeerKey) key = make_live (&content);
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

/* Who has tuned in learns of a new one with the next datagram, and again each 250 ms until it shows
 * that it knows. */
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
  g_assert_cmpuint (count_signed_since (before), >=, 4);
  have = of (PEER_MESSAGE_HAVE, MUNRO, MUNRO + 1);
  say (&net, NULL, &have, 1);
  before = n_datagrams;
  net_run (&net, net.now + 2 * SECOND);
  g_assert_cmpuint (n_datagrams, >, before);
  g_assert_cmpuint (count_signed_since (before), ==, 0);
  scene_end (&net);
}

/* --- what two engines say --- */

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
  const PeerRange parts[] = {{0, 100}, {200, 300}};
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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/peer/letter/" name, function)
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
  ADD ("what-came-from-elsewhere-is-cancelled", test_came_from_elsewhere);
  ADD ("what-follows-an-invalid-message-is-discarded", test_invalid);
  ADD ("invalid-first-datagram-is-not-answered", test_invalid_first);
  ADD ("handshake-that-comes-later-ends-the-reading", test_late_handshake);
  ADD ("request-of-a-first-datagram-waits-for-the-third", test_request_first);
  ADD ("heavy-messages-of-a-first-datagram-are-passed-over", test_heavy_first);
  ADD ("keep-alive-is-four-bytes", test_keep_alive);
  ADD ("who-is-choked-asks-nothing", test_choked_static);
  ADD ("who-is-choked-asks-nothing-to-tune-in", test_choked_live);
  ADD ("choke-is-said-again-and-voids-requests", test_choking);
  ADD ("newest-munro-of-who-begins", test_munro_of_who_begins);
  ADD ("newest-munro-to-who-has-tuned-in", test_munro_once_tuned_in);
  ADD ("peaks-come-with-the-first-chunk", test_peaks);
  ADD ("what-was-verified-is-told-to-all", test_told);
  ADD ("a-have-that-was-lost-is-said-again", test_told_again);
  ADD ("an-ack-that-was-lost-costs-nothing", test_lost_ack);
  ADD ("many-hashes-go-first-in-several-datagrams", test_many_hashes);
  ADD ("datagrams-are-well-formed", test_datagrams);
  return g_test_run ();
}
