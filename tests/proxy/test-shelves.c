/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/shelves.h"
#include "tests/proxy/channel.h"
#include <string.h>

static void
put_link (ProxyCatalog *catalog, const char *name, const char *group, bool live, const char *link)
{
  g_autofree char *swarm = g_strdup_printf ("%s-swarm", name);
  ProxyDraft draft = channel_draft (swarm, link, name);
  draft.group = group;
  draft.live = live;
  proxy_catalog_put (catalog, &draft, NULL);
}

static void
put (ProxyCatalog *catalog, const char *name, const char *group, bool live)
{
  put_link (catalog, name, group, live, "ppsp:00");
}

/* "all:(one two) groups:(group:12345678:(one))" with the hash left out. */
static void
draw (ProxyShelves *shelves, const char *id, GString *out)
{
  const ProxyShelf *shelf = proxy_shelves_find (shelves, id);
  g_assert_nonnull (shelf);
  g_string_append_printf (out, "%s(", shelf->title);
  for (guint i = 0; i < shelf->below->len; i++) {
    const ProxyShelf *below = shelf->below->pdata[i];
    g_assert_cmpstr (below->parent_id, ==, id);
    draw (shelves, below->id, out);
  }
  for (guint i = 0; i < shelf->channels->len; i++)
    g_string_append_printf (out, "%s ", ((ProxyChannel *)shelf->channels->pdata[i])->id);
  g_string_append (out, ") ");
}

static void
assert_drawn (ProxyShelves *shelves, const char *expected)
{
  g_autoptr (GString) out = g_string_new (NULL);
  draw (shelves, "0", out);
  g_assert_cmpstr (out->str, ==, expected);
}

static void
test_shelves (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  g_autoptr (ProxyShelves) shelves = proxy_shelves_new (catalog);
  assert_drawn (shelves, "PPSP(All channels() ) ");
  put (catalog, "one", "News", true);
  put (catalog, "two", NULL, true);
  put (catalog, "film", "News", false);
  put (catalog, "three", "Music", true);
  assert_drawn (shelves, "PPSP(All channels(one three two ) Groups(News(film one ) Music(three ) ) "
                         "On demand(film ) ) ");
  g_assert_true (proxy_catalog_set_favourite (catalog, "film", true));
  g_assert_false (proxy_catalog_set_favourite (catalog, "nothing", true));
  assert_drawn (shelves, "PPSP(All channels(one three two ) Favourites(film ) "
                         "Groups(News(film one ) Music(three ) ) On demand(film ) ) ");
}

static const char *
place (ProxyShelves *shelves, const char *id)
{
  const ProxyShelf *shelf = NULL;
  return proxy_shelves_channel (shelves, id, &shelf) ? shelf->title : NULL;
}

/* An object is where its ID says, and nowhere else. */
static void
test_objects (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  g_autoptr (ProxyShelves) shelves = proxy_shelves_new (catalog);
  put (catalog, "one", "News", true);
  put (catalog, "two", NULL, true);
  put (catalog, "film", NULL, false);
  put_link (catalog, "kept", NULL, false, "recording:rec-1");
  proxy_catalog_set_favourite (catalog, "two", true);
  g_assert_cmpstr (place (shelves, "one"), ==, "All channels");
  g_assert_cmpstr (place (shelves, "film"), ==, "On demand");
  g_assert_cmpstr (place (shelves, "kept"), ==, "Recordings");
  g_assert_cmpstr (place (shelves, "favourites:two"), ==, "Favourites");
  const ProxyShelf *groups = proxy_shelves_find (shelves, "groups:");
  g_autofree char *in_group =
      g_strconcat (((ProxyShelf *)groups->below->pdata[0])->id, "one", NULL);
  g_assert_cmpstr (place (shelves, in_group), ==, "News");
  static const char *const wrong[] = {
      "all:one",    "favourites:one", "films:film",  "films:kept", "recordings:kept",
      "groups:one", "nothing:",       "favourites:", ":one",       "one:",
      "",           "group:0:one"};
  for (size_t i = 0; i < G_N_ELEMENTS (wrong); i++)
    g_assert_null (place (shelves, wrong[i]));
}

static void
note (const char *id, gpointer data)
{
  g_ptr_array_add (data, g_strdup (id));
}

static void
assert_told (ProxyShelves *shelves, unsigned n, const char *const *ids)
{
  g_autoptr (GPtrArray) told = g_ptr_array_new_with_free_func (g_free);
  proxy_shelves_tell (shelves, note, told);
  g_assert_cmpuint (told->len, ==, n);
  for (unsigned i = 0; i < n; i++)
    g_assert_true (g_ptr_array_find_with_equal_func (told, ids[i], g_str_equal, NULL));
}

static void
test_changes (void)
{
  g_autoptr (ProxyCatalog) catalog = proxy_catalog_open (NULL);
  g_autoptr (ProxyShelves) shelves = proxy_shelves_new (catalog);
  put (catalog, "one", NULL, true);
  uint32_t first = proxy_shelves_update_id (shelves);
  assert_told (shelves, 0, NULL);
  put (catalog, "film", NULL, false);
  assert_told (shelves, 2, (const char *const[]){"0", "films:"});
  assert_told (shelves, 0, NULL);
  uint32_t second = proxy_shelves_update_id (shelves);
  g_assert_cmpuint (second, >, first);
  put (catalog, "two", NULL, true);
  assert_told (shelves, 1, (const char *const[]){"all:"});
  g_assert_cmpuint (proxy_shelves_find (shelves, "films:")->update_id, ==, second);
  g_assert_cmpuint (proxy_shelves_find (shelves, "all:")->update_id, >, second);
  /* What nobody sees is no change. */
  uint32_t third = proxy_shelves_update_id (shelves);
  proxy_catalog_set_media (catalog, "one", "h264 100 640 360 25000 aac 0");
  g_assert_cmpuint (proxy_shelves_update_id (shelves), ==, third);
  ProxyDraft draft = channel_draft ("one-swarm", "ppsp:00", "one");
  draft.number = 7;
  proxy_catalog_put (catalog, &draft, NULL);
  assert_told (shelves, 1, (const char *const[]){"all:"});
  draft.logo = "http://lists.example/one.png";
  proxy_catalog_put (catalog, &draft, NULL);
  assert_told (shelves, 1, (const char *const[]){"all:"});
  draft.name = "Another";
  proxy_catalog_put (catalog, &draft, NULL);
  assert_told (shelves, 1, (const char *const[]){"all:"});
  proxy_catalog_remove (catalog, "film");
  assert_told (shelves, 1, (const char *const[]){"0"});
  g_assert_null (proxy_shelves_find (shelves, "films:"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/shelves/each-channel-in-its-places", test_shelves);
  g_test_add_func ("/proxy/shelves/an-object-is-where-its-id-says", test_objects);
  g_test_add_func ("/proxy/shelves/changes-are-told-where-they-are", test_changes);
  return g_test_run ();
}
