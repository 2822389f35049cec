/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of one engine; and what happens to a peer as lines of text, so that a run can be
 * plotted. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* What came in and was refused is counted here and nowhere logged. */
#define PEER_COUNTERS(X)                                                                           \
  X (datagrams_received)                                                                           \
  X (datagrams_sent)                                                                               \
  X (datagrams_too_big) /* for the way to the peer */                                              \
  X (bytes_received)                                                                               \
  X (bytes_sent)                                                                                   \
  X (chunks_received) /* verified and new */                                                       \
  X (chunk_bytes_received)                                                                         \
  X (chunks_offered) /* likewise, but from elsewhere than a peer */                                \
  X (chunk_bytes_offered)                                                                          \
  X (chunks_sent)                                                                                  \
  X (chunk_bytes_sent)                                                                             \
  X (chunks_duplicate)                                                                             \
  X (chunks_unwanted) /* never asked for */                                                        \
  X (chunks_bad)      /* the hashes deny them */                                                   \
  X (chunks_unproven) /* hashes were missing */                                                    \
  X (chunks_lost)     /* sent, and not acknowledged in time */                                     \
  X (malformed)                                                                                    \
  X (unknown_channel)                                                                              \
  X (wrong_address)                                                                                \
  X (handshakes_received)                                                                          \
  X (handshakes_refused)                                                                           \
  X (handshakes_limited) /* refused by a limit */                                                  \
  X (channels_opened)                                                                              \
  X (channels_closed)                                                                              \
  X (channels_dead)                                                                                \
  X (signatures_checked)                                                                           \
  X (signatures_bad)                                                                               \
  X (signatures_limited)                                                                           \
  X (munros_old)                                                                                   \
  X (munros_forked)                                                                                \
  X (out_of_state)    /* CANCEL, UNCHOKE, ACK and the like that fit nothing */                     \
  X (channels_choked) /* there was not enough for all */                                           \
  X (requests_refused)                                                                             \
  X (requests_absent)      /* named chunks that we do not have */                                  \
  X (haves_dropped)        /* would have made too many runs */                                     \
  X (messages_unknown)     /* of a type that nobody has assigned */                                \
  X (pex_requests)         /* that we made */                                                      \
  X (pex_answers)          /* addresses that we named */                                           \
  X (pex_addresses)        /* that others named, and that may be tried */                          \
  X (pex_refused)          /* asked or named too much, or what may not be */                       \
  X (certificates_checked) /* of membership */                                                     \
  X (certificates_bad)                                                                             \
  X (store_failures)

typedef struct {
#define PEER_COUNTER_FIELD(name) uint64_t name;
  PEER_COUNTERS (PEER_COUNTER_FIELD)
#undef PEER_COUNTER_FIELD
} PeerCounters;

typedef struct {
  const char *name; /* like event, a word of ours: it is not quoted any further */
  int64_t value;
} PeerTraceField;

/* Appends one line of JSON: {"t":12.000345,"peer":7,"event":"stall","us":40000}. now: us, not
 * negative. */
void peer_trace_write (GString *out, int64_t now, unsigned peer, const char *event,
                       const PeerTraceField *fields, size_t n);
