/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/peer/scene.h"
#include "tests/peer/engines.h"

#include <string.h>

static void
fill_random (void *data, uint8_t *out, size_t n)
{
  uint64_t *state = data;
  for (size_t i = 0; i < n; i++) {
    *state = *state * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
    out[i] = (uint8_t)(*state >> 40);
  }
}

static void
said_clear (gpointer data)
{
  g_clear_pointer (&((SceneSaid *)data)->bytes, g_bytes_unref);
}

PeerAddress
scene_address_of (const char *text)
{
  PeerAddress address;
  g_assert_true (peer_address_parse (text, &address));
  return address;
}

void
scene_clear (Scene *self)
{
  peer_engine_free (self->engine);
  peer_key_free (self->tracker);
  g_array_unref (self->said);
}

static void
hear (Scene *self, const PeerAddress *to, const uint8_t *bytes, size_t n)
{
  PeerReader reader = {bytes, n};
  PeerMessage message;
  uint32_t id;
  g_assert_true (peer_reader_u32 (&reader, &id));
  while (peer_wire_read (&reader, &self->format, &message) == PEER_WIRE_MESSAGE) {
    SceneSaid said = {.to = *to,
                      .type = message.type,
                      .address = message.address,
                      .channel = message.channel,
                      .first = id == 0};
    if (message.type == PEER_MESSAGE_PEX_RES_CERT)
      said.bytes = g_bytes_new (message.bytes.data, message.bytes.left);
    if (message.type == PEER_MESSAGE_HANDSHAKE && message.channel != 0) {
      PeerOptions options;
      g_assert_true (peer_options_read (message.bytes, &options));
      memcpy (said.supported, options.supported, sizeof said.supported);
    }
    g_array_append_val (self->said, said);
  }
}

void
scene_drain (Scene *self)
{
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerAddress to;
  PeerEvent event;
  size_t n;
  while ((n = peer_engine_send (self->engine, self->now, &to, bytes, sizeof bytes)) > 0)
    hear (self, &to, bytes, n);
  while (peer_engine_next_event (self->engine, &event))
    self->need_peers += event.type == PEER_EVENT_NEED_PEERS;
}

void
scene_init (Scene *self, const SceneSetting *setting)
{
  PeerEngineOptions options;
  *self = (Scene){.now = SCENE_START, .random = 42, .next_local = 1000};
  self->tracker = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  peer_key_fingerprint (self->tracker, self->key);
  self->said = g_array_new (FALSE, FALSE, sizeof (SceneSaid));
  g_array_set_clear_func (self->said, said_clear);
  peer_engine_options_init (&options);
  options.random = fill_random;
  options.random_data = &self->random;
  options.wall_offset = SCENE_WALL - SCENE_START;
  options.wall_trusted = true;
  options.benign = setting->benign;
  options.no_exchange = setting->off;
  if (setting->max_per_ip > 0)
    options.max_per_ip = setting->max_per_ip;
  self->engine = peer_engine_new (&options);
  peer_content_init_static (&self->content);
  self->content.swarm_id_size = 32;
  memset (self->content.swarm_id, 0xe5, 32);
  self->format = peer_wire_format (&self->content);
  PeerJoin join = {.content = &self->content,
                   .store = peer_store_memory_new (self->content.chunk_size, 16),
                   .source = setting->live_source,
                   .max_peers = setting->max_peers,
                   .tracker_key = setting->certified ? self->key : NULL};
  self->swarm = peer_engine_join (self->engine, &join, NULL);
  g_assert_nonnull (self->swarm);
  scene_drain (self); /* which tells the engine the time */
}

void
scene_run (Scene *self, int64_t time)
{
  int64_t until = self->now + time;
  scene_drain (self);
  while (self->now < until) {
    self->now = CLAMP (peer_engine_deadline (self->engine), self->now + 1000, until);
    scene_drain (self);
  }
}

static void
give (Scene *self, const SceneStranger *from, PeerWriter *writer)
{
  peer_engine_receive (self->engine, self->now, &from->address, writer->data, writer->used);
  scene_drain (self);
}

const SceneSaid *
scene_last_said (const Scene *self, PeerMessageType type, const PeerAddress *to)
{
  for (guint i = self->said->len; i-- > 0;) {
    const SceneSaid *said = &g_array_index (self->said, SceneSaid, i);
    if (said->type == type && peer_address_equal (&said->to, to))
      return said;
  }
  return NULL;
}

unsigned
scene_count_said (const Scene *self, PeerMessageType type, const PeerAddress *to)
{
  unsigned n = 0;
  for (guint i = 0; i < self->said->len; i++) {
    const SceneSaid *said = &g_array_index (self->said, SceneSaid, i);
    n += said->type == type && (to == NULL || peer_address_equal (&said->to, to));
  }
  return n;
}

unsigned
scene_count_calls (const Scene *self, const char *to)
{
  PeerAddress address = scene_address_of (to);
  unsigned n = 0;
  for (guint i = 0; i < self->said->len; i++) {
    const SceneSaid *said = &g_array_index (self->said, SceneSaid, i);
    n += said->first && peer_address_equal (&said->to, &address);
  }
  return n;
}

SceneStranger
scene_call (Scene *self, const char *where, const PeerMessage *behind)
{
  uint8_t bytes[512];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  SceneStranger stranger = {.address = scene_address_of (where), .local = self->next_local++};
  PeerOptions options = options_of (&self->content);
  peer_writer_u32 (&writer, 0);
  put_handshake (&writer, stranger.local, &options);
  if (behind != NULL)
    g_assert_true (peer_wire_write (&writer, &self->format, behind));
  give (self, &stranger, &writer);
  const SceneSaid *answer = scene_last_said (self, PEER_MESSAGE_HANDSHAKE, &stranger.address);
  stranger.remote = answer != NULL ? answer->channel : 0;
  return stranger;
}

void
scene_say (Scene *self, const SceneStranger *from, const PeerMessage *message)
{
  uint8_t bytes[PEER_DATAGRAM_MAX];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  peer_writer_u32 (&writer, from->remote);
  if (message != NULL)
    g_assert_true (peer_wire_write (&writer, &self->format, message));
  give (self, from, &writer);
}

/* It connects to us. */
SceneStranger
scene_come (Scene *self, const char *where)
{
  SceneStranger stranger = scene_call (self, where, NULL);
  g_assert_cmpuint (stranger.remote, !=, 0);
  scene_say (self, &stranger, NULL);
  return stranger;
}

/* We connect to it, as the tracker or others have told us. */
SceneStranger
scene_answer (Scene *self, const char *where)
{
  uint8_t bytes[512];
  PeerWriter writer = {bytes, 0, sizeof bytes};
  SceneStranger stranger = {.address = scene_address_of (where), .local = self->next_local++};
  PeerOptions options = options_of (&self->content);
  const SceneSaid *first = scene_last_said (self, PEER_MESSAGE_HANDSHAKE, &stranger.address);
  g_assert_nonnull (first);
  stranger.remote = first->channel;
  peer_writer_u32 (&writer, stranger.remote);
  put_handshake (&writer, stranger.local, &options);
  give (self, &stranger, &writer);
  return stranger;
}

SceneStranger
scene_named_by_tracker (Scene *self, const char *where)
{
  PeerAddress address = scene_address_of (where);
  peer_engine_add_peer (self->engine, self->swarm, &address);
  scene_run (self, 1000);
  return scene_answer (self, where);
}

void
scene_ask (Scene *self, const SceneStranger *from)
{
  PeerMessage message = {.type = PEER_MESSAGE_PEX_REQ};
  scene_say (self, from, &message);
}

void
scene_tell (Scene *self, const SceneStranger *from, const char *where)
{
  PeerAddress address = scene_address_of (where);
  PeerMessage message = {.type = peer_address_is_v4 (&address) ? PEER_MESSAGE_PEX_RES_V4
                                                               : PEER_MESSAGE_PEX_RES_V6,
                         .address = address};
  scene_say (self, from, &message);
}

GBytes *
scene_certificate_of (Scene *self, PeerKey *tracker, const char *where, int64_t wall)
{
  static const uint8_t serial[16] = {7};
  g_autofree char *id = peer_content_swarm_id_hex (&self->content);
  PeerAddress address = scene_address_of (where);
  return peer_membership_issue (tracker, id, &address, wall, PEER_MEMBERSHIP_LIFE, serial);
}

void
scene_show (Scene *self, const SceneStranger *from, GBytes *certificate)
{
  PeerMessage message = {.type = PEER_MESSAGE_PEX_RES_CERT};
  message.bytes.data = g_bytes_get_data (certificate, &message.bytes.left);
  scene_say (self, from, &message);
}

void
scene_show_certified (Scene *self, const SceneStranger *from, const char *where)
{
  g_autoptr (GBytes) certificate =
      scene_certificate_of (self, self->tracker, where, SCENE_WALL + self->now - SCENE_START);
  scene_show (self, from, certificate);
}

bool
scene_was_named (const Scene *self, const SceneStranger *to, const SceneStranger *who)
{
  for (guint i = 0; i < self->said->len; i++) {
    const SceneSaid *said = &g_array_index (self->said, SceneSaid, i);
    bool plain = said->type == PEER_MESSAGE_PEX_RES_V4 || said->type == PEER_MESSAGE_PEX_RES_V6;
    if (plain && peer_address_equal (&said->to, &to->address) &&
        peer_address_equal (&said->address, &who->address))
      return true;
  }
  return false;
}

unsigned
scene_count_answers (const Scene *self, const SceneStranger *to)
{
  return scene_count_said (self, PEER_MESSAGE_PEX_RES_V4, &to->address) +
         scene_count_said (self, PEER_MESSAGE_PEX_RES_V6, &to->address) +
         scene_count_said (self, PEER_MESSAGE_PEX_RES_CERT, &to->address);
}

bool
scene_lists (const SceneSaid *said, PeerMessageType type)
{
  return (said->supported[type / 8] & 0x80 >> type % 8) != 0;
}
