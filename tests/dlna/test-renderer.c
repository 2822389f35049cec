/* SPDX-License-Identifier: Apache-2.0 */
/* What strangers of the LAN send to a control point. */
#include "dlna/discovery.h"
#include "dlna/renderer.h"
#include "dlna/soap.h"
#include "dlna/xml.h"
#include "tests/lib/listen.h"
#include <string.h>

#define TARGET "urn:schemas-upnp-org:device:MediaRenderer:1"
#define USN "USN: uuid:1234::" TARGET "\r\n"

static void
test_packets (void)
{
  static const struct {
    const char *packet, *udn, *location;
  } rows[] = {
      {"NOTIFY * HTTP/1.1\r\nNT: " TARGET "\r\nNTS: ssdp:alive\r\n" USN
       "LOCATION: http://192.168.1.9:80/d.xml\r\n\r\n",
       "uuid:1234", "http://192.168.1.9:80/d.xml"},
      {"HTTP/1.1 200 OK\r\nst:" TARGET "\r\nusn: uuid:1234\r\nlocation:   "
       "http://192.168.1.9/\r\n\r\n",
       "uuid:1234", "http://192.168.1.9/"},
      {"NOTIFY * HTTP/1.1\nNT: " TARGET "\nNTS: ssdp:byebye\n" USN "\n", "uuid:1234", NULL},
      {"NOTIFY * HTTP/1.1\nNT: " TARGET "\nNTS: ssdp:byebye\nUSN: uuid::1234::" TARGET "\n",
       "uuid::1234", NULL},
      /* another target, another kind, another address, no address at all, not by HTTP, not its own */
      {"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n" USN "LOCATION: http://192.168.1.9/\r\n\r\n"},
      {"NOTIFY * HTTP/1.1\r\nNT: " TARGET "\r\nNTS: ssdp:update\r\n" USN
       "LOCATION: http://192.168.1.9/\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nST: " TARGET "\r\n" USN "LOCATION: http://192.168.1.8/\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nST: " TARGET "\r\n" USN "LOCATION: http://evil.example/\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nST: " TARGET "\r\n" USN "LOCATION: file:///etc/passwd\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nST: " TARGET "\r\n" USN "LOCATION: http://a@192.168.1.9/\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nST: " TARGET "\r\n" USN "\r\n"},
      {"HTTP/1.1 200 OK\r\nST: " TARGET "\r\nLOCATION: http://192.168.1.9/\r\n\r\n"},
      {"HTTP/1.1 404 Not\r\nST: " TARGET "\r\n" USN "LOCATION: http://192.168.1.9/\r\n\r\n"},
      {"M-SEARCH * HTTP/1.1\r\nST: " TARGET "\r\n" USN "LOCATION: http://192.168.1.9/\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nST: " TARGET "\r\n" USN "LOCATION: http://192.168.1.9/\xff\r\n\r\n"},
      {"\r\n\r\n"},
      {""},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *udn = NULL, *location = NULL;
    bool read = dlna_discovery_read (rows[i].packet, strlen (rows[i].packet), TARGET, "192.168.1.9",
                                     &udn, &location);
    g_test_message ("%zu", i);
    g_assert_cmpint (read, ==, rows[i].udn != NULL);
    g_assert_cmpstr (udn, ==, rows[i].udn);
    g_assert_cmpstr (location, ==, rows[i].location);
  }
}

/* What is too long is refused, and each way of cutting a packet is survived. */
static void
test_cut_packets (void)
{
  static const char whole[] = "NOTIFY * HTTP/1.1\r\nNT: " TARGET "\r\nNTS: ssdp:alive\r\n" USN
                              "LOCATION: http://192.168.1.9:80/d.xml\r\n\r\n";
  g_autofree char *path = g_strnfill (600, 'x');
  g_autofree char *large = g_strdup_printf (
      "HTTP/1.1 200 OK\r\nST: " TARGET "\r\n" USN "LOCATION: http://192.168.1.9/%s\r\n\r\n", path);
  char *udn = NULL, *location = NULL;
  g_assert_false (
      dlna_discovery_read (large, strlen (large), TARGET, "192.168.1.9", &udn, &location));
  for (size_t n = 1; n < sizeof whole - 1; n++) {
    g_autofree char *cut = g_memdup2 (whole, n);
    if (dlna_discovery_read (cut, n, TARGET, "192.168.1.9", &udn, &location)) {
      g_clear_pointer (&udn, g_free);
      g_clear_pointer (&location, g_free);
    }
  }
}

#define EVENT(inner)                                                                               \
  "<e:propertyset xmlns:e=\"urn:schemas-upnp-org:event-1-0\"><e:property><LastChange>" inner       \
  "</LastChange></e:property></e:propertyset>"
#define CHANGE(inner)                                                                              \
  EVENT ("&lt;Event xmlns=\"urn:schemas-upnp-org:metadata-1-0/AVT/\"&gt;"                          \
         "&lt;InstanceID val=\"0\"&gt;" inner "&lt;/InstanceID&gt;&lt;/Event&gt;")

static void
test_events (void)
{
  static const struct {
    const char *text;
    bool read;
    const char *state, *uri;
  } rows[] = {
      {CHANGE ("&lt;TransportState val=\"PLAYING\"/&gt;&lt;AVTransportURI "
               "val=\"http://a/?b&amp;amp;c\"/&gt;"),
       true, "PLAYING", "http://a/?b&c"},
      {CHANGE ("&lt;CurrentPlayMode val=\"NORMAL\"/&gt;"), true, NULL, NULL},
      {CHANGE (""), true, NULL, NULL},
      {EVENT ("&lt;Event/&gt;"), false, NULL, NULL},
      {EVENT ("nothing"), false, NULL, NULL},
      {EVENT (""), false, NULL, NULL},
      {"<propertyset/>", false, NULL, NULL},
      {"<html>", false, NULL, NULL},
      {"", false, NULL, NULL},
      {"<!DOCTYPE a [<!ENTITY b \"c\">]>" CHANGE ("&lt;TransportState val=\"PLAYING\"/&gt;"), false,
       NULL, NULL},
  };
  for (size_t i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *state = NULL, *uri = NULL;
    g_test_message ("%zu", i);
    g_assert_cmpint (dlna_renderer_read_event (rows[i].text, strlen (rows[i].text), &state, &uri),
                     ==, rows[i].read);
    g_assert_cmpstr (state, ==, rows[i].state);
    g_assert_cmpstr (uri, ==, rows[i].uri);
  }
}

static void
test_xml (void)
{
  static const char text[] = "<a xmlns:x=\"urn:x\"><x:b> one </x:b><b c=\"d\">two</b><e/></a>\0";
  static const char broken[] = "<a><c d=\"x\xe4\">h\x8c</c></a>";
  g_autoptr (DlnaXml) doc = dlna_xml_parse (text, sizeof text);
  const xmlNode *root = dlna_xml_root (doc, "a");
  g_autofree char *first = dlna_xml_text (root, "b");
  g_autofree char *empty = dlna_xml_text (root, "e");
  g_autofree char *value = dlna_xml_attribute (dlna_xml_next (dlna_xml_child (root, "b")), "c");
  g_assert_null (dlna_xml_root (doc, "b"));
  g_assert_cmpstr (first, ==, "one");
  g_assert_cmpstr (value, ==, "d");
  g_assert_cmpstr (empty, ==, "");
  g_assert_null (dlna_xml_text (root, "nothing"));
  g_assert_null (dlna_xml_child (NULL, "a"));
  g_assert_null (dlna_xml_root (NULL, "a"));
  g_assert_null (dlna_xml_parse ("\0\0", 2));
  g_autoptr (DlnaXml) bad = dlna_xml_parse (broken, sizeof broken);
  const xmlNode *only = dlna_xml_root (bad, "a");
  g_autofree char *text_of_bad = dlna_xml_text (only, "c");
  g_autofree char *value_of_bad = dlna_xml_attribute (dlna_xml_child (only, "c"), "d");
  g_assert_cmpstr (text_of_bad, ==, "h\xef\xbf\xbd");
  g_assert_true (g_utf8_validate (value_of_bad, -1, NULL));
}

/* A device that says nonsense says it to us, not to our log. */
static void
test_silence (void)
{
  static const char text[] = "<?xml version=\"1.0\" encoding=\"ISO-2022-JP\"?><a>\x80\x81</a>";
  if (g_test_subprocess ()) {
    g_autoptr (DlnaXml) doc = dlna_xml_parse (text, sizeof text - 1);
    g_assert_true (doc == NULL || doc->intSubset == NULL);
    return;
  }
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr_unmatched ("*encod*");
}

#define UDN "uuid:1234"
#define DESCRIPTION                                                                                \
  "<root><device><UDN>" UDN "</UDN><friendlyName>TV</friendlyName><serviceList><service>"          \
  "<serviceType>urn:schemas-upnp-org:service:AVTransport:1</serviceType>"                          \
  "<controlURL>/av</controlURL></service></serviceList></device></root>"

typedef struct {
  DlnaRenderer *renderer;
  bool leaves; /* it says byebye before it answers */
  unsigned answered;
} Set;

static void
on_description (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
                gpointer data)
{
  Set *self = data;

  if (self->leaves)
    dlna_renderer_gone (self->renderer);
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_server_message_set_response (message, "text/xml", SOUP_MEMORY_STATIC, DESCRIPTION,
                                    strlen (DESCRIPTION));
}

static void
on_answered (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  ((Set *)data)->answered++;
}

/* What a set still says of itself when it has said byebye does not make it be there. */
static void
test_byebye (void)
{
  DlnaRendererHouse house = {.session = dlna_soap_session_new ()};
  g_autoptr (DlnaRenderer) renderer = dlna_renderer_new (&house, UDN);
  g_autoptr (SoupServer) server = soup_server_new (NULL, NULL);
  g_autofree char *location = NULL;
  Set set = {.renderer = renderer, .leaves = true};
  DlnaRendererStatus status;

  soup_server_add_handler (server, NULL, on_description, &set, NULL);
  g_signal_connect (server, "request-finished", G_CALLBACK (on_answered), &set);
  g_signal_connect (server, "request-aborted", G_CALLBACK (on_answered), &set);
  location = g_strdup_printf ("http://127.0.0.1:%u/", listen_local (server));
  dlna_renderer_seen (renderer, location, "127.0.0.1", "127.0.0.1");
  while (set.answered == 0)
    g_main_context_iteration (NULL, TRUE);
  while (g_main_context_iteration (NULL, FALSE)) /* what it has sent is there to be read */
    ;
  dlna_renderer_status (renderer, &status);
  g_assert_cmpint (status.state, ==, DLNA_RENDERER_AWAY);
  g_assert_false (status.described);
  /* and it is asked anew when it is back */
  set.leaves = false;
  dlna_renderer_seen (renderer, location, "127.0.0.1", "127.0.0.1");
  while (!status.described) {
    g_main_context_iteration (NULL, TRUE);
    dlna_renderer_status (renderer, &status);
  }
  g_assert_cmpint (status.state, ==, DLNA_RENDERER_STOPPED);
  g_assert_cmpstr (status.name, ==, "TV");
  g_clear_pointer (&renderer, dlna_renderer_free);
  soup_session_abort (house.session);
  g_object_unref (house.session);
  soup_server_disconnect (server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dlna/renderer/packets-say-what-can-be-believed", test_packets);
  g_test_add_func ("/dlna/renderer/cut-and-long-packets", test_cut_packets);
  g_test_add_func ("/dlna/renderer/events-are-read", test_events);
  g_test_add_func ("/dlna/renderer/xml-of-strangers", test_xml);
  g_test_add_func ("/dlna/renderer/strangers-do-not-fill-the-log", test_silence);
  g_test_add_func ("/dlna/renderer/who-has-said-byebye-is-away", test_byebye);
  return g_test_run ();
}
