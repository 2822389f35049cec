/* SPDX-License-Identifier: Apache-2.0 */
/* Several trackers, one registry. Each has all peers in memory and answers from there; what changes at
 * one goes to the others through a stream, and into a hash, from which who is new begins:
 *
 *   ours --HSET--> {NAME}:peers (key -> record) --HSCAN, once--> theirs
 *   ours --XADD--> {NAME}:changes (a few thousand entries) --XREAD, always--> theirs
 *
 * In a cluster what stands in braces gives both the same slot, so they are at one node, whichever that is:
 * MOVED names it to who asks another, and ASK one that will have it, while the slot is on its way. There we
 * stay if both have arrived: one that we made there would be in the way of the one that comes. When a node is
 * lost, the next of those that the URI names is asked.
 *
 * A report of a peer that is only alive goes to the stream, not to the hash. Who is told to have left
 * goes at once; who is only not heard of any more ends where its timer runs out, and whoever sees that
 * first takes it out of the hash. So one tracker that dies takes nobody with it.
 *
 * Redis may die as well: nobody waits for it. Changes stay with the registry, each peer once, until it
 * is back. They are told before the hash is read: who has left us is not to be found there. Whom we only
 * have not heard of is: as long as we could not hear of him, his silence says nothing. Then all of ours is
 * told again, since it may have lost what it had, or the stream may have been trimmed before we had read
 * it. */
#include "peer/trackerd/store-redis.h"

#include "peer/net/random.h"
#include "peer/tracker/record.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <hiredis/async.h>
#include <string.h>
#include <sys/socket.h>

#define G_LOG_DOMAIN_STORE "peer/trackerd"
#define PORT 6379
#define MAX_NODES 16 /* that a URI may name, beside the first */
#define FLUSH_MS 100
#define RECONNECT_SECONDS 1
/* No answer for so long, and it is taken for dead; us. A read of the stream that finds nothing is
 * answered after STREAM_WAIT_MS. */
#define SILENCE (10 * G_USEC_PER_SEC)
#define STREAM_WAIT_MS "3000"
/* What is under way to Redis and not answered; more stays with the registry. */
#define MAX_UNANSWERED 2000
#define MAX_ENTRY (64u * 1024) /* bytes of records in one entry of the stream */
#define STREAM_LENGTH "20000"
#define READ_AT_ONCE "100"
#define SCAN_AT_ONCE "500"

typedef struct Redis Redis;

typedef struct {
  char *host;
  uint16_t port;
} Node;

typedef enum {
  PHASE_AWAY,
  PHASE_TELLING, /* our place in the stream is known; our changes go out */
  PHASE_READING, /* the hash */
  PHASE_COMPLETE,
} Phase;

/* One connection, and the sources that turn it. */
typedef struct {
  Redis *redis;
  redisAsyncContext *context; /* NULL = none */
  guint reading, writing;
  unsigned unanswered;
  int64_t heard; /* us: the last answer, or when the first question after it was asked */
} Wire;

struct Redis {
  TrackerdStore base;
  char *uri, *user, *password, *peers, *changes;
  GArray *nodes;       /* Node: of the URI */
  unsigned lost_nodes; /* after so many it is the turn of another */
  Node node;           /* where we are */
  bool asking;         /* it does not have our slot yet: each command says that we know */
  char self[17];       /* whose entries of the stream are our own */
  char last[48];       /* entry of the stream that we have seen */
  Wire commands, stream;
  guint flush, reconnect;
  Phase phase;
  bool lost; /* said so */
};

static void connect_all (Redis *self);

/* --- wires --------------------------------------------------------------------------------- */

static gboolean
on_readable (gint fd, GIOCondition condition, gpointer data)
{
  redisAsyncHandleRead (((Wire *)data)->context);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_writable (gint fd, GIOCondition condition, gpointer data)
{
  redisAsyncHandleWrite (((Wire *)data)->context);
  return G_SOURCE_CONTINUE;
}

static void
add_read (void *data)
{
  Wire *wire = data;
  if (wire->reading == 0)
    wire->reading =
        g_unix_fd_add (wire->context->c.fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, wire);
}

static void
remove_read (void *data)
{
  g_clear_handle_id (&((Wire *)data)->reading, g_source_remove);
}

static void
add_write (void *data)
{
  Wire *wire = data;
  if (wire->writing == 0)
    wire->writing =
        g_unix_fd_add (wire->context->c.fd, G_IO_OUT | G_IO_HUP | G_IO_ERR, on_writable, wire);
}

static void
remove_write (void *data)
{
  g_clear_handle_id (&((Wire *)data)->writing, g_source_remove);
}

static void
clean_up (void *data)
{
  remove_read (data);
  remove_write (data);
}

static void
wire_close (Wire *self)
{
  redisAsyncContext *context = self->context;
  self->context = NULL;
  self->unanswered = 0;
  if (context == NULL)
    return;
  clean_up (self);
  memset (&context->ev, 0, sizeof context->ev);
  context->data = NULL;
  redisAsyncFree (context);
}

static gboolean
on_reconnect (gpointer data)
{
  Redis *self = data;
  self->reconnect = 0;
  connect_all (self);
  return G_SOURCE_REMOVE;
}

static void
move_to (Redis *self, const char *host, uint16_t port, bool asking)
{
  char *copy = g_strdup (host);
  g_free (self->node.host);
  self->node = (Node){copy, port};
  self->asking = asking;
  self->base.stats.connected = false;
  self->phase = PHASE_AWAY;
  self->reconnect = g_timeout_add_seconds (RECONNECT_SECONDS, on_reconnect, self);
}

/* "MOVED 3999 192.0.2.1:6381", or ASK; without a host it is the same. */
static bool
follow (Redis *self, const char *error)
{
  guint64 port;
  bool asking = g_str_has_prefix (error, "ASK ");
  const char *at = asking || g_str_has_prefix (error, "MOVED ") ? strrchr (error, ' ') + 1 : "";
  const char *colon = strrchr (at, ':');
  if (colon == NULL || !g_ascii_string_to_unsigned (colon + 1, 10, 1, UINT16_MAX, &port, NULL))
    return false;
  g_autofree char *host = g_strndup (at, (gsize)(colon - at));
  move_to (self, *host != 0 ? host : self->node.host, (uint16_t)port, asking);
  return true;
}

static void
lose (Redis *self, const char *why)
{
  if (self->reconnect != 0)
    return;
  self->base.stats.failures++;
  if (!self->lost)
    g_log_structured (G_LOG_DOMAIN_STORE, G_LOG_LEVEL_WARNING, "MESSAGE",
                      "no connection with %s: %s; peers of other trackers are not seen until "
                      "there is one",
                      self->uri, why != NULL && *why != 0 ? why : "it was closed");
  self->lost = true;
  const Node *node = &g_array_index (self->nodes, Node, ++self->lost_nodes % self->nodes->len);
  move_to (self, node->host, node->port, false);
}

/* hiredis frees the context after this. */
static void
on_disconnect (const redisAsyncContext *context, int status)
{
  Wire *wire = context->data;
  if (wire == NULL)
    return;
  clean_up (wire);
  wire->context = NULL;
  wire->unanswered = 0;
  lose (wire->redis, context->errstr);
}

static void
on_connect (const redisAsyncContext *context, int status)
{
  if (status != REDIS_OK)
    on_disconnect (context, status);
}

static bool
wire_open (Wire *self)
{
  self->context = redisAsyncConnect (self->redis->node.host, self->redis->node.port);
  if (self->context == NULL)
    return false;
  redisAsyncContext *context = self->context;
  if (context->err != 0) {
    lose (self->redis, context->errstr);
    wire_close (self);
    return false;
  }
  context->data = self;
  context->ev.data = self;
  context->ev.addRead = add_read;
  context->ev.delRead = remove_read;
  context->ev.addWrite = add_write;
  context->ev.delWrite = remove_write;
  context->ev.cleanup = clean_up;
  redisAsyncSetConnectCallback (context, on_connect);
  redisAsyncSetDisconnectCallback (context, on_disconnect);
  return true;
}

/* NULL = a connection is lost, or Redis says no; then nothing is to be done but to begin again. */
static redisReply *
answered (Wire *self, redisReply *reply)
{
  if (reply == NULL || self->context == NULL || self->redis->reconnect != 0)
    return NULL;
  self->unanswered -= self->unanswered > 0;
  self->heard = g_get_monotonic_time ();
  if (reply->type != REDIS_REPLY_ERROR)
    return reply;
  if (!follow (self->redis, reply->str))
    lose (self->redis, reply->str);
  return NULL;
}

static void
ask (Wire *self, redisCallbackFn *then, int n, const char **words, const size_t *lengths)
{
  if (self->context == NULL)
    return;
  if (self->unanswered++ == 0)
    self->heard = g_get_monotonic_time ();
  if (self->redis->asking)
    redisAsyncCommand (self->context, NULL, NULL, "ASKING");
  redisAsyncCommandArgv (self->context, then, self, n, words, lengths);
}

static void
on_done (redisAsyncContext *context, void *reply, void *data)
{
  if (context->data != NULL)
    answered (data, reply);
}

/* --- what the others say ------------------------------------------------------------------- */

static void read_stream (Redis *self);

/* Records, each with its length before it. */
static void
apply_all (Redis *self, const redisReply *text)
{
  const uint8_t *at = (const uint8_t *)text->str;
  size_t left = text->len;
  while (left >= 4) {
    size_t n = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    if (n > left - 4)
      break;
    trackerd_store_apply (&self->base, at + 4, n, 0);
    at += 4 + n;
    left -= 4 + n;
  }
  self->base.stats.refused += left > 0;
}

/* [id, [name, value, name, value]] */
static void
read_entry (Redis *self, const redisReply *entry)
{
  bool own = false;
  const redisReply *records = NULL;
  if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
      entry->element[0]->type != REDIS_REPLY_STRING || entry->element[1]->type != REDIS_REPLY_ARRAY)
    return;
  g_strlcpy (self->last, entry->element[0]->str, sizeof self->last);
  const redisReply *fields = entry->element[1];
  for (size_t i = 0; i + 1 < fields->elements; i += 2) {
    const redisReply *name = fields->element[i], *value = fields->element[i + 1];
    if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
      continue;
    if (strcmp (name->str, "from") == 0)
      own = strcmp (value->str, self->self) == 0;
    if (strcmp (name->str, "records") == 0)
      records = value;
  }
  if (!own && records != NULL)
    apply_all (self, records);
}

static void
on_stream (redisAsyncContext *context, void *data, void *wire)
{
  if (context->data == NULL)
    return;
  Redis *self = ((Wire *)wire)->redis;
  const redisReply *reply = answered (wire, data);
  if (reply == NULL)
    return;
  /* [[key, [entry, entry ...]]], or nil after a while without any */
  if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
      reply->element[0]->type == REDIS_REPLY_ARRAY && reply->element[0]->elements == 2) {
    const redisReply *entries = reply->element[0]->element[1];
    for (size_t i = 0; entries->type == REDIS_REPLY_ARRAY && i < entries->elements; i++)
      read_entry (self, entries->element[i]);
  }
  read_stream (self);
}

static void
read_stream (Redis *self)
{
  const char *words[] = {"XREAD",        "COUNT",   READ_AT_ONCE,  "BLOCK",
                         STREAM_WAIT_MS, "STREAMS", self->changes, self->last};
  ask (&self->stream, on_stream, G_N_ELEMENTS (words), words, NULL);
}

static void scan (Redis *self, const char *cursor);

static void
on_scanned (redisAsyncContext *context, void *data, void *wire)
{
  if (context->data == NULL)
    return;
  Redis *self = ((Wire *)wire)->redis;
  const redisReply *reply = answered (wire, data);
  if (reply == NULL)
    return;
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
      reply->element[0]->type != REDIS_REPLY_STRING ||
      reply->element[1]->type != REDIS_REPLY_ARRAY) {
    lose (self, "an answer that is no scan");
    return;
  }
  const redisReply *pairs = reply->element[1];
  for (size_t i = 1; i < pairs->elements; i += 2)
    if (pairs->element[i]->type == REDIS_REPLY_STRING)
      trackerd_store_apply (&self->base, (const uint8_t *)pairs->element[i]->str,
                            pairs->element[i]->len, 0);
  if (strcmp (reply->element[0]->str, "0") != 0) {
    scan (self, reply->element[0]->str);
    return;
  }
  self->phase = PHASE_COMPLETE;
  self->base.stats.connected = true;
  g_log_structured (G_LOG_DOMAIN_STORE, G_LOG_LEVEL_MESSAGE, "MESSAGE",
                    "the registry is shared by %s", self->uri);
  self->lost = false;
  g_rec_mutex_lock (self->base.lock);
  tracker_registry_change_all (self->base.registry);
  g_rec_mutex_unlock (self->base.lock);
  read_stream (self);
}

static void
scan (Redis *self, const char *cursor)
{
  const char *words[] = {"HSCAN", self->peers, cursor, "COUNT", SCAN_AT_ONCE};
  ask (&self->commands, on_scanned, G_N_ELEMENTS (words), words, NULL);
}

/* Where the stream ends now: what comes later is not in what we are going to scan, or is told twice. */
static void
on_newest (redisAsyncContext *context, void *data, void *wire)
{
  if (context->data == NULL)
    return;
  Redis *self = ((Wire *)wire)->redis;
  const redisReply *reply = answered (wire, data);
  if (reply == NULL)
    return;
  g_strlcpy (self->last, "0-0", sizeof self->last);
  if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
      reply->element[0]->type == REDIS_REPLY_ARRAY && reply->element[0]->elements == 2 &&
      reply->element[0]->element[0]->type == REDIS_REPLY_STRING)
    g_strlcpy (self->last, reply->element[0]->element[0]->str, sizeof self->last);
  self->phase = PHASE_TELLING;
}

static void
connect_all (Redis *self)
{
  wire_close (&self->commands);
  wire_close (&self->stream);
  if (!wire_open (&self->commands) || !wire_open (&self->stream)) {
    lose (self, "it cannot be reached");
    return;
  }
  if (self->password != NULL) {
    const char *words[] = {"AUTH", self->user, self->password};
    if (self->user == NULL)
      words[1] = self->password;
    ask (&self->commands, on_done, self->user != NULL ? 3 : 2, words, NULL);
    ask (&self->stream, on_done, self->user != NULL ? 3 : 2, words, NULL);
  }
  if (self->asking) { /* refused unless both are there */
    const char *words[] = {"EXISTS", self->peers, self->changes};
    ask (&self->commands, on_done, G_N_ELEMENTS (words), words, NULL);
  }
  const char *words[] = {"XREVRANGE", self->changes, "+", "-", "COUNT", "1"};
  ask (&self->commands, on_newest, G_N_ELEMENTS (words), words, NULL);
}

/* --- what we say --------------------------------------------------------------------------- */

static void
add_entry (Redis *self, GByteArray *records)
{
  if (records->len == 0)
    return;
  const char *words[] = {"XADD", self->changes, "MAXLEN",   "~",       STREAM_LENGTH,
                         "*",    "from",        self->self, "records", (const char *)records->data};
  size_t lengths[G_N_ELEMENTS (words)];
  for (unsigned i = 0; i < G_N_ELEMENTS (words) - 1; i++)
    lengths[i] = strlen (words[i]);
  lengths[G_N_ELEMENTS (words) - 1] = records->len;
  ask (&self->commands, on_done, G_N_ELEMENTS (words), words, lengths);
  g_byte_array_set_size (records, 0);
}

static void
keep (Redis *self, const GByteArray *record, TrackerRecordKind kind, const uint8_t *key, size_t n)
{
  const char *words[] = {kind == TRACKER_RECORD_HERE ? "HSET" : "HDEL", self->peers,
                         (const char *)key, (const char *)record->data};
  size_t lengths[] = {4, strlen (self->peers), n, record->len};
  if (kind != TRACKER_RECORD_HEARD)
    ask (&self->commands, on_done, kind == TRACKER_RECORD_HERE ? 4 : 3, words, lengths);
}

static void
flush (Redis *self)
{
  g_autoptr (GByteArray) entry = g_byte_array_new ();
  g_autoptr (GByteArray) record = g_byte_array_new ();
  int64_t now = g_get_monotonic_time ();
  bool all = false;
  while (self->phase != PHASE_AWAY && self->commands.unanswered < MAX_UNANSWERED) {
    TrackerRecordKind kind;
    const uint8_t *key;
    size_t n_key;
    g_byte_array_set_size (record, 0);
    g_rec_mutex_lock (self->base.lock);
    all = !tracker_registry_next_change (self->base.registry, now, record);
    g_rec_mutex_unlock (self->base.lock);
    if (all)
      break;
    self->base.stats.written++;
    if (!tracker_record_key (record->data, record->len, &kind, &key, &n_key))
      continue;
    if (kind != TRACKER_RECORD_EXPIRED || self->phase == PHASE_COMPLETE)
      keep (self, record, kind, key, n_key);
    if (kind == TRACKER_RECORD_EXPIRED)
      continue;
    uint32_t n = GUINT32_TO_BE (record->len);
    g_byte_array_append (entry, (const guint8 *)&n, sizeof n);
    g_byte_array_append (entry, record->data, record->len);
    if (entry->len >= MAX_ENTRY)
      add_entry (self, entry);
  }
  add_entry (self, entry);
  if (all && self->phase == PHASE_TELLING) {
    self->phase = PHASE_READING;
    scan (self, "0");
  }
}

static bool
is_silent (const Wire *self)
{
  return self->context != NULL && self->unanswered > 0 &&
         g_get_monotonic_time () - self->heard > SILENCE;
}

static gboolean
on_flush (gpointer data)
{
  Redis *self = data;
  if (is_silent (&self->commands) || is_silent (&self->stream)) {
    lose (self, "it does not answer");
    return G_SOURCE_CONTINUE;
  }
  if (self->reconnect == 0)
    flush (self);
  return G_SOURCE_CONTINUE;
}

/* --- all ----------------------------------------------------------------------------------- */

/* The last of it is sent, as far as that takes no longer than a second. */
static void
send_rest (Wire *self)
{
  struct timeval patience = {.tv_sec = 1};
  int done = 0;
  if (self->context == NULL || self->redis->reconnect != 0 || self->redis->phase != PHASE_COMPLETE)
    return;
  flush (self->redis);
  redisContext *context = &self->context->c;
  fcntl (context->fd, F_SETFL, fcntl (context->fd, F_GETFL) & ~O_NONBLOCK);
  setsockopt (context->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  while (!done && redisBufferWrite (context, &done) == REDIS_OK)
    ;
}

static void
redis_free (TrackerdStore *base)
{
  Redis *self = (Redis *)base;
  send_rest (&self->commands);
  g_clear_handle_id (&self->flush, g_source_remove);
  g_clear_handle_id (&self->reconnect, g_source_remove);
  wire_close (&self->commands);
  wire_close (&self->stream);
  g_free (self->uri);
  g_free (self->node.host);
  g_array_unref (self->nodes);
  g_free (self->user);
  g_free (self->password);
  g_free (self->peers);
  g_free (self->changes);
  g_free (self);
}

static void
node_clear (gpointer node)
{
  g_free (((Node *)node)->host);
}

static void
add_node (Redis *self, const char *host, int port)
{
  Node node = {g_strdup (host), port > 0 ? (uint16_t)port : PORT};
  g_array_append_val (self->nodes, node);
}

/* "HOST:PORT,HOST:PORT"; false = one of them is none, or there is none. */
static bool
add_nodes (Redis *self, const char *list)
{
  g_auto (GStrv) all = g_strsplit (list, ",", MAX_NODES);
  for (unsigned i = 0; all[i] != NULL; i++) {
    g_autoptr (GSocketConnectable) node = g_network_address_parse (all[i], PORT, NULL);
    if (node == NULL || *all[i] == 0)
      return false;
    add_node (self, g_network_address_get_hostname (G_NETWORK_ADDRESS (node)),
              g_network_address_get_port (G_NETWORK_ADDRESS (node)));
  }
  return all[0] != NULL;
}

/* The password is not shown where the URI is. */
static bool
parse (Redis *self, const char *text, GError **error)
{
  g_autoptr (GError) bad = NULL;
  const char *start = text + strlen ("redis://"), *end = start + strcspn (start, "/");
  const char *account = g_strrstr_len (start, end - start, "@");
  const char *hosts = account != NULL ? account : start;
  const char *more = memchr (hosts, ',', (size_t)(end - hosts));
  more = more != NULL ? more : end; /* what stands after the first of them */
  g_autofree char *others = g_strndup (more, (gsize)(end - more));
  g_autofree char *one = g_strdup_printf ("%.*s%s", (int)(more - text), text, end);
  g_autoptr (GUri) uri = g_uri_parse (one, G_URI_FLAGS_HAS_PASSWORD, &bad);
  const char *host = uri != NULL ? g_uri_get_host (uri) : NULL;
  const char *path = uri != NULL ? g_uri_get_path (uri) : "";
  if (host != NULL)
    add_node (self, host, g_uri_get_port (uri));
  if (host == NULL || *host == 0 || strchr (*path == '/' ? path + 1 : path, '/') != NULL ||
      (more < end && !add_nodes (self, others + 1))) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "--store: no address of a Redis server; expected redis://HOST:PORT/NAME, or "
                 "redis://HOST:PORT,HOST:PORT/NAME for a cluster%s%s",
                 bad != NULL ? ": " : "", bad != NULL ? bad->message : "");
    return false;
  }
  const char *name = *path != 0 && path[1] != 0 ? path + 1 : "ppsp";
  const Node *first = &g_array_index (self->nodes, Node, 0);
  self->node = (Node){g_strdup (first->host), first->port};
  self->password = g_strdup (g_uri_get_password (uri));
  const char *user = g_uri_get_user (uri);
  self->user = user != NULL && *user != 0 ? g_strdup (user) : NULL;
  self->uri = g_strdup_printf ("redis://%s:%u%s/%s", first->host, first->port, others, name);
  self->peers = g_strdup_printf ("{%s}:peers", name);
  self->changes = g_strdup_printf ("{%s}:changes", name);
  return true;
}

TrackerdStore *
trackerd_store_redis_open (const char *uri, TrackerRegistry *registry, GRecMutex *lock,
                           GError **error)
{
  Redis *self = g_new0 (Redis, 1);
  uint8_t id[8];
  self->base = (TrackerdStore){.free = redis_free, .registry = registry, .lock = lock};
  self->commands.redis = self->stream.redis = self;
  self->nodes = g_array_new (FALSE, FALSE, sizeof (Node));
  g_array_set_clear_func (self->nodes, node_clear);
  if (!parse (self, uri, error)) {
    redis_free (&self->base);
    return NULL;
  }
  net_random (NULL, id, sizeof id);
  for (unsigned i = 0; i < sizeof id; i++)
    g_snprintf (self->self + 2 * i, 3, "%02x", id[i]);
  self->flush = g_timeout_add (FLUSH_MS, on_flush, self);
  connect_all (self);
  return &self->base;
}
