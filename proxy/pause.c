/* SPDX-License-Identifier: Apache-2.0 */
/* GLib's timers, and all that we reckon with, stand while the machine sleeps. CLOCK_BOOTTIME goes on, and its
 * timer tells how often it would have woken us: more than once or twice, and we were not there. */
#include "proxy/pause.h"
#include <glib-unix.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { TICK_S = 2, MISSED = 3 };

struct ProxyPause {
  int fd;
  guint source;
  ProxyPauseFunc func;
  gpointer data;
};

static gboolean
on_tick (int fd, GIOCondition condition, gpointer data)
{
  ProxyPause *self = data;
  uint64_t ticks = 0;
  if (read (fd, &ticks, sizeof ticks) == sizeof ticks && ticks >= MISSED)
    self->func ((unsigned)MIN (ticks, G_MAXINT / TICK_S) * TICK_S, self->data);
  return G_SOURCE_CONTINUE;
}

ProxyPause *
proxy_pause_new (ProxyPauseFunc func, gpointer data)
{
  static const struct itimerspec ticks = {{TICK_S, 0}, {TICK_S, 0}};
  ProxyPause *self = g_new0 (ProxyPause, 1);
  self->func = func;
  self->data = data;
  self->fd = timerfd_create (CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (self->fd >= 0 && timerfd_settime (self->fd, 0, &ticks, NULL) == 0)
    self->source = g_unix_fd_add (self->fd, G_IO_IN, on_tick, self);
  return self;
}

void
proxy_pause_free (ProxyPause *self)
{
  if (!self)
    return;
  g_clear_handle_id (&self->source, g_source_remove);
  if (self->fd >= 0)
    close (self->fd);
  g_free (self);
}
