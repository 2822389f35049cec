/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever in the home asks us for something, as the quirks know them apart (address, User-Agent,
 * X-AV-Client-Info): what each has asked last, what was refused, how fast its streams began. So that
 * nobody needs to guess why a television does not play. All of it is in memory, and bounded. */
#pragma once

#include "dlna/quirks.h"

#define DLNA_CLIENTS_MAX 32        /* who was heard longest ago is forgotten */
#define DLNA_CLIENTS_MAX_ALIKE 8   /* of one address, so that none can push out the others */
#define DLNA_CLIENTS_MAX_EVENTS 24 /* of each */

typedef struct DlnaClients DlnaClients;

/* quirks: outlive it; NULL = the built-in ones. */
DlnaClients *dlna_clients_new (const DlnaQuirks *quirks);
void dlna_clients_free (DlnaClients *self);

/* Notes all that this server answers from now on. self must outlive the server's last answer. */
void dlna_clients_watch (DlnaClients *self, SoupServer *server);
/* A request was answered, or given up where it has no status yet. more: what became of it; NULL =
 * nothing to add. self NULL: does nothing. */
void dlna_clients_note (DlnaClients *self, SoupServerMessage *message, const char *more);
/* A stream has begun, us after it was asked for. self NULL: does nothing. */
void dlna_clients_started (DlnaClients *self, SoupServerMessage *message, int64_t us);

typedef struct {
  char *what;      /* "Browse films:", "GET /media/news.ts (bytes=0-): ..." */
  unsigned status; /* of HTTP; 0 = it left before it was answered */
  unsigned times;  /* the same, one after the other */
  int64_t when;    /* us, monotonic: the last of them */
} DlnaClientEvent;

typedef struct {
  char *address, *agent, *info; /* valid UTF-8; "" = it says nothing */
  const DlnaQuirk *quirk;       /* that applies to it */
  int64_t first, last;          /* us, monotonic: when it was heard */
  uint64_t asked, refused;
  uint64_t streams;         /* that have begun */
  int64_t zap, slowest_zap; /* us from the request to the first byte: the last one, and the most */
  GQueue events;            /* DlnaClientEvent, the oldest first */
} DlnaClient;

/* DlnaClient, who was heard last at the end; valid until something is noted. */
const GPtrArray *dlna_clients_list (const DlnaClients *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaClients, dlna_clients_free)
