/* SPDX-License-Identifier: Apache-2.0 */
/* A callback that is removed while the list is called only loses its function; its place goes when
 * the outermost call is over. One that is added meanwhile waits for the next call. */
#include "proxy/watch.h"

typedef struct {
  ProxyWatchFunc func;
  gpointer data;
} Entry;

struct ProxyWatches {
  GArray *entries;
  unsigned calling;
};

ProxyWatches *
proxy_watches_new (void)
{
  ProxyWatches *self = g_new0 (ProxyWatches, 1);
  self->entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  return self;
}

void
proxy_watches_free (ProxyWatches *self)
{
  if (!self)
    return;
  g_array_unref (self->entries);
  g_free (self);
}

void
proxy_watches_add (ProxyWatches *self, ProxyWatchFunc func, gpointer data)
{
  Entry entry = {func, data};
  g_array_append_val (self->entries, entry);
}

static void
sweep (ProxyWatches *self)
{
  for (guint i = self->entries->len; i-- > 0;)
    if (!g_array_index (self->entries, Entry, i).func)
      g_array_remove_index (self->entries, i);
}

void
proxy_watches_remove (ProxyWatches *self, ProxyWatchFunc func, gpointer data)
{
  for (guint i = 0; i < self->entries->len; i++) {
    Entry *entry = &g_array_index (self->entries, Entry, i);
    if (entry->func == func && entry->data == data) {
      entry->func = NULL;
      break;
    }
  }
  if (self->calling == 0)
    sweep (self);
}

void
proxy_watches_call (ProxyWatches *self)
{
  guint n = self->entries->len;
  self->calling++;
  for (guint i = 0; i < n; i++) {
    Entry entry = g_array_index (self->entries, Entry, i);
    if (entry.func)
      entry.func (entry.data);
  }
  if (--self->calling == 0)
    sweep (self);
}
