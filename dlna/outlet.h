/* SPDX-License-Identifier: Apache-2.0 */
/* How live streams leave: one epoll for all viewers, one writev() for each and tick. libsoup costs
 * several times that for each piece, and polls each connection in each turn of the main loop. */
#pragma once

#include "dlna/library.h"

#include <libsoup/soup.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct DlnaOutlets DlnaOutlets; /* all of one main context */
typedef struct DlnaOutlet DlnaOutlet;   /* one viewer */

DlnaOutlets *dlna_outlets_new (void);
void dlna_outlets_free (DlnaOutlets *self); /* when there are no outlets any more */

/* Called from the main loop. The outlet may be freed in either; after ended it must be. */
typedef struct {
  void (*wrote) (size_t n, gpointer data); /* so many bytes of the body lie in the kernel */
  void (*ended) (gpointer data);           /* the stream has, or the viewer is gone */
} DlnaOutletEvents;

/* Takes the connection of a paused message away from its server, and sends status and headers as they
 * stand in the message, then what stream gives; chunked: RFC 9112, section 7.1, else the body ends with
 * the connection. References message and stream; socket: of the connection. NULL = the connection is
 * gone. Nothing is called before the main loop turns. */
DlnaOutlet *dlna_outlet_new (DlnaOutlets *outlets, SoupServerMessage *message, GSocket *socket,
                             DlnaStream *stream, bool chunked, const DlnaOutletEvents *events,
                             gpointer data);
/* Closes the connection; what lies in the kernel is still sent. */
void dlna_outlet_free (DlnaOutlet *self);
