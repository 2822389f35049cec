/* SPDX-License-Identifier: Apache-2.0 */
/* How big a datagram gets to a peer without being cut into fragments (RFC 7574, 8.1). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define PEER_DATAGRAM_MAX 1472  /* bytes: an Ethernet frame less IPv4 and UDP headers */
#define PEER_DATAGRAM_SAFE 1232 /* bytes: the least MTU of IPv6 less its and UDP's headers */

/* A value. */
typedef struct {
  size_t proven;    /* bytes: so big a datagram has arrived, or always does */
  size_t ceiling;   /* bytes: what is bigger has been lost */
  size_t probing;   /* bytes: of the probe that is on its way; 0 = none is */
  unsigned losses;  /* of probes in a row */
  int64_t again_at; /* us: when the ceiling is forgotten */
} PeerPath;

void peer_path_init (PeerPath *self);
/* The biggest datagram that may be sent now: what is proven or, for a probe, more. */
size_t peer_path_room (PeerPath *self, int64_t now);
/* A datagram with a chunk in it was sent, was acknowledged, was lost. */
void peer_path_sent (PeerPath *self, size_t n);
void peer_path_arrived (PeerPath *self, size_t n);
void peer_path_lost (PeerPath *self, int64_t now, size_t n);
/* So much did not fit, says who should know. */
void peer_path_too_big (PeerPath *self, int64_t now, size_t n);
