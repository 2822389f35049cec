/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of an encoder to whole packets for the publisher: finds the packets, drops what is
 * none, joins the streams of an encoder that went and came back. */
#pragma once

#include "peer/media/mpegts.h"
#include "peer/origin/publisher.h"

#define ORIGIN_INGEST_HEAD 65536      /* bytes in which the first packets must be found */
#define ORIGIN_INGEST_SILENCE 5000000 /* us; an encoder that was silent so long may be replaced */

typedef enum {
  ORIGIN_INGEST_OK,
  ORIGIN_INGEST_NOT_TS, /* no packets at the beginning: this is no transport stream */
  ORIGIN_INGEST_FULL,   /* the publisher cannot sign any more */
} OriginIngestResult;

typedef struct OriginIngest OriginIngest;

/* Borrows publisher. resumed: the channel was on the air before, in another process. */
OriginIngest *origin_ingest_new (OriginPublisher *publisher, bool resumed);
void origin_ingest_free (OriginIngest *self);

/* One encoder at a time; its stream goes on where the one before it ended. */
void origin_ingest_begin (OriginIngest *self, int64_t now);
OriginIngestResult origin_ingest_feed (OriginIngest *self, int64_t now, const uint8_t *bytes,
                                       size_t n);
/* NOT_TS as above, when all of it was shorter than that. */
OriginIngestResult origin_ingest_end (OriginIngest *self, int64_t now);
bool origin_ingest_is_connected (const OriginIngest *self);
bool origin_ingest_is_silent (const OriginIngest *self, int64_t now);

typedef struct {
  uint64_t sessions;
  uint64_t packets;       /* handed on */
  uint64_t bytes_skipped; /* that were in no packet */
  uint64_t syncs_lost;
  uint64_t rate; /* bytes/s, over the last second */
  const MediaStreamInfo *info;
} OriginIngestStats;
void origin_ingest_stats (const OriginIngest *self, int64_t now, OriginIngestStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OriginIngest, origin_ingest_free)
