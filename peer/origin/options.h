/* SPDX-License-Identifier: Apache-2.0 */
/* What ppsp-origin was told: the command line, and a key file behind it. */
#pragma once

#include "peer/net/peering.h"
#include "peer/origin/station.h"

typedef struct {
  char *http, *peer, *state, *config;
  char **trackers;
  NetCredentials *credentials; /* NULL = none */
  GArray *announce;            /* PeerAddress */
  GPtrArray *entries;          /* OriginEntry */
  bool allow_plain_tracker, benign_network, no_peer_exchange, verbose, version;
  unsigned loss_tolerance;   /* percent */
  unsigned max_per_ip;       /* 0 = the engine's default */
  PeerContent channel, file; /* the metadata of new ones */
  uint64_t window;           /* bytes */
  NetPeering *peering;
} OriginOptions;

/* Takes what it knows out of argv. The error is one line. */
OriginOptions *origin_options_parse (int *argc, char ***argv, GError **error);
void origin_options_free (OriginOptions *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OriginOptions, origin_options_free)
