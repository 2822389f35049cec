/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer tells of itself (RFC 6972, PP.REQ-8): see peer/STATUS.md. */
#pragma once

#include <stdint.h>

typedef enum {
  PEER_LINK_UNKNOWN = 0,
  PEER_LINK_WIRED = 1,
  PEER_LINK_WIRELESS = 2,
  PEER_LINK_CELLULAR = 3,
} PeerAccessLink;

typedef enum {
  PEER_POWER_UNKNOWN = 0,
  PEER_POWER_MAINS = 1,
  PEER_POWER_BATTERY = 2,
  PEER_POWER_LOW = 3, /* a battery that is nearly empty */
} PeerPower;

/* A value; all zero is: nothing to tell. Values that are not known read as unknown. */
typedef struct {
  uint8_t access_link, power;
  uint8_t load; /* percent of the upload that is in use; 0 = none, or not known */
} PeerStatus;
