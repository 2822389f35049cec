/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/log.h"

#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static const char *program_name = "";
static bool to_journal, to_terminal, to_syslog;
static bool told; /* where to */

static const char *
level_name (GLogLevelFlags level)
{
  if (level & G_LOG_LEVEL_ERROR)
    return "error: ";
  if (level & G_LOG_LEVEL_CRITICAL)
    return "critical: ";
  if (level & G_LOG_LEVEL_WARNING)
    return "warning: ";
  if (level & G_LOG_LEVEL_DEBUG)
    return "debug: ";
  return "";
}

/* Threat: names and answers from outside stand in the log, and must not forge a line of it. */
static void
append_clean (GString *line, const char *message, gssize length)
{
  g_autofree char *text = g_utf8_make_valid (message, length);
  for (const char *at = text; *at != 0; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);
    g_string_append_unichar (line, g_unichar_iscntrl (c) ? '?' : c);
  }
}

char *
net_log_line (const char *program, GLogLevelFlags level, const char *message, gssize length)
{
  g_autoptr (GString) line = g_string_new (NULL);
  g_string_append_printf (line, "%s: %s", program, level_name (level));
  append_clean (line, message, length);
  g_string_append_c (line, '\n');
  return g_string_free (g_steal_pointer (&line), FALSE);
}

static void
write_line (GLogLevelFlags level, const GLogField *message)
{
  g_autofree char *line =
      net_log_line (program_name, level, message != NULL ? message->value : "(no text)",
                    message != NULL ? message->length : -1);
  /* In one call, since threads log too. On a terminal a line of progress may stand there. */
  fprintf (stderr, "%s%s", to_terminal ? "\r\033[K" : "", line);
  fflush (stderr);
}

int
net_log_severity (GLogLevelFlags level)
{
  if (level & G_LOG_LEVEL_ERROR)
    return LOG_CRIT;
  if (level & G_LOG_LEVEL_CRITICAL)
    return LOG_ERR;
  if (level & G_LOG_LEVEL_WARNING)
    return LOG_WARNING;
  if (level & G_LOG_LEVEL_MESSAGE)
    return LOG_NOTICE;
  return level & G_LOG_LEVEL_INFO ? LOG_INFO : LOG_DEBUG;
}

/* The daemon that takes it adds what else RFC 5424 wants: time, host, and how it is framed. */
static void
write_syslog (GLogLevelFlags level, const GLogField *message)
{
  g_autoptr (GString) text = g_string_new (NULL);
  if (message != NULL)
    append_clean (text, message->value, message->length);
  syslog (net_log_severity (level), "%s", text->str);
}

static GLogWriterOutput
writer (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  const GLogField *message = NULL;
  const char *domain = NULL;
  for (gsize i = 0; i < n; i++) {
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      message = &fields[i];
    else if (strcmp (fields[i].key, "GLIB_DOMAIN") == 0)
      domain = fields[i].value;
  }
  if (g_log_writer_default_would_drop (level, domain))
    return G_LOG_WRITER_HANDLED;
  if (to_syslog)
    write_syslog (level, message);
  else if (!to_journal || g_log_writer_journald (level, fields, n, NULL) != G_LOG_WRITER_HANDLED)
    write_line (level, message);
  if (level & G_LOG_FLAG_FATAL)
    G_BREAKPOINT ();
  return G_LOG_WRITER_HANDLED;
}

void
net_log_init (const char *program)
{
  program_name = program;
  if (!told)
    to_journal = g_log_writer_is_journald (STDERR_FILENO);
  to_terminal = isatty (STDERR_FILENO) == 1;
  g_log_set_writer_func (writer, NULL, NULL);
}

static int
find_facility (const char *name)
{
  static const struct {
    const char *name;
    int value;
  } facilities[] = {{"daemon", LOG_DAEMON}, {"user", LOG_USER},     {"local0", LOG_LOCAL0},
                    {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},
                    {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},
                    {"local7", LOG_LOCAL7}};
  for (size_t i = 0; i < G_N_ELEMENTS (facilities); i++)
    if (strcmp (facilities[i].name, name) == 0)
      return facilities[i].value;
  return -1;
}

/* -1 = it names no facility. */
static int
facility_of (const char *where)
{
  if (strcmp (where, "syslog") == 0)
    return LOG_DAEMON;
  return g_str_has_prefix (where, "syslog:") ? find_facility (where + strlen ("syslog:")) : -1;
}

bool
net_log_check (const char *where, GError **error)
{
  if (strcmp (where, "stderr") == 0 || strcmp (where, "journal") == 0 || facility_of (where) >= 0)
    return true;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               "--log %s: expected stderr, journal, syslog, or syslog:FACILITY with daemon, user "
               "or local0 to local7",
               where);
  return false;
}

bool
net_log_to (const char *where, GError **error)
{
  if (!net_log_check (where, error))
    return false;
  told = true;
  to_journal = strcmp (where, "journal") == 0;
  to_syslog = facility_of (where) >= 0;
  if (to_syslog)
    openlog (NULL, LOG_PID, facility_of (where));
  return true;
}
