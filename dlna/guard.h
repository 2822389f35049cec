/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in front of what gupnp serves: refuses what would make it grow, leak or warn. */
#pragma once

#include <libsoup/soup.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
  const char *address;        /* "192.168.1.1:8575": the only Host there is; NULL = any */
  const char *const *actions; /* names that SOAPAction may have; NULL-terminated */
  /* Whether a client is on our network; NULL = all are. */
  bool (*is_near) (GInetSocketAddress *remote, gpointer data);
  gpointer data;
} DlnaGuardOptions;

typedef struct {
  uint64_t far, wrong_host, too_large, bad_action, bad_callback, too_many_subscriptions;
  unsigned subscriptions; /* now */
} DlnaGuardStats;

typedef struct DlnaGuard DlnaGuard;

/* Bodies of at most 64 KiB; 64 subscriptions, 8 for an IP, that call back the one who asked. Copies
 * address, borrows the rest of options. */
DlnaGuard *dlna_guard_new (SoupServer *server, const DlnaGuardOptions *options);
void dlna_guard_free (DlnaGuard *self);
/* Adds to out. */
void dlna_guard_stats (DlnaGuard *self, DlnaGuardStats *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaGuard, dlna_guard_free)
