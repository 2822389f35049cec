/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP's way in, once for each thread: a SoupServer and its listener. All accept at the same addresses.
 * The first is turned by the main context of the thread that makes them, each other one by a thread of its
 * own: so one door is no thread, and what is called for a request may be called from as many threads as
 * there are doors. */
#pragma once

#include "peer/net/listener.h"

#include <libsoup/soup.h>

typedef struct TrackerdDoors TrackerdDoors;

typedef struct {
  unsigned n;                       /* 0 = 1 */
  const char *const *addresses;     /* ADDR:PORT, NULL-terminated */
  const NetListenerOptions *limits; /* of all doors together; admit is called from each thread */
  bool ask_certificates;            /* as net_listener_ask_certificates() */
  SoupServerCallback handle;
  gpointer data; /* of handle */
} TrackerdDoorsOptions;

/* The error says which address, why, and what to do. */
TrackerdDoors *trackerd_doors_new (const TrackerdDoorsOptions *options, GError **error);
/* Nothing is called for a request afterwards. */
void trackerd_doors_free (TrackerdDoors *self);
uint16_t trackerd_doors_port (const TrackerdDoors *self); /* of the last address */
/* That of the first, whose statistics are those of all. */
NetListener *trackerd_doors_listener (TrackerdDoors *self);
/* As net_listener_set_certificate() and net_listener_ask_certificates(). */
void trackerd_doors_set_certificate (TrackerdDoors *self, GTlsCertificate *certificate);
void trackerd_doors_ask_certificates (TrackerdDoors *self, bool ask);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdDoors, trackerd_doors_free)
