/* SPDX-License-Identifier: Apache-2.0 */
/* The peer's side of the SIP binding (peer/net/SIP.md), for one peer ID in one swarm at one tracker: a request of
 * RFC 7846 goes in, its response comes out, whatever it takes between them. */
#pragma once

#include "peer/tracker/digest.h"
#include "peer/tracker/message.h"

#include <gio/gio.h>

typedef struct NetSipClient NetSipClient;

typedef struct {
  const char *host;  /* as the URI has it: a name or a literal */
  bool secure;       /* sips */
  bool tcp;          /* transport=tcp: no UDP */
  const char *trust; /* file of CA certificates, PEM; NULL = the system's */
} NetSipClientOptions;

/* How a request ended. response NULL = without an answer that can be read, and why says so. From the
 * main loop; the client may be freed in here. */
typedef void (*NetSipClientFunc) (const TrackerResponse *response, int64_t retry_after,
                                  const char *why, gpointer data);

NetSipClient *net_sip_client_new (const NetSipClientOptions *options, NetSipClientFunc func,
                                  gpointer data);
void net_sip_client_free (NetSipClient *self);

/* For Digest, from the next request on; user NULL = none. */
void net_sip_client_set_account (NetSipClient *self, const char *user, const char *password);

/* One at a time. request: of one swarm, valid until its end is told. remote: the tracker, with its port; local: of
 * ours, towards it; its port has no meaning. */
void net_sip_client_send (NetSipClient *self, const TrackerRequest *request,
                          const PeerAddress *remote, const PeerAddress *local);
/* Its end is not told any more. */
void net_sip_client_cancel (NetSipClient *self);
/* What to say of a tracker that has not answered in time. */
const char *net_sip_client_silence (const NetSipClient *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetSipClient, net_sip_client_free)
