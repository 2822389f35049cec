/* SPDX-License-Identifier: Apache-2.0 */
/* A segment begins with a key frame and ends where the first one begins that is two seconds or more
 * behind, or where its run of chunks ends. Each carries its tables in front, so that a player can
 * begin with any. A new run, and a clock that jumps, make a discontinuity (4.3.2.3).
 *
 * The target duration grows when key frames come further apart than ever before. RFC 8216, 6.2.1,
 * forbids that; 4.3.3.1 forbids the other way out, a segment that is longer than it, and players
 * stall on that one.
 *
 * The ring may let go of a segment at any moment, so the oldest third is served to those who know
 * of it but named to nobody new: a player has the time that it takes to fetch what it was told. */
#include "proxy/segments.h"

enum {
  LISTED_LEAST = 3, /* RFC 8216, 6.2.2: a playlist of three target durations at least */
  LISTED_MOST = 10,
  KEPT = 64,
};

#define JUMP (10 * G_USEC_PER_SEC)  /* between two key frames: the encoder's clock began anew */
#define KEY_DISTANCE G_USEC_PER_SEC /* as long as none is known */

typedef struct {
  ProxyPlace begin, end;
  GBytes *tables;
  int64_t pts, last_pts; /* us; of its first key frame, and of its last */
  int64_t duration;      /* us; 0 = not complete */
  int64_t wall;          /* us, Unix time of its beginning */
  uint64_t run;
  bool discontinuity; /* from the one before */
} Segment;

struct ProxySegments {
  ProxyRing *ring;
  GArray *segments;         /* Segment; the last one may be open */
  uint64_t first;           /* number of the first in segments */
  uint64_t discontinuities; /* before it */
  int64_t key_distance;     /* us; the last that was seen */
  int64_t longest;          /* us */
  ProxyPlace seen;          /* the last key frame that was taken in */
  bool any;
};

static void
segment_clear (gpointer data)
{
  g_bytes_unref (((Segment *)data)->tables);
}

ProxySegments *
proxy_segments_new (ProxyRing *ring, uint64_t first)
{
  ProxySegments *self = g_new0 (ProxySegments, 1);
  self->ring = proxy_ring_ref (ring);
  self->first = first;
  self->key_distance = KEY_DISTANCE;
  self->longest = PROXY_SEGMENT_TIME;
  self->segments = g_array_new (FALSE, FALSE, sizeof (Segment));
  g_array_set_clear_func (self->segments, segment_clear);
  return self;
}

void
proxy_segments_free (ProxySegments *self)
{
  if (!self)
    return;
  proxy_ring_unref (self->ring);
  g_array_unref (self->segments);
  g_free (self);
}

static Segment *
at (const ProxySegments *self, guint i)
{
  return &g_array_index (self->segments, Segment, i);
}

static Segment *
open_segment (const ProxySegments *self)
{
  guint n = self->segments->len;
  return n > 0 && at (self, n - 1)->duration == 0 ? at (self, n - 1) : NULL;
}

/* duration: us. The longest sets the target duration, which holds for all (4.3.3.1). */
static void
close_segment (ProxySegments *self, ProxyPlace end, int64_t duration)
{
  Segment *segment = open_segment (self);
  segment->end = end;
  segment->duration = MAX (duration, 1);
  self->longest = MAX (self->longest, segment->duration);
}

/* Nobody knows how long the last pictures of a run last: as long as those before. */
static void
close_broken (ProxySegments *self)
{
  const Segment *segment = open_segment (self);
  ProxyPlace end = {proxy_ring_run_end (self->ring, segment->begin.chunk), 0};
  close_segment (self, end, segment->last_pts - segment->pts + self->key_distance);
}

static void
begin_segment (ProxySegments *self, const ProxyKey *key, int64_t wall, bool discontinuity)
{
  Segment segment = {.begin = key->place,
                     .tables = g_bytes_ref (key->tables),
                     .pts = key->pts,
                     .last_pts = key->pts,
                     .wall = wall,
                     .run = key->run,
                     .discontinuity = discontinuity};
  g_array_append_val (self->segments, segment);
}

static void
take_key (ProxySegments *self, const ProxyKey *key, int64_t wall)
{
  Segment *segment = open_segment (self);
  if (!segment) {
    begin_segment (self, key, wall, self->segments->len > 0);
    return;
  }
  int64_t step = key->pts - segment->last_pts;
  if (key->run != segment->run) {
    close_broken (self);
    begin_segment (self, key, wall, true);
  } else if (step <= 0 || step > JUMP) {
    close_segment (self, key->place, segment->last_pts - segment->pts + self->key_distance);
    begin_segment (self, key, wall, true);
  } else {
    self->key_distance = step;
    segment->last_pts = key->pts;
    if (key->pts - segment->pts < PROXY_SEGMENT_TIME)
      return;
    int64_t duration = key->pts - segment->pts, begin = segment->wall;
    close_segment (self, key->place, duration);
    begin_segment (self, key, begin + duration, false);
  }
}

static void
forget (ProxySegments *self)
{
  uint64_t oldest = proxy_ring_oldest (self->ring);
  guint n = 0;
  while (n < self->segments->len &&
         (at (self, n)->begin.chunk < oldest || self->segments->len - n > KEPT)) {
    self->discontinuities += at (self, n)->discontinuity;
    n++;
  }
  g_array_remove_range (self->segments, 0, n);
  self->first += n;
}

void
proxy_segments_update (ProxySegments *self, int64_t wall)
{
  const ProxyKey *key;
  while ((key = proxy_ring_next_key (self->ring, self->any ? &self->seen : NULL))) {
    self->any = true;
    self->seen = key->place;
    if (key->pts != MEDIA_TS_NO_TIME)
      take_key (self, key, wall);
  }
  const Segment *last = open_segment (self);
  if (last && proxy_ring_has_ended (self->ring))
    close_broken (self);
  forget (self);
}

guint
proxy_segments_count (const ProxySegments *self)
{
  return self->segments->len - (open_segment (self) != NULL);
}

static void
append_segment (GString *out, const Segment *segment, const char *id, uint64_t number, bool first)
{
  if (segment->discontinuity && !first)
    g_string_append (out, "#EXT-X-DISCONTINUITY\n");
  if (segment->discontinuity || first) {
    g_autoptr (GDateTime) whole = g_date_time_new_from_unix_utc (segment->wall / G_USEC_PER_SEC);
    g_autofree char *date = g_date_time_format (whole, "%Y-%m-%dT%H:%M:%S");
    g_string_append_printf (out, "#EXT-X-PROGRAM-DATE-TIME:%s.%03dZ\n", date,
                            (int)(segment->wall % G_USEC_PER_SEC / 1000));
  }
  g_string_append_printf (out, "#EXTINF:%d.%03d,\n%s/%" G_GUINT64_FORMAT ".ts\n",
                          (int)(segment->duration / G_USEC_PER_SEC),
                          (int)(segment->duration % G_USEC_PER_SEC / 1000), id, number);
}

GString *
proxy_segments_playlist (const ProxySegments *self, const char *id)
{
  guint n = proxy_segments_count (self);
  guint listed = MIN (n, CLAMP (n - n / 3, LISTED_LEAST, LISTED_MOST)), skipped = n - listed;
  uint64_t discontinuities = self->discontinuities;
  /* that of the first one listed is counted, and not told */
  for (guint i = 0; i <= skipped && i < n; i++)
    discontinuities += at (self, i)->discontinuity;
  /* 4.3.3.1: durations rounded to the nearest integer are not longer */
  int64_t target = (self->longest + G_USEC_PER_SEC / 2) / G_USEC_PER_SEC;
  GString *out = g_string_new ("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-INDEPENDENT-SEGMENTS\n");
  g_string_append_printf (out,
                          "#EXT-X-TARGETDURATION:%" G_GINT64_FORMAT
                          "\n#EXT-X-MEDIA-SEQUENCE:%" G_GUINT64_FORMAT
                          "\n#EXT-X-DISCONTINUITY-SEQUENCE:%" G_GUINT64_FORMAT "\n",
                          target, self->first + skipped, discontinuities);
  for (guint i = skipped; i < n; i++)
    append_segment (out, at (self, i), id, self->first + i, i == skipped);
  if (proxy_ring_has_ended (self->ring))
    g_string_append (out, "#EXT-X-ENDLIST\n");
  return out;
}

/* Of n bytes that lie between from and to, those before end. */
static size_t
bytes_before (ProxyPlace from, ProxyPlace to, ProxyPlace end, uint32_t chunk_size, size_t n)
{
  if (to.chunk <= end.chunk)
    return n;
  return (size_t)(end.chunk - from.chunk) * chunk_size + end.offset - from.offset;
}

GPtrArray *
proxy_segments_read (ProxySegments *self, uint64_t number)
{
  forget (self);
  if (number < self->first || number - self->first >= proxy_segments_count (self))
    return NULL;
  const Segment *segment = at (self, (guint)(number - self->first));
  GPtrArray *pieces = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  g_ptr_array_add (pieces, g_bytes_ref (segment->tables));
  ProxyPlace place = segment->begin;
  uint32_t chunk_size = proxy_ring_chunk_size (self->ring);
  while (place.chunk < segment->end.chunk ||
         (place.chunk == segment->end.chunk && place.offset < segment->end.offset)) {
    ProxyPlace from = place;
    bool jumped;
    g_autoptr (GBytes) bytes = proxy_ring_read (self->ring, &place, &jumped);
    if (!bytes || jumped)
      break;
    size_t n = bytes_before (from, place, segment->end, chunk_size, g_bytes_get_size (bytes));
    g_ptr_array_add (pieces, g_bytes_new_from_bytes (bytes, 0, n));
  }
  return pieces;
}
