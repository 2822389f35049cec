/* SPDX-License-Identifier: Apache-2.0 */
#define G_LOG_DOMAIN "test"

#include "peer/net/log.h"
#include "peer/net/peering.h"
#include <stdio.h>

static void
check (GLogLevelFlags level, const char *message, gssize length, const char *expected)
{
  g_autofree char *line = net_log_line ("ppsp-test", level, message, length);
  g_assert_cmpstr (line, ==, expected);
}

static void
test_line_is_plain (void)
{
  check (G_LOG_LEVEL_MESSAGE, "serving", -1, "ppsp-test: serving\n");
  check (G_LOG_LEVEL_INFO, "serving", 5, "ppsp-test: servi\n");
  check (G_LOG_LEVEL_WARNING, "a \xe2\x80\x9cname\xe2\x80\x9d", -1,
         "ppsp-test: warning: a \xe2\x80\x9cname\xe2\x80\x9d\n");
  check (G_LOG_LEVEL_CRITICAL, "", 0, "ppsp-test: critical: \n");
}

static void
test_line_cannot_be_forged (void)
{
  check (G_LOG_LEVEL_MESSAGE,
         "a\nppsp-test: b\r\033[2Jc\xc2\x9b"
         "d\x7f",
         -1, "ppsp-test: a?ppsp-test: b??[2Jc?d?\n");
  check (G_LOG_LEVEL_MESSAGE,
         "a\xff"
         "b",
         -1,
         "ppsp-test: a\xef\xbf\xbd"
         "b\n");
}

/* GLib's test harness makes warnings fatal, so a child of its own says what a program would say. */
static int
speak (void)
{
  net_log_init ("ppsp-test");
  g_debug ("not told");
  g_message ("one");
  g_log_structured ("test", G_LOG_LEVEL_WARNING, "SWARM", "00", "MESSAGE", "two %d", 2);
  g_log_set_debug_enabled (TRUE);
  g_debug ("three");
  return 0;
}

/* What a program gives to syslog(3), told on standard output; the linker puts it in its place. */
void __wrap_syslog (int priority, const char *format, ...);
void __wrap___syslog_chk (int priority, int flag, const char *format, ...);
void __wrap_openlog (const char *program, int options, int facility);

void
__wrap_syslog (int priority, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  printf ("<%d>%s\n", priority, va_arg (arguments, const char *));
  va_end (arguments);
}

void
__wrap___syslog_chk (int priority, int flag, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  printf ("<%d>%s\n", priority, va_arg (arguments, const char *));
  va_end (arguments);
}

void
__wrap_openlog (const char *program, int options, int facility)
{
  printf ("facility %d\n", facility / 8);
}

static int
speak_to_syslog (void)
{
  g_autoptr (NetPeering) peering =
      net_peering_new (&(NetPeeringSaid){.log = (char *)"syslog:local3"}, NULL);
  if (peering == NULL)
    return 1;
  net_peering_log (peering);
  return speak ();
}

/* Options that are read, and perhaps refused then, have not been said to count yet. */
static int
speak_unmoved (void)
{
  g_autoptr (NetPeering) peering =
      net_peering_new (&(NetPeeringSaid){.log = (char *)"syslog:local3"}, NULL);
  return peering == NULL ? 1 : speak ();
}

/* RFC 5424, table 2: notice 5, warning 4, debug 7; table 1: local3 is 19. */
static void
test_goes_to_syslog (void)
{
  g_autofree char *out = NULL, *err = NULL;
  int status;
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
  char *words[] = {self, "speak-to-syslog", NULL};
  g_assert_true (g_spawn_sync (NULL, words, NULL, 0, NULL, NULL, &out, &err, &status, NULL));
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpstr (err, ==, "");
  g_assert_cmpstr (out, ==, "facility 19\n<5>one\n<4>two 2\n<7>three\n");
}

static void
test_severities (void)
{
  g_assert_cmpint (net_log_severity (G_LOG_LEVEL_ERROR | G_LOG_FLAG_FATAL), ==, 2);
  g_assert_cmpint (net_log_severity (G_LOG_LEVEL_CRITICAL), ==, 3);
  g_assert_cmpint (net_log_severity (G_LOG_LEVEL_INFO), ==, 6);
  static const char *const wrong[] = {"",       "syslogd", "syslog:", "syslog:mail",
                                      "stdout", "journald"};
  for (size_t i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_false (net_log_to (wrong[i], &error));
    g_assert_true (g_str_has_prefix (error->message, "--log "));
  }
}

static void
test_goes_to_standard_error (void)
{
  static const char *const ways[] = {"speak", "speak-unmoved"};
  for (size_t i = 0; i < G_N_ELEMENTS (ways); i++) {
    g_autofree char *out = NULL, *err = NULL;
    g_autoptr (GError) error = NULL;
    int status;
    g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
    char *words[] = {self, (char *)ways[i], NULL};
    g_assert_true (g_spawn_sync (NULL, words, NULL, 0, NULL, NULL, &out, &err, &status, &error));
    g_assert_cmpint (status, ==, 0);
    g_assert_cmpstr (out, ==, "");
    g_assert_cmpstr (err, ==,
                     "ppsp-test: one\nppsp-test: warning: two 2\nppsp-test: debug: three\n");
  }
}

int
main (int argc, char **argv)
{
  if (argc == 2 && g_str_equal (argv[1], "speak"))
    return speak ();
  if (argc == 2 && g_str_equal (argv[1], "speak-to-syslog"))
    return speak_to_syslog ();
  if (argc == 2 && g_str_equal (argv[1], "speak-unmoved"))
    return speak_unmoved ();
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/log/line-is-plain", test_line_is_plain);
  g_test_add_func ("/net/log/line-cannot-be-forged", test_line_cannot_be_forged);
  g_test_add_func ("/net/log/goes-to-standard-error", test_goes_to_standard_error);
  g_test_add_func ("/net/log/goes-to-syslog", test_goes_to_syslog);
  g_test_add_func ("/net/log/severities-are-those-of-syslog", test_severities);
  return g_test_run ();
}
