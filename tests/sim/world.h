/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that live on a simulated network: a source that makes a stream (or has a file), viewers
 * that play it (or fetch it), a tracker that names peers to them, and stores that end the run when
 * they are given a wrong byte (content.h). What they do is what real programs do with peer/engine.h and peer/playout.h. */
#pragma once

#include "peer/engine.h"
#include "peer/tracker/registry.h"
#include "tests/sim/net.h"

#include <stdio.h>

typedef struct {
  uint64_t seed;
  uint64_t bitrate;   /* bits/s, live */
  uint64_t length;    /* bytes, static; 0 = live */
  bool length_told;   /* the link says the length */
  bool sequential;    /* static: wanted in order, as by who streams it; else all at once */
  int64_t lookback;   /* us, live: as for the playout */
  int64_t max_lag;    /* us, live: likewise */
  int64_t prebuffer;  /* us: of play time that a player waits for before it starts... */
  int64_t patience;   /* us: ...but no longer than this since it joined, if it has any */
  unsigned max_peers; /* that the tracker names: a random sample of those that are there... */
  bool source_named;  /* ...and the source among them each time */
  TrackerRegistry *registry; /* a real one, which is asked instead; not owned; NULL = none */
  uint32_t
      source_peers; /* as PeerJoin.max_peers for the source: it takes four times as many; 0 = 30 */
  uint32_t loss_tolerance; /* percent, as PeerEngineOptions has it */
  double churn;  /* viewers that go and are followed by another, share of them in a second */
  double rebind; /* viewers that get another port, likewise */
  FILE *trace;   /* where the lines of peer/trace.h go, or NULL; not owned */
} SimWorldOptions;

void sim_world_options_init (SimWorldOptions *self); /* live, 4 Mbit/s */

typedef struct SimWorld SimWorld;

SimWorld *sim_world_new (const SimWorldOptions *options);
void sim_world_free (SimWorld *self);
SimNet *sim_world_net (SimWorld *self);

/* All return at once and happen at the time; peers are numbered from 0, the source is 0. */
unsigned sim_world_add_source (SimWorld *self, const SimLine *line);
unsigned sim_world_add_viewer (SimWorld *self, const SimLine *line, int64_t joins);
void sim_world_leave (SimWorld *self, unsigned peer, int64_t at);  /* says goodbye */
void sim_world_vanish (SimWorld *self, unsigned peer, int64_t at); /* does not */
void sim_world_return (SimWorld *self, unsigned peer, int64_t at);
void sim_world_rebind (SimWorld *self, unsigned peer, int64_t at);
/* From then on viewers go and come, and get new ports, as the options say. */
void sim_world_churn (SimWorld *self, int64_t from);

/* Stands between the engine of a peer and the network. */
typedef struct {
  /* Its engine would send this; whatever goes is sent with sim_net_send() by whoever wears it. bytes
   * has room for PEER_DATAGRAM_MAX and may be changed. */
  void (*sends) (gpointer data, const PeerAddress *to, uint8_t *bytes, size_t n);
  /* This came, and its engine gets it next. */
  void (*receives) (gpointer data, const PeerAddress *from, const uint8_t *bytes, size_t n);
} SimMask;
/* From now on the peer is no honest one: nothing of what it does or plays is counted, and nobody is
 * blamed for banning it. */
void sim_world_mask (SimWorld *self, unsigned peer, const SimMask *mask, gpointer data);
bool sim_world_is_honest (const SimWorld *self, unsigned peer);

void sim_world_run (SimWorld *self, int64_t until);
/* Until all viewers have all of a static content; false = not by then. */
bool sim_world_run_until_fetched (SimWorld *self, int64_t until);

/* How one viewer fared. Times in us; -1 = never. */
typedef struct {
  int64_t joined, started; /* started: the first picture; static: all is there */
  int64_t left;            /* or now, while it is there */
  int64_t lag;             /* of what it plays now behind the source */
  int64_t worst_lag;
  unsigned stalls;     /* chunks that were missing when due, each halt once */
  int64_t watched;     /* us since the first picture */
  int64_t stalled;     /* how long of that it stood still */
  uint64_t skipped;    /* chunks */
  uint64_t played;     /* chunks */
  uint64_t bad_peers;  /* that the engine told of... */
  uint64_t bad_honest; /* ...and that were honest */
  int64_t last_played; /* when something was last delivered */
} SimViewer;
void sim_world_viewer (const SimWorld *self, unsigned peer, SimViewer *out);
/* Of all its lives. */
void sim_world_counters (const SimWorld *self, unsigned peer, PeerCounters *out);
PeerEngine *sim_world_engine (const SimWorld *self, unsigned peer); /* NULL while it is away */
PeerSwarm *sim_world_swarm (const SimWorld *self, unsigned peer);   /* likewise */
const PeerContent *sim_world_content (const SimWorld *self);
unsigned sim_world_n_peers (const SimWorld *self); /* all that ever were, the source too */

/* --- report.c --- */

typedef struct {
  unsigned viewers, started, stalls;
  unsigned slow; /* viewers that had no picture after 2 s */
  uint64_t skipped, played;
  int64_t zap_p50, zap_p95, zap_max;          /* us */
  int64_t lag_p50, lag_p95, lag_p99, lag_max; /* us */
  double stalled; /* share of the time watched; what was skipped counts as if it was waited for */
  double from_viewers; /* share of the chunks that viewers got from each other */
  double source_load;  /* what the source sent, in times of the stream */
  double uplinks;      /* share of all viewers' uplinks that was in use; 0 = they have no limit */
  double overhead;     /* bytes of datagrams beside the chunks that were new, to those */
  double duplicates;   /* chunks that came again, to those that were new */
  /* What the overhead is made of; the sum is the whole. */
  struct {
    double heads;   /* of the DATA of chunks... */
    double lost;    /* ...and chunks that did not arrive, */
    double twice;   /* that were here before, */
    double in_vain; /* and that could not be proven, were not wanted, or are still on their way */
    double hashes;  /* INTEGRITY */
    double munros;  /* with their signatures */
    double acks, haves;
    double requests; /* and CANCEL */
    double rest;     /* channel IDs, handshakes, PEX, status, choking */
  } costs;
  double datagrams; /* for a new chunk; each has IP and UDP headers besides */
  uint64_t trace;
} SimReport;
void sim_world_report (const SimWorld *self, SimReport *out);
void sim_world_print (const SimWorld *self, const char *title); /* as a TAP diagnostic */
void sim_world_print_json (const SimWorld *self, FILE *out);    /* the same as one object */
void sim_world_print_viewers (const SimWorld *self);            /* likewise, a line each */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimWorld, sim_world_free)
