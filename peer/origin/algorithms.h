/* SPDX-License-Identifier: Apache-2.0 */
/* The registries of RFC 7574, section 10, by the names that an operator writes. */
#pragma once

#include "peer/content.h"

/* What was said; NULL = the default of the kind of content. */
typedef struct {
  char *integrity;  /* unified-merkle, sign-all: channels */
  char *hash;       /* sha1, sha224, sha256, sha384, sha512 */
  char *signature;  /* rsasha1, rsasha256, ecdsap256sha256, ecdsap384sha384: channels */
  char *addressing; /* bins32, bytes64, chunks32, bins64, chunks64 */
} OriginAlgorithms;

/* Puts what was said into the metadata of new channels and new files. The error is one line. */
bool origin_algorithms_apply (const OriginAlgorithms *self, PeerContent *channel, PeerContent *file,
                              GError **error);
