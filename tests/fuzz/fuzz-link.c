/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a link: refused with one line, or written and read the same again. */
#include "peer/link.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  g_autofree char *text = g_strndup ((const char *)bytes, n);
  g_autofree char *written = NULL, *rewritten = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerLink) link = peer_link_parse (text, &error);
  g_autoptr (PeerLink) again = NULL;

  if (link == NULL) {
    g_assert_true (error != NULL && strchr (error->message, '\n') == NULL);
    return 0;
  }
  g_assert_no_error (error);
  written = peer_link_to_string (link);
  if (strlen (written) > 8192) /* escapes have made it longer than a link may be */
    return 0;
  again = peer_link_parse (written, NULL);
  g_assert_nonnull (again);
  rewritten = peer_link_to_string (again);
  g_assert_cmpstr (written, ==, rewritten);
  return 0;
}
