/* SPDX-License-Identifier: Apache-2.0 */
/* Two sockets: one asks (M-SEARCH) and gets the answers, one hears what is announced (NOTIFY). Both
 * are bound to the interface's address or to the group on that interface alone, so nothing of this is
 * on any other. A search is sent three times in three seconds: UDP is lost, most of all on Wi-Fi. */

#include "dlna/discovery.h"
#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUP "239.255.255.250"
#define PORT 1900
#define SEARCHES 3
#define SEARCH_MS 1000
#define PACKETS_AT_ONCE 32
#define MAX_PACKET 2048
#define MAX_TEXT 512 /* of a UDN or location */

struct DlnaDiscovery {
  DlnaLink link;
  char *target;
  DlnaDiscoveryFunc func;
  gpointer data;
  int asks, hears;
  guint sources[2], timer;
  unsigned left; /* of this search */
};

/* The value of a header, or NULL; folded lines are nobody's. */
static char *
header (char **lines, const char *name)
{
  size_t n = strlen (name);

  for (size_t i = 1; lines[0] != NULL && lines[i] != NULL; i++)
    if (g_ascii_strncasecmp (lines[i], name, n) == 0 && lines[i][n] == ':')
      return g_strstrip (g_strdup (lines[i] + n + 1));
  return NULL;
}

static bool
is_on (const char *location, const char *ip)
{
  g_autoptr (GUri) uri = g_uri_parse (location, G_URI_FLAGS_NONE, NULL);

  return uri != NULL && strcmp (g_uri_get_scheme (uri), "http") == 0 &&
         g_strcmp0 (g_uri_get_host (uri), ip) == 0 && g_uri_get_userinfo (uri) == NULL;
}

bool
dlna_discovery_read (const char *packet, gsize n, const char *target, const char *ip, char **udn,
                     char **location)
{
  g_autofree char *text = g_strndup (packet, n);
  g_auto (GStrv) lines = NULL;
  g_autofree char *usn = NULL, *kind = NULL, *where = NULL, *said = NULL;
  bool notify, gone;
  char *end;

  if (!g_utf8_validate (text, -1, NULL))
    return false;
  lines = g_strsplit (g_strdelimit (text, "\r", '\n'), "\n", 64);
  notify = lines[0] != NULL && g_str_has_prefix (lines[0], "NOTIFY * HTTP/1.");
  if (!notify && (lines[0] == NULL || !g_str_has_prefix (lines[0], "HTTP/1.1 200")))
    return false;
  kind = header (lines, notify ? "NT" : "ST");
  usn = header (lines, "USN");
  said = header (lines, "NTS");
  gone = notify && g_strcmp0 (said, "ssdp:byebye") == 0;
  where = gone ? NULL : header (lines, "LOCATION");
  if (g_strcmp0 (kind, target) != 0 || usn == NULL || !g_str_has_prefix (usn, "uuid:") ||
      strlen (usn) > MAX_TEXT || (notify && !gone && g_strcmp0 (said, "ssdp:alive") != 0))
    return false;
  if (!gone && (where == NULL || strlen (where) > MAX_TEXT || !is_on (where, ip)))
    return false;
  end = strstr (usn + strlen ("uuid:"), "::");
  *udn = end != NULL ? g_strndup (usn, (gsize)(end - usn)) : g_strdup (usn);
  *location = g_steal_pointer (&where);
  return true;
}

static gboolean
on_packet (int fd, GIOCondition condition, gpointer data)
{
  DlnaDiscovery *self = data;
  char packet[MAX_PACKET], ip[INET_ADDRSTRLEN];

  for (int i = 0; i < PACKETS_AT_ONCE; i++) {
    struct sockaddr_in from = {0};
    socklen_t size = sizeof from;
    g_autofree char *udn = NULL, *location = NULL;
    ssize_t n = recvfrom (fd, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (n < 0)
      break;
    if (dlna_link_is_near (&self->link, from.sin_addr) &&
        inet_ntop (AF_INET, &from.sin_addr, ip, sizeof ip) != NULL &&
        dlna_discovery_read (packet, (gsize)n, self->target, ip, &udn, &location))
      self->func (udn, location, ip, self->data);
  }
  return G_SOURCE_CONTINUE;
}

static void
send_search (DlnaDiscovery *self)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons (PORT)};
  g_autofree char *text =
      g_strdup_printf ("M-SEARCH * HTTP/1.1\r\nHOST: " GROUP ":1900\r\nMAN: \"ssdp:discover\"\r\n"
                       "MX: 2\r\nST: %s\r\n\r\n",
                       self->target);

  inet_pton (AF_INET, GROUP, &to.sin_addr);
  /* a link that is down: the next one counts */
  (void)sendto (self->asks, text, strlen (text), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
}

static gboolean
on_search (gpointer data)
{
  DlnaDiscovery *self = data;

  send_search (self);
  if (--self->left > 0)
    return G_SOURCE_CONTINUE;
  self->timer = 0;
  return G_SOURCE_REMOVE;
}

void
dlna_discovery_search (DlnaDiscovery *self)
{
  if (self->timer != 0)
    return;
  send_search (self);
  self->left = SEARCHES - 1;
  self->timer = g_timeout_add (SEARCH_MS, on_search, self);
}

/* A socket bound to ip, for what goes to and comes from that interface alone. */
static int
open_socket (DlnaDiscovery *self, const char *ip, uint16_t port)
{
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, off = 0;
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons (port)};
  struct ip_mreqn group = {.imr_ifindex = (int)self->link.index};

  inet_pton (AF_INET, ip, &here.sin_addr);
  inet_pton (AF_INET, GROUP, &group.imr_multiaddr);
  if (fd < 0)
    return -1;
  if (setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      setsockopt (fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off) == 0 &&
      setsockopt (fd, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof group) == 0 &&
      (port == 0 || setsockopt (fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0) &&
      bind (fd, (struct sockaddr *)&here, sizeof here) == 0)
    return fd;
  close (fd);
  return -1;
}

DlnaDiscovery *
dlna_discovery_new (const char *interface, const DlnaLink *link, const char *target,
                    DlnaDiscoveryFunc func, gpointer data, GError **error)
{
  g_autoptr (DlnaDiscovery) self = g_new0 (DlnaDiscovery, 1);

  self->link = *link;
  self->target = g_strdup (target);
  self->func = func;
  self->data = data;
  self->hears = -1;
  self->asks = open_socket (self, link->ip, 0);
  if (self->asks >= 0)
    self->hears = open_socket (self, GROUP, PORT);
  if (self->hears < 0) {
    int code = errno;
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code),
                 "cannot look for televisions on %s (%s): %s", interface, link->ip,
                 g_strerror (code));
    return NULL;
  }
  self->sources[0] = g_unix_fd_add (self->asks, G_IO_IN, on_packet, self);
  self->sources[1] = g_unix_fd_add (self->hears, G_IO_IN, on_packet, self);
  dlna_discovery_search (self);
  return g_steal_pointer (&self);
}

void
dlna_discovery_free (DlnaDiscovery *self)
{
  if (self == NULL)
    return;
  for (size_t i = 0; i < G_N_ELEMENTS (self->sources); i++)
    if (self->sources[i] != 0)
      g_source_remove (self->sources[i]);
  if (self->timer != 0)
    g_source_remove (self->timer);
  if (self->asks >= 0)
    close (self->asks);
  if (self->hears >= 0)
    close (self->hears);
  g_free (self->target);
  g_free (self);
}

const DlnaLink *
dlna_discovery_link (const DlnaDiscovery *self)
{
  return &self->link;
}
