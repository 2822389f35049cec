/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of RFC 7574, section 8. A datagram is a channel ID (which the engine takes off) and
 * messages, one behind the other, without lengths between them. Integers are big-endian.
 *
 *   HANDSHAKE        | 0  | channel 32 | options ... 255 |              section 8.4
 *   DATA             | 1  | chunks | time 64 | chunk ... |              8.6
 *   ACK              | 2  | chunks | delay 64 |                         8.7
 *   HAVE             | 3  | chunks |                                    8.5
 *   INTEGRITY        | 4  | chunks | hash ... |                         8.8
 *   PEX_RESv4        | 5  | IPv4 32 | port 16 |                         8.13
 *   PEX_REQ          | 6  |                                             8.13
 *   SIGNED_INTEGRITY | 7  | chunks | NTP time 64 | signature ... |      8.9
 *   REQUEST          | 8  | chunks |                                    8.10
 *   CANCEL           | 9  | chunks |                                    8.11
 *   CHOKE            | 10 |                                             8.12
 *   UNCHOKE          | 11 |                                             8.12
 *   PEX_RESv6        | 12 | IPv6 128 | port 16 |                        8.13
 *   PEX_REScert      | 13 | size 16 | certificate ... |                 8.13
 *
 * where chunks is one of (sections 4 and 7.8)
 *
 *   0  | bin 32 |                 1  | first byte 64 | last byte 64 |
 *   2  | first 32 | last 32 |     3  | bin 64 |
 *   4  | first 64 | last 64 |
 *
 * All reading rests on take(), and a message that does not fit leaves its reader as it was: nothing
 * here can run over an end. All writing rests on put(), and a message that does not fit is taken
 * back. */
#include "peer/wire.h"

#include <string.h>

#define HANDSHAKE_HEADER 5 /* bytes: type and channel */
#define OPTION_END 255

static const PeerRange everything = {0, UINT64_MAX};

/* --- cursors --- */

static bool
take (PeerReader *self, size_t n, const uint8_t **out)
{
  if (self->left < n)
    return false;
  *out = self->data;
  if (n > 0)
    self->data += n;
  self->left -= n;
  return true;
}

static uint64_t
big_endian (const uint8_t *bytes, size_t n)
{
  uint64_t value = 0;

  for (size_t i = 0; i < n; i++)
    value = value << 8 | bytes[i];
  return value;
}

bool
peer_reader_u8 (PeerReader *self, uint8_t *out)
{
  const uint8_t *bytes;

  if (!take (self, 1, &bytes))
    return false;
  *out = bytes[0];
  return true;
}

bool
peer_reader_u16 (PeerReader *self, uint16_t *out)
{
  const uint8_t *bytes;

  if (!take (self, 2, &bytes))
    return false;
  *out = (uint16_t)big_endian (bytes, 2);
  return true;
}

bool
peer_reader_u32 (PeerReader *self, uint32_t *out)
{
  const uint8_t *bytes;

  if (!take (self, 4, &bytes))
    return false;
  *out = (uint32_t)big_endian (bytes, 4);
  return true;
}

bool
peer_reader_u64 (PeerReader *self, uint64_t *out)
{
  const uint8_t *bytes;

  if (!take (self, 8, &bytes))
    return false;
  *out = big_endian (bytes, 8);
  return true;
}

bool
peer_reader_bytes (PeerReader *self, size_t n, PeerReader *out)
{
  const uint8_t *bytes;

  if (!take (self, n, &bytes))
    return false;
  *out = (PeerReader){bytes, n};
  return true;
}

static uint8_t *
put (PeerWriter *self, size_t n)
{
  uint8_t *bytes;

  if (self->size - self->used < n)
    return NULL;
  bytes = self->data + self->used;
  self->used += n;
  return bytes;
}

static bool
put_big_endian (PeerWriter *self, uint64_t value, size_t n)
{
  uint8_t *bytes = put (self, n);

  if (bytes == NULL)
    return false;
  while (n > 0) {
    bytes[--n] = (uint8_t)value;
    value >>= 8;
  }
  return true;
}

bool
peer_writer_u8 (PeerWriter *self, uint8_t value)
{
  return put_big_endian (self, value, 1);
}

bool
peer_writer_u16 (PeerWriter *self, uint16_t value)
{
  return put_big_endian (self, value, 2);
}

bool
peer_writer_u32 (PeerWriter *self, uint32_t value)
{
  return put_big_endian (self, value, 4);
}

bool
peer_writer_u64 (PeerWriter *self, uint64_t value)
{
  return put_big_endian (self, value, 8);
}

bool
peer_writer_bytes (PeerWriter *self, const uint8_t *bytes, size_t n)
{
  uint8_t *out;

  if (n == 0)
    return true;
  out = put (self, n);
  if (out == NULL)
    return false;
  memcpy (out, bytes, n);
  return true;
}

/* --- which chunks (section 4) --- */

/* Bytes of a bin, or of one end of a range; 0 = unknown addressing. */
static size_t
number_size (uint8_t addressing)
{
  switch ((PeerAddressing)addressing) {
  case PEER_ADDRESSING_BINS32:
  case PEER_ADDRESSING_CHUNKS32:
    return 4;
  case PEER_ADDRESSING_BYTES64:
  case PEER_ADDRESSING_BINS64:
  case PEER_ADDRESSING_CHUNKS64:
    return 8;
  }
  return 0;
}

static bool
is_bins (uint8_t addressing)
{
  return addressing == PEER_ADDRESSING_BINS32 || addressing == PEER_ADDRESSING_BINS64;
}

static size_t
chunks_size (uint8_t addressing)
{
  return is_bins (addressing) ? number_size (addressing) : 2 * number_size (addressing);
}

static bool
read_number (PeerReader *self, size_t size, uint64_t *out)
{
  const uint8_t *bytes;

  if (size == 0 || !take (self, size, &bytes))
    return false;
  *out = big_endian (bytes, size);
  return true;
}

/* The largest number of that size: "nothing" (section 4.2). */
static uint64_t
all_ones (size_t size)
{
  return size == 4 ? UINT32_MAX : UINT64_MAX;
}

static bool
is_fixed_size (const PeerWireFormat *format)
{
  return format->chunk_size != 0 && format->chunk_size != PEER_CHUNK_VARIABLE;
}

/* A range of bytes starts with a chunk. It ends with one, or with the content in the middle of one,
 * as far as its length is known. Chunks of variable size have no such numbers. */
static bool
bytes_to_chunks (const PeerWireFormat *format, uint64_t first, uint64_t last, PeerRange *out)
{
  if (!is_fixed_size (format) || first % format->chunk_size != 0)
    return false;
  if (format->length > 0 && (last + 1) % format->chunk_size != 0 && last + 1 != format->length)
    return false;
  *out = (PeerRange){first / format->chunk_size, last / format->chunk_size + 1};
  /* no byte behind its last chunk has a number of 64 bits */
  return last != UINT64_MAX && out->end <= UINT64_MAX / format->chunk_size;
}

/* n_bytes: how many bytes a range of bytes names, 0 in the other addressings. */
static bool
read_chunks (PeerReader *self, const PeerWireFormat *format, PeerRange *out, uint64_t *n_bytes)
{
  size_t size = number_size (format->addressing);
  uint64_t first, last;

  *n_bytes = 0;
  if (!read_number (self, size, &first))
    return false;
  if (is_bins (format->addressing)) {
    if (first == all_ones (size))
      *out = (PeerRange){0, 0};
    else if (first == all_ones (size) / 2)
      *out = everything;
    else
      *out = peer_bin_to_range (first);
    return true;
  }
  if (!read_number (self, size, &last) || last < first)
    return false;
  if (first == all_ones (size)) {
    *out = (PeerRange){0, 0};
    return true;
  }
  if (format->addressing == PEER_ADDRESSING_BYTES64) {
    *n_bytes = last - first + 1;
    return bytes_to_chunks (format, first, last, out);
  }
  if (last == UINT64_MAX)
    return false;
  *out = (PeerRange){first, last + 1};
  return true;
}

static bool
write_bin (PeerWriter *self, size_t size, PeerRange chunks)
{
  uint64_t n_leaves = all_ones (size) / 2 + 1;

  if (chunks.end == chunks.first)
    return put_big_endian (self, all_ones (size), size);
  if (chunks.first == everything.first && chunks.end == everything.end)
    return put_big_endian (self, all_ones (size) / 2, size);
  if (!peer_range_is_node (chunks) || chunks.end > n_leaves)
    return false;
  return put_big_endian (self, peer_bin_from_range (chunks), size);
}

/* Where chunk number end - 1 ends: with the content, if that is within it. A node of the tree that
 * is not filled goes past that (section 5.1), and whole chunks tell it from the filled one which
 * ends there. */
static uint64_t
end_in_bytes (const PeerWireFormat *format, uint64_t end)
{
  uint64_t bytes = end * format->chunk_size;

  return format->length < bytes && bytes - format->length < format->chunk_size ? format->length
                                                                               : bytes;
}

/* n_bytes: of a DATA's chunk, which may be the short last one; else 0. */
static bool
write_byte_range (PeerWriter *self, const PeerWireFormat *format, PeerRange chunks, size_t n_bytes)
{
  uint64_t first, end;

  if (!is_fixed_size (format) || chunks.end > UINT64_MAX / format->chunk_size)
    return false;
  first = chunks.first * format->chunk_size;
  end = n_bytes > 0 ? first + n_bytes : end_in_bytes (format, chunks.end);
  return put_big_endian (self, first, 8) && put_big_endian (self, end - 1, 8);
}

static bool
write_chunks (PeerWriter *self, const PeerWireFormat *format, PeerRange chunks, size_t n_bytes)
{
  size_t size = number_size (format->addressing);
  uint64_t last = chunks.end - 1;

  if (size == 0 || chunks.end < chunks.first)
    return false;
  if (is_bins (format->addressing))
    return write_bin (self, size, chunks);
  if (chunks.end == chunks.first)
    return put_big_endian (self, all_ones (size), size) &&
           put_big_endian (self, all_ones (size), size);
  if (format->addressing == PEER_ADDRESSING_BYTES64)
    return write_byte_range (self, format, chunks, n_bytes);
  /* The last number alone would say "nothing". */
  if (last > all_ones (size) || chunks.first == all_ones (size))
    return false;
  return put_big_endian (self, chunks.first, size) && put_big_endian (self, last, size);
}

bool
peer_wire_write_chunks (PeerWriter *writer, const PeerWireFormat *format, PeerRange chunks)
{
  size_t before = writer->used;

  if (write_chunks (writer, format, chunks, 0))
    return true;
  writer->used = before;
  return false;
}

PeerRange
peer_wire_next_part (const PeerWireFormat *format, PeerRange *run)
{
  PeerRange part = *run;
  uint64_t width;

  if (!is_bins (format->addressing) ||
      (run->first == everything.first && run->end == everything.end)) {
    run->first = run->end;
    return part;
  }
  /* The largest node that begins here: its width divides first and fits. */
  width = run->first == 0 ? UINT64_C (1) << 63 : run->first & (~run->first + 1);
  while (width > peer_range_size (*run))
    width >>= 1;
  part.end = part.first + width;
  run->first = part.end;
  return part;
}

/* --- options (section 7) --- */

static bool
read_swarm_id (PeerReader *self, PeerOptions *out)
{
  uint16_t n;

  return peer_reader_u16 (self, &n) && peer_reader_bytes (self, n, &out->swarm_id);
}

/* Section 7.9: as wide as the numbers of the addressing, which must stand before it. */
static bool
read_discard_window (PeerReader *self, PeerOptions *out)
{
  size_t size = out->has_addressing ? number_size (out->addressing) : 0;

  if (!read_number (self, size, &out->discard_window))
    return false;
  if (out->discard_window == all_ones (size))
    out->discard_window = UINT64_MAX;
  return true;
}

/* Section 7.10: zeros at the end of the bitmap are left out. */
static bool
read_supported (PeerReader *self, PeerOptions *out)
{
  const uint8_t *bitmap;
  uint8_t n;

  if (!peer_reader_u8 (self, &n) || n > sizeof out->supported || !take (self, n, &bitmap))
    return false;
  memset (out->supported, 0, sizeof out->supported);
  if (n > 0)
    memcpy (out->supported, bitmap, n);
  return true;
}

static bool
read_option (PeerReader *self, uint8_t code, PeerOptions *out)
{
  switch (code) {
  case 0:
    return out->has_version = peer_reader_u8 (self, &out->version);
  case 1:
    return out->has_minimum_version = peer_reader_u8 (self, &out->minimum_version);
  case 2:
    return out->has_swarm_id = read_swarm_id (self, out);
  case 3:
    return out->has_method = peer_reader_u8 (self, &out->method);
  case 4:
    return out->has_hash = peer_reader_u8 (self, &out->hash);
  case 5:
    return out->has_signature = peer_reader_u8 (self, &out->signature);
  case 6:
    return out->has_addressing = peer_reader_u8 (self, &out->addressing);
  case 7:
    return out->has_discard_window = read_discard_window (self, out);
  case 8:
    return out->has_supported = read_supported (self, out);
  case 9:
    return out->has_chunk_size = peer_reader_u32 (self, &out->chunk_size);
  default: /* of unknown length, so nothing behind it can be read */
    return false;
  }
}

/* Reads up to and with the end option. */
static bool
read_options (PeerReader *self, PeerOptions *out)
{
  int last = -1;
  uint8_t code;

  memset (out, 0, sizeof *out);
  while (peer_reader_u8 (self, &code)) {
    if (code == OPTION_END)
      return true;
    if (code <= last || !read_option (self, code, out))
      return false;
    last = code;
  }
  return false;
}

bool
peer_options_read (PeerReader options, PeerOptions *out)
{
  return read_options (&options, out) && options.left == 0;
}

static bool
write_option_u8 (PeerWriter *self, bool has, uint8_t code, uint8_t value)
{
  return !has || (peer_writer_u8 (self, code) && peer_writer_u8 (self, value));
}

static bool
write_swarm_id (PeerWriter *self, const PeerOptions *options)
{
  if (!options->has_swarm_id)
    return true;
  return options->swarm_id.left <= UINT16_MAX && peer_writer_u8 (self, 2) &&
         peer_writer_u16 (self, (uint16_t)options->swarm_id.left) &&
         peer_writer_bytes (self, options->swarm_id.data, options->swarm_id.left);
}

static bool
write_discard_window (PeerWriter *self, const PeerOptions *options)
{
  size_t size = options->has_addressing ? number_size (options->addressing) : 0;

  if (!options->has_discard_window)
    return true;
  /* A window that is wider than all numbers there are discards nothing. */
  return size != 0 && peer_writer_u8 (self, 7) &&
         put_big_endian (self, MIN (options->discard_window, all_ones (size)), size);
}

static bool
write_supported (PeerWriter *self, const PeerOptions *options)
{
  uint8_t n = sizeof options->supported;

  if (!options->has_supported)
    return true;
  while (n > 0 && options->supported[n - 1] == 0)
    n--;
  return peer_writer_u8 (self, 8) && peer_writer_u8 (self, n) &&
         peer_writer_bytes (self, options->supported, n);
}

static bool
write_chunk_size (PeerWriter *self, const PeerOptions *options)
{
  return !options->has_chunk_size ||
         (peer_writer_u8 (self, 9) && peer_writer_u32 (self, options->chunk_size));
}

bool
peer_options_write (PeerWriter *writer, const PeerOptions *options)
{
  size_t before = writer->used;

  if (write_option_u8 (writer, options->has_version, 0, options->version) &&
      write_option_u8 (writer, options->has_minimum_version, 1, options->minimum_version) &&
      write_swarm_id (writer, options) &&
      write_option_u8 (writer, options->has_method, 3, options->method) &&
      write_option_u8 (writer, options->has_hash, 4, options->hash) &&
      write_option_u8 (writer, options->has_signature, 5, options->signature) &&
      write_option_u8 (writer, options->has_addressing, 6, options->addressing) &&
      write_discard_window (writer, options) && write_supported (writer, options) &&
      write_chunk_size (writer, options) && peer_writer_u8 (writer, OPTION_END))
    return true;
  writer->used = before;
  return false;
}

bool
peer_options_supports (const PeerOptions *options, PeerMessageType type)
{
  unsigned x = (unsigned)type;

  if (x > 255)
    return false;
  /* Section 7.10: who says nothing supports all messages of the RFC; not those that came later. */
  if (!options->has_supported)
    return x <= PEER_MESSAGE_PEX_RES_CERT;
  return (options->supported[x / 8] & 0x80u >> x % 8) != 0;
}

/* --- messages (section 8) --- */

PeerWireFormat
peer_wire_format (const PeerContent *content)
{
  return (PeerWireFormat){
      .addressing = (uint8_t)content->addressing,
      .hash_size = (uint8_t)peer_content_hash_size (content),
      .signature_size = (uint16_t)peer_content_signature_size (content),
      .chunk_size = content->chunk_size,
      .length = peer_content_is_live (content) ? 0 : content->length,
  };
}

static bool
read_handshake (PeerReader *self, PeerMessage *out)
{
  PeerReader start;
  PeerOptions options;

  if (!peer_reader_u32 (self, &out->channel))
    return false;
  start = *self;
  if (!read_options (self, &options))
    return false;
  out->bytes = (PeerReader){start.data, start.left - self->left};
  return true;
}

/* Section 8.6: one chunk, whole, or short as the last of the content: then the last of the
 * datagram as well. */
static bool
read_data (PeerReader *self, const PeerWireFormat *format, PeerMessage *out)
{
  uint64_t n_bytes;
  size_t n;

  if (format->chunk_size == 0 || !read_chunks (self, format, &out->chunks, &n_bytes) ||
      peer_range_size (out->chunks) != 1 || !peer_reader_u64 (self, &out->time))
    return false;
  n = MIN (self->left, format->chunk_size);
  if (n == 0 || (format->addressing == PEER_ADDRESSING_BYTES64 && n != n_bytes))
    return false;
  return peer_reader_bytes (self, n, &out->bytes);
}

static bool
read_pex_v4 (PeerReader *self, PeerMessage *out)
{
  const uint8_t *ip;

  if (!take (self, 4, &ip) || !peer_reader_u16 (self, &out->address.port))
    return false;
  peer_address_set_ip (&out->address, ip, 4);
  return true;
}

static bool
read_pex_v6 (PeerReader *self, PeerMessage *out)
{
  const uint8_t *ip;

  if (!take (self, 16, &ip) || !peer_reader_u16 (self, &out->address.port))
    return false;
  peer_address_set_ip (&out->address, ip, 16);
  return true;
}

static bool
read_certificate (PeerReader *self, PeerMessage *out)
{
  uint16_t n;

  return peer_reader_u16 (self, &n) && n > 0 && peer_reader_bytes (self, n, &out->bytes);
}

static bool
read_message (PeerReader *self, const PeerWireFormat *format, PeerMessage *out)
{
  uint64_t n_bytes;

  switch (out->type) {
  case PEER_MESSAGE_HANDSHAKE:
    return read_handshake (self, out);
  case PEER_MESSAGE_DATA:
    return read_data (self, format, out);
  case PEER_MESSAGE_ACK:
    return read_chunks (self, format, &out->chunks, &n_bytes) && peer_reader_u64 (self, &out->time);
  case PEER_MESSAGE_HAVE:
  case PEER_MESSAGE_REQUEST:
  case PEER_MESSAGE_CANCEL:
    return read_chunks (self, format, &out->chunks, &n_bytes);
  case PEER_MESSAGE_INTEGRITY:
    return format->hash_size != 0 && read_chunks (self, format, &out->chunks, &n_bytes) &&
           peer_reader_bytes (self, format->hash_size, &out->bytes);
  case PEER_MESSAGE_SIGNED_INTEGRITY:
    return format->signature_size != 0 && read_chunks (self, format, &out->chunks, &n_bytes) &&
           peer_reader_u64 (self, &out->time) &&
           peer_reader_bytes (self, format->signature_size, &out->bytes);
  case PEER_MESSAGE_PEX_REQ:
  case PEER_MESSAGE_CHOKE:
  case PEER_MESSAGE_UNCHOKE:
    return true;
  case PEER_MESSAGE_PEX_RES_V4:
    return read_pex_v4 (self, out);
  case PEER_MESSAGE_PEX_RES_V6:
    return read_pex_v6 (self, out);
  case PEER_MESSAGE_PEX_RES_CERT:
    return read_certificate (self, out);
  case PEER_MESSAGE_STATUS:
    return peer_reader_u8 (self, &out->status.access_link) &&
           peer_reader_u8 (self, &out->status.power) && peer_reader_u8 (self, &out->status.load);
  }
  return false;
}

static bool
is_known (PeerMessageType type)
{
  return type <= PEER_MESSAGE_PEX_RES_CERT || type == PEER_MESSAGE_STATUS;
}

PeerWireResult
peer_wire_read (PeerReader *datagram, const PeerWireFormat *format, PeerMessage *out)
{
  PeerReader reader = *datagram;
  uint8_t type;

  if (!peer_reader_u8 (&reader, &type))
    return PEER_WIRE_END;
  memset (out, 0, sizeof *out);
  out->type = (PeerMessageType)type;
  if (format == NULL && out->type != PEER_MESSAGE_HANDSHAKE)
    return PEER_WIRE_MALFORMED;
  if (!is_known (out->type))
    return PEER_WIRE_UNKNOWN;
  if (!read_message (&reader, format, out))
    return PEER_WIRE_MALFORMED;
  *datagram = reader;
  return PEER_WIRE_MESSAGE;
}

static bool
write_bytes (PeerWriter *self, const PeerMessage *message)
{
  return peer_writer_bytes (self, message->bytes.data, message->bytes.left);
}

static bool
write_data (PeerWriter *self, const PeerWireFormat *format, const PeerMessage *message)
{
  size_t n = message->bytes.left;

  return n > 0 && n <= format->chunk_size && peer_range_size (message->chunks) == 1 &&
         write_chunks (self, format, message->chunks, n) && peer_writer_u64 (self, message->time) &&
         write_bytes (self, message);
}

static bool
write_handshake (PeerWriter *self, const PeerMessage *message)
{
  PeerOptions options;

  return peer_options_read (message->bytes, &options) && peer_writer_u32 (self, message->channel) &&
         write_bytes (self, message);
}

static bool
write_message (PeerWriter *self, const PeerWireFormat *format, const PeerMessage *message)
{
  const PeerAddress *address = &message->address;

  switch (message->type) {
  case PEER_MESSAGE_HANDSHAKE:
    return write_handshake (self, message);
  case PEER_MESSAGE_DATA:
    return write_data (self, format, message);
  case PEER_MESSAGE_ACK:
    return write_chunks (self, format, message->chunks, 0) && peer_writer_u64 (self, message->time);
  case PEER_MESSAGE_HAVE:
  case PEER_MESSAGE_REQUEST:
  case PEER_MESSAGE_CANCEL:
    return write_chunks (self, format, message->chunks, 0);
  case PEER_MESSAGE_INTEGRITY:
    return message->bytes.left != 0 && message->bytes.left == format->hash_size &&
           write_chunks (self, format, message->chunks, 0) && write_bytes (self, message);
  case PEER_MESSAGE_SIGNED_INTEGRITY:
    return message->bytes.left != 0 && message->bytes.left == format->signature_size &&
           write_chunks (self, format, message->chunks, 0) &&
           peer_writer_u64 (self, message->time) && write_bytes (self, message);
  case PEER_MESSAGE_PEX_REQ:
  case PEER_MESSAGE_CHOKE:
  case PEER_MESSAGE_UNCHOKE:
    return true;
  case PEER_MESSAGE_PEX_RES_V4:
    return peer_address_is_v4 (address) && peer_writer_bytes (self, address->ip + 12, 4) &&
           peer_writer_u16 (self, address->port);
  case PEER_MESSAGE_PEX_RES_V6:
    return peer_writer_bytes (self, address->ip, 16) && peer_writer_u16 (self, address->port);
  case PEER_MESSAGE_PEX_RES_CERT:
    return message->bytes.left > 0 && message->bytes.left <= UINT16_MAX &&
           peer_writer_u16 (self, (uint16_t)message->bytes.left) && write_bytes (self, message);
  case PEER_MESSAGE_STATUS:
    return peer_writer_u8 (self, message->status.access_link) &&
           peer_writer_u8 (self, message->status.power) &&
           peer_writer_u8 (self, message->status.load);
  }
  return false;
}

bool
peer_wire_write (PeerWriter *datagram, const PeerWireFormat *format, const PeerMessage *message)
{
  size_t before = datagram->used;

  if ((format != NULL || message->type == PEER_MESSAGE_HANDSHAKE) &&
      peer_writer_u8 (datagram, (uint8_t)message->type) &&
      write_message (datagram, format, message))
    return true;
  datagram->used = before;
  return false;
}

size_t
peer_wire_size (const PeerWireFormat *format, const PeerMessage *message)
{
  size_t chunks = format != NULL ? chunks_size (format->addressing) : 0;

  switch (message->type) {
  case PEER_MESSAGE_HANDSHAKE:
    return HANDSHAKE_HEADER + message->bytes.left;
  case PEER_MESSAGE_DATA:
  case PEER_MESSAGE_SIGNED_INTEGRITY:
    return 1 + chunks + 8 + message->bytes.left;
  case PEER_MESSAGE_ACK:
    return 1 + chunks + 8;
  case PEER_MESSAGE_HAVE:
  case PEER_MESSAGE_REQUEST:
  case PEER_MESSAGE_CANCEL:
    return 1 + chunks;
  case PEER_MESSAGE_INTEGRITY:
    return 1 + chunks + message->bytes.left;
  case PEER_MESSAGE_PEX_REQ:
  case PEER_MESSAGE_CHOKE:
  case PEER_MESSAGE_UNCHOKE:
    return 1;
  case PEER_MESSAGE_PEX_RES_V4:
    return 1 + 4 + 2;
  case PEER_MESSAGE_PEX_RES_V6:
    return 1 + 16 + 2;
  case PEER_MESSAGE_PEX_RES_CERT:
    return 1 + 2 + message->bytes.left;
  case PEER_MESSAGE_STATUS:
    return 1 + 3;
  }
  return 0;
}
