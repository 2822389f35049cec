/* SPDX-License-Identifier: Apache-2.0 */
/* A viewer is a place, and nothing else that the ring knows of. What it reads lies in memory, or in the
 * time-shift, from where it comes a little later; nothing here waits. */
#include "proxy/ring-read.h"
#include "proxy/ring-state.h"
#include <string.h>

enum {
  MARGIN = 32, /* who fell out goes on where at least this part of what is kept lies behind */
};

bool
proxy_ring_start (ProxyRing *self, bool from_oldest, ProxyPlace *out, GBytes **tables)
{
  *tables = NULL;
  if (!self->transport_stream)
    return proxy_ring_start_anywhere (self, out, tables);
  if (self->keys->len == 0)
    return false;
  const ProxyPicture *key =
      &g_array_index (self->keys, ProxyPicture, from_oldest ? 0 : self->keys->len - 1);
  *out = key->place;
  *tables = g_bytes_ref (key->tables);
  return true;
}

/* The newest that is not later than time, or the oldest. There is one. */
static const ProxyPicture *
key_at (const ProxyRing *self, int64_t time)
{
  const ProxyPicture *keys = (const ProxyPicture *)(void *)self->keys->data;
  guint low = 0, high = self->keys->len; /* the first that is later */
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (keys[middle].time <= time)
      low = middle + 1;
    else
      high = middle;
  }
  return &keys[low > 0 ? low - 1 : 0];
}

bool
proxy_ring_times (const ProxyRing *self, int64_t *first, int64_t *last, int64_t *time)
{
  guint n = self->keys->len;
  if (n == 0)
    return false;
  *first = g_array_index (self->keys, ProxyPicture, 0).time;
  *last = g_array_index (self->keys, ProxyPicture, n - 1).time;
  *time = key_at (self, *time)->time;
  return true;
}

int64_t
proxy_ring_behind (const ProxyRing *self, const ProxyPlace *place)
{
  const ProxyPicture *keys = (const ProxyPicture *)(void *)self->keys->data;
  guint n = self->keys->len;
  return n > 0 ? keys[n - 1].time - keys[MIN (proxy_ring_index_of (self->keys, *place), n - 1)].time
               : -1;
}

bool
proxy_ring_start_back (ProxyRing *self, int64_t back, ProxyPlace *out, GBytes **tables)
{
  guint n = self->keys->len;
  if (!self->transport_stream || n == 0)
    return proxy_ring_start (self, false, out, tables);
  const ProxyPicture *key =
      key_at (self, g_array_index (self->keys, ProxyPicture, n - 1).time - back);
  *out = key->place;
  *tables = g_bytes_ref (key->tables);
  return true;
}

bool
proxy_ring_start_anywhere (ProxyRing *self, ProxyPlace *out, GBytes **tables)
{
  *tables = NULL;
  if (!self->transport_stream) {
    if (peer_chunks_is_empty (self->delivered))
      return false;
    uint64_t back = self->head > self->per_slab ? self->head - self->per_slab : 0;
    *out = (ProxyPlace){MAX (MAX (self->segment, proxy_ring_oldest_in_memory (self)), back), 0};
    return true;
  }
  guint n = self->starts->len;
  uint64_t oldest = proxy_ring_oldest_in_memory (self);
  if (n == 0 || g_array_index (self->starts, ProxyPlace, n - 1).chunk < oldest) {
    /* The newest run began so long ago that its beginning is gone; the last packets are not. */
    if (self->n_packets == 0 ||
        self->places[(self->n_packets - 1) % PROXY_RING_PLACES].chunk < oldest)
      return false;
    *out = self->places[(self->n_packets - 1) % PROXY_RING_PLACES];
  } else
    *out = g_array_index (self->starts, ProxyPlace, n - 1);
  *tables = proxy_ring_make_tables (self, false);
  return true;
}

static bool
is_same (ProxyPlace a, ProxyPlace b)
{
  return a.chunk == b.chunk && a.offset == b.offset;
}

/* Where a viewer goes on that stands before a gap: behind it. false = nothing is there yet. */
static bool
cross_gap (const ProxyRing *self, ProxyPlace *place)
{
  for (guint i = proxy_ring_index_of (self->starts, *place); i < self->starts->len; i++) {
    ProxyPlace start = g_array_index (self->starts, ProxyPlace, i);
    if (proxy_place_is_before (*place, start) && peer_chunks_has (self->delivered, start.chunk)) {
      *place = start;
      return true;
    }
  }
  return false;
}

/* Where the contiguous run that chunk lies in ends, without a packet that is not whole: the rest of
 * it is still to come, or never will. */
static ProxyPlace
whole_end (const ProxyRing *self, PeerRange run)
{
  if (run.end == self->head && self->carried > 0)
    return self->carry_place;
  guint i = proxy_ring_index_of (self->ends, (ProxyPlace){.chunk = run.first});
  if (i < self->ends->len && g_array_index (self->ends, ProxyPlace, i).chunk < run.end)
    return g_array_index (self->ends, ProxyPlace, i);
  return (ProxyPlace){run.end, 0};
}

/* The first one that a viewer at place has not read; NULL = none. */
static const ProxyJoint *
next_joint (const ProxyRing *self, ProxyPlace place)
{
  for (guint i = proxy_ring_index_of (self->joints, place); i < self->joints->len; i++) {
    const ProxyJoint *joint = &g_array_index (self->joints, ProxyJoint, i);
    if (proxy_place_is_before (place, joint->place) || !place.joined)
      return joint;
  }
  return NULL;
}

/* The slab that chunk lies in, until the next call; NULL = it is gone, or still to be fetched. */
static ProxySlab *
readable (const ProxyRing *self, uint64_t chunk)
{
  ProxySlab *slab = proxy_ring_find_slab (self, chunk);
  if (!slab && self->shift)
    slab = proxy_shift_find (self->shift, chunk / self->per_slab);
  return slab;
}

/* A joint, or the slab's bytes from place on, as far as they are delivered; place moves behind. */
static GBytes *
slice (ProxyRing *self, ProxyPlace *place, size_t max)
{
  const ProxySlab *slab = readable (self, place->chunk);
  if (!slab)
    return NULL;
  uint64_t first = slab->number * self->per_slab;
  ProxyPlace end = whole_end (self, peer_chunks_around (self->delivered, place->chunk));
  if (end.chunk >= first + self->per_slab)
    end = (ProxyPlace){first + self->per_slab, 0};
  const ProxyJoint *joint = next_joint (self, *place);
  if (joint && is_same (joint->place, *place)) {
    place->joined = true;
    return g_bytes_new (joint->packet, sizeof joint->packet);
  }
  if (joint && proxy_place_is_before (joint->place, end))
    end = joint->place;
  uint64_t chunk = place->chunk;
  size_t begin = (size_t)(chunk - first) * self->chunk_size + place->offset;
  size_t n = 0;
  bool is_short = false; /* memory is not contiguous behind such a chunk */
  while (chunk < end.chunk && n < max && !is_short) {
    size_t size = slab->sizes[chunk - first];
    n += size;
    is_short = size < self->chunk_size;
    chunk++;
  }
  uint32_t offset = chunk == end.chunk && !is_short ? end.offset : 0;
  n += offset;
  if (n <= place->offset)
    return NULL;
  n -= place->offset;
  *place = (ProxyPlace){chunk, offset};
  return g_bytes_new_with_free_func (slab->bytes + begin, n, proxy_slab_unref,
                                     proxy_slab_ref ((ProxySlab *)slab));
}

/* Moves place by n bytes; copies them where out is set. false = they are not all there. */
static bool
walk (const ProxyRing *self, ProxyPlace *place, uint8_t *out, size_t n)
{
  while (n > 0) {
    const ProxySlab *slab = readable (self, place->chunk);
    if (!slab || !peer_chunks_has (self->delivered, place->chunk))
      return false;
    uint64_t i = place->chunk % self->per_slab;
    const uint8_t *bytes = slab->bytes + i * self->chunk_size;
    size_t size = slab->sizes[i];
    size_t part = MIN (n, size - MIN (size, place->offset));
    if (out && part > 0) {
      memcpy (out, bytes + place->offset, part);
      out += part;
    }
    n -= part;
    place->offset += (uint32_t)part;
    if (place->offset >= size)
      *place = (ProxyPlace){place->chunk + 1, 0};
  }
  return true;
}

static void
join_packet (MediaJoint *joint, const uint8_t *packet, GByteArray *out)
{
  uint8_t before[MEDIA_TS_PACKET];
  if (media_joint_before (joint, packet, before))
    g_byte_array_append (out, before, sizeof before);
}

/* What a viewer is given before it goes on at place, where it was not before: a joint, and tables
 * (none with NULL). NULL = nothing. */
static GBytes *
make_joint (const ProxyRing *self, GBytes *tables, ProxyPlace place)
{
  if (!self->transport_stream)
    return NULL;
  MediaJoint joint = {0};
  GByteArray *out = g_byte_array_new ();
  size_t n_tables = 0;
  const uint8_t *bytes = tables ? g_bytes_get_data (tables, &n_tables) : NULL;
  for (size_t at = 0; at < n_tables; at += MEDIA_TS_PACKET)
    join_packet (&joint, bytes + at, out);
  uint8_t header[6];
  for (unsigned i = 0; i < MEDIA_JOINT_LOOK && walk (self, &place, header, sizeof header); i++) {
    if (header[0] == 0x47)
      join_packet (&joint, header, out);
    if (!walk (self, &place, NULL, MEDIA_TS_PACKET - sizeof header))
      break;
  }
  if (n_tables > 0)
    g_byte_array_append (out, bytes, (guint)n_tables);
  if (out->len > 0)
    return g_byte_array_free_to_bytes (out);
  g_byte_array_unref (out);
  return NULL;
}

/* Where who fell out goes on: at the oldest key frame, but not so close to the end of what is kept that it
 * falls out again at once. false = there is none. */
static bool
start_again (ProxyRing *self, ProxyPlace *out, GBytes **tables)
{
  uint64_t oldest = proxy_ring_oldest (self), behind = (self->head - oldest) / MARGIN;
  guint i = proxy_ring_index_of (self->keys, (ProxyPlace){.chunk = oldest + behind});
  if (!self->shift || !self->transport_stream || i == self->keys->len)
    return proxy_ring_start (self, true, out, tables);
  const ProxyPicture *key = &g_array_index (self->keys, ProxyPicture, i);
  *out = key->place;
  *tables = g_bytes_ref (key->tables);
  return true;
}

/* Are the packets here that a joint is made of? If not they are fetched. */
static bool
may_join (const ProxyRing *self, ProxyPlace place)
{
  if (!self->shift)
    return true;
  uint64_t n = MEDIA_JOINT_LOOK * MEDIA_TS_PACKET / self->chunk_size + 1;
  PeerRange run = peer_chunks_around (self->delivered, place.chunk);
  uint64_t end = MIN (run.end, place.chunk + n);
  bool here = true;
  for (uint64_t slab = place.chunk / self->per_slab; slab * self->per_slab < end; slab++)
    here = (readable (self, slab * self->per_slab) || !proxy_shift_has (self->shift, slab)) && here;
  return here;
}

/* The viewer fell out of what is kept. What is there to be read first, if anything. */
static GBytes *
jump (ProxyRing *self, ProxyPlace *place, bool *jumped)
{
  ProxyPlace to;
  g_autoptr (GBytes) tables = NULL;
  if ((!start_again (self, &to, &tables) && !proxy_ring_start_anywhere (self, &to, &tables)) ||
      !may_join (self, to))
    return NULL;
  *jumped = true;
  *place = to;
  return make_joint (self, tables, to);
}

GBytes *
proxy_ring_read (ProxyRing *self, ProxyPlace *place, size_t max, bool *jumped)
{
  *jumped = false;
  if (place->chunk < proxy_ring_oldest (self)) {
    GBytes *joint = jump (self, place, jumped);
    if (joint || !*jumped)
      return joint;
  }
  if (peer_chunks_has (self->delivered, place->chunk)) {
    GBytes *bytes = slice (self, place, max);
    if (bytes || proxy_ring_waits (self, place))
      return bytes;
  }
  return place->chunk < self->segment && cross_gap (self, place) ? slice (self, place, max) : NULL;
}

bool
proxy_ring_waits (const ProxyRing *self, const ProxyPlace *place)
{
  uint64_t number = place->chunk / self->per_slab;
  if (!self->shift || proxy_ring_find_slab (self, place->chunk))
    return false;
  return place->chunk < proxy_ring_oldest (self)
             ? self->keys->len > 0
             : proxy_shift_has (self->shift, number) && !proxy_shift_find (self->shift, number);
}

static const ProxyPicture *
next_of (const GArray *pictures, const ProxyPlace *after)
{
  for (guint i = after ? proxy_ring_index_of (pictures, *after) : 0; i < pictures->len; i++) {
    const ProxyPicture *picture = &g_array_index (pictures, ProxyPicture, i);
    if (after == NULL || proxy_place_is_before (*after, picture->place))
      return picture;
  }
  return NULL;
}

const ProxyPicture *
proxy_ring_next_key (const ProxyRing *self, const ProxyPlace *after)
{
  const ProxyPlace here = {.chunk = proxy_ring_oldest_in_memory (self)};
  if (after)
    return next_of (self->keys, after);
  guint i = proxy_ring_index_of (self->keys, here);
  return i < self->keys->len ? &g_array_index (self->keys, ProxyPicture, i) : NULL;
}

const ProxyPicture *
proxy_ring_next_picture (const ProxyRing *self, const ProxyPlace *after)
{
  return next_of (self->pictures, after);
}

ProxyPlace
proxy_ring_run_end (const ProxyRing *self, uint64_t chunk)
{
  return whole_end (self, peer_chunks_around (self->delivered, chunk));
}
