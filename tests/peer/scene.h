/* SPDX-License-Identifier: Apache-2.0 */
/* One engine in one swarm, and strangers whose datagrams are written by hand: what it says to them is
 * kept, and can be asked for. Addresses are texts: "192.0.2.1:7574". */
#pragma once

#include "peer/engine.h"
#include "peer/membership.h"
#include "peer/wire.h"

#define SECOND INT64_C (1000000)
#define SCENE_START (1000 * SECOND) /* us: the engine's time when a scene begins... */
#define SCENE_WALL (INT64_C (1760000000) * SECOND) /* ...and the world's */

/* A message that the engine has sent. */
typedef struct {
  PeerAddress to;
  PeerMessageType type;
  PeerAddress address;
  uint32_t channel;
  bool first; /* of a first datagram */
  uint8_t supported[32];
  GBytes *bytes;
} SceneSaid;

typedef struct {
  PeerEngine *engine;
  PeerSwarm *swarm;
  PeerContent content;
  PeerWireFormat format;
  PeerKey *tracker;
  uint8_t key[PEER_FINGERPRINT];
  int64_t now;
  uint64_t random;
  GArray *said;
  uint32_t next_local;
  unsigned need_peers;
} Scene;

typedef struct {
  PeerAddress address;
  uint32_t local, remote;
} SceneStranger;

typedef struct {
  bool certified, benign, live_source, off;
  uint32_t max_peers, max_per_ip;
} SceneSetting;

PeerAddress scene_address_of (const char *text);
void scene_clear (Scene *self);
void scene_drain (Scene *self);
void scene_init (Scene *self, const SceneSetting *setting);
/* Lets so much time pass, us. */
void scene_run (Scene *self, int64_t time);
const SceneSaid *scene_last_said (const Scene *self, PeerMessageType type, const PeerAddress *to);
unsigned scene_count_said (const Scene *self, PeerMessageType type, const PeerAddress *to);
/* First datagrams to it. */
unsigned scene_count_calls (const Scene *self, const char *to);
/* It sends a first datagram, with a message behind the HANDSHAKE or NULL, and keeps the channel of the
 * answer; 0 = there was none. */
SceneStranger scene_call (Scene *self, const char *where, const PeerMessage *behind);
/* A datagram on its channel; message NULL = a keep-alive. */
void scene_say (Scene *self, const SceneStranger *from, const PeerMessage *message);
/* It connects to us. */
SceneStranger scene_come (Scene *self, const char *where);
/* We have called it, and it answers. */
SceneStranger scene_answer (Scene *self, const char *where);
/* The tracker names it, we call it, it answers. */
SceneStranger scene_named_by_tracker (Scene *self, const char *where);
void scene_ask (Scene *self, const SceneStranger *from);
/* PEX_RESv4 or v6. */
void scene_tell (Scene *self, const SceneStranger *from, const char *where);
GBytes *scene_certificate_of (Scene *self, PeerKey *tracker, const char *where, int64_t wall);
/* PEX_REScert. */
void scene_show (Scene *self, const SceneStranger *from, GBytes *certificate);
void scene_show_certified (Scene *self, const SceneStranger *from, const char *where);
/* Without a certificate. */
bool scene_was_named (const Scene *self, const SceneStranger *to, const SceneStranger *who);
/* PEX_RES of all kinds. */
unsigned scene_count_answers (const Scene *self, const SceneStranger *to);
/* Is the message listed in that HANDSHAKE (7.10)? */
bool scene_lists (const SceneSaid *said, PeerMessageType type);
