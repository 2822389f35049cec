/* SPDX-License-Identifier: Apache-2.0 */
/* What an HTTP request of ours keeps to when somebody else has chosen its address: whom it may reach,
 * and which redirects it follows. Threat: a list of strangers that makes us ask somebody in the home,
 * or ourselves. */
#pragma once

#include <libsoup/soup.h>
#include <stdbool.h>

/* May what a list from the URI from names, at the URI to, lie at that address? What a "file:" list says
 * is the operator's own word, and where a list came from we went already; else private addresses and
 * the like are nobody's to name. */
bool net_request_may_reach (const char *from, const char *to, GInetAddress *address);
/* Connections of message that may not be are shut before anything is sent on them: the address is looked
 * at that was really connected to, so no name can change in between. */
void net_request_guard (SoupMessage *message, const char *from);
/* Where a redirection leads; the caller frees. NULL with error = nowhere that we follow: a fourth time
 * (n counts), to another scheme than http: or https:, or from https: to http:. */
char *net_request_redirect (SoupMessage *message, unsigned *n, GError **error);
