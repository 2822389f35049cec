/* SPDX-License-Identifier: Apache-2.0 */
/* Where in the network an address is, and how far from another: a table of prefixes with names
 * (regions, autonomous systems), or the maps of an ALTO server (RFC 7285, sections 11.2 and 11.3). Without
 * either a place is a prefix: /16 of IPv4, /32 of IPv6. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define TRACKER_PLACES_MAX 4096 /* names */
/* Places of one table are none of the next: who was placed by one is nowhere near anybody, until he is
 * placed anew. */
#define TRACKER_PLACES_GENERATIONS 8
#define TRACKER_PLACES_MAX_PREFIXES 2000000
/* From one place to another of which no map says more; it is 0 within one. */
#define TRACKER_PLACES_FAR 1000
/* The nearest others that are remembered for each. */
#define TRACKER_PLACES_NEAR 3

typedef struct TrackerPlaces TrackerPlaces;

TrackerPlaces *tracker_places_new (void);
void tracker_places_free (TrackerPlaces *self);

/* One line for each prefix: "192.0.2.0/24 NAME", "2001:db8::/32 AS64500"; '#' begins a comment. The
 * error names the line; then the places are of no more use. */
bool tracker_places_read_table (TrackerPlaces *self, const char *text, GError **error);
/* application/alto-networkmap+json and application/alto-costmap+json; the network map first. */
bool tracker_places_read_network_map (TrackerPlaces *self, const char *text, size_t n,
                                      GError **error);
bool tracker_places_read_cost_map (TrackerPlaces *self, const char *text, size_t n, GError **error);
/* An information resource directory (section 9.2): which of its maps to read. false = it names no network map.
 * costs: that of routingcost for it, numerical if there is one; NULL = none. The caller frees; they may be
 * relative to the directory's own URI. */
bool tracker_places_read_directory (const char *text, size_t n, char **network, char **costs);
/* After the last of them, and before the first question. */
void tracker_places_settle (TrackerPlaces *self);
/* They take the place of others; 0 at first. */
void tracker_places_set_generation (TrackerPlaces *self, unsigned generation);

/* self may be NULL. The longest prefix wins; one that no table names is where it would be without. */
uint16_t tracker_places_find (const TrackerPlaces *self, const uint8_t ip[16]);
/* 0 = near .. TRACKER_PLACES_FAR. */
uint32_t tracker_places_distance (const TrackerPlaces *self, uint16_t from, uint16_t to);
/* Others that are nearer than far, the nearest first. */
unsigned tracker_places_near (const TrackerPlaces *self, uint16_t from,
                              uint16_t out[TRACKER_PLACES_NEAR]);
/* NULL = it has none. */
const char *tracker_places_name (const TrackerPlaces *self, uint16_t place);
uint32_t tracker_places_count (const TrackerPlaces *self); /* names */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerPlaces, tracker_places_free)
