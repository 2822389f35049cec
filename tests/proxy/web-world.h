/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway's page and API on loopback, asked over HTTP as browsers and attackers ask. */
#pragma once

#include "proxy/tuner.h"
#include "proxy/web.h"
#include <json-glib/json-glib.h>

typedef struct {
  SoupServer *server;
  NetListener *listener;
  NetUdp *udp;
  ProxyCatalog *catalog;
  ProxySessionOptions options;
  ProxySessions *sessions;
  ProxyParts parts;
  ProxyWeb *web; /* of them */
  ProxyProgrammes *programmes;
  ProxyTuner *tuner;
  SoupSession *session;
  unsigned port;
  /* of the last answer */
  unsigned status;
  char *body, *type, *csp, *etag;
} WebWorld;

void web_world_init (WebWorld *self);
void web_world_clear (WebWorld *self);
/* The tuner of one more; the caller frees. */
ProxyTuner *web_new_tuner (const WebWorld *self, uint32_t device_id);
void web_add_channel (WebWorld *self, int number, const char *name, const char *logo, bool live);
void web_read_guide (WebWorld *self, const char *text); /* XMLTV */

/* The headers by which our page changes something. */
extern const char *const web_ours[];
/* The status. headers: "Name: value" lines, NULL-terminated, or NULL. body: NULL = none. */
unsigned web_ask (WebWorld *self, const char *method, const char *path, const char *const *headers,
                  const char *body);
/* Puts a reference to the result into data, a GAsyncResult **. */
void web_on_answer (GObject *source, GAsyncResult *result, gpointer data);
/* The last answer, as long as parser lives. */
JsonObject *web_parse (WebWorld *self, JsonParser *parser);
