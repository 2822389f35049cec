/* SPDX-License-Identifier: Apache-2.0 */
/* A network that is all arithmetic: hosts with lines, one heap of events, one clock, one seed. Time
 * jumps to the next thing that happens, and the same seed gives the same run, to the byte. */
#pragma once

#include "peer/address.h"
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers that are the same on every machine and in every version (SplitMix64). */
typedef struct {
  uint64_t state;
} SimRandom;
uint64_t sim_random_next (SimRandom *self);
uint64_t sim_random_below (SimRandom *self, uint64_t limit); /* limit > 0 */
double sim_random_unit (SimRandom *self);                    /* [0, 1) */
void sim_random_fill (SimRandom *self, uint8_t *out, size_t n);

/* A host's line to the middle of the network, where there is no limit. */
typedef struct {
  uint64_t up, down; /* bytes/s; 0 = no limit */
  uint32_t queue;    /* bytes that wait in each direction; what comes on top is dropped */
  int64_t delay;     /* us, each way, of this line; a path has that of both its ends */
  int64_t jitter;    /* us at most on top, for each datagram sent; they keep their order */
  double reorder;    /* share of those sent that are overtaken by what follows in some 10 ms */
  double loss;       /* share of the datagrams sent on it */
  double duplicate;  /* share that arrive twice */
  uint64_t lost;     /* exact loss: bit i = the datagram i that it sends, of the first 64 */
  unsigned region;   /* 0 unless there are some */
} SimLine;

typedef struct SimNet SimNet;

typedef struct {
  void (*receive) (gpointer data, unsigned host, const PeerAddress *from, const uint8_t *bytes,
                   size_t n);
  void (*timer) (gpointer data, unsigned host);
} SimNetClass;

SimNet *sim_net_new (const SimNetClass *class, gpointer data, uint64_t seed);
void sim_net_free (SimNet *self);

/* What a path takes longer, one way: delays[a * n + b] us from region a to region b. */
void sim_net_set_regions (SimNet *self, unsigned n, const int64_t *delays);

int64_t sim_net_now (const SimNet *self); /* us since the start */
/* Addresses of RFC 1918 and RFC 4193 in place of public ones; before there are hosts. */
void sim_net_make_private (SimNet *self);
/* Hosts with an odd number have IPv6 addresses, the others IPv4. */
unsigned sim_net_add_host (SimNet *self, const SimLine *line);
void sim_net_address (const SimNet *self, unsigned host, PeerAddress *out);
/* A cable that is pulled: nothing in, nothing out, what is under way is lost; timers still run. */
void sim_net_plug (SimNet *self, unsigned host, bool in);
/* Its NAT gives it another port; what is sent to the old one is lost. */
void sim_net_rebind (SimNet *self, unsigned host);
SimLine *sim_net_line (SimNet *self, unsigned host); /* may be changed at any time */

void sim_net_send (SimNet *self, unsigned host, const PeerAddress *to, const uint8_t *bytes,
                   size_t n);
/* With another sender's address on it. */
void sim_net_send_as (SimNet *self, unsigned host, const PeerAddress *from, const PeerAddress *to,
                      const uint8_t *bytes, size_t n);
/* Takes the place of the host's timer before; INT64_MAX = none. A time that is over is now. */
void sim_net_set_timer (SimNet *self, unsigned host, int64_t time);
typedef void (*SimNetFunc) (gpointer data, gpointer argument);
void sim_net_call (SimNet *self, int64_t time, SimNetFunc func, gpointer argument);

void sim_net_run (SimNet *self, int64_t until); /* us */
void sim_net_stop (SimNet *self);               /* from a callback */

/* us: how long a datagram that is sent now would wait in the host's line. */
int64_t sim_net_backlog (const SimNet *self, unsigned host);

/* Of all that has happened, datagrams with their bytes: equal runs have equal hashes. */
uint64_t sim_net_trace (const SimNet *self);
void sim_net_note (SimNet *self, uint64_t what); /* mixes something else in */

typedef struct {
  uint64_t sent, delivered, duplicated; /* datagrams */
  uint64_t lost, overflowed, unroutable;
  uint64_t bytes_sent;
  uint64_t bytes_abroad; /* of them, to another region */
} SimNetStats;
const SimNetStats *sim_net_stats (const SimNet *self, unsigned host);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimNet, sim_net_free)
