/* SPDX-License-Identifier: Apache-2.0 */
/* ContentDirectory:1 over a DlnaLibrary: Browse, Search, update events. */
#pragma once

#include "dlna/quirks.h"
#include <libgupnp/gupnp.h>

typedef struct DlnaContentDirectory DlnaContentDirectory;

/* base: "http://192.168.1.1:8574", where /media/ is found from this interface. */
DlnaContentDirectory *dlna_content_directory_new (GUPnPService *service, DlnaLibrary *library,
                                                  const DlnaQuirks *quirks, const char *base);
void dlna_content_directory_free (DlnaContentDirectory *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaContentDirectory, dlna_content_directory_free)
