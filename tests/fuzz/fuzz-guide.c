/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a channel list (M3U): what is taken of it can be shown, found and opened. */
#include "proxy/guide.h"

#include <string.h>

#define RUNS 200 /* of one catalog, which forgets no channel */

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static void
check_text (const char *text)
{
  g_assert_true (g_utf8_validate (text, -1, NULL));
  g_assert_null (strpbrk (text, "\r\n"));
}

static void
check_channel (ProxyCatalog *catalog, const ProxyChannel *channel)
{
  size_t n = strspn (channel->id, "abcdefghijklmnopqrstuvwxyz0123456789._-");
  g_assert_true (n > 0 && n <= 64 && channel->id[n] == '\0');
  g_assert_true (proxy_catalog_lookup (catalog, channel->id) == channel);
  g_assert_true (proxy_catalog_lookup_swarm (catalog, channel->swarm_id) == channel);
  check_text (channel->name);
  check_text (channel->link);
  if (channel->group != NULL)
    check_text (channel->group);
  if (channel->logo != NULL) {
    check_text (channel->logo);
    g_assert_true (g_str_has_prefix (channel->logo, "http"));
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  static ProxyCatalog *catalog;
  static unsigned runs;
  if (runs++ % RUNS == 0) {
    g_clear_pointer (&catalog, proxy_catalog_close);
    catalog = proxy_catalog_open (NULL);
  }
  g_autoptr (GBytes) text = g_bytes_new_static (bytes, n);
  g_autoptr (ProxyGuideReader) reader = proxy_guide_reader_new (catalog, "http://list/", text);
  while (proxy_guide_reader_step (reader, 10))
    ;
  const ProxyGuideCount *count = proxy_guide_reader_count (reader);
  const GPtrArray *list = proxy_catalog_list (catalog);
  /* what names no channel is no list, and changes none */
  g_assert_cmpuint (count->channels, <=, list->len);
  for (guint i = 0; i < list->len; i++)
    check_channel (catalog, g_ptr_array_index (list, i));
  return 0;
}
