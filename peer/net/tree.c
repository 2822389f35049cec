/* SPDX-License-Identifier: Apache-2.0 */
/* The file is a record and then the hashes by bin number, so a node lies near its children:
 *
 *   record | bin 0 | bin 1 | bin 2 | bin 3 | ...      zeros = not here
 *
 * Blocks of 512 hashes are cached, by a hash of their number (the upper nodes of a tree all have
 * bins that end in ones). A cached block is written when another takes its place or by a flush.
 * When the medium fails, what cannot be written stays in memory.
 *
 * For each node there is a bit in memory: is it checked since the file was opened? What is written
 * is; what is read from the file first climbs to a checked node or to the root, and all nodes on
 * that way are checked then. So each node costs one hash, once. */
#define G_LOG_DOMAIN "peer/net"
#include "peer/net/tree.h"
#include "peer/crypto.h"
#include "peer/net/bits.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "PPSPtree"
enum { STATE_GROWING, STATE_COMPLETE };

#define BLOCK_NODES 512
#define CACHE_BITS 4
#define N_CACHED (1u << CACHE_BITS)
#define MAX_HEIGHT 62

typedef struct {
  uint64_t number;
  bool is_dirty;
  uint8_t *bytes; /* NULL = free */
} Block;

struct NetTree {
  int n_refs;
  int fd;
  char *path;
  NetDiskRecord record;
  size_t hash_size;
  uint64_t n_chunks;
  unsigned height; /* of the root */
  PeerHasher *hasher;
  NetBits *checked;
  bool cannot_read, cannot_write, has_complained; /* each is logged once */
  Block blocks[N_CACHED];
  PeerHashStore *spilled; /* what cannot be written to a medium that has failed */
};

typedef struct {
  PeerHashStore parent;
  NetTree *tree;
} View;

static const uint8_t zeros[PEER_HASH_MAX];

uint64_t
net_tree_offset (uint64_t bin, size_t hash_size)
{
  return NET_DISK_FRONT + bin * hash_size;
}

/* --- blocks --- */

static uint64_t
block_offset (const NetTree *self, uint64_t number)
{
  return net_tree_offset (number * BLOCK_NODES, self->hash_size);
}

static bool
write_block (NetTree *self, Block *block)
{
  if (!block->is_dirty)
    return true;
  if (!net_disk_write (self->fd, block->bytes, BLOCK_NODES * self->hash_size,
                       block_offset (self, block->number))) {
    net_disk_complain (&self->cannot_write, "write", self->path);
    return false;
  }
  block->is_dirty = false;
  return true;
}

/* The medium has failed: the content in play goes on from memory, and net_tree_flush() says that
 * nothing more may be claimed. */
static void
spill (NetTree *self, uint64_t bin, const uint8_t *hash)
{
  if (!self->spilled)
    self->spilled = peer_hashes_memory_new (self->hash_size);
  self->spilled->class->write (self->spilled, bin, hash, self->hash_size);
}

static void
spill_block (NetTree *self, const Block *block)
{
  for (unsigned i = 0; i < BLOCK_NODES; i++) {
    uint64_t bin = block->number * BLOCK_NODES + i;
    if (net_bits_get (self->checked, bin))
      spill (self, bin, block->bytes + i * self->hash_size);
  }
}

static Block *
load_block (NetTree *self, uint64_t number)
{
  Block *block = &self->blocks[number * UINT64_C (0x9E3779B97F4A7C15) >> (64 - CACHE_BITS)];
  size_t size = BLOCK_NODES * self->hash_size;
  if (block->bytes && block->number == number)
    return block;
  if (!block->bytes)
    block->bytes = g_malloc (size);
  else if (!write_block (self, block))
    spill_block (self, block);
  block->is_dirty = false;
  block->number = number;
  /* The last block may be cut by the end of the file: what is not there is zeros. */
  memset (block->bytes, 0, size);
  if (!net_disk_read (self->fd, block->bytes, size, block_offset (self, number)) &&
      errno != ENODATA) {
    net_disk_complain (&self->cannot_read, "read", self->path);
    g_clear_pointer (&block->bytes, g_free);
    return NULL;
  }
  return block;
}

/* --- nodes --- */

static PeerRange
parent_of (PeerRange node)
{
  uint64_t width = 2 * peer_range_size (node);
  uint64_t first = node.first & ~(width - 1);
  return (PeerRange){first, first + width};
}

static PeerRange
sibling_of (PeerRange node)
{
  uint64_t width = peer_range_size (node);
  return (PeerRange){node.first ^ width, (node.first ^ width) + width};
}

static bool
is_root (const NetTree *self, PeerRange node)
{
  return node.first == 0 && peer_range_size (node) == UINT64_C (1) << self->height;
}

static bool
is_in_tree (const NetTree *self, PeerRange node)
{
  return node.first < self->n_chunks && node.end <= UINT64_C (1) << self->height;
}

/* What the file says, checked or not. */
static bool
read_raw (NetTree *self, uint64_t bin, uint8_t *out)
{
  if (self->spilled && self->spilled->class->read (self->spilled, bin, out, self->hash_size))
    return true;
  const Block *block = load_block (self, bin / BLOCK_NODES);
  if (!block)
    return false;
  memcpy (out, block->bytes + bin % BLOCK_NODES * self->hash_size, self->hash_size);
  return memcmp (out, zeros, self->hash_size) != 0;
}

/* Climbs from node, whose hash the file says, until something is checked. */
static bool
check_node (NetTree *self, PeerRange node, const uint8_t *hash)
{
  uint64_t way[2 * (MAX_HEIGHT + 1)];
  uint8_t climbed[PEER_HASH_MAX], other[PEER_HASH_MAX];
  unsigned n = 0;
  memcpy (climbed, hash, self->hash_size);
  while (!is_root (self, node) && !net_bits_get (self->checked, peer_bin_from_range (node))) {
    PeerRange sibling = sibling_of (node);
    if (sibling.first >= self->n_chunks)
      memset (other, 0, self->hash_size);
    else if (!read_raw (self, peer_bin_from_range (sibling), other))
      return false;
    else
      way[n++] = peer_bin_from_range (sibling);
    way[n++] = peer_bin_from_range (node);
    if (sibling.first > node.first)
      peer_hasher_parent (self->hasher, climbed, other, climbed);
    else
      peer_hasher_parent (self->hasher, other, climbed, climbed);
    node = parent_of (node);
    /* A parent that the file tells otherwise: one of the two is damaged. */
    if (!is_root (self, node) && (!read_raw (self, peer_bin_from_range (node), other) ||
                                  memcmp (other, climbed, self->hash_size) != 0))
      return false;
  }
  if (is_root (self, node) && memcmp (climbed, self->record.content.swarm_id, self->hash_size) != 0)
    return false;
  for (unsigned i = 0; i < n; i++)
    net_bits_set (self->checked, way[i], true);
  return true;
}

bool
net_tree_read (NetTree *self, uint64_t bin, uint8_t *out)
{
  PeerRange node = peer_bin_to_range (bin);
  if (!is_in_tree (self, node) || !read_raw (self, bin, out))
    return false;
  if (net_bits_get (self->checked, bin) || check_node (self, node, out))
    return true;
  if (!self->has_complained)
    g_message ("hashes in '%s' are incomplete or damaged, and are not used", self->path);
  self->has_complained = true;
  return false;
}

static bool
write_node (NetTree *self, uint64_t bin, const uint8_t *hash)
{
  if (!is_in_tree (self, peer_bin_to_range (bin)))
    return false;
  Block *block = load_block (self, bin / BLOCK_NODES);
  if (!block || self->spilled)
    spill (self, bin, hash);
  if (block) {
    memcpy (block->bytes + bin % BLOCK_NODES * self->hash_size, hash, self->hash_size);
    block->is_dirty = true;
  }
  net_bits_set (self->checked, bin, true);
  return true;
}

bool
net_tree_flush (NetTree *self)
{
  bool is_good = !self->cannot_write && !self->spilled;
  for (unsigned i = 0; i < N_CACHED; i++)
    if (self->blocks[i].bytes)
      is_good = write_block (self, &self->blocks[i]) && is_good;
  return is_good;
}

/* --- opening --- */

/* Room for all nodes below the end of the content, and the few above it that are not filled. */
static bool
reserve (NetTree *self, GError **error)
{
  uint64_t end = NET_DISK_FRONT + 2 * self->n_chunks * self->hash_size;
  if (!net_disk_reserve (self->fd, self->path, end, error))
    return false;
  for (unsigned height = 0; height <= self->height; height++) {
    uint64_t first = (self->n_chunks - 1) >> height << height;
    uint64_t bin = peer_bin_from_range ((PeerRange){first, first + (UINT64_C (1) << height)});
    uint64_t offset = net_tree_offset (bin, self->hash_size);
    uint8_t hash[PEER_HASH_MAX];
    if (offset >= end && !net_disk_read (self->fd, hash, self->hash_size, offset) &&
        !net_disk_write (self->fd, zeros, self->hash_size, offset)) {
      net_disk_set_error (error, errno, "cannot write", self->path);
      return false;
    }
  }
  return true;
}

/* Who has nothing yet is told the peaks first (RFC 7574, 5.6.2). They come once: nobody sends them to
 * who says that it has chunks. So a tree that has lost one proves nothing to a newcomer, for ever. A
 * medium that cannot be read says nothing of it. */
static bool
has_peaks (NetTree *self)
{
  uint8_t hash[PEER_HASH_MAX];
  for (PeerRange peak = {0, 0}; peak.first < self->n_chunks; peak.first = peak.end) {
    peak.end += UINT64_C (1) << (63 - __builtin_clzll (self->n_chunks - peak.first));
    if (!is_root (self, peak) && !net_tree_read (self, peer_bin_from_range (peak), hash))
      return self->cannot_read;
  }
  return true;
}

static bool
begin_anew (NetTree *self, GError **error)
{
  for (unsigned i = 0; i < N_CACHED; i++)
    g_clear_pointer (&self->blocks[i].bytes, g_free);
  net_bits_free (self->checked);
  self->checked = net_bits_new (UINT64_C (2) << self->height);
  if (ftruncate (self->fd, 0) < 0 || !net_disk_write_record (self->fd, &self->record)) {
    net_disk_set_error (error, errno, "cannot write", self->path);
    return false;
  }
  return true;
}

static NetTree *
open_file (const char *path, bool *is_new, GError **error)
{
  int fd = net_disk_open (path, is_new, error);
  if (fd < 0)
    return NULL;
  NetTree *self = g_new0 (NetTree, 1);
  self->n_refs = 1;
  self->fd = fd;
  self->path = g_strdup (path);
  return self;
}

static void
set_content (NetTree *self, const PeerContent *content)
{
  self->record.content = *content;
  memcpy (self->record.magic, MAGIC, sizeof MAGIC);
  self->hash_size = peer_hash_size (content->hash);
  self->n_chunks = peer_content_n_chunks (content);
  self->height = self->n_chunks <= 1 ? 0 : 64 - (unsigned)__builtin_clzll (self->n_chunks - 1);
  self->hasher = peer_hasher_new (content->hash);
  self->checked = net_bits_new (UINT64_C (2) << self->height);
}

NetTree *
net_tree_open (const char *path, const PeerContent *content, bool reserves, bool *is_empty,
               GError **error)
{
  NetDiskRecord record;
  bool is_new;
  g_autoptr (NetTree) self = open_file (path, &is_new, error);
  if (!self)
    return NULL;
  NetDiskRecordResult found = net_disk_read_record (self->fd, MAGIC, &record);
  if (found == NET_DISK_RECORD_FAILED) {
    net_disk_set_error (error, errno, "cannot read", path);
    if (is_new)
      unlink (path);
    return NULL;
  }
  bool fits = found == NET_DISK_RECORD_GOOD && net_disk_same_content (&record.content, content);
  set_content (self, content);
  fits = fits && has_peaks (self);
  if ((!fits && !begin_anew (self, error)) || (reserves && !reserve (self, error))) {
    if (is_new)
      unlink (path);
    return NULL;
  }
  *is_empty = !fits;
  return g_steal_pointer (&self);
}

NetTree *
net_tree_open_published (const char *path, PeerContent *content, int64_t changed_s,
                         uint32_t changed_ns, GError **error)
{
  NetDiskRecord record;
  bool is_new;
  g_autoptr (NetTree) self = open_file (path, &is_new, error);
  if (!self)
    return NULL;
  bool fits = net_disk_read_record (self->fd, MAGIC, &record) == NET_DISK_RECORD_GOOD &&
              record.state == STATE_COMPLETE && record.changed_s == changed_s &&
              record.changed_ns == changed_ns && record.content.hash == content->hash &&
              record.content.chunk_size == content->chunk_size &&
              record.content.length == content->length &&
              record.content.swarm_id_size == peer_hash_size (content->hash);
  content->swarm_id_size = fits ? record.content.swarm_id_size : 0;
  memcpy (content->swarm_id, record.content.swarm_id, content->swarm_id_size);
  set_content (self, content);
  self->record.changed_s = changed_s;
  self->record.changed_ns = changed_ns;
  self->record.state = fits ? STATE_COMPLETE : STATE_GROWING;
  if (!fits && (!begin_anew (self, error) || !reserve (self, error))) {
    if (is_new)
      unlink (path);
    return NULL;
  }
  return g_steal_pointer (&self);
}

bool
net_tree_complete (NetTree *self, const PeerContent *content, GError **error)
{
  self->record.content = *content;
  self->record.state = STATE_COMPLETE;
  /* The record must not be on the disk before what it vouches for. */
  bool is_kept = net_tree_flush (self);
  if (is_kept && fdatasync (self->fd) == 0 && net_disk_write_record (self->fd, &self->record))
    return true;
  net_disk_set_error (error, is_kept ? errno : EIO, "cannot write", self->path);
  return false;
}

void
net_tree_spoil (NetTree *self)
{
  self->record.state = STATE_GROWING;
  if (!net_disk_write_record (self->fd, &self->record))
    net_disk_complain (&self->cannot_write, "write", self->path);
}

NetTree *
net_tree_ref (NetTree *self)
{
  self->n_refs++;
  return self;
}

void
net_tree_unref (NetTree *self)
{
  if (!self || --self->n_refs > 0)
    return;
  if (self->hasher)
    net_tree_flush (self);
  for (unsigned i = 0; i < N_CACHED; i++)
    g_free (self->blocks[i].bytes);
  peer_hashes_free (self->spilled);
  net_bits_free (self->checked);
  peer_hasher_free (self->hasher);
  close (self->fd);
  g_free (self->path);
  g_free (self);
}

/* --- as a PeerHashStore --- */

static bool
view_read (PeerHashStore *store, uint64_t bin, uint8_t *out, size_t hash_size)
{
  NetTree *tree = ((View *)store)->tree;
  return hash_size == tree->hash_size && net_tree_read (tree, bin, out);
}

static bool
view_write (PeerHashStore *store, uint64_t bin, const uint8_t *hash, size_t hash_size)
{
  NetTree *tree = ((View *)store)->tree;
  return hash_size == tree->hash_size && write_node (tree, bin, hash);
}

static void
view_free (PeerHashStore *store)
{
  net_tree_unref (((View *)store)->tree);
  g_free (store);
}

PeerHashStore *
net_tree_hashes (NetTree *self)
{
  static const PeerHashStoreClass class = {view_read, view_write, view_free};
  View *view = g_new0 (View, 1);
  view->parent.class = &class;
  view->tree = net_tree_ref (self);
  return &view->parent;
}
