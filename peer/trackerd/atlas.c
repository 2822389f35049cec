/* SPDX-License-Identifier: Apache-2.0 */
/* directory -> network map -> cost map -> places
 *
 * What fails at any step is tried again in five minutes, and the maps of before stay: a map of yesterday is
 * better than none. */
#include "peer/trackerd/atlas.h"

#include "peer/net/fetch.h"

#include <string.h>

#define G_LOG_DOMAIN_ATLAS "peer/trackerd"
#define MAX_TABLE (256u << 20) /* bytes: all prefixes of the Internet, with names */
#define MAX_MAP (64u << 20)
#define FETCH_SECONDS 60
#define REFRESH_SECONDS 3600
#define RETRY_SECONDS 300

typedef enum { STEP_DIRECTORY, STEP_NETWORK_MAP, STEP_COST_MAP } Step;

struct TrackerdAtlas {
  char *table, *alto;
  TrackerdAtlasFunc func;
  void *data;
  NetFetch *fetch;
  Step step;
  char *cost_uri;
  GBytes *network, *costs; /* the maps, as they came last; NULL = none */
  GBytes *new_network;
  guint timer;
  bool failed; /* said so */
};

static void ask (TrackerdAtlas *self, const char *uri, Step step);

/* All that is known now; NULL = nothing, or the table is malformed. */
static TrackerPlaces *
build (TrackerdAtlas *self, GBytes *network, GBytes *costs, GError **error)
{
  g_autoptr (TrackerPlaces) places = tracker_places_new ();
  if (self->table != NULL) {
    g_autofree char *text = NULL;
    gsize n;
    if (!g_file_get_contents (self->table, &text, &n, error)) {
      g_prefix_error (error, "cannot read --places: ");
      return NULL;
    }
    if (n > MAX_TABLE) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: a table of more than 256 MiB",
                   self->table);
      return NULL;
    }
    if (!tracker_places_read_table (places, text, error)) {
      g_prefix_error (error, "%s: ", self->table);
      return NULL;
    }
  }
  gsize n;
  const char *text;
  if (network != NULL && (text = g_bytes_get_data (network, &n)) != NULL &&
      !tracker_places_read_network_map (places, text, n, error))
    return NULL;
  if (costs != NULL && (text = g_bytes_get_data (costs, &n)) != NULL &&
      !tracker_places_read_cost_map (places, text, n, error))
    return NULL;
  tracker_places_settle (places);
  return g_steal_pointer (&places);
}

static gboolean
on_timer (gpointer data)
{
  TrackerdAtlas *self = data;
  self->timer = 0;
  ask (self, self->alto, STEP_DIRECTORY);
  return G_SOURCE_REMOVE;
}

static void
again_in (TrackerdAtlas *self, unsigned seconds)
{
  g_clear_pointer (&self->new_network, g_bytes_unref);
  if (self->timer == 0)
    self->timer = g_timeout_add_seconds (seconds, on_timer, self);
}

static void
fail (TrackerdAtlas *self, const char *why)
{
  if (!self->failed)
    g_log_structured (G_LOG_DOMAIN_ATLAS, G_LOG_LEVEL_WARNING, "MESSAGE",
                      "--alto %s: %s; peers are named as without it until that is mended",
                      self->alto, why);
  self->failed = true;
  again_in (self, RETRY_SECONDS);
}

static void
finish (TrackerdAtlas *self, GBytes *costs)
{
  g_autoptr (GError) error = NULL;
  TrackerPlaces *places = build (self, self->new_network, costs, &error);
  if (places == NULL) {
    fail (self, error->message);
    return;
  }
  g_clear_pointer (&self->network, g_bytes_unref);
  g_clear_pointer (&self->costs, g_bytes_unref);
  self->network = g_bytes_ref (self->new_network);
  self->costs = costs != NULL ? g_bytes_ref (costs) : NULL;
  g_log_structured (G_LOG_DOMAIN_ATLAS, self->failed ? G_LOG_LEVEL_MESSAGE : G_LOG_LEVEL_INFO,
                    "MESSAGE", "--alto %s: %u places", self->alto, tracker_places_count (places));
  self->failed = false;
  self->func (places, self->data);
  again_in (self, REFRESH_SECONDS);
}

static void
read_directory (TrackerdAtlas *self, const char *text, gsize n)
{
  g_autofree char *network = NULL, *costs = NULL;
  g_clear_pointer (&self->cost_uri, g_free);
  if (!tracker_places_read_directory (text, n, &network, &costs)) {
    fail (self, "no directory of ALTO that names a network map");
    return;
  }
  g_autofree char *uri = g_uri_resolve_relative (self->alto, network, G_URI_FLAGS_NONE, NULL);
  if (costs != NULL)
    self->cost_uri = g_uri_resolve_relative (self->alto, costs, G_URI_FLAGS_NONE, NULL);
  if (uri == NULL)
    fail (self, "it names a network map by no URI");
  else
    ask (self, uri, STEP_NETWORK_MAP);
}

static void
on_fetched (GBytes *bytes, bool is_cut, const GError *error, gpointer data)
{
  TrackerdAtlas *self = data;
  g_autoptr (NetFetch) done G_GNUC_UNUSED = g_steal_pointer (&self->fetch);
  if (bytes == NULL || is_cut) {
    fail (self, bytes == NULL ? error->message : "a map of more than 64 MiB");
    return;
  }
  gsize n;
  const char *text = g_bytes_get_data (bytes, &n);
  switch (self->step) {
  case STEP_DIRECTORY:
    read_directory (self, text != NULL ? text : "", n);
    break;
  case STEP_NETWORK_MAP:
    self->new_network = g_bytes_ref (bytes);
    if (self->cost_uri != NULL)
      ask (self, self->cost_uri, STEP_COST_MAP);
    else
      finish (self, NULL);
    break;
  case STEP_COST_MAP:
    finish (self, bytes);
    break;
  }
}

static void
ask (TrackerdAtlas *self, const char *uri, Step step)
{
  self->step = step;
  self->fetch = net_fetch_new (uri, MAX_MAP, FETCH_SECONDS, "ppsp-tracker", on_fetched, self);
}

TrackerdAtlas *
trackerd_atlas_new (const char *table, const char *alto, TrackerdAtlasFunc func, void *data,
                    GError **error)
{
  g_autoptr (TrackerdAtlas) self = g_new0 (TrackerdAtlas, 1);
  self->table = g_strdup (table);
  self->alto = g_strdup (alto);
  self->func = func;
  self->data = data;
  if (alto != NULL && !g_uri_is_valid (alto, G_URI_FLAGS_NONE, NULL)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--alto %s: expected the http: or https: URI of an ALTO server's directory", alto);
    return NULL;
  }
  TrackerPlaces *places;
  if (!trackerd_atlas_read (self, &places, error))
    return NULL;
  if (places != NULL)
    func (places, data);
  if (alto != NULL)
    ask (self, alto, STEP_DIRECTORY);
  return g_steal_pointer (&self);
}

bool
trackerd_atlas_read (TrackerdAtlas *self, TrackerPlaces **out, GError **error)
{
  *out = NULL;
  if (self->table == NULL)
    return true;
  *out = build (self, self->network, self->costs, error);
  return *out != NULL;
}

void
trackerd_atlas_free (TrackerdAtlas *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->fetch, net_fetch_free);
  g_clear_handle_id (&self->timer, g_source_remove);
  g_clear_pointer (&self->network, g_bytes_unref);
  g_clear_pointer (&self->costs, g_bytes_unref);
  g_clear_pointer (&self->new_network, g_bytes_unref);
  g_free (self->cost_uri);
  g_free (self->table);
  g_free (self->alto);
  g_free (self);
}
