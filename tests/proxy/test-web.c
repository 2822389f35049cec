/* SPDX-License-Identifier: Apache-2.0 */
/* The page and the API, asked over HTTP as browsers and attackers ask. */
#include "tests/proxy/channel.h"
#include "tests/proxy/scratch.h"
#include "tests/proxy/web-world.h"
#include <stdlib.h>
#include <string.h>

#define LINK                                                                                       \
  "ppsp:e8ca11c4afab862f75f8ba6a8ad1a76cf12fee4c07e9763f0c5f5e510af070c9"                          \
  "?tr=https%3A%2F%2Ftracker.example%2F&cl=1000"

#define LIVE_LINK                                                                                  \
  "ppsp:0d1a88c88615d437fbb8bf9e1942a1929f28562706ae6c2bd399e7b1bfb6d1e9e75b92b4aa429"             \
  "17ae1c61b701ef035c3fe7be3009cbafe5a2f71316c902dcf0d00?ci=3&ca=4&cs=1128&ns=64"

static void
test_page (void)
{
  static const char *const paths[] = {"/", "/app.js", "/style.css", "/icon.svg"};
  WebWorld world;
  size_t bytes = 0;
  web_world_init (&world);
  for (size_t i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_assert_cmpuint (web_ask (&world, "GET", paths[i], NULL, NULL), ==, 200);
    g_assert_nonnull (strstr (world.csp, "default-src 'self'"));
    g_assert_null (strstr (world.csp, "unsafe"));
    bytes += strlen (world.body);
    g_assert_null (strstr (world.body, "innerHTML"));
    g_autofree char *known = g_strconcat ("If-None-Match: ", world.etag, NULL);
    g_assert_cmpuint (web_ask (&world, "GET", paths[i], (const char *[]){known, NULL}, NULL), ==,
                      304);
    g_assert_cmpuint (web_ask (&world, "HEAD", paths[i], NULL, NULL), ==, 200);
    g_assert_cmpstr (world.body, ==, "");
    g_assert_cmpuint (web_ask (&world, "POST", paths[i], web_ours, "{}"), ==, 405);
  }
  g_assert_cmpuint (bytes, <, 60000);
  g_assert_cmpuint (web_ask (&world, "GET", "/nothing", NULL, NULL), ==, 404);
  g_assert_cmpuint (web_ask (&world, "GET", "/api/v2/status", NULL, NULL), ==, 404);
  web_world_clear (&world);
}

/* Names are what a foreign page can make point at us; every address refuses them. */
static void
test_hosts (void)
{
  static const char *const paths[] = {
      "/",          "/app.js",           "/channels.m3u", "/healthz",
      "/metrics",   "/api/v1/status",    "/nothing",      "/api/v1/channels",
      "/guide.xml", "/api/v1/recordings"};
  WebWorld world;
  web_world_init (&world);
  for (size_t i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_assert_cmpuint (
        web_ask (&world, "GET", paths[i], (const char *[]){"Host: evil.example", NULL}, NULL), ==,
        421);
    g_assert_cmpuint (
        web_ask (&world, "GET", paths[i], (const char *[]){"Host: localhost", NULL}, NULL), !=,
        421);
  }
  web_world_clear (&world);
}

static void
test_foreign_pages (void)
{
  static const struct {
    const char *headers[5];
    bool taken;
  } cases[] = {
      {{"X-PPSP: 1", "Content-Type: application/json", NULL}, true},
      {{"X-PPSP: 1", "Content-Type: application/json; charset=utf-8", NULL}, true},
      {{"X-PPSP: 1", "Content-Type: application/json", "Sec-Fetch-Site: same-origin", NULL}, true},
      {{"X-PPSP: 1", "Content-Type: application/json", "Sec-Fetch-Site: none", NULL}, true},
      {{"Content-Type: application/json", NULL}, false},
      {{"X-PPSP: 1", "Content-Type: text/plain", NULL}, false},
      {{"X-PPSP: 1", "Content-Type: application/x-www-form-urlencoded", NULL}, false},
      {{"X-PPSP: 1", NULL}, false},
      {{"X-PPSP: 2", "Content-Type: application/json", NULL}, false},
      {{"X-PPSP: 1", "Content-Type: application/json", "Origin: http://evil.example", NULL}, false},
      {{"X-PPSP: 1", "Content-Type: application/json", "Origin: null", NULL}, false},
      {{"X-PPSP: 1", "Content-Type: application/json", "Origin: http://127.0.0.1", NULL}, false},
      {{"X-PPSP: 1", "Content-Type: application/json", "Sec-Fetch-Site: cross-site", NULL}, false},
      {{"X-PPSP: 1", "Content-Type: application/json", "Sec-Fetch-Site: same-site", NULL}, false},
  };
  WebWorld world;
  web_world_init (&world);
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    unsigned status =
        web_ask (&world, "POST", "/api/v1/channels", cases[i].headers, "{\"link\":\"" LINK "\"}");
    g_assert_cmpuint (status, ==, cases[i].taken ? 201 : 403);
    g_assert_cmpuint (proxy_catalog_list (world.catalog)->len, ==, cases[i].taken);
    if (!cases[i].taken)
      continue;
    const ProxyChannel *channel = proxy_catalog_list (world.catalog)->pdata[0];
    g_autofree char *path = g_strconcat ("/api/v1/channels/", channel->id, NULL);
    g_assert_cmpuint (web_ask (&world, "DELETE", path, cases[9].headers, NULL), ==, 403);
    g_assert_cmpuint (web_ask (&world, "DELETE", path, NULL, NULL), ==, 403);
    g_assert_cmpuint (web_ask (&world, "DELETE", path, cases[i].headers, NULL), ==, 204);
    g_assert_cmpuint (proxy_catalog_list (world.catalog)->len, ==, 0);
  }
  g_autofree char *own = g_strdup_printf ("Origin: http://127.0.0.1:%u", world.port);
  g_assert_cmpuint (web_ask (&world, "POST", "/api/v1/channels",
                             (const char *[]){web_ours[0], web_ours[1], own, NULL},
                             "{\"link\":\"" LINK "\"}"),
                    ==, 201);
  /* what a browser asks before it would send them from elsewhere: no leave is given */
  g_assert_cmpuint (web_ask (&world, "OPTIONS", "/api/v1/channels",
                             (const char *[]){"Origin: http://evil.example", NULL}, NULL),
                    ==, 405);
  web_world_clear (&world);
}

static void
test_favourite (void)
{
  WebWorld world;
  web_world_init (&world);
  ProxyDraft draft = channel_draft ("00", "ppsp:00", "One");
  proxy_catalog_put (world.catalog, &draft, NULL);
  static const char path[] = "/api/v1/channels/one/favourite";
  g_assert_cmpuint (web_ask (&world, "PUT", path, NULL, NULL), ==, 403);
  g_assert_cmpuint (web_ask (&world, "GET", path, NULL, NULL), ==, 405);
  g_assert_cmpuint (web_ask (&world, "PUT", "/api/v1/channels/two/favourite", web_ours, NULL), ==,
                    404);
  g_assert_false (proxy_catalog_lookup (world.catalog, "one")->favourite);
  g_assert_cmpuint (web_ask (&world, "PUT", path, web_ours, NULL), ==, 204);
  g_assert_true (proxy_catalog_lookup (world.catalog, "one")->favourite);
  g_assert_cmpuint (web_ask (&world, "GET", "/api/v1/channels", NULL, NULL), ==, 200);
  g_assert_nonnull (strstr (world.body, "\"favourite\":true"));
  g_assert_cmpuint (web_ask (&world, "DELETE", path, web_ours, NULL), ==, 204);
  g_assert_false (proxy_catalog_lookup (world.catalog, "one")->favourite);
  web_world_clear (&world);
}

/* RFC 7574, 11.2.1: the limits of one swarm are set while it runs. */
static void
test_limit (void)
{
  WebWorld world;
  web_world_init (&world);
  static const char body[] = "{\"link\":\"" LIVE_LINK "\"}";
  g_assert_cmpuint (web_ask (&world, "POST", "/api/v1/channels", web_ours, body), ==, 201);
  const ProxyChannel *channel = proxy_catalog_list (world.catalog)->pdata[0];
  g_autoptr (GError) error = NULL;
  ProxySession *session = proxy_sessions_use (world.sessions, channel, &error);
  g_assert_no_error (error);
  g_autofree char *path =
      g_strdup_printf ("/api/v1/channels/%s/limit?upload=1M&download=0", channel->id);
  g_autofree char *one = g_strdup_printf ("/api/v1/channels/%s/limit?download=4M", channel->id);
  g_autofree char *bad = g_strdup_printf ("/api/v1/channels/%s/limit?upload=x", channel->id);
  g_assert_cmpuint (web_ask (&world, "GET", path, web_ours, NULL), ==, 405);
  g_assert_cmpuint (web_ask (&world, "PUT", path, NULL, NULL), ==, 403);
  g_assert_cmpuint (web_ask (&world, "PUT", bad, web_ours, NULL), ==, 400);
  g_assert_cmpuint (web_ask (&world, "PUT", "/api/v1/channels/other/limit", web_ours, NULL), ==,
                    404);
  ProxySessionStats stats;
  proxy_session_stats (session, &stats);
  g_assert_cmpuint (stats.swarm.upload_limit, ==, 0);
  g_assert_cmpuint (web_ask (&world, "PUT", path, web_ours, NULL), ==, 204);
  g_assert_cmpuint (web_ask (&world, "PUT", one, web_ours, NULL), ==, 204);
  proxy_session_stats (session, &stats);
  g_assert_cmpuint (stats.swarm.upload_limit, ==, 125000);
  g_assert_cmpuint (stats.swarm.download_limit, ==, 500000);
  g_assert_cmpuint (web_ask (&world, "GET", "/api/v1/status", NULL, NULL), ==, 200);
  g_assert_nonnull (strstr (world.body, "\"up_limit\":125000"));
  g_assert_cmpuint (web_ask (&world, "DELETE", path, NULL, NULL), ==, 403);
  proxy_session_stats (session, &stats);
  g_assert_cmpuint (stats.swarm.upload_limit, ==, 125000);
  g_assert_cmpuint (web_ask (&world, "DELETE", path, web_ours, NULL), ==, 204);
  proxy_session_stats (session, &stats);
  g_assert_cmpuint (stats.swarm.upload_limit, ==, 0);
  g_assert_cmpuint (stats.swarm.download_limit, ==, 0);
  proxy_sessions_release (world.sessions, session);
  web_world_clear (&world);
}

static void
test_bad_bodies (void)
{
  static const char *const bodies[] = {
      "",
      "{",
      "[]",
      "null",
      "\"ppsp:\"",
      "{}",
      "{\"link\":1}",
      "{\"link\":null}",
      "{\"link\":[\"" LINK "\"]}",
      "{\"link\":\"\"}",
      "{\"link\":\"http://x/\"}",
      "{\"link\":\"ppsp:zz\"}",
      "{\"link\":\"" LINK "&cs=0\"}",
      "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
      "{\"link\":\"x\",\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}",
  };
  WebWorld world;
  web_world_init (&world);
  for (size_t i = 0; i < G_N_ELEMENTS (bodies); i++) {
    g_autoptr (JsonParser) parser = json_parser_new ();
    g_assert_cmpuint (web_ask (&world, "POST", "/api/v1/channels", web_ours, bodies[i]), ==, 400);
    g_assert_true (json_object_has_member (web_parse (&world, parser), "error"));
  }
  g_autofree char *deep = g_strnfill (60000, '[');
  g_assert_cmpuint (web_ask (&world, "POST", "/api/v1/channels", web_ours, deep), ==, 400);
  g_autofree char *large = g_strnfill (100000, ' ');
  g_assert_cmpuint (web_ask (&world, "POST", "/api/v1/channels", web_ours, large), ==, 413);
  g_assert_cmpuint (proxy_catalog_list (world.catalog)->len, ==, 0);
  web_world_clear (&world);
}

/* A name stays text on each way out. */
static void
test_evil_names (void)
{
  static const char evil[] = "\"><img src=x onerror=alert(1)>\\\" </script> & 'x'";
  WebWorld world;
  web_world_init (&world);
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "link");
  json_builder_add_string_value (builder, "  " LINK "\n");
  json_builder_set_member_name (builder, "name");
  json_builder_add_string_value (builder, evil);
  json_builder_end_object (builder);
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autofree char *body = json_to_string (root, FALSE);
  g_assert_cmpuint (web_ask (&world, "POST", "/api/v1/channels", web_ours, body), ==, 201);
  g_assert_cmpuint (web_ask (&world, "POST", "/api/v1/channels", web_ours, body), ==, 200);
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_assert_cmpuint (web_ask (&world, "GET", "/api/v1/channels", NULL, NULL), ==, 200);
  g_assert_cmpstr (world.type, ==, "application/json");
  JsonArray *channels = json_object_get_array_member (web_parse (&world, parser), "channels");
  g_assert_cmpuint (json_array_get_length (channels), ==, 1);
  JsonObject *channel = json_array_get_object_element (channels, 0);
  g_assert_cmpstr (json_object_get_string_member (channel, "name"), ==, evil);
  g_assert_false (json_object_has_member (channel, "link"));
  g_autofree char *id = g_strdup (json_object_get_string_member (channel, "id"));
  g_autofree char *path = g_strconcat ("/api/v1/channels/", id, NULL);
  g_assert_cmpuint (web_ask (&world, "GET", path, NULL, NULL), ==, 200);
  g_assert_cmpstr (json_object_get_string_member (web_parse (&world, parser), "link"), ==, LINK);
  g_assert_cmpuint (web_ask (&world, "GET", "/api/v1/status", NULL, NULL), ==, 200);
  g_assert_cmpstr (json_object_get_string_member (web_parse (&world, parser), "name"), ==,
                   "Home <script>");
  g_assert_cmpuint (web_ask (&world, "GET", "/channels.m3u", NULL, NULL), ==, 200);
  g_auto (GStrv) lines = g_strsplit (world.body, "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), ==, 4);
  g_autofree char *address = g_strdup_printf ("http://127.0.0.1:%u/media/%s.ts", world.port, id);
  g_assert_cmpstr (lines[2], ==, address);
  /* an attribute's value ends where we say */
  const char *value = strstr (lines[1], "tvg-name=\"");
  g_assert_nonnull (value);
  g_assert_true (g_str_has_prefix (strchr (value + 10, '"'), "\",\""));
  web_world_clear (&world);
}

static void
test_playlist (void)
{
  WebWorld world;
  web_world_init (&world);
  g_assert_cmpuint (web_ask (&world, "GET", "/channels.m3u", NULL, NULL), ==, 200);
  g_autofree char *head =
      g_strdup_printf ("#EXTM3U x-tvg-url=\"http://127.0.0.1:%u/guide.xml\"\n", world.port);
  g_assert_cmpstr (world.body, ==, head);
  for (unsigned i = 0; i < 3; i++) {
    g_autofree char *swarm = g_strdup_printf ("%064x", i);
    g_autofree char *name = g_strdup_printf ("ch%u", i);
    ProxyDraft draft = {.swarm_id = swarm,
                        .link = "ppsp:00",
                        .name = name,
                        .source = "",
                        .mime = i ? "video/mp4" : "video/mp2t",
                        .number = (int)i,
                        .logo = "https://logo/x",
                        .group = "G"};
    proxy_catalog_put (world.catalog, &draft, NULL);
  }
  web_ask (&world, "GET", "/channels.m3u?id=ch1", NULL, NULL);
  g_autofree char *expected =
      g_strdup_printf ("%s#EXTINF:-1 tvg-id=\"ch1\" tvg-name=\"ch1\" "
                       "tvg-logo=\"https://logo/x\" group-title=\"G\" tvg-chno=\"1\",ch1\n"
                       "http://127.0.0.1:%u/media/ch1.mp4\n",
                       head, world.port);
  g_assert_cmpstr (world.body, ==, expected);
  proxy_catalog_set_stopped (world.catalog, "ch1", 754 * G_USEC_PER_SEC);
  web_ask (&world, "GET", "/channels.m3u?id=ch1", NULL, NULL);
  g_assert_cmpstr (world.body, ==, expected);
  web_ask (&world, "GET", "/channels.m3u?id=ch1&resume=1", NULL, NULL);
  g_assert_nonnull (strstr (world.body, ",ch1\n#EXTVLCOPT:start-time=754\nhttp://"));
  web_ask (&world, "GET", "/channels.m3u?resume=1&id=ch2", NULL, NULL);
  g_assert_null (strstr (world.body, "#EXTVLCOPT"));
  web_ask (&world, "GET", "/api/v1/channels/ch1", NULL, NULL);
  g_assert_nonnull (strstr (world.body, "\"stopped\":754,"));
  g_assert_cmpuint (web_ask (&world, "GET", "/channels.m3u/ch1", NULL, NULL), ==, 404);
  g_assert_cmpuint (web_ask (&world, "POST", "/channels.m3u", NULL, ""), ==, 405);
  web_world_clear (&world);
}

/* What is held is written: of live channels, by the names that the playlist has, in UTC. */
static void
test_guide (void)
{
  WebWorld world;
  web_world_init (&world);
  g_assert_cmpuint (web_ask (&world, "GET", "/guide.xml", NULL, NULL), ==, 200);
  g_assert_cmpstr (world.body, ==,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                   "<tv generator-info-name=\"ppsp-proxy\">\n</tv>\n");
  web_add_channel (&world, 7, "A & <B>", "https://logo/x?a&\"b\"", true);
  web_add_channel (&world, 0, "Late", NULL, true);
  web_add_channel (&world, 9, "Film", NULL, false);
  web_read_guide (
      &world,
      "<tv><programme start=\"20261121130000 +0100\" stop=\"20261121134500 +0100\" "
      "channel=\"A &amp; &lt;B&gt;\"><title>Was &amp; ist</title><desc>x<![CDATA[<!-- \"]]></desc>"
      "</programme><programme start=\"202611210000\" stop=\"202611210010\" channel=\"late\">"
      "<title>]]&gt;&lt;/tv&gt;</title><desc>&#1;\xef\xbf\xbe"
      "1</desc></programme>"
      "<programme start=\"202611210000\" stop=\"202611210010\" channel=\"Film\">"
      "<title>Of no broadcast</title></programme></tv>");
  g_assert_cmpuint (web_ask (&world, "GET", "/guide.xml", NULL, NULL), ==, 200);
  g_assert_cmpstr (world.type, ==, "application/xml; charset=utf-8");
  g_assert_cmpstr (
      world.body, ==,
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<tv generator-info-name=\"ppsp-proxy\">\n"
      "<channel id=\"a-b\"><display-name>A &amp; &lt;B&gt;</display-name>"
      "<display-name>7</display-name><icon src=\"https://logo/x?a&amp;&quot;b&quot;\"/></channel>\n"
      "<channel id=\"late\"><display-name>Late</display-name>"
      "<display-name>764363</display-name></channel>\n"
      "<programme start=\"20261121120000 +0000\" stop=\"20261121124500 +0000\" channel=\"a-b\">"
      "<title>Was &amp; ist</title><desc>x&lt;!-- &quot;</desc></programme>\n"
      "<programme start=\"20261121000000 +0000\" stop=\"20261121001000 +0000\" channel=\"late\">"
      "<title>]]&gt;&lt;/tv&gt;</title><desc>1</desc></programme>\n"
      "</tv>\n");
  g_assert_cmpuint (web_ask (&world, "HEAD", "/guide.xml", NULL, NULL), ==, 200);
  g_assert_cmpstr (world.body, ==, "");
  g_assert_cmpuint (web_ask (&world, "POST", "/guide.xml", NULL, ""), ==, 405);
  web_world_clear (&world);
}

/* The whole of an answer to a client that knows no chunks. */
static char *
ask_old (WebWorld *self, const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GOutputStream) out = g_memory_output_stream_new_resizable ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autofree char *request =
      g_strdup_printf ("GET %s HTTP/1.0\r\nHost: 127.0.0.1:%u\r\n\r\n", path, self->port);
  g_socket_client_set_enable_proxy (client, FALSE);
  g_autoptr (GSocketConnection) connection =
      g_socket_client_connect_to_host (client, "127.0.0.1", (guint16)self->port, NULL, &error);
  g_assert_no_error (error);
  GIOStream *stream = G_IO_STREAM (connection);
  g_assert_true (g_output_stream_write_all (g_io_stream_get_output_stream (stream), request,
                                            strlen (request), NULL, NULL, &error));
  g_output_stream_splice_async (out, g_io_stream_get_input_stream (stream),
                                G_OUTPUT_STREAM_SPLICE_NONE, 0, NULL, web_on_answer, &result);
  while (!result)
    g_main_context_iteration (NULL, TRUE);
  g_output_stream_splice_finish (out, result, &error);
  g_assert_no_error (error);
  GMemoryOutputStream *memory = G_MEMORY_OUTPUT_STREAM (out);
  return g_strndup (g_memory_output_stream_get_data (memory),
                    g_memory_output_stream_get_data_size (memory));
}

static void
test_old_guide (void)
{
  WebWorld world;
  web_world_init (&world);
  web_add_channel (&world, 7, "A", NULL, true);
  web_ask (&world, "GET", "/guide.xml", NULL, NULL);
  g_autofree char *answer = ask_old (&world, "/guide.xml");
  char *body = strstr (answer, "\r\n\r\n");
  g_assert_nonnull (body);
  *body = '\0';
  g_assert_nonnull (strstr (answer, " 200 "));
  g_assert_nonnull (strstr (answer, "\r\nConnection: close"));
  g_assert_cmpstr (body + 4, ==, world.body);
  web_world_clear (&world);
}

static void
on_piece (SoupServerMessage *message, gpointer data)
{
  (*(unsigned *)data)++;
}

static void
count_pieces (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  g_signal_connect (message, "wrote-chunk", G_CALLBACK (on_piece), data);
}

/* A guide of many pieces, and what we wrote we read. */
static void
test_long_guide (void)
{
  WebWorld world;
  unsigned pieces = 0;
  web_world_init (&world);
  g_signal_connect (world.server, "request-started", G_CALLBACK (count_pieces), &pieces);
  g_autofree char *logo = g_strdup_printf ("https://logo/%0600d", 0);
  g_autoptr (GString) guide = g_string_new ("<tv>");
  for (unsigned i = 1; i <= 500; i++) {
    g_autofree char *name = g_strdup_printf ("ch%u", i);
    web_add_channel (&world, (int)i, name, logo, true);
    g_string_append_printf (guide,
                            "<programme start=\"202611210000\" stop=\"202611210010\" "
                            "channel=\"ch%u\"><title>Show %u</title></programme>",
                            i, i);
  }
  g_string_append (guide, "</tv>");
  web_read_guide (&world, guide->str);
  g_assert_cmpuint (web_ask (&world, "GET", "/guide.xml", NULL, NULL), ==, 200);
  g_assert_cmpuint (strlen (world.body), >, 4 * 65536);
  g_assert_cmpuint (pieces, >, 4);
  g_assert_true (g_str_has_suffix (world.body, "</tv>\n"));
  g_autofree char *body = g_steal_pointer (&world.body);
  proxy_tuner_free (world.tuner);
  proxy_programmes_free (world.programmes);
  world.programmes = proxy_programmes_new (world.catalog, NULL, NULL);
  world.tuner = web_new_tuner (&world, 0);
  web_read_guide (&world, body);
  for (unsigned i = 1; i <= 500; i++) {
    g_autofree char *id = g_strdup_printf ("ch%u", i), *title = g_strdup_printf ("Show %u", i);
    const GPtrArray *all = proxy_programmes_of (world.programmes, id);
    g_assert_nonnull (all);
    g_assert_cmpuint (all->len, ==, 1);
    g_assert_cmpstr (((const ProxyProgramme *)all->pdata[0])->title, ==, title);
  }
  web_world_clear (&world);
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  *(bool *)data = true;
}

/* At the end of the program guides may be on their way still, to who does not read them. */
static void
test_cut_guide (void)
{
  WebWorld world;
  web_world_init (&world);
  g_autofree char *logo = g_strdup_printf ("https://logo/%04000d", 0);
  for (unsigned i = 1; i <= 4000; i++) {
    g_autofree char *name = g_strdup_printf ("ch%u", i);
    web_add_channel (&world, (int)i, name, logo, true);
  }
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%u/guide.xml", world.port);
  g_autoptr (SoupMessage) message = soup_message_new ("GET", uri);
  bool begun = false;
  soup_session_send_async (world.session, message, 0, NULL, on_done, &begun);
  while (!begun)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (soup_message_get_status (message), ==, 200);
  g_clear_pointer (&world.tuner, proxy_tuner_free);
  g_assert_cmpuint (web_ask (&world, "GET", "/guide.xml", NULL, NULL), ==, 404);
  web_world_clear (&world);
}

/* As a tuner: what programs ask of one, on the address by which they ask. */
static void
test_tuner (void)
{
  static const char *const paths[] = {"/discover.json", "/lineup.json", "/lineup_status.json"};
  WebWorld world;
  web_world_init (&world);
  for (size_t i = 0; i < G_N_ELEMENTS (paths); i++)
    g_assert_cmpuint (web_ask (&world, "GET", paths[i], NULL, NULL), ==, 404);
  proxy_tuner_free (world.tuner);
  world.tuner = web_new_tuner (&world, 0xaa1b2c39);
  for (size_t i = 0; i < G_N_ELEMENTS (paths); i++) {
    const char *const foreign[] = {"Host: evil.example", NULL};
    g_assert_cmpuint (web_ask (&world, "GET", paths[i], foreign, NULL), ==, 421);
    g_assert_cmpuint (web_ask (&world, "POST", paths[i], NULL, ""), ==, 405);
  }
  g_assert_cmpuint (web_ask (&world, "GET", "/discover.json", NULL, NULL), ==, 200);
  g_assert_cmpstr (world.type, ==, "application/json");
  g_autofree char *device = g_strdup_printf (
      "{\"FriendlyName\":\"Home \\\"1\\\"\",\"ModelNumber\":\"ppsp-proxy\",\"FirmwareName\":"
      "\"ppsp-proxy\",\"FirmwareVersion\":\"" PPSP_VERSION "\",\"DeviceID\":\"AA1B2C39\","
      "\"DeviceAuth\":\"\",\"BaseURL\":\"http://127.0.0.1:%u\",\"LineupURL\":"
      "\"http://127.0.0.1:%u/lineup.json\",\"TunerCount\":16}\n",
      world.port, world.port);
  g_assert_cmpstr (world.body, ==, device);
  g_assert_cmpuint (web_ask (&world, "GET", "/lineup_status.json", NULL, NULL), ==, 200);
  g_assert_cmpstr (world.body, ==,
                   "{\"ScanInProgress\":0,\"ScanPossible\":0,\"Source\":\"Cable\","
                   "\"SourceList\":[\"Cable\"]}\n");
  g_assert_cmpuint (web_ask (&world, "GET", "/lineup.json", NULL, NULL), ==, 200);
  g_assert_cmpstr (world.body, ==, "[]\n");
  web_add_channel (&world, 7, "A \"B\"", NULL, true);
  web_add_channel (&world, 9, "Film", NULL, false);
  web_ask (&world, "GET", "/lineup.json", NULL, NULL);
  g_autofree char *lineup =
      g_strdup_printf ("[{\"GuideNumber\":\"7\",\"GuideName\":\"A \\\"B\\\"\","
                       "\"URL\":\"http://127.0.0.1:%u/media/a-b.ts\"}]\n",
                       world.port);
  g_assert_cmpstr (world.body, ==, lineup);
  web_world_clear (&world);
}

/* The number under which the lineup has that channel, and the guide too. */
static unsigned
guide_number (WebWorld *self, const char *name)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  const char *number = NULL;
  g_assert_cmpuint (web_ask (self, "GET", "/lineup.json", NULL, NULL), ==, 200);
  g_assert_true (json_parser_load_from_data (parser, self->body, -1, NULL));
  JsonArray *lineup = json_node_get_array (json_parser_get_root (parser));
  for (guint i = 0; i < json_array_get_length (lineup) && !number; i++) {
    JsonObject *channel = json_array_get_object_element (lineup, i);
    if (g_str_equal (json_object_get_string_member (channel, "GuideName"), name))
      number = json_object_get_string_member (channel, "GuideNumber");
  }
  g_assert_nonnull (number);
  g_autofree char *names = g_strdup_printf (
      "<display-name>%s</display-name><display-name>%s</display-name>", name, number);
  g_assert_cmpuint (web_ask (self, "GET", "/guide.xml", NULL, NULL), ==, 200);
  g_assert_nonnull (strstr (self->body, names));
  return (unsigned)atoi (number);
}

/* Each channel has a number of its own, which others do not change. */
static void
test_numbers (void)
{
  WebWorld world;
  web_world_init (&world);
  proxy_tuner_free (world.tuner);
  world.tuner = web_new_tuner (&world, 1);
  web_add_channel (&world, 0, "M", NULL, true);
  unsigned number = guide_number (&world, "M");
  g_assert_cmpuint (number, >=, 100000);
  web_add_channel (&world, 0, "A", NULL, true);
  web_add_channel (&world, 5, "B", NULL, true);
  web_add_channel (&world, 5, "C", NULL, true);
  web_add_channel (&world, 99999, "Z", NULL, true);
  g_assert_cmpuint (guide_number (&world, "M"), ==, number);
  g_assert_cmpuint (guide_number (&world, "B"), ==, 5);
  g_assert_cmpuint (guide_number (&world, "Z"), ==, 99999);
  g_assert_cmpuint (guide_number (&world, "C"), >=, 100000);
  g_assert_cmpuint (guide_number (&world, "A"), >=, 100000);
  g_assert_cmpuint (guide_number (&world, "A"), !=, number);
  static const char *const same_hash[] = {"ch1000", "ch11546", "ch1135133"};
  unsigned seen = 0;
  for (size_t i = 0; i < G_N_ELEMENTS (same_hash); i++)
    web_add_channel (&world, 0, same_hash[i], NULL, true);
  for (size_t i = 0; i < G_N_ELEMENTS (same_hash); i++) {
    unsigned of_it = guide_number (&world, same_hash[i]);
    g_assert_cmpuint (of_it, >=, 710769);
    g_assert_cmpuint (of_it, <=, 710771);
    seen |= 1u << (of_it - 710769);
  }
  g_assert_cmphex (seen, ==, 7);
  web_world_clear (&world);
}

/* Every line is a comment or "name{labels} number", each family is announced once, and the end is
 * marked. */
static void
test_metrics (void)
{
  WebWorld world;
  web_world_init (&world);
  web_ask (&world, "GET", "/", (const char *[]){"Host: evil.example", NULL}, NULL);
  g_assert_cmpuint (web_ask (&world, "GET", "/metrics", NULL, NULL), ==, 200);
  g_assert_true (g_str_has_prefix (world.type, "application/openmetrics-text"));
  g_assert_true (g_str_has_suffix (world.body, "\n# EOF\n"));
  g_assert_nonnull (strstr (world.body, "\nppsp_http_wrong_host_total "));
  g_assert_null (strstr (world.body, "\nppsp_http_wrong_host_total 0\n"));
  g_assert_nonnull (strstr (world.body, "\nppsp_peer_datagrams_received_total 0\n"));
  g_assert_nonnull (strstr (world.body, "\nppsp_dlna_bad_callbacks_total 3\n"));
  g_assert_nonnull (strstr (world.body, "\nppsp_dlna_interfaces 2\n"));
  g_autoptr (GHashTable) families = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_auto (GStrv) lines = g_strsplit (world.body, "\n", -1);
  for (size_t i = 0; lines[i][0]; i++) {
    if (g_str_has_prefix (lines[i], "# TYPE ")) {
      g_auto (GStrv) words = g_strsplit (lines[i], " ", -1);
      g_assert_cmpuint (g_strv_length (words), ==, 4);
      g_assert_true (g_hash_table_add (families, g_strdup (words[2])));
    } else if (lines[i][0] != '#')
      g_assert_true (g_regex_match_simple (
          "^[a-z_]+(\\{[a-z]+=\"[^\"]*\"(,[a-z]+=\"[^\"]*\")*\\})? [0-9]+$", lines[i], 0, 0));
  }
  g_assert_cmpuint (web_ask (&world, "GET", "/healthz", NULL, NULL), ==, 200);
  g_assert_cmpstr (world.body, ==, "{\"status\":\"ok\"}\n");
  web_world_clear (&world);
}

/* A television of the home may have an address that the Internet routes (linked with --wrap). */
const char *__real_soup_server_message_get_remote_host (SoupServerMessage *message);
const char *__wrap_soup_server_message_get_remote_host (SoupServerMessage *message);

const char *
__wrap_soup_server_message_get_remote_host (SoupServerMessage *message)
{
  const char *agent = soup_message_headers_get_one (
      soup_server_message_get_request_headers (message), "User-Agent");
  return g_strcmp0 (agent, "SEC_HHP_TV") == 0
             ? "2001:db8::7"
             : __real_soup_server_message_get_remote_host (message);
}

static void
add_warning (GPtrArray *out, gpointer data)
{
  g_ptr_array_add (out, g_strdup ("not 203.0.113.9 but 192.168.1.9"));
  g_ptr_array_add (out, g_strdup ("see https://me:pass/word@host.example/list, and " LINK));
  g_ptr_array_add (out, g_strdup ("not http://user:hidden5@host.example/x?token=hidden6&l=" LINK));
  g_ptr_array_add (out, g_strdup ("nor (" LINK "#http://user:hidden7@host.example/hidden8)"));
}

/* One that plays, though its tracker may not be asked, and one that cannot. */
static ProxySession *
play_two (WebWorld *self)
{
  static const char *const links[] = {
      LIVE_LINK "&tr=http%3A%2F%2Fuser%3Ahidden9%40198.51.100.1%2Fhidden0", "ppsp:zz?hidden"};
  ProxySession *plays = NULL;
  for (size_t i = 0; i < G_N_ELEMENTS (links); i++) {
    g_autoptr (GError) error = NULL;
    ProxyDraft draft = channel_draft (i == 0 ? "one" : "two", links[i], i == 0 ? "One" : "Two");
    proxy_catalog_put (self->catalog, &draft, NULL);
    const ProxyChannel *channel = proxy_catalog_lookup_swarm (self->catalog, draft.swarm_id);
    ProxySession *session = proxy_sessions_use (self->sessions, channel, &error);
    g_assert_true ((session != NULL) == (i == 0));
    plays = plays ? plays : session;
  }
  return plays;
}

/* Whoever gets the report learns what is wrong, and nothing that opens a door. */
static void
test_report (void)
{
  static const char *const lists[] = {"http://user:hidden1@127.0.0.1:1/hidden2.m3u?key=hidden3",
                                      NULL};
  WebWorld world;
  web_world_init (&world);
  proxy_web_free (world.web);
  ProxyGuide *guide = proxy_guide_new (world.catalog, lists);
  DlnaClients *clients = dlna_clients_new (NULL);
  ProxyParts parts = world.parts;
  parts.name = "Home";
  parts.guide = guide;
  parts.clients = clients;
  parts.warnings = add_warning;
  world.web = proxy_web_new (&parts);
  dlna_clients_watch (clients, world.server);
  ProxySession *session = play_two (&world);
  web_ask (&world, "POST", "/api/v1/channels", web_ours,
           "{\"link\": \"" LINK "\", \"name\": \"A\"}");
  const char *const television[] = {"User-Agent: SEC_HHP_TV", NULL};
  web_ask (&world, "GET", "/nothing?hidden4", television, NULL);
  do
    g_assert_cmpuint (web_ask (&world, "GET", "/api/v1/report.txt", NULL, NULL), ==, 200);
  while (!strstr (world.body, "SEC_HHP_TV"));
  g_assert_cmpstr (world.type, ==, "text/plain; charset=utf-8");
  static const char *const told[] = {
      "ppsp-proxy " PPSP_VERSION ", up ",
      "\n  lo 127.0.0.1\n",
      "\n  MediaServer: announced on 2,",
      "\nChannels: 3 known, 1 in play, 1 failed\n  one: joining for ",
      " fall-back; tracker 'http://198.51.100.1/... plain HTTP to a public address is refused;",
      "\n  two: failed; the swarm ID of the link, behind \"ppsp:... must be ",
      "\n  http://127.0.0.1:1/... 0 channels",
      "\n  see https:///... and ppsp:...\n",
      "\n  not http://host.example/...\n",
      "\n  nor (ppsp:...\n",
      "\n  not (Internet address) but 192.168.1.9\n",
      "\n  (Internet address) SEC_HHP_TV\n",
      "\n    quirk: Samsung, live-flags=01700000\n",
      "\n    asked 1, refused 1, streams 0\n",
      ": 404 GET /nothing\n"};
  for (size_t i = 0; i < G_N_ELEMENTS (told); i++)
    if (!strstr (world.body, told[i]))
      g_error ("no \"%s\" in %s", told[i], world.body);
  static const char *const hidden[] = {"hidden",   "user",       "pass",  "word", "e8ca11c4",
                                       "0d1a88c8", "tracker.ex", "203.0", "2001:"};
  for (size_t i = 0; i < G_N_ELEMENTS (hidden); i++)
    if (strstr (world.body, hidden[i]))
      g_error ("\"%s\" in %s", hidden[i], world.body);

  g_assert_cmpuint (web_ask (&world, "GET", "/api/v1/clients", NULL, NULL), ==, 200);
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonArray *rows = json_object_get_array_member (web_parse (&world, parser), "clients");
  g_assert_cmpuint (json_array_get_length (rows), ==, 2);
  JsonObject *tv = json_array_get_object_element (rows, 1); /* who was heard last stands first */
  g_assert_cmpstr (json_object_get_string_member (tv, "user_agent"), ==, "SEC_HHP_TV");
  g_assert_cmpstr (json_object_get_string_member (tv, "quirk"), ==, "live-flags=01700000");
  JsonArray *events = json_object_get_array_member (tv, "events");
  g_assert_cmpint (json_object_get_int_member (json_array_get_object_element (events, 0), "status"),
                   ==, 404);
  g_assert_cmpuint (web_ask (&world, "POST", "/api/v1/report.txt", web_ours, "{}"), ==, 405);
  g_assert_cmpuint (web_ask (&world, "POST", "/api/v1/clients", web_ours, "{}"), ==, 405);
  proxy_sessions_release (world.sessions, session);
  web_world_clear (&world);
  dlna_clients_free (clients);
  proxy_guide_free (guide);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  scratch_keep_warnings ();
  g_test_add_func ("/proxy/web/page-is-small-and-strict", test_page);
  g_test_add_func ("/proxy/web/foreign-hosts-are-refused-everywhere", test_hosts);
  g_test_add_func ("/proxy/web/foreign-pages-change-nothing", test_foreign_pages);
  g_test_add_func ("/proxy/web/limits-are-set-while-it-runs", test_limit);
  g_test_add_func ("/proxy/web/favourites-are-marked", test_favourite);
  g_test_add_func ("/proxy/web/bad-bodies-get-a-sentence", test_bad_bodies);
  g_test_add_func ("/proxy/web/names-stay-text", test_evil_names);
  g_test_add_func ("/proxy/web/playlist-for-players", test_playlist);
  g_test_add_func ("/proxy/web/guide-for-recorders", test_guide);
  g_test_add_func ("/proxy/web/guide-for-http-1.0", test_old_guide);
  g_test_add_func ("/proxy/web/guide-of-any-length", test_long_guide);
  g_test_add_func ("/proxy/web/guide-outlives-its-writer", test_cut_guide);
  g_test_add_func ("/proxy/web/tuner-for-recorders", test_tuner);
  g_test_add_func ("/proxy/web/tuner-has-a-number-for-each", test_numbers);
  g_test_add_func ("/proxy/web/metrics-are-openmetrics", test_metrics);
  g_test_add_func ("/proxy/web/report-tells-all-but-secrets", test_report);
  return g_test_run ();
}
