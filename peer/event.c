/* SPDX-License-Identifier: Apache-2.0 */
/* Events in their order, in an array that is taken from at the front. The newest are not in it as
 * long as they only tell of chunks of one swarm: a set of those gathers them, since a batch brings
 * its chunks out of order, and one run is told instead of each chunk. */
#include "peer/event.h"

struct PeerEventQueue {
  GArray *events; /* PeerEvent */
  guint first;
  PeerEvent newest;   /* of which type and swarm `chunks` are */
  PeerChunks *chunks; /* empty = there is no such event */
};

PeerEventQueue *
peer_event_queue_new (void)
{
  PeerEventQueue *self = g_new0 (PeerEventQueue, 1);
  self->events = g_array_new (FALSE, FALSE, sizeof (PeerEvent));
  self->chunks = peer_chunks_new (0);
  return self;
}

void
peer_event_queue_free (PeerEventQueue *self)
{
  if (self == NULL)
    return;
  g_array_unref (self->events);
  peer_chunks_free (self->chunks);
  g_free (self);
}

static bool
is_gathered (PeerEventType type)
{
  return type == PEER_EVENT_CHUNKS || type == PEER_EVENT_LOST || type == PEER_EVENT_LATE;
}

/* What was gathered takes its place in the order. */
static void
settle (PeerEventQueue *self)
{
  for (size_t i = 0; i < peer_chunks_n_runs (self->chunks); i++) {
    self->newest.chunks = peer_chunks_run (self->chunks, i);
    g_array_append_val (self->events, self->newest);
  }
  peer_chunks_clear (self->chunks);
}

static bool
is_said_already (const PeerEventQueue *self, const PeerEvent *event)
{
  const PeerEvent *last = self->events->len > self->first
                              ? &g_array_index (self->events, PeerEvent, self->events->len - 1)
                              : NULL;
  return event->type == PEER_EVENT_NEED_PEERS && last != NULL && last->type == event->type &&
         last->swarm == event->swarm;
}

void
peer_event_queue_push (PeerEventQueue *self, const PeerEvent *event)
{
  bool gathered = is_gathered (event->type) && !peer_range_is_empty (event->chunks);
  if (!gathered || self->newest.type != event->type || self->newest.swarm != event->swarm)
    settle (self);
  if (gathered) {
    self->newest = *event;
    peer_chunks_add (self->chunks, event->chunks);
  } else if (!is_said_already (self, event)) {
    g_array_append_val (self->events, *event);
  }
}

bool
peer_event_queue_pop (PeerEventQueue *self, PeerEvent *out)
{
  if (self->first < self->events->len) {
    *out = g_array_index (self->events, PeerEvent, self->first++);
    if (self->first == self->events->len) {
      g_array_set_size (self->events, 0);
      self->first = 0;
    }
    return true;
  }
  if (peer_chunks_is_empty (self->chunks))
    return false;
  *out = self->newest;
  out->chunks = peer_chunks_run (self->chunks, 0);
  peer_chunks_remove (self->chunks, out->chunks);
  return true;
}

void
peer_event_queue_forget (PeerEventQueue *self, const PeerSwarm *swarm)
{
  guint kept = self->first;
  for (guint i = self->first; i < self->events->len; i++) {
    PeerEvent event = g_array_index (self->events, PeerEvent, i);
    if (event.swarm != swarm)
      g_array_index (self->events, PeerEvent, kept++) = event;
  }
  g_array_set_size (self->events, kept);
  if (self->newest.swarm == swarm)
    peer_chunks_clear (self->chunks);
}
