/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's address: OpenMetrics, health, and the resources that
 * packaging/yang/ppsp-tracker.yang describes, as JSON (RFC 7951). RFC 6972, OAM.REQ-5. */
#pragma once

#include "peer/net/listener.h"
#include "peer/trackerd/access.h"
#include "peer/trackerd/events.h"
#include "peer/trackerd/history.h"
#include "peer/trackerd/quota.h"
#include "peer/trackerd/sip.h"
#include "peer/trackerd/store.h"

#include <gio/gio.h>

typedef struct TrackerdManagement TrackerdManagement;

/* What the tracker's HTTP face counts. */
typedef struct {
  uint64_t malformed; /* requests that were not HTTP's or JSON's as they should be */
  uint64_t flooded;   /* requests over what an address may make */
  uint64_t logins;    /* with an account */
  uint64_t bad_credentials, denied;
} TrackerdCounts;

/* All borrowed. */
typedef struct {
  TrackerRegistry *registry;
  TrackerdQuota *quota;
  TrackerdEvents *events;
  const TrackerdCounts *counts;
  TrackerdAccess *const *access; /* it may change */
  const NetListener *listener;   /* of the peers */
  const TrackerdSip *sip;        /* NULL = none */
  const TrackerdStore *store;
  const TrackerdHistory *history;
  GRecMutex *lock; /* of all of it but the listener */
} TrackerdManaged;

/* address: ADDR:PORT. The error says which, why, and what to do. */
TrackerdManagement *trackerd_management_new (const char *address, const TrackerdManaged *managed,
                                             GError **error);
void trackerd_management_free (TrackerdManagement *self);
uint16_t trackerd_management_port (const TrackerdManagement *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdManagement, trackerd_management_free)
