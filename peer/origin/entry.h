/* SPDX-License-Identifier: Apache-2.0 */
/* One channel or file, as the operator writes it. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum { ORIGIN_CHANNEL, ORIGIN_PULL, ORIGIN_FILE } OriginKind;

/* A broadcast that has ended is on demand under the ID of its channel and this. */
#define ORIGIN_FILM "-film"

/* What the operator asked for. */
typedef struct {
  OriginKind kind;
  char *id, *name;
  char *source; /* PULL: URI; FILE: path */
  /* us since 1970: a broadcast that ends then; INT64_MAX = when the operator ends it; 0 = a channel
   * without an end */
  int64_t until;
} OriginEntry;

/* "ID", "ID=NAME", and for PULL and FILE "...,SOURCE". The error says what is wrong. */
OriginEntry *origin_entry_parse (OriginKind kind, const char *text, GError **error);
void origin_entry_free (OriginEntry *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OriginEntry, origin_entry_free)
