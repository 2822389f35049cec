/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/cli/list.h"

#include <libsoup/soup.h>
#include <string.h>

#define PIECE 65536   /* bytes */
#define PATIENCE_S 20 /* without a byte */
#define SCHEME "ppsp:"

struct CliList {
  char *uri;
  CliListFunc func;
  gpointer data;
  SoupSession *session;
  GCancellable *cancellable; /* NULL = nothing is under way */
  GByteArray *body;
};

CliList *
cli_list_new (const char *uri, CliListFunc func, gpointer data)
{
  CliList *self = g_new0 (CliList, 1);
  self->uri = g_strdup (uri);
  self->func = func;
  self->data = data;
  return self;
}

void
cli_list_free (CliList *self)
{
  if (self == NULL)
    return;
  if (self->cancellable != NULL)
    g_cancellable_cancel (self->cancellable); /* whose callback sees that and touches nothing */
  g_clear_object (&self->cancellable);
  if (self->session != NULL)
    soup_session_abort (self->session);
  g_clear_object (&self->session);
  g_clear_pointer (&self->body, g_byte_array_unref);
  g_free (self->uri);
  g_free (self);
}

const char *
cli_list_uri (const CliList *self)
{
  return self->uri;
}

GPtrArray *
cli_list_parse (const char *text, size_t n)
{
  GPtrArray *links = g_ptr_array_new_with_free_func (g_free);
  for (const char *line = text, *end = text + n; line < end;) {
    const char *stop = memchr (line, '\n', (size_t)(end - line));
    g_autofree char *copy = g_strndup (line, (size_t)((stop != NULL ? stop : end) - line));
    g_strstrip (copy);
    if (g_str_has_prefix (copy, SCHEME))
      g_ptr_array_add (links, g_steal_pointer (&copy));
    line = stop != NULL ? stop + 1 : end;
  }
  return links;
}

/* Of a list that is too long, all whole lines: half a link may be a link too. */
static size_t
whole_lines (const GByteArray *body)
{
  size_t n = body->len;
  while (body->len == CLI_LIST_MAX && n > 0 && body->data[n - 1] != '\n')
    n--;
  return n;
}

static void
finish (CliList *self, const GError *error)
{
  g_autoptr (GByteArray) body = g_steal_pointer (&self->body);
  g_autoptr (GPtrArray) links = NULL;
  g_clear_object (&self->cancellable);
  if (error == NULL)
    links = cli_list_parse ((const char *)body->data, whole_lines (body));
  self->func (links, error, self->data);
}

static void
on_bytes (GObject *source, GAsyncResult *result, gpointer data)
{
  CliList *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes =
      g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  gsize n = 0;
  const guint8 *piece = bytes != NULL ? g_bytes_get_data (bytes, &n) : NULL;
  n = MIN (n, CLI_LIST_MAX - self->body->len);
  if (error != NULL || n == 0) {
    finish (self, error);
    return;
  }
  g_byte_array_append (self->body, piece, (guint)n);
  g_input_stream_read_bytes_async (G_INPUT_STREAM (source), PIECE, G_PRIORITY_LOW,
                                   self->cancellable, on_bytes, self);
}

static void
begin (CliList *self, GInputStream *stream, const GError *error)
{
  if (stream == NULL) {
    finish (self, error);
    return;
  }
  g_input_stream_read_bytes_async (stream, PIECE, G_PRIORITY_LOW, self->cancellable, on_bytes,
                                   self);
}

static void
on_opened (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GFileInputStream) stream = g_file_read_finish (G_FILE (source), result, &error);
  if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    begin (data, stream != NULL ? G_INPUT_STREAM (stream) : NULL, error);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GInputStream) stream =
      soup_session_send_finish (SOUP_SESSION (source), result, &error);
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  SoupMessage *message = soup_session_get_async_result_message (SOUP_SESSION (source), result);
  if (stream != NULL && soup_message_get_status (message) != SOUP_STATUS_OK) {
    g_clear_object (&stream);
    error =
        g_error_new (G_IO_ERROR, G_IO_ERROR_FAILED, "the server says %u %s",
                     soup_message_get_status (message), soup_message_get_reason_phrase (message));
  }
  begin (data, stream, error);
}

void
cli_list_fetch (CliList *self)
{
  if (self->cancellable != NULL)
    return;
  self->cancellable = g_cancellable_new ();
  self->body = g_byte_array_new ();
  if (g_str_has_prefix (self->uri, "file:")) {
    g_autoptr (GFile) file = g_file_new_for_uri (self->uri);
    g_file_read_async (file, G_PRIORITY_LOW, self->cancellable, on_opened, self);
    return;
  }
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_GET, self->uri);
  if (message == NULL) {
    g_autoptr (GError) error = g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                                            "no address that begins with http:, https: or file:");
    finish (self, error);
    return;
  }
  if (self->session == NULL)
    self->session =
        soup_session_new_with_options ("timeout", PATIENCE_S, "user-agent", "ppsp-peer", NULL);
  soup_session_send_async (self->session, message, G_PRIORITY_LOW, self->cancellable, on_answer,
                           self);
}
