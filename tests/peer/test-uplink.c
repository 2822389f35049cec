/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/uplink.h"

#include <glib.h>

#define STEP PEER_UPLINK_INTERVAL
#define MS 1000

static void
test_short_queue_limits_nothing (void)
{
  PeerUplink uplink = {0};
  for (int64_t i = 1; i <= 100; i++)
    g_assert_cmpuint (peer_uplink_judge (&uplink, i * STEP, 120 * MS, (uint64_t)i * 100000), ==, 0);
}

static void
test_nothing_is_judged_twice_in_an_interval (void)
{
  PeerUplink uplink = {0};
  uint64_t rate = peer_uplink_judge (&uplink, STEP, 500 * MS, 40000);
  g_assert_cmpuint (rate, >, 0);
  g_assert_cmpuint (rate, <, 100000);
  g_assert_cmpuint (peer_uplink_judge (&uplink, STEP + STEP / 2, 500 * MS, 40100), ==, rate);
}

static void
test_unknown_queue_changes_nothing (void)
{
  PeerUplink uplink = {0};
  uint64_t sent = 0;
  g_assert_cmpuint (peer_uplink_judge (&uplink, STEP, -1, sent += 40000), ==, 0);
  uint64_t rate = peer_uplink_judge (&uplink, 2 * STEP, 200 * MS, sent += 40000);
  g_assert_cmpuint (rate, >, 0);
  for (int64_t i = 3; i < 20; i++)
    g_assert_cmpuint (peer_uplink_judge (&uplink, i * STEP, -1, sent += 40000), ==, rate);
}

/* Who does not make use of what it may send learns nothing of the line. */
static void
test_unused_rate_does_not_grow (void)
{
  PeerUplink uplink = {0};
  uint64_t rate = peer_uplink_judge (&uplink, STEP, 200 * MS, 40000);
  g_assert_cmpuint (rate, >, 0);
  for (int64_t i = 2; i < 50; i++)
    g_assert_cmpuint (peer_uplink_judge (&uplink, i * STEP, 0, 40000), ==, rate);
}

/* bytes/s that the line carries, and that we would send; us of queue and share of the line's rate
 * that is made use of in the last of 60 s. What is seen of the queue is an interval old. */
static void
turn_loop (double line, double wanted, double *queue, double *used)
{
  PeerUplink uplink = {0};
  double waiting = 0, sent = 0, last = 0, seen = 0;
  for (int64_t i = 1; i <= 60 * G_USEC_PER_SEC / STEP; i++) {
    double rate = uplink.rate > 0 ? MIN ((double)uplink.rate, wanted) : wanted;
    double n = rate * STEP / 1e6;
    sent += n;
    waiting = MAX (waiting + n - line * STEP / 1e6, 0);
    waiting = MIN (waiting, 128 * 1024);
    last = 0.8 * last + 0.2 * rate;
    peer_uplink_judge (&uplink, i * STEP, (int64_t)seen, (uint64_t)sent);
    seen = waiting / line * 1e6;
  }
  *queue = waiting / line * 1e6;
  *used = last / line;
}

static void
test_line_is_used_without_a_long_queue (void)
{
  static const double lines[] = {40000, 80000, 125000, 500000};
  for (unsigned i = 0; i < G_N_ELEMENTS (lines); i++) {
    double queue, used;
    turn_loop (lines[i], 4 * lines[i], &queue, &used);
    g_assert_cmpfloat (queue, <, 400 * MS);
    g_assert_cmpfloat (used, >, 0.7);
    turn_loop (lines[i], lines[i] / 2, &queue, &used);
    g_assert_cmpfloat (queue, <, 1);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/uplink/short-queue-limits-nothing", test_short_queue_limits_nothing);
  g_test_add_func ("/peer/uplink/nothing-is-judged-twice-in-an-interval",
                   test_nothing_is_judged_twice_in_an_interval);
  g_test_add_func ("/peer/uplink/unknown-queue-changes-nothing",
                   test_unknown_queue_changes_nothing);
  g_test_add_func ("/peer/uplink/unused-rate-does-not-grow", test_unused_rate_does_not_grow);
  g_test_add_func ("/peer/uplink/line-is-used-without-a-long-queue",
                   test_line_is_used_without_a_long_queue);
  return g_test_run ();
}
