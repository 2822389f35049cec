/* SPDX-License-Identifier: Apache-2.0 */
/* The parser against streams that a real encoder made, and against what ffprobe says of them. */
#include "peer/media/mpegts.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <stdlib.h>
#include <string.h>

static char *folder;

typedef struct {
  const char *name;
  const char *input;  /* lavfi sources */
  const char *encode; /* options of ffmpeg */
  MediaCodec video, audio;
  unsigned width, height, frame_rate_milli, audio_rate, audio_channels;
  bool he_aac;
} Row;

#define PICTURE "-f lavfi -i testsrc2=size=%s:rate=%s"
#define TONE " -f lavfi -i sine=frequency=440:sample_rate=48000"

static const Row rows[] = {
    {"h264-aac", "426x238 25" TONE, "-c:v libx264 -preset ultrafast -g 25 -c:a aac -ac 2",
     MEDIA_CODEC_H264, MEDIA_CODEC_AAC, 426, 238, 25000, 48000, 2, false},
    {"h264-open-gop", "320x240 30000/1001" TONE,
     "-c:v libx264 -preset veryfast -g 20 -bf 2 -x264-params open-gop=1:keyint=20:scenecut=0 -c:a "
     "ac3",
     MEDIA_CODEC_H264, MEDIA_CODEC_AC3, 320, 240, 29970, 48000, 1, false},
    {"h264-intra-refresh", "320x240 25",
     "-c:v libx264 -preset veryfast -g 25 -x264-params intra-refresh=1 -an", MEDIA_CODEC_H264,
     MEDIA_CODEC_NONE, 320, 240, 25000, 0, 0, false},
    {"h264-interlaced-high422", "720x576 25" TONE,
     "-c:v libx264 -preset ultrafast -pix_fmt yuv422p10le -flags +ilme+ildct -x264-params tff=1 -g "
     "12 "
     "-c:a eac3 -ac 2",
     MEDIA_CODEC_H264, MEDIA_CODEC_EAC3, 720, 576, 25000, 48000, 2, false},
    {"h264-sliced", "640x360 50", "-c:v libx264 -preset ultrafast -slices 8 -aud 1 -g 25 -an",
     MEDIA_CODEC_H264, MEDIA_CODEC_NONE, 640, 360, 50000, 0, 0, false},
    {"mpeg2-mp2", "720x576 25" TONE, "-c:v mpeg2video -b:v 2M -g 12 -bf 2 -c:a mp2 -ac 2",
     MEDIA_CODEC_MPEG2_VIDEO, MEDIA_CODEC_MPEG_AUDIO, 720, 576, 25000, 48000, 2, false},
    {"mpeg1-mp2", "352x288 25" TONE, "-c:v mpeg1video -b:v 1M -g 12 -c:a mp2 -ac 1 -ar 44100",
     MEDIA_CODEC_MPEG1_VIDEO, MEDIA_CODEC_MPEG_AUDIO, 352, 288, 25000, 44100, 1, false},
    {"hevc-latm", "426x238 24" TONE,
     "-c:v libx265 -preset ultrafast -x265-params keyint=24:log-level=none -c:a aac -ac 2 -ar "
     "44100 "
     "-mpegts_flags +latm",
     MEDIA_CODEC_HEVC, MEDIA_CODEC_AAC, 426, 238, 24000, 44100, 2, false},
    {"hevc-open-gop", "320x240 60000/1001",
     "-c:v libx265 -preset veryfast -x265-params "
     "keyint=30:open-gop=1:repeat-headers=1:log-level=none "
     "-an",
     MEDIA_CODEC_HEVC, MEDIA_CODEC_NONE, 320, 240, 59940, 0, 0, false},
    {"audio-only", NULL, "-c:a aac -ac 2", MEDIA_CODEC_NONE, MEDIA_CODEC_AAC, 0, 0, 0, 48000, 2,
     false},
};

static void
run (const char *command)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *out = NULL, *err = NULL;
  int status;

  g_spawn_command_line_sync (command, &out, &err, &status, &error);
  g_assert_no_error (error);
  if (!g_spawn_check_wait_status (status, NULL))
    g_error ("%s\n%s", command, err);
}

static char *
make_stream (const Row *row)
{
  g_autofree char *path = g_strdup_printf ("%s/%s.ts", folder, row->name), *input = NULL;
  g_autofree char *command = NULL;

  if (row->input == NULL) {
    input = g_strdup ("-f lavfi -i sine=frequency=440:sample_rate=48000");
  } else {
    g_auto (GStrv) words = g_strsplit (row->input, " ", 3);

    input = g_strdup_printf (PICTURE "%s%s", words[0], words[1], words[2] ? " " : "",
                             words[2] ? words[2] : "");
  }
  command = g_strdup_printf ("ffmpeg -v error -nostdin -y %s -t 3 %s -f mpegts %s", input,
                             row->encode, path);
  run (command);
  return g_steal_pointer (&path);
}

/* Offsets of the packets in which ffprobe sees a key frame begin. */
static GArray *
probe_keys (const char *path, GArray *times)
{
  g_autofree char *out = NULL;
  g_autofree char *command = g_strdup_printf (
      "ffprobe -v error -select_streams v:0 -show_entries packet=pos,flags,pts -of json %s", path);
  g_autoptr (JsonParser) parser = json_parser_new ();
  GArray *keys = g_array_new (FALSE, FALSE, sizeof (guint64));
  JsonArray *packets;

  g_assert_true (g_spawn_command_line_sync (command, &out, NULL, NULL, NULL));
  g_assert_true (json_parser_load_from_data (parser, out, -1, NULL));
  packets = json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)),
                                          "packets");
  for (guint i = 0; i < json_array_get_length (packets); i++) {
    JsonObject *packet = json_array_get_object_element (packets, i);
    guint64 pos;
    gint64 pts;

    if (json_object_get_string_member (packet, "flags")[0] != 'K')
      continue;
    pos = g_ascii_strtoull (json_object_get_string_member (packet, "pos"), NULL, 10);
    pts = json_object_get_int_member (packet, "pts") * 100 / 9;
    g_array_append_val (keys, pos);
    g_array_append_val (times, pts);
  }
  return keys;
}

static GArray *
parse_keys (MediaTs *ts, const uint8_t *bytes, size_t n, GArray *times)
{
  GArray *keys = g_array_new (FALSE, FALSE, sizeof (guint64));

  for (size_t at = 0; at + MEDIA_TS_PACKET <= n; at += MEDIA_TS_PACKET) {
    MediaTsPacket packet;
    unsigned behind;
    guint64 pos;

    g_assert_true (media_ts_feed (ts, bytes + at, &packet, &behind));
    if (!packet.starts_picture)
      continue;
    pos = at - (guint64)behind * MEDIA_TS_PACKET;
    g_array_append_val (keys, pos);
    g_array_append_val (times, packet.pts);
  }
  return keys;
}

static void
test_stream (gconstpointer data)
{
  const Row *row = data;
  g_autofree char *path = make_stream (row), *bytes = NULL;
  g_autoptr (MediaTs) ts = media_ts_new ();
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_autoptr (GArray) expected_times = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_autoptr (GArray) keys = NULL, expected = NULL;
  const MediaStreamInfo *info = media_ts_info (ts);
  gsize n;

  g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
  keys = parse_keys (ts, (const uint8_t *)bytes, n, times);
  g_assert_cmpuint (media_ts_bad_packets (ts), ==, 0);
  g_assert_cmpint (info->video, ==, row->video);
  g_assert_cmpint (info->audio, ==, row->audio);
  g_assert_cmpuint (info->width, ==, row->width);
  g_assert_cmpuint (info->height, ==, row->height);
  g_assert_cmpuint (info->frame_rate_milli, ==, row->frame_rate_milli);
  g_assert_cmpuint (info->audio_rate, ==, row->audio_rate);
  g_assert_cmpuint (info->audio_channels, ==, row->audio_channels);
  g_assert_cmpint (info->audio_he_aac, ==, row->he_aac);
  if (row->video == MEDIA_CODEC_NONE) {
    g_assert_cmpuint (keys->len, >, 10);
    return;
  }
  g_assert_cmpint (info->video_profile == 0, ==, row->video == MEDIA_CODEC_MPEG1_VIDEO);

  expected = probe_keys (path, expected_times);
  g_assert_cmpuint (expected->len, >=, 2);
  g_assert_cmpuint (keys->len, ==, expected->len);
  for (guint i = 0; i < keys->len; i++) {
    g_assert_cmpuint (g_array_index (keys, guint64, i), ==, g_array_index (expected, guint64, i));
    g_assert_cmpint (g_array_index (times, gint64, i), ==,
                     g_array_index (expected_times, gint64, i));
  }
}

/* A viewer who gets tables and then the bytes from any key frame on decodes without an error. */
static void
test_starts_cleanly (gconstpointer data)
{
  const Row *row = data;
  g_autofree char *path = make_stream (row), *bytes = NULL, *cut = NULL, *command = NULL;
  g_autofree char *err = NULL;
  g_autoptr (MediaTs) ts = media_ts_new ();
  g_autoptr (GByteArray) out = g_byte_array_new ();
  uint8_t tables[16 * MEDIA_TS_PACKET];
  unsigned n_pictures = 0;
  size_t n_tables;
  gsize n;

  g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
  for (size_t at = 0; at + MEDIA_TS_PACKET <= n; at += MEDIA_TS_PACKET) {
    MediaTsPacket packet;
    unsigned behind;

    media_ts_feed (ts, (const uint8_t *)bytes + at, &packet, &behind);
    if (!packet.starts_picture || ++n_pictures != 3)
      continue;
    n_tables = media_ts_write_picture_tables (ts, tables, sizeof tables);
    g_assert_cmpuint (n_tables, ==, 2 * MEDIA_TS_PACKET);
    at -= (size_t)behind * MEDIA_TS_PACKET;
    g_byte_array_append (out, tables, (guint)n_tables);
    g_byte_array_append (out, (const uint8_t *)bytes + at, (guint)(n - at));
    break;
  }
  g_assert_cmpuint (out->len, >, 0);
  cut = g_strdup_printf ("%s/cut.ts", folder);
  g_assert_true (g_file_set_contents (cut, (const char *)out->data, out->len, NULL));
  /* "debug" tells of gaps in the continuity counters, which "error" does not */
  command = g_strdup_printf ("ffmpeg -v debug -nostdin -i %s -map 0:v -f null -", cut);
  g_assert_true (g_spawn_command_line_sync (command, NULL, &err, NULL, NULL));
  if (strstr (err, "Continuity check failed") || strstr (err, "non-existing") ||
      strstr (err, "error while"))
    g_error ("%s", err);
  g_assert_nonnull (strstr (err, "frame="));
}

/* Damage of every kind, bounded in time: no crash, and what is true again afterwards is seen. */
static void
test_damage (void)
{
  g_autofree char *path = make_stream (&rows[0]), *bytes = NULL;
  g_autoptr (GRand) random = g_rand_new_with_seed (7);
  gsize n;

  g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
  for (unsigned round = 0; round < 40; round++) {
    g_autoptr (MediaTs) ts = media_ts_new ();
    g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (gint64));
    g_autoptr (GArray) keys = NULL;

    for (size_t at = 0; at + MEDIA_TS_PACKET <= n; at += MEDIA_TS_PACKET) {
      uint8_t packet[MEDIA_TS_PACKET];
      MediaTsPacket told;
      unsigned behind, kind = (unsigned)g_rand_int_range (random, 0, 8);

      memcpy (packet, bytes + at, sizeof packet);
      if (kind == 0)
        continue;
      for (unsigned i = 0; i < kind / 2; i++)
        packet[g_rand_int_range (random, 0, MEDIA_TS_PACKET)] ^=
            (uint8_t)(1 << g_rand_int_range (random, 0, 8));
      media_ts_feed (ts, packet, &told, &behind);
      if (told.starts_picture)
        g_assert_cmpuint (behind, <=, MEDIA_TS_BEHIND_MAX);
    }
    keys = parse_keys (ts, (const uint8_t *)bytes, n, times);
    g_assert_cmpuint (keys->len, >=, 2);
    g_assert_cmpint (media_ts_info (ts)->video, ==, MEDIA_CODEC_H264);
    g_assert_cmpuint (media_ts_info (ts)->width, ==, 426);
  }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("ppsp-streams-XXXXXX", NULL);
  g_assert_nonnull (folder);
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *name = g_strdup_printf ("/media/mpegts/as-ffprobe-%s", rows[i].name);

    g_test_add_data_func (name, &rows[i], test_stream);
  }
  g_test_add_data_func ("/media/mpegts/starts-cleanly-h264", &rows[0], test_starts_cleanly);
  g_test_add_data_func ("/media/mpegts/starts-cleanly-mpeg2", &rows[5], test_starts_cleanly);
  g_test_add_data_func ("/media/mpegts/starts-cleanly-hevc", &rows[7], test_starts_cleanly);
  g_test_add_func ("/media/mpegts/damage-passes", test_damage);
  result = g_test_run ();
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *path = g_strdup_printf ("%s/%s.ts", folder, rows[i].name);

    g_unlink (path);
  }
  g_autofree char *cut = g_strdup_printf ("%s/cut.ts", folder);
  g_unlink (cut);
  g_rmdir (folder);
  return result;
}
