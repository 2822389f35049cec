/* SPDX-License-Identifier: Apache-2.0 */
/* A block is a fixed run of chunks, with two masks: which of them are in memory, and which of those
 * are not in the file yet. A block is written when all of it is there, when another needs its place
 * (the one unused longest goes) or by a flush; runs of chunks go out in one call each.
 *
 * A chunk that is read and is not in memory brings the rest of its block along, if the one before it
 * was read last: a peer asks in order. One that is read alone is not kept. */
#include "peer/net/blocks.h"
#include "peer/net/disk.h"

#include <errno.h>
#include <string.h>

typedef struct {
  uint64_t number;
  uint64_t here, dirty; /* bit i: chunk i of the block */
  uint64_t used;        /* when, counted in uses */
  uint8_t *bytes;       /* NULL = free */
} Block;

struct NetBlocks {
  int fd;
  uint32_t chunk_size;
  uint32_t per_block; /* chunks, at most 64 */
  uint64_t length;    /* bytes */
  uint64_t n_chunks;
  uint64_t next_read; /* chunk behind the one that was read last */
  uint64_t uses;
  Block blocks[NET_BLOCKS];
};

NetBlocks *
net_blocks_new (int fd, uint32_t chunk_size, uint64_t length)
{
  NetBlocks *self = g_new0 (NetBlocks, 1);
  self->fd = fd;
  self->chunk_size = chunk_size;
  self->per_block = CLAMP (NET_BLOCKS_BYTES / chunk_size, 1, 64);
  self->length = length;
  self->n_chunks = (length + chunk_size - 1) / chunk_size;
  return self;
}

void
net_blocks_free (NetBlocks *self)
{
  if (!self)
    return;
  for (unsigned i = 0; i < NET_BLOCKS; i++)
    g_free (self->blocks[i].bytes);
  g_free (self);
}

/* Bytes of [first, end); only the last chunk of the content may be shorter. */
static size_t
size_of (const NetBlocks *self, uint64_t first, uint64_t end)
{
  return (size_t)(MIN (end * self->chunk_size, self->length) - first * self->chunk_size);
}

static uint64_t
mask_of (unsigned first, unsigned end)
{
  uint64_t below_end = end == 64 ? UINT64_MAX : (UINT64_C (1) << end) - 1;
  return below_end & ~((UINT64_C (1) << first) - 1);
}

/* All chunks that this block can have. */
static uint64_t
whole (const NetBlocks *self, const Block *block)
{
  uint64_t left = self->n_chunks - block->number * self->per_block;
  return mask_of (0, (unsigned)MIN (left, self->per_block));
}

static bool
write_block (NetBlocks *self, Block *block)
{
  while (block->dirty != 0) {
    unsigned first = (unsigned)__builtin_ctzll (block->dirty);
    uint64_t after = ~(block->dirty >> first);
    unsigned end = after == 0 ? 64 : first + (unsigned)__builtin_ctzll (after);
    uint64_t chunk = block->number * self->per_block;
    if (!net_disk_write (self->fd, block->bytes + (size_t)first * self->chunk_size,
                         size_of (self, chunk + first, chunk + end),
                         (chunk + first) * self->chunk_size))
      return false;
    block->dirty &= ~mask_of (first, end);
  }
  return true;
}

static Block *
find_block (NetBlocks *self, uint64_t number)
{
  for (unsigned i = 0; i < NET_BLOCKS; i++) {
    Block *block = &self->blocks[i];
    if (block->bytes && block->number == number) {
      block->used = ++self->uses;
      return block;
    }
  }
  return NULL;
}

/* In place of the one that was not used for longest. NULL with errno = that cannot be written. */
static Block *
make_block (NetBlocks *self, uint64_t number)
{
  Block *oldest = &self->blocks[0];
  for (unsigned i = 0; i < NET_BLOCKS && oldest->bytes; i++)
    if (!self->blocks[i].bytes || self->blocks[i].used < oldest->used)
      oldest = &self->blocks[i];
  if (oldest->bytes && !write_block (self, oldest))
    return NULL;
  if (!oldest->bytes)
    oldest->bytes = g_malloc ((size_t)self->per_block * self->chunk_size);
  oldest->number = number;
  oldest->here = 0;
  oldest->used = ++self->uses;
  return oldest;
}

/* From i on, as far as nothing is in memory. */
static bool
read_ahead (NetBlocks *self, Block *block, unsigned i)
{
  uint64_t chunk = block->number * self->per_block;
  uint64_t end = chunk + i + 1;
  while (end < self->n_chunks && end < chunk + self->per_block &&
         !(block->here >> (end - chunk) & 1))
    end++;
  if (!net_disk_read (self->fd, block->bytes + (size_t)i * self->chunk_size,
                      size_of (self, chunk + i, end), (chunk + i) * self->chunk_size))
    return false;
  block->here |= mask_of (i, (unsigned)(end - chunk));
  return true;
}

bool
net_blocks_read (NetBlocks *self, uint64_t chunk, uint8_t *out)
{
  unsigned i = (unsigned)(chunk % self->per_block);
  size_t size = size_of (self, chunk, chunk + 1);
  Block *block = find_block (self, chunk / self->per_block);
  bool in_order = chunk == self->next_read;
  self->next_read = chunk + 1;
  if (!block && in_order)
    block = make_block (self, chunk / self->per_block);
  if (block && !(block->here >> i & 1) && in_order)
    read_ahead (self, block, i); /* a file that ends too early still has its chunks before that */
  if (!block || !(block->here >> i & 1))
    return net_disk_read (self->fd, out, size, chunk * self->chunk_size);
  memcpy (out, block->bytes + (size_t)i * self->chunk_size, size);
  return true;
}

bool
net_blocks_write (NetBlocks *self, uint64_t chunk, const uint8_t *bytes)
{
  uint64_t bit = UINT64_C (1) << chunk % self->per_block;
  Block *block = find_block (self, chunk / self->per_block);
  if (!block)
    block = make_block (self, chunk / self->per_block);
  if (!block)
    return false;
  memcpy (block->bytes + chunk % self->per_block * self->chunk_size, bytes,
          size_of (self, chunk, chunk + 1));
  block->here |= bit;
  block->dirty |= bit;
  if (block->dirty != whole (self, block) || write_block (self, block))
    return true;
  int number = errno;
  block->here &= ~bit;
  block->dirty &= ~bit;
  errno = number;
  return false;
}

bool
net_blocks_flush (NetBlocks *self)
{
  for (unsigned i = 0; i < NET_BLOCKS; i++)
    if (self->blocks[i].bytes && !write_block (self, &self->blocks[i]))
      return false;
  return true;
}

uint64_t
net_blocks_unwritten (const NetBlocks *self, unsigned i, uint64_t *first)
{
  const Block *block = &self->blocks[i];
  *first = block->number * self->per_block;
  return block->bytes ? block->dirty : 0;
}

void
net_blocks_forget (NetBlocks *self, PeerRange run)
{
  for (unsigned i = 0; i < NET_BLOCKS; i++) {
    Block *block = &self->blocks[i];
    uint64_t first = block->number * self->per_block;
    PeerRange part = peer_range_intersection (run, (PeerRange){first, first + self->per_block});
    if (!block->bytes || peer_range_is_empty (part))
      continue;
    uint64_t kept = ~mask_of ((unsigned)(part.first - first), (unsigned)(part.end - first));
    block->here &= kept;
    block->dirty &= kept;
  }
}
