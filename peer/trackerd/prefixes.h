/* SPDX-License-Identifier: Apache-2.0 */
/* A set of IP addresses, as prefixes: "192.0.2.0/24", "2001:db8::/32", "198.51.100.7". */
#pragma once

#include "peer/address.h"

#include <gio/gio.h>

typedef struct TrackerdPrefixes TrackerdPrefixes;

TrackerdPrefixes *trackerd_prefixes_new (void);
void trackerd_prefixes_free (TrackerdPrefixes *self);
/* The error says what is wrong with the text. */
bool trackerd_prefixes_add (TrackerdPrefixes *self, const char *text, GError **error);
/* Costs one look for each length that is in the set, however many prefixes there are. */
bool trackerd_prefixes_has (const TrackerdPrefixes *self, const PeerAddress *address);
unsigned trackerd_prefixes_size (const TrackerdPrefixes *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdPrefixes, trackerd_prefixes_free)
