/* SPDX-License-Identifier: Apache-2.0 */
/* Where the tracker knows the network from: a table of the operator's, and an ALTO server (RFC 7285), which is
 * asked for its directory, and for the network map and the cost map that it names, again each hour. */
#pragma once

#include "peer/tracker/places.h"

#include <gio/gio.h>

typedef struct TrackerdAtlas TrackerdAtlas;

/* Takes the places. */
typedef void (*TrackerdAtlasFunc) (TrackerPlaces *places, void *data);

/* table: a file, or NULL; alto: the URI of an information resource directory, or NULL. func is called
 * before this returns if there is a table, and whenever the maps have been fetched. The error names the
 * file and the line, or the URI. */
TrackerdAtlas *trackerd_atlas_new (const char *table, const char *alto, TrackerdAtlasFunc func,
                                   void *data, GError **error);
void trackerd_atlas_free (TrackerdAtlas *self);
/* All that is known, with the table as it is now, for the caller to use and free; *out = NULL if there is no
 * table. False = the table cannot be read. */
bool trackerd_atlas_read (TrackerdAtlas *self, TrackerPlaces **out, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdAtlas, trackerd_atlas_free)
