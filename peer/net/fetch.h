/* SPDX-License-Identifier: Apache-2.0 */
/* One text of the operator's, a channel list, by http:, https: or file:; or what such a list names.
 * Threats: who sends for ever, or a byte a minute, or redirects in circles, to a file, or from https:
 * to http:; and who writes a list of addresses that he could not ask himself. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct NetFetch NetFetch;

/* Called once, by the main loop; may free the fetch. text: NULL = it could not be had, and error says
 * why; is_cut: it goes on behind text. */
typedef void (*NetFetchFunc) (GBytes *text, bool is_cut, const GError *error, gpointer data);

/* max: bytes; seconds: for all of it. agent: what a server is told of us. */
NetFetch *net_fetch_new (const char *uri, size_t max, unsigned seconds, const char *agent,
                         NetFetchFunc func, gpointer data);
/* Not the operator wishes it, but a list that lies at that URI ("" = somebody has pasted it): what
 * net_request_may_reach() forbids is not asked. To be said before the main loop runs. */
void net_fetch_for_list (NetFetch *self, const char *list);
/* Nobody is called any more. */
void net_fetch_free (NetFetch *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetFetch, net_fetch_free)
