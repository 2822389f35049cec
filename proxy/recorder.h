/* SPDX-License-Identifier: Apache-2.0 */
/* A live channel on its way into a file: one more viewer of its ring, that writes what it reads. */
#pragma once

#include "proxy/stream.h"

typedef enum {
  PROXY_RECORDER_FINISHED, /* as it was told to */
  PROXY_RECORDER_LEFT,     /* the channel has ended; it may come back */
  PROXY_RECORDER_FULL,     /* room() was less than what came */
  PROXY_RECORDER_FAILED,   /* the disk is full, or failed */
} ProxyRecorderEnd;

typedef struct {
  /* How many bytes may be written now. */
  uint64_t (*room) (gpointer data);
  /* It is over, once; it may be freed in here. why: NULL but for FAILED. */
  void (*ended) (ProxyRecorderEnd end, const char *why, gpointer data);
} ProxyRecorderUser;

typedef struct ProxyRecorder ProxyRecorder;

/* stream: of a transport stream, taken over. A file that is there already goes on: the first packet of
 * each PID of the new part is marked as a discontinuity. NULL with error: it cannot be written. */
ProxyRecorder *proxy_recorder_new (ProxyStream *stream, const char *path,
                                   const ProxyRecorderUser *user, gpointer data, GError **error);
/* What was read until now is in the file when it returns. */
void proxy_recorder_free (ProxyRecorder *self);

/* What is there to be read now is written yet, and then it is over. */
void proxy_recorder_finish (ProxyRecorder *self);
/* Bytes in the file, and on their way there. */
uint64_t proxy_recorder_bytes (const ProxyRecorder *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyRecorder, proxy_recorder_free)
