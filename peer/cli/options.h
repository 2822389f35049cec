/* SPDX-License-Identifier: Apache-2.0 */
/* What ppsp-peer was told: by its command line, and by a key file for what that leaves out. */
#pragma once

#include "peer/engine.h"
#include "peer/link.h"
#include "peer/net/credentials.h"
#include "peer/net/peering.h"
#include <gio/gio.h>

typedef struct {
  PeerLink *link;   /* NULL with --cache */
  GPtrArray *links; /* PeerLink: with --cache, all that were given */
  char *cache;      /* NULL, or the folder of a cache of many swarms */
  uint64_t quota;   /* of it; bytes */
  char **lists;     /* with --cache: URIs of channel lists; NULL-terminated */
  char *output;     /* NULL = standard output */
  char *listen;     /* ADDR:PORT of the peer protocol */
  char *metrics;    /* ADDR:PORT of /metrics and /healthz, or NULL */
  NetPeering *peering;
  GPtrArray *trackers;         /* char *: the link's and those of --tracker */
  GArray *peers;               /* PeerAddress: the link's and those of --peers */
  unsigned loss_tolerance;     /* percent */
  unsigned max_per_ip;         /* 0 = the engine's default */
  NetCredentials *credentials; /* for the trackers; NULL = none */
  gboolean benign_network, no_peer_exchange;
  gboolean keep; /* live, with output: the whole broadcast, to be given on when it has ended */
  gboolean seed, allow_plain_tracker, verbose, version;
} CliOptions;

/* argv is changed. A link of "-" is read from standard input. The error is one line that says what
 * is wrong and what to do. With --version no link is needed, and with --cache a list is enough. */
CliOptions *cli_options_new (int argc, char **argv, GError **error);
void cli_options_free (CliOptions *self);
/* While the program runs, from the same command line and the key file as it is now: the limits, and
 * what peers are told of us; nothing else changes, and nothing at all if it fails. argv is changed. */
bool cli_options_reread (CliOptions *self, int argc, char **argv, GError **error);
/* The defaults, and what was said of them. */
void cli_options_engine (const CliOptions *self, PeerEngineOptions *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliOptions, cli_options_free)
