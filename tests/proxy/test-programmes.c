/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/programmes.h"
#include "tests/proxy/channel.h"
#include "tests/proxy/scratch.h"
#include <gio/gio.h>
#include <string.h>

#define NOON 1795262400 /* 2026-11-21 12:00 UTC */

typedef struct {
  int64_t now;
  ProxyCatalog *catalog;
  ProxyProgrammes *programmes;
} World;

static int64_t
world_clock (gpointer data)
{
  return ((World *)data)->now;
}

static void
add (World *self, const char *name, const char *wish)
{
  g_autofree char *swarm = g_strdup_printf ("swarm-%s", name);
  ProxyDraft draft = channel_draft (swarm, "ppsp:00", name);
  draft.wish_id = wish;
  proxy_catalog_put (self->catalog, &draft, NULL);
}

static void
world_init (World *self)
{
  self->now = NOON;
  self->catalog = proxy_catalog_open (NULL);
  add (self, "Das Erste HD", "ARD.de");
  add (self, "BBC One", NULL);
  self->programmes = proxy_programmes_new (self->catalog, world_clock, self);
}

static void
world_clear (World *self)
{
  proxy_programmes_free (self->programmes);
  proxy_catalog_close (self->catalog);
}

static const char guide[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE tv SYSTEM \"xmltv.dtd\">\n"
    "<tv><channel id=\"ARD.de\"><display-name>ARD</display-name></channel>\n"
    "<channel id=\"12.uk\"><display-name>One</display-name>"
    "<display-name lang=\"en\">BBC One</display-name></channel>"
    "<programme start=\"20261121130000 +0100\" stop=\"20261121134500 +0100\" channel=\"ARD.de\">"
    "<title lang=\"de\">Tagesschau &amp; Wetter</title><title>Other</title><desc> Was war </desc>"
    "<category>News</category></programme>"
    "<programme start=\"20261121124500\" stop=\"20261121140000\" channel=\"ARD.de\">"
    "<title>Film</title></programme>"
    "<programme start=\"20261121113000 +0000\" stop=\"20261121123000 +0000\" channel=\"12.uk\">"
    "<title><![CDATA[Garden <b>]]></title></programme>"
    "<programme start=\"20261121113000\" stop=\"20261121123000\" channel=\"unknown\">"
    "<title>Nobody's</title></programme>"
    "<programme start=\"20261123113000\" stop=\"20261123123000\" channel=\"12.uk\">"
    "<title>Too late</title></programme>"
    "<programme start=\"x\" stop=\"y\" channel=\"12.uk\"><title>Bad</title></programme></tv>\n";

static bool
read_guide (World *self, const char *text, size_t n, size_t piece)
{
  ProxyGuideXml *reader =
      proxy_guide_xml_new (self->programmes, self->now - 3600, self->now + 86400);
  bool good = true;
  for (size_t at = 0; at < n && good; at += piece)
    good = proxy_guide_xml_feed (reader, text + at, MIN (piece, n - at));
  proxy_guide_xml_free (reader);
  return good;
}

static void
check (World *self, const char *id, const char *now, const char *next)
{
  const ProxyProgramme *first, *second;
  proxy_programmes_now (self->programmes, id, &first, &second);
  g_assert_cmpstr (first ? first->title : NULL, ==, now);
  g_assert_cmpstr (second ? second->title : NULL, ==, next);
}

static void
test_now (void)
{
  for (size_t piece = 1; piece < sizeof guide; piece = piece * 3 + 1) {
    World world;
    world_init (&world);
    check (&world, "ard.de", NULL, NULL);
    g_assert_true (read_guide (&world, guide, sizeof guide - 1, piece));
    check (&world, "ard.de", "Tagesschau & Wetter", "Film");
    check (&world, "bbc-one", "Garden <b>", NULL);
    check (&world, "unknown", NULL, NULL);
    const ProxyProgramme *now, *next;
    proxy_programmes_now (world.programmes, "ard.de", &now, &next);
    g_assert_cmpstr (now->about, ==, "Was war");
    world.now = NOON + 50 * 60;
    check (&world, "ard.de", "Film", NULL);
    check (&world, "bbc-one", NULL, NULL);
    world.now = NOON - 20 * 60;
    check (&world, "ard.de", NULL, "Tagesschau & Wetter");
    world_clear (&world);
  }
}

static void
test_line (void)
{
  World world;
  world_init (&world);
  g_setenv ("TZ", "UTC", TRUE);
  g_assert_null (proxy_programmes_line (world.programmes, "ard.de"));
  g_assert_true (read_guide (&world, guide, sizeof guide - 1, 100));
  g_autofree char *line = proxy_programmes_line (world.programmes, "ard.de");
  g_assert_cmpstr (line, ==, "12:00 Tagesschau & Wetter. 12:45 Film");
  world_clear (&world);
}

static void
test_times (void)
{
  static const struct {
    const char *text;
    int64_t time;
  } rows[] = {
      {"20261121120000 +0000", NOON},
      {"20261121120000", NOON},
      {"202611211200", NOON},
      {"20261121130000 +0100", NOON},
      {"20261121063000 -0530", NOON},
      {"20261121", NOON - 12 * 3600},
      {"20261321120000", -1},
      {"2026112", -1},
      {"", -1},
      {"now", -1},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_test_message ("%s", rows[i].text);
    g_assert_cmpint (proxy_guide_xml_time (rows[i].text), ==, rows[i].time);
  }
}

static GBytes *
zip (const char *text, size_t n)
{
  g_autoptr (GConverter) zipper =
      G_CONVERTER (g_zlib_compressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP, 9));
  g_autoptr (GInputStream) plain = g_memory_input_stream_new_from_data (text, (gssize)n, NULL);
  g_autoptr (GInputStream) stream = g_converter_input_stream_new (plain, zipper);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  guint8 piece[4096];
  gssize got;
  while ((got = g_input_stream_read (stream, piece, sizeof piece, NULL, NULL)) > 0)
    g_byte_array_append (out, piece, (guint)got);
  return g_byte_array_free_to_bytes (g_steal_pointer (&out));
}

static void
test_zipped (void)
{
  g_autoptr (GBytes) zipped = zip (guide, sizeof guide - 1);
  gsize n;
  const char *bytes = g_bytes_get_data (zipped, &n);
  for (size_t piece = 2; piece <= n; piece = piece * 2) {
    World world;
    world_init (&world);
    g_assert_true (read_guide (&world, bytes, n, piece));
    check (&world, "ard.de", "Tagesschau & Wetter", "Film");
    world_clear (&world);
  }
}

/* What has no end, no sense, or no bound. */
static void
test_bad (void)
{
  World world;
  world_init (&world);
  g_autofree char *long_name = g_strnfill (400 * 1024, 'x');
  g_autofree char *endless = g_strconcat ("<tv><programme channel=\"", long_name, NULL);
  g_assert_false (read_guide (&world, endless, strlen (endless), 4096));
  g_assert_false (read_guide (&world, "<tv></channel>", 14, 14));
  g_assert_false (read_guide (&world, "<html>&nbsp;</html>", 19, 19));
  g_assert_false (read_guide (&world, "\x1f\x8bnot so", 8, 8));
  g_autoptr (GString) deep = g_string_new ("<tv>");
  for (unsigned i = 0; i < 100; i++)
    g_string_append (deep, "<a>");
  g_assert_false (read_guide (&world, deep->str, deep->len, 64));
  for (size_t cut = 0; cut < sizeof guide; cut += 7) /* what was whole is kept */
    g_assert_true (read_guide (&world, guide, cut, 64));
  /* A bomb of gzip: 16 MB without a tag in 16 kB. */
  g_autofree char *nothing = g_strnfill (16 << 20, ' ');
  g_autoptr (GBytes) part = zip (nothing, 16 << 20);
  gsize n;
  const char *bytes = g_bytes_get_data (part, &n);
  g_assert_false (read_guide (&world, bytes, n, 65536));
  world_clear (&world);
}

/* A channel that no guide names any more is forgotten, and of one not more is kept than a day has. */
static void
test_bounds (void)
{
  World world;
  world_init (&world);
  g_assert_true (read_guide (&world, guide, sizeof guide - 1, 100));
  world.now = NOON + 3 * 86400;
  g_assert_true (read_guide (&world, "<tv></tv>", 9, 9));
  world.now = NOON;
  check (&world, "ard.de", NULL, NULL);
  g_autoptr (GString) all = g_string_new ("<tv>");
  for (unsigned i = 0; i < 200; i++)
    g_string_append_printf (all,
                            "<programme start=\"20261121%02u%02u\" stop=\"20261121%02u%02u\" "
                            "channel=\"ARD.de\"><title>%u</title></programme>",
                            12 + i / 60, i % 60, 12 + (i + 1) / 60, (i + 1) % 60, i);
  g_string_append (all, "</tv>");
  g_assert_true (read_guide (&world, all->str, all->len, 4096));
  check (&world, "ard.de", "0", "1");
  world.now = NOON + 94 * 60;
  check (&world, "ard.de", "94", "95");
  world.now = NOON + 96 * 60;
  check (&world, "ard.de", NULL, NULL);
  world_clear (&world);
}

static void
test_follow (void)
{
  World world;
  world_init (&world);
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "guide.xml", NULL);
  g_autofree char *uri = g_filename_to_uri (path, NULL, NULL);
  g_autofree char *two = g_strconcat ("nonsense, ", uri, NULL);
  g_assert_true (g_file_set_contents (path, guide, -1, NULL));
  add (&world, "Three", NULL);
  static const char secret[] =
      "<tv><programme start=\"20261121113000\" stop=\"20261121123000\" channel=\"Three\">"
      "<title>Secret</title></programme></tv>";
  g_autofree char *secret_path = g_build_filename (folder, "secret.xml", NULL);
  g_autofree char *secret_uri = g_filename_to_uri (secret_path, NULL, NULL);
  g_assert_true (g_file_set_contents (secret_path, secret, -1, NULL));
  /* A list of elsewhere cannot name a file. Guides are fetched one after the other. */
  proxy_programmes_follow (world.programmes, "https://lists.example/a.m3u", secret_uri);
  proxy_programmes_follow (world.programmes, "file:///lists/a.m3u", two);
  const ProxyProgramme *now = NULL, *next;
  while (!now) {
    g_main_context_iteration (NULL, TRUE);
    proxy_programmes_now (world.programmes, "ard.de", &now, &next);
  }
  check (&world, "ard.de", "Tagesschau & Wetter", "Film");
  check (&world, "three", NULL, NULL);
  scratch_free (folder);
  world_clear (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/programmes/now-and-next", test_now);
  g_test_add_func ("/proxy/programmes/one-line", test_line);
  g_test_add_func ("/proxy/programmes/times-with-zones", test_times);
  g_test_add_func ("/proxy/programmes/compressed", test_zipped);
  g_test_add_func ("/proxy/programmes/bad-guides", test_bad);
  g_test_add_func ("/proxy/programmes/bounds", test_bounds);
  g_test_add_func ("/proxy/programmes/guides-are-fetched", test_follow);
  return g_test_run ();
}
