/* SPDX-License-Identifier: Apache-2.0 */
/* SearchCriteria (ContentDirectory:1, section 2.5.5): parsed once, asked of each item. */
#pragma once

#include "dlna/library.h"

/* What may stand in a criterion, as GetSearchCapabilities says it. */
#define DLNA_SEARCH_CAPABILITIES "dc:title,upnp:class,upnp:channelName,@id,@parentID,@refID"

typedef struct DlnaSearch DlnaSearch;

/* NULL = it does not read. A property that is not known reads, and no item has it. */
DlnaSearch *dlna_search_parse (const char *criteria);
void dlna_search_free (DlnaSearch *self);
bool dlna_search_matches (const DlnaSearch *self, const DlnaItem *item);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaSearch, dlna_search_free)
