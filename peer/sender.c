/* SPDX-License-Identifier: Apache-2.0 */
/* Writes datagrams: the handshakes, what is to be said, and chunks with the hashes that their
 * receiver lacks (RFC 7574, 5.3, 5.4, 6.1.2.3).
 *
 * A batch of chunks to one peer is written in the order asked for, and each proof leaves out what
 * an earlier one of the batch carries. It is sent in the order of the number of hashes, most
 * first: whoever comes first in a subtree carries more hashes than all others in it, so none
 * overtakes one that it rests on, and chunks without hashes, about half of them, are of one size
 * and leave in one call to the kernel. */
#include "peer/sender.h"
#include "peer/gossip.h"
#include "peer/peers.h"
#include "peer/uploads.h"
#include <string.h>

#define HASHES_FIRST 1000   /* weight of a datagram of hashes that did not fit with their chunk */
#define END_AGAIN 1000000   /* us */
#define MUNRO_AGAIN 1000000 /* us */
#define MUNRO_SPREAD 400000 /* us, at most, until it is said to one who has tuned in... */
#define MUNRO_SPREAD_EACH 20000 /* ...and for each neighbour */
#define SAID_FIRST 2000         /* weight of what is no chunk */
#define HAVE_RIDES 30000 /* us before it is due that news of chunks goes along with what is said */
#define STORE_TIME 2000  /* us until a chunk that is on its way from the disk is asked for again */

static PeerWriter
begin (PeerOutbox *out, uint32_t remote, size_t room)
{
  g_assert (out->n < PEER_OUTBOX);
  PeerWriter writer = {out->datagrams[out->n].bytes, 0, room};
  peer_writer_u32 (&writer, remote);
  return writer;
}

static void
finish (PeerSwarm *swarm, PeerChannel *channel, PeerOutbox *out, const PeerWriter *writer,
        unsigned weight)
{
  PeerCore *core = swarm->core;
  out->datagrams[out->n].size = writer->used;
  out->weight[out->n] = (uint16_t)weight;
  out->bytes += writer->used;
  out->n++;
  channel->last_sent = core->now;
  channel->unanswered++;
  channel->hello = false;
  peer_uploads_spend (swarm, channel, writer->used);
}

/* --- handshakes (3.1.1) --- */

static bool
write_handshake (PeerSwarm *swarm, PeerChannel *channel, PeerWriter *writer)
{
  PeerOptions options;
  uint8_t bytes[PEER_SWARM_ID_MAX + 128];
  PeerWriter body = {bytes, 0, sizeof bytes};
  peer_swarm_options (swarm, &channel->address, channel->initiator, &options);
  PeerMessage message = {.type = PEER_MESSAGE_HANDSHAKE, .channel = channel->local};
  if (!peer_options_write (&body, &options))
    return false;
  message.bytes = (PeerReader){bytes, body.used};
  return peer_wire_write (writer, &swarm->format, &message);
}

static void
say_first (PeerSwarm *swarm, PeerChannel *channel, PeerOutbox *out)
{
  PeerWriter writer = begin (out, 0, PEER_DATAGRAM_MAX);
  if (write_handshake (swarm, channel, &writer))
    finish (swarm, channel, out, &writer, SAID_FIRST);
}

/* The answer: its HAVEs are the newest runs, and no more bytes than came from that address. */
static void
say_second (PeerSwarm *swarm, PeerChannel *channel, PeerOutbox *out)
{
  PeerWriter writer = begin (out, channel->remote, PEER_DATAGRAM_MAX);
  if (!write_handshake (swarm, channel, &writer) || writer.used > channel->unproven_budget) {
    channel->hello = false;
    return;
  }
  writer.size = MIN (writer.size, channel->unproven_budget);
  bool tells = !peer_swarm_is_crowded (swarm) && peer_channel_supports (channel, PEER_MESSAGE_HAVE);
  for (size_t i = peer_chunks_n_runs (swarm->have); tells && i-- > 0;) {
    PeerRange run = peer_chunks_run (swarm->have, i);
    if (peer_chunks_has_any (swarm->forked, run))
      continue; /* what is sound of it follows when the channel is open */
    while (!peer_range_is_empty (run)) {
      PeerMessage message = {.type = PEER_MESSAGE_HAVE,
                             .chunks = peer_wire_next_part (&swarm->format, &run)};
      if (!peer_wire_write (&writer, &swarm->format, &message))
        break;
      if (swarm->source)
        peer_chunks_add (channel->told, message.chunks);
    }
  }
  channel->unproven_budget -= writer.used;
  channel->tries++;
  finish (swarm, channel, out, &writer, SAID_FIRST);
}

/* --- munros (6.1.2) --- */

static size_t
munro_size (const PeerSwarm *swarm)
{
  PeerMessage hash = {.type = PEER_MESSAGE_INTEGRITY, .bytes = {NULL, swarm->format.hash_size}};
  PeerMessage signature = {.type = PEER_MESSAGE_SIGNED_INTEGRITY,
                           .bytes = {NULL, swarm->format.signature_size}};
  return (swarm->sign_all ? 0 : peer_wire_size (&swarm->format, &hash)) +
         peer_wire_size (&swarm->format, &signature);
}

static bool
write_munro (PeerSwarm *swarm, PeerWriter *writer, const PeerMunro *munro)
{
  PeerWriter before = *writer;
  PeerMessage hash = {.type = PEER_MESSAGE_INTEGRITY,
                      .chunks = munro->chunks,
                      .bytes = {munro->hash, swarm->format.hash_size}};
  PeerMessage signature = {.type = PEER_MESSAGE_SIGNED_INTEGRITY,
                           .chunks = munro->chunks,
                           .time = munro->time,
                           .bytes = {munro->signature, munro->signature_size}};
  if ((swarm->sign_all || peer_wire_write (writer, &swarm->format, &hash)) &&
      peer_wire_write (writer, &swarm->format, &signature))
    return true;
  *writer = before;
  return false;
}

/* us: each neighbour is told at another time, so that who is told late has heard it from another by
 * then, and shows that. The same for one munro and one channel. */
static int64_t
munro_delay (const PeerChannel *channel, uint64_t munro)
{
  int64_t spread = MIN (MUNRO_SPREAD, MUNRO_SPREAD_EACH * (int64_t)channel->swarm->channels->len);
  uint64_t mixed = (munro ^ channel->local) * UINT64_C (0x9e3779b97f4a7c15);
  return (int64_t)(mixed >> 32) % spread;
}

/* 6.1.2.4: to tune in, our newest munro goes with each datagram until they show that they have a
 * chunk of it or of a newer one. From then on they are told of a new one once, unless they have said it
 * themselves or asked for a chunk of it by then, and again after a while if they still do not show it:
 * saying it with each, as the section may also be read, would be a fifth of all bytes. */
static bool
owes_newest_munro (const PeerSwarm *swarm, PeerChannel *channel, PeerMunro *out)
{
  const PeerRange *edge = &swarm->edge;
  int64_t now = swarm->core->now;
  if (!swarm->live || swarm->sign_all || peer_range_is_empty (*edge) ||
      !peer_channel_supports (channel, PEER_MESSAGE_INTEGRITY) ||
      !peer_channel_supports (channel, PEER_MESSAGE_SIGNED_INTEGRITY))
    return false;
  bool tuned_in = channel->munro_sent_at != 0 && channel->have_end > channel->first_munro;
  if (channel->have_end > edge->first || (tuned_in && channel->munro_heard > edge->first))
    return false;
  if (tuned_in && now < swarm->edge_at + munro_delay (channel, edge->first) &&
      !(swarm->source && peer_chunks_has_any (channel->told, *edge)))
    return false;
  if (tuned_in && channel->munro_sent == edge->first && now < channel->munro_sent_at + MUNRO_AGAIN)
    return false;
  return peer_integrity_newest_munro (swarm->integrity, out);
}

static bool
write_newest_munro (PeerSwarm *swarm, PeerChannel *channel, PeerWriter *writer)
{
  PeerMunro munro;
  if (!owes_newest_munro (swarm, channel, &munro) || !write_munro (swarm, writer, &munro))
    return false;
  if (channel->munro_sent_at == 0)
    channel->first_munro = munro.chunks.first;
  channel->munro_sent = munro.chunks.first;
  channel->munro_sent_at = swarm->core->now;
  return true;
}

/* The end of a broadcast is told once to each, and again until they tell it too: no HAVE can show
 * that they know. */
static void
write_end (PeerSwarm *swarm, PeerChannel *channel, PeerWriter *writer)
{
  PeerMunro end;
  int64_t now = swarm->core->now;
  if (!swarm->live || peer_integrity_end (swarm->integrity, &end) == 0 ||
      !peer_channel_supports (channel, PEER_MESSAGE_SIGNED_INTEGRITY))
    return;
  if (channel->end_sent_at != 0 && (channel->knows_end || now < channel->end_sent_at + END_AGAIN))
    return;
  if (write_munro (swarm, writer, &end))
    channel->end_sent_at = now;
}

/* --- what is to be said --- */

typedef struct {
  PeerSwarm *swarm;
  PeerChannel *channel;
  PeerOutbox *out;
  PeerWriter writer;
  bool open; /* a datagram is begun */
} Talk;

static void
end_talk (Talk *talk)
{
  if (talk->open)
    finish (talk->swarm, talk->channel, talk->out, &talk->writer, SAID_FIRST);
  talk->open = false;
}

/* Into the datagram that is begun, or into a next one. false = the outbox is full. */
static bool
say (Talk *talk, const PeerMessage *message)
{
  const PeerWireFormat *format = &talk->swarm->format;
  if (!peer_channel_supports (talk->channel, message->type)) /* 7.10 */
    return true;
  if (talk->open && peer_wire_write (&talk->writer, format, message))
    return true;
  end_talk (talk);
  if (talk->out->n >= PEER_OUTBOX - 1)
    return false;
  talk->writer = begin (talk->out, talk->channel->remote, talk->channel->path.proven);
  talk->open = true;
  write_newest_munro (talk->swarm, talk->channel, &talk->writer);
  write_end (talk->swarm, talk->channel, &talk->writer);
  /* what has no form in this addressing is not said at all */
  peer_wire_write (&talk->writer, format, message);
  return true;
}

/* As many messages as it takes; *run is what is left if the outbox is full. */
static bool
say_run (Talk *talk, PeerMessage message, PeerRange *run)
{
  while (!peer_range_is_empty (*run)) {
    PeerRange rest = *run;
    message.chunks = peer_wire_next_part (&talk->swarm->format, &rest);
    if (!say (talk, &message))
      return false;
    *run = rest;
  }
  return true;
}

static void
say_status (Talk *talk)
{
  PeerMessage message = {.type = PEER_MESSAGE_STATUS, .status = talk->swarm->core->status};
  if (talk->channel->status_owed && say (talk, &message))
    talk->channel->status_owed = false;
}

static void
say_choke (Talk *talk)
{
  PeerMessage message = {.type =
                             talk->channel->choking ? PEER_MESSAGE_CHOKE : PEER_MESSAGE_UNCHOKE};
  if (talk->channel->choke_owed && say (talk, &message))
    talk->channel->choke_owed = false;
}

/* false = the outbox is full. said: runs that this datagram has told of. */
static bool
say_ack (Talk *talk, const PeerAck *ack, PeerChunks *said)
{
  PeerRange run = peer_chunks_around (talk->swarm->have, ack->chunk);
  if (peer_chunks_has (said, ack->chunk) || peer_range_is_empty (run))
    return true;
  PeerMessage message = {.type = PEER_MESSAGE_ACK, .time = ack->delay};
  peer_chunks_add (said, run);
  return say_run (talk, message, &run);
}

/* The newest first: its interval may cover the others (4.3.2). Those of the last time go once more,
 * since a datagram may be lost, and where there are gaps no later interval covers what it told: each
 * chunk of it would be sent again. In a live swarm HAVE tells of it as soon, and to repeat them costs
 * more than the chunks. */
static void
say_acks (Talk *talk)
{
  PeerChannel *channel = talk->channel;
  g_autoptr (PeerChunks) said = peer_chunks_new (0);
  bool all = true;
  for (guint i = channel->acks->len; all && i-- > 0;)
    all = say_ack (talk, &g_array_index (channel->acks, PeerAck, i), said);
  if (!all)
    return;
  for (guint i = talk->swarm->live ? 0 : channel->said_acks->len; all && i-- > 0;)
    all = say_ack (talk, &g_array_index (channel->said_acks, PeerAck, i), said);
  GArray *spare = channel->said_acks;
  channel->said_acks = channel->acks;
  channel->acks = spare;
  g_array_set_size (channel->acks, 0);
  channel->ack_at = PEER_NEVER;
}

static void
say_haves (Talk *talk)
{
  PeerChannel *channel = talk->channel;
  PeerMessage message = {.type = PEER_MESSAGE_HAVE};
  while (!peer_chunks_is_empty (channel->announce)) {
    PeerRange next = peer_chunks_run (channel->announce, 0);
    /* the biggest complete interval (4.3.1), unless they have all of it already (3.2); what was
     * lost on the way is told again so. A source tells some of its newest chunks to some only. */
    const PeerChunks *all = talk->swarm->have;
    if (talk->swarm->source) {
      peer_chunks_add (channel->told, next);
      all = channel->told;
    }
    PeerRange run = peer_range_intersection (peer_chunks_around (all, next.first),
                                             peer_chunks_around (talk->swarm->have, next.first));
    if (peer_chunks_has_any (talk->swarm->forked, run))
      run = peer_chunks_gap (talk->swarm->forked, (PeerRange){next.first, run.end});
    PeerRange news = peer_range_intersection (run, next);
    if (!peer_range_is_empty (run) && !peer_chunks_has_all (channel->have, news) &&
        !say_run (talk, message, &run))
      return;
    peer_chunks_remove (channel->announce, (PeerRange){next.first, MAX (next.first + 1, run.end)});
  }
  channel->announce_at = PEER_NEVER;
}

static void
say_ranges (Talk *talk, PeerMessageType type, GArray *ranges)
{
  guint said = 0;
  for (; said < ranges->len; said++) {
    PeerRange *run = &g_array_index (ranges, PeerRange, said);
    if (!say_run (talk, (PeerMessage){.type = type}, run))
      break;
  }
  g_array_remove_range (ranges, 0, said);
}

/* Peer address exchange (8.13). Nothing of it is said twice if the outbox is full. */
static void
say_exchange (Talk *talk)
{
  PeerExchange *exchange = &talk->channel->exchange;
  PeerMessage messages[PEER_GOSSIP_ANSWERS] = {{.type = PEER_MESSAGE_PEX_REQ}};
  if (exchange->ask)
    say (talk, &messages[0]);
  if (exchange->show && peer_gossip_show (talk->swarm, talk->channel, &messages[0]))
    say (talk, &messages[0]);
  if (exchange->answer) {
    size_t n = peer_gossip_answer (talk->swarm, talk->channel, messages);
    for (size_t i = 0; i < n; i++)
      say (talk, &messages[i]);
  }
  exchange->ask = exchange->show = exchange->answer = false;
}

/* --- chunks --- */

typedef struct {
  PeerHash hashes[PEER_PROOF_MAX];
  int n;
  PeerMunro munro;
  bool with_munro;
  size_t size; /* bytes on the wire */
} Proof;

static bool
make_proof (PeerSwarm *swarm, PeerChannel *channel, uint64_t chunk, Proof *out)
{
  bool again = peer_chunks_has (channel->resend, chunk);
  const PeerChunks *in_flight = again ? NULL : channel->in_flight;
  out->n = peer_integrity_proof (swarm->integrity, chunk, channel->have, in_flight, out->hashes);
  if (out->n < 0)
    return false;
  out->with_munro = false;
  PeerMessage hash = {.type = PEER_MESSAGE_INTEGRITY,
                      .chunks = {chunk, chunk + 1},
                      .bytes = {NULL, swarm->format.hash_size}};
  out->size = (size_t)out->n * peer_wire_size (&swarm->format, &hash);
  if (!swarm->live)
    return true;
  if (!peer_integrity_munro (swarm->integrity, chunk, &out->munro))
    return false;
  /* 6.1.1: each chunk with its signature */
  out->with_munro =
      swarm->sign_all || (!peer_chunks_has_any (channel->have, out->munro.chunks) &&
                          (again || !peer_chunks_has_any (channel->in_flight, out->munro.chunks)));
  return true;
}

/* Chunks whose hashes are left out elsewhere since they are in this proof: with its n hashes one
 * climbs n levels at least. A munro is the top of its subtree. */
static PeerRange
proven_by (const Proof *proof, uint64_t chunk)
{
  if (proof->with_munro)
    return proof->munro.chunks;
  unsigned height = (unsigned)MIN (proof->n, PEER_PROOF_REACH);
  uint64_t first = chunk >> height << height;
  return (PeerRange){first, first + (UINT64_C (1) << height)};
}

static bool
write_hash (PeerSwarm *swarm, PeerWriter *writer, const PeerHash *hash)
{
  PeerMessage message = {.type = PEER_MESSAGE_INTEGRITY,
                         .chunks = hash->chunks,
                         .bytes = {hash->hash, swarm->format.hash_size}};
  return peer_wire_write (writer, &swarm->format, &message);
}

static bool
write_data (PeerSwarm *swarm, PeerWriter *writer, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  PeerMessage message = {.type = PEER_MESSAGE_DATA,
                         .chunks = {chunk, chunk + 1},
                         .time = (uint64_t)(swarm->core->now + swarm->core->stamp_offset),
                         .bytes = {bytes, n}};
  return peer_wire_write (writer, &swarm->format, &message);
}

typedef enum { CHUNK_READY, CHUNK_NOT_YET, CHUNK_GONE } ChunkResult;

static ChunkResult
read_chunk (PeerSwarm *swarm, uint64_t chunk, uint8_t *out, size_t *n)
{
  switch (swarm->store->class->read (swarm->store, chunk, out, PEER_CHUNK_MAX, n)) {
  case PEER_STORE_OK:
    return CHUNK_READY;
  case PEER_STORE_PENDING:
    return CHUNK_NOT_YET;
  case PEER_STORE_ABSENT: /* offered no longer, and it may be fetched again */
    swarm->core->counters.requests_absent++;
    peer_swarm_drop (swarm, (PeerRange){chunk, chunk + 1});
    return CHUNK_GONE;
  case PEER_STORE_FAILED:
    swarm->core->counters.store_failures++;
    return CHUNK_GONE;
  }
  return CHUNK_GONE;
}

/* The most datagrams that a proof may take where it does not fit with its chunk: what is left over
 * of each is less than a hash, and so less than half. */
static unsigned
datagrams_of (const PeerSwarm *swarm, const PeerChannel *channel, const Proof *proof)
{
  size_t half = (channel->path.proven - sizeof (uint32_t)) / 2;
  return 1 + (unsigned)((proof->size + (proof->with_munro ? munro_size (swarm) : 0)) / half);
}

/* The hashes by themselves (5.4: "first in one or more datagrams"), of which the first is begun. None
 * is a probe of the path: nobody acknowledges them. */
static void
give_hashes (Talk *talk, PeerWriter *writer, const Proof *proof)
{
  PeerSwarm *swarm = talk->swarm;
  unsigned weight = HASHES_FIRST + (unsigned)proof->n;
  writer->size = MAX (writer->used, MIN (writer->size, talk->channel->path.proven));
  for (int i = 0; i < proof->n; i++) {
    if (write_hash (swarm, writer, &proof->hashes[i]))
      continue;
    finish (swarm, talk->channel, talk->out, writer, weight);
    *writer = begin (talk->out, talk->channel->remote, talk->channel->path.proven);
    write_hash (swarm, writer, &proof->hashes[i]);
  }
  finish (swarm, talk->channel, talk->out, writer, weight);
}

/* One chunk, in one datagram with its hashes or, where that is too big, behind those of hashes
 * (5.3). The first one goes along with what was to be said, if it fits. false = the outbox has no
 * room for them. */
static bool
give (Talk *talk, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  PeerSwarm *swarm = talk->swarm;
  PeerChannel *channel = talk->channel;
  PeerOutbox *out = talk->out;
  Proof proof;
  PeerMunro newest;
  if (!make_proof (swarm, channel, chunk, &proof))
    return true;
  /* one for what was said, one for the chunk */
  if (out->n + 2 + datagrams_of (swarm, channel, &proof) > PEER_OUTBOX)
    return false;

  PeerMessage data = {.type = PEER_MESSAGE_DATA, .chunks = {chunk, chunk + 1}, .bytes = {bytes, n}};
  size_t size = peer_wire_size (&swarm->format, &data);
  unsigned weight = (unsigned)proof.n;
  PeerRange proves = proven_by (&proof, chunk);
  bool owed = owes_newest_munro (swarm, channel, &newest) &&
              !(proof.with_munro && newest.chunks.first == proof.munro.chunks.first);
  size_t munros = proof.with_munro ? munro_size (swarm) : 0;
  PeerWriter writer;
  if (talk->open && talk->writer.used + munros + proof.size + size <= talk->writer.size) {
    writer = talk->writer; /* the newest munro is in it already */
    weight = SAID_FIRST;
    owed = false;
  } else {
    end_talk (talk);
    writer = begin (out, channel->remote, peer_path_room (&channel->path, swarm->core->now));
  }
  talk->open = false;
  if (proof.with_munro)
    write_munro (swarm, &writer, &proof.munro);
  if (writer.used + proof.size + size > writer.size) {
    give_hashes (talk, &writer, &proof);
    /* what does not fit even so is what the publisher has chosen */
    writer = begin (out, channel->remote, MAX (channel->path.proven, sizeof (uint32_t) + size));
    proof.n = 0;
    proof.size = 0;
  }
  if (owed && writer.used + munro_size (swarm) + proof.size + size <= writer.size)
    write_newest_munro (swarm, channel, &writer);
  for (int i = 0; i < proof.n; i++)
    write_hash (swarm, &writer, &proof.hashes[i]);
  if (!write_data (swarm, &writer, chunk, bytes, n)) {
    swarm->core->counters.store_failures++;
    return true;
  }
  peer_channel_sent (channel, swarm->core->now, chunk, writer.used, proves);
  peer_uploads_flown (channel);
  if (swarm->copies != NULL && swarm->copies[chunk % PEER_COPIES] < UINT8_MAX)
    swarm->copies[chunk % PEER_COPIES]++;
  finish (swarm, channel, out, &writer, weight);
  swarm->uploaded += n;
  swarm->core->counters.chunks_sent++;
  swarm->core->counters.chunk_bytes_sent += n;
  return true;
}

static bool
has_more_to_give (const PeerChannel *channel)
{
  return peer_channel_backlog (channel) > 0 &&
         (peer_channel_window_left (channel) >= PEER_DATAGRAM_MAX || channel->flight_bytes == 0);
}

static void
give_chunks (Talk *talk)
{
  PeerSwarm *swarm = talk->swarm;
  PeerChannel *channel = talk->channel;
  uint8_t bytes[PEER_CHUNK_MAX];
  uint64_t chunk;
  double room;
  if (!has_more_to_give (channel) || !peer_uploads_begin (swarm, channel, &room))
    return;
  while (talk->out->n + 3 <= PEER_OUTBOX && room > 0 && has_more_to_give (channel) &&
         peer_channel_next_request (channel, &chunk)) {
    if (peer_channel_has (channel, chunk))
      continue;
    size_t n = 0, before = talk->out->bytes;
    ChunkResult result = read_chunk (swarm, chunk, bytes, &n);
    if (result == CHUNK_NOT_YET) {
      peer_channel_unget_request (channel, chunk);
      peer_uploads_wait (swarm, channel, swarm->core->now + STORE_TIME);
      return;
    }
    if (result == CHUNK_READY && !give (talk, chunk, bytes, n)) {
      peer_channel_unget_request (channel, chunk);
      break;
    }
    room -= (double)(talk->out->bytes - before);
  }
  peer_uploads_end (swarm, channel, room, has_more_to_give (channel));
}

/* Heaviest first; equal ones keep their order (insertion sort: at most 64). */
static void
sort_outbox (PeerOutbox *out)
{
  for (unsigned i = 0; i < out->n; i++) {
    unsigned at = i;
    for (; at > 0 && out->weight[out->order[at - 1]] < out->weight[i]; at--)
      out->order[at] = out->order[at - 1];
    out->order[at] = (uint16_t)i;
  }
}

static void
say_all (Talk *talk)
{
  PeerChannel *channel = talk->channel;
  int64_t now = talk->swarm->core->now;
  say_choke (talk);
  say_status (talk);
  /* whatever is said takes along what is waiting, and so do chunks */
  bool chunks = peer_chunks_count (channel->waiting) > 0 && peer_channel_window_left (channel) > 0;
  bool due = talk->open || chunks || channel->hello || channel->to_request->len > 0 ||
             channel->to_cancel->len > 0;
  if (channel->acks->len > 0 && (due || channel->ack_at <= now))
    say_acks (talk);
  if (channel->announce_at <= now ||
      ((due || talk->open) && channel->announce_at <= now + HAVE_RIDES))
    say_haves (talk);
  say_ranges (talk, PEER_MESSAGE_CANCEL, channel->to_cancel);
  say_ranges (talk, PEER_MESSAGE_REQUEST, channel->to_request);
  say_exchange (talk);
}

/* Four bytes (8.14), and the newest munro if it is owed. */
static void
say_keep_alive (PeerSwarm *swarm, PeerChannel *channel, PeerOutbox *out)
{
  PeerWriter writer = begin (out, channel->remote, channel->path.proven);
  write_newest_munro (swarm, channel, &writer);
  write_end (swarm, channel, &writer);
  finish (swarm, channel, out, &writer, SAID_FIRST);
}

void
peer_sender_fill (PeerSwarm *swarm, PeerChannel *channel, PeerOutbox *out)
{
  out->n = out->next = 0;
  out->bytes = 0;
  out->to = channel->address;
  Talk talk = {.swarm = swarm, .channel = channel, .out = out};
  switch (channel->state) {
  case PEER_CHANNEL_INITIATING:
    if (channel->hello)
      say_first (swarm, channel, out);
    break;
  case PEER_CHANNEL_ANSWERING:
    if (channel->hello)
      say_second (swarm, channel, out);
    break;
  case PEER_CHANNEL_OPEN:
    say_all (&talk);
    if (!channel->choking && peer_channel_supports (channel, PEER_MESSAGE_DATA))
      give_chunks (&talk);
    end_talk (&talk);
    if (channel->hello && out->n == 0)
      say_keep_alive (swarm, channel, out);
    break;
  case PEER_CHANNEL_CLOSED:
    break;
  }
  sort_outbox (out);
}
