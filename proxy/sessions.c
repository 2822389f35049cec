/* SPDX-License-Identifier: Apache-2.0 */
/* A session is counted by its users, the streams. When the last one is gone it lingers, so that
 * zapping away and back, or the pause between two tracks of a renderer, costs no new join. When all
 * places are taken, the one that lingers longest gives way; channels that are watched never do. */
#include "proxy/sessions.h"
#include <gio/gio.h>
#include <malloc.h>
#include <string.h>

enum {
  MAX_FAILURES = 1000,
  WARM_ROOM = PROXY_SESSIONS_MAX * 3 / 4, /* places; the others are for those who watch */
};

typedef struct {
  ProxySessions *set;
  ProxySession *session;
  unsigned users;
  bool stopped;
  guint linger;
  int64_t since; /* us: it lingers */
} Place;

struct ProxySessions {
  grefcount refs;
  const ProxySessionOptions *options;
  unsigned linger;
  bool closed;
  GPtrArray *places;
  GHashTable *failures; /* id -> text */
  ProxySessionsFunc func;
  gpointer data;
};

ProxySessions *
proxy_sessions_new (const ProxySessionOptions *options, unsigned linger)
{
  ProxySessions *self = g_new0 (ProxySessions, 1);
  g_ref_count_init (&self->refs);
  self->options = options;
  self->linger = linger;
  self->places = g_ptr_array_new ();
  self->failures = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

ProxySessions *
proxy_sessions_ref (ProxySessions *self)
{
  g_ref_count_inc (&self->refs);
  return self;
}

static void
end_place (Place *place)
{
  ProxySessions *self = place->set;
  g_clear_handle_id (&place->linger, g_source_remove);
  g_ptr_array_remove (self->places, place);
  if (self->func && !self->closed)
    self->func (place->session, self->data);
  g_debug ("session of %s ends", proxy_session_id (place->session));
  proxy_session_free (place->session);
  g_free (place);
  malloc_trim (0); /* a ring of megabytes has gone */
}

void
proxy_sessions_close (ProxySessions *self)
{
  if (self->closed)
    return;
  g_autoptr (GPtrArray) all = proxy_sessions_list (self);
  for (guint i = 0; i < all->len; i++)
    proxy_sessions_stop (self, proxy_session_id (all->pdata[i]));
  self->closed = true;
}

void
proxy_sessions_unref (ProxySessions *self)
{
  if (!self || !g_ref_count_dec (&self->refs))
    return;
  while (self->places->len > 0)
    end_place (self->places->pdata[0]);
  g_ptr_array_unref (self->places);
  g_hash_table_unref (self->failures);
  g_free (self);
}

static Place *
find_place (ProxySessions *self, const char *id)
{
  for (guint i = 0; i < self->places->len; i++) {
    Place *place = self->places->pdata[i];
    if (!place->stopped && g_str_equal (proxy_session_id (place->session), id))
      return place;
  }
  return NULL;
}

static bool
make_room (ProxySessions *self)
{
  if (self->places->len < PROXY_SESSIONS_MAX)
    return true;
  Place *oldest = NULL;
  for (guint i = 0; i < self->places->len; i++) {
    Place *place = self->places->pdata[i];
    if (place->users == 0 && (!oldest || place->since < oldest->since))
      oldest = place;
  }
  if (!oldest)
    return false;
  end_place (oldest);
  return true;
}

static ProxySession *
new_session (const ProxySessions *self, const ProxyChannel *channel, bool warm, GError **error)
{
  if (g_str_has_prefix (channel->link, PROXY_SESSION_RECORDING))
    return proxy_session_new_recording (self->options, channel->id,
                                        channel->link + strlen (PROXY_SESSION_RECORDING), error);
  PeerLink *link = peer_link_parse (channel->link, error);
  if (!link)
    return NULL;
  if (channel->length > 0 && link->content.length == 0 && !channel->live)
    link->content.length = (uint64_t)channel->length; /* learned when it was last in play */
  return proxy_session_new (self->options, channel->id, channel->source, link, warm, error);
}

static Place *
start (ProxySessions *self, const ProxyChannel *channel, bool warm, GError **error)
{
  ProxySession *session = new_session (self, channel, warm, error);
  if (!session)
    return NULL;
  Place *place = g_new0 (Place, 1);
  place->set = self;
  place->session = session;
  g_ptr_array_add (self->places, place);
  return place;
}

/* For somebody who watches. */
static Place *
open_place (ProxySessions *self, const ProxyChannel *channel, GError **error)
{
  g_autoptr (GError) reason = NULL;
  Place *place = NULL;
  if (self->closed || !make_room (self))
    g_set_error (&reason, G_IO_ERROR, G_IO_ERROR_BUSY, "%d channels are watched already",
                 PROXY_SESSIONS_MAX);
  else
    place = start (self, channel, false, &reason);
  if (place) {
    g_hash_table_remove (self->failures, channel->id);
    return place;
  }
  if (g_hash_table_size (self->failures) < MAX_FAILURES)
    g_hash_table_insert (self->failures, g_strdup (channel->id), g_strdup (reason->message));
  g_propagate_error (error, g_steal_pointer (&reason));
  return NULL;
}

ProxySession *
proxy_sessions_use (ProxySessions *self, const ProxyChannel *channel, GError **error)
{
  Place *place = find_place (self, channel->id);
  if (!place)
    place = open_place (self, channel, error);
  if (!place)
    return NULL;
  if (proxy_session_is_warm (place->session))
    proxy_session_wake (place->session);
  g_clear_handle_id (&place->linger, g_source_remove);
  place->users++;
  return place->session;
}

static bool
is_wanted (const Place *place, const GPtrArray *channels)
{
  for (guint i = 0; i < channels->len; i++)
    if (g_str_equal (((const ProxyChannel *)channels->pdata[i])->id,
                     proxy_session_id (place->session)))
      return true;
  return false;
}

void
proxy_sessions_warm (ProxySessions *self, const GPtrArray *channels)
{
  for (guint i = self->places->len; i-- > 0;) {
    Place *place = self->places->pdata[i];
    if (proxy_session_is_warm (place->session) && !is_wanted (place, channels))
      end_place (place);
  }
  for (guint i = 0; i < channels->len && !self->closed; i++) {
    const ProxyChannel *channel = channels->pdata[i];
    g_autoptr (GError) error = NULL;
    if (find_place (self, channel->id) || self->places->len >= WARM_ROOM)
      continue;
    if (!start (self, channel, true, &error))
      g_debug ("channel %s is not joined ahead: %s", channel->id, error->message);
  }
}

bool
proxy_sessions_keep_past (const ProxySessions *self)
{
  return self->options->timeshift > 0;
}

static gboolean
on_linger (gpointer data)
{
  Place *place = data;
  place->linger = 0;
  end_place (place);
  return G_SOURCE_REMOVE;
}

void
proxy_sessions_release (ProxySessions *self, ProxySession *session)
{
  for (guint i = 0; i < self->places->len; i++) {
    Place *place = self->places->pdata[i];
    if (place->session != session || --place->users > 0)
      continue;
    place->since = g_get_monotonic_time ();
    /* Never from here: the caller may be the session itself. */
    guint seconds = place->stopped || proxy_session_failure (session) ? 0 : self->linger;
    place->linger = seconds > 0 ? g_timeout_add_seconds (seconds, on_linger, place)
                                : g_idle_add (on_linger, place);
    return;
  }
}

void
proxy_sessions_stop (ProxySessions *self, const char *id)
{
  Place *place = find_place (self, id);
  g_hash_table_remove (self->failures, id);
  if (!place)
    return;
  if (place->users == 0) {
    end_place (place);
    return;
  }
  /* Its streams end, and with the last of them the session. */
  place->stopped = true;
  if (proxy_session_ring (place->session))
    proxy_ring_end (proxy_session_ring (place->session));
  if (proxy_session_film (place->session))
    proxy_film_attach (proxy_session_film (place->session), NULL, NULL);
}

void
proxy_sessions_event (ProxySessions *self, const PeerEvent *event)
{
  for (guint i = 0; i < self->places->len; i++) {
    Place *place = self->places->pdata[i];
    if (proxy_session_has_swarm (place->session, event->swarm)) {
      proxy_session_event (place->session, event);
      return;
    }
  }
}

ProxyState
proxy_sessions_state (ProxySessions *self, const char *id, ProxySession **session,
                      const char **error)
{
  Place *place = find_place (self, id);
  const char *failure = g_hash_table_lookup (self->failures, id);
  if (place && proxy_session_failure (place->session))
    failure = proxy_session_failure (place->session)->message;
  if (session)
    *session = place ? place->session : NULL;
  if (error)
    *error = failure;
  if (failure)
    return PROXY_STATE_FAILED;
  if (!place)
    return PROXY_STATE_IDLE;
  if (proxy_session_is_warm (place->session))
    return PROXY_STATE_WARM;
  if (place->users == 0)
    return PROXY_STATE_LINGERING;
  ProxySessionStats stats;
  proxy_session_stats (place->session, &stats);
  return stats.delivered ? PROXY_STATE_PLAYING : PROXY_STATE_JOINING;
}

const char *
proxy_state_name (ProxyState state)
{
  switch (state) {
  case PROXY_STATE_IDLE:
    return "idle";
  case PROXY_STATE_WARM:
    return "warm";
  case PROXY_STATE_JOINING:
    return "joining";
  case PROXY_STATE_PLAYING:
    return "playing";
  case PROXY_STATE_LINGERING:
    return "lingering";
  case PROXY_STATE_FAILED:
    return "failed";
  }
  return "idle";
}

static void
apply_limit (ProxySessions *self, const char *id)
{
  for (guint i = 0; i < self->places->len; i++) {
    Place *place = self->places->pdata[i];
    if (g_str_equal (proxy_session_id (place->session), id))
      proxy_session_limit (place->session);
  }
}

bool
proxy_sessions_set_limit (ProxySessions *self, const char *id, const char *upload,
                          const char *download, GError **error)
{
  if (!net_peering_set (self->options->peering, id, upload, download, error))
    return false;
  apply_limit (self, id);
  return true;
}

void
proxy_sessions_unset_limit (ProxySessions *self, const char *id)
{
  net_peering_unset (self->options->peering, id);
  apply_limit (self, id);
}

GPtrArray *
proxy_sessions_list (ProxySessions *self)
{
  GPtrArray *all = g_ptr_array_new ();
  for (guint i = 0; i < self->places->len; i++) {
    Place *place = self->places->pdata[i];
    if (!place->stopped)
      g_ptr_array_add (all, place->session);
  }
  return all;
}

GPtrArray *
proxy_sessions_failed (ProxySessions *self)
{
  GPtrArray *all = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, self->failures);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    g_ptr_array_add (all, g_strdup (id));
  return all;
}

void
proxy_sessions_set_func (ProxySessions *self, ProxySessionsFunc func, gpointer data)
{
  self->func = func;
  self->data = data;
}
