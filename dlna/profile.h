/* SPDX-License-Identifier: Apache-2.0 */
/* What a renderer is told of a stream before it asks for it: the DLNA profile name (PN), and with
 * it the protocolInfo of a res and the contentFeatures.dlna.org of a response. */
#pragma once

#include "dlna/library.h"

/* How a renderer wants it said; all zero = by the letter of the guidelines. */
typedef struct {
  bool omit_name;             /* no DLNA.ORG_PN, even where it is known */
  bool omit_flags;            /* no DLNA.ORG_FLAGS: there are sets of before they were thought of */
  bool bytes_only;            /* it cannot cope with both ways to seek */
  const char *live_flags;     /* 8 hex digits for a live stream; NULL = sender-paced */
  const char *transport_type; /* the type of transport streams; NULL = video/mpeg */
} DlnaProfileStyle;

/* NULL = no name fits what is known. A wrong name is worse than none. */
const char *dlna_profile_name (const DlnaItem *item);
/* The type that the res and the HTTP response both name. */
const char *dlna_profile_mime (const DlnaItem *item, const DlnaProfileStyle *style);
/* The fourth field: "DLNA.ORG_PN=...;DLNA.ORG_OP=..;DLNA.ORG_CI=0;DLNA.ORG_FLAGS=...". */
char *dlna_profile_features (const DlnaItem *item, const DlnaProfileStyle *style);
char *dlna_profile_protocol_info (const DlnaItem *item, const DlnaProfileStyle *style);
/* All that this server can be a source of, as GetProtocolInfo wants it. */
char *dlna_profile_sources (void);
