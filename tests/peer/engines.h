/* SPDX-License-Identifier: Apache-2.0 */
/* Engines that talk through memory: each datagram can be looked at, changed, delayed or lost. */
#pragma once

#include "peer/engine.h"
#include "peer/wire.h"

#define MAX_NODES 8
#define DELAY 10000 /* us, one way */
#define CHUNK 1128
#define MUNRO 16
#define WALL INT64_C (1700000000000000)

typedef struct {
  int64_t due;
  unsigned from, to;
  size_t size;
  uint8_t bytes[PEER_DATAGRAM_MAX];
} Datagram;

typedef struct Net Net;
struct Net {
  PeerEngine *engines[MAX_NODES];
  unsigned n;
  int64_t now;
  GQueue wire; /* Datagram; one delay for all, so in order */
  uint64_t random;
  /* false = the datagram is lost; it may be changed */
  bool (*tamper) (Net *self, Datagram *datagram);
  GArray *log; /* Datagram: the first 64 */
  GArray *events[MAX_NODES];
  double loss;
  int64_t dead_time; /* us, of engines made from now on; 0 = the default */
};

typedef struct {
  PeerContent content;
  PeerIntegrity *integrity;
  PeerStore *store;
  PeerSwarm *swarm; /* of the engine that has taken it */
} Film;

/* Of engine i. */
PeerAddress address_of (unsigned i);
/* Makes engine i (anew). */
void net_revive (Net *self, unsigned i);
/* n engines, at most MAX_NODES. */
void net_init (Net *self, unsigned n);
void net_clear (Net *self);
/* Puts a datagram on the wire, as if from had sent it. */
void net_send (Net *self, unsigned from, unsigned to, const uint8_t *bytes, size_t n);
/* Turns all engines until then. */
void net_run (Net *self, int64_t until);
guint count_events (const Net *self, unsigned i, PeerEventType type);
/* What chunk is made of; out: CHUNK bytes. */
void chunk_bytes (uint64_t chunk, uint8_t *out);
/* A static content of n_chunks, of which the last one has last bytes. */
void make_film (Film *film, uint64_t n_chunks, size_t last);
void make_film_of (Film *film, PeerHashFunction hash, uint64_t n_chunks, size_t last);
/* Where no engine has taken it. */
void film_clear (Film *film);
/* How its messages are written. */
PeerWireFormat film_format (void);
/* The engine takes the film. */
PeerSwarm *seed (Net *net, unsigned i, Film *film);
/* Joins, and is told of engine 0. */
PeerSwarm *leech (Net *net, unsigned i, const PeerContent *content, uint64_t n_chunks);
/* n engines: engine 0 has a film, whose last chunk has 100 bytes, engine 1 joins and has nothing.
 * Returns the swarm of engine 1. */
PeerSwarm *net_init_film (Net *net, unsigned n, Film *film, uint64_t n_chunks);
/* A live content of MUNRO chunks a signature; the key is the caller's. */
PeerKey *make_live (PeerContent *content);
/* Engine i joins as its source; it keeps and offers the last window chunks. */
PeerSwarm *go_live (Net *net, unsigned i, const PeerContent *content, uint64_t window);
/* What a first HANDSHAKE in that content's swarm says. */
PeerOptions options_of (const PeerContent *content);
/* A HANDSHAKE; channel: the sender's. */
void put_handshake (PeerWriter *writer, uint32_t channel, const PeerOptions *options);
/* The next munro of a source's, which signs it now, with its signature. */
void put_munro (PeerWriter *writer, const PeerContent *content, PeerIntegrity *source, PeerKey *key,
                int64_t now);
/* The ID of the channel between them as from writes it, by the first datagram on it. */
uint32_t channel_of (const Net *net, unsigned from, unsigned to);
/* All of the window, at once. */
void want (Net *net, unsigned i, PeerSwarm *swarm, PeerRange window);
/* The run is in the store with the right bytes; the last chunk has last of them. */
void assert_has (PeerSwarm *swarm, PeerRange run, size_t last);
