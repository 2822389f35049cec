/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer tells of itself (RFC 6972, PP.REQ-8): see peer/STATUS.md. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum {
  PEER_LINK_UNKNOWN = 0,
  PEER_LINK_WIRED = 1,
  PEER_LINK_WIRELESS = 2,
  PEER_LINK_CELLULAR = 3,
  PEER_N_LINKS,
} PeerAccessLink;

typedef enum {
  PEER_POWER_UNKNOWN = 0,
  PEER_POWER_MAINS = 1,
  PEER_POWER_BATTERY = 2,
  PEER_POWER_LOW = 3, /* a battery that is nearly empty */
  PEER_N_POWERS,
} PeerPower;

/* A value; all zero is: nothing to tell. Values that are not known read as unknown. */
typedef struct {
  uint8_t access_link, power;
  uint8_t load; /* percent of the upload that is in use; 0 = none, or not known */
  /* for trackers alone: percent */
  uint8_t battery; /* that is left; 0 = on mains, or not known */
  uint8_t loss;    /* of what we sent of late; 0 = none, or not known */
} PeerStatus;

/* What it told says that others had better be asked for what they have too. */
bool peer_status_is_spared (const PeerStatus *self);

/* Words for people: "unknown", "wired", "wireless", "cellular"; "unknown", "mains", "battery", "low".
 * A value that is not known is "unknown". */
const char *peer_access_link_name (uint8_t value);
const char *peer_power_name (uint8_t value);
/* false = no such word. */
bool peer_access_link_parse (const char *word, uint8_t *out);
bool peer_power_parse (const char *word, uint8_t *out);

/* How many peers told what; who told nothing is unknown. */
typedef struct {
  uint32_t links[PEER_N_LINKS], powers[PEER_N_POWERS];
  uint32_t busy;   /* told that their upload is in use, or nearly so */
  uint32_t spared; /* for whatever reason */
} PeerStatusCounts;
void peer_status_count (const PeerStatus *self, PeerStatusCounts *counts);

/* Our own load. A value; all zero is the beginning. */
typedef struct {
  uint64_t sent; /* bytes, until at */
  int64_t cpu;   /* us, until at */
  int64_t at;    /* us */
  double mean;   /* percent, of late */
  uint8_t told;
} PeerLoad;

/* The percent to tell: how much is used of the upload, or of one CPU's time, whichever is more; a mean
 * of late, and told anew only when it is a good deal off, since each change is a datagram to each peer.
 * sent: bytes of datagrams so far; upload: bytes/s that may be sent, 0 = no limit is known; cpu: us
 * that this program has used so far. */
uint8_t peer_load_judge (PeerLoad *self, int64_t now, uint64_t sent, uint64_t upload, int64_t cpu);

/* What of our chunks gets lost. A value; all zero is the beginning. */
typedef struct {
  uint64_t sent, lost;            /* so far */
  double recently, lost_recently; /* of the last minutes, the newer the more */
} PeerLoss;

/* The percent to tell, at regular intervals. sent: chunks so far; lost: how many of them. */
uint8_t peer_loss_judge (PeerLoss *self, uint64_t sent, uint64_t lost);
