/* SPDX-License-Identifier: Apache-2.0 */
/* What to ask of whom next: a pure function of what is missing, who has it, how fast each one
 * brings it, and when it is due (RFC 7574, 9.1 leaves the algorithm to us). */
#pragma once

#include "peer/chunks.h"
#include <stdbool.h>
#include <stddef.h>

/* What a reader will need, and by when. */
typedef struct {
  PeerRange window;    /* nothing outside it is asked for */
  int64_t deadline;    /* us; when window.first is due */
  uint32_t chunk_time; /* us; each later chunk is due this much later; 0 = all at the deadline */
} PeerWant;

typedef struct {
  const PeerChunks *have;
  uint64_t oldest;  /* what is left of it, the peer has forgotten (section 7.9) */
  double ready;     /* us until a chunk would be here if it were asked for at once */
  double per_chunk; /* us that each further chunk takes */
  uint32_t room;    /* chunks that may be asked of it now */
  uint32_t reserve; /* of these, kept for what is due soon */
  bool spared;      /* it had better not be asked for what others can bring... */
  uint32_t alone;   /* ...and so much of room is only for what none of them has */
} PeerPickChannel;

typedef struct {
  const PeerWant *wants;
  size_t n_wants;
  const PeerChunks *have;    /* what we have */
  PeerChunks *requested;     /* what is on its way; picks are added to it */
  PeerPickChannel *channels; /* ready and room change as chunks are assigned */
  size_t n_channels;
  int64_t now;
  int64_t horizon; /* us: what is due before now + horizon goes by deadline, the rest by rarity */
  uint64_t salt;   /* equally rare units are taken in an order of one's own, so that the peers of
                    * a source ask it for different ones */
} PeerPickInput;

typedef struct {
  size_t channel; /* index into channels */
  PeerRange run;
} PeerPick;

/* Returns the number of picks; no chunk is in two of them, none is in have or was in requested. */
size_t peer_picker_pick (PeerPickInput *input, PeerPick *out, size_t max);
