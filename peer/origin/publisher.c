/* SPDX-License-Identifier: Apache-2.0 */
/* Packets fill a chunk, chunks fill a subtree, a full subtree is signed and given out:
 *
 *   packets   ▮▮▮▮▮▮|▮▮▮▮▮▮|▮▮            the open chunk
 *   chunks    ▬▬▬▬▬▬▬▬▬▬▬▬|▬▬▬▬           the open subtree; nobody gets it before it is signed
 *
 * A stream that pauses would leave its last picture in the open subtree, so after a while it is
 * filled up with null packets, which any receiver drops (ISO/IEC 13818-1, 2.4.1). Chunks of variable
 * size need one of them each, where the others need to be full.
 *
 * Nothing is appended past the limit. It is a multiple of the chunks per signature, so an open
 * subtree can always be filled up. */
#include "peer/origin/publisher.h"

#include "peer/media/mpegts.h"

#include <string.h>

#define VARIABLE_CHUNK (6 * MEDIA_TS_PACKET) /* bytes: fits an IPv6 minimum MTU with its headers */

struct OriginPublisher {
  PeerEngine *engine;
  PeerSwarm *swarm;
  PeerKey *key;
  uint32_t chunk_size; /* bytes; of variable chunks, the most */
  uint32_t fill_size;  /* bytes that a chunk of null packets must have */
  uint32_t per_signature;
  uint64_t limit, max_chunks;
  size_t n_open; /* bytes of the open chunk */
  uint8_t *open;
  int64_t last; /* us; when the last packet came */
  OriginPublisherStats stats;
};

OriginPublisher *
origin_publisher_new (const OriginPublisherOptions *options)
{
  OriginPublisher *self = g_new0 (OriginPublisher, 1);
  const PeerContent *content = peer_swarm_content (options->swarm);
  bool variable = peer_content_is_variable (content);

  self->engine = options->engine;
  self->swarm = options->swarm;
  self->key = options->key;
  self->chunk_size = variable ? VARIABLE_CHUNK : content->chunk_size;
  self->fill_size = variable ? MEDIA_TS_PACKET : content->chunk_size;
  self->per_signature = content->chunks_per_signature;
  self->max_chunks = peer_content_max_chunks (content);
  self->open = g_malloc (self->chunk_size);
  self->stats.next = options->first;
  g_assert (self->chunk_size % MEDIA_TS_PACKET == 0);
  g_assert (options->first % self->per_signature == 0);
  peer_engine_start (self->engine, self->swarm, options->first);
  return self;
}

void
origin_publisher_free (OriginPublisher *self)
{
  peer_key_free (self->key);
  g_free (self->open);
  g_free (self);
}

void
origin_publisher_set_limit (OriginPublisher *self, uint64_t end)
{
  end = MIN (end, self->max_chunks);
  self->limit = end - end % self->per_signature;
}

uint64_t
origin_publisher_limit (const OriginPublisher *self)
{
  return self->limit;
}

/* Chunks of the open subtree that are appended. */
static uint64_t
n_appended (const OriginPublisher *self)
{
  return self->stats.next % self->per_signature;
}

static void
publish_chunk (OriginPublisher *self, int64_t now)
{
  uint64_t chunk = peer_engine_append (self->engine, self->swarm, self->open, self->n_open);

  g_assert (chunk == self->stats.next);
  self->n_open = 0;
  self->stats.next++;
  self->stats.chunks++;
  if (n_appended (self) != 0)
    return;
  /* Without its signature the subtree stays where it is, and nothing can follow it. */
  if (peer_engine_sign (self->engine, self->swarm, self->key, now))
    self->stats.signatures++;
  else
    self->stats.stopped = true;
}

bool
origin_publisher_write (OriginPublisher *self, int64_t now, const uint8_t *packets, size_t n)
{
  size_t part;

  g_assert (n % MEDIA_TS_PACKET == 0);
  while (n > 0) {
    if (self->stats.stopped || self->stats.next >= self->limit)
      return false;
    part = MIN (n, self->chunk_size - self->n_open);
    memcpy (self->open + self->n_open, packets, part);
    self->n_open += part;
    self->last = now;
    packets += part;
    n -= part;
    if (self->n_open == self->chunk_size)
      publish_chunk (self, now);
  }
  return true;
}

int64_t
origin_publisher_deadline (const OriginPublisher *self)
{
  if (self->stats.stopped || (self->n_open == 0 && n_appended (self) == 0))
    return PEER_NEVER;
  return self->last + ORIGIN_IDLE;
}

void
origin_publisher_turn (OriginPublisher *self, int64_t now)
{
  if (now >= origin_publisher_deadline (self))
    origin_publisher_flush (self, now);
}

void
origin_publisher_flush (OriginPublisher *self, int64_t now)
{
  if (origin_publisher_deadline (self) == PEER_NEVER)
    return;
  self->stats.fills++;
  do {
    while (self->n_open < self->fill_size) {
      media_ts_null_packet (self->open + self->n_open);
      self->n_open += MEDIA_TS_PACKET;
      self->stats.null_packets++;
    }
    publish_chunk (self, now);
  } while (n_appended (self) != 0 && !self->stats.stopped);
}

bool
origin_publisher_end (OriginPublisher *self, int64_t now)
{
  origin_publisher_flush (self, now);
  bool ended = !self->stats.stopped && self->stats.next > 0 &&
               peer_engine_end (self->engine, self->swarm, self->key, now);
  self->stats.stopped = true;
  return ended;
}

void
origin_publisher_stats (const OriginPublisher *self, OriginPublisherStats *out)
{
  *out = self->stats;
}
