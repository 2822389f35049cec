/* SPDX-License-Identifier: Apache-2.0 */
/* What a device of the LAN may answer to an action, and what is made of it. */
#include "dlna/soap.h"
#include "tests/lib/listen.h"
#include <stdbool.h>
#include <string.h>

#define SERVICE "urn:schemas-upnp-org:service:AVTransport:1"
#define ANSWER(inner)                                                                              \
  "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>" inner               \
  "</s:Body></s:Envelope>"
#define RESPONSE(inner) ANSWER ("<u:DoResponse xmlns:u=\"" SERVICE "\">" inner "</u:DoResponse>")

typedef struct {
  SoupServer *server;
  SoupSession *session;
  char *url;
  /* what the device answers, and what it was asked */
  guint status;
  char *answer, *asked, *action;
  unsigned requests;
  /* what the caller was told */
  GHashTable *out;
  GError *error;
  bool told;
} Fixture;

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  Fixture *self = data;
  SoupMessageBody *body = soup_server_message_get_request_body (message);

  self->requests++;
  g_free (self->asked);
  self->asked = g_strndup (body->data, (gsize)body->length);
  g_free (self->action);
  self->action = g_strdup (soup_message_headers_get_one (
      soup_server_message_get_request_headers (message), "SOAPAction"));
  soup_server_message_set_status (message, self->status, NULL);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Location",
                                "/elsewhere");
  soup_server_message_set_response (message, "text/xml", SOUP_MEMORY_COPY, self->answer,
                                    strlen (self->answer));
}

static void
set_up (Fixture *self, gconstpointer data)
{
  self->server = soup_server_new (NULL, NULL);
  self->session = dlna_soap_session_new ();
  soup_server_add_handler (self->server, NULL, on_request, self, NULL);
  self->url = g_strdup_printf ("http://127.0.0.1:%u/", listen_local (self->server));
}

static void
forget (Fixture *self)
{
  g_clear_pointer (&self->out, g_hash_table_unref);
  g_clear_error (&self->error);
  self->told = false;
  self->requests = 0;
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  forget (self);
  soup_session_abort (self->session);
  g_object_unref (self->session);
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  g_free (self->url);
  g_free (self->answer);
  g_free (self->asked);
  g_free (self->action);
}

static void
on_answer (GHashTable *out, const GError *error, gpointer data)
{
  Fixture *self = data;

  g_assert_false (self->told);
  g_assert_true ((out == NULL) != (error == NULL));
  self->told = true;
  self->out = out != NULL ? g_hash_table_ref (out) : NULL;
  self->error = error != NULL ? g_error_copy (error) : NULL;
}

/* The device answers so; takes answer. */
static void
call (Fixture *self, guint status, char *answer)
{
  static const char *const arguments[] = {"InstanceID", "0", "Text", "<a & b>", NULL};

  forget (self);
  g_free (self->answer);
  self->status = status;
  self->answer = answer;
  dlna_soap_call (self->session, self->url, SERVICE, "Do", arguments, NULL, on_answer, self);
  while (!self->told)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (self->requests, ==, 1);
}

static void
test_answers (Fixture *self, gconstpointer data)
{
  call (self, 200, g_strdup (RESPONSE ("<A> one </A><B/><A>two</A>")));
  g_assert_cmpuint (g_hash_table_size (self->out), ==, 2);
  g_assert_cmpstr (g_hash_table_lookup (self->out, "A"), ==, "one"); /* the first counts */
  g_assert_cmpstr (g_hash_table_lookup (self->out, "B"), ==, "");
  g_assert_cmpstr (self->action, ==, "\"" SERVICE "#Do\"");
  g_assert_nonnull (strstr (self->asked, "<u:Do xmlns:u=\"" SERVICE "\"><InstanceID>0</InstanceID>"
                                         "<Text>&lt;a &amp; b&gt;</Text></u:Do>"));
}

static void
test_refusals (Fixture *self, gconstpointer data)
{
  call (self, 500,
        g_strdup (ANSWER ("<s:Fault><detail><UPnPError><errorCode>705</errorCode>"
                          "<errorDescription>locked</errorDescription></UPnPError></detail>"
                          "</s:Fault>")));
  g_assert_error (self->error, DLNA_SOAP_ERROR, 705);
  g_assert_nonnull (strstr (self->error->message, "locked"));
  call (self, 500, g_strdup ("<html>no</html>"));
  g_assert_error (self->error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
  call (self, 200, g_strdup (ANSWER ("<OtherResponse/>")));
  g_assert_error (self->error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
  /* a redirect is an answer like another: call() sees that no second request came */
  call (self, 303, g_strdup ("elsewhere"));
  g_assert_error (self->error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

static char *
many (const char *what, unsigned n)
{
  GString *text = g_string_new (NULL);

  for (unsigned i = 0; i < n; i++)
    g_string_append_printf (text, "<%s%u>x</%s%u>", what, i, what, i);
  return g_string_free (text, FALSE);
}

static void
test_limits (Fixture *self, gconstpointer data)
{
  g_autofree char *arguments = many ("A", 1000), *fill = g_strnfill (256 * 1024, 'x');

  call (self, 200, g_strdup_printf (RESPONSE ("%s"), arguments));
  g_assert_cmpuint (g_hash_table_size (self->out), ==, 32);
  g_assert_cmpstr (g_hash_table_lookup (self->out, "A31"), ==, "x");
  call (self, 200, g_strdup_printf (RESPONSE ("<A>%s</A>"), fill));
  g_assert_error (self->error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
}

/* Who has cancelled is not called, and the next one is. */
static void
test_cancelled (Fixture *self, gconstpointer data)
{
  static const char *const nothing[] = {NULL};
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  self->status = 200;
  self->answer = g_strdup (RESPONSE (""));
  dlna_soap_call (self->session, self->url, SERVICE, "Undo", nothing, cancellable, on_answer, self);
  g_cancellable_cancel (cancellable);
  dlna_soap_call (self->session, self->url, SERVICE, "Do", nothing, NULL, on_answer, self);
  while (!self->told)
    g_main_context_iteration (NULL, TRUE);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_no_error (self->error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, test) g_test_add ("/dlna/soap/" name, Fixture, NULL, set_up, test, tear_down)
  ADD ("answers-are-read", test_answers);
  ADD ("refusals-have-their-number", test_refusals);
  ADD ("answers-have-a-limit", test_limits);
  ADD ("who-has-cancelled-is-not-called", test_cancelled);
#undef ADD
  return g_test_run ();
}
