/* SPDX-License-Identifier: Apache-2.0 */
/* What the source made, every byte of it once, and the stores of the peers, which share those bytes
 * and so cost nothing. They are the oracle: a store that is given a byte other than the source's
 * ends the run, whoever wrote it and whatever the engine believed. */
#pragma once

#include "peer/store.h"

#define SIM_NEVER_MADE INT64_MIN

typedef struct SimContent SimContent;

SimContent *sim_content_new (uint32_t chunk_size);
void sim_content_free (SimContent *self);

/* Live: whole packets of a transport stream; time (us) is its PCR. Numbers only rise; those that
 * are left out are never made. */
const uint8_t *sim_content_make_live (SimContent *self, uint64_t chunk, int64_t time);
/* Static: n bytes, the chunk size but for the last. */
const uint8_t *sim_content_make_static (SimContent *self, uint64_t chunk, size_t n);

/* NULL = it was never made. */
const uint8_t *sim_content_bytes (const SimContent *self, uint64_t chunk, size_t *n);
int64_t sim_content_made_at (const SimContent *self,
                             uint64_t chunk); /* SIM_NEVER_MADE = it is not */

/* A ring of the last chunks, like peer_store_memory_new (). */
PeerStore *sim_content_store_new (SimContent *self, uint64_t max_chunks);
bool sim_content_store_has (const PeerStore *store, uint64_t chunk);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimContent, sim_content_free)
