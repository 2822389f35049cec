/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections there are, from where, and what became of those that are gone: of one listener,
 * or of several in threads of their own that share its addresses (net_listener_share). It is asked once
 * for a connection, never for a request. */
#pragma once

#include <gio/gio.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct NetAdmission NetAdmission;

/* IPv4 as ::ffff:a.b.c.d; false = not of the Internet. */
bool net_admission_ip (GSocketAddress *address, struct in6_addr *out);
bool net_admission_is_loopback (const struct in6_addr *ip);

NetAdmission *net_admission_new (unsigned max_connections, unsigned max_per_ip);
NetAdmission *net_admission_ref (NetAdmission *self);
void net_admission_unref (NetAdmission *self);

typedef enum {
  NET_ADMISSION_ENTERED,
  NET_ADMISSION_FULL,
  NET_ADMISSION_TOO_MANY, /* from there */
} NetAdmissionResult;
/* A connection from there. replaces: never full, since another is about to leave. Loopback is not limited
 * by itself. */
NetAdmissionResult net_admission_enter (NetAdmission *self, const struct in6_addr *ip,
                                        bool replaces);
void net_admission_leave (NetAdmission *self, const struct in6_addr *ip);

typedef enum {
  NET_ADMISSION_ACCEPTED,
  NET_ADMISSION_REFUSED,
  NET_ADMISSION_TIMED_OUT,
  NET_ADMISSION_TOO_LARGE,
  NET_ADMISSION_WRONG_HOST,
  NET_ADMISSION_ACCEPT_FAILED,
} NetAdmissionFate;
void net_admission_count (NetAdmission *self, NetAdmissionFate fate);
uint64_t net_admission_counted (NetAdmission *self, NetAdmissionFate fate);
unsigned net_admission_connections (NetAdmission *self); /* now */
