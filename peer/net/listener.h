/* SPDX-License-Identifier: Apache-2.0 */
/* The one way in for every SoupServer of ours. SoupServer's own listener has a backlog of 10,
 * dies for ever on the first failed accept(), has no time limit for a slow request and no limit
 * for a body; this one listens, limits, and hands each connection to the server. */
#pragma once

#include <libsoup/soup.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
  unsigned max_connections;      /* in all; 0 = 256 */
  unsigned max_per_ip;           /* 0 = 32; loopback is not limited by it */
  unsigned header_timeout;       /* s from accept, or from a request's first byte, to its whole
                                   * header; the TLS handshake counts; 0 = 10 */
  unsigned idle_timeout;         /* s between requests of one connection, and for a body that is
                                   * not streamed; 0 = 30 */
  unsigned response_timeout;     /* s for a whole response to be taken; 0 = none, for media, which
                                   * are watched for hours and paused */
  unsigned vanish_timeout;       /* s without a sign of life from one who owes us an ACK; 0 = 60 */
  size_t max_body;               /* bytes of a request's body, with or without a length, where no
                                   * handler has asked for more (net_listener_allow_body); 0 = 65536 */
  bool check_host;               /* refuse a Host that is neither the address that the connection
                                   * came in on, nor localhost or a loopback address on loopback,
                                   * nor one of host_names: DNS rebinding (421) */
  const char *const *host_names; /* NULL-terminated, or NULL */
  GTlsCertificate *certificate;  /* NULL = plain HTTP */
  bool (*admit) (GInetSocketAddress *remote, gpointer data); /* one more connection? NULL = yes */
  gpointer data;
} NetListenerOptions;

typedef struct NetListener NetListener;

/* One listener for one server; more addresses by net_listener_add(). The server must not listen by
 * itself (soup_server_disconnect() first if it does); soup_server_get_uris() names our addresses
 * afterwards. References server until net_listener_free(). */
NetListener *net_listener_new (SoupServer *server, const NetListenerOptions *options);
void net_listener_free (NetListener *self); /* stops listening; connections in service go on */
/* For new connections; those in service keep theirs. Not NULL, and only where one was before. From any
 * thread, as is the next. */
void net_listener_set_certificate (NetListener *self, GTlsCertificate *certificate);
/* From now on TLS clients are asked for a certificate. Any is let in, and so is none: what it is worth
 * is for the handler to judge. */
void net_listener_ask_certificates (NetListener *self, bool ask);
/* What the client of this request has shown, and has the key of; NULL = none. */
GTlsCertificate *net_listener_peer_certificate (SoupServerMessage *message);

/* "127.0.0.1:8574", "[::]:7846" (both families); port 0 = any. Returns the port, or 0 with an error
 * that names the address and what to do. */
uint16_t net_listener_add (NetListener *self, const char *address, GError **error);
/* What to do where an address cannot be bound to, for that reason. */
const char *net_listener_advice (const GError *error);
/* Takes connections where other does, too: each goes to one of the two, and together they keep within
 * other's limits and have one set of statistics. So several threads can serve one address, each with a
 * server and a listener of its own, made while its context is the thread's default one. When they are
 * full, each makes room among its own. false = the error says why; free it then. */
bool net_listener_share (NetListener *self, NetListener *other, GError **error);
/* Takes an address back. */
void net_listener_remove (NetListener *self, const char *address);

/* Requests whose path begins with prefix may have bodies of any size, and are not accumulated in
 * memory: the handler reads them by "got-chunk" (ingest). */
void net_listener_allow_body (NetListener *self, const char *prefix);

typedef struct {
  uint64_t accepted, refused, timed_out, too_large, wrong_host, accept_failures;
  unsigned connections; /* now */
} NetListenerStats;
void net_listener_stats (const NetListener *self, NetListenerStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetListener, net_listener_free)
