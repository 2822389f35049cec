/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a certificate of membership: refused, or one that says what its signature covers. And
 * a true one with bytes changed, as an attacker would who wants a victim's address in it: what then
 * still passes says what the tracker said.
 *
 *   DER ...            the first byte of each certificate is 0x30
 *   0x31 | position 16, change 8 | ... */
#include "peer/membership.h"

#include <string.h>

#define WALL (INT64_C (1760000000) * G_USEC_PER_SEC)

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n);

typedef struct {
  PeerContent content;
  uint8_t tracker_key[PEER_FINGERPRINT];
  PeerAddress address;
  GBytes *certificate;
} Scene;

static const Scene *
scene (void)
{
  static Scene self;
  static const uint8_t serial[16] = {1};
  if (self.certificate != NULL)
    return &self;
  g_autoptr (PeerKey) tracker = peer_key_generate (PEER_SIGNATURE_ECDSAP256SHA256, NULL);
  peer_content_init_static (&self.content);
  self.content.swarm_id_size = 20;
  memset (self.content.swarm_id, 0xe5, 20);
  g_autofree char *id = peer_content_swarm_id_hex (&self.content);
  g_assert_true (peer_address_parse ("192.0.2.1:7574", &self.address));
  g_assert_true (peer_key_fingerprint (tracker, self.tracker_key));
  self.certificate =
      peer_membership_issue (tracker, id, &self.address, WALL, PEER_MEMBERSHIP_LIFE, serial);
  return &self;
}

static void
try_any (const uint8_t *bytes, size_t n)
{
  PeerCertificate certificate;
  PeerMembership membership;
  uint8_t key[PEER_FINGERPRINT];
  bool is_one = peer_certificate_read (bytes, n, &certificate);
  bool is_signed = peer_membership_tracker (bytes, n, key);
  g_assert_true (is_one || !is_signed);
  g_assert_true (!is_one || strlen (certificate.uri) < PEER_CERTIFICATE_TEXT);
  /* who does not have the tracker's key gets nothing past it */
  g_assert_true (peer_membership_check (bytes, n, &scene ()->content, scene ()->tracker_key, WALL,
                                        &membership) != PEER_MEMBERSHIP_GOOD);
}

static void
try_changed (const uint8_t *changes, size_t n_changes)
{
  PeerMembership membership;
  size_t n;
  const uint8_t *good = g_bytes_get_data (scene ()->certificate, &n);
  g_autofree uint8_t *bytes = g_memdup2 (good, n);
  for (size_t i = 0; i + 3 <= n_changes; i += 3)
    bytes[(changes[i] << 8 | changes[i + 1]) % n] ^= changes[i + 2];
  if (peer_membership_check (bytes, n, &scene ()->content, scene ()->tracker_key, WALL,
                             &membership) != PEER_MEMBERSHIP_GOOD)
    return;
  g_assert_true (peer_address_equal (&membership.address, &scene ()->address));
  g_assert_cmpint (membership.not_before, ==, WALL);
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t n)
{
  if (n > 0 && bytes[0] == 0x31)
    try_changed (bytes + 1, n - 1);
  else
    try_any (bytes, n);
  return 0;
}
