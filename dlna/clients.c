/* SPDX-License-Identifier: Apache-2.0 */
#include "dlna/clients.h"
#include "dlna/xml.h"
#include <string.h>

#define MAX_TEXT 160 /* bytes, of what comes from outside */

struct DlnaClients {
  const DlnaQuirks *quirks;
  GPtrArray *list; /* DlnaClient, in the order in which they were heard */
};

static void
event_free (gpointer data)
{
  DlnaClientEvent *event = data;

  g_free (event->what);
  g_free (event);
}

static void
client_free (gpointer data)
{
  DlnaClient *client = data;

  g_queue_clear_full (&client->events, event_free);
  g_free (client->address);
  g_free (client->agent);
  g_free (client->info);
  g_free (client);
}

DlnaClients *
dlna_clients_new (const DlnaQuirks *quirks)
{
  DlnaClients *self = g_new0 (DlnaClients, 1);

  self->quirks = quirks;
  self->list = g_ptr_array_new_with_free_func (client_free);
  return self;
}

void
dlna_clients_free (DlnaClients *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->list);
  g_free (self);
}

/* Some of a text from outside, on one line. */
static char *
line_of (const char *text)
{
  g_autofree char *some = g_strndup (text != NULL ? text : "", MAX_TEXT);
  char *line = g_utf8_make_valid (some, -1);

  for (char *c = line; *c != '\0'; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f)
      *c = ' ';
  return line;
}

/* --- who --- */

/* Whoever of that address was heard longest ago, if it has that many; else of all. */
static void
make_room (DlnaClients *self, const char *address)
{
  guint alike = 0, oldest = 0;

  for (guint i = self->list->len; i > 0; i--) {
    const DlnaClient *client = self->list->pdata[i - 1];
    if (strcmp (client->address, address) != 0)
      continue;
    alike++;
    oldest = i - 1;
  }
  if (alike >= DLNA_CLIENTS_MAX_ALIKE)
    g_ptr_array_remove_index (self->list, oldest);
  else if (self->list->len >= DLNA_CLIENTS_MAX)
    g_ptr_array_remove_index (self->list, 0);
}

static DlnaClient *
find (DlnaClients *self, SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  g_autofree char *agent = line_of (soup_message_headers_get_one (headers, "User-Agent"));
  g_autofree char *info = line_of (soup_message_headers_get_one (headers, "X-AV-Client-Info"));
  g_autofree char *address = line_of (soup_server_message_get_remote_host (message));
  DlnaClient *client = NULL;

  for (guint i = 0; i < self->list->len && client == NULL; i++) {
    DlnaClient *other = self->list->pdata[i];
    if (strcmp (other->address, address) == 0 && strcmp (other->agent, agent) == 0 &&
        strcmp (other->info, info) == 0)
      client = g_ptr_array_steal_index (self->list, i);
  }
  if (client == NULL) {
    make_room (self, address);
    client = g_new0 (DlnaClient, 1);
    client->address = g_steal_pointer (&address);
    client->agent = g_steal_pointer (&agent);
    client->info = g_steal_pointer (&info);
    client->quirk = dlna_quirks_of (self->quirks, message);
    client->first = g_get_monotonic_time ();
  }
  client->last = g_get_monotonic_time ();
  g_ptr_array_add (self->list, client);
  return client;
}

/* --- what --- */

/* The Body of an envelope; NULL = it is none. */
static xmlNode *
body_of (const DlnaXml *doc)
{
  return dlna_xml_child (dlna_xml_root (doc, "Envelope"), "Body");
}

static DlnaXml *
parse (SoupMessageBody *body)
{
  g_autoptr (GBytes) bytes = soup_message_body_flatten (body);
  gsize n = 0;
  const char *text = bytes != NULL ? g_bytes_get_data (bytes, &n) : NULL;

  return n > 0 ? dlna_xml_parse (text, n) : NULL;
}

/* "Browse films:". false = it is no action. The name stands in SOAPAction too, but gupnp cuts that
 * header while it reads it. */
static bool
tell_action (GString *out, SoupServerMessage *message)
{
  g_autoptr (DlnaXml) doc = parse (soup_server_message_get_request_body (message));
  xmlNode *body = body_of (doc);
  xmlNode *action = body != NULL ? xmlFirstElementChild (body) : NULL;
  g_autofree char *object = dlna_xml_text (action, "ObjectID");
  g_autofree char *container = dlna_xml_text (action, "ContainerID");

  if (action == NULL)
    return false;
  g_string_append (out, (const char *)action->name);
  if (object != NULL || container != NULL)
    g_string_append_printf (out, " %s", object != NULL ? object : container);
  return true;
}

/* ", error 701" */
static void
tell_error (GString *out, SoupServerMessage *message)
{
  g_autoptr (DlnaXml) doc = parse (soup_server_message_get_response_body (message));
  xmlNode *detail = dlna_xml_child (dlna_xml_child (body_of (doc), "Fault"), "detail");
  g_autofree char *code = dlna_xml_text (dlna_xml_child (detail, "UPnPError"), "errorCode");

  if (code != NULL)
    g_string_append_printf (out, ", error %s", code);
}

/* Without the query: what is told goes to strangers, and ours has one only to begin behind live. */
static char *
describe (SoupServerMessage *message, const char *more)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  bool soap = soup_message_headers_get_one (headers, "SOAPAction") != NULL;
  const char *range = soup_message_headers_get_one (headers, "Range");
  const char *time = soup_message_headers_get_one (headers, "TimeSeekRange.dlna.org");
  g_autoptr (GString) out = g_string_new (NULL);
  char *line;

  if (!soap || !tell_action (out, message))
    g_string_append_printf (out, "%s %s", soup_server_message_get_method (message),
                            g_uri_get_path (soup_server_message_get_uri (message)));
  if (soap && soup_server_message_get_status (message) == SOUP_STATUS_INTERNAL_SERVER_ERROR)
    tell_error (out, message);
  if (range != NULL || time != NULL)
    g_string_append_printf (out, " (%s)", range != NULL ? range : time);
  line = line_of (out->str);
  if (more == NULL)
    return line;
  g_string_printf (out, "%s: %s", line, more);
  g_free (line);
  return g_strdup (out->str);
}

static void
add (DlnaClient *client, char *what, unsigned status)
{
  DlnaClientEvent *event = g_queue_peek_tail (&client->events);

  if (event != NULL && event->status == status && strcmp (event->what, what) == 0) {
    g_free (what);
  } else {
    event = g_new0 (DlnaClientEvent, 1);
    event->what = what;
    event->status = status;
    g_queue_push_tail (&client->events, event);
  }
  event->times++;
  event->when = g_get_monotonic_time ();
  if (client->events.length > DLNA_CLIENTS_MAX_EVENTS)
    event_free (g_queue_pop_head (&client->events));
}

void
dlna_clients_note (DlnaClients *self, SoupServerMessage *message, const char *more)
{
  DlnaClient *client;
  unsigned status;

  /* A connection that broke before its first line has nothing to say. */
  if (self == NULL || soup_server_message_get_uri (message) == NULL ||
      soup_server_message_get_remote_host (message) == NULL)
    return;
  client = find (self, message);
  status = soup_server_message_get_status (message);
  client->asked++;
  if (status >= 400)
    client->refused++;
  add (client, describe (message, more), status);
}

void
dlna_clients_started (DlnaClients *self, SoupServerMessage *message, int64_t us)
{
  DlnaClient *client;

  if (self == NULL)
    return;
  client = find (self, message);
  client->streams++;
  client->zap = us;
  client->slowest_zap = MAX (client->slowest_zap, us);
}

static void
on_answered (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  dlna_clients_note (data, message, NULL);
}

void
dlna_clients_watch (DlnaClients *self, SoupServer *server)
{
  g_signal_connect (server, "request-finished", G_CALLBACK (on_answered), self);
  /* Also those that have failed: libsoup counts each answer of 500 among them. */
  g_signal_connect (server, "request-aborted", G_CALLBACK (on_answered), self);
}

const GPtrArray *
dlna_clients_list (const DlnaClients *self)
{
  return self->list;
}
