/* SPDX-License-Identifier: Apache-2.0 */
/* The interfaces themselves: type registration and the calls through the tables. */

#include "dlna/library.h"

G_DEFINE_INTERFACE (DlnaStream, dlna_stream, G_TYPE_OBJECT)
G_DEFINE_INTERFACE (DlnaLibrary, dlna_library, G_TYPE_OBJECT)

static guint changed_signal;

DlnaItem *
dlna_item_new (void)
{
  DlnaItem *self = g_new0 (DlnaItem, 1);
  self->size = -1;
  self->duration = -1;
  self->until = -1;
  self->child_count = -1;
  return self;
}

void
dlna_item_free (DlnaItem *self)
{
  if (self == NULL)
    return;
  g_free (self->id);
  g_free (self->parent_id);
  g_free (self->ref_id);
  g_free (self->title);
  g_free (self->mime);
  g_free (self->extension);
  g_free (self->about);
  g_free (self->logo);
  g_free (self->logo_profile);
  g_free (self->channel_name);
  g_free (self->video_codec);
  g_free (self->audio_codec);
  g_free (self);
}

static void
dlna_stream_default_init (DlnaStreamInterface *iface)
{
}

void
dlna_stream_next_async (DlnaStream *self, GCancellable *cancellable, GAsyncReadyCallback done,
                        gpointer data)
{
  g_return_if_fail (DLNA_IS_STREAM (self));
  DLNA_STREAM_GET_IFACE (self)->next_async (self, cancellable, done, data);
}

GBytes *
dlna_stream_next_finish (DlnaStream *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DLNA_IS_STREAM (self), NULL);
  return DLNA_STREAM_GET_IFACE (self)->next_finish (self, result, error);
}

int64_t
dlna_stream_size (DlnaStream *self)
{
  g_return_val_if_fail (DLNA_IS_STREAM (self), -1);
  return DLNA_STREAM_GET_IFACE (self)->size (self);
}

GBytes *
dlna_stream_take (DlnaStream *self, size_t max, bool *ended)
{
  g_return_val_if_fail (DLNA_IS_STREAM (self), NULL);
  return DLNA_STREAM_GET_IFACE (self)->take (self, max, ended);
}

int64_t
dlna_stream_behind (DlnaStream *self)
{
  g_return_val_if_fail (DLNA_IS_STREAM (self), -1);
  return DLNA_STREAM_GET_IFACE (self)->behind (self);
}

void
dlna_stream_watch (DlnaStream *self, void (*news) (gpointer data), gpointer data)
{
  g_return_if_fail (DLNA_IS_STREAM (self));
  DLNA_STREAM_GET_IFACE (self)->watch (self, news, data);
}

static void
dlna_library_default_init (DlnaLibraryInterface *iface)
{
  changed_signal = g_signal_new ("changed", DLNA_TYPE_LIBRARY, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

DlnaItem *
dlna_library_lookup (DlnaLibrary *self, const char *id, GError **error)
{
  g_return_val_if_fail (DLNA_IS_LIBRARY (self), NULL);
  return DLNA_LIBRARY_GET_IFACE (self)->lookup (self, id, error);
}

GPtrArray *
dlna_library_list (DlnaLibrary *self, const char *id, guint offset, guint limit, guint *total,
                   GError **error)
{
  g_return_val_if_fail (DLNA_IS_LIBRARY (self), NULL);
  return DLNA_LIBRARY_GET_IFACE (self)->list (self, id, offset, limit, total, error);
}

guint32
dlna_library_update_id (DlnaLibrary *self, const char *id)
{
  g_return_val_if_fail (DLNA_IS_LIBRARY (self), 0);
  return DLNA_LIBRARY_GET_IFACE (self)->update_id (self, id);
}

void
dlna_library_open_async (DlnaLibrary *self, const char *id, const DlnaPosition *position,
                         GCancellable *cancellable, GAsyncReadyCallback done, gpointer data)
{
  g_return_if_fail (DLNA_IS_LIBRARY (self));
  DLNA_LIBRARY_GET_IFACE (self)->open_async (self, id, position, cancellable, done, data);
}

DlnaStream *
dlna_library_open_finish (DlnaLibrary *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (DLNA_IS_LIBRARY (self), NULL);
  return DLNA_LIBRARY_GET_IFACE (self)->open_finish (self, result, error);
}

void
dlna_library_left (DlnaLibrary *self, const char *id, int64_t first, int64_t end)
{
  g_return_if_fail (DLNA_IS_LIBRARY (self));
  if (DLNA_LIBRARY_GET_IFACE (self)->left != NULL)
    DLNA_LIBRARY_GET_IFACE (self)->left (self, id, first, end);
}

void
dlna_library_stopped (DlnaLibrary *self, const char *id, int64_t time)
{
  g_return_if_fail (DLNA_IS_LIBRARY (self));
  if (DLNA_LIBRARY_GET_IFACE (self)->stopped != NULL)
    DLNA_LIBRARY_GET_IFACE (self)->stopped (self, id, time);
}

void
dlna_library_emit_changed (DlnaLibrary *self, const char *id)
{
  g_return_if_fail (DLNA_IS_LIBRARY (self));
  g_signal_emit (self, changed_signal, 0, id);
}

void
dlna_library_locate_async (DlnaLibrary *self, const char *id, int64_t time,
                           GCancellable *cancellable, GAsyncReadyCallback done, gpointer data)
{
  DLNA_LIBRARY_GET_IFACE (self)->locate_async (self, id, time, cancellable, done, data);
}

bool
dlna_library_locate_finish (DlnaLibrary *self, GAsyncResult *result, DlnaPlace *out, GError **error)
{
  return DLNA_LIBRARY_GET_IFACE (self)->locate_finish (self, result, out, error);
}
