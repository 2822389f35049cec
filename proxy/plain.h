/* SPDX-License-Identifier: Apache-2.0 */
/* A file of our own as content that is all here: nothing of it is proven, as nobody else gave it. */
#pragma once

#include "peer/store.h"
#include <glib.h>

#define PROXY_PLAIN_CHUNK 65536 /* bytes */

/* It is read only, and as long as it is now. length: out, bytes, more than none. */
PeerStore *proxy_plain_open (const char *path, uint64_t *length, GError **error);
