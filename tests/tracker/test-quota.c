/* SPDX-License-Identifier: Apache-2.0 */
/* Floods: how much one address may ask, and how often the operator hears of it. Time is a number. */
#include "peer/trackerd/events.h"
#include "peer/trackerd/quota.h"
#include "tests/random.h"

#define SECOND ((int64_t)G_USEC_PER_SEC)

/* How many of n requests at this moment are let in. */
static unsigned
flood (TrackerdQuota *quota, const char *ip, unsigned n, int64_t now)
{
  PeerAddress from;
  unsigned good = 0;
  g_assert_true (peer_address_parse_ip (ip, 4711, &from));
  for (unsigned i = 0; i < n; i++) {
    if (!trackerd_quota_has (quota, &from, now))
      continue;
    trackerd_quota_take (quota, &from, 1, now);
    good++;
  }
  return good;
}

static TrackerdQuota *
quota_new (uint32_t rate, uint32_t burst, uint64_t *state)
{
  *state = RANDOM_SEED;
  return trackerd_quota_new (rate, burst, random_bytes, state);
}

static void
flood_is_cut_to_the_rate (void)
{
  uint64_t state;
  g_autoptr (TrackerdQuota) quota = quota_new (50, 512, &state);
  int64_t now = 1000 * SECOND;
  g_assert_cmpuint (flood (quota, "203.0.113.1", 10000, now), ==, 512);
  g_assert_cmpuint (flood (quota, "203.0.113.1", 10000, now), ==, 0);
  g_assert_cmpuint (flood (quota, "203.0.113.1", 10000, now + SECOND), ==, 50);
  g_assert_cmpuint (flood (quota, "203.0.113.1", 10000, now + 3600 * SECOND), ==, 512);
  /* Others are not of it, and loopback never is. */
  g_assert_cmpuint (flood (quota, "203.0.113.2", 10000, now + 3600 * SECOND), ==, 512);
  g_assert_cmpuint (flood (quota, "127.0.0.1", 10000, now), ==, 10000);
  g_assert_cmpuint (flood (quota, "::1", 10000, now), ==, 10000);
}

static void
one_subscriber_has_one_bucket (void)
{
  uint64_t state;
  g_autoptr (TrackerdQuota) quota = quota_new (1, 10, &state);
  g_assert_cmpuint (flood (quota, "2001:db8::1", 7, SECOND), ==, 7);
  g_assert_cmpuint (flood (quota, "2001:db8::2", 7, SECOND), ==, 3);
  g_assert_cmpuint (flood (quota, "2001:db8:0:1::2", 7, SECOND), ==, 7);
}

static void
wrong_passwords_cost_more (void)
{
  uint64_t state;
  g_autoptr (TrackerdQuota) quota = quota_new (1, 10, &state);
  PeerAddress from;
  g_assert_true (peer_address_parse_ip ("203.0.113.1", 4711, &from));
  trackerd_quota_take (quota, &from, 4, SECOND);
  g_assert_cmpuint (flood (quota, "203.0.113.1", 100, SECOND), ==, 6);
  /* No debt is longer than a burst. */
  trackerd_quota_take (quota, &from, 1000000, SECOND);
  g_assert_cmpuint (flood (quota, "203.0.113.1", 100, 2 * SECOND), ==, 1);
}

/* Ten thousand floods leave nearly all of ten thousand others alone, in the same memory. */
static void
many_floods_spare_the_others (void)
{
  uint64_t state;
  g_autoptr (TrackerdQuota) quota = quota_new (1, 2, &state);
  unsigned spared = 0;
  for (unsigned i = 0; i < 10000; i++) {
    g_autofree char *ip = g_strdup_printf ("10.0.%u.%u", i / 256, i % 256);
    flood (quota, ip, 3, SECOND);
  }
  for (unsigned i = 0; i < 10000; i++) {
    g_autofree char *ip = g_strdup_printf ("10.1.%u.%u", i / 256, i % 256);
    PeerAddress from;
    g_assert_true (peer_address_parse_ip (ip, 4711, &from));
    spared += trackerd_quota_has (quota, &from, SECOND);
  }
  g_test_message ("%u of 10000", spared);
  g_assert_cmpuint (spared, >, 9000); /* 1 - (1 - e^(-10000/32768))^2 is 93 % */
}

static void
limits_can_be_changed (void)
{
  uint64_t state;
  g_autoptr (TrackerdQuota) quota = quota_new (1, 2, &state);
  trackerd_quota_limit (quota, 5, 20);
  g_assert_cmpuint (trackerd_quota_rate (quota), ==, 5);
  g_assert_cmpuint (trackerd_quota_burst (quota), ==, 20);
  g_assert_cmpuint (flood (quota, "203.0.113.1", 100, SECOND), ==, 20);
}

/* --- events --- */

static GLogWriterOutput
count_lines (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
  ++*(unsigned *)data;
  return G_LOG_WRITER_HANDLED;
}

static unsigned lines;

static void
the_same_is_told_once_a_minute (void)
{
  g_autoptr (TrackerdEvents) events = trackerd_events_new ();
  int64_t now = INT64_C (1700000000) * SECOND;
  lines = 0;
  for (unsigned i = 0; i < 1000; i++) {
    trackerd_events_note (events, TRACKERD_EVENT_FLOOD, now + i, "flood %u", i);
    trackerd_events_note (events, TRACKERD_EVENT_DENIED, now + i, "denied %u", i);
  }
  g_assert_cmpuint (lines, ==, 2);
  g_assert_cmpuint (trackerd_events_count (events), ==, 2);
  const TrackerdEvent *event = trackerd_events_get (events, 0);
  g_assert_cmpstr (event->text, ==, "flood 0");
  g_assert_cmpuint (event->times, ==, 1000);
  g_assert_cmpint (event->last - event->at, ==, 999);
  trackerd_events_note (events, TRACKERD_EVENT_FLOOD, now + 60 * SECOND, "again");
  g_assert_cmpuint (trackerd_events_count (events), ==, 3);
  g_assert_cmpuint (lines, ==, 3);
  /* What the operator did is answered each time. */
  trackerd_events_note (events, TRACKERD_EVENT_RELOADED, now, "one");
  trackerd_events_note (events, TRACKERD_EVENT_RELOADED, now, "two");
  g_assert_cmpuint (trackerd_events_count (events), ==, 5);
  /* A clock that is set back does not silence it. */
  trackerd_events_note (events, TRACKERD_EVENT_FLOOD, now - 3600 * SECOND, "before");
  g_assert_cmpuint (trackerd_events_count (events), ==, 6);
}

static void
the_oldest_events_are_forgotten (void)
{
  g_autoptr (TrackerdEvents) events = trackerd_events_new ();
  for (unsigned i = 1; i <= 3 * TRACKERD_EVENTS_KEPT + 7; i++) {
    trackerd_events_note (events, TRACKERD_EVENT_RELOADED, i * SECOND, "%u", i);
    g_assert_cmpuint (trackerd_events_count (events), ==, MIN (i, TRACKERD_EVENTS_KEPT));
  }
  const TrackerdEvent *oldest = trackerd_events_get (events, 0);
  const TrackerdEvent *newest = trackerd_events_get (events, TRACKERD_EVENTS_KEPT - 1);
  g_assert_cmpuint (oldest->number, ==, 2 * TRACKERD_EVENTS_KEPT + 8);
  g_assert_cmpuint (newest->number, ==, 3 * TRACKERD_EVENTS_KEPT + 7);
  g_assert_cmpstr (trackerd_event_name (newest->kind), ==, "reloaded");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (count_lines, &lines, NULL);
  g_test_add_func ("/tracker/quota/flood-is-cut-to-the-rate", flood_is_cut_to_the_rate);
  g_test_add_func ("/tracker/quota/one-subscriber-has-one-bucket", one_subscriber_has_one_bucket);
  g_test_add_func ("/tracker/quota/wrong-passwords-cost-more", wrong_passwords_cost_more);
  g_test_add_func ("/tracker/quota/many-floods-spare-the-others", many_floods_spare_the_others);
  g_test_add_func ("/tracker/quota/limits-can-be-changed", limits_can_be_changed);
  g_test_add_func ("/tracker/events/the-same-is-told-once-a-minute",
                   the_same_is_told_once_a_minute);
  g_test_add_func ("/tracker/events/the-oldest-events-are-forgotten",
                   the_oldest_events_are_forgotten);
  return g_test_run ();
}
