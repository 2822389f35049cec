/* SPDX-License-Identifier: Apache-2.0 */
/* A device of the LAN answers, and may answer anything: so what it sends is read piece by piece up to
 * a limit, and no redirect of it is followed. */

#include "dlna/soap.h"
#include "dlna/didl.h"
#include "dlna/xml.h"
#include <string.h>

#define MAX_ANSWER (256 * 1024) /* bytes */
#define MAX_ARGUMENTS 32        /* of an answer */
#define TIMEOUT_S 5
#define PIECE 16384

G_DEFINE_QUARK (dlna - soap - error, dlna_soap_error)

SoupSession *
dlna_soap_session_new (void)
{
  return soup_session_new_with_options ("timeout", TIMEOUT_S, "idle-timeout", 5, "max-conns", 16,
                                        "max-conns-per-host", 2, "user-agent",
                                        "ppsp-proxy/" PPSP_VERSION " UPnP/1.0 DLNADOC/1.50",
                                        "proxy-resolver", NULL, NULL);
}

typedef struct {
  SoupMessage *message;
  GCancellable *cancellable; /* ours: that of the caller, or the deadline, cancels it */
  GCancellable *callers;
  gulong linked;
  guint deadline;
  bool late;
  GByteArray *body;
  DlnaSoapFetched done;
  gpointer data;
} Fetch;

static void
fetch_end (Fetch *fetch, GBytes *bytes, const GError *error)
{
  bool unwanted = fetch->callers != NULL && g_cancellable_is_cancelled (fetch->callers);

  if (fetch->deadline != 0)
    g_source_remove (fetch->deadline);
  if (!unwanted && fetch->late) {
    g_autoptr (GError) late =
        g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "it did not answer in time");
    fetch->done (fetch->message, NULL, late, fetch->data);
  } else if (!unwanted) {
    fetch->done (fetch->message, bytes, error, fetch->data);
  }
  if (fetch->linked != 0)
    g_cancellable_disconnect (fetch->callers, fetch->linked);
  g_clear_object (&fetch->callers);
  g_object_unref (fetch->cancellable);
  g_object_unref (fetch->message);
  g_byte_array_unref (fetch->body);
  g_free (fetch);
}

static void
on_piece (GObject *source, GAsyncResult *result, gpointer data)
{
  Fetch *fetch = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) piece =
      g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);
  gsize n = 0;
  const guint8 *bytes = piece != NULL ? g_bytes_get_data (piece, &n) : NULL;

  if (piece != NULL && fetch->body->len + n > MAX_ANSWER)
    error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                                 "its answer is longer than we read");
  if (error != NULL) {
    fetch_end (fetch, NULL, error);
  } else if (n > 0) {
    g_byte_array_append (fetch->body, bytes, (guint)n);
    g_input_stream_read_bytes_async (G_INPUT_STREAM (source), PIECE, G_PRIORITY_DEFAULT,
                                     fetch->cancellable, on_piece, fetch);
  } else {
    g_autoptr (GBytes) all = g_bytes_new (fetch->body->data, fetch->body->len);
    fetch_end (fetch, all, NULL);
  }
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  Fetch *fetch = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GInputStream) stream =
      soup_session_send_finish (SOUP_SESSION (source), result, &error);

  if (stream == NULL)
    fetch_end (fetch, NULL, error);
  else
    g_input_stream_read_bytes_async (stream, PIECE, G_PRIORITY_DEFAULT, fetch->cancellable,
                                     on_piece, fetch);
}

static gboolean
on_deadline (gpointer data)
{
  Fetch *fetch = data;

  fetch->deadline = 0;
  fetch->late = true;
  g_cancellable_cancel (fetch->cancellable);
  return G_SOURCE_REMOVE;
}

static void
on_cancelled (GCancellable *callers, gpointer data)
{
  g_cancellable_cancel (data);
}

void
dlna_soap_send (SoupSession *session, SoupMessage *message, GCancellable *cancellable,
                DlnaSoapFetched done, gpointer data)
{
  Fetch *fetch = g_new0 (Fetch, 1);

  fetch->message = g_object_ref (message);
  fetch->cancellable = g_cancellable_new ();
  fetch->body = g_byte_array_new ();
  fetch->done = done;
  fetch->data = data;
  fetch->deadline = g_timeout_add_seconds (TIMEOUT_S, on_deadline, fetch);
  soup_message_add_flags (message, SOUP_MESSAGE_NO_REDIRECT);
  soup_session_send_async (session, message, G_PRIORITY_DEFAULT, fetch->cancellable, on_answer,
                           fetch);
  if (cancellable != NULL) {
    fetch->callers = g_object_ref (cancellable);
    fetch->linked = g_cancellable_connect (cancellable, G_CALLBACK (on_cancelled),
                                           g_object_ref (fetch->cancellable), g_object_unref);
  }
}

/* --- actions --- */

typedef struct {
  char *action;
  DlnaSoapAnswered done;
  gpointer data;
} Call;

static GHashTable *
read_response (const xmlNode *body, const char *action)
{
  g_autofree char *name = g_strconcat (action, "Response", NULL);
  const xmlNode *response = dlna_xml_child (body, name);
  GHashTable *out;

  if (response == NULL)
    return NULL;
  out = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  /* The first of a name counts, and is copied once: an answer may have it ten thousand times. */
  for (const xmlNode *node = response->children;
       node != NULL && g_hash_table_size (out) < MAX_ARGUMENTS; node = node->next)
    if (node->type == XML_ELEMENT_NODE && !g_hash_table_contains (out, node->name))
      g_hash_table_insert (out, g_strdup ((const char *)node->name),
                           dlna_xml_text (response, (const char *)node->name));
  return out;
}

static GError *
read_fault (const xmlNode *body)
{
  const xmlNode *fault =
      dlna_xml_child (dlna_xml_child (dlna_xml_child (body, "Fault"), "detail"), "UPnPError");
  g_autofree char *code = dlna_xml_text (fault, "errorCode");
  g_autofree char *text = dlna_xml_text (fault, "errorDescription");

  if (code == NULL)
    return NULL;
  return g_error_new (DLNA_SOAP_ERROR, (int)g_ascii_strtoll (code, NULL, 10), "it answers %s (%s)",
                      text != NULL && text[0] != '\0' ? text : "an error", code);
}

static void
on_fetched (SoupMessage *message, GBytes *bytes, const GError *error, gpointer data)
{
  Call *call = data;
  g_autoptr (GError) fault = NULL;
  g_autoptr (GHashTable) out = NULL;
  guint status = soup_message_get_status (message);

  if (bytes != NULL) {
    gsize n;
    const char *text = g_bytes_get_data (bytes, &n);
    g_autoptr (DlnaXml) doc = dlna_xml_parse (text, n);
    const xmlNode *body = dlna_xml_child (dlna_xml_root (doc, "Envelope"), "Body");
    if (status == SOUP_STATUS_OK)
      out = read_response (body, call->action);
    else
      fault = read_fault (body);
    if (out == NULL && fault == NULL)
      fault = g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "it answers %u to %s", status,
                           call->action);
  } else {
    fault = g_error_copy (error);
  }
  call->done (out, fault, call->data);
}

static void
call_free (gpointer data)
{
  Call *call = data;

  g_free (call->action);
  g_free (call);
}

void
dlna_soap_call (SoupSession *session, const char *url, const char *service, const char *action,
                const char *const *arguments, GCancellable *cancellable, DlnaSoapAnswered done,
                gpointer data)
{
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_POST, url);
  g_autoptr (GString) body =
      g_string_new ("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<s:Envelope "
                    "xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
                    "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>");
  g_autofree char *name = g_strdup_printf ("\"%s#%s\"", service, action);
  g_autoptr (GBytes) bytes = NULL;
  Call *call = g_new0 (Call, 1);

  g_string_append_printf (body, "<u:%s xmlns:u=\"%s\">", action, service);
  for (; *arguments != NULL; arguments += 2) {
    g_string_append_printf (body, "<%s>", arguments[0]);
    dlna_didl_escape (body, arguments[1]);
    g_string_append_printf (body, "</%s>", arguments[0]);
  }
  g_string_append_printf (body, "</u:%s></s:Body></s:Envelope>", action);
  bytes = g_string_free_to_bytes (g_steal_pointer (&body));
  soup_message_set_request_body_from_bytes (message, "text/xml; charset=\"utf-8\"", bytes);
  soup_message_headers_replace (soup_message_get_request_headers (message), "SOAPAction", name);
  call->action = g_strdup (action);
  call->done = done;
  call->data = data;
  /* it goes with the message, which is the last to go in every case */
  g_object_set_data_full (G_OBJECT (message), "dlna-call", call, call_free);
  dlna_soap_send (session, message, cancellable, on_fetched, call);
}
