/* SPDX-License-Identifier: Apache-2.0 */
/* Which channels are joined before anybody watches them, so that their pictures come at once: the
 * household's favourites, those beside what plays, and those that were watched last. */
#pragma once

#include "proxy/sessions.h"

typedef struct ProxyWarm ProxyWarm;

/* n: channels, at most PROXY_WARM_MAX. Both must outlive it. */
#define PROXY_WARM_MAX 8
ProxyWarm *proxy_warm_new (ProxyCatalog *catalog, ProxySessions *sessions, unsigned n);
void proxy_warm_free (ProxyWarm *self);
/* Looks which they are now; a timer does that as well. */
void proxy_warm_look (ProxyWarm *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyWarm, proxy_warm_free)
