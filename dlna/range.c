/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 9110, section 14.2, lets a server ignore a Range that it does not like; several ranges and bad
 * syntax are ignored here, and the answer is then the whole content. */

#include "dlna/range.h"
#include <glib.h>

/* Digits only; saturates. false = there is no digit. */
static bool
take_number (const char **text, int64_t *out)
{
  const char *p = *text;
  int64_t value = 0;

  if (!g_ascii_isdigit (*p))
    return false;
  for (; g_ascii_isdigit (*p); p++) {
    int digit = *p - '0';
    value = value > (INT64_MAX - digit) / 10 ? INT64_MAX : value * 10 + digit;
  }
  *text = p;
  *out = value;
  return true;
}

DlnaRange
dlna_range_parse (const char *header)
{
  const DlnaRange none = {DLNA_RANGE_NONE, 0, -1, 0};
  DlnaRange range = none;
  int64_t last;

  if (header == NULL || g_ascii_strncasecmp (header, "bytes=", 6) != 0)
    return none;
  header += 6;
  while (*header == ' ' || *header == '\t')
    header++;
  if (*header == '-') {
    header++;
    if (!take_number (&header, &range.length))
      return none;
    range.type = DLNA_RANGE_SUFFIX;
  } else {
    if (!take_number (&header, &range.first) || *header++ != '-')
      return none;
    if (take_number (&header, &last)) {
      if (last < range.first)
        return none; /* section 14.1.1: such a range is invalid, not unsatisfiable */
      range.end = last < INT64_MAX ? last + 1 : INT64_MAX;
    }
    range.type = DLNA_RANGE_FROM;
  }
  while (*header == ' ' || *header == '\t')
    header++;
  return *header == '\0' ? range : none;
}

bool
dlna_range_resolve (DlnaRange *self, int64_t size)
{
  g_return_val_if_fail (self->type != DLNA_RANGE_NONE && size >= 0, false);

  if (self->type == DLNA_RANGE_SUFFIX) {
    if (self->length == 0 || size == 0)
      return false;
    self->first = self->length < size ? size - self->length : 0;
    self->end = size;
    self->type = DLNA_RANGE_FROM;
    return true;
  }
  if (self->first >= size)
    return false;
  if (self->end < 0 || self->end > size)
    self->end = size;
  return true;
}

/* Seconds, or hours, minutes and seconds; with a fraction or without. */
static bool
take_time (const char **text, int64_t *out)
{
  int64_t part, seconds = 0, fraction = 0, scale = G_USEC_PER_SEC;
  int parts = 0;

  do {
    if (parts > 0)
      (*text)++;
    if (!take_number (text, &part) || part > INT32_MAX || (parts > 0 && part > 59))
      return false;
    seconds = seconds * 60 + part;
  } while (++parts < 3 && **text == ':');
  if (parts == 2 || seconds > INT32_MAX)
    return false;
  if (**text == '.')
    for ((*text)++; g_ascii_isdigit (**text); (*text)++) {
      scale /= 10;
      fraction += (**text - '0') * scale;
    }
  *out = seconds * G_USEC_PER_SEC + fraction;
  return true;
}

bool
dlna_range_parse_time (const char *header, int64_t *first, int64_t *end)
{
  *end = -1;
  if (g_ascii_strncasecmp (header, "npt=", 4) != 0)
    return false;
  header += 4;
  if (!take_time (&header, first) || *header++ != '-')
    return false;
  if (g_ascii_isdigit (*header) && (!take_time (&header, end) || *end < *first))
    return false;
  while (*header == ' ' || *header == '\t')
    header++;
  return *header == '\0';
}
