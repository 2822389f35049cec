/* SPDX-License-Identifier: Apache-2.0 */
/* A profile name is taken from a table of what the parser found in the stream: codec, profile,
 * picture size, audio. It is never guessed from a file's name: some sets refuse a stream whose name
 * they do not know, and most refuse one whose name is wrong, while all of them try a stream without.
 *
 * MPEG-TS with packets of 188 bytes: the names end in _ISO, and the type that goes with them is
 * video/mpeg. The same type is used without a name, since the sets that know video/mp2t as well are
 * fewer than those that know video/mpeg, and players look into the bytes anyway.
 *
 * DLNA.ORG_FLAGS, primary flags, bit 31 first:
 *
 *   31 sender-paced   30 by time, within what availableSeekRange.dlna.org says
 *   27 start moves    26 end moves       24 streaming mode                22 background mode
 *   21 may be stalled by not reading     20 DLNA 1.5
 */

#include "dlna/profile.h"
#include <string.h>

#define FLAGS_LIVE "8D100000"      /* sender-paced, start and end move, streaming, 1.5 */
#define FLAGS_PAUSABLE "4D300000"  /* some times, start and end move, streaming, stalling, 1.5 */
#define FLAGS_ON_DEMAND "01700000" /* streaming, background, stalling, 1.5 */
#define FLAGS_TAIL "000000000000000000000000"

#define H264_MAIN 77
#define H264_HIGH 100

typedef enum { SIZE_SD, SIZE_HD } Size;

typedef struct {
  const char *name;
  const char *video;
  int profile; /* H.264 profile_idc; 0 = any */
  Size size;
  int height; /* exact; 0 = any of that size */
  const char *audio;
  bool he_aac;
} Row;

static const Row rows[] = {
    {"MPEG_TS_SD_EU_ISO", "mpeg2video", 0, SIZE_SD, 576, "mp2", false},
    {"MPEG_TS_SD_EU_ISO", "mpeg2video", 0, SIZE_SD, 576, "ac3", false},
    {"MPEG_TS_SD_NA_ISO", "mpeg2video", 0, SIZE_SD, 480, "ac3", false},
    {"MPEG_TS_HD_NA_ISO", "mpeg2video", 0, SIZE_HD, 0, "ac3", false},
    {"AVC_TS_MP_SD_AC3_ISO", "h264", H264_MAIN, SIZE_SD, 0, "ac3", false},
    {"AVC_TS_MP_SD_AAC_MULT5_ISO", "h264", H264_MAIN, SIZE_SD, 0, "aac", false},
    {"AVC_TS_MP_SD_HEAAC_L2_ISO", "h264", H264_MAIN, SIZE_SD, 0, "aac", true},
    {"AVC_TS_MP_SD_MPEG1_L3_ISO", "h264", H264_MAIN, SIZE_SD, 0, "mp3", false},
    {"AVC_TS_MP_HD_AC3_ISO", "h264", H264_MAIN, SIZE_HD, 0, "ac3", false},
    {"AVC_TS_MP_HD_AAC_MULT5_ISO", "h264", H264_MAIN, SIZE_HD, 0, "aac", false},
    {"AVC_TS_MP_HD_MPEG1_L3_ISO", "h264", H264_MAIN, SIZE_HD, 0, "mp3", false},
    {"AVC_TS_HP_SD_MPEG1_L2_ISO", "h264", H264_HIGH, SIZE_SD, 0, "mp2", false},
    {"AVC_TS_HP_HD_AC3_ISO", "h264", H264_HIGH, SIZE_HD, 0, "ac3", false},
    {"AVC_TS_HP_HD_MPEG1_L2_ISO", "h264", H264_HIGH, SIZE_HD, 0, "mp2", false},
};

static bool
is_transport_stream (const DlnaItem *item)
{
  return item->mime != NULL && (g_ascii_strcasecmp (item->mime, "video/mp2t") == 0 ||
                                g_ascii_strcasecmp (item->mime, "video/vnd.dlna.mpeg-tts") == 0);
}

/* false = no size that a profile of ours covers. */
static bool
picture_size (const DlnaItem *item, Size *out)
{
  if (item->width <= 0 || item->height <= 0 || item->width > 1920 || item->height > 1088)
    return false;
  *out = item->width <= 720 && item->height <= 576 ? SIZE_SD : SIZE_HD;
  return true;
}

/* The European raster goes with 25 pictures/s, the American with 30 (or 24, film). */
static bool
rate_fits (const DlnaItem *item, int height)
{
  switch (height) {
  case 576:
    return item->frame_rate_milli == 25000;
  case 480:
    return item->frame_rate_milli == 29970 || item->frame_rate_milli == 30000 ||
           item->frame_rate_milli == 23976 || item->frame_rate_milli == 24000;
  default:
    return true;
  }
}

const char *
dlna_profile_name (const DlnaItem *item)
{
  Size size;

  if (!is_transport_stream (item) || item->video_codec == NULL || item->audio_codec == NULL ||
      !picture_size (item, &size))
    return NULL;
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    const Row *row = &rows[i];
    if (strcmp (row->video, item->video_codec) == 0 && row->size == size &&
        (row->profile == 0 || row->profile == item->video_profile) &&
        (row->height == 0 || (row->height == item->height && rate_fits (item, row->height))) &&
        strcmp (row->audio, item->audio_codec) == 0 && row->he_aac == item->he_aac)
      return row->name;
  }
  return NULL;
}

const char *
dlna_profile_mime (const DlnaItem *item, const DlnaProfileStyle *style)
{
  if (is_transport_stream (item))
    return style != NULL && style->transport_type != NULL ? style->transport_type : "video/mpeg";
  return item->mime != NULL ? item->mime : "application/octet-stream";
}

char *
dlna_profile_features (const DlnaItem *item, const DlnaProfileStyle *style)
{
  const char *name = style != NULL && style->omit_name ? NULL : dlna_profile_name (item);
  const char *flags = FLAGS_ON_DEMAND;
  bool times = item->seeks_time && (style == NULL || !style->bytes_only);
  const char *operations = item->size < 0 ? "00" : times ? "11" : "01"; /* by time; by bytes */

  if (item->live) {
    flags = style != NULL && style->live_flags != NULL ? style->live_flags
            : item->pausable                           ? FLAGS_PAUSABLE
                                                       : FLAGS_LIVE;
    operations = "00";
  }
  if (style != NULL && style->omit_flags)
    flags = NULL;
  return g_strdup_printf ("%s%s%sDLNA.ORG_OP=%s;DLNA.ORG_CI=0%s%s%s",
                          name != NULL ? "DLNA.ORG_PN=" : "", name != NULL ? name : "",
                          name != NULL ? ";" : "", operations,
                          flags != NULL ? ";DLNA.ORG_FLAGS=" : "", flags != NULL ? flags : "",
                          flags != NULL ? FLAGS_TAIL : "");
}

char *
dlna_profile_protocol_info (const DlnaItem *item, const DlnaProfileStyle *style)
{
  g_autofree char *features = dlna_profile_features (item, style);
  return g_strdup_printf ("http-get:*:%s:%s", dlna_profile_mime (item, style), features);
}

char *
dlna_profile_sources (void)
{
  static const char *const types[] = {"video/mpeg",       "video/mp2t", "video/mp4",
                                      "video/x-matroska", "audio/mpeg", "audio/mp4"};
  g_autoptr (GString) out = g_string_new (NULL);
  const char *last = "";

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    if (strcmp (rows[i].name, last) != 0)
      g_string_append_printf (out, "http-get:*:video/mpeg:DLNA.ORG_PN=%s,", rows[i].name);
    last = rows[i].name;
  }
  for (size_t i = 0; i < G_N_ELEMENTS (types); i++)
    g_string_append_printf (out, "%shttp-get:*:%s:*", i > 0 ? "," : "", types[i]);
  return g_string_free (g_steal_pointer (&out), FALSE);
}
