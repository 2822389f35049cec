/* SPDX-License-Identifier: Apache-2.0 */
/* Most requests are answered without a state in the stack (RFC 3261, 8.2.7): so an answer to one that comes again
 * must have the same tag, and what it asked for must not be done twice. */
#include "peer/net/sip-call.h"

#include "peer/tracker/hash.h"

#include <string.h>

#define RETRY_AFTER "30"
#define MAX_TEXT 256 /* bytes of a tag or a Call-ID */

bool
net_sip_call_is_stream (const NetSipCall *call)
{
  return g_ascii_strcasecmp (call->sip->sip_via->v_protocol, "SIP/2.0/UDP") != 0;
}

/* --- answers ------------------------------------------------------------------------------------- */

/* The same for a request that comes again, as 8.2.7 asks of who keeps no state. */
static void
add_tag (NetSipCall *call)
{
  char tag[33];
  sip_t *sip = call->sip;
  if (sip->sip_to->a_tag != NULL)
    return;
  uint64_t hash = tracker_hash_text (call->context->seed, sip->sip_call_id->i_id);
  hash = tracker_hash_text (hash, sip->sip_from->a_tag != NULL ? sip->sip_from->a_tag : "");
  g_snprintf (tag, sizeof tag, "%016" G_GINT64_MODIFIER "x", (guint64)hash);
  sip_to_tag (msg_home (call->message), sip->sip_to, tag);
}

void
net_sip_call_reply (NetSipCall *call, int status, const char *phrase, const char *headers)
{
  if (status == 400)
    call->context->malformed++;
  else if (status == 503)
    call->context->refused++;
  if (call->invite != NULL) {
    nta_incoming_treply (call->invite, status, phrase,
                         TAG_IF (headers, SIPTAG_HEADER_STR (headers)), TAG_END ());
    return;
  }
  add_tag (call);
  nta_msg_treply (call->agent, call->message, status, phrase,
                  TAG_IF (headers, SIPTAG_HEADER_STR (headers)), TAG_END ());
  call->message = NULL;
}

void
net_sip_call_reply_unavailable (NetSipCall *call)
{
  net_sip_call_reply (call, SIP_503_SERVICE_UNAVAILABLE, "Retry-After: " RETRY_AFTER "\n");
}

void
net_sip_call_remember (NetSipCall *call)
{
  TrackerOutcome outcome = {.status = TRACKER_STATUS_OK};
  tracker_transactions_remember (call->context->answers, call->key, outcome,
                                 call->context->max_answers, call->now);
}

void
net_sip_call_reply_error (NetSipCall *call, TrackerStatus status)
{
  switch (status) {
  case TRACKER_STATUS_OK:
  case TRACKER_STATUS_FORBIDDEN:
  case TRACKER_STATUS_UNAUTHORIZED:
    net_sip_call_reply (call, SIP_403_FORBIDDEN, NULL);
    return;
  case TRACKER_STATUS_BAD_REQUEST:
  case TRACKER_STATUS_UNSUPPORTED_VERSION:
    net_sip_call_reply (call, SIP_400_BAD_REQUEST, NULL);
    return;
  case TRACKER_STATUS_INTERNAL_ERROR:
    net_sip_call_reply (call, SIP_500_INTERNAL_SERVER_ERROR, NULL);
    return;
  case TRACKER_STATUS_UNAVAILABLE:
    net_sip_call_reply_unavailable (call);
    return;
  }
}

/* --- who is it? ------------------------------------------------------------------------------------ */

static void
challenge (NetSipCall *call, bool stale)
{
  g_autoptr (GString) headers = g_string_new (NULL);
  g_autofree char *ip = peer_address_ip_to_string (&call->from);
  for (unsigned i = 0; i < TRACKER_DIGEST_ALGORITHMS; i++) {
    g_autofree char *value =
        tracker_digest_challenge (call->context->digest, call->now, i, ip, stale);
    if (value != NULL)
      g_string_append_printf (headers, "WWW-Authenticate: %s\n", value);
  }
  call->context->challenged++;
  net_sip_call_reply (call, SIP_401_UNAUTHORIZED, headers->str);
}

/* Is what was signed the target of this request (RFC 7616, 3.4.6; RFC 3261, 22.4)? As URIs, which may be written in
 * several ways. */
static bool
is_target (NetSipCall *call, const char *uri)
{
  url_t *signed_url = url_hdup (msg_home (call->message), URL_STRING_MAKE (uri)->us_url);
  return signed_url != NULL && url_cmp (signed_url, call->sip->sip_request->rq_url) == 0;
}

static TrackerDigestResult
check_one (NetSipCall *call, const sip_authorization_t *header)
{
  su_home_t *home = msg_home (call->message);
  const char *quoted = msg_params_find (header->au_params, "uri=");
  char *uri = quoted != NULL ? msg_unquote_dup (home, quoted) : NULL;
  if (uri == NULL && quoted != NULL)
    uri = su_strdup (home, quoted);
  if (uri == NULL || !is_target (call, uri))
    return TRACKER_DIGEST_MALFORMED;
  g_autofree char *ip = peer_address_ip_to_string (&call->from);
  g_autofree char *text = net_sip_auth_text (header);
  TrackerDigestRequest request = {.authorization = text,
                                  .method = call->sip->sip_request->rq_method_name,
                                  .uri = uri,
                                  .from = ip};
  return tracker_digest_check (call->context->digest, call->now, &request, &call->user);
}

static bool
authenticate (NetSipCall *call)
{
  TrackerDigestResult result = TRACKER_DIGEST_NONE;
  const sip_authorization_t *header = call->sip->sip_authorization;
  if (call->context->digest == NULL || call->repeated)
    return true;
  for (; header != NULL && result == TRACKER_DIGEST_NONE; header = header->au_next)
    if (g_ascii_strcasecmp (header->au_scheme, "Digest") == 0)
      result = check_one (call, header);
  switch (result) {
  case TRACKER_DIGEST_OK:
    return true;
  case TRACKER_DIGEST_MALFORMED:
    net_sip_call_reply (call, SIP_400_BAD_REQUEST, NULL);
    return false;
  case TRACKER_DIGEST_WRONG:
    call->context->wrong++;
    challenge (call, false);
    return false;
  case TRACKER_DIGEST_NONE:
  case TRACKER_DIGEST_STALE:
    challenge (call, result == TRACKER_DIGEST_STALE);
    return false;
  }
  return false;
}

bool
net_sip_call_authenticate (NetSipCall *call)
{
  GRecMutex *lock = call->context->lock;
  if (lock != NULL)
    g_rec_mutex_lock (lock);
  bool good = authenticate (call);
  if (lock != NULL)
    g_rec_mutex_unlock (lock);
  return good;
}

/* --- what came ------------------------------------------------------------------------------ */

/* RFC 3261, 8.2.1 to 8.2.3, in their order. false = it has been answered. */
bool
net_sip_call_inspect (NetSipCall *call)
{
  const sip_t *sip = call->sip;
  const sip_request_t *request = sip->sip_request;
  const char *option = net_sip_unknown_option (sip->sip_require);
  if (strlen (sip->sip_call_id->i_id) > MAX_TEXT ||
      (sip->sip_from->a_tag != NULL && strlen (sip->sip_from->a_tag) > MAX_TEXT)) {
    net_sip_call_reply (call, SIP_400_BAD_REQUEST, NULL);
    return false;
  }
  if (request->rq_url->url_type != url_sip && request->rq_url->url_type != url_sips) {
    net_sip_call_reply (call, SIP_416_UNSUPPORTED_URI, NULL);
    return false;
  }
  if (request->rq_url->url_headers != NULL) { /* RFC 3261, 19.1.1, Table 1 */
    net_sip_call_reply (call, SIP_400_BAD_REQUEST, NULL);
    return false;
  }
  if (option != NULL && request->rq_method != sip_method_cancel) {
    g_autofree char *unsupported = g_strdup_printf ("Unsupported: %.64s\n", option);
    net_sip_call_reply (call, SIP_420_BAD_EXTENSION, unsupported);
    return false;
  }
  /* 8.2.3: what is said in a body that we do not read must not be lost unseen. */
  const sip_content_disposition_t *disposition = sip->sip_content_disposition;
  bool optional = disposition != NULL && disposition->cd_optional;
  const sip_content_type_t *type = sip->sip_content_type;
  if (sip->sip_payload != NULL && sip->sip_payload->pl_len > 0 && !optional &&
      (type == NULL || g_ascii_strcasecmp (type->c_type, "application/sdp") != 0 ||
       sip->sip_content_encoding != NULL)) {
    net_sip_call_reply (call, SIP_415_UNSUPPORTED_MEDIA,
                        "Accept: application/sdp\nAccept-Encoding: identity\n");
    return false;
  }
  return true;
}

static uint64_t
key_of (const NetSipCall *call)
{
  const sip_t *sip = call->sip;
  uint64_t key = tracker_hash (call->context->seed, call->from.ip, sizeof call->from.ip);
  key = tracker_hash (key, &call->from.port, sizeof call->from.port);
  key = tracker_hash (key, &sip->sip_cseq->cs_seq, sizeof sip->sip_cseq->cs_seq);
  key = tracker_hash_text (key, sip->sip_request->rq_method_name);
  key = tracker_hash_text (key, sip->sip_call_id->i_id);
  key = tracker_hash_text (key, sip->sip_from->a_tag != NULL ? sip->sip_from->a_tag : "");
  return tracker_hash_text (key, sip->sip_via->v_branch != NULL ? sip->sip_via->v_branch : "");
}

bool
net_sip_call_begin (NetSipContext *context, nta_agent_t *agent, msg_t *message, sip_t *sip,
                    NetSipCall *out)
{
  *out = (NetSipCall){.context = context, .agent = agent, .message = message, .sip = sip};
  if (sip->sip_request == NULL || sip->sip_request->rq_method == sip_method_ack ||
      !net_sip_source (message, &out->from))
    return false;
  out->now = g_get_monotonic_time ();
  out->key = key_of (out);
  out->repeated = tracker_transactions_find (context->answers, out->key) != NULL;
  context->repeated += out->repeated;
  return true;
}
