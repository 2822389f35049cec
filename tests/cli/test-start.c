/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/cli/start.h"
#include "tests/proxy/ts.h"

#include <string.h>

enum { PACKET = 188, CHUNK = 6 * PACKET, TABLES = 2 * PACKET, SECOND = G_USEC_PER_SEC };

typedef struct {
  TsMaker maker;
  CliStart *start;
  size_t fed; /* bytes of the maker's stream */
} World;

static void
world_init (World *self)
{
  *self = (World){.start = cli_start_new ()};
  ts_maker_init (&self->maker);
}

static void
world_clear (World *self)
{
  cli_start_free (self->start);
  ts_maker_clear (&self->maker);
}

/* Feeds what is there by chunks, the last one short, up to the start. */
static GBytes *
flow (World *self, size_t chunk, int64_t now)
{
  GBytes *out = NULL;
  while (out == NULL && self->fed < self->maker.bytes->len) {
    size_t n = MIN (chunk, self->maker.bytes->len - self->fed);
    out = cli_start_feed (self->start, self->maker.bytes->data + self->fed, n, now);
    self->fed += n;
  }
  return out;
}

/* Tables, then the stream from begin to what was fed, continuous in each PID. */
static void
check (const World *self, GBytes *out, size_t tables, size_t begin)
{
  size_t n;
  g_assert_nonnull (out);
  const uint8_t *bytes = g_bytes_get_data (out, &n);
  g_assert_cmpuint (n, >, tables);
  g_assert_cmpmem (bytes + tables, n - tables, self->maker.bytes->data + begin, self->fed - begin);
  size_t whole = n / PACKET * PACKET;
  g_assert_cmpuint (ts_discontinuity (bytes, whole), ==, whole);
}

static void
test_picture (void)
{
  for (size_t chunk = PACKET / 2; chunk <= 2 * CHUNK; chunk += PACKET / 2) {
    World world;
    world_init (&world);
    ts_picture (&world.maker, false, 9);
    ts_tables (&world.maker);
    ts_picture (&world.maker, false, 31);
    size_t begin = ts_picture (&world.maker, true, 40);
    g_autoptr (GBytes) out = flow (&world, chunk, SECOND);
    check (&world, out, TABLES, begin);
    world_clear (&world);
  }
}

static void
test_long_wait_is_bounded (void)
{
  World world;
  world_init (&world);
  ts_tables (&world.maker);
  for (int i = 0; i < 100; i++)
    ts_picture (&world.maker, false, 100);
  g_assert_null (flow (&world, CHUNK, SECOND));
  size_t begin = ts_picture (&world.maker, true, 40);
  g_autoptr (GBytes) out = flow (&world, 65536, 2 * SECOND);
  check (&world, out, TABLES, begin);
  g_assert_cmpuint (g_bytes_get_size (out), <=, CLI_START_MAX);
  world_clear (&world);
}

static void
test_no_picture (void)
{
  World world;
  world_init (&world);
  ts_tables (&world.maker);
  ts_picture (&world.maker, false, 100);
  g_assert_null (flow (&world, CHUNK, SECOND));
  ts_picture (&world.maker, false, 100);
  g_assert_null (flow (&world, CHUNK, 5 * SECOND - 1));
  size_t begin = world.fed;
  ts_picture (&world.maker, false, 12);
  g_autoptr (GBytes) out = flow (&world, CHUNK, 5 * SECOND);
  check (&world, out, TABLES, begin);
  world_clear (&world);
}

static void
test_no_tables (void)
{
  World world;
  world_init (&world);
  ts_picture (&world.maker, true, 100);
  g_assert_null (flow (&world, CHUNK, SECOND));
  size_t begin = world.fed;
  ts_picture (&world.maker, true, 12);
  g_autoptr (GBytes) out = flow (&world, CHUNK, 5 * SECOND);
  check (&world, out, 0, begin);
  world_clear (&world);
}

/* What lies on both sides of a gap is never put together. */
static void
test_gap (void)
{
  World world;
  world_init (&world);
  ts_tables (&world.maker);
  ts_picture (&world.maker, false, 33);
  g_assert_null (flow (&world, 1000, SECOND)); /* not whole packets */
  cli_start_gap (world.start);
  ts_picture (&world.maker, false, 40);
  size_t begin = ts_picture (&world.maker, true, 40);
  world.fed = begin - 5 * PACKET - 77;
  g_autoptr (GBytes) out = flow (&world, 1000, SECOND);
  check (&world, out, TABLES, begin);
  world_clear (&world);
}

static void
test_rubbish (void)
{
  World world;
  uint8_t rubbish[CHUNK];
  world_init (&world);
  memset (rubbish, 0x11, sizeof rubbish);
  for (int i = 0; i < 1000; i++)
    g_assert_null (cli_start_feed (world.start, rubbish, sizeof rubbish, SECOND));
  g_autoptr (GBytes) out =
      cli_start_feed (world.start, rubbish, sizeof rubbish, INT64_C (9) * SECOND);
  g_assert_nonnull (out);
  g_assert_cmpuint (g_bytes_get_size (out), <=, 2 * CHUNK);
  world_clear (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cli/start/picture-behind-tables", test_picture);
  g_test_add_func ("/cli/start/long-wait-is-bounded", test_long_wait_is_bounded);
  g_test_add_func ("/cli/start/no-picture-begins-anywhere", test_no_picture);
  g_test_add_func ("/cli/start/no-tables-begins-anywhere", test_no_tables);
  g_test_add_func ("/cli/start/gap-is-no-part-of-it", test_gap);
  g_test_add_func ("/cli/start/rubbish-ends-the-wait", test_rubbish);
  return g_test_run ();
}
