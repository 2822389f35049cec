/* SPDX-License-Identifier: Apache-2.0 */
/* Does the swarm bring in time what the readers of a film need? A pure function of time and bytes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
  PROXY_LATE_PERIOD = 750 * 1000,  /* us: so long the swarm is given, and then judged by */
  PROXY_LATE_ENOUGH = 2500 * 1000, /* bytes/s: 20 Mbit/s, more than films take */
};

/* All zeros at first. */
typedef struct {
  bool late;
  bool waits;
  int64_t since, seen,
      waited; /* us: this period began; last look; so long somebody has waited in it */
  uint64_t peers, elsewhere; /* bytes, at its beginning */
} ProxyLate;

/* now: us. waits_since: us, since when a reader has been waiting for its next byte; 0 = none waits.
 * peers, elsewhere: all bytes that have come from there. Returns late. It is to be called whenever
 * somebody begins or ends to wait, and each PROXY_LATE_PERIOD meanwhile. */
bool proxy_late_judge (ProxyLate *self, int64_t now, int64_t waits_since, uint64_t peers,
                       uint64_t elsewhere);
