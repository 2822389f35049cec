/* SPDX-License-Identifier: Apache-2.0 */
/* A file of the household's that becomes content on demand for others: hashed, announced to trackers, and
 * given. */
#pragma once

#include "peer/net/hashing.h"
#include "proxy/session.h"

typedef struct ProxyShare ProxyShare;

/* The hash tree is kept beside the file, for the next time. like: a link whose trackers are told of it, besides
 * those of options; NULL = those alone. told (data) is called when there is a link, or it failed. options and
 * hasher must outlive it. */
ProxyShare *proxy_share_new (const ProxySessionOptions *options, NetHasher *hasher, const char *id,
                             const char *path, const char *like, void (*told) (gpointer data),
                             gpointer data);
void proxy_share_free (ProxyShare *self);

typedef struct {
  double hashed;           /* 0 to 1 */
  const char *link;        /* NULL = not yet */
  const char *error;       /* why it cannot be shared; NULL = nothing is wrong */
  ProxySessionStats stats; /* with a link */
} ProxyShareStatus;
void proxy_share_status (const ProxyShare *self, ProxyShareStatus *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyShare, proxy_share_free)
