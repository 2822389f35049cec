/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/xml.h"
#include <libxml/parser.h>
#include <string.h>

DlnaXml *
dlna_xml_parse (const char *text, gsize n)
{
  xmlDoc *doc;

  while (n > 0 && text[n - 1] == '\0') /* some send the end of their string too */
    n--;
  if (n == 0 || n > G_MAXINT)
    return NULL;
  doc =
      xmlReadMemory (text, (int)n, NULL, NULL,
                     XML_PARSE_NONET | XML_PARSE_RECOVER | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
  if (doc != NULL && doc->intSubset != NULL)
    g_clear_pointer (&doc, xmlFreeDoc);
  return doc;
}

static bool
is_named (const xmlNode *node, const char *name)
{
  return node->type == XML_ELEMENT_NODE && strcmp ((const char *)node->name, name) == 0;
}

xmlNode *
dlna_xml_child (const xmlNode *node, const char *name)
{
  xmlNode *child = node != NULL ? node->children : NULL;

  while (child != NULL && !is_named (child, name))
    child = child->next;
  return child;
}

xmlNode *
dlna_xml_next (const xmlNode *node)
{
  xmlNode *next = node->next;

  while (next != NULL && !is_named (next, (const char *)node->name))
    next = next->next;
  return next;
}

xmlNode *
dlna_xml_root (const DlnaXml *self, const char *name)
{
  return self != NULL ? dlna_xml_child ((const xmlNode *)self, name) : NULL;
}

char *
dlna_xml_text (const xmlNode *node, const char *name)
{
  xmlNode *child = dlna_xml_child (node, name);
  xmlChar *text = child != NULL ? xmlNodeGetContent (child) : NULL;
  char *out = text != NULL ? g_strstrip (g_strdup ((const char *)text)) : NULL;

  xmlFree (text);
  return out;
}

char *
dlna_xml_attribute (const xmlNode *node, const char *name)
{
  xmlChar *text = node != NULL ? xmlGetNoNsProp (node, (const xmlChar *)name) : NULL;
  char *out = g_strdup ((const char *)text);

  xmlFree (text);
  return out;
}
