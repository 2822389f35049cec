/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/proxy/web-world.h"
#include "tests/proxy/channel.h"
#include <string.h>

static void
no_event (const PeerEvent *event, gpointer data)
{
}

static bool
media_server (DlnaServerStats *out, gpointer data)
{
  *out = (DlnaServerStats){.bad_callbacks = 3, .interfaces = 2};
  return true;
}

ProxyTuner *
web_new_tuner (const WebWorld *self, uint32_t device_id)
{
  ProxyTunerOptions options = {.server = self->server,
                               .catalog = self->catalog,
                               .programmes = self->programmes,
                               .name = "Home \"1\"",
                               .device_id = device_id};
  return proxy_tuner_new (&options);
}

void
web_world_init (WebWorld *self)
{
  g_autoptr (GError) error = NULL;
  PeerEngineOptions engine;
  NetListenerOptions limits = {.check_host = true};
  memset (self, 0, sizeof *self);
  peer_engine_options_init (&engine);
  self->udp = net_udp_new ("127.0.0.1:0", &engine, no_event, NULL, &error);
  g_assert_no_error (error);
  self->catalog = proxy_catalog_open (NULL);
  self->options = (ProxySessionOptions){.udp = self->udp, .memory = 1 << 20};
  self->options.peering = net_peering_new (&(NetPeeringSaid){0}, NULL);
  self->sessions = proxy_sessions_new (&self->options, 0);
  self->server = soup_server_new (NULL, NULL);
  self->listener = net_listener_new (self->server, &limits);
  self->port = net_listener_add (self->listener, "127.0.0.1:0", &error);
  g_assert_no_error (error);
  self->parts = (ProxyParts){.media_server = media_server,
                             .server = self->server,
                             .name = "Home <script>",
                             .catalog = self->catalog,
                             .sessions = self->sessions,
                             .listener = self->listener,
                             .udp = self->udp};
  self->web = proxy_web_new (&self->parts);
  self->programmes = proxy_programmes_new (self->catalog, NULL, NULL);
  self->tuner = web_new_tuner (self, 0);
  self->session = soup_session_new_with_options ("proxy-resolver", NULL, NULL);
}

static void
forget_answer (WebWorld *self)
{
  g_clear_pointer (&self->body, g_free);
  g_clear_pointer (&self->type, g_free);
  g_clear_pointer (&self->csp, g_free);
  g_clear_pointer (&self->etag, g_free);
}

void
web_world_clear (WebWorld *self)
{
  forget_answer (self);
  soup_session_abort (self->session);
  g_object_unref (self->session);
  proxy_web_free (self->web);
  proxy_tuner_free (self->tuner);
  proxy_programmes_free (self->programmes);
  net_listener_free (self->listener);
  g_object_unref (self->server);
  proxy_sessions_unref (self->sessions);
  net_peering_free (self->options.peering);
  proxy_catalog_close (self->catalog);
  net_udp_free (self->udp);
}

void
web_on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

unsigned
web_ask (WebWorld *self, const char *method, const char *path, const char *const *headers,
         const char *body)
{
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%u%s", self->port, path);
  g_autoptr (SoupMessage) message = soup_message_new (method, uri);
  g_autoptr (GError) error = NULL;
  GAsyncResult *result = NULL;
  SoupMessageHeaders *request = soup_message_get_request_headers (message);
  forget_answer (self);
  if (body) {
    g_autoptr (GBytes) bytes = g_bytes_new (body, strlen (body));
    soup_message_set_request_body_from_bytes (message, NULL, bytes);
  }
  for (size_t i = 0; headers && headers[i]; i++) {
    g_auto (GStrv) parts = g_strsplit (headers[i], ": ", 2);
    soup_message_headers_replace (request, parts[0], parts[1]);
  }
  soup_session_send_and_read_async (self->session, message, 0, NULL, web_on_answer, &result);
  while (!result)
    g_main_context_iteration (NULL, TRUE);
  g_autoptr (GBytes) bytes = soup_session_send_and_read_finish (self->session, result, &error);
  g_object_unref (result);
  g_assert_no_error (error);
  SoupMessageHeaders *answer = soup_message_get_response_headers (message);
  size_t n;
  const char *text = g_bytes_get_data (bytes, &n);
  self->body = g_strndup (text ? text : "", n);
  self->type = g_strdup (soup_message_headers_get_one (answer, "Content-Type"));
  self->csp = g_strdup (soup_message_headers_get_one (answer, "Content-Security-Policy"));
  self->etag = g_strdup (soup_message_headers_get_one (answer, "ETag"));
  self->status = soup_message_get_status (message);
  return self->status;
}

const char *const web_ours[] = {"X-PPSP: 1", "Content-Type: application/json", NULL};

JsonObject *
web_parse (WebWorld *self, JsonParser *parser)
{
  g_autoptr (GError) error = NULL;
  json_parser_load_from_data (parser, self->body, -1, &error);
  g_assert_no_error (error);
  return json_node_get_object (json_parser_get_root (parser));
}

void
web_add_channel (WebWorld *self, int number, const char *name, const char *logo, bool live)
{
  g_autofree char *swarm = g_strdup_printf ("swarm-%s", name);
  ProxyDraft draft = channel_draft (swarm, "ppsp:00", name);
  draft.number = number;
  draft.logo = logo;
  draft.live = live;
  draft.length = live ? -1 : 1000;
  proxy_catalog_put (self->catalog, &draft, NULL);
}

void
web_read_guide (WebWorld *self, const char *text)
{
  ProxyGuideXml *reader = proxy_guide_xml_new (self->programmes, 0, G_MAXINT32);
  g_assert_true (proxy_guide_xml_feed (reader, text, strlen (text)));
  proxy_guide_xml_free (reader);
}
