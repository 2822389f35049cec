/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a swarm talks with: addresses that trackers and links named are tried, those that answer
 * become channels, those that fall silent are tried again beside the old channel (a source that was
 * started anew does not know our channel, and by 3.1.1 says nothing to it). Others may connect to
 * us, within limits that leave our own connections their slots (12.6.1, HS.1). */
#include "peer/peers.h"
#include <string.h>

#define MAX_CANDIDATES 256
#define MAX_INITIATING 8       /* first datagrams that wait for an answer */
#define MAX_UNPROVEN 128       /* answers that wait for a third datagram (12.1.2) */
#define MAX_PER_IP 32          /* inbound channels of one public address */
#define MAX_PER_PRIVATE_IP 256 /* NAT and loopback */
#define MAX_BANNED 1024
#define BAN_TIME 600000000 /* us */
#define FIRST_RETRY 250000 /* us; doubles up to MAX_RETRY */
#define MAX_RETRY 1000000
#define MAX_TRIES 6
#define UNPROVEN_TIME 3000000 /* us that an answer waits for the third datagram */
#define SILENT_LIVE 1500000   /* us; three keep-alives are missing */
#define SPOKE_TIME 500000     /* us from the handshake to the last that was heard */
#define MAX_QUIET 6           /* doublings: 96 s */
#define SILENT_STATIC 5000000
#define RETRY_OPEN 1000000 /* us between tries at a peer of ours that fell silent */
#define RETRY_BASE 2000000 /* us; doubles up to RETRY_MAX for others */
#define RETRY_MAX 120000000
#define MIN_PEERS 4           /* below this more are asked for */
#define NEED_INTERVAL 3000000 /* us */

static PeerCandidate *
find_candidate (PeerSwarm *self, const PeerAddress *address)
{
  for (guint i = 0; i < self->candidates->len; i++) {
    PeerCandidate *candidate = &g_array_index (self->candidates, PeerCandidate, i);
    if (peer_address_equal (&candidate->address, address))
      return candidate;
  }
  return NULL;
}

/* The one that failed most often makes room, unless none failed. */
static bool
make_room (PeerSwarm *self)
{
  guint worst = 0;
  for (guint i = 1; i < self->candidates->len; i++)
    if (g_array_index (self->candidates, PeerCandidate, i).failures >
        g_array_index (self->candidates, PeerCandidate, worst).failures)
      worst = i;
  if (g_array_index (self->candidates, PeerCandidate, worst).failures == 0)
    return false;
  g_array_remove_index_fast (self->candidates, worst);
  return true;
}

void
peer_swarm_add_peer (PeerSwarm *self, const PeerAddress *address)
{
  if (!peer_address_is_usable (address) || find_candidate (self, address) != NULL)
    return;
  if (self->candidates->len >= MAX_CANDIDATES && !make_room (self))
    return;
  PeerCandidate candidate = {.address = *address};
  g_array_append_val (self->candidates, candidate);
  peer_core_wake (self->core, self->core->now);
}

static bool
is_banned (PeerSwarm *self, const PeerAddress *address)
{
  int64_t *until = g_hash_table_lookup (self->banned, address);
  if (until == NULL)
    return false;
  if (*until > self->core->now)
    return true;
  g_hash_table_remove (self->banned, address);
  return false;
}

static gboolean
is_over (gpointer key, gpointer until, gpointer now)
{
  return *(int64_t *)until <= *(int64_t *)now;
}

void
peer_swarm_ban (PeerSwarm *self, PeerChannel *channel)
{
  if (g_hash_table_size (self->banned) >= MAX_BANNED)
    g_hash_table_foreach_remove (self->banned, is_over, &self->core->now);
  if (g_hash_table_size (self->banned) < MAX_BANNED) {
    int64_t until = self->core->now + BAN_TIME;
    g_hash_table_insert (self->banned, g_memdup2 (&channel->address, sizeof channel->address),
                         g_memdup2 (&until, sizeof until));
  }
  PeerEvent event = {.type = PEER_EVENT_BAD_PEER, .swarm = self, .address = channel->address};
  peer_event_queue_push (self->core->events, &event);
  peer_swarm_close (self, channel, false);
}

/* --- handshake --- */

/* 7.9: in bytes where ranges are; all ones says that nothing is discarded. */
static uint64_t
window_on_the_wire (const PeerSwarm *self)
{
  uint64_t unit =
      self->content.addressing == PEER_ADDRESSING_BYTES64 ? self->content.chunk_size : 1;
  if (self->discard_window == UINT64_MAX)
    return UINT64_MAX;
  return MIN (self->discard_window, (UINT64_MAX - 1) / unit) * unit;
}

void
peer_swarm_options (const PeerSwarm *self, bool initiator, PeerOptions *out)
{
  const PeerContent *content = &self->content;
  *out = (PeerOptions){
      .has_version = true,
      .version = 1,
      .has_minimum_version = initiator,
      .minimum_version = 1,
      /* the responder may leave it out (7.4); its answer then stays below what it answers */
      .has_swarm_id = initiator,
      .swarm_id = {content->swarm_id, content->swarm_id_size},
      .has_method = true,
      .method = content->method,
      /* 7.6 asks for it in static swarms only; a live tree has one as well, so it is always said */
      .has_hash = content->method != PEER_METHOD_NONE && content->method != PEER_METHOD_SIGN_ALL,
      .hash = content->hash,
      .has_signature = self->live,
      .signature = content->signature,
      .has_addressing = true,
      .addressing = content->addressing,
      .has_discard_window = self->live,
      .discard_window = window_on_the_wire (self),
      .has_supported = true,
      .has_chunk_size = true,
      .chunk_size = content->chunk_size,
  };
  static const PeerMessageType supported[] = {
      PEER_MESSAGE_HANDSHAKE, PEER_MESSAGE_DATA,
      PEER_MESSAGE_ACK,       PEER_MESSAGE_HAVE,
      PEER_MESSAGE_INTEGRITY, PEER_MESSAGE_REQUEST,
      PEER_MESSAGE_CANCEL,    PEER_MESSAGE_CHOKE,
      PEER_MESSAGE_UNCHOKE,   PEER_MESSAGE_SIGNED_INTEGRITY};
  for (size_t i = 0; i < G_N_ELEMENTS (supported); i++)
    out->supported[supported[i] / 8] |= 0x80 >> supported[i] % 8;
}

/* Does the peer mean the same swarm? (3.1.1, steps 2 and 4) */
static bool
options_fit (const PeerSwarm *self, const PeerOptions *options)
{
  const PeerContent *content = &self->content;
  bool tree =
      content->method == PEER_METHOD_MERKLE || content->method == PEER_METHOD_UNIFIED_MERKLE;
  uint8_t hash = options->has_hash ? options->hash : PEER_HASH_SHA256;
  if (!options->has_version || options->version < 1)
    return false;
  if (options->has_minimum_version && options->minimum_version > 1)
    return false;
  if (!options->has_method || options->method != content->method)
    return false;
  if (content->method == PEER_METHOD_MERKLE && !options->has_hash)
    return false;
  if (tree && hash != content->hash)
    return false;
  if (self->live && (!options->has_signature || options->signature != content->signature ||
                     !options->has_discard_window))
    return false;
  if (!options->has_addressing || options->addressing != content->addressing)
    return false;
  if (options->has_swarm_id &&
      (options->swarm_id.left != content->swarm_id_size ||
       memcmp (options->swarm_id.data, content->swarm_id, content->swarm_id_size) != 0))
    return false;
  return options->has_chunk_size && options->chunk_size == content->chunk_size;
}

static void
take_options (PeerChannel *channel, const PeerOptions *options)
{
  if (options->has_supported)
    memcpy (channel->supported, options->supported, sizeof channel->supported);
  if (!options->has_discard_window)
    return;
  channel->window = options->discard_window;
  uint32_t chunk_size = channel->swarm->content.chunk_size;
  if (channel->swarm->content.addressing == PEER_ADDRESSING_BYTES64 &&
      channel->window != UINT64_MAX)
    channel->window /= chunk_size;
}

static PeerChannel *
add_channel (PeerSwarm *self, const PeerAddress *address)
{
  PeerCore *core = self->core;
  PeerChannel *channel =
      peer_channel_new (self, address, peer_core_new_channel_id (core), core->now);
  g_hash_table_insert (core->channels, GUINT_TO_POINTER (channel->local), channel);
  g_ptr_array_add (self->channels, channel);
  return channel;
}

/* Limits on what others can make us keep (12.1.2, 12.6.1). */
static bool
has_room_for (PeerSwarm *self, const PeerAddress *from)
{
  PeerCore *core = self->core;
  unsigned same_ip = 0, inbound = 0;
  if (is_banned (self, from) ||
      g_hash_table_size (core->channels) + self->max_peers / 2 >= core->max_channels)
    return false;
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    same_ip += memcmp (channel->address.ip, from->ip, sizeof from->ip) == 0;
    inbound += !channel->initiator && channel->state == PEER_CHANNEL_OPEN;
  }
  unsigned limit = peer_address_is_private (from) ? MAX_PER_PRIVATE_IP : MAX_PER_IP;
  return same_ip < limit && inbound < 4 * self->max_peers;
}

/* First datagrams can be spoofed for nothing: the oldest that nobody took up makes room, so that they
 * shut nobody out (12.1.2). */
static void
drop_oldest_unproven (PeerSwarm *self)
{
  PeerChannel *oldest = NULL;
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->state == PEER_CHANNEL_ANSWERING &&
        (oldest == NULL || channel->created < oldest->created))
      oldest = channel;
  }
  if (oldest == NULL)
    return;
  self->core->counters.handshakes_limited++;
  peer_swarm_close (self, oldest, false);
  peer_swarm_reap (self);
}

PeerChannel *
peer_swarm_accept (PeerSwarm *self, const PeerAddress *from, uint32_t remote,
                   const PeerOptions *options, size_t datagram_size)
{
  PeerCore *core = self->core;
  if (remote == 0 || !options->has_minimum_version || !options->has_swarm_id ||
      !options_fit (self, options)) {
    core->counters.handshakes_refused++;
    return NULL;
  }
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->initiator && channel->local == remote)
      return NULL; /* our own voice: a tracker has named us to ourselves */
    if (!channel->initiator && channel->remote == remote &&
        peer_address_equal (&channel->address, from)) {
      /* a duplicate (8.2): our answer was lost, unless the channel is open already */
      if (channel->state == PEER_CHANNEL_ANSWERING) {
        channel->hello = true;
        channel->unproven_budget += datagram_size;
        peer_core_ready (core, channel);
      }
      return NULL;
    }
  }
  if (core->n_unproven >= MAX_UNPROVEN)
    drop_oldest_unproven (self);
  if (core->n_unproven >= MAX_UNPROVEN || !has_room_for (self, from)) {
    core->counters.handshakes_limited++;
    return NULL;
  }
  PeerChannel *channel = add_channel (self, from);
  channel->state = PEER_CHANNEL_ANSWERING;
  channel->remote = remote;
  channel->hello = true;
  channel->unproven_budget = datagram_size;
  take_options (channel, options);
  core->n_unproven++;
  peer_core_ready (core, channel);
  peer_core_wake (core, core->now + UNPROVEN_TIME);
  return channel;
}

bool
peer_swarm_accepted (PeerSwarm *self, PeerChannel *channel, uint32_t remote,
                     const PeerOptions *options)
{
  if (remote == 0 || !options_fit (self, options)) {
    self->core->counters.handshakes_refused++;
    channel->misfit = true;
    peer_swarm_failed (self, channel);
    return false;
  }
  channel->remote = remote;
  take_options (channel, options);
  peer_swarm_opened (self, channel);
  return true;
}

/* Two channels with one peer: if one is dead the new one takes its place; if both live (each began
 * at the same time) the one with the lowest ID stays, which both ends see alike. */
static bool
displaces (const PeerSwarm *self, const PeerChannel *other, const PeerChannel *fresh)
{
  if (peer_swarm_is_silent (self, other) || other->initiator == fresh->initiator)
    return true;
  return MIN (fresh->local, fresh->remote) < MIN (other->local, other->remote);
}

void
peer_swarm_opened (PeerSwarm *self, PeerChannel *channel)
{
  PeerCore *core = self->core;
  if (channel->state == PEER_CHANNEL_ANSWERING)
    core->n_unproven--;
  peer_channel_open (channel, core->now, self->live);
  core->counters.channels_opened++;

  PeerCandidate *candidate = find_candidate (self, &channel->address);
  if (candidate != NULL) {
    candidate->was_open = true;
    candidate->failures = 0;
  }
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *other = g_ptr_array_index (self->channels, i);
    if (other == channel || other->state != PEER_CHANNEL_OPEN ||
        !peer_address_equal (&other->address, &channel->address))
      continue;
    /* who has said nothing since its handshake, and answers a new one at once, seldom speaks; who
     * spoke and fell silent was started anew */
    if (peer_swarm_is_silent (self, other) && other->last_received - other->opened < SPOKE_TIME)
      channel->quiet = MIN (other->quiet + 1, MAX_QUIET);
    peer_swarm_close (self, displaces (self, other, channel) ? other : channel, true);
    if (channel->state == PEER_CHANNEL_CLOSED)
      return;
  }
  for (size_t i = 0; i < peer_chunks_n_runs (self->have); i++)
    peer_chunks_add (channel->announce, peer_chunks_run (self->have, i));
  channel->announce_at = core->now;
  channel->hello = true; /* 12.1.2: the third datagram goes at once */
  self->pick = true;
  peer_core_ready (core, channel);
  peer_core_wake (core, core->now);
}

void
peer_swarm_close (PeerSwarm *self, PeerChannel *channel, bool say_goodbye)
{
  PeerCore *core = self->core;
  if (channel->state == PEER_CHANNEL_CLOSED)
    return;
  if (channel->state == PEER_CHANNEL_ANSWERING)
    core->n_unproven--;
  if (say_goodbye && channel->state == PEER_CHANNEL_OPEN) {
    PeerGoodbye goodbye = {channel->address, channel->remote};
    g_array_append_val (core->goodbyes, goodbye);
  }
  if (channel->state == PEER_CHANNEL_OPEN)
    core->counters.channels_closed++;
  channel->state = PEER_CHANNEL_CLOSED;
  for (guint i = channel->asks_first; i < channel->asks->len; i++) {
    uint64_t chunk = g_array_index (channel->asks, PeerAsk, i).chunk;
    peer_chunks_remove (self->requested, (PeerRange){chunk, chunk + 1});
  }
  peer_channel_forget_asks (channel);
  self->pick = true;
  self->reap = true;
  peer_core_wake (core, core->now);
}

void
peer_swarm_reap (PeerSwarm *self)
{
  if (!self->reap)
    return;
  self->reap = false;
  for (guint i = self->channels->len; i-- > 0;) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->state != PEER_CHANNEL_CLOSED)
      continue;
    peer_core_forget (self->core, channel);
    g_ptr_array_remove_index_fast (self->channels, i);
  }
}

/* --- connecting --- */

bool
peer_swarm_is_silent (const PeerSwarm *self, const PeerChannel *channel)
{
  int64_t quiet = self->core->now - channel->last_received;
  if (self->live)
    return quiet > SILENT_LIVE << channel->quiet && channel->unanswered >= 3;
  return quiet > SILENT_STATIC && channel->misses > 0;
}

static bool
is_connected (const PeerSwarm *self, const PeerAddress *address)
{
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->state != PEER_CHANNEL_CLOSED && peer_address_equal (&channel->address, address) &&
        !(channel->state == PEER_CHANNEL_OPEN && peer_swarm_is_silent (self, channel)))
      return true;
  }
  return false;
}

static void
initiate (PeerSwarm *self, PeerCandidate *candidate)
{
  PeerChannel *channel = add_channel (self, &candidate->address);
  channel->state = PEER_CHANNEL_INITIATING;
  channel->initiator = true;
  channel->hello = true;
  channel->tries = 1;
  channel->deadline = self->core->now + FIRST_RETRY;
  peer_core_ready (self->core, channel);
}

void
peer_swarm_failed (PeerSwarm *self, PeerChannel *channel)
{
  PeerCandidate *candidate = find_candidate (self, &channel->address);
  if (candidate != NULL) {
    int64_t wait = candidate->was_open
                       ? RETRY_OPEN
                       : MIN (RETRY_BASE << MIN (candidate->failures, 6), RETRY_MAX);
    if (channel->misfit)
      wait = RETRY_MAX;
    candidate->failures++;
    /* one of ours that is gone for some minutes is like any other */
    if (candidate->failures > 100)
      candidate->was_open = false;
    candidate->next_try = self->core->now + wait;
  }
  peer_swarm_close (self, channel, false);
}

/* First datagrams again, answers that nobody takes up, peers that are dead (3.12). */
static void
check_channels (PeerSwarm *self, unsigned *n_open, unsigned *n_initiating)
{
  PeerCore *core = self->core;
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->state == PEER_CHANNEL_INITIATING) {
      ++*n_initiating;
      if (core->now < channel->deadline)
        continue;
      if (channel->tries++ >= MAX_TRIES) {
        peer_swarm_failed (self, channel);
        continue;
      }
      channel->deadline = core->now + MIN (FIRST_RETRY << (channel->tries - 1), MAX_RETRY);
      channel->hello = true;
      peer_core_ready (core, channel);
    } else if (channel->state == PEER_CHANNEL_ANSWERING) {
      if (core->now >= channel->created + UNPROVEN_TIME)
        peer_swarm_close (self, channel, false);
    } else if (channel->state == PEER_CHANNEL_OPEN) {
      *n_open += !channel->choked && !peer_swarm_is_silent (self, channel);
      if (core->now - channel->last_received >= 180000000 && channel->unanswered >= 3) {
        core->counters.channels_dead++;
        peer_swarm_close (self, channel, false);
      }
    }
  }
}

void
peer_swarm_connect (PeerSwarm *self)
{
  PeerCore *core = self->core;
  unsigned n_open = 0, n_initiating = 0;
  check_channels (self, &n_open, &n_initiating);

  for (guint i = 0; i < self->candidates->len; i++) {
    PeerCandidate *candidate = &g_array_index (self->candidates, PeerCandidate, i);
    if (n_initiating >= MAX_INITIATING || n_open + n_initiating >= self->max_peers ||
        g_hash_table_size (core->channels) >= core->max_channels)
      break;
    if (candidate->next_try > core->now || is_banned (self, &candidate->address) ||
        is_connected (self, &candidate->address))
      continue;
    initiate (self, candidate);
    n_initiating++;
  }
  if (!self->source && n_open < MIN (MIN_PEERS, self->max_peers) && core->now >= self->need_at) {
    PeerEvent event = {.type = PEER_EVENT_NEED_PEERS, .swarm = self};
    peer_event_queue_push (core->events, &event);
    self->need_at = core->now + NEED_INTERVAL;
  }
}
