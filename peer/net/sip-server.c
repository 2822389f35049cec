/* SPDX-License-Identifier: Apache-2.0 */
/*   REGISTER -- who is it? --> NetSipPeer --CONNECT without a swarm--> registry
 *   INVITE  --> NetSipDialog --CONNECT, JOIN--> registry ...200... ACK, or no ACK: LEAVE
 *   INFO    --> by its dialog: FIND or STAT_REPORT
 *   BYE     --> by its dialog: CONNECT, LEAVE
 *
 * Only an INVITE is a transaction of sofia-sip, since its 200 is to be sent again until the ACK is there
 * (RFC 3261, 13.3.1.4). All others are answered at once and without a state in the stack (8.2.7), which would cost
 * ten kilobytes for 32 seconds each; of those that were carried out a number of eight bytes is kept
 * for as long, so that one which comes again is not carried out again. A dialog is ours, too: found by a tag
 * that nobody can guess, and bound to the IP from which its peer has registered. */
#define NTA_AGENT_MAGIC_T struct NetSipServer
#define NTA_INCOMING_MAGIC_T struct Pending
#include "peer/net/sip-server.h"

#include "peer/net/listener.h"
#include "peer/net/random.h"
#include "peer/net/sip-call.h"
#include "peer/net/sip-connections.h"
#include "peer/net/sip-peers.h"
#include "peer/random.h"
#include "peer/tracker/hash.h"
#include "peer/tracker/headers.h"

#include <string.h>

#define ANSWER_TIME (32 * (int64_t)G_USEC_PER_SEC) /* 64 * T1 (RFC 3261, 17.2.2: timer J) */
#define MAX_ADDRESSES 8
#define MAX_CONTACT 256
#define UDP_LIST 1000 /* bytes of PPSP-Peer in a datagram, which is not to be cut on its way */
#define STREAM_LIST 40000
#define RECV_INFO "Recv-Info: " NET_SIP_FIND ", " NET_SIP_STAT "\n"
#define CAPABILITIES "Allow: " NET_SIP_ALLOW "\nSupported: " NET_SIP_OPTION "\n" RECV_INFO

struct Pending {
  NetSipServer *server;
  nta_agent_t *agent;
  nta_incoming_t *invite;
  char tag[33];
  GList link;
};

struct NetSipServer {
  NetSipServerOptions options;
  NetSipContext context;
  nta_agent_t
      *agents[2]; /* in the clear, and by TLS, which is closed for another certificate; or NULL */
  PeerAddress secure; /* of the second */
  char *folder;       /* of the certificate to come; NULL = none */
  NetSipPeers *peers;
  NetSipConnections *connections;
  GQueue pending;
  guint tick;
  NetSipServerStats stats;
};

/* --- requests of RFC 7846 --------------------------------------------------------------------------- */

static TrackerRequest *
request_new (const NetSipCall *call, TrackerRequestType type, const NetSipPeer *peer)
{
  char transaction[20];
  g_snprintf (transaction, sizeof transaction, "%016" G_GINT64_MODIFIER "x", (guint64)call->key);
  TrackerRequest *request = tracker_request_new (type, transaction, peer->id);
  request->account = g_strdup (peer->account);
  return request;
}

static TrackerResponse *
ask (NetSipServer *self, const TrackerRequest *request, const PeerAddress *from)
{
  return self->options.answer (self->options.data, request, from);
}

/* What an INVITE says. */
typedef struct {
  TrackerMode mode;
  bool certificates;
  TrackerPeerNum num;
  TrackerCondition condition;
  TrackerSwarm wanted; /* its chunks alone */
} Invitation;

/* CONNECT of one action: JOIN as in the invitation, or, NULL, LEAVE. The caller frees. */
static TrackerResponse *
ask_action (NetSipCall *call, const NetSipDialog *dialog, Invitation *invitation)
{
  NetSipPeer *peer = dialog->peer;
  g_autoptr (TrackerRequest) request = request_new (call, TRACKER_REQUEST_CONNECT, peer);
  TrackerSwarm *swarm = tracker_request_add_swarm (request, dialog->swarm_id);
  swarm->action = invitation != NULL ? TRACKER_ACTION_JOIN : TRACKER_ACTION_LEAVE;
  swarm->mode = dialog->mode;
  if (invitation != NULL) {
    g_array_append_vals (request->addresses, peer->addresses->data, peer->addresses->len);
    request->peer_num = invitation->num;
    request->certificates = invitation->certificates;
    request->condition = invitation->condition;
    swarm->chunks = g_steal_pointer (&invitation->wanted.chunks);
  }
  return ask (call->server, request, &call->from);
}

/* An action of which nothing has come from the peer. */
static TrackerResponse *
ask_unasked (NetSipServer *self, const NetSipDialog *dialog, Invitation *invitation)
{
  uint64_t id = peer_random_u64 (net_random, NULL);
  NetSipCall call = {
      .server = self, .context = &self->context, .key = id, .from = dialog->peer->source};
  return ask_action (&call, dialog, invitation);
}

/* Its membership ends in the registry, too. */
static void
end_dialog (NetSipServer *self, NetSipDialog *dialog)
{
  tracker_response_free (ask_unasked (self, dialog, NULL));
  net_sip_peers_leave (self->peers, dialog);
}

static void
end_peer (NetSipServer *self, NetSipPeer *peer)
{
  while (peer->dialogs->len > 0)
    end_dialog (self, g_ptr_array_index (peer->dialogs, peer->dialogs->len - 1));
  net_sip_peers_remove (self->peers, peer);
}

/* As many peers as there is room for. The registry's list begins with seeders and ends with those who were drawn
 * by chance: what is left out is left out evenly. */
static void
put_peers (const GPtrArray *peers, gsize room, GString *out)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  gsize sum = 0;
  for (guint i = 0; i < peers->len; i++) {
    g_autofree char *peer = tracker_headers_write_peer (g_ptr_array_index (peers, i));
    char *line = g_strdup_printf (TRACKER_HEADER_PEER ": %s\n", peer);
    g_ptr_array_add (lines, line);
    sum += strlen (line);
  }
  gsize n = sum > room ? MAX (1, lines->len * room / sum) : lines->len, start = out->len;
  for (gsize i = 0; i < n; i++) {
    const char *line = g_ptr_array_index (lines, i * lines->len / n);
    if (i == 0 || out->len - start + strlen (line) <= room)
      g_string_append (out, line);
  }
}

static void
put_result (const NetSipCall *call, const TrackerResponse *response, GString *out)
{
  gsize room = net_sip_call_is_stream (call) ? STREAM_LIST : UDP_LIST;
  if (response->seen_as.address.port != 0) {
    g_autofree char *seen = tracker_headers_write_address (&response->seen_as);
    g_string_append_printf (out, TRACKER_HEADER_ADDRESS ": %s\n", seen);
  }
  if (response->results->len == 0)
    return;
  const TrackerResult *result = g_ptr_array_index (response->results, 0);
  if (result->certificate != NULL) {
    g_autofree char *text = tracker_certificate_write (result->certificate);
    g_string_append_printf (out, TRACKER_HEADER_CERTIFICATE ": %s\n", text);
  }
  if (result->peers != NULL)
    put_peers (result->peers, room, out);
}

static bool
result_failed (const TrackerResponse *response)
{
  if (response->results->len == 0)
    return false;
  return ((const TrackerResult *)g_ptr_array_index (response->results, 0))->failed;
}

/* false = it is there and cannot be read. */
static bool
read_peer_num (const NetSipCall *call, TrackerPeerNum *out)
{
  const char *text = net_sip_header (call->sip, TRACKER_HEADER_PEER_NUM);
  *out = (TrackerPeerNum){.said = false};
  return text == NULL || tracker_headers_read_peer_num (text, out);
}

static bool
read_condition (const NetSipCall *call, TrackerCondition *out)
{
  const char *text = net_sip_header (call->sip, TRACKER_HEADER_CONDITION);
  *out = (TrackerCondition){.said = false};
  return text == NULL || tracker_headers_read_condition (text, out);
}

static bool
take_chunks (const char *text, gpointer swarm)
{
  return tracker_headers_read_chunks (text, swarm);
}

static bool
read_chunks (const NetSipCall *call, TrackerSwarm *out)
{
  return net_sip_read_list (call->sip, TRACKER_HEADER_CHUNKS, take_chunks, out);
}

/* --- REGISTER: CONNECT, KEEPALIVE, DISCONNECT -------------------------------------------------------- */

/* The peer ID: the user of the address of record. NULL = it is none. */
static char *
peer_id_of (const sip_addr_t *address)
{
  return tracker_headers_read_id (address->a_url->url_user, TRACKER_MAX_ID);
}

/* RFC 3261, 10.3, step 6; -1 = "*" or an Expires that do not fit. 0 = DISCONNECT. */
static int64_t
wanted_expires (const sip_t *sip)
{
  const sip_contact_t *contact = sip->sip_contact;
  int64_t seconds = sip->sip_expires != NULL ? (int64_t)sip->sip_expires->ex_delta : -1;
  if (contact->m_url->url_type == url_any)
    return contact->m_next == NULL && seconds == 0 ? 0 : -1;
  guint64 said = NET_SIP_MAX_EXPIRES; /* what is no number stands for an hour (10.2) */
  if (contact->m_expires != NULL) {
    g_ascii_string_to_unsigned (contact->m_expires, 10, 0, G_MAXUINT32, &said, NULL);
    seconds = (int64_t)said;
  }
  return seconds < 0 ? NET_SIP_MAX_EXPIRES : MIN (seconds, NET_SIP_MAX_EXPIRES);
}

static void
reply_registered (NetSipCall *call, const NetSipPeer *peer, const TrackerResponse *response)
{
  g_autoptr (GString) headers = g_string_new ("Supported: " NET_SIP_OPTION "\n");
  int64_t left = (peer->expires - call->now) / G_USEC_PER_SEC;
  if (peer->contact != NULL)
    g_string_append_printf (headers, "Contact: <%s>;expires=%" G_GINT64_FORMAT "\n", peer->contact,
                            MAX (left, 0));
  if (response != NULL)
    put_result (call, response, headers);
  net_sip_call_reply (call, SIP_200_OK, headers->str);
}

static bool
take_address (const char *text, gpointer out)
{
  GArray *addresses = out;
  TrackerAddress address;
  if (addresses->len >= MAX_ADDRESSES || !tracker_headers_read_address (text, &address))
    return false;
  g_array_append_val (addresses, address);
  return true;
}

static bool
take_registration (NetSipCall *call, NetSipPeer *peer, int64_t seconds)
{
  const sip_t *sip = call->sip;
  g_autoptr (GArray) addresses = g_array_new (FALSE, FALSE, sizeof (TrackerAddress));
  char *contact = url_as_string (msg_home (call->message), sip->sip_contact->m_url);
  if (contact == NULL || strlen (contact) > MAX_CONTACT ||
      !net_sip_read_list (call->sip, TRACKER_HEADER_ADDRESS, take_address, addresses))
    return false;
  if (addresses->len > 0) {
    g_array_unref (peer->addresses);
    peer->addresses = g_steal_pointer (&addresses);
  }
  g_free (peer->contact);
  peer->contact = g_strdup (contact);
  g_free (peer->call_id);
  peer->call_id = g_strdup (sip->sip_call_id->i_id);
  peer->cseq = sip->sip_cseq->cs_seq;
  peer->source = call->from;
  if (call->user != NULL && g_strcmp0 (peer->account, call->user) != 0) {
    g_free (peer->account);
    peer->account = g_strdup (call->user);
  }
  net_sip_peers_prolong (call->server->peers, peer, (unsigned)seconds, call->now);
  return true;
}

/* Tells the registry, which may say no. */
static void
connect_peer (NetSipCall *call, NetSipPeer *peer, bool is_new)
{
  NetSipServer *self = call->server;
  g_autoptr (TrackerRequest) request = request_new (call, TRACKER_REQUEST_CONNECT, peer);
  g_array_append_vals (request->addresses, peer->addresses->data, peer->addresses->len);
  g_autoptr (TrackerResponse) response = ask (self, request, &call->from);
  if (response->status != TRACKER_STATUS_OK) {
    if (is_new)
      net_sip_peers_remove (self->peers, peer);
    net_sip_call_reply_error (call, response->status);
    return;
  }
  net_sip_call_remember (call);
  reply_registered (call, peer, response);
}

/* One that comes again may be late: the peer that is there has come after it. */
static void
disconnect_peer (NetSipCall *call, NetSipPeer *peer)
{
  if (peer != NULL && !call->repeated)
    end_peer (call->server, peer);
  net_sip_call_remember (call);
  net_sip_call_reply (call, SIP_200_OK, NULL);
}

static void
register_peer (NetSipCall *call, const char *id)
{
  NetSipServer *self = call->server;
  const sip_t *sip = call->sip;
  NetSipPeer *peer = net_sip_peers_find (self->peers, id, &call->from);
  if (peer != NULL && call->user != NULL && g_strcmp0 (peer->account, call->user) != 0) {
    net_sip_call_reply (call, SIP_403_FORBIDDEN, NULL);
    return;
  }
  /* 10.3, step 7: a request that was overtaken by a later one. */
  if (peer != NULL && !call->repeated && strcmp (peer->call_id, sip->sip_call_id->i_id) == 0 &&
      sip->sip_cseq->cs_seq <= peer->cseq) {
    net_sip_call_reply (call, 500, "CSeq Out Of Order", NULL);
    return;
  }
  int64_t seconds = sip->sip_contact != NULL ? wanted_expires (sip) : -1;
  if (sip->sip_contact == NULL || (call->repeated && seconds != 0)) {
    if (peer != NULL)
      reply_registered (call, peer, NULL);
    else
      net_sip_call_reply (call, SIP_404_NOT_FOUND, NULL);
  } else if (seconds == 0) {
    disconnect_peer (call, peer);
  } else if (seconds < 0) {
    net_sip_call_reply (call, SIP_400_BAD_REQUEST, NULL);
  } else if (seconds < NET_SIP_MIN_EXPIRES) {
    net_sip_call_reply (call, SIP_423_INTERVAL_TOO_BRIEF,
                        "Min-Expires: " G_STRINGIFY (NET_SIP_MIN_EXPIRES) "\n");
  } else {
    bool is_new = peer == NULL;
    if (is_new && (peer = net_sip_peers_add (self->peers, id, &call->from)) == NULL) {
      net_sip_call_reply_unavailable (call);
      return;
    }
    if (take_registration (call, peer, seconds)) {
      connect_peer (call, peer, is_new);
      return;
    }
    if (is_new)
      net_sip_peers_remove (self->peers, peer);
    net_sip_call_reply (call, SIP_400_BAD_REQUEST, NULL);
  }
}

static void
on_register (NetSipCall *call)
{
  const sip_t *sip = call->sip;
  call->server->stats.registers++;
  if (!net_sip_call_authenticate (call))
    return;
  g_autofree char *id = peer_id_of (sip->sip_to);
  g_autofree char *from = peer_id_of (sip->sip_from);
  if (id == NULL)
    net_sip_call_reply (call, SIP_404_NOT_FOUND, NULL);
  else if (g_strcmp0 (id, from) != 0) /* nobody registers another */
    net_sip_call_reply (call, SIP_403_FORBIDDEN, NULL);
  else
    register_peer (call, id);
}

/* --- INVITE: JOIN ------------------------------------------------------------------------------------ */

static void
pending_free (struct Pending *pending)
{
  g_queue_unlink (&pending->server->pending, &pending->link);
  g_free (pending);
}

/* The ACK is there; or, sip NULL, it did not come in time. RFC 3261 wants a BYE to be sent then (13.3.1.4): to
 * somebody who does not answer, and may never have asked; we only undo the join. */
static int
on_acknowledged (struct Pending *pending, nta_incoming_t *irq, const sip_t *sip)
{
  NetSipServer *self = pending->server;
  NetSipDialog *dialog = net_sip_peers_dialog (self->peers, pending->tag);
  if (sip != NULL && sip->sip_request->rq_method != sip_method_ack)
    return 0; /* a CANCEL comes too late for what has been answered */
  if (dialog != NULL && dialog->invite == irq)
    dialog->invite = NULL;
  if (sip == NULL && dialog != NULL) {
    self->stats.unconfirmed++;
    end_dialog (self, dialog);
  }
  nta_incoming_destroy (irq);
  pending_free (pending);
  return 0;
}

static void
reply_joined (NetSipCall *call, NetSipDialog *dialog, const TrackerResponse *response)
{
  NetSipServer *self = call->server;
  const url_t *url = call->sip->sip_request->rq_url;
  g_autoptr (GString) headers = g_string_new (CAPABILITIES);
  /* Where the peer has found us, it will find us again. */
  bool tls = g_ascii_strcasecmp (call->sip->sip_via->v_protocol, "SIP/2.0/TLS") == 0;
  g_string_append_printf (headers, "Contact: <%s:%s%s%s%s>\n", tls ? "sips" : "sip", url->url_host,
                          url->url_port != NULL ? ":" : "",
                          url->url_port != NULL ? url->url_port : "",
                          net_sip_call_is_stream (call) && !tls ? ";transport=tcp" : "");
  put_result (call, response, headers);
  struct Pending *pending = g_new0 (struct Pending, 1);
  pending->server = self;
  pending->agent = call->agent;
  pending->invite = call->invite;
  pending->link.data = pending;
  g_strlcpy (pending->tag, dialog->tag, sizeof pending->tag);
  g_queue_push_tail_link (&self->pending, &pending->link);
  dialog->invite = call->invite;
  nta_incoming_bind (call->invite, on_acknowledged, pending);
  net_sip_call_reply (call, SIP_200_OK, headers->str);
}

/* From here on it is a transaction. false = it could not be made one. */
static bool
begin_invite (NetSipCall *call, const char *tag)
{
  usize_t used = 0, other = 0;
  nta_agent_get_stats (call->server->agents[0], NTATAG_S_IRQ_HASH_USED_REF (used), TAG_END ());
  if (call->server->agents[1] != NULL)
    nta_agent_get_stats (call->server->agents[1], NTATAG_S_IRQ_HASH_USED_REF (other), TAG_END ());
  if (used + other >= call->server->options.max_invites) {
    net_sip_call_reply_unavailable (call);
    return false;
  }
  call->invite = nta_incoming_create (call->agent, NULL, call->message, call->sip, TAG_END ());
  if (call->invite == NULL) {
    call->message = NULL; /* freed there */
    return false;
  }
  call->message = NULL;
  if (tag != NULL)
    nta_incoming_tag (call->invite, tag);
  return true;
}

static void
join_swarm (NetSipCall *call, NetSipDialog *dialog, bool is_new, Invitation *invitation)
{
  g_autoptr (TrackerResponse) response = ask_action (call, dialog, invitation);
  if (is_new && dialog->mode == TRACKER_MODE_SEEDER &&
      response->status == TRACKER_STATUS_FORBIDDEN) {
    /* A seeder joins but once (RFC 7846, Table 6); a membership without a dialog is what a store has kept of it, from
     * before a restart, and would live as long as it registers. */
    tracker_response_free (ask_unasked (call->server, dialog, NULL));
    tracker_response_free (response);
    response = ask_unasked (call->server, dialog, invitation);
  }
  if (response->status == TRACKER_STATUS_OK && !result_failed (response)) {
    reply_joined (call, dialog, response);
    return;
  }
  if (is_new)
    net_sip_peers_leave (call->server->peers, dialog);
  net_sip_call_reply_error (call, response->status);
  nta_incoming_destroy (call->invite);
}

/* A dialog of the same swarm is of an earlier life of that peer. */
static void
end_same_swarm (NetSipServer *self, NetSipPeer *peer, const char *swarm_id)
{
  for (guint i = 0; i < peer->dialogs->len; i++) {
    NetSipDialog *dialog = g_ptr_array_index (peer->dialogs, i);
    if (strcmp (dialog->swarm_id, swarm_id) == 0) {
      end_dialog (self, dialog);
      return;
    }
  }
}

static void
join_anew (NetSipCall *call, NetSipPeer *peer, const char *swarm_id, Invitation *invitation)
{
  char tag[33];
  NetSipServer *self = call->server;
  g_snprintf (tag, sizeof tag, "%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x",
              (guint64)peer_random_u64 (net_random, NULL),
              (guint64)peer_random_u64 (net_random, NULL));
  if (!begin_invite (call, tag))
    return;
  end_same_swarm (self, peer, swarm_id);
  NetSipDialog *dialog = net_sip_peers_join (self->peers, peer, tag, call->sip->sip_call_id->i_id,
                                             call->sip->sip_from->a_tag, swarm_id);
  if (dialog == NULL) {
    net_sip_call_reply_unavailable (call);
    nta_incoming_destroy (call->invite);
    return;
  }
  dialog->mode = invitation->mode;
  dialog->cseq = call->sip->sip_cseq->cs_seq;
  join_swarm (call, dialog, true, invitation);
}

/* A dialog's request must come from its peer: the same tags and Call-ID, the same IP, in order (12.2.2). NULL = it
 * has been answered. */
static NetSipDialog *
dialog_of (NetSipCall *call)
{
  const sip_t *sip = call->sip;
  const char *tag = sip->sip_to->a_tag;
  NetSipDialog *dialog = tag != NULL ? net_sip_peers_dialog (call->server->peers, tag) : NULL;
  PeerAddress from = call->from;
  from.port = 0;
  if (dialog == NULL || strcmp (dialog->call_id, sip->sip_call_id->i_id) != 0 ||
      g_strcmp0 (dialog->remote_tag, sip->sip_from->a_tag) != 0 ||
      !peer_address_equal (&from, &dialog->peer->from)) {
    net_sip_call_reply (call, SIP_481_NO_CALL, NULL);
    return NULL;
  }
  if (call->repeated)
    return dialog;
  if (sip->sip_cseq->cs_seq <= dialog->cseq) {
    net_sip_call_reply (call, 500, "CSeq Out Of Order", NULL);
    return NULL;
  }
  dialog->cseq = sip->sip_cseq->cs_seq;
  return dialog;
}

/* Who has registered from here, and shows who it is; or comes by the way by which it has shown it. NULL = it has been
 * answered. */
static NetSipPeer *
inviting_peer (NetSipCall *call)
{
  g_autofree char *id = peer_id_of (call->sip->sip_from);
  NetSipPeer *peer = id != NULL ? net_sip_peers_find (call->server->peers, id, &call->from) : NULL;
  bool same_way = peer != NULL && peer_address_equal (&peer->source, &call->from);
  if ((!same_way || call->sip->sip_authorization != NULL) && !net_sip_call_authenticate (call))
    return NULL;
  if (peer == NULL || (call->user != NULL && g_strcmp0 (call->user, peer->account) != 0)) {
    net_sip_call_reply (call, SIP_403_FORBIDDEN, NULL);
    return NULL;
  }
  return peer;
}

static bool
read_invitation (const NetSipCall *call, Invitation *out)
{
  const char *text = net_sip_header (call->sip, TRACKER_HEADER_SWARM);
  /* what the draft's INVITE, which says nothing, can be */
  *out = (Invitation){.mode = TRACKER_MODE_LEECH};
  return (text == NULL || tracker_headers_read_swarm (text, &out->mode, &out->certificates)) &&
         read_peer_num (call, &out->num) && read_condition (call, &out->condition) &&
         read_chunks (call, &out->wanted);
}

static void
invite (NetSipCall *call, Invitation *invitation)
{
  const sip_t *sip = call->sip;
  if (sip->sip_to->a_tag != NULL) {
    NetSipDialog *dialog = dialog_of (call);
    if (dialog == NULL)
      return;
    if (dialog->invite != NULL) /* RFC 3261, 14.2 */
      net_sip_call_reply (call, SIP_491_REQUEST_PENDING, NULL);
    else if (invitation->mode != dialog->mode || invitation->mode == TRACKER_MODE_SEEDER)
      net_sip_call_reply (call, SIP_488_NOT_ACCEPTABLE, NULL); /* all stays as it is */
    else if (begin_invite (call, NULL))
      join_swarm (call, dialog, false, invitation);
    return;
  }
  NetSipPeer *peer = inviting_peer (call);
  if (peer == NULL)
    return;
  g_autofree char *swarm_id =
      tracker_headers_read_id (sip->sip_request->rq_url->url_user, TRACKER_MAX_SWARM_ID);
  if (swarm_id == NULL)
    net_sip_call_reply (call, SIP_404_NOT_FOUND, NULL);
  else
    join_anew (call, peer, swarm_id, invitation);
}

static void
on_invite (NetSipCall *call)
{
  Invitation invitation;
  call->server->stats.invites++;
  if (read_invitation (call, &invitation) && call->sip->sip_from->a_tag != NULL &&
      call->sip->sip_contact != NULL)
    invite (call, &invitation);
  else
    net_sip_call_reply (call, SIP_400_BAD_REQUEST, NULL);
  g_clear_pointer (&invitation.wanted.chunks, g_array_unref);
}

/* --- INFO: FIND, STAT_REPORT; BYE: LEAVE --------------------------------------------------------------- */

/* The registry does not know this membership any more: then there is no dialog either (RFC 5057, 5.1). */
static void
reply_ended (NetSipCall *call, NetSipDialog *dialog, TrackerStatus status)
{
  if (status == TRACKER_STATUS_FORBIDDEN) {
    net_sip_peers_leave (call->server->peers, dialog);
    net_sip_call_reply (call, SIP_481_NO_CALL, NULL);
  } else {
    net_sip_call_reply_error (call, status);
  }
}

static void
in_dialog (NetSipCall *call, NetSipDialog *dialog, const TrackerRequest *request)
{
  g_autoptr (TrackerResponse) response = ask (call->server, request, &call->from);
  if (response->status != TRACKER_STATUS_OK) {
    reply_ended (call, dialog, response->status);
    return;
  }
  g_autoptr (GString) headers = g_string_new (NULL);
  put_result (call, response, headers);
  net_sip_call_remember (call);
  net_sip_call_reply (call, SIP_200_OK, headers->len > 0 ? headers->str : NULL);
}

static bool
certificates_wanted (const NetSipCall *call)
{
  TrackerMode mode;
  bool wanted = false;
  const char *text = net_sip_header (call->sip, TRACKER_HEADER_SWARM);
  return text != NULL && tracker_headers_read_swarm (text, &mode, &wanted) && wanted;
}

static void
find_peers (NetSipCall *call, NetSipDialog *dialog)
{
  g_autoptr (TrackerRequest) request = request_new (call, TRACKER_REQUEST_FIND, dialog->peer);
  TrackerSwarm *swarm = tracker_request_add_swarm (request, dialog->swarm_id);
  request->certificates = certificates_wanted (call);
  if (read_peer_num (call, &request->peer_num) && read_chunks (call, swarm))
    in_dialog (call, dialog, request);
  else
    net_sip_call_reply (call, SIP_400_BAD_REQUEST, NULL);
}

static void
report (NetSipCall *call, NetSipDialog *dialog)
{
  g_autoptr (TrackerRequest) request =
      request_new (call, TRACKER_REQUEST_STAT_REPORT, dialog->peer);
  const char *text = net_sip_header (call->sip, TRACKER_HEADER_STAT);
  TrackerSwarm *swarm = tracker_request_add_swarm (request, dialog->swarm_id);
  request->certificates = certificates_wanted (call);
  if (text != NULL && tracker_headers_read_stat (text, swarm) && read_chunks (call, swarm) &&
      read_condition (call, &request->condition))
    in_dialog (call, dialog, request);
  else
    net_sip_call_reply (call, SIP_400_BAD_REQUEST, NULL);
}

static void
on_info (NetSipCall *call)
{
  call->server->stats.infos++;
  const char *package = net_sip_header (call->sip, "Info-Package");
  NetSipDialog *dialog = dialog_of (call);
  if (dialog == NULL)
    return;
  /* Without a package it is the draft's own INFO (its Figure 6). */
  if (package == NULL || g_ascii_strcasecmp (package, NET_SIP_FIND) == 0)
    find_peers (call, dialog);
  else if (g_ascii_strcasecmp (package, NET_SIP_STAT) == 0)
    report (call, dialog);
  else
    net_sip_call_reply (call, 469, "Bad Info Package", RECV_INFO); /* RFC 6086, 4.2.2 */
}

static void
on_bye (NetSipCall *call)
{
  call->server->stats.byes++;
  if (call->repeated) {
    net_sip_call_reply (call, SIP_200_OK, NULL);
    return;
  }
  NetSipDialog *dialog = dialog_of (call);
  if (dialog == NULL)
    return;
  end_dialog (call->server, dialog);
  net_sip_call_remember (call);
  net_sip_call_reply (call, SIP_200_OK, NULL);
}

/* --- all requests -------------------------------------------------------------------------------------- */

static void
on_options (NetSipCall *call)
{
  call->server->stats.options++;
  net_sip_call_reply (call, SIP_200_OK, CAPABILITIES "Accept: application/sdp\n");
}

static void
dispatch (NetSipCall *call)
{
  switch ((int)call->sip->sip_request->rq_method) {
  case sip_method_register:
    on_register (call);
    return;
  case sip_method_invite:
    on_invite (call);
    return;
  case sip_method_options:
    on_options (call);
    return;
  case sip_method_cancel: /* of no INVITE that we know */
    call->server->stats.others++;
    net_sip_call_reply (call, SIP_481_NO_TRANSACTION, NULL);
    return;
  case sip_method_info:
    on_info (call);
    return;
  case sip_method_bye:
    on_bye (call);
    return;
  case sip_method_unknown:
    call->server->stats.others++;
    net_sip_call_reply (call, SIP_501_NOT_IMPLEMENTED, "Allow: " NET_SIP_ALLOW "\n");
    return;
  default:
    call->server->stats.others++;
    net_sip_call_reply (call, SIP_405_METHOD_NOT_ALLOWED, "Allow: " NET_SIP_ALLOW "\n");
    return;
  }
}

static int
on_message (NetSipServer *self, nta_agent_t *agent, msg_t *message, sip_t *sip)
{
  NetSipCall call;
  if (!net_sip_call_begin (&self->context, agent, message, sip, &call)) {
    nta_msg_discard (agent, message);
    return 0;
  }
  call.server = self;
  uint64_t wrong = self->context.wrong;
  if (self->options.admit != NULL && !self->options.admit (self->options.data, &call.from)) {
    net_sip_call_reply_unavailable (&call);
    return 0;
  }
  if (net_sip_call_inspect (&call))
    dispatch (&call);
  if (call.message != NULL)
    nta_msg_discard (agent, call.message);
  if (self->context.wrong > wrong && self->options.wrong != NULL)
    self->options.wrong (self->options.data, &call.from);
  return 0;
}

/* --- the server ---------------------------------------------------------------------------------------- */

static gboolean
on_tick (gpointer data)
{
  NetSipServer *self = data;
  int64_t now = g_get_monotonic_time ();
  NetSipPeer *peer;
  while ((peer = net_sip_peers_expired (self->peers, now)) != NULL)
    end_peer (self, peer);
  tracker_transactions_expire (self->context.answers, ANSWER_TIME, now, self->context.max_answers);
  self->stats.closed += net_sip_connections_sweep (self->connections);
  return G_SOURCE_CONTINUE;
}

static uint32_t
or_default (uint32_t value, uint32_t otherwise)
{
  return value != 0 ? value : otherwise;
}

static nta_agent_t *
agent_new (NetSipServer *self)
{
  return nta_agent_create (net_sip_root (), NET_SIP_NOWHERE, on_message, self, NTATAG_UA (1),
                           NTATAG_MAXSIZE (NET_SIP_MAX_MESSAGE), NTATAG_SERVER_RPORT (1),
                           TAG_END ());
}

NetSipServer *
net_sip_server_new (const NetSipServerOptions *options)
{
  NetSipServer *self = g_new0 (NetSipServer, 1);
  NetSipPeersLimits limits = {.max_peers = or_default (options->max_peers, 100000),
                              .max_peers_per_ip = or_default (options->max_peers_per_ip, 256),
                              .max_swarms = or_default (options->max_swarms, 64)};
  self->options = *options;
  self->options.max_invites = or_default (options->max_invites, 4096);
  self->options.idle_timeout = or_default (options->idle_timeout, 300);
  self->peers = net_sip_peers_new (&limits);
  self->context.digest = options->digest;
  self->context.lock = options->lock;
  self->context.max_answers = or_default (options->max_answers, 131072);
  self->context.seed = peer_random_u64 (net_random, NULL);
  self->context.answers = tracker_transactions_new (self->context.seed);
  self->connections = net_sip_connections_new (or_default (options->max_connections, 1024));
  self->agents[0] = agent_new (self);
  self->tick = g_timeout_add_seconds (1, on_tick, self);
  return self;
}

void
net_sip_server_free (NetSipServer *self)
{
  g_source_remove (self->tick);
  while (self->pending.head != NULL)
    pending_free (self->pending.head->data);
  for (unsigned i = 0; i < G_N_ELEMENTS (self->agents); i++)
    g_clear_pointer (&self->agents[i], nta_agent_destroy);
  g_clear_pointer (&self->folder, net_sip_folder_free);
  net_sip_connections_free (self->connections);
  tracker_transactions_free (self->context.answers);
  net_sip_peers_free (self->peers);
  g_free (self);
}

/* The port that the newest transport has got. */
static uint16_t
bound_port (nta_agent_t *agent)
{
  uint16_t port = 0;
  for (tport_t *tport = tport_primaries (nta_agent_tports (agent)); tport != NULL;
       tport = tport_next (tport))
    port = (uint16_t)g_ascii_strtoull (tport_name (tport)->tpn_port, NULL, 10);
  return port;
}

/* folder: of the certificate, by TLS; else NULL. */
static bool
bind_to (NetSipServer *self, nta_agent_t *agent, const PeerAddress *address, const char *folder,
         GError **error)
{
  unsigned idle = self->options.idle_timeout * 1000;
  g_autofree char *url = net_sip_url (folder != NULL ? "sips" : "sip", address, "");
  errno = 0;
  int result = nta_agent_add_tport (
      agent, URL_STRING_MAKE (url), TPTAG_IDLE (idle), TPTAG_TIMEOUT (10000), TPTAG_QUEUESIZE (64),
      TAG_IF (folder, TPTAG_CERTIFICATE (folder)), TPTAG_TLS_VERSION (0),
      TPTAG_TLS_VERIFY_POLICY (TPTLS_VERIFY_NONE), TAG_END ());
  int problem = errno;
  if (result == 0)
    return true;
  g_autoptr (GError) failure =
      g_error_new_literal (G_IO_ERROR, g_io_error_from_errno (problem), g_strerror (problem));
  g_set_error (error, G_IO_ERROR, failure->code, "cannot listen for SIP at %s: %s (%s)", url,
               problem != 0 ? failure->message : "the certificate cannot be used",
               problem != 0 ? net_listener_advice (failure) : "see --tls-cert and --tls-key");
  return false;
}

bool
net_sip_server_load_certificate (NetSipServer *self, GError **error)
{
  PeerAddress anywhere = {.port = 0};
  const uint8_t loopback[] = {127, 0, 0, 1};
  peer_address_set_ip (&anywhere, loopback, sizeof loopback);
  g_clear_pointer (&self->folder, net_sip_folder_free);
  self->folder = net_sip_folder_new (self->options.certificate, self->options.key,
                                     self->options.certificate, error);
  if (self->folder == NULL)
    return false;
  nta_agent_t *trial = agent_new (self);
  bool good = bind_to (self, trial, &anywhere, self->folder, error);
  nta_agent_destroy (trial);
  if (!good)
    g_clear_pointer (&self->folder, net_sip_folder_free);
  return good;
}

/* What has no ACK yet has lost its way for it. */
static void
close_secure (NetSipServer *self)
{
  usize_t bad = 0;
  for (GList *l = self->pending.head, *next; l != NULL; l = next) {
    struct Pending *pending = l->data;
    next = l->next;
    if (pending->agent == self->agents[1])
      on_acknowledged (pending, pending->invite, NULL);
  }
  nta_agent_get_stats (self->agents[1], NTATAG_S_BAD_MESSAGE_REF (bad), TAG_END ());
  self->context.malformed += bad;
  nta_agent_destroy (self->agents[1]);
}

void
net_sip_server_use_certificate (NetSipServer *self)
{
  g_autoptr (GError) error = NULL;
  if (self->folder == NULL || self->agents[1] == NULL)
    return;
  close_secure (self);
  self->agents[1] = agent_new (self);
  if (!bind_to (self, self->agents[1], &self->secure, self->folder, &error))
    g_warning ("%s: there is no SIP over TLS until the next reload", error->message);
  g_clear_pointer (&self->folder, net_sip_folder_free);
}

void
net_sip_server_drop_certificate (NetSipServer *self)
{
  g_clear_pointer (&self->folder, net_sip_folder_free);
}

uint16_t
net_sip_server_listen (NetSipServer *self, const char *address, bool secure, GError **error)
{
  PeerAddress parsed;
  /* Port 0 is no address for the parser. */
  bool any = g_str_has_suffix (address, ":0");
  g_autofree char *text =
      any ? g_strdup_printf ("%.*s:1", (int)strlen (address) - 2, address) : g_strdup (address);
  if (!peer_address_parse (text, &parsed)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "'%s' is no address to listen at; expected ADDR:PORT, such as [::]:5060", address);
    return 0;
  }
  if (any)
    parsed.port = 0;
  if (secure && !net_sip_server_load_certificate (self, error))
    return 0;
  if (secure && self->agents[1] == NULL)
    self->agents[1] = agent_new (self);
  bool bound = bind_to (self, self->agents[secure], &parsed, self->folder, error);
  g_clear_pointer (&self->folder, net_sip_folder_free);
  if (!bound)
    return 0;
  uint16_t port = bound_port (self->agents[secure]);
  parsed.port = port;
  if (secure)
    self->secure = parsed;
  net_sip_connections_add_port (self->connections, port);
  return port;
}

void
net_sip_server_stats (NetSipServer *self, NetSipServerStats *out)
{
  usize_t bad = 0, other = 0;
  nta_agent_get_stats (self->agents[0], NTATAG_S_BAD_MESSAGE_REF (bad), TAG_END ());
  if (self->agents[1] != NULL)
    nta_agent_get_stats (self->agents[1], NTATAG_S_BAD_MESSAGE_REF (other), TAG_END ());
  *out = self->stats;
  out->challenged = self->context.challenged;
  out->wrong = self->context.wrong;
  out->malformed = self->context.malformed + bad + other;
  out->refused = self->context.refused;
  out->repeated = self->context.repeated;
  out->peers = net_sip_peers_count (self->peers);
  out->dialogs = net_sip_peers_dialogs (self->peers);
  out->pending = self->pending.length;
  out->connections = net_sip_connections_count (self->connections);
}
