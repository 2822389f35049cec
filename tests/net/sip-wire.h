/* SPDX-License-Identifier: Apache-2.0 */
/* A tracker behind the SIP binding, and a socket on which its datagrams are written and read by hand. */
#pragma once

#include "peer/net/sip-server.h"
#include "peer/tracker/registry.h"

#include <gio/gio.h>

#define SIP_REALM "ppsp"
#define SIP_SWARM "00112233445566778899aabbccddeeff00112233"
#define SIP_TARGET "sip:" SIP_SWARM "@127.0.0.1:@T"

typedef struct {
  TrackerRegistry *registry;
  TrackerDigest *digest; /* NULL = there are no accounts */
  NetSipServer *server;
  uint16_t port; /* the tracker's */
  uint16_t mine;
  GSocket *socket;      /* datagrams, of loopback */
  GSocket *stream;      /* NULL until sip_wire_connect() */
  unsigned n;           /* makes each branch another */
  GHashTable *received; /* what was the answer to sip_wire_ask() */
} SipWire;

/* limits: without answer, data and digest, which are set here. accounts: as tracker_digest_load() takes them, or
 * NULL. */
void sip_wire_init (SipWire *self, const NetSipServerOptions *limits, const char *accounts);
void sip_wire_clear (SipWire *self);

/* Each "\n" becomes CR LF, "@T" the tracker's port, "@P" ours, "@B" a branch that no request had before. */
char *sip_wire_text (SipWire *self, const char *text);
/* As it stands, zeros and all. */
void sip_wire_send (SipWire *self, const char *bytes, gssize n);
/* The next datagram; ends the test if there is none. The caller frees. */
char *sip_wire_receive (SipWire *self);
/* sip_wire_text(), sent, and what comes back, unless it is an old answer once more: its status line is asserted to
 * begin with status, such as "200". The caller frees. */
char *sip_wire_ask (SipWire *self, const char *status, const char *text);
/* Sends, and asserts that nothing comes back. */
void sip_wire_ask_nothing (SipWire *self, const char *text);

/* Over TCP from now on; again: another connection. */
void sip_wire_connect (SipWire *self);
void sip_wire_disconnect (SipWire *self);

/* A header's value, or NULL; the nth of that name. The caller frees. */
char *sip_wire_header (const char *message, const char *name, unsigned nth);

/* A whole request; tag: of To, with ";tag=", or "". headers: lines. user: of From, and of To where there is
 * no swarm. The caller frees. */
char *sip_wire_request (const char *method, const char *target, const char *user, const char *tag,
                        const char *call_id, unsigned cseq, const char *headers);
/* A peer registers (and, with a swarm, joins and acknowledges); asserts that it works. Returns the tag of the
 * tracker in the dialog, ";tag=...", or NULL. The caller frees. */
char *sip_wire_join (SipWire *self, const char *user, unsigned port, const char *swarm,
                     const char *mode);

/* A whole request in the dialog that sip_wire_join() has made for SIP_SWARM; and its answer, as of sip_wire_ask(). The
 * caller frees. */
char *sip_wire_in_dialog (const char *method, const char *user, const char *tag, unsigned cseq,
                          const char *headers);
char *sip_wire_ask_in_dialog (SipWire *self, const char *status, const char *method,
                              const char *user, const char *tag, unsigned cseq,
                              const char *headers);
