/* SPDX-License-Identifier: Apache-2.0 */
/* The MediaServer: a root device on each interface of the home, found by SSDP. */
#pragma once

#include "dlna/library.h"
#include <libsoup/soup.h>

/* Called for each SoupServer that a context makes, before anybody can reach it, so that the program
 * can put its own listener in front; address: the context's "ip:port". The returned object is freed
 * with destroy when that context goes. */
typedef gpointer (*DlnaServerHook) (SoupServer *server, const char *address, gpointer data);

typedef struct {
  DlnaLibrary *library;
  const char *const *interfaces; /* names; NULL-terminated */
  const char *friendly_name;     /* what the TV shows */
  const char *uuid;              /* kept over restarts, without "uuid:" */
  uint16_t port;                 /* of description, control and events; 0 = any */
  uint16_t media_port;           /* where dlna_media_attach()'s server listens; goes into res */
  DlnaServerHook hook;
  gpointer hook_data;
  GDestroyNotify hook_destroy;
} DlnaServerOptions;

typedef struct DlnaServer DlnaServer;
DlnaServer *dlna_server_new (const DlnaServerOptions *options, GError **error);
void dlna_server_free (DlnaServer *self); /* byebye */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaServer, dlna_server_free)
