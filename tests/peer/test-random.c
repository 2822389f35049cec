/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/address.h"
#include "peer/core.h"
#include "peer/random.h"

#include <string.h>

static void
count_up (void *data, uint8_t *out, size_t n)
{
  uint8_t *next = data;
  for (size_t i = 0; i < n; i++)
    out[i] = (*next)++;
}

/* One number of a list after the other. */
static void
give (void *data, uint8_t *out, size_t n)
{
  const uint32_t **next = data;
  uint32_t bytes = GUINT32_TO_LE (*(*next)++);
  g_assert_cmpuint (n, ==, sizeof bytes);
  memcpy (out, &bytes, n);
}

static void
bytes_mean_the_same_everywhere (void)
{
  uint8_t next = 1;
  g_assert_cmphex (peer_random_u32 (count_up, &next), ==, 0x04030201);
  g_assert_cmphex (peer_random_u64 (count_up, &next), ==, UINT64_C (0x0c0b0a0908070605));
  g_assert_cmpuint (next, ==, 13);
}

/* The order of a table's entries follows from the hash. */
static void
tables_are_in_the_same_order_everywhere (void)
{
  PeerAddress address;
  g_assert_true (peer_address_parse ("[2001:db8::1]:7574", &address));
  g_assert_cmphex (peer_address_hash (&address), ==, 0x89d255ec);
}

/* RFC 7574, 8.3: as RFC 4960, 5.1.3 has it; and 3.11: nobody can guess one from another. */
static void
channel_ids_are_drawn (void)
{
  static const uint32_t drawn[] = {7, 0, 7, 0x9e3779b9};
  const uint32_t *next = drawn;
  PeerCore core = {.random = give, .random_data = &next, .channels = g_hash_table_new (NULL, NULL)};
  uint32_t first = peer_core_new_channel_id (&core);
  g_assert_cmphex (first, ==, 7);
  g_hash_table_add (core.channels, GUINT_TO_POINTER (first));
  g_assert_cmphex (peer_core_new_channel_id (&core), ==, 0x9e3779b9);
  g_hash_table_unref (core.channels);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/random/bytes-mean-the-same-everywhere", bytes_mean_the_same_everywhere);
  g_test_add_func ("/peer/random/tables-are-in-the-same-order-everywhere",
                   tables_are_in_the_same_order_everywhere);
  g_test_add_func ("/peer/random/channel-ids-are-drawn-and-neither-0-nor-in-use",
                   channel_ids_are_drawn);
  return g_test_run ();
}
