/* SPDX-License-Identifier: Apache-2.0 */
/* What the household records, now and at times to come: files of MPEG-TS in a folder of the owner's, which
 * stand in the catalog when they are done. */
#pragma once

#include "proxy/catalog.h"
#include "proxy/sessions.h"
#include "proxy/share.h"

#define PROXY_RECORDINGS_MAX 300   /* those to come and those that are done */
#define PROXY_RECORDINGS_AT_ONCE 8 /* the other places are for those who watch */
#define PROXY_RECORDINGS_SHARED 32 /* of the 64 swarms that an engine has */
#define PROXY_RECORDINGS_TAIL 5    /* s: so much later a channel is here than at its source */
#define PROXY_RECORDINGS_LONGEST (24 * 3600) /* s, of one */
#define PROXY_RECORDINGS_AHEAD (366 * 86400) /* s: it begins no later */

typedef enum {
  PROXY_RECORDING_SCHEDULED,
  PROXY_RECORDING_NOW,
  PROXY_RECORDING_DONE,
  PROXY_RECORDING_FAILED, /* there is nothing of it */
} ProxyRecordingState;
const char *proxy_recording_state_name (ProxyRecordingState state);

typedef struct {
  char *id; /* made of the time alone; its file's, and in the catalog its swarm ID */
  char *name;
  char *channel;       /* ID */
  int64_t start, stop; /* s, Unix time */
  ProxyRecordingState state;
  uint64_t bytes;
  char *error; /* why it waits, has ended before its time, or failed; NULL = nothing is wrong */
  bool shared; /* the owner wishes that others can have it, once it is done */
} ProxyRecording;

typedef int64_t (*ProxyRecordingsClock) (gpointer data); /* s, Unix time */

typedef struct {
  const char *folder;
  uint64_t quota; /* bytes; 0 = as the disk has room */
  ProxyCatalog *catalog;
  ProxySessions *sessions;
  const ProxySessionOptions *sharing; /* for the swarms of what is shared */
  ProxyRecordingsClock clock;         /* NULL = the system's */
  /* One is done, and in the catalog under that ID; or NULL. */
  void (*done) (const char *channel_id, gpointer data);
  gpointer data; /* of both */
} ProxyRecordingsOptions;

typedef struct ProxyRecordings ProxyRecordings;

/* What a process before this one had begun goes on. NULL with error: the folder cannot be written.
 * folder NULL: takes what there was out of the catalog, and returns NULL without error. */
ProxyRecordings *proxy_recordings_new (const ProxyRecordingsOptions *options, GError **error);
/* What is recorded now goes on with the next process. */
void proxy_recordings_free (ProxyRecordings *self);

typedef struct {
  const char *channel; /* ID */
  const char *name;    /* NULL = that of the channel */
  int64_t start, stop; /* s, Unix time; 0 = now, and as long as may be */
  bool shared;
} ProxyRecordingWish;
/* NULL with G_IO_ERROR_INVALID_ARGUMENT, or G_IO_ERROR_NO_SPACE. The answer is valid until the next verb. */
const ProxyRecording *proxy_recordings_add (ProxyRecordings *self, const ProxyRecordingWish *wish,
                                            GError **error);
/* One that is recorded now ends with what it has; one to come is forgotten. false = it is neither. */
bool proxy_recordings_stop (ProxyRecordings *self, const char *id);
/* It goes, and its file. false = there is none. */
bool proxy_recordings_remove (ProxyRecordings *self, const char *id);

/* The owner's wish. false with G_IO_ERROR_NOT_FOUND, or G_IO_ERROR_NO_SPACE: as many are shared as may be. */
bool proxy_recordings_set_shared (ProxyRecordings *self, const char *id, bool shared,
                                  GError **error);
/* Of one that is shared now. false = it is not. */
bool proxy_recordings_share_status (ProxyRecordings *self, const char *id, ProxyShareStatus *out);

const ProxyRecording *proxy_recordings_find (ProxyRecordings *self, const char *id);
/* ProxyRecording, as they were asked for; valid until the next verb. */
const GPtrArray *proxy_recordings_list (const ProxyRecordings *self);
uint64_t proxy_recordings_used (const ProxyRecordings *self);  /* bytes */
uint64_t proxy_recordings_quota (const ProxyRecordings *self); /* bytes; 0 = none */

/* Begins and ends what it is time for; a timer calls it each second, tests when they will. */
void proxy_recordings_turn (ProxyRecordings *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ProxyRecordings, proxy_recordings_free)
