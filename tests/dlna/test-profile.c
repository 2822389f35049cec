/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/profile.h"
#include "dlna/quirks.h"
#include <glib/gstdio.h>
#include <string.h>

#define TAIL "000000000000000000000000"

typedef struct {
  const char *video, *audio;
  int profile, width, height;
  uint32_t rate;
  bool he_aac;
  const char *name;
} Row;

static DlnaItem *
stream (const Row *row)
{
  DlnaItem *item = dlna_item_new ();

  item->id = g_strdup ("a");
  item->mime = g_strdup ("video/mp2t");
  item->live = true;
  item->video_codec = g_strdup (row->video);
  item->audio_codec = g_strdup (row->audio);
  item->video_profile = row->profile;
  item->width = row->width;
  item->height = row->height;
  item->frame_rate_milli = row->rate;
  item->he_aac = row->he_aac;
  return item;
}

static void
test_names (void)
{
  static const Row rows[] = {
      {"mpeg2video", "mp2", 0, 720, 576, 25000, false, "MPEG_TS_SD_EU_ISO"},
      {"mpeg2video", "ac3", 0, 544, 576, 25000, false, "MPEG_TS_SD_EU_ISO"},
      {"mpeg2video", "ac3", 0, 720, 480, 29970, false, "MPEG_TS_SD_NA_ISO"},
      {"mpeg2video", "ac3", 0, 720, 480, 25000, false, NULL},
      {"mpeg2video", "ac3", 0, 720, 576, 29970, false, NULL},
      {"mpeg2video", "ac3", 0, 1920, 1080, 29970, false, "MPEG_TS_HD_NA_ISO"},
      {"mpeg2video", "aac", 0, 1920, 1080, 29970, false, NULL},
      {"h264", "ac3", 77, 720, 576, 25000, false, "AVC_TS_MP_SD_AC3_ISO"},
      {"h264", "aac", 77, 720, 576, 25000, false, "AVC_TS_MP_SD_AAC_MULT5_ISO"},
      {"h264", "aac", 77, 720, 576, 25000, true, "AVC_TS_MP_SD_HEAAC_L2_ISO"},
      {"h264", "mp3", 77, 720, 576, 25000, false, "AVC_TS_MP_SD_MPEG1_L3_ISO"},
      {"h264", "aac", 77, 1280, 720, 50000, false, "AVC_TS_MP_HD_AAC_MULT5_ISO"},
      {"h264", "aac", 77, 1280, 720, 50000, true, NULL},
      {"h264", "ac3", 77, 1280, 720, 50000, false, "AVC_TS_MP_HD_AC3_ISO"},
      {"h264", "mp3", 77, 1920, 1088, 25000, false, "AVC_TS_MP_HD_MPEG1_L3_ISO"},
      {"h264", "ac3", 100, 1920, 1080, 25000, false, "AVC_TS_HP_HD_AC3_ISO"},
      {"h264", "mp2", 100, 1920, 1080, 25000, false, "AVC_TS_HP_HD_MPEG1_L2_ISO"},
      {"h264", "mp2", 100, 720, 576, 25000, false, "AVC_TS_HP_SD_MPEG1_L2_ISO"},
      /* not in the table, not known, or too large: no name */
      {"h264", "aac", 100, 1280, 720, 25000, false, NULL},
      {"h264", "aac", 66, 1280, 720, 25000, false, NULL},
      {"h264", "ac3", 110, 1920, 1080, 25000, false, NULL},
      {"h264", "eac3", 100, 1920, 1080, 25000, false, NULL},
      {"h264", "ac3", 100, 3840, 2160, 25000, false, NULL},
      {"h264", "ac3", 100, 0, 0, 0, false, NULL},
      {"h264", NULL, 100, 1920, 1080, 25000, false, NULL},
      {NULL, "ac3", 0, 1920, 1080, 25000, false, NULL},
      {"hevc", "ac3", 1, 1920, 1080, 25000, false, NULL},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (DlnaItem) item = stream (&rows[i]);
    g_assert_cmpstr (dlna_profile_name (item), ==, rows[i].name);
    g_assert_cmpstr (dlna_profile_mime (item, NULL), ==, "video/mpeg");
    g_free (item->mime); /* the names are of transport streams only */
    item->mime = g_strdup ("video/mp4");
    g_assert_null (dlna_profile_name (item));
  }
}

static const Row hd = {"h264", "ac3", 100, 1920, 1080, 25000, false, NULL};

static void
test_live (void)
{
  g_autoptr (DlnaItem) item = stream (&hd);
  DlnaProfileStyle style = {.live_flags = "01700000"};
  g_autofree char *info = dlna_profile_protocol_info (item, NULL);
  g_autofree char *other = dlna_profile_protocol_info (item, &style);
  g_autofree char *unnamed = NULL;

  g_assert_cmpstr (info, ==,
                   "http-get:*:video/mpeg:DLNA.ORG_PN=AVC_TS_HP_HD_AC3_ISO;"
                   "DLNA.ORG_OP=00;DLNA.ORG_CI=0;DLNA.ORG_FLAGS=8D100000" TAIL);
  g_assert_cmpstr (other, ==,
                   "http-get:*:video/mpeg:DLNA.ORG_PN=AVC_TS_HP_HD_AC3_ISO;"
                   "DLNA.ORG_OP=00;DLNA.ORG_CI=0;DLNA.ORG_FLAGS=01700000" TAIL);
  style.omit_name = true;
  unnamed = dlna_profile_features (item, &style);
  g_assert_cmpstr (unnamed, ==, "DLNA.ORG_OP=00;DLNA.ORG_CI=0;DLNA.ORG_FLAGS=01700000" TAIL);
}

/* What a set may pause is not paced by us, and a set that has flags of its own keeps them. */
static void
test_pausable (void)
{
  g_autoptr (DlnaItem) item = stream (&hd);
  DlnaProfileStyle style = {.omit_name = true};
  g_autofree char *own = NULL, *usual = NULL;

  item->pausable = true;
  usual = dlna_profile_features (item, &style);
  g_assert_cmpstr (usual, ==, "DLNA.ORG_OP=00;DLNA.ORG_CI=0;DLNA.ORG_FLAGS=4D300000" TAIL);
  style.live_flags = "8D700000";
  own = dlna_profile_features (item, &style);
  g_assert_cmpstr (own, ==, "DLNA.ORG_OP=00;DLNA.ORG_CI=0;DLNA.ORG_FLAGS=8D700000" TAIL);
}

static void
test_on_demand (void)
{
  g_autoptr (DlnaItem) item = dlna_item_new ();
  g_autofree char *known = NULL, *unknown = NULL;

  item->id = g_strdup ("f");
  item->mime = g_strdup ("video/mp4");
  item->size = 1000;
  known = dlna_profile_protocol_info (item, NULL);
  item->size = -1; /* then no range can be promised */
  unknown = dlna_profile_protocol_info (item, NULL);
  g_assert_cmpstr (known, ==,
                   "http-get:*:video/mp4:DLNA.ORG_OP=01;DLNA.ORG_CI=0;"
                   "DLNA.ORG_FLAGS=01700000" TAIL);
  g_assert_cmpstr (unknown, ==,
                   "http-get:*:video/mp4:DLNA.ORG_OP=00;DLNA.ORG_CI=0;"
                   "DLNA.ORG_FLAGS=01700000" TAIL);
}

static void
test_sources (void)
{
  g_autofree char *sources = dlna_profile_sources ();
  g_auto (GStrv) list = g_strsplit (sources, ",", -1);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (size_t i = 0; list[i] != NULL; i++) {
    g_auto (GStrv) fields = g_strsplit (list[i], ":", -1);
    g_assert_cmpuint (g_strv_length (fields), ==, 4);
    g_assert_cmpstr (fields[0], ==, "http-get");
    g_assert_true (g_hash_table_add (seen, list[i])); /* none twice */
  }
  g_assert_true (
      g_hash_table_contains (seen, "http-get:*:video/mpeg:DLNA.ORG_PN=AVC_TS_HP_HD_AC3_ISO"));
  g_assert_true (g_hash_table_contains (seen, "http-get:*:video/mpeg:*"));
  g_assert_true (g_hash_table_contains (seen, "http-get:*:video/mp4:*"));
}

/* Headers as such sets send them. */
static void
test_quirks (void)
{
  static const struct {
    const char *agent, *client, *family, *flags;
    bool numbers;
  } rows[] = {
      {"DLNADOC/1.50 SEC_HHP_[TV]UE40D6500/1.0", NULL, "Samsung", "01700000", false},
      {"DLNADOC/1.50 SEC_HHP_Samsung QN85C/1.0 UPnP/1.0", NULL, "Samsung", "01700000", false},
      {"SEC_HHP_[PC]LPC001/1.0 MS-DeviceCaps/1024", NULL, "other", NULL, false},
      {"Linux/3.10 UPnP/1.0 LGE_DLNA_SDK/1.6.0", NULL, "LG", "01700000", false},
      {"UPnP/1.0 DLNADOC/1.50",
       "av=5.0; cn=\"Sony Corporation\"; mn=\"BRAVIA KDL-40EX500\"; mv=\"1.7\";", "Sony Bravia",
       "8D700000", false},
      {"UPnP/1.0 DLNADOC/1.50", NULL, "other", NULL, false},
      {"Panasonic MIL DLNA CP UPnP/1.0 DLNADOC/1.50", NULL, "Panasonic Viera", NULL, true},
      {"Linux, UPnP/1.0, PhilipsIntelSDK/1.4 DLNADOC/1.50", NULL, "Philips", NULL, false},
      {"VLC/3.0.18 LibVLC/3.0.18", NULL, "other", NULL, false},
      {NULL, NULL, "other", NULL, false},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    const DlnaQuirk *quirk = dlna_quirks_find (NULL, rows[i].agent, rows[i].client, NULL);
    g_assert_cmpstr (quirk->family, ==, rows[i].family);
    g_assert_cmpstr (quirk->style.live_flags, ==, rows[i].flags);
    g_assert_cmpint (quirk->numbers_titles, ==, rows[i].numbers);
  }
}

static DlnaQuirks *
read_rows (const char *text, GError **error)
{
  g_autofree char *folder = g_dir_make_tmp ("ppsp-quirks-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "renderers.conf", NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  DlnaQuirks *quirks = dlna_quirks_new (path, error);
  g_remove (path);
  g_rmdir (folder);
  return quirks;
}

/* The owner's rows come first, and all that they say counts. */
static void
test_owner (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DlnaQuirks) quirks =
      read_rows ("# mine\n"
                 "[Bedroom]\naddress=192.168.1.20\nnumber-titles=true\nchunked=true\n"
                 "[Old Bravia]\nclient-info=KDL-40EX500\nomit-flags=true\nomit-profile=true\n"
                 "[Kitchen]\nuser-agent=SEC_HHP_\nnot-user-agent=UE40\nlive-flags=8d500000\n"
                 "transport-type=video/mp2t\nignore-ranges=true\n",
                 &error);
  g_assert_no_error (error);
  const DlnaQuirk *bedroom = dlna_quirks_find (quirks, "VLC/3.0", NULL, "192.168.1.20");
  g_assert_cmpstr (bedroom->family, ==, "Bedroom");
  g_assert_true (bedroom->numbers_titles && bedroom->chunked && !bedroom->ignores_ranges);
  g_assert_cmpstr (dlna_quirks_find (quirks, "VLC/3.0", NULL, "192.168.1.2")->family, ==, "other");
  const DlnaQuirk *bravia =
      dlna_quirks_find (quirks, "UPnP/1.0", "mn=\"BRAVIA KDL-40EX500\"", "192.168.1.3");
  g_assert_cmpstr (bravia->family, ==, "Old Bravia");
  g_assert_true (bravia->style.omit_flags && bravia->style.omit_name);
  g_assert_cmpstr (dlna_quirks_find (quirks, NULL, "BRAVIA 2", NULL)->family, ==, "Sony Bravia");
  const DlnaQuirk *kitchen = dlna_quirks_find (quirks, "SEC_HHP_[TV]QN85/1.0", NULL, NULL);
  g_assert_cmpstr (kitchen->family, ==, "Kitchen");
  g_assert_cmpstr (kitchen->style.live_flags, ==, "8d500000");
  g_assert_true (kitchen->ignores_ranges);
  g_assert_cmpstr (dlna_quirks_find (quirks, "SEC_HHP_[TV]UE40/1.0", NULL, NULL)->family, ==,
                   "Samsung");

  g_autoptr (DlnaItem) item = stream (&(Row){"h264", "ac3", 100, 1920, 1080, 25000, false, NULL});
  g_autofree char *info = dlna_profile_protocol_info (item, &kitchen->style);
  g_assert_cmpstr (info, ==,
                   "http-get:*:video/mp2t:DLNA.ORG_PN=AVC_TS_HP_HD_AC3_ISO;DLNA.ORG_OP=00;"
                   "DLNA.ORG_CI=0;DLNA.ORG_FLAGS=8d500000" TAIL);
  g_autofree char *bare = dlna_profile_protocol_info (item, &bravia->style);
  g_assert_cmpstr (bare, ==, "http-get:*:video/mpeg:DLNA.ORG_OP=00;DLNA.ORG_CI=0");
}

static void
test_owner_mistakes (void)
{
  static const char *const rows[][2] = {
      {"[A]\nnumber-titles=true\n", "[A] says of no renderer"},
      {"[A]\nuser-agent=x\nlive-flags=123\n", "live-flags=123: expected 8 hexadecimal"},
      {"[A]\nuser-agent=x\nchunked=yes\n", "chunked=yes: expected true or false"},
      {"[A]\nuser-agent=x\ncolour=red\n", "colour=red: expected one of user-agent"},
      {"[A]\nuser-agent=\n", "user-agent=: expected some text"},
      {"[A]\nuser-agent=x\ntransport-type=a\\nb\n", "expected some text"},
      {"nonsense\n", "cannot read"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (read_rows (rows[i][0], &error));
    g_assert_nonnull (strstr (error->message, rows[i][1]));
    g_assert_nonnull (strstr (error->message, "renderers.conf"));
  }
  g_autoptr (GError) error = NULL;
  g_assert_null (dlna_quirks_new ("/nonexistent/renderers.conf", &error));
  g_assert_nonnull (strstr (error->message, "/nonexistent/renderers.conf"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dlna/profile/name-only-where-the-table-fits", test_names);
  g_test_add_func ("/dlna/profile/live-is-sender-paced", test_live);
  g_test_add_func ("/dlna/profile/paused-live-is-not", test_pausable);
  g_test_add_func ("/dlna/profile/on-demand-has-ranges-when-its-size-is-known", test_on_demand);
  g_test_add_func ("/dlna/profile/sources-are-well-formed", test_sources);
  g_test_add_func ("/dlna/quirks/renderers-are-known-by-their-headers", test_quirks);
  g_test_add_func ("/dlna/quirks/the-owners-rows-come-first", test_owner);
  g_test_add_func ("/dlna/quirks/mistakes-are-named", test_owner_mistakes);
  return g_test_run ();
}
