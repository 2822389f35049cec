/* SPDX-License-Identifier: Apache-2.0 */
/* The tracker as certification authority (RFC 7574, 12.2.2): its key, kept in a folder, and the
 * certificates of membership that it signs. */
#pragma once

#include "peer/address.h"

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct TrackerdAuthority TrackerdAuthority;

/* The key of the folder, made there (mode 0600) if there is none. life: of a certificate, us. The error names
 * the file and what to do. */
TrackerdAuthority *trackerd_authority_open (const char *folder, int64_t life, GError **error);
void trackerd_authority_free (TrackerdAuthority *self);
/* What stands behind "tk=" in the links of its swarms: hex. */
const char *trackerd_authority_key (const TrackerdAuthority *self);
/* As TrackerRegistryOptions wants it; data: a TrackerdAuthority. */
GBytes *trackerd_authority_certify (void *data, const char *swarm_id, const PeerAddress *address,
                                    int64_t *renew);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdAuthority, trackerd_authority_free)
