/* SPDX-License-Identifier: Apache-2.0 */
/* The ceiling: what two processes with a core each get through UDP on loopback, with nothing but the
 * datagrams. As fast as the kernel allows: runs of 56 datagrams of 1,120 bytes by UDP_SEGMENT, taken
 * in by recvmmsg with UDP_GRO, and one datagram back for each run, so that none is lost.
 *
 *   bare MEGABYTES        prints JSON: seconds, CPU seconds of both, datagrams received */
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define SIZE 1120 /* bytes of a datagram */
#define RUN 56    /* datagrams of a run */
#define WINDOW 8  /* runs under way */
#define BATCH 16
#define ROOM 65536

static double
seconds (void)
{
  struct timespec time;
  clock_gettime (CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double
cpu_seconds (const struct rusage *usage)
{
  return (double)usage->ru_utime.tv_sec + (double)usage->ru_stime.tv_sec +
         (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static void
pin (int core)
{
  cpu_set_t set;
  CPU_ZERO (&set);
  CPU_SET (core, &set);
  sched_setaffinity (0, sizeof set, &set); /* on one core it is slower, and still a figure */
}

static int
open_socket (struct sockaddr_in *name)
{
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 4 << 20, one = 1;
  socklen_t n = sizeof *name;
  *name = (struct sockaddr_in){.sin_family = AF_INET};
  name->sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  if (fd < 0 || bind (fd, (struct sockaddr *)name, n) < 0 ||
      getsockname (fd, (struct sockaddr *)name, &n) < 0) {
    perror ("bare: cannot open a socket");
    exit (1);
  }
  if (setsockopt (fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
    setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt (fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
  struct timeval patience = {.tv_sec = 10};
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

/* Until all bytes came; one byte back for each run. */
static void
receive (int fd, uint64_t total)
{
  static uint8_t bytes[BATCH][ROOM];
  struct iovec vectors[BATCH];
  struct mmsghdr messages[BATCH];
  struct sockaddr_in from;
  uint64_t got = 0, answered = 0;
  while (got < total) {
    memset (messages, 0, sizeof messages);
    for (unsigned i = 0; i < BATCH; i++) {
      vectors[i] = (struct iovec){bytes[i], ROOM};
      messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    messages[0].msg_hdr.msg_name = &from;
    messages[0].msg_hdr.msg_namelen = sizeof from;
    int n = recvmmsg (fd, messages, BATCH, MSG_WAITFORONE, NULL);
    if (n <= 0)
      exit (1);
    for (int i = 0; i < n; i++)
      got += messages[i].msg_len;
    for (; answered + SIZE * RUN <= got; answered += SIZE * RUN)
      sendto (fd, "", 1, 0, (struct sockaddr *)&from, sizeof from);
  }
}

static bool
send_run (int fd, const struct sockaddr_in *to)
{
  static uint8_t bytes[SIZE * RUN];
  char room[CMSG_SPACE (sizeof (uint16_t))] = {0};
  struct iovec vector = {bytes, sizeof bytes};
  struct msghdr header = {.msg_name = (void *)to,
                          .msg_namelen = sizeof *to,
                          .msg_iov = &vector,
                          .msg_iovlen = 1,
                          .msg_control = room,
                          .msg_controllen = sizeof room};
  struct cmsghdr *control = CMSG_FIRSTHDR (&header);
  uint16_t size = SIZE;
  control->cmsg_level = IPPROTO_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN (sizeof size);
  memcpy (CMSG_DATA (control), &size, sizeof size);
  return sendmsg (fd, &header, 0) == (ssize_t)sizeof bytes;
}

int
main (int argc, char **argv)
{
  uint64_t megabytes = argc > 1 ? strtoull (argv[1], NULL, 10) : 0;
  uint64_t runs = megabytes * 1000000 / (SIZE * RUN) + 1;
  struct sockaddr_in there, here;
  if (megabytes == 0) {
    fprintf (stderr, "usage: bare MEGABYTES\n");
    return 2;
  }
  int receiver = open_socket (&there), sender = open_socket (&here), status;
  double start = seconds ();
  pid_t child = fork ();
  if (child == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    pin (1);
    receive (receiver, runs * SIZE * RUN);
    _exit (0);
  }
  pin (0);
  for (uint64_t sent = 0, answered = 0; answered < runs;) {
    char room[64];
    if (sent < runs && sent - answered < WINDOW) {
      if (!send_run (sender, &there))
        return 1;
      sent++;
      continue;
    }
    ssize_t n = recv (sender, room, sizeof room, 0); /* GRO may join the answers */
    if (n <= 0)
      return 1;
    answered += (uint64_t)n;
  }
  double wall = seconds () - start;
  struct rusage own, childs;
  if (waitpid (child, &status, 0) != child || status != 0)
    return 1;
  getrusage (RUSAGE_SELF, &own);
  getrusage (RUSAGE_CHILDREN, &childs);
  printf ("{\"bytes\": %llu, \"wall\": %.6f, \"seeder_cpu\": %.6f, \"leecher_cpu\": %.6f}\n",
          (unsigned long long)(runs * SIZE * RUN), wall, cpu_seconds (&own), cpu_seconds (&childs));
  return 0;
}
