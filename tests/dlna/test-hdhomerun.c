/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/hdhomerun.h"
#include <arpa/inet.h>
#include <string.h>

#define UUID "0a1b2c3d-0000-4000-8000-000000000000"
#define ID 0xaa1b2c39u

/* That of hdhomerun_config: any tuner. */
#define ANY "\x00\x02\x00\x0c\x01\x04\x00\x00\x00\x01\x02\x04\xff\xff\xff\xff"
#define ANY_CRC "\x4e\x50\x7f\x35"

static DlnaHdhomerun *
new_tuner (void)
{
  DlnaHdhomerunOptions options = {dlna_hdhomerun_id (UUID), 16, 8574};
  return dlna_hdhomerun_new (&options);
}

static size_t
ask (DlnaHdhomerun *tuner, int64_t now, const void *packet, size_t n)
{
  /* of its own size, so that what is read behind it is seen */
  g_autofree uint8_t *copy = g_memdup2 (packet, n);
  uint8_t answer[DLNA_HDHOMERUN_ANSWER];
  return dlna_hdhomerun_answer (tuner, "192.168.77.1", now, copy, n, answer);
}

/* The answer's bytes, one by one. */
static void
test_answer (void)
{
  static const char expected[] = "\x00\x03\x00\x29"
                                 "\x01\x04\x00\x00\x00\x01"
                                 "\x02\x04\xaa\x1b\x2c\x39"
                                 "\x10\x01\x10"
                                 "\x2a\x18http://192.168.77.1:8574"
                                 "\x58\x2a\xee\xed";
  g_autoptr (DlnaHdhomerun) tuner = new_tuner ();
  uint8_t answer[DLNA_HDHOMERUN_ANSWER];
  size_t n =
      dlna_hdhomerun_answer (tuner, "192.168.77.1", 0, (const uint8_t *)ANY ANY_CRC, 20, answer);
  g_assert_cmpmem (answer, n, expected, sizeof expected - 1);
  n = dlna_hdhomerun_answer (tuner, "255.255.255.255", 0, (const uint8_t *)ANY ANY_CRC, 20, answer);
  g_assert_cmpuint (n, ==, 52); /* the longest, and little more than twice the question */
}

static void
test_questions (void)
{
  static const struct {
    const char *packet;
    size_t n;
    bool answered, bad;
  } rows[] = {
#define ROW(text, answered, bad) {text, sizeof text - 1, answered, bad}
      ROW (ANY ANY_CRC, true, false),
      /* Jellyfin's: any device */
      ROW ("\x00\x02\x00\x0c\x01\x04\xff\xff\xff\xff\x02\x04\xff\xff\xff\xff\x73\xcc\x7d\x8f", true,
           false),
      /* any device, without a number; ours by number; the maker's recorder; another's number */
      ROW ("\x00\x02\x00\x06\x01\x04\xff\xff\xff\xff\x4c\x20\xcb\x4e", true, false),
      ROW ("\x00\x02\x00\x0c\x01\x04\x00\x00\x00\x01\x02\x04\xaa\x1b\x2c\x39\xfb\x26\x55\xbf", true,
           false),
      ROW ("\x00\x02\x00\x06\x01\x04\x00\x00\x00\x05\x20\xf4\x1a\xe0", false, false),
      ROW ("\x00\x02\x00\x0c\x01\x04\x00\x00\x00\x01\x02\x04\xa0\x00\x00\x01\x3e\x59\xa8\xd1",
           false, false),
      /* a number and no kind; nothing at all; a kind of three bytes */
      ROW ("\x00\x02\x00\x06\x02\x04\xaa\x1b\x2c\x39\x57\x24\x75\x42", false, false),
      ROW ("\x00\x02\x00\x00\x72\x0b\xc0\x22", false, false),
      ROW ("\x00\x02\x00\x05\x01\x03\x00\x00\x01\xa8\x34\x33\xac", false, false),
      /* torn: no length; a length and nothing, half a long length, too long, in both ways */
      ROW ("\x00\x02\x00\x01\x01\x41\x3e\x37\x02", false, true),
      ROW ("\x00\x02\x00\x02\x01\x04\xf5\xd3\xf0\xd6", false, true),
      ROW ("\x00\x02\x00\x02\x02\x80\x0f\xc7\x08\x17", false, true),
      ROW ("\x00\x02\x00\x06\x01\x05\xff\xff\xff\xff\xfc\x09\xab\x73", false, true),
      ROW ("\x00\x02\x00\x03\x02\x81\x01\x69\x9c\x0a\x94", false, true),
      /* another CRC, length, type; an answer, lest two of us talk for ever */
      ROW (ANY "\x4e\x50\x7f\x36", false, true),
      ROW ("\x00\x03\x00\x06\x01\x04\x00\x00\x00\x01\x7a\x24\x0c\xf0", false, true),
      ROW ("\x00\x02\x00\x0d" ANY_CRC, false, true),
      ROW ("\x00\x02\x00\x00\x00", false, true),
      ROW ("", false, true),
#undef ROW
  };
  g_autoptr (DlnaHdhomerun) tuner = new_tuner ();
  DlnaHdhomerunStats before = {0}, after;
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_test_message ("%zu", i);
    size_t n = ask (tuner, (int64_t)i * G_USEC_PER_SEC, rows[i].packet, rows[i].n);
    g_assert_cmpint (n > 0, ==, rows[i].answered);
    dlna_hdhomerun_stats (tuner, &after);
    g_assert_cmpuint (after.answers - before.answers, ==, rows[i].answered);
    g_assert_cmpuint (after.bad_questions - before.bad_questions, ==, rows[i].bad);
    before = after;
  }
}

/* So many a second, and a flood does not end them for ever. */
static void
test_limit (void)
{
  g_autoptr (DlnaHdhomerun) tuner = new_tuner ();
  DlnaHdhomerunStats stats;
  int64_t now = 0;
  for (int i = 0; i < 3000; i++, now += 1000)
    ask (tuner, now, ANY ANY_CRC, 20);
  dlna_hdhomerun_stats (tuner, &stats);
  g_assert_cmpuint (stats.answers, ==, 3 * 16);
  g_assert_cmpuint (stats.many_questions, ==, 3000 - 3 * 16);
  g_assert_cmpuint (ask (tuner, now, ANY ANY_CRC, 20), >, 0);
}

static void
test_number (void)
{
  g_assert_cmphex (dlna_hdhomerun_id (UUID), ==, ID);
  g_assert_cmphex (dlna_hdhomerun_id ("ffffffff-ffff-4fff-bfff-ffffffffffff"), ==, 0xaffffff7u);
}

static void
test_near (void)
{
  static const struct {
    const char *ip;
    bool near;
  } rows[] = {{"192.168.77.20", true},
              {"192.168.77.1", true},
              {"192.168.78.1", false},
              {"8.8.8.8", false},
              {"192.168.76.255", false}};
  DlnaLink link = {.index = 1, .ip = "192.168.77.1", .mask = "255.255.255.0"}, none = {0};
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    struct in_addr remote;
    g_assert_cmpint (inet_pton (AF_INET, rows[i].ip, &remote), ==, 1);
    g_assert_cmpint (dlna_link_is_near (&link, remote), ==, rows[i].near);
    g_assert_false (dlna_link_is_near (&none, remote));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dlna/hdhomerun/answer-has-these-bytes", test_answer);
  g_test_add_func ("/dlna/hdhomerun/who-asks-rightly-is-answered", test_questions);
  g_test_add_func ("/dlna/hdhomerun/a-flood-is-not-answered", test_limit);
  g_test_add_func ("/dlna/hdhomerun/number-has-its-check-digit", test_number);
  g_test_add_func ("/dlna/hdhomerun/others-are-far", test_near);
  return g_test_run ();
}
