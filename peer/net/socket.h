/* SPDX-License-Identifier: Apache-2.0 */
/* A UDP socket that receives and sends in batches: recvmmsg with GRO and sendmmsg with GSO, where
 * the kernel has them. It knows no protocol and no clock; peer/net/udp.c turns it. */
#pragma once

#include "peer/address.h"
#include "peer/engine.h"

typedef struct NetSocket NetSocket;

/* address: "0.0.0.0:7574", "[::]:7574" (both families, or IPv4 alone where the kernel has no
 * IPv6); port 0 = any. The error names the address and what to do. */
NetSocket *net_socket_new (const char *address, GError **error);
void net_socket_free (NetSocket *self);
int net_socket_fd (const NetSocket *self); /* non-blocking; to be polled, not read */
uint16_t net_socket_port (const NetSocket *self);

typedef void (*NetSocketFunc) (gpointer data, const PeerAddress *from, const uint8_t *bytes,
                               size_t n);
/* Hands on what has come, and stops soon after max datagrams. When a batch comes short it makes
 * no further call to learn that there is nothing. Returns the number of datagrams. */
unsigned net_socket_receive (NetSocket *self, unsigned max, NetSocketFunc func, gpointer data);

/* Where the next datagram is to be written: PEER_DATAGRAM_MAX bytes. NULL = the batch is full, it
 * must be flushed first. */
uint8_t *net_socket_room (NetSocket *self);
/* The datagram that was written there. */
void net_socket_add (NetSocket *self, const PeerAddress *to, size_t n);
/* Called from net_socket_flush() for a datagram that is dropped since it is too big for the way. */
typedef void (*NetSocketTooBigFunc) (gpointer data, const PeerAddress *to, size_t n);
void net_socket_set_too_big (NetSocket *self, NetSocketTooBigFunc func, gpointer data);
/* false = the kernel takes no more: the rest is kept, to be flushed when the socket is writable.
 * What cannot be sent for another reason is dropped and counted. */
bool net_socket_flush (NetSocket *self);
bool net_socket_is_pending (const NetSocket *self);

typedef struct {
  uint64_t receive_calls, send_calls; /* system calls */
  uint64_t received, sent;            /* datagrams */
  uint64_t send_errors;               /* datagrams that the kernel refused */
  bool gso, gro;                      /* in use */
  int receive_buffer;                 /* bytes, as the kernel gave it */
} NetSocketStats;
void net_socket_stats (const NetSocket *self, NetSocketStats *out);
/* As on a kernel, or with a device, that cannot do it. */
void net_socket_disable_gso (NetSocket *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetSocket, net_socket_free)
