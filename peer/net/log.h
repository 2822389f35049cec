/* SPDX-License-Identifier: Apache-2.0 */
/* The log of our programs: to the journal with all its fields, if standard error is the journal's;
 * else one plain line to standard error, "ppsp-proxy: warning: text". */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Once, before the first line; program: static. Standard output stays free for a stream. Info and
 * debug are told as GLib tells them: g_log_set_debug_enabled() or G_MESSAGES_DEBUG. */
void net_log_init (const char *program);

#define NET_LOG_HELP                                                                               \
  "stderr, journal, syslog or syslog:FACILITY (journal, if started by it; else stderr)"
/* Is it "stderr", "journal", "syslog", or "syslog:FACILITY" (daemon, user, local0 to local7)? The error
 * is one line. */
bool net_log_check (const char *where, GError **error);
/* Where to, from now on; false as above, and nothing changes. */
bool net_log_to (const char *where, GError **error);
/* The severity of RFC 5424, 6.2.1, as <syslog.h> has it. */
int net_log_severity (GLogLevelFlags level);

/* The line, with its end. What would break it, or move a terminal's cursor, becomes "?". length: of
 * message, or -1. The caller frees. */
char *net_log_line (const char *program, GLogLevelFlags level, const char *message, gssize length);
