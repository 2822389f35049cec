/* SPDX-License-Identifier: Apache-2.0 */
/* Which swarm, which channel: datagrams are given to the channel whose ID they carry, first
 * datagrams to the swarm that they name, and channels that have something to say are asked for it
 * in turn. */
#include "peer/engine.h"
#include "peer/asking.h"
#include "peer/gossip.h"
#include "peer/peers.h"
#include "peer/sender.h"
#include "peer/swarm-state.h"
#include "peer/uploads.h"
#include <string.h>

#define MAX_SWARMS 64
#define MAX_CHANNELS 1024
#define DEAD_TIME 180000000 /* us (RFC 7574, table 8) */
#define MAX_PER_IP 32
#define HANDSHAKES_PER_SECOND 500.0 /* checks of first datagrams, in all */

struct PeerEngine {
  PeerCore core;
  PeerEngineOptions options;
  GPtrArray *swarms; /* PeerSwarm, owned */
  PeerOutbox *outbox;
  double handshake_tokens;
  int64_t handshake_tokens_at;
};

void
peer_engine_options_init (PeerEngineOptions *self)
{
  *self = (PeerEngineOptions){
      .max_swarms = MAX_SWARMS, .max_channels = MAX_CHANNELS, .max_per_ip = MAX_PER_IP};
}

PeerEngine *
peer_engine_new (const PeerEngineOptions *options)
{
  g_return_val_if_fail (options->random != NULL, NULL);
  PeerEngine *self = g_new0 (PeerEngine, 1);
  self->options = *options;
  self->swarms = g_ptr_array_new_with_free_func ((GDestroyNotify)peer_swarm_free);
  self->outbox = g_new0 (PeerOutbox, 1);
  self->handshake_tokens = HANDSHAKES_PER_SECOND;
  self->core = (PeerCore){
      .events = peer_event_queue_new (),
      .channels = g_hash_table_new (NULL, NULL),
      .goodbyes = g_array_new (FALSE, FALSE, sizeof (PeerGoodbye)),
      .random = options->random,
      .random_data = options->random_data,
      .stamp_offset = options->wall_offset,
      .wall_offset = options->wall_offset,
      .wall_trusted = options->wall_trusted,
      .max_channels = options->max_channels,
      .dead_time = options->dead_time > 0 ? options->dead_time : DEAD_TIME,
      .max_per_ip = options->max_per_ip > 0 ? options->max_per_ip : MAX_PER_IP,
      .loss_tolerance = options->loss_tolerance,
      .deadline = PEER_NEVER,
  };
  g_queue_init (&self->core.ready);
  g_queue_init (&self->core.line);
  peer_uploads_init (&self->core);
  peer_uploads_limit (&self->core, &self->core.upload, options->max_upload);
  return self;
}

void
peer_engine_free (PeerEngine *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->swarms);
  g_hash_table_unref (self->core.channels);
  g_queue_clear (&self->core.ready);
  g_queue_clear (&self->core.line);
  g_array_unref (self->core.goodbyes);
  peer_event_queue_free (self->core.events);
  g_free (self->outbox);
  g_free (self);
}

void
peer_engine_set_wall (PeerEngine *self, int64_t wall_offset, bool trusted)
{
  self->core.wall_offset = wall_offset;
  self->core.wall_trusted = trusted;
}

static void
set_now (PeerEngine *self, int64_t now)
{
  self->core.now = MAX (self->core.now, now);
}

static PeerSwarm *
find_swarm (PeerEngine *self, const uint8_t *id, size_t n)
{
  for (guint i = 0; i < self->swarms->len; i++) {
    PeerSwarm *swarm = g_ptr_array_index (self->swarms, i);
    if (swarm->content.swarm_id_size == n && memcmp (swarm->content.swarm_id, id, n) == 0)
      return swarm;
  }
  return NULL;
}

/* --- swarms --- */

static bool
check_join (PeerEngine *self, const PeerJoin *join, GError **error)
{
  if (!peer_content_check (join->content, error))
    return false;
  if (join->content->method == PEER_METHOD_SIGN_ALL && !self->options.benign) {
    g_set_error_literal (error, PEER_ERROR, PEER_ERROR_LIMIT,
                         "its chunks are each signed (Sign All), which is for networks whose peers "
                         "are trusted: say so with --benign-network");
    return false;
  }
  PeerWireFormat format = peer_wire_format (join->content);
  PeerMessage data = {.type = PEER_MESSAGE_DATA,
                      .bytes = {NULL, peer_content_chunk_max (join->content)}};
  size_t size = sizeof (uint32_t) + peer_wire_size (&format, &data);
  if (size > PEER_DATAGRAM_MAX) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT,
                 "chunks of %u bytes do not fit a datagram; %zu at most", join->content->chunk_size,
                 join->content->chunk_size - (size - PEER_DATAGRAM_MAX));
    return false;
  }
  if (self->swarms->len >= self->options.max_swarms) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_LIMIT, "no more than %u swarms at once",
                 self->options.max_swarms);
    return false;
  }
  if (find_swarm (self, join->content->swarm_id, join->content->swarm_id_size) != NULL) {
    g_set_error (error, PEER_ERROR, PEER_ERROR_LIMIT, "this swarm is joined already");
    return false;
  }
  return true;
}

PeerSwarm *
peer_engine_join (PeerEngine *self, const PeerJoin *join, GError **error)
{
  PeerIntegrity *integrity = join->integrity;
  bool fits = check_join (self, join, error);
  if (fits && integrity == NULL)
    integrity = peer_integrity_new (join->content, join->discard_window, NULL, error);
  if (!fits || integrity == NULL) {
    peer_integrity_free (integrity);
    peer_store_free (join->store);
    return NULL;
  }
  PeerSwarm *swarm = peer_swarm_new (&self->core, join->content, join->store, integrity,
                                     join->discard_window, join->source, join->max_peers);
  swarm->gossip.off = self->options.no_exchange;
  swarm->gossip.benign = self->options.benign;
  if (join->tracker_key != NULL)
    peer_gossip_trust (swarm, join->tracker_key);
  g_ptr_array_add (self->swarms, swarm);
  peer_core_wake (&self->core, self->core.now);
  return swarm;
}

void
peer_engine_leave (PeerEngine *self, PeerSwarm *swarm)
{
  peer_event_queue_forget (self->core.events, swarm);
  if (self->outbox->owner == swarm)
    self->outbox->n = self->outbox->next = 0;
  g_ptr_array_remove (self->swarms, swarm);
  peer_core_wake (&self->core, self->core.now);
}

void
peer_engine_add_peer (PeerEngine *self, PeerSwarm *swarm, const PeerAddress *address)
{
  peer_swarm_add_peer (swarm, address);
}

bool
peer_engine_add_certificate (PeerEngine *self, PeerSwarm *swarm, const PeerAddress *address,
                             const uint8_t *bytes, size_t n)
{
  return address == NULL ? peer_gossip_set_certificate (swarm, bytes, n)
                         : peer_gossip_add_certified (swarm, address, bytes, n);
}

void
peer_engine_trust_tracker (PeerEngine *self, PeerSwarm *swarm, const uint8_t *tracker_key)
{
  peer_gossip_trust (swarm, tracker_key);
}

void
peer_engine_want (PeerEngine *self, PeerSwarm *swarm, const PeerWant *wants, size_t n)
{
  peer_swarm_want (swarm, wants, n);
}

PeerIntegrityResult
peer_engine_offer (PeerEngine *self, PeerSwarm *swarm, PeerPendingHashes *hashes, uint64_t chunk,
                   const uint8_t *bytes, size_t n)
{
  return peer_swarm_offer (swarm, hashes, chunk, bytes, n);
}

void
peer_engine_drop (PeerEngine *self, PeerSwarm *swarm, PeerRange run)
{
  g_return_if_fail (!swarm->source);
  peer_swarm_drop (swarm, run);
}

void
peer_engine_set_status (PeerEngine *self, const PeerStatus *status)
{
  PeerCore *core = &self->core;
  const PeerStatus before = core->status;
  core->status = *status;
  if (before.access_link == status->access_link && before.power == status->power &&
      before.load == status->load)
    return;
  for (guint i = 0; i < self->swarms->len; i++) {
    PeerSwarm *swarm = g_ptr_array_index (self->swarms, i);
    for (guint k = 0; k < swarm->channels->len; k++) {
      PeerChannel *channel = g_ptr_array_index (swarm->channels, k);
      channel->status_owed = channel->takes_status;
      if (channel->status_owed && channel->state == PEER_CHANNEL_OPEN)
        peer_core_ready (core, channel);
    }
  }
}

const PeerStatus *
peer_engine_status (const PeerEngine *self)
{
  return &self->core.status;
}

void
peer_engine_told (const PeerEngine *self, PeerStatusCounts *out)
{
  *out = (PeerStatusCounts){0};
  for (guint i = 0; i < self->swarms->len; i++) {
    const PeerSwarm *swarm = g_ptr_array_index (self->swarms, i);
    for (guint k = 0; k < swarm->channels->len; k++) {
      const PeerChannel *channel = g_ptr_array_index (swarm->channels, k);
      if (channel->state == PEER_CHANNEL_OPEN)
        peer_status_count (&channel->status, out);
    }
  }
}

uint64_t
peer_engine_upload (const PeerEngine *self)
{
  return self->core.upload.rate;
}

void
peer_engine_limit (PeerEngine *self, uint64_t upload)
{
  peer_uploads_limit (&self->core, &self->core.upload, upload);
}

void
peer_engine_limit_swarm (PeerEngine *self, PeerSwarm *swarm, uint64_t upload, uint64_t download)
{
  peer_uploads_limit (&self->core, &swarm->upload, upload);
  peer_swarm_limit_download (swarm, download);
}

void
peer_engine_keep (PeerEngine *self, PeerSwarm *swarm, uint64_t discard_window)
{
  if (discard_window <= swarm->discard_window)
    return;
  swarm->discard_window = discard_window;
  peer_integrity_grow (swarm->integrity, discard_window);
}

/* --- the source's verbs --- */

void
peer_engine_start (PeerEngine *self, PeerSwarm *swarm, uint64_t first)
{
  g_return_if_fail (swarm->source && first % swarm->content.chunks_per_signature == 0);
  g_return_if_fail (first <= peer_content_max_chunks (&swarm->content));
  peer_integrity_start (swarm->integrity, first);
  swarm->begun = swarm->next_chunk = swarm->open_first = first;
}

uint64_t
peer_engine_append (PeerEngine *self, PeerSwarm *swarm, const uint8_t *bytes, size_t n)
{
  g_return_val_if_fail (swarm->source && peer_engine_open_chunks (self, swarm) > 0, UINT64_MAX);
  return peer_swarm_append (swarm, bytes, n);
}

uint32_t
peer_engine_open_chunks (const PeerEngine *self, const PeerSwarm *swarm)
{
  uint64_t end = swarm->open_first + swarm->content.chunks_per_signature;
  /* a subtree that the addressing cannot name as a whole is never begun */
  return end > peer_content_max_chunks (&swarm->content) ? 0 : (uint32_t)(end - swarm->next_chunk);
}

bool
peer_engine_sign (PeerEngine *self, PeerSwarm *swarm, PeerKey *key, int64_t now)
{
  set_now (self, now);
  return peer_swarm_sign (swarm, key);
}

bool
peer_engine_end (PeerEngine *self, PeerSwarm *swarm, PeerKey *key, int64_t now)
{
  g_return_val_if_fail (swarm->source && swarm->next_chunk == swarm->open_first, false);
  set_now (self, now);
  return peer_swarm_end (swarm, key);
}

/* --- datagrams --- */

/* 3.1.1, step 2: whatever does not fit is met with silence. */
static void
receive_first (PeerEngine *self, const PeerAddress *from, PeerReader datagram, size_t size)
{
  PeerCore *core = &self->core;
  PeerMessage message;
  PeerOptions options;
  core->counters.handshakes_received++;
  if (!peer_core_take (&self->handshake_tokens, &self->handshake_tokens_at, core->now,
                       HANDSHAKES_PER_SECOND, HANDSHAKES_PER_SECOND, 1)) {
    core->counters.handshakes_limited++;
    return;
  }
  /* without the swarm no other message has a width: the options end the handshake, so the reader
   * must be moved behind them before the rest can be read */
  if (!peer_address_is_usable (from) ||
      peer_wire_read (&datagram, NULL, &message) != PEER_WIRE_MESSAGE ||
      !peer_options_read (message.bytes, &options)) {
    core->counters.malformed++;
    return;
  }
  PeerSwarm *swarm =
      options.has_swarm_id ? find_swarm (self, options.swarm_id.data, options.swarm_id.left) : NULL;
  if (swarm == NULL) {
    core->counters.handshakes_refused++;
    return;
  }
  PeerChannel *channel = peer_swarm_accept (swarm, from, message.channel, &options, size);
  if (channel != NULL)
    peer_swarm_receive_messages (swarm, channel, &datagram);
}

void
peer_engine_receive (PeerEngine *self, int64_t now, const PeerAddress *from, const uint8_t *bytes,
                     size_t n)
{
  PeerCore *core = &self->core;
  PeerReader datagram = {bytes, n};
  uint32_t id;
  set_now (self, now);
  core->counters.datagrams_received++;
  core->counters.bytes_received += n;
  if (!peer_reader_u32 (&datagram, &id)) {
    core->counters.malformed++;
    return;
  }
  if (id == 0) {
    receive_first (self, from, datagram, n);
    return;
  }
  PeerChannel *channel = g_hash_table_lookup (core->channels, GUINT_TO_POINTER (id));
  if (channel == NULL || channel->state == PEER_CHANNEL_CLOSED) {
    core->counters.unknown_channel++;
    return;
  }
  if (!peer_address_equal (&channel->address, from)) {
    core->counters.wrong_address++;
    return;
  }
  PeerSwarm *swarm = channel->swarm;
  peer_swarm_receive (swarm, channel, &datagram);
  peer_swarm_reap (swarm);
  peer_core_wake (core, peer_swarm_next_pick (swarm));
}

static void
tick (PeerEngine *self)
{
  PeerCore *core = &self->core;
  int64_t next = PEER_NEVER;
  core->deadline = PEER_NEVER;
  for (guint i = 0; i < self->swarms->len; i++)
    next = MIN (next, peer_swarm_tick (g_ptr_array_index (self->swarms, i)));
  peer_core_wake (core, next);
}

static size_t
send_goodbye (PeerCore *core, PeerAddress *to, uint8_t *out, size_t room)
{
  PeerGoodbye *goodbye = &g_array_index (core->goodbyes, PeerGoodbye, core->goodbyes->len - 1);
  const uint8_t end = 0xff; /* 8.4: an empty list of options */
  PeerMessage message = {.type = PEER_MESSAGE_HANDSHAKE, .bytes = {&end, 1}};
  PeerWriter writer = {out, 0, room};
  *to = goodbye->address;
  peer_writer_u32 (&writer, goodbye->remote);
  peer_wire_write (&writer, NULL, &message);
  g_array_set_size (core->goodbyes, core->goodbyes->len - 1);
  return writer.used;
}

/* Asks the next channel that is ready. false = none is. */
static bool
fill_outbox (PeerEngine *self)
{
  PeerCore *core = &self->core;
  PeerOutbox *outbox = self->outbox;
  outbox->n = outbox->next = 0;
  while (outbox->n == 0) {
    PeerChannel *channel = g_queue_pop_head (&core->ready);
    if (channel == NULL)
      channel = peer_uploads_next (core);
    if (channel == NULL)
      return false;
    channel->queued = false;
    outbox->owner = channel->swarm;
    peer_sender_fill (channel->swarm, channel, outbox);
    /* as long as it has something to say it stands at the end of the queue */
    if (outbox->n > 0)
      peer_core_ready (core, channel);
    else if (channel->state == PEER_CHANNEL_OPEN)
      peer_core_look (core, channel, peer_channel_next_deadline (channel, INT64_MAX / 2));
  }
  return true;
}

size_t
peer_engine_send (PeerEngine *self, int64_t now, PeerAddress *to, uint8_t *out, size_t room)
{
  PeerCore *core = &self->core;
  PeerOutbox *outbox = self->outbox;
  size_t n = 0;
  g_return_val_if_fail (room >= PEER_DATAGRAM_MAX, 0);
  set_now (self, now);
  if (core->deadline <= core->now)
    tick (self);
  if (core->goodbyes->len > 0) {
    n = send_goodbye (core, to, out, room);
  } else if (outbox->next < outbox->n || fill_outbox (self)) {
    const PeerDatagram *datagram = &outbox->datagrams[outbox->order[outbox->next++]];
    memcpy (out, datagram->bytes, datagram->size);
    *to = outbox->to;
    n = datagram->size;
  }
  if (n > 0) {
    core->counters.datagrams_sent++;
    core->counters.bytes_sent += n;
  }
  return n;
}

void
peer_engine_too_big (PeerEngine *self, int64_t now, const PeerAddress *to, size_t n)
{
  set_now (self, now);
  self->core.counters.datagrams_too_big++;
  for (guint i = 0; i < self->swarms->len; i++) {
    PeerSwarm *swarm = g_ptr_array_index (self->swarms, i);
    for (guint k = 0; k < swarm->channels->len; k++) {
      PeerChannel *channel = g_ptr_array_index (swarm->channels, k);
      if (peer_address_equal (&channel->address, to))
        peer_path_too_big (&channel->path, self->core.now, n);
    }
  }
}

bool
peer_engine_next_event (PeerEngine *self, PeerEvent *out)
{
  return peer_event_queue_pop (self->core.events, out);
}

int64_t
peer_engine_deadline (const PeerEngine *self)
{
  const PeerCore *core = &self->core;
  if (core->goodbyes->len > 0 || core->ready.length > 0 || self->outbox->next < self->outbox->n)
    return core->now;
  return core->line.length > 0 ? MIN (core->deadline, core->line_at) : core->deadline;
}

const PeerCounters *
peer_engine_counters (const PeerEngine *self)
{
  return &self->core.counters;
}
