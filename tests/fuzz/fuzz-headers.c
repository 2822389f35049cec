/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as the values of the SIP binding's own headers (peer/net/SIP.md): refused, or written and read
 * the same again, in a form that cannot break out of its header. */
#include "peer/tracker/headers.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static void
check_written (const char *once, const char *twice)
{
  g_assert_cmpstr (once, ==, twice);
  g_assert_null (strpbrk (once, "\r\n"));
}

static void
check_address (const char *text)
{
  TrackerAddress read, again;
  if (!tracker_headers_read_address (text, &read))
    return;
  g_autofree char *once = tracker_headers_write_address (&read);
  g_assert_true (tracker_headers_read_address (once, &again));
  g_autofree char *twice = tracker_headers_write_address (&again);
  check_written (once, twice);
}

static void
check_peer_num (const char *text)
{
  TrackerPeerNum read, again;
  if (!tracker_headers_read_peer_num (text, &read))
    return;
  g_autofree char *once = tracker_headers_write_peer_num (&read);
  g_assert_true (tracker_headers_read_peer_num (once, &again));
  g_autofree char *twice = tracker_headers_write_peer_num (&again);
  check_written (once, twice);
}

static void
check_swarm (const char *text)
{
  TrackerMode read, again;
  bool wanted, still;
  if (!tracker_headers_read_swarm (text, &read, &wanted))
    return;
  g_autofree char *once = tracker_headers_write_swarm (read, wanted);
  g_assert_true (tracker_headers_read_swarm (once, &again, &still));
  g_assert_cmpint (read, ==, again);
  g_assert_cmpint (wanted, ==, still);
}

static void
check_stat (const char *text)
{
  g_autoptr (TrackerRequest) request = tracker_request_new (TRACKER_REQUEST_STAT_REPORT, "1", "p");
  TrackerSwarm *read = tracker_request_add_swarm (request, "first");
  TrackerSwarm *again = tracker_request_add_swarm (request, "second");
  if (!tracker_headers_read_stat (text, read))
    return;
  g_autofree char *once = tracker_headers_write_stat (read);
  g_assert_true (tracker_headers_read_stat (once, again));
  g_autofree char *twice = tracker_headers_write_stat (again);
  check_written (once, twice);
}

static void
check_peer (const char *text)
{
  g_autoptr (TrackerResponse) response = tracker_response_new (TRACKER_STATUS_OK, "1");
  TrackerResult *read = tracker_response_add_result (response, "first", false);
  TrackerResult *again = tracker_response_add_result (response, "second", false);
  if (!tracker_headers_read_peer (text, read))
    return;
  g_assert_cmpuint (read->peers->len, ==, 1);
  g_autofree char *once = tracker_headers_write_peer (g_ptr_array_index (read->peers, 0));
  g_assert_true (tracker_headers_read_peer (once, again));
  g_autofree char *twice = tracker_headers_write_peer (g_ptr_array_index (again->peers, 0));
  check_written (once, twice);
}

static void
check_id (const char *text)
{
  g_autofree char *id = tracker_headers_read_id (text, TRACKER_MAX_SWARM_ID);
  if (id == NULL)
    return;
  g_autofree char *written = tracker_headers_write_id (id);
  g_autofree char *again = tracker_headers_read_id (written, TRACKER_MAX_SWARM_ID);
  g_assert_cmpstr (id, ==, again);
  g_assert_null (strpbrk (written, "\r\n,;\"<> "));
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  g_autofree char *text = g_strndup ((const char *)bytes, n);
  const char *rest = text;
  check_swarm (text);
  check_peer_num (text);
  check_stat (text);
  check_id (text);
  for (;;) {
    g_autofree char *value = tracker_headers_next (&rest);
    if (value == NULL)
      return 0;
    check_address (value);
    check_peer (value);
  }
}
