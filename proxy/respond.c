/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/respond.h"
#include <string.h>

static const char policy[] = "default-src 'self'; object-src 'none'; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'none'";

static void
set_headers (SoupServerMessage *message, const char *cache)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  soup_message_headers_replace (headers, "Content-Security-Policy", policy);
  soup_message_headers_replace (headers, "X-Content-Type-Options", "nosniff");
  soup_message_headers_replace (headers, "X-Frame-Options", "DENY");
  soup_message_headers_replace (headers, "Referrer-Policy", "no-referrer");
  soup_message_headers_replace (headers, "Cross-Origin-Resource-Policy", "same-origin");
  soup_message_headers_replace (headers, "Cache-Control", cache);
}

static bool
is_head (SoupServerMessage *message)
{
  return g_str_equal (soup_server_message_get_method (message), "HEAD");
}

static void
respond_bytes (SoupServerMessage *message, unsigned status, const char *type, GBytes *bytes)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  soup_server_message_set_status (message, status, NULL);
  soup_message_headers_replace (headers, "Content-Type", type);
  if (is_head (message))
    soup_message_headers_set_content_length (headers, (goffset)g_bytes_get_size (bytes));
  else
    soup_message_body_append_bytes (soup_server_message_get_response_body (message), bytes);
}

void
proxy_respond (SoupServerMessage *message, unsigned status, const char *type, GString *body)
{
  g_autoptr (GBytes) bytes = g_string_free_to_bytes (body);
  set_headers (message, "no-store");
  respond_bytes (message, status, type, bytes);
}

typedef struct {
  ProxyRespondNext next;
  gpointer data;
  GDestroyNotify destroy;
} Pieces;

static void
pieces_free (gpointer data)
{
  Pieces *self = data;
  self->destroy (self->data);
  g_free (self);
}

static void
send_next (SoupServerMessage *message, Pieces *self)
{
  SoupMessageBody *body = soup_server_message_get_response_body (message);
  GString *piece = self->next (self->data);
  if (!piece) {
    soup_message_body_complete (body);
    return;
  }
  g_autoptr (GBytes) bytes = g_string_free_to_bytes (piece);
  soup_message_body_append_bytes (body, bytes);
}

void
proxy_respond_pieces (SoupServerMessage *message, const char *type, ProxyRespondNext next,
                      gpointer data, GDestroyNotify destroy)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  Pieces *self = g_new0 (Pieces, 1);
  *self = (Pieces){next, data, destroy};
  g_object_set_data_full (G_OBJECT (message), "pieces", self, pieces_free);
  set_headers (message, "no-store");
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_message_headers_replace (headers, "Content-Type", type);
  soup_message_headers_set_encoding (headers, SOUP_ENCODING_CHUNKED);
  if (soup_server_message_get_http_version (message) == SOUP_HTTP_1_0) {
    soup_message_headers_set_encoding (headers, SOUP_ENCODING_EOF);
    soup_message_headers_replace (headers, "Connection", "close");
  }
  if (is_head (message))
    return;
  soup_message_body_set_accumulate (soup_server_message_get_response_body (message), FALSE);
  g_signal_connect (message, "wrote-chunk", G_CALLBACK (send_next), self);
  send_next (message, self);
}

void
proxy_respond_error (SoupServerMessage *message, unsigned status, const char *text)
{
  GString *body = g_string_new ("{");
  proxy_json_text (body, "error", text);
  g_string_append (body, "}\n");
  proxy_respond (message, status, "application/json", body);
}

void
proxy_respond_static (SoupServerMessage *message, const char *type, GBytes *bytes)
{
  g_autofree char *tag = g_strdup_printf ("\"%s-%x\"", PPSP_VERSION, g_bytes_hash (bytes));
  SoupMessageHeaders *request = soup_server_message_get_request_headers (message);
  const char *known = soup_message_headers_get_one (request, "If-None-Match");
  set_headers (message, "no-cache");
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "ETag", tag);
  if (g_strcmp0 (known, tag) == 0)
    soup_server_message_set_status (message, SOUP_STATUS_NOT_MODIFIED, NULL);
  else
    respond_bytes (message, SOUP_STATUS_OK, type, bytes);
}

void
proxy_respond_not_allowed (SoupServerMessage *message, const char *allow, const char *text)
{
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow", allow);
  proxy_respond_error (message, SOUP_STATUS_METHOD_NOT_ALLOWED, text);
}

bool
proxy_respond_reads_only (SoupServerMessage *message, const char *allow)
{
  const char *method = soup_server_message_get_method (message);
  if (g_str_equal (method, "GET") || g_str_equal (method, "HEAD"))
    return true;
  proxy_respond_not_allowed (message, allow, "this address does not take that");
  return false;
}

static bool
is_own_origin (const char *origin, const char *host)
{
  const char *rest = NULL;
  if (g_str_has_prefix (origin, "http://"))
    rest = origin + strlen ("http://");
  else if (g_str_has_prefix (origin, "https://"))
    rest = origin + strlen ("https://");
  return rest && host && g_ascii_strcasecmp (rest, host) == 0;
}

bool
proxy_respond_may_change (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *mark = soup_message_headers_get_one (headers, "X-PPSP");
  const char *type = soup_message_headers_get_content_type (headers, NULL);
  const char *origin = soup_message_headers_get_one (headers, "Origin");
  const char *site = soup_message_headers_get_one (headers, "Sec-Fetch-Site");
  const char *host = soup_message_headers_get_one (headers, "Host");
  const char *wrong = NULL;
  if (g_strcmp0 (mark, "1") != 0)
    wrong = "changes need the header X-PPSP: 1";
  else if (!type || g_ascii_strcasecmp (type, "application/json") != 0)
    wrong = "changes need Content-Type: application/json";
  else if (origin && !is_own_origin (origin, host))
    wrong = "changes are not taken from another site";
  else if (site && !g_str_equal (site, "same-origin") && !g_str_equal (site, "none"))
    wrong = "changes are not taken from another site";
  if (wrong)
    proxy_respond_error (message, SOUP_STATUS_FORBIDDEN, wrong);
  return wrong == NULL;
}

void
proxy_json_string (GString *out, const char *text)
{
  if (!text) {
    g_string_append (out, "null");
    return;
  }
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_string_append_c (out, '"');
  for (const char *c = valid; *c; c++) {
    if (*c == '"' || *c == '\\')
      g_string_append_c (out, '\\');
    if ((guchar)*c < 0x20)
      g_string_append_printf (out, "\\u%04x", (guchar)*c);
    else
      g_string_append_c (out, *c);
  }
  g_string_append_c (out, '"');
}

void
proxy_json_key (GString *out, const char *key)
{
  char last = out->len > 0 ? out->str[out->len - 1] : '{';
  if (last != '{' && last != '[')
    g_string_append_c (out, ',');
  if (key)
    g_string_append_printf (out, "\"%s\":", key);
}

void
proxy_json_text (GString *out, const char *key, const char *text)
{
  proxy_json_key (out, key);
  proxy_json_string (out, text);
}

void
proxy_json_number (GString *out, const char *key, int64_t number)
{
  proxy_json_key (out, key);
  g_string_append_printf (out, "%" G_GINT64_FORMAT, number);
}

void
proxy_json_bool (GString *out, const char *key, bool value)
{
  proxy_json_key (out, key);
  g_string_append (out, value ? "true" : "false");
}
