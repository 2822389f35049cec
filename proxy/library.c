/* SPDX-License-Identifier: Apache-2.0 */
/* The shelves' containers, with the catalog's channels. What a stream contains is known only once it was watched;
 * it is then written beside the channel, so that a television is told true profiles from then on:
 *
 *   video profile width height rate audio he-aac [duration]    "h264 100 1920 1080 25000 aac 0"
 *
 * The duration, in us, is that of a film that is a transport stream; when one is first watched,
 * somebody looks into it (proxy/probe.c).
 *
 * Opening: the session is used (and started if need be), a stream is made of its ring or film, and
 * the answer is given when the stream has its first byte. */
#include "proxy/library.h"
#include "proxy/logos.h"
#include "proxy/picture.h"
#include "proxy/probe.h"
#include "proxy/ring-read.h"
#include "proxy/shelves.h"
#include "proxy/stream.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define QUIET_MS                                                                                   \
  250 /* a list of thousands comes a hundred at a time; that is one change, or a few */
#define LOOK (30 * G_USEC_PER_SEC)  /* of the film: less was not watched */
#define AHEAD (15 * G_USEC_PER_SEC) /* of the film: so much a player has read and not shown */
#define OPEN_TIMEOUT (15 * G_USEC_PER_SEC) /* less than televisions wait */

struct _ProxyLibrary {
  GObject parent;
  ProxyCatalog *catalog;
  ProxySessions *sessions;
  ProxyShelves *shelves;
  ProxyProgrammes *programmes; /* or NULL */
  guint telling;               /* of changes */
  /* What was read of a film last, as one piece; some sets fetch many small ones. */
  char *read_id;
  int64_t read_first, read_end;
  GHashTable *looks; /* channel ID -> Look: films that are looked into, for what they contain */
};

static void library_interface_init (DlnaLibraryInterface *interface);

G_DEFINE_TYPE_WITH_CODE (ProxyLibrary, proxy_library, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (DLNA_TYPE_LIBRARY, library_interface_init))

/* --- items --- */

static const char *
extension (const char *mime)
{
  static const char *const known[][2] = {
      {"video/mp2t", "ts"},       {"video/mp4", "mp4"},  {"video/x-matroska", "mkv"},
      {"video/webm", "webm"},     {"video/mpeg", "mpg"}, {"video/quicktime", "mov"},
      {"video/x-msvideo", "avi"}, {"audio/mpeg", "mp3"}, {"audio/mp4", "m4a"},
      {"audio/flac", "flac"},     {"audio/ogg", "ogg"},  {"audio/aac", "aac"},
      {"application/ogg", "ogg"}, {"image/jpeg", "jpg"}, {"image/png", "png"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (known); i++)
    if (g_strcmp0 (known[i][0], mime) == 0)
      return known[i][1];
  return "bin";
}

char *
proxy_library_path (const ProxyChannel *channel)
{
  return g_strdup_printf ("/media/%s.%s", channel->id, extension (channel->mime));
}

static char *
describe (const MediaStreamInfo *info, int64_t duration)
{
  if (info->video == MEDIA_CODEC_NONE && info->audio == MEDIA_CODEC_NONE)
    return NULL;
  const char *video = media_codec_name (info->video), *audio = media_audio_name (info);
  g_autoptr (GString) out = g_string_new (NULL);
  g_string_append_printf (out, "%s %u %u %u %u %s %d", video ? video : "-", info->video_profile,
                          info->width, info->height, info->frame_rate_milli, audio ? audio : "-",
                          info->audio_he_aac);
  if (duration >= 0)
    g_string_append_printf (out, " %" G_GINT64_FORMAT, duration);
  return g_string_free (g_steal_pointer (&out), FALSE);
}

static void
fill_media (DlnaItem *item, const char *media)
{
  char video[16], audio[16];
  unsigned profile, width, height, rate;
  int he_aac;
  int64_t duration = -1;
  if (!media || sscanf (media, "%15s %u %u %u %u %15s %d %" SCNd64, video, &profile, &width,
                        &height, &rate, audio, &he_aac, &duration) < 7)
    return;
  if (!item->live && duration > 0 && item->size >= 0) {
    item->duration = duration;
    item->bitrate = (uint64_t)((double)item->size * 8 * G_USEC_PER_SEC / (double)duration);
    item->seeks_time = true;
  }
  item->video_codec = g_str_equal (video, "-") ? NULL : g_strdup (video);
  item->audio_codec = g_str_equal (audio, "-") ? NULL : g_strdup (audio);
  item->video_profile = (int)profile;
  item->width = (int)width;
  item->height = (int)height;
  item->frame_rate_milli = rate;
  item->he_aac = he_aac != 0;
}

static DlnaItem *
make_item (ProxyLibrary *self, const ProxyChannel *channel, const ProxyShelf *shelf)
{
  DlnaItem *item = dlna_item_new ();
  item->id = g_strconcat (shelf->references ? shelf->id : "", channel->id, NULL);
  item->parent_id = g_strdup (shelf->id);
  item->ref_id = shelf->references ? g_strdup (channel->id) : NULL;
  item->title = g_strdup (channel->name);
  item->mime = g_strdup (channel->mime);
  item->extension = g_strdup (extension (channel->mime));
  item->logo = proxy_logos_path (channel);
  item->logo_profile = g_strdup (proxy_picture_profile ());
  item->live = channel->live;
  item->pausable = channel->live && proxy_sessions_keep_past (self->sessions);
  item->size = channel->live ? -1 : channel->length;
  item->stopped = channel->live ? 0 : channel->stopped;
  if (channel->live) {
    item->channel_name = g_strdup (channel->name);
    item->channel_number = channel->number;
    if (self->programmes)
      item->about = proxy_programmes_line (self->programmes, channel->id);
  }
  g_autofree char *media = NULL;
  ProxySession *session = NULL;
  proxy_sessions_state (self->sessions, channel->id, &session, NULL);
  if (session && proxy_session_ring (session)) {
    int64_t time = 0;
    media = describe (proxy_ring_info (proxy_session_ring (session)), -1);
    if (item->pausable)
      proxy_ring_times (proxy_session_ring (session), &item->from, &item->until, &time);
  }
  fill_media (item, media ? media : channel->media);
  return item;
}

static DlnaItem *
make_container (const ProxyShelf *shelf)
{
  DlnaItem *item = dlna_item_new ();
  item->id = g_strdup (shelf->id);
  item->parent_id = g_strdup (shelf->parent_id ? shelf->parent_id : "-1");
  item->title = g_strdup (shelf->title);
  item->child_count = (int)(shelf->below->len + shelf->channels->len);
  return item;
}

static DlnaItem *
lookup (DlnaLibrary *library, const char *id, GError **error)
{
  ProxyLibrary *self = PROXY_LIBRARY (library);
  const ProxyShelf *shelf = proxy_shelves_find (self->shelves, id);
  if (shelf)
    return make_container (shelf);
  const ProxyChannel *channel = proxy_shelves_channel (self->shelves, id, &shelf);
  if (channel)
    return make_item (self, channel, shelf);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no channel %.64s", id);
  return NULL;
}

static GPtrArray *
list (DlnaLibrary *library, const char *id, guint offset, guint limit, guint *total, GError **error)
{
  ProxyLibrary *self = PROXY_LIBRARY (library);
  const ProxyShelf *shelf = proxy_shelves_find (self->shelves, id);
  if (!shelf) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no folder %.64s", id);
    return NULL;
  }
  guint folders = shelf->below->len, all = folders + shelf->channels->len;
  guint first = MIN (offset, all);
  guint n = all - first;
  if (limit > 0)
    n = MIN (n, limit);
  GPtrArray *items = g_ptr_array_new_full (n, (GDestroyNotify)dlna_item_free);
  for (guint i = first; i < first + n; i++)
    g_ptr_array_add (items, i < folders
                                ? make_container (shelf->below->pdata[i])
                                : make_item (self, shelf->channels->pdata[i - folders], shelf));
  if (total)
    *total = all;
  return items;
}

static guint32
update_id (DlnaLibrary *library, const char *id)
{
  ProxyShelves *shelves = PROXY_LIBRARY (library)->shelves;
  const ProxyShelf *shelf = id ? proxy_shelves_find (shelves, id) : NULL;
  return shelf && shelf->parent_id ? shelf->update_id : proxy_shelves_update_id (shelves);
}

static void
tell (const char *id, gpointer data)
{
  dlna_library_emit_changed (DLNA_LIBRARY (data), id);
}

void
proxy_library_set_programmes (ProxyLibrary *self, ProxyProgrammes *programmes)
{
  self->programmes = programmes;
}

static gboolean
on_quiet (gpointer data)
{
  ProxyLibrary *self = data;
  self->telling = 0;
  proxy_shelves_tell (self->shelves, tell, self);
  return G_SOURCE_REMOVE;
}

void
proxy_library_changed (ProxyLibrary *self)
{
  if (self->telling == 0)
    self->telling = g_timeout_add (QUIET_MS, on_quiet, self);
}

void
proxy_library_learn (ProxyLibrary *self, ProxySession *session)
{
  const char *id = proxy_session_id (session);
  if (proxy_session_ring (session)) {
    g_autofree char *media = describe (proxy_ring_info (proxy_session_ring (session)), -1);
    if (media)
      proxy_catalog_set_media (self->catalog, id, media);
  } else if (proxy_session_film (session))
    proxy_catalog_set_length (self->catalog, id,
                              (int64_t)proxy_film_length (proxy_session_film (session)));
}

/* --- opening --- */

/* A stream's share in its session. */
typedef struct {
  ProxySessions *sessions;
  ProxySession *session;
} Share;

static void
share_release (gpointer data)
{
  Share *share = data;
  proxy_sessions_release (share->sessions, share->session);
  proxy_sessions_unref (share->sessions);
  g_free (share);
}

static Share *
share_new (ProxySessions *sessions, ProxySession *session)
{
  Share *share = g_new0 (Share, 1);
  share->sessions = proxy_sessions_ref (sessions);
  share->session = session;
  return share;
}

/* What is done with a film of a known length; takes task and share over. */
typedef void (*FilmFunc) (GTask *task, Share *share, int64_t first, int64_t end,
                          GCancellable *cancellable);

/* While the length of a content is not known. */
typedef struct {
  FilmFunc func;
  GTask *task;
  Share *share;
  GCancellable *cancellable;
  GSource *timeout, *cancelled;
  int64_t first, end;
} Opening;

static void on_session (gpointer data);

/* Gives task and share to the caller. */
static void
opening_free (Opening *opening)
{
  proxy_watches_remove (proxy_session_watches (opening->share->session), on_session, opening);
  GSource *sources[] = {opening->timeout, opening->cancelled};
  for (size_t i = 0; i < G_N_ELEMENTS (sources); i++)
    if (sources[i]) {
      g_source_destroy (sources[i]);
      g_source_unref (sources[i]);
    }
  g_clear_object (&opening->cancellable);
  g_free (opening);
}

static void
on_ready (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  g_autoptr (ProxyStream) stream = PROXY_STREAM (source);
  GError *error = NULL;
  if (proxy_stream_ready_finish (stream, result, &error))
    g_task_return_pointer (task, g_steal_pointer (&stream), g_object_unref);
  else
    g_task_return_error (task, error);
}

/* Takes task and share over. */
static void
open_film (GTask *task, Share *share, int64_t first, int64_t end, GCancellable *cancellable)
{
  ProxyFilm *film = proxy_session_film (share->session);
  int64_t length = (int64_t)proxy_film_length (film);
  if (end < 0 || end > length)
    end = length;
  if (first < 0 || first >= end) {
    g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                             "the content has %" G_GINT64_FORMAT " bytes", length);
    g_object_unref (task);
    share_release (share);
    return;
  }
  proxy_library_look_into (PROXY_LIBRARY (g_task_get_source_object (task)),
                           proxy_session_id (share->session)); /* somebody watches it */
  ProxyStream *stream =
      proxy_stream_new_film (film, (uint64_t)first, (uint64_t)end, share_release, share);
  proxy_stream_ready_async (stream, OPEN_TIMEOUT, cancellable, on_ready, task);
}

static void
give_up (Opening *opening, GIOErrorEnum code, const char *text)
{
  g_autoptr (GTask) task = opening->task;
  Share *share = opening->share;
  opening_free (opening);
  g_task_return_new_error (task, G_IO_ERROR, code, "%s", text);
  share_release (share);
}

static void
on_session (gpointer data)
{
  Opening *opening = data;
  ProxySession *session = opening->share->session;
  if (proxy_session_failure (session)) {
    give_up (opening, G_IO_ERROR_FAILED, proxy_session_failure (session)->message);
    return;
  }
  if (!proxy_session_film (session))
    return;
  GTask *task = opening->task;
  Share *share = opening->share;
  FilmFunc func = opening->func;
  int64_t first = opening->first, end = opening->end;
  g_autoptr (GCancellable) cancellable = g_steal_pointer (&opening->cancellable);
  opening_free (opening);
  func (task, share, first, end, cancellable);
}

static gboolean
on_timeout (gpointer data)
{
  give_up (data, G_IO_ERROR_TIMED_OUT, "no peer told the length of the content in time");
  return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer data)
{
  give_up (data, G_IO_ERROR_CANCELLED, "cancelled");
  return G_SOURCE_REMOVE;
}

/* Calls func when the length is known. */
static void
with_film (FilmFunc func, GTask *task, Share *share, int64_t first, int64_t end,
           GCancellable *cancellable)
{
  if (proxy_session_film (share->session)) {
    func (task, share, first, end, cancellable);
    return;
  }
  Opening *opening = g_new0 (Opening, 1);
  opening->func = func;
  opening->task = task;
  opening->share = share;
  opening->first = first;
  opening->end = end;
  proxy_watches_add (proxy_session_watches (share->session), on_session, opening);
  opening->timeout = g_timeout_source_new (OPEN_TIMEOUT / 1000);
  g_source_set_callback (opening->timeout, on_timeout, opening, NULL);
  g_source_attach (opening->timeout, g_main_context_get_thread_default ());
  if (cancellable) {
    opening->cancellable = g_object_ref (cancellable);
    opening->cancelled = g_cancellable_source_new (cancellable);
    g_source_set_callback (opening->cancelled, G_SOURCE_FUNC (on_cancelled), opening, NULL);
    g_source_attach (opening->cancelled, g_main_context_get_thread_default ());
  }
}

/* Uses the channel's session; NULL = task was answered with the error. */
static Share *
use (ProxyLibrary *self, const char *id, GTask *task)
{
  const ProxyChannel *channel = proxy_catalog_lookup (self->catalog, id);
  GError *error = NULL;
  if (!channel) {
    g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no channel %.64s",
                             id);
    g_object_unref (task);
    return NULL;
  }
  ProxySession *session = proxy_sessions_use (self->sessions, channel, &error);
  if (!session) {
    g_task_return_error (task, error);
    g_object_unref (task);
    return NULL;
  }
  return share_new (self->sessions, session);
}

/* --- looking into films --- */

typedef struct {
  ProxyLibrary *library;
  Share *share;
  ProxyProbe *probe;
} Look;

static void
look_free (gpointer data)
{
  Look *look = data;
  proxy_probe_free (look->probe);
  share_release (look->share);
  g_free (look);
}

static void
on_looked (const ProxyProbeResult *result, gpointer data)
{
  Look *look = data;
  ProxyLibrary *self = look->library;
  g_autofree char *id = g_strdup (proxy_session_id (look->share->session));
  g_autofree char *media = result ? describe (&result->info, result->duration) : NULL;
  if (media)
    proxy_catalog_set_media (self->catalog, id, media);
  g_hash_table_remove (self->looks, id);
}

void
proxy_library_look_into (ProxyLibrary *self, const char *id)
{
  const ProxyChannel *channel = proxy_catalog_lookup (self->catalog, id);
  if (!channel || channel->media || g_strcmp0 (channel->mime, "video/mp2t") != 0 ||
      g_hash_table_contains (self->looks, id))
    return;
  GError *error = NULL;
  ProxySession *session = proxy_sessions_use (self->sessions, channel, &error);
  if (!session) {
    g_clear_error (&error); /* whoever watches it will hear */
    return;
  }
  if (!proxy_session_film (session)) {
    proxy_sessions_release (self->sessions, session);
    return;
  }
  Look *look = g_new0 (Look, 1);
  look->library = self;
  look->share = share_new (self->sessions, session);
  look->probe = proxy_probe_new (proxy_session_film (session), -1, on_looked, look);
  g_hash_table_insert (self->looks, g_strdup (id), look);
}

typedef struct {
  GTask *task;
  Share *share;
  ProxyProbe *probe;
} Locating;

static void
on_located (const ProxyProbeResult *result, gpointer data)
{
  g_autofree Locating *locating = data;
  g_autoptr (GTask) task = locating->task;
  if (result) {
    DlnaPlace *place = g_new (DlnaPlace, 1);
    *place = (DlnaPlace){result->byte, result->time};
    g_task_return_pointer (task, place, g_free);
  } else
    g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                             "that time was not found in the content");
  proxy_probe_free (locating->probe); /* the result lay in it */
  share_release (locating->share);
}

static void
locate_in_film (GTask *task, Share *share, int64_t time, int64_t end, GCancellable *cancellable)
{
  Locating *locating = g_new0 (Locating, 1);
  locating->task = task;
  locating->share = share;
  locating->probe =
      proxy_probe_new (proxy_session_film (share->session), time, on_located, locating);
}

/* Takes task over. */
static void
locate_in_live (GTask *task, const ProxyRing *ring, int64_t time)
{
  DlnaPlace place = {.byte = -1, .time = time};
  int64_t from, until;
  if (proxy_ring_times (ring, &from, &until, &place.time))
    g_task_return_pointer (task, g_memdup2 (&place, sizeof place), g_free);
  else
    g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "there is no picture yet");
  g_object_unref (task);
}

/* us behind live */
static int64_t
back_of (const ProxyRing *ring, const DlnaPosition *position)
{
  int64_t from, until, time = position->first;
  if (position->type != DLNA_POSITION_TIME || !proxy_ring_times (ring, &from, &until, &time))
    return position->back;
  return until - time;
}

static void
locate_async (DlnaLibrary *library, const char *id, int64_t time, GCancellable *cancellable,
              GAsyncReadyCallback done, gpointer data)
{
  GTask *task = g_task_new (library, cancellable, done, data);
  Share *share = use (PROXY_LIBRARY (library), id, task);
  if (!share)
    return;
  if (proxy_session_is_live (share->session)) {
    locate_in_live (task, proxy_session_ring (share->session), time);
    share_release (share);
  } else
    with_film (locate_in_film, task, share, time, -1, cancellable);
}

static bool
locate_finish (DlnaLibrary *library, GAsyncResult *result, DlnaPlace *out, GError **error)
{
  g_autofree DlnaPlace *place = g_task_propagate_pointer (G_TASK (result), error);
  if (place)
    *out = *place;
  return place != NULL;
}

/* --- where the household stopped --- */

static int64_t
unless_over (const DlnaItem *item, int64_t time)
{
  bool over = item->duration > 0 && time > item->duration - MAX (item->duration / 20, AHEAD);
  return over ? 0 : time;
}

/* What a viewer took tells about where it is: a player reads ahead, and looks at the end for an index.
 * us; 0 = it has seen all; -1 = that says nothing. */
static int64_t
stopped_at (const DlnaItem *item, int64_t first, int64_t end)
{
  if (item->duration <= 0 || item->size <= 0)
    return -1;
  double us_a_byte = (double)item->duration / (double)item->size;
  int64_t time = (int64_t)((double)end * us_a_byte);
  if ((double)(end - first) * us_a_byte < LOOK)
    return -1;
  time = unless_over (item, time);
  return time > 0 ? time - AHEAD : 0;
}

static void
left (DlnaLibrary *library, const char *id, int64_t first, int64_t end)
{
  ProxyLibrary *self = PROXY_LIBRARY (library);
  g_autoptr (DlnaItem) item = lookup (library, id, NULL);
  if (!item)
    return;
  if (g_strcmp0 (self->read_id, id) != 0) {
    g_free (self->read_id);
    self->read_id = g_strdup (id);
  } else if (first == self->read_end)
    first = self->read_first;
  self->read_first = first;
  self->read_end = end;
  int64_t time = stopped_at (item, first, end);
  if (time >= 0)
    proxy_catalog_set_stopped (self->catalog, id, time);
}

static void
stopped (DlnaLibrary *library, const char *id, int64_t time)
{
  g_autoptr (DlnaItem) item = lookup (library, id, NULL);
  if (item && !item->live)
    proxy_catalog_set_stopped (PROXY_LIBRARY (library)->catalog, id, unless_over (item, time));
}

/* --- the interface --- */

static void
open_async (DlnaLibrary *library, const char *id, const DlnaPosition *position,
            GCancellable *cancellable, GAsyncReadyCallback done, gpointer data)
{
  ProxyLibrary *self = PROXY_LIBRARY (library);
  GTask *task = g_task_new (self, NULL, done, data);
  Share *share = use (self, id, task);
  if (!share)
    return;
  if (proxy_session_is_live (share->session)) {
    ProxyRing *ring = proxy_session_ring (share->session);
    ProxyStream *stream =
        proxy_stream_new_live (ring, back_of (ring, position), share_release, share);
    proxy_stream_ready_async (stream, OPEN_TIMEOUT, cancellable, on_ready, task);
    return;
  }
  bool whole = position->type != DLNA_POSITION_BYTES;
  with_film (open_film, task, share, whole ? 0 : position->first, whole ? -1 : position->end,
             cancellable);
}

static DlnaStream *
open_finish (DlnaLibrary *library, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
library_interface_init (DlnaLibraryInterface *interface)
{
  interface->lookup = lookup;
  interface->list = list;
  interface->update_id = update_id;
  interface->open_async = open_async;
  interface->open_finish = open_finish;
  interface->locate_async = locate_async;
  interface->locate_finish = locate_finish;
  interface->left = left;
  interface->stopped = stopped;
}

static void
proxy_library_finalize (GObject *object)
{
  proxy_sessions_unref (PROXY_LIBRARY (object)->sessions);
  g_clear_handle_id (&PROXY_LIBRARY (object)->telling, g_source_remove);
  g_hash_table_unref (PROXY_LIBRARY (object)->looks);
  proxy_shelves_free (PROXY_LIBRARY (object)->shelves);
  g_free (PROXY_LIBRARY (object)->read_id);
  G_OBJECT_CLASS (proxy_library_parent_class)->finalize (object);
}

static void
proxy_library_class_init (ProxyLibraryClass *class)
{
  G_OBJECT_CLASS (class)->finalize = proxy_library_finalize;
}

static void
proxy_library_init (ProxyLibrary *self)
{
}

ProxyLibrary *
proxy_library_new (ProxyCatalog *catalog, ProxySessions *sessions)
{
  ProxyLibrary *self = g_object_new (PROXY_TYPE_LIBRARY, NULL);
  self->catalog = catalog;
  self->sessions = proxy_sessions_ref (sessions);
  self->looks = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, look_free);
  self->shelves = proxy_shelves_new (catalog);
  proxy_shelves_update_id (self->shelves); /* what is there now is no news */
  return self;
}
