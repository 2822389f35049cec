/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/event.h"

static PeerSwarm *const one = (PeerSwarm *)0x10, *const other = (PeerSwarm *)0x20;

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
    push (queue, PEER_EVENT_CHUNKS, one, chunk, chunk + 1);
  for (uint64_t chunk = 1; chunk < 63; chunk += 2)
    push (queue, PEER_EVENT_CHUNKS, one, chunk, chunk + 1);
  push (queue, PEER_EVENT_CHUNKS, one, 70, 72);
  assert_next (queue, PEER_EVENT_CHUNKS, one, 0, 63);
  push (queue, PEER_EVENT_CHUNKS, one, 72, 73); /* and more come between */
  assert_next (queue, PEER_EVENT_CHUNKS, one, 70, 73);
  free_queue (queue);
}

static void
test_order (void)
{
  PeerEventQueue *queue = peer_event_queue_new ();
  push (queue, PEER_EVENT_CHUNKS, one, 4, 6);
  push (queue, PEER_EVENT_EDGE, one, 0, 64);
  push (queue, PEER_EVENT_CHUNKS, one, 6, 7);
  push (queue, PEER_EVENT_LOST, one, 4, 6);
  push (queue, PEER_EVENT_CHUNKS, one, 5, 6);
  push (queue, PEER_EVENT_CHUNKS, other, 6, 7);
  push (queue, PEER_EVENT_LATE, one, 9, 9); /* of nothing */
  push (queue, PEER_EVENT_NEED_PEERS, other, 0, 0);
  push (queue, PEER_EVENT_NEED_PEERS, other, 0, 0);
  push (queue, PEER_EVENT_NEED_PEERS, one, 0, 0);
  assert_next (queue, PEER_EVENT_CHUNKS, one, 4, 6);
  assert_next (queue, PEER_EVENT_EDGE, one, 0, 64);
  assert_next (queue, PEER_EVENT_CHUNKS, one, 6, 7);
  assert_next (queue, PEER_EVENT_LOST, one, 4, 6);
  assert_next (queue, PEER_EVENT_CHUNKS, one, 5, 6);
  assert_next (queue, PEER_EVENT_CHUNKS, other, 6, 7);
  assert_next (queue, PEER_EVENT_LATE, one, 9, 9);
  assert_next (queue, PEER_EVENT_NEED_PEERS, other, 0, 0);
  assert_next (queue, PEER_EVENT_NEED_PEERS, one, 0, 0);
  free_queue (queue);
}

static void
test_forget (void)
{
  PeerEventQueue *queue = peer_event_queue_new ();
  for (unsigned round = 0; round < 2; round++) {
    push (queue, PEER_EVENT_EDGE, one, 0, 64);
    push (queue, PEER_EVENT_EDGE, other, 0, 32);
    push (queue, PEER_EVENT_EDGE, one, 64, 128);
    assert_next (queue, PEER_EVENT_EDGE, one, 0, 64);
    push (queue, PEER_EVENT_CHUNKS, one, 3, 4);
    peer_event_queue_forget (queue, one);
    push (queue, PEER_EVENT_CHUNKS, other, 5, 6);
    assert_next (queue, PEER_EVENT_EDGE, other, 0, 32);
    assert_next (queue, PEER_EVENT_CHUNKS, other, 5, 6);
    push (queue, PEER_EVENT_EDGE, one, 0, 64);
    peer_event_queue_forget (queue, one);
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
