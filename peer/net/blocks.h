/* SPDX-License-Identifier: Apache-2.0 */
/* A file of chunks, of which a few blocks are in memory: chunks that are written are gathered until
 * their block is whole, and chunks that are read in a row are read by the block. A call to the
 * kernel for each chunk would be a third of all that receiving costs. */
#pragma once

#include "peer/chunks.h"
#include <stddef.h>

#define NET_BLOCKS_BYTES 32768 /* of a block; less where chunks do not divide it */
#define NET_BLOCKS 4           /* in memory at most, for each file */

typedef struct NetBlocks NetBlocks;

/* The file is not taken over. length: bytes of the content. */
NetBlocks *net_blocks_new (int fd, uint32_t chunk_size, uint64_t length);
/* What was not flushed is lost. */
void net_blocks_free (NetBlocks *self);
/* All of the chunk, whose size is that of the content's cut. false with errno; behind the end of
 * the file is ENODATA. */
bool net_blocks_read (NetBlocks *self, uint64_t chunk, uint8_t *out);
/* false with errno: the chunk was not taken, since what was taken before cannot be written. That
 * stays readable. */
bool net_blocks_write (NetBlocks *self, uint64_t chunk, const uint8_t *bytes);
/* All that was taken is in the file. false with errno. */
bool net_blocks_flush (NetBlocks *self);
/* Of block i, below NET_BLOCKS: a mask of the chunks that are not in the file yet. Bit 0 is *first. */
uint64_t net_blocks_unwritten (const NetBlocks *self, unsigned i, uint64_t *first);
/* These chunks are given up: they are not written any more. */
void net_blocks_forget (NetBlocks *self, PeerRange run);
