/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a swarm talks with: addresses that trackers and links named are tried, those that answer
 * become channels, those that fall silent are tried again beside the old channel (a source that was
 * started anew does not know our channel, and by 3.1.1 says nothing to it). Others may connect to
 * us, within limits that leave our own connections their slots (12.6.1, HS.1). */
#include "peer/peers.h"
#include "peer/exchange.h"
#include <string.h>

#define MAX_CANDIDATES 256
#define MAX_INITIATING 8       /* first datagrams that wait for an answer */
#define MAX_UNPROVEN 128       /* answers that wait for a third datagram (12.1.2) */
#define MAX_PER_PRIVATE_IP 256 /* inbound channels of one private address: NAT and loopback */
#define OUTBOUND 8             /* channels that we open, however many others open to us (12.6.1) */
#define MAX_HEARSAY 64         /* addresses that other peers named */
#define HEARSAY_TRIES 3        /* first datagrams to one of them */
#define HEARSAY_PATIENCE 5     /* tries at one of them that was a peer of ours */
#define HEARSAY_PER_SECOND 1.0 /* of them that are tried: an answer is not a burst (12.2.1) */
#define HEARSAY_AT_ONCE 2
#define HEARSAY_SILENT 3600000000 /* us until an address where nobody answered is believed again */
#define MAX_SILENT 1024
#define MAX_BANNED 1024
#define MAX_UNKNOWN 16 /* datagrams with messages of unknown types */
#define MAX_STRIKES 4096
#define BAN_DOUBLINGS 7              /* a day */
#define BAN_TIME INT64_C (600000000) /* us */
#define FIRST_RETRY 250000           /* us; doubles up to MAX_RETRY */
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
#define CROWD 24               /* peers of a live source */
#define MIN_PEERS 4            /* below this more are asked for */
#define NEED_INTERVAL 3000000  /* us */
#define CONNECT_INTERVAL 50000 /* us between two looks at whom to connect with */

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

static void
remove_candidate (PeerSwarm *self, guint index)
{
  PeerCandidate *candidate = &g_array_index (self->candidates, PeerCandidate, index);
  g_clear_pointer (&candidate->certificate, g_bytes_unref);
  g_array_remove_index_fast (self->candidates, index);
}

void
peer_swarm_forget_candidates (PeerSwarm *self)
{
  while (self->candidates->len > 0)
    remove_candidate (self, self->candidates->len - 1);
  g_array_unref (self->candidates);
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
  remove_candidate (self, worst);
  return true;
}

/* NULL = there is no room. */
static PeerCandidate *
add_candidate (PeerSwarm *self, const PeerAddress *address, bool hearsay)
{
  if (self->candidates->len >= MAX_CANDIDATES && !make_room (self))
    return NULL;
  PeerCandidate candidate = {.address = *address, .hearsay = hearsay};
  g_array_append_val (self->candidates, candidate);
  self->connect_at = self->core->now;
  peer_core_wake (self->core, self->core->now);
  return &g_array_index (self->candidates, PeerCandidate, self->candidates->len - 1);
}

void
peer_swarm_add_peer (PeerSwarm *self, const PeerAddress *address)
{
  PeerCandidate *candidate = find_candidate (self, address);
  if (candidate != NULL)
    candidate->hearsay = false; /* now the tracker says it, too */
  else if (peer_address_is_usable (address))
    add_candidate (self, address, false);
}

/* --- hearsay (12.2) --- */

static void
certify (PeerCandidate *candidate, GBytes *certificate, int64_t end)
{
  if (certificate == NULL || (candidate->certificate != NULL && candidate->certificate_end >= end))
    return;
  g_clear_pointer (&candidate->certificate, g_bytes_unref);
  candidate->certificate = g_bytes_ref (certificate);
  candidate->certificate_end = end;
}

void
peer_swarm_certify_peer (PeerSwarm *self, const PeerAddress *address, GBytes *certificate,
                         int64_t certificate_end)
{
  peer_swarm_add_peer (self, address);
  PeerCandidate *candidate = find_candidate (self, address);
  if (candidate != NULL)
    certify (candidate, certificate, certificate_end);
}

static gboolean
is_over (gpointer key, gpointer until, gpointer now)
{
  return *(int64_t *)until <= *(int64_t *)now;
}

/* A table of addresses that are left alone until a time: a full one forgets those whose time is
 * over. */
static bool
is_full (PeerSwarm *self, GHashTable *table, guint max)
{
  if (g_hash_table_size (table) >= max)
    g_hash_table_foreach_remove (table, is_over, &self->core->now);
  return g_hash_table_size (table) >= max;
}

/* false = it is full of others. */
static bool
leave_alone (PeerSwarm *self, GHashTable *table, const PeerAddress *address, guint max,
             int64_t until)
{
  if (is_full (self, table, max))
    return false;
  g_hash_table_insert (table, g_memdup2 (address, sizeof *address),
                       g_memdup2 (&until, sizeof until));
  return true;
}

static bool
is_left_alone (PeerSwarm *self, GHashTable *table, const PeerAddress *address)
{
  int64_t *until = g_hash_table_lookup (table, address);
  if (until == NULL)
    return false;
  if (*until > self->core->now)
    return true;
  g_hash_table_remove (table, address);
  return false;
}

/* An address that does not answer, or is waited for, stands for all that could be made up beside it:
 * whoever is named by liars hears three datagrams of each of us, and no more. */
static bool
may_be_tried (PeerSwarm *self, const PeerAddress *address)
{
  PeerAddress source = peer_exchange_source (address);
  unsigned n = 0;
  for (guint i = 0; i < self->candidates->len; i++) {
    const PeerCandidate *other = &g_array_index (self->candidates, PeerCandidate, i);
    if (!other->hearsay)
      continue;
    PeerAddress same = peer_exchange_source (&other->address);
    if (!other->was_open && peer_address_equal (&same, &source))
      return false;
    n++;
  }
  return n < MAX_HEARSAY && !is_full (self, self->gossip.silent, MAX_SILENT) &&
         !is_left_alone (self, self->gossip.silent, &source);
}

void
peer_swarm_add_hearsay (PeerSwarm *self, const PeerAddress *address, GBytes *certificate,
                        int64_t certificate_end)
{
  PeerCandidate *candidate = find_candidate (self, address);
  if (candidate == NULL && may_be_tried (self, address))
    candidate = add_candidate (self, address, true);
  if (candidate != NULL)
    certify (candidate, certificate, certificate_end);
}

/* It was named by a peer and does not answer. */
static void
forget_hearsay (PeerSwarm *self, PeerCandidate *candidate)
{
  PeerAddress source = peer_exchange_source (&candidate->address);
  if (!candidate->was_open)
    leave_alone (self, self->gossip.silent, &source, MAX_SILENT, self->core->now + HEARSAY_SILENT);
  remove_candidate (self, (guint)(candidate - (PeerCandidate *)(void *)self->candidates->data));
}

bool
peer_swarm_has_untried (const PeerSwarm *self)
{
  for (guint i = 0; i < self->candidates->len; i++) {
    const PeerCandidate *candidate = &g_array_index (self->candidates, PeerCandidate, i);
    if (candidate->failures == 0 && !candidate->was_open)
      return true;
  }
  return false;
}

static bool
is_banned (PeerSwarm *self, const PeerAddress *address)
{
  return is_left_alone (self, self->banned, address);
}

/* Twice as long each time, for as long as we remember the time before. */
static int64_t
ban_time (PeerSwarm *self, const PeerAddress *address)
{
  unsigned *strikes = g_hash_table_lookup (self->strikes, address);
  if (strikes != NULL) {
    *strikes = MIN (*strikes + 1, BAN_DOUBLINGS);
    return BAN_TIME << *strikes;
  }
  if (g_hash_table_size (self->strikes) >= MAX_STRIKES)
    g_hash_table_remove_all (self->strikes);
  g_hash_table_insert (self->strikes, g_memdup2 (address, sizeof *address), g_new0 (unsigned, 1));
  return BAN_TIME;
}

void
peer_swarm_ban (PeerSwarm *self, PeerChannel *channel)
{
  leave_alone (self, self->banned, &channel->address, MAX_BANNED,
               self->core->now + ban_time (self, &channel->address));
  PeerEvent event = {.type = PEER_EVENT_BAD_PEER, .swarm = self, .address = channel->address};
  peer_event_queue_push (self->core->events, &event);
  peer_swarm_close (self, channel, true); /* 3.1.1, step 8 */
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
peer_swarm_options (const PeerSwarm *self, const PeerAddress *to, bool initiator, PeerOptions *out)
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
      .has_hash = content->method != PEER_METHOD_SIGN_ALL,
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
  static const PeerMessageType supported[] = {PEER_MESSAGE_HANDSHAKE, PEER_MESSAGE_DATA,
                                              PEER_MESSAGE_ACK,       PEER_MESSAGE_HAVE,
                                              PEER_MESSAGE_INTEGRITY, PEER_MESSAGE_REQUEST,
                                              PEER_MESSAGE_CANCEL,    PEER_MESSAGE_CHOKE,
                                              PEER_MESSAGE_UNCHOKE,   PEER_MESSAGE_SIGNED_INTEGRITY,
                                              PEER_MESSAGE_STATUS};
  for (size_t i = 0; i < G_N_ELEMENTS (supported); i++)
    out->supported[supported[i] / 8] |= 0x80 >> supported[i] % 8;
  peer_exchange_supported (&self->gossip, self->source, to, out->supported);
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
  const PeerStatus *status = &channel->swarm->core->status;
  channel->takes_status =
      options->has_supported && peer_options_supports (options, PEER_MESSAGE_STATUS);
  channel->status_owed =
      channel->takes_status && (status->access_link > 0 || status->power > 0 || status->load > 0);
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
  if (self->live)
    channel->given = peer_chunks_new (0);
  g_hash_table_insert (core->channels, GUINT_TO_POINTER (channel->local), channel);
  g_ptr_array_add (self->channels, channel);
  return channel;
}

/* Limits on what others can make us keep (12.1.2, 12.6.1). */
static bool
has_room_for (PeerSwarm *self, const PeerAddress *from)
{
  PeerCore *core = self->core;
  PeerAddress who = peer_exchange_source (from);
  unsigned same = 0, inbound = 0;
  if (is_banned (self, from) ||
      g_hash_table_size (core->channels) + self->max_peers / 2 >= core->max_channels)
    return false;
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    PeerAddress other = peer_exchange_source (&channel->address);
    same += memcmp (other.ip, who.ip, sizeof who.ip) == 0;
    inbound += !channel->initiator && channel->state == PEER_CHANNEL_OPEN;
  }
  unsigned limit = peer_address_is_private (from) ? MAX (MAX_PER_PRIVATE_IP, core->max_per_ip)
                                                  : core->max_per_ip;
  return same < limit && inbound < 4 * self->max_peers;
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

void
peer_swarm_accepted (PeerSwarm *self, PeerChannel *channel, uint32_t remote,
                     const PeerOptions *options)
{
  if (remote == 0 || !options_fit (self, options)) {
    self->core->counters.handshakes_refused++;
    channel->misfit = true;
    peer_swarm_failed (self, channel);
    return;
  }
  channel->remote = remote;
  take_options (channel, options);
  peer_swarm_opened (self, channel);
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

bool
peer_swarm_is_crowded (const PeerSwarm *self)
{
  return self->source && self->live && self->channels->len > CROWD;
}

void
peer_swarm_opened (PeerSwarm *self, PeerChannel *channel)
{
  PeerCore *core = self->core;
  if (channel->state == PEER_CHANNEL_ANSWERING)
    core->n_unproven--;
  peer_channel_open (channel, core->now, self->live);
  if (self->sign_all)
    channel->signatures = peer_signatures_new ();
  channel->ledbat.options.loss_tolerance = core->loss_tolerance;
  core->counters.channels_opened++;

  PeerCandidate *candidate = find_candidate (self, &channel->address);
  if (candidate != NULL) {
    candidate->was_open = true;
    candidate->failures = 0;
    peer_exchange_keep (&channel->exchange, candidate->certificate, candidate->certificate_end);
  }
  peer_exchange_open (&channel->exchange, core->now, self->gossip.certificate != NULL);
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
  for (size_t i = 0; i < peer_chunks_n_runs (self->have) && !peer_swarm_is_crowded (self); i++)
    peer_chunks_add (channel->announce, peer_chunks_run (self->have, i));
  channel->announce_at = core->now;
  channel->hello = true; /* 12.1.2: the third datagram goes at once */
  self->pick = true;
  self->connect_at = core->now;
  peer_core_ready (core, channel);
  peer_core_wake (core, core->now);
}

void
peer_swarm_give_up (PeerSwarm *self, PeerChunks *chunks)
{
  for (guint i = 0; i < self->channels->len && !peer_chunks_is_empty (chunks); i++) {
    const PeerChannel *channel = g_ptr_array_index (self->channels, i);
    for (guint j = channel->asks_first; j < channel->asks->len; j++) {
      uint64_t chunk = g_array_index (channel->asks, PeerAsk, j).chunk;
      peer_chunks_remove (chunks, (PeerRange){chunk, chunk + 1});
    }
  }
  for (size_t i = 0; i < peer_chunks_n_runs (chunks); i++)
    peer_chunks_remove (self->requested, peer_chunks_run (chunks, i));
}

void
peer_swarm_forget_asks (PeerSwarm *self, PeerChannel *channel)
{
  g_autoptr (PeerChunks) asked = peer_chunks_new (0);
  for (guint i = channel->asks_first; i < channel->asks->len; i++) {
    uint64_t chunk = g_array_index (channel->asks, PeerAsk, i).chunk;
    peer_chunks_add (asked, (PeerRange){chunk, chunk + 1});
  }
  peer_channel_forget_asks (channel);
  peer_swarm_give_up (self, asked);
}

/* What came and waited for its hashes goes with the channel, and must be asked of another. */
static void
give_up_held (PeerSwarm *self, const PeerChannel *channel)
{
  g_autoptr (PeerChunks) held = peer_chunks_new (0);
  for (guint i = 0; i < peer_held_count (&channel->held); i++) {
    uint64_t chunk = peer_held_get (&channel->held, i)->chunk;
    peer_chunks_add (held, (PeerRange){chunk, chunk + 1});
  }
  peer_swarm_give_up (self, held);
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
  peer_swarm_forget_asks (self, channel);
  give_up_held (self, channel);
  self->pick = true;
  self->reap = true;
  self->connect_at = core->now;
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
  channel->hearsay = candidate->hearsay;
  channel->hello = true;
  channel->tries = 1;
  channel->deadline = self->core->now + FIRST_RETRY;
  peer_core_ready (self->core, channel);
  peer_core_wake (self->core, channel->deadline);
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
    if (candidate->hearsay && (!candidate->was_open || candidate->failures > HEARSAY_PATIENCE))
      forget_hearsay (self, candidate);
  }
  peer_swarm_close (self, channel, false);
}

/* --- nonsense (section 3) --- */

void
peer_swarm_on_malformed (PeerSwarm *self, PeerChannel *channel)
{
  self->core->counters.malformed++;
  if (channel->state == PEER_CHANNEL_OPEN)
    peer_swarm_ban (self, channel);
  else if (channel->state == PEER_CHANNEL_ANSWERING)
    peer_swarm_close (self, channel, false);
}

void
peer_swarm_on_unknown (PeerSwarm *self, PeerChannel *channel)
{
  self->core->counters.messages_unknown++;
  if (++channel->unknown < MAX_UNKNOWN || channel->state != PEER_CHANNEL_OPEN)
    return;
  peer_swarm_close (self, channel, true); /* 3.1.1, step 8 */
  peer_swarm_failed (self, channel);
}

/* --- who is connected with --- */

/* How many channels there are, of each kind. */
typedef struct {
  unsigned open;       /* and of use */
  unsigned outbound;   /* of them, or about to be: those that we began */
  unsigned hearsay;    /* of outbound: named by other peers */
  unsigned initiating; /* of outbound: not answered yet */
} Slots;

/* First datagrams again, answers that nobody takes up, peers that are dead (3.12). */
static void
check_channels (PeerSwarm *self, Slots *slots)
{
  PeerCore *core = self->core;
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->state == PEER_CHANNEL_INITIATING) {
      slots->initiating++;
      slots->outbound++;
      slots->hearsay += channel->hearsay;
      if (core->now < channel->deadline)
        continue;
      if (channel->tries++ >= (channel->hearsay ? HEARSAY_TRIES : MAX_TRIES)) {
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
      bool of_use = !channel->choked && !peer_swarm_is_silent (self, channel);
      slots->open += of_use;
      slots->outbound += of_use && channel->initiator;
      slots->hearsay += of_use && channel->hearsay;
      if (core->now - channel->last_received >= core->dead_time && channel->unanswered >= 3) {
        core->counters.channels_dead++;
        peer_swarm_close (self, channel, false);
      }
    }
  }
}

/* Half of our slots at least are for peers that the tracker, or the link, has named (3.10.1, 12.2.3);
 * the others are not tried all at once. */
static bool
may_follow_hearsay (PeerSwarm *self, const Slots *slots)
{
  return slots->hearsay < self->max_peers / 2 &&
         slots->open + slots->initiating < self->max_peers &&
         peer_core_take (&self->gossip.contacts, &self->gossip.contacts_at, self->core->now,
                         HEARSAY_PER_SECOND, HEARSAY_AT_ONCE, 1);
}

/* Neither others who connect to us, nor those whom they name, take the slots of those whom the
 * tracker names (12.2.3, E2). */
static bool
has_slot (const PeerSwarm *self, const Slots *slots)
{
  const PeerCore *core = self->core;
  bool wanted = slots->open + slots->initiating < self->max_peers ||
                slots->outbound - slots->hearsay < MIN (OUTBOUND, self->max_peers);
  return wanted && slots->initiating < MAX_INITIATING &&
         g_hash_table_size (core->channels) < core->max_channels;
}

/* Too few, or none of those whom the tracker named: then it is asked for more. */
static bool
needs_peers (const PeerSwarm *self, const Slots *slots)
{
  if (self->source)
    return false;
  return slots->open < MIN (MIN_PEERS, self->max_peers) ||
         (slots->hearsay > 0 && slots->hearsay == slots->outbound);
}

void
peer_swarm_connect (PeerSwarm *self)
{
  PeerCore *core = self->core;
  Slots slots = {0};
  check_channels (self, &slots);
  self->connect_at = core->now + CONNECT_INTERVAL;

  for (guint i = 0; i < self->candidates->len && has_slot (self, &slots); i++) {
    PeerCandidate *candidate = &g_array_index (self->candidates, PeerCandidate, i);
    if (candidate->next_try > core->now || is_banned (self, &candidate->address) ||
        is_connected (self, &candidate->address) ||
        (candidate->hearsay && !may_follow_hearsay (self, &slots)))
      continue;
    initiate (self, candidate);
    slots.initiating++;
    slots.outbound++;
    slots.hearsay += candidate->hearsay;
  }
  if (needs_peers (self, &slots) && core->now >= self->need_at) {
    PeerEvent event = {.type = PEER_EVENT_NEED_PEERS, .swarm = self};
    peer_event_queue_push (core->events, &event);
    self->need_at = core->now + NEED_INTERVAL;
  }
}
