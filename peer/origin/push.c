/* SPDX-License-Identifier: Apache-2.0 */
/* The decision is made when the header is here, and bytes go from "got-chunk" to the channel.
 *
 * SoupServer answers when a request has ended, and the body of an encoder does not end. So for a
 * refusal the connection is taken from it, the answer is written, and what still comes is read and
 * dropped for a little while: if we closed at once, the encoder would be likely to see a reset in
 * the place of our answer. Who asked first (Expect: 100-continue) gets the
 * answer the usual way.
 *
 * Loopback needs no credential. But a page in a browser on this machine also comes from loopback,
 * and so does what a reverse proxy hands on: a request that shows signs of either needs one. */
#include "peer/origin/push.h"

#include <string.h>

#define PREFIX "/ingest/"
#define DRAIN_MAX (64 << 20) /* bytes: what a file comes to in that time, on loopback */
#define DRAIN_PIECE 65536    /* bytes */
#define DRAIN_MS 2000
#define TELL_EVERY G_USEC_PER_SEC /* of a channel: who tries again at once fills no log */

struct OriginPush {
  SoupServer *server;
  OriginStation *station;
  GHashTable *sessions; /* OriginContent -> Session */
  GHashTable *told;     /* OriginContent -> int64_t, us: when a refusal was last logged */
};

/* One request. */
typedef struct {
  OriginPush *push;       /* NULL = it is gone */
  OriginContent *content; /* NULL = refused, evicted or over */
  SoupServerMessage *message;
  OriginIngestResult result;
  uint64_t bytes;
  bool refused;
} Session;

static void
session_free (gpointer data)
{
  g_free (data);
}

/* --- an end before the end of a body --- */

/* A connection that was taken from SoupServer. */
typedef struct {
  GIOStream *stream;
  char *answer; /* NULL = none */
  size_t drained;
  GCancellable *cancellable;
  guint timer;
} Ending;

static void
ending_free (Ending *self)
{
  if (self->timer != 0)
    g_source_remove (self->timer);
  g_io_stream_close (self->stream, NULL, NULL);
  g_object_unref (self->stream);
  g_object_unref (self->cancellable);
  g_free (self->answer);
  g_free (self);
}

static gboolean
on_drain_time (gpointer data)
{
  Ending *self = data;

  self->timer = 0;
  g_cancellable_cancel (self->cancellable);
  return G_SOURCE_REMOVE;
}

static void
on_drained (GObject *source, GAsyncResult *result, gpointer data)
{
  Ending *self = data;
  gssize n = g_input_stream_skip_finish (G_INPUT_STREAM (source), result, NULL);

  self->drained += (size_t)MAX (n, 0);
  if (n <= 0 || self->drained > DRAIN_MAX)
    ending_free (self);
  else
    g_input_stream_skip_async (G_INPUT_STREAM (source), DRAIN_PIECE, G_PRIORITY_DEFAULT,
                               self->cancellable, on_drained, self);
}

static void
on_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  Ending *self = data;

  if (!g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, NULL))
    ending_free (self);
  else
    g_input_stream_skip_async (g_io_stream_get_input_stream (self->stream), DRAIN_PIECE,
                               G_PRIORITY_DEFAULT, self->cancellable, on_drained, self);
}

/* From the main loop, because SoupServer is in the middle of reading when we decide. */
static gboolean
take_connection (gpointer data)
{
  SoupServerMessage *message = data;
  char *answer = g_object_steal_data (G_OBJECT (message), "answer");
  GIOStream *stream = soup_server_message_steal_connection (message);
  Ending *self;

  if (stream == NULL) { /* the encoder has gone already */
    g_free (answer);
    return G_SOURCE_REMOVE;
  }
  self = g_new0 (Ending, 1);
  self->stream = stream;
  self->answer = answer;
  self->cancellable = g_cancellable_new ();
  if (answer == NULL) {
    ending_free (self);
    return G_SOURCE_REMOVE;
  }
  self->timer = g_timeout_add (DRAIN_MS, on_drain_time, self);
  g_output_stream_write_all_async (g_io_stream_get_output_stream (stream), answer, strlen (answer),
                                   G_PRIORITY_DEFAULT, self->cancellable, on_answered, self);
  return G_SOURCE_REMOVE;
}

/* answer: taken over; NULL = none. */
static void
end_connection (SoupServerMessage *message, char *answer)
{
  g_object_set_data_full (G_OBJECT (message), "answer", answer, g_free);
  soup_server_message_pause (message);
  g_idle_add_full (G_PRIORITY_DEFAULT, take_connection, g_object_ref (message), g_object_unref);
}

static void
refuse (Session *session, guint status, const char *header, const char *text)
{
  SoupServerMessage *message = session->message;
  SoupMessageHeaders *request = soup_server_message_get_request_headers (message);

  session->content = NULL;
  session->refused = true;
  if (soup_message_headers_get_expectations (request) & SOUP_EXPECTATION_CONTINUE &&
      session->bytes == 0) {
    soup_server_message_set_status (message, status, NULL);
    soup_server_message_set_response (message, "text/plain; charset=utf-8", SOUP_MEMORY_COPY, text,
                                      strlen (text));
    if (status == SOUP_STATUS_UNAUTHORIZED)
      soup_message_headers_replace (soup_server_message_get_response_headers (message),
                                    "WWW-Authenticate", "Bearer");
    return;
  }
  end_connection (message,
                  g_strdup_printf ("HTTP/1.1 %u %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Length: %zu\r\nConnection: close\r\n%s\r\n%s",
                                   status, soup_status_get_phrase (status), strlen (text), header,
                                   text));
}

/* text: ends its line. */
static void
tell (const Session *session, OriginContent *content, guint status, const char *text)
{
  OriginPush *self = session->push;
  int64_t now = g_get_monotonic_time (), *last;
  const char *who = soup_server_message_get_remote_host (session->message);

  if (self == NULL)
    return;
  last = g_hash_table_lookup (self->told, content);
  if (last != NULL && now - *last < TELL_EVERY)
    return;
  g_hash_table_insert (self->told, content, g_memdup2 (&now, sizeof now));
  g_warning ("channel %s: refused the encoder at %s (%u): %.*s", origin_content_id (content),
             who != NULL ? who : "an unknown address", status, (int)strcspn (text, "\n"), text);
}

/* --- who may --- */

/* Compares in a time that does not depend on where they differ. */
static bool
tokens_equal (const char *a, const char *b)
{
  size_t n = strlen (a), n_b = strlen (b);
  unsigned difference = n != n_b;

  for (size_t i = 0; i < n_b; i++)
    difference |= (unsigned)(uint8_t)(b[i] ^ a[n == 0 ? 0 : i % n]);
  return difference == 0;
}

/* The Host is an address or localhost: not a name that somebody made to point here. */
static bool
host_is_local (const char *host)
{
  g_autofree char *name = NULL;

  if (host == NULL)
    return true;
  if (host[0] == '[')
    return true;
  name = g_strndup (host, strcspn (host, ":"));
  return g_ascii_strcasecmp (name, "localhost") == 0 || g_hostname_is_ip_address (name);
}

static bool
is_from_here (SoupServerMessage *message)
{
  static const char *const signs[] = {"Origin",    "Referer",         "Sec-Fetch-Site",
                                      "Forwarded", "X-Forwarded-For", "Via"};
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *ip = soup_server_message_get_remote_host (message);
  PeerAddress address;

  if (ip == NULL || !peer_address_parse_ip (ip, 1, &address) ||
      !peer_address_is_loopback (&address))
    return false;
  for (size_t i = 0; i < G_N_ELEMENTS (signs); i++)
    if (soup_message_headers_get_list (headers, signs[i]) != NULL)
      return false;
  return host_is_local (soup_message_headers_get_one (headers, "Host"));
}

bool
origin_push_is_allowed (SoupServerMessage *message, const char *token)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *text = soup_message_headers_get_one (headers, "Authorization");

  if (is_from_here (message))
    return true;
  if (text == NULL || token == NULL || g_ascii_strncasecmp (text, "Bearer ", 7) != 0)
    return false;
  return tokens_equal (text + 7 + strspn (text + 7, " "), token);
}

static const char *
text_of (OriginIngestResult result)
{
  if (result == ORIGIN_INGEST_NOT_TS)
    return "This is no MPEG transport stream: its first 64 KiB hold no packets of 188 bytes that "
           "begin with 0x47. With ffmpeg, add: -f mpegts\n";
  return "This channel's broadcast is over; or it cannot sign any more, because its record cannot "
         "be "
         "written: look for space and errors of the disk that holds the origin's state folder.\n";
}

static guint
status_of (OriginIngestResult result)
{
  return result == ORIGIN_INGEST_NOT_TS ? SOUP_STATUS_UNSUPPORTED_MEDIA_TYPE
                                        : SOUP_STATUS_INSUFFICIENT_STORAGE;
}

static OriginIngestResult
session_end (Session *session)
{
  OriginContent *content = session->content;

  if (content == NULL)
    return session->result;
  session->content = NULL;
  if (session->push != NULL)
    g_hash_table_remove (session->push->sessions, content);
  session->result = origin_content_end (content);
  return session->result;
}

static void
on_got_chunk (SoupServerMessage *message, GBytes *chunk, Session *session)
{
  gsize n;
  const uint8_t *bytes = g_bytes_get_data (chunk, &n);
  OriginIngestResult result;

  if (session->content == NULL)
    return;
  session->bytes += n;
  result = origin_content_feed (session->content, bytes, n);
  if (result == ORIGIN_INGEST_OK)
    return;
  tell (session, session->content, status_of (result), text_of (result));
  session_end (session);
  session->result = result;
  refuse (session, status_of (result), "", text_of (result));
}

static void
on_finished (SoupServerMessage *message, Session *session)
{
  session_end (session);
}

/* A body came to its end: an encoder that stopped by itself. */
static void
on_done (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
         gpointer data)
{
  Session *session = g_object_get_data (G_OBJECT (message), "session");
  OriginContent *content;
  OriginIngestResult result;
  g_autofree char *text = NULL;

  if (session == NULL || session->refused)
    return;
  content = session->content;
  result = session_end (session);
  if (result != ORIGIN_INGEST_OK) {
    if (content != NULL)
      tell (session, content, status_of (result), text_of (result));
    soup_server_message_set_response (message, "text/plain; charset=utf-8", SOUP_MEMORY_STATIC,
                                      text_of (result), strlen (text_of (result)));
    soup_server_message_set_status (message, status_of (result), NULL);
    return;
  }
  text = g_strdup_printf ("%" G_GUINT64_FORMAT " bytes taken\n", session->bytes);
  soup_server_message_set_response (message, "text/plain; charset=utf-8", SOUP_MEMORY_COPY, text,
                                    strlen (text));
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
}

/* An encoder that is silent makes way for the one that comes: its machine may have lost power, and
 * the connection does not know. */
static void
evict (OriginPush *self, OriginContent *content)
{
  Session *old = g_hash_table_lookup (self->sessions, content);

  if (old == NULL)
    return;
  session_end (old);
  old->refused = true;
  end_connection (old->message, NULL);
}

static void
begin (Session *session, OriginContent *content)
{
  OriginPush *self = session->push;

  evict (self, content);
  session->content = content;
  g_hash_table_insert (self->sessions, content, session);
  origin_content_begin (content);
}

static void
refuse_told (Session *session, OriginContent *content, guint status, const char *header,
             const char *text)
{
  tell (session, content, status, text);
  refuse (session, status, header, text);
}

/* DELETE /ingest/ID: the operator says that the broadcast is over. */
static void
end_broadcast (Session *session, OriginContent *content)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  if (origin_content_finish (content, &error))
    text = g_strdup ("The broadcast is over.\n");
  else
    text = g_strdup_printf ("%s\n", error != NULL ? error->message : "It was over already.");
  session->refused = true;
  soup_server_message_set_status (session->message,
                                  error != NULL ? SOUP_STATUS_CONFLICT : SOUP_STATUS_OK, NULL);
  soup_server_message_set_response (session->message, "text/plain; charset=utf-8", SOUP_MEMORY_COPY,
                                    text, strlen (text));
}

static void
decide (Session *session, const char *path)
{
  SoupServerMessage *message = session->message;
  const char *method = soup_server_message_get_method (message);
  OriginContent *content = NULL;

  if (g_str_has_prefix (path, PREFIX))
    content = origin_station_find (session->push->station, path + strlen (PREFIX));
  if (content == NULL || origin_content_token (content) == NULL)
    refuse (session, SOUP_STATUS_NOT_FOUND, "",
            "No such channel. Channels that take an encoder are those of --channel.\n");
  else if (strcmp (method, "PUT") != 0 && strcmp (method, "POST") != 0 &&
           strcmp (method, "DELETE") != 0)
    refuse (session, SOUP_STATUS_METHOD_NOT_ALLOWED, "Allow: PUT, POST, DELETE\r\n",
            "An encoder comes with PUT or POST; DELETE ends a broadcast.\n");
  else if (!origin_push_is_allowed (message, origin_content_token (content)))
    refuse_told (session, content, SOUP_STATUS_UNAUTHORIZED, "WWW-Authenticate: Bearer\r\n",
                 "An encoder on another machine shows the channel's token: \"Authorization: Bearer "
                 "TOKEN\". The token is in the origin's state folder.\n");
  else if (strcmp (method, "DELETE") == 0)
    end_broadcast (session, content);
  else if (origin_content_has_ended (content))
    refuse (session, SOUP_STATUS_GONE, "", "This broadcast is over.\n");
  else if (origin_content_is_taken (content)) {
    origin_content_count_refused (content);
    refuse_told (session, content, SOUP_STATUS_CONFLICT, "",
                 "This channel has an encoder already.\n");
  } else {
    begin (session, content);
  }
}

static void
on_early (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
          gpointer data)
{
  Session *session = g_new0 (Session, 1);

  session->push = data;
  session->message = message;
  g_object_set_data_full (G_OBJECT (message), "session", session, session_free);
  g_signal_connect (message, "got-chunk", G_CALLBACK (on_got_chunk), session);
  g_signal_connect (message, "finished", G_CALLBACK (on_finished), session);
  decide (session, path);
}

OriginPush *
origin_push_new (SoupServer *server, OriginStation *station)
{
  OriginPush *self = g_new0 (OriginPush, 1);

  self->server = g_object_ref (server);
  self->station = station;
  self->sessions = g_hash_table_new (NULL, NULL);
  self->told = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  soup_server_add_early_handler (server, "/ingest", on_early, self, NULL);
  soup_server_add_handler (server, "/ingest", on_done, self, NULL);
  return self;
}

void
origin_push_free (OriginPush *self)
{
  GHashTableIter iter;
  gpointer value;

  soup_server_remove_handler (self->server, "/ingest");
  g_hash_table_iter_init (&iter, self->sessions);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Session *session = value;
    OriginContent *content = session->content;

    session->push = NULL;
    session->content = NULL;
    session->refused = true;
    origin_content_end (content);
    end_connection (session->message, NULL);
  }
  g_hash_table_unref (self->sessions);
  g_hash_table_unref (self->told);
  g_object_unref (self->server);
  g_free (self);
}
