/* SPDX-License-Identifier: Apache-2.0 */
/* Who plays HLS comes and goes with each request, so a channel counts as watched until nobody has
 * asked for it for a while. The first request may find a channel that is not on yet: its answer
 * waits until a player has where to begin, which is three target durations from the end (RFC 8216,
 * 6.3.3). With fewer segments Chromium's own player gives up. */
#include "proxy/hls.h"
#include "proxy/respond.h"
#include "proxy/segments.h"
#include <string.h>

#define WATCHED_SECONDS 20 /* since the last request; players ask each few seconds */
#define ENOUGH 3           /* segments, to begin with */
#define WAIT_SECONDS 15    /* for those; less than players wait for an answer */
#define MAX_WAITING 32     /* answers, of one channel */
#define MAX_FETCHES 4      /* answers from the disk, of one channel; each is memory */

typedef struct {
  ProxyHls *hls;
  char *id;
  ProxySession *session;
  ProxyRing *ring;
  ProxySegments *segments;
  bool begun;         /* a playlist was given */
  int64_t asked;      /* us, monotonic: the last time */
  GPtrArray *waiting; /* SoupServerMessage, paused */
  GPtrArray *fetches; /* Fetch */
  int64_t waiting_since;
} Channel;

struct ProxyHls {
  ProxyCatalog *catalog;
  ProxySessions *sessions;
  GHashTable *channels; /* id -> Channel */
  GHashTable *told;     /* id -> ProxySegmentsTold: it holds for as long as the address does */
  guint tick;
  uint64_t n_segments, n_bytes;
};

/* A segment from the disk is memory until its message is finished, which is for the client to say. */
typedef struct {
  Channel *channel;
  SoupServerMessage *message; /* paused, as long as it waits for the disk */
  ProxySegmentReader reader;  /* pieces: NULL = it is answered */
} Fetch;

static void
fetch_free (gpointer data)
{
  Fetch *fetch = data;
  g_signal_handlers_disconnect_by_data (fetch->message, fetch);
  proxy_segment_reader_clear (&fetch->reader);
  g_object_unref (fetch->message);
  g_free (fetch);
}

static void
answer_segment (ProxyHls *self, SoupServerMessage *message, const GPtrArray *pieces)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  SoupMessageBody *body = soup_server_message_get_response_body (message);
  goffset n = 0;
  bool head = soup_server_message_get_method (message) == SOUP_METHOD_HEAD;
  for (guint i = 0; i < pieces->len; i++) {
    if (!head)
      soup_message_body_append_bytes (body, pieces->pdata[i]);
    n += (goffset)g_bytes_get_size (pieces->pdata[i]);
  }
  soup_message_headers_replace (headers, "Content-Type", "video/mp2t");
  soup_message_headers_replace (headers, "Cache-Control", "max-age=60");
  soup_message_headers_set_content_length (headers, n);
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  self->n_segments += !head;
  self->n_bytes += head ? 0 : (uint64_t)n;
}

static void
refuse_segment (SoupServerMessage *message)
{
  proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "there is no such segment now");
}

/* false = it waits for the disk. */
static bool
try_segment (Channel *channel, SoupServerMessage *message, ProxySegmentReader *reader)
{
  switch (proxy_segments_read (channel->segments, reader)) {
  case PROXY_SEGMENT_WAITS:
    return false;
  case PROXY_SEGMENT_WHOLE:
    answer_segment (channel->hls, message, reader->pieces);
    break;
  case PROXY_SEGMENT_GONE:
    refuse_segment (message);
    break;
  }
  return true;
}

/* Those that can be answered now. */
static void
answer_fetches (Channel *channel)
{
  for (guint i = channel->fetches->len; i-- > 0;) {
    Fetch *fetch = channel->fetches->pdata[i];
    if (!fetch->reader.pieces || !try_segment (channel, fetch->message, &fetch->reader))
      continue;
    proxy_segment_reader_clear (&fetch->reader);
    soup_server_message_unpause (fetch->message);
  }
}

static void
on_fetch_finished (SoupServerMessage *message, gpointer data)
{
  Fetch *fetch = data;
  g_ptr_array_remove (fetch->channel->fetches, fetch);
}

static bool
may_begin (const Channel *channel)
{
  return proxy_segments_count (channel->segments) >= (channel->begun ? 1 : ENOUGH);
}

static void
answer_playlist (Channel *channel, SoupServerMessage *message)
{
  channel->begun = true;
  proxy_respond (message, SOUP_STATUS_OK, "application/vnd.apple.mpegurl",
                 proxy_segments_playlist (channel->segments, channel->id));
  ProxySegmentsTold *told = g_new (ProxySegmentsTold, 1);
  proxy_segments_told (channel->segments, told);
  g_hash_table_insert (channel->hls->told, g_strdup (channel->id), told);
}

static void
answer_waiting (Channel *channel, const char *refusal)
{
  g_autoptr (GPtrArray) waiting = g_steal_pointer (&channel->waiting);
  channel->waiting = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < waiting->len; i++) {
    SoupServerMessage *message = waiting->pdata[i];
    if (refusal)
      proxy_respond_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE, refusal);
    else
      answer_playlist (channel, message);
    soup_server_message_unpause (message);
  }
}

static void
on_ring (gpointer data)
{
  Channel *channel = data;
  proxy_segments_update (channel->segments, g_get_real_time ());
  if (channel->waiting->len > 0 && may_begin (channel))
    answer_waiting (channel, NULL);
  answer_fetches (channel);
}

static void
channel_free (gpointer data)
{
  Channel *channel = data;
  answer_waiting (channel, "the channel has ended");
  g_ptr_array_unref (channel->waiting);
  for (guint i = channel->fetches->len; i-- > 0;) {
    const Fetch *fetch = channel->fetches->pdata[i];
    if (!fetch->reader.pieces)
      continue;
    refuse_segment (fetch->message);
    soup_server_message_unpause (fetch->message);
  }
  g_ptr_array_unref (channel->fetches);
  proxy_watches_remove (proxy_ring_watches (channel->ring), on_ring, channel);
  proxy_segments_free (channel->segments);
  proxy_ring_unref (channel->ring);
  proxy_sessions_release (channel->hls->sessions, channel->session);
  g_free (channel->id);
  g_free (channel);
}

/* NULL = there is no such live channel, or it cannot be played; then message is answered. */
static Channel *
find_channel (ProxyHls *self, const char *id, SoupServerMessage *message)
{
  Channel *channel = g_hash_table_lookup (self->channels, id);
  if (channel && !proxy_ring_has_ended (channel->ring)) {
    channel->asked = g_get_monotonic_time ();
    return channel;
  }
  g_hash_table_remove (self->channels, id);
  const ProxyChannel *entry = proxy_catalog_lookup (self->catalog, id);
  if (!entry || !entry->live || g_strcmp0 (entry->mime, "video/mp2t") != 0) {
    proxy_respond_error (message, SOUP_STATUS_NOT_FOUND, "there is no live channel of this name");
    return NULL;
  }
  g_autoptr (GError) error = NULL;
  ProxySession *session = proxy_sessions_use (self->sessions, entry, &error);
  if (!session) {
    proxy_respond_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE, error->message);
    return NULL;
  }
  channel = g_new0 (Channel, 1);
  channel->hls = self;
  channel->id = g_strdup (id);
  channel->session = session;
  channel->ring = proxy_ring_ref (proxy_session_ring (session));
  channel->segments =
      proxy_segments_new (channel->ring, (uint64_t)(g_get_real_time () / PROXY_SEGMENT_TIME),
                          g_hash_table_lookup (self->told, id));
  channel->waiting = g_ptr_array_new_with_free_func (g_object_unref);
  channel->fetches = g_ptr_array_new_with_free_func (fetch_free);
  channel->asked = g_get_monotonic_time ();
  g_hash_table_insert (self->channels, channel->id, channel);
  proxy_watches_add (proxy_ring_watches (channel->ring), on_ring, channel);
  proxy_segments_update (channel->segments, g_get_real_time ());
  return channel;
}

static void
serve_playlist (ProxyHls *self, const char *id, SoupServerMessage *message)
{
  Channel *channel = find_channel (self, id, message);
  if (!channel)
    return;
  if (may_begin (channel)) {
    answer_playlist (channel, message);
  } else if (channel->waiting->len >= MAX_WAITING) {
    proxy_respond_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE, "too many wait for it");
  } else {
    if (channel->waiting->len == 0)
      channel->waiting_since = g_get_monotonic_time ();
    g_ptr_array_add (channel->waiting, g_object_ref (message));
    soup_server_message_pause (message);
  }
}

static void
serve_segment (ProxyHls *self, const char *id, uint64_t number, SoupServerMessage *message)
{
  Channel *channel = g_hash_table_lookup (self->channels, id);
  if (!channel) {
    refuse_segment (message);
    return;
  }
  channel->asked = g_get_monotonic_time ();
  bool past = proxy_segments_is_past (channel->segments, number);
  if (past && channel->fetches->len >= MAX_FETCHES) {
    proxy_respond_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE, "too many read the past of it");
    return;
  }
  g_auto (ProxySegmentReader) reader;
  proxy_segment_reader_init (&reader, number);
  bool answered = try_segment (channel, message, &reader);
  if (answered && !past)
    return;
  Fetch *fetch = g_new0 (Fetch, 1);
  fetch->channel = channel;
  fetch->message = g_object_ref (message);
  g_signal_connect (message, "finished", G_CALLBACK (on_fetch_finished), fetch);
  g_ptr_array_add (channel->fetches, fetch);
  if (answered)
    return;
  fetch->reader = reader;
  reader = (ProxySegmentReader){0};
  soup_server_message_pause (message);
}

/* Anything that is not ours is left to the next handler, which is the media server. */
static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  ProxyHls *self = data;
  const char *rest = path + strlen ("/media/");
  const char *slash = strchr (rest, '/');
  if (slash) {
    g_autofree char *id = g_strndup (rest, (gsize)(slash - rest));
    char *end;
    guint64 number = g_ascii_strtoull (slash + 1, &end, 10);
    if (g_ascii_isdigit (slash[1]) && strcmp (end, ".ts") == 0 &&
        proxy_respond_reads_only (message, "GET, HEAD"))
      serve_segment (self, id, number, message);
  } else if (g_str_has_suffix (rest, ".m3u8") && proxy_respond_reads_only (message, "GET, HEAD")) {
    g_autofree char *id = g_strndup (rest, strlen (rest) - strlen (".m3u8"));
    serve_playlist (self, id, message);
  }
}

static gboolean
on_tick (gpointer data)
{
  ProxyHls *self = data;
  int64_t now = g_get_monotonic_time ();
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, self->channels);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Channel *channel = value;
    if (channel->waiting->len > 0 && now - channel->waiting_since > WAIT_SECONDS * G_USEC_PER_SEC)
      answer_waiting (channel, proxy_segments_count (channel->segments) > 0
                                   ? NULL /* they are long */
                                   : "no picture came in time");
    if (channel->waiting->len == 0 && now - channel->asked > WATCHED_SECONDS * G_USEC_PER_SEC)
      g_hash_table_iter_remove (&iter);
  }
  return G_SOURCE_CONTINUE;
}

ProxyHls *
proxy_hls_new (SoupServer *server, ProxyCatalog *catalog, ProxySessions *sessions)
{
  ProxyHls *self = g_new0 (ProxyHls, 1);
  self->catalog = catalog;
  self->sessions = proxy_sessions_ref (sessions);
  self->channels = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, channel_free);
  self->told = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->tick = g_timeout_add_seconds (1, on_tick, self);
  soup_server_add_early_handler (server, "/media/", on_request, self, NULL);
  return self;
}

void
proxy_hls_free (ProxyHls *self)
{
  if (!self)
    return;
  g_source_remove (self->tick);
  g_hash_table_unref (self->channels);
  g_hash_table_unref (self->told);
  proxy_sessions_unref (self->sessions);
  g_free (self);
}

void
proxy_hls_stats (const ProxyHls *self, ProxyHlsStats *out)
{
  *out = (ProxyHlsStats){g_hash_table_size (self->channels), self->n_segments, self->n_bytes};
}
