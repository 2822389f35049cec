/* SPDX-License-Identifier: Apache-2.0 */
/* What an unfriendly network does to an HTTP server, done to ours; both ends are in this process,
 * on loopback. */
#include "peer/net/listener.h"

#include "tests/lib/clock.h"
#include "tests/lib/listen.h"
#include "tests/lib/wait.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 60000
#define BIG (8 * 1024 * 1024)

typedef struct {
  SoupServer *server;
  NetListener *listener;
  uint16_t port;
  unsigned handled; /* requests that reached a handler */
  size_t streamed;  /* bytes that the early handler of /ingest saw */
  size_t body;      /* bytes of the last request's body */
} Fixture;

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  Fixture *f = data;
  f->handled++;
  f->body = (size_t)soup_server_message_get_request_body (message)->length;
  if (g_str_equal (path, "/big")) {
    static char big[BIG];
    soup_server_message_set_response (message, "video/mp2t", SOUP_MEMORY_STATIC, big, sizeof big);
  } else {
    soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_STATIC, "hello", 5);
  }
  soup_server_message_set_status (message, 200, NULL);
}

static void
on_ingest_chunk (SoupServerMessage *message, GBytes *chunk, gpointer data)
{
  Fixture *f = data;
  f->streamed += g_bytes_get_size (chunk);
}

static void
on_ingest (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
           gpointer data)
{
  Fixture *f = data;
  f->handled++;
  g_signal_connect (message, "got-chunk", G_CALLBACK (on_ingest_chunk), f);
}

static void
on_ingest_done (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
                gpointer data)
{
  Fixture *f = data;
  f->body = (size_t)soup_server_message_get_request_body (message)->length;
  soup_server_message_set_status (message, 204, NULL);
}

static void
setup_with (Fixture *f, const NetListenerOptions *options)
{
  g_autoptr (GError) error = NULL;
  f->server = soup_server_new (NULL, NULL);
  soup_server_add_handler (f->server, NULL, on_request, f, NULL);
  soup_server_add_early_handler (f->server, "/ingest", on_ingest, f, NULL);
  soup_server_add_handler (f->server, "/ingest", on_ingest_done, f, NULL);
  f->listener = net_listener_new (f->server, options);
  net_listener_allow_body (f->listener, "/ingest/");
  f->port = net_listener_add (f->listener, "127.0.0.1:0", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (f->port, !=, 0);
}

static void
teardown (Fixture *f)
{
  net_listener_free (f->listener);
  soup_server_disconnect (f->server);
  g_object_unref (f->server);
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static NetListenerStats
stats_of (Fixture *f)
{
  NetListenerStats stats;
  net_listener_stats (f->listener, &stats);
  return stats;
}

static bool
come_to_connections (Fixture *f, unsigned n)
{
  int64_t end = 0;
  while (stats_of (f).connections != n && wait_turn (&end))
    ;
  return stats_of (f).connections == n;
}

static GSocket *
dial (uint16_t port)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) to = g_inet_socket_address_new_from_string ("127.0.0.1", port);
  GSocket *socket =
      g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);
  g_assert_no_error (error);
  g_socket_connect (socket, to, NULL, &error);
  g_assert_no_error (error);
  g_socket_set_blocking (socket, FALSE);
  return socket;
}

/* Writes it all, if the other end lets us. */
static bool
say (GSocket *socket, const char *text, size_t n)
{
  int64_t end = 0;
  while (n > 0 && wait_turn (&end)) {
    gssize sent = send (g_socket_get_fd (socket), text, n, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
      return false;
    if (sent > 0) {
      text += sent;
      n -= (size_t)sent;
    }
  }
  return n == 0;
}

/* All that comes until it ends, or until it holds the text. */
static char *
hear (GSocket *socket, const char *until, bool *ended)
{
  GString *heard = g_string_new (NULL);
  int64_t end = 0;
  *ended = false;
  do {
    char buffer[65536];
    gssize n = recv (g_socket_get_fd (socket), buffer, sizeof buffer, 0);
    if (n > 0)
      g_string_append_len (heard, buffer, n);
    *ended = n == 0 || (n < 0 && errno != EAGAIN);
    if (*ended || (until != NULL && strstr (heard->str, until) != NULL))
      break;
  } while (wait_turn (&end));
  return g_string_free (heard, FALSE);
}

static guint
status_of (const char *response)
{
  return strncmp (response, "HTTP/1.1 ", 9) == 0 ? (guint)atoi (response + 9) : 0;
}

static guint
ask (Fixture *f, const char *request)
{
  bool ended;
  g_autoptr (GSocket) socket = dial (f->port);
  say (socket, request, strlen (request));
  g_autofree char *response = hear (socket, "\r\n\r\n", &ended);
  return status_of (response);
}

static void
keeps_alive (void)
{
  Fixture f = {0};
  NetListenerOptions options = {0};
  setup_with (&f, &options);
  g_autoptr (GSocket) socket = dial (f.port);
  for (unsigned i = 0; i < 3; i++) {
    bool ended;
    say (socket, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    g_autofree char *response = hear (socket, "hello", &ended);
    g_assert_cmpuint (status_of (response), ==, 200);
    g_assert_false (ended);
  }
  NetListenerStats stats = stats_of (&f);
  g_assert_cmpuint (stats.accepted, ==, 1);
  g_assert_cmpuint (stats.connections, ==, 1);
  g_assert_cmpuint (f.handled, ==, 3);
  teardown (&f);
}

static void
connections_are_counted_down (void)
{
  Fixture f = {0};
  NetListenerOptions options = {0};
  setup_with (&f, &options);
  for (unsigned i = 0; i < 5; i++)
    g_assert_cmpuint (ask (&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ==, 200);
  g_assert_true (come_to_connections (&f, 0));
  g_assert_cmpuint (stats_of (&f).accepted, ==, 5);
  teardown (&f);
}

/* A router's page is asked for on the home's side by the home's address; one that the Internet has
 * for the same machine, or the home's on another interface, is a stranger's name for it. */
static void
another_address_of_ours_is_a_strange_host (void)
{
  Fixture f = {0};
  NetListenerOptions options = {.check_host = true};
  struct ifaddrs *interfaces;
  unsigned asked = 0;
  g_assert_cmpint (getifaddrs (&interfaces), ==, 0);
  setup_with (&f, &options);
  for (struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
    char ip[INET_ADDRSTRLEN];
    if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK))
      continue;
    inet_ntop (AF_INET, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, ip, sizeof ip);
    g_autofree char *request = g_strdup_printf ("GET / HTTP/1.1\r\nHost: %s\r\n\r\n", ip);
    g_assert_cmpuint (ask (&f, request), ==, 421);
    asked++;
  }
  freeifaddrs (interfaces);
  g_assert_cmpuint (f.handled, ==, 0);
  teardown (&f);
  if (asked == 0)
    g_test_skip ("this machine has no address but loopback");
}

static void
strange_host_reaches_no_handler (void)
{
  static const struct {
    const char *host;
    guint status;
  } rows[] = {
      {"127.0.0.1", 200},
      {"127.0.0.1:8574", 200},
      {"localhost", 200},
      {"LocalHost:80", 200},
      {"gateway.lan", 200},
      {"GATEWAY.lan.:80", 200},
      {"evil.example", 421},
      {"evil.example:80", 421},
      {"192.0.2.77", 421},
      {"[::1]:80", 200},
      {"[2001:db8::77]", 421},
      {"gateway.lan.evil.example", 421},
      {"127.0.0.1.evil.example", 421},
      {"localhost, evil.example", 400},
  };
  static const char *const names[] = {"gateway.lan", NULL};
  Fixture f = {0};
  NetListenerOptions options = {.check_host = true, .host_names = names};
  setup_with (&f, &options);
  unsigned wrong = 0;
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *request = g_strdup_printf ("GET / HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i].host);
    unsigned before = f.handled;
    guint status = ask (&f, request);
    g_test_message ("%s: %u", rows[i].host, status);
    g_assert_cmpuint (status == 400 ? 421 : status, ==,
                      rows[i].status == 400 ? 421 : rows[i].status);
    g_assert_cmpuint (f.handled - before, ==, rows[i].status == 200 ? 1 : 0);
    if (status == 421)
      wrong++;
  }
  g_assert_cmpuint (stats_of (&f).wrong_host, ==, wrong);
  /* Nor an early one, which libsoup calls before it tells anyone of the headers. */
  unsigned before = f.handled;
  g_assert_cmpuint (ask (&f, "PUT /ingest/a HTTP/1.1\r\nHost: evil.example\r\n"
                             "Content-Length: 3\r\n\r\nabc"),
                    ==, 421);
  g_assert_cmpuint (f.handled, ==, before);
  g_assert_cmpuint (f.streamed, ==, 0);
  teardown (&f);
}

static void
big_bodies_are_refused (void)
{
  Fixture f = {0};
  NetListenerOptions options = {.max_body = 1000};
  setup_with (&f, &options);
  g_assert_cmpuint (ask (&f, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"), ==,
                    200);
  g_assert_cmpuint (f.body, ==, 3);
  g_autofree char *thousand = g_strnfill (1000, 'a');
  g_autofree char *fits =
      g_strdup_printf ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n%s", thousand);
  g_assert_cmpuint (ask (&f, fits), ==, 200);
  g_assert_cmpuint (f.body, ==, 1000);
  g_autofree char *over =
      g_strdup_printf ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n%sa", thousand);
  g_assert_cmpuint (ask (&f, over), ==, 413);
  /* 1001 in hex; its length is nowhere announced. */
  g_autofree char *chunked = g_strdup_printf (
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n%sa\r\n0\r\n\r\n",
      thousand);
  g_assert_cmpuint (ask (&f, chunked), ==, 413);
  g_assert_cmpuint (stats_of (&f).too_large, ==, 2);
  g_assert_cmpuint (f.handled, ==, 2);
  /* Who expects to be asked is told at once, and is not asked to send. */
  g_assert_cmpuint (ask (&f, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                             "Content-Length: 9000000\r\n\r\n"),
                    ==, 413);
  teardown (&f);
}

static void
endless_refused_body_is_cut (void)
{
  Fixture f = {0};
  NetListenerOptions options = {.max_body = 1000};
  setup_with (&f, &options);
  g_autoptr (GSocket) socket = dial (f.port);
  static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\n\r\n";
  g_assert_true (say (socket, head, sizeof head - 1));
  g_autofree char *piece = g_strnfill (65536, 'a');
  size_t sent = 0;
  while (sent < 90000000 && say (socket, piece, 65536))
    sent += 65536;
  g_assert_cmpuint (sent, <, 30000000); /* what the kernel's buffers took, beyond what we read */
  g_assert_cmpuint (f.handled, ==, 0);
  teardown (&f);
}

static void
ingest_is_streamed_and_not_kept (void)
{
  Fixture f = {0};
  NetListenerOptions options = {.max_body = 1000};
  setup_with (&f, &options);
  bool ended;
  g_autoptr (GSocket) socket = dial (f.port);
  static const char head[] = "PUT /ingest/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n";
  g_assert_true (say (socket, head, sizeof head - 1));
  g_autofree char *piece = g_strnfill (65536, 'a');
  for (unsigned i = 0; i < 16; i++)
    g_assert_true (say (socket, piece, 65536));
  g_autofree char *response = hear (socket, "\r\n\r\n", &ended);
  g_assert_cmpuint (status_of (response), ==, 204);
  g_assert_cmpuint (f.streamed, ==, 1048576);
  g_assert_cmpuint (f.body, ==, 0);
  teardown (&f);
}

static void
limit_of_connections_spares_the_active (void)
{
  Fixture f = {0};
  NetListenerOptions options = {.max_connections = 4};
  setup_with (&f, &options);
  bool ended;
  GSocket *held[4];
  for (unsigned i = 0; i < 4; i++) {
    held[i] = dial (f.port);
    g_assert_true (come_to_connections (&f, i + 1));
  }
  /* All four are amid their headers: there is no room. */
  g_assert_cmpuint (ask (&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ==, 0);
  g_assert_cmpuint (stats_of (&f).refused, ==, 1);
  /* One that has its response, and only waits, makes room. */
  say (held[0], "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
  g_autofree char *response = hear (held[0], "hello", &ended);
  g_assert_cmpuint (status_of (response), ==, 200);
  g_assert_cmpuint (ask (&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ==, 200);
  g_autofree char *end = hear (held[0], NULL, &ended);
  g_assert_cmpstr (end, ==, "");
  g_assert_true (ended);
  for (unsigned i = 0; i < 4; i++)
    g_object_unref (held[i]);
  teardown (&f);
}

/* The other end's host has gone: nothing that we send arrives, nothing comes back. */
static void
unplug (GSocket *socket)
{
  struct sock_filter drop = BPF_STMT (BPF_RET | BPF_K, 0);
  struct sock_fprog program = {1, &drop};
  int failed =
      setsockopt (g_socket_get_fd (socket), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  g_assert_cmpint (failed, ==, 0);
}

static void
hear_something (GSocket *socket)
{
  char buffer[65536];
  int64_t end = 0;
  while (recv (g_socket_get_fd (socket), buffer, sizeof buffer, 0) <= 0)
    g_assert_true (wait_turn (&end));
}

/* Until all we sent has arrived at the other end, and it, which is in this process too, has nothing
 * more to do. */
static void
let_be_read (GSocket *socket)
{
  int unread = 1;
  int64_t end = 0;
  while (ioctl (g_socket_get_fd (socket), SIOCOUTQ, &unread) == 0 && unread > 0)
    g_assert_true (wait_turn (&end));
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
slow_ones_are_cut_and_readers_are_not (void)
{
  Fixture f = {0};
  NetListenerOptions options = {.header_timeout = 1, .idle_timeout = 1, .vanish_timeout = 1};
  setup_with (&f, &options);
  bool ended;
  g_autoptr (GSocket) silent = dial (f.port);
  g_autoptr (GSocket) drip = dial (f.port);
  g_autoptr (GSocket) body = dial (f.port);
  g_autoptr (GSocket) idle = dial (f.port);
  g_autoptr (GSocket) paused = dial (f.port);
  g_autoptr (GSocket) vanished = dial (f.port);
  static const char big[] = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n";
  say (paused, big, sizeof big - 1);
  say (vanished, big, sizeof big - 1);
  say (idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
  static const char half[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc";
  say (body, half, sizeof half - 1);
  say (drip, "GET / HTTP/1.1\r\n", 16);
  g_autofree char *hello = hear (idle, "hello", &ended);
  g_assert_cmpuint (status_of (hello), ==, 200);
  g_assert_false (ended);
  char buffer[65536];
  hear_something (vanished);
  unplug (vanished);
  hear_something (vanished); /* opens its window again, so that there is something to lose */

  /* Almost at the limit; each byte that drips is read, and none buys time. */
  for (unsigned i = 0; i < 9; i++) {
    clock_advance (G_USEC_PER_SEC / 10);
    send (g_socket_get_fd (drip), "a", 1, MSG_NOSIGNAL);
    let_be_read (drip);
  }
  g_assert_cmpuint (stats_of (&f).timed_out, ==, 0);
  g_assert_cmpuint (stats_of (&f).connections, ==, 6);
  int64_t end = 0;
  while (stats_of (&f).connections > 1 && wait_turn (&end))
    clock_advance (1000);
  g_assert_cmpuint (stats_of (&f).connections, ==, 1);
  g_assert_cmpuint (stats_of (&f).timed_out, ==, 5);
  GSocket *cut[] = {silent, drip, body, idle};
  for (unsigned i = 0; i < G_N_ELEMENTS (cut); i++) {
    g_autofree char *rest = hear (cut[i], NULL, &ended);
    g_assert_null (strstr (rest, "hello"));
    g_assert_true (ended);
  }
  /* The one that stopped reading goes on where it stopped. */
  size_t got = 0;
  for (end = 0; got < BIG && wait_turn (&end);) {
    gssize n = recv (g_socket_get_fd (paused), buffer, sizeof buffer, 0);
    got += n > 0 ? (size_t)n : 0;
  }
  g_assert_cmpuint (got, >=, BIG);
  teardown (&f);
}

/* Where responses are short, who never reads one is as slow as who never ends a request. */
static void
who_never_reads_is_cut_where_responses_are_short (void)
{
  Fixture f = {0};
  NetListenerOptions options = {.response_timeout = 30};
  setup_with (&f, &options);
  g_autoptr (GSocket) paused = dial (f.port);
  static const char big[] = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n";
  say (paused, big, sizeof big - 1);
  hear_something (paused);
  clock_advance (29 * G_USEC_PER_SEC);
  g_assert_cmpuint (ask (&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ==, 200);
  g_assert_cmpuint (stats_of (&f).timed_out, ==, 0);
  clock_advance (2 * G_USEC_PER_SEC);
  g_assert_true (come_to_connections (&f, 0));
  g_assert_cmpuint (stats_of (&f).timed_out, ==, 1);
  teardown (&f);
}

static bool
admit_three (GInetSocketAddress *remote, gpointer data)
{
  g_assert_cmpuint (g_inet_socket_address_get_port (remote), !=, 0);
  return ++*(unsigned *)data <= 3;
}

static void
who_is_not_admitted_is_hung_up_on (void)
{
  Fixture f = {0};
  unsigned asked = 0;
  NetListenerOptions options = {.admit = admit_three, .data = &asked};
  setup_with (&f, &options);
  for (unsigned i = 0; i < 5; i++)
    g_assert_cmpuint (ask (&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ==, i < 3 ? 200 : 0);
  g_assert_cmpuint (asked, ==, 5);
  g_assert_cmpuint (stats_of (&f).refused, ==, 2);
  teardown (&f);
}

/* In a process of its own: more connections than the server has descriptors for. */
static void
exhaust (uint16_t port)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons (port)};
  to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  int fds[120];
  struct pollfd polled[G_N_ELEMENTS (fds)];
  unsigned ended = 0;
  for (unsigned i = 0; i < G_N_ELEMENTS (fds); i++) {
    fds[i] = socket (AF_INET, SOCK_STREAM, 0);
    if (connect (fds[i], (struct sockaddr *)&to, sizeof to) != 0)
      _exit (10);
  }
  /* Those for whom there is no room are told so. */
  for (unsigned i = 0; i < G_N_ELEMENTS (fds); i++)
    polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
  while (ended < 20) {
    if (poll (polled, G_N_ELEMENTS (polled), PATIENCE_MS) <= 0)
      _exit (11);
    for (unsigned i = 0; i < G_N_ELEMENTS (fds); i++) {
      if (polled[i].revents == 0)
        continue;
      polled[i].fd = -1;
      ended++;
    }
  }
  for (unsigned i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  struct timeval wait = {.tv_sec = PATIENCE_MS / 1000};
  char buffer[1000];
  for (unsigned tries = 0; tries < 1000; tries++) { /* the server sees the others go one by one */
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (connect (fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        send (fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, MSG_NOSIGNAL) == 27 &&
        recv (fd, buffer, sizeof buffer, 0) > 12 && memcmp (buffer + 9, "200", 3) == 0)
      _exit (0);
    close (fd);
    usleep (20000);
  }
  _exit (12);
}

static void
survives_without_descriptors (void)
{
  Fixture f = {0};
  NetListenerOptions options = {.max_connections = 1000};
  setup_with (&f, &options);
  struct rlimit old, low;
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &old), ==, 0);
  pid_t child = fork ();
  if (child == 0)
    exhaust (f.port);
  int highest = dup (0);
  close (highest);
  low = (struct rlimit){(rlim_t)highest + 60, old.rlim_max};
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &low), ==, 0);
  int status = -1;
  int64_t end = 0;
  while (waitpid (child, &status, WNOHANG) == 0 && wait_turn (&end))
    ;
  setrlimit (RLIMIT_NOFILE, &old);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  g_assert_cmpuint (stats_of (&f).accept_failures, >, 0);
  teardown (&f);
}

/* Two at one address, here in one thread: who is about to serve one leaves the next to the other. */
static void
sharers_take_turns (void)
{
  Fixture f = {0};
  g_autoptr (GError) error = NULL;
  NetListenerOptions options = {.max_connections = 2};
  setup_with (&f, &options);
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_main_context_push_thread_default (context);
  SoupServer *server = soup_server_new (NULL, NULL);
  NetListener *other = net_listener_new (server, &(NetListenerOptions){0});
  g_assert_true (net_listener_share (other, f.listener, &error));
  g_main_context_pop_thread_default (context);
  GSocket *sockets[] = {dial (f.port), dial (f.port), dial (f.port)};
  while (stats_of (&f).accepted == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (stats_of (&f).accepted, ==, 1);
  while (stats_of (&f).accepted == 1)
    g_main_context_iteration (context, TRUE);
  g_assert_cmpuint (stats_of (&f).accepted, ==, 2);
  while (stats_of (&f).refused == 0) /* the limit is of both */
    g_main_context_iteration (context, TRUE);
  g_assert_cmpuint (stats_of (&f).connections, ==, 2);
  for (unsigned i = 0; i < G_N_ELEMENTS (sockets); i++)
    g_object_unref (sockets[i]);
  net_listener_free (other);
  soup_server_disconnect (server);
  g_object_unref (server);
  teardown (&f);
}

static void
errors_say_what_to_do (void)
{
  Fixture f = {0};
  NetListenerOptions options = {0};
  setup_with (&f, &options);
  g_autoptr (GError) error = NULL;
  g_autofree char *taken = g_strdup_printf ("127.0.0.1:%u", f.port);
  g_assert_cmpuint (net_listener_add (f.listener, taken, &error), ==, 0);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  g_assert_nonnull (strstr (error->message, taken));
  g_assert_nonnull (strstr (error->message, "choose another"));
  g_assert_null (strchr (error->message, '\n'));
  static const char *const wrong[] = {
      "",        "8080",  "host:1",  "127.0.0.1:", "::1:80",    "1.2.3.4:65536",
      "[::1:80", "[]:80", "[::1]80", "1.2.3.4:-1", "1.2.3:80x", ":80"};
  for (unsigned i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) refused = NULL;
    g_assert_cmpuint (net_listener_add (f.listener, wrong[i], &refused), ==, 0);
    g_assert_error (refused, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  }
  g_autoptr (GError) foreign = NULL;
  g_assert_cmpuint (net_listener_add (f.listener, "192.0.2.1:0", &foreign), ==, 0);
  g_assert_nonnull (strstr (foreign->message, "192.0.2.1"));
  teardown (&f);
}

static void
addresses_come_and_go (void)
{
  Fixture f = {0};
  NetListenerOptions options = {0};
  setup_with (&f, &options);
  g_autoptr (GError) error = NULL;
  uint16_t both = net_listener_add (f.listener, "[::]:0", &error);
  g_assert_no_error (error);
  uint16_t first = f.port;
  f.port = both; /* dial() comes by IPv4 */
  g_assert_cmpuint (ask (&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ==, 200);
  net_listener_remove (f.listener, "127.0.0.1:0");
  g_assert_cmpuint (ask (&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ==, 200);
  g_autofree char *again = g_strdup_printf ("127.0.0.1:%u", first);
  g_assert_cmpuint (net_listener_add (f.listener, again, &error), ==, first);
  g_assert_no_error (error);
  f.port = first;
  g_assert_cmpuint (ask (&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ==, 200);
  /* gupnp asks its server where it listens. */
  GSList *uris = soup_server_get_uris (f.server);
  g_assert_cmpuint (g_slist_length (uris), ==, 3);
  g_slist_free_full (uris, (GDestroyNotify)g_uri_unref);
  teardown (&f);
}

static void
takes_over_a_listening_server (void)
{
  g_autoptr (GError) error = NULL;
  Fixture f = {0};
  f.server = soup_server_new (NULL, NULL);
  soup_server_add_handler (f.server, NULL, on_request, &f, NULL);
  uint16_t port = listen_local (f.server);
  soup_server_disconnect (f.server);
  NetListenerOptions options = {0};
  f.listener = net_listener_new (f.server, &options);
  g_autofree char *address = g_strdup_printf ("127.0.0.1:%u", port);
  f.port = net_listener_add (f.listener, address, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (f.port, ==, port);
  g_assert_cmpuint (ask (&f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ==, 200);
  g_assert_cmpuint (stats_of (&f).accepted, ==, 1);
  teardown (&f);
}

static void
response_outlives_the_listener (void)
{
  Fixture f = {0};
  NetListenerOptions options = {0};
  setup_with (&f, &options);
  bool ended;
  g_autoptr (GSocket) socket = dial (f.port);
  static const char big[] = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n";
  say (socket, big, sizeof big - 1);
  g_autofree char *head = hear (socket, "\r\n\r\n", &ended);
  net_listener_free (f.listener);
  size_t got = strlen (head);
  int64_t end = 0;
  for (ended = false; !ended && wait_turn (&end);) {
    char buffer[65536];
    gssize n = recv (g_socket_get_fd (socket), buffer, sizeof buffer, 0);
    ended = n == 0;
    got += n > 0 ? (size_t)n : 0;
  }
  g_assert_true (ended);
  g_assert_cmpuint (got, >=,
                    BIG / 2); /* hear() counts text: zeros after the header are not in it */
  g_object_unref (f.server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/listener/keeps-alive", keeps_alive);
  g_test_add_func ("/net/listener/connections-are-counted-down", connections_are_counted_down);
  g_test_add_func ("/net/listener/strange-host-reaches-no-handler",
                   strange_host_reaches_no_handler);
  g_test_add_func ("/net/listener/another-address-of-ours-is-a-strange-host",
                   another_address_of_ours_is_a_strange_host);
  g_test_add_func ("/net/listener/big-bodies-are-refused", big_bodies_are_refused);
  g_test_add_func ("/net/listener/endless-refused-body-is-cut", endless_refused_body_is_cut);
  g_test_add_func ("/net/listener/ingest-is-streamed-and-not-kept",
                   ingest_is_streamed_and_not_kept);
  g_test_add_func ("/net/listener/limit-of-connections-spares-the-active",
                   limit_of_connections_spares_the_active);
  g_test_add_func ("/net/listener/slow-ones-are-cut-and-readers-are-not",
                   slow_ones_are_cut_and_readers_are_not);
  g_test_add_func ("/net/listener/who-never-reads-is-cut-where-responses-are-short",
                   who_never_reads_is_cut_where_responses_are_short);
  g_test_add_func ("/net/listener/who-is-not-admitted-is-hung-up-on",
                   who_is_not_admitted_is_hung_up_on);
  g_test_add_func ("/net/listener/survives-without-descriptors", survives_without_descriptors);
  g_test_add_func ("/net/listener/sharers-take-turns", sharers_take_turns);
  g_test_add_func ("/net/listener/errors-say-what-to-do", errors_say_what_to_do);
  g_test_add_func ("/net/listener/addresses-come-and-go", addresses_come_and_go);
  g_test_add_func ("/net/listener/takes-over-a-listening-server", takes_over_a_listening_server);
  g_test_add_func ("/net/listener/response-outlives-the-listener", response_outlives_the_listener);
  return g_test_run ();
}
