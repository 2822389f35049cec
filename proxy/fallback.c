/* SPDX-License-Identifier: Apache-2.0 */
/* As long as the swarm is late (proxy/late.h), what a reader needs next and has not got is fetched in
 * runs: first those hashes of the run that nothing believed can stand for, from the tree that lies beside
 * the content (URL.hashes, laid out as in peer/net/tree.h), then its bytes. Each chunk is given to the
 * engine as soon as it is whole. The swarm is asked for the same and for what is behind it meanwhile: who
 * comes first serves, and where the swarm is ahead nothing is left to fetch here. */
#include "proxy/fallback.h"
#include "peer/net/ranges.h"
#include "peer/net/tree.h"
#include "proxy/late.h"
#include <string.h>

enum {
  LEAST_RUN = 64 * 1024, /* bytes: soon there */
  MOST_RUN = 256 * 1024, /* bytes: so the way back and forth costs little */
  RUN_CHUNKS = 1024,
  SPAN_GAP = 32 * 1024, /* bytes of hashes that are rather fetched in vain than asked around */
  SECONDS = 20,
  REST = 2 * 1000 * 1000, /* us without requests after a failure... */
  REST_DOUBLINGS = 7,     /* ...and the next ones */
};

typedef struct {
  char *content, *hashes; /* URLs */
  bool is_useless;        /* it lies, or can never serve */
  bool has_no_hashes;     /* then only what peers have told the hashes of can be had */
  unsigned failures;      /* in a row */
  int64_t rest_until;     /* us */
} Server;

typedef struct {
  uint64_t first, last; /* bins */
} Span;

struct ProxyFallback {
  ProxyFallbackOptions with;
  char *id, *from, *error;
  size_t hash_size;
  NetRanges *ranges;
  GPtrArray *servers; /* Server; who has failed comes last */
  ProxyLate late;
  int64_t rest_until; /* us: the disk is full */
  uint64_t bytes, refused, failures;

  /* what is under way */
  Server *server;
  PeerRange run;      /* chunks that are still to come; empty = none */
  uint64_t length;    /* bytes of the next run */
  GArray *spans;      /* Span: to be fetched, the first at the end */
  bool is_content;    /* of the run, and not a span */
  GHashTable *hashes; /* of the run: bin -> hash */
  GByteArray *left;   /* came, and is not a whole chunk, or hash, yet */
};

static void next (ProxyFallback *self);

/* --- servers --- */

static void
server_free (gpointer data)
{
  g_free (((Server *)data)->content);
  g_free (((Server *)data)->hashes);
  g_free (data);
}

/* ".hashes" belongs to the path. */
static char *
hashes_beside (const char *uri)
{
  size_t path = strcspn (uri, "?#");
  return g_strdup_printf ("%.*s.hashes%s", (int)path, uri, uri + path);
}

static void
stop (ProxyFallback *self)
{
  net_ranges_cancel (self->ranges);
  self->run = (PeerRange){0, 0};
  g_byte_array_set_size (self->left, 0);
}

static void
note_error (ProxyFallback *self, const char *why)
{
  g_free (self->error);
  self->error = g_strdup_printf ("%s: %s", self->server->content, why);
}

/* For as long as the film is in play. */
static void
leave_alone (ProxyFallback *self, const char *why)
{
  note_error (self, why);
  g_message ("channel %s: the fall-back %s is left alone: %s", self->id, self->server->content,
             why);
  self->server->is_useless = true;
  stop (self);
}

static void
rest (ProxyFallback *self, const char *why)
{
  Server *server = self->server;
  note_error (self, why);
  if (server->failures == 0)
    g_message ("channel %s: the fall-back %s has failed: %s", self->id, server->content, why);
  server->rest_until =
      g_get_monotonic_time () + ((int64_t)REST << MIN (server->failures, REST_DOUBLINGS));
  server->failures++;
  guint place;
  if (g_ptr_array_find (self->servers, server, &place))
    g_ptr_array_add (self->servers, g_ptr_array_steal_index (self->servers, place));
  stop (self);
}

/* --- what comes --- */

static size_t
size_of_chunk (const ProxyFallback *self, uint64_t chunk)
{
  const PeerContent *content = &self->with.link->content;
  return (size_t)MIN (content->chunk_size, content->length - chunk * content->chunk_size);
}

static void
offer (ProxyFallback *self, uint64_t chunk, const uint8_t *bytes, size_t n)
{
  PeerSwarm *swarm = self->with.swarm;
  PeerRange lacks[PEER_PROOF_MAX];
  PeerPendingHashes pending = {.n = 0};
  if (peer_chunks_has (peer_swarm_chunks (swarm), chunk))
    return;
  int n_lacks = peer_integrity_lacks (peer_swarm_integrity (swarm), chunk, lacks);
  for (int i = 0; i < n_lacks; i++) {
    uint64_t bin = peer_bin_from_range (lacks[i]);
    const uint8_t *hash = g_hash_table_lookup (self->hashes, &bin);
    if (hash != NULL)
      peer_pending_hashes_add (&pending, lacks[i], hash, self->hash_size);
  }
  PeerIntegrityResult result =
      peer_engine_offer (net_udp_engine (self->with.udp), swarm, &pending, chunk, bytes, n);
  if (result == PEER_INTEGRITY_MISSING || result == PEER_INTEGRITY_BAD) {
    self->refused++;
    leave_alone (self, "what it sends does not fit the hash tree");
  } else if (peer_chunks_has (peer_swarm_chunks (swarm), chunk)) {
    self->bytes += n;
  } else {
    self->rest_until = g_get_monotonic_time () + REST; /* the engine has told of it */
    stop (self);
  }
}

static void
take_hashes (ProxyFallback *self)
{
  Span *span = &g_array_index (self->spans, Span, self->spans->len - 1);
  guint used = 0;
  for (; self->left->len - used >= self->hash_size; used += (guint)self->hash_size) {
    g_hash_table_replace (self->hashes, g_memdup2 (&span->first, sizeof span->first),
                          g_memdup2 (self->left->data + used, self->hash_size));
    span->first++;
  }
  g_byte_array_remove_range (self->left, 0, used);
}

static void
take_chunks (ProxyFallback *self)
{
  guint used = 0;
  while (!peer_range_is_empty (self->run)) {
    size_t n = size_of_chunk (self, self->run.first);
    if (self->left->len - used < n)
      break;
    uint64_t chunk = self->run.first++;
    offer (self, chunk, self->left->data + used, n);
    used += (guint)n;
  }
  g_byte_array_remove_range (self->left, 0, MIN (used, self->left->len));
  net_udp_wake (self->with.udp);
}

static void
on_bytes (const uint8_t *bytes, size_t n, gpointer data)
{
  ProxyFallback *self = data;
  g_byte_array_append (self->left, bytes, (guint)n);
  if (self->is_content)
    take_chunks (self);
  else
    take_hashes (self);
  if (!net_ranges_is_busy (self->ranges))
    next (self); /* something was wrong with it */
}

static void
on_done (NetRangesResult result, const char *why, gpointer data)
{
  ProxyFallback *self = data;
  self->failures += result != NET_RANGES_WHOLE;
  switch (result) {
  case NET_RANGES_WHOLE:
    self->server->failures = 0;
    if (self->is_content)
      self->length = MIN (2 * self->length, MOST_RUN);
    else
      g_array_set_size (self->spans, self->spans->len - 1);
    break;
  case NET_RANGES_BROKEN:
    rest (self, why);
    break;
  case NET_RANGES_USELESS:
    leave_alone (self, why);
    break;
  case NET_RANGES_ABSENT:
    if (self->is_content) {
      leave_alone (self, why);
      break;
    }
    g_message ("channel %s: of the fall-back %s only what peers can prove is taken: %s: %s",
               self->id, self->server->content, self->server->hashes, why);
    self->server->has_no_hashes = true;
    stop (self);
    break;
  }
  next (self);
}

/* --- what to fetch --- */

static bool
is_provable (const ProxyFallback *self, uint64_t chunk)
{
  PeerRange lacks[PEER_PROOF_MAX];
  return peer_integrity_lacks (peer_swarm_integrity (self->with.swarm), chunk, lacks) == 0;
}

/* From the first chunk of zone that is missing to the last one that one request may bring; if the server
 * has no hashes, only what can be proven without. Empty = nothing. */
static PeerRange
run_in (const ProxyFallback *self, PeerRange zone)
{
  const PeerChunks *have = peer_swarm_chunks (self->with.swarm);
  PeerRange run = {0, 0};
  uint64_t most = CLAMP (self->length / self->with.link->content.chunk_size, 1, RUN_CHUNKS);
  for (uint64_t chunk = zone.first; chunk < zone.end; chunk++) {
    bool is_missing = !peer_chunks_has (have, chunk);
    bool is_begun = !peer_range_is_empty (run);
    if (is_begun && chunk - run.first >= most)
      break;
    if (self->server->has_no_hashes && !(is_missing && is_provable (self, chunk))) {
      if (is_begun)
        break;
    } else if (is_missing) {
      run = (PeerRange){is_begun ? run.first : chunk, chunk + 1};
    }
  }
  return run;
}

static gint
compare_bins (gconstpointer a, gconstpointer b)
{
  uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
  return first < second ? -1 : first > second;
}

/* The hashes that the run lacks, as few spans. */
static void
plan_spans (ProxyFallback *self)
{
  const PeerChunks *have = peer_swarm_chunks (self->with.swarm);
  g_autoptr (GArray) bins = g_array_new (FALSE, FALSE, sizeof (uint64_t));
  PeerRange lacks[PEER_PROOF_MAX];
  g_hash_table_remove_all (self->hashes);
  g_array_set_size (self->spans, 0);
  for (uint64_t chunk = self->run.first; chunk < self->run.end; chunk++) {
    int n = peer_chunks_has (have, chunk)
                ? 0
                : peer_integrity_lacks (peer_swarm_integrity (self->with.swarm), chunk, lacks);
    for (int i = 0; i < n; i++) {
      uint64_t bin = peer_bin_from_range (lacks[i]);
      g_array_append_val (bins, bin);
    }
  }
  g_array_sort (bins, compare_bins);
  for (guint i = bins->len; i-- > 0;) {
    uint64_t bin = g_array_index (bins, uint64_t, i);
    Span *span =
        self->spans->len > 0 ? &g_array_index (self->spans, Span, self->spans->len - 1) : NULL;
    if (span != NULL && (span->first - bin) * self->hash_size <= SPAN_GAP) {
      span->first = bin;
    } else {
      Span another = {bin, bin};
      g_array_append_val (self->spans, another);
    }
  }
}

static void
get (ProxyFallback *self)
{
  const PeerContent *content = &self->with.link->content;
  self->is_content = self->spans->len == 0;
  if (self->is_content) {
    uint64_t end = MIN (self->run.end * content->chunk_size, content->length);
    net_ranges_get (self->ranges, self->server->content, self->run.first * content->chunk_size, end,
                    content->length);
  } else {
    const Span *span = &g_array_index (self->spans, Span, self->spans->len - 1);
    net_ranges_get (self->ranges, self->server->hashes,
                    net_tree_offset (span->first, self->hash_size),
                    net_tree_offset (span->last + 1, self->hash_size), 0);
  }
}

/* The first server that has something that a reader needs. */
static void
choose_run (ProxyFallback *self, int64_t now)
{
  PeerRange zones[PROXY_FILM_MAX_WANTS];
  size_t n = proxy_film_urgent (self->with.film, zones);
  for (guint i = 0; i < self->servers->len; i++) {
    self->server = self->servers->pdata[i];
    if (self->server->is_useless || self->server->rest_until > now)
      continue;
    for (size_t k = 0; k < n; k++) {
      self->run = run_in (self, zones[k]);
      if (!peer_range_is_empty (self->run))
        return;
    }
  }
}

/* Goes on with the run, or begins the next. */
static void
next (ProxyFallback *self)
{
  int64_t now = g_get_monotonic_time ();
  if (net_ranges_is_busy (self->ranges))
    return;
  if (peer_range_is_empty (self->run) && self->late.late && now >= self->rest_until) {
    choose_run (self, now);
    plan_spans (self);
  }
  if (!peer_range_is_empty (self->run))
    get (self);
}

/* Has somebody still use for the run? */
static bool
is_urgent (const ProxyFallback *self)
{
  PeerRange zones[PROXY_FILM_MAX_WANTS];
  size_t n = proxy_film_urgent (self->with.film, zones);
  for (size_t i = 0; i < n; i++)
    if (!peer_range_is_empty (peer_range_intersection (self->run, zones[i])))
      return true;
  return false;
}

int64_t
proxy_fallback_turn (ProxyFallback *self, int64_t now)
{
  PeerSwarmStats stats;
  peer_swarm_stats (self->with.swarm, &stats);
  int64_t waits_since = proxy_film_waits_since (self->with.film);
  bool was_late = self->late.late;
  proxy_late_judge (&self->late, now, waits_since, stats.downloaded, stats.offered);
  if (self->late.late && !was_late)
    self->length = LEAST_RUN;
  if (!peer_range_is_empty (self->run) && !is_urgent (self))
    stop (self);
  next (self);
  return waits_since > 0 || !peer_range_is_empty (self->run)
             ? MAX (self->late.since + PROXY_LATE_PERIOD, now + 1)
             : INT64_MAX;
}

/* --- making and freeing --- */

ProxyFallback *
proxy_fallback_new (const ProxyFallbackOptions *options)
{
  static const NetRangesHandler handler = {on_bytes, on_done};
  const GPtrArray *uris = options->link->fallbacks;
  if (uris->len == 0)
    return NULL;
  ProxyFallback *self = g_new0 (ProxyFallback, 1);
  self->with = *options;
  self->id = g_strdup (options->id);
  self->from = g_strdup (options->from);
  self->hash_size = peer_content_hash_size (&options->link->content);
  self->ranges = net_ranges_new (self->from, "ppsp-proxy/" PPSP_VERSION, SECONDS, &handler, self);
  self->servers = g_ptr_array_new_with_free_func (server_free);
  for (guint i = 0; i < uris->len; i++) {
    Server *server = g_new0 (Server, 1);
    server->content = g_strdup (uris->pdata[i]);
    server->hashes = hashes_beside (uris->pdata[i]);
    g_ptr_array_add (self->servers, server);
  }
  self->length = LEAST_RUN;
  self->spans = g_array_new (FALSE, FALSE, sizeof (Span));
  self->hashes = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, g_free);
  self->left = g_byte_array_new ();
  return self;
}

void
proxy_fallback_free (ProxyFallback *self)
{
  if (!self)
    return;
  net_ranges_free (self->ranges);
  g_ptr_array_unref (self->servers);
  g_array_unref (self->spans);
  g_hash_table_unref (self->hashes);
  g_byte_array_unref (self->left);
  g_free (self->id);
  g_free (self->from);
  g_free (self->error);
  g_free (self);
}

void
proxy_fallback_stats (const ProxyFallback *self, ProxyFallbackStats *out)
{
  *out = (ProxyFallbackStats){.bytes = 0};
  if (!self)
    return;
  *out = (ProxyFallbackStats){
      .bytes = self->bytes,
      .refused = self->refused,
      .failures = self->failures,
      .active = self->late.late,
      .error = self->error,
  };
}
