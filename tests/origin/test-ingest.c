/* SPDX-License-Identifier: Apache-2.0 */
/* What an encoder may send, cut as the network likes it. */
#include "peer/origin/ingest.h"
#include "tests/origin/pair.h"

#include <string.h>

#define CHUNK ((size_t)6 * MEDIA_TS_PACKET)
#define PID 0x100

typedef struct {
  Pair pair;
  OriginPublisher *publisher;
  OriginIngest *ingest;
} Fixture;

static void
setup (Fixture *self, gconstpointer resumed)
{
  g_autoptr (GError) error = NULL;
  OriginPublisherOptions options = {0};
  PeerContent content;

  options.key = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, &error);
  g_assert_no_error (error);
  peer_content_init_live (&content);
  content.chunks_per_signature = 2;
  peer_key_swarm_id (options.key, &content);
  pair_init (&self->pair, &content);
  self->pair.next = 0;
  options.engine = self->pair.origin;
  options.swarm = self->pair.origin_swarm;
  self->publisher = origin_publisher_new (&options);
  origin_publisher_set_limit (self->publisher, 2000);
  self->ingest = origin_ingest_new (self->publisher, GPOINTER_TO_INT (resumed));
  pair_run (&self->pair, 300000);
}

static void
teardown (Fixture *self, gconstpointer resumed)
{
  origin_ingest_free (self->ingest);
  origin_publisher_free (self->publisher);
  pair_clear (&self->pair);
}

/* counter: of the first packet. */
static void
add_packets (GByteArray *out, unsigned n, unsigned counter)
{
  for (unsigned i = 0; i < n; i++) {
    uint8_t packet[MEDIA_TS_PACKET];

    memset (packet, 0x55, sizeof packet);
    packet[0] = 0x47;
    packet[1] = PID >> 8;
    packet[2] = PID & 0xFF;
    packet[3] = (uint8_t)(0x10 | ((counter + i) & 15));
    memcpy (packet + 8, &i, sizeof i);
    g_byte_array_append (out, packet, sizeof packet);
  }
}

static OriginIngestResult
feed (Fixture *self, const uint8_t *bytes, size_t n, size_t piece)
{
  OriginIngestResult result = ORIGIN_INGEST_OK;

  for (size_t at = 0; at < n && result == ORIGIN_INGEST_OK; at += piece)
    result = origin_ingest_feed (self->ingest, self->pair.now, bytes + at, MIN (piece, n - at));
  return result;
}

static OriginIngestStats
stats_of (Fixture *self)
{
  OriginIngestStats stats;

  origin_ingest_stats (self->ingest, self->pair.now, &stats);
  return stats;
}

/* What the peer has got, without the null packets at the end. */
static void
receive (Fixture *self, GByteArray *out)
{
  GByteArray *got = self->pair.got;

  pair_run (&self->pair, 1500000);
  for (size_t at = 0; at < got->len; at += MEDIA_TS_PACKET)
    if (got->data[at + 1] != 0x1F)
      g_byte_array_append (out, got->data + at, MEDIA_TS_PACKET);
}

static void
test_any_cut (Fixture *self, gconstpointer data)
{
  static const size_t pieces[] = {1, 7, 187, 188, 189, 941, 1316, 100000};
  g_autoptr (GByteArray) bytes = g_byte_array_new (), got = g_byte_array_new ();

  add_packets (bytes, 100, 0);
  /* One session for each kind of cut; the joints between them are left out of the comparison. */
  for (size_t i = 0; i < G_N_ELEMENTS (pieces); i++) {
    origin_ingest_begin (self->ingest, self->pair.now);
    g_assert_cmpint (feed (self, bytes->data, bytes->len, pieces[i]), ==, ORIGIN_INGEST_OK);
    g_assert_cmpint (origin_ingest_end (self->ingest, self->pair.now), ==, ORIGIN_INGEST_OK);
    pair_run (&self->pair, 300000);
  }
  g_assert_cmpuint (stats_of (self).bytes_skipped, ==, 0);
  g_assert_cmpuint (stats_of (self).sessions, ==, G_N_ELEMENTS (pieces));
  receive (self, got);
  for (size_t i = 0, at = 0; i < G_N_ELEMENTS (pieces); i++) {
    at += i > 0 ? MEDIA_TS_PACKET : 0;
    g_assert_cmpuint (got->len, >=, at + bytes->len);
    g_assert_cmpmem (got->data + at, bytes->len, bytes->data, bytes->len);
    at += bytes->len;
  }
}

static void
test_not_ts (Fixture *self, gconstpointer data)
{
  g_autofree uint8_t *bytes = g_malloc0 (3 * ORIGIN_INGEST_HEAD);
  const char *text = "This is a letter, and no television.\n";

  for (size_t i = 0; i < 3 * ORIGIN_INGEST_HEAD; i++)
    bytes[i] = (uint8_t)(i * 2654435761u >> 13);
  origin_ingest_begin (self->ingest, self->pair.now);
  g_assert_cmpint (feed (self, bytes, 3 * ORIGIN_INGEST_HEAD, 1000), ==, ORIGIN_INGEST_NOT_TS);
  origin_ingest_end (self->ingest, self->pair.now);
  origin_ingest_begin (self->ingest, self->pair.now);
  g_assert_cmpint (feed (self, (const uint8_t *)text, strlen (text), 100), ==, ORIGIN_INGEST_OK);
  g_assert_cmpint (origin_ingest_end (self->ingest, self->pair.now), ==, ORIGIN_INGEST_NOT_TS);
  origin_ingest_begin (self->ingest, self->pair.now);
  g_assert_cmpint (origin_ingest_end (self->ingest, self->pair.now), ==, ORIGIN_INGEST_NOT_TS);
  g_assert_cmpuint (stats_of (self).packets, ==, 0);
}

/* Two bytes of the right value and distance are enough where a short stream ends, but not in what was
 * refused for its beginning. */
static void
test_refused_stays_refused (Fixture *self, gconstpointer data)
{
  g_autofree uint8_t *bytes = g_malloc0 (ORIGIN_INGEST_HEAD);
  size_t at = ORIGIN_INGEST_HEAD - 300;

  bytes[at] = bytes[at + MEDIA_TS_PACKET] = 0x47;
  origin_ingest_begin (self->ingest, self->pair.now);
  g_assert_cmpint (feed (self, bytes, ORIGIN_INGEST_HEAD, 8192), ==, ORIGIN_INGEST_NOT_TS);
  g_assert_cmpint (origin_ingest_end (self->ingest, self->pair.now), ==, ORIGIN_INGEST_NOT_TS);
  g_assert_cmpuint (stats_of (self).packets, ==, 0);
  g_assert_cmpuint (stats_of (self).bytes_skipped, ==, ORIGIN_INGEST_HEAD);
}

/* Rubbish in front, in the middle and behind is dropped and counted; every packet arrives. */
static void
test_garbage (Fixture *self, gconstpointer data)
{
  static const size_t pieces[] = {1, 50, 188, 5000};
  uint8_t rubbish[300];

  memset (rubbish, 0x11, sizeof rubbish);
  rubbish[10] = rubbish[200] = 0x47;
  for (size_t i = 0; i < G_N_ELEMENTS (pieces); i++) {
    g_autoptr (GByteArray) bytes = g_byte_array_new (), packets = g_byte_array_new ();
    OriginIngestStats before = stats_of (self), after;

    add_packets (packets, 40, 0);
    g_byte_array_append (bytes, rubbish, sizeof rubbish);
    g_byte_array_append (bytes, packets->data, 20 * MEDIA_TS_PACKET);
    g_byte_array_append (bytes, rubbish, 77);
    g_byte_array_append (bytes, packets->data + 20 * MEDIA_TS_PACKET, 20 * MEDIA_TS_PACKET);
    g_byte_array_append (bytes, packets->data, 100); /* a packet that is cut */
    origin_ingest_begin (self->ingest, self->pair.now);
    g_assert_cmpint (feed (self, bytes->data, bytes->len, pieces[i]), ==, ORIGIN_INGEST_OK);
    origin_ingest_end (self->ingest, self->pair.now);
    after = stats_of (self);
    /* and the joint of a session that is not the first */
    g_assert_cmpuint (after.packets - before.packets, ==, 40 + (i > 0 ? 1 : 0));
    g_assert_cmpuint (after.bytes_skipped - before.bytes_skipped, ==, 300 + 77 + 100);
    g_assert_cmpuint (after.syncs_lost - before.syncs_lost, ==, 1);
  }
}

/* An encoder that returns begins its counters anew. A parser that follows them sees no gap, and is
 * told of the new clock. */
static void
test_return (Fixture *self, gconstpointer resumed)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new (), got = g_byte_array_new ();
  unsigned n_marks = 0, expected = GPOINTER_TO_INT (resumed) ? 3 : 2;
  int counter = -1;

  for (unsigned session = 0; session < 3; session++) {
    g_byte_array_set_size (bytes, 0);
    add_packets (bytes, 10, session * 5); /* once just the counter that seems to come twice */
    origin_ingest_begin (self->ingest, self->pair.now);
    feed (self, bytes->data, bytes->len, 1000);
    origin_ingest_end (self->ingest, self->pair.now);
    pair_run (&self->pair, 300000);
  }
  receive (self, got);
  g_assert_cmpuint (got->len, ==, (30 + expected) * MEDIA_TS_PACKET);
  for (size_t at = 0; at < got->len; at += MEDIA_TS_PACKET) {
    const uint8_t *packet = got->data + at;

    g_assert_cmpuint ((packet[1] & 0x1F) << 8 | packet[2], ==, PID);
    if (!(packet[3] & 0x10)) {
      g_assert_cmpuint (packet[3] & 0x30, ==, 0x20);
      g_assert_cmpuint (packet[4], ==, 183);
      g_assert_cmpuint (packet[5], ==, 0x80);
      n_marks++;
      counter = packet[3] & 15; /* may jump: the indicator says so */
      continue;
    }
    if (counter >= 0)
      g_assert_cmpuint (packet[3] & 15, ==, (counter + 1) & 15);
    counter = packet[3] & 15;
  }
  g_assert_cmpuint (n_marks, ==, expected);
}

static void
test_silence (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  int64_t now = self->pair.now;

  add_packets (bytes, 10, 0);
  origin_ingest_begin (self->ingest, now);
  g_assert_true (origin_ingest_is_connected (self->ingest));
  origin_ingest_feed (self->ingest, now + 1000000, bytes->data, bytes->len);
  g_assert_false (origin_ingest_is_silent (self->ingest, now + 5000000));
  g_assert_true (origin_ingest_is_silent (self->ingest, now + 6000000));
  origin_ingest_end (self->ingest, now);
  g_assert_false (origin_ingest_is_connected (self->ingest));
}

static void
test_full (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  add_packets (bytes, 100, 0);
  origin_publisher_set_limit (self->publisher, 4);
  origin_ingest_begin (self->ingest, self->pair.now);
  g_assert_cmpint (feed (self, bytes->data, bytes->len, 188), ==, ORIGIN_INGEST_FULL);
  origin_ingest_end (self->ingest, self->pair.now);
}

static void
test_rate (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  add_packets (bytes, 10, 0);
  origin_ingest_begin (self->ingest, self->pair.now);
  for (unsigned i = 0; i < 100; i++, self->pair.now += 20000)
    origin_ingest_feed (self->ingest, self->pair.now, bytes->data, bytes->len);
  g_assert_cmpuint (stats_of (self).rate, >, 90000); /* 94,000 bytes a second */
  g_assert_cmpuint (stats_of (self).rate, <, 98000);
  self->pair.now += 3000000;
  g_assert_cmpuint (stats_of (self).rate, ==, 0);
  origin_ingest_end (self->ingest, self->pair.now);
}

#define ADD(name, func, resumed)                                                                   \
  g_test_add ("/origin/ingest/" name, Fixture, GINT_TO_POINTER (resumed), setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("any-cut-gives-the-same", test_any_cut, 0);
  ADD ("no-stream-is-said", test_not_ts, 0);
  ADD ("refused-stays-refused", test_refused_stays_refused, 0);
  ADD ("garbage-is-skipped-and-counted", test_garbage, 0);
  ADD ("return-is-marked", test_return, 0);
  ADD ("return-in-another-process-is-marked", test_return, 1);
  ADD ("silent-encoder-is-seen", test_silence, 0);
  ADD ("full-is-said", test_full, 0);
  ADD ("rate-is-measured", test_rate, 0);
  return g_test_run ();
}
