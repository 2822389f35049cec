/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/event.h"

struct PeerEventQueue {
  GQueue *events; /* PeerEvent, owned */
};

PeerEventQueue *
peer_event_queue_new (void)
{
  PeerEventQueue *self = g_new0 (PeerEventQueue, 1);
  self->events = g_queue_new ();
  return self;
}

void
peer_event_queue_free (PeerEventQueue *self)
{
  if (self == NULL)
    return;
  g_queue_free_full (self->events, g_free);
  g_free (self);
}

static bool
extend (PeerEventQueue *self, const PeerEvent *event)
{
  PeerEvent *last = g_queue_peek_tail (self->events);
  if (last == NULL || last->type != event->type || last->swarm != event->swarm)
    return false;
  if (event->type == PEER_EVENT_NEED_PEERS)
    return true;
  if (event->type != PEER_EVENT_CHUNKS && event->type != PEER_EVENT_LOST &&
      event->type != PEER_EVENT_LATE)
    return false;
  if (last->chunks.end == event->chunks.first)
    last->chunks.end = event->chunks.end;
  else if (event->chunks.end == last->chunks.first)
    last->chunks.first = event->chunks.first;
  else
    return false;
  return true;
}

void
peer_event_queue_push (PeerEventQueue *self, const PeerEvent *event)
{
  if (!extend (self, event))
    g_queue_push_tail (self->events, g_memdup2 (event, sizeof *event));
}

bool
peer_event_queue_pop (PeerEventQueue *self, PeerEvent *out)
{
  g_autofree PeerEvent *event = g_queue_pop_head (self->events);
  if (event == NULL)
    return false;
  *out = *event;
  return true;
}

void
peer_event_queue_forget (PeerEventQueue *self, const PeerSwarm *swarm)
{
  for (GList *l = self->events->head; l != NULL;) {
    GList *next = l->next;
    PeerEvent *event = l->data;
    if (event->swarm == swarm) {
      g_free (event);
      g_queue_delete_link (self->events, l);
    }
    l = next;
  }
}
