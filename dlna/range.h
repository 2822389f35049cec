/* SPDX-License-Identifier: Apache-2.0 */
/* The Range header of HTTP (RFC 9110, section 14): one range of bytes. And the one of times that DLNA
 * has besides, TimeSeekRange.dlna.org. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum {
  DLNA_RANGE_NONE,   /* absent, or to be ignored: another unit, several ranges, bad syntax */
  DLNA_RANGE_FROM,   /* from first, until before end */
  DLNA_RANGE_SUFFIX, /* the last length bytes */
} DlnaRangeType;

typedef struct {
  DlnaRangeType type;
  int64_t first;  /* FROM; past INT64_MAX counts as INT64_MAX */
  int64_t end;    /* FROM; half-open; -1 = to the end */
  int64_t length; /* SUFFIX */
} DlnaRange;

/* header NULL = absent. */
DlnaRange dlna_range_parse (const char *header);
/* Turns self into a FROM with an end inside of a content of that size; false = there is no such
 * byte (416). Not for NONE. */
bool dlna_range_resolve (DlnaRange *self, int64_t size);

/* "npt=10.5-" or "npt=0:01:30-0:02:00.250" (RFC 2326, section 3.6); us; end -1 = to the end. false =
 * it is none, or ends before it begins. */
bool dlna_range_parse_time (const char *header, int64_t *first, int64_t *end);
