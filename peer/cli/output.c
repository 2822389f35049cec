/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe is not made non-blocking, since that would change it for whoever else has it, a shell for
 * one. It is asked by poll() instead, and given no more at a time than it then certainly takes:
 * PIPE_BUF bytes. A file takes all at once. */
#include "peer/cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM (256 << 10) /* bytes */

struct CliOutput {
  char *name;
  int fd;
  bool own, is_file;
  CliOutputFunc ready;
  gpointer data;
  guint watch;
  size_t first, end; /* bytes that wait, in the buffer */
  uint64_t written;
  uint8_t buffer[ROOM];
};

static bool
open_fd (CliOutput *self, const char *path, GError **error)
{
  struct stat status;
  if (path != NULL)
    self->fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (self->fd < 0 || fstat (self->fd, &status) < 0) {
    int code = errno;
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "%s: cannot write there: %s",
                 self->name, g_strerror (code));
    return false;
  }
  self->is_file = S_ISREG (status.st_mode);
  if (path == NULL && isatty (self->fd)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED,
                 "standard output is a terminal: give --output FILE, or a pipe to a player");
    return false;
  }
  return true;
}

CliOutput *
cli_output_new (const char *path, CliOutputFunc ready, gpointer data, GError **error)
{
  g_autoptr (CliOutput) self = g_new0 (CliOutput, 1);
  self->name = g_strdup (path != NULL ? path : "standard output");
  self->fd = path != NULL ? -1 : STDOUT_FILENO;
  self->own = path != NULL;
  self->ready = ready;
  self->data = data;
  if (!open_fd (self, path, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
cli_output_free (CliOutput *self)
{
  if (self == NULL)
    return;
  if (self->watch > 0)
    g_source_remove (self->watch);
  if (self->own && self->fd >= 0)
    close (self->fd);
  g_free (self->name);
  g_free (self);
}

uint8_t *
cli_output_room (CliOutput *self, size_t *n)
{
  if (self->first > 0) {
    memmove (self->buffer, self->buffer + self->first, self->end - self->first);
    self->end -= self->first;
    self->first = 0;
  }
  *n = ROOM - self->end;
  return self->buffer + self->end;
}

void
cli_output_add (CliOutput *self, size_t n)
{
  g_return_if_fail (n <= ROOM - self->end);
  self->end += n;
}

static gboolean
writable (int fd, GIOCondition condition, gpointer data)
{
  CliOutput *self = data;
  self->watch = 0;
  self->ready (self->data);
  return G_SOURCE_REMOVE;
}

static bool
takes_now (const CliOutput *self)
{
  struct pollfd poll_fd = {.fd = self->fd, .events = POLLOUT};
  return self->is_file || poll (&poll_fd, 1, 0) > 0;
}

bool
cli_output_flush (CliOutput *self, GError **error)
{
  while (self->first < self->end) {
    if (!takes_now (self)) {
      if (self->watch == 0)
        self->watch = g_unix_fd_add (self->fd, G_IO_OUT | G_IO_ERR | G_IO_HUP, writable, self);
      return true;
    }
    size_t n = self->end - self->first;
    ssize_t written =
        write (self->fd, self->buffer + self->first, self->is_file ? n : MIN (n, PIPE_BUF));
    if (written > 0) {
      self->first += (size_t)written;
      self->written += (uint64_t)written;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return false;
    } else if (errno != EINTR && errno != EAGAIN) {
      int code = errno;
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code),
                   "%s: %s after %" G_GUINT64_FORMAT " bytes%s", self->name, g_strerror (code),
                   self->written, code == ENOSPC ? "; make room, or choose another place" : "");
      return false;
    }
  }
  self->first = self->end = 0;
  return true;
}

bool
cli_output_is_pending (const CliOutput *self)
{
  return self->first < self->end;
}

uint64_t
cli_output_written (const CliOutput *self)
{
  return self->written;
}
