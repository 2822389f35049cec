/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a programme guide (XMLTV, plain or compressed), in pieces whose size the first byte gives: what
 * is kept of it can be shown. */
#include "proxy/programmes.h"

#define NOON 1795262400 /* 2026-11-21 12:00 UTC */

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static const char *const channels[] = {"ard.de", "bbc-one"};

static int64_t
noon (gpointer data)
{
  return NOON;
}

static ProxyProgrammes *
make_programmes (void)
{
  static const char *const names[] = {"ARD.de", "BBC One"};
  ProxyCatalog *catalog = proxy_catalog_open (NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS (names); i++) {
    ProxyDraft draft = {.swarm_id = names[i],
                        .link = "ppsp:00",
                        .name = names[i],
                        .source = "",
                        .mime = "video/mp2t",
                        .live = true,
                        .length = -1};
    proxy_catalog_put (catalog, &draft, NULL);
    g_assert_nonnull (proxy_catalog_lookup (catalog, channels[i]));
  }
  return proxy_programmes_new (catalog, noon, NULL);
}

static void
check_programme (const ProxyProgramme *programme)
{
  if (programme == NULL)
    return;
  g_assert_true (g_utf8_validate (programme->title, -1, NULL));
  g_assert_true (programme->about == NULL || g_utf8_validate (programme->about, -1, NULL));
  g_assert_cmpint (programme->start, <, programme->stop);
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  static ProxyProgrammes *programmes;
  if (n == 0)
    return 0;
  if (programmes == NULL)
    programmes = make_programmes ();
  size_t piece = (size_t)bytes[0] * bytes[0] + 1;
  ProxyGuideXml *reader = proxy_guide_xml_new (programmes, NOON - 3600, NOON + 86400);
  for (size_t at = 1; at < n; at += piece)
    if (!proxy_guide_xml_feed (reader, (const char *)bytes + at, MIN (piece, n - at)))
      break;
  proxy_guide_xml_free (reader);
  for (unsigned i = 0; i < G_N_ELEMENTS (channels); i++) {
    const ProxyProgramme *now, *next;
    proxy_programmes_now (programmes, channels[i], &now, &next);
    check_programme (now);
    check_programme (next);
    g_assert_true (now == NULL || (now->start <= NOON && NOON < now->stop));
    g_assert_true (next == NULL || next->start > NOON);
    g_autofree char *line = proxy_programmes_line (programmes, channels[i]);
    g_assert_true (line == NULL || g_utf8_validate (line, -1, NULL));
  }
  return 0;
}
