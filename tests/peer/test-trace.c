/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trace.h"

static void
test_line (void)
{
  const PeerTraceField fields[] = {{"us", 40000}, {"lag", -1}};
  g_autoptr (GString) out = g_string_new (NULL);
  peer_trace_write (out, 12000345, 7, "stall", fields, 2);
  peer_trace_write (out, 999999, 0, "join", NULL, 0);
  g_assert_cmpstr (out->str, ==,
                   "{\"t\":12.000345,\"peer\":7,\"event\":\"stall\",\"us\":40000,\"lag\":-1}\n"
                   "{\"t\":0.999999,\"peer\":0,\"event\":\"join\"}\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/trace/event-is-one-line", test_line);
  return g_test_run ();
}
