/* SPDX-License-Identifier: Apache-2.0 */
/* One parser for all pieces, since only the first is sure to have the tables that say whose clock
 * counts:
 *
 *   HEAD   tables, codecs, the first clock        -> the last piece
 *   TAIL   the last clock: the duration           -> a guess, or done
 *   GUESS  the clock there narrows lo .. hi       -> the next guess, or done
 *
 * A guess goes by proportion between the nearest two places known, which for a constant bitrate is
 * right at once, and for a film in scenes within two or three. In the piece that is near enough, the
 * last picture that a decoder can start with, at or before the time, is the place. */
#include "proxy/probe.h"
#include "peer/media/mpegts.h"

enum {
  PIECE = 256 * 1024, /* a clock is in it up to 20 Mbit/s (ISO/IEC 13818-1, 2.7.2: each 100 ms) */
  SOON_MS = 5,
  MAX_GUESSES = 6,
};
#define NEAR_US (500 * 1000)
#define TIMEOUT_S 20

typedef enum { HEAD, TAIL, GUESS } Stage;

typedef struct {
  int64_t byte, time;
} Place;

struct ProxyProbe {
  ProxyFilm *film;
  ProxyFilmReader *reader;
  GByteArray *piece;
  int64_t at; /* bytes: where the piece begins */
  MediaTs *ts;
  Stage stage;
  unsigned guesses;
  int64_t wanted, origin; /* us: the time, and the clock at the beginning */
  Place lo, hi;
  ProxyProbeResult result;
  ProxyProbeFunc done;
  gpointer data;
  guint soon, timeout;
};

static void on_film (gpointer data);
static gboolean on_soon (gpointer data);

static void
stop_reading (ProxyProbe *self)
{
  g_clear_pointer (&self->reader, proxy_film_reader_free);
  g_clear_handle_id (&self->soon, g_source_remove);
}

void
proxy_probe_free (ProxyProbe *self)
{
  if (!self)
    return;
  proxy_watches_remove (proxy_film_watches (self->film), on_film, self);
  g_clear_handle_id (&self->timeout, g_source_remove);
  stop_reading (self);
  g_byte_array_unref (self->piece);
  media_ts_free (self->ts);
  proxy_film_unref (self->film);
  g_free (self);
}

static void
finish (ProxyProbe *self, bool found)
{
  g_clear_handle_id (&self->timeout, g_source_remove);
  stop_reading (self);
  self->done (found ? &self->result : NULL, self->data);
}

static int64_t
length_of (const ProxyProbe *self)
{
  return (int64_t)proxy_film_length (self->film);
}

static void
read_piece (ProxyProbe *self, Stage stage, int64_t at)
{
  int64_t length = length_of (self);
  self->stage = stage;
  self->at = CLAMP (at, 0, MAX (length - PIECE, 0));
  g_byte_array_set_size (self->piece, 0);
  self->reader = proxy_film_reader_new (self->film, (uint64_t)self->at,
                                        (uint64_t)MIN (self->at + PIECE, length));
  if (!self->soon)
    self->soon = g_idle_add (on_soon, self);
}

typedef struct {
  int64_t first, last; /* clocks, us; MEDIA_TS_NO_TIME = none */
  int64_t first_byte;
  Place picture; /* the last to start with, not after limit; byte -1 = none */
} Found;

/* What the piece says; limit: us of the stream's clock. */
static Found
scan (ProxyProbe *self, int64_t limit)
{
  Found found = {MEDIA_TS_NO_TIME, MEDIA_TS_NO_TIME, 0, {-1, 0}};
  gssize sync = media_ts_sync (self->piece->data, self->piece->len);
  for (size_t i = sync < 0 ? self->piece->len : (size_t)sync;
       i + MEDIA_TS_PACKET <= self->piece->len; i += MEDIA_TS_PACKET) {
    MediaTsPacket packet;
    unsigned behind = 0;
    if (!media_ts_feed (self->ts, self->piece->data + i, &packet, &behind))
      continue;
    if (packet.pcr != MEDIA_TS_NO_TIME) {
      if (found.first == MEDIA_TS_NO_TIME) {
        found.first = packet.pcr;
        found.first_byte = self->at + (int64_t)i;
      }
      found.last = packet.pcr;
    }
    if (packet.starts_picture && found.last != MEDIA_TS_NO_TIME && found.last <= limit &&
        (size_t)behind * MEDIA_TS_PACKET <= i)
      found.picture =
          (Place){self->at + (int64_t)(i - (size_t)behind * MEDIA_TS_PACKET), found.last};
  }
  return found;
}

static void
guess (ProxyProbe *self)
{
  int64_t bytes = self->hi.byte - self->lo.byte, span = self->hi.time - self->lo.time;
  double part = span > 0 ? (double)(self->wanted - self->lo.time) / (double)span : 0;
  int64_t at = self->lo.byte + (int64_t)((double)bytes * CLAMP (part, 0.0, 1.0));
  self->guesses++;
  /* a little before: the place itself is to be in the piece, with what leads to it */
  read_piece (self, GUESS, at - PIECE / 2);
}

static void
after_head (ProxyProbe *self)
{
  Found found = scan (self, INT64_MAX);
  if (!media_ts_has_tables (self->ts) || found.first == MEDIA_TS_NO_TIME) {
    finish (self, false);
    return;
  }
  self->origin = found.first;
  self->result.info = *media_ts_info (self->ts);
  read_piece (self, TAIL, length_of (self) - PIECE);
}

static void
after_tail (ProxyProbe *self)
{
  Found found = scan (self, INT64_MAX);
  int64_t duration = found.last == MEDIA_TS_NO_TIME ? -1 : found.last - self->origin;
  self->result.duration = duration > 0 ? duration : -1;
  if (self->wanted < 0 || duration <= 0) {
    finish (self, self->wanted < 0 || duration > 0);
    return;
  }
  self->wanted = MIN (self->wanted, duration);
  self->hi = (Place){length_of (self), duration};
  guess (self);
}

static void
after_guess (ProxyProbe *self)
{
  Found found = scan (self, self->origin + self->wanted);
  if (found.first == MEDIA_TS_NO_TIME) {
    finish (self, false); /* a clock that far apart is none */
    return;
  }
  Place here = {found.first_byte, found.first - self->origin};
  int64_t last = found.last - self->origin;
  bool inside = here.time <= self->wanted && self->wanted <= last + NEAR_US;
  if (!inside && self->guesses < MAX_GUESSES) {
    if (here.time > self->wanted && here.byte < self->hi.byte)
      self->hi = here;
    else if (here.time <= self->wanted && here.byte > self->lo.byte)
      self->lo = here;
    else
      inside = true; /* no nearer than this */
    if (!inside) {
      guess (self);
      return;
    }
  }
  if (found.picture.byte >= 0)
    here = (Place){found.picture.byte, found.picture.time - self->origin};
  self->result.byte = here.byte;
  self->result.time = MAX (here.time, 0);
  finish (self, true);
}

static gboolean
on_soon (gpointer data)
{
  ProxyProbe *self = data;
  self->soon = 0;
  on_film (self);
  return G_SOURCE_REMOVE;
}

static gboolean
on_timeout (gpointer data)
{
  ProxyProbe *self = data;
  self->timeout = 0;
  finish (self, false);
  return G_SOURCE_REMOVE;
}

/* Takes what is here of the piece; at its end the stage goes on, which may end the probe. */
static void
on_film (gpointer data)
{
  ProxyProbe *self = data;
  while (self->reader) {
    g_autoptr (GBytes) bytes = NULL;
    switch (proxy_film_reader_read (self->reader, &bytes)) {
    case PROXY_FILM_BYTES:
      g_byte_array_append (self->piece, g_bytes_get_data (bytes, NULL),
                           (guint)g_bytes_get_size (bytes));
      break;
    case PROXY_FILM_ABSENT:
      return;
    case PROXY_FILM_SOON:
      if (!self->soon)
        self->soon = g_timeout_add (SOON_MS, on_soon, self);
      return;
    case PROXY_FILM_FAILED:
      finish (self, false);
      return;
    case PROXY_FILM_END:
      stop_reading (self);
      switch (self->stage) {
      case HEAD:
        after_head (self);
        break;
      case TAIL:
        after_tail (self);
        break;
      case GUESS:
        after_guess (self);
        break;
      }
      /* It may be gone now; what it reads next begins with a fresh look. */
      return;
    }
  }
}

ProxyProbe *
proxy_probe_new (ProxyFilm *film, int64_t time, ProxyProbeFunc done, gpointer data)
{
  ProxyProbe *self = g_new0 (ProxyProbe, 1);
  self->film = proxy_film_ref (film);
  self->piece = g_byte_array_new ();
  self->ts = media_ts_new ();
  self->wanted = time;
  self->result.duration = -1;
  self->done = done;
  self->data = data;
  self->timeout = g_timeout_add_seconds (TIMEOUT_S, on_timeout, self);
  proxy_watches_add (proxy_film_watches (film), on_film, self);
  read_piece (self, HEAD, 0);
  return self;
}
