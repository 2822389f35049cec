/* SPDX-License-Identifier: Apache-2.0 */
/* A key frame may be told some packets after the one in which it began, so that many are kept; they
 * lie in one piece that begins with a packet. */
#include "peer/cli/start.h"

#include "peer/media/mpegts.h"

#define PATIENCE (4 * G_USEC_PER_SEC)
#define KEPT (MEDIA_TS_BEHIND_MAX * MEDIA_TS_PACKET) /* bytes */
#define TRIM (KEPT + KEPT / 4)                       /* bytes: not at each chunk */
#define TABLES_ROOM 4136                             /* bytes: a PAT and a PMT of 11 packets each */

G_STATIC_ASSERT (TRIM + 65536 + 2 * MEDIA_TS_PACKET + TABLES_ROOM <= CLI_START_MAX);

struct CliStart {
  MediaTs *parser;
  GByteArray *kept;
  size_t parsed;   /* bytes of it */
  int64_t patient; /* us: until when; 0 = nothing has come yet */
};

CliStart *
cli_start_new (void)
{
  CliStart *self = g_new0 (CliStart, 1);
  self->parser = media_ts_new ();
  self->kept = g_byte_array_new ();
  return self;
}

void
cli_start_free (CliStart *self)
{
  if (self == NULL)
    return;
  media_ts_free (self->parser);
  g_byte_array_unref (self->kept);
  g_free (self);
}

void
cli_start_gap (CliStart *self)
{
  g_byte_array_set_size (self->kept, 0);
  self->parsed = 0;
}

static void
forget (CliStart *self, size_t n)
{
  if (n > 0)
    g_byte_array_remove_range (self->kept, 0, (guint)n);
  self->parsed -= MIN (n, self->parsed);
}

/* What is kept begins at a packet again, and that is the next one; false = none is in sight. */
static bool
find_packet (CliStart *self)
{
  const uint8_t *bytes = self->kept->data + self->parsed;
  size_t left = self->kept->len - self->parsed;
  if (bytes[0] == 0x47 && (self->parsed > 0 || left < 2 * MEDIA_TS_PACKET))
    return true;
  gssize skip = media_ts_sync (bytes, left);
  size_t useless = left > 2 * MEDIA_TS_PACKET ? left - 2 * MEDIA_TS_PACKET : 0;
  forget (self, self->parsed + (skip < 0 ? useless : (size_t)skip));
  return skip >= 0;
}

/* The tables and what is kept from there on. */
static GBytes *
begin (const CliStart *self, size_t from, bool at_picture)
{
  uint8_t tables[TABLES_ROOM];
  size_t n = at_picture ? media_ts_write_picture_tables (self->parser, tables, sizeof tables)
                        : media_ts_write_tables (self->parser, tables, sizeof tables);
  GByteArray *out = g_byte_array_new ();
  g_byte_array_append (out, tables, (guint)n);
  g_byte_array_append (out, self->kept->data + from, self->kept->len - (guint)from);
  return g_byte_array_free_to_bytes (out);
}

static GBytes *
take_packet (CliStart *self, int64_t now)
{
  MediaTsPacket packet;
  unsigned behind;
  if (now >= self->patient)
    return begin (self, self->parsed, false);
  if (!media_ts_feed (self->parser, self->kept->data + self->parsed, &packet, &behind)) {
    /* behind counts good packets only */
    g_byte_array_remove_range (self->kept, (guint)self->parsed, MEDIA_TS_PACKET);
    return NULL;
  }
  size_t back = (size_t)behind * MEDIA_TS_PACKET;
  self->parsed += MEDIA_TS_PACKET;
  if (!packet.starts_picture || !media_ts_has_tables (self->parser) ||
      back + MEDIA_TS_PACKET > self->parsed)
    return NULL;
  return begin (self, self->parsed - MEDIA_TS_PACKET - back, true);
}

GBytes *
cli_start_feed (CliStart *self, const uint8_t *bytes, size_t n, int64_t now)
{
  if (self->patient == 0)
    self->patient = now + PATIENCE;
  g_byte_array_append (self->kept, bytes, (guint)n);
  while (self->kept->len - self->parsed >= MEDIA_TS_PACKET && find_packet (self) &&
         self->kept->len - self->parsed >= MEDIA_TS_PACKET) {
    GBytes *start = take_packet (self, now);
    if (start != NULL)
      return start;
  }
  if (now >= self->patient + PATIENCE) /* and no packet of a transport stream either */
    return begin (self, self->parsed, false);
  if (self->kept->len > TRIM && self->parsed > KEPT)
    forget (self, self->parsed - KEPT);
  return NULL;
}
