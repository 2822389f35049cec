/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/net/fetch.h"
#include "peer/net/request.h"
#include "tests/lib/listen.h"

#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  SoupServer *server;
  char *base; /* http://127.0.0.1:PORT */
  guint asked;
} Server;

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
            gpointer data)
{
  ((Server *)data)->asked++;
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  if (g_str_equal (path, "/text"))
    soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_STATIC, "0123456789", 10);
  else if (g_str_equal (path, "/to-text"))
    soup_server_message_set_redirect (message, SOUP_STATUS_FOUND, "/text");
  else if (g_str_equal (path, "/circle"))
    soup_server_message_set_redirect (message, SOUP_STATUS_FOUND, "/circle");
  else if (g_str_equal (path, "/to-file"))
    soup_message_headers_replace (soup_server_message_get_response_headers (message), "Location",
                                  "file:///etc/hostname");
  else if (g_str_equal (path, "/silence"))
    soup_server_message_pause (message);
  if (g_str_equal (path, "/to-file"))
    soup_server_message_set_status (message, SOUP_STATUS_FOUND, NULL);
  if (g_str_equal (path, "/missing"))
    soup_server_message_set_status (message, SOUP_STATUS_NOT_FOUND, NULL);
}

static void
server_init (Server *self)
{
  *self = (Server){.server = soup_server_new (NULL, NULL)};
  soup_server_add_handler (self->server, NULL, on_request, self, NULL);
  self->base = g_strdup_printf ("http://127.0.0.1:%u", listen_local (self->server));
}

static void
server_clear (Server *self)
{
  soup_server_disconnect (self->server);
  g_object_unref (self->server);
  g_free (self->base);
}

typedef struct {
  NetFetch *fetch; /* freed by the callback */
  unsigned calls;
  char *text, *error;
  bool is_cut;
} Answer;

static void
on_text (GBytes *text, bool is_cut, const GError *error, gpointer data)
{
  Answer *self = data;
  g_assert_true ((text == NULL) == (error != NULL));
  g_clear_pointer (&self->fetch, net_fetch_free);
  self->calls++;
  self->is_cut = is_cut;
  if (text != NULL)
    self->text = g_strndup (g_bytes_get_data (text, NULL), g_bytes_get_size (text));
  else
    self->error = g_strdup (error->message);
}

static void
answer_clear (Answer *self)
{
  g_free (self->text);
  g_free (self->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)

static void
fetch (Answer *out, const char *base, const char *path, size_t max, unsigned seconds)
{
  g_autofree char *uri = g_strconcat (base, path, NULL);
  *out = (Answer){0};
  out->fetch = net_fetch_new (uri, max, seconds, "ppsp-test", on_text, out);
  g_assert_cmpuint (out->calls, ==, 0); /* never before the main loop runs */
  while (out->calls == 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_text (void)
{
  static const struct {
    const char *path;
    size_t max;
    const char *text;
    bool is_cut;
  } cases[] = {{"/text", 100, "0123456789", false},
               {"/text", 10, "0123456789", false},
               {"/text", 9, "012345678", true},
               {"/to-text", 100, "0123456789", false}};
  Server server;
  server_init (&server);
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Answer) answer;
    fetch (&answer, server.base, cases[i].path, cases[i].max, 60);
    g_assert_cmpstr (answer.text, ==, cases[i].text);
    g_assert_true (answer.is_cut == cases[i].is_cut);
  }
  server_clear (&server);
}

static void
test_file (void)
{
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Answer) answer;
  int fd = g_file_open_tmp ("ppsp-fetch-XXXXXX", &path, &error);
  g_assert_no_error (error);
  close (fd);
  g_assert_true (g_file_set_contents (path, "a\nb\n", -1, &error));
  fetch (&answer, "file://", path, 100, 60);
  g_assert_cmpstr (answer.text, ==, "a\nb\n");
  g_unlink (path);
}

static void
test_failures (void)
{
  static const struct {
    const char *path, *why;
  } cases[] = {{"/circle", "too often"},
               {"/to-file", "do not follow"},
               {"/missing", "answered 404"},
               {"/silence", "within 1 s"}};
  Server server;
  server_init (&server);
  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Answer) answer;
    fetch (&answer, server.base, cases[i].path, 100, i == 3 ? 1 : 60);
    g_assert_null (answer.text);
    g_assert_nonnull (strstr (answer.error, cases[i].why));
  }
  static const char *const wrong[] = {"file:///nowhere/at/all", "gopher://127.0.0.1/", "nonsense"};
  for (size_t i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_auto (Answer) answer;
    fetch (&answer, wrong[i], "", 100, 60);
    g_assert_null (answer.text);
  }
  server_clear (&server);
}

static void
test_redirects (void)
{
  static const struct {
    const char *from, *to; /* to NULL = it does not say */
    const char *target;    /* NULL = it is not followed */
  } rows[] = {
      {"http://a/x/y", "z", "http://a/x/z"},
      {"http://a/x", "https://b/y", "https://b/y"},
      {"https://a/x", "/y", "https://a/y"},
      {"https://a/x", "http://a/x", NULL}, /* not out of the shelter of TLS */
      {"http://a/x", "file:///etc/hostname", NULL},
      {"http://a/x", "ftp://a/x", NULL},
      {"http://a/x", NULL, NULL},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_GET, rows[i].from);
    g_autoptr (GError) error = NULL;
    unsigned n = 0;
    if (rows[i].to != NULL)
      soup_message_headers_replace (soup_message_get_response_headers (message), "Location",
                                    rows[i].to);
    g_autofree char *target = net_request_redirect (message, &n, &error);
    g_assert_cmpstr (target, ==, rows[i].target);
    g_assert_true ((error != NULL) == (target == NULL));
  }
}

/* Freed at any time, it calls nobody: after each number of turns of the loop, up to so many that it has called. */
static void
test_freed (void)
{
  Server server;
  server_init (&server);
  g_autofree char *uri = g_strconcat (server.base, "/text", NULL);
  unsigned turns = 0, calls = 0;
  for (; calls == 0; turns++) {
    g_auto (Answer) answer = {0}, after;
    answer.fetch = net_fetch_new (uri, 100, 60, "ppsp-test", on_text, &answer);
    for (unsigned i = 0; i < turns && answer.calls == 0; i++)
      g_main_context_iteration (NULL, TRUE);
    calls = answer.calls;
    g_clear_pointer (&answer.fetch, net_fetch_free);
    fetch (&after, server.base, "/text", 100, 60);
    g_assert_cmpuint (answer.calls, ==, calls);
  }
  g_test_message ("%u turns", turns);
  g_assert_cmpuint (server.asked, >, turns); /* the last had been asked for */
  server_clear (&server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/fetch/text-comes-whole-or-cut", test_text);
  g_test_add_func ("/net/fetch/from-a-file", test_file);
  g_test_add_func ("/net/fetch/what-does-not-come-is-told", test_failures);
  g_test_add_func ("/net/fetch/redirects-lead-to-no-lesser-place", test_redirects);
  g_test_add_func ("/net/fetch/freed-in-flight-calls-nobody", test_freed);
  return g_test_run ();
}
