/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of swarm membership (RFC 7574, 8.13 and 12.2): a tracker says, signed, that a peer at
 * an address was in a swarm at a time. Whoever gets one from a stranger can so contact that address
 * without being led at a victim. The form is X.509v3 with the URI
 *
 *   file://192.0.2.1:7574/SWARM-ID         file://[2001:db8::1]:7574/SWARM-ID
 *
 * The certificate carries the tracker's key, since a peer has none; the swarm's link has the
 * SHA-256 of that key (12.2.2: the tracker's key is part of the metadata). */
#pragma once

#include "peer/address.h"
#include "peer/crypto.h"

/* How long one is good for, unless the tracker's operator says otherwise. 12.2.2: "fairly long lived", since
 * peers find each other with them while the tracker is away; but who was put out of a swarm has his until then. */
#define PEER_MEMBERSHIP_LIFE (INT64_C (12) * 3600 * G_USEC_PER_SEC) /* us */
/* Clocks of tracker and peers may differ so much. */
#define PEER_MEMBERSHIP_SKEW (INT64_C (300) * G_USEC_PER_SEC) /* us */

typedef struct {
  PeerAddress address;
  int64_t not_before, not_after; /* us, Unix time */
} PeerMembership;

typedef enum {
  PEER_MEMBERSHIP_GOOD,
  PEER_MEMBERSHIP_MALFORMED, /* no certificate, or not of the form above */
  PEER_MEMBERSHIP_FOREIGN,   /* of another tracker, or another swarm */
  PEER_MEMBERSHIP_EXPIRED,   /* or not valid yet */
  PEER_MEMBERSHIP_FORGED,    /* the signature is wrong */
} PeerMembershipResult;

/* The tracker's verb. swarm_id: hex. wall: us, Unix time; it is valid from then on for
 * life, us. serial: 16 bytes that nobody can guess. The caller frees. NULL = the swarm ID
 * is not hex of whole bytes, or so long that the certificate fits no datagram. */
GBytes *peer_membership_issue (PeerKey *tracker, const char *swarm_id, const PeerAddress *address,
                               int64_t wall, int64_t life, const uint8_t *serial);

/* Is it of this tracker (the SHA-256 of its key; NULL = any), of this swarm, valid at the time wall (us,
 * Unix time; INT64_MIN = nobody knows the time), and signed? out is filled for GOOD. */
PeerMembershipResult peer_membership_check (const uint8_t *bytes, size_t n,
                                            const PeerContent *content, const uint8_t *tracker_key,
                                            int64_t wall, PeerMembership *out);
/* The SHA-256 of the key that signed it, for whoever trusts where it comes from. false = it is
 * malformed, or the signature is wrong. */
bool peer_membership_tracker (const uint8_t *bytes, size_t n, uint8_t *out);
