/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/core.h"

void
peer_core_ready (PeerCore *self, PeerChannel *channel)
{
  if (channel->queued)
    return;
  channel->queued = true;
  g_queue_push_tail (&self->ready, channel);
}

void
peer_core_forget (PeerCore *self, PeerChannel *channel)
{
  if (channel->queued)
    g_queue_remove (&self->ready, channel);
  channel->queued = false;
  self->flight -= channel->upload.counted;
  self->line_at = self->now;
  if (channel->upload.in_line)
    g_queue_remove (&self->line, channel);
  g_hash_table_remove (self->channels, GUINT_TO_POINTER (channel->local));
}

void
peer_core_wake (PeerCore *self, int64_t at)
{
  self->deadline = MIN (self->deadline, at);
}

void
peer_core_look (PeerCore *self, PeerChannel *channel, int64_t at)
{
  channel->look_at = MIN (channel->look_at, at);
  peer_core_wake (self, at);
}

uint32_t
peer_core_new_channel_id (PeerCore *self)
{
  uint32_t id;
  do
    id = peer_random_u32 (self->random, self->random_data);
  while (id == 0 || g_hash_table_contains (self->channels, GUINT_TO_POINTER (id)));
  return id;
}

bool
peer_core_take (double *tokens, int64_t *at, int64_t now, double rate, double burst, double n)
{
  *tokens = MIN (burst, *tokens + rate * (double)(now - *at) / 1e6);
  *at = now;
  if (*tokens < n)
    return false;
  *tokens -= n;
  return true;
}
