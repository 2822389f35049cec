/* SPDX-License-Identifier: Apache-2.0 */
/* Any packet of SSDP: what is believed of it names a device, and leads nowhere but to who sent it. */
#include "dlna/discovery.h"

#include <stdint.h>
#include <string.h>

#define TARGET "urn:schemas-upnp-org:device:MediaRenderer:1"
#define HERE "192.168.1.9"

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  g_autofree char *udn = NULL, *location = NULL;
  if (!dlna_discovery_read ((const char *)bytes, n, TARGET, HERE, &udn, &location)) {
    g_assert_null (udn);
    g_assert_null (location);
    return 0;
  }
  g_assert_true (g_str_has_prefix (udn, "uuid:") && strlen (udn) <= 512);
  g_assert_null (strpbrk (udn, "\r\n"));
  if (location == NULL)
    return 0;
  g_autoptr (GUri) uri = g_uri_parse (location, G_URI_FLAGS_NONE, NULL);
  g_assert_nonnull (uri);
  g_assert_cmpstr (g_uri_get_scheme (uri), ==, "http");
  g_assert_cmpstr (g_uri_get_host (uri), ==, HERE);
  g_assert_true (strlen (location) <= 512 && strpbrk (location, "\r\n") == NULL);
  return 0;
}
