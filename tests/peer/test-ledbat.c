/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/ledbat.h"

#include <glib.h>
#include <string.h>

#define MSS 1200 /* bytes */
#define TARGET INT64_C (100000)
#define SECOND INT64_C (1000000)
#define MINUTE (60 * SECOND)

static void
init (PeerLedbat *out)
{
  static const PeerLedbatOptions options = {
      .mss = MSS, .target = 100000, .gain_percent = 100, .init_cwnd = 2};

  peer_ledbat_init (out, &options);
}

/* --- a bottleneck --- */

/* One FIFO queue with a rate, shared by two flows; a constant delay on each side of it. Who is
 * dropped still travels along, as a notice of the loss that takes no time at the bottleneck. */

typedef struct {
  int flow;
  int64_t sent, due; /* us */
  bool lost;
} Packet;

typedef struct {
  bool active, reno; /* reno: the competitor, as RFC 5681 has it after its slow start */
  PeerLedbat ledbat;
  double window, last_cut;  /* reno: bytes; us */
  size_t flight, delivered; /* bytes */
  uint64_t clock_offset;    /* us; receiver's clock minus sender's */
  int64_t skew_ppm;         /* of the receiver's clock */
} Flow;

typedef struct {
  int64_t now, delay;                          /* us; delay: one way */
  uint64_t rate;                               /* bytes/s */
  int64_t free_at;                             /* us: when the bottleneck has sent what it holds */
  int64_t max_queue;                           /* us */
  int64_t queue_sum, queue_samples, queue_max; /* us */
  GRand *random;
  unsigned loss_ppm; /* of packets that are lost on the way, not by the queue */
  GQueue acks;
  Flow flows[2];
} Net;

static void
net_init (Net *self, uint64_t rate, int64_t delay, int64_t max_queue)
{
  memset (self, 0, sizeof *self);
  self->rate = rate;
  self->delay = delay;
  self->max_queue = max_queue;
  self->random = g_rand_new_with_seed (7);
  g_queue_init (&self->acks);
  for (int i = 0; i < 2; i++)
    init (&self->flows[i].ledbat);
}

static void
net_clear (Net *self)
{
  g_queue_clear_full (&self->acks, g_free);
  g_rand_free (self->random);
}

static void
net_send (Net *self, int flow)
{
  Packet *packet = g_new0 (Packet, 1);
  int64_t start = MAX (self->now, self->free_at);

  packet->flow = flow;
  packet->sent = self->now;
  packet->lost = start - self->now > self->max_queue ||
                 (unsigned)g_rand_int_range (self->random, 0, 1000000) < self->loss_ppm;
  if (!packet->lost)
    self->free_at = start + (int64_t)(MSS * UINT64_C (1000000) / self->rate);
  packet->due = MAX (start, self->free_at) + 2 * self->delay;
  self->flows[flow].flight += MSS;
  g_queue_push_tail (&self->acks, packet);
}

static void
flow_on_ack (Net *self, Flow *flow, const Packet *packet)
{
  int64_t arrived = packet->due - self->delay;
  uint64_t receiver = (uint64_t)(arrived + arrived * flow->skew_ppm / 1000000) + flow->clock_offset;

  if (!flow->reno)
    peer_ledbat_on_ack (&flow->ledbat, self->now, receiver - (uint64_t)packet->sent,
                        self->now - packet->sent, MSS, flow->flight);
  else
    flow->window += (double)MSS * MSS / flow->window;
  flow->flight -= MSS;
  flow->delivered += MSS;
}

static void
flow_on_loss (Net *self, Flow *flow, const Packet *packet)
{
  flow->flight -= MSS;
  if (!flow->reno) {
    peer_ledbat_on_loss (&flow->ledbat, self->now, packet->sent, MSS);
  } else if ((double)packet->sent > flow->last_cut) {
    flow->window = MAX (flow->window / 2, 2.0 * MSS);
    flow->last_cut = (double)self->now;
  }
}

static void
net_step (Net *self)
{
  Packet *packet;
  int64_t queue;

  while ((packet = g_queue_peek_head (&self->acks)) != NULL && packet->due <= self->now) {
    g_queue_pop_head (&self->acks);
    if (packet->lost)
      flow_on_loss (self, &self->flows[packet->flow], packet);
    else
      flow_on_ack (self, &self->flows[packet->flow], packet);
    g_free (packet);
  }
  for (int i = 0; i < 2; i++) {
    Flow *flow = &self->flows[i];
    size_t window = flow->reno ? (size_t)flow->window : peer_ledbat_window (&flow->ledbat);

    while (flow->active && flow->flight + MSS <= window)
      net_send (self, i);
  }
  queue = MAX (0, self->free_at - self->now);
  self->queue_sum += queue;
  self->queue_max = MAX (self->queue_max, queue);
  self->queue_samples++;
}

/* Runs for a time; the figures are of that time alone. */
static void
net_run (Net *self, int64_t time)
{
  self->queue_sum = self->queue_samples = self->queue_max = 0;
  self->flows[0].delivered = self->flows[1].delivered = 0;
  for (int64_t end = self->now + time; self->now < end; self->now += 500)
    net_step (self);
}

static double
share (const Net *self, int flow, int64_t time)
{
  return (double)self->flows[flow].delivered * 1e6 / ((double)self->rate * (double)time);
}

static int64_t
mean_queue (const Net *self)
{
  return self->queue_sum / self->queue_samples;
}

/* --- tests --- */

/* 4 Mbit/s and 40 ms there and back: a viewer's channel is full after a few round trips. */
static void
test_starts_fast (void)
{
  Net net;

  net_init (&net, 500000, 20000, SECOND);
  net.flows[0].active = true;
  net_run (&net, 6 * 40000);
  net_run (&net, SECOND);
  g_test_message ("%.2f of the rate in the first second after six round trips",
                  share (&net, 0, SECOND));
  g_assert_cmpfloat (share (&net, 0, SECOND), >, 0.95);
  g_assert_cmpint (net.queue_max, <, 3 * TARGET / 2);
  net_clear (&net);
}

static void
test_keeps_to_target (gconstpointer data)
{
  uint64_t rate = GPOINTER_TO_UINT (data);
  Net net;

  net_init (&net, rate, 20000, SECOND);
  net.flows[0].active = true;
  net_run (&net, 60 * SECOND);
  net_run (&net, 60 * SECOND);
  g_test_message ("%u bytes/s: %.3f used, queue %d us mean, %d us most", (unsigned)rate,
                  share (&net, 0, MINUTE), (int)mean_queue (&net), (int)net.queue_max);
  g_assert_cmpfloat (share (&net, 0, MINUTE), >, 0.98);
  g_assert_cmpint (mean_queue (&net), <, TARGET * 11 / 10);
  g_assert_cmpint (net.queue_max, <, TARGET * 12 / 10);
  net_clear (&net);
}

static void
test_yields (void)
{
  Net net;

  net_init (&net, 1250000, 20000, 300000); /* 10 Mbit/s, a router with too much buffer */
  net.flows[0].active = true;
  net_run (&net, 30 * SECOND);
  net.flows[1] = (Flow){.active = true, .reno = true, .window = 10.0 * MSS};
  net_run (&net, 30 * SECOND);
  net_run (&net, 60 * SECOND);
  g_test_message ("beside a TCP: %.3f, TCP %.3f", share (&net, 0, MINUTE), share (&net, 1, MINUTE));
  g_assert_cmpfloat (share (&net, 0, MINUTE), <, 0.10);
  g_assert_cmpfloat (share (&net, 1, MINUTE), >, 0.85);
  g_assert_cmpfloat (share (&net, 0, MINUTE), >, 0.001); /* yields, but lives */
  net.flows[1].active = false;
  net_run (&net, 20 * SECOND);
  net_run (&net, 10 * SECOND);
  g_test_message ("alone again: %.3f", share (&net, 0, 10 * SECOND));
  g_assert_cmpfloat (share (&net, 0, 10 * SECOND), >, 0.90);
  net_clear (&net);
}

/* The clocks need not agree, not even about the half of 2^64. */
static void
test_clock_offset (void)
{
  static const uint64_t offsets[] = {
      0, 1, UINT64_MAX, UINT64_C (1) << 63, (UINT64_C (1) << 63) - 7, (uint64_t)-20000 - 5000000};
  size_t delivered = 0;

  for (size_t i = 0; i < G_N_ELEMENTS (offsets); i++) {
    Net net;

    net_init (&net, 500000, 20000, SECOND);
    net.flows[0].active = true;
    net.flows[0].clock_offset = offsets[i];
    net_run (&net, 20 * SECOND);
    g_assert_true (i == 0 || delivered == net.flows[0].delivered);
    delivered = net.flows[0].delivered;
    net_clear (&net);
  }
}

static void
test_clock_skew (gconstpointer data)
{
  Net net;

  net_init (&net, 500000, 20000, SECOND);
  net.flows[0].active = true;
  net.flows[0].skew_ppm = GPOINTER_TO_INT (data);
  net_run (&net, 10 * MINUTE);
  net_run (&net, 5 * MINUTE);
  g_test_message ("%d ppm: %.3f, queue %d us", GPOINTER_TO_INT (data), share (&net, 0, 5 * MINUTE),
                  (int)mean_queue (&net));
  g_assert_cmpfloat (share (&net, 0, 5 * MINUTE), >, 0.95);
  g_assert_cmpint (mean_queue (&net), <, TARGET * 12 / 10);
  net_clear (&net);
}

/* Who fills a link for an hour does not come to take its own queue for the way. */
static void
test_long_run (void)
{
  Net net;

  net_init (&net, 500000, 20000, SECOND);
  net.flows[0].active = true;
  net_run (&net, 55 * MINUTE);
  net_run (&net, 5 * MINUTE);
  g_test_message ("after an hour: %.3f, queue %d us", share (&net, 0, 5 * MINUTE),
                  (int)mean_queue (&net));
  g_assert_cmpfloat (share (&net, 0, 5 * MINUTE), >, 0.95);
  g_assert_cmpint (mean_queue (&net), <, TARGET * 11 / 10);
  net_clear (&net);
}

/* Section 4.4: a latecomer must not shut out who was there. */
static void
test_latecomer (void)
{
  Net net;

  net_init (&net, 1250000, 20000, SECOND);
  net.flows[0].active = true;
  net_run (&net, MINUTE);
  net.flows[1].active = true;
  net_run (&net, 4 * MINUTE);
  net_run (&net, 2 * MINUTE);
  g_test_message ("first %.3f, latecomer %.3f, queue %d us", share (&net, 0, 2 * MINUTE),
                  share (&net, 1, 2 * MINUTE), (int)mean_queue (&net));
  g_assert_cmpfloat (share (&net, 0, 2 * MINUTE), >, 0.2);
  g_assert_cmpfloat (share (&net, 1, 2 * MINUTE), >, 0.2);
  net_clear (&net);
}

/* A clock is set: by NTP, or by hand. The stream goes on. */
static void
test_clock_step (gconstpointer data)
{
  int64_t step = GPOINTER_TO_INT (data) * SECOND;
  Net net;

  net_init (&net, 500000, 20000, SECOND);
  net.flows[0].active = true;
  net_run (&net, 10 * SECOND);
  net.flows[0].clock_offset += (uint64_t)step;
  net_run (&net, 2 * SECOND);
  g_assert_cmpfloat (share (&net, 0, 2 * SECOND), >, 0.95);
  net_run (&net, 10 * SECOND);
  g_assert_cmpfloat (share (&net, 0, 10 * SECOND), >, 0.95);
  g_assert_cmpint (net.queue_max, <, 3 * TARGET);
  net_clear (&net);
}

/* Losses that no queue has made: it lives on about as TCP does (section 3.2.2). */
static void
test_random_loss (void)
{
  Net net;

  net_init (&net, 1250000, 20000, SECOND);
  net.flows[0].active = true;
  net.loss_ppm = 20000;
  net_run (&net, 60 * SECOND);
  g_test_message ("2 %% loss: %.3f of 10 Mbit/s", share (&net, 0, MINUTE));
  g_assert_cmpfloat (share (&net, 0, MINUTE), >, 0.12); /* 1.2 MSS / (RTT sqrt (p)) is 0.20 */
  net_clear (&net);

  net_init (&net, 1250000, 20000, SECOND);
  net.flows[0].active = true;
  net.loss_ppm = 20000;
  net.flows[0].ledbat.options.loss_percent = 85;
  net_run (&net, 60 * SECOND);
  g_test_message ("2 %% loss, 85 %% kept: %.3f of 10 Mbit/s", share (&net, 0, MINUTE));
  g_assert_cmpfloat (share (&net, 0, MINUTE), >, 0.25);
  net_clear (&net);
}

static void
test_bounds (void)
{
  PeerLedbatOptions options = {
      .mss = MSS, .target = 5000000, .gain_percent = 900, .init_cwnd = 100, .loss_percent = 100};
  PeerLedbat ledbat;

  peer_ledbat_init (&ledbat, &options);
  g_assert_cmpuint (ledbat.options.target, ==, 100000);
  g_assert_cmpuint (ledbat.options.gain_percent, ==, 100);
  g_assert_cmpuint (ledbat.options.loss_percent, ==, 99);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, 3 * MSS); /* RFC 5681, 3.1 */
  options = (PeerLedbatOptions){.mss = 1000, .init_cwnd = 100};
  peer_ledbat_init (&ledbat, &options);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, 4 * 1000);
  g_assert_cmpuint (ledbat.options.loss_percent, ==, 50);
  options.mss = 3000;
  peer_ledbat_init (&ledbat, &options);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, 2 * 3000);
  g_assert_cmpint (peer_ledbat_cto (&ledbat), ==, SECOND);
}

static void
test_loss (void)
{
  PeerLedbat ledbat;
  int64_t now = 5 * SECOND;

  init (&ledbat);
  ledbat.cwnd = 40 * MSS;
  ledbat.srtt = 50000;
  peer_ledbat_on_loss (&ledbat, now, now - 50000, MSS);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, 20 * MSS);
  g_assert_false (ledbat.slow_start);
  peer_ledbat_on_loss (&ledbat, now + 70000, now - 1, MSS); /* of the same round trip, found late */
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, 20 * MSS);
  for (int i = 1; i <= 10; i++)
    peer_ledbat_on_loss (&ledbat, now + i * 50000, now + (i - 1) * 50000, MSS);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, 2 * MSS);
}

/* n acknowledgements, 1 ms apart, and a loss with each so manieth; how often the window was cut. */
static unsigned
lose_some (PeerLedbat *ledbat, int64_t *now, unsigned n, unsigned each)
{
  unsigned cuts = 0;
  for (unsigned i = 1; i <= n; i++) {
    *now += 1000;
    peer_ledbat_on_ack (ledbat, *now, 7, 50000, MSS, 40 * MSS);
    size_t before = peer_ledbat_window (ledbat);
    if (i % each == 0)
      peer_ledbat_on_loss (ledbat, *now, *now, MSS);
    cuts += peer_ledbat_window (ledbat) < before;
  }
  return cuts;
}

/* Of what is lost, 2 % of what arrives is borne, for ever, and 20 datagrams at once; of four in a
 * hundred it is half, and the other half counts. With a queue each counts. */
static void
test_tolerated_loss (void)
{
  PeerLedbat ledbat;
  int64_t now = 5 * SECOND;
  PeerLedbatOptions options = {.mss = MSS, .init_cwnd = 2, .loss_tolerance = 2};

  peer_ledbat_init (&ledbat, &options);
  ledbat.cwnd = 40 * MSS;
  g_assert_cmpuint (lose_some (&ledbat, &now, 100000, 51), ==, 0);
  g_assert_true (ledbat.slow_start);
  g_assert_cmpuint (lose_some (&ledbat, &now, 10050, 100), ==, 0);
  for (unsigned i = 0; i < 20; i++)
    peer_ledbat_on_loss (&ledbat, now, now, MSS);
  g_assert_true (ledbat.slow_start);
  size_t window = peer_ledbat_window (&ledbat);
  peer_ledbat_on_loss (&ledbat, now, now, MSS);
  g_assert_false (ledbat.slow_start);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, window / 2);
  lose_some (&ledbat, &now, 10050, 100);
  lose_some (&ledbat, &now, 1000, 25); /* 40 lost: 20 for what arrived, and the 20 at once */
  g_assert_cmpuint (lose_some (&ledbat, &now, 5000, 25), ==, 100);
  lose_some (&ledbat, &now, 10000, 100);
  ledbat.cwnd = 40 * MSS;
  ledbat.queuing = 50000;
  peer_ledbat_on_loss (&ledbat, now + 60000, now + 1, MSS);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, 20 * MSS);
}

/* How often half is left of the window. Of two losses one was sent before the last cut. */
static unsigned
halvings (PeerLedbat *ledbat, int64_t *now, unsigned n, unsigned each)
{
  unsigned cuts = 0;
  for (unsigned i = 1; i <= n; i++) {
    size_t before = peer_ledbat_window (ledbat);
    *now += 1000;
    if (i % each == 0)
      peer_ledbat_on_loss (ledbat, *now, *now - 1500 * each, MSS);
    else
      peer_ledbat_on_ack (ledbat, *now, 7, 50000, MSS, 40 * MSS);
    cuts += peer_ledbat_window (ledbat) < before * 6 / 10;
  }
  return cuts;
}

/* A live stream bears a loss where no queue is seen, and one of nine for ever. A line that drops what
 * it cannot hold shows no queue to who comes when it is full already: there it is the share that is lost
 * which tells, whatever is tolerated. */
static void
test_heavy_loss (void)
{
  for (uint32_t tolerance = 0; tolerance <= 2; tolerance += 2) {
    PeerLedbatOptions options = {
        .mss = MSS, .init_cwnd = 2, .loss_percent = 99, .loss_tolerance = tolerance};
    PeerLedbat ledbat;
    int64_t now = 5 * SECOND;
    peer_ledbat_init (&ledbat, &options);
    ledbat.cwnd = 40 * MSS;
    g_assert_cmpuint (halvings (&ledbat, &now, 20000, 9), ==, 0);
    g_assert_true (ledbat.slow_start);
    unsigned cuts = halvings (&ledbat, &now, 1000, 6);
    g_test_message ("%u", cuts);
    g_assert_cmpuint (cuts, >=, 10);
    g_assert_cmpuint (cuts, <=, 1000 / 25);
    g_assert_false (ledbat.slow_start);
    ledbat.cwnd = 40 * MSS;
    halvings (&ledbat, &now, 1000, 9); /* which forgets */
    g_assert_cmpuint (halvings (&ledbat, &now, 20000, 9), ==, 0);
  }
}

/* The queue that ends slow start loses some of what made it: that is one event, not two. */
static void
test_overshoot_is_cut_once (void)
{
  PeerLedbat ledbat;
  int64_t now = 5 * SECOND;

  init (&ledbat);
  for (int i = 0; i < 20; i++)
    peer_ledbat_on_ack (&ledbat, now += 1000, 7, 50000, MSS, peer_ledbat_window (&ledbat));
  for (int i = 0; i < 60 && ledbat.slow_start; i++)
    peer_ledbat_on_ack (&ledbat, now += 1000, 60007, 110000, MSS, peer_ledbat_window (&ledbat));
  g_assert_false (ledbat.slow_start);
  size_t left = peer_ledbat_window (&ledbat);
  peer_ledbat_on_loss (&ledbat, now + 90000, now - 1, MSS);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, left);
  peer_ledbat_on_loss (&ledbat, now + 90000, now, MSS);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, left / 2);
}

static void
test_timeout (void)
{
  PeerLedbat ledbat;
  int64_t now = SECOND;

  init (&ledbat);
  peer_ledbat_on_ack (&ledbat, now, 7, 40000, MSS, MSS);
  ledbat.cwnd = 40 * MSS;
  peer_ledbat_on_timeout (&ledbat, now);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, MSS);
  g_assert_cmpint (peer_ledbat_cto (&ledbat), ==, 2 * SECOND);
  for (int i = 0; i < 10; i++)
    peer_ledbat_on_timeout (&ledbat, now += peer_ledbat_cto (&ledbat));
  g_assert_cmpint (peer_ledbat_cto (&ledbat), ==, 60 * SECOND);
  /* A chunk that was sent twice tells no round trip (RFC 6298, 3): the CTO stays. */
  peer_ledbat_on_ack (&ledbat, now += 1000, 7, 0, MSS, MSS);
  g_assert_cmpint (peer_ledbat_cto (&ledbat), ==, 60 * SECOND);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, 2 * MSS);
  peer_ledbat_on_ack (&ledbat, now += 1000, 7, 40000, MSS, 2 * MSS);
  g_assert_cmpint (peer_ledbat_cto (&ledbat), ==, SECOND);
  for (int i = 0; i < 200; i++) /* slow start up to half of what there was */
    peer_ledbat_on_ack (&ledbat, now += 1000, 7, 40000, MSS, peer_ledbat_window (&ledbat));
  g_assert_false (ledbat.slow_start);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), >=, 20 * MSS);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), <, 30 * MSS);
}

/* The very first was lost, as a SYN may be: the path is as unknown as before. */
static void
test_timeout_before_any_answer (void)
{
  PeerLedbat ledbat;
  int64_t now = SECOND;

  init (&ledbat);
  peer_ledbat_on_timeout (&ledbat, now);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, MSS);
  for (int i = 0; i < 40; i++)
    peer_ledbat_on_ack (&ledbat, now += 1000, 7, 40000, MSS, peer_ledbat_window (&ledbat));
  g_assert_cmpuint (peer_ledbat_window (&ledbat), >=, 20 * MSS);
}

/* A loss while no queue is seen ends slow start, but where the swarm says that it means nothing. */
static void
test_loss_in_slow_start (void)
{
  for (unsigned percent = 50; percent <= 99; percent += 49) {
    const PeerLedbatOptions options = {
        .mss = MSS, .target = 100000, .gain_percent = 100, .init_cwnd = 2, .loss_percent = percent};
    PeerLedbat ledbat;
    int64_t now = SECOND;
    peer_ledbat_init (&ledbat, &options);
    for (int i = 0; i < 10; i++)
      peer_ledbat_on_ack (&ledbat, now += 1000, 7, 40000, MSS, peer_ledbat_window (&ledbat));
    peer_ledbat_on_loss (&ledbat, now, now - 40000, MSS);
    g_assert_cmpint (ledbat.slow_start, ==, percent > 50);
  }
}

static void
test_cto (void)
{
  PeerLedbat ledbat;

  init (&ledbat);
  peer_ledbat_on_ack (&ledbat, SECOND, 0, 200000, MSS, MSS); /* RFC 6298, 2.2 */
  g_assert_cmpint (ledbat.srtt, ==, 200000);
  g_assert_cmpint (peer_ledbat_cto (&ledbat), ==, SECOND);   /* 2.4 */
  peer_ledbat_on_ack (&ledbat, SECOND, 0, 280000, MSS, MSS); /* 2.3 */
  g_assert_cmpint (ledbat.rttvar, ==, 75000 + 20000);
  g_assert_cmpint (ledbat.srtt, ==, 175000 + 35000);
  g_assert_cmpint (peer_ledbat_cto (&ledbat), ==, SECOND);
  peer_ledbat_on_ack (&ledbat, SECOND, 0, INT64_MAX, MSS, MSS);
  g_assert_cmpint (peer_ledbat_cto (&ledbat), <=, 60 * SECOND);
}

/* The base delay is of the last ten minutes; an idle minute has none (section 2.4.2). */
static void
test_base_history (void)
{
  PeerLedbat ledbat;

  init (&ledbat);
  peer_ledbat_on_ack (&ledbat, SECOND, 1000, 0, MSS, MSS);
  for (int minute = 1; minute < 10; minute++) {
    peer_ledbat_on_ack (&ledbat, minute * MINUTE, 51000, 0, MSS, MSS);
    g_assert_cmpint (peer_ledbat_queuing_delay (&ledbat), ==, 50000);
  }
  peer_ledbat_on_ack (&ledbat, 10 * MINUTE, 51000, 0, MSS, MSS);
  g_assert_cmpint (peer_ledbat_queuing_delay (&ledbat), ==, 0);
  peer_ledbat_on_ack (&ledbat, 40 * MINUTE, 91000, 0, MSS, MSS); /* all has been forgotten */
  g_assert_cmpint (peer_ledbat_queuing_delay (&ledbat), ==, 0);
  peer_ledbat_on_ack (&ledbat, 41 * MINUTE, 500, 0, MSS, MSS); /* a shorter way: known at once */
  peer_ledbat_on_ack (&ledbat, 41 * MINUTE + SECOND, 30500, 0, MSS, MSS);
  g_assert_cmpint (peer_ledbat_queuing_delay (&ledbat), ==, 30000);
}

/* Section 2.5: samples that are older than a round trip do not count; of younger ones the least
 * does, so that one late sample is no congestion. */
static void
test_filter (void)
{
  PeerLedbat ledbat;

  init (&ledbat);
  peer_ledbat_on_ack (&ledbat, SECOND, 1000, 50000, MSS, MSS);
  peer_ledbat_on_ack (&ledbat, SECOND + 40000, 41000, 50000, MSS, MSS);
  g_assert_cmpint (peer_ledbat_queuing_delay (&ledbat), ==, 0);
  peer_ledbat_on_ack (&ledbat, SECOND + 60000, 31000, 50000, MSS, MSS);
  g_assert_cmpint (peer_ledbat_queuing_delay (&ledbat), ==, 30000);
  peer_ledbat_on_ack (&ledbat, SECOND + 200000, 81000, 50000 + 50000, MSS, MSS);
  g_assert_cmpint (peer_ledbat_queuing_delay (&ledbat), ==, 80000);
}

static void
test_application_limited (void)
{
  PeerLedbat ledbat;
  int64_t now = SECOND;

  init (&ledbat);
  for (int i = 0; i < 1000; i++)
    peer_ledbat_on_ack (&ledbat, now += 10000, 1000, 40000, MSS, 4 * MSS);
  g_assert_true (ledbat.slow_start);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), <=, 8 * MSS);
  ledbat.slow_start = false;
  for (int i = 0; i < 1000; i++)
    peer_ledbat_on_ack (&ledbat, now += 10000, 1000, 40000, MSS, 4 * MSS);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), ==, 5 * MSS);
}

/* One datagram acknowledges a burst: what is left of it in flight is not what the path bears. */
static void
test_batches (void)
{
  PeerLedbat ledbat;
  int64_t now = SECOND;

  init (&ledbat);
  ledbat.slow_start = false;
  ledbat.cwnd = 20 * MSS;
  for (int round = 0; round < 100; round++) {
    for (size_t flight = 20; flight > 0; flight--)
      peer_ledbat_on_ack (&ledbat, now, 1000, 40000, MSS, flight * MSS);
    now += 144000;
  }
  g_assert_cmpuint (peer_ledbat_window (&ledbat), >=, 20 * MSS);
  g_assert_cmpuint (peer_ledbat_window (&ledbat), <=, 21 * MSS);
}

/* Whatever a peer says, the window stays one, and grows no faster than what was in flight. */
static void
test_rubbish (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed ((guint32)g_test_rand_int ());
  PeerLedbat ledbat;
  int64_t now = 0;

  init (&ledbat);
  for (int i = 0; i < 200000; i++) {
    uint64_t delay = (uint64_t)g_rand_int (random) << 32 | g_rand_int (random);
    int64_t rtt = (int64_t)(((uint64_t)g_rand_int (random) << 32 | g_rand_int (random)) >> 1);
    size_t flight = (size_t)g_rand_int_range (random, 0, 100 * MSS);

    now += g_rand_int_range (random, 0, 100) == 0 ? MINUTE : g_rand_int_range (random, 0, 5000);
    rtt >>= g_rand_int_range (random, 0, 63);
    delay >>= g_rand_int_range (random, 0, 63);
    switch (g_rand_int_range (random, 0, 20)) {
    case 0:
      peer_ledbat_on_loss (&ledbat, now, now - (rtt > 0 ? rtt : 0), MSS);
      break;
    case 1:
      peer_ledbat_on_timeout (&ledbat, now);
      break;
    default:
      peer_ledbat_on_ack (&ledbat, now, delay, rtt, flight, flight);
    }
    g_assert_cmpuint (peer_ledbat_window (&ledbat), >=, MSS);
    g_assert_cmpuint (peer_ledbat_window (&ledbat), <=, 200 * MSS);
    g_assert_cmpint (peer_ledbat_cto (&ledbat), >=, 300000);
    g_assert_cmpint (peer_ledbat_cto (&ledbat), <=, MINUTE);
    g_assert_cmpint (peer_ledbat_queuing_delay (&ledbat), >=, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/ledbat/options-keep-to-the-musts", test_bounds);
  g_test_add_func ("/peer/ledbat/overshoot-is-cut-once", test_overshoot_is_cut_once);
  g_test_add_func ("/peer/ledbat/loss-halves-once-a-round-trip", test_loss);
  g_test_add_func ("/peer/ledbat/loss-is-tolerated-as-told", test_tolerated_loss);
  g_test_add_func ("/peer/ledbat/heavy-loss-is-a-full-path", test_heavy_loss);
  g_test_add_func ("/peer/ledbat/timeout-leaves-one-datagram", test_timeout);
  g_test_add_func ("/peer/ledbat/timeout-before-any-answer-sets-no-threshold",
                   test_timeout_before_any_answer);
  g_test_add_func ("/peer/ledbat/loss-in-slow-start", test_loss_in_slow_start);
  g_test_add_func ("/peer/ledbat/cto-is-that-of-rfc-6298", test_cto);
  g_test_add_func ("/peer/ledbat/base-delay-is-of-ten-minutes", test_base_history);
  g_test_add_func ("/peer/ledbat/filter-is-of-one-round-trip", test_filter);
  g_test_add_func ("/peer/ledbat/who-sends-little-has-a-small-window", test_application_limited);
  g_test_add_func ("/peer/ledbat/batches-do-not-shrink-the-window", test_batches);
  g_test_add_func ("/peer/ledbat/rubbish-is-harmless", test_rubbish);
  g_test_add_func ("/peer/ledbat/fills-a-channel-in-a-few-round-trips", test_starts_fast);
  g_test_add_data_func ("/peer/ledbat/keeps-to-target/1-mbit", GUINT_TO_POINTER (125000),
                        test_keeps_to_target);
  g_test_add_data_func ("/peer/ledbat/keeps-to-target/4-mbit", GUINT_TO_POINTER (500000),
                        test_keeps_to_target);
  g_test_add_data_func ("/peer/ledbat/keeps-to-target/50-mbit", GUINT_TO_POINTER (6250000),
                        test_keeps_to_target);
  g_test_add_func ("/peer/ledbat/yields-to-tcp-and-comes-back", test_yields);
  g_test_add_func ("/peer/ledbat/clock-offset-does-not-matter", test_clock_offset);
  g_test_add_data_func ("/peer/ledbat/clock-skew/200", GINT_TO_POINTER (200), test_clock_skew);
  g_test_add_data_func ("/peer/ledbat/clock-skew/minus-200", GINT_TO_POINTER (-200),
                        test_clock_skew);
  g_test_add_func ("/peer/ledbat/an-hour-does-not-raise-the-queue", test_long_run);
  g_test_add_func ("/peer/ledbat/latecomer-shuts-nobody-out", test_latecomer);
  g_test_add_data_func ("/peer/ledbat/clock-step/forward", GINT_TO_POINTER (3600), test_clock_step);
  g_test_add_data_func ("/peer/ledbat/clock-step/back", GINT_TO_POINTER (-3600), test_clock_step);
  g_test_add_func ("/peer/ledbat/random-loss", test_random_loss);
  return g_test_run ();
}
