/* SPDX-License-Identifier: Apache-2.0 */
/* Three ways for bytes, by what the link names and where they go:
 *
 *   live                     ring in memory -> playout -> output, from a picture on
 *   live, to be kept         the store is the file, from chunk 0 on; when the broadcast has ended it
 *                            is given on as content on demand (RFC 7574, section 6.1.2)
 *   on demand, to a file     the store is the file: any order, and what is there already counts
 *   on demand, to a pipe     memory -> output, in order; the window follows what is written
 *
 * Chunks of variable size have no place in a file before all that precede them are there, so they
 * go to a file as they go to a pipe.
 *
 * A file is as long as its content, so its length must be known before it is made. If the link does
 * not say it, the swarm is joined with a small store first, for the peak hashes and the last chunk
 * alone (RFC 7574, section 5.6), then left, and joined again with the file. */
#include "peer/cli/session.h"

#include "peer/cli/output.h"
#include "peer/cli/start.h"
#include "peer/net/file.h"
#include "peer/net/record.h"
#include "peer/net/status.h"
#include "peer/net/tracker.h"
#include "peer/net/udp.h"
#include "peer/playout.h"

#include <string.h>

#define LIVE_BYTES (32 << 20)                      /* kept for others: a minute at 4 Mbit/s */
#define PIPE_BYTES (64 << 20)                      /* likewise, of a file that goes to a pipe */
#define PIPE_WINDOW (4 << 20)                      /* bytes asked for ahead of what is written */
#define SIZE_CHUNKS 64                             /* of the store that only learns a size */
#define FAR_AWAY (INT64_C (3600) * G_USEC_PER_SEC) /* no chunk of it is more urgent than another */
#define UNKNOWN_END (UINT64_C (1) << 32) /* chunks: what may be wanted before the size is known */
#define TICK_MS 100

struct CliSession {
  const CliOptions *options;
  CliSessionFunc func;
  gpointer data;
  PeerContent content;
  NetUdp *udp;
  NetStatus *status;
  PeerSwarm *swarm;
  NetTracker *tracker;
  PeerPlayout *playout;
  CliOutput *output; /* NULL = nobody reads */
  CliStart *start;   /* a live transport stream of which nothing has been written; else NULL */
  bool live, sizing, complete, ended;
  bool keeping;         /* live: the whole broadcast */
  uint64_t n_broadcast; /* chunks of it, when it has ended; else 0 */
  PeerSwarm *film;      /* what it is then */
  NetTracker *film_tracker;
  bool filing;       /* on demand, and the file is the store */
  PeerRange run;     /* live: what playout has handed on and the output has not taken */
  uint64_t n_chunks; /* on demand; 0 = not known yet */
  uint64_t position; /* on demand, to a pipe: next chunk to write */
  uint64_t wanted;   /* likewise: where the window begins that the engine knows */
  uint64_t skipped, output_bytes;
  guint tick, pump_source;
};

static void pump (CliSession *self);
static NetTracker *new_tracker (CliSession *self, const PeerContent *content, bool seeder,
                                NetTrackerPeersFunc func, GError **error);
static bool join (CliSession *self, GError **error);

static void
limit_swarm (CliSession *self, PeerSwarm *swarm)
{
  net_peering_limit_swarm (self->options->peering, net_udp_engine (self->udp), swarm, NULL);
}

void
cli_session_limit (CliSession *self)
{
  net_peering_limit_engine (self->options->peering, net_udp_engine (self->udp));
  net_status_set (self->status, self->options->peering);
  if (self->swarm != NULL)
    limit_swarm (self, self->swarm);
  if (self->film != NULL)
    limit_swarm (self, self->film);
  net_udp_wake (self->udp);
}

static void
end (CliSession *self, CliSessionEnd how, const GError *error)
{
  if (self->ended)
    return;
  self->ended = true;
  self->func (how, error, self->data);
}

/* What was asked for is done. */
static void
complete (CliSession *self)
{
  if (self->complete)
    return;
  self->complete = true;
  if (!self->options->seed)
    end (self, CLI_SESSION_DONE, NULL);
  else
    g_message ("all is here; seeding until stopped");
}

/* Nobody reads any more, which is how a player ends. */
static void
output_closed (CliSession *self)
{
  g_clear_pointer (&self->output, cli_output_free);
  if (!self->options->seed)
    end (self, CLI_SESSION_DONE, NULL);
  else
    g_message ("nobody reads standard output any more; seeding until stopped");
}

static bool
flush (CliSession *self)
{
  g_autoptr (GError) error = NULL;
  bool ok = cli_output_flush (self->output, &error);
  self->output_bytes = cli_output_written (self->output);
  if (ok)
    return !cli_output_is_pending (self->output);
  if (error != NULL)
    end (self, CLI_SESSION_FAILED, error);
  else
    output_closed (self);
  return false;
}

typedef enum { WRITE_OK, WRITE_AGAIN, WRITE_FULL } WriteResult;

/* Holds a chunk of n bytes back until a picture can start: out becomes the tables and all from the
 * picture on. The bytes that are then in out. */
static size_t
begin_output (CliSession *self, uint8_t *out, size_t n, size_t room)
{
  g_autoptr (GBytes) start = cli_start_feed (self->start, out, n, net_udp_now (self->udp));
  if (start == NULL)
    return 0;
  size_t size;
  const uint8_t *bytes = g_bytes_get_data (start, &size);
  size = MIN (size, room); /* all of it, since nothing has been written yet */
  if (size > 0)
    memcpy (out, bytes, size);
  g_clear_pointer (&self->start, cli_start_free);
  return size;
}

/* One chunk into the output's buffer. AGAIN: the store has not got it at hand. */
static WriteResult
write_chunk (CliSession *self, uint64_t chunk)
{
  size_t room, n;
  uint8_t *out = cli_output_room (self->output, &room);
  if (room < peer_content_chunk_max (&self->content))
    return WRITE_FULL;
  PeerStore *store = peer_swarm_store (self->swarm);
  if (store->class->read (store, chunk, out, room, &n) != PEER_STORE_OK)
    return WRITE_AGAIN;
  if (self->start != NULL)
    n = begin_output (self, out, n, room);
  cli_output_add (self->output, n);
  return WRITE_OK;
}

static void
pump_live (CliSession *self)
{
  int64_t now = net_udp_now (self->udp);
  const PeerChunks *have = peer_swarm_chunks (self->swarm);
  while (self->output != NULL && flush (self)) {
    if (peer_range_is_empty (self->run)) {
      uint64_t skipped;
      self->run = peer_playout_next (self->playout, now, have, &skipped);
      self->skipped += skipped;
      if (skipped > 0 && self->start != NULL)
        cli_start_gap (self->start);
      if (peer_range_is_empty (self->run) && skipped == 0)
        break;
    }
    while (!peer_range_is_empty (self->run)) {
      WriteResult result = write_chunk (self, self->run.first);
      if (result == WRITE_FULL)
        break;
      if (result == WRITE_AGAIN) { /* it fell out of the ring while the reader did not read */
        self->skipped++;
        if (self->start != NULL)
          cli_start_gap (self->start);
      }
      self->run.first++;
    }
  }
  if (self->output == NULL) { /* keeps the stream coming, for others */
    uint64_t skipped;
    while (!peer_range_is_empty (peer_playout_next (self->playout, now, have, &skipped)) ||
           skipped > 0)
      ;
  }
  PeerWant want;
  if (peer_playout_want (self->playout, now, &want))
    peer_engine_want (net_udp_engine (self->udp), self->swarm, &want, 1);
}

static void
want_file (CliSession *self, PeerRange window, bool in_order)
{
  PeerWant want = {.window = window, .deadline = net_udp_now (self->udp)};
  if (!in_order)
    want.deadline += FAR_AWAY;
  peer_engine_want (net_udp_engine (self->udp), self->swarm, &want, 1);
}

static uint64_t
last_chunk_end (const CliSession *self)
{
  return self->n_chunks > 0 ? self->n_chunks : UNKNOWN_END;
}

static void
want_ahead (CliSession *self)
{
  uint64_t window = PIPE_WINDOW / peer_content_chunk_max (&self->content);
  if (self->position < self->wanted + window / 4 && self->wanted > 0)
    return;
  self->wanted = MAX (self->position, 1);
  PeerRange ahead = {self->position, MIN (self->position + window, last_chunk_end (self))};
  want_file (self, ahead, true);
}

static void
pump_pipe (CliSession *self)
{
  const PeerChunks *have = peer_swarm_chunks (self->swarm);
  while (self->output != NULL && flush (self)) {
    PeerRange run = peer_chunks_around (have, self->position);
    WriteResult result = WRITE_OK;
    uint64_t before = self->position;
    while (result == WRITE_OK && self->position < run.end) {
      result = write_chunk (self, self->position);
      self->position += result == WRITE_OK;
    }
    if (self->position == before)
      break;
  }
  if (self->output != NULL && self->n_chunks > 0 && self->position == self->n_chunks &&
      !cli_output_is_pending (self->output))
    complete (self);
  want_ahead (self);
}

static void
pump_file (CliSession *self)
{
  if (self->n_chunks > 0 && peer_chunks_count (peer_swarm_chunks (self->swarm)) == self->n_chunks)
    complete (self);
}

/* The broadcast has ended and all of it is here: the static swarm that it has become, with the file
 * as its store and the tree as it is. The live swarm goes on beside it, for who lacks something. */
static bool
join_film (CliSession *self, PeerLink *link, GError **error)
{
  PeerHashStore *hashes = NULL;
  const PeerIntegrity *live = peer_swarm_integrity (self->swarm);
  PeerJoin joining = {.content = &link->content, .discard_window = UINT64_MAX};
  if (!peer_integrity_final (live, &link->content)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "the broadcast did not begin with chunk 0");
    return false;
  }
  net_record_finish (peer_swarm_store (self->swarm));
  joining.store = net_file_open (self->options->output, &link->content, &hashes, error);
  if (joining.store == NULL)
    return false;
  joining.integrity = peer_integrity_settle (live, &link->content, hashes, error);
  if (joining.integrity == NULL) {
    peer_store_free (joining.store);
    return false;
  }
  net_file_adopt (joining.store);
  self->film = peer_engine_join (net_udp_engine (self->udp), &joining, error);
  if (self->film != NULL)
    limit_swarm (self, self->film);
  return self->film != NULL;
}

static void
on_film_peers (const PeerAddress *peers, size_t n, gpointer data)
{
  CliSession *self = data;
  for (size_t i = 0; i < n && self->film != NULL; i++)
    peer_engine_add_peer (net_udp_engine (self->udp), self->film, &peers[i]);
  net_udp_wake (self->udp);
}

static void
settle (CliSession *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (PeerLink) link = peer_link_new ();
  if (!join_film (self, link, &error)) {
    end (self, CLI_SESSION_FAILED, error);
    return;
  }
  on_film_peers ((const PeerAddress *)(void *)self->options->peers->data, self->options->peers->len,
                 self);
  for (guint i = 0; i < self->options->trackers->len; i++)
    g_ptr_array_add (link->trackers, g_strdup (self->options->trackers->pdata[i]));
  g_autofree char *text = peer_link_to_string (link);
  g_message ("the broadcast is over; it is on demand as %s", text);
  if (self->options->seed && link->trackers->len > 0) {
    self->film_tracker = new_tracker (self, &link->content, true, on_film_peers, &error);
    if (self->film_tracker == NULL)
      g_message ("no tracker: %s", error->message);
  }
  complete (self);
}

static void
pump_kept (CliSession *self)
{
  if (self->film == NULL && self->n_broadcast > 0 &&
      peer_chunks_count (peer_swarm_chunks (self->swarm)) == self->n_broadcast)
    settle (self);
}

static void
pump (CliSession *self)
{
  if (self->ended || self->swarm == NULL || self->sizing)
    return;
  if (self->keeping)
    pump_kept (self);
  else if (self->live)
    pump_live (self);
  else if (self->filing)
    pump_file (self);
  else
    pump_pipe (self);
}

static gboolean
pump_now (gpointer data)
{
  CliSession *self = data;
  self->pump_source = 0;
  pump (self);
  if (!self->ended)
    net_udp_wake (self->udp);
  return G_SOURCE_REMOVE;
}

/* Once for all events of a turn. */
static void
pump_soon (CliSession *self)
{
  if (self->pump_source == 0 && !self->ended)
    self->pump_source = g_idle_add_full (G_PRIORITY_DEFAULT, pump_now, self, NULL);
}

static void
output_ready (gpointer data)
{
  pump_soon (data);
}

static void
learn_size (CliSession *self, const PeerEvent *event)
{
  self->n_chunks = event->chunks.end;
  if (event->bytes > 0)
    self->content.length = event->bytes;
  if (self->sizing && event->bytes == 0)
    want_file (self, (PeerRange){self->n_chunks - 1, self->n_chunks}, true);
  else if (!self->sizing && !self->filing)
    self->wanted = 0; /* the window may end earlier than it was told to */
  pump_soon (self);
}

static void
fail_to_keep (CliSession *self)
{
  g_autoptr (GError) error =
      g_error_new (G_IO_ERROR, G_IO_ERROR_FAILED, "%s: what came could not be kept%s",
                   self->options->output != NULL ? self->options->output : "memory",
                   self->filing ? "; run it again to go on from there" : "");
  end (self, CLI_SESSION_FAILED, error);
}

static void
on_event (const PeerEvent *event, gpointer data)
{
  CliSession *self = data;
  if (event->swarm == self->film && event->type == PEER_EVENT_NEED_PEERS &&
      self->film_tracker != NULL)
    net_tracker_find (self->film_tracker);
  if (event->swarm != self->swarm)
    return;
  switch (event->type) {
  case PEER_EVENT_LATE:
    if (self->tracker != NULL)
      net_tracker_late (self->tracker, peer_range_size (event->chunks));
    pump_soon (self);
    break;
  case PEER_EVENT_CHUNKS:
  case PEER_EVENT_LOST:
    pump_soon (self);
    break;
  case PEER_EVENT_EDGE:
    if (self->playout != NULL)
      peer_playout_edge (self->playout, net_udp_now (self->udp), event->chunks, event->time);
    if (self->keeping && event->chunks.end > self->n_chunks) {
      self->n_chunks = event->chunks.end;
      want_file (self, (PeerRange){0, self->n_chunks}, false);
    }
    pump_soon (self);
    break;
  case PEER_EVENT_SIZE:
    learn_size (self, event);
    break;
  case PEER_EVENT_END:
    self->n_broadcast = event->chunks.end;
    if (self->keeping)
      want_file (self, event->chunks, false);
    pump_soon (self);
    break;
  case PEER_EVENT_UNKEPT:
    fail_to_keep (self);
    break;
  case PEER_EVENT_NEED_PEERS:
    if (self->tracker != NULL)
      net_tracker_find (self->tracker);
    break;
  case PEER_EVENT_BAD_PEER: {
    g_autofree char *address = peer_address_to_string (&event->address);
    g_info ("%s sent what the hashes deny, and is left", address);
    break;
  }
  }
}

static void
add_peers (CliSession *self, const PeerAddress *peers, size_t n)
{
  for (size_t i = 0; i < n; i++)
    peer_engine_add_peer (net_udp_engine (self->udp), self->swarm, &peers[i]);
  net_udp_wake (self->udp);
}

static void
on_peers (const PeerAddress *peers, size_t n, gpointer data)
{
  CliSession *self = data;
  g_info ("the tracker named %zu peers", n);
  add_peers (self, peers, n);
}

static void
on_certificate (const PeerAddress *address, const uint8_t *bytes, size_t n, gpointer data)
{
  CliSession *self = data;
  if (self->swarm == NULL)
    return;
  peer_engine_add_certificate (net_udp_engine (self->udp), self->swarm, address, bytes, n);
  net_udp_wake (self->udp);
}

/* The length is known now: the same swarm again, with the file as its store. */
static void
rejoin (CliSession *self)
{
  g_autoptr (GError) error = NULL;
  g_info ("the content has %" G_GUINT64_FORMAT " bytes", self->content.length);
  peer_engine_leave (net_udp_engine (self->udp), self->swarm);
  self->swarm = NULL;
  self->sizing = false;
  if (!join (self, &error)) {
    end (self, CLI_SESSION_FAILED, error);
    return;
  }
  if (self->tracker != NULL)
    net_tracker_find (self->tracker);
}

static gboolean
tick (gpointer data)
{
  CliSession *self = data;
  if (self->sizing && self->content.length > 0)
    rejoin (self);
  if (self->ended)
    return G_SOURCE_CONTINUE;
  pump_soon (self);
  return G_SOURCE_CONTINUE;
}

static PeerStore *
open_store (CliSession *self, PeerHashStore **hashes, GError **error)
{
  size_t bytes = self->live ? LIVE_BYTES : PIPE_BYTES;
  if (self->keeping)
    return net_record_open (self->options->output, self->content.chunk_size, 0, error);
  uint32_t chunk_max = peer_content_chunk_max (&self->content);
  if (!self->filing)
    return peer_store_memory_new (chunk_max, bytes / chunk_max);
  if (self->sizing)
    return peer_store_memory_new (chunk_max, SIZE_CHUNKS);
  return net_file_open (self->options->output, &self->content, hashes, error);
}

static bool
join (CliSession *self, GError **error)
{
  PeerHashStore *hashes = NULL;
  const PeerLink *link = self->options->link;
  PeerJoin joining = {.content = &self->content,
                      .discard_window = UINT64_MAX,
                      .tracker_key = link->has_tracker_key ? link->tracker_key : NULL};
  joining.store = open_store (self, &hashes, error);
  if (joining.store == NULL)
    return false;
  if (hashes != NULL) {
    joining.integrity = peer_integrity_new (&self->content, 0, hashes, error);
    if (joining.integrity == NULL) {
      peer_store_free (joining.store);
      return false;
    }
  }
  if (self->live && !self->keeping)
    joining.discard_window = LIVE_BYTES / peer_content_chunk_max (&self->content);
  self->swarm = peer_engine_join (net_udp_engine (self->udp), &joining, error);
  if (self->swarm == NULL)
    return false;
  limit_swarm (self, self->swarm);
  self->n_chunks = peer_content_n_chunks (&self->content);
  add_peers (self, (const PeerAddress *)(void *)self->options->peers->data,
             self->options->peers->len);
  if (self->sizing)
    want_file (self, (PeerRange){0, 1}, true); /* its peaks come with it */
  else if (self->filing)
    want_file (self, (PeerRange){0, self->n_chunks}, false);
  pump_soon (self);
  return true;
}

static const PeerSwarm *
our_swarm (uint64_t *uploaded_before, gpointer data)
{
  return ((const CliSession *)data)->swarm;
}

static const PeerSwarm *
our_film (uint64_t *uploaded_before, gpointer data)
{
  return ((const CliSession *)data)->film;
}

/* All trackers of the options, for one swarm. */
static NetTracker *
new_tracker (CliSession *self, const PeerContent *content, bool seeder, NetTrackerPeersFunc func,
             GError **error)
{
  g_autoptr (GPtrArray) uris = g_ptr_array_new ();
  for (guint i = 0; i < self->options->trackers->len; i++)
    g_ptr_array_add (uris, self->options->trackers->pdata[i]);
  g_ptr_array_add (uris, NULL);
  g_autofree char *swarm_id = peer_content_swarm_id_hex (content);
  bool certified = self->options->link->has_tracker_key && content == &self->content;
  NetTrackerOptions options = {.uris = (const char *const *)uris->pdata,
                               .swarm_id = swarm_id,
                               .seeder = seeder,
                               .port = net_udp_port (self->udp),
                               .allow_plain = self->options->allow_plain_tracker,
                               .credentials = self->options->credentials,
                               .certificate = certified ? on_certificate : NULL,
                               .engine = net_udp_engine (self->udp),
                               .swarm = content == &self->content ? our_swarm : our_film};
  return net_tracker_new (&options, func, self, error);
}

static bool
start_tracker (CliSession *self, GError **error)
{
  if (self->options->trackers->len == 0)
    return true;
  bool whole = self->n_chunks > 0 && !self->sizing &&
               peer_chunks_count (peer_swarm_chunks (self->swarm)) == self->n_chunks;
  self->tracker = new_tracker (self, &self->content, whole, on_peers, error);
  if (self->tracker != NULL)
    return true;
  if (self->options->peers->len == 0)
    return false;
  /* peers to begin with are enough, and know others */
  g_message ("no tracker: %s", error != NULL && *error != NULL ? (*error)->message : "none works");
  g_clear_error (error);
  return true;
}

static bool
start (CliSession *self, GError **error)
{
  const CliOptions *options = self->options;
  PeerEngineOptions engine;
  cli_options_engine (options, &engine);
  self->udp = net_udp_new (options->listen, &engine, on_event, self, error);
  if (self->udp == NULL)
    return false;
  self->status = net_status_new (self->udp, options->peering);
  self->filing =
      !self->live && options->output != NULL && !peer_content_is_variable (&self->content);
  if (!self->filing && !self->keeping) {
    g_autoptr (GError) local = NULL;
    self->output = cli_output_new (options->output, output_ready, self, &local);
    if (self->output == NULL && !(options->seed && options->output == NULL)) {
      g_propagate_error (error, g_steal_pointer (&local));
      return false; /* with --seed alone, nobody needs to read */
    }
  }
  self->sizing = self->filing && self->content.length == 0;
  return join (self, error) && start_tracker (self, error);
}

CliSession *
cli_session_new (const CliOptions *options, CliSessionFunc func, gpointer data, GError **error)
{
  g_autoptr (CliSession) self = g_new0 (CliSession, 1);
  self->options = options;
  self->func = func;
  self->data = data;
  self->content = options->link->content;
  self->live = peer_content_is_live (&self->content);
  self->keeping = options->keep;
  if (self->live && !self->keeping) {
    PeerPlayoutOptions playout = {.chunk_size = peer_content_chunk_max (&self->content),
                                  .chunks_per_signature = self->content.chunks_per_signature,
                                  .lookback = PEER_PLAYOUT_LOOKBACK,
                                  .max_lag = PEER_PLAYOUT_MAX_LAG};
    self->playout = peer_playout_new (&playout);
    if (g_str_equal (options->link->media_type, "video/mp2t"))
      self->start = cli_start_new ();
  }
  if (!start (self, error))
    return NULL;
  self->tick = g_timeout_add (TICK_MS, tick, self);
  return g_steal_pointer (&self);
}

void
cli_session_free (CliSession *self)
{
  if (self == NULL)
    return;
  self->ended = true;
  if (self->tick > 0)
    g_source_remove (self->tick);
  if (self->pump_source > 0)
    g_source_remove (self->pump_source);
  g_clear_pointer (&self->tracker, net_tracker_free);
  g_clear_pointer (&self->film_tracker, net_tracker_free);
  if (self->film != NULL)
    peer_engine_leave (net_udp_engine (self->udp), self->film);
  self->film = NULL;
  if (self->swarm != NULL)
    peer_engine_leave (net_udp_engine (self->udp), self->swarm);
  self->swarm = NULL;
  g_clear_pointer (&self->status, net_status_free);
  g_clear_pointer (&self->udp, net_udp_free);
  g_clear_pointer (&self->playout, peer_playout_free);
  g_clear_pointer (&self->output, cli_output_free);
  g_clear_pointer (&self->start, cli_start_free);
  g_free (self);
}

void
cli_session_progress (const CliSession *self, CliProgress *out)
{
  *out = (CliProgress){.live = self->live,
                       .complete = self->complete,
                       .bytes = self->output_bytes,
                       .length = self->content.length,
                       .skipped = self->skipped};
  if (self->tracker != NULL) {
    NetTrackerStatus status;
    net_tracker_status (self->tracker, &status);
    out->tracker_error = status.joined ? NULL : status.last_error;
  }
  if (self->swarm == NULL)
    return;
  PeerSwarmStats stats;
  peer_swarm_stats (self->swarm, &stats);
  out->down = stats.download_rate;
  out->up = stats.upload_rate;
  out->uploaded = stats.uploaded;
  out->peers = stats.channels;
  if (self->keeping)
    out->bytes = peer_chunks_count (peer_swarm_chunks (self->swarm)) * self->content.chunk_size;
  if (self->film != NULL) {
    peer_swarm_stats (self->film, &stats);
    out->up += stats.upload_rate;
    out->uploaded += stats.uploaded;
    out->peers += stats.channels;
  }
  if (self->filing && self->n_chunks > 0) {
    uint64_t chunks = peer_chunks_count (peer_swarm_chunks (self->swarm));
    out->bytes = MIN (chunks * self->content.chunk_size, MAX (self->content.length, 1));
  }
}

NetUdp *
cli_session_udp (const CliSession *self)
{
  return self->udp;
}
