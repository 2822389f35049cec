/* SPDX-License-Identifier: Apache-2.0 */
/* A small maker of transport streams: tables and pictures, with right continuity counters. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum { TS_PMT = 0x100, TS_VIDEO = 0x101 };

typedef struct {
  GByteArray *bytes;
  uint8_t counters[8192];
  uint32_t random;
  int64_t pts, step; /* 90 kHz: of the next picture, and to the one after it; step 0 = no PTS */
} TsMaker;

void ts_maker_init (TsMaker *self);
void ts_maker_clear (TsMaker *self);
void ts_tables (TsMaker *self);                                /* PAT and PMT: one packet each */
size_t ts_picture (TsMaker *self, bool key, unsigned packets); /* returns where it begins */
/* A key frame with tables between its headers and its first slice; returns where it begins. */
size_t ts_picture_around_tables (TsMaker *self, unsigned packets);
/* The first packet whose continuity counter does not go on in its PID; n if all do. */
/* ... where it is not marked (ISO/IEC 13818-1, 2.4.3.5), and how many marks there are. */
size_t ts_discontinuity (const uint8_t *bytes, size_t n);
unsigned ts_marks (const uint8_t *bytes, size_t n);
