/* SPDX-License-Identifier: Apache-2.0 */
/* The words of RFC 7846's messages as header values of SIP (peer/net/SIP.md): text in, structs out, and back.
 * It knows nothing of SIP itself. IDs are written with percent signs as in a URI (RFC 3986, 2.1), so
 * no value holds a comma, a semicolon or a quote that is not one. */
#pragma once

#include "peer/tracker/message.h"

#define TRACKER_HEADER_ADDRESS "PPSP-Addr"
#define TRACKER_HEADER_SWARM "PPSP-Swarm"
#define TRACKER_HEADER_PEER_NUM "PPSP-Peer-Num"
#define TRACKER_HEADER_PEER "PPSP-Peer"
#define TRACKER_HEADER_STAT "PPSP-Stat"
#define TRACKER_HEADER_CERTIFICATE "PPSP-Certificate"
#define TRACKER_HEADER_CHUNKS "PPSP-Chunks"
#define TRACKER_HEADER_CONDITION "PPSP-Condition"

/* What cannot be read is left out or refused, never guessed: false, and out is unchanged. Parameters that
 * we do not know are passed over, as RFC 7846 has it for members (section 7). */
bool tracker_headers_read_address (const char *text, TrackerAddress *out);
bool tracker_headers_read_peer_num (const char *text, TrackerPeerNum *out);
/* "mode=LEECH"; certificates: of membership are wanted. */
bool tracker_headers_read_swarm (const char *text, TrackerMode *mode, bool *certificates);
/* Into the five numbers of a STAT_REPORT. */
bool tracker_headers_read_stat (const char *text, TrackerSwarm *out);
/* "mobile=yes;battery=40;loss=1" */
bool tracker_headers_read_condition (const char *text, TrackerCondition *out);
/* "0-99": one run, its last chunk in it, added to those of out; past TRACKER_MAX_RANGES it is passed over. */
bool tracker_headers_read_chunks (const char *text, TrackerSwarm *out);
/* One peer, added to the result; its list is made if there is none. */
bool tracker_headers_read_peer (const char *text, TrackerResult *result);

/* A list with commas, one value at a time; NULL = no more. The caller frees. */
char *tracker_headers_next (const char **list);

/* The caller frees what these return. */
char *tracker_headers_write_address (const TrackerAddress *address);
char *tracker_headers_write_peer_num (const TrackerPeerNum *num);
char *tracker_headers_write_swarm (TrackerMode mode, bool certificates);
char *tracker_headers_write_stat (const TrackerSwarm *swarm);
char *tracker_headers_write_condition (const TrackerCondition *condition);
/* All runs, with commas. chunks: TrackerRange, at least one. */
char *tracker_headers_write_chunks (const GArray *chunks);
char *tracker_headers_write_peer (const TrackerPeer *peer);

/* As the user part of a URI. NULL = there is none, or it is no valid ID of at most max bytes. */
char *tracker_headers_write_id (const char *id);
char *tracker_headers_read_id (const char *text, size_t max);
