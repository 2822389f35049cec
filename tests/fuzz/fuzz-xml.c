/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a device answers (a description, an action's result) and as an event of it. What can be
 * read is met by its names, as those do who read it. */
#include "dlna/renderer.h"
#include "dlna/xml.h"

#include <stdint.h>
#include <string.h>

#define GROWTH 12 /* one byte of an old encoding may be three letters of UTF-8 */

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static void
check_text (const char *text, size_t n)
{
  g_assert_true (text == NULL || (strlen (text) <= n && g_utf8_validate (text, -1, NULL)));
}

/* n: bytes that it was made of. Nothing can have been made of more: there are no entities but XML's own. */
static void
walk (const xmlNode *parent, size_t n, unsigned depth)
{
  for (xmlNode *node = parent->children; node != NULL; node = node->next) {
    if (node->type != XML_ELEMENT_NODE)
      continue;
    const char *name = (const char *)node->name;
    xmlNode *first = dlna_xml_child (parent, name);
    g_assert_nonnull (first);
    g_autofree char *text = dlna_xml_text (parent, name);
    g_autofree char *value = dlna_xml_attribute (first, "val");
    check_text (text, n);
    check_text (value, n);
    g_assert_true (dlna_xml_next (first) != first);
    if (depth < 8)
      walk (node, n, depth + 1);
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  g_autofree char *state = NULL, *uri = NULL;
  const char *text = (const char *)bytes;
  g_autoptr (DlnaXml) doc = dlna_xml_parse (text, n);
  if (doc != NULL) {
    g_assert_null (doc->intSubset);
    walk ((const xmlNode *)doc, GROWTH * n, 0);
  }
  bool read = dlna_renderer_read_event (text, n, &state, &uri);
  g_assert_true (read || (state == NULL && uri == NULL));
  check_text (state, GROWTH * n);
  check_text (uri, GROWTH * n);
  return 0;
}
