/* SPDX-License-Identifier: Apache-2.0 */
/* All is made anew when the catalog's generation has risen (3 ms for 10,000 channels), which keeps it
 * true without any bookkeeping; a hash over what stands on a shelf says whether it has changed. */
#include "proxy/shelves.h"
#include "proxy/session.h"
#include <string.h>

/* Remembered of a shelf while it is made anew, or is away. */
typedef struct {
  uint64_t print;
  uint32_t update_id;
  bool told;
} Past;

struct ProxyShelves {
  ProxyCatalog *catalog;
  uint32_t generation; /* of the catalog, that all this was made of */
  uint32_t update_id;
  GHashTable *shelves;  /* id -> ProxyShelf */
  GHashTable *channels; /* id -> const ProxyChannel */
  GHashTable *past;     /* id -> Past */
};

static void
shelf_free (gpointer data)
{
  ProxyShelf *shelf = data;
  g_free (shelf->id);
  g_free (shelf->title);
  g_ptr_array_unref (shelf->channels);
  g_ptr_array_unref (shelf->below);
  g_free (shelf);
}

ProxyShelves *
proxy_shelves_new (ProxyCatalog *catalog)
{
  ProxyShelves *self = g_new0 (ProxyShelves, 1);
  self->catalog = catalog;
  /* A television that remembers the number of before a restart must not take ours for the same. */
  self->update_id = g_random_int () >> 1;
  self->shelves = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, shelf_free);
  self->channels = g_hash_table_new (g_str_hash, g_str_equal);
  self->past = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

void
proxy_shelves_free (ProxyShelves *self)
{
  if (!self)
    return;
  g_hash_table_unref (self->shelves);
  g_hash_table_unref (self->channels);
  g_hash_table_unref (self->past);
  g_free (self);
}

static ProxyShelf *
add_shelf (ProxyShelves *self, const char *id, const char *title, ProxyShelf *parent)
{
  ProxyShelf *shelf = g_new0 (ProxyShelf, 1);
  shelf->id = g_strdup (id);
  shelf->title = g_strdup (title);
  shelf->channels = g_ptr_array_new ();
  shelf->below = g_ptr_array_new ();
  g_hash_table_insert (self->shelves, shelf->id, shelf);
  if (parent) {
    shelf->parent_id = parent->id;
    g_ptr_array_add (parent->below, shelf);
  }
  return shelf;
}

static uint64_t
add_print (uint64_t print, const char *text)
{
  for (const char *c = text ? text : "-"; *c; c++)
    print = (print ^ (unsigned char)*c) * 1099511628211u; /* FNV-1a */
  return (print ^ 0x100) * 1099511628211u;
}

/* Of all that a list of its children shows. */
static uint64_t
print_of (const ProxyShelf *shelf)
{
  uint64_t print = 14695981039346656037u;
  for (guint i = 0; i < shelf->below->len; i++) {
    const ProxyShelf *below = shelf->below->pdata[i];
    print = add_print (add_print (print, below->id), below->title);
  }
  for (guint i = 0; i < shelf->channels->len; i++) {
    const ProxyChannel *channel = shelf->channels->pdata[i];
    print = add_print (add_print (add_print (print, channel->id), channel->name), channel->logo);
    print = (print ^ (uint64_t)channel->number) * 1099511628211u;
  }
  return print;
}

static char *
group_id (const char *group)
{
  uint64_t hash = add_print (14695981039346656037u, group);
  return g_strdup_printf ("group:%08x:", (unsigned)(hash ^ hash >> 32));
}

/* The shelf where it stands itself. */
static const char *
home_of (const ProxyChannel *channel)
{
  if (channel->live)
    return "all:";
  return g_str_has_prefix (channel->link, PROXY_SESSION_RECORDING) ? "recordings:" : "films:";
}

/* Of what is not live, what belongs on it. */
static void
add_films (ProxyShelves *self, const char *id, const char *title, ProxyShelf *root)
{
  const GPtrArray *channels = proxy_catalog_list (self->catalog);
  ProxyShelf *shelf = NULL;
  for (guint i = 0; i < channels->len; i++) {
    ProxyChannel *channel = channels->pdata[i];
    if (!g_str_equal (home_of (channel), id))
      continue;
    if (!shelf)
      shelf = add_shelf (self, id, title, root);
    g_ptr_array_add (shelf->channels, channel);
  }
}

static void
fill (ProxyShelves *self)
{
  ProxyShelf *root = add_shelf (self, "0", "PPSP", NULL);
  ProxyShelf *all = add_shelf (self, "all:", "All channels", root);
  ProxyShelf *favourites = NULL, *groups = NULL;
  const GPtrArray *channels = proxy_catalog_list (self->catalog);
  for (guint i = 0; i < channels->len; i++) {
    ProxyChannel *channel = channels->pdata[i];
    g_hash_table_insert (self->channels, channel->id, channel);
    if (channel->live)
      g_ptr_array_add (all->channels, channel);
    if (channel->favourite) {
      if (!favourites) {
        favourites = add_shelf (self, "favourites:", "Favourites", root);
        favourites->references = true;
      }
      g_ptr_array_add (favourites->channels, channel);
    }
  }
  for (guint i = 0; i < channels->len; i++) {
    ProxyChannel *channel = channels->pdata[i];
    if (!channel->group)
      continue;
    if (!groups)
      groups = add_shelf (self, "groups:", "Groups", root);
    g_autofree char *id = group_id (channel->group);
    ProxyShelf *group = g_hash_table_lookup (self->shelves, id);
    if (!group) {
      group = add_shelf (self, id, channel->group, groups);
      group->references = true;
    }
    g_ptr_array_add (group->channels, channel);
  }
  add_films (self, "recordings:", "Recordings", root);
  add_films (self, "films:", "On demand", root);
}

static gboolean
is_gone (gpointer id, gpointer past, gpointer shelves)
{
  return !g_hash_table_contains (shelves, id);
}

static void
refresh (ProxyShelves *self)
{
  uint32_t generation = proxy_catalog_generation (self->catalog);
  if (generation == self->generation)
    return;
  bool first = self->generation == 0;
  self->generation = generation;
  g_hash_table_remove_all (self->channels);
  g_hash_table_remove_all (self->shelves);
  fill (self);
  g_hash_table_foreach_remove (self->past, is_gone, self->shelves);

  uint32_t next = self->update_id + 1;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, self->shelves);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    ProxyShelf *shelf = value;
    Past *past = g_hash_table_lookup (self->past, shelf->id);
    uint64_t print = print_of (shelf);
    if (!past) {
      past = g_new0 (Past, 1);
      g_hash_table_insert (self->past, g_strdup (shelf->id), past);
      past->told = first; /* what was there when we began is no news */
    } else if (past->print == print) {
      shelf->update_id = past->update_id;
      continue;
    } else {
      past->told = false;
    }
    past->print = print;
    past->update_id = shelf->update_id = self->update_id = next;
  }
}

const ProxyShelf *
proxy_shelves_find (ProxyShelves *self, const char *id)
{
  refresh (self);
  return g_hash_table_lookup (self->shelves, id);
}

const ProxyChannel *
proxy_shelves_channel (ProxyShelves *self, const char *id, const ProxyShelf **shelf)
{
  refresh (self);
  const char *colon = strrchr (id, ':');
  const ProxyChannel *channel = g_hash_table_lookup (self->channels, colon ? colon + 1 : id);
  if (!channel)
    return NULL;
  g_autofree char *shelf_id =
      colon ? g_strndup (id, (size_t)(colon + 1 - id)) : g_strdup (home_of (channel));
  *shelf = g_hash_table_lookup (self->shelves, shelf_id);
  if (!*shelf || (*shelf)->references != (colon != NULL) ||
      !g_ptr_array_find ((*shelf)->channels, channel, NULL))
    return NULL;
  return channel;
}

uint32_t
proxy_shelves_update_id (ProxyShelves *self)
{
  refresh (self);
  return self->update_id;
}

void
proxy_shelves_tell (ProxyShelves *self, void (*func) (const char *id, gpointer data), gpointer data)
{
  g_autoptr (GPtrArray) changed = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer key, value;
  refresh (self);
  g_hash_table_iter_init (&iter, self->past);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    Past *past = value;
    if (!past->told)
      g_ptr_array_add (changed, g_strdup (key));
    past->told = true;
  }
  for (guint i = 0; i < changed->len; i++)
    func (changed->pdata[i], data);
}
