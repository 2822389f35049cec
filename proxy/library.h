/* SPDX-License-Identifier: Apache-2.0 */
/* Our answer to what the home asks: the catalog's channels as items, and their streams. */
#pragma once

#include "dlna/library.h"
#include "proxy/catalog.h"
#include "proxy/programmes.h"
#include "proxy/sessions.h"

#define PROXY_TYPE_LIBRARY (proxy_library_get_type ())
G_DECLARE_FINAL_TYPE (ProxyLibrary, proxy_library, PROXY, LIBRARY, GObject)

/* The catalog must outlive it. */
ProxyLibrary *proxy_library_new (ProxyCatalog *catalog, ProxySessions *sessions);
/* Where channels' descriptions come from; it must outlive the library. NULL = none any more. */
void proxy_library_set_programmes (ProxyLibrary *self, ProxyProgrammes *programmes);
/* The catalog has changed: tells the home. */
void proxy_library_changed (ProxyLibrary *self);
/* Keeps what a session has learned of its content. */
void proxy_library_learn (ProxyLibrary *self, ProxySession *session);

/* Finds out what a film contains whose length is known, if nobody has yet. */
void proxy_library_look_into (ProxyLibrary *self, const char *id);

/* "/media/ID.ts", with the ending of its type. */
char *proxy_library_path (const ProxyChannel *channel);
