/* SPDX-License-Identifier: Apache-2.0 */
/* How much our own line carries, if it is what holds us up. Pure. */
#pragma once

#include <stdint.h>

#define PEER_UPLINK_INTERVAL 400000 /* us: as long as a round trip and a short queue take */

/* A value; all zero is the beginning. */
typedef struct {
  uint64_t rate; /* bytes/s that may be sent; 0 = the line is not known to be short */
  uint64_t sent; /* bytes, until at */
  int64_t queue; /* us: that was seen last */
  double peak;   /* bytes/s: the most that was sent of late */
  int64_t full;  /* us: when there was a queue last; 0 = never */
  int64_t at;    /* us: when it was judged last */
} PeerUplink;

/* Once in an interval. queuing: us, of the channel in the middle of all that have something in
 * flight, or -1 if too few have; sent: bytes of datagrams so far. Returns the rate. */
uint64_t peer_uplink_judge (PeerUplink *self, int64_t now, int64_t queuing, uint64_t sent);
