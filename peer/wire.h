/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of RFC 7574, section 8, and of the options of section 7: one reader, one writer, no
 * state. What is read borrows from the datagram and lives no longer than it does. */
#pragma once

#include "peer/address.h"
#include "peer/chunks.h"
#include "peer/content.h"
#include "peer/status.h"

typedef struct {
  const uint8_t *data;
  size_t left; /* bytes */
} PeerReader;

typedef struct {
  uint8_t *data;
  size_t used, size; /* bytes */
} PeerWriter;

/* false = fewer bytes are left; then neither self nor out has changed. Integers are big-endian. */
bool peer_reader_u8 (PeerReader *self, uint8_t *out);
bool peer_reader_u16 (PeerReader *self, uint16_t *out);
bool peer_reader_u32 (PeerReader *self, uint32_t *out);
bool peer_reader_u64 (PeerReader *self, uint64_t *out);
bool peer_reader_bytes (PeerReader *self, size_t n, PeerReader *out);

/* false = no room; then nothing was written. */
bool peer_writer_u8 (PeerWriter *self, uint8_t value);
bool peer_writer_u16 (PeerWriter *self, uint16_t value);
bool peer_writer_u32 (PeerWriter *self, uint32_t value);
bool peer_writer_u64 (PeerWriter *self, uint64_t value);
bool peer_writer_bytes (PeerWriter *self, const uint8_t *bytes, size_t n);

/* Section 8.2, table 7; the values are those of the wire. */
typedef enum {
  PEER_MESSAGE_HANDSHAKE = 0,
  PEER_MESSAGE_DATA = 1,
  PEER_MESSAGE_ACK = 2,
  PEER_MESSAGE_HAVE = 3,
  PEER_MESSAGE_INTEGRITY = 4,
  PEER_MESSAGE_PEX_RES_V4 = 5,
  PEER_MESSAGE_PEX_REQ = 6,
  PEER_MESSAGE_SIGNED_INTEGRITY = 7,
  PEER_MESSAGE_REQUEST = 8,
  PEER_MESSAGE_CANCEL = 9,
  PEER_MESSAGE_CHOKE = 10,
  PEER_MESSAGE_UNCHOKE = 11,
  PEER_MESSAGE_PEX_RES_V6 = 12,
  PEER_MESSAGE_PEX_RES_CERT = 13,
  PEER_MESSAGE_STATUS = 112, /* not of the RFC: peer/STATUS.md */
} PeerMessageType;

/* What the bytes of a swarm mean. Its metadata settles it, the same for all its peers
 * (section 4); without it no field but those of HANDSHAKE has a width. */
typedef struct {
  uint8_t addressing;      /* section 7.8 */
  uint8_t hash_size;       /* bytes; 0 = the method has none */
  uint16_t signature_size; /* bytes; 0 = the method has none */
  uint32_t chunk_size;     /* bytes, or PEER_CHUNK_VARIABLE */
  uint64_t length;         /* bytes; of static content, where it is known; else 0 */
} PeerWireFormat;

typedef struct {
  PeerMessageType type;
  PeerRange chunks;    /* empty where the type names no chunks */
  uint64_t time;       /* us; DATA: sent at, ACK: one-way delay. SIGNED_INTEGRITY: NTP format */
  PeerReader bytes;    /* DATA: chunk, INTEGRITY: hash, SIGNED_: signature, HANDSHAKE: options
                        * with their end option, PEX_RES_CERT: certificate */
  uint32_t channel;    /* HANDSHAKE: the sender's */
  PeerAddress address; /* PEX_RES_V4, PEX_RES_V6 */
  PeerStatus status;   /* STATUS */
} PeerMessage;

typedef enum {
  PEER_WIRE_MESSAGE,
  PEER_WIRE_END,
  PEER_WIRE_MALFORMED,
  PEER_WIRE_UNKNOWN, /* a type that Table 7 does not assign: of an extension that we do not know */
} PeerWireResult;

PeerWireFormat peer_wire_format (const PeerContent *content);

/* The reader stands behind the datagram's channel ID. format NULL = before the handshake, when
 * only HANDSHAKE can be read. After MALFORMED and UNKNOWN the rest of the datagram has no meaning:
 * most messages do not say their own length. Malformed are also: an inverted range, a range that
 * overflows, byte ranges that are not whole chunks (but for the end of the content, which is
 * any byte while its length is not known), a DATA of another size than the format allows. Bins and chunk ranges that mean "nothing"
 * (all ones) read as an empty range; "everything" (0x7FF..F) as [0, UINT64_MAX).
 * DATA: with fixed-size chunks a further DATA may follow; a DATA is as long as the chunk size,
 * or shorter when the datagram ends first (section 8.6). It names one chunk, and holds a byte at
 * least; with byte ranges it holds as many as its range says. Byte ranges of chunks of variable
 * size cannot be turned into chunks: malformed as well. */
PeerWireResult peer_wire_read (PeerReader *datagram, const PeerWireFormat *format,
                               PeerMessage *out);
/* false = no room, or the range has no form in this addressing (bins: only nodes do; 32 bits:
 * only below 2^32); then nothing of the message was written. */
bool peer_wire_write (PeerWriter *datagram, const PeerWireFormat *format,
                      const PeerMessage *message);
/* The chunk specification alone, as messages have it and as signatures are over it (section 6.1).
 * With byte ranges a short last chunk ends where the content does. false = as above. */
bool peer_wire_write_chunks (PeerWriter *writer, const PeerWireFormat *format, PeerRange chunks);
/* Bytes that peer_wire_write() would take. */
size_t peer_wire_size (const PeerWireFormat *format, const PeerMessage *message);

/* Bins can only say nodes: splits run into as few nodes as cover it exactly, left to right. For
 * other addressings it is run itself. Calls with *run not empty; takes the next part off it. */
PeerRange peer_wire_next_part (const PeerWireFormat *format, PeerRange *run);

/* The options of a HANDSHAKE (section 7). */
typedef struct {
  bool has_version, has_minimum_version, has_swarm_id, has_method, has_hash, has_signature,
      has_addressing, has_discard_window, has_supported, has_chunk_size;
  uint8_t version, minimum_version;
  PeerReader swarm_id; /* borrowed */
  uint8_t method, hash, signature, addressing;
  uint64_t discard_window; /* chunks, or bytes for byte ranges; UINT64_MAX = keeps everything */
  uint8_t supported[32];   /* bit X from the left of byte 0 = message type X */
  uint32_t chunk_size;     /* bytes; UINT32_MAX = variable */
} PeerOptions;

/* options: what HANDSHAKE's bytes hold. false = malformed: unsorted, twice, unknown, cut, without
 * end, a window before the addressing, bytes behind the end. An unknown option has no known
 * length, so nothing behind it can be read. */
bool peer_options_read (PeerReader options, PeerOptions *out);
/* Writes them sorted, with the end option. false = no room. */
bool peer_options_write (PeerWriter *writer, const PeerOptions *options);
bool peer_options_supports (const PeerOptions *options, PeerMessageType type);
