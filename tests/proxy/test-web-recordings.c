/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/proxy/scratch.h"
#include "tests/proxy/web-world.h"
#include <string.h>

static void
begin_recordings (WebWorld *self, ProxyRecordings *recordings)
{
  ProxyParts parts = self->parts;
  parts.programmes = self->programmes;
  parts.recordings = recordings;
  proxy_web_free (self->web);
  self->web = proxy_web_new (&parts);
}

/* One answer's recording: its address, and that it is as expected. */
static char *
check_recording (WebWorld *self, const char *name, int64_t start, int64_t stop)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *made = web_parse (self, parser);
  g_assert_true (g_str_has_prefix (json_object_get_string_member (made, "name"), name));
  g_assert_cmpstr (json_object_get_string_member (made, "state"), ==, "scheduled");
  g_assert_cmpint (json_object_get_int_member (made, "start"), ==, start);
  g_assert_cmpint (json_object_get_int_member (made, "stop"), ==, stop);
  return g_strconcat ("/api/v1/recordings/", json_object_get_string_member (made, "id"), NULL);
}

static void
test_asked (void)
{
  static const char base[] = "/api/v1/recordings";
  WebWorld world;
  g_autoptr (GError) error = NULL;
  web_world_init (&world);
  web_add_channel (&world, 1, "one", NULL, true);
  web_add_channel (&world, 0, "film", NULL, false);
  g_assert_cmpuint (web_ask (&world, "GET", base, NULL, NULL), ==,
                    404); /* none without the option */
  char *folder = scratch_new ();
  ProxyRecordingsOptions options = {
      .folder = folder, .catalog = world.catalog, .sessions = world.sessions};
  ProxyRecordings *recordings = proxy_recordings_new (&options, &error);
  g_assert_no_error (error);
  begin_recordings (&world, recordings);

  static const char *const wrong[] = {
      "[]",
      "{}",
      "{\"channel\":\"nobody\"}",
      "{\"channel\":\"film\"}",
      "{\"channel\":\"one\",\"start\":\"now\"}",
      "{\"channel\":\"one\",\"start\":-1}",
      "{\"channel\":\"one\",\"stop\":1}",
      "{\"channel\":\"one\",\"stop\":9223372036854775807}",
      "{\"channel\":\"one\",\"stop\":1e300}",
      "{\"channel\":\"one\",\"programme\":5}",
      "{\"channel\":[],\"programme\":5}",
  };
  for (size_t i = 0; i < G_N_ELEMENTS (wrong); i++)
    g_assert_cmpuint (web_ask (&world, "POST", base, web_ours, wrong[i]), ==, 400);
  g_assert_cmpuint (proxy_recordings_list (recordings)->len, ==, 0);

  int64_t start = g_get_real_time () / G_USEC_PER_SEC + 3600;
  g_autofree char *timed = g_strdup_printf (
      "{\"channel\":\"one\",\"name\":\"My \\u0001 own\",\"start\":%" G_GINT64_FORMAT
      ",\"stop\":%" G_GINT64_FORMAT "}",
      start, start + 60);
  g_assert_cmpuint (web_ask (&world, "POST", base, NULL, timed), ==, 403);
  g_assert_cmpuint (web_ask (&world, "POST", base, web_ours, timed), ==, 201);
  g_autofree char *one = check_recording (&world, "My own 20", start, start + 60);
  g_autoptr (GDateTime) begins = g_date_time_new_from_unix_utc (start);
  g_autoptr (GDateTime) ends = g_date_time_new_from_unix_utc (start + 600);
  g_autofree char *first = g_date_time_format (begins, "%Y%m%d%H%M%S");
  g_autofree char *last = g_date_time_format (ends, "%Y%m%d%H%M%S");
  g_autofree char *guide = g_strdup_printf (
      "<tv><programme start=\"%s\" stop=\"%s\" channel=\"one\"><title>The News</title>"
      "</programme></tv>",
      first, last);
  web_read_guide (&world, guide);
  g_autofree char *listed =
      g_strdup_printf ("{\"channel\":\"one\",\"programme\":%" G_GINT64_FORMAT "}", start);
  g_assert_cmpuint (web_ask (&world, "POST", base, web_ours, listed), ==, 201);
  g_autofree char *two = check_recording (&world, "The News 20", start, start + 600);
  g_assert_cmpuint (web_ask (&world, "GET", base, NULL, NULL), ==, 200);
  g_assert_nonnull (strstr (world.body, "\"recordings\":[{\"id\":\"rec-"));

  web_ask (&world, "GET", "/metrics", NULL, NULL);
  g_assert_nonnull (strstr (world.body, "\nppsp_recordings 2\n"));
  web_ask (&world, "GET", "/api/v1/report.txt", NULL, NULL);
  g_assert_nonnull (strstr (world.body, "\nRecordings: 2, 0 bytes\n  rec-"));
  g_assert_nonnull (strstr (world.body, " of one: scheduled, 0 bytes\n"));

  g_autofree char *share = g_strconcat (two, "/share", NULL);
  g_assert_cmpuint (web_ask (&world, "PUT", share, NULL, ""), ==, 403);
  g_assert_cmpuint (web_ask (&world, "PUT", share, web_ours, ""), ==, 204);
  web_ask (&world, "GET", two, NULL, NULL);
  g_assert_nonnull (strstr (world.body, "\"shared\":true"));
  g_assert_cmpuint (web_ask (&world, "DELETE", share, web_ours, NULL), ==, 204);
  g_assert_cmpuint (web_ask (&world, "POST", share, web_ours, ""), ==, 405);
  web_ask (&world, "GET", two, NULL, NULL);
  g_assert_nonnull (strstr (world.body, "\"shared\":false"));

  g_autofree char *stop = g_strconcat (one, "/stop", NULL);
  g_assert_cmpuint (web_ask (&world, "GET", stop, NULL, NULL), ==, 405);
  g_assert_cmpuint (web_ask (&world, "POST", stop, NULL, ""), ==, 403);
  g_assert_cmpuint (web_ask (&world, "POST", stop, web_ours, ""), ==, 204);
  g_assert_cmpuint (web_ask (&world, "POST", stop, web_ours, ""), ==, 404);
  g_assert_cmpuint (web_ask (&world, "GET", one, NULL, NULL), ==, 404);
  g_assert_cmpuint (web_ask (&world, "GET", two, NULL, NULL), ==, 200);
  g_assert_cmpuint (web_ask (&world, "DELETE", two, NULL, NULL), ==, 403);
  g_assert_cmpuint (web_ask (&world, "DELETE", two, web_ours, NULL), ==, 204);
  g_assert_cmpuint (web_ask (&world, "DELETE", two, web_ours, NULL), ==, 404);
  g_assert_cmpuint (web_ask (&world, "POST", "/api/v1/recordings/x/y", web_ours, ""), ==, 404);
  g_assert_cmpuint (proxy_recordings_list (recordings)->len, ==, 0);
  proxy_recordings_free (recordings);
  web_world_clear (&world);
  scratch_free (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/web-recordings/are-asked-for", test_asked);
  return g_test_run ();
}
