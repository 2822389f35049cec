/* SPDX-License-Identifier: Apache-2.0 */
/* One request at a time. When it fails or ends, the next one waits 250 ms, and twice as long after
 * each one that brought nothing, up to 30 s; a stream that was good for 10 s begins anew at 250 ms.
 * What is logged is a change: the first failure of a row, and that it is good again. */
#include "peer/origin/pull.h"

#include <libsoup/soup.h>
#include <string.h>

#define PIECE 65536        /* bytes */
#define WAIT_FIRST 250     /* ms */
#define WAIT_MAX 30000     /* ms */
#define GOOD_TIME 10000000 /* us */
#define TIMEOUT 10         /* s without a byte */

struct OriginPull {
  OriginContent *content;
  SoupSession *session;
  GCancellable *cancellable; /* of the request now in the air */
  GInputStream *stream;
  guint timer;
  guint wait; /* ms */
  int64_t began;
  bool connected, told;
};

static void fetch (OriginPull *self);

static gboolean
on_timer (gpointer data)
{
  OriginPull *self = data;

  self->timer = 0;
  fetch (self);
  return G_SOURCE_REMOVE;
}

static void
close_stream (OriginPull *self)
{
  if (self->connected)
    origin_content_end (self->content);
  self->connected = false;
  g_clear_object (&self->stream);
  g_clear_object (&self->cancellable);
}

static void
again (OriginPull *self, const char *why)
{
  if (self->connected && g_get_monotonic_time () - self->began >= GOOD_TIME)
    self->wait = WAIT_FIRST;
  close_stream (self);
  if (origin_content_has_ended (self->content))
    return; /* a broadcast that is over takes nothing any more */
  if (!self->told)
    g_message ("channel %s: %s: %s; trying again", origin_content_id (self->content),
               origin_content_source (self->content), why);
  self->told = true;
  origin_content_set_source_error (self->content, why);
  /* Not all at the same time, when a server that feeds many comes back. */
  self->timer = g_timeout_add (self->wait + (guint)g_random_int_range (0, (gint)self->wait / 4),
                               on_timer, self);
  self->wait = MIN (self->wait * 2, WAIT_MAX);
}

static void
on_bytes (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes =
      g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);
  OriginPull *self = data;
  OriginIngestResult taken;
  gsize n;
  const uint8_t *data_of;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* self may be gone */
  if (bytes == NULL) {
    again (self, error->message);
    return;
  }
  data_of = g_bytes_get_data (bytes, &n);
  if (n == 0) {
    again (self, "the stream ended");
    return;
  }
  taken = origin_content_feed (self->content, data_of, n);
  if (taken != ORIGIN_INGEST_OK) {
    again (self, taken == ORIGIN_INGEST_NOT_TS ? "this is no MPEG transport stream"
                                               : "the record of signed chunks cannot be written");
    return;
  }
  if (self->told && g_get_monotonic_time () - self->began >= GOOD_TIME) {
    g_message ("channel %s: %s is good again", origin_content_id (self->content),
               origin_content_source (self->content));
    self->told = false;
  }
  origin_content_set_source_error (self->content, NULL);
  g_input_stream_read_bytes_async (self->stream, PIECE, G_PRIORITY_DEFAULT, self->cancellable,
                                   on_bytes, self);
}

static void
on_sent (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GInputStream) stream =
      soup_session_send_finish (SOUP_SESSION (source), result, &error);
  OriginPull *self = data;
  SoupMessage *message;
  guint status;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  if (stream == NULL) {
    again (self, error->message);
    return;
  }
  message = soup_session_get_async_result_message (SOUP_SESSION (source), result);
  status = soup_message_get_status (message);
  if (status != SOUP_STATUS_OK) {
    g_autofree char *why =
        g_strdup_printf ("the server says %u %s", status, soup_message_get_reason_phrase (message));

    again (self, why);
    return;
  }
  self->stream = g_steal_pointer (&stream);
  self->connected = true;
  self->began = g_get_monotonic_time ();
  origin_content_begin (self->content);
  g_input_stream_read_bytes_async (self->stream, PIECE, G_PRIORITY_DEFAULT, self->cancellable,
                                   on_bytes, self);
}

static void
fetch (OriginPull *self)
{
  g_autoptr (SoupMessage) message =
      soup_message_new (SOUP_METHOD_GET, origin_content_source (self->content));

  if (message == NULL) {
    again (self, "this is no URI that can be fetched");
    return;
  }
  self->cancellable = g_cancellable_new ();
  soup_session_send_async (self->session, message, G_PRIORITY_DEFAULT, self->cancellable, on_sent,
                           self);
}

OriginPull *
origin_pull_new (OriginContent *content)
{
  OriginPull *self = g_new0 (OriginPull, 1);

  self->content = content;
  self->wait = WAIT_FIRST;
  /* No proxy: the default asks a library that runs whatever the desktop has set up. */
  self->session = soup_session_new_with_options (
      "timeout", TIMEOUT, "user-agent", "ppsp-origin/" PPSP_VERSION, "proxy-resolver", NULL, NULL);
  fetch (self);
  return self;
}

void
origin_pull_free (OriginPull *self)
{
  if (self->timer != 0)
    g_source_remove (self->timer);
  if (self->cancellable != NULL)
    g_cancellable_cancel (self->cancellable);
  close_stream (self);
  g_object_unref (self->session);
  g_free (self);
}
