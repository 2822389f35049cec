/* SPDX-License-Identifier: Apache-2.0 */
/* The scan looks for start codes (00 00 01) and keeps three bytes between calls, so that it does
 * not matter how the stream is cut into packets. Units that matter are captured: parameter sets
 * whole, of a slice or picture only the first bytes. SEI is walked byte by byte and not kept,
 * because what stands in front of a recovery point may be long.
 *
 * A random access point needs the headers in the same access unit: a decoder that begins at an
 * IDR picture without parameter sets shows nothing.
 *
 * Reading past the end of captured bytes gives zeros and sets a flag that is checked once. */
#include "peer/media/codec.h"

#include <glib.h>
#include <string.h>

#define ANY_BYTES 0xFFFFFFFF

typedef struct {
  const uint8_t *bytes;
  size_t n_bits, at;
  bool over; /* read past the end */
} Bits;

static Bits
bits_of (const uint8_t *bytes, size_t n)
{
  return (Bits){.bytes = bytes, .n_bits = n * 8};
}

static uint32_t
take (Bits *self, unsigned n)
{
  uint32_t value = 0;

  for (unsigned i = 0; i < n; i++) {
    value <<= 1;
    if (self->at < self->n_bits)
      value |= (self->bytes[self->at / 8] >> (7 - self->at % 8)) & 1;
    else
      self->over = true;
    self->at++;
  }
  return value;
}

static void
skip (Bits *self, unsigned n)
{
  self->at += n;
  if (self->at > self->n_bits)
    self->over = true;
}

/* Exp-Golomb, unsigned (14496-10, 9.1). */
static uint32_t
take_ue (Bits *self)
{
  unsigned zeros = 0;

  while (!self->over && take (self, 1) == 0)
    zeros++;
  if (self->over || zeros > 31) {
    self->over = true;
    return 0;
  }
  return ((uint32_t)1 << zeros) - 1 + take (self, zeros);
}

static int32_t
take_se (Bits *self)
{
  uint32_t value = take_ue (self);

  return value & 1 ? (int32_t)(value / 2 + 1) : -(int32_t)(value / 2);
}

static void
set_size (MediaStreamInfo *info, uint64_t width, uint64_t height)
{
  if (width == 0 || height == 0 || width > UINT16_MAX || height > UINT16_MAX)
    return;
  info->width = (uint16_t)width;
  info->height = (uint16_t)height;
}

static void
set_frame_rate (MediaStreamInfo *info, uint64_t numerator, uint64_t denominator)
{
  uint64_t milli;

  if (denominator == 0)
    return;
  milli = (numerator * 1000 + denominator / 2) / denominator;
  if (milli > 0 && milli <= 1000 * 1000)
    info->frame_rate_milli = (uint32_t)milli;
}

/* --- H.264 --- */

/* 14496-10, 7.3.2.1.1.1: read only to come past it. */
static void
h264_scaling_list (Bits *bits, unsigned size)
{
  int last = 8, next = 8;

  for (unsigned i = 0; i < size && !bits->over; i++) {
    if (next != 0)
      next = (last + take_se (bits) + 256) % 256;
    last = next == 0 ? last : next;
  }
}

static bool
h264_has_chroma_format (uint32_t profile)
{
  static const uint8_t profiles[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};

  return memchr (profiles, (int)profile, sizeof profiles) != NULL;
}

/* The first part of VUI parameters, the same in H.264 (E.1.1) and HEVC (E.2.1). */
static void
skip_vui_head (Bits *bits)
{
  if (take (bits, 1) && take (bits, 8) == 255) /* aspect ratio: extended */
    skip (bits, 32);
  if (take (bits, 1)) /* overscan */
    skip (bits, 1);
  if (take (bits, 1)) { /* video signal type */
    skip (bits, 4);
    if (take (bits, 1))
      skip (bits, 24);
  }
  if (take (bits, 1)) { /* chroma location */
    take_ue (bits);
    take_ue (bits);
  }
}

static void
h264_vui (Bits *bits, MediaStreamInfo *info)
{
  uint32_t units, scale;

  skip_vui_head (bits);
  if (!take (bits, 1))
    return;
  units = take (bits, 32);
  scale = take (bits, 32);
  if (!bits->over) /* the clock ticks for each field (E.2.1) */
    set_frame_rate (info, scale, (uint64_t)units * 2);
}

/* 7.3.2.1.1 up to where the picture order count is described. Returns chroma_format_idc, or 0 for
 * separate planes, as the crop units want it. */
static uint32_t
h264_sps_formats (Bits *bits, uint32_t profile)
{
  uint32_t chroma = 1, n_lists, separate = 0;

  if (h264_has_chroma_format (profile)) {
    chroma = take_ue (bits);
    if (chroma == 3)
      separate = take (bits, 1);
    take_ue (bits); /* bit depths */
    take_ue (bits);
    skip (bits, 1);
    n_lists = chroma == 3 ? 12 : 8;
    if (take (bits, 1))
      for (unsigned i = 0; i < n_lists && !bits->over; i++)
        if (take (bits, 1))
          h264_scaling_list (bits, i < 6 ? 16 : 64);
  }
  return separate ? 0 : chroma;
}

static void
h264_skip_order_count (Bits *bits)
{
  uint32_t type, n;

  take_ue (bits); /* log2_max_frame_num */
  type = take_ue (bits);
  if (type == 0) {
    take_ue (bits);
  } else if (type == 1) {
    skip (bits, 1);
    take_se (bits);
    take_se (bits);
    n = take_ue (bits);
    for (uint32_t i = 0; i < n && !bits->over; i++)
      take_se (bits);
  }
}

static void
h264_sps (const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  Bits bits = bits_of (bytes, n);
  uint32_t profile, level, chroma, frames_only, crop[4] = {0};
  uint64_t width, height, unit_x, unit_y;

  profile = take (&bits, 8);
  skip (&bits, 8);
  level = take (&bits, 8);
  take_ue (&bits); /* id */
  chroma = h264_sps_formats (&bits, profile);
  h264_skip_order_count (&bits);
  take_ue (&bits); /* reference frames */
  skip (&bits, 1);
  width = (uint64_t)take_ue (&bits) + 1;
  height = (uint64_t)take_ue (&bits) + 1;
  frames_only = take (&bits, 1);
  if (!frames_only)
    skip (&bits, 1);
  skip (&bits, 1);
  if (take (&bits, 1))
    for (unsigned i = 0; i < 4; i++)
      crop[i] = take_ue (&bits);
  if (bits.over)
    return;

  width *= 16;
  height *= 16 * (2 - frames_only);
  unit_x = chroma == 1 || chroma == 2 ? 2 : 1; /* 7.4.2.1.1, CropUnitX and CropUnitY */
  unit_y = (chroma == 1 ? 2 : 1) * (2 - frames_only);
  unit_x *= (uint64_t)crop[0] + crop[1];
  unit_y *= (uint64_t)crop[2] + crop[3];
  if (unit_x >= width || unit_y >= height)
    return;
  info->video_profile = (uint8_t)profile;
  info->video_level = (uint8_t)level;
  set_size (info, width - unit_x, height - unit_y);
  if (take (&bits, 1))
    h264_vui (&bits, info);
}

/* --- HEVC --- */

#define HEVC_DELTAS 16
#define HEVC_SETS 64

/* A short-term reference picture set: differences in picture order, nearest before first, then
 * nearest after. */
typedef struct {
  int32_t delta[HEVC_DELTAS];
  unsigned n;
} HevcSet;

/* 23008-2, 7.3.3 with profilePresentFlag = 1. */
static void
hevc_profile (Bits *bits, uint32_t sub_layers, MediaStreamInfo *info)
{
  bool profile[8] = {false}, level[8] = {false};
  uint32_t idc, level_idc;

  skip (bits, 3);
  idc = take (bits, 5);
  skip (bits, 32 + 48);
  level_idc = take (bits, 8);
  for (unsigned i = 0; i < sub_layers; i++) {
    profile[i] = take (bits, 1);
    level[i] = take (bits, 1);
  }
  if (sub_layers > 0)
    skip (bits, 2 * (8 - sub_layers));
  for (unsigned i = 0; i < sub_layers; i++)
    skip (bits, (profile[i] ? 88 : 0) + (level[i] ? 8 : 0));
  if (!bits->over) {
    info->video_profile = (uint8_t)idc;
    info->video_level = (uint8_t)level_idc;
  }
}

/* 7.3.4 */
static void
hevc_skip_scaling_lists (Bits *bits)
{
  for (unsigned size = 0; size < 4; size++)
    for (unsigned matrix = 0; matrix < 6; matrix += size == 3 ? 3 : 1) {
      unsigned n = MIN (64, 1u << (4 + 2 * size));

      if (!take (bits, 1)) {
        take_ue (bits);
        continue;
      }
      if (size > 1)
        take_se (bits);
      for (unsigned i = 0; i < n && !bits->over; i++)
        take_se (bits);
    }
}

static bool
hevc_before (int32_t a, int32_t b)
{
  if ((a < 0) != (b < 0))
    return a < 0;
  return a < 0 ? a > b : a < b;
}

static void
hevc_set_add (HevcSet *self, int32_t delta)
{
  unsigned at = self->n;

  if (self->n == HEVC_DELTAS)
    return;
  for (; at > 0 && hevc_before (delta, self->delta[at - 1]); at--)
    self->delta[at] = self->delta[at - 1];
  self->delta[at] = delta;
  self->n++;
}

/* 7.3.7 and 7.4.8 */
static void
hevc_set (Bits *bits, const HevcSet *previous, HevcSet *out)
{
  uint32_t sign, step, n[2];
  int32_t at;

  out->n = 0;
  if (previous != NULL && take (bits, 1)) {
    sign = take (bits, 1);
    step = take_ue (bits) + 1;
    if (step > 1 << 15)
      bits->over = true;
    for (unsigned i = 0; i <= previous->n && !bits->over; i++) {
      int32_t delta =
          (i < previous->n ? previous->delta[i] : 0) + (sign ? -(int32_t)step : (int32_t)step);
      bool used = take (bits, 1) || take (bits, 1);

      if (used && delta != 0)
        hevc_set_add (out, delta);
    }
    return;
  }
  n[0] = take_ue (bits);
  n[1] = take_ue (bits);
  if (n[0] > HEVC_DELTAS || n[1] > HEVC_DELTAS)
    bits->over = true;
  for (unsigned side = 0; side < 2; side++) {
    at = 0;
    for (uint32_t i = 0; i < n[side] && !bits->over; i++) {
      step = take_ue (bits) + 1;
      skip (bits, 1);
      if (step > 1 << 15) {
        bits->over = true;
        break;
      }
      at += side == 0 ? -(int32_t)step : (int32_t)step;
      hevc_set_add (out, at);
    }
  }
}

static void
hevc_skip_reference_sets (Bits *bits)
{
  HevcSet sets[2] = {{.n = 0}};
  uint32_t n = take_ue (bits);

  if (n > HEVC_SETS)
    bits->over = true;
  for (uint32_t i = 0; i < n && !bits->over; i++)
    hevc_set (bits, i > 0 ? &sets[(i - 1) % 2] : NULL, &sets[i % 2]);
}

static void
hevc_vui (Bits *bits, MediaStreamInfo *info)
{
  uint32_t fields, units, scale;

  skip_vui_head (bits);
  skip (bits, 1);
  fields = take (bits, 1);
  skip (bits, 1);
  if (take (bits, 1)) /* default display window */
    for (unsigned i = 0; i < 4; i++)
      take_ue (bits);
  if (!take (bits, 1))
    return;
  units = take (bits, 32);
  scale = take (bits, 32);
  if (!bits->over)
    set_frame_rate (info, scale, (uint64_t)units * (fields ? 2 : 1));
}

/* 7.3.2.2.1 from behind the size on to the VUI. */
static void
hevc_sps_tail (Bits *bits, uint32_t sub_layers, MediaStreamInfo *info)
{
  uint32_t order_bits, n;

  take_ue (bits); /* bit depths */
  take_ue (bits);
  order_bits = take_ue (bits) + 4;
  for (uint32_t i = take (bits, 1) ? 0 : sub_layers; i <= sub_layers; i++)
    for (unsigned k = 0; k < 3; k++)
      take_ue (bits);
  for (unsigned k = 0; k < 6; k++) /* block sizes and depths */
    take_ue (bits);
  if (take (bits, 1) && take (bits, 1))
    hevc_skip_scaling_lists (bits);
  skip (bits, 2);
  if (take (bits, 1)) { /* PCM */
    skip (bits, 8);
    take_ue (bits);
    take_ue (bits);
    skip (bits, 1);
  }
  hevc_skip_reference_sets (bits);
  if (take (bits, 1)) {
    n = take_ue (bits);
    if (n > 32 || order_bits > 16)
      bits->over = true;
    for (uint32_t i = 0; i < n && !bits->over; i++)
      skip (bits, order_bits + 1);
  }
  skip (bits, 2);
  if (!bits->over && take (bits, 1))
    hevc_vui (bits, info);
}

static void
hevc_sps (const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  Bits bits = bits_of (bytes, n);
  uint32_t sub_layers, chroma, crop[4] = {0};
  uint64_t width, height, unit_x, unit_y;

  skip (&bits, 8 + 4); /* second byte of the NAL unit's header, VPS id */
  sub_layers = take (&bits, 3);
  skip (&bits, 1);
  if (sub_layers > 6)
    return;
  hevc_profile (&bits, sub_layers, info);
  take_ue (&bits); /* id */
  chroma = take_ue (&bits);
  if (chroma == 3)
    skip (&bits, 1);
  width = take_ue (&bits);
  height = take_ue (&bits);
  if (take (&bits, 1))
    for (unsigned i = 0; i < 4; i++)
      crop[i] = take_ue (&bits);
  if (bits.over)
    return;
  unit_x = chroma == 1 || chroma == 2 ? 2 : 1; /* table 6-1 */
  unit_y = chroma == 1 ? 2 : 1;
  unit_x *= (uint64_t)crop[0] + crop[1];
  unit_y *= (uint64_t)crop[2] + crop[3];
  if (unit_x >= width || unit_y >= height)
    return;
  set_size (info, width - unit_x, height - unit_y);
  hevc_sps_tail (&bits, sub_layers, info);
}

/* --- MPEG-1 and MPEG-2 video --- */

static const uint32_t mpeg_frame_rates[16] = {0,     23976, 24000, 25000, 29970,
                                              30000, 50000, 59940, 60000};

static void
mpeg_sequence (const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  Bits bits = bits_of (bytes, n);
  uint32_t width = take (&bits, 12), height = take (&bits, 12), rate;

  skip (&bits, 4);
  rate = mpeg_frame_rates[take (&bits, 4)];
  if (bits.over)
    return;
  /* An MPEG-2 stream goes on with an extension that has the upper bits of these. */
  set_size (info, width, height);
  set_frame_rate (info, rate, 1000);
}

/* false = it is another extension. */
static bool
mpeg_sequence_extension (const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  Bits bits = bits_of (bytes, n);
  uint32_t id = take (&bits, 4), profile, width, height, rate_n, rate_d;

  if (id != 1)
    return false;
  profile = take (&bits, 8);
  skip (&bits, 3);
  width = take (&bits, 2);
  height = take (&bits, 2);
  skip (&bits, 12 + 1 + 8 + 1);
  rate_n = take (&bits, 2) + 1;
  rate_d = take (&bits, 5) + 1;
  if (bits.over)
    return false;
  info->video_profile = (profile >> 4) & 7;
  info->video_level = profile & 15;
  set_size (info, (uint64_t)width << 12 | (info->width & 0xFFF),
            (uint64_t)height << 12 | (info->height & 0xFFF));
  set_frame_rate (info, (uint64_t)info->frame_rate_milli * rate_n, (uint64_t)rate_d * 1000);
  return true;
}

/* --- the scan --- */

enum { H264_SLICE = 1, H264_IDR = 5, H264_SEI = 6, H264_SPS = 7 };
enum { HEVC_IRAP_FIRST = 16, HEVC_IRAP_LAST = 21, HEVC_VCL_END = 32, HEVC_SPS = 33, HEVC_SEI = 39 };
enum { MPEG_PICTURE = 0x00, MPEG_SEQUENCE = 0xB3, MPEG_EXTENSION = 0xB5 };
enum { SEI_TYPE, SEI_SIZE, SEI_PAYLOAD };
enum { SEI_RECOVERY_POINT = 6 }; /* the same in H.264 and HEVC */

void
media_scan_init (MediaScan *self, MediaCodec codec)
{
  memset (self, 0, offsetof (MediaScan, bytes));
  self->codec = codec;
  self->last = ANY_BYTES;
}

void
media_scan_start (MediaScan *self, bool hint)
{
  media_scan_init (self, self->codec);
  self->hint = hint;
}

void
media_scan_lose (MediaScan *self)
{
  media_scan_init (self, self->codec);
}

static void
capture (MediaScan *self, size_t wanted)
{
  self->capturing = true;
  self->sei = false;
  self->wanted = wanted;
  self->n = 0;
  self->zeros = 0;
}

static void
capture_sei (MediaScan *self)
{
  capture (self, 0);
  self->sei = true;
  self->sei_state = SEI_TYPE;
  self->sei_type = self->sei_left = 0;
}

/* A picture's first slice, or one more of it; key: it is one at which decoding can begin. */
static bool
picture (MediaScan *self, bool key)
{
  bool starts = key && self->headers;

  self->headers = self->recovery = self->hint = false;
  return starts;
}

static bool
h264_unit (MediaScan *self, uint8_t header)
{
  self->unit = header & 31;
  switch (self->unit) {
  case H264_SPS:
    self->headers = true;
    capture (self, MEDIA_SCAN_CAPTURE);
    return false;
  case H264_SEI:
    capture_sei (self);
    return false;
  case H264_IDR:
    return picture (self, true);
  case H264_SLICE:
    if (self->recovery || !self->hint)
      return picture (self, self->recovery);
    capture (self, 8); /* enough for the slice type */
    return false;
  default:
    return false;
  }
}

static bool
hevc_unit (MediaScan *self, uint8_t header)
{
  self->unit = (header >> 1) & 63;
  if (self->unit == HEVC_SPS) {
    self->headers = true;
    capture (self, MEDIA_SCAN_CAPTURE);
  } else if (self->unit == HEVC_SEI) {
    capture_sei (self);
  } else if (self->unit < HEVC_VCL_END) {
    return picture (self, self->recovery ||
                              (self->unit >= HEVC_IRAP_FIRST && self->unit <= HEVC_IRAP_LAST));
  }
  return false;
}

static bool
mpeg_unit (MediaScan *self, uint8_t code)
{
  self->unit = code;
  if (code == MPEG_SEQUENCE) {
    self->headers = true;
    self->extension = false;
    capture (self, 8);
  } else if (code == MPEG_EXTENSION) {
    capture (self, 6);
  } else if (code == MPEG_PICTURE) {
    capture (self, 2);
  }
  return false;
}

static bool
begin_unit (MediaScan *self, uint8_t header)
{
  self->capturing = false;
  if (self->codec == MEDIA_CODEC_H264)
    return h264_unit (self, header);
  if (self->codec == MEDIA_CODEC_HEVC)
    return hevc_unit (self, header);
  return mpeg_unit (self, header);
}

/* The captured bytes are complete, or as many as there were. */
static bool
end_unit (MediaScan *self, MediaStreamInfo *info)
{
  Bits bits = bits_of (self->bytes, self->n);
  uint32_t type;

  self->capturing = false;
  if (self->sei)
    return false;
  if (self->codec == MEDIA_CODEC_H264 && self->unit == H264_SPS) {
    h264_sps (self->bytes, self->n, info);
  } else if (self->codec == MEDIA_CODEC_H264) {
    /* Broadcast encoders begin an open group of pictures with an I picture and no recovery
     * point; they say by the indicator that it is one. */
    take_ue (&bits);
    type = take_ue (&bits) % 5;
    return picture (self, !bits.over && type == 2);
  } else if (self->codec == MEDIA_CODEC_HEVC) {
    hevc_sps (self->bytes, self->n, info);
  } else if (self->unit == MPEG_SEQUENCE) {
    mpeg_sequence (self->bytes, self->n, info);
  } else if (self->unit == MPEG_EXTENSION) {
    self->extension |= mpeg_sequence_extension (self->bytes, self->n, info);
  } else {
    /* A stream of type MPEG-2 may be MPEG-1 in truth, which has no extension (13818-2, 6.1.1.6). */
    if (self->headers)
      info->video = self->extension ? MEDIA_CODEC_MPEG2_VIDEO : MEDIA_CODEC_MPEG1_VIDEO;
    skip (&bits, 10);
    type = take (&bits, 3);
    return picture (self, !bits.over && type == 1);
  }
  return false;
}

/* 14496-10, 7.3.2.3.1: a message is its type and its size, both in bytes of 255 and a last one. */
static void
walk_sei (MediaScan *self, uint8_t byte)
{
  switch (self->sei_state) {
  case SEI_TYPE:
    self->sei_type = MIN (self->sei_type + byte, UINT16_MAX);
    if (byte != 255)
      self->sei_state = SEI_SIZE;
    break;
  case SEI_SIZE:
    self->sei_left = MIN (self->sei_left + byte, UINT16_MAX * 16);
    if (byte == 255)
      break;
    if (self->sei_type == SEI_RECOVERY_POINT && self->sei_left > 0)
      self->recovery = true;
    self->sei_state = self->sei_left > 0 ? SEI_PAYLOAD : SEI_TYPE;
    self->sei_type = 0;
    break;
  default:
    if (--self->sei_left == 0)
      self->sei_state = SEI_TYPE;
    break;
  }
}

/* One byte of a captured unit. true as for media_scan_feed(). */
static bool
capture_byte (MediaScan *self, uint8_t byte, MediaStreamInfo *info)
{
  bool nal = self->codec == MEDIA_CODEC_H264 || self->codec == MEDIA_CODEC_HEVC;

  if (nal && self->zeros >= 2 && byte == 3) { /* 14496-10, 7.4.1.1 */
    self->zeros = 0;
    return false;
  }
  self->zeros = byte == 0 ? self->zeros + 1 : 0;
  if (self->sei) {
    if (self->codec == MEDIA_CODEC_HEVC && self->n == 0)
      self->n = 1; /* the second byte of the header */
    else
      walk_sei (self, byte);
    return false;
  }
  self->bytes[self->n++] = byte;
  return self->n == self->wanted && end_unit (self, info);
}

/* The first byte behind a start code in bytes[from..n); n if none. */
static size_t
next_start (const MediaScan *self, const uint8_t *bytes, size_t from, size_t n)
{
  const uint8_t *one;
  uint32_t last = self->last;

  for (size_t i = from; i < n; i = (size_t)(one - bytes) + 1) {
    one = memchr (bytes + i, 1, n - i);
    if (one == NULL)
      return n;
    if (one - bytes >= 2) {
      if (one[-1] == 0 && one[-2] == 0)
        return (size_t)(one - bytes);
    } else if (one - bytes == 1) {
      if (bytes[0] == 0 && (last & 0xFF) == 0)
        return 1;
    } else if ((last & 0xFFFF) == 0) {
      return 0;
    }
  }
  return n;
}

static void
remember (MediaScan *self, const uint8_t *bytes, size_t n)
{
  for (size_t i = n > 3 ? n - 3 : 0; i < n; i++)
    self->last = (self->last << 8 | bytes[i]) & 0xFFFFFF;
}

bool
media_scan_feed (MediaScan *self, const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  size_t at = 0, start;
  bool key = false;

  if (n == 0)
    return false;
  if (self->last == 0x000001) { /* the code was the end of the bytes before */
    key |= begin_unit (self, bytes[0]);
    at = 1;
    self->last = ANY_BYTES;
  }
  while (at < n) {
    start = next_start (self, bytes, at, n);
    for (size_t i = at; self->capturing && i < MIN (start + 1, n); i++)
      key |= capture_byte (self, bytes[i], info);
    if (start == n)
      break;
    /* What was captured ends with 00 00 01, which a parser of parameter sets does not reach. */
    if (self->capturing)
      key |= end_unit (self, info);
    if (start + 1 < n)
      key |= begin_unit (self, bytes[start + 1]);
    at = start + 2;
  }
  remember (self, bytes, n);
  if (at > n) /* ended in the code itself, and remember() has it */
    self->last = 0x000001;
  return key;
}

/* --- audio --- */

static const uint32_t aac_rates[16] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                       22050, 16000, 12000, 11025, 8000,  7350};

static bool
adts_header (const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  uint32_t rate;

  if (n < 7 || bytes[0] != 0xFF || (bytes[1] & 0xF6) != 0xF0)
    return false;
  rate = aac_rates[(bytes[2] >> 2) & 15];
  if (rate == 0)
    return false;
  info->audio_rate = rate;
  info->audio_channels = (uint8_t)((bytes[2] & 1) << 2 | bytes[3] >> 6);
  if (info->audio_channels == 7)
    info->audio_channels = 8;
  return true;
}

/* 14496-3, table 1.42: one to four bytes. */
static uint32_t
latm_value (Bits *bits)
{
  uint32_t n = take (bits, 2) + 1;

  return take (bits, n * 8);
}

static uint32_t
aac_rate (Bits *bits)
{
  uint32_t index = take (bits, 4);

  return index == 15 ? take (bits, 24) : aac_rates[index];
}

/* A LOAS frame (14496-3, 1.7.2) whose multiplex configuration is in it. */
static bool
latm_header (const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  Bits bits = bits_of (bytes, n);
  uint32_t version, type, rate, channels;
  bool he;

  if (take (&bits, 11) != 0x2B7)
    return false;
  skip (&bits, 13);
  if (take (&bits, 1)) /* the same configuration as before */
    return false;
  version = take (&bits, 1);
  if (version == 1) {
    if (take (&bits, 1))
      return false;
    latm_value (&bits);
  }
  skip (&bits, 1 + 6 + 4 + 3);
  if (version == 1)
    latm_value (&bits);
  type = take (&bits, 5);
  if (type == 31)
    type = 32 + take (&bits, 6);
  rate = aac_rate (&bits);
  channels = take (&bits, 4);
  he = type == 5 || type == 29;
  if (he)
    rate = aac_rate (&bits);
  if (bits.over || rate == 0 || channels > 7)
    return false;
  info->audio_rate = rate;
  info->audio_channels = (uint8_t)(channels == 7 ? 8 : type == 29 ? 2 : channels);
  info->audio_he_aac = he;
  return true;
}

/* A/52, 5.3 and annex E.2.2 */
static bool
ac3_header (const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  static const uint16_t rates[3] = {48000, 44100, 32000};
  static const uint8_t channels[8] = {2, 1, 2, 3, 3, 4, 4, 5};
  Bits bits = bits_of (bytes, n);
  uint32_t rate, mode;

  if (n < 8 || take (&bits, 16) != 0x0B77)
    return false;
  if (bytes[5] >> 3 <= 10) {
    skip (&bits, 16);
    rate = take (&bits, 2);
    skip (&bits, 6 + 5 + 3);
    mode = take (&bits, 3);
    if ((mode & 1) && mode != 1)
      skip (&bits, 2);
    if (mode & 4)
      skip (&bits, 2);
    if (mode == 2)
      skip (&bits, 2);
    if (rate == 3)
      return false;
    info->audio_rate = rates[rate];
  } else {
    skip (&bits, 16);
    rate = take (&bits, 2);
    if (rate == 3) {
      rate = take (&bits, 2);
      if (rate == 3)
        return false;
      info->audio_rate = rates[rate] / 2;
    } else {
      skip (&bits, 2);
      info->audio_rate = rates[rate];
    }
    mode = take (&bits, 3);
  }
  info->audio_channels = (uint8_t)(channels[mode] + take (&bits, 1));
  return true;
}

/* 11172-3, 2.4.2.3 and 13818-3, 2.4.2.3 */
static bool
mpeg_audio_header (const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  static const uint16_t rates[3] = {44100, 48000, 32000};
  unsigned version, layer, rate;

  if (n < 4 || bytes[0] != 0xFF || (bytes[1] & 0xE0) != 0xE0)
    return false;
  version = (bytes[1] >> 3) & 3;
  layer = (bytes[1] >> 1) & 3;
  rate = (bytes[2] >> 2) & 3;
  if (version == 1 || layer == 0 || rate == 3 || bytes[2] >> 4 == 15)
    return false;
  info->audio_layer = (uint8_t)(4 - layer);
  info->audio_rate = rates[rate] / (version == 3 ? 1 : version == 2 ? 2 : 4);
  info->audio_channels = bytes[3] >> 6 == 3 ? 1 : 2;
  return true;
}

static bool
audio_header_at (MediaCodec codec, const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  if (codec == MEDIA_CODEC_AAC)
    return adts_header (bytes, n, info) || latm_header (bytes, n, info);
  if (codec == MEDIA_CODEC_AC3 || codec == MEDIA_CODEC_EAC3)
    return ac3_header (bytes, n, info);
  if (codec == MEDIA_CODEC_MPEG_AUDIO)
    return mpeg_audio_header (bytes, n, info);
  return false;
}

void
media_audio_header (MediaCodec codec, const uint8_t *bytes, size_t n, MediaStreamInfo *info)
{
  /* A frame nearly always begins where the PES packet does. Searching further on can hit what
   * only looks like a header, so it must not overwrite what is known. */
  if (audio_header_at (codec, bytes, n, info) || info->audio_rate != 0)
    return;
  for (size_t i = 1; i < n; i++)
    if (audio_header_at (codec, bytes + i, n - i, info))
      return;
}
