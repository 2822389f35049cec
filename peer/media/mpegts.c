/* SPDX-License-Identifier: Apache-2.0 */
/* A packet (ISO/IEC 13818-1, 2.4.3.2):
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |     0x47      |E|S|P|           PID           |Scr|AFC|  CC   |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   | adaptation field: length, flags, PCR (AFC 2, 3) | payload (1, 3)
 *
 * Of all PIDs four are followed: the PAT, one PMT, and the first video and audio stream in it.
 * Everything has a fixed size, so no stream can make this grow.
 *
 * A picture is a candidate when its PES packet begins; the scan of its bytes (codec.h) decides,
 * mostly in the same packet. The scan is the truth, because there are encoders that set the random
 * access indicator everywhere or nowhere; the indicator alone decides only where nothing can be
 * scanned: scrambled packets and codecs that are not known here. */
#include "peer/media/mpegts.h"

#include "peer/media/codec.h"

#include <string.h>

#define PID_PAT 0
#define PID_NULL 0x1FFF
#define SECTION_MAX 4096 /* bytes, of a private section; PAT and PMT have at most 1024 (2.4.4) */
#define TABLE_MAX 1024
#define PES_HEADER_MAX (9 + 255)
#define AUDIO_HEAD 256 /* bytes of an audio PES packet in which a frame's header is looked for */
#define CLOCK_BITS 33
#define CLOCK_MAX ((int64_t)1 << 50)
#define NO_COUNTER 0xFF

/* Puts sections together; one for each PID that carries them. */
typedef struct {
  uint8_t counter;
  bool active; /* in a section; else waiting for the next to begin */
  size_t n;
  uint8_t bytes[SECTION_MAX];
} Section;

/* An elementary stream that is followed. */
typedef struct {
  uint8_t counter;
  bool in_header; /* a PES header is being collected */
  bool in_payload;
  bool hint;
  size_t n;
  uint8_t header[PES_HEADER_MAX];
} Pes;

struct MediaTs {
  MediaStreamInfo info;
  uint64_t bad;
  uint16_t program;
  uint8_t pat_section;
  size_t n_pat, n_pmt;
  uint8_t pat[TABLE_MAX], pmt[TABLE_MAX];
  Section pat_reader, pmt_reader;

  Pes video, audio;
  MediaScan scan;
  size_t n_audio_head;
  uint8_t audio_head[AUDIO_HEAD];

  bool has_pcr, has_pts;
  int64_t pcr_base, pts_base; /* unwrapped, 90 kHz */

  /* The picture whose PES packet began last. */
  bool candidate;
  unsigned age; /* packets since then */
  int64_t candidate_pts;
  uint8_t candidate_pat_counter, candidate_pmt_counter;
  /* The picture told last. */
  uint8_t picture_pat_counter, picture_pmt_counter;
};

/* A packet, taken apart. */
typedef struct {
  uint16_t pid;
  uint8_t counter;
  bool start, scrambled, has_payload;
  bool discontinuity, random_access, has_pcr;
  uint64_t pcr_base;
  unsigned pcr_extension;
  const uint8_t *payload;
  size_t n;
} Packet;

static void
stream_clear (Pes *self)
{
  memset (self, 0, offsetof (Pes, header));
  self->counter = NO_COUNTER;
}

MediaTs *
media_ts_new (void)
{
  MediaTs *self = g_new0 (MediaTs, 1);

  self->pat_reader.counter = self->pmt_reader.counter = NO_COUNTER;
  self->picture_pat_counter = self->picture_pmt_counter = NO_COUNTER;
  stream_clear (&self->video);
  stream_clear (&self->audio);
  media_scan_init (&self->scan, MEDIA_CODEC_NONE);
  return self;
}

void
media_ts_free (MediaTs *self)
{
  g_free (self);
}

/* --- packets --- */

/* 2.4.3.4. false = it does not fit the packet. */
static bool
read_adaptation (const uint8_t *bytes, size_t room, Packet *out)
{
  size_t n = bytes[0];

  if (n > room - 1)
    return false;
  if (n == 0)
    return true;
  out->discontinuity = bytes[1] & 0x80;
  out->random_access = bytes[1] & 0x40;
  if (bytes[1] & 0x10) {
    if (n < 7)
      return false;
    out->has_pcr = true;
    out->pcr_base = (uint64_t)bytes[2] << 25 | (uint64_t)bytes[3] << 17 | (uint64_t)bytes[4] << 9 |
                    (uint64_t)bytes[5] << 1 | bytes[6] >> 7;
    out->pcr_extension = (unsigned)(bytes[6] & 1) << 8 | bytes[7];
  }
  return true;
}

static bool
read_packet (const uint8_t *bytes, Packet *out)
{
  unsigned control = (bytes[3] >> 4) & 3;
  size_t at = 4;

  memset (out, 0, sizeof *out);
  if (bytes[0] != 0x47 || (bytes[1] & 0x80) || control == 0)
    return false;
  out->start = bytes[1] & 0x40;
  out->pid = (uint16_t)((bytes[1] & 0x1F) << 8 | bytes[2]);
  out->scrambled = bytes[3] & 0xC0;
  out->counter = bytes[3] & 0x0F;
  if (out->pid == PID_NULL)
    return true; /* its adaptation and counter mean nothing (2.4.3.3) */
  if (control & 2) {
    if (!read_adaptation (bytes + at, MEDIA_TS_PACKET - at, out))
      return false;
    at += 1 + (size_t)bytes[at];
  }
  out->has_payload = control & 1;
  if (out->has_payload) {
    out->payload = bytes + at;
    out->n = MEDIA_TS_PACKET - at;
  }
  return true;
}

typedef enum { COUNTER_NEXT, COUNTER_GAP, COUNTER_TWICE } CounterResult;

/* 2.4.3.3: counts packets with payload; one packet may come twice. */
static CounterResult
follow_counter (uint8_t *counter, const Packet *packet)
{
  uint8_t before = *counter;

  *counter = packet->counter;
  if (before == NO_COUNTER || packet->counter == ((before + 1) & 15))
    return COUNTER_NEXT;
  if (packet->counter == before && !packet->discontinuity)
    return COUNTER_TWICE;
  return COUNTER_GAP;
}

/* --- time --- */

/* The time near to a reference of which value has the lower 33 bits. A stream that jumps about
 * begins anew before its time leaves what 64 bits hold. */
static int64_t
unwrap (int64_t near, uint64_t value)
{
  uint64_t mask = ((uint64_t)1 << CLOCK_BITS) - 1;
  uint64_t ahead = (value - (uint64_t)near) & mask;

  if (near > CLOCK_MAX || near < -CLOCK_MAX)
    return (int64_t)value;
  if (ahead >> (CLOCK_BITS - 1))
    return near - (int64_t)(mask + 1 - ahead);
  return near + (int64_t)ahead;
}

static int64_t
clock_to_us (int64_t base)
{
  return base * 100 / 9;
}

static void
read_pcr (MediaTs *self, const Packet *packet, MediaTsPacket *out)
{
  if (!packet->has_pcr || packet->pid != self->info.pcr_pid || packet->pid == 0)
    return;
  self->pcr_base =
      self->has_pcr ? unwrap (self->pcr_base, packet->pcr_base) : (int64_t)packet->pcr_base;
  self->has_pcr = true;
  out->pcr = (self->pcr_base * 300 + packet->pcr_extension) / 27;
}

/* header: of a PES packet, whole (2.4.3.6). */
static int64_t
read_pts (MediaTs *self, const uint8_t *header, size_t n)
{
  const uint8_t *p = header + 9;
  uint64_t value;

  if (!(header[7] & 0x80) || n < 14)
    return MEDIA_TS_NO_TIME;
  value = (uint64_t)(p[0] & 0x0E) << 29 | (uint64_t)p[1] << 22 | (uint64_t)(p[2] & 0xFE) << 14 |
          (uint64_t)p[3] << 7 | p[4] >> 1;
  if (self->has_pcr)
    self->pts_base = unwrap (self->pcr_base, value);
  else
    self->pts_base = self->has_pts ? unwrap (self->pts_base, value) : (int64_t)value;
  self->has_pts = true;
  return clock_to_us (self->pts_base);
}

/* --- tables --- */

/* Annex A: polynomial 0x04C11DB7, upper bit first; over a section with its CRC it gives 0. Four
 * bits at a time: a section comes some ten times a second. */
static uint32_t
section_crc (const uint8_t *bytes, size_t n)
{
  static const uint32_t table[16] = {0x00000000, 0x04C11DB7, 0x09823B6E, 0x0D4326D9,
                                     0x130476DC, 0x17C56B6B, 0x1A864DB2, 0x1E475005,
                                     0x2608EDB8, 0x22C9F00F, 0x2F8AD6D6, 0x2B4BCB61,
                                     0x350C9B64, 0x31CD86D3, 0x3C8EA00A, 0x384FBDBD};
  uint32_t crc = 0xFFFFFFFF;

  for (size_t i = 0; i < n; i++) {
    crc = crc << 4 ^ table[crc >> 28 ^ bytes[i] >> 4];
    crc = crc << 4 ^ table[crc >> 28 ^ (bytes[i] & 15)];
  }
  return crc;
}

static uint16_t
be16 (const uint8_t *bytes)
{
  return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint16_t
be13 (const uint8_t *bytes)
{
  return be16 (bytes) & 0x1FFF;
}

static void
forget_program (MediaTs *self)
{
  memset (&self->info, 0, sizeof self->info);
  self->n_pmt = 0;
  memset (&self->pmt_reader, 0, offsetof (Section, bytes));
  self->pmt_reader.counter = NO_COUNTER;
  stream_clear (&self->video);
  stream_clear (&self->audio);
  media_scan_init (&self->scan, MEDIA_CODEC_NONE);
  self->has_pcr = self->has_pts = self->candidate = false;
}

/* The PMT's PID of a programme, or of the first one for wanted = 0; *program is 0 if none. */
static uint16_t
find_program (const uint8_t *section, size_t n, uint16_t wanted, uint16_t *program)
{
  for (size_t at = 8; at + 4 + 4 <= n; at += 4) {
    uint16_t pid = be13 (section + at + 2);

    *program = be16 (section + at);
    if (*program != 0 && pid >= 0x10 && pid < PID_NULL && (wanted == 0 || *program == wanted))
      return pid;
  }
  *program = 0;
  return 0;
}

/* 2.4.4.3. true = it is another table than before. */
static bool
take_pat (MediaTs *self, const uint8_t *section, size_t n)
{
  uint16_t program = 0, pid = 0;
  bool first = self->n_pat == 0;

  /* A PAT of many programmes has several sections; ours is the first that has a programme. */
  if (!first && section[6] != self->pat_section)
    return false;
  if (self->n_pat == n && memcmp (self->pat, section, n) == 0)
    return false;
  if (self->program != 0)
    pid = find_program (section, n, self->program, &program);
  if (program == 0)
    pid = find_program (section, n, 0, &program);
  if (program == 0)
    return false;
  if (program != self->program || pid != self->info.pmt_pid) {
    forget_program (self);
    self->program = program;
    self->info.pmt_pid = pid;
  }
  memcpy (self->pat, section, n);
  self->n_pat = n;
  self->pat_section = section[6];
  return !first;
}

typedef struct {
  MediaCodec video, audio;
  bool he_aac;
} StreamType;

/* Streams of private data say by a descriptor what they are (DVB: EN 300 468, ATSC: A/52). */
static void
read_descriptors (const uint8_t *bytes, size_t n, StreamType *out)
{
  static const struct {
    char format[5];
    MediaCodec video, audio;
  } formats[] = {{"AC-3", MEDIA_CODEC_NONE, MEDIA_CODEC_AC3},
                 {"EAC3", MEDIA_CODEC_NONE, MEDIA_CODEC_EAC3},
                 {"HEVC", MEDIA_CODEC_HEVC, MEDIA_CODEC_NONE},
                 {"Opus", MEDIA_CODEC_NONE, MEDIA_CODEC_OTHER},
                 {"AV01", MEDIA_CODEC_OTHER, MEDIA_CODEC_NONE}};
  bool private = out->video == MEDIA_CODEC_NONE && out->audio == MEDIA_CODEC_NONE;

  for (size_t at = 0; at + 2 <= n && at + 2 + bytes[at + 1] <= n; at += 2 + (size_t)bytes[at + 1]) {
    const uint8_t *body = bytes + at + 2;
    size_t size = bytes[at + 1];

    /* AAC descriptor of DVB, MPEG-4 audio descriptor: profiles and levels of HE-AAC. */
    if ((bytes[at] == 0x7C || bytes[at] == 0x1C) && size > 0)
      out->he_aac = body[0] >= 0x58 && body[0] <= 0x67;
    if (!private)
      continue;
    if (bytes[at] == 0x6A)
      out->audio = MEDIA_CODEC_AC3;
    else if (bytes[at] == 0x7A)
      out->audio = MEDIA_CODEC_EAC3;
    else if (bytes[at] == 0x7B)
      out->audio = MEDIA_CODEC_OTHER;
    else if (bytes[at] == 0x7C)
      out->audio = MEDIA_CODEC_AAC;
    for (size_t i = 0; bytes[at] == 0x05 && size >= 4 && i < G_N_ELEMENTS (formats); i++)
      if (memcmp (body, formats[i].format, 4) == 0) {
        out->video = formats[i].video;
        out->audio = formats[i].audio;
      }
  }
}

/* Table 2-34, and what ATSC, Blu-ray and others put beside it. */
static StreamType
stream_type (uint8_t type, const uint8_t *descriptors, size_t n)
{
  static const struct {
    uint8_t type;
    MediaCodec video, audio;
  } types[] = {
      {0x01, MEDIA_CODEC_MPEG1_VIDEO, MEDIA_CODEC_NONE},
      {0x02, MEDIA_CODEC_MPEG2_VIDEO, MEDIA_CODEC_NONE},
      {0x03, MEDIA_CODEC_NONE, MEDIA_CODEC_MPEG_AUDIO},
      {0x04, MEDIA_CODEC_NONE, MEDIA_CODEC_MPEG_AUDIO},
      {0x0F, MEDIA_CODEC_NONE, MEDIA_CODEC_AAC},
      {0x10, MEDIA_CODEC_OTHER, MEDIA_CODEC_NONE},
      {0x11, MEDIA_CODEC_NONE, MEDIA_CODEC_AAC},
      {0x1B, MEDIA_CODEC_H264, MEDIA_CODEC_NONE},
      {0x21, MEDIA_CODEC_OTHER, MEDIA_CODEC_NONE},
      {0x24, MEDIA_CODEC_HEVC, MEDIA_CODEC_NONE},
      {0x33, MEDIA_CODEC_OTHER, MEDIA_CODEC_NONE},
      {0x42, MEDIA_CODEC_OTHER, MEDIA_CODEC_NONE},
      {0x81, MEDIA_CODEC_NONE, MEDIA_CODEC_AC3},
      {0x82, MEDIA_CODEC_NONE, MEDIA_CODEC_OTHER},
      {0x87, MEDIA_CODEC_NONE, MEDIA_CODEC_EAC3},
      {0xD2, MEDIA_CODEC_OTHER, MEDIA_CODEC_NONE},
      {0xEA, MEDIA_CODEC_OTHER, MEDIA_CODEC_NONE},
  };
  StreamType out = {MEDIA_CODEC_NONE, MEDIA_CODEC_NONE, false};

  for (size_t i = 0; i < G_N_ELEMENTS (types); i++)
    if (types[i].type == type) {
      out.video = types[i].video;
      out.audio = types[i].audio;
    }
  read_descriptors (descriptors, n, &out);
  return out;
}

/* What is kept of a stream that goes on in a new PMT is kept, the rest is forgotten. */
static void
adopt_info (MediaTs *self, const MediaStreamInfo *fresh)
{
  MediaStreamInfo *info = &self->info;

  if (fresh->video_pid != info->video_pid || fresh->video != self->scan.codec) {
    info->video_profile = info->video_level = 0;
    info->width = info->height = 0;
    info->frame_rate_milli = 0;
    stream_clear (&self->video);
    media_scan_init (&self->scan, fresh->video);
    self->candidate = false;
  }
  if (fresh->audio_pid != info->audio_pid || fresh->audio != info->audio) {
    info->audio_layer = info->audio_channels = 0;
    info->audio_rate = 0;
    stream_clear (&self->audio);
  }
  if (fresh->pcr_pid != info->pcr_pid)
    self->has_pcr = false;
  info->video_pid = fresh->video_pid;
  info->audio_pid = fresh->audio_pid;
  info->pcr_pid = fresh->pcr_pid;
  info->video = fresh->video;
  info->audio = fresh->audio;
  info->audio_he_aac = fresh->audio_he_aac;
}

/* 2.4.4.8. true = it is another table than before. */
static bool
take_pmt (MediaTs *self, const uint8_t *section, size_t n)
{
  MediaStreamInfo fresh = {0};
  size_t at, size, end = n - 4;
  bool first = self->n_pmt == 0;

  if (be16 (section + 3) != self->program || n < 16)
    return false;
  if (self->n_pmt == n && memcmp (self->pmt, section, n) == 0)
    return false;
  if (be13 (section + 8) != PID_NULL) /* which says that there is no clock */
    fresh.pcr_pid = be13 (section + 8);
  for (at = 12 + (be16 (section + 10) & 0x0FFF); at + 5 <= end; at += 5 + size) {
    uint16_t pid = be13 (section + at + 1);
    StreamType type;

    size = be16 (section + at + 3) & 0x0FFF;
    if (at + 5 + size > end)
      return false;
    type = stream_type (section[at], section + at + 5, size);
    if (type.video != MEDIA_CODEC_NONE && fresh.video == MEDIA_CODEC_NONE) {
      fresh.video = type.video;
      fresh.video_pid = pid;
    }
    if (type.audio != MEDIA_CODEC_NONE && fresh.audio == MEDIA_CODEC_NONE) {
      fresh.audio = type.audio;
      fresh.audio_pid = pid;
      fresh.audio_he_aac = type.he_aac;
    }
  }
  if (at != end)
    return false;
  memcpy (self->pmt, section, n);
  self->n_pmt = n;
  adopt_info (self, &fresh);
  return !first;
}

/* A whole section. true = a table changed. */
static bool
take_section (MediaTs *self, uint16_t pid, const uint8_t *section, size_t n)
{
  uint8_t table = pid == PID_PAT ? 0x00 : 0x02;

  /* Syntax indicator set, current and not next, one that fits a table (2.4.4.3, 2.4.4.8). */
  if (section[0] != table || !(section[1] & 0x80) || n < 12 || n > TABLE_MAX || !(section[5] & 1))
    return false;
  if (section_crc (section, n) != 0)
    return false;
  return pid == PID_PAT ? take_pat (self, section, n) : take_pmt (self, section, n);
}

/* Bytes of the section that is being put together; takes those behind it up as the next one. */
static bool
section_bytes (MediaTs *self, Section *reader, uint16_t pid, const uint8_t *bytes, size_t n)
{
  bool changed = false;
  size_t size, part;

  while (n > 0 && reader->active) {
    if (reader->n == 0 && bytes[0] == 0xFF) { /* stuffing up to the end (2.4.4) */
      reader->active = false;
      break;
    }
    size = reader->n < 3 ? 3 : 3u + (be16 (reader->bytes + 1) & 0x0FFF);
    part = MIN (n, size - reader->n);
    if (size > SECTION_MAX) {
      reader->active = false;
      break;
    }
    memcpy (reader->bytes + reader->n, bytes, part);
    reader->n += part;
    bytes += part;
    n -= part;
    if (size > 3 && reader->n == size) {
      reader->n = 0;
      changed |= take_section (self, pid, reader->bytes, size);
    } else if (size == 3 && reader->n == 3 && (be16 (reader->bytes + 1) & 0x0FFF) == 0) {
      reader->n = 0; /* a section without a body */
    }
  }
  return changed;
}

/* true = a table changed. */
static bool
feed_section (MediaTs *self, Section *reader, const Packet *packet)
{
  const uint8_t *bytes = packet->payload;
  size_t n = packet->n, pointer;
  bool changed = false;
  CounterResult counter;

  if (!packet->has_payload || n == 0)
    return false;
  counter = follow_counter (&reader->counter, packet);
  if (counter == COUNTER_TWICE)
    return false;
  if (counter == COUNTER_GAP) {
    reader->active = false;
    reader->n = 0;
  }
  if (!packet->start)
    return section_bytes (self, reader, packet->pid, bytes, n);
  /* The pointer says how many bytes still belong to the section before (2.4.4.1). */
  pointer = bytes[0];
  if (pointer > n - 1)
    return false;
  changed = section_bytes (self, reader, packet->pid, bytes + 1, pointer);
  reader->active = true;
  reader->n = 0;
  return section_bytes (self, reader, packet->pid, bytes + 1 + pointer, n - 1 - pointer) || changed;
}

/* --- streams --- */

static void
begin_candidate (MediaTs *self)
{
  self->candidate = true;
  self->age = 0;
  self->candidate_pts = MEDIA_TS_NO_TIME;
  self->candidate_pat_counter = self->pat_reader.counter;
  self->candidate_pmt_counter = self->pmt_reader.counter;
}

static void
tell_picture (MediaTs *self, MediaTsPacket *out, unsigned *behind)
{
  if (!self->candidate || self->age > MEDIA_TS_BEHIND_MAX || !media_ts_has_tables (self))
    return;
  self->candidate = false;
  out->starts_picture = true;
  out->pts = self->candidate_pts;
  *behind = self->age;
  self->picture_pat_counter = self->candidate_pat_counter;
  self->picture_pmt_counter = self->candidate_pmt_counter;
}

/* Does a PES packet of this stream have the optional header? (2.4.3.7) */
static bool
has_optional_header (uint8_t stream_id)
{
  static const uint8_t without[] = {0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF};

  return memchr (without, stream_id, sizeof without) == NULL;
}

/* Collects the header of a PES packet. Returns how many of the bytes belong to it; when it is
 * whole, in_header is false, and in_payload tells whether the rest is worth a look. */
static size_t
pes_header (Pes *self, const uint8_t *bytes, size_t n)
{
  size_t wanted = self->n < 9 ? 9 : 9 + (size_t)self->header[8], part = MIN (n, wanted - self->n);

  memcpy (self->header + self->n, bytes, part);
  self->n += part;
  if (self->n < 9)
    return part;
  if (self->n == 9 && (self->header[0] != 0 || self->header[1] != 0 || self->header[2] != 1 ||
                       !has_optional_header (self->header[3]) || self->header[6] >> 6 != 2)) {
    self->in_header = false;
    return part;
  }
  if (wanted == 9 && self->header[8] > 0)
    return part + pes_header (self, bytes + part, n - part);
  if (self->n == 9 + (size_t)self->header[8]) {
    self->in_header = false;
    self->in_payload = true;
  }
  return part;
}

static void
feed_video (MediaTs *self, const Packet *packet, MediaTsPacket *out, unsigned *behind)
{
  Pes *pes = &self->video;
  const uint8_t *bytes = packet->payload;
  size_t n = packet->n, part;
  CounterResult counter;
  bool scans = self->info.video != MEDIA_CODEC_OTHER && !packet->scrambled;

  if (!packet->has_payload)
    return;
  counter = follow_counter (&pes->counter, packet);
  if (counter == COUNTER_TWICE)
    return;
  if (counter == COUNTER_GAP) {
    media_scan_lose (&self->scan);
    pes->in_header = pes->in_payload = false;
  }
  if (packet->start) {
    begin_candidate (self);
    pes->in_header = !packet->scrambled;
    pes->in_payload = false;
    pes->n = 0;
    media_scan_start (&self->scan, packet->random_access);
  }
  if (pes->in_header) {
    part = pes_header (pes, bytes, n);
    bytes += part;
    n -= part;
    if (pes->in_payload) {
      self->candidate_pts = read_pts (self, pes->header, pes->n);
      if (self->age == 0)
        out->pts = self->candidate_pts;
    }
  }
  if (scans && pes->in_payload && media_scan_feed (&self->scan, bytes, n, &self->info))
    tell_picture (self, out, behind);
  else if (!scans && packet->start && packet->random_access)
    tell_picture (self, out, behind);
}

static void
feed_audio (MediaTs *self, const Packet *packet, MediaTsPacket *out, unsigned *behind)
{
  Pes *pes = &self->audio;
  const uint8_t *bytes = packet->payload;
  size_t n = packet->n, part;
  CounterResult counter;
  bool only = self->info.video_pid == 0;

  if (!packet->has_payload)
    return;
  counter = follow_counter (&pes->counter, packet);
  if (counter == COUNTER_TWICE)
    return;
  if (counter == COUNTER_GAP)
    pes->in_header = pes->in_payload = false;
  if (packet->start) {
    if (only)
      begin_candidate (self);
    pes->in_header = !packet->scrambled;
    pes->in_payload = false;
    pes->n = 0;
    self->n_audio_head = 0;
  }
  if (pes->in_header) {
    part = pes_header (pes, bytes, n);
    bytes += part;
    n -= part;
    if (pes->in_payload && only && self->age == 0)
      self->candidate_pts = out->pts = read_pts (self, pes->header, pes->n);
  }
  if (packet->start && only)
    tell_picture (self, out, behind);
  if (pes->in_payload && self->n_audio_head < AUDIO_HEAD) {
    part = MIN (n, AUDIO_HEAD - self->n_audio_head);
    memcpy (self->audio_head + self->n_audio_head, bytes, part);
    self->n_audio_head += part;
    if (part < n || self->n_audio_head == AUDIO_HEAD || self->info.audio_rate == 0)
      media_audio_header (self->info.audio, self->audio_head, self->n_audio_head, &self->info);
  }
}

/* A packet without payload that says so: the counter of its PID begins anew (2.4.3.5). */
static void
forget_counter (MediaTs *self, uint16_t pid)
{
  if (pid == PID_PAT)
    self->pat_reader.counter = NO_COUNTER;
  else if (pid == self->info.pmt_pid)
    self->pmt_reader.counter = NO_COUNTER;
  else if (pid == self->info.video_pid)
    self->video.counter = NO_COUNTER;
  else if (pid == self->info.audio_pid)
    self->audio.counter = NO_COUNTER;
}

bool
media_ts_feed (MediaTs *self, const uint8_t *bytes, MediaTsPacket *out, unsigned *behind)
{
  Packet packet;

  *out = (MediaTsPacket){.pcr = MEDIA_TS_NO_TIME, .pts = MEDIA_TS_NO_TIME};
  *behind = 0;
  if (!read_packet (bytes, &packet)) {
    self->bad++;
    return false;
  }
  if (self->age <= MEDIA_TS_BEHIND_MAX)
    self->age++;
  if (packet.pid == PID_NULL)
    return true;

  out->discontinuity = packet.discontinuity;
  if (packet.discontinuity && !packet.has_payload)
    forget_counter (self, packet.pid);
  read_pcr (self, &packet, out);
  if (packet.pid == PID_PAT || packet.pid == self->info.pmt_pid) {
    Section *reader = packet.pid == PID_PAT ? &self->pat_reader : &self->pmt_reader;

    out->tables = packet.has_payload;
    out->discontinuity |= feed_section (self, reader, &packet);
  } else if (packet.pid == self->info.video_pid && self->info.video_pid != 0) {
    feed_video (self, &packet, out, behind);
  } else if (packet.pid == self->info.audio_pid && self->info.audio_pid != 0) {
    feed_audio (self, &packet, out, behind);
  }
  return true;
}

/* --- what is known --- */

const MediaStreamInfo *
media_ts_info (const MediaTs *self)
{
  return &self->info;
}

bool
media_ts_has_tables (const MediaTs *self)
{
  return self->n_pat > 0 && self->n_pmt > 0;
}

uint64_t
media_ts_bad_packets (const MediaTs *self)
{
  return self->bad;
}

/* Packets that a section with its pointer takes. */
static size_t
packets_of (size_t n)
{
  return (1 + n + MEDIA_TS_PACKET - 4 - 1) / (MEDIA_TS_PACKET - 4);
}

/* last: the counter of the last packet written. */
static void
write_section (uint8_t *out, uint16_t pid, const uint8_t *section, size_t n, uint8_t last)
{
  size_t n_packets = packets_of (n), part, room;

  for (size_t i = 0; i < n_packets; i++, out += MEDIA_TS_PACKET) {
    size_t at = 4;

    memset (out, 0xFF, MEDIA_TS_PACKET);
    out[0] = 0x47;
    out[1] = (uint8_t)((i == 0 ? 0x40 : 0) | pid >> 8);
    out[2] = pid & 0xFF;
    out[3] = (uint8_t)(0x10 | ((last - (n_packets - 1 - i)) & 15));
    if (i == 0)
      out[at++] = 0; /* pointer: the section begins at once */
    room = MEDIA_TS_PACKET - at;
    part = MIN (n, room);
    memcpy (out + at, section, part);
    section += part;
    n -= part;
  }
}

static size_t
write_tables (const MediaTs *self, uint8_t pat_counter, uint8_t pmt_counter, uint8_t *out,
              size_t room)
{
  size_t n_pat = packets_of (self->n_pat) * MEDIA_TS_PACKET;
  size_t n_pmt = packets_of (self->n_pmt) * MEDIA_TS_PACKET;

  if (!media_ts_has_tables (self) || room < n_pat + n_pmt)
    return 0;
  write_section (out, PID_PAT, self->pat, self->n_pat, pat_counter);
  write_section (out + n_pat, self->info.pmt_pid, self->pmt, self->n_pmt, pmt_counter);
  return n_pat + n_pmt;
}

size_t
media_ts_write_tables (const MediaTs *self, uint8_t *out, size_t room)
{
  return write_tables (self, self->pat_reader.counter, self->pmt_reader.counter, out, room);
}

size_t
media_ts_write_picture_tables (const MediaTs *self, uint8_t *out, size_t room)
{
  return write_tables (self, self->picture_pat_counter, self->picture_pmt_counter, out, room);
}

void
media_ts_null_packet (uint8_t *out)
{
  memset (out, 0xFF, MEDIA_TS_PACKET);
  out[0] = 0x47;
  out[1] = PID_NULL >> 8;
  out[2] = PID_NULL & 0xFF;
  out[3] = 0x10;
}

gssize
media_ts_sync (const uint8_t *bytes, size_t n)
{
  for (size_t i = 0; i + MEDIA_TS_PACKET < n; i++) {
    bool next = i + 2 * MEDIA_TS_PACKET >= n || bytes[i + 2 * MEDIA_TS_PACKET] == 0x47;

    if (bytes[i] == 0x47 && bytes[i + MEDIA_TS_PACKET] == 0x47 && next)
      return (gssize)i;
  }
  return -1;
}
