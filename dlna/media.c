/* SPDX-License-Identifier: Apache-2.0 */
/* A request becomes a viewer; a viewer is a stream and one piece of it on its way.
 *
 *   request -> lookup, headers, range -> open_async ... -> status and headers
 *           -> next_async -> append, unpause -> "wrote-chunk" -> next_async -> ...
 *   live:   -> outlet.c, past libsoup
 *
 * The next piece is asked for when the last one lies in the kernel, so a viewer that does not read
 * holds one shared slice and asks for nothing: it costs the others nothing.
 *
 * A live stream has no length and ends with the connection, for HTTP/1.0 and 1.1 alike: there are
 * sets that do not know chunks, and players that trust a made-up length. Ranges of it are refused
 * at once, but for "bytes=0-", which many send with every request.
 *
 * While a message waits for bytes libsoup does not look at its socket, so who leaves then would be
 * noticed with the next byte only, and a channel without peers brings none. Each viewer therefore
 * watches its socket itself. */

#include "dlna/media.h"
#include "dlna/didl.h"
#include "dlna/outlet.h"
#include "dlna/profile.h"
#include "dlna/range.h"
#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define TIME_SEEK "TimeSeekRange.dlna.org"
#define GET_AVAILABLE "getAvailableSeekRange.dlna.org"
#define AVAILABLE "availableSeekRange.dlna.org"
#define MAX_VIEWERS 128 /* a household; past it 503 */
#define MAX_ID 256      /* bytes */
#define MAX_AGENT 80    /* bytes of a User-Agent that are kept */
#define RATE_SECONDS 5
#define RETRY_AFTER "5" /* s */
#define MAX_BACK 604800 /* s */

/* A viewer that takes nothing for this long is let go. Film: a pause; live: it has lost its place
 * long ago. The same limit ends those whose plug was pulled. A live channel that can be paused has
 * none: the kernel lets go of who does not answer its probes, and asks the others for ever. */
#define STALL_LIVE_MS (10 * 60 * 1000)
#define STALL_ON_DEMAND_MS (60 * 60 * 1000)

struct DlnaMedia {
  SoupServer *server;
  DlnaLibrary *library;
  const DlnaQuirks *quirks;
  DlnaClients *clients; /* or NULL */
  DlnaOutlets *outlets;
  GPtrArray *viewers; /* Viewer, borrowed */
};

typedef struct {
  int references;
  DlnaMedia *media; /* NULL = closed */
  SoupServerMessage *message;
  DlnaItem *item;
  DlnaRange range;
  const DlnaQuirk *quirk;
  DlnaStream *stream;
  DlnaOutlet *outlet; /* live, once it has begun; libsoup has then nothing to do with it */
  GCancellable *cancellable;
  GSource *watch;
  bool by_time; /* it asked for a time, which lies at place */
  DlnaPlace place;
  int64_t back;     /* us behind live */
  int64_t left;     /* bytes promised and not handed on; -1 = no promise */
  bool asked;       /* a next_async is under way */
  bool headers_set; /* the response has begun, or will */
  char *name;
  uint64_t bytes, buckets[RATE_SECONDS];
  int64_t bucket_second;
  int64_t since, first_byte;
} Viewer;

void
dlna_viewer_free (DlnaViewer *self)
{
  if (self == NULL)
    return;
  g_free (self->item_id);
  g_free (self->viewer);
  g_free (self);
}

static void ask (Viewer *viewer);

static Viewer *
viewer_ref (Viewer *viewer)
{
  viewer->references++;
  return viewer;
}

static void
viewer_unref (Viewer *viewer)
{
  if (--viewer->references > 0)
    return;
  dlna_item_free (viewer->item);
  g_object_unref (viewer->cancellable);
  g_object_unref (viewer->message);
  g_free (viewer->name);
  g_free (viewer);
}

static void
tell_library (Viewer *viewer)
{
  int64_t first = viewer->range.type == DLNA_RANGE_NONE ? 0 : viewer->range.first;

  if (!viewer->item->live && viewer->bytes > 0)
    dlna_library_left (viewer->media->library, viewer->item->id, first,
                       first + (int64_t)viewer->bytes);
}

/* What became of it, for who wonders why a television does not play. */
static void
tell_clients (Viewer *viewer)
{
  int64_t ms = (g_get_monotonic_time () - viewer->since) / 1000;
  g_autofree char *text = NULL;

  if (viewer->first_byte >= 0)
    text = g_strdup_printf ("%" G_GUINT64_FORMAT " bytes in %" G_GINT64_FORMAT
                            " ms, the first after %" G_GINT64_FORMAT " ms",
                            viewer->bytes, ms, viewer->first_byte / 1000);
  else
    text = g_strdup_printf ("over after %" G_GINT64_FORMAT " ms, without a byte", ms);
  dlna_clients_note (viewer->media->clients, viewer->message, text);
}

/* Lets go of the stream and of the message; what is under way finds media NULL. */
static void
viewer_close (Viewer *viewer)
{
  if (viewer->media == NULL)
    return;
  tell_clients (viewer);
  tell_library (viewer);
  g_ptr_array_remove_fast (viewer->media->viewers, viewer);
  viewer->media = NULL;
  g_cancellable_cancel (viewer->cancellable);
  g_clear_pointer (&viewer->outlet, dlna_outlet_free);
  g_clear_object (&viewer->stream);
  if (viewer->watch != NULL) {
    g_source_destroy (viewer->watch);
    g_clear_pointer (&viewer->watch, g_source_unref);
  }
  g_signal_handlers_disconnect_by_data (viewer->message, viewer);
  viewer_unref (viewer);
}

/* Behind a listener that gave the server a stream, libsoup knows of no socket; the listener leaves
 * it with the message. */
static GSocket *
socket_of (SoupServerMessage *message)
{
  GSocket *socket = soup_server_message_get_socket (message);

  return socket != NULL ? socket : g_object_get_data (G_OBJECT (message), "ppsp-socket");
}

/* Ends the connection in the middle: the only way to say that what was promised will not come, and
 * the only way to make libsoup let go of a message that it has paused. */
static void
break_off (Viewer *viewer)
{
  SoupServerMessage *message = viewer->message;
  GSocket *socket = socket_of (message);
  SoupMessageBody *body = soup_server_message_get_response_body (message);
  bool stolen = viewer->outlet != NULL;

  viewer_ref (viewer);
  viewer_close (viewer);
  if (stolen) {
    viewer_unref (viewer);
    return;
  }
  if (socket != NULL)
    g_socket_shutdown (socket, TRUE, TRUE, NULL);
  if (soup_server_message_get_status (message) == 0)
    soup_server_message_set_status (message, SOUP_STATUS_SERVICE_UNAVAILABLE, NULL);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Connection",
                                "close");
  /* the attempt to write it is what finds the socket shut */
  soup_message_body_append (body, SOUP_MEMORY_STATIC, "\0", 1);
  soup_message_body_complete (body);
  soup_server_message_unpause (message);
  viewer_unref (viewer);
}

/* The good end: all that was promised has been handed on. */
static void
end (Viewer *viewer)
{
  SoupServerMessage *message = viewer->message;

  viewer_ref (viewer);
  viewer_close (viewer);
  soup_message_body_complete (soup_server_message_get_response_body (message));
  soup_server_message_unpause (message);
  viewer_unref (viewer);
}

static void
refuse (SoupServerMessage *message, guint status)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);

  soup_server_message_set_status (message, status, NULL);
  if (status == SOUP_STATUS_SERVICE_UNAVAILABLE)
    soup_message_headers_replace (headers, "Retry-After", RETRY_AFTER);
}

static gboolean
on_socket (int fd, GIOCondition condition, gpointer data)
{
  Viewer *viewer = data;
  char byte;
  ssize_t n = recv (fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR) && (condition & (G_IO_HUP | G_IO_ERR)) == 0)
    return G_SOURCE_CONTINUE;
  if (n > 0) {
    /* A request behind this one; it waits for its turn, and hides the end from us. */
    g_clear_pointer (&viewer->watch, g_source_unref);
    return G_SOURCE_REMOVE;
  }
  break_off (viewer);
  return G_SOURCE_REMOVE;
}

static void
watch_socket (Viewer *viewer)
{
  GSocket *socket = socket_of (viewer->message);
  int fd, idle = 30, interval = 10;

  if (socket == NULL)
    return;
  fd = g_socket_get_fd (socket);
  g_socket_set_keepalive (socket, TRUE);
  /* best effort: without them the kernel's own limits count */
  (void)setsockopt (fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  (void)setsockopt (fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  /* always: the connection may have what a request before this one set; 0 = who pauses may do so */
  idle = viewer->item->pausable ? 0 : viewer->item->live ? STALL_LIVE_MS : STALL_ON_DEMAND_MS;
  (void)setsockopt (fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &idle, sizeof idle);
  viewer->watch = g_unix_fd_source_new (fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
  g_source_set_callback (viewer->watch, G_SOURCE_FUNC (on_socket), viewer, NULL);
  g_source_attach (viewer->watch, g_main_context_get_thread_default ());
}

/* Moves the buckets on to this second, and returns the one to count into. */
static uint64_t *
bucket (Viewer *viewer)
{
  int64_t second = g_get_monotonic_time () / G_USEC_PER_SEC;

  if (second - viewer->bucket_second >= RATE_SECONDS)
    memset (viewer->buckets, 0, sizeof viewer->buckets);
  else
    for (int64_t s = viewer->bucket_second + 1; s <= second; s++)
      viewer->buckets[s % RATE_SECONDS] = 0;
  viewer->bucket_second = second;
  return &viewer->buckets[second % RATE_SECONDS];
}

static void
on_wrote (size_t n, gpointer data)
{
  Viewer *viewer = data;

  if (viewer->first_byte < 0) {
    viewer->first_byte = g_get_monotonic_time () - viewer->since;
    dlna_clients_started (viewer->media->clients, viewer->message, viewer->first_byte);
  }
  viewer->bytes += n;
  *bucket (viewer) += n;
}

static void
on_wrote_data (SoupServerMessage *message, guint n, gpointer data)
{
  on_wrote (n, data);
}

static void
on_wrote_chunk (SoupServerMessage *message, gpointer data)
{
  ask (data);
}

static void
on_finished (SoupServerMessage *message, gpointer data)
{
  viewer_close (data);
}

static void
on_next (GObject *source, GAsyncResult *result, gpointer data)
{
  Viewer *viewer = data;
  SoupMessageBody *body = soup_server_message_get_response_body (viewer->message);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = dlna_stream_next_finish (DLNA_STREAM (source), result, &error);
  int64_t n;

  viewer->asked = false;
  if (viewer->media != NULL && bytes == NULL) {
    if (viewer->left > 0)
      break_off (viewer); /* promised, and will not come */
    else
      end (viewer);
  } else if (viewer->media != NULL) {
    n = (int64_t)g_bytes_get_size (bytes);
    if (n == 0) { /* an empty chunk would end the body */
      ask (viewer);
    } else {
      if (viewer->left >= 0 && n > viewer->left) {
        GBytes *all = g_steal_pointer (&bytes);
        bytes = g_bytes_new_from_bytes (all, 0, (gsize)viewer->left);
        g_bytes_unref (all);
        n = viewer->left;
      }
      if (viewer->left >= 0)
        viewer->left -= n;
      soup_message_body_append_bytes (body, bytes);
      soup_server_message_unpause (viewer->message);
    }
  }
  viewer_unref (viewer);
}

static void
ask (Viewer *viewer)
{
  if (viewer->asked || viewer->left == 0)
    return;
  viewer->asked = true;
  dlna_stream_next_async (viewer->stream, viewer->cancellable, on_next, viewer_ref (viewer));
}

/* "npt=10.000-120.000" */
static char *
npt_range (int64_t from, int64_t until)
{
  return g_strdup_printf ("npt=%" G_GINT64_FORMAT ".%03d-%" G_GINT64_FORMAT ".%03d",
                          from / G_USEC_PER_SEC, (int)(from % G_USEC_PER_SEC / 1000),
                          until / G_USEC_PER_SEC, (int)(until % G_USEC_PER_SEC / 1000));
}

/* What GET and HEAD both say. */
static void
describe (SoupServerMessage *message, const DlnaItem *item, const DlnaQuirk *quirk)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  g_autofree char *features = dlna_profile_features (item, &quirk->style);
  const char *mode = soup_message_headers_get_one (
      soup_server_message_get_request_headers (message), "transferMode.dlna.org");

  soup_message_headers_replace (headers, "Content-Type", dlna_profile_mime (item, &quirk->style));
  soup_message_headers_replace (headers, "contentFeatures.dlna.org", features);
  soup_message_headers_replace (
      headers, "transferMode.dlna.org",
      mode != NULL && g_ascii_strcasecmp (mode, "Background") == 0 ? "Background" : "Streaming");
  if (item->live && item->until >= 0 &&
      soup_message_headers_get_one (soup_server_message_get_request_headers (message),
                                    GET_AVAILABLE) != NULL) {
    g_autofree char *range = npt_range (item->from, item->until);
    g_autofree char *text = g_strconcat ("1 ", range, NULL);
    soup_message_headers_replace (headers, AVAILABLE, text);
  }
  if (item->live) {
    soup_message_headers_replace (headers, "Accept-Ranges", "none");
    soup_message_headers_replace (headers, "Cache-Control", "no-cache");
  } else {
    soup_message_headers_replace (headers, "Accept-Ranges", "bytes");
  }
}

static void
set_endless (SoupServerMessage *message, const DlnaQuirk *quirk)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);

  if (quirk->chunked && soup_server_message_get_http_version (message) != SOUP_HTTP_1_0) {
    soup_message_headers_set_encoding (headers, SOUP_ENCODING_CHUNKED);
    return;
  }
  soup_message_headers_set_encoding (headers, SOUP_ENCODING_EOF);
  /* libsoup closes, but does not say so */
  soup_message_headers_replace (headers, "Connection", "close");
}

static void
refuse_range (SoupServerMessage *message, int64_t size)
{
  if (size >= 0) {
    g_autofree char *range = g_strdup_printf ("bytes */%" G_GINT64_FORMAT, size);
    soup_message_headers_replace (soup_server_message_get_response_headers (message),
                                  "Content-Range", range);
  }
  refuse (message, SOUP_STATUS_REQUESTED_RANGE_NOT_SATISFIABLE);
}

/* "npt=10.000-120.000/120.000 bytes=188000-2255999/2256000". All of it goes to the end; where it
 * begins may be a little before what was asked, at a picture. */
static void
tell_place (Viewer *viewer, int64_t size)
{
  int64_t all = viewer->item->duration / 1000;
  g_autofree char *range = npt_range (viewer->place.time, viewer->item->duration);
  g_autofree char *text = g_strdup_printf ("%s/%" G_GINT64_FORMAT ".%03d bytes=%" G_GINT64_FORMAT
                                           "-%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT,
                                           range, all / 1000, (int)(all % 1000),
                                           viewer->range.first, viewer->range.end - 1, size);

  soup_message_headers_replace (soup_server_message_get_response_headers (viewer->message),
                                TIME_SEEK, text);
}

/* Of what is live; its end is where it was when it was asked for. */
static void
tell_live_place (Viewer *viewer)
{
  g_autofree char *range = npt_range (viewer->place.time, viewer->item->until);
  g_autofree char *text = g_strconcat (range, "/*", NULL);

  soup_message_headers_replace (soup_server_message_get_response_headers (viewer->message),
                                TIME_SEEK, text);
}

/* Status, length and range of a response whose stream is open. false = refused. */
static bool
begin (Viewer *viewer)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (viewer->message);
  int64_t size = viewer->item->live ? -1 : dlna_stream_size (viewer->stream);
  guint status = SOUP_STATUS_OK;

  if (size < 0 && viewer->range.type != DLNA_RANGE_NONE &&
      (viewer->range.first != 0 || viewer->range.end >= 0)) {
    refuse_range (viewer->message, -1);
    return false;
  }
  if (viewer->item->live && viewer->by_time)
    tell_live_place (viewer);
  if (size < 0) {
    viewer->left = -1;
    set_endless (viewer->message, viewer->quirk);
  } else if (viewer->range.type == DLNA_RANGE_NONE) {
    viewer->left = size;
  } else {
    g_autofree char *range = NULL;
    if (!dlna_range_resolve (&viewer->range, size)) {
      refuse_range (viewer->message, size);
      return false;
    }
    range = g_strdup_printf ("bytes %" G_GINT64_FORMAT "-%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT,
                             viewer->range.first, viewer->range.end - 1, size);
    viewer->left = viewer->range.end - viewer->range.first;
    if (viewer->by_time) { /* 206 is for what Range has asked for (RFC 9110, section 15.3.7) */
      tell_place (viewer, size);
    } else {
      soup_message_headers_replace (headers, "Content-Range", range);
      status = SOUP_STATUS_PARTIAL_CONTENT;
    }
  }
  describe (viewer->message, viewer->item, viewer->quirk);
  if (size >= 0)
    soup_message_headers_set_content_length (headers, viewer->left);
  soup_server_message_set_status (viewer->message, status, NULL);
  return true;
}

static void
refuse_viewer (Viewer *viewer, const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    refuse (viewer->message, SOUP_STATUS_NOT_FOUND);
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT))
    refuse_range (viewer->message, viewer->item->size);
  else
    refuse (viewer->message, SOUP_STATUS_SERVICE_UNAVAILABLE);
}

static void
on_outlet_ended (gpointer data)
{
  viewer_close (data);
}

/* A live stream goes past libsoup, and its connection ends with it, which has to be said of chunks too
 * (RFC 9112, section 9.6). */
static void
begin_live (Viewer *viewer)
{
  static const DlnaOutletEvents events = {.wrote = on_wrote, .ended = on_outlet_ended};
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (viewer->message);
  bool chunked = soup_message_headers_get_encoding (headers) == SOUP_ENCODING_CHUNKED;

  soup_message_headers_replace (headers, "Connection", "close");
  if (viewer->watch != NULL) {
    g_source_destroy (viewer->watch);
    g_clear_pointer (&viewer->watch, g_source_unref);
  }
  viewer->outlet =
      dlna_outlet_new (viewer->media->outlets, viewer->message, socket_of (viewer->message),
                       viewer->stream, chunked, &events, viewer);
  if (viewer->outlet == NULL)
    viewer_close (viewer);
}

static void
on_open (GObject *source, GAsyncResult *result, gpointer data)
{
  Viewer *viewer = data;
  SoupServerMessage *message = viewer->message;
  g_autoptr (GError) error = NULL;
  g_autoptr (DlnaStream) stream = dlna_library_open_finish (DLNA_LIBRARY (source), result, &error);

  if (viewer->media != NULL) {
    viewer->stream = g_steal_pointer (&stream);
    if (viewer->stream != NULL && begin (viewer)) {
      if (viewer->item->live)
        begin_live (viewer);
      else if (viewer->left == 0)
        end (viewer);
      else
        ask (viewer);
    } else {
      if (viewer->stream == NULL)
        refuse_viewer (viewer, error);
      viewer_close (viewer);
      soup_server_message_unpause (message);
    }
  }
  viewer_unref (viewer);
}

static char *
viewer_name (SoupServerMessage *message)
{
  const char *host = soup_server_message_get_remote_host (message);
  const char *agent = soup_message_headers_get_one (
      soup_server_message_get_request_headers (message), "User-Agent");
  g_autofree char *kept = agent != NULL ? g_strndup (agent, MAX_AGENT) : NULL;
  g_autofree char *valid = kept != NULL ? g_utf8_make_valid (kept, -1) : NULL;

  return g_strdup_printf ("%s%s%s", host != NULL ? host : "?", valid != NULL ? " " : "",
                          valid != NULL ? valid : "");
}

static void
open_stream (Viewer *viewer)
{
  DlnaPosition position = {.type = DLNA_POSITION_LIVE, .first = 0, .end = -1, .back = viewer->back};

  if (!viewer->item->live) {
    position.type = DLNA_POSITION_BYTES;
    if (viewer->range.type == DLNA_RANGE_FROM) {
      position.first = viewer->range.first;
      position.end = viewer->range.end;
    }
  }
  if (viewer->item->live && viewer->by_time) {
    position.type = DLNA_POSITION_TIME;
    position.first = viewer->place.time;
  }
  position.viewer = viewer->name;
  dlna_library_open_async (viewer->media->library, viewer->item->id, &position, viewer->cancellable,
                           on_open, viewer_ref (viewer));
}

static void
on_located (GObject *source, GAsyncResult *result, gpointer data)
{
  Viewer *viewer = data;
  SoupServerMessage *message = viewer->message;
  g_autoptr (GError) error = NULL;
  bool found = dlna_library_locate_finish (DLNA_LIBRARY (source), result, &viewer->place, &error);

  if (viewer->media != NULL && found) {
    if (!viewer->item->live)
      viewer->range = (DlnaRange){.type = DLNA_RANGE_FROM, .first = viewer->place.byte, .end = -1};
    open_stream (viewer);
  } else if (viewer->media != NULL) {
    refuse_viewer (viewer, error);
    viewer_close (viewer);
    soup_server_message_unpause (message);
  }
  viewer_unref (viewer);
}

/* Where a request wants to begin. */
typedef struct {
  DlnaRange range;
  int64_t time; /* us, in the place of the range; -1 = none */
  int64_t back; /* us behind live */
} Wish;

static void
open_viewer (DlnaMedia *self, SoupServerMessage *message, DlnaItem *item, const Wish *wish,
             const DlnaQuirk *quirk)
{
  Viewer *viewer = g_new0 (Viewer, 1);

  viewer->references = 1;
  viewer->media = self;
  viewer->message = g_object_ref (message);
  viewer->item = item;
  viewer->range = wish->range;
  viewer->back = wish->back;
  viewer->quirk = quirk;
  viewer->cancellable = g_cancellable_new ();
  viewer->left = -1;
  viewer->name = viewer_name (message);
  viewer->since = g_get_monotonic_time ();
  viewer->first_byte = -1;
  g_ptr_array_add (self->viewers, viewer);
  g_signal_connect (message, "wrote-body-data", G_CALLBACK (on_wrote_data), viewer);
  g_signal_connect (message, "wrote-chunk", G_CALLBACK (on_wrote_chunk), viewer);
  g_signal_connect (message, "finished", G_CALLBACK (on_finished), viewer);
  soup_message_body_set_accumulate (soup_server_message_get_response_body (message), FALSE);
  soup_server_message_pause (message);
  watch_socket (viewer);
  viewer->by_time = wish->time >= 0;
  if (viewer->by_time)
    dlna_library_locate_async (self->library, item->id, wish->time, viewer->cancellable, on_located,
                               viewer_ref (viewer));
  else
    open_stream (viewer);
}

/* The item that a path names: "/media/ID.ts", exactly. A prefix of it, or something below it, is
 * not it: there are players that look into the folder of what they play, and an endless answer
 * hangs them. */
static DlnaItem *
find_item (DlnaMedia *self, const char *path)
{
  g_autofree char *id = NULL;
  g_autoptr (DlnaItem) item = NULL;
  const char *name, *dot;

  if (!g_str_has_prefix (path, "/media/"))
    return NULL;
  name = path + strlen ("/media/");
  dot = strrchr (name, '.');
  if (dot == NULL || dot == name || dot - name > MAX_ID || strchr (name, '/') != NULL ||
      !g_utf8_validate (name, -1, NULL))
    return NULL;
  id = g_strndup (name, (gsize)(dot - name));
  item = dlna_library_lookup (self->library, id, NULL);
  if (item == NULL || item->mime == NULL || item->ref_id != NULL ||
      strcmp (dot + 1, item->extension != NULL ? item->extension : "ts") != 0)
    return NULL;
  return g_steal_pointer (&item);
}

/* The DLNA headers of a request: 0 = nothing against it. */
static guint
check_headers (SoupServerMessage *message, const DlnaItem *item)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *features = soup_message_headers_get_one (headers, "getcontentFeatures.dlna.org");
  const char *mode = soup_message_headers_get_one (headers, "transferMode.dlna.org");
  const char *speed = soup_message_headers_get_one (headers, "PlaySpeed.dlna.org");
  const char *available = soup_message_headers_get_one (headers, GET_AVAILABLE);

  if ((features != NULL && strcmp (features, "1") != 0) ||
      (available != NULL && strcmp (available, "1") != 0))
    return SOUP_STATUS_BAD_REQUEST;
  /* The OP field said whether it can be cut by times, or of what is live the flags; one kind of range
   * excludes the other. */
  if (soup_message_headers_get_one (headers, TIME_SEEK) != NULL &&
      (!(item->seeks_time || item->until >= 0) ||
       soup_message_headers_get_one (headers, "Range") != NULL))
    return SOUP_STATUS_NOT_ACCEPTABLE;
  if (speed != NULL && g_ascii_strcasecmp (speed, "speed=1") != 0)
    return SOUP_STATUS_NOT_ACCEPTABLE;
  if (mode == NULL || g_ascii_strcasecmp (mode, "Streaming") == 0)
    return 0;
  if (g_ascii_strcasecmp (mode, "Background") == 0)
    return item->live ? SOUP_STATUS_NOT_ACCEPTABLE : 0;
  if (g_ascii_strcasecmp (mode, "Interactive") == 0)
    return SOUP_STATUS_NOT_ACCEPTABLE;
  return SOUP_STATUS_BAD_REQUEST;
}

/* The same headers as GET, from what the library knows; nothing is opened. RFC 9110, section 14.2:
 * a Range counts for GET only. */
static void
answer_head (SoupServerMessage *message, const DlnaItem *item, const DlnaQuirk *quirk)
{
  describe (message, item, quirk);
  if (item->live || item->size < 0)
    set_endless (message, quirk);
  else
    soup_message_headers_set_content_length (soup_server_message_get_response_headers (message),
                                             item->size);
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
}

/* time: -1 = it asks for none. false = refused. */
static bool
find_time (SoupServerMessage *message, const DlnaItem *item, int64_t *time)
{
  const char *header =
      soup_message_headers_get_one (soup_server_message_get_request_headers (message), TIME_SEEK);
  int64_t end;

  *time = -1;
  if (header == NULL)
    return true;
  if (!dlna_range_parse_time (header, time, &end)) {
    refuse (message, SOUP_STATUS_BAD_REQUEST);
    return false;
  }
  if (item->live ? *time < item->from || *time > item->until
                 : *time > 0 && *time >= item->duration) {
    refuse (message, SOUP_STATUS_REQUESTED_RANGE_NOT_SATISFIABLE);
    return false;
  }
  return true;
}

/* "?back=SECONDS". false = refused. */
static bool
find_back (SoupServerMessage *message, const DlnaItem *item, GHashTable *query, int64_t *back)
{
  const char *text = query != NULL ? g_hash_table_lookup (query, "back") : NULL;
  guint64 seconds;

  *back = 0;
  if (text == NULL)
    return true;
  if (!item->live || !g_ascii_string_to_unsigned (text, 10, 0, MAX_BACK, &seconds, NULL)) {
    refuse (message, SOUP_STATUS_BAD_REQUEST);
    return false;
  }
  *back = (int64_t)seconds * G_USEC_PER_SEC;
  return true;
}

/* false = refused. */
static bool
find_range (SoupServerMessage *message, const DlnaItem *item, const DlnaQuirk *quirk,
            DlnaRange *out)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);

  *out = dlna_range_parse (soup_message_headers_get_one (headers, "Range"));
  /* We give no validator, so none can match (RFC 9110, section 13.1.5). */
  if (soup_message_headers_get_one (headers, "If-Range") != NULL)
    out->type = DLNA_RANGE_NONE;
  if (out->type == DLNA_RANGE_NONE)
    return true;
  if (item->live) {
    if (quirk->ignores_ranges ||
        (out->type == DLNA_RANGE_FROM && out->first == 0 && out->end < 0)) {
      out->type = DLNA_RANGE_NONE;
      return true;
    }
    refuse_range (message, -1);
    return false;
  }
  if (item->size >= 0 && !dlna_range_resolve (out, item->size)) {
    refuse_range (message, item->size);
    return false;
  }
  if (out->type == DLNA_RANGE_SUFFIX) /* of nobody knows what */
    out->type = DLNA_RANGE_NONE;
  return true;
}

static void
answer (DlnaMedia *self, SoupServerMessage *message, const char *path, GHashTable *query)
{
  const char *method = soup_server_message_get_method (message);
  g_autoptr (DlnaItem) item = NULL;
  const DlnaQuirk *quirk;
  Wish wish;
  guint status;

  if (method != SOUP_METHOD_GET && method != SOUP_METHOD_HEAD) {
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                  "GET, HEAD");
    refuse (message, SOUP_STATUS_METHOD_NOT_ALLOWED);
    return;
  }
  item = find_item (self, path);
  status = item == NULL ? SOUP_STATUS_NOT_FOUND : check_headers (message, item);
  if (status != 0) {
    refuse (message, status);
    return;
  }
  quirk = dlna_quirks_of (self->quirks, message);
  if (method == SOUP_METHOD_HEAD) {
    answer_head (message, item, quirk);
  } else if (self->viewers->len >= MAX_VIEWERS) {
    refuse (message, SOUP_STATUS_SERVICE_UNAVAILABLE);
  } else if (find_range (message, item, quirk, &wish.range) &&
             find_time (message, item, &wish.time) &&
             find_back (message, item, query, &wish.back)) {
    open_viewer (self, message, g_steal_pointer (&item), &wish, quirk);
  }
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  DlnaMedia *self = data;

  answer (self, message, path, query);
  if (soup_server_message_get_status (message) != 0) /* else a viewer tells it, at its end */
    dlna_clients_note (self->clients, message, NULL);
}

DlnaMedia *
dlna_media_attach (SoupServer *server, DlnaLibrary *library, const DlnaQuirks *quirks,
                   DlnaClients *clients)
{
  DlnaMedia *self = g_new0 (DlnaMedia, 1);

  self->server = g_object_ref (server);
  self->library = g_object_ref (library);
  self->quirks = quirks;
  self->clients = clients;
  self->outlets = dlna_outlets_new ();
  self->viewers = g_ptr_array_new ();
  soup_server_add_handler (server, "/media/", on_request, self, NULL);
  return self;
}

void
dlna_media_free (DlnaMedia *self)
{
  if (self == NULL)
    return;
  soup_server_remove_handler (self->server, "/media/");
  while (self->viewers->len > 0)
    break_off (g_ptr_array_index (self->viewers, 0));
  g_ptr_array_unref (self->viewers);
  dlna_outlets_free (self->outlets);
  g_object_unref (self->library);
  g_object_unref (self->server);
  g_free (self);
}

GPtrArray *
dlna_media_viewers (DlnaMedia *self)
{
  GPtrArray *out = g_ptr_array_new_with_free_func ((GDestroyNotify)dlna_viewer_free);

  for (guint i = 0; i < self->viewers->len; i++) {
    Viewer *viewer = g_ptr_array_index (self->viewers, i);
    DlnaViewer *row = g_new0 (DlnaViewer, 1);
    uint64_t recent = 0;

    bucket (viewer);
    for (size_t b = 0; b < RATE_SECONDS; b++)
      recent += viewer->buckets[b];
    row->item_id = g_strdup (viewer->item->id);
    row->viewer = g_strdup (viewer->name);
    row->family = viewer->quirk->family;
    row->bytes = viewer->bytes;
    row->rate = recent / RATE_SECONDS;
    row->since = viewer->since;
    row->first_byte = viewer->first_byte;
    row->behind = viewer->stream != NULL ? dlna_stream_behind (viewer->stream) : -1;
    g_ptr_array_add (out, row);
  }
  return out;
}
