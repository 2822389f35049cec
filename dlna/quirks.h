/* SPDX-License-Identifier: Apache-2.0 */
/* What known renderers need that the standards do not say: one table, one reason a row. */
#pragma once

#include "dlna/profile.h"

typedef struct {
  const char *family;     /* for the log and the page */
  DlnaProfileStyle style; /* of protocolInfo and contentFeatures */
  bool numbers_titles;    /* it sorts by title itself: put the channel's number in front */
} DlnaQuirk;

/* By User-Agent and X-AV-Client-Info; either may be NULL. Never NULL: a renderer that is not known
 * gets the row without a quirk. */
const DlnaQuirk *dlna_quirks_find (const char *user_agent, const char *av_client_info);
