/* SPDX-License-Identifier: Apache-2.0 */
/* A server that refuses what the path says, asked from many addresses of loopback. */
#include "dlna/clients.h"
#include "tests/lib/listen.h"
#include <string.h>

typedef struct {
  SoupServer *server;
  DlnaClients *clients;
  unsigned port;
} Fixture;

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  static const char fault[] =
      "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault><detail>"
      "<UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>701</errorCode></UPnPError>"
      "</detail></s:Fault></s:Body></s:Envelope>";

  if (strcmp (path, "/Control/fails") == 0) {
    soup_server_message_set_status (message, SOUP_STATUS_INTERNAL_SERVER_ERROR, NULL);
    soup_server_message_set_response (message, "text/xml", SOUP_MEMORY_STATIC, fault,
                                      strlen (fault));
  } else {
    soup_server_message_set_status (
        message, strcmp (path, "/missing") == 0 ? SOUP_STATUS_NOT_FOUND : SOUP_STATUS_OK, NULL);
  }
}

static void
set_up (Fixture *self, gconstpointer data)
{
  self->server = soup_server_new (NULL, NULL);
  self->port = listen_local (self->server);
  soup_server_add_handler (self->server, NULL, on_request, NULL, NULL);
  self->clients = dlna_clients_new (NULL);
  dlna_clients_watch (self->clients, self->server);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  dlna_clients_free (self->clients);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

/* From 127.0.0.HOST; the headers are name and value; body NULL = GET. Returns who was heard last. */
static const DlnaClient *
ask (Fixture *self, unsigned host, const char *agent, const char *path, const char *const *headers,
     const char *body)
{
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%u%s", self->port, path);
  g_autofree char *from = g_strdup_printf ("127.0.0.%u", host);
  g_autoptr (GSocketAddress) local = g_inet_socket_address_new_from_string (from, 0);
  g_autoptr (SoupSession) session =
      soup_session_new_with_options ("local-address", local, "proxy-resolver", NULL, NULL);
  g_autoptr (SoupMessage) message = soup_message_new (body != NULL ? "POST" : "GET", uri);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) answer = NULL;
  const GPtrArray *list = dlna_clients_list (self->clients);
  const DlnaClient *before = list->len > 0 ? list->pdata[list->len - 1] : NULL;
  uint64_t n = before != NULL ? before->asked : 0;

  soup_message_headers_replace (soup_message_get_request_headers (message), "User-Agent", agent);
  for (size_t i = 0; headers != NULL && headers[i] != NULL; i += 2)
    soup_message_headers_replace (soup_message_get_request_headers (message), headers[i],
                                  headers[i + 1]);
  if (body != NULL) {
    g_autoptr (GBytes) bytes = g_bytes_new (body, strlen (body));
    soup_message_set_request_body_from_bytes (message, "text/xml", bytes);
  }
  soup_session_send_and_read_async (session, message, 0, NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  answer = soup_session_send_and_read_finish (session, result, &error);
  g_assert_no_error (error);
  /* The client has its answer before the server has done with the message. */
  while (list->len == 0 || (list->pdata[list->len - 1] == before && before->asked == n))
    g_main_context_iteration (NULL, TRUE);
  return list->pdata[list->len - 1];
}

static const DlnaClientEvent *
newest (const DlnaClient *client)
{
  return g_queue_peek_tail ((GQueue *)&client->events);
}

static void
test_asked (Fixture *self, gconstpointer data)
{
  static const char browse[] =
      "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>"
      "<u:Browse xmlns:u=\"urn:x\"><ObjectID>films:</ObjectID></u:Browse></s:Body></s:Envelope>";
  static const char *const action[] = {"SOAPAction", "\"urn:x#Browse\"", NULL};
  static const char *const range[] = {"Range", "bytes=5-", NULL};
  const DlnaClient *client = ask (self, 2, "SEC_HHP_TV", "/Control/x", action, browse);

  g_assert_cmpstr (client->address, ==, "127.0.0.2");
  g_assert_cmpstr (client->agent, ==, "SEC_HHP_TV");
  g_assert_cmpstr (client->quirk->family, ==, "Samsung");
  g_assert_cmpstr (newest (client)->what, ==, "Browse films:");
  g_assert_cmpuint (newest (client)->status, ==, 200);
  ask (self, 2, "SEC_HHP_TV", "/Control/fails", action, browse);
  g_assert_cmpstr (newest (client)->what, ==, "Browse films:, error 701");
  g_assert_cmpuint (newest (client)->status, ==, 500);
  ask (self, 2, "SEC_HHP_TV", "/missing?token=secret", range, NULL);
  ask (self, 2, "SEC_HHP_TV", "/missing?token=secret", range, NULL);
  g_assert_cmpstr (newest (client)->what, ==, "GET /missing (bytes=5-)");
  g_assert_cmpuint (newest (client)->status, ==, 404);
  g_assert_cmpuint (newest (client)->times, ==, 2);
  g_assert_cmpuint (client->events.length, ==, 3);
  g_assert_cmpuint (client->asked, ==, 4);
  g_assert_cmpuint (client->refused, ==, 3);
  g_assert_cmpuint (client->streams, ==, 0);
  g_assert_cmpuint (dlna_clients_list (self->clients)->len, ==, 1);
}

/* What the quirks know apart is apart here too. */
static void
test_apart (Fixture *self, gconstpointer data)
{
  static const char *const bravia[] = {"X-AV-Client-Info", "av=5.0; mn=\"BRAVIA KDL\"", NULL};
  const GPtrArray *list = dlna_clients_list (self->clients);

  g_assert_cmpstr (ask (self, 2, "TV", "/", NULL, NULL)->quirk->family, ==, "other");
  g_assert_cmpstr (ask (self, 2, "TV", "/", bravia, NULL)->quirk->family, ==, "Sony Bravia");
  ask (self, 2, "Other", "/", NULL, NULL);
  ask (self, 3, "TV", "/", NULL, NULL);
  g_assert_cmpuint (list->len, ==, 4);
  g_assert_cmpuint (ask (self, 2, "TV", "/", NULL, NULL)->asked, ==, 2);
  g_assert_cmpuint (list->len, ==, 4);
}

static void
test_bounds (Fixture *self, gconstpointer data)
{
  const GPtrArray *list = dlna_clients_list (self->clients);
  g_autofree char *agent = g_strnfill (3000, 'a');
  const DlnaClient *client = ask (self, 2, agent, "/", NULL, NULL);
  bool found = false;

  g_assert_cmpuint (strlen (client->agent), <, 200);
  for (unsigned i = 0; i < DLNA_CLIENTS_MAX_EVENTS + 6; i++) {
    g_autofree char *path = g_strdup_printf ("/%u", i);
    client = ask (self, 2, agent, path, NULL, NULL);
  }
  g_assert_cmpuint (client->events.length, ==, DLNA_CLIENTS_MAX_EVENTS);
  g_assert_cmpstr (((DlnaClientEvent *)client->events.head->data)->what, ==, "GET /6");

  /* One that has many names pushes out itself alone. */
  for (unsigned i = 0; i < DLNA_CLIENTS_MAX_ALIKE + 3; i++) {
    g_autofree char *name = g_strdup_printf ("name %u", i);
    client = ask (self, 3, name, "/", NULL, NULL);
  }
  g_assert_cmpuint (list->len, ==, 1 + DLNA_CLIENTS_MAX_ALIKE);
  g_assert_cmpstr (((const DlnaClient *)list->pdata[0])->address, ==, "127.0.0.2");
  g_assert_cmpstr (((const DlnaClient *)list->pdata[1])->agent, ==, "name 3");

  for (unsigned i = 0; i < DLNA_CLIENTS_MAX; i++)
    client = ask (self, 10 + i, "TV", "/", NULL, NULL);
  g_assert_cmpuint (list->len, ==, DLNA_CLIENTS_MAX);
  for (guint i = 0; i < list->len; i++)
    found |= strcmp (((const DlnaClient *)list->pdata[i])->address, "127.0.0.2") == 0;
  g_assert_false (found);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function)                                                                        \
  g_test_add ("/dlna/clients/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("what-was-asked-and-refused-is-told", test_asked);
  ADD ("they-are-apart-as-the-quirks-have-it", test_apart);
  ADD ("memory-is-bounded", test_bounds);
  return g_test_run ();
}
