/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/address.h"
#include "peer/random.h"

static void
count_up (void *data, uint8_t *out, size_t n)
{
  uint8_t *next = data;
  for (size_t i = 0; i < n; i++)
    out[i] = (*next)++;
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

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/random/bytes-mean-the-same-everywhere", bytes_mean_the_same_everywhere);
  g_test_add_func ("/peer/random/tables-are-in-the-same-order-everywhere",
                   tables_are_in_the_same_order_everywhere);
  return g_test_run ();
}
