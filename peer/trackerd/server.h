/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP and HTTPS in front of a registry (RFC 7846, section 4), and the management's page of
 * numbers on an address of its own. */
#pragma once

#include "peer/tracker/registry.h"
#include "peer/trackerd/authority.h"

#include <gio/gio.h>

typedef struct TrackerdServer TrackerdServer;

typedef struct {
  const char *const *listen;    /* ADDR:PORT, NULL-terminated */
  const char *management;       /* ADDR:PORT, or NULL = none */
  GTlsCertificate *certificate; /* NULL = plain HTTP */
  unsigned max_connections;     /* 0 = 256 */
  TrackerdAuthority *authority; /* borrowed; NULL = members are not certified */
} TrackerdServerOptions;

/* The error says which address, why, and what to do. */
TrackerdServer *trackerd_server_new (const TrackerdServerOptions *options, GError **error);
void trackerd_server_free (TrackerdServer *self);

/* For new connections; only where there was one before. */
void trackerd_server_set_certificate (TrackerdServer *self, GTlsCertificate *certificate);

/* The ports that were asked for as 0. */
uint16_t trackerd_server_port (const TrackerdServer *self);
uint16_t trackerd_server_management_port (const TrackerdServer *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdServer, trackerd_server_free)
