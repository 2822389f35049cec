/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *program_name = "";
static bool to_journal, to_terminal;

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
char *
net_log_line (const char *program, GLogLevelFlags level, const char *message, gssize length)
{
  g_autofree char *text = g_utf8_make_valid (message, length);
  g_autoptr (GString) line = g_string_new (NULL);
  g_string_append_printf (line, "%s: %s", program, level_name (level));
  for (const char *at = text; *at != 0; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);
    g_string_append_unichar (line, g_unichar_iscntrl (c) ? '?' : c);
  }
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
  if (!to_journal || g_log_writer_journald (level, fields, n, NULL) != G_LOG_WRITER_HANDLED)
    write_line (level, message);
  if (level & G_LOG_FLAG_FATAL)
    G_BREAKPOINT ();
  return G_LOG_WRITER_HANDLED;
}

void
net_log_init (const char *program)
{
  program_name = program;
  to_journal = g_log_writer_is_journald (STDERR_FILENO);
  to_terminal = isatty (STDERR_FILENO) == 1;
  g_log_set_writer_func (writer, NULL, NULL);
}
