/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a tracker's message, in both directions: refused, or written and read the same
 * again. A request that can be read is answered by a registry, so that its state is met too: the
 * first byte chooses who sends it and how much later. */
#include "peer/tracker/json.h"
#include "peer/tracker/registry.h"
#include "tests/random.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static void
check_response (const TrackerResponse *response)
{
  size_t n, n_again;
  g_autofree char *once = tracker_json_write_response (response, &n);
  g_autoptr (TrackerResponse) read = tracker_json_read_response (once, n);
  g_assert_nonnull (read);
  g_autofree char *twice = tracker_json_write_response (read, &n_again);
  g_assert_cmpstr (once, ==, twice);
}

static GBytes *
certify (void *data, const char *swarm_id, const PeerAddress *address, int64_t *renew)
{
  *renew = 60 * G_USEC_PER_SEC;
  return g_bytes_new (address, 1 + strlen (swarm_id) % sizeof *address);
}

static void
check_request (const TrackerRequest *request, uint8_t choice)
{
  static TrackerRegistry *registry;
  static uint64_t state = 88172645463325252u;
  static int64_t now;
  size_t n, n_again;
  g_autofree char *once = tracker_json_write_request (request, &n);
  g_autoptr (TrackerRequest) read = NULL;
  g_autofree char *transaction = NULL;
  if (n > TRACKER_JSON_MAX_SIZE) /* quoting has made it longer than a message may be */
    return;
  g_assert_cmpint (tracker_json_read_request (once, n, &read, &transaction), ==, TRACKER_STATUS_OK);
  g_autofree char *twice = tracker_json_write_request (read, &n_again);
  g_assert_cmpstr (once, ==, twice);
  if (registry == NULL) {
    TrackerRegistryOptions options = {.random = random_bytes,
                                      .random_data = &state,
                                      .max_swarms = 50,
                                      .max_peers = 100,
                                      .max_peers_per_ip = 20,
                                      .max_transactions = 50,
                                      .certify = certify,
                                      .max_certificates = 30};
    registry = tracker_registry_new (&options);
  }
  PeerAddress from = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2}, .port = 1};
  from.ip[15] = choice & 7;
  now += (int64_t)(choice >> 3) * G_USEC_PER_SEC;
  g_autoptr (TrackerResponse) response = tracker_registry_answer (registry, now, request, &from);
  g_assert_cmpstr (response->transaction_id, ==, request->transaction_id);
  check_response (response);
  TrackerRegistryStats stats;
  tracker_registry_stats (registry, &stats);
  g_assert_cmpuint (stats.peers, <=, 100);
  g_assert_cmpuint (stats.swarms, <=, 50);
  g_assert_cmpuint (stats.certificates, <=, 30);
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  g_autoptr (TrackerRequest) request = NULL;
  g_autofree char *transaction = NULL;
  if (n == 0)
    return 0;
  const char *text = (const char *)bytes + 1;
  TrackerStatus status = tracker_json_read_request (text, n - 1, &request, &transaction);
  g_assert_true ((request != NULL) == (status == TRACKER_STATUS_OK));
  if (request != NULL)
    check_request (request, bytes[0]);
  g_autoptr (TrackerResponse) response = tracker_json_read_response (text, n - 1);
  if (response != NULL)
    check_response (response);
  return 0;
}
