/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for news of something: callbacks that may come and go while they are called. */
#pragma once

#include <glib.h>

typedef void (*ProxyWatchFunc) (gpointer data);

typedef struct ProxyWatches ProxyWatches;

ProxyWatches *proxy_watches_new (void);
void proxy_watches_free (ProxyWatches *self);

void proxy_watches_add (ProxyWatches *self, ProxyWatchFunc func, gpointer data);
void proxy_watches_remove (ProxyWatches *self, ProxyWatchFunc func, gpointer data);
/* The owner must keep itself alive meanwhile. */
void proxy_watches_call (ProxyWatches *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyWatches, proxy_watches_free)
