/* SPDX-License-Identifier: Apache-2.0 */
/* A DlnaStream as HTTP: /media/ID.ts, Range, HEAD, the DLNA headers. */
#pragma once

#include "dlna/clients.h"
#include "dlna/library.h"
#include "dlna/quirks.h"
#include <libsoup/soup.h>

typedef struct DlnaMedia DlnaMedia;

/* Adds the handler for /media/ to server. quirks: outlive it; NULL = the built-in ones. clients: are
 * told of each request when it is over, and outlive it; or NULL. */
DlnaMedia *dlna_media_attach (SoupServer *server, DlnaLibrary *library, const DlnaQuirks *quirks,
                              DlnaClients *clients);
void dlna_media_free (DlnaMedia *self); /* ends its streams */

/* Who is watching what, at what rate: for the page. */
typedef struct {
  char *item_id, *viewer; /* address and User-Agent */
  const char *family;     /* of the quirk that applies; lives as long as the quirks */
  uint64_t bytes;
  uint64_t rate;      /* bytes/s over the last seconds */
  int64_t since;      /* us, monotonic */
  int64_t first_byte; /* us from the request to the first byte out; -1 = none yet */
  int64_t behind; /* us behind live that is what it is given next; -1 = not live, or not known */
} DlnaViewer;
void dlna_viewer_free (DlnaViewer *self);
/* Free with g_ptr_array_unref. */
GPtrArray *dlna_media_viewers (DlnaMedia *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaMedia, dlna_media_free)
