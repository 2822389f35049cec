/* SPDX-License-Identifier: Apache-2.0 */
/* The ppsp: link: all that a newcomer must know of a swarm, as one line of text. RFC 7574,
 * section 11.1.1, leaves its form to others; README.md describes ours. */
#pragma once

#include "peer/address.h"
#include "peer/content.h"

typedef struct {
  PeerContent content;
  char *media_type;        /* "video/mp2t" if the link does not say */
  GPtrArray *trackers;     /* char *: URIs */
  GArray *peers;           /* PeerAddress: to begin with */
  GPtrArray *fallbacks;    /* char *: HTTP URLs of the same bytes */
  uint8_t tracker_key[32]; /* SHA-256 of the certifying tracker's public key */
  bool has_tracker_key;
} PeerLink;

PeerLink *peer_link_new (void); /* no trackers, no peers, video/mp2t, static defaults */
void peer_link_free (PeerLink *self);

/* Bounds: 8 KiB of text, 16 trackers, 32 peers, 16 fallbacks. The error names the parameter and
 * what is wrong with it. */
PeerLink *peer_link_parse (const char *text, GError **error);
/* Parameters with the default of the RFC's Table 8 are left out. The caller frees. */
char *peer_link_to_string (const PeerLink *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerLink, peer_link_free)
