/* SPDX-License-Identifier: Apache-2.0 */
/* SoupServer of libsoup 3.2 forgets a kept-alive connection that ends between two requests: the
 * socket stays in CLOSE_WAIT and the memory is lost, for as long as the server lives. (It finishes
 * a message for which no request was started, and so calls nobody who would disconnect.) One that
 * ends within a request is let go properly. So whoever ends while nothing is under way is shown to
 * it as having sent one byte, which makes a request, and then nothing more, which ends it. No
 * handler is called for that: without a whole header there is no request to handle. */
#include "peer/net/intake.h"

#include <stdbool.h>

typedef struct {
  GInputStream parent;
  GIOStream *base;
  bool resting;
} Intake;

typedef struct {
  GInputStreamClass parent;
} IntakeClass;

static GType intake_get_type (void);
static void intake_pollable_init (GPollableInputStreamInterface *interface);

G_DEFINE_TYPE_WITH_CODE (Intake, intake, G_TYPE_INPUT_STREAM,
                         G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_INPUT_STREAM, intake_pollable_init))

static GInputStream *
base_of (gpointer self)
{
  return g_io_stream_get_input_stream (((Intake *)self)->base);
}

/* n and error: what the base answered. */
static gssize
translate (Intake *self, void *buffer, gssize n, GError **error)
{
  if (n < 0 && (g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK) ||
                g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_CANCELLED)))
    return n;
  bool rested = self->resting;
  self->resting = false;
  if (n > 0)
    return n;
  g_clear_error (error);
  *(char *)buffer = 'X';
  return rested ? 1 : 0;
}

static gssize
intake_read (GInputStream *stream, void *buffer, gsize n, GCancellable *cancellable, GError **error)
{
  GError *failure = NULL;
  gssize got = g_input_stream_read (base_of (stream), buffer, n, cancellable, &failure);
  got = n > 0 ? translate ((Intake *)stream, buffer, got, &failure) : got;
  if (failure != NULL)
    g_propagate_error (error, failure);
  return got;
}

static gssize
intake_read_nonblocking (GPollableInputStream *stream, void *buffer, gsize n, GError **error)
{
  GPollableInputStream *base = G_POLLABLE_INPUT_STREAM (base_of (stream));
  GError *failure = NULL;
  gssize got = g_pollable_input_stream_read_nonblocking (base, buffer, n, NULL, &failure);
  got = n > 0 ? translate ((Intake *)stream, buffer, got, &failure) : got;
  if (failure != NULL)
    g_propagate_error (error, failure);
  return got;
}

static gboolean
intake_can_poll (GPollableInputStream *stream)
{
  return TRUE;
}

static gboolean
intake_is_readable (GPollableInputStream *stream)
{
  return g_pollable_input_stream_is_readable (G_POLLABLE_INPUT_STREAM (base_of (stream)));
}

static GSource *
intake_create_source (GPollableInputStream *stream, GCancellable *cancellable)
{
  GPollableInputStream *base = G_POLLABLE_INPUT_STREAM (base_of (stream));
  g_autoptr (GSource) child = g_pollable_input_stream_create_source (base, NULL);
  return g_pollable_source_new_full (stream, child, cancellable);
}

/* The last of the two streams to be closed: GIOStream closes the output first. */
static gboolean
intake_close (GInputStream *stream, GCancellable *cancellable, GError **error)
{
  return g_io_stream_close (((Intake *)stream)->base, cancellable, error);
}

static void
intake_finalize (GObject *object)
{
  g_object_unref (((Intake *)object)->base);
  G_OBJECT_CLASS (intake_parent_class)->finalize (object);
}

static void
intake_init (Intake *self)
{
  self->resting = true;
}

static void
intake_class_init (IntakeClass *class)
{
  G_OBJECT_CLASS (class)->finalize = intake_finalize;
  G_INPUT_STREAM_CLASS (class)->read_fn = intake_read;
  G_INPUT_STREAM_CLASS (class)->close_fn = intake_close;
}

static void
intake_pollable_init (GPollableInputStreamInterface *interface)
{
  interface->can_poll = intake_can_poll;
  interface->is_readable = intake_is_readable;
  interface->create_source = intake_create_source;
  interface->read_nonblocking = intake_read_nonblocking;
}

GIOStream *
net_intake_new (GIOStream *base)
{
  g_autoptr (GInputStream) input = g_object_new (intake_get_type (), NULL);
  ((Intake *)input)->base = g_object_ref (base);
  return g_simple_io_stream_new (input, g_io_stream_get_output_stream (base));
}

void
net_intake_rest (GIOStream *self)
{
  ((Intake *)g_io_stream_get_input_stream (self))->resting = true;
}
