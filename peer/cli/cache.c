/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/cli/cache.h"

#include "peer/cli/list.h"
#include "peer/cli/member.h"
#include "peer/net/status.h"

#define MAX_CHANNELS 4096 /* of the engine */
#define TICK_MS 1000
#define FIT_BYTES (1 << 20)
#define REFRESH_S 3600
#define RETRY_S 60

struct CliCache {
  const CliOptions *options;
  NetUdp *udp;
  NetStatus *status;
  NetCache *folder;
  GPtrArray *members; /* CliMember */
  GHashTable *swarms; /* PeerSwarm -> CliMember */
  GPtrArray *lists;   /* List */
  guint tick, refresh;
  uint64_t unfitted; /* bytes that came since room was made */
  uint64_t uploaded; /* bytes, of members that have gone */
};

typedef struct {
  CliCache *cache;
  CliList *list;
  GPtrArray *links; /* char *; what it said last, or NULL */
  bool failed;
  uint32_t refused; /* links that could not be joined */
} List;

static void
list_free (gpointer data)
{
  List *self = data;
  cli_list_free (self->list);
  g_clear_pointer (&self->links, g_ptr_array_unref);
  g_free (self);
}

/* --- members --- */

static CliMember *
find (const CliCache *self, const char *id)
{
  for (guint i = 0; i < self->members->len; i++)
    if (g_str_equal (cli_member_id (self->members->pdata[i]), id))
      return self->members->pdata[i];
  return NULL;
}

/* link is taken over. What is there already stays as it is. */
static bool
add (CliCache *self, PeerLink *link, GError **error)
{
  g_autofree char *id = peer_content_swarm_id_hex (&link->content);
  if (find (self, id) != NULL) {
    peer_link_free (link);
    return true;
  }
  if (self->members->len >= CLI_CACHE_MAX) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "no more than %d swarms", CLI_CACHE_MAX);
    peer_link_free (link);
    return false;
  }
  CliMember *member =
      cli_member_new (self->options, self->udp, self->folder, self->swarms, link, error);
  if (member != NULL)
    g_ptr_array_add (self->members, member);
  return member != NULL;
}

static bool
add_options_links (CliCache *self, GError **error)
{
  for (guint i = 0; i < self->options->links->len; i++) {
    const PeerLink *given = self->options->links->pdata[i];
    g_autofree char *text = peer_link_to_string (given);
    PeerLink *link = peer_link_parse (text, error);
    if (link == NULL || !add (self, link, error))
      return false;
  }
  return true;
}

static void
note_id (GHashTable *ids, const PeerLink *link)
{
  g_hash_table_add (ids, peer_content_swarm_id_hex (&link->content));
}

/* Leaves what neither the command line nor any list names. */
static void
leave_unnamed (CliCache *self)
{
  g_autoptr (GHashTable) ids = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < self->options->links->len; i++)
    note_id (ids, self->options->links->pdata[i]);
  for (guint i = 0; i < self->lists->len; i++) {
    const List *list = self->lists->pdata[i];
    if (list->links == NULL)
      return; /* not known yet: what it names may be here from before */
    for (guint k = 0; k < list->links->len; k++) {
      g_autoptr (PeerLink) link = peer_link_parse (list->links->pdata[k], NULL);
      if (link != NULL)
        note_id (ids, link);
    }
  }
  for (guint i = self->members->len; i-- > 0;) {
    const CliMember *member = self->members->pdata[i];
    if (g_hash_table_contains (ids, cli_member_id (member)))
      continue;
    CliMemberStats stats;
    cli_member_stats (member, &stats);
    self->uploaded += stats.uploaded;
    g_ptr_array_remove_index (self->members, i);
  }
}

/* --- lists --- */

static gboolean
on_refresh (gpointer data)
{
  CliCache *self = data;
  self->refresh = 0;
  cli_cache_reload (self);
  return G_SOURCE_REMOVE;
}

static void
plan_refresh (CliCache *self)
{
  guint seconds = REFRESH_S;
  for (guint i = 0; i < self->lists->len; i++)
    if (((const List *)self->lists->pdata[i])->failed)
      seconds = RETRY_S;
  g_clear_handle_id (&self->refresh, g_source_remove);
  if (self->lists->len > 0)
    self->refresh = g_timeout_add_seconds (seconds, on_refresh, self);
}

static void
on_list (GPtrArray *links, const GError *error, gpointer data)
{
  List *self = data;
  CliCache *cache = self->cache;
  bool failed = links == NULL || links->len == 0;
  if (failed && !self->failed)
    g_message ("channel list %s: %s; its swarms stay as they were", cli_list_uri (self->list),
               error != NULL ? error->message : "has no ppsp: link");
  self->failed = failed;
  if (!failed) {
    g_autoptr (GError) first = NULL;
    g_clear_pointer (&self->links, g_ptr_array_unref);
    self->links = g_ptr_array_ref (links);
    self->refused = 0;
    for (guint i = 0; i < links->len; i++) {
      GError **why = first == NULL ? &first : NULL;
      PeerLink *link = peer_link_parse (links->pdata[i], why);
      self->refused += link == NULL || !add (cache, link, why);
    }
    leave_unnamed (cache);
    g_message ("channel list %s: %u links, %u of no use%s%s", cli_list_uri (self->list), links->len,
               self->refused, first != NULL ? ": " : "", first != NULL ? first->message : "");
  }
  plan_refresh (cache);
}

void
cli_cache_reload (CliCache *self)
{
  for (guint i = 0; i < self->lists->len; i++)
    cli_list_fetch (((const List *)self->lists->pdata[i])->list);
}

/* --- the cache --- */

static void
on_event (const PeerEvent *event, gpointer data)
{
  CliCache *self = data;
  CliMember *member = g_hash_table_lookup (self->swarms, event->swarm);
  if (member != NULL)
    cli_member_event (member, event);
}

static gboolean
on_tick (gpointer data)
{
  CliCache *self = data;
  uint64_t used = CLI_MEMBER_UNKNOWN;
  for (guint i = 0; i < self->members->len; i++)
    self->unfitted += cli_member_tick (self->members->pdata[i], &used);
  if (self->unfitted >= MIN (FIT_BYTES, self->options->quota / 32)) {
    self->unfitted = 0;
    net_cache_fit (self->folder);
  }
  return G_SOURCE_CONTINUE;
}

static bool
start (CliCache *self, GError **error)
{
  PeerEngineOptions engine;
  cli_options_engine (self->options, &engine);
  engine.max_swarms = CLI_CACHE_MAX;
  engine.max_channels = MAX_CHANNELS;
  self->udp = net_udp_new (self->options->listen, &engine, on_event, self, error);
  if (self->udp == NULL)
    return false;
  self->status = net_status_new (self->udp, self->options->peering);
  self->folder = net_cache_new (self->options->cache, self->options->quota, "--quota");
  if (!add_options_links (self, error))
    return false;
  net_cache_fit (self->folder); /* the quota may be smaller than the last time */
  for (char **uri = self->options->lists; *uri != NULL; uri++) {
    List *list = g_new0 (List, 1);
    list->cache = self;
    list->list = cli_list_new (*uri, on_list, list);
    g_ptr_array_add (self->lists, list);
  }
  cli_cache_reload (self);
  self->tick = g_timeout_add (TICK_MS, on_tick, self);
  return true;
}

CliCache *
cli_cache_new (const CliOptions *options, GError **error)
{
  g_autoptr (CliCache) self = g_new0 (CliCache, 1);
  self->options = options;
  self->members = g_ptr_array_new_with_free_func ((GDestroyNotify)cli_member_free);
  self->swarms = g_hash_table_new (NULL, NULL);
  self->lists = g_ptr_array_new_with_free_func (list_free);
  return start (self, error) ? g_steal_pointer (&self) : NULL;
}

void
cli_cache_free (CliCache *self)
{
  if (self == NULL)
    return;
  g_clear_handle_id (&self->tick, g_source_remove);
  g_clear_handle_id (&self->refresh, g_source_remove);
  g_ptr_array_unref (self->lists);
  g_ptr_array_unref (self->members);
  g_hash_table_unref (self->swarms);
  g_clear_pointer (&self->status, net_status_free);
  g_clear_pointer (&self->udp, net_udp_free);
  g_clear_pointer (&self->folder, net_cache_free);
  g_free (self);
}

void
cli_cache_limit (CliCache *self)
{
  net_peering_limit_engine (self->options->peering, net_udp_engine (self->udp));
  net_status_set (self->status, self->options->peering);
  for (guint i = 0; i < self->members->len; i++)
    cli_member_limit (self->members->pdata[i]);
  net_udp_wake (self->udp);
}

void
cli_cache_stats (const CliCache *self, CliCacheStats *out)
{
  *out = (CliCacheStats){.swarms = self->members->len,
                         .used = net_cache_used (self->folder),
                         .quota = self->options->quota,
                         .uploaded = self->uploaded};
  for (guint i = 0; i < self->members->len; i++) {
    CliMemberStats stats;
    cli_member_stats (self->members->pdata[i], &stats);
    out->wanted += stats.wanted;
    out->whole += stats.whole;
    out->up += stats.up;
    out->down += stats.down;
    out->uploaded += stats.uploaded;
    out->peers += stats.peers;
  }
  for (guint i = 0; i < self->lists->len; i++)
    out->failed += ((const List *)self->lists->pdata[i])->refused;
}

NetUdp *
cli_cache_udp (const CliCache *self)
{
  return self->udp;
}
