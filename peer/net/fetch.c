/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/fetch.h"
#include "peer/net/request.h"

#define PIECE 65536 /* bytes */
#define SILENCE_S 10

struct NetFetch {
  char *location;
  char *agent;
  char *list; /* that names it; NULL = the operator does */
  size_t max;
  unsigned seconds;
  NetFetchFunc func;
  gpointer data;
  SoupSession *session;
  GCancellable *cancellable; /* whoever is called back with it cancelled touches nothing */
  GByteArray *body;
  unsigned redirects;
  guint begin, deadline;
};

static void
finish (NetFetch *self, bool is_cut, const GError *error)
{
  g_autoptr (GByteArray) body = g_steal_pointer (&self->body);
  g_autoptr (GBytes) text =
      error == NULL ? g_byte_array_free_to_bytes (g_steal_pointer (&body)) : NULL;
  g_clear_handle_id (&self->deadline, g_source_remove);
  self->func (text, is_cut, error, self->data);
}

static void
fail (NetFetch *self, const char *why)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, why);
  finish (self, false, error);
}

static bool
is_cancelled (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void on_bytes (GObject *source, GAsyncResult *result, gpointer data);

static void
read_on (NetFetch *self, GInputStream *stream)
{
  g_input_stream_read_bytes_async (stream, PIECE, G_PRIORITY_LOW, self->cancellable, on_bytes,
                                   self);
}

static void
on_bytes (GObject *source, GAsyncResult *result, gpointer data)
{
  NetFetch *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes =
      g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);
  if (bytes == NULL) {
    if (!is_cancelled (error))
      finish (self, false, error);
    return;
  }
  gsize n;
  const guint8 *piece = g_bytes_get_data (bytes, &n);
  bool is_cut = n > self->max - self->body->len;
  g_byte_array_append (self->body, piece, (guint)MIN (n, self->max - self->body->len));
  if (n > 0 && !is_cut)
    read_on (self, G_INPUT_STREAM (source));
  else
    finish (self, is_cut, NULL);
}

static void
on_file (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GFileInputStream) stream = g_file_read_finish (G_FILE (source), result, &error);
  if (stream != NULL)
    read_on (data, G_INPUT_STREAM (stream));
  else if (!is_cancelled (error))
    finish (data, false, error);
}

static void request (NetFetch *self);

static void
redirect (NetFetch *self, SoupMessage *message)
{
  g_autoptr (GError) error = NULL;
  char *to = net_request_redirect (message, &self->redirects, &error);
  if (to == NULL) {
    finish (self, false, error);
    return;
  }
  g_free (self->location);
  self->location = to;
  request (self);
}

static void
on_response (GObject *source, GAsyncResult *result, gpointer data)
{
  NetFetch *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GInputStream) stream =
      soup_session_send_finish (SOUP_SESSION (source), result, &error);
  if (stream == NULL) {
    if (!is_cancelled (error))
      finish (self, false, error);
    return;
  }
  SoupMessage *message = soup_session_get_async_result_message (SOUP_SESSION (source), result);
  SoupStatus status = soup_message_get_status (message);
  if (SOUP_STATUS_IS_REDIRECTION (status)) {
    redirect (self, message);
  } else if (!SOUP_STATUS_IS_SUCCESSFUL (status)) {
    g_autofree char *why = g_strdup_printf ("the server answered %u", status);
    fail (self, why);
  } else {
    read_on (self, stream);
  }
}

static void
request (NetFetch *self)
{
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_GET, self->location);
  if (message == NULL) {
    fail (self, "is no address of a list (http:, https: or file:)");
    return;
  }
  if (self->session == NULL)
    self->session =
        soup_session_new_with_options ("timeout", SILENCE_S, "idle-timeout", 1, "max-conns", 2,
                                       "user-agent", self->agent, "proxy-resolver", NULL, NULL);
  soup_message_add_flags (message, SOUP_MESSAGE_NO_REDIRECT);
  if (self->list != NULL) {
    soup_message_headers_replace (soup_message_get_request_headers (message), "Connection",
                                  "close");
    net_request_guard (message, self->list);
  }
  soup_session_send_async (self->session, message, G_PRIORITY_LOW, self->cancellable, on_response,
                           self);
}

static gboolean
on_deadline (gpointer data)
{
  NetFetch *self = data;
  g_autofree char *why = g_strdup_printf ("did not come within %u s", self->seconds);
  self->deadline = 0;
  g_cancellable_cancel (self->cancellable);
  fail (self, why);
  return G_SOURCE_REMOVE;
}

static gboolean
begin (gpointer data)
{
  NetFetch *self = data;
  self->begin = 0;
  self->deadline = g_timeout_add_seconds (self->seconds, on_deadline, self);
  bool is_file = g_str_has_prefix (self->location, "file:");
  if (is_file && self->list != NULL && !g_str_has_prefix (self->list, "file:")) {
    fail (self, "is a file, which a list from elsewhere cannot name");
  } else if (is_file) {
    g_autoptr (GFile) file = g_file_new_for_uri (self->location);
    g_file_read_async (file, G_PRIORITY_LOW, self->cancellable, on_file, self);
  } else {
    request (self);
  }
  return G_SOURCE_REMOVE;
}

NetFetch *
net_fetch_new (const char *uri, size_t max, unsigned seconds, const char *agent, NetFetchFunc func,
               gpointer data)
{
  NetFetch *self = g_new0 (NetFetch, 1);
  self->location = g_strdup (uri);
  self->agent = g_strdup (agent);
  self->max = max;
  self->seconds = seconds;
  self->func = func;
  self->data = data;
  self->cancellable = g_cancellable_new ();
  self->body = g_byte_array_new ();
  self->begin = g_idle_add_full (G_PRIORITY_LOW, begin, self, NULL);
  return self;
}

void
net_fetch_for_list (NetFetch *self, const char *list)
{
  self->list = g_strdup (list);
}

void
net_fetch_free (NetFetch *self)
{
  if (self == NULL)
    return;
  g_clear_handle_id (&self->begin, g_source_remove);
  g_clear_handle_id (&self->deadline, g_source_remove);
  g_cancellable_cancel (self->cancellable);
  g_object_unref (self->cancellable);
  if (self->session != NULL)
    soup_session_abort (self->session);
  g_clear_object (&self->session);
  g_clear_pointer (&self->body, g_byte_array_unref);
  g_free (self->location);
  g_free (self->agent);
  g_free (self->list);
  g_free (self);
}
