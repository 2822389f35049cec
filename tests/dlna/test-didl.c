/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/didl.h"
#include "tests/dlna/fake-library.h"
#include <libxml/parser.h>
#include <string.h>

#define BASE "http://192.168.1.1:8574"
#define HEAD                                                                                       \
  "<DIDL-Lite xmlns=\"urn:schemas-upnp-org:metadata-1-0/DIDL-Lite/\" "                             \
  "xmlns:dc=\"http://purl.org/dc/elements/1.1/\" "                                                 \
  "xmlns:upnp=\"urn:schemas-upnp-org:metadata-1-0/upnp/\" "                                        \
  "xmlns:dlna=\"urn:schemas-dlna-org:metadata-1-0/\" "                                             \
  "xmlns:sec=\"http://www.sec.co.kr/dlna\">"
#define LIVE_INFO                                                                                  \
  "http-get:*:video/mpeg:DLNA.ORG_OP=00;DLNA.ORG_CI=0;"                                            \
  "DLNA.ORG_FLAGS=8D100000000000000000000000000000"
#define FILM_INFO                                                                                  \
  "http-get:*:video/mp4:DLNA.ORG_OP=01;DLNA.ORG_CI=0;"                                             \
  "DLNA.ORG_FLAGS=01700000000000000000000000000000"

/* One item's DIDL-Lite without head and tail; that it is XML is checked on the way. */
static char *
write_item (const DlnaItem *item, const char *filter, bool numbers)
{
  DlnaDidlOptions options = {.base = BASE, .filter = filter, .numbers_titles = numbers};
  DlnaDidl *didl = dlna_didl_new (&options);
  g_autofree char *text = NULL;
  xmlDoc *doc;

  dlna_didl_add (didl, item);
  text = dlna_didl_finish (didl);
  doc = xmlReadMemory (text, (int)strlen (text), NULL, NULL, XML_PARSE_NONET);
  g_assert_nonnull (doc);
  xmlFreeDoc (doc);
  g_assert_true (g_str_has_prefix (text, HEAD));
  g_assert_true (g_str_has_suffix (text, "</DIDL-Lite>"));
  return g_strndup (text + strlen (HEAD), strlen (text) - strlen (HEAD) - strlen ("</DIDL-Lite>"));
}

static void
test_channel (void)
{
  g_autoptr (DlnaItem) item = fake_library_channel ("news-1", "News & \"Views\" <1>", 7);
  g_autofree char *text = NULL;

  item->logo = g_strdup ("http://logo.example/a?b=1&c=2");
  item->bitrate = 4000000;
  item->width = 1280;
  item->height = 720;
  text = write_item (item, NULL, false);
  g_assert_cmpstr (text, ==,
                   "<item id=\"news-1\" parentID=\"0\" restricted=\"1\">"
                   "<dc:title>News &amp; &quot;Views&quot; &lt;1&gt;</dc:title>"
                   "<upnp:class>object.item.videoItem.videoBroadcast</upnp:class>"
                   "<upnp:channelNr>7</upnp:channelNr>"
                   "<upnp:channelName>News &amp; &quot;Views&quot; &lt;1&gt;</upnp:channelName>"
                   "<upnp:albumArtURI>http://logo.example/a?b=1&amp;c=2</upnp:albumArtURI>"
                   "<res protocolInfo=\"" LIVE_INFO
                   "\" bitrate=\"500000\" resolution=\"1280x720\">" BASE
                   "/media/news-1.ts</res></item>");
}

/* A logo of ours lies beside the media, and its profile is known. */
static void
test_logo (void)
{
  g_autoptr (DlnaItem) item = fake_library_channel ("news-1", "News", 7);
  g_autofree char *text = NULL, *without = NULL;

  item->logo = g_strdup ("/logo/news-1.jpg");
  item->logo_profile = g_strdup ("JPEG_TN");
  item->about = g_strdup ("20:00 This & that");
  text = write_item (item, NULL, false);
  g_assert_nonnull (strstr (text, "<upnp:albumArtURI dlna:profileID=\"JPEG_TN\">" BASE
                                  "/logo/news-1.jpg</upnp:albumArtURI>"));
  g_assert_nonnull (strstr (text, "<dc:description>20:00 This &amp; that</dc:description>"));
  without = write_item (item, "res", false);
  g_assert_null (strstr (without, "dc:description"));
  g_assert_null (strstr (without, "albumArtURI"));
}

static void
test_film (void)
{
  g_autoptr (DlnaItem) item = fake_library_film ("film", "A film", 123456789012);
  g_autofree char *text = NULL;

  item->duration = INT64_C (3723456000);
  text = write_item (item, "*", false);
  g_assert_cmpstr (text, ==,
                   "<item id=\"film\" parentID=\"0\" restricted=\"1\"><dc:title>A film</dc:title>"
                   "<upnp:class>object.item.videoItem</upnp:class><res protocolInfo=\"" FILM_INFO
                   "\" size=\"123456789012\" duration=\"1:02:03.456\">" BASE
                   "/media/film.mp4</res></item>");
}

/* Where the household stopped; what has not begun, or is over, says nothing of it. */
static void
test_stopped (void)
{
  g_autoptr (DlnaItem) item = fake_library_film ("film", "A & film", 1000);
  g_autofree char *begun = NULL, *asked = NULL, *unasked = NULL, *over = NULL;

  item->stopped = INT64_C (3723456000);
  begun = write_item (item, "*", false);
  g_assert_nonnull (strstr (begun, "<upnp:lastPlaybackPosition>1:02:03.456"
                                   "</upnp:lastPlaybackPosition><sec:dcmInfo>CREATIONDATE=0,"
                                   "FOLDER=A &amp; film,BM=3723</sec:dcmInfo><res"));
  asked = write_item (item, "dc:title,sec:dcmInfo", false);
  g_assert_nonnull (strstr (asked, "BM=3723"));
  g_assert_null (strstr (asked, "lastPlaybackPosition"));
  unasked = write_item (item, "dc:title", false);
  g_assert_null (strstr (unasked, "BM="));
  item->stopped = 0;
  over = write_item (item, "*", false);
  g_assert_null (strstr (over, "BM="));
  g_assert_null (strstr (over, "lastPlaybackPosition"));
}

static void
test_container (void)
{
  g_autoptr (DlnaItem) item = fake_library_folder ("live", "Live");
  g_autofree char *all = NULL, *none = NULL;

  item->child_count = 12;
  all = write_item (item, "*", false);
  none = write_item (item, "", false);
  g_assert_cmpstr (all, ==,
                   "<container id=\"live\" parentID=\"0\" restricted=\"1\" childCount=\"12\">"
                   "<dc:title>Live</dc:title><upnp:class>object.container.storageFolder"
                   "</upnp:class><upnp:storageUsed>-1</upnp:storageUsed></container>");
  g_assert_cmpstr (none, ==,
                   "<container id=\"live\" parentID=\"0\" restricted=\"1\">"
                   "<dc:title>Live</dc:title><upnp:class>object.container.storageFolder"
                   "</upnp:class><upnp:storageUsed>-1</upnp:storageUsed></container>");
}

static void
test_filter (void)
{
  static const struct {
    const char *filter;
    bool number, name, art, res, size, resolution;
  } rows[] = {
      {"", false, false, false, false, false, false},
      {"dc:title,upnp:class", false, false, false, false, false, false},
      {"res", false, false, false, true, false, false},
      {"res@size", false, false, false, true, true, false},
      {"@size", false, false, false, false, false, false},
      {"upnp:channelNr, upnp:albumArtURI", true, false, true, false, false, false},
      {"res,res@size,res@resolution,upnp:channelName", false, true, false, true, true, true},
      {"dc:date,*", true, true, true, true, true, true},
  };
  g_autoptr (DlnaItem) item = fake_library_film ("x", "X", 5);

  item->channel_number = 1;
  item->channel_name = g_strdup ("X");
  item->logo = g_strdup ("https://logo.example/");
  item->width = 640;
  item->height = 480;
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *text = write_item (item, rows[i].filter, false);
    g_assert_cmpint (strstr (text, "channelNr") != NULL, ==, rows[i].number);
    g_assert_cmpint (strstr (text, "channelName") != NULL, ==, rows[i].name);
    g_assert_cmpint (strstr (text, "albumArtURI") != NULL, ==, rows[i].art);
    g_assert_cmpint (strstr (text, "<res protocolInfo=") != NULL, ==, rows[i].res);
    g_assert_cmpint (strstr (text, " size=") != NULL, ==, rows[i].size);
    g_assert_cmpint (strstr (text, " resolution=") != NULL, ==, rows[i].resolution);
    g_assert_nonnull (strstr (text, "<dc:title>X</dc:title><upnp:class>"));
  }
}

static void
test_hostile_text (void)
{
  g_autoptr (DlnaItem) item = fake_library_channel ("a/b c&", "x\x01\x1b[0m\xff\xef\xbf\xbf\ty", 0);
  g_autofree char *text = NULL;

  item->logo = g_strdup ("javascript:alert(1)");
  text = write_item (item, NULL, false); /* is XML: write_item() has read it */
  g_assert_nonnull (strstr (text, "<dc:title>x[0m\xef\xbf\xbd\ty</dc:title>"));
  g_assert_nonnull (strstr (text, "/media/a%2Fb%20c%26.ts</res>"));
  g_assert_null (strstr (text, "albumArtURI"));
  g_assert_null (strstr (text, "&#"));
}

static void
test_numbers (void)
{
  g_autoptr (DlnaItem) item = fake_library_channel ("a", "News", 7);
  g_autofree char *text = write_item (item, "", true);

  g_assert_nonnull (strstr (text, "<dc:title>007 News</dc:title>"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dlna/didl/channel", test_channel);
  g_test_add_func ("/dlna/didl/logo-with-its-profile", test_logo);
  g_test_add_func ("/dlna/didl/film", test_film);
  g_test_add_func ("/dlna/didl/where-it-was-stopped", test_stopped);
  g_test_add_func ("/dlna/didl/container", test_container);
  g_test_add_func ("/dlna/didl/filter-is-honoured", test_filter);
  g_test_add_func ("/dlna/didl/hostile-text-stays-xml", test_hostile_text);
  g_test_add_func ("/dlna/didl/titles-are-numbered-for-sets-that-sort", test_numbers);
  return g_test_run ();
}
