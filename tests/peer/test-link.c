/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/link.h"
#include "tests/lib/mutate.h"

#include <string.h>

#define STATIC_ID "4578b19faa8e8af9074f2fe5b4dcbaadea4d14de0cdc789d331209f8fe542422"
#define SHA1_ID "f49f10c5f88b97226c4b5d989413c5fe02e72aed"
/* RFC 6605, section 6.1 */
#define LIVE_ID                                                                                    \
  "0d1a88c88615d437fbb8bf9e1942a1929f28562706ae6c2bd399e7b1bfb6d1e9e7"                             \
  "5b92b4aa42917ae1c61b701ef035c3fe7be3009cbafe5a2f71316c902dcf0d00"

static PeerLink *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  PeerLink *link = peer_link_parse (text, &error);

  g_assert_no_error (error);
  g_assert_nonnull (link);
  return link;
}

static void
test_defaults (void)
{
  g_autoptr (PeerLink) link = parse ("ppsp:" STATIC_ID);
  g_autofree char *text = peer_link_to_string (link);

  g_assert_cmpint (link->content.method, ==, PEER_METHOD_MERKLE);
  g_assert_cmpint (link->content.hash, ==, PEER_HASH_SHA256);
  g_assert_cmpint (link->content.addressing, ==, PEER_ADDRESSING_CHUNKS32);
  g_assert_cmpint (link->content.signature, ==, PEER_SIGNATURE_NONE);
  g_assert_cmpuint (link->content.chunk_size, ==, 1024);
  g_assert_cmpuint (link->content.chunks_per_signature, ==, 0);
  g_assert_cmpuint (link->content.length, ==, 0);
  g_assert_cmpuint (link->content.swarm_id_size, ==, 32);
  g_assert_cmpstr (link->media_type, ==, "video/mp2t");
  g_assert_cmpuint (link->trackers->len + link->peers->len + link->fallbacks->len, ==, 0);
  g_assert_false (link->has_tracker_key);
  g_assert_cmpstr (text, ==, "ppsp:" STATIC_ID);
}

/* Table 8 says what a live link leaves out, too; the rest follows from the key. */
static void
test_live_defaults (void)
{
  g_autoptr (PeerLink) link = parse ("ppsp:" LIVE_ID "?ci=3");

  g_assert_true (peer_content_is_live (&link->content));
  g_assert_cmpint (link->content.signature, ==, PEER_SIGNATURE_ECDSAP256SHA256);
  g_assert_cmpint (link->content.addressing, ==, PEER_ADDRESSING_CHUNKS32);
  g_assert_cmpuint (link->content.chunk_size, ==, 1024);
  g_assert_cmpuint (link->content.chunks_per_signature, ==, 64);
}

/* Sign All signs each chunk, and a chunk size of all ones says that chunks have sizes of their own
 * (RFC 7574, 6.1.1 and 7.11). */
static void
test_other_live (void)
{
  g_autoptr (PeerLink) link = parse ("ppsp:" LIVE_ID "?ci=2&ca=4&cs=4294967295");
  g_autofree char *text = peer_link_to_string (link);

  g_assert_cmpint (link->content.method, ==, PEER_METHOD_SIGN_ALL);
  g_assert_cmpuint (link->content.chunks_per_signature, ==, 1);
  g_assert_true (peer_content_is_variable (&link->content));
  g_assert_cmpstr (text, ==, "ppsp:" LIVE_ID "?ci=2&ca=4&cs=4294967295");
}

static void
test_round_trip (void)
{
  static const char *const texts[] = {
      "ppsp:" LIVE_ID "?ci=3&ca=4&cs=1128&tr=https%3A%2F%2Ftracker.example%3A7846%2F",
      "ppsp:" LIVE_ID "?ci=3",
      "ppsp:" LIVE_ID "?ci=3&hf=0&ca=4&cs=1316&ns=256",
      "ppsp:" SHA1_ID "?hf=0&cl=7162&ty=video%2Fmp4",
      "ppsp:" STATIC_ID "?ca=4&cs=8192&cl=9223372036854775807&tk=" STATIC_ID,
      "ppsp:" STATIC_ID "?tr=http%3A%2F%2F192.0.2.1%2F&tr=sips%3Atracker%40example.net"
      "&ps=192.0.2.1%3A7574&ps=%5B2001%3Adb8%3A%3A1%5D%3A7574"
      "&fb=https%3A%2F%2Fa.example%2Ff%3Fx%3D1%26y%3D2",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (PeerLink) link = parse (texts[i]);
    g_autofree char *text = peer_link_to_string (link);

    g_assert_cmpstr (text, ==, texts[i]);
  }
}

static void
test_all_parameters (void)
{
  g_autoptr (PeerLink) link =
      parse ("ppsp:" LIVE_ID "?fb=http://b.example/1&ps=[2001:db8::1]:1&ps=192.0.2.1:2&tr=sip:a@b"
             "&tr=https://t.example&tk=" STATIC_ID "&ty=video/mp4&ns=2&cs=188&ca=3&hf=1&ci=3");
  const PeerAddress *peers = (const PeerAddress *)(void *)link->peers->data;

  g_assert_cmpint (link->content.hash, ==, PEER_HASH_SHA224);
  g_assert_cmpint (link->content.addressing, ==, PEER_ADDRESSING_BINS64);
  g_assert_cmpuint (link->content.chunk_size, ==, 188);
  g_assert_cmpuint (link->content.chunks_per_signature, ==, 2);
  g_assert_cmpstr (link->media_type, ==, "video/mp4");
  g_assert_true (link->has_tracker_key);
  g_assert_cmphex (link->tracker_key[0], ==, 0x45);
  g_assert_cmphex (link->tracker_key[31], ==, 0x22);
  g_assert_cmpuint (link->trackers->len, ==, 2);
  g_assert_cmpstr (link->trackers->pdata[1], ==, "https://t.example");
  g_assert_cmpuint (link->peers->len, ==, 2);
  g_assert_cmpuint (peers[0].port, ==, 1);
  g_assert_true (peer_address_is_v4 (&peers[1]));
  g_assert_cmpuint (link->fallbacks->len, ==, 1);
}

/* A human has pasted it, or a later version has written it. */
static void
test_lenient (void)
{
  static const char *const texts[] = {
      "PPSP:" STATIC_ID,
      "  ppsp:" STATIC_ID "\r\n",
      "ppsp:" STATIC_ID "?",
      "ppsp:" STATIC_ID "?&&",
      "ppsp:" STATIC_ID "#a-fragment",
      "ppsp:" STATIC_ID "?zz=9&unknown&c=1&cis=4&=&ci=1",
      "ppsp:" STATIC_ID "?zz=%zz",
      "ppsp:4578B19FAA8E8AF9074F2FE5B4DCBAADEA4D14DE0CDC789D331209F8FE542422",
      "ppsp:" STATIC_ID "?ns=64", /* static content is not signed: without meaning */
      "ppsp:" STATIC_ID "?ci=%31",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (PeerLink) link = parse (texts[i]);
    g_autofree char *text = peer_link_to_string (link);

    g_assert_cmpstr (text, ==, "ppsp:" STATIC_ID);
  }
}

static void
test_refused (void)
{
  static const struct {
    const char *text, *names; /* what the error must name */
  } rows[] = {
      {"", "ppsp:"},
      {"http://example.net/", "ppsp:"},
      {"ppsp", "ppsp:"},
      {"ppsp:", "swarm ID"},
      {"ppsp:?ci=1", "swarm ID"},
      {"ppsp://" STATIC_ID, "swarm ID"},
      {"ppsp:" STATIC_ID "0", "swarm ID"},
      {"ppsp:" STATIC_ID "00", "swarm ID"},
      {"ppsp:" STATIC_ID "/", "swarm ID"},
      {"ppsp:xy", "swarm ID"},
      {"ppsp:" STATIC_ID "?hf=0", "swarm ID"},
      {"ppsp:" STATIC_ID "?ci=3", "swarm ID"}, /* 69 is no algorithm */
      {"ppsp:0e" STATIC_ID STATIC_ID "?ci=3", "swarm ID"},
      {"ppsp:" STATIC_ID "?ci=0", "integrity"},
      {"ppsp:" LIVE_ID "?ci=2&ns=2", "Sign All"},
      {"ppsp:" LIVE_ID "?ci=3&cs=4294967295&ca=1", "variable"},
      {"ppsp:" LIVE_ID "?ci=3&cs=4294967294", "\"cs\""},
      {"ppsp:" STATIC_ID "?ci=4", "\"ci\""},
      {"ppsp:" STATIC_ID "?ci=", "\"ci\""},
      {"ppsp:" STATIC_ID "?ci", "\"ci\""},
      {"ppsp:" STATIC_ID "?ci=1&ci=1", "\"ci\""},
      {"ppsp:" STATIC_ID "?ci=+1", "\"ci\""},
      {"ppsp:" STATIC_ID "?ci=%201", "\"ci\""},
      {"ppsp:" STATIC_ID "?ci=%zz", "\"ci\""},
      {"ppsp:" STATIC_ID "?ci=%00", "\"ci\""},
      {"ppsp:" STATIC_ID "?ci=1%", "\"ci\""},
      {"ppsp:" STATIC_ID "?hf=5", "\"hf\""},
      {"ppsp:" STATIC_ID "?ca=5", "\"ca\""},
      {"ppsp:" STATIC_ID "?cs=0", "\"cs\""},
      {"ppsp:" STATIC_ID "?cs=8193", "\"cs\""},
      {"ppsp:" STATIC_ID "?cs=4294967296", "\"cs\""},
      {"ppsp:" STATIC_ID "?cs=99999999999999999999", "\"cs\""},
      {"ppsp:" STATIC_ID "?cs=0x400", "\"cs\""},
      {"ppsp:" STATIC_ID "?cs=-1", "\"cs\""},
      {"ppsp:" LIVE_ID "?ci=3&ns=1", "\"ns\""},
      {"ppsp:" LIVE_ID "?ci=3&ns=48", "\"ns\""},
      {"ppsp:" LIVE_ID "?ci=3&ns=131072", "\"ns\""},
      {"ppsp:" LIVE_ID "?ci=3&cl=5", "\"cl\""},
      {"ppsp:" STATIC_ID "?cl=9223372036854775808", "\"cl\""},
      {"ppsp:" STATIC_ID "?cl=9223372036854775807", "more chunks"}, /* than 32 bits can name */
      {"ppsp:" STATIC_ID "?tk=00", "\"tk\""},
      {"ppsp:" STATIC_ID "?tk=" STATIC_ID "00", "\"tk\""},
      {"ppsp:" STATIC_ID "?tr=ftp://a.example/", "\"tr\""},
      {"ppsp:" STATIC_ID "?tr=tracker.example", "\"tr\""},
      {"ppsp:" STATIC_ID "?tr=https://", "\"tr\""},
      {"ppsp:" STATIC_ID "?tr=http://a%20b/", "\"tr\""},
      {"ppsp:" STATIC_ID "?tr=http://a%0d%0aHost:%20b/", "\"tr\""},
      {"ppsp:" STATIC_ID "?tr=http://a:99999/", "\"tr\""},
      {"ppsp:" STATIC_ID "?tr=http://%c3%a4.example/", "\"tr\""},
      {"ppsp:" STATIC_ID "?ps=192.0.2.1", "\"ps\""},
      {"ppsp:" STATIC_ID "?ps=192.0.2.1:0", "\"ps\""},
      {"ppsp:" STATIC_ID "?ps=224.0.0.1:7574", "\"ps\""},
      {"ppsp:" STATIC_ID "?ps=tracker.example:7574", "\"ps\""},
      {"ppsp:" STATIC_ID "?fb=sip:a@b", "\"fb\""},
      {"ppsp:" STATIC_ID "?fb=file:///etc/passwd", "\"fb\""},
      {"ppsp:" STATIC_ID "?ty=video", "\"ty\""},
      {"ppsp:" STATIC_ID "?ty=video/", "\"ty\""},
      {"ppsp:" STATIC_ID "?ty=/mp4", "\"ty\""},
      {"ppsp:" STATIC_ID "?ty=video/mp4%0d%0aX:%201", "\"ty\""},
      {"ppsp:" STATIC_ID "?ty=video/mp4%22", "\"ty\""},
      {"ppsp:" STATIC_ID "?ty=video/mp4/a", "\"ty\""},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (PeerLink) link = peer_link_parse (rows[i].text, &error);

    if (link != NULL)
      g_error ("%s was taken", rows[i].text);
    g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_LINK);
    if (strstr (error->message, rows[i].names) == NULL)
      g_error ("%s: \"%s\" does not name %s", rows[i].text, error->message, rows[i].names);
    g_assert_null (strchr (error->message, '\n'));
  }
}

static void
test_limits (void)
{
  static const struct {
    const char *pair;
    guint most;
  } rows[] = {{"tr=http://a/", 16}, {"ps=192.0.2.1:7", 32}, {"fb=http://a/", 16}};
  g_autofree char *filler = g_strnfill (8192 - strlen ("ppsp:" STATIC_ID "?z="), 'a');
  g_autofree char *full = g_strconcat ("ppsp:" STATIC_ID "?z=", filler, NULL);
  g_autofree char *more = g_strconcat (full, "a", NULL);
  g_autoptr (PeerLink) longest = parse (full);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (longest);
  g_assert_null (peer_link_parse (more, &error));
  g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_LINK);
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GString) text = g_string_new ("ppsp:" STATIC_ID "?");

    for (guint n = 1; n <= rows[i].most + 1; n++) {
      g_autoptr (PeerLink) some = NULL;

      g_string_append_printf (text, "&%s", rows[i].pair);
      g_clear_error (&error);
      some = peer_link_parse (text->str, &error);
      g_assert_cmpint (some != NULL, ==, n <= rows[i].most);
    }
    g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_LINK);
  }
}

static void
check_any_text (const uint8_t *bytes, size_t n, void *data)
{
  g_autofree char *text = g_strndup ((const char *)bytes, n);
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerLink) link = peer_link_parse (text, &error), again = NULL;
  g_autofree char *written = NULL, *rewritten = NULL;

  g_assert_true ((link == NULL) == (error != NULL));
  if (link == NULL)
    return;
  written = peer_link_to_string (link);
  again = parse (written);
  rewritten = peer_link_to_string (again);
  g_assert_cmpstr (written, ==, rewritten);
}

static void
test_mutations (void)
{
  static const char *const texts[] = {
      "ppsp:" LIVE_ID "?ci=3&hf=0&ca=4&cs=1128&ns=32&tr=https%3A%2F%2Ft.example%3A7846%2F",
      "ppsp:" SHA1_ID "?hf=0&cl=7162&ty=video/mp4&ps=[2001:db8::1]:7574&fb=http%3A%2F%2Fb%2F",
  };

  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++)
    g_assert_cmpuint (mutate ((const uint8_t *)texts[i], strlen (texts[i]), check_any_text, NULL),
                      >, 25000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/link/defaults-are-those-of-table-8", test_defaults);
  g_test_add_func ("/peer/link/live-defaults-follow-from-the-key", test_live_defaults);
  g_test_add_func ("/peer/link/sign-all-and-variable-chunks", test_other_live);
  g_test_add_func ("/peer/link/texts-come-back-as-they-were", test_round_trip);
  g_test_add_func ("/peer/link/all-parameters-are-read", test_all_parameters);
  g_test_add_func ("/peer/link/what-is-unknown-is-ignored", test_lenient);
  g_test_add_func ("/peer/link/errors-name-the-parameter", test_refused);
  g_test_add_func ("/peer/link/limits-hold", test_limits);
  g_test_add_func ("/peer/link/mutations-read-as-they-write", test_mutations);
  return g_test_run ();
}
