/* SPDX-License-Identifier: Apache-2.0 */
/* What we show to one tracker over HTTP (RFC 7846, 6.1): a Digest that answers its challenges, a bearer
 * token, a certificate. */
#pragma once

#include "peer/net/credentials.h"

#include <libsoup/soup.h>

typedef struct NetAccount NetAccount;

/* For the tracker at uri. credentials: as they are at each request; NULL = none. */
NetAccount *net_account_new (NetCredentials *credentials, GUri *uri);
void net_account_free (NetAccount *self);

/* Adds to a request what is to be shown at target, which is where it goes, and is nothing if that is
 * another host than the account is for. is_loopback: so it is sent. */
void net_account_show (NetAccount *self, SoupMessage *message, GUri *target, bool is_loopback);
/* After a 401: true = with its challenge the same request may do better; show it again, and send it. It
 * is asked for each 401 to that request, and net_account_begin() for each new request. */
bool net_account_challenged (NetAccount *self, SoupMessage *message);
void net_account_begin (NetAccount *self);
/* Have we anything to show there? */
bool net_account_is_known (NetAccount *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetAccount, net_account_free)
