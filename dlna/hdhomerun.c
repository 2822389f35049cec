/* SPDX-License-Identifier: Apache-2.0 */
/* A packet: type and length of what follows (16 bits each), tags with one byte, a length of one byte,
 * or two from 128 on, and a value, then the CRC-32 of Ethernet, little-endian; all else is big-endian.
 * A question names the kind of device and its number, or any (all ones).
 *
 * A search is a broadcast, which a socket that is bound to our address does not get. So it is bound to
 * the interface: nothing of it is on any other, and what comes in on the WAN does not reach it whatever
 * address of ours it is sent to (Linux 5.7 allows that to everybody). Whoever asks in another's name
 * is of the same network, and gains little: an answer has two or three times the bytes of a question,
 * and there are few a second. */
#include "dlna/hdhomerun.h"
#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  PORT = 65001,
  MAX_PACKET = 1460,
  AROUND = 8, /* bytes of type, length and CRC */
  QUESTION = 2,
  ANSWER = 3,
  TAG_DEVICE_TYPE = 0x01,
  TAG_DEVICE_ID = 0x02,
  TAG_TUNER_COUNT = 0x10,
  TAG_BASE_URL = 0x2a,
  TUNER = 1, /* a device type */
  PACKETS_AT_ONCE = 32,
  ANSWERS_A_SECOND = 16,
};
#define ANY 0xffffffffu

typedef struct {
  DlnaHdhomerun *hdhomerun;
  char *interface;
  DlnaLink link;
  int fd; /* -1 = not there now */
  guint source;
  bool told; /* that it cannot be had */
} Face;

struct DlnaHdhomerun {
  DlnaHdhomerunOptions with;
  GPtrArray *faces; /* Face */
  DlnaHdhomerunStats stats;
  int64_t second; /* us: since when these are counted */
  unsigned answered;
};

/* --- packets --- */

uint32_t
dlna_hdhomerun_id (const char *uuid)
{
  /* The check digit is such that all digits, each second one by this table, give 0 by exclusive or. */
  static const uint8_t table[] = {10, 5, 15, 6, 7, 12, 1, 11, 9, 2, 8, 13, 4, 3, 14, 0};
  char digits[9];
  uint32_t id, check = 0;

  g_strlcpy (digits, uuid, sizeof digits);
  /* No device of the maker's begins with this digit. */
  id = 0xa0000000u | ((uint32_t)strtoul (digits, NULL, 16) & 0x0ffffff0u);
  for (unsigned shift = 4; shift < 32; shift += 8)
    check ^= table[id >> shift & 15] ^ (shift < 28 ? id >> (shift + 4) & 15 : 0);
  return id | check;
}

static uint32_t
crc32 (const uint8_t *bytes, size_t n)
{
  uint32_t crc = ANY;

  for (size_t i = 0; i < n; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

static uint32_t
read_u32 (const uint8_t *at)
{
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Whether the packet is one of that type, whole. */
static bool
is_whole (const uint8_t *packet, size_t n)
{
  if (n < AROUND || n > MAX_PACKET || read_u32 (packet) != (QUESTION << 16 | (n - AROUND)))
    return false;
  return GUINT32_SWAP_LE_BE (read_u32 (packet + n - 4)) == crc32 (packet, n - 4);
}

typedef enum { OURS, OF_ANOTHER, TORN } Reading;

static Reading
read_question (uint32_t id, const uint8_t *packet, size_t n)
{
  bool tuner = false, another = false;

  if (!is_whole (packet, n))
    return TORN;
  for (const uint8_t *at = packet + 4, *end = packet + n - 4; at < end;) {
    /* what may be behind the end is the CRC, and longer than this */
    uint8_t tag = *at++;
    size_t length = *at++;
    if (length >= 0x80)
      length = (length & 0x7f) | (size_t)*at++ << 7;
    if (at > end || length > (size_t)(end - at))
      return TORN;
    if (tag == TAG_DEVICE_TYPE || tag == TAG_DEVICE_ID) {
      uint32_t wanted = length == 4 ? read_u32 (at) : 0;
      bool ours = wanted == ANY || wanted == (tag == TAG_DEVICE_TYPE ? TUNER : id);
      tuner |= ours && tag == TAG_DEVICE_TYPE;
      another |= !ours;
    }
    at += length; /* of a tag that we do not know, too */
  }
  return tuner && !another ? OURS : OF_ANOTHER;
}

static uint8_t *
append (uint8_t *at, uint8_t tag, const void *value, size_t n)
{
  *at++ = tag;
  *at++ = (uint8_t)n;
  memcpy (at, value, n);
  return at + n;
}

static size_t
write_answer (const DlnaHdhomerunOptions *with, const char *here, uint8_t *answer)
{
  uint32_t type = GUINT32_TO_BE (TUNER), id = GUINT32_TO_BE (with->id), crc;
  char base[32];
  int base_n = g_snprintf (base, sizeof base, "http://%s:%u", here, with->port);
  uint8_t *at = answer + 4;

  at = append (at, TAG_DEVICE_TYPE, &type, sizeof type);
  at = append (at, TAG_DEVICE_ID, &id, sizeof id);
  at = append (at, TAG_TUNER_COUNT, &with->tuners, 1);
  at = append (at, TAG_BASE_URL, base, MIN ((size_t)base_n, sizeof base - 1));
  answer[0] = answer[2] = 0;
  answer[1] = ANSWER;
  answer[3] = (uint8_t)(at - answer - 4);
  crc = GUINT32_TO_LE (crc32 (answer, (size_t)(at - answer)));
  memcpy (at, &crc, sizeof crc);
  return (size_t)(at - answer) + sizeof crc;
}

size_t
dlna_hdhomerun_answer (DlnaHdhomerun *self, const char *here, int64_t now, const uint8_t *packet,
                       size_t n, uint8_t answer[DLNA_HDHOMERUN_ANSWER])
{
  Reading reading = read_question (self->with.id, packet, n);

  self->stats.bad_questions += reading == TORN;
  if (reading != OURS)
    return 0;
  if (now - self->second >= G_USEC_PER_SEC) {
    self->second = now;
    self->answered = 0;
  }
  if (self->answered >= ANSWERS_A_SECOND) {
    self->stats.many_questions++;
    return 0;
  }
  self->answered++;
  self->stats.answers++;
  return write_answer (&self->with, here, answer);
}

/* --- interfaces --- */

static gboolean
on_packet (int fd, GIOCondition condition, gpointer data)
{
  Face *face = data;
  DlnaHdhomerun *self = face->hdhomerun;
  uint8_t packet[MAX_PACKET + 1], answer[DLNA_HDHOMERUN_ANSWER];

  for (int i = 0; i < PACKETS_AT_ONCE; i++) {
    struct sockaddr_in from = {0};
    socklen_t size = sizeof from;
    size_t answer_n = 0;
    ssize_t n = recvfrom (fd, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (n < 0)
      break;
    if (dlna_link_is_near (&face->link, from.sin_addr))
      answer_n = dlna_hdhomerun_answer (self, face->link.ip, g_get_monotonic_time (), packet,
                                        (size_t)n, answer);
    else
      self->stats.far_clients++;
    if (answer_n > 0) /* one that is lost is asked for again */
      (void)sendto (fd, answer, answer_n, MSG_DONTWAIT, (struct sockaddr *)&from, size);
  }
  return G_SOURCE_CONTINUE;
}

static void
shut (Face *face)
{
  if (face->fd < 0)
    return;
  g_source_remove (face->source);
  close (face->fd);
  face->fd = -1;
}

static void
open_socket (Face *face)
{
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons (PORT)};
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

  /* Two gateways on one computer both hear a search. */
  if (fd >= 0 && setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      setsockopt (fd, SOL_SOCKET, SO_BINDTODEVICE, face->interface,
                  (socklen_t)strlen (face->interface)) == 0 &&
      bind (fd, (struct sockaddr *)&any, sizeof any) == 0) {
    face->fd = fd;
    face->source = g_unix_fd_add (fd, G_IO_IN, on_packet, face);
    face->told = false;
    return;
  }
  if (!face->told)
    g_log_structured ("dlna", G_LOG_LEVEL_MESSAGE, "MESSAGE",
                      "cannot be found as a tuner on %s, UDP port %d (tried again): %s",
                      face->interface, PORT, g_strerror (errno));
  face->told = true;
  if (fd >= 0)
    close (fd);
}

static void
face_free (gpointer data)
{
  Face *face = data;

  shut (face);
  g_free (face->interface);
  g_free (face);
}

static Face *
find (const DlnaHdhomerun *self, const char *interface)
{
  for (guint i = 0; i < self->faces->len; i++) {
    Face *face = self->faces->pdata[i];
    if (strcmp (face->interface, interface) == 0)
      return face;
  }
  return NULL;
}

void
dlna_hdhomerun_follow (DlnaHdhomerun *self, const char *const *interfaces)
{
  for (guint i = self->faces->len; i > 0; i--)
    if (!g_strv_contains (interfaces, ((Face *)self->faces->pdata[i - 1])->interface))
      g_ptr_array_remove_index (self->faces, i - 1);
  for (size_t i = 0; interfaces[i] != NULL; i++) {
    Face *face = find (self, interfaces[i]);
    DlnaLink old;
    if (face == NULL) {
      face = g_new0 (Face, 1);
      face->hdhomerun = self;
      face->interface = g_strdup (interfaces[i]);
      face->fd = -1;
      g_ptr_array_add (self->faces, face);
    }
    old = face->link;
    dlna_links_find (face->interface, &face->link);
    if (!dlna_link_is (&face->link, &old))
      shut (face);
    if (face->fd < 0 && face->link.index != 0)
      open_socket (face);
  }
}

DlnaHdhomerun *
dlna_hdhomerun_new (const DlnaHdhomerunOptions *options)
{
  DlnaHdhomerun *self = g_new0 (DlnaHdhomerun, 1);

  self->with = *options;
  self->faces = g_ptr_array_new_with_free_func (face_free);
  self->second = G_MININT64 / 2;
  return self;
}

void
dlna_hdhomerun_free (DlnaHdhomerun *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->faces);
  g_free (self);
}

void
dlna_hdhomerun_stats (const DlnaHdhomerun *self, DlnaHdhomerunStats *out)
{
  *out = self->stats;
}
