/* SPDX-License-Identifier: Apache-2.0 */
/* What a request costs a tracker over HTTP, beside a handler that does nothing: both behind the same
 * listener, in the main thread, asked by the same client in another. CPU time of the main thread counts,
 * so what else the machine does does not matter. Then what two threads answer beside one, in requests a
 * second: here it does matter, and so does the client, which takes its share of two cores.
 *
 *     tracker [REQUESTS]
 */
#include "peer/net/listener.h"
#include "peer/trackerd/server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 16
#define PEERS 1000u

typedef struct {
  uint16_t port;
  const char *body; /* one for all, or NULL = a CONNECT of each of the peers */
  unsigned n;
  GMainLoop *loop;
  double cpu; /* s: what its thread took */
} Client;

static double
cpu_time (clockid_t of)
{
  struct timespec now;
  clock_gettime (of, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int
connect_to (uint16_t port)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons (port)};
  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (fd < 0 || connect (fd, (struct sockaddr *)&address, sizeof address) != 0)
    g_error ("cannot connect");
  return fd;
}

static char *
request_of (const char *body)
{
  return g_strdup_printf ("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                          "application/ppsp-tracker+json\r\nContent-Length: %zu\r\n\r\n%s",
                          strlen (body), body);
}

static void
ask (int fd, const char *request)
{
  size_t n = strlen (request);
  if (write (fd, request, n) != (ssize_t)n)
    g_error ("cannot write");
}

static void
hear (int fd)
{
  static char answer[65536];
  size_t n = 0;
  const char *end = NULL, *length = NULL;
  while (end == NULL ||
         n < (size_t)(end - answer) + 4 + (length ? strtoul (length, NULL, 10) : 0)) {
    ssize_t got = read (fd, answer + n, sizeof answer - 1 - n);
    if (got <= 0)
      g_error ("no answer");
    n += (size_t)got;
    answer[n] = 0;
    end = strstr (answer, "\r\n\r\n");
    length = strstr (answer, "Content-Length: ");
    length = length != NULL ? length + strlen ("Content-Length: ") : NULL;
  }
  if (strncmp (answer, "HTTP/1.1 200", 12) != 0)
    g_error ("%s", answer);
}

#define CONNECT_TEXT                                                                               \
  "{\"PPSPTrackerProtocol\":{\"version\":1,\"request_type\":\"CONNECT\",\"transaction_id\":"       \
  "\"%u\",\"peer_id\":\"%032x\",\"connect\":{\"peer_addr\":[{\"ip_address\":{\"address_type\":"    \
  "\"ipv4\",\"address\":\"127.0.0.1\"},\"port\":%u,\"priority\":1,\"type\":\"HOST\"}],"            \
  "\"swarm_action\":[{\"swarm_id\":\"s\",\"action\":\"JOIN\",\"peer_mode\":\"LEECH\"}]}}}"

static void
ask_next (const Client *self, int fd, unsigned peer, const char *request)
{
  if (request != NULL) {
    ask (fd, request);
    return;
  }
  g_autofree char *body = g_strdup_printf (CONNECT_TEXT, peer, peer, 1024 + peer);
  g_autofree char *text = request_of (body);
  ask (fd, text);
}

/* Each connection asks again as soon as it has its answer. */
static gpointer
run (gpointer data)
{
  Client *self = data;
  int fds[CONNECTIONS], epoll = epoll_create1 (EPOLL_CLOEXEC);
  unsigned asked = 0, heard = 0;
  g_autofree char *request = self->body != NULL ? request_of (self->body) : NULL;
  for (unsigned i = 0; i < CONNECTIONS; i++) {
    fds[i] = connect_to (self->port);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
    epoll_ctl (epoll, EPOLL_CTL_ADD, fds[i], &event);
    if (asked < self->n)
      ask_next (self, fds[i], asked++, request);
  }
  while (heard < self->n) {
    struct epoll_event events[CONNECTIONS];
    int n = epoll_wait (epoll, events, CONNECTIONS, -1);
    for (int i = 0; i < n; i++) {
      hear (events[i].data.fd);
      heard++;
      if (asked < self->n)
        ask_next (self, events[i].data.fd, asked++, request);
    }
  }
  for (unsigned i = 0; i < CONNECTIONS; i++)
    close (fds[i]);
  close (epoll);
  self->cpu = cpu_time (CLOCK_THREAD_CPUTIME_ID);
  g_main_loop_quit (self->loop);
  return NULL;
}

typedef struct {
  double cpu;    /* us of the main thread for each request */
  double served; /* likewise of all threads that serve */
  double client; /* and of the client */
  double rate;   /* requests/s */
} Measured;

static Measured
measure (uint16_t port, const char *body, unsigned n)
{
  Client client = {.port = port, .body = body, .n = n};
  client.loop = g_main_loop_new (NULL, FALSE);
  int64_t since = g_get_monotonic_time ();
  double began = cpu_time (CLOCK_THREAD_CPUTIME_ID),
         all_began = cpu_time (CLOCK_PROCESS_CPUTIME_ID);
  GThread *thread = g_thread_new ("client", run, &client);
  g_main_loop_run (client.loop);
  double took = cpu_time (CLOCK_THREAD_CPUTIME_ID) - began;
  g_thread_join (thread);
  double all = cpu_time (CLOCK_PROCESS_CPUTIME_ID) - all_began,
         passed = (double)(g_get_monotonic_time () - since);
  g_main_loop_unref (client.loop);
  return (Measured){took * 1e6 / n, (all - client.cpu) * 1e6 / n, client.cpu * 1e6 / n,
                    n * 1e6 / passed};
}

static void
on_empty (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
          gpointer data)
{
  soup_server_message_set_response (message, "application/ppsp-tracker+json", SOUP_MEMORY_STATIC,
                                    "{}", 2);
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
}

#define FIND_TEXT(count)                                                                           \
  "{\"PPSPTrackerProtocol\":{\"version\":1,\"request_type\":\"FIND\",\"transaction_id\":\"t\","    \
  "\"peer_id\":\"00000000000000000000000000000001\",\"find\":{\"swarm_id\":\"s\",\"peer_num\":{"   \
  "\"peer_count\":" count "}}}}"
#define REPORT_TEXT                                                                                \
  "{\"PPSPTrackerProtocol\":{\"version\":1,\"request_type\":\"STAT_REPORT\",\"transaction_id\":"   \
  "\"t\",\"peer_id\":\"00000000000000000000000000000001\",\"stat_report\":{\"type\":"              \
  "\"STREAM_STATS\",\"stat\":[{\"swarm_id\":\"s\",\"uploaded_bytes\":512,\"downloaded_bytes\":"    \
  "768,\"available_bandwidth\":1024000,\"concurrent_links\":5}]}}}"

static const struct {
  const char *name, *body;
} kinds[] = {{"find_5", FIND_TEXT ("5")}, {"find_30", FIND_TEXT ("30")}, {"report", REPORT_TEXT}};

static TrackerdServer *
tracker_new (unsigned threads)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  TrackerdServerOptions options = {.listen = listen, .max_connections = 100, .threads = threads};
  g_autoptr (GError) error = NULL;
  TrackerdServer *self = trackerd_server_new (&options, &error);
  if (self == NULL)
    g_error ("%s", error->message);
  measure (trackerd_server_port (self), NULL, PEERS);
  return self;
}

static void
compare_with_nothing (TrackerdServer *tracker, uint16_t empty, unsigned n)
{
  double nothing = measure (empty, FIND_TEXT ("5"), n).cpu;
  printf ("{\"empty_us\": %.1f", nothing);
  for (unsigned i = 0; i < G_N_ELEMENTS (kinds); i++) {
    double took = measure (trackerd_server_port (tracker), kinds[i].body, n).cpu;
    printf (", \"%s_us\": %.1f, \"%s_share\": %.2f", kinds[i].name, took, kinds[i].name,
            nothing / took);
  }
  printf ("}\n");
  fflush (stdout);
}

/* Beside what was measured, what it would be on two cores that have nothing else to do and are both busy all
 * the time: one thread is at work alone, two share them with the client. And what two cores would be worth to
 * whose clients are elsewhere: what threads lose to each other, alone. */
static void
compare_threads (TrackerdServer *one, TrackerdServer *two, unsigned n)
{
  for (unsigned i = 0; i < G_N_ELEMENTS (kinds); i++) {
    Measured alone = measure (trackerd_server_port (one), kinds[i].body, n);
    Measured both = measure (trackerd_server_port (two), kinds[i].body, n);
    printf ("%s\"%s_per_s\": %.0f, \"%s_two_threads\": %.2f, \"%s_reckoned\": %.2f, "
            "\"%s_client_us\": %.1f, \"%s_elsewhere\": %.2f",
            i == 0 ? "{" : ", ", kinds[i].name, alone.rate, kinds[i].name, both.rate / alone.rate,
            kinds[i].name, 2 * alone.served / (both.served + both.client), kinds[i].name,
            both.client, kinds[i].name, 2 * alone.served / both.served);
  }
  printf ("}\n");
  fflush (stdout);
}

int
main (int argc, char **argv)
{
  unsigned n = MAX (1, argc > 1 ? (unsigned)strtoul (argv[1], NULL, 10) : 20000);
  g_autoptr (TrackerdServer) one = tracker_new (1);
  g_autoptr (TrackerdServer) two = tracker_new (2);
  g_autoptr (SoupServer) empty = soup_server_new (NULL, NULL);
  NetListenerOptions limits = {.max_connections = 100};
  soup_server_add_handler (empty, NULL, on_empty, NULL, NULL);
  g_autoptr (NetListener) listener = net_listener_new (empty, &limits);
  uint16_t port = net_listener_add (listener, "127.0.0.1:0", NULL);
  if (port == 0)
    g_error ("cannot listen");
  /* Three times, in turn. */
  for (unsigned round = 0; round < 3; round++) {
    compare_with_nothing (one, port, n);
    compare_threads (one, two, n);
  }
  net_listener_free (g_steal_pointer (&listener));
  soup_server_disconnect (empty);
  return EXIT_SUCCESS;
}
