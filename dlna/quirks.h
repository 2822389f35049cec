/* SPDX-License-Identifier: Apache-2.0 */
/* What known renderers need that the standards do not say: one table, one reason a row, and the
 * owner's rows in front of it. */
#pragma once

#include "dlna/profile.h"
#include <libsoup/soup.h>

typedef struct {
  const char *family;     /* for the log and the page */
  DlnaProfileStyle style; /* of protocolInfo and contentFeatures */
  bool numbers_titles;    /* it sorts by title itself: put the channel's number in front */
  bool ignores_ranges;    /* a range of a live stream gets the stream, and not 416 */
  bool chunked; /* a live stream in chunks (HTTP/1.1), and not to the end of the connection */
} DlnaQuirk;

typedef struct DlnaQuirks DlnaQuirks;

/* path: the owner's rows, a key file with a group for each renderer; NULL = none. The error names
 * the file, the group, the key, and what is expected.
 *
 *   [Bedroom]
 *   user-agent=SomeTV/1      what its User-Agent has in it, and
 *   not-user-agent=PC        has not; and the same of
 *   client-info=BRAVIA       X-AV-Client-Info;
 *   address=192.168.1.20     its address. At least one of these.
 *   live-flags=01700000      the first 8 digits of DLNA.ORG_FLAGS of live streams
 *   transport-type=video/mp2t    the media type of transport streams
 *   omit-profile, omit-flags, bytes-only, number-titles, ignore-ranges, chunked    true or false
 */
DlnaQuirks *dlna_quirks_new (const char *path, GError **error);
void dlna_quirks_free (DlnaQuirks *self);

/* Any may be NULL, self too (the built-in rows). Never NULL: a renderer that is not known gets the
 * row without a quirk. It lives as long as self. */
const DlnaQuirk *dlna_quirks_find (const DlnaQuirks *self, const char *user_agent,
                                   const char *av_client_info, const char *address);
/* The same, of who has sent that message. */
const DlnaQuirk *dlna_quirks_of (const DlnaQuirks *self, SoupServerMessage *message);
/* What it does, in the words of the owner's file: "live-flags=01700000 bytes-only=true"; "" = nothing. */
char *dlna_quirk_text (const DlnaQuirk *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaQuirks, dlna_quirks_free)
