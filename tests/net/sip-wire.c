/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/net/sip-wire.h"

#include "peer/net/random.h"
#include "tests/lib/wait.h"

#include <string.h>

static TrackerResponse *
answer (void *data, const TrackerRequest *request, const PeerAddress *from)
{
  SipWire *self = data;
  return tracker_registry_answer (self->registry, g_get_monotonic_time (), request, from);
}

void
sip_wire_init (SipWire *self, const NetSipServerOptions *limits, const char *accounts)
{
  NetSipServerOptions options = limits != NULL ? *limits : (NetSipServerOptions){.data = NULL};
  TrackerRegistryOptions registry = {.random = net_random};
  TrackerDigestOptions digest = {.realm = SIP_REALM, .random = net_random};
  g_autoptr (GError) error = NULL;
  *self = (SipWire){.received = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL)};
  self->registry = tracker_registry_new (&registry);
  if (accounts != NULL) {
    self->digest = tracker_digest_new (&digest);
    tracker_digest_load (self->digest, accounts, &error);
    g_assert_no_error (error);
  }
  options.answer = answer;
  options.data = self;
  options.digest = self->digest;
  self->server = net_sip_server_new (&options);
  self->port = net_sip_server_listen (self->server, "127.0.0.1:0", false, &error);
  g_assert_no_error (error);
  self->socket =
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, &error);
  g_assert_no_error (error);
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  g_assert_true (g_socket_bind (self->socket, any, FALSE, NULL));
  g_autoptr (GSocketAddress) local = g_socket_get_local_address (self->socket, NULL);
  self->mine = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (local));
  g_socket_set_blocking (self->socket, FALSE);
}

void
sip_wire_clear (SipWire *self)
{
  sip_wire_disconnect (self);
  g_clear_object (&self->socket);
  net_sip_server_free (self->server);
  g_clear_pointer (&self->digest, tracker_digest_free);
  tracker_registry_free (self->registry);
  g_hash_table_unref (self->received);
}

char *
sip_wire_text (SipWire *self, const char *text)
{
  GString *out = g_string_new (NULL);
  for (const char *c = text; *c != 0; c++) {
    if (*c == '\n')
      g_string_append (out, "\r\n");
    else if (g_str_has_prefix (c, "@T"))
      g_string_append_printf (out, "%u", self->port);
    else if (g_str_has_prefix (c, "@P"))
      g_string_append_printf (out, "%u", self->mine);
    else if (g_str_has_prefix (c, "@B"))
      g_string_append_printf (out, "z9hG4bK-%u", self->n++);
    else
      g_string_append_c (out, *c);
    if (*c == '@' && strchr ("TPB", c[1]) != NULL && c[1] != 0)
      c++;
  }
  return g_string_free (out, FALSE);
}

void
sip_wire_send (SipWire *self, const char *bytes, gssize n)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) to = g_inet_socket_address_new_from_string ("127.0.0.1", self->port);
  gsize size = n < 0 ? strlen (bytes) : (gsize)n;
  if (self->stream != NULL)
    g_socket_send (self->stream, bytes, size, NULL, &error);
  else
    g_socket_send_to (self->socket, to, bytes, size, NULL, &error);
  g_assert_no_error (error);
}

/* What is there, or NULL. */
static char *
poll_socket (SipWire *self)
{
  char bytes[70000];
  GSocket *socket = self->stream != NULL ? self->stream : self->socket;
  gssize n = g_socket_receive (socket, bytes, sizeof bytes - 1, NULL, NULL);
  return n > 0 ? g_strndup (bytes, (gsize)n) : NULL;
}

char *
sip_wire_receive (SipWire *self)
{
  int64_t end = 0;
  for (;;) {
    char *text = poll_socket (self);
    if (text != NULL)
      return text;
    if (!wait_turn (&end))
      g_error ("no answer came");
  }
}

char *
sip_wire_ask (SipWire *self, const char *status, const char *text)
{
  g_autofree char *request = sip_wire_text (self, text);
  g_autofree char *expected = g_strdup_printf ("SIP/2.0 %s", status);
  sip_wire_send (self, request, -1);
  char *reply = sip_wire_receive (self);
  /* A 200 that has no ACK yet comes again each half second: how often, that is the machine's affair. */
  while (g_hash_table_contains (self->received, reply)) {
    g_free (reply);
    reply = sip_wire_receive (self);
  }
  g_hash_table_add (self->received, g_strdup (reply));
  if (!g_str_has_prefix (reply, expected))
    g_error ("asked:\n%s\nanswered, instead of %s:\n%s", request, status, reply);
  return reply;
}

/* What is asked after it is the next to be answered. */
void
sip_wire_ask_nothing (SipWire *self, const char *text)
{
  g_autofree char *request = sip_wire_text (self, text);
  g_autofree char *probe =
      sip_wire_request ("OPTIONS", "sip:127.0.0.1:@T", "probe", "", "probe-call", ++self->n, "");
  sip_wire_send (self, request, -1);
  g_autofree char *reply = sip_wire_ask (self, "200", probe);
  if (strstr (reply, "probe-call") == NULL)
    g_error ("asked:\n%s\nanswered, instead of nothing:\n%s", request, reply);
}

void
sip_wire_connect (SipWire *self)
{
  g_autoptr (GError) error = NULL;
  sip_wire_disconnect (self);
  g_autoptr (GSocketAddress) to = g_inet_socket_address_new_from_string ("127.0.0.1", self->port);
  self->stream =
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);
  g_assert_no_error (error);
  g_socket_connect (self->stream, to, NULL, &error);
  g_assert_no_error (error);
  g_socket_set_blocking (self->stream, FALSE);
}

void
sip_wire_disconnect (SipWire *self)
{
  if (self->stream != NULL)
    g_socket_close (self->stream, NULL);
  g_clear_object (&self->stream);
}

char *
sip_wire_header (const char *message, const char *name, unsigned nth)
{
  g_auto (GStrv) lines = g_strsplit (message, "\r\n", -1);
  gsize n = strlen (name);
  for (unsigned i = 0; lines[i] != NULL && *lines[i] != 0; i++)
    if (g_ascii_strncasecmp (lines[i], name, n) == 0 && lines[i][n] == ':' && nth-- == 0)
      return g_strstrip (g_strdup (lines[i] + n + 1));
  return NULL;
}

char *
sip_wire_request (const char *method, const char *target, const char *user, const char *tag,
                  const char *call_id, unsigned cseq, const char *headers)
{
  return g_strdup_printf ("%s %s SIP/2.0\n"
                          "Via: SIP/2.0/UDP 127.0.0.1:@P;branch=@B;rport\n"
                          "Max-Forwards: 70\n"
                          "From: <sip:%s@127.0.0.1>;tag=%s\n"
                          "To: <sip:%s@127.0.0.1>%s\n"
                          "Call-ID: %s\n"
                          "CSeq: %u %s\n"
                          "%s"
                          "Content-Length: 0\n\n",
                          method, target, user, call_id, user, tag, call_id, cseq, method, headers);
}

char *
sip_wire_join (SipWire *self, const char *user, unsigned port, const char *swarm, const char *mode)
{
  g_autofree char *call = g_strdup_printf ("r-%s", user);
  g_autofree char *headers = g_strdup_printf ("Contact: <sip:%s@127.0.0.1:@P>\nExpires: 180\n"
                                              "PPSP-Addr: 127.0.0.1:%u;prio=1;proto=PPSP-PP\n",
                                              user, port);
  g_autofree char *request =
      sip_wire_request ("REGISTER", "sip:127.0.0.1:@T", user, "", call, ++self->n, headers);
  g_free (sip_wire_ask (self, "200", request));
  if (swarm == NULL)
    return NULL;
  g_autofree char *dialog = g_strdup_printf ("d-%s-%s", user, swarm);
  g_autofree char *target = g_strdup_printf ("sip:%s@127.0.0.1:@T", swarm);
  g_autofree char *more = g_strdup_printf (
      "Contact: <sip:%s@127.0.0.1:@P>\nRequire: ppsp\nPPSP-Swarm: mode=%s\nPPSP-Peer-Num: 30\n",
      user, mode);
  g_autofree char *invite = sip_wire_request ("INVITE", target, user, "", dialog, 1, more);
  g_autofree char *reply = sip_wire_ask (self, "200", invite);
  g_autofree char *to = sip_wire_header (reply, "To", 0);
  char *tag = g_strdup (strstr (to, ";tag="));
  g_assert_nonnull (tag);
  g_autofree char *ack = sip_wire_request ("ACK", target, user, tag, dialog, 1, "");
  sip_wire_ask_nothing (self, ack);
  return tag;
}

char *
sip_wire_in_dialog (const char *method, const char *user, const char *tag, unsigned cseq,
                    const char *headers)
{
  g_autofree char *call = g_strdup_printf ("d-%s-" SIP_SWARM, user);
  return sip_wire_request (method, SIP_TARGET, user, tag, call, cseq, headers);
}

char *
sip_wire_ask_in_dialog (SipWire *self, const char *status, const char *method, const char *user,
                        const char *tag, unsigned cseq, const char *headers)
{
  g_autofree char *request = sip_wire_in_dialog (method, user, tag, cseq, headers);
  return sip_wire_ask (self, status, request);
}
