/* SPDX-License-Identifier: Apache-2.0 */
/* What the headers inside elementary streams say: where decoding can begin, sizes, rates. H.264
 * (ISO/IEC 14496-10), HEVC (23008-2), MPEG-1 and MPEG-2 video and audio, AAC, AC-3. Only
 * mpegts.c needs it. */
#pragma once

#include "peer/media/stream.h"

#include <stddef.h>

#define MEDIA_SCAN_CAPTURE 1024 /* bytes; a sequence parameter set with all its lists fits */

/* Finds, in the bytes of a video stream, the pictures at which decoding can begin. A value: it
 * owns nothing. */
typedef struct {
  MediaCodec codec;
  uint32_t last;  /* the last three bytes, newest lowest; ones = none */
  uint8_t unit;   /* what is being captured: NAL unit type or start code */
  bool capturing; /* bytes of the unit are wanted */
  bool sei;       /* they go to the SEI walk, not to the buffer */
  bool headers;   /* parameter sets or sequence header came since the last picture */
  bool recovery;  /* so did a recovery point */
  bool extension; /* and the sequence header had the extension of MPEG-2 */
  bool hint;      /* the transport says that decoding can begin */
  unsigned zeros; /* zero bytes in a row, to undo the emulation prevention */
  uint32_t sei_type, sei_left;
  uint8_t sei_state;
  size_t wanted, n; /* bytes */
  uint8_t bytes[MEDIA_SCAN_CAPTURE];
} MediaScan;

void media_scan_init (MediaScan *self, MediaCodec codec);
/* A PES packet begins here. hint: its random access indicator is set. */
void media_scan_start (MediaScan *self, bool hint);
/* Some bytes are missing here. */
void media_scan_lose (MediaScan *self);
/* true = among these bytes it was found that decoding can begin at a picture which began after
 * the last media_scan_start(). What the headers say goes to info. */
bool media_scan_feed (MediaScan *self, const uint8_t *bytes, size_t n, MediaStreamInfo *info);

/* The first bytes of an audio PES packet's payload. */
void media_audio_header (MediaCodec codec, const uint8_t *bytes, size_t n, MediaStreamInfo *info);
