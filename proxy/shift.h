/* SPDX-License-Identifier: Apache-2.0 */
/* The time-shift of a live channel: the slabs that its ring had no more room for, in a file that wraps
 * when its quota is used up. */
#pragma once

#include "proxy/slab.h"
#include <stdbool.h>

#define PROXY_SHIFT_LEAST ((uint64_t)16 << 20) /* bytes: less is not worth a file */

#define PROXY_SHIFT_SPARE ((uint64_t)64 << 20) /* bytes of the disk that are left to others */

typedef struct {
  const char *folder; /* made if need be; the file has no name in it */
  uint64_t quota;     /* bytes on disk */
  uint32_t chunk_size;
  uint32_t per_slab; /* chunks */
  /* From the main loop: a slab that was asked for is here, or the time-shift has failed. */
  void (*news) (gpointer data);
  gpointer data;
} ProxyShiftOptions;

typedef struct ProxyShift ProxyShift;

/* Nothing is written, and no file made, before there is something to keep. */
ProxyShift *proxy_shift_new (const ProxyShiftOptions *options);
void proxy_shift_free (ProxyShift *self);

/* References a slab that changes no more. Numbers rise; another is left out. */
void proxy_shift_add (ProxyShift *self, ProxySlab *slab);
/* Is it kept? */
bool proxy_shift_has (const ProxyShift *self, uint64_t number);
/* It, until the next call; NULL = it is not in memory. If it is kept it is fetched, and news called. */
ProxySlab *proxy_shift_find (ProxyShift *self, uint64_t number);
/* Number of the oldest slab that is kept; false = there is none. */
bool proxy_shift_oldest (const ProxyShift *self, uint64_t *number);
/* Those before number are not kept any more. */
void proxy_shift_forget (ProxyShift *self, uint64_t number);

uint64_t proxy_shift_bytes (const ProxyShift *self);     /* that are kept */
uint64_t proxy_shift_unwritten (const ProxyShift *self); /* of them in memory still */
uint64_t proxy_shift_loaded (const ProxyShift *self);    /* in memory again: read not long ago */
/* Why it is off, in words for the owner; NULL = it is not. */
const char *proxy_shift_failure (const ProxyShift *self);

/* Removes what a process left that was killed between making its file and taking its name away. */
void proxy_shift_clean (const char *folder);
