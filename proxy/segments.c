/* SPDX-License-Identifier: Apache-2.0 */
/* A segment begins with a key frame and ends where the first one begins that is two seconds or more
 * behind, or where its run of chunks ends. Each carries its tables in front, so that a player can
 * begin with any. A new run, and a clock that jumps, make a discontinuity (4.3.2.3).
 *
 * No segment is longer, rounded, than the target duration (4.3.3.1), and that never changes once it
 * is told (6.2.1): it is what the longest segment took by then. Where a key frame is late, a segment
 * ends before another picture, so the list does not promise that segments are independent of each
 * other.
 *
 * The ring may let go of a segment at any moment, so the oldest third is served to those who know
 * of it but named to nobody new: a player has the time that it takes to fetch what it was told. Of a
 * time-shift it is the older half: a segment stays for as long as the longest playlist that named it, and
 * its own duration (6.2.2). */
#include "proxy/segments.h"
#include "proxy/ring-read.h"

enum {
  LISTED_LEAST = 3, /* target durations, where the ring has them (6.2.2) */
  LISTED_MOST = 10, /* segments, beyond those */
  KEPT = 64,
  KEPT_SHIFTED = 3600, /* with a time-shift: two hours and more, and no list of more than 100 kB */
};

#define ROUNDED (G_USEC_PER_SEC / 2)  /* less is no part of a duration, as 4.3.3.1 compares them */
#define LONGEST (10 * G_USEC_PER_SEC) /* a segment, as long as no target duration is told */

typedef struct {
  ProxyPlace begin, end;
  GBytes *tables;
  ProxyPlace last;       /* its newest picture */
  int64_t pts, last_pts; /* us; of its first picture, and of the newest */
  int64_t duration;      /* us; 0 = not complete */
  int64_t wall;          /* us, Unix time of its beginning */
  uint64_t run;
  bool discontinuity; /* from the one before */
} Segment;

struct ProxySegments {
  ProxyRing *ring;
  GArray *segments;          /* Segment; the last one may be open */
  uint64_t first;            /* number of the first in segments */
  uint64_t discontinuities;  /* before it */
  int64_t longest;           /* us */
  unsigned target;           /* seconds; 0 = not told yet */
  ProxyPlace seen_key, seen; /* the last key frame and picture that were taken in */
  bool any_key, any;         /* there were such */
  ProxyPicture late; /* where the open one ends if no key frame comes; tables: none, or owned */
};

static void
segment_clear (gpointer data)
{
  g_bytes_unref (((Segment *)data)->tables);
}

ProxySegments *
proxy_segments_new (ProxyRing *ring, uint64_t first, const ProxySegmentsTold *told)
{
  ProxySegments *self = g_new0 (ProxySegments, 1);
  self->ring = proxy_ring_ref (ring);
  self->first = told ? MAX (first, told->next) : first;
  self->target = told ? told->target : 0;
  self->discontinuities = told ? told->discontinuities : 0;
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
  g_clear_pointer (&self->late.tables, g_bytes_unref);
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

/* us; no segment is longer */
static int64_t
limit (const ProxySegments *self)
{
  return self->target > 0 ? self->target * G_USEC_PER_SEC : LONGEST;
}

static void
close_segment (ProxySegments *self, ProxyPlace end, int64_t duration)
{
  Segment *segment = open_segment (self);
  segment->end = end;
  segment->duration = MAX (duration, 1);
  self->longest = MAX (self->longest, segment->duration);
}

/* Nobody tells how long the last pictures last. */
static void
close_broken (ProxySegments *self, ProxyPlace end)
{
  const Segment *segment = open_segment (self);
  close_segment (self, end, segment->last_pts - segment->pts + PROXY_PICTURE_SPACING / 2);
}

static void
begin_segment (ProxySegments *self, const ProxyPicture *picture, int64_t wall, bool discontinuity)
{
  Segment segment = {.begin = picture->place,
                     .tables = g_bytes_ref (picture->tables),
                     .last = picture->place,
                     .pts = picture->pts,
                     .last_pts = picture->pts,
                     .wall = wall,
                     .run = picture->run,
                     .discontinuity = discontinuity};
  g_array_append_val (self->segments, segment);
  g_clear_pointer (&self->late.tables, g_bytes_unref);
}

/* Ends the open segment before picture, without a gap. */
static void
cut (ProxySegments *self, const ProxyPicture *picture)
{
  const Segment *segment = open_segment (self);
  int64_t duration = picture->pts - segment->pts, begin = segment->wall;
  close_segment (self, picture->place, duration);
  begin_segment (self, picture, begin + duration, false);
}

/* Ends the open segment before the newest picture, if there is one behind its first. */
static void
cut_late (ProxySegments *self)
{
  g_autoptr (GBytes) tables = g_steal_pointer (&self->late.tables);
  ProxyPicture late = self->late;
  late.tables = tables;
  if (tables)
    cut (self, &late);
}

/* The open segment goes on with picture. */
static void
go_on (ProxySegments *self, const ProxyPicture *picture)
{
  Segment *segment = open_segment (self);
  segment->last = picture->place;
  segment->last_pts = picture->pts;
  g_clear_pointer (&self->late.tables, g_bytes_unref);
  self->late = *picture;
  g_bytes_ref (self->late.tables);
}

static void
take_key (ProxySegments *self, const ProxyPicture *key, int64_t wall)
{
  const Segment *segment = open_segment (self);
  if (!segment) {
    begin_segment (self, key, wall, self->segments->len > 0);
    return;
  }
  int64_t step = key->pts - segment->last_pts;
  /* a key frame may be known for one only when pictures behind it are */
  bool told_late = !proxy_place_is_before (segment->last, key->place);
  if (key->run != segment->run) {
    close_broken (self, proxy_ring_run_end (self->ring, segment->begin.chunk));
    begin_segment (self, key, wall, true);
  } else if (!told_late && (step < 0 || step > limit (self))) {
    close_broken (self, key->place);
    begin_segment (self, key, wall, true);
  } else {
    if (!told_late && key->pts - segment->pts >= limit (self) + ROUNDED)
      cut_late (self);
    if (key->pts - open_segment (self)->pts >= PROXY_SEGMENT_TIME)
      cut (self, key);
    else if (!told_late)
      go_on (self, key);
  }
}

/* What is of another run, or of another clock, waits for its key frame. */
static void
take_picture (ProxySegments *self, const ProxyPicture *picture)
{
  const Segment *segment = open_segment (self);
  if (!segment || picture->run != segment->run || picture->pts <= segment->last_pts ||
      picture->pts - segment->last_pts > limit (self))
    return;
  if (picture->pts - segment->pts > limit (self))
    cut_late (self);
  go_on (self, picture);
}

static bool
is_shifted (const ProxySegments *self)
{
  return proxy_ring_is_shifted (self->ring);
}

static void
forget (ProxySegments *self)
{
  uint64_t oldest = proxy_ring_oldest (self->ring);
  guint n = 0, kept = is_shifted (self) ? KEPT_SHIFTED : KEPT;
  while (n < self->segments->len &&
         (at (self, n)->begin.chunk < oldest || self->segments->len - n > kept)) {
    self->discontinuities += at (self, n)->discontinuity;
    n++;
  }
  g_array_remove_range (self->segments, 0, n);
  self->first += n;
}

/* Takes in the next key frame or picture, as they stand in the stream. false = there is none. */
static bool
take_next (ProxySegments *self, int64_t wall)
{
  const ProxyPicture *key =
      proxy_ring_next_key (self->ring, self->any_key ? &self->seen_key : NULL);
  const ProxyPicture *picture =
      proxy_ring_next_picture (self->ring, self->any ? &self->seen : NULL);
  if (key && (!picture || !proxy_place_is_before (picture->place, key->place))) {
    self->any_key = true;
    self->seen_key = key->place;
    if (key->pts != MEDIA_TS_NO_TIME)
      take_key (self, key, wall);
    return true;
  }
  if (!picture)
    return false;
  self->any = true;
  self->seen = picture->place;
  take_picture (self, picture);
  return true;
}

void
proxy_segments_update (ProxySegments *self, int64_t wall)
{
  while (take_next (self, wall))
    ;
  const Segment *last = open_segment (self);
  if (last && proxy_ring_has_ended (self->ring))
    close_broken (self, proxy_ring_run_end (self->ring, last->begin.chunk));
  forget (self);
}

guint
proxy_segments_count (const ProxySegments *self)
{
  return self->segments->len - (open_segment (self) != NULL);
}

static const Segment *
find_segment (const ProxySegments *self, uint64_t number)
{
  if (number < self->first || number - self->first >= proxy_segments_count (self))
    return NULL;
  return at (self, (guint)(number - self->first));
}

bool
proxy_segments_is_past (const ProxySegments *self, uint64_t number)
{
  const Segment *segment = find_segment (self, number);
  return segment && segment->begin.chunk < proxy_ring_oldest_in_memory (self->ring);
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

/* How many of the n complete ones a playlist names: all but the oldest third, or half, but not so few
 * that they are shorter than three target durations. */
static guint
count_listed (const ProxySegments *self, guint n)
{
  guint listed = 0,
        enough = is_shifted (self) ? (n - MIN (n, 4)) / 2 : MIN (n - n / 3, LISTED_MOST);
  int64_t duration = 0;
  while (listed < n && (listed < enough || duration < LISTED_LEAST * limit (self)))
    duration += at (self, n - ++listed)->duration;
  return listed;
}

GString *
proxy_segments_playlist (ProxySegments *self, const char *id)
{
  if (self->target == 0)
    self->target = (unsigned)((self->longest + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);
  guint n = proxy_segments_count (self), skipped = n - count_listed (self, n);
  uint64_t discontinuities = self->discontinuities;
  /* that of the first one listed is counted, and not told */
  for (guint i = 0; i <= skipped && i < n; i++)
    discontinuities += at (self, i)->discontinuity;
  GString *out = g_string_new ("#EXTM3U\n#EXT-X-VERSION:3\n");
  g_string_append_printf (out,
                          "#EXT-X-TARGETDURATION:%u"
                          "\n#EXT-X-MEDIA-SEQUENCE:%" G_GUINT64_FORMAT
                          "\n#EXT-X-DISCONTINUITY-SEQUENCE:%" G_GUINT64_FORMAT "\n",
                          self->target, self->first + skipped, discontinuities);
  for (guint i = skipped; i < n; i++)
    append_segment (out, at (self, i), id, self->first + i, i == skipped);
  if (proxy_ring_has_ended (self->ring))
    g_string_append (out, "#EXT-X-ENDLIST\n");
  return out;
}

void
proxy_segments_told (const ProxySegments *self, ProxySegmentsTold *out)
{
  *out = (ProxySegmentsTold){.target = self->target,
                             .next = self->first + proxy_segments_count (self),
                             .discontinuities = self->discontinuities + 1};
  for (guint i = 0; i < self->segments->len; i++)
    out->discontinuities += at (self, i)->discontinuity;
}

/* Of n bytes that lie between from and to, those before end. */
static size_t
bytes_before (ProxyPlace from, ProxyPlace to, ProxyPlace end, uint32_t chunk_size, size_t n)
{
  if (!proxy_place_is_before (end, to))
    return n;
  return (size_t)(end.chunk - from.chunk) * chunk_size + end.offset - from.offset;
}

void
proxy_segment_reader_init (ProxySegmentReader *self, uint64_t number)
{
  *self = (ProxySegmentReader){
      .number = number,
      .pieces = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref),
  };
}

void
proxy_segment_reader_clear (ProxySegmentReader *self)
{
  g_clear_pointer (&self->pieces, g_ptr_array_unref);
}

ProxySegmentResult
proxy_segments_read (ProxySegments *self, ProxySegmentReader *reader)
{
  forget (self);
  const Segment *segment = find_segment (self, reader->number);
  if (!segment)
    return PROXY_SEGMENT_GONE;
  if (reader->pieces->len == 0) {
    g_ptr_array_add (reader->pieces, g_bytes_ref (segment->tables));
    reader->place = segment->begin;
  }
  uint32_t chunk_size = proxy_ring_chunk_size (self->ring);
  while (proxy_place_is_before (reader->place, segment->end)) {
    ProxyPlace from = reader->place;
    bool jumped;
    g_autoptr (GBytes) bytes = proxy_ring_read (self->ring, &reader->place, SIZE_MAX, &jumped);
    if (jumped)
      return PROXY_SEGMENT_GONE;
    if (!bytes && proxy_ring_waits (self->ring, &reader->place))
      return PROXY_SEGMENT_WAITS;
    if (!bytes)
      break;
    size_t n =
        bytes_before (from, reader->place, segment->end, chunk_size, g_bytes_get_size (bytes));
    g_ptr_array_add (reader->pieces, g_bytes_new_from_bytes (bytes, 0, n));
  }
  return PROXY_SEGMENT_WHOLE;
}
