/* SPDX-License-Identifier: Apache-2.0 */
/* Each range is a Get of its own, which libsoup's callbacks hold until the last of them: so one that was
 * given up ends by itself, and touches nothing else. */
#include "peer/net/ranges.h"
#include "peer/net/request.h"

#define PIECE 65536 /* bytes */

typedef struct {
  NetRanges *ranges; /* NULL = given up */
  char *uri;
  uint64_t at, end, length; /* bytes */
  unsigned redirects;
  bool has_begun; /* a callback of libsoup's frees it */
  guint deadline;
  GCancellable *cancellable;
} Get;

struct NetRanges {
  char *from;
  unsigned seconds;
  const NetRangesHandler *handler;
  gpointer data;
  SoupSession *session;
  Get *get; /* NULL = none is under way; borrowed from its callbacks */
};

static void
give_up (Get *self)
{
  self->ranges->get = NULL;
  self->ranges = NULL;
  g_clear_handle_id (&self->deadline, g_source_remove);
  g_cancellable_cancel (self->cancellable);
}

static void
get_free (Get *self)
{
  g_clear_handle_id (&self->deadline, g_source_remove);
  g_object_unref (self->cancellable);
  g_free (self->uri);
  g_free (self);
}

/* Tells the caller, unless it has given up. */
static void
tell (Get *self, NetRangesResult result, const char *why)
{
  NetRanges *ranges = self->ranges;
  if (ranges == NULL)
    return;
  give_up (self);
  ranges->handler->done (result, why, ranges->data);
}

static void
end (Get *self, NetRangesResult result, const char *why)
{
  tell (self, result, why);
  get_free (self);
}

static void
end_by_error (Get *self, const GError *error)
{
  end (self, NET_RANGES_BROKEN, error->message);
}

static void
on_bytes (GObject *source, GAsyncResult *result, gpointer data)
{
  Get *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes =
      g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);
  if (bytes == NULL) {
    end_by_error (self, error);
    return;
  }
  gsize n;
  const guint8 *piece = g_bytes_get_data (bytes, &n);
  if (n > self->end - self->at) {
    end (self, NET_RANGES_USELESS, "it sends more than it was asked for");
  } else if (n > 0) {
    self->at += n;
    if (self->ranges != NULL)
      self->ranges->handler->bytes (piece, n, self->ranges->data);
    /* To the end, and so the connection serves for the next one. */
    g_input_stream_read_bytes_async (G_INPUT_STREAM (source), PIECE, G_PRIORITY_DEFAULT,
                                     self->cancellable, on_bytes, self);
  } else if (self->at < self->end) {
    end (self, NET_RANGES_BROKEN, "its answer ends too early");
  } else {
    end (self, NET_RANGES_WHOLE, NULL);
  }
}

/* NULL = it is the range that was asked for. Who has no ranges sends all of the file (RFC 9110, 14.2). */
static const char *
find_fault (const Get *self, SoupMessage *message)
{
  SoupMessageHeaders *headers = soup_message_get_response_headers (message);
  goffset first, last, length;
  if (soup_message_get_status (message) != SOUP_STATUS_PARTIAL_CONTENT)
    return "it has no byte ranges";
  if (!soup_message_headers_get_content_range (headers, &first, &last, &length))
    return "it does not say which range it sends";
  if (first < 0 || (uint64_t)first != self->at || last < first || (uint64_t)last + 1 != self->end)
    return "it sends another range than it was asked for";
  if (self->length > 0 && length >= 0 && (uint64_t)length != self->length)
    return "what it has is of another length";
  if (soup_message_headers_get_one (headers, "Content-Encoding") != NULL)
    return "it encodes what it sends";
  return NULL;
}

static void request (Get *self);

static void
redirect (Get *self, SoupMessage *message)
{
  g_autoptr (GError) error = NULL;
  char *to = net_request_redirect (message, &self->redirects, &error);
  if (to == NULL) {
    end (self, NET_RANGES_USELESS, error->message);
    return;
  }
  g_free (self->uri);
  self->uri = to;
  request (self);
}

static void
on_response (GObject *source, GAsyncResult *result, gpointer data)
{
  Get *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GInputStream) stream =
      soup_session_send_finish (SOUP_SESSION (source), result, &error);
  if (stream == NULL || self->ranges == NULL) {
    end (self, NET_RANGES_BROKEN, error != NULL ? error->message : NULL);
    return;
  }
  SoupMessage *message = soup_session_get_async_result_message (SOUP_SESSION (source), result);
  unsigned status = soup_message_get_status (message);
  if (SOUP_STATUS_IS_REDIRECTION (status)) {
    redirect (self, message);
  } else if (!SOUP_STATUS_IS_SUCCESSFUL (status)) {
    g_autofree char *why = g_strdup_printf ("it answers %u", status);
    bool may_change = SOUP_STATUS_IS_SERVER_ERROR (status) ||
                      status == SOUP_STATUS_REQUEST_TIMEOUT || status == 429; /* RFC 6585 */
    end (self, may_change ? NET_RANGES_BROKEN : NET_RANGES_ABSENT, why);
  } else {
    const char *fault = find_fault (self, message);
    if (fault != NULL)
      end (self, NET_RANGES_USELESS, fault);
    else
      g_input_stream_read_bytes_async (stream, PIECE, G_PRIORITY_DEFAULT, self->cancellable,
                                       on_bytes, self);
  }
}

static void
request (Get *self)
{
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_GET, self->uri);
  if (message == NULL) {
    end (self, NET_RANGES_USELESS, "it is no address of a file (http: or https:)");
    return;
  }
  SoupMessageHeaders *headers = soup_message_get_request_headers (message);
  soup_message_headers_set_range (headers, (goffset)self->at, (goffset)self->end - 1);
  soup_message_headers_replace (headers, "Accept-Encoding", "identity");
  soup_message_disable_feature (message, SOUP_TYPE_CONTENT_DECODER);
  soup_message_add_flags (message, SOUP_MESSAGE_NO_REDIRECT);
  net_request_guard (message, self->ranges->from);
  soup_session_send_async (self->ranges->session, message, G_PRIORITY_DEFAULT, self->cancellable,
                           on_response, self);
}

static gboolean
on_deadline (gpointer data)
{
  Get *self = data;
  g_autofree char *why = g_strdup_printf ("it takes longer than %u s", self->ranges->seconds);
  self->deadline = 0;
  tell (self, NET_RANGES_BROKEN, why);
  return G_SOURCE_REMOVE;
}

static gboolean
begin (gpointer data)
{
  Get *self = data;
  self->has_begun = true;
  self->deadline = g_timeout_add_seconds (self->ranges->seconds, on_deadline, self);
  request (self);
  return G_SOURCE_REMOVE;
}

void
net_ranges_get (NetRanges *self, const char *uri, uint64_t first, uint64_t end, uint64_t length)
{
  g_return_if_fail (self->get == NULL && first < end && end <= INT64_MAX);
  Get *get = g_new0 (Get, 1);
  get->ranges = self;
  get->uri = g_strdup (uri);
  get->at = first;
  get->end = end;
  get->length = length;
  get->cancellable = g_cancellable_new ();
  self->get = get;
  get->deadline = g_idle_add_full (G_PRIORITY_DEFAULT, begin, get, NULL);
}

bool
net_ranges_is_busy (const NetRanges *self)
{
  return self->get != NULL;
}

void
net_ranges_cancel (NetRanges *self)
{
  Get *get = self->get;
  if (get == NULL)
    return;
  give_up (get);
  if (!get->has_begun)
    get_free (get);
}

NetRanges *
net_ranges_new (const char *from, const char *agent, unsigned seconds,
                const NetRangesHandler *handler, gpointer data)
{
  NetRanges *self = g_new0 (NetRanges, 1);
  self->from = g_strdup (from);
  self->seconds = seconds;
  self->handler = handler;
  self->data = data;
  self->session = soup_session_new_with_options ("timeout", MAX (seconds / 4, 1), "idle-timeout",
                                                 30, "max-conns", 2, "max-conns-per-host", 1,
                                                 "user-agent", agent, "proxy-resolver", NULL, NULL);
  return self;
}

void
net_ranges_free (NetRanges *self)
{
  if (self == NULL)
    return;
  net_ranges_cancel (self);
  soup_session_abort (self->session);
  g_object_unref (self->session);
  g_free (self->from);
  g_free (self);
}
