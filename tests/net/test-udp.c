/* SPDX-License-Identifier: Apache-2.0 */
/* Engines that meet over real sockets on loopback. */
#include "peer/net/udp.h"
#include "peer/swarm-state.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 1024
#define PATIENCE_MS 60000
#define HOUR INT64_C (3600000000) /* us */

static GMainLoop *loop;
static int64_t leap; /* us: that the wall clock has leapt so far */

/* Stands before GLib's own. */
gint64
g_get_real_time (void)
{
  struct timespec now;
  clock_gettime (CLOCK_REALTIME, &now);
  return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000 + leap;
}

static gboolean
too_late (gpointer data)
{
  g_error ("nothing happened for %d s", PATIENCE_MS / 1000);
  return G_SOURCE_REMOVE;
}

static void
run_loop (void)
{
  guint guard = g_timeout_add (PATIENCE_MS, too_late, NULL);
  g_main_loop_run (loop);
  g_source_remove (guard);
}

/* --- one content, a seeder, a leecher --- */

typedef struct {
  PeerContent content;
  NetUdp *seeder, *leecher;
  PeerSwarm *seeding, *leeching;
  uint64_t n_chunks, got;
  unsigned chunk_events;
} Pair;

static void
fill_chunk (uint64_t chunk, uint8_t *out, size_t n)
{
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)(chunk * 7 + chunk / 256 + i * 13 + (i >> 8));
}

static size_t
size_of (const Pair *self, uint64_t chunk)
{
  return (size_t)MIN (CHUNK, self->content.length - chunk * CHUNK);
}

static void
on_leecher_event (const PeerEvent *event, gpointer data)
{
  Pair *self = data;
  if (event->type != PEER_EVENT_CHUNKS)
    return;
  self->chunk_events++;
  self->got = peer_chunks_count (peer_swarm_chunks (self->leeching));
  if (self->got == self->n_chunks)
    g_main_loop_quit (loop);
}

static NetUdp *
open_udp (const char *address, NetUdpEventFunc func, gpointer data)
{
  g_autoptr (GError) error = NULL;
  PeerEngineOptions options;
  peer_engine_options_init (&options);
  NetUdp *self = net_udp_new (address, &options, func, data, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (net_udp_port (self), >, 0);
  return self;
}

static void
seed (Pair *self, uint64_t length)
{
  g_autoptr (GError) error = NULL;
  peer_content_init_static (&self->content);
  self->content.length = length;
  self->n_chunks = peer_content_n_chunks (&self->content);
  PeerIntegrity *integrity = peer_integrity_new (&self->content, 0, NULL, &error);
  g_assert_no_error (error);
  PeerStore *store = peer_store_memory_new (CHUNK, self->n_chunks);
  for (uint64_t chunk = 0; chunk < self->n_chunks; chunk++) {
    uint8_t bytes[CHUNK];
    fill_chunk (chunk, bytes, size_of (self, chunk));
    peer_integrity_append (integrity, bytes, size_of (self, chunk));
    store->class->write (store, chunk, bytes, size_of (self, chunk));
  }
  peer_integrity_finish (integrity, self->content.swarm_id);
  self->content.swarm_id_size = (uint16_t)peer_content_hash_size (&self->content);
  PeerJoin join = {.content = &self->content, .store = store, .integrity = integrity};
  self->seeding = peer_engine_join (net_udp_engine (self->seeder), &join, &error);
  g_assert_no_error (error);
}

static void
leech (Pair *self, const char *seeder_ip)
{
  g_autoptr (GError) error = NULL;
  PeerEngine *engine = net_udp_engine (self->leecher);
  PeerJoin join = {.content = &self->content,
                   .store = peer_store_memory_new (CHUNK, self->n_chunks)};
  self->leeching = peer_engine_join (engine, &join, &error);
  g_assert_no_error (error);
  PeerWant want = {.window = {0, self->n_chunks}, .deadline = net_udp_now (self->leecher)};
  peer_engine_want (engine, self->leeching, &want, 1);
  PeerAddress address;
  g_assert_true (peer_address_parse_ip (seeder_ip, net_udp_port (self->seeder), &address));
  peer_engine_add_peer (engine, self->leeching, &address);
  net_udp_wake (self->leecher);
}

static void
assert_all_is_there (Pair *self)
{
  PeerStore *store = peer_swarm_store (self->leeching);
  for (uint64_t chunk = 0; chunk < self->n_chunks; chunk++) {
    uint8_t got[CHUNK], wanted[CHUNK];
    size_t n = 0;
    g_assert_cmpint (store->class->read (store, chunk, got, sizeof got, &n), ==, PEER_STORE_OK);
    fill_chunk (chunk, wanted, size_of (self, chunk));
    g_assert_cmpmem (got, n, wanted, size_of (self, chunk));
  }
}

static void
check_transfer (const char *seeder, const char *leecher, const char *seeder_ip, uint64_t length,
                bool gso, NetUdpStats *out)
{
  Pair pair = {0};
  pair.seeder = open_udp (seeder, NULL, NULL);
  pair.leecher = open_udp (leecher, on_leecher_event, &pair);
  if (!gso)
    net_udp_disable_gso (pair.seeder);
  seed (&pair, length);
  leech (&pair, seeder_ip);
  run_loop ();
  assert_all_is_there (&pair);
  net_udp_stats (pair.seeder, out);
  g_assert_cmpuint (out->send_errors, ==, 0);
  net_udp_free (pair.leecher);
  net_udp_free (pair.seeder);
}

static void
test_v4 (void)
{
  NetUdpStats stats;
  check_transfer ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1", 300 * CHUNK + 17, true, &stats);
}

static void
test_v6 (void)
{
  NetUdpStats stats;
  check_transfer ("[::1]:0", "[::1]:0", "::1", 300 * CHUNK + 17, true, &stats);
}

static void
test_both_families (void)
{
  NetUdpStats stats;
  check_transfer ("[::]:0", "127.0.0.1:0", "127.0.0.1", 64 * CHUNK, true, &stats);
  check_transfer ("[::]:0", "[::1]:0", "::1", 64 * CHUNK, true, &stats);
  check_transfer ("127.0.0.1:0", "[::]:0", "127.0.0.1", 64 * CHUNK, true, &stats);
}

static void
test_without_gso (void)
{
  NetUdpStats stats;
  check_transfer ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1", 300 * CHUNK, false, &stats);
  g_assert_false (stats.gso);
}

/* Under load a datagram carries as much as it can, and a system call many of them: what both sides
 * send and call for each KiB. Where the kernel joins no datagrams, recvmmsg still takes sixteen. */
static void
test_calls_carry_many_datagrams (void)
{
  const uint64_t n_chunks = 8000;
  Pair pair = {0};
  NetUdpStats seeder, leecher;
  pair.seeder = open_udp ("127.0.0.1:0", NULL, NULL);
  pair.leecher = open_udp ("127.0.0.1:0", on_leecher_event, &pair);
  seed (&pair, n_chunks * CHUNK);
  leech (&pair, "127.0.0.1");
  run_loop ();
  net_udp_stats (pair.seeder, &seeder);
  net_udp_stats (pair.leecher, &leecher);
  uint64_t calls =
      seeder.send_calls + seeder.receive_calls + leecher.send_calls + leecher.receive_calls;
  uint64_t datagrams = peer_engine_counters (net_udp_engine (pair.seeder))->datagrams_sent +
                       peer_engine_counters (net_udp_engine (pair.leecher))->datagrams_sent;
  g_test_message ("%.3f datagrams and %.3f calls a KiB", (double)datagrams / (double)n_chunks,
                  (double)calls / (double)n_chunks);
  g_assert_cmpfloat ((double)datagrams, <=, 1.07 * (double)n_chunks);
  g_assert_cmpfloat ((double)calls, <=, (seeder.gso && leecher.gro ? 0.1 : 0.3) * (double)n_chunks);
  net_udp_free (pair.leecher);
  net_udp_free (pair.seeder);
}

/* Calls of write(), by which the main loop tells itself something; -1 = the kernel does not say. */
static int64_t
writes (void)
{
  g_autofree char *text = NULL;
  const char *line =
      g_file_get_contents ("/proc/self/io", &text, NULL, NULL) ? strstr (text, "\nsyscw: ") : NULL;
  return line == NULL ? -1 : g_ascii_strtoll (line + strlen ("\nsyscw: "), NULL, 10);
}

static void
test_turns_wake_nobody (void)
{
  Pair pair = {0};
  NetUdpStats stats;
  pair.seeder = open_udp ("127.0.0.1:0", NULL, NULL);
  pair.leecher = open_udp ("127.0.0.1:0", on_leecher_event, &pair);
  seed (&pair, 4000 * CHUNK);
  leech (&pair, "127.0.0.1");
  int64_t before = writes ();
  run_loop ();
  int64_t n = writes () - before;
  net_udp_stats (pair.leecher, &stats);
  g_assert_cmpuint (stats.receive_calls, >, 16);
  if (before < 0)
    g_test_skip ("/proc/self/io is not there");
  else
    g_assert_cmpint (n, <, 8); /* the end of the loop is one */
  net_udp_free (pair.leecher);
  net_udp_free (pair.seeder);
}

/* --- leaving --- */

static gboolean
until_alone (gpointer data)
{
  Pair *self = data;
  PeerSwarmStats stats;
  peer_swarm_stats (self->seeding, &stats);
  if (stats.channels == 0)
    g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

static void
test_free_says_goodbye (void)
{
  Pair pair = {0};
  pair.seeder = open_udp ("127.0.0.1:0", NULL, NULL);
  pair.leecher = open_udp ("127.0.0.1:0", on_leecher_event, &pair);
  seed (&pair, 10 * CHUNK);
  leech (&pair, "127.0.0.1");
  run_loop ();
  PeerSwarmStats stats;
  peer_swarm_stats (pair.seeding, &stats);
  g_assert_cmpuint (stats.channels, ==, 1);
  peer_engine_leave (net_udp_engine (pair.leecher), pair.leeching);
  net_udp_free (pair.leecher);
  guint poll = g_timeout_add (5, until_alone, &pair);
  run_loop (); /* a dead peer would be noticed only much later than our patience */
  g_source_remove (poll);
  g_assert_cmpuint (peer_engine_counters (net_udp_engine (pair.seeder))->channels_closed, ==, 1);
  g_assert_cmpuint (peer_engine_counters (net_udp_engine (pair.seeder))->channels_dead, ==, 0);
  net_udp_free (pair.seeder);
}

/* --- live --- */

typedef struct {
  NetUdp *source, *viewer;
  PeerSwarm *publishing, *watching;
  PeerKey *key;
  uint64_t made;
  PeerRange edge;
  unsigned edges;
  bool done;
} Live;

#define LIVE_CHUNK 188
#define LIVE_SIGNED 4

static gboolean
make_subtree (gpointer data)
{
  Live *self = data;
  PeerEngine *engine = net_udp_engine (self->source);
  for (unsigned i = 0; i < LIVE_SIGNED; i++) {
    uint8_t bytes[LIVE_CHUNK];
    fill_chunk (self->made, bytes, sizeof bytes);
    g_assert_cmpuint (peer_engine_append (engine, self->publishing, bytes, sizeof bytes), ==,
                      self->made++);
  }
  g_assert_cmpuint (peer_engine_open_chunks (engine, self->publishing), ==, 0);
  g_assert_true (
      peer_engine_sign (engine, self->publishing, self->key, net_udp_now (self->source)));
  net_udp_wake (self->source);
  return G_SOURCE_CONTINUE;
}

static void
on_viewer_event (const PeerEvent *event, gpointer data)
{
  Live *self = data;
  if (self->done) /* what came in the same turn of the loop as the last chunk that we wanted */
    return;
  if (event->type == PEER_EVENT_EDGE) {
    self->edges++;
    if (event->chunks.first < self->edge.first)
      return;
    self->edge = event->chunks;
    PeerWant want = {.window = self->edge, .deadline = net_udp_now (self->viewer)};
    peer_engine_want (net_udp_engine (self->viewer), self->watching, &want, 1);
  }
  if (event->type == PEER_EVENT_CHUNKS && self->edges >= 10 &&
      peer_chunks_has_all (peer_swarm_chunks (self->watching), self->edge)) {
    self->done = true;
    g_main_loop_quit (loop);
  }
}

static PeerSwarm *
join_live (NetUdp *udp, const PeerContent *content, bool source)
{
  g_autoptr (GError) error = NULL;
  PeerJoin join = {.content = content,
                   .store = peer_store_memory_new (LIVE_CHUNK, 4096),
                   .discard_window = 4096,
                   .source = source};
  PeerSwarm *swarm = peer_engine_join (net_udp_engine (udp), &join, &error);
  g_assert_no_error (error);
  return swarm;
}

static void
make_live (Live *self, PeerContent *out)
{
  g_autoptr (GError) error = NULL;
  peer_content_init_live (out);
  out->chunk_size = LIVE_CHUNK;
  out->chunks_per_signature = LIVE_SIGNED;
  self->key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
  g_assert_no_error (error);
  peer_key_swarm_id (self->key, out);
}

static void
test_live_chunks_cross (void)
{
  Live live = {0};
  PeerContent content;
  make_live (&live, &content);
  live.source = open_udp ("127.0.0.1:0", NULL, NULL);
  live.viewer = open_udp ("127.0.0.1:0", on_viewer_event, &live);
  live.publishing = join_live (live.source, &content, true);
  peer_engine_start (net_udp_engine (live.source), live.publishing, 0);
  live.watching = join_live (live.viewer, &content, false);
  PeerAddress address;
  g_assert_true (peer_address_parse_ip ("127.0.0.1", net_udp_port (live.source), &address));
  peer_engine_add_peer (net_udp_engine (live.viewer), live.watching, &address);
  net_udp_wake (live.viewer);
  guint timer = g_timeout_add (10, make_subtree, &live);
  run_loop ();
  g_source_remove (timer);
  PeerStore *store = peer_swarm_store (live.watching);
  for (uint64_t chunk = live.edge.first; chunk < live.edge.end; chunk++) {
    uint8_t got[LIVE_CHUNK], wanted[LIVE_CHUNK];
    size_t n = 0;
    g_assert_cmpint (store->class->read (store, chunk, got, sizeof got, &n), ==, PEER_STORE_OK);
    fill_chunk (chunk, wanted, sizeof wanted);
    g_assert_cmpmem (got, n, wanted, sizeof wanted);
  }
  net_udp_free (live.viewer);
  net_udp_free (live.source);
  peer_key_free (live.key);
}

/* The machine has slept for an hour, or its clock was set: the next turn knows it. */
static void
test_wall_leaps (void)
{
  Live live = {0};
  PeerContent content;
  make_live (&live, &content);
  live.source = open_udp ("127.0.0.1:0", NULL, NULL);
  live.publishing = join_live (live.source, &content, true);
  for (unsigned turns = 0; turns < 3; turns++) {
    int64_t before = live.publishing->core->wall_offset;
    leap += HOUR;
    net_udp_wake (live.source);
    while (g_main_context_iteration (NULL, FALSE))
      ;
    g_assert_cmpint (live.publishing->core->wall_offset - before, >, HOUR / 2);
  }
  net_udp_free (live.source);
  peer_key_free (live.key);
}

/* --- what the operator may do wrong --- */

static void
test_port_in_use_is_told (void)
{
  g_autoptr (NetUdp) first = open_udp ("127.0.0.1:0", NULL, NULL);
  g_autofree char *address = g_strdup_printf ("127.0.0.1:%u", net_udp_port (first));
  g_autoptr (GError) error = NULL;
  PeerEngineOptions options;
  peer_engine_options_init (&options);
  g_assert_null (net_udp_new (address, &options, NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  g_assert_nonnull (strstr (error->message, address));
}

/* A peer that cannot be reached costs a count and nothing else. */
static void
test_unreachable_peer_is_counted (void)
{
  Pair pair = {0};
  pair.seeder = open_udp ("127.0.0.1:0", NULL, NULL);
  pair.leecher = open_udp ("127.0.0.1:0", on_leecher_event, &pair);
  seed (&pair, 20 * CHUNK);
  leech (&pair, "127.0.0.1");
  PeerAddress other_family;
  g_assert_true (peer_address_parse ("[2001:db8::1]:7574", &other_family));
  peer_engine_add_peer (net_udp_engine (pair.leecher), pair.leeching, &other_family);
  run_loop ();
  assert_all_is_there (&pair);
  NetUdpStats stats;
  net_udp_stats (pair.leecher, &stats);
  g_assert_cmpuint (stats.send_errors, >, 0);
  net_udp_free (pair.leecher);
  net_udp_free (pair.seeder);
}

/* A loopback of its own, that takes 1280 bytes, as any way of IPv6 does. */
static void
make_narrow_loopback (void)
{
  struct ifreq request = {.ifr_name = "lo"};
  int fd = socket (AF_INET, SOCK_DGRAM, 0);
  request.ifr_mtu = 1280;
  g_assert_cmpint (ioctl (fd, SIOCSIFMTU, &request), ==, 0);
  request.ifr_flags = IFF_UP;
  g_assert_cmpint (ioctl (fd, SIOCSIFFLAGS, &request), ==, 0);
  close (fd);
}

/* RFC 7574, 8.1: nothing is fragmented. What the interface refuses is sent smaller, and a film whose
 * chunks need many hashes arrives. */
static void
test_narrow_path (void)
{
  int home = open ("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home < 0 || unshare (CLONE_NEWNET) != 0) {
    g_test_skip ("no right to make a network namespace");
    return;
  }
  make_narrow_loopback ();
  Pair pair = {0};
  pair.seeder = open_udp ("127.0.0.1:0", NULL, NULL);
  pair.leecher = open_udp ("127.0.0.1:0", on_leecher_event, &pair);
  seed (&pair, 3000 * CHUNK);
  leech (&pair, "127.0.0.1");
  run_loop ();
  assert_all_is_there (&pair);
  NetUdpStats stats;
  net_udp_stats (pair.seeder, &stats);
  uint64_t told = peer_engine_counters (net_udp_engine (pair.seeder))->datagrams_too_big;
  g_assert_cmpuint (told, >=, 1);
  g_assert_cmpuint (told, ==, stats.send_errors);
  g_assert_cmpuint (told, <, 20);
  net_udp_free (pair.leecher);
  net_udp_free (pair.seeder);
  g_assert_cmpint (setns (home, CLONE_NEWNET), ==, 0);
  close (home);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  loop = g_main_loop_new (NULL, FALSE);
  g_test_add_func ("/net/udp/file-crosses-v4", test_v4);
  g_test_add_func ("/net/udp/file-crosses-v6", test_v6);
  g_test_add_func ("/net/udp/one-socket-serves-both-families", test_both_families);
  g_test_add_func ("/net/udp/file-crosses-without-gso", test_without_gso);
  g_test_add_func ("/net/udp/calls-carry-many-datagrams", test_calls_carry_many_datagrams);
  g_test_add_func ("/net/udp/turns-wake-nobody", test_turns_wake_nobody);
  g_test_add_func ("/net/udp/free-says-goodbye", test_free_says_goodbye);
  g_test_add_func ("/net/udp/live-chunks-cross", test_live_chunks_cross);
  g_test_add_func ("/net/udp/a-wall-clock-that-leaps-is-seen-at-once", test_wall_leaps);
  g_test_add_func ("/net/udp/port-in-use-is-told", test_port_in_use_is_told);
  g_test_add_func ("/net/udp/unreachable-peer-is-counted", test_unreachable_peer_is_counted);
  g_test_add_func ("/net/udp/nothing-is-fragmented", test_narrow_path);
  int result = g_test_run ();
  g_main_loop_unref (loop);
  return result;
}
