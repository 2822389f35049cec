/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/wire.h"
#include "tests/lib/golden.h"
#include "tests/lib/mutate.h"

#include <string.h>

#define CHUNK 16 /* bytes; that of the golden files */

static const char *const golden_files[] = {
    [PEER_ADDRESSING_BINS32] = "golden/wire-bins32.txt",
    [PEER_ADDRESSING_BYTES64] = "golden/wire-bytes64.txt",
    [PEER_ADDRESSING_CHUNKS32] = "golden/wire-chunks32.txt",
    [PEER_ADDRESSING_BINS64] = "golden/wire-bins64.txt",
    [PEER_ADDRESSING_CHUNKS64] = "golden/wire-chunks64.txt",
};

static PeerWireFormat
golden_format (unsigned addressing)
{
  return (PeerWireFormat){
      .addressing = (uint8_t)addressing,
      .hash_size = 32,
      .signature_size = 64,
      .chunk_size = CHUNK,
  };
}

static void
assert_messages_equal (const PeerMessage *a, const PeerMessage *b)
{
  g_assert_cmpint (a->type, ==, b->type);
  g_assert_cmpuint (a->chunks.first, ==, b->chunks.first);
  g_assert_cmpuint (a->chunks.end, ==, b->chunks.end);
  g_assert_cmpuint (a->time, ==, b->time);
  g_assert_cmpuint (a->channel, ==, b->channel);
  g_assert_true (peer_address_equal (&a->address, &b->address));
  g_assert_cmpmem (a->bytes.data, a->bytes.left, b->bytes.data, b->bytes.left);
}

static PeerMessage
read_one (const uint8_t *bytes, size_t n, const PeerWireFormat *format)
{
  PeerReader reader = {bytes, n};
  PeerMessage message;

  g_assert_cmpint (peer_wire_read (&reader, format, &message), ==, PEER_WIRE_MESSAGE);
  g_assert_cmpuint (reader.left, ==, 0);
  return message;
}

static bool
reads (const uint8_t *bytes, size_t n, const PeerWireFormat *format)
{
  PeerReader reader = {bytes, n};
  PeerMessage message;

  return peer_wire_read (&reader, format, &message) == PEER_WIRE_MESSAGE;
}

/* --- golden bytes --- */

/* What the golden files hold, in our words. bytes: n of them, counting up from `from`. */
static const struct {
  const char *name;
  PeerMessageType type;
  PeerRange chunks;
  uint64_t time;
  size_t n;
  uint8_t from;
  const char *address;
} expected[] = {
    {"data", PEER_MESSAGE_DATA, {5, 6}, 0x0005a1b2c3d4e5f6, 16, 0x40, NULL},
    {"data-short", PEER_MESSAGE_DATA, {5, 6}, 0x0005a1b2c3d4e5f6, 7, 0x40, NULL},
    {"ack", PEER_MESSAGE_ACK, {4, 8}, 100, 0, 0, NULL},
    {"have", PEER_MESSAGE_HAVE, {0, 2}, 0, 0, 0, NULL},
    {"have-nothing", PEER_MESSAGE_HAVE, {0, 0}, 0, 0, 0, NULL},
    {"have-everything", PEER_MESSAGE_HAVE, {0, UINT64_MAX}, 0, 0, 0, NULL},
    {"integrity", PEER_MESSAGE_INTEGRITY, {4, 8}, 0, 32, 0, NULL},
    {"pex-res-v4", PEER_MESSAGE_PEX_RES_V4, {0, 0}, 0, 0, 0, "192.0.2.33:6778"},
    {"pex-req", PEER_MESSAGE_PEX_REQ, {0, 0}, 0, 0, 0, NULL},
    {"signed-integrity",
     PEER_MESSAGE_SIGNED_INTEGRITY,
     {64, 128},
     0xdcd2aa1580000000,
     64,
     0x80,
     NULL},
    {"request", PEER_MESSAGE_REQUEST, {6, 7}, 0, 0, 0, NULL},
    {"cancel", PEER_MESSAGE_CANCEL, {6, 8}, 0, 0, 0, NULL},
    {"choke", PEER_MESSAGE_CHOKE, {0, 0}, 0, 0, 0, NULL},
    {"unchoke", PEER_MESSAGE_UNCHOKE, {0, 0}, 0, 0, 0, NULL},
    {"pex-res-v6", PEER_MESSAGE_PEX_RES_V6, {0, 0}, 0, 0, 0, "[2001:db8::21]:6778"},
};

/* storage: where the message's bytes shall lie. */
static PeerMessage
expected_message (const char *name, uint8_t storage[64])
{
  static const uint8_t certificate[] = {0x30, 0x03, 0x02, 0x01, 0x07};

  for (size_t i = 0; i < G_N_ELEMENTS (expected); i++) {
    PeerMessage message = {.type = expected[i].type,
                           .chunks = expected[i].chunks,
                           .time = expected[i].time,
                           .bytes = {storage, expected[i].n}};

    if (strcmp (expected[i].name, name) != 0)
      continue;
    for (size_t j = 0; j < expected[i].n; j++)
      storage[j] = (uint8_t)(expected[i].from + j);
    if (expected[i].address != NULL)
      g_assert_true (peer_address_parse (expected[i].address, &message.address));
    return message;
  }
  g_assert_cmpstr (name, ==, "pex-res-cert");
  return (PeerMessage){.type = PEER_MESSAGE_PEX_RES_CERT, .bytes = {certificate, 5}};
}

static void
test_golden (gconstpointer data)
{
  unsigned addressing = GPOINTER_TO_UINT (data);
  PeerWireFormat format = golden_format (addressing);
  g_autoptr (GPtrArray) entries = golden_read (golden_files[addressing]);
  bool bins = addressing == PEER_ADDRESSING_BINS32 || addressing == PEER_ADDRESSING_BINS64;

  g_assert_cmpuint (entries->len, ==, G_N_ELEMENTS (expected) + (bins ? 1 : 0));
  for (guint i = 0; i < entries->len; i++) {
    const GoldenEntry *entry = entries->pdata[i];
    uint8_t storage[64], out[256];
    PeerMessage message = expected_message (entry->name, storage);
    PeerMessage got = read_one (entry->bytes->data, entry->bytes->len, &format);
    PeerWriter writer = {out, 0, sizeof out};

    g_test_message ("%s", entry->name);
    assert_messages_equal (&got, &message);
    g_assert_true (peer_wire_write (&writer, &format, &message));
    g_assert_cmpmem (out, writer.used, entry->bytes->data, entry->bytes->len);
    g_assert_cmpuint (peer_wire_size (&format, &message), ==, entry->bytes->len);
  }
}

/* All golden messages of an addressing in one datagram, the short DATA at its end. */
static void
test_datagram (gconstpointer data)
{
  unsigned addressing = GPOINTER_TO_UINT (data);
  PeerWireFormat format = golden_format (addressing);
  g_autoptr (GPtrArray) entries = golden_read (golden_files[addressing]);
  g_autoptr (GByteArray) datagram = g_byte_array_new ();
  const GByteArray *last = golden_find (entries, "data-short");
  PeerReader reader;
  PeerMessage message;
  guint n = 0;

  for (guint i = 0; i < entries->len; i++) {
    const GoldenEntry *entry = entries->pdata[i];

    if (entry->bytes != last)
      g_byte_array_append (datagram, entry->bytes->data, entry->bytes->len);
  }
  g_byte_array_append (datagram, last->data, last->len);
  reader = (PeerReader){datagram->data, datagram->len};
  while (peer_wire_read (&reader, &format, &message) == PEER_WIRE_MESSAGE)
    n++;
  g_assert_cmpint (peer_wire_read (&reader, &format, &message), ==, PEER_WIRE_END);
  g_assert_cmpuint (n, ==, entries->len);
  g_assert_cmpuint (message.bytes.left, ==, 7);
}

static void
test_section_8_2 (void)
{
  static const uint8_t bytes[] = {0x03, 0x00, 0x00, 0x00, 0x01};
  PeerWireFormat format = golden_format (PEER_ADDRESSING_BINS32);
  PeerMessage message = read_one (bytes, sizeof bytes, &format);

  g_assert_cmpint (message.type, ==, PEER_MESSAGE_HAVE);
  g_assert_cmpuint (message.chunks.first, ==, 0);
  g_assert_cmpuint (message.chunks.end, ==, 2);
}

/* --- handshakes --- */

static PeerOptions
golden_options (const char *name, uint32_t channel)
{
  g_autoptr (GPtrArray) entries = golden_read ("golden/wire-handshake.txt");
  const GByteArray *bytes = golden_find (entries, name);
  PeerMessage message = read_one (bytes->data, bytes->len, NULL);
  PeerWireFormat format = golden_format (PEER_ADDRESSING_CHUNKS64);
  uint8_t out[256], again[256];
  PeerWriter writer = {out, 0, sizeof out}, rewriter = {again, 0, sizeof again};
  PeerOptions options;

  g_assert_cmpint (message.type, ==, PEER_MESSAGE_HANDSHAKE);
  g_assert_cmphex (message.channel, ==, channel);
  g_assert_true (peer_options_read (message.bytes, &options));
  g_assert_true (peer_options_write (&rewriter, &options));
  g_assert_cmpmem (again, rewriter.used, message.bytes.data, message.bytes.left);
  g_assert_true (peer_wire_write (&writer, NULL, &message));
  g_assert_cmpmem (out, writer.used, bytes->data, bytes->len);
  g_assert_cmpuint (peer_wire_size (NULL, &message), ==, bytes->len);
  message = read_one (bytes->data, bytes->len, &format); /* the format does not matter to it */
  if (options.has_swarm_id) { /* the entries go; tests of the ID look at static bytes */
    static uint8_t id[65];

    memcpy (id, options.swarm_id.data, options.swarm_id.left);
    options.swarm_id.data = id;
  }
  return options;
}

static void
test_handshake_static (void)
{
  PeerOptions options = golden_options ("static", 0x12345678);

  g_assert_true (options.has_version && options.version == 1);
  g_assert_true (options.has_minimum_version && options.minimum_version == 1);
  g_assert_true (options.has_swarm_id && options.swarm_id.left == 32);
  g_assert_cmphex (options.swarm_id.data[0], ==, 0x45);
  g_assert_true (options.has_method && options.method == PEER_METHOD_MERKLE);
  g_assert_true (options.has_hash && options.hash == PEER_HASH_SHA256);
  g_assert_true (options.has_addressing && options.addressing == PEER_ADDRESSING_CHUNKS32);
  g_assert_true (options.has_chunk_size && options.chunk_size == 1024);
  g_assert_false (options.has_signature || options.has_discard_window || options.has_supported);
  for (int type = 0; type <= PEER_MESSAGE_PEX_RES_CERT; type++)
    g_assert_true (peer_options_supports (&options, (PeerMessageType)type));
  g_assert_false (peer_options_supports (&options, (PeerMessageType)14));
  g_assert_false (peer_options_supports (&options, (PeerMessageType)256));
}

static void
test_handshake_live (void)
{
  PeerOptions options = golden_options ("live", 0xfedcba98);

  g_assert_true (options.has_swarm_id && options.swarm_id.left == 65);
  g_assert_true (options.has_method && options.method == PEER_METHOD_UNIFIED_MERKLE);
  g_assert_true (options.has_signature && options.signature == PEER_SIGNATURE_ECDSAP256SHA256);
  g_assert_true (options.has_addressing && options.addressing == PEER_ADDRESSING_CHUNKS64);
  g_assert_true (options.has_discard_window && options.discard_window == 32768);
  g_assert_true (options.has_chunk_size && options.chunk_size == 1128);
  /* section 7.10: d9 f0 is all but ACK and PEX */
  g_assert_true (options.has_supported);
  for (int type = 0; type < 256; type++) {
    bool ack_or_pex = type == PEER_MESSAGE_ACK || type == PEER_MESSAGE_PEX_REQ ||
                      type == PEER_MESSAGE_PEX_RES_V4 || type == PEER_MESSAGE_PEX_RES_V6 ||
                      type == PEER_MESSAGE_PEX_RES_CERT;

    g_assert_cmpint (peer_options_supports (&options, (PeerMessageType)type), ==,
                     type <= PEER_MESSAGE_PEX_RES_CERT && !ack_or_pex);
  }
}

static void
test_handshake_window (void)
{
  PeerOptions options = golden_options ("live-keeps-all", 1);
  uint8_t out[16];
  PeerWriter writer = {out, 0, sizeof out};

  g_assert_true (options.has_discard_window && options.discard_window == UINT64_MAX);

  /* 2^32 chunks and more are no number of 32 bits, and as good as all. */
  options = (PeerOptions){.has_addressing = true,
                          .addressing = PEER_ADDRESSING_CHUNKS32,
                          .has_discard_window = true,
                          .discard_window = UINT64_C (1) << 33};
  g_assert_true (peer_options_write (&writer, &options));
  g_assert_cmpmem (out, writer.used, "\x06\x02\x07\xff\xff\xff\xff\xff", 8);
  writer.used = 0;
  options.has_addressing = false;
  g_assert_false (peer_options_write (&writer, &options));
  g_assert_cmpuint (writer.used, ==, 0);
}

static void
test_handshake_close (void)
{
  PeerOptions options = golden_options ("close", 0);

  g_assert_false (options.has_version);
  options = golden_options ("close-with-version", 0);
  g_assert_true (options.has_version && options.version == 1);
}

static void
test_bad_options (void)
{
  static const struct {
    const char *bytes;
    size_t n;
  } rows[] = {
      {"", 0},                                 /* no end */
      {"\x00\x01", 2},                         /* no end */
      {"\xff\xff", 2},                         /* bytes behind the end */
      {"\xff\x00", 2},                         /* likewise */
      {"\x01\x01\x00\x01\xff", 5},             /* not sorted */
      {"\x00\x01\x00\x01\xff", 5},             /* twice */
      {"\x0a\x01\xff", 3},                     /* unknown */
      {"\xfe\xff", 2},                         /* unknown */
      {"\x02\x00\x04\x01\x02\x03\xff", 7},     /* swarm ID cut */
      {"\x02\xff\xff", 3},                     /* swarm ID cut */
      {"\x07\x00\x00\x00\x01\xff", 6},         /* window without addressing */
      {"\x06\x05\x07\x00\x00\x00\x01\xff", 8}, /* window of unknown width */
      {"\x06\x04\x07\x00\x00\x00\x01\xff", 8}, /* window cut */
      {"\x08\x02\xff", 3},                     /* bitmap cut */
      {"\x08\x21\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff",
       36},                        /* bitmap of 264 bits */
      {"\x09\x00\x00\x04\xff", 5}, /* chunk size cut */
  };
  PeerOptions options;

  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    PeerReader reader = {(const uint8_t *)rows[i].bytes, rows[i].n};

    if (peer_options_read (reader, &options))
      g_error ("row %u was taken", (unsigned)i);
  }
}

/* --- what is malformed --- */

static void
assert_malformed (unsigned addressing, const char *bytes, size_t n)
{
  PeerWireFormat format = golden_format (addressing);
  PeerReader reader = {(const uint8_t *)bytes, n};
  PeerMessage message;

  g_assert_cmpint (peer_wire_read (&reader, &format, &message), ==, PEER_WIRE_MALFORMED);
  g_assert_true (reader.data == (const uint8_t *)bytes);
  g_assert_cmpuint (reader.left, ==, n);
}

static void
test_bad_ranges (void)
{
  /* inverted */
  assert_malformed (PEER_ADDRESSING_CHUNKS32, "\x03\0\0\0\x02\0\0\0\x01", 9);
  assert_malformed (PEER_ADDRESSING_CHUNKS64, "\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01", 17);
  assert_malformed (PEER_ADDRESSING_BYTES64, "\x03\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x0f", 17);
  assert_malformed (PEER_ADDRESSING_CHUNKS32, "\x03\xff\xff\xff\xff\0\0\0\x01", 9);
  /* its end overflows */
  assert_malformed (PEER_ADDRESSING_CHUNKS64,
                    "\x03\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 17);
  assert_malformed (PEER_ADDRESSING_BYTES64, "\x03\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
                    17);
  assert_malformed (PEER_ADDRESSING_BYTES64, "\x03\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xf3",
                    17);
  /* starts inside a chunk */
  assert_malformed (PEER_ADDRESSING_BYTES64, "\x03\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x0f", 17);
  /* an addressing that there is not */
  assert_malformed (5, "\x03\0\0\0\x01\0\0\0\x02", 9);
}

/* A content of 4 chunks, the last of 2 bytes: whatever names chunk 3 ends where the content does.
 * The node [2, 4) is filled, and [4, 8), beside which it stands, is not, and has no end to share
 * (RFC 7574, 4.1.2 and 5.1). */
static void
test_short_last_chunk (void)
{
  static const struct {
    PeerRange chunks;
    uint64_t first, last;
  } rows[] = {{{0, 4}, 0, 3 * CHUNK + 1},         {{3, 4}, 3 * CHUNK, 3 * CHUNK + 1},
              {{2, 4}, 2 * CHUNK, 3 * CHUNK + 1}, {{0, 3}, 0, 3 * CHUNK - 1},
              {{0, 8}, 0, 8 * CHUNK - 1},         {{4, 8}, 4 * CHUNK, 8 * CHUNK - 1}};
  static const PeerMessageType types[] = {PEER_MESSAGE_HAVE, PEER_MESSAGE_ACK, PEER_MESSAGE_REQUEST,
                                          PEER_MESSAGE_CANCEL, PEER_MESSAGE_INTEGRITY};
  PeerWireFormat format = golden_format (PEER_ADDRESSING_BYTES64);
  uint8_t bytes[256], hash[PEER_HASH_MAX] = {7};

  format.length = 3 * CHUNK + 2;
  for (size_t i = 0; i < G_N_ELEMENTS (rows) * G_N_ELEMENTS (types); i++) {
    PeerRange chunks = rows[i % G_N_ELEMENTS (rows)].chunks;
    PeerMessageType type = types[i / G_N_ELEMENTS (rows)];
    PeerMessage message = {.type = type, .chunks = chunks}, back;
    PeerWriter writer = {bytes, 0, sizeof bytes};
    uint64_t first = 0, last = 0;

    if (type == PEER_MESSAGE_INTEGRITY)
      message.bytes = (PeerReader){hash, format.hash_size};
    g_assert_true (peer_wire_write (&writer, &format, &message));
    PeerReader numbers = {bytes + 1, writer.used - 1}, reader = {bytes, writer.used};
    g_assert_true (peer_reader_u64 (&numbers, &first));
    g_assert_true (peer_reader_u64 (&numbers, &last));
    g_assert_cmpuint (first, ==, rows[i % G_N_ELEMENTS (rows)].first);
    g_assert_cmpuint (last, ==, rows[i % G_N_ELEMENTS (rows)].last);
    g_assert_cmpint (peer_wire_read (&reader, &format, &back), ==, PEER_WIRE_MESSAGE);
    g_assert_cmpuint (back.chunks.first, ==, chunks.first);
    g_assert_cmpuint (back.chunks.end, ==, chunks.end);
  }
  /* any other byte inside a chunk is no end of anything, once the length is known */
  PeerWriter writer = {bytes, 0, sizeof bytes};
  peer_writer_u8 (&writer, PEER_MESSAGE_HAVE);
  peer_writer_u64 (&writer, 0);
  peer_writer_u64 (&writer, 3 * CHUNK);
  g_assert_false (reads (bytes, writer.used, &format));
  format.length = 0;
  g_assert_true (reads (bytes, writer.used, &format));
}

static void
test_edge_ranges (void)
{
  PeerWireFormat format = golden_format (PEER_ADDRESSING_CHUNKS32);
  PeerMessage message = read_one ((const uint8_t *)"\x03\0\0\0\x07\xff\xff\xff\xff", 9, &format);

  g_assert_cmpuint (message.chunks.first, ==, 7);
  g_assert_cmpuint (message.chunks.end, ==, UINT64_C (1) << 32);
  format.addressing = PEER_ADDRESSING_CHUNKS64;
  message = read_one ((const uint8_t *)"\x03\0\0\0\0\0\0\0\x07\xff\xff\xff\xff\xff\xff\xff\xfe", 17,
                      &format);
  g_assert_cmpuint (message.chunks.end, ==, UINT64_MAX);
  format.addressing = PEER_ADDRESSING_BYTES64; /* ends with the content, inside a chunk */
  message = read_one ((const uint8_t *)"\x03\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\x31", 17, &format);
  g_assert_cmpuint (message.chunks.first, ==, 2);
  g_assert_cmpuint (message.chunks.end, ==, 4);
  format.chunk_size = UINT32_MAX; /* bytes say nothing about chunks of variable size */
  g_assert_false (reads ((const uint8_t *)"\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0f", 17, &format));
  format.addressing = PEER_ADDRESSING_BINS64; /* the last leaf of the tree */
  message = read_one ((const uint8_t *)"\x03\xff\xff\xff\xff\xff\xff\xff\xfe", 9, &format);
  g_assert_cmpuint (message.chunks.end, ==, UINT64_C (1) << 63);
}

static void
test_bad_messages (void)
{
  PeerWireFormat none = {.addressing = PEER_ADDRESSING_CHUNKS32, .chunk_size = CHUNK};
  static const uint8_t zeros[128];
  uint8_t bytes[128] = {0};

  bytes[0] = PEER_MESSAGE_INTEGRITY; /* the method has no hashes, no signatures */
  g_assert_false (reads (bytes, sizeof bytes, &none));
  bytes[0] = PEER_MESSAGE_SIGNED_INTEGRITY;
  g_assert_false (reads (bytes, sizeof bytes, &none));
  bytes[0] = PEER_MESSAGE_PEX_RES_CERT; /* a certificate of no bytes */
  g_assert_false (reads (bytes, sizeof bytes, &none));
  for (unsigned type = PEER_MESSAGE_PEX_RES_CERT + 1; type < 256; type++) {
    if (type == PEER_MESSAGE_STATUS)
      continue;               /* ours */
    bytes[0] = (uint8_t)type; /* Table 7: not assigned, or reserved */
    g_assert_cmpint (peer_wire_read (&(PeerReader){bytes, sizeof bytes}, &none, &(PeerMessage){0}),
                     ==, PEER_WIRE_UNKNOWN);
  }
  bytes[0] = PEER_MESSAGE_HAVE; /* before the handshake there is only HANDSHAKE */
  g_assert_false (reads (bytes, sizeof bytes, NULL));
  g_assert_cmpint (
      peer_wire_read (&(PeerReader){zeros, 0}, NULL, &(PeerMessage){.type = PEER_MESSAGE_DATA}), ==,
      PEER_WIRE_END);
}

static void
test_bad_data (void)
{
  PeerWireFormat format = golden_format (PEER_ADDRESSING_CHUNKS32);
  uint8_t bytes[64] = {PEER_MESSAGE_DATA};

  assert_malformed (PEER_ADDRESSING_CHUNKS32, (const char *)bytes, 17); /* no chunk in it */
  g_assert_true (reads (bytes, 18, &format));
  bytes[8] = 1; /* two chunks */
  assert_malformed (PEER_ADDRESSING_CHUNKS32, (const char *)bytes, 50);
  memset (bytes + 1, 0xff, 8); /* no chunk */
  assert_malformed (PEER_ADDRESSING_CHUNKS32, (const char *)bytes, 33);
  memset (bytes + 1, 0, 8);
  format.chunk_size = 0;
  g_assert_false (reads (bytes, 33, &format));
  format.chunk_size = UINT32_MAX; /* of variable size: the rest of the datagram */
  g_assert_cmpuint (read_one (bytes, sizeof bytes, &format).bytes.left, ==, sizeof bytes - 17);

  /* Byte ranges say the size once more: it must be the same. */
  memset (bytes + 1, 0, 16);
  bytes[16] = CHUNK - 1;
  format = golden_format (PEER_ADDRESSING_BYTES64);
  g_assert_true (reads (bytes, 25 + CHUNK, &format));
  assert_malformed (PEER_ADDRESSING_BYTES64, (const char *)bytes, 25 + CHUNK - 1);
  bytes[16] = CHUNK - 2;
  g_assert_true (reads (bytes, 25 + CHUNK - 1, &format));
  assert_malformed (PEER_ADDRESSING_BYTES64, (const char *)bytes, 25 + CHUNK);
}

/* --- what cannot be written --- */

static void
assert_unwritable (unsigned addressing, PeerMessage message)
{
  PeerWireFormat format = golden_format (addressing);
  uint8_t out[256];
  PeerWriter writer = {out, 3, sizeof out};

  g_assert_false (peer_wire_write (&writer, &format, &message));
  g_assert_cmpuint (writer.used, ==, 3);
}

static PeerMessage
have (uint64_t first, uint64_t end)
{
  return (PeerMessage){.type = PEER_MESSAGE_HAVE, .chunks = {first, end}};
}

static void
test_no_form (void)
{
  uint8_t bytes[CHUNK + 1] = {0};
  PeerMessage data = {.type = PEER_MESSAGE_DATA, .chunks = {0, 1}, .bytes = {bytes, CHUNK + 1}};

  assert_unwritable (PEER_ADDRESSING_BINS32, have (0, 3));
  assert_unwritable (PEER_ADDRESSING_BINS32, have (0, UINT64_C (1) << 32));
  assert_unwritable (PEER_ADDRESSING_BINS32, have (UINT64_C (1) << 31, (UINT64_C (1) << 31) + 1));
  assert_unwritable (PEER_ADDRESSING_BINS64, have (1, 3));
  assert_unwritable (PEER_ADDRESSING_BINS64, have (UINT64_C (1) << 63, (UINT64_C (1) << 63) + 1));
  assert_unwritable (PEER_ADDRESSING_CHUNKS32, have (0, (UINT64_C (1) << 32) + 1));
  assert_unwritable (PEER_ADDRESSING_CHUNKS32, have (UINT32_MAX, (UINT64_C (1) << 32)));
  assert_unwritable (PEER_ADDRESSING_CHUNKS32, have (3, 2));
  assert_unwritable (PEER_ADDRESSING_BYTES64, have (0, UINT64_MAX));
  assert_unwritable (PEER_ADDRESSING_BYTES64, have (0, (UINT64_C (1) << 60)));
  assert_unwritable (7, have (0, 1));

  assert_unwritable (PEER_ADDRESSING_CHUNKS32, data); /* more than a chunk */
  data.bytes.left = 0;
  assert_unwritable (PEER_ADDRESSING_CHUNKS32, data);
  data.bytes.left = 1;
  data.chunks.end = 2;
  assert_unwritable (PEER_ADDRESSING_CHUNKS32, data);
  data.type = PEER_MESSAGE_INTEGRITY; /* a hash of another size */
  assert_unwritable (PEER_ADDRESSING_CHUNKS32, data);
  data.type = PEER_MESSAGE_SIGNED_INTEGRITY;
  assert_unwritable (PEER_ADDRESSING_CHUNKS32, data);
  data.type = PEER_MESSAGE_HANDSHAKE; /* no options */
  assert_unwritable (PEER_ADDRESSING_CHUNKS32, data);
  data.type = PEER_MESSAGE_PEX_RES_V4; /* an IPv6 address */
  assert_unwritable (PEER_ADDRESSING_CHUNKS32, data);
  data.type = (PeerMessageType)14;
  assert_unwritable (PEER_ADDRESSING_CHUNKS32, data);
}

/* In any room that is too small nothing is written, and nothing behind the room is touched. */
static void
test_no_room (gconstpointer user_data)
{
  unsigned addressing = GPOINTER_TO_UINT (user_data);
  PeerWireFormat format = golden_format (addressing);
  g_autoptr (GPtrArray) entries = golden_read (golden_files[addressing]);

  for (guint i = 0; i < entries->len; i++) {
    const GoldenEntry *entry = entries->pdata[i];
    PeerMessage message = read_one (entry->bytes->data, entry->bytes->len, &format);

    for (size_t room = 0; room <= entry->bytes->len; room++) {
      uint8_t out[256];
      PeerWriter writer = {out, 2, 2 + room};

      memset (out, 0xa5, sizeof out);
      g_assert_cmpint (peer_wire_write (&writer, &format, &message), ==, room == entry->bytes->len);
      g_assert_cmpuint (writer.used, ==, room == entry->bytes->len ? 2 + room : 2);
      for (size_t j = 2 + room; j < sizeof out; j++)
        g_assert_cmphex (out[j], ==, 0xa5);
    }
  }
}

static void
test_no_room_for_options (void)
{
  g_autoptr (GPtrArray) entries = golden_read ("golden/wire-handshake.txt");

  for (guint i = 0; i < entries->len; i++) {
    const GoldenEntry *entry = entries->pdata[i];
    PeerReader bytes = {entry->bytes->data + 5, entry->bytes->len - 5};
    PeerOptions options;

    g_assert_true (peer_options_read (bytes, &options));
    for (size_t room = 0; room <= bytes.left; room++) {
      uint8_t out[256];
      PeerWriter writer = {out, 2, 2 + room};

      memset (out, 0xa5, sizeof out);
      g_assert_cmpint (peer_options_write (&writer, &options), ==, room == bytes.left);
      g_assert_cmpuint (writer.used, ==, room == bytes.left ? 2 + room : 2);
      for (size_t j = 2 + room; j < sizeof out; j++)
        g_assert_cmphex (out[j], ==, 0xa5);
    }
  }
}

/* --- parts --- */

static void
test_parts (void)
{
  PeerWireFormat bins = golden_format (PEER_ADDRESSING_BINS64);
  PeerWireFormat ranges = golden_format (PEER_ADDRESSING_CHUNKS64);
  static const PeerRange runs[] = {
      {0, 1}, {0, 7}, {1, 8}, {3, 21}, {5, 100}, {0, UINT64_C (1) << 63}, {1, UINT64_C (1) << 63}};

  for (size_t i = 0; i < G_N_ELEMENTS (runs); i++) {
    PeerRange run = runs[i], part;
    uint64_t at = run.first;
    unsigned n = 0;

    while (!peer_range_is_empty (run)) {
      part = peer_wire_next_part (&bins, &run);
      g_assert_true (peer_range_is_node (part));
      g_assert_cmpuint (part.first, ==, at);
      g_assert_cmpuint (run.first, ==, part.end);
      at = part.end;
      n++;
    }
    g_assert_cmpuint (at, ==, runs[i].end);
    g_assert_cmpuint (n, <=, 126); /* two for each layer at most */
    run = runs[i];
    part = peer_wire_next_part (&ranges, &run);
    g_assert_cmpuint (part.first, ==, runs[i].first);
    g_assert_cmpuint (part.end, ==, runs[i].end);
    g_assert_true (peer_range_is_empty (run));
  }
}

static void
test_parts_are_few (void)
{
  PeerWireFormat bins = golden_format (PEER_ADDRESSING_BINS32);
  PeerRange run = {0, UINT64_MAX}, part = peer_wire_next_part (&bins, &run);

  g_assert_cmpuint (part.end, ==, UINT64_MAX); /* "everything" has its own bin */
  g_assert_true (peer_range_is_empty (run));
  run = (PeerRange){3, 21}; /* 3, 4-7, 8-15, 16-19, 20 */
  part = peer_wire_next_part (&bins, &run);
  g_assert_cmpuint (part.end, ==, 4);
  part = peer_wire_next_part (&bins, &run);
  g_assert_cmpuint (part.end, ==, 8);
  part = peer_wire_next_part (&bins, &run);
  g_assert_cmpuint (part.end, ==, 16);
  part = peer_wire_next_part (&bins, &run);
  g_assert_cmpuint (part.end, ==, 20);
  part = peer_wire_next_part (&bins, &run);
  g_assert_cmpuint (part.end, ==, 21);
}

/* --- any bytes: what reads, writes and reads the same --- */

static void
check_any_bytes (const uint8_t *bytes, size_t n, void *data)
{
  const PeerWireFormat *format = data;
  PeerReader reader = {bytes, n};
  PeerMessage message, again;
  PeerWireResult result;

  while ((result = peer_wire_read (&reader, format, &message)) == PEER_WIRE_MESSAGE) {
    uint8_t out[2048];
    PeerWriter writer = {out, 0, sizeof out};
    PeerOptions options;

    g_assert_true (peer_wire_write (&writer, format, &message));
    g_assert_cmpuint (writer.used, ==, peer_wire_size (format, &message));
    again = read_one (out, writer.used, format);
    assert_messages_equal (&message, &again);
    if (message.type == PEER_MESSAGE_HANDSHAKE)
      g_assert_true (peer_options_read (message.bytes, &options));
  }
  g_assert_true (result != PEER_WIRE_END || reader.left == 0);
}

static void
test_mutations (gconstpointer data)
{
  unsigned addressing = GPOINTER_TO_UINT (data);
  PeerWireFormat format = golden_format (addressing);
  g_autoptr (GPtrArray) entries = golden_read (golden_files[addressing]);
  g_autoptr (GPtrArray) handshakes = golden_read ("golden/wire-handshake.txt");
  size_t made = 0;

  for (guint i = 0; i < entries->len; i++) {
    const GoldenEntry *entry = entries->pdata[i];

    made += mutate (entry->bytes->data, entry->bytes->len, check_any_bytes, &format);
  }
  for (guint i = 0; i < handshakes->len; i++) {
    const GoldenEntry *entry = handshakes->pdata[i];

    made += mutate (entry->bytes->data, entry->bytes->len, check_any_bytes, &format);
    mutate (entry->bytes->data, entry->bytes->len, check_any_bytes, NULL);
  }
  g_test_message ("%u inputs", (unsigned)made);
  g_assert_cmpuint (made, >, 100000);
}

/* A hash and a chunk of 1 KiB: the datagram that nearly all traffic is made of. */
static void
test_mutations_of_data (void)
{
  PeerWireFormat format = {PEER_ADDRESSING_CHUNKS32, 32, 0, 1024};
  static uint8_t chunk[1024], out[2048];
  PeerWriter writer = {out, 0, sizeof out};
  PeerMessage integrity = {.type = PEER_MESSAGE_INTEGRITY, .chunks = {4, 8}, .bytes = {chunk, 32}};
  PeerMessage data = {.type = PEER_MESSAGE_DATA, .chunks = {8, 9}, .bytes = {chunk, 1024}};

  g_assert_true (peer_wire_write (&writer, &format, &integrity));
  g_assert_true (peer_wire_write (&writer, &format, &data));
  g_assert_cmpuint (writer.used, ==, 41 + 17 + 1024);
  g_assert_cmpuint (mutate (out, writer.used, check_any_bytes, &format), >, 279157);
}

static void
test_format (void)
{
  PeerContent content;
  PeerWireFormat format;

  peer_content_init_static (&content);
  content.swarm_id_size = 32;
  format = peer_wire_format (&content);
  g_assert_cmpuint (format.addressing, ==, 2);
  g_assert_cmpuint (format.hash_size, ==, 32);
  g_assert_cmpuint (format.signature_size, ==, 0);
  g_assert_cmpuint (format.chunk_size, ==, 1024);
  peer_content_init_live (&content);
  content.swarm_id_size = 65;
  format = peer_wire_format (&content);
  g_assert_cmpuint (format.addressing, ==, 4);
  g_assert_cmpuint (format.signature_size, ==, 64);
}

/* Short reads leave all as it was. */
static void
test_reader (void)
{
  static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7};
  PeerReader reader = {bytes, 7}, part = {bytes, 99};
  uint8_t u8;
  uint16_t u16;
  uint32_t u32;
  uint64_t u64 = 42;

  g_assert_false (peer_reader_u64 (&reader, &u64));
  g_assert_cmpuint (u64, ==, 42);
  g_assert_false (peer_reader_bytes (&reader, 8, &part));
  g_assert_false (peer_reader_bytes (&reader, SIZE_MAX, &part));
  g_assert_cmpuint (part.left, ==, 99);
  g_assert_cmpuint (reader.left, ==, 7);
  g_assert_true (peer_reader_u8 (&reader, &u8) && u8 == 1);
  g_assert_true (peer_reader_u16 (&reader, &u16) && u16 == 0x0203);
  g_assert_true (peer_reader_u32 (&reader, &u32) && u32 == 0x04050607);
  g_assert_false (peer_reader_u8 (&reader, &u8));
  g_assert_true (peer_reader_bytes (&reader, 0, &part));
  g_assert_cmpuint (part.left, ==, 0);
}

static void
add_for_addressings (const char *name, GTestDataFunc func)
{
  for (guint i = 0; i < G_N_ELEMENTS (golden_files); i++) {
    g_autofree char *path = g_strdup_printf ("/peer/wire/%s/%u", name, i);

    g_test_add_data_func (path, GUINT_TO_POINTER (i), func);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/wire/reader-is-all-or-nothing", test_reader);
  g_test_add_func ("/peer/wire/format-follows-from-metadata", test_format);
  g_test_add_func ("/peer/wire/have-of-section-8-2", test_section_8_2);
  add_for_addressings ("golden-bytes-both-ways", test_golden);
  add_for_addressings ("messages-follow-each-other", test_datagram);
  g_test_add_func ("/peer/wire/handshake-of-static-content", test_handshake_static);
  g_test_add_func ("/peer/wire/handshake-of-live-content", test_handshake_live);
  g_test_add_func ("/peer/wire/window-is-as-wide-as-the-addressing", test_handshake_window);
  g_test_add_func ("/peer/wire/handshake-that-closes", test_handshake_close);
  g_test_add_func ("/peer/wire/bad-options-are-malformed", test_bad_options);
  g_test_add_func ("/peer/wire/bad-ranges-are-malformed", test_bad_ranges);
  g_test_add_func ("/peer/wire/ranges-at-the-edge-are-read", test_edge_ranges);
  g_test_add_func ("/peer/wire/bad-messages-are-malformed", test_bad_messages);
  g_test_add_func ("/peer/wire/bad-data-is-malformed", test_bad_data);
  g_test_add_func ("/peer/wire/what-has-no-form-is-not-written", test_no_form);
  add_for_addressings ("no-room-writes-nothing", test_no_room);
  g_test_add_func ("/peer/wire/no-room-writes-no-options", test_no_room_for_options);
  g_test_add_func ("/peer/wire/parts-are-nodes-and-cover-exactly", test_parts);
  g_test_add_func ("/peer/wire/parts-are-few", test_parts_are_few);
  add_for_addressings ("mutations-read-as-they-write", test_mutations);
  g_test_add_func ("/peer/wire/mutations-of-hash-and-chunk", test_mutations_of_data);
  g_test_add_func ("/peer/wire/byte-ranges-end-with-the-content", test_short_last_chunk);
  return g_test_run ();
}
