/* SPDX-License-Identifier: Apache-2.0 */
/* What an origin must not forget: the keys of its channels, which chunks they may have signed, and
 * the tokens of their encoders. One folder, one process: two that sign with the same key would
 * fork the channel. */
#pragma once

#include "peer/content.h"
#include "peer/crypto.h"

typedef struct OriginState OriginState;

/* folder NULL = $STATE_DIRECTORY, else the user's state folder. Created with mode 0700 if absent,
 * locked, and tried by a write; the error says what to do. */
OriginState *origin_state_open (const char *folder, GError **error);
void origin_state_close (OriginState *self);
const char *origin_state_folder (const OriginState *self);
/* The caller frees. */
char *origin_state_path (const OriginState *self, const char *name);

/* A live channel: made with the metadata in content if it is new, else content takes those with
 * which it was made. first: chunks from there on are in no reservation yet; a multiple of the
 * chunks per signature. A key without its record, or a record that cannot be read, is an error: to
 * guess would be to sign chunks twice. */
PeerKey *origin_state_channel (OriginState *self, const char *id, PeerContent *content,
                               uint64_t *first, GError **error);
/* Only chunks below end may be signed from now on. Safe to call in another thread, one call at a
 * time for each channel. */
bool origin_state_reserve (OriginState *self, const char *id, const PeerContent *content,
                           uint64_t end, GError **error);
/* The token that an encoder on another machine must show. made: it is new. The caller frees. */
char *origin_state_token (OriginState *self, const char *id, bool *made, GError **error);

/* The key of the tracker that certifies members (RFC 7574, 12.2.2: links name it), as it was kept
 * for these trackers; false = none is. uris: NULL-terminated. */
bool origin_state_tracker (OriginState *self, const char *const *uris,
                           uint8_t key[PEER_FINGERPRINT]);
bool origin_state_keep_tracker (OriginState *self, const char *const *uris,
                                const uint8_t key[PEER_FINGERPRINT], GError **error);

/* a-z 0-9 . _ -, 1 to 64 of them, not beginning with a dot, not ending like a hash tree. */
bool origin_id_is_valid (const char *id);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (OriginState, origin_state_close)
