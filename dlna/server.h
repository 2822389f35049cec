/* SPDX-License-Identifier: Apache-2.0 */
/* The MediaServer: a root device on each interface of the home, found by SSDP. */
#pragma once

#include "dlna/clients.h"
#include "dlna/library.h"
#include "dlna/quirks.h"
#include <libsoup/soup.h>

/* Called for each SoupServer that a context makes, before anybody can reach it, so that the program
 * can put its own listener in front; address: the context's "ip:port". The returned object is freed
 * with hook_destroy when that context goes. NULL with an error: nobody listens, so nothing is announced
 * there, and it is tried again. */
typedef gpointer (*DlnaServerHook) (SoupServer *server, const char *address, GError **error);

typedef struct {
  DlnaLibrary *library;
  const DlnaQuirks *quirks;      /* outlives the server; NULL = the built-in ones */
  DlnaClients *clients;          /* are told of each request; outlive the server; or NULL */
  const char *const *interfaces; /* names; NULL-terminated */
  const char *friendly_name;     /* what the TV shows */
  const char *uuid;              /* kept over restarts, without "uuid:" */
  uint16_t port;                 /* of description, control and events; 0 = any */
  uint16_t media_port;           /* where dlna_media_attach()'s server listens; goes into res */
  DlnaServerHook hook;
  GDestroyNotify hook_destroy;
} DlnaServerOptions;

/* What was refused to whom, over all interfaces; for the metrics. */
typedef struct {
  uint64_t far_clients, wrong_hosts, large_bodies, bad_actions, bad_callbacks, many_subscriptions;
  unsigned subscriptions; /* now */
  unsigned interfaces;    /* announced on now */
} DlnaServerStats;

typedef struct DlnaServer DlnaServer;
/* An interface that has no address yet, or is down, is waited for. Everything else that keeps the
 * server from being announced is an error. */
DlnaServer *dlna_server_new (const DlnaServerOptions *options, GError **error);
void dlna_server_free (DlnaServer *self); /* byebye */
/* Announces on these from now on: byebye on those that are not among them, and nothing happens to
 * those that stay. What cannot be had is tried again. */
void dlna_server_follow (DlnaServer *self, const char *const *interfaces);
/* Says goodbye and announces anew: who is out there may have missed us. */
void dlna_server_announce (DlnaServer *self);
void dlna_server_stats (DlnaServer *self, DlnaServerStats *out);
/* Where the description is found on that interface: "http://192.168.1.1:8575/UUID.xml"; NULL = it
 * is not announced there now. */
char *dlna_server_location (DlnaServer *self, const char *interface);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaServer, dlna_server_free)
