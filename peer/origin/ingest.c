/* SPDX-License-Identifier: Apache-2.0 */
/* Until packets are found, bytes are held back, at most 64 KiB; what stands in front of the first
 * packet is dropped. From then on 188 bytes are taken at a time, and a packet that does not begin
 * with the sync byte sends us back to looking.
 *
 * When an encoder comes back, its clock and its continuity counters begin anew, so its stream is
 * joined to the one before. */
#include "peer/origin/ingest.h"
#include "peer/media/joint.h"

#include <string.h>

/* One byte in 256 is a sync byte by chance; five at the right places are not. */
#define FIRST_PACKETS 5
#define RATE_WINDOW 1000000 /* us */

struct OriginIngest {
  OriginPublisher *publisher;
  MediaTs *ts;
  bool connected, synced, found; /* found: this encoder sends packets */
  bool resumed;
  MediaJoint joint;    /* to the encoder before */
  GByteArray *pending; /* bytes not yet known to be packets, or a part of one */
  size_t looked;       /* no packets begin in so many of them */
  int64_t last;        /* us; when bytes came */
  int64_t rate_since;
  uint64_t rate_bytes;
  OriginIngestStats stats;
};

OriginIngest *
origin_ingest_new (OriginPublisher *publisher, bool resumed)
{
  OriginIngest *self = g_new0 (OriginIngest, 1);

  self->publisher = publisher;
  self->ts = media_ts_new ();
  self->pending = g_byte_array_new ();
  self->resumed = resumed;
  self->last = self->rate_since = INT64_MIN / 2;
  return self;
}

void
origin_ingest_free (OriginIngest *self)
{
  media_ts_free (self->ts);
  g_byte_array_unref (self->pending);
  g_free (self);
}

void
origin_ingest_begin (OriginIngest *self, int64_t now)
{
  g_assert (!self->connected);
  self->connected = true;
  self->synced = self->found = false;
  self->last = now;
  self->rate_since = now;
  self->rate_bytes = 0;
  self->stats.rate = 0;
  self->joint = (MediaJoint){0};
  g_byte_array_set_size (self->pending, 0);
  self->looked = 0;
  self->stats.sessions++;
}

static bool
publish (OriginIngest *self, int64_t now, const uint8_t *packet)
{
  MediaTsPacket told;
  unsigned behind;

  media_ts_feed (self->ts, packet, &told, &behind);
  self->stats.packets++;
  return origin_publisher_write (self->publisher, now, packet, MEDIA_TS_PACKET);
}

/* When there was another encoder before. */
static bool
publish_joint (OriginIngest *self, int64_t now, const uint8_t *packet)
{
  uint8_t joint[MEDIA_TS_PACKET];

  return !self->resumed || !media_joint_before (&self->joint, packet, joint) ||
         publish (self, now, joint);
}

/* Where packets begin; -1 = not to be seen yet. final: no more bytes come. */
static gssize
find_packets (const OriginIngest *self, const uint8_t *bytes, size_t n, bool final)
{
  size_t wanted = self->found ? 2 : FIRST_PACKETS, have;
  gssize at;

  for (size_t from = 0; from < n; from = (size_t)at + 1) {
    at = media_ts_sync (bytes + from, n - from);
    if (at < 0)
      return -1;
    at += (gssize)from;
    for (have = 1; (size_t)at + have * MEDIA_TS_PACKET < n && have < wanted; have++)
      if (bytes[(size_t)at + have * MEDIA_TS_PACKET] != 0x47)
        break;
    if (have == wanted || (final && (size_t)at + have * MEDIA_TS_PACKET >= n))
      return at;
  }
  return -1;
}

static void
skip (OriginIngest *self, size_t n)
{
  self->stats.bytes_skipped += n;
  g_byte_array_remove_range (self->pending, 0, (guint)n);
  self->looked -= MIN (self->looked, n);
}

/* Looks for packets in what is pending. false = go on when more has come. */
static bool
synchronise (OriginIngest *self, bool final)
{
  size_t keep = FIRST_PACKETS * MEDIA_TS_PACKET;
  gssize at = find_packets (self, self->pending->data + self->looked,
                            self->pending->len - self->looked, final);

  if (at >= 0) {
    skip (self, (size_t)at + self->looked);
    self->synced = self->found = true;
    self->looked = 0;
    return true;
  }
  self->looked = self->pending->len - MIN (self->pending->len, keep);
  /* Of what is no packet only so much is kept as may yet turn out to begin one. */
  if (self->found && self->pending->len > keep)
    skip (self, self->pending->len - keep);
  return false;
}

/* Packets in bytes. Returns how many bytes were used; fewer than whole packets = sync is lost, or
 * the publisher takes no more. */
static size_t
take_packets (OriginIngest *self, int64_t now, const uint8_t *bytes, size_t n, bool *full)
{
  size_t at = 0;

  for (; n - at >= MEDIA_TS_PACKET && !*full; at += MEDIA_TS_PACKET) {
    if (bytes[at] != 0x47) {
      self->synced = false;
      self->stats.syncs_lost++;
      break;
    }
    *full = !publish_joint (self, now, bytes + at) || !publish (self, now, bytes + at);
  }
  return at;
}

static void
measure (OriginIngest *self, int64_t now, size_t n)
{
  self->last = now;
  self->rate_bytes += n;
  if (now - self->rate_since < RATE_WINDOW)
    return;
  self->stats.rate = self->rate_bytes * 1000000 / (uint64_t)(now - self->rate_since);
  self->rate_since = now;
  self->rate_bytes = 0;
}

static OriginIngestResult
take_pending (OriginIngest *self, int64_t now, bool final)
{
  bool full = false;

  while (self->synced || synchronise (self, final)) {
    size_t used = take_packets (self, now, self->pending->data, self->pending->len, &full);

    g_byte_array_remove_range (self->pending, 0, (guint)used);
    if (full)
      return ORIGIN_INGEST_FULL;
    if (self->synced) /* all that is left is a part of a packet */
      return ORIGIN_INGEST_OK;
  }
  if (!self->found && (final || self->pending->len >= ORIGIN_INGEST_HEAD))
    return ORIGIN_INGEST_NOT_TS;
  return ORIGIN_INGEST_OK;
}

OriginIngestResult
origin_ingest_feed (OriginIngest *self, int64_t now, const uint8_t *bytes, size_t n)
{
  OriginIngestResult result;
  size_t used, part;
  bool full = false;

  measure (self, now, n);
  /* Packets that come whole are taken from where they lie. */
  if (self->synced && self->pending->len == 0) {
    used = take_packets (self, now, bytes, n, &full);
    if (full)
      return ORIGIN_INGEST_FULL;
    bytes += used;
    n -= used;
  }
  while (n > 0) {
    part = MIN (n, ORIGIN_INGEST_HEAD / 2);
    g_byte_array_append (self->pending, bytes, (guint)part);
    bytes += part;
    n -= part;
    result = take_pending (self, now, false);
    if (result != ORIGIN_INGEST_OK)
      return result;
  }
  return ORIGIN_INGEST_OK;
}

OriginIngestResult
origin_ingest_end (OriginIngest *self, int64_t now)
{
  OriginIngestResult result = ORIGIN_INGEST_OK;

  /* What feed has refused is not looked at again with the milder eye for a short stream. */
  if (self->connected && !self->found)
    result = self->pending->len < ORIGIN_INGEST_HEAD ? take_pending (self, now, true)
                                                     : ORIGIN_INGEST_NOT_TS;
  self->stats.bytes_skipped += self->pending->len;
  g_byte_array_set_size (self->pending, 0);
  self->connected = self->synced = false;
  self->stats.rate = 0;
  if (self->found)
    self->resumed = true;
  origin_publisher_flush (self->publisher, now);
  return result;
}

bool
origin_ingest_is_connected (const OriginIngest *self)
{
  return self->connected;
}

bool
origin_ingest_is_silent (const OriginIngest *self, int64_t now)
{
  return now - self->last >= ORIGIN_INGEST_SILENCE;
}

void
origin_ingest_stats (const OriginIngest *self, int64_t now, OriginIngestStats *out)
{
  *out = self->stats;
  out->info = media_ts_info (self->ts);
  if (!self->connected || now - self->last > 2 * RATE_WINDOW)
    out->rate = 0;
}
