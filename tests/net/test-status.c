/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of the system, and that it reaches a peer over a real socket (peer/STATUS.md). */
#include "peer/net/status.h"

#include "peer/net/metrics.h"
#include "tests/lib/wait.h"
#include "tests/proxy/scratch.h"

#include <glib/gstdio.h>
#include <string.h>

#define CHUNK 1024
#define N_CHUNKS 4

static void
put (const char *folder, const char *supply, const char *name, const char *text)
{
  g_autofree char *in = g_build_filename (folder, supply, NULL);
  g_autofree char *path = g_build_filename (in, name, NULL);
  g_mkdir_with_parents (in, 0700);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
assert_power (const char *folder, PeerPower power, unsigned battery)
{
  PeerStatus status = {.power = PEER_POWER_LOW, .battery = 7};
  net_status_read_power (folder, &status);
  g_assert_cmpuint (status.power, ==, power);
  g_assert_cmpuint (status.battery, ==, battery);
}

static void
test_power (void)
{
  char *folder = scratch_new ();
  g_autofree char *nowhere = g_build_filename (folder, "nowhere", NULL);
  assert_power (nowhere, PEER_POWER_MAINS, 0);
  assert_power (folder, PEER_POWER_MAINS, 0); /* no battery at all */
  put (folder, "AC", "type", "Mains\n");
  put (folder, "mouse", "type", "Battery\n");
  put (folder, "mouse", "scope", "Device\n");
  put (folder, "mouse", "status", "Discharging\n");
  put (folder, "mouse", "capacity", "3\n");
  put (folder, "BAT0", "type", "Battery\n");
  put (folder, "BAT0", "status", "Charging\n");
  put (folder, "BAT0", "capacity", "5\n");
  assert_power (folder, PEER_POWER_MAINS, 0);
  put (folder, "BAT0", "status", "Discharging\n");
  assert_power (folder, PEER_POWER_LOW, 5);
  put (folder, "BAT0", "capacity", "much\n"); /* how full it is nobody knows */
  assert_power (folder, PEER_POWER_BATTERY, 0);
  put (folder, "BAT0", "capacity", "15\n");
  put (folder, "BAT1", "type", "Battery\n");
  put (folder, "BAT1", "status", "Discharging\n");
  put (folder, "BAT1", "capacity", "16\n"); /* the other will do for a while */
  assert_power (folder, PEER_POWER_BATTERY, 16);
  put (folder, "BAT0", "capacity", "0\n");
  put (folder, "BAT1", "capacity", "0\n"); /* 0 would say that nobody knows */
  assert_power (folder, PEER_POWER_LOW, 1);
  scratch_free (folder);
}

/* --- two peers --- */

typedef struct {
  NetUdp *udps[2];
  NetStatus *status[2];
  uint8_t link, power; /* what the second is to hear of the first */
} Pair;

static void
join (NetUdp *udp, const PeerContent *content, const NetUdp *other)
{
  g_autoptr (GError) error = NULL;
  PeerJoin join = {.content = content, .store = peer_store_memory_new (CHUNK, N_CHUNKS)};
  PeerSwarm *swarm = peer_engine_join (net_udp_engine (udp), &join, &error);
  g_assert_no_error (error);
  if (other != NULL) {
    PeerAddress address;
    g_autofree char *text = g_strdup_printf ("127.0.0.1:%u", net_udp_port (other));
    g_assert_true (peer_address_parse (text, &address));
    peer_engine_add_peer (net_udp_engine (udp), swarm, &address);
    net_udp_wake (udp);
  }
}

static NetPeering *
peering (const char *link, const char *power)
{
  g_autoptr (GError) error = NULL;
  NetPeeringSaid said = {.access_link = (char *)link, .power = (char *)power};
  NetPeering *self = net_peering_new (&said, &error);
  g_assert_no_error (error);
  return self;
}

static bool
has_heard (gpointer data)
{
  const Pair *self = data;
  PeerStatusCounts first, second;
  peer_engine_told (net_udp_engine (self->udps[0]), &first);
  peer_engine_told (net_udp_engine (self->udps[1]), &second);
  return first.powers[PEER_POWER_MAINS] == 1 && second.links[self->link] == 1 &&
         second.powers[self->power] == 1;
}

static void
assert_in_metrics (NetUdp *udp, const char *line)
{
  g_autoptr (GString) text = g_string_new (NULL);
  net_metrics_udp (text, udp);
  if (strstr (text->str, line) == NULL)
    g_error ("no %s in:\n%s", line, text->str);
}

/* At first, and anew when the options are read again. */
static void
test_told (void)
{
  Pair pair = {.link = PEER_LINK_CELLULAR, .power = PEER_POWER_LOW};
  g_autoptr (NetPeering) before = peering ("cellular", "low");
  g_autoptr (NetPeering) after = peering ("wired", "battery");
  g_autoptr (NetPeering) other = peering ("unknown", "mains");
  PeerContent content;
  peer_content_init_static (&content);
  content.length = (uint64_t)N_CHUNKS * CHUNK;
  content.swarm_id_size = (uint16_t)peer_content_hash_size (&content);
  content.swarm_id[0] = 1;
  for (unsigned i = 0; i < 2; i++) {
    g_autoptr (GError) error = NULL;
    PeerEngineOptions options;
    peer_engine_options_init (&options);
    pair.udps[i] = net_udp_new ("127.0.0.1:0", &options, NULL, NULL, &error);
    g_assert_no_error (error);
    pair.status[i] = net_status_new (pair.udps[i], i == 0 ? before : other);
  }
  join (pair.udps[0], &content, NULL);
  join (pair.udps[1], &content, pair.udps[0]);
  g_assert_true (wait_until (has_heard, &pair));
  assert_in_metrics (pair.udps[1], "\nppsp_peers_access_link{link=\"cellular\"} 1\n");
  assert_in_metrics (pair.udps[1], "\nppsp_peers_power{power=\"low\"} 1\n");
  assert_in_metrics (pair.udps[1], "\nppsp_peers_spared 1\n");
  assert_in_metrics (pair.udps[0], "\nppsp_peers_power{power=\"mains\"} 1\n");
  assert_in_metrics (pair.udps[0], "\nppsp_own_status_info{link=\"cellular\",power=\"low\"} 1\n");

  pair.link = PEER_LINK_WIRED;
  pair.power = PEER_POWER_BATTERY;
  net_status_set (pair.status[0], after);
  g_assert_true (wait_until (has_heard, &pair));
  assert_in_metrics (pair.udps[1], "\nppsp_peers_spared 0\n");
  for (unsigned i = 0; i < 2; i++) {
    net_status_free (pair.status[i]);
    net_udp_free (pair.udps[i]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/status/batteries-of-the-system-count", test_power);
  g_test_add_func ("/net/status/peers-hear-of-it-and-of-changes", test_told);
  return g_test_run ();
}
