/* SPDX-License-Identifier: Apache-2.0 */
/* How much may be in flight: LEDBAT (RFC 6817), for one channel. Bytes and microseconds; the
 * caller says the time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_LEDBAT_BASE_HISTORY 10  /* minutes (RFC 6817, 2.5: SHOULD) */
#define PEER_LEDBAT_CURRENT_FILTER 8 /* samples at most; the minimum of the last RTT's counts */

typedef struct {
  uint32_t mss;              /* bytes: the largest datagram that carries a chunk */
  uint32_t target;           /* us; at most 100000 (MUST) */
  uint32_t gain_percent;     /* at most 100 (MUST) */
  uint32_t init_cwnd;        /* datagrams; 2 (SHOULD), never above TCP's initial window (MUST) */
  uint32_t loss_percent;     /* of the window that a loss leaves while no queue is seen; 0 = 50, as
                          * RFC 6817 has it for all losses. RFC 7574, 8.15 allows a live swarm more;
                          * at most 99 here */
  uint32_t loss_tolerance;   /* percent of the datagrams that may be lost, while no queue is seen,
                              * before a loss is taken for congestion; 0 = each is, as RFC 6817 has
                              * it (RFC 7574, 8.15: a deployer may configure LEDBAT more
                              * aggressive). At most 10 here */
  uint32_t allowed_increase; /* datagrams that the window may exceed what is used of it; 0 = 1
                              * (RFC 6817: SHOULD). Sparse live flows need more (RFC 7574, 8.15) */
} PeerLedbatOptions;

/* A value; its fields are for ledbat.c, tests and the trace. */
typedef struct {
  PeerLedbatOptions options;
  double cwnd;                 /* bytes */
  double slow_start_threshold; /* bytes; slow start ends here (RFC 5681) */
  uint64_t base_delays[PEER_LEDBAT_BASE_HISTORY];
  int64_t base_minutes[PEER_LEDBAT_BASE_HISTORY]; /* of which minute each is the minimum */
  uint64_t current_delays[PEER_LEDBAT_CURRENT_FILTER];
  int64_t current_times[PEER_LEDBAT_CURRENT_FILTER];
  unsigned n_current, next_current;
  bool slow_start;
  int64_t last_cut;             /* us: what was sent before it and is lost is known by it */
  double borne;                 /* bytes of loss that was tolerated, less what arrived for it */
  double lost;                  /* share of what was sent of late */
  double until_lossy;           /* bytes to be measured before that counts again */
  int64_t cto;                  /* us */
  int64_t srtt, rttvar;         /* us; srtt 0 = no sample yet */
  int64_t queuing;              /* us */
  size_t flight, flight_before; /* bytes: the most of this interval, and of the one before */
  int64_t flight_since;         /* us: when this interval began */
  int64_t base_seen;            /* us: when the queue was last seen empty */
  int64_t pause_until;          /* us: the window is at its least, to let the queue run empty */
} PeerLedbat;

void peer_ledbat_init (PeerLedbat *self, const PeerLedbatOptions *options);

/* An acknowledgement of bytes_acked bytes. delay: the one-way delay sample, modulo 2^64: clocks
 * need not agree (RFC 6817, 2.4.2). rtt: us, or 0 if the sample is of a chunk sent twice (Karn).
 * flight: bytes in flight before this acknowledgement. */
void peer_ledbat_on_ack (PeerLedbat *self, int64_t now, uint64_t delay, int64_t rtt,
                         size_t bytes_acked, size_t flight);
/* A round trip that was measured before anything was sent, by a handshake. */
void peer_ledbat_on_rtt (PeerLedbat *self, int64_t rtt);
/* A loss of what was sent then; halves at most once per RTT, so that what was sent before the last
 * cut changes nothing. Whether and when the chunk is sent again is not LEDBAT's. */
void peer_ledbat_on_loss (PeerLedbat *self, int64_t now, int64_t sent, size_t bytes);
/* Nothing was acknowledged for a CTO, though something was in flight: the window falls to one
 * datagram, the CTO doubles. */
void peer_ledbat_on_timeout (PeerLedbat *self, int64_t now);

/* Bytes that may be in flight. */
size_t peer_ledbat_window (const PeerLedbat *self);
/* us: the congestion timeout, and the queuing delay now seen. */
int64_t peer_ledbat_cto (const PeerLedbat *self);
/* More is lost of what is sent than where a way is not full. */
bool peer_ledbat_is_lossy (const PeerLedbat *self);
int64_t peer_ledbat_queuing_delay (const PeerLedbat *self);
