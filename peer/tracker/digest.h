/* SPDX-License-Identifier: Apache-2.0 */
/* Digest access authentication (RFC 7616), the same for HTTP and for SIP (RFC 3261, section 22; RFC 8760):
 * the side that challenges, and the side that answers. Header values go in and come out; it knows no
 * header's name, no socket and no clock. Time is monotonic microseconds. */
#pragma once

#include "peer/random.h"

#include <stdbool.h>

/* In the order in which they are offered: the first that the client knows is the one to take (3.7). */
typedef enum { TRACKER_DIGEST_SHA256, TRACKER_DIGEST_MD5 } TrackerDigestAlgorithm;
#define TRACKER_DIGEST_ALGORITHMS 2

/* A longer value of a header is malformed; bytes. */
#define TRACKER_DIGEST_MAX_HEADER 4096

/* --- the side that challenges ---------------------------------------------------------------- */

typedef struct TrackerDigest TrackerDigest;

typedef struct {
  const char *realm; /* without '"', '\\', ':' and control characters */
  PeerRandom random; /* unguessable, save in tests */
  void *random_data;
  int64_t nonce_life; /* us; 0 = 5 minutes */
  uint32_t
      max_nonces; /* whose counts are kept; 0 = 65,536. With more in use, the oldest are stale. */
} TrackerDigestOptions;

/* NULL = the realm cannot be one. */
TrackerDigest *tracker_digest_new (const TrackerDigestOptions *options);
void tracker_digest_free (TrackerDigest *self);

/* The accounts, in place of those before: lines "user:realm:HASH" as htdigest writes them, 32 hex digits for
 * MD5, 64 for SHA-256; one user may have both. Lines of other realms, empty ones and those that begin
 * with '#' are passed over. On failure nothing has changed; the error names the line. */
bool tracker_digest_load (TrackerDigest *self, const char *text, GError **error);

/* The value of a WWW-Authenticate, one for each algorithm for which there is an account; NULL = none. from: what
 * the nonce is bound to, such as the text of the client's IP. The caller frees. */
char *tracker_digest_challenge (TrackerDigest *self, int64_t now, TrackerDigestAlgorithm algorithm,
                                const char *from, bool stale);

typedef struct {
  const char *authorization; /* the value of the header; NULL = there was none */
  const char *method;
  const char *uri;  /* the target of the request, which the client must have signed (3.4.6) */
  const char *from; /* as in the challenge */
} TrackerDigestRequest;

typedef enum {
  TRACKER_DIGEST_OK,
  TRACKER_DIGEST_NONE,  /* another scheme or realm, or no header: challenge it */
  TRACKER_DIGEST_STALE, /* right, but its nonce is too old, used, or another's: challenge, stale */
  TRACKER_DIGEST_WRONG, /* no such account, or another password: challenge it */
  TRACKER_DIGEST_MALFORMED, /* or for another target: 400 */
} TrackerDigestResult;

/* user: of the account, where OK; lives until the accounts are loaded anew. A nonce counts as used with each
 * OK: the same nonce and nc are never right again, though they may come in another order. */
TrackerDigestResult tracker_digest_check (TrackerDigest *self, int64_t now,
                                          const TrackerDigestRequest *request, const char **user);

/* --- the side that answers ------------------------------------------------------------------- */

typedef struct TrackerDigestClient TrackerDigestClient;

TrackerDigestClient *tracker_digest_client_new (const char *user, const char *password,
                                                PeerRandom random, void *random_data);
void tracker_digest_client_free (TrackerDigestClient *self);

/* Takes the best of the challenges; values: of all WWW-Authenticate of one response, NULL-terminated. false =
 * none that we could answer; nothing has changed. stale: the credentials were right, the nonce was not. A
 * second challenge to one request that is not stale says that they are wrong. */
bool tracker_digest_client_challenge (TrackerDigestClient *self, const char *const *values,
                                      bool *stale);
/* The value of Authorization; NULL = there was no challenge yet. The caller frees. */
char *tracker_digest_client_authorize (TrackerDigestClient *self, const char *method,
                                       const char *uri);

/* "user:realm:password" as a line's HASH has it; the caller frees. */
char *tracker_digest_hash (TrackerDigestAlgorithm algorithm, const char *user, const char *realm,
                           const char *password);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerDigest, tracker_digest_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerDigestClient, tracker_digest_client_free)
