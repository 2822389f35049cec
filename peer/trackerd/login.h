/* SPDX-License-Identifier: Apache-2.0 */
/* How a peer shows its account over HTTP (RFC 7846, 4 and 6.1): by the certificate of its TLS client,
 * by Digest (RFC 7616), or by a bearer token (RFC 6750). */
#pragma once

#include "peer/tracker/digest.h"
#include "peer/trackerd/access.h"

#include <libsoup/soup.h>

typedef enum {
  TRACKERD_LOGIN_NONE, /* it shows nothing, or nothing that we take */
  TRACKERD_LOGIN_GOOD,
  TRACKERD_LOGIN_STALE, /* right, but of a nonce that is none any more: to be shown again */
  TRACKERD_LOGIN_WRONG, /* nobody's */
} TrackerdLogin;

/* digest: NULL = no accounts for it. account: where GOOD; the caller frees. now: monotonic us. */
TrackerdLogin trackerd_login (const TrackerdAccess *access, TrackerDigest *digest,
                              SoupServerMessage *message, const PeerAddress *from, int64_t now,
                              char **account);
/* Says in the response how an account may be shown; not at all, where that is only by a certificate,
 * for which HTTP has no word. */
void trackerd_login_challenge (const TrackerdAccess *access, TrackerDigest *digest,
                               SoupServerMessage *message, const PeerAddress *from, int64_t now,
                               TrackerdLogin login);
