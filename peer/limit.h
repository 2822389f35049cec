/* SPDX-License-Identifier: Apache-2.0 */
/* So many bytes a second, and what may be saved up meanwhile. What is spent may run into debt, so
 * that a datagram is never cut; the debt is paid before the next one. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A value; all zero is no limit. */
typedef struct {
  uint64_t rate; /* bytes/s; 0 = no limit */
  double burst;  /* bytes that may be saved up */
  double left;   /* bytes */
  int64_t at;    /* us: when left was true */
} PeerLimit;

/* What is left stays, as far as the new burst allows; who had no limit begins with all of it. */
void peer_limit_set (PeerLimit *self, int64_t now, uint64_t rate, double burst);
void peer_limit_spend (PeerLimit *self, int64_t now, size_t n);
/* Bytes that may be spent now, below zero in debt; without a limit G_MAXDOUBLE. */
double peer_limit_left (const PeerLimit *self, int64_t now);
/* us: when something may be spent; now at the earliest. */
int64_t peer_limit_ready (const PeerLimit *self, int64_t now);
