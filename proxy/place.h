/* SPDX-License-Identifier: Apache-2.0 */
/* Places in a live channel's bytes. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A viewer's place: the next byte that it reads. */
typedef struct {
  uint64_t chunk;
  uint32_t offset; /* bytes into the chunk */
  bool joined;     /* what comes in front of the packet here was read */
} ProxyPlace;

static inline bool
proxy_place_is_before (ProxyPlace a, ProxyPlace b)
{
  return a.chunk < b.chunk || (a.chunk == b.chunk && a.offset < b.offset);
}

/* A place where a picture begins. */
typedef struct {
  ProxyPlace place;
  uint64_t run;   /* first chunk of the contiguous run that it lies in */
  int64_t pts;    /* us, of the picture; MEDIA_TS_NO_TIME = it has none */
  GBytes *tables; /* PAT and PMT to put in front */
  int64_t time;   /* us of the stream since it began, of a key frame */
} ProxyPicture;
