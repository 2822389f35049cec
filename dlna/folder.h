/* SPDX-License-Identifier: Apache-2.0 */
/* The description's files: gupnp serves a folder whole, so this one has nothing else in it. */
#pragma once

#include <glib.h>

typedef struct DlnaFolder DlnaFolder;

/* page: presentationURL. */
DlnaFolder *dlna_folder_new (const char *friendly_name, const char *uuid, const char *page,
                             GError **error);
void dlna_folder_free (DlnaFolder *self); /* removes it */
const char *dlna_folder_path (DlnaFolder *self);

/* The device description alone, for the tests. */
char *dlna_folder_description (const char *friendly_name, const char *uuid, const char *page);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaFolder, dlna_folder_free)
