/* SPDX-License-Identifier: Apache-2.0 */
/* An IP and a port: a transport address of a peer, in one form for both families. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint8_t ip[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
  uint16_t port;  /* host order; 0 = none */
} PeerAddress;

bool peer_address_equal (const PeerAddress *a, const PeerAddress *b);
/* For GHashTable; keys are PeerAddress. */
guint peer_address_hash (gconstpointer address);
gboolean peer_address_equal_key (gconstpointer a, gconstpointer b);

/* ip: n bytes, network order: 4 or 16. The port stays. */
void peer_address_set_ip (PeerAddress *self, const uint8_t *ip, size_t n);

bool peer_address_is_v4 (const PeerAddress *self);
/* Loopback, RFC 1918, RFC 4193 (ULA), link-local. */
bool peer_address_is_private (const PeerAddress *self);
bool peer_address_is_loopback (const PeerAddress *self);
/* May a datagram be sent there at all: a port, and neither unspecified, multicast nor broadcast. */
bool peer_address_is_usable (const PeerAddress *self);
/* Who shares a limit: an IPv4 address, or the /64 that one subscriber has; without port. */
PeerAddress peer_address_subscriber (const PeerAddress *self);

/* "192.0.2.1:7574", "[2001:db8::1]:7574" (RFC 3986, RFC 5952). The caller frees. */
char *peer_address_to_string (const PeerAddress *self);
/* "192.0.2.1", "2001:db8::1": without port. The caller frees. */
char *peer_address_ip_to_string (const PeerAddress *self);
/* Literals only, no names. false = no address; then out is unchanged. */
bool peer_address_parse (const char *text, PeerAddress *out);
bool peer_address_parse_ip (const char *text, uint16_t port, PeerAddress *out);
