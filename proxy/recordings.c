/* SPDX-License-Identifier: Apache-2.0 */
/* A second is exact enough for television, and a look at the clock each second is right also when that was
 * set, or the machine has slept. The list is a key file beside the recordings; it is replaced by a rename,
 * so that after kill -9 the old one is there or the new one.
 *
 *   scheduled -> now -> done
 *                 ^ its channel has ended, or the process: another part is appended
 *
 * No name from outside is in the name of a file. */
#include "proxy/recordings.h"
#include "peer/net/disk.h"
#include "peer/net/file.h"
#include "proxy/recorder.h"
#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  RETRY = 5,      /* s */
  TREE_PART = 16, /* of a shared content is its hash tree: 64 bytes for each 1024 */
};

#define LIST "recordings.ini"
#define LOCK ".lock" /* two gateways would write one file */
#define MIME "video/mp2t"

typedef struct {
  ProxyRecording recording; /* first: a recording is an entry */
  ProxyRecordings *set;
  char *path;
  ProxySession *session; /* that the recorder reads */
  ProxyRecorder *recorder;
  bool stopped;      /* by the owner */
  int64_t again;     /* s: when it is tried next */
  ProxyShare *share; /* or NULL */
  char *link;        /* of the swarm that it is shared in, or was; or NULL */
} Entry;

struct ProxyRecordings {
  ProxyRecordingsOptions options;
  char *folder;
  GPtrArray *entries; /* Entry */
  NetHasher *hasher;
  int lock; /* an open file */
  guint tick;
};

static const char *const state_names[] = {
    [PROXY_RECORDING_SCHEDULED] = "scheduled",
    [PROXY_RECORDING_NOW] = "recording",
    [PROXY_RECORDING_DONE] = "done",
    [PROXY_RECORDING_FAILED] = "failed",
};

const char *
proxy_recording_state_name (ProxyRecordingState state)
{
  return state_names[state];
}

static int64_t
now_of (const ProxyRecordings *self)
{
  return self->options.clock ? self->options.clock (self->options.data)
                             : g_get_real_time () / G_USEC_PER_SEC;
}

static void
entry_free (gpointer data)
{
  Entry *entry = data;
  proxy_recorder_free (entry->recorder);
  proxy_share_free (entry->share);
  g_free (entry->link);
  g_free (entry->path);
  g_free (entry->recording.id);
  g_free (entry->recording.name);
  g_free (entry->recording.channel);
  g_free (entry->recording.error);
  g_free (entry);
}

static Entry *
add_entry (ProxyRecordings *self, const char *id)
{
  Entry *entry = g_new0 (Entry, 1);
  entry->set = self;
  entry->path = proxy_session_recording_path (self->folder, id);
  entry->recording.id = g_strdup (id);
  g_ptr_array_add (self->entries, entry);
  return entry;
}

static void
set_error (Entry *entry, const char *text)
{
  g_free (entry->recording.error);
  entry->recording.error = g_strdup (text);
}

/* --- the list --- */

static void
save (const ProxyRecordings *self)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  for (guint i = 0; i < self->entries->len; i++) {
    const ProxyRecording *recording = self->entries->pdata[i];
    const char *id = recording->id;
    g_key_file_set_string (file, id, "name", recording->name);
    g_key_file_set_string (file, id, "channel", recording->channel);
    g_key_file_set_string (file, id, "state", state_names[recording->state]);
    g_key_file_set_int64 (file, id, "start", recording->start);
    g_key_file_set_int64 (file, id, "stop", recording->stop);
    if (recording->error)
      g_key_file_set_string (file, id, "error", recording->error);
    if (recording->shared)
      g_key_file_set_boolean (file, id, "shared", true);
    if (((const Entry *)recording)->link)
      g_key_file_set_string (file, id, "link", ((const Entry *)recording)->link);
  }
  gsize n;
  g_autofree char *text = g_key_file_to_data (file, &n, NULL);
  g_autofree char *path = g_build_filename (self->folder, LIST, NULL);
  g_autofree char *fresh = g_strconcat (path, ".new", NULL);
  g_autoptr (GError) error = NULL;
  /* Nothing is forced to the disk: the viewers would wait for it. */
  if (!g_file_set_contents_full (fresh, text, (gssize)n, G_FILE_SET_CONTENTS_NONE, 0600, &error))
    g_message ("the list of recordings is not kept: %s", error->message);
  else if (g_rename (fresh, path) != 0)
    g_message ("the list of recordings %s is not kept: %s", path, g_strerror (errno));
}

static bool
is_id (const char *text)
{
  return g_str_has_prefix (text, "rec-") && strlen (text) <= PROXY_ID_MAX &&
         text[strspn (text, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static void
load_entry (ProxyRecordings *self, GKeyFile *file, const char *id)
{
  g_autofree char *state = g_key_file_get_string (file, id, "state", NULL);
  g_autofree char *channel = g_key_file_get_string (file, id, "channel", NULL);
  if (!is_id (id) || !channel || self->entries->len >= PROXY_RECORDINGS_MAX)
    return;
  Entry *entry = add_entry (self, id);
  ProxyRecording *recording = &entry->recording;
  recording->channel = g_steal_pointer (&channel);
  recording->name = g_key_file_get_string (file, id, "name", NULL);
  recording->error = g_key_file_get_string (file, id, "error", NULL);
  recording->start = g_key_file_get_int64 (file, id, "start", NULL);
  recording->stop = g_key_file_get_int64 (file, id, "stop", NULL);
  recording->shared = g_key_file_get_boolean (file, id, "shared", NULL);
  entry->link = g_key_file_get_string (file, id, "link", NULL);
  if (!recording->name)
    recording->name = g_strdup (id);
  recording->state = PROXY_RECORDING_DONE;
  for (guint i = 0; i < G_N_ELEMENTS (state_names); i++)
    if (g_strcmp0 (state, state_names[i]) == 0)
      recording->state = (ProxyRecordingState)i;
}

static void
load (ProxyRecordings *self)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *path = g_build_filename (self->folder, LIST, NULL);
  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, &error)) {
    if (!g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
      g_warning ("the list of recordings %s cannot be read: %s", path, error->message);
    return;
  }
  g_auto (GStrv) ids = g_key_file_get_groups (file, NULL);
  for (size_t i = 0; ids[i]; i++)
    load_entry (self, file, ids[i]);
}

/* --- the catalog --- */

static void
put_in_catalog (const ProxyRecordings *self, const ProxyRecording *recording,
                const ProxyChannel **channel)
{
  g_autofree char *link = g_strconcat (PROXY_SESSION_RECORDING, recording->id, NULL);
  ProxyDraft draft = {
      .swarm_id = recording->id,
      .link = link,
      .name = recording->name,
      .source = "",
      .wish_id = recording->id,
      .mime = MIME,
      .length = (int64_t)recording->bytes,
  };
  proxy_catalog_put (self->options.catalog, &draft, channel);
}

static void
take_from_catalog (ProxyCatalog *catalog, const char *id)
{
  const ProxyChannel *channel = proxy_catalog_lookup_swarm (catalog, id);
  if (!channel)
    return;
  g_autofree char *kept = g_strdup (channel->id);
  proxy_catalog_remove (catalog, kept);
}

/* Those that are done stand in it, and no others. */
static void
fill_catalog (ProxyCatalog *catalog, ProxyRecordings *self)
{
  const GPtrArray *channels = proxy_catalog_list (catalog);
  g_autoptr (GPtrArray) gone = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < channels->len; i++) {
    const ProxyChannel *channel = channels->pdata[i];
    if (!g_str_has_prefix (channel->link, PROXY_SESSION_RECORDING))
      continue;
    const ProxyRecording *recording = self ? proxy_recordings_find (self, channel->swarm_id) : NULL;
    if (!recording || recording->state != PROXY_RECORDING_DONE)
      g_ptr_array_add (gone, g_strdup (channel->swarm_id));
  }
  proxy_catalog_begin (catalog);
  for (guint i = 0; i < gone->len; i++)
    take_from_catalog (catalog, gone->pdata[i]);
  for (guint i = 0; self && i < self->entries->len; i++) {
    const ProxyRecording *recording = self->entries->pdata[i];
    if (recording->state == PROXY_RECORDING_DONE)
      put_in_catalog (self, recording, NULL);
  }
  proxy_catalog_commit (catalog);
}

/* --- recording --- */

/* A file of gigabytes takes a disk its time, and a thread of GIO's has it. */
static void
remove_file (const char *path)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_file_delete_async (file, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
}

static void
remove_hashes (const Entry *entry)
{
  g_autofree char *path = g_strconcat (entry->path, NET_FILE_HASHES, NULL);
  remove_file (path);
}

static void
on_shared (gpointer data)
{
  Entry *entry = data;
  ProxyShareStatus status;
  proxy_share_status (entry->share, &status);
  if (!status.link || g_strcmp0 (status.link, entry->link) == 0)
    return;
  g_free (entry->link);
  entry->link = g_strdup (status.link);
  save (entry->set);
}

/* What was shared before keeps its trackers, whatever has become of the channel. */
static void
begin_sharing (Entry *entry)
{
  ProxyRecordings *self = entry->set;
  const ProxyChannel *channel =
      proxy_catalog_lookup (self->options.catalog, entry->recording.channel);
  const char *like = entry->link ? entry->link : channel ? channel->link : NULL;
  if (entry->recording.state == PROXY_RECORDING_DONE && entry->recording.shared && !entry->share)
    entry->share = proxy_share_new (self->options.sharing, self->hasher, entry->recording.id,
                                    entry->path, like, on_shared, entry);
}

static void
complete (Entry *entry, const char *error)
{
  const ProxyRecordings *self = entry->set;
  ProxyRecording *recording = &entry->recording;
  const ProxyChannel *channel = NULL;
  if (entry->recorder)
    recording->bytes = proxy_recorder_bytes (entry->recorder);
  g_clear_pointer (&entry->recorder, proxy_recorder_free);
  if (error)
    set_error (entry, error);
  recording->state = recording->bytes > 0 ? PROXY_RECORDING_DONE : PROXY_RECORDING_FAILED;
  if (recording->state == PROXY_RECORDING_DONE)
    put_in_catalog (self, recording, &channel);
  else {
    remove_file (entry->path);
    if (!recording->error)
      set_error (entry, "nothing came of the channel");
  }
  g_message ("recording %s of channel %s: %s%s%s", recording->id, recording->channel,
             state_names[recording->state], recording->error ? ": " : "",
             recording->error ? recording->error : "");
  save (self);
  begin_sharing (entry);
  if (channel && self->options.done)
    self->options.done (channel->id, self->options.data);
}

static uint64_t
room (gpointer data)
{
  const ProxyRecordings *self = ((const Entry *)data)->set;
  uint64_t quota = self->options.quota, used = proxy_recordings_used (self);
  return quota == 0 ? UINT64_MAX : quota - MIN (used, quota);
}

static void
wait_again (Entry *entry, const char *why)
{
  if (g_strcmp0 (why, entry->recording.error) != 0)
    g_message ("recording %s of channel %s waits: %s", entry->recording.id,
               entry->recording.channel, why);
  set_error (entry, why);
  entry->again = now_of (entry->set) + RETRY;
}

static void
on_ended (ProxyRecorderEnd end, const char *why, gpointer data)
{
  Entry *entry = data;
  switch (end) {
  case PROXY_RECORDER_FINISHED:
    complete (entry, NULL);
    break;
  case PROXY_RECORDER_LEFT:
    entry->recording.bytes = proxy_recorder_bytes (entry->recorder);
    g_clear_pointer (&entry->recorder, proxy_recorder_free);
    wait_again (entry, "the channel has ended");
    break;
  case PROXY_RECORDER_FULL:
    complete (entry, "the room for recordings is used up: delete some, or give --recordings-quota "
                     "more");
    break;
  case PROXY_RECORDER_FAILED:
    complete (entry, why);
    break;
  }
}

static const ProxyRecorderUser user = {room, on_ended};

static void
on_released (gpointer data)
{
  Entry *entry = data;
  proxy_sessions_release (entry->set->options.sessions, g_steal_pointer (&entry->session));
}

static unsigned
n_recorded (const ProxyRecordings *self)
{
  unsigned n = 0;
  for (guint i = 0; i < self->entries->len; i++)
    n += ((const Entry *)self->entries->pdata[i])->recorder != NULL;
  return n;
}

/* us: what is missing since the file was written last, or since it should have begun. */
static int64_t
missing (const Entry *entry)
{
  struct stat file;
  int64_t since = entry->recording.start;
  if (g_stat (entry->path, &file) == 0 && file.st_size > 0)
    since = MAX (since, (int64_t)file.st_mtime);
  return MAX (now_of (entry->set) - since, 0) * G_USEC_PER_SEC;
}

static bool
begin (Entry *entry, GError **error)
{
  ProxyRecordings *self = entry->set;
  const ProxyChannel *channel =
      proxy_catalog_lookup (self->options.catalog, entry->recording.channel);
  if (!channel || n_recorded (self) >= PROXY_RECORDINGS_AT_ONCE) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 channel ? "%d channels are recorded already" : "there is no such channel",
                 PROXY_RECORDINGS_AT_ONCE);
    return false;
  }
  ProxySession *session = proxy_sessions_use (self->options.sessions, channel, error);
  if (!session)
    return false;
  entry->session = session;
  ProxyStream *stream =
      proxy_stream_new_live (proxy_session_ring (session), missing (entry), on_released, entry);
  entry->recorder = proxy_recorder_new (stream, entry->path, &user, entry, error);
  return entry->recorder != NULL;
}

static void
turn (Entry *entry, int64_t now)
{
  ProxyRecording *recording = &entry->recording;
  g_autoptr (GError) error = NULL;
  if (entry->recorder)
    recording->bytes = proxy_recorder_bytes (entry->recorder);
  if (recording->state == PROXY_RECORDING_SCHEDULED && recording->start <= now) {
    if (recording->stop <= now)
      set_error (entry, "the gateway was off at that time");
    recording->state = PROXY_RECORDING_NOW;
    save (entry->set);
  }
  if (recording->state != PROXY_RECORDING_NOW)
    return;
  if (entry->stopped || recording->stop + PROXY_RECORDINGS_TAIL <= now) {
    if (entry->recorder)
      proxy_recorder_finish (entry->recorder);
    else
      complete (entry, NULL);
  } else if (!entry->recorder && entry->again <= now) {
    if (begin (entry, &error))
      g_clear_pointer (&recording->error, g_free);
    else
      wait_again (entry, error->message);
  }
}

void
proxy_recordings_turn (ProxyRecordings *self)
{
  int64_t now = now_of (self);
  for (guint i = 0; i < self->entries->len; i++)
    turn (self->entries->pdata[i], now);
}

static gboolean
on_tick (gpointer data)
{
  proxy_recordings_turn (data);
  return G_SOURCE_CONTINUE;
}

/* --- the set --- */

/* What lies on the disk counts: the owner may have taken files away. */
static void
look_at_files (ProxyRecordings *self)
{
  for (guint i = self->entries->len; i-- > 0;) {
    Entry *entry = self->entries->pdata[i];
    struct stat file;
    if (g_lstat (entry->path, &file) == 0 && S_ISREG (file.st_mode))
      entry->recording.bytes = (uint64_t)file.st_size;
    else if (entry->recording.state == PROXY_RECORDING_DONE)
      g_ptr_array_remove_index (self->entries, i);
  }
}

ProxyRecordings *
proxy_recordings_new (const ProxyRecordingsOptions *options, GError **error)
{
  if (!options->folder) {
    fill_catalog (options->catalog, NULL);
    return NULL;
  }
  if (g_mkdir_with_parents (options->folder, 0755) != 0) {
    net_disk_set_error (error, errno, "--recordings: cannot make", options->folder);
    return NULL;
  }
  g_autofree char *lock = g_build_filename (options->folder, LOCK, NULL);
  int fd = net_disk_open (lock, NULL, error);
  if (fd < 0) {
    g_prefix_error (error, "--recordings: ");
    return NULL;
  }
  ProxyRecordings *self = g_new0 (ProxyRecordings, 1);
  self->lock = fd;
  self->options = *options;
  self->folder = g_strdup (options->folder);
  self->entries = g_ptr_array_new_with_free_func (entry_free);
  self->hasher = net_hasher_new ();
  load (self);
  look_at_files (self);
  fill_catalog (options->catalog, self);
  for (guint i = 0; i < self->entries->len; i++)
    begin_sharing (self->entries->pdata[i]);
  self->tick = g_timeout_add_seconds (1, on_tick, self);
  return self;
}

void
proxy_recordings_free (ProxyRecordings *self)
{
  if (!self)
    return;
  save (self);
  g_source_remove (self->tick);
  for (guint i = 0; i < self->entries->len; i++)
    g_clear_pointer (&((Entry *)self->entries->pdata[i])->recorder, proxy_recorder_free);
  g_ptr_array_unref (self->entries);
  net_hasher_free (self->hasher);
  close (self->lock);
  g_free (self->folder);
  g_free (self);
}

static Entry *
find (const ProxyRecordings *self, const char *id)
{
  for (guint i = 0; i < self->entries->len; i++)
    if (g_str_equal (((const ProxyRecording *)self->entries->pdata[i])->id, id))
      return self->entries->pdata[i];
  return NULL;
}

static char *
new_id (const ProxyRecordings *self, int64_t now)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (now);
  g_autofree char *base = g_date_time_format (time, "rec-%Y%m%d-%H%M%S");
  for (unsigned n = 1;; n++) {
    g_autofree char *id = n == 1 ? g_strdup (base) : g_strdup_printf ("%s-%u", base, n);
    g_autofree char *path = proxy_session_recording_path (self->folder, id);
    if (!find (self, id) && !g_file_test (path, G_FILE_TEST_EXISTS))
      return g_steal_pointer (&id);
  }
}

/* "News 2026-11-22 20:00", by the clock on the wall. */
static char *
name_of (const ProxyRecordingWish *wish, const ProxyChannel *channel, int64_t start)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_local (start);
  g_autofree char *text = time ? g_date_time_format (time, "%Y-%m-%d %H:%M") : NULL;
  return g_strdup_printf ("%s %s", wish->name ? wish->name : channel->name, text ? text : "");
}

static bool
may_share (const ProxyRecordings *self, GError **error)
{
  unsigned n = 0;
  for (guint i = 0; i < self->entries->len; i++)
    n += ((const ProxyRecording *)self->entries->pdata[i])->shared;
  if (n >= PROXY_RECORDINGS_SHARED)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "%d recordings are shared already",
                 PROXY_RECORDINGS_SHARED);
  return n < PROXY_RECORDINGS_SHARED;
}

static bool
check (const ProxyRecordings *self, const ProxyChannel *channel, int64_t start, int64_t stop,
       int64_t now, GError **error)
{
  uint64_t quota = self->options.quota;
  const char *wrong = NULL;
  if (!channel || !channel->live || g_strcmp0 (channel->mime, MIME) != 0)
    wrong = "\"channel\" must be the ID of a live channel of MPEG-TS";
  else if (stop <= now)
    wrong = "\"stop\" has passed";
  else if (stop <= start || stop - start > PROXY_RECORDINGS_LONGEST)
    wrong = "\"stop\" must be after \"start\", at most a day";
  else if (start > now + PROXY_RECORDINGS_AHEAD)
    wrong = "\"start\" is more than a year ahead";
  if (wrong)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, wrong);
  else if (self->entries->len >= PROXY_RECORDINGS_MAX)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                 "there are %d recordings already: delete some", PROXY_RECORDINGS_MAX);
  else if (quota > 0 && proxy_recordings_used (self) >= quota)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                         "the room for recordings is used up: delete some");
  else
    return true;
  return false;
}

const ProxyRecording *
proxy_recordings_add (ProxyRecordings *self, const ProxyRecordingWish *wish, GError **error)
{
  int64_t now = now_of (self), start = wish->start > 0 ? wish->start : now;
  int64_t longest =
      start <= INT64_MAX - PROXY_RECORDINGS_LONGEST ? start + PROXY_RECORDINGS_LONGEST : INT64_MAX;
  int64_t stop = wish->stop > 0 ? wish->stop : longest;
  const ProxyChannel *channel =
      wish->channel ? proxy_catalog_lookup (self->options.catalog, wish->channel) : NULL;
  if (!check (self, channel, start, stop, now, error) || (wish->shared && !may_share (self, error)))
    return NULL;
  g_autofree char *id = new_id (self, now);
  Entry *entry = add_entry (self, id);
  entry->recording.channel = g_strdup (channel->id);
  entry->recording.name = name_of (wish, channel, start);
  entry->recording.start = start;
  entry->recording.stop = stop;
  entry->recording.shared = wish->shared;
  save (self);
  turn (entry, now);
  return &entry->recording;
}

bool
proxy_recordings_stop (ProxyRecordings *self, const char *id)
{
  Entry *entry = find (self, id);
  if (entry && entry->recording.state == PROXY_RECORDING_SCHEDULED)
    return proxy_recordings_remove (self, id);
  if (!entry || entry->recording.state != PROXY_RECORDING_NOW)
    return false;
  entry->stopped = true;
  entry->recording.stop = now_of (self);
  turn (entry, entry->recording.stop);
  return true;
}

bool
proxy_recordings_remove (ProxyRecordings *self, const char *id)
{
  Entry *entry = find (self, id);
  if (!entry)
    return false;
  const ProxyChannel *channel = proxy_catalog_lookup_swarm (self->options.catalog, id);
  if (channel)
    proxy_sessions_stop (self->options.sessions, channel->id);
  take_from_catalog (self->options.catalog, id);
  g_autofree char *path = g_strdup (entry->path);
  remove_hashes (entry);
  g_ptr_array_remove (self->entries, entry);
  remove_file (path);
  save (self);
  return true;
}

bool
proxy_recordings_set_shared (ProxyRecordings *self, const char *id, bool shared, GError **error)
{
  Entry *entry = find (self, id);
  if (!entry || entry->recording.state == PROXY_RECORDING_FAILED) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is no such recording");
    return false;
  }
  if (shared && !entry->recording.shared && !may_share (self, error))
    return false;
  entry->recording.shared = shared;
  if (shared)
    begin_sharing (entry);
  else {
    g_clear_pointer (&entry->share, proxy_share_free);
    remove_hashes (entry);
  }
  save (self);
  return true;
}

bool
proxy_recordings_share_status (ProxyRecordings *self, const char *id, ProxyShareStatus *out)
{
  const Entry *entry = find (self, id);
  if (entry && entry->share)
    proxy_share_status (entry->share, out);
  return entry && entry->share;
}

const ProxyRecording *
proxy_recordings_find (ProxyRecordings *self, const char *id)
{
  Entry *entry = find (self, id);
  return entry ? &entry->recording : NULL;
}

const GPtrArray *
proxy_recordings_list (const ProxyRecordings *self)
{
  return self->entries;
}

uint64_t
proxy_recordings_used (const ProxyRecordings *self)
{
  uint64_t used = 0;
  for (guint i = 0; i < self->entries->len; i++) {
    const Entry *entry = self->entries->pdata[i]; /* its bytes are those of a second ago */
    used += entry->recording.shared ? entry->recording.bytes / TREE_PART : 0;
    used += entry->recorder ? proxy_recorder_bytes (entry->recorder) : entry->recording.bytes;
  }
  return used;
}

uint64_t
proxy_recordings_quota (const ProxyRecordings *self)
{
  return self->options.quota;
}
