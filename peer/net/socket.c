/* SPDX-License-Identifier: Apache-2.0 */
/* The price of UDP is paid per pass through the kernel's stack, not per byte: a thousand bytes and
 * a hundred cost the same. So everything here is about passes.
 *
 * Out: datagrams are written one right behind the other into one buffer. A run of them with the
 * same address and size (the last may be shorter) is one message with UDP_SEGMENT, which crosses
 * the stack once and is cut at its end, by the device if it can. All messages of a batch go down
 * with one sendmmsg.
 *
 *   buffer   |aaaaaaaa|aaaaaaaa|aaaaaaaa|aaa|bbbbbb|bbbbbb|cccc|
 *   messages |--------- 1: segment 8 -------|- 2: seg. 6 -|- 3 |
 *
 * In: UDP_GRO hands such runs over whole. A run may be 64 KiB, so each of the 16 buffers has that
 * size; pages that no datagram ever reaches cost no memory, and an idle socket has touched none. */
#include "peer/net/socket.h"

#include <errno.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define RECEIVE_BATCH 16
#define RECEIVE_ROOM 65536    /* bytes: the largest that UDP_GRO may hand over */
#define SEND_BATCH 128        /* datagrams */
#define SEND_MESSAGES 32      /* one sendmmsg */
#define RUN_SEGMENTS 64       /* UDP_MAX_SEGMENTS of the kernels that know UDP_SEGMENT first */
#define RUN_BYTES 65000       /* an IP packet's 65,535 less headers */
#define GSO_REFUSALS 16       /* in a row; then it is given up for good */
#define BUFFER_SIZE (4 << 20) /* bytes; the usual 208 KiB hold 92 datagrams: 90 ms of one channel */

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} SocketName;

typedef union {
  struct cmsghdr align;
  char bytes[CMSG_SPACE (sizeof (int))];
} ControlRoom;

typedef struct {
  PeerAddress to;
  uint32_t offset; /* in the buffer */
  uint32_t size;   /* bytes */
} Datagram;

struct NetSocket {
  int fd;
  int family;
  uint16_t port;
  NetSocketStats stats;
  unsigned gso_refused; /* runs, since one went through */
  unsigned widest;      /* datagrams in the longest run of the last batch received */

  uint8_t *receive_buffer;
  struct mmsghdr receive_messages[RECEIVE_BATCH];
  struct iovec receive_vectors[RECEIVE_BATCH];
  SocketName receive_names[RECEIVE_BATCH];
  ControlRoom receive_controls[RECEIVE_BATCH];

  uint8_t *send_buffer;
  size_t send_used; /* bytes */
  Datagram datagrams[SEND_BATCH];
  unsigned send_next, send_n; /* datagrams: the first that is not out, and the end */
  unsigned split_end;         /* datagrams before this one go out one by one */
  NetSocketTooBigFunc too_big;
  gpointer too_big_data;
  struct mmsghdr send_messages[SEND_MESSAGES];
  struct iovec send_vectors[SEND_MESSAGES];
  SocketName send_names[SEND_MESSAGES];
  ControlRoom send_controls[SEND_MESSAGES];
};

static void
address_from_name (const SocketName *name, PeerAddress *out)
{
  if (name->any.sa_family == AF_INET) {
    peer_address_set_ip (out, (const uint8_t *)&name->v4.sin_addr, 4);
    out->port = ntohs (name->v4.sin_port);
  } else {
    peer_address_set_ip (out, (const uint8_t *)&name->v6.sin6_addr, 16);
    out->port = ntohs (name->v6.sin6_port);
  }
}

/* The name's size in bytes. A name of the other family cannot be made for a socket of IPv4 alone;
 * it gets a form that the kernel refuses (EAFNOSUPPORT), as any address that it cannot reach. */
static socklen_t
name_from_address (int family, const PeerAddress *address, SocketName *out)
{
  memset (out, 0, sizeof *out);
  if (family == AF_INET && peer_address_is_v4 (address)) {
    out->v4.sin_family = AF_INET;
    memcpy (&out->v4.sin_addr, address->ip + 12, 4);
    out->v4.sin_port = htons (address->port);
    return sizeof out->v4;
  }
  out->v6.sin6_family = AF_INET6;
  memcpy (&out->v6.sin6_addr, address->ip, 16);
  out->v6.sin6_port = htons (address->port);
  return sizeof out->v6;
}

static const char *
bind_advice (int code)
{
  switch (code) {
  case EADDRINUSE:
    return "; another program has it: stop that, or choose another port";
  case EADDRNOTAVAIL:
    return "; no interface of this machine has that address";
  case EACCES:
    return "; ports below 1024 need CAP_NET_BIND_SERVICE: choose another";
  default:
    return "";
  }
}

/* FORCE is for who has CAP_NET_ADMIN; without it the kernel cuts the wish to rmem_max. */
static int
set_buffer (int fd, int force, int plain)
{
  int size = BUFFER_SIZE;
  if (setsockopt (fd, SOL_SOCKET, force, &size, sizeof size) < 0)
    setsockopt (fd, SOL_SOCKET, plain, &size, sizeof size);
  socklen_t n = sizeof size;
  getsockopt (fd, SOL_SOCKET, plain, &size, &n);
  return size;
}

/* RFC 7574, section 8.1: a datagram should fit a single IP packet. So all go out with "don't
 * fragment"; peer/path.c finds out what arrives. What routers say of the MTU is not heeded, since
 * anybody could say so: only what our own interface cannot take is refused here. */
static void
set_options (NetSocket *self)
{
  int discover = IP_PMTUDISC_PROBE, discover6 = IPV6_PMTUDISC_PROBE, one = 1;
  setsockopt (self->fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof discover);
  if (self->family == AF_INET6)
    setsockopt (self->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover6, sizeof discover6);
  self->stats.receive_buffer = set_buffer (self->fd, SO_RCVBUFFORCE, SO_RCVBUF);
  set_buffer (self->fd, SO_SNDBUFFORCE, SO_SNDBUF);
  self->stats.gro = setsockopt (self->fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one) == 0;
  int segment = 0;
  socklen_t n = sizeof segment;
  self->stats.gso = getsockopt (self->fd, IPPROTO_UDP, UDP_SEGMENT, &segment, &n) == 0;
}

/* errno, or 0. */
static int
open_and_bind (NetSocket *self, int family, const PeerAddress *address)
{
  self->fd = socket (family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (self->fd < 0)
    return errno;
  self->family = family;
  int off = 0;
  if (family == AF_INET6)
    setsockopt (self->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  SocketName name;
  socklen_t n = name_from_address (family, address, &name);
  if (bind (self->fd, &name.any, n) == 0)
    return 0;
  int code = errno;
  close (self->fd);
  self->fd = -1;
  return code;
}

static int
open_any (NetSocket *self, const PeerAddress *address)
{
  static const uint8_t unspecified[16] = {0};
  int code = open_and_bind (self, peer_address_is_v4 (address) ? AF_INET : AF_INET6, address);
  bool no_ipv6 = code == EAFNOSUPPORT || code == EADDRNOTAVAIL || code == EPROTONOSUPPORT;
  if (!no_ipv6 || memcmp (address->ip, unspecified, 16) != 0)
    return code;
  PeerAddress v4 = {.ip = {[10] = 0xff, [11] = 0xff}, .port = address->port};
  return open_and_bind (self, AF_INET, &v4);
}

static void
prepare_receive (NetSocket *self)
{
  self->receive_buffer = g_malloc (RECEIVE_BATCH * RECEIVE_ROOM);
  for (unsigned i = 0; i < RECEIVE_BATCH; i++) {
    self->receive_vectors[i].iov_base = self->receive_buffer + (size_t)i * RECEIVE_ROOM;
    self->receive_vectors[i].iov_len = RECEIVE_ROOM;
    struct msghdr *header = &self->receive_messages[i].msg_hdr;
    header->msg_iov = &self->receive_vectors[i];
    header->msg_iovlen = 1;
    header->msg_name = &self->receive_names[i];
    header->msg_control = &self->receive_controls[i];
  }
  self->widest = 1;
}

NetSocket *
net_socket_new (const char *address, GError **error)
{
  PeerAddress parsed;
  if (!peer_address_parse (address, &parsed)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "%s: no address and port to listen on; write 0.0.0.0:PORT, [::]:PORT or the like",
                 address);
    return NULL;
  }
  g_autoptr (NetSocket) self = g_new0 (NetSocket, 1);
  int code = open_any (self, &parsed);
  if (code != 0) {
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code),
                 "%s: cannot listen there with UDP: %s%s", address, g_strerror (code),
                 bind_advice (code));
    self->fd = -1;
    return NULL;
  }
  SocketName name;
  socklen_t n = sizeof name;
  if (getsockname (self->fd, &name.any, &n) == 0) {
    PeerAddress own;
    address_from_name (&name, &own);
    self->port = own.port;
  }
  set_options (self);
  prepare_receive (self);
  self->send_buffer = g_malloc (SEND_BATCH * PEER_DATAGRAM_MAX);
  return g_steal_pointer (&self);
}

void
net_socket_free (NetSocket *self)
{
  if (self == NULL)
    return;
  if (self->fd >= 0)
    close (self->fd);
  g_free (self->receive_buffer);
  g_free (self->send_buffer);
  g_free (self);
}

int
net_socket_fd (const NetSocket *self)
{
  return self->fd;
}

uint16_t
net_socket_port (const NetSocket *self)
{
  return self->port;
}

/* The size of the datagrams that GRO has put into one; all but the last have it. */
static size_t
segment_size (struct msghdr *header, size_t n)
{
  for (struct cmsghdr *control = CMSG_FIRSTHDR (header); control != NULL;
       control = CMSG_NXTHDR (header, control)) {
    if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO) {
      int size;
      memcpy (&size, CMSG_DATA (control), sizeof size);
      if (size > 0)
        return (size_t)size;
    }
  }
  return n;
}

static unsigned
hand_on (NetSocket *self, unsigned i, NetSocketFunc func, gpointer data)
{
  struct mmsghdr *message = &self->receive_messages[i];
  const uint8_t *bytes = self->receive_vectors[i].iov_base;
  size_t left = message->msg_len;
  size_t segment = segment_size (&message->msg_hdr, left);
  PeerAddress from;
  address_from_name (&self->receive_names[i], &from);
  unsigned n = 0;
  do { /* an empty datagram is one too: a keep-alive of some other protocol, at worst */
    size_t size = MIN (segment, left);
    func (data, &from, bytes, size);
    bytes += size;
    left -= size;
    n++;
  } while (left > 0);
  return n;
}

unsigned
net_socket_receive (NetSocket *self, unsigned max, NetSocketFunc func, gpointer data)
{
  unsigned total = 0;
  while (total < max) {
    /* so that long runs do not carry us far past max */
    unsigned want = CLAMP ((max - total) / self->widest, 1, RECEIVE_BATCH);
    for (unsigned i = 0; i < want; i++) {
      self->receive_messages[i].msg_hdr.msg_namelen = sizeof (SocketName);
      self->receive_messages[i].msg_hdr.msg_controllen = sizeof (ControlRoom);
    }
    int got = recvmmsg (self->fd, self->receive_messages, want, MSG_DONTWAIT, NULL);
    self->stats.receive_calls++;
    if (got <= 0)
      break; /* nothing there; or an error of an earlier datagram, which is gone with this call */
    self->widest = 1;
    for (unsigned i = 0; i < (unsigned)got; i++) {
      unsigned n = hand_on (self, i, func, data);
      self->widest = MAX (self->widest, n);
      total += n;
    }
    if ((unsigned)got < want)
      break;
  }
  self->stats.received += total;
  return total;
}

uint8_t *
net_socket_room (NetSocket *self)
{
  if (self->send_n == SEND_BATCH)
    return NULL;
  return self->send_buffer + self->send_used;
}

void
net_socket_add (NetSocket *self, const PeerAddress *to, size_t n)
{
  g_return_if_fail (self->send_n < SEND_BATCH && n > 0 && n <= PEER_DATAGRAM_MAX);
  self->datagrams[self->send_n++] =
      (Datagram){.to = *to, .offset = (uint32_t)self->send_used, .size = (uint32_t)n};
  self->send_used += n;
}

/* The end of the run that begins with datagram first. */
static unsigned
run_end (const NetSocket *self, unsigned first)
{
  const Datagram *head = &self->datagrams[first];
  unsigned end = first + 1;
  if (!self->stats.gso || first < self->split_end)
    return end;
  size_t bytes = head->size;
  while (end < self->send_n && end - first < RUN_SEGMENTS) {
    const Datagram *next = &self->datagrams[end];
    bytes += next->size;
    if (next->size > head->size || bytes > RUN_BYTES || !peer_address_equal (&next->to, &head->to))
      break;
    end++;
    if (next->size < head->size)
      break; /* only the last may be shorter */
  }
  return end;
}

static void
prepare_message (NetSocket *self, unsigned i, unsigned first, unsigned end)
{
  const Datagram *head = &self->datagrams[first], *last = &self->datagrams[end - 1];
  struct msghdr *header = &self->send_messages[i].msg_hdr;
  self->send_vectors[i].iov_base = self->send_buffer + head->offset;
  self->send_vectors[i].iov_len = last->offset + last->size - head->offset;
  *header = (struct msghdr){
      .msg_iov = &self->send_vectors[i], .msg_iovlen = 1, .msg_name = &self->send_names[i]};
  header->msg_namelen = name_from_address (self->family, &head->to, &self->send_names[i]);
  if (end - first < 2)
    return;
  header->msg_control = &self->send_controls[i];
  header->msg_controllen = CMSG_SPACE (sizeof (uint16_t));
  struct cmsghdr *control = CMSG_FIRSTHDR (header);
  control->cmsg_level = IPPROTO_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN (sizeof (uint16_t));
  uint16_t size = (uint16_t)head->size;
  memcpy (CMSG_DATA (control), &size, sizeof size);
}

/* The kernel refused the run [first, end). A run is tried again one by one; a single datagram is
 * dropped. EIO: a device that computes no checksums, or IPsec. EINVAL, EMSGSIZE: the path is
 * narrower than a segment, which says nothing of other paths, unless it goes on so. */
static void
refused (NetSocket *self, int code, unsigned first, unsigned end)
{
  if (end - first < 2) {
    const Datagram *dropped = &self->datagrams[first];
    self->stats.send_errors++;
    self->send_next = end;
    if (code == EMSGSIZE && self->too_big != NULL)
      self->too_big (self->too_big_data, &dropped->to, dropped->size);
    return;
  }
  if (code == EIO || code == EOPNOTSUPP || ++self->gso_refused == GSO_REFUSALS)
    self->stats.gso = false;
  self->split_end = end;
}

bool
net_socket_flush (NetSocket *self)
{
  while (self->send_next < self->send_n) {
    unsigned ends[SEND_MESSAGES], n = 0;
    for (unsigned first = self->send_next; first < self->send_n && n < SEND_MESSAGES; n++) {
      ends[n] = run_end (self, first);
      prepare_message (self, n, first, ends[n]);
      first = ends[n];
    }
    int sent = sendmmsg (self->fd, self->send_messages, n, MSG_DONTWAIT);
    self->stats.send_calls++;
    if (sent > 0) {
      unsigned end = ends[sent - 1];
      if (ends[0] - self->send_next > 1)
        self->gso_refused = 0;
      self->stats.sent += end - self->send_next;
      self->send_next = end;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return false;
    } else if (errno != EINTR) {
      refused (self, errno, self->send_next, ends[0]);
    }
  }
  self->send_next = self->send_n = self->split_end = 0;
  self->send_used = 0;
  return true;
}

void
net_socket_set_too_big (NetSocket *self, NetSocketTooBigFunc func, gpointer data)
{
  self->too_big = func;
  self->too_big_data = data;
}

bool
net_socket_is_pending (const NetSocket *self)
{
  return self->send_next < self->send_n;
}

void
net_socket_stats (const NetSocket *self, NetSocketStats *out)
{
  *out = self->stats;
}

void
net_socket_disable_gso (NetSocket *self)
{
  self->stats.gso = false;
}
