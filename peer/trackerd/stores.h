/* SPDX-License-Identifier: Apache-2.0 */
/* Where a registry lives on when its tracker does not:
 *
 *   memory:                                   nowhere
 *   sqlite:FILE                               in a file, written each second
 *   redis://[[USER]:PASSWORD@]HOST[:PORT][/NAME]
 *                                             with the other trackers that have the same NAME (ppsp);
 *                                             HOST:PORT,HOST:PORT are nodes of a cluster
 *
 * The registry in memory is the truth and answers all; no request waits for a store. */
#pragma once

#include "peer/trackerd/store.h"

/* Does this URI (NULL = memory:) name one that wants to be told of changes
 * (TrackerRegistryOptions.changes)? */
bool trackerd_stores_want_changes (const char *uri);
/* Fills the registry with what it has, at once or as it comes. It works in the default main context.
 * The error says what is wrong with which URI, and what to do. */
TrackerdStore *trackerd_stores_open (const char *uri, TrackerRegistry *registry, GRecMutex *lock,
                                     GError **error);
