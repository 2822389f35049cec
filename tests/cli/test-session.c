/* SPDX-License-Identifier: Apache-2.0 */
/* What a session makes of the engine's events, which are put into it by hand: the program is linked with
 * --wrap for what it makes and whom it tells. */
#include "peer/cli/session.h"
#include "peer/net/tracker.h"

#include <string.h>

#define LINK "ppsp:47a013e660d408619d894b20806b1d5086aab03b0a6f6d0a1e4e24e7e9a8f5b3?cl=1000000"

static NetUdpEventFunc on_event;
static gpointer on_event_data;
static PeerSwarm *swarm;
static uint64_t late; /* chunks that the tracker was told of */
static NetTrackerOptions tracker;
static gpointer tracker_data;

NetUdp *__real_net_udp_new (const char *address, const PeerEngineOptions *options,
                            NetUdpEventFunc func, gpointer data, GError **error);
NetUdp *__wrap_net_udp_new (const char *address, const PeerEngineOptions *options,
                            NetUdpEventFunc func, gpointer data, GError **error);
PeerSwarm *__real_peer_engine_join (PeerEngine *self, const PeerJoin *join, GError **error);
PeerSwarm *__wrap_peer_engine_join (PeerEngine *self, const PeerJoin *join, GError **error);
NetTracker *__real_net_tracker_new (const NetTrackerOptions *options, NetTrackerPeersFunc func,
                                    gpointer data, GError **error);
NetTracker *__wrap_net_tracker_new (const NetTrackerOptions *options, NetTrackerPeersFunc func,
                                    gpointer data, GError **error);
void __wrap_net_tracker_late (NetTracker *self, uint64_t chunks);

NetUdp *
__wrap_net_udp_new (const char *address, const PeerEngineOptions *options, NetUdpEventFunc func,
                    gpointer data, GError **error)
{
  on_event = func;
  on_event_data = data;
  return __real_net_udp_new (address, options, func, data, error);
}

PeerSwarm *
__wrap_peer_engine_join (PeerEngine *self, const PeerJoin *join, GError **error)
{
  return swarm = __real_peer_engine_join (self, join, error);
}

NetTracker *
__wrap_net_tracker_new (const NetTrackerOptions *options, NetTrackerPeersFunc func, gpointer data,
                        GError **error)
{
  tracker = *options;
  tracker_data = data;
  return __real_net_tracker_new (options, func, data, error);
}

void
__wrap_net_tracker_late (NetTracker *self, uint64_t chunks)
{
  late += chunks;
}

static void
on_end (CliSessionEnd end, const GError *error, gpointer data)
{
}

static void
tell (PeerEventType type, uint64_t first, uint64_t end)
{
  PeerEvent event = {.type = type, .swarm = swarm, .chunks = {first, end}};
  on_event (&event, on_event_data);
}

/* RFC 6972, OAM.REQ-3. What came is not late, nor is what leaves the window afterwards. */
static void
test_late (void)
{
  char *words[] = {"ppsp-peer",           "--seed", "--peer", "127.0.0.1:0", "--tracker",
                   "http://127.0.0.1:9/", LINK,     NULL};
  g_autoptr (GError) error = NULL;
  g_autoptr (CliOptions) options = cli_options_new ((int)G_N_ELEMENTS (words) - 1, words, &error);
  g_assert_no_error (error);
  g_autoptr (CliSession) session = cli_session_new (options, on_end, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (session);
  g_assert_nonnull (swarm);
  tell (PEER_EVENT_CHUNKS, 0, 100);
  tell (PEER_EVENT_LOST, 0, 50);
  g_assert_cmpuint (late, ==, 0);
  tell (PEER_EVENT_LATE, 100, 103);
  g_assert_cmpuint (late, ==, 3);
  /* it asks for the rest by itself */
  uint64_t before = 0;
  g_assert_nonnull (tracker.engine);
  g_assert_true (tracker.swarm (&before, tracker_data) == swarm);
  g_assert_cmpuint (before, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cli/session/late-chunks-are-those-that-did-not-come", test_late);
  return g_test_run ();
}
