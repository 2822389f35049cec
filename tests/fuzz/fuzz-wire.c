/* SPDX-License-Identifier: Apache-2.0 */
/* Any datagram, in any format that a swarm can have. The first four bytes choose the format; what
 * reads must write, and read the same again. */
#include "peer/wire.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

static PeerWireFormat
choose_format (const uint8_t *bytes)
{
  static const uint8_t hashes[] = {32, 20, 28, 48, 64, 0};
  static const uint16_t signatures[] = {64, 96, 128, 256, 512, 0};
  static const uint32_t chunks[] = {16, 1024, 1128, 1, 8192, UINT32_MAX, 0};

  return (PeerWireFormat){
      .addressing = (uint8_t)(bytes[0] % 6), /* one more than there are */
      .hash_size = hashes[bytes[1] % G_N_ELEMENTS (hashes)],
      .signature_size = signatures[bytes[2] % G_N_ELEMENTS (signatures)],
      .chunk_size = chunks[bytes[3] % G_N_ELEMENTS (chunks)],
  };
}

static void
check_equal (const PeerMessage *a, const PeerMessage *b)
{
  g_assert_true (a->type == b->type && a->chunks.first == b->chunks.first &&
                 a->chunks.end == b->chunks.end && a->time == b->time && a->channel == b->channel &&
                 peer_address_equal (&a->address, &b->address) && a->bytes.left == b->bytes.left);
  g_assert_true (a->bytes.left == 0 || memcmp (a->bytes.data, b->bytes.data, a->bytes.left) == 0);
}

static void
check_options (PeerReader bytes)
{
  static uint8_t out[70000], again[70000];
  PeerWriter writer = {out, 0, sizeof out}, rewriter = {again, 0, sizeof again};
  PeerOptions options;

  g_assert_true (peer_options_read (bytes, &options));
  g_assert_true (peer_options_write (&writer, &options));
  g_assert_true (peer_options_read ((PeerReader){out, writer.used}, &options));
  g_assert_true (peer_options_write (&rewriter, &options));
  g_assert_true (writer.used == rewriter.used && memcmp (out, again, writer.used) == 0);
}

static void
check_message (const PeerWireFormat *format, const PeerMessage *message)
{
  static uint8_t out[70000];
  PeerWriter writer = {out, 0, sizeof out};
  PeerReader reader;
  PeerMessage again;

  g_assert_true (peer_wire_write (&writer, format, message));
  g_assert_true (writer.used == peer_wire_size (format, message));
  reader = (PeerReader){out, writer.used};
  g_assert_true (peer_wire_read (&reader, format, &again) == PEER_WIRE_MESSAGE);
  g_assert_true (reader.left == 0);
  check_equal (message, &again);
  if (message->type == PEER_MESSAGE_HANDSHAKE)
    check_options (message->bytes);
}

static void
check_parts (const PeerWireFormat *format, PeerRange run)
{
  uint64_t at = run.first;

  for (unsigned n = 0; !peer_range_is_empty (run); n++) {
    PeerRange part = peer_wire_next_part (format, &run);

    g_assert_true (part.first == at && part.end > part.first && n < 200);
    at = part.end;
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  PeerWireFormat format;
  PeerReader reader;
  PeerMessage message;
  PeerWireResult result;

  if (n < 4)
    return 0;
  format = choose_format (bytes);
  reader = (PeerReader){bytes + 4, n - 4};
  while ((result = peer_wire_read (&reader, &format, &message)) == PEER_WIRE_MESSAGE) {
    check_message (&format, &message);
    check_parts (&format, message.chunks);
  }
  g_assert_true (result != PEER_WIRE_END || reader.left == 0);

  reader = (PeerReader){bytes + 4, n - 4}; /* before the handshake */
  if (peer_wire_read (&reader, NULL, &message) == PEER_WIRE_MESSAGE)
    g_assert_true (message.type == PEER_MESSAGE_HANDSHAKE);
  return 0;
}
