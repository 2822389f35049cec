/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/warm.h"

#define LOOK_SECONDS 3

struct ProxyWarm {
  ProxyCatalog *catalog;
  ProxySessions *sessions;
  unsigned n;
  GPtrArray *watched; /* IDs, the last one first */
  guint timer;
};

static bool
plays (const ProxyWarm *self, const char *id)
{
  ProxyState state = proxy_sessions_state (self->sessions, id, NULL, NULL);
  return state != PROXY_STATE_IDLE && state != PROXY_STATE_WARM && state != PROXY_STATE_FAILED;
}

static void
note_watched (ProxyWarm *self)
{
  g_autoptr (GPtrArray) sessions = proxy_sessions_list (self->sessions);
  for (guint i = 0; i < sessions->len; i++) {
    const char *id = proxy_session_id (sessions->pdata[i]);
    guint at;
    if (!proxy_session_is_live (sessions->pdata[i]) || !plays (self, id))
      continue;
    if (g_ptr_array_find_with_equal_func (self->watched, id, g_str_equal, &at))
      g_ptr_array_insert (self->watched, 0, g_ptr_array_steal_index (self->watched, at));
    else
      g_ptr_array_insert (self->watched, 0, g_strdup (id));
  }
  if (self->watched->len > 2 * PROXY_WARM_MAX)
    g_ptr_array_set_size (self->watched, 2 * PROXY_WARM_MAX);
}

static void
add (const ProxyWarm *self, GPtrArray *wanted, const ProxyChannel *channel)
{
  if (channel && channel->live && wanted->len < self->n && !plays (self, channel->id) &&
      !g_ptr_array_find (wanted, channel, NULL))
    g_ptr_array_add (wanted, (gpointer)channel);
}

/* The nearest live channel in that direction; NULL = there is none. */
static const ProxyChannel *
neighbour (const GPtrArray *all, guint i, int step)
{
  for (gint64 at = (gint64)i + step; at >= 0 && at < (gint64)all->len; at += step)
    if (((const ProxyChannel *)all->pdata[at])->live)
      return all->pdata[at];
  return NULL;
}

void
proxy_warm_look (ProxyWarm *self)
{
  note_watched (self);
  const GPtrArray *all = proxy_catalog_list (self->catalog);
  g_autoptr (GPtrArray) wanted = g_ptr_array_new ();
  for (guint i = 0; i < all->len && wanted->len < self->n; i++)
    if (((const ProxyChannel *)all->pdata[i])->favourite)
      add (self, wanted, all->pdata[i]);
  for (guint i = 0; i < self->watched->len && wanted->len < self->n; i++) {
    const ProxyChannel *channel = proxy_catalog_lookup (self->catalog, self->watched->pdata[i]);
    guint at;
    if (!channel || !plays (self, channel->id) ||
        !g_ptr_array_find ((GPtrArray *)all, channel, &at))
      continue;
    add (self, wanted, neighbour (all, at, 1));
    add (self, wanted, neighbour (all, at, -1));
  }
  for (guint i = 0; i < self->watched->len; i++)
    add (self, wanted, proxy_catalog_lookup (self->catalog, self->watched->pdata[i]));
  proxy_sessions_warm (self->sessions, wanted);
}

static gboolean
on_timer (gpointer data)
{
  proxy_warm_look (data);
  return G_SOURCE_CONTINUE;
}

ProxyWarm *
proxy_warm_new (ProxyCatalog *catalog, ProxySessions *sessions, unsigned n)
{
  ProxyWarm *self = g_new0 (ProxyWarm, 1);
  self->catalog = catalog;
  self->sessions = proxy_sessions_ref (sessions);
  self->n = MIN (n, PROXY_WARM_MAX);
  self->watched = g_ptr_array_new_with_free_func (g_free);
  if (self->n > 0)
    self->timer = g_timeout_add_seconds (LOOK_SECONDS, on_timer, self);
  return self;
}

void
proxy_warm_free (ProxyWarm *self)
{
  if (!self)
    return;
  g_clear_handle_id (&self->timer, g_source_remove);
  proxy_sessions_unref (self->sessions);
  g_ptr_array_unref (self->watched);
  g_free (self);
}
