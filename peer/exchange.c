/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/exchange.h"

#define MIN_PORT 1024

static bool
is_link_local (const PeerAddress *address)
{
  const uint8_t *ip = address->ip;
  if (peer_address_is_v4 (address))
    return ip[12] == 169 && ip[13] == 254;
  return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

bool
peer_exchange_may_name (const PeerAddress *address, const PeerAddress *peer)
{
  if (!peer_address_is_usable (address) || address->port < MIN_PORT ||
      peer_address_equal (address, peer))
    return false;
  if (peer_address_is_loopback (address))
    return peer_address_is_loopback (peer);
  if (is_link_local (address))
    return is_link_local (peer);
  return !peer_address_is_private (address) || peer_address_is_private (peer);
}

bool
peer_exchange_may_name_plainly (const PeerAddress *address, const PeerAddress *peer, bool benign)
{
  bool both = peer_address_is_private (address) && peer_address_is_private (peer);
  return (benign || both) && peer_exchange_may_name (address, peer);
}

PeerAddress
peer_exchange_source (const PeerAddress *address)
{
  PeerAddress source = *address;
  if (peer_address_is_loopback (address))
    return source;
  source.port = 0;
  return peer_address_is_private (address) ? source : peer_address_subscriber (address);
}

void
peer_exchange_open (PeerExchange *self, int64_t now, bool show)
{
  self->show = show;
  self->requests = PEER_EXCHANGE_REQUESTS;
  self->addresses = PEER_EXCHANGE_ADDRESSES;
  self->checks = PEER_EXCHANGE_CHECKS;
  self->requests_at = self->addresses_at = self->checks_at = now;
}

void
peer_exchange_clear (PeerExchange *self)
{
  g_clear_pointer (&self->certificate, g_bytes_unref);
}

void
peer_exchange_keep (PeerExchange *self, GBytes *certificate, int64_t end)
{
  if (certificate == NULL || (self->certificate != NULL && self->certificate_end >= end))
    return; /* an older one, said again by whoever has it */
  g_bytes_ref (certificate);
  peer_exchange_clear (self);
  self->certificate = certificate;
  self->certificate_end = end;
}

bool
peer_exchange_is_plain (const PeerGossip *self, const PeerAddress *peer)
{
  return !self->off && (self->benign || peer_address_is_private (peer));
}

bool
peer_exchange_is_on (const PeerGossip *self, const PeerAddress *peer)
{
  return peer_exchange_is_plain (self, peer) || (!self->off && self->has_tracker_key);
}

void
peer_exchange_supported (const PeerGossip *self, bool source, const PeerAddress *peer,
                         uint8_t *bitmap)
{
  bool plain = peer_exchange_is_plain (self, peer) && !source;
  const struct {
    PeerMessageType type;
    bool on;
  } messages[] = {
      {PEER_MESSAGE_PEX_REQ, peer_exchange_is_on (self, peer)},
      {PEER_MESSAGE_PEX_RES_V4, plain},
      {PEER_MESSAGE_PEX_RES_V6, plain},
      /* a source takes the certificates of those that it talks with, to give them to others */
      {PEER_MESSAGE_PEX_RES_CERT, !self->off && self->has_tracker_key},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (messages); i++)
    if (messages[i].on)
      bitmap[messages[i].type / 8] |= (uint8_t)(0x80 >> messages[i].type % 8);
}
