/* SPDX-License-Identifier: Apache-2.0 */
/* One television as we command it (AVTransport:1): what it is, what it takes, what it plays, and what
 * it was asked to play. */
#pragma once

#include "dlna/library.h"
#include "dlna/quirks.h"

typedef enum {
  DLNA_RENDERER_AWAY, /* was here, and does not answer or has said byebye */
  DLNA_RENDERER_STOPPED,
  DLNA_RENDERER_STARTING,
  DLNA_RENDERER_PLAYING,
  DLNA_RENDERER_PAUSED,
} DlnaRendererState;
const char *dlna_renderer_state_name (DlnaRendererState state);

/* What all of them share; outlives them. */
typedef struct {
  SoupSession *session;
  DlnaLibrary *library;
  const DlnaQuirks *quirks;
  uint16_t media_port; /* where /media/ is served, and their events are heard */
} DlnaRendererHouse;

typedef struct DlnaRenderer DlnaRenderer;

DlnaRenderer *dlna_renderer_new (const DlnaRendererHouse *house, const char *udn);
void dlna_renderer_free (DlnaRenderer *self);

/* It was heard of; here: our own address on its network. What it was playing for us goes on. */
void dlna_renderer_seen (DlnaRenderer *self, const char *location, const char *ip,
                         const char *here);
void dlna_renderer_gone (DlnaRenderer *self); /* it said byebye */

/* Plays the item; waits a while for a renderer that is away. What fails is told by the status. */
void dlna_renderer_play (DlnaRenderer *self, const char *item_id);
void dlna_renderer_stop (DlnaRenderer *self);

/* Once a second. */
void dlna_renderer_tick (DlnaRenderer *self);
/* Somebody at ip has sent a NOTIFY to this renderer's address; the HTTP status of the answer. */
unsigned dlna_renderer_event (DlnaRenderer *self, const char *ip, const char *sid, const char *text,
                              gsize n);

typedef struct {
  const char *udn, *name, *model, *ip;
  const char *location, *here; /* as it was heard of; NULL = not yet */
  DlnaRendererState state;
  const char *item_id; /* that we have it play, or are about to; NULL = none */
  const char *error;   /* why it does not, in a sentence; NULL = all is well */
  bool described;      /* it has said what it is; else it is not shown */
} DlnaRendererStatus;
/* Valid until the renderer's next verb. */
void dlna_renderer_status (const DlnaRenderer *self, DlnaRendererStatus *out);
const char *dlna_renderer_token (const DlnaRenderer *self); /* of its events: /event/TOKEN */
int64_t dlna_renderer_last_seen (const DlnaRenderer *self); /* us, monotonic */
/* It should be looked for: it is away, and something is to be played on it. */
bool dlna_renderer_is_missed (const DlnaRenderer *self);

/* A LastChange event's transport state and URI; NULL = it says nothing of that. false = it is none. */
bool dlna_renderer_read_event (const char *text, gsize n, char **state, char **uri);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlnaRenderer, dlna_renderer_free)
