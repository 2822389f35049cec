/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator should hear of (RFC 7846, 5.2.7; RFC 6972, OAM.REQ-5): the last of it is kept for
 * the management, and all of it goes to the log, which may be syslog (RFC 5424). An attacker decides
 * how often something happens, but not how often it is told: of one kind, once a minute. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
  TRACKERD_EVENT_STARTED,         /* the tracker's state machine (2.3): the first peer came */
  TRACKERD_EVENT_TERMINATED,      /* and the last one is gone */
  TRACKERD_EVENT_RELOADED,        /* certificates and lists were read again */
  TRACKERD_EVENT_RELOAD_FAILED,   /* and the old ones stay */
  TRACKERD_EVENT_LIMITS_CHANGED,  /* by the management */
  TRACKERD_EVENT_LIMIT_REACHED,   /* somebody was refused over it */
  TRACKERD_EVENT_FLOOD,           /* an address makes too many requests */
  TRACKERD_EVENT_BAD_CREDENTIALS, /* shown, and wrong */
  TRACKERD_EVENT_DENIED,          /* by the lists */
  TRACKERD_EVENT_USURPED,         /* a request for a peer of another account */
  TRACKERD_EVENT_FOREIGN_ADDRESS, /* a peer registers an address that is not its own */
  TRACKERD_EVENT_MALFORMED,       /* a request that cannot be read */
} TrackerdEventKind;

#define TRACKERD_EVENTS_KEPT 256

typedef struct {
  uint64_t number;  /* from 1 on */
  int64_t at, last; /* us of the Unix epoch: the first time and the last */
  TrackerdEventKind kind;
  uint32_t times; /* that it happened, within a minute */
  char *text;
} TrackerdEvent;

typedef struct TrackerdEvents TrackerdEvents;

TrackerdEvents *trackerd_events_new (void);
void trackerd_events_free (TrackerdEvents *self);
/* now: us of the Unix epoch. */
G_GNUC_PRINTF (4, 5)
void trackerd_events_note (TrackerdEvents *self, TrackerdEventKind kind, int64_t now,
                           const char *format, ...);
/* "bad-credentials" */
const char *trackerd_event_name (TrackerdEventKind kind);
/* Those that are kept, the oldest first. */
unsigned trackerd_events_count (const TrackerdEvents *self);
const TrackerdEvent *trackerd_events_get (const TrackerdEvents *self, unsigned i);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrackerdEvents, trackerd_events_free)
