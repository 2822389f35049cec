/* SPDX-License-Identifier: Apache-2.0 */
/* XML of strangers: read without document types, entities of theirs, or the network. */
#pragma once

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>

typedef xmlDoc DlnaXml;

/* NULL = it is none, or has a document type. Names are compared without their name space: devices are
 * careless with them. */
DlnaXml *dlna_xml_parse (const char *text, gsize n);
/* The first child element of that name; NULL = none, or node is NULL. */
xmlNode *dlna_xml_child (const xmlNode *node, const char *name);
/* The next element with the same name beside it. */
xmlNode *dlna_xml_next (const xmlNode *node);
/* The root element, if that is its name. */
xmlNode *dlna_xml_root (const DlnaXml *self, const char *name);
/* What the child says, without the space around it; NULL = no such child. What was no UTF-8 is replaced, here as
 * in attributes. */
char *dlna_xml_text (const xmlNode *node, const char *name);
char *dlna_xml_attribute (const xmlNode *node, const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaXml, xmlFreeDoc)
