/* SPDX-License-Identifier: Apache-2.0 */
/* Peer address exchange (RFC 7574, 3.10, 8.13, 12.2): which addresses may be told to whom, and what
 * one remote peer has said of others, and of itself. The swarm's part is peer/gossip.h. */
#pragma once

#include "peer/membership.h"
#include "peer/wire.h"

/* May this address be named to that peer, and be believed from it? Private, link-local and loopback
 * ones stay among their like (8.13), and nobody is led at the ports of well-known services. */
bool peer_exchange_may_name (const PeerAddress *address, const PeerAddress *peer);
/* May it be named without a certificate? Only in a benign environment (3.10): where the operator has
 * said so, or where both are private addresses. */
bool peer_exchange_may_name_plainly (const PeerAddress *address, const PeerAddress *peer,
                                     bool benign);
/* Whoever can have many ports, or a whole IPv6 subnet, for the asking counts as one: the IP, of public
 * IPv6 the /64. Only on loopback each port is somebody else. */
PeerAddress peer_exchange_source (const PeerAddress *address);

/* What one peer may do in a minute; as much at once. */
#define PEER_EXCHANGE_REQUESTS 6   /* PEX_REQs that are answered */
#define PEER_EXCHANGE_ADDRESSES 50 /* addresses that it may name */
#define PEER_EXCHANGE_CHECKS 12    /* certificates of it that are looked at */

/* The part of a channel. */
typedef struct {
  bool ask, show, answer;                       /* PEX_REQ, our certificate, PEX_RES: owed */
  int64_t asked_at;                             /* us; 0 = never */
  double requests;                              /* tokens: what it may ask */
  double addresses;                             /* likewise: addresses it may name */
  double checks;                                /* likewise: certificates that are looked at */
  int64_t requests_at, addresses_at, checks_at; /* us: of those tokens */
  unsigned bad;                                 /* defective certificates */
  GBytes *certificate;                          /* its own, checked; NULL = none */
  int64_t certificate_end;                      /* us, Unix time */
} PeerExchange;

void peer_exchange_open (PeerExchange *self, int64_t now, bool show);
void peer_exchange_clear (PeerExchange *self);
/* The peer's own certificate; the one that lasts longer is kept. certificate may be NULL. */
void peer_exchange_keep (PeerExchange *self, GBytes *certificate, int64_t end);

/* The part of a swarm. */
typedef struct {
  bool off;
  bool benign; /* the operator says that plain addresses may be exchanged (3.10) */
  bool has_tracker_key;
  uint8_t tracker_key[PEER_FINGERPRINT];
  GBytes *certificate; /* our own, or NULL */
  PeerAddress own;     /* where it says that we are */
  int64_t ask_at;      /* us: when somebody may be asked next */
  double contacts;     /* tokens: peers named by others that may be tried now */
  int64_t contacts_at;
  GHashTable *silent; /* PeerAddress -> int64_t us until: nobody answered where others had named */
} PeerGossip;

/* Is there any exchange with this peer; and by addresses without certificates? */
bool peer_exchange_is_on (const PeerGossip *self, const PeerAddress *peer);
bool peer_exchange_is_plain (const PeerGossip *self, const PeerAddress *peer);
/* Adds the messages that it may send us to a bitmap (7.10). */
void peer_exchange_supported (const PeerGossip *self, bool source, const PeerAddress *peer,
                              uint8_t *bitmap);
