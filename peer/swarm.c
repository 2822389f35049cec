/* SPDX-License-Identifier: Apache-2.0 */
/* One content exchanged: messages come in and are dealt out, timers run. Chunks are believed or not,
 * and kept (taking.c), and told of (telling.c); what is missing is asked for (asking.c). What goes
 * out is written by sender.c, whom we talk with is peers.c. */
#include "peer/swarm.h"
#include "peer/asking.h"
#include "peer/gossip.h"
#include "peer/peers.h"
#include "peer/swarm-state.h"
#include "peer/taking.h"
#include "peer/telling.h"
#include "peer/uploads.h"

#define MAX_WANTS 64
#define MAX_FORKED 64         /* runs of munros */
#define CHOKE_TIME 2000000    /* us for who asks for more than it can get */
#define RATE_INTERVAL 1000000 /* us */
#define LOOK_INTERVAL 16000   /* us between two looks at a channel that was asked for something */

PeerSwarm *
peer_swarm_new (PeerCore *core, const PeerContent *content, PeerStore *store,
                PeerIntegrity *integrity, uint64_t discard_window, bool source, uint32_t max_peers)
{
  PeerSwarm *self = g_new0 (PeerSwarm, 1);
  self->core = core;
  self->content = *content;
  self->format = peer_wire_format (content);
  self->store = store;
  self->integrity = integrity;
  self->live = peer_content_is_live (content);
  self->sign_all = content->method == PEER_METHOD_SIGN_ALL;
  self->source = source;
  self->discard_window = self->live ? discard_window : UINT64_MAX;
  self->max_peers = max_peers > 0 ? max_peers : 30;
  self->salt = peer_random_u64 (core->random, core->random_data);
  self->channels = g_ptr_array_new_with_free_func ((GDestroyNotify)peer_channel_free);
  self->candidates = g_array_new (FALSE, FALSE, sizeof (PeerCandidate));
  self->banned = g_hash_table_new_full (peer_address_hash, peer_address_equal_key, g_free, g_free);
  self->strikes = g_hash_table_new_full (peer_address_hash, peer_address_equal_key, g_free, g_free);
  self->gossip.silent =
      g_hash_table_new_full (peer_address_hash, peer_address_equal_key, g_free, g_free);
  self->copies = self->live ? g_new0 (uint8_t, PEER_COPIES) : NULL;
  self->have = peer_chunks_new (0);
  self->open = peer_chunks_new (0);
  self->forked = peer_chunks_new (MAX_FORKED);
  self->requested = peer_chunks_new (0);
  self->wants = g_array_new (FALSE, FALSE, sizeof (PeerWant));
  self->withheld = g_array_new (FALSE, FALSE, sizeof (PeerWithheld));
  self->parts = g_array_new (FALSE, FALSE, sizeof (PeerPart));
  self->store->class->chunks (self->store, self->have);
  return self;
}

void
peer_swarm_free (PeerSwarm *self)
{
  if (self == NULL)
    return;
  peer_uploads_stop (self);
  for (guint i = 0; i < self->channels->len; i++)
    peer_swarm_close (self, g_ptr_array_index (self->channels, i), true);
  peer_swarm_reap (self);
  g_ptr_array_unref (self->channels);
  peer_swarm_forget_candidates (self);
  g_hash_table_unref (self->banned);
  g_hash_table_unref (self->strikes);
  g_hash_table_unref (self->gossip.silent);
  g_clear_pointer (&self->gossip.certificate, g_bytes_unref);
  g_free (self->copies);
  peer_chunks_free (self->have);
  peer_chunks_free (self->open);
  peer_chunks_free (self->forked);
  peer_chunks_free (self->requested);
  g_array_unref (self->wants);
  g_array_unref (self->withheld);
  g_array_unref (self->parts);
  peer_integrity_free (self->integrity);
  peer_store_free (self->store);
  g_free (self);
}

/* --- what the others say --- */

static void
on_have (PeerSwarm *self, PeerChannel *channel, PeerRange run)
{
  if (self->live && run.end == UINT64_MAX) {
    self->core->counters.out_of_state++; /* nobody has all of what has no end */
    return;
  }
  if (!peer_chunks_has_all (channel->have, run)) {
    channel->told_end = run.end;
    channel->told_at = self->core->now;
  }
  if (self->source)
    peer_swarm_on_boast (self, channel, run);
  self->core->counters.haves_dropped += !peer_channel_add_have (channel, run);
  peer_channel_cancel (channel, run); /* 3.8: an implicit CANCEL */
  self->pick = true;
}

static void
on_ack (PeerSwarm *self, PeerChannel *channel, const PeerMessage *message)
{
  peer_channel_acked (channel, self->core->now, message->chunks, message->time);
  peer_uploads_acked (channel);
  if (!peer_chunks_has_any (self->have, message->chunks))
    self->core->counters.out_of_state++; /* 12.6.4: we cannot have sent it */
  /* 4.3.2: the biggest interval that covers the chunk, so it may begin left of what we have */
  on_have (self, channel, message->chunks);
  peer_core_ready (self->core, channel);
}

static void
choke (PeerSwarm *self, PeerChannel *channel)
{
  peer_chunks_clear (channel->waiting); /* 3.9 */
  channel->choking = true;
  channel->choke_owed = true;
  channel->choked_until = self->core->now + CHOKE_TIME;
  peer_core_wake (self->core, channel->choked_until);
}

/* What is in flight and asked for again did not arrive, or its hashes did not; or the REQUEST came
 * twice. The rest of run waits for its turn. false = their queue is full. */
static bool
take_request (PeerSwarm *self, PeerChannel *channel, PeerRange run)
{
  while (!peer_range_is_empty (run)) {
    PeerRange again = peer_chunks_next (channel->in_flight, run);
    PeerRange before = {run.first, again.first};
    if (!peer_range_is_empty (before) && !peer_channel_add_request (channel, before))
      return false;
    for (uint64_t chunk = again.end; chunk-- > again.first;)
      if (peer_channel_not_arrived (channel, self->core->now, chunk))
        self->core->counters.chunks_lost++;
    peer_uploads_lost (channel);
    run.first = again.end;
  }
  return true;
}

/* The first part of run that we owe them. Who has acknowledged what is live has seldom lost it since, as
 * a disk may, so of that a little is given again; what is on its way to them may be lost. */
static PeerRange
next_owed (PeerChannel *channel, PeerRange run)
{
  if (channel->given == NULL || peer_range_is_empty (run))
    return run;
  PeerRange flying = peer_chunks_next (channel->in_flight, run);
  PeerRange fresh = peer_chunks_gap (channel->given, run);
  PeerRange owed = flying.first < fresh.first ? flying : fresh;
  uint64_t again = MIN (owed.first - run.first, (uint64_t)channel->again);
  if (again == 0)
    return owed;
  channel->again -= (double)again;
  return (PeerRange){run.first, run.first + again};
}

static void
on_request (PeerSwarm *self, PeerChannel *channel, PeerRange run)
{
  peer_core_ready (self->core, channel);
  channel->unchoked = false;
  peer_uploads_asked (self, channel);
  /* the munro of what they ask for they know, or get with the chunk (6.1.2.3) */
  if (peer_range_has (self->edge, run.first))
    channel->munro_heard = MAX (channel->munro_heard, self->edge.end);
  if (channel->choking) {
    channel->choke_owed = true; /* 12.6.8: it may have been lost */
    self->core->counters.requests_refused++;
    return;
  }
  self->core->counters.requests_absent += !peer_chunks_has_all (self->have, run);
  run = peer_range_intersection (run, peer_chunks_span (self->have));
  while (!peer_range_is_empty (run)) {
    PeerRange part = peer_chunks_next (self->have, run);
    if (peer_range_is_empty (part))
      return;
    run.first = part.end;
    PeerRange sound = peer_chunks_gap (self->forked, part);
    if (peer_range_is_empty (sound))
      continue;
    /* 3.2: a source tells whom it wants to allow to download; in a crowd it cannot feed the rest */
    PeerRange may = peer_swarm_is_crowded (self) ? peer_chunks_next (channel->told, sound) : sound;
    part = next_owed (channel, may);
    if (peer_range_is_empty (part)) {
      self->core->counters.requests_refused++;
      run.first = peer_range_is_empty (may) ? sound.end : may.end;
      continue;
    }
    run.first = part.end;
    /* Who asks for what it said it has, has it no more: a cache drops chunks, a disk loses them, and
     * HAVE cannot be taken back. */
    peer_chunks_remove (channel->have, part);
    if (!take_request (self, channel, part)) {
      self->core->counters.requests_refused++;
      choke (self, channel);
      return;
    }
  }
}

static void
on_choke (PeerSwarm *self, PeerChannel *channel, bool choked)
{
  if (!choked && !channel->choked)
    self->core->counters.out_of_state++; /* 12.6.9 */
  if (choked)
    peer_swarm_forget_asks (self, channel);
  channel->choked = choked;
  self->pick = true;
}

/* A HANDSHAKE on a channel: the answer to ours, a closing one, or one said twice. */
static void
on_handshake (PeerSwarm *self, PeerChannel *channel, const PeerMessage *message)
{
  PeerOptions options;
  if (message->channel == 0) {
    peer_swarm_failed (self, channel);
  } else if (channel->state == PEER_CHANNEL_INITIATING) {
    if (peer_options_read (message->bytes, &options))
      peer_swarm_accepted (self, channel, message->channel, &options);
    else
      self->core->counters.malformed++;
  } else if (channel->initiator && channel->remote == message->channel) {
    channel->hello = true; /* our third datagram was lost */
    peer_core_ready (self->core, channel);
  }
}

static void
on_message (PeerSwarm *self, PeerChannel *channel, const PeerMessage *message)
{
  switch (message->type) {
  case PEER_MESSAGE_HANDSHAKE:
    return; /* the caller has dealt with it */
  case PEER_MESSAGE_DATA:
    peer_swarm_on_data (self, channel, message);
    return;
  case PEER_MESSAGE_ACK:
    on_ack (self, channel, message);
    return;
  case PEER_MESSAGE_HAVE:
    on_have (self, channel, message->chunks);
    return;
  case PEER_MESSAGE_INTEGRITY:
    channel->learned = true;
    peer_pending_hashes_add (channel->hashes, message->chunks, message->bytes.data,
                             message->bytes.left);
    return;
  case PEER_MESSAGE_SIGNED_INTEGRITY:
    peer_swarm_on_signed_integrity (self, channel, message);
    return;
  case PEER_MESSAGE_REQUEST:
    on_request (self, channel, message->chunks);
    return;
  case PEER_MESSAGE_CANCEL:
    if (peer_channel_cancel (channel, message->chunks) == 0)
      self->core->counters.out_of_state++; /* 12.6.7 */
    return;
  case PEER_MESSAGE_CHOKE:
    on_choke (self, channel, true);
    return;
  case PEER_MESSAGE_UNCHOKE:
    on_choke (self, channel, false);
    return;
  case PEER_MESSAGE_PEX_REQ:
  case PEER_MESSAGE_PEX_RES_V4:
  case PEER_MESSAGE_PEX_RES_V6:
  case PEER_MESSAGE_PEX_RES_CERT:
    peer_gossip_receive (self, channel, message);
    return;
  case PEER_MESSAGE_STATUS:
    channel->status = message->status;
    return;
  }
}

/* Only light messages: the address is not proven, so what costs memory or work must wait. */
static bool
is_light (const PeerMessage *message)
{
  return message->type == PEER_MESSAGE_HAVE || message->type == PEER_MESSAGE_REQUEST ||
         message->type == PEER_MESSAGE_CHOKE;
}

/* Bins say one interval in several messages, each with the one delay that was measured. They are put
 * together again: LEDBAT takes one sample for each DATA, in whatever addressing. false = it is no
 * part of what was put together so far. */
static bool
joins_ack (const PeerMessage *ack, const PeerMessage *message)
{
  return ack->type == PEER_MESSAGE_ACK && message->type == PEER_MESSAGE_ACK &&
         message->time == ack->time && message->chunks.first == ack->chunks.end;
}

/* Takes message up; ack is what is being put together, or no ACK. */
static void
on_next_message (PeerSwarm *self, PeerChannel *channel, PeerMessage *ack,
                 const PeerMessage *message)
{
  if (message != NULL && joins_ack (ack, message)) {
    ack->chunks.end = message->chunks.end;
    return;
  }
  if (ack->type == PEER_MESSAGE_ACK)
    on_message (self, channel, ack);
  ack->type = PEER_MESSAGE_HANDSHAKE;
  if (message != NULL && message->type == PEER_MESSAGE_ACK)
    *ack = *message;
  else if (message != NULL)
    on_message (self, channel, message);
}

void
peer_swarm_receive_messages (PeerSwarm *self, PeerChannel *channel, PeerReader *datagram)
{
  PeerMessage message, ack = {.type = PEER_MESSAGE_HANDSHAKE};
  PeerWireResult result = PEER_WIRE_MESSAGE;
  while (channel->state != PEER_CHANNEL_CLOSED &&
         (result = peer_wire_read (datagram, &self->format, &message)) == PEER_WIRE_MESSAGE) {
    if (message.type == PEER_MESSAGE_HANDSHAKE) {
      self->core->counters.out_of_state++; /* 3.1: it is the first of a datagram */
      break;
    }
    if (channel->state == PEER_CHANNEL_OPEN || is_light (&message))
      on_next_message (self, channel, &ack, &message);
  }
  on_next_message (self, channel, &ack, NULL);
  if (channel->learned && peer_held_count (&channel->held) > 0)
    peer_swarm_judge_held (self, channel);
  channel->learned = false;
  if (result == PEER_WIRE_UNKNOWN)
    peer_swarm_on_unknown (self, channel);
  if (result == PEER_WIRE_MALFORMED)
    peer_swarm_on_malformed (self, channel);
}

void
peer_swarm_receive (PeerSwarm *self, PeerChannel *channel, PeerReader *datagram)
{
  PeerMessage message;
  channel->last_received = self->core->now;
  channel->unanswered = 0;
  channel->look_at = self->core->now;
  if (datagram->left > 0 && datagram->data[0] == PEER_MESSAGE_HANDSHAKE) {
    if (peer_wire_read (datagram, &self->format, &message) != PEER_WIRE_MESSAGE) {
      peer_swarm_on_malformed (self, channel);
      return;
    }
    on_handshake (self, channel, &message);
  }
  if (channel->state == PEER_CHANNEL_INITIATING)
    return; /* 3.1.1, step 2: an answer begins with a HANDSHAKE */
  if (channel->state == PEER_CHANNEL_ANSWERING)
    peer_swarm_opened (self, channel); /* step 7: it echoes the ID that only its address got */
  peer_swarm_receive_messages (self, channel, datagram);
  if (channel->state == PEER_CHANNEL_OPEN)
    peer_swarm_sound_out (self, channel);
}

/* --- time --- */

static void
tick_channel (PeerSwarm *self, PeerChannel *channel, uint64_t urgent)
{
  PeerCore *core = self->core;
  int64_t keep_alive = self->live ? PEER_KEEP_ALIVE_LIVE : PEER_KEEP_ALIVE_STATIC;
  unsigned lost = peer_channel_find_lost (channel, core->now);
  core->counters.chunks_lost += lost;
  peer_uploads_lost (channel);
  peer_swarm_ask_again (self, channel, urgent);
  peer_swarm_expire_held (self, channel);
  if (channel->avoid_until > 0 && core->now >= channel->avoid_until) {
    channel->avoid_until = 0;
    self->pick = true;
  }
  if (self->sign_all)
    peer_swarm_sound_out (self, channel);
  if (channel->choking && !channel->upload.out && core->now >= channel->choked_until) {
    channel->choking = false;
    channel->choke_owed = channel->unchoked = true;
    peer_core_ready (core, channel);
  }
  if (core->now - channel->last_sent >= keep_alive) {
    channel->hello = true;
    peer_swarm_repeat_have (self, channel);
    channel->choke_owed |=
        channel->unchoked; /* who is choked may not ask, so nobody else repeats it */
  }
  if (lost > 0 || channel->hello || channel->ack_at <= core->now ||
      channel->announce_at <= core->now || channel->upload.at <= core->now)
    peer_core_ready (core, channel);
  if (channel->upload.at <= core->now)
    channel->upload.at = PEER_NEVER;
}

static void
measure_rates (PeerSwarm *self)
{
  int64_t passed = self->core->now - self->rate_at;
  if (passed < RATE_INTERVAL)
    return;
  double down = (double)(self->downloaded - self->rate_down_mark) * 1e6 / (double)passed;
  double up = (double)(self->uploaded - self->rate_up_mark) * 1e6 / (double)passed;
  self->rate_down = 0.5 * self->rate_down + 0.5 * down;
  self->rate_up = 0.5 * self->rate_up + 0.5 * up;
  self->rate_down_mark = self->downloaded;
  self->rate_up_mark = self->uploaded;
  self->rate_at = self->core->now;
}

/* Whatever is said or heard on a channel brings its timers forward; else they need no look. What
 * depends on the others and on what is urgent is looked at now and then. */
static int64_t
open_deadline (const PeerSwarm *self, const PeerChannel *channel)
{
  int64_t keep_alive = self->live ? PEER_KEEP_ALIVE_LIVE : PEER_KEEP_ALIVE_STATIC;
  int64_t next = peer_channel_next_deadline (channel, keep_alive);
  if (peer_channel_n_asks (channel) > 0)
    next = MIN (next, self->core->now + LOOK_INTERVAL);
  next = MIN (next, peer_swarm_held_deadline (channel));
  if (channel->avoid_until > 0)
    next = MIN (next, channel->avoid_until);
  next = MIN (next, channel->upload.at);
  return channel->choking && !channel->upload.out ? MIN (next, channel->choked_until) : next;
}

static int64_t
channel_deadline (PeerSwarm *self, PeerChannel *channel)
{
  switch (channel->state) {
  case PEER_CHANNEL_INITIATING:
    return channel->deadline;
  case PEER_CHANNEL_ANSWERING:
    return self->core->now + RATE_INTERVAL;
  case PEER_CHANNEL_OPEN:
    return channel->look_at;
  case PEER_CHANNEL_CLOSED:
    return PEER_NEVER;
  }
  return PEER_NEVER;
}

int64_t
peer_swarm_tick (PeerSwarm *self)
{
  PeerCore *core = self->core;
  int64_t next = core->now + RATE_INTERVAL;
  uint64_t urgent = peer_swarm_urgent_end (self);
  peer_swarm_reap (self);
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->state == PEER_CHANNEL_INITIATING && channel->deadline <= core->now)
      self->connect_at = core->now;
    if (channel->state == PEER_CHANNEL_OPEN && channel->look_at <= core->now) {
      tick_channel (self, channel, urgent);
      channel->look_at = open_deadline (self, channel);
    }
    next = MIN (next, channel_deadline (self, channel));
  }
  if (core->now >= self->connect_at)
    peer_swarm_connect (self);
  peer_swarm_reap (self);
  measure_rates (self);
  peer_uploads_tick (self);
  peer_swarm_tell_late (self);
  next = MIN (next, peer_swarm_announce_withheld (self));
  next = MIN (next, peer_swarm_tell_parts (self));
  next = MIN (next, peer_gossip_tick (self));
  if (self->pick && self->wants->len > 0) {
    if (core->now >= peer_swarm_next_pick (self)) {
      peer_swarm_pick (self);
    } else {
      next = MIN (next, peer_swarm_next_pick (self));
    }
  }
  return next;
}

/* --- what the house asks of us --- */

void
peer_swarm_want (PeerSwarm *self, const PeerWant *wants, size_t n)
{
  g_array_set_size (self->wants, 0);
  g_array_append_vals (self->wants, wants, (guint)MIN (n, MAX_WANTS));
  self->pick = true;
  peer_core_wake (self->core, MAX (self->core->now, peer_swarm_next_pick (self)));
}

size_t
peer_swarm_wanted (const PeerSwarm *self, PeerRange *out, size_t max)
{
  size_t n = 0;
  for (guint i = 0; i < self->wants->len && n < max; i++) {
    PeerRange window = g_array_index (self->wants, PeerWant, i).window;
    window.first = peer_chunks_gap (self->have, window).first;
    if (!peer_range_is_empty (window))
      out[n++] = window;
  }
  return n;
}

uint64_t
peer_swarm_append (PeerSwarm *self, const uint8_t *bytes, size_t n)
{
  uint64_t chunk = self->next_chunk++;
  peer_integrity_append (self->integrity, bytes, n);
  if (self->store->class->write (self->store, chunk, bytes, n) == PEER_STORE_OK)
    peer_chunks_add (self->open, (PeerRange){chunk, chunk + 1});
  else
    self->core->counters.store_failures++;
  return chunk;
}

bool
peer_swarm_sign (PeerSwarm *self, PeerKey *key)
{
  PeerCore *core = self->core;
  PeerMunro munro;
  uint64_t ntp = peer_ntp_from_us (core->now + core->wall_offset);
  if (!peer_integrity_sign (self->integrity, key, ntp) ||
      !peer_integrity_newest_munro (self->integrity, &munro))
    return false;
  /* 6.1.2.3: only now may the subtree be told of; and what the store failed to keep is not had (3.2) */
  self->open_first = munro.chunks.end;
  for (size_t i = 0; i < peer_chunks_n_runs (self->open); i++)
    peer_chunks_add (self->have, peer_chunks_run (self->open, i));
  peer_chunks_clear (self->open);
  peer_swarm_new_munro (self, munro.chunks, ntp);
  PeerRange run, rest = munro.chunks;
  for (; !peer_range_is_empty (run = peer_chunks_next (self->have, rest)); rest.first = run.end)
    peer_swarm_announce_first (self, run);
  return true;
}

bool
peer_swarm_end (PeerSwarm *self, PeerKey *key)
{
  uint64_t ntp = peer_ntp_from_us (self->core->now + self->core->wall_offset);
  if (!peer_integrity_sign_end (self->integrity, key, ntp))
    return false;
  peer_swarm_tell_end (self);
  return true;
}

/* --- what the house sees of us --- */

void
peer_swarm_stats (const PeerSwarm *self, PeerSwarmStats *out)
{
  *out = (PeerSwarmStats){
      .downloaded = self->downloaded,
      .uploaded = self->uploaded,
      .offered = self->offered,
      .download_rate = (uint64_t)self->rate_down,
      .upload_rate = (uint64_t)self->rate_up,
      .edge = self->edge,
      .n_chunks = peer_integrity_n_chunks (self->integrity),
      .length = self->content.length,
      .upload_limit = self->upload.rate,
      .download_limit = self->download.rate,
  };
  for (guint i = 0; i < self->channels->len; i++) {
    const PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->state != PEER_CHANNEL_OPEN || peer_swarm_is_silent (self, channel))
      continue;
    PeerRange all = self->live ? self->edge : (PeerRange){0, out->n_chunks};
    out->channels++;
    out->choked += channel->choking;
    out->seeders += !peer_range_is_empty (all) && peer_chunks_has_all (channel->have, all);
  }
}

const PeerContent *
peer_swarm_content (const PeerSwarm *self)
{
  return &self->content;
}

const PeerChunks *
peer_swarm_chunks (const PeerSwarm *self)
{
  return self->have;
}

PeerStore *
peer_swarm_store (PeerSwarm *self)
{
  return self->store;
}

const PeerIntegrity *
peer_swarm_integrity (const PeerSwarm *self)
{
  return self->integrity;
}
