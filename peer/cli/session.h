/* SPDX-License-Identifier: Apache-2.0 */
/* One swarm, joined for as long as ppsp-peer runs: asks trackers for peers, writes what comes, and
 * gives to others. */
#pragma once

#include "peer/cli/options.h"
#include "peer/net/udp.h"

typedef struct CliSession CliSession;

typedef enum {
  CLI_SESSION_DONE,   /* all is written, or nobody reads any more */
  CLI_SESSION_FAILED, /* error says why */
} CliSessionEnd;

/* Called once, from the main loop; not before new has returned. */
typedef void (*CliSessionFunc) (CliSessionEnd end, const GError *error, gpointer data);

/* options must outlive it. */
CliSession *cli_session_new (const CliOptions *options, CliSessionFunc func, gpointer data,
                             GError **error);
void cli_session_free (CliSession *self); /* leaves the swarm and the trackers */

/* The options' peering may be another now. */
void cli_session_limit (CliSession *self);

/* How it goes. */
typedef struct {
  bool live, complete;
  uint64_t bytes;    /* that are here: verified (on demand) or written (live) */
  uint64_t length;   /* bytes, on demand; 0 = not known yet */
  uint64_t skipped;  /* chunks, live */
  uint64_t down, up; /* bytes/s */
  uint64_t uploaded; /* bytes */
  uint32_t peers;
  const char *tracker_error; /* NULL = none, or one tracker works */
} CliProgress;
void cli_session_progress (const CliSession *self, CliProgress *out);
NetUdp *cli_session_udp (const CliSession *self); /* there as long as the session is */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliSession, cli_session_free)
