/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks lie in slabs of about 64 KiB, each for a fixed run of chunk numbers, so that what is
 * contiguous in the content is contiguous in memory and a viewer is handed a slice of it:
 *
 *   slab 7                slab 8                slab 9
 *   [406 407 ... 463]     [464 465 ... 521]     [522 523 . . . . .]
 *         ^key                     ^viewer            ^head
 *
 * The engine writes chunks as they come, in any order. What playout releases is fed to the parser
 * in order, and only that is seen by viewers. A chunk that lies in the ring is never written again,
 * so a slice that is on its way to a viewer cannot change; it keeps its slab alive when the ring
 * has let go of it.
 *
 * The parser knows key frames only once it has seen the tables. When a stream's tables come between
 * key frames, the first key frame would be missed; so once the tables are known for the first time,
 * all that was delivered before is parsed again, with the tables in front. */
#include "proxy/ring.h"
#include "peer/media/joint.h"
#include <string.h>

enum {
  SLAB_BYTES = 65536,
  SLAB_MAX_CHUNKS = 1024,
  PLACES = 256,       /* packets back that a key frame may be told late */
  TABLES_ROOM = 4136, /* bytes: 22 packets */
  KEY_SPACING = 8192, /* bytes: bounds the index of a stream with only key frames */
  JOINT_PIDS = 64,    /* of one joint */
  JOINT_LOOK = 4096,  /* packets in which each PID should come once: a second at 6 Mbit/s */
};

/* us: what is waited for, at the longest, and as much again for who is slow. */
#define ROOM_TIME 10000000

typedef struct {
  gatomicrefcount refs;
  uint64_t number;
  uint8_t *bytes;
  uint16_t sizes[]; /* of each chunk; 0 = absent */
} Slab;

/* Goes in front of the packet at place, which is the first of its PID behind a gap. */
typedef struct {
  ProxyPlace place;
  uint8_t packet[MEDIA_TS_PACKET];
} Joint;

struct ProxyRing {
  grefcount refs;
  uint32_t chunk_size;
  uint32_t per_slab;
  size_t max_slabs;
  bool transport_stream;
  bool ended;
  GPtrArray *slabs; /* Slab, by number */

  PeerChunks *delivered;
  bool started;
  uint64_t head;    /* the chunk after the newest delivered */
  GArray *starts;   /* ProxyPlace: where the first packet behind a gap begins */
  GArray *ends;     /* ProxyPlace: where the last packet before a gap begins, if it is not whole */
  GArray *joints;   /* Joint */
  GArray *keys;     /* ProxyPicture */
  GArray *pictures; /* likewise: some of all */
  MediaJoint joint; /* of the newest run */
  unsigned n_joint; /* packets of it */
  uint64_t segment; /* first chunk of the newest contiguous run */
  int64_t segment_packet;

  MediaTs *parser;
  bool parsed_again;
  bool synced;
  uint8_t carry[MEDIA_TS_PACKET];
  size_t carried;
  ProxyPlace carry_place;
  ProxyPlace places[PLACES]; /* of the last packets */
  int64_t n_packets;
  int64_t last_key;

  ProxyWatches *watches;
  uint64_t delivered_bytes, gaps;
};

typedef struct {
  PeerStore store;
  ProxyRing *ring;
} RingStore;

static void
slab_unref (gpointer data)
{
  Slab *slab = data;
  if (!g_atomic_ref_count_dec (&slab->refs))
    return;
  g_free (slab->bytes);
  g_free (slab);
}

static void
picture_clear (gpointer data)
{
  g_bytes_unref (((ProxyPicture *)data)->tables);
}

static size_t
slab_bytes (const ProxyRing *self)
{
  return (size_t)self->chunk_size * self->per_slab;
}

ProxyRing *
proxy_ring_new (uint32_t chunk_size, size_t max_bytes, bool transport_stream)
{
  ProxyRing *self = g_new0 (ProxyRing, 1);
  g_ref_count_init (&self->refs);
  self->chunk_size = chunk_size;
  self->per_slab = CLAMP (SLAB_BYTES / chunk_size, 1, SLAB_MAX_CHUNKS);
  self->max_slabs = MAX (max_bytes / slab_bytes (self), 4);
  self->transport_stream = transport_stream;
  self->slabs = g_ptr_array_new_with_free_func (slab_unref);
  self->delivered = peer_chunks_new (0);
  self->starts = g_array_new (FALSE, FALSE, sizeof (ProxyPlace));
  self->ends = g_array_new (FALSE, FALSE, sizeof (ProxyPlace));
  self->joints = g_array_new (FALSE, FALSE, sizeof (Joint));
  self->keys = g_array_new (FALSE, FALSE, sizeof (ProxyPicture));
  g_array_set_clear_func (self->keys, picture_clear);
  self->pictures = g_array_new (FALSE, FALSE, sizeof (ProxyPicture));
  g_array_set_clear_func (self->pictures, picture_clear);
  self->parser = media_ts_new ();
  self->last_key = -1;
  self->watches = proxy_watches_new ();
  return self;
}

size_t
proxy_ring_room (uint32_t chunk_size, int64_t chunk_time, size_t most)
{
  size_t least = MIN (PROXY_RING_LEAST, most);
  if (chunk_time <= 0)
    return least;
  uint64_t chunks = (uint64_t)MAX (ROOM_TIME / chunk_time, 1);
  return CLAMP (chunks * chunk_size, least, most);
}

void
proxy_ring_grow (ProxyRing *self, size_t max_bytes)
{
  self->max_slabs = MAX (self->max_slabs, max_bytes / slab_bytes (self));
}

ProxyRing *
proxy_ring_ref (ProxyRing *self)
{
  g_ref_count_inc (&self->refs);
  return self;
}

void
proxy_ring_unref (ProxyRing *self)
{
  if (!self || !g_ref_count_dec (&self->refs))
    return;
  g_ptr_array_unref (self->slabs);
  peer_chunks_free (self->delivered);
  g_array_unref (self->starts);
  g_array_unref (self->ends);
  g_array_unref (self->joints);
  g_array_unref (self->keys);
  g_array_unref (self->pictures);
  media_ts_free (self->parser);
  proxy_watches_free (self->watches);
  g_free (self);
}

uint32_t
proxy_ring_chunk_size (const ProxyRing *self)
{
  return self->chunk_size;
}

uint64_t
proxy_ring_max_chunks (const ProxyRing *self)
{
  /* The newest slab and the oldest may both be incomplete. */
  return (uint64_t)(self->max_slabs - 2) * self->per_slab;
}

/* Index of the first slab whose number is not less. */
static guint
slab_index (const ProxyRing *self, uint64_t number)
{
  guint low = 0, high = self->slabs->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (((Slab *)self->slabs->pdata[middle])->number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static Slab *
find_slab (const ProxyRing *self, uint64_t chunk)
{
  uint64_t number = chunk / self->per_slab;
  guint i = slab_index (self, number);
  if (i == self->slabs->len)
    return NULL;
  Slab *slab = self->slabs->pdata[i];
  return slab->number == number ? slab : NULL;
}

/* Returns the size of the chunk in bytes, 0 = absent. */
static size_t
find_chunk (const ProxyRing *self, uint64_t chunk, const uint8_t **bytes)
{
  const Slab *slab = find_slab (self, chunk);
  if (!slab)
    return 0;
  uint64_t i = chunk % self->per_slab;
  *bytes = slab->bytes + i * self->chunk_size;
  return slab->sizes[i];
}

/* The first chunk that can still be here. */
uint64_t
proxy_ring_oldest (const ProxyRing *self)
{
  if (self->slabs->len == 0)
    return self->head;
  return ((Slab *)self->slabs->pdata[0])->number * self->per_slab;
}

/* array: of what begins with a ProxyPlace, in order. */
static void
forget_places (GArray *array, uint64_t chunk)
{
  guint n = 0;
  while (n < array->len &&
         ((ProxyPlace *)(void *)(array->data + n * g_array_get_element_size (array)))->chunk <
             chunk)
    n++;
  g_array_remove_range (array, 0, n);
}

static void
forget_before (ProxyRing *self, uint64_t chunk)
{
  PeerRange span = peer_chunks_span (self->delivered);
  if (span.first < chunk)
    peer_chunks_remove (self->delivered, (PeerRange){span.first, chunk});
  GArray *const arrays[] = {self->keys, self->pictures, self->starts, self->ends, self->joints};
  for (size_t i = 0; i < G_N_ELEMENTS (arrays); i++)
    forget_places (arrays[i], chunk);
}

static Slab *
add_slab (ProxyRing *self, uint64_t number)
{
  guint i = slab_index (self, number);
  if (self->slabs->len >= self->max_slabs) {
    if (i == 0)
      return NULL; /* older than all that we keep */
    g_ptr_array_remove_index (self->slabs, 0);
    i--;
  }
  Slab *slab = g_malloc0 (sizeof (Slab) + self->per_slab * sizeof (uint16_t));
  g_atomic_ref_count_init (&slab->refs);
  slab->number = number;
  slab->bytes = g_malloc (slab_bytes (self));
  g_ptr_array_insert (self->slabs, (gint)i, slab);
  forget_before (self, proxy_ring_oldest (self));
  return slab;
}

/* --- the engine's side --- */

static PeerStoreResult
store_read (PeerStore *store, uint64_t chunk, uint8_t *out, size_t room, size_t *n)
{
  const uint8_t *bytes;
  size_t size = find_chunk (((RingStore *)store)->ring, chunk, &bytes);
  if (size == 0)
    return PEER_STORE_ABSENT;
  if (size > room)
    return PEER_STORE_FAILED;
  memcpy (out, bytes, size);
  *n = size;
  return PEER_STORE_OK;
}

static PeerStoreResult
store_write (PeerStore *store, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  ProxyRing *self = ((RingStore *)store)->ring;
  if (n == 0 || n > self->chunk_size)
    return PEER_STORE_FAILED;
  Slab *slab = find_slab (self, chunk);
  if (!slab)
    slab = add_slab (self, chunk / self->per_slab);
  if (!slab)
    return PEER_STORE_ABSENT;
  uint64_t i = chunk % self->per_slab;
  if (slab->sizes[i] == 0) {
    memcpy (slab->bytes + i * self->chunk_size, bytes, n);
    slab->sizes[i] = (uint16_t)n;
  }
  return PEER_STORE_OK;
}

static void
store_discard (PeerStore *store, PeerRange run)
{
  ProxyRing *self = ((RingStore *)store)->ring;
  bool gone = false;
  while (self->slabs->len > 0) {
    const Slab *slab = self->slabs->pdata[0];
    uint64_t first = slab->number * self->per_slab;
    if (first < run.first || first + self->per_slab > run.end)
      break;
    g_ptr_array_remove_index (self->slabs, 0);
    gone = true;
  }
  if (gone)
    forget_before (self, proxy_ring_oldest (self));
}

static void
store_chunks (PeerStore *store, PeerChunks *out)
{
  const ProxyRing *self = ((RingStore *)store)->ring;
  for (guint s = 0; s < self->slabs->len; s++) {
    const Slab *slab = self->slabs->pdata[s];
    uint64_t first = slab->number * self->per_slab;
    for (uint64_t i = 0; i < self->per_slab; i++)
      if (slab->sizes[i] != 0)
        peer_chunks_add (out, (PeerRange){first + i, first + i + 1});
  }
}

static void
store_free (PeerStore *store)
{
  proxy_ring_unref (((RingStore *)store)->ring);
  g_free (store);
}

static const PeerStoreClass ring_store_class = {
    .read = store_read,
    .write = store_write,
    .discard = store_discard,
    .chunks = store_chunks,
    .free = store_free,
};

PeerStore *
proxy_ring_store (ProxyRing *self)
{
  RingStore *store = g_new0 (RingStore, 1);
  store->store.class = &ring_store_class;
  store->ring = proxy_ring_ref (self);
  return &store->store;
}

/* --- the index --- */

/* The tables as they stand before the picture told last, or now; NULL = they are not complete. */
static GBytes *
make_tables (const ProxyRing *self, bool before_picture)
{
  uint8_t tables[TABLES_ROOM];
  size_t n = before_picture ? media_ts_write_picture_tables (self->parser, tables, sizeof tables)
                            : media_ts_write_tables (self->parser, tables, sizeof tables);
  return n > 0 ? g_bytes_new (tables, n) : NULL;
}

static void
note_key (ProxyRing *self, int64_t packet, int64_t pts)
{
  if (packet < self->segment_packet || self->n_packets - packet > PLACES)
    return;
  if (self->last_key >= self->segment_packet &&
      (packet - self->last_key) * MEDIA_TS_PACKET < KEY_SPACING)
    return;
  ProxyPicture key = {self->places[packet % PLACES], self->segment, pts, make_tables (self, true)};
  if (!key.tables)
    return;
  g_array_append_val (self->keys, key);
  self->last_key = packet;
}

/* Pictures are coded in another order than they are shown in, so time may go back a little; it goes
 * back much when the encoder's clock begins anew. */
static void
note_picture (ProxyRing *self, ProxyPlace place, int64_t pts)
{
  guint n = self->pictures->len;
  const ProxyPicture *last = n > 0 ? &g_array_index (self->pictures, ProxyPicture, n - 1) : NULL;
  if (last && last->run == self->segment && ABS (pts - last->pts) < PROXY_PICTURE_SPACING)
    return;
  ProxyPicture picture = {place, self->segment, pts, make_tables (self, false)};
  if (picture.tables)
    g_array_append_val (self->pictures, picture);
}

static void
note_joint (ProxyRing *self, const uint8_t *bytes, ProxyPlace place)
{
  Joint joint = {.place = place};
  if (self->gaps == 0 || self->n_joint == JOINT_PIDS ||
      !media_joint_before (&self->joint, bytes, joint.packet))
    return;
  self->n_joint++;
  g_array_append_val (self->joints, joint);
}

static void
feed_packet (ProxyRing *self, const uint8_t *bytes, ProxyPlace place)
{
  if (bytes[0] != 0x47) {
    self->synced = false;
    return;
  }
  MediaTsPacket packet;
  unsigned behind = 0;
  if (!media_ts_feed (self->parser, bytes, &packet, &behind))
    return; /* a damaged one is not counted: behind is in packets that were good */
  int64_t number = self->n_packets++;
  self->places[number % PLACES] = place;
  note_joint (self, bytes, place);
  if (packet.starts_picture && behind <= number)
    note_key (self, number - behind, packet.pts);
  else if (packet.pts != MEDIA_TS_NO_TIME)
    note_picture (self, place, packet.pts);
}

static void
note_start (ProxyRing *self, ProxyPlace place)
{
  guint n = self->starts->len;
  if (n == 0 || g_array_index (self->starts, ProxyPlace, n - 1).chunk < self->segment)
    g_array_append_val (self->starts, place);
}

static gssize
find_sync (const uint8_t *bytes, size_t n)
{
  /* A chunk of one packet has no second one to compare with. */
  if (n % MEDIA_TS_PACKET == 0 && bytes[0] == 0x47)
    return 0;
  return media_ts_sync (bytes, n);
}

static void
feed_chunk (ProxyRing *self, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  size_t at = 0;
  while (at < n) {
    ProxyPlace place = {chunk, (uint32_t)at};
    if (!self->synced) {
      gssize skip = find_sync (bytes + at, n - at);
      self->carried = 0;
      if (skip < 0)
        return;
      at += (size_t)skip;
      place.offset = (uint32_t)at;
      self->synced = true;
      note_start (self, place);
    }
    if (self->carried == 0 && n - at >= MEDIA_TS_PACKET) {
      feed_packet (self, bytes + at, place);
      at += MEDIA_TS_PACKET;
      continue;
    }
    if (self->carried == 0)
      self->carry_place = place;
    size_t take = MIN (MEDIA_TS_PACKET - self->carried, n - at);
    memcpy (self->carry + self->carried, bytes + at, take);
    self->carried += take;
    at += take;
    if (self->carried == MEDIA_TS_PACKET) {
      self->carried = 0;
      feed_packet (self, self->carry, self->carry_place);
    }
  }
}

static void
begin_segment (ProxyRing *self, uint64_t chunk)
{
  if (self->started)
    self->gaps++;
  self->started = true;
  if (self->carried > 0)
    g_array_append_val (self->ends, self->carry_place);
  self->joint = (MediaJoint){0};
  self->n_joint = 0;
  self->segment = chunk;
  self->segment_packet = self->n_packets;
  self->synced = false;
  self->carried = 0;
  if (!self->transport_stream)
    note_start (self, (ProxyPlace){chunk, 0});
}

/* The tables' continuity counters set back by as many packets as there are of each PID, so that the
 * first tables of the stream itself go on from them. */
static void
rewind_counters (uint8_t *tables, size_t n)
{
  for (size_t at = 0; at < n; at += MEDIA_TS_PACKET) {
    unsigned same = 0;
    for (size_t other = 0; other < n; other += MEDIA_TS_PACKET)
      same += (tables[at + 1] & 0x1f) == (tables[other + 1] & 0x1f) &&
              tables[at + 2] == tables[other + 2];
    uint8_t counter = (uint8_t)((tables[at + 3] - same) & 0x0f);
    tables[at + 3] = (uint8_t)((tables[at + 3] & 0xf0) | counter);
  }
}

/* What was delivered before the tables were known may have had a key frame in it. */
static void
parse_again (ProxyRing *self)
{
  uint8_t tables[TABLES_ROOM];
  size_t n = media_ts_write_tables (self->parser, tables, sizeof tables);
  if (n == 0)
    return;
  rewind_counters (tables, n);
  self->parsed_again = true;
  media_ts_free (self->parser);
  self->parser = media_ts_new ();
  g_array_set_size (self->keys, 0);
  g_array_set_size (self->pictures, 0);
  self->last_key = -1;
  for (size_t at = 0; at < n; at += MEDIA_TS_PACKET) {
    MediaTsPacket packet;
    unsigned behind;
    media_ts_feed (self->parser, tables + at, &packet, &behind);
  }
  self->segment_packet = self->n_packets;
  self->synced = false;
  self->carried = 0;
  for (uint64_t chunk = MAX (self->segment, proxy_ring_oldest (self)); chunk < self->head;
       chunk++) {
    const uint8_t *bytes = NULL;
    size_t size = find_chunk (self, chunk, &bytes);
    if (size > 0)
      feed_chunk (self, chunk, bytes, size);
  }
}

void
proxy_ring_deliver (ProxyRing *self, PeerRange run)
{
  if (peer_range_is_empty (run) || self->ended)
    return;
  proxy_ring_ref (self);
  if (!self->started || run.first != self->head)
    begin_segment (self, run.first);
  for (uint64_t chunk = run.first; chunk < run.end; chunk++) {
    const uint8_t *bytes = NULL;
    size_t n = find_chunk (self, chunk, &bytes);
    if (n == 0) { /* it went before its turn came */
      begin_segment (self, chunk + 1);
      continue;
    }
    peer_chunks_add (self->delivered, (PeerRange){chunk, chunk + 1});
    self->delivered_bytes += n;
    if (self->transport_stream)
      feed_chunk (self, chunk, bytes, n);
  }
  self->head = run.end;
  if (self->transport_stream && !self->parsed_again && media_ts_has_tables (self->parser))
    parse_again (self);
  proxy_watches_call (self->watches);
  proxy_ring_unref (self);
}

void
proxy_ring_end (ProxyRing *self)
{
  proxy_ring_ref (self);
  self->ended = true;
  proxy_watches_call (self->watches);
  proxy_ring_unref (self);
}

bool
proxy_ring_has_ended (const ProxyRing *self)
{
  return self->ended;
}

ProxyWatches *
proxy_ring_watches (ProxyRing *self)
{
  return self->watches;
}

/* --- the viewers' side --- */

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

bool
proxy_ring_start_anywhere (ProxyRing *self, ProxyPlace *out, GBytes **tables)
{
  *tables = NULL;
  if (!self->transport_stream) {
    if (peer_chunks_is_empty (self->delivered))
      return false;
    uint64_t back = self->head > self->per_slab ? self->head - self->per_slab : 0;
    *out = (ProxyPlace){MAX (MAX (self->segment, proxy_ring_oldest (self)), back), 0};
    return true;
  }
  if (self->starts->len == 0) {
    /* The newest run began so long ago that its beginning is gone; the last packets are not. */
    if (self->n_packets == 0 ||
        self->places[(self->n_packets - 1) % PLACES].chunk < proxy_ring_oldest (self))
      return false;
    *out = self->places[(self->n_packets - 1) % PLACES];
  } else
    *out = g_array_index (self->starts, ProxyPlace, self->starts->len - 1);
  *tables = make_tables (self, false);
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
  for (guint i = 0; i < self->starts->len; i++) {
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
  for (guint i = 0; i < self->ends->len; i++) {
    ProxyPlace end = g_array_index (self->ends, ProxyPlace, i);
    if (end.chunk >= run.first && end.chunk < run.end)
      return end;
  }
  return (ProxyPlace){run.end, 0};
}

/* The first one that a viewer at place has not read; NULL = none. */
static const Joint *
next_joint (const ProxyRing *self, ProxyPlace place)
{
  for (guint i = 0; i < self->joints->len; i++) {
    const Joint *joint = &g_array_index (self->joints, Joint, i);
    if (proxy_place_is_before (place, joint->place) ||
        (is_same (place, joint->place) && !place.joined))
      return joint;
  }
  return NULL;
}

/* A joint, or the slab's bytes from place on, as far as they are delivered; place moves behind. */
static GBytes *
slice (ProxyRing *self, ProxyPlace *place, size_t max)
{
  Slab *slab = find_slab (self, place->chunk);
  uint64_t first = slab->number * self->per_slab;
  ProxyPlace end = whole_end (self, peer_chunks_around (self->delivered, place->chunk));
  if (end.chunk >= first + self->per_slab)
    end = (ProxyPlace){first + self->per_slab, 0};
  const Joint *joint = next_joint (self, *place);
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
  g_atomic_ref_count_inc (&slab->refs);
  return g_bytes_new_with_free_func (slab->bytes + begin, n, slab_unref, slab);
}

/* Moves place by n bytes; copies them where out is set. false = they are not all there. */
static bool
walk (const ProxyRing *self, ProxyPlace *place, uint8_t *out, size_t n)
{
  while (n > 0) {
    const uint8_t *bytes;
    size_t size = find_chunk (self, place->chunk, &bytes);
    if (size == 0 || !peer_chunks_has (self->delivered, place->chunk))
      return false;
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
  for (unsigned i = 0; i < JOINT_LOOK && walk (self, &place, header, sizeof header); i++) {
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

GBytes *
proxy_ring_read (ProxyRing *self, ProxyPlace *place, size_t max, bool *jumped)
{
  *jumped = false;
  if (place->chunk < proxy_ring_oldest (self)) {
    g_autoptr (GBytes) tables = NULL;
    if (!proxy_ring_start (self, true, place, &tables) &&
        !proxy_ring_start_anywhere (self, place, &tables))
      return NULL;
    *jumped = true;
    GBytes *joint = make_joint (self, tables, *place);
    if (joint)
      return joint;
  }
  if (peer_chunks_has (self->delivered, place->chunk)) {
    GBytes *bytes = slice (self, place, max);
    if (bytes)
      return bytes;
  }
  return place->chunk < self->segment && cross_gap (self, place) ? slice (self, place, max) : NULL;
}

static const ProxyPicture *
next_of (const GArray *pictures, const ProxyPlace *after)
{
  for (guint i = 0; i < pictures->len; i++) {
    const ProxyPicture *picture = &g_array_index (pictures, ProxyPicture, i);
    if (after == NULL || proxy_place_is_before (*after, picture->place))
      return picture;
  }
  return NULL;
}

const ProxyPicture *
proxy_ring_next_key (const ProxyRing *self, const ProxyPlace *after)
{
  return next_of (self->keys, after);
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

const MediaStreamInfo *
proxy_ring_info (const ProxyRing *self)
{
  return media_ts_info (self->parser);
}

void
proxy_ring_stats (const ProxyRing *self, ProxyRingStats *out)
{
  *out = (ProxyRingStats){
      .bytes = self->slabs->len * slab_bytes (self),
      .room = self->max_slabs * slab_bytes (self),
      .delivered = self->delivered_bytes,
      .keys = self->keys->len,
      .gaps = self->gaps,
      .bad_packets = media_ts_bad_packets (self->parser),
  };
}
