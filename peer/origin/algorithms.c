/* SPDX-License-Identifier: Apache-2.0 */
/* Names stand in the order of the RFC's numbers, which a row says as well. */
#include "peer/origin/algorithms.h"

#include <gio/gio.h>

typedef struct {
  const char *name;
  int number;
} Value;

static const Value integrities[] = {
    {"unified-merkle", PEER_METHOD_UNIFIED_MERKLE}, {"sign-all", PEER_METHOD_SIGN_ALL}, {NULL, 0}};
static const Value hashes[] = {{"sha1", PEER_HASH_SHA1},     {"sha224", PEER_HASH_SHA224},
                               {"sha256", PEER_HASH_SHA256}, {"sha384", PEER_HASH_SHA384},
                               {"sha512", PEER_HASH_SHA512}, {NULL, 0}};
static const Value signatures[] = {{"rsasha1", PEER_SIGNATURE_RSASHA1},
                                   {"rsasha256", PEER_SIGNATURE_RSASHA256},
                                   {"ecdsap256sha256", PEER_SIGNATURE_ECDSAP256SHA256},
                                   {"ecdsap384sha384", PEER_SIGNATURE_ECDSAP384SHA384},
                                   {NULL, 0}};
static const Value addressings[] = {
    {"bins32", PEER_ADDRESSING_BINS32},     {"bytes64", PEER_ADDRESSING_BYTES64},
    {"chunks32", PEER_ADDRESSING_CHUNKS32}, {"bins64", PEER_ADDRESSING_BINS64},
    {"chunks64", PEER_ADDRESSING_CHUNKS64}, {NULL, 0}};

static bool
find (const char *option, const Value *values, const char *said, int *out, GError **error)
{
  g_autoptr (GString) names = g_string_new (NULL);

  for (const Value *value = values; value->name != NULL; value++) {
    if (g_ascii_strcasecmp (value->name, said) == 0) {
      *out = value->number;
      return true;
    }
    g_string_append_printf (names, "%s%s", names->len > 0 ? ", " : "", value->name);
  }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "--%s %s: give one of %s", option,
               said, names->str);
  return false;
}

bool
origin_algorithms_apply (const OriginAlgorithms *self, PeerContent *channel, PeerContent *file,
                         GError **error)
{
  int integrity = (int)channel->method, hash = (int)channel->hash;
  int signature = (int)channel->signature, addressing;

  if (self->integrity != NULL &&
      !find ("integrity", integrities, self->integrity, &integrity, error))
    return false;
  if (self->hash != NULL && !find ("hash", hashes, self->hash, &hash, error))
    return false;
  if (self->signature != NULL &&
      !find ("signature", signatures, self->signature, &signature, error))
    return false;
  if (self->addressing != NULL) {
    if (!find ("addressing", addressings, self->addressing, &addressing, error))
      return false;
    channel->addressing = file->addressing = (PeerAddressing)addressing;
  }
  channel->method = (PeerMethod)integrity;
  channel->signature = (PeerSignatureAlgorithm)signature;
  channel->hash = file->hash = (PeerHashFunction)hash;
  if (channel->method == PEER_METHOD_SIGN_ALL)
    channel->chunks_per_signature = 1;
  if (peer_content_is_variable (channel) && channel->addressing == PEER_ADDRESSING_BYTES64) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                         "--chunk-size variable: byte ranges cannot name such chunks; give another "
                         "--addressing");
    return false;
  }
  return true;
}
