/* SPDX-License-Identifier: Apache-2.0 */
/* Output to real pipes and files. */
#include "peer/cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  int saved, read_end;
  CliOutput *output;
  GMainLoop *loop;
  unsigned ready;
} Pipe;

static void
ready (gpointer data)
{
  Pipe *self = data;
  self->ready++;
  g_main_loop_quit (self->loop);
}

/* Standard output becomes a pipe of 4096 bytes whose other end we hold. */
static void
pipe_init (Pipe *self)
{
  int ends[2];
  memset (self, 0, sizeof *self);
  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  g_assert_cmpint (fcntl (ends[1], F_SETPIPE_SZ, 4096), >=, 4096);
  self->saved = dup (STDOUT_FILENO);
  self->read_end = ends[0];
  fflush (stdout);
  g_assert_cmpint (dup2 (ends[1], STDOUT_FILENO), ==, STDOUT_FILENO);
  close (ends[1]);
  self->loop = g_main_loop_new (NULL, FALSE);
  self->output = cli_output_new (NULL, ready, self, NULL);
}

static void
pipe_clear (Pipe *self)
{
  cli_output_free (self->output);
  dup2 (self->saved, STDOUT_FILENO);
  close (self->saved);
  if (self->read_end >= 0)
    close (self->read_end);
  g_main_loop_unref (self->loop);
}

static size_t
fill (CliOutput *self, uint64_t from)
{
  size_t n;
  uint8_t *out = cli_output_room (self, &n);
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)((from + i) * 11 + ((from + i) >> 8));
  cli_output_add (self, n);
  return n;
}

static void
test_slow_reader_blocks_nobody (void)
{
  Pipe pipe;
  pipe_init (&pipe);
  uint64_t written = 0, got = 0, wrong = 0, wanted = 700000;
  bool ok = true;
  g_autoptr (GError) error = NULL;
  while (got < wanted && ok) {
    uint8_t bytes[3000];
    if (written < wanted)
      written += fill (pipe.output, written);
    ok = cli_output_flush (pipe.output, &error); /* or this would hang, and the test with it */
    ssize_t n = read (pipe.read_end, bytes, sizeof bytes);
    for (ssize_t i = 0; i < n; i++, got++)
      wrong += bytes[i] != (uint8_t)(got * 11 + (got >> 8));
  }
  pipe_clear (&pipe);
  g_assert_no_error (error);
  g_assert_true (ok);
  g_assert_cmpuint (wrong, ==, 0);
}

static void
test_room_again_is_told (void)
{
  Pipe pipe;
  uint8_t bytes[65536];
  pipe_init (&pipe);
  fill (pipe.output, 0);
  bool ok = cli_output_flush (pipe.output, NULL), pending = cli_output_is_pending (pipe.output);
  ssize_t n = read (pipe.read_end, bytes, sizeof bytes);
  g_main_loop_run (pipe.loop);
  unsigned told = pipe.ready;
  uint64_t written = cli_output_written (pipe.output);
  pipe_clear (&pipe);
  g_assert_true (ok);
  g_assert_true (pending);
  g_assert_cmpint (n, >, 0);
  g_assert_cmpuint (told, ==, 1);
  g_assert_cmpuint (written, >=, (uint64_t)n);
}

static void
test_gone_reader_is_no_error (void)
{
  Pipe pipe;
  g_autoptr (GError) error = NULL;
  pipe_init (&pipe);
  close (pipe.read_end);
  pipe.read_end = -1;
  fill (pipe.output, 0);
  bool ok = cli_output_flush (pipe.output, &error);
  pipe_clear (&pipe);
  g_assert_false (ok);
  g_assert_no_error (error);
}

static void
test_full_disk_is_told (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CliOutput) output = cli_output_new ("/dev/full", ready, NULL, &error);
  g_assert_no_error (error);
  fill (output, 0);
  g_assert_false (cli_output_flush (output, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (error->message, "/dev/full"));
  g_assert_nonnull (strstr (error->message, "make room"));
}

static void
test_unwritable_place_is_told (void)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (cli_output_new ("/nowhere/at/all", ready, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "/nowhere/at/all"));
}

static void
test_file_gets_all (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL, *text = NULL;
  gsize n = 0;
  int fd = g_file_open_tmp ("ppsp-output-XXXXXX", &path, &error);
  g_assert_no_error (error);
  g_assert_cmpint (write (fd, "old", 3), ==, 3);
  close (fd);
  CliOutput *output = cli_output_new (path, ready, NULL, &error);
  g_assert_no_error (error);
  uint64_t written = fill (output, 0);
  g_assert_true (cli_output_flush (output, &error));
  written += fill (output, written);
  g_assert_true (cli_output_flush (output, &error));
  g_assert_false (cli_output_is_pending (output));
  cli_output_free (output);
  g_assert_true (g_file_get_contents (path, &text, &n, NULL));
  g_unlink (path);
  g_assert_cmpuint (n, ==, written);
  for (gsize i = 0; i < n; i++)
    g_assert_cmpuint ((uint8_t)text[i], ==, (uint8_t)(i * 11 + (i >> 8)));
}

int
main (int argc, char **argv)
{
  signal (SIGPIPE, SIG_IGN);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cli/output/slow-reader-blocks-nobody", test_slow_reader_blocks_nobody);
  g_test_add_func ("/cli/output/room-again-is-told", test_room_again_is_told);
  g_test_add_func ("/cli/output/gone-reader-is-no-error", test_gone_reader_is_no_error);
  g_test_add_func ("/cli/output/full-disk-is-told", test_full_disk_is_told);
  g_test_add_func ("/cli/output/unwritable-place-is-told", test_unwritable_place_is_told);
  g_test_add_func ("/cli/output/file-gets-all", test_file_gets_all);
  return g_test_run ();
}
