/* SPDX-License-Identifier: Apache-2.0 */
/* Who is registered by SIP, until when, and in which dialogs, each of which is one membership. Time is monotonic
 * microseconds. */
#pragma once

#include "peer/tracker/message.h"

typedef struct NetSipPeers NetSipPeers;
typedef struct NetSipPeer NetSipPeer;

/* One membership (RFC 3261, section 12); of peers, who free it. */
typedef struct {
  char tag[33]; /* ours, unguessable: the key */
  NetSipPeer *peer;
  char *call_id, *remote_tag;
  char *swarm_id;
  uint32_t cseq; /* of the peer, the last */
  TrackerMode mode;
  void *invite; /* the caller's: what waits for its ACK; NULL = confirmed */
} NetSipDialog;

/* One registration (section 10); of peers, who free it. All but the next two is for the caller to set. */
struct NetSipPeer {
  char *id;
  PeerAddress from;   /* port 0: part of the key */
  PeerAddress source; /* with its port, of the last request that was authenticated */
  char *account, *contact, *call_id;
  uint32_t cseq;
  GArray *addresses;  /* TrackerAddress */
  GPtrArray *dialogs; /* NetSipDialog; borrowed */
  int64_t expires;    /* us */
  GList link;         /* private */
};

typedef struct {
  uint32_t max_peers;        /* in all */
  uint32_t max_peers_per_ip; /* of IPv6 a /64 counts as one; loopback has no limit */
  uint32_t max_swarms;       /* of one peer */
} NetSipPeersLimits;

NetSipPeers *net_sip_peers_new (const NetSipPeersLimits *limits);
void net_sip_peers_free (NetSipPeers *self);

/* A peer is known by its ID and the IP that it comes from. NULL = there is none. */
NetSipPeer *net_sip_peers_find (const NetSipPeers *self, const char *id, const PeerAddress *from);
/* NULL = a limit is reached. */
NetSipPeer *net_sip_peers_add (NetSipPeers *self, const char *id, const PeerAddress *from);
/* With its dialogs. */
void net_sip_peers_remove (NetSipPeers *self, NetSipPeer *peer);
/* seconds: from now on, at most 255. */
void net_sip_peers_prolong (NetSipPeers *self, NetSipPeer *peer, unsigned seconds, int64_t now);
/* One whose time is over, to be removed by the caller; NULL = no more. */
NetSipPeer *net_sip_peers_expired (NetSipPeers *self, int64_t now);

/* Copies the texts. NULL = a limit is reached. */
NetSipDialog *net_sip_peers_join (NetSipPeers *self, NetSipPeer *peer, const char *tag,
                                  const char *call_id, const char *remote_tag,
                                  const char *swarm_id);
void net_sip_peers_leave (NetSipPeers *self, NetSipDialog *dialog);
/* By our tag; NULL = there is none. */
NetSipDialog *net_sip_peers_dialog (const NetSipPeers *self, const char *tag);

uint32_t net_sip_peers_count (const NetSipPeers *self);
uint32_t net_sip_peers_dialogs (const NetSipPeers *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetSipPeers, net_sip_peers_free)
