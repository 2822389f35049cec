/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/content.h"

#include <string.h>

static void
good_static (PeerContent *out)
{
  peer_content_init_static (out);
  out->swarm_id_size = 32;
  memset (out->swarm_id, 0xa5, 32);
}

static void
good_live (PeerContent *out)
{
  peer_content_init_live (out);
  out->swarm_id_size = 65;
  memset (out->swarm_id, 0xa5, 65);
  out->swarm_id[0] = 13;
}

static void
test_defaults (void)
{
  PeerContent content;

  /* RFC 7574, table 8 */
  good_static (&content);
  g_assert_cmpint (content.method, ==, 1);
  g_assert_cmpint (content.hash, ==, 2);
  g_assert_cmpint (content.addressing, ==, 2);
  g_assert_cmpuint (content.chunk_size, ==, 1024);
  g_assert_false (peer_content_is_live (&content));
  g_assert_true (peer_content_check (&content, NULL));
  g_assert_cmpuint (peer_content_hash_size (&content), ==, 32);
  g_assert_cmpuint (peer_content_signature_size (&content), ==, 0);

  good_live (&content);
  g_assert_cmpint (content.method, ==, 3);
  g_assert_cmpint (content.signature, ==, 13);
  g_assert_cmpint (content.addressing, ==, 4);
  g_assert_cmpuint (content.chunk_size % 188, ==, 0);
  g_assert_true (peer_content_is_live (&content));
  g_assert_true (peer_content_check (&content, NULL));
  g_assert_cmpuint (peer_content_hash_size (&content), ==, 32);
  g_assert_cmpuint (peer_content_signature_size (&content), ==, 64);
}

static void
test_n_chunks (void)
{
  static const struct {
    uint64_t length, n;
  } rows[] = {{0, 0}, {1, 1}, {1023, 1}, {1024, 1}, {1025, 2}, {7162, 7}, {UINT64_MAX, 1ull << 54}};
  PeerContent content;

  good_static (&content);
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    content.length = rows[i].length;
    g_assert_cmpuint (peer_content_n_chunks (&content), ==, rows[i].n);
  }
  content.chunk_size = 0;
  g_assert_cmpuint (peer_content_n_chunks (&content), ==, 0);
}

/* RFC 7574, 8.9: the size of an RSA signature follows from the swarm ID. */
static void
test_signature_size (void)
{
  PeerContent content;

  good_live (&content);
  content.signature = PEER_SIGNATURE_ECDSAP384SHA384;
  g_assert_cmpuint (peer_content_signature_size (&content), ==, 96);
  content.signature = PEER_SIGNATURE_RSASHA256;
  content.swarm_id_size = 1 + 1 + 3 + 256;
  content.swarm_id[1] = 3;
  g_assert_cmpuint (peer_content_signature_size (&content), ==, 256);
  content.swarm_id_size = 1 + 3 + 300 + 128;
  content.swarm_id[1] = 0;
  content.swarm_id[2] = 1;
  content.swarm_id[3] = 44;
  g_assert_cmpuint (peer_content_signature_size (&content), ==, 128);
  for (uint16_t n = 0; n <= 1 + 3 + 300; n++) {
    content.swarm_id_size = n;
    g_assert_cmpuint (peer_content_signature_size (&content), ==, 0);
  }
  content.swarm_id_size = 10;
  content.swarm_id[2] = content.swarm_id[3] = 0; /* an exponent of no bytes */
  g_assert_cmpuint (peer_content_signature_size (&content), ==, 0);
}

static void
test_hex (void)
{
  g_autofree char *hex = NULL;
  PeerContent content;

  peer_content_init_static (&content);
  content.swarm_id_size = 3;
  memcpy (content.swarm_id, "\x00\xab\xf9", 3);
  hex = peer_content_swarm_id_hex (&content);
  g_assert_cmpstr (hex, ==, "00abf9");
}

#define assert_refused(content, word)                                                              \
  G_STMT_START                                                                                     \
  {                                                                                                \
    g_autoptr (GError) error = NULL;                                                               \
    g_assert_false (peer_content_check (&content, &error));                                        \
    g_assert_error (error, PEER_ERROR, PEER_ERROR_BAD_CONTENT);                                    \
    g_assert_nonnull (strstr (error->message, word));                                              \
  }                                                                                                \
  G_STMT_END

static void
test_bad_static (void)
{
  PeerContent good, content;

  good_static (&good);
  content = good, content.swarm_id_size = 20;
  assert_refused (content, "root hash");
  content = good, content.swarm_id_size = 0;
  assert_refused (content, "swarm ID");
  content = good, content.swarm_id_size = PEER_SWARM_ID_MAX + 1;
  assert_refused (content, "swarm ID");
  content = good, content.chunk_size = 0;
  assert_refused (content, "chunk size");
  content = good, content.chunk_size = PEER_CHUNK_MAX + 1;
  assert_refused (content, "chunk size");
  content = good, content.chunk_size = PEER_CHUNK_VARIABLE;
  g_assert_true (peer_content_check (&content, NULL));
  content.addressing = PEER_ADDRESSING_BYTES64;
  assert_refused (content, "variable");
  content = good, content.hash = (PeerHashFunction)5;
  assert_refused (content, "hash function");
  content = good, content.addressing = (PeerAddressing)5;
  assert_refused (content, "addressing");
  content = good, content.method = PEER_METHOD_NONE;
  assert_refused (content, "integrity");
  content = good, content.method = PEER_METHOD_SIGN_ALL;
  assert_refused (content, "key");
  content = good, content.method = (PeerMethod)4;
  assert_refused (content, "method");
  content = good, content.length = UINT64_C (1) << 63;
  assert_refused (content, "length");
  content = good, content.length = UINT64_C (1024) << 32;
  assert_refused (content, "more chunks");
  content.length = UINT64_C (1024) * UINT32_MAX;
  g_assert_true (peer_content_check (&content, NULL));
  content.addressing = PEER_ADDRESSING_BINS32;
  assert_refused (content, "more chunks");
}

static void
test_bad_live (void)
{
  PeerContent good, content;

  good_live (&good);
  content = good, content.swarm_id[0] = 14;
  assert_refused (content, "begin");
  content = good, content.swarm_id_size = 64;
  assert_refused (content, "public key");
  content = good, content.signature = PEER_SIGNATURE_NONE;
  assert_refused (content, "signature");
  content = good, content.signature = (PeerSignatureAlgorithm)1;
  assert_refused (content, "signature");
  content = good, content.length = 1;
  assert_refused (content, "length");
  for (uint32_t n = 0; n < 70; n++) {
    content = good, content.chunks_per_signature = n;
    if (n == 2 || n == 4 || n == 8 || n == 16 || n == 32 || n == 64)
      g_assert_true (peer_content_check (&content, NULL));
    else
      assert_refused (content, "power of two");
  }
  content = good, content.chunks_per_signature = 1u << 31;
  assert_refused (content, "power of two");
  content = good, content.method = PEER_METHOD_SIGN_ALL;
  assert_refused (content, "Sign All");
  content.chunks_per_signature = 1;
  g_assert_true (peer_content_check (&content, NULL));
}

/* Section 4: 32 bits name 2^31 leaves of a tree of bins, or 2^32 chunks less the number that says
 * "nothing"; 64 bits name 2^63, or as many as their bytes have numbers. */
static void
test_max_chunks (void)
{
  PeerContent content;

  good_live (&content);
  content.chunk_size = 1000;
  content.addressing = PEER_ADDRESSING_BINS32;
  g_assert_cmpuint (peer_content_max_chunks (&content), ==, UINT64_C (1) << 31);
  content.addressing = PEER_ADDRESSING_CHUNKS32;
  g_assert_cmpuint (peer_content_max_chunks (&content), ==, UINT32_MAX);
  content.addressing = PEER_ADDRESSING_BYTES64;
  g_assert_cmpuint (peer_content_max_chunks (&content), ==, UINT64_MAX / 1000);
  content.addressing = PEER_ADDRESSING_BINS64;
  g_assert_cmpuint (peer_content_max_chunks (&content), ==, UINT64_C (1) << 63);
  content.addressing = PEER_ADDRESSING_CHUNKS64;
  g_assert_cmpuint (peer_content_max_chunks (&content), ==, UINT64_C (1) << 63);
}

static void
test_variable (void)
{
  PeerContent content;

  good_static (&content);
  g_assert_false (peer_content_is_variable (&content));
  g_assert_cmpuint (peer_content_chunk_max (&content), ==, content.chunk_size);
  content.length = 5000;
  content.chunk_size = PEER_CHUNK_VARIABLE;
  g_assert_true (peer_content_is_variable (&content));
  g_assert_cmpuint (peer_content_chunk_max (&content), ==, PEER_CHUNK_VARIABLE_MAX);
  g_assert_cmpuint (peer_content_n_chunks (&content), ==, 0); /* the length does not tell */
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/peer/content/defaults-are-those-of-table-8", test_defaults);
  g_test_add_func ("/peer/content/chunks-of-a-length", test_n_chunks);
  g_test_add_func ("/peer/content/signature-size-follows-from-the-id", test_signature_size);
  g_test_add_func ("/peer/content/hex", test_hex);
  g_test_add_func ("/peer/content/bad-static-is-refused", test_bad_static);
  g_test_add_func ("/peer/content/bad-live-is-refused", test_bad_live);
  g_test_add_func ("/peer/content/chunks-that-an-addressing-names", test_max_chunks);
  g_test_add_func ("/peer/content/variable-chunks-have-no-size", test_variable);
  return g_test_run ();
}
