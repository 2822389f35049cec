/* SPDX-License-Identifier: Apache-2.0 */
/* DlnaItems as DIDL-Lite (ContentDirectory:1, section 2.8), for a Browse result. */
#pragma once

#include "dlna/library.h"
#include "dlna/profile.h"

typedef struct {
  const char *base;              /* "http://192.168.1.1:8574": in front of /media/ */
  const char *filter;            /* of the action; NULL = "*" */
  const DlnaProfileStyle *style; /* or NULL */
  bool numbers_titles;           /* "007 News", for sets that sort by title */
} DlnaDidlOptions;

typedef struct DlnaDidl DlnaDidl;

/* Borrows what options point to. */
DlnaDidl *dlna_didl_new (const DlnaDidlOptions *options);
void dlna_didl_add (DlnaDidl *self, const DlnaItem *item);
/* The document; frees self. */
char *dlna_didl_finish (DlnaDidl *self);
void dlna_didl_free (DlnaDidl *self);

/* "object.item.videoItem.videoBroadcast" and the like. */
const char *dlna_didl_class (const DlnaItem *item);
/* "/media/ID.ts", escaped as a path. */
char *dlna_didl_media_path (const DlnaItem *item);
/* Appends text that is safe in an element and in a "quoted" attribute: what XML 1.0 cannot hold is
 * left out, what is not UTF-8 is replaced. */
void dlna_didl_escape (GString *out, const char *text);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaDidl, dlna_didl_free)
