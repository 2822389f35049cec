/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/trackerd/events.h"

#define LOG_DOMAIN "peer/trackerd"
/* What happens again within this time is the same event. */
#define SAME (60 * G_USEC_PER_SEC)

static const struct {
  const char *name;
  GLogLevelFlags level;
} kinds[] = {
    [TRACKERD_EVENT_STARTED] = {"started", G_LOG_LEVEL_INFO},
    [TRACKERD_EVENT_TERMINATED] = {"terminated", G_LOG_LEVEL_INFO},
    [TRACKERD_EVENT_RELOADED] = {"reloaded", G_LOG_LEVEL_MESSAGE},
    [TRACKERD_EVENT_RELOAD_FAILED] = {"reload-failed", G_LOG_LEVEL_WARNING},
    [TRACKERD_EVENT_LIMITS_CHANGED] = {"limits-changed", G_LOG_LEVEL_MESSAGE},
    [TRACKERD_EVENT_LIMIT_REACHED] = {"limit-reached", G_LOG_LEVEL_WARNING},
    [TRACKERD_EVENT_FLOOD] = {"flood", G_LOG_LEVEL_WARNING},
    [TRACKERD_EVENT_BAD_CREDENTIALS] = {"bad-credentials", G_LOG_LEVEL_WARNING},
    [TRACKERD_EVENT_DENIED] = {"denied", G_LOG_LEVEL_INFO},
    [TRACKERD_EVENT_USURPED] = {"usurped", G_LOG_LEVEL_WARNING},
    [TRACKERD_EVENT_FOREIGN_ADDRESS] = {"foreign-address", G_LOG_LEVEL_INFO},
    [TRACKERD_EVENT_MALFORMED] = {"malformed", G_LOG_LEVEL_INFO},
};

struct TrackerdEvents {
  TrackerdEvent kept[TRACKERD_EVENTS_KEPT]; /* a ring */
  uint64_t n;                               /* of all times */
  uint64_t newest[G_N_ELEMENTS (kinds)];    /* number, by kind; 0 = none */
};

TrackerdEvents *
trackerd_events_new (void)
{
  return g_new0 (TrackerdEvents, 1);
}

void
trackerd_events_free (TrackerdEvents *self)
{
  for (unsigned i = 0; i < TRACKERD_EVENTS_KEPT; i++)
    g_free (self->kept[i].text);
  g_free (self);
}

const char *
trackerd_event_name (TrackerdEventKind kind)
{
  return kinds[kind].name;
}

static TrackerdEvent *
place_of (const TrackerdEvents *self, uint64_t number)
{
  return (TrackerdEvent *)&self->kept[(number - 1) % TRACKERD_EVENTS_KEPT];
}

/* One that is told apart each time: it comes from the operator, who wants to see each answered. */
static bool
is_ours (TrackerdEventKind kind)
{
  return kind == TRACKERD_EVENT_RELOADED || kind == TRACKERD_EVENT_RELOAD_FAILED ||
         kind == TRACKERD_EVENT_LIMITS_CHANGED;
}

void
trackerd_events_note (TrackerdEvents *self, TrackerdEventKind kind, int64_t now, const char *format,
                      ...)
{
  uint64_t number = self->newest[kind];
  if (number != 0 && self->n - number < TRACKERD_EVENTS_KEPT && !is_ours (kind)) {
    TrackerdEvent *before = place_of (self, number);
    if (now - before->at < SAME && now >= before->at) {
      before->times += before->times < UINT32_MAX;
      before->last = now;
      return;
    }
  }
  va_list arguments;
  va_start (arguments, format);
  char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  number = ++self->n;
  self->newest[kind] = number;
  TrackerdEvent *event = place_of (self, number);
  g_free (event->text);
  *event = (TrackerdEvent){
      .number = number, .at = now, .last = now, .kind = kind, .times = 1, .text = text};
  g_log_structured (LOG_DOMAIN, kinds[kind].level, "EVENT", kinds[kind].name, "MESSAGE", "%s",
                    text);
}

unsigned
trackerd_events_count (const TrackerdEvents *self)
{
  return (unsigned)MIN (self->n, TRACKERD_EVENTS_KEPT);
}

const TrackerdEvent *
trackerd_events_get (const TrackerdEvents *self, unsigned i)
{
  return place_of (self, self->n - trackerd_events_count (self) + 1 + i);
}
