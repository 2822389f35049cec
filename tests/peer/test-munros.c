/* SPDX-License-Identifier: Apache-2.0 */
/* Live content: the munros of peer/munros.c, as peer/integrity.c uses them. */
#include "peer/integrity.h"
#include "peer/wire.h"

#include <string.h>

#define CHUNK 48
#define WIDTH 8 /* chunks per signature */

typedef struct {
  PeerContent content;
  PeerKey *key;
  PeerIntegrity *source;
  uint64_t next;
} Channel;

#define SECOND (UINT64_C (1) << 32)
#define NOW (UINT64_C (0xE5000000) << 32)

static void
fill (uint8_t *out, uint64_t chunk, uint8_t variant)
{
  for (unsigned i = 0; i < CHUNK; i++)
    out[i] = (uint8_t)(chunk * 13 + chunk / 256 + i * variant);
}

static void
channel_init (Channel *self, PeerSignatureAlgorithm algorithm, PeerAddressing addressing)
{
  g_autoptr (GError) error = NULL;
  self->key = peer_key_generate (algorithm, &error);
  g_assert_no_error (error);
  peer_content_init_live (&self->content);
  self->content.chunk_size = CHUNK;
  self->content.chunks_per_signature = WIDTH;
  self->content.addressing = addressing;
  peer_key_swarm_id (self->key, &self->content);
  self->source = peer_integrity_new (&self->content, 4 * WIDTH, NULL, &error);
  g_assert_no_error (error);
  self->next = 0;
}

static void
channel_clear (Channel *self)
{
  peer_integrity_free (self->source);
  peer_key_free (self->key);
}

static PeerIntegrity *
channel_receiver (const Channel *self)
{
  PeerIntegrity *receiver = peer_integrity_new (&self->content, 4 * WIDTH, NULL, NULL);
  g_assert_nonnull (receiver);
  return receiver;
}

/* A whole subtree, signed. */
static void
channel_extend (Channel *self, uint64_t time, uint8_t variant)
{
  uint8_t bytes[CHUNK];
  for (unsigned i = 0; i < WIDTH; i++) {
    fill (bytes, self->next++, variant);
    g_assert_false (peer_integrity_sign (self->source, self->key, time));
    peer_integrity_append (self->source, bytes, CHUNK);
  }
  g_assert_true (peer_integrity_sign (self->source, self->key, time));
  g_assert_false (peer_integrity_sign (self->source, self->key, time));
}

static PeerIntegrityResult
add (PeerIntegrity *receiver, PeerPendingHashes *pending, const PeerMunro *munro, uint64_t now,
     uint32_t max_age)
{
  peer_pending_hashes_add (pending, munro->chunks, munro->hash, 32);
  return peer_integrity_add_munro (receiver, pending, munro->chunks, munro->time, munro->signature,
                                   munro->signature_size, now, max_age);
}

static PeerIntegrityResult
give (const PeerIntegrity *from, PeerIntegrity *receiver, PeerPendingHashes *pending,
      uint64_t chunk, const PeerChunks *known)
{
  PeerHash proof[PEER_PROOF_MAX];
  uint8_t bytes[CHUNK];
  int n = peer_integrity_proof (from, chunk, known, NULL, proof);
  g_assert_cmpint (n, >=, 0);
  for (int i = 0; i < n; i++) {
    g_assert_cmpuint (peer_range_size (proof[i].chunks), <, WIDTH);
    g_assert_true (i == 0 ||
                   peer_range_size (proof[i].chunks) < peer_range_size (proof[i - 1].chunks));
    peer_pending_hashes_add (pending, proof[i].chunks, proof[i].hash, 32);
  }
  fill (bytes, chunk, 3);
  return peer_integrity_check (receiver, pending, chunk, bytes, CHUNK);
}

static void
test_goes_from_peer_to_peer (void)
{
  static const PeerSignatureAlgorithm algorithms[] = {
      PEER_SIGNATURE_RSASHA1, PEER_SIGNATURE_RSASHA256, PEER_SIGNATURE_ECDSAP256SHA256,
      PEER_SIGNATURE_ECDSAP384SHA384};
  for (unsigned i = 0; i < G_N_ELEMENTS (algorithms); i++) {
    Channel channel;
    PeerMunro munro;
    PeerHash proof[PEER_PROOF_MAX];
    PeerPendingHashes at_first = {0}, at_second = {0};
    channel_init (&channel, algorithms[i], PEER_ADDRESSING_CHUNKS64);
    g_autoptr (PeerIntegrity) first = channel_receiver (&channel);
    g_autoptr (PeerIntegrity) second = channel_receiver (&channel);
    g_autoptr (PeerChunks) known = peer_chunks_new (0);
    g_assert_false (peer_integrity_newest_munro (first, &munro));
    for (unsigned k = 0; k < 3; k++) {
      channel_extend (&channel, NOW + k, 3);
      g_assert_true (peer_integrity_newest_munro (channel.source, &munro));
      g_assert_cmpuint (munro.chunks.first, ==, k * WIDTH);
      g_assert_cmpuint (munro.chunks.end, ==, (k + 1) * WIDTH);
      g_assert_false (peer_integrity_has_munro (first, munro.chunks));
      uint64_t chunk = k * WIDTH + 5;
      g_assert_cmpint (give (channel.source, first, &at_first, chunk, known), ==,
                       PEER_INTEGRITY_MISSING);
      g_assert_cmpint (peer_integrity_proof (first, chunk, NULL, NULL, proof), ==, -1);
      g_assert_cmpint (add (first, &at_first, &munro, NOW, 30), ==, PEER_INTEGRITY_GOOD);
      g_assert_true (peer_integrity_has_munro (first, munro.chunks));
      for (uint64_t c = k * WIDTH; c < (k + 1) * WIDTH; c++)
        g_assert_cmpint (give (channel.source, first, &at_first, c, NULL), ==, PEER_INTEGRITY_GOOD);
      g_assert_true (peer_integrity_munro (first, chunk, &munro));
      g_assert_cmpuint (munro.time, ==, NOW + k);
      g_assert_cmpint (add (second, &at_second, &munro, NOW, 30), ==, PEER_INTEGRITY_GOOD);
      for (uint64_t c = (k + 1) * WIDTH; c-- > k * WIDTH;) {
        g_assert_cmpint (give (first, second, &at_second, c, known), ==, PEER_INTEGRITY_GOOD);
        peer_chunks_add (known, (PeerRange){c, c + 1});
      }
      g_assert_cmpuint (at_second.n, ==, 0);
    }
    g_assert_cmpuint (peer_integrity_n_chunks (first), ==, 0);
    channel_clear (&channel);
  }
}

/* Section 6.1.2.2: signed are the bytes of the wire, in each addressing. */
static void
test_signs_the_bytes_of_the_wire (void)
{
  static const PeerAddressing addressings[] = {PEER_ADDRESSING_BINS32, PEER_ADDRESSING_BYTES64,
                                               PEER_ADDRESSING_CHUNKS32, PEER_ADDRESSING_BINS64,
                                               PEER_ADDRESSING_CHUNKS64};
  for (unsigned i = 0; i < G_N_ELEMENTS (addressings); i++) {
    Channel channel;
    PeerMunro munro;
    uint8_t bytes[256];
    channel_init (&channel, PEER_SIGNATURE_ECDSAP256SHA256, addressings[i]);
    channel.next = 77 * WIDTH;
    peer_integrity_start (channel.source, channel.next);
    channel_extend (&channel, NOW, 3);
    g_assert_true (peer_integrity_newest_munro (channel.source, &munro));

    PeerWireFormat format = peer_wire_format (&channel.content);
    PeerWriter writer = {bytes, 0, sizeof bytes};
    PeerMessage message = {.type = PEER_MESSAGE_SIGNED_INTEGRITY,
                           .chunks = munro.chunks,
                           .time = munro.time,
                           .bytes = {munro.signature, munro.signature_size}};
    g_assert_true (peer_wire_write (&writer, &format, &message));
    /* Behind the type come specification and time; in place of the signature goes the hash. */
    size_t n = writer.used - 1 - munro.signature_size;
    memcpy (bytes + 1 + n, munro.hash, 32);
    g_autoptr (PeerVerifier) verifier =
        peer_verifier_new (channel.content.swarm_id, channel.content.swarm_id_size, NULL);
    g_assert_true (
        peer_verifier_check (verifier, bytes + 1, n + 32, munro.signature, munro.signature_size));
    bytes[1] ^= 1;
    g_assert_false (
        peer_verifier_check (verifier, bytes + 1, n + 32, munro.signature, munro.signature_size));
    channel_clear (&channel);
  }
}

/* Each bit of hash, time, signature and range. */
static void
test_no_wrong_bit_is_signed (void)
{
  Channel channel;
  PeerMunro munro, wrong;
  PeerPendingHashes pending = {0};
  channel_init (&channel, PEER_SIGNATURE_ECDSAP256SHA256, PEER_ADDRESSING_CHUNKS64);
  channel_extend (&channel, NOW, 3);
  g_autoptr (PeerIntegrity) receiver = channel_receiver (&channel);
  g_assert_true (peer_integrity_newest_munro (channel.source, &munro));
  for (unsigned bit = 0; bit < 8 * 32; bit++) {
    wrong = munro;
    wrong.hash[bit / 8] ^= (uint8_t)(1u << bit % 8);
    g_assert_cmpint (add (receiver, &pending, &wrong, 0, 30), ==, PEER_INTEGRITY_BAD);
  }
  for (unsigned bit = 0; bit < 8u * munro.signature_size; bit++) {
    wrong = munro;
    wrong.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    g_assert_cmpint (add (receiver, &pending, &wrong, 0, 30), ==, PEER_INTEGRITY_BAD);
  }
  for (unsigned bit = 0; bit < 64; bit++) {
    wrong = munro;
    wrong.time ^= UINT64_C (1) << bit;
    g_assert_cmpint (add (receiver, &pending, &wrong, 0, 30), ==, PEER_INTEGRITY_BAD);
    wrong = munro;
    wrong.chunks.first ^= UINT64_C (1) << bit;
    wrong.chunks.end = wrong.chunks.first + WIDTH;
    g_assert_cmpint (add (receiver, &pending, &wrong, 0, 30), ==, PEER_INTEGRITY_BAD);
    wrong = munro;
    wrong.chunks.end = wrong.chunks.first + (UINT64_C (1) << bit);
    if (peer_range_size (wrong.chunks) != WIDTH)
      g_assert_cmpint (add (receiver, &pending, &wrong, 0, 30), ==, PEER_INTEGRITY_BAD);
  }
  for (uint16_t n = 0; n <= PEER_SIGNATURE_MAX; n++) {
    wrong = munro;
    wrong.signature_size = n;
    if (n != munro.signature_size)
      g_assert_cmpint (add (receiver, &pending, &wrong, 0, 30), ==, PEER_INTEGRITY_BAD);
  }
  g_assert_false (peer_integrity_newest_munro (receiver, &wrong));
  g_assert_cmpint (add (receiver, &pending, &munro, 0, 30), ==, PEER_INTEGRITY_GOOD);
  channel_clear (&channel);
}

static void
test_no_wrong_chunk_passes (void)
{
  Channel channel;
  PeerMunro munro;
  PeerHash proof[PEER_PROOF_MAX];
  PeerPendingHashes pending = {0};
  uint8_t bytes[CHUNK + 1] = {0};
  channel_init (&channel, PEER_SIGNATURE_ECDSAP256SHA256, PEER_ADDRESSING_CHUNKS64);
  channel_extend (&channel, NOW, 3);
  channel_extend (&channel, NOW, 3);
  g_autoptr (PeerIntegrity) receiver = channel_receiver (&channel);
  for (uint64_t c = 0; c < 2 * WIDTH; c += WIDTH) {
    g_assert_true (peer_integrity_munro (channel.source, c, &munro));
    g_assert_cmpint (add (receiver, &pending, &munro, 0, 30), ==, PEER_INTEGRITY_GOOD);
  }
  int n = peer_integrity_proof (channel.source, 3, NULL, NULL, proof);
  g_assert_cmpint (n, ==, 3);
  fill (bytes, 3, 3);
  for (unsigned bit = 0; bit < 8 * CHUNK; bit++) {
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    for (int i = 0; i < n; i++)
      peer_pending_hashes_add (&pending, proof[i].chunks, proof[i].hash, 32);
    g_assert_cmpint (peer_integrity_check (receiver, &pending, 3, bytes, CHUNK), ==,
                     PEER_INTEGRITY_BAD);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  for (unsigned bit = 0; bit < 8u * 32 * (unsigned)n; bit++) {
    pending.n = 0;
    proof[bit / 256].hash[bit / 8 % 32] ^= (uint8_t)(1u << bit % 8);
    for (int i = 0; i < n; i++)
      peer_pending_hashes_add (&pending, proof[i].chunks, proof[i].hash, 32);
    g_assert_cmpint (peer_integrity_check (receiver, &pending, 3, bytes, CHUNK), ==,
                     PEER_INTEGRITY_BAD);
    proof[bit / 256].hash[bit / 8 % 32] ^= (uint8_t)(1u << bit % 8);
  }
  /* The same chunk at another place, also of another subtree with the same uncles. */
  for (uint64_t c = 0; c < 2 * WIDTH; c++)
    if (c != 3)
      g_assert_cmpint (peer_integrity_check (receiver, &pending, c, bytes, CHUNK), !=,
                       PEER_INTEGRITY_GOOD);
  g_assert_cmpint (peer_integrity_check (receiver, &pending, 3, bytes, CHUNK + 1), ==,
                   PEER_INTEGRITY_BAD);
  g_assert_cmpint (peer_integrity_check (receiver, &pending, 3, bytes, 0), ==, PEER_INTEGRITY_BAD);
  g_assert_cmpint (peer_integrity_check (receiver, &pending, UINT64_MAX, bytes, CHUNK), ==,
                   PEER_INTEGRITY_MISSING);
  g_assert_cmpint (give (channel.source, receiver, &pending, 3, NULL), ==, PEER_INTEGRITY_GOOD);
  channel_clear (&channel);
}

static void
test_replays_cost_nothing (void)
{
  Channel channel;
  PeerMunro munro, wrong;
  PeerPendingHashes pending = {0};
  channel_init (&channel, PEER_SIGNATURE_ECDSAP256SHA256, PEER_ADDRESSING_CHUNKS64);
  channel_extend (&channel, NOW, 3);
  g_autoptr (PeerIntegrity) receiver = channel_receiver (&channel);
  g_assert_true (peer_integrity_newest_munro (channel.source, &munro));
  wrong = munro;
  wrong.chunks.first += WIDTH;
  wrong.chunks.end += WIDTH;
  g_assert_cmpint (peer_integrity_add_munro (receiver, &pending, munro.chunks, munro.time,
                                             munro.signature, munro.signature_size, 0, 30),
                   ==, PEER_INTEGRITY_MISSING);
  g_assert_cmpint (add (receiver, &pending, &munro, 0, 30), ==, PEER_INTEGRITY_GOOD);
  /* As another subtree's. */
  g_assert_cmpint (add (receiver, &pending, &wrong, 0, 30), ==, PEER_INTEGRITY_BAD);
  /* Once more: known by its hash, so that its signature is not even looked at. */
  munro.signature[0] ^= 1;
  g_assert_cmpint (add (receiver, &pending, &munro, 0, 30), ==, PEER_INTEGRITY_KNOWN);
  g_assert_cmpuint (pending.n, ==, 0);
  /* The bits of the receiver's own copy are the signed ones. */
  g_assert_true (peer_integrity_munro (receiver, 3, &wrong));
  munro.signature[0] ^= 1;
  g_assert_cmpmem (wrong.signature, wrong.signature_size, munro.signature, munro.signature_size);
  channel_clear (&channel);
}

/* The source signs other chunks under the same numbers: the first ones stay. */
static void
test_fork_is_told (void)
{
  Channel channel;
  PeerMunro munro, other, kept;
  PeerPendingHashes pending = {0};
  channel_init (&channel, PEER_SIGNATURE_ECDSAP256SHA256, PEER_ADDRESSING_CHUNKS64);
  channel_extend (&channel, NOW, 3);
  g_assert_true (peer_integrity_newest_munro (channel.source, &munro));
  peer_integrity_free (channel.source);
  channel.source = channel_receiver (&channel);
  channel.next = 0;
  channel_extend (&channel, NOW, 5);
  g_assert_true (peer_integrity_newest_munro (channel.source, &other));
  g_autoptr (PeerIntegrity) receiver = channel_receiver (&channel);
  g_assert_cmpint (add (receiver, &pending, &munro, 0, 30), ==, PEER_INTEGRITY_GOOD);
  g_assert_cmpint (add (receiver, &pending, &other, 0, 30), ==, PEER_INTEGRITY_FORKED);
  other.signature[3] ^= 4;
  g_assert_cmpint (add (receiver, &pending, &other, 0, 30), ==, PEER_INTEGRITY_BAD);
  g_assert_true (peer_integrity_munro (receiver, 0, &kept));
  g_assert_cmpmem (kept.hash, 32, munro.hash, 32);
  channel_clear (&channel);
}

/* Section 6.1.2.4. */
static void
test_age_is_judged (void)
{
  static const struct {
    uint64_t time, now;
    PeerIntegrityResult expected;
  } rows[] = {
      {NOW, NOW, PEER_INTEGRITY_GOOD},
      {NOW, NOW + 30 * SECOND, PEER_INTEGRITY_GOOD},
      {NOW, NOW + 30 * SECOND + 1, PEER_INTEGRITY_OLD},
      {NOW, NOW + 1000000000 * SECOND, PEER_INTEGRITY_OLD},
      {NOW + 60 * SECOND, NOW, PEER_INTEGRITY_GOOD},
      {NOW + 60 * SECOND + 1, NOW, PEER_INTEGRITY_OLD},
      {NOW + 1000000000 * SECOND, NOW, PEER_INTEGRITY_OLD},
      {5, 0, PEER_INTEGRITY_GOOD}, /* a clock that is not to be trusted */
      /* The seconds wrap in 2036. */
      {-5 * SECOND, 10 * SECOND, PEER_INTEGRITY_GOOD},
      {-50 * SECOND, 10 * SECOND, PEER_INTEGRITY_OLD},
      {10 * SECOND, -5 * SECOND, PEER_INTEGRITY_GOOD},
  };
  Channel channel;
  channel_init (&channel, PEER_SIGNATURE_ECDSAP256SHA256, PEER_ADDRESSING_CHUNKS64);
  for (unsigned i = 0; i < G_N_ELEMENTS (rows); i++) {
    PeerMunro munro;
    PeerPendingHashes pending = {0};
    g_autoptr (PeerIntegrity) receiver = channel_receiver (&channel);
    channel_extend (&channel, rows[i].time, 3);
    g_assert_true (peer_integrity_newest_munro (channel.source, &munro));
    g_assert_cmpint (add (receiver, &pending, &munro, rows[i].now, 30), ==, rows[i].expected);
    g_assert_true (peer_integrity_has_munro (receiver, munro.chunks) ==
                   (rows[i].expected == PEER_INTEGRITY_GOOD));
  }
  channel_clear (&channel);
}

/* Four subtrees are kept, of source and receiver. */
static void
test_keeps_a_window (void)
{
  Channel channel;
  PeerMunro munro, early, oldest;
  PeerPendingHashes pending = {0};
  PeerHash proof[PEER_PROOF_MAX];
  channel_init (&channel, PEER_SIGNATURE_ECDSAP256SHA256, PEER_ADDRESSING_CHUNKS64);
  g_autoptr (PeerIntegrity) receiver = channel_receiver (&channel);
  for (uint64_t k = 0; k < 20; k++) {
    channel_extend (&channel, NOW + k, 3);
    g_assert_true (peer_integrity_newest_munro (channel.source, &munro));
    if (k == 14)
      early = munro;
    if (k == 15)
      continue; /* a hole at the receiver's */
    g_assert_cmpint (add (receiver, &pending, &munro, 0, 30), ==, PEER_INTEGRITY_GOOD);
    g_assert_true (peer_integrity_oldest_munro (receiver, &oldest));
    uint64_t expected = k < 4 ? 0 : k - 3;
    g_assert_cmpuint (oldest.chunks.first / WIDTH, ==, expected == 15 ? 16 : expected);
    g_assert_true (peer_integrity_oldest_munro (channel.source, &oldest));
    g_assert_cmpuint (oldest.chunks.first / WIDTH, ==, expected);
    for (uint64_t c = 0; c < channel.next; c++) {
      bool is_kept = c / WIDTH + 4 > k;
      g_assert_true (peer_integrity_munro (channel.source, c, &munro) == is_kept);
      g_assert_true ((peer_integrity_proof (channel.source, c, NULL, NULL, proof) >= 0) == is_kept);
      g_assert_true (peer_integrity_munro (receiver, c, &munro) == (is_kept && c / WIDTH != 15));
    }
  }
  g_assert_cmpint (add (receiver, &pending, &early, 0, 30), ==, PEER_INTEGRITY_OLD);
  g_autoptr (PeerChunks) known = peer_chunks_new (0);
  peer_chunks_add (known, (PeerRange){0, channel.next});
  g_assert_cmpint (peer_integrity_proof (receiver, 3, known, NULL, proof), ==, -1);
  g_assert_cmpint (peer_integrity_proof (receiver, 15 * WIDTH, known, NULL, proof), ==, -1);
  /* One that is late but still in the window goes to its place. */
  g_autoptr (PeerIntegrity) late = channel_receiver (&channel);
  for (uint64_t k = 20; k-- > 16;) {
    g_assert_true (peer_integrity_munro (channel.source, k * WIDTH, &munro));
    g_assert_cmpint (add (late, &pending, &munro, 0, 30), ==, PEER_INTEGRITY_GOOD);
    g_assert_true (peer_integrity_oldest_munro (late, &oldest));
    g_assert_cmpuint (oldest.chunks.first / WIDTH, ==, k);
    g_assert_true (peer_integrity_newest_munro (late, &oldest));
    g_assert_cmpuint (oldest.chunks.first / WIDTH, ==, 19);
  }
  channel_clear (&channel);
}

/* A window of four that becomes one of nine loses nothing, brings nothing back that was left of it, and
 * is one of nine from then on. */
static void
test_window_grows (void)
{
  Channel channel;
  PeerMunro munro, late;
  PeerPendingHashes pending = {0};
  PeerHash proof[PEER_PROOF_MAX];
  channel_init (&channel, PEER_SIGNATURE_ECDSAP256SHA256, PEER_ADDRESSING_CHUNKS64);
  g_autoptr (PeerIntegrity) receiver = channel_receiver (&channel);
  for (uint64_t k = 0; k < 40; k++) {
    uint64_t width = k < 10 ? 4 : 9, first = k < 10 ? 0 : 6; /* the oldest that was not lost */
    if (k == 10) {
      peer_integrity_grow (channel.source, 9 * WIDTH);
      peer_integrity_grow (receiver, 9 * WIDTH);
      peer_integrity_grow (receiver, 2 * WIDTH); /* never less */
    }
    channel_extend (&channel, NOW + k, 3);
    g_assert_true (peer_integrity_newest_munro (channel.source, &munro));
    if (k == 12)
      late = munro;
    else
      g_assert_cmpint (add (receiver, &pending, &munro, 0, 30), ==, PEER_INTEGRITY_GOOD);
    if (k == 14)
      g_assert_cmpint (add (receiver, &pending, &late, 0, 30), ==, PEER_INTEGRITY_GOOD);
    for (uint64_t c = 0; c < channel.next; c++) {
      bool is_kept = c / WIDTH + width > k && c / WIDTH >= first;
      bool is_known = is_kept && !(c / WIDTH == 12 && k < 14);
      g_assert_true (peer_integrity_munro (channel.source, c, &munro) == is_kept);
      g_assert_true ((peer_integrity_proof (channel.source, c, NULL, NULL, proof) >= 0) == is_kept);
      g_assert_true (peer_integrity_munro (receiver, c, &munro) == is_known);
    }
  }
  channel_clear (&channel);
}

/* A source that starts again goes on far to the right; peers follow, and forget the rest. */
static void
test_restart_goes_on (void)
{
  Channel channel;
  PeerMunro munro, old;
  PeerPendingHashes pending = {0};
  channel_init (&channel, PEER_SIGNATURE_ECDSAP256SHA256, PEER_ADDRESSING_CHUNKS64);
  g_autoptr (PeerIntegrity) receiver = channel_receiver (&channel);
  channel_extend (&channel, NOW, 3);
  g_assert_true (peer_integrity_newest_munro (channel.source, &old));
  g_assert_cmpint (add (receiver, &pending, &old, 0, 30), ==, PEER_INTEGRITY_GOOD);
  peer_integrity_free (channel.source);
  channel.source = channel_receiver (&channel);
  channel.next = UINT64_C (1) << 40;
  peer_integrity_start (channel.source, channel.next);
  channel_extend (&channel, NOW + SECOND, 3);
  g_assert_true (peer_integrity_newest_munro (channel.source, &munro));
  g_assert_cmpuint (munro.chunks.first, ==, UINT64_C (1) << 40);
  g_assert_cmpint (add (receiver, &pending, &munro, 0, 30), ==, PEER_INTEGRITY_GOOD);
  for (uint64_t c = munro.chunks.first; c < munro.chunks.end; c++)
    g_assert_cmpint (give (channel.source, receiver, &pending, c, NULL), ==, PEER_INTEGRITY_GOOD);
  g_assert_false (peer_integrity_has_munro (receiver, old.chunks));
  g_assert_cmpint (add (receiver, &pending, &old, 0, 30), ==, PEER_INTEGRITY_OLD);
  g_assert_true (peer_integrity_oldest_munro (receiver, &old));
  g_assert_cmpuint (old.chunks.first, ==, munro.chunks.first);
  channel_clear (&channel);
}

/* What could not be signed is left behind, and nobody hears of it. */
static void
test_unsigned_is_not_given (void)
{
  Channel channel;
  PeerMunro munro;
  PeerHash proof[PEER_PROOF_MAX];
  PeerPendingHashes nothing = {0};
  uint8_t bytes[CHUNK];
  channel_init (&channel, PEER_SIGNATURE_ECDSAP256SHA256, PEER_ADDRESSING_CHUNKS64);
  for (unsigned i = 0; i < 2 * WIDTH; i++) {
    fill (bytes, channel.next++, 3);
    peer_integrity_append (channel.source, bytes, CHUNK);
    g_assert_cmpint (peer_integrity_proof (channel.source, 0, NULL, NULL, proof), ==, -1);
    g_assert_false (peer_integrity_newest_munro (channel.source, &munro));
    g_assert_cmpint (
        peer_integrity_check (channel.source, &nothing, channel.next - 1, bytes, CHUNK), ==,
        PEER_INTEGRITY_MISSING);
  }
  g_assert_true (peer_integrity_sign (channel.source, channel.key, NOW));
  g_assert_true (peer_integrity_newest_munro (channel.source, &munro));
  g_assert_cmpuint (munro.chunks.first, ==, WIDTH);
  g_assert_true (peer_integrity_oldest_munro (channel.source, &munro));
  g_assert_cmpuint (munro.chunks.first, ==, WIDTH);
  g_assert_cmpint (peer_integrity_proof (channel.source, 0, NULL, NULL, proof), ==, -1);
  g_autoptr (PeerIntegrity) receiver = channel_receiver (&channel);
  PeerPendingHashes pending = {0};
  g_assert_cmpint (add (receiver, &pending, &munro, 0, 30), ==, PEER_INTEGRITY_GOOD);
  g_assert_cmpint (give (channel.source, receiver, &pending, WIDTH + 1, NULL), ==,
                   PEER_INTEGRITY_GOOD);
  channel_clear (&channel);
}

/* RFC 5905, figure 4: 1 January 1970 is 2,208,988,800; era 1 begins on 8 February 2036. */
static void
test_ntp_time (void)
{
  g_assert_cmpuint (peer_ntp_from_us (0), ==, UINT64_C (2208988800) << 32);
  g_assert_cmpuint (peer_ntp_from_us (500000), ==, (UINT64_C (2208988800) << 32) + SECOND / 2);
  g_assert_cmpuint (peer_ntp_from_us (INT64_C (2085978496) * G_USEC_PER_SEC), ==, 0);
  g_assert_cmpint (peer_ntp_to_us (0), ==, INT64_C (2085978496) * G_USEC_PER_SEC);
  for (int64_t us = 1; us < INT64_C (4000000000) * G_USEC_PER_SEC; us = us * 3 + 1)
    g_assert_cmpint (peer_ntp_to_us (peer_ntp_from_us (us)), ==, us);
  for (int64_t us = 0; us < 3 * G_USEC_PER_SEC; us += 997)
    g_assert_cmpint (peer_ntp_to_us (peer_ntp_from_us (us)), ==, us);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/munros/go-from-peer-to-peer", test_goes_from_peer_to_peer);
  g_test_add_func ("/peer/munros/sign-the-bytes-of-the-wire", test_signs_the_bytes_of_the_wire);
  g_test_add_func ("/peer/munros/no-wrong-bit-is-signed", test_no_wrong_bit_is_signed);
  g_test_add_func ("/peer/munros/no-wrong-chunk-passes", test_no_wrong_chunk_passes);
  g_test_add_func ("/peer/munros/replays-cost-nothing", test_replays_cost_nothing);
  g_test_add_func ("/peer/munros/fork-is-told", test_fork_is_told);
  g_test_add_func ("/peer/munros/age-is-judged", test_age_is_judged);
  g_test_add_func ("/peer/munros/keep-a-window", test_keeps_a_window);
  g_test_add_func ("/peer/munros/window-grows", test_window_grows);
  g_test_add_func ("/peer/munros/restart-goes-on", test_restart_goes_on);
  g_test_add_func ("/peer/munros/unsigned-is-not-given", test_unsigned_is_not_given);
  g_test_add_func ("/peer/munros/ntp-time", test_ntp_time);
  return g_test_run ();
}
