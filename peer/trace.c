/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trace.h"

#include <inttypes.h>

void
peer_trace_write (GString *out, int64_t now, unsigned peer, const char *event,
                  const PeerTraceField *fields, size_t n)
{
  g_string_append_printf (out, "{\"t\":%" PRId64 ".%06" PRId64 ",\"peer\":%u,\"event\":\"%s\"",
                          now / G_USEC_PER_SEC, now % G_USEC_PER_SEC, peer, event);
  for (size_t i = 0; i < n; i++)
    g_string_append_printf (out, ",\"%s\":%" PRId64, fields[i].name, fields[i].value);
  g_string_append (out, "}\n");
}
