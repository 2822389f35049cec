/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/media/stream.h"

#include <stddef.h>

const char *
media_codec_name (MediaCodec codec)
{
  switch (codec) {
  case MEDIA_CODEC_NONE:
    return NULL;
  case MEDIA_CODEC_MPEG1_VIDEO:
    return "mpeg1video";
  case MEDIA_CODEC_MPEG2_VIDEO:
    return "mpeg2video";
  case MEDIA_CODEC_H264:
    return "h264";
  case MEDIA_CODEC_HEVC:
    return "hevc";
  case MEDIA_CODEC_MPEG_AUDIO:
    return "mp2";
  case MEDIA_CODEC_AAC:
    return "aac";
  case MEDIA_CODEC_AC3:
    return "ac3";
  case MEDIA_CODEC_EAC3:
    return "eac3";
  case MEDIA_CODEC_OTHER:
    return "other";
  }
  return NULL;
}

const char *
media_audio_name (const MediaStreamInfo *info)
{
  if (info->audio == MEDIA_CODEC_MPEG_AUDIO && info->audio_layer == 1)
    return "mp1";
  if (info->audio == MEDIA_CODEC_MPEG_AUDIO && info->audio_layer == 3)
    return "mp3";
  return media_codec_name (info->audio);
}
