/* SPDX-License-Identifier: Apache-2.0 */
/* What one must know of an MPEG transport stream (ISO/IEC 13818-1) to carry it: packets, tables,
 * clock, codecs, and where a picture can start. Knows nothing of swarms. */
#pragma once

#include "peer/media/stream.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEDIA_TS_PACKET 188 /* bytes */
#define MEDIA_TS_NO_TIME INT64_MIN

typedef struct MediaTs MediaTs;

MediaTs *media_ts_new (void);
void media_ts_free (MediaTs *self);

/* What one packet is; offsets are the caller's. */
typedef struct {
  bool starts_picture; /* a video access unit with a random access point begins in it (IDR or
                        * recovery point for H.264 and HEVC, I picture with sequence header for
                        * MPEG-2); audio only: any packet that starts an access unit */
  bool tables;         /* carries PAT or PMT */
  bool discontinuity;  /* its discontinuity indicator is set, or the tables changed */
  int64_t pcr;         /* us, or MEDIA_TS_NO_TIME; 33-bit base unwrapped */
  int64_t pts;         /* us, or MEDIA_TS_NO_TIME; of a video access unit that begins in it, or of
                        * the picture told, when that began some packets before */
} MediaTsPacket;

/* packet: 188 bytes that begin with 0x47. false = no packet of a transport stream (or an error
 * bit); it is counted and changes nothing. A key frame may be known only some packets after the
 * one in which it began (a start code that crosses packets): starts_picture is then told with the
 * later packet, and *behind of it says by how many packets that were fed and true (0 = in this
 * one), at most MEDIA_TS_BEHIND_MAX. The packet told is always one that begins a PES packet. */
#define MEDIA_TS_BEHIND_MAX 512
bool media_ts_feed (MediaTs *self, const uint8_t *packet, MediaTsPacket *out, unsigned *behind);

const MediaStreamInfo *media_ts_info (const MediaTs *self);
bool media_ts_has_tables (const MediaTs *self); /* PAT and PMT of a programme are complete */
/* The newest PAT and PMT as whole packets, continuity counters such that a stream which goes on
 * with the next packet fed is continuous in each PID. To put in front of a picture. Returns the
 * bytes written (a multiple of 188), 0 if the tables are not complete or room is too small. */
size_t media_ts_write_tables (const MediaTs *self, uint8_t *out, size_t room);
/* The same for a stream that begins with the picture told last: what tables came since then will
 * come again. */
size_t media_ts_write_picture_tables (const MediaTs *self, uint8_t *out, size_t room);
uint64_t media_ts_bad_packets (const MediaTs *self);

/* A null packet (PID 0x1FFF). out: 188 bytes. */
void media_ts_null_packet (uint8_t *out);
/* The offset of the first byte that begins a packet: 0x47 there and n packets on, at least two in
 * a row; -1 = none in these bytes. */
gssize media_ts_sync (const uint8_t *bytes, size_t n);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MediaTs, media_ts_free)
