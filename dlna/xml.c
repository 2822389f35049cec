/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/xml.h"
#include <libxml/parser.h>
#include <string.h>

/* Its converters of encodings ask nobody whether errors are to be told. */
static void
say_nothing (void *data, const char *format, ...)
{
}

DlnaXml *
dlna_xml_parse (const char *text, gsize n)
{
  xmlDoc *doc;

  while (n > 0 && text[n - 1] == '\0') /* some send the end of their string too */
    n--;
  if (n == 0 || n > G_MAXINT)
    return NULL;
  xmlSetGenericErrorFunc (NULL, say_nothing);
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

/* Since it is to read on behind what is no XML, the parser lets bytes pass that are no UTF-8. */
static char *
take_text (xmlChar *text)
{
  char *out = text != NULL ? g_utf8_make_valid ((const char *)text, -1) : NULL;

  xmlFree (text);
  return out;
}

char *
dlna_xml_text (const xmlNode *node, const char *name)
{
  xmlNode *child = dlna_xml_child (node, name);
  char *out = child != NULL ? take_text (xmlNodeGetContent (child)) : NULL;

  return out != NULL ? g_strstrip (out) : NULL;
}

char *
dlna_xml_attribute (const xmlNode *node, const char *name)
{
  return node != NULL ? take_text (xmlGetNoNsProp (node, (const xmlChar *)name)) : NULL;
}
