/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/guide.h"
#include "tests/lib/listen.h"
#include "tests/proxy/scratch.h"
#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <string.h>

/* A static swarm: the ID is the root of its tree. */
static char *
link_for (unsigned i)
{
  return g_strdup_printf ("ppsp:%064x?tr=https%%3A%%2F%%2Ftracker.example%%2F&cl=1000000", i + 1);
}

static char *
swarm_for (unsigned i)
{
  return g_strdup_printf ("%064x", i + 1);
}

static const ProxyChannel *
find (ProxyCatalog *catalog, unsigned i)
{
  g_autofree char *swarm = swarm_for (i);
  return proxy_catalog_lookup_swarm (catalog, swarm);
}

static ProxyGuideCount
take (ProxyCatalog *catalog, const char *source, const char *text, gssize n)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, n < 0 ? strlen (text) : (size_t)n);
  g_autoptr (ProxyGuideReader) reader = proxy_guide_reader_new (catalog, source, bytes);
  while (proxy_guide_reader_step (reader, 100))
    ;
  return *proxy_guide_reader_count (reader);
}

static void
test_attributes (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  g_autofree char *first = link_for (0), *second = link_for (1), *third = link_for (2);
  g_autofree char *text = g_strdup_printf (
      "\xef\xbb\xbf#EXTM3U x-tvg-url=\"http://epg/\"\r\n"
      "#EXTINF:-1 tvg-id=\"ard.de\" tvg-name=\"Not this\" tvg-logo=\"https://logo.example/a.png\" "
      "group-title=\"News, Sport\" tvg-chno=\"7\",Das Erste\r\n"
      "%s\r\n\r\n"
      "#EXTINF:-1 tvg-name=\"Tvg  name\" tvg-logo=\"javascript:alert(1)\",\n"
      "#EXTGRP:Kids\n"
      "%s\n"
      "%s",
      first, second, third);
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  g_autoptr (ProxyGuideReader) reader = proxy_guide_reader_new (catalog, "http://list/", bytes);
  while (proxy_guide_reader_step (reader, 100))
    ;
  g_assert_cmpstr (proxy_guide_reader_programmes (reader), ==, "http://epg/");
  g_assert_cmpuint (proxy_guide_reader_count (reader)->channels, ==, 3);
  g_assert_cmpuint (proxy_guide_reader_count (reader)->rubbish, ==, 0);
  const ProxyChannel *channel = find (catalog, 0);
  g_assert_cmpstr (channel->id, ==, "ard.de");
  g_assert_cmpstr (channel->name, ==, "Das Erste");
  g_assert_cmpstr (channel->logo, ==, "https://logo.example/a.png");
  g_assert_cmpstr (channel->group, ==, "News, Sport");
  g_assert_cmpint (channel->number, ==, 7);
  g_assert_cmpstr (channel->link, ==, first);
  g_assert_cmpint (channel->length, ==, 1000000);
  g_assert_false (channel->live);
  channel = find (catalog, 1);
  g_assert_cmpstr (channel->name, ==, "Tvg name");
  g_assert_cmpstr (channel->group, ==, "Kids");
  g_assert_null (channel->logo);
  channel = find (catalog, 2);
  g_assert_cmpstr (channel->name, !=, "Tvg name"); /* nothing is left over from the one before */
  g_assert_cmpint (channel->number, ==, 0);
}

static void
test_names (void)
{
  static const char *const names[][2] = {
      {"plain", "plain"},
      {"  two\t\n words ", "two words"},
      {"\x01\x02", NULL},
      {"", NULL},
      {"<b>kept as it is</b>", "<b>kept as it is</b>"},
      {"bad \xff utf", "bad \xef\xbf\xbd utf"},
      {"turn \xe2\x80\xae around", "turn around"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *name = proxy_guide_clean_name (names[i][0]);
    g_assert_cmpstr (name, ==, names[i][1]);
  }
  g_autofree char *longest = g_strnfill (100000, 'x');
  g_autofree char *name = proxy_guide_clean_name (longest);
  g_assert_cmpuint (strlen (name), ==, 120);
}

/* What an operator may put there by mistake: 10,000 lines, duplicates, rubbish of every kind. */
static void
test_ten_thousand (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  g_autoptr (GString) text = g_string_new ("#EXTM3U\n");
  for (unsigned i = 0; i < 3000; i++) {
    g_autofree char *link = link_for (i), *again = link_for (i / 3);
    g_string_append_printf (text, "#EXTINF:-1 tvg-id=\"same\",Channel %u\n%s\n", i, link);
    if (i % 3 == 0)
      g_string_append_printf (text, "%s\n", again);
    if (i % 3 == 1)
      g_string_append (text, "http://192.168.0.1/not-ours.ts\n");
    if (i % 3 == 2)
      g_string_append (text, "ppsp:zz?ci=99\n");
  }
  g_string_append_len (text, "nul\0byte\n", 9);
  g_string_append (text, "\xff\xfe\x80 not UTF-8\n");
  for (unsigned i = 0; i < 40000; i++)
    g_string_append_c (text, 'y');
  ProxyGuideCount count = take (catalog, "http://list/", text->str, (gssize)text->len);
  g_assert_cmpuint (count.channels, ==, 3000);
  g_assert_cmpuint (count.duplicates, ==, 1000);
  g_assert_cmpuint (count.rubbish, ==, 2003);
  g_assert_false (count.truncated);
  g_assert_cmpuint (proxy_catalog_list (catalog)->len, ==, 3000);
  /* the same list once more changes nothing */
  uint32_t generation = proxy_catalog_generation (catalog);
  ProxyGuideCount again = take (catalog, "http://list/", text->str, (gssize)text->len);
  g_assert_cmpuint (again.channels, ==, count.channels);
  g_assert_cmpuint (again.duplicates, ==, count.duplicates);
  g_assert_cmpuint (again.rubbish, ==, count.rubbish);
  g_assert_false (again.truncated);
  g_assert_cmpuint (proxy_catalog_generation (catalog), ==, generation);
}

/* A link is kept and shown as it is written, a logo fetched: neither has what no URI has. */
static void
test_links_are_ascii (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  g_autofree char *good = link_for (0), *bad = link_for (1);
  g_autofree char *text = g_strdup_printf (
      "#EXTINF:-1 tvg-logo=\"http://a/\r\",A\n%s&new=%%ff\n%s&new=\xff\n%s&\rnew=\n", good, bad,
      bad);
  ProxyGuideCount count = take (catalog, "http://list/", text, -1);
  g_assert_cmpuint (count.channels, ==, 1);
  g_assert_cmpuint (count.rubbish, ==, 2);
  g_assert_null (find (catalog, 0)->logo);
}

static void
test_too_long (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  g_autofree char *one = link_for (0);
  take (catalog, "http://list/", one, -1);
  g_autoptr (GString) text = g_string_new (NULL);
  for (unsigned i = 1; i <= PROXY_GUIDE_MAX_CHANNELS + 5; i++) {
    g_autofree char *link = link_for (i);
    g_string_append_printf (text, "%s\n", link);
  }
  ProxyGuideCount count = take (catalog, "http://list/", text->str, (gssize)text->len);
  g_assert_cmpuint (count.channels, ==, PROXY_GUIDE_MAX_CHANNELS);
  g_assert_true (count.truncated);
  g_assert_nonnull (find (catalog, 0)); /* it may stand in the part that was not read */
}

static void
test_broken_list_keeps (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  g_autofree char *first = link_for (0), *second = link_for (1);
  g_autofree char *text = g_strdup_printf ("%s\n%s\n", first, second);
  take (catalog, "http://list/", text, -1);
  take (catalog, "http://list/", "", -1);
  take (catalog, "http://list/", "<html>404 Not Found</html>\n", -1);
  g_assert_cmpuint (proxy_catalog_list (catalog)->len, ==, 2);
  take (catalog, "http://list/", second, -1);
  g_assert_null (find (catalog, 0));
  g_assert_nonnull (find (catalog, 1));
}

/* --- over HTTP --- */

typedef struct {
  SoupServer *server;
  char *uri;
  unsigned requests;
  unsigned status;
  GString *body;
} Site;

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  Site *site = data;
  site->requests++;
  if (g_str_equal (path, "/loop")) {
    soup_server_message_set_redirect (message, SOUP_STATUS_FOUND, "/loop");
    return;
  }
  if (g_str_equal (path, "/moved")) {
    soup_server_message_set_redirect (message, SOUP_STATUS_FOUND, "/list");
    return;
  }
  if (g_str_equal (path, "/file")) {
    soup_server_message_set_status (message, SOUP_STATUS_FOUND, NULL);
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Location",
                                  "file:///etc/passwd");
    return;
  }
  soup_server_message_set_status (message, site->status, NULL);
  soup_message_body_append (soup_server_message_get_response_body (message), SOUP_MEMORY_COPY,
                            site->body->str, site->body->len);
}

static void
site_init (Site *site)
{
  site->server = soup_server_new (NULL, NULL);
  site->status = 200;
  site->requests = 0;
  site->body = g_string_new (NULL);
  soup_server_add_handler (site->server, NULL, on_request, site, NULL);
  site->uri = g_strdup_printf ("http://127.0.0.1:%u", listen_local (site->server));
}

static void
site_clear (Site *site)
{
  soup_server_disconnect (site->server);
  g_object_unref (site->server);
  g_string_free (site->body, TRUE);
  g_free (site->uri);
}

/* Until list i was read, or could not be. */
static ProxyGuideStatus
settle (ProxyGuide *guide, unsigned i)
{
  ProxyGuideStatus status;
  do {
    g_main_context_iteration (NULL, TRUE);
    proxy_guide_status (guide, i, &status);
  } while (!status.error && status.read_at == 0);
  return status;
}

static void
test_http (void)
{
  Site site;
  site_init (&site);
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  g_autofree char *one = g_strconcat (site.uri, "/moved", NULL);
  g_autofree char *two = g_strconcat (site.uri, "/loop", NULL);
  g_autofree char *three = g_strconcat (site.uri, "/file", NULL);
  const char *uris[] = {one, two, three, "http://127.0.0.1:1/refused", "file:///nowhere/list.m3u",
                        NULL};
  for (unsigned i = 0; i < 500; i++) {
    g_autofree char *link = link_for (i);
    g_string_append_printf (site.body, "%s\n", link);
  }
  g_autoptr (ProxyGuide) guide = proxy_guide_new (catalog, uris);
  proxy_guide_reload (guide);
  ProxyGuideStatus status = settle (guide, 0);
  g_assert_null (status.error);
  g_assert_cmpuint (status.count.channels, ==, 500);
  g_assert_nonnull (strstr (settle (guide, 1).error, "too often"));
  g_assert_nonnull (strstr (settle (guide, 2).error, "do not follow"));
  g_assert_nonnull (settle (guide, 3).error);
  g_assert_nonnull (settle (guide, 4).error);
  g_assert_cmpuint (site.requests, ==, 2 + 4 + 1);
  g_assert_cmpuint (proxy_catalog_list (catalog)->len, ==, 500);
  site_clear (&site);
}

static void
test_http_gone (void)
{
  Site site;
  site_init (&site);
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  const char *uris[] = {site.uri, NULL};
  g_autofree char *link = link_for (3);
  g_string_append (site.body, link);
  ProxyGuide *guide = proxy_guide_new (catalog, uris);
  proxy_guide_reload (guide);
  g_assert_null (settle (guide, 0).error);
  proxy_guide_free (guide);
  site.status = 503;
  guide = proxy_guide_new (catalog, uris);
  proxy_guide_reload (guide);
  g_assert_nonnull (strstr (settle (guide, 0).error, "503"));
  g_assert_nonnull (find (catalog, 3));
  proxy_guide_free (guide);
  /* longer than is read: what was read counts, nothing is swept, and memory is bounded */
  site.status = 200;
  g_string_truncate (site.body, 0);
  g_autofree char *other = link_for (4);
  g_string_append_printf (site.body, "%s\n", other);
  while (site.body->len < PROXY_GUIDE_MAX_BYTES + 100000)
    g_string_append (site.body, "# a comment that goes on and on, and says nothing at all\n");
  guide = proxy_guide_new (catalog, uris);
  proxy_guide_reload (guide);
  ProxyGuideStatus status = settle (guide, 0);
  g_assert_null (status.error);
  g_assert_true (status.count.truncated);
  g_assert_nonnull (find (catalog, 3));
  g_assert_nonnull (find (catalog, 4));
  proxy_guide_free (guide);
  /* freed in the middle of a request */
  guide = proxy_guide_new (catalog, uris);
  proxy_guide_reload (guide);
  g_main_context_iteration (NULL, FALSE);
  proxy_guide_free (guide);
  for (int i = 0; i < 50; i++)
    g_main_context_iteration (NULL, FALSE);
  site_clear (&site);
}

static void
test_file (void)
{
  char *folder = scratch_new ();
  g_autofree char *path = g_build_filename (folder, "list.m3u", NULL);
  g_autofree char *uri = g_filename_to_uri (path, NULL, NULL);
  g_autofree char *link = link_for (9);
  const char *uris[] = {uri, NULL};
  g_assert_true (g_file_set_contents (path, link, -1, NULL));
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  g_autoptr (ProxyGuide) guide = proxy_guide_new (catalog, uris);
  proxy_guide_reload (guide);
  g_assert_null (settle (guide, 0).error);
  g_assert_nonnull (find (catalog, 9));
  scratch_free (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  scratch_keep_warnings ();
  g_test_add_func ("/proxy/guide/reads-the-attributes", test_attributes);
  g_test_add_func ("/proxy/guide/cleans-names", test_names);
  g_test_add_func ("/proxy/guide/ten-thousand-lines-of-anything", test_ten_thousand);
  g_test_add_func ("/proxy/guide/links-are-ascii", test_links_are_ascii);
  g_test_add_func ("/proxy/guide/stops-at-the-limit", test_too_long);
  g_test_add_func ("/proxy/guide/broken-list-removes-nothing", test_broken_list_keeps);
  g_test_add_func ("/proxy/guide/by-http", test_http);
  g_test_add_func ("/proxy/guide/by-http-gone-or-endless", test_http_gone);
  g_test_add_func ("/proxy/guide/by-file", test_file);
  return g_test_run ();
}
