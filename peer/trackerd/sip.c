/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trackerd/sip.h"

#include "peer/net/metrics.h"

#include <gio/gio.h>

#ifdef PPSP_SIP

#include "peer/net/sip-server.h"

struct TrackerdSip {
  NetSipServer *server;
  uint16_t port, secure_port;
};

/* Without accounts whoever can send a datagram in another's name could fill the registry. */
static bool
may_listen (const char *address, const TrackerDigest *digest, GError **error)
{
  PeerAddress parsed = {.port = 0};
  bool any = g_str_has_suffix (address, ":0");
  g_autofree char *text = g_strdup_printf ("%s%s", address, any ? "1" : "");
  if (digest != NULL || (peer_address_parse (text, &parsed) && peer_address_is_loopback (&parsed)))
    return true;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               "SIP at %s: give --users, or an address of loopback; anybody could register there",
               address);
  return false;
}

static bool
open_all (TrackerdSip *self, const TrackerdSipOptions *options, const TrackerDigest *digest,
          GError **error)
{
  if (options->plain != NULL) {
    self->port = may_listen (options->plain, digest, error)
                     ? net_sip_server_listen (self->server, options->plain, false, error)
                     : 0;
    if (self->port == 0)
      return false;
  }
  if (options->secure == NULL)
    return true;
  if (options->certificate == NULL) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                         "--sips needs --tls-cert and --tls-key");
    return false;
  }
  if (may_listen (options->secure, digest, error))
    self->secure_port = net_sip_server_listen (self->server, options->secure, true, error);
  return self->secure_port != 0;
}

TrackerdSip *
trackerd_sip_new (const TrackerdSipOptions *options, TrackerDigest *digest,
                  const TrackerdSipFuncs *funcs, GError **error)
{
  NetSipServerOptions server = {.answer = funcs->answer,
                                .admit = funcs->admit,
                                .wrong = funcs->wrong,
                                .data = funcs->data,
                                .digest = digest,
                                .lock = funcs->lock,
                                .certificate = options->certificate,
                                .key = options->key,
                                .max_connections = options->max_connections};
  g_autoptr (TrackerdSip) self = g_new0 (TrackerdSip, 1);
  self->server = net_sip_server_new (&server);
  return open_all (self, options, digest, error) ? g_steal_pointer (&self) : NULL;
}

void
trackerd_sip_free (TrackerdSip *self)
{
  net_sip_server_free (self->server);
  g_free (self);
}

uint16_t
trackerd_sip_port (const TrackerdSip *self)
{
  return self->port;
}

uint16_t
trackerd_sip_secure_port (const TrackerdSip *self)
{
  return self->secure_port;
}

bool
trackerd_sip_load_certificate (TrackerdSip *self, GError **error)
{
  return self->secure_port == 0 || net_sip_server_load_certificate (self->server, error);
}

void
trackerd_sip_use_certificate (TrackerdSip *self)
{
  net_sip_server_use_certificate (self->server);
}

void
trackerd_sip_drop_certificate (TrackerdSip *self)
{
  net_sip_server_drop_certificate (self->server);
}

void
trackerd_sip_metrics (const TrackerdSip *self, GString *out)
{
  NetSipServerStats stats;
  net_sip_server_stats (self->server, &stats);
  const struct {
    const char *name;
    uint64_t n;
  } methods[] = {{"REGISTER", stats.registers}, {"INVITE", stats.invites},
                 {"INFO", stats.infos},         {"BYE", stats.byes},
                 {"OPTIONS", stats.options},    {"other", stats.others}};
  net_metrics_family (out, "ppsp_tracker_sip_requests", "counter", "Requests by SIP, by method.");
  for (unsigned i = 0; i < G_N_ELEMENTS (methods); i++)
    g_string_append_printf (
        out, "ppsp_tracker_sip_requests_total{method=\"%s\"} %" G_GUINT64_FORMAT "\n",
        methods[i].name, (guint64)methods[i].n);
  net_metrics_counter (out, "ppsp_tracker_sip_challenged", "Requests answered with 401.",
                       stats.challenged);
  net_metrics_counter (out, "ppsp_tracker_sip_wrong_credentials",
                       "Credentials that were not right.", stats.wrong);
  net_metrics_counter (out, "ppsp_tracker_sip_malformed",
                       "Messages that were not SIP's, or answered with 400.", stats.malformed);
  net_metrics_counter (out, "ppsp_tracker_sip_refused", "Requests over a limit.", stats.refused);
  net_metrics_counter (out, "ppsp_tracker_sip_repeated", "Requests that came again.",
                       stats.repeated);
  net_metrics_counter (out, "ppsp_tracker_sip_unconfirmed", "Joins undone, since no ACK came.",
                       stats.unconfirmed);
  net_metrics_counter (out, "ppsp_tracker_sip_closed", "Connections over the limit.", stats.closed);
  net_metrics_gauge (out, "ppsp_tracker_sip_peers", "Peers registered by SIP.", stats.peers);
  net_metrics_gauge (out, "ppsp_tracker_sip_dialogs", "Memberships by SIP.", stats.dialogs);
  net_metrics_gauge (out, "ppsp_tracker_sip_pending", "Joins that wait for their ACK.",
                     stats.pending);
  net_metrics_gauge (out, "ppsp_tracker_sip_connections", "Connections of SIP over TCP and TLS.",
                     stats.connections);
}

#else

TrackerdSip *
trackerd_sip_new (const TrackerdSipOptions *options, TrackerDigest *digest,
                  const TrackerdSipFuncs *funcs, GError **error)
{
  g_set_error_literal (
      error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
      "--sip, --sips: this build has no SIP, as sofia-sip was not there when it was "
      "made; leave them out");
  return NULL;
}

void
trackerd_sip_free (TrackerdSip *self)
{
}

uint16_t
trackerd_sip_port (const TrackerdSip *self)
{
  return 0;
}

uint16_t
trackerd_sip_secure_port (const TrackerdSip *self)
{
  return 0;
}

bool
trackerd_sip_load_certificate (TrackerdSip *self, GError **error)
{
  return true;
}

void
trackerd_sip_use_certificate (TrackerdSip *self)
{
}

void
trackerd_sip_drop_certificate (TrackerdSip *self)
{
}

void
trackerd_sip_metrics (const TrackerdSip *self, GString *out)
{
}

#endif
