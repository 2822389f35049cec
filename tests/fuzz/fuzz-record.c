/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a record of a store or of another tracker: refused, or taken by a registry within its
 * limits. Who tells a tracker the same by a CONNECT makes it write a record of that peer, which can
 * be read. The first byte is the time that passes, and the record's age. */
#include "peer/tracker/record.h"
#include "peer/tracker/registry.h"
#include "tests/random.h"

#include <string.h>

#define MAX_PEERS 50
#define MAX_SWARMS 30
#define MAX_RANGES 100

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static void
check_limits (TrackerRegistry *registry, int64_t now)
{
  TrackerRegistryStats stats;
  tracker_registry_expire (registry, now);
  tracker_registry_stats (registry, &stats);
  g_assert_cmpuint (stats.peers, <=, MAX_PEERS);
  g_assert_cmpuint (stats.swarms, <=, MAX_SWARMS);
  g_assert_cmpuint (stats.ranges, <=, MAX_RANGES);
}

static void
check_told (TrackerRegistry *registry, int64_t now, const TrackerRequest *request,
            const uint8_t ip[16])
{
  PeerAddress from = {.port = 1};
  TrackerRecordKind kind;
  memcpy (from.ip, ip, sizeof from.ip);
  tracker_response_free (tracker_registry_answer (registry, now, request, &from));
  for (;;) {
    uint8_t again[16];
    g_autoptr (GByteArray) written = g_byte_array_new ();
    if (!tracker_registry_next_change (registry, now, written))
      break;
    g_autoptr (TrackerRequest) read =
        tracker_record_read (written->data, written->len, &kind, again);
    g_assert_nonnull (read);
    g_assert_cmpuint (written->len, <=, TRACKER_RECORD_MAX);
  }
  check_limits (registry, now);
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  static TrackerRegistry *told, *stored;
  static uint64_t state = RANDOM_SEED, rounds;
  static int64_t now;
  TrackerRecordKind kind;
  uint8_t ip[16];
  if (n == 0)
    return 0;
  if (told == NULL) {
    TrackerRegistryOptions options = {.random = random_bytes,
                                      .random_data = &state,
                                      .max_swarms = MAX_SWARMS,
                                      .max_peers = MAX_PEERS,
                                      .max_ranges = MAX_RANGES,
                                      .changes = true};
    told = tracker_registry_new (&options);
    stored = tracker_registry_new (&options);
  }
  now += (bytes[0] & 15) * G_USEC_PER_SEC;
  g_autoptr (TrackerRequest) request = tracker_record_read (bytes + 1, n - 1, &kind, ip);
  bool taken =
      tracker_registry_apply (stored, now, bytes + 1, n - 1, (bytes[0] >> 4) * 20 * G_USEC_PER_SEC);
  g_assert_true (request != NULL || !taken);
  check_limits (stored, now);
  if (request == NULL || (kind != TRACKER_RECORD_HERE && kind != TRACKER_RECORD_HEARD))
    return 0;
  /* each is another, or it would be answered as one that came again */
  g_free (request->transaction_id);
  request->transaction_id = g_strdup_printf ("%" G_GUINT64_FORMAT, (guint64)rounds++);
  check_told (told, now, request, ip);
  return 0;
}
