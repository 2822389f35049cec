/* SPDX-License-Identifier: Apache-2.0 */
/* Several threads in front of one registry. The build with -Db_sanitize=thread tells what two of them
 * touch at once; here is told what must come of it. */
#include "peer/net/random.h"
#include "peer/trackerd/doors.h"
#include "peer/trackerd/server.h"
#include "peer/trackerd/stores.h"
#include "tests/lib/wait.h"
#include "tests/proxy/scratch.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_S 60
#define DOORS 3

static int
dial (uint16_t port)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons (port)};
  struct timeval patience = {.tv_sec = PATIENCE_S};
  to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *)&to, sizeof to), ==, 0);
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

static void
say (int fd, const char *body)
{
  g_autofree char *text = g_strdup_printf (
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen (body), body);
  g_assert_cmpint (send (fd, text, strlen (text), MSG_NOSIGNAL), ==, (ssize_t)strlen (text));
}

/* A whole answer, or what came of it until the connection ended. The caller frees. */
static char *
hear (int fd)
{
  g_autoptr (GString) text = g_string_new (NULL);
  for (;;) {
    char buffer[4096];
    const char *end = strstr (text->str, "\r\n\r\n");
    const char *length = strstr (text->str, "Content-Length: ");
    if (end != NULL && length != NULL &&
        text->len >= (size_t)(end + 4 - text->str) + strtoul (length + 16, NULL, 10))
      break;
    ssize_t n = recv (fd, buffer, sizeof buffer, 0);
    if (n <= 0)
      break;
    g_string_append_len (text, buffer, n);
  }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* --- doors --------------------------------------------------------------------------------- */

typedef struct {
  GRecMutex lock;
  unsigned inside; /* threads that are in the handler */
  unsigned wanted; /* how many stay until there are so many */
  GHashTable *threads;
} Hall;

static unsigned
inside (Hall *hall)
{
  g_autoptr (GRecMutexLocker) locker G_GNUC_UNUSED = g_rec_mutex_locker_new (&hall->lock);
  return hall->inside;
}

/* Whoever is in here accepts nothing: who comes next is let in by another. */
static void
on_meeting (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  Hall *hall = data;
  g_rec_mutex_lock (&hall->lock);
  hall->inside++;
  g_hash_table_add (hall->threads, g_thread_self ());
  g_rec_mutex_unlock (&hall->lock);
  for (int64_t end = g_get_monotonic_time () + PATIENCE_S * G_USEC_PER_SEC;
       inside (hall) < hall->wanted && g_get_monotonic_time () < end;)
    g_usleep (1000);
  soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_STATIC, "met", 3);
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
}

static TrackerdDoors *
open_doors (Hall *hall, const NetListenerOptions *limits)
{
  static const char *const addresses[] = {"127.0.0.1:0", NULL};
  TrackerdDoorsOptions options = {
      .n = DOORS, .addresses = addresses, .limits = limits, .handle = on_meeting, .data = hall};
  g_autoptr (GError) error = NULL;
  TrackerdDoors *doors = trackerd_doors_new (&options, &error);
  g_assert_no_error (error);
  return doors;
}

typedef struct {
  Hall *hall;
  uint16_t port;
  bool all_met;
  gint done;
} Guests;

/* The next comes when all before are inside. */
static gpointer
come_one_by_one (gpointer data)
{
  Guests *guests = data;
  int fds[DOORS];
  for (unsigned i = 0; i < DOORS; i++) {
    fds[i] = dial (guests->port);
    say (fds[i], "");
    int64_t end = g_get_monotonic_time () + PATIENCE_S * G_USEC_PER_SEC;
    while (inside (guests->hall) <= i && g_get_monotonic_time () < end)
      g_usleep (1000);
  }
  guests->all_met = true;
  for (unsigned i = 0; i < DOORS; i++) {
    g_autofree char *answer = hear (fds[i]);
    guests->all_met = guests->all_met && g_str_has_suffix (answer, "met");
    close (fds[i]);
  }
  g_atomic_int_set (&guests->done, 1);
  g_main_context_wakeup (NULL);
  return NULL;
}

static void
each_is_a_thread (void)
{
  Hall hall = {.wanted = DOORS, .threads = g_hash_table_new (NULL, NULL)};
  NetListenerOptions limits = {0};
  g_rec_mutex_init (&hall.lock);
  TrackerdDoors *doors = open_doors (&hall, &limits);
  Guests guests = {.hall = &hall, .port = trackerd_doors_port (doors)};
  GThread *thread = g_thread_new ("guests", come_one_by_one, &guests);
  int64_t end = 0;
  while (!g_atomic_int_get (&guests.done) && wait_turn (&end))
    ;
  g_thread_join (thread);
  g_assert_true (guests.all_met);
  g_assert_cmpuint (g_hash_table_size (hall.threads), ==, DOORS);
  NetListenerStats stats;
  net_listener_stats (trackerd_doors_listener (doors), &stats);
  g_assert_cmpuint (stats.accepted, ==, DOORS);
  trackerd_doors_free (doors);
  g_hash_table_unref (hall.threads);
  g_rec_mutex_clear (&hall.lock);
}

static NetListenerStats
stats_of (TrackerdDoors *doors)
{
  NetListenerStats stats;
  net_listener_stats (trackerd_doors_listener (doors), &stats);
  return stats;
}

/* Who has a connection and no request yet makes room for nobody. */
static void
limits_are_of_all (void)
{
  enum { ROOM = 4 };
  Hall hall = {0};
  NetListenerOptions limits = {.max_connections = ROOM, .header_timeout = 600};
  TrackerdDoors *doors = open_doors (&hall, &limits);
  int fds[2 * ROOM];
  for (unsigned i = 0; i < 2 * ROOM; i++)
    fds[i] = dial (trackerd_doors_port (doors));
  int64_t end = 0;
  while (stats_of (doors).accepted + stats_of (doors).refused < 2 * ROOM && wait_turn (&end))
    ;
  NetListenerStats stats = stats_of (doors);
  g_assert_cmpuint (stats.connections, ==, ROOM);
  g_assert_cmpuint (stats.accepted, ==, ROOM);
  g_assert_cmpuint (stats.refused, ==, ROOM);
  for (unsigned i = 0; i < 2 * ROOM; i++)
    close (fds[i]);
  end = 0;
  while (stats_of (doors).connections > 0 && wait_turn (&end))
    ;
  g_assert_cmpuint (stats_of (doors).connections, ==, 0);
  trackerd_doors_free (doors);
}

/* --- the tracker behind them --------------------------------------------------------------- */

#define CLIENTS 4
#define PEERS 40 /* of each client */
#define ROOF                                                                                       \
  "{\"PPSPTrackerProtocol\":{\"version\":1,\"transaction_id\":\"%u\",\"peer_id\":\"p%u\","

typedef struct {
  uint16_t port, management;
  unsigned number;
  unsigned good; /* answers without an error */
  gint *left;    /* clients */
} Crowd;

static void
ask (Crowd *self, int fd, const char *body)
{
  say (fd, body);
  g_autofree char *answer = hear (fd);
  self->good += strstr (answer, "\"error_code\":0") != NULL;
}

/* Has the store written anything yet? */
static bool
look (uint16_t management)
{
  static const char get[] = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  int fd = dial (management);
  g_assert_cmpint (send (fd, get, strlen (get), MSG_NOSIGNAL), ==, (ssize_t)strlen (get));
  g_autofree char *answer = hear (fd);
  g_assert_true (g_str_has_prefix (answer, "HTTP/1.1 200"));
  close (fd);
  const char *written = strstr (answer, "\nppsp_tracker_store_written_total ");
  g_assert_nonnull (written);
  return written[strlen ("\nppsp_tracker_store_written_total ")] != '0';
}

static gpointer
come_and_ask (gpointer data)
{
  Crowd *self = data;
  int fds[3];
  for (unsigned i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = dial (self->port);
  for (unsigned i = 0; i < PEERS; i++) {
    unsigned peer = self->number * PEERS + i;
    g_autofree char *joins = g_strdup_printf (
        ROOF "\"request_type\":\"CONNECT\",\"connect\":{\"swarm_action\":[{\"swarm_id\":\"s\","
             "\"action\":\"JOIN\",\"peer_mode\":\"LEECH\"}]}}}",
        peer, peer);
    g_autofree char *finds =
        g_strdup_printf (ROOF "\"request_type\":\"FIND\",\"find\":{\"swarm_id\":\"s\","
                              "\"peer_num\":{\"peer_count\":30}}}}",
                         peer, peer);
    g_autofree char *reports = g_strdup_printf (
        ROOF "\"request_type\":\"STAT_REPORT\",\"stat_report\":{\"type\":\"STREAM_STATS\",\"stat\":"
             "[{\"swarm_id\":\"s\",\"uploaded_bytes\":5,\"downloaded_bytes\":7,"
             "\"available_bandwidth\":1024}]}}}",
        peer, peer);
    ask (self, fds[0], joins);
    ask (self, fds[1], finds);
    ask (self, fds[2], reports);
    ask (self, fds[i % 3], "rubbish");
    if (i % 10 == 0)
      look (self->management);
  }
  while (!look (self->management)) { /* it has not been at work beside us */
    g_autofree char *finds =
        g_strdup_printf (ROOF "\"request_type\":\"FIND\",\"find\":{\"swarm_id\":\"s\"}}}",
                         self->number * PEERS, self->number * PEERS);
    say (fds[0], finds);
    g_free (hear (fds[0]));
  }
  for (unsigned i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  g_atomic_int_add (self->left, -1);
  g_main_context_wakeup (NULL);
  return NULL;
}

/* What the operator may change meanwhile. */
static void
change_all (TrackerdServer *server)
{
  trackerd_server_set_access (server, trackerd_access_load (NULL, TRACKERD_SWARM_OPEN, NULL));
  trackerd_server_set_places (server, NULL);
}

/* Who is in it. */
static unsigned
count_stored (const char *store)
{
  GRecMutex lock;
  TrackerRegistryStats stats;
  TrackerRegistry *registry =
      tracker_registry_new (&(TrackerRegistryOptions){.random = net_random, .changes = true});
  g_rec_mutex_init (&lock);
  TrackerdStore *self = trackerd_stores_open (store, registry, &lock, NULL);
  g_assert_nonnull (self);
  tracker_registry_stats (registry, &stats);
  trackerd_store_free (self);
  tracker_registry_free (registry);
  g_rec_mutex_clear (&lock);
  return stats.peers;
}

/* The store's is one of them. */
static void
nothing_is_lost_between_threads (void)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  char *folder = scratch_new ();
  g_autofree char *store = g_strdup_printf ("sqlite:%s/peers.db", folder);
  TrackerdServerOptions options = {
      .listen = listen, .management = "127.0.0.1:0", .threads = DOORS, .store = store};
  g_autoptr (GError) error = NULL;
  TrackerdServer *server = trackerd_server_new (&options, &error);
  g_assert_no_error (error);
  gint left = CLIENTS;
  Crowd crowds[CLIENTS];
  GThread *threads[CLIENTS];
  for (unsigned i = 0; i < CLIENTS; i++) {
    crowds[i] = (Crowd){.port = trackerd_server_port (server),
                        .management = trackerd_server_management_port (server),
                        .number = i,
                        .left = &left};
    threads[i] = g_thread_new ("crowd", come_and_ask, &crowds[i]);
  }
  int64_t end = 0;
  for (unsigned turn = 0; g_atomic_int_get (&left) > 0 && wait_turn (&end); turn++)
    if (turn % 50 == 0)
      change_all (server);
  for (unsigned i = 0; i < CLIENTS; i++) {
    g_thread_join (threads[i]);
    g_assert_cmpuint (crowds[i].good, ==, 3 * PEERS);
  }
  trackerd_server_free (server);
  g_assert_cmpuint (count_stored (store), ==, CLIENTS * PEERS);
  scratch_free (folder);
}

/* Connections of every door are open, and requests under way. */
static gpointer
ask_until_hung_up_on (gpointer data)
{
  Crowd *self = data;
  int fd = dial (self->port);
  g_autofree char *joins = g_strdup_printf (
      ROOF "\"request_type\":\"CONNECT\",\"connect\":{\"swarm_action\":[{\"swarm_id\":\"s\","
           "\"action\":\"JOIN\",\"peer_mode\":\"LEECH\"}]}}}",
      self->number, self->number);
  g_autofree char *text = g_strdup_printf (
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen (joins), joins);
  for (;;) {
    ssize_t sent = send (fd, text, strlen (text), MSG_NOSIGNAL);
    g_autofree char *answer = sent > 0 ? hear (fd) : g_strdup ("");
    if (*answer == 0)
      break;
    g_atomic_int_inc (self->left);
    g_main_context_wakeup (NULL);
  }
  close (fd);
  return NULL;
}

static void
ends_while_it_is_asked (void)
{
  static const char *const listen[] = {"127.0.0.1:0", NULL};
  TrackerdServerOptions options = {.listen = listen, .threads = DOORS};
  TrackerdServer *server = trackerd_server_new (&options, NULL);
  g_assert_nonnull (server);
  gint answers = 0;
  Crowd crowds[CLIENTS];
  GThread *threads[CLIENTS];
  for (unsigned i = 0; i < CLIENTS; i++) {
    crowds[i] = (Crowd){.port = trackerd_server_port (server), .number = i, .left = &answers};
    threads[i] = g_thread_new ("crowd", ask_until_hung_up_on, &crowds[i]);
  }
  int64_t end = 0;
  while (g_atomic_int_get (&answers) < 100 && wait_turn (&end))
    ;
  g_assert_cmpint (g_atomic_int_get (&answers), >=, 100);
  trackerd_server_free (server);
  for (unsigned i = 0; i < CLIENTS; i++)
    g_thread_join (threads[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tracker/doors/each-is-a-thread", each_is_a_thread);
  g_test_add_func ("/tracker/doors/limits-are-of-all", limits_are_of_all);
  g_test_add_func ("/tracker/doors/nothing-is-lost-between-threads",
                   nothing_is_lost_between_threads);
  g_test_add_func ("/tracker/doors/ends-while-it-is-asked", ends_while_it_is_asked);
  return g_test_run ();
}
