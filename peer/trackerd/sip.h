/* SPDX-License-Identifier: Apache-2.0 */
/* The SIP binding (peer/net/SIP.md) in front of the tracker's registry. Where this build has no SIP, it
 * says so. */
#pragma once

#include "peer/tracker/digest.h"
#include "peer/tracker/message.h"

typedef struct TrackerdSip TrackerdSip;

typedef struct {
  const char *plain;             /* ADDR:PORT, UDP and TCP; NULL = none */
  const char *secure;            /* ADDR:PORT, TLS; NULL = none */
  const char *certificate, *key; /* files, PEM; for secure */
  unsigned max_connections;      /* TCP and TLS; 0 = 1,024 */
} TrackerdSipOptions;

typedef struct {
  /* Always an answer, which is freed here. */
  TrackerResponse *(*answer) (void *data, const TrackerRequest *request, const PeerAddress *from);
  /* May there be one more request from there? */
  bool (*admit) (void *data, const PeerAddress *from);
  /* Its credentials were not right. */
  void (*wrong) (void *data, const PeerAddress *from);
  void *data;
  GRecMutex *lock; /* held while the digest is asked, which others ask too */
} TrackerdSipFuncs;

/* digest: borrowed; NULL = anybody is let in, and so on loopback only. The error says which address, why, and what to do. */
TrackerdSip *trackerd_sip_new (const TrackerdSipOptions *options, TrackerDigest *digest,
                               const TrackerdSipFuncs *funcs, GError **error);
void trackerd_sip_free (TrackerdSip *self);

/* Of --sips, as those of net_sip_server; nothing if there is none. */
bool trackerd_sip_load_certificate (TrackerdSip *self, GError **error);
void trackerd_sip_use_certificate (TrackerdSip *self);
void trackerd_sip_drop_certificate (TrackerdSip *self);

/* The ports that were asked for as 0; 0 = there is no such address. */
uint16_t trackerd_sip_port (const TrackerdSip *self);
uint16_t trackerd_sip_secure_port (const TrackerdSip *self);

/* In the form of OpenMetrics. */
void trackerd_sip_metrics (const TrackerdSip *self, GString *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdSip, trackerd_sip_free)
