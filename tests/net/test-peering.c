/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/peering.h"
#include "tests/peer/engines.h"

static const PeerSwarmStats *
stats_of (const PeerSwarm *swarm)
{
  static PeerSwarmStats stats;
  peer_swarm_stats (swarm, &stats);
  return &stats;
}

static void
test_limits (void)
{
  char *limits[] = {"news=20M,512k", "sport=0", NULL};
  NetPeeringSaid said = {.upload = "8M",
                         .swarm_upload = "4M",
                         .swarm_download = "2.5M",
                         .limits = limits,
                         .dead_peer = "60"};
  g_autoptr (GError) error = NULL;
  g_autoptr (NetPeering) peering = net_peering_new (&said, &error);
  g_assert_no_error (error);
  PeerEngineOptions options;
  peer_engine_options_init (&options);
  net_peering_options (peering, &options);
  g_assert_cmpuint (options.max_upload, ==, 1000000);
  g_assert_cmpint (options.dead_time, ==, 60000000);

  Net net;
  Film film;
  net_init (&net, 1);
  make_film (&film, 4, CHUNK);
  PeerSwarm *swarm = seed (&net, 0, &film);
  PeerEngine *engine = net.engines[0];
  net_peering_limit_swarm (peering, engine, swarm, NULL);
  g_assert_cmpuint (stats_of (swarm)->upload_limit, ==, 500000);
  g_assert_cmpuint (stats_of (swarm)->download_limit, ==, 312500);
  net_peering_limit_swarm (peering, engine, swarm, "news");
  g_assert_cmpuint (stats_of (swarm)->upload_limit, ==, 2500000);
  g_assert_cmpuint (stats_of (swarm)->download_limit, ==, 64000);
  net_peering_limit_swarm (peering, engine, swarm, "sport");
  g_assert_cmpuint (stats_of (swarm)->upload_limit, ==, 0);
  g_assert_cmpuint (stats_of (swarm)->download_limit, ==, 312500);
  /* one of them alone is changed */
  g_assert_true (net_peering_set (peering, "news", NULL, "0", &error));
  net_peering_limit_swarm (peering, engine, swarm, "news");
  g_assert_cmpuint (stats_of (swarm)->upload_limit, ==, 2500000);
  g_assert_cmpuint (stats_of (swarm)->download_limit, ==, 0);
  net_clear (&net);
}

static void
assert_uploads (const NetPeering *peering, uint64_t news, uint64_t sport)
{
  Net net;
  Film film;
  net_init (&net, 1);
  make_film (&film, 4, CHUNK);
  PeerSwarm *swarm = seed (&net, 0, &film);
  net_peering_limit_swarm (peering, net.engines[0], swarm, "news");
  g_assert_cmpuint (stats_of (swarm)->upload_limit, ==, news);
  net_peering_limit_swarm (peering, net.engines[0], swarm, "sport");
  g_assert_cmpuint (stats_of (swarm)->upload_limit, ==, sport);
  net_clear (&net);
}

/* What was set while it runs outlives a reload, until the options say something new of it. */
static void
test_last_word (void)
{
  char *news[] = {"news=16M", NULL}, *more[] = {"news=24M", NULL};
  const NetPeeringSaid files[] = {{.swarm_upload = "4M", .limits = news},
                                  {.swarm_upload = "4M", .limits = news, .upload = "8M"},
                                  {.swarm_upload = "4M", .limits = more},
                                  {.swarm_upload = "2M", .limits = more}};
  static const uint64_t expected[][2] = {
      {1000000, 125000}, {1000000, 125000}, {3000000, 125000}, {3000000, 250000}};
  g_autoptr (NetPeering) peering = NULL;
  for (size_t i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (NetPeering) before = g_steal_pointer (&peering);
    peering = net_peering_new (&files[i], &error);
    g_assert_no_error (error);
    if (before != NULL)
      net_peering_keep_set (peering, before);
    if (i == 0) {
      assert_uploads (peering, 2000000, 500000);
      g_assert_true (net_peering_set (peering, "news", "8M", NULL, &error));
      g_assert_true (net_peering_set (peering, "sport", "1M", NULL, &error));
    }
    assert_uploads (peering, expected[i][0], expected[i][1]);
  }
}

static void
test_mistakes (void)
{
  char *no_id[] = {"20M", NULL}, *three[] = {"a=1M,2M,3M", NULL}, *tiny[] = {"a=10", NULL};
  const NetPeeringSaid wrong[] = {
      {.upload = "fast"},      {.upload = "-1M"},    {.swarm_upload = "20X"}, {.upload = "20Mb"},
      {.upload = ""},          {.upload = "nan"},    {.upload = "1e300"},     {.dead_peer = "9"},
      {.dead_peer = "a"},      {.limits = no_id},    {.limits = three},       {.limits = tiny},
      {.swarm_download = "7"}, {.log = "elsewhere"}, {.access_link = "fast"}, {.access_link = ""},
      {.power = "solar"},      {.power = ""},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (net_peering_new (&wrong[i], &error));
    g_assert_true (g_str_has_prefix (error->message, "--"));
    g_assert_null (strchr (error->message, '\n'));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/peering/limits-go-by-name", test_limits);
  g_test_add_func ("/net/peering/the-last-word-counts", test_last_word);
  g_test_add_func ("/net/peering/mistakes-are-told-in-one-line", test_mistakes);
  return g_test_run ();
}
