/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in: a chunk is believed by its hashes, or by its signature, and kept; what came before
 * its hashes waits for them; what is kept is acknowledged and told of. */
#include "peer/taking.h"
#include "peer/asking.h"
#include "peer/telling.h"
#include "peer/uploads.h"

#define ACK_DELAY 10000 /* us (RFC 6817 allows delayed acknowledgements) */
#define ACK_BATCH 16    /* chunks */
/* checks per second; a P-256 check takes some 70 us. A bad one ends the channel, so this bounds only
 * what a source has signed, and of one peer only what it signed more than the chunks that came by it
 * need: a stream of 100 Mbit/s has 174 of them */
#define SIGNATURES_PER_PEER 100.0
#define SIGNATURES_IN_ALL 500.0
#define MUNRO_MAX_AGE 60     /* s (6.1.2.4 asks for a bound and leaves it open) */
#define UNPROVEN_TIME 200000 /* us without requests for who left out the hashes twice */
#define MAX_JUDGED 16        /* held chunks that one datagram may make us judge */
#define HOLD_TIME 60000      /* us that a chunk waits for its hashes, at least */
#define HOLD_TIME_MAX 500000
#define UNKEPT_TIME INT64_C (1000000) /* us without requests when the store has failed... */
#define UNKEPT_DOUBLINGS 6            /* ...and again */
#define PUSHED_LEAST 1048576          /* bytes that anybody may send unasked */

/* --- telling --- */

static void
tell (PeerSwarm *self, PeerEventType type, PeerRange chunks)
{
  PeerEvent event = {.type = type, .swarm = self, .chunks = chunks};
  peer_event_queue_push (self->core->events, &event);
}

static void
tell_size (PeerSwarm *self)
{
  uint64_t n = peer_integrity_n_chunks (self->integrity);
  if (self->live || n == 0 || self->length_told)
    return;
  PeerEvent event = {.type = PEER_EVENT_SIZE, .swarm = self, .chunks = {0, n}};
  if (self->content.length == 0 && !peer_content_is_variable (&self->content) &&
      peer_chunks_has (self->have, n - 1)) {
    /* 5.6: the last chunk says how long the content really is */
    uint8_t last[PEER_CHUNK_MAX];
    size_t size = 0;
    if (self->store->class->read (self->store, n - 1, last, sizeof last, &size) == PEER_STORE_OK)
      self->content.length = (n - 1) * self->content.chunk_size + size;
    self->format = peer_wire_format (&self->content);
  }
  event.bytes = self->content.length;
  if (self->size_told && event.bytes == 0)
    return;
  self->size_told = true;
  self->length_told = event.bytes > 0;
  peer_event_queue_push (self->core->events, &event);
}

/* --- chunks that go --- */

void
peer_swarm_drop (PeerSwarm *self, PeerRange run)
{
  run = peer_range_intersection (run, peer_chunks_span (self->have));
  if (!peer_chunks_has_any (self->have, run))
    return;
  peer_chunks_remove (self->have, run);
  self->store->class->discard (self->store, run);
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    peer_chunks_remove (channel->told, run);
    if (channel->given != NULL)
      peer_chunks_remove (channel->given, run);
    peer_chunks_remove (channel->announce, run);
    peer_channel_cancel (channel, run); /* what they asked for */
  }
  self->pick = true;
  tell (self, PEER_EVENT_LOST, run);
}

static void
slide_window (PeerSwarm *self)
{
  if (self->edge.end <= self->discard_window)
    return;
  PeerRange gone = {0, self->edge.end - self->discard_window};
  peer_chunks_remove (self->requested, gone);
  peer_chunks_remove (self->forked, gone);
  peer_swarm_drop (self, gone);
}

void
peer_swarm_new_munro (PeerSwarm *self, PeerRange munro, uint64_t ntp)
{
  PeerEvent event = {
      .type = PEER_EVENT_EDGE, .swarm = self, .chunks = munro, .time = peer_ntp_to_us (ntp)};
  peer_event_queue_push (self->core->events, &event);
  if (munro.end <= self->edge.end)
    return;
  for (uint64_t chunk = munro.first; chunk < munro.end; chunk++)
    self->copies[chunk % PEER_COPIES] = 0;
  self->edge = munro;
  self->edge_at = self->core->now;
  peer_uploads_measure (self, munro, event.time);
  self->pick = true;
  slide_window (self);
}

/* --- one chunk --- */

/* What a disk that is full or broken cannot keep would be fetched again at once, and again. */
static void
not_kept (PeerSwarm *self, PeerRange run)
{
  PeerCore *core = self->core;
  core->counters.store_failures++;
  if (self->unkept > 0 && self->pick_after > core->now)
    return; /* it had been asked for before */
  self->pick = true;
  self->pick_after = core->now + (UNKEPT_TIME << MIN (self->unkept, UNKEPT_DOUBLINGS));
  self->unkept++;
  peer_core_wake (core, self->pick_after);
  tell (self, PEER_EVENT_UNKEPT, run);
}

static bool
keep_chunk (PeerSwarm *self, PeerChannel *from, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  PeerCore *core = self->core;
  PeerRange run = {chunk, chunk + 1};
  peer_chunks_remove (self->requested, run);
  switch (self->store->class->write (self->store, chunk, bytes, n)) {
  case PEER_STORE_OK:
    break;
  case PEER_STORE_ABSENT:
    return false;
  case PEER_STORE_PENDING:
  case PEER_STORE_FAILED:
    not_kept (self, run);
    return false;
  }
  self->unkept = 0;
  peer_chunks_add (self->have, run);
  if (from != NULL) {
    peer_swarm_earn_double (self);
    self->downloaded += n;
    core->counters.chunks_received++;
    core->counters.chunk_bytes_received += n;
    peer_uploads_earn (self, from, n);
    if (self->live)
      from->signature_tokens += 1.0 / self->content.chunks_per_signature;
  } else {
    self->offered += n;
    core->counters.chunks_offered++;
    core->counters.chunk_bytes_offered += n;
  }
  tell (self, PEER_EVENT_CHUNKS, run);
  if (!peer_chunks_has (self->forked, chunk))
    peer_swarm_tell_chunk (self, chunk, from);
  tell_size (self);
  self->pick = true;
  return true;
}

/* sent: as its DATA says. arrived: us; a chunk may have waited for its hashes since then, which is
 * no delay of the path's. */
static void
owe_ack (PeerSwarm *self, PeerChannel *channel, uint64_t chunk, uint64_t sent, int64_t arrived)
{
  PeerCore *core = self->core;
  PeerAck ack = {chunk, (uint64_t)(arrived + core->stamp_offset) - sent};
  g_array_append_val (channel->acks, ack);
  /* one for an eighth of what they may have in flight, so that a lost one does not stop them; at
   * first for each, so that their window opens */
  guint batch = CLAMP (peer_channel_n_asks (channel) / 8, 1, ACK_BATCH);
  if (channel->chunks_received++ < 2 * ACK_BATCH || channel->acks->len >= batch) {
    channel->ack_at = core->now;
    peer_core_ready (core, channel);
  } else if (channel->ack_at == PEER_NEVER) {
    channel->ack_at = core->now + ACK_DELAY;
    peer_core_wake (core, channel->ack_at);
  }
}

static void
avoid (PeerSwarm *self, PeerChannel *channel)
{
  channel->avoid_until = self->core->now + UNPROVEN_TIME;
  peer_core_look (self->core, channel, channel->avoid_until);
  self->pick = true;
}

/* What one sent is of no use, so it is to be asked for again. */
static void
give_up (PeerSwarm *self, uint64_t chunk)
{
  g_autoptr (PeerChunks) one = peer_chunks_new (0);
  peer_chunks_add (one, (PeerRange){chunk, chunk + 1});
  peer_swarm_give_up (self, one);
}

/* The hashes did not come, so nothing is known of the chunk. It is asked for once more, upon which
 * the sender must send all its hashes; if they are missing again, or it has choked us meanwhile
 * (3.9), somebody else is asked. */
static void
unproven (PeerSwarm *self, PeerChannel *channel, uint64_t chunk)
{
  PeerCore *core = self->core;
  PeerRange run = {chunk, chunk + 1};
  core->counters.chunks_unproven++;
  if (!channel->choked && !peer_chunks_has (channel->unproven, chunk) &&
      peer_chunks_add (channel->unproven, run)) {
    peer_chunks_add (self->requested, run);
    peer_chunks_add (channel->reasked, run);
    peer_channel_ask (channel, core->now, run);
    peer_core_ready (core, channel);
    return;
  }
  peer_chunks_remove (channel->unproven, run);
  give_up (self, chunk);
  avoid (self, channel);
}

/* NTP; 0 = the age of a signature of chunk does not matter: only what would be our newest must be
 * young, and an older one is as old as what we fetch of it. */
static uint64_t
time_to_judge_by (const PeerSwarm *self, uint64_t chunk)
{
  const PeerCore *core = self->core;
  bool judged = core->wall_trusted && chunk >= self->edge.first;
  return judged ? peer_ntp_from_us (core->now + core->wall_offset) : 0;
}

/* Sign All (6.1.1): by the signature that came before the chunk, which is the newest munro then. */
static PeerIntegrityResult
check_signed (PeerSwarm *self, PeerChannel *channel, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  PeerCounters *counters = &self->core->counters;
  const PeerSignature *signature = peer_signatures_find (channel->signatures, chunk);
  PeerIntegrityResult result = peer_integrity_check_signed (
      self->integrity, signature, chunk, bytes, n, time_to_judge_by (self, chunk), MUNRO_MAX_AGE);
  switch (result) {
  case PEER_INTEGRITY_GOOD:
    counters->signatures_checked++;
    peer_swarm_new_munro (self, (PeerRange){chunk, chunk + 1}, signature->time);
    break;
  case PEER_INTEGRITY_BAD:
    counters->signatures_checked++;
    counters->signatures_bad++;
    break;
  case PEER_INTEGRITY_OLD:
    counters->munros_old++;
    break;
  case PEER_INTEGRITY_FORKED: /* the source's doing, and not of who passes it on */
    counters->signatures_checked++;
    counters->munros_forked++;
    result = PEER_INTEGRITY_MISSING;
    break;
  case PEER_INTEGRITY_KNOWN:
  case PEER_INTEGRITY_MISSING:
    break;
  }
  peer_signatures_remove (channel->signatures, chunk);
  return result;
}

/* What the hashes say of a chunk that was asked for, or that is wanted. false = it stays unknown. */
static bool
judge (PeerSwarm *self, PeerChannel *channel, uint64_t chunk, uint64_t sent, int64_t arrived,
       const uint8_t *bytes, size_t n)
{
  switch (self->sign_all
              ? check_signed (self, channel, chunk, bytes, n)
              : peer_integrity_check (self->integrity, channel->hashes, chunk, bytes, n)) {
  case PEER_INTEGRITY_GOOD:
  case PEER_INTEGRITY_KNOWN:
    peer_chunks_remove (channel->unproven, (PeerRange){chunk, chunk + 1});
    peer_channel_proved (channel, self->core->now);
    if (peer_chunks_has (self->requested, chunk))
      peer_swarm_unask (self, chunk, channel);
    if (keep_chunk (self, channel, chunk, bytes, n))
      owe_ack (self, channel, chunk, sent, arrived);
    channel->learned = true;
    return true;
  case PEER_INTEGRITY_MISSING:
  case PEER_INTEGRITY_OLD:
    return false;
  case PEER_INTEGRITY_BAD:
  case PEER_INTEGRITY_FORKED:
    self->core->counters.chunks_bad++;
    give_up (self, chunk);
    if (peer_chunks_has (self->forked, chunk))
      avoid (self, channel); /* the source's fault: it believes the other signature */
    else
      peer_swarm_ban (self, channel);
    return true;
  }
  return true;
}

/* us: hashes that were lost come a round trip and a little after what rests on them. */
static int64_t
hold_time (const PeerChannel *channel)
{
  return CLAMP (2 * channel->latency, HOLD_TIME, HOLD_TIME_MAX);
}

void
peer_swarm_on_data (PeerSwarm *self, PeerChannel *channel, const PeerMessage *message)
{
  PeerCore *core = self->core;
  uint64_t chunk = message->chunks.first;
  size_t n = message->bytes.left;
  if (peer_range_size (message->chunks) != 1) {
    core->counters.chunks_unwanted++;
    return;
  }
  peer_limit_spend (&self->download, core->now, n);
  bool asked = peer_channel_answered (channel, core->now, chunk, n);
  *(asked ? &channel->brought : &channel->pushed) += n;
  if (channel->pushed > PUSHED_LEAST + 2 * channel->brought) {
    peer_swarm_close (self, channel, true); /* 12.6.3: it fills our line, whatever it wants */
    return;
  }
  if (peer_chunks_has (self->have, chunk)) {
    core->counters.chunks_duplicate++;
    peer_pending_hashes_prune (channel->hashes, chunk);
    owe_ack (self, channel, chunk, message->time, core->now);
    return;
  }
  /* Nobody waits for it now, but it was perhaps asked for a while ago, or is pushed (3.7). It is
   * taken if it can be believed: without an ACK its sender would take it for lost. */
  bool useful = asked || peer_swarm_is_wanted (self, chunk);
  core->counters.chunks_unwanted += !useful;
  /* each check of a signature is work: it is done for what we want alone */
  if (peer_held_has (&channel->held, chunk) || (self->sign_all && !useful))
    return;
  if (judge (self, channel, chunk, message->time, core->now, message->bytes.data, n) || !useful)
    return;
  if (!peer_held_add (&channel->held, core->now, chunk, message->time, message->bytes.data, n))
    unproven (self, channel, chunk);
  else if (peer_held_count (&channel->held) == 1)
    peer_core_wake (core, core->now + hold_time (channel));
}

/* Hashes came: those that were held for want of them may be believed now. Each datagram pays for a
 * few tries only, so that nobody can make us hash for ever; the next one goes on where this ended. */
void
peer_swarm_judge_held (PeerSwarm *self, PeerChannel *channel)
{
  unsigned since_good = 0;
  for (unsigned tries = 0; tries < MAX_JUDGED && channel->state == PEER_CHANNEL_OPEN; tries++) {
    guint n = peer_held_count (&channel->held);
    if (n == 0 || since_good >= n)
      return;
    channel->next_held = channel->next_held < n ? channel->next_held : 0;
    const PeerHeldChunk *held = peer_held_get (&channel->held, channel->next_held);
    if (peer_chunks_has (self->have, held->chunk) ||
        judge (self, channel, held->chunk, held->sent, held->at, held->bytes, held->n)) {
      peer_held_remove (&channel->held, channel->next_held);
      since_good = 0;
    } else {
      channel->next_held++;
      since_good++;
    }
  }
}

int64_t
peer_swarm_held_deadline (const PeerChannel *channel)
{
  return peer_held_count (&channel->held) > 0
             ? peer_held_get (&channel->held, 0)->at + hold_time (channel)
             : PEER_NEVER;
}

void
peer_swarm_expire_held (PeerSwarm *self, PeerChannel *channel)
{
  while (peer_swarm_held_deadline (channel) <= self->core->now) {
    const PeerHeldChunk *held = peer_held_get (&channel->held, 0);
    if (!peer_chunks_has (self->have, held->chunk))
      unproven (self, channel, held->chunk);
    peer_held_remove (&channel->held, 0);
  }
}

/* The munro that says that nothing follows, and not before it is known. */
static bool
is_end (const PeerSwarm *self, PeerRange munro)
{
  return munro.first > 0 && peer_integrity_end (self->integrity, NULL) == munro.first;
}

/* It is known now that nothing follows: here, and soon at all peers. */
void
peer_swarm_tell_end (PeerSwarm *self)
{
  tell (self, PEER_EVENT_END, (PeerRange){0, peer_integrity_end (self->integrity, NULL)});
  for (guint i = 0; i < self->channels->len; i++) {
    PeerChannel *channel = g_ptr_array_index (self->channels, i);
    channel->hello |= channel->state == PEER_CHANNEL_OPEN;
    peer_core_ready (self->core, channel);
  }
}

void
peer_swarm_on_signed_integrity (PeerSwarm *self, PeerChannel *channel, const PeerMessage *message)
{
  PeerCore *core = self->core;
  channel->knows_end |= self->live && is_end (self, message->chunks);
  if (!self->live || self->source)
    return;
  if (peer_range_size (message->chunks) != self->content.chunks_per_signature) {
    /* the handshake does not carry NCHUNKS_PER_SIG, so our link may be wrong and not the peer */
    core->counters.munros_old++;
    return;
  }
  if (self->sign_all) {
    peer_signatures_add (channel->signatures, message->chunks.first, message->time,
                         message->bytes.data, message->bytes.left);
    channel->learned = true;
    return;
  }
  bool known = peer_integrity_has_munro (self->integrity, message->chunks);
  if (!known && (!peer_core_take (&channel->signature_tokens, &channel->signature_tokens_at,
                                  core->now, SIGNATURES_PER_PEER, SIGNATURES_PER_PEER, 1) ||
                 !peer_core_take (&core->signature_tokens, &core->signature_tokens_at, core->now,
                                  SIGNATURES_IN_ALL, SIGNATURES_IN_ALL, 1))) {
    core->counters.signatures_limited++;
    return;
  }
  core->counters.signatures_checked += !known;
  uint64_t ntp = time_to_judge_by (self, message->chunks.first);
  switch (peer_integrity_add_munro (self->integrity, channel->hashes, message->chunks,
                                    message->time, message->bytes.data, message->bytes.left, ntp,
                                    MUNRO_MAX_AGE)) {
  case PEER_INTEGRITY_GOOD:
    channel->learned = true;
    channel->munro_heard = MAX (channel->munro_heard, message->chunks.end);
    if (is_end (self, message->chunks)) {
      channel->knows_end = true;
      peer_swarm_tell_end (self);
    } else {
      peer_swarm_new_munro (self, message->chunks, message->time);
    }
    return;
  case PEER_INTEGRITY_KNOWN:
    channel->munro_heard = MAX (channel->munro_heard, message->chunks.end);
    return;
  case PEER_INTEGRITY_MISSING:
    return;
  case PEER_INTEGRITY_OLD:
    core->counters.munros_old++;
    return;
  case PEER_INTEGRITY_FORKED:
    core->counters.munros_forked++;
    peer_chunks_add (self->forked, message->chunks);
    return;
  case PEER_INTEGRITY_BAD:
    core->counters.signatures_bad++;
    peer_swarm_ban (self, channel);
    return;
  }
}

PeerIntegrityResult
peer_swarm_offer (PeerSwarm *self, PeerPendingHashes *hashes, uint64_t chunk, const uint8_t *bytes,
                  size_t n)
{
  PeerCounters *counters = &self->core->counters;
  if (peer_chunks_has (self->have, chunk))
    return PEER_INTEGRITY_KNOWN;
  PeerIntegrityResult result = peer_integrity_check (self->integrity, hashes, chunk, bytes, n);
  if (result != PEER_INTEGRITY_GOOD) {
    *(result == PEER_INTEGRITY_BAD ? &counters->chunks_bad : &counters->chunks_unproven) += 1;
    return result;
  }
  if (peer_chunks_has (self->requested, chunk))
    peer_swarm_unask (self, chunk, NULL);
  keep_chunk (self, NULL, chunk, bytes, n);
  return PEER_INTEGRITY_GOOD;
}
