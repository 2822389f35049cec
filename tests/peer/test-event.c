/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/event.h"

#define ONE ((PeerSwarm *)0x10)
#define OTHER ((PeerSwarm *)0x20)

static void
push (PeerEventQueue *queue, PeerEventType type, PeerSwarm *swarm, uint64_t first, uint64_t end)
{
  PeerEvent event = {.type = type, .swarm = swarm, .chunks = {first, end}};
  peer_event_queue_push (queue, &event);
}

static void
assert_next (PeerEventQueue *queue, PeerEventType type, PeerSwarm *swarm, uint64_t first,
             uint64_t end)
{
  PeerEvent event;
  g_assert_true (peer_event_queue_pop (queue, &event));
  g_assert_cmpint (event.type, ==, type);
  g_assert_true (event.swarm == swarm);
  g_assert_cmpuint (event.chunks.first, ==, first);
  g_assert_cmpuint (event.chunks.end, ==, end);
}

static void
assert_none (PeerEventQueue *queue)
{
  PeerEvent event;
  g_assert_false (peer_event_queue_pop (queue, &event));
}

static void
free_queue (PeerEventQueue *queue)
{
  assert_none (queue);
  peer_event_queue_free (queue);
}

/* As a batch comes: every second chunk carries hashes, and goes first. */
static void
test_runs (void)
{
  PeerEventQueue *queue = peer_event_queue_new ();
  for (uint64_t chunk = 0; chunk < 64; chunk += 2)
    push (queue, PEER_EVENT_CHUNKS, ONE, chunk, chunk + 1);
  for (uint64_t chunk = 1; chunk < 63; chunk += 2)
    push (queue, PEER_EVENT_CHUNKS, ONE, chunk, chunk + 1);
  push (queue, PEER_EVENT_CHUNKS, ONE, 70, 72);
  assert_next (queue, PEER_EVENT_CHUNKS, ONE, 0, 63);
  push (queue, PEER_EVENT_CHUNKS, ONE, 72, 73); /* and more come between */
  assert_next (queue, PEER_EVENT_CHUNKS, ONE, 70, 73);
  free_queue (queue);
}

static void
test_order (void)
{
  const PeerEvent told[] = {
      {.type = PEER_EVENT_CHUNKS, .swarm = ONE, .chunks = {4, 6}},
      {.type = PEER_EVENT_EDGE, .swarm = ONE, .chunks = {0, 64}},
      {.type = PEER_EVENT_CHUNKS, .swarm = ONE, .chunks = {6, 7}},
      {.type = PEER_EVENT_LOST, .swarm = ONE, .chunks = {4, 6}},
      {.type = PEER_EVENT_CHUNKS, .swarm = ONE, .chunks = {5, 6}},
      {.type = PEER_EVENT_CHUNKS, .swarm = OTHER, .chunks = {6, 7}},
      {.type = PEER_EVENT_LATE, .swarm = ONE, .chunks = {9, 9}}, /* of nothing */
      {.type = PEER_EVENT_NEED_PEERS, .swarm = OTHER},
      {.type = PEER_EVENT_NEED_PEERS, .swarm = ONE},
  };
  PeerEventQueue *queue = peer_event_queue_new ();
  for (size_t i = 0; i < G_N_ELEMENTS (told); i++) {
    peer_event_queue_push (queue, &told[i]);
    if (told[i].type == PEER_EVENT_NEED_PEERS)
      peer_event_queue_push (queue, &told[i]); /* once is enough */
  }
  for (size_t i = 0; i < G_N_ELEMENTS (told); i++)
    assert_next (queue, told[i].type, told[i].swarm, told[i].chunks.first, told[i].chunks.end);
  free_queue (queue);
}

static void
test_forget (void)
{
  PeerEventQueue *queue = peer_event_queue_new ();
  for (unsigned round = 0; round < 2; round++) {
    push (queue, PEER_EVENT_EDGE, ONE, 0, 64);
    push (queue, PEER_EVENT_EDGE, OTHER, 0, 32);
    push (queue, PEER_EVENT_EDGE, ONE, 64, 128);
    assert_next (queue, PEER_EVENT_EDGE, ONE, 0, 64);
    push (queue, PEER_EVENT_CHUNKS, ONE, 3, 4);
    peer_event_queue_forget (queue, ONE);
    push (queue, PEER_EVENT_CHUNKS, OTHER, 5, 6);
    assert_next (queue, PEER_EVENT_EDGE, OTHER, 0, 32);
    assert_next (queue, PEER_EVENT_CHUNKS, OTHER, 5, 6);
    push (queue, PEER_EVENT_EDGE, ONE, 0, 64);
    peer_event_queue_forget (queue, ONE);
    assert_none (queue);
  }
  free_queue (queue);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/event/chunks-are-told-by-runs", test_runs);
  g_test_add_func ("/peer/event/others-keep-their-order", test_order);
  g_test_add_func ("/peer/event/a-swarm-that-is-gone-is-forgotten", test_forget);
  return g_test_run ();
}
