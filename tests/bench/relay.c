/* SPDX-License-Identifier: Apache-2.0 */
/* A way with delay and loss, for benches: the kernel here has no netem, and two programs can only
 * be compared on the same way.
 *
 *   relay LISTEN-PORT TO-PORT DELAY-MS LOSS-PERCENT [RATE-MBIT QUEUE-KB] [SEED]
 *
 * Whoever sends to 127.0.0.1:LISTEN-PORT gets a socket of its own towards 127.0.0.1:TO-PORT, so the
 * other end sees as many peers as there are. Each datagram, in both directions, is lost with that
 * chance, or else waits DELAY-MS, so a round trip takes twice that; with a rate, it also waits
 * for its turn on a line towards LISTEN's side, and is dropped where the queue is full. Says "ready"
 * when it listens, and at its end (SIGTERM) what it has done, as JSON. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 64
#define BATCH 64
#define ROOM 2048        /* bytes of a datagram */
#define LINE_SLOTS 65536 /* datagrams under way in one direction */
#define BUFFER (8 << 20) /* bytes */

typedef struct {
  int64_t due; /* us */
  uint32_t size;
  uint32_t client;
  uint8_t bytes[ROOM];
} Datagram;

/* A line is a ring: everything waits equally long, so what came first leaves first. */
typedef struct {
  Datagram *slots;
  uint64_t in, out;
  double rate;    /* bytes/us; 0 = no limit */
  double queue;   /* bytes */
  double free_at; /* us: when the queue will be empty */
  uint64_t lost, dropped, forwarded;
} Line;

typedef struct {
  struct sockaddr_in name;
  int fd; /* towards the other end */
} Client;

typedef struct {
  int fd; /* where clients send to */
  struct sockaddr_in to;
  int64_t delay;
  double loss; /* share */
  uint64_t random;
  Client clients[CLIENTS];
  unsigned n_clients;
  Line up, down; /* from clients, to clients */
} Relay;

static volatile sig_atomic_t stopped;

static void
stop (int number)
{
  stopped = number;
}

static int64_t
now_us (void)
{
  struct timespec time;
  clock_gettime (CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* SplitMix64: the same seed loses the same datagrams. */
static bool
is_lost (Relay *self)
{
  uint64_t z = self->random += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return (double)(z >> 11) * 0x1p-53 < self->loss;
}

static struct sockaddr_in
loopback (unsigned port)
{
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons ((uint16_t)port)};
  name.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  return name;
}

static int
open_socket (unsigned port)
{
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = BUFFER;
  struct sockaddr_in name = loopback (port);
  if (fd < 0 || bind (fd, (struct sockaddr *)&name, sizeof name) < 0) {
    perror ("relay: cannot listen");
    exit (1);
  }
  if (setsockopt (fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
    setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (setsockopt (fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
    setsockopt (fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  return fd;
}

static void
line_put (Relay *self, Line *line, uint32_t client, const uint8_t *bytes, uint32_t n, int64_t now)
{
  if (is_lost (self)) {
    line->lost++;
    return;
  }
  double through = (double)now;
  if (line->rate > 0) {
    through = line->free_at > through ? line->free_at : through;
    if ((through - (double)now) * line->rate > line->queue)
      through = -1;
    else
      line->free_at = through += n / line->rate;
  }
  if (through < 0 || line->in - line->out == LINE_SLOTS) {
    line->dropped++;
    return;
  }
  Datagram *slot = &line->slots[line->in++ % LINE_SLOTS];
  slot->due = (int64_t)through + self->delay;
  slot->client = client;
  slot->size = n;
  memcpy (slot->bytes, bytes, n);
}

/* CLIENTS = there are too many. */
static uint32_t
find_client (Relay *self, const struct sockaddr_in *name)
{
  for (uint32_t i = 0; i < self->n_clients; i++)
    if (self->clients[i].name.sin_port == name->sin_port)
      return i;
  if (self->n_clients == CLIENTS)
    return CLIENTS;
  self->clients[self->n_clients] = (Client){.name = *name, .fd = open_socket (0)};
  return self->n_clients++;
}

/* All that waits in fd. client: whose socket it is; CLIENTS = it is where clients send to. */
static void
take_in (Relay *self, int fd, uint32_t client)
{
  static uint8_t bytes[BATCH][ROOM];
  struct sockaddr_in names[BATCH];
  struct iovec vectors[BATCH];
  struct mmsghdr messages[BATCH];
  int got;
  do {
    memset (messages, 0, sizeof messages);
    for (unsigned i = 0; i < BATCH; i++) {
      vectors[i] = (struct iovec){bytes[i], ROOM};
      messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i],
                                            .msg_iovlen = 1,
                                            .msg_name = &names[i],
                                            .msg_namelen = sizeof names[i]};
    }
    got = recvmmsg (fd, messages, BATCH, MSG_DONTWAIT, NULL);
    int64_t now = now_us ();
    for (int i = 0; i < got; i++) {
      uint32_t whose = client == CLIENTS ? find_client (self, &names[i]) : client;
      if (whose < CLIENTS)
        line_put (self, client == CLIENTS ? &self->up : &self->down, whose, bytes[i],
                  messages[i].msg_len, now);
    }
  } while (got == BATCH);
}

static int64_t
line_due (const Line *line)
{
  return line->in == line->out ? INT64_MAX : line->slots[line->out % LINE_SLOTS].due;
}

/* Sends what is due; those for one client in one call. */
static void
let_out (Relay *self, Line *line, int64_t now)
{
  while (line_due (line) <= now) {
    struct iovec vectors[BATCH];
    struct mmsghdr messages[BATCH];
    uint32_t client = line->slots[line->out % LINE_SLOTS].client;
    unsigned n = 0;
    memset (messages, 0, sizeof messages);
    for (; n < BATCH && line->out + n < line->in; n++) {
      Datagram *slot = &line->slots[(line->out + n) % LINE_SLOTS];
      if (slot->due > now || slot->client != client)
        break;
      vectors[n] = (struct iovec){slot->bytes, slot->size};
      messages[n].msg_hdr = (struct msghdr){.msg_iov = &vectors[n], .msg_iovlen = 1};
      messages[n].msg_hdr.msg_name = line == &self->up ? &self->to : &self->clients[client].name;
      messages[n].msg_hdr.msg_namelen = sizeof (struct sockaddr_in);
    }
    int sent = sendmmsg (line == &self->up ? self->clients[client].fd : self->fd, messages, n, 0);
    /* a datagram that nobody takes is gone; a full buffer is tried again at once */
    if (sent <= 0 && (errno == EAGAIN || errno == EINTR))
      return;
    line->out += sent > 0 ? (unsigned)sent : 1;
    line->forwarded += sent > 0 ? (unsigned)sent : 0;
  }
}

static void
run (Relay *self)
{
  while (!stopped) {
    struct pollfd polls[CLIENTS + 1];
    unsigned n = self->n_clients;
    for (unsigned i = 0; i < n; i++)
      polls[i] = (struct pollfd){.fd = self->clients[i].fd, .events = POLLIN};
    polls[n] = (struct pollfd){.fd = self->fd, .events = POLLIN};
    int64_t up = line_due (&self->up), down = line_due (&self->down);
    int64_t wait = (up < down ? up : down) - now_us ();
    struct timespec time = {.tv_nsec = wait > 100000 ? 100000000 : wait < 0 ? 0 : wait * 1000};
    if (ppoll (polls, n + 1, &time, NULL) > 0)
      for (unsigned i = 0; i <= n; i++)
        if (polls[i].revents)
          take_in (self, polls[i].fd, i == n ? CLIENTS : i);
    int64_t now = now_us ();
    let_out (self, &self->up, now);
    let_out (self, &self->down, now);
  }
}

int
main (int argc, char **argv)
{
  static Relay self;
  if (argc < 5) {
    fprintf (stderr, "usage: relay LISTEN-PORT TO-PORT DELAY-MS LOSS-PERCENT"
                     " [RATE-MBIT QUEUE-KB] [SEED]\n");
    return 2;
  }
  self.fd = open_socket ((unsigned)atoi (argv[1]));
  self.to = loopback ((unsigned)atoi (argv[2]));
  self.delay = (int64_t)(atof (argv[3]) * 1000);
  self.loss = atof (argv[4]) / 100;
  self.down.rate = argc > 6 ? atof (argv[5]) / 8 : 0;
  self.down.queue = argc > 6 ? atof (argv[6]) * 1000 : 0;
  self.random = argc > 7 ? strtoull (argv[7], NULL, 10) : 7574;
  self.up.slots = calloc (LINE_SLOTS, sizeof (Datagram));
  self.down.slots = calloc (LINE_SLOTS, sizeof (Datagram));
  if (!self.up.slots || !self.down.slots)
    return 1;
  signal (SIGTERM, stop);
  signal (SIGINT, stop);
  puts ("ready");
  fflush (stdout);
  run (&self);
  printf ("{\"forwarded\": %llu, \"lost\": %llu, \"dropped\": %llu}\n",
          (unsigned long long)(self.up.forwarded + self.down.forwarded),
          (unsigned long long)(self.up.lost + self.down.lost),
          (unsigned long long)(self.up.dropped + self.down.dropped));
  return 0;
}
