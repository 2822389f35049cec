/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as what a stranger shows (Authorization), and as what a strange tracker asks
 * (WWW-Authenticate): nobody gets in without a nonce of ours, and no answer tells the password or
 * breaks out of its header. */
#include "peer/tracker/digest.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static void
counting (void *data, uint8_t *out, size_t n)
{
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)++ * (uint8_t *)data;
}

static void
be_asked (const char *text)
{
  uint8_t state = 0;
  bool stale;
  const char *values[] = {text, NULL};
  g_autoptr (TrackerDigestClient) client =
      tracker_digest_client_new ("alice", "Wonderland", counting, &state);
  if (!tracker_digest_client_challenge (client, values, &stale))
    return;
  for (unsigned i = 0; i < 2; i++) { /* the second has another nc */
    g_autofree char *answer = tracker_digest_client_authorize (client, "POST", "/video_1");
    g_assert_true (g_str_has_prefix (answer, "Digest "));
    g_assert_null (strpbrk (answer, "\r\n"));
    g_assert_true (strstr (text, "Wonderland") != NULL || strstr (answer, "Wonderland") == NULL);
  }
}

static void
be_shown (const char *text)
{
  uint8_t state = 0;
  const char *user = NULL;
  TrackerDigestOptions options = {.realm = "ppsp", .random = counting, .random_data = &state};
  g_autoptr (TrackerDigest) digest = tracker_digest_new (&options);
  g_autofree char *hash =
      tracker_digest_hash (TRACKER_DIGEST_SHA256, "alice", "ppsp", "Wonderland");
  g_autofree char *line = g_strdup_printf ("alice:ppsp:%s\n", hash);
  TrackerDigestRequest request = {
      .authorization = text, .method = "POST", .uri = "/video_1", .from = "192.0.2.1"};
  g_assert_true (tracker_digest_load (digest, line, NULL));
  g_assert_cmpint (tracker_digest_check (digest, 1, &request, &user), !=, TRACKER_DIGEST_OK);
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  g_autofree char *text = g_strndup ((const char *)bytes, n);
  be_asked (text);
  be_shown (text);
  return 0;
}
