/* SPDX-License-Identifier: Apache-2.0 */
/* The televisions of the home that can be told to play: found by SSDP, followed, healed. */
#pragma once

#include "dlna/renderer.h"

typedef struct DlnaRenderers DlnaRenderers;

/* server: where /media/ is served, on media_port; their events are heard there too, below /event/.
 * Looks nowhere before dlna_renderers_follow(). quirks as in dlna_media_attach(). */
DlnaRenderers *dlna_renderers_new (SoupServer *server, uint16_t media_port, DlnaLibrary *library,
                                   const DlnaQuirks *quirks);
void dlna_renderers_free (DlnaRenderers *self); /* what plays plays on */

/* Looks on these interfaces from now on, at the addresses that they have now. */
void dlna_renderers_follow (DlnaRenderers *self, const char *const *interfaces);
/* Somebody looks at the list: searches, if the last time is a while ago. */
void dlna_renderers_search (DlnaRenderers *self);

/* Those that have said what they are, in the order in which they were found. */
unsigned dlna_renderers_n (const DlnaRenderers *self);
void dlna_renderers_status (const DlnaRenderers *self, unsigned i, DlnaRendererStatus *out);

/* false = there is no such renderer. What fails later is told by its status. */
bool dlna_renderers_play (DlnaRenderers *self, const char *udn, const char *item_id);
bool dlna_renderers_stop (DlnaRenderers *self, const char *udn);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaRenderers, dlna_renderers_free)
