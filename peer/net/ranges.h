/* SPDX-License-Identifier: Apache-2.0 */
/* Byte ranges of files on HTTP servers (RFC 9110, section 14), one at a time over one connection.
 * Threats: a server that sends something else than was asked for, or more, or for ever, or nothing, or
 * leads elsewhere. What the bytes are worth is the caller's to check. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
  NET_RANGES_WHOLE,  /* all of it came */
  NET_RANGES_BROKEN, /* the way or the server has failed, and may work again; a part may have come */
  NET_RANGES_ABSENT,  /* it is not there, or not for us */
  NET_RANGES_USELESS, /* what is there cannot serve: no ranges, another length, leads elsewhere */
} NetRangesResult;

typedef struct {
  /* n bytes, as they come, never more than was asked for. */
  void (*bytes) (const uint8_t *bytes, size_t n, gpointer data);
  /* Once for each range, the last call. why: one sentence; NULL = WHOLE. */
  void (*done) (NetRangesResult result, const char *why, gpointer data);
} NetRangesHandler;

typedef struct NetRanges NetRanges;

/* from: which list names the files (peer/net/request.h). agent: what a server is told of us. seconds: for
 * each range; a quarter of that for silence. Handler and data must outlive it; they are called by the
 * main loop alone, and may call all but free. */
NetRanges *net_ranges_new (const char *from, const char *agent, unsigned seconds,
                           const NetRangesHandler *handler, gpointer data);
void net_ranges_free (NetRanges *self);

/* Bytes first to end of the file at uri, http: or https:. length: what the file must be long; 0 = it does
 * not matter. Not while another is under way. */
void net_ranges_get (NetRanges *self, const char *uri, uint64_t first, uint64_t end,
                     uint64_t length);
bool net_ranges_is_busy (const NetRanges *self);
/* The one that is under way is given up; nobody is called. */
void net_ranges_cancel (NetRanges *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetRanges, net_ranges_free)
