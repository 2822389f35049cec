/* SPDX-License-Identifier: Apache-2.0 */
/* Live swarms in which some are malicious, by each attack alone and by all at once. Whoever is honest
 * plays without a halt, gets no wrong byte and bans nobody honest. With options of its own:
 *   test-adversary --attack P3 --share 0.3 --seeds 1000        (--attack all, --attack mix) */
#include "peer/swarm-state.h"
#include "tests/sim/adversary.h"
#include "tests/sim/options.h"

#include <math.h>
#include <stdlib.h>

#define S G_USEC_PER_SEC
#define MS 1000
#define ON_AIR (3 * S)    /* us: the stream runs when the first comes */
#define FIRST 4           /* viewers who come at once... */
#define GROWTH 0.1        /* ...and of those who are there, who come in a second */
#define NEWCOMER (32 * S) /* us: when one comes into what the others have made of it */
#define SCARCE (30 * S)   /* us: until then, while all join, there is plenty */
#define END (50 * S)      /* us */
#define CAPACITY 4        /* of what honest peers can send, to what all who fetch it need: plenty */
#define SOURCE_CAPACITY 5 /* likewise of the source, to one stream */
#define LAST_PLAYED (6 * S) /* us before the end, when something must have been played yet */
#define MOST_CHANNELS 300   /* of one swarm: ours, others', and half-open ones */
#define MOST_CANDIDATES 256 /* addresses */
#define MOST_RUNS 1024      /* of what one peer says it has */
#define MOST_WAITING 8192   /* chunks that one peer asked for */
#define STRICT 0.001        /* share of the time that may be lost */
#define HALTS 0.01          /* likewise of the suite, which has one seed and a short time */
#define MOST_GAIN 1.2
#define MIX "mix"

typedef struct {
  const char *attack; /* NULL = each alone, and mixed */
  double capacity;    /* of what honest peers can send, to what all who fetch it need */
  double share;       /* of the viewers; 0 = each of the suite's */
  uint64_t seed;
  unsigned seeds, peers;
  uint64_t bitrate; /* bits/s */
  bool verbose;
} Options;

static const double shares[] = {0.1, 0.3, 0.5};

typedef struct {
  const Options *options;
  SimWorld *world;
  SimRandom random;
  GPtrArray *adversaries; /* SimAdversary */
  GArray *before;         /* SimViewer: as they were when the capacity became scarce */
} Run;

static const SimAttack *
attack_for (Run *run, const char *name)
{
  unsigned n = 0;
  if (g_ascii_strcasecmp (name, MIX) != 0)
    return sim_attack_find (name);
  while (sim_attack_at (n) != NULL)
    n++;
  return sim_attack_at ((unsigned)sim_random_below (&run->random, n));
}

/* Each newcomer fetches some seconds of the stream at once, so no more may come in a second than what
 * is left of the capacity can feed: a tenth of those that are there. */
static int64_t
joins_at (unsigned i)
{
  double after = i <= FIRST ? 0 : log ((double)i / FIRST) / GROWTH;
  return ON_AIR + (int64_t)(after * S);
}

/* Who joins fetches seconds at once; what is measured is a swarm that has formed, and must live by
 * what its members give. */
static void
become_scarce (gpointer data, gpointer argument)
{
  Run *self = argument;
  for (unsigned i = 0; i < sim_world_n_peers (self->world); i++) {
    SimLine *line = sim_net_line (sim_world_net (self->world), i);
    SimViewer viewer;
    sim_world_viewer (self->world, i, &viewer);
    g_array_append_val (self->before, viewer);
    if (i > 0)
      line->up = (uint64_t)((double)line->up * MIN (self->options->capacity / CAPACITY, 1));
  }
}

/* What the honest viewers can send is as much as asked for, whatever lines they have drawn. */
static void
share_capacity (Run *self, double up)
{
  double sum = 0;
  unsigned honest = 0;
  for (unsigned i = 1; i < sim_world_n_peers (self->world); i++)
    if (sim_world_is_honest (self->world, i)) {
      sum += (double)sim_net_line (sim_world_net (self->world), i)->up;
      honest++;
    }
  for (unsigned i = 1; i < sim_world_n_peers (self->world); i++) {
    SimLine *line = sim_net_line (sim_world_net (self->world), i);
    line->up = (uint64_t)((double)line->up * up * honest / sum);
  }
}

/* The newcomer is honest, and so is the source. */
static void
run_init (Run *self, const Options *options, const char *attack, double share, uint64_t seed)
{
  SimWorldOptions world;
  sim_world_options_init (&world);
  world.seed = seed;
  world.bitrate = options->bitrate;
  *self = (Run){.options = options, .world = sim_world_new (&world)};
  self->random.state = seed ^ 0x62616421;
  self->adversaries = g_ptr_array_new_with_free_func ((GDestroyNotify)sim_adversary_free);
  self->before = g_array_new (FALSE, FALSE, sizeof (SimViewer));
  uint64_t rate = options->bitrate / 8;
  unsigned viewers = options->peers - 1;
  unsigned malicious = (unsigned)(viewers * share + 0.5), honest = viewers - malicious;
  double up = MAX (options->capacity, CAPACITY) * (double)rate * viewers / honest;
  SimLine line = {
      .up = SOURCE_CAPACITY * rate, .down = 100 * rate, .queue = 256 * 1024, .delay = 10 * MS};
  sim_world_add_source (self->world, &line);
  for (unsigned i = 1; i <= viewers; i++) {
    bool last = i == viewers;
    line = (SimLine){.up = (uint64_t)(up * (0.6 + 0.8 * sim_random_unit (&self->random))),
                     .down = 20 * rate,
                     .queue = 64 * 1024,
                     .delay = (int64_t)(5 + sim_random_below (&self->random, 46)) * MS,
                     .jitter = 2 * MS,
                     .loss = 0.005};
    int64_t at = last ? NEWCOMER : joins_at (i);
    unsigned peer = sim_world_add_viewer (self->world, &line, at);
    /* any malicious out of those that are left */
    if (last || sim_random_below (&self->random, viewers - i) >= malicious)
      continue;
    malicious--;
    g_ptr_array_add (self->adversaries,
                     sim_adversary_new (self->world, peer, attack_for (self, attack),
                                        sim_random_next (&self->random)));
  }
  share_capacity (self, up);
}

/* Each second: what others can make an engine remember has a bound (RFC 7574, 12.1.2). */
static void
check_memory (gpointer data, gpointer argument)
{
  Run *self = argument;
  for (unsigned i = 0; i < sim_world_n_peers (self->world); i++) {
    const PeerSwarm *swarm = sim_world_swarm (self->world, i);
    if (swarm == NULL || !sim_world_is_honest (self->world, i))
      continue;
    g_assert_cmpuint (swarm->channels->len, <=, MOST_CHANNELS);
    g_assert_cmpuint (swarm->candidates->len, <=, MOST_CANDIDATES);
    for (guint k = 0; k < swarm->channels->len; k++) {
      const PeerChannel *channel = g_ptr_array_index (swarm->channels, k);
      g_assert_cmpuint (peer_chunks_n_runs (channel->have), <=, MOST_RUNS);
      g_assert_cmpuint (peer_chunks_count (channel->waiting), <=, MOST_WAITING);
    }
  }
  SimNet *net = sim_world_net (self->world);
  sim_net_call (net, sim_net_now (net) + S, check_memory, self);
}

static void
run_clear (Run *self)
{
  sim_world_free (self->world);
  g_ptr_array_unref (self->adversaries);
  g_array_unref (self->before);
}

/* What must not be whatever the attack; NULL = all is well. That no wrong byte is kept and nobody is
 * sent more than came from him before he is proven, is watched by the world itself. */
static char *
complaint (const SimViewer *viewer)
{
  if (viewer->bad_honest > 0)
    return g_strdup_printf ("banned %" G_GUINT64_FORMAT " who are honest", viewer->bad_honest);
  if (viewer->started < 0)
    return g_strdup ("never started");
  if (viewer->last_played < END - LAST_PLAYED)
    return g_strdup ("plays no more");
  return NULL;
}

/* Did the attack take place? */
static bool
has_evidence (const Run *self, const SimAttack *attack)
{
  uint64_t blows = 0, seen = 0;
  for (guint i = 0; i < self->adversaries->len; i++)
    blows += ((SimAdversary *)g_ptr_array_index (self->adversaries, i))->blows;
  for (unsigned i = 0; i < sim_world_n_peers (self->world); i++) {
    PeerCounters counters;
    sim_world_counters (self->world, i, &counters);
    for (unsigned k = 0; k < attack->n_evidence && sim_world_is_honest (self->world, i); k++)
      seen += *(const uint64_t *)(const void *)((const uint8_t *)&counters + attack->evidence[k]);
  }
  return blows > 0 && (seen > 0 || attack->n_evidence == 0);
}

/* Share of the time watched that was a halt, or was left out, since the capacity is scarce; and how
 * much was wrong. */
static double
judge_viewers (const Run *self, const char *title, unsigned *complaints)
{
  double watched = 0, halted = 0;
  double chunk_time =
      (double)sim_world_content (self->world)->chunk_size * 8 * S / (double)self->options->bitrate;
  for (unsigned i = 1; i < sim_world_n_peers (self->world); i++) {
    SimViewer viewer;
    if (!sim_world_is_honest (self->world, i))
      continue;
    sim_world_viewer (self->world, i, &viewer);
    const SimViewer *before = &g_array_index (self->before, SimViewer, i);
    watched += (double)(viewer.watched - before->watched);
    halted += (double)(viewer.stalled - before->stalled) +
              (double)(viewer.skipped - before->skipped) * chunk_time;
    g_autofree char *wrong = complaint (&viewer);
    if (wrong != NULL)
      g_test_message ("%s: viewer %u %s", title, i, wrong);
    *complaints += wrong != NULL;
  }
  return watched > 0 ? halted / watched : 1;
}

/* Chunks that an adversary got, to those that an honest viewer got. */
static double
gain (const Run *self)
{
  double got[2] = {0}, n[2] = {0};
  for (unsigned i = 1; i < sim_world_n_peers (self->world); i++) {
    PeerCounters counters;
    bool honest = sim_world_is_honest (self->world, i);
    sim_world_counters (self->world, i, &counters);
    got[honest] += (double)(counters.chunks_received + counters.chunks_duplicate);
    n[honest]++;
  }
  return n[0] > 0 && got[1] > 0 ? got[0] / n[0] / (got[1] / n[1]) : 0;
}

/* Returns how much was wrong. halts: the share of the time that may be lost. */
static unsigned
run_one (const Options *options, const char *attack, double share, uint64_t seed, double halts)
{
  Run run;
  unsigned complaints = 0;
  gint64 start = g_get_monotonic_time ();
  run_init (&run, options, attack, share, seed);
  sim_net_call (sim_world_net (run.world), S, check_memory, &run);
  sim_net_call (sim_world_net (run.world), SCARCE, become_scarce, &run);
  sim_world_run (run.world, END);
  g_autofree char *title =
      g_strdup_printf ("%s, %.0f %%, seed %" G_GUINT64_FORMAT, attack, share * 100, seed);
  double halted = judge_viewers (&run, title, &complaints);
  const SimAttack *alone = sim_attack_find (attack);
  if (alone != NULL && share > 0 && !has_evidence (&run, alone)) {
    g_test_message ("%s: nothing happened", title);
    complaints++;
  }
  complaints += halted > halts;
  if (g_strcmp0 (attack, "P11") == 0) /* lies about what came bring no more than the truth does */
    complaints += gain (&run) > MOST_GAIN;
  if (complaints > 0 || options->verbose)
    sim_world_print (run.world, title);
  g_test_message ("%s: halted %.3f %% of the time, %.2f for an adversary to 1 for a viewer, %.2f s",
                  title, halted * 100, gain (&run), (double)(g_get_monotonic_time () - start) / S);
  run_clear (&run);
  return complaints;
}

/* What the others are compared with: so many as make a crowd of the source, and all honest. */
static void
test_peace (void)
{
  static const Options options = {.capacity = CAPACITY, .peers = 50, .bitrate = 1000000};
  Run run;
  unsigned complaints = 0;
  SimReport report;
  run_init (&run, &options, MIX, 0, 3);
  sim_net_call (sim_world_net (run.world), SCARCE, become_scarce, &run);
  sim_world_run (run.world, END);
  g_assert_cmpfloat (judge_viewers (&run, "peace", &complaints), <=, STRICT);
  g_assert_cmpuint (complaints, ==, 0);
  sim_world_print (run.world, "peace");
  sim_world_report (run.world, &report);
  g_assert_cmpfloat (report.costs.lost, <, 0.02); /* 0.5 % by the lines, and no queue runs over */
  g_assert_cmpfloat (report.costs.twice, <, 0.06);
  g_assert_cmpfloat (report.costs.haves, <, 0.05);
  g_assert_cmpfloat (report.costs.munros, <, 0.04);
  g_assert_cmpfloat (report.overhead, <, 0.25);
  run_clear (&run);
}

/* What they can send is 1.6 times what they fetch, and the source feeds a tenth of them. */
static void
test_scarcity (void)
{
  static const Options options = {.capacity = 1.6, .peers = 50, .bitrate = 1000000};
  g_assert_cmpuint (run_one (&options, MIX, 0, 1, HALTS), ==, 0);
}

static void
test_attack (gconstpointer data)
{
  static const Options options = {.capacity = CAPACITY, .peers = 32, .bitrate = 1000000};
  unsigned complaints = 0;
  for (unsigned i = 0; i < G_N_ELEMENTS (shares); i++)
    complaints += run_one (&options, data, shares[i], 1, HALTS);
  g_assert_cmpuint (complaints, ==, 0);
}

/* --- by hand --- */

static unsigned
run_seeds (const Options *options, const char *attack)
{
  unsigned bad = 0, runs = 0;
  for (unsigned i = 0; i < G_N_ELEMENTS (shares); i++) {
    double share = options->share >= 0 ? options->share : shares[i];
    for (unsigned k = 0; k < options->seeds; k++, runs++)
      bad += run_one (options, attack, share, options->seed + k, STRICT) > 0;
    if (options->share >= 0)
      break;
  }
  g_test_message ("%s: %u of %u runs went wrong", attack, bad, runs);
  return bad;
}

static unsigned
run_by_hand (const Options *options)
{
  unsigned bad = 0;
  const SimAttack *attack;
  if (g_strcmp0 (options->attack, "all") != 0)
    return run_seeds (options, options->attack);
  for (unsigned i = 0; (attack = sim_attack_at (i)) != NULL; i++)
    bad += run_seeds (options, attack->name);
  return bad + run_seeds (options, MIX);
}

static bool
parse_options (int *argc, char ***argv, Options *out)
{
  g_autofree char *attack = NULL;
  gint64 seed = 1, bitrate = 1000000;
  int seeds = 1, peers = 50;
  double share = -1, capacity = CAPACITY;
  gboolean verbose = FALSE;
  const GOptionEntry entries[] = {
      {"attack", 0, 0, G_OPTION_ARG_STRING, &attack, "P1 to P15, mix, or all", "NAME"},
      {"share", 0, 0, G_OPTION_ARG_DOUBLE, &share, "of the viewers that do it", "SHARE"},
      {"capacity", 0, 0, G_OPTION_ARG_DOUBLE, &capacity, "of honest uplinks, to what is needed",
       "N"},
      {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "the first", "N"},
      {"seeds", 0, 0, G_OPTION_ARG_INT, &seeds, "how many", "N"},
      {"peers", 0, 0, G_OPTION_ARG_INT, &peers, "with the source", "N"},
      {"bitrate", 0, 0, G_OPTION_ARG_INT64, &bitrate, "of the stream, bits/s", "N"},
      {"figures", 0, 0, G_OPTION_ARG_NONE, &verbose, "of each run", NULL},
      {NULL},
  };
  sim_options_parse (entries, argc, argv);
  if (attack != NULL && g_ascii_strcasecmp (attack, MIX) != 0 && strcmp (attack, "all") != 0 &&
      sim_attack_find (attack) == NULL) {
    g_printerr ("there is no attack %s\n", attack);
    exit (2);
  }
  *out = (Options){.attack = g_steal_pointer (&attack),
                   .share = share,
                   .capacity = capacity,
                   .seed = (uint64_t)seed,
                   .seeds = (unsigned)seeds,
                   .peers = (unsigned)MAX (peers, 4),
                   .bitrate = (uint64_t)bitrate,
                   .verbose = verbose};
  return out->attack != NULL;
}

int
main (int argc, char **argv)
{
  Options options;
  const SimAttack *attack;
  bool by_hand = parse_options (&argc, &argv, &options);
  g_test_init (&argc, &argv, NULL);
  if (by_hand)
    return run_by_hand (&options) > 0;
  g_test_add_func ("/sim/adversary/without-any-nothing-halts", test_peace);
  g_test_add_func ("/sim/adversary/what-is-scarce-is-shared-well", test_scarcity);
  for (unsigned i = 0; (attack = sim_attack_at (i)) != NULL; i++) {
    g_autofree char *path = g_strdup_printf ("/sim/adversary/%s-harms-nobody", attack->name);
    g_test_add_data_func (path, attack->name, test_attack);
  }
  g_test_add_data_func ("/sim/adversary/all-at-once-harm-nobody", MIX, test_attack);
  return g_test_run ();
}
