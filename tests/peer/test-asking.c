/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a second peer while the first may still bring it, and what is cancelled for that
 * (RFC 7574, 3.8): a viewer between a source and one who has it all. */
#include "peer/peers.h"
#include "peer/swarm-state.h"
#include "peer/taking.h"
#include "tests/peer/engines.h"

#include <string.h>

#define SECOND INT64_C (1000000)
#define N_CHUNKS (60 * MUNRO)
#define VIEWER 2

static struct {
  PeerWireFormat format;
  PeerSwarm *viewer;
  PeerChunks *asked[VIEWER]; /* what the viewer has asked of 0 and 1, and not cancelled */
  PeerChunks *now;           /* likewise, of both, in this moment */
  int64_t at;                /* us: this moment */
  unsigned every;            /* that much of it is lost; 0 = none */
  unsigned n_data, again, moved;
} seen;

static bool
is_asked (uint64_t chunk)
{
  return peer_chunks_has (seen.asked[0], chunk) || peer_chunks_has (seen.asked[1], chunk);
}

static void
see_request (unsigned of, PeerRange run)
{
  const PeerChunks *here = peer_swarm_chunks (seen.viewer);
  for (uint64_t chunk = run.first; chunk < run.end; chunk++)
    if (is_asked (chunk) && !peer_chunks_has (here, chunk)) {
      seen.again++;
      peer_chunks_add (seen.now, (PeerRange){chunk, chunk + 1});
    }
  peer_chunks_add (seen.asked[of], run);
}

/* What is cancelled in the same moment was not asked for twice. Moved is what did not wait longest. */
static void
see_cancel (unsigned of, PeerRange run)
{
  const PeerChunks *here = peer_swarm_chunks (seen.viewer);
  for (uint64_t chunk = run.first; chunk < run.end; chunk++) {
    PeerRange missing = peer_chunks_gap (here, peer_chunks_span (seen.asked[of]));
    seen.again -= peer_chunks_has (seen.now, chunk);
    seen.moved += !peer_chunks_has (here, chunk) && missing.first < chunk;
  }
  peer_chunks_remove (seen.now, run);
  peer_chunks_remove (seen.asked[of], run);
}

static bool
watch_viewer (Net *net, Datagram *datagram)
{
  PeerReader reader = {datagram->bytes + 4, datagram->size - 4};
  PeerMessage message;
  bool heard = true, proves = false;
  if (seen.at != net->now)
    peer_chunks_clear (seen.now);
  seen.at = net->now;
  while (peer_wire_read (&reader, &seen.format, &message) == PEER_WIRE_MESSAGE) {
    if (datagram->from == VIEWER && message.type == PEER_MESSAGE_REQUEST)
      see_request (datagram->to, message.chunks);
    else if (datagram->from == VIEWER && message.type == PEER_MESSAGE_CANCEL)
      see_cancel (datagram->to, message.chunks);
    else if (datagram->to == VIEWER && message.type == PEER_MESSAGE_INTEGRITY)
      proves = true; /* others rest on it */
    else if (message.type == PEER_MESSAGE_DATA && datagram->to == VIEWER && !proves &&
             seen.every > 0)
      heard = ++seen.n_data % seen.every != 0;
  }
  return heard;
}

/* Engine 0 has signed N_CHUNKS, and engine 1 has them all; the viewer has joined. */
static PeerKey *
begin (Net *net)
{
  PeerContent content;
  uint8_t bytes[CHUNK];
  net_init (net, 3);
  PeerKey *key = make_live (&content);
  PeerSwarm *source = go_live (net, 0, &content, 4096);
  PeerSwarm *relay = leech (net, 1, &content, 4096);
  peer_engine_start (net->engines[0], source, 0);
  for (uint64_t chunk = 0; chunk < N_CHUNKS; chunk++) {
    chunk_bytes (chunk, bytes);
    g_assert_cmpuint (peer_engine_append (net->engines[0], source, bytes, CHUNK), ==, chunk);
    if ((chunk + 1) % MUNRO == 0)
      g_assert_true (peer_engine_sign (net->engines[0], source, key, net->now));
  }
  want (net, 1, relay, (PeerRange){0, N_CHUNKS});
  net_run (net, net->now + 30 * SECOND);
  assert_has (relay, (PeerRange){0, N_CHUNKS}, CHUNK);
  memset (&seen, 0, sizeof seen);
  seen.format = peer_wire_format (&content);
  seen.now = peer_chunks_new (0);
  for (unsigned i = 0; i < VIEWER; i++)
    seen.asked[i] = peer_chunks_new (0);
  seen.viewer = leech (net, VIEWER, &content, 4096);
  net->tamper = watch_viewer;
  return key;
}

static void
end (Net *net, PeerKey *key)
{
  for (unsigned i = 0; i < VIEWER; i++)
    peer_chunks_free (seen.asked[i]);
  peer_chunks_free (seen.now);
  peer_key_free (key);
  net_clear (net);
}

static void
add_relay (Net *net)
{
  PeerAddress relay = address_of (1);
  peer_engine_add_peer (net->engines[VIEWER], seen.viewer, &relay);
}

/* 3.8: what is urgent and late is asked for once more while it may still come, and of fifty chunks of
 * one at most; what came without its hashes is, too. */
static void
test_doubles (void)
{
  static const unsigned losses[] = {3, 4, 7, 10};
  for (unsigned i = 0; i < G_N_ELEMENTS (losses); i++) {
    Net net;
    PeerKey *key = begin (&net);
    add_relay (&net);
    net_run (&net, net.now + 2 * SECOND);
    seen.again = 0; /* to learn where the channel is, both were asked */
    seen.every = losses[i];
    want (&net, VIEWER, seen.viewer, (PeerRange){0, N_CHUNKS});
    net_run (&net, net.now + 60 * SECOND);
    assert_has (seen.viewer, (PeerRange){0, N_CHUNKS}, CHUNK);
    uint64_t unproven = peer_engine_counters (net.engines[VIEWER])->chunks_unproven;
    g_test_message ("%u again, %" G_GUINT64_FORMAT " unproven", seen.again, unproven);
    g_assert_cmpuint (seen.again, >, unproven + N_CHUNKS / 100);
    g_assert_cmpuint (seen.again, <=, unproven + N_CHUNKS / 50);
    end (&net, key);
  }
}

/* What stands far back in the queue of the only one that had it is asked of another who has it too. */
static void
test_moved (void)
{
  Net net;
  PeerKey *key = begin (&net);
  PeerWant all = {{0, N_CHUNKS}, net.now + 60 * SECOND, 2000}; /* nothing is urgent */
  net_run (&net, net.now + 2 * SECOND);
  peer_engine_want (net.engines[VIEWER], seen.viewer, &all, 1);
  while (peer_chunks_count (peer_swarm_chunks (seen.viewer)) < N_CHUNKS / 4)
    net_run (&net, net.now + 1000);
  peer_engine_limit (net.engines[0], 50000);
  add_relay (&net);
  seen.again = 0;
  net_run (&net, net.now + 5 * SECOND);
  g_test_message ("%u moved, %u again", seen.moved, seen.again);
  g_assert_cmpuint (seen.moved, >=, MUNRO);
  g_assert_cmpuint (seen.again, ==, 0);
  assert_has (seen.viewer, (PeerRange){0, N_CHUNKS}, CHUNK);
  end (&net, key);
}

/* 3.12: somebody who lives is heard of each 500 ms; who has missed one is not asked, long before it
 * counts as silent. */
static void
test_gone (void)
{
  Net net;
  PeerKey *key = begin (&net);
  add_relay (&net);
  net_run (&net, net.now + 2 * SECOND);
  uint64_t before = peer_chunks_count (seen.asked[1]);
  peer_engine_free (net.engines[1]);
  net.engines[1] = NULL;
  net_run (&net, net.now + 95 * SECOND / 100);
  want (&net, VIEWER, seen.viewer, (PeerRange){0, N_CHUNKS});
  net_run (&net, net.now + SECOND / 50);
  g_assert_cmpuint (peer_chunks_count (seen.asked[0]), >, before);
  g_assert_cmpuint (peer_chunks_count (seen.asked[1]), ==, before);
  end (&net, key);
}

/* 3.9, 3.11: who chokes us or goes will not bring what it was asked for; who was asked for it too may. */
static void
test_given_up (void)
{
  Net net;
  PeerKey *key = begin (&net);
  add_relay (&net);
  net_run (&net, net.now + 2 * SECOND);
  PeerSwarm *self = seen.viewer;
  g_assert_cmpuint (self->channels->len, ==, 2);
  for (unsigned goes = 0; goes < 2; goes++) {
    PeerChannel *one = g_ptr_array_index (self->channels, 0);
    PeerChannel *other = g_ptr_array_index (self->channels, 1);
    PeerRange asked = {100, 110}, too = {103, 105};
    peer_channel_ask (one, net.now, asked);
    peer_channel_ask (other, net.now, too);
    for (uint64_t chunk = 104; goes && chunk < 111; chunk += 6) /* they wait for their hashes */
      peer_held_add (&one->held, net.now, chunk, 0, (const uint8_t *)"", 1);
    peer_chunks_add (self->requested, (PeerRange){asked.first, asked.end + goes});
    if (goes)
      peer_swarm_close (self, one, false);
    else
      peer_swarm_forget_asks (self, one);
    g_assert_cmpuint (peer_channel_n_asks (one), ==, 0);
    g_assert_cmpuint (peer_chunks_count (self->requested), ==, peer_range_size (too));
    g_assert_true (peer_chunks_has_all (self->requested, too));
    peer_swarm_forget_asks (self, other);
    g_assert_true (peer_chunks_is_empty (self->requested));
  }
  end (&net, key);
}

/* What one sends without its hashes, twice, or in a form that is proven wrong, the other may still bring. */
static void
test_not_believed (void)
{
  Net net;
  PeerKey *key = begin (&net);
  add_relay (&net);
  net_run (&net, net.now + 2 * SECOND);
  PeerSwarm *self = seen.viewer;
  /* beside the one that told where the channel is, so its hash is known, and far from that, so none is */
  PeerRange beside = {N_CHUNKS - MUNRO + 1, N_CHUNKS - MUNRO + 2}, far = {100, 101};
  PeerChannel *one = g_ptr_array_index (self->channels, 0);
  PeerChannel *other = g_ptr_array_index (self->channels, 1);
  for (unsigned i = 0; i < 2; i++) {
    PeerRange run = i ? beside : far;
    peer_chunks_add (self->requested, run);
    peer_channel_ask (one, net.now, run);
    peer_channel_ask (other, net.now, run);
  }
  PeerMessage message = {
      .type = PEER_MESSAGE_DATA, .chunks = far, .bytes = {(const uint8_t *)"", 1}};
  for (unsigned times = 0; times < 2; times++) {
    g_assert_true (peer_chunks_has_all (self->requested, far));
    peer_swarm_on_data (self, one, &message);
    self->core->now += SECOND;
    peer_swarm_expire_held (self, one);
  }
  g_assert_cmpuint (peer_engine_counters (net.engines[VIEWER])->chunks_unproven, ==, 2);
  g_assert_true (peer_chunks_has_all (self->requested, far));
  message.chunks = beside;
  peer_swarm_on_data (self, one, &message);
  g_assert_cmpint (one->state, ==, PEER_CHANNEL_CLOSED);
  g_assert_true (peer_chunks_has_all (self->requested, beside));
  peer_swarm_forget_asks (self, other);
  g_assert_true (peer_chunks_is_empty (self->requested));
  end (&net, key);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/peer/asking/" name, function)
  ADD ("one-in-fifty-is-asked-for-twice", test_doubles);
  ADD ("what-waits-long-is-moved", test_moved);
  ADD ("who-may-be-gone-is-not-asked", test_gone);
  ADD ("what-another-may-bring-is-not-free", test_given_up);
  ADD ("what-is-not-believed-another-may-bring", test_not_believed);
  return g_test_run ();
}
