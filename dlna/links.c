/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink tells of links and addresses. What it says is a hint to look: a message may be lost
 * (ENOBUFS), and a burst of them is one change, so the state is read when they have ceased. That a
 * link was down in between is the one thing that the state does not show. */

#include "dlna/links.h"
#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUIET_MS 200

struct DlnaLinks {
  int fd;
  guint source, timer;
  DlnaLinksHandler handler;
  gpointer data;
};

void
dlna_links_find (const char *name, DlnaLink *out)
{
  struct ifaddrs *all = NULL;

  memset (out, 0, sizeof *out);
  if (getifaddrs (&all) != 0)
    return;
  for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
    if (strcmp (one->ifa_name, name) != 0 || one->ifa_addr == NULL || one->ifa_netmask == NULL ||
        one->ifa_addr->sa_family != AF_INET || (one->ifa_flags & IFF_UP) == 0)
      continue;
    inet_ntop (AF_INET, &((const struct sockaddr_in *)(const void *)one->ifa_addr)->sin_addr,
               out->ip, sizeof out->ip);
    inet_ntop (AF_INET, &((const struct sockaddr_in *)(const void *)one->ifa_netmask)->sin_addr,
               out->mask, sizeof out->mask);
    out->index = if_nametoindex (name);
    break;
  }
  freeifaddrs (all);
}

bool
dlna_link_is (const DlnaLink *self, const DlnaLink *other)
{
  return self->index == other->index && strcmp (self->ip, other->ip) == 0 &&
         strcmp (self->mask, other->mask) == 0;
}

bool
dlna_link_is_near (const DlnaLink *self, struct in_addr remote)
{
  struct in_addr here, mask;

  return inet_pton (AF_INET, self->ip, &here) == 1 && inet_pton (AF_INET, self->mask, &mask) == 1 &&
         ((here.s_addr ^ remote.s_addr) & mask.s_addr) == 0;
}

static gboolean
on_quiet (gpointer data)
{
  DlnaLinks *self = data;

  self->timer = 0;
  self->handler.changed (self->data);
  return G_SOURCE_REMOVE;
}

static void
read_messages (DlnaLinks *self, const char *bytes, size_t n)
{
  if (self->handler.down == NULL)
    return;
  for (const struct nlmsghdr *header = (const void *)bytes; NLMSG_OK (header, n);
       header = NLMSG_NEXT (header, n)) {
    if (header->nlmsg_type == RTM_NEWLINK || header->nlmsg_type == RTM_DELLINK) {
      const struct ifinfomsg *link = NLMSG_DATA (header);
      if (header->nlmsg_type == RTM_DELLINK || (link->ifi_flags & IFF_UP) == 0 ||
          (link->ifi_flags & IFF_RUNNING) == 0)
        self->handler.down ((unsigned)link->ifi_index, header->nlmsg_type == RTM_DELLINK,
                            self->data);
    } else if (header->nlmsg_type == RTM_DELADDR) {
      const struct ifaddrmsg *address = NLMSG_DATA (header);
      self->handler.down (address->ifa_index, true, self->data);
    }
  }
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  DlnaLinks *self = data;
  _Alignas(struct nlmsghdr) char buffer[16384];
  ssize_t n;

  while ((n = recv (fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
    read_messages (self, buffer, (size_t)n);
  if (self->timer != 0)
    g_source_remove (self->timer);
  self->timer = g_timeout_add (QUIET_MS, on_quiet, self);
  return G_SOURCE_CONTINUE;
}

DlnaLinks *
dlna_links_new (const DlnaLinksHandler *handler, gpointer data, GError **error)
{
  struct sockaddr_nl here = {.nl_family = AF_NETLINK,
                             .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR};
  int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  DlnaLinks *self;

  if (fd < 0 || bind (fd, (struct sockaddr *)&here, sizeof here) < 0) {
    int code = errno;
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code),
                 "cannot watch the network interfaces (AF_NETLINK): %s", g_strerror (code));
    if (fd >= 0)
      close (fd);
    return NULL;
  }
  self = g_new0 (DlnaLinks, 1);
  self->fd = fd;
  self->handler = *handler;
  self->data = data;
  self->source = g_unix_fd_add (fd, G_IO_IN | G_IO_ERR, on_readable, self);
  return self;
}

void
dlna_links_free (DlnaLinks *self)
{
  if (self == NULL)
    return;
  if (self->timer != 0)
    g_source_remove (self->timer);
  g_source_remove (self->source);
  close (self->fd);
  g_free (self);
}
