/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to know of the streams inside a transport stream: codecs, sizes, rates. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum {
  MEDIA_CODEC_NONE,
  MEDIA_CODEC_MPEG1_VIDEO,
  MEDIA_CODEC_MPEG2_VIDEO,
  MEDIA_CODEC_H264,
  MEDIA_CODEC_HEVC,
  MEDIA_CODEC_MPEG_AUDIO, /* layers 1 to 3 */
  MEDIA_CODEC_AAC,        /* ADTS or LATM */
  MEDIA_CODEC_AC3,
  MEDIA_CODEC_EAC3,
  MEDIA_CODEC_OTHER,
} MediaCodec;

/* What is known of the first programme so far. */
typedef struct {
  uint16_t pmt_pid, pcr_pid, video_pid, audio_pid; /* 0 = none yet; PIDs of the first of each */
  MediaCodec video, audio;
  uint8_t video_profile, video_level; /* as the stream numbers them: H.264: profile_idc, level_idc;
                                       * HEVC: general_...; MPEG-2: 13818-2, 8; 0 = not seen */
  uint16_t width, height;             /* pixels; 0 = not seen */
  uint32_t frame_rate_milli;          /* frames per 1000 s; 0 = not said by the stream */
  uint8_t audio_layer, audio_channels;
  uint32_t audio_rate; /* Hz */
  bool audio_he_aac;
} MediaStreamInfo;

/* The words that ffmpeg has for them; NULL = none. Audio by its layer: "mp1", "mp2", "mp3"; "mp2"
 * also while the layer is not known. */
const char *media_codec_name (MediaCodec codec);
const char *media_audio_name (const MediaStreamInfo *info);
