/* SPDX-License-Identifier: Apache-2.0 */
/* A SoupServer that stands for gupnp's: it answers all that the guard lets through. */
#include "dlna/guard.h"
#include "tests/lib/listen.h"
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  SoupServer *server;
  DlnaGuard *guard;
  uint16_t port;
  char *address;
  unsigned let_through, sids;
  bool far;
} Fixture;

static const char *const actions[] = {"Browse", "GetProtocolInfo", NULL};

static bool
is_near (GInetSocketAddress *remote, gpointer data)
{
  return !((Fixture *)data)->far;
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  Fixture *self = data;
  const char *method = soup_server_message_get_method (message);
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);

  self->let_through++;
  if (strcmp (method, "SUBSCRIBE") == 0) {
    g_autofree char *sid = g_strdup_printf ("uuid:%u", ++self->sids);
    soup_message_headers_replace (headers, "SID", sid);
    soup_message_headers_replace (headers, "Timeout", "Second-300");
  }
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
}

static void
set_up (Fixture *self, gconstpointer data)
{
  DlnaGuardOptions options = {.actions = actions, .is_near = is_near, .data = self};

  self->server = soup_server_new (NULL, NULL);
  soup_server_add_handler (self->server, NULL, on_request, self, NULL);
  self->port = listen_local (self->server);
  self->address = g_strdup_printf ("127.0.0.1:%u", self->port);
  options.address = self->address;
  self->guard = dlna_guard_new (self->server, &options);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  dlna_guard_free (self->guard);
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  g_free (self->address);
}

typedef struct {
  uint16_t port;
  const char *head;
  size_t body, chunk; /* bytes after the head; chunk 0 = plain */
  char status[4];
  gint done;
} Exchange;

static bool
send_all (int fd, const char *bytes, size_t n)
{
  while (n > 0) {
    ssize_t sent = send (fd, bytes, n, MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    bytes += sent;
    n -= (size_t)sent;
  }
  return true;
}

static gpointer
exchange_thread (gpointer data)
{
  Exchange *self = data;
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons (self->port),
                           .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
  struct timeval limit = {.tv_sec = 20};
  static char block[65536];
  char reply[4096] = "", size[32];
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  g_assert_cmpint (connect (fd, (struct sockaddr *)&to, sizeof to), ==, 0);
  send_all (fd, self->head, strlen (self->head));
  for (size_t left = self->body; left > 0;) {
    size_t n = MIN (left, self->chunk > 0 ? self->chunk : sizeof block);
    g_snprintf (size, sizeof size, "%zx\r\n", n);
    if ((self->chunk > 0 && !send_all (fd, size, strlen (size))) || !send_all (fd, block, n) ||
        (self->chunk > 0 && !send_all (fd, "\r\n", 2)))
      break; /* refused before its end: the answer says so */
    left -= n;
  }
  if (self->chunk > 0)
    send_all (fd, "0\r\n\r\n", 5);
  if (recv (fd, reply, sizeof reply - 1, 0) > (ssize_t)strlen ("HTTP/1.1 200"))
    memcpy (self->status, reply + strlen ("HTTP/1.1 "), 3);
  close (fd);
  g_atomic_int_set (&self->done, 1);
  g_main_context_wakeup (NULL);
  return NULL;
}

/* The status of the answer; 0 = none. */
static int
exchange_body (Fixture *fixture, const char *request, size_t body, size_t chunk)
{
  g_auto (GStrv) lines = g_strsplit (request, "\n", -1);
  g_autofree char *wire = g_strjoinv ("\r\n", lines);
  g_auto (GStrv) parts = g_strsplit (wire, "ADDRESS", -1);
  g_autofree char *head = g_strjoinv (fixture->address, parts);
  Exchange self = {.port = fixture->port, .head = head, .body = body, .chunk = chunk};
  GThread *thread = g_thread_new ("client", exchange_thread, &self);

  while (!g_atomic_int_get (&self.done))
    g_main_context_iteration (NULL, TRUE);
  g_thread_join (thread);
  return atoi (self.status);
}

static int
exchange (Fixture *fixture, const char *request)
{
  return exchange_body (fixture, request, 0, 0);
}

static DlnaGuardStats
stats_of (Fixture *self)
{
  DlnaGuardStats stats = {0};
  dlna_guard_stats (self->guard, &stats);
  return stats;
}

static void
test_host (Fixture *self, gconstpointer data)
{
  g_assert_cmpint (exchange (self, "GET /x.xml HTTP/1.1\nHost: ADDRESS\n\n"), ==, 200);
  g_assert_cmpint (exchange (self, "GET /x.xml HTTP/1.0\n\n"), ==, 200);
  g_assert_cmpuint (self->let_through, ==, 2);
  g_assert_cmpint (exchange (self, "GET /x.xml HTTP/1.1\nHost: evil.example\n\n"), ==, 421);
  g_assert_cmpint (exchange (self, "GET /x.xml HTTP/1.1\nHost: 127.0.0.1\n\n"), ==, 421);
  g_assert_cmpint (exchange (self, "GET /x.xml HTTP/1.1\nHost: 127.0.0.1:80\n\n"), ==, 421);
  g_assert_cmpint (exchange (self, "GET /x.xml HTTP/1.1\nHost: xADDRESS\n\n"), ==, 421);
  g_assert_cmpint (exchange (self, "POST /Control/X HTTP/1.0\nContent-Length: 0\n\n"), ==, 421);
  g_assert_cmpuint (self->let_through, ==, 2);
  g_assert_cmpuint (stats_of (self).wrong_host, ==, 5);
}

static void
test_far (Fixture *self, gconstpointer data)
{
  self->far = true;
  g_assert_cmpint (exchange (self, "GET /x.xml HTTP/1.1\nHost: ADDRESS\n\n"), ==, 403);
  g_assert_cmpuint (self->let_through, ==, 0);
  g_assert_cmpuint (stats_of (self).far, ==, 1);
}

/* Highest resident memory so far, in KiB. */
static uint64_t
peak_memory (void)
{
  g_autofree char *status = NULL;
  const char *line;

  g_assert_true (g_file_get_contents ("/proc/self/status", &status, NULL, NULL));
  line = strstr (status, "VmHWM:");
  g_assert_nonnull (line);
  return g_ascii_strtoull (line + strlen ("VmHWM:"), NULL, 10);
}

#define HUGE_BODY 104857600

static void
test_body (Fixture *self, gconstpointer data)
{
  static const char length[] = "POST /Control/X HTTP/1.1\nHost: ADDRESS\nSOAPAction: \"a#Browse\"\n"
                               "Content-Length: 104857600\n\n";
  static const char chunked[] =
      "POST /Control/X HTTP/1.1\nHost: ADDRESS\nSOAPAction: \"a#Browse\"\n"
      "Transfer-Encoding: chunked\n\n";
  static const char elsewhere[] = "POST / HTTP/1.1\nHost: ADDRESS\nTransfer-Encoding: chunked\n\n";
  uint64_t before;
  int status;

  g_assert_cmpint (exchange_body (self, elsewhere, 65536, 4096), ==, 200);
  before = peak_memory ();
  /* An answer may be overtaken by the reset of a connection whose rest nobody reads. */
  status = exchange_body (self, length, HUGE_BODY, 0);
  g_assert_true (status == 413 || status == 0);
  status = exchange_body (self, chunked, HUGE_BODY, 65536);
  g_assert_true (status == 413 || status == 0);
  status = exchange_body (self, elsewhere, 65537, 4096);
  g_assert_true (status == 413 || status == 0);
  g_assert_cmpuint (stats_of (self).too_large, ==, 3);
  g_assert_cmpuint (self->let_through, ==, 1);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what is freed for a while */
  g_assert_cmpuint (peak_memory () - before, <, 4096);
#else
  (void)before;
#endif
}

static int
soap (Fixture *self, const char *action, const char *body)
{
  g_autofree char *request = g_strdup_printf (
      "POST /Control/X HTTP/1.1\nHost: ADDRESS\nSOAPAction: %s\nContent-Length: %zu\n\n%s", action,
      strlen (body), body);
  return exchange (self, request);
}

#define ENVELOPE(body)                                                                             \
  "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">"      \
  "<s:Body>" body "</s:Body></s:Envelope>"
#define BROWSE "<u:Browse xmlns:u=\"urn:x\"><ObjectID>0</ObjectID></u:Browse>"

static void
test_soap (Fixture *self, gconstpointer data)
{
  g_assert_cmpint (soap (self, "\"urn:x#Browse\"", ENVELOPE (BROWSE)), ==, 200);
  g_assert_cmpint (soap (self, "urn:x#Browse", ENVELOPE (BROWSE)), ==, 200);
  g_assert_cmpuint (self->let_through, ==, 2);
  /* unknown names: 500 is a SOAP fault, 401 */
  g_assert_cmpint (soap (self, "\"urn:x#Browse2\"", ENVELOPE (BROWSE)), ==, 500);
  g_assert_cmpint (soap (self, "\"urn:x#\"", ENVELOPE (BROWSE)), ==, 500);
  g_assert_cmpint (soap (self, "\"urn:x\"", ENVELOPE (BROWSE)), ==, 500);
  /* a body without the action */
  g_assert_cmpint (soap (self, "\"urn:x#GetProtocolInfo\"", ENVELOPE (BROWSE)), ==, 400);
  g_assert_cmpint (soap (self, "\"urn:x#Browse\"", ENVELOPE ("<!-- Browse -->")), ==, 400);
  g_assert_cmpint (soap (self, "\"urn:x#Browse\"", "Browse"), ==, 400);
  g_assert_cmpint (soap (self, "\"urn:x#Browse\"", ""), ==, 400);
  g_assert_cmpint (soap (self, "\"urn:x#Browse\"",
                         "<!DOCTYPE x [<!ENTITY a 'b'>]><Envelope><Body>" BROWSE
                         "</Body></Envelope>"),
                   ==, 400);
  g_assert_cmpuint (self->let_through, ==, 2);
  g_assert_cmpuint (stats_of (self).bad_action, ==, 8);
}

static int
subscribe (Fixture *self, const char *callback)
{
  g_autofree char *request =
      g_strdup_printf ("SUBSCRIBE /Event/X HTTP/1.1\nHost: ADDRESS\nCallback: %s\nNT: upnp:event\n"
                       "Timeout: Second-infinite\n\n",
                       callback);
  return exchange (self, request);
}

static void
test_callbacks (Fixture *self, gconstpointer data)
{
  static const char *const refused[] = {
      "",
      "http://127.0.0.1:80/",
      "<http://127.0.0.1:80/",
      "<http://192.168.1.7/x>",
      "<http://127.0.0.1/x><http://192.168.1.7/x>",
      "<http://localhost/x>",
      "<http://some.host.example/x>",
      "<https://127.0.0.1/x>",
      "<ftp://127.0.0.1/x>",
      "<>",
      ("<http://127.0.0.1/1><http://127.0.0.1/2><http://127.0.0.1/3><http://127.0.0.1/4>"
       "<http://127.0.0.1/5><http://127.0.0.1/6><http://127.0.0.1/7>"),
  };

  for (size_t i = 0; i < G_N_ELEMENTS (refused); i++)
    g_assert_cmpint (subscribe (self, refused[i]), ==, 412);
  g_assert_cmpuint (self->let_through, ==, 0);
  g_assert_cmpint (subscribe (self, "<http://127.0.0.1:4004/a>"), ==, 200);
  g_assert_cmpint (subscribe (self, "<http://127.0.0.1/a> <http://127.0.0.1:1/b>"), ==, 200);
  g_assert_cmpuint (stats_of (self).bad_callback, ==, G_N_ELEMENTS (refused));
  g_assert_cmpuint (stats_of (self).subscriptions, ==, 2);
}

static void
test_subscription_limit (Fixture *self, gconstpointer data)
{
  for (int i = 0; i < 8; i++)
    g_assert_cmpint (subscribe (self, "<http://127.0.0.1:4004/a>"), ==, 200);
  g_assert_cmpint (subscribe (self, "<http://127.0.0.1:4004/a>"), ==, 503);
  g_assert_cmpuint (stats_of (self).subscriptions, ==, 8);
  g_assert_cmpuint (stats_of (self).too_many_subscriptions, ==, 1);
  /* a renewal is no new one, and one that leaves makes room */
  g_assert_cmpint (exchange (self, "UNSUBSCRIBE /Event/X HTTP/1.1\nHost: ADDRESS\nSID: uuid:3\n\n"),
                   ==, 200);
  g_assert_cmpuint (stats_of (self).subscriptions, ==, 7);
  g_assert_cmpint (subscribe (self, "<http://127.0.0.1:4004/a>"), ==, 200);
  g_assert_cmpint (subscribe (self, "<http://127.0.0.1:4004/a>"), ==, 503);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add ("/dlna/guard/" name, Fixture, NULL, set_up, test, tear_down)
  ADD ("another-host-is-refused", test_host);
  ADD ("who-is-not-near-is-refused", test_far);
  ADD ("a-body-of-100-mb-costs-nothing", test_body);
  ADD ("an-action-must-be-known-and-in-the-body", test_soap);
  ADD ("callbacks-are-of-the-one-who-asks", test_callbacks);
  ADD ("subscriptions-have-a-limit", test_subscription_limit);
#undef ADD
  return g_test_run ();
}
