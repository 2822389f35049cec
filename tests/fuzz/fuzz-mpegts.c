/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says what the rest is: packets; the bytes of a video stream, cut anywhere; the
 * begin of an audio packet; or the body of a PMT, which gets a true CRC here, because by chance
 * none would ever come to be read. */
#include "peer/media/codec.h"
#include "peer/media/mpegts.h"

#include <string.h>

#define PMT_PID 0x20

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static void
feed (MediaTs *ts, const uint8_t *packet)
{
  const MediaStreamInfo *info = media_ts_info (ts);
  MediaTsPacket told;
  unsigned behind;
  uint64_t bad = media_ts_bad_packets (ts);
  bool ok = media_ts_feed (ts, packet, &told, &behind);

  g_assert_cmpuint (media_ts_bad_packets (ts) - bad, ==, ok ? 0 : 1);
  g_assert_true (behind <= MEDIA_TS_BEHIND_MAX && (behind == 0 || told.starts_picture));
  g_assert_true (!told.starts_picture || media_ts_has_tables (ts));
  g_assert_true ((info->width == 0) == (info->height == 0));
}

/* The tables that are written are those that were read. */
static void
check_tables (const MediaTs *ts)
{
  g_autoptr (MediaTs) second = media_ts_new ();
  uint8_t out[16 * MEDIA_TS_PACKET];
  size_t n = media_ts_write_tables (ts, out, sizeof out);

  g_assert_cmpint (n > 0, ==, media_ts_has_tables (ts));
  for (size_t at = 0; at < n; at += MEDIA_TS_PACKET)
    feed (second, out + at);
  if (n == 0)
    return;
  g_assert_true (media_ts_has_tables (second));
  g_assert_cmpuint (media_ts_info (ts)->pmt_pid, ==, media_ts_info (second)->pmt_pid);
  g_assert_cmpuint (media_ts_info (ts)->video_pid, ==, media_ts_info (second)->video_pid);
  g_assert_cmpuint (media_ts_info (ts)->audio_pid, ==, media_ts_info (second)->audio_pid);
}

static void
fuzz_packets (const uint8_t *bytes, size_t n)
{
  g_autoptr (MediaTs) ts = media_ts_new ();

  for (; n >= MEDIA_TS_PACKET; bytes += MEDIA_TS_PACKET, n -= MEDIA_TS_PACKET)
    feed (ts, bytes);
  check_tables (ts);
  media_ts_sync (bytes, n);
}

/* However it is cut, the same is found. */
static void
fuzz_video (const uint8_t *bytes, size_t n)
{
  static const MediaCodec codecs[] = {MEDIA_CODEC_MPEG1_VIDEO, MEDIA_CODEC_MPEG2_VIDEO,
                                      MEDIA_CODEC_H264, MEDIA_CODEC_HEVC};
  MediaStreamInfo whole_info = {0}, cut_info = {0};
  MediaScan whole, cut;
  bool hint, whole_found, cut_found = false;
  size_t step;

  if (n < 3)
    return;
  media_scan_init (&whole, codecs[bytes[0] % 4]);
  media_scan_init (&cut, codecs[bytes[0] % 4]);
  hint = bytes[0] & 0x80;
  step = 1u + bytes[1] % 64;
  bytes += 2;
  n -= 2;
  media_scan_start (&whole, hint);
  media_scan_start (&cut, hint);
  whole_found = media_scan_feed (&whole, bytes, n, &whole_info);
  for (size_t at = 0; at < n; at += step)
    cut_found |= media_scan_feed (&cut, bytes + at, MIN (step, n - at), &cut_info);
  g_assert_cmpint (whole_found, ==, cut_found);
  g_assert_cmpmem (&whole_info, sizeof whole_info, &cut_info, sizeof cut_info);
}

static void
fuzz_audio (const uint8_t *bytes, size_t n)
{
  static const MediaCodec codecs[] = {MEDIA_CODEC_AAC, MEDIA_CODEC_AC3, MEDIA_CODEC_EAC3,
                                      MEDIA_CODEC_MPEG_AUDIO};
  MediaStreamInfo info = {0};

  if (n == 0)
    return;
  media_audio_header (codecs[bytes[0] % 4], bytes + 1, n - 1, &info);
  g_assert_cmpuint (info.audio_channels, <=, 8);
  g_assert_cmpuint (info.audio_layer, <=, 3);
}

/* A whole section in packets of its own; body: behind the length. */
static void
feed_section (MediaTs *ts, unsigned pid, uint8_t table, const uint8_t *body, size_t n)
{
  uint8_t section[1 + 1024] = {0, table, (uint8_t)(0xB0 | (n + 4) >> 8), (uint8_t)(n + 4)};
  uint32_t crc = 0xFFFFFFFF;
  uint8_t packet[MEDIA_TS_PACKET], counter = 0;
  size_t total = 1 + 3 + n + 4;

  memcpy (section + 4, body, n);
  for (size_t i = 1; i < 4 + n; i++)
    for (int bit = 7; bit >= 0; bit--)
      crc = crc << 1 ^ ((crc >> 31 ^ (section[i] >> bit & 1)) ? 0x04C11DB7 : 0);
  for (size_t i = 0; i < 4; i++)
    section[4 + n + i] = (uint8_t)(crc >> (24 - 8 * i));
  for (size_t at = 0; at < total; at += sizeof packet - 4) {
    memset (packet, 0xFF, sizeof packet);
    packet[0] = 0x47;
    packet[1] = (uint8_t)((at == 0 ? 0x40 : 0) | pid >> 8);
    packet[2] = (uint8_t)pid;
    packet[3] = (uint8_t)(0x10 | (counter++ & 15));
    memcpy (packet + 4, section + at, MIN (sizeof packet - 4, total - at));
    feed (ts, packet);
  }
}

static void
fuzz_pmt (const uint8_t *bytes, size_t n)
{
  const uint8_t pat[] = {0, 1, 0xC1, 0, 0, 0, 1, 0xE0, PMT_PID};
  g_autoptr (MediaTs) ts = media_ts_new ();

  feed_section (ts, 0, 0, pat, sizeof pat);
  feed_section (ts, PMT_PID, 2, bytes, MIN (n, 1017));
  check_tables (ts);
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  static void (*const targets[]) (const uint8_t *, size_t) = {fuzz_packets, fuzz_video, fuzz_audio,
                                                              fuzz_pmt};

  if (n > 0)
    targets[bytes[0] % 4](bytes + 1, n - 1);
  return 0;
}
