/* SPDX-License-Identifier: Apache-2.0 */
/* A PeerStore that keeps a whole live broadcast in a file, chunk c at c times the chunk size, from
 * chunk 0 on, so that the file is the content when the broadcast has ended. */
#pragma once

#include "peer/store.h"

#include <glib.h>

/* The file is made, or emptied: what an earlier run left there has no signatures any more. But what
 * has become content on demand (net_file_open() was there) is not, and is an error: it may be the last
 * copy. One program at a time may have it open. max_bytes: 0 = no limit; what is behind it is not
 * kept. */
PeerStore *net_record_open (const char *path, uint32_t chunk_size, uint64_t max_bytes,
                            GError **error);
/* All that was written until now is in the file; a failure is logged. */
void net_record_flush (PeerStore *store);
/* Nothing more is written; now net_file_adopt() can open it. It is still read from. */
void net_record_finish (PeerStore *store);
