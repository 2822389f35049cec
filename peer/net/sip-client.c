/* SPDX-License-Identifier: Apache-2.0 */
/* What a request needs is done step by step, each one transaction of SIP:
 *
 *   CONNECT, JOIN    REGISTER, unless that is fresh; INVITE (200, ACK): then there is a dialog
 *   FIND             INFO in the dialog
 *   STAT_REPORT      INFO in the dialog
 *   CONNECT, LEAVE   BYE; REGISTER with Expires: 0
 *
 * Between requests REGISTER is sent again in time (KEEPALIVE). What a tracker has forgotten, as it was restarted
 * or as we were silent, is an error 3 for the session, which then joins anew. */
#define NTA_OUTGOING_MAGIC_T struct NetSipClient
#define NTA_LEG_MAGIC_T struct NetSipClient
#include "peer/net/sip-client.h"

#include "peer/net/random.h"
#include "peer/net/sip-stack.h"
#include "peer/tracker/headers.h"

#include <string.h>

#define EXPIRES 180 /* s; what a tracker of ours grants at most */
#define MIN_REFRESH 10
#define MAX_CHALLENGES 3 /* of one request; a nonce may be too old twice, not for ever */
#define MAX_PEERS 200
#define MAX_EXPIRES 3600

typedef enum { STEP_NONE, STEP_REGISTER, STEP_INVITE, STEP_INFO, STEP_BYE, STEP_UNREGISTER } Step;

struct NetSipClient {
  char *host;
  bool secure, tcp;
  char *trust;
  NetSipClientFunc func;
  gpointer data;
  TrackerDigestClient *digest; /* NULL = no credentials */

  nta_agent_t *agent;
  PeerAddress local, remote; /* of the agent */
  char *route, *registrar, *contact;
  nta_leg_t *registration, *dialog;
  nta_outgoing_t *transaction;
  char call_id[33]; /* one for all registrations (RFC 3261, 10.2) */
  bool registered;
  unsigned expires; /* s, that we ask for */
  guint refresh;
  char *stat; /* header lines of the last report, for a tracker that asks; NULL = there was none */

  const TrackerRequest *request; /* under way; NULL = none */
  Step step;
  unsigned challenges;
  bool fresh; /* registered since this request began */

  /* Its end, which is told from the main loop: who hears it may free us. */
  guint telling;
  TrackerResponse *response; /* or NULL */
  int64_t retry_after;
  char *why;
};

/* --- the end of a request -------------------------------------------------------------------------- */

static gboolean
tell (gpointer data)
{
  NetSipClient *self = data;
  g_autoptr (TrackerResponse) response = g_steal_pointer (&self->response);
  g_autofree char *why = g_steal_pointer (&self->why);
  self->telling = 0;
  self->request = NULL;
  self->func (response, self->retry_after, why, self->data);
  return G_SOURCE_REMOVE;
}

/* Takes the response. */
static void
end (NetSipClient *self, TrackerResponse *response, int64_t retry_after, const char *why)
{
  self->step = STEP_NONE;
  if (self->request == NULL || self->telling != 0) {
    g_clear_pointer (&response, tracker_response_free);
    return;
  }
  self->response = response;
  self->retry_after = retry_after;
  self->why = g_strdup (why);
  self->telling = g_idle_add (tell, self);
}

static void
end_with (NetSipClient *self, TrackerStatus status, int64_t retry_after)
{
  if (self->request == NULL) {
    end (self, NULL, 0, NULL);
    return;
  }
  end (self, tracker_response_new (status, self->request->transaction_id), retry_after, NULL);
}

static void
drop_dialog (NetSipClient *self)
{
  g_clear_pointer (&self->dialog, nta_leg_destroy);
}

static void
forget_registration (NetSipClient *self)
{
  self->registered = false;
  g_clear_handle_id (&self->refresh, g_source_remove);
}

/* What a final answer means, in the words of RFC 7846 (section 4.3). false = nothing. */
static bool
status_of (int sip, TrackerStatus *out)
{
  static const struct {
    int sip;
    TrackerStatus status;
  } table[] = {
      {400, TRACKER_STATUS_BAD_REQUEST}, {401, TRACKER_STATUS_UNAUTHORIZED},
      {403, TRACKER_STATUS_FORBIDDEN},   {404, TRACKER_STATUS_FORBIDDEN},
      {480, TRACKER_STATUS_UNAVAILABLE}, {481, TRACKER_STATUS_FORBIDDEN},
      {486, TRACKER_STATUS_UNAVAILABLE}, {500, TRACKER_STATUS_INTERNAL_ERROR},
      {503, TRACKER_STATUS_UNAVAILABLE}, {505, TRACKER_STATUS_UNSUPPORTED_VERSION},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS (table); i++) {
    if (table[i].sip == sip) {
      *out = table[i].status;
      return true;
    }
  }
  return false;
}

/* The stack hangs up on a certificate that is not right, and does not tell. */
const char *
net_sip_client_silence (const NetSipClient *self)
{
  return self->secure
             ? "no answer in time (is its certificate for this name, and signed by one whom "
               "this machine trusts? see update-ca-certificates)"
             : "no answer in time";
}

static void
end_refused (NetSipClient *self, const sip_t *sip, int code)
{
  TrackerStatus status;
  int64_t wait = sip != NULL && sip->sip_retry_after != NULL
                     ? (int64_t)sip->sip_retry_after->af_delta * G_USEC_PER_SEC
                     : 0;
  /* The stack speaks for itself where nothing came from outside. */
  if (sip == NULL || nta_sip_is_internal (sip)) {
    forget_registration (self);
    end (self, NULL, 0,
         code == 408 ? net_sip_client_silence (self)
                     : "it cannot be reached, or its certificate is not right");
  } else if (status_of (code, &status)) {
    end_with (self, status, wait);
  } else {
    g_autofree char *why = g_strdup_printf ("SIP status %d", code);
    end (self, NULL, wait, why);
  }
}

/* --- responses --------------------------------------------------------------------------------------- */

/* What is no peer is passed over. */
static bool
take_peer (const char *text, gpointer out)
{
  TrackerResult *result = out;
  if (result->peers->len >= MAX_PEERS)
    return false;
  tracker_headers_read_peer (text, result);
  return true;
}

static void
end_good (NetSipClient *self, const sip_t *sip)
{
  const TrackerRequest *request = self->request;
  if (request == NULL) {
    end (self, NULL, 0, NULL);
    return;
  }
  const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, 0);
  TrackerResponse *response = tracker_response_new (TRACKER_STATUS_OK, request->transaction_id);
  TrackerResult *result = tracker_response_add_result (response, swarm->swarm_id, false);
  const char *text = net_sip_header (sip, TRACKER_HEADER_ADDRESS);
  if (text != NULL)
    tracker_headers_read_address (text, &response->seen_as);
  text = net_sip_header (sip, TRACKER_HEADER_CERTIFICATE);
  if (text != NULL)
    result->certificate = tracker_certificate_read (text);
  if (self->step == STEP_INVITE ||
      (self->step == STEP_INFO && request->type == TRACKER_REQUEST_FIND)) {
    tracker_result_add_peer (result, NULL, NULL);
    net_sip_read_list (sip, TRACKER_HEADER_PEER, take_peer, result);
  }
  end (self, response, 0, NULL);
}

/* --- requests ---------------------------------------------------------------------------------------- */

static int on_response (NetSipClient *self, nta_outgoing_t *transaction, const sip_t *sip);

/* headers: lines; uri NULL = the dialog's. */
static void
begin (NetSipClient *self, nta_leg_t *leg, sip_method_t method, const char *name, const char *uri,
       const char *headers)
{
  g_autofree char *authorization = self->digest != NULL && uri != NULL
                                       ? tracker_digest_client_authorize (self->digest, name, uri)
                                       : NULL;
  self->transaction = nta_outgoing_tcreate (
      leg, on_response, self, URL_STRING_MAKE (self->route), method, name,
      uri != NULL ? URL_STRING_MAKE (uri) : NULL, SIPTAG_HEADER_STR (headers),
      TAG_IF (authorization, SIPTAG_AUTHORIZATION_STR (authorization)), TAG_END ());
  if (self->transaction == NULL)
    end (self, NULL, 0, "the request could not be sent by SIP");
}

static void
append_addresses (GString *out, const TrackerRequest *request)
{
  for (guint i = 0; request != NULL && i < request->addresses->len; i++) {
    g_autofree char *text =
        tracker_headers_write_address (&g_array_index (request->addresses, TrackerAddress, i));
    g_string_append_printf (out, TRACKER_HEADER_ADDRESS ": %s\n", text);
  }
}

static void
send_register (NetSipClient *self, unsigned expires)
{
  g_autoptr (GString) headers = g_string_new ("Supported: " NET_SIP_OPTION "\n");
  g_string_append_printf (headers, "Contact: <%s>\nExpires: %u\nCall-ID: %s\n", self->contact,
                          expires, self->call_id);
  if (expires > 0)
    append_addresses (headers, self->request);
  begin (self, self->registration, SIP_METHOD_REGISTER, self->registrar, headers->str);
}

static nta_leg_t *
leg_new (NetSipClient *self, const char *peer_id, const char *to, bool registration,
         nta_request_f *callback)
{
  g_autofree char *user = tracker_headers_write_id (peer_id);
  g_autofree char *from = g_strdup_printf ("<sip:%s@%s>", user, self->host);
  nta_leg_t *leg =
      nta_leg_tcreate (self->agent, callback, self, SIPTAG_FROM_STR (from), SIPTAG_TO_STR (to),
                       TAG_IF (registration, NTATAG_NO_DIALOG (1)), TAG_END ());
  if (leg != NULL)
    nta_leg_tag (leg, NULL);
  return leg;
}

/* What a request says of the one who asks. */
static void
append_request (const NetSipClient *self, GString *headers)
{
  const TrackerRequest *request = self->request;
  const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, 0);
  g_autofree char *mode = tracker_headers_write_swarm (swarm->mode, request->certificates);
  if (request->type == TRACKER_REQUEST_CONNECT || request->certificates)
    g_string_append_printf (headers, TRACKER_HEADER_SWARM ": %s\n", mode);
  if (request->peer_num.said) {
    g_autofree char *num = tracker_headers_write_peer_num (&request->peer_num);
    g_string_append_printf (headers, TRACKER_HEADER_PEER_NUM ": %s\n", num);
  }
}

static void
append_swarm (GString *headers, const TrackerRequest *request, const TrackerSwarm *swarm)
{
  if (request->type == TRACKER_REQUEST_STAT_REPORT) {
    g_autofree char *stat = tracker_headers_write_stat (swarm);
    g_string_append_printf (headers, TRACKER_HEADER_STAT ": %s\n", stat);
  }
  if (request->condition.said) {
    g_autofree char *condition = tracker_headers_write_condition (&request->condition);
    g_string_append_printf (headers, TRACKER_HEADER_CONDITION ": %s\n", condition);
  }
  if (swarm->chunks != NULL && swarm->chunks->len > 0) {
    g_autofree char *chunks = tracker_headers_write_chunks (swarm->chunks);
    g_string_append_printf (headers, TRACKER_HEADER_CHUNKS ": %s\n", chunks);
  }
}

static int on_dialog_request (NetSipClient *self, nta_leg_t *leg, nta_incoming_t *incoming,
                              const sip_t *sip);

static void
send_invite (NetSipClient *self)
{
  const TrackerSwarm *swarm = g_ptr_array_index (self->request->swarms, 0);
  g_autofree char *id = tracker_headers_write_id (swarm->swarm_id);
  g_autofree char *uri = g_strdup_printf ("%s:%s@%s", self->secure ? "sips" : "sip", id,
                                          self->registrar + (self->secure ? 5 : 4));
  g_autoptr (GString) headers = g_string_new (NULL);
  g_string_append_printf (headers,
                          "Contact: <%s>\nRequire: " NET_SIP_OPTION "\nAllow: INFO, BYE, ACK, "
                          "CANCEL, OPTIONS\nRecv-Info: " NET_SIP_STAT "\n",
                          self->contact);
  append_request (self, headers);
  append_swarm (headers, self->request, swarm);
  if (self->dialog == NULL) {
    g_autofree char *to = g_strdup_printf ("<%s>", uri);
    self->dialog = leg_new (self, self->request->peer_id, to, false, on_dialog_request);
  }
  begin (self, self->dialog, SIP_METHOD_INVITE, uri, headers->str);
}

static void
send_info (NetSipClient *self)
{
  const TrackerSwarm *swarm = g_ptr_array_index (self->request->swarms, 0);
  bool find = self->request->type == TRACKER_REQUEST_FIND;
  g_autoptr (GString) headers = g_string_new (NULL);
  g_string_append_printf (headers, "Info-Package: %s\n", find ? NET_SIP_FIND : NET_SIP_STAT);
  append_request (self, headers);
  gsize said = headers->len;
  append_swarm (headers, self->request, swarm);
  if (!find) {
    g_free (self->stat);
    self->stat = g_strdup (headers->str + said);
  }
  begin (self, self->dialog, SIP_METHOD_INFO, NULL, headers->str);
}

static void
send_step (NetSipClient *self, Step step)
{
  self->step = step;
  switch (step) {
  case STEP_NONE:
    return;
  case STEP_REGISTER:
    send_register (self, self->expires);
    return;
  case STEP_INVITE:
    send_invite (self);
    return;
  case STEP_INFO:
    send_info (self);
    return;
  case STEP_BYE:
    begin (self, self->dialog, SIP_METHOD_BYE, NULL, NULL);
    return;
  case STEP_UNREGISTER:
    send_register (self, 0);
    return;
  }
}

static bool
is_leave (const TrackerRequest *request)
{
  const TrackerSwarm *swarm = g_ptr_array_index (request->swarms, 0);
  return request->type == TRACKER_REQUEST_CONNECT && swarm->action == TRACKER_ACTION_LEAVE;
}

/* The step under way, with an answer to its challenge. */
static void
send_again (NetSipClient *self)
{
  send_step (self, self->step);
}

/* The step that is due, for the first time. */
static void
advance (NetSipClient *self)
{
  self->challenges = 0;
  if (is_leave (self->request)) {
    if (self->dialog != NULL)
      send_step (self, STEP_BYE);
    else if (self->registered)
      send_step (self, STEP_UNREGISTER);
    else
      end_with (self, TRACKER_STATUS_OK, 0);
  } else if (self->request->type == TRACKER_REQUEST_CONNECT) {
    send_step (self, self->registered ? STEP_INVITE : STEP_REGISTER);
  } else if (self->dialog == NULL) {
    end_with (self, TRACKER_STATUS_FORBIDDEN, 0);
  } else {
    send_step (self, STEP_INFO);
  }
}

/* --- answers ----------------------------------------------------------------------------------------- */

static gboolean
on_refresh (gpointer data)
{
  NetSipClient *self = data;
  self->refresh = 0;
  if (self->request != NULL || self->transaction != NULL) {
    self->refresh = g_timeout_add_seconds (MIN_REFRESH / 2, on_refresh, self);
    return G_SOURCE_REMOVE;
  }
  self->challenges = 0;
  send_step (self, STEP_REGISTER);
  return G_SOURCE_REMOVE;
}

static void
on_registered (NetSipClient *self, const sip_t *sip)
{
  unsigned granted = self->expires;
  const sip_contact_t *contact = sip->sip_contact;
  if (contact != NULL && contact->m_expires != NULL)
    granted = (unsigned)CLAMP (g_ascii_strtoull (contact->m_expires, NULL, 10), 1, MAX_EXPIRES);
  else if (sip->sip_expires != NULL)
    granted = (unsigned)CLAMP (sip->sip_expires->ex_delta, 1, MAX_EXPIRES);
  forget_registration (self);
  self->registered = true;
  self->fresh = true;
  self->refresh = g_timeout_add_seconds (MAX (granted / 2, MIN_REFRESH), on_refresh, self);
  if (self->request != NULL)
    advance (self);
  else
    self->step = STEP_NONE;
}

/* RFC 3261, 13.2.2.4. The stack sends it again for each 200 that comes again. */
static void
acknowledge (NetSipClient *self, const sip_t *sip)
{
  nta_leg_rtag (self->dialog, sip->sip_to->a_tag);
  nta_leg_client_route (self->dialog, sip->sip_record_route, sip->sip_contact);
  nta_outgoing_t *ack = nta_outgoing_tcreate (
      self->dialog, NULL, NULL, URL_STRING_MAKE (self->route), SIP_METHOD_ACK, NULL, TAG_END ());
  if (ack != NULL)
    nta_outgoing_destroy (ack);
}

/* May the same step be tried with an answer to this challenge? A second one that is not stale says that the
 * credentials are wrong. */
static bool
take_challenge (NetSipClient *self, const sip_t *sip)
{
  if (self->digest == NULL || self->challenges++ >= MAX_CHALLENGES)
    return false;
  g_autoptr (GPtrArray) values = g_ptr_array_new_with_free_func (g_free);
  bool stale = false;
  for (const sip_www_authenticate_t *header = sip->sip_www_authenticate; header != NULL;
       header = header->au_next)
    g_ptr_array_add (values, net_sip_auth_text (header));
  g_ptr_array_add (values, NULL);
  bool good =
      tracker_digest_client_challenge (self->digest, (const char *const *)values->pdata, &stale);
  return good && (stale || self->challenges == 1);
}

/* After a final answer that is not good. */
static void
on_refused (NetSipClient *self, const sip_t *sip, int code)
{
  switch (self->step) {
  case STEP_REGISTER:
    forget_registration (self);
    if (code == 423 && sip->sip_min_expires != NULL && self->expires < MAX_EXPIRES &&
        sip->sip_min_expires->me_delta > self->expires) {
      self->expires = (unsigned)MIN (sip->sip_min_expires->me_delta, MAX_EXPIRES);
      send_step (self, STEP_REGISTER);
      return;
    }
    break;
  case STEP_INVITE:
    drop_dialog (self);
    if (code == 403 && !self->fresh) { /* it has forgotten whom we registered */
      self->fresh = true;
      forget_registration (self);
      advance (self);
      return;
    }
    break;
  case STEP_INFO:
    if (code == 481 || code == 408)
      drop_dialog (self);
    break;
  case STEP_BYE: /* gone, one way or the other */
    drop_dialog (self);
    advance (self);
    return;
  case STEP_UNREGISTER:
    forget_registration (self);
    break;
  case STEP_NONE:
    break;
  }
  end_refused (self, sip, code);
}

static void
on_good (NetSipClient *self, const sip_t *sip)
{
  switch (self->step) {
  case STEP_REGISTER:
    on_registered (self, sip);
    return;
  case STEP_INVITE:
    acknowledge (self, sip);
    end_good (self, sip);
    return;
  case STEP_INFO:
    end_good (self, sip);
    return;
  case STEP_BYE:
    drop_dialog (self);
    advance (self);
    return;
  case STEP_UNREGISTER:
    forget_registration (self);
    end_with (self, TRACKER_STATUS_OK, 0);
    return;
  case STEP_NONE:
    return;
  }
}

static int
on_response (NetSipClient *self, nta_outgoing_t *transaction, const sip_t *sip)
{
  int code = sip != NULL && sip->sip_status != NULL ? sip->sip_status->st_status
                                                    : nta_outgoing_status (transaction);
  if (code < 200 || transaction != self->transaction)
    return 0;
  self->transaction = NULL;
  if (code < 300 && sip != NULL)
    on_good (self, sip);
  else if (code == 401 && sip != NULL && take_challenge (self, sip))
    send_again (self);
  else
    on_refused (self, sip, code);
  nta_outgoing_destroy (transaction);
  return 0;
}

/* --- what the tracker asks us -------------------------------------------------------------------------- */

/* STAT_QUERY: INFO in our dialog. */
static int
on_dialog_request (NetSipClient *self, nta_leg_t *leg, nta_incoming_t *incoming, const sip_t *sip)
{
  switch ((int)sip->sip_request->rq_method) {
  case sip_method_info: {
    const char *package = net_sip_header (sip, "Info-Package");
    if (package == NULL || g_ascii_strcasecmp (package, NET_SIP_STAT) != 0) {
      nta_incoming_treply (incoming, 469, "Bad Info Package",
                           SIPTAG_HEADER_STR ("Recv-Info: " NET_SIP_STAT "\n"), TAG_END ());
      return 469;
    }
    const char *stat =
        self->stat != NULL ? self->stat : TRACKER_HEADER_STAT ": up=0;down=0;bw=0;links=0\n";
    nta_incoming_treply (incoming, SIP_200_OK, SIPTAG_HEADER_STR (stat), TAG_END ());
    return 200;
  }
  case sip_method_bye: /* the next request finds no dialog, and we join anew */
    nta_incoming_treply (incoming, SIP_200_OK, TAG_END ());
    if (self->transaction == NULL)
      drop_dialog (self);
    return 200;
  case sip_method_options:
    return 200;
  case sip_method_ack:
  case sip_method_cancel:
    return 0;
  default:
    return 405;
  }
}

/* --- the client ---------------------------------------------------------------------------------------- */

static void
close_agent (NetSipClient *self)
{
  forget_registration (self);
  g_clear_pointer (&self->transaction, nta_outgoing_destroy);
  drop_dialog (self);
  g_clear_pointer (&self->registration, nta_leg_destroy);
  g_clear_pointer (&self->agent, nta_agent_destroy);
  g_clear_pointer (&self->route, g_free);
  g_clear_pointer (&self->registrar, g_free);
  g_clear_pointer (&self->contact, g_free);
}

/* Nothing but what belongs to our own requests. */
static int
on_stray (nta_agent_magic_t *magic, nta_agent_t *agent, msg_t *message, sip_t *sip)
{
  if (sip->sip_request == NULL || sip->sip_request->rq_method == sip_method_ack)
    nta_msg_discard (agent, message);
  else
    nta_msg_treply (agent, message, SIP_481_NO_TRANSACTION, TAG_END ());
  return 0;
}

static bool
open_transports (NetSipClient *self)
{
  PeerAddress local = self->local;
  local.port = 0;
  g_autofree char *udp = net_sip_url ("sip", &local, ";transport=udp");
  g_autofree char *tcp = net_sip_url ("sip", &local, ";transport=tcp");
  g_autofree char *tls = net_sip_url ("sips", &local, ";transport=tls");
  if (self->secure) {
    char *folder = net_sip_folder_new (NULL, NULL, self->trust, NULL);
    if (folder == NULL)
      return false;
    int result = nta_agent_add_tport (
        self->agent, URL_STRING_MAKE (tls), TPTAG_SERVER (0), TPTAG_CERTIFICATE (folder),
        TPTAG_TLS_VERSION (0),
        TPTAG_TLS_VERIFY_POLICY (TPTLS_VERIFY_OUT | TPTLS_VERIFY_SUBJECTS_OUT), TAG_END ());
    net_sip_folder_free (folder);
    return result == 0;
  }
  return (self->tcp || nta_agent_add_tport (self->agent, URL_STRING_MAKE (udp), TAG_END ()) == 0) &&
         nta_agent_add_tport (self->agent, URL_STRING_MAKE (tcp), TPTAG_SERVER (0), TAG_END ()) ==
             0;
}

/* The tracker is named as in its URI, and reached at the address that was looked up and checked. */
static void
name_tracker (NetSipClient *self)
{
  const char *scheme = self->secure ? "sips" : "sip";
  g_autofree char *ip = peer_address_ip_to_string (&self->remote);
  bool v4 = peer_address_is_v4 (&self->remote);
  self->registrar = g_strdup_printf ("%s:%s:%u", scheme, self->host, self->remote.port);
  self->route =
      g_strdup_printf ("%s;maddr=%s%s%s%s", self->registrar, v4 ? "" : "[", ip, v4 ? "" : "]",
                       self->secure ? ""
                       : self->tcp  ? ";transport=tcp"
                                    : "");
}

static void
name_contact (NetSipClient *self, const char *peer_id)
{
  g_autofree char *user = tracker_headers_write_id (peer_id);
  g_autofree char *ip = peer_address_ip_to_string (&self->local);
  bool v4 = peer_address_is_v4 (&self->local);
  const tport_t *tport = tport_primaries (nta_agent_tports (self->agent));
  const char *port = !self->tcp && !self->secure ? tport_name (tport)->tpn_port : NULL;
  self->contact =
      g_strdup_printf ("sip%s:%s@%s%s%s%s%s%s", self->secure ? "s" : "", user, v4 ? "" : "[", ip,
                       v4 ? "" : "]", port != NULL ? ":" : "", port != NULL ? port : "",
                       self->tcp && !self->secure ? ";transport=tcp" : "");
}

/* For this way to the tracker; what was open for another is forgotten, as the tracker sees us from elsewhere now. */
static bool
open_agent (NetSipClient *self, const char *peer_id, const PeerAddress *remote,
            const PeerAddress *local)
{
  PeerAddress from = *local;
  from.port = 0;
  if (self->agent != NULL && peer_address_equal (&self->local, &from) &&
      peer_address_equal (&self->remote, remote))
    return true;
  close_agent (self);
  self->local = from;
  self->remote = *remote;
  self->expires = EXPIRES;
  self->agent = nta_agent_create (net_sip_root (), NET_SIP_NOWHERE, on_stray, NULL, NTATAG_UA (1),
                                  NTATAG_MAXSIZE (NET_SIP_MAX_MESSAGE), NTATAG_CLIENT_RPORT (1),
                                  NTATAG_USE_SRV (0), NTATAG_USE_NAPTR (0), TAG_END ());
  if (self->agent == NULL || !open_transports (self))
    return false;
  name_tracker (self);
  name_contact (self, peer_id);
  uint8_t random[16];
  net_random (NULL, random, sizeof random);
  for (unsigned i = 0; i < sizeof random; i++)
    g_snprintf (self->call_id + 2 * i, 3, "%02x", random[i]);
  g_autofree char *user = tracker_headers_write_id (peer_id);
  g_autofree char *to = g_strdup_printf ("<sip:%s@%s>", user, self->host);
  self->registration = leg_new (self, peer_id, to, true, NULL);
  return self->registration != NULL;
}

void
net_sip_client_send (NetSipClient *self, const TrackerRequest *request, const PeerAddress *remote,
                     const PeerAddress *local)
{
  g_return_if_fail (self->request == NULL && request->swarms->len == 1);
  /* KEEPALIVE can wait, and what it would tell is in this request. */
  if (self->transaction != NULL) {
    g_clear_pointer (&self->transaction, nta_outgoing_destroy);
    forget_registration (self);
  }
  self->request = request;
  self->fresh = false;
  if (open_agent (self, request->peer_id, remote, local)) {
    advance (self);
    return;
  }
  close_agent (self);
  end (self, NULL, 0, "no socket for SIP could be opened");
}

void
net_sip_client_cancel (NetSipClient *self)
{
  Step step = self->step;
  g_clear_handle_id (&self->telling, g_source_remove);
  g_clear_pointer (&self->response, tracker_response_free);
  g_clear_pointer (&self->why, g_free);
  self->request = NULL;
  self->step = STEP_NONE;
  if (self->transaction == NULL)
    return;
  g_clear_pointer (&self->transaction, nta_outgoing_destroy);
  /* What the tracker has made of it, we do not know, and begin that anew; without an ACK a join is undone there. */
  if (step == STEP_INVITE || step == STEP_BYE)
    drop_dialog (self);
  if (step == STEP_REGISTER || step == STEP_UNREGISTER)
    forget_registration (self);
}

NetSipClient *
net_sip_client_new (const NetSipClientOptions *options, NetSipClientFunc func, gpointer data)
{
  NetSipClient *self = g_new0 (NetSipClient, 1);
  bool v6 = strchr (options->host, ':') != NULL && *options->host != '[';
  self->host = v6 ? g_strdup_printf ("[%s]", options->host) : g_strdup (options->host);
  self->secure = options->secure;
  self->tcp = options->tcp;
  self->trust = g_strdup (options->trust);
  self->func = func;
  self->data = data;
  return self;
}

void
net_sip_client_set_account (NetSipClient *self, const char *user, const char *password)
{
  g_clear_pointer (&self->digest, tracker_digest_client_free);
  if (user != NULL)
    self->digest = tracker_digest_client_new (user, password, net_random, NULL);
}

void
net_sip_client_free (NetSipClient *self)
{
  net_sip_client_cancel (self);
  close_agent (self);
  g_clear_pointer (&self->digest, tracker_digest_client_free);
  g_free (self->host);
  g_free (self->stat);
  g_free (self->trust);
  g_free (self);
}
