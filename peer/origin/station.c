/* SPDX-License-Identifier: Apache-2.0 */
/* Chunk numbers are reserved ahead, in a record that is on the disk before they are used. Half of a
 * reservation before its end the next one is written, by a thread, because a worn flash may take
 * its time. If it cannot be written, the channel goes on to the end of what is reserved and stops:
 * silence can be mended, a fork cannot. */
#include "peer/origin/station.h"

#include "peer/link.h"
#include "peer/media/mpegts.h"
#include "peer/membership.h"
#include "peer/net/hashing.h"
#include "peer/net/record.h"
#include "peer/net/status.h"
#include "peer/net/tracker.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RESERVE 65536          /* chunks: 74 s at 8 Mbit/s */
#define RESERVE_RETRY 10000000 /* us */
#define UNTIL_LOOK_MS 10000    /* between two looks at the clock, which may be set */
#define TRACKER_TIMEOUT_MS 2000

static bool add_file (OriginContent *self, GError **error);
static void content_free (gpointer data);

struct OriginContent {
  OriginStation *station;
  OriginKind kind;
  char *id, *name, *source, *token;
  PeerContent content;
  PeerSwarm *swarm; /* NULL = not published yet */
  NetTracker *tracker;
  OriginPublisher *publisher;
  OriginIngest *ingest;
  guint timer;
  bool reserving, reserve_failed;
  int64_t reserve_again;
  uint64_t encoders_refused;
  char *error, *source_error;
  NetHashing *hashing; /* NULL = not now */
  PeerContent film;    /* FILE: chunk size, hash and addressing that it must have; else all 0 */

  int64_t until; /* as in OriginEntry */
  guint until_timer;
  bool ended, from_start; /* from_start: all of the broadcast is in its record */
};

struct OriginStation {
  OriginState *state;
  NetUdp *udp;
  NetStatus *status;
  char **trackers;
  bool has_tracker_key; /* of the one that certifies members */
  uint8_t tracker_key[PEER_FINGERPRINT];
  GArray *announce; /* PeerAddress */
  NetPeering *peering;
  bool allow_plain_tracker;
  NetCredentials *credentials;
  PeerContent channel, file; /* the metadata of new ones */
  uint64_t window;
  GPtrArray *contents;
  NetHasher *hasher;
  unsigned n_records;
};

/* --- limits --- */

static void
apply_limit (OriginContent *self)
{
  if (self->swarm != NULL)
    net_peering_limit_swarm (self->station->peering, net_udp_engine (self->station->udp),
                             self->swarm, self->id);
}

void
origin_station_limit (OriginStation *self, NetPeering *peering)
{
  self->peering = peering;
  net_status_set (self->status, peering);
  net_peering_limit_engine (peering, net_udp_engine (self->udp));
  for (guint i = 0; i < self->contents->len; i++)
    apply_limit (g_ptr_array_index (self->contents, i));
  net_udp_wake (self->udp);
}

bool
origin_content_limit (OriginContent *self, const char *upload, const char *download, GError **error)
{
  if (!net_peering_set (self->station->peering, self->id, upload, download, error))
    return false;
  apply_limit (self);
  net_udp_wake (self->station->udp);
  return true;
}

void
origin_content_unlimit (OriginContent *self)
{
  net_peering_unset (self->station->peering, self->id);
  apply_limit (self);
  net_udp_wake (self->station->udp);
}

/* --- trackers --- */

static void
on_peers (const PeerAddress *peers, size_t n, gpointer data)
{
  OriginContent *self = data;
  PeerEngine *engine = net_udp_engine (self->station->udp);

  /* Both sides trying opens the way through a NAT that lets only answers in. */
  for (size_t i = 0; i < n && self->swarm != NULL; i++)
    peer_engine_add_peer (engine, self->swarm, &peers[i]);
  net_udp_wake (self->station->udp);
}

static const uint8_t *
tracker_key (const OriginStation *self)
{
  return self->has_tracker_key ? self->tracker_key : NULL;
}

/* The first tracker that certifies us is the one that our links name (RFC 7574, 12.2.2: its key is
 * part of the metadata): it is the operator who chose it. The key is kept, so that the links are the
 * same when the tracker is away as we start. Where there is but one tracker and it has another key
 * now, its old one certifies nobody any more. */
static void
learn_tracker (OriginStation *self, const uint8_t *certificate, size_t n)
{
  const char *const *uris = (const char *const *)self->trackers;
  g_autoptr (GError) error = NULL;
  uint8_t key[PEER_FINGERPRINT];

  if (!peer_membership_tracker (certificate, n, key) ||
      (self->has_tracker_key &&
       (uris[1] != NULL || memcmp (self->tracker_key, key, sizeof key) == 0)))
    return;
  if (self->has_tracker_key)
    g_message ("the tracker %s has a new key; all links name it from now on, and who has an old "
               "link does not believe its certificates",
               uris[0]);
  memcpy (self->tracker_key, key, sizeof key);
  self->has_tracker_key = true;
  if (!origin_state_keep_tracker (self->state, uris, key, &error))
    g_warning ("the tracker's key is not kept: %s", error->message);
}

static void
on_certificate (const PeerAddress *address, const uint8_t *bytes, size_t n, gpointer data)
{
  OriginContent *self = data;
  OriginStation *station = self->station;
  PeerEngine *engine = net_udp_engine (station->udp);

  if (self->swarm == NULL)
    return;
  if (address == NULL)
    learn_tracker (station, bytes, n);
  if (station->has_tracker_key)
    peer_engine_trust_tracker (engine, self->swarm, station->tracker_key);
  peer_engine_add_certificate (engine, self->swarm, address, bytes, n);
  net_udp_wake (station->udp);
}

static const PeerSwarm *
our_swarm (uint64_t *uploaded_before, gpointer data)
{
  return ((const OriginContent *)data)->swarm;
}

static bool
begin_tracking (OriginContent *self, GError **error)
{
  OriginStation *station = self->station;
  g_autofree char *swarm_id = peer_content_swarm_id_hex (&self->content);
  NetTrackerOptions options = {.uris = (const char *const *)station->trackers,
                               .swarm_id = swarm_id,
                               .seeder = true,
                               .port = net_udp_port (station->udp),
                               .allow_plain = station->allow_plain_tracker,
                               .credentials = station->credentials,
                               .certificate = on_certificate,
                               .engine = net_udp_engine (station->udp),
                               .swarm = our_swarm};

  if (station->trackers[0] == NULL)
    return true;
  self->tracker = net_tracker_new (&options, on_peers, self, error);
  return self->tracker != NULL;
}

/* --- reservations --- */

typedef struct {
  OriginContent *content;
  PeerContent metadata;
  uint64_t end;
} Reservation;

static void
reserve_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Reservation *self = data;
  GError *error = NULL;

  if (origin_state_reserve (self->content->station->state, self->content->id, &self->metadata,
                            self->end, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static void
on_reserved (GObject *source, GAsyncResult *result, gpointer data)
{
  Reservation *reservation = g_task_get_task_data (G_TASK (result));
  OriginContent *self = reservation->content;
  g_autoptr (GError) error = NULL;

  self->station->n_records--;
  self->reserving = false;
  if (g_task_propagate_boolean (G_TASK (result), &error)) {
    if (self->reserve_failed)
      g_message ("channel %s: the record of signed chunks can be written again", self->id);
    self->reserve_failed = false;
    origin_publisher_set_limit (self->publisher, reservation->end);
    return;
  }
  if (!self->reserve_failed)
    g_warning ("channel %s: %s. It stops when its reserved chunks are used up, because signing "
               "without a record would fork it",
               self->id, error->message);
  self->reserve_failed = true;
  self->reserve_again = g_get_monotonic_time () + RESERVE_RETRY;
}

/* One past the last chunk that can be named and signed (RFC 7574, section 4). */
static uint64_t
last_number (const OriginContent *self)
{
  uint64_t end = peer_content_max_chunks (&self->content);

  return end - end % self->content.chunks_per_signature;
}

static void
reserve_ahead (OriginContent *self)
{
  OriginPublisherStats stats;
  Reservation *reservation;
  g_autoptr (GTask) task = NULL;

  origin_publisher_stats (self->publisher, &stats);
  if (self->reserving || stats.next + RESERVE / 2 < origin_publisher_limit (self->publisher) ||
      origin_publisher_limit (self->publisher) >= last_number (self))
    return;
  if (self->reserve_failed && g_get_monotonic_time () < self->reserve_again)
    return;
  self->reserving = true;
  self->station->n_records++;
  reservation = g_new0 (Reservation, 1);
  reservation->content = self;
  reservation->metadata = self->content;
  reservation->end = MIN (stats.next + RESERVE, last_number (self));
  if (reservation->end == last_number (self))
    g_warning ("channel %s: its addressing has no chunk numbers after the next %" G_GUINT64_FORMAT
               ", and it stops there; begin a new channel with --addressing chunks64",
               self->id, reservation->end - stats.next);
  task = g_task_new (NULL, NULL, on_reserved, NULL);
  g_task_set_task_data (task, reservation, g_free);
  g_task_run_in_thread (task, reserve_in_thread);
}

/* --- broadcasts that end ---
 *
 * ID.ts is what was broadcast, and ID.ended says that it is over: a channel that has signed its end
 * must never sign again. */

static char *
broadcast_path (const OriginContent *self, const char *ending)
{
  g_autofree char *name = g_strconcat (self->id, ending, NULL);

  return origin_state_path (self->station->state, name);
}

/* What was broadcast is the same content as a file: the root of its tree is the swarm ID. */
static bool
add_film (OriginStation *self, const OriginContent *channel, GError **error)
{
  OriginContent *film = g_new0 (OriginContent, 1);

  film->station = self;
  film->kind = ORIGIN_FILE;
  film->id = g_strconcat (channel->id, ORIGIN_FILM, NULL);
  film->name = g_strdup (channel->name);
  film->source = broadcast_path (channel, ".ts");
  film->film = channel->content;
  if (!add_file (film, error)) {
    content_free (film);
    return false;
  }
  g_ptr_array_add (self->contents, film);
  return true;
}

/* Before the end is signed: else a restart could sign chunks behind it. */
static bool
note_end (const OriginContent *self, GError **error)
{
  g_autofree char *path = broadcast_path (self, ".ended");

  return g_file_set_contents_full (path, "", 0, G_FILE_SET_CONTENTS_DURABLE, 0600, error);
}

bool
origin_content_finish (OriginContent *self, GError **error)
{
  if (self->until == 0) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 "channel %s has no end: give it --until", self->id);
    return false;
  }
  if (self->ended)
    return false;
  net_record_flush (
      peer_swarm_store (self->swarm)); /* who is killed behind the note has all of it */
  if (!note_end (self, error))
    return false;
  self->ended = true;
  g_clear_handle_id (&self->until_timer, g_source_remove);
  origin_content_end (self);
  bool is_signed = origin_publisher_end (self->publisher, net_udp_now (self->station->udp));
  net_record_finish (peer_swarm_store (self->swarm));
  if (!is_signed)
    g_message ("channel %s: the broadcast ended before anything was published", self->id);
  else if (!self->from_start)
    g_message ("channel %s: the broadcast is over", self->id);
  else if (add_film (self->station, self, error))
    g_message ("channel %s: the broadcast is over, and on demand as %s" ORIGIN_FILM, self->id,
               self->id);
  else
    return false;
  net_udp_wake (self->station->udp);
  return true;
}

bool
origin_content_has_ended (const OriginContent *self)
{
  return self->ended;
}

static gboolean
on_until (gpointer data)
{
  OriginContent *self = data;
  g_autoptr (GError) error = NULL;
  int64_t left = self->until - g_get_real_time ();

  if (left > 0) { /* the clock was set, or it is far away */
    self->until_timer = g_timeout_add ((guint)MIN (left / 1000 + 1, UNTIL_LOOK_MS), on_until, self);
    return G_SOURCE_REMOVE;
  }
  self->until_timer = 0;
  if (!origin_content_finish (self, &error) && error != NULL)
    g_warning ("channel %s: its end: %s", self->id, error->message);
  return G_SOURCE_REMOVE;
}

/* An earlier run has ended it: only its film is left. */
static bool
has_ended_before (const OriginContent *self)
{
  g_autofree char *path = broadcast_path (self, ".ended");

  return g_file_test (path, G_FILE_TEST_EXISTS);
}

static bool
add_ended (OriginContent *self, GError **error)
{
  g_autofree char *path = broadcast_path (self, ".ts");
  g_autoptr (PeerKey) key = NULL;
  GStatBuf status;
  uint64_t first;

  self->content = self->station->channel;
  key = origin_state_channel (self->station->state, self->id, &self->content, &first, error);
  if (key == NULL)
    return false;
  if (g_stat (path, &status) != 0 || status.st_size == 0) {
    g_message ("channel %s: its broadcast is over, and was not kept here", self->id);
    return true;
  }
  g_message ("channel %s: its broadcast is over, and on demand as %s" ORIGIN_FILM, self->id,
             self->id);
  return add_film (self->station, self, error);
}

/* --- channels --- */

static void schedule (OriginContent *self);

static gboolean
on_timer (gpointer data)
{
  OriginContent *self = data;

  self->timer = 0;
  origin_publisher_turn (self->publisher, net_udp_now (self->station->udp));
  net_udp_wake (self->station->udp);
  schedule (self);
  return G_SOURCE_REMOVE;
}

/* The timer is not moved by each packet: it looks again when it comes. */
static void
schedule (OriginContent *self)
{
  int64_t deadline = origin_publisher_deadline (self->publisher), now;

  if (self->timer != 0 || deadline == PEER_NEVER)
    return;
  now = net_udp_now (self->station->udp);
  self->timer = g_timeout_add ((guint)(MAX (deadline - now, 0) / 1000 + 1), on_timer, self);
}

static void
show_token (OriginState *state, const OriginContent *self)
{
  g_autofree char *name = g_strconcat (self->id, ".token", NULL);
  g_autofree char *path = origin_state_path (state, name);

  fprintf (stderr,
           "Token of channel %s, for encoders on other machines (\"Authorization: Bearer TOKEN\"; "
           "shown this once, kept in %s): %s\n",
           self->id, path, self->token);
}

/* A broadcast is kept whole, in a file; any other channel for a while, in memory. */
static PeerStore *
open_live_store (OriginContent *self, uint64_t first, uint64_t *window, GError **error)
{
  uint32_t chunk_size = peer_content_chunk_max (&self->content);
  uint32_t n = self->content.chunks_per_signature;
  g_autofree char *path = NULL;

  if (self->until == 0) {
    *window = MAX (self->station->window / chunk_size, 4 * (uint64_t)n);
    /* The open subtree is in the store as well, and is in nobody's window yet. */
    return peer_store_memory_new (chunk_size, *window + 2 * n);
  }
  if (peer_content_is_variable (&self->content) || self->content.method == PEER_METHOD_SIGN_ALL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 "channel %s: a broadcast that becomes a film needs --integrity unified-merkle and "
                 "chunks of one size",
                 self->id);
    return NULL;
  }
  *window = UINT64_MAX;
  self->from_start = first == 0;
  if (!self->from_start)
    g_message ("channel %s: the broadcast was broken off and goes on; what was before is with its "
               "peers only, and there will be no film of it here",
               self->id);
  path = broadcast_path (self, ".ts");
  return net_record_open (path, chunk_size, 0, error);
}

static bool
add_channel (OriginContent *self, GError **error)
{
  OriginStation *station = self->station;
  OriginPublisherOptions options = {.engine = net_udp_engine (station->udp)};
  PeerJoin join = {.content = &self->content, .source = true, .tracker_key = tracker_key (station)};
  g_autoptr (PeerKey) key = NULL;
  uint64_t reserved;
  bool made;

  self->content = station->channel;
  key = origin_state_channel (station->state, self->id, &self->content, &options.first, error);
  if (key == NULL)
    return false;
  if (!peer_content_is_variable (&self->content) &&
      self->content.chunk_size % MEDIA_TS_PACKET != 0) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                 "channel %s: its record says chunks of %u bytes, which are no whole packets",
                 self->id, self->content.chunk_size);
    return false;
  }
  if (options.first >= last_number (self)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                 "channel %s: all chunk numbers that its addressing has are signed; remove %s.key "
                 "and %s.channel from the state folder to begin a new channel, with --addressing "
                 "chunks64",
                 self->id, self->id, self->id);
    return false;
  }
  if (self->kind == ORIGIN_CHANNEL) {
    self->token = origin_state_token (station->state, self->id, &made, error);
    if (self->token == NULL)
      return false;
    if (made)
      show_token (station->state, self);
  }
  reserved = MIN (options.first + RESERVE, last_number (self));
  if (!origin_state_reserve (station->state, self->id, &self->content, reserved, error))
    return false;

  join.store = open_live_store (self, options.first, &join.discard_window, error);
  if (join.store == NULL)
    return false;
  self->swarm = peer_engine_join (options.engine, &join, error);
  if (self->swarm == NULL)
    return false;
  options.swarm = self->swarm;
  apply_limit (self);
  options.key = g_steal_pointer (&key);
  self->publisher = origin_publisher_new (&options);
  origin_publisher_set_limit (self->publisher, reserved);
  self->ingest = origin_ingest_new (self->publisher, options.first > 0);
  if (self->until > 0 && self->until < INT64_MAX)
    self->until_timer = g_idle_add (on_until, self);
  return begin_tracking (self, error);
}

bool
origin_content_is_taken (const OriginContent *self)
{
  return origin_ingest_is_connected (self->ingest) &&
         !origin_ingest_is_silent (self->ingest, net_udp_now (self->station->udp));
}

void
origin_content_begin (OriginContent *self)
{
  origin_ingest_begin (self->ingest, net_udp_now (self->station->udp));
  g_info ("channel %s: an encoder has come", self->id);
}

OriginIngestResult
origin_content_feed (OriginContent *self, const uint8_t *bytes, size_t n)
{
  OriginIngestResult result;

  if (self->ended) /* by its time or the operator, under an encoder that goes on */
    return ORIGIN_INGEST_FULL;
  result = origin_ingest_feed (self->ingest, net_udp_now (self->station->udp), bytes, n);
  net_udp_wake (self->station->udp);
  schedule (self);
  reserve_ahead (self);
  return result;
}

OriginIngestResult
origin_content_end (OriginContent *self)
{
  OriginIngestResult result;

  if (!origin_ingest_is_connected (self->ingest))
    return ORIGIN_INGEST_OK;
  result = origin_ingest_end (self->ingest, net_udp_now (self->station->udp));
  net_udp_wake (self->station->udp);
  g_info ("channel %s: the encoder has gone", self->id);
  return result;
}

/* --- files --- */

static bool
join_file (OriginContent *self, NetHashed *hashed, GError **error)
{
  PeerJoin join = {.content = &self->content,
                   .store = g_steal_pointer (&hashed->store),
                   .integrity = g_steal_pointer (&hashed->integrity),
                   .discard_window = UINT64_MAX,
                   .source = true,
                   .tracker_key = tracker_key (self->station)};

  self->content = hashed->content;
  self->swarm = peer_engine_join (net_udp_engine (self->station->udp), &join, error);
  if (self->swarm == NULL)
    return false;
  apply_limit (self);
  return begin_tracking (self, error);
}

static void
on_hashed (NetHashed *hashed, const GError *failure, gpointer data)
{
  OriginContent *self = data;
  g_autoptr (GError) error = failure != NULL ? g_error_copy (failure) : NULL;

  self->hashing = NULL;
  if (error == NULL && join_file (self, hashed, &error)) {
    g_message ("%s: seeding %s", self->id, self->source);
  } else {
    self->error = g_strdup (error->message);
    g_warning ("%s: not published: %s", self->id, error->message);
  }
}

static bool
add_file (OriginContent *self, GError **error)
{
  PeerContent wanted = self->station->file;
  g_autofree char *hashes_path = NULL;

  if (!g_file_test (self->source, G_FILE_TEST_IS_REGULAR) || access (self->source, R_OK) != 0) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s: %s is no file that can be read",
                 self->id, self->source);
    return false;
  }
  if (self->film.chunk_size > 0) {
    wanted.chunk_size = self->film.chunk_size;
    wanted.hash = self->film.hash;
    wanted.addressing = self->film.addressing;
  }
  hashes_path = origin_content_hashes_path (self);
  self->hashing = net_hasher_add (self->station->hasher, self->id, self->source, hashes_path,
                                  &wanted, on_hashed, self);
  return true;
}

/* --- the station --- */

static void
content_free (gpointer data)
{
  OriginContent *self = data;

  if (self->timer != 0)
    g_source_remove (self->timer);
  g_clear_handle_id (&self->until_timer, g_source_remove);
  g_clear_pointer (&self->tracker, net_tracker_free);
  g_clear_pointer (&self->ingest, origin_ingest_free);
  g_clear_pointer (&self->publisher, origin_publisher_free);
  if (self->swarm != NULL)
    peer_engine_leave (net_udp_engine (self->station->udp), self->swarm);
  g_free (self->id);
  g_free (self->name);
  g_free (self->source);
  g_free (self->token);
  g_free (self->error);
  g_free (self->source_error);
  g_free (self);
}

OriginStation *
origin_station_new (const OriginStationOptions *options, OriginState *state, GError **error)
{
  g_autoptr (OriginStation) self = g_new0 (OriginStation, 1);
  PeerEngineOptions engine;

  self->state = state;
  self->trackers = g_strdupv ((char **)options->trackers);
  self->has_tracker_key = origin_state_tracker (state, options->trackers, self->tracker_key);
  self->announce = g_array_ref (options->announce);
  self->allow_plain_tracker = options->allow_plain_tracker;
  if (options->credentials != NULL)
    self->credentials = net_credentials_ref (options->credentials);
  self->channel = options->channel;
  self->file = options->file;
  self->window = options->window;
  self->contents = g_ptr_array_new_with_free_func (content_free);
  self->hasher = net_hasher_new ();
  peer_engine_options_init (&engine);
  engine.max_per_ip = options->max_per_ip;
  engine.loss_tolerance = options->loss_tolerance;
  engine.benign = options->benign_network;
  engine.no_exchange = options->no_peer_exchange;
  net_peering_options (options->peering, &engine);
  self->udp = net_udp_new (options->peer_address, &engine, NULL, NULL, error);
  if (self->udp == NULL)
    return NULL;
  self->status = net_status_new (self->udp, options->peering);
  return g_steal_pointer (&self);
}

/* A thread that writes a record has borrowed what it works on. */
static void
wait_for_records (OriginStation *self)
{
  while (self->n_records > 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
sign_off (OriginContent *self)
{
  OriginPublisherStats stats;
  g_autoptr (GError) error = NULL;

  if (self->publisher == NULL || self->ended)
    return;
  origin_content_end (self);
  origin_publisher_flush (self->publisher, net_udp_now (self->station->udp));
  origin_publisher_stats (self->publisher, &stats);
  /* Nothing more is signed, so what is left of the reservation is given back. */
  if (!origin_state_reserve (self->station->state, self->id, &self->content, stats.next, &error))
    g_message ("channel %s: %s; it will go on a little farther", self->id, error->message);
}

void
origin_station_free (OriginStation *self)
{
  wait_for_records (self);
  for (guint i = 0; i < self->contents->len; i++)
    sign_off (g_ptr_array_index (self->contents, i));
  net_hasher_free (self->hasher);
  g_ptr_array_unref (self->contents);
  g_clear_pointer (&self->status, net_status_free);
  if (self->udp != NULL)
    net_udp_free (self->udp);
  net_tracker_flush (TRACKER_TIMEOUT_MS);
  g_array_unref (self->announce);
  g_strfreev (self->trackers);
  net_credentials_unref (self->credentials);
  g_free (self);
}

bool
origin_station_add (OriginStation *self, const OriginEntry *entry, GError **error)
{
  OriginContent *content;
  bool ok;

  if (origin_station_find (self, entry->id) != NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS, "the ID \"%s\" is used twice", entry->id);
    return false;
  }
  content = g_new0 (OriginContent, 1);
  content->station = self;
  content->kind = entry->kind;
  content->id = g_strdup (entry->id);
  content->name = g_strdup (entry->name);
  content->source = g_strdup (entry->source);
  content->until = entry->until;
  if (entry->kind != ORIGIN_FILE && has_ended_before (content)) {
    ok = add_ended (content, error);
    content_free (content);
    return ok;
  }
  ok = entry->kind == ORIGIN_FILE ? add_file (content, error) : add_channel (content, error);
  if (ok)
    g_ptr_array_add (self->contents, content);
  else
    content_free (content);
  return ok;
}

OriginContent *
origin_station_find (OriginStation *self, const char *id)
{
  for (guint i = 0; i < self->contents->len; i++) {
    OriginContent *content = g_ptr_array_index (self->contents, i);

    if (strcmp (content->id, id) == 0)
      return content;
  }
  return NULL;
}

GPtrArray *
origin_station_contents (OriginStation *self)
{
  return self->contents;
}

NetUdp *
origin_station_udp (OriginStation *self)
{
  return self->udp;
}

/* --- what there is to tell --- */

const char *
origin_content_id (const OriginContent *self)
{
  return self->id;
}

const char *
origin_content_name (const OriginContent *self)
{
  return self->name;
}

const char *
origin_content_source (const OriginContent *self)
{
  return self->source;
}

OriginKind
origin_content_kind (const OriginContent *self)
{
  return self->kind;
}

const char *
origin_content_token (const OriginContent *self)
{
  return self->token;
}

const char *
origin_content_state (const OriginContent *self)
{
  OriginPublisherStats stats;

  if (self->error != NULL)
    return "failed";
  if (self->kind == ORIGIN_FILE)
    return self->swarm != NULL ? "seeding" : "hashing";
  if (self->ended)
    return "ended";
  origin_publisher_stats (self->publisher, &stats);
  if (stats.stopped || stats.next >= origin_publisher_limit (self->publisher))
    return "stopped";
  return origin_ingest_is_connected (self->ingest) ? "live" : "idle";
}

char *
origin_content_link (const OriginContent *self, const char *fallback)
{
  g_autoptr (PeerLink) link = NULL;

  if (self->swarm == NULL)
    return NULL;
  link = peer_link_new ();
  link->content = self->content;
  for (char **uri = self->station->trackers; *uri != NULL; uri++)
    g_ptr_array_add (link->trackers, g_strdup (*uri));
  link->has_tracker_key = self->station->has_tracker_key;
  memcpy (link->tracker_key, self->station->tracker_key, sizeof link->tracker_key);
  g_array_append_vals (link->peers, self->station->announce->data, self->station->announce->len);
  if (fallback != NULL)
    g_ptr_array_add (link->fallbacks, g_strdup (fallback));
  return peer_link_to_string (link);
}

char *
origin_content_hashes_path (const OriginContent *self)
{
  g_autofree char *name = g_strconcat (self->id, ".hashes", NULL);

  return origin_state_path (self->station->state, name);
}

void
origin_content_set_source_error (OriginContent *self, const char *why)
{
  g_free (self->source_error);
  self->source_error = g_strdup (why);
}

void
origin_content_count_refused (OriginContent *self)
{
  self->encoders_refused++;
}

void
origin_content_stats (OriginContent *self, OriginContentStats *out)
{
  NetTrackerStatus tracker;

  memset (out, 0, sizeof *out);
  if (self->ingest != NULL) {
    out->connected = origin_ingest_is_connected (self->ingest);
    origin_ingest_stats (self->ingest, net_udp_now (self->station->udp), &out->ingest);
    origin_publisher_stats (self->publisher, &out->publisher);
  }
  if (self->swarm != NULL)
    peer_swarm_stats (self->swarm, &out->swarm);
  out->encoders_refused = self->encoders_refused;
  if (self->hashing != NULL)
    out->hashed = net_hashing_progress (self->hashing);
  else
    out->hashed = self->kind == ORIGIN_FILE && self->swarm != NULL ? 1 : 0;
  out->error = self->error;
  out->source_error = self->source_error;
  if (self->tracker != NULL) {
    net_tracker_status (self->tracker, &tracker);
    out->registered = tracker.joined;
    out->tracker_error = tracker.last_error;
  }
}
