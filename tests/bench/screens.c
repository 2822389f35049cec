/* SPDX-License-Identifier: Apache-2.0 */
/* What many screens on one channel are measured with, each part cheap enough to be no bottleneck:
 *
 *   screens source FILE ADDRESS PORT PATH BITRATE
 *       pushes the transport stream in FILE, again and again, by PUT at that rate
 *   screens bare FILE ADDRESS PORT BITRATE VIEWERS TICK_MS
 *       the ceiling: one thread that writes the same to that many viewers, a send() for each and tick,
 *       or when 64 KiB have come together, and does nothing else
 *   screens view FILE PORT PATH VIEWERS SECONDS STALL VANISH ADDRESS [FROM...]
 *       so many viewers, bound to the addresses FROM in turn. All are compared with FILE, byte for
 *       byte, from where it begins in what they got behind the tables, and again behind a gap. Prints "started" when all have
 *       begun; then the last STALL of them stop to read, and the VANISH before these are reset.
 *       SECONDS later it prints a line of JSON about those that stayed.
 *   screens take FILE PORT PATH VIEWERS ADDRESS
 *       so many take a film, which is FILE, as fast as it comes, each to its end. Prints a line of JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  PACKET = 188,
  NEEDLE = 10 * PACKET,        /* bytes that tell a place in the file */
  MAX_TABLES = 1000 * PACKET,  /* what may stand in front of it, or between two joints */
  FIRST = NEEDLE + MAX_TABLES, /* bytes of a body that are kept to find its place */
  GATHER = 65536,
  ROOM = 1 << 20,
  PATIENCE = 120, /* s, until all have begun */
};

static uint8_t *film; /* film_size bytes, and the first NEEDLE again */
static size_t film_size;

_Noreturn static void
fail (const char *what)
{
  fprintf (stderr, "screens: %s: %s\n", what, strerror (errno));
  exit (1);
}

static double
seconds (void)
{
  struct timespec time;
  clock_gettime (CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void
nap (double length)
{
  struct timespec time = {(time_t)length, (long)((length - (double)(time_t)length) * 1e9)};
  if (length > 0)
    nanosleep (&time, NULL);
}

static void
read_film (const char *path)
{
  struct stat info;
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &info) < 0 || info.st_size < 2 * FIRST)
    fail (path);
  film_size = (size_t)info.st_size / PACKET * PACKET;
  film = malloc (film_size + NEEDLE);
  for (size_t n = 0; film && n < film_size;) {
    ssize_t got = read (fd, film + n, film_size - n);
    if (got <= 0)
      fail (path);
    n += (size_t)got;
  }
  if (!film)
    fail ("memory");
  memcpy (film + film_size, film, NEEDLE);
  close (fd);
}

static struct sockaddr_in
name (const char *address, const char *port)
{
  struct sockaddr_in out = {.sin_family = AF_INET, .sin_port = htons ((uint16_t)atoi (port))};
  if (inet_pton (AF_INET, address, &out.sin_addr) != 1)
    fail (address);
  return out;
}

static int
dial (const char *address, const char *port, const char *from)
{
  struct sockaddr_in to = name (address, port);
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (from) {
    struct sockaddr_in local = name (from, "0");
    if (bind (fd, (struct sockaddr *)&local, sizeof local) < 0)
      fail (from);
  }
  if (connect (fd, (struct sockaddr *)&to, sizeof to) < 0)
    fail (address);
  return fd;
}

/* --- source --- */

static int
source (char **words)
{
  char head[512];
  double rate = atof (words[4]) / 8, start = seconds (), sent = 0;
  int fd = dial (words[1], words[2], NULL);
  snprintf (head, sizeof head,
            "PUT %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Length: 1000000000000000\r\n\r\n", words[3],
            words[1], words[2]);
  if (send (fd, head, strlen (head), MSG_NOSIGNAL) < 0)
    fail ("send");
  for (size_t at = 0;;) {
    double due = (seconds () - start) * rate;
    while (sent + 7 * PACKET <= due) {
      size_t n = film_size - at < (size_t)(due - sent) ? film_size - at : (size_t)(due - sent);
      ssize_t done = send (fd, film + at, n < PACKET ? n : n / PACKET * PACKET, MSG_NOSIGNAL);
      if (done < 0)
        fail ("the origin took no more");
      at = (at + (size_t)done) % film_size;
      sent += (double)done;
    }
    nap (0.005);
  }
}

/* --- bare --- */

static void
accept_all (const char *address, const char *port, int *fds, size_t n)
{
  static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";
  char request[4096];
  int one = 1, fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in local = name (address, port);
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind (fd, (struct sockaddr *)&local, sizeof local) < 0 || listen (fd, 512) < 0)
    fail ("listen");
  puts ("ready");
  fflush (stdout);
  for (size_t i = 0; i < n; i++) {
    fds[i] = accept (fd, NULL, NULL);
    if (fds[i] < 0 || recv (fds[i], request, sizeof request, 0) <= 0 ||
        send (fds[i], head, sizeof head - 1, MSG_NOSIGNAL) < 0)
      fail ("accept");
    fcntl (fds[i], F_SETFL, O_NONBLOCK);
    setsockopt (fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
}

/* As much as the socket takes of what lies between *at and end. false = its viewer is gone. */
static bool
catch_up (int fd, uint64_t *at, uint64_t end)
{
  while (*at < end) {
    size_t place = (size_t)(*at % film_size), n = film_size - place;
    ssize_t done = send (fd, film + place, n < end - *at ? n : (size_t)(end - *at), MSG_NOSIGNAL);
    if (done < 0)
      return errno == EAGAIN;
    *at += (uint64_t)done;
  }
  return true;
}

static int
bare (char **words)
{
  double rate = atof (words[3]) / 8, tick = atof (words[5]) / 1000;
  size_t n = (size_t)atoi (words[4]), left = n;
  int *fds = calloc (n, sizeof *fds);
  uint64_t *places = calloc (n, sizeof *places);
  if (!fds || !places)
    fail ("memory");
  accept_all (words[1], words[2], fds, n);
  if (tick > GATHER / rate)
    tick = GATHER / rate;
  for (double start = seconds (); left > 0; nap (tick)) {
    uint64_t end = (uint64_t)((seconds () - start) * rate) + GATHER;
    for (size_t i = 0; i < n; i++)
      if (fds[i] >= 0 && !catch_up (fds[i], &places[i], end)) {
        close (fds[i]);
        fds[i] = -1;
        left--;
      }
  }
  free (fds);
  free (places);
  return 0;
}

/* --- view --- */

typedef struct {
  int fd; /* -1 = it has vanished */
  bool chunked, started, ended;
  uint8_t first[FIRST]; /* of the head, then of the body until its place is found */
  size_t n_first;
  bool in_body;
  size_t chunk_left; /* bytes of this chunk, and of the line end behind it */
  char line[32];     /* a chunk's size, as far as it has come */
  size_t n_line;
  size_t place; /* in film */
  uint64_t bytes, gaps;
  double last, silence;
} Viewer;

static void take_body (Viewer *self, const uint8_t *bytes, size_t n);

/* bytes are not what follows: a gap, which begins with a packet, perhaps one that has come in part.
 * Behind it the place is sought anew. */
static void
seek_again (Viewer *self, const uint8_t *bytes, size_t n)
{
  size_t same = 0, begun = self->place % PACKET;
  while (film[self->place + same] == bytes[same])
    same++;
  size_t whole = (begun + same) / PACKET * PACKET;
  self->gaps++;
  self->started = false;
  self->n_first = whole < begun ? begun : 0;
  memcpy (self->first, film + self->place - begun, self->n_first);
  size_t skip = whole < begun ? 0 : whole - begun;
  self->bytes -= n - skip; /* take_body() counts them again */
  take_body (self, bytes + skip, n - skip);
}

static void
compare (Viewer *self, const uint8_t *bytes, size_t n)
{
  while (n > 0) {
    size_t part = film_size - self->place < n ? film_size - self->place : n;
    if (memcmp (film + self->place, bytes, part) != 0) {
      seek_again (self, bytes, n);
      return;
    }
    self->place = (self->place + part) % film_size;
    bytes += part;
    n -= part;
  }
}

/* Where those NEEDLE bytes are in film; film_size = nowhere. */
static size_t
find (const uint8_t *bytes)
{
  size_t at = 0;
  while (at < film_size && memcmp (film + at, bytes, NEEDLE) != 0)
    at += PACKET;
  return at;
}

static void
take_body (Viewer *self, const uint8_t *bytes, size_t n)
{
  self->bytes += n;
  if (self->started) {
    compare (self, bytes, n);
    return;
  }
  size_t part = n < FIRST - self->n_first ? n : FIRST - self->n_first;
  memcpy (self->first + self->n_first, bytes, part);
  self->n_first += part;
  for (size_t at = 0; at + NEEDLE <= self->n_first && !self->started; at += PACKET) {
    self->place = find (self->first + at);
    if (self->place == film_size)
      continue;
    self->started = true;
    compare (self, self->first + at, self->n_first - at);
    compare (self, bytes + part, n - part);
  }
  if (!self->started && self->n_first == FIRST) {
    fprintf (stderr, "screens: a body that is not of this file\n");
    exit (1);
  }
}

static void
take_chunked (Viewer *self, const uint8_t *bytes, size_t n)
{
  while (n > 0 && !self->ended) {
    if (self->chunk_left > 2) {
      size_t part = self->chunk_left - 2 < n ? self->chunk_left - 2 : n;
      take_body (self, bytes, part);
      self->chunk_left -= part;
      bytes += part;
      n -= part;
      continue;
    }
    if (self->chunk_left > 0) {
      self->chunk_left--;
    } else if (*bytes == '\n') {
      self->line[self->n_line] = 0;
      self->chunk_left = strtoul (self->line, NULL, 16) + 2;
      self->ended = self->chunk_left == 2;
      self->n_line = 0;
    } else if (self->n_line + 1 < sizeof self->line) {
      self->line[self->n_line++] = (char)*bytes;
    }
    bytes++;
    n--;
  }
}

static void
take (Viewer *self, const uint8_t *bytes, size_t n)
{
  if (!self->in_body) {
    size_t part = n < FIRST - 1 - self->n_first ? n : FIRST - 1 - self->n_first;
    memcpy (self->first + self->n_first, bytes, part);
    self->first[self->n_first + part] = 0;
    const char *text = (const char *)self->first, *end = strstr (text, "\r\n\r\n");
    size_t before = self->n_first;
    self->n_first += part;
    if (!end)
      return;
    if (strncmp (text + 8, " 200", 4) != 0) {
      fprintf (stderr, "screens: %.*s\n", (int)strcspn (text, "\r"), text);
      exit (1);
    }
    self->chunked = strcasestr (text, "transfer-encoding: chunked");
    self->in_body = true;
    size_t head = (size_t)(end + 4 - text) - before;
    self->n_first = 0;
    bytes += head;
    n -= head;
  }
  if (self->chunked)
    take_chunked (self, bytes, n);
  else
    take_body (self, bytes, n);
}

static void
on_readable (Viewer *self, uint8_t *room)
{
  double now = seconds ();
  ssize_t n = recv (self->fd, room, ROOM, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0) {
    self->ended = true;
    close (self->fd);
    self->fd = -1;
    return;
  }
  if (self->last > 0 && now - self->last > self->silence)
    self->silence = now - self->last;
  self->last = now;
  take (self, room, (size_t)n);
}

static void
turn (int poll, Viewer *viewers, int wait_ms)
{
  static uint8_t room[ROOM];
  struct epoll_event events[128];
  int n = epoll_wait (poll, events, 128, wait_ms);
  for (int i = 0; i < n; i++)
    on_readable (&viewers[events[i].data.u32], room);
}

/* where: the address to ask, and those to ask from, in turn. */
static Viewer *
ask_all (size_t n, int poll, const char *port, const char *path, char **where, int n_where)
{
  char request[512];
  Viewer *viewers = calloc (n, sizeof *viewers);
  if (!viewers)
    fail ("viewers");
  snprintf (request, sizeof request,
            "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: VLC/3.0.18 LibVLC/3.0.18\r\n\r\n", path,
            where[0], port);
  for (size_t i = 0; i < n; i++) {
    const char *from = n_where > 1 ? where[1 + i % (size_t)(n_where - 1)] : NULL;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
    viewers[i].fd = dial (where[0], port, from);
    if (send (viewers[i].fd, request, strlen (request), MSG_NOSIGNAL) < 0 ||
        epoll_ctl (poll, EPOLL_CTL_ADD, viewers[i].fd, &event) < 0)
      fail ("send");
  }
  return viewers;
}

/* Those from n - stall on read no more; those before them are gone by a reset. */
static void
misbehave (Viewer *viewers, size_t n, size_t stall, size_t vanish, int poll)
{
  for (size_t i = n - stall - vanish; i < n; i++) {
    struct linger reset = {.l_onoff = 1};
    epoll_ctl (poll, EPOLL_CTL_DEL, viewers[i].fd, NULL);
    if (i >= n - stall)
      continue;
    setsockopt (viewers[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close (viewers[i].fd);
    viewers[i].fd = -1;
  }
}

static int
view (char **words, int n_words)
{
  size_t n = (size_t)atoi (words[3]), stall = (size_t)atoi (words[5]),
         vanish = (size_t)atoi (words[6]), stay = n - stall - vanish;
  int poll = epoll_create1 (EPOLL_CLOEXEC);
  uint64_t bytes = 0, gaps = 0, same_gaps = UINT64_MAX, least = UINT64_MAX, ended = 0;
  double silence = 0, end = seconds () + PATIENCE;
  if (stall + vanish > n)
    fail ("viewers");
  Viewer *viewers = ask_all (n, poll, words[1], words[2], words + 7, n_words - 7);
  for (size_t started = 0; started < n;) {
    if (seconds () > end) {
      fprintf (stderr, "screens: %zu of %zu have begun\n", started, n);
      return 1;
    }
    turn (poll, viewers, 100);
    while (started < n && viewers[started].started)
      started++;
  }
  misbehave (viewers, n, stall, vanish, poll);
  for (size_t i = 0; i < n; i++) {
    viewers[i].bytes = 0;
    viewers[i].silence = 0;
    viewers[i].gaps = 0;
    viewers[i].last = seconds ();
  }
  puts ("started");
  fflush (stdout);
  double start = seconds ();
  for (end = start + atof (words[4]); seconds () < end;)
    turn (poll, viewers, 10);
  double took = seconds () - start;
  for (size_t i = 0; i < stay; i++) {
    const Viewer *viewer = &viewers[i];
    double quiet = seconds () - viewer->last;
    bytes += viewer->bytes;
    gaps = viewer->gaps > gaps ? viewer->gaps : gaps;
    same_gaps = viewer->gaps < same_gaps ? viewer->gaps : same_gaps;
    ended += viewer->ended;
    least = viewer->bytes < least ? viewer->bytes : least;
    silence = viewer->silence > silence ? viewer->silence : silence;
    silence = quiet > silence ? quiet : silence;
  }
  printf ("{\"seconds\": %.3f, \"bytes\": %llu, \"least\": %llu, \"gaps\": %llu, \"same_gaps\": "
          "%llu, \"ended\": %llu, "
          "\"silence\": %.3f}\n",
          took, (unsigned long long)bytes, (unsigned long long)least, (unsigned long long)gaps,
          (unsigned long long)same_gaps, (unsigned long long)ended, silence);
  free (viewers);
  return 0;
}

static int
take_film (char **words)
{
  size_t n = (size_t)atoi (words[3]);
  int poll = epoll_create1 (EPOLL_CLOEXEC);
  uint64_t bytes = 0, gaps = 0;
  double start = seconds (), end = start + PATIENCE;
  Viewer *viewers = ask_all (n, poll, words[1], words[2], words + 4, 1);
  for (size_t done = 0; done < n;) {
    if (seconds () > end) {
      fprintf (stderr, "screens: %zu of %zu have it whole\n", done, n);
      return 1;
    }
    turn (poll, viewers, 100);
    while (done < n && (viewers[done].bytes >= film_size || viewers[done].ended))
      done++;
  }
  double took = seconds () - start;
  for (size_t i = 0; i < n; i++) {
    bytes += viewers[i].bytes;
    gaps += viewers[i].gaps + (viewers[i].bytes != film_size);
  }
  printf ("{\"seconds\": %.6f, \"bytes\": %llu, \"wrong\": %llu}\n", took,
          (unsigned long long)bytes, (unsigned long long)gaps);
  free (viewers);
  return 0;
}

int
main (int argc, char **argv)
{
  const char *role = argc > 2 ? argv[1] : "";
  signal (SIGPIPE, SIG_IGN);
  if (argc > 2)
    read_film (argv[2]);
  if (strcmp (role, "source") == 0 && argc == 7)
    return source (argv + 2);
  if (strcmp (role, "bare") == 0 && argc == 8)
    return bare (argv + 2);
  if (strcmp (role, "view") == 0 && argc >= 10)
    return view (argv + 2, argc - 2);
  if (strcmp (role, "take") == 0 && argc == 7)
    return take_film (argv + 2);
  fprintf (stderr, "screens: see the beginning of screens.c\n");
  return 1;
}
