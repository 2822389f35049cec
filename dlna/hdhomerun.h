/* SPDX-License-Identifier: Apache-2.0 */
/* Found as a tuner: programs that record television look for HDHomeRun devices by UDP, and are told
 * where discover.json is. All else they do by HTTP. */
#pragma once

#include "dlna/links.h"
#include <stddef.h>
#include <stdint.h>

#define DLNA_HDHOMERUN_ANSWER 64 /* bytes, at most; a question has 20 */

typedef struct {
  uint32_t id;    /* dlna_hdhomerun_id() */
  uint8_t tuners; /* channels that can be watched at the same time */
  uint16_t port;  /* where discover.json is served, on each interface's address */
} DlnaHdhomerunOptions;

typedef struct {
  uint64_t answers;
  uint64_t far_clients;    /* of another network than the interface's */
  uint64_t bad_questions;  /* no question, or a torn one */
  uint64_t many_questions; /* over the limit, and not answered */
} DlnaHdhomerunStats;

typedef struct DlnaHdhomerun DlnaHdhomerun;

/* Answers nowhere before dlna_hdhomerun_follow(). */
DlnaHdhomerun *dlna_hdhomerun_new (const DlnaHdhomerunOptions *options);
void dlna_hdhomerun_free (DlnaHdhomerun *self);
/* Answers on these interfaces from now on, at the addresses that they have now. */
void dlna_hdhomerun_follow (DlnaHdhomerun *self, const char *const *interfaces);
void dlna_hdhomerun_stats (const DlnaHdhomerun *self, DlnaHdhomerunStats *out);

/* The device's number, with the check digit that programs look at: the same for the same UUID. */
uint32_t dlna_hdhomerun_id (const char *uuid);
/* The bytes of the answer to a packet, from here, an address of ours; 0 = none. now: us, monotonic. */
size_t dlna_hdhomerun_answer (DlnaHdhomerun *self, const char *here, int64_t now,
                              const uint8_t *packet, size_t n,
                              uint8_t answer[DLNA_HDHOMERUN_ANSWER]);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaHdhomerun, dlna_hdhomerun_free)
