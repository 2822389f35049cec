/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets how much of an upload that does not suffice (RFC 7574, 12.6.6, 9.2). */
#include "peer/uploads.h"
#include "tests/peer/engines.h"
#include <string.h>

#define SECOND INT64_C (1000000)
#define CHUNKS 20000

/* --- limits --- */

static void
test_limit (void)
{
  PeerLimit limit = {0};
  g_assert_cmpint (peer_limit_ready (&limit, 5), ==, 5);
  peer_limit_spend (&limit, 5, 1 << 30); /* nothing is counted without a limit */
  peer_limit_set (&limit, 0, 1000, 100);
  g_assert_cmpfloat (peer_limit_left (&limit, 0), ==, 100);
  peer_limit_spend (&limit, 0, 1100);
  g_assert_cmpint (peer_limit_ready (&limit, 0), ==, SECOND + 1);
  g_assert_cmpfloat (peer_limit_left (&limit, 500000), ==, -500);
  g_assert_cmpfloat (peer_limit_left (&limit, 100 * SECOND), ==, 100);
  peer_limit_set (&limit, 0, 2000, 50);
  g_assert_cmpfloat (peer_limit_left (&limit, 0), ==, -1000);
}

/* --- choosing --- */

static void
draw (void *data, uint8_t *out, size_t n)
{
  uint64_t *state = data;
  for (size_t i = 0; i < n; i++) {
    *state = *state * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
    out[i] = (uint8_t)(*state >> 33);
  }
}

typedef struct {
  PeerSuitor suitors[16];
  size_t n;
  unsigned in[16]; /* rounds that each was in */
  uint64_t seed;
} Court;

static void
hold_court (Court *self, size_t slots, unsigned rounds)
{
  memset (self->in, 0, sizeof self->in);
  for (unsigned round = 1; round <= rounds; round++) {
    int64_t now = round * 5 * SECOND;
    size_t chosen = 0;
    peer_uploads_choose (self->suitors, self->n, slots, now, draw, &self->seed);
    for (size_t i = 0; i < self->n; i++) {
      PeerSuitor *suitor = &self->suitors[i];
      if (suitor->out == suitor->chosen)
        suitor->since = now;
      suitor->out = !suitor->chosen;
      self->in[suitor->index] += suitor->chosen;
      chosen += suitor->chosen;
    }
    g_assert_cmpuint (chosen, ==, MIN (slots, self->n));
  }
}

static void
court_init (Court *self, size_t n)
{
  *self = (Court){.n = n, .seed = 7};
  for (unsigned i = 0; i < n; i++)
    self->suitors[i] = (PeerSuitor){.ip = {1, (uint8_t)i}, .index = i, .out = true};
}

/* Six bring something, four nothing: of eight slots six are earned, two are for all the others. */
static void
test_free_rider (void)
{
  Court court;
  court_init (&court, 10);
  for (unsigned i = 0; i < 6; i++)
    court.suitors[i].got = 10000 + i;
  hold_court (&court, 8, 1000);
  for (unsigned i = 0; i < 6; i++)
    g_assert_cmpuint (court.in[i], ==, 1000);
  for (unsigned i = 6; i < 10; i++) {
    g_assert_cmpuint (court.in[i], >, 350);
    g_assert_cmpuint (court.in[i], <, 650);
  }
  /* seven bring something: the least of them shares the lot with those who bring nothing */
  court_init (&court, 10);
  for (unsigned i = 0; i < 7; i++)
    court.suitors[i].got = 10000 + i;
  hold_court (&court, 8, 1000);
  g_assert_cmpuint (court.in[0], <, 700);
  g_assert_cmpuint (court.in[1], ==, 1000);
}

/* A seeder gets nothing from anybody, so all take turns. */
static void
test_turns (void)
{
  Court court;
  court_init (&court, 12);
  hold_court (&court, 4, 3000);
  for (unsigned i = 0; i < 12; i++) {
    g_assert_cmpuint (court.in[i], >, 700);
    g_assert_cmpuint (court.in[i], <, 1300);
  }
}

/* Many channels from one address are worth one, as long as others wait. */
static void
test_one_per_address (void)
{
  Court court;
  court_init (&court, 12);
  for (unsigned i = 4; i < 12; i++)
    court.suitors[i].ip[1] = 99;
  hold_court (&court, 4, 1000);
  unsigned crowd = 0;
  for (unsigned i = 4; i < 12; i++)
    crowd += court.in[i];
  g_assert_cmpuint (crowd, <=, 1000);
}

/* Who won by lot stays for three rounds, so that it can show something. */
static void
test_tenure (void)
{
  Court court;
  court_init (&court, 12);
  hold_court (&court, 4, 1);
  unsigned first[16];
  memcpy (first, court.in, sizeof first);
  for (int64_t at = 10; at < 20; at += 5) {
    peer_uploads_choose (court.suitors, court.n, 4, at * SECOND, draw, &court.seed);
    for (size_t i = 0; i < court.n; i++)
      g_assert_cmpint (court.suitors[i].chosen, ==, first[court.suitors[i].index] == 1);
  }
}

/* --- engines --- */

typedef struct {
  Net net;
  Film film;
  PeerSwarm *seeder, *leechers[MAX_NODES];
  uint64_t bytes; /* that the seeder has put on the wire */
} Crowd;

static uint64_t sent_by_seeder;

static bool
count_sent (Net *net, Datagram *datagram)
{
  if (datagram->from == 0)
    sent_by_seeder += datagram->size;
  return true;
}

static void
crowd_init (Crowd *self, unsigned n_leechers, uint64_t limit, bool of_swarm)
{
  net_init (&self->net, n_leechers + 1);
  make_film (&self->film, CHUNKS, CHUNK);
  self->seeder = seed (&self->net, 0, &self->film);
  for (unsigned i = 1; i <= n_leechers; i++) {
    self->leechers[i] = leech (&self->net, i, &self->film.content, CHUNKS);
    /* not in each other's company: all must come from the seeder */
    want (&self->net, i, self->leechers[i], (PeerRange){0, CHUNKS});
  }
  if (of_swarm)
    peer_engine_limit_swarm (self->net.engines[0], self->seeder, limit, 0);
  else
    peer_engine_limit (self->net.engines[0], limit);
  sent_by_seeder = 0;
  self->net.tamper = count_sent;
}

static uint64_t
downloaded (const PeerSwarm *swarm)
{
  PeerSwarmStats stats;
  peer_swarm_stats (swarm, &stats);
  return stats.downloaded;
}

/* Four get the same within 20 %, and together no more than the limit. */
static void
test_shares (gconstpointer data)
{
  bool of_swarm = *(const bool *)data;
  const uint64_t limit = 200000;
  Crowd crowd;
  crowd_init (&crowd, 4, limit, of_swarm);
  net_run (&crowd.net, crowd.net.now + 30 * SECOND);
  g_assert_cmpuint (sent_by_seeder, <=, 30 * limit + limit / 10);
  g_assert_cmpuint (sent_by_seeder, >=, 28 * limit);
  uint64_t all = 0;
  for (unsigned i = 1; i <= 4; i++)
    all += downloaded (crowd.leechers[i]);
  for (unsigned i = 1; i <= 4; i++) {
    g_assert_cmpuint (downloaded (crowd.leechers[i]) * 4, >=, all * 8 / 10);
    g_assert_cmpuint (downloaded (crowd.leechers[i]) * 4, <=, all * 12 / 10);
  }
  net_clear (&crowd.net);
}

/* All of the film, said again and again. */
static void
ask_for_all (Crowd *self, unsigned leecher, uint32_t channel)
{
  uint8_t bytes[64];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  PeerWireFormat format = peer_wire_format (&self->film.content);
  uint64_t first = downloaded (self->leechers[leecher]) / CHUNK;
  PeerMessage message = {.type = PEER_MESSAGE_REQUEST,
                         .chunks = {first, MIN (first + 8000, CHUNKS)}};
  peer_writer_u32 (&writer, channel);
  g_assert_true (peer_wire_write (&writer, &format, &message));
  net_send (&self->net, leecher, 0, bytes, writer.used);
}

/* REQUEST.1: who asks for everything, and far more often, takes nothing from the others. */
static void
test_greedy (void)
{
  const uint64_t limit = 200000;
  Crowd crowd;
  crowd_init (&crowd, 4, limit, false);
  net_run (&crowd.net, crowd.net.now + SECOND);
  uint32_t channel = channel_of (&crowd.net, 1, 0);
  for (unsigned i = 0; i < 290; i++) {
    ask_for_all (&crowd, 1, channel);
    net_run (&crowd.net, crowd.net.now + SECOND / 10);
  }
  for (unsigned i = 2; i <= 4; i++)
    g_assert_cmpuint (downloaded (crowd.leechers[i]), >=, 30 * limit / 4 * 8 / 10 * 95 / 100);
  g_assert_cmpuint (sent_by_seeder, <=, 30 * limit + limit / 10);
  net_clear (&crowd.net);
}

/* Seven ask of who has four shares worth having: some are choked, all have their turns. */
static void
test_choked (void)
{
  const uint64_t limit = 64000;
  Crowd crowd;
  crowd_init (&crowd, 7, limit, false);
  for (unsigned i = 0; i < 300; i++) {
    PeerSwarmStats stats;
    net_run (&crowd.net, crowd.net.now + SECOND);
    peer_swarm_stats (crowd.seeder, &stats);
    if (i > 10)
      g_assert_cmpuint (stats.choked, ==, 3);
  }
  uint64_t all = 0;
  for (unsigned i = 1; i <= 7; i++)
    all += downloaded (crowd.leechers[i]);
  g_assert_cmpuint (all, >=, 300 * limit * 8 / 10);
  for (unsigned i = 1; i <= 7; i++) {
    g_assert_cmpuint (downloaded (crowd.leechers[i]) * 7, >=, all / 2);
    g_assert_cmpuint (downloaded (crowd.leechers[i]) * 7, <=, all * 3 / 2);
  }
  net_clear (&crowd.net);
}

/* Both limits can be changed and taken away while the swarm runs. */
static void
test_download_limit (void)
{
  Crowd crowd;
  crowd_init (&crowd, 1, 0, false);
  PeerSwarm *swarm = crowd.leechers[1];
  peer_engine_limit_swarm (crowd.net.engines[1], swarm, 0, 100000);
  net_run (&crowd.net, crowd.net.now + 20 * SECOND);
  g_assert_cmpuint (downloaded (swarm), <=, 20 * 100000 + 100000);
  g_assert_cmpuint (downloaded (swarm), >=, 19 * 100000);
  uint64_t before = downloaded (swarm);
  peer_engine_limit_swarm (crowd.net.engines[1], swarm, 0, 0);
  net_run (&crowd.net, crowd.net.now + 60 * SECOND);
  g_assert_cmpuint (downloaded (swarm), ==, (uint64_t)CHUNKS * CHUNK);
  g_assert_cmpuint (downloaded (swarm) - before, >, 60 * 100000);
  assert_has (swarm, (PeerRange){0, CHUNKS}, CHUNK);
  net_clear (&crowd.net);
}

/* --- live --- */

#define BITRATE (100 * CHUNK) /* bytes/s */

/* Half a minute of a stream is there when somebody comes who wants all of it: it is given what a
 * player stores up, and then no more than half as much again as the bitrate. */
static void
test_pace (void)
{
  Net net;
  uint8_t bytes[CHUNK];
  PeerContent content;
  net_init (&net, 2);
  g_autoptr (PeerKey) key = make_live (&content);
  PeerSwarm *source = go_live (&net, 0, &content, 8192), *viewer = NULL;
  uint64_t at_start = 0, n = 0;
  for (unsigned second = 0; second < 60; second++) {
    for (unsigned i = 0; i < 100; i++, n++) {
      chunk_bytes (n, bytes);
      peer_engine_append (net.engines[0], source, bytes, CHUNK);
      if (peer_engine_open_chunks (net.engines[0], source) == 0)
        g_assert_true (peer_engine_sign (net.engines[0], source, key, net.now));
      net_run (&net, net.now + SECOND / 100);
    }
    if (second == 39)
      viewer = leech (&net, 1, &content, 8192);
    if (viewer != NULL)
      want (&net, 1, viewer, (PeerRange){0, n});
    if (second == 49)
      at_start = downloaded (viewer);
  }
  g_assert_cmpuint (at_start, >=, 15 * BITRATE);
  g_assert_cmpuint (at_start, <=, (5 + 11 * 3 / 2 + 1) * BITRATE);
  g_assert_cmpuint (downloaded (viewer) - at_start, >=, 10 * BITRATE);
  g_assert_cmpuint (downloaded (viewer) - at_start, <=, 16 * BITRATE);
  net_clear (&net);
}

/* --- a slow disk --- */

typedef struct {
  PeerStore base;
  PeerStore *real;
  unsigned reads;
} SlowStore;

static PeerStoreResult
slow_read (PeerStore *store, uint64_t chunk, uint8_t *out, size_t room, size_t *n)
{
  SlowStore *self = (SlowStore *)store;
  return self->reads++ % 3 == 2 ? self->real->class->read (self->real, chunk, out, room, n)
                                : PEER_STORE_PENDING;
}

static PeerStoreResult
slow_write (PeerStore *store, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  PeerStore *real = ((SlowStore *)store)->real;
  return real->class->write (real, chunk, bytes, n);
}

static void
slow_discard (PeerStore *store, PeerRange run)
{
  PeerStore *real = ((SlowStore *)store)->real;
  real->class->discard (real, run);
}

static void
slow_chunks (PeerStore *store, PeerChunks *out)
{
  PeerStore *real = ((SlowStore *)store)->real;
  real->class->chunks (real, out);
}

static void
slow_free (PeerStore *store)
{
  peer_store_free (((SlowStore *)store)->real);
  g_free (store);
}

/* A chunk that is on its way from the disk is asked for again, and no request is lost. */
static void
test_pending (void)
{
  static const PeerStoreClass class = {slow_read, slow_write, slow_discard, slow_chunks, slow_free};
  Net net;
  Film film;
  net_init (&net, 2);
  make_film (&film, 40, CHUNK);
  SlowStore *slow = g_new0 (SlowStore, 1);
  *slow = (SlowStore){{&class}, film.store, 0};
  film.store = &slow->base;
  seed (&net, 0, &film);
  PeerSwarm *swarm = leech (&net, 1, &film.content, 40);
  want (&net, 1, swarm, (PeerRange){0, 40});
  net_run (&net, net.now + 2 * SECOND);
  assert_has (swarm, (PeerRange){0, 40}, CHUNK);
  g_assert_cmpuint (slow->reads, ==, 120);
  g_assert_cmpuint (peer_engine_counters (net.engines[0])->chunks_sent, ==, 40);
  net_clear (&net);
}

/* --- the line --- */

#define N_LINE 8

typedef struct {
  PeerCore core;
  PeerSwarm swarm;
  uint8_t copies[PEER_COPIES];
  PeerChannel *channels[N_LINE];
} Line;

/* Two of them wait, the first for chunk 5, the second for chunk 6. */
static void
line_init (Line *self)
{
  const PeerAddress address = {.port = 7000};
  memset (self, 0, sizeof *self);
  self->core.now = 10 * SECOND;
  self->swarm.core = &self->core;
  self->swarm.copies = self->copies;
  g_queue_init (&self->core.line);
  peer_uploads_init (&self->core);
  self->core.channels = g_hash_table_new (NULL, NULL);
  for (unsigned i = 0; i < N_LINE; i++) {
    self->channels[i] = peer_channel_new (&self->swarm, &address, i + 1, self->core.now);
    g_hash_table_insert (self->core.channels, GUINT_TO_POINTER (i + 1), self->channels[i]);
  }
  for (unsigned i = 0; i < 2; i++) {
    peer_channel_add_request (self->channels[i], (PeerRange){5 + i, 6 + i});
    self->channels[i]->upload.in_line = true;
    self->channels[i]->upload.waits = self->core.now;
    g_queue_push_tail (&self->core.line, self->channels[i]);
  }
}

static void
line_clear (Line *self)
{
  for (unsigned i = 0; i < N_LINE; i++)
    peer_channel_free (self->channels[i]);
  g_hash_table_unref (self->core.channels);
  g_queue_clear (&self->core.line);
}

/* What few have got from us goes first, but nobody waits for ever. */
static void
test_rare_goes_first (void)
{
  Line line;
  line_init (&line);
  line.copies[5] = 3;
  g_assert_true (peer_uploads_next (&line.core) == line.channels[1]);
  g_assert_true (peer_uploads_next (&line.core) == line.channels[0]);
  g_assert_null (peer_uploads_next (&line.core));
  line_clear (&line);
  line_init (&line);
  line.copies[5] = UINT8_MAX;
  line.channels[0]->upload.waits -= SECOND;
  g_assert_true (peer_uploads_next (&line.core) == line.channels[0]);
  line_clear (&line);
}

/* What all channels have in flight together has a window too: each has two datagrams at least, and a
 * home's line cannot hold those of thirty. */
static void
test_full_line (void)
{
  Line line;
  line_init (&line);
  for (unsigned i = 0; i < 2; i++) {
    line.channels[i]->flight_bytes = 100000;
    peer_uploads_flown (line.channels[i]);
  }
  g_assert_cmpuint (line.core.flight, ==, 200000);
  g_assert_null (peer_uploads_next (&line.core));
  for (unsigned i = 0; i < 2; i++) {
    line.channels[i]->flight_bytes = 1000;
    peer_uploads_acked (line.channels[i]);
  }
  g_assert_cmpuint (line.core.flight, ==, 2000);
  g_assert_cmpint (line.core.line_at, ==, line.core.now);
  g_assert_true (peer_uploads_next (&line.core) == line.channels[0]);
  line_clear (&line);
}

/* The pace of one of those who are there, of many of whom so many are gone, while our line is full. */
static PeerLimit
pace_while_full (unsigned gone)
{
  Line line;
  uint64_t seed = 7;
  double room;
  line_init (&line);
  line.core.random = draw;
  line.core.random_data = &seed;
  line.core.full = line.core.now;
  line.swarm.live = true;
  line.swarm.bitrate = 100000;
  line.swarm.channels = g_ptr_array_new ();
  for (unsigned i = 0; i < N_LINE; i++) {
    line.channels[i]->state = PEER_CHANNEL_OPEN;
    line.channels[i]->last_received = line.core.now - (i >= N_LINE - gone ? 5 * SECOND : 0);
    line.channels[i]->unanswered = 5;
    g_ptr_array_add (line.swarm.channels, line.channels[i]);
  }
  peer_uploads_asked (&line.swarm, line.channels[0]);
  peer_uploads_tick (&line.swarm);
  peer_uploads_begin (&line.swarm, line.channels[0], &room);
  PeerLimit pace = line.channels[0]->upload.pace;
  g_ptr_array_unref (line.swarm.channels);
  line_clear (&line);
  return pace;
}

/* While our line is full, those who are there share it, and not those who were; four take nothing from
 * each other. */
static void
test_full_shares (void)
{
  PeerLimit five = pace_while_full (N_LINE - 5), four = pace_while_full (N_LINE - 4);
  g_assert_cmpuint (five.rate, ==, 100000 * 3 / 2 * 4 / 5);
  g_assert_cmpuint (four.rate, ==, 100000 * 3 / 2);
  g_assert_cmpfloat (five.burst, <, four.burst);
}

/* Half is left of the window, if it is our line that loses. */
static void
test_lost_in_our_line (void)
{
  Line line;
  line_init (&line);
  line.core.all.cwnd = 200000;
  for (unsigned i = 0; i < 2; i++) {
    PeerChannel *channel = line.channels[i];
    channel->flight_bytes = 100000;
    peer_uploads_flown (channel);
    channel->flight_bytes = 90000;
    channel->ledbat.queuing = i == 0 ? 20000 : 150000; /* us */
    line.core.all.queuing = channel->ledbat.queuing;
    peer_uploads_lost (channel);
    g_assert_cmpuint (peer_ledbat_window (&line.core.all), ==, i == 0 ? 200000 : 100000);
  }
  line_clear (&line);
}

/* Of the channels so many lose 30 of 100 datagrams, the others 5, or all of them if they are gone. Returns
 * how often the window of all was cut in this second. */
static unsigned
send_on_all (Line *line, unsigned lossy, bool gone)
{
  unsigned cuts = 0;
  line->core.now += 2 * SECOND;
  for (unsigned i = 0; i < 1000; i++) {
    line->core.now += 1000;
    for (unsigned k = 0; k < N_LINE; k++) {
      PeerChannel *channel = line->channels[k];
      bool lost = i % 100 * 7 % 100 < (k < lossy ? 30 : 5);
      channel->flight_bytes = 2 * PEER_DATAGRAM_MAX;
      peer_uploads_flown (channel);
      channel->flight_bytes = PEER_DATAGRAM_MAX;
      if (lost || (gone && k < lossy)) {
        peer_ledbat_on_loss (&channel->ledbat, line->core.now, line->core.now, PEER_DATAGRAM_MAX);
        size_t before = peer_ledbat_window (&line->core.all);
        peer_uploads_lost (channel);
        cuts += peer_ledbat_window (&line->core.all) < before;
      } else {
        peer_ledbat_on_ack (&channel->ledbat, line->core.now, 7, 50000, PEER_DATAGRAM_MAX,
                            2 * PEER_DATAGRAM_MAX);
        peer_uploads_acked (channel);
      }
      if (!gone || k >= lossy)
        channel->last_received = line->core.now;
    }
  }
  return cuts;
}

/* A line that drops what it cannot hold is as full as one with a queue; who does not acknowledge, or is
 * gone, is no sign of that. */
static void
test_lossy_line (void)
{
  Line line;
  line_init (&line);
  line.core.all.cwnd = 500000;
  for (unsigned i = 0; i < N_LINE; i++)
    peer_channel_open (line.channels[i], line.core.now, true);
  g_assert_cmpuint (send_on_all (&line, N_LINE / 2, false), ==, 0);
  g_assert_cmpuint (send_on_all (&line, N_LINE - 1, true), ==, 0);
  g_assert_cmpint (line.core.full, ==, 0);
  g_assert_cmpuint (peer_ledbat_window (&line.core.all), >=, 400000);
  g_assert_cmpuint (send_on_all (&line, N_LINE, false), ==, 1);
  g_assert_cmpint (line.core.full, >=, line.core.now - SECOND);
  g_assert_cmpuint (peer_ledbat_window (&line.core.all), <=, 200000);
  for (unsigned k = 0; k < N_LINE; k++) {
    line.channels[k]->flight_bytes = 0;
    peer_uploads_flown (line.channels[k]);
  }
  line.core.full = line.core.lossy = 0;
  for (unsigned i = 0; i < 10; i++) { /* what is not in use says nothing of our line */
    line.channels[0]->flight_bytes = PEER_DATAGRAM_MAX;
    peer_uploads_flown (line.channels[0]);
    line.channels[0]->flight_bytes = 0;
    peer_uploads_lost (line.channels[0]);
  }
  g_assert_cmpint (line.core.full, ==, 0);
  line_clear (&line);
}

int
main (int argc, char **argv)
{
  static const bool engine = false, swarm = true;
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/limit/debt-is-paid-first", test_limit);
  g_test_add_func ("/peer/uploads/free-rider-has-only-the-lot", test_free_rider);
  g_test_add_func ("/peer/uploads/a-seeder-gives-turns", test_turns);
  g_test_add_func ("/peer/uploads/an-address-has-one-slot", test_one_per_address);
  g_test_add_func ("/peer/uploads/who-won-stays-a-while", test_tenure);
  g_test_add_data_func ("/peer/uploads/limit-is-shared-evenly", &engine, test_shares);
  g_test_add_data_func ("/peer/uploads/limit-of-a-swarm-is-shared-evenly", &swarm, test_shares);
  g_test_add_func ("/peer/uploads/greedy-takes-nothing-from-others", test_greedy);
  g_test_add_func ("/peer/uploads/too-many-are-choked-in-turn", test_choked);
  g_test_add_func ("/peer/uploads/download-limit-holds-and-goes", test_download_limit);
  g_test_add_func ("/peer/uploads/live-goes-by-the-bitrate", test_pace);
  g_test_add_func ("/peer/uploads/what-few-have-goes-first", test_rare_goes_first);
  g_test_add_func ("/peer/uploads/full-line-gives-no-turn", test_full_line);
  g_test_add_func ("/peer/uploads/loss-in-our-line-halves-the-window-of-all",
                   test_lost_in_our_line);
  g_test_add_func ("/peer/uploads/full-line-is-shared-by-who-is-there", test_full_shares);
  g_test_add_func ("/peer/uploads/line-that-loses-much-is-full", test_lossy_line);
  g_test_add_func ("/peer/uploads/what-the-disk-has-not-yet-is-not-lost", test_pending);
  return g_test_run ();
}
