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
 * all that was delivered before is parsed again, with the tables in front.
 *
 * With a time-shift, a slab that memory has no more room for goes to its file instead (proxy/shift.h), and
 * the index goes on knowing what is in it: a viewer that is behind reads the same bytes from there, when
 * they have been fetched. The engine never does: what peers are told to be here is in memory. */
#include "proxy/ring.h"
#include "proxy/ring-state.h"
#include <string.h>

enum {
  SLAB_BYTES = 65536,
  SLAB_MAX_CHUNKS = 1024,
  TABLES_ROOM = 4136, /* bytes: 22 packets */
  KEY_SPACING = 8192, /* bytes: bounds the index of a stream with only key frames */
  JOINT_PIDS = 64,    /* of one joint */
  OLD_KEYS = 4096,    /* key frames in the time-shift that are remembered */
  OLD_GAPS = 4096,    /* gaps, and joints behind them, likewise */
};

/* us: a step of the stream's clock that is believed. */
#define TIME_STEP 60000000

/* us: what is waited for, at the longest, and as much again for who is slow. */
#define ROOM_TIME 10000000

typedef struct {
  PeerStore store;
  ProxyRing *ring;
} RingStore;

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
  self->slabs = g_ptr_array_new_with_free_func (proxy_slab_unref);
  self->delivered = peer_chunks_new (0);
  self->starts = g_array_new (FALSE, FALSE, sizeof (ProxyPlace));
  self->ends = g_array_new (FALSE, FALSE, sizeof (ProxyPlace));
  self->joints = g_array_new (FALSE, FALSE, sizeof (ProxyJoint));
  self->keys = g_array_new (FALSE, FALSE, sizeof (ProxyPicture));
  g_array_set_clear_func (self->keys, picture_clear);
  self->pictures = g_array_new (FALSE, FALSE, sizeof (ProxyPicture));
  g_array_set_clear_func (self->pictures, picture_clear);
  self->parser = media_ts_new ();
  self->last_key = -1;
  self->time_pts = MEDIA_TS_NO_TIME;
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
  proxy_shift_free (self->shift);
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
    if (((ProxySlab *)self->slabs->pdata[middle])->number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

ProxySlab *
proxy_ring_find_slab (const ProxyRing *self, uint64_t chunk)
{
  uint64_t number = chunk / self->per_slab;
  guint i = slab_index (self, number);
  if (i == self->slabs->len)
    return NULL;
  ProxySlab *slab = self->slabs->pdata[i];
  return slab->number == number ? slab : NULL;
}

/* Returns the size of the chunk in bytes, 0 = absent. */
static size_t
find_chunk (const ProxyRing *self, uint64_t chunk, const uint8_t **bytes)
{
  const ProxySlab *slab = proxy_ring_find_slab (self, chunk);
  if (!slab)
    return 0;
  uint64_t i = chunk % self->per_slab;
  *bytes = slab->bytes + i * self->chunk_size;
  return slab->sizes[i];
}

uint64_t
proxy_ring_oldest_in_memory (const ProxyRing *self)
{
  if (self->slabs->len == 0)
    return self->head;
  return ((ProxySlab *)self->slabs->pdata[0])->number * self->per_slab;
}

uint64_t
proxy_ring_oldest (const ProxyRing *self)
{
  uint64_t number, here = proxy_ring_oldest_in_memory (self);
  if (!self->shift || !proxy_shift_oldest (self->shift, &number))
    return here;
  return MIN (here, number * self->per_slab);
}

guint
proxy_ring_index_of (const GArray *array, ProxyPlace place)
{
  guint low = 0, high = array->len, size = g_array_get_element_size ((GArray *)array);
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (proxy_place_is_before (*(ProxyPlace *)(void *)(array->data + (size_t)middle * size), place))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Returns how many went. */
static guint
forget_places (GArray *array, uint64_t chunk)
{
  guint n = proxy_ring_index_of (array, (ProxyPlace){.chunk = chunk});
  g_array_remove_range (array, 0, n);
  return n;
}

static void
forget_before (ProxyRing *self, uint64_t chunk)
{
  PeerRange span = peer_chunks_span (self->delivered);
  if (span.first < chunk)
    peer_chunks_remove (self->delivered, (PeerRange){span.first, chunk});
  guint keys = forget_places (self->keys, chunk);
  self->old_keys -= MIN (keys, self->old_keys);
  GArray *const arrays[] = {self->starts, self->ends, self->joints};
  for (size_t i = 0; i < G_N_ELEMENTS (arrays); i++)
    forget_places (arrays[i], chunk);
  forget_places (self->pictures, proxy_ring_oldest_in_memory (self));
}

/* Key frames that have left memory are places to begin at, and no more of them are needed than that. */
static void
thin_keys (ProxyRing *self)
{
  uint64_t space = self->shift_bytes / self->chunk_size / OLD_KEYS;
  guint end =
      proxy_ring_index_of (self->keys, (ProxyPlace){.chunk = proxy_ring_oldest_in_memory (self)});
  while (self->old_keys < end) {
    const ProxyPicture *keys = (const ProxyPicture *)(void *)self->keys->data;
    guint n = self->old_keys, i = n;
    while (n > 0 && i < end && keys[i].place.chunk - keys[n - 1].place.chunk < space)
      i++;
    g_array_remove_range (self->keys, n, i - n);
    end -= i - n;
    if (n < end)
      self->old_keys++;
  }
}

/* What is remembered of gaps is bounded, whatever a source sends. */
static void
bound_gaps (ProxyRing *self)
{
  GArray *const arrays[] = {self->starts, self->ends, self->joints};
  for (size_t i = 0; i < G_N_ELEMENTS (arrays); i++) {
    const GArray *array = arrays[i];
    if (array->len <= OLD_GAPS)
      continue;
    size_t size = g_array_get_element_size (arrays[i]);
    const ProxyPlace *place = (ProxyPlace *)(void *)(array->data + array->len / 2 * size);
    proxy_shift_forget (self->shift, place->chunk / self->per_slab + 1);
  }
}

/* The oldest slab leaves memory. */
static void
let_go (ProxyRing *self)
{
  g_autoptr (ProxySlab) slab = g_ptr_array_steal_index (self->slabs, 0);
  uint64_t first = slab->number * self->per_slab;
  if (!self->shift)
    return;
  if (peer_chunks_has_any (self->delivered, (PeerRange){first, first + self->per_slab}))
    proxy_shift_add (self->shift, slab);
  thin_keys (self);
  bound_gaps (self);
}

static ProxySlab *
add_slab (ProxyRing *self, uint64_t number)
{
  guint i = slab_index (self, number);
  if (self->slabs->len >= self->max_slabs) {
    if (i == 0)
      return NULL; /* older than all that we keep */
    let_go (self);
    i--;
  }
  ProxySlab *slab = proxy_slab_new (number, self->per_slab, self->chunk_size);
  g_ptr_array_insert (self->slabs, (gint)i, slab);
  forget_before (self, proxy_ring_oldest (self));
  return slab;
}

static void
on_shift (gpointer data)
{
  ProxyRing *self = proxy_ring_ref (data);
  forget_before (self, proxy_ring_oldest (self)); /* it may have failed */
  proxy_watches_call (self->watches);
  proxy_ring_unref (self);
}

void
proxy_ring_shift (ProxyRing *self, const char *folder, uint64_t max_bytes)
{
  g_return_if_fail (!self->shift);
  ProxyShiftOptions options = {.folder = folder,
                               .quota = max_bytes,
                               .chunk_size = self->chunk_size,
                               .per_slab = self->per_slab,
                               .news = on_shift,
                               .data = self};
  self->shift = proxy_shift_new (&options);
  self->shift_bytes = max_bytes;
}

bool
proxy_ring_is_shifted (const ProxyRing *self)
{
  return self->shift && !proxy_shift_failure (self->shift);
}

const char *
proxy_ring_shift_failure (const ProxyRing *self)
{
  return self->shift ? proxy_shift_failure (self->shift) : NULL;
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
  ProxySlab *slab = proxy_ring_find_slab (self, chunk);
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
    const ProxySlab *slab = self->slabs->pdata[0];
    uint64_t first = slab->number * self->per_slab;
    if (first < run.first || first + self->per_slab > run.end)
      break;
    let_go (self);
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
    const ProxySlab *slab = self->slabs->pdata[s];
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

GBytes *
proxy_ring_make_tables (const ProxyRing *self, bool before_picture)
{
  uint8_t tables[TABLES_ROOM];
  size_t n = before_picture ? media_ts_write_picture_tables (self->parser, tables, sizeof tables)
                            : media_ts_write_tables (self->parser, tables, sizeof tables);
  return n > 0 ? g_bytes_new (tables, n) : NULL;
}

/* Where in the stream a key frame is, whatever the stream's clock does. */
static int64_t
take_time (ProxyRing *self, int64_t pts)
{
  if (pts == MEDIA_TS_NO_TIME)
    return self->time;
  int64_t step = self->time_pts == MEDIA_TS_NO_TIME ? 0 : pts - self->time_pts;
  self->time += step >= 0 && step <= TIME_STEP ? step : PROXY_PICTURE_SPACING;
  self->time_pts = pts;
  return self->time;
}

static void
note_key (ProxyRing *self, int64_t packet, int64_t pts)
{
  if (packet < self->segment_packet || self->n_packets - packet > PROXY_RING_PLACES)
    return;
  if (self->last_key >= self->segment_packet &&
      (packet - self->last_key) * MEDIA_TS_PACKET < KEY_SPACING)
    return;
  ProxyPicture key = {self->places[packet % PROXY_RING_PLACES], self->segment, pts,
                      proxy_ring_make_tables (self, true)};
  if (!key.tables)
    return;
  key.time = take_time (self, pts);
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
  ProxyPicture picture = {place, self->segment, pts, proxy_ring_make_tables (self, false)};
  if (picture.tables)
    g_array_append_val (self->pictures, picture);
}

static void
note_joint (ProxyRing *self, const uint8_t *bytes, ProxyPlace place)
{
  ProxyJoint joint = {.place = place};
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
  self->places[number % PROXY_RING_PLACES] = place;
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
  self->old_keys = 0;
  for (size_t at = 0; at < n; at += MEDIA_TS_PACKET) {
    MediaTsPacket packet;
    unsigned behind;
    media_ts_feed (self->parser, tables + at, &packet, &behind);
  }
  self->segment_packet = self->n_packets;
  self->synced = false;
  self->carried = 0;
  for (uint64_t chunk = MAX (self->segment, proxy_ring_oldest_in_memory (self)); chunk < self->head;
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

const MediaStreamInfo *
proxy_ring_info (const ProxyRing *self)
{
  return media_ts_info (self->parser);
}

void
proxy_ring_stats (const ProxyRing *self, ProxyRingStats *out)
{
  guint n = self->keys->len;
  const ProxyPicture *keys = (const ProxyPicture *)(void *)self->keys->data;
  *out = (ProxyRingStats){
      .window = n > 0 ? keys[n - 1].time - keys[0].time : 0,
      .unwritten = self->shift ? proxy_shift_unwritten (self->shift) : 0,
      .loaded = self->shift ? proxy_shift_loaded (self->shift) : 0,
      .shift_bytes = self->shift ? proxy_shift_bytes (self->shift) : 0,
      .bytes = self->slabs->len * slab_bytes (self),
      .room = self->max_slabs * slab_bytes (self),
      .delivered = self->delivered_bytes,
      .keys = self->keys->len,
      .gaps = self->gaps,
      .bad_packets = media_ts_bad_packets (self->parser),
  };
}
