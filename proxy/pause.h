/* SPDX-License-Identifier: Apache-2.0 */
/* Sees that this program has stood still: the machine slept, or was paused as virtual ones are, or the
 * program was stopped. Others have gone on meanwhile, and may have forgotten us. */
#pragma once

#include <glib.h>

typedef struct ProxyPause ProxyPause;

/* seconds: how long it was, and a little more. Called as soon as we run again. */
typedef void (*ProxyPauseFunc) (unsigned seconds, gpointer data);

/* A machine that has no such timer is never seen to stand still. */
ProxyPause *proxy_pause_new (ProxyPauseFunc func, gpointer data);
void proxy_pause_free (ProxyPause *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyPause, proxy_pause_free)
