/* SPDX-License-Identifier: Apache-2.0 */
/* All that this origin publishes: its channels and files, each with a swarm and a tracker. */
#pragma once

#include "peer/net/credentials.h"
#include "peer/net/peering.h"
#include "peer/net/udp.h"
#include "peer/origin/entry.h"
#include "peer/origin/ingest.h"
#include "peer/origin/state.h"

#include <gio/gio.h>

typedef struct {
  const char *peer_address;    /* ADDR:PORT of the peer protocol */
  const char *const *trackers; /* NULL-terminated URIs */
  GArray *announce;            /* PeerAddress, for the links; not changed */
  bool allow_plain_tracker;
  NetCredentials *credentials; /* for the trackers; NULL = none; referenced */
  bool benign_network, no_peer_exchange;
  unsigned loss_tolerance;   /* percent */
  unsigned max_per_ip;       /* 0 = the engine's default */
  PeerContent channel, file; /* the metadata of new ones */
  uint64_t window;           /* bytes of a live channel that are kept */
  NetPeering *peering;       /* outlives the station, until another takes its place */
} OriginStationOptions;

typedef struct OriginStation OriginStation;
typedef struct OriginContent OriginContent;

OriginStation *origin_station_new (const OriginStationOptions *options, OriginState *state,
                                   GError **error);
/* Fills and signs what is open, notes where to go on, leaves swarms and trackers. */
void origin_station_free (OriginStation *self);

/* A file is hashed in the background; what fails then is logged and told by
 * origin_content_state(). */
bool origin_station_add (OriginStation *self, const OriginEntry *entry, GError **error);
OriginContent *origin_station_find (OriginStation *self, const char *id); /* NULL = unknown */
GPtrArray *origin_station_contents (OriginStation *self);                 /* OriginContent */
NetUdp *origin_station_udp (OriginStation *self);
/* Other limits, for all contents at once, and what peers are told of us. */
void origin_station_limit (OriginStation *self, NetPeering *peering);
/* For one, bit/s as text, as net_peering_set() has it; NULL = as it is. */
bool origin_content_limit (OriginContent *self, const char *upload, const char *download,
                           GError **error);
/* What the options say of it counts again. */
void origin_content_unlimit (OriginContent *self);

const char *origin_content_id (const OriginContent *self);
const char *origin_content_name (const OriginContent *self);
const char *origin_content_source (const OriginContent *self);
OriginKind origin_content_kind (const OriginContent *self);
const char *origin_content_token (const OriginContent *self); /* NULL = it takes no encoder */
/* "live", "idle", "ended", "hashing", "seeding", "stopped" or "failed". */
const char *origin_content_state (const OriginContent *self);
/* fallback: an HTTP URL of the same bytes, or NULL. NULL = not published yet. The caller frees. */
char *origin_content_link (const OriginContent *self, const char *fallback);
/* Where a file's hash tree lies. The caller frees. */
char *origin_content_hashes_path (const OriginContent *self);

/* For whoever brings an encoder's bytes. */
bool origin_content_is_taken (const OriginContent *self); /* an encoder is there, and not silent */
void origin_content_begin (OriginContent *self);
OriginIngestResult origin_content_feed (OriginContent *self, const uint8_t *bytes, size_t n);
OriginIngestResult origin_content_end (OriginContent *self);

/* A broadcast with an end (RFC 7574, section 6.1.2, last paragraph): ends it now. What its peers kept
 * is content on demand then, and so is what was kept here, as "ID-film". false = it has none, with an
 * error that says so; or it has ended before, without. */
bool origin_content_finish (OriginContent *self, GError **error);
bool origin_content_has_ended (const OriginContent *self);

typedef struct {
  bool connected;
  OriginIngestStats ingest;
  OriginPublisherStats publisher;
  PeerSwarmStats swarm;
  uint64_t encoders_refused;
  double hashed;             /* 0 to 1 */
  bool registered;           /* at a tracker */
  const char *tracker_error; /* NULL, or what went wrong last */
  const char *error;         /* NULL, or why it failed */
  const char *source_error;  /* PULL: NULL, or why nothing comes from there */
} OriginContentStats;
void origin_content_stats (OriginContent *self, OriginContentStats *out);
void origin_content_count_refused (OriginContent *self);
/* NULL = packets come. Copied. */
void origin_content_set_source_error (OriginContent *self, const char *why);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OriginStation, origin_station_free)
