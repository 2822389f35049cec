/* SPDX-License-Identifier: Apache-2.0 */
/* The set of contents in play: starts one when somebody watches, keeps it a while after the last
 * viewer, and routes the engine's events. */
#pragma once

#include "proxy/catalog.h"
#include "proxy/session.h"

#define PROXY_SESSIONS_MAX 16 /* contents in play at the same time */

typedef struct ProxySessions ProxySessions;

/* linger: s. options must outlive it. */
ProxySessions *proxy_sessions_new (const ProxySessionOptions *options, unsigned linger);
ProxySessions *proxy_sessions_ref (ProxySessions *self);
void proxy_sessions_unref (ProxySessions *self);
/* Ends all, now. */
void proxy_sessions_close (ProxySessions *self);

/* The channel's session; it lives at least until it is released as often as it was used. */
ProxySession *proxy_sessions_use (ProxySessions *self, const ProxyChannel *channel, GError **error);
void proxy_sessions_release (ProxySessions *self, ProxySession *session);
/* These, live ProxyChannels, are joined without a viewer as far as there is room; others that were
 * so and are not watched are left. */
void proxy_sessions_warm (ProxySessions *self, const GPtrArray *channels);
/* Can who pauses a live channel go on where it was? */
bool proxy_sessions_keep_past (const ProxySessions *self);
/* The channel goes, whoever watches it. */
void proxy_sessions_stop (ProxySessions *self, const char *id);

/* bit/s as text, NULL = as it is; of a channel in play, and when it is played again. */
bool proxy_sessions_set_limit (ProxySessions *self, const char *id, const char *upload,
                               const char *download, GError **error);
/* What the options say counts again. */
void proxy_sessions_unset_limit (ProxySessions *self, const char *id);

void proxy_sessions_event (ProxySessions *self, const PeerEvent *event);

typedef enum {
  PROXY_STATE_IDLE,
  PROXY_STATE_WARM, /* joined, and nothing fetched */
  PROXY_STATE_JOINING,
  PROXY_STATE_PLAYING,
  PROXY_STATE_LINGERING,
  PROXY_STATE_FAILED,
} ProxyState;
/* session: may be NULL; what is in play of it, or NULL. error: may be NULL; for FAILED. */
ProxyState proxy_sessions_state (ProxySessions *self, const char *id, ProxySession **session,
                                 const char **error);
const char *proxy_state_name (ProxyState state);
/* All in play; free with g_ptr_array_unref. */
GPtrArray *proxy_sessions_list (ProxySessions *self);
/* IDs of channels that could not be played when they were last tried; likewise. */
GPtrArray *proxy_sessions_failed (ProxySessions *self);

/* Called before a session ends, so that what was learned of the content can be kept. */
typedef void (*ProxySessionsFunc) (ProxySession *session, gpointer data);
void proxy_sessions_set_func (ProxySessions *self, ProxySessionsFunc func, gpointer data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxySessions, proxy_sessions_unref)
