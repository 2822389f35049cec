/* SPDX-License-Identifier: Apache-2.0 */
/* One request that came by SIP: who makes it, whether it came before, and how it is answered. Only the
 * rooms peer/net/sip-* include this. */
#pragma once

#include "peer/net/sip-stack.h"
#include "peer/tracker/digest.h"
#include "peer/tracker/message.h"
#include "peer/tracker/transactions.h"

#define NET_SIP_ALLOW "REGISTER, INVITE, ACK, CANCEL, BYE, INFO, OPTIONS"

/* What all requests to one server share. */
typedef struct {
  TrackerDigest *digest;        /* borrowed; NULL = anybody is let in */
  GRecMutex *lock;              /* as in NetSipServerOptions */
  TrackerTransactions *answers; /* those that were 200 */
  uint32_t max_answers;
  uint64_t seed;                                            /* unguessable */
  uint64_t challenged, wrong, malformed, refused, repeated; /* as in NetSipServerStats */
} NetSipContext;

typedef struct {
  NetSipContext *context;
  struct NetSipServer *server;
  nta_agent_t *agent; /* that it came to */
  msg_t *message;     /* taken by the answer */
  sip_t *sip;
  PeerAddress from;
  int64_t now;  /* us */
  uint64_t key; /* what it is known by, should it come again */
  bool repeated;
  const char *user;       /* who was shown to make it, or NULL */
  nta_incoming_t *invite; /* where it is a transaction of the stack */
} NetSipCall;

/* Fills out. false = there is nothing to answer: the message is the caller's still. */
bool net_sip_call_begin (NetSipContext *context, nta_agent_t *agent, msg_t *message, sip_t *sip,
                         NetSipCall *out);
/* What RFC 3261, 8.2.1 to 8.2.3, ask of each. false = it has been answered. */
bool net_sip_call_inspect (NetSipCall *call);
/* Sets user, where there are accounts. false = it has been answered. */
bool net_sip_call_authenticate (NetSipCall *call);
bool net_sip_call_is_stream (const NetSipCall *call);

/* headers: lines, each with its '\n'; or NULL. */
void net_sip_call_reply (NetSipCall *call, int status, const char *phrase, const char *headers);
void net_sip_call_reply_unavailable (NetSipCall *call);
/* RFC 7846's errors (section 4.3) as SIP's. */
void net_sip_call_reply_error (NetSipCall *call, TrackerStatus status);
/* It was carried out; should it come again, it shall not be. */
void net_sip_call_remember (NetSipCall *call);
