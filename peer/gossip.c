/* SPDX-License-Identifier: Apache-2.0 */
/* Peer address exchange. Each peer shows its certificate to those it talks with, and is named by
 * them with it:
 *
 *   tracker --certificate of A--> A --PEX_REScert--> B <--PEX_REQ-- C
 *                                                    B --PEX_REScert: A--> C --HANDSHAKE--> A
 *
 * Among private addresses, and where the operator calls the network benign, PEX_RESv4 and v6 name
 * peers without one (3.10).
 *
 * What is named is hearsay: it waits with the addresses of the tracker, but fills at most half of
 * our connections (12.2.3), is tried seldom, and is forgotten if nobody answers there (12.2.1);
 * peers.c sees to that. Only who was asked may name others. A source asks nobody: it shall not
 * be shut in by those who answer (12.2.3, E1). */
#include "peer/gossip.h"
#include "peer/peers.h"
#include <string.h>

#define ALIVE 60000000       /* us since something came from whom we name (3.10.1) */
#define ASK_EVERY 5000000    /* us between two requests, to anybody... */
#define ASK_SELDOM 30000000  /* ...when there are some peers */
#define LOOK_EVERY 100000    /* us between two looks for somebody to ask */
#define ASK_SAME 60000000    /* us until the same peer is asked again */
#define SOME_PEERS 8         /* channels */
#define ANSWER_TIME 30000000 /* us that an answer may take */
#define CHECKS_IN_ALL 5.0    /* certificates that are looked at, of all peers, a second... */
#define CHECKS_BURST 20.0    /* ...and at once; one takes as long as four signatures */
#define MAX_BAD 2            /* defective certificates; the rest is not looked at (12.2.2) */
#define MAX_CERTIFICATES 6   /* in one answer: two datagrams or three */

static int64_t
wall_now (const PeerCore *core)
{
  return core->wall_trusted ? core->now + core->wall_offset : INT64_MIN;
}

/* --- what is told to others --- */

/* 3.10.1: messages were exchanged in the last 60 seconds; and it is not just dying. */
static bool
may_be_named (const PeerSwarm *self, const PeerChannel *channel, const PeerChannel *to)
{
  return channel != to && channel->state == PEER_CHANNEL_OPEN &&
         self->core->now - channel->last_received <= ALIVE &&
         !peer_swarm_is_silent (self, channel) &&
         peer_exchange_may_name (&channel->address, &to->address);
}

/* With its certificate where there is one: that can be told on. */
static bool
name (const PeerSwarm *self, const PeerChannel *channel, const PeerChannel *to, PeerMessage *out)
{
  const PeerExchange *exchange = &channel->exchange;
  int64_t wall = wall_now (self->core);
  if (exchange->certificate != NULL && (wall == INT64_MIN || wall < exchange->certificate_end) &&
      peer_channel_supports (to, PEER_MESSAGE_PEX_RES_CERT)) {
    size_t n;
    const uint8_t *bytes = g_bytes_get_data (exchange->certificate, &n);
    *out = (PeerMessage){.type = PEER_MESSAGE_PEX_RES_CERT, .bytes = {bytes, n}};
    return true;
  }
  PeerMessageType type =
      peer_address_is_v4 (&channel->address) ? PEER_MESSAGE_PEX_RES_V4 : PEER_MESSAGE_PEX_RES_V6;
  *out = (PeerMessage){.type = type, .address = channel->address};
  return peer_exchange_may_name_plainly (&channel->address, &to->address, self->gossip.benign) &&
         peer_channel_supports (to, type);
}

/* A random choice: who is asked often shall not name the same few to all. */
size_t
peer_gossip_answer (PeerSwarm *self, const PeerChannel *channel,
                    PeerMessage out[PEER_GOSSIP_ANSWERS])
{
  guint n = self->channels->len;
  size_t said = 0, certificates = 0;
  g_autofree guint *order = g_new (guint, n);
  for (guint i = 0; i < n; i++)
    order[i] = i;
  for (guint i = 0; i < n && said < PEER_GOSSIP_ANSWERS && certificates < MAX_CERTIFICATES; i++) {
    guint j = i + peer_random_u32 (self->core->random, self->core->random_data) % (n - i);
    const PeerChannel *other = g_ptr_array_index (self->channels, order[j]);
    order[j] = order[i];
    if (!may_be_named (self, other, channel) || !name (self, other, channel, &out[said]))
      continue;
    certificates += out[said++].type == PEER_MESSAGE_PEX_RES_CERT;
  }
  self->core->counters.pex_answers += said;
  return said;
}

bool
peer_gossip_show (const PeerSwarm *self, const PeerChannel *channel, PeerMessage *out)
{
  const GBytes *certificate = self->gossip.certificate;
  if (certificate == NULL || !peer_exchange_may_name (&self->gossip.own, &channel->address))
    return false;
  size_t n;
  const uint8_t *bytes = g_bytes_get_data ((GBytes *)certificate, &n);
  *out = (PeerMessage){.type = PEER_MESSAGE_PEX_RES_CERT, .bytes = {bytes, n}};
  return true;
}

/* --- what others tell --- */

static void
on_request (PeerSwarm *self, PeerChannel *channel)
{
  PeerCore *core = self->core;
  PeerExchange *exchange = &channel->exchange;
  if (!peer_exchange_is_on (&self->gossip, &channel->address) ||
      !peer_core_take (&exchange->requests, &exchange->requests_at, core->now,
                       PEER_EXCHANGE_REQUESTS / 60.0, PEER_EXCHANGE_REQUESTS, 1)) {
    core->counters.pex_refused++;
    return;
  }
  exchange->answer = true;
  peer_core_ready (core, channel);
}

/* Was it asked, and has it not named more than anybody needs? */
static bool
may_tell (PeerSwarm *self, PeerChannel *channel)
{
  PeerExchange *exchange = &channel->exchange;
  int64_t now = self->core->now;
  return !self->source && exchange->asked_at != 0 && now - exchange->asked_at <= ANSWER_TIME &&
         peer_core_take (&exchange->addresses, &exchange->addresses_at, now,
                         PEER_EXCHANGE_ADDRESSES / 60.0, PEER_EXCHANGE_ADDRESSES, 1);
}

static bool
is_own (const PeerSwarm *self, const PeerAddress *address)
{
  return self->gossip.certificate != NULL && peer_address_equal (address, &self->gossip.own);
}

static void
on_address (PeerSwarm *self, PeerChannel *channel, const PeerAddress *address)
{
  PeerCore *core = self->core;
  if (!peer_exchange_is_on (&self->gossip, &channel->address) || !may_tell (self, channel) ||
      is_own (self, address) ||
      !peer_exchange_may_name_plainly (address, &channel->address, self->gossip.benign)) {
    core->counters.pex_refused++;
    return;
  }
  core->counters.pex_addresses++;
  peer_swarm_add_hearsay (self, address, NULL, 0);
}

static bool
is_known (const PeerExchange *exchange, const PeerReader *bytes)
{
  size_t n;
  if (exchange->certificate == NULL)
    return false;
  const uint8_t *known = g_bytes_get_data (exchange->certificate, &n);
  return n == bytes->left && memcmp (known, bytes->data, n) == 0;
}

static bool
has_time_to_check (PeerCore *core)
{
  return peer_core_take (&core->certificate_tokens, &core->certificate_tokens_at, core->now,
                         CHECKS_IN_ALL, CHECKS_BURST, 1);
}

/* 12.2.2: "check a few of the certificates sent and discard the rest if they are defective". */
static bool
may_check (PeerSwarm *self, PeerChannel *channel)
{
  PeerCore *core = self->core;
  PeerExchange *exchange = &channel->exchange;
  return self->gossip.has_tracker_key && !self->gossip.off && exchange->bad < MAX_BAD &&
         peer_core_take (&exchange->checks, &exchange->checks_at, core->now,
                         PEER_EXCHANGE_CHECKS / 60.0, PEER_EXCHANGE_CHECKS, 1) &&
         has_time_to_check (core);
}

static PeerMembershipResult
check (PeerSwarm *self, PeerReader bytes, PeerMembership *out)
{
  self->core->counters.certificates_checked++;
  return peer_membership_check (bytes.data, bytes.left, &self->content, self->gossip.tracker_key,
                                wall_now (self->core), out);
}

/* Its own, or one of those it was asked for. */
static void
on_certificate (PeerSwarm *self, PeerChannel *channel, PeerReader bytes)
{
  PeerCore *core = self->core;
  PeerMembership membership;
  if (is_known (&channel->exchange, &bytes))
    return;
  if (!may_check (self, channel)) {
    core->counters.pex_refused++;
    return;
  }
  switch (check (self, bytes, &membership)) {
  case PEER_MEMBERSHIP_GOOD:
    break;
  case PEER_MEMBERSHIP_EXPIRED: /* perhaps it is only a clock that is wrong */
    core->counters.pex_refused++;
    return;
  case PEER_MEMBERSHIP_MALFORMED:
  case PEER_MEMBERSHIP_FOREIGN:
  case PEER_MEMBERSHIP_FORGED:
    channel->exchange.bad++;
    core->counters.certificates_bad++;
    return;
  }
  if (peer_address_equal (&membership.address, &channel->address)) {
    g_autoptr (GBytes) certificate = g_bytes_new (bytes.data, bytes.left);
    peer_exchange_keep (&channel->exchange, certificate, membership.not_after);
    return;
  }
  if (!may_tell (self, channel) || is_own (self, &membership.address) ||
      !peer_exchange_may_name (&membership.address, &channel->address)) {
    core->counters.pex_refused++;
    return;
  }
  core->counters.pex_addresses++;
  g_autoptr (GBytes) certificate = g_bytes_new (bytes.data, bytes.left);
  peer_swarm_add_hearsay (self, &membership.address, certificate, membership.not_after);
}

void
peer_gossip_receive (PeerSwarm *self, PeerChannel *channel, const PeerMessage *message)
{
  if (message->type == PEER_MESSAGE_PEX_REQ)
    on_request (self, channel);
  else if (message->type == PEER_MESSAGE_PEX_RES_CERT)
    on_certificate (self, channel, message->bytes);
  else
    on_address (self, channel, &message->address);
}

/* --- asking --- */

/* Who can answer, and was not asked for a while; one of them, drawn. */
static PeerChannel *
draw_channel (PeerSwarm *self, unsigned *n_open)
{
  PeerCore *core = self->core;
  PeerChannel *drawn = NULL;
  unsigned n = 0;
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    const PeerExchange *exchange = &channel->exchange;
    if (channel->state != PEER_CHANNEL_OPEN || peer_swarm_is_silent (self, channel))
      continue;
    ++*n_open;
    if (!peer_exchange_is_on (&self->gossip, &channel->address) || exchange->bad >= MAX_BAD ||
        !peer_channel_supports (channel, PEER_MESSAGE_PEX_REQ) ||
        (exchange->asked_at != 0 && core->now - exchange->asked_at < ASK_SAME))
      continue;
    if (peer_random_u32 (core->random, core->random_data) % ++n == 0)
      drawn = channel;
  }
  return drawn;
}

int64_t
peer_gossip_tick (PeerSwarm *self)
{
  PeerCore *core = self->core;
  unsigned n_open = 0;
  if (self->source || self->gossip.off)
    return PEER_NEVER;
  if (core->now < self->gossip.ask_at)
    return self->gossip.ask_at;
  PeerChannel *channel = draw_channel (self, &n_open);
  if (channel == NULL || n_open >= self->max_peers || peer_swarm_has_untried (self)) {
    self->gossip.ask_at = core->now + LOOK_EVERY;
    return PEER_NEVER; /* the swarm ticks every second anyway */
  }
  channel->exchange.ask = true;
  channel->exchange.asked_at = core->now;
  core->counters.pex_requests++;
  peer_core_ready (core, channel);
  self->gossip.ask_at = core->now + (n_open < SOME_PEERS ? ASK_EVERY : ASK_SELDOM);
  return self->gossip.ask_at;
}

/* --- what the house tells --- */

void
peer_gossip_trust (PeerSwarm *self, const uint8_t *tracker_key)
{
  memcpy (self->gossip.tracker_key, tracker_key, sizeof self->gossip.tracker_key);
  self->gossip.has_tracker_key = true;
}

bool
peer_gossip_set_certificate (PeerSwarm *self, const uint8_t *bytes, size_t n)
{
  PeerCore *core = self->core;
  PeerMembership membership;
  if (!self->gossip.has_tracker_key || self->gossip.off ||
      check (self, (PeerReader){bytes, n}, &membership) != PEER_MEMBERSHIP_GOOD)
    return false;
  g_clear_pointer (&self->gossip.certificate, g_bytes_unref);
  self->gossip.certificate = g_bytes_new (bytes, n);
  self->gossip.own = membership.address;
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->state != PEER_CHANNEL_OPEN)
      continue;
    channel->exchange.show = true;
    peer_core_ready (core, channel);
  }
  return true;
}

bool
peer_gossip_add_certified (PeerSwarm *self, const PeerAddress *address, const uint8_t *bytes,
                           size_t n)
{
  PeerReader reader = {bytes, n};
  PeerMembership membership;
  if (!self->gossip.has_tracker_key || self->gossip.off || !has_time_to_check (self->core) ||
      check (self, reader, &membership) != PEER_MEMBERSHIP_GOOD ||
      is_own (self, &membership.address) || !peer_address_equal (&membership.address, address))
    return false;
  g_autoptr (GBytes) certificate = g_bytes_new (bytes, n);
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    if (channel->state == PEER_CHANNEL_OPEN &&
        peer_address_equal (&channel->address, &membership.address))
      peer_exchange_keep (&channel->exchange, certificate, membership.not_after);
  }
  peer_swarm_certify_peer (self, &membership.address, certificate, membership.not_after);
  return true;
}
